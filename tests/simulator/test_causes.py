"""A hard world for identity, and what channels really bring."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date

import pytest

from simulator import truth
from simulator.world import World, build_world

END = date(2026, 6, 1)


@pytest.fixture(scope="module")
def hard() -> World:
    """A third of the usual company, with everything that makes identity hard."""
    return build_world(2, END, days=60, size=0.5, scenario="hard")


def test_phones_are_shared_and_people_have_devices(hard):
    for name in ("msk", "spb"):
        firm = hard.branch(name)
        held = Counter(phone for p in firm.persons for phone in p.phones)
        shared = sum(number > 1 for number in held.values()) / len(held)
        assert shared == pytest.approx(0.15, abs=0.01)
        devices: dict[str, set[str]] = defaultdict(set)
        for visit in firm.visits:
            devices[visit.person_id].add(visit.device)
        several = sum(len(row) > 1 for row in devices.values()) / len(devices)
        assert several == pytest.approx(0.3, abs=0.01)


def test_some_calls_are_taken_for_another_visitor_s(hard):
    tied = [call for call in hard.calls if call.visit_id is not None]
    wrong = []
    for call in tied:
        visit = hard.visit_by_id[call.visit_id]
        assert visit.started_at <= call.at
        if visit.person_id != call.person_id:
            wrong.append(call)
            assert (call.at - visit.started_at).total_seconds() <= 1800
    assert 0.02 < len(wrong) / len(tied) < 0.12
    pairs = set(truth.evidence(hard))
    told = [c for c in wrong if c.client_id and c.caller_number.isdigit()]
    assert any(
        (("phone", f"+{c.caller_number}"), ("client_id", c.client_id)) in pairs
        for c in told
    )


def test_wrong_evidence_costs_precision_but_not_what_is_linkable(hard):
    groups = truth.linkable(hard)
    perfect = truth.accuracy(hard, {node: str(n) for node, n in groups.items()})
    assert perfect.precision == 1.0
    parent = {node: node for node in truth.owners(hard)}

    def root(node: truth.Node) -> truth.Node:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for one, other in truth.evidence(hard):
        parent[root(one)] = root(other)
    naive = truth.accuracy(hard, {node: str(root(node)) for node in parent})
    assert naive.recall_linkable == 1.0
    assert naive.precision < 0.9


def test_the_usual_world_has_no_such_trouble(usual):
    tied = [call for call in usual.calls if call.visit_id is not None]
    visits = usual.visit_by_id
    assert all(visits[c.visit_id].person_id == c.person_id for c in tied)


def _brand(world: World) -> tuple[float, int]:
    """The brand campaign's true sales and those with a last click on it."""
    brand = next(c.campaign_id for c in world.campaigns if "Бренд" in c.name)
    rows = truth.channel_effects(world, by_campaign=True)
    true = next(row.sales for row in rows if row.campaign_id == brand)
    leads = {lead.lead_id: lead for lead in world.leads}
    clicked = 0
    for sale in truth.sales(world):
        visit_id = leads[sale.lead_id].visit_id if sale.lead_id else None
        if visit_id is not None:
            clicked += world.visit_by_id[visit_id].campaign_id == brand
    return true, clicked


def test_brand_looks_better_than_it_is_only_when_it_is_shown_to_buyers(usual):
    true, clicked = _brand(usual)
    assert true < clicked / 2
    fair, clicked = _brand(build_world(1, END, confounding=False))
    assert fair > clicked / 2


@pytest.mark.parametrize("name", ["msk", "spb", "kazan"])
def test_effects_of_channels_are_of_the_size_of_what_they_caused(usual, name):
    firm = usual.branch(name)
    effects = {row.channel: row for row in truth.channel_effects(firm)}
    caused = {row.channel: row for row in truth.channels(firm)}
    assert set(effects) <= set(caused)
    total = sum(row.sales for row in effects.values())
    assert total == pytest.approx(truth.totals(firm).sales, rel=0.15)
    dearest = max(caused.values(), key=lambda row: row.revenue_kopecks)
    assert effects[dearest.channel].revenue_kopecks == pytest.approx(
        dearest.revenue_kopecks, rel=0.25
    )
    for channel, row in effects.items():
        assert row.leads >= 0
        if channel in ("offline", "classified"):
            assert row.leads == pytest.approx(caused[channel].leads, rel=0.2)


def test_effects_of_a_view_are_those_known_then(usual):
    then = truth.sales(usual)[60].closed_at
    early = truth.channel_effects(usual.as_of(then))
    late = truth.channel_effects(usual)
    assert 0 < sum(r.sales for r in early) < sum(r.sales for r in late) / 2
