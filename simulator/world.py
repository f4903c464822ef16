"""The simulated group of firms as data: what happened, and what an API knows when.

Times are aware UTC; money is kopecks as int; `*_at` are moments, `date` is a civil day
of Moscow. Ids are as the vendors type them. A field under "truth" is what no API shows.
The full world holds everything that will ever happen up to its end; `as_of(now)` is the
same class with later objects absent, deleted ones gone and figures as then known.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MSK, SPB, KAZAN = BRANCHES = ("msk", "spb", "kazan")
Day = date  # `AdCost.date` hides the type of that name inside the class
MOSCOW = ZoneInfo("Europe/Moscow")


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign of an ad platform; `type` as the platform names it.

    `network`: SEARCH or AD_NETWORK in Direct, SEARCH or DISPLAY in Google, META, vk.
    """

    campaign_id: int
    name: str
    type: str
    network: str
    start_date: date
    state: str = "ON"
    status: str = "ACCEPTED"
    platform: str = "yandex_direct"


@dataclass(frozen=True, slots=True)
class AdGroup:
    """One ad group; `tracking_params` is the template added to each link, or ''."""

    ad_group_id: int
    campaign_id: int
    name: str
    type: str = "TEXT_AD_GROUP"
    status: str = "ACCEPTED"
    tracking_params: str = ""
    platform: str = "yandex_direct"


@dataclass(frozen=True, slots=True)
class Ad:
    """One text ad; `href` holds macros such as {campaign_id} and {keyword}."""

    ad_id: int
    ad_group_id: int
    campaign_id: int
    title: str
    title2: str
    text: str
    href: str
    state: str = "ON"
    status: str = "ACCEPTED"
    type: str = "TEXT_AD"
    platform: str = "yandex_direct"


@dataclass(frozen=True, slots=True)
class Keyword:
    """One show condition that `keywords.get` lists ('---autotargeting' too).

    `match_type` is Google's: BROAD, PHRASE, EXACT; '' elsewhere.
    """

    keyword_id: int
    ad_group_id: int
    campaign_id: int
    text: str
    state: str = "ON"
    status: str = "ACCEPTED"
    platform: str = "yandex_direct"
    match_type: str = ""


@dataclass(frozen=True, slots=True)
class AdCost:
    """Statistics of one civil day x show condition x ad x network x device.

    `cost_kopecks` is without VAT and final; until `restated_on` the API shows
    `first_cost_kopecks`. None ids are `--` in reports (campaigns of the wizard). Meta
    and VK have no show conditions: their rows are of an ad (criterion_id None, no text).
    """

    date: date
    campaign_id: int
    ad_group_id: int | None
    ad_id: int | None
    criterion_id: int | None
    criterion: str
    criterion_type: str
    network: str
    device: str
    impressions: int
    clicks: int
    cost_kopecks: int
    first_cost_kopecks: int
    restated_on: Day | None
    platform: str = "yandex_direct"


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """What people typed behind a show condition's row of search; cost without VAT."""

    date: date
    campaign_id: int
    ad_group_id: int | None
    ad_id: int | None
    criterion_id: int | None
    criterion: str
    query: str
    network: str
    device: str
    impressions: int
    clicks: int
    cost_kopecks: int


@dataclass(frozen=True, slots=True)
class PlacementCost:
    """Rows of the ad network by the site or app that showed the ad; without VAT."""

    date: date
    campaign_id: int
    ad_group_id: int | None
    ad_id: int | None
    placement: str
    network: str
    device: str
    impressions: int
    clicks: int
    cost_kopecks: int


