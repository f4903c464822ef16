"""Yandex Direct as it would answer for the simulated company.

Speaks the Reports service (`POST /json/v501/reports`: queue, 201 / 202 with
`retryIn`, TSV with title, header and `Total rows`) and the get services
(`campaigns`, `adgroups`, `ads`, `keywords`: pages with `LimitedBy`, errors inside
HTTP 200). Money in the world is in kopecks without VAT.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
import zlib
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from simulator.ads import without_operators
from simulator.face import Face, RateLimit, Request, Response, json_response
from simulator.world import SearchTerm, moscow_day, roubles

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from simulator.face import Options
    from simulator.world import AdCost, World

ONLINE_DAYS = 7
"""In `auto` mode a report of at most this many days is made at once."""

QUEUE_LIMIT = 5
PARALLEL_LIMIT = 5
REPORTS_PER_10_SECONDS = 20
KEPT_HOURS = 5
GET_LIMIT = 10_000
DAILY_POINTS = 64_000

DIMENSIONS = (
    "Date", "CampaignId", "CampaignName", "CampaignType", "AdGroupId", "AdGroupName",
    "AdId", "CriterionId", "Criterion", "CriterionType", "AdNetworkType", "Device",
    "Query", "MatchType", "Placement",
)  # fmt: skip
METRICS = ("Impressions", "Clicks", "Cost")
REPORT_TYPES = {
    "ACCOUNT_PERFORMANCE_REPORT": (),
    "CAMPAIGN_PERFORMANCE_REPORT": ("CampaignId",),
    "ADGROUP_PERFORMANCE_REPORT": ("AdGroupId",),
    "AD_PERFORMANCE_REPORT": ("AdId",),
    "CRITERIA_PERFORMANCE_REPORT": ("AdGroupId", "CriterionId", "CriterionType"),
    "SEARCH_QUERY_PERFORMANCE_REPORT": ("AdGroupId", "Query"),
    "CUSTOM_REPORT": (),
}
OF_QUERIES = "SEARCH_QUERY_PERFORMANCE_REPORT"
NOT_OF_QUERIES = {"AdNetworkType", "Device", "Placement"}
QUERY_DAYS = 180  # queries of older days are gone
FIELDS: dict[str, tuple[str, ...]] = {
    "campaigns": (
        "Id", "Name", "Type", "State", "Status", "StartDate", "EndDate", "Currency",
        "TimeZone", "DailyBudget", "ClientInfo",
    ),
    "adgroups": (
        "Id", "CampaignId", "Name", "Type", "Status", "ServingStatus", "TrackingParams",
    ),
    "ads": ("Id", "CampaignId", "AdGroupId", "State", "Status", "Type"),
    "keywords": (
        "Id", "AdGroupId", "CampaignId", "Keyword", "State", "Status", "ServingStatus",
    ),
}  # fmt: skip
TEXT_AD_FIELDS = ("Title", "Title2", "Text", "Href", "Mobile")
RESULT_KEYS = {
    "campaigns": "Campaigns",
    "adgroups": "AdGroups",
    "ads": "Ads",
    "keywords": "Keywords",
}


def vat_rate(day: date) -> int:
    """The VAT of the day in per cent: 20, from 2026 on 22 (Russian tax code)."""
    return 22 if day >= date(2026, 1, 1) else 20


class ApiError(Exception):
    """An error in the vendor's own form."""

    def __init__(self, code: int, text: str, detail: str) -> None:
        super().__init__(text)
        self.code, self.text, self.detail = code, text, detail


@dataclass
class Order:
    """A report somebody ordered: what was asked, when, and the body made of it."""

    asked: str
    ordered_at: float
    world_time: datetime
    polls: int = 0
    body: bytes | None = None


