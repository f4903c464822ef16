"""Direct's Reports service: what to order and how to read what comes.

A report is TSV without quoting or escapes: `"title"`, a line of columns, rows, and
`Total rows: N`, which is the only proof that it is whole (a report may come with
neither a length nor chunks). `--` stands for "no value" and stays as it is.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from connectors.base.batch import TsvBatch
from connectors.base.client import line_blocks, retry_in
from connectors.base.errors import ParseError, RetriableError
from connectors.yandex_direct.errors import ApiError, ReportTooBig

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from connectors.base.batch import Record
    from connectors.base.client import ApiClient, Download
    from connectors.base.stream import Stream, Window

log = logging.getLogger(__name__)

PATH = "json/v501/reports"
HEADERS = {
    "processingMode": "auto",
    "returnMoneyInMicros": "false",
    "skipReportHeader": "true",
    "skipColumnHeader": "false",
    "skipReportSummary": "false",  # `Total rows: N` proves that nothing is missing
    "Accept-Language": "en",  # the summary line is told from rows by its English words
}
REPORT_TYPES = {"search_queries": "SEARCH_QUERY_PERFORMANCE_REPORT"}
"""Stream -> its type; others are CUSTOM_REPORT: grouped by the fields asked for."""

NETWORK_ONLY = [
    {"Field": "AdNetworkType", "Operator": "EQUALS", "Values": ["AD_NETWORK"]}
]
FILTERS = {"placements": NETWORK_ONLY}
"""Stream -> rows to ask for; of search there is one site, Yandex."""

POLL_SECONDS = 10  # at least, after some polls
TRIES = 3
MOST_ROWS = 1_000_000
"""A report of exactly so many rows may have been capped: it is split (unverified)."""

_BOM = b"\xef\xbb\xbf"
_NAME = re.compile(r"[A-Z][A-Za-z]*(_[A-Za-z0-9]+)*")
_SUMMARY = re.compile(rb"Total rows: ?(\d{1,12})\s*")
_TAIL = 128  # longer than any summary line


class Incomplete(ParseError):
    """The report has no summary line, or other rows than it says: it was cut."""


@dataclass(frozen=True)
class Reports:
    """The Reports service for one client (`login`), money with or without VAT."""

    client: ApiClient
    headers: Mapping[str, str]
    login: str
    with_vat: bool

    def read(self, stream: Stream, window: Window) -> Iterator[TsvBatch]:
        """The report of a window's days, each piece of it proved to be whole.

        It is ordered, asked for until it is there, and read to its end before its
        first row is given. Too big a report is split by days. Raises RetriableError
        when it does not come whole.
        """
        try:
            download, summary = self._whole(stream, window)
        except ReportTooBig as error:
            days = (window.date_to - window.date_from).days
            if days == 1:
                raise RetriableError(
                    f"{error}, though it is of one day: {window}"
                ) from None
            log.warning("%s; its %d days are asked for in halves", error, days)
            for half in window.chunks((days + 1) // 2):
                yield from self.read(stream, half)
            return
        with download:
            yield from batches(stream, download.blocks(), known=summary)

    def _whole(self, stream: Stream, window: Window) -> tuple[Download, Summary]:
        body = order(stream, window, self.login, with_vat=self.with_vat)
        headers = {**HEADERS, **self.headers}

        def ask() -> Download:
            # The end is proved by the summary line, so no length need be declared.
            return self.client.download(
                "POST", PATH, json=body, headers=headers, allow_unframed=True
            )

        polls = 0

        def pending(answer: Download) -> float | None:
            nonlocal polls
            if answer.status not in (201, 202):
                return None
            polls += 1
            # a queue that never ends is not asked as often as it says
            return max(retry_in(answer.headers), min(0.05 * (1 << polls), POLL_SECONDS))

        what = f"report {stream.name} of {window.date_from} to {window.last_day}"
        for _ in range(TRIES):
            download = self.client.poll(ask, pending, what=what)
            try:
                summary = summarise(stream, download.blocks())
                summary.prove()
            except Incomplete as error:
                download.close()
                log.warning("%s: %s; asking for it again", what, error)
                continue
            if summary.rows == MOST_ROWS and window.date_from < window.last_day:
                download.close()
                raise ReportTooBig(f"{what}: {MOST_ROWS} rows, which may be a cap")
            return download, summary
        raise RetriableError(f"{self.client.name}: {what} came cut {TRIES} times")


def order(
    stream: Stream, window: Window, login: str, *, with_vat: bool
) -> dict[str, Any]:
    """The body that orders a report of the stream over the window's days.

    The name is made of everything in the order: repeating an order asks for the same
    report again (how Direct is polled), and no two different orders share a name.
    """
    criteria: dict[str, Any] = {
        "DateFrom": window.date_from.isoformat(),
        "DateTo": window.last_day.isoformat(),
    }
    if wanted := FILTERS.get(stream.name):
        criteria["Filter"] = wanted
    params: dict[str, Any] = {
        "SelectionCriteria": criteria,
        "FieldNames": [field.name for field in stream.fields],
        "ReportType": REPORT_TYPES.get(stream.name, "CUSTOM_REPORT"),
        "DateRangeType": "CUSTOM_DATE",
        "Format": "TSV",
        "IncludeVAT": "YES" if with_vat else "NO",
        "IncludeDiscount": "NO",
    }
    asked = orjson.dumps([params, HEADERS], option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(asked).hexdigest()[:16]
    days = f"{window.date_from} {window.last_day}"
    params["ReportName"] = f"{stream.name} {login} {days} {digest}"
    return {"params": params}


@dataclass(frozen=True)
class Summary:
    """What a pass over a report found: rows read, and rows declared (None: no line).

    `is_even`: its lines end with `\n` alone, and none is empty.
    """

    rows: int
    declared: int | None
    is_even: bool = field(default=False, compare=False)

    def prove(self) -> None:
        """Raise Incomplete unless the report says how many rows it has, and has them."""
        if self.declared is None:
            raise Incomplete("the report has no line `Total rows: N`, so it may be cut")
        self.check()

    def check(self) -> None:
        """Raise Incomplete when the report has other rows than it says."""
        if self.declared not in (None, self.rows):
            raise Incomplete(
                f"the report has {self.rows} rows where it declares {self.declared}"
            )


def summarise(stream: Stream, blocks: Iterable[bytes]) -> Summary:
    """Read a report to its end without making anything of its rows."""
    reader = _Reader(stream)
    for _ in reader.batches(blocks):
        pass
    return reader.summary


def batches(
    stream: Stream, blocks: Iterable[bytes], known: Summary | None = None
) -> Iterator[TsvBatch]:
    """The rows of a report, in pieces; `known` is what an earlier pass found.

    The title and the column line may be missing (the stream's own fields are then
    taken). Raises ParseError for what is no report or lacks a column that the key or
    the amount needs, Incomplete when its rows are not those it declares.
    """
    is_even = known is not None and known.is_even
    reader = _Reader(stream, is_even=is_even)
    yield from reader.batches(blocks)
    if not is_even:
        reader.summary.check()


def records(stream: Stream, body: bytes) -> list[Record]:
    """A recorded report as records of text. Raises ParseError, as `batches` does."""
    try:
        return [r for batch in batches(stream, [body]) for r in batch.records()]
    except ValueError as error:
        raise ParseError(f"a row of {stream.name} does not fit: {error}") from error


class _Reader:
    def __init__(self, stream: Stream, *, is_even: bool = False) -> None:
        self._stream = stream
        self._is_known_even = is_even
        self._is_even = True
        self._rows = 0
        self._declared: int | None = None

    @property
    def summary(self) -> Summary:
        return Summary(self._rows, self._declared, self._is_even)

    def batches(self, blocks: Iterable[bytes]) -> Iterator[TsvBatch]:
        columns: tuple[str, ...] | None = None
        held = b""
        for block in line_blocks(iter(blocks)):
            held += block
            if columns is None:
                if held.count(b"\n") < 4 and len(held) < 1 << 20:
                    continue  # title, columns and a row, or all there is
                columns, held = self._columns(held)
            # The summary is the last line: what may hold it stays for the end.
            cut = held.rfind(b"\n", 0, max(len(held) - _TAIL, 0)) + 1
            if cut:
                yield self._batch(columns, held[:cut])
                held = held[cut:]
        if columns is None:
            columns, held = self._columns(held)
        rest = held.rstrip(b"\r\n")
        start = rest.rfind(b"\n") + 1
        if found := _SUMMARY.fullmatch(rest, start):
            self._declared = int(found[1])
            rest = rest[:start]
        if rest:
            yield self._batch(columns, rest)

    def _batch(self, columns: tuple[str, ...], rows: bytes) -> TsvBatch:
        if self._is_known_even:
            return TsvBatch(columns, rows)
        if b"\r" in rows and b"\r\n" in rows:
            rows = rows.replace(b"\r\n", b"\n")
            self._is_even = False
        if b"\n\n" in rows or rows.startswith(b"\n"):
            rows = b"\n".join(line for line in rows.split(b"\n") if line)
            self._is_even = False
        self._rows += rows.count(b"\n") + (not rows.endswith(b"\n")) * bool(rows)
        return TsvBatch(columns, rows)

    def _columns(self, start: bytes) -> tuple[tuple[str, ...], bytes]:
        """The columns and what follows them."""
        rest = start.removeprefix(_BOM)
        if rest.lstrip()[:1] in (b"<", b"{"):
            if (error := ApiError.in_body(rest)) is not None:
                raise error.as_error(f"yandex_direct {self._stream.name}")
            raise ParseError(f"not a report but a page or JSON: {rest[:80]!r}")
        if not rest.strip():
            raise Incomplete("the report is empty")
        line, _, after = rest.partition(b"\n")
        if line.startswith(b'"') and b"\t" not in line:
            rest = after
            line, _, after = rest.partition(b"\n")
        try:
            cells = tuple(line.decode("utf-8").rstrip("\r").split("\t"))
        except UnicodeDecodeError as error:
            raise ParseError(f"the report is not UTF-8: {line[:80]!r}") from error
        declared = tuple(field.name for field in self._stream.fields)
        named = all(_NAME.fullmatch(cell) for cell in cells)
        if not (named and {*cells} & {*declared}):
            # No column line: the rows begin at once, in the order that was asked for.
            is_summary = _SUMMARY.fullmatch(line.rstrip(b"\r"))
            if len(cells) != len(declared) and not is_summary:
                raise ParseError(
                    f"a report of {self._stream.name} without a column line must have "
                    f"{len(declared)} columns, this has {len(cells)}: {line[:80]!r}"
                )
            return declared, rest
        if len({*cells}) != len(cells):
            raise ParseError(
                "a column of the report appears twice: " + ", ".join(cells)
            )
        missing = [name for name in self._stream.required_fields if name not in cells]
        if missing:
            raise ParseError(
                f"the report is not one of {self._stream.name}: it lacks the columns "
                + ", ".join(missing)
            )
        return cells, after