@dataclass(frozen=True, slots=True)
class AdClick:
    """One click of Google as its list of clicks knows it; `click_id` is the gclid."""

    click_id: str
    date: date
    at: datetime
    platform: str
    campaign_id: int
    ad_group_id: int
    ad_id: int
    keyword_id: int | None
    keyword: str
    network: str
    device: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit as the counter saw it; empty text where the counter has none.

    Until `revised_at` the counter shows `first_page_views` and `first_duration_s`
    (a visit is rewritten for some days). `device`: DESKTOP, MOBILE, TABLET. In a firm
    with call tracking for a counter a visit is the tracker's session: `visitor_id` is
    the browser's there, `client_id` Google's, `ym_uid` what Metrica's cookie holds.
    `direct_*` are the ad system's ids, whichever it is, when the tracker knows them.
    """

    visit_id: int
    client_id: str
    person_id: str  # truth
    started_at: datetime
    duration_s: int
    page_views: int
    start_url: str
    end_url: str
    referer: str
    traffic_source: str
    adv_engine: str
    search_engine: str
    social_network: str
    referal_source: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_content: str
    utm_term: str
    direct_campaign_id: int | None
    direct_ad_group_id: int | None
    direct_ad_id: int | None
    direct_keyword_id: int | None
    direct_keyword: str
    device: str
    city: str
    is_new: bool
    goal_ids: tuple[int, ...]
    revised_at: datetime | None
    first_page_views: int
    first_duration_s: int
    channel: str  # truth
    campaign_id: int | None  # truth: what was clicked, also where the ids got lost
    keyword_id: int | None  # truth
    platform: str = ""  # truth: of the ad that was clicked
    gclid: str = ""
    fbclid: str = ""
    ga_client_id: str = ""
    ym_uid: str = ""
    visitor_id: int | None = None
    ad_group_id: int | None = None  # truth
    ad_id: int | None = None  # truth
    network: str = ""  # truth: of the ad that was clicked

    @property
    def ended_at(self) -> datetime:
        """When the visit was over: from then on the counter shows it."""
        return self.started_at + timedelta(seconds=self.duration_s)

    @property
    def watch_ids(self) -> tuple[int, ...]:
        """The counter's ids of the pages seen, in order."""
        first = self.visit_id * 6364136223846793005 % 2**64
        return tuple((first + n) % 2**64 for n in range(self.page_views))

    @property
    def goal_hits(self) -> tuple[tuple[int, datetime], ...]:
        """Each goal with the moment it was reached, in order of time."""
        middle = min(self.duration_s, self.first_duration_s) // 2
        return tuple(
            (goal, self.started_at + timedelta(seconds=middle + place))
            for place, goal in enumerate(self.goal_ids)
        )


@dataclass(frozen=True, slots=True)
class Hit:
    """One page view of a visit, or one goal reached (`is_page_view` False)."""

    hit_id: int
    visit_id: int
    client_id: str
    at: datetime
    url: str
    title: str
    referer: str
    is_page_view: bool
    goal_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One inbound call. A static number has no visit, session or client id.

    Until `tagged_at` the journal shows no tags and no target flag. None text is what
    the vendor prints as null or `<не указано>`. `source`, `medium` of a static number
    are the number itself and `offline`.
    """

    call_id: int
    at: datetime
    duration_s: int
    wait_s: int
    caller_number: str
    phone_number: str
    redirect_number: str
    visit_id: int | None
    client_id: str | None
    session_id: int | None
    session_at: datetime | None
    successful: bool
    unique: bool
    target: bool
    unique_target: bool
    callback: bool
    source: str
    medium: str
    keyword: str | None
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    utm_content: str | None
    utm_term: str | None
    url: str | None
    ref: str | None
    city: str | None
    device: str | None
    tags: tuple[str, ...]
    tagged_at: datetime | None
    manager: str | None
    pool_name: str
    comment: str | None
    direct_campaign_id: int | None
    direct_ad_group_id: int | None
    direct_ad_id: int | None
    direct_keyword_id: int | None
    person_id: str | None  # truth
    deleted_at: datetime | None = None
    visitor_id: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody wrote to the firm through the site.

    `kind`: chat or offline_message where the tracker has them, request (a form the
    tracker saw). Phones and e-mails as typed; `url` is the page it came from.
    """

    message_id: int
    kind: str
    at: datetime
    visit_id: int | None
    visitor_id: int | None
    client_id: str | None
    name: str
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    text: str
    url: str
    manager: str | None
    person_id: str | None  # truth
    lead_id: int | None  # truth


