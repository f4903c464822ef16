"""A build: the state of marts_next that one run makes from a fixed set of loads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.log import say
from pipeline.warehouse import connect

if TYPE_CHECKING:
    import psycopg

    from pipeline.windows import Days


@dataclass(frozen=True)
class Build:
    """One row of ops.builds."""

    build_id: int
    run_id: str
    as_of: date
    state: str


def begin_run(run_id: str, days: Days) -> None:
    """Note that a run works on these days; a run that is started again begins anew."""
    with connect("loader") as connection:
        connection.execute(
            """
            insert into ops.runs (run_id, date_from, date_to)
            values (%s, %s, %s)
            on conflict (run_id) do update set
                date_from = excluded.date_from, date_to = excluded.date_to,
                started_at = clock_timestamp(), finished_at = null,
                state = 'running', note = null
            """,
            (run_id, days.date_from, days.date_to),
        )


def end_run(run_id: str, state: str, note: str | None = None) -> None:
    """Note how a run ended: 'published' or 'failed'."""
    with connect("loader") as connection:
        connection.execute(
            """
            update ops.runs
            set state = %s, note = %s, finished_at = clock_timestamp()
            where run_id = %s
            """,
            (state, note, run_id),
        )


def begin_build(run_id: str) -> Build:
    """The open build of this run, made if there is none, with its change set.

    The change set is every ok load that no published build has shown, except those
    of accounts that this run holds back. Calling it again only adds loads that have
    come since. Raises PipelineError when nothing was ever loaded.
    """
    with connect("transformer") as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('ops.builds'))")
        as_of = _as_of(connection)
        row = connection.execute(
            """
            insert into ops.builds (run_id, as_of) values (%s, %s)
            on conflict (run_id) where state = 'building'
            do update set as_of = excluded.as_of
            returning build_id, run_id, as_of, state
            """,
            (run_id, as_of),
        ).fetchone()
        assert row is not None
        build = Build(*row)
        added = connection.execute(
            """
            insert into ops.build_loads (build_id, load_id)
            select %(build_id)s, loads.load_id
            from ops.loads
            where
                loads.state in ('ok', 'ok_empty')
                and not exists (
                    select from ops.published_loads
                    where published_loads.load_id = loads.load_id
                )
                and not exists (
                    select from ops.held_back
                    where
                        held_back.run_id = %(run_id)s
                        and held_back.source = loads.source
                        and held_back.account_id = loads.account_id
                )
            on conflict do nothing
            """,
            {"build_id": build.build_id, "run_id": run_id},
        ).rowcount
    say(
        f"build {build.build_id} of run {run_id}: as of {build.as_of}, "
        f"{added} loads added to its change set"
    )
    return build


def build_of(run_id: str) -> Build:
    """The latest build of this run. Raises PipelineError when it has none."""
    with connect("transformer") as connection:
        row = connection.execute(
            """
            select build_id, run_id, as_of, state from ops.builds
            where run_id = %s order by build_id desc limit 1
            """,
            (run_id,),
        ).fetchone()
    if row is None:
        raise PipelineError(
            f"run {run_id} has no build yet: run station build_identifiers first"
        )
    return Build(*row)


def _as_of(connection: psycopg.Connection) -> date:
    """The last day that any ok load covers."""
    row = connection.execute(
        """
        select max(date_to) from ops.loads where state in ('ok', 'ok_empty')
        """
    ).fetchone()
    if row is None or row[0] is None:
        raise PipelineError("nothing has been loaded yet: run the extract step first")
    last: date = row[0]
    return last - timedelta(days=1)
