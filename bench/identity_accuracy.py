"""How right the persons are in simulated companies that make it hard.

15 in 100 phones are shared, three in ten people have two devices or more, and one tracked
call in twelve is taken for another visitor's. All pairs among visits, calls, leads and
deals are judged: precision is the share of joined pairs that are one human's, recall the
share that was joined of the pairs which some record ties together at all. Each seed is a company
of its own; the worst of them counts.

With --keep also in identity.measured_accuracy of the warehouse that the settings name, or
else the demo's; its mart `accuracy` shows it from the next build on.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from bench.accuracy import END, kept_by, run_line, settings
from demo.postgres import Cluster, free_port
from pipeline.setup import LOGIN_ROLES, setup
from simulator import truth
from simulator.world import build_world

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from simulator.world import World

STEPS = ("extract", "build_identifiers", "identify")
Item = tuple[str, str]  # kind of record, its id at the vendor
Row = tuple[str, float, str]  # metric, value, what it was counted from in words
KINDS = {"visit": "yandex_metrica", "call": "calltouch", "crm_lead": "bitrix24",
         "crm_deal": "bitrix24"}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Run the companies through the line as far as persons, and print how right."""
    parser = argparse.ArgumentParser(
        prog="python -m bench identity_accuracy", description=__doc__
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--size", type=float, default=0.5)
    parser.add_argument(
        "--keep", action="store_true", help="also in the warehouse of the settings"
    )
    chosen = parser.parse_args(arguments)
    kept_in = kept_by() if chosen.keep else ""
    home = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    cluster = Cluster(home / "postgres", free_port(), secrets.token_hex(8))
    found: dict[int, list[Row]] = {}
    try:
        cluster.start(fsync="off", shared_buffers="512MB", max_wal_size="8GB")
        for seed in chosen.seeds:
            world = build_world(seed, END, chosen.days, chosen.size, scenario="hard")
            address = cluster.dsn(f"hard_{seed}")
            setup(address, dict.fromkeys(LOGIN_ROLES, cluster.password))
            with settings(address, home / f"dbt-{seed}"):
                run_line(world, chosen.days, STEPS)
                found[seed] = judge(address, world)
            for metric, value, details in found[seed]:
                print(f"seed {seed:3} {metric:20} {value:10.4f}   {details}")
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)
    rows = worst(found)
    for metric, value, details in rows:
        print(f"worst    {metric:20} {value:10.4f}   {details}")
    if kept_in:
        keep(kept_in, rows)


def worst(found: Mapping[int, list[Row]]) -> list[Row]:
    """The lowest value of each metric, and the seed it comes from."""
    lowest: dict[str, Row] = {}
    for seed, rows in found.items():
        for metric, value, details in rows:
            if metric not in lowest or value < lowest[metric][1]:
                words = f"{details} (seed {seed}, the worst of {len(found)})"
                lowest[metric] = (metric, value, words)
    return list(lowest.values())


def judge(address: str, world: World) -> list[Row]:
    """(metric, value, in words) of the persons in a warehouse."""
    with psycopg.connect(address) as connection:
        assigned = {
            (kind, identifier.rpartition(":")[2]): person
            for kind, identifier, person in connection.execute(
                "select kind, identifier, person_id "
                "from identity.person_identifiers_assigned where kind = any(%s)",
                (list(KINDS),),
            )
            if identifier.startswith(f"{KINDS[kind]}:")
        }
    view = world.as_of(world.now)
    cells = [
        (owner, tied, assigned[item])
        for item, (owner, tied) in records(view).items()
        if item in assigned
    ]
    joined = pairs(person for _, _, person in cells)
    right = pairs((owner, person) for owner, _, person in cells)
    can = pairs((owner, tied) for owner, tied, _ in cells)
    found = pairs(cells)
    return [
        (
            "precision",
            right / joined,
            f"{right:,} of {joined:,} joined pairs are right",
        ),
        (
            "recall_of_linkable",
            found / can,
            f"{found:,} of {can:,} pairs that a record ties",
        ),
        ("records", float(len(cells)), "visits, calls, leads and deals"),
    ]


def records(view: World) -> dict[Item, tuple[str, Hashable]]:
    """Each visit, call, lead and deal: whose it is, and what ties it to others.

    A visit is tied to its browser, a call to the browser if that is the caller's, else
    to the phone if that is the caller's alone, a lead and a deal to what their records
    show. What nothing ties stands alone.
    """
    groups, owners = truth.linkable(view), truth.owners(view)
    found: dict[Item, tuple[str, Hashable]] = {}
    for visit in view.visits:
        found["visit", str(visit.visit_id)] = (
            visit.person_id, groups["client_id", visit.client_id],
        )  # fmt: skip
    for call in view.calls:
        if call.person_id is None:
            continue
        tied: Hashable = ("call", call.call_id)
        for node in (
            ("client_id", call.client_id or ""),
            *(("phone", phone) for phone in truth.phones_in(call.caller_number)),
        ):
            if owners.get(node) == {call.person_id} and node in groups:
                tied = groups[node]
                break
        found["call", str(call.call_id)] = (call.person_id, tied)
    for lead in view.leads:
        node = ("lead", str(lead.lead_id))
        (owner,) = owners[node]
        found["crm_lead", str(lead.lead_id)] = (owner, groups[node])
    for deal in view.deals:
        node = ("deal", str(deal.deal_id))
        found["crm_deal", str(deal.deal_id)] = (deal.person_id, groups[node])
    return found


def pairs(labels: Iterable[Hashable]) -> int:
    """How many pairs bear one label."""
    return sum(n * (n - 1) // 2 for n in Counter(labels).values())


def keep(address: str, rows: list[Row]) -> None:
    """Replace what was measured before in the warehouse at `address`."""
    with psycopg.connect(address) as connection:
        connection.execute(
            "delete from identity.measured_accuracy where subject = 'identity, hard'"
        )
        values: list[tuple[Any, ...]] = [("identity, hard", *row) for row in rows]
        connection.cursor().executemany(
            "insert into identity.measured_accuracy (subject, metric, value, details) "
            "values (%s, %s, %s, %s)",
            values,
        )
