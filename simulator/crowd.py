"""Who came to the site: people, their devices and cookies, and what moved them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import numpy as np

from simulator.ads import DEVICE_SHARES, PLATFORMS
from simulator.world import MOSCOW, ad_channel

if TYPE_CHECKING:
    from random import Random

    from simulator.ads import Clicks, Criterion, Tree
    from simulator.catalogue import Firm

HOURS = (
    (0.5, 0.3, 0.2, 0.15, 0.15, 0.3, 0.8, 1.8, 3.2, 4.8, 5.8, 6.2, 6.3, 6.2, 6.0, 5.9, 5.8, 5.7, 5.6, 5.8, 6.0, 5.4, 3.8, 1.8)
)  # fmt: skip


@dataclass
class Bump:
    """One touch that made a person want windows more."""

    at: int
    effect: float
    sale: float
    channel: str
    criterion: Criterion | None


@dataclass
class Human:
    """One human being while the world is made; `number` orders them."""

    number: int
    woman: bool = False
    name: str = ""
    last_name: str = ""
    second_name: str = ""
    city: int = 0
    cookies: dict[int, list[str]] = field(default_factory=dict)
    phones: list[str] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    bumps: list[Bump] = field(default_factory=list)
    mark: str = ""

    @property
    def person_id(self) -> str:
        """The truth's name of this person."""
        return f"person-{self.mark}{self.number:06d}"


@dataclass
class Stay:
    """One visit while the world is made; `at` is unix seconds."""

    at: int
    human: Human
    client_id: str
    device: int
    channel: str
    criterion: Criterion | None
    ad: int
    is_new: bool
    warmth: float
    duration_s: int = 0
    page_views: int = 1
    goals: list[int] = field(default_factory=list)
    visit_id: int = 0


