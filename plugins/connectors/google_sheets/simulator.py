"""The spreadsheet of the simulated call centre, as the Sheets API would give it.

Speaks `POST /token` (OAuth), `GET /v4/spreadsheets/{id}/values/{range}` and
`values:batchGet`, with both ways to render values and dates. Two sheets as people keep them: requests (`Заявки`:
titles above the header, phones that became numbers, several in a cell, dates as text
here and there, short rows), and costs (`Расходы`: a header of two lines, roubles typed
by hand, a line of totals).
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from simulator.face import (
    Face,
    RateLimit,
    Request,
    Response,
    TokenDesk,
    json_response,
    text_response,
)
from simulator.world import MOSCOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.face import Options
    from simulator.world import Lead, ManualCost, World

SPREADSHEET_ID = "1kZnDealerCallCentre-0123456789abcdefABCD"
READS_PER_MINUTE = 60
LEAD_HEADER = ("№", "Дата", "Телефон", "Имя", "Марка", "Статус", "Откуда", "Оператор",
               "Комментарий")  # fmt: skip
COST_HEADER = (
    ("Период", "", "Площадка", "Тип", "Кампания", "Сумма, руб."),
    ("с", "по"),
)

_PATH = re.compile(r"/v4/spreadsheets/([^/]+)/values(?:/(.+)|:batchGet)")
_RANGE = re.compile(r"(?:'((?:[^']|'')+)'|([^'!]+))(?:!([A-Z]+)(\d*):([A-Z]+)(\d*))?")
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 - a local time
Row = list[Any]


class ApiError(Exception):
    """An error as Google words it."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        error = {"code": code, "message": message, "status": status}
        self.response = json_response({"error": error}, code)


class Simulator(Face):
    """Answers as sheets.googleapis.com would for the dealer's one spreadsheet."""

    branch = "kazan"

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self.desk: TokenDesk = TokenDesk(options, "google_sheets")
        self._limit = RateLimit(READS_PER_MINUTE, seconds=60)

    def handle(self, request: Request) -> Response:
        """One answer to one request."""
        if request.path == "/token":
            return self.desk.answer(request)
        path = _PATH.fullmatch(request.path)
        if path is None or request.method != "GET":
            page = "<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title></html>"
            return text_response(page, 404, content_type="text/html; charset=UTF-8")
        if not self.desk.accepts(request):
            return self.unauthorized(request)
        try:
            if self.options.rate_limits and self._limit.is_exceeded():
                raise ApiError(
                    429,
                    "RESOURCE_EXHAUSTED",
                    "Quota exceeded for quota metric 'Read requests' and limit 'Read "
                    "requests per minute per user' of service 'sheets.googleapis.com'.",
                )
            if path[1] != SPREADSHEET_ID:
                raise ApiError(
                    403, "PERMISSION_DENIED", "The caller does not have permission"
                )
            if path[2] is not None:
                return json_response(self._values(request, unquote(path[2])))
            parts = [self._values(request, each) for each in request.query["ranges"]]
            content = {"spreadsheetId": SPREADSHEET_ID, "valueRanges": parts}
            return json_response(content)
        except ApiError as error:
            return error.response

    def unauthorized(self, request: Request) -> Response:
        """The answer to an access token that has run out."""
        del request
        return ApiError(
            401, "UNAUTHENTICATED", "Request had invalid authentication credentials."
        ).response

    def _values(self, request: Request, asked: str) -> dict[str, Any]:
        match = _RANGE.fullmatch(asked)
        title = (match[1] or match[2]) if match else ""
        if match is None or title not in ("Заявки", "Расходы"):
            raise ApiError(400, "INVALID_ARGUMENT", f"Unable to parse range: {asked}")
        if request.param("majorDimension", "ROWS") != "ROWS":
            raise ApiError(400, "INVALID_ARGUMENT", "Only ROWS are simulated")
        rows = self._leads() if title == "Заявки" else self._costs()
        as_text = request.param("valueRenderOption") != "UNFORMATTED_VALUE"
        dates = request.param("dateTimeRenderOption", "SERIAL_NUMBER")
        rows = [
            [
                _rendered(cell, as_text, as_text or dates == "FORMATTED_STRING")
                for cell in r
            ]
            for r in rows
        ]
        left, top = _place(match[3] or "A"), int(match[4] or 1)
        right, bottom = _place(match[5] or "Z"), int(match[6] or 1000)
        rows = [row[left : right + 1] for row in rows[top - 1 : bottom]]
        for row in rows:
            while row and row[-1] == "":
                row.pop()
        while rows and not rows[-1]:
            rows.pop()
        content = {
            "range": f"'{title}'!{match[3] or 'A'}{top}:{match[5] or 'Z'}{bottom}",
            "majorDimension": "ROWS",
        }
        return {**content, "values": rows} if rows else content

    def _leads(self) -> list[Row]:
        rows: list[Row] = [["Заявки колл-центра"], [], list(LEAD_HEADER)]
        managers = {
            each.manager_id: f"{each.name} {each.last_name}"
            for each in self.view.managers
        }
        rows += [
            _lead(lead, managers.get(lead.manager_id, "")) for lead in self.view.leads
        ]
        return rows

    def _costs(self) -> list[Row]:
        rows: list[Row] = [list(line) for line in COST_HEADER]
        costs = [each for each in self.view.manual_costs if each.where == "sheet"]
        rows += [_cost(each) for each in costs]
        total = sum(each.amount_kopecks for each in costs)
        return [*rows, [], ["Итого", "", "", "", "", total / 100]]


