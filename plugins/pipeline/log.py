"""How the steps speak: plain lines to the logger that Airflow shows as the task log."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

logger = logging.getLogger("throughline")


def say(message: str) -> None:
    """One line for whoever reads the log."""
    logger.info("%s", message)


def warn(message: str) -> None:
    """One line that somebody should look at."""
    logger.warning("%s", message)


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as aligned text: numbers to the right, None as a dash."""
    cells = [["—" if cell is None else str(cell) for cell in row] for row in rows]
    numbers = (
        [
            all(isinstance(row[i], int | float) or row[i] is None for row in rows)
            for i in range(len(titles))
        ]
        if isinstance(rows, Sequence)
        else [False] * len(titles)
    )
    widths = [
        max([len(title), *(len(row[i]) for row in cells)])
        for i, title in enumerate(titles)
    ]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()

    return "\n".join([line(titles), line(["-" * w for w in widths]), *map(line, cells)])
