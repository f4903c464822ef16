"""Show a build: copy the slices that changed, move one pointer, in one transaction.

`marts.<mart>` are views over `marts_store.<mart>` that show the slices of the build in
`marts_store.current_build`. A statement that reads them sees one build or another,
never a mix and never an empty table, and waits for no lock; grants and dependent
views stay (docs/decisions/0003-publish.md).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from pipeline import builds
from pipeline.errors import PipelineError
from pipeline.log import say, table, warn
from pipeline.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.builds import Build

KEPT_BUILDS = 7
ATTEMPTS = 10
Column = tuple[str, str]  # name, type as format_type writes it


@dataclass(frozen=True)
class Mart:
    """One row of ops.build_marts."""

    mart: str
    kind: str
    slice: str | None
    slice_column: str | None

    @property
    def slice_key(self) -> sql.Composable:
        """The SQL expression of a row's slice."""
        if self.slice == "all":
            return sql.SQL("'all'")
        pattern = {"day": "YYYY-MM-DD", "month": "YYYY-MM"}[str(self.slice)]
        return sql.SQL("coalesce(to_char({}, {}), '(none)')").format(
            sql.Identifier(str(self.slice_column)), sql.Literal(pattern)
        )


@dataclass
class Published:
    """What a publish did: per mart (slices in all, changed, rows written)."""

    build_id: int
    marts: list[tuple[str, int, int, int]] = field(default_factory=list)

    @property
    def slices_changed(self) -> int:
        """Slices replaced, added or removed, over all marts."""
        return sum(each[2] for each in self.marts)

    @property
    def rows_changed(self) -> int:
        """Rows written to the store, over all marts."""
        return sum(each[3] for each in self.marts)


def publish(run_id: str) -> Published:
    """Show the build of this run; a build that is shown already changes nothing.

    Raises PipelineError when a newer build is shown, when the gate has not passed the
    build, or when a mart changed its columns in a way readers would notice.
    """
    build = builds.build_of(run_id)
    with connect("publisher", autocommit=True) as connection:
        # taken before the transaction's snapshot, so that it sees the last publish
        connection.execute("select pg_advisory_lock(hashtext('marts_store'))")
        state = _one(
            connection,
            "select state from ops.builds where build_id = %s",
            (build.build_id,),
        )
        if state == "published":
            say(f"build {build.build_id} is published already: 0 slices changed")
            return Published(build.build_id)
        _refuse_if_late(connection, build, str(state))
        _refuse_if_not_judged(connection, build)
        done = _with_patience(connection, build)
        _forget_old_builds(connection)
    rows = [
        *done.marts,
        ("total", *map(sum, zip(*(m[1:] for m in done.marts), strict=True))),
    ]
    say(
        f"build {build.build_id} is published: {done.slices_changed} slices changed\n"
        + table(("mart", "slices", "changed", "rows written"), rows)
    )
    return done


def rollback(to_build: int | None = None) -> int:
    """Show an earlier build again (default: the one before); returns its number.

    One row is updated. Raises PipelineError when that build is not kept. Later loads
    stay staged: the next publish shows them.
    """
    with connect("publisher") as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('marts_store'))")
        current = _one(connection, "select build_id from marts_store.current_build")
        kept = [each for each in _kept_builds(connection) if current and each < current]
        target = to_build if to_build is not None else max(kept, default=None)
        if target is None or target not in kept:
            shown = ", ".join(map(str, kept)) or "none"
            raise PipelineError(
                f"cannot roll back to build {target or '(none)'}: shown is build "
                f"{current or '(none)'}, kept before it: {shown}"
            )
        connection.execute(
            "update marts_store.current_build set build_id = %s", (target,)
        )
        connection.execute(
            """
            update ops.builds set state = 'rolled_back'
            where build_id > %s and state = 'published'
            """,
            (target,),
        )
        connection.execute(
            """
            insert into ops.changes
            (build_id, mart, slice_key, build_before, cause)
            values (%s, '(all)', '(all)', %s, 'rolled back by hand')
            """,
            (target, current),
        )
    say(f"build {target} is shown again (was {current})")
    return target


def _refuse_if_late(connection: psycopg.Connection, build: Build, state: str) -> None:
    newest = _one(
        connection,
        "select max(build_id) from ops.builds where published_at is not null",
    )
    if state != "building" or (newest is not None and newest > build.build_id):
        raise PipelineError(
            f"build {build.build_id} is {state} and build {newest} was published after "
            "it: marts_next no longer holds it, start a new run"
        )


