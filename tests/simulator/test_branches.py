"""The group: three firms that share nothing but their seed and their clock."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import kazan, spb, truth
from simulator.face import Face, Options, Request, Response
from simulator.world import BRANCHES, World, ad_channel, build_world, moscow_day

END = date(2026, 6, 1)


@pytest.fixture(scope="module")
def north(usual: World) -> World:
    """The usual firm in Petersburg."""
    return usual.branch("spb")


@pytest.fixture(scope="module")
def dealer(usual: World) -> World:
    """The usual dealer in Kazan."""
    return usual.branch("kazan")


# --- a group --------------------------------------------------------------------------


def test_firms_are_made_once_and_know_each_other(usual):
    assert usual.branch("msk") is usual
    assert usual.branch("spb") is usual.branch("spb")
    assert usual.branch("kazan").branch("msk") is usual
    assert [usual.branch(name).name for name in BRANCHES] == list(BRANCHES)
    with pytest.raises(ValueError, match="tula"):
        usual.branch("tula")


def test_the_group_is_a_function_of_its_arguments(small):
    again = build_world(seed=3, end_date=END, size="small")
    other = build_world(seed=4, end_date=END, size="small")
    for name in ("spb", "kazan"):
        assert again.branch(name).digest() == small.branch(name).digest()
        assert other.branch(name).digest() != small.branch(name).digest()


def test_a_view_of_one_firm_leads_to_the_other_s_at_the_same_moment(small):
    then = small.now - timedelta(days=4)
    view = small.as_of(then).branch("spb")
    assert view == small.branch("spb").as_of(then)
    assert view.branch("kazan").now == then


def test_a_face_shows_the_firm_it_serves(small):
    class Simulator(Face):
        branch = "spb"

        def handle(self, request: Request) -> Response:
            return Response(body=str(len(self.view.visits)).encode())

    then = small.now - timedelta(days=3)
    face = Simulator(small, Options(now=then))
    assert face.firm is small.branch("spb")
    shown = int(face.handle(Request("GET", "/")).body)
    assert shown == len(small.branch("spb").as_of(then).visits) > 0


def test_firms_share_no_people(usual, north, dealer):
    firms = (usual, north, dealer)
    for values in (
        [{p.person_id for p in firm.persons} for firm in firms],
        [{phone for p in firm.persons for phone in p.phones} for firm in firms],
        [{mail for p in firm.persons for mail in p.emails} for firm in firms],
        [{client for p in firm.persons for client in p.client_ids} for firm in firms],
        [{n.number for n in firm.static_numbers} for firm in firms],
    ):
        assert len(set().union(*values)) == sum(map(len, values)) > 0


@pytest.mark.parametrize(("days", "size"), [(7, 0.02), (30, 0.3), (14, "small")])
def test_firms_of_any_size_can_be_made(days, size):
    world = build_world(6, END, days, size)
    for name in ("spb", "kazan"):
        view = world.branch(name).as_of(world.now)
        assert view.leads
        assert view.deals
        assert truth.totals(view).revenue_kopecks > 0


def test_an_unknown_scenario_is_refused_by_name():
    with pytest.raises(ValueError, match="scenario"):
        build_world(1, END, size="small", scenario="strange")


# --- spb ------------------------------------------------------------------------------


def test_petersburg_advertises_on_three_platforms(north):
    networks = {(row.platform, row.network) for row in north.ad_costs}
    assert networks == {
        ("google_ads", "SEARCH"),
        ("google_ads", "DISPLAY"),
        ("meta_ads", "facebook"),
        ("meta_ads", "instagram"),
        ("vk_ads", "vk"),
    }
    campaigns = north.campaign_by_id
    ads = {ad.ad_id: ad for ad in north.ads}
    for row in north.ad_costs:
        assert campaigns[row.campaign_id].platform == row.platform
        assert row.ad_id is not None
        assert ads[row.ad_id].platform == row.platform
        if row.platform != "google_ads":
            assert (row.criterion_id, row.criterion) == (None, "")
    keys = Counter(
        (r.date, r.ad_id, r.criterion_id, r.network, r.device) for r in north.ad_costs
    )
    assert max(keys.values()) == 1


def test_clicks_bring_their_mark_and_the_macros_are_filled(north):
    marks = {"google_ads": "gclid", "meta_ads": "fbclid", "vk_ads": "rb_clickid"}
    seen: Counter[str] = Counter()
    for visit in north.visits:
        query = parse_qs(urlsplit(visit.start_url).query)
        assert "{" not in visit.start_url
        assert visit.gclid == query.get("gclid", [""])[0]
        assert visit.fbclid == query.get("fbclid", [""])[0]
        if visit.platform and marks[visit.platform] in query:
            seen[visit.platform] += 1
        if visit.platform:
            assert visit.channel == ad_channel(visit.platform, visit.network)
        if query.get("utm_content", [""])[0].isdigit():
            assert query["utm_content"] == [str(visit.ad_id)]
    assert min(seen[platform] for platform in marks) > 100
    gclids = [visit.gclid for visit in north.visits if visit.gclid]
    assert len(set(gclids)) == len(gclids)


def test_a_browser_has_one_visitor_id_and_one_cookie(north):
    browsers: dict[int | None, set[str]] = defaultdict(set)
    for visit in north.visits:
        assert re.fullmatch(r"\d{9,10}\.\d{10}", visit.client_id)
        assert visit.client_id == visit.ga_client_id
        browsers[visit.visitor_id].add(visit.client_id)
    assert None not in browsers
    assert all(len(cookies) == 1 for cookies in browsers.values())
    of_person = {v: p.person_id for p in north.persons for v in p.visitor_ids}
    assert all(of_person[v.visitor_id] == v.person_id for v in north.visits)
    for call in north.calls:
        assert (call.visitor_id is None) == (call.visit_id is None)


def test_a_deal_is_a_lead_that_came_to_a_deal_stage(north):
    view = north.as_of(north.now)
    leads = {lead.lead_id: lead for lead in view.leads}
    stages = {c.category_id: spb.deal_stages(c.category_id) for c in view.categories}
    history: dict[int, list[tuple[datetime, str, str]]] = defaultdict(list)
    for row in view.stage_changes:
        history[row.owner_id].append((row.at, row.entity, row.stage_id))
    for deal in view.deals:
        assert deal.deal_id == deal.lead_id
        lead = leads[deal.deal_id]
        assert lead.semantic == "S"
        assert lead.contact_id == deal.contact_id
        moves = sorted(history[deal.deal_id])
        became = next(at for at, entity, _ in moves if entity == "deal")
        assert all(at <= became for at, entity, _ in moves if entity == "lead")
        of_deal = [stage for _, entity, stage in moves if entity == "deal"]
        assert set(of_deal) <= set(stages[deal.category_id])
        assert of_deal[-1] == deal.stage_id
        assert (deal.stage_id == spb.WON) == (deal.semantic == "S")
        assert (deal.loss_reason != "") == (deal.semantic == "F")
    lost = [lead for lead in view.leads if lead.semantic == "F"]
    assert {lead.status_id for lead in lost} == {spb.LOST}
    reasons = {lead.loss_reason for lead in lost}
    assert {"Спам", "Дубль", "Тест"} < reasons
    assert all((lead.loss_reason == "Спам") <= lead.is_spam for lead in lost)
    known = {(row.category_id, row.status_id) for row in view.statuses}
    assert {(r.category_id, r.stage_id) for r in view.stage_changes} <= known


def test_every_lead_of_petersburg_has_its_card_from_the_beginning(north):
    for days in (0, 40):
        view = north.as_of(north.now - timedelta(days=days))
        cards = {card.contact_id: card for card in view.contacts}
        for lead in view.leads:
            if lead.phones or lead.emails:
                assert lead.contact_id in cards
            if lead.person_id and lead.contact_id:
                assert cards[lead.contact_id].person_id == lead.person_id


# --- kazan ----------------------------------------------------------------------------


def test_the_sheet_holds_what_people_type(dealer):
    view = dealer.as_of(dealer.now)
    cells = [lead.phones[0] for lead in view.leads]
    assert any(len(truth.phones_in(cell)) == 2 for cell in cells)
    assert all(truth.phones_in(cell) for cell in cells)
    assert len({lead.status_text for lead in view.leads}) > 15
    assert len({lead.interest for lead in view.leads}) > 10
    for lead in view.leads:
        assert lead.status_text in kazan.SPELLINGS[lead.status_id]
    phones = {p for typed in cells for p in truth.phones_in(typed)}
    assert all(
        phonenumbers.is_valid_number(phonenumbers.parse(p, "RU")) for p in phones
    )


def test_payments_add_up_to_the_deal_and_no_more_goes_back_than_came(dealer):
    view = dealer.as_of(dealer.now)
    came: Counter[int] = Counter()
    back: Counter[int] = Counter()
    parts: Counter[int] = Counter()
    for payment in view.payments:
        assert payment.amount_kopecks
        if payment.amount_kopecks > 0:
            came[payment.deal_id] += payment.amount_kopecks
            parts[payment.deal_id] += 1
        else:
            back[payment.deal_id] -= payment.amount_kopecks
    for deal in view.deals:
        if deal.semantic == "S":
            assert came[deal.deal_id] == deal.amount_kopecks
            assert parts[deal.deal_id] in (1, 2, 3)
        assert back[deal.deal_id] <= came[deal.deal_id] <= deal.amount_kopecks
    assert sum(back.values()) > 0
    assert set(parts.values()) == {1, 2, 3}


def test_costs_written_down_lie_inside_the_days_of_data(dealer):
    for row in dealer.manual_costs:
        assert dealer.start_date <= row.date_from <= row.date_to < END
        assert row.amount_kopecks > 0
    assert {row.where for row in dealer.manual_costs} == {"sheet", "file"}
    spread = truth.spend(dealer)
    assert sum(row.cost_kopecks for row in spread) == sum(
        row.amount_kopecks for row in dealer.manual_costs
    )
    assert min(row.cost_kopecks for row in spread) > 0


hours = st.integers(min_value=0, max_value=24 * 15)
_groups: list[World] = []


def _group() -> World:
    if not _groups:
        _groups.append(build_world(5, END, size="small"))
    return _groups[0]


@settings(max_examples=20, deadline=None)
@given(hours, hours, st.sampled_from(["spb", "kazan"]))
def test_views_of_the_other_firms_only_grow(one, two, name):
    firm = _group().branch(name)
    start = datetime(2026, 5, 17, 21, tzinfo=UTC)
    early, late = sorted(start + timedelta(hours=h) for h in (one, two))
    before, after = firm.as_of(early), firm.as_of(late)
    for rows, old_rows, key in (
        (after.visits, before.visits, "visit_id"),
        (after.offline_sales, before.offline_sales, "sale_id"),
        (after.manual_costs, before.manual_costs, "cost_id"),
        (after.messages, before.messages, "message_id"),
        (after.clicks, before.clicks, "click_id"),
    ):
        known = {getattr(row, key) for row in rows}
        assert {getattr(row, key) for row in old_rows} <= known
    deals = {deal.deal_id for deal in after.deals}
    assert {p.deal_id for p in after.payments} <= deals
    assert {p for p in before.payments if p.deal_id in deals} <= set(after.payments)
    for lead in after.leads:
        assert lead.created_at <= lead.modified_at <= late
    for old in before.leads:
        new = next((row for row in after.leads if row.lead_id == old.lead_id), None)
        if new is not None and new.status_id != old.status_id:
            assert early < new.modified_at


# --- truth ----------------------------------------------------------------------------


def test_channels_of_each_firm_add_up_to_its_totals(usual):
    for name in BRANCHES:
        firm = usual.branch(name)
        rows, sums = truth.channels(firm), truth.totals(firm)
        assert sum(row.cost_kopecks for row in rows) == sums.cost_kopecks > 0
        assert sum(row.revenue_kopecks for row in rows) == sums.revenue_kopecks > 0
        assert sum(row.sales for row in rows) == sums.sales
        assert sum(row.leads for row in rows) == sums.leads
        keys = truth.keywords(firm)
        assert sum(row.cost_kopecks for row in keys) == sums.cost_kopecks


def test_money_of_kazan_is_what_came_and_stayed(dealer):
    for days in (0, 30):
        now = dealer.now - timedelta(days=days)
        view = dealer.as_of(now)
        moved = sum(row.amount_kopecks for row in view.payments)
        moved += sum(row.amount_kopecks for row in view.offline_sales)
        assert truth.totals(dealer, now).revenue_kopecks == moved


def test_the_group_counts_without_vat(usual):
    parts = {name: truth.totals(usual.branch(name)) for name in BRANCHES}
    group = truth.group_totals(usual)
    assert group.leads == sum(part.leads for part in parts.values())
    assert group.clicks == parts["msk"].clicks + parts["spb"].clicks
    bare = group.cost_kopecks - parts["msk"].cost_kopecks - parts["spb"].cost_kopecks
    assert bare == round(parts["kazan"].cost_kopecks / 1.22)
    assert truth.without_vat(12_000, date(2025, 12, 31)) == 10_000
    assert truth.without_vat(12_200, date(2026, 1, 1)) == 10_000
    assert group == truth.group_totals(usual.branch("kazan"))


def test_sources_show_what_the_firms_have(usual):
    shown = truth.totals_by_source(usual)
    spent = sum(shown[s]["spend"] for s in ("google_ads", "meta_ads", "vk_ads"))
    assert spent == truth.totals(usual.branch("spb")).cost_kopecks
    assert shown["yandex_direct"]["spend"] == truth.totals(usual).cost_kopecks
    kazan_cost = shown["google_sheets"]["spend"] + shown["files"]["spend"]
    assert kazan_cost == truth.totals(usual.branch("kazan")).cost_kopecks
    won = truth.totals(usual).revenue_gross_kopecks
    assert shown["bitrix24"]["payments"] == won
    assert all(value > 0 for row in shown.values() for value in row.values())


def test_resolvers_are_judged_over_the_group(small):
    perfect = {}
    for name in BRANCHES:
        for (kind, value), people in truth.owners(small.branch(name)).items():
            crm = kind in ("contact", "lead", "deal", "offline_sale")
            if len(people) == 1:
                key = (kind, f"{name}:{value}" if crm else value)
                perfect[key] = f"{name} {next(iter(people))}"
    found = truth.group_accuracy(small, perfect)
    assert (found.precision, found.recall, found.recall_linkable) == (1, 1, 1)
    assert found.identifiers == len(perfect)
    alike = {node: person.partition(" ")[2][-5:] for node, person in perfect.items()}
    assert truth.group_accuracy(small, alike).precision < 1


def test_moments_are_inside_the_days_of_data(usual):
    for name in ("spb", "kazan"):
        firm = usual.branch(name)
        moments = [lead.created_at for lead in firm.leads]
        moments += [row.at for row in firm.stage_changes]
        moments += [row.at for row in firm.payments]
        moments += [row.at for row in firm.messages]
        assert min(map(moscow_day, moments)) >= usual.start_date
        assert max(map(moscow_day, moments)) < END
