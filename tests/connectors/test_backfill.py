"""A year read day by day, in any order and by four at once, is the year read in a row."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from connectors.base import landing, registry
from connectors.base.stream import Window
from simulator.world import build_world
from tests.connectors.bench import END

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.world import World
    from tests.connectors.bench import Bench, OnBench

DAYS = 365
AT_ONCE = 4
STREAMS = (("yandex_direct", "campaign_performance"), ("calltouch", "calls"))
# all that landing writes, less what says when and by which load
WRITTEN = {
    "raw rows": "select account_id, record_key, record_date, record, record_hash,"
    " deleted_load_id is null from {raw}",
    "changes by day": "select l.source, l.stream, l.account_id, c.record_date,"
    " sum(c.rows_new), sum(c.rows_changed), sum(c.rows_gone), sum(c.amount_delta)"
    " from ops.load_changes as c join ops.loads as l using (load_id)"
    " group by 1, 2, 3, 4 having (sum(c.rows_new), sum(c.rows_changed),"
    " sum(c.rows_gone), sum(c.amount_delta)) <> (0, 0, 0, 0)",
    "bad loads": "select source, stream, date_from, error from ops.loads"
    " where state = 'failed' or rows_withheld > 0",
    "warnings": "select source, stream, message from ops.warnings",
    "dead letters": "select source, stream, record_key, reason from ops.dead_letters",
    "sealed": "select source, stream, record_key, field, value from pii.sealed",
    "contacts": "select token, kind, value,"
    " array(select unnest(spellings) order by 1) from pii.contacts",
    "facts": "select token, kind, number_type, country, is_placeholder, mailbox_class,"
    " masked, is_own_number from identity.token_facts",
}
LANDED = (
    "ops.loads, ops.load_changes, ops.warnings, ops.dead_letters, pii.sealed,"
    " pii.contacts, pii.dead_letter_payloads, identity.token_facts"
)


@pytest.fixture(scope="module")
def year() -> World:
    """A small company's year up to 31 May 2026."""
    return build_world(seed=11, end_date=END, days=DAYS, size=0.05)


@pytest.mark.parametrize(("source", "stream_name"), STREAMS)
def test_a_years_backfill_in_any_order_and_in_parallel_equals_one_in_a_row(
    source: str, stream_name: str, year: World, on_bench: OnBench, superuser: str
) -> None:
    bench = on_bench(source, group=year)
    stream = registry.connector_class(source).stream(stream_name, bench.account)
    start = END - timedelta(days=DAYS)
    whole = Window(start, END, bench.account.time_zone)
    daily = list(whole.chunks(1))
    assert len(daily) == DAYS

    land_all(superuser, bench, stream, daily)
    in_a_row = everything(superuser, source, stream_name)
    assert len(in_a_row["raw rows"]) > DAYS
    assert not in_a_row["bad loads"] and len(in_a_row["changes by day"]) > DAYS * 0.6

    dice = random.Random(7)
    shuffled = daily + dice.sample(daily, 30)  # some tasks are run twice
    dice.shuffle(shuffled)
    empty(superuser, source, stream_name)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = [shuffled[n::AT_ONCE] for n in range(AT_ONCE)]
        work = [pool.submit(land_all, superuser, bench, stream, part) for part in parts]
        for each in work:
            each.result()
    in_parallel = everything(superuser, source, stream_name)
    for name, rows in in_a_row.items():
        assert in_parallel[name] == rows, name

    empty(superuser, source, stream_name)
    land_all(superuser, bench, stream, [whole])
    at_once = everything(superuser, source, stream_name)
    for name, rows in in_a_row.items():
        assert at_once[name] == rows, name
    empty(superuser, source, stream_name)


def land_all(
    superuser: str, bench: Bench, stream: Any, windows: Iterable[Window]
) -> None:
    """Land windows one after the other by a connector and a session of their own."""
    connector = bench.connector()
    with psycopg.connect(make_conninfo(superuser, user="loader"), autocommit=True) as c:
        for window in windows:
            landing.land(
                c,
                account=bench.account,
                source=bench.source,
                stream=stream,
                window=window,
                batches=connector.pages(stream, window, None),
                control_total=lambda w=window: connector.control_total(stream, w),
            )


def everything(superuser: str, source: str, stream: str) -> dict[str, list[str]]:
    """What is there, as sorted texts."""
    raw = landing.raw_table(source, stream)
    with psycopg.connect(superuser) as root:
        return {
            name: sorted(
                str(row) for row in root.execute(sql.SQL(query).format(raw=raw))
            )
            for name, query in WRITTEN.items()
        }


def empty(superuser: str, source: str, stream: str) -> None:
    """As before the first load."""
    raw = landing.raw_table(source, stream)
    with psycopg.connect(superuser) as root:
        root.execute(sql.SQL("truncate {raw}, " + LANDED + " cascade").format(raw=raw))
