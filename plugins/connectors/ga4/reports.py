"""`runReport`: the body that asks, a page of rows as records, and what casts doubt.

All values are text as Google writes them: `20260531`, `12`, `(not set)`, `(other)`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, repeat
from operator import concat, contains, itemgetter
from typing import TYPE_CHECKING, Any

from connectors.base.batch import JsonBatch, Record
from connectors.base.errors import ConfigError, ParseError
from connectors.base.paging import Page, page_number
from connectors.base.stream import Window, from_json, outline
from connectors.ga4.errors import raise_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from connectors.base.client import ApiClient
    from connectors.base.sources import Account
    from connectors.base.stream import Stream

log = logging.getLogger(__name__)

PAGE = 100_000  # 250 000 is the most
DAYS_AT_ONCE = 31
METRIC_TYPES = ("TYPE_INTEGER", "TYPE_FLOAT")
OTHER = "(other)"


@dataclass(frozen=True)
class Reports:
    """The reports of one property; `path` is that of `:runReport`."""

    client: ApiClient
    path: str

    def read(
        self, stream: Stream, window: Window, account: Account
    ) -> Iterator[JsonBatch]:
        """All rows of the window's days, with a warning where Google is in doubt."""
        for chunk in window.chunks(DAYS_AT_ONCE):
            what = f"{self.client.name}: {stream.name} of {chunk.date_from} to "
            what += f"{chunk.last_day}"
            yield from self._pages(stream, chunk, account, what)

    def _pages(
        self, stream: Stream, window: Window, account: Account, what: str
    ) -> Iterator[JsonBatch]:
        start = 0
        asked_days = {f"{day:%Y%m%d}" for day in window.days}
        doubts: dict[str, None] = {}

        def fetch(number: int) -> Page[Record]:
            nonlocal start
            content = self._post(request(stream, window, offset=start))
            check_zone(content, window, account)
            page = page_of(stream, content, what)
            # what is no day at all is left to landing, which buries it
            days = {*map(itemgetter("date"), page.items)} - asked_days
            if others := [day for day in days if day.isdecimal()]:
                raise ParseError(f"{what}: rows of {others.pop()}")
            doubts.update(dict.fromkeys(doubts_in(content, page.items, what)))
            start += len(page.items)
            return page

        for records in page_number(fetch, key=stream.record_key, what=what):
            yield JsonBatch(list(records))
        if doubts:
            yield JsonBatch([], warnings=tuple(doubts))

    def sessions(self, window: Window, account: Account) -> str:
        """Sessions of the window, as one number."""
        body = {
            "dateRanges": [_range(window)],
            "metrics": [{"name": "sessions"}],
        }
        content = self._post(body)
        check_zone(content, window, account)
        rows = content.get("rows") or [{"metricValues": [{"value": "0"}]}]
        try:
            return str(rows[0]["metricValues"][0]["value"])
        except (LookupError, TypeError) as error:
            raise ParseError(f"{self.client.name}: no sessions: {error}") from error

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        content = self.client.post(self.path, body).json()
        if not isinstance(content, dict):
            raise ParseError(f"{self.client.name}: not a report: {outline(content)}")
        return content


def request(stream: Stream, window: Window, offset: int) -> dict[str, Any]:
    """The body that asks for rows from `offset` on, in an order that stays."""
    metrics = [f.name for f in stream.fields if f.name not in stream.key]
    return {
        "dateRanges": [_range(window)],
        "dimensions": [{"name": name} for name in stream.key],
        "metrics": [{"name": name} for name in metrics],
        "orderBys": [{"dimension": {"dimensionName": name}} for name in stream.key],
        "limit": str(PAGE),
        "offset": str(offset),
        "keepEmptyRows": False,
        "returnPropertyQuota": True,
    }


def parsed(stream: Stream, body: bytes, what: str) -> list[Record]:
    """A recorded page as records; dimensions it lacks are simply not there."""
    content = from_json(body)
    raise_in(content, what)
    return list(page_of(stream, content, what).items)


