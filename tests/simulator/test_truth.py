"""The truth adds up, agrees with what the APIs show, and judges a resolver fairly."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import timedelta

import pytest

from simulator import truth
from simulator.truth import accuracy, linkable, owners
from simulator.world import BRANCHES, default_now, moscow_day


def test_spend_is_the_api_s_spend_to_the_kopeck(usual):
    for now in (usual.now, usual.now - timedelta(days=30)):
        shown = usual.as_of(now).ad_costs
        told = truth.spend(usual, now)
        assert sum(r.cost_kopecks for r in told) == sum(r.cost_kopecks for r in shown)
        assert sum(r.clicks for r in told) == sum(r.clicks for r in shown)
        per_day: Counter[object] = Counter()
        for row in shown:
            per_day[row.date] += row.cost_kopecks
        for line in told:
            per_day[line.date] -= line.cost_kopecks
        assert not any(per_day.values())
        keys = [(r.date, r.campaign_id, r.keyword_id, r.network) for r in told]
        assert len(set(keys)) == len(keys)


def test_sales_leave_out_what_is_no_sale(usual):
    sales = {sale.deal_id: sale for sale in truth.sales(usual)}
    view = usual.as_of(usual.now)
    won = {deal.deal_id for deal in view.deals if deal.stage_id.endswith("WON")}
    free = {deal.deal_id for deal in view.deals if not deal.amount_kopecks}
    assert free
    assert won - free == set(sales)
    deleted = {deal.deal_id for deal in usual.deals if deal.deleted_at}
    assert deleted
    assert not deleted & set(sales)
    for deal in view.deals:
        if deal.deal_id in sales:
            sale = sales[deal.deal_id]
            assert sale.amount_kopecks == deal.amount_kopecks
            assert sale.refund_kopecks == (deal.refund_kopecks or 0)
            assert deal.closed_at
            assert sale.closed_date == moscow_day(deal.closed_at)


def test_sales_of_an_earlier_moment_are_those_closed_by_then(usual):
    then = usual.now - timedelta(days=20)
    early = {sale.deal_id for sale in truth.sales(usual, then)}
    all_won = truth.sales(usual)
    assert {s.deal_id for s in all_won if s.closed_at <= then} <= early
    assert all(sale.closed_at <= then for sale in truth.sales(usual, then))


def test_channels_and_totals_add_up(usual):
    rows, sums = truth.channels(usual), truth.totals(usual)
    assert sum(row.cost_kopecks for row in rows) == sums.cost_kopecks
    assert sum(row.sales for row in rows) == sums.sales == 400
    assert sum(row.visits for row in rows) == sums.visits
    assert sum(row.leads for row in rows) == sums.leads
    assert sum(row.margin_kopecks for row in rows) == sums.margin_kopecks
    assert sum(r.revenue_kopecks for r in rows) == sums.revenue_kopecks
    assert sums.revenue_kopecks == sums.revenue_gross_kopecks - sums.refunds_kopecks
    parts = sums.leads_spam + sums.leads_test + sums.leads_duplicate + sums.leads
    assert parts == sums.leads_raw
    paid = {row.channel for row in rows if row.cost_kopecks}
    assert paid == {"yandex_direct_search", "yandex_direct_network"}


def test_keywords_hold_all_spend_and_all_sales_of_direct(usual):
    rows = truth.keywords(usual)
    assert sum(row.cost_kopecks for row in rows) == truth.totals(usual).cost_kopecks
    caused = [s for s in truth.sales(usual) if s.channel.startswith("yandex_direct")]
    assert sum(row.sales for row in rows) == len(caused)
    assert rows[0].cost_kopecks == max(row.cost_kopecks for row in rows)


def test_every_sale_is_caused_by_something_before_it(usual):
    visits: dict[str, list[tuple[str, object]]] = {}
    for visit in usual.visits:
        visits.setdefault(visit.person_id, []).append((visit.channel, visit.started_at))
    for sale in truth.sales(usual):
        seen = {c for c, at in visits.get(sale.person_id, []) if at <= sale.created_at}
        offline = sale.channel in {"classified", "maps", "offline", "direct"}
        assert sale.channel in seen or offline


def test_phones_are_found_in_what_people_type():
    assert truth.phones_in("8 (900) 000-12-34, +7 999 000 56 78") == [
        "+79000001234",
        "+79990005678",
    ]
    assert truth.phones_in("тел. 8 900 000-12-34 Мария") == ["+79000001234"]
    assert truth.phones_in("anonymous") == []


def test_every_typed_phone_belongs_to_its_person(usual):
    whose = owners(usual)
    for contact in usual.as_of(usual.now).contacts:
        for phone in (p for t in contact.phones for p in truth.phones_in(t)):
            people = whose.get(("phone", phone), frozenset())
            assert (
                contact.person_id in people
                or phone[1:] == "74950000200"
                or (phone in truth._NOBODYS)
            )


def test_perfect_and_empty_resolvers_get_what_they_deserve(usual):
    single = {node: next(iter(p)) for node, p in owners(usual).items() if len(p) == 1}
    perfect = accuracy(usual, single)
    assert (perfect.precision, perfect.recall, perfect.recall_linkable) == (1, 1, 1)
    assert perfect.identifiers == len(single)
    nothing = accuracy(usual, {node: f"{node}" for node in single})
    assert (nothing.precision, nothing.recall) == (1.0, 0.0)
    heap = accuracy(usual, dict.fromkeys(single, "everybody"))
    assert heap.recall == 1.0
    assert heap.precision < 0.001


def test_joining_by_evidence_alone_is_precise_but_not_all(usual):
    groups = {node: str(number) for node, number in linkable(usual).items()}
    found = accuracy(usual, groups)
    assert found.precision == 1.0
    assert found.recall_linkable == 1.0
    assert 0.3 < found.recall < 1.0
    assert found.pairs_linkable < found.pairs_true


def test_one_wrong_join_costs_its_pairs(small):
    groups = {node: str(number) for node, number in linkable(small).items()}
    leads = [node for node in groups if node[0] == "lead"]
    one = leads[0]
    other = next(n for n in leads if owners(small)[n] != owners(small)[one])
    merged = groups[other]
    wrong = {n: groups[one] if g == merged else g for n, g in groups.items()}
    found = accuracy(small, wrong)
    assert found.precision < 1.0
    assert found.recall_linkable == 1.0
    split = accuracy(small, {**groups, one: "alone"})
    assert split.precision == 1.0
    assert split.pairs_right < accuracy(small, groups).pairs_right


def test_tokens_and_kinds_of_a_warehouse_are_understood(small):
    def token(kind: str, value: str) -> str:
        return f"{kind[:2]}1_{value[::-1]}"

    single = {node: next(iter(p)) for node, p in owners(small).items() if len(p) == 1}
    names = {"client_id": "ym_client_id", "contact": "crm_contact", "phone": "phone"}
    assignment = {
        (names[kind], token(kind, value) if kind == "phone" else value): person
        for (kind, value), person in single.items()
        if kind in names
    }
    kinds = {warehouse: kind for kind, warehouse in names.items()}
    found = accuracy(small, assignment, token, kinds)
    assert found.identifiers == len(assignment)
    assert found.recall == 1.0
    assert accuracy(small, assignment, None, kinds).identifiers < len(assignment)


def test_shared_phones_and_switchboards_join_nobody(usual):
    whose = owners(usual)
    shared = {node for node, people in whose.items() if len(people) > 1}
    assert {kind for kind, _ in shared} == {"phone"}
    assert not shared & set(linkable(usual))
    used = {value for pair in truth.evidence(usual) for _, value in pair}
    assert not used & truth._NOBODYS


def test_export_can_be_read_back(small, tmp_path):
    written = truth.export(small, tmp_path / "out")
    names = {"persons.csv", "spend.csv", "sales.csv", "channels.csv", "keywords.csv"}
    assert {str(path.relative_to(tmp_path / "out")) for path in written} == {
        "group.json",
        *(f"{firm}/{name}" for firm in BRANCHES for name in {*names, "totals.json"}),
    }
    with (tmp_path / "out" / "msk" / "spend.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        rows = list(csv.DictReader(file))
    content = json.loads((tmp_path / "out" / "msk" / "totals.json").read_text("utf-8"))
    assert sum(int(row["cost_kopecks"]) for row in rows) == content["cost_kopecks"]
    assert {row["campaign_name"] for row in rows} <= {c.name for c in small.campaigns}


@pytest.mark.parametrize("days", [5, 10])
def test_totals_grow_with_the_clock(small, days):
    early = truth.totals(small, default_now(small.start_date + timedelta(days=days)))
    late = truth.totals(small)
    assert 0 < early.visits < late.visits
    assert early.cost_kopecks < late.cost_kopecks
