"""The calls journal as Calltouch would give it for the simulated company.

Speaks `GET /calls-service/RestAPI/{siteId}/calls-diary/calls` in both of its shapes,
with its limits, its help page for any other path, and its traps: several ways to say
"nothing", and a 12-hour clock without AM or PM in `sessionDate`.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from simulator.face import (
    Face,
    RateLimit,
    Request,
    Response,
    json_response,
    text_response,
)
from simulator.world import MOSCOW, moscow_day

if TYPE_CHECKING:
    from simulator.face import Options
    from simulator.world import Call, World

LARGEST_PAGE = 1000
REQUESTS_PER_SECOND = 5
NOT_GIVEN = "<не указано>"
NOT_FILLED = "<не заполнено>"
_PATH = re.compile(r"/calls-service/RestAPI/(\d+)/calls-diary/calls/?")
_TRUE = {"1", "true"}
_DEVICES = {"DESKTOP": "desktop", "MOBILE": "smartphone", "TABLET": "tablet"}


class ApiError(Exception):
    """An answer that is no journal."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.response = json_response(
            {"errorCode": status, "message": message},
            status,
            {name.replace("_", "-"): value for name, value in headers.items()},
        )


class Simulator(Face):
    """Answers as api.calltouch.ru would for the simulated cabinet."""

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self._limit = RateLimit(REQUESTS_PER_SECOND, seconds=1)

    def handle(self, request: Request) -> Response:
        """One request to the journal; any other path leads to the help page."""
        path = _PATH.fullmatch(request.path)
        if path is None:
            if request.path.startswith("/support"):
                page = "<!DOCTYPE html><html><body><h1>Помощь</h1></body></html>"
                return text_response(page, content_type="text/html; charset=utf-8")
            return Response(302, {"Location": "https://www.calltouch.ru/support/"})
        try:
            self._hold_limit()
            if request.method != "GET":
                raise ApiError(405, "Method Not Allowed")
            if request.param("clientApiId") != self.options.token("calltouch"):
                return self.unauthorized(request)
            if int(path[1]) != self.world.site_id:
                raise ApiError(403, f"No access to site {path[1]}")
            return json_response(self._journal(request))
        except ApiError as error:
            return error.response

    def unauthorized(self, request: Request) -> Response:
        """The answer to a token that is wrong or was withdrawn."""
        return json_response({"errorCode": 401, "message": "Wrong clientApiId"}, 401)

    def _hold_limit(self) -> None:
        if self.options.rate_limits and self._limit.is_exceeded():
            raise ApiError(429, "Too many requests", Retry_After="1")

    def _journal(self, request: Request) -> Any:
        first = _day(request, "dateFrom")
        last = _day(request, "dateTo")
        if first > last:
            raise ApiError(400, "dateFrom is later than dateTo")
        flags = {
            name
            for name in request.query
            if (request.param(name) or "").lower() in _TRUE
        }
        calls = [
            call
            for call in self.view.calls
            if first <= moscow_day(call.at) <= last
            and (call.unique or "uniqueOnly" not in flags)
            and (call.target or "targetOnly" not in flags)
            and (call.unique_target or "uniqTargetOnly" not in flags)
            and (call.callback or "callbackOnly" not in flags)
        ]
        if request.param("page") is None and request.param("limit") is None:
            if first != last:
                raise ApiError(400, "Without page and limit dateFrom must equal dateTo")
            return [self._record(call, flags) for call in calls]
        number = _whole(request, "page", 1)
        asked = _whole(request, "limit", LARGEST_PAGE)
        size = min(asked, self.options.rows_per_page("calltouch", LARGEST_PAGE))
        start = (number - 1) * size
        return {
            "page": number,
            "pageTotal": max(1, -(-len(calls) // size)),
            "pageSize": size,
            "recordsTotal": len(calls),
            "records": [self._record(c, flags) for c in calls[start : start + size]],
        }

    def _record(self, call: Call, flags: set[str]) -> dict[str, Any]:
        in_visit = call.visit_id is not None
        mark = hashlib.blake2b(str(call.call_id).encode(), digest_size=16).hexdigest()
        seen_at = call.session_at or call.at
        nothing = NOT_GIVEN if in_visit else NOT_FILLED
        site = urlsplit(self.world.site).hostname
        direct = None
        if "withYandexDirect" in flags and call.direct_campaign_id is not None:
            direct = {
                "campaignId": call.direct_campaign_id,
                "adGroupId": call.direct_ad_group_id,
                "adId": call.direct_ad_id,
                "criteriaId": call.direct_keyword_id,
            }
        comments = None
        if "withComments" in flags and call.comment:
            comments = [
                {
                    "commentId": call.call_id % 10**6,
                    "comment": call.comment,
                    "partyId": 1,
                    "partyName": call.manager or "",
                }
            ]
        return {
            "callId": call.call_id,
            "callphase": "calldisconnected",
            "attribution": 1,
            "callTags": _tags(call) if "withCallTags" in flags else [],
            "date": f"{call.at.astimezone(MOSCOW):%d/%m/%Y %H:%M:%S}",
            "duration": call.duration_s,
            "callerNumber": call.caller_number,
            "redirectNumber": call.redirect_number,
            "phoneNumber": call.phone_number,
            "manager": call.manager,
            "successful": call.successful,
            "uniqueCall": call.unique,
            "targetCall": call.target,
            "uniqTargetCall": call.unique_target,
            "callbackCall": call.callback,
            "city": call.city,
            "source": call.source,
            "medium": call.medium,
            "keyword": call.keyword or NOT_GIVEN,
            "url": call.url,
            "callUrl": call.url,
            "ref": call.ref,
            "hostname": site if in_visit else None,
            "utmSource": call.utm_source or nothing,
            "utmMedium": call.utm_medium or nothing,
            "utmCampaign": call.utm_campaign or nothing,
            "utmContent": call.utm_content or nothing,
            "utmTerm": call.utm_term or nothing,
            "sessionId": call.session_id,
            "ctCallerId": mark,
            # Google's cookie is not the counter's; the same visitor has both.
            "clientId": _google_id(call.client_id),
            "yaClientId": call.client_id,
            "sipCallId": f"{mark[:8]}-{mark[8:12]}-123d-{mark[12:16]}-{mark[16:28]}",
            "userAgent": "Mozilla/5.0 (simulated)" if in_visit else None,
            "ip": f"192.0.2.{call.call_id % 250}" if in_visit else None,
            "waitingConnect": call.wait_s,
            "callReferenceId": f"{int(call.at.timestamp())}.{call.call_id % 10**5:05d}",
            "mapVisits": None,
            "attrs": None,
            "comments": comments,
            "phrases": None,
            "additionalTags": [],
            "callClientUniqueId": None,
            "device": _DEVICES.get(call.device or "", call.device),
            "os": None,
            "browser": None,
            "timestamp": int(call.at.timestamp()),
            # Twelve hours and no AM or PM, as the vendor prints it.
            "sessionDate": f"{seen_at.astimezone(MOSCOW):%d/%m/%Y %I:%M:%S}"
            if in_visit
            else None,
            "orders": [],
            "order": None,
            "yandexDirect": direct,
            "googleAdWords": None,
            "siteId": self.world.site_id,
            "siteName": site,
            "callbackInfo": None,
            "ctClientId": 8 * 10**17 + (call.session_id or 0) if in_visit else None,
            "dcm": None,
            "phonesInText": None,
            "ctGlobalId": None,
            "subPoolName": call.pool_name,
            "statusDetails": "Connected. The disconnect came from the callers side"
            if call.successful
            else "No answer",
            "customFields": None,
        }


def _tags(call: Call) -> list[dict[str, Any]]:
    kinds = [("AUTO-PN", list(call.tags))]
    if call.callback:
        kinds.append(("AUTO-CT", ["Обратный звонок с формы"]))
    return [
        {"category": "", "type": kind, "names": names} for kind, names in kinds if names
    ]


def _google_id(client_id: str | None) -> str | None:
    if client_id is None:
        return None
    number = int(hashlib.blake2b(client_id.encode(), digest_size=4).hexdigest(), 16)
    return f"{number}.{client_id[:10]}"


def _day(request: Request, name: str) -> date:
    text = request.param(name) or ""
    try:
        return datetime.strptime(text, "%d/%m/%Y").date()  # noqa: DTZ007 - a civil day
    except ValueError:
        raise ApiError(400, f"{name} must be dd/mm/yyyy") from None


def _whole(request: Request, name: str, most: int) -> int:
    text = request.param(name)
    value = int(text) if text and text.isascii() and text.isdigit() else 0
    if value < 1 or (name == "limit" and value > most):
        raise ApiError(400, f"{name} must be a whole number from 1")
    return value
