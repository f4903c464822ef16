"""What every connector promises, tried on each stream against its own simulator.

A new connector is under test the moment it is in `simulator/sources.yml`: nothing to
add here.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import redaction, registry
from connectors.base.errors import (
    ConfigError,
    ConnectorError,
    FatalError,
    RetriableError,
)
from connectors.base.stream import Window
from simulator.face import Request, Response, json_response, text_response
from tests.connectors.bench import (
    CANARY,
    Case,
    accounts,
    cases,
    few,
    group,
    keyed,
    one_per_source,
    records_of,
    truth,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.connectors.bench import Ask, Bench, OnBench, Record, Rows

    Change = Callable[[Bench, Request, Ask], Response]

every_stream = pytest.mark.parametrize("case", cases(), ids=str)
window_streams = pytest.mark.parametrize("case", cases("window"), ids=str)
entity_streams = pytest.mark.parametrize("case", cases("entity"), ids=str)
every_source = pytest.mark.parametrize("case", one_per_source(), ids=lambda c: c.source)


def same(left: Iterable[Record], right: Iterable[Record], case: Case) -> bool:
    """Equal records, whatever their order."""
    return keyed(case.stream, left) == keyed(case.stream, right)


def test_every_registered_source_is_tried_here() -> None:
    assert {case.source for case in cases()} == set(registry.names())
    assert set(registry.names()) <= set(accounts()), "add it to simulator/sources.yml"


# -- what is declared --------------------------------------------------------------


@pytest.mark.parametrize("source", registry.names())
def test_streams_are_declared_without_contradiction(source: str) -> None:
    cls = registry.connector_class(source)
    streams = (
        cls.streams_of(accounts()[source]) if source in accounts() else cls.streams
    )
    names = [stream.name for stream in streams]
    assert names and len(set(names)) == len(names)
    for stream in streams:
        declared = [each.name for each in stream.fields]
        assert len(set(declared)) == len(declared), stream.name
        used = {*stream.key, *stream.required_fields}
        used |= {stream.amount_field, stream.date_field} - {None}
        assert stream.key and used <= set(declared), stream.name
        assert re.fullmatch("[a-z][a-z0-9_]*", stream.name)
        assert len(f"{source}__{stream.name}") <= 55
        assert (stream.kind == "window") == bool(stream.restate_days), stream.name
        if stream.kind == "window":
            assert stream.date_field or stream.date_of, stream.name
        for each in stream.fields:
            assert (each.field_class == "contact") == bool(each.contact_kind)
    hung = {name for pairs in cls.dependants.values() for name, _ in pairs}
    assert hung | set(cls.dependants) <= set(names)


@every_source
def test_a_stream_nobody_declared_is_named(case: Case) -> None:
    cls = registry.connector_class(case.source)
    with pytest.raises(ConfigError, match=rf"nosuch.*{case.stream.name}"):
        cls.stream("nosuch", accounts()[case.source])


# -- what a record is --------------------------------------------------------------


@every_stream
def test_keys_are_there_and_unique(case: Case) -> None:
    rows = truth(case).rows
    assert rows, "the small company has nothing for this stream"
    keyed(case.stream, rows)


@every_stream
def test_values_are_json_and_every_field_is_declared(case: Case) -> None:
    rows = truth(case).rows
    declared = {each.name for each in case.stream.fields}
    sent = {name for row in rows for name in row}
    assert sent <= declared, "these would be sealed"
    assert set(case.stream.required_fields) <= set.intersection(*map(set, rows))
    for row in rows:
        assert json.loads(json.dumps(row, allow_nan=False)) == row


@every_stream
def test_every_declared_field_is_seen_at_least_once(case: Case) -> None:
    rows = truth(case).rows
    sent = {name for row in rows for name in row}
    assert {each.name for each in case.stream.fields} - sent == set()


@every_stream
def test_long_ids_stay_whole(case: Case) -> None:
    for row in truth(case).rows:
        for name in case.stream.key:
            assert not isinstance(row[name], float)
        for name, value in row.items():
            assert not (isinstance(value, float) and abs(value) >= 2**53), name


# -- windows and cursors -----------------------------------------------------------


@every_stream
def test_reading_twice_gives_the_same_rows(case: Case, on_bench: OnBench) -> None:
    bench = on_bench(case.source)
    assert same(bench.read(case.stream), truth(case).rows, case)


@pytest.mark.parametrize("size", [1, 7])
@every_stream
def test_small_pages_hold_the_same_rows(
    case: Case, size: int, on_bench: OnBench
) -> None:
    bench = on_bench(case.source, page_size=size)
    if size == 1 and case.stream.kind == "window":
        # a request for each row: a day will do
        day = bench.window(1)
        alone = [
            row
            for row in truth(case).rows
            if bench.connector().record_date(case.stream, row) == day.date_from
        ]
        assert same(bench.read(case.stream, day), alone, case)
    elif size == 1 and len(truth(case).rows) > 150:
        bench = on_bench(case.source, page_size=len(truth(case).rows) // 50)
        assert same(bench.read(case.stream), truth(case).rows, case)
    else:
        assert same(bench.read(case.stream), truth(case).rows, case)


@window_streams
def test_a_window_is_the_sum_of_its_parts(case: Case, on_bench: OnBench) -> None:
    bench = on_bench(case.source)
    whole = bench.window(6)
    middle = whole.date_from + timedelta(days=2)
    left = bench.read(case.stream, Window(whole.date_from, middle, whole.time_zone))
    right = bench.read(case.stream, Window(middle, whole.date_to, whole.time_zone))
    assert left and right
    assert same(bench.read(case.stream, whole), left + right, case)


@window_streams
def test_rows_lie_inside_the_half_open_window(case: Case, on_bench: OnBench) -> None:
    bench = on_bench(case.source)
    connector, window = bench.connector(), bench.window(2)
    rows = bench.read(case.stream, window, connector=connector)
    days = {connector.record_date(case.stream, row) for row in rows}
    assert days == set(window.days)


@window_streams
def test_a_day_without_rows_is_an_empty_answer(case: Case, on_bench: OnBench) -> None:
    bench = on_bench(case.source)
    before = bench.world.start_date - timedelta(days=40)
    window = Window(before, before + timedelta(days=2), bench.account.time_zone)
    assert bench.read(case.stream, window) == []


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)], ids=str
)
@window_streams
def test_days_of_23_and_25_hours_have_each_row_once(
    case: Case, day: date, hours: int, on_bench: OnBench
) -> None:
    """An account in Berlin, around the days on which its clocks are set."""
    zone = "Europe/Berlin"
    company = group(day + timedelta(days=3))
    bench = on_bench(case.source, group=company, time_zone=zone)
    if bench.face.inner.zone_reason:
        pytest.skip(bench.face.inner.zone_reason)
    berlin = bench.account.model_copy(update={"time_zone": zone})
    start, end = company.start_date - timedelta(days=2), day + timedelta(days=3)
    edges = [start, *(day + timedelta(days=n) for n in (-1, 0, 1, 2)), end]
    rows: Rows = []
    for edge, following in itertools.pairwise(edges):
        window = Window(edge, following, zone)
        connector = bench.connector(berlin)
        found = bench.read(case.stream, window, connector=connector)
        days = {connector.record_date(case.stream, row) for row in found}
        assert days <= set(window.days)
        if edge == day:
            assert (window.end_at - window.start_at) == timedelta(hours=hours)
            assert found
        rows += found
    moscow = on_bench(case.source, group=company)
    whole = Window(start, end, moscow.account.time_zone)
    assert set(keyed(case.stream, rows)) == set(
        keyed(case.stream, moscow.read(case.stream, whole))
    )


@entity_streams
def test_from_its_cursor_a_read_brings_what_came_later(
    case: Case, on_bench: OnBench
) -> None:
    bench = on_bench(case.source)
    later = bench.world.now
    bench.server.set_now(later - timedelta(days=4))
    connector = bench.connector()
    before = bench.read(case.stream, connector=connector)
    cursor = connector.next_cursor(case.stream, None, datetime.now(UTC))
    assert cursor
    bench.server.set_now(later)
    fresh = bench.read(case.stream, cursor=cursor, connector=bench.connector())
    whole = keyed(case.stream, bench.read(case.stream))
    known = keyed(case.stream, before)
    assert 0 < len(fresh) < len(whole), "the cursor spares nothing"
    merged = known | keyed(case.stream, fresh)
    hangs = _hanging(case)
    assert {key: _without(merged[key], hangs) for key in whole} == {
        key: _without(row, hangs) for key, row in whole.items()
    }


def _hanging(case: Case) -> set[str]:
    """Fields that change only because something else went: the sweep's business."""
    return {
        name
        for dependants in registry.connector_class(case.source).dependants.values()
        for stream, name in dependants
        if stream == case.stream.name
    }


