"""Tables that people keep: where the header is, and what a typed cell means.

Sheets, CSV and XLSX files come here as rows of cells. What comes out is a record per
row with days as ISO dates, money as decimals, or the reasons why a row cannot be read.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from connectors.base import cells
from connectors.base.cells import CellError, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from connectors.base.batch import Record
    from connectors.base.cells import Cell

    # a column, where it is, what reads its cells, and does an empty one mean "as above"
    _Place = tuple["Column", int | None, Callable[[Cell], Any], bool]

Kind = Literal[
    "text", "id", "day", "moment", "money", "whole", "phone", "flag", "currency"
]
HEADER_WITHIN = 20  # rows above the data in which the header is looked for
_TOTAL_WORDS = frozenset({"итог", "итого", "всего", "total", "totals"})
_TOTALS = re.compile(rf"(?:grand )?(?:{'|'.join(_TOTAL_WORDS)})(?: .*)?")


@dataclass(frozen=True)
class Column:
    """One column: `name` is the record's field, `title` what people write above it.

    `aliases` are other titles that are taken for it, the likeliest first. A `required`
    column must be there, and no row may leave it empty; an `expected` one must be there.
    """

    name: str
    title: str
    kind: Kind = "text"
    required: bool = False
    aliases: tuple[str, ...] = ()
    help: str = ""
    expected: bool = False

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """All its titles, folded: case, ё and punctuation make no difference."""
        return tuple(folded(each) for each in (self.title, *self.aliases))


class HeaderError(ValueError):
    """A table without a header that has the columns; the text names what is missing.

    `found`: how many of the columns the likeliest line has.
    """

    def __init__(self, message: str, found: int) -> None:
        super().__init__(message)
        self.found = found


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a row is refused. `reason` holds no value, `value` is the cell as typed."""

    line: int
    column: str
    reason: str
    value: str = ""

    def __str__(self) -> str:
        column = f' column "{self.column}":' if self.column else ""
        return f"line {self.line},{column} {self.reason}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of data: its record, or (when `wrong` is not empty) why it has none."""

    line: int
    record: Record
    wrong: tuple[Wrong, ...]
    cells: tuple[Cell, ...]


@dataclass
class Header:
    """Where the columns are. `line` is the header's last line, `unknown` what nobody
    asked for."""

    line: int
    places: dict[str, int]
    unknown: dict[str, int] = field(default_factory=dict)
    width: int = 0


@dataclass
class Table:
    """Reads one table; after `rows` has ended, `header` and the counts are known.

    `zone` is where times without an offset were typed. `fill_down`: fields whose empty
    cell means "as above" (cells merged downwards). `keep_unknown`: columns nobody asked
    for become fields of the record under their titles, but for those whose title is in
    `ignore`. `strict_width`: a cell beyond
    the header's last column refuses the row (in CSV it is a separator inside a value).
    """

    columns: tuple[Column, ...]
    zone: ZoneInfo
    fill_down: tuple[str, ...] = ()
    keep_unknown: bool = False
    ignore: tuple[str, ...] = ()
    strict_width: bool = False
    header: Header | None = None
    totals: int = 0

    def rows(self, lines: Iterable[tuple[int, Sequence[Cell]]]) -> Iterator[Row]:
        """The rows below the header, from numbered lines.

        Empty lines, repeated headers and lines of totals are left out. Raises
        HeaderError when the first lines hold no header with all required columns.
        """
        source = iter(lines)
        head = [line for _, line in zip(range(HEADER_WITHIN), source, strict=False)]
        header = self.header = find_header(head, self.columns)
        passed_over = {folded(each) for each in self.ignore}
        for title in list(header.unknown):
            if folded(title) in passed_over:
                del header.unknown[title]
        above: dict[str, Cell] = {}
        places = [self._place(column, header) for column in self.columns]
        for part in ([line for line in head if line[0] > header.line], source):
            for number, row in part:
                made = self._row(number, row, header, places, above)
                if made is not None:
                    yield made

    def _place(self, column: Column, header: Header) -> _Place:
        at = header.places.get(column.name)
        read = _READERS.get(column.kind) or partial(cells.moment, zone=self.zone)
        return column, at, read, column.name in self.fill_down

    def _row(
        self,
        number: int,
        row: Sequence[Cell],
        header: Header,
        places: list[_Place],
        above: dict[str, Cell],
    ) -> Row | None:
        if all(map(cells.is_blank, row)):
            return None
        record: Record = {}
        wrong: list[Wrong] = []
        width = len(row)
        for column, at, read, is_filled_down in places:
            cell = row[at] if at is not None and at < width else None
            if is_filled_down:
                cell = above.get(column.name) if cells.is_blank(cell) else cell
                above[column.name] = cell
            try:
                value = None if cell is None or cell == "" else read(cell)
                if value is None and column.required:
                    raise CellError("is empty")
            except CellError as error:
                value = None
                shown = cells.shown(cell)
                wrong.append(Wrong(number, column.title, str(error), shown))
            record[column.name] = value
        if wrong and self._is_no_data(row, header):
            return None
        if self.strict_width and any(
            not cells.is_blank(cell) for cell in row[header.width :]
        ):
            reason = (
                "has more cells than the header: a value with a separator in it "
                "belongs into quotation marks"
            )
            wrong.append(Wrong(number, "", reason))
        if self.keep_unknown:
            for title, place in header.unknown.items():
                if place < len(row) and not cells.is_blank(row[place]):
                    record[title] = cells.shown(row[place])
        return Row(number, record, tuple(wrong), tuple(row))

    def _is_no_data(self, row: Sequence[Cell], header: Header) -> bool:
        """Is this unreadable row a line of totals, or the header once more?"""
        texts = [folded(cell) for cell in row if isinstance(cell, str)]
        texts = [text for text in texts if text]
        if texts and (_TOTALS.fullmatch(texts[0]) or _TOTAL_WORDS & {*texts}):
            self.totals += 1
            return True
        titles = {title for column in self.columns for title in column.titles}
        return bool(texts) and sum(text in titles for text in texts) >= len(
            header.places
        )


