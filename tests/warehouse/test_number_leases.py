"""A log of leases in a warehouse: whose call it was, as the log comes, late and changed.

Run by run, calls are rated as a build of everything rates them.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.pipeline.conftest import connect_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Dbt = Callable[..., dict[str, Any]]

__all__ = ["connect_as"]
SOURCES = [
    ("visits", "yandex_metrica", ["client_id"]),
    ("calls", "calltouch", ["caller_phone", "ym_client_id"]),
    ("number_leases", "files", []),
]
VARS = json.dumps(
    {
        "identity_sources": [
            {"contract": contract, "source": source, "changes": "load", "columns": own}
            for contract, source, own in SOURCES
        ]
    }
)
MODELS = ("stg_files__number_leases", "int_call_confidence", "int_identity_evidence")
NEW = """
drop table if exists
    staging.stg_yandex_metrica__visits, staging.stg_calltouch__calls,
    staging.stg_files__number_leases, identity.int_call_confidence,
    identity.int_identity_evidence;
create table staging.stg_yandex_metrica__visits (
    account_id text, record_key text, load_id bigint, visit_id text, client_id text,
    started_at timestamptz, duration_s bigint, visit_date date
);
create table staging.stg_calltouch__calls (
    account_id text, record_key text, load_id bigint, call_id text,
    ym_client_id text, caller_phone text, phone_number text,
    called_at timestamptz, call_date date
);
"""
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Switchboard:
    """Visits, calls and leases as they come, and builds that know which are new.

    A run brings a load of each stream; what it changed is noted by day.
    """

    def __init__(
        self, root: psycopg.Connection[Any], owner: psycopg.Connection[Any], dbt: Dbt
    ) -> None:
        self.root = root
        self.owner = owner
        self.dbt = dbt
        self.runs = 0
        self.changed: set[tuple[int, date]] = set()
        root.execute("select ops.create_raw_table('files', 'number_leases')")
        root.execute("truncate raw.files__number_leases, ops.loads, ops.builds cascade")
        owner.execute(NEW)

    def _load(self, stream: str, day: date) -> int:
        """The load that brings a change of that day."""
        load_id = 10 * self.runs + [each[0] for each in SOURCES].index(stream)
        self.changed.add((load_id, day))
        return load_id

    def visit(self, key: str, browser: str, at: datetime, minutes: int) -> None:
        day = at.date()
        self.owner.execute(
            "insert into staging.stg_yandex_metrica__visits values "
            "('main', %s, %s, %s, %s, %s, %s, %s)",
            (key, self._load("visits", day), key, browser, at, 60 * minutes, day),
        )

    def call(self, key: str, number: str, browser: str | None, at: datetime) -> None:
        day = at.date()
        load_id = self._load("calls", day)
        self.owner.execute(
            "insert into staging.stg_calltouch__calls values "
            "('main', %s, %s, %s, %s, %s, %s, %s, %s)",
            (key, load_id, key, browser, f"ph1_{key}", number, at, day),
        )

    def lease(
        self, key: str, number: str, browser: str, at: datetime, end: datetime | None
    ) -> None:
        """A row of the log, new or with another end."""
        record = {
            "lease_id": key,
            "phone_number": number,
            "ym_client_id": browser,
            "shown_from": at.isoformat(),
            "shown_to": end and end.isoformat(),
        }
        day = at.date()
        load_id = self._load("number_leases", day)
        self.root.execute(
            """
            insert into raw.files__number_leases
                (account_id, record_key, record_date, record, record_hash, load_id)
            values ('main', %s, %s, %s, gen_random_uuid(), %s)
            on conflict (account_id, record_key) do update set
                record = excluded.record, load_id = excluded.load_id,
                deleted_load_id = null
            """,
            (key, day, json.dumps(record), load_id),
        )

    def take_away(self, key: str) -> None:
        """The row is in no file any more."""
        row = self.root.execute(
            "select record_date from raw.files__number_leases where record_key = %s",
            (key,),
        ).fetchone()
        assert row is not None
        self.root.execute(
            "update raw.files__number_leases set deleted_load_id = %s "
            "where record_key = %s",
            (self._load("number_leases", row[0]), key),
        )

    def build(self) -> None:
        """Take in what came since the last one."""
        row = self.root.execute(
            "insert into ops.builds (run_id, as_of) values (%s, now()) "
            "returning build_id",
            (f"run {self.runs}",),
        ).fetchone()
        assert row is not None
        for place, (stream, source, _) in enumerate(SOURCES):
            load_id = 10 * self.runs + place
            self.root.execute(
                """
                insert into ops.loads (
                    load_id, source, stream, account_id, kind, state, started_at
                )
                values (%s, %s, %s, 'main', 'snapshot', 'ok', now())
                """,
                (load_id, source, stream),
            )
            self.root.execute(
                "insert into ops.build_loads values (%s, %s)", (row[0], load_id)
            )
        for load_id, day in self.changed:
            self.root.execute(
                "insert into ops.load_changes values (%s, %s, 1, 0, 0, 0)",
                (load_id, day),
            )
        self.dbt("run", "--vars", VARS, "--select", *MODELS, build_id=row[0])
        self.runs += 1
        self.changed.clear()

    def build_everything(self) -> None:
        self.dbt("run", "--vars", VARS, "--select", *MODELS, "--full-refresh")

    def rated(self) -> dict[str, tuple[str, float]]:
        """Basis and confidence of each call."""
        found = self.owner.execute(
            "select record_key, basis, confidence from identity.int_call_confidence"
        )
        return {key: (basis, confidence) for key, basis, confidence in found}

    def belongs_to_its_phone(self, key: str) -> bool:
        """Nothing but the caller's phone says who called."""
        found = self.owner.execute(
            "select evidence, confidence from identity.int_identity_evidence "
            "where contract = 'calls' and record_key = %s",
            (key,),
        ).fetchall()
        by_phone = ("call_phone", 1) in found
        assert by_phone == (("call_browser", 0) in found)
        return by_phone

    def state(self) -> list[Any]:
        """All that a build of everything may not change."""
        return [
            self.owner.execute(
                f"select * from identity.{table} order by {key}"
            ).fetchall()
            for table, key in (
                ("int_call_confidence", "record_key"),
                (
                    "int_identity_evidence",
                    "contract, record_key, evidence, left_id, right_id",
                ),
            )
        ]


