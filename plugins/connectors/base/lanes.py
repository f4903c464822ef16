"""Turns batches into lines for COPY: key, civil day, hash and record of each row.

Two lanes, one result. The record lane takes a record at a time and is right for
everything. The column lane takes some thousands of tab-separated rows at once and works
on whole columns, with loops that run in C; rows that are in any way special (a quote
escaped, a cell too many, a control character, something to seal) are handed to the
record lane. Both give the same bytes for the same row; a property test holds them to it.

`record_hash` is BLAKE2b-128 of the record as JSON: keys sorted, no spaces, UTF-8.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from connectors.base.batch import JsonBatch, TsvBatch, tsv_record
from connectors.base.errors import ConfigError, ParseError

if TYPE_CHECKING:
    from connectors.base.batch import Batch, Record
    from connectors.base.pseudonymise import CellCleaner, Pseudonymiser
    from connectors.base.stream import Stream, Window

PIECE = 1 << 18  # bytes of tab-separated rows worked on at once
RECORDS = 500  # records worked on at once
MOST_DAYS = 10_000  # remembered
LONGEST_KEY = 1000  # bytes; a btree entry may have 2704
ZERO = Decimal(0)
NO_AMOUNT = frozenset({"", "--"})  # how vendors write "no money here"
REPLACEMENT = "\ufffd"

_NUL = b"\\u0000"
_ODD = bytes({*range(32)} - {*b"\t\n"})
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_AMOUNTS = re.compile(rb"(?:(?:-?[0-9]{1,30}(?:\.[0-9]{1,30})?|--)?\n)*+")
# as ops.amount() reads it
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_COPY_ESCAPES = ((b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"), (b"\r", b"\\r"))


@dataclass(slots=True)
class Tally:
    """What happened on one civil day."""

    new: int = 0
    changed: int = 0
    gone: int = 0
    amount: Decimal = ZERO


@dataclass(slots=True)
class Piece:
    """Some rows, ready for COPY: lines without their ends, and what they add up to."""

    lines: list[bytes] = field(default_factory=list)
    days: dict[date | None, Tally] = field(default_factory=dict)

    def add(self, day: date | None, rows: int, amount: Decimal) -> None:
        """Count rows of one day."""
        tally = self.days.setdefault(day, Tally())
        tally.new += rows
        tally.amount += amount


@dataclass(slots=True)
class DeadLetter:
    """A record that could not be keyed or parsed; `reason` names fields, not values."""

    record_key: str | None
    reason: str
    payload: bytes


class _Dead(ValueError):
    """This record is a dead letter, for this reason."""

    def __init__(self, reason: str, key: str | None = None) -> None:
        super().__init__(reason)
        self.key = key


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows with these columns are taken apart."""

    names: tuple[str, ...]
    ordered: tuple[int, ...]  # declared columns, sorted by name
    template: bytes  # a record as JSON, `%b` for each value
    keys: tuple[int, ...]
    day: int | None
    amount: int | None
    cleaners: tuple[tuple[int, CellCleaner], ...]
    by_record: bool  # nothing can be done by column


