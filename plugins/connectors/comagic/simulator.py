"""The Data API v2.0 as CoMagic would answer it for the simulated firm in the north.

JSON-RPC over POST /v2.0: every answer is HTTP 200, errors too. Holds the vendor's
limits (points per minute and day, 10,000 rows, offset 100,000, three months) and its
refusals of what it does not know.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from simulator.face import Face, Request, Response, json_response, text_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Clock = Callable[[datetime], str]

    from simulator.face import Options
    from simulator.world import Call, Message, Visit, World

LARGEST_LIMIT = 10_000
LARGEST_OFFSET = 100_000
LONGEST_DAYS = 92
SESSION_SECONDS = 3600
LOGIN = "reports@example.com"
MANAGER_IDS = 323_000  # employees' ids begin here
TIME = "%Y-%m-%d %H:%M:%S"
_COMMON = {"access_token", "user_id", "date_from", "date_till", "limit", "offset"}
_COMMON |= {"fields", "filter", "sort"}
_DEVICES = {"DESKTOP": "desktop", "MOBILE": "mobile", "TABLET": "tablet"}
_ENGINES = {
    "google_ads": "google.adwords",
    "vk_ads": "vk.ads",
}
_CODES = {
    "parse_error": -32700,
    "invalid_request": -32600,
    "method_not_found": -32601,
    "internal_error": -32603,
    "access_token_expired": -32001,
    "access_token_invalid": -32001,
    "auth_error": -32001,
    "ip_not_whitelisted": -32003,
    "limit_exceeded": -32029,
    "batch_opreations_not_supported": -32099,
    "notifications_not_supported": -32099,
}


class ApiError(Exception):
    """An error by its mnemonic; most have the code of wrong parameters."""

    def __init__(self, mnemonic: str, message: str, **data: Any) -> None:
        super().__init__(message)
        self.error = {
            "code": _CODES.get(mnemonic, -32602),
            "message": message,
            "data": {"mnemonic": mnemonic, "metadata": {}, **data},
        }


class Points:
    """Each call that goes well costs a point of the minute and one of the day."""

    def __init__(self, of_minute: int, of_day: int) -> None:
        self.most = {"minute": of_minute, "day": of_day}
        self._spans = {"minute": 60, "day": 86_400}
        self._spent: deque[float] = deque()
        self._lock = threading.Lock()

    def limits(self) -> dict[str, int]:
        """What is left, as each answer tells it."""
        now = time.monotonic()
        found: dict[str, int] = {}
        with self._lock:
            for name, seconds in self._spans.items():
                inside = [at for at in self._spent if at > now - seconds]
                left = inside[0] + seconds - now if inside else seconds
                found[f"{name}_limit"] = self.most[name]
                found[f"{name}_remaining"] = max(0, self.most[name] - len(inside))
                found[f"{name}_reset"] = int(left) + 1
        return found

    def spend(self) -> None:
        """Take a point. Raises ApiError when a limit is reached."""
        limits = self.limits()
        for name in ("day", "minute"):
            if not limits[f"{name}_remaining"]:
                most = self.most[name]
                raise ApiError(
                    "limit_exceeded",
                    f"Limit per {name} has been exceeded. Value of current limit per "
                    f"{name} is {most}",
                    params={"limit_type": name, "limit_max_value": str(most)},
                    metadata={"limits": limits},
                )
        with self._lock:
            self._spent.append(time.monotonic())


class Simulator(Face):
    """Answers as dataapi.comagic.ru would."""

    branch = "spb"
    minute_limit: ClassVar[int] = 150
    day_limit: ClassVar[int] = 750

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self.points = Points(self.minute_limit, self.day_limit)
        self.sessions: dict[str, float] = {}  # key of a session -> when it ends
        self.is_listed = True  # is the caller's IP address on the white list?
        self.agent_of: int | None = None  # the client an agent's key has to name
        self._reports: dict[str, _Report] = {
            "get.calls_report": _Report(
                _calls, "start_time", {"include_ongoing_calls"}, {"start_time"}
            ),
            "get.communications_report": _Report(
                _communications, "date_time", set(), {"date_time", "visitor_id"}
            ),
            "get.visitor_sessions_report": _Report(
                _sessions, "date_time", set(), {"visitor_id"}
            ),
            "get.chats_report": _Report(
                _chats, "date_time", set(), {"date_time", "visitor_id"}
            ),
            "get.offline_messages_report": _Report(
                _offline_messages,
                "date_time",
                {"include_tech_offline_messages"},
                {"visitor_id"},
            ),
        }

    def handle(self, request: Request) -> Response:
        """One call; whatever goes wrong with it is told under HTTP 200."""
        if request.path.rstrip("/") != "/v2.0" or request.method != "POST":
            return text_response("404 page not found", 404)
        number = None
        try:
            try:
                call = request.json()
            except ValueError:
                raise ApiError("parse_error", "Parse error") from None
            if isinstance(call, list):
                raise ApiError(
                    "batch_opreations_not_supported", "Batch operations not supported"
                )
            if not isinstance(call, dict) or not isinstance(call.get("params"), dict):
                raise ApiError("invalid_request", "Invalid Request")
            if call.get("id") is None:
                raise ApiError(
                    "notifications_not_supported", "Notifications not supported"
                )
            number = call["id"]
            result = self._result(str(call.get("method")), call["params"])
        except ApiError as error:
            return _envelope(number, error=error.error)
        return _envelope(number, result=result)

    def unauthorized(self, request: Request) -> Response:
        """The answer to a key whose time is over."""
        error = ApiError("access_token_expired", "Access token has been expired")
        return _envelope(None, error=error.error)

    def _result(self, method: str, params: dict[str, Any]) -> Any:
        if not self.is_listed:
            raise ApiError("ip_not_whitelisted", "Your IP 192.0.2.1 is not whitelisted")
        if method == "login.user":
            return self._login(params)
        report = self._reports.get(method)
        if report is None:
            raise ApiError("method_not_found", f"Method {method} not found")
        self._check_key(params)
        report.check(params)
        if self.agent_of is not None and params.get("user_id") != self.agent_of:
            raise ApiError("forbidden", "No access to this user", field="user_id")
        if self.options.rate_limits:
            self.points.spend()
        rows = self._rows(report, params)
        offset = params.get("offset", 0)
        limit = params.get("limit", 1000)
        limit = min(limit, self.options.rows_per_page("comagic", LARGEST_LIMIT))
        return {
            "metadata": {"limits": self.points.limits(), "total_items": len(rows)},
            "data": rows[offset : offset + limit],
        }

    def _local(self, at: datetime) -> str:
        """The account's own time, without its offset."""
        return f"{at.astimezone(ZoneInfo(self.options.time_zone)):{TIME}}"

    def _login(self, params: dict[str, Any]) -> Any:
        given = (params.get("login"), params.get("password"))
        if given != (LOGIN, self.options.token("comagic")):
            raise ApiError("auth_error", "Login or password is wrong")
        key = f"session-{len(self.sessions) + 1}-of-an-hour"
        self.sessions[key] = time.monotonic() + SESSION_SECONDS
        ends = int(time.time()) + SESSION_SECONDS
        data = {"access_token": key, "expire_at": ends, "app_id": 4001}
        return {"metadata": {"limits": self.points.limits()}, "data": data}

    def _check_key(self, params: dict[str, Any]) -> None:
        key = params.get("access_token")
        if not key:
            raise _missing("access_token")
        if key == self.options.token("comagic"):
            return
        if key not in self.sessions:
            raise ApiError("access_token_invalid", "Access token is invalid")
        if self.sessions[key] <= time.monotonic():
            raise ApiError("access_token_expired", "Access token has been expired")

    def _rows(self, report: _Report, params: dict[str, Any]) -> list[dict[str, Any]]:
        first, last = _moment(params, "date_from"), _moment(params, "date_till")
        if first > last:
            raise _wrong("date_from", params["date_from"])
        if last - first > timedelta(days=LONGEST_DAYS):
            raise ApiError(
                "date_interval_limit_reached",
                "The interval between date_from and date_till is over 3 months",
                field="date_till",
            )
        found = [
            row
            for row in report.rows(self.view, self._local)
            if first <= datetime.strptime(row[report.at], TIME) <= last  # noqa: DTZ007
        ]
        for order in reversed(params.get("sort") or []):
            name, down = order["field"], order.get("order") == "desc"
            found.sort(
                key=lambda row, n=name: (row[n] is None, row[n]),  # type: ignore[misc]
                reverse=down,
            )
        names = params.get("fields")
        if names is None:
            names = [name for name in report.by_default if found and name in found[0]]
        unknown = [n for n in names if found and n not in found[0]]
        if unknown:
            raise ApiError(
                "unexpected_parameters",
                f"Unexpected parameters: {', '.join(unknown)}",
                field="fields",
                value=unknown[0],
            )
        return [{name: row[name] for name in names} for row in found]