class Crowd:
    """Everybody there is; makes people, cookies and visits from one stream of chance."""

    def __init__(
        self, chance: Random, rng: np.random.Generator, start: date, firm: Firm
    ) -> None:
        self.chance = chance
        self.rng = rng
        self.firm = firm
        self.people: list[Human] = []
        self.stays: list[Stay] = []
        self.midnight = int(
            datetime.combine(start, time(0), MOSCOW).astimezone(UTC).timestamp()
        )
        self.browsers: dict[str, tuple[int, str]] = {}  # visitor id, Metrica's uid
        self._cookies: set[str] = set()
        self._city_numbers = range(len(firm.cities))
        self._city_weights = [weight for _, _, weight in firm.cities]

    def newcomer(self) -> Human:
        """Somebody never seen before."""
        human = Human(
            len(self.people) + 1, self.chance.random() < 0.52, mark=self.firm.mark
        )
        self.people.append(human)
        return human

    def cookie(self, at: int) -> str:
        """A new counter cookie: seconds by the visitor's clock, then chance.

        The length varies (17 to 19 digits), as real ones do. Where a call tracker counts
        it is Google's cookie, and the browser has the tracker's and Metrica's besides.
        """
        if self.firm.tracker:
            made = f"{self.chance.randrange(10**8, 2_147_483_647)}.{at}"
            uid = f"{at}{self.chance.randrange(10**8, 10**9)}"
            shown = uid if self.chance.random() < 0.9 else ""
            number = 480_000_003 + len(self.browsers) * 11
            self.browsers[made] = (number, shown)
            return made
        while True:
            clock = at + (self.chance.randrange(-900, 900) if at % 5 == 0 else 0)
            made = f"{clock}{self.chance.randrange(10**6, 10**9)}"
            if made not in self._cookies:
                self._cookies.add(made)
                return made

    def visit(
        self,
        days: int,
        tree: Tree,
        clicks: Clicks,
        visits_wanted: int,
        hard: bool = False,
    ) -> None:
        """Fill `stays`: nearly every click a visit, the other channels beside them.

        `hard`: three in ten people come with two devices or more.
        """
        rng = self.rng
        index = np.repeat(np.arange(len(clicks.day)), clicks.clicks)
        index = index[rng.random(len(index)) < 0.94]  # some clicks never arrive
        other = max(0, visits_wanted - len(index))
        season = np.bincount(clicks.day, weights=clicks.clicks, minlength=days) + 1.0
        free_day = rng.choice(days, other, p=season / season.sum())
        share = np.array([plan.visits for plan in self.firm.channels])
        free_plan = rng.choice(len(share), other, p=share / share.sum())
        free_device = rng.choice(3, other, p=DEVICE_SHARES)
        day = np.concatenate([clicks.day[index], free_day])
        source = np.concatenate([clicks.criterion[index], -1 - free_plan])
        device = np.concatenate([clicks.device[index], free_device])
        ad = np.concatenate([clicks.ad[index], np.zeros(other, dtype=np.int64)])
        hour = rng.choice(24, len(day), p=np.array(HOURS) / sum(HOURS))
        second = day * 86400 + hour * 3600 + rng.integers(0, 3600, len(day))
        # A visit ends on its own day: nothing is cut off by the world's last midnight.
        second = np.minimum(second, day * 86400 + 86400 - 1800)
        order = np.lexsort((source, second))
        back = rng.exponential(1.0, len(day))
        dice = rng.random((len(day), 3))
        for place, (at, what, on, which) in enumerate(
            zip(
                second[order].tolist(),
                source[order].tolist(),
                device[order].tolist(),
                ad[order].tolist(),
                strict=True,
            )
        ):
            self._arrive(
                self.midnight + at, what, on, which, tree, back[place], dice[place]
            )
        if hard:
            self._more_devices(days)
        durations = rng.exponential(95, len(self.stays))
        bounced = rng.random(len(self.stays)) < 0.24
        moments = [stay.at for stay in self.stays]
        ids = _session_ids(len(moments)) if self.firm.tracker else None
        ids = ids or _visit_ids(rng, moments)
        for stay, length, left, visit_id in zip(
            self.stays, durations.tolist(), bounced.tolist(), ids, strict=True
        ):
            stay.visit_id = visit_id
            stay.duration_s = int(length) % 14 if left else 15 + min(int(length), 1500)
            stay.page_views = 1 if left else 1 + min(stay.duration_s // 55, 18)

    def _more_devices(self, days: int) -> None:
        """Let people who have one device come with another: directly, or next time."""
        chance = self.chance
        stays: dict[int, list[Stay]] = {}
        for stay in self.stays:
            stays.setdefault(stay.human.number, []).append(stay)
        single = [human for human in self.people if len(human.cookies) == 1]
        wanted = round(0.3 * len(self.people)) - (len(self.people) - len(single))
        end = self.midnight + days * 86400
        for human in chance.sample(single, max(0, min(wanted, len(single)))):
            held = stays[human.number]
            device = (held[0].device + 1 + (chance.random() < 0.1)) % 3
            if len(held) == 1:
                # back on its own, on a day that is left, at the same time of day
                left = (end - held[0].at) // 86400
                shift = chance.randrange(min(left, 20) + 1) * 86400
                first = held[0]
                at = min(first.at + shift + chance.randrange(60, 1500), end - 1800)
                interest = 1 - math.exp(-sum(b.effect for b in human.bumps) - 0.15)
                stay = replace(
                    first,
                    at=max(at, first.at + 30),
                    channel="direct",
                    criterion=None,
                    ad=0,
                    warmth=interest * 2.2,
                    goals=[],
                )
                human.bumps.append(Bump(stay.at, 0.15, 1.0, "direct", None))
                self.stays.append(stay)
            else:
                stay = held[-1]
            stay.device = device
            stay.client_id = self.cookie(stay.at)
            stay.is_new = True
            human.cookies[device] = [stay.client_id]
        self.stays.sort(key=lambda stay: stay.at)

    def _arrive(
        self,
        at: int,
        what: int,
        device: int,
        ad: int,
        tree: Tree,
        back: float,
        dice: np.ndarray,
    ) -> None:
        criterion = tree.criteria[what] if what >= 0 else None
        plan = self.firm.channels[-1 - what] if what < 0 else None
        if criterion is not None:
            fresh, nearness = criterion.plan.fresh, criterion.plan.nearness
            effect = criterion.plan.effect * criterion.effect
            sale = criterion.plan.sale * criterion.sale
            channel = ad_channel(criterion.plan.platform, criterion.network)
        else:
            assert plan is not None
            fresh, nearness = plan.fresh, plan.nearness
            effect, sale, channel = plan.effect, plan.sale, plan.channel
        known = len(self.stays)
        if known < 20 or dice[0] < fresh:
            human = self.newcomer()
            (human.city,) = self.chance.choices(self._city_numbers, self._city_weights)
        else:  # the more recent and the more often here, the likelier to be back
            human = self.stays[known - 1 - int(back * known / 6) % known].human
        cookies = human.cookies.setdefault(device, [])
        is_new = not cookies or bool(dice[1] < 0.03)  # a browser forgets now and then
        if is_new:
            cookies.append(self.cookie(at))
        human.bumps.append(Bump(at, effect, sale, channel, criterion))
        interest = 1 - math.exp(-sum(bump.effect for bump in human.bumps[-12:]))
        self.stays.append(
            Stay(
                at,
                human,
                cookies[-1],
                device,
                channel,
                criterion,
                ad,
                is_new,
                interest * nearness,
            )
        )


def _visit_ids(rng: np.random.Generator, moments: list[int]) -> list[int]:
    """19 digits that begin with something like time, each once."""
    tails = rng.permutation(10**6)
    return [
        6_000_000_000_000_000_000
        + (at % 10**9) * 10**9
        + int(tails[place % 10**6]) * 1000
        + place // 10**6
        for place, at in enumerate(moments)
    ]


def _session_ids(count: int) -> list[int]:
    """A call tracker numbers its sessions one after another."""
    return [5_310_000_011 + place * 7 + place % 3 for place in range(count)]


def link(
    criterion: Criterion, ad: int, marks: str, click: str | None, site: str
) -> str:
    """The address a click of an ad opens; `marks`: full, names, none.

    `click` is the mark the ad system adds: yclid=, gclid=, fbclid= with its value.
    """
    plan = criterion.plan
    template = ""
    if plan.wizard:
        template = "utm_source=yandex&utm_medium=cpc&utm_campaign={campaign_id}"
    elif criterion.ads:
        template = criterion.ads[ad].href.partition("?")[2]
        if criterion.group is not None and criterion.group.tracking_params:
            template = criterion.group.tracking_params
    if marks == "names":
        template = PLATFORMS[plan.platform].names.replace("&utm_term={keyword}", "")
    query = ""
    if marks != "none":
        query = template
        campaign, name = criterion.campaign, quote_plus(criterion.campaign.name)
        ad_id = str(criterion.ads[ad].ad_id) if criterion.ads else ""
        for macro, value in (
            ("{{campaign.id}}", str(campaign.campaign_id)),
            ("{{campaign_id}}", str(campaign.campaign_id)),
            ("{campaign_id}", str(campaign.campaign_id)),
            ("{campaignid}", str(campaign.campaign_id)),
            ("{{campaign.name}}", name),
            ("{{campaign_name}}", name),
            ("{campaign_name}", name),
            ("{_campaign}", name),
            ("{{ad.id}}", ad_id),
            ("{{banner_id}}", ad_id),
            ("{ad_id}", ad_id),
            ("{creative}", ad_id),
            ("{keyword}", quote(criterion.term)),
            ("{{site_source_name}}", "ig" if criterion.side == "instagram" else "fb"),
        ):
            if macro in query:
                query = query.replace(macro, value)
    if click:
        query += ("&" if query else "") + click
    address = f"{site}/{plan.path}"
    return f"{address}?{query}" if query else address


def moment(at: int) -> datetime:
    """Unix seconds as an aware UTC datetime."""
    return datetime.fromtimestamp(at, UTC)


def minutes(number: float) -> timedelta:
    """Whole seconds of that many minutes."""
    return timedelta(seconds=int(number * 60))


__all__ = ["Bump", "Crowd", "Human", "Stay", "link", "minutes", "moment"]
