"""Windows are half-open civil days; keys never run into each other."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.base.errors import ConfigError, ParseError
from connectors.base.stream import Stream, Window, outline

KEYED = Stream("s", "window", ("a", "b"), (), date_field="day")
ZONES = ["Europe/Moscow", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "UTC"]
days = st.dates(date(2015, 1, 1), date(2030, 1, 1))


@given(days, st.integers(1, 60), st.integers(1, 40), st.sampled_from(ZONES))
def test_chunks_are_the_same_days(start, length, size, zone):
    window = Window(start, start + timedelta(days=length), zone)
    chunks = list(window.chunks(size))
    assert [day for chunk in chunks for day in chunk.days] == list(window.days)
    assert all(len(list(chunk.days)) <= size for chunk in chunks)
    assert [c.end_at for c in chunks[:-1]] == [c.start_at for c in chunks[1:]]
    assert window.last_day == list(window.days)[-1]


@given(days, st.sampled_from(ZONES), st.integers(0, 86_399))
def test_a_moment_is_in_exactly_the_window_of_its_civil_day(day, zone, second):
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
        seconds=second
    )
    civil = moment.astimezone(ZoneInfo(zone)).date()
    for shift in (-1, 0, 1):
        start = civil + timedelta(days=shift)
        window = Window(start, start + timedelta(days=1), zone)
        assert (window.start_at <= moment < window.end_at) == (shift == 0)


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)]
)
def test_days_of_23_and_25_hours(day, hours):
    window = Window(day, day + timedelta(days=1), "Europe/Berlin")
    assert window.end_at - window.start_at == timedelta(hours=hours)


def test_a_window_without_days_is_refused():
    with pytest.raises(ConfigError, match="no day in it"):
        Window(date(2026, 5, 2), date(2026, 5, 2), "UTC")


def test_a_record_of_another_day_is_refused():
    window = Window(date(2026, 5, 1), date(2026, 5, 2), "Europe/Moscow")
    inside = int(window.start_at.timestamp())
    window.refuse_others([inside, inside + 86_399, None, "x"], "calls")
    for outside in (inside - 1, inside + 86_400):
        with pytest.raises(ParseError, match="set time_zone"):
            window.refuse_others([outside], "calls")


parts = st.text(min_size=1, alphabet=st.sampled_from('ab|\\"'))


@given(st.tuples(parts, parts), st.tuples(parts, parts))
@example(("a\\", "b|c"), ("a|b\\", "c"))
def test_different_keys_stay_different(left, right):
    keys = [KEYED.record_key({"a": x, "b": y}) for x, y in (left, right)]
    assert (keys[0] == keys[1]) == (left == right)


def test_a_record_without_its_key_is_refused():
    assert KEYED.record_key({"a": 1, "b": 0}) == "1|0"
    with pytest.raises(KeyError):
        KEYED.record_key({"a": 1})
    for nothing in (None, "", [], {}):
        with pytest.raises(ValueError, match="key field b"):
            KEYED.record_key({"a": 1, "b": nothing})


def test_the_day_of_a_record():
    assert KEYED.record_date({"day": "2026-05-01T23:00:00+03:00"}, "UTC") == date(
        2026, 5, 1
    )
    with pytest.raises(ValueError):
        KEYED.record_date({"day": "yesterday"}, "UTC")


def test_an_outline_of_a_wrong_answer_names_nobody():
    person = {"manager": "Иван Образцов", "callerNumber": "+79000000001"}
    assert outline([person, person]) == "a list of 2"
    assert "Образцов" not in outline({"page": 1, "calls": [person], "of": person})
    told = outline({"error": "no such site", "calls": [person], "by": "i@example.org"})
    assert told == '\'{"error":"no such site","calls":"(list of 1)","by":"***"}\''