def _without(row: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


@every_source
def test_what_hung_on_something_gone_can_be_read_again(
    case: Case, on_bench: OnBench
) -> None:
    bench = on_bench(case.source)
    cls = registry.connector_class(case.source)
    if not cls.dependants:
        pytest.skip("nothing of this source hangs on something else")
    read_again = 0
    bench.server.set_now(bench.world.now - timedelta(days=13))
    for _ in range(13):
        names = {name for pairs in cls.dependants.values() for name, _ in pairs}
        old = {name: bench.read(cls.stream(name)) for name in names}
        keys = {name: _swept(bench, name) for name in cls.dependants}
        bench.server.set_now(bench.server.options.now + timedelta(days=1))
        for gone_from, pairs in cls.dependants.items():
            gone = keys[gone_from] - _swept(bench, gone_from)
            for name, field in pairs:
                stream = cls.stream(name)
                hung = [stream.record_key(r) for r in old[name] if r[field] in gone]
                again = records_of(bench.connector().read_again(stream, hung))
                now = keyed(stream, bench.read(stream))
                assert keyed(stream, again) == {k: now[k] for k in hung if k in now}
                read_again += len(again)
    assert read_again, "nothing was ever merged in this company"


def _swept(bench: Bench, name: str) -> set[str]:
    connector = bench.connector()
    return {key for keys in connector.keys(connector.stream(name)) for key in keys}


@entity_streams
def test_a_cursor_at_the_end_brings_little_and_loses_nothing(
    case: Case, on_bench: OnBench
) -> None:
    bench = on_bench(case.source)
    connector = bench.connector()
    rows = bench.read(case.stream, connector=connector)
    cursor = connector.next_cursor(case.stream, None, datetime.now(UTC))
    again = bench.connector()
    few = bench.read(case.stream, cursor=cursor, connector=again)
    assert len(few) <= max(len(rows) / 2, 50)
    following = again.next_cursor(case.stream, cursor, datetime.now(UTC))
    assert following == cursor, "the world stood still, so the cursor must"


@entity_streams
def test_keys_of_the_sweep_are_the_keys_of_the_rows(
    case: Case, on_bench: OnBench
) -> None:
    if case.stream.append_only:
        pytest.skip("append-only: nothing is ever deleted")
    bench = on_bench(case.source)
    found = [key for keys in bench.connector().keys(case.stream) for key in keys]
    assert len(found) == len(set(found))
    assert set(found) == set(keyed(case.stream, bench.read(case.stream)))


# -- when the vendor is unwell -------------------------------------------------------


def _retry_after(kind: str) -> dict[str, str]:
    soon = datetime.now(UTC) + timedelta(seconds=7)
    return {
        "seconds": {"Retry-After": "7"},
        "date": {"Retry-After": format_datetime(soon, usegmt=True)},
        "absent": {},
        "absurd": {"Retry-After": "86400"},
        "nonsense": {"Retry-After": "soon"},
    }[kind]


@pytest.mark.parametrize("kind", ["seconds", "date", "absent", "absurd", "nonsense"])
@every_source
def test_429_is_waited_out(case: Case, kind: str, on_bench: OnBench) -> None:
    bench = on_bench(case.source)
    busy = json_response({"message": "busy"}, 429, _retry_after(kind))
    bench.face.strike(0, lambda request, ask: busy)
    assert same(bench.read(case.stream), truth(case).rows, case)
    most = bench.connector().client.limits.retry_after_most
    waits = [pause for pause in bench.slept if pause >= 0.5]
    assert waits, "asked again at once"
    assert max(waits) <= most + 60
    if kind in ("seconds", "date"):
        assert max(waits) >= 5


@every_stream
def test_a_failing_server_is_asked_again(case: Case, on_bench: OnBench) -> None:
    bench = on_bench(case.source)
    for fault in (
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503, "retry_after": 3},
        {"kind": "reset"},
    ):
        bench.server.inject(**fault)
        assert same(bench.read(case.stream), truth(case).rows, case), fault
        assert bench.server.faults() == []


