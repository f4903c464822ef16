"""The whole line without Airflow, on the small company: two runs, then the same again.

The first run knows the company as it was four days before its end; then costs are
restated, deals close and cards are merged; the second run reads the days that are left.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline import dbt_station, publish, runs
from pipeline.errors import PipelineError
from pipeline.summary import summary
from simulator.world import build_world
from tests.pipeline.conftest import END

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.server import RunningServer

    Connect = Callable[[str], psycopg.Connection]

EARLIER = timedelta(days=4)


def run_line(run_id: str, first: int, last: int, **station: bool) -> publish.Published:
    """All steps for the days END - first … END - last; what the publish did."""
    params = {
        "date_from": str(END - timedelta(days=first)),
        "date_to": str(END - timedelta(days=last)),
    }
    runs.plan(run_id, params, None, None, manual=True)
    for step in runs.STEPS[:-1]:
        if step in dbt_station.STATIONS:
            dbt_station.build_station(step, run_id, **station)
        else:
            runs.run_step(step, run_id)
    done = runs.run_step("publish", run_id)
    assert isinstance(done, publish.Published)
    return done


@dataclass
class Line:
    """What the three runs published, and what bi saw after the first two."""

    first: publish.Published
    second: publish.Published
    full: publish.Published
    after_first: dict[str, Decimal]
    after_second: dict[str, Decimal]


def money(warehouse: str) -> dict[str, Decimal]:
    """Cost by day of the platforms: what people write down they write down late."""
    with psycopg.connect(warehouse) as connection:
        rows = connection.execute(
            "select date::text, sum(cost_amount) from marts.performance_daily "
            "where attribution_model = 'linear' and date_basis = 'by_click' "
            "and platform not in ('files', 'google_sheets') group by 1"
        ).fetchall()
    return {day: amount for day, amount in rows if amount}


@pytest.fixture(scope="module")
def line(warehouse: str, company: RunningServer) -> Line:
    end = company.options.now
    company.set_now(end - EARLIER)
    first = run_line("first", 14, 4)
    after_first = money(warehouse)
    company.set_now(end)
    second = run_line("second", 4, 0)
    after_second = money(warehouse)
    full = run_line("full", 14, 0, full_refresh=True)
    return Line(first, second, full, after_first, after_second)


def test_incremental_and_full_builds_give_equal_rows(line: Line) -> None:
    """The third run reads all days again and stages all of raw: nothing may differ."""
    assert line.second.slices_changed > 0
    # only the small marts that tell of loads may move: reading again is what they show
    changed = {mart for mart, _, changed, _ in line.full.marts if changed}
    assert changed <= {"reconciliation"}, line.full.marts


def test_days_are_added_and_restated_ones_replaced(line: Line) -> None:
    added = line.after_second.keys() - line.after_first.keys()
    assert added == {str(END - timedelta(days=n)) for n in range(1, 5)}
    restated = [
        day
        for day, amount in line.after_first.items()
        if line.after_second[day] != amount
    ]
    assert restated
    slices = {mart: changed for mart, _, changed, _ in line.second.marts}
    assert slices["fct_ad_cost_daily"] >= len(added) + len(restated)


def test_spend_equals_the_company_to_the_kopeck(line: Line) -> None:
    truth: dict[str, int] = {}
    world = build_world(seed=1, end_date=END, size="small")
    for firm in ("msk", "spb"):
        for cost in world.branch(firm).ad_costs_as_of(END):
            day = str(cost.date)
            truth[day] = truth.get(day, 0) + cost.cost_kopecks
    spent = {day: Decimal(kopecks) / 100 for day, kopecks in truth.items() if kopecks}
    assert line.after_second == spent


def test_the_summary_adds_up_and_is_read_as_bi(line: Line, warehouse: str) -> None:
    result = summary()
    assert result.total.cost >= sum(line.after_second.values())
    assert result.total.revenue == sum(each.revenue for each in result.lines)
    assert result.total.sales > 0
    paid = [each for each in result.lines if each.cost]
    assert paid and all(each.cpl is None or each.cpl > 0 for each in paid)
    free = [each for each in result.lines if not each.cost]
    assert free and all(each.cpl is None and each.romi is None for each in free)
    text = json.dumps(result.as_json())
    assert '"last_non_direct"' in text and "E+" not in text


def test_every_dbt_node_is_written_down(line: Line, connect_as: Connect) -> None:
    rows = (
        connect_as("transformer")
        .execute(
            """
        select station, count(*) filter (where resource_type = 'model'),
            bool_and(status in ('success', 'pass', 'warn')), max(seconds) > 0
        from ops.model_runs where run_id = 'second' group by station
        """
        )
        .fetchall()
    )
    assert {row[0] for row in rows} == set(dbt_station.STATIONS)
    assert all(row[1] > 1 and row[2] and row[3] for row in rows)


def test_dbt_parses_the_project_once_for_all_builds(line: Line) -> None:
    """Nothing that changes from build to build is a var: it costs ten seconds each."""
    (log,) = dbt_station.scratch().glob("*/logs/dbt.log")
    told = log.read_text(encoding="utf-8")
    assert told.count("Command `dbt build` succeeded") == 3 * len(dbt_station.STATIONS)
    assert told.count("Unable to do partial parsing") == 1


def test_runs_and_builds_end_published(line: Line, connect_as: Connect) -> None:
    rows = (
        connect_as("transformer")
        .execute("select run_id, state from ops.runs order by started_at")
        .fetchall()
    )
    assert rows == [(name, "published") for name in ("first", "second", "full")]


def test_what_was_shown_can_be_shown_again(
    line: Line, warehouse: str, company: RunningServer
) -> None:
    publish.rollback(line.first.build_id)
    assert money(warehouse) == line.after_first
    # clearing the publish task of a build that is shown no more does not bring it back
    with pytest.raises(PipelineError, match="start a new run"):
        publish.publish("second")


def test_bi_sees_every_mart_and_nothing_behind_them(
    line: Line, connect_as: Connect
) -> None:
    bi = connect_as("bi")
    marts = [
        str(name)
        for (name,) in bi.execute(
            "select relname from pg_class where relnamespace = 'marts'::regnamespace"
        ).fetchall()
    ]
    assert {"performance_daily", "deal_journal", "funnel", "reconciliation"} <= set(
        marts
    )
    for mart in marts:
        bi.execute(f"select * from marts.{mart} limit 1")
    for hidden in ("raw.calltouch__calls", "ops.loads", "marts_store.funnel"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            bi.execute(f"select * from {hidden}")
