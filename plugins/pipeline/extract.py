"""Read one account and land it: every stream its own load, each whole or not at all."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from connectors.base import landing, registry
from connectors.base.batch import JsonBatch
from connectors.base.errors import (
    AccessError,
    ConfigError,
    ConnectorError,
    FatalError,
    RetriableError,
)
from connectors.base.sources import load_sources
from connectors.base.stream import Window
from pipeline import windows
from pipeline.checks import hold_back
from pipeline.errors import PipelineError
from pipeline.log import say, table, warn
from pipeline.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    import psycopg

    from connectors.base.connector import Connector
    from connectors.base.landing import LoadResult
    from connectors.base.sources import Account
    from connectors.base.stream import Stream
    from pipeline.windows import Days

SWEEP = "sweep"
TITLES = (
    "stream",
    "days",
    "state",
    "read",
    "new",
    "changed",
    "gone",
    "dead",
    "seconds",
)


def extract_account(account_name: str, days: Days, run_id: str) -> dict[str, Any]:
    """Land all streams of "source/account" for these days, as role loader.

    Window streams read `windows.stream_days`, entity streams go on from their last ok
    cursor and are swept for deleted keys once a day, snapshots are read whole. Returns
    {"account", "state", "rows_read", "rows_changed"}. A stream that fails does not keep
    the others from being landed. An optional account with such a stream is held back
    and returns state "held"; a required one raises ConnectorError, which begins with
    the account's name.
    """
    source, _, name = account_name.partition("/")
    account = load_sources().get(source, name or None)
    rows: list[tuple[Any, ...]] = []
    try:
        results = _extract(account, days, run_id, rows)
    except ConnectorError as error:
        if not str(error).startswith(str(account)):
            error.args = (f"{account}: {error}",)
        if account.required:
            raise
        with connect("loader") as connection:
            hold_back(connection, run_id, source, account.account_id, str(error)[:500])
        results = []
    finally:
        say(f"{account_name}, days {days}\n{table(TITLES, rows)}")
    return {
        "account": account_name,
        "state": "ok" if results else "held",
        "rows_read": sum(each.rows_read for each in results),
        "rows_changed": sum(
            each.rows_new + each.rows_changed + each.rows_gone for each in results
        ),
    }


def _extract(
    account: Account, days: Days, run_id: str, rows: list[tuple[Any, ...]]
) -> list[LoadResult]:
    connector = registry.build(account)
    results = []
    with connect("loader", autocommit=True) as connection:
        _mirror(connection, account)
        connection.execute(
            "delete from ops.held_back "
            "where run_id = %s and source = %s and account_id = %s",
            (run_id, account.source, account.account_id),
        )
        swept: list[tuple[Stream, LoadResult]] = []
        failed: list[tuple[str, ConnectorError]] = []
        for stream in connector.streams_of(account):
            began = time.monotonic()
            try:
                for what, result in _land(connection, connector, stream, days, run_id):
                    results.append(result)
                    rows.append(_line(stream.name, what, result, began))
                    began = time.monotonic()
                    if what == SWEEP and result.rows_gone:
                        swept.append((stream, result))
            except (AccessError, ConfigError):
                raise  # the other streams would fare no better
            except ConnectorError as error:
                failed.append((stream.name, error))
                seconds = round(time.monotonic() - began, 2)
                rows.append((stream.name, "", "failed", 0, 0, 0, 0, 0, seconds))
                if _is_down(failed):
                    break  # each stream would wait as long for nothing
        for stream, result in swept:
            results += _read_again(connection, connector, stream, result, run_id, rows)
    if failed:
        raise _together(account, failed)
    return results


def _is_down(failed: list[tuple[str, ConnectorError]]) -> bool:
    """Have two streams used up their tries? Then it is the vendor, not the stream."""
    return sum(isinstance(error, RetriableError) for _, error in failed) > 1


def _together(
    account: Account, failed: list[tuple[str, ConnectorError]]
) -> ConnectorError:
    """What several streams failed of, as one error."""
    if len(failed) == 1:
        return failed[0][1]
    texts = "; ".join(f"{name}: {error}" for name, error in failed)
    message = f"{account}: {len(failed)} streams failed: {texts}"
    if all(isinstance(error, RetriableError) for _, error in failed):
        return RetriableError(message)
    return FatalError(message)


def _land(
    connection: psycopg.Connection,
    connector: Connector,
    stream: Stream,
    days: Days,
    run_id: str,
) -> Iterator[tuple[str, LoadResult]]:
    """Land one stream, and sweep it when that is due: what was read, and the load."""
    account = connector.account
    result, read = _read(connection, connector, stream, days, run_id)
    if result is None:
        return
    yield read, result
    if stream.kind != "entity" or stream.append_only:
        return
    if not _sweep_is_due(connection, account, stream):
        return
    yield (
        SWEEP,
        landing.sweep(
            connection,
            account=account,
            source=account.source,
            stream=stream,
            keys=connector.keys(stream),
            run_id=run_id,
        ),
    )


def _read(
    connection: psycopg.Connection,
    connector: Connector,
    stream: Stream,
    days: Days,
    run_id: str,
) -> tuple[LoadResult | None, str]:
    """Land one stream; returns the load and what it asked for, in words."""
    account = connector.account
    window, cursor, read, cut = None, None, "all", ""
    if stream.kind == "window":
        now, history = windows.utc_now(), windows.history_of(stream, account)
        oldest = windows.oldest_day(history, account.time_zone, now)
        if days.date_from < oldest:
            cut = (
                f"{days} begins before the history of this stream: it is read "
                f"{history} days back, from {oldest} on"
            )
        wanted = windows.stream_days(
            days,
            _loaded(connection, account, stream),
            restate_days=stream.restate_days,
            history_days=history,
            time_zone=account.time_zone,
            now=now,
        )
        if wanted is None:
            why = cut or f"{days} has not begun in {account.time_zone}"
            warn(f"{account} {stream.name}: {why}")
            return None, "none"
        window = Window(wanted.date_from, wanted.date_to, account.time_zone)
        read = str(wanted)
    elif stream.kind == "entity":
        cursor = _cursor(connection, account, stream)
        read = f"since {cursor}" if cursor else "all"
    started_at = datetime.now(UTC)
    said = [JsonBatch([], warnings=(cut,))] if cut else []
    return (
        landing.land(
            connection,
            account=account,
            source=account.source,
            stream=stream,
            window=window,
            batches=chain(said, connector.pages(stream, window, cursor)),
            control_total=(
                (lambda: connector.control_total(stream, window)) if window else None
            ),
            cursor=(
                (lambda: connector.next_cursor(stream, cursor, started_at))
                if stream.kind == "entity"
                else None
            ),
            run_id=run_id,
        ),
        read,
    )


def _read_again(
    connection: psycopg.Connection,
    connector: Connector,
    stream: Stream,
    sweep: LoadResult,
    run_id: str,
    rows: list[tuple[Any, ...]],
) -> list[LoadResult]:
    """What hung on swept records may hang on others now (a merged contact)."""
    results = []
    account = connector.account
    streams = {each.name: each for each in connector.streams_of(account)}
    for target, field in connector.dependants.get(stream.name, ()):
        keys = [
            str(row[0])
            for row in connection.execute(
                sql.SQL(
                    """
                    select hanging.record_key
                    from raw.{} as hanging
                    inner join raw.{} as gone
                        on
                            gone.account_id = hanging.account_id
                            and gone.record_key = hanging.record ->> %s
                    where
                        hanging.account_id = %s
                        and hanging.deleted_load_id is null
                        and gone.deleted_load_id = %s
                    """
                ).format(
                    sql.Identifier(f"{account.source}__{target}"),
                    sql.Identifier(f"{account.source}__{stream.name}"),
                ),
                (field, account.account_id, sweep.load_id),
            )
        ]
        if not keys:
            continue
        began = time.monotonic()
        result = landing.land(
            connection,
            account=account,
            source=account.source,
            stream=streams[target],
            window=None,
            batches=connector.read_again(streams[target], keys),
            # the same cursor: this was no read of what is new
            cursor=_cursor(connection, account, streams[target]),
            run_id=run_id,
        )
        results.append(result)
        rows.append(_line(target, f"again, for {stream.name}", result, began))
    return results


def _line(
    name: str, read: str, result: LoadResult, began: float
) -> tuple[str | int | float, ...]:
    return (
        name, read, result.state, result.rows_read, result.rows_new,
        result.rows_changed, result.rows_gone, result.rows_dead,
        round(time.monotonic() - began, 2),
    )  # fmt: skip


def _mirror(connection: psycopg.Connection, account: Account) -> None:
    """Copy the account's entry of sources.yml to ops.accounts."""
    connection.execute(
        """
        insert into ops.accounts
        (source, account_id, time_zone, currency_code, vat_included, required, settings)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (source, account_id) do update set
            time_zone = excluded.time_zone, currency_code = excluded.currency_code,
            vat_included = excluded.vat_included, required = excluded.required,
            settings = excluded.settings
        """,
        (
            account.source, account.account_id, account.time_zone,
            account.currency_code, account.vat_included, account.required,
            Jsonb(account.settings),
        ),
    )  # fmt: skip


