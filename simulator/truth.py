"""What really happened in the simulated company, for comparing marts with it.

All money is kopecks; a `now` (aware; default `world.now`) cuts the truth the way the
APIs are cut, so that both sides know the same. Nothing here is served by any API.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from dataclasses import asdict, astuple, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from simulator import catalogue
from simulator.world import moscow_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path

    from simulator.world import World

KINDS = ("client_id", "phone", "email", "contact", "lead", "deal")
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


@dataclass(frozen=True)
class SpendDay:
    """Cost of one civil day x campaign x show condition x network, without VAT."""

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

    A repeat order is caused by what caused the first one.
    """

    deal_id: int
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
    """The whole company in one line, every figure as the APIs would add up."""

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
    return [
        SpendDay(day, campaign, names[campaign], keyword_id, keyword, network, *held)
        for (day, campaign, keyword_id, keyword, network), held in sorted(
            sums.items(), key=lambda item: (item[0][0], item[0][1], item[0][2] or 0)
        )
    ]


def sales(world: World, now: datetime | None = None) -> list[Sale]:
    """Deals won with money by `now`, deleted ones left out, in order of closing."""
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


def channels(world: World, now: datetime | None = None) -> list[ChannelTotal]:
    """Sums by the channel that really caused them, the largest margin first."""
    view = world.as_of(now or world.now)
    cost: Counter[str] = Counter()
    for row in view.ad_costs:
        side = "search" if row.network == "SEARCH" else "network"
        cost[f"yandex_direct_{side}"] += row.cost_kopecks
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
                len({sale.person_id for sale in mine}),
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
    """The company's sums at `now`."""
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
        sum(row.cost_kopecks for row in view.ad_costs),
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


def persons(world: World, now: datetime | None = None) -> list[PersonTruth]:
    """Who is who: everybody with the ids the APIs know of them at `now`."""
    view = world.as_of(now or world.now)
    seen = {visit.client_id for visit in view.visits}
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
        )
        for person in world.persons
    ]


def phones_in(typed: str) -> list[str]:
    """The numbers in what somebody typed, as +7XXXXXXXXXX."""
    found = []
    for part in typed.split(","):
        digits = re.sub(r"\D", "", part)
        if len(digits) in (10, 11):
            found.append(f"+7{digits[-10:]}")
    return found


_NOBODYS = {f"+{catalogue.SWITCHBOARD}", f"+{catalogue.OFFICE_NUMBER}"} | {
    phone for typed in catalogue.PLACEHOLDERS for phone in phones_in(typed)
}


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
        ):
            for value in values:
                held[(kind, value)].add(person.person_id)
    for lead in world.as_of(now or world.now).leads:
        if lead.person_id is None:
            nobody = "nobody-tests" if lead.is_test else f"nobody-{lead.lead_id}"
            held[("lead", str(lead.lead_id))].add(nobody)
    return {node: frozenset(people) for node, people in held.items()}


def evidence(world: World, now: datetime | None = None) -> list[tuple[Node, Node]]:
    """Pairs of identifiers that some record joins, as the APIs show them at `now`."""
    view = world.as_of(now or world.now)
    edges: list[tuple[Node, Node]] = []

    def join(one: Node, kind: str, values: Iterable[str]) -> None:
        edges.extend((one, (kind, value)) for value in values)

    for contact in view.contacts:
        node = ("contact", str(contact.contact_id))
        join(node, "phone", (p for t in contact.phones for p in phones_in(t)))
        join(node, "email", (mail.lower() for mail in contact.emails))
    for lead in view.leads:
        node = ("lead", str(lead.lead_id))
        join(node, "phone", (p for t in lead.phones for p in phones_in(t)))
        join(node, "email", (mail.lower() for mail in lead.emails))
        join(node, "client_id", [lead.ym_client_id] if lead.ym_client_id else [])
        join(node, "contact", [str(lead.contact_id)] if lead.contact_id else [])
    for deal in view.deals:
        node = ("deal", str(deal.deal_id))
        join(node, "lead", [str(deal.lead_id)] if deal.lead_id else [])
        join(node, "contact", [str(deal.contact_id)] if deal.contact_id else [])
        join(node, "client_id", [deal.ym_client_id] if deal.ym_client_id else [])
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
    groups = linkable(world, now)
    whose = owners(world, now)
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
    """Write the truth as CSV files and totals.json; returns what was written."""
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
    path = folder / "totals.json"
    content = {
        "seed": world.seed,
        "start_date": world.start_date.isoformat(),
        "end_date": world.end_date.isoformat(),
        "now": (now or world.now).isoformat(),
        **asdict(totals(world, now)),
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return [*written, path]


def _cell(value: object) -> object:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "" if value is None else value
