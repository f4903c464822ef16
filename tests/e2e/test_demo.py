"""The whole line through real Airflow, compared with what really happened."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base.pseudonymise import Tokeniser
from connectors.base.sources import load_sources
from demo import airflow, processes, superset
from simulator import truth
from simulator.connections import SOURCES
from simulator.world import build_world
from tests.e2e.leaks import files_with, secrets_in, spellings, tables_with

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulator.world import World
    from tests.e2e.conftest import Demo

pytestmark = pytest.mark.e2e
needs_browser = pytest.mark.skipif(
    shutil.which("chromium") is None,
    reason="there is no chromium here: apt-get install chromium",
)

# the warehouse's kinds of identifiers, in the simulator's words
KINDS = {
    "ym_client_id": "client_id", "ga_client_id": "client_id", "phone": "phone",
    "email": "email", "crm_contact": "contact", "crm_lead": "lead", "crm_deal": "deal",
    "visitor": "visitor_id", "sale": "offline_sale",
}  # fmt: skip
MONEY = {"cost_amount", "revenue_gross", "refunds_amount", "revenue"}
# one firm's money has VAT in it: each line is rounded when it is taken out
ROUNDED = Decimal("1.00")
# kopecks and counts that the warehouse holds of each source
BY_SOURCE = """
    select platform, 'spend', round(100 * sum(
        case when platform in ('files', 'google_sheets')
            then spend_amount_with_vat else spend_amount end
    ))::bigint
    from touchpoints.int_ad_spend_unioned group by platform
    union all
    select platform, 'clicks', sum(clicks)::bigint
    from touchpoints.int_ad_spend_unioned
    where platform not in ('files', 'google_sheets') group by platform
    union all
    select source, 'visits', count(*) from touchpoints.int_visits_unioned group by 1
    union all
    select 'ga4', 'visits', sum(sessions)::bigint from staging.stg_ga4__traffic
    union all
    select source, 'calls', count(*) from touchpoints.int_calls_unioned group by 1
    union all
    select source, 'messages', count(*) from touchpoints.int_messages_unioned group by 1
    union all
    select source, 'leads', count(*) from touchpoints.int_leads_unioned group by 1
    union all
    select source, 'deals', count(*) from touchpoints.int_deals_unioned group by 1
    union all
    select 'files', 'payments', round(100 * sum(amount))::bigint
    from staging.stg_files__payments
    union all
    select 'bitrix24', 'payments', round(100 * sum(amount))::bigint
    from staging.stg_bitrix24__payments
    union all
    select 'files', 'offline_sales', round(100 * sum(amount))::bigint
    from staging.stg_files__offline_sales
"""
ONE_VIEW = "attribution_model = 'last_non_direct' and date_basis = 'by_payment'"


def fingerprints(demo: Demo) -> dict[str, str]:
    """A hash of every published mart's rows, whatever their order."""
    found = {}
    with demo.connect("bi") as connection:
        names = connection.execute(
            "select table_name from information_schema.views"
            " where table_schema = 'marts' order by 1"
        ).fetchall()
        for (name,) in names:
            if name in ("data_freshness", "build_info"):
                continue  # they tell when, so they change with every run
            row = connection.execute(
                f"select md5(string_agg(md5(m::text), '' order by md5(m::text)))"
                f" from marts.{name} as m"
            ).fetchone()
            assert row is not None
            found[name] = row[0]
    return found


def run_ids(client: airflow.Client) -> list[str]:
    runs = client.call("GET", "dags/marketing/dagRuns?order_by=-run_after")["dag_runs"]
    return [run["dag_run_id"] for run in runs]


@pytest.fixture(scope="module")
def client(demo: Demo) -> airflow.Client:
    found = airflow.Client(demo.settings)
    found.wait_until_healthy()
    return found


@pytest.fixture(scope="module")
def world(demo: Demo) -> World:
    """The company that the demo's simulator serves, made again from its seed."""
    end_date = date.fromisoformat((demo.home / "end_date").read_text().strip())
    settings = demo.settings
    return build_world(
        seed=settings.seed, end_date=end_date, days=settings.days,
        size=float(settings.size),
    )  # fmt: skip


def test_the_printed_table_ends_with_addresses(demo: Demo) -> None:
    assert f"{demo.settings.url('airflow')}/dags/marketing" in demo.output
    assert (
        f"{demo.settings.url('superset')}/superset/dashboard/overview/" in demo.output
    )
    for word in ("CPL", "CAC", "ROMI", "ДРР"):
        assert word in demo.output


