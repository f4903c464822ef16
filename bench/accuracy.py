"""How far each attribution model is from what the channels really brought.

Two simulated companies, one whose ads meet people who would have bought anyway
(confounding) and one whose ads meet anybody, go through the line up to the credits.
For each firm: the sum over channels of |credited share of sales - true share|, from 0
(right) to 2; `true` is what would be lost without the channel (simulator/causes.py).
A sale that is (not attributed) is an error of every model: most of kazan's are, sold at
the counter to people who did not say whence they came.

Kept in identity.measured_accuracy of each warehouse measured, and with --keep in the
one that the settings name, or else the demo's; its mart `accuracy` shows it from the
next build on.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console
from rich.table import Table

from connectors.base.settings import dsn
from demo.postgres import Cluster, free_port
from demo.settings import STATE, DemoSettings
from pipeline import dbt_station, runs, windows
from pipeline.setup import LOGIN_ROLES, setup
from simulator import connections, truth
from simulator.face import DEMO_TOKEN
from simulator.server import start
from simulator.world import build_world

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simulator.world import World

ROOT = Path(__file__).resolve().parents[1]
END = date(2026, 6, 1)
STEPS = runs.STEPS[: runs.STEPS.index("build_credits") + 1]
# a firm of the group, and the account of its CRM; the chains of the Markov model are
# fitted on the whole group, so it is judged there alone
FIRMS = {"msk": "main", "spb": "spb", "kazan": "kazan"}
GROUP = "group"

Shares = dict[str, float]  # by channel; they add up to 1


def main(arguments: list[str]) -> None:
    """Run both companies and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench accuracy", description=__doc__
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument(
        "--keep", action="store_true", help="also in the warehouse of the settings"
    )
    chosen = parser.parse_args(arguments)
    kept_in = kept_by() if chosen.keep else ""
    console = Console(width=130)
    home = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    cluster = Cluster(home / "postgres", free_port(), secrets.token_hex(8))
    rows: list[tuple[str, str, float, str]] = []
    try:
        cluster.start(fsync="off", shared_buffers="1GB", max_wal_size="8GB")
        for confounding in (True, False):
            world = build_world(
                chosen.seed, END, chosen.days, chosen.size, confounding=confounding
            )
            address = cluster.dsn("with" if confounding else "without")
            setup(address, dict.fromkeys(LOGIN_ROLES, cluster.password))
            with settings(address, home / f"dbt-{confounding}"):
                run_line(world, chosen.days, STEPS)
            named = "with" if confounding else "without"
            found = judge(address, world, f"{named} confounding")
            keep(address, found)
            rows += found
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)
    console.print(as_table(rows))
    if kept_in:
        keep(kept_in, rows)


def kept_by() -> str:
    """The warehouse that --keep means. Raises ConfigError, before any work, without one."""
    if "THROUGHLINE_TRANSFORMER_PASSWORD" not in os.environ and STATE.exists():
        os.environ |= DemoSettings.load().warehouse()
    return dsn("transformer")


@contextmanager
def settings(address: str, scratch: Path) -> Iterator[None]:
    """The environment of a deployment whose warehouse is at `address`, while inside."""
    before, place = dict(os.environ), dbt_station.scratch
    parts = conninfo_to_dict(address)
    os.environ |= {
        "THROUGHLINE_HOME": str(ROOT),
        "THROUGHLINE_DEMO": "1",
        "THROUGHLINE_TOKEN_KEY": "1:" + "5a" * 32,
        "THROUGHLINE_SOURCES": str(connections.SOURCES),
        "THROUGHLINE_WAREHOUSE_HOST": str(parts["host"]),
        "THROUGHLINE_WAREHOUSE_PORT": str(parts["port"]),
        "THROUGHLINE_WAREHOUSE_DB": str(parts["dbname"]),
        **{
            f"THROUGHLINE_{role.upper()}_PASSWORD": str(parts["password"])
            for role in LOGIN_ROLES
        },
    }
    dbt_station.scratch = lambda: scratch
    try:
        yield
    finally:
        dbt_station.scratch = place
        os.environ.clear()
        os.environ.update(before)


def run_line(world: World, days: int, steps: Iterable[str]) -> None:
    """The last `days` of a company, from its APIs through these steps of the line."""
    with start(world) as server:
        os.environ.update(connections.connections(server.base_url, DEMO_TOKEN))
        clock = windows.utc_now
        windows.utc_now = lambda: server.options.now
        try:
            first = END - timedelta(days=days)
            given = {"date_from": str(first), "date_to": str(END)}
            runs.plan("accuracy", given, None, None, manual=True)
            for step in steps:
                runs.run_step(step, "accuracy")
        finally:
            windows.utc_now = clock


