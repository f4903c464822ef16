"""Fixtures of the connector tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.connectors.bench import bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.connectors.bench import Bench


@pytest.fixture(autouse=True)
def _demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connectors may read from the simulator, and tokens have a key."""
    monkeypatch.setenv("THROUGHLINE_DEMO", "1")
    monkeypatch.setenv("THROUGHLINE_TOKEN_KEY", "1:" + "5a" * 32)


@pytest.fixture
def on_bench() -> Iterator[Callable[..., Bench]]:
    """Start a simulator of a source; all are stopped after the test."""
    open_ones = []

    def start(source: str, **options: object) -> Bench:
        context = bench(source, **options)  # type: ignore[arg-type]
        open_ones.append(context)
        return context.__enter__()

    yield start
    for context in open_ones:
        context.__exit__(None, None, None)
