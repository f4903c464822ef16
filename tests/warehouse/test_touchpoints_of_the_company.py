"""Staging, persons and touchpoints of the small company against what really happened."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest

from connectors.base.pseudonymise import Tokeniser
from connectors.base.settings import token_key
from connectors.base.sources import load_sources
from pipeline import identify, runs
from simulator import truth
from simulator.world import build_world
from tests.pipeline.conftest import END

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.server import RunningServer
    from simulator.world import World

    Dbt = Callable[..., dict[str, Any]]

KINDS = {
    "ym_client_id": "client_id",
    "phone": "phone",
    "email": "email",
    "crm_contact": "contact",
    "crm_lead": "lead",
    "crm_deal": "deal",
}


@pytest.fixture(scope="module")
def world() -> World:
    """What the vendors would answer on the morning after the last day."""
    made = build_world(seed=1, end_date=END, size="small")
    return made.as_of(made.now)


@pytest.fixture(scope="module")
def built(warehouse: str, company: RunningServer) -> str:
    """The line as far as touchpoints; the warehouse's address."""
    params = {"date_from": str(END - timedelta(days=14)), "date_to": str(END)}
    runs.plan("touchpoints", params, None, None, manual=True)
    for step in ("extract", "build_identifiers", "identify", "build_touchpoints"):
        runs.run_step(step, "touchpoints")
    return warehouse


