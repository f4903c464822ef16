"""The company is a pure function of its seed, and its APIs never look ahead."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.ads import without_operators
from simulator.world import World, build_world, default_now, moscow_day

END = date(2026, 6, 1)


# --- a pure function ------------------------------------------------------------------


def test_same_seed_makes_the_same_bytes_in_another_process(small, project):
    code = (
        "from datetime import date; from simulator.world import build_world;"
        "print(build_world(seed=3, end_date=date(2026, 6, 1), size='small').digest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(project)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=project,
        env=environment,
    )
    assert done.stdout.strip() == small.digest()


def test_another_seed_or_day_makes_another_company(small):
    assert build_world(4, END, size="small").digest() != small.digest()
    other_day = build_world(3, END - timedelta(days=1), size="small")
    assert other_day.digest() != small.digest()


def test_digest_sees_one_changed_kopeck(small):
    last = small.ad_costs[-1]
    dearer = replace(last, cost_kopecks=last.cost_kopecks + 1)
    changed = replace(small, ad_costs=[*small.ad_costs[:-1], dearer])
    assert changed.digest() != small.digest()
    assert replace(small).digest() == small.digest()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"size": "huge"}, "size"), ({"size": 0.0}, "size"), ({"days": 3}, "days")],
)
def test_impossible_company_is_refused_by_name(arguments, word):
    with pytest.raises(ValueError, match=word):
        build_world(1, END, **arguments)


# --- size -----------------------------------------------------------------------------


def test_usual_company_has_the_promised_size(usual):
    keywords = [k for k in usual.keywords if k.text != "---autotargeting"]
    assert len(keywords) == 300
    assert len(usual.visits) == pytest.approx(40000, rel=0.02)
    assert len(usual.calls) == pytest.approx(2000, rel=0.02)
    assert len(usual.leads) == pytest.approx(3000, rel=0.02)
    won = [d for d in usual.as_of(usual.now).deals if d.semantic == "S"]
    assert len([d for d in won if d.amount_kopecks]) == pytest.approx(400, rel=0.02)


def test_small_company_has_the_promised_size(small):
    keywords = [k for k in small.keywords if k.text != "---autotargeting"]
    assert len(keywords) == 20
    assert len(small.visits) == pytest.approx(800, rel=0.05)
    assert len(small.calls) == pytest.approx(60, rel=0.05)
    assert len(small.leads) == pytest.approx(90, rel=0.05)
    won = [d for d in small.as_of(small.now).deals if d.semantic == "S"]
    assert len([d for d in won if d.amount_kopecks]) == 15


def test_days_of_data_are_the_days_asked_for(usual):
    days = {moscow_day(visit.started_at) for visit in usual.visits}
    assert min(days) == usual.start_date == date(2026, 3, 3)
    assert max(days) == END - timedelta(days=1)
    assert {row.date for row in usual.ad_costs} == days
    assert len(days) == 90


# --- what it is made of ---------------------------------------------------------------


def test_some_keywords_earn_and_others_lose_clearly(usual):
    cost: Counter[int | None] = Counter()
    margin: Counter[int | None] = Counter()
    for row in usual.ad_costs:
        cost[row.criterion_id] += row.cost_kopecks
    for deal in usual.as_of(usual.now).deals:
        margin[deal.cause_keyword_id] += deal.margin_kopecks or 0
    dear = [key for key, spent in cost.items() if spent > 1_000_000]
    assert sum(margin[key] > 2 * cost[key] for key in dear) >= 10
    assert sum(margin[key] < cost[key] / 2 for key in dear) >= 10


def test_visits_of_a_day_and_keyword_follow_its_clicks(usual):
    clicks: Counter[tuple[date, int, int | None]] = Counter()
    for row in usual.ad_costs:
        clicks[(row.date, row.campaign_id, row.criterion_id)] += row.clicks
    visits = Counter(
        (moscow_day(visit.started_at), visit.campaign_id, visit.keyword_id)
        for visit in usual.visits
        if visit.campaign_id is not None
    )
    assert all(number <= clicks[key] for key, number in visits.items())
    assert 0.92 < sum(visits.values()) / sum(clicks.values()) < 0.96


def test_visits_carry_their_origin_at_different_strength(usual):
    paid = [visit for visit in usual.visits if visit.campaign_id is not None]
    vendor = [v for v in paid if v.direct_campaign_id is not None]
    by_tags = [
        v
        for v in paid
        if v.direct_campaign_id is None and v.utm_campaign == str(v.campaign_id)
    ]
    names = {c.name: c.campaign_id for c in usual.campaigns}
    by_name = [
        v
        for v in paid
        if v.direct_campaign_id is None and names.get(v.utm_campaign) == v.campaign_id
    ]
    lost = [v for v in paid if v.direct_campaign_id is None and not v.utm_campaign]
    assert len(vendor) + len(by_tags) + len(by_name) + len(lost) == len(paid)
    assert all(v.direct_campaign_id == v.campaign_id for v in vendor)
    shares = [len(rows) / len(paid) for rows in (vendor, by_tags, by_name, lost)]
    assert shares[0] > 0.75
    assert min(shares) > 0.02


def test_tags_are_those_of_the_address(usual):
    for visit in usual.visits:
        query = parse_qs(urlsplit(visit.start_url).query)
        for name in ("utm_source", "utm_campaign", "utm_content", "utm_term"):
            assert query.get(name, [""])[0] == getattr(visit, name)
    clicked = [v for v in usual.visits if "yclid=" in v.start_url]
    yclids = [parse_qs(urlsplit(v.start_url).query)["yclid"][0] for v in clicked]
    assert len(set(yclids)) == len(yclids)
    assert all(re.fullmatch(r"\d{19}", yclid) for yclid in yclids)


def test_macros_of_the_href_are_filled(usual):
    ads = {ad.ad_id: ad for ad in usual.ads}
    keywords = {keyword.keyword_id: keyword for keyword in usual.keywords}
    seen = 0
    for visit in usual.visits:
        assert "{" not in visit.start_url
        if visit.direct_ad_id and "{ad_id}" in ads[visit.direct_ad_id].href:
            assert visit.utm_content == str(visit.direct_ad_id)
            keyword = keywords.get(visit.direct_keyword_id or 0)
            if keyword and keyword.text != "---autotargeting":
                assert visit.utm_term == without_operators(keyword.text)
                seen += 1
    assert seen > 1000


def test_ids_are_unique_and_typed_as_the_vendors_type_them(usual):
    for rows, name in (
        (usual.visits, "visit_id"),
        (usual.calls, "call_id"),
        (usual.leads, "lead_id"),
        (usual.deals, "deal_id"),
        (usual.contacts, "contact_id"),
        (usual.campaigns, "campaign_id"),
        (usual.ads, "ad_id"),
        (usual.keywords, "keyword_id"),
    ):
        assert len({getattr(row, name) for row in rows}) == len(rows)
    assert {len(str(visit.visit_id)) for visit in usual.visits} == {19}
    assert {len(visit.client_id) for visit in usual.visits} == {17, 18, 19}
    keys = Counter(
        (
            row.date,
            row.campaign_id,
            row.ad_group_id,
            row.ad_id,
            row.criterion_id,
            row.criterion_type,
            row.network,
            row.device,
        )
        for row in usual.ad_costs
    )
    assert max(keys.values()) == 1


def test_phones_are_fictional_and_valid(usual):
    own = {number.number for number in usual.static_numbers} | set(usual.pool_numbers)
    phones = {phone for person in usual.persons for phone in person.phones}
    phones |= {f"+{number}" for number in own}
    phones |= {f"+{c.caller_number}" for c in usual.calls if c.caller_number.isdigit()}
    assert len(phones) > 2000
    for phone in phones:
        assert re.fullmatch(r"\+7(900000|999000|495000|800000)\d{4}", phone), (
            "outside the ranges nobody has"
        )
        assert phonenumbers.is_valid_number(phonenumbers.parse(phone, "RU"))
    people = {phone for person in usual.persons for phone in person.phones}
    assert not people & {f"+{number}" for number in own}


def test_typed_phones_and_mails_are_fictional_too(usual):
    typed = [p for row in (*usual.contacts, *usual.leads) for p in row.phones]
    assert len({re.sub(r"\d", "0", phone) for phone in typed}) > 8
    for phone in typed:
        matches = list(phonenumbers.PhoneNumberMatcher(phone, "RU"))
        assert matches, phone
        for match in matches:
            national = str(match.number.national_number)
            assert re.match(r"(900000|999000|495000)", national), phone
    mails = [m for row in (*usual.contacts, *usual.leads) for m in row.emails]
    assert all(re.search(r"@example\.(com|org|net)$", mail.lower()) for mail in mails)


def test_names_of_campaigns_are_awkward(usual):
    names = "".join(campaign.name for campaign in usual.campaigns)
    for sign in ('"', "|", "«", "🪟", "\u00a0"):
        assert sign in names
    assert any(campaign.name.startswith(" ") for campaign in usual.campaigns)


def test_the_office_has_its_mess(usual):
    view = usual.as_of(usual.now)
    phones = Counter(phone for p in usual.persons for phone in p.phones)
    assert any(number > 1 for number in phones.values()), "a shared phone"
    cards = Counter(contact.person_id for contact in view.contacts)
    assert any(number > 1 for number in cards.values()), "a double card"
    assert any(contact.merged_into for contact in usual.contacts)
    assert any(deal.deleted_at for deal in usual.deals)
    assert any(deal.deleted_at and deal.semantic == "S" for deal in usual.deals)
    assert any(deal.semantic == "S" and not deal.amount_kopecks for deal in view.deals)
    assert any(deal.lead_id is None for deal in view.deals)
    assert any(deal.refund_kopecks for deal in view.deals)
    assert any(not lead.phones for lead in view.leads)
    assert any(lead.is_spam for lead in view.leads)
    assert any(lead.is_test for lead in view.leads)
    assert any(lead.is_duplicate for lead in view.leads)
    assert any(call.visit_id is None for call in view.calls)
    assert any(call.duration_s < 0 for call in view.calls)
    assert any(call.caller_number == "anonymous" for call in view.calls)
    assert any(call.deleted_at for call in usual.calls)
    assert any("ё" in contact.last_name for contact in view.contacts)
    assert any(visit.revised_at for visit in usual.visits)


def test_a_quiet_night_and_a_slow_weekend(usual):
    hours = Counter((visit.started_at.hour + 3) % 24 for visit in usual.visits)
    assert sum(hours[hour] for hour in (2, 3, 4)) * 10 < sum(
        hours[hour] for hour in (11, 12, 13)
    )
    days = Counter(moscow_day(visit.started_at).weekday() for visit in usual.visits)
    assert days[5] + days[6] < 0.8 * (days[0] + days[1])


# --- laws -----------------------------------------------------------------------------


def test_everything_belongs_to_something(usual):
    people = {person.person_id for person in usual.persons}
    clients = {c: p.person_id for p in usual.persons for c in p.client_ids}
    visits = {visit.visit_id: visit for visit in usual.visits}
    leads = {lead.lead_id: lead for lead in usual.leads}
    contacts = {contact.contact_id: contact for contact in usual.contacts}
    assert all(clients[v.client_id] == v.person_id for v in usual.visits)
    for deal in usual.deals:
        assert deal.person_id in people
        if deal.lead_id is not None:
            assert leads[deal.lead_id].person_id == deal.person_id
        if deal.contact_id is not None:
            assert contacts[deal.contact_id].person_id == deal.person_id
    for call in usual.calls:
        assert call.person_id is None or call.person_id in people
        if call.visit_id is not None:
            assert visits[call.visit_id].person_id == call.person_id
            assert visits[call.visit_id].started_at <= call.at
        else:
            assert (call.client_id, call.session_id, call.url) == (None, None, None)
            assert call.medium == "offline"
            assert call.source == call.phone_number
    for lead in usual.leads:
        if lead.ym_client_id is not None:
            assert clients[lead.ym_client_id] == lead.person_id


def test_money_is_consistent(usual):
    for row in usual.ad_costs:
        assert 0 <= row.clicks <= row.impressions
        assert (row.cost_kopecks > 0) == (row.clicks > 0)
        assert (row.restated_on is None) == (row.cost_kopecks == row.first_cost_kopecks)
        assert row.restated_on is None or row.restated_on > row.date
    assert any(row.cost_kopecks % 100 for row in usual.ad_costs)
    for deal in usual.deals:
        if deal.margin_kopecks is not None:
            assert 0 <= deal.margin_kopecks <= deal.amount_kopecks
        if deal.refund_kopecks is not None:
            assert deal.closed_at
            assert deal.refunded_at
            assert 0 < deal.refund_kopecks <= deal.amount_kopecks
            assert deal.refunded_at > deal.closed_at
            assert deal.refund_date == moscow_day(deal.refunded_at)
    amounts = [d.amount_kopecks for d in usual.deals if d.semantic == "S"]
    assert any(amount % 100 for amount in amounts)


def test_cost_before_and_after_a_restatement(usual):
    row = next(row for row in usual.ad_costs if row.restated_on is not None)
    assert row.restated_on is not None

    def shown(day: date) -> int:
        for found in usual.ad_costs_as_of(day):
            if found == row or (
                found.first_cost_kopecks == row.first_cost_kopecks
                and (found.date, found.ad_id, found.criterion_id, found.device)
                == (row.date, row.ad_id, row.criterion_id, row.device)
            ):
                return found.cost_kopecks
        raise AssertionError("the row is gone")

    assert shown(row.restated_on - timedelta(days=1)) == row.first_cost_kopecks
    assert shown(row.restated_on) == row.cost_kopecks
    late = usual.ad_costs_as_of(END + timedelta(days=365))
    assert late == usual.ad_costs


def test_costs_of_the_running_day_are_not_shown(small):
    middle = small.start_date + timedelta(days=5)
    assert max(row.date for row in small.ad_costs_as_of(middle)) < middle


def test_at_the_end_only_restatements_are_still_to_come(usual):
    view = usual.as_of(default_now(END) + timedelta(days=300))
    assert len(view.visits) == len(usual.visits)
    assert view.stage_changes[-1].at < default_now(END)
    now = usual.as_of(usual.now)
    assert sum(r.cost_kopecks for r in now.ad_costs) != sum(
        r.cost_kopecks for r in view.ad_costs
    )


def test_merged_cards_leave_their_phones_and_deals_to_the_survivor(usual):
    checked = 0
    for gone in usual.contacts:
        if gone.merged_into is None or gone.deleted_at is None:
            continue
        before = usual.as_of(gone.deleted_at - timedelta(seconds=1))
        after = usual.as_of(gone.deleted_at)
        assert gone.contact_id in {c.contact_id for c in before.contacts}
        cards = {c.contact_id: c for c in after.contacts}
        assert gone.contact_id not in cards
        survivor = cards[gone.merged_into]
        assert set(gone.phones) <= set(survivor.phones)
        assert survivor.modified_at == gone.deleted_at
        moved = {d.deal_id for d in before.deals if d.contact_id == gone.contact_id}
        for deal in after.deals:
            assert deal.contact_id != gone.contact_id
            if deal.deal_id in moved:
                assert deal.contact_id == survivor.contact_id
        assert all(k.contact_id != gone.contact_id for k in after.deal_contacts)
        checked += 1
        if checked == 4:
            break
    assert checked


def test_amount_margin_and_refund_appear_when_they_are_known(usual):
    def shown(deal_id, at):
        return next(d for d in usual.as_of(at).deals if d.deal_id == deal_id)

    moment = timedelta(seconds=1)
    refunded = [deal for deal in usual.deals if deal.refunded_at][:5]
    assert refunded
    for deal in refunded:
        before = shown(deal.deal_id, deal.contracted_at - moment)
        assert before.amount_kopecks == deal.estimate_kopecks
        signed = shown(deal.deal_id, deal.contracted_at)
        assert signed.amount_kopecks == deal.amount_kopecks
        assert signed.modified_at == deal.contracted_at
        assert signed.margin_kopecks is None
        won = shown(deal.deal_id, deal.refunded_at - moment)
        assert won.margin_kopecks == deal.margin_kopecks
        assert (won.refund_kopecks, won.refund_date) == (None, None)
        assert won.modified_at < deal.refunded_at
        back = shown(deal.deal_id, deal.refunded_at)
        assert back.refund_kopecks == deal.refund_kopecks
        assert back.modified_at == deal.refunded_at


def test_view_needs_an_aware_moment(small):
    with pytest.raises(ValueError, match="aware"):
        small.as_of(datetime(2026, 5, 25))


hours = st.integers(min_value=0, max_value=24 * 15)


@settings(max_examples=40, deadline=None)
@given(hours, hours)
def test_views_only_grow_and_modification_times_tell_what_changed(one, two):
    world = _small_for_laws()
    start = datetime(2026, 5, 17, 21, tzinfo=UTC)
    early, late = sorted(start + timedelta(hours=h) for h in (one, two))
    before, after = world.as_of(early), world.as_of(late)
    assert {v.visit_id for v in before.visits} <= {v.visit_id for v in after.visits}
    for rows, key, old_rows, everything in (
        (after.leads, "lead_id", before.leads, world.leads),
        (after.deals, "deal_id", before.deals, world.deals),
        (after.contacts, "contact_id", before.contacts, world.contacts),
        (after.calls, "call_id", before.calls, world.calls),
    ):
        new = {getattr(row, key): row for row in rows}
        for old in old_rows:
            name = getattr(old, key)
            full = next(row for row in everything if getattr(row, key) == name)
            if name not in new:
                assert full.deleted_at is not None
                assert early < full.deleted_at <= late
            elif key != "call_id" and _without_card(old) != _without_card(new[name]):
                assert early < new[name].modified_at <= late
        for row in rows:
            if key != "call_id":
                assert row.created_at <= row.modified_at <= late
    owners = {("lead", r.lead_id) for r in after.leads}
    owners |= {("deal", r.deal_id) for r in after.deals}
    assert {(c.entity, c.owner_id) for c in after.stage_changes} == owners
    last = {(c.entity, c.owner_id): c for c in after.stage_changes}
    for deal in after.deals:
        assert deal.stage_id == last[("deal", deal.deal_id)].stage_id
        assert deal.closed == (deal.semantic != "P") == (deal.closed_at is not None)
        assert (deal.margin_kopecks is not None) == (deal.semantic == "S")
    for lead in after.leads:
        assert lead.status_id == last[("lead", lead.lead_id)].stage_id


def _without_card(row: object) -> dict[str, object]:
    """A merge moves the card a lead or deal points to without touching its date."""
    names = [f.name for f in fields(row)]  # type: ignore[arg-type]
    return {name: getattr(row, name) for name in names if name != "contact_id"}


_worlds: list[World] = []


def _small_for_laws() -> World:
    if not _worlds:
        _worlds.append(build_world(5, END, size="small"))
    return _worlds[0]
