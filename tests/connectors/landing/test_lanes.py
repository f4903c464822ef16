"""The column lane and the record lane make the same lines of the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base.batch import JsonBatch, TsvBatch, tsv_record, unescape
from connectors.base.errors import ConfigError, ParseError
from connectors.base.lanes import Shaper
from connectors.base.pseudonymise import Pseudonymiser, Tokeniser
from connectors.base.stream import Stream, fields
from tests.connectors.landing.stand import COLUMNS, MAY, STATS, row, tsv

if TYPE_CHECKING:
    from connectors.base.batch import Batch


def shaper(stream: Stream = STATS) -> Shaper:
    tokens = Tokeniser("1", bytes(32))
    window = MAY if stream.kind == "window" else None
    return Shaper(stream, Pseudonymiser(stream, tokens), "Europe/Moscow", window)


def shape(batch: Batch, stream: Stream = STATS) -> dict[str, object]:
    """Everything a batch becomes, in an order of its own."""
    one = shaper(stream)
    pieces = list(one.pieces(batch))
    days: dict = {}
    for piece in pieces:
        for day, tally in piece.days.items():
            n, amount = days.get(day, (0, 0))
            days[day] = (n + tally.new, amount + tally.amount)
    return {
        "lines": sorted(line for piece in pieces for line in piece.lines),
        "dead": sorted(each.reason for each in one.dead),
        "sealed": sorted(one.sealed),
        "days": days,
        "read": one.rows_read,
        "total": one.amount_total,
    }


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\t\n"), max_size=12
) | st.sampled_from(
    [
        "8 900 000-12-34",
        "79000001234, 79000005678",
        "a@example.com",
        "anonymous",
        '"',
        "\\",
        "\\'",
        "|",
        "--",
        "%b",
        "\0",
        "https://shop.example/?phone=89000001234&x=1",
        "18446744073709551616",
    ]
)
DAY = st.sampled_from(["2026-05-01", "2026-05-02", "2026-05-10", "2026-05-11", "x", ""])
COST = st.sampled_from(["0", "1.50", "-2.25", "--", "", "1e2", "NaN", "1,5"])
ROW = st.tuples(DAY, CELL, COST, CELL, CELL, CELL, CELL)


@given(st.lists(ROW, max_size=12))
def test_both_lanes_are_one(rows: list[tuple[str, ...]]) -> None:
    records = [dict(zip(COLUMNS, each, strict=True)) for each in rows]
    assert shape(tsv(records)) == shape(JsonBatch(records))


@given(st.lists(ROW, max_size=8), st.permutations(COLUMNS))
def test_the_order_of_columns_does_not_matter(
    rows: list[tuple[str, ...]], columns: list[str]
) -> None:
    records = [dict(zip(COLUMNS, each, strict=True)) for each in rows]
    assert shape(tsv(records, tuple(columns))) == shape(tsv(records))


@given(st.lists(ROW, max_size=8))
def test_both_lanes_are_one_when_the_vendor_escapes(
    rows: list[tuple[str, ...]],
) -> None:
    def escape(cell: str) -> str:
        return cell.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")

    records = [dict(zip(COLUMNS, each, strict=True)) for each in rows]
    lines = ("\t".join(map(escape, each)) for each in rows)
    body = "".join(line + "\n" for line in lines).encode()
    assert shape(TsvBatch(COLUMNS, body, escaped=True)) == shape(JsonBatch(records))


@given(st.lists(ROW, max_size=8))
def test_both_lanes_are_one_when_a_column_is_not_declared(
    rows: list[tuple[str, ...]],
) -> None:
    columns = (*COLUMNS[:3], "New", *COLUMNS[4:])
    records = [dict(zip(columns, each, strict=True)) for each in rows]
    assert shape(tsv(records, columns)) == shape(JsonBatch(records))


def test_both_lanes_are_one_over_many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.base.lanes.PIECE", 100)
    monkeypatch.setattr("connectors.base.lanes.RECORDS", 3)
    rows = [row(1 + n % 9, n, f"{n}.25", f'имя "{n}"') for n in range(100)]
    whole = shape(tsv(rows))
    assert whole == shape(JsonBatch(rows))
    assert len(whole["lines"]) == whole["read"] == 100


def test_many_distinct_moments_have_few_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.base.lanes.MOST_DAYS", 3)
    moments = [
        f"2026-05-{1 + n % 9:02} {n % 24:02}:{n % 60:02}:{n // 60:02}"
        for n in range(900)
    ]
    rows = [row(1, n) | {"Date": moment} for n, moment in enumerate(moments)]
    monkeypatch.setattr("connectors.base.lanes.PIECE", 500)
    shaped = shape(tsv(rows))
    assert shaped == shape(JsonBatch(rows))
    assert (shaped["dead"], len(shaped["days"])) == ([], 9)


def test_a_record_without_a_required_field_is_a_dead_letter() -> None:
    stream = Stream(
        "s", "snapshot", ("Id",), fields("Id", "x"), required_fields=("Id", "x")
    )
    shaped = shape(JsonBatch([{"Id": 1}, {"Id": 2, "x": None}]), stream)
    assert shaped["dead"] == ["required field x is missing"]
    assert len(shaped["lines"]) == 1


def test_a_line_is_key_day_hash_and_sorted_json() -> None:
    (line,) = shape(tsv([row(1, "7|8", "1.50", 'a "b" \\')]))["lines"]
    key, day, digest, text = line.split(b"\t")
    assert (key, day, len(digest)) == (rb"2026-05-01|7\\|8", b"2026-05-01", 32)
    record = orjson.loads(text.replace(b"\\\\", b"\\"))
    assert list(record) == sorted(COLUMNS)
    assert (record["Id"], record["Name"]) == ("7|8", 'a "b" \\')


def test_escapes_of_the_logs_api_are_undone() -> None:
    assert unescape(r"[\'a\',\'b\'] \\ \t") == "['a','b'] \\ \t"
    record = tsv_record(("a", "b"), rb"[\'x\']" b"\t" rb"1\n2", escaped=True)
    assert record == {"a": "['x']", "b": "1\n2"}
    assert tsv_record(("a",), rb"\'x", escaped=False) == {"a": r"\'x"}


def test_a_batch_gives_its_records() -> None:
    batch = TsvBatch(("a", "b"), b"1\t2\n\n3\t4")
    assert list(batch.records()) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"2026-05-01\t1", "2 cells where 7 were declared"),
        (b"2026-05-01\t\xff\t1\t\t\t\t", "not UTF-8"),
        (b"2026-05-01\t\t1\t\t\t\t", "key field Id is empty or not a plain value"),
        (b"soon\t1\t1\t\t\t\t", "its civil day cannot be read"),
        (b"2026-06-01\t1\t1\t\t\t\t", "its civil day is not in the window that was"),
        (b"2026-05-01\t1\tmuch\t\t\t\t", "field Cost is not a number"),
        (b"2026-05-01\t1\x00\t1\t\t\t\t", "a key field holds a character that text"),
        (b"2026-05-01\t" + b"1" * 2000 + b"\t1\t\t\t\t", "the key is longer than 1000"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_dead_letter(line: bytes, reason: str) -> None:
    one = shaper()
    good = b"2026-05-01\t5\t1.00\t\t\t\t"
    pieces = list(one.pieces(TsvBatch(COLUMNS, line + b"\n" + good + b"\n")))
    assert sum(len(piece.lines) for piece in pieces) == 1
    (dead,) = one.dead
    assert dead.reason.startswith(reason)
    cells = line.replace(b"\0", b"\\u0000").split(b"\t")
    assert all(cell in dead.payload for cell in cells), "nothing of it is lost"
    assert (one.rows_read, one.rows_dead) == (2, 1)


@pytest.mark.parametrize("record", [{}, {"Id": None}, {"Id": ["1"]}, "text", None, 5])
def test_a_record_that_cannot_be_keyed_is_a_dead_letter(record: object) -> None:
    one = shaper(Stream("s", "snapshot", ("Id",), fields("Id")))
    assert [piece.lines for piece in one.pieces(JsonBatch([record]))] == [[]]
    assert one.dead[0].record_key is None


def test_numbers_and_letters_that_json_can_hardly_hold() -> None:
    stream = Stream("s", "snapshot", ("Id",), fields("Id", "x"))
    one = shaper(stream)
    values = [2**70, "\0", "a\ud800b", ["\0", {"k\0": 1.5}], r"\u0000", "\u2028\x7f"]
    records = [{"Id": n, "x": value} for n, value in enumerate(values)]
    (piece,) = one.pieces(JsonBatch(records))
    texts = [line.split(b"\t")[3].replace(b"\\\\", b"\\") for line in piece.lines]
    assert texts[0] == b'{"Id":0,"x":1180591620717411303424}'
    assert [orjson.loads(text)["x"] for text in texts[1:]] == [
        "\ufffd",
        "a\ufffdb",
        ["\ufffd", {"k\ufffd": 1.5}],
        r"\u0000",
        "\u2028\x7f",
    ]
    assert one.mended
    assert one.dead == []


def test_a_missing_column_is_a_broken_contract() -> None:
    with pytest.raises(ParseError, match="no column Cost"):
        shape(TsvBatch(("Date", "Id"), b"2026-05-01\t1\n"))


def test_a_key_that_is_not_declared_is_refused() -> None:
    stream = Stream("s", "snapshot", ("Id",), fields("x"))
    with pytest.raises(ConfigError, match="Id is used but not declared"):
        shaper(stream)
