"""What a channel really brings: what would be lost if it had never been there.

The company is made by two races, so the loss can be reckoned instead of guessed. A
visitor becomes a lead when the least of exponential times over his visits, each at the
rate `warmth`, is below a bound that is the same for all; a lead becomes a sale when a
time at the rate of what moved him is below another. The bounds, the firm and all else
stay. Without a channel

- that finds new people, its visits are gone, and with them the later visits of those
  who would not have known the firm;
- that reaches those who know the firm (brand, retargeting, letters, a bookmark), they
  come all the same, at the same moment: only what it added to their interest is gone.

So in a world with `confounding` a click on brand looks like the cause of a sale and is
not; without it the same campaigns find people like any other.

Losses of two channels do not add up to the loss of both: a sale that needs both counts
in each, one that either would have brought counts in none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simulator import truth
from simulator.build import draft
from simulator.world import KAZAN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from simulator.build import Drafts
    from simulator.crowd import Stay
    from simulator.office import DealDraft, LeadDraft
    from simulator.world import World

CALL_SELLS = 1.6  # how much better a lead by phone buys; see `Office._first_deals`
KNOWS = 0.5  # with fewer newcomers than this a channel only reaches who knows the firm


@dataclass(frozen=True)
class ChannelEffect:
    """What would be lost without a channel, or one campaign of it; expected values.

    May be a little below nothing where better channels would have served its people.
    """

    channel: str
    campaign_id: int | None
    leads: float
    sales: float
    revenue_kopecks: float
    margin_kopecks: float


@dataclass(frozen=True)
class _Touch:
    at: int
    channel: str
    campaign_id: int | None
    fresh: float
    nearness: float
    effect: float
    sale: float
    ticket: float


_Key = tuple[str, int | None]


def channel_effects(
    world: World, now: datetime | None = None, *, by_campaign: bool = False
) -> list[ChannelEffect]:
    """Each channel's true contribution to what is known at `now`, the largest first.

    `world` must be made by `build_world` (its firm is made once more to see inside).
    `by_campaign` tells campaigns of ads apart; then each is thought away alone.
    """
    if world.whole is not None:
        return channel_effects(world.whole, now or world.now, by_campaign=by_campaign)
    if world.name == KAZAN:  # nobody there has two touches
        return [
            ChannelEffect(
                row.channel,
                None,
                row.leads,
                row.sales,
                row.revenue_kopecks,
                row.margin_kopecks,
            )
            for row in truth.channels(world, now)
        ]
    if world.group is None:
        raise ValueError("channel_effects: this world belongs to no group")
    if "inside" not in world.cache:
        world.cache["inside"] = _Inside(draft(world.name, world.group.recipe))
    inside: _Inside = world.cache["inside"]
    known = {lead.lead_id for lead in world.as_of(now or world.now).leads}
    sold = {sale.deal_id: sale for sale in truth.sales(world, now)}
    sums: dict[_Key, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    for lead in inside.drafts.office.leads:
        valid = lead.human is not None and not lead.is_duplicate and not lead.is_return
        if not valid or lead.lead_id not in known:
            continue
        for key in inside.keys(lead, by_campaign):
            sums[key][0] += 1 - inside.kept(lead, key).lead
    for deal in inside.drafts.office.deals:
        sale = sold.get(deal.deal_id)
        first = inside.first_lead(deal)
        if sale is None or first is None:
            continue
        money = sale.amount_kopecks - sale.refund_kopecks
        for key in inside.keys(first, by_campaign):
            kept = inside.kept(first, key)
            held = sums[key]
            held[1] += 1 - kept.sale
            held[2] += money * (1 - kept.money)
            held[3] += sale.margin_kopecks * (1 - kept.money)
    rows = [ChannelEffect(*key, *held) for key, held in sums.items()]
    return sorted(rows, key=lambda row: (-row.revenue_kopecks, row.channel))


@dataclass(frozen=True)
class _Kept:
    """What is expected to be left of a lead, its sale and the money of it."""

    lead: float
    sale: float
    money: float


class _Inside:
    """A firm's people with what moved them, and what is left of it without a part."""

    def __init__(self, drafts: Drafts) -> None:
        self.drafts = drafts
        self._plans = {plan.channel: plan for plan in drafts.firm.channels}
        self._touches: dict[int, list[_Touch]] = defaultdict(list)
        for stay in drafts.crowd.stays:
            self._touches[stay.human.number].append(self._touch(stay))
        self._first: dict[int, LeadDraft] = {}
        for deal in drafts.office.deals:
            if deal.lead is not None and not deal.is_return:
                self._first.setdefault(deal.human.number, deal.lead)

    def _touch(self, stay: Stay) -> _Touch:
        criterion = stay.criterion
        if criterion is None:
            free = self._plans[stay.channel]
            return _Touch(
                stay.at,
                stay.channel,
                None,
                free.fresh,
                free.nearness,
                free.effect,
                free.sale,
                1.0,
            )
        plan = criterion.plan
        return _Touch(
            stay.at,
            stay.channel,
            criterion.campaign.campaign_id,
            plan.fresh,
            plan.nearness,
            plan.effect * criterion.effect,
            plan.sale * criterion.sale,
            plan.ticket,
        )

    def first_lead(self, deal: DealDraft) -> LeadDraft | None:
        """The request behind a deal; who buys again would not without the first."""
        if deal.is_return or deal.lead is None:
            return self._first.get(deal.human.number)
        return deal.lead

    def keys(self, lead: LeadDraft, by_campaign: bool) -> set[_Key]:
        """The channels without which this lead could be another one, or none."""
        assert lead.human is not None
        found: set[_Key] = {
            (touch.channel, touch.campaign_id if by_campaign else None)
            for touch in self._touches[lead.human.number]
        }
        static = lead.call.static if lead.call else None
        if static is not None:
            found.add((static.channel, None))
        return found

    def kept(self, lead: LeadDraft, key: _Key) -> _Kept:
        """What is left of a lead when a channel (or campaign) never was."""
        assert lead.human is not None
        office = self.drafts.office
        every = self._touches[lead.human.number]
        left = _survivors(every, lambda touch: _is_of(touch, key))
        static = lead.call.static if lead.call else None
        until = lead.stay.at if lead.stay else lead.at
        moved, moved_left = _until(every, until), _until(left, until)
        if lead.stay is not None:
            before, after = _rate(every), _rate(left)
            chance = _share(office.lead_until, after, before)
            moved_left = moved_left or left
        else:
            assert static is not None
            own = _Touch(
                until,
                static.channel,
                None,
                1.0,
                1.0,
                1.0,
                self.drafts.firm.offline_sale[static.channel],
                1.0,
            )
            knew = bool(moved) and static.channel == "direct"
            lost = (static.channel, None) == key or (knew and not moved_left)
            chance = 0.0 if lost else 1.0
            moved, moved_left = [*moved, own], [*moved_left, own]
        if not chance:
            return _Kept(0.0, 0.0, 0.0)
        better = CALL_SELLS if lead.kind == "call" else 1.0
        bound = office.sale_until * better
        sells, worth = _sells(moved, bound)
        sells_left, worth_left = _sells(moved_left, bound)
        return _Kept(chance, chance * sells_left / sells, chance * worth_left / worth)


