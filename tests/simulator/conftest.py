"""Worlds made once: the small one for laws, the usual one for counts."""

from __future__ import annotations

from datetime import date

import pytest

from simulator.world import World, build_world

END = date(2026, 6, 1)


@pytest.fixture(scope="session")
def small() -> World:
    """The two-week company; do not change it."""
    return build_world(seed=3, end_date=END, size="small")


@pytest.fixture(scope="session")
def usual() -> World:
    """The company of the demo; do not change it."""
    return build_world(seed=1, end_date=END)