def _refuse_if_not_judged(connection: psycopg.Connection, build: Build) -> None:
    """The gate is part of publishing: no verdict, or a red one, shows nothing.

    A verdict from before the last dbt station of the build is none.
    """
    bad = connection.execute(
        """
        with latest as (
            select distinct on (check_name) check_name, severity, status
            from ops.check_results
            where
                build_id = %(build_id)s and gate = 'marts'
                and checked_at > coalesce(
                    (
                        select max(finished_at) from ops.model_runs
                        where build_id = %(build_id)s
                    ),
                    '-infinity'
                )
            order by check_name, check_result_id desc
        )

        select
            count(*),
            string_agg(check_name, ', ' order by check_name) filter (
                where severity = 'critical' and status in ('failed', 'crashed')
                or status = 'crashed'
            )
        from latest
        """,
        {"build_id": build.build_id},
    ).fetchone()
    assert bad is not None
    if bad[0] == 0:
        raise PipelineError(
            f"build {build.build_id} was not judged: run check-marts before publish"
        )
    if bad[1] is not None:
        raise PipelineError(f"build {build.build_id} did not pass the gate: {bad[1]}")


def _with_patience(connection: psycopg.Connection, build: Build) -> Published:
    """Publish; where a view must be replaced and a long report holds it, try again.

    A statement that waits for a lock makes every later reader wait behind it, so none
    waits longer than the 100 ms of lock_timeout.
    """
    for attempt in range(ATTEMPTS):
        try:
            return _publish(connection, build)
        except psycopg.errors.LockNotAvailable:
            if attempt == ATTEMPTS - 1:
                raise PipelineError(
                    "a mart's columns changed and reports kept its view busy: run "
                    "publish again when they have ended"
                ) from None
            warn("a report holds a view that must be replaced: trying again")
            time.sleep(min(2.0**attempt, 30))
    raise AssertionError("unreachable")


def _publish(connection: psycopg.Connection, build: Build) -> Published:
    done = Published(build.build_id)
    marts = [
        Mart(*row)
        for row in connection.execute(
            """
            select mart, kind, slice, slice_column from ops.build_marts
            where build_id = %s order by position
            """,
            (build.build_id,),
        )
    ]
    if not marts:
        raise PipelineError(
            f"build {build.build_id} has no marts: run station build_marts first"
        )
    with connection.transaction():
        connection.execute(
            "set transaction isolation level repeatable read; "
            "set local lock_timeout = '100ms'; set local datestyle = 'ISO'; "
            "set local timezone = 'UTC'; set local extra_float_digits = 1"
        )
        tables = [each for each in marts if each.kind == "table"]
        for mart in tables:
            columns = _columns(connection, "marts_next", mart.mart)
            _prepare_store(connection, mart, columns)
            done.marts.append(_publish_slices(connection, build, mart, columns))
        _refuse_empty(connection, tables, build)
        for mart in marts:
            definition = (
                _store_view(connection, mart.mart)
                if mart.kind == "table"
                else _derived_view(connection, mart.mart, [each.mart for each in marts])
            )
            _put_view(connection, mart.mart, definition)
        connection.execute(
            """
            insert into marts_store.current_build (build_id) values (%s)
            on conflict (only_row) do update set build_id = excluded.build_id
            """,
            (build.build_id,),
        )
        connection.execute(
            """
            insert into ops.published_loads (load_id, build_id)
            select load_id, build_id from ops.build_loads where build_id = %s
            on conflict do nothing
            """,
            (build.build_id,),
        )
        connection.execute(
            """
            update ops.builds
            set
                state = 'published', published_at = clock_timestamp(),
                slices_changed = %s, rows_changed = %s
            where build_id = %s
            """,
            (done.slices_changed, done.rows_changed, build.build_id),
        )
        connection.execute(
            """
            update ops.runs
            set state = 'published', note = null, finished_at = clock_timestamp()
            where run_id = %s
            """,
            (build.run_id,),
        )
        connection.execute(
            """
            update ops.builds set state = 'abandoned'
            where state = 'building' and build_id < %s
            """,
            (build.build_id,),
        )
    return done


