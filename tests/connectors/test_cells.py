"""What people type into cells, and where they put the header."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import cells
from connectors.base.cells import CellError
from connectors.base.tables import Column, HeaderError, Table

MOSCOW = ZoneInfo("Europe/Moscow")


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("1234,50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1\u00a0234,5 ₽", "1234.50"),
        ("1\u202f234\u202f567 руб.", "1234567.00"),
        ("1.234.567,89", "1234567.89"),
        ("1,234,567.89", "1234567.89"),
        ("1 234.5р", "1234.50"),
        ("0,125", "0.13"),
        ("1234,567", "1234.57"),
        ("(500)", "-500.00"),
        ("−12,30", "-12.30"),
        ("-12.3", "-12.30"),
        ("1'000", "1000.00"),
        ("１２３", "123.00"),
        (1234.5, "1234.50"),
        (0.1 + 0.2, "0.30"),
        (-0.001, "0.00"),
        (7, "7.00"),
        (Decimal("5.005"), "5.01"),
        ("—", None),
        ("", None),
        (None, None),
        ("  \u00a0", None),
    ],
)
def test_money_as_people_type_it(typed: Any, amount: str | None) -> None:
    assert cells.money(typed) == amount


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("1.234", "two ways"),
        ("1,234", "two ways"),
        ("12 тыс", "no amount"),
        ("$20.50", "no amount"),
        ("20 €", "no amount"),
        ("1,23,4", "no amount"),
        ("1,2.3", "no amount"),
        ("1.2345.678,00", "no amount"),
        ("много", "no amount"),
        ("#REF!", "formula"),
        ("#ЗНАЧ!", "formula"),
        ("=1+1", "no amount"),
        (True, "no amount"),
        (datetime(2026, 5, 1), "no amount"),
        (1e15, "larger"),
        (float("nan"), "larger"),
    ],
)
def test_money_that_cannot_be_read_is_said_and_not_guessed(
    typed: Any, why: str
) -> None:
    with pytest.raises(CellError, match=why):
        cells.money(typed)


@given(st.integers(-(10**11), 10**11), st.sampled_from(" \u00a0\u202f"))
def test_any_amount_printed_the_russian_way_is_read_back(
    kopecks: int, space: str
) -> None:
    whole, rest = divmod(abs(kopecks), 100)
    text = ("-" if kopecks < 0 else "") + f"{whole:,}".replace(",", space)
    assert cells.money(f"{text},{rest:02} ₽") == f"{Decimal(kopecks) / 100:.2f}"


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ("31.12.2026", "2026-12-31T00:00:00+03:00"),
        ("1.2.26", "2026-02-01T00:00:00+03:00"),
        ("31.12.2026 г.", "2026-12-31T00:00:00+03:00"),
        ("31.12.2026 7:05", "2026-12-31T07:05:00+03:00"),
        ("31/12/2026 07:05:59", "2026-12-31T07:05:59+03:00"),
        ("2026-12-31", "2026-12-31T00:00:00+03:00"),
        ("2026-12-31T07:05:59.123", "2026-12-31T07:05:59+03:00"),
        ("\u00a031.12.2026\u00a0", "2026-12-31T00:00:00+03:00"),
        (46387, "2026-12-31T00:00:00+03:00"),
        (46387.5, "2026-12-31T12:00:00+03:00"),
        ("46387", "2026-12-31T00:00:00+03:00"),
        ("46387,25", "2026-12-31T06:00:00+03:00"),
        (date(2026, 12, 31), "2026-12-31T00:00:00+03:00"),
        (datetime(2026, 12, 31, 7, 5, 59, 999), "2026-12-31T07:05:59+03:00"),
        ("", None),
    ],
)
def test_dates_as_people_type_them(typed: Any, at: str | None) -> None:
    assert cells.moment(typed, MOSCOW) == at
    assert cells.day(typed) == (at and at[:10])


@pytest.mark.parametrize(
    "typed",
    ["30/20/2016", "32.01.2026", "29.02.2026", "вчера", "май 2026", 5, 10**9, "1.1.1026",
     True, "#Н/Д", "31.12", float("inf")],
)  # fmt: skip
def test_a_date_that_no_calendar_has_is_refused(typed: Any) -> None:
    with pytest.raises(CellError):
        cells.day(typed)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 12, 31)))
def test_a_serial_number_is_the_moment_it_was_made_of(at: datetime) -> None:
    at = at.replace(microsecond=0)
    serial = (at - datetime(1899, 12, 30)).total_seconds() / 86400
    found = cells.moment(serial, MOSCOW)
    assert found is not None and found[:19] == at.isoformat()


@pytest.mark.parametrize(
    ("typed", "phones"),
    [
        ("+7 999 000-00-01", "+7 999 000-00-01"),
        (79990000001, "79990000001"),
        (79990000001.0, "79990000001"),
        ("7.9990000001E10", "79990000001"),
        ("7,9990000001E+10", "79990000001"),
        ("7,9E+10", "7,9E+10"),
        ("'+79990000001", "+79990000001"),
        ("89990000001, 89990000002", ["89990000001", "89990000002"]),
        ("89990000001\n89990000002", ["89990000001", "89990000002"]),
        ("8(843)200-00-00 / 01", "8(843)200-00-00 / 01"),
        ("-", None),
        (None, None),
    ],
)
def test_phones_as_they_come_out_of_cells(typed: Any, phones: Any) -> None:
    assert cells.phone(typed) == phones


def test_a_number_too_long_for_a_cell_has_lost_its_digits() -> None:
    assert cells.identifier("17999999999999999873") == "17999999999999999873"
    assert cells.identifier(17.0) == "17"
    with pytest.raises(CellError, match="last digits"):
        cells.identifier(1.7999999999999998e19)


# -- headers -----------------------------------------------------------------------------

COLUMNS = (
    Column("since", "Дата с", "day", required=True, aliases=("Период с", "С")),
    Column("until", "Дата по", "day", aliases=("Период по", "По")),
    Column("source", "Источник", required=True),
    Column("amount", "Сумма", "money", required=True, aliases=("Сумма руб",)),
)
GOOD = ["01.05.2026", "02.05.2026", "Радио", "10"]


def read(*lines: list[Any], **options: Any) -> tuple[list[dict[str, Any]], Table]:
    table = Table(COLUMNS, MOSCOW, **options)
    rows = list(table.rows(enumerate(lines, 1)))
    assert all(not row.wrong for row in rows), [row.wrong for row in rows]
    return [row.record for row in rows], table


@pytest.mark.parametrize(
    "header",
    [
        [["Дата с", "Дата по", "Источник", "Сумма"]],
        [["ДАТА С *", " дата\u00a0по", "ИСТОЧНИК:", "сумма, руб."]],
        [["Расходы за май"], [], ["Дата с", "Дата по", "Источник", "Сумма"]],
        [["Период", None, "Источник", "Сумма"], ["с", "по", None, None]],
        [["Период", "", "Реклама", ""], ["с", "по", "Источник", "Сумма"]],
        [["", "Отчёт"], ["С", "По", "Источник", "Сумма"], []],
    ],
)
def test_the_header_is_found_by_its_names(header: list[list[Any]]) -> None:
    records, _ = read(*header, GOOD)
    assert records == [
        {"since": "2026-05-01", "until": "2026-05-02", "source": "Радио",
         "amount": "10.00"}
    ]  # fmt: skip


def test_columns_may_stand_in_any_order_and_have_neighbours() -> None:
    records, table = read(
        ["№", "Сумма", "Заметка", "Источник", "Дата с", "Заметка"],
        [1, 5, "да", "Авито", "01.05.2026", ""],
        keep_unknown=True,
        ignore=("№",),
    )
    assert records == [
        {"since": "2026-05-01", "until": None, "source": "Авито", "amount": "5.00",
         "Заметка": "да"}
    ]  # fmt: skip
    assert table.header is not None
    assert set(table.header.unknown) == {"Заметка", "Заметка (2)"}


def test_lines_that_are_no_data_are_left_out() -> None:
    records, table = read(
        ["Дата с", "Дата по", "Источник", "Сумма"],
        GOOD,
        [],
        ["", None, "  ", ""],
        ["Дата с", "Дата по", "Источник", "Сумма"],
        GOOD,
        ["Итого за май:", "", "", "20"],
        ["", "", "Всего", 20],
    )
    assert len(records) == 2
    assert table.totals == 2


def test_a_line_that_only_begins_like_totals_is_data() -> None:
    records, table = read(
        ["Дата с", "Дата по", "Источник", "Сумма"],
        ["01.05.2026", "", "Всего понемногу", "5"],
    )
    assert (len(records), table.totals) == (1, 0)


def test_an_unreadable_row_with_a_word_of_totals_in_a_remark_is_refused() -> None:
    table = Table(COLUMNS, MOSCOW)
    rows = list(
        table.rows(
            enumerate(
                [
                    ["Дата с", "Дата по", "Источник", "Сумма", "Заметка"],
                    ["вчера", "", "Радио", "5", "Всего доброго"],
                ],
                1,
            )
        )
    )
    assert [str(each) for each in rows[0].wrong] == [
        'line 2, column "Дата с": is no date; write it as 31.12.2026'
    ]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (["Дата с", "Источник", "Сумма", "Сумма"], '"Сумма" is there twice in line 1'),
        (["Дата с", "Источник"], 'no column "Сумма" in the header'),
        (["Дата с", "Источники", "Сумма"], 'was it renamed to "Источники"'),
        (["01.05.2026", "Радио", "10"], "no header in the first 20 lines"),
        ([], "no header"),
    ],
)
def test_a_header_that_cannot_be_used_is_explained(
    header: list[str], message: str
) -> None:
    with pytest.raises(HeaderError, match=message):
        read(header, GOOD)


def test_a_merged_cell_of_data_counts_for_the_rows_below_when_told_so() -> None:
    lines = (
        ["Дата с", "Дата по", "Источник", "Сумма"],
        ["01.05.2026", "", "Радио", 1],
        ["", "", "Авито", 2],
    )
    records, _ = read(*lines, fill_down=("since",))
    assert [each["since"] for each in records] == ["2026-05-01", "2026-05-01"]
    with pytest.raises(AssertionError):
        read(*lines)


@given(
    st.lists(
        st.lists(
            st.one_of(
                st.text(max_size=12),
                st.none(),
                st.booleans(),
                st.floats(),
                st.integers(),
                st.dates(),
            ),
            max_size=6,
        ),
        max_size=12,
    )
)
def test_whatever_is_typed_a_row_is_read_or_refused(lines: list[list[Any]]) -> None:
    table = Table(COLUMNS, MOSCOW, strict_width=True, keep_unknown=True)
    header = ["Дата с", "Дата по", "Источник", "Сумма"]
    rows = list(table.rows(enumerate([header, *lines], 1)))
    data = [line for line in lines if not all(cells.is_blank(cell) for cell in line)]
    assert len(rows) + table.totals <= len(data)
    assert table.header is not None and table.header.line <= 2
    for row in rows:
        assert bool(row.wrong) or all(row.record[n] for n in ("since", "amount"))
