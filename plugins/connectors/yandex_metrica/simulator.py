"""Yandex Metrica as it would answer for the simulated company's counter.

Speaks `/management/v1/counter/{id}/logrequests` and `logrequest/{id}`: evaluate,
create, list, status, download of parts, clean, cancel. A log is a cut of the visits
or hits as the counter knew them when the log was made: visits are rewritten for some
days. `/management/v1/counter/{id}/goals` lists the goals.
"""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from itertools import groupby
from typing import TYPE_CHECKING, Any

from simulator.catalogue import GOAL_CALCULATOR, GOAL_CALL, GOAL_FORM
from simulator.face import Face, RateLimit, Request, Response, json_response
from simulator.world import MOSCOW, moscow_day

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.face import Options
    from simulator.world import Hit, Visit, World

STORAGE_BYTES = 10 * 1024**3
FIELDS_LIMIT = 3000
ROWS_PER_PART = 20_000
REQUESTS_PER_SECOND = 10
PARALLEL_LIMIT = 3

UTC_PLUS_3 = timezone(timedelta(hours=3))
"""The zone of `dateTimeUTC` and `goalsDateTime`, whatever the former's name says."""

DEVICES = {"DESKTOP": "1", "MOBILE": "2", "TABLET": "3", "SMART_TV": "4"}
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "'": "\\'"}
_SPECIAL = re.compile(r"[\\\t\n\r']")


class ApiError(Exception):
    """An error in the vendor's own form."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


@dataclass
class LogRequest:
    """One ordered log."""

    request_id: int
    source: str
    date1: date
    date2: date
    fields: tuple[str, ...]
    attribution: str
    ordered_at: float
    status: str = "created"
    polls: int = 0
    parts: list[bytes] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes kept for download."""
        return sum(map(len, self.parts))

    def shown(self, counter_id: int) -> dict[str, Any]:
        """The request as the API prints it."""
        shown: dict[str, Any] = {
            "request_id": self.request_id,
            "counter_id": counter_id,
            "source": self.source,
            "date1": self.date1.isoformat(),
            "date2": self.date2.isoformat(),
            "fields": list(self.fields),
            "status": self.status,
            "attribution": self.attribution,
        }
        if self.status == "processed":
            shown["size"] = self.size
            shown["parts"] = [
                {"part_number": number, "size": len(part)}
                for number, part in enumerate(self.parts)
            ]
        return shown


