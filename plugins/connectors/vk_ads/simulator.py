"""VK Ads as it would answer for the firm's cabinet.

Speaks the token desk (five tokens for a key, a refresh replaces the token in place),
the lists `ad_plans`, `ad_groups`, `banners` by offset, and the statistics v2 by day, with
their errors in both shapes. Money in the world is in kopecks without VAT.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from simulator.face import Face, RateLimit, Request, Response, TokenDesk, json_response
from simulator.world import moscow_day, roubles

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.face import Options
    from simulator.world import AdCost, World

TOKENS_OF_A_KEY = 5
REQUESTS_PER_SECOND = 20
LARGEST_PAGE, USUAL_PAGE = 250, 20
IDS_AT_ONCE = 200
OLDEST_DAYS = 366
_LIST = re.compile(r"/api/v2/(ad_plans|ad_groups|banners)\.json")
_DAYS = re.compile(r"/api/v2/statistics/(ad_plans|ad_groups|banners)/day\.json")
WRONG = {
    "ad_plans": "ERR_WRONG_ADPLANS",
    "ad_groups": "ERR_WRONG_ADGROUPS",
    "banners": "ERR_WRONG_BANNERS",
}
DEFAULT_FIELDS = {
    "ad_plans": ("id", "name"),
    "ad_groups": ("id", "name"),
    "banners": ("id", "ad_group_id"),
}
Row = dict[str, Any]


class ApiError(Exception):
    """An error in the vendor's own form."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.response = json_response(
            {"error": {"message": message, "code": code}},
            status,
            {name.replace("_", "-"): value for name, value in headers.items()},
        )


