"""What really happened in the simulated group, for comparing marts with it.

Every function takes one firm (`world.branch(name)`); `group_...` ones and
`totals_by_source` take any firm and tell of all three. All money is kopecks; a `now` (aware; default `world.now`) cuts the truth the way the
APIs are cut, so that both sides know the same. Nothing here is served by any API.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from dataclasses import asdict, astuple, dataclass, fields
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

from simulator import catalogue
from simulator.build import FIRMS
from simulator.world import BRANCHES, KAZAN, SPB, ad_channel, moscow_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from simulator.causes import ChannelEffect
    from simulator.world import Payment, World

KINDS = (
    "client_id",
    "phone",
    "email",
    "contact",
    "lead",
    "deal",
    "visitor_id",
    "ym_uid",
    "offline_sale",
)
_VAT = (  # from this day on; the seed vat_rates of the warehouse says the same
    (date(2026, 1, 1), Fraction(22, 100)),
    (date(2019, 1, 1), Fraction(20, 100)),
    (date.min, Fraction(18, 100)),
)
Node = tuple[str, str]
Found = TypeVar("Found")


@dataclass(frozen=True)
class PersonTruth:
    """Everything that belongs to one human being, as known at `now`.

    Phones are +7XXXXXXXXXX, e-mails lower case; ids are as the vendors' but text.
    """

    person_id: str
    name: str
    client_ids: tuple[str, ...]
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    contact_ids: tuple[str, ...]
    lead_ids: tuple[str, ...]
    deal_ids: tuple[str, ...]
    visitor_ids: tuple[str, ...] = ()
    ym_uids: tuple[str, ...] = ()
    offline_sale_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class SpendDay:
    """Cost of one civil day x campaign x show condition x network, without VAT.

    Of costs written down by hand (with VAT): the row's number, name, source and medium,
    an even share for each of its days.
    """

    date: date
    campaign_id: int
    campaign_name: str
    keyword_id: int | None
    keyword: str
    network: str
    impressions: int
    clicks: int
    cost_kopecks: int


@dataclass(frozen=True)
class Sale:
    """One won deal with money, and the touch that really caused it.

    A repeat order is caused by what caused the first one. Where payments are known
    (kazan, with VAT) a sale is a deal somebody paid for, closed by the last payment, or
    a sale at the counter, which has no deal.
    """

    deal_id: int | None
    person_id: str
    lead_id: int | None
    manager_id: int
    created_at: datetime
    closed_at: datetime
    closed_date: date
    amount_kopecks: int
    margin_kopecks: int
    refund_kopecks: int
    refund_date: date | None
    is_repeat: bool
    channel: str
    campaign_id: int | None
    keyword_id: int | None
    offline_sale_id: int | None = None


@dataclass(frozen=True)
class ChannelTotal:
    """A channel's sums by true cause; `leads` are neither spam, test nor double."""

    channel: str
    cost_kopecks: int
    visits: int
    leads: int
    sales: int
    customers: int
    revenue_gross_kopecks: int
    refunds_kopecks: int
    revenue_kopecks: int
    margin_kopecks: int


@dataclass(frozen=True)
class KeywordTotal:
    """Which show condition earns: spend and what it really caused."""

    campaign_id: int
    keyword_id: int | None
    keyword: str
    cost_kopecks: int
    clicks: int
    sales: int
    revenue_kopecks: int
    margin_kopecks: int


@dataclass(frozen=True)
class Totals:
    """A firm in one line, every figure as the APIs would add up."""

    cost_kopecks: int
    impressions: int
    clicks: int
    visits: int
    calls: int
    unique_target_calls: int
    leads_raw: int
    leads_spam: int
    leads_test: int
    leads_duplicate: int
    leads: int
    deals: int
    sales: int
    revenue_gross_kopecks: int
    refunds_kopecks: int
    revenue_kopecks: int
    margin_kopecks: int


