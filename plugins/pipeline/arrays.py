"""Columns of whole numbers between Postgres and numpy, a few thousand rows at a time.

Rows that come or go one by one cost the client more than all that is done with them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, LiteralString

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from numpy.typing import NDArray

    Int64s = NDArray[np.int64]

# pages of a table that one question reads: 128 MB of it
PAGES = 16_384
# rows of a table that one message brings: so many stay in the processor's cache
ROWS = 4096
NULL = -1  # no number of ours is negative


def columns(
    connection: psycopg.Connection[Any],
    table: LiteralString,
    expressions: tuple[str, ...],
    condition: str = "true",
) -> tuple[Int64s, ...]:
    """8-byte columns of a table in its physical order, as arrays.

    The server packs a few thousand pages into one value each: to take millions of rows
    one by one costs the client more than the whole rest.
    """
    parts: list[list[np.ndarray[Any, Any]]] = [[] for _ in expressions]
    packed = ", ".join(f"string_agg({each}, ''::bytea)" for each in expressions)
    for pages in _page_ranges(connection, table):
        row = connection.execute(
            f"select {packed} from {table} where ({condition}) and {pages}",
            binary=True,
        ).fetchone()
        assert row is not None
        for part, value in zip(parts, row, strict=True):
            part.append(np.frombuffer(value or b"", dtype=">i8"))
    found = []
    while parts:
        found.append(np.concatenate(parts.pop(0), dtype=np.int64))
    return tuple(found)


def _page_ranges(
    connection: psycopg.Connection[Any], table: LiteralString
) -> Iterator[str]:
    row = connection.execute(
        "select pg_relation_size(%s::regclass) / current_setting('block_size')::int",
        (table,),
    ).fetchone()
    assert row is not None
    for page in range(0, max(int(row[0]), 1), PAGES):
        yield f"ctid >= '({page},0)' and ctid < '({page + PAGES},0)'"


def answer(
    connection: psycopg.Connection[Any],
    query: LiteralString,
    numbers: LiteralString,
    values: Any = None,
    *,
    moments: LiteralString = "",
) -> tuple[Int64s, ...]:
    """The columns of a query's rows: `numbers` (bigint, NULL as NULL), then `moments`.

    Both are names separated by commas. A moment (timestamptz) comes in microseconds
    since 2000, NULL as the greatest number.
    """
    expressions = [f"int8send(coalesce({each}, {NULL}))" for each in _names(numbers)]
    expressions += [
        f"timestamptz_send(coalesce({each}, 'infinity'))" for each in _names(moments)
    ]
    packed = ", ".join(f"string_agg({each}, '')" for each in expressions)
    row = connection.execute(
        f"select {packed} from ({query}) as found", values, binary=True
    ).fetchone()
    assert row is not None
    return tuple(
        np.frombuffer(each or b"", dtype=">i8").astype(np.int64) for each in row
    )


def _names(listed: LiteralString) -> list[LiteralString]:
    return listed.split(", ") if listed else []


def array(numbers: Int64s) -> str:
    """As Postgres reads an array: the driver takes ten times as long to write it."""
    return "{" + ",".join(map(str, numbers.tolist())) + "}"


def copy_pairs(
    connection: psycopg.Connection[Any],
    table: str,
    left: NDArray[np.integer],
    right: NDArray[np.integer],
    options: LiteralString = "",
) -> None:
    """COPY two bigint columns in; `table` names them: `t (a, b)`."""
    rows = np.empty(
        min(len(left), ROWS),
        dtype=[
            ("fields", ">i2"),
            ("left_size", ">i4"), ("left", ">i8"),
            ("right_size", ">i4"), ("right", ">i8"),
        ],
    )  # fmt: skip
    rows["fields"], rows["left_size"], rows["right_size"] = 2, 8, 8
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy {table} from stdin (format binary{options})") as copy,
    ):
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for start in range(0, len(left), ROWS):
            part = rows[: len(left) - start]
            part["left"] = left[start : start + ROWS]
            part["right"] = right[start : start + ROWS]
            copy.write(part.tobytes())
        copy.write(struct.pack(">h", -1))
