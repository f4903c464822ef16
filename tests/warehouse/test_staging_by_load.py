"""Staging built load by load equals staging built at once from all of raw."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Dbt = Callable[..., dict[str, Any]]

STREAMS = (
    ("yandex_direct", "keyword_performance"),
    ("bitrix24", "contacts"),
)
MODELS = tuple(f"stg_{source}__{stream}" for source, stream in STREAMS)


def record(source: str, dice: random.Random) -> dict[str, Any]:
    if source == "yandex_direct":
        return {
            "Date": f"2026-05-{dice.randrange(1, 29):02d}",
            "Clicks": dice.choice(["--", "0", "7"]),
            "Cost": dice.choice(["--", "0.00", f"{dice.randrange(10**6) / 100:.2f}"]),
        }
    phones = [{"VALUE": f"ph1_{dice.randrange(99)}"} for _ in range(dice.randrange(3))]
    return {"ID": str(dice.randrange(99)), "PHONE": phones}


class Raw:
    """Raw as landing leaves it, without a vendor: rows come, change, go, come back."""

    def __init__(self, connection: psycopg.Connection, seed: int) -> None:
        self.connection = connection
        self.dice = random.Random(seed)
        self.loads = 0

    def load(self, source: str, stream: str) -> int:
        """One load over thirty possible keys; returns its id."""
        self.loads += 1
        for key in self.dice.sample(range(30), 12):
            if self.dice.random() < 0.3:
                self.connection.execute(
                    f"update raw.{source}__{stream} set deleted_load_id = %s "
                    "where record_key = %s and deleted_load_id is null",
                    (self.loads, str(key)),
                )
                continue
            self.connection.execute(
                f"""
                insert into raw.{source}__{stream}
                    (account_id, record_key, record, record_hash, load_id)
                values ('main', %s, %s, gen_random_uuid(), %s)
                on conflict (account_id, record_key) do update set
                    record = excluded.record,
                    load_id = excluded.load_id,
                    deleted_load_id = null
                """,
                (str(key), json.dumps(record(source, self.dice)), self.loads),
            )
        return self.loads

    def build(self, loads: list[int]) -> int:
        """A build that takes these loads in; returns its id."""
        row = self.connection.execute(
            "insert into ops.builds (run_id, as_of) "
            "values (gen_random_uuid()::text, '2026-06-01') returning build_id"
        ).fetchone()
        assert row is not None
        for load in loads:
            self.connection.execute(
                "insert into ops.build_loads values (%s, %s)", (row[0], load)
            )
        # one build at a time: the next may begin
        self.connection.execute("update ops.builds set state = 'published'")
        return int(row[0])


@pytest.fixture(scope="module")
def connection(warehouse: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(warehouse, autocommit=True) as opened:
        for source, stream in STREAMS:
            opened.execute("select ops.create_raw_table(%s, %s)", (source, stream))
        opened.execute(
            "insert into ops.accounts (source, account_id, time_zone, currency_code, "
            "vat_included) values ('yandex_direct', 'main', 'Europe/Moscow', 'RUB', false)"
        )
        yield opened


def staged(connection: psycopg.Connection) -> dict[str, set[str]]:
    """Every row of the staged models as JSON text."""
    return {
        model: {
            row
            for (row,) in connection.execute(
                f"select to_jsonb(staged)::text from staging.{model} as staged"
            )
        }
        for model in MODELS
    }


def test_load_by_load_equals_all_at_once(
    connection: psycopg.Connection, dbt: Dbt
) -> None:
    """A build's own loads are staged, tombstones leave, later loads wait their turn."""
    raw = Raw(connection, seed=3)
    select = ("run", "--select", *MODELS)
    dbt(*select, "--full-refresh")

    first = raw.build([raw.load(*STREAMS[0]), raw.load(*STREAMS[1])])
    dbt(*select, build_id=first)
    after_first = staged(connection)
    assert all(after_first.values())

    # three loads of one stream in one build, and one that is held back
    taken = [raw.load(*STREAMS[0]) for _ in range(3)]
    held = raw.load(*STREAMS[1])
    second = raw.build(taken)
    dbt(*select, build_id=second)
    after_second = staged(connection)
    assert after_second[MODELS[0]] != after_first[MODELS[0]]
    assert after_second[MODELS[1]] == after_first[MODELS[1]]

    third = raw.build([held, raw.load(*STREAMS[1])])
    dbt(*select, build_id=third)
    by_load = staged(connection)
    dbt(*select, build_id=third)
    assert staged(connection) == by_load, "running a build again changed something"

    dbt(*select, "--full-refresh", build_id=third)
    assert staged(connection) == by_load
    live = connection.execute(
        "select count(*) from raw.bitrix24__contacts where deleted_load_id is null"
    ).fetchone()
    assert live == (len(by_load[MODELS[1]]),)
