"""Reports of the Data API: asked page by page, whole or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.base.errors import FatalError, ParseError, RetriableError
from connectors.base.paging import Page, page_number
from connectors.base.stream import Stream, outline
from connectors.comagic.errors import error_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from connectors.base.batch import Record

    Ask = Callable[[datetime, datetime, int, int], Page[Record]]

PAGE_SIZE = 10_000  # the most the API gives
MOST_ROWS = 100_000  # it looks no further into a report than this
SECOND = timedelta(seconds=1)


def read(
    ask: Ask, stream: Stream, first: datetime, last: datetime
) -> Iterator[Sequence[Record]]:
    """Every record from the second `first` to the second `last`, both included.

    `ask(first, last, offset, limit)` gives one page. The total declared on each page
    proves them complete. A report that is longer than the API can page through is
    read in halves of its time. Raises ParseError, RetriableError (see paging), and
    FatalError for a second with too many records.
    """
    what = f"{stream.name} {first} to {last}"
    start = ask(first, last, 0, PAGE_SIZE)
    if (start.total or 0) > MOST_ROWS:
        if first >= last:
            raise FatalError(f"{what}: over {MOST_ROWS} records in one second")
        middle = (first + (last - first) / 2).replace(microsecond=0)
        yield from read(ask, stream, first, middle)
        yield from read(ask, stream, middle + SECOND, last)
        return
    offset = 0
    seen: set[str] = set()
    earliest, latest = str(first), str(last)
    date_field = stream.date_field or ""

    def fetch(number: int) -> Page[Record]:
        nonlocal offset
        page = start if not number else ask(first, last, offset, MOST_ROWS - offset)
        offset += len(page.items)
        moments = [str(record.get(date_field))[:19] for record in page.items]
        if moments and not earliest <= min(moments) <= max(moments) <= latest:
            for at in moments:
                if not earliest <= at <= latest and at[:10].count("-") == 2:
                    raise ParseError(f"{what}: a record of {at} came")
        # one without a key becomes a dead letter
        keys = [key for key in stream.record_keys(page.items) if key is not None]
        before = len(seen)
        seen.update(keys)
        if len(seen) < before + len(keys):
            raise RetriableError(f"{what}: rows came twice: they moved while paging")
        return page

    yield from page_number(fetch, key=lambda _: None, first=0, what=what)


def page_of(content: Any, what: str) -> Page[Record]:
    """The records and the total of an answer. Raises ParseError for another shape."""
    result = content.get("result") if isinstance(content, dict) else None
    data = result.get("data") if isinstance(result, dict) else None
    if not isinstance(data, list) or not {*map(type, data)} <= {dict}:
        raise ParseError(f"{what}: no list of records: {outline(content)}")
    meta = result.get("metadata") if isinstance(result, dict) else None
    total = meta.get("total_items") if isinstance(meta, dict) else None
    if not isinstance(total, int) or isinstance(total, bool):
        raise ParseError(f"{what}: metadata declares no total_items")
    return Page(data, total=total)


def recorded(content: Any, stream: Stream) -> list[Record]:
    """Records of a recorded body: a report's page, or a call as other services of the
    vendor tell of it (the Call API's list, a notification). Raises ParseError.
    """
    if error := error_in(content, stream.name):
        raise ParseError(f"{error}")
    if not isinstance(content, dict) or stream.name != "calls":
        return list(page_of(content, stream.name).items)
    if content.get("op") == "call" and isinstance(content.get("args"), dict):
        return [_as_call(content["args"])]
    result = content.get("result")
    data = result.get("data") if isinstance(result, dict) else None
    if isinstance(data, list) and data and "metadata" not in content["result"]:
        if not all(isinstance(each, dict) for each in data):
            raise ParseError(f"calls: no list of records: {outline(content)}")
        return [_as_call(each) for each in data]
    return list(page_of(content, stream.name).items)


_NAMES = {
    "call_session_id": "id",
    "call_source": "source",
    "talk_time_duration": "talk_duration",
    "total_time_duration": "total_duration",
    "wait_time_duration": "wait_duration",
    "external_id": "ext_id",
    "last_talked_employee_id": "last_answered_employee_id",
    "employee_full_name": "last_answered_employee_full_name",
}
_SAME = {"start_time", "direction", "is_transfer", "scenario_name", "tags"} | {
    "contact_phone_number",
    "virtual_phone_number",
}


def _as_call(call: Record) -> Record:
    """A call under the names of the report. A notification comes at a call's end (or
    start), so the start is its own time less the call's length."""
    found = {_NAMES.get(name, name): value for name, value in call.items()}
    record = {k: v for k, v in found.items() if k in _SAME or k in _NAMES.values()}
    try:
        told = call.get("start_time") or call["notification_time"]
        at = datetime.fromisoformat(str(told))
        if "start_time" not in call:
            at -= timedelta(seconds=int(call.get("total_time_duration") or 0))
    except (KeyError, ValueError, OverflowError):
        raise ParseError("calls: a call has no start_time") from None
    record["start_time"] = f"{at.replace(microsecond=0, tzinfo=None)}"
    return record