class Simulator(Face):
    """Answers as `api-metrika.yandex.net` would for the simulated counter.

    `storage_bytes` and `max_days` (days; None = a year) lower what `evaluate` allows;
    `next_statuses` are passed through by the next ordered logs before they are made
    (`processing_failed` ends a log); `repeat_every` n rows one comes twice, as seen in
    real logs.
    """

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self.storage_bytes = STORAGE_BYTES
        self.max_days: int | None = None
        self.next_statuses: deque[str] = deque()
        self.repeat_every: int | None = None
        self.log_requests: dict[int, LogRequest] = {}
        self._lock = threading.RLock()
        self._running = 0
        self._limit = RateLimit(REQUESTS_PER_SECOND, seconds=1)
        self._rendered: dict[tuple[Any, ...], list[bytes]] = {}
        self._hits: tuple[World, dict[date, list[Hit]]] | None = None
        visits = sorted(world.visits, key=lambda v: (v.started_at, v.visit_id))
        self._days = {
            day: list(of_day)
            for day, of_day in groupby(visits, key=lambda v: moscow_day(v.started_at))
        }
        # moments at which what the counter shows of a day changes
        self._moments = {
            day: sorted(
                [v.ended_at for v in of_day]
                + [v.revised_at for v in of_day if v.revised_at is not None]
            )
            for day, of_day in self._days.items()
        }

    # ------------------------------------------------------------------ answers

    def handle(self, request: Request) -> Response:
        """One vendor answer to one request."""
        with self._lock:
            self._running += 1
            crowded = self._running > PARALLEL_LIMIT
        try:
            self._authorise(request)
            self._quota(crowded=crowded)
            return self._route(request)
        except ApiError as error:
            return _error(error.status, error.kind, error.message)
        finally:
            with self._lock:
                self._running -= 1

    def unauthorized(self, request: Request) -> Response:
        """A token that has run out: 403, as the vendor does."""
        del request
        return _error(403, "invalid_token", "Invalid oauth_token", location="header")

    def _authorise(self, request: Request) -> None:
        word, _, token = request.headers.get("Authorization", "").partition(" ")
        if not word:
            raise ApiError(401, "unauthorized", "Authorization is required")
        if word != "OAuth" or token != self.options.token("yandex_metrica"):
            raise ApiError(403, "invalid_token", "Invalid oauth_token")

    def _quota(self, *, crowded: bool) -> None:
        if not self.options.rate_limits:
            return
        if crowded:
            raise ApiError(
                429, "quota_parallel_requests", "Parallel requests quota is exceeded"
            )
        if self._limit.is_exceeded():
            raise ApiError(429, "quota_requests_by_ip", "Requests quota is exceeded")

    def _route(self, request: Request) -> Response:
        found = re.fullmatch(
            r"/management/v1/counter/(\d+)/"
            r"(?:(goals|logrequests(?:/evaluate)?)"
            r"|logrequest/(\d+)(?:/(clean|cancel|part/(\d+)/download))?)",
            request.path,
        )
        if found is None:
            raise ApiError(404, "not_found", "No such method")
        counter, many, request_id, action, part = found.groups()
        if int(counter) != self.world.counter_id:
            raise ApiError(403, "access_denied", "Access is denied")
        verb = request.method
        with self._lock:
            if many == "goals" and verb == "GET":
                return self._goals(request)
            if many == "logrequests/evaluate" and verb == "GET":
                return self._evaluate(request)
            if many == "logrequests" and verb == "POST":
                return self._create(request)
            if many == "logrequests" and verb == "GET":
                kept = [
                    each.shown(self.world.counter_id)
                    for each in self.log_requests.values()
                ]
                return json_response({"requests": kept})
            log = self.log_requests.get(int(request_id or 0))
            if log is None:
                raise ApiError(404, "not_found", "Log request is not found")
            if action is None and verb == "GET":
                self._work(log)
            elif action == "clean" and verb == "POST":
                self._end(log, "processed", "cleaned_by_user")
            elif action == "cancel" and verb == "POST":
                self._end(log, "created", "canceled")
            elif part is not None and verb == "GET":
                if log.status != "processed" or int(part) >= len(log.parts):
                    raise ApiError(404, "not_found", "Part is not found")
                return Response(
                    200,
                    {"Content-Type": "text/tab-separated-values; charset=utf-8"},
                    log.parts[int(part)],
                )
            else:
                raise ApiError(405, "invalid_parameter", "Method is not allowed")
            return json_response({"log_request": log.shown(self.world.counter_id)})

    def _end(self, log: LogRequest, before: str, after: str) -> None:
        if log.status != before:
            raise ApiError(400, "invalid_parameter", f"Log request is {log.status}")
        log.status = after
        log.parts = []

    def _goals(self, request: Request) -> Response:
        deleted = request.param("useDeleted") == "true"
        shown = [g for g in GOALS if deleted or g["status"] != "Deleted"]
        return json_response({"goals": shown})

    # ------------------------------------------------------------------ ordering

    def _asked(self, request: Request) -> tuple[date, date, str, tuple[str, ...]]:
        """Period, source and fields of a request, checked as the vendor does."""
        source = request.param("source") or ""
        if source not in COLUMNS_OF:
            raise ApiError(400, "invalid_parameter", "source is visits or hits")
        given = request.param("fields", "") or ""
        if len(given) > FIELDS_LIMIT:
            raise ApiError(400, "invalid_parameter", "fields is longer than 3000")
        fields = tuple(given.split(","))
        for name in fields:
            if name not in COLUMNS_OF[source]:
                raise ApiError(400, "invalid_parameter", f"Unknown field '{name}'")
        try:
            first = date.fromisoformat(request.param("date1", "") or "")
            last = date.fromisoformat(request.param("date2", "") or "")
        except ValueError as error:
            raise ApiError(400, "invalid_parameter", "date1, date2") from error
        if first > last or last >= moscow_day(self.options.now):
            raise ApiError(400, "invalid_parameter", "date2 must be before today")
        return first, last, source, fields

    def _evaluate(self, request: Request) -> Response:
        first, last, source, fields = self._asked(request)
        days = (last - first).days + 1
        parts = self._parts(first, last, source, fields)
        size = sum(map(len, parts)) or 1
        used = sum(each.size for each in self.log_requests.values())
        most = min((self.storage_bytes - used) * days // size, self.max_days or 366)
        return json_response(
            {
                "log_request_evaluation": {
                    "possible": days <= most,
                    "max_possible_day_quantity": most,
                }
            }
        )

    def _create(self, request: Request) -> Response:
        first, last, source, fields = self._asked(request)
        if (last - first).days + 1 > min(366, self.max_days or 366):
            raise ApiError(400, "limit_exceeded", "The period is too long")
        used = sum(each.size for each in self.log_requests.values())
        if used >= self.storage_bytes:
            raise ApiError(400, "limit_exceeded", "The storage of logs is full")
        log = LogRequest(
            request_id=len(self.log_requests) + 4001,
            source=source,
            date1=first,
            date2=last,
            fields=fields,
            attribution=request.param("attribution", "LASTSIGN") or "LASTSIGN",
            ordered_at=time.monotonic(),
        )
        self.log_requests[log.request_id] = log
        return json_response({"log_request": log.shown(self.world.counter_id)})

    def _work(self, log: LogRequest) -> None:
        """What time does to an ordered log, seen when somebody asks for its status."""
        if log.status not in ("created", "awaiting_retry"):
            return
        log.polls += 1
        if (
            log.polls < 2
            or time.monotonic() < log.ordered_at + self.options.wait_seconds
        ):
            return
        if self.next_statuses:
            log.status = self.next_statuses.popleft()
            return
        log.parts = self._parts(log.date1, log.date2, log.source, log.fields)
        log.status = "processed"

    # ------------------------------------------------------------------- content

    def _parts(
        self, first: date, last: date, source: str, fields: tuple[str, ...]
    ) -> list[bytes]:
        """The log as parts, each with the header; columns in the server's own order."""
        columns = tuple(name for name in COLUMNS_OF[source] if name in fields)
        render = self._rows if source == "visits" else self._hit_rows
        rows: list[bytes] = []
        for offset in range((last - first).days + 1):
            rows += render(first + timedelta(days=offset), columns)
        size = self.options.rows_per_page("yandex_metrica", ROWS_PER_PART)
        header = "\t".join(columns).encode() + b"\n"
        return [
            header + b"".join(rows[start : start + size])
            for start in range(0, max(len(rows), 1), size)
        ]

    def _rows(self, day: date, columns: tuple[str, ...]) -> list[bytes]:
        """The rows of one day, kept until one of its visits changes."""
        now = self.options.now
        state = bisect_right(self._moments.get(day, []), now)
        key = (day, columns, state)
        if (kept := self._rendered.get(key)) is not None:
            return kept

        cells: list[Callable[[Visit, datetime], str]]
        cells = [FIELDS.get(name, self._counter) for name in columns]
        rows = []
        for visit in self._days.get(day, []):
            if visit.ended_at > now:
                continue
            row = "\t".join([cell(visit, now) for cell in cells]).encode() + b"\n"
            rows.append(row)
            if self.repeat_every and len(rows) % self.repeat_every == 0:
                rows.append(row)
        self._rendered[key] = rows
        return rows

    def _hit_rows(self, day: date, columns: tuple[str, ...]) -> list[bytes]:
        """The hits of one day, of visits that are over."""
        view = self.view
        if self._hits is None or self._hits[0] is not view:
            by_day = groupby(view.hits(), key=lambda hit: moscow_day(hit.at))
            self._hits = (view, {of: list(hits) for of, hits in by_day})
        cells: list[Callable[[Hit, datetime], str]]
        cells = [HIT_FIELDS.get(name, self._counter) for name in columns]
        now = self.options.now
        rows = []
        for hit in self._hits[1].get(day, []):
            row = "\t".join([cell(hit, now) for cell in cells]).encode() + b"\n"
            rows.append(row)
            if self.repeat_every and len(rows) % self.repeat_every == 0:
                rows.append(row)
        return rows

    def _counter(self, row: Any, now: datetime) -> str:
        del row, now
        return str(self.world.counter_id)


# ------------------------------------------------------------------------ cells


def escape(text: str) -> str:
    """A value as the vendor's TSV writes it: `\\t`, `\\n`, `\\'`, `\\\\`."""
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text)