@pytest.fixture
def switchboard(
    warehouse: str,
    connect_as: Callable[[str], psycopg.Connection[Any]],
    dbt: Dbt,
) -> Iterator[Switchboard]:
    with psycopg.connect(warehouse, autocommit=True) as root:
        yield Switchboard(root, connect_as("transformer"), dbt)


def test_calls_are_rated_again_when_the_log_comes_changes_and_goes(
    switchboard: Switchboard,
) -> None:
    board, minute = switchboard, timedelta(minutes=1)
    board.visit("v1", "b1", NOON, 30)
    board.visit("v2", "b2", NOON, 30)
    board.call("c1", "74950000001", "b1", NOON + 10 * minute)
    board.call("c2", "74950000001", "b2", NOON + 12 * minute)
    board.call("c3", "74950000001", "b1", NOON + 90 * minute)
    board.call("late", "74950000003", "b1", NOON + timedelta(days=30))
    board.call("static", "74950000009", None, NOON)
    board.build()
    estimated = ("estimated", 0.5)
    alone = ("estimated", 1)
    before = {"c1": estimated, "c2": estimated, "c3": alone, "late": alone}
    assert board.rated() == before
    assert not board.belongs_to_its_phone("c2")

    # the log comes a day later, and c2 is another's
    board.lease("a", "74950000001", "b1", NOON, None)
    board.lease("d", "74950000003", "b5", NOON, NOON + timedelta(days=31))
    board.build()
    known, another = ("leases", 1), ("leases", 0)
    assert board.rated() == {"c1": known, "c2": another, "c3": known, "late": another}
    assert board.belongs_to_its_phone("c2")

    # the lease ended long before c3, and another began
    board.lease("a", "74950000001", "b1", NOON, NOON + 11 * minute)
    board.lease("b", "74950000001", "b2", NOON + 11 * minute, NOON + 20 * minute)
    board.lease("c", "74950000002", "b7", NOON, NOON + 20 * minute)
    board.build()
    rated = board.rated()
    assert rated["c1"] == known
    assert rated["c2"] == ("leases", pytest.approx(0.924))
    assert rated["c3"] == alone
    assert not board.belongs_to_its_phone("c2")

    # what was wrong is taken out of the log, row by row
    board.take_away("b")
    board.build()
    assert board.rated()["c2"] == another
    assert board.belongs_to_its_phone("c2")
    board.take_away("a")
    board.take_away("d")
    board.build()
    assert board.rated() == before

    incremental = board.state()
    board.build_everything()
    assert board.state() == incremental


def test_run_by_run_equals_all_at_once(switchboard: Switchboard) -> None:
    """Each run brings a day of visits and calls, leases of that day and the one before,
    and changes or loses a few of any day. The last one does no more than that."""
    board, dice = switchboard, random.Random(11)
    leases: dict[str, tuple[str, str, datetime]] = {}

    def moment(day: int) -> datetime:
        return NOON + timedelta(days=day, minutes=dice.randrange(600))

    for day in range(4):
        for n in range(20 if day < 3 else 0):
            number, browser = f"7495000000{dice.randrange(6)}", f"b{dice.randrange(9)}"
            at = moment(day)
            board.visit(f"v{day}-{n}", browser, at, dice.randrange(200))
            called = at + timedelta(minutes=dice.randrange(90))
            board.call(f"c{day}-{n}", number, browser, called)
            lease = (number, browser, moment(day - n % 2))
            leases[f"l{day}-{n}"] = lease
            end = lease[2] + timedelta(minutes=dice.randrange(300))
            board.lease(f"l{day}-{n}", *lease, end if n % 9 else None)
        for key in dice.sample(sorted(leases), 6):
            if dice.random() < 0.5:
                board.take_away(key)
                del leases[key]
            else:
                end = leases[key][2] + timedelta(minutes=dice.randrange(300))
                board.lease(key, *leases[key], end)
        board.build()
    bases = [basis for basis, _ in board.rated().values()]
    assert min(bases.count("leases"), bases.count("estimated")) > 10
    incremental = board.state()
    board.build_everything()
    assert board.state() == incremental
