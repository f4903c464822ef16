"""The bucket of the simulated dealer, as an S3-compatible store would give it.

Speaks ListObjectsV2 and GetObject in path style, checks Signature Version 4, and holds
files as people make them: costs as a workbook with titles above a header of two lines
and a line of totals; deals as CSV in Windows-1251; payments as CSV with commas and
quotes; sales at the counter as a workbook; the log of the site's own numbers as CSV.
One file of each kind per week.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import threading
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import openpyxl

from connectors.base.tables import HeaderError, find_header
from connectors.files.columns import PLANS
from connectors.files.places import signed
from simulator.face import Face, RateLimit, Request, Response
from simulator.world import MOSCOW, moscow_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from connectors.base.tables import Header
    from simulator.face import Options
    from simulator.world import World

BUCKET = "dealer-inbox"
PREFIX = "throughline/"
LARGEST_PAGE = 1000
REQUESTS_PER_SECOND = 100
_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/s3/aws4_request, "
    r"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=[0-9a-f]{64}"
)
_SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_LISTED = re.compile(
    rb"<Size>\d+</Size><ETag>&quot;(?P<etag>[0-9a-f]{32})&quot;</ETag>"
)
_made: dict[str, bytes] = {}  # what was ever in a bucket, by its MD5 sum
Table = list[list[Any]]


@dataclass(frozen=True)
class Stored:
    """One object of the bucket."""

    body: bytes
    name: str

    def __post_init__(self) -> None:
        _made[self.etag] = self.body

    @property
    def etag(self) -> str:
        """The MD5 sum, as for every object that was uploaded in one part."""
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()


class ApiError(Exception):
    """An error as S3 words it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        self.response = _xml(body, status)


class Simulator(Face):
    """Answers as an S3-compatible store would for the dealer's bucket."""

    branch = "kazan"

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self._limit = RateLimit(REQUESTS_PER_SECOND, seconds=1)
        self._lock = threading.Lock()
        self._known: tuple[World | None, dict[str, Stored]] = (None, {})

    def handle(self, request: Request) -> Response:
        """One answer to one request."""
        try:
            if self.options.rate_limits and self._limit.is_exceeded():
                raise ApiError(503, "SlowDown", "Please reduce your request rate.")
            self._check_signature(request)
            bucket, _, key = request.path.lstrip("/").partition("/")
            if bucket != BUCKET:
                raise ApiError(404, "NoSuchBucket", "The bucket does not exist")
            if request.method != "GET":
                raise ApiError(405, "MethodNotAllowed", "Not allowed on this resource")
            return self._object(key) if key else self._list(request)
        except ApiError as error:
            return error.response

    def unauthorized(self, request: Request) -> Response:
        """The answer to a key that was taken away."""
        del request
        return ApiError(
            403, "InvalidAccessKeyId", "The access key does not exist in our records."
        ).response

    def _check_signature(self, request: Request) -> None:
        given = request.headers.get("Authorization", "")
        match = _CREDENTIAL.fullmatch(given)
        if match is None:
            raise ApiError(403, "AccessDenied", "Access Denied")
        try:
            at = datetime.strptime(
                request.headers.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ"
            ).replace(tzinfo=UTC)
        except ValueError:
            raise ApiError(403, "AccessDenied", "A valid date is required") from None
        if abs(datetime.now(UTC) - at) > timedelta(minutes=15):
            raise ApiError(403, "RequestTimeTooSkewed", "The clocks differ too much.")
        expected = signed(
            host=request.headers.get("Host", ""),
            path=quote(f"/files{request.path}", safe="/"),
            query="&".join(
                f"{name}={quote(value, safe='')}"
                for name, values in sorted(request.query.items())
                for value in values
            ),
            region=match[2],
            access_key=match[1],
            secret_key=self.options.token("files"),
            at=at,
        )
        if given != expected["Authorization"]:
            raise ApiError(
                403, "SignatureDoesNotMatch", "The signature we calculated is another."
            )

    def _list(self, request: Request) -> Response:
        if request.param("list-type") != "2":
            raise ApiError(400, "InvalidArgument", "Only list-type 2 is simulated")
        prefix = request.param("prefix") or ""
        after = request.param("continuation-token") or ""
        size = self.options.rows_per_page("files", LARGEST_PAGE)
        objects = self._objects()
        keys = sorted(key for key in objects if key.startswith(prefix) and key > after)
        page, rest = keys[:size], keys[size:]
        parts = [
            f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<MaxKeys>{size}</MaxKeys><KeyCount>{len(page)}</KeyCount>"
            f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>"
        ]
        if rest:
            token = escape(page[-1])
            parts.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
        for key in page:
            stored = objects[key]
            parts.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(stored.body)}</Size>"
                f"<ETag>&quot;{stored.etag}&quot;</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            )
        inside = "".join(parts)
        return _xml(f'<ListBucketResult xmlns="{_SPACE}">{inside}</ListBucketResult>')

    def _object(self, key: str) -> Response:
        stored = self._objects().get(key)
        if stored is None:
            raise ApiError(404, "NoSuchKey", "The specified key does not exist.")
        headers = {
            "Content-Type": "application/octet-stream",
            "ETag": f'"{stored.etag}"',
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(stored.name)}",
        }
        return Response(200, headers, stored.body)

    def _objects(self) -> dict[str, Stored]:
        """The files as they are now; made anew when the clock moves."""
        view = self.view
        with self._lock:
            if self._known[0] is not view:
                made = {
                    f"{PREFIX}{folder}/{name}": Stored(body, name)
                    for folder, name, body in _files(view)
                }
                self._known = (view, made)
            return self._known[1]


