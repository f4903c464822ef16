"""Fixtures of the connector tests."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipeline.setup import LOGIN_ROLES, setup
from tests.connectors.bench import Warehouse, give_back, take

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
    """A running simulator of a source, as good as new for each call."""
    taken = []

    def start(source: str, **options: object) -> Bench:
        taken.append(take(source, **options))
        return taken[-1]

    yield start
    for bench in taken:
        give_back(bench)


@pytest.fixture(scope="module")
def superuser(database: str) -> str:
    """A superuser's address of a prepared warehouse, empty before the module."""
    password = str(conninfo_to_dict(database)["password"])
    setup(database, dict.fromkeys(LOGIN_ROLES, password))
    return database


_numbers = itertools.count(1)
Connections = tuple["psycopg.Connection[Any]", "psycopg.Connection[Any]"]


@pytest.fixture(scope="module")
def connections(superuser: str) -> Iterator[Connections]:
    """A loader's connection and a superuser's, for all tests of a module."""
    loader = make_conninfo(superuser, user="loader")
    with (
        psycopg.connect(loader, autocommit=True) as connection,
        psycopg.connect(superuser, autocommit=True) as root,
    ):
        yield connection, root


@pytest.fixture
def warehouse(connections: Connections) -> Warehouse:
    """Those connections; accounts made through them are this test's alone."""
    for each in connections:
        each.rollback()  # what a failed test left open
    return Warehouse(*connections, f"test{next(_numbers)}")
