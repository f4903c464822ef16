"""Credits against a plain reference, and each conservation test seen red.

The parents (touchpoints, leads, deals …) are made here by their own contracts and
filled with a small random company; dbt builds models/attribution and models/marts on
them, as the station build_marts does.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import yaml
from psycopg import sql

from pipeline.setup import LOGIN_ROLES, setup

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = (
    "first_touch",
    "last_touch",
    "last_non_direct",
    "last_paid",
    "source_rank",
    "linear",
    "time_decay",
    "position_based",
    "w_shaped",
    "shapley",
    "markov_split",
)
WINDOW = timedelta(days=90)
MOSCOW = ZoneInfo("Europe/Moscow")
SINGULAR = {
    "attributed_ltv_equals_that_of_new_customers",
    "attributed_results_equal_the_crm",
    "attributed_revenue_equals_crm_revenue",
    "cost_in_marts_equals_staging",
    "credits_sum_to_one",
    "every_deal_stands_in_the_journal",
    "every_visit_and_call_is_in_the_marts",
    "no_negative_credit",
    "nobody_leaves_the_funnel_twice",
    "nothing_is_lost_between_staging_and_marts",
    "performance_daily_has_no_double_count",
    "single_touch_models_give_whole_credits",
    "the_funnel_counts_what_the_marts_count",
}
# ranks of seed source_ranks for what the touches come from
RANKS = {"paid": 100, "direct": 0, "seo": 0}
# the parents that have a contract
PARENTS = {
    "identity": ["int_person_identifiers"],
    "touchpoints": [
        "int_ad_spend_unioned",
        "int_calls",
        "int_deals",
        "int_leads",
        "int_match_steps",
        "int_stage_history",
        "int_touchpoint_persons",
        "int_touchpoints",
        "int_visit_costs",
        "int_visits",
    ],
}
# and those without
OTHERS = """
create table identity.identity_edges (
    left_kind text, left_id text, right_kind text, right_id text, evidence text,
    first_seen_at timestamptz, last_seen_at timestamptz, times_seen bigint,
    source text, contract text, account_id text, record_key text, confidence real,
    via_kind text, via_id text, left_node bigint, right_node bigint,
    why_not_joining text, is_joining boolean
);
create table identity.int_identity_evidence (
    source text, contract text, account_id text, record_key text,
    seen_at timestamptz, left_kind text, left_id text, right_kind text,
    right_id text, evidence text, name_token text, confidence real
);
create table identity.int_call_confidence (
    source text, account_id text, record_key text, pool_size bigint,
    others_open bigint, basis text, confidence real
);
create table identity.int_identifiers (
    node_id bigint, kind text, identifier text, first_seen_at timestamptz,
    last_seen_at timestamptz, times_seen bigint, standing text,
    quarantine_reason text, rule text, contacts_count bigint, names_count bigint,
    client_ids_count bigint, leads_count bigint, phones_count bigint
);
create table touchpoints.int_sale_lines (
    account_id text, deal_id text, sale_id text, line_id text, line_at timestamptz,
    line_date date, sold_at timestamptz, sold_date date, line_amount numeric(18, 2),
    paid_amount numeric(18, 2), line_kind text, is_full_refund boolean
);
create table touchpoints.int_offline_sales (
    account_id text, sale_id text, person_id text, sold_at timestamptz,
    sale_date date, amount numeric(18, 2), margin_amount numeric(18, 2), source text,
    medium text, currency_code text
);
create table identity.person_identifiers_assigned (
    person_id text, kind text, identifier text, first_seen_at timestamptz,
    node_id bigint, person_node bigint
);
create table identity.person_history (
    event_id bigint, person_id text, event text, other_person_id text,
    happened_at timestamptz, person_node bigint, other_node bigint
);
create table staging.stg_raw_daily_totals (
    metric text, source text, stream text, account_id text, record_date date,
    live_rows bigint
);
"""
CAMPAIGN_PERFORMANCE = """
create table staging.stg_{}__campaign_performance (
    account_id text, spend_date date, impressions bigint, clicks bigint,
    spend_amount numeric, vat_included boolean
)
"""


@dataclass
class Company:
    """Rows of the parents; `paths` keeps what the reference needs."""

    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    touches: dict[str, list[tuple[datetime, str, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )


def company(seed: int = 7, persons: int = 150) -> Company:
    """People with 0 to 7 touches (ties, ages past the window), leads, deals, refunds."""
    dice = random.Random(seed)
    made = Company()
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    keywords = [(f"c{n % 3}", f"g{n % 5}", f"k{n}") for n in range(8)]
    for day in range(150):
        for campaign, group, keyword in dice.sample(keywords, 3):
            cost = Decimal(dice.randrange(10_000)) / 100
            made.rows["touchpoints.int_ad_spend_unioned"].append(
                {
                    "ad_spend_id": f"{day}|{keyword}",
                    "spend_date": (begin + timedelta(days=day)).date(),
                    "platform": "yandex_direct",
                    "account_id": "main",
                    "campaign_id": campaign,
                    "campaign_name": f"Campaign {campaign}",
                    "ad_group_id": group,
                    "keyword_id": keyword,
                    "keyword": f"word {keyword}",
                    "keyword_key": keyword,
                    "placement": "search",
                    "impressions": dice.randrange(100),
                    "clicks": dice.randrange(9),
                    "spend_amount": cost,
                    "spend_amount_with_vat": cost * Decimal("1.22"),
                    "currency_code": "RUB",
                    "channel": "yandex_direct_search",
                }
            )
    for number in range(persons):
        _person(made, dice, f"p{number}", begin, keywords)
    for spend in made.rows["touchpoints.int_ad_spend_unioned"]:
        made.rows["staging.stg_yandex_direct__campaign_performance"].append(
            {
                "account_id": "main",
                "spend_date": spend["spend_date"],
                "impressions": spend["impressions"],
                "clicks": spend["clicks"],
                "spend_amount": spend["spend_amount"],
                "vat_included": False,
            }
        )
    return made


def _person(
    made: Company,
    dice: random.Random,
    person: str,
    begin: datetime,
    keywords: list[tuple[str, str, str]],
) -> None:
    for touch in range(dice.randrange(8)):
        # whole half-days, so that touches of one moment are common
        at = begin + timedelta(days=dice.randrange(300) / 2)
        campaign, group, keyword = dice.choice(keywords)
        kind = dice.choice(["paid", "direct", "seo"])
        touchpoint = f"{dice.choice('aBbC')}{dice.randrange(10**6)}-{person}-{touch}"
        made.touches[person].append((at, touchpoint, kind))
        day = at.astimezone(MOSCOW).date()
        row = {
            "touchpoint_id": touchpoint,
            "person_id": person,
            "touch_kind": "visit",
            "contacts_count": 0,
            "touched_at": at,
            "touch_date": day,
            "channel": "yandex_direct_search" if kind == "paid" else kind,
            "is_direct": kind == "direct",
            "is_paid": kind == "paid",
        }
        if kind == "paid":
            row |= {
                "source": "yandex",
                "medium": "cpc",
                "platform": "yandex_direct",
                "account_id": "main",
                "campaign_id": campaign,
                "ad_group_id": group,
                "keyword_key": keyword,
                "placement": "search",
            }
        made.rows["touchpoints.int_touchpoints"].append(row)
        made.rows["touchpoints.int_touchpoint_persons"].append(
            {"touchpoint_id": touchpoint, "person_id": person, "is_shared": False}
        )
        made.rows["touchpoints.int_visits"].append(
            {
                "visit_id": touchpoint,
                "counter_account_id": "main",
                "touchpoint_id": touchpoint,
                "started_at": at,
                "ended_at": at,
                "visit_date": day,
                "channel": row["channel"],
                "is_paid": row["is_paid"],
                "is_direct": row["is_direct"],
            }
        )
    created = begin + timedelta(days=30 + dice.randrange(200) / 2)
    valid = dice.random() < 0.8
    qualified = dice.random() < 0.6
    created_day = created.astimezone(MOSCOW).date()
    made.rows["touchpoints.int_leads"].append(
        {
            "lead_id": person,
            "account_id": "crm",
            "person_id": person,
            "created_at": created,
            "created_date": created_day,
            "status_id": "NEW",
            "canonical_stage": "new",
            "contact_channel": "form",
            "is_spam": not valid,
            "is_test": False,
            "is_duplicate": False,
            "is_valid": valid,
            "is_qualified": qualified,
            "qualified_at": created if qualified else None,
            "qualified_date": created_day if qualified else None,
        }
    )
    if qualified:
        _deal(made, dice, person, created)


def _deal(made: Company, dice: random.Random, person: str, created: datetime) -> None:
    won = dice.random() < 0.7
    closed = created + timedelta(days=dice.randrange(40) / 2)
    amount = Decimal(dice.randrange(1, 10**8)) / 100
    refund = dice.choice([Decimal(0), Decimal(0), amount, amount / 4])
    refund = refund.quantize(Decimal("0.01")) if won else Decimal(0)
    made.rows["touchpoints.int_deals"].append(
        {
            "deal_id": person,
            "account_id": "crm",
            "person_id": person,
            "lead_id": person if dice.random() < 0.8 else None,
            "contacts_count": 1,
            "created_at": created,
            "created_date": created.astimezone(MOSCOW).date(),
            "closed_at": closed if won else None,
            "closed_date": closed.astimezone(MOSCOW).date() if won else None,
            "category_id": "0",
            "stage_id": "WON" if won else "NEW",
            "canonical_stage": "won" if won else "deal",
            "semantic": "won" if won else "process",
            "amount": amount,
            "margin_amount": amount / 2 if dice.random() < 0.9 else None,
            "refund_amount": refund,
            "refund_amount_with_vat": refund,
            "refund_date": (closed + timedelta(days=9)).date() if refund else None,
            "is_deleted": False,
        }
    )
    lines = [("", closed, amount)] if won else []
    if refund:
        lines.append(("refund", closed + timedelta(days=9), -refund))
    for line, at, money in lines:
        made.rows["touchpoints.int_sale_lines"].append(
            {
                "account_id": "crm",
                "deal_id": person,
                "line_id": line,
                "line_at": at,
                "line_date": at.astimezone(MOSCOW).date(),
                "sold_at": closed,
                "sold_date": closed.astimezone(MOSCOW).date(),
                "line_amount": money,
                "paid_amount": amount,
                "line_kind": "refund" if money < 0 else "sale",
                "is_full_refund": money == -amount,
            }
        )


def reference(
    touches: list[tuple[datetime, str, str]],
    moment: datetime,
    lead_at: datetime | None,
    deal_at: datetime | None,
) -> dict[str, dict[str, float]]:
    """Credits per touchpoint and model, straight from docs/metrics.md."""
    path = sorted(
        (at, touchpoint.encode(), kind)
        for at, touchpoint, kind in touches
        if moment - WINDOW < at <= moment
    )
    count = len(path)
    weights: dict[str, list[float]] = {model: [0.0] * count for model in MODELS}
    if not path:
        return {"(not attributed)": dict.fromkeys(MODELS, 1.0)}
    weights["first_touch"][0] = 1
    weights["last_touch"][-1] = 1
    known = [number for number, touch in enumerate(path) if touch[2] != "direct"]
    weights["last_non_direct"][known[-1] if known else -1] = 1
    paid = [number for number, touch in enumerate(path) if touch[2] == "paid"]
    weights["last_paid"][paid[-1] if paid else -1] = 1
    ranks = [RANKS[kind] for _, _, kind in path]
    weights["source_rank"][ranks.index(max(ranks))] = 1
    weights["linear"] = [1 / count] * count
    weights["markov_split"] = [1 / count] * count  # nothing is fitted here
    decay = [0.5 ** ((moment - at) / timedelta(days=7)) for at, _, _ in path]
    weights["time_decay"] = [each / sum(decay) for each in decay]
    if count <= 2:
        weights["position_based"] = [1 / count] * count
    else:
        inner = [0.2 / (count - 2)] * (count - 2)
        weights["position_based"] = [0.4, *inner, 0.4]
    kinds = [kind for _, _, kind in path]
    weights["shapley"] = [1 / len(set(kinds)) / kinds.count(kind) for kind in kinds]
    weights["w_shaped"] = w_shape(path, lead_at, deal_at) or weights["position_based"]
    return {
        touch[1].decode(): {model: weights[model][number] for model in MODELS}
        for number, touch in enumerate(path)
    }


def w_shape(
    path: list[tuple[datetime, bytes, str]],
    lead_at: datetime | None,
    deal_at: datetime | None,
) -> list[float] | None:
    """0.3 to the oldest, to the one before the lead and to the one before the deal."""
    places = [0]
    for milestone in (lead_at, deal_at):
        if milestone is None or path[0][0] > milestone:
            return None
        places.append(max(n for n, touch in enumerate(path) if touch[0] <= milestone))
    weights = [0.3 * places.count(number) for number in range(len(path))]
    others = [number for number, weight in enumerate(weights) if not weight]
    for number in others:
        weights[number] = 0.1 / len(others)
    return [weight / sum(weights) for weight in weights]


@dataclass
class Warehouse:
    """A database with the parents, and dbt on it."""

    dsn: str
    home: Path
    project: Path

    def dbt(self, *arguments: str) -> dict[str, str]:
        """Run dbt; the status of each node by its name."""
        subprocess.run(
            [
                str(Path(sys.executable).parent / "dbt"),
                "--no-use-colors",
                *arguments,
                "--project-dir",
                str(self.project / "dbt_project"),
                "--profiles-dir",
                str(self.home),
                "--target-path",
                str(self.home / "target"),
                "--log-path",
                str(self.home),
            ],
            env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "0"},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        results = json.loads((self.home / "target" / "run_results.json").read_text())
        return {
            each["unique_id"].split(".")[2]: each["status"]
            for each in results["results"]
        }

    def build(self) -> dict[str, str]:
        """What the station does, without unit tests."""
        return self.dbt(
            "build",
            "--select",
            "channel_names",
            "identity_rules",
            "vat_rates",
            "source_ranks",
            "path:models/attribution",
            "path:models/marts",
            "--exclude",
            "resource_type:unit_test",
            "--indirect-selection",
            "buildable",
        )

    def fill(self, made: Company, shuffle: int | None = None) -> None:
        """Load the parents, in the order given or in another."""
        with psycopg.connect(self.dsn) as connection:
            for table, rows in made.rows.items():
                name = sql.Identifier(*table.split("."))
                connection.execute(sql.SQL("truncate {}").format(name))
                listed = list(rows)
                if shuffle is not None:
                    random.Random(shuffle).shuffle(listed)
                for row in listed:
                    connection.execute(
                        sql.SQL("insert into {} ({}) values ({})").format(
                            name,
                            sql.SQL(", ").join(map(sql.Identifier, row)),
                            sql.SQL(", ").join(sql.Placeholder() * len(row)),
                        ),
                        list(row.values()),
                    )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query.encode()).fetchall()


def _create_parents(connection: psycopg.Connection, project: Path) -> None:
    for schema, models in PARENTS.items():
        for model in models:
            file = project / f"dbt_project/models/{schema}/{model}.yml"
            contract = yaml.safe_load(file.read_text())["models"][0]["columns"]
            columns = [
                sql.SQL("{} {}").format(
                    sql.Identifier(each["name"]), sql.SQL(each["data_type"])
                )
                for each in contract
            ]
            connection.execute(
                sql.SQL("create table {} ({})").format(
                    sql.Identifier(schema, model), sql.SQL(", ").join(columns)
                )
            )
    connection.execute(OTHERS)
    settings = yaml.safe_load((project / "dbt_project/dbt_project.yml").read_text())
    for platform in settings["vars"]["ad_platforms"]:
        connection.execute(CAMPAIGN_PERFORMANCE.format(platform).encode())


@pytest.fixture(scope="module")
def warehouse(
    database: str, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """Attribution and marts built on the random company."""
    home = tmp_path_factory.mktemp("dbt")
    given = psycopg.conninfo.conninfo_to_dict(database)
    output = {
        "type": "postgres",
        "host": given["host"],
        "port": int(given["port"]),
        "user": given["user"],
        "password": given["password"],
        "dbname": given["dbname"],
        "schema": "staging",
        "threads": 2,
    }
    profiles = {"throughline": {"target": "test", "outputs": {"test": output}}}
    (home / "profiles.yml").write_text(yaml.safe_dump(profiles))
    setup(database, dict.fromkeys(LOGIN_ROLES, str(given["password"])))
    with psycopg.connect(database, autocommit=True) as connection:
        _create_parents(connection, project)
        connection.execute(
            "insert into ops.builds (run_id, as_of) values ('run', '2026-12-31')"
        )
    built = Warehouse(database, home, project)
    built.fill(company())
    statuses = built.build()
    # an exposure is a node that does nothing
    assert set(statuses.values()) <= {"success", "pass", "no-op"}, statuses
    assert set(statuses) >= SINGULAR
    yield built


def test_unit_tests_of_the_models_pass(warehouse: Warehouse) -> None:
    """They need the tables of their parents, which stand here."""
    warehouse.dbt(
        "test",
        "--select",
        "path:models/attribution,test_type:unit",
        "path:models/marts,test_type:unit",
    )
    results = json.loads((warehouse.home / "target" / "run_results.json").read_text())
    failed = [e["unique_id"] for e in results["results"] if e["status"] != "pass"]
    assert not failed
    assert len(results["results"]) >= 50


CREDITS = f"""
    select credits.conversion_id, touchpoint_id, {", ".join(MODELS)}
    from attribution.int_attribution_credits as credits
    order by conversion_id, touchpoint_id collate "C"