def _files(view: World) -> Iterable[tuple[str, str, bytes]]:
    """(folder, name, content) of all files."""
    costs = [each for each in view.manual_costs if each.where == "file"]
    for week, some in _weeks((each.entered_at, each) for each in costs):
        rows: Table = [
            ["Расходы на рекламу"],
            [],
            ["Период", None, "Источник", "Тип", "Кампания", "Сумма"],
            ["с", "по", None, None, None, None],
        ]
        rows += [
            [c.date_from, c.date_to, c.source, c.medium, c.campaign,
             c.amount_kopecks / 100]
            for c in some
        ]  # fmt: skip
        total = sum(each.amount_kopecks for each in some) / 100
        rows.append(["Итого", None, None, None, None, total])
        yield "costs", f"Расходы {week}.xlsx", _workbook(rows, ("A3:B3",))
    stages = {
        each.status_id: each.name
        for each in view.statuses
        if each.entity_id.startswith("DEAL")
    }
    managers = {m.manager_id: f"{m.name} {m.last_name}" for m in view.managers}
    for week, deals in _weeks((each.created_at, each) for each in view.deals):
        rows = [["Номер сделки", "Дата создания", "Дата закрытия", "Этап", "Сумма",
                 "Маржа", "Сумма возврата", "Дата возврата", "Номер заявки", "Телефон",
                 "Клиент", "Автомобиль", "Источник", "Менеджер"]]  # fmt: skip
        rows += [
            [d.deal_id, _typed(d.created_at), _typed(d.closed_at),
             stages.get(d.stage_id, d.stage_id), _roubles(d.amount_kopecks),
             _roubles(d.margin_kopecks), _roubles(d.refund_kopecks),
             f"{d.refund_date:%d.%m.%Y}" if d.refund_date else "", d.lead_id or "",
             d.phone, d.client_name, d.interest, d.source_id,
             managers.get(d.manager_id, "")]
            for d in deals
        ]  # fmt: skip
        yield "deals", f"deals_{week}.csv", _csv(rows, ";", "windows-1251")
    for week, sales in _weeks((each.at, each) for each in view.offline_sales):
        rows = [["Номер чека", "Дата продажи", "Сумма", "Себестоимость", "Телефон", "Клиент",
                 "Откуда узнали"]]  # fmt: skip
        rows += [
            [s.sale_id, s.at.astimezone(MOSCOW).replace(tzinfo=None),
             s.amount_kopecks / 100, s.cost_kopecks / 100, _number(s.phone), s.name,
             s.source]
            for s in sales
        ]  # fmt: skip
        yield "offline_sales", f"Продажи {week}.xlsx", _workbook(rows)
    for week, payments in _weeks((each.at, each) for each in view.payments):
        rows = [["Номер платежа", "Номер договора", "Дата оплаты", "Сумма",
                 "Способ оплаты"]]  # fmt: skip
        rows += [
            [
                p.payment_id,
                p.deal_id,
                _typed(p.at),
                _roubles(p.amount_kopecks),
                p.method,
            ]
            for p in payments
        ]
        yield "payments", f"payments_{week}.csv", _csv(rows, ",", "utf-8-sig")
    leases = view.number_leases
    for week, shown in _weeks((each.shown_from, each) for each in leases):
        rows = [["Подменный номер", "ClientID Метрики", "ID посетителя", "Показан с",
                 "Показан по"]]  # fmt: skip
        rows += [
            [_as_printed(s.number), s.client_id or "", s.visitor_id or "",
             _typed(s.shown_from), _typed(s.shown_to)]
            for s in shown
        ]  # fmt: skip
        yield "number_leases", f"numbers_{week}.csv", _csv(rows, ";", "windows-1251")


