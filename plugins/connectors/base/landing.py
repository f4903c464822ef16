"""Lands a stream's batches in raw: one transaction, there whole or not at all.

Rows go in by COPY. Where the warehouse holds nothing yet they go straight into the raw
table; else into a temporary stage, and one MERGE touches only rows whose hash differs,
so that an unchanged answer writes nothing. What is gone from a proved answer gets a
tombstone. Rows, tombstones, dead letters, tokens, counts and the ledger's row are
committed together; a failed load leaves a `failed` row in `ops.loads`, in a transaction
of its own, and nothing else. Memory does not grow with the number of rows.
"""

from __future__ import annotations

import gc
import logging
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from connectors.base import settings
from connectors.base.batch import JsonBatch
from connectors.base.errors import (
    ConfigError,
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.lanes import (
    REPLACEMENT,
    UNSTORABLE,
    ZERO,
    Piece,
    Shaper,
    Tally,
    copy_escape,
)
from connectors.base.pseudonymise import Pseudonymiser, Tokeniser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date
    from types import TracebackType

    from connectors.base.batch import Batch
    from connectors.base.sources import Account
    from connectors.base.stream import Stream, Window

log = logging.getLogger(__name__)

# A tombstone for more than this share of a window's rows or money is not believed.
MOST_LOST = Decimal("0.2")
# A sweep of few objects may lose more than a fifth of them honestly.
FEW_OBJECTS = 10
# Of a thousand records one may be a dead letter; in a small load, up to three.
MOST_DEAD = Decimal("0.001")
FEW_DEAD = Decimal(3)
# What a control total may differ by: one kopeck, or a ten-thousandth for roundings.
CONTROL_ROUNDING = Decimal("0.0001")
CENT = Decimal("0.01")
GROUP = 8 << 20  # bytes in one COPY; kept by us until the server has taken them
PENDING = 20_000  # tokens and sealed values held before they go to the server
LOCK_SECONDS = 900
_PLAIN_LINE = re.compile(r"[^\0\n\r\\\ud800-\udfff]*")
# A broken record may have a phone or a name where its key should be: ops shows a key
# only if it looks like ids and days.
HARMLESS_KEY = r"^[A-Za-z0-9_.:|\\-]+$"


@dataclass(frozen=True)
class LoadResult:
    """What a load did; amounts are in the unit of the stream's `amount_field`.

    `rows_withheld` are rows that the answer lacked but that kept standing, because too
    many were missing at once (or the answer was empty).
    """

    load_id: int
    state: str
    rows_read: int = 0
    rows_new: int = 0
    rows_changed: int = 0
    rows_gone: int = 0
    rows_dead: int = 0
    amount_delta: Decimal = ZERO
    rows_duplicate: int = 0
    rows_withheld: int = 0


def raw_table(source: str, stream: str) -> sql.Identifier:
    """The name of a stream's raw table."""
    return sql.Identifier("raw", f"{source}__{stream}")


def land(
    conn: psycopg.Connection[Any],
    *,
    account: Account,
    source: str,
    stream: Stream,
    window: Window | None,
    batches: Iterable[Batch],
    complete: bool = True,
    control_total: Decimal | Callable[[], Decimal | None] | None = None,
    cursor: str | Callable[[], str | None] | None = None,
    run_id: str | None = None,
    most_lost: Decimal = MOST_LOST,
) -> LoadResult:
    """Land one answer of a stream and write it into the ledger.

    `conn` is a loader's connection without an open transaction. `batches` is read to
    its end inside the transaction; what it raises fails the load. `complete` says that
    the answer is proved whole: only then is a missing key gone. `cursor` (entity
    streams: where the next read starts) and `control_total` (the account's own total
    for the window, in the unit of `amount_field`) may be callables, which are asked
    after the last batch.

    A window stream replaces the days of `window`; a snapshot replaces all keys of the
    account; an entity stream only adds and updates. Of a window never more than
    `most_lost` of its rows or money gets a tombstone at once, unless `control_total`
    agrees with the answer; an empty answer never empties a snapshot.

    Raises ParseError when the answer contradicts itself or too much of it cannot be
    read, RetriableError when another load of the stream holds the lock too long or the
    warehouse fails, ConfigError for a stream that cannot be landed.
    """
    if (stream.kind == "window") != (window is not None):
        raise ConfigError(
            f"stream {stream.name} is of kind {stream.kind}: window streams need a "
            "window, and only they"
        )
    tokeniser = Tokeniser(*settings.token_key(), region=account.phone_region)
    shaper = Shaper(stream, Pseudonymiser(stream, tokeniser), account.time_zone, window)
    load = _Load(conn, account, source, stream, stream.kind, window, run_id)
    load.prepare()

    def work() -> LoadResult:
        load.begin()
        writer = _Writer(load, shaper, tokeniser)
        said: dict[str, None] = {}
        with _no_gc(), writer:
            for batch in batches:
                if isinstance(batch, JsonBatch):
                    said |= dict.fromkeys(batch.warnings)
                for piece in shaper.pieces(batch):
                    load.rows_read = shaper.rows_read
                    writer.write(piece)
        load.rows_read = shaper.rows_read
        if not stream.by_people:
            _judge_dead_letters(shaper, stream)
        elif shaper.rows_dead:
            said[
                f"{shaper.rows_dead} of {shaper.rows_read} rows were refused: "
                "ops.dead_letters names each with its line, column and reason"
            ] = None
        duplicates, repeated = writer.merge()
        control = control_total() if callable(control_total) else control_total
        total = None if stream.amount_field is None else shaper.amount_total - repeated
        withheld = 0
        if complete and stream.kind != "entity" and not writer.fresh:
            agrees = (
                total is not None
                and control is not None
                and (abs(total - control) <= max(CENT, CONTROL_ROUNDING * abs(control)))
            )
            withheld = _bury_missing(load, writer, shaper, agrees, most_lost)
        writer.write_findings()
        for text in said:
            load.warn(text)
        if undeclared := sorted(shaper.undeclared):
            load.warn(
                "fields that are not declared: kept in pii.sealed, not in record, "
                f"until the stream declares them: {', '.join(undeclared)}"
            )
        if shaper.absent:
            load.warn(
                "the answer lacks declared columns, which stay empty: "
                + ", ".join(sorted(shaper.absent))
            )
        if shaper.mended:
            load.warn("characters that the database cannot hold became U+FFFD")
        return load.finish(
            state="ok" if shaper.rows_read else "ok_empty",
            rows_dead=shaper.rows_dead,
            rows_duplicate=duplicates,
            rows_withheld=withheld,
            cursor=cursor() if callable(cursor) else cursor,
            amount_total=total,
            control_total=control,
        )

    return load.run(work)


def sweep(
    conn: psycopg.Connection[Any],
    *,
    account: Account,
    source: str,
    stream: Stream,
    keys: Iterable[list[str]],
    run_id: str | None = None,
    most_lost: Decimal = MOST_LOST,
) -> LoadResult:
    """Find out which objects of an entity stream are gone.

    `keys` gives every live key of the account, some at a time. A key that two sweeps
    running do not see gets a tombstone, unless that would be more than a fifth of the
    live rows (and more than ten); a key with a tombstone that is seen is live again.
    Raises as `land` does.
    """
    if stream.kind != "entity":
        raise ConfigError(f"stream {stream.name} is of kind {stream.kind}: no sweep")
    load = _Load(conn, account, source, stream, "sweep", None, run_id)
    load.prepare()

    def work() -> LoadResult:
        load.begin()
        load.execute(
            'create temp table landing_keys (record_key text collate "C") on commit drop'
        )
        with conn.cursor() as at, at.copy("copy landing_keys from stdin") as copy:
            for some in keys:
                load.rows_read += len(some)
                for key in some:
                    copy.write_row((key,))
        load.execute("analyze landing_keys")
        withheld = _sweep_missing(load, most_lost)
        return load.finish(
            state="ok" if load.rows_read else "ok_empty", rows_withheld=withheld
        )

    return load.run(work)


def _sweep_missing(load: _Load, most_lost: Decimal) -> int:
    """Tombstones for what two sweeps missed; returns how many were not believed."""
    load.execute(
        """
        update {table} as t set deleted_load_id = null, load_id = {load}
        where t.account_id = {account} and t.deleted_load_id is not null
        and t.record_key in (select k.record_key from landing_keys as k)
        returning t.record_date, {amount}
        """,
        amount=load.amount("t.record"),
    )
    load.count_new(load.rows())
    load.execute(
        """
        delete from ops.missing_keys as m
        where (m.source, m.stream, m.account_id) = ({source}, {stream}, {account})
        and m.record_key in (select k.record_key from landing_keys as k)
        """
    )
    load.execute(
        """
        create temp table landing_missing on commit drop as
        select t.record_key, m.record_key is not null as missed_before
        from {table} as t
        left join ops.missing_keys as m
        on (m.source, m.stream, m.account_id) = ({source}, {stream}, {account})
        and m.record_key = t.record_key
        where t.account_id = {account} and t.deleted_load_id is null
        and not exists (
            select from landing_keys as k where k.record_key = t.record_key
        )
        """
    )
    load.execute(
        """
        insert into ops.missing_keys
        select {source}, {stream}, {account}, m.record_key, {load}
        from landing_missing as m where not m.missed_before
        """
    )
    load.execute(
        """
        create temp table landing_gone on commit drop as
        select record_key from landing_missing where missed_before
        """
    )
    live, gone = load.one(
        """
        select
            (select count(*) from {table}
             where account_id = {account} and deleted_load_id is null),
            (select count(*) from landing_gone)
        """
    )
    if gone > FEW_OBJECTS and gone > most_lost * live:
        load.warn(
            f"the sweep misses {gone} of {live} objects for the second time: too many "
            "to believe, they stay; check what the token may see"
        )
        return int(gone)
    load.bury()
    load.execute(
        """
        delete from ops.missing_keys as m using landing_gone as g
        where (m.source, m.stream, m.account_id) = ({source}, {stream}, {account})
        and m.record_key = g.record_key
        """
    )
    return 0


def _judge_dead_letters(shaper: Shaper, stream: Stream) -> None:
    """Raises ParseError when too many records are dead letters.

    One in a thousand may be; in a small load up to three, as long as most are alive.
    """
    dead, read = shaper.rows_dead, shaper.rows_read
    if dead <= max(FEW_DEAD, MOST_DEAD * read) and dead * 2 <= read:
        return
    reasons = ", ".join(
        f"{reason} ({n})" for reason, n in shaper.reasons.most_common(3)
    )
    raise ParseError(
        f"stream {stream.name}: {dead} of {read} records cannot be keyed or parsed, "
        f"more than 0.1 %: {reasons}"
    )


def _bury_missing(
    load: _Load, writer: _Writer, shaper: Shaper, agrees: bool, most_lost: Decimal
) -> int:
    """Tombstones for what a whole answer lacks; returns how many rows were kept
    standing because their going is not believed."""
    if load.one("select count(*) from {table} as t where {slice}")[0] == writer.staged:
        return 0  # all that is live was in the answer
    # The planner knows little of a new table and of the stage: a nested loop over both
    # would take minutes where hashing takes a second.
    load.execute("set local enable_nestloop = off")
    load.execute(
        """
        create temp table landing_gone on commit drop as
        select t.record_key, {amount} as amount
        from {table} as t
        where {slice}
        and not exists (
            select from landing_stage as s where s.record_key = t.record_key
        )
        and not exists (
            select from landing_dead as d where d.record_key = t.record_key
        )
        """,
        amount=load.amount("t.record"),
    )
    load.execute("reset enable_nestloop")
    gone, gone_amount = load.one(
        "select count(*), coalesce(sum(amount), 0) from landing_gone"
    )
    if not gone:
        return 0
    why = None
    if shaper.rows_unkeyed:
        why = "records without a readable key may be among them"
    elif load.kind == "snapshot":
        if not shaper.rows_read:
            why = "an empty answer is not believed"
    elif not agrees:
        rows, amount = load.one(
            "select count(*), coalesce(sum({amount}), 0) from {table} as t where {slice}",
            amount=load.amount("t.record"),
        )
        # what was there before this load
        rows -= sum(tally.new - tally.gone for tally in load.days.values())
        amount -= sum((tally.amount for tally in load.days.values()), ZERO)
        if gone > most_lost * rows:
            why = f"they are more than {most_lost:.0%} of {rows} rows"
        elif amount > 0 and gone_amount > most_lost * amount:
            why = f"they hold {gone_amount} of {amount}, more than {most_lost:.0%}"
    if why is not None:
        load.warn(f"{gone} rows are missing from the answer but stay: {why}")
        return int(gone)
    load.bury()
    return 0


class _Load:
    """One load: its id, its transaction, its counts, its row in the ledger."""

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        account: Account,
        source: str,
        stream: Stream,
        kind: str,
        window: Window | None,
        run_id: str | None,
    ) -> None:
        if conn.info.transaction_status != TransactionStatus.IDLE:
            raise ValueError("landing needs a connection without an open transaction")
        self.conn = conn
        self.account_id = account.account_id
        self.source = source
        self.stream = stream
        self.kind = kind
        self.window = window
        self.run_id = run_id
        self.load_id = 0
        self.rows_read = 0
        self.rows_new = 0
        self.rows_changed = 0
        self.rows_gone = 0
        self.days: dict[date | None, Tally] = {}
        self.started_at = datetime.now(UTC)
        days: LiteralString = "t.account_id = {account}"
        if window is not None:
            days += " and t.record_date >= {date_from} and t.record_date < {date_to}"
        names = {
            "table": raw_table(source, stream.name),
            "source": sql.Literal(source),
            "stream": sql.Literal(stream.name),
            "account": sql.Literal(self.account_id),
            "date_from": sql.Literal(window.date_from if window else None),
            "date_to": sql.Literal(window.date_to if window else None),
        }
        self._names: dict[str, sql.Composable] = {
            **names,
            # every row this answer speaks of, and those that are live
            "scope": sql.SQL(days).format(**names),
            "slice": sql.SQL(days + " and t.deleted_load_id is null").format(**names),
        }
        self._result: psycopg.Cursor[Any] | None = None

    def __str__(self) -> str:
        return f"load {self.load_id} of {self.source}.{self.stream.name}"

    # -- statements ------------------------------------------------------------------

    def execute(self, query: LiteralString, **parts: sql.Composable) -> None:
        """Run a statement with the load's names in it."""
        self._result = self.conn.execute(sql.SQL(query).format(**self._names, **parts))

    def rows(self) -> list[tuple[Any, ...]]:
        """All rows of the last statement's result."""
        assert self._result is not None
        return self._result.fetchall()

    def one(self, query: LiteralString, **parts: sql.Composable) -> tuple[Any, ...]:
        """The only row of a statement's result."""
        self.execute(query, **parts)
        (row,) = self.rows()
        return row

    def amount(self, record: LiteralString) -> sql.Composable:
        """SQL for the amount of a record; 0 for streams without one."""
        if self.stream.amount_field is None:
            return sql.SQL("0::numeric")
        return sql.SQL("ops.amount({}->>{})").format(
            sql.SQL(record), sql.Literal(self.stream.amount_field)
        )

    def is_fresh(self) -> bool:
        """Does the warehouse hold nothing yet of what this load speaks of?"""
        return bool(
            self.one("select not exists (select from {table} as t where {scope})")[0]
        )

    # -- counts ----------------------------------------------------------------------

    def tally(self, day: date | None) -> Tally:
        """The counts of one civil day."""
        return self.days.setdefault(day, Tally())

    def count_new(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Count rows (day, amount) that are live from now on."""
        for day, amount in rows:
            self.rows_new += 1
            tally = self.tally(day)
            tally.new += 1
            tally.amount += amount

    def bury(self) -> None:
        """Give a tombstone to every live row whose key is in landing_gone."""
        self.execute(
            """
            with gone as (
                update {table} as t set deleted_load_id = {load}
                from landing_gone as g
                where t.account_id = {account} and t.record_key = g.record_key
                and t.deleted_load_id is null
                returning t.record_date, {amount} as amount
            )

            select record_date, count(*), sum(amount) from gone group by record_date
            """,
            amount=self.amount("t.record"),
        )
        for day, rows, amount in self.rows():
            self.rows_gone += rows
            tally = self.tally(day)
            tally.gone += rows
            tally.amount -= amount

    # -- the transaction -------------------------------------------------------------

    def prepare(self) -> None:
        """Take an id and see that the raw table is there (in transactions of their
        own, so that another account does not wait for this load's end)."""
        with _no_values(str(self)):
            with self.conn.transaction():
                self.load_id = self.one("select nextval('ops.load_id_seq')")[0]
            self._names["load"] = sql.Literal(self.load_id)
            with self.conn.transaction():
                name = sql.Literal(f"raw.{self.source}__{self.stream.name}")
                if self.one("select to_regclass({name}) is null", name=name)[0]:
                    self.execute(
                        "select ops.create_raw_table({source}, {stream}, {large})",
                        large=sql.Literal(self.stream.large_records),
                    )

    def run(self, work: Callable[[], LoadResult]) -> LoadResult:
        """Do the work in one transaction; if it fails, say so in the ledger."""
        try:
            with _no_values(str(self)), self.conn.transaction():
                return work()
        except BaseException as error:
            self._write_failure(error)
            raise

    def begin(self) -> None:
        """Settings of the transaction, and the lock that keeps a backfill and the
        daily run of one stream apart."""
        # a stage of a million keys is counted and joined in memory
        self.execute("set local work_mem = '256MB'")
        self.execute("set local jit = off")
        name = f"landing:{self.source}/{self.account_id}/{self.stream.name}"
        key = sql.SQL("hashtextextended({}, 0)").format(sql.Literal(name))
        if self.one("select pg_try_advisory_xact_lock({key})", key=key)[0]:
            return
        log.info("%s: another load of this stream is running, waiting", self)
        wait = sql.Literal(f"{LOCK_SECONDS}s")
        self.execute("set local lock_timeout = {wait}", wait=wait)
        try:
            self.execute("select pg_advisory_xact_lock({key})", key=key)
        except errors.LockNotAvailable:
            raise RetriableError(
                f"{self}: another load of this stream has been running for "
                f"{LOCK_SECONDS} seconds"
            ) from None
        self.execute("set local lock_timeout = 0")

    def warn(self, message: str) -> None:
        """Say it in the log and in ops.warnings."""
        log.warning("%s: %s", self, message)
        self.conn.execute(
            "insert into ops.warnings (source, stream, load_id, message) "
            "values (%s, %s, %s, %s)",
            (self.source, self.stream.name, self.load_id, message),
        )

    def finish(
        self,
        *,
        state: str,
        rows_dead: int = 0,
        rows_duplicate: int = 0,
        rows_withheld: int = 0,
        cursor: str | None = None,
        amount_total: Decimal | None = None,
        control_total: Decimal | None = None,
    ) -> LoadResult:
        """Write the counts of the days and the ledger's row."""
        copy_changes = (
            "copy ops.load_changes (load_id, record_date, rows_new, rows_changed, "
            "rows_gone, amount_delta) from stdin"
        )
        with self.conn.cursor() as at, at.copy(copy_changes) as copy:
            for day, each in self.days.items():
                if each != Tally():
                    counts = (each.new, each.changed, each.gone, each.amount)
                    copy.write_row((self.load_id, day, *counts))
        result = LoadResult(
            load_id=self.load_id,
            state=state,
            rows_read=self.rows_read,
            rows_new=self.rows_new,
            rows_changed=self.rows_changed,
            rows_gone=self.rows_gone,
            rows_dead=rows_dead,
            amount_delta=sum((each.amount for each in self.days.values()), ZERO),
            rows_duplicate=rows_duplicate,
            rows_withheld=rows_withheld,
        )
        self._write_row(self.conn, result, cursor, amount_total, control_total)
        log.info("%s: %s", self, result)
        return result

    def _write_row(
        self,
        conn: psycopg.Connection[Any],
        result: LoadResult,
        cursor: str | None = None,
        amount_total: Decimal | None = None,
        control_total: Decimal | None = None,
        error: str | None = None,
    ) -> None:
        row = {
            "load_id": result.load_id,
            "source": self.source,
            "stream": self.stream.name,
            "account_id": self.account_id,
            "run_id": self.run_id,
            "kind": self.kind,
            "date_from": self.window.date_from if self.window else None,
            "date_to": self.window.date_to if self.window else None,
            "cursor": cursor,
            "state": result.state,
            "started_at": self.started_at,
            "rows_read": result.rows_read,
            "rows_new": result.rows_new,
            "rows_changed": result.rows_changed,
            "rows_gone": result.rows_gone,
            "rows_withheld": result.rows_withheld,
            "rows_dead": result.rows_dead,
            "rows_duplicate": result.rows_duplicate,
            "amount_total": amount_total,
            "control_total": control_total,
            "error": error,
        }
        conn.execute(
            sql.SQL("insert into ops.loads ({}) values ({})").format(
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(map(sql.Placeholder, row)),
            ),
            row,
        )

    def _write_failure(self, error: BaseException) -> None:
        """The `failed` row, in a transaction of its own."""
        # only our own errors are known to hold no values of records
        text = str(error) if isinstance(error, ConnectorError) else type(error).__name__
        result = LoadResult(self.load_id, "failed", rows_read=self.rows_read)
        try:
            with ExitStack() as stack:
                conn = self.conn
                if conn.info.transaction_status != TransactionStatus.IDLE:
                    # broken, or in the middle of something: take another one
                    again = psycopg.connect(
                        conn.info.dsn, password=conn.info.password, connect_timeout=10
                    )
                    conn = stack.enter_context(again)
                with conn.transaction():
                    self._write_row(conn, result, error=text)
        except psycopg.Error as second:
            log.error(
                "%s failed, and ops.loads could not be told: %s",
                self,
                type(second).__name__,
            )


class _Writer:
    """Brings pieces to the server, in COPYs of some megabytes each.

    Over a slice that holds nothing yet, rows are copied straight into the raw table,
    each COPY under a savepoint. Where one meets a key that is there already (a
    duplicate, or a row that moved here from another day), it and all that follow go by
    the stage.
    """

    def __init__(self, load: _Load, shaper: Shaper, tokeniser: Tokeniser) -> None:
        self._load = load
        self._shaper = shaper
        self._tokeniser = tokeniser
        self.fresh = load.is_fresh()
        self.staged = 0
        self._direct = self.fresh
        self._direct_rows = 0
        self._stack = ExitStack()
        self._copy: psycopg.Copy | None = None
        # of each piece: rows, what they add up to, and the data if it may be refused
        self._group: list[tuple[int, dict[date | None, Tally], bytes]] = []
        self._bytes = 0
        self._flushed: set[str] = set()
        self._end = f"\t{load.account_id}\t{load.load_id}\n".encode()
        if not self._direct:
            self._create_stage()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._end_group()
            self._flush()
        else:
            # tells the server to throw the open COPY away
            self._stack.__exit__(kind, error, trace)

    def write(self, piece: Piece) -> None:
        """Send a piece; what was found in it besides goes along now and then."""
        if piece.lines:
            data = self._end.join(piece.lines) + self._end
            if self._copy is None:
                self._start_group()
            kept = data if self._direct else b""
            self._group.append((len(piece.lines), piece.days, kept))
            self._send(data)
            self._bytes += len(data)
            if self._bytes >= GROUP:
                self._end_group()
        shaper = self._shaper
        found = self._tokeniser.pending + len(shaper.sealed) + len(shaper.dead)
        if found >= PENDING:
            self._end_group()
            self._flush()

    # -- copying ---------------------------------------------------------------------

    def _start_group(self) -> None:
        if self._direct:
            self._stack.enter_context(self._load.conn.transaction())
            self._open_copy(raw_table(self._load.source, self._load.stream.name))
            return
        self._open_copy(sql.Identifier("landing_stage"))

    def _create_stage(self) -> None:
        # Long records stay uncompressed and in their rows: compressing what lives for
        # seconds would cost more than all the rest.
        self._load.execute(
            """
            create temp table landing_stage (
                record_key text collate "C", record_date date, record_hash uuid,
                record text, account_id text, load_id bigint
            ) with (toast_tuple_target = 8160) on commit drop
            """
        )
        self._load.execute(
            "alter table landing_stage alter column record set storage external"
        )

    def _open_copy(self, table: sql.Identifier) -> None:
        cursor = self._stack.enter_context(self._load.conn.cursor())
        copy = cursor.copy(
            sql.SQL(
                "copy {} (record_key, record_date, record_hash, record, account_id, "
                "load_id) from stdin"
            ).format(table)
        )
        self._copy = self._stack.enter_context(copy)

    def _send(self, data: bytes) -> None:
        assert self._copy is not None
        self._copy.write(data)

    def _end_group(self) -> None:
        if self._copy is None:
            return
        group, direct = self._group, self._direct
        self._group, self._bytes, self._copy = [], 0, None
        stack, self._stack = self._stack, ExitStack()
        try:
            stack.close()
        except errors.UniqueViolation:
            if not direct:
                raise
            self._direct = False
            self._create_stage()
            self._start_group()
            for count, days, data in group:
                self._group.append((count, days, b""))
                self._send(data)
            self._end_group()
            return
        rows = sum(count for count, _, _ in group)
        if not direct:
            self.staged += rows
            return
        self._direct_rows += rows
        self._load.rows_new += rows
        for _, days, _ in group:
            for day, counted in days.items():
                tally = self._load.tally(day)
                tally.new += counted.new
                tally.amount += counted.amount

    # -- merging ---------------------------------------------------------------------

    def merge(self) -> tuple[int, Decimal]:
        """Bring the stage into the raw table; (duplicates, their amount).

        Raises ParseError when one key came with differing rows.
        """
        if not self.staged:
            return 0, ZERO
        self._load.execute("analyze landing_stage (record_key)")
        duplicates, repeated = self._drop_duplicates()
        self._load.execute(
            """
            with merged as (
                merge into {table} as target
                using landing_stage as staged
                on target.account_id = {account}
                and target.record_key = staged.record_key
                when matched and (
                    target.record_hash <> staged.record_hash
                    or target.record_date is distinct from staged.record_date
                    or target.deleted_load_id is not null
                ) then update set
                    record_date = staged.record_date,
                    record = staged.record::jsonb,
                    record_hash = staged.record_hash,
                    load_id = staged.load_id,
                    deleted_load_id = null
                when not matched then insert (
                    account_id, record_key, record_date, record, record_hash, load_id
                ) values (
                    staged.account_id, staged.record_key, staged.record_date,
                    staged.record::jsonb, staged.record_hash, staged.load_id
                )
                returning
                    merge_action() as action,
                    old.deleted_load_id is null as was_live,
                    old.record_date as old_date,
                    new.record_date as new_date,
                    {old_amount} as old_amount,
                    {new_amount} as new_amount
            )

            select
                action = 'UPDATE' and was_live, old_date, new_date, count(*),
                coalesce(sum(old_amount), 0), coalesce(sum(new_amount), 0)
            from merged
            group by 1, 2, 3
            """,
            old_amount=self._load.amount("old.record"),
            new_amount=self._load.amount("new.record"),
        )
        for was_live, old_date, new_date, rows, before, after in self._load.rows():
            now = self._load.tally(new_date)
            now.amount += after
            if not was_live:
                self._load.rows_new += rows
                now.new += rows
                continue
            self._load.rows_changed += rows
            then = self._load.tally(old_date)
            then.amount -= before
            if old_date == new_date:
                now.changed += rows
            else:
                then.gone += rows
                now.new += rows
        return duplicates, repeated

    def _drop_duplicates(self) -> tuple[int, Decimal]:
        duplicates, repeated = 0, ZERO
        # equal keys have equal hashes: as many hashes as rows means no key twice
        (hashes,) = self._load.one(
            """
            select count(*) from (
                select from landing_stage group by hashtextextended(record_key, 0)
            ) as hashes
            """
        )
        if hashes < self.staged:
            self._load.execute(
                """
                create temp table landing_twice on commit drop as
                select
                    record_key, min(ctid) as kept, count(*) - 1 as more,
                    count(distinct record_hash) > 1 as differ,
                    {amount} as amount
                from landing_stage
                group by record_key
                having count(*) > 1
                """,
                amount=self._load.amount("min(record)::jsonb"),
            )
            self._refuse_differing("select record_key from landing_twice where differ")
            duplicates, repeated = self._load.one(
                "select coalesce(sum(more), 0)::bigint, coalesce(sum(more * amount), 0) "
                "from landing_twice"
            )
            self._load.execute(
                """
                delete from landing_stage as s using landing_twice as w
                where s.record_key = w.record_key and s.ctid <> w.kept
                """
            )
        if self._direct_rows:
            self._refuse_differing(
                """
                select s.record_key from landing_stage as s
                inner join {table} as t
                on t.account_id = {account} and t.record_key = s.record_key
                where t.load_id = {load} and t.record_hash <> s.record_hash
                """
            )
            more, amount = self._load.one(
                """
                select count(*), coalesce(sum({amount}), 0)
                from landing_stage as s
                inner join {table} as t
                on t.account_id = {account} and t.record_key = s.record_key
                where t.load_id = {load}
                """,
                amount=self._load.amount("t.record"),
            )
            return duplicates + more, repeated + amount
        self.staged -= duplicates
        return duplicates, repeated

    def _refuse_differing(self, query: LiteralString) -> None:
        self._load.execute(query)
        if keys := self._load.rows():
            harmless = re.fullmatch(HARMLESS_KEY, keys[0][0])
            raise ParseError(
                f"stream {self._load.stream.name}: {len(keys)} keys came more than "
                "once with differing rows"
                + (f", one of them {keys[0][0]}" if harmless else "")
            )

    # -- what was found besides ------------------------------------------------------

    def _flush(self) -> None:
        """Move tokens, sealed values and dead letters to the server, for later."""
        shaper = self._shaper
        if not self._flushed:
            self._load.execute(
                """
                create temp table landing_dead (
                    dead_letter_id bigint default nextval(
                        pg_get_serial_sequence('ops.dead_letters', 'dead_letter_id')
                    ),
                    record_key text collate "C", reason text, payload bytea
                ) on commit drop
                """
            )
            self._flushed.add("landing_dead")
        facts, spellings = self._tokeniser.drain()
        self._fill(
            "landing_facts",
            "like identity.token_facts, value text",
            "token, kind, number_type, country, is_placeholder, mailbox_class, masked, "
            "is_own_number, words, value",
            [
                (
                    fact.token,
                    fact.kind,
                    fact.number_type or "",
                    fact.country or "",
                    "t" if fact.is_placeholder else "f",
                    fact.mailbox_class or "",
                    fact.masked,
                    "t" if fact.is_own_number else "f",
                    " ".join(fact.words),
                    fact.value,
                )
                for fact in facts
            ],
        )
        self._fill(
            "landing_spellings",
            'token text collate "C", spelling text',
            "token, spelling",
            spellings,
        )
        self._fill(
            "landing_sealed",
            'record_key text collate "C", field text, value text',
            "record_key, field, value",
            [(key, name, value.decode()) for key, name, value in shaper.sealed],
        )
        self._fill(
            "landing_dead",
            "",
            "record_key, reason, payload",
            [
                (dead.record_key or "", dead.reason, "\\x" + dead.payload.hex())
                for dead in shaper.dead
            ],
        )
        shaper.sealed.clear()
        shaper.dead.clear()

    def _fill(
        self,
        table: LiteralString,
        columns: LiteralString,
        names: LiteralString,
        rows: Sequence[tuple[str, ...]],
    ) -> None:
        """Copy rows of text to a temporary table; an empty text is null there."""
        if not rows:
            return
        if table not in self._flushed:
            create = f"create temp table {table} ({columns}) on commit drop"
            self._load.execute(create)
            self._flushed.add(table)
        target = sql.SQL(f"copy {table} ({names}) from stdin with (null '')")
        with self._load.conn.cursor() as at, at.copy(target) as copy:
            for start in range(0, len(rows), 1000):
                some = rows[start : start + 1000]
                copy.write(b"".join(map(_copy_line, some)))

    def write_findings(self) -> None:
        """Write what was found besides into pii, identity and ops.

        Rows that say nothing new are left alone; tokens go in by their order, so that
        two loads that meet wait for each other and never both.
        """
        if "landing_spellings" in self._flushed:
            self._load.execute(
                """
                insert into pii.contacts as c (token, kind, value, spellings)
                select f.token, f.kind, f.value, s.spellings
                from (
                    select token, array_agg(distinct spelling order by spelling)
                        as spellings
                    from landing_spellings
                    group by token
                ) as s
                inner join (
                    select token, min(kind) as kind, max(value) as value
                    from landing_facts
                    group by token
                ) as f on f.token = s.token
                left join pii.contacts as known on known.token = s.token
                where known.token is null or not known.spellings @> s.spellings
                order by f.token
                on conflict (token) do update set spellings = (
                    select array_agg(distinct each order by each)
                    from unnest(c.spellings || excluded.spellings) as each
                )
                """
            )
        if "landing_facts" in self._flushed:
            self._load.execute(
                """
                insert into identity.token_facts as t (
                    token, kind, number_type, country, is_placeholder, mailbox_class,
                    masked, is_own_number, words
                )
                select
                    f.token, min(f.kind), min(f.number_type), min(f.country),
                    bool_or(f.is_placeholder), min(f.mailbox_class), min(f.masked),
                    bool_or(f.is_own_number), min(f.words)
                from landing_facts as f
                left join identity.token_facts as known on known.token = f.token
                where known.token is null
                or (f.is_own_number and not known.is_own_number)
                or (f.words is not null and known.words is null)
                group by f.token
                order by f.token
                on conflict (token) do update set
                    is_own_number = t.is_own_number or excluded.is_own_number,
                    words = coalesce(t.words, excluded.words)
                """
            )
        if "landing_sealed" in self._flushed:
            self._load.execute(
                """
                insert into pii.sealed as p (
                    source, stream, account_id, record_key, field, value, load_id
                )
                select distinct on (s.record_key, s.field)
                    {source}, {stream}, {account}, s.record_key, s.field,
                    s.value::jsonb, {load}
                from landing_sealed as s
                left join pii.sealed as known
                on (known.source, known.stream, known.account_id)
                = ({source}, {stream}, {account})
                and known.record_key = s.record_key and known.field = s.field
                where known.value is distinct from s.value::jsonb
                order by s.record_key, s.field
                on conflict (source, stream, account_id, record_key, field)
                do update set value = excluded.value, load_id = excluded.load_id
                """
            )
        self._load.execute(
            """
            insert into ops.dead_letters (
                dead_letter_id, load_id, source, stream, account_id, record_key, reason
            ) overriding system value
            select
                dead_letter_id, {load}, {source}, {stream}, {account},
                case when record_key ~ {harmless} then record_key end, reason
            from landing_dead
            """,
            harmless=sql.Literal(HARMLESS_KEY),
        )
        self._load.execute(
            "insert into pii.dead_letter_payloads "
            "select dead_letter_id, payload from landing_dead"
        )


def _copy_line(row: tuple[str, ...]) -> bytes:
    """A row of text as COPY takes it, without what the database cannot hold."""
    line = "\t".join(row)
    if _PLAIN_LINE.fullmatch(line) and line.count("\t") == len(row) - 1:
        return line.encode() + b"\n"
    cells = (copy_escape(UNSTORABLE.sub(REPLACEMENT, cell)) for cell in row)
    return b"\t".join(cells) + b"\n"


@contextmanager
def _no_gc() -> Iterator[None]:
    """Records make no cycles, and looking for them costs a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def _no_values(what: str) -> Iterator[None]:
    """The database's errors as ours, without the values that theirs quote."""
    try:
        yield
    except psycopg.Error as error:
        diagnosis = error.diag
        about = " ".join(
            filter(None, (diagnosis.table_name, diagnosis.constraint_name))
        )
        text = (
            f"{what}: the warehouse refused it: {type(error).__name__} {about}".strip()
        )
        if isinstance(error, psycopg.OperationalError):
            raise RetriableError(text) from None
        raise FatalError(text) from None