@dataclass(frozen=True)
class Accuracy:
    """How well identifiers were joined into persons, by pairs of identifiers.

    `recall` counts all pairs of one human; `recall_linkable` those that some evidence
    (a form, a call, a card) really joins: what a perfect resolver can reach.
    """

    identifiers: int
    pairs_true: int
    pairs_linkable: int
    pairs_assigned: int
    pairs_right: int
    pairs_right_linkable: int
    precision: float
    recall: float
    recall_linkable: float


def spend(world: World, now: datetime | None = None) -> list[SpendDay]:
    """Cost by day x campaign x keyword x network as the API shows it at `now`."""
    sums: dict[tuple[date, int, int | None, str, str], list[int]] = defaultdict(
        lambda: [0, 0, 0]
    )
    for row in world.ad_costs_as_of(moscow_day(now or world.now)):
        key = (
            row.date,
            row.campaign_id,
            row.criterion_id,
            row.criterion,
            row.network,
        )
        held = sums[key]
        held[0] += row.impressions
        held[1] += row.clicks
        held[2] += row.cost_kopecks
    names = {row.campaign_id: row.name for row in world.campaigns}
    rows = [
        SpendDay(day, campaign, names[campaign], keyword_id, keyword, network, *held)
        for (day, campaign, keyword_id, keyword, network), held in sums.items()
    ]
    for cost in world.as_of(now or world.now).manual_costs:
        days = (cost.date_to - cost.date_from).days + 1
        for n in range(days):
            part = cost.amount_kopecks * (n + 1) // days
            part -= cost.amount_kopecks * n // days
            day = cost.date_from + timedelta(days=n)
            name, where = cost.campaign, f"{cost.source} / {cost.medium}"
            rows.append(SpendDay(day, cost.cost_id, name, None, "", where, 0, 0, part))
    return sorted(
        rows, key=lambda row: (row.date, row.campaign_id, row.keyword_id or 0)
    )


def sales(world: World, now: datetime | None = None) -> list[Sale]:
    """Deals won with money by `now`, deleted ones left out, in order of closing."""
    if world.name == KAZAN:
        return _paid_sales(world.as_of(now or world.now))
    rows = [
        Sale(
            deal.deal_id,
            deal.person_id,
            deal.lead_id,
            deal.manager_id,
            deal.created_at,
            deal.closed_at,
            moscow_day(deal.closed_at),
            deal.amount_kopecks,
            deal.margin_kopecks or 0,
            deal.refund_kopecks or 0,
            deal.refund_date,
            deal.is_return_customer,
            deal.cause_channel,
            deal.cause_campaign_id,
            deal.cause_keyword_id,
        )
        for deal in world.as_of(now or world.now).deals
        if deal.semantic == "S" and deal.amount_kopecks and deal.closed_at is not None
    ]
    return sorted(rows, key=lambda sale: (sale.closed_at, sale.deal_id))


def _paid_sales(view: World) -> list[Sale]:
    """Sales of a firm whose money is known by payments and sales at the counter."""
    paid: dict[int, list[Payment]] = defaultdict(list)
    for payment in view.payments:
        paid[payment.deal_id].append(payment)
    rows = []
    for deal in view.deals:
        came = [row for row in paid[deal.deal_id] if row.amount_kopecks > 0]
        back = [row for row in paid[deal.deal_id] if row.amount_kopecks < 0]
        if came:
            rows.append(
                Sale(
                    deal.deal_id,
                    deal.person_id,
                    deal.lead_id,
                    deal.manager_id,
                    deal.created_at,
                    came[-1].at,
                    moscow_day(came[-1].at),
                    sum(row.amount_kopecks for row in came),
                    deal.margin_kopecks or 0,
                    -sum(row.amount_kopecks for row in back),
                    moscow_day(back[-1].at) if back else None,
                    False,
                    deal.cause_channel,
                    None,
                    None,
                )
            )
    for sold in view.offline_sales:
        rows.append(
            Sale(
                None,
                sold.person_id or "",
                None,
                0,
                sold.at,
                sold.at,
                moscow_day(sold.at),
                sold.amount_kopecks,
                sold.amount_kopecks - sold.cost_kopecks,
                0,
                None,
                False,
                sold.channel,
                None,
                None,
                sold.sale_id,
            )
        )
    return sorted(
        rows,
        key=lambda sale: (sale.closed_at, sale.deal_id or 0, sale.offline_sale_id or 0),
    )


