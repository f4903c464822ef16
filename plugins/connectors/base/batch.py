"""What a connector hands to landing: a piece of a stream, as the vendor gave it.

Two shapes. `JsonBatch` holds records as dictionaries. `TsvBatch` holds the rows of a
tab-separated answer as bytes, because a report of a million rows is landed four times
faster when nobody makes dictionaries of it. Both give the same records and land the
same bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Record = dict[str, Any]

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that the connector could not make a record of: a dead letter.

    `reason` names places and columns, never values; `payload` is the row as it came.
    With `record_key` the row that has this key stays as it was; without one nothing is
    taken for gone in this load, because anything may have been in it.
    """

    reason: str
    payload: bytes
    record_key: str | None = None


@dataclass(frozen=True, slots=True)
class JsonBatch:
    """Records as dictionaries of JSON values; a number too big for float stays int.

    `warnings` are what a person should know of this answer (sampled, thresholded):
    each distinct text becomes one row of ops.warnings. `refused` are rows that are no
    records.
    """

    records: list[Record]
    warnings: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class TsvBatch:
    """Whole rows of a tab-separated answer, UTF-8, without header and trailer.

    Rows end with `\\n` (the last one may lack it); an empty line is no row. `columns`
    names the cells in the order of the answer. `escaped` says that the vendor writes
    a tab, a newline, a quote or a backslash inside a value with a backslash before it
    (Metrica's Logs API: yandex_metrica/README.md); without it a backslash is a plain
    letter (Direct's reports: yandex_direct/README.md). A cell is text, whatever it
    looks like.
    """

    columns: tuple[str, ...]
    body: bytes
    escaped: bool = False

    def records(self) -> Iterator[Record]:
        """The rows as dictionaries of text.

        Raises ValueError for a row whose number of cells differs from the columns',
        and UnicodeDecodeError for one that is not UTF-8.
        """
        for line in self.body.split(b"\n"):
            if line:
                yield tsv_record(self.columns, line, escaped=self.escaped)


Batch = JsonBatch | TsvBatch


def unescape(cell: str) -> str:
    """A cell without its backslash escapes: `\\t` is a tab, `\\'` is a quote."""
    if "\\" not in cell:
        return cell
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), cell)


def tsv_record(columns: tuple[str, ...], line: bytes, *, escaped: bool) -> Record:
    """One row as a dictionary of text; ValueError when its cells do not fit."""
    cells = line.decode("utf-8").split("\t")
    if len(cells) != len(columns):
        raise ValueError(f"{len(cells)} cells where {len(columns)} were declared")
    if escaped:
        cells = [unescape(cell) for cell in cells]
    return dict(zip(columns, cells, strict=True))