class Simulator(Face):
    """Answers as `api.direct.yandex.com` would for the simulated advertiser.

    `report_days_limit` (days; None = no limit) makes longer reports end in HTTP 502,
    as reports do that are too big to be made.
    """

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self.report_days_limit: int | None = None
        self._lock = threading.Lock()
        self._orders: dict[tuple[str, str], Order] = {}
        self._report_limit = RateLimit(REPORTS_PER_10_SECONDS, seconds=10)
        self._running = 0
        self._points = DAILY_POINTS
        self._request_ids = 8_695_244_274_068_608_000
        self._days: dict[tuple[Any, ...], list[str]] = {}
        self._costs: dict[date, list[AdCost]] = defaultdict(list)
        for cost in world.ad_costs:
            self._costs[cost.date].append(cost)
        self._restated = {
            day: sorted(c.restated_on for c in costs if c.restated_on is not None)
            for day, costs in self._costs.items()
        }
        self._campaigns = {c.campaign_id: c for c in world.campaigns}
        self._groups = {g.ad_group_id: g for g in world.ad_groups}
        self._types = {(c.ad_group_id, c.criterion): c for c in world.ad_costs}
        self._parts: dict[str, tuple[World, dict[date, list[Any]]]] = {}
        self._dimensions: dict[str, Callable[[Any], str]] = {
            "Date": lambda c: c.date.isoformat(),
            "CampaignId": lambda c: str(c.campaign_id),
            "CampaignName": lambda c: self._campaigns[c.campaign_id].name,
            "CampaignType": lambda c: self._campaigns[c.campaign_id].type,
            "AdGroupId": lambda c: _cell(c.ad_group_id),
            "AdGroupName": lambda c: self._group_name(c.ad_group_id),
            "AdId": lambda c: _cell(c.ad_id),
            "CriterionId": lambda c: _cell(c.criterion_id),
            "Criterion": lambda c: _cell(c.criterion),
            "CriterionType": self._criterion_type,
            "AdNetworkType": lambda c: c.network,
            "Device": lambda c: c.device,
            "Query": lambda c: c.query,
            "MatchType": _match_type,
            "Placement": lambda c: c.placement,
        }

    # ------------------------------------------------------------------ answers

    def handle(self, request: Request) -> Response:
        """One vendor answer to one request."""
        with self._lock:
            self._request_ids += 1
            self._running += 1
            crowded = self._running > PARALLEL_LIMIT
        try:
            response = self._answer(request, crowded=crowded)
        finally:
            with self._lock:
                self._running -= 1
        response.headers.setdefault("RequestId", str(self._request_ids))
        return response

    def _answer(self, request: Request, *, crowded: bool) -> Response:
        parts = request.path.strip("/").split("/")
        if len(parts) != 3 or parts[0] != "json" or parts[1] not in ("v5", "v501"):
            return _html(404, "Not Found")
        service = parts[2]
        try:
            if request.method != "POST":
                raise ApiError(8000, "Invalid request", "Only POST is accepted")
            self._authorise(request)
            if crowded and self.options.rate_limits:
                raise ApiError(506, "Connection limit exceeded", "At most 5 at a time")
            try:
                asked = request.json()
                params = asked["params"]
            except (ValueError, KeyError, TypeError) as error:
                raise ApiError(8000, "Invalid request", "params is missing") from error
            if service == "reports":
                return self._report(request, params)
            if service not in FIELDS:
                raise ApiError(55, "Method not found", f"No service {service}")
            if asked.get("method") != "get":
                raise ApiError(55, "Method not found", str(asked.get("method")))
            return self._get(service, params, unified=parts[1] == "v501")
        except ApiError as error:
            body = {
                "error": {
                    "request_id": str(self._request_ids),
                    # both forms are seen in real answers
                    "error_code": str(error.code) if service == "ads" else error.code,
                    "error_string": error.text,
                    "error_detail": error.detail,
                }
            }
            return json_response(body, status=400 if service == "reports" else 200)

    def unauthorized(self, request: Request) -> Response:
        """A token that has run out: error 53, under HTTP 200 but for reports."""
        error = {
            "request_id": "1",
            "error_code": 53,
            "error_string": "Authorization error",
            "error_detail": "OAuth token has expired",
        }
        status = 400 if request.path.endswith("/reports") else 200
        return json_response({"error": error}, status=status)

    def _authorise(self, request: Request) -> None:
        word, _, token = request.headers.get("Authorization", "").partition(" ")
        if word != "Bearer" or token != self.options.token("yandex_direct"):
            raise ApiError(53, "Authorization error", "Invalid OAuth token")
        login = request.headers.get("Client-Login")
        if login is not None and login != self.world.client_login:
            raise ApiError(54, "No rights", f"No rights to the client {login}")

    # ------------------------------------------------------------------ reports

    def _report(self, request: Request, params: dict[str, Any]) -> Response:
        if self._report_limit.is_exceeded() and self.options.rate_limits:
            raise ApiError(56, "Request limit exceeded", "20 reports in 10 seconds")
        first, last = self._validate(params)
        days = (last - first).days + 1
        if self.report_days_limit is not None and days > self.report_days_limit:
            return _html(502, "Bad Gateway")
        mode = request.headers.get("processingMode", "auto")
        of_queries = params["ReportType"] == OF_QUERIES
        if mode == "online" and of_queries:
            raise ApiError(8312, "Report cannot be built online", "Use offline mode")
        if mode == "online" or (
            mode == "auto" and days <= ONLINE_DAYS and not of_queries
        ):
            return self._tsv(request, params, first, last)
        return self._queued(request, params, first, last)

    def _queued(
        self, request: Request, params: dict[str, Any], first: date, last: date
    ) -> Response:
        """201 when ordered, 202 while it is made, 200 once it is ready."""
        login = request.headers.get("Client-Login") or self.world.client_login
        key = (login, params["ReportName"])
        asked = hashlib.sha256(
            json.dumps(params, sort_keys=True).encode()
        ).hexdigest() + str(_flags(request))
        now, wait = time.monotonic(), self.options.wait_seconds
        with self._lock:
            for name, order in list(self._orders.items()):
                age = self.options.now - order.world_time
                if age > timedelta(hours=KEPT_HOURS) or age < timedelta(0):
                    del self._orders[name]
            waiting = [o for o in self._orders.values() if now < o.ordered_at + wait]
            found = self._orders.get(key)
            headers = {
                "retryIn": str(math.ceil(wait)),
                "reportsInQueue": str(len(waiting) + (found is None)),
            }
            if found is None:
                if self.options.rate_limits and len(waiting) >= QUEUE_LIMIT:
                    raise ApiError(
                        9000, "Report queue is full", "At most 5 reports in the queue"
                    )
                self._orders[key] = Order(asked, now, self.options.now)
                return Response(201, headers, b"")
            if found.asked != asked:
                raise ApiError(
                    4000,
                    "Invalid parameters",
                    "A report with this name and other parameters already exists",
                )
            found.polls += 1
            if found in waiting or (not wait and found.polls == 1):
                return Response(202, headers, b"")
        if found.body is None:
            found.body = self._tsv(request, params, first, last, plain=True).body
        return _body(found.body)

    def _group_name(self, ad_group_id: int | None) -> str:
        group = self._groups.get(ad_group_id or 0)
        return group.name if group else "--"

    def _criterion_type(self, row: Any) -> str:
        """Of a query it is that of the criterion which it met."""
        if isinstance(row, SearchTerm):
            row = self._types[row.ad_group_id, row.criterion]
        return _cell(row.criterion_type)

    def _facts(self, kind: str) -> dict[date, list[Any]]:
        """Rows by day: costs, queries or sites; the last two as known now."""
        if kind == "costs":
            return self._costs
        view = self.view
        with self._lock:
            kept = self._parts.get(kind)
            if kept is None or kept[0] is not view:
                by_day: dict[date, list[Any]] = defaultdict(list)
                rows: list[Any] = (
                    view.search_terms("yandex_direct")
                    if kind == "queries"
                    else view.placements()
                )
                for row in rows:
                    by_day[row.date].append(row)
                kept = self._parts[kind] = (view, by_day)
        return kept[1]

    def _validate(self, params: dict[str, Any]) -> tuple[date, date]:
        for name in ("ReportName", "ReportType", "DateRangeType", "Format"):
            if not isinstance(params.get(name), str):
                raise ApiError(8000, "Invalid request", f"{name} is required")
        if params.get("IncludeVAT") not in ("YES", "NO"):
            raise ApiError(8000, "Invalid request", "IncludeVAT is required")
        if params["ReportType"] not in REPORT_TYPES or params["Format"] != "TSV":
            raise ApiError(8000, "Invalid request", "Unknown ReportType or Format")
        for field in params.get("FieldNames") or ["(none)"]:
            if field not in DIMENSIONS and field not in METRICS:
                raise ApiError(4000, "Invalid parameters", f"Unknown field {field}")
        self._validate_grouping(params)
        criteria = params.get("SelectionCriteria")
        if params["DateRangeType"] != "CUSTOM_DATE" or not isinstance(criteria, dict):
            raise ApiError(4000, "Invalid parameters", "CUSTOM_DATE is served here")
        try:
            first = date.fromisoformat(criteria["DateFrom"])
            last = date.fromisoformat(criteria["DateTo"])
        except (KeyError, TypeError, ValueError) as error:
            raise ApiError(4000, "Invalid parameters", "DateFrom, DateTo") from error
        today = moscow_day(self.options.now)
        oldest = today.replace(year=today.year - 3, day=1)
        if params["ReportType"] == OF_QUERIES:
            oldest = today - timedelta(days=QUERY_DAYS)
        if first > last or first < oldest or last > today:
            raise ApiError(4000, "Invalid parameters", "DateFrom or DateTo is wrong")
        return first, last

    def _validate_grouping(self, params: dict[str, Any]) -> None:
        """Which fields and filters go together, as far as they are asked for."""
        fields = {*params["FieldNames"]}
        of_queries = params["ReportType"] == OF_QUERIES
        if of_queries != ("Query" in fields) or (
            of_queries and fields & NOT_OF_QUERIES
        ):
            raise ApiError(4000, "Invalid parameters", "Fields do not fit ReportType")
        if "MatchType" in fields and not of_queries:
            raise ApiError(4000, "Invalid parameters", "MatchType is of queries here")
        networks = _networks(params)
        if "Placement" in fields and networks != ["AD_NETWORK"]:
            raise ApiError(4000, "Invalid parameters", "Sites of the network only here")

    def _tsv(
        self,
        request: Request,
        params: dict[str, Any],
        first: date,
        last: date,
        *,
        plain: bool = False,
    ) -> Response:
        micros, title, header, summary = _flags(request)
        fields = tuple(params["FieldNames"])
        with_vat = params["IncludeVAT"] == "YES"
        group = (*fields, *REPORT_TYPES[params["ReportType"]])
        networks = tuple(_networks(params))
        lines: list[str] = []
        if "Date" in fields:
            for offset in range((last - first).days + 1):
                day = first + timedelta(days=offset)
                lines += self._rows([day], fields, group, networks, with_vat, micros)
        else:
            span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
            lines += self._rows(span, fields, group, networks, with_vat, micros)
        rows = len(lines)
        if header:
            lines.insert(0, "\t".join(fields))
        if title:
            lines.insert(0, f'"{params["ReportName"]} ({first} - {last})"')
        if summary:
            lines.append(f"Total rows: {rows}")
        body = ("\n".join(lines) + "\n").encode()
        if zlib.crc32(params["ReportName"].encode()) % 2:
            body = b"\xef\xbb\xbf" + body
        return Response(200, {}, body) if plain else _body(body)

    def _rows(
        self,
        days: list[date],
        fields: tuple[str, ...],
        group: tuple[str, ...],
        networks: tuple[str, ...],
        with_vat: bool,
        micros: bool,
    ) -> list[str]:
        """The rows of some days, kept while no restatement changes them."""
        today = moscow_day(self.options.now)
        state = tuple(
            (d < today, bisect_right(self._restated.get(d, []), today)) for d in days
        )
        key = (tuple(days), state, fields, group, networks, with_vat, micros)
        if (kept := self._days.get(key)) is not None:
            return kept
        getters = [self._dimensions[name] for name in group if name in self._dimensions]
        kind = "costs"
        if {*fields} & {"Query", "Placement"}:
            kind = "queries" if "Query" in fields else "placements"
        facts = self._facts(kind)
        sums: dict[tuple[str, ...], list[int]] = {}
        for day in days:
            if day >= today:
                continue  # the running day is not reported yet
            for cost in facts.get(day, ()):
                if networks and cost.network not in networks:
                    continue
                kopecks = cost.cost_kopecks
                restated_on = cost.restated_on if kind == "costs" else None
                if restated_on is not None and restated_on > today:
                    kopecks = cost.first_cost_kopecks
                if with_vat:
                    kopecks = round(kopecks * (100 + vat_rate(day)) / 100)
                total = sums.setdefault(tuple(g(cost) for g in getters), [0, 0, 0])
                total[0] += cost.impressions
                total[1] += cost.clicks
                total[2] += kopecks
        names = [name for name in group if name in self._dimensions]
        places = [
            names.index(f) if f in self._dimensions else len(names) + METRICS.index(f)
            for f in fields
        ]
        rows = []
        for dimensions, (impressions, clicks, kopecks) in sums.items():
            money = str(kopecks * 10_000) if micros else roubles(kopecks)
            cells = (*dimensions, str(impressions), str(clicks), money)
            rows.append("\t".join([cells[place] for place in places]))
        self._days[key] = rows
        return rows

    # ------------------------------------------------------------- get services

    def _get(self, service: str, params: dict[str, Any], *, unified: bool) -> Response:
        wanted = params.get("FieldNames")
        if not isinstance(wanted, list) or not wanted:
            raise ApiError(8000, "Invalid request", "FieldNames is required")
        for field in wanted:
            if field not in FIELDS[service]:
                raise ApiError(8000, "Invalid request", f"Unknown field {field}")
        criteria = params.get("SelectionCriteria")
        if not isinstance(criteria, dict):
            raise ApiError(8000, "Invalid request", "SelectionCriteria is required")
        campaign_ids = criteria.get("CampaignIds")
        if service != "campaigns":
            if not campaign_ids:
                raise ApiError(4001, "Invalid criteria", "CampaignIds is required")
            if len(campaign_ids) > 10:
                raise ApiError(4001, "Array is too long", "CampaignIds holds over 10")
        page = params.get("Page") or {}
        limit, offset = page.get("Limit", GET_LIMIT), page.get("Offset", 0)
        if not 1 <= limit <= GET_LIMIT or offset < 0:
            raise ApiError(4002, "Invalid page", "Limit is 1..10000, Offset from 0")
        limit = self.options.rows_per_page("yandex_direct", limit)
        ids = {int(i) for i in campaign_ids} if campaign_ids else None
        objects = self._objects(service, ids, unified=unified)
        found = [
            {name: value for name, value in item.items() if name in wanted}
            for item in objects[offset : offset + limit]
        ]
        if service == "ads" and (block := params.get("TextAdFieldNames")):
            if any(field not in TEXT_AD_FIELDS for field in block):
                raise ApiError(8000, "Invalid request", "Unknown TextAd field")
            page_of = objects[offset : offset + limit]
            for shown, item in zip(found, page_of, strict=True):
                shown["TextAd"] = {name: item["TextAd"][name] for name in block}
        result: dict[str, Any] = {RESULT_KEYS[service]: found} if found else {}
        if offset + limit < len(objects):
            result["LimitedBy"] = offset + limit
        spent = 10 + math.ceil(len(found) / 2000)
        with self._lock:
            self._points -= spent
            units = f"{spent}/{self._points}/{DAILY_POINTS}"
        return json_response(
            {"result": result},
            headers={"Units": units, "Units-Used-Login": self.world.client_login},
        )

    def _objects(
        self, service: str, ids: set[int] | None, *, unified: bool
    ) -> list[dict[str, Any]]:
        today = moscow_day(self.options.now)
        alive = {
            c.campaign_id
            for c in self.world.campaigns
            if c.start_date <= today and (unified or c.type != "UNIFIED_CAMPAIGN")
        }
        if ids is not None:
            alive &= ids
        if service == "campaigns":
            return [
                {
                    "Id": c.campaign_id,
                    "Name": c.name,
                    "Type": c.type,
                    "State": c.state,
                    "Status": c.status,
                    "StartDate": c.start_date.isoformat(),
                    "EndDate": None,
                    "Currency": "RUB",
                    "TimeZone": "Europe/Moscow",
                    "DailyBudget": None,
                    "ClientInfo": None,
                }
                for c in self.world.campaigns
                if c.campaign_id in alive
            ]
        if service == "adgroups":
            return [
                {
                    "Id": g.ad_group_id,
                    "CampaignId": g.campaign_id,
                    "Name": g.name,
                    "Type": g.type,
                    "Status": g.status,
                    "ServingStatus": "ELIGIBLE",
                    "TrackingParams": g.tracking_params or None,
                }
                for g in self.world.ad_groups
                if g.campaign_id in alive
            ]
        if service == "ads":
            return [
                {
                    "Id": a.ad_id,
                    "CampaignId": a.campaign_id,
                    "AdGroupId": a.ad_group_id,
                    "State": a.state,
                    "Status": a.status,
                    "Type": a.type,
                    "TextAd": {
                        "Title": a.title,
                        "Title2": a.title2,
                        "Text": a.text,
                        "Href": a.href,
                        "Mobile": "NO",
                    },
                }
                for a in self.world.ads
                if a.campaign_id in alive
            ]
        return [
            {
                "Id": k.keyword_id,
                "AdGroupId": k.ad_group_id,
                "CampaignId": k.campaign_id,
                "Keyword": k.text,
                "State": k.state,
                "Status": k.status,
                "ServingStatus": "ELIGIBLE",
            }
            for k in self.world.keywords
            if k.campaign_id in alive
        ]


