"""Google Ads' reports and lists, over real HTTP against its simulator."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.base.errors import (
    ConfigError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.stream import Window
from connectors.google_ads import GoogleAds, search
from connectors.google_ads.simulator import (
    CUSTOMER_ID,
    MANAGER_ID,
    ApiError,
    _tables,
)
from connectors.google_ads.streams import (
    ACCOUNT_PERFORMANCE,
    AD_GROUP_PERFORMANCE,
    AD_PERFORMANCE,
    ADS,
    CAMPAIGN_PERFORMANCE,
    CAMPAIGNS,
    CLICK_VIEW,
    KEYWORD_PERFORMANCE,
    KEYWORDS,
    SEARCH_TERMS,
)
from simulator.face import json_response
from tests.connectors.bench import CANARY

if TYPE_CHECKING:
    from connectors.base.connector import Connector
    from tests.connectors.bench import Bench, OnBench

LEVELS = (
    ACCOUNT_PERFORMANCE,
    CAMPAIGN_PERFORMANCE,
    AD_GROUP_PERFORMANCE,
    AD_PERFORMANCE,
)


@pytest.fixture
def bench(on_bench: OnBench) -> Bench:
    return on_bench("google_ads")


def costs(bench: Bench) -> list[Any]:
    firm = bench.face.inner.view
    return [row for row in firm.ad_costs if row.platform == "google_ads"]


def total(rows: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row["cost"]) for row in rows), Decimal(0))


def with_settings(bench: Bench, **changed: Any) -> Connector:
    settings = {**bench.account.settings, **changed}
    kept = {name: value for name, value in settings.items() if value is not None}
    return bench.connector(bench.account.model_copy(update={"settings": kept}))


# -- figures -------------------------------------------------------------------------


@pytest.mark.parametrize("stream", LEVELS, ids=lambda s: s.name)
def test_each_level_adds_up_to_what_was_spent(bench: Bench, stream: Any) -> None:
    rows = bench.read(stream, bench.whole())
    spent = sum(row.cost_kopecks for row in costs(bench))
    assert spent > 0
    assert total(rows) == Decimal(spent) / 100
    assert sum(int(r["metrics.clicks"]) for r in rows) == sum(
        row.clicks for row in costs(bench)
    )
    for row in rows:
        assert Decimal(row["cost"]) * 10**6 == int(row["metrics.costMicros"])
        assert "e" not in row["cost"].lower()


def test_keywords_and_what_had_none_are_the_ads(bench: Bench) -> None:
    keywords = bench.read(KEYWORD_PERFORMANCE, bench.whole())
    ads = bench.read(AD_PERFORMANCE, bench.whole())
    assert 0 < total(keywords) < total(ads)
    shared = AD_PERFORMANCE.key
    known = {tuple(row[name] for name in shared) for row in ads}
    assert {tuple(row[name] for name in shared) for row in keywords} <= known


def test_networks_stay_apart(bench: Bench) -> None:
    rows = bench.read(CAMPAIGN_PERFORMANCE, bench.whole())
    assert {row["segments.adNetworkType"] for row in rows} == {
        "SEARCH",
        "SEARCH_PARTNERS",
        "CONTENT",
        "YOUTUBE",
    }


def test_a_cost_of_one_micro_is_one_micro() -> None:
    row = {
        "campaign": {"id": "1"},
        "metrics": {"costMicros": "1"},
        "segments": {"date": "2026-05-01", "adNetworkType": "SEARCH", "device": "M"},
    }
    body = json.dumps([{"results": [row], "fieldMask": "x"}]).encode()
    (record,) = search.parsed(CAMPAIGN_PERFORMANCE, body, "test")
    assert record["cost"] == "0.000001"
    del row["metrics"]
    body = json.dumps([{"results": [row], "fieldMask": "x"}]).encode()
    (record,) = search.parsed(CAMPAIGN_PERFORMANCE, body, "test")
    assert Decimal(record["cost"]) == 0


def test_performance_max_is_known_as_a_campaign_only(bench: Bench) -> None:
    face = bench.face.inner
    firm = face.firm
    first = next(c for c in firm.campaigns if c.platform == "google_ads")
    campaigns = [
        replace(c, type="PERFORMANCE_MAX") if c is first else c for c in firm.campaigns
    ]
    view = replace(face.view, campaigns=campaigns)
    tables = _tables(view)
    face._known = lambda: tables
    window = bench.whole()
    ads = bench.read(AD_PERFORMANCE, window)
    everything = bench.read(CAMPAIGN_PERFORMANCE, window)
    assert first.campaign_id not in {int(row["campaign.id"]) for row in ads}
    of_ads = [r for r in everything if int(r["campaign.id"]) != first.campaign_id]
    assert 0 < total(of_ads) < total(everything)
    assert total(ads) == total(of_ads)
    connector = bench.connector()
    assert connector.control_total(AD_PERFORMANCE, window) == total(of_ads)
    assert connector.control_total(CAMPAIGN_PERFORMANCE, window) == total(everything)
    assert connector.control_total(KEYWORD_PERFORMANCE, window) is None


def test_search_terms_are_parts_of_their_keywords(bench: Bench) -> None:
    terms = bench.read(SEARCH_TERMS, bench.whole())
    keywords = bench.read(KEYWORD_PERFORMANCE, bench.whole())
    assert 0 < total(terms) <= total(keywords)
    names = ("segments.date", "adGroup.id", "segments.keyword.adGroupCriterion")
    known = {tuple(row[name] for name in names) for row in keywords}
    assert {tuple(row[name] for name in names) for row in terms} <= known


def test_clicks_are_asked_for_day_by_day_and_name_their_ad(bench: Bench) -> None:
    rows = bench.read(CLICK_VIEW, bench.whole())
    firm = bench.face.inner.view
    assert {row["clickView.gclid"] for row in rows} == {c.click_id for c in firm.clicks}
    by_id = {click.click_id: click for click in firm.clicks}
    for row in rows:
        click = by_id[row["clickView.gclid"]]
        assert row["clickView.adGroupAd"].endswith(
            f"/{click.ad_group_id}~{click.ad_id}"
        )
        if click.keyword_id is not None:
            assert row["clickView.keyword"].endswith(f"~{click.keyword_id}")


def test_clicks_of_long_ago_are_refused_in_words(bench: Bench) -> None:
    end = bench.world.end_date - timedelta(days=100)
    with pytest.raises(FatalError, match="kept for 90 days"):
        bench.read(CLICK_VIEW, bench.window(2, end=end))


# -- is it whole? ----------------------------------------------------------------------


def streamed(bench: Bench, change: Any) -> None:
    """Let `change` spoil the array of chunks of each stream."""

    def spoil(request: Any, ask: Any) -> Any:
        answer = ask(request)
        if not request.path.endswith("searchStream"):
            return answer
        content = json.loads(answer.body)
        change(content)
        return json_response(content, answer.status)

    bench.face.strike_all(spoil)


def lost_chunk(chunks: list[Any]) -> None:
    del chunks[0]


def lost_row(chunks: list[Any]) -> None:
    chunks[0]["results"].pop()


def cut_after_the_first(chunks: list[Any]) -> None:
    del chunks[1:]


@pytest.mark.parametrize("change", [lost_chunk, lost_row, cut_after_the_first])
@pytest.mark.parametrize("stream", [*LEVELS, KEYWORD_PERFORMANCE], ids=lambda s: s.name)
def test_rows_that_are_missing_are_missed(
    on_bench: OnBench, stream: Any, change: Any
) -> None:
    bench = on_bench("google_ads", page_size=2)
    streamed(bench, change)
    with pytest.raises(RetriableError, match="rows came where"):
        bench.read(stream)


def test_without_a_summary_row_the_vendor_is_asked_to_count(bench: Bench) -> None:
    truth = bench.read(CAMPAIGN_PERFORMANCE)
    before = bench.requests
    bench.face.inner.with_summary = False
    assert bench.read(CAMPAIGN_PERFORMANCE) == truth
    assert bench.requests == before + 3  # account, stream, count; the token is kept


def test_nothing_found_is_believed_only_when_counted(bench: Bench) -> None:
    def empty(chunks: list[Any]) -> None:
        chunks[:] = []

    streamed(bench, empty)
    with pytest.raises(RetriableError, match="0 rows came where"):
        bench.read(CAMPAIGN_PERFORMANCE)


def test_rows_after_the_summary_are_no_answer(bench: Bench) -> None:
    streamed(bench, lambda chunks: chunks.append(chunks[0]))
    with pytest.raises(ParseError, match="after the summary row"):
        bench.read(CAMPAIGN_PERFORMANCE)


def test_rows_of_another_day_are_no_answer(bench: Bench) -> None:
    def move(chunks: list[Any]) -> None:
        for row in chunks[0]["results"]:
            row["segments"]["date"] = "2026-01-01"

    streamed(bench, move)
    with pytest.raises(ParseError, match="rows of 2026-01-01"):
        bench.read(CAMPAIGN_PERFORMANCE)


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "code", "error"),
    [
        (500, "internalError", "INTERNAL_ERROR", RetriableError),
        (504, "internalError", "DEADLINE_EXCEEDED", RetriableError),
        (429, "quotaError", "RESOURCE_EXHAUSTED", RetriableError),
        (400, "queryError", "UNRECOGNIZED_FIELD", FatalError),
        (403, "authorizationError", "CUSTOMER_NOT_ENABLED", FatalError),
    ],
)
def test_an_error_after_good_rows_fails_the_whole_read(
    bench: Bench, status: int, kind: str, code: str, error: type[Exception]
) -> None:
    wrong = ApiError(status, kind, code, "broken off").content()
    streamed(bench, lambda chunks: chunks.append(wrong))
    with pytest.raises(error, match=code):
        bench.read(CAMPAIGN_PERFORMANCE)


def test_an_error_after_good_rows_that_passes_is_asked_again(bench: Bench) -> None:
    truth = bench.read(CAMPAIGN_PERFORMANCE)
    wrong = ApiError(500, "internalError", "TRANSIENT_ERROR", "broken off").content()

    def once(request: Any, ask: Any) -> Any:
        content = json.loads(ask(request).body)
        return json_response([*content, wrong])

    bench.face.strike(1, once)  # account, then the stream
    assert bench.read(CAMPAIGN_PERFORMANCE) == truth


@pytest.mark.parametrize(("delay", "wait"), [("30s", 30), ("0.5s", 0.5), ("900s", 900)])
def test_a_quota_is_waited_for_as_long_as_it_says(
    bench: Bench, delay: str, wait: float
) -> None:
    details = {"rateScope": "DEVELOPER", "rateName": "ops", "retryDelay": delay}
    error = ApiError(
        429, "quotaError", "RESOURCE_EXHAUSTED", "Slow", quotaErrorDetails=details
    )
    busy = json_response([error.content()], 429)
    bench.face.strike(2, lambda request, ask: busy)
    bench.read(CAMPAIGN_PERFORMANCE)
    assert wait <= max(bench.slept) <= wait + 2


def test_a_quota_of_the_day_ends_the_task_after_few_requests(bench: Bench) -> None:
    details = {"retryDelay": "86400s"}
    error = ApiError(
        429, "quotaError", "RESOURCE_EXHAUSTED", "Slow", quotaErrorDetails=details
    )
    bench.face.strike_all(
        lambda request, ask: (
            ask(request)
            if request.path == "/token"
            else json_response([error.content()], 429)
        )
    )
    with pytest.raises(RetriableError, match="are used up") as caught:
        bench.read(CAMPAIGN_PERFORMANCE)
    assert caught.value.retry_after == 86400
    assert bench.requests <= 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"login_customer_id": None}, "login_customer_id"),
        ({"customer_id": "7111111111"}, "correct customer_id"),
        ({"customer_id": MANAGER_ID}, "is a manager account"),
        ({"api_version": "v19"}, "set api_version"),
    ],
)
def test_wrong_settings_end_in_words_after_one_question(
    bench: Bench, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(FatalError, match=message):
        bench.read(CAMPAIGN_PERFORMANCE, connector=with_settings(bench, **changed))
    paths = [entry.path for entry in bench.server.requests]
    assert len(paths) == 2 and paths[0].endswith("/token")


@pytest.mark.parametrize("wrong", ["700-321-0099", "", "abc", "12"])
def test_a_customer_id_with_dashes_is_refused_before_any_request(
    bench: Bench, wrong: str
) -> None:
    with pytest.raises(ConfigError, match="customer_id"):
        with_settings(bench, customer_id=wrong)
    assert bench.requests == 0


def test_a_wrong_developer_token_is_named(bench: Bench) -> None:
    extra = {
        "client_id": f"{CANARY}-client_id",
        "client_secret": f"{CANARY}-client_secret",
        "developer_token": "of-somebody-else-33",
    }
    with pytest.raises(FatalError, match=r"correct extra\.developer_token") as caught:
        bench.connector(extra=extra).check()
    assert "somebody-else" not in str(caught.value)
    assert bench.requests == 2


@pytest.mark.parametrize(
    ("field", "value", "right"),
    [
        ("time_zone", "Asia/Almaty", "Europe/Moscow"),
        ("currency_code", "KZT", "RUB"),
    ],
)
def test_another_zone_or_currency_stops_before_the_first_row(
    bench: Bench, field: str, value: str, right: str
) -> None:
    account = bench.account.model_copy(update={field: value})
    with pytest.raises(ConfigError, match=f"write {right} there"):
        bench.read(CAMPAIGN_PERFORMANCE, connector=bench.connector(account))
    assert bench.requests == 2


# -- access ----------------------------------------------------------------------------


def service_account(**changed: Any) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    content = {
        "type": "service_account",
        "private_key_id": "k1",
        "private_key": pem.decode(),
        "client_email": f"{CANARY}@project.example.org",
        **changed,
    }
    return json.dumps(content)


def test_a_service_account_needs_no_oauth_client(bench: Bench) -> None:
    truth = bench.read(CAMPAIGN_PERFORMANCE)
    extra = {"developer_token": f"{CANARY}-developer_token"}
    connector = bench.connector(password=service_account(), extra=extra)
    assert bench.read(CAMPAIGN_PERFORMANCE, connector=connector) == truth


def test_half_a_key_of_a_service_account_is_refused_in_words(bench: Bench) -> None:
    extra = {"developer_token": f"{CANARY}-developer_token"}
    with pytest.raises(ConfigError, match="field password") as caught:
        bench.connector(password=service_account(private_key="x"), extra=extra).check()
    assert "private_key" in str(caught.value)
    assert bench.requests == 0


def test_each_request_says_who_asks_for_whom(bench: Bench) -> None:
    seen: list[Any] = []

    def look(request: Any, ask: Any) -> Any:
        seen.append(request)
        return ask(request)

    bench.face.strike_all(look)
    bench.read(CAMPAIGN_PERFORMANCE)
    asked = [request for request in seen if request.path != "/token"]
    assert len(asked) >= 2
    for request in asked:
        assert request.headers["login-customer-id"] == MANAGER_ID
        assert request.headers["developer-token"] == f"{CANARY}-developer_token"
        assert f"/customers/{CUSTOMER_ID}/" in request.path


# -- lists and recorded answers ----------------------------------------------------------


def test_lists_hold_what_the_account_has(on_bench: OnBench) -> None:
    bench = on_bench("google_ads", page_size=3)
    firm = bench.face.inner.view
    mine = [c for c in firm.campaigns if c.platform == "google_ads"]
    assert {row["campaign.id"] for row in bench.read(CAMPAIGNS)} == {
        str(c.campaign_id) for c in mine
    }
    ads = bench.read(ADS)
    assert len(ads) == len([a for a in firm.ads if a.platform == "google_ads"])
    assert all(row["adGroupAd.ad.finalUrls"][0].startswith("https") for row in ads)
    keywords = bench.read(KEYWORDS)
    assert {row["adGroupCriterion.negative"] for row in keywords} == {False}


ROW = {
    "campaign": {"resourceName": "customers/1/campaigns/20000000000000000001",
                 "id": "20000000000000000001", "name": "Окна"},
}  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        {"results": [ROW], "fieldMask": "campaign.id"},
        [{"results": [ROW], "fieldMask": "campaign.id", "requestId": "r"}],
        [{"fieldMask": "x"}, {"results": [ROW], "fieldMask": "x"}],
        [{"results": [ROW]}, {"summaryRow": {"metrics": {}}, "fieldMask": "x"}],
    ],
)
def test_pages_and_streams_are_both_read(content: Any) -> None:
    records = search.parsed(CAMPAIGNS, json.dumps(content).encode(), "test")
    assert records == [{"campaign.id": "20000000000000000001", "campaign.name": "Окна"}]


@pytest.mark.parametrize(
    "content",
    [
        None, 1, "x", {}, [1], [{}], {"results": {}}, {"results": [1]},
        {"resourceNames": ["customers/1"]},
        {"results": [{"campaign": {"name": "no id"}}]},
        {"results": [{**ROW, "campaign": 3}]},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(content: Any) -> None:
    with pytest.raises(ParseError):
        search.parsed(CAMPAIGNS, json.dumps(content).encode(), "test")


@pytest.mark.parametrize("micros", ["", "1.5", "1e6", "NaN", True, 1.5, [], "١"])
def test_a_figure_that_is_no_whole_number_is_refused(micros: Any) -> None:
    row = {
        "metrics": {"costMicros": micros},
        "campaign": {"id": "1"},
        "segments": {"date": "2026-05-01", "adNetworkType": "SEARCH", "device": "M"},
    }
    body = json.dumps([{"results": [row]}]).encode()
    with pytest.raises(ParseError):
        search.parsed(CAMPAIGN_PERFORMANCE, body, "test")


def test_a_query_spells_names_as_the_language_does() -> None:
    window = Window(date(2026, 5, 1), date(2026, 5, 3), "Europe/Moscow")
    asked = search.query(AD_PERFORMANCE, window)
    assert asked.startswith("SELECT segments.date, ad_group.id, ad_group_ad.ad.id, ")
    assert "metrics.cost_micros" in asked and "cost," not in asked
    assert asked.endswith(
        " FROM ad_group_ad WHERE segments.date BETWEEN '2026-05-01' AND '2026-05-02'"
    )


def test_it_is_a_declaration() -> None:
    import inspect

    source = inspect.getsource(inspect.getmodule(GoogleAds))  # type: ignore[arg-type]
    assert len(source.splitlines()) < 150