class Shaper:
    """Shapes the batches of one load of a stream.

    What does not go into the table waits in `dead` and `sealed` until it is drained.
    `window`: a row of another day is a dead letter, because the next load of that day
    would take it for deleted.
    """

    def __init__(
        self,
        stream: Stream,
        pseudonymiser: Pseudonymiser,
        time_zone: str,
        window: Window | None,
    ) -> None:
        self._stream = stream
        self._clean = pseudonymiser
        self._zone = time_zone
        self._window = window
        self._required = frozenset(stream.required_fields)
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._known_days: dict[bytes, tuple[date | None, bytes] | None] = {}
        self.rows_read = 0
        self.rows_dead = 0
        self.rows_unkeyed = 0
        self.amount_total = ZERO
        self.mended = False
        self.absent: set[str] = set()
        self.reasons: Counter[str] = Counter()
        self.dead: list[DeadLetter] = []
        self.sealed: list[tuple[str, str, bytes]] = []
        declared = {each.name for each in stream.fields}
        needed = (*stream.key, stream.amount_field, *stream.required_fields)
        if missing := [name for name in needed if name and name not in declared]:
            raise ConfigError(
                f"stream {stream.name}: {', '.join(missing)} is used but not declared "
                "in fields"
            )

    @property
    def undeclared(self) -> set[str]:
        """Fields that came and that nobody declared."""
        return self._clean.undeclared

    def pieces(self, batch: Batch) -> Iterator[Piece]:
        """The batch's rows; raises ParseError when a column of the contract is missing."""
        if isinstance(batch, JsonBatch):
            for each in batch.refused:
                self.rows_read += 1
                self._bury(_Dead(each.reason, each.record_key), each.payload)
            for start in range(0, len(batch.records), RECORDS):
                piece = Piece()
                self._records(batch.records[start : start + RECORDS], piece)
                yield piece
            return
        plan = self._plans.get(batch.columns)
        if plan is None:
            plan = self._plans[batch.columns] = self._planned(batch.columns)
        body = memoryview(batch.body)
        start, end = 0, len(body)
        while start < end:
            stop = batch.body.find(b"\n", min(start + PIECE, end))
            stop = end if stop < 0 else stop
            piece = Piece()
            self._rows(plan, bytes(body[start:stop]), batch, piece)
            yield piece
            start = stop + 1

    # -- the record lane -------------------------------------------------------------

    def _records(self, records: Iterable[Record], piece: Piece) -> None:
        for record in records:
            self.rows_read += 1
            try:
                self._record(record, piece)
            except _Dead as dead:
                self._bury(dead, _payload(record))

    def _record(self, record: Record, piece: Piece) -> None:
        if not isinstance(record, Mapping):
            raise _Dead("not an object")
        clean, sealed = self._clean.record(record)
        key = self._key(clean)
        if not self._required <= record.keys():
            missing = ", ".join(sorted(self._required - record.keys()))
            raise _Dead(f"required field {missing} is missing", key)
        try:
            day = self._stream.record_date(record, self._zone)
        except (KeyError, ValueError, TypeError, OverflowError, OSError):
            raise _Dead("its civil day cannot be read", key) from None
        self._check_day(day, key)
        amount = self._amount(record, key)
        text = self._json(clean)
        digest = blake2b(text, digest_size=16).hexdigest().encode()
        if b"\\" in text:
            text = text.replace(b"\\", b"\\\\")
        line_day = b"\\N" if day is None else day.isoformat().encode()
        piece.lines.append(b"\t".join((copy_escape(key), line_day, digest, text)))
        piece.add(day, 1, amount)
        self.amount_total += amount
        for name, value in sealed:
            self.sealed.append((key, name, self._json(value)))

    def _key(self, record: Record) -> str:
        try:
            key = self._stream.record_key(record)
        except KeyError as error:
            raise _Dead(f"key field {error.args[0]} is missing") from None
        except ValueError as error:
            raise _Dead(str(error)) from None
        if UNSTORABLE.search(key):
            raise _Dead("a key field holds a character that text cannot hold")
        if len(key) > LONGEST_KEY or len(key.encode()) > LONGEST_KEY:
            raise _Dead(f"the key is longer than {LONGEST_KEY} bytes")
        return key

    def _check_day(self, day: date | None, key: str) -> None:
        if self._window is None:
            return
        if day is None:
            raise _Dead("it has no civil day", key)
        if not self._window.date_from <= day < self._window.date_to:
            raise _Dead("its civil day is not in the window that was asked for", key)

    def _amount(self, record: Record, key: str) -> Decimal:
        name = self._stream.amount_field
        if name is None:
            return ZERO
        value = record.get(name)
        if value is None or (isinstance(value, str) and value.strip() in NO_AMOUNT):
            return ZERO
        text = str(value).strip(" \t\n\r\f\v")
        if isinstance(value, bool) or _NUMBER.fullmatch(text) is None:
            raise _Dead(f"field {name} is not a number", key)
        return Decimal(text)

    def _json(self, value: Any) -> bytes:
        """Canonical JSON. NUL and half characters, which the database cannot hold,
        become U+FFFD, and the load gets a warning."""
        try:
            text = orjson.dumps(value, _plain, orjson.OPT_SORT_KEYS)
        except TypeError:  # a number of more than 64 bits, half a character …
            mended = _mended(value)
            self.mended = self.mended or mended != value
            return json.dumps(
                mended,
                sort_keys=True,
                ensure_ascii=False,
                separators=(",", ":"),
                default=str,
            ).encode()
        if _NUL in text and (mended := _mended(value)) != value:
            self.mended = True
            return orjson.dumps(mended, _plain, orjson.OPT_SORT_KEYS)
        return text

    def _bury(self, dead: _Dead, payload: bytes) -> None:
        self.rows_dead += 1
        self.reasons[str(dead)] += 1
        self.rows_unkeyed += dead.key is None
        self.dead.append(DeadLetter(dead.key, str(dead), payload))

    # -- the column lane -------------------------------------------------------------

    def _planned(self, columns: tuple[str, ...]) -> _Plan:
        stream = self._stream
        needed = (*stream.key, *stream.required_fields)
        if stream.date_of is None and stream.date_field:
            needed = (*needed, stream.date_field)
        if stream.amount_field:
            needed = (*needed, stream.amount_field)
        if missing := [name for name in needed if name not in columns]:
            raise ParseError(
                f"stream {stream.name}: the answer has no column {', '.join(missing)}"
            )
        if twice := [name for name, n in Counter(columns).items() if n > 1]:
            raise ParseError(
                f"stream {stream.name}: the answer has column {twice[0]} twice"
            )
        declared = {each.name for each in stream.fields}
        self._clean.undeclared.update(set(columns) - declared)
        self.absent.update(declared - set(columns))
        ordered = sorted(
            (index for index, name in enumerate(columns) if name in declared),
            key=lambda index: columns[index],
        )
        pairs = (
            orjson.dumps(columns[index]).replace(b"%", b"%%") + b':"%b"'
            for index in ordered
        )
        day = stream.date_field if stream.date_of is None else None
        return _Plan(
            names=columns,
            ordered=tuple(ordered),
            template=b"{" + b",".join(pairs) + b"}",
            keys=tuple(columns.index(name) for name in stream.key),
            day=columns.index(day) if day else None,
            amount=columns.index(stream.amount_field) if stream.amount_field else None,
            cleaners=tuple(self._clean.cells(columns)),
            by_record=stream.date_of is not None or self._clean.whole_records_only,
        )

    def _rows(self, plan: _Plan, chunk: bytes, batch: TsvBatch, piece: Piece) -> None:
        escaped = batch.escaped
        if escaped and b"\\\\" not in chunk:
            chunk = chunk.replace(b"\\'", b"'")
        lines = chunk.split(b"\n")
        special: list[bytes] = []
        if (
            plan.by_record
            or not _is_text(chunk)
            or _is_odd(chunk)
            or (escaped and b"\\" in chunk)
        ):
            plain: list[bytes] = []
            for line in lines:
                odd = (
                    plan.by_record
                    or not _is_text(line)
                    or _is_odd(line)
                    or (escaped and b"\\" in line)
                )
                (special if odd else plain).append(line)
            lines = plain
        rows = [line.split(b"\t") for line in lines if line]
        width = len(plan.names)
        if not set(map(len, rows)) <= {width}:
            special += [b"\t".join(row) for row in rows if len(row) != width]
            rows = [row for row in rows if len(row) == width]
        if rows:
            rows = self._columns(plan, rows, piece)
            self._records(
                (
                    dict(zip(plan.names, map(bytes.decode, row), strict=True))
                    for row in rows
                ),
                piece,
            )
        for line in filter(None, special):
            try:
                record = tsv_record(plan.names, line, escaped=escaped)
            except UnicodeDecodeError:
                self.rows_read += 1
                self._bury(_Dead("not UTF-8"), line)
            except ValueError as error:
                self.rows_read += 1
                self._bury(_Dead(str(error)), line)
            else:
                self._records((record,), piece)

    def _columns(
        self, plan: _Plan, rows: list[list[bytes]], piece: Piece
    ) -> list[list[bytes]]:
        """Shape rows by whole columns; returns those that need the record lane."""
        columns: list[Any] = list(zip(*rows, strict=True))
        odd: set[int] = set()
        for index in plan.keys:
            joined = b"\n".join(columns[index])
            if b"" in columns[index] or b"|" in joined or b"\\" in joined:
                odd.update(
                    at
                    for at, cell in enumerate(columns[index])
                    if not cell or b"|" in cell or b"\\" in cell
                )
        days = self._days(plan, columns, odd)
        self._check_amounts(plan, columns, odd)
        for index, cleaner in plan.cleaners:
            columns[index] = _cleaned(columns[index], cleaner, odd)
        keys = _joined(columns, plan.keys)
        if max(map(len, keys)) > LONGEST_KEY:
            odd.update(at for at, key in enumerate(keys) if len(key) > LONGEST_KEY)
        if odd:
            left = [row for at, row in enumerate(rows) if at in odd]
            if len(left) == len(rows):
                return left
            fine = [at for at in range(len(rows)) if at not in odd]
            columns = [[column[at] for at in fine] for column in columns]
            keys = [keys[at] for at in fine]
            days = [days[at] for at in fine] if days is not None else None
        else:
            left = []
        self._count(plan, columns, days, len(keys), piece)
        quoted, cells = False, []
        for index in plan.ordered:
            column, changed = _json_escaped(columns[index])
            quoted = quoted or changed
            cells.append(column)
        texts = list(map(plan.template.__mod__, zip(*cells, strict=True)))
        digests = b"".join([blake2b(text, digest_size=16).digest() for text in texts])
        printed = digests.hex().encode()
        hashes = [printed[at : at + 32] for at in range(0, len(printed), 32)]
        if quoted:
            texts = [text.replace(b"\\", b"\\\\") for text in texts]
        if days is None:
            days = [b"\\N"] * len(keys)
        piece.lines += map(b"\t".join, zip(keys, days, hashes, texts, strict=True))
        return left

    def _days(
        self, plan: _Plan, columns: list[Any], odd: set[int]
    ) -> list[bytes] | None:
        if plan.day is None:
            return None
        known = self._known_days
        if len(known) > MOST_DAYS:
            known.clear()
        # a moment's day is its first ten characters, as Stream.record_date has it
        column = [cell[:10] for cell in columns[plan.day]]
        distinct = set(column)
        for cell in distinct - known.keys():
            known[cell] = self._day(cell)
        if any(known[cell] is None for cell in distinct):
            odd.update(at for at, cell in enumerate(column) if known[cell] is None)
        if all(known[cell] is not None and known[cell][1] == cell for cell in distinct):  # type: ignore[index]
            return column
        return [each[1] if (each := known[cell]) else b"" for cell in column]

    def _day(self, cell: bytes) -> tuple[date | None, bytes] | None:
        """(day, as COPY wants it); None: the record lane will say what is wrong."""
        try:
            text = cell.decode()
            name = str(self._stream.date_field)
            day = self._stream.record_date({name: text}, self._zone)
            self._check_day(day, "")
        except (KeyError, ValueError, TypeError):
            return None
        return day, b"\\N" if day is None else day.isoformat().encode()

    def _check_amounts(self, plan: _Plan, columns: list[Any], odd: set[int]) -> None:
        if plan.amount is None:
            return
        column = columns[plan.amount]
        if _AMOUNTS.fullmatch(b"\n".join(column) + b"\n") is None:
            odd.update(
                at
                for at, cell in enumerate(column)
                if _AMOUNTS.fullmatch(cell + b"\n") is None
            )

    def _count(
        self,
        plan: _Plan,
        columns: list[Any],
        days: list[bytes] | None,
        rows: int,
        piece: Piece,
    ) -> None:
        self.rows_read += rows
        if plan.amount is None:
            amounts = None
        else:
            text = b"\n".join(columns[plan.amount]).decode().replace("--", "0")
            amounts = [Decimal(cell or "0") for cell in text.split("\n")]
            self.amount_total += sum(amounts, ZERO)
        counts = Counter(days) if days is not None else {b"\\N": rows}
        totals: dict[bytes, Decimal] = {}
        if amounts is not None:
            if len(counts) == 1:
                totals[next(iter(counts))] = sum(amounts, ZERO)
            elif days is not None:
                for cell, amount in zip(days, amounts, strict=True):
                    totals[cell] = totals.get(cell, ZERO) + amount
        for cell, count in counts.items():
            day = None if cell == b"\\N" else date.fromisoformat(cell.decode())
            piece.add(day, count, totals.get(cell, ZERO))


