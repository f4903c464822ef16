"""Pages of the Graph API: what one holds, and the way from the first to the last.

A page names the next one twice, by a cursor and by a whole URL with our token in it.
Only the cursor is used: where a request goes is never an answer's to say.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from connectors.base import paging
from connectors.base.errors import ParseError
from connectors.base.paging import Page
from connectors.base.stream import outline
from connectors.meta_ads.errors import TooMuchData, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.batch import Record
    from connectors.base.client import Answer, ApiClient

log = logging.getLogger(__name__)

VERSION = "v25.0"
PAGE = 500  # above it pages with many fields end in error 1
SMALLEST_PAGE = 25
NEARLY_FULL = 75  # per cent of a limit


def edge(
    client: ApiClient,
    path: str,
    params: Mapping[str, Any],
    what: str,
    summary: dict[str, Any] | None = None,
) -> Iterator[list[Record]]:
    """Records of an edge, page by page, to its end.

    Pages become smaller when Meta cannot make them. What a page says about the whole
    is put into `summary`. Raises TooMuchData when the smallest page is too big, else
    ParseError, RetriableError when the paging contradicts itself.
    """
    size = PAGE

    def fetch(after: str | None) -> Page[Record]:
        nonlocal size
        while True:
            asked = {**params, "limit": size, **({"after": after} if after else {})}
            try:
                answer = client.get(path, asked)
                break
            except TooMuchData:
                if size <= SMALLEST_PAGE:
                    raise
                size = max(size // 2, SMALLEST_PAGE)
                log.info("%s: too much for a page, asking for %d rows", what, size)
        tell_usage(what, answer)
        content = answer.json()
        if summary is not None and isinstance(content, dict):
            summary.update(_object(content, "summary"))
        return page(content, what)

    for records in paging.cursor(fetch, what=what):
        yield list(records)


def page(content: Any, what: str) -> Page[Record]:
    """The records of a page and the cursor behind them. Raises ParseError.

    The last page has no `paging.next`; a cursor may stand there all the same.
    """
    records = content.get("data") if isinstance(content, dict) else None
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise ParseError(f"{what}: no list `data` of objects: {outline(content)}")
    moves = _object(content, "paging")
    after = None
    if moves.get("next"):
        after = _object(moves, "cursors").get("after")
        if not isinstance(after, str) or not after:
            raise ParseError(f"{what}: there is a next page, and no cursor to it")
    total = _object(content, "summary").get("total_count")
    return Page(records, total=total if type(total) is int else None, next=after)


def tell_usage(what: str, answer: Answer) -> None:
    """Say in the log that a limit of the account is nearly used up."""
    share = usage_of(answer.headers)
    if share >= NEARLY_FULL:
        log.warning("%s: %.0f %% of a limit of the ad account is used up", what, share)


def _object(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}
