"""Paginators give every row or fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import paging
from connectors.base.errors import ConnectorError, ParseError, RetriableError
from connectors.base.paging import Page

rows = st.lists(st.integers(1, 10_000), unique=True, max_size=40).map(sorted)
sizes = st.integers(1, 7)


def identity(item: int) -> int:
    return item


def flat(pages):
    return [item for page in pages for item in page]


def numbered(data, size, *, say_pages=True, answer=None):
    """An honest server of pages; `answer(number, page)` may spoil it."""

    def fetch(number: int) -> Page[int]:
        start = (number - 1) * size
        page = Page(
            data[start : start + size],
            total=len(data),
            pages=max(1, -(-len(data) // size)) if say_pages else None,
        )
        return answer(number, page) if answer else page

    return fetch


@given(rows, sizes, st.booleans())
def test_page_number_gives_every_row_once(data, size, say_pages):
    fetch = numbered(data, size, say_pages=say_pages)
    assert flat(paging.page_number(fetch, key=identity)) == data


@given(rows.filter(lambda data: len(data) > 1), sizes, st.data())
def test_page_number_never_ends_well_with_a_row_lost_or_doubled(data, size, draw):
    count = -(-len(data) // size)
    spoiled = draw.draw(st.integers(1, count), "page")
    kind = draw.draw(st.sampled_from(["drop", "double", "empty", "previous"]), "kind")

    def answer(number, page):
        if number != spoiled:
            return page
        items = list(page.items)
        if kind == "drop":
            items = items[:-1]
        elif kind == "double":
            items = [*items, items[-1]]
        elif kind == "empty":
            items = []
        else:
            start = max(number - 2, 0) * size
            items = data[start : start + size] if number > 1 else [*items, items[0]]
        return Page(items, page.total, page.pages)

    with pytest.raises(ConnectorError):
        flat(paging.page_number(numbered(data, size, answer=answer), key=identity))


def test_a_row_that_moved_to_the_next_page_is_noticed():
    # A new row at the top between two requests, and one gone from the end: the total
    # stays, 3 comes twice, 6 never.
    pages = {1: Page([1, 2, 3], 6, 2), 2: Page([3, 4, 5], 6, 2)}
    with pytest.raises(RetriableError, match="moved"):
        flat(paging.page_number(pages.__getitem__, key=identity))


def test_a_total_that_changes_is_noticed():
    pages = {1: Page([1, 2], 4, 2), 2: Page([3, 4], 5, 2)}
    with pytest.raises(RetriableError, match="from 4 to 5"):
        flat(paging.page_number(pages.__getitem__, key=identity))


def test_a_server_that_ignores_the_page_number_is_noticed():
    with pytest.raises(ParseError, match="again"):
        flat(paging.page_number(lambda _: Page([1, 2], 4, 2), key=identity))


def test_no_total_is_no_proof():
    with pytest.raises(ParseError, match="total"):
        flat(paging.page_number(lambda _: Page([1], None, 1), key=identity))


def test_page_number_has_a_page_limit():
    def endless(number):
        return Page([number], total=100, pages=100)

    with pytest.raises(ParseError, match="5 pages"):
        flat(paging.page_number(endless, key=identity, most_pages=5))


@given(rows, sizes)
def test_offset_gives_every_row_once(data, size):
    def fetch(start):
        end = start + size
        return Page(data[start:end], next=end if end < len(data) else None)

    assert flat(paging.offset(fetch)) == data


@pytest.mark.parametrize("cut_off_at", [0, 1, 3])
def test_offset_must_go_on_where_the_rows_ended(cut_off_at):
    with pytest.raises(ParseError, match="cut off"):
        flat(paging.offset(lambda _: Page([1, 2], next=cut_off_at)))


def test_offset_without_progress_fails():
    with pytest.raises(ParseError, match="cut off"):
        flat(paging.offset(lambda start: Page([], next=start)))


def test_offset_has_a_page_limit():
    with pytest.raises(ParseError, match="3 pages"):
        flat(paging.offset(lambda s: Page([s], next=s + 1), most_pages=3))


@given(rows, sizes)
def test_cursor_gives_every_row_once(data, size):
    def fetch(token):
        start = int(token or 0)
        more = start + size < len(data)
        return Page(
            data[start : start + size],
            len(data),
            next=str(start + size) if more else None,
        )

    assert flat(paging.cursor(fetch)) == data


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"]])
def test_a_cursor_that_comes_back_fails(tokens):
    turn = iter(tokens)
    with pytest.raises(ParseError, match="second time"):
        flat(paging.cursor(lambda _: Page([1], next=next(turn))))


def test_a_cursor_short_of_its_total_fails():
    with pytest.raises(RetriableError, match="1 rows came where 2"):
        flat(paging.cursor(lambda _: Page([1], total=2)))
