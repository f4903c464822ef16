"""A firm's advertising: the tree of campaigns and what each day of it cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from simulator.world import Ad, AdCost, AdGroup, Campaign, Keyword

if TYPE_CHECKING:
    from random import Random

    from simulator.catalogue import CampaignPlan, Firm


@dataclass(frozen=True)
class Platform:
    """How an ad system numbers its objects and fills links: (first id, step) each.

    `ids`, `names`: the templates of links. Meta and VK know no {keyword}.
    """

    campaign: tuple[int, int]
    group: tuple[int, int]
    ad: tuple[int, int]
    keyword: tuple[int, int]
    ids: str
    names: str
    group_types: dict[str, str]
    ad_types: dict[str, str]


PLATFORMS = {
    "yandex_direct": Platform(
        (70100017, 1371),
        (5400000011, 733),
        (16200000023, 509),
        (26400000003, 307),
        "utm_source=yandex&utm_medium=cpc&utm_campaign={campaign_id}"
        "&utm_content={ad_id}&utm_term={keyword}",
        "utm_source=yandex&utm_medium=cpc&utm_campaign={campaign_name}"
        "&utm_term={keyword}",
        {"UNIFIED_CAMPAIGN": "UNIFIED_AD_GROUP"},
        {"UNIFIED_CAMPAIGN": "RESPONSIVE_AD"},
    ),
    "google_ads": Platform(
        (20900000071, 13711),
        (158000000029, 7331),
        (690000000053, 5099),
        (300100000007, 3079),
        "utm_source=google&utm_medium=cpc&utm_campaign={campaignid}"
        "&utm_content={creative}&utm_term={keyword}",
        "utm_source=google&utm_medium=cpc&utm_campaign={_campaign}&utm_term={keyword}",
        {"SEARCH": "SEARCH_STANDARD", "DISPLAY": "DISPLAY_STANDARD"},
        {"SEARCH": "RESPONSIVE_SEARCH_AD", "DISPLAY": "RESPONSIVE_DISPLAY_AD"},
    ),
    "meta_ads": Platform(
        (120210000000410017, 1000137),
        (120210000000520031, 1000073),
        (120210000000630047, 1000051),
        (0, 0),
        "utm_source={{site_source_name}}&utm_medium=paid_social"
        "&utm_campaign={{campaign.id}}&utm_content={{ad.id}}",
        "utm_source={{site_source_name}}&utm_medium=paid_social"
        "&utm_campaign={{campaign.name}}",
        {},
        {},
    ),
    "vk_ads": Platform(
        (13100019, 1373),
        (61200037, 739),
        (142300041, 521),
        (0, 0),
        "utm_source=vk_ads&utm_medium=cpc&utm_campaign={{campaign_id}}"
        "&utm_content={{banner_id}}",
        "utm_source=vk_ads&utm_medium=cpc&utm_campaign={{campaign_name}}",
        {},
        {},
    ),
}
DEVICES = ("DESKTOP", "MOBILE", "TABLET")
DEVICE_SHARES = (0.34, 0.61, 0.05)
WEEKDAYS = (1.12, 1.1, 1.06, 1.05, 1.0, 0.82, 0.85)
_MATCHES = ("PHRASE", "BROAD", "EXACT")
_TITLES = ("Тёплые окна за 7 дней", "Окна от производителя", "Замер бесплатно")
_TITLES2 = ("Рассрочка 0%", "Скидка 25% до конца недели", "Гарантия 5 лет")
_TEXTS = (
    "Замер завтра, монтаж по ГОСТ. Свой завод, договор с фиксированной ценой.",
    "Тёплый контур: 12 лет ставим окна в {where}. Звоните!",
)


@dataclass
class Criterion:
    """A show condition with its worth; `term` is what {keyword} puts into a link."""

    plan: CampaignPlan
    campaign: Campaign
    group: AdGroup | None
    ads: list[Ad]
    criterion_id: int | None
    text: str
    type: str
    term: str
    weight: float
    effect: float
    sale: float
    side: str = ""

    @property
    def network(self) -> str:
        """Where it is shown, as statistics name it."""
        return self.side or self.plan.network


@dataclass
class Tree:
    """The account's objects and every show condition of it."""

    campaigns: list[Campaign] = field(default_factory=list)
    groups: list[AdGroup] = field(default_factory=list)
    ads: list[Ad] = field(default_factory=list)
    keywords: list[Keyword] = field(default_factory=list)
    criteria: list[Criterion] = field(default_factory=list)


def without_operators(text: str) -> str:
    """A key phrase as links and counters show it: no quotes, !, + or minus words."""
    words = [w.strip('"!+[]') for w in text.split() if not w.startswith("-")]
    return " ".join(word for word in words if word)


