"""Which days a run reads: one answer for every way a run can start.

A run is a half-open pair of civil days of the reporting zone, `[date_from, date_to)`.
It comes from the run's params, else from the data interval of a timetable that has
one; it is never guessed from the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connectors.base.sources import Account
    from connectors.base.stream import Stream

ASK = (
    "start it with the params date_from and date_to, for example "
    '{"date_from": "2026-05-01", "date_to": "2026-05-08"} (date_to is exclusive)'
)


@dataclass(frozen=True)
class Days:
    """Half-open run of civil days: `date_from` is in, `date_to` is not."""

    date_from: date
    date_to: date

    def __post_init__(self) -> None:
        if self.date_from >= self.date_to:
            raise PipelineError(
                f"date_to {self.date_to} must be later than date_from "
                f"{self.date_from}: date_to is exclusive"
            )

    def __str__(self) -> str:
        return f"[{self.date_from}, {self.date_to})"

    def __len__(self) -> int:
        return (self.date_to - self.date_from).days


def run_days(
    params: Mapping[str, Any],
    interval_start: datetime | None,
    interval_end: datetime | None,
    *,
    reporting_zone: str,
    now: datetime,
    manual: bool,
) -> Days:
    """The days of a run; `now` is an aware moment, the interval aware or absent.

    Raises PipelineError for half a pair of params, a date that is no date, an empty
    range, a day in the future, and a run that says no days at all.
    """
    given = {name: params.get(name) for name in ("date_from", "date_to")}
    if all(given.values()):
        days = Days(*(_day(name, value) for name, value in given.items()))
    elif any(given.values()):
        missing = next(name for name, value in given.items() if not value)
        raise PipelineError(f"param {missing} is missing: give both, or neither; {ASK}")
    elif manual:
        raise PipelineError(f"a run started by hand says which days it reads: {ASK}")
    elif interval_start is None or interval_end is None:
        raise PipelineError(f"this run has no data interval and no days: {ASK}")
    else:
        zone = ZoneInfo(reporting_zone)
        first = interval_start.astimezone(zone).date()
        last = interval_end.astimezone(zone).date()
        if first >= last:
            raise PipelineError(
                f"the data interval {interval_start} to {interval_end} holds no whole "
                f"day of {reporting_zone}: {ASK}"
            )
        days = Days(first, last)
    today = now.astimezone(ZoneInfo(reporting_zone)).date()
    if days.date_to > today + timedelta(days=1):
        raise PipelineError(
            f"{days} reaches into the future: today is {today} in {reporting_zone}, "
            f"so date_to can be {today + timedelta(days=1)} at most"
        )
    return days


def _day(name: str, value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise PipelineError(
            f"param {name} is {str(value)!r}: write a date as YYYY-MM-DD"
        ) from None


def check_history(
    days: Days, *, what: str, history_days: int, time_zone: str, now: datetime
) -> None:
    """Raise PipelineError when the vendor no longer answers for `date_from`.

    `what` names the stream ("yandex_direct/main keyword_performance").
    """
    oldest = oldest_day(history_days, time_zone, now)
    if days.date_from < oldest:
        raise PipelineError(
            f"{days} starts before the history of {what}: the vendor answers for "
            f"{history_days} days back, so date_from can be {oldest} at the earliest"
        )


def history_of(stream: Stream, account: Account) -> int:
    """Days back that a stream is read: what the vendor answers for, or fewer.

    `history_days` of an account narrows that, and never widens it.
    """
    return min(stream.history_days, account.history_days or stream.history_days)


def oldest_day(history_days: int, time_zone: str, now: datetime) -> date:
    """The first day of a history of so many days."""
    return _today(time_zone, now) - timedelta(days=history_days)


def stream_days(
    days: Days,
    loaded: Iterable[tuple[date, date]],
    *,
    restate_days: int,
    history_days: int,
    time_zone: str,
    now: datetime,
) -> Days | None:
    """What a window stream reads in this run, in civil days of its account.

    From min(date_from, first day without an ok load) - restate_days to date_to, but
    not before the vendor's history and not after the account's today. `loaded` are
    the half-open ranges of its ok loads. None when the account's day has not begun, or
    all days lie before the history.
    """
    date_to = min(days.date_to, _today(time_zone, now) + timedelta(days=1))
    start = days.date_from
    gap = first_gap(loaded)
    if gap is not None:
        start = min(start, gap)
    start = max(
        start - timedelta(days=restate_days), oldest_day(history_days, time_zone, now)
    )
    return Days(start, date_to) if start < date_to else None


def first_gap(loaded: Iterable[tuple[date, date]]) -> date | None:
    """The first day after the earliest load that no load covers; None without any."""
    covered: date | None = None
    for date_from, date_to in sorted(loaded):
        if covered is not None and date_from > covered:
            break
        covered = date_to if covered is None else max(covered, date_to)
    return covered


def utc_now() -> datetime:
    """This moment, aware."""
    return datetime.now(UTC)


def _today(time_zone: str, now: datetime) -> date:
    return now.astimezone(ZoneInfo(time_zone)).date()