def _weeks(rows: Iterable[tuple[datetime, Any]]) -> list[tuple[date, list[Any]]]:
    """Rows by the Monday of their week."""
    found: dict[date, list[Any]] = defaultdict(list)
    for at, row in rows:
        day = moscow_day(at)
        found[day - timedelta(days=day.weekday())].append(row)
    return sorted(found.items())


def _typed(at: datetime | None) -> str:
    return f"{at.astimezone(MOSCOW):%d.%m.%Y %H:%M:%S}" if at else ""


def _roubles(kopecks: int | None) -> str:
    """Money as people type it: thousands apart by a no-break space, decimal comma."""
    if kopecks is None:
        return ""
    whole, rest = divmod(abs(kopecks), 100)
    grouped = f"{whole:,}".replace(",", "\u00a0")
    return f"{'-' if kopecks < 0 else ''}{grouped},{rest:02}"


def _number(phone: str) -> Any:
    """A phone of digits only becomes a number in a workbook."""
    return int(phone) if phone.isdigit() else phone


def _as_printed(number: str) -> str:
    """One of the firm's numbers as its site prints it."""
    return f"8 ({number[1:4]}) {number[4:7]}-{number[7:9]}-{number[9:]}"


def _csv(rows: Table, separator: str, encoding: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows(rows)
    return text.getvalue().encode(encoding)


def _workbook(rows: Table, merged: tuple[str, ...] = ()) -> bytes:
    """The same bytes for the same rows: no moments of its making are in it."""
    book = openpyxl.Workbook()
    book.properties.created = book.properties.modified = datetime(2026, 1, 1)  # noqa: DTZ001
    sheet = book.active
    sheet.title = "Лист1"
    for row in rows:
        sheet.append(row)
    for cells in merged:
        sheet.merge_cells(cells)
    made, body = io.BytesIO(), io.BytesIO()
    book.save(made)
    with (
        zipfile.ZipFile(made) as source,
        zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(
                    rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"2026-01-01T00:00:00Z", content
                )
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)
    return body.getvalue()


def _xml(inside: str, status: int = 200) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{inside}'
    return Response(status, {"Content-Type": "application/xml"}, body.encode())


def change_body(body: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Let a test change every row of a file, as a record by our names.

    A column that `change` takes away leaves the table, one that it adds joins it. In a
    list of the bucket, sizes and sums become those of the changed files.
    """
    if body.startswith(b"<?xml"):

        def listed(match: re.Match[bytes]) -> bytes:
            changed = Stored(change_body(_made[match["etag"].decode()], change), "")
            etag = changed.etag.encode()
            size = str(len(changed.body)).encode()
            return b"<Size>" + size + b"</Size><ETag>&quot;" + etag + b"&quot;</ETag>"

        return _LISTED.sub(listed, body)
    if body.startswith(b"PK"):
        sheet = openpyxl.load_workbook(io.BytesIO(body)).active
        rows = [list(row) for row in sheet.iter_rows(values_only=True)]
        return _workbook(_changed(rows, change))
    encoding = "utf-8-sig" if body.startswith(b"\xef\xbb\xbf") else "windows-1251"
    separator = "," if encoding == "utf-8-sig" else ";"
    text = io.StringIO(body.decode(encoding), newline="")
    rows = list(csv.reader(text, delimiter=separator))
    return _csv(_changed(rows, change), separator, encoding)


def _changed(rows: Table, change: Callable[[dict[str, Any]], None]) -> Table:
    """The table with its rows changed; the plan with the likeliest header names them."""
    best: Header | None = None
    for plan in PLANS.values():
        try:
            header = find_header(list(enumerate(rows, 1)), plan.columns)
        except HeaderError:
            continue
        if best is None or len(header.places) > len(best.places):
            best = header
    assert best is not None, "every file has a header"
    title = rows[best.line - 1]
    for row in rows[best.line :]:
        row += [None] * (len(title) - len(row))
    left = {}
    for row in rows[best.line :]:
        if row[0] is None or row[0] == "Итого":
            continue
        record = {name: row[place] for name, place in best.places.items()}
        for name in ("deal_id", "payment_id", "sale_id", "lead_id"):
            if record.get(name) is not None:
                record[name] = str(record[name])
        change(record)
        for name, place in best.places.items():
            left[place] = name not in record
            value = record.pop(name, None)
            row[place] = str(value) if isinstance(value, dict) else value
        for name, value in record.items():
            if name not in title:
                title.append(name)
            row += [None] * (len(title) - len(row))
            row[title.index(name)] = value
    for place in (place for place, is_gone in left.items() if is_gone):
        for row in rows[max(0, best.line - 2) : best.line]:
            row[place] = None
    return rows