@dataclass(frozen=True, slots=True)
class StaticNumber:
    """An own number printed or listed somewhere; digits as call tracking types them."""

    number: str
    source: str
    medium: str
    name: str
    channel: str


@dataclass(frozen=True, slots=True)
class Contact:
    """One person's card in the CRM; phones and e-mails as people typed them."""

    contact_id: int
    name: str
    last_name: str
    second_name: str
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    created_at: datetime
    modified_at: datetime
    deleted_at: datetime | None
    merged_into: int | None
    lead_id: int | None
    manager_id: int
    person_id: str  # truth


@dataclass(frozen=True, slots=True)
class Lead:
    """One lead. `kind`: call, form, chat, email, offline; `semantic`: P, S, F.

    `status_text` is the status as people type it into a sheet, `interest` what was
    asked for, `loss_reason` why a lead that failed did (both '' where no CRM has it).
    """

    lead_id: int
    title: str
    name: str
    last_name: str
    second_name: str
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    status_id: str
    semantic: str
    source_id: str
    opportunity_kopecks: int
    currency: str
    contact_id: int | None
    created_at: datetime
    modified_at: datetime
    closed_at: datetime | None
    moved_at: datetime
    is_return_customer: bool
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    utm_content: str | None
    utm_term: str | None
    ym_client_id: str | None
    manager_id: int
    comments: str
    deleted_at: datetime | None
    kind: str  # truth
    is_spam: bool  # truth
    is_test: bool  # truth
    is_duplicate: bool  # truth
    person_id: str | None  # truth: None for robots and the firm's own tests
    visit_id: int | None  # truth
    call_id: int | None  # truth
    cause_channel: str | None  # truth: None for robots and tests
    interest: str = ""
    status_text: str = ""
    loss_reason: str = ""
    ga_client_id: str | None = None
    ym_uid: str | None = None
    gclid: str | None = None
    fbclid: str | None = None


@dataclass(frozen=True, slots=True)
class Deal:
    """One deal. `amount_kopecks` grows from the estimate to the contract's sum.

    `closed_at` is set when `closed`; until then `planned_close` is what CLOSEDATE shows.
    Margin is known once won; a refund stays on a won deal. `phone`, `client_name`: as
    typed into the row of a deal that has no card.
    """

    deal_id: int
    title: str
    category_id: int
    stage_id: str
    semantic: str
    amount_kopecks: int
    currency: str
    lead_id: int | None
    contact_id: int | None
    created_at: datetime
    modified_at: datetime
    moved_at: datetime
    planned_close: date
    closed: bool
    closed_at: datetime | None
    manager_id: int
    source_id: str
    is_return_customer: bool
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    utm_content: str | None
    utm_term: str | None
    margin_kopecks: int | None
    refund_kopecks: int | None
    refund_date: date | None
    refunded_at: datetime | None
    ym_client_id: str | None
    deleted_at: datetime | None
    estimate_kopecks: int  # what the deal showed before the contract
    contracted_at: datetime | None  # when the estimate became the amount
    person_id: str  # truth
    cause_channel: str  # truth
    cause_campaign_id: int | None  # truth
    cause_keyword_id: int | None  # truth
    ga_client_id: str | None = None
    loss_reason: str = ""
    phone: str = ""
    client_name: str = ""
    interest: str = ""