def credited(address: str, account: str | None) -> tuple[dict[str, Shares], int]:
    """Each model's shares of a CRM account's sales by channel, and the sales.

    Without an account of all, and of the Markov model, too.
    """
    with psycopg.connect(address) as connection:
        rows = connection.execute(
            """
            with sales as (
                select
                    credits.*,
                    conversions.attributed_date,
                    conversions.credited_as,
                    coalesce(touchpoints.channel, '(not attributed)') as channel
                from attribution.int_attribution_credits as credits
                join attribution.int_conversions as conversions using (conversion_id)
                left join touchpoints.int_touchpoints as touchpoints
                    using (touchpoint_id)
                where coalesce(conversions.account_id = %(account)s, true)
                    and conversions.conversion_kind in ('sale', 'repeat_sale')
            ),
            -- the Markov model itself shares out totals, not single sales
            markov as (
                select weights.key as channel, sum(
                    weights.value::float8 / (
                        select sum(value::float8) from jsonb_each_text(fitted.weights)
                    )
                ) as credit
                from (
                    select distinct conversion_id, credited_as, attributed_date
                    from sales where touches_count > 0
                ) as touched
                join attribution.int_fitted_weights as fitted
                    on fitted.conversion_kind = touched.credited_as
                    and fitted.conversion_month
                        = date_trunc('month', touched.attributed_date)
                cross join jsonb_each_text(fitted.weights) as weights
                group by 1
            )
            select models.key, channel, sum(models.value::float8)
            from sales
            cross join jsonb_each_text(to_jsonb(sales)) as models
            where models.key in (
                select attname from pg_attribute
                where attrelid = 'attribution.int_attribution_credits'::regclass
                    and attnum > 0 and atttypid = 'numeric'::regtype
            )
            group by 1, 2
            union all
            select 'markov', channel, credit from markov
            union all
            select 'markov', channel, count(*) from sales
            where touches_count = 0 group by 2
            """,
            {"account": account},
        ).fetchall()
        (sales,) = connection.execute(
            "select count(*) from attribution.int_conversions "
            "where coalesce(account_id = %s, true) and conversion_kind in ('sale', 'repeat_sale')",
            (account,),
        ).fetchone() or (0,)
    sums: dict[str, Shares] = {}
    for model, channel, credit in rows:
        if account and model == "markov":
            continue
        sums.setdefault(model, {})[channel] = float(credit)
    return {model: shares_of(each) for model, each in sums.items()}, sales


def shares_of(sums: Shares) -> Shares:
    """The same over their sum."""
    total = sum(sums.values())
    return {channel: value / total for channel, value in sums.items()}


def error(shares: Shares, true: Shares) -> float:
    """The sum of the differences' sizes over all channels of either side."""
    return sum(
        abs(shares.get(channel, 0.0) - true.get(channel, 0.0))
        for channel in shares.keys() | true.keys()
    )


def judge(
    address: str, world: World, subject: str
) -> list[tuple[str, str, float, str]]:
    """Subject, metric, figure and details of each firm and model, the best first."""
    found = []
    effects_of = {firm: truth.channel_effects(world.branch(firm)) for firm in FIRMS}
    effects_of[GROUP] = [each for found in effects_of.values() for each in found]
    for firm, effects in effects_of.items():
        sums: Shares = {}
        for each in effects:
            sums[each.channel] = sums.get(each.channel, 0.0) + max(each.sales, 0.0)
        true = shares_of(sums)
        models, sales = credited(address, FIRMS.get(firm))
        for model, shares in models.items():
            details = {
                "sales": sales,
                "true sales by channel": round(sum(each.sales for each in effects), 1),
                "channels": {
                    channel: [
                        round(shares.get(channel, 0), 4),
                        round(true.get(channel, 0), 4),
                    ]
                    for channel in sorted(shares.keys() | true.keys())
                },
            }
            found.append(
                (
                    f"attribution {subject}", f"error_of_{model}_{firm}",
                    error(shares, true), json.dumps(details, ensure_ascii=False),
                )
            )  # fmt: skip
    return sorted(found, key=lambda row: row[2])


def keep(address: str, rows: list[tuple[str, str, float, str]]) -> None:
    """Replace what was measured before in the warehouse at `address`."""
    with psycopg.connect(address) as connection:
        connection.execute(
            "delete from identity.measured_accuracy where subject like 'attribution %'"
        )
        connection.cursor().executemany(
            "insert into identity.measured_accuracy (subject, metric, value, details) "
            "values (%s, %s, %s, %s)",
            rows,
        )


def as_table(rows: list[tuple[str, str, float, str]]) -> Table:
    """A line per model, the best of the confounded group first; a column per company."""
    sales: dict[tuple[str, str], int] = {}
    errors: dict[str, dict[tuple[str, str], float]] = {}
    for subject, metric, value, details in rows:
        model, _, firm = metric.removeprefix("error_of_").rpartition("_")
        column = (
            firm,
            subject.removeprefix("attribution ").removesuffix(" confounding"),
        )
        sales[column] = json.loads(details)["sales"]
        errors.setdefault(model, {})[column] = value
    columns = [
        (firm, named) for firm in (*FIRMS, GROUP) for named in ("with", "without")
    ]
    table = Table(
        title="credited against true share of sales, total absolute error\n"
        "(each firm in the company with and without confounding)"
    )
    table.add_column("model", no_wrap=True)
    for firm, named in columns:
        header = f"{firm}\n{named}\n{sales[firm, named]} sales"
        table.add_column(header, justify="right", no_wrap=True)
    for model in sorted(errors, key=lambda model: errors[model][columns[-2]]):
        found = errors[model]
        table.add_row(
            model, *(f"{found[each]:.3f}" if each in found else "-" for each in columns)
        )
    return table