@every_source
def test_a_server_that_stays_down_fails_within_its_budget(
    case: Case, on_bench: OnBench
) -> None:
    bench = on_bench(case.source)
    bench.server.inject(kind="status", status=503, times=1000)
    with pytest.raises(RetriableError):
        bench.read(case.stream)
    limits = bench.connector().client.limits
    assert bench.requests <= limits.attempts
    assert sum(bench.slept) <= limits.wait_budget + limits.retry_after_most


@every_source
def test_a_wrong_token_is_one_request_and_a_clear_error(
    case: Case, on_bench: OnBench
) -> None:
    """Of whatever the connection holds, each secret in it is wrong."""
    bench = on_bench(case.source)
    wrong = "wrong-token-6c1e"
    extra = dict.fromkeys(bench.connection().extra, wrong)
    connector = bench.connector(password=wrong, extra=extra)
    with pytest.raises(FatalError) as caught:
        bench.read(case.stream, connector=connector)
    assert bench.requests == 1
    assert bench.account.conn_id in str(caught.value)
    assert registry.connector_class(case.source).if_refused in str(caught.value)
    assert wrong not in str(caught.value)
    with pytest.raises(FatalError):
        connector.check()
    assert bench.requests == 2


@every_source
def test_a_token_withdrawn_half_way_ends_the_read(
    case: Case, on_bench: OnBench
) -> None:
    """Neither it nor a renewed one is taken: one clear error and no further call."""
    refused = 0
    for number in few(_requests(case, on_bench), 6):
        bench = on_bench(case.source)
        bench.server.inject(kind="token", skip=number, times=1000)
        try:
            rows = bench.read(case.stream)
        except FatalError as error:
            refused += 1
            assert bench.account.conn_id in str(error)
            # two more, at most: to renew it, and to give back what was ordered
            assert bench.requests <= number + 2 + _renews(bench), "asked on"
        else:
            assert same(rows, truth(case).rows, case)
        bench.server.clear_faults()
        assert same(bench.read(case.stream), truth(case).rows, case)
    assert refused


