"""What follows from the data adds up to the data, at every moment."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.extras import Dice
from simulator.truth import phones_in
from simulator.world import World, build_world

END = date(2026, 6, 1)
_groups: list[World] = []


def _group() -> World:
    if not _groups:
        _groups.append(build_world(5, END, size="small"))
    return _groups[0]


moments = st.integers(min_value=24, max_value=24 * 15).map(
    lambda hours: datetime(2026, 5, 17, 21, tzinfo=UTC) + timedelta(hours=hours)
)


@settings(max_examples=15, deadline=None)
@given(moments, st.sampled_from([("msk", "yandex_direct"), ("spb", "google_ads")]))
def test_queries_of_a_row_are_no_more_than_the_row(now, pair):
    name, platform = pair
    view = _group().branch(name).as_of(now)
    terms: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for term in view.search_terms(platform):
        assert 0 <= term.clicks <= term.impressions
        assert (term.cost_kopecks > 0) == (term.clicks > 0)
        key = (term.date, term.ad_id, term.criterion_id, term.device)
        for place, value in enumerate(
            (term.impressions, term.clicks, term.cost_kopecks)
        ):
            terms[key][place] += value
    rows = {
        (row.date, row.ad_id, row.criterion_id, row.device): row
        for row in view.ad_costs
        if row.platform == platform and row.network == "SEARCH"
    }
    assert terms.keys() <= rows.keys()
    for key, sums in terms.items():
        row = rows[key]
        assert sums[0] <= row.impressions
        assert sums[1] <= row.clicks
        assert sums[2] <= row.cost_kopecks


def test_most_but_not_all_of_search_has_queries(usual):
    cost = sum(r.cost_kopecks for r in usual.ad_costs if r.network == "SEARCH")
    terms = usual.search_terms("yandex_direct")
    assert 0.85 < sum(term.cost_kopecks for term in terms) / cost < 0.99
    keys = Counter((t.date, t.ad_id, t.criterion_id, t.query, t.device) for t in terms)
    assert max(keys.values()) == 1
    assert len({term.query for term in terms}) > 500
    with pytest.raises(ValueError, match="vk_ads"):
        usual.search_terms("vk_ads")


@settings(max_examples=15, deadline=None)
@given(moments)
def test_sites_of_the_network_add_up_to_its_rows(now):
    view = _group().as_of(now)
    left: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in view.ad_costs:
        if row.network == "AD_NETWORK":
            held = left[(row.date, row.campaign_id, row.ad_id, row.device)]
            held[0] += row.impressions
            held[1] += row.clicks
            held[2] += row.cost_kopecks
    sites = view.placements()
    for site in sites:
        held = left[(site.date, site.campaign_id, site.ad_id, site.device)]
        held[0] -= site.impressions
        held[1] -= site.clicks
        held[2] -= site.cost_kopecks
    assert not any(any(held) for held in left.values())
    keys = Counter(
        (s.date, s.campaign_id, s.ad_id, s.placement, s.device) for s in sites
    )
    assert not sites or max(keys.values()) == 1


def test_pages_and_goals_are_those_of_the_visits(small):
    pages: dict[int, list[int]] = defaultdict(list)
    goals: Counter[tuple[int, int]] = Counter()
    visits = small.visit_by_id
    seen = set()
    for hit in small.hits():
        visit = visits[hit.visit_id]
        assert visit.started_at <= hit.at <= visit.ended_at
        assert hit.hit_id not in seen
        seen.add(hit.hit_id)
        if hit.is_page_view:
            pages[hit.visit_id].append(hit.hit_id)
        for goal in hit.goal_ids:
            goals[(hit.visit_id, goal)] += 1
    for visit in small.visits:
        assert pages[visit.visit_id] == list(visit.watch_ids)
        assert [goal for goal, _ in visit.goal_hits] == list(visit.goal_ids)
    assert set(goals) == {(v.visit_id, g) for v in small.visits for g in v.goal_ids}


@settings(max_examples=10, deadline=None)
@given(moments)
def test_page_views_once_shown_stay_where_they_are(now):
    firm = _group()
    shown = {(h.hit_id, h.at) for h in firm.as_of(now).hits() if h.is_page_view}
    assert shown <= {(h.hit_id, h.at) for h in firm.hits()}


@settings(max_examples=15, deadline=None)
@given(moments)
def test_goods_and_bills_add_up_to_the_deals(now):
    view = _group().as_of(now)
    goods: Counter[int] = Counter()
    for line in view.products:
        assert line.quantity > 0
        assert line.price_kopecks > 0
        goods[line.deal_id] += line.quantity * line.price_kopecks
    amounts = {d.deal_id: d.amount_kopecks for d in view.deals if d.amount_kopecks}
    assert goods == amounts
    paid: Counter[int] = Counter()
    last: dict[int, datetime] = {}
    for bill in view.invoices:
        assert bill.created_at <= bill.modified_at <= now
        assert (bill.stage == "paid") == (bill.paid_at is not None)
        if bill.paid_at is not None:
            assert bill.created_at <= bill.paid_at <= now
            paid[bill.deal_id] += bill.amount_kopecks
            last[bill.deal_id] = max(bill.paid_at, last.get(bill.deal_id, bill.paid_at))
    for deal in view.deals:
        if deal.semantic == "S" and deal.amount_kopecks:
            assert paid[deal.deal_id] == deal.amount_kopecks
            assert last[deal.deal_id] == deal.closed_at
        assert paid[deal.deal_id] <= deal.amount_kopecks


def test_open_contracts_have_a_bill_to_pay(usual):
    for days in (0, 20):
        view = usual.as_of(usual.now - timedelta(days=days))
        unpaid = {bill.deal_id for bill in view.invoices if bill.paid_at is None}
        signed = {
            deal.deal_id
            for deal in view.deals
            if deal.semantic == "P" and deal.contracted_at
            if deal.contracted_at <= view.now and deal.amount_kopecks
        }
        assert signed <= unpaid
    assert signed


def test_every_click_of_google_is_in_the_list(usual):
    north = usual.branch("spb")
    per_row: Counter[tuple[object, ...]] = Counter()
    for click in north.clicks:
        per_row[(click.date, click.ad_id, click.keyword, click.device)] += 1
    rows: Counter[tuple[object, ...]] = Counter()
    for row in north.ad_costs:
        if row.platform == "google_ads" and row.clicks:
            keyword = row.criterion if row.criterion_type == "KEYWORD" else ""
            rows[(row.date, row.ad_id, keyword, row.device)] += row.clicks
    assert per_row == rows
    ids = {click.click_id: click for click in north.clicks}
    assert len(ids) == len(north.clicks)
    for visit in north.visits:
        if visit.gclid:
            click = ids[visit.gclid]
            assert (click.at, click.ad_id) == (visit.started_at, visit.ad_id)


def test_messages_say_who_wrote_them(usual):
    assert {m.kind for m in usual.messages} == {"request"}
    north = usual.branch("spb")
    assert {m.kind for m in north.messages} == {"chat", "offline_message"}
    for firm in (usual, north):
        people = {person.person_id: person for person in firm.persons}
        for message in firm.messages:
            if message.visit_id is not None:
                visit = firm.visit_by_id[message.visit_id]
                assert visit.person_id == message.person_id
                assert visit.client_id == message.client_id
            if message.lead_id is None:
                known = people[message.person_id].phones
                typed = {p for cell in message.phones for p in phones_in(cell)}
                assert typed <= set(known)
    free = [m for m in north.messages if m.lead_id is None]
    assert any(m.phones for m in free)
    assert any(not m.phones for m in free)


@given(st.lists(st.integers(min_value=0, max_value=2**63), max_size=4))
def test_dice_fall_the_same_for_the_same_numbers(seeds):
    one, two = Dice(*seeds), Dice(*seeds)
    thrown = [one.below(10) for _ in range(30)]
    assert thrown == [two.below(10) for _ in range(30)]
    assert all(0 <= number < 10 for number in thrown)
    assert len(set(thrown)) > 2