@dataclass(frozen=True, slots=True)
class DealProduct:
    """One line of goods of a deal; price times quantity, over the lines, is its sum."""

    row_id: int
    deal_id: int
    product_id: int
    name: str
    quantity: int
    price_kopecks: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """One bill of a deal. `stage`: new, sent, paid, cancelled."""

    invoice_id: int
    deal_id: int
    number: str
    created_at: datetime
    paid_at: datetime | None
    amount_kopecks: int
    stage: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came for a deal, with VAT; less than nothing: money given back."""

    payment_id: int
    deal_id: int
    at: datetime
    amount_kopecks: int
    method: str


@dataclass(frozen=True, slots=True)
class ManualCost:
    """Advertising somebody wrote down: a sum with VAT over days, both inclusive.

    `where`: sheet or file. The row is there from `entered_at` on.
    """

    cost_id: int
    date_from: date
    date_to: date
    source: str
    medium: str
    campaign: str
    amount_kopecks: int
    where: str
    entered_at: datetime
    channel: str  # truth


@dataclass(frozen=True, slots=True)
class OfflineSale:
    """A sale at the counter that no deal knows of; with VAT, phone and name as typed."""

    sale_id: int
    at: datetime
    amount_kopecks: int
    cost_kopecks: int
    phone: str
    name: str
    source: str | None
    person_id: str | None  # truth
    channel: str  # truth


@dataclass(frozen=True, slots=True)
class NumberLease:
    """Whom the firm's own site showed which of its numbers, and how long (None: still).

    Who blocks Metrica has no client id there, who is new to the site no visitor's number.
    """

    number: str
    client_id: str | None
    visitor_id: int | None
    shown_from: datetime
    shown_to: datetime | None


@dataclass(frozen=True, slots=True)
class DealContact:
    """A contact of a deal; a deal may have several, one of them primary."""

    deal_id: int
    contact_id: int
    sort: int
    is_primary: bool


@dataclass(frozen=True, slots=True)
class StageChange:
    """One row of stage history. `type_id`: 1 created, 2 moved, 3 final."""

    id: int
    entity: str
    owner_id: int
    at: datetime
    category_id: int
    stage_id: str
    semantic: str
    type_id: int


@dataclass(frozen=True, slots=True)
class Status:
    """One dictionary row: lead statuses, sources, deal stages. `semantics`: S, F, None."""

    id: int
    entity_id: str
    status_id: str
    name: str
    sort: int
    semantics: str | None
    category_id: int | None
    color: str


@dataclass(frozen=True, slots=True)
class Category:
    """One funnel of deals; 0 is the default one."""

    category_id: int
    name: str
    sort: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class Manager:
    """One employee."""

    manager_id: int
    name: str
    last_name: str


@dataclass(frozen=True, slots=True)
class Person:
    """Truth: one human being. Phones are +7XXXXXXXXXX."""

    person_id: str
    name: str
    last_name: str
    second_name: str
    city: str
    client_ids: tuple[str, ...]
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    visitor_ids: tuple[int, ...] = ()
    ym_uids: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    """One firm. Lists are ordered by id (visits, calls: by time).

    `cache` holds what can be made again from the rest: views, indexes. `whole` is what
    a view was cut from, None for the whole itself; `group` leads to the other firms.
    """

    seed: int
    start_date: date
    end_date: date  # exclusive: the last day with data is the day before
    now: datetime
    counter_id: int
    site_id: int
    client_login: str
    site: str
    campaigns: list[Campaign] = field(default_factory=list)
    ad_groups: list[AdGroup] = field(default_factory=list)
    ads: list[Ad] = field(default_factory=list)
    keywords: list[Keyword] = field(default_factory=list)
    ad_costs: list[AdCost] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    static_numbers: list[StaticNumber] = field(default_factory=list)
    pool_numbers: list[str] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    leads: list[Lead] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)
    deal_contacts: list[DealContact] = field(default_factory=list)
    stage_changes: list[StageChange] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    categories: list[Category] = field(default_factory=list)
    managers: list[Manager] = field(default_factory=list)
    persons: list[Person] = field(default_factory=list)  # truth
    name: str = MSK
    payments: list[Payment] = field(default_factory=list)
    manual_costs: list[ManualCost] = field(default_factory=list)
    offline_sales: list[OfflineSale] = field(default_factory=list)
    spellings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    group: Group | None = field(default=None, repr=False, compare=False)
    whole: World | None = field(default=None, repr=False, compare=False)
    cache: dict[str, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def ad_costs_as_of(self, now: date) -> list[AdCost]:
        """Statistics as a report made on civil day `now` shows them.

        Days before `now` only (the day itself is still running); a cost restated
        later than `now` is the first one.
        """
        return [
            row
            if row.restated_on is None or row.restated_on <= now
            else replace(row, cost_kopecks=row.first_cost_kopecks)
            for row in self.ad_costs
            if row.date < now
        ]

    def as_of(self, now: datetime) -> World:
        """The company as its APIs would answer at `now` (aware). Cached for one `now`."""
        if now.tzinfo is None:
            raise ValueError("as_of: give an aware datetime")
        with _cache_lock:
            cached = self.cache.get("as_of")
            if cached is None or cached[0] != now:
                cached = (now, _cut(self, now))
                self.cache["as_of"] = cached
        view: World = cached[1]
        return view

    def branch(self, name: str) -> World:
        """A firm of the group (`BRANCHES`), made when first asked for and then kept.

        Of a view it is the other firm's view at the same moment. Raises ValueError for
        an unknown name, or for a world that was not made by `build_world`.
        """
        if name == self.name:
            return self
        if self.whole is not None:
            return self.whole.branch(name).as_of(self.now)
        if name not in BRANCHES:
            raise ValueError(f"branch: {name!r} is none of {', '.join(BRANCHES)}")
        if self.group is None:
            raise ValueError("branch: this world belongs to no group")
        return self.group.firm(name)

    def search_terms(self, platform: str) -> list[SearchTerm]:
        """Queries behind the search rows of yandex_direct or google_ads, as known now.

        The queries of a row add up to its figures or less: vendors hide the rare ones.
        """
        return self._made("search_terms", platform)

    def placements(self) -> list[PlacementCost]:
        """The rows of Direct's ad network by site; sums are those of the rows."""
        return self._made("placements")

    def hits(self) -> list[Hit]:
        """Every page view and every goal of every visit, in order of time."""
        return self._made("hits")

    @property
    def clicks(self) -> list[AdClick]:
        """Every click of Google Ads, in order of time."""
        return self._made("clicks")

    @property
    def messages(self) -> list[Message]:
        """Chats, messages and requests the call tracker took down, in order of time."""
        return self._made("messages")

    @property
    def products(self) -> list[DealProduct]:
        """What the deals sell; the lines of a deal add up to its amount."""
        return self._made("products")

    @property
    def invoices(self) -> list[Invoice]:
        """The bills of the deals; those of a won deal are paid and add up to it."""
        return self._made("invoices")

    @property
    def number_leases(self) -> list[NumberLease]:
        """The log of a site that shows numbers of its own (kazan's), in order of time."""
        return self._made("number_leases")

    def _made(self, name: str, *given: str) -> list[Any]:
        """What can be made from the rest is made when first asked for, and kept."""
        from simulator import extras

        key = " ".join((name, *given))
        with _cache_lock:
            if key not in self.cache:
                self.cache[key] = getattr(extras, name)(self, *given)
            made: list[Any] = self.cache[key]
            return made

    def digest(self) -> str:
        """SHA-256 of everything in the firm: equal worlds, equal digests."""
        total = hashlib.sha256()
        for item in fields(self):
            if item.name not in ("cache", "group", "whole"):
                total.update(f"{item.name}={getattr(self, item.name)!r}\n".encode())
        return total.hexdigest()

    @cached_property
    def campaign_by_id(self) -> dict[int, Campaign]:
        """Campaigns by id."""
        return {row.campaign_id: row for row in self.campaigns}

    @cached_property
    def visit_by_id(self) -> dict[int, Visit]:
        """Visits by id."""
        return {row.visit_id: row for row in self.visits}


