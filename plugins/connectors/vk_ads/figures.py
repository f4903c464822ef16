"""VK Ads' statistics by day: asked for by ids, proved by the totals of the answer."""

from __future__ import annotations

import logging
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from connectors.base.batch import JsonBatch, Record
from connectors.base.errors import FatalError, ParseError, RetriableError
from connectors.base.stream import Window, objects, outline
from connectors.vk_ads.errors import TooMuch, WrongIds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.base.client import ApiClient
    from connectors.base.stream import Stream

log = logging.getLogger(__name__)

IDS_AT_ONCE = 200
DAYS_AT_ONCE = 31
COUNTED = ("shows", "clicks")


def read(
    client: ApiClient, stream: Stream, kind: str, ids: list[int], window: Window
) -> Iterator[JsonBatch]:
    """Days with figures of these objects (`kind`: banners, ad_plans).

    An id that VK does not know any more is left out with a warning. Raises
    RetriableError when an answer does not come to its own totals, FatalError when VK
    knows none of the ids, and for any other error.
    """
    for days in window.chunks(DAYS_AT_ONCE):
        unknown: set[int] = set()
        for start in range(0, len(ids), IDS_AT_ONCE):
            some = ids[start : start + IDS_AT_ONCE]
            yield JsonBatch(_whole(client, stream, kind, some, days, unknown))
        if ids and unknown.issuperset(ids):
            raise FatalError(
                f"vk_ads {stream.name}: VK lists {len(ids)} {kind} and gives figures of "
                "none: give the key the right to read statistics (scope read_ads)"
            )


def _whole(
    client: ApiClient,
    stream: Stream,
    kind: str,
    ids: list[int],
    window: Window,
    unknown: set[int],
) -> list[Record]:
    what = f"vk_ads {stream.name} {window.date_from} to {window.last_day}"
    days = len(list(window.days))
    asked = {
        "id": ",".join(map(str, ids)),
        "date_from": str(window.date_from),
        "date_to": str(window.last_day),  # this day is read, too
        "metrics": "base",
    }
    path = f"api/v2/statistics/{kind}/day.json"
    try:
        content = client.get(path, asked).json()
    except WrongIds as error:
        if len(ids) == 1:
            log.warning("%s: id %s is left out", error, ids[0])
            unknown.add(ids[0])
            return []
        parts = [(half, window) for half in _halves(ids)]
    except TooMuch:
        if days > 1:
            parts = [(ids, half) for half in window.chunks(-(-days // 2))]
        elif len(ids) > 1:
            parts = [(half, window) for half in _halves(ids)]
        else:
            raise
    else:
        rows = records(stream, content, what)
        _prove(content, rows, set(ids), what)
        return [row for row in rows if _has_figures(row)]
    return [
        row
        for some, half in parts
        for row in _whole(client, stream, kind, some, half, unknown)
    ]


def records(stream: Stream, content: Any, what: str) -> list[Record]:
    """Every day of every object of an answer, days of zeros too. Raises ParseError.

    A record is the object's id, the day, and the figures of group `base`; other groups
    of figures stay whole under their names.
    """
    items = content.get("items") if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise ParseError(f"{what}: no list `items`: {outline(content)}")
    found: list[Record] = []
    for item in items:
        rows = item.get("rows") if isinstance(item, dict) else None
        if not isinstance(rows, list):
            raise ParseError(f"{what}: an object without a list `rows` of days")
        for row in rows:
            base = row.get("base") if isinstance(row, dict) else None
            if not isinstance(base, dict):
                raise ParseError(f"{what}: a day without figures `base`")
            own = {"id": item["id"]} if "id" in item else {}
            others = {name: value for name, value in row.items() if name != "base"}
            found.append({**own, **base, **others})
    return objects(stream, found, what)


def _prove(content: Any, rows: list[Record], ids: set[int], what: str) -> None:
    """The rows must come to the total of the answer, and be of what was asked for."""
    if not all(type(row["id"]) is int for row in rows):
        raise ParseError(f"{what}: the id of an object is no whole number")
    if others := {row["id"] for row in rows} - ids:
        raise ParseError(f"{what}: id {min(map(str, others))} was not asked for")
    total = content.get("total")
    base = total.get("base") if isinstance(total, dict) else None
    if not isinstance(base, dict):
        raise ParseError(f"{what}: the answer has no total of figures `base`")
    for name in COUNTED:
        counts = [row.get(name) or 0 for row in rows]
        if not all(type(count) is int for count in counts):
            raise ParseError(f"{what}: {name} is no whole number")
        declared, counted = base.get(name), sum(counts)
        if declared != counted:
            raise RetriableError(
                f"{what}: the days have {counted} {name}, yet the total is {declared}: "
                "the answer is not whole, or changed while it was made"
            )


def _has_figures(row: Record) -> bool:
    """VK lists every day asked for; a day of nothing is no record."""
    try:
        money = Decimal(str(row.get("spent") or 0))
    except InvalidOperation:
        return True  # for landing to complain about
    return bool(money or row.get("shows") or row.get("clicks") or row.get("goals"))


def _halves(ids: list[int]) -> tuple[list[int], list[int]]:
    middle = len(ids) // 2
    return ids[:middle], ids[middle:]
