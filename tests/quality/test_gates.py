"""Each check is seen red once; a gate that cannot judge does not let pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from connectors.base.sources import load_sources
from pipeline import builds, checks
from pipeline.checks import Check, among, between, load_checks, run_checks, zero
from pipeline.errors import PipelineError
from tests.quality.conftest import DAY, DAYS, RUN

if TYPE_CHECKING:
    from collections.abc import Iterator

# What is done to the data so that exactly this check turns red. {day} is the run's
# day; the statements run as a superuser and are rolled back.
RAW_FAULTS = {
    "every_stream_arrived": "update ops.loads set state = 'failed' where stream = 'calls'",
    "no_usual_day_came_back_empty": """
        update ops.load_changes set rows_new = 0 where record_date = '{day}'
        and load_id = (select load_id from ops.loads where stream = 'visits')""",
    "volume_is_like_the_same_weekdays": """
        update ops.load_changes set rows_new = 300 where record_date = '{day}'
        and load_id = (select load_id from ops.loads where stream = 'visits')""",
    "amounts_equal_the_vendors_own_total": """
        update ops.loads set control_total = 100.02
        where stream = 'keyword_performance'""",
    "rows_belong_to_the_days_that_were_asked": """
        insert into ops.load_changes select load_id, date_to, 1, 0, 0, 0
        from ops.loads where stream = 'calls'""",
    "few_rows_disappear": "update ops.loads set rows_gone = 200 where stream = 'leads'",
    "no_record_is_a_dead_letter": "update ops.loads set rows_dead = 1 where stream = 'ads'",
    "no_rows_are_withheld_as_gone": """
        update ops.loads set rows_withheld = 900 where stream = 'calls'""",
    "loads_came_without_warnings": """
        insert into ops.warnings (source, stream, load_id, message)
        select source, stream, load_id, 'a new field' from ops.loads
        where stream = 'calls'""",
    "spend_is_a_number_and_never_negative": """
        update raw.yandex_direct__keyword_performance
        set record = record || '{{"Cost": "-1.00"}}' where record_key = '2'""",
    "clicks_do_not_exceed_impressions": """
        update raw.yandex_direct__keyword_performance
        set record = record || '{{"Clicks": "11"}}' where record_key = '0'""",
    "placements_are_known": """
        update raw.yandex_direct__keyword_performance
        set record = record || '{{"AdNetworkType": "MAPS"}}' where record_key = '0'""",
    "visits_carry_a_client_id": """
        update raw.yandex_metrica__visits
        set record = record || '{{"ym:s:clientID": "0"}}' where record_key = '0'""",
    "calls_last_a_plausible_time": """
        update raw.calltouch__calls set record = '{{"duration": 60000}}'""",
    "deals_stand_on_known_stages": """
        update raw.bitrix24__deals
        set record = record || '{{"STAGE_ID": "C7:NEW"}}' where record_key = '1'""",
}
MARTS_FAULTS = {
    "spend_in_marts_equals_spend_in_raw": """
        update raw.yandex_direct__keyword_performance
        set record = record || '{{"Cost": "70.01"}}' where record_key = '0'""",
    "spend_agrees_with_the_accounts_own_report": """
        update raw.yandex_direct__campaign_performance set record = '{{"Cost": "102"}}'""",
    "deals_in_touchpoints_are_the_deals_of_the_crm": """
        update touchpoints.int_deals set amount_with_vat = 611 where deal_id = '2'""",
    "revenue_is_conserved_by_every_model": """
        update marts_next.fct_result_daily set revenue = 900.01
        where attribution_model = 'linear' and date_basis = 'by_click'""",
    "credit_is_conserved_by_every_model": """
        update marts_next.fct_result_daily set sales_gross = 0.999
        where attribution_model = 'linear' and date_basis = 'by_click'""",
    "money_is_of_one_currency": """
        update touchpoints.int_deals set currency_code = 'EUR' where semantic = 'won'""",
    "performance_shows_the_whole_cost_once": """
        insert into marts_next.performance_daily
        select * from marts_next.performance_daily
        where attribution_model = 'linear' and date_basis = 'by_click'""",
    "closed_spend_is_unchanged": """
        insert into shown_cost values ('yandex_direct', 'main', '{day}'::date - 60, 5)""",
    "every_changed_cost_has_a_load_as_its_cause": """
        insert into shown_cost values ('yandex_direct', 'main', '{day}'::date, 99);
        delete from ops.load_changes""",
    "cost_reaches_the_last_day": """
        update marts_next.fct_ad_cost_daily set cost_date = cost_date - 2""",
    "most_sales_are_attributed": """
        update marts_next.fct_result_daily set channel = '(not attributed)'""",
    "most_cost_has_visits": """
        update marts_next.performance_daily set cost_without_visits_amount = 31""",
    "margin_is_below_revenue": "update marts_next.fct_result_daily set margin = 901",
    "no_person_swallows_the_others": """
        insert into identity.person_identifiers_assigned
        select 'p1', 'phone', n::text, null from generate_series(101, 131) as n""",
}
# Faults that must turn another check red too: a cost that moved is not in raw.
COMPANIONS = {
    "no_usual_day_came_back_empty": {"volume_is_like_the_same_weekdays"},
    "cost_reaches_the_last_day": {"spend_in_marts_equals_spend_in_raw"},
    "closed_spend_is_unchanged": {"every_changed_cost_has_a_load_as_its_cause"},
}


@pytest.fixture
def gate(warehouse: str) -> Iterator[psycopg.Connection]:
    """A superuser's transaction with what the gate prepares; rolled back."""
    with psycopg.connect(warehouse) as connection:
        checks._expected_streams(connection, load_sources().sources, DAYS)
        checks._staged_and_shown(connection, builds.build_of(RUN).build_id)
        yield connection
        connection.rollback()


