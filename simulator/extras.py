"""What follows from a firm's data: queries, sites, page views, clicks, messages, bills.

Nothing here draws from the stream of chance that made the firm: each row has dice of
its own, thrown by its ids, so that a view and the whole agree on what both know.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import TYPE_CHECKING

from simulator.ads import DEVICES, without_operators
from simulator.people import plain_e, typed_phone
from simulator.world import (
    KAZAN,
    MOSCOW,
    MSK,
    AdClick,
    DealProduct,
    Hit,
    Invoice,
    Message,
    NumberLease,
    PlacementCost,
    SearchTerm,
    moscow_day,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from simulator.world import AdCost, Deal, Lead, Visit, World

_WORD = 2**64 - 1
_SUFFIXES = (
    "цена",
    "купить",
    "недорого",
    "отзывы",
    "рядом",
    "с установкой",
    "стоимость",
    "каталог",
    "фото",
    "в рассрочку",
    "своими руками",
    "от производителя",
    "какие лучше",
    "2026",
)
_FOUND = ("окна цены", "замена окон", "монтаж окон", "остекление", "окна каталог")
_SITES = (
    "dom-i-remont.example",
    "novosti-dnya.example",
    "pogoda-segodnya.example",
    "recepty-doma.example",
    "avto-forum.example",
    "kino-vecher.example",
    "stroyka-forum.example",
    "mamy-forum.example",
    "raspisanie.example",
    "kursy-valut.example",
)
_APPS = ("com.example.pogoda", "com.example.pasyans", "com.example.fonarik")
_PAGES = {
    "ceny": "Цены на окна",
    "kalkulyator": "Калькулятор",
    "kontakty": "Контакты",
    "zamer": "Вызвать замерщика",
    "otzyvy": "Отзывы",
    "okna": "Пластиковые окна",
}
_GOODS = (
    (101, "Окно ПВХ двухстворчатое"),
    (102, "Окно ПВХ трёхстворчатое"),
    (103, "Балконный блок"),
    (104, "Подоконник"),
    (105, "Москитная сетка"),
    (106, "Остекление лоджии"),
)
_FITTING = (190, "Доставка и монтаж")
_SHOWN = ("78430000201", "78430000202", "78430000203")
_CHATS = (
    "Здравствуйте! Сколько стоит окно на кухню?",
    "Добрый день, когда сможете замерить?",
    "А рассрочка есть?",
    "Подскажите адрес офиса",
)


class Dice:
    """A small stream of chance from a few whole numbers (splitmix64)."""

    def __init__(self, *seeds: int) -> None:
        state = 0
        for seed in seeds:
            state = (state ^ seed) * 0x9E3779B97F4A7C15 & _WORD
            state ^= state >> 29
        self._state = state

    def below(self, number: int) -> int:
        """A whole number from 0 up to but not including `number`."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _WORD
        made = (self._state ^ (self._state >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
        made = (made ^ (made >> 27)) * 0x94D049BB133111EB & _WORD
        return (made ^ (made >> 31)) % number


def _split(row: AdCost, dice: Dice, weights: Sequence[int]) -> list[tuple[int, ...]]:
    """(impressions, clicks, cost) of each part of a row; their sums are the row's."""
    total = sum(weights)
    clicks = [0] * len(weights)
    for _ in range(row.clicks):
        place, thrown = 0, dice.below(total)
        while thrown >= weights[place]:
            thrown -= weights[place]
            place += 1
        clicks[place] += 1
    more = row.impressions - row.clicks
    shown = [more * weight // total for weight in weights]
    shown[0] += more - sum(shown)
    parts: list[tuple[int, ...]] = []
    passed = 0
    for seen, clicked in zip(shown, clicks, strict=True):
        until = passed + clicked
        cost = 0
        if row.clicks:
            cost = row.cost_kopecks * until // row.clicks
            cost -= row.cost_kopecks * passed // row.clicks
        parts.append((seen + clicked, clicked, cost))
        passed = until
    return parts


def search_terms(world: World, platform: str) -> list[SearchTerm]:
    """See `World.search_terms`. Raises ValueError for a platform without queries."""
    if platform not in ("yandex_direct", "google_ads"):
        raise ValueError(f"search_terms: {platform!r} shows no queries")
    rows: list[SearchTerm] = []
    for row in world.ad_costs:
        if row.platform != platform or row.network != "SEARCH":
            continue
        dice = Dice(
            world.seed,
            row.date.toordinal(),
            row.criterion_id or 0,
            row.ad_id or 0,
            DEVICES.index(row.device),
        )
        if not row.clicks and dice.below(2):
            continue  # seldom asked: hidden whole
        number = 1 + dice.below(3)
        hidden = dice.below(4) if dice.below(10) < 4 else 0
        weights = [6, 3, 2][:number] + ([hidden] if hidden else [])
        first = dice.below(len(_SUFFIXES))
        text = without_operators(row.criterion)
        if row.criterion_type == "AUTOTARGETING":
            text = _FOUND[dice.below(len(_FOUND))]
        for place, part in enumerate(_split(row, dice, weights)[:number]):
            if not part[0]:
                continue
            query = text
            if place:
                query += " " + _SUFFIXES[(first + place * 4) % len(_SUFFIXES)]
            query = plain_e(query)
            rows.append(
                SearchTerm(
                    row.date,
                    row.campaign_id,
                    row.ad_group_id,
                    row.ad_id,
                    row.criterion_id,
                    row.criterion,
                    query,
                    row.network,
                    row.device,
                    *part,
                )
            )
    return rows


def placements(world: World) -> list[PlacementCost]:
    """See `World.placements`."""
    sums: dict[tuple[date, int, int | None, int | None, str, str, str], list[int]]
    sums = defaultdict(lambda: [0, 0, 0])
    for row in world.ad_costs:
        if row.platform != "yandex_direct" or row.network != "AD_NETWORK":
            continue
        device = DEVICES.index(row.device)
        ids = row.criterion_id or row.campaign_id, row.ad_id or 0
        dice = Dice(world.seed + 1, row.date.toordinal(), *ids, device)
        sites = _SITES if device == 0 else _SITES + _APPS
        first = dice.below(len(sites))
        weights = (5, 3, 1)[: 1 + dice.below(3)]
        for place, part in enumerate(_split(row, dice, weights)):
            if part[0]:
                site = sites[(first + place * 3) % len(sites)]
                key = (row.date, row.campaign_id, row.ad_group_id, row.ad_id)
                held = sums[(*key, site, row.network, row.device)]
                for index, value in enumerate(part):
                    held[index] += value
    return [PlacementCost(*key, *held) for key, held in sums.items()]


def hits(world: World) -> list[Hit]:
    """See `World.hits`."""
    rows = [hit for visit in world.visits for hit in _hits(world, visit)]
    rows.sort(key=lambda hit: (hit.at, hit.visit_id, not hit.is_page_view))
    return rows


def _hits(world: World, visit: Visit) -> Iterator[Hit]:
    first, early = visit.first_page_views, visit.first_duration_s
    revised = visit.revised_at is not None and visit.page_views > first
    dice = Dice(visit.visit_id)
    names = list(_PAGES)
    url, referer, pages = visit.start_url, visit.referer, []
    for place, watch_id in enumerate(visit.watch_ids):
        if place:
            name = names[dice.below(len(names))]
            last = place == visit.page_views - 1
            whole = visit.revised_at is None or revised
            referer = url
            url = visit.end_url if last and whole else f"{world.site}/{name}/"
        second = place * early // first
        if place >= first:
            more = visit.duration_s - early
            second = early + (place - first) * more // (visit.page_views - first)
        path = url.partition("?")[0].rstrip("/").rpartition("/")[2]
        at = visit.started_at + timedelta(seconds=second)
        pages.append((at, url))
        yield Hit(
            watch_id,
            visit.visit_id,
            visit.client_id,
            at,
            url,
            _PAGES.get(path, "Тёплый контур"),
            referer,
            True,
            (),
        )
    beyond = visit.visit_id * 6364136223846793005 + 100_000
    for place, (goal, at) in enumerate(visit.goal_hits):
        on = [page for when, page in pages if when <= at][-1]
        yield Hit(
            (beyond + place) % 2**64,
            visit.visit_id,
            visit.client_id,
            at,
            on,
            "",
            on,
            False,
            (goal,),
        )


def clicks(world: World) -> list[AdClick]:
    """See `World.clicks`."""
    if world.whole is not None:
        return [click for click in world.whole.clicks if click.at <= world.now]
    arrived: dict[tuple[date, int | None, int | None, str], list[Visit]]
    arrived = defaultdict(list)
    for visit in world.visits:
        if visit.gclid:
            day = moscow_day(visit.started_at)
            key = (day, visit.keyword_id, visit.ad_id, visit.device)
            arrived[key].append(visit)
    rows = []
    for row in world.ad_costs:
        if row.platform != "google_ads" or row.ad_group_id is None or row.ad_id is None:
            continue
        key = (row.date, row.criterion_id, row.ad_id, row.device)
        made = [(visit.started_at, visit.gclid) for visit in arrived.pop(key, ())]
        place = DEVICES.index(row.device)
        criterion = row.criterion_id or 0
        dice = Dice(world.seed + 2, row.date.toordinal(), row.ad_id, criterion, place)
        midnight = datetime.combine(row.date, time(0), MOSCOW).astimezone(UTC)
        while len(made) < row.clicks:
            at = midnight + timedelta(seconds=8 * 3600 + dice.below(15 * 3600))
            made.append((at, f"EAIaIQ{dice.below(10**18):018d}{row.ad_id:x}_BwE"))
        keyword = row.criterion_type == "KEYWORD"
        rows += [
            AdClick(
                click_id,
                row.date,
                at,
                row.platform,
                row.campaign_id,
                row.ad_group_id,
                row.ad_id,
                row.criterion_id if keyword else None,
                row.criterion if keyword else "",
                row.network,
                row.device,
            )
            for at, click_id in made
        ]
    rows.sort(key=lambda click: (click.at, click.click_id))
    return rows


def messages(world: World) -> list[Message]:
    """See `World.messages`: a lead that was written, and questions of others."""
    if world.whole is not None:
        return [row for row in world.whole.messages if row.at <= world.now]
    managers = [f"{row.name} {row.last_name}" for row in world.managers[:-1]]
    drafts = [
        _written(world, lead, kind)
        for lead in world.leads
        if (kind := _message_kind(world, lead))
    ]
    drafts += _questions(world) if world.name != MSK else []
    drafts.sort(key=lambda row: (row.at, row.lead_id or 0, row.visit_id or 0))
    rows = []
    for number, draft in enumerate(drafts):
        dice = Dice(world.seed + 3, number)
        message_id = 9_100_003 + number * 3 + dice.below(3)
        chat = draft.kind == "chat"
        manager = managers[dice.below(len(managers))] if chat else None
        rows.append(replace(draft, message_id=message_id, manager=manager))
    return rows


def _written(world: World, lead: Lead, kind: str) -> Message:
    """What a lead that was written looks like to the tracker."""
    visit = world.visit_by_id.get(lead.visit_id or 0)
    text = lead.comments or lead.title
    return Message(
        0,
        kind,
        lead.created_at,
        visit.visit_id if visit else None,
        visit.visitor_id if visit else None,
        visit.client_id if visit else None,
        lead.name,
        lead.phones,
        lead.emails,
        _CHATS[lead.lead_id % len(_CHATS)] if kind == "chat" else text,
        visit.end_url if visit else f"{world.site}/kontakty/",
        None,
        lead.person_id,
        lead.lead_id,
    )


def _questions(world: World) -> list[Message]:
    """Visitors ask and make no request of it; who is known leaves a number, too."""
    asked = {lead.visit_id for lead in world.leads}
    known = {person.person_id: person for person in world.persons if person.phones}
    every = 3 if len(world.visits) < 3000 else 24
    rows = []
    for visit in world.visits:
        dice = Dice(visit.visit_id, 7)
        person = known.get(visit.person_id)
        if visit.visit_id in asked or dice.below(3 if person else every):
            continue
        kind = "chat" if dice.below(2) else "offline_message"
        phones: tuple[str, ...] = ()
        if person and dice.below(4):
            number = person.phones[dice.below(len(person.phones))]
            phones = (typed_phone(Random(visit.visit_id), number),)
        rows.append(
            Message(
                0,
                kind,
                visit.started_at + timedelta(seconds=visit.duration_s // 2),
                visit.visit_id,
                visit.visitor_id,
                visit.client_id,
                person.name if person else "",
                phones,
                (),
                _CHATS[dice.below(len(_CHATS))],
                visit.end_url,
                None,
                visit.person_id,
                None,
            )
        )
    return rows


def _message_kind(world: World, lead: Lead) -> str:
    """What the tracker saw of a lead, '' for nothing (calls, repeat orders)."""
    written = lead.kind in ("form", "chat", "email") and not lead.is_return_customer
    if not written or Dice(lead.lead_id, 5).below(20) == 0:
        return ""
    if world.name == MSK:
        return "request" if lead.kind == "form" else ""
    return "chat" if lead.kind == "chat" else "offline_message"


def number_leases(world: World) -> list[NumberLease]:
    """See `World.number_leases`: who asked for a car had looked at the site before."""
    if world.whole is not None:
        return [
            row
            if row.shown_to is None or row.shown_to <= world.now
            else replace(row, shown_to=None)
            for row in world.whole.number_leases
            if row.shown_from <= world.now
        ]
    rows = []
    for lead in world.leads if world.name == KAZAN else ():
        dice = Dice(world.seed + 6, lead.lead_id)
        start = lead.created_at - timedelta(seconds=60 + dice.below(2400))
        end = start + timedelta(seconds=90 + dice.below(3600))
        client_id = str(10**18 + dice.below(8 * 10**18))
        known = dice.below(4)
        rows.append(
            NumberLease(
                _SHOWN[dice.below(len(_SHOWN))],
                client_id if known else None,
                None if known > 1 else 5_000 + lead.lead_id,
                start,
                end,
            )
        )
    return sorted(rows, key=lambda row: (row.shown_from, row.number))


def products(world: World) -> list[DealProduct]:
    """See `World.products`: msk's CRM keeps them, the others' do not."""
    rows: list[DealProduct] = []
    for deal in world.deals if world.name == MSK else ():
        left = deal.amount_kopecks
        if not left:
            continue
        dice = Dice(world.seed + 4, deal.deal_id)
        first = dice.below(len(_GOODS))
        lines = [
            (*_GOODS[(first + place) % len(_GOODS)], 1 + dice.below(5))
            for place in range(1 + dice.below(3))
        ]
        for place, (number, name, quantity) in enumerate(lines):
            price = left // (quantity * (2 + dice.below(2)))
            row_id = deal.deal_id * 10 + place
            rows.append(
                DealProduct(row_id, deal.deal_id, number, name, quantity, price)
            )
            left -= price * quantity
        row_id = deal.deal_id * 10 + len(lines)
        rows.append(DealProduct(row_id, deal.deal_id, *_FITTING, 1, left))
    return rows


def invoices(world: World) -> list[Invoice]:
    """See `World.invoices`: msk's CRM keeps them, the others' do not."""
    if world.whole is not None:
        living = {deal.deal_id for deal in world.deals}
        return [
            _invoice_at(row, world.now)
            for row in world.whole.invoices
            if row.created_at <= world.now and row.deal_id in living
        ]
    if world.name != MSK:
        return []
    billed = {
        row.owner_id: row.at
        for row in world.stage_changes
        if row.entity == "deal" and row.stage_id.endswith("PREPAYMENT_INVOICE")
    }
    drafts = [
        (*bill, deal.deal_id)
        for deal in world.deals
        if deal.amount_kopecks
        for bill in _bills(world, deal, billed.get(deal.deal_id))
    ]
    drafts.sort(key=lambda row: (row[0], row[4]))
    return [
        Invoice(
            5001 + number,
            deal_id,
            f"СЧ-{number + 1:05d}",
            created,
            paid,
            amount,
            stage,
            paid or (moved if stage == "cancelled" else created),
        )
        for number, (created, paid, amount, (stage, moved), deal_id) in enumerate(
            drafts
        )
    ]


_Bill = tuple[datetime, datetime | None, int, tuple[str, datetime]]


def _bills(world: World, deal: Deal, billed: datetime | None) -> list[_Bill]:
    """One to three bills of a won deal, one unpaid or cancelled of another."""
    if deal.semantic != "S":
        if billed is None:
            return []
        stage = "cancelled" if deal.closed else "sent"
        return [(billed, None, deal.amount_kopecks, (stage, deal.moved_at))]
    closed, start = deal.closed_at, deal.contracted_at
    assert closed is not None
    assert start is not None
    dice = Dice(world.seed + 5, deal.deal_id)
    parts = 1 + dice.below(3)
    rows: list[_Bill] = []
    left, created = deal.amount_kopecks, start
    for place in range(parts):
        last = place == parts - 1
        amount = left if last else left * (30 + dice.below(30)) // 100
        left -= amount
        room = int((closed - created).total_seconds())
        wait = room * (1 + dice.below(8)) // (10 * (parts - place))
        paid = closed if last else created + timedelta(seconds=wait)
        rows.append((created, paid, amount, ("paid", paid)))
        created = paid  # the next bill is written when this one is paid
    return rows


def _invoice_at(row: Invoice, now: datetime) -> Invoice:
    """A bill as it stood at a moment after it was made."""
    if row.modified_at <= now:
        return row
    stage = "new" if now - row.created_at < timedelta(hours=12) else "sent"
    known = row.created_at if stage == "new" else row.created_at + timedelta(hours=12)
    return replace(row, paid_at=None, stage=stage, modified_at=known)