def test_marts_agree_with_the_truth(
    demo: Demo, world: World, record_property: Callable[[str, object], None]
) -> None:
    """Spend to the kopeck, sales and revenue exactly, down to channel totals."""
    wanted = truth.group_totals(world)
    columns = ("cost_amount", "sales_gross", "revenue_gross", "refunds_amount",
               "revenue", "leads_raw", "deals", "visits", "calls")  # fmt: skip
    sums = ", ".join(f"sum({column})" for column in columns)
    with demo.connect("bi") as connection:
        row = connection.execute(
            f"select {sums} from marts.performance_daily where {ONE_VIEW}"
        ).fetchone()
    assert row is not None
    found = dict(zip(columns, row, strict=True))
    for name, value in found.items():
        record_property(name, f"{value:,.2f}")
    assert {name: found[name] for name in found if name not in MONEY} == {
        "sales_gross": wanted.sales,
        "leads_raw": wanted.leads_raw,
        "deals": wanted.deals,
        "visits": wanted.visits,
        "calls": wanted.calls,
    }
    for name, kopecks in {
        "cost_amount": wanted.cost_kopecks,
        "revenue_gross": wanted.revenue_gross_kopecks,
        "refunds_amount": wanted.refunds_kopecks,
        "revenue": wanted.revenue_kopecks,
    }.items():
        assert abs(found[name] - Decimal(kopecks) / 100) <= ROUNDED, name


def test_each_source_agrees_with_the_truth(demo: Demo, world: World) -> None:
    """What each of the twelve sources tells is what happened, to the kopeck."""
    wanted = truth.totals_by_source(world)
    assert set(wanted) == {each.source for each in load_sources(SOURCES).sources}
    found: dict[str, dict[str, int]] = {source: {} for source in wanted}
    with demo.connect("transformer") as connection:
        for source, what, value in connection.execute(BY_SOURCE).fetchall():
            found[source][what] = value
    for source, figures in wanted.items():
        for what, value in figures.items():
            if what in found[source]:
                assert found[source][what] == value, (source, what)
        assert found[source], source


def test_the_printed_total_is_the_truth(demo: Demo, world: World) -> None:
    total = json.loads(demo.call("summary", "--json", module="pipeline"))["total"]
    wanted = truth.group_totals(world)
    for name, kopecks in (
        ("cost", wanted.cost_kopecks), ("revenue", wanted.revenue_kopecks)
    ):  # fmt: skip
        assert abs(Decimal(str(total[name])) - Decimal(kopecks) / 100) <= ROUNDED


def test_every_model_and_basis_gives_the_same_totals(demo: Demo) -> None:
    with demo.connect("bi") as connection:
        rows = connection.execute(
            "select attribution_model, date_basis, sum(cost_amount), sum(revenue),"
            " sum(sales) from marts.performance_daily group by 1, 2"
        ).fetchall()
    assert len(rows) == 11 * 3
    assert len({row[2:] for row in rows}) == 1


def in_the_simulators_words(kind: str, identifier: str) -> str:
    """`bitrix24:main:17` is `msk:17` there; a tracker's visitor is the bare number."""
    if kind not in ("crm_contact", "crm_lead", "crm_deal", "sale", "visitor"):
        return identifier
    _, account, number = identifier.split(":", 2)
    if kind == "visitor":
        return number
    return f"{'msk' if account == 'main' else account}:{number}"


def test_persons_agree_with_the_truth(
    demo: Demo, world: World, record_property: Callable[[str, object], None]
) -> None:
    tokeniser = Tokeniser("1", bytes.fromhex(demo.settings.secret["token_key"]))
    with demo.connect("transformer") as connection:
        rows = connection.execute(
            "select kind, identifier, person_id from identity.int_person_identifiers"
            " where not is_shared"
        ).fetchall()
    assignment = {
        (kind, in_the_simulators_words(kind, identifier)): person
        for kind, identifier, person in rows
    }
    found = truth.group_accuracy(world, assignment, tokeniser.token, KINDS)
    record_property("persons: precision", f"{found.precision:.4f}")
    record_property("persons: recall", f"{found.recall:.4f}")
    record_property("  of what evidence links", f"{found.recall_linkable:.4f}")
    assert found.identifiers > 1_000
    assert found.precision >= 0.97
    assert found.recall_linkable >= 0.97


def test_a_dbt_task_names_its_models_with_rows_and_seconds(
    client: airflow.Client,
) -> None:
    run_id = run_ids(client)[0]
    tasks = {task["task_id"]: task for task in client.tasks("marketing", run_id)}
    assert {task["state"] for task in tasks.values()} == {"success"}
    log = client.log("marketing", run_id, tasks["build_marts"], lines=400)
    for model in ("fct_ad_cost_daily", "fct_result_daily", "deal_journal"):
        assert re.search(rf"{model}\s.*\b(success|pass)\b", log), log
        assert re.search(rf"{model}\s.*\d+(\.\d+)?\s*s\b", log), log