@every_stream
def test_a_token_that_runs_out_is_renewed_once_and_no_page_is_lost(
    case: Case, on_bench: OnBench
) -> None:
    bench = on_bench(case.source, page_size=_page_size(case))
    if not _renews(bench):
        pytest.skip("the token of this source does not run out")
    bench.read(case.stream)
    total, issued = bench.requests, _issued(bench)
    assert issued == 1
    for number in few(total - 1, 6):
        bench = on_bench(case.source, page_size=_page_size(case))
        # the first request fetches the token
        bench.server.inject(kind="token", skip=number + 1)
        assert same(bench.read(case.stream), truth(case).rows, case)
        assert bench.server.faults() == [], "the fault never struck"
        assert _issued(bench) == 2
        assert bench.requests == total + 2, "one renewal, one request again"


@every_source
def test_two_connectors_share_one_token(case: Case, on_bench: OnBench) -> None:
    bench = on_bench(case.source)
    if not _renews(bench):
        pytest.skip("the token of this source does not run out")
    first, second = bench.connector(), bench.connector()
    for connector in (first, second, first):
        bench.read(case.stream, connector=connector)
    assert _issued(bench) == 1
    bench.face.inner.desk.expire()  # type: ignore[union-attr]
    for connector in (first, second, first):
        assert same(
            bench.read(case.stream, connector=connector), truth(case).rows, case
        )
    assert _issued(bench) == 2


