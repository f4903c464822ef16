"""Which days a run reads, for every way it can start."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.windows import Days, check_history, first_gap, run_days, stream_days

NOW = datetime(2026, 6, 2, 3, 0, tzinfo=UTC)
MOSCOW = "Europe/Moscow"


def days(
    params: dict[str, object] | None = None,
    interval: tuple[datetime | None, datetime | None] = (None, None),
    *,
    zone: str = MOSCOW,
    now: datetime = NOW,
    manual: bool = False,
) -> Days:
    return run_days(
        params or {}, *interval, reporting_zone=zone, now=now, manual=manual
    )


def at_four(day: date, zone: str) -> datetime:
    local = datetime(day.year, day.month, day.day, 4, tzinfo=ZoneInfo(zone))
    return local.astimezone(UTC)


def test_a_scheduled_run_reads_the_day_before() -> None:
    interval = at_four(date(2026, 6, 1), MOSCOW), at_four(date(2026, 6, 2), MOSCOW)
    assert days(interval=interval) == Days(date(2026, 6, 1), date(2026, 6, 2))


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", date(2026, 3, 29)),  # 23 hours
        ("Europe/Berlin", date(2025, 10, 26)),  # 25 hours
        (MOSCOW, date(2014, 10, 26)),  # 25 hours, the last change there
        ("Asia/Kolkata", date(2026, 3, 29)),
        ("Asia/Vladivostok", date(2026, 3, 29)),
    ],
)
def test_a_day_of_23_or_25_hours_is_one_day(zone: str, day: date) -> None:
    tomorrow = day + timedelta(days=1)
    interval = at_four(day, zone), at_four(tomorrow, zone)
    assert days(interval=interval, zone=zone, now=interval[1]) == Days(day, tomorrow)


def test_params_win_over_the_interval() -> None:
    interval = at_four(date(2026, 6, 1), MOSCOW), at_four(date(2026, 6, 2), MOSCOW)
    params = {"date_from": "2026-05-01", "date_to": "2026-05-03"}
    assert days(params, interval) == Days(date(2026, 5, 1), date(2026, 5, 3))


@pytest.mark.parametrize(
    ("params", "manual", "text"),
    [
        ({"date_from": "2026-05-01"}, False, "param date_to is missing"),
        ({"date_to": "2026-05-01"}, True, "param date_from is missing"),
        ({"date_from": "1 May", "date_to": "2026-05-01"}, True, "date_from is '1 May'"),
        (
            {"date_from": "2026-05-01", "date_to": "2026-05-01"}, True,
            "date_to 2026-05-01 must be later",
        ),
        ({}, True, "a run started by hand says which days"),
        ({}, False, "no data interval"),
        (
            {"date_from": "2026-06-01", "date_to": "2026-06-04"}, True,
            "reaches into the future: today is 2026-06-02",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(
    params: dict[str, object], manual: bool, text: str
) -> None:
    with pytest.raises(PipelineError, match=text):
        days(params, manual=manual)


def test_an_empty_interval_is_refused() -> None:
    moment = at_four(date(2026, 6, 1), MOSCOW)
    with pytest.raises(PipelineError, match="holds no whole day"):
        days(interval=(moment, moment))


def test_today_may_be_read_but_not_tomorrow() -> None:
    params = {"date_from": "2026-06-02", "date_to": "2026-06-03"}
    assert len(days(params)) == 1


def test_days_before_the_vendors_history_are_refused() -> None:
    asked = Days(date(2023, 6, 1), date(2023, 6, 2))
    with pytest.raises(PipelineError, match="date_from can be 2023-06-03 at the ear"):
        check_history(
            asked, what="calltouch/main calls", history_days=1095, time_zone=MOSCOW,
            now=NOW,
        )  # fmt: skip


def stream(
    asked: Days, loaded: list[tuple[date, date]], restate: int = 0, zone: str = MOSCOW
) -> Days | None:
    return stream_days(
        asked, loaded, restate_days=restate, history_days=100, time_zone=zone, now=NOW
    )


def test_a_stream_reads_the_restated_days_along() -> None:
    asked = Days(date(2026, 6, 1), date(2026, 6, 2))
    assert stream(asked, [], restate=30) == Days(date(2026, 5, 2), date(2026, 6, 2))


def test_a_stream_takes_up_the_days_that_an_outage_left_out() -> None:
    asked = Days(date(2026, 6, 1), date(2026, 6, 2))
    loaded = [(date(2026, 5, 1), date(2026, 5, 20))]
    assert stream(asked, loaded, restate=3) == Days(date(2026, 5, 17), date(2026, 6, 2))


def test_a_stream_reads_no_further_back_than_the_history() -> None:
    asked = Days(date(2026, 6, 1), date(2026, 6, 2))
    assert stream(asked, [], restate=400) == Days(date(2026, 2, 22), date(2026, 6, 2))


def test_an_account_whose_day_has_not_begun_waits() -> None:
    # 03:00 UTC: still 1 June in New York
    asked = Days(date(2026, 6, 2), date(2026, 6, 3))
    assert stream(asked, [], zone="America/New_York") is None


span = st.tuples(st.integers(0, 60), st.integers(1, 20))


@given(st.lists(span, min_size=1, max_size=8))
def test_the_first_gap_is_the_first_day_without_a_load(
    spans: list[tuple[int, int]],
) -> None:
    start = date(2026, 1, 1)
    loaded = [
        (start + timedelta(days=offset), start + timedelta(days=offset + length))
        for offset, length in spans
    ]
    covered = {
        day + timedelta(days=n) for day, end in loaded for n in range((end - day).days)
    }
    expected = min(covered)
    while expected in covered:
        expected += timedelta(days=1)
    assert first_gap(loaded) == expected
