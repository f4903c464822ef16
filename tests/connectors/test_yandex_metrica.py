"""Yandex Metrica, where it differs from other connectors: the life of a log, its TSV."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base.errors import (
    ConfigError,
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.stream import Window
from connectors.yandex_metrica import GOALS, HITS, VISITS, logs
from connectors.yandex_metrica.simulator import COLUMNS, array, escape
from simulator.face import Response, json_response
from simulator.world import moscow_day
from tests.connectors.bench import END

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.yandex_metrica.simulator import Simulator
    from tests.connectors.bench import Bench, OnBench


ZONE = "Europe/Moscow"
SOURCE = "yandex_metrica"
NAMES = tuple(field.name for field in VISITS.fields)


def counter(bench: Bench) -> Simulator:
    return bench.face.inner  # type: ignore[return-value]


def steps(bench: Bench) -> list[str]:
    """What was asked, in short: list, evaluate, create, status, download, clean."""
    found = []
    for request in bench.server.requests:
        last = request.path.rsplit("/", 1)[-1]
        if last == "logrequests":
            last = "list" if request.method == "GET" else "create"
        found.append("status" if last.isdigit() else last)
    return found


def life(bench: Bench) -> list[str]:
    """The same without the first list and repeated questions for the status."""
    return [name for name, _ in itertools.groupby(steps(bench))]


def order(bench: Bench, fields: tuple[str, ...] = NAMES) -> int:
    """A log that somebody ordered and never cleaned."""
    client = bench.connector().client
    path = f"management/v1/counter/{bench.world.counter_id}"
    query = {
        "date1": "2026-05-20",
        "date2": "2026-05-21",
        "source": "visits",
        "fields": ",".join(fields),
    }
    made = client.post(f"{path}/logrequests", params=query).json()
    number = int(made["log_request"]["request_id"])
    for _ in range(2):
        client.get(f"{path}/logrequest/{number}")
    return number


def error_body(kind: str, status: int) -> Response:
    first = {"error_type": kind, "message": "no"}
    return json_response({"errors": [first], "code": status, "message": "no"}, status)


# -- the life of a log ---------------------------------------------------------------


def test_visits_equal_the_company_by_day_and_id(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    rows = bench.read(VISITS, bench.whole())
    known = [v for v in bench.world.visits if v.ended_at <= bench.world.now]
    truth = {str(v.visit_id): v for v in known if moscow_day(v.started_at) < END}
    assert {row["ym:s:visitID"] for row in rows} == set(truth)
    assert len(rows) == len(truth) > 500
    days = Counter(row["ym:s:date"] for row in rows)
    assert days == Counter(str(moscow_day(v.started_at)) for v in truth.values())
    for row in rows:
        visit = truth[row["ym:s:visitID"]]
        assert row["ym:s:clientID"] == visit.client_id
        assert row["ym:s:startURL"] == visit.start_url
        assert row["ym:s:UTMTerm"] == visit.utm_term
        assert row["ym:s:dateTime"][:10] == row["ym:s:date"]
        started = datetime.fromisoformat(row["ym:s:dateTime"])
        assert started.replace(tzinfo=ZoneInfo(ZONE)) == visit.started_at.replace(
            microsecond=0
        )
    # UTC+3 whatever the name says
    assert all(row["ym:s:dateTimeUTC"] == row["ym:s:dateTime"] for row in rows)


def test_hits_equal_the_company_and_belong_to_visits(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    rows = bench.read(HITS, bench.whole())
    known = bench.world.as_of(bench.world.now).hits()
    truth = {str(hit.hit_id): hit for hit in known if moscow_day(hit.at) < END}
    assert {row["ym:pv:watchID"] for row in rows} == set(truth)
    assert len(rows) == len(truth) > 1000
    for row in rows:
        hit = truth[row["ym:pv:watchID"]]
        assert row["ym:pv:clientID"] == hit.client_id
        assert row["ym:pv:URL"] == hit.url
        assert row["ym:pv:isPageView"] == str(int(hit.is_page_view))
        assert json.loads(row["ym:pv:goalsID"]) == list(hit.goal_ids)
    visits = bench.read(VISITS, bench.whole())
    listed = {n for row in visits for n in row["ym:s:watchIDs"][1:-1].split(",")}
    views = {row["ym:pv:watchID"] for row in rows if row["ym:pv:isPageView"] == "1"}
    # a visit is of the day it began, a hit of its own
    assert len(views - listed) <= len(views) * 0.01
    sources = {log.source for log in counter(bench).log_requests.values()}
    assert sources == {"visits", "hits"}


def test_hits_are_read_only_where_they_are_asked_for(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    cls = type(bench.connector())
    assert HITS in cls.streams_of(bench.account)
    for asked in ({"counter_id": 1}, {"counter_id": 1, "hits": False}):
        account = bench.account.model_copy(update={"settings": asked})
        assert cls.streams_of(account) == (VISITS, GOALS)


def test_every_goal_of_a_visit_has_a_name_and_a_moment(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    names = {row["id"]: row["name"] for row in bench.read(GOALS)}
    reached = 0
    for row in bench.read(VISITS, bench.whole()):
        goals = json.loads(row["ym:s:goalsID"])
        times = json.loads(row["ym:s:goalsDateTime"].replace("'", '"'))
        assert len(goals) == len(times)
        assert all(names[goal] for goal in goals)
        reached += len(goals)
    assert reached > 20
    # deleted ones, too, or old visits would have goals without a name
    assert bench.server.requests[0].query == {"useDeleted": ["true"]}


def test_an_empty_list_of_goals_is_believed_the_second_time(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    empty = json_response({"goals": []})
    bench.face.strike(0, lambda request, ask: empty)
    assert bench.read(GOALS)
    bench.face.strike_all(lambda request, ask: empty)
    assert bench.read(GOALS) == []
    with pytest.raises(ParseError, match="goals"):
        bench.connector().parse(GOALS, b'{"counter": {}}', {})


def test_a_log_is_ordered_waited_for_downloaded_and_cleaned(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE, wait_seconds=0.05)
    assert bench.read(VISITS)
    assert life(bench) == ["list", "evaluate", "create", "status", "download", "clean"]
    assert steps(bench).count("status") >= 2
    assert {log.status for log in counter(bench).log_requests.values()} == {
        "cleaned_by_user"
    }
    create = next(r for r in bench.server.requests if r.method == "POST")
    assert create.body == b""
    assert create.headers["Authorization"].startswith("OAuth ")
    assert len(create.query["fields"][0]) <= 3000
    # asked ever more seldom
    waits = [pause for pause in bench.slept if isinstance(pause, int)]
    assert waits == sorted(waits) and waits[0] == 1


def test_the_log_is_cleaned_also_when_its_download_fails(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    bench.server.inject(kind="status", status=503, path="download$", times=1000)
    with pytest.raises(RetriableError):
        bench.read(VISITS)
    (log,) = counter(bench).log_requests.values()
    assert log.status == "cleaned_by_user"


def test_the_log_is_cleaned_also_when_its_reader_stops(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    batches = bench.batches(VISITS)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    (log,) = counter(bench).log_requests.values()
    assert log.status == "cleaned_by_user"


def test_a_log_that_cannot_be_awaited_is_cancelled(
    on_bench: OnBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = on_bench(SOURCE, wait_seconds=1)
    connector = bench.connector()
    monkeypatch.setattr(type(connector), "making_budget", 100.0)
    monkeypatch.setattr(counter(bench), "_work", lambda log: None)
    with pytest.raises(RetriableError, match="not ready"):
        bench.read(VISITS, connector=connector)
    (log,) = counter(bench).log_requests.values()
    assert log.status == "canceled"


def test_logs_of_killed_runs_are_cleaned_and_those_of_others_are_not(
    on_bench: OnBench,
) -> None:
    bench = on_bench(SOURCE)
    left = order(bench)
    foreign = order(bench, ("ym:s:visitID", "ym:s:dateTime"))
    bench.server.options.wait_seconds = 1
    unfinished = order(bench, tuple(reversed(NAMES)))
    bench.server.options.wait_seconds = 0
    bench.read(VISITS)
    status = {n: log.status for n, log in counter(bench).log_requests.items()}
    assert status.pop(left) == "cleaned_by_user"
    assert status.pop(unfinished) == "canceled"
    assert status.pop(foreign) == "processed"
    assert set(status.values()) == {"cleaned_by_user"}


def test_a_window_too_long_is_split_as_evaluate_says(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(VISITS, bench.whole())
    counter(bench).max_days = 4
    before = len(counter(bench).log_requests)
    rows = bench.read(VISITS, bench.whole())
    made = list(counter(bench).log_requests.values())[before:]
    assert rows == truth
    assert [(log.date2 - log.date1).days + 1 for log in made] == [4, 4, 4, 2]
    assert {log.status for log in made} == {"cleaned_by_user"}


def test_a_storage_full_of_foreign_logs_is_told_and_nothing_ordered(
    on_bench: OnBench,
) -> None:
    bench = on_bench(SOURCE)
    order(bench, ("ym:s:visitID", "ym:s:dateTime"))
    counter(bench).storage_bytes = 10
    before = len(counter(bench).log_requests)
    with pytest.raises(FatalError, match="other programs"):
        bench.read(VISITS)
    assert len(counter(bench).log_requests) == before
    # our own leftovers do not hinder us
    counter(bench).log_requests.clear()
    counter(bench).storage_bytes = 10**9
    left = order(bench)
    counter(bench).storage_bytes = counter(bench).log_requests[left].size + 10**6
    assert bench.read(VISITS)


def test_a_log_that_fails_to_be_made_is_ordered_again(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(VISITS)
    start = len(steps(bench))
    counter(bench).next_statuses.extend(["awaiting_retry", "processing_failed"])
    assert bench.read(VISITS) == truth
    assert steps(bench)[start:].count("create") == 2
    counter(bench).next_statuses.extend(["processing_failed"] * 3)
    with pytest.raises(RetriableError, match="3 times"):
        bench.read(VISITS)


# -- parts -----------------------------------------------------------------------------


def test_parts_are_all_read_and_each_has_a_header(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(VISITS, bench.whole())
    bench.server.options.page_size = 150
    start = len(steps(bench))
    assert bench.read(VISITS, bench.whole()) == truth
    assert steps(bench)[start:].count("download") == -(-len(truth) // 150) > 3


def test_a_part_again_in_the_place_of_the_next_is_not_taken(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE, page_size=150)
    bench.read(VISITS, bench.whole())
    second = [n for n, name in enumerate(steps(bench)) if name == "download"][1]
    bench.face.strike(second, lambda request, ask: bench.face.answers[-1])
    with pytest.raises((ParseError, RetriableError)):
        bench.read(VISITS, bench.whole())


def test_a_part_shorter_than_declared_is_downloaded_again(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(VISITS)
    at = steps(bench).index("download")

    def cut(request: Any, ask: Any) -> Response:
        answer = ask(request)
        end = answer.body.rfind(b"\n", 0, len(answer.body) // 2) + 1
        return Response(answer.status, answer.headers, answer.body[:end])

    bench.face.strike(at, cut)
    assert bench.read(VISITS) == truth

    def always(request: Any, ask: Any) -> Response:
        return (cut if request.path.endswith("download") else lambda r, a: a(r))(
            request, ask
        )

    bench.face.strike_all(always)
    with pytest.raises(RetriableError, match="came cut"):
        next(bench.batches(VISITS))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log: log["parts"].pop(), "missing"),
        (lambda log: log["parts"][0].update(part_number=1), "without a gap"),
        (lambda log: log["parts"][0].update(size=None), "without a size"),
        (lambda log: log.update(parts="two"), "parts"),
        (lambda log: log.pop("status"), "status"),
    ],
)
def test_a_list_of_parts_that_contradicts_itself_is_refused(
    change: Callable[[Any], Any], said: str, on_bench: OnBench
) -> None:
    bench = on_bench(SOURCE)

    def changed(request: Any, ask: Any) -> Response:
        answer: Response = ask(request)
        if request.method == "POST" or not request.path[-1].isdigit():
            return answer
        value = json.loads(answer.body)
        if value["log_request"]["status"] == "processed":
            change(value["log_request"])
        return json_response(value)

    bench.face.strike_all(changed)
    with pytest.raises(ConnectorError, match=said):
        bench.read(VISITS)


def test_a_repeated_row_is_given_as_it_came(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(VISITS)
    counter(bench).repeat_every = 10
    counter(bench)._rendered.clear()
    rows = bench.read(VISITS)
    assert len(rows) > len(truth)
    assert {str(row) for row in rows} == {str(row) for row in truth}


def test_a_visit_that_was_rewritten_is_read_as_rewritten(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    visit = next(
        v
        for v in bench.world.visits
        if v.revised_at
        and v.first_page_views != v.page_views
        and moscow_day(v.revised_at) > moscow_day(v.ended_at)
    )
    assert visit.revised_at is not None
    day = moscow_day(visit.started_at)
    window = Window(day, day + timedelta(days=1), ZONE)
    shown = []
    for now in (visit.revised_at - timedelta(seconds=1), visit.revised_at):
        bench.server.set_now(now)
        rows = {row["ym:s:visitID"]: row for row in bench.read(VISITS, window)}
        shown.append(int(rows[str(visit.visit_id)]["ym:s:pageViews"]))
    assert shown == [visit.first_page_views, visit.page_views]


# -- refusals ----------------------------------------------------------------------------


def test_today_is_refused_before_any_request(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    today = datetime.now(ZoneInfo(ZONE)).date()
    for last in (today, today + timedelta(days=3)):
        window = Window(last - timedelta(days=1), last + timedelta(days=1), ZONE)
        with pytest.raises(ConfigError, match="before today"):
            bench.read(VISITS, window)
    assert bench.requests == 0


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        ("invalid_token", 403, "OAuth token"),
        ("unauthorized", 401, "OAuth token"),
        ("access_denied", 403, "counter_id"),
        ("not_found", 404, "counter_id"),
        ("invalid_parameter", 400, "maintainers"),
        ("limit_exceeded", 400, "10 GB"),
    ],
)
def test_an_error_that_stays_is_one_request_and_says_what_to_do(
    kind: str, status: int, said: str, on_bench: OnBench
) -> None:
    bench = on_bench(SOURCE)
    bench.face.strike_all(lambda request, ask: error_body(kind, status))
    with pytest.raises(FatalError, match=said):
        bench.read(VISITS)
    assert bench.requests == 1


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("quota_parallel_requests", 429),
        ("quota_requests_by_ip", 429),
        ("quota_requests_by_uid", 420),
        ("quota_delegate_requests", 429),
        ("backend_error", 503),
        ("timeout", 504),
    ],
)
def test_an_error_that_passes_is_waited_out(
    kind: str, status: int, on_bench: OnBench
) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(VISITS)
    bench.face.strike(1, lambda request, ask: error_body(kind, status))
    assert bench.read(VISITS) == truth


def test_another_counter_is_denied(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    account = bench.account.model_copy(update={"settings": {"counter_id": 5}})
    with pytest.raises(FatalError, match="counter_id"):
        bench.connector(account).check()
    assert bench.requests == 1


def test_limits_of_the_vendor_are_kept_to(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE, rate_limits=True)
    assert bench.read(VISITS)
    assert all(request.status == 200 for request in bench.server.requests)


# -- reading a log -------------------------------------------------------------------------


def part(*rows: tuple[str, ...], names: tuple[str, ...]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in (names, *rows)).encode()


def test_escapes_arrays_and_long_ids_come_through() -> None:
    names = ("ym:s:visitID", "ym:s:dateTime", "ym:s:startURL", "ym:s:goalsDateTime")
    body = (
        b"\t".join(name.encode() for name in names)
        + b"\n18446744073709551615\t2026-05-01 00:00:00\ta\\tb\\nc\\\\d\\'e\t"
        + b"[\\'2026-05-01 10:00:00\\',\\'\\']\n"
    )
    (row,) = logs.records(VISITS, body)
    assert row == {
        "ym:s:visitID": "18446744073709551615",
        "ym:s:dateTime": "2026-05-01 00:00:00",
        "ym:s:startURL": "a\tb\nc\\d'e",
        "ym:s:goalsDateTime": "['2026-05-01 10:00:00','']",
    }
    assert VISITS.record_key(row) == "18446744073709551615"
    assert VISITS.record_date(row, ZONE) == date(2026, 5, 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no log"),
        (b"ym:s:visitID\tym:s:dateTime\n", None),
        (b"ym:s:visitID\n1\n", "lacks the columns ym:s:dateTime"),
        (b"ym:s:visitID\tym:s:visitID\n", "twice"),
        (b"ym:s:visitID\tym:s:dateTime\n1\n", "1 cells"),
        (b"ym:s:visitID\tym:s:dateTime\n1\t2\t3\n", "3 cells"),
        (b"ym:s:visitID\tym:s:dateTime\n\xff\t2\n", "does not fit"),
        (b"<html>\n", "no log"),
        (b'{"log_request": {}}', "no log"),
        (b"ClientId,DateTime\n1,2\n", "no log"),
        (b"\xff\xfe\n", "UTF-8"),
    ],
)
def test_what_does_not_fit_says_why(body: bytes, said: str | None) -> None:
    if said is None:
        assert logs.records(VISITS, body) == []
        return
    with pytest.raises(ParseError, match=said):
        logs.records(VISITS, body)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
columns = st.lists(st.sampled_from(COLUMNS), unique=True).map(
    lambda some: tuple(
        dict.fromkeys([*some, "ym:s:visitID", "ym:s:dateTime", "ym:s:somethingNew"])
    )
)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), names=columns, size=st.integers(1, 300))
def test_rows_in_are_rows_out_however_they_are_cut(
    data: st.DataObject, names: tuple[str, ...], size: int
) -> None:
    row = st.tuples(*[texts] * len(names))
    rows = data.draw(st.lists(row, max_size=12))
    body = part(*(tuple(map(escape, cells)) for cells in rows), names=names)
    blocks = [body[start : start + size] for start in range(0, len(body), size)]
    found = [
        record for batch in logs.batches(VISITS, blocks) for record in batch.records()
    ]
    assert found == [dict(zip(names, cells, strict=True)) for cells in rows]
    assert logs.records(VISITS, body) == found


@settings(max_examples=100, deadline=None)
@given(values=st.lists(texts, max_size=4))
def test_an_array_is_unescaped_once(values: list[str]) -> None:
    names = ("ym:s:visitID", "ym:s:dateTime")
    body = part(("1", array(values, quoted=True)), names=names)
    (row,) = logs.records(VISITS, body)
    inner = (v.replace("\\", "\\\\").replace("'", "\\'") for v in values)
    assert row["ym:s:dateTime"] == "[" + ",".join(f"'{v}'" for v in inner) + "]"


@settings(max_examples=200, deadline=None)
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(str.encode),
        st.lists(
            st.sampled_from(["ym:s:visitID", "ym:s:dateTime", "\t", "\n", "\\"])
        ).map(lambda some: "".join(some).encode()),
    )
)
def test_the_parser_raises_nothing_but_parse_errors(body: bytes) -> None:
    try:
        rows = logs.records(VISITS, body)
    except ParseError:
        return
    assert all(set(VISITS.required_fields) <= set(row) for row in rows)


def test_errors_without_a_kind_are_still_errors(on_bench: OnBench) -> None:
    connector = on_bench(SOURCE).connector()
    for errors in ([], [None], [{}], [{"error_type": 5}]):
        body = json_response({"errors": errors, "code": 400}).body
        with pytest.raises(FatalError):
            connector.parse(VISITS, body, {})
