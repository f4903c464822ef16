"""The Analytics Data API as it would answer for the simulated firm's property.

Speaks `POST /token` (OAuth) and `POST /v1beta/properties/{id}:runReport`: dimensions,
metrics, date ranges, order, limit and offset; all values are text. `metadata` takes
what a test puts in (sampling, thresholding).
"""

from __future__ import annotations

import json
import re
import threading
import zlib
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from simulator.face import (
    Face,
    RateLimit,
    Request,
    Response,
    TokenDesk,
    json_response,
    text_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from simulator.face import Options
    from simulator.world import Visit, World

PROPERTY_ID = "310000021"
LARGEST_PAGE = 250_000
PAGE = 10_000
MOST_DIMENSIONS = 9
MOST_METRICS = 10
REQUESTS_PER_SECOND = 10
PROCESSING = timedelta(hours=36)

_PATH = re.compile(r"/v1beta/properties/(\d+):runReport")
_FLOATS = {"keyEvents"}
_NOT_SET = "(not set)"


class ApiError(Exception):
    """An error as Google words it."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        error = {"code": code, "message": message, "status": status}
        self.response = json_response({"error": error}, code)


class Simulator(Face):
    """Answers as analyticsdata.googleapis.com would for the firm's one property.

    `metadata` goes into each answer beside the currency and the zone.
    """

    branch = "spb"
    zone_reason = (
        "sums of days have the day in their key, so another zone makes other rows; "
        "test_ga4.py holds days of 23 and 25 hours"
    )

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self.desk: TokenDesk = TokenDesk(options, "ga4")
        self.metadata: dict[str, Any] = {}
        self._limit = RateLimit(REQUESTS_PER_SECOND, seconds=1)
        self._lock = threading.Lock()
        self._known: tuple[World | None, list[tuple[Visit, dict[str, str]]]]
        self._known = (None, [])

    def handle(self, request: Request) -> Response:
        """One vendor answer to one request."""
        if request.path == "/token":
            return self.desk.answer(request)
        path = _PATH.fullmatch(request.path)
        if path is None or request.method != "POST":
            page = "<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title></html>"
            return text_response(page, 404, content_type="text/html; charset=UTF-8")
        if not self.desk.accepts(request):
            return self.unauthorized(request)
        try:
            if self.options.rate_limits and self._limit.is_exceeded():
                raise ApiError(
                    429,
                    "RESOURCE_EXHAUSTED",
                    "Exhausted concurrent requests quota. Please try again.",
                )
            if path[1] != PROPERTY_ID:
                raise ApiError(
                    403,
                    "PERMISSION_DENIED",
                    "User does not have sufficient permissions for this property.",
                )
            return json_response(self._report(request.json()))
        except ApiError as error:
            return error.response
        except (KeyError, TypeError, ValueError) as error:
            wrong = ApiError(400, "INVALID_ARGUMENT", f"Invalid request: {error}")
            return wrong.response

    def unauthorized(self, request: Request) -> Response:
        """The answer to an access token that has run out."""
        del request
        return ApiError(
            401, "UNAUTHENTICATED", "Request had invalid authentication credentials."
        ).response

    def _report(self, asked: dict[str, Any]) -> dict[str, Any]:
        dimensions = [each["name"] for each in asked.get("dimensions", [])]
        metrics = [each["name"] for each in asked["metrics"]]
        if len(dimensions) > MOST_DIMENSIONS or len(metrics) > MOST_METRICS:
            raise ApiError(400, "INVALID_ARGUMENT", "Too many dimensions or metrics")
        unknown = [n for n in dimensions if n not in _DIMENSIONS]
        unknown += [n for n in metrics if n not in _METRICS]
        if unknown:
            raise ApiError(
                400, "INVALID_ARGUMENT", f"Field {unknown[0]} is not a valid field."
            )
        limit, offset = int(asked.get("limit", PAGE)), int(asked.get("offset", 0))
        if not 1 <= limit <= LARGEST_PAGE or offset < 0:
            raise ApiError(400, "INVALID_ARGUMENT", "limit or offset is out of range")
        limit = self.options.rows_per_page("ga4", limit)
        groups: dict[tuple[str, ...], list[Visit]] = {}
        for each in asked["dateRanges"]:
            first = date.fromisoformat(each["startDate"])
            last = date.fromisoformat(each["endDate"])
            if first > last:
                raise ApiError(400, "INVALID_ARGUMENT", "endDate is before startDate")
            for visit, values in self._visits():
                if first <= date.fromisoformat(values["date"]) <= last:
                    key = tuple(values[name] for name in dimensions)
                    groups.setdefault(key, []).append(visit)
        keys = list(groups)
        for order in reversed(asked.get("orderBys", [])):
            place = dimensions.index(order["dimension"]["dimensionName"])
            keys.sort(key=lambda key, at=place: key[at])  # type: ignore[misc]
        rows = [
            {
                "dimensionValues": [{"value": value} for value in key],
                "metricValues": [
                    {"value": str(_METRICS[name](groups[key]))} for name in metrics
                ],
            }
            for key in keys[offset : offset + limit]
        ]
        content: dict[str, Any] = {
            "dimensionHeaders": [{"name": name} for name in dimensions],
            "metricHeaders": [
                {
                    "name": name,
                    "type": "TYPE_FLOAT" if name in _FLOATS else "TYPE_INTEGER",
                }
                for name in metrics
            ],
        }
        if not dimensions:
            del content["dimensionHeaders"]
        if rows:
            content["rows"] = rows
        if keys:
            content["rowCount"] = len(keys)
        content["metadata"] = {
            "currencyCode": "RUB",
            "timeZone": self.options.time_zone,
            **self.metadata,
        }
        content["kind"] = "analyticsData#runReport"
        if asked.get("returnPropertyQuota"):
            spent = {"consumed": 3, "remaining": 199_000}
            content["propertyQuota"] = {"tokensPerDay": spent}
        return content

    def _visits(self) -> list[tuple[Visit, dict[str, str]]]:
        """Each visit with its dimensions; kept until the clock moves."""
        view, zone = self.view, ZoneInfo(self.options.time_zone)
        with self._lock:
            if self._known[0] is not view:
                self._known = (
                    view,
                    [
                        (visit, dimensions_of(visit, view.now, zone))
                        for visit in view.visits
                    ],
                )
            return self._known[1]


def dimensions_of(visit: Visit, now: datetime, zone: ZoneInfo) -> dict[str, str]:
    """A visit's session as Google names where it came from, at this moment.

    Some are known a day and a half later only; until then their source is not set.
    """
    source, medium, campaign = _origin(visit)
    is_late = zlib.crc32(str(visit.visit_id).encode()) % 3 == 0
    if is_late and now - visit.started_at < PROCESSING:
        source = medium = campaign = _NOT_SET
    began_at = visit.started_at.astimezone(zone)
    return {
        "date": f"{began_at:%Y%m%d}",
        "sessionSource": source,
        "sessionMedium": medium,
        "sessionCampaignName": campaign,
        "sessionDefaultChannelGroup": channel_group(source, medium),
        "deviceCategory": visit.device.lower(),
        "landingPage": urlsplit(visit.start_url).path or _NOT_SET,
        "hour": f"{began_at:%H}",
    }


def _origin(visit: Visit) -> tuple[str, str, str]:
    """(source, medium, campaign): a click id, else tags, else the referrer."""
    if visit.gclid:
        return "google", "cpc", visit.utm_campaign or _NOT_SET
    if visit.utm_source:
        campaign = visit.utm_campaign or _NOT_SET
        return visit.utm_source, visit.utm_medium or _NOT_SET, campaign
    host = (urlsplit(visit.referer).hostname or "").removeprefix("www.")
    if not host:
        return "(direct)", "(none)", "(direct)"
    for engine in ("google", "yandex", "bing", "mail"):
        if host.split(".")[0] == engine:
            return engine, "organic", "(organic)"
    return host, "referral", "(referral)"


def channel_group(source: str, medium: str) -> str:
    """Google's default channel groups, as far as this firm's tags need them."""
    social = ("vk", "facebook", "instagram", "telegram", "ok")
    if medium == "(none)":
        return "Direct"
    if medium in ("cpc", "ppc", "paid", "paid_social", "cpm"):
        if source.partition(".")[0] in social:
            return "Paid Social"
        return "Paid Search" if source in ("google", "yandex") else "Paid Other"
    if medium == "organic":
        return "Organic Search"
    if medium == "email":
        return "Email"
    if medium in ("social", "messenger") or source.partition(".")[0] in social:
        return "Organic Social"
    return "Referral" if medium == "referral" else "Unassigned"


_DIMENSIONS = {
    "date",
    "sessionSource",
    "sessionMedium",
    "sessionCampaignName",
    "sessionDefaultChannelGroup",
    "deviceCategory",
    "landingPage",
    "hour",
}
_METRICS: dict[str, Callable[[list[Visit]], int]] = {
    "sessions": len,
    "engagedSessions": lambda visits: sum(
        v.duration_s >= 10 or v.page_views >= 2 or bool(v.goal_ids) for v in visits
    ),
    "totalUsers": lambda visits: len({v.ga_client_id or v.client_id for v in visits}),
    "screenPageViews": lambda visits: sum(v.page_views for v in visits),
    "keyEvents": lambda visits: sum(len(v.goal_ids) for v in visits),
}


def change_records(content: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    """Apply `change` to each record of an answer, given with its columns' names.

    A report has the same columns in all rows: they become those of the last record.
    """
    content = json.loads(json.dumps(content))
    if not isinstance(content, dict) or not content.get("rows"):
        return content
    names = [each["name"] for each in content.get("dimensionHeaders", [])]
    metrics = [each["name"] for each in content.get("metricHeaders", [])]
    for row in content["rows"]:
        cells = [*row.get("dimensionValues", []), *row["metricValues"]]
        record = dict(
            zip([*names, *metrics], [cell["value"] for cell in cells], strict=True)
        )
        change(record)
        kept = [name for name in record if name not in metrics]
        sums = [name for name in metrics if name in record]
        row["dimensionValues"] = [{"value": record[name]} for name in kept]
        row["metricValues"] = [{"value": record[name]} for name in sums]
        content["dimensionHeaders"] = [{"name": name} for name in kept]
        content["metricHeaders"] = [{"name": name} for name in sums]
    return content
