"""What the tests share: a real Postgres and databases made for one test module."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from xdist.scheduler import LoadScopeScheduling

from connectors.base import registry
from demo.postgres import Cluster, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]

# the source that a test's parameters name: test_x[ga4-devices-1]
SOURCE = re.compile(rf"\[(?:.*-)?({'|'.join(registry.names())})\b")

# how long an example takes says how busy the machine is, not whether the code is right
settings.register_profile("throughline", deadline=None)
settings.load_profile("throughline")


class Shares(LoadScopeScheduling):  # type: ignore[misc]
    """What several processes share out: a file, or a source's part of a file.

    The one demo of the end-to-end tests stays in one process.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        source = SOURCE.search(test) if file.startswith("tests/connectors/") else None
        return f"{file} {source[1]}" if source else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares:
    """Share tests out by `Shares`."""
    return Shares(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no process ends long after the others."""
    order = ["e2e", "warehouse", "quality", "pipeline"]
    ranks = {name: rank for rank, name in enumerate(order)}
    items.sort(
        key=lambda item: ranks.get(
            item.path.relative_to(ROOT / "tests").parts[0], len(order)
        )
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests measured (`record_property`), whichever process they ran in."""
    found = [
        f"  {name:<28} {value}"
        for report in terminalreporter.getreports("passed")
        + terminalreporter.getreports("failed")
        if report.when == "call"
        for name, value in report.user_properties
    ]
    if found:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(found))


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the project."""
    return ROOT


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A superuser's address of a Postgres 18 server.

    `THROUGHLINE_TEST_POSTGRES` names a running one; without it an embedded server
    is started for the session and deleted after it.
    """
    given = os.environ.get("THROUGHLINE_TEST_POSTGRES")
    if given:
        yield given
        return
    home = Path(tempfile.mkdtemp(prefix="throughline-test-"))
    cluster = Cluster(home, free_port(), secrets.token_hex(8))
    cluster.start(fsync="off", shared_buffers="256MB", max_wal_size="4GB")
    try:
        yield cluster.dsn()
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def database(postgres: str) -> Iterator[str]:
    """A superuser's address of an empty database, dropped after the module."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield psycopg.conninfo.make_conninfo(postgres, dbname=name)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
        )
