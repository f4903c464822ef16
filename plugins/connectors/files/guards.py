"""Workbooks that are not opened: refused by what is in them, before anything is parsed.

A workbook comes from outside and is a packed file: 700 KB may unpack to 300 MB, and it
may bring programs, links and other packed files along.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_UNPACKED = 128 << 20  # bytes; 200,000 rows of ten columns are about 100 MB
MOST_ENTRIES = 1000
BLOCK = 1 << 18
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP = b"PK\x03\x04"

_PACKED = {".zip", ".xlsx", ".xlsm", ".xlsb", ".docx", ".pptx", ".7z", ".rar", ".gz"}
# What is in the way of a plain table, by the name of the part.
_FORBIDDEN = (
    (re.compile(r"vbaproject|macrosheets/|activex/|ctrlprops/"), "has macros in it"),
    (re.compile(r"xl/externallinks/"), "has links to other workbooks"),
    (re.compile(r"xl/(connections\.xml|querytables/|model/)"), "has data connections"),
    (re.compile(r"embeddings/|oleobject"), "has other files embedded in it"),
    (re.compile(r"(^|/)encryp\w+$"), "is encrypted"),
)
_ROW = re.compile(rb"<(?:\w+:)?row[ >]")
_VALUE = re.compile(rb"<(?:\w+:)?(?:v|is)[ >]")
_LAST_ROW = (1 << 20) + 1
_ROW_NUMBER = re.compile(rb'\A[^>]*?\br="(\d+)"')


class Unreadable(ValueError):
    """A whole file is refused; the text says why and what to do."""


def refuse_unsafe(body: bytes, most_rows: int) -> None:
    """Raise Unreadable for a workbook that must not be opened.

    Sizes are judged as declared and as they are; nothing is kept in memory but a block.
    """
    if body.startswith(OLE):
        if "EncryptedPackage".encode("utf-16-le") in body:
            raise Unreadable("is encrypted by a password; save it without one")
        raise Unreadable("is a workbook of the old kind (.xls); save it as .xlsx")
    if not body.startswith(ZIP):
        raise Unreadable("is no workbook, whatever its name says; save it as .xlsx")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            _refuse_by_list(archive)
            for entry in archive.infolist():
                _refuse_by_content(archive, entry, most_rows)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise Unreadable(
            f"is damaged ({type(error).__name__}); save it again"
        ) from None
    except (NotImplementedError, ValueError, OverflowError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("is packed in a way that workbooks are not") from None


def _refuse_by_list(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise Unreadable(f"has {len(entries)} parts, more than any workbook")
    names = [each.filename.lower() for each in entries]
    if len(set(names)) < len(names):
        raise Unreadable("has two parts of one name")
    end = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.flag_bits & 1:
            raise Unreadable("is encrypted; save it without a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable("is packed in a way that workbooks are not")
        if entry.header_offset < end:
            raise Unreadable("has parts that lie over each other")
        end = entry.header_offset + entry.compress_size
    for name in names:
        for pattern, reason in _FORBIDDEN:
            if pattern.search(name):
                raise Unreadable(f"{reason}; save a copy with values only, as .xlsx")
        if PurePosixPath(name).suffix in _PACKED:
            raise Unreadable("has another packed file in it")
    if "[content_types].xml" not in names or "xl/workbook.xml" not in names:
        raise Unreadable("is a packed file, but no workbook; save it as .xlsx")
    unpacked = sum(each.file_size for each in entries)
    if unpacked > MOST_UNPACKED:
        raise Unreadable(
            f"unpacks to {unpacked >> 20} MB, more than {MOST_UNPACKED >> 20}; split it"
        )


def _refuse_by_content(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most_rows: int
) -> None:
    """Unpack one part in blocks. More than it declares cannot come out: `zipfile`
    stops there, and its check sum then fails."""
    name = entry.filename.lower()
    with archive.open(entry) as file:
        blocks = iter(lambda: file.read(BLOCK), b"")
        first = next(blocks, b"")
        if first.startswith((ZIP, OLE)):
            raise Unreadable("has another packed file in it")
        if name == "[content_types].xml" and b"macroenabled" in first.lower():
            raise Unreadable("has macros in it; save it as .xlsx")
        if name.endswith((".xml", ".rels")):
            is_table = name.startswith("xl/worksheets/")
            _refuse_xml(first, blocks, most_rows if is_table else None)
        else:
            for _ in blocks:
                pass


def _refuse_xml(first: bytes, blocks: Iterator[bytes], most_rows: int | None) -> None:
    """Entities may grow without end; rows are counted where `most_rows` is given."""
    if first.startswith((b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")):
        raise Unreadable("is written in an encoding that workbooks are not")
    rows = 0
    rest = b""
    block = first
    while block:
        whole = rest + block
        if b"<!DOCTYPE" in whole or b"<!ENTITY" in whole:
            raise Unreadable("declares entities of its own")
        if most_rows is None:
            rest = whole[-16:]
        else:
            *parts, rest = _ROW.split(whole)
            rows += _values(parts)
            if rows > most_rows:
                raise _too_many(most_rows)
            if len(rest) > MOST_UNPACKED // 8:
                raise Unreadable("has a row of over 16 MB")
        block = next(blocks, b"")
    if most_rows is not None and rows + _values([rest]) > most_rows + 1:
        raise _too_many(most_rows)


def _values(rows: list[bytes]) -> int:
    """How many of these rows hold anything: formatted empty ones are no rows."""
    for row in rows[-1:]:
        number = _ROW_NUMBER.match(row)
        if number and int(number[1]) >= _LAST_ROW:
            raise Unreadable("has a row beyond the last that a sheet can have")
    return sum(_VALUE.search(row) is not None for row in rows)


def _too_many(most_rows: int) -> Unreadable:
    return Unreadable(f"has more than {most_rows} rows; split it, or raise most_rows")