def _is_of(touch: _Touch, key: _Key) -> bool:
    channel, campaign_id = key
    return touch.channel == channel and campaign_id in (None, touch.campaign_id)


def _survivors(
    touches: Sequence[_Touch], gone: Callable[[_Touch], bool]
) -> list[_Touch]:
    """The visits that would still be made: to come back one must know the firm."""
    left: list[_Touch] = []
    for place, touch in enumerate(touches):
        finds = touch.fresh >= KNOWS
        if not (finds or left or place == 0):
            continue
        if not gone(touch):
            left.append(touch)
        elif not finds:
            left.append(replace(touch, effect=0.0))
    return left


def _until(touches: Sequence[_Touch], at: int) -> list[_Touch]:
    return [touch for touch in touches if touch.at <= at]


def _rate(touches: Sequence[_Touch]) -> float:
    """How fast somebody with these visits becomes a lead: the sum of their warmth."""
    total, rate = 0.0, 0.0
    for place, touch in enumerate(touches):
        total += touch.effect
        if place >= 12:
            total -= touches[place - 12].effect
        rate += (1 - math.exp(-total)) * touch.nearness
    return rate


def _share(bound: float, after: float, before: float) -> float:
    """How likely a race at the rate `after` is won, as a share of `before`."""
    if not after:
        return 0.0
    if math.isinf(bound):
        return 1.0
    return math.expm1(-bound * after) / math.expm1(-bound * before)


def _sells(touches: Sequence[_Touch], bound: float) -> tuple[float, float]:
    """The chance of a sale, and its money beside the usual, over what may have moved."""
    weight = sum(touch.effect for touch in touches)
    sells = worth = 0.0
    if not weight:
        return 0.0, 0.0
    for touch in touches:
        bought = -math.expm1(-bound * touch.sale) * touch.effect / weight
        sells += bought
        worth += bought * touch.ticket
    return sells, worth


__all__ = ["ChannelEffect", "channel_effects"]