def rows(warehouse: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(warehouse) as connection:
        return connection.execute(query).fetchall()


def test_spend_is_right_to_the_kopeck_by_day_campaign_and_keyword(
    built: str, world: World
) -> None:
    wanted: dict[tuple[str, str, str | None], Decimal] = {}
    for cost in world.ad_costs:
        key = (
            str(cost.date),
            str(cost.campaign_id),
            str(cost.criterion_id or "") or None,
        )
        wanted[key] = wanted.get(key, Decimal()) + Decimal(cost.cost_kopecks) / 100
    found = {
        (day, campaign, keyword): amount
        for day, campaign, keyword, amount in rows(
            built,
            """
            select spend_date::text, campaign_id, keyword_id, sum(spend_amount)
            from touchpoints.int_ad_spend_unioned
            where platform = 'yandex_direct'
            group by spend_date, campaign_id, keyword_id
            """,
        )
    }
    assert found == wanted


def test_deals_are_the_companys_own(built: str, world: World) -> None:
    """Amounts and refunds as the CRM keeps them; won, lost or open; when it closed."""
    ours = "_with_vat" if load_sources().get("bitrix24", "main").vat_included else ""
    semantics = {"P": "process", "S": "won", "F": "lost"}
    wanted = {
        str(deal.deal_id): (
            semantics[deal.semantic],
            Decimal(deal.amount_kopecks) / 100,
            Decimal(deal.refund_kopecks or 0) / 100,
            deal.closed_at.replace(microsecond=0) if deal.closed_at else None,
        )
        for deal in world.deals
    }
    found = {
        deal_id: tuple(rest)
        for deal_id, *rest in rows(
            built,
            f"select deal_id, semantic, amount{ours}, refund_amount{ours}, closed_at "
            "from touchpoints.int_deals where crm = 'bitrix24'",
        )
    }
    assert found == wanted


def test_persons_are_who_they_are(
    built: str, world: World, record_property: Callable[[str, object], None]
) -> None:
    tokeniser = Tokeniser(*token_key())
    assignment = {
        (kind, identifier.rpartition(":")[2]): person
        for person, kind, identifier in rows(
            built,
            "select person_id, kind, identifier from identity.int_person_identifiers "
            "where not is_shared and (kind not like 'crm_%' "
            "or identifier like 'bitrix24:%')",
        )
    }
    found = truth.accuracy(
        world, assignment, lambda kind, value: tokeniser.token(kind, value), KINDS
    )
    record_property("persons: precision", f"{found.precision:.4f}")
    record_property("persons: recall", f"{found.recall:.4f}")
    record_property("  of the linkable", f"{found.recall_linkable:.4f}")
    assert found.identifiers > 500
    assert found.precision > 0.97
    assert found.recall_linkable > 0.97


def test_channels_of_visits_are_right_where_the_visit_can_know(
    built: str, world: World
) -> None:
    """A click that lost all its marks looks direct, or like a Direct click at most."""
    wanted = {str(visit.visit_id): visit.channel for visit in world.visits}
    found = dict(
        rows(
            built,
            "select visit_id, channel from touchpoints.int_visits "
            "where counter_account_id = 'main'",
        )
    )
    assert found.keys() == wanted.keys()
    wrong = {
        (wanted[visit], channel)
        for visit, channel in found.items()
        if channel != wanted[visit]
    }
    lost = {"direct", "yandex_direct_unknown"}
    assert {channel for _, channel in wrong} <= lost
    assert {channel[:13] for channel, _ in wrong} <= {"yandex_direct"}
    share = sum(found[v] == wanted[v] for v in wanted) / len(wanted)
    assert share > 0.95


def test_a_click_that_is_tied_to_a_campaign_is_tied_to_the_right_one(
    built: str, world: World
) -> None:
    wanted = {
        str(visit.visit_id): (visit.campaign_id, visit.keyword_id)
        for visit in world.visits
    }
    steps = set()
    with_keyword = right_keyword = 0
    for visit, step, campaign, keyword in rows(
        built,
        "select visit_id, match_step, campaign_id, keyword_id "
        "from touchpoints.int_visits where platform = 'yandex_direct'",
    ):
        steps.add(step)
        true_campaign, true_keyword = wanted[visit]
        if campaign is not None:
            assert campaign == str(true_campaign), (visit, step)
        if keyword is not None:
            with_keyword += 1
            right_keyword += keyword == str(true_keyword)
    assert steps == {"vendor_ids", "utm_ids", "utm_names", "unknown"}
    assert with_keyword > 300
    assert right_keyword / with_keyword > 0.99


def test_clicks_of_the_other_platforms_are_tied_to_their_campaigns(
    built: str, world: World
) -> None:
    """Google by the id of the click, Meta and VK by the tags of the link."""
    wanted = {
        str(visit.visit_id): (visit.platform, visit.campaign_id)
        for visit in world.branch("spb").visits
    }
    found: dict[str, list[bool]] = {}
    for visit, platform, campaign in rows(
        built,
        "select visit_id, platform, campaign_id from touchpoints.int_visits "
        "where counter_account_id = 'spb' and platform is not null",
    ):
        true_platform, true_campaign = wanted[visit]
        assert platform == true_platform, visit
        if campaign is not None:
            assert campaign == str(true_campaign), visit
        found.setdefault(platform, []).append(campaign is not None)
    assert set(found) == {"google_ads", "meta_ads", "vk_ads"}
    assert sum(found["google_ads"]) / len(found["google_ads"]) > 0.9
    assert all(any(tied) for tied in found.values())


def test_calls_in_visits_are_contacts_on_those_visits(built: str, world: World) -> None:
    wanted = {
        str(call.call_id): str(call.visit_id) if call.visit_id else None
        for call in world.calls
    }
    found = dict(
        rows(
            built,
            "select call_id, visit_id from touchpoints.int_calls "
            "where tracker_account_id = 'main'",
        )
    )
    assert found.keys() == wanted.keys()
    placed = {call: visit for call, visit in found.items() if visit is not None}
    assert placed
    assert all(wanted[call] == visit for call, visit in placed.items())
    (touches,) = rows(
        built,
        "select count(*) from touchpoints.int_touchpoints "
        "inner join touchpoints.int_calls using (touchpoint_id) "
        "where touch_kind = 'call' and tracker_account_id = 'main'",
    )
    assert touches == (len(found) - len(placed),)


def test_valid_leads_are_those_the_office_would_count(built: str, world: World) -> None:
    """Spam that the office filed as a poor lead, and doubles that show nothing in
    common, cannot be told; nothing else may differ."""
    wanted = {str(lead.lead_id): lead for lead in world.leads}
    found = {
        lead: rest
        for lead, *rest in rows(
            built,
            "select lead_id, is_spam, is_test, is_duplicate from touchpoints.int_leads "
            "where account_id = 'main'",
        )
    }
    assert found.keys() == wanted.keys()
    hidden = 0
    for lead_id, (is_spam, is_test, is_duplicate) in found.items():
        lead = wanted[lead_id]
        assert is_test == lead.is_test
        assert lead.is_spam or not is_spam
        hidden += (is_spam, is_duplicate) != (lead.is_spam, lead.is_duplicate)
    assert hidden <= len(wanted) * 0.04


def test_no_join_changes_the_number_or_the_sum_of_sales(built: str, dbt: Dbt) -> None:
    """Phones that strangers share, and people who are joined by hand, come and go."""
    dice = random.Random(4)
    before = sales_and_persons(built, dbt)
    assert before.sales
    with psycopg.connect(built, autocommit=True) as connection:
        cards = connection.execute(
            "select distinct on (contact_id) 'bitrix24:' || account_id || ':' "
            "|| contact_id, record_key, phones "
            "from staging.stg_bitrix24__contacts inner join touchpoints.int_deals "
            "using (account_id, contact_id) where crm = 'bitrix24' order by contact_id"
        ).fetchall()
        chosen = dice.sample(cards, 8)
        for number, (_, key, phones) in enumerate(chosen[:6]):
            connection.execute(
                "update staging.stg_bitrix24__contacts set phones = %s::jsonb "
                "where record_key = %s",
                (json.dumps([*phones, f"ph1_shared_{number % 2}"]), key),
            )
        connection.execute(
            "insert into staging.identity_rules "
            "(rule, kind, identifier, other_kind, other_identifier, reason) "
            "values ('allow', 'crm_contact', %s, 'crm_contact', %s, 'one buyer')",
            (chosen[6][0], chosen[7][0]),
        )
        during = sales_and_persons(built, dbt)
        assert during.sales == before.sales
        assert during.persons != before.persons
        for _, key, phones in chosen[:6]:
            connection.execute(
                "update staging.stg_bitrix24__contacts set phones = %s::jsonb "
                "where record_key = %s",
                (json.dumps(phones), key),
            )
        connection.execute(
            "delete from staging.identity_rules where reason = 'one buyer'"
        )
    assert sales_and_persons(built, dbt) == before


class Found(NamedTuple):
    """Each sale, payment and refund with its money, and who is who."""

    sales: list[tuple[Any, ...]]
    persons: list[tuple[Any, ...]]


def sales_and_persons(warehouse: str, dbt: Dbt) -> Found:
    """What a run of identity and of all that hangs on it leaves now."""
    dbt("run", "--select", "path:models/identity,tag:identifiers")
    identify.identify()
    dbt(
        "run", "--select", "path:models/identity,tag:persons", "path:models/touchpoints",
        "path:models/attribution/paths",
    )  # fmt: skip
    return Found(
        rows(
            warehouse,
            "select account_id, deal_id, attributed_at, revenue_amount, margin_amount "
            "from attribution.int_conversions "
            "where conversion_kind in ('sale', 'repeat_sale', 'payment', 'refund') "
            "order by 1, 2, 3, 4",
        ),
        rows(
            warehouse,
            "select person_id, kind, identifier, is_shared "
            "from identity.int_person_identifiers order by 1, 2, 3",
        ),
    )


def test_unit_tests_of_the_models_pass(built: str, dbt: Dbt) -> None:
    """They need the tables of their parents, which stand here."""
    results = dbt(
        "test",
        "--select",
        "path:models/staging,test_type:unit",
        "path:models/identity,test_type:unit",
        "path:models/touchpoints,test_type:unit",
    )
    assert len(results["results"]) >= 20
    assert {result["status"] for result in results["results"]} == {"pass"}
