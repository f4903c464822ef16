"""Meta, where it differs from other connectors: reports, cursors, limits, error codes."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from connectors.base.errors import (
    ConfigError,
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.stream import Window
from connectors.meta_ads import graph
from connectors.meta_ads.errors import (
    RETRY_AFTER,
    WHAT_TO_DO,
    ApiError,
    TooMuchData,
    usage_of,
    wait_of,
)
from connectors.meta_ads.streams import (
    AD_INSIGHTS,
    ADS,
    ADSETS,
    CAMPAIGN_INSIGHTS,
    CAMPAIGNS,
)
from simulator.face import Request, Response, json_response
from tests.connectors.bench import CANARY, END, keyed

if TYPE_CHECKING:
    from tests.connectors.bench import Ask, Bench, OnBench

SOURCE = "meta_ads"
ZONE = "Europe/Moscow"


def kopecks(row: dict[str, Any]) -> int:
    amount = Decimal(row["spend"]) * 100
    assert amount == int(amount)
    return int(amount)


def costs(bench: Bench) -> list[Any]:
    """What the company knows that Meta shows."""
    found = bench.world.ad_costs_as_of(END)
    return [cost for cost in found if cost.platform == SOURCE]


def paths(bench: Bench) -> list[tuple[str, str]]:
    """Method and last part of the path of each request."""
    return [(r.method, r.path.rpartition("/")[2]) for r in bench.server.requests]


def error_body(code: int, status: int = 400, **more: Any) -> Response:
    error = {"code": code, "message": "said so", "type": "OAuthException", **more}
    return json_response({"error": error}, status)


# -- figures -----------------------------------------------------------------------


def test_costs_by_day_and_platform_equal_the_company_to_the_kopeck(
    on_bench: OnBench,
) -> None:
    bench = on_bench(SOURCE)
    truth: Counter[tuple[str, str]] = Counter()
    clicks: Counter[str] = Counter()
    for cost in costs(bench):
        truth[cost.date.isoformat(), cost.network] += cost.cost_kopecks
        clicks[cost.network] += cost.clicks
    rows = bench.read(AD_INSIGHTS, bench.whole())
    read: Counter[tuple[str, str]] = Counter()
    read_clicks: Counter[str] = Counter()
    for row in rows:
        read[row["date_start"], row["publisher_platform"]] += kopecks(row)
        read_clicks[row["publisher_platform"]] += int(row["clicks"])
    assert read == truth
    assert +read_clicks == +clicks
    assert {network for _, network in truth} == {"facebook", "instagram"}
    assert min(clicks.values()) > 0
    by_campaign = bench.read(CAMPAIGN_INSIGHTS, bench.whole())
    assert sum(map(kopecks, by_campaign)) == sum(truth.values())


def test_spend_stays_the_text_it_was(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)

    def exact(request: Request, ask: Ask) -> Response:
        content = json.loads(ask(request).body)
        for row in content["data"]:
            row["spend"] = "10.10"
        return json_response(content)

    bench.face.strike_all(exact)
    rows = bench.read(AD_INSIGHTS, bench.window(1))
    assert {row["spend"] for row in rows} == {"10.10"}
    assert all(isinstance(row["ad_id"], str) for row in rows)
    assert max(len(row["ad_id"]) for row in rows) >= 17
    kinds = {action["action_type"] for row in rows for action in row.get("actions", ())}
    assert "link_click" in kinds


def test_deleted_and_archived_ads_keep_their_costs_and_names(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    ads = keyed(ADS, bench.read(ADS))
    gone = {
        key
        for key, ad in ads.items()
        if ad["effective_status"] in ("ARCHIVED", "DELETED")
    }
    assert len(gone) == 2
    spent = {row["ad_id"] for row in bench.read(AD_INSIGHTS, bench.whole())}
    assert gone <= spent <= set(ads)
    # what Meta gives to one who does not ask for them
    path = f"{graph.VERSION}/act_1734500000000017"
    client = bench.connector().client
    listed = client.get(f"{path}/ads", {"fields": "id", "limit": 500}).json()["data"]
    assert {ad["id"] for ad in listed} == set(ads) - gone
    time_range = {"since": str(bench.world.start_date), "until": "2026-05-31"}
    bare = {
        "level": "ad",
        "fields": "ad_id,spend",
        "time_range": json.dumps(time_range),
    }
    rows = client.get(f"{path}/insights", {**bare, "limit": 500}).json()["data"]
    assert {row["ad_id"] for row in rows} == spent - gone


def test_every_ad_hangs_on_an_ad_set_and_a_campaign(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    campaigns = keyed(CAMPAIGNS, bench.read(CAMPAIGNS))
    adsets = keyed(ADSETS, bench.read(ADSETS))
    for ad in bench.read(ADS):
        assert adsets[ad["adset_id"]]["campaign_id"] == ad["campaign_id"]
        assert ad["campaign_id"] in campaigns
        assert "utm_campaign={{campaign.id}}" in ad["creative"]["url_tags"]
        assert ad["creative"]["object_story_spec"]["link_data"]["link"]


def test_campaigns_control_the_report_by_ads(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    connector = bench.connector()
    total = connector.control_total(AD_INSIGHTS, bench.whole())
    assert total == Decimal(sum(c.cost_kopecks for c in costs(bench))) / 100
    assert connector.control_total(CAMPAIGN_INSIGHTS, bench.whole()) is None


def test_a_restated_cost_is_read_again_as_restated(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    restated = [
        c
        for c in bench.world.ad_costs
        if c.platform == SOURCE and c.restated_on and c.restated_on < END
    ]
    row = max(restated, key=lambda c: abs(c.cost_kopecks - c.first_cost_kopecks))
    assert row.restated_on is not None
    assert (row.restated_on - row.date).days <= AD_INSIGHTS.restate_days
    window = Window(row.date, row.date + timedelta(days=1), ZONE)

    def read_on(day: date) -> int:
        bench.server.set_now(bench.world.now - (bench.world.end_date - day))
        return sum(map(kopecks, bench.read(AD_INSIGHTS, window)))

    before = read_on(row.restated_on - timedelta(days=1))
    after = read_on(END)
    assert after - before == row.cost_kopecks - row.first_cost_kopecks != 0


# -- reports -----------------------------------------------------------------------


def test_few_days_come_at_once_and_more_are_ordered(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    few = bench.read(AD_INSIGHTS, bench.window(3))
    assert paths(bench) == [("GET", "insights")]
    bench.server.requests.clear()
    more = bench.read(AD_INSIGHTS, bench.window(4))
    order, state, page = bench.server.requests
    assert order.method == "POST" and order.path.endswith("/insights")
    asked = {k: v[0] for k, v in parse_qs(order.body.decode()).items()}
    assert asked["level"] == "ad" and asked["time_increment"] == "1"
    assert asked["breakdowns"] == "publisher_platform"
    assert json.loads(asked["time_range"]) == {
        "since": "2026-05-28",
        "until": "2026-05-31",
    }
    assert page.path == f"{state.path}/insights"
    new = keyed(AD_INSIGHTS, more)
    assert keyed(AD_INSIGHTS, few).items() <= new.items()


def test_a_report_is_ready_when_both_its_state_and_its_progress_say_so(
    on_bench: OnBench,
) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(AD_INSIGHTS, bench.whole())
    assert bench.slept == []
    states = [
        ("Job Not Started", 0),
        ("Job Running", 42),
        ("Job Running", 100),
        ("Job Completed", 99),
        ("Job Completed", 100),
    ]
    waiting = iter(states)

    def state(request: Request, ask: Ask) -> Response:
        if request.method == "GET" and "insights" not in request.path:
            name, share = next(waiting)
            return json_response(
                {"async_status": name, "async_percent_completion": share}
            )
        return ask(request)

    bench.face.strike_all(state)
    assert bench.read(AD_INSIGHTS, bench.whole()) == truth
    assert bench.slept == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("state", ["Job Failed", "Job Skipped"])
def test_a_report_that_fails_is_ordered_again_for_half_of_the_days(
    state: str, on_bench: OnBench
) -> None:
    bench = on_bench(SOURCE)
    truth = keyed(AD_INSIGHTS, bench.read(AD_INSIGHTS, bench.whole()))
    given = json_response(
        {"id": "1", "async_status": state, "async_percent_completion": 0}
    )
    bench.face.strike(1, lambda request, ask: given)
    assert keyed(AD_INSIGHTS, bench.read(AD_INSIGHTS, bench.whole())) == truth
    bench.face.inner.report_days_limit = 4  # type: ignore[attr-defined]
    bench.server.requests.clear()
    assert keyed(AD_INSIGHTS, bench.read(AD_INSIGHTS, bench.whole())) == truth
    # 14 days; 7 and 7; 4 and 3, twice: those of three days come at once
    assert paths(bench).count(("POST", "insights")) == 5
    bench.face.inner.days_at_once_limit = 0  # type: ignore[attr-defined]
    bench.face.inner.report_days_limit = 0  # type: ignore[attr-defined]
    with pytest.raises(RetriableError, match="one day only"):
        bench.read(AD_INSIGHTS)


def test_a_report_refused_for_its_token_is_not_halved(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    failed = {"async_status": "Job Failed", "error_code": 190, "error_message": "gone"}
    bench.face.strike(1, lambda request, ask: json_response(failed))
    with pytest.raises(FatalError, match="system user"):
        bench.read(AD_INSIGHTS)
    assert bench.requests == 2


def test_too_much_at_once_is_ordered(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(AD_INSIGHTS, bench.window(2))
    bench.face.inner.days_at_once_limit = 1  # type: ignore[attr-defined]
    bench.server.requests.clear()
    assert bench.read(AD_INSIGHTS, bench.window(2)) == truth
    assert ("POST", "insights") in paths(bench)
    assert bench.slept == [], "asking for less needs no waiting"


def test_pages_shrink_when_meta_cannot_make_them(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = keyed(AD_INSIGHTS, bench.read(AD_INSIGHTS, bench.whole()))
    assert len(truth) > 70
    bench.face.inner.rows_limit = 70  # type: ignore[attr-defined]
    bench.server.requests.clear()
    assert keyed(AD_INSIGHTS, bench.read(AD_INSIGHTS, bench.whole())) == truth
    asked = [r.query.get("limit", [""])[0] for r in bench.server.requests]
    assert asked[2:6] == ["500", "250", "125", "62"]
    assert set(asked[6:]) == {"62"}


def test_a_report_just_ordered_may_not_be_there_yet(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(AD_INSIGHTS)
    not_yet = error_body(100, error_subcode=33)
    bench.face.strike(1, lambda request, ask: not_yet)
    assert bench.read(AD_INSIGHTS) == truth
    assert len(bench.slept) == 1
    # while an account that is not there is the owner's to mend
    bench.face.strike_all(lambda request, ask: not_yet)
    with pytest.raises(FatalError, match="ad_account_id"):
        bench.read(AD_INSIGHTS, bench.window(1))


def test_rows_that_do_not_come_to_their_summary_are_refused(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    for name in ("impressions", "clicks"):

        def less(request: Request, ask: Ask, name: str = name) -> Response:
            content = json.loads(ask(request).body)
            content["summary"][name] = str(int(content["summary"][name]) + 1)
            return json_response(content)

        bench.face.strike_all(less)
        with pytest.raises(RetriableError, match=name):
            bench.read(AD_INSIGHTS, bench.window(1))


# -- paging ------------------------------------------------------------------------


def test_the_next_page_is_reached_by_its_cursor_and_never_by_a_url(
    on_bench: OnBench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bench = on_bench(SOURCE, page_size=20)
    truth = bench.read(AD_INSIGHTS, bench.whole())
    assert any(CANARY.encode() in answer.body for answer in bench.face.answers)

    def elsewhere(request: Request, ask: Ask) -> Response:
        content = json.loads(ask(request).body)
        if content.get("paging", {}).get("next"):
            content["paging"]["next"] = "http://127.0.0.1:9/steal?after=x"
        return json_response(content)

    bench.face.strike_all(elsewhere)
    assert bench.read(AD_INSIGHTS, bench.whole()) == truth
    assert CANARY not in json.dumps(truth)
    assert CANARY not in caplog.text


def test_a_cursor_on_the_last_page_leads_nowhere_and_an_empty_page_goes_on() -> None:
    last = {"data": [{"id": "1"}], "paging": {"cursors": {"after": "QQ"}}}
    assert graph.page(last, "x").next is None
    empty = {"data": [], "paging": {"cursors": {"after": "QQ"}, "next": "https://x"}}
    assert graph.page(empty, "x").next == "QQ"
    for broken in (
        {"data": [], "paging": {"next": "https://x"}},
        {"data": {}},
        {"data": [1]},
        [],
        None,
    ):
        with pytest.raises(ParseError):
            graph.page(broken, "x")


def test_a_list_shorter_than_its_count_is_refused(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)

    def short(request: Request, ask: Ask) -> Response:
        content = json.loads(ask(request).body)
        return json_response({**content, "data": content["data"][:-1]})

    bench.face.strike_all(short)
    with pytest.raises(RetriableError, match="declared"):
        bench.read(ADS)


# -- errors and limits ---------------------------------------------------------------


def test_each_code_is_waited_out_or_says_what_to_do() -> None:
    assert set(RETRY_AFTER) & set(WHAT_TO_DO) == set()
    for code in RETRY_AFTER:
        error = ApiError(code, 0, "said so").as_error("x")
        assert isinstance(error, RetriableError) and error.retry_after
    for code, todo in WHAT_TO_DO.items():
        error = ApiError(code, 0, "said so").as_error("meta_ads/spb: GET v25.0/act_1")
        assert isinstance(error, FatalError) and todo in str(error)
    unknown = ApiError(99999, 0, "said so")
    assert isinstance(unknown.as_error("x"), FatalError)
    assert isinstance(unknown.as_error("x", 500), RetriableError)
    passing = ApiError(99999, 0, "said so", is_transient=True)
    assert isinstance(passing.as_error("x"), RetriableError)
    text = "Please reduce the amount of data you're asking for, then retry"
    for much in (
        ApiError(1, 99, text),
        ApiError(1, 0, text),
        ApiError(2, 1504018, "slow"),
    ):
        assert isinstance(much.as_error("x", 500), TooMuchData)
    assert ApiError.of({"error": CANARY}) is None
    assert ApiError.of({"error": {"code": "190", "message": "m"}}) == ApiError(
        190, 0, "m"
    )


@pytest.mark.parametrize("code", [4, 17, 613, 80000, 80004])
def test_a_limit_is_waited_out_as_long_as_the_headers_say(
    code: int, on_bench: OnBench
) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(AD_INSIGHTS)
    usage = [
        {"type": "ads_management", "estimated_time_to_regain_access": 0},
        {"type": "ads_insights", "estimated_time_to_regain_access": 19},
    ]
    busy = error_body(code)
    busy.headers["x-business-use-case-usage"] = json.dumps({"1": usage})
    bench.face.strike(0, lambda request, ask: busy)
    assert bench.read(AD_INSIGHTS) == truth
    assert 19 * 60 <= bench.slept[0] <= 19 * 60 + 2
    bench.slept.clear()
    bench.face.strike(0, lambda request, ask: error_body(code))
    assert bench.read(AD_INSIGHTS) == truth
    assert 300 <= bench.slept[0] <= 302


def test_the_simulated_account_has_limits_that_are_met(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE, rate_limits=True)
    truth = bench.read(AD_INSIGHTS)
    for _ in range(600):
        bench.face.inner._limit.is_exceeded()  # type: ignore[attr-defined]
    with pytest.raises(RetriableError, match="80000"):
        bench.read(AD_INSIGHTS)
    assert 60 <= bench.slept[0] <= 62 and truth


def test_usage_headers_are_read_whatever_they_hold() -> None:
    account = '{"acc_id_util_pct": 100, "reset_time_duration": 40}'
    assert wait_of({"X-Ad-Account-Usage": account}) == 40
    assert usage_of({"X-Ad-Account-Usage": account}) == 100
    throttle = '{"app_id_util_pct": 12.5, "acc_id_util_pct": 80.5}'
    assert usage_of({"x-fb-ads-insights-throttle": throttle}) == 80.5
    assert wait_of({"x-fb-ads-insights-throttle": throttle}) is None
    for odd in ("", "[]", "{}", "null", '{"1": 2}', '{"1": [3]}', "{", '{"1": [{}]}'):
        assert wait_of({"x-business-use-case-usage": odd}) is None
        assert usage_of({"x-business-use-case-usage": odd}) == 0


def test_a_limit_nearly_used_up_is_said(
    on_bench: OnBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = on_bench(SOURCE)

    def nearly(request: Request, ask: Ask) -> Response:
        answer = ask(request)
        answer.headers["x-fb-ads-insights-throttle"] = '{"acc_id_util_pct": 91}'
        return answer

    bench.face.strike_all(nearly)
    bench.read(AD_INSIGHTS, bench.window(1))
    assert "91 %" in caplog.text


def test_a_token_in_the_query_is_never_sent(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    bench.read(AD_INSIGHTS)
    bench.connector(extra={"app_secret": "app-secret-55aa"}).check()
    for request in bench.server.requests:
        assert "access_token" not in request.query
        assert CANARY not in str(request.query) + request.path
    proof = bench.server.requests[-1].query["appsecret_proof"][0]
    assert len(proof) == 64 and "app-secret" not in str(bench.server.requests[-1].query)


# -- settings ----------------------------------------------------------------------


def test_an_ad_account_may_be_written_as_people_write_it(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    number = bench.account.settings["ad_account_id"]
    for written in (number, f"act_{number}", int(number)):
        settings = {"ad_account_id": written}
        account = bench.account.model_copy(update={"settings": settings})
        assert bench.read(CAMPAIGNS, connector=bench.connector(account))
    for wrong in ("act_", "my account", "", True, 1.5):
        account = bench.account.model_copy(
            update={"settings": {"ad_account_id": wrong}}
        )
        with pytest.raises(ConfigError, match="ad_account_id"):
            bench.connector(account)


@pytest.mark.parametrize(
    ("name", "value"), [("currency_code", "USD"), ("time_zone", "Asia/Tokyo")]
)
def test_another_currency_or_zone_than_the_accounts_is_said(
    name: str, value: str, on_bench: OnBench
) -> None:
    bench = on_bench(SOURCE)
    account = bench.account.model_copy(update={name: value})
    with pytest.raises(ConfigError, match=name):
        bench.connector(account).check()
    same = bench.account.model_copy(update={"time_zone": "Europe/Simferopol"})
    assert bench.connector(same).check()
    if name == "currency_code":
        with pytest.raises(ConfigError, match="RUB"):
            bench.read(AD_INSIGHTS, connector=bench.connector(account))


# -- recorded answers ----------------------------------------------------------------


def test_orders_and_states_hold_no_records_and_errors_mean_what_they_say(
    on_bench: OnBench,
) -> None:
    connector = on_bench(SOURCE).connector()

    def parse(content: Any) -> list[dict[str, Any]]:
        return connector.parse(AD_INSIGHTS, json.dumps(content).encode(), {})

    assert parse({"report_run_id": "600000000000001"}) == []
    assert parse({"id": "6", "async_status": "Job Running"}) == []
    assert parse({"id": "6", "async_status": "Job Completed"}) == []
    with pytest.raises(TooMuchData):
        parse({"id": "6", "async_status": "Job Failed", "error_code": 2601})
    with pytest.raises(FatalError, match="system user"):
        parse({"error": {"code": 190, "message": "expired"}})
    with pytest.raises(RetriableError):
        parse({"error": {"code": 2, "message": "later"}})
    for bad in (
        {},
        [],
        {"data": None},
        {"data": [{"spend": "1"}]},
        {"async_status": 5},
    ):
        with pytest.raises(ConnectorError):
            parse(bad)
