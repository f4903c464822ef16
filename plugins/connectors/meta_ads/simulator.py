"""The Marketing API as Meta would answer for the firm's ad account.

Speaks the account's node, its edges `campaigns`, `adsets`, `ads` and `insights`, both at
once and as an ordered report, with cursors, filters by status, summaries, and the
vendor's errors under HTTP 400 and 500. Money in the world is in kopecks without VAT.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from simulator.face import Face, RateLimit, Request, Response, json_response
from simulator.world import roubles

if TYPE_CHECKING:
    from simulator.face import Options
    from simulator.world import AdCost, World

AD_ACCOUNT_ID = "1734500000000017"
VERSION = "v25.0"
LARGEST_PAGE = 5000
REQUESTS_PER_MINUTE = 600
OLDEST_DAYS = 1126  # 37 months
_PATH = re.compile(r"/(v\d+\.\d)/(act_)?(\d+)(?:/([a-z]+))?/?")

LEVELS = ("account", "campaign", "adset", "ad")
IDS = {"campaign": "campaign_id", "adset": "adset_id", "ad": "ad_id"}
INSIGHT_FIELDS = {
    "account_id", "account_name", "account_currency", "campaign_id", "campaign_name",
    "adset_id", "adset_name", "ad_id", "ad_name", "objective", "impressions", "clicks",
    "inline_link_clicks", "spend", "actions", "action_values", "date_start", "date_stop",
    "cpc", "ctr",
}  # fmt: skip
EDGES = {"campaigns": "campaign", "adsets": "adset", "ads": "ad"}
GONE = ("ARCHIVED", "DELETED")


class ApiError(Exception):
    """An error in the vendor's own form."""

    def __init__(
        self,
        code: int,
        message: str,
        subcode: int | None = None,
        status: int = 400,
        *,
        transient: bool = False,
        **headers: str,
    ) -> None:
        super().__init__(message)
        error = {
            "message": message,
            "type": "OAuthException",
            "code": code,
            **({"error_subcode": subcode} if subcode else {}),
            **({"is_transient": True} if transient else {}),
            "fbtrace_id": "Asimulated0trace",
        }
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = json_response({"error": error}, status, names)


@dataclass
class Order:
    """A report somebody ordered."""

    number: str
    params: dict[str, str]
    ordered_at: float
    world_time: datetime
    polls: int = 0


Row = dict[str, Any]


