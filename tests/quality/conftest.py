"""A small warehouse by hand in which every check is green."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from connectors.base import registry
from connectors.base.sources import load_sources
from pipeline import builds
from pipeline.setup import LOGIN_ROLES, setup
from pipeline.windows import Days

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = "r1"
DAY = datetime.now(UTC).date() - timedelta(days=2)
DAYS = Days(DAY, DAY + timedelta(days=1))
HISTORY = 35

RAW = {
    "yandex_direct__keyword_performance": [
        {
            "Cost": "70.00",
            "Clicks": "2",
            "Impressions": "10",
            "AdNetworkType": "SEARCH",
        },
        {"Cost": "30.00", "Clicks": "0", "Impressions": "5", "AdNetworkType": "SEARCH"},
        {
            "Cost": "--",
            "Clicks": "0",
            "Impressions": "5",
            "AdNetworkType": "AD_NETWORK",
        },
    ],
    "yandex_direct__campaign_performance": [{"Cost": "100.00"}],
    "yandex_metrica__visits": [{"ym:s:clientID": "1"}, {"ym:s:clientID": "2"}],
    "calltouch__calls": [{"duration": 60}],
    "bitrix24__statuses": [
        {"ENTITY_ID": "DEAL_STAGE", "STATUS_ID": "NEW"},
        {"ENTITY_ID": "DEAL_STAGE", "STATUS_ID": "WON"},
    ],
    "bitrix24__deals": [
        {"STAGE_ID": "WON", "OPPORTUNITY": "1220.00"},
        {"STAGE_ID": "NEW", "OPPORTUNITY": "610.00"},
    ],
}

# Columns of the models that the checks read, with the rows they would have.
MODELS = """
    create table marts_next.fct_ad_cost_daily (
        cost_date date, platform text, account_id text,
        cost_amount numeric(18, 6), cost_amount_with_vat numeric(18, 6),
        currency_code text default 'RUB'
    );
    create table touchpoints.int_sale_lines (
        account_id text, deal_id text, line_kind text, line_amount numeric(18, 2)
    );
    insert into touchpoints.int_sale_lines values
    ('main', '1', 'sale', 1000), ('main', '1', 'refund', -100);
    create table touchpoints.int_deals (
        account_id text, deal_id text, semantic text, amount numeric(18, 2),
        amount_with_vat numeric(18, 2), refund_amount numeric(18, 2), refund_date date,
        currency_code text default 'RUB', crm text default 'bitrix24'
    );
    create table touchpoints.int_leads (lead_id text);
    create table marts_next.fct_result_daily (
        result_date date, date_basis text, attribution_model text, channel text,
        leads_raw numeric, deals numeric, sales_gross numeric, sales numeric,
        sales_without_margin numeric, revenue numeric, margin numeric
    );
    create table marts_next.performance_daily (
        date date, date_basis text, attribution_model text, platform text,
        account_id text, cost_amount numeric, cost_without_visits_amount numeric,
        clicks bigint default 1
    );
    create table identity.person_identifiers_assigned (
        person_id text, kind text, identifier text, first_seen_at timestamptz
    );
    insert into touchpoints.int_deals values
    ('main', '1', 'won', 1000, 1220, 100, current_date), ('main', '2', 'process', 500, 610, 0, null);
    insert into touchpoints.int_leads values ('1'), ('2');
    insert into identity.person_identifiers_assigned
    select 'p' || n, 'phone', n::text, null from generate_series(1, 100) as n
"""


@pytest.fixture(scope="module")
def warehouse(database: str, project: Path) -> Iterator[str]:
    """A superuser's address of a warehouse in which all checks pass for run r1."""
    parts = conninfo_to_dict(database)
    password = str(parts["password"])
    setup(database, dict.fromkeys(LOGIN_ROLES, password))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THROUGHLINE_WAREHOUSE_HOST", str(parts["host"]))
        patch.setenv("THROUGHLINE_WAREHOUSE_PORT", str(parts["port"]))
        patch.setenv("THROUGHLINE_WAREHOUSE_DB", str(parts["dbname"]))
        patch.setenv(
            "THROUGHLINE_SOURCES", str(project / "tests" / "quality" / "sources.yml")
        )
        for role in LOGIN_ROLES:
            patch.setenv(f"THROUGHLINE_{role.upper()}_PASSWORD", password)
        with psycopg.connect(database, autocommit=True) as connection:
            _land(connection)
            builds.begin_run(RUN, DAYS)
            builds.begin_build(RUN)
            connection.execute("set role transformer")
            connection.execute(MODELS)
            _marts(connection)
        yield database


def _land(connection: psycopg.Connection) -> None:
    """Five weeks of loads in the ledger, and the rows of DAY in raw."""
    connection.execute("set role loader")
    for account in load_sources().sources:
        connection.execute(
            "insert into ops.accounts (source, account_id, time_zone, vat_included) "
            "values (%s, %s, %s, %s)",
            (account.source, account.account, account.time_zone, account.vat_included),
        )
        for stream in registry.connector_class(account.source).streams_of(account):
            is_window = stream.kind == "window"
            first = DAY - timedelta(days=HISTORY)
            name = f"{account.source}__{stream.name}"
            connection.execute(
                "select ops.create_raw_table(%s, %s)", (account.source, stream.name)
            )
            load = connection.execute(
                """
                insert into ops.loads
                (source, stream, account_id, run_id, kind, date_from, date_to, state,
                 started_at, rows_read, rows_new, amount_total, control_total)
                values (%s, %s, 'main', %s, %s, %s, %s, 'ok', now(), 3600, 3600, %s, %s)
                returning load_id
                """,
                (
                    account.source, stream.name, RUN, stream.kind,
                    first if is_window else None,
                    DAYS.date_to if is_window else None,
                    100 if stream.amount_field else None,
                    100 if stream.amount_field else None,
                ),
            ).fetchone()  # fmt: skip
            assert load is not None
            if is_window:
                connection.execute(
                    "insert into ops.load_changes "
                    "select %s, day::date, 100, 0, 0, 0 "
                    "from generate_series(%s::date, %s::date, '1 day') as day",
                    (load[0], first, DAY),
                )
            for number, record in enumerate(RAW.get(name, [])):
                connection.execute(
                    f"insert into raw.{name} (account_id, record_key, record_date, "
                    "record, record_hash, load_id) "
                    "values ('main', %s, %s, %s, gen_random_uuid(), %s)",
                    (str(number), DAY if is_window else None, Jsonb(record), load[0]),
                )
    connection.execute("reset role")


def _marts(connection: psycopg.Connection) -> None:
    connection.execute(
        "insert into marts_next.fct_ad_cost_daily values "
        "(%s, 'yandex_direct', 'main', 100, 122)",
        (DAY,),
    )
    for model in ("last_touch", "linear"):
        for basis in ("by_click", "by_payment"):
            connection.execute(
                "insert into marts_next.fct_result_daily values "
                "(%s, %s, %s, 'seo', 2, 2, 1, 1, 0, 900, 300)",
                (DAY, basis, model),
            )
            connection.execute(
                "insert into marts_next.performance_daily values "
                "(%s, %s, %s, 'yandex_direct', 'main', 100, 10)",
                (DAY, basis, model),
            )
