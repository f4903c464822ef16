"""How sure the credits are: bootstrap intervals by channel, month and model.

Reads the credits of sales once, in pieces of fixed-width binary rows, and writes
attribution.channel_intervals. Figures: sales (credit), revenue and margin in the
accounts' currency (roubles), refunds and later payments included.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attribution import intervals
from pipeline.log import say
from pipeline.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from numpy.typing import NDArray

REPLICATES = 200
SEED = 20260101
PIECE_ROWS = 50_000
FIGURES = ("sales", "revenue", "margin")
# The month in which a line of money came, counted from the year 0.
MONTH = """(
    extract(year from conversions.converted_date)::bigint * 12
    + extract(month from conversions.converted_date)::bigint - 1
)"""


def estimate_intervals(run_id: str) -> dict[str, int]:
    """Replace attribution.channel_intervals; returns counts of cells and rows read.

    `run_id` is not needed to compute: every build estimates what it has.
    """
    del run_id
    with connect("transformer") as connection:
        models = _models(connection)
        channels = _number_channels(connection)
        first_month, months = _first_month(connection)
        rows = np.zeros(months * len(channels), np.int64)

        def pieces() -> Iterator[intervals.Piece]:
            for piece in _pieces(connection, models, len(channels), first_month):
                np.add.at(rows, piece.cells, 1)
                yield piece

        figures = len(models) * len(FIGURES)
        sums = intervals.replicate(
            pieces(), len(rows), figures, replicates=REPLICATES, seed=SEED
        )
        found = np.flatnonzero(rows)
        cells = [
            (_month(first_month + at // len(channels)), channels[at % len(channels)])
            for at in found.tolist()
        ]
        _write(connection, cells, models, sums[found])
    credits = int(rows.sum())
    say(
        f"intervals of {len(found)} channel months x {len(models)} models from "
        f"{credits} credits, {REPLICATES} replicates"
    )
    return {"cells": len(found), "credits": credits}


def _month(number: int) -> date:
    """The first day of a month that MONTH numbers so."""
    return date(number // 12, number % 12 + 1, 1)


def _models(connection: psycopg.Connection) -> list[str]:
    """The columns of credits, as the table has them: numeric ones are models."""
    rows = connection.execute(
        """
        select attname from pg_attribute
        where attrelid = 'attribution.int_attribution_credits'::regclass
            and attnum > 0 and not attisdropped and atttypid = 'numeric'::regtype
        order by attnum
        """
    ).fetchall()
    return [name for (name,) in rows]


def _number_channels(connection: psycopg.Connection) -> list[str]:
    """The channels of all paths, numbered in a temporary table from 0."""
    connection.execute(
        """
        create temporary table channels on commit drop as
        select row_number() over (order by channel) - 1 as number, channel
        from (
            select channel from attribution.int_touchpoints_before_conversion
            where channel is not null
            union
            select '(not attributed)'
        ) as found
        """
    )
    connection.execute("analyze channels")
    rows = connection.execute("select channel from channels order by number")
    return [channel for (channel,) in rows]


def _first_month(connection: psycopg.Connection) -> tuple[int, int]:
    """The month of the first sale, as a number, and how many months there are."""
    row = connection.execute(
        f"""
        select min({MONTH}), max({MONTH}) from attribution.int_conversions as conversions
        where credited_as in ('sale', 'repeat_sale')
        """
    ).fetchone()
    assert row is not None
    return (0, 0) if row[0] is None else (row[0], row[1] - row[0] + 1)


def _pieces(
    connection: psycopg.Connection, models: list[str], channels: int, first_month: int
) -> Iterator[intervals.Piece]:
    """Credits of sales, in pieces: per model the credit, and money of the line."""
    columns = ", ".join(f'credits."{name}"::float8' for name in models)
    query = f"""
        copy (
            select
                hashtextextended(credits.path_person_id, 0),
                ({MONTH} - {first_month}) * {channels} + channels.number,
                (conversions.conversion_kind in ('sale', 'repeat_sale'))::int::float8,
                conversions.revenue_amount::float8,
                coalesce(conversions.margin_amount, 0)::float8,
                {columns}
            from attribution.int_attribution_credits as credits
            join attribution.int_conversions as conversions using (conversion_id)
            join attribution.int_touchpoints_before_conversion as paths
                on paths.conversion_id = credits.conversion_id
                and coalesce(paths.touchpoint_id, '(not attributed)')
                    = credits.touchpoint_id
            join channels
                on channels.channel = coalesce(paths.channel, '(not attributed)')
            where conversions.credited_as in ('sale', 'repeat_sale')
        ) to stdout (format binary)
    """
    row = np.dtype(
        [("fields", ">i2"), ("key_size", ">i4"), ("key", ">u8"), ("cell_size", ">i4"),
         ("cell", ">i8"), ("numbers", [("size", ">i4"), ("value", ">f8")],
          (3 + len(models),))]
    )  # fmt: skip
    for body in _fixed_rows(connection, query, row.itemsize):
        rows = np.frombuffer(body, row)
        numbers = rows["numbers"]["value"].astype(np.float64)
        measures, credits = numbers[:, :3], numbers[:, 3:]
        values = (credits[:, :, None] * measures[:, None, :]).reshape(len(rows), -1)
        yield intervals.Piece(
            rows["key"].astype(np.uint64), rows["cell"].astype(np.int64), values
        )


def _fixed_rows(
    connection: psycopg.Connection, query: str, size: int
) -> Iterator[bytes]:
    """The rows of a binary COPY without NULLs, in pieces of PIECE_ROWS rows.

    The format: a header of 19 bytes, rows, and -1 as a 16-bit number at the end.
    """
    held = bytearray()
    skip = 19
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for block in copy:
            held += block
            if skip:
                if len(held) < skip:
                    continue
                del held[:skip]
                skip = 0
            if len(held) >= size * PIECE_ROWS + 2:
                yield bytes(held[: size * PIECE_ROWS])
                del held[: size * PIECE_ROWS]
    rest = len(held) - 2
    assert rest % size == 0, "a row of the credits holds NULL"
    if rest > 0:
        yield bytes(held[:rest])


def _write(
    connection: psycopg.Connection,
    cells: list[tuple[Any, str]],
    models: list[str],
    sums: NDArray[np.float64],
) -> None:
    """Values are the sums of the credits themselves (every weight 1)."""
    plain, drawn = sums[:, 0, :], sums[:, 1:, :]
    low, high = intervals.bounds(drawn)
    connection.execute("truncate attribution.channel_intervals")
    with (
        connection.cursor() as cursor,
        cursor.copy("copy attribution.channel_intervals from stdin") as copy,
    ):
        for at, (month, channel) in enumerate(cells):
            for model_at, model in enumerate(models):
                for figure_at, figure in enumerate(FIGURES):
                    place = model_at * len(FIGURES) + figure_at
                    copy.write_row(
                        (
                            month,
                            channel,
                            model,
                            figure,
                            drawn.shape[1],
                            *tuple(
                                round(float(each[at, place]), 6)
                                for each in (plain, low, high)
                            ),
                        )
                    )
