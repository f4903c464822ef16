"""Opens a file of a table: CSV in any usual spelling, or a workbook that is safe."""

from __future__ import annotations

import csv
import io
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
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

    from connectors.base.manual import Ids, Plan, Reading
    from connectors.base.tables import Column

    Lines = Iterator[tuple[int, Sequence[Any]]]

TEXT_SUFFIXES = {".csv", ".tsv", ".txt"}
LONGEST_CELL = 1 << 17
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
        text = _decoded(body)
        lines = _csv_lines(text, plan.columns, most_rows)
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


def _decoded(body: bytes) -> str:
    for magic, what in _OTHERS:
        if body.startswith(magic):
            raise Unreadable(f"is {what}, whatever its name says")
    for bom, encoding in _BOMS:
        if body.startswith(bom):
            return _decode(body, encoding)
    head = body[:4096]
    if b"\0" in head:
        # UTF-16 without its mark: every other byte of Latin text is a zero
        even, odd = head[::2].count(0), head[1::2].count(0)
        if max(even, odd) < len(head) // 16:
            raise Unreadable("is no text, whatever its name says")
        return _decode(body, "utf-16-be" if even > odd else "utf-16-le")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = _decode(body, "windows-1251")
    if re.match(r"\s*<(?:!doctype|html|\?xml|table)", text[:200], re.IGNORECASE):
        raise Unreadable("is a web page, whatever its name says; save it as CSV")
    return text


def _decode(body: bytes, encoding: str) -> str:
    try:
        return body.decode(encoding)
    except UnicodeDecodeError:
        raise Unreadable(
            "is in an unknown encoding; save it as CSV in UTF-8 or Windows-1251"
        ) from None


def _csv_lines(text: str, columns: tuple[Column, ...], most_rows: int) -> Lines:
    """The numbered lines of a CSV; the separator is the one under which a header is
    found."""
    csv.field_size_limit(LONGEST_CELL)
    separator, skipped = _separator(text, columns)
    _refuse_open_quotes(text, separator)
    rest = io.StringIO(text, newline="")
    for _ in range(skipped):
        rest.readline()
    if text.count("\n") > most_rows:
        rows = sum(any(row) for _, row in _numbered(rest, separator, skipped))
        if rows > most_rows + 1:
            raise Unreadable(
                f"has more than {most_rows} rows; split it, or raise most_rows"
            )
        rest.seek(0)
        for _ in range(skipped):
            rest.readline()
    return _numbered(rest, separator, skipped)


def _numbered(file: io.StringIO, separator: str, skipped: int) -> Lines:
    reader = csv.reader(file, delimiter=separator)
    line = skipped + 1
    try:
        for row in reader:
            yield line, row
            # a value may hold line breaks
            line = reader.line_num + skipped + 1
    except csv.Error:
        raise Unreadable(
            f"cannot be read from line {line} on: is a quotation mark never closed?"
        ) from None


def _refuse_open_quotes(text: str, separator: str) -> None:
    """A quotation mark that is never closed would swallow all rows after it."""
    if '"' not in text:
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise Unreadable(
                f"has a quotation mark that is never closed, in line {line} or after it"
            ) from None


def _separator(text: str, columns: tuple[Column, ...]) -> tuple[str, int]:
    """The separator, and how many lines to pass over (Excel's `sep=;`)."""
    if match := re.match(r"sep=([;,\t|])\r?\n", text, re.IGNORECASE):
        return match[1], 1
    head = text[:65536]
    best, found = ";", -1
    for separator in ";,\t|":
        lines = []
        try:
            for number, row in _numbered(io.StringIO(head, newline=""), separator, 0):
                lines.append((number, row))
                if len(lines) == 25:
                    break
            matched = 1000 + len(find_header(lines, columns).places)
        except HeaderError as error:
            matched = error.found
        except Unreadable:
            continue
        if matched > found:
            best, found = separator, matched
    return best, 0
