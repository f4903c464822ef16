"""Google Ads' REST search methods as they would answer for the simulated advertiser.

Speaks `POST /token` (OAuth), `POST /v{N}/customers/{id}/googleAds:searchStream` (an
array of chunks, the summary row alone in the last one) and `googleAds:search` (pages
with nextPageToken), over a part of GAQL: SELECT fields FROM resource WHERE conditions.
int64 are text, what is empty is left out, errors are GoogleAdsFailure.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import zlib
from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from simulator.face import (
    Face,
    RateLimit,
    Request,
    Response,
    TokenDesk,
    json_response,
    text_response,
)
from simulator.world import moscow_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from simulator.face import Options
    from simulator.world import World

CUSTOMER_ID = "7003210099"
MANAGER_ID = "7009000001"
VERSIONS = ("v24", "v25", "v26")
PAGE = 10_000
REQUESTS_PER_SECOND = 10
CLICK_DAYS = 90
WITHOUT_ADS = ("PERFORMANCE_MAX", "SMART")
METRICS = ("metrics.impressions", "metrics.clicks", "metrics.cost_micros")

_PATH = re.compile(
    r"/(v\d+(?:\.\d+)?)/customers/([^/]+)/googleAds:(searchStream|search)"
)
_QUERY = re.compile(r"\s*SELECT\s+(.+?)\s+FROM\s+(\w+)(?:\s+WHERE\s+(.+?))?\s*", re.S)
_CONDITION = re.compile(
    r"([\w.]+)\s+(=|BETWEEN|NOT IN|IN)\s+"
    r"('[^']*'\s+AND\s+'[^']*'|'[^']*'|\([^)]*\))(?:\s+AND\s+|\s*$)",
    re.I,
)
_CUSTOMER = (
    "customer.id",
    "customer.descriptive_name",
    "customer.time_zone",
    "customer.currency_code",
)
_CAMPAIGN = (
    *_CUSTOMER,
    "campaign.id",
    "campaign.name",
    "campaign.status",
    "campaign.advertising_channel_type",
)
_GROUP = (
    *_CAMPAIGN,
    "ad_group.id",
    "ad_group.name",
    "ad_group.status",
    "ad_group.type",
)
_AD = (
    *_GROUP,
    "ad_group_ad.status",
    "ad_group_ad.ad.id",
    "ad_group_ad.ad.type",
    "ad_group_ad.ad.final_urls",
)
_SEGMENTS = ("segments.date", "segments.device", "segments.ad_network_type")
_KEYWORD = (
    "segments.keyword.ad_group_criterion",
    "segments.keyword.info.text",
    "segments.keyword.info.match_type",
)
FIELDS: dict[str, tuple[str, ...]] = {
    "customer": (*_CUSTOMER, *_SEGMENTS, *METRICS),
    "campaign": (*_CAMPAIGN, *_SEGMENTS, *METRICS),
    "ad_group": (*_GROUP, *_SEGMENTS, *METRICS),
    "ad_group_ad": (*_AD, *_SEGMENTS, *_KEYWORD, *METRICS),
    "ad_group_criterion": (
        *_GROUP,
        "ad_group_criterion.criterion_id",
        "ad_group_criterion.status",
        "ad_group_criterion.type",
        "ad_group_criterion.negative",
        "ad_group_criterion.keyword.text",
        "ad_group_criterion.keyword.match_type",
    ),
    "search_term_view": (
        *_GROUP,
        *_SEGMENTS,
        *_KEYWORD,
        "search_term_view.search_term",
        "segments.search_term_match_type",
        *METRICS,
    ),
    "click_view": (
        *_GROUP,
        *_SEGMENTS,
        "segments.click_type",
        "click_view.gclid",
        "click_view.ad_group_ad",
        "click_view.keyword",
        "click_view.keyword_info.text",
        "click_view.keyword_info.match_type",
        "metrics.clicks",
    ),
}
Row = dict[str, Any]


class ApiError(Exception):
    """An error as Google words it: HTTP status, its name, kind and code."""

    def __init__(self, status: int, kind: str, code: str, text: str, **more: Any):
        super().__init__(text)
        self.status, self.kind, self.code, self.text = status, kind, code, text
        self.more = more

    def content(self, version: str = "v25") -> dict[str, Any]:
        """The error object."""
        names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED"}
        names |= {403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED"}
        detail = {
            "@type": "type.googleapis.com/google.ads.googleads."
            f"{version}.errors.GoogleAdsFailure",
            "errors": [
                {
                    "errorCode": {self.kind: self.code},
                    "message": self.text,
                    **({"details": self.more} if self.more else {}),
                }
            ],
            "requestId": "simulated",
        }
        error = {
            "code": self.status,
            "message": self.text,
            "status": names.get(self.status, "INTERNAL"),
            "details": [detail],
        }
        return {"error": error}


def temporarily_exhausted() -> ApiError:
    """Too many requests a second."""
    return ApiError(
        429,
        "quotaError",
        "RESOURCE_TEMPORARILY_EXHAUSTED",
        "Too many requests. Retry in 2 seconds.",
        quotaErrorDetails={
            "rateScope": "ACCOUNT",
            "rateName": "Queries per second",
            "retryDelay": "2s",
        },
    )


class Simulator(Face):
    """Answers as googleads.googleapis.com would for the firm's one account.

    `with_summary` False leaves the summary row out, as older versions of a report may.
    """

    branch = "spb"
    zone_reason = "figures come by civil days of the account, without a moment"

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self.desk: TokenDesk = TokenDesk(options, "google_ads")
        self.with_summary = True
        self._limit = RateLimit(REQUESTS_PER_SECOND, seconds=1)
        self._lock = threading.Lock()
        self._tables: tuple[int, dict[str, Any]] = (0, {})

    # ------------------------------------------------------------------ answers

    def handle(self, request: Request) -> Response:
        """One vendor answer to one request."""
        if request.path == "/token":
            return self.desk.answer(request)
        path = _PATH.fullmatch(request.path)
        if path is None or path[1] not in VERSIONS or request.method != "POST":
            page = "<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title></html>"
            return text_response(page, 404, content_type="text/html; charset=UTF-8")
        version, customer, method = path.groups()
        try:
            self._admit(request, customer)
            body = request.json()
            if not isinstance(body, dict) or not isinstance(body.get("query"), str):
                raise _bad("requestError", "REQUIRED_FIELD_MISSING", "query")
            fields, rows, summary = self._run(body["query"])
            if method == "search":
                content: Any = self._page(body, fields, rows, summary)
            else:
                content = self._chunks(body, fields, rows, summary)
        except ApiError as error:
            wrong = error.content(version)
            streamed = method == "searchStream"
            return json_response([wrong] if streamed else wrong, error.status)
        return json_response(content, headers={"request-id": "simulated"})

    def unauthorized(self, request: Request) -> Response:
        """The answer to an access token that has run out."""
        error = ApiError(
            401,
            "authenticationError",
            "OAUTH_TOKEN_EXPIRED",
            "Request had invalid authentication credentials.",
        ).content()
        streamed = request.path.endswith("searchStream")
        return json_response([error] if streamed else error, 401)

    def _admit(self, request: Request, customer: str) -> None:
        if not self.desk.accepts(request):
            raise ApiError(
                401,
                "authenticationError",
                "OAUTH_TOKEN_INVALID",
                "Request had invalid authentication credentials.",
            )
        token = request.headers.get("developer-token", "")
        if not token.startswith(self.options.token("google_ads")):
            raise ApiError(
                401,
                "authenticationError",
                "DEVELOPER_TOKEN_INVALID",
                "The developer token is not valid.",
            )
        login = request.headers.get("login-customer-id")
        if not (customer.isdigit() and (login is None or login.isdigit())):
            raise _bad("requestError", "INVALID_CUSTOMER_ID", "Invalid customer ID")
        if customer == MANAGER_ID:
            raise _bad(
                "queryError",
                "REQUESTED_METRICS_FOR_MANAGER",
                "Metrics cannot be requested for a manager account.",
            )
        if customer != CUSTOMER_ID or login != MANAGER_ID:
            raise ApiError(
                403,
                "authorizationError",
                "USER_PERMISSION_DENIED",
                "User doesn't have permission to access customer. Note: If you're "
                "accessing a client customer, the manager's customer id must be set "
                "in the 'login-customer-id' header.",
            )
        if self.options.rate_limits and self._limit.is_exceeded():
            raise temporarily_exhausted()

    def _chunks(
        self, body: Row, fields: list[str], rows: list[Row], summary: Row | None
    ) -> list[Row]:
        size = self.options.rows_per_page("google_ads", PAGE)
        envelope = self._envelope(fields)
        chunks = [
            {"results": rows[start : start + size], **envelope}
            for start in range(0, len(rows), size)
        ] or [dict(envelope)]
        asked = body.get("summaryRowSetting", "NO_SUMMARY_ROW")
        if asked == "SUMMARY_ROW_WITH_RESULTS" and self.with_summary and summary:
            chunks.append({"summaryRow": summary, **envelope})
        return chunks

    def _page(
        self, body: Row, fields: list[str], rows: list[Row], summary: Row | None
    ) -> Row:
        if "pageSize" in body:
            raise _bad("requestError", "PAGE_SIZE_NOT_SUPPORTED", "pageSize")
        settings = body.get("searchSettings") or {}
        size = self.options.rows_per_page("google_ads", PAGE)
        start = _offset(body.get("pageToken"), body["query"])
        page: Row = {}
        if not settings.get("omitResults") and rows[start : start + size]:
            page["results"] = rows[start : start + size]
        if not settings.get("omitResults") and start + size < len(rows):
            page["nextPageToken"] = _page_token(start + size, body["query"])
        if settings.get("returnTotalResultsCount") and rows:
            page["totalResultsCount"] = str(len(rows))
        if settings.get("returnSummaryRow") and summary:
            page["summaryRow"] = summary
        return {**page, **self._envelope(fields)}

    def _envelope(self, fields: list[str]) -> Row:
        mask = ",".join(_camel(field) for field in fields)
        return {"fieldMask": mask, "requestId": "simulated"}

    # ------------------------------------------------------------------ queries

    def _run(self, query: str) -> tuple[list[str], list[Row], Row | None]:
        found = _QUERY.fullmatch(query)
        if found is None:
            raise _bad("queryError", "UNEXPECTED_INPUT", "The query is malformed")
        fields = [name.strip() for name in found[1].split(",")]
        resource, conditions = found[2], _conditions(found[3] or "")
        known = FIELDS.get(resource)
        if known is None:
            raise _bad("queryError", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", resource)
        for name in [*fields, *(name for name, _, _ in conditions)]:
            if name not in known:
                raise _bad(
                    "queryError",
                    "UNRECOGNIZED_FIELD",
                    f"Unrecognized fields in the query: '{name}'.",
                )
        days = self._days(resource, fields, conditions)
        metrics = [name for name in fields if name in METRICS]
        dimensions = [name for name in fields if name not in METRICS]
        wants_keyword = any(name in _KEYWORD for name in fields)
        sums: dict[tuple[str, ...], list[int]] = {}
        values: dict[tuple[str, ...], Row] = {}
        for row in self._facts(resource, days):
            if wants_keyword and "segments.keyword.ad_group_criterion" not in row:
                continue  # segmenting by keyword drops what had none
            if not all(_holds(row, each) for each in conditions):
                continue
            key = tuple(str(row.get(name)) for name in dimensions)
            values.setdefault(key, row)
            total = sums.setdefault(key, [0] * len(metrics))
            for place, name in enumerate(metrics):
                total[place] += row.get(name, 0)
        results, totals = [], [0] * len(metrics)
        segmented = any(name.startswith("segments.") for name in fields)
        for key, total in sums.items():
            if metrics and segmented and not any(total):
                continue
            flat = {name: values[key].get(name) for name in dimensions}
            flat |= {n: str(value) for n, value in zip(metrics, total, strict=True)}
            results.append(_nested(flat))
            totals = [a + b for a, b in zip(totals, total, strict=True)]
        summary = None
        if metrics:
            pairs = zip(metrics, totals, strict=True)
            summary = _nested({name: str(value) for name, value in pairs})
        return fields, results, summary

    def _days(
        self, resource: str, fields: list[str], conditions: list[Condition]
    ) -> tuple[date, date] | None:
        asked = [(op, given) for name, op, given in conditions if name == _SEGMENTS[0]]
        if not asked:
            if resource in ("click_view", "search_term_view") or _SEGMENTS[0] in fields:
                raise _bad(
                    *("queryError", "EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE"),
                    "segments.date must be filtered",
                )
            return None
        try:
            days = [date.fromisoformat(each) for each in asked[0][1]]
        except ValueError:
            raise _bad("dateError", "INVALID_STRING_DATE", "not a date") from None
        first, last = days[0], days[-1]
        if resource == "click_view":
            if first != last:
                raise _bad(
                    "clickViewError",
                    "EXPECTED_FILTER_ON_A_SINGLE_DAY",
                    "The query must filter segments.date on a single day",
                )
            oldest = moscow_day(self.options.now) - timedelta(days=CLICK_DAYS)
            if first <= oldest:
                raise _bad("clickViewError", "DATE_TOO_OLD", "The date is too old")
        return first, last

    def _facts(self, resource: str, days: tuple[date, date] | None) -> Iterator[Row]:
        tables = self._known()
        if days is None:
            yield from tables[resource]
            return
        level = resource if resource in ("click_view", "search_term_view") else "costs"
        below = resource in ("ad_group", "ad_group_ad")
        by_day = tables[level]
        for day in sorted(d for d in by_day if days[0] <= d <= days[1]):
            for row in by_day[day]:
                kind = row["campaign.advertising_channel_type"]
                if not (below and kind in WITHOUT_ADS):
                    yield row

    def _known(self) -> dict[str, Any]:
        """What the account knows now; kept until the clock moves."""
        view = self.view
        with self._lock:
            if self._tables[0] != id(view):
                self._tables = (id(view), _tables(view))
                self._kept = view  # so that its id is not given again
            return self._tables[1]


Condition = tuple[str, str, list[str]]


def _tables(view: World) -> dict[str, Any]:
    """Everything by resource: lists, and figures by day, as flat rows."""
    customer: Row = {
        "customer.id": CUSTOMER_ID,
        "customer.descriptive_name": view.site,
        "customer.time_zone": "Europe/Moscow",
        "customer.currency_code": "RUB",
    }
    campaigns, groups, ads, keywords = {}, {}, {}, {}
    for c in view.campaigns:
        if c.platform == "google_ads":
            campaigns[c.campaign_id] = {
                **customer,
                "campaign.id": str(c.campaign_id),
                "campaign.name": c.name,
                "campaign.status": "ENABLED" if c.state == "ON" else "PAUSED",
                "campaign.advertising_channel_type": _channel_type(c.type, c.network),
            }
    for g in view.ad_groups:
        if g.campaign_id in campaigns:
            campaign = campaigns[g.campaign_id]
            kind = campaign["campaign.advertising_channel_type"]
            groups[g.ad_group_id] = {
                **campaign,
                "ad_group.id": str(g.ad_group_id),
                "ad_group.name": g.name,
                "ad_group.status": "ENABLED",
                "ad_group.type": f"{kind}_STANDARD",
            }
    for a in view.ads:
        if a.ad_group_id in groups:
            kind = groups[a.ad_group_id]["campaign.advertising_channel_type"]
            ads[a.ad_id] = {
                **groups[a.ad_group_id],
                "ad_group_ad.status": "ENABLED",
                "ad_group_ad.ad.id": str(a.ad_id),
                "ad_group_ad.ad.type": f"RESPONSIVE_{kind}_AD",
                "ad_group_ad.ad.final_urls": [a.href.partition("?")[0]],
            }
    for k in view.keywords:
        if k.ad_group_id in groups:
            keywords[k.keyword_id] = {
                **groups[k.ad_group_id],
                "ad_group_criterion.criterion_id": str(k.keyword_id),
                "ad_group_criterion.status": "ENABLED",
                "ad_group_criterion.type": "KEYWORD",
                "ad_group_criterion.negative": False,
                "ad_group_criterion.keyword.text": k.text,
                "ad_group_criterion.keyword.match_type": k.match_type or "BROAD",
            }

    def fact(row: Any) -> Row:
        found = ads.get(row.ad_id) or groups.get(row.ad_group_id)
        base = found or campaigns[row.campaign_id]
        return {**base, **_segments(row), **_keyword(row, keywords)}

    costs, terms, clicks = _by_day(), _by_day(), _by_day()
    for cost in view.ad_costs:
        if cost.platform == "google_ads":
            costs[cost.date].append({**fact(cost), **_figures(cost)})
    for term in view.search_terms("google_ads"):
        match = "EXACT" if term.query == term.criterion else "NEAR_PHRASE"
        extra = {
            "search_term_view.search_term": term.query,
            "segments.search_term_match_type": match,
        }
        terms[term.date].append({**fact(term), **_figures(term), **extra})
    for click in view.clicks:
        row = {**ads[click.ad_id], **_segments(click)}
        group, ad = click.ad_group_id, click.ad_id
        row |= {
            "segments.click_type": "URL_CLICKS",
            "click_view.gclid": click.click_id,
            "click_view.ad_group_ad": _name("adGroupAds", f"{group}~{ad}"),
            "metrics.clicks": 1,
        }
        if click.keyword_id is not None:
            info = keywords.get(click.keyword_id, {})
            row |= {
                "click_view.keyword": _name(
                    "adGroupCriteria", f"{group}~{click.keyword_id}"
                ),
                "click_view.keyword_info.text": click.keyword,
                "click_view.keyword_info.match_type": info.get(
                    "ad_group_criterion.keyword.match_type", "BROAD"
                ),
            }
        clicks[click.date].append(row)
    return {
        "customer": [customer],
        "campaign": list(campaigns.values()),
        "ad_group": list(groups.values()),
        "ad_group_ad": list(ads.values()),
        "ad_group_criterion": list(keywords.values()),
        "costs": costs,
        "search_term_view": terms,
        "click_view": clicks,
    }


def _by_day() -> dict[date, list[Row]]:
    return defaultdict(list)


def _figures(row: Any) -> Row:
    return {
        "metrics.impressions": row.impressions,
        "metrics.clicks": row.clicks,
        "metrics.cost_micros": row.cost_kopecks * 10_000,
    }


def _segments(row: Any) -> Row:
    """Day, device and network; partners and YouTube have a small steady share."""
    criterion = getattr(row, "criterion_id", None) or getattr(row, "keyword_id", None)
    mark = f"{row.date} {row.ad_id} {criterion} {row.device}"
    few = zlib.crc32(mark.encode()) % 8 == 0
    if row.network == "SEARCH":
        network = "SEARCH_PARTNERS" if few else "SEARCH"
    else:
        network = "YOUTUBE" if few else "CONTENT"
    return {
        "segments.date": row.date.isoformat(),
        "segments.device": row.device,
        "segments.ad_network_type": network,
    }


def _keyword(row: Any, keywords: dict[int, Row]) -> Row:
    """What matched; films on YouTube are shown to audiences, not for keywords."""
    info = keywords.get(row.criterion_id or 0)
    if info is None or _segments(row)["segments.ad_network_type"] == "YOUTUBE":
        return {}
    return {
        "segments.keyword.ad_group_criterion": _name(
            "adGroupCriteria", f"{row.ad_group_id}~{row.criterion_id}"
        ),
        "segments.keyword.info.text": info["ad_group_criterion.keyword.text"],
        "segments.keyword.info.match_type": info[
            "ad_group_criterion.keyword.match_type"
        ],
    }


def _channel_type(kind: str, network: str) -> str:
    known = ("SEARCH", "DISPLAY", "VIDEO", "DEMAND_GEN", *WITHOUT_ADS)
    return kind if kind in known else network


def _name(kind: str, rest: str) -> str:
    return f"customers/{CUSTOMER_ID}/{kind}/{rest}"


def _bad(kind: str, code: str, text: str) -> ApiError:
    return ApiError(400, kind, code, text)


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


def _nested(flat: Row) -> Row:
    """{"campaign.id": "1"} as {"campaign": {"id": "1"}}; what is empty is left out."""
    row = _unflat({_camel(n): v for n, v in flat.items() if v not in (None, "")})
    if "campaign" in row and "id" in row["campaign"]:
        name = f"customers/{CUSTOMER_ID}/campaigns/{row['campaign']['id']}"
        row["campaign"] = {"resourceName": name, **row["campaign"]}
    return row


def _conditions(text: str) -> list[Condition]:
    found, end = [], 0
    for match in _CONDITION.finditer(text):
        if match.start() != end:
            break
        end = match.end()
        values = re.findall(r"'([^']*)'", match[3])
        found.append((match[1], match[2].upper(), values))
    if end != len(text):
        raise _bad("queryError", "UNEXPECTED_INPUT", f"Error in WHERE: {text[end:]}")
    return found


def _holds(row: Row, condition: Condition) -> bool:
    name, operator, values = condition
    value = row.get(name)
    if operator == "BETWEEN":
        return values[0] <= str(value) <= values[1]
    return (value in values) == (operator != "NOT IN")


def _page_token(start: int, query: str) -> str:
    mark = f"{start}:{zlib.crc32(query.encode())}"
    return base64.urlsafe_b64encode(mark.encode()).decode()


def _offset(token: Any, query: str) -> int:
    if not token:
        return 0
    try:
        start, _, mark = base64.urlsafe_b64decode(str(token)).decode().partition(":")
        if int(mark) == zlib.crc32(query.encode()):
            return int(start)
    except ValueError:
        pass
    raise _bad("requestError", "INVALID_PAGE_TOKEN", "The page token is invalid")


def change_records(content: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    """Apply `change` to each record of an answer, given flat (`campaign.id`)."""
    content = json.loads(json.dumps(content))
    chunks = content if isinstance(content, list) else [content]
    for chunk in chunks:
        rows: list[Row] = chunk.get("results", []) if isinstance(chunk, dict) else []
        for at, row in enumerate(rows):
            flat = dict(_leaves(row))
            change(flat)
            rows[at] = _unflat(flat)
    return content


def _unflat(flat: Row) -> Row:
    row: Row = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        place = row
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return row


def _leaves(row: Row, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        elif name != "resourceName":
            yield prefix + name, value
