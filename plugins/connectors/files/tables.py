"""Opens a file of a table: CSV in any usual spelling, or a workbook that is safe."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError as XmlError

from connectors.base import manual
from connectors.base.tables import HeaderError, Table, find_header
from connectors.files.guards import OLE, ZIP, Unreadable, refuse_unsafe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from connectors.base.manual import Ids, Plan, Reading
    from connectors.base.tables import Column

    Lines = Iterator[tuple[int, Sequence[Any]]]

TEXT_SUFFIXES = {".csv", ".tsv", ".txt"}
LONGEST_CELL = 1 << 17
MOST_LINES = 20  # of one row; a value with more of them is a mark that stays open
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_OTHERS = (
    (ZIP, "a workbook or another packed file"),
    (OLE, "a workbook of the old kind"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"{\\rtf", "a text document"),
    (b"\x1f\x8b", "a packed file"),
)
# What openpyxl raises when a workbook is not what it should be.
_DAMAGED = (
    AttributeError, EOFError, IndexError, KeyError, OSError, OverflowError, TypeError,
    UnicodeError, ValueError, XmlError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read(
    name: str, body: bytes, plan: Plan, *, zone: ZoneInfo, ids: Ids, most_rows: int
) -> Reading:
    """The rows of one file, good and refused.

    `name` stands in every reason, its ending says what kind the file claims to be.
    Raises Unreadable when the whole file is refused.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in {".xlsx", *TEXT_SUFFIXES}:
        raise Unreadable(f"is a {suffix or 'nameless'} file; save it as .xlsx or .csv")
    if not body:
        raise Unreadable("is empty")
    if suffix != ".xlsx":
        lines = _csv_lines(body, plan.columns, most_rows)
        table = Table(plan.columns, zone, keep_unknown=True, strict_width=True)
        try:
            return manual.read(table, lines, plan, ids, name)
        except HeaderError as error:
            raise Unreadable(str(error)) from None
    refuse_unsafe(body, most_rows)
    return _read_workbook(name, body, plan, zone, ids)


def _read_workbook(
    name: str, body: bytes, plan: Plan, zone: ZoneInfo, ids: Ids
) -> Reading:
    """All visible sheets that have the header; a workbook may have one per month."""
    import openpyxl  # heavy, and no use before the guards have passed

    whole = manual.Reading()
    missing: HeaderError | None = None
    found = 0
    try:
        book = openpyxl.load_workbook(
            io.BytesIO(body), read_only=True, data_only=True, keep_links=False
        )
        sheets = [each for each in book.worksheets if each.sheet_state == "visible"]
        for sheet in sheets:
            # a sheet may declare 16,384 columns and have five
            sheet.reset_dimensions()
            where = f'{name}, sheet "{sheet.title}"' if len(sheets) > 1 else name
            table = Table(plan.columns, zone, keep_unknown=True)
            rows = enumerate(sheet.iter_rows(values_only=True), 1)
            try:
                whole.add(manual.read(table, rows, plan, ids, where, whole.here))
            except HeaderError as error:
                # one title may stand in a sheet of remarks; two are half a header
                if error.found > 1 and len(sheets) > 1:
                    whole.refused.append(manual.refusal(where, str(error)))
                missing = missing or error
            else:
                found += 1
    except _DAMAGED as error:
        raise Unreadable(
            f"is damaged ({type(error).__name__}); save it again"
        ) from None
    if not found and missing is not None:
        raise Unreadable(str(missing)) from None
    if not sheets:
        raise Unreadable("has no visible sheet")
    return whole


def _encoding(body: bytes) -> str:
    """The encoding of a text. Raises Unreadable for what is none."""
    for magic, what in _OTHERS:
        if body.startswith(magic):
            raise Unreadable(f"is {what}, whatever its name says")
    if re.match(rb"\s*<(?:!doctype|html|\?xml|table)", body[:200], re.IGNORECASE):
        raise Unreadable("is a web page, whatever its name says; save it as CSV")
    marked = [encoding for bom, encoding in _BOMS if body.startswith(bom)]
    head = body[:4096]
    if not marked and b"\0" in head:
        # UTF-16 without its mark: every other byte of Latin text is a zero
        even, odd = head[::2].count(0), head[1::2].count(0)
        if min(even, odd) * 4 > max(even, odd):
            raise Unreadable("is no text, whatever its name says")
        marked = ["utf-16-be" if even > odd else "utf-16-le"]
    for encoding in marked or ("utf-8", "windows-1251"):
        try:
            for _ in _opened(body, encoding):
                pass
        except UnicodeDecodeError:
            continue
        return encoding
    raise Unreadable(
        "is in an unknown encoding; save it as CSV in UTF-8 or Windows-1251"
    )


def _opened(body: bytes, encoding: str) -> io.TextIOWrapper:
    """The text, decoded as it is read: as a whole it takes four times its bytes."""
    return io.TextIOWrapper(io.BytesIO(body), encoding=encoding, newline="")


def _csv_lines(body: bytes, columns: tuple[Column, ...], most_rows: int) -> Lines:
    """The numbered lines of a CSV; the separator is the one under which a header is
    found. Raises Unreadable."""
    csv.field_size_limit(LONGEST_CELL)
    encoding = _encoding(body)
    separator, skipped = _separator(body, encoding, columns)

    def lines(strict: bool = False) -> Lines:
        return _numbered(_opened(body, encoding), separator, skipped, strict)

    if body.count(b"\n") > most_rows:
        rows = 0
        for _, row in lines():
            rows += any(row)
            if rows > most_rows + 1:
                raise Unreadable(
                    f"has more than {most_rows} rows; split it, or raise most_rows"
                )
    if b'"' in body:
        for _ in lines(strict=True):
            pass
    return lines()


def _numbered(
    file: Iterable[str], separator: str, skipped: int, strict: bool = False
) -> Lines:
    """Lines with their numbers, as an editor counts them.

    `strict`: only to see that no quotation mark stays open and swallows the rest.
    """
    file = iter(file)
    for _ in range(skipped):
        next(file, None)
    reader = csv.reader(file, delimiter=separator, strict=strict)
    line = skipped + 1
    try:
        for row in reader:
            if reader.line_num + skipped - line >= MOST_LINES:
                raise csv.Error("unexpected end")
            yield line, row
            # a value may hold line breaks
            line = reader.line_num + skipped + 1
    except csv.Error as error:
        if strict and "unexpected end" not in str(error):
            return  # a mark inside a value is no harm
        raise Unreadable(
            f"cannot be read from line {line} on: a quotation mark is never closed"
        ) from None


def _separator(
    body: bytes, encoding: str, columns: tuple[Column, ...]
) -> tuple[str, int]:
    """The separator, and how many lines to pass over (Excel's `sep=;`)."""
    head = list(itertools.islice(_opened(body, encoding), 100))
    if head and (match := re.fullmatch(r"(?i)sep=([;,\t|])\r?\n?", head[0])):
        return match[1], 1
    best, found = ";", -1
    for separator in ";,\t|":
        lines = []
        with contextlib.suppress(Unreadable):
            for numbered in itertools.islice(_numbered(head, separator, 0), 25):
                lines.append(numbered)
        try:
            find_header(lines, columns)
            return separator, 0
        except HeaderError as error:
            matched = error.found
        if matched > found:
            best, found = separator, matched
    return best, 0