def array(values: list[str], *, quoted: bool) -> str:
    """An array as a cell: `[1,2]`, or `[\\'a\\',\\'b\\']` when `quoted`."""
    if not quoted:
        return "[" + ",".join(values) + "]"
    inner = (value.replace("\\", "\\\\").replace("'", "\\'") for value in values)
    return escape("[" + ",".join(f"'{value}'" for value in inner) + "]")


def _stamp(at: datetime, zone: Any) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _known(visit: Visit, now: datetime) -> tuple[int, int]:
    """(page views, duration in seconds) as the counter knows them at `now`."""
    if visit.revised_at is not None and visit.revised_at > now:
        return visit.first_page_views, visit.first_duration_s
    return visit.page_views, visit.duration_s


def _watch_ids(visit: Visit, now: datetime) -> str:
    views = _known(visit, now)[0]
    first = visit.visit_id * 6364136223846793005 % 2**64
    return array([str((first + n) % 2**64) for n in range(views)], quoted=False)


def _bounce(visit: Visit, now: datetime) -> str:
    views, seconds = _known(visit, now)
    return "1" if views < 2 and seconds < 15 else "0"


def _goal_times(visit: Visit, now: datetime) -> str:
    del now
    return array([_stamp(at, UTC_PLUS_3) for _, at in visit.goal_hits], quoted=True)