class _Report:
    """A report: its rows, its time, parameters of its own, fields it sorts by."""

    by_default: tuple[str, ...] = (
        "id",
        "start_time",
        "direction",
        "date_time",
        "communication_id",
    )
    by_default += (
        "communication_type",
        "contact_phone_number",
        "is_lost",
        "visitor_id",
    )

    def __init__(
        self,
        rows: Callable[[World, Clock], Iterable[dict[str, Any]]],
        at: str,
        own: set[str],
        sortable: set[str],
    ) -> None:
        self.rows, self.at, self.known, self.sortable = (
            rows,
            at,
            _COMMON | own,
            sortable,
        )

    def check(self, params: dict[str, Any]) -> None:
        """Raises ApiError for what the vendor would refuse."""
        if unknown := sorted(params.keys() - self.known):
            raise ApiError(
                "unexpected_parameters",
                f"Unexpected parameters: {', '.join(unknown)}",
                field=unknown[0],
            )
        for name, most in (("limit", LARGEST_LIMIT), ("offset", LARGEST_OFFSET)):
            value = params.get(name, 0)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ApiError("data_type_error", "Wrong data type", field=name)
            if not 0 <= value <= most:
                raise _wrong(name, value)
        if params.get("limit", 0) + params.get("offset", 0) > LARGEST_OFFSET:
            raise _wrong("offset", params["offset"])
        for order in params.get("sort") or []:
            if order.get("field") not in self.sortable:
                raise ApiError(
                    "sort_prohibited",
                    f"Sort by {order.get('field')} is prohibited",
                    field="sort",
                )


