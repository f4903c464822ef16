"""Calls rated by what changed equal calls rated at once, after any order of loads.

Raw is written as landing leaves it, with the days that each load changed: visits come
late, last longer, move to another day or vanish; calls are corrected, lose their browser
or vanish. After each build everything is made again from nothing and compared.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Dbt = Callable[..., dict[str, Any]]

    Row = tuple[Any, ...]

# days of the accounts begin before and after those of the reports (Moscow)
ZONES = {
    "yandex_metrica": ZoneInfo("Asia/Kamchatka"),
    "calltouch": ZoneInfo("Europe/Moscow"),
    "comagic": ZoneInfo("America/New_York"),
}
STREAMS = {
    ("yandex_metrica", "visits"): "visits",
    ("calltouch", "calls"): "calls",
    ("comagic", "sessions"): "visits",
    ("comagic", "calls"): "calls",
}
MODELS = (
    *(f"stg_{source}__{contract}" for (source, _), contract in STREAMS.items()),
    "int_call_confidence",
    "int_identity_evidence",
)
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)


def record(
    source: str, stream: str, key: str, at: datetime, dice: random.Random
) -> dict[str, Any]:
    """What the vendor says of a visit or call that was made at a moment."""
    local = at.astimezone(ZONES[source]).strftime("%Y-%m-%d %H:%M:%S")
    browser = str(dice.randrange(6))
    seconds = dice.choice([0, 60, 900, 5000, 25_000])
    number = f"7495000000{dice.randrange(3)}"
    if source == "calltouch":
        client = dice.choice([browser, browser, None])
        return {
            "callId": key, "timestamp": int(at.timestamp()), "yaClientId": client,
            "phoneNumber": number, "callerNumber": f"ph1_{dice.randrange(9)}",
        }  # fmt: skip
    if stream == "visits":
        return {
            "ym:s:visitID": key, "ym:s:clientID": browser, "ym:s:dateTime": local,
            "ym:s:visitDuration": str(seconds),
        }  # fmt: skip
    if stream == "sessions":
        return {
            "id": key, "visitor_id": browser, "date_time": local, "duration": seconds,
        }  # fmt: skip
    visitor = dice.choice([browser, browser, None])
    return {
        "id": key, "visitor_id": visitor, "start_time": local,
        "virtual_phone_number": number, "contact_phone_number": f"ph1_{key}",
    }  # fmt: skip


class Raw:
    """Raw tables and the ledger, as landing leaves them; rows come, change and go."""

    def __init__(self, connection: psycopg.Connection[Any], seed: int) -> None:
        self.connection = connection
        self.dice = random.Random(seed)
        self.loads = 0
        # the day in raw of every live record
        self.days: dict[tuple[str, str, str], date] = {}

    def load(self, source: str, stream: str, share: float) -> int:
        """One load of so great a share of all possible records; returns its id."""
        self.loads += 1
        changes: dict[str, Counter[date]] = {
            "new": Counter(), "changed": Counter(), "gone": Counter(),
        }  # fmt: skip
        size = 60 if stream == "calls" else 200
        for number in self.dice.sample(range(size), int(size * share)):
            key = (source, stream, str(number))
            before = self.days.pop(key, None)
            if before and self.dice.random() < 0.3:
                self.connection.execute(
                    f"update raw.{source}__{stream} set deleted_load_id = %s "
                    "where record_key = %s",
                    (self.loads, key[2]),
                )
                changes["gone"][before] += 1
                continue
            at = BEGIN + timedelta(minutes=self.dice.randrange(5 * 24 * 12) * 5)
            day = at.astimezone(ZONES[source]).date()
            self._put(source, stream, key[2], at, day)
            self.days[key] = day
            if before == day:
                changes["changed"][day] += 1
                continue
            changes["new"][day] += 1
            if before:
                changes["gone"][before] += 1
        self._write_down(source, stream, changes)
        return self.loads

    def _put(self, source: str, stream: str, key: str, at: datetime, day: date) -> None:
        said = record(source, stream, key, at, self.dice)
        self.connection.execute(
            f"""
            insert into raw.{source}__{stream}
                (account_id, record_key, record_date, record, record_hash, load_id)
            values ('main', %s, %s, %s, gen_random_uuid(), %s)
            on conflict (account_id, record_key) do update set
                record_date = excluded.record_date,
                record = excluded.record,
                load_id = excluded.load_id,
                deleted_load_id = null
            """,
            (key, day, json.dumps(said), self.loads),
        )

    def _write_down(
        self, source: str, stream: str, changes: dict[str, Counter[date]]
    ) -> None:
        totals = {name: sum(days.values()) for name, days in changes.items()}
        self.connection.execute(
            """
            insert into ops.loads (
                load_id, source, stream, account_id, kind, state, started_at,
                rows_new, rows_changed, rows_gone
            )
            values (%s, %s, %s, 'main', 'window', 'ok', now(), %s, %s, %s)
            """,
            (self.loads, source, stream, *totals.values()),
        )
        self.connection.cursor().executemany(
            "insert into ops.load_changes values (%s, %s, %s, %s, %s, 0)",
            [
                (self.loads, day, *(days[day] for days in changes.values()))
                for day in set().union(*changes.values())
            ],
        )

    def build(self, loads: list[int]) -> int:
        """A build that takes these loads in; returns its id."""
        row = self.connection.execute(
            "insert into ops.builds (run_id, as_of) "
            "values (gen_random_uuid()::text, '2026-06-01') returning build_id"
        ).fetchone()
        assert row is not None
        self.connection.cursor().executemany(
            "insert into ops.build_loads values (%s, %s)",
            [(row[0], load) for load in loads],
        )
        # one build at a time: the next may begin
        self.connection.execute("update ops.builds set state = 'published'")
        return int(row[0])


@pytest.fixture(scope="module")
def connection(warehouse: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(warehouse, autocommit=True) as opened:
        for source, stream in STREAMS:
            opened.execute("select ops.create_raw_table(%s, %s)", (source, stream))
        for source, zone in ZONES.items():
            opened.execute(
                "insert into ops.accounts (source, account_id, time_zone) "
                "values (%s, 'main', %s)",
                (source, zone.key),
            )
        yield opened


def sources(project: Path) -> list[dict[str, Any]]:
    """Where visits and calls come from, as the project declares it."""
    declared = yaml.safe_load((project / "dbt_project/dbt_project.yml").read_text())
    return [
        each
        for each in declared["vars"]["identity_sources"]
        if each["contract"] in ("visits", "calls")
    ]


def kept(connection: psycopg.Connection[Any]) -> tuple[list[Row], list[Row]]:
    """Every call's rating, and all evidence."""
    calls = "select * from identity.int_call_confidence order by 1, 2, 3"
    evidence = (
        "select to_jsonb(e)::text from identity.int_identity_evidence as e order by 1"
    )
    return connection.execute(calls).fetchall(), connection.execute(evidence).fetchall()