class Desk(TokenDesk):
    """VK's tokens: so many for a key, whatever their state; a refresh ends the old one.

    The number is held when `Options.rate_limits` is on.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options, "vk_ads", seconds=86_400, as_text=True)
        self.given = 0
        self._of_refresh: dict[str, str] = {}

    def answer(self, request: Request) -> Response:
        """The answer to a grant; the sixth token of a key is refused with 403."""
        asked = {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        grant = asked.get("grant_type", "")
        is_first = grant.endswith("client_credentials")
        if is_first and self._options.rate_limits and self.given >= TOKENS_OF_A_KEY:
            text = f"Reached maximum of {TOKENS_OF_A_KEY} tokens"
            return ApiError(403, "token_limit_exceeded", text).response
        if grant == "agency_client_credentials" and asked.get("agency_client_name"):
            body = urlencode(asked | {"grant_type": "client_credentials"}).encode()
            request = replace(request, body=body)
        response = super().answer(request)
        if response.status != 200:
            return ApiError(401, "invalid_client", "Unknown client").response
        content = json.loads(response.body)
        with self._lock:
            if is_first:
                self.given += 1
                refresh = f"{self._token}-refresh-{self.given}"
            else:
                refresh = asked["refresh_token"]
                self._good.pop(self._of_refresh.get(refresh, ""), None)
            self._of_refresh[refresh] = content["access_token"]
        return json_response(content | {"refresh_token": refresh, "scope": "read_ads"})

    def forget(self, request: Request) -> Response:
        """End all tokens of a key."""
        asked = {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        if not self._knows(asked.get("client_secret", "")):
            return ApiError(401, "invalid_client", "Unknown client").response
        self.expire()
        self.given = 0
        self._of_refresh.clear()
        return Response(204)


@dataclass(frozen=True)
class Asked:
    """What statistics are asked for."""

    ids: list[int]
    days: list[date]


class Simulator(Face):
    """Answers as ads.vk.com would for the simulated cabinet.

    `days_limit` (days of one request; None = no limit) and `unknown_ids` (which the
    statistics do not know, though the lists do) are for tests.
    """

    branch = "spb"

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self.desk: Desk = Desk(options)
        self.days_limit: int | None = None
        self.unknown_ids: set[int] = set()
        self._limit = RateLimit(REQUESTS_PER_SECOND, seconds=1)

    def handle(self, request: Request) -> Response:
        """One vendor answer to one request."""
        try:
            response = self._answer(request)
        except ApiError as error:
            response = error.response
        for name, most in (("RPS", REQUESTS_PER_SECOND), ("Hourly", 9000)):
            response.headers.setdefault(f"X-RateLimit-{name}-Limit", str(most))
            response.headers.setdefault(f"X-RateLimit-{name}-Remaining", str(most - 1))
        return response

    def unauthorized(self, request: Request) -> Response:
        """The answer to a token that has run out (flat) or is unknown (in `error`)."""
        code, text = "expired_token", "Access token is expired"
        content: Any = {"code": code, "message": text}
        if "access" not in request.headers.get("Authorization", ""):
            code, text = "invalid_token", "Unknown access token"
            content = {"error": {"code": code, "message": text}}
        said = f'Bearer realm="api", error="{code}", error_description="{text}"'
        return json_response(content, 401, {"WWW-Authenticate": said})

    def _answer(self, request: Request) -> Response:
        if request.path == "/api/v2/oauth2/token.json" and request.method == "POST":
            return self.desk.answer(request)
        if request.path == "/api/v2/oauth2/token/delete.json":
            return self.desk.forget(request)
        if not self.desk.accepts(request):
            return self.unauthorized(request)
        if self.options.rate_limits and self._limit.is_exceeded():
            raise ApiError(
                429,
                "too_many_requests",
                "Too many requests",
                X_RateLimit_RPS_Remaining="0",
            )
        if request.method != "GET":
            raise ApiError(405, "method_not_allowed", "Method not allowed")
        if found := _LIST.fullmatch(request.path):
            return json_response(self._list(found[1], request))
        if found := _DAYS.fullmatch(request.path):
            return json_response(self._statistics(found[1], request))
        raise ApiError(404, "ERR_WRONG_RESOURCE", "Unknown resource")

    # ------------------------------------------------------------------ lists

    def _list(self, kind: str, request: Request) -> Any:
        size = _whole(request, "limit", USUAL_PAGE)
        if size > LARGEST_PAGE:
            raise ApiError(400, "validation_failed", "Validation failed")
        size = self.options.rows_per_page("vk_ads", size)
        start = _whole(request, "offset", 0)
        statuses = (request.param("_status__in") or "active,blocked").split(",")
        rows = [row for row in self._objects(kind) if row["status"] in statuses]
        names = (request.param("fields") or "").split(",")
        names = names if names != [""] else list(DEFAULT_FIELDS[kind])
        cut = rows[start : start + size]
        items = [
            {name: row[name] for name in ["id", *names] if name in row} for row in cut
        ]
        return {"count": len(rows), "offset": start, "limit": size, "items": items}

    def _objects(self, kind: str) -> list[Row]:
        """All objects of a kind that were ever made, by id; the last ad is deleted."""
        world = self.view
        plans = {c.campaign_id: c for c in world.campaigns if c.platform == "vk_ads"}
        groups = {g.ad_group_id: g for g in world.ad_groups if g.campaign_id in plans}
        if kind == "ad_plans":
            return [
                {
                    "id": each.campaign_id,
                    "name": each.name,
                    "status": "active",
                    "objective": each.type,
                    "date_start": each.start_date.isoformat(),
                    "date_end": None,
                    **_times(each.start_date),
                }
                for _, each in sorted(plans.items())
            ]
        if kind == "ad_groups":
            return [
                {
                    "id": each.ad_group_id,
                    "ad_plan_id": each.campaign_id,
                    "name": each.name,
                    "status": "active",
                    "enable_utm": bool(each.tracking_params),
                    "utm": each.tracking_params or None,
                    **_times(plans[each.campaign_id].start_date),
                }
                for _, each in sorted(groups.items())
            ]
        ads = {a.ad_id: a for a in world.ads if a.ad_group_id in groups}
        return [
            {
                "id": each.ad_id,
                "ad_group_id": each.ad_group_id,
                "name": each.title,
                "status": "deleted" if each.ad_id == max(ads) else "active",
                "moderation_status": "allowed",
                "urls": {
                    "primary": {
                        "id": each.ad_id + 7,
                        "url": each.href,
                        "url_object_id": str(each.ad_id + 9),
                        "url_types": ["external"],
                    }
                },
                **_times(plans[each.campaign_id].start_date),
            }
            for _, each in sorted(ads.items())
        ]

    # ------------------------------------------------------------------ statistics

    def _statistics(self, kind: str, request: Request) -> Any:
        asked = self._asked(kind, request)
        owner: dict[str, Callable[[AdCost], int | None]] = {
            "ad_plans": lambda cost: cost.campaign_id,
            "ad_groups": lambda cost: cost.ad_group_id,
            "banners": lambda cost: cost.ad_id,
        }
        of, wanted, days = owner[kind], set(asked.ids), set(asked.days)
        sums: dict[tuple[int, date], Counter[str]] = defaultdict(Counter)
        for cost in self.view.ad_costs:
            if cost.platform != "vk_ads" or cost.date not in days:
                continue
            number = of(cost)
            if number is not None and number in wanted:
                sums[number, cost.date] += _figures(cost)
        items, whole = [], Counter[str]()
        for number in asked.ids:
            total = Counter[str]()
            rows = []
            for day in asked.days:
                figures = sums.get((number, day), Counter())
                rows.append({"date": day.isoformat(), "base": _base(figures)})
                total += figures
            items.append({"id": number, "rows": rows, "total": {"base": _base(total)}})
            whole += total
        return {"items": items, "total": {"base": _base(whole)}}

    def _asked(self, kind: str, request: Request) -> Asked:
        if request.param("metrics", "base") not in ("base", "all"):
            raise ApiError(400, "ERR_WRONG_PARAMETER", "Wrong metrics")
        try:
            ids = [int(text) for text in (request.param("id") or "").split(",")]
            first = date.fromisoformat(request.param("date_from") or "")
            last = date.fromisoformat(request.param("date_to") or "")
        except ValueError:
            raise ApiError(400, "ERR_WRONG_PARAMETER", "Wrong id or date") from None
        if first > last:
            raise ApiError(400, "ERR_WRONG_DATE", "date_from is later than date_to")
        if (moscow_day(self.options.now) - first).days > OLDEST_DAYS:
            raise ApiError(400, "ERR_WRONG_DATE", "Only the last 366 days are kept")
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        if self.days_limit is not None and len(days) > self.days_limit:
            raise ApiError(400, "ERR_LIMIT_EXCEEDED", "Dates limit exceeded")
        if len(ids) > IDS_AT_ONCE:
            raise ApiError(400, "ERR_LIMIT_EXCEEDED", "Objects limit exceeded")
        known = {row["id"] for row in self._objects(kind)} - self.unknown_ids
        if not known.issuperset(ids) or len(set(ids)) < len(ids):
            raise ApiError(400, WRONG[kind], "Wrong objects")
        return Asked(ids, days)


def change_records(content: Any, change: Callable[[Row], None]) -> Any:
    """Change each record of an answer, as a flat one; statistics are nested."""
    items = content.get("items") if isinstance(content, dict) else None
    for item in items if isinstance(items, list) else []:
        if "rows" not in item:
            if set(item) != {"id"}:  # ids to ask for figures by are no records
                change(item)
            continue
        for row in item["rows"]:
            flat = {"id": item.get("id"), "date": row.get("date"), **row["base"]}
            change(flat)
            for name, owner in (("id", item), ("date", row)):
                if name in flat:
                    owner[name] = flat.pop(name)
                else:
                    owner.pop(name, None)
            row["base"] = flat
        if "id" not in item:
            for row in item["rows"]:
                row.pop("id", None)
    return content


def _figures(cost: AdCost) -> Counter[str]:
    return Counter(
        shows=cost.impressions,
        clicks=cost.clicks,
        goals=cost.clicks // 12,
        kopecks=cost.cost_kopecks,
    )


def _base(figures: Counter[str]) -> Row:
    shows, clicks, goals = (figures[name] for name in ("shows", "clicks", "goals"))
    kopecks = figures["kopecks"]
    return {
        "shows": shows,
        "clicks": clicks,
        "goals": goals,
        "spent": _money(kopecks),
        "cpm": _money(kopecks * 1000 // shows) if shows else "0",
        "cpc": _money(kopecks // clicks) if clicks else "0",
        "cpa": _money(kopecks // goals) if goals else "0",
        "ctr": clicks / shows * 100 if shows else 0,
        "cr": goals / clicks * 100 if clicks else 0,
        "vk": {"goals": goals, "cpa": 0, "cr": 0},
    }


def _money(kopecks: int) -> str:
    """Roubles as VK writes them: no zeros at the end of a fraction."""
    return roubles(kopecks).rstrip("0").rstrip(".")


def _times(started: date) -> Row:
    return {
        "created": f"{started} 10:25:06",
        "updated": f"{started + timedelta(days=1)} 11:39:19",
    }


def _whole(request: Request, name: str, default: int) -> int:
    text = request.param(name) or str(default)
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, "validation_failed", "Validation failed")
    return int(text)