def _envelope(number: Any, **content: Any) -> Response:
    return json_response({"jsonrpc": "2.0", "id": number, **content})


def _missing(name: str) -> ApiError:
    return ApiError(
        "required_parameter_missed", f"Required parameter {name} missed", field=name
    )


def _wrong(name: str, value: Any) -> ApiError:
    return ApiError(
        "invalid_parameter_value", f"Invalid value of {name}", field=name, value=value
    )


def _moment(params: dict[str, Any], name: str) -> datetime:
    if name not in params:
        raise _missing(name)
    try:
        return datetime.strptime(str(params[name]), TIME)  # noqa: DTZ007 - local time
    except ValueError:
        raise _wrong(name, params[name]) from None


# -- rows --------------------------------------------------------------------------


def _digits(phones: Iterable[str]) -> int | None:
    """The first phone as a number: in chats and messages the vendor has it so."""
    for phone in phones:
        first = re.split(r"[,;/]|\bили\b|\bдоб", phone)[0]
        if digits := re.sub(r"\D", "", first):
            return int(digits)
    return None


def _calls(view: World, local: Clock) -> Iterable[dict[str, Any]]:
    for call in view.calls:
        length = abs(call.duration_s)
        talked = length if call.successful else 0
        manager = call.manager if call.successful else None
        yield {
            "id": call.call_id,
            "start_time": local(call.at),
            "finish_time": local(call.at + timedelta(seconds=call.wait_s + length)),
            "finish_reason": "numb_disconnects"
            if call.successful
            else "operator_not_answered",
            "direction": "in",
            "source": "sitephone" if call.callback else "dynamic_call_tracking",
            "is_lost": not call.successful,
            "is_transfer": False,
            "wait_duration": call.wait_s,
            "total_wait_duration": call.wait_s,
            "talk_duration": talked,
            "clean_talk_duration": talked,
            "total_duration": call.wait_s + talked,
            "lost_call_processing_duration": None,
            "cpn_region_id": 2,
            "cpn_region_name": call.city,
            "employees": [
                {
                    "employee_id": _employee(manager),
                    "employee_full_name": manager,
                    "is_answered": True,
                    "is_talked": True,
                }
            ]
            if manager
            else [],
            "scenario_id": 1,
            "scenario_name": call.pool_name,
            "last_answered_employee_id": _employee(manager),
            "last_answered_employee_full_name": manager,
            "contact_phone_number": call.caller_number,
            "contact_id": None,
            "contact_full_name": None,
            "call_api_external_id": None,
            "virtual_phone_number": call.phone_number,
            "operator_phone_number": call.redirect_number,
            "properties": call.comment,
            **_contact("call", call.call_id, call.visitor_id, call.tags),
            "attributes": _attributes(call),
            **_origin(view, call.visit_id, call.visitor_id, call),
        }


