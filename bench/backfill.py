"""A year of one account read day by day: in a row, and in any order by four at once.

Both must leave the same rows in raw, down to the hashes, and the same changes by day.
The account is that of a small simulated company; each worker has a connector and a
session of its own.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from rich.console import Console

from bench.connectors import END, account_of, connector, streams, warehouse
from connectors.base.landing import land, raw_table
from connectors.base.stream import Window
from simulator import server
from simulator.face import Options
from simulator.world import build_world

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors.base.sources import Account
    from connectors.base.stream import Stream

DAYS = 365
AT_ONCE = 4
CASES = (("yandex_direct", "campaign_performance"), ("calltouch", "calls"))


def main(arguments: list[str]) -> None:
    """Run the benchmark and print a line for each stream."""
    parser = argparse.ArgumentParser(
        prog="python -m bench backfill", description=__doc__
    )
    parser.add_argument("--size", type=float, default=0.05, help="of the company")
    parser.add_argument("--warehouse", help="as in `python -m bench connectors`")
    chosen = parser.parse_args(arguments)
    os.environ["THROUGHLINE_DEMO"] = "1"
    os.environ.setdefault("THROUGHLINE_TOKEN_KEY", "1:" + secrets.token_hex(32))
    console = Console(width=130)
    world = build_world(seed=11, end_date=END, days=DAYS, size=chosen.size)
    home = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    try:
        with (
            warehouse(home, chosen.warehouse) as address,
            server.start(world, options=Options(world.now)) as running,
        ):
            for source, name in CASES:
                (stream,) = (each for each in streams(source) if each.name == name)
                line = compared(address, f"{running.base_url}/{source}", source, stream)
                console.print(line, highlight=False)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def compared(address: str, base_url: str, source: str, stream: Stream) -> str:
    """Both ways of a stream, into accounts of their own."""
    zone = account_of(source).time_zone
    daily = list(Window(END - timedelta(days=DAYS), END, zone).chunks(1))
    shuffled = random.Random(7).sample(daily, len(daily))  # noqa: S311
    in_a_row = account_of(source).model_copy(update={"account": "in_a_row"})
    at_once = account_of(source).model_copy(update={"account": "at_once"})

    started = time.perf_counter()
    land_all(address, base_url, in_a_row, stream, daily)
    first = time.perf_counter() - started
    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = [shuffled[n::AT_ONCE] for n in range(AT_ONCE)]
        work = [
            pool.submit(land_all, address, base_url, at_once, stream, part)
            for part in parts
        ]
        for each in work:
            each.result()
    second = time.perf_counter() - started

    rows, left = left_of(address, in_a_row, stream)
    _, right = left_of(address, at_once, stream)
    return (
        f"{'reached' if left == right else 'MISSED '}  {source}.{stream.name}: "
        f"{DAYS} days, {rows:,} rows; in a row {first:.1f} s, in any order by "
        f"{AT_ONCE} at once {second:.1f} s; {'equal' if left == right else 'DIFFERENT'}"
    )


def land_all(
    address: str,
    base_url: str,
    account: Account,
    stream: Stream,
    windows: Iterable[Window],
) -> None:
    """Land windows one after the other."""
    reader = connector(account.source, base_url)
    with psycopg.connect(address, autocommit=True) as connection:
        for window in windows:
            land(
                connection,
                account=account,
                source=account.source,
                stream=stream,
                window=window,
                batches=reader.pages(stream, window, None),
            )


def left_of(address: str, account: Account, stream: Stream) -> tuple[int, Any]:
    """(rows, all that was written, less the ids of loads) of an account."""
    table = raw_table(account.source, stream.name)
    with psycopg.connect(address) as connection:
        raw = connection.execute(
            sql.SQL(
                "select record_key, record_date, record_hash, deleted_load_id is null"
                " from {} where account_id = %s order by record_key"
            ).format(table),
            (account.account,),
        ).fetchall()
        changes = connection.execute(
            "select c.record_date, sum(c.rows_new), sum(c.rows_changed),"
            " sum(c.rows_gone), sum(c.amount_delta) from ops.load_changes as c"
            " join ops.loads as l using (load_id)"
            " where (l.source, l.stream, l.account_id) = (%s, %s, %s)"
            " group by c.record_date order by c.record_date",
            (account.source, stream.name, account.account),
        ).fetchall()
    return len(raw), (raw, changes)
