"""VK Ads, where it differs from other connectors: tokens, ids, totals, limits."""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from connectors.base.connection import ConnectionInfo
from connectors.base.errors import (
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.stream import Window
from connectors.vk_ads import (
    AD_GROUPS,
    AD_PLAN_STATISTICS,
    AD_PLANS,
    BANNER_STATISTICS,
    BANNERS,
    TOKEN_URL,
    VkAds,
    figures,
    lists,
)
from connectors.vk_ads.errors import WHAT_TO_DO, ApiError, TooMuch, WrongIds, wait_of
from simulator.face import Request, Response, json_response
from tests.connectors.bench import CANARY, END, accounts, keyed

if TYPE_CHECKING:
    from tests.connectors.bench import Ask, Bench, OnBench

SOURCE = "vk_ads"
ZONE = "Europe/Moscow"
TOKEN_PATH = "/api/v2/oauth2/token.json"


def kopecks(row: dict[str, Any]) -> int:
    amount = Decimal(row["spent"]) * 100
    assert amount == int(amount)
    return int(amount)


def grants(bench: Bench) -> list[str]:
    """The kinds of tokens that were asked for so far."""
    bodies = [r.body.decode() for r in bench.server.requests if r.path == TOKEN_PATH]
    return [parse_qs(body)["grant_type"][0] for body in bodies]


def asked(bench: Bench) -> list[dict[str, str]]:
    """The parameters of each request for statistics."""
    return [
        {name: values[0] for name, values in request.query.items()}
        for request in bench.server.requests
        if "/statistics/" in request.path
    ]


def error_body(code: str, status: int = 400, *, flat: bool = False) -> Response:
    error = {"code": code, "message": "said so"}
    return json_response(error if flat else {"error": error}, status)


# -- figures -----------------------------------------------------------------------


def test_costs_by_day_equal_the_company_to_the_kopeck(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for cost in bench.world.ad_costs_as_of(END):
        if cost.platform == SOURCE:
            truth[cost.date.isoformat()] += cost.cost_kopecks
            totals += Counter(shows=cost.impressions, clicks=cost.clicks)
    for stream in (BANNER_STATISTICS, AD_PLAN_STATISTICS):
        rows = bench.read(stream, bench.whole())
        read: Counter[str] = Counter()
        for row in rows:
            read[row["date"]] += kopecks(row)
        assert read == truth
        for name in ("shows", "clicks"):
            assert sum(row[name] for row in rows) == totals[name] > 0
    assert len(truth) == 14


def test_money_stays_the_text_it_was(on_bench: OnBench) -> None:
    rows = on_bench(SOURCE).read(BANNER_STATISTICS)
    assert all(isinstance(row["spent"], str) for row in rows)
    assert any(not row["spent"].endswith("0") and "." in row["spent"] for row in rows)


def test_a_deleted_ad_is_listed_and_its_costs_are_read(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    banners = keyed(BANNERS, bench.read(BANNERS))
    gone = [row["id"] for row in banners.values() if row["status"] == "deleted"]
    assert len(gone) == 1
    rows = bench.read(BANNER_STATISTICS, bench.whole())
    assert set(gone) < {row["id"] for row in rows}
    client = bench.connector().client
    bare = client.get("api/v2/banners.json", {"limit": 250}).json()
    assert bare["count"] == len(banners) - 1
    assert "urls" not in bare["items"][0], "VK gives few fields to one who names none"


def test_every_ad_hangs_on_a_group_and_a_campaign(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    groups = keyed(AD_GROUPS, bench.read(AD_GROUPS))
    plans = keyed(AD_PLANS, bench.read(AD_PLANS))
    for banner in bench.read(BANNERS):
        group = groups[str(banner["ad_group_id"])]
        assert str(group["ad_plan_id"]) in plans
        assert banner["urls"]["primary"]["url"].startswith("https://")


def test_campaigns_control_the_statistics_of_ads(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    connector = bench.connector()
    rows = bench.read(BANNER_STATISTICS, bench.whole())
    total = connector.control_total(BANNER_STATISTICS, bench.whole())
    assert total == sum(Decimal(row["spent"]) for row in rows) > 0
    assert connector.control_total(AD_PLAN_STATISTICS, bench.whole()) is None


def test_a_restated_cost_is_read_again_as_restated(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    restated = [
        c
        for c in bench.world.ad_costs
        if c.platform == SOURCE and c.restated_on and c.restated_on < END
    ]
    row = max(restated, key=lambda c: abs(c.cost_kopecks - c.first_cost_kopecks))
    assert row.restated_on is not None
    window = Window(row.date, row.date + timedelta(days=1), ZONE)

    def read_on(day: date) -> int:
        bench.server.set_now(bench.world.now - (bench.world.end_date - day))
        return sum(map(kopecks, bench.read(BANNER_STATISTICS, window)))

    before = read_on(row.restated_on - timedelta(days=1))
    after = read_on(END)
    assert after != before


def test_a_day_of_zeros_is_no_record_unless_something_was_counted() -> None:
    def row(**base: Any) -> dict[str, Any]:
        return {"date": "2026-05-01", "id": 1, **base}

    for nothing in (
        row(spent="0"),
        row(spent="0.00", shows=0),
        row(spent=0.0, goals=0),
    ):
        assert not figures._has_figures(nothing)
    for something in (row(spent="0.01"), row(spent="0", goals=1), row(spent="x")):
        assert figures._has_figures(something)


# -- ids, days and totals --------------------------------------------------------------


def test_ids_and_days_are_asked_for_in_the_portions_vk_takes(
    on_bench: OnBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = on_bench(SOURCE)
    truth = keyed(BANNER_STATISTICS, bench.read(BANNER_STATISTICS, bench.whole()))
    banners = len(bench.read(BANNERS))
    assert banners > 4
    monkeypatch.setattr(figures, "IDS_AT_ONCE", 4)
    monkeypatch.setattr(figures, "DAYS_AT_ONCE", 5)
    bench.server.requests.clear()
    rows = bench.read(BANNER_STATISTICS, bench.whole())
    assert keyed(BANNER_STATISTICS, rows) == truth
    assert len(asked(bench)) == 3 * -(-banners // 4)
    assert {len(params["id"].split(",")) for params in asked(bench)} <= {4, banners % 4}
    spans = {(p["date_from"], p["date_to"]) for p in asked(bench)}
    assert ("2026-05-18", "2026-05-22") in spans and (
        "2026-05-28",
        "2026-05-31",
    ) in spans


def test_days_over_the_limit_are_halved(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = keyed(BANNER_STATISTICS, bench.read(BANNER_STATISTICS, bench.whole()))
    bench.face.inner.days_limit = 4  # type: ignore[attr-defined]
    rows = bench.read(BANNER_STATISTICS, bench.whole())
    assert keyed(BANNER_STATISTICS, rows) == truth
    bench.face.inner.days_limit = 0  # type: ignore[attr-defined]
    with pytest.raises(FatalError, match="ERR_LIMIT_EXCEEDED"):
        bench.read(BANNER_STATISTICS)


def test_an_id_that_vk_forgot_spoils_no_other(
    on_bench: OnBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(BANNER_STATISTICS)
    forgotten = truth[0]["id"]
    bench.face.inner.unknown_ids = {forgotten}  # type: ignore[attr-defined]
    rows = bench.read(BANNER_STATISTICS)
    kept = [row for row in truth if row["id"] != forgotten]
    assert keyed(BANNER_STATISTICS, rows) == keyed(BANNER_STATISTICS, kept)
    assert f"id {forgotten} is left out" in caplog.text
    # and the campaigns still know of its money
    total = bench.connector().control_total(BANNER_STATISTICS, bench.window())
    assert total is not None
    known = {row["id"] for row in bench.read(BANNERS)}
    assert total > sum(Decimal(row["spent"]) for row in rows)
    bench.face.inner.unknown_ids = known  # type: ignore[attr-defined]
    with pytest.raises(FatalError, match="read_ads"):
        bench.read(BANNER_STATISTICS)


def test_an_answer_that_does_not_come_to_its_total_is_refused(
    on_bench: OnBench,
) -> None:
    bench = on_bench(SOURCE)

    def spoiled(change: Any) -> Any:
        def answer(request: Request, ask: Ask) -> Response:
            given = ask(request)
            if "/statistics/" not in request.path:
                return given
            content = json.loads(given.body)
            change(content)
            return json_response(content)

        return answer

    def shorter(content: Any) -> None:
        busy = max(content["items"], key=lambda item: item["total"]["base"]["shows"])
        content["items"].remove(busy)

    bench.face.strike_all(spoiled(shorter))
    with pytest.raises(RetriableError, match="shows"):
        bench.read(BANNER_STATISTICS)
    bench.face.strike_all(spoiled(lambda content: content.pop("total")))
    with pytest.raises(ParseError, match="total"):
        bench.read(BANNER_STATISTICS)
    bench.face.strike_all(spoiled(lambda c: c["items"][0].update(id=1)))
    with pytest.raises(ParseError, match="not asked for"):
        bench.read(BANNER_STATISTICS)


def test_a_list_is_read_to_its_count_and_no_further() -> None:
    page = lists.page({"count": 3, "offset": 0, "items": [{"id": 1}]}, "x")
    assert (page.total, page.next) == (3, 1), "VK cut the page shorter than asked"
    assert lists.page({"count": 1, "offset": 0, "items": [{"id": 1}]}, "x").next is None
    assert lists.page({"count": 0, "items": []}, "x").next is None
    for broken in ({"items": []}, {"count": "1", "items": []}, {"count": 1}, [], None):
        with pytest.raises(ParseError):
            lists.page(broken, "x")


# -- tokens ------------------------------------------------------------------------


def test_one_token_serves_every_worker_and_every_run(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE, rate_limits=True)
    for _ in range(8):  # a sixth token would be refused
        bench.read(AD_PLANS)
    assert grants(bench) == ["client_credentials"]
    bench.face.inner.desk.expire()
    barrier, errors = threading.Barrier(4), []
    connectors = [bench.connector() for _ in range(4)]

    def work(connector: Any) -> None:
        barrier.wait()
        try:
            bench.read(AD_PLANS, connector=connector)
        except ConnectorError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(each,)) for each in connectors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert grants(bench) == ["client_credentials", "refresh_token"]


def test_a_refresh_ends_the_old_token_and_takes_no_place_of_the_five(
    on_bench: OnBench,
) -> None:
    bench = on_bench(SOURCE, rate_limits=True)
    for _ in range(7):
        bench.read(AD_PLANS)
        bench.face.inner.desk.expire()
    assert grants(bench) == ["client_credentials"] + ["refresh_token"] * 6
    assert bench.face.inner.desk.given == 1


def test_the_sixth_token_is_refused_with_the_remedy(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE, rate_limits=True)
    bench.face.inner.desk.given = 5  # by other programs that have this key
    with pytest.raises(FatalError, match="oauth2/token/delete") as caught:
        bench.read(AD_PLANS)
    assert "token_limit_exceeded" in str(caught.value)
    assert bench.account.conn_id in str(caught.value)
    assert CANARY not in str(caught.value)
    assert bench.requests == 1


def test_a_refresh_token_that_died_gives_way_to_the_key() -> None:
    def request(extra: dict[str, str], kept: str | None, **settings: str) -> Any:
        connection = ConnectionInfo(
            "c", extra={"client_id": "1", "client_secret": "s", **extra}
        )
        account = accounts()[SOURCE].model_copy(update={"settings": settings})
        return VkAds.token_request(account, connection, kept)

    first = request({}, None)
    assert first.url == TOKEN_URL and first.otherwise is None
    assert first.form["grant_type"] == "client_credentials"
    again = request({}, "r")
    assert again.form["grant_type"] == "refresh_token"
    assert again.form["refresh_token"] == "r"
    assert again.otherwise == first
    # another user's consent: the key's own account is another one
    consent = request({"refresh_token": "theirs"}, None)
    assert consent.form["refresh_token"] == "theirs" and consent.otherwise is None
    agency = request({}, None, agency_client_name="shop-4711")
    assert agency.form["grant_type"] == "agency_client_credentials"
    assert agency.form["agency_client_name"] == "shop-4711"


def test_an_agency_reads_its_client(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    settings = {"agency_client_name": "shop-4711"}
    account = bench.account.model_copy(update={"settings": settings})
    assert bench.read(AD_PLANS, connector=bench.connector(account))
    assert grants(bench) == ["agency_client_credentials"]


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("code", ["expired_token", "invalid_token", "revoked_token"])
def test_401_in_either_shape_is_one_renewal(
    code: str, flat: bool, on_bench: OnBench
) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(AD_PLANS)
    bench.face.strike(0, lambda request, ask: error_body(code, 401, flat=flat))
    assert bench.read(AD_PLANS) == truth
    assert grants(bench) == ["client_credentials", "refresh_token"]
    bench.server.requests.clear()
    bench.face.strike_all(
        lambda request, ask: (
            ask(request)
            if request.path == TOKEN_PATH
            else error_body(code, 401, flat=flat)
        )
    )
    with pytest.raises(FatalError, match="client_secret"):
        bench.read(AD_PLANS)
    assert len(grants(bench)) == 1, "renewed more than once for one request"


# -- errors and limits ---------------------------------------------------------------


def test_each_code_says_what_to_do() -> None:
    for code, todo in WHAT_TO_DO.items():
        error = ApiError(code, "said so").as_error("x", 403)
        assert isinstance(error, FatalError) and todo in str(error)
    for code in ("ERR_WRONG_BANNERS", "ERR_WRONG_ADPLANS", "ERR_WRONG_IDS"):
        assert isinstance(ApiError(code, "").as_error("x"), WrongIds)
    assert isinstance(ApiError("ERR_LIMIT_EXCEEDED", "").as_error("x"), TooMuch)
    assert isinstance(ApiError("ERR_WRONG_DATE", "").as_error("x"), FatalError)
    assert not isinstance(ApiError("ERR_WRONG_DATE", "").as_error("x"), WrongIds)
    assert ApiError("ERR_INTERNAL", "").as_error("x", 503) is None, "tried again"
    assert ApiError("expired_token", "").as_error("x", 401) is None, "renewed"


def test_errors_are_found_in_both_shapes_and_nowhere_else() -> None:
    known = ApiError("expired_token", "Access token is expired")
    error = {"code": known.code, "message": known.message}
    assert ApiError.of(error) == ApiError.of({"error": error}) == known
    for other in ({}, [], None, {"items": [], "code": "x"}, {"code": 5}, {"error": []}):
        assert ApiError.of(other) is None


def test_the_wait_is_to_the_end_of_the_calendar_hour_or_day() -> None:
    now = datetime(2026, 5, 1, 18, 45, 30, tzinfo=UTC)  # 21:45:30 in Moscow

    def wait(**remaining: str) -> float | None:
        headers = {f"X-RateLimit-{k}-Remaining": v for k, v in remaining.items()}
        return wait_of(headers, now)

    assert wait(RPS="0", Hourly="5", Daily="90") == 1
    assert wait(RPS="0", Hourly="0", Daily="90") == 14.5 * 60
    assert wait(RPS="0", Hourly="0", Daily="0") == 2 * 3600 + 14.5 * 60
    assert wait(RPS="1", Hourly="5") is None
    assert wait() is None


def test_429_is_waited_out_by_the_limits_in_its_headers(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(AD_PLANS)
    headers = {"X-RateLimit-RPS-Remaining": "0"}
    busy = json_response({"error": {"code": "too_many", "message": ""}}, 429, headers)
    bench.face.strike(0, lambda request, ask: busy)
    assert bench.read(AD_PLANS) == truth
    assert 1 <= bench.slept[0] <= 2


# -- recorded answers ----------------------------------------------------------------


def test_recorded_answers_of_other_tools_are_read(on_bench: OnBench) -> None:
    """Without totals, with money as numbers, with groups of figures nobody asked for."""
    connector = on_bench(SOURCE).connector()
    base = {"shows": 5, "clicks": 1, "spent": 12.5}
    day = {"date": "2026-05-01", "base": base, "events": {"likes": 2}}
    content = {"items": [{"id": 7, "rows": [day]}]}
    body = json.dumps(content).encode()
    assert connector.parse(BANNER_STATISTICS, body, {}) == [
        {"id": 7, "date": "2026-05-01", **base, "events": {"likes": 2}}
    ]
    for bad in (
        {"items": [{"id": 7}]},
        {"items": [{"id": 7, "rows": [{"date": "2026-05-01"}]}]},
        {"items": [{"rows": [day]}]},
        {"items": None},
        {"error": {"code": "expired_token", "message": "m"}},
        {"error": {"code": "ERR_WRONG_DATE", "message": "m"}},
    ):
        with pytest.raises(ConnectorError):
            connector.parse(BANNER_STATISTICS, json.dumps(bad).encode(), {})