def channels(world: World, now: datetime | None = None) -> list[ChannelTotal]:
    """Sums by the channel that really caused them, the largest margin first."""
    view = world.as_of(now or world.now)
    cost: Counter[str] = Counter()
    for row in view.ad_costs:
        cost[ad_channel(row.platform, row.network)] += row.cost_kopecks
    for written in view.manual_costs:
        cost[written.channel] += written.amount_kopecks
    visits = Counter(visit.channel for visit in view.visits)
    leads = Counter(
        lead.cause_channel
        for lead in view.leads
        if lead.cause_channel is not None and not lead.is_duplicate
    )
    sold = sales(world, now)
    rows = []
    for channel in sorted({*cost, *visits, *leads, *(s.channel for s in sold)}):
        mine = [sale for sale in sold if sale.channel == channel]
        gross = sum(sale.amount_kopecks for sale in mine)
        back = sum(sale.refund_kopecks for sale in mine)
        rows.append(
            ChannelTotal(
                channel,
                cost[channel],
                visits[channel],
                leads[channel],
                len(mine),
                len({sale.person_id for sale in mine} - {""}),
                gross,
                back,
                gross - back,
                sum(sale.margin_kopecks for sale in mine),
            )
        )
    return sorted(rows, key=lambda row: (-row.margin_kopecks, row.channel))


def keywords(world: World, now: datetime | None = None) -> list[KeywordTotal]:
    """Spend and caused sales by show condition, the dearest first."""
    spent: dict[tuple[int, int | None], list[int]] = defaultdict(lambda: [0, 0])
    text: dict[tuple[int, int | None], str] = {}
    for row in spend(world, now):
        key = (row.campaign_id, row.keyword_id)
        spent[key][0] += row.cost_kopecks
        spent[key][1] += row.clicks
        text[key] = row.keyword
    caused: dict[tuple[int, int | None], list[Sale]] = defaultdict(list)
    for sale in sales(world, now):
        if sale.campaign_id is not None:
            caused[(sale.campaign_id, sale.keyword_id)].append(sale)
    rows = [
        KeywordTotal(
            key[0],
            key[1],
            text.get(key, ""),
            spent[key][0],
            spent[key][1],
            len(caused[key]),
            sum(sale.amount_kopecks - sale.refund_kopecks for sale in caused[key]),
            sum(sale.margin_kopecks for sale in caused[key]),
        )
        for key in {*spent, *caused}
    ]
    return sorted(rows, key=lambda row: (-row.cost_kopecks, row.keyword_id or 0))


def totals(world: World, now: datetime | None = None) -> Totals:
    """A firm's sums at `now`; kazan's money is with VAT, the others' without."""
    view = world.as_of(now or world.now)
    sold = sales(world, now)
    gross = sum(sale.amount_kopecks for sale in sold)
    back = sum(sale.refund_kopecks for sale in sold)
    flags = Counter(
        "spam"
        if lead.is_spam
        else "test"
        if lead.is_test
        else "duplicate"
        if lead.is_duplicate
        else "valid"
        for lead in view.leads
    )
    return Totals(
        sum(row.cost_kopecks for row in view.ad_costs)
        + sum(row.amount_kopecks for row in view.manual_costs),
        sum(row.impressions for row in view.ad_costs),
        sum(row.clicks for row in view.ad_costs),
        len(view.visits),
        len(view.calls),
        sum(call.unique_target for call in view.calls),
        len(view.leads),
        flags["spam"],
        flags["test"],
        flags["duplicate"],
        flags["valid"],
        len(view.deals),
        len(sold),
        gross,
        back,
        gross - back,
        sum(sale.margin_kopecks for sale in sold),
    )


def without_vat(kopecks: int, day: date) -> Fraction:
    """An amount with VAT of a civil day, without it; exact."""
    rate = next(rate for since, rate in _VAT if since <= day)
    return Fraction(kopecks) / (1 + rate)