def find_header(
    lines: Sequence[tuple[int, Sequence[Cell]]], columns: tuple[Column, ...]
) -> Header:
    """The header among the first lines: one line, or two of which the upper is merged.

    Raises HeaderError, which names what is missing or there twice.
    """
    best: tuple[int, int, Header, dict[str, str], int] | None = None
    known = {title for column in columns for title in column.titles} - {""}
    for at, (number, row) in enumerate(lines):
        if best is not None and best[0] and at > best[4] + 1:
            break  # below the header are data
        kinds = [(number, [[folded(cell)] for cell in row])]
        if at + 1 < len(lines):
            following, below = lines[at + 1]
            kinds.append((following, _merged(row, below)))
        for last, names in kinds:
            if best is not None and best[0]:
                most = sum(not known.isdisjoint(each) for each in names)
                if most <= best[1]:
                    continue  # a line of data
            header, twice = _matched(last, names, columns)
            missing = bool(_lacking(header, columns))
            # the same with one line more is no better
            score = (int(not missing), len(header.places))
            if best is None or score > best[:2]:
                best = (*score, header, twice, at)
                titles = row if last == number else lines[at + 1][1]
                _name_unknown(header, titles, row)
    if best is None or not best[1]:
        needed = ", ".join(f'"{each.title}"' for each in columns if each.required)
        raise HeaderError(
            f"no header in the first {HEADER_WITHIN} lines: a line with the columns "
            f"{needed} must stand above the data",
            0,
        )
    _, _, header, twice, _ = best
    for title in twice.values():
        raise HeaderError(
            f'column "{title}" is there twice in line {header.line}; rename one of them',
            best[1],
        )
    if missing_ones := _lacking(header, columns):
        raise HeaderError(_missing(missing_ones, header), best[1])
    return header


def _lacking(header: Header, columns: tuple[Column, ...]) -> list[Column]:
    needed = (each for each in columns if each.required or each.expected)
    return [each for each in needed if each.name not in header.places]


def _missing(missing: list[Column], header: Header) -> str:
    texts = []
    for column in missing:
        text = f'no column "{column.title}"'
        if name := _renamed(folded(column.title), header.unknown):
            text += f' (was it renamed to "{name}"?)'
        texts.append(text)
    return f"{', '.join(texts)} in the header (line {header.line})"


def _renamed(title: str, unknown: Iterable[str]) -> str | None:
    """The title among these that is most like the one that is missing."""
    known = {folded(name): name for name in unknown}
    if close := difflib.get_close_matches(title, known, 1, 0.6):
        return known[close[0]]
    words = set(title.split())
    return next(
        (name for each, name in known.items() if words <= {*each.split()}), None
    )


def _merged(upper: Sequence[Cell], lower: Sequence[Cell]) -> list[list[str]]:
    """Names of columns under a header of two lines, likeliest first.

    A merged cell has its text in its first column only: what is right of it belongs
    under it, if there is a title below.
    """
    names: list[list[str]] = []
    group = ""
    for place in range(max(len(upper), len(lower))):
        above = folded(upper[place]) if place < len(upper) else ""
        below = folded(lower[place]) if place < len(lower) else ""
        group = above or group
        if below:
            names.append([f"{group} {below}".strip(), below])
        else:
            names.append([above])
    return names


def _matched(
    line: int, names: list[list[str]], columns: tuple[Column, ...]
) -> tuple[Header, dict[str, str]]:
    """The places of the columns under these names, and the titles found twice."""
    where: dict[str, list[int]] = {}
    for at, each in enumerate(names):
        for name in dict.fromkeys(filter(None, each)):
            where.setdefault(name, []).append(at)
    places: dict[str, int] = {}
    twice: dict[str, str] = {}
    taken: set[int] = set()
    for column in columns:
        for title in column.titles:
            if title not in where:
                continue
            found = [at for at in where[title] if at not in taken]
            if found:
                places[column.name] = found[0]
                taken.add(found[0])
                if len(found) > 1:
                    twice[column.name] = column.title
                break
    width = max((at + 1 for at, each in enumerate(names) if any(each)), default=0)
    return Header(line, places, width=width), twice


def _name_unknown(header: Header, row: Sequence[Cell], upper: Sequence[Cell]) -> None:
    """Note the titles of columns that nobody asked for."""
    counts: Counter[str] = Counter()
    for place in range(header.width):
        text = cells.shown(row[place]) if place < len(row) else ""
        text = text or (cells.shown(upper[place]) if place < len(upper) else "")
        if place in header.places.values() or not text:
            continue
        counts[text] += 1
        header.unknown[text if counts[text] == 1 else f"{text} ({counts[text]})"] = (
            place
        )


_READERS: dict[Kind, Callable[[Cell], Any]] = {
    "text": cells.text,
    "id": cells.identifier,
    "day": cells.day,
    "money": cells.money,
    "whole": cells.whole,
    "phone": cells.phone,
    "flag": cells.flag,
    "currency": cells.currency,
}
"""All kinds but the moment, which needs a zone."""


def plain_name(text: str) -> str:
    """A file's or sheet's name in one spelling, whatever system wrote it."""
    return unicodedata.normalize("NFC", text)
