"""The plan of a run: which days, which accounts; and the whole line in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.base import registry
from connectors.base.sources import load_sources
from pipeline import builds, windows
from pipeline.errors import PipelineError
from pipeline.windows import Days

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from connectors.base.sources import Account

STEPS = (
    "extract",
    "check_raw",
    "build_identifiers",
    "identify",
    "build_touchpoints",
    "fit_models",
    "build_credits",
    "estimate_intervals",
    "build_marts",
    "check_marts",
    "publish",
)


def plan(
    run_id: str,
    params: Mapping[str, Any],
    interval_start: datetime | None,
    interval_end: datetime | None,
    *,
    manual: bool,
) -> list[str]:
    """Settle a run's days, note it in ops.runs, and return its accounts by name.

    Names are "source/account". Raises PipelineError when its days make no sense or lie
    before a vendor's history, ConfigError when sources.yml or a connection is wrong:
    all before any request.
    """
    sources = load_sources()
    now = windows.utc_now()
    days = windows.run_days(
        params,
        interval_start,
        interval_end,
        reporting_zone=sources.reporting_time_zone,
        now=now,
        manual=manual,
    )
    for account in sources.sources:
        check_account(account, days, now)
    builds.begin_run(run_id, days)
    return [str(account) for account in sources.sources]


def check_account(account: Account, days: Days, now: datetime) -> None:
    """Refuse days before the history, and a connection with a missing field."""
    connector = registry.build(account)
    window_streams = [s for s in connector.streams_of(account) if s.kind == "window"]
    if not window_streams:
        return
    # one that the vendor answers for a shorter time is read as far back as it goes
    longest = max(window_streams, key=lambda stream: stream.history_days)
    windows.check_history(
        days,
        what=f"{account} {longest.name}",
        history_days=windows.history_of(longest, account),
        time_zone=account.time_zone,
        now=now,
    )


def run_step(step: str, run_id: str) -> Any:
    """One step of the line for a planned run; `extract` reads all its accounts."""
    from pipeline import checks, dbt_station, identify, publish
    from pipeline.attribution.estimate import estimate_intervals
    from pipeline.attribution.fit import fit_models
    from pipeline.extract import extract_account

    days = days_of(run_id)
    if step == "extract":
        return [
            extract_account(str(account), days, run_id)
            for account in load_sources().sources
        ]
    if step in dbt_station.STATIONS:
        return dbt_station.build_station(step, run_id)
    steps: dict[str, Callable[[], Any]] = {
        "check_raw": lambda: checks.check_raw(run_id, days),
        "identify": identify.identify,
        "fit_models": lambda: fit_models(run_id),
        "estimate_intervals": lambda: estimate_intervals(run_id),
        "check_marts": lambda: checks.check_marts(run_id, days),
        "publish": lambda: publish.publish(run_id),
    }
    if step not in steps:
        raise PipelineError(f"no step {step!r}, choose one of: {', '.join(STEPS)}")
    return steps[step]()


def days_of(run_id: str) -> Days:
    """The days a run was planned for. Raises PipelineError when it is unknown."""
    from pipeline.warehouse import connect

    with connect("transformer") as connection:
        row = connection.execute(
            "select date_from, date_to from ops.runs where run_id = %s", (run_id,)
        ).fetchone()
    if row is None:
        raise PipelineError(f"there is no run {run_id!r}: look into ops.runs")
    return Days(*row)