def group_totals(world: World, now: datetime | None = None) -> Totals:
    """The three firms' sums, all money without VAT and rounded once at the end."""
    moment = now or world.now
    firms = [world.branch(name) for name in BRANCHES]
    parts = [asdict(totals(firm, moment)) for firm in firms]
    sums: dict[str, Fraction] = {
        name: sum((Fraction(part[name]) for part in parts), Fraction())
        for name in parts[0]
    }
    for firm in firms:
        if firm.name == KAZAN:
            sums_with_vat, bare = totals(firm, moment), _kazan_bare(firm, moment)
            for name, value in bare.items():
                sums[name] += value - getattr(sums_with_vat, name)
    return Totals(**{name: round(value) for name, value in sums.items()})


def _kazan_bare(firm: World, now: datetime) -> dict[str, Fraction]:
    """The money of a firm that counts with VAT, without it: by the day it moved."""
    view = firm.as_of(now)
    none = Fraction()
    cost = sum((without_vat(r.cost_kopecks, r.date) for r in spend(firm, now)), none)
    moved = [(row.amount_kopecks, moscow_day(row.at)) for row in view.payments]
    moved += [(row.amount_kopecks, moscow_day(row.at)) for row in view.offline_sales]
    gross = sum((without_vat(sum_, day) for sum_, day in moved if sum_ > 0), none)
    back = sum((without_vat(-sum_, day) for sum_, day in moved if sum_ < 0), none)
    sold = sales(firm, now)
    margin = sum((without_vat(r.margin_kopecks, r.closed_date) for r in sold), none)
    return {
        "cost_kopecks": cost,
        "revenue_gross_kopecks": gross,
        "refunds_kopecks": back,
        "revenue_kopecks": gross - back,
        "margin_kopecks": margin,
    }


def totals_by_source(
    world: World, now: datetime | None = None
) -> dict[str, dict[str, int]]:
    """What each source of the group shows at `now`: counts, and money in kopecks.

    Money is as the source has it: google_sheets and files with VAT, the others
    without. `payments`: bills paid in bitrix24, payments less refunds in files.
    """
    moment = now or world.now
    msk, spb, kazan = (world.branch(name).as_of(moment) for name in BRANCHES)
    shown: dict[str, dict[str, int]] = {}
    for platform, view in (
        ("yandex_direct", msk),
        ("google_ads", spb),
        ("meta_ads", spb),
        ("vk_ads", spb),
    ):
        rows = [row for row in view.ad_costs if row.platform == platform]
        shown[platform] = {
            "spend": sum(row.cost_kopecks for row in rows),
            "impressions": sum(row.impressions for row in rows),
            "clicks": sum(row.clicks for row in rows),
        }
    shown["yandex_metrica"] = {"visits": len(msk.visits)}
    shown["ga4"] = {"visits": len(spb.visits)}
    shown["calltouch"] = {"calls": len(msk.calls), "messages": len(msk.messages)}
    shown["comagic"] = {
        "visits": len(spb.visits),
        "calls": len(spb.calls),
        "messages": len(spb.messages),
    }
    paid = [row.amount_kopecks for row in msk.invoices if row.stage == "paid"]
    shown["bitrix24"] = {
        "leads": len(msk.leads),
        "deals": len(msk.deals),
        "payments": sum(paid),
    }
    shown["amocrm"] = {"leads": len(spb.leads), "deals": len(spb.deals)}
    written: Counter[str] = Counter()
    for cost in kazan.manual_costs:
        written[cost.where] += cost.amount_kopecks
    shown["google_sheets"] = {"leads": len(kazan.leads), "spend": written["sheet"]}
    shown["files"] = {
        "spend": written["file"],
        "deals": len(kazan.deals),
        "payments": sum(row.amount_kopecks for row in kazan.payments),
        "offline_sales": sum(row.amount_kopecks for row in kazan.offline_sales),
    }
    return shown


