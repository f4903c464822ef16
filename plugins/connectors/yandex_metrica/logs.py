"""Metrica's Logs API: order a log, wait for it, download its parts, clean it.

A prepared log takes room of the counter's 10 GB until it is cleaned; when the room is
full nothing can be ordered any more. So a log is cleaned whatever happens, and what a
killed run left behind is cleaned by the next one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson

from connectors.base.batch import Record, TsvBatch
from connectors.base.client import line_blocks
from connectors.base.errors import (
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.yandex_metrica.errors import TokenRefused, api_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from connectors.base.client import ApiClient
    from connectors.base.stream import Stream, Window

log = logging.getLogger(__name__)

ATTRIBUTION = "LAST"
YEAR = 365  # days in one order
ORDERS = 3  # a log that fails to be made is ordered again
TRIES = 3
POLL_SECONDS = (1, 2, 4, 8, 16, 20)
UNFINISHED = ("created", "awaiting_retry")


class LogRequests:
    """The logs of one counter that hold the fields of one stream."""

    def __init__(
        self, client: ApiClient, counter_id: int, stream: Stream, *, budget: float
    ) -> None:
        self._client = client
        self._path = f"management/v1/counter/{counter_id}"
        self._stream = stream
        self._budget = budget
        self._fields = [field.name for field in stream.fields]

    def read(self, window: Window) -> Iterator[TsvBatch]:
        """All rows of the window, log by log; each log is whole before its first row.

        Raises RetriableError when a log does not come whole or is not made in
        `budget` seconds, FatalError when there is no room for it.
        """
        self.clean_stale()
        for piece in self._plan(window):
            yield from self._read(piece)

    def list(self) -> list[Mapping[str, Any]]:
        """Every log of the counter that the API still knows, whoever ordered it.

        Raises ParseError for another shape.
        """
        value = self._client.get(f"{self._path}/logrequests").json()
        found = value.get("requests") if isinstance(value, dict) else None
        if not isinstance(found, list) or not all(isinstance(r, dict) for r in found):
            raise ParseError("yandex_metrica: the list of logs has no list `requests`")
        return found

    def clean_stale(self) -> None:
        """Clean what killed runs left: logs of exactly these fields."""
        for each in self.list():
            fields, status = each.get("fields"), each.get("status")
            own = isinstance(fields, list) and {*map(str, fields)} == {*self._fields}
            if own and (status == "processed" or status in UNFINISHED):
                log.warning(
                    "log %s of an earlier run is cleaned", each.get("request_id")
                )
                self._end_quietly(each.get("request_id"), str(status))

    # -- one log ------------------------------------------------------------------

    def _plan(self, window: Window) -> Iterator[Window]:
        """The window in pieces that may be ordered, as `evaluate` says."""
        for year in window.chunks(YEAR):
            query = self._query(year)
            answer = self._client.get(f"{self._path}/logrequests/evaluate", query)
            found = _object(answer.json(), "log_request_evaluation", "possible", bool)
            if found["possible"]:
                yield year
                continue
            days = found.get("max_possible_day_quantity")
            if type(days) is not int or days < 1:  # it may be negative
                raise FatalError(
                    "yandex_metrica: the counter's storage of prepared logs (10 GB) is "
                    "full of logs that other programs ordered: clean them there, or "
                    "wait until Metrica does"
                )
            log.info("evaluate allows %d days in one log: the window is split", days)
            yield from year.chunks(days)

    def _read(self, window: Window) -> Iterator[TsvBatch]:
        for attempt in range(1, ORDERS + 1):
            number = self._order(window)
            status = "created"
            try:
                ready = self._wait(number)
                status = ready["status"]
                if status == "processed":
                    yield from self._parts(number, ready)
            except BaseException:
                # Also when the reader stops half-way or the task is killed politely.
                self._end_quietly(number, status)
                raise
            self._end(number, status)
            if status == "processed":
                return
            log.warning("log %s ended as %s (order %d)", number, status, attempt)
        raise RetriableError(
            f"yandex_metrica: Metrica failed to make the log of {window.date_from} to "
            f"{window.last_day} {ORDERS} times (the last status was {status})"
        )

    def _query(self, window: Window) -> dict[str, str]:
        return {
            "date1": window.date_from.isoformat(),
            "date2": window.last_day.isoformat(),
            "fields": ",".join(self._fields),
            "source": self._stream.name,
            "attribution": ATTRIBUTION,
        }

    def _order(self, window: Window) -> int:
        query = self._query(window)
        answer = self._client.post(f"{self._path}/logrequests", params=query)
        found = _object(answer.json(), "log_request", "request_id", int)
        return int(found["request_id"])

    def _wait(self, number: int) -> Mapping[str, Any]:
        """The log once it is neither being made nor waiting to be."""
        asked = 0

        def ask() -> dict[str, Any]:
            answer = self._client.get(f"{self._path}/logrequest/{number}")
            return _object(answer.json(), "log_request", "status", str)

        def pending(found: dict[str, Any]) -> float | None:
            nonlocal asked
            asked += 1
            if found["status"] not in UNFINISHED:
                return None
            return POLL_SECONDS[min(asked, len(POLL_SECONDS)) - 1]

        return self._client.poll(
            ask, pending, what=f"log {number}", budget=self._budget
        )

    def _parts(self, number: int, ready: Mapping[str, Any]) -> Iterator[TsvBatch]:
        parts = ready.get("parts", [])
        if not isinstance(parts, list) or not all(
            isinstance(part, dict) for part in parts
        ):
            raise ParseError(f"yandex_metrica: log {number} has no list `parts`")
        sizes = {part.get("part_number"): part.get("size") for part in parts}
        if {*sizes} != {*range(len(parts))}:
            raise ParseError(
                f"yandex_metrica: the parts of log {number} are not numbered from 0 up "
                f"without a gap: {list(sizes)}"
            )
        if any(type(size) is not int for size in sizes.values()):
            raise ParseError(f"yandex_metrica: log {number} has a part without a size")
        whole = ready.get("size")
        if type(whole) is int and whole > sum(sizes.values()):
            raise RetriableError(
                f"yandex_metrica: log {number} of {whole} bytes lists parts of "
                f"{sum(sizes.values())}: a part is missing"
            )
        seen: set[bytes] = set()
        for part in range(len(parts)):
            first = True
            for batch in self._part(number, part, sizes[part]):
                start = batch.body[:4096]
                if first and start in seen:
                    raise ParseError(
                        f"yandex_metrica: part {part} of log {number} is another "
                        "part again"
                    )
                first = False
                seen.add(start)
                yield batch

    def _part(self, number: int, part: int, size: int) -> Iterator[TsvBatch]:
        path = f"{self._path}/logrequest/{number}/part/{part}/download"
        for _ in range(TRIES):
            # The end is proved by the declared size, so no length need be declared.
            with self._client.download("GET", path, allow_unframed=True) as download:
                if download.size < size:
                    log.warning(
                        "part %d of log %d has %d bytes of %d: downloaded again",
                        part,
                        number,
                        download.size,
                        size,
                    )
                    continue
                yield from batches(self._stream, download.blocks())
                return
        raise RetriableError(
            f"yandex_metrica: part {part} of log {number} came cut {TRIES} times"
        )

    def _end(self, number: Any, status: str) -> None:
        """Give the room of a log back. Raises what hinders it."""
        action = {"processed": "clean", **dict.fromkeys(UNFINISHED, "cancel")}.get(
            status
        )
        if action is None:
            return
        path = f"{self._path}/logrequest/{number}"
        try:
            self._client.post(f"{path}/{action}")
        except TokenRefused:
            raise
        except FatalError:
            # Perhaps it is done: the answer to an earlier try was lost on its way.
            value = self._client.get(path).json()
            if _object(value, "log_request", "status", str)["status"] == status:
                raise

    def _end_quietly(self, number: Any, status: str) -> None:
        """The same when something else went wrong already; the next run cleans."""
        try:
            self._end(number, status)
        except ConnectorError as error:
            log.warning("log %s could not be given back: %s", number, error)


def batches(stream: Stream, blocks: Iterable[bytes]) -> Iterator[TsvBatch]:
    """The rows of one part, in pieces; columns by the part's own header.

    Raises ParseError for what is no such log or lacks a field that is needed.
    """
    columns: tuple[str, ...] | None = None
    for block in line_blocks(iter(blocks)):
        rows = block
        if columns is None:
            header, _, rows = block.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
            columns = _columns(stream, header)
        if rows.strip(b"\r\n"):
            yield TsvBatch(columns, rows.replace(b"\r\n", b"\n"), escaped=True)


def records(stream: Stream, body: bytes) -> list[Record]:
    """A recorded part as records of text. Raises ParseError, as `batches` does."""
    try:
        return [r for batch in batches(stream, [body]) for r in batch.records()]
    except ValueError as error:
        raise ParseError(f"a row of {stream.name} does not fit: {error}") from error


def _columns(stream: Stream, header: bytes) -> tuple[str, ...]:
    where = f"yandex_metrica {stream.name}"
    try:
        columns = tuple(header.decode("utf-8").rstrip("\r").split("\t"))
    except UnicodeDecodeError as error:
        raise ParseError(
            f"{where}: the header is not UTF-8: {header[:80]!r}"
        ) from error
    if not all(column.startswith("ym:") for column in columns):
        raise ParseError(f"{where}: no log, its first line is {header[:80]!r}")
    if len({*columns}) != len(columns):
        raise ParseError(f"{where}: a column appears twice")
    missing = [name for name in stream.required_fields if name not in columns]
    if missing:
        raise ParseError(f"{where}: the log lacks the columns {', '.join(missing)}")
    absent = [f.name for f in stream.fields if f.name not in columns]
    if absent:
        log.warning("%s: the log lacks the columns %s", where, ", ".join(absent))
    return columns


def error_in(body: bytes, label: str) -> ConnectorError | None:
    """The error a recorded body holds, or None; `label` begins its text."""
    try:
        return api_error(orjson.loads(body), 400, label)
    except orjson.JSONDecodeError:
        return None


def _object(value: Any, name: str, needed: str, kind: type) -> dict[str, Any]:
    """The object of this name in an answer, with a field of the type it must have."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, dict) or type(found.get(needed)) is not kind:
        raise ParseError(f"yandex_metrica: the answer has no {name}.{needed}")
    return found
