"""Bitrix24's lists: objects and histories by id, dictionaries whole, and their rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.base import paging
from connectors.base.batch import JsonBatch
from connectors.base.errors import FatalError, ParseError, RetriableError
from connectors.base.paging import Page
from connectors.base.stream import fields, objects
from connectors.bitrix24 import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connectors.base.batch import Record
    from connectors.base.client import ApiClient
    from connectors.base.stream import Stream

PAGE = 50  # fixed by the vendor
HISTORY_OVERLAP = 50  # ids read again: a row may become visible after a later one

OBJECTS = {
    "leads": "crm.lead.list",
    "deals": "crm.deal.list",
    "contacts": "crm.contact.list",
}
HISTORIES = {"lead_stage_history": 1, "deal_stage_history": 2}
"""Stream -> entityTypeId of crm.stagehistory.list."""

DICTIONARIES: dict[str, tuple[str, Record]] = {
    "statuses": ("crm.status.list", {"order": {"ID": "ASC"}}),
    "deal_categories": ("crm.category.list", {"entityTypeId": 2}),
}
_INSIDE = {"deal_categories": "categories", **dict.fromkeys(HISTORIES, "items")}


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
    if stream.name in HISTORIES:
        method = "crm.stagehistory.list"
        params: Record = {"entityTypeId": HISTORIES[stream.name]}
    else:
        method = OBJECTS[stream.name]
        params = {"select": [field.name for field in stream.fields]}
    last, counted, bounds = after, False, None
    while True:
        request = {
            **params,
            "order": {"ID": "ASC"},
            "filter": {**(conditions or {}), **(bounds or {}), ">ID": last},
            "start": 0 if counted else -1,
        }
        content = client.post(method, request).json()
        rows = records(stream, content)
        bounds = then(content) if bounds is None else bounds
        for row in rows:
            if int(row["ID"]) <= last:
                raise ParseError(f"{method}: id {row['ID']} came after {last}")
            last = int(row["ID"])
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


def records(stream: Stream, content: Any) -> list[Record]:
    """The records of one answer of crm.*.list, crm.*.get or batch.

    Raises ParseError for another shape, and for an answer of which a part failed.
    """
    if not isinstance(content, dict) or "result" not in content:
        raise ParseError(f"{stream.name}: the answer has no `result`")
    rows = objects(stream, _rows(stream, content["result"]), stream.name)
    for row in rows:
        if "ID" in stream.key and not str(row["ID"]).isdecimal():
            raise ParseError(f"{stream.name}: ID {row['ID']!r} is not a number")
    return rows


def _rows(stream: Stream, result: Any) -> list[Any]:
    inside = _INSIDE.get(stream.name)
    if isinstance(result, dict):
        if "result" in result:
            return _rows_of_batch(stream, result)
        if inside and isinstance(result.get(inside), list):
            return list(result[inside])
        if "item" in result or "items" in result:
            raise ParseError(
                f"{stream.name}: an answer of crm.item.*, whose names are camelCase; "
                "this connector reads crm.lead.*, crm.deal.*, crm.contact.*"
            )
        if inside is None:
            return [result]
    if isinstance(result, list):
        return result
    raise ParseError(f"{stream.name}: `result` has another shape")


def _rows_of_batch(stream: Stream, result: Record) -> list[Any]:
    results, errors = batches.parts(result)
    if errors:
        raise ParseError(f"{stream.name}: in the batch failed: {', '.join(errors)}")
    rows = []
    for key, found in results.items():
        for row in _rows(stream, found):
            if stream.name == "deal_contacts" and isinstance(row, dict):
                row["DEAL_ID"] = key.removeprefix(batches.DEAL)
            rows.append(row)
    return rows
