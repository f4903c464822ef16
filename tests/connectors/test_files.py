"""Files that people fill in: what is read, what is refused, and what lands."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import struct
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from connectors.base import landing, registry, settings
from connectors.base.errors import ConfigError, FatalError, RetriableError
from connectors.base.manual import Ids, Reading
from connectors.base.pseudonymise import Tokeniser
from connectors.base.sources import Account
from connectors.files import Files, tables, templates
from connectors.files.columns import PLANS, STREAMS
from connectors.files.guards import Unreadable, refuse_unsafe
from connectors.files.places import signed
from simulator.face import Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.connectors.bench import OnBench, Warehouse

MOSCOW = ZoneInfo("Europe/Moscow")
HEADER = ["Дата с", "Дата по", "Источник", "Кампания", "Сумма"]
ROWS = [
    ["01.05.2026", "31.05.2026", "Радио", "Эфир; утро", "1 234 567,80"],
    ["05.05.2026", "", "Авито", "", "1200,5"],
]
EXPECTED = [
    ("2026-05-01", "2026-05-31", "Радио", "Эфир; утро", "1234567.80"),
    ("2026-05-05", "2026-05-05", "Авито", None, "1200.50"),
]


def read(name: str, body: bytes, stream: str = "costs", rows: int = 200_000) -> Reading:
    return tables.read(
        name, body, PLANS[stream], zone=MOSCOW, ids=Ids(), most_rows=rows
    )


def shown(reading: Reading) -> list[tuple[Any, ...]]:
    names = ("date_from", "date_to", "source", "campaign", "amount")
    return [tuple(each[name] for name in names) for each in reading.records]


def as_csv(
    rows: list[list[Any]], separator: str = ";", encoding: str = "utf-8"
) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows(rows)
    return text.getvalue().encode(encoding)


def as_xlsx(*sheets: list[list[Any]], merged: tuple[str, ...] = ()) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"Лист{number}")
        for row in rows:
            sheet.append(row)
        for cells in merged:
            sheet.merge_cells(cells)
    body = io.BytesIO()
    book.save(body)
    return body.getvalue()


# -- what is read ------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "windows-1251", "utf-16", "utf-16-le"]
)
def test_csv_is_read_in_every_usual_spelling(separator: str, encoding: str) -> None:
    rows = [["Расходы за май"], [], HEADER, *ROWS, ["Итого", "", "", "", "1"]]
    reading = read("costs.csv", as_csv(rows, separator, encoding))
    assert shown(reading) == EXPECTED
    assert (reading.wrong, reading.totals) == ([], 1)


def test_excel_says_its_separator_in_a_line_of_its_own() -> None:
    body = b"sep=|\r\n" + as_csv([HEADER, *ROWS], "|")
    assert shown(read("costs.csv", body)) == EXPECTED


def test_no_break_spaces_and_roubles_are_no_letters_of_a_sum() -> None:
    row = ["01.05.2026", "", "Радио", "", "12\u00a0345,67\u202f₽"]
    assert read("costs.csv", as_csv([HEADER, row])).records[0]["amount"] == "12345.67"


def test_a_workbook_is_read_with_its_dates_numbers_and_merged_cells() -> None:
    rows: list[list[Any]] = [
        ["Расходы"],
        [],
        ["Период", None, "Источник", "Кампания", "Сумма, руб."],
        ["с", "по", None, None, None],
        [date(2026, 5, 1), datetime(2026, 5, 31), "Радио", "Эфир; утро", 1234567.8],
        [46147, None, "Авито", None, "1200,5"],
        ["Итого", None, None, None, 1235768.3],
    ]
    body = as_xlsx(rows, merged=("A1:E1", "A3:B3", "C3:C4", "D3:D4", "E3:E4"))
    assert shown(read("costs.xlsx", body)) == EXPECTED


def test_all_sheets_with_the_header_are_read() -> None:
    remarks = [["Столбец", "Зачем"], ["Дата с", "первый день"]]
    body = as_xlsx([HEADER, ROWS[0]], remarks, [HEADER, ROWS[1]])
    assert shown(read("costs.xlsx", body)) == EXPECTED


def test_a_sheet_with_half_a_header_is_refused_and_not_passed_over() -> None:
    broken = [["Дата с", "Источник", "Сумма без НДС"], ["01.05.2026", "Радио", 5]]
    reading = read("costs.xlsx", as_xlsx([HEADER, ROWS[0]], broken))
    assert len(reading.records) == 1
    assert [each.reason for each in reading.refused] == [
        'costs.xlsx, sheet "Лист2" no column "Сумма" (was it renamed to "Сумма без '
        'НДС"?) in the header (line 1)'
    ]
    assert reading.refused[0].record_key is None


def test_phones_keep_their_digits_in_a_workbook() -> None:
    rows: list[list[Any]] = [
        ["Номер сделки", "Дата создания", "Статус", "Телефон"],
        [17, datetime(2026, 5, 1, 10, 30), "В работе", 79990000001],
        [18.0, "02.05.2026 9:05", "Выдан", "89990000001; +7 999 000-00-02"],
    ]
    first, second = read("d.xlsx", as_xlsx(rows), "deals").records
    assert (first["deal_id"], first["phone"]) == ("17", "79990000001")
    assert first["created_at"] == "2026-05-01T10:30:00+03:00"
    assert second["phone"] == ["89990000001", "+7 999 000-00-02"]
    assert second["deal_id"] == "18"


@pytest.mark.parametrize("stream", list(PLANS))
def test_an_empty_template_is_a_table_without_rows(stream: str) -> None:
    for name, body in (
        ("t.xlsx", templates.as_xlsx(stream)),
        ("t.csv", templates.as_csv(stream)),
    ):
        reading = read(name, body, stream)
        assert (reading.records, reading.refused) == ([], [])


@pytest.mark.parametrize("stream", list(PLANS))
def test_every_column_of_a_template_is_read(stream: str) -> None:
    sample: dict[str, Any] = {
        "day": "02.05.2026", "moment": "02.05.2026 10:00", "money": "5,50",
        "whole": "7", "flag": "да", "currency": "RUB", "phone": "+79990000001",
    }  # fmt: skip
    header = templates.as_csv(stream).decode("utf-8-sig").strip().split(";")
    columns = {each.title: each for each in PLANS[stream].columns}
    row = [sample.get(columns[title].kind, f"x{at}") for at, title in enumerate(header)]
    (record,) = read("t.csv", as_csv([header, row]), stream).records
    assert all(record[each.name] is not None for each in columns.values())
    declared = next(each for each in STREAMS if each.name == stream)
    assert {*record, "file"} == {each.name for each in declared.fields}


# -- rows that are refused ----------------------------------------------------------------


def test_each_refused_row_is_named_by_line_column_and_reason() -> None:
    rows = [
        HEADER,
        ROWS[0],
        ["вчера", "", "Радио", "", "5"],
        ["01.05.2026", "30.04.2026", "Радио", "", "5"],
        ["01.05.2026", "", "", "", "1.234"],
        ROWS[1],
    ]
    reading = read("costs.csv", as_csv(rows))
    assert shown(reading) == EXPECTED
    assert [str(each) for each in reading.wrong] == [
        'line 3, column "Дата с": is no date; write it as 31.12.2026',
        'line 4, column "Дата по": is earlier than the first day',
        'line 5, column "Источник": is empty',
        'line 5, column "Сумма": can be read in two ways; write 1234,50 or 1 234,50',
    ]
    assert len(reading.refused) == 3
    assert all("1.234" not in each.reason for each in reading.refused)


def test_lines_are_counted_as_an_editor_shows_them() -> None:
    rows = [
        HEADER,
        ["01.05.2026", "", "Радио", "две\nстроки", "5"],
        ["x", "", "y", "", 1],
    ]
    reading = read("costs.csv", as_csv(rows))
    assert [each.line for each in reading.wrong] == [4]


def test_a_separator_inside_a_value_refuses_the_row() -> None:
    body = "Дата с,Источник,Сумма\n01.05.2026,Радио,1200,50\n01.05.2026,Радио,7\n"
    reading = read("costs.csv", body.encode())
    assert [each["amount"] for each in reading.records] == ["7.00"]
    assert "more cells than the header" in reading.wrong[0].reason


LEASES = ["Номер", "ClientID Метрики", "ID посетителя", "Показан с", "Показан по"]


def test_numbers_shown_to_visitors_are_kept_as_call_trackers_write_them() -> None:
    since = "01.05.2026 10:00:05"
    rows = [
        ["8 (495) 000-03-01", "1700000000123456789", "", since, "01.05.2026 10:20"],
        ["+7 495 000 03 01", "", "77", since, ""],
        [4950000301, "", 77, "02.05.2026", "02.05.2026"],
        ["+44 20 7946 0000", "5", "", since, None],
    ]
    numbers = ["74950000301"] * 3 + ["442079460000"]
    for name, body in (("l.csv", as_csv([LEASES, *rows])),
                       ("l.xlsx", as_xlsx([LEASES, *rows]))):  # fmt: skip
        reading = read(name, body, "number_leases")
        assert reading.wrong == []
        assert [each["phone_number"] for each in reading.records] == numbers
        first, second, *_ = reading.records
        assert first["ym_client_id"] == "1700000000123456789"
        assert first["shown_from"] == "2026-05-01T10:00:05+03:00"
        assert (second["visitor_id"], second["shown_to"]) == ("77", None)


def test_a_lease_that_ended_meanwhile_is_the_same_lease() -> None:
    row = ["84950000301", "1", "", "01.05.2026 10:00", ""]
    (open_one,) = read("l.csv", as_csv([LEASES, row]), "number_leases").records
    ended = ["+7 495 000-03-01", "1", "", "01.05.2026 10:00", "01.05.2026 10:30"]
    (same,) = read("l.csv", as_csv([LEASES, ended]), "number_leases").records
    assert same["lease_id"] == open_one["lease_id"]


def test_a_lease_of_nobody_or_of_no_number_is_refused() -> None:
    since = "01.05.2026 10:00"
    rows = [
        ["84950000301", "", "", since, ""],
        ["добавочный 12", "1", "", since, ""],
        ["84950000301, 84950000302", "1", "", since, ""],
        ["", "1", "", since, ""],
        ["84950000301", "1", "", since, "01.05.2026 09:59"],
        ["84950000301", 1.7e18, "", since, ""],
        ["84950000301", "1", "", since, "01.06.2026 10:01"],
    ]
    reading = read("l.xlsx", as_xlsx([LEASES, *rows]), "number_leases")
    assert [str(each) for each in reading.wrong] == [
        'line 2, column "ClientID Метрики": is empty, and no visitor\'s number is given',
        'line 3, column "Номер": is no number of 10 to 15 digits',
        'line 4, column "Номер": is no number of 10 to 15 digits',
        'line 5, column "Номер": is empty',
        'line 6, column "Показан по": is earlier than the beginning',
        'line 7, column "ClientID Метрики": is too long for a number cell, its last '
        "digits are lost; format the column as text",
        'line 8, column "Показан по": is more than 31 days after the beginning',
    ]
    assert reading.records == []


def test_an_id_stands_once_in_a_file() -> None:
    rows = [["Номер сделки", "Дата создания", "Статус"], ["1", "01.05.2026", "Новая"],
            ["1", "01.05.2026", "Выдан"]]  # fmt: skip
    reading = read("deals.csv", as_csv(rows), "deals")
    assert len(reading.records) == 1
    assert [str(each) for each in reading.wrong] == [
        'line 3, column "Номер сделки": stands already in line 2'
    ]


def test_equal_rows_without_an_id_are_told_apart_by_their_order() -> None:
    again = read("costs.csv", as_csv([HEADER, ROWS[1], ROWS[1]]))
    ids = [each["cost_id"] for each in again.records]
    assert len(set(ids)) == 2
    assert ids[1] == f"{ids[0]}-2"
    corrected = [*ROWS[1][:4], "999"]
    other = read("costs.csv", as_csv([HEADER, ROWS[0], corrected]))
    assert other.records[1]["cost_id"] == ids[0], "a corrected sum is the same cost"


def test_an_id_made_of_a_phone_is_no_plain_hash_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = [["Дата продажи", "Сумма", "Телефон"], ["01.05.2026", "5", "89990000001"]]
    (one,) = read("s.csv", as_csv(row), "offline_sales").records
    monkeypatch.setenv("THROUGHLINE_TOKEN_KEY", "1:" + "6b" * 32)
    (other,) = read("s.csv", as_csv(row), "offline_sales").records
    assert one["sale_id"] != other["sale_id"]


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "no header"),
        ("a.csv", as_csv([["x", "y"], ["1", "2"]]), "no header"),
        ("a.csv", as_csv([[*HEADER, "Сумма"], *ROWS]), "there twice"),
        ("a.csv", as_csv([["Дата с", "Источник"]]), 'no column "Сумма"'),
        ("a.csv", b"\x89PNG\r\n\x1a\n\0\0", "a picture"),
        ("a.csv", b"%PDF-1.7", "a PDF"),
        ("a.csv", b"PK\x03\x04rest", "a workbook"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "of the old kind"),
        ("a.csv", b"\x00\x01\x02" * 99, "no text"),
        ("a.csv", b"<html><table>", "a web page"),
        ("a.csv", "Дата с;Источник;Сумма\n01.05.2026;\"Радио;5\n".encode(), "never closed"),
        ("a.csv", 'Дата с;Источник;Сумма\n01.05.2026;"а"б;5\n1;"\n'.encode() + b"2;3;4\n" * 20,
         "from line 3 on"),
        ("a.xls", b"PK\x03\x04", "is a .xls file"),
        ("a.xlsm", b"PK\x03\x04", "is a .xlsm file"),
        ("a", b"x", "nameless"),
        ("a.xlsx", as_csv([HEADER, *ROWS]), "no workbook"),
        ("a.xlsx", as_xlsx([["x"]]), "no header"),
        ("a.xlsx", as_xlsx([HEADER, ROWS[0]])[:-100], "damaged"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_why(name: str, body: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read(name, body)


# -- workbooks that are not opened ----------------------------------------------------------

_TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
_SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'


def package(*parts: tuple[str, bytes], types: str = _TYPES) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", types)
        archive.writestr("xl/workbook.xml", "<workbook/>")
        for name, content in parts:
            archive.writestr(name, content)
    return body.getvalue()


@cache
def bomb() -> bytes:
    """A whole workbook of 736 KB whose one sheet unpacks to 299 MB."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    link = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
        'relationships"><Relationship Id="r1" Type="{}" Target="{}"/></Relationships>'
    )
    head = {
        "[Content_Types].xml": _TYPES.replace(
            "/>",
            '><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
            'package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
            f'ContentType="{kind}.sheet.main+xml"/><Override PartName="/xl/worksheets/'
            f'sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        ),
        "_rels/.rels": link.format(f"{office}/officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": _SHEET.replace("worksheet", "workbook").replace(
            ">", f' xmlns:r="{office}">'
        )
        + '<sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": link.format(
            f"{office}/worksheet", "worksheets/sheet1.xml"
        ),
    }
    row = b'<row><c t="inlineStr"><is><t>%b</t></is></c></row>'
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in head.items():
            archive.writestr(name, text)
        with archive.open("xl/worksheets/sheet1.xml", "w") as part:
            part.write(f"{_SHEET}<sheetData>".encode())
            for block in range(299):
                # a little noise, for the size that a real one had
                noise = hashlib.shake_256(b"%d" % block).hexdigest(950)
                rows = row % noise.encode() + row % (b"0" * 30_000) * 34
                part.write(rows.ljust(1 << 20))
            part.write(b"</sheetData></worksheet>")
    return body.getvalue()


def test_the_bomb_is_a_workbook_of_that_size() -> None:
    body = io.BytesIO(bomb())
    assert len(bomb()) <= 736_000
    with zipfile.ZipFile(body) as archive:
        assert sum(part.file_size for part in archive.infolist()) >= 299 << 20
    book = openpyxl.load_workbook(body, read_only=True)
    first, second = itertools.islice(book["a"].iter_rows(values_only=True), 2)
    assert len(first[0]) == 1900 and second[0].strip("0") == ""


def lying(body: bytes) -> bytes:
    """The same package, whose list says that its parts are of 1,000 bytes."""
    made = bytearray(body)
    for signature, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = made.find(signature)
        while start >= 0:
            if struct.unpack_from("<I", made, start + at)[0] > 1000:
                struct.pack_into("<I", made, start + at, 1000)
            start = made.find(signature, start + 4)
    return bytes(made)


def many_rows(rows: int) -> bytes:
    row = (
        '<row r="{0}"><c r="A{0}"><v>46143</v></c><c r="B{0}" t="inlineStr"><is><t>Радио'
        '</t></is></c><c r="C{0}"><v>5.5</v></c></row>'
    )
    cells = "".join(row.format(number) for number in range(1, rows + 1))
    content = f"{_SHEET}<sheetData>{cells}</sheetData></worksheet>".encode()
    return package(("xl/worksheets/sheet1.xml", content))


def overlapping() -> bytes:
    """Two entries of the list that point to one part."""
    body = bytearray(package(("xl/a.xml", b"<a/>"), ("xl/b.xml", b"<b/>")))
    first = body.find(b"PK\x01\x02")
    places = []
    while first >= 0:
        places.append(first)
        first = body.find(b"PK\x01\x02", first + 4)
    body[places[-1] + 42 : places[-1] + 46] = body[places[-2] + 42 : places[-2] + 46]
    return bytes(body)


UNSAFE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a bomb of 299 MB": (bomb, "unpacks to 299 MB"),
    "a bomb that lies": (lambda: lying(bomb()), "damaged"),
    "more rows than the limit": (lambda: many_rows(200_002), "more than 200000 rows"),
    "a nested zip by name": (
        lambda: package(("xl/media/a.zip", package())),
        "another packed file",
    ),
    "a nested zip by content": (
        lambda: package(("xl/media/a.png", package())),
        "another packed file",
    ),
    "macros": (lambda: package(("xl/vbaProject.bin", b"x")), "macros"),
    "macros by type": (
        lambda: package(types='<Types ContentType="a.macroEnabled.main+xml"/>'),
        "macros",
    ),
    "links to other workbooks": (
        lambda: package(("xl/externalLinks/externalLink1.xml", b"<x/>")),
        "links to other",
    ),
    "data connections": (lambda: package(("xl/connections.xml", b"<x/>")), "connections"),
    "embedded files": (lambda: package(("xl/embeddings/o.bin", b"x")), "embedded"),
    "an encrypted workbook": (
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(2000)
        + "EncryptedPackage".encode("utf-16-le"),
        "by a password",
    ),
    "an encrypted part": (lambda: _flagged(package(("xl/a.xml", b"<a/>"))), "encrypted"),
    "entities that grow": (
        lambda: package(
            ("xl/sharedStrings.xml", b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>')
        ),
        "entities",
    ),
    "another encoding": (
        lambda: package(("xl/styles.xml", "<x/>".encode("utf-16"))),
        "encoding",
    ),
    "parts over each other": (overlapping, "lie over each other"),
    "a document of another kind": (lambda: _zip_of("word/document.xml"), "no workbook"),
    "too many parts": (
        lambda: package(*((f"xl/{n}.xml", b"") for n in range(1001))),
        "parts, more than",
    ),
    "a row beyond the last": (
        lambda: package(
            ("xl/worksheets/sheet1.xml", b'<x><row r="99999999"><c><v>1</v></c></row></x>')
        ),
        "beyond the last",
    ),
}  # fmt: skip


def _flagged(body: bytes) -> bytes:
    made = bytearray(body)
    made[made.find(b"PK\x01\x02") + 8] |= 1
    return bytes(made)


def _zip_of(name: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr(name, "x")
    return body.getvalue()


_MEASURE = """
import json, re, sys, time
from pathlib import Path
from zoneinfo import ZoneInfo
from connectors.base.manual import Ids
from connectors.files import tables
from connectors.files.columns import PLANS
from connectors.files.guards import Unreadable

path = Path(sys.argv[1])
# of this process alone: other work on the machine is none of its business
began = time.process_time()
try:
    tables.read(path.name, path.read_bytes(), PLANS["costs"],
                zone=ZoneInfo("Europe/Moscow"), ids=Ids(), most_rows=200_000)
    reason = None
except Unreadable as error:
    reason = str(error)
seconds = time.process_time() - began
# not getrusage: there, the peak of the process that forked this one counts, too
status = Path("/proc/self/status").read_text()
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) / 1024
print(json.dumps({"reason": reason, "seconds": seconds, "megabytes": peak,
                  "opened": "openpyxl" in sys.modules}))
"""


def measured(path: Path, project: Path) -> dict[str, Any]:
    """What a process of its own needs to refuse a file (imports are not counted in the
    CPU seconds, but in the megabytes)."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path)],
        cwd=project,
        env={"PYTHONPATH": f"{project}/plugins:{project}"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("what", list(UNSAFE))
def test_an_unsafe_workbook_is_refused_before_it_is_opened(
    what: str, project: Path, tmp_path: Path
) -> None:
    make, why = UNSAFE[what]
    path = tmp_path / "costs.xlsx"
    path.write_bytes(make())
    found = measured(path, project)
    print(what, path.stat().st_size, found)
    assert found["reason"] and why in found["reason"]
    assert not found["opened"]
    assert found["seconds"] < 1
    assert found["megabytes"] < 100


def test_a_csv_of_too_many_rows_is_refused_at_once(
    project: Path, tmp_path: Path
) -> None:
    path = tmp_path / "costs.csv"
    path.write_bytes(as_csv([HEADER]) + as_csv([ROWS[1]]) * 200_001)
    found = measured(path, project)
    print(path.stat().st_size, found)
    assert "more than 200000 rows" in found["reason"]
    assert found["seconds"] < 1
    assert found["megabytes"] < 100


def test_as_many_rows_as_the_limit_are_read() -> None:
    refuse_unsafe(many_rows(1000), 999)  # one of them is the header
    with pytest.raises(Unreadable):
        refuse_unsafe(many_rows(1001), 999)
    body = as_csv([HEADER, *[ROWS[1]] * 50])
    assert len(read("a.csv", body, rows=50).records) == 50
    with pytest.raises(Unreadable):
        read("a.csv", body, rows=49)


def test_formatted_empty_rows_are_no_rows() -> None:
    cells = "".join(f'<row r="{n}"><c r="A{n}" s="1"/></row>' for n in range(1, 5000))
    content = f"{_SHEET}<sheetData>{cells}</sheetData></worksheet>".encode()
    refuse_unsafe(package(("xl/worksheets/sheet1.xml", content)), 10)


# -- a folder of files, landed ---------------------------------------------------------------


class Inbox:
    """A folder of this machine, its account, and landing from it."""

    def __init__(self, root: Path, warehouse: Warehouse, name: str) -> None:
        self.root = root
        self.warehouse = warehouse
        self.account = Account(
            source="files",
            account=name,
            time_zone="Europe/Moscow",
            currency_code="RUB",
            vat_included=True,
            settings={"path": str(root)},
        )

    def put(self, name: str, body: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def land(self, stream: str = "costs") -> landing.LoadResult:
        connector = registry.build(self.account)
        declared = connector.stream(stream)
        return landing.land(
            self.warehouse.loader,
            account=self.account,
            source="files",
            stream=declared,
            window=None,
            batches=connector.pages(declared, None, None),
        )

    def live(self, stream: str = "costs") -> list[dict[str, Any]]:
        found = self.warehouse.live(Files.stream(stream), self.account)
        return [record for _, record in found.values()]

    def ask(self, query: str) -> list[Any]:
        return [
            row[0]
            for row in self.warehouse.root.execute(query, (self.account.account,))
        ]

    @property
    def dead(self) -> list[Any]:
        return self.ask(
            "select reason from ops.dead_letters where account_id = %s order by 1"
        )


@pytest.fixture
def inbox(tmp_path: Path, warehouse: Warehouse) -> Inbox:
    return Inbox(tmp_path, warehouse, f"{warehouse.name}_inbox")


def test_good_rows_land_and_refused_ones_are_dead_letters(inbox: Inbox) -> None:
    """Far more than one in a thousand is refused, and still the load is good."""
    bad = [["вчера", "", "Радио", "", "5"], ["01.05.2026", "", "Радио", "", "два"]]
    inbox.put("costs/май.csv", as_csv([HEADER, *ROWS, *bad * 3]))
    result = inbox.land()
    assert (result.state, result.rows_new, result.rows_dead) == ("ok", 2, 6)
    assert result.amount_delta == Decimal("1235768.30")
    assert inbox.dead[0] == (
        'costs/май.csv, line 4: column "Дата с": is no date; write it as 31.12.2026'
    )
    assert {each["file"] for each in inbox.live()} == {"май.csv"}
    assert any("6 of 8 rows were refused" in text for text in inbox.ask(
        "select w.message from ops.warnings as w join ops.loads as l using (load_id)"
        " where l.account_id = %s"
    ))  # fmt: skip
    payloads = inbox.ask(
        "select p.payload from pii.dead_letter_payloads as p join ops.dead_letters as d"
        " using (dead_letter_id) where d.account_id = %s order by dead_letter_id"
    )
    assert json.loads(bytes(payloads[0]))["cells"] == bad[0]


def test_the_same_files_twice_change_nothing(inbox: Inbox) -> None:
    inbox.put("costs/a.csv", as_csv([HEADER, *ROWS]))
    inbox.put("costs/b.xlsx", as_xlsx([HEADER, ROWS[0]]))
    first = inbox.land()
    inbox.put("costs/a.csv", as_csv([HEADER, *ROWS], ",", "utf-8-sig"))  # saved anew
    again = inbox.land()
    assert first.rows_new == 3
    assert (again.rows_new, again.rows_changed, again.rows_gone) == (0, 0, 0)


def test_a_newer_file_of_the_name_takes_the_place_of_the_older(inbox: Inbox) -> None:
    inbox.put("costs/a.csv", as_csv([HEADER, *ROWS]))
    inbox.land()
    corrected = [*ROWS[0][:4], "100,00"]
    inbox.put(
        "costs/a.csv", as_csv([HEADER, corrected, ["09.05.2026", "", "2ГИС", "", 7]])
    )
    result = inbox.land()
    assert (result.rows_new, result.rows_changed, result.rows_gone) == (1, 1, 1)
    assert sorted(each["amount"] for each in inbox.live()) == ["100.00", "7.00"]


def test_rows_of_a_file_that_was_taken_away_go(inbox: Inbox) -> None:
    inbox.put("costs/a.csv", as_csv([HEADER, ROWS[0]]))
    inbox.put("costs/b.csv", as_csv([HEADER, ROWS[1]]))
    inbox.land()
    (inbox.root / "costs/a.csv").unlink()
    assert inbox.land().rows_gone == 1
    assert [each["source"] for each in inbox.live()] == ["Авито"]


def test_a_file_that_cannot_be_read_any_more_leaves_what_it_held(inbox: Inbox) -> None:
    inbox.put("costs/a.csv", as_csv([HEADER, ROWS[0]]))
    inbox.put("costs/b.csv", as_csv([HEADER, ROWS[1]]))
    inbox.land()
    inbox.put("costs/a.csv", b"%PDF-1.7")
    result = inbox.land()
    assert (result.state, result.rows_dead, result.rows_gone) == ("ok", 1, 0)
    assert len(inbox.live()) == 2
    assert inbox.dead == ["costs/a.csv is a PDF, whatever its name says"]


def test_when_most_rows_are_refused_nothing_goes(inbox: Inbox) -> None:
    inbox.put("costs/a.csv", as_csv([HEADER, *ROWS]))
    inbox.land()
    inbox.put("costs/a.csv", as_csv([HEADER, *[["?", *row[1:]] for row in ROWS]]))
    assert inbox.land().rows_gone == 0
    assert len(inbox.live()) == 2


def test_the_rows_of_a_copied_file_count_once(inbox: Inbox) -> None:
    inbox.put("costs/a.csv", as_csv([HEADER, *ROWS]))
    inbox.put("costs/a (1).csv", as_csv([HEADER, *ROWS]))
    result = inbox.land()
    assert (result.rows_new, result.rows_dead) == (2, 1)
    assert "is a copy of" in inbox.dead[0]


def test_of_two_files_with_one_deal_the_later_by_name_counts(inbox: Inbox) -> None:
    header = ["Номер сделки", "Дата создания", "Статус", "Сумма"]
    april = [["1", "01.04.2026", "В работе", "10"], ["2", "02.04.2026", "Отказ", ""]]
    may = [["1", "01.04.2026", "Выдан", "12"]]
    inbox.put("deals/2026-04.csv", as_csv([header, *april]))
    inbox.put("deals/2026-05.csv", as_csv([header, *may]))
    assert inbox.land("deals").rows_new == 2
    assert {each["deal_id"]: each["status"] for each in inbox.live("deals")} == {
        "1": "Выдан",
        "2": "Отказ",
    }
    warned = inbox.ask("select w.message from ops.warnings as w join ops.loads as l"
                       " using (load_id) where l.account_id = %s")  # fmt: skip
    assert warned == [
        "deals/2026-04.csv: 1 rows stand otherwise in a later file, which counts"
    ]


def test_clear_contacts_of_good_and_refused_rows_stay_in_pii(inbox: Inbox) -> None:
    header = ["Номер сделки", "Дата создания", "Статус", "Телефон", "Клиент"]
    rows = [
        ["1", "01.05.2026", "звонить 89990000001", "89990000001 89990000002", "Анна"],
        ["2", "когда-то", "ждёт", "89990000003", "Пётр Иванов"],
    ]
    inbox.put("deals/список 89990000004.csv", as_csv([header, *rows]))
    assert inbox.land("deals").rows_dead == 1
    text = inbox.warehouse.everything("ops", "identity") + json.dumps(
        inbox.live("deals"), ensure_ascii=False
    )
    assert not [n for n in range(1, 5) if f"999000000{n}" in text]
    assert "Иванов" not in text
    (record,) = inbox.live("deals")
    assert len(record["phone"]) == 2


def test_a_number_in_a_log_is_our_own_and_stays_readable(inbox: Inbox) -> None:
    row = ["8 (495) 000-03-77", "1", "", "01.05.2026 10:00", "01.05.2026 10:30"]
    inbox.put("number_leases/may.csv", as_csv([LEASES, row]))
    result = inbox.land("number_leases")
    assert (result.state, result.rows_new) == ("ok", 1)
    (record,) = inbox.live("number_leases")
    assert record["phone_number"] == "74950000377"
    token = Tokeniser(*settings.token_key()).phones("+74950000377")[0]
    assert inbox.warehouse.root.execute(
        "select is_own_number from identity.token_facts where token = %s", (token,)
    ).fetchone() == (True,)


def test_who_drops_no_log_of_numbers_hears_nothing_of_it(inbox: Inbox) -> None:
    inbox.put("costs/may.csv", as_csv([HEADER, *ROWS]))
    assert inbox.land("number_leases").state == "ok_empty"
    assert inbox.dead == []
    assert inbox.ask("select message from ops.warnings join ops.loads using (load_id)"
                     " where account_id = %s") == []  # fmt: skip


def test_hidden_files_and_links_are_not_followed(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put("costs/.a.csv", b"x")
    inbox.put("costs/~$b.xlsx", b"x")
    inbox.put("elsewhere.csv", as_csv([HEADER, *ROWS]))
    (tmp_path / "costs/c.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert inbox.land().rows_read == 0
    assert registry.build(inbox.account).check()[-1] == (
        "not read, in none of these folders: elsewhere.csv"
    )


def test_a_folder_that_is_not_there_is_named(inbox: Inbox) -> None:
    account = inbox.account.model_copy(update={"settings": {"path": "no/such"}})
    with pytest.raises(FatalError, match=r"no/such.*settings\.path"):
        registry.build(account).check()
    for path in ("s3://", "s3://UPPER/x", "s3:bucket"):
        account = inbox.account.model_copy(update={"settings": {"path": path}})
        with pytest.raises(ConfigError, match=r"settings\.path"):
            registry.build(account)


# -- the bucket -----------------------------------------------------------------------------


def test_requests_are_signed_as_the_vendor_documents_it() -> None:
    """The example of the S3 API's own page on signing (list of a bucket)."""
    headers = signed(
        host="examplebucket.s3.amazonaws.com",
        path="/",
        query="max-keys=2&prefix=J",
        region="us-east-1",
        access_key="AKIAIOSFODNN7EXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        at=datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert headers["Authorization"].endswith(
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    )


def test_a_file_replaced_between_list_and_read_is_read_again_later(
    on_bench: OnBench,
) -> None:
    bench = on_bench("files")
    stream = Files.stream("payments")

    def other(request: Any, ask: Any) -> Response:
        answer = ask(request)
        body = answer.body.replace(b"1", b"2")
        return Response(answer.status, answer.headers, body)

    bench.face.strike(1, other)
    with pytest.raises(RetriableError, match="replaced meanwhile"):
        bench.read(stream)


def test_the_dealers_files_hold_the_truth(on_bench: OnBench) -> None:
    bench = on_bench("files")
    view = bench.world.branch("kazan").as_of(bench.server.options.now)
    sums = {
        stream.name: sum(Decimal(row["amount"] or 0) for row in bench.read(stream))
        for stream in STREAMS
        if stream.amount_field
    }
    kopecks = {
        "costs": [c.amount_kopecks for c in view.manual_costs if c.where == "file"],
        "deals": [each.amount_kopecks for each in view.deals],
        "offline_sales": [each.amount_kopecks for each in view.offline_sales],
        "payments": [each.amount_kopecks for each in view.payments],
    }
    assert sums == {name: Decimal(sum(each)) / 100 for name, each in kopecks.items()}
    assert all(kopecks.values())
    leases = [
        (
            row["phone_number"],
            row["ym_client_id"],
            row["visitor_id"],
            datetime.fromisoformat(row["shown_from"]),
            row["shown_to"] and datetime.fromisoformat(row["shown_to"]),
        )
        for row in bench.read(Files.stream("number_leases"))
    ]
    shown = [
        (
            each.number,
            each.client_id,
            each.visitor_id and str(each.visitor_id),
            each.shown_from,
            each.shown_to,
        )
        for each in view.number_leases
    ]
    assert leases and set(leases) == set(shown)


# -- for people ------------------------------------------------------------------------------


def command(project: Path, folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "connectors.files", *arguments],
        cwd=folder,
        env={"PYTHONPATH": f"{project}/plugins:{project}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_file_is_checked_before_it_is_dropped(project: Path, tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_bytes(as_csv([HEADER, *ROWS], ";", "windows-1251"))
    bad = ["вчера", "", "=HYPERLINK(1)", "", "=1+1"]
    (tmp_path / "bad.csv").write_bytes(as_csv([HEADER, *ROWS, bad]))
    (tmp_path / "worse.csv").write_bytes(b"%PDF")
    code, text = command(project, tmp_path, "validate", "good.csv", "--stream", "costs")
    assert (code, text) == (
        0,
        "good.csv: 2 rows are good (amounts: 1235768.30), 0 refused\n",
    )
    code, text = command(
        project,
        tmp_path,
        "validate",
        "bad.csv",
        "--stream",
        "costs",
        "--report",
        "r.csv",
    )
    assert code == 1
    assert (
        "line 4, column \"Дата с\": is no date; write it as 31.12.2026: 'вчера'" in text
    )
    report = (tmp_path / "r.csv").read_text("utf-8-sig")
    assert ";'=1+1" in report, "a spreadsheet must not take it for a formula"
    code, text = command(
        project, tmp_path, "validate", "worse.csv", "--stream", "costs"
    )
    assert code == 2
    assert "worse.csv is a PDF" in text


def test_a_check_of_a_log_of_numbers_speaks_of_no_money(
    project: Path, tmp_path: Path
) -> None:
    row = ["84950000301", "1", "", "01.05.2026 10:00", ""]
    (tmp_path / "l.csv").write_bytes(as_csv([LEASES, row]))
    stream = ("--stream", "number_leases")
    code, text = command(project, tmp_path, "validate", "l.csv", *stream)
    assert (code, text) == (0, "l.csv: 1 rows are good, 0 refused\n")


def test_templates_are_written(project: Path, tmp_path: Path) -> None:
    for kind in ("--xlsx", "--csv"):
        code, _ = command(project, tmp_path, "template", "deals", kind)
        assert code == 0
    body = (tmp_path / "deals.csv").read_bytes()
    assert body.startswith(b"\xef\xbb\xbf") and "Номер сделки" in body.decode()
    assert read("deals.xlsx", (tmp_path / "deals.xlsx").read_bytes(), "deals")