_cache_lock = threading.RLock()


def moscow_day(at: datetime) -> date:
    """The civil day of Moscow at a moment."""
    return at.astimezone(MOSCOW).date()


_AD_CHANNELS = {
    ("yandex_direct", "SEARCH"): "yandex_direct_search",
    ("yandex_direct", "AD_NETWORK"): "yandex_direct_network",
    ("google_ads", "SEARCH"): "google_ads_search",
    ("google_ads", "DISPLAY"): "google_ads_network",
    ("meta_ads", "facebook"): "meta_facebook",
    ("meta_ads", "instagram"): "meta_instagram",
    ("vk_ads", "vk"): "vk_ads",
}


def ad_channel(platform: str, network: str) -> str:
    """The channel an ad of a platform belongs to by where it is shown."""
    return _AD_CHANNELS[(platform, network)]


def roubles(kopecks: int) -> str:
    """An amount as the APIs print it: roubles, a point and two digits."""
    sign = "-" if kopecks < 0 else ""
    return f"{sign}{abs(kopecks) // 100}.{abs(kopecks) % 100:02d}"


def default_now(end_date: date) -> datetime:
    """The morning after the last day with data: `end_date` 07:00 in Moscow."""
    return datetime.combine(end_date, time(7), MOSCOW).astimezone(UTC)