def _match_type(row: Any) -> str:
    """How a query met the criterion: `--` for what no keyword was met."""
    if row.criterion_id is None or row.criterion.startswith("---"):
        return "--"
    return "KEYWORD" if row.query == without_operators(row.criterion) else "SYNONYM"


def _networks(params: dict[str, Any]) -> list[str]:
    """The networks a filter leaves; empty when there is none."""
    criteria = params.get("SelectionCriteria")
    found: list[str] = []
    for each in (criteria or {}).get("Filter", []):
        if (each.get("Field"), each.get("Operator")) != ("AdNetworkType", "EQUALS"):
            raise ApiError(4000, "Invalid parameters", "Filter by AdNetworkType here")
        found += each["Values"]
    return found


def _flags(request: Request) -> tuple[bool, bool, bool, bool]:
    """(money in micros, title line, column line, summary line) as the headers ask."""

    def asked(name: str, default: str) -> bool:
        return str(request.headers.get(name, default)).lower() == "true"

    return (
        asked("returnMoneyInMicros", "true"),
        not asked("skipReportHeader", "false"),
        not asked("skipColumnHeader", "false"),
        not asked("skipReportSummary", "false"),
    )


def _body(body: bytes) -> Response:
    headers = {"Content-Type": "text/tab-separated-values; charset=utf-8"}
    return Response(200, headers, body)


def _html(status: int, text: str) -> Response:
    page = (
        f"<html><head><title>{status} {text}</title></head><body>{text}</body></html>"
    )
    return Response(status, {"Content-Type": "text/html"}, page.encode())


def _cell(value: object) -> str:
    return "--" if value is None or value == "" else str(value)