def _prepare_store(
    connection: psycopg.Connection, declared: Mart, columns: Sequence[Column]
) -> None:
    """Make the store table, or add the columns that are new. Nothing is ever dropped."""
    mart = declared.mart
    stored = _columns(connection, "marts_store", mart)
    if not stored:
        connection.execute(
            sql.SQL(
                "create table marts_store.{} (slice_id integer not null, {})"
            ).format(
                sql.Identifier(mart),
                sql.SQL(", ").join(map(_definition, columns)),
            )
        )
        # readers look for the slices that are shown, and for days of their own
        for column in filter(None, ("slice_id", declared.slice_column)):
            connection.execute(
                sql.SQL("create index on marts_store.{} ({})").format(
                    sql.Identifier(mart), sql.Identifier(column)
                )
            )
        return
    known = dict(stored)
    for name, kind in columns:
        if name not in known:
            connection.execute(
                sql.SQL("alter table marts_store.{} add column {}").format(
                    sql.Identifier(mart), _definition((name, kind))
                )
            )
        elif known[name] != kind:
            raise PipelineError(
                f"mart {mart}: column {name} is shown as {known[name]} and would become "
                f"{kind}; reports rely on it, so give the new one another name"
            )
    for name in known.keys() - dict(columns).keys() - {"slice_id"}:
        warn(f"mart {mart}: column {name} is built no longer and is shown as NULL")


def _definition(column: Column) -> sql.Composable:
    return sql.SQL("{} {}").format(sql.Identifier(column[0]), sql.SQL(column[1]))


def _publish_slices(
    connection: psycopg.Connection, build: Build, mart: Mart, columns: Sequence[Column]
) -> tuple[str, int, int, int]:
    """Copy what is not stored yet, close what is shown no longer, open what is."""
    name = sql.Identifier(mart.mart)
    listed = sql.SQL(", ").join(sql.Identifier(column) for column, _ in columns)
    connection.execute("drop table if exists next_slices")
    connection.execute(
        sql.SQL(
            """
            create temporary table next_slices on commit drop as
            select
                {slice_key} as slice_key,
                count(*) as rows_count,
                -- sums do not depend on the order of rows; two seeds make 128 bits
                sum(hashtextextended(row({listed})::text, 0))
                || ':' || sum(hashtextextended(row({listed})::text, 1))
                || ':' || count(*) || ':' || {shape} as fingerprint
            from marts_next.{name}
            group by 1
            """
        ).format(
            slice_key=mart.slice_key,
            listed=listed,
            name=name,
            shape=sql.Literal(",".join(column for column, _ in columns)),
        )
    )
    total = int(_one(connection, "select count(*) from next_slices") or 0)
    # contents that some kept build has had already are shown again, not stored again
    new = connection.execute(
        """
        insert into marts_store.slices
        (mart, slice_key, fingerprint, rows_count, build_id)
        select %(mart)s, slice_key, fingerprint, rows_count, %(build_id)s
        from next_slices
        on conflict (mart, slice_key, fingerprint) do nothing
        returning slice_id, slice_key
        """,
        {"mart": mart.mart, "build_id": build.build_id},
    ).fetchall()
    written = 0
    if new:
        written = connection.execute(
            sql.SQL(
                """
                insert into marts_store.{name} (slice_id, {listed})
                select new_slices.slice_id, {qualified}
                from marts_next.{name} as next
                inner join
                    unnest(%s::integer[], %s::text[])
                    as new_slices (slice_id, slice_key)
                    on {slice_key} = new_slices.slice_key
                """
            ).format(
                name=name,
                listed=listed,
                qualified=sql.SQL(", ").join(
                    sql.Identifier("next", column) for column, _ in columns
                ),
                slice_key=mart.slice_key,
            ),
            ([row[0] for row in new], [row[1] for row in new]),
        ).rowcount
        connection.execute(sql.SQL("analyze marts_store.{}").format(name))
    changed = _move(connection, build, mart)
    return mart.mart, total, changed, written


