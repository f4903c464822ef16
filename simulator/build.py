"""Puts the company together: chance in, a frozen world out."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote_plus, urlsplit

import numpy as np

from simulator import catalogue
from simulator.ads import DEVICES, grow_tree, spend
from simulator.crowd import Crowd, Stay, link, moment
from simulator.office import (
    CallDraft,
    Card,
    DealDraft,
    LeadDraft,
    Office,
    Step,
    Targets,
)
from simulator.world import (
    Call,
    Contact,
    Deal,
    DealContact,
    Lead,
    Person,
    Recipe,
    StageChange,
    Visit,
    World,
    moscow_day,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

CLICK_SURVIVES = 0.94
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")

_Tags = tuple[str | None, str | None, str | None, str | None, str | None]


def targets(days: int, size: float | str) -> Targets:
    """How much a company of that size has in so many days. Raises ValueError."""
    if size == "small":
        base, scale, usual = Targets(20, 800, 60, 90, 15), 1.0, 14
    elif isinstance(size, (int, float)) and 0.02 <= size <= 25:
        base, scale, usual = Targets(300, 40000, 2000, 3000, 400), float(size), 90
    else:
        raise ValueError(f"size: {size!r} is neither 'small' nor from 0.02 to 25")
    share = scale * days / usual
    return Targets(
        max(12, round(base.keywords * min(scale, 3))),
        max(60, round(base.visits * share)),
        max(8, round(base.calls * share)),
        max(12, round(base.leads * share)),
        max(2, round(base.sales * share)),
    )


def build(name: str, recipe: Recipe) -> World:
    """Make one firm of the group; see `simulator.world.build_world`."""
    seed, end_date, days, size = recipe.seed, recipe.end_date, recipe.days, recipe.size
    now = recipe.now
    if not 7 <= days <= 1095:
        raise ValueError(f"days: {days} is not from 7 to 1095")
    wanted = targets(days, size)
    chance = Random(seed)
    rng = np.random.default_rng(seed)
    start = end_date - timedelta(days=days)
    chosen = (
        catalogue.SMALL_CAMPAIGNS
        if wanted.keywords < 60
        else range(len(catalogue.CAMPAIGNS))
    )
    plans = [catalogue.CAMPAIGNS[number] for number in chosen]
    tree = grow_tree(chance, start, wanted.keywords, plans)
    clicks_wanted = wanted.visits * catalogue.DIRECT_SHARE / 100 / CLICK_SURVIVES
    costs, clicks = spend(rng, tree, start, days, clicks_wanted)
    crowd = Crowd(chance, rng, start)
    crowd.visit(days, tree, clicks, wanted.visits)
    office = Office(chance, crowd, days, wanted)
    office.work()
    assembly = _Assembly(chance, crowd, office, now)
    return World(
        seed=seed,
        start_date=start,
        end_date=end_date,
        now=now,
        counter_id=catalogue.COUNTER_ID,
        site_id=catalogue.SITE_ID,
        client_login=catalogue.CLIENT_LOGIN,
        site=catalogue.SITE,
        campaigns=tree.campaigns,
        ad_groups=tree.groups,
        ads=tree.ads,
        keywords=tree.keywords,
        ad_costs=costs,
        visits=assembly.visits,
        calls=assembly.calls(),
        static_numbers=list(catalogue.STATIC_NUMBERS),
        pool_numbers=list(catalogue.POOL_NUMBERS),
        contacts=assembly.contacts(),
        leads=assembly.leads(),
        deals=assembly.deals(),
        deal_contacts=assembly.deal_contacts(),
        stage_changes=assembly.stage_changes(),
        statuses=catalogue.statuses(),
        categories=list(catalogue.CATEGORIES),
        managers=list(catalogue.MANAGERS),
        persons=assembly.persons(),
    )


class _Assembly:
    """Gives ids in the order of time and freezes the drafts."""

    def __init__(
        self, chance: Random, crowd: Crowd, office: Office, now: datetime
    ) -> None:
        self.chance = chance
        self.crowd = crowd
        self.office = office
        office.calls.sort(key=lambda call: call.at)
        office.leads.sort(key=lambda lead: lead.at)
        office.cards.sort(key=lambda card: card.created_at)
        office.deals.sort(key=lambda deal: deal.at)
        for number, call in enumerate(office.calls):
            call.call_id = 22700000 + number * 13 + number % 7
        for number, lead in enumerate(office.leads):
            lead.lead_id = 1001 + number * 2
        for number, card in enumerate(office.cards):
            card.contact_id = 501 + number
        for number, deal in enumerate(office.deals):
            deal.deal_id = 301 + number
        crowd.stays.sort(key=lambda stay: (stay.at, stay.visit_id))
        self.visits = [self._visit(stay) for stay in crowd.stays]
        self._visit_of = {visit.visit_id: visit for visit in self.visits}

    def persons(self) -> list[Person]:
        """Everybody, with what is theirs."""
        return [
            Person(
                human.person_id,
                human.name,
                human.last_name,
                human.second_name,
                catalogue.CITIES[human.city][0],
                tuple(
                    c for device in sorted(human.cookies) for c in human.cookies[device]
                ),
                tuple(human.phones),
                tuple(human.emails),
            )
            for human in self.crowd.people
        ]

    # --- the counter ---------------------------------------------------------------

    def _visit(self, stay: Stay) -> Visit:
        chance, criterion = self.chance, stay.criterion
        ids: tuple[int | None, int | None, int | None, int | None]
        ids, phrase = (None, None, None, None), ""
        source, adv, engine, social, site, referer = "ad", "", "", "", "", ""
        if criterion is not None:
            dice = chance.random()
            marks = "full" if dice < 0.9 else "names" if dice < 0.95 else "none"
            yclid = None
            if dice < 0.97:
                yclid = str(10**18 + stay.at * 10**9 + chance.randrange(10**9))
            start_url = link(criterion, stay.ad, marks, yclid)
            adv = "ya_direct"
            if dice < 0.82:
                ad = criterion.ads[stay.ad] if criterion.ads else None
                ids = (
                    criterion.campaign.campaign_id,
                    ad.ad_group_id if ad else None,
                    ad.ad_id if ad else None,
                    criterion.criterion_id,
                )
                phrase = criterion.text if criterion.criterion_id else ""
            elif marks == "none":
                # Nothing says what was clicked; sometimes not even that it was an ad.
                source, adv = ("ad", "ya_undefined") if yclid else ("direct", "")
            network = criterion.plan.network == "AD_NETWORK"
            referer = "" if network and chance.random() < 0.3 else "https://yandex.ru/"
        else:
            source, engine, social, site, referer, start_url = self._free(stay)
        utm = parse_qs(urlsplit(start_url).query) if "?" in start_url else {}
        tag = {name: utm.get(name, [""])[0] for name in UTM}
        pages, length = stay.page_views, stay.duration_s
        revised = None
        if length > 300 and chance.random() < 0.2:
            revised = moment(stay.at + length + chance.randrange(3600, 60 * 3600))
            pages, length = max(1, pages // 2), length // 2
        if not stay.goals and stay.page_views > 4 and chance.random() < 0.25:
            stay.goals.append(catalogue.GOAL_CALCULATOR)
        pages_seen = ("ceny", "kalkulyator", "kontakty", "zamer", "otzyvy", "okna")
        end_url = start_url
        if stay.page_views > 1:
            end_url = f"{catalogue.SITE}/{chance.choice(pages_seen)}/"
        return Visit(
            stay.visit_id,
            stay.client_id,
            stay.human.person_id,
            moment(stay.at),
            stay.duration_s,
            stay.page_views,
            start_url,
            end_url,
            referer,
            source,
            adv,
            engine,
            social,
            site,
            tag["utm_source"],
            tag["utm_medium"],
            tag["utm_campaign"],
            tag["utm_content"],
            tag["utm_term"],
            ids[0],
            ids[1],
            ids[2],
            ids[3],
            phrase,
            DEVICES[stay.device],
            catalogue.CITIES[stay.human.city][0],
            stay.is_new,
            tuple(sorted(set(stay.goals))),
            revised,
            pages,
            length,
            stay.channel,
            criterion.campaign.campaign_id if criterion else None,
            criterion.criterion_id if criterion else None,
        )

    def _free(self, stay: Stay) -> tuple[str, str, str, str, str, str]:
        """Source, engine, network, referring site, referer and landing of a free visit."""
        chance = self.chance
        path = chance.choice(("", "", "okna/", "balkony/", "ceny/", "blog/kak-vybrat/"))
        page = f"{catalogue.SITE}/{path}"
        match stay.channel:
            case "seo":
                (engine,) = chance.choices(("yandex", "google", "mail"), (68, 30, 2))
                if engine == "yandex" and chance.random() < 0.7:
                    page += (
                        f"?ysclid=l{chance.getrandbits(40):x}{chance.randrange(10**6)}"
                    )
                host = {"yandex": "yandex.ru", "google": "www.google.com"}
                return (
                    "organic",
                    engine,
                    "",
                    "",
                    f"https://{host.get(engine, 'go.mail.ru')}/",
                    page,
                )
            case "referral":
                site = chance.choice(
                    ("remont-blog.example", "dom-forum.example", "otzyvy.example")
                )
                return "referral", "", "", site, f"https://{site}/okna?p=12", page
            case "social":
                if chance.random() < 0.5:
                    page += "?utm_source=vk&utm_medium=social&utm_campaign=group_post"
                return "social", "", "vkontakte", "", "https://vk.com/", page
            case "messenger":
                page += "?utm_source=telegram&utm_medium=messenger&utm_campaign=channel"
                return "messenger", "", "", "", "", page
            case "email":
                page += (
                    "?utm_source=newsletter&utm_medium=email&utm_campaign="
                    + quote_plus("весна_скидки")
                )
                return "email", "", "", "", "", page
            case "maps":
                page += "?utm_source=yandex_maps&utm_medium=maps&utm_campaign=card"
                return "referral", "", "", "yandex.ru", "https://yandex.ru/maps/", page
            case "classified":
                page += "?utm_source=avito&utm_medium=classified&utm_campaign=profile"
                return "referral", "", "", "www.avito.ru", "https://www.avito.ru/", page
        if chance.random() < 0.04:
            return "internal", "", "", "", page, page
        return "direct", "", "", "", "", page

    # --- call tracking ---------------------------------------------------------------

    def calls(self) -> list[Call]:
        """The journal, with first and target calls found in order of time."""
        known: set[str] = set()
        known_target: set[str] = set()
        return [self._call(draft, known, known_target) for draft in self.office.calls]

    def _call(self, draft: CallDraft, known: set[str], known_target: set[str]) -> Call:
        chance, stay, static = self.chance, draft.stay, draft.static
        visit = self._visit_of[stay.visit_id] if stay else None
        number = chance.choice(catalogue.POOL_NUMBERS) if stay else ""
        if static is not None:
            number = static.number
        target = draft.successful and draft.meant and abs(draft.duration_s) >= 60
        unique = draft.caller not in known
        first_target = target and draft.caller not in known_target
        known.add(draft.caller)
        if target:
            known_target.add(draft.caller)
        tags: tuple[str, ...] = ("статика",) if static else ("звонок", "динамика")
        tagged_at = None
        comment = None
        if draft.meant and chance.random() < 0.3:
            tags += (chance.choice(("Замер", "Цена", "Рекламация", "Перезвонить")),)
            tagged_at = moment(draft.at + chance.randrange(1800, 12 * 86400))
            if chance.random() < 0.15:
                comment = f"Второй номер клиента: {draft.caller}"
        manager = next(
            (
                f"{row.name} {row.last_name}"
                for row in catalogue.MANAGERS
                if row.manager_id == draft.manager and draft.successful
            ),
            None,
        )
        source, medium, keyword = number, "offline", None
        tracked = visit is not None and chance.random() < 0.93
        city = chance.choice(catalogue.CITIES)[1]
        if visit is not None:
            source, medium, keyword = _call_source(visit)
        return Call(
            call_id=draft.call_id,
            at=moment(draft.at),
            duration_s=draft.duration_s,
            wait_s=draft.wait_s,
            caller_number=draft.caller,
            phone_number=number,
            redirect_number=catalogue.OFFICE_NUMBER if stay else number,
            visit_id=visit.visit_id if visit else None,
            client_id=visit.client_id if visit and tracked else None,
            session_id=1_900_000_000 + visit.visit_id % 99_999_989 if visit else None,
            session_at=visit.started_at if visit else None,
            successful=draft.successful,
            unique=unique,
            target=target,
            unique_target=first_target,
            callback=draft.callback,
            source=source,
            medium=medium,
            keyword=keyword,
            utm_source=(visit.utm_source or None) if visit else number,
            utm_medium=(visit.utm_medium or None) if visit else "offline",
            utm_campaign=(visit.utm_campaign or None) if visit else number,
            utm_content=(visit.utm_content or None) if visit else None,
            utm_term=(visit.utm_term or None) if visit else None,
            url=visit.start_url if visit else None,
            ref=(visit.referer or None) if visit else None,
            city=city,
            device=visit.device if visit else None,
            tags=tags,
            tagged_at=tagged_at,
            manager=manager,
            pool_name="Основной пул" if visit else number,
            comment=comment,
            direct_campaign_id=visit.direct_campaign_id if visit else None,
            direct_ad_group_id=visit.direct_ad_group_id if visit else None,
            direct_ad_id=visit.direct_ad_id if visit else None,
            direct_keyword_id=visit.direct_keyword_id if visit else None,
            person_id=draft.human.person_id if draft.human else None,
            deleted_at=moment(draft.deleted_at) if draft.deleted_at else None,
        )

    # --- the CRM ---------------------------------------------------------------------

    def contacts(self) -> list[Contact]:
        """Cards as people filled them; merging is applied by `as_of`."""
        return [self._contact(card) for card in self.office.cards]

    def _contact(self, card: Card) -> Contact:
        return Contact(
            card.contact_id,
            *card.name,
            tuple(card.phones),
            tuple(card.emails),
            moment(card.created_at),
            moment(max(card.modified_at, card.created_at)),
            moment(card.deleted_at) if card.deleted_at else None,
            card.merged_into.contact_id if card.merged_into else None,
            card.lead.lead_id if card.lead else None,
            card.manager,
            card.human.person_id,
        )

    def _utm(self, lead: LeadDraft | None) -> _Tags:
        if lead is None or lead.stay is None or not lead.has_utm:
            return None, None, None, None, None
        visit = self._visit_of[lead.stay.visit_id]
        return (
            visit.utm_source or None,
            visit.utm_medium or None,
            visit.utm_campaign or None,
            visit.utm_content or None,
            visit.utm_term or None,
        )

    def leads(self) -> list[Lead]:
        """Leads in their last state."""
        return [self._lead(draft) for draft in self.office.leads]

    def _lead(self, draft: LeadDraft) -> Lead:
        last = draft.steps[-1]
        visit = self._visit_of[draft.stay.visit_id] if draft.stay else None
        utm = self._utm(draft)
        return Lead(
            draft.lead_id,
            draft.title,
            draft.name,
            "",
            "",
            tuple(draft.phones),
            tuple(draft.emails),
            last.stage,
            last.semantic,
            "RECOMMENDATION" if draft.is_return else _source(draft),
            0,
            "RUB",
            draft.card.contact_id if draft.card else None,
            moment(draft.at),
            moment(max(last.at, draft.edited_at)),
            moment(last.at) if last.semantic != "P" else None,
            moment(last.at),
            draft.is_return,
            *utm,
            visit.client_id if visit and draft.has_client_id else None,
            draft.manager,
            draft.comments,
            moment(draft.deleted_at) if draft.deleted_at else None,
            draft.kind,
            draft.is_spam,
            draft.is_test,
            draft.is_duplicate,
            draft.human.person_id if draft.human else None,
            visit.visit_id if visit else None,
            draft.call.call_id if draft.call else None,
            draft.cause.channel if draft.cause else None,
        )

    def deals(self) -> list[Deal]:
        """Deals in their last state."""
        return [self._deal(draft) for draft in self.office.deals]

    def _deal(self, draft: DealDraft) -> Deal:
        lead, last, criterion = draft.lead, draft.steps[-1], draft.cause.criterion
        stay = lead.stay if lead else None
        visit = self._visit_of[stay.visit_id] if stay else None
        utm = self._utm(lead)
        moments = [draft.at, last.at, draft.contracted_at or 0, draft.refunded_at or 0]
        contracted = draft.contracted_at is not None
        subject = "Повторный заказ" if draft.is_return else "Окна"
        return Deal(
            deal_id=draft.deal_id,
            title=f"{subject}: {draft.human.last_name} №{draft.deal_id}",
            category_id=draft.category,
            stage_id=last.stage,
            semantic=last.semantic,
            amount_kopecks=draft.amount if contracted else draft.estimate,
            currency="RUB",
            lead_id=lead.lead_id if lead else None,
            contact_id=draft.card.contact_id if draft.card else None,
            created_at=moment(draft.at),
            modified_at=moment(max(moments)),
            moved_at=moment(last.at),
            planned_close=moscow_day(moment(draft.planned_at)),
            closed=last.semantic != "P",
            closed_at=moment(last.at) if last.semantic != "P" else None,
            manager_id=draft.manager,
            source_id=_source(lead) if lead else "RECOMMENDATION",
            is_return_customer=draft.is_return,
            utm_source=utm[0],
            utm_medium=utm[1],
            utm_campaign=utm[2],
            utm_content=utm[3],
            utm_term=utm[4],
            margin_kopecks=draft.margin if last.semantic == "S" else None,
            refund_kopecks=draft.refund,
            refund_date=moscow_day(moment(draft.refunded_at))
            if draft.refunded_at
            else None,
            refunded_at=moment(draft.refunded_at) if draft.refunded_at else None,
            ym_client_id=visit.client_id if visit and draft.has_client_id else None,
            deleted_at=moment(draft.deleted_at) if draft.deleted_at else None,
            estimate_kopecks=draft.estimate,
            contracted_at=moment(draft.contracted_at)
            if draft.contracted_at is not None
            else None,
            person_id=draft.human.person_id,
            cause_channel=draft.cause.channel,
            cause_campaign_id=criterion.campaign.campaign_id if criterion else None,
            cause_keyword_id=criterion.criterion_id if criterion else None,
        )

    def deal_contacts(self) -> list[DealContact]:
        """Who belongs to which deal; the first one is primary."""
        rows = []
        for deal in self.office.deals:
            cards = ([deal.card] if deal.card else []) + deal.others
            for place, card in enumerate(cards):
                rows.append(
                    DealContact(
                        deal.deal_id, card.contact_id, 10 * (place + 1), place == 0
                    )
                )
        return rows

    def stage_changes(self) -> list[StageChange]:
        """Both histories; ids rise with time inside each."""
        rows: list[StageChange] = []
        lead_steps = [(d.lead_id, 0, d.steps) for d in self.office.leads]
        deal_steps = [(d.deal_id, d.category, d.steps) for d in self.office.deals]
        for entity, owners in (("lead", lead_steps), ("deal", deal_steps)):
            rows += _history(entity, owners)
        return rows


def _history(
    entity: str, owners: Iterable[tuple[int, int, list[Step]]]
) -> list[StageChange]:
    moves = [
        (step.at, owner, place, category, step)
        for owner, category, steps in owners
        for place, step in enumerate(steps)
    ]
    moves.sort(key=lambda move: move[:3])
    rows = []
    for number, (at, owner, place, category, step) in enumerate(moves, start=1):
        kind = 1 if place == 0 else 2 if step.semantic == "P" else 3
        rows.append(
            StageChange(
                number * 3,
                entity,
                owner,
                moment(at),
                category,
                step.stage,
                step.semantic,
                kind,
            )
        )
    return rows


def _source(lead: LeadDraft) -> str:
    return {"call": "CALL", "form": "WEB", "chat": "UC_CHAT", "email": "EMAIL"}[
        lead.kind
    ]


def _call_source(visit: Visit) -> tuple[str, str, str | None]:
    """Source, medium and keyword as call tracking names a visit's."""
    if visit.utm_source:
        return visit.utm_source, visit.utm_medium, visit.utm_term or None
    match visit.traffic_source:
        case "ad":
            return "yandex", "cpc", None
        case "organic":
            return visit.search_engine, "organic", "(not provided)"
        case "referral":
            return visit.referal_source, "referral", None
        case "social":
            return "vk.com", "social", None
    return "(direct)", "(none)", None