def judge(connection: psycopg.Connection, listed: list[Check]) -> dict[str, str]:
    build = builds.build_of(RUN)
    parameters = {
        "run_id": RUN,
        "build_id": build.build_id,
        "as_of": build.as_of,
        "date_from": DAYS.date_from,
        "date_to": DAYS.date_to,
    }
    verdicts = run_checks(connection, listed, parameters)
    return {each.check.name: f"{each.status} {each.observed}" for each in verdicts}


def red(verdicts: dict[str, str]) -> set[str]:
    return {name for name, text in verdicts.items() if not text.startswith("passed")}


@pytest.mark.parametrize(
    ("listed", "faults"), [("raw", RAW_FAULTS), ("marts", MARTS_FAULTS)]
)
def test_no_check_is_without_a_fault_that_it_has_found(
    listed: Any, faults: dict[str, str]
) -> None:
    assert {check.name for check in load_checks(listed)} == set(faults)


@pytest.mark.parametrize("listed", ["raw", "marts"])
def test_good_data_is_green(listed: Any, gate: psycopg.Connection) -> None:
    verdicts = judge(gate, load_checks(listed))
    assert red(verdicts) == set(), verdicts


@pytest.mark.parametrize(
    ("listed", "name"),
    [("raw", name) for name in RAW_FAULTS] + [("marts", name) for name in MARTS_FAULTS],
)
def test_each_check_finds_its_fault_and_no_other_does(
    listed: Any, name: str, gate: psycopg.Connection
) -> None:
    fault = (RAW_FAULTS if listed == "raw" else MARTS_FAULTS)[name]
    gate.execute(fault.format(day=DAY).encode())
    verdicts = judge(gate, load_checks(listed))
    assert verdicts[name].startswith("failed"), verdicts[name]
    assert red(verdicts) == {name} | COMPANIONS.get(name, set()), verdicts


def test_the_gates_run_as_the_transformer_and_keep_what_they_saw(
    warehouse: str,
) -> None:
    assert {each.status for each in checks.check_raw(RUN, DAYS)} == {"passed"}
    assert {each.status for each in checks.check_marts(RUN, DAYS)} == {"passed"}
    with psycopg.connect(warehouse) as connection:
        kept = connection.execute(
            "select gate, count(*), bool_and(length(why) > 20) from ops.check_results "
            "where run_id = %s group by gate order by gate",
            (RUN,),
        ).fetchall()
    assert kept == [("marts", len(MARTS_FAULTS), True), ("raw", len(RAW_FAULTS), True)]


