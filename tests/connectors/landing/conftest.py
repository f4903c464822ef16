"""A warehouse with roles and schemas, and a stand to land on it."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.setup import LOGIN_ROLES, setup
from tests.connectors.landing.stand import Stand

if TYPE_CHECKING:
    from collections.abc import Iterator

_accounts = count(1)


@pytest.fixture(scope="module")
def loader(database: str) -> str:
    """A loader's address of a prepared warehouse, dropped after the module."""
    passwords = {
        role: os.environ.get(f"THROUGHLINE_{role.upper()}_PASSWORD", "devpw")
        for role in LOGIN_ROLES
    }
    setup(database, passwords)
    return psycopg.conninfo.make_conninfo(
        database, user="loader", password=passwords["loader"]
    )


@pytest.fixture(scope="module")
def connection(loader: str) -> Iterator[psycopg.Connection]:
    """A loader's connection."""
    with psycopg.connect(loader) as connection:
        yield connection


@pytest.fixture
def stand(connection: psycopg.Connection) -> Stand:
    """An account of its own for each test."""
    return Stand(connection, f"account_{next(_accounts)}")
