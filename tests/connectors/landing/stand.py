"""What the tests of landing stand on: small streams and an account to land them for."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from psycopg import sql

from connectors.base.batch import JsonBatch, TsvBatch
from connectors.base.landing import LoadResult, land, sweep
from connectors.base.sources import Account
from connectors.base.stream import Stream, Window, fields

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    import psycopg

    from connectors.base.batch import Batch, Record

COLUMNS = ("Date", "Id", "Cost", "Name", "Phone", "Note", "Url")
STATS = Stream(
    name="stats",
    kind="window",
    key=("Date", "Id"),
    date_field="Date",
    amount_field="Cost",
    fields=fields(
        "Date", "Cost", "Name", ids=("Id",), phone=("Phone",), text=("Note",),
        url=("Url",),
    ),
)  # fmt: skip
VISITS = Stream(
    name="visits",
    kind="window",
    key=("Id",),
    date_field="Date",
    amount_field="Cost",
    fields=STATS.fields,
)
DEALS = Stream(
    name="deals",
    kind="entity",
    key=("ID",),
    date_field="DATE",
    amount_field="SUM",
    fields=fields(
        "DATE", "SUM", "TITLE", ids=("ID",), phone=("PHONE",), email=("EMAIL",),
        name=("NAME", "LAST_NAME"), text=("COMMENTS",), business_number=("LINE",),
    ),
)  # fmt: skip
NAMES = Stream(
    name="names",
    kind="snapshot",
    key=("Id",),
    fields=fields("Name", ids=("Id",)),
)
MAY = Window(date(2026, 5, 1), date(2026, 5, 11), "Europe/Moscow")


def may(first: int, end: int) -> Window:
    """Days of May 2026, `end` is not in."""
    return Window(date(2026, 5, first), date(2026, 5, end), "Europe/Moscow")


def row(
    day: int, key: int | str, cost: str = "1.00", name: str = "", **more: str
) -> Record:
    """A row of statistics."""
    record = dict.fromkeys(COLUMNS, "")
    record |= {"Date": f"2026-05-{day:02}", "Id": str(key), "Cost": cost, "Name": name}
    return record | more


def tsv(rows: Iterable[Record], columns: tuple[str, ...] = COLUMNS) -> TsvBatch:
    """Rows as a vendor without escapes prints them."""
    lines = ("\t".join(str(each[name]) for name in columns) for each in rows)
    return TsvBatch(columns, "".join(line + "\n" for line in lines).encode())


class Stand:
    """An account, and what the warehouse holds for it."""

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self.connection = connection
        self.account = Account(
            source="shop",
            account=name,
            time_zone="Europe/Moscow",
            currency_code="RUB",
            vat_included=False,
        )

    def land(self, stream: Stream, *batches: Any, **how: Any) -> LoadResult:
        """Land records (lists) or batches; window streams take all of May by default."""
        made = (JsonBatch(each) if isinstance(each, list) else each for each in batches)
        return self.stream(stream, made, **how)

    def stream(
        self, stream: Stream, batches: Iterable[Batch], **how: Any
    ) -> LoadResult:
        """Land batches as they come."""
        how.setdefault("window", MAY if stream.kind == "window" else None)
        return land(
            self.connection,
            account=self.account,
            source="shop",
            stream=stream,
            batches=batches,
            **how,
        )

    def sweep(self, stream: Stream, *keys: str, **how: Any) -> LoadResult:
        """A sweep that sees these keys."""
        return sweep(
            self.connection,
            account=self.account,
            source="shop",
            stream=stream,
            keys=[list(keys)],
            **how,
        )

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with self.connection.transaction():
            return self.connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def rows(self, stream: Stream, *, live: bool = True) -> dict[str, Record]:
        """Live (or dead) records of the account by key."""
        query = sql.SQL(
            "select record_key, record from {} where account_id = %s "
            "and (deleted_load_id is null) = %s"
        ).format(sql.Identifier("raw", f"shop__{stream.name}"))
        with self.connection.transaction():
            found = self.connection.execute(query, (self.account.account, live))
            return dict(found.fetchall())

    def by_day(self, stream: Stream) -> dict[date, tuple[int, Decimal]]:
        """Live rows and their amount by day, out of raw."""
        query = sql.SQL(
            "select record_date, count(*), sum(ops.amount(record->>{})) from {} "
            "where account_id = %s and deleted_load_id is null group by 1"
        ).format(
            sql.Literal(stream.amount_field),
            sql.Identifier("raw", f"shop__{stream.name}"),
        )
        with self.connection.transaction():
            found = self.connection.execute(query, (self.account.account,)).fetchall()
        return {day: (count, amount) for day, count, amount in found}

    def by_day_of_changes(self, stream: Stream) -> dict[date, tuple[int, Decimal]]:
        """The same, summed up from what the loads said they changed."""
        found = self.ask(
            "select c.record_date, sum(c.rows_new - c.rows_gone), sum(c.amount_delta) "
            "from ops.load_changes as c join ops.loads as l using (load_id) "
            "where l.account_id = %s and l.stream = %s group by 1",
            self.account.account,
            stream.name,
        )
        return {day: (int(n), amount) for day, n, amount in found if n or amount}

    def ledger(self) -> list[tuple[Any, ...]]:
        """(state, rows_read, rows_new, rows_changed, rows_gone, rows_dead) by load."""
        return self.ask(
            "select state, rows_read, rows_new, rows_changed, rows_gone, rows_dead "
            "from ops.loads where account_id = %s order by load_id",
            self.account.account,
        )
