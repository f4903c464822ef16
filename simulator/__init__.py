"""A fictional company with a seed, served through the vendors' own APIs."""