def _attributes(call: Call) -> list[str]:
    """What the vendor thinks of a call; whether it was meant is said days later."""
    found = ["primary" if call.unique else "secondary"]
    found += ["target"] if call.target else []
    return found if call.successful else [*found, "lost"]


def _communications(view: World, local: Clock) -> Iterable[dict[str, Any]]:
    for call in view.calls:
        yield {
            "date_time": local(call.at),
            **_contact("call", call.call_id, call.visitor_id, call.tags),
            "attributes": _attributes(call),
            "id": _communication_id("call", call.call_id),
            **_origin(view, call.visit_id, call.visitor_id, call),
        }
    for each in view.messages:
        yield {
            "date_time": local(each.at),
            **_contact(each.kind, each.message_id, each.visitor_id, ()),
            "id": _communication_id(each.kind, each.message_id),
            **_origin(view, each.visit_id, each.visitor_id, None),
        }


def _sessions(view: World, local: Clock) -> Iterable[dict[str, Any]]:
    for visit in view.visits:
        found = _origin(view, visit.visit_id, visit.visitor_id, None)
        del found["visitor_session_id"]  # it is `id` here
        yield {
            "id": visit.visit_id,
            "date_time": local(visit.started_at),
            "duration": visit.duration_s,
            "hits_count": visit.page_views,
            "exit_page": visit.end_url,
            "engine": (_campaign_data(visit) or {}).get("adv_system"),
            "integrated_campaign_data": _campaign_data(visit),
            "cm_id": None,
            "ymclid": None,
            "ext_id": None,
            "visitor_country": "Россия",
            "visitor_browser_name": "Chrome",
            "visitor_os_name": "Android" if visit.device == "MOBILE" else "Windows",
            "visitor_language": "ru",
            **found,
        }


def _chats(view: World, local: Clock) -> Iterable[dict[str, Any]]:
    for each in _of_kind(view, "chat"):
        yield {
            "id": each.message_id,
            "date_time": local(each.at),
            "status": "closed",
            "initiator": "visitor",
            "duration": "240",
            "answer_time": 12,
            "release_cause": "closed_by_operator",
            "is_group_chat": False,
            "is_transfer": False,
            "messages_count": 6,
            "chat_channel_id": 501,
            "chat_channel_type": "comagic",
            "chat_channel_name": "Чат на сайте",
            "chat_ad_url": None,
            "visitor_phone_number": _digits(each.phones),
            "employee_id": _employee(each.manager),
            "employee_full_name": each.manager,
            **_contact("chat", each.message_id, each.visitor_id, (), _page(each)),
            **_origin(view, each.visit_id, each.visitor_id, None),
        }


def _offline_messages(view: World, local: Clock) -> Iterable[dict[str, Any]]:
    for each in _of_kind(view, "offline_message"):
        yield {
            "id": each.message_id,
            "date_time": local(each.at),
            "status": "processed" if each.manager else "not_processed",
            "process_time": local(each.at + timedelta(minutes=9))
            if each.manager
            else None,
            "form_type": "Пользовательская",
            "form_name": "Расчёт стоимости",
            "group_id": 11,
            "group_name": "Отдел продаж",
            "is_agree_to_process_personal_data": True,
            "is_agree_to_mailing": False,
            "visitor_phone_number": _digits(each.phones),
            "visitor_email": next(iter(each.emails), None),
            "visitor_name": each.name or None,
            "text": each.text,
            "properties": None,
            "employee_id": _employee(each.manager),
            "employee_full_name": each.manager,
            "employee_comment": None,
            "employee_answer_message": None,
            **_contact(
                "offline_message", each.message_id, each.visitor_id, (), _page(each)
            ),
            **_origin(view, each.visit_id, each.visitor_id, None),
        }


def _of_kind(view: World, kind: str) -> list[Message]:
    return [each for each in view.messages if each.kind == kind]


def _page(message: Message) -> str | None:
    return message.url or None


def _employee(name: str | None) -> int | None:
    return MANAGER_IDS + sum(map(ord, name)) if name else None


def _communication_id(kind: str, number: int) -> int:
    """Of its own, and close to those of other kinds: only the kind tells them apart."""
    del kind
    return number * 10 + 7


