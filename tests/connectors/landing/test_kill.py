"""Killed anywhere, a load is there whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from connectors.base import landing
from connectors.base.batch import JsonBatch
from tests.connectors.landing.stand import STATS, Stand, row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 3000


def rows(cost: str) -> list[dict[str, Any]]:
    """An answer that touches everything a load can touch."""
    return [
        row(1 + n % 9, n, cost, Phone=f"8900{n % 50:07}", Secret="x" * (n % 3))
        for n in range(ROWS)
    ] + [row(1, "dead", "much")]


def second_answer() -> Iterator[JsonBatch]:
    """Restated, with ten rows gone, in pages."""
    answer = rows("2.00")[10:]
    for start in range(0, len(answer), 500):
        yield JsonBatch(answer[start : start + 500])


class Deadly(psycopg.Connection[Any]):
    """Kills its process, unannounced, before the given statement or COPY block."""

    left = 0

    @classmethod
    def step(cls) -> None:
        cls.left -= 1
        if cls.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def execute(self, *values: Any, **named: Any) -> Any:
        self.step()
        return super().execute(*values, **named)


def child(address: str, account: str, steps: int) -> None:
    """Land the second answer, with the death after so many steps."""
    landing.GROUP = 100_000
    write = psycopg.Copy.write

    def deadly_write(self: Any, data: Any) -> None:
        Deadly.step()
        write(self, data)

    psycopg.Copy.write = deadly_write  # type: ignore[method-assign]
    Deadly.left = steps
    with Deadly.connect(address) as connection:
        Stand(connection, account).stream(STATS, second_answer())
        print("lived for", steps - Deadly.left, "steps")


def run_child(project: Path, *values: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.connectors.landing.test_kill", *map(str, values)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "plugins:."},
        capture_output=True,
        text=True,
        check=False,
    )


def everything(connection: psycopg.Connection[Any], account: str) -> dict[str, Any]:
    """All that a load of the account writes, apart from the ledger's own numbers."""
    queries = {
        "raw": "select record_key, record_date, record, record_hash, load_id, "
        "deleted_load_id from raw.shop__stats where account_id = %s order by 1",
        "loads": "select load_id, state from ops.loads where account_id = %s",
        "changes": "select c.load_id, c.record_date, c.rows_changed, c.rows_gone, "
        "c.amount_delta from ops.load_changes as c join ops.loads as l using (load_id) "
        "where l.account_id = %s order by 1, 2",
        "dead": "select load_id, record_key from ops.dead_letters where account_id = %s",
        "sealed": "select record_key, value, load_id from pii.sealed "
        "where account_id = %s order by 1",
        "warnings": "select load_id from ops.warnings where source = 'shop' and "
        "load_id in (select load_id from ops.loads where account_id = %s)",
    }
    with connection.transaction():
        return {
            name: connection.execute(query, (account,)).fetchall()  # type: ignore[arg-type]
            for name, query in queries.items()
        }


@pytest.mark.parametrize("known", [True, False], ids=["over rows", "over nothing"])
def test_a_killed_load_leaves_nothing(
    connection: psycopg.Connection[Any], loader: str, project: Path, known: bool
) -> None:
    accounts = (f"kill_{known}_{n}".lower() for n in count())

    def prepared() -> Stand:
        stand = Stand(connection, next(accounts))
        if known:
            stand.land(STATS, rows("1.00"))
        else:
            stand.land(STATS, [row(1, 1)])  # so that the raw table is there
            stand.ask(
                "delete from raw.shop__stats where account_id = %s returning 1",
                stand.account.account,
            )
        return stand

    stand = prepared()
    alive = run_child(project, loader, stand.account.account, 0)
    assert "lived" in alive.stdout, alive.stderr
    steps = int(alive.stdout.split()[2])
    assert steps > 20
    whole = len(stand.rows(STATS))
    assert whole == ROWS - 10
    points = sorted({2, 3, steps, *range(5, steps, max(steps // 5, 1))})
    for point in points:
        stand = prepared()
        account = stand.account.account
        before = everything(connection, account)
        killed = run_child(project, loader, account, point)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        stand.ask(
            "select pg_advisory_xact_lock(hashtextextended(%s, 0))::text",
            f"landing:shop/{account}/stats",
        )  # until the server knows, too
        assert everything(connection, account) == before, f"after step {point}"
        # and the next one goes through
        result = stand.stream(STATS, second_answer())
        assert (result.rows_dead, len(stand.rows(STATS))) == (1, ROWS - 10)


if __name__ == "__main__":
    os.environ["THROUGHLINE_TOKEN_KEY"] = "1:" + "5a" * 32
    child(sys.argv[1], sys.argv[2], int(sys.argv[3]))