def _lead(lead: Lead, manager: str) -> Row:
    at: Any = lead.created_at.astimezone(MOSCOW).replace(tzinfo=None, microsecond=0)
    if lead.lead_id % 7 == 0:
        at = f"{at:%d.%m.%Y %H:%M:%S}"  # pasted from elsewhere, so it stayed text
    phone: Any = lead.phones[0] if lead.phones else ""
    if phone.isdigit():
        phone = int(phone)
    elif lead.lead_id % 5 == 0 and re.fullmatch(r"\+7\d{10}", phone):
        phone = f"{phone[1]},{phone[2:]}E+10"
    name = " ".join(filter(None, (lead.last_name, lead.name)))
    return [
        lead.lead_id, at, phone, name, lead.interest, lead.status_text, lead.source_id,
        manager, lead.comments,
    ]  # fmt: skip


def _cost(cost: ManualCost) -> Row:
    amount: Any = cost.amount_kopecks / 100
    if cost.cost_id % 3 == 0:
        whole, rest = divmod(cost.amount_kopecks, 100)
        grouped = f"{whole:,}".replace(",", "\u00a0")
        amount = f"{grouped},{rest:02} ₽"
    one_day = cost.date_to == cost.date_from
    date_to = "" if one_day else cost.date_to
    return [cost.date_from, date_to, cost.source, cost.medium, cost.campaign, amount]


def _rendered(cell: Any, as_text: bool, dates_as_text: bool) -> Any:
    """A cell as the API gives it: text, or a number; a date may be a day number."""
    if isinstance(cell, date):
        if dates_as_text:
            has_time = isinstance(cell, datetime)
            return f"{cell:%d.%m.%Y %H:%M:%S}" if has_time else f"{cell:%d.%m.%Y}"
        if not isinstance(cell, datetime):
            return (datetime.combine(cell, time.min) - _FIRST_DAY).days
        return (cell - _FIRST_DAY).total_seconds() / 86400
    if as_text and isinstance(cell, int):
        # what a narrow column shows of a phone
        return f"{cell:.5E}".replace(".", ",") if cell > 10**10 else str(cell)
    if as_text and isinstance(cell, float):
        return f"{cell:,.2f}".replace(",", "\u00a0").replace(".", ",")
    return cell


def _place(letters: str) -> int:
    """The number of a column from 0: A is 0, AA is 26."""
    place = 0
    for letter in letters:
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1


def change_records(content: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    """Let a test change every row below the header, as a record by our names.

    What `change` takes away leaves the table, header and all; what it adds joins it.
    """
    rows: list[Row] | None = (
        content.get("values") if isinstance(content, dict) else None
    )
    found = next(
        (
            (at + 1, names)
            for at in range(len(rows or []))
            if (names := _names((rows or [])[at]))
        ),
        None,
    )
    if rows is None or found is None:
        return content
    below, names = found
    titles = {
        place: rows[below - 1][place] for place in names if place < len(rows[below - 1])
    }
    left: set[int] = set()
    for row in rows[below:]:
        row += [""] * (len(names) - len(row))
        if not row[0] or row[0] == "Итого":
            continue
        record = {
            name: str(row[place]) if name == "lead_id" else row[place]
            for place, name in names.items()
        }
        change(record)
        for place, name in names.items():
            row[place] = record.pop(name, "")
            left |= {place} if row[place] == "" and place in titles else set()
        for name in record:
            row.append(record[name])
            rows[below - 1] += [""] * (len(names) - len(rows[below - 1]))
            if name not in rows[below - 1]:
                rows[below - 1].append(name)
    for place in left:
        if all(len(row) <= place or row[place] == "" for row in rows[below:]):
            for row in rows[max(0, below - 2) : below]:
                if place < len(row):
                    row[place] = ""
    return content


def _names(row: Row) -> dict[int, str]:
    """Our names of the columns under this line, if it is the last one of a header."""
    names: tuple[str, ...]
    if tuple(row) == LEAD_HEADER:
        names = ("lead_id", "created_at", "phone", "name", "interest", "status",
                 "source", "manager", "comment")  # fmt: skip
    elif tuple(row) == COST_HEADER[1]:
        names = ("date_from", "date_to", "source", "medium", "campaign", "amount")
    else:
        return {}
    return dict(enumerate(names))