def persons(world: World, now: datetime | None = None) -> list[PersonTruth]:
    """Who is who: everybody with the ids the APIs know of them at `now`."""
    view = world.as_of(now or world.now)
    seen = {visit.client_id for visit in view.visits}
    visitors = {visit.visitor_id for visit in view.visits}
    uids = {visit.ym_uid for visit in view.visits}
    bought: dict[str, list[str]] = defaultdict(list)
    for sold in view.offline_sales:
        if sold.person_id is not None and sold.phone:
            bought[sold.person_id].append(str(sold.sale_id))
    contacts: dict[str, list[str]] = defaultdict(list)
    leads: dict[str, list[str]] = defaultdict(list)
    deals: dict[str, list[str]] = defaultdict(list)
    for contact in view.contacts:
        contacts[contact.person_id].append(str(contact.contact_id))
    for lead in view.leads:
        if lead.person_id is not None:
            leads[lead.person_id].append(str(lead.lead_id))
    for deal in view.deals:
        deals[deal.person_id].append(str(deal.deal_id))
    return [
        PersonTruth(
            person.person_id,
            " ".join((person.last_name, person.name, person.second_name)).strip(),
            tuple(client for client in person.client_ids if client in seen),
            person.phones,
            tuple(mail.lower() for mail in person.emails),
            tuple(contacts[person.person_id]),
            tuple(leads[person.person_id]),
            tuple(deals[person.person_id]),
            tuple(str(number) for number in person.visitor_ids if number in visitors),
            tuple(uid for uid in person.ym_uids if uid in uids),
            tuple(bought[person.person_id]),
        )
        for person in world.persons
    ]


def phones_in(typed: str) -> list[str]:
    """The numbers in what somebody typed, as +7XXXXXXXXXX."""
    found = []
    for part in re.split(r"[,;/\n]", typed):
        digits = re.sub(r"\D", "", part)
        if len(digits) in (10, 11):
            found.append(f"+7{digits[-10:]}")
    return found


_NOBODYS = {
    f"+{number}"
    for firm in FIRMS.values()
    for number in (firm.switchboard, firm.office_number)
} | {phone for typed in catalogue.PLACEHOLDERS for phone in phones_in(typed)}


def owners(world: World, now: datetime | None = None) -> dict[Node, frozenset[str]]:
    """Whose each identifier is; a shared phone has several owners.

    Spam leads belong to a nobody each, the firm's own tests to one nobody.
    """
    return dict(_kept(world, now, "owners", lambda: _owners(world, now)))


def _kept(
    world: World, now: datetime | None, name: str, make: Callable[[], Found]
) -> Found:
    """What was found out about a view once is kept with it."""
    cache = world.as_of(now or world.now).cache
    if name not in cache:
        cache[name] = make()
    found: Found = cache[name]
    return found


def _owners(world: World, now: datetime | None) -> dict[Node, frozenset[str]]:
    held: dict[Node, set[str]] = defaultdict(set)
    for person in persons(world, now):
        for kind, values in (
            ("client_id", person.client_ids),
            ("phone", person.phones),
            ("email", person.emails),
            ("contact", person.contact_ids),
            ("lead", person.lead_ids),
            ("deal", person.deal_ids),
            ("visitor_id", person.visitor_ids),
            ("ym_uid", person.ym_uids),
            ("offline_sale", person.offline_sale_ids),
        ):
            for value in values:
                held[(kind, value)].add(person.person_id)
    for lead in world.as_of(now or world.now).leads:
        if lead.person_id is None:
            nobody = "nobody-tests" if lead.is_test else f"nobody-{lead.lead_id}"
            held[("lead", str(lead.lead_id))].add(nobody)
            if world.name == SPB and lead.contact_id is not None:
                held[("contact", str(lead.contact_id))].add(nobody)
    return {node: frozenset(people) for node, people in held.items()}


