"""A prepared warehouse for the steps of the line."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipeline import dbt_station, windows
from pipeline.setup import LOGIN_ROLES, setup
from simulator.connections import connections
from simulator.face import DEMO_TOKEN
from simulator.server import start
from simulator.world import build_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simulator.server import RunningServer

END = date(2026, 6, 1)  # the first day of the simulated company without data


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


@pytest.fixture(scope="module")
def company(
    warehouse: str, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """The small simulated company; its connections and clock are what the steps see.

    The pipeline's clock follows the company's: `company.set_now` moves both.
    """
    world = build_world(seed=1, end_date=END, size="small")
    with start(world) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("THROUGHLINE_DEMO", "1")
        patch.setenv("THROUGHLINE_HOME", str(project))
        patch.setenv("THROUGHLINE_TOKEN_KEY", "1:" + "5a" * 32)
        patch.setenv("THROUGHLINE_SOURCES", str(project / "simulator" / "sources.yml"))
        for name, value in connections(server.base_url, DEMO_TOKEN).items():
            patch.setenv(name, value)
        patch.setattr(windows, "utc_now", lambda: server.options.now)
        scratch = tmp_path_factory.mktemp("dbt")
        patch.setattr(dbt_station, "scratch", lambda: scratch)
        yield server
