"""
### From the vendors' APIs to the published marts

Every day at 04:00 (reporting zone): reads what each source says about yesterday and
restates about the days before, finds out who is who, credits sales to the ads that
led to them, and shows the new marts only when the gate has passed them.

### Rerunning

Safe at any time, any number of times, from any task: a load replaces what it read,
a build replaces `marts_next`, a publish copies only what differs, so the same days
again change no row. Other days: trigger with `date_from` and `date_to` (exclusive).
Many days: `airflow backfill create --dag-id marketing --from-date … --to-date …`.

### When it fails

Dashboards keep showing the last published build. The last line of the red task's log
says what to do; `docs/runbook.md` has each case. Then clear the red task.
`extract`: a vendor or its token. `check_*`: data that should not be shown; look, then
mend it or `python -m pipeline accept`. `build_*`: the failing model is named.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import (
    Asset,
    Param,
    chain,
    dag,
    get_current_context,
    task,
)

from pipeline import tasks

ONCE = {"retries": 0}  # a red gate does not turn green by waiting


def day(what: str) -> Param:
    """A civil day of the reporting zone, asked for when the DAG is triggered by hand."""
    description = f"{what}, YYYY-MM-DD"
    return Param(None, type=["null", "string"], format="date", description=description)


@dag(
    schedule=tasks.schedule("0 4 * * *"),
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - the timetable has the zone
    catchup=False,
    max_active_runs=1,
    params={"date_from": day("first day"), "date_to": day("day after the last")},
    default_args=tasks.DEFAULT_ARGS,
    tags=["impact:tier-1", "marketing"],
    doc_md=__doc__,
)
def marketing() -> None:
    @task
    def plan() -> list[str]:
        return tasks.plan(get_current_context())

    @task(map_index_template="{{ task.op_kwargs['account'] }}")
    def extract(account: str) -> dict[str, Any]:
        return tasks.extract(get_current_context(), account)

    @task
    def step(name: str) -> None:
        tasks.step(get_current_context(), name)

    def one(name: str, **options: Any) -> Any:
        return step.override(task_id=name, **options)(name)

    chain(
        extract.expand(account=plan()),
        one("check_raw", **ONCE),
        one("build_identifiers"),
        one("identify"),
        one("build_touchpoints"),
        one("fit_models"),
        one("build_credits"),
        one("estimate_intervals"),
        one("build_marts"),
        one("check_marts", **ONCE),
        one("publish", outlets=[Asset("throughline://marts")]),
    )


marketing()