"""


def test_credits_are_those_of_the_reference(warehouse: Warehouse) -> None:
    made = company()
    found: dict[str, dict[str, dict[str, Decimal]]] = defaultdict(dict)
    for conversion, touchpoint, *credits in warehouse.rows(CREDITS):
        found[conversion][touchpoint] = dict(zip(MODELS, credits, strict=True))
    moments = warehouse.rows(
        "select conversion_id, person_id, attributed_at, lead_created_at, "
        "deal_created_at from attribution.int_conversions"
    )
    assert len(moments) > 300
    assert {len(path) for path in found.values()} >= {1, 2, 3, 4, 5}
    for conversion, person, *times in moments:
        expected = reference(made.touches[person], *times)
        assert found[conversion].keys() == expected.keys(), conversion
        for touchpoint, credits in expected.items():
            for model, share in credits.items():
                difference = abs(float(found[conversion][touchpoint][model]) - share)
                assert difference < 1.1e-9, (conversion, touchpoint, model)


def test_credits_do_not_depend_on_the_order_of_rows(warehouse: Warehouse) -> None:
    marts = "select * from marts_next.fct_result_daily order by 1, 2, 3, 4, 5, 6, 7, 8"
    before = warehouse.rows(CREDITS), sorted(warehouse.rows(marts))
    warehouse.fill(company(), shuffle=3)
    statuses = warehouse.dbt(
        "run", "--select", "path:models/attribution", "fct_result_daily+"
    )
    assert set(statuses.values()) == {"success"}
    assert (warehouse.rows(CREDITS), sorted(warehouse.rows(marts))) == before


def test_revenue_of_each_channel_adds_up_to_the_crm(warehouse: Warehouse) -> None:
    deals = company().rows["touchpoints.int_deals"]
    won = [deal for deal in deals if deal["semantic"] == "won"]
    expected = sum(deal["amount"] - deal["refund_amount"] for deal in won)
    shown = warehouse.rows(
        """
        select attribution_model, date_basis, sum(revenue)
        from marts_next.performance_daily group by 1, 2
        """
    )
    assert len(shown) == len(MODELS) * 3
    assert {each[2] for each in shown} == {expected}
    channels = warehouse.rows(
        "select distinct channel from marts_next.performance_daily"
    )
    assert ("(not attributed)",) in channels


# each planted error, and the tests that must see it
ERRORS = {
    """
    update attribution.int_attribution_credits
    set linear = linear - 0.000000001
    where conversion_id = (select min(conversion_id) from attribution.int_conversions)
    """: {"credits_sum_to_one"},
    """
    update attribution.int_attribution_credits
    set first_touch = first_touch - 0.5, last_touch = last_touch - 1
    where touch_number = 1 and touches_count = 2
    """: {"no_negative_credit", "single_touch_models_give_whole_credits"},
    """
    update marts_next.fct_result_daily set revenue = revenue + 0.01, leads = leads + 1
    where ctid = (
        select max(ctid) from marts_next.fct_result_daily
        where
            attribution_model = 'linear' and date_basis = 'by_click' and revenue <> 0
    )
    """: {"attributed_revenue_equals_crm_revenue", "attributed_results_equal_the_crm"},
    """
    update marts_next.fct_ad_cost_daily set cost_amount = cost_amount + 0.01
    where ctid = (select min(ctid) from marts_next.fct_ad_cost_daily)
    """: {"cost_in_marts_equals_staging"},
    """
    update marts_next.fct_result_daily set first_revenue = first_revenue - 0.01
    where ctid = (select min(ctid) from marts_next.fct_result_daily)
    """: {"attributed_ltv_equals_that_of_new_customers"},
    """
    delete from marts_next.fct_traffic_daily
    where ctid = (select min(ctid) from marts_next.fct_traffic_daily)
    """: {"every_visit_and_call_is_in_the_marts"},
    """
    insert into marts_next.dim_channel
    select * from marts_next.dim_channel where channel = 'seo'
    """: {"performance_daily_has_no_double_count"},
    """
    update marts_next.deal_journal set amount = amount + 1 where deal_id = (
        select min(deal_id) from marts_next.deal_journal
    )
    """: {"every_deal_stands_in_the_journal"},
    """
    update marts_next.funnel set entered = entered + 1, lost = entered + 2
    where ctid = (
        select min(ctid) from marts_next.funnel where funnel_stage = 'leads'
    )
    """: {"nobody_leaves_the_funnel_twice", "the_funnel_counts_what_the_marts_count"},
    """
    update marts_next.reconciliation set mart_total = mart_total + 1
    where ctid = (select min(ctid) from marts_next.reconciliation)
    """: {"nothing_is_lost_between_staging_and_marts"},
}


def test_each_conservation_test_sees_its_error(warehouse: Warehouse) -> None:
    """All errors at once; every test of the folder must be red, and was green before."""
    assert set().union(*ERRORS.values()) == SINGULAR
    with psycopg.connect(warehouse.dsn) as connection:
        for error in ERRORS:
            assert connection.execute(error.encode()).rowcount > 0, error
    statuses = warehouse.dbt("test", "--select", *sorted(SINGULAR))
    assert statuses == dict.fromkeys(SINGULAR, "fail")