def _renews(bench: Bench) -> bool:
    """Does this source fetch its access token?"""
    connector = registry.connector_class(bench.source)
    return connector.token_request(bench.account, bench.connection(), None) is not None


def _issued(bench: Bench) -> int:
    desk = bench.face.inner.desk
    assert desk is not None, "the simulator needs a TokenDesk"
    return desk.issued


def _requests(case: Case, on_bench: OnBench) -> int:
    bench = on_bench(case.source)
    bench.read(case.stream)
    return bench.requests


def _page_size(case: Case) -> int:
    """So small that there are about five pages."""
    return max(len(truth(case).rows) // 5, 1)


@pytest.mark.parametrize("framing", ["length", "chunked", "gzip"])
@every_stream
def test_a_cut_body_is_never_taken_for_a_whole_one(
    case: Case, framing: str, on_bench: OnBench
) -> None:
    for skip in few(truth(case).requests, 3):
        for keep in (0.0, 0.5, 0.99):
            bench = on_bench(case.source)
            cut = {"kind": "truncate", "framing": framing, "keep": keep}
            bench.server.inject(**cut, skip=skip)
            assert same(bench.read(case.stream), truth(case).rows, case)
            assert bench.server.faults() == [], "the fault never struck"
    bench = on_bench(case.source)
    bench.server.inject(**cut, times=1000)
    with pytest.raises(RetriableError):
        bench.read(case.stream)


def _struck(
    case: Case, on_bench: OnBench, change: Change, most: int = 6, *, on: bool = False
) -> int:
    """Let each answer in turn go wrong: every read gives the truth or fails.

    `on`: all answers after it, too. Pages are small here, so that there are several.
    Returns how many reads failed.
    """
    size = _page_size(case)
    bench = on_bench(case.source, page_size=size)
    bench.read(case.stream)
    total = bench.requests
    failed = 0
    for number in few(total, most):
        fresh = on_bench(case.source, page_size=size)
        strike = fresh.face.strike_from if on else fresh.face.strike
        strike(number, partial(change, fresh))
        try:
            rows = fresh.read(case.stream)
        except ConnectorError:
            failed += 1
        else:
            message = f"answer {number}: a silent difference"
            assert same(rows, truth(case).rows, case), message
        # a report that is never ready is asked for as long as its budget lasts
        assert fresh.requests <= total + 1500, "no end to it"
    return failed


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@every_stream
def test_a_body_cut_without_any_framing_gives_the_truth_or_a_failure(
    case: Case, share: float, on_bench: OnBench
) -> None:
    """The worst framing: nothing says how long the body should have been."""

    def cut(bench: Bench, request: Request, ask: Ask) -> Response:
        answer = ask(request)
        body = answer.body[: int(len(answer.body) * share)]
        return Response(answer.status, answer.headers, body)

    _struck(case, on_bench, cut)


@every_stream
def test_a_web_page_is_not_data(case: Case, on_bench: OnBench) -> None:
    text = "<!DOCTYPE html><html><body>Maintenance</body></html>"
    for kind in ("text/html", "application/json", "text/tab-separated-values"):
        page = text_response(text, content_type=kind)
        assert _struck(case, on_bench, lambda bench, request, ask, p=page: p)


@every_source
def test_a_redirect_is_not_followed(case: Case, on_bench: OnBench) -> None:
    bench = on_bench(case.source)
    bench.server.inject(kind="redirect")
    with pytest.raises(FatalError, match="redirect"):
        bench.read(case.stream)
    assert bench.requests == 1


@every_stream
def test_a_page_that_comes_twice_gives_the_truth_or_a_failure(
    case: Case, on_bench: OnBench
) -> None:
    """Answer k is given again in the place of answer k + 1, for each k."""

    def again(bench: Bench, request: Request, ask: Ask) -> Response:
        return bench.face.answers[-1] if bench.face.answers else ask(request)

    _struck(case, on_bench, again)


@every_stream
def test_a_page_that_comes_for_ever_ends_in_a_failure(
    case: Case, on_bench: OnBench
) -> None:
    """From answer k on it is always answer k - 1: its rows, and its cursor."""

    def again(bench: Bench, request: Request, ask: Ask) -> Response:
        return bench.face.answers[-1] if bench.face.answers else ask(request)

    _struck(case, on_bench, again, on=True)


@every_stream
def test_rows_that_move_while_pages_are_read_are_neither_lost_nor_doubled(
    case: Case, on_bench: OnBench
) -> None:
    """Between two pages three days go by: what was there all the time is read once.

    An entity stream may leave what changed meanwhile to the next read, whose cursor
    must then bring it.
    """
    size = _page_size(case)
    late = on_bench(case.source, page_size=size)
    end = late.world.now
    early = end - timedelta(days=3)
    window = late.window(5, end=early.date()) if case.stream.kind == "window" else None
    after = keyed(case.stream, late.read(case.stream, window))
    first = on_bench(case.source, page_size=size, now=early)
    before = keyed(case.stream, first.read(case.stream, window))

    def later(bench: Bench, request: Request, ask: Ask) -> Response:
        bench.server.set_now(end)
        return ask(request)

    for number in few(first.requests, 6):
        bench = on_bench(case.source, page_size=size, now=early)
        bench.face.strike(number, partial(later, bench))
        connector = bench.connector()
        try:
            rows = keyed(
                case.stream, bench.read(case.stream, window, connector=connector)
            )
        except ConnectorError:
            continue
        for key, row in rows.items():
            assert row in (before.get(key), after.get(key)), f"answer {number}"
        if case.stream.kind != "entity":
            kept = before.keys() & after.keys()
            assert kept <= rows.keys(), f"answer {number}: lost"
            continue
        cursor = connector.next_cursor(case.stream, None, early)
        bench.server.set_now(end)
        rows |= keyed(case.stream, bench.read(case.stream, cursor=cursor))
        hangs = _hanging(case)
        for key, row in after.items():
            assert key in rows, f"answer {number}: lost"
            assert _without(rows[key], hangs) == _without(row, hangs)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": 17, "message": "internal"}},
        {"error": "internal", "error_description": "try again later"},
        {"errors": [{"code": 17, "message": "internal"}]},
        {"status": "error", "message": "internal"},
        [{"error": {"code": 17, "message": "internal", "status": "INTERNAL"}}],
    ],
    ids=lambda body: json.dumps(body)[:24],
)
@every_stream
def test_an_error_under_200_is_no_empty_answer(
    case: Case, body: Any, on_bench: OnBench
) -> None:
    def wrong(bench: Bench, request: Request, ask: Ask) -> Response:
        return json_response(body)

    _struck(case, on_bench, wrong, most=3)
    bench = on_bench(case.source)
    bench.face.strike_all(partial(wrong, bench))
    with pytest.raises(ConnectorError):
        bench.read(case.stream)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null"], ids=repr)