def _contact(
    kind: str,
    number: int,
    visitor_id: int | None,
    tags: tuple[str, ...],
    page: str | None = None,
) -> dict[str, Any]:
    """What a call, a chat and a message have alike."""
    return {
        "communication_id": _communication_id(kind, number),
        "communication_type": kind,
        "communication_number": 1 if visitor_id else None,
        "communication_page_url": page,
        "visits_count": 1 if visitor_id else None,
        "visit_other_campaign": False,
        "visitor_first_campaign_id": None,
        "attributes": [],
        "sale_date": None,
        "sale_cost": None,
        "ext_id": None,
        "tags": [
            {
                "tag_id": 400 + at,
                "tag_name": tag,
                "tag_type": "manual",
                "tag_user_login": None,
            }
            for at, tag in enumerate(tags)
        ],
    }


def _origin(
    view: World, visit_id: int | None, visitor_id: int | None, call: Call | None
) -> dict[str, Any]:
    """Where the visitor came from; a static number tells it by its own campaign.

    The tracker knows a visit from its first second, also while it goes on.
    """
    whole = view.whole or view
    visit = whole.visit_by_id.get(visit_id) if visit_id is not None else None
    site = urlsplit(whole.site).hostname
    found: dict[str, Any] = {
        "visitor_session_id": visit_id,
        "visitor_id": visitor_id,
        "person_id": visitor_id,
        "campaign_id": None,
        "campaign_name": call.source if call and not visit else None,
        "source_id": None,
        "source_name": call.source if call else None,
        "source_new": call.source if call else None,
        "channel_new": call.medium if call else None,
        "channel_code": call.medium if call else None,
        "site_id": whole.site_id,
        "site_domain_name": site,
    }
    if visit is None:
        nothing = (
            "ua_client_id ym_client_id gclid yclid channel search_engine search_query "
            "referrer referrer_domain entrance_page visitor_type visitor_city "
            "visitor_region visitor_device utm_source utm_medium utm_campaign "
            "utm_content utm_term"
        )
        return {**dict.fromkeys(nothing.split()), **found}
    channel = _channel(visit)
    source = visit.utm_source or visit.search_engine or visit.social_network
    found |= {
        "campaign_id": 900 + sum(map(ord, visit.adv_engine or channel)),
        "campaign_name": visit.utm_campaign or "Посетители без рекламных кампаний",
        "source_id": 1 + sum(map(ord, source)) if source else None,
        "source_name": source or None,
        "source_new": source or None,
        "channel_new": channel,
        "channel_code": channel,
        "channel": channel,
        "ua_client_id": visit.ga_client_id or None,
        "ym_client_id": visit.ym_uid or None,
        "gclid": visit.gclid or None,
        "yclid": next(
            iter(parse_qs(urlsplit(visit.start_url).query).get("yclid", [])), None
        ),
        "search_engine": visit.search_engine or None,
        "search_query": None,
        "referrer": visit.referer or None,
        "referrer_domain": urlsplit(visit.referer).hostname,
        "entrance_page": visit.start_url,
        "visitor_type": "Новый" if visit.is_new else "Вернувшийся",
        "visitor_city": visit.city,
        "visitor_region": visit.city,
        "visitor_device": _DEVICES.get(visit.device, "other"),
        "utm_source": visit.utm_source or None,
        "utm_medium": visit.utm_medium or None,
        "utm_campaign": visit.utm_campaign or None,
        "utm_content": visit.utm_content or None,
        "utm_term": visit.utm_term or None,
    }
    return found


def _channel(visit: Visit) -> str:
    known = {"ad": "paid"}
    known |= {"organic": "organic", "referral": "referral", "social": "social"}
    known |= {"email": "email", "messenger": "messenger", "internal": "internal"}
    return known.get(visit.traffic_source, "direct")


def _campaign_data(visit: Visit) -> dict[str, Any] | None:
    """Ids of the ad system, where the tracker has them: of Meta it has none."""
    if visit.direct_campaign_id is None or visit.platform not in _ENGINES:
        return None
    ids = {
        "ext_campaign_id": visit.direct_campaign_id,
        "group_id": visit.direct_ad_group_id,
        "current_banner_id": visit.direct_ad_id,
        "keyword_id": visit.direct_keyword_id,
    }
    return {
        "adv_system": _ENGINES[visit.platform],
        **{name: None if each is None else str(each) for name, each in ids.items()},
    }