def copy_escape(text: str) -> bytes:
    """A value as COPY's text format writes it."""
    value = text.encode()
    for plain, escaped in _COPY_ESCAPES:
        if plain in value:
            value = value.replace(plain, escaped)
    return value


def _is_odd(value: bytes) -> bool:
    """Has it control characters that JSON must escape?"""
    return len(value.translate(None, _ODD)) != len(value)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _joined(columns: list[Any], indexes: tuple[int, ...]) -> list[bytes]:
    if len(indexes) == 1:
        return columns[indexes[0]]  # type: ignore[no-any-return]
    parts = (columns[index] for index in indexes)
    return list(map(b"|".join, zip(*parts, strict=True)))


def _cleaned(column: Any, cleaner: CellCleaner, odd: set[int]) -> Any:
    """The column with its cells cleaned; rows that cannot be go to `odd`."""
    changed: dict[int, bytes] = {}
    for at in cleaner.suspects(column):
        if not column[at]:
            continue
        text = column[at].decode()
        clean = cleaner.clean(text)
        if clean is None:
            odd.add(at)
        elif clean != text:
            changed[at] = clean.encode()
    if not changed:
        return column
    return [changed.get(at, cell) for at, cell in enumerate(column)]


def _json_escaped(column: Any) -> tuple[Any, bool]:
    joined = b"\n".join(column)
    if b'"' not in joined and b"\\" not in joined:
        return column, False
    joined = joined.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return joined.split(b"\n"), True


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"a record cannot hold {type(value).__name__}")


def _mended(value: Any) -> Any:
    """The same value without the characters that the database cannot hold."""
    if isinstance(value, str):
        return UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, list | tuple):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {_mended(str(name)): _mended(each) for name, each in value.items()}
    return value


def _payload(record: Any) -> bytes:
    """A dead record as bytes, whatever is in it."""
    try:
        return orjson.dumps(record, default=str)
    except TypeError:
        return json.dumps(record, default=str, skipkeys=True).encode()