def check(
    query: str, expectation: Any = zero, severity: Any = "warning", **more: Any
) -> Check:
    return Check("probe", severity, "because it is a test", expectation, query, **more)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("select 'a' as subject, 1 / 0 as value", "division by zero"),
        ("select * from nowhere", "does not exist"),
        ("select 'a' as subject, null::int as value", "there is no value for a"),
        ("select 'a' as subject, 1 as value where false", "it looked at nothing"),
        ("select 'a' as subject, 1 as amount", "value"),
    ],
)
def test_a_check_that_cannot_judge_is_critical(
    query: str, text: str, gate: psycopg.Connection
) -> None:
    (verdict,) = run_checks(gate, [check(query)], {})
    assert verdict.status == "crashed"
    assert verdict.stops
    assert text in verdict.observed


def test_a_crash_of_one_check_leaves_the_others_their_say(
    gate: psycopg.Connection,
) -> None:
    broken = check("select 1 / 0")
    fine = Check("fine", "warning", "why", zero, "select 'a' as subject, 0 as value")
    verdicts = run_checks(gate, [broken, fine], {})
    assert [each.status for each in verdicts] == ["crashed", "passed"]


def test_a_warning_stops_nothing_and_a_critical_failure_does(
    gate: psycopg.Connection,
) -> None:
    query = "select 'a' as subject, 3 as value union all select 'b', 0"
    (warned,) = run_checks(gate, [check(query, between(0, 2))], {})
    assert (warned.status, warned.stops) == ("failed", False)
    assert warned.observed == "1 of 2: a = 3"
    (critical,) = run_checks(gate, [check(query, between(0, 2), "critical")], {})
    assert critical.stops
    (named,) = run_checks(
        gate, [check("select 'a' as subject, 'x' as value", among("y"))], {}
    )
    assert named.observed == "1 of 1: a = x"


@pytest.fixture
def one_bad_account(
    warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """A critical check that finds calltouch/main bad."""
    monkeypatch.setattr(
        checks,
        "load_checks",
        lambda gate: [
            check(
                "select 'calltouch' as source, 'main' as account_id, "
                "'calls' as subject, 1 as value",
                severity="critical",
            )
        ],
    )
    with psycopg.connect(warehouse, autocommit=True) as connection:
        yield connection
        connection.execute("truncate ops.held_back, ops.accepts")


def test_a_required_account_stops_the_line_until_a_person_accepts(
    one_bad_account: psycopg.Connection,
) -> None:
    with pytest.raises(PipelineError, match="check_raw stops run r1: probe"):
        checks.check_raw(RUN, DAYS)
    with pytest.raises(PipelineError, match="say why, in ten letters"):
        checks.accept("probe", RUN, "fine", "ann")
    with pytest.raises(PipelineError, match="nothing to accept"):
        checks.accept("other", RUN, "it does not exist at all", "ann")
    checks.accept("probe", RUN, "the vendor confirmed the outage", "ann")
    assert [each.status for each in checks.check_raw(RUN, DAYS)] == ["accepted"]
    accepted = one_bad_account.execute(
        "select accepted_by, reason from ops.accepts where run_id = 'r1'"
    ).fetchall()
    assert accepted == [("ann", "the vendor confirmed the outage")]
    # accepted in this run, not for ever
    builds.begin_run("r2", DAYS)
    with pytest.raises(PipelineError, match="stops run r2"):
        checks.check_raw("r2", DAYS)


def test_an_optional_account_is_held_back_alone(
    one_bad_account: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = load_sources()
    optional = sources.model_copy(
        update={
            "sources": tuple(
                each.model_copy(update={"required": each.source != "calltouch"})
                for each in sources.sources
            )
        }
    )
    monkeypatch.setattr(checks, "load_sources", lambda: optional)
    assert [each.status for each in checks.check_raw("r3", DAYS)] == ["held"]
    build = builds.begin_build("r3")
    held = one_bad_account.execute(
        """
        select source, count(build_loads.load_id) from ops.loads
        left join ops.build_loads
            on build_loads.load_id = loads.load_id and build_id = %s
        group by source having count(build_loads.load_id) = 0
        """,
        (build.build_id,),
    ).fetchall()
    assert held == [("calltouch", 0)]


def test_check_results_hold_no_record(warehouse: str) -> None:
    """Subjects are names, days and counts: a check never shows what people typed."""
    address = make_conninfo(warehouse)
    with psycopg.connect(address) as connection:
        texts = connection.execute("select observed from ops.check_results").fetchall()
    assert texts
    assert not [text for (text,) in texts if "@" in text or "+7" in text]