def evidence(world: World, now: datetime | None = None) -> list[tuple[Node, Node]]:
    """Pairs of identifiers that some record joins, as the APIs show them at `now`."""
    view = world.as_of(now or world.now)
    edges: list[tuple[Node, Node]] = []

    def join(one: Node, kind: str, values: Iterable[str]) -> None:
        edges.extend((one, (kind, value)) for value in values)

    browsers = {
        (visit.client_id, visit.visitor_id, visit.ym_uid)
        for visit in view.visits
        if visit.visitor_id is not None
    }
    for client_id, visitor_id, ym_uid in sorted(browsers):
        node = ("client_id", client_id)
        join(node, "visitor_id", [str(visitor_id)])
        join(node, "ym_uid", [ym_uid] if ym_uid else [])
    for contact in view.contacts:
        node = ("contact", str(contact.contact_id))
        join(node, "phone", (p for t in contact.phones for p in phones_in(t)))
        join(node, "email", (mail.lower() for mail in contact.emails))
    for lead in view.leads:
        node = ("lead", str(lead.lead_id))
        join(node, "phone", (p for t in lead.phones for p in phones_in(t)))
        join(node, "email", (mail.lower() for mail in lead.emails))
        client = lead.ym_client_id or lead.ga_client_id
        join(node, "client_id", [client] if client else [])
        join(node, "ym_uid", [lead.ym_uid] if lead.ym_uid else [])
        join(node, "contact", [str(lead.contact_id)] if lead.contact_id else [])
    for deal in view.deals:
        node = ("deal", str(deal.deal_id))
        join(node, "lead", [str(deal.lead_id)] if deal.lead_id else [])
        join(node, "contact", [str(deal.contact_id)] if deal.contact_id else [])
        client = deal.ym_client_id or deal.ga_client_id
        join(node, "client_id", [client] if client else [])
        join(node, "phone", phones_in(deal.phone))
    for sold in view.offline_sales:
        node = ("offline_sale", str(sold.sale_id))
        join(node, "phone", phones_in(sold.phone))
    for message in view.messages:
        if message.client_id:
            node = ("client_id", message.client_id)
            join(node, "phone", (p for t in message.phones for p in phones_in(t)))
            join(node, "email", (mail.lower() for mail in message.emails))
    for call in view.calls:
        if call.client_id:
            for phone in phones_in(call.caller_number):
                edges.append((("phone", phone), ("client_id", call.client_id)))
    return [edge for edge in edges if not {edge[0][1], edge[1][1]} & _NOBODYS]


def linkable(world: World, now: datetime | None = None) -> dict[Node, int]:
    """For each identifier with one owner the group that evidence joins it to.

    Only evidence between things of the same one person counts.
    """
    return dict(_kept(world, now, "linkable", lambda: _linkable(world, now)))


def _linkable(world: World, now: datetime | None) -> dict[Node, int]:
    whose = owners(world, now)
    parent: dict[Node, Node] = {}

    def root(node: Node) -> Node:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for node, people in whose.items():
        if len(people) == 1:
            root(node)
    for one, other in evidence(world, now):
        mine, theirs = whose.get(one), whose.get(other)
        if mine is not None and mine == theirs and len(mine) == 1:
            parent[root(one)] = root(other)
    numbers: dict[Node, int] = {}
    return {node: numbers.setdefault(root(node), len(numbers)) for node in list(parent)}