@every_stream
def test_an_answer_lost_to_emptiness_gives_the_truth_or_a_failure(
    case: Case, body: bytes, on_bench: OnBench
) -> None:
    """An overloaded vendor: 200, and nothing in it."""

    def empty(bench: Bench, request: Request, ask: Ask) -> Response:
        return Response(200, ask(request).headers, body)

    _struck(case, on_bench, empty)


@every_stream
def test_a_list_lost_to_emptiness_gives_the_truth_or_a_failure(
    case: Case, on_bench: OnBench
) -> None:
    """A whole envelope whose first list of records is empty."""
    if (case.source, case.stream.name) in NO_TOTAL:
        pytest.skip(NO_TOTAL[case.source, case.stream.name])

    def empty(bench: Bench, request: Request, ask: Ask) -> Response:
        answer = ask(request)
        try:
            content = json.loads(answer.body)
        except ValueError:
            return answer
        _empty_first_list(content)
        return json_response(content, answer.status, answer.headers)

    _struck(case, on_bench, empty)


_GET_SERVICE = (
    "Direct's get services declare no total, so an empty list is an empty account; "
    "landing's limit on tombstones stands behind"
)
NO_TOTAL = {
    ("yandex_direct", name): _GET_SERVICE
    for name in ("campaigns", "ad_groups", "ads", "keywords")
}