def _loaded(
    connection: psycopg.Connection, account: Account, stream: Stream
) -> list[tuple[date, date]]:
    """The half-open day ranges of this stream's ok loads."""
    return connection.execute(
        """
        select distinct date_from, date_to from ops.loads
        where
            source = %s and account_id = %s and stream = %s and kind = 'window'
            and state in ('ok', 'ok_empty')
        """,
        (account.source, account.account_id, stream.name),
    ).fetchall()


def _cursor(
    connection: psycopg.Connection, account: Account, stream: Stream
) -> str | None:
    """Where the last ok load of an entity stream says the next one begins.

    None: at the beginning; nothing was ever read, or nothing was there to be read
    (a portal that works without leads has no history of them).
    """
    row = connection.execute(
        """
        select cursor, state from ops.loads
        where
            source = %s and account_id = %s and stream = %s and kind = 'entity'
            and state in ('ok', 'ok_empty')
        order by load_id desc limit 1
        """,
        (account.source, account.account_id, stream.name),
    ).fetchone()
    if row is None or tuple(row) == (None, "ok_empty"):
        return None
    if row[0] is None:
        raise PipelineError(
            f"{account} {stream.name}: the last load left no cursor in ops.loads"
        )
    return str(row[0])


def _sweep_is_due(
    connection: psycopg.Connection, account: Account, stream: Stream
) -> bool:
    """Whether the last ok sweep of this stream is a day old."""
    row = connection.execute(
        """
        select max(finished_at) < now() - interval '20 hours' from ops.loads
        where
            source = %s and account_id = %s and stream = %s and kind = 'sweep'
            and state in ('ok', 'ok_empty')
        """,
        (account.source, account.account_id, stream.name),
    ).fetchone()
    return row is None or row[0] is None or bool(row[0])