def build_world(
    seed: int = 1,
    end_date: date | None = None,
    days: int | None = None,
    size: float | str = 1.0,
    now: datetime | None = None,
    scenario: str = "usual",
    confounding: bool = True,
) -> World:
    """Make the group and return its first firm, msk: a pure function of its arguments.

    `end_date` is exclusive (default: today in Moscow, the only impure default).
    `size` scales people and money; "small" is a two-week company for tests. `days`
    defaults to 90, or 14 when small. `now` only sets `World.now`, by default the
    morning after the last day. `scenario` "hard" is for judging identity: shared
    phones, people with several devices, calls taken for another visitor's. Without
    `confounding` ads are shown to anybody, not to those who would buy anyway. Raises
    ValueError for a size, days or a scenario out of range.
    """
    end = end_date or datetime.now(MOSCOW).date()
    days = (14 if size == "small" else 90) if days is None else days
    moment = now or default_now(end)
    return Group(Recipe(seed, end, days, size, moment, scenario, confounding)).firm(MSK)


@dataclass(frozen=True)
class Recipe:
    """What a group is made from; the arguments of `build_world`."""

    seed: int
    end_date: date
    days: int
    size: float | str
    now: datetime
    scenario: str = "usual"
    confounding: bool = True


class Group:
    """The firms of one recipe, each made when first asked for."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._firms: dict[str, World] = {}
        self._lock = threading.Lock()

    def firm(self, name: str) -> World:
        """A firm by its name."""
        from simulator.build import build

        with self._lock:
            if name not in self._firms:
                self._firms[name] = replace(build(name, self.recipe), group=self)
            return self._firms[name]


def _cut(world: World, now: datetime) -> World:
    changes = [row for row in world.stage_changes if row.at <= now]
    last_change = {(row.entity, row.owner_id): row for row in changes}
    merged = {
        row.contact_id: row
        for row in world.contacts
        if row.merged_into is not None
        and row.deleted_at is not None
        and row.deleted_at <= now
    }

    def survivor(contact_id: int | None) -> int | None:
        while contact_id in merged:
            contact_id = merged[contact_id].merged_into
        return contact_id

    contacts = _contacts(world.contacts, merged, survivor, now)
    live_contacts = {row.contact_id for row in contacts}

    def known(contact_id: int | None) -> int | None:
        found = survivor(contact_id)
        return found if found in live_contacts else None

    leads = [
        _lead(row, last_change, known(row.contact_id), now, world)
        for row in _living(world.leads, now)
    ]
    deals = [
        _deal(row, last_change, known(row.contact_id), now)
        for row in _living(world.deals, now)
    ]
    living = {("lead", row.lead_id) for row in leads}
    living |= {("deal", row.deal_id) for row in deals}
    links: dict[tuple[int, int], DealContact] = {}
    for link in world.deal_contacts:
        contact = known(link.contact_id)
        if contact is not None and ("deal", link.deal_id) in living:
            links.setdefault((link.deal_id, contact), replace(link, contact_id=contact))
    kept_deals = {row.deal_id for row in deals}
    return replace(
        world,
        now=now,
        whole=world.whole or world,
        campaigns=[c for c in world.campaigns if c.start_date <= moscow_day(now)],
        ad_costs=world.ad_costs_as_of(moscow_day(now)),
        visits=[_visit(row, now) for row in world.visits if row.ended_at <= now],
        calls=[
            _call(row, now)
            for row in world.calls
            if row.at + timedelta(seconds=abs(row.duration_s)) <= now
            and (row.deleted_at is None or row.deleted_at > now)
        ],
        contacts=contacts,
        leads=leads,
        deals=deals,
        deal_contacts=list(links.values()),
        stage_changes=[r for r in changes if (r.entity, r.owner_id) in living],
        payments=[r for r in world.payments if r.at <= now and r.deal_id in kept_deals],
        manual_costs=[row for row in world.manual_costs if row.entered_at <= now],
        offline_sales=[row for row in world.offline_sales if row.at <= now],
    )


_Row = TypeVar("_Row", Lead, Deal)


def _living(rows: Iterable[_Row], now: datetime) -> list[_Row]:
    return [
        row
        for row in rows
        if row.created_at <= now and (row.deleted_at is None or row.deleted_at > now)
    ]


def _visit(row: Visit, now: datetime) -> Visit:
    if row.revised_at is None or row.revised_at <= now:
        return row
    return replace(
        row, page_views=row.first_page_views, duration_s=row.first_duration_s
    )


def _call(row: Call, now: datetime) -> Call:
    if row.tagged_at is None or row.tagged_at <= now:
        return row
    return replace(row, tags=(), target=False, unique_target=False, comment=None)


def _contacts(
    rows: list[Contact],
    merged: dict[int, Contact],
    survivor: Callable[[int | None], int | None],
    now: datetime,
) -> list[Contact]:
    swallowed: dict[int, list[Contact]] = {}
    for row in merged.values():
        winner = survivor(row.contact_id)
        if winner is not None:
            swallowed.setdefault(winner, []).append(row)
    known = []
    for row in rows:
        if row.created_at > now or (row.deleted_at and row.deleted_at <= now):
            continue
        modified = row.modified_at if row.modified_at <= now else row.created_at
        phones, emails = row.phones, row.emails
        for loser in swallowed.get(row.contact_id, ()):
            phones += tuple(p for p in loser.phones if p not in phones)
            emails += tuple(e for e in loser.emails if e not in emails)
            modified = max(modified, loser.deleted_at or modified)
        known.append(replace(row, phones=phones, emails=emails, modified_at=modified))
    return known


def _lead(
    row: Lead,
    last_change: dict[tuple[str, int], StageChange],
    contact_id: int | None,
    now: datetime,
    world: World,
) -> Lead:
    change = last_change[("lead", row.lead_id)]
    edited = row.modified_at if row.modified_at <= now else row.created_at
    linked = change.semantic == "S" or row.is_return_customer or world.name != MSK
    typed = world.spellings.get(change.stage_id, ("",))
    return replace(
        row,
        status_id=change.stage_id,
        semantic=change.semantic,
        moved_at=change.at,
        closed_at=change.at if change.semantic != "P" else None,
        modified_at=max(edited, change.at),
        contact_id=contact_id if linked else None,
        status_text=typed[row.lead_id % len(typed)],
        loss_reason=row.loss_reason if change.semantic == "F" else "",
    )


def _deal(
    row: Deal,
    last_change: dict[tuple[str, int], StageChange],
    contact_id: int | None,
    now: datetime,
) -> Deal:
    change = last_change[("deal", row.deal_id)]
    edited = row.modified_at if row.modified_at <= now else row.created_at
    closed = change.semantic != "P"
    contracted = row.contracted_at is not None and row.contracted_at <= now
    refunded = row.refunded_at is not None and row.refunded_at <= now
    moments = [edited, change.at]
    if contracted and row.contracted_at:
        moments.append(row.contracted_at)
    if refunded and row.refunded_at:
        moments.append(row.refunded_at)
    return replace(
        row,
        stage_id=change.stage_id,
        semantic=change.semantic,
        moved_at=change.at,
        closed=closed,
        closed_at=change.at if closed else None,
        amount_kopecks=row.amount_kopecks if contracted else row.estimate_kopecks,
        margin_kopecks=row.margin_kopecks if change.semantic == "S" else None,
        refund_kopecks=row.refund_kopecks if refunded else None,
        refund_date=row.refund_date if refunded else None,
        refunded_at=row.refunded_at if refunded else None,
        modified_at=max(moments),
        contact_id=contact_id,
        loss_reason=row.loss_reason if change.semantic == "F" else "",
    )
