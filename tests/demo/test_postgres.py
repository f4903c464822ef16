"""The embedded Postgres: a password is needed, and the collation is the builtin one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from demo.postgres import Cluster, free_port

if TYPE_CHECKING:
    from pathlib import Path


def test_the_embedded_server_from_nothing_to_deleted(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / ("a-long-name-" * 12) / "pg", free_port(), "right")
    cluster.start(fsync="off")
    try:
        with psycopg.connect(cluster.dsn()) as connection:
            row = connection.execute(
                "select current_setting('server_version_num')::int / 10000,"
                " datlocprovider, datlocale from pg_database"
                " where datname = current_database()"
            ).fetchone()
        assert row == (18, "b", "C.UTF-8")
        wrong = psycopg.conninfo.make_conninfo(cluster.dsn(), password="wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication"):
            psycopg.connect(wrong)
        cluster.start()  # again: nothing happens
        assert cluster.is_running()
    finally:
        cluster.destroy()
    assert not cluster.is_running()
    assert not cluster.data.exists()
