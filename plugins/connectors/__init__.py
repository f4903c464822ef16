"""Connectors: one folder per source, over the one client in `base`."""