def grow_tree(
    chance: Random,
    start: date,
    keyword_count: int,
    plans: list[CampaignPlan],
    firm: Firm,
) -> Tree:
    """Campaigns, groups, ads and `keyword_count` key phrases (fewer if words end)."""
    tree = Tree()
    phrases = _phrases(plans, keyword_count, firm)
    for number, plan in enumerate(plans):
        campaign = Campaign(
            _numbered(PLATFORMS[plan.platform].campaign, number),
            plan.name,
            plan.type,
            plan.network,
            start - timedelta(days=plan.started_days_before),
            platform=plan.platform,
        )
        tree.campaigns.append(campaign)
        first = len(tree.criteria)
        if plan.wizard:
            tree.criteria.append(
                Criterion(plan, campaign, None, [], None, "--", "", "", 1, 1, 1)
            )
        elif plan.audience:
            group, ads = _group(tree, campaign, plan, plan.audience, firm)
            tree.criteria.append(
                Criterion(
                    plan,
                    campaign,
                    group,
                    ads,
                    26500000000 + number * 101 + 7,
                    plan.audience,
                    "USER_LIST" if plan.platform == "google_ads" else "RETARGETING",
                    "",
                    1.0,
                    1.0,
                    1.0,
                )
            )
        elif plan.sides:
            _fill_sides(chance, tree, campaign, plan, firm)
        else:
            _fill(chance, tree, campaign, plan, phrases[number], firm)
        grown = tree.criteria[first:]
        total = sum(c.weight for c in grown)
        for criterion in grown:
            criterion.weight *= plan.clicks / total
    return tree


def _numbered(numbering: tuple[int, int], place: int) -> int:
    return numbering[0] + place * numbering[1]


def _phrases(
    plans: list[CampaignPlan], count: int, firm: Firm
) -> list[list[tuple[str, list[str]]]]:
    """For each campaign its groups (a base) and their phrases, `count` in all."""
    everything: list[list[tuple[str, str]]] = []
    for plan in plans:
        modifiers = (*plan.modifiers, *firm.city_words) if plan.modifiers else ()
        pairs = [(b, f"{b} {m}".strip()) for m in modifiers for b in plan.bases]
        unique = list(dict.fromkeys(pairs))
        everything.append(unique)
    shares = [
        p.clicks**0.7 if e else 0.0 for p, e in zip(plans, everything, strict=True)
    ]
    wanted = [0] * len(plans)
    for _ in range(min(count, sum(map(len, everything)))):
        best = max(
            (i for i in range(len(plans)) if wanted[i] < len(everything[i])),
            key=lambda i: shares[i] / (wanted[i] + 1),
        )
        wanted[best] += 1
    chosen = []
    for rows, number in zip(everything, wanted, strict=True):
        groups: dict[str, list[str]] = {}
        for base, phrase in rows[:number]:
            groups.setdefault(base, []).append(phrase)
        chosen.append(list(groups.items()))
    return chosen


def _group(
    tree: Tree, campaign: Campaign, plan: CampaignPlan, name: str, firm: Firm
) -> tuple[AdGroup, list[Ad]]:
    platform = PLATFORMS[plan.platform]
    group = AdGroup(
        _numbered(platform.group, len(tree.groups)),
        campaign.campaign_id,
        name[:1].upper() + name[1:],
        platform.group_types.get(plan.type, "TEXT_AD_GROUP"),
        tracking_params=platform.ids if plan.links == "group" else "",
        platform=plan.platform,
    )
    tree.groups.append(group)
    href = f"{firm.site}/{plan.path}"
    if plan.links in ("ids", "names"):
        href += "?" + (platform.ids if plan.links == "ids" else platform.names)
    ads = []
    for variant in range(2):
        ad_number = len(tree.ads)
        title = _TITLES[(ad_number + variant) % len(_TITLES)]
        ads.append(
            Ad(
                _numbered(platform.ad, ad_number),
                group.ad_group_id,
                campaign.campaign_id,
                f"{group.name[:30]}: {title}" if variant else title,
                _TITLES2[ad_number % len(_TITLES2)],
                _TEXTS[ad_number % len(_TEXTS)].format(where=firm.where),
                href,
                type=platform.ad_types.get(plan.type, "TEXT_AD"),
                platform=plan.platform,
            )
        )
        tree.ads.append(ads[-1])
    return group, ads


def _fill(
    chance: Random,
    tree: Tree,
    campaign: Campaign,
    plan: CampaignPlan,
    groups: list[tuple[str, list[str]]],
    firm: Firm,
) -> None:
    rank = 0
    direct = plan.platform == "yandex_direct"
    for base, phrases in groups:
        group, ads = _group(tree, campaign, plan, without_operators(base), firm)
        wanted = [(phrase, "KEYWORD") for phrase in phrases]
        if not rank and direct:
            wanted.append(("---autotargeting", "AUTOTARGETING"))
        for text, kind in wanted:
            rank += 1
            keyword = Keyword(
                _numbered(PLATFORMS[plan.platform].keyword, len(tree.keywords)),
                group.ad_group_id,
                campaign.campaign_id,
                text,
                platform=plan.platform,
                match_type="" if direct else _MATCHES[rank % len(_MATCHES)],
            )
            tree.keywords.append(keyword)
            term = text if kind == "AUTOTARGETING" else without_operators(text)
            tree.criteria.append(
                Criterion(
                    plan,
                    campaign,
                    group,
                    ads,
                    keyword.keyword_id,
                    text,
                    kind,
                    term,
                    1 / (rank + 2),
                    math.exp(chance.gauss(-0.25, 0.7)),
                    math.exp(chance.gauss(-0.12, 0.5)),
                )
            )


