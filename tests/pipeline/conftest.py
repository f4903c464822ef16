"""A prepared warehouse for the steps of the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipeline.setup import LOGIN_ROLES, setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def warehouse(database: str) -> Iterator[str]:
    """A superuser's address of a set-up warehouse that the settings point to.

    Roles belong to the server, so on a shared one they keep the password that its
    superuser has.
    """
    parts = conninfo_to_dict(database)
    password = str(parts["password"])
    setup(database, dict.fromkeys(LOGIN_ROLES, password))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THROUGHLINE_WAREHOUSE_HOST", str(parts["host"]))
        patch.setenv("THROUGHLINE_WAREHOUSE_PORT", str(parts["port"]))
        patch.setenv("THROUGHLINE_WAREHOUSE_DB", str(parts["dbname"]))
        for role in LOGIN_ROLES:
            patch.setenv(f"THROUGHLINE_{role.upper()}_PASSWORD", password)
        yield database


@pytest.fixture
def connect_as(warehouse: str) -> Iterator[Callable[[str], psycopg.Connection]]:
    """Autocommit connections by role, closed after the test."""
    opened: list[psycopg.Connection] = []

    def make(role: str) -> psycopg.Connection:
        connection = psycopg.connect(
            make_conninfo(warehouse, user=role), autocommit=True
        )
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.close()
