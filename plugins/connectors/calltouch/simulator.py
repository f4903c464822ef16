"""The journals as Calltouch would give them for the simulated company.

Speaks `GET /calls-service/RestAPI/{siteId}/calls-diary/calls` in both of its shapes,
`/{siteId}/orders-diary/orders` and `/requests`, with its limits, its help page for any
other path, and its traps: several ways to say "nothing", months before days in one
journal only, and a 12-hour clock without AM or PM in `sessionDate`.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from connectors.calltouch.streams import clean
from simulator.face import (
    Face,
    RateLimit,
    Request,
    Response,
    json_response,
    text_response,
)
from simulator.world import roubles

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.face import Options
    from simulator.world import Call, Deal, Message, Visit, World

LARGEST_PAGE = 1000
REQUESTS_PER_SECOND = 5
NOT_GIVEN = "<не указано>"
NOT_FILLED = "<не заполнено>"
_PATH = re.compile(
    r"/calls-service/RestAPI/(?:(\d+)/(calls-diary/calls|orders-diary/orders)|requests)/?"
)
_TRUE = {"1", "true"}
_WRITTEN = {"%d/%m/%Y": "dd/mm/yyyy", "%m/%d/%Y": "mm/dd/yyyy"}
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
        """One request to a journal; any other path leads to the help page."""
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
            site = path[1] or request.param("siteId") or ""
            if site != str(self.world.site_id):
                raise ApiError(403, f"No access to site {site}")
            if path[2] is None:
                return json_response(self._requests(request))
            if path[2] == "orders-diary/orders":
                return json_response(self._orders(request))
            return json_response(self._journal(request))
        except ApiError as error:
            return error.response

    def unauthorized(self, request: Request) -> Response:
        """The answer to a token that is wrong or was withdrawn."""
        return json_response({"errorCode": 401, "message": "Wrong clientApiId"}, 401)

    @property
    def zone(self) -> ZoneInfo:
        """The cabinet's own time zone: of its days and of what it prints."""
        return ZoneInfo(self.options.time_zone)

    def _day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def _hold_limit(self) -> None:
        if self.options.rate_limits and self._limit.is_exceeded():
            raise ApiError(429, "Too many requests", Retry_After="1")

    def _journal(self, request: Request) -> Any:
        first, last = _days(request)
        flags = _flags(request)
        calls = [
            call
            for call in self.view.calls
            if first <= self._day(call.at) <= last
            and (call.unique or "uniqueOnly" not in flags)
            and (call.target or "targetOnly" not in flags)
            and (call.unique_target or "uniqTargetOnly" not in flags)
            and (call.callback or "callbackOnly" not in flags)
        ]
        if request.param("page") is None and request.param("limit") is None:
            if first != last:
                raise ApiError(400, "Without page and limit dateFrom must equal dateTo")
            return [self._record(call, flags) for call in calls]
        return self._page(request, calls, lambda call: self._record(call, flags))

    def _requests(self, request: Request) -> Any:
        """Always all of them, in one array; here months come before days."""
        first, last = _days(request, "%m/%d/%Y")
        flags = _flags(request)
        return [
            self._request(each, flags)
            for each in self.view.messages
            if each.kind == "request" and first <= self._day(each.at) <= last
        ]

    def _orders(self, request: Request) -> Any:
        """Deals of leads the tracker saw: it knows their call or their form."""
        first, last = _days(request)
        flags = _flags(request)
        visits = (self.view.whole or self.view).visit_by_id
        forms = {each.lead_id for each in self.view.messages}
        seen = {
            lead.lead_id: visits.get(lead.visit_id or 0)
            for lead in self.view.leads
            if lead.call_id is not None or lead.lead_id in forms
        }
        deals = [
            deal
            for deal in self.view.deals
            if first <= self._day(deal.created_at) <= last and deal.lead_id in seen
        ]
        return self._page(
            request, deals, lambda deal: self._order(deal, seen[deal.lead_id], flags)
        )

    def _page(
        self, request: Request, rows: list[Any], shown: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        number = _whole(request, "page", 1)
        asked = _whole(request, "limit", LARGEST_PAGE)
        size = min(asked, self.options.rows_per_page("calltouch", LARGEST_PAGE))
        start = (number - 1) * size
        return {
            "page": number,
            "pageTotal": max(1, -(-len(rows) // size)),
            "pageSize": size,
            "recordsTotal": len(rows),
            "records": [shown(row) for row in rows[start : start + size]],
        }

    def _request(self, message: Message, flags: set[str]) -> dict[str, Any]:
        site = urlsplit(self.world.site).hostname
        visits = (self.view.whole or self.view).visit_by_id
        visit = visits.get(message.visit_id or 0)
        direct = None
        if "withYandexDirect" in flags and visit and visit.direct_campaign_id:
            direct = {
                "campaignId": visit.direct_campaign_id,
                "adGroupId": visit.direct_ad_group_id,
                "adId": visit.direct_ad_id,
                "criteriaId": visit.direct_keyword_id,
            }
        tags = [{"category": "", "type": "AUTO-PN", "names": ["заявка"]}]
        return {
            "requestId": message.message_id,
            "requestNumber": None,
            "date": int(message.at.timestamp() * 1000),
            "dateStr": f"{message.at.astimezone(self.zone):%d/%m/%Y %H:%M:%S}",
            "subject": "Заявка с сайта",
            "requestUrl": message.url,
            "requestType": "REQUEST",
            "status": "processed" if message.manager else "new",
            "manager": message.manager,
            "uniqueRequest": True,
            "targetRequest": bool(message.manager),
            "uniqTargetRequest": bool(message.manager),
            "hostname": site,
            "siteId": self.world.site_id,
            "comments": [{"commentId": 1, "comment": message.text}]
            if message.text
            else [],
            "orders": [],
            "order": None,
            "ctClientId": 8 * 10**17 + visit.visit_id % 10**15 if visit else None,
            "ctGlobalId": None,
            "widgetInfo": None,
            "customFields": None,
            "RequestTags": tags if "withRequestTags" in flags else [],
            "yandexDirect": direct,
            "googleAdWords": None,
            "mapVisits": None,
            "dcm": None,
            "client": {
                "clientId": message.message_id % 10**6,
                "fio": message.name or None,
                "phones": [
                    {"phoneNumber": phone, "phoneType": "MOBILE"}
                    for phone in message.phones
                ],
                "contacts": [
                    {"contactType": "EMAIL", "contactValue": email}
                    for email in message.emails
                ],
            },
            "session": _session(visit, self.zone) if visit else None,
        }

    def _order(
        self, deal: Deal, visit: Visit | None, flags: set[str]
    ) -> dict[str, Any]:
        stages = {each.status_id: each.name for each in self.view.statuses}
        return {
            "orderId": deal.deal_id + 3_000_000,
            "orderNumber": str(deal.deal_id),
            "orderName": deal.title,
            "orderStatus": stages.get(deal.stage_id, deal.stage_id),
            "funnel": "Продажи",
            "service": "bitrix24",
            "createdDate": f"{deal.created_at.astimezone(self.zone):%d/%m/%Y %H:%M:%S}",
            "updatedDate": f"{deal.modified_at.astimezone(self.zone):%d/%m/%Y %H:%M:%S}",
            "plannedAmount": roubles(deal.amount_kopecks),
            "completedAmount": roubles(deal.amount_kopecks)
            if deal.semantic == "S"
            else None,
            "orderTags": [] if "withOrdersTags" in flags else None,
            "comments": [] if "withComments" in flags else None,
            "siteId": self.world.site_id,
            "session": _session(visit, self.zone) if visit else None,
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
            "date": f"{call.at.astimezone(self.zone):%d/%m/%Y %H:%M:%S}",
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
            "sessionDate": f"{seen_at.astimezone(self.zone):%d/%m/%Y %I:%M:%S}"
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


def _session(visit: Visit, zone: ZoneInfo) -> dict[str, Any]:
    """The visit behind a request or a deal; `keywords` where a call has `keyword`."""
    return {
        "sessionId": visit.visit_id % 10**10,
        "sessionDate": f"{visit.started_at.astimezone(zone):%d/%m/%Y %I:%M:%S}",
        "keywords": visit.utm_term or NOT_GIVEN,
        "city": visit.city,
        "ip": f"192.0.2.{visit.visit_id % 250}",
        "source": visit.utm_source or visit.search_engine or "(direct)",
        "medium": visit.utm_medium or visit.traffic_source or "(none)",
        "ref": visit.referer or None,
        "url": visit.start_url,
        "utmSource": visit.utm_source or NOT_GIVEN,
        "utmMedium": visit.utm_medium or NOT_GIVEN,
        "utmCampaign": visit.utm_campaign or NOT_GIVEN,
        "utmContent": visit.utm_content or NOT_GIVEN,
        "utmTerm": visit.utm_term or NOT_GIVEN,
        "guaClientId": _google_id(visit.client_id),
        "yaClientId": visit.client_id,
        "attribution": 1,
        "ctGlobalId": None,
        "browser": "Chrome",
        "device": _DEVICES.get(visit.device, visit.device),
        "os": None,
        "additionalTags": [],
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


def _days(request: Request, pattern: str = "%d/%m/%Y") -> tuple[date, date]:
    first = _day(request, "dateFrom", pattern)
    last = _day(request, "dateTo", pattern)
    if first > last:
        raise ApiError(400, "dateFrom is later than dateTo")
    return first, last


def _flags(request: Request) -> set[str]:
    return {
        name for name in request.query if (request.param(name) or "").lower() in _TRUE
    }


def _day(request: Request, name: str, pattern: str) -> date:
    text = request.param(name) or ""
    try:
        return datetime.strptime(text, pattern).date()  # noqa: DTZ007 - a civil day
    except ValueError:
        raise ApiError(400, f"{name} must be {_WRITTEN[pattern]}") from None


def _whole(request: Request, name: str, most: int) -> int:
    text = request.param(name)
    value = int(text) if text and text.isascii() and text.isdigit() else 0
    if value < 1 or (name == "limit" and value > most):
        raise ApiError(400, f"{name} must be a whole number from 1")
    return value


def change_records(content: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    """An answer with `change` applied to each record, as it is named once read.

    A request's contacts stand in a block; what `change` takes out, or makes another,
    is put back into it.
    """
    rows = content.get("records") if isinstance(content, dict) else content
    for row in rows if isinstance(rows, list) else []:
        flat = clean(row)
        before = dict(flat)
        change(flat)
        client = row.get("client")
        for name in before.keys() | flat.keys():
            if before.get(name) == flat.get(name) and name in flat:
                continue
            block, _, inner = name.rpartition(".")
            target = client if block == "client" else row
            if name not in flat:
                target.pop(inner, None)
            elif inner == "phones" and isinstance(flat[name], list):
                target[inner] = [{"phoneNumber": each} for each in flat[name]]
            else:
                target[inner] = flat[name]
    return content