class Simulator(Face):
    """Answers as graph.facebook.com would for the simulated ad account.

    `rows_limit` (rows on a page), `days_at_once_limit` (days of a report that was not
    ordered) and `report_days_limit` (days of one that was) make longer ones fail as
    Meta's do; None = no limit.
    """

    branch = "spb"

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self.rows_limit: int | None = None
        self.days_at_once_limit: int | None = None
        self.report_days_limit: int | None = None
        self._lock = threading.Lock()
        self._orders: dict[str, Order] = {}
        self._limit = RateLimit(REQUESTS_PER_MINUTE, seconds=60)
        self._asked = 0

    def handle(self, request: Request) -> Response:
        """One vendor answer to one request."""
        with self._lock:
            self._asked += 1
        try:
            response = json_response(self._answer(request))
        except ApiError as error:
            response = error.response
        share = min(self._asked % 40, 30)
        usage = {
            "type": "ads_insights",
            "call_count": share,
            "total_cputime": share // 2,
        }
        usage |= {"total_time": share // 3, "estimated_time_to_regain_access": 0}
        response.headers.setdefault(
            "x-business-use-case-usage", json.dumps({AD_ACCOUNT_ID: [usage]})
        )
        response.headers.setdefault("facebook-api-version", VERSION)
        return response

    def unauthorized(self, request: Request) -> Response:
        """The answer to a token that is wrong, has run out or was withdrawn."""
        text = "Error validating access token: Session has expired."
        return ApiError(190, text, 463).response

    def _answer(self, request: Request) -> Any:
        path = _PATH.fullmatch(request.path)
        if path is None:
            raise ApiError(2500, "Unknown path components", status=404)
        if path[1] != VERSION:
            raise ApiError(2635, f"You are calling a deprecated version {path[1]}")
        if not self._is_known(request):
            raise ApiError(190, "Error validating access token: malformed", 463)
        self._hold_limit()
        _, is_account, number, name = path.groups()
        if is_account and number == AD_ACCOUNT_ID:
            return self._account(request, name)
        order = self._orders.get(number)
        if is_account or order is None or request.method != "GET":
            raise ApiError(
                100,
                f"Unsupported request. Object with ID '{number}' does not exist",
                33,
            )
        if name == "insights":
            if not self._is_made(order):
                raise ApiError(2601, "(#2601) The report is still loading")
            return self._report(order.params, _plain(request.query), path=request.path)
        return self._state(order)

    def _is_known(self, request: Request) -> bool:
        token = self.options.token("meta_ads")
        header = request.headers.get("Authorization", "")
        return header == f"Bearer {token}" or request.param("access_token") == token

    def _hold_limit(self) -> None:
        if self.options.rate_limits and self._limit.is_exceeded():
            usage = {"type": "ads_insights", "call_count": 101, "total_cputime": 40}
            usage |= {"total_time": 40, "estimated_time_to_regain_access": 1}
            raise ApiError(
                80000,
                "(#80000) There have been too many calls from this ad-account.",
                2446079,
                x_business_use_case_usage=json.dumps({AD_ACCOUNT_ID: [usage]}),
            )

    # ------------------------------------------------------------------ lists

    def _account(self, request: Request, name: str | None) -> Any:
        if name is None:
            asked = (request.param("fields") or "id").split(",")
            known = {
                "id": f"act_{AD_ACCOUNT_ID}",
                "account_id": AD_ACCOUNT_ID,
                "name": "Тёплый контур Север",
                "currency": "RUB",
                "timezone_name": "Europe/Moscow",
                "timezone_offset_hours_utc": 3,
                "account_status": 1,
            }
            return {field: known[field] for field in ["id", *asked] if field in known}
        if name == "insights" and request.method == "POST":
            return self._order(request)
        if request.method != "GET":
            raise ApiError(100, "Unsupported post request", 33)
        params = _plain(request.query)
        if name == "insights":
            days = self._hold_history(params)
            if (
                self.days_at_once_limit is not None
                and len(days) > self.days_at_once_limit
            ):
                raise ApiError(
                    1,
                    "Please reduce the amount of data you're asking for, then retry your "
                    "request",
                    status=500,
                )
            return self._report(params, params, path=request.path)
        if name not in EDGES:
            raise ApiError(100, f"(#100) Tried accessing nonexisting field ({name})")
        statuses = _statuses(params, EDGES[name])
        rows = [
            row
            for row in self._objects(EDGES[name])
            if row["effective_status"] in statuses
            or (statuses == set() and row["effective_status"] not in GONE)
        ]
        names = ["id", *re.sub(r"\{.*\}", "", params.get("fields", "id")).split(",")]
        shown = [{k: row[k] for k in dict.fromkeys(names) if k in row} for row in rows]
        content = self._page(shown, params, request.path)
        if "total_count" in params.get("summary", ""):
            content["summary"] = {"total_count": len(shown)}
        return content

    def _objects(self, level: str) -> list[Row]:
        world = self.view
        if level == "campaign":
            return [
                {
                    "id": str(each.campaign_id),
                    "name": each.name,
                    "objective": each.type,
                    "start_time": f"{each.start_date}T09:00:00+0300",
                    **_state("ACTIVE", each.start_date),
                }
                for each in world.campaigns
                if each.platform == "meta_ads"
            ]
        started = {c.campaign_id: c.start_date for c in world.campaigns}
        if level == "adset":
            return [
                {
                    "id": str(each.ad_group_id),
                    "campaign_id": str(each.campaign_id),
                    "name": each.name,
                    "start_time": f"{started[each.campaign_id]}T09:00:00+0300",
                    **_state("ACTIVE", started[each.campaign_id]),
                }
                for each in world.ad_groups
                if each.platform == "meta_ads" and each.campaign_id in started
            ]
        tags = {g.ad_group_id: g.tracking_params for g in world.ad_groups}
        ads = [a for a in world.ads if a.platform == "meta_ads"]
        ads = [a for a in ads if a.campaign_id in started]
        # The last ads of the account ran, and then were put away.
        fate = dict(zip([a.ad_id for a in ads[::-1][:2]], GONE[::-1], strict=False))
        return [
            {
                "id": str(each.ad_id),
                "adset_id": str(each.ad_group_id),
                "campaign_id": str(each.campaign_id),
                "name": each.title,
                **_state(fate.get(each.ad_id, "ACTIVE"), started[each.campaign_id]),
                "creative": _creative(each.ad_id, each.href, tags[each.ad_group_id]),
            }
            for each in ads
        ]

    def _page(
        self, rows: list[Row], params: dict[str, str], path: str
    ) -> dict[str, Any]:
        """A page of rows as the Graph API cuts it; the next one's URL holds the token."""
        size = _whole(params.get("limit", "25"))
        if not 1 <= size <= LARGEST_PAGE:
            raise ApiError(100, "(#100) limit is out of range")
        size = self.options.rows_per_page("meta_ads", size)
        if self.rows_limit is not None and min(size, len(rows)) > self.rows_limit:
            raise ApiError(
                1, "Please reduce the amount of data you're asking for", 99, 500
            )
        start = 0
        if after := params.get("after"):
            try:
                start = int(base64.urlsafe_b64decode(after)) + 1
            except ValueError:
                raise ApiError(100, "(#100) Invalid cursor") from None
        content: dict[str, Any] = {"data": rows[start : start + size]}
        if content["data"]:
            last = start + len(content["data"]) - 1
            content["paging"] = {
                "cursors": {"before": _cursor(start), "after": _cursor(last)}
            }
            if last + 1 < len(rows):
                token = self.options.token("meta_ads")
                query = {**params, "access_token": token, "after": _cursor(last)}
                url = f"https://graph.facebook.com{path}?{urlencode(query)}"
                content["paging"]["next"] = url
        return content

    # ------------------------------------------------------------------ reports

    def _order(self, request: Request) -> Any:
        params = _plain(parse_qs(request.body.decode())) | _plain(request.query)
        self._hold_history(params)  # errors of the request come at once
        with self._lock:
            number = f"60{len(self._orders) + 1:014d}"
            self._orders[number] = Order(
                number, params, time.monotonic(), self.options.now
            )
        return {"report_run_id": number}

    def _hold_history(self, params: dict[str, str]) -> list[date]:
        days = _days(params)
        if (self.options.now.date() - days[0]).days > OLDEST_DAYS:
            raise ApiError(3018, "(#3018) The start date is beyond 37 months")
        return days

    def _is_made(self, order: Order) -> bool:
        return time.monotonic() - order.ordered_at >= self.options.wait_seconds

    def _state(self, order: Order) -> Any:
        order.polls += 1
        days = _days(order.params)
        state: Row = {"id": order.number, "async_status": "Job Completed"}
        state["async_percent_completion"] = 100
        if self.report_days_limit is not None and len(days) > self.report_days_limit:
            return state | {
                "async_status": "Job Failed",
                "async_percent_completion": 0,
                "error_code": 2601,
                "error_message": "The report is too large",
                "error_subcode": 1487534,
            }
        if not self._is_made(order):
            # full, and still not ready: the state counts
            progress = (
                ("Job Not Started", 0),
                ("Job Running", 42),
                ("Job Running", 100),
            )
            name, share = progress[min(order.polls, 3) - 1]
            state |= {"async_status": name, "async_percent_completion": share}
        return state | {
            "account_id": AD_ACCOUNT_ID,
            "date_start": days[0].isoformat(),
            "date_stop": days[-1].isoformat(),
        }

    def _report(
        self, params: dict[str, str], paging: dict[str, str], path: str
    ) -> dict[str, Any]:
        level = params.get("level", "account")
        if level not in LEVELS:
            raise ApiError(
                100, "(#100) level must be one of account, campaign, adset, ad"
            )
        asked = params.get("fields", "impressions,spend").split(",")
        if unknown := sorted(set(asked) - INSIGHT_FIELDS):
            raise ApiError(
                100,
                f"(#100) {unknown[0]} is not valid for fields param",
            )
        breakdown = params.get("breakdowns")
        if breakdown not in (None, "", "publisher_platform"):
            raise ApiError(100, f"(#100) {breakdown} cannot be combined")
        rows = self._rows(params, level, by_platform=bool(breakdown))
        shown = [
            {k: v for k, v in row.items() if k in asked or _always(k, breakdown)}
            for row in rows
        ]
        content = self._page(shown, paging, path)
        if "true" in (params.get("default_summary"), paging.get("default_summary")):
            kopecks = sum(round(float(row["spend"]) * 100) for row in rows)
            content["summary"] = {
                "impressions": str(sum(int(row["impressions"]) for row in rows)),
                "clicks": str(sum(int(row["clicks"]) for row in rows)),
                "spend": roubles(kopecks),
                "date_start": str(_days(params)[0]),
                "date_stop": str(_days(params)[-1]),
            }
        return content

    def _rows(
        self, params: dict[str, str], level: str, *, by_platform: bool
    ) -> list[Row]:
        days = _days(params)
        wanted = self._wanted(params, level)
        daily = params.get("time_increment") == "1"
        found: dict[tuple[Any, ...], list[AdCost]] = defaultdict(list)
        for cost in self.view.ad_costs:
            if cost.platform != "meta_ads" or not days[0] <= cost.date <= days[-1]:
                continue
            of_level = {
                "account": None,
                "campaign": cost.campaign_id,
                "adset": cost.ad_group_id,
                "ad": cost.ad_id,
            }[level]
            if wanted is not None and str(of_level) not in wanted:
                continue
            day = cost.date if daily else None
            found[day, of_level, cost.network if by_platform else None].append(cost)
        names = {
            level: {row["id"]: row["name"] for row in self._objects(level)}
            for level in IDS
        }
        ordered = sorted(found, key=str)
        return [_row(key, found[key], level, days, names) for key in ordered]

    def _wanted(self, params: dict[str, str], level: str) -> set[str] | None:
        """Ids whose figures are shown; without a filter the gone ones are not."""
        if level == "account":
            return None
        statuses = _statuses(params, level)
        return {
            row["id"]
            for row in self._objects(level)
            if (row["effective_status"] in statuses)
            or (not statuses and row["effective_status"] not in GONE)
        }


def _row(
    key: tuple[Any, ...],
    costs: list[AdCost],
    level: str,
    days: list[date],
    names: dict[str, dict[str, str]],
) -> Row:
    day, _, network = key
    first = costs[0]
    impressions = sum(c.impressions for c in costs)
    clicks = sum(c.clicks for c in costs)
    spend = sum(c.cost_kopecks for c in costs)
    row: Row = {
        "account_id": AD_ACCOUNT_ID,
        "account_name": "Тёплый контур Север",
        "account_currency": "RUB",
    }
    ids = {
        "campaign": str(first.campaign_id),
        "adset": str(first.ad_group_id),
        "ad": str(first.ad_id),
    }
    for name in LEVELS[1 : LEVELS.index(level) + 1]:
        row |= {f"{name}_id": ids[name], f"{name}_name": names[name].get(ids[name], "")}
    if level != "account":
        row["objective"] = "OUTCOME_LEADS"
    row |= {"impressions": str(impressions), "clicks": str(clicks)}
    row["spend"] = roubles(spend)
    link_clicks = clicks - clicks // 10
    if link_clicks:
        row["inline_link_clicks"] = str(link_clicks)
        row["cpc"] = f"{spend / 100 / clicks:.6f}"
        row |= _actions(link_clicks)
    row |= {"date_start": str(day or days[0]), "date_stop": str(day or days[-1])}
    if network is not None:
        row["publisher_platform"] = network.lower()
    return row


def _actions(link_clicks: int) -> Row:
    """What the clicks led to: kinds that overlap; a window without any is not there."""
    views = link_clicks - link_clicks // 5
    found = [{"action_type": "link_click", "value": str(link_clicks)}]
    found[0]["7d_click"] = str(link_clicks)
    if views:
        found.append({"action_type": "landing_page_view", "value": str(views)})
    leads = link_clicks // 2
    if not leads:
        return {"actions": found}
    found.append({"action_type": "lead", "value": str(leads), "7d_click": str(leads)})
    value = {"action_type": "lead", "value": f"{leads * 1500}.00"}
    return {"actions": found, "action_values": [value]}


def _creative(ad_id: int, href: str, tags: str) -> Row:
    link, _, query = href.partition("?")
    return {
        "id": str(ad_id + 1),
        "url_tags": tags or query,
        "object_story_spec": {"link_data": {"link": link}},
    }


def _state(effective: str, started: date) -> Row:
    return {
        "status": "ACTIVE" if effective not in GONE else effective,
        "effective_status": effective,
        "created_time": f"{started}T08:30:00+0300",
        "updated_time": f"{started + timedelta(days=1)}T10:00:00+0300",
    }


def _always(name: str, breakdown: str | None) -> bool:
    return name in ("date_start", "date_stop") or name == (breakdown or None)


def _statuses(params: dict[str, str], level: str) -> set[str]:
    """The statuses a filter asks for; none when there is no filter."""
    try:
        filters = json.loads(params.get("filtering", "[]"))
        found = {f["field"]: (f["operator"], f["value"]) for f in filters}
    except (ValueError, KeyError, TypeError):
        raise ApiError(100, "(#100) param filtering must be an array") from None
    for name, (operator, value) in found.items():
        if operator != "IN" or name not in (
            f"{level}.effective_status",
            "effective_status",
        ):
            raise ApiError(100, f"(#100) Filtering by {name} is not supported")
        return set(value)
    return set()


def _days(params: dict[str, str]) -> list[date]:
    try:
        given = json.loads(params["time_range"])
        first, last = (date.fromisoformat(given[name]) for name in ("since", "until"))
    except (ValueError, KeyError, TypeError):
        raise ApiError(100, "(#100) param time_range must be an object") from None
    if first > last:
        raise ApiError(100, "(#100) since is later than until")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _plain(query: dict[str, list[str]]) -> dict[str, str]:
    return {name: values[0] for name, values in query.items() if name != "access_token"}


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode()


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