def _fill_sides(
    chance: Random, tree: Tree, campaign: Campaign, plan: CampaignPlan, firm: Firm
) -> None:
    """Groups without phrases; what one ad does differs by where it is shown."""
    for rank, base in enumerate(plan.bases):
        group, ads = _group(tree, campaign, plan, base, firm)
        effect = math.exp(chance.gauss(-0.2, 0.5))
        sale = math.exp(chance.gauss(-0.1, 0.4))
        for place, side in enumerate(plan.sides):
            tree.criteria.append(
                Criterion(
                    plan,
                    campaign,
                    group,
                    ads,
                    None,
                    "",
                    "",
                    "",
                    1 / (rank + 2) / (place + 1),
                    effect * math.exp(chance.gauss(0, 0.2)),
                    sale,
                    side,
                )
            )


@dataclass
class Clicks:
    """One entry per statistics row with clicks: what crowd.py makes visits of."""

    day: np.ndarray
    criterion: np.ndarray
    device: np.ndarray
    ad: np.ndarray
    clicks: np.ndarray


def spend(
    rng: np.random.Generator,
    tree: Tree,
    start: date,
    days: int,
    clicks_total: float,
) -> tuple[list[AdCost], Clicks]:
    """Statistics of every day, and the clicks in them; about `clicks_total` clicks."""
    criteria = tree.criteria
    dates = [start + timedelta(days=n) for n in range(days)]
    season = np.array([WEEKDAYS[d.weekday()] for d in dates])
    season = season * (1 + 0.15 * np.sin(np.arange(days) / 17.0))
    season = season * np.exp(rng.normal(0, 0.08, days))
    weight = np.array([c.weight for c in criteria])
    rate = (
        (season / season.sum())[:, None, None]
        * (weight / weight.sum())[None, :, None]
        * np.array(DEVICE_SHARES)[None, None, :]
    ) * clicks_total
    clicks = rng.poisson(rate)
    search = np.array([c.plan.network == "SEARCH" for c in criteria])
    per_click = np.where(search, 11.0, 180.0)[None, :, None]
    impressions = clicks + rng.poisson(rate * per_click)
    price = np.array([c.plan.click_price for c in criteria])
    price = price * np.exp(rng.normal(0, 0.22, len(criteria)))
    noise = np.exp(rng.normal(0, 0.3, clicks.shape))
    cost = np.rint(clicks * price[None, :, None] * noise * 100).astype(np.int64)
    cost = np.where(clicks > 0, np.maximum(cost, 30), 0)
    # Restated: mostly money given back for false clicks, sometimes billed late.
    restated = (rng.random(clicks.shape) < 0.12) & (clicks > 0)
    factor = np.where(
        rng.random(clicks.shape) < 0.7,
        1 + rng.uniform(0.03, 0.6, clicks.shape),
        1 - rng.uniform(0.02, 0.3, clicks.shape),
    )
    first = np.where(restated, np.rint(cost * factor).astype(np.int64), cost)
    lag = rng.integers(1, 12, clicks.shape)
    variant = (rng.random(clicks.shape) < 0.45).astype(np.int64)

    day_at, criterion_at, device_at = np.nonzero(impressions)
    where = (day_at, criterion_at, device_at)
    rows: list[AdCost] = []
    for d, c, e, shown, clicked, paid, paid_first, later, which in zip(
        day_at.tolist(),
        criterion_at.tolist(),
        device_at.tolist(),
        impressions[where].tolist(),
        clicks[where].tolist(),
        cost[where].tolist(),
        first[where].tolist(),
        lag[where].tolist(),
        variant[where].tolist(),
        strict=True,
    ):
        criterion = criteria[c]
        ad = criterion.ads[which] if criterion.ads else None
        changed = paid != paid_first
        rows.append(
            AdCost(
                dates[d],
                criterion.campaign.campaign_id,
                ad.ad_group_id if ad else None,
                ad.ad_id if ad else None,
                criterion.criterion_id,
                criterion.text,
                criterion.type,
                criterion.network,
                DEVICES[e],
                shown,
                clicked,
                paid,
                paid_first,
                dates[d] + timedelta(days=later) if changed else None,
                criterion.plan.platform,
            )
        )
    some = np.nonzero(clicks)
    return rows, Clicks(some[0], some[1], some[2], variant[some], clicks[some])