def _move(connection: psycopg.Connection, build: Build, mart: Mart) -> int:
    """Close and open the slices that differ from the last build; note each change."""
    asked = {"mart": mart.mart, "build_id": build.build_id}
    connection.execute("drop table if exists moved_slices")
    connection.execute(
        """
        create temporary table moved_slices on commit drop as
        with wanted as (
            select slices.slice_key, slices.slice_id, slices.rows_count
            from next_slices
            inner join marts_store.slices using (slice_key, fingerprint)
            where slices.mart = %(mart)s
        ),

        still as (
            select
                shown.slice_key, shown.slice_id, shown.build_from, slices.rows_count
            from marts_store.shown
            inner join marts_store.slices using (slice_id)
            where shown.mart = %(mart)s and shown.build_until is null
        )

        select
            slice_key,
            still.build_from as build_before,
            still.rows_count as rows_before,
            wanted.slice_id,
            wanted.rows_count as rows_after
        from wanted
        full outer join still using (slice_key)
        where wanted.slice_id is distinct from still.slice_id
        """,
        asked,
    )
    connection.execute(
        """
        update marts_store.shown set build_until = %(build_id)s
        from moved_slices
        where
            shown.mart = %(mart)s
            and shown.slice_key = moved_slices.slice_key
            and shown.build_until is null
        """,
        asked,
    )
    connection.execute(
        """
        insert into marts_store.shown (mart, slice_key, slice_id, build_from)
        select %(mart)s, slice_key, slice_id, %(build_id)s
        from moved_slices
        where slice_id is not null
        """,
        asked,
    )
    return connection.execute(
        """
        with loaded as (
            select
                loads.source || '.' || loads.stream as stream,
                load_changes.record_date
            from ops.build_loads
            inner join ops.loads using (load_id)
            inner join ops.load_changes using (load_id)
            where
                build_loads.build_id = %(build_id)s
                and load_changes.rows_new + load_changes.rows_changed
                + load_changes.rows_gone > 0
        )

        insert into ops.changes
        (build_id, mart, slice_key, build_before, rows_before, rows_after, cause)
        select
            %(build_id)s, %(mart)s, slice_key, build_before, rows_before, rows_after,
            coalesce(
                'loads of ' || (
                    select string_agg(distinct loaded.stream, ', ')
                    from loaded
                    where starts_with(loaded.record_date::text, slice_key)
                ),
                'loads of ' || (
                    select string_agg(distinct loaded.stream, ', ') from loaded
                ),
                'models, seeds or settings'
            )
        from moved_slices
        """,
        asked,
    ).rowcount


def _refuse_empty(
    connection: psycopg.Connection, marts: Sequence[Mart], build: Build
) -> None:
    """A mart that had rows and has none any more is a mistake, not news."""
    for mart in marts:
        row = connection.execute(
            """
            select
                bool_or(build_from <= %(build_id)s and build_until is null),
                bool_or(build_until = %(build_id)s)
            from marts_store.shown where mart = %(mart)s
            """,
            {"mart": mart.mart, "build_id": build.build_id},
        ).fetchone()
        if row is not None and row[1] and not row[0]:
            raise PipelineError(
                f"mart {mart.mart} has no rows in build {build.build_id} and had some "
                "before: it is not published"
            )


def _store_view(connection: psycopg.Connection, mart: str) -> sql.Composed:
    """The view over store and pointer, its columns in the store's order."""
    columns = [
        name
        for name, _ in _columns(connection, "marts_store", mart)
        if name != "slice_id"
    ]
    return sql.SQL(
        """
        select {columns}
        from marts_store.{mart}
        where slice_id in (
            select shown.slice_id
            from marts_store.shown
            where
                shown.mart = {name}
                and shown.build_from
                <= (select build_id from marts_store.current_build)
                and coalesce(
                    shown.build_until
                    > (select build_id from marts_store.current_build), true
                )
        )
        """
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        mart=sql.Identifier(mart),
        name=sql.Literal(mart),
    )


def _derived_view(
    connection: psycopg.Connection, mart: str, marts: Sequence[str]
) -> sql.Composable:
    """A view of marts_next, rewritten to read marts.

    It may read declared marts and the pipeline's own books (ops), nothing else:
    whatever it read besides could change under a published build.
    """
    read = connection.execute(
        """
        select distinct namespace.nspname, relation.relname
        from pg_rewrite
        inner join pg_depend
            on
                pg_depend.objid = pg_rewrite.oid
                and pg_depend.classid = 'pg_rewrite'::regclass
                and pg_depend.refclassid = 'pg_class'::regclass
        inner join pg_class as relation on relation.oid = pg_depend.refobjid
        inner join pg_namespace as namespace on namespace.oid = relation.relnamespace
        where
            pg_rewrite.ev_class
            = to_regclass(format('marts_next.%%I', %(mart)s::text))
            and relation.oid <> pg_rewrite.ev_class
        """,
        {"mart": mart},
    ).fetchall()
    for schema, name in read:
        if schema != "ops" and not (schema == "marts_next" and name in marts):
            raise PipelineError(
                f"view mart {mart} reads {schema}.{name}: it may read declared marts "
                "only; make that a mart, or a column of one"
            )
    connection.execute("set local search_path = ''")
    text = _one(
        connection,
        "select pg_catalog.pg_get_viewdef("
        "pg_catalog.format('marts_next.%%I', %(mart)s::text)::pg_catalog.regclass)",
        {"mart": mart},
    )
    connection.execute("set local search_path = public")
    # string literals are left alone
    parts = re.split(r"('(?:[^']|'')*')", str(text).rstrip().rstrip(";"))
    parts[::2] = [re.sub(r"\bmarts_next\.", "marts.", part) for part in parts[::2]]
    inner = sql.SQL("".join(parts).replace("{", "{{").replace("}", "}}")).format()
    built = _columns(connection, "marts_next", mart)
    shown = _columns(connection, "marts", mart)
    names = dict(built)
    for name, kind in shown:
        if names.get(name, kind) != kind:
            raise PipelineError(
                f"view mart {mart}: column {name} is shown as {kind} and would become "
                f"{names[name]}; reports rely on it, so give the new one another name"
            )
        if name not in names:
            warn(f"view mart {mart}: column {name} is built no longer, shown as NULL")
    if shown == built[: len(shown)]:
        return inner
    # the columns readers know stay where they are, new ones come after them
    listed = [
        sql.Identifier(name)
        if name in names
        else sql.SQL("null::{} as {}").format(sql.SQL(kind), sql.Identifier(name))
        for name, kind in shown
    ]
    listed += [sql.Identifier(name) for name, _ in built if name not in dict(shown)]
    return sql.SQL("select {} from ({}) as built").format(
        sql.SQL(", ").join(listed), inner
    )


