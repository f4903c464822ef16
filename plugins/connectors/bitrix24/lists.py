"""Bitrix24's lists: changes by id, whole lists in batches, dictionaries page by page."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter, lt
from typing import TYPE_CHECKING, Any

from connectors.base import paging
from connectors.base.batch import JsonBatch
from connectors.base.errors import FatalError, ParseError, RetriableError
from connectors.base.paging import Page
from connectors.base.stream import fields
from connectors.bitrix24 import batches
from connectors.bitrix24.records import records, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connectors.base.batch import Record
    from connectors.base.client import ApiClient
    from connectors.base.stream import Stream

PAGE = 50  # fixed by the vendor
ROOM = 40  # rows expected in a range of ids, so that few ranges overflow a page
HISTORY_OVERLAP = 50  # ids read again: a row may become visible after a later one


@dataclass(frozen=True)
class List:
    """How one stream is listed: its method, the names of its id and of its change."""

    method: str
    changed: str = "DATE_MODIFY"
    key: str = "ID"
    params: Record = field(default_factory=dict)


OBJECTS = {
    "leads": List("crm.lead.list"),
    "deals": List("crm.deal.list"),
    "contacts": List("crm.contact.list"),
    "invoices": List("crm.item.list", "updatedTime", "id", {"entityTypeId": 31}),
}
HISTORIES = {
    "lead_stage_history": List("crm.stagehistory.list", params={"entityTypeId": 1}),
    "deal_stage_history": List("crm.stagehistory.list", params={"entityTypeId": 2}),
}
_LINKS = List("crm.item.list", "updatedTime", "id", {"entityTypeId": 2})
_LISTS = {**OBJECTS, **HISTORIES, "deal_contacts": _LINKS}
DICTIONARIES: dict[str, tuple[str, Record]] = {
    "statuses": ("crm.status.list", {"order": {"ID": "ASC"}}),
    "deal_categories": ("crm.category.list", {"entityTypeId": 2}),
}


def only(stream: Stream, *names: str) -> Stream:
    """The stream with no more than these fields, so that no more is asked for."""
    return replace(stream, fields=fields(ids=names), required_fields=stream.key)


def whole(client: ApiClient, stream: Stream) -> Iterator[JsonBatch]:
    """A short dictionary by the classic paging, held to the total it declares.

    Raises ParseError when pages do not move on, RetriableError for another total.
    """
    method, params = DICTIONARIES[stream.name]

    def fetch(start: int) -> Page[Record]:
        content = client.post(method, {**params, "start": start}).json()
        rows, total = records(stream, content), content.get("total")
        if not isinstance(total, int):
            raise ParseError(f"{method}: the answer declares no total")
        return Page(rows, total=total, next=content.get("next"))

    for rows in paging.offset(fetch, what=method):
        yield JsonBatch(list(rows))


def by_id(
    client: ApiClient,
    stream: Stream,
    conditions: Record | None = None,
    *,
    after: int = 0,
    then: Callable[[Record], Record] = lambda first: {},
) -> Iterator[list[Record]]:
    """Non-empty pages in the order of ids, until the portal says nothing is left.

    `conditions` filter all pages; `then` makes more of them from the first answer.
    Raises ParseError when ids do not grow, RetriableError when rows stay out.

    `start: -1` spares the portal the counting, and its answers do not say whether
    more follows. So a page that is not full is followed by a counted request for
    what lies after it: under load the portal has answered with empty lists.
    """
    listed = _LISTS[stream.name]
    method, key = listed.method, listed.key
    last, counted, bounds = after, False, None
    while True:
        request = {
            **_asked(stream),
            "filter": {**(conditions or {}), **(bounds or {}), f">{key}": last},
            "start": 0 if counted else -1,
        }
        content = client.post(method, request).json()
        rows = records(stream, content)
        bounds = then(content) if bounds is None else bounds
        last = _grown(method, [row[key] for row in rows], last)
        if rows:
            yield rows
        total, more = content.get("total"), content.get("next") is not None
        if len(rows) >= PAGE:
            counted = False
        elif not more and total == len(rows) and (counted or total):
            return
        elif counted and not rows:
            raise RetriableError(
                f"{method}: an empty page, though {total!r} are left after {last}"
            )
        else:
            counted = True


def everything(
    client: ApiClient,
    stream: Stream,
    *,
    first: Callable[[Record], object] = lambda answer: None,
) -> Iterator[list[Record]]:
    """All rows, in ranges of ids, 50 ranges a request; each range is counted.

    `first` is shown the answer that came first (its `time`). A range whose rows do
    not come to its total is asked again; one with more rows than a page goes on after
    the last. What is added meanwhile has a higher id, and comes with the next read.
    Raises as `batches.send` does.
    """
    listed = _LISTS[stream.name]
    key, asked = listed.key, {**_asked(stream), "start": 0}
    ascending, descending = (
        batches.encoded({**asked, "order": {key: order}}) for order in ("ASC", "DESC")
    )
    above, upmost = (
        batches.encoded({"filter": {f"{sign}{key}": ""}}) for sign in (">", "<=")
    )

    def is_whole(_: str, result: Any, total: Any) -> bool:
        return type(total) is int and bool(rows_of(stream, result)) == (total > 0)

    ends = batches.send(
        client,
        {
            "lowest": batches.command(listed.method, ascending),
            "highest": batches.command(listed.method, descending),
        },
        is_whole,
    )
    first({"time": ends.time})
    total = ends.totals["highest"]
    if not total:
        return
    lowest, highest = (
        _grown(listed.method, _ids(rows_of(stream, ends.results[name])[:1], key), 0)
        for name in ("lowest", "highest")
    )
    if lowest > highest:
        raise ParseError(f"{listed.method}: ids from {lowest} to {highest}")
    step = max((highest - lowest + 1) * ROOM // total, 1)
    left = deque(
        (after, min(after + step, highest))
        for after in range(lowest - 1, highest, step)
    )
    while left:
        some = {
            f"after_{after}_to_{upto}": (after, upto)
            for after, upto in (
                left.popleft() for _ in range(min(len(left), batches.COMMANDS))
            )
        }
        calls = {
            name: batches.command(
                listed.method, ascending, f"{above}{after}&{upmost}{upto}"
            )
            for name, (after, upto) in some.items()
        }
        found = batches.send(client, calls, is_whole)
        for name, result in found.results.items():
            after, upto = some[name]
            ids = _ids(rows_of(stream, result), key)
            last = _grown(listed.method, ids, after)
            if last > upto:
                raise ParseError(f"{listed.method}: id {last} came, asked to {upto}")
            if len(ids) < found.totals[name]:
                left.appendleft((last, upto))
            if ids:
                yield records(stream, {"result": result})


def products(client: ApiClient, deals: list[str]) -> list[Record]:
    """The goods of at most 50 deals, a record for each deal that is still there."""
    method = "crm.item.productrow.list"
    in_all = batches.encoded(
        {"filter": {"=ownerType": "D"}, "order": {"id": "ASC"}, "start": 0}
    )
    owner = batches.encoded({"filter": {"=ownerId": ""}})
    after = batches.encoded({"filter": {">id": ""}})
    found: dict[str, list[Any]] = {deal: [] for deal in deals}
    extras: dict[str, Record] = {}
    left = dict.fromkeys(deals, 0)

    def is_whole(_: str, result: Any, total: Any) -> bool:
        rows = result.get("productRows") if isinstance(result, dict) else []
        return type(total) is int and bool(rows) == (total > 0)

    while left:
        calls = {}
        for deal, last in left.items():
            own = f"{owner}{deal}&{after}{last}"
            calls[f"{batches.DEAL}{deal}"] = batches.command(method, in_all, own)
        answered = batches.send(client, calls, is_whole)
        asked_for, left = left, {}
        for deal, last in asked_for.items():
            name = f"{batches.DEAL}{deal}"
            if name not in answered.results:
                del found[deal]  # deleted meanwhile
                continue
            result = answered.results[name]
            if not isinstance(result, dict):
                continue  # PHP's empty map: this deal has no goods
            rows = result.get("productRows")
            if not isinstance(rows, list):
                raise ParseError(f"{method}: the answer has no productRows")
            extras[deal] = {k: v for k, v in result.items() if k != "productRows"}
            last = _grown(method, _ids(rows, "id"), last)
            found[deal] += rows
            if len(rows) < answered.totals[name]:
                left[deal] = last
    return [
        {**extras.get(deal, {}), "DEAL_ID": deal, "productRows": rows}
        for deal, rows in found.items()
    ]


def clock(stream: Stream, content: Record, since: str | None) -> datetime:
    """The portal's clock as an answer shows it (aware).

    Raises ParseError without it, FatalError if it is behind `since` (ISO 8601), where
    the last read ended.
    """
    try:
        now = datetime.fromisoformat(content["time"]["date_start"])
    except (KeyError, TypeError, ValueError):
        raise ParseError(f"{stream.name}: the answer has no time.date_start") from None
    if since is not None and datetime.fromisoformat(since) > now:
        raise FatalError(
            f"{stream.name}: the last read ended at {since}, the portal's clock "
            f"shows {now.isoformat()}: nothing is read until one of them is put right"
        )
    return now


def _asked(stream: Stream) -> Record:
    listed = _LISTS[stream.name]
    asked: Record = {**listed.params, "order": {listed.key: "ASC"}}
    if stream.name == "deal_contacts":
        asked["select"] = ["id", "contactId", "contactIds"]
    elif stream.name in OBJECTS:
        asked["select"] = [each.name for each in stream.fields]
    return asked


def _ids(rows: list[Any], key: str) -> list[Any]:
    try:
        return list(map(itemgetter(key), rows))
    except (KeyError, TypeError):
        return [row.get(key) if isinstance(row, dict) else None for row in rows]


def _grown(method: str, ids: list[Any], last: int) -> int:
    """The last of ids, each of which must be a number larger than the one before."""
    texts = list(map(str, ids))
    if all(map(str.isdecimal, texts)):
        numbers = [last, *map(int, texts)]
        if all(map(lt, numbers, numbers[1:])):
            return numbers[-1]
    for each in ids:
        if not str(each).isdecimal() or int(each) <= last:
            raise ParseError(f"{method}: id {each!r} came after {last}")
        last = int(each)
    return last
