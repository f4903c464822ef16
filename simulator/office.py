"""What became of interest: calls, leads, cards, deals, money, and the office's mess."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from simulator import catalogue
from simulator.crowd import Bump, Crowd, Human, Stay
from simulator.people import (
    Numbers,
    full_name,
    mailbox,
    of_man,
    of_woman,
    plain_e,
    typed_name,
    typed_phone,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from simulator.world import StaticNumber

HOUR, DAY = 3600, 86400
Anything = TypeVar("Anything")
MOSCOW_SHIFT = 3 * HOUR


@dataclass(frozen=True)
class Targets:
    """How much of everything a world should hold."""

    keywords: int
    visits: int
    calls: int
    leads: int
    sales: int


@dataclass
class CallDraft:
    """A call while the world is made; `caller` as the journal prints it."""

    at: int
    caller: str
    human: Human | None
    stay: Stay | None
    static: StaticNumber | None
    duration_s: int
    wait_s: int
    successful: bool
    meant: bool
    callback: bool = False
    manager: int = 0
    comment: str | None = None
    deleted_at: int | None = None
    call_id: int = 0


@dataclass
class Card:
    """A contact while the world is made; robots and tests have no human."""

    human: Human | None
    created_at: int
    name: tuple[str, str, str]
    phones: list[str]
    emails: list[str]
    manager: int
    modified_at: int = 0
    deleted_at: int | None = None
    merged_into: Card | None = None
    lead: LeadDraft | None = None
    contact_id: int = 0


@dataclass
class Step:
    """A move of a lead or a deal; `semantic`: P, S, F."""

    at: int
    stage: str
    semantic: str


@dataclass
class LeadDraft:
    """A lead while the world is made."""

    at: int
    kind: str
    human: Human | None
    stay: Stay | None
    call: CallDraft | None
    cause: Bump | None
    title: str
    name: str = ""
    phones: list[str] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    card: Card | None = None
    manager: int = 0
    comments: str = ""
    is_spam: bool = False
    is_test: bool = False
    is_duplicate: bool = False
    is_return: bool = False
    has_client_id: bool = False
    has_utm: bool = False
    deleted_at: int | None = None
    edited_at: int = 0
    lead_id: int = 0
    funnel: int = 0


@dataclass
class DealDraft:
    """A deal while the world is made; money in kopecks."""

    at: int
    human: Human
    lead: LeadDraft | None
    card: Card | None
    others: list[Card]
    cause: Bump
    category: int
    steps: list[Step]
    amount: int
    estimate: int
    margin: int
    contracted_at: int | None
    manager: int
    is_return: bool = False
    has_client_id: bool = False
    refund: int | None = None
    refunded_at: int | None = None
    deleted_at: int | None = None
    planned_at: int = 0
    deal_id: int = 0


class Office:
    """Turns visits into calls, leads and deals until the targets are met."""

    def __init__(
        self,
        chance: Random,
        crowd: Crowd,
        days: int,
        targets: Targets,
        hard: bool = False,
    ) -> None:
        self.hard = hard
        self.chance = chance
        self.crowd = crowd
        self.firm = crowd.firm
        self.days = days
        self.targets = targets
        self.begin = crowd.midnight
        self.end = crowd.midnight + days * DAY
        firm = self.firm
        self.numbers = Numbers(chance, firm.mobiles, firm.more, firm.landlines)
        self.calls: list[CallDraft] = []
        self.leads: list[LeadDraft] = []
        self.cards: list[Card] = []
        self.deals: list[DealDraft] = []
        self.lead_until = math.inf  # the last race of interest that made a lead
        self.sale_until = math.inf  # the last one of leads that made a sale
        self.taken_for: dict[int, Stay] = {}  # by id of the call: another's visit
        self._cards_of: dict[int, list[Card]] = {}
        self._stays_of: dict[int, list[Stay]] = {}
        self._relative: dict[int, Human] = {}
        for stay in crowd.stays:
            self._stays_of.setdefault(stay.human.number, []).append(stay)

    def work(self) -> None:
        """Everything, in the order in which one thing needs another."""
        t = self.targets
        returning = round(t.sales * 0.04)
        leadless = round(t.sales * 0.06)
        spam, tests = round(t.leads * 0.04), max(2, round(t.leads * 0.0035))
        doubles = round(t.leads * 0.05)
        static_leads = round(t.calls * 0.21)
        web = t.leads - spam - tests - doubles - static_leads - returning
        self._web_leads(web, calls=round(t.calls * 0.32))
        self._static_leads(static_leads)
        self._families()
        for lead in self.leads:
            self._introduce_lead(lead)
        valid = list(self.leads)
        self._doubles(doubles, valid)
        if self.firm.one_record:
            for lead in sorted(self.leads, key=lambda lead: lead.at):
                if lead.human is not None:
                    lead.card = self._card(lead.human, lead.at, lead)
        self._first_deals(valid, t.sales - returning - leadless, round(t.sales * 1.3))
        self._repeat_deals(returning, leadless)
        self._lead_steps()
        self._spam(spam)
        self._tests(tests)
        self._double_cards()
        self._more_calls(t.calls - len(self.calls))
        self._deletions()
        if self.hard:
            self._collide()
        if self.firm.one_record:
            self._one_record()

    # --- people make themselves known -------------------------------------------

    def _web_leads(self, wanted: int, calls: int) -> None:
        stays = self.crowd.stays
        draws = self.crowd.rng.exponential(1.0, len(stays))
        order = sorted(
            range(len(stays)), key=lambda i: float(draws[i]) / (stays[i].warmth + 1e-9)
        )
        seen: set[int] = set()
        chosen: list[Stay] = []
        for place in order:
            if len(chosen) == wanted:
                break
            stay = stays[place]
            if stay.human.number not in seen:
                seen.add(stay.human.number)
                chosen.append(stay)
                self.lead_until = float(draws[place]) / (stay.warmth + 1e-9)
        chosen.sort(key=lambda stay: (stay.at, stay.visit_id))
        daytime = [stay for stay in chosen if 8 <= _hour(stay.at) < 21]
        callers = {
            stay.visit_id
            for stay in self.chance.sample(daytime, min(calls, len(daytime)))
        }
        for stay in chosen:
            stay.page_views = max(2, stay.page_views)
            stay.duration_s = max(70, stay.duration_s)
            at = stay.at + self.chance.randrange(40, stay.duration_s)
            cause = self._cause(stay.human, stay.at)
            if stay.visit_id in callers:
                lead = self._lead_of_call(at, stay.human, stay, None, cause)
                stay.goals.append(catalogue.GOAL_CALL)
            else:
                (kind,) = self.chance.choices(("form", "chat", "email"), (87, 8, 5))
                title = {
                    "form": "Заявка с сайта: расчёт окон",
                    "chat": "Чат на сайте",
                    "email": "Письмо на почту",
                }[kind]
                lead = LeadDraft(at, kind, stay.human, stay, None, cause, title)
                if kind == "form":
                    stay.goals.append(catalogue.GOAL_FORM)
            self.leads.append(lead)

    def _static_leads(self, wanted: int) -> None:
        known = {lead.human.number for lead in self.leads if lead.human}
        strangers = [
            human
            for human in self.crowd.people
            if human.bumps and human.number not in known
        ]
        for _ in range(wanted):
            (number,) = self.chance.choices(
                self.firm.static_numbers, self.firm.static_weights
            )
            at = self._daytime()
            human = None
            if strangers and (number.channel == "direct" or self.chance.random() < 0.1):
                place = self.chance.randrange(len(strangers))
                if strangers[place].bumps[0].at < at:
                    human = strangers.pop(place)
            if human is None:
                human = self.crowd.newcomer()
                human.city = self.chance.randrange(len(self.firm.cities))
            sale = self.firm.offline_sale[number.channel]
            human.bumps.append(Bump(at - 60, 1.0, sale, number.channel, None))
            cause = self._cause(human, at)
            self.leads.append(self._lead_of_call(at, human, None, number, cause))

    def _lead_of_call(
        self,
        at: int,
        human: Human,
        stay: Stay | None,
        number: StaticNumber | None,
        cause: Bump,
    ) -> LeadDraft:
        call = self._call(at, human, stay, number, meant=True)
        title = "Входящий звонок"
        return LeadDraft(
            at + max(call.duration_s, 20) + 5, "call", human, stay, call, cause, title
        )

    def _call(
        self,
        at: int,
        human: Human | None,
        stay: Stay | None,
        number: StaticNumber | None,
        meant: bool,
    ) -> CallDraft:
        successful = self.chance.random() > 0.08
        length = int(self.chance.expovariate(1 / 170)) + (45 if meant else 3)
        call = CallDraft(
            at,
            "",
            human,
            stay,
            number,
            min(length, 1500) if successful else 0,
            self.chance.randrange(2, 40),
            successful,
            meant,
            manager=self._manager(),
        )
        if successful and self.chance.random() < 0.004:
            call.duration_s = -30
        self.calls.append(call)
        return call

    def _families(self) -> None:
        """Some who ask are married: the two share a mobile or the flat's landline."""
        askers = [lead for lead in self.leads if lead.human]
        if self.hard:
            self._share_phones()
            return
        for first, second in zip(askers[::33], askers[7::33], strict=False):
            a, b = first.human, second.human
            if a is None or b is None or a is b:
                continue
            if a.number in self._relative or b.number in self._relative:
                continue
            b.woman = not a.woman
            self._introduce(a)
            self._introduce(b)
            b.last_name = of_woman(a.last_name) if b.woman else of_man(a.last_name)
            if self.chance.random() < 0.5:
                landline = self.numbers.landline()
                a.phones.insert(1, landline)
                b.phones.insert(1, landline)
            else:
                b.phones.insert(1, a.phones[0])
            self._relative[a.number] = b
            self._relative[b.number] = a

    def _share_phones(self) -> None:
        """15 in 100 numbers belong to two: couples, and people who share a desk."""
        people = [lead.human for lead in self.leads if lead.human]
        for human in people:
            self._introduce(human)
        total = len({phone for human in people for phone in human.phones})
        self.chance.shuffle(people)
        pairs = zip(people[::2], people[1::2], strict=False)
        for shared, (a, b) in enumerate(pairs):
            if shared >= 0.15 * total:
                break
            if self.chance.random() < 0.5:
                b.last_name = of_woman(a.last_name) if b.woman else of_man(a.last_name)
            if self.chance.random() < 0.4:
                landline = self.numbers.landline()
                a.phones.insert(1, landline)
                total += 1
            else:
                landline = a.phones[0]
            b.phones.insert(1, landline)
            self._relative[a.number] = b
            self._relative[b.number] = a

    def _collide(self) -> None:
        """Too few numbers: some calls are taken for another visitor's who was there."""
        stays = sorted(self.crowd.stays, key=lambda stay: stay.at)
        times = [stay.at for stay in stays]
        for call in self.calls:
            if call.stay is None or self.chance.random() > 0.08:
                continue
            near = stays[
                bisect_left(times, call.at - 1800) : bisect_left(times, call.at)
            ]
            others = [stay for stay in near if stay.human is not call.human]
            if others:
                self.taken_for[id(call)] = self.chance.choice(others)

    def _introduce(self, human: Human) -> None:
        """Give somebody a name, phones and perhaps an e-mail, once."""
        if human.name:
            return
        chance = self.chance
        human.name, human.last_name, human.second_name = full_name(chance, human.woman)
        if chance.random() < 0.5:
            human.second_name = ""  # nobody ever asked for it
        human.phones.append(self.numbers.mobile())
        if chance.random() < 0.14:
            human.phones.append(self.numbers.mobile())
        for _ in range(1 if chance.random() < 0.55 else 0):
            human.emails.append(
                mailbox(chance, human.name, human.last_name, human.number, human.mark)
            )

    def _phone(self, human: Human) -> str:
        if len(human.phones) > 1 and self.chance.random() < 0.35:
            return human.phones[1]
        return human.phones[0]

    def _introduce_lead(self, lead: LeadDraft) -> None:
        """What a lead's card shows of the person behind it."""
        human, chance = lead.human, self.chance
        if human is None:
            return
        self._introduce(human)
        lead.manager = self._manager()
        if lead.call is not None:
            office = chance.random() < 0.015
            phone = f"+{self.firm.switchboard}" if office else self._phone(human)
            lead.call.caller = phone[1:]
            lead.phones = [phone]
            lead.title = f"Входящий звонок {typed_phone(chance, phone).strip()}"
            return
        lead.name = typed_name(chance, human.name, human.last_name)
        lead.has_client_id = chance.random() < 0.88
        lead.has_utm = chance.random() < 0.7
        phone = self._phone(human)
        if lead.kind == "email" or (lead.kind == "chat" and chance.random() < 0.5):
            if not human.emails:
                number = human.number
                human.emails.append(
                    mailbox(chance, human.name, human.last_name, number, human.mark)
                )
            lead.emails = [self._typed_mail(human.emails[0])]
            lead.comments = "Клиент просит написать на почту"
        elif chance.random() < 0.012:
            lead.phones = [chance.choice(catalogue.PLACEHOLDERS)]
        elif chance.random() < 0.02 and len(human.phones) > 1:
            two = [typed_phone(chance, number).strip() for number in human.phones[:2]]
            lead.phones = [", ".join(two)]
        elif chance.random() < 0.01:
            lead.phones = [typed_phone(chance, phone).strip() + f" {human.name}"]
        else:
            lead.phones = [typed_phone(chance, phone)]
        if human.emails and not lead.emails and chance.random() < 0.6:
            lead.emails = [self._typed_mail(human.emails[0])]
        if lead.phones and chance.random() < 0.05:
            again = typed_phone(chance, phone).strip()
            lead.comments = f"Перезвонить на {again} после 18:00"

    def _typed_mail(self, address: str) -> str:
        how = self.chance.random()
        return (
            address.upper() if how < 0.04 else address.title() if how < 0.1 else address
        )

    def _cause(self, human: Human, until: int) -> Bump:
        """The touch that really brought this person, drawn by effect."""
        before = [bump for bump in human.bumps if bump.at <= until]
        weights = [bump.effect for bump in before]
        (cause,) = self.chance.choices(before, weights)
        return cause

    # --- doubles, robots, tests ---------------------------------------------------

    def _doubles(self, wanted: int, valid: Sequence[LeadDraft]) -> None:
        for first in self.chance.sample(list(valid), min(wanted, len(valid))):
            human = first.human
            if human is None:
                continue
            delay = self.chance.choice((0.05, 0.2, 2, 20, 50, 120))
            at = first.at + int(delay * HOUR * self.chance.uniform(0.7, 1.4))
            if at >= self.end - HOUR:
                at = first.at + 120
            if first.kind == "form" and self.chance.random() < 0.6:
                lead = LeadDraft(
                    at,
                    "form",
                    human,
                    first.stay,
                    None,
                    first.cause,
                    "Заявка с сайта: перезвоните мне",
                )
                self._introduce_lead(lead)
            else:
                number = self.firm.static_numbers[-1]
                cause = first.cause or self._cause(human, at)
                lead = self._lead_of_call(
                    min(_to_daytime(at), self.end - HOUR), human, None, number, cause
                )
                self._introduce_lead(lead)
            lead.is_duplicate = True
            lead.manager = first.manager
            self.leads.append(lead)

    def _spam(self, wanted: int) -> None:
        offers = (
            "Продвижение сайта в ТОП-10",
            "Заявка с сайта: casino bonus",
            "Предлагаем базу клиентов",
            "Заявка с сайта",
        )
        for number in range(wanted):
            at = self.begin + self.chance.randrange(HOUR, self.days * DAY - 2 * HOUR)
            lead = LeadDraft(
                at, "form", None, None, None, None, self.chance.choice(offers)
            )
            lead.name = self.chance.choice(("Crypto", "Seo", "asdf", "Менеджер", ""))
            lead.is_spam = True
            lead.manager = self._manager()
            if self.chance.random() < 0.7:
                lead.phones = [typed_phone(self.chance, self.numbers.mobile())]
            if not lead.phones or self.chance.random() < 0.5:
                lead.emails = [f"offer{self.firm.mark}{number}@example.com"]
            status = self.chance.choice(("UC_SPAM", "UC_SPAM", "JUNK"))
            lead.steps = [
                Step(at, "NEW", "P"),
                Step(self._later(at, 0.1, 6), status, "F"),
            ]
            self.leads.append(lead)

    def _tests(self, wanted: int) -> None:
        for _ in range(wanted):
            at = self._daytime()
            lead = LeadDraft(
                at, "form", None, None, None, None, "ТЕСТ формы, не звонить"
            )
            lead.name = self.chance.choice(("Тест Тестов", "test", "Тест"))
            lead.phones = [catalogue.PLACEHOLDERS[0]]
            lead.emails = [f"test{self.firm.mark}@example.com"]
            lead.is_test = True
            lead.manager = self.firm.managers[-1].manager_id
            lead.steps = [
                Step(at, "NEW", "P"),
                Step(self._later(at, 0.1, 3), "UC_TEST", "F"),
            ]
            self.leads.append(lead)

    # --- deals ---------------------------------------------------------------------

    def _first_deals(self, valid: Sequence[LeadDraft], sales: int, others: int) -> None:
        """Choose who buys (`sales` of them) and who only came as far as a deal."""
        chance = self.chance
        mean = min(11.0, self.days * 0.16)
        drawn: list[tuple[float, int, int]] = []
        won_at: dict[int, int] = {}
        opened: dict[int, int] = {}
        for place, lead in enumerate(valid):
            if lead.human is None or lead.cause is None:
                continue
            opened[place] = self._later(lead.at, 0.3, 30)
            cycle = mean * math.exp(chance.gauss(-0.1, 0.5)) + 0.5
            won_at[place] = _to_daytime(opened[place] + int(cycle * DAY))
            weight = lead.cause.sale * (1.6 if lead.kind == "call" else 1.0)
            drawn.append((chance.expovariate(1.0) / weight, place, won_at[place]))
        drawn.sort()
        margin = 3 * HOUR
        buyers = [place for _, place, at in drawn if at < self.end - margin][:sales]
        bought = set(buyers)
        if buyers:
            self.sale_until = max(race for race, place, _ in drawn if place in bought)
        for place in sorted(buyers):
            self._deal(valid[place], opened[place], won_at[place], "WON")
        rest = [place for _, place, _ in drawn if place not in bought]
        extras = [p for p in rest if opened[p] < self.end - margin][:others]
        # Won for nothing (a warranty visit) is no sale; won and then deleted neither.
        gone = [p for p in extras if won_at[p] < self.end - 2 * DAY]
        free = set(gone[: max(1, round(sales / 200))])
        deleted = set(gone[len(free) : len(free) + max(1, round(sales / 400))])
        for place in sorted(extras):
            lead = valid[place]
            if place in free or place in deleted:
                deal = self._deal(lead, opened[place], won_at[place], "WON")
                if place in free:
                    deal.amount = deal.estimate = deal.margin = 0
                    deal.refund = deal.refunded_at = None
                else:
                    deal.refund = deal.refunded_at = None
                    hours = self.chance.uniform(5, 40)
                    deal.deleted_at = won_at[place] + int(hours * HOUR)
            else:
                end = chance.choices(("LOSE", "APOLOGY", "open"), (52, 12, 36))[0]
                self._deal(lead, opened[place], won_at[place], end)

    def _deal(
        self, lead: LeadDraft, opened: int, closes: int, outcome: str
    ) -> DealDraft:
        human, cause = lead.human, lead.cause
        assert human is not None
        assert cause is not None
        card = lead.card if self.firm.one_record else None
        card = card or self._card(human, opened, lead)
        lead.card = card
        deal = self._make_deal(human, lead, card, cause, opened, closes, outcome)
        deal.has_client_id = lead.has_client_id and self.chance.random() < 0.65
        deal.manager = lead.manager
        return deal

    def _make_deal(
        self,
        human: Human,
        lead: LeadDraft | None,
        card: Card | None,
        cause: Bump,
        opened: int,
        closes: int,
        outcome: str,
    ) -> DealDraft:
        chance = self.chance
        plan = cause.criterion.plan if cause.criterion else None
        ticket, share = (plan.ticket, plan.margin) if plan else (1.0, 0.34)
        amount = int(7_900_000 * ticket * math.exp(chance.gauss(0, 0.55)))
        amount = max(amount, 250_000) // 100 * 100 + chance.choice((0, 0, 37, 50, 99))
        if self.firm.one_record:  # its CRM keeps whole roubles
            amount = amount // 100 * 100
        estimate = int(amount * chance.uniform(0.8, 1.2)) // 100_000 * 100_000
        category = 2 if chance.random() < 0.05 else 0
        steps, contracted = self._stages(opened, closes, outcome, category)
        deal = DealDraft(
            opened,
            human,
            lead,
            card,
            [],
            cause,
            category,
            steps,
            amount,
            max(estimate, 100_000),
            int(amount * min(0.7, max(0.05, chance.gauss(share, 0.05)))),
            contracted,
            self._manager(),
            planned_at=closes + chance.randrange(-3, 4) * DAY,
        )
        if outcome == "WON" and chance.random() < 0.06:
            back = self._later(closes, 20, 24 * 12)
            if back < self.end:
                whole = chance.random() < 0.25
                deal.refund = (
                    amount if whole else int(amount * chance.uniform(0.04, 0.4))
                )
                deal.refunded_at = back
        if card and lead and chance.random() < 0.05:
            other = self._relative.get(human.number)
            if other is not None and other.name:
                deal.others.append(self._card(other, opened, None))
        self.deals.append(deal)
        return deal

    def _stages(
        self, opened: int, closes: int, outcome: str, category: int
    ) -> tuple[list[Step], int | None]:
        prefix = "C2:" if category else ""
        way = ["PREPARATION", "PREPAYMENT_INVOICE", "EXECUTING", "FINAL_INVOICE"]
        if outcome != "WON":
            way = way[: self.chance.choice((0, 1, 1, 1, 2))]
        shares = sorted(self.chance.uniform(0.03, 0.95) for _ in way)
        steps = [Step(opened, prefix + "NEW", "P")]
        for share, stage in zip(shares, way, strict=True):
            at = _to_daytime(opened + int((closes - opened) * share))
            at = min(max(at, steps[-1].at + 60), closes - 60)
            steps.append(Step(max(at, steps[-1].at + 1), prefix + stage, "P"))
        contracted = None
        if outcome == "WON":
            contracted = steps[2].at
        if outcome != "open":
            semantic = "S" if outcome == "WON" else "F"
            last = max(closes, steps[-1].at + 1)
            steps.append(Step(last, prefix + outcome, semantic))
        return [step for step in steps if step.at < self.end], contracted

    def _repeat_deals(self, returning: int, leadless: int) -> None:
        """Buyers come back: some through a new lead, some straight to a deal."""
        chance = self.chance
        buyers = [
            deal
            for deal in self.deals
            if deal.steps[-1].semantic == "S"
            and deal.amount
            and deal.deleted_at is None
            and deal.steps[-1].at < self.end - 2 * DAY
        ]
        buyers.sort(key=lambda deal: deal.steps[-1].at)
        chosen = buyers if len(buyers) <= returning + leadless else None
        chosen = chosen or chance.sample(buyers, returning + leadless)
        for number in range(returning + leadless):
            first = chosen[number % len(chosen)]
            room = self.end - 4 * HOUR - first.steps[-1].at
            wait = int(room * chance.uniform(0.1, 0.6))
            opened = _to_daytime(first.steps[-1].at + wait)
            closes = opened + int((self.end - 2 * HOUR - opened) * chance.random())
            closes = max(closes, opened + 600)
            card: Card | None = first.card
            if number < returning:
                at = max(opened - chance.randrange(600, 3 * HOUR), first.steps[-1].at)
                lead = LeadDraft(
                    at, "email", first.human, None, None, first.cause, "Повторный заказ"
                )
                lead.is_return = True
                lead.card = card
                lead.manager = first.manager
                lead.name = first.human.name
                self.leads.append(lead)
            else:
                lead = None
                if chance.random() < 0.3:
                    card = self._new_card(first.human, opened, None)
                if self.firm.one_record:
                    lead = self._lead_of_deal(first, opened, card)
            deal = self._make_deal(
                first.human, lead, card, first.cause, opened, closes, "WON"
            )
            deal.is_return = True
            deal.manager = first.manager

    def _lead_of_deal(
        self, first: DealDraft, opened: int, card: Card | None
    ) -> LeadDraft:
        """A deal made without a request, where each deal is a lead, too."""
        human = first.human
        lead = LeadDraft(
            opened, "offline", human, None, None, first.cause, "Повторный заказ"
        )
        lead.is_return = True
        lead.card = card
        lead.manager = first.manager
        lead.name = human.name
        lead.steps = [Step(opened, "CONVERTED", "S")]
        self.leads.append(lead)
        return lead

    def _one_record(self) -> None:
        """A deal is its lead grown up; robots and tests have cards, too."""
        for deal in self.deals:
            assert deal.lead is not None
            deal.lead.deleted_at = deal.deleted_at
            deal.lead.funnel = deal.category
        for lead in self.leads:
            if lead.card is None and (lead.phones or lead.emails):
                name = (lead.name, "", "")
                lead.card = Card(
                    lead.human,
                    lead.at,
                    name,
                    list(lead.phones),
                    list(lead.emails),
                    lead.manager,
                    lead.at,
                    lead.deleted_at,
                    lead=lead,
                )
                self.cards.append(lead.card)

    # --- cards -----------------------------------------------------------------------

    def _card(self, human: Human, at: int, lead: LeadDraft | None) -> Card:
        cards = [c for c in self._cards_of.get(human.number, ()) if c.created_at <= at]
        if cards and self.chance.random() < 0.8:
            return cards[0]
        return self._new_card(human, at, lead)

    def _new_card(self, human: Human, at: int, lead: LeadDraft | None) -> Card:
        chance = self.chance
        self._introduce(human)
        phones: list[str] = []
        emails: list[str] = []
        if lead is not None:
            phones, emails = list(lead.phones), list(lead.emails)
            if phones == [f"+{self.firm.switchboard}"] or (
                phones and phones[0] in catalogue.PLACEHOLDERS
            ):
                phones.append(typed_phone(chance, human.phones[0]))
        if lead is None or (not phones and not lead.emails):
            phones = [typed_phone(chance, human.phones[0])]
        if len(human.phones) > 1 and chance.random() < 0.4:
            held = "".join(phones)
            spare = [p for p in human.phones if p[-2:] not in held]
            phones += [typed_phone(chance, p) for p in spare[:1]]
        if human.emails and not emails and chance.random() < 0.5:
            emails = [human.emails[0]]
        card = Card(
            human,
            at,
            self._written_name(human),
            phones,
            emails,
            self._manager(),
            modified_at=at,
            lead=lead,
        )
        if chance.random() < 0.2:
            card.modified_at = self._later(at, 1, 200)
        self.cards.append(card)
        self._cards_of.setdefault(human.number, []).append(card)
        return card

    def _written_name(self, human: Human) -> tuple[str, str, str]:
        chance = self.chance
        name, last, second = human.name, human.last_name, human.second_name
        if chance.random() < 0.5:
            name, last, second = plain_e(name), plain_e(last), plain_e(second)
        how = chance.random()
        if how < 0.08:
            parts = [part for part in (last, name, second) if part]
            return " ".join(parts), "", ""
        if how < 0.14:
            return last, name, second  # the two fields swapped
        return name, last, second

    def _double_cards(self) -> None:
        """A second card of somebody known; some are found and merged."""
        chance = self.chance
        for card in list(self.cards):
            human = card.human
            if chance.random() > 0.04 or card.deleted_at is not None or human is None:
                continue
            at = self._later(card.created_at, 2, 24 * 9)
            if at >= self.end:
                continue
            double = self._new_card(human, at, None)
            if chance.random() < 0.8 and not any(
                self.firm.switchboard[1:] in phone for phone in card.phones
            ):
                double.phones = [typed_phone(chance, p) for p in human.phones[:1]]
        for cards in self._cards_of.values():
            if len(cards) < 2 or chance.random() > 0.45:
                continue
            kept, gone = cards[0], cards[1]
            at = self._later(max(kept.created_at, gone.created_at), 5, 24 * 7)
            if at < self.end:
                gone.deleted_at, gone.merged_into = at, kept

    # --- the rest ----------------------------------------------------------------------

    def _lead_steps(self) -> None:
        deal_of = {id(deal.lead): deal for deal in self.deals if deal.lead}
        chance = self.chance
        for lead in self.leads:
            if lead.steps:
                continue
            deal = deal_of.get(id(lead))
            at = lead.at
            lead.steps = [Step(at, "NEW", "P")]
            if deal is not None:
                gap = deal.at - at
                lead.steps += [
                    Step(at + int(gap * 0.3), "IN_PROCESS", "P"),
                    Step(at + int(gap * 0.7), "UC_QUALIF", "P"),
                    Step(deal.at, "CONVERTED", "S"),
                ]
            elif lead.is_duplicate:
                status = "UC_DOUBLE" if chance.random() < 0.85 else "JUNK"
                lead.steps.append(Step(self._later(at, 0.1, 8), status, "F"))
            else:
                at = self._later(at, 0.05, 6)
                lead.steps.append(Step(at, "IN_PROCESS", "P"))
                if chance.random() < 0.3:
                    at = self._later(at, 0.5, 40)
                    lead.steps.append(Step(at, "UC_QUALIF", "P"))
                if chance.random() < 0.93:
                    at = self._later(at, 5, 24 * 6)
                    lead.steps.append(Step(at, "JUNK", "F"))
            lead.steps = [step for step in lead.steps if step.at < self.end]
            if chance.random() < 0.06:
                lead.edited_at = self._later(lead.steps[-1].at, 0.2, 60)

    def _more_calls(self, wanted: int) -> None:
        """Calls that make no lead: again, by mistake, by robots, by ourselves."""
        chance = self.chance
        askers = [lead for lead in self.leads if lead.human and lead.human.phones]
        for number in range(max(wanted, 0)):
            dice = number / max(wanted, 1)
            if dice < 0.16 or not askers:
                call = self._call(self._daytime(), None, None, None, meant=False)
                call.duration_s = min(call.duration_s, 25)
                self._place(call)
                call.caller = chance.choice(
                    (self.numbers.mobile()[1:], "anonymous", self.numbers.mobile()[1:])
                )
            elif dice < 0.18:
                call = self._call(self._daytime(), None, None, None, meant=False)
                call.static = self.firm.static_numbers[-1]
                call.caller = self.firm.office_number
            else:
                lead = chance.choice(askers)
                human = lead.human
                assert human is not None
                at = min(self._later(lead.at, 0.5, 24 * 11), self.end - HOUR)
                stay = self._stay_near(human, at) if chance.random() < 0.5 else None
                if stay is not None:
                    at = stay.at + chance.randrange(20, max(stay.duration_s, 21))
                    stay.goals.append(catalogue.GOAL_CALL)
                call = self._call(at, human, stay, None, meant=True)
                if stay is None:
                    first = lead.call.static if lead.call else None
                    call.static = first or self.firm.static_numbers[-1]
                call.caller = self._phone(human)[1:]
                if chance.random() < 0.04:
                    call.callback = True

    def _place(self, call: CallDraft) -> None:
        (call.static,) = self.chance.choices(
            self.firm.static_numbers, self.firm.static_weights
        )

    def _stay_near(self, human: Human, at: int) -> Stay | None:
        stays = self._stays_of.get(human.number, [])
        place = bisect_left([stay.at for stay in stays], at)
        for stay in stays[place : place + 1]:
            if 8 <= _hour(stay.at) < 21:
                return stay
        return None

    def _deletions(self) -> None:
        """An open deal, a few dead leads and robots' calls are deleted by hand."""
        open_deals = [
            d for d in self.deals if d.steps[-1].semantic == "P" and not d.is_return
        ]
        for deal in self._some(open_deals, self.targets.sales / 200):
            at = self._later(deal.steps[-1].at, 1, 90)
            if at < self.end:
                deal.deleted_at = at
        dead = [lead for lead in self.leads if lead.is_spam or lead.is_test]
        for lead in self._some(dead, self.targets.leads / 600):
            at = self._later(lead.steps[-1].at, 1, 90)
            if at < self.end:
                lead.deleted_at = at
        robots = [c for c in self.calls if c.human is None and not c.meant]
        for call in self._some(robots, self.targets.calls / 700):
            call.deleted_at = self._later(call.at, 3, 24 * 6)

    def _some(self, rows: list[Anything], share: float) -> list[Anything]:
        return self.chance.sample(rows, min(len(rows), max(1, round(share))))

    def _manager(self) -> int:
        return self.chance.choice(self.firm.managers[:5]).manager_id

    def _daytime(self) -> int:
        day = self.chance.randrange(self.days) * DAY
        return self.begin + day + self.chance.randrange(9 * HOUR, 20 * HOUR)

    def _later(self, at: int, least: float, most: float) -> int:
        """A moment of work between `least` and `most` hours after another."""
        hours = least * (most / least) ** self.chance.random()
        return max(_to_daytime(at + int(hours * HOUR)), at + 30)


def _hour(at: int) -> int:
    return (at + MOSCOW_SHIFT) % DAY // HOUR


def _to_daytime(at: int) -> int:
    """The moment itself in office hours (9 to 20), else the next morning's."""
    second = (at + MOSCOW_SHIFT) % DAY
    if second < 9 * HOUR:
        return at - second + 9 * HOUR + second % HOUR
    if second >= 20 * HOUR:
        return at - second + DAY + 9 * HOUR + second % HOUR
    return at