def test_calls_are_rated_by_the_news_as_at_once(
    connection: psycopg.Connection[Any], dbt: Dbt, project: Path
) -> None:
    raw = Raw(connection, seed=7)
    variables = json.dumps({"identity_sources": sources(project)})
    run = ("run", "--vars", variables, "--select", *MODELS)
    first = raw.build([raw.load(*stream, 0.8) for stream in STREAMS])
    dbt(*run, "--full-refresh", build_id=first)
    begun = kept(connection)
    ratings = {row[-1] for row in begun[0]}
    assert len(ratings) > 5, "hardly a call is contradicted by a visit"

    # visits alone, calls alone, all; several loads of one stream in a build
    for streams in (
        [("yandex_metrica", "visits")],
        [("comagic", "sessions"), ("comagic", "calls")],
        [("calltouch", "calls")],
        [*STREAMS, *STREAMS],
    ):
        build = raw.build([raw.load(*stream, 0.2) for stream in streams])
        dbt(*run, build_id=build)
        by_news = kept(connection)
        assert by_news != begun
        dbt(*run, build_id=build)
        assert kept(connection) == by_news, "running a build again changed something"
        dbt(*run, "--full-refresh", build_id=build)
        begun = kept(connection)
        assert by_news[0] == begun[0]
        assert by_news[1] == begun[1]


def test_each_source_of_visits_and_calls_names_its_stream(project: Path) -> None:
    """By that name the days of its changes are found in ops.load_changes."""
    for each in sources(project):
        assert each["changes"] == "load"
        source, contract = each["source"], each["contract"]
        home = project / "dbt_project/models/staging" / source
        model = home / f"stg_{source}__{contract}.sql"
        read = re.findall(r"source\('(\w+)', '(\w+)'\)", model.read_text())
        streams = {stream for vendor, stream in read if vendor == source}
        assert streams == {each.get("stream", contract)}, f"{source} {contract}"