def _empty_first_list(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    for name, value in content.items():
        if isinstance(value, list) and value:
            content[name] = []
            return True
        if _empty_first_list(value):
            return True
    return False


# -- settings ------------------------------------------------------------------------


@every_source
def test_each_missing_connection_field_is_named_before_any_request(
    case: Case, on_bench: OnBench
) -> None:
    bench = on_bench(case.source)
    cls = registry.connector_class(case.source)
    names = set(cls.connection_needs(bench.connection()))
    assert names
    for name in names:
        changed: dict[str, Any] = {name: ""}
        if name.startswith("extra."):
            changed = {"extra": {name.removeprefix("extra."): ""}}
        with pytest.raises(ConfigError, match=re.escape(name)) as caught:
            bench.connector(**changed)
        assert bench.account.conn_id in str(caught.value)
        assert "\n" not in str(caught.value)
    assert bench.requests == 0


@every_source
def test_each_wrong_setting_is_named_before_any_request(
    case: Case, on_bench: OnBench
) -> None:
    bench = on_bench(case.source)
    cls = registry.connector_class(case.source)
    for name, info in cls.Settings.model_fields.items():
        kept = {k: v for k, v in bench.account.settings.items() if k != name}
        account = bench.account.model_copy(update={"settings": kept})
        if info.is_required():
            with pytest.raises(ConfigError, match=re.escape(name)):
                bench.connector(account)
        else:
            bench.connector(account)
        wrong = {**kept, name: {"no": ["such", "value"]}}
        account = bench.account.model_copy(update={"settings": wrong})
        with pytest.raises(ConfigError, match=re.escape(name)):
            bench.connector(account)
    unknown = {**bench.account.settings, "unheard_of": 1}
    account = bench.account.model_copy(update={"settings": unknown})
    with pytest.raises(ConfigError, match="unheard_of"):
        bench.connector(account)
    assert bench.requests == 0


@every_source
def test_outside_the_demo_another_address_is_refused(
    case: Case, on_bench: OnBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = on_bench(case.source)
    monkeypatch.delenv("THROUGHLINE_DEMO")
    with pytest.raises(ConfigError, match="host"):
        bench.connector()
    assert bench.requests == 0


@every_source
def test_check_proves_the_connection_with_few_requests(
    case: Case, on_bench: OnBench
) -> None:
    bench = on_bench(case.source)
    lines = bench.connector().check()
    assert lines and all(line.strip() for line in lines)
    assert 1 <= bench.requests <= 2


# -- secrets ---------------------------------------------------------------------------


@every_source
def test_every_secret_of_the_connection_is_masked(
    case: Case, on_bench: OnBench
) -> None:
    bench = on_bench(case.source)
    unheard = {name: f"unheard-of-{name}-5b1f" for name in bench.connection().extra}
    bench.connector(password="unheard-of-password-5b1f", extra=unheard)
    cls = registry.connector_class(case.source)
    named = {*cls.connection_needs(bench.connection()), *cls.Secrets}
    secret = re.compile(r"token|secret|passw|key|code", re.IGNORECASE)
    shown = [
        name
        for name in named
        if secret.search(name.removeprefix("extra."))
        and redaction.mask(
            value := unheard.get(name.removeprefix("extra."), f"unheard-of-{name}-5b1f")
        )
        == value
    ]
    assert shown == [], "name it in Secrets"


def _chain(error: BaseException | None) -> list[str]:
    """The texts of an error and of all it came from."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    return texts


@every_source
def test_the_secret_is_in_no_log_line_and_no_error(
    case: Case, on_bench: OnBench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bench = on_bench(case.source)
    texts = []
    faults: list[dict[str, Any]] = [
        {"kind": "status", "status": status, "times": 1000}
        for status in (400, 401, 403, 404, 429, 500, 502)
    ]
    faults += [
        {"kind": kind, "times": 1000}
        for kind in ("truncate", "html", "token", "reset", "redirect")
    ]
    # a vendor that sends our own secret back
    faults += [{"kind": "body", "body": f'{{"error":"{CANARY}"}}', "times": 1000}]
    for fault in faults:
        bench.server.inject(**fault)
        connector = bench.connector()
        for call in (connector.check, lambda: bench.read(case.stream)):
            try:
                call()
            except ConnectorError as error:
                texts += _chain(error)
        texts += [repr(connector), repr(connector.connection), repr(vars(connector))]
        bench.server.clear_faults()
    bench.server.stop()
    with pytest.raises(ConnectorError) as gone:
        bench.read(case.stream)
    texts += [*_chain(gone.value), caplog.text]
    texts += [str(vars(record)) for record in caplog.records]
    assert len(texts) > 20 and len(caplog.records) > 5
    assert [text for text in texts if CANARY in text] == []


# -- replay ----------------------------------------------------------------------------


@every_stream
def test_a_recorded_answer_is_read_as_a_live_one(case: Case, on_bench: OnBench) -> None:
    """Every live answer that holds records gives the same through `parse`."""
    bench = on_bench(case.source)
    connector = bench.connector()
    live = keyed(case.stream, bench.read(case.stream, connector=connector))
    replayed: Rows = []
    for answer in list(bench.face.answers):
        try:
            replayed += connector.parse(case.stream, answer.body, answer.headers)
        except ConnectorError:
            continue  # an order of a report, a list of something else
    whole = [r for r in replayed if set(case.stream.key) <= set(r)]
    found = {case.stream.record_key(row): row for row in whole}
    assert {key: found.get(key) for key in live} == live


@every_stream
def test_parse_raises_nothing_but_its_own_error(case: Case, on_bench: OnBench) -> None:
    bench = on_bench(case.source)
    connector = bench.connector()
    bench.read(case.stream, connector=connector)
    body = bench.face.answers[-1].body
    bodies = [b"", b"{}", b"[]", b"null", b"1", b"<html>", b"\xff\xfe", b"\0" * 9]
    bodies += [body[: len(body) * n // 37] for n in range(1, 37)]
    bodies += [body.replace(b'"', b"'"), body.replace(b"\n", b"\t"), body + body]
    bodies += [body.replace(b"[", b"{"), body.replace(b":", b":null,")]
    for each in bodies:
        try:
            rows = connector.parse(case.stream, each, {})
        except ConnectorError:
            continue
        assert isinstance(rows, list)
        assert all(isinstance(row, dict) for row in rows)