def _text(name: str) -> Callable[[Visit, datetime], str]:
    return lambda visit, now: escape(getattr(visit, name))


def _gclid(visit: Visit, now: datetime) -> str:
    del now
    return visit.gclid


def _number(name: str) -> Callable[[Visit, datetime], str]:
    return lambda visit, now: str(getattr(visit, name) or 0)


FIELDS: dict[str, Callable[[Visit, datetime], str]] = {
    "ym:s:" + name: cell
    for name, cell in {
        "watchIDs": _watch_ids,
        "date": lambda v, now: moscow_day(v.started_at).isoformat(),
        "dateTime": lambda v, now: _stamp(v.started_at, MOSCOW),
        "dateTimeUTC": lambda v, now: _stamp(v.started_at, UTC_PLUS_3),
        "visitID": lambda v, now: str(v.visit_id),
        "clientID": lambda v, now: v.client_id,
        "isNewUser": lambda v, now: str(int(v.is_new)),
        "startURL": _text("start_url"),
        "endURL": _text("end_url"),
        "referer": _text("referer"),
        "pageViews": lambda v, now: str(_known(v, now)[0]),
        "visitDuration": lambda v, now: str(_known(v, now)[1]),
        "bounce": _bounce,
        "regionCountry": lambda v, now: "Russia",
        "regionCity": _text("city"),
        "deviceCategory": lambda v, now: DEVICES.get(v.device, "1"),
        "goalsID": lambda v, now: array([str(g) for g in v.goal_ids], quoted=False),
        "goalsDateTime": _goal_times,
        "lastTrafficSource": _text("traffic_source"),
        "lastAdvEngine": _text("adv_engine"),
        "lastReferalSource": _text("referal_source"),
        "lastSearchEngine": _text("search_engine"),
        "lastSocialNetwork": _text("social_network"),
        "lastDirectClickOrder": _number("direct_campaign_id"),
        "lastDirectBannerGroup": _number("direct_ad_group_id"),
        "lastDirectClickBanner": lambda v, now: str(v.direct_ad_id or ""),
        "lastDirectPhraseOrCond": _text("direct_keyword"),
        "lastGCLID": _gclid,
        "UTMSource": _text("utm_source"),
        "UTMMedium": _text("utm_medium"),
        "UTMCampaign": _text("utm_campaign"),
        "UTMContent": _text("utm_content"),
        "UTMTerm": _text("utm_term"),
    }.items()
}
"""How each field of a visit is written."""

