"""Ways of paging; each comes to the end of the answer or fails, never stops half-way.

Every function yields the items of one page after another. It raises ParseError when
the vendor's paging contradicts itself for good (a token or page that comes back, no
progress, too many pages) and RetriableError when rows moved while it read (a total
that changed, a row seen on two pages): read again, and it may go well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from connectors.base.errors import ParseError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

T = TypeVar("T")
MOST_PAGES = 100_000


@dataclass(frozen=True)
class Page(Generic[T]):
    """Items of one page and what the answer says about the rest.

    `total`: number of items on all pages; `pages`: number of pages; `next`: where the
    next page starts (a token, or an offset), None when this page is the last.
    """

    items: Sequence[T]
    total: int | None = None
    pages: int | None = None
    next: str | int | None = None


def page_number(
    fetch: Callable[[int], Page[T]],
    *,
    key: Callable[[T], Hashable | None],
    first: int = 1,
    most_pages: int = MOST_PAGES,
    what: str = "answer",
) -> Iterator[Sequence[T]]:
    """Pages by number, with a total declared on each; it must come out exactly.

    `fetch(number)` must fill `total`. A key seen on the page before means that rows
    moved (`key` gives None for a row that has none: landing deals with it). The last
    page is where `pages` says, else where the total is reached. Raises ParseError,
    RetriableError (see above).
    """
    read, number = 0, first
    before: set[Hashable] | None = None
    declared: int | None = None
    while True:
        page = fetch(number)
        total = page.total
        if total is None or total < 0:
            raise ParseError(f"{what}: page {number} declares no total")
        if declared is not None and total != declared:
            raise RetriableError(
                f"{what}: the total changed from {declared} to {total} while paging"
            )
        declared = total
        keys = None
        if before is not None:
            keys = set(map(key, page.items)) - {None}
            if keys and keys == before:
                raise ParseError(f"{what}: page {number} is page {number - 1} again")
            if keys & before:
                raise RetriableError(
                    f"{what}: rows came twice around page {number}: they moved while "
                    "paging"
                )
        read += len(page.items)
        if read > total:
            raise RetriableError(
                f"{what}: {read} rows came where {total} were declared"
            )
        if page.items:
            yield page.items
        if page.pages is None:
            is_last = read == total
        else:
            is_last = number - first + 1 >= page.pages
        if is_last:
            break
        if not page.items:
            raise RetriableError(
                f"{what}: page {number} is empty after {read} of {total} rows"
            )
        # an answer of one page has no need of them
        before = set(map(key, page.items)) - {None} if keys is None else keys
        number += 1
        _limit(number - first, most_pages, what)
    if read != declared:
        raise RetriableError(f"{what}: {read} rows came where {declared} were declared")


def offset(
    fetch: Callable[[int], Page[T]],
    *,
    first: int = 0,
    most_pages: int = MOST_PAGES,
    what: str = "answer",
) -> Iterator[Sequence[T]]:
    """Pages by offset, where the answer says at which offset it was cut off.

    `Page.next` is that offset (`LimitedBy`), None on the last page. It must lie just
    behind the items that came. Raises ParseError, RetriableError (see above).
    """
    start = first
    for _ in range(most_pages):
        page = fetch(start)
        if page.items:
            yield page.items
        if page.next is None:
            _total(start - first + len(page.items), page.total, what)
            return
        if page.next != start + len(page.items) or not page.items:
            raise ParseError(
                f"{what}: from offset {start} came {len(page.items)} rows, yet it says "
                f"it was cut off at {page.next}"
            )
        start += len(page.items)
    _limit(most_pages, most_pages, what)


def cursor(
    fetch: Callable[[str | None], Page[T]],
    *,
    start: str | None = None,
    most_pages: int = MOST_PAGES,
    what: str = "answer",
) -> Iterator[Sequence[T]]:
    """Pages by a token that each answer gives for the next; None ends it.

    When a page declares a `total`, the number of items must come to it. Raises
    ParseError, RetriableError (see above).
    """
    seen = {start}
    token, read = start, 0
    for _ in range(most_pages):
        page = fetch(token)
        read += len(page.items)
        if page.items:
            yield page.items
        if page.next is None or page.next == "":
            _total(read, page.total, what)
            return
        token = str(page.next)
        if token in seen:
            raise ParseError(f"{what}: the cursor came back a second time")
        seen.add(token)
    _limit(most_pages, most_pages, what)


def _total(read: int, declared: int | None, what: str) -> None:
    if declared is not None and read != declared:
        raise RetriableError(f"{what}: {read} rows came where {declared} were declared")


def _limit(pages: int, most: int, what: str) -> None:
    if pages >= most:
        raise ParseError(f"{what}: no end after {most} pages; ask for a shorter window")
