"""Reports of Google Analytics 4, over real HTTP against its simulator."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from connectors.base.errors import (
    ConfigError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.stream import Window
from connectors.ga4 import DEVICES, TRAFFIC, Ga4, reports
from simulator.face import json_response
from simulator.world import build_world, moscow_day

if TYPE_CHECKING:
    from tests.connectors.bench import Bench, OnBench, Warehouse


@pytest.fixture
def bench(on_bench: OnBench) -> Bench:
    return on_bench("ga4")


def spoiled(bench: Bench, change: Any, *, page: int | None = None) -> None:
    """Let `change` spoil each report, or only the one from row `page` on."""

    def spoil(request: Any, ask: Any) -> Any:
        answer = ask(request)
        if request.path == "/token":
            return answer
        if page is not None and request.json().get("offset") != str(page):
            return answer
        content = json.loads(answer.body)
        change(content)
        return json_response(content, answer.status)

    bench.face.strike_all(spoil)


@pytest.mark.parametrize("stream", [TRAFFIC, DEVICES], ids=lambda s: s.name)
def test_sessions_are_the_visits_of_each_day(bench: Bench, stream: Any) -> None:
    found: Counter[str] = Counter()
    for row in bench.read(stream, bench.whole()):
        found[row["date"]] += int(row["sessions"])
    visits = bench.face.inner.view.visits
    end = bench.world.end_date
    days = [moscow_day(visit.started_at) for visit in visits]
    assert found == Counter(f"{day:%Y%m%d}" for day in days if day < end)
    assert len(found) > 10


def test_key_events_and_devices_are_there(bench: Bench) -> None:
    rows = bench.read(DEVICES, bench.whole())
    goals = sum(len(visit.goal_ids) for visit in bench.face.inner.view.visits)
    assert sum(float(row["keyEvents"]) for row in rows) == goals > 0
    assert {row["deviceCategory"] for row in rows} <= {"desktop", "mobile", "tablet"}


def test_clicks_of_google_are_paid_search(bench: Bench) -> None:
    rows = bench.read(TRAFFIC, bench.whole())
    paid = [row for row in rows if row["sessionDefaultChannelGroup"] == "Paid Search"]
    sources = {(row["sessionSource"], row["sessionMedium"]) for row in paid}
    assert sources == {("google", "cpc")}


def test_a_source_that_was_unknown_yesterday_is_known_later(bench: Bench) -> None:
    day = bench.world.end_date - timedelta(days=1)
    window = Window(day, day + timedelta(days=1), "Europe/Moscow")
    early = bench.read(TRAFFIC, window)
    bench.server.set_now(bench.world.now + timedelta(days=2))
    late = bench.read(TRAFFIC, window)
    sessions = [sum(int(row["sessions"]) for row in rows) for rows in (early, late)]
    assert sessions[0] == sessions[1] > 0
    unknown = [
        sum(int(r["sessions"]) for r in rows if r["sessionSource"] == "(not set)")
        for rows in (early, late)
    ]
    assert unknown[0] > unknown[1] == 0


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)]
)
def test_days_of_23_and_25_hours(on_bench: OnBench, day: date, hours: int) -> None:
    company = build_world(seed=3, end_date=day + timedelta(days=3), size="small")
    zone = "Europe/Berlin"
    bench = on_bench("ga4", group=company, time_zone=zone)
    account = bench.account.model_copy(update={"time_zone": zone})
    window = Window(day, day + timedelta(days=1), zone)
    assert window.end_at - window.start_at == timedelta(hours=hours)
    rows = bench.read(TRAFFIC, window, connector=bench.connector(account))
    began = [visit.started_at for visit in bench.face.inner.view.visits]
    there = sum(at.astimezone(ZoneInfo(zone)).date() == day for at in began)
    assert sum(int(row["sessions"]) for row in rows) == there > 0


# -- paging ----------------------------------------------------------------------------


def test_pages_are_read_to_the_declared_number(on_bench: OnBench) -> None:
    truth = on_bench("ga4").read(TRAFFIC)
    bench = on_bench("ga4", page_size=10)
    assert bench.read(TRAFFIC) == truth
    assert bench.requests == 1 + -(-len(truth) // 10)
    assert len(truth) > 20


def more(content: Any) -> None:
    content["rowCount"] += 1


def fewer(content: Any) -> None:
    content["rows"].pop()


def nothing(content: Any) -> None:
    del content["rows"]


def none_at_all(content: Any) -> None:
    del content["rows"], content["rowCount"]


@pytest.mark.parametrize("change", [more, nothing, none_at_all])
def test_a_page_that_contradicts_the_others_fails(
    on_bench: OnBench, change: Any
) -> None:
    bench = on_bench("ga4", page_size=10)
    spoiled(bench, change, page=10)
    with pytest.raises(RetriableError):
        bench.read(TRAFFIC)


def test_a_short_page_is_followed_from_where_it_ends(on_bench: OnBench) -> None:
    """Google may give fewer rows than the limit: the next offset is what came."""
    truth = on_bench("ga4").read(TRAFFIC)
    bench = on_bench("ga4", page_size=10)
    spoiled(bench, fewer, page=10)
    assert bench.read(TRAFFIC) == truth


def test_rows_of_another_day_are_no_answer(bench: Bench) -> None:
    def move(content: Any) -> None:
        content["rows"][0]["dimensionValues"][0]["value"] = "20260101"

    spoiled(bench, move)
    with pytest.raises(ParseError, match="rows of 20260101"):
        bench.read(TRAFFIC)


# -- what casts doubt ------------------------------------------------------------------


DOUBTS: list[tuple[dict[str, Any], str]] = [
    ({"subjectToThresholding": True}, "thresholding"),
    ({"dataLossFromOtherRow": True}, r"\(other\)"),
    (
        {"samplingMetadatas": [
            {"samplesReadCount": "500000", "samplingSpaceSize": "15000000"}
        ]},
        "from 500000 of 15000000",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("metadata", "words"), DOUBTS)
def test_a_doubtful_report_lands_with_a_warning(
    bench: Bench, warehouse: Warehouse, metadata: dict[str, Any], words: str
) -> None:
    bench.face.inner.metadata = metadata
    account = warehouse.account(bench)
    result = warehouse.land(bench, TRAFFIC, account)
    assert result.state == "ok" and result.rows_new > 0
    warned = warehouse.root.execute(
        "select message from ops.warnings where load_id = %s", (result.load_id,)
    ).fetchall()
    assert len(warned) == 1
    assert re.search(words, warned[0][0])


def test_a_quiet_report_lands_without_one(bench: Bench, warehouse: Warehouse) -> None:
    result = warehouse.land(bench, TRAFFIC, warehouse.account(bench))
    warned = warehouse.root.execute(
        "select count(*) from ops.warnings where load_id = %s", (result.load_id,)
    ).fetchone()
    assert warned == (0,)


def test_a_row_of_others_is_kept_and_told() -> None:
    content = answer([["20260531", "(other)", "(other)", "(other)", "(other)"]])
    page = reports.page_of(TRAFFIC, content, "test")
    assert page.items[0]["sessionSource"] == "(other)"
    assert len(reports.doubts_in(content, page.items, "test")) == 1


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("Exhausted property tokens per hour.", 900, 902),
        ("Exhausted concurrent requests quota.", 10, 12),
        ("Exhausted something new.", 0.5, 5),
    ],
)
def test_a_quota_is_waited_for(
    bench: Bench, text: str, least: float, most: float
) -> None:
    error = {"code": 429, "message": text, "status": "RESOURCE_EXHAUSTED"}
    busy = json_response({"error": error}, 429)
    bench.face.strike(1, lambda request, ask: busy)
    assert bench.read(TRAFFIC)
    assert least <= max(bench.slept) <= most


def test_a_quota_of_the_day_ends_the_task_after_few_requests(bench: Bench) -> None:
    error = {
        "code": 429,
        "message": "Exhausted property tokens per day.",
        "status": "RESOURCE_EXHAUSTED",
    }
    bench.face.strike_all(
        lambda request, ask: (
            ask(request)
            if request.path == "/token"
            else json_response({"error": error}, 429)
        )
    )
    with pytest.raises(RetriableError, match="quota is used up"):
        bench.read(TRAFFIC)
    assert bench.requests <= 4


def test_a_property_of_others_costs_one_question(bench: Bench) -> None:
    settings = {"property_id": "123456789"}
    account = bench.account.model_copy(update={"settings": settings})
    with pytest.raises(FatalError, match=r"settings\.property_id"):
        bench.read(TRAFFIC, connector=bench.connector(account))
    assert bench.requests == 2


@pytest.mark.parametrize("wrong", ["G-ABCDEF12", "", "12"])
def test_a_measurement_id_is_no_property(bench: Bench, wrong: str) -> None:
    settings = {"property_id": wrong}
    account = bench.account.model_copy(update={"settings": settings})
    with pytest.raises(ConfigError, match="property_id"):
        bench.connector(account)
    assert bench.requests == 0


def test_another_zone_than_the_propertys_is_refused(bench: Bench) -> None:
    account = bench.account.model_copy(update={"time_zone": "Asia/Yekaterinburg"})
    with pytest.raises(ConfigError, match="write Europe/Moscow there"):
        bench.read(TRAFFIC, connector=bench.connector(account))
    same = bench.account.model_copy(update={"time_zone": "Europe/Minsk"})
    assert bench.read(TRAFFIC, connector=bench.connector(same))


# -- recorded answers --------------------------------------------------------------------


def answer(cells: list[list[str]], **changed: Any) -> dict[str, Any]:
    names = TRAFFIC.key
    metrics = [f.name for f in TRAFFIC.fields if f.name not in TRAFFIC.key]
    content: dict[str, Any] = {
        "dimensionHeaders": [{"name": name} for name in names],
        "metricHeaders": [{"name": name, "type": "TYPE_INTEGER"} for name in metrics],
        "rows": [
            {
                "dimensionValues": [{"value": value} for value in row],
                "metricValues": [{"value": "1"} for _ in metrics],
            }
            for row in cells
        ],
        "rowCount": len(cells),
        "metadata": {"timeZone": "Europe/Moscow"},
    }
    return {**content, **changed}


GOOD = ["20260531", "google", "cpc", "(not set)", "Paid Search"]


def test_columns_are_known_by_name_not_by_place() -> None:
    content = answer([GOOD])
    content["dimensionHeaders"].reverse()
    content["rows"][0]["dimensionValues"].reverse()
    (record,) = reports.parsed(TRAFFIC, json.dumps(content).encode(), "test")
    assert record["date"] == "20260531" and record["sessionSource"] == "google"
    assert TRAFFIC.record_date(record, "Europe/Moscow") == date(2026, 5, 31)


def test_a_report_of_nothing_has_neither_rows_nor_a_count() -> None:
    content = answer([])
    del content["rows"], content["rowCount"]
    assert reports.parsed(TRAFFIC, json.dumps(content).encode(), "test") == []


@pytest.mark.parametrize(
    "changed",
    [
        {"rows": None},
        {"rows": [{}]},
        {"rows": [{"dimensionValues": [{"value": "x"}], "metricValues": []}]},
        {"rowCount": "1"},
        {"dimensionHeaders": []},
        {"dimensionHeaders": [{"name": 3}] * 5},
        {"metricHeaders": None},
    ],
)
def test_what_is_no_report_is_refused(changed: dict[str, Any]) -> None:
    body = json.dumps(answer([GOOD], **changed)).encode()
    with pytest.raises(ParseError):
        reports.parsed(TRAFFIC, body, "test")


@pytest.mark.parametrize("day", ["2026-05-31", "20260231", "(other)", "２０２６0531"])
def test_a_day_that_is_none_has_no_place(day: str) -> None:
    with pytest.raises(ValueError):
        TRAFFIC.record_date({"date": day}, "Europe/Moscow")


def test_it_is_a_declaration() -> None:
    import inspect

    source = inspect.getsource(inspect.getmodule(Ga4))  # type: ignore[arg-type]
    assert len(source.splitlines()) < 170
