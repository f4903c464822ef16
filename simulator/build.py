"""Puts the company together: chance in, a frozen world out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote_plus, urlsplit

import numpy as np

from simulator import catalogue, kazan
from simulator.ads import DEVICES, grow_tree, spend
from simulator.crowd import Crowd, Human, Stay, link, moment
from simulator.office import (
    CallDraft,
    Card,
    DealDraft,
    LeadDraft,
    Office,
    Step,
    Targets,
)
from simulator.spb import SPB_FIRM
from simulator.world import (
    BRANCHES,
    KAZAN,
    MSK,
    SPB,
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

    from simulator.ads import Tree
    from simulator.catalogue import CampaignPlan, Firm
    from simulator.world import AdCost

CLICK_SURVIVES = 0.94
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")

_REFERERS = {
    "yandex_direct": "https://yandex.ru/",
    "google_ads": "https://www.google.com/",
    "facebook": "https://l.facebook.com/",
    "instagram": "https://l.instagram.com/",
    "vk_ads": "https://vk.com/",
}
_AD_SOURCES = {
    "yandex_direct": "yandex",
    "google_ads": "google",
    "meta_ads": "facebook",
    "vk_ads": "vk",
}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SCENARIOS = ("usual", "hard")
FIRMS = {MSK: catalogue.MSK_FIRM, SPB: SPB_FIRM}
_Tags = tuple[str | None, str | None, str | None, str | None, str | None]


def targets(days: int, size: float | str, part: float = 1.0) -> Targets:
    """How much a firm of that size has in so many days. Raises ValueError.

    `part` is the firm's share of the first one's size.
    """
    if size == "small":
        base, scale, usual = Targets(20, 800, 60, 90, 15), 1.0, 14
        part = max(part, 0.5)
    elif isinstance(size, (int, float)) and 0.02 <= size <= 25:
        base, scale, usual = Targets(300, 40000, 2000, 3000, 400), float(size), 90
    else:
        raise ValueError(f"size: {size!r} is neither 'small' nor from 0.02 to 25")
    share = scale * days / usual * part
    return Targets(
        max(12, round(base.keywords * min(scale, 3) * part)),
        max(60, round(base.visits * share)),
        max(8, round(base.calls * share)),
        max(12, round(base.leads * share)),
        max(2, round(base.sales * share)),
    )


@dataclass(frozen=True)
class Drafts:
    """A firm as its office knows it, before it is frozen into a world."""

    firm: Firm
    start: date
    tree: Tree
    costs: list[AdCost]
    crowd: Crowd
    office: Office
    chance: Random


def draft(name: str, recipe: Recipe) -> Drafts:
    """Make a firm that has a site: its people, what they did, and the ids of it all."""
    seed, days, size = recipe.seed, recipe.days, recipe.size
    firm, hard = FIRMS[name], recipe.scenario == "hard"
    wanted = targets(days, size, firm.share)
    main = name == MSK
    chance = Random(seed) if main else Random(f"{name} {seed}")
    rng = np.random.default_rng(seed if main else [seed, BRANCHES.index(name)])
    start = recipe.end_date - timedelta(days=days)
    chosen: Iterable[int] = range(len(firm.campaigns))
    if wanted.keywords < 60 * min(1, 2 * firm.share):
        chosen = firm.small_campaigns
    plans = [firm.campaigns[number] for number in chosen]
    if not recipe.confounding:
        plans = [_without_choice(plan) for plan in plans]
    tree = grow_tree(chance, start, wanted.keywords, plans, firm)
    clicks_wanted = wanted.visits * firm.ad_share / 100 / CLICK_SURVIVES
    costs, clicks = spend(rng, tree, start, days, clicks_wanted)
    crowd = Crowd(chance, rng, start, firm)
    crowd.visit(days, tree, clicks, wanted.visits, hard)
    office = Office(chance, crowd, days, wanted, hard)
    office.work()
    _number(office, firm)
    crowd.stays.sort(key=lambda stay: (stay.at, stay.visit_id))
    return Drafts(firm, start, tree, costs, crowd, office, chance)


def _without_choice(plan: CampaignPlan) -> CampaignPlan:
    """A campaign shown to anybody, not to those who are about to buy anyway."""
    return replace(plan, nearness=1.0, fresh=max(plan.fresh, 0.82))


def _number(office: Office, firm: Firm) -> None:
    """Ids in the order of time."""
    office.calls.sort(key=lambda call: call.at)
    office.leads.sort(key=lambda lead: lead.at)
    office.cards.sort(key=lambda card: card.created_at)
    office.deals.sort(key=lambda deal: deal.at)
    for number, call in enumerate(office.calls):
        call.call_id = firm.first_call + number * 13 + number % 7
    for number, lead in enumerate(office.leads):
        lead.lead_id = firm.first_lead + number * 2
    for number, card in enumerate(office.cards):
        card.contact_id = firm.first_contact + number
    for number, deal in enumerate(office.deals):
        deal.deal_id = firm.first_deal + number
        if firm.one_record and deal.lead is not None:
            deal.deal_id = deal.lead.lead_id


def build(name: str, recipe: Recipe) -> World:
    """Make one firm of the group; see `simulator.world.build_world`."""
    days = recipe.days
    if not 7 <= days <= 1095:
        raise ValueError(f"days: {days} is not from 7 to 1095")
    if recipe.scenario not in SCENARIOS:
        known = " nor ".join(SCENARIOS)
        raise ValueError(f"scenario: {recipe.scenario!r} is neither {known}")
    if name == KAZAN:
        small = targets(days, recipe.size, 0.22)
        return kazan.build(recipe, small.leads, round(small.sales * 0.4))
    drafts = draft(name, recipe)
    firm, tree = drafts.firm, drafts.tree
    assembly = _Assembly(drafts.chance, drafts.crowd, drafts.office)
    return World(
        name=name,
        seed=recipe.seed,
        start_date=drafts.start,
        end_date=recipe.end_date,
        now=recipe.now,
        counter_id=firm.counter_id,
        site_id=firm.site_id,
        client_login=firm.client_login,
        site=firm.site,
        campaigns=tree.campaigns,
        ad_groups=tree.groups,
        ads=tree.ads,
        keywords=tree.keywords,
        ad_costs=drafts.costs,
        visits=assembly.visits,
        calls=assembly.calls(),
        static_numbers=list(firm.static_numbers),
        pool_numbers=list(firm.pool_numbers),
        contacts=assembly.contacts(),
        leads=assembly.leads(),
        deals=assembly.deals(),
        deal_contacts=assembly.deal_contacts(),
        stage_changes=assembly.stage_changes(),
        statuses=list(firm.statuses),
        categories=list(firm.categories),
        managers=list(firm.managers),
        persons=assembly.persons(),
    )


class _Assembly:
    """Freezes the drafts."""

    def __init__(self, chance: Random, crowd: Crowd, office: Office) -> None:
        self.chance = chance
        self.firm = crowd.firm
        self.crowd = crowd
        self.office = office
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
                self.firm.cities[human.city][0],
                tuple(
                    c for device in sorted(human.cookies) for c in human.cookies[device]
                ),
                tuple(human.phones),
                tuple(human.emails),
                tuple(visitor for visitor, _ in self._browsers(human)),
                tuple(uid for _, uid in self._browsers(human) if uid),
            )
            for human in self.crowd.people
        ]

    def _browsers(self, human: Human) -> list[tuple[int, str]]:
        known = self.crowd.browsers
        return [known[c] for row in human.cookies.values() for c in row if c in known]

    # --- the counter ---------------------------------------------------------------

    def _visit(self, stay: Stay) -> Visit:
        chance, criterion = self.chance, stay.criterion
        ids: tuple[int | None, int | None, int | None, int | None]
        ids, phrase = (None, None, None, None), ""
        source, adv, engine, social, site, referer = "ad", "", "", "", "", ""
        if criterion is not None:
            dice = chance.random()
            marks = "full" if dice < 0.9 else "names" if dice < 0.95 else "none"
            platform = criterion.plan.platform
            click = self._click(platform, stay.at) if dice < 0.97 else None
            start_url = link(criterion, stay.ad, marks, click, self.firm.site)
            adv = "ya_direct" if platform == "yandex_direct" else platform
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
                other = "ya_undefined" if platform == "yandex_direct" else "undefined"
                source, adv = ("ad", other) if click else ("direct", "")
            network = criterion.network in ("AD_NETWORK", "DISPLAY")
            referer = _REFERERS[
                criterion.network if platform == "meta_ads" else platform
            ]
            if network and chance.random() < 0.3:
                referer = ""
        else:
            source, engine, social, site, referer, start_url = self._free(stay)
        utm = parse_qs(urlsplit(start_url).query) if "?" in start_url else {}
        tag = {name: utm.get(name, [""])[0] for name in (*UTM, "gclid", "fbclid")}
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
            end_url = f"{self.firm.site}/{chance.choice(pages_seen)}/"
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
            self.firm.cities[stay.human.city][0],
            stay.is_new,
            tuple(sorted(set(stay.goals))),
            revised,
            pages,
            length,
            stay.channel,
            criterion.campaign.campaign_id if criterion else None,
            criterion.criterion_id if criterion else None,
            *self._behind(stay, tag),
        )

    def _behind(
        self, stay: Stay, tag: dict[str, str]
    ) -> tuple[str, str, str, str, str, int | None, int | None, int | None, str]:
        """What was clicked and whose browser it is: the last fields of a visit."""
        criterion = stay.criterion
        visitor, uid = self.crowd.browsers.get(stay.client_id, (None, ""))
        ad = criterion.ads[stay.ad] if criterion and criterion.ads else None
        return (
            criterion.plan.platform if criterion else "",
            tag["gclid"],
            tag["fbclid"],
            stay.client_id if self.firm.tracker else "",
            uid,
            visitor,
            ad.ad_group_id if ad else None,
            ad.ad_id if ad else None,
            criterion.network if criterion else "",
        )

    def _click(self, platform: str, at: int) -> str:
        """What an ad system adds to the link to know the click again."""
        chance = self.chance
        match platform:
            case "google_ads":
                return f"gclid=Cj0KCQ{_letters(chance, 48)}EALw_wcB"
            case "meta_ads":
                return f"fbclid=IwZXh0bgNhZW0{_letters(chance, 42)}"
            case "vk_ads":
                return f"rb_clickid={at}{chance.randrange(10**8, 10**9)}"
        return f"yclid={10**18 + at * 10**9 + chance.randrange(10**9)}"

    def _free(self, stay: Stay) -> tuple[str, str, str, str, str, str]:
        """Source, engine, network, referring site, referer and landing of a free visit."""
        chance = self.chance
        path = chance.choice(("", "", "okna/", "balkony/", "ceny/", "blog/kak-vybrat/"))
        page = f"{self.firm.site}/{path}"
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
        visit = self._visit_of[self._seen_as(draft, stay)] if stay else None
        number = chance.choice(self.firm.pool_numbers) if stay else ""
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
                for row in self.firm.managers
                if row.manager_id == draft.manager and draft.successful
            ),
            None,
        )
        source, medium, keyword = number, "offline", None
        tracked = visit is not None and chance.random() < 0.93
        city = chance.choice(self.firm.cities)[1]
        if visit is not None:
            source, medium, keyword = _call_source(visit)
        return Call(
            call_id=draft.call_id,
            at=moment(draft.at),
            duration_s=draft.duration_s,
            wait_s=draft.wait_s,
            caller_number=draft.caller,
            phone_number=number,
            redirect_number=self.firm.office_number if stay else number,
            visit_id=visit.visit_id if visit else None,
            client_id=visit.client_id if visit and tracked else None,
            session_id=self._session(visit) if visit else None,
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
            visitor_id=visit.visitor_id if visit else None,
        )

    def _seen_as(self, draft: CallDraft, stay: Stay) -> int:
        """The visit the tracker takes a call for: with too few numbers not always his."""
        return self.office.taken_for.get(id(draft), stay).visit_id

    def _session(self, visit: Visit) -> int:
        if self.firm.tracker:
            return visit.visit_id
        return 1_900_000_000 + visit.visit_id % 99_999_989

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
            card.human.person_id if card.human else _nobody(card.lead),
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
        marked = visit if draft.has_client_id else None
        tracker = self.firm.tracker
        return Lead(
            draft.lead_id,
            draft.title,
            draft.name,
            "",
            "",
            tuple(draft.phones),
            tuple(draft.emails),
            self.firm.stage("lead", draft.funnel, last.stage)[1],
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
            marked.client_id if marked and not tracker else None,
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
            loss_reason=self.firm.loss_reason(
                "lead", draft.funnel, last.stage, draft.lead_id
            ),
            ga_client_id=marked.ga_client_id if marked and tracker else None,
            ym_uid=(marked.ym_uid or None) if marked else None,
            gclid=(marked.gclid or None) if marked else None,
            fbclid=(marked.fbclid or None) if marked else None,
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
        category, stage = self.firm.stage("deal", draft.category, last.stage)
        client = visit.client_id if visit and draft.has_client_id else None
        tracker = self.firm.tracker
        return Deal(
            deal_id=draft.deal_id,
            title=f"{subject}: {draft.human.last_name} №{draft.deal_id}",
            category_id=category,
            stage_id=stage,
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
            ym_client_id=None if tracker else client,
            deleted_at=moment(draft.deleted_at) if draft.deleted_at else None,
            estimate_kopecks=draft.estimate,
            contracted_at=moment(draft.contracted_at)
            if draft.contracted_at is not None
            else None,
            person_id=draft.human.person_id,
            cause_channel=draft.cause.channel,
            cause_campaign_id=criterion.campaign.campaign_id if criterion else None,
            cause_keyword_id=criterion.criterion_id if criterion else None,
            ga_client_id=client if tracker else None,
            loss_reason=self.firm.loss_reason(
                "deal", draft.category, last.stage, draft.deal_id
            ),
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
        lead_steps = [(d.lead_id, d.funnel, d.steps) for d in self.office.leads]
        deal_steps = [(d.deal_id, d.category, d.steps) for d in self.office.deals]
        for entity, owners in (("lead", lead_steps), ("deal", deal_steps)):
            rows += self._history(entity, owners)
        return rows

    def _history(
        self, entity: str, owners: Iterable[tuple[int, int, list[Step]]]
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
                    *self.firm.stage(entity, category, step.stage),
                    step.semantic,
                    kind,
                )
            )
        return rows


def _letters(chance: Random, count: int) -> str:
    bits = chance.getrandbits(6 * count)
    return "".join(_LETTERS[bits >> 6 * place & 63] for place in range(count))


def _nobody(lead: LeadDraft | None) -> str:
    """Whose a card is that a robot or a test of the firm's own filled in."""
    if lead is None or lead.is_test:
        return "nobody-tests"
    return f"nobody-{lead.lead_id}"


def _source(lead: LeadDraft) -> str:
    return {
        "call": "CALL",
        "form": "WEB",
        "chat": "UC_CHAT",
        "email": "EMAIL",
        "offline": "OTHER",
    }[lead.kind]


def _call_source(visit: Visit) -> tuple[str, str, str | None]:
    """Source, medium and keyword as call tracking names a visit's."""
    if visit.utm_source:
        return visit.utm_source, visit.utm_medium, visit.utm_term or None
    match visit.traffic_source:
        case "ad":
            return _AD_SOURCES[visit.platform], "cpc", None
        case "organic":
            return visit.search_engine, "organic", "(not provided)"
        case "referral":
            return visit.referal_source, "referral", None
        case "social":
            return "vk.com", "social", None
    return "(direct)", "(none)", None