def hidden(demo: Demo) -> list[bytes]:
    """What nobody may read anywhere: of the vendors' accounts, and of our servers."""
    token = demo.settings.secret["api_token"]
    of_accounts = secrets_in(demo.settings.environment())
    assert {token, f"{token}-client_secret", f"{token}-developer_token"} <= of_accounts
    return spellings(of_accounts | {*demo.settings.secret.values()})


def test_no_secret_and_no_phone_in_any_log(demo: Demo) -> None:
    logs = demo.home / "airflow/logs"
    assert files_with(logs, [b"every_stream_arrived"])  # it does look
    assert files_with(logs, hidden(demo)) == []
    phone = re.compile(r"\+?7[\s(-]*9\d{2}[\s)-]*\d{3}[\s-]*\d{2}[\s-]*\d{2}")
    for path in logs.rglob("*.log"):
        if path.is_file():
            assert not phone.search(path.read_text(errors="replace")), path


def test_no_secret_in_airflows_database_or_the_warehouse(demo: Demo) -> None:
    """Neither in XCom, rendered fields, events and confs, nor in any table of ours."""
    with demo.superuser("airflow") as connection:
        holding = tables_with(connection, [b"bitrix24/main"], ["public"])
        assert {"xcom", "rendered_task_instance_fields"} <= holding  # it does look
        assert tables_with(connection, hidden(demo), ["public"]) == set()
    with demo.superuser("warehouse") as connection:
        schemas = ["raw", "pii", "ops"]
        holding = tables_with(connection, [b"main", b"spb"], schemas)
        assert {"bitrix24__deals", "oauth_tokens", "loads", "sealed"} <= holding
        assert tables_with(connection, hidden(demo), schemas) == set()


def test_the_same_days_again_change_no_row(demo: Demo) -> None:
    before = fingerprints(demo)
    assert {"performance_daily", "deal_journal", "funnel"} <= set(before)
    again = demo.call("up")
    assert "marketing runs over" in again
    assert fingerprints(demo) == before


@needs_browser
@pytest.mark.browser
def test_superset_shows_the_printed_totals(demo: Demo, project: Path) -> None:
    out = demo.home / "overview.png"
    seen = look(
        project, "superset", demo.settings.url("superset"), superset.USER,
        demo.settings.secret["superset_admin"], out,
    )  # fmt: skip
    assert not seen["errors"]
    assert len(seen["data"]) >= 17
    assert all(answer["status"] == 200 for answer in seen["data"])
    assert all(answer["rows"] > 0 for answer in seen["data"]), seen["data"]
    totals = json.loads(demo.call("summary", "--json", module="pipeline"))["total"]
    # a big number's card reads: title, number of filters, the number itself
    shown = {
        title: digits(text.splitlines()[-1]) for title, text in seen["charts"].items()
    }
    assert shown["Расход"] == str(round(Decimal(str(totals["cost"]))))
    assert shown["Выручка"] == str(round(Decimal(str(totals["revenue"]))))
    assert shown["Лиды"] == str(round(Decimal(str(totals["leads"]))))
    assert shown["Продажи"] == str(round(Decimal(str(totals["sales"]))))


@needs_browser
@pytest.mark.browser
def test_the_run_is_green_in_the_airflow_ui(
    demo: Demo, client: airflow.Client, project: Path
) -> None:
    url = f"{demo.settings.url('airflow')}/dags/marketing/runs/{run_ids(client)[0]}"
    seen = look(
        project, "airflow", url, airflow.USER,
        demo.settings.secret["airflow_admin"], demo.home / "airflow.png",
    )  # fmt: skip
    assert "marketing" in seen["text"]
    assert "Success" in seen["text"]
    assert "Failed" not in seen["text"]


def digits(text: str) -> str:
    """The digits of a shown number: '1 234 567 ₽' → '1234567'."""
    return re.sub(r"\D", "", text)


def look(
    project: Path, what: str, url: str, user: str, password: str, out: Path
) -> dict[str, Any]:
    """What a real browser sees (tests/e2e/browser.py)."""
    python = project / ".venv-dev/bin/python"
    done = subprocess.run(
        [str(python), str(project / "tests/e2e/browser.py"), what, url, user, password,
         str(out)],
        check=False, text=True, capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_down_stops_everything_that_was_started(demo: Demo) -> None:
    names = processes.names()
    assert len(names) == 6  # the simulator, four of Airflow, Superset
    demo.call("down")
    assert not any(processes.is_running(name) for name in names)
    assert processes.names() == []