def _put_view(
    connection: psycopg.Connection, mart: str, definition: sql.Composable
) -> None:
    """Create or replace marts.<mart>, only when its definition is another."""
    text = definition.as_string(connection)
    same = _one(
        connection,
        """
        select true from marts_store.definitions
        where mart = %s and definition = %s
        and to_regclass(format('marts.%%I', mart)) is not null
        """,
        (mart, text),
    )
    if same:
        return
    connection.execute(
        sql.SQL("create or replace view marts.{} as {}").format(
            sql.Identifier(mart), definition
        )
    )
    connection.execute(
        """
        insert into marts_store.definitions (mart, definition) values (%s, %s)
        on conflict (mart) do update set definition = excluded.definition
        """,
        (mart, text),
    )


def _columns(connection: psycopg.Connection, schema: str, name: str) -> list[Column]:
    """Columns of a relation in order; empty when there is no such relation."""
    return [
        (str(column), str(kind))
        for column, kind in connection.execute(
            """
            select
                pg_attribute.attname,
                format_type(pg_attribute.atttypid, pg_attribute.atttypmod)
            from pg_attribute
            where
                pg_attribute.attrelid
                = to_regclass(format('%%I.%%I', %s::text, %s::text))
                and pg_attribute.attnum > 0
                and not pg_attribute.attisdropped
            order by pg_attribute.attnum
            """,
            (schema, name),
        )
    ]


def _kept_builds(connection: psycopg.Connection) -> list[int]:
    """Builds whose figures are kept: the last ones, and the last of each month."""
    return [
        int(row[0])
        for row in connection.execute(
            """
            with published as (
                select
                    build_id,
                    row_number() over (order by build_id desc) as age,
                    row_number() over (
                        partition by date_trunc('month', as_of) order by build_id desc
                    ) as age_in_month
                from ops.builds
                where published_at is not null
            )

            select build_id from published
            where age <= %s or age_in_month = 1
            order by build_id
            """,
            (KEPT_BUILDS,),
        )
    ]


def _forget_old_builds(connection: psycopg.Connection) -> None:
    """Delete contents that no kept build shows; readers notice nothing."""
    with connection.transaction():
        kept = _kept_builds(connection)
        current = _one(connection, "select build_id from marts_store.current_build")
        connection.execute(
            """
            delete from marts_store.shown
            where
                build_until is not null
                and not exists (
                    select from unnest(%s::bigint[]) as kept (build_id)
                    where
                        kept.build_id >= shown.build_from
                        and kept.build_id < shown.build_until
                )
            """,
            (sorted({*kept, current}),),
        )
        gone = connection.execute(
            """
            delete from marts_store.slices
            where not exists (
                select from marts_store.shown where shown.slice_id = slices.slice_id
            )
            returning mart, slice_id
            """
        ).fetchall()
        for mart in sorted({row[0] for row in gone}):
            connection.execute(
                sql.SQL("delete from marts_store.{} where slice_id = any(%s)").format(
                    sql.Identifier(mart)
                ),
                ([row[1] for row in gone if row[0] == mart],),
            )


def _one(connection: psycopg.Connection, query: str, values: Any = None) -> Any:
    """The first column of the first row, None without rows."""
    row = connection.execute(query.encode(), values).fetchone()
    return None if row is None else row[0]
