"""The group's car dealer in Kazan: a call centre that keeps its clients in a sheet.

No counter, no call tracking, no CRM: requests are rows of a shared sheet with whatever
people type, advertising is written down by hand, deals, payments and sales at the
counter come as files. Money is with VAT.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import TYPE_CHECKING

from simulator import catalogue
from simulator.people import Numbers, full_name, mailbox, typed_name, typed_phone
from simulator.world import (
    KAZAN,
    MOSCOW,
    Category,
    Deal,
    Lead,
    Manager,
    ManualCost,
    OfflineSale,
    Payment,
    Person,
    StageChange,
    StaticNumber,
    Status,
    World,
    moscow_day,
)

if TYPE_CHECKING:
    from simulator.world import Recipe

SITE = "https://kazanka-auto.example"
HOTLINE = "78430000100"
STATIC_NUMBERS = (
    StaticNumber("78430000101", "avito", "classified", "Авито", "classified"),
    StaticNumber("78430000102", "radio", "offline", "Радио", "offline"),
    StaticNumber("78430000103", "2gis", "maps", "2ГИС", "maps"),
)
MANAGERS = (
    Manager(1, "Айдар", "Хасанов"),
    Manager(2, "Лилия", "Громова"),
    Manager(3, "Тимур", "Назаров"),
    Manager(4, "Зоя", "Пономарёва"),
)
CATEGORIES = (Category(0, "Продажа автомобилей", 10, True),)

# What a status means, and the ways in which people write it into the sheet.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "NEW": ("новый", "Новая", "", "новая заявка", "НОВЫЙ"),
    "WORK": ("в работе", "В работе", "думает", "перезвонить", "недозвон", "в раб."),
    "QUALIFIED": ("тест-драйв", "Тест драйв", "записан на тест-драйв", "визит", "Был"),
    "DEAL": ("сделка", "Сделка", "договор", "купил", "Купил!", "продано"),
    "REFUSED": ("отказ", "Отказ", "отказ - дорого", "купил у других", "не актуально"),
    "SPAM": ("спам", "СПАМ", "реклама"),
    "DOUBLE": ("дубль", "Дубль", "повтор", "задвоение"),
    "TEST": ("тест", "ТЕСТ"),
}
_LEAD_STATUSES = (
    ("NEW", "Новый", None),
    ("WORK", "В работе", None),
    ("QUALIFIED", "Тест-драйв", None),
    ("DEAL", "Сделка", "S"),
    ("REFUSED", "Отказ", "F"),
    ("SPAM", "Спам", "F"),
    ("DOUBLE", "Дубль", "F"),
    ("TEST", "Тест", "F"),
)
_DEAL_STAGES = (
    ("RESERVE", "Бронь", None),
    ("CONTRACT", "Договор", None),
    ("WON", "Выдан", "S"),
    ("LOST", "Отказ", "F"),
)
_LEAD_SEMANTICS = {code: semantics or "P" for code, _, semantics in _LEAD_STATUSES}
_DEAL_SEMANTICS = {code: semantics or "P" for code, _, semantics in _DEAL_STAGES}
# channel, how people write it, weight of requests, how well they buy
_SOURCES = (
    ("classified", ("Авито", "авито", "Avito", "avito.ru"), 44, 0.7),
    ("offline", ("радио", "Радио", "по радио"), 15, 0.8),
    ("offline", ("листовка", "Листовки", "флаер"), 10, 0.6),
    ("offline", ("выставка", "Ярмарка авто", "были на ярмарке"), 8, 1.5),
    ("maps", ("2гис", "2ГИС", "карты"), 11, 1.1),
    ("referral", ("рекомендация", "знакомые", "Сарафан"), 12, 1.9),
)
_CARS = (
    ("Lada Vesta", ("Lada Vesta", "лада веста", "Веста", "Vesta SW"), 1_750_000),
    ("Lada Granta", ("Granta", "лада гранта", "гранта автомат"), 1_050_000),
    ("Haval Jolion", ("Haval Jolion", "хавал джолион", "Джолион"), 2_450_000),
    ("Chery Tiggo 7", ("Chery Tiggo 7", "чери тигго 7", "Тигго"), 2_900_000),
    ("Geely Coolray", ("Geely Coolray", "джили кулрей", "Кулрэй красный"), 2_650_000),
    ("УАЗ Патриот", ("УАЗ Патриот", "патриот", "UAZ"), 1_950_000),
)
_METHODS = ("перевод", "карта", "наличные", "кредит банка", "трейд-ин")
HOUR, DAY = 3600, 86400


def build(recipe: Recipe, leads: int, sales: int) -> World:
    """Make the firm with about so many requests and cars sold."""
    return _Dealer(recipe).work(max(leads, 12), max(sales, 8))


class _Buyer:
    """Somebody while the world is made."""

    def __init__(self, dealer: _Dealer, number: int) -> None:
        chance = dealer.chance
        self.person_id = f"person-k{number:06d}"
        woman = chance.random() < 0.4
        self.name, self.last_name, self.second_name = full_name(chance, woman)
        self.phones = [dealer.numbers.mobile()]
        if chance.random() < 0.2:
            self.phones.append(dealer.numbers.mobile())
        self.emails: list[str] = []
        if chance.random() < 0.12:
            made = mailbox(chance, self.name, self.last_name, number, "k")
            self.emails.append(made)


class _Dealer:
    """Makes everything from one stream of chance."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.chance = Random(f"{KAZAN} {recipe.seed}")
        self.start = recipe.end_date - timedelta(days=recipe.days)
        self.begin = _midnight(self.start)
        self.end = _midnight(recipe.end_date)
        self.numbers = Numbers(
            self.chance, ("999050", "999051"), ("9990", 520_000, 1_000_000), "843000"
        )
        self.buyers: list[_Buyer] = []
        self._by_id: dict[str, _Buyer] = {}
        self.leads: list[Lead] = []
        self.deals: list[Deal] = []
        self.payments: list[tuple[int, int, int, str]] = []
        self.moves: dict[tuple[str, int], list[tuple[int, str, str]]] = {}

    def work(self, leads: int, sales: int) -> World:
        """Everything, in the order in which one thing needs another."""
        recipe = self.recipe
        self._requests(leads)
        self._sell(sales)
        offline = self._counter_sales(round(leads * 0.4))
        return World(
            name=KAZAN,
            seed=recipe.seed,
            start_date=self.start,
            end_date=recipe.end_date,
            now=recipe.now,
            counter_id=0,
            site_id=0,
            client_login="",
            site=SITE,
            static_numbers=list(STATIC_NUMBERS),
            leads=self.leads,
            deals=self.deals,
            stage_changes=self._history(),
            statuses=_statuses(),
            categories=list(CATEGORIES),
            managers=list(MANAGERS),
            persons=[
                Person(
                    buyer.person_id,
                    buyer.name,
                    buyer.last_name,
                    buyer.second_name,
                    "Казань",
                    (),
                    tuple(buyer.phones),
                    tuple(buyer.emails),
                )
                for buyer in self.buyers
            ],
            payments=[
                Payment(number, deal_id, _moment(at), amount, method)
                for number, (at, deal_id, amount, method) in enumerate(
                    sorted(self.payments), start=1
                )
            ],
            manual_costs=self._costs(leads),
            offline_sales=offline,
            spellings=SPELLINGS,
        )

    # --- requests ----------------------------------------------------------------------

    def _requests(self, wanted: int) -> None:
        chance = self.chance
        moments = sorted(self._daytime() for _ in range(wanted))
        weights = [weight for _, _, weight, _ in _SOURCES]
        for number, at in enumerate(moments, start=1):
            dice = chance.random()
            if dice < 0.03:
                self._stranger(number, at, "SPAM")
            elif dice < 0.04:
                self._stranger(number, at, "TEST")
            elif dice < 0.1 and self.leads and self.leads[-1].person_id:
                self._again(number, at)
            else:
                (source,) = chance.choices(_SOURCES, weights)
                buyer = self._newcomer()
                self._request(number, at, buyer, source[0], chance.choice(source[1]))

    def _newcomer(self) -> _Buyer:
        buyer = _Buyer(self, len(self.buyers) + 1)
        if self.buyers and self.chance.random() < 0.02:  # husband and wife, one phone
            buyer.phones.append(self.chance.choice(self.buyers).phones[0])
        self.buyers.append(buyer)
        self._by_id[buyer.person_id] = buyer
        return buyer

    def _cell(self, buyer: _Buyer) -> str:
        """What stands in the one cell for phones: often more than one number."""
        chance = self.chance
        typed = [typed_phone(chance, phone).strip() for phone in buyer.phones]
        if len(typed) > 1 and chance.random() < 0.7:
            return chance.choice((", ", "; ", " / ", "\n")).join(typed)
        if chance.random() < 0.03:
            return f"{typed[0]} {buyer.name}"
        return typed[0]

    def _request(
        self,
        number: int,
        at: int,
        buyer: _Buyer,
        channel: str,
        source: str,
        double: bool = False,
    ) -> None:
        chance = self.chance
        car = chance.choice(_CARS)
        steps = [(at, "NEW")]
        if double:
            steps.append((self._later(at, 0.2, 20), "DOUBLE"))
        else:
            steps.append((self._later(at, 0.1, 8), "WORK"))
            if chance.random() < 0.35:
                steps.append((self._later(steps[-1][0], 4, 90), "QUALIFIED"))
            if chance.random() < 0.8:
                steps.append((self._later(steps[-1][0], 10, 240), "REFUSED"))
        cell = self._cell(buyer)
        if chance.random() < 0.015:
            cell = chance.choice(catalogue.PLACEHOLDERS)
        lead = self._lead(number, at, source)
        self.leads.append(
            replace(
                lead,
                name=typed_name(chance, buyer.name, buyer.last_name),
                phones=(cell,),
                emails=tuple(buyer.emails),
                comments="" if chance.random() < 0.8 else "просил позвонить вечером",
                is_duplicate=double,
                person_id=buyer.person_id,
                cause_channel=channel,
                interest=chance.choice(car[1]) if chance.random() < 0.92 else "",
            )
        )
        self._walk(number, steps)

    def _again(self, number: int, at: int) -> None:
        """Somebody known is written down once more."""
        first = self.chance.choice([lead for lead in self.leads[-9:] if lead.person_id])
        buyer = self._by_id[first.person_id or ""]
        channel = first.cause_channel or "offline"
        self._request(number, at, buyer, channel, first.source_id, double=True)

    def _stranger(self, number: int, at: int, status: str) -> None:
        chance = self.chance
        test = status == "TEST"
        phone = catalogue.PLACEHOLDERS[0] if test else self.numbers.mobile()
        lead = self._lead(number, at, "" if test else chance.choice(("", "Авито")))
        self.leads.append(
            replace(
                lead,
                name="тест" if test else chance.choice(("банк", "реклама", "")),
                phones=(phone,),
                is_spam=not test,
                is_test=test,
            )
        )
        self._walk(number, [(at, "NEW"), (self._later(at, 0.1, 5), status)])

    def _lead(self, number: int, at: int, source: str) -> Lead:
        """A row of the sheet about nobody yet."""
        created = _moment(at)
        return Lead(
            lead_id=number,
            title="",
            name="",
            last_name="",
            second_name="",
            phones=(),
            emails=(),
            status_id="NEW",
            semantic="P",
            source_id=source,
            opportunity_kopecks=0,
            currency="RUB",
            contact_id=None,
            created_at=created,
            modified_at=created,
            closed_at=None,
            moved_at=created,
            is_return_customer=False,
            utm_source=None,
            utm_medium=None,
            utm_campaign=None,
            utm_content=None,
            utm_term=None,
            ym_client_id=None,
            manager_id=self.chance.choice(MANAGERS).manager_id,
            comments="",
            deleted_at=None,
            kind="call",
            is_spam=False,
            is_test=False,
            is_duplicate=False,
            person_id=None,
            visit_id=None,
            call_id=None,
            cause_channel=None,
        )

    def _walk(self, number: int, steps: list[tuple[int, str]]) -> None:
        """Write down a request's statuses; the last one is what the sheet shows."""
        steps = [step for step in steps if step[0] < self.end]
        at, status = steps[-1]
        semantic = _LEAD_SEMANTICS[status]
        self.moves[("lead", number)] = [
            (when, code, _LEAD_SEMANTICS[code]) for when, code in steps
        ]
        spelled = SPELLINGS[status]
        place = number - 1
        self.leads[place] = replace(
            self.leads[place],
            status_id=status,
            semantic=semantic,
            status_text=spelled[number % len(spelled)],
            moved_at=_moment(at),
            modified_at=_moment(at),
            closed_at=_moment(at) if semantic != "P" else None,
        )

    # --- deals and money ---------------------------------------------------------------

    def _sell(self, sales: int) -> None:
        chance = self.chance
        worth = {channel: sale for channel, _, _, sale in _SOURCES}
        able = [lead for lead in self.leads if lead.person_id and not lead.is_duplicate]
        drawn = sorted(
            (chance.expovariate(1.0) / worth[lead.cause_channel or ""], lead.lead_id)
            for lead in able
            if _unix(lead.created_at) < self.end - 3 * DAY
        )
        chosen = [lead_id for _, lead_id in drawn[: round(sales * 1.5)]]
        walkers = max(1, round(sales * 0.15))  # bought without having asked before
        plan: list[tuple[int, Lead | None]] = []
        for lead_id in chosen:
            lead = self.leads[lead_id - 1]
            plan.append((self._later(_unix(lead.created_at), 3, 90), lead))
        plan += [(self._daytime(), None) for _ in range(walkers)]
        plan = [row for row in plan if row[0] < self.end - DAY]
        plan.sort(key=lambda row: (row[0], row[1].lead_id if row[1] else 0))
        for number, (opened, asked) in enumerate(plan, start=1):
            self._deal(number, opened, asked)
        gone = [deal for deal in self.deals if deal.semantic == "F"]
        for deal in chance.sample(gone, min(len(gone), max(1, sales // 60))):
            at = self._later(_unix(deal.moved_at), 2, 60)
            if at < self.end:
                place = deal.deal_id - 1
                self.deals[place] = replace(deal, deleted_at=_moment(at))

    def _deal(self, number: int, opened: int, lead: Lead | None) -> None:
        chance = self.chance
        if lead is None:
            buyer, channel = self._newcomer(), "offline"
        else:
            buyer = self._by_id[lead.person_id or ""]
            channel = lead.cause_channel or "offline"
        car, typed, price = chance.choice(_CARS)
        amount = int(price * 100 * math.exp(chance.gauss(0, 0.12))) // 1000 * 1000
        amount += chance.choice((0, 0, 0, 50, 99, 33))
        contract = self._later(opened, 1, 60)
        cycle = min(9.0, self.recipe.days * 0.15)
        closes = self._later(contract, 20, 24 * (cycle + 1.5))
        (outcome,) = chance.choices(("WON", "LOST", "BACK", "OPEN"), (68, 12, 6, 14))
        steps = [(opened, "RESERVE")]
        if outcome != "LOST":
            steps.append((contract, "CONTRACT"))
        if outcome != "OPEN":
            steps.append((closes, "WON" if outcome == "WON" else "LOST"))
        steps = [step for step in steps if step[0] < self.end]
        at, stage = steps[-1]
        semantics = _DEAL_SEMANTICS
        self.moves[("deal", number)] = [(t, code, semantics[code]) for t, code in steps]
        if lead is not None:
            self._bought(lead, opened)
        if outcome != "LOST" and contract < self.end:
            self._pay(number, amount, contract, closes, outcome)
        closed = semantics[stage] != "P"
        known = lead is not None and chance.random() < 0.7
        created, moved = _moment(opened), _moment(at)
        self.deals.append(
            Deal(
                deal_id=number,
                title=f"{car}, договор {number}",
                category_id=0,
                stage_id=stage,
                semantic=semantics[stage],
                amount_kopecks=amount,
                currency="RUB",
                lead_id=lead.lead_id if lead and known else None,
                contact_id=None,
                created_at=created,
                modified_at=moved,
                moved_at=moved,
                planned_close=moscow_day(_moment(closes)),
                closed=closed,
                closed_at=moved if closed else None,
                manager_id=chance.choice(MANAGERS).manager_id,
                source_id=lead.source_id if lead else "",
                is_return_customer=False,
                utm_source=None,
                utm_medium=None,
                utm_campaign=None,
                utm_content=None,
                utm_term=None,
                margin_kopecks=int(amount * chance.uniform(0.05, 0.12))
                if stage == "WON"
                else None,
                refund_kopecks=None,
                refund_date=None,
                refunded_at=None,
                ym_client_id=None,
                deleted_at=None,
                estimate_kopecks=amount,
                contracted_at=created,
                person_id=buyer.person_id,
                cause_channel=channel,
                cause_campaign_id=None,
                cause_keyword_id=None,
                phone=typed_phone(chance, chance.choice(buyer.phones)),
                client_name=f"{buyer.last_name} {buyer.name}",
                interest=chance.choice(typed),
            )
        )

    def _bought(self, lead: Lead, opened: int) -> None:
        """The sheet's row of somebody who came as far as a deal."""
        number, begin = lead.lead_id, _unix(lead.created_at)
        gap = opened - begin
        self._walk(
            number,
            [
                (begin, "NEW"),
                (begin + gap // 3, "WORK"),
                (begin + gap * 2 // 3, "QUALIFIED"),
                (opened, "DEAL"),
            ],
        )

    def _pay(
        self, deal_id: int, amount: int, contract: int, closes: int, outcome: str
    ) -> None:
        """One to three parts, the last when the car is handed over; some goes back."""
        chance = self.chance
        parts = chance.choice((1, 2, 2, 3)) if outcome == "WON" else 2
        sums = [amount]
        for _ in range(parts - 1):
            share = int(sums[-1] * chance.uniform(0.1, 0.5)) // 100 * 100
            sums[-1:] = [share, sums[-1] - share]
        times = [contract + (closes - contract) * n // parts for n in range(parts)]
        times[-1] = closes
        if outcome != "WON":  # the advance payment only
            sums, times = sums[:1], [contract]
        for at, sum_ in zip(times, sums, strict=True):
            if at < self.end:
                method = chance.choice(_METHODS)
                self.payments.append((at, deal_id, sum_, method))
        back = 0
        if outcome == "BACK" and closes < self.end:
            back, at = sums[0], closes
        elif outcome == "WON" and chance.random() < 0.06:
            back, at = int(amount * chance.uniform(0.01, 0.08)), 0
            at = self._later(closes, 20, 24 * 9)
        if back and at < self.end:
            self.payments.append((at, deal_id, -back, "возврат"))

    def _counter_sales(self, wanted: int) -> list[OfflineSale]:
        """Accessories and parts: some buyers leave a phone, few say whence they came."""
        chance = self.chance
        moments = sorted(self._daytime() for _ in range(wanted))
        askers = {lead.person_id for lead in self.leads}
        known = [buyer for buyer in self.buyers if buyer.person_id in askers]
        rows = []
        for number, at in enumerate(moments, start=1):
            amount = int(60_000 * math.exp(abs(chance.gauss(0, 1.4)))) + number % 100
            channel, spelled, _, _ = chance.choice(_SOURCES)
            buyer = chance.choice(known) if chance.random() < 0.25 else None
            if buyer is None and chance.random() < 0.55:
                buyer = self._newcomer()
            rows.append(
                OfflineSale(
                    number,
                    _moment(at),
                    amount,
                    int(amount * chance.uniform(0.55, 0.85)),
                    typed_phone(chance, buyer.phones[0]) if buyer else "",
                    typed_name(chance, buyer.name, buyer.last_name) if buyer else "",
                    chance.choice(spelled) if chance.random() < 0.3 else None,
                    buyer.person_id if buyer else None,
                    channel,
                )
            )
        return rows

    # --- advertising -------------------------------------------------------------------

    def _costs(self, leads: int) -> list[ManualCost]:
        """A month of radio, weeks of Avito, leaflets, a fair; never past the end."""
        chance = self.chance
        scale = leads / self.recipe.days / 3
        last = self.recipe.end_date - timedelta(days=1)
        wanted: list[tuple[date, int, str, str, str, float, str, str]] = []
        day = self.start
        while day <= last:
            month = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
            length = (month - day).days
            spots = f"Радио, ролик {day:%m.%Y}"
            cost = 3900.0 * length
            wanted.append((day, length, "radio", "offline", spots, cost, "sheet", "o"))
            boards = "Щиты 3×6"
            cost = 2100.0 * length
            wanted.append((day, length, "ooh", "offline", boards, cost, "file", "o"))
            day = month
        for week in range(0, self.recipe.days, 7):
            monday = self.start + timedelta(days=week)
            ads = "Авито: подъём объявлений"
            wanted.append((monday, 7, "avito", "cpc", ads, 16500.0, "sheet", "c"))
            if week % 28 == 7:
                flyers = "Листовки у метро"
                row = (monday, 14, "leaflets", "offline", flyers, 38000.0, "file", "o")
                wanted.append(row)
        fair = self.start + timedelta(days=self.recipe.days // 2)
        wanted.append((fair, 3, "fair", "event", "Автоярмарка", 95000.0, "file", "o"))
        rows: list[ManualCost] = []
        for begin, length, source, medium, name, cost, where, kind in sorted(wanted):
            until = min(begin + timedelta(days=length - 1), last)
            share = ((until - begin).days + 1) / length
            amount = int(cost * share * scale * 100 * chance.uniform(0.9, 1.1)) + 1
            entered = _midnight(begin) + chance.randrange(9 * HOUR, 18 * HOUR)
            if chance.random() < 0.3:
                entered += chance.randrange(1, 4) * DAY
            rows.append(
                ManualCost(
                    len(rows) + 1,
                    begin,
                    until,
                    source,
                    medium,
                    name,
                    amount,
                    where,
                    _moment(min(entered, self.end - HOUR)),
                    "offline" if kind == "o" else "classified",
                )
            )
        return rows

    # --- the rest ----------------------------------------------------------------------

    def _history(self) -> list[StageChange]:
        """Both histories; ids rise with time."""
        rows: list[StageChange] = []
        seen: set[tuple[str, int]] = set()
        moves = sorted(
            (at, entity, owner, place, code, semantic)
            for (entity, owner), steps in self.moves.items()
            for place, (at, code, semantic) in enumerate(steps)
        )
        for at, entity, owner, _, code, semantic in moves:
            first = (entity, owner) not in seen
            seen.add((entity, owner))
            kind = 1 if first else 2 if semantic == "P" else 3
            number = len(rows) + 1
            rows.append(
                StageChange(number, entity, owner, _moment(at), 0, code, semantic, kind)
            )
        return rows

    def _daytime(self) -> int:
        day = self.chance.randrange(self.recipe.days) * DAY
        return self.begin + day + self.chance.randrange(9 * HOUR, 20 * HOUR)

    def _later(self, at: int, least: float, most: float) -> int:
        """A moment of work between `least` and `most` hours after another."""
        hours = least * (most / least) ** self.chance.random()
        later = at + int(hours * HOUR) + 1
        second = (later - self.begin) % DAY
        if second < 9 * HOUR:
            later += 9 * HOUR - second + second % HOUR
        elif second >= 20 * HOUR:
            later += DAY - second + 9 * HOUR + second % HOUR
        return later


def _statuses() -> list[Status]:
    rows: list[Status] = []
    for entity, category, items in (
        ("STATUS", None, _LEAD_STATUSES),
        ("DEAL_STAGE", 0, _DEAL_STAGES),
    ):
        for place, (code, name, semantics) in enumerate(items, start=1):
            number = len(rows) + 1
            rows.append(
                Status(number, entity, code, name, place * 10, semantics, category, "")
            )
    return rows


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(0), MOSCOW).astimezone(UTC).timestamp())


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _unix(at: datetime) -> int:
    return int(at.timestamp())
