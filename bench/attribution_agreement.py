"""Whether our credits are those of the packages people use, where the definitions agree.

Made-up paths are laid into an embedded Postgres as touches and conversions, the models
of dbt_project credit them, and each channel's total is put beside that of
ChannelAttribution and DP6's marketing-attribution-models (of today, and the last version
before it was written anew), which get the paths themselves. Ends with 1 where something
differs that should not. The peers' environments are made when they are not there.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from rich.console import Console
from rich.table import Table

from bench.attribution import (
    CHANNEL_ATTRIBUTION,
    DP6,
    PEER_PACKAGES,
    PEERS,
    SETTINGS,
    UPSTREAM,
    Line,
    asked,
    made_paths,
)
from demo.postgres import Cluster, free_port
from pipeline.attribution.fit import fit_models
from pipeline.setup import LOGIN_ROLES, setup

Credit = dict[str, dict[str, float]]  # of each model, by channel

DP6_1 = "DP6 1.0.10"
PEERS_1 = PEERS.with_name(f"{PEERS.name}-dp6-1")
# it does not import with what came after these
PEER_PACKAGES_1 = (
    "marketing-attribution-models==1.0.10", "matplotlib==3.7.5", "numpy<2",
    "pandas<2.2",
)  # fmt: skip
PATHS = [
    *UPSTREAM, "int_persons_to_credit", "int_touchpoints_before_conversion",
    "int_channel_transitions",
]  # fmt: skip
CREDITS = ["int_fitted_weights", "int_attribution_credits"]
SPLIT = ("first_touch", "last_touch", "linear", "position_based", "markov_split")
# of all conversions; a credit of ours has nine decimals
TOLERANCE = 1e-6
# where a peer means something else by the name, or has nothing of the name
OTHERWISE = {
    ("position_based", CHANNEL_ATTRIBUTION): "has none",
    ("markov", CHANNEL_ATTRIBUTION): "simulates the chain",
    ("markov", DP6): "is our markov_split",
    ("markov_split", CHANNEL_ATTRIBUTION): "has none",
    ("markov_split", DP6_1): "has none",
}
END = date(2026, 5, 31)
SMALL = {"shared_buffers": "256MB", "work_mem": "64MB", "maintenance_work_mem": "64MB"}


def main(arguments: list[str]) -> None:
    """Credit the paths here and there, and print the differences."""
    parser = argparse.ArgumentParser(
        prog="python -m bench attribution_agreement", description=__doc__
    )
    parser.add_argument("--paths", type=int, default=20_000)
    parser.add_argument("--untouched", type=int, default=200, help="more conversions")
    chosen = parser.parse_args(arguments)
    paths = made_paths(chosen.paths)
    mine = ours(paths, chosen.untouched)
    theirs = asked("credit", paths, PEERS, PEER_PACKAGES)
    theirs |= asked("credit of DP6 1", paths, PEERS_1, PEER_PACKAGES_1)
    conversions = sum(converted for _, converted in paths)
    table = Table(
        title=f"{len(paths):,} paths, {conversions:,} converting: the largest difference "
        "of a channel's credit, as a share of all conversions"
    )
    table.add_column("")
    for peer in theirs:
        table.add_column(peer)
    wrong = []
    for model, credit in mine.items():
        cells = []
        for peer, found in theirs.items():
            cell, agrees = judged(model, peer, credit, found.get(model), conversions)
            cells.append(cell)
            if not agrees:
                wrong.append(f"{model} differs from {peer}")
        table.add_row(model, *cells)
    Console(width=150).print(table)
    if wrong:
        raise SystemExit("; ".join(wrong))


def judged(
    model: str,
    peer: str,
    credit: dict[str, float],
    found: dict[str, float] | None,
    conversions: int,
) -> tuple[str, bool]:
    """A cell of the table, and whether it is as it should be."""
    why = OTHERWISE.get((model, peer))
    if found is None:
        return why or "MISSING", why is not None
    gap = max(
        abs(credit.get(channel, 0.0) - found.get(channel, 0.0))
        for channel in credit.keys() | found.keys()
    )
    share = gap / conversions
    if why:
        return f"{share:.1e}: {why}", True
    if share <= TOLERANCE:
        return f"{share:.1e} agrees", True
    return f"{share:.1e} DIFFERS", False


def ours(paths: list[tuple[str, bool]], untouched: int) -> Credit:
    """Credit by model and channel, from the models over a warehouse of the paths."""
    home = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    cluster = Cluster(home / "postgres", free_port(), secrets.token_hex(8))
    try:
        cluster.start(**{**SETTINGS, **SMALL})
        address = cluster.dsn("warehouse")
        setup(address, dict.fromkeys(LOGIN_ROLES, cluster.password))
        with psycopg.connect(address, autocommit=True) as admin:
            line = Line(cluster, admin, home)
            draw(admin, paths, untouched)
            line.lay(
                "select * from touchpoints.drawn", "select * from attribution.drawn"
            )
            admin.execute("vacuum analyze")
            build = line.begin()
            line.build(build, PATHS)
            line.lead_here()
            fit_models("bench")
            line.build(build, CREDITS)
            return credited(admin, untouched)
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)


def draw(admin: Any, paths: list[tuple[str, bool]], untouched: int) -> None:
    """The paths as touches an hour apart, of one person each; what converts does so
    with the last touch. More people convert and were never seen."""
    admin.execute("create table touchpoints.drawn (n bigint, person bigint, "
                  "at timestamptz, channel text)")  # fmt: skip
    admin.execute("create table attribution.drawn (person bigint, at timestamptz)")
    rng = np.random.default_rng(2)
    noon = datetime(END.year, END.month, END.day, 9, tzinfo=UTC)
    touches: list[tuple[int, datetime, str]] = []
    conversions: list[tuple[int, datetime]] = []
    days = rng.integers(0, 28, len(paths) + untouched).tolist()
    for person, (days_ago, (path, converted)) in enumerate(
        zip(days, paths, strict=False)
    ):
        last = noon - timedelta(days=days_ago)
        channels = path.split(" > ")
        touches += [
            (person, last - timedelta(hours=len(channels) - at), channel)
            for at, channel in enumerate(channels, 1)
        ]
        if converted:
            conversions.append((person, last))
    conversions += [
        (person, noon - timedelta(days=days_ago))
        for person, days_ago in enumerate(days[len(paths) :], len(paths))
    ]
    # neither the order of rows nor that of the ids tells the order of the touches
    order = rng.permutation(len(touches)).tolist()
    with admin.cursor() as cursor:
        with cursor.copy("copy touchpoints.drawn from stdin") as copy:
            for number, at in enumerate(order):
                copy.write_row((number, *touches[at]))
        with cursor.copy("copy attribution.drawn from stdin") as copy:
            for row in conversions:
                copy.write_row(row)


def credited(admin: Any, untouched: int) -> Credit:
    """What the tables say: sums of credits, and the fitted shares of the one month."""
    sums = ", ".join(f"sum({model})::float8" for model in SPLIT)
    rows = admin.execute(
        f"""
        select channel, count(distinct conversion_id), {sums}
        from attribution.int_attribution_credits as credits
        left join touchpoints.int_touchpoints using (touchpoint_id)
        group by channel
        """
    ).fetchall()
    unknown = [count for channel, count, *_ in rows if channel is None]
    if unknown != ([untouched] if untouched else []):
        raise SystemExit(f"conversions without a touch: {unknown}, not {untouched}")
    found: Credit = {
        model: {row[0]: row[2 + at] for row in rows if row[0] is not None}
        for at, model in enumerate(SPLIT)
    }
    found["markov"] = dict(
        admin.execute(
            """
            select channel, effect_share * (diagnostics ->> 'conversions')::integer
            from attribution.fitted_versions
            inner join attribution.fitted_weights using (version_id)
            """
        ).fetchall()
    )
    return found