def page_of(stream: Stream, content: dict[str, Any], what: str) -> Page[Record]:
    """The rows of a page as flat records, and the number of rows on all pages.

    Neither `rows` nor `rowCount` means that nothing was found. Raises ParseError.
    """
    names = _names(content, "dimensionHeaders", what)
    metrics = _names(content, "metricHeaders", what)
    if not names or not metrics or "metadata" not in content:
        raise ParseError(f"{what}: not a report: {outline(content)}")
    rows, total = content.get("rows", []), content.get("rowCount", 0)
    if not isinstance(rows, list) or type(total) is not int:
        raise ParseError(f"{what}: rows or rowCount is not what it should be")
    columns = [*names, *metrics]
    missing = [n for n in stream.required_fields if n not in columns]
    if missing and rows:
        raise ParseError(f"{what}: the report has no column {', '.join(missing)}")
    cells = _rows(rows, "dimensionValues", names, what)
    figures = _rows(rows, "metricValues", metrics, what)
    values = map(concat, cells, figures)
    return Page(list(map(dict, map(zip, repeat(columns), values))), total=total)


def _names(content: dict[str, Any], part: str, what: str) -> list[str]:
    headers = content.get(part, [])
    try:
        names = [header["name"] for header in headers]
    except (TypeError, KeyError):
        raise ParseError(f"{what}: {part} has no names") from None
    if not all(isinstance(name, str) for name in names):
        raise ParseError(f"{what}: {part} has no names")
    return names


def _rows(
    rows: list[Any], part: str, names: list[str], what: str
) -> Iterator[tuple[str, ...]]:
    """The texts of each row; an empty value comes as {} or without text."""
    try:
        parts = list(map(itemgetter(part), rows))
    except (KeyError, TypeError):
        parts = [None]
    width = len(names)
    if not {*map(type, parts)} <= {list} or not {*map(len, parts)} <= {width}:
        raise ParseError(f"{what}: a row has not {width} {part}")
    cells = list(chain.from_iterable(parts))
    try:
        values = list(map(itemgetter("value"), cells))
    except (KeyError, TypeError):
        values = [c.get("value", "") if isinstance(c, dict) else None for c in cells]
    if not {*map(type, values)} <= {str}:
        raise ParseError(f"{what}: a value in {part} is not text")
    return zip(*[iter(values)] * width, strict=True)


def check_zone(content: dict[str, Any], window: Window, account: Account) -> None:
    """Raise ConfigError when the property's days begin at other moments than ours."""
    metadata = content.get("metadata")
    zone = metadata.get("timeZone") if isinstance(metadata, dict) else None
    if zone is None or zone == account.time_zone:
        return
    days = list(window.days)
    try:
        same = _midnights(days, str(zone)) == _midnights(days, account.time_zone)
    except (KeyError, ValueError, OSError):  # a zone nobody knows here
        same = False
    if not same:
        raise ConfigError(
            f"{account}: time_zone is {account.time_zone} in sources.yml, but the "
            f"property counts its days in {zone}: write {zone} there"
        )


def _midnights(days: list[date], zone: str) -> list[datetime]:
    """The moments at which these days begin and end in a zone, UTC."""
    windows = [Window(day, day + timedelta(days=1), zone) for day in days]
    return [moment for each in windows for moment in (each.start_at, each.end_at)]


def doubts_in(content: dict[str, Any], records: Any, what: str) -> list[str]:
    """Why the figures of a page are not the whole truth, one sentence each."""
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    doubts = []
    if metadata.get("subjectToThresholding"):
        doubts.append(
            f"{what}: Google withheld rows of few users (thresholding): sums are too low"
        )
    if metadata.get("dataLossFromOtherRow") or any(
        map(contains, map(dict.values, records), repeat(OTHER))
    ):
        doubts.append(
            f"{what}: too many different values: Google put the rest into {OTHER} rows"
        )
    for sample in metadata.get("samplingMetadatas") or ():
        if isinstance(sample, dict):
            read, space = (
                sample.get("samplesReadCount"),
                sample.get("samplingSpaceSize"),
            )
            doubts.append(
                f"{what}: sampled: estimated from {read} of {space} events of the days"
            )
    return doubts


def _range(window: Window) -> dict[str, str]:
    """Both days are read."""
    return {
        "startDate": window.date_from.isoformat(),
        "endDate": window.last_day.isoformat(),
    }