COLUMNS = ("ym:s:counterID", *FIELDS)
"""What a counter can log of visits, in the order the server puts columns."""

HIT_FIELDS: dict[str, Callable[[Hit, datetime], str]] = {
    "ym:pv:" + name: cell
    for name, cell in {
        "watchID": lambda h, now: str(h.hit_id),
        "clientID": lambda h, now: h.client_id,
        "date": lambda h, now: moscow_day(h.at).isoformat(),
        "dateTime": lambda h, now: _stamp(h.at, MOSCOW),
        "title": lambda h, now: escape(h.title),
        "URL": lambda h, now: escape(h.url),
        "referer": lambda h, now: escape(h.referer),
        "goalsID": lambda h, now: array([str(g) for g in h.goal_ids], quoted=False),
        "isPageView": lambda h, now: str(int(h.is_page_view)),
        "artificial": lambda h, now: str(int(not h.is_page_view)),
        "link": lambda h, now: "0",
        "download": lambda h, now: "0",
    }.items()
}
"""How each field of a hit is written."""

COLUMNS_OF = {"visits": COLUMNS, "hits": ("ym:pv:counterID", *HIT_FIELDS)}
"""The same by the source of the log."""


def _goal(number: int, name: str, kind: str, **more: Any) -> dict[str, Any]:
    common = {"default_price": 0, "goal_source": "user", "is_favorite": 0}
    common |= {"is_retargeting": 0, "prev_goal_id": 0, "status": "Active"}
    return {"id": number, "name": name, "type": kind, **common, **more}


_FORM = [{"type": "exact", "url": "form_sent"}]
GOALS = [
    _goal(GOAL_FORM, "Заявка с сайта", "action", flag="", conditions=_FORM),
    _goal(GOAL_CALL, "Звонок", "phone", hide_phone_number=0, conditions=[]),
    _goal(
        GOAL_CALCULATOR,
        "Расчёт в калькуляторе",
        "url",
        conditions=[{"type": "contain", "url": "/kalkulyator/"}],
    ),
    _goal(300100004, "Пять страниц", "number", depth=5),
    _goal(300100005, "Минута на сайте", "visit_duration", duration=60),
    _goal(
        300100006,
        "Калькулятор и заявка",
        "step",
        steps=[
            {
                "id": 300100007,
                "name": "Калькулятор",
                "type": "url",
                "conditions": [{"type": "contain", "url": "/kalkulyator/"}],
            },
            {"id": 300100008, "name": "Заявка", "type": "action", "conditions": _FORM},
        ],
    ),
    _goal(300100009, "Чат", "messenger", status="Deleted", conditions=[]),
]
"""The counter's goals; visits reach the first three."""


def _error(status: int, kind: str, message: str, location: str = "") -> Response:
    first = {"error_type": kind, "message": message}
    if location:
        first["location"] = location
    return json_response(
        {"errors": [first], "code": status, "message": message}, status=status
    )