def accuracy(
    world: World,
    assignment: Mapping[Node, str],
    token: Callable[[str, str], str] | None = None,
    kinds: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Accuracy:
    """Pairwise precision and recall of `{(kind, identifier): person_id}`.

    `kinds` renames the assignment's kinds to `KINDS` (others are left out). `token`
    turns a clear (kind, value) of a phone or an e-mail into the assignment's
    identifier. Identifiers of several owners, unknown ones and those nobody assigned
    do not count.
    """
    return _judged(owners(world, now), linkable(world, now), assignment, token, kinds)


def group_accuracy(
    world: World,
    assignment: Mapping[Node, str],
    token: Callable[[str, str], str] | None = None,
    kinds: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Accuracy:
    """`accuracy` over all firms at once: who joins people of two firms is wrong.

    Ids of a CRM (contact, lead, deal, offline_sale) are written `<firm>:<id>` here,
    such as `spb:30500017`.
    """
    whose: dict[Node, frozenset[str]] = {}
    groups: dict[Node, int] = {}
    for name in BRANCHES:
        firm, first = world.branch(name), len(groups)
        for node, people in owners(firm, now or world.now).items():
            known = whose.get(_of_group(name, node), frozenset())
            people = frozenset(f"{name} {person}" for person in people)
            whose[_of_group(name, node)] = known | people
        for node, number in linkable(firm, now or world.now).items():
            groups[_of_group(name, node)] = first + number
    return _judged(whose, groups, assignment, token, kinds)


def _of_group(firm: str, node: Node) -> Node:
    kind, value = node
    crm = kind in ("contact", "lead", "deal", "offline_sale")
    return kind, f"{firm}:{value}" if crm else value


def _judged(
    whose: Mapping[Node, frozenset[str]],
    groups: Mapping[Node, int],
    assignment: Mapping[Node, str],
    token: Callable[[str, str], str] | None,
    kinds: Mapping[str, str] | None,
) -> Accuracy:
    rename = kinds or {kind: kind for kind in KINDS}
    cells: list[tuple[str, int, str]] = []
    given: dict[Node, str] = {}
    for (kind, identifier), person in assignment.items():
        if kind in rename:
            given[(rename[kind], identifier)] = person
    for node, people in whose.items():
        kind, value = node
        if len(people) != 1:
            continue
        clear = kind in ("phone", "email") and token is not None
        key = (kind, token(kind, value)) if clear and token else node
        person_id = given.get(key)
        if person_id is not None:
            (owner,) = people
            cells.append((owner, groups[node], person_id))
    true = _pairs(owner for owner, _, _ in cells)
    can = _pairs(cell[:2] for cell in cells)
    assigned = _pairs(person for _, _, person in cells)
    right = _pairs((owner, person) for owner, _, person in cells)
    right_can = _pairs(cells)
    return Accuracy(
        len(cells),
        true,
        can,
        assigned,
        right,
        right_can,
        right / assigned if assigned else 1.0,
        right / true if true else 1.0,
        right_can / can if can else 1.0,
    )


def _pairs(labels: Iterable[object]) -> int:
    return sum(n * (n - 1) // 2 for n in Counter(labels).values())


def export(world: World, folder: Path, now: datetime | None = None) -> list[Path]:
    """Write the truth as CSV files and totals.json, a folder for each firm.

    `group.json` beside them holds the group's sums and those of each source. Returns
    what was written.
    """
    moment = now or world.now
    written = []
    for name in BRANCHES:
        written += _export_firm(world.branch(name), folder / name, moment)
    content = {
        "now": moment.isoformat(),
        "totals": asdict(group_totals(world, moment)),
        "sources": totals_by_source(world, moment),
    }
    return [*written, _json(folder / "group.json", content)]


def _export_firm(world: World, folder: Path, now: datetime) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, tuple[type, Sequence[Any]]] = {
        "persons": (PersonTruth, persons(world, now)),
        "spend": (SpendDay, spend(world, now)),
        "sales": (Sale, sales(world, now)),
        "channels": (ChannelTotal, channels(world, now)),
        "keywords": (KeywordTotal, keywords(world, now)),
    }
    written = []
    for name, (kind, rows) in tables.items():
        path = folder / f"{name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([item.name for item in fields(kind)])
            for row in rows:
                writer.writerow([_cell(value) for value in astuple(row)])
        written.append(path)
    content = {
        "firm": world.name,
        "seed": world.seed,
        "start_date": world.start_date.isoformat(),
        "end_date": world.end_date.isoformat(),
        "now": now.isoformat(),
        **asdict(totals(world, now)),
    }
    return [*written, _json(folder / "totals.json", content)]


def _json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return path


def _cell(value: object) -> object:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "" if value is None else value


def channel_effects(
    world: World, now: datetime | None = None, *, by_campaign: bool = False
) -> list[ChannelEffect]:
    """What would be lost without each channel; see `simulator.causes`."""
    from simulator import causes

    return causes.channel_effects(world, now, by_campaign=by_campaign)
