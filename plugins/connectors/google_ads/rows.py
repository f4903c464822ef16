"""Nested rows as flat records: {"campaign": {"id": …}} becomes `campaign.id`.

The rows of a report have the same shape but for rare ones. So their values are taken
out column by column, with loops that run in C; rows that differ are flattened one by
one. Both give the same records. `resourceName`, which comes unasked, is left out.
"""

from __future__ import annotations

from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.base.batch import Record

UNASKED = "resourceName"


def columns_of(rows: list[Record]) -> dict[str, list[Any]] | None:
    """The rows' values by their flat names, in the rows' order; None when the rows
    are not of one shape, or hold nothing."""
    columns: dict[str, list[Any]] = {}
    if rows and not (_spread(rows, "", columns) and columns):
        return None
    return columns


def records_of(columns: dict[str, list[Any]]) -> list[Record]:
    """Columns of one length as records."""
    rows = zip(*columns.values(), strict=True)
    return list(map(dict, map(zip, repeat(tuple(columns)), rows)))


def _spread(objects: list[Record], prefix: str, into: dict[str, list[Any]]) -> bool:
    """Add the columns of objects and of those in them; False when shapes differ."""
    first = objects[0]
    if {*map(len, objects)} != {len(first)}:
        return False
    for name in first:
        try:
            column = list(map(itemgetter(name), objects))
        except KeyError:
            return False
        kinds = {*map(type, column)}
        if kinds == {dict}:
            if not _spread(column, f"{prefix}{name}.", into):
                return False
        elif dict in kinds:
            return False
        elif name != UNASKED:
            into[prefix + name] = column
    return True


def flattened(rows: list[Record]) -> list[Record]:
    """Rows of any shapes as records."""
    names = _Names("")
    return [flat(row, names) for row in rows]


class _Names(dict[str, str]):
    """Names with a prefix, made when first asked for: rows share theirs."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix
        self.inner: dict[str, _Names] = {}

    def __missing__(self, name: str) -> str:
        full = self[name] = self._prefix + name
        return full

    def below(self, name: str) -> _Names:
        """Names in the object of this name."""
        found = self.inner.get(name)
        if found is None:
            found = self.inner[name] = _Names(f"{self[name]}.")
        return found


def flat(row: Any, names: _Names | None = None, into: Record | None = None) -> Record:
    """One row as a record."""
    into = {} if into is None else into
    names = _Names("") if names is None else names
    for name, value in row.items() if type(row) is dict else ():
        if type(value) is dict:
            flat(value, names.below(name), into)
        elif name != UNASKED:
            into[names[name]] = value
    return into
