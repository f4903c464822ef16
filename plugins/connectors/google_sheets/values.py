"""An answer of values.get: which sheet it is of, and its rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from connectors.base.cells import phone
from connectors.base.errors import ParseError
from connectors.base.stream import outline
from connectors.base.tables import (
    HEADER_WITHIN,
    HeaderError,
    find_header,
    plain_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.base.tables import Column

_RANGE = re.compile(
    r"(?:'(?P<quoted>(?:[^']|'')*)'|(?P<plain>[^!']+))(?:!(?P<cells>.+))?"
)


def title_of(range_: object) -> str:
    """The sheet's name in a range: `'Май 2026'!A:Z` gives `Май 2026`."""
    match = _RANGE.fullmatch(range_) if isinstance(range_, str) else None
    if match is None:
        return str(range_ or "")
    if match["quoted"] is not None:
        return plain_name(match["quoted"].replace("''", "'"))
    return plain_name(match["plain"])


def rows_of(content: Any, where: str) -> tuple[int, list[list[Any]]]:
    """The number of the first line, and the rows: ragged, empty ends cut off."""
    if not isinstance(content, dict) or content.get("majorDimension") != "ROWS":
        raise ParseError(f"{where}: no rows of values: {outline(content)}")
    match = _RANGE.fullmatch(str(content.get("range", "")))
    line = re.match(r"[A-Z]*(\d+)", (match["cells"] or "") if match else "")
    # an empty sheet has no `values` at all
    rows = content.get("values", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise ParseError(f"{where}: no rows of values: {outline(content)}")
    return int(line[1]) if line else 1, rows


def parts_of(content: Any, count: int) -> list[Any]:
    """The ranges of an answer of values:batchGet, in the order they were asked for."""
    parts = content.get("valueRanges") if isinstance(content, dict) else None
    if not isinstance(parts, list) or len(parts) != count:
        raise ParseError(f"no {count} ranges of values: {outline(content)}")
    return parts


def scrubbed(
    content: Any, columns: tuple[Column, ...], default: Callable[[bytes], bytes]
) -> bytes:
    """An answer without the people in it: its rows are shown to `default` as records.

    What stands above the header is left out. Raises ParseError without a header.
    """
    _, rows = rows_of(content, "a recorded answer")
    try:
        header = find_header(list(enumerate(rows, 1))[:HEADER_WITHIN], columns)
    except HeaderError as error:
        raise ParseError(f"a recorded answer: {error}") from None
    names = {place: name for name, place in header.places.items()}
    # of several phones in a cell each is shown by itself
    records = [
        {
            names.get(at, f"column {at}"): phone(cell)
            if names.get(at) == "phone"
            else cell
            for at, cell in enumerate(row)
        }
        for row in rows[header.line :]
    ]
    clean = orjson.loads(default(orjson.dumps({"records": records})))["records"]
    above: list[list[Any]] = [[] for _ in rows[: max(0, header.line - 2)]]
    titles = rows[len(above) : header.line]
    below = [
        [
            ", ".join(cell) if isinstance(cell, list) else cell
            for cell in record.values()
        ]
        for record in clean
    ]
    return orjson.dumps({**content, "values": [*above, *titles, *below]})
