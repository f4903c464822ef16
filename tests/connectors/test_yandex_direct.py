"""Yandex Direct, where it differs from other connectors: reports, lists, error codes."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base.errors import (
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.stream import Window
from connectors.yandex_direct import (
    ADS,
    CAMPAIGN_PERFORMANCE,
    CAMPAIGNS,
    COST_KEY,
    KEYWORD_PERFORMANCE,
    KEYWORDS,
    PLACEMENTS,
    SEARCH_QUERIES,
    lists,
    reports,
)
from connectors.yandex_direct.errors import RETRY_AFTER, WHAT_TO_DO, ApiError
from simulator.face import Response, json_response
from tests.connectors.bench import END

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.face import Request
    from tests.connectors.bench import Ask, Bench, OnBench, Warehouse


ZONE = "Europe/Moscow"
SOURCE = "yandex_direct"
FIELDS = tuple(field.name for field in KEYWORD_PERFORMANCE.fields)


def orders(bench: Bench) -> list[dict[str, Any]]:
    """What was ordered so far, request by request."""
    return [
        json.loads(request.body)["params"]
        for request in bench.server.requests
        if request.path.endswith("/reports")
    ]


def statuses(bench: Bench) -> list[int]:
    return [request.status for request in bench.server.requests]


def error_body(code: object, status: int = 200) -> Response:
    error = {"request_id": "1", "error_code": code, "error_string": "no"}
    return json_response({"error": {**error, "error_detail": "why"}}, status)


# -- reports -----------------------------------------------------------------------


def test_costs_by_day_equal_the_company_to_the_kopeck(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth: Counter[str] = Counter()
    figures: Counter[str] = Counter()
    for cost in bench.world.ad_costs_as_of(END):
        truth[cost.date.isoformat()] += cost.cost_kopecks
        figures["Impressions"] += cost.impressions
        figures["Clicks"] += cost.clicks
    for stream in (KEYWORD_PERFORMANCE, CAMPAIGN_PERFORMANCE):
        rows = bench.read(stream, bench.whole())
        read: Counter[str] = Counter()
        for row in rows:
            read[row["Date"]] += round(Decimal(row["Cost"]) * 100)
        assert read == truth
        for name in figures:
            assert sum(int(row[name]) for row in rows) == figures[name]
    assert sum(truth.values()) > 0


def test_sites_add_up_to_the_costs_of_the_network_by_ad_and_day(
    on_bench: OnBench,
) -> None:
    bench = on_bench(SOURCE)
    rows = bench.read(PLACEMENTS, bench.whole())
    (order,) = {json.dumps(each) for each in orders(bench)}
    criteria = json.loads(order)["SelectionCriteria"]
    assert [each["Values"] for each in criteria["Filter"]] == [["AD_NETWORK"]]
    assert {row["AdNetworkType"] for row in rows} == {"AD_NETWORK"}
    assert len({row["Placement"] for row in rows}) > 5
    truth: Counter[tuple[str, ...]] = Counter()
    for cost in bench.world.ad_costs_as_of(END):
        if cost.network == "AD_NETWORK":
            ids = (cost.campaign_id, cost.ad_group_id, cost.ad_id)
            key = (str(cost.date), *("--" if i is None else str(i) for i in ids))
            truth[key] += cost.cost_kopecks
    read: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        key = (row["Date"], row["CampaignId"], row["AdGroupId"], row["AdId"])
        read[key] += round(Decimal(row["Cost"]) * 100)
    assert read == truth and sum(truth.values()) > 0


def test_queries_are_those_behind_the_keywords_and_are_made_offline(
    on_bench: OnBench,
) -> None:
    bench = on_bench(SOURCE)
    rows = bench.read(SEARCH_QUERIES, bench.whole())
    assert statuses(bench) == [201, 202, 200]
    first = orders(bench)[0]
    assert first["ReportType"] == "SEARCH_QUERY_PERFORMANCE_REPORT"
    # the report knows neither; asked for them it would be refused
    assert not {"Device", "AdNetworkType"} & {*first["FieldNames"]}
    known = bench.world.as_of(bench.world.now).search_terms(SOURCE)
    cost = sum(round(Decimal(row["Cost"]) * 100) for row in rows)
    assert cost == sum(each.cost_kopecks for each in known if each.date < END) > 0
    assert {row["Query"] for row in rows} == {each.query for each in known}
    keywords: Counter[str] = Counter()
    for row in bench.read(KEYWORD_PERFORMANCE, bench.whole()):
        keywords[row["CriterionId"]] += round(Decimal(row["Cost"]) * 100)
    queries: Counter[str] = Counter()
    for row in rows:
        queries[row["CriterionId"]] += round(Decimal(row["Cost"]) * 100)
    assert all(queries[key] <= keywords[key] for key in queries)


def test_a_phone_that_somebody_typed_as_a_query_is_a_token(
    on_bench: OnBench, warehouse: Warehouse
) -> None:
    bench = on_bench(SOURCE)
    typed = "окна +7 900 000-12-34 отзывы"

    def ask(request: Request, answer: Ask) -> Response:
        given = answer(request)
        known = bench.world.search_terms(SOURCE)[0].query
        cell, other = f"\t{known}\n".encode(), f"\t{typed}\n".encode()
        return replace(given, body=given.body.replace(cell, other))

    bench.face.strike_all(ask)
    account = warehouse.account(bench)
    warehouse.land(bench, SEARCH_QUERIES, account, bench.whole())
    text = warehouse.everything("raw", "ops")
    assert "000-12-34" not in text and "окна ph1_" in text


def test_an_endless_queue_is_asked_ever_more_seldom(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    queued = Response(201, {"retryIn": "0"}, b"")
    bench.face.strike_all(lambda request, ask: queued)
    with pytest.raises(RetriableError, match="not ready"):
        bench.read(SEARCH_QUERIES)
    assert bench.requests < 500
    assert bench.slept[:3] == [0.1, 0.2, 0.4]


def test_a_long_report_is_queued_and_asked_for_by_the_same_order(
    on_bench: OnBench,
) -> None:
    bench = on_bench(SOURCE, wait_seconds=0.1)
    assert bench.read(KEYWORD_PERFORMANCE, bench.whole())
    asked = statuses(bench)
    assert asked[0] == 201 and asked[-1] == 200
    assert set(asked[1:-1]) == {202}
    assert all(order == orders(bench)[0] for order in orders(bench))


def test_different_orders_never_share_a_name(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    day = Window(END - timedelta(days=1), END, ZONE)
    two = Window(END - timedelta(days=2), END, ZONE)
    made = {
        json.dumps(reports.order(stream, window, login, with_vat=vat)): None
        for stream in (KEYWORD_PERFORMANCE, CAMPAIGN_PERFORMANCE)
        for window in (day, two)
        for login in ("a", "b")
        for vat in (True, False)
    }
    names = [json.loads(order)["params"]["ReportName"] for order in made]
    assert len(set(names)) == len(names) == 16
    # and the simulated Direct, as the real one, refuses a name given twice
    first = reports.order(KEYWORD_PERFORMANCE, bench.whole(), "a", with_vat=False)
    other = reports.order(CAMPAIGN_PERFORMANCE, bench.whole(), "a", with_vat=False)
    other["params"]["ReportName"] = first["params"]["ReportName"]
    client = bench.connector().client
    client.download("POST", reports.PATH, json=first)
    with pytest.raises(FatalError, match="already exists"):
        client.download("POST", reports.PATH, json=other)


@pytest.mark.parametrize("vat", [True, False])
def test_vat_is_asked_of_the_vendor(vat: bool, on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    account = bench.account.model_copy(update={"vat_included": vat})
    rows = bench.read(CAMPAIGN_PERFORMANCE, connector=bench.connector(account))
    assert orders(bench)[0]["IncludeVAT"] == ("YES" if vat else "NO")
    days = set(bench.window().days)
    costs = bench.world.ad_costs_as_of(END)
    net = sum(c.cost_kopecks for c in costs if c.date in days)
    cost = sum(round(Decimal(row["Cost"]) * 100) for row in rows)
    assert cost == pytest.approx(net * 1.22, rel=1e-3) if vat else cost == net


def test_the_campaign_report_controls_the_keyword_report(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    rows = bench.read(KEYWORD_PERFORMANCE, bench.whole())
    connector = bench.connector()
    total = connector.control_total(KEYWORD_PERFORMANCE, bench.whole())
    assert total == sum(Decimal(row["Cost"]) for row in rows)
    assert connector.control_total(CAMPAIGN_PERFORMANCE, bench.whole()) is None


def test_a_restated_cost_is_read_again_as_restated(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    restated = [
        c for c in bench.world.ad_costs if c.restated_on and c.restated_on < END
    ]
    row = max(restated, key=lambda c: abs(c.cost_kopecks - c.first_cost_kopecks))
    assert row.restated_on is not None
    window = Window(row.date, row.date + timedelta(days=1), ZONE)

    def read_on(day: date) -> int:
        days_off = bench.world.end_date - day
        bench.server.set_now(bench.world.now - days_off)
        found = bench.read(KEYWORD_PERFORMANCE, window)
        return sum(round(Decimal(r["Cost"]) * 100) for r in found)

    before = read_on(row.restated_on - timedelta(days=1))
    after = read_on(END)
    truth = bench.world.ad_costs_as_of(END)
    assert after == sum(c.cost_kopecks for c in truth if c.date == row.date)
    assert before != after


def test_a_report_too_big_is_split_by_days(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(KEYWORD_PERFORMANCE, bench.whole())
    bench.face.inner.report_days_limit = 4  # type: ignore[attr-defined]
    bench.server.set_now(bench.world.now + timedelta(hours=6))  # kept ones are gone
    rows = bench.read(KEYWORD_PERFORMANCE, bench.whole())
    key = KEYWORD_PERFORMANCE.record_key
    assert {key(row): row for row in rows} == {key(row): row for row in truth}
    assert len(rows) == len(truth)
    bench.face.inner.report_days_limit = 0  # type: ignore[attr-defined]
    with pytest.raises(RetriableError, match="one day"):
        bench.read(KEYWORD_PERFORMANCE)


def test_a_report_as_long_as_the_cap_is_not_trusted(
    on_bench: OnBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(KEYWORD_PERFORMANCE)
    monkeypatch.setattr(reports, "MOST_ROWS", len(truth))
    before = bench.requests
    again = bench.read(KEYWORD_PERFORMANCE)
    assert bench.requests == before + 3
    assert sorted(map(str, again)) == sorted(map(str, truth))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body[: body.rfind(b"Total rows")],
        lambda body: body[: body.rfind(b"\n", 0, body.rfind(b"Total rows") - 1) + 1],
        lambda body: body.replace(b"Total rows: ", b"Total rows: 1"),
        lambda body: body[:-3],
        lambda body: b"",
    ],
    ids=["no summary", "cut between rows", "more declared", "cut number", "empty"],
)
def test_an_unproved_report_is_asked_for_again_and_never_taken(
    spoil: Callable[[bytes], bytes], on_bench: OnBench
) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(KEYWORD_PERFORMANCE)

    def spoiled(request: Any, ask: Any) -> Response:
        answer = ask(request)
        return Response(answer.status, answer.headers, spoil(answer.body))

    bench.face.strike(0, spoiled)
    assert bench.read(KEYWORD_PERFORMANCE) == truth
    bench.face.strike_all(spoiled)
    before = bench.requests
    batches = bench.batches(KEYWORD_PERFORMANCE)
    with pytest.raises(ConnectorError):
        next(batches)  # not even the first rows come
    assert bench.requests <= before + reports.TRIES


def test_a_full_queue_is_waited_for(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE, rate_limits=True, wait_seconds=1)
    client = bench.connector().client
    for day in range(5):
        window = Window(bench.world.start_date, END - timedelta(days=day + 1), ZONE)
        order = reports.order(KEYWORD_PERFORMANCE, window, "other", with_vat=False)
        assert client.download("POST", reports.PATH, json=order).status == 201

    def made_in_time(request: Any, ask: Any) -> Response:
        answer: Response = ask(request)
        if bench.requests == 7:
            bench.server.options.wait_seconds = 0
        return answer

    bench.face.strike_all(made_in_time)
    assert bench.read(KEYWORD_PERFORMANCE, bench.whole())
    assert statuses(bench)[5:] == [400, 400, 400, 201, 202, 200]
    assert max(bench.slept) >= RETRY_AFTER[9000][0]


def test_a_server_error_page_is_retried(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(KEYWORD_PERFORMANCE)
    page = Response(500, {"Content-Type": "text/html"}, b"<html>Internal error</html>")
    bench.face.strike(0, lambda request, ask: page)
    assert bench.read(KEYWORD_PERFORMANCE) == truth
    assert statuses(bench)[-2:] == [500, 200]


# -- lists -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_lists_are_paged_to_their_end(size: int, on_bench: OnBench) -> None:
    bench = on_bench(SOURCE, page_size=size)
    assert [row["Id"] for row in bench.read(CAMPAIGNS)] == [
        c.campaign_id for c in bench.world.campaigns
    ]
    assert [row["Id"] for row in bench.read(KEYWORDS)] == [
        k.keyword_id for k in bench.world.keywords
    ]
    assert {row["Type"] for row in bench.read(CAMPAIGNS)} >= {"UNIFIED_CAMPAIGN"}


def test_ads_are_asked_for_by_a_few_campaigns_at_a_time(
    on_bench: OnBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(ADS)
    assert len(truth) == len(bench.world.ads)
    assert lists.CAMPAIGNS_A_CALL <= 10
    monkeypatch.setattr(lists, "CAMPAIGNS_A_CALL", 2)
    before = bench.requests
    assert sorted(row["Id"] for row in bench.read(ADS)) == sorted(
        row["Id"] for row in truth
    )
    assert bench.requests - before == 1 + -(-len(bench.world.campaigns) // 2)
    # the answer of one call in the place of the next one's
    bench.face.strike(2, lambda request, ask: bench.face.answers[-1])
    with pytest.raises(ParseError, match="no campaign that was asked for"):
        bench.read(ADS)


def test_pages_that_do_not_move_on_end_in_an_error(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE, page_size=2)
    bench.face.strike(2, lambda request, ask: bench.face.answers[-1])
    with pytest.raises(ParseError, match="cut off"):
        bench.read(CAMPAIGNS)


# -- errors ------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(RETRY_AFTER))
@pytest.mark.parametrize("written", [int, str])
def test_an_error_that_passes_is_waited_out_also_under_200(
    code: int, written: Callable[[int], object], on_bench: OnBench
) -> None:
    bench = on_bench(SOURCE)
    truth = bench.read(CAMPAIGNS)
    bench.face.strike(0, lambda request, ask: error_body(written(code)))
    assert bench.read(CAMPAIGNS) == truth
    longest = bench.connector().client.limits.retry_after_most
    assert max(bench.slept) >= min(RETRY_AFTER[code][0], longest)


@pytest.mark.parametrize("code", [*sorted(WHAT_TO_DO), 4001, 8000, 77])
@pytest.mark.parametrize("stream", [CAMPAIGNS, KEYWORD_PERFORMANCE], ids=str)
def test_an_error_that_stays_is_one_request_and_says_what_to_do(
    code: int, stream: Any, on_bench: OnBench
) -> None:
    bench = on_bench(SOURCE)
    status = 200 if stream is CAMPAIGNS else 400
    bench.face.strike_all(lambda request, ask: error_body(str(code), status))
    with pytest.raises(FatalError) as caught:
        bench.read(stream)
    assert bench.requests == 1
    assert str(code) in str(caught.value)
    assert WHAT_TO_DO.get(code, "maintainers") in str(caught.value)


def test_a_wrong_client_login_is_named(on_bench: OnBench) -> None:
    bench = on_bench(SOURCE)
    settings = {"client_login": "somebody-else"}
    account = bench.account.model_copy(update={"settings": settings})
    with pytest.raises(FatalError, match="client_login"):
        bench.connector(account).check()
    assert bench.requests == 1
    settings = {"client_login": bench.world.client_login}
    account = bench.account.model_copy(update={"settings": settings})
    assert bench.world.client_login in bench.connector(account).check()[0]
    assert bench.server.requests[-1].headers["Client-Login"] in settings.values()


# -- reading a report ----------------------------------------------------------------

ROW = "2026-05-01\t1\t--\t--\t7\tKEYWORD\tSEARCH\tDESKTOP\tокна \"пвх\" | 'цена'\t9\t1\t3.50"
HEADER = "\t".join(FIELDS)


def lines(*rows: str, end: str = "\n") -> bytes:
    return (end.join(rows) + end).encode()


@pytest.mark.parametrize(
    "body",
    [
        lines(HEADER, ROW, "Total rows: 1"),
        lines('"costs (2026-05-01 - 2026-05-01)"', HEADER, ROW, "Total rows: 1"),
        b"\xef\xbb\xbf" + lines('"a \t name"'.replace("\t", ""), HEADER, ROW),
        b"\xef\xbb\xbf" + lines(HEADER, ROW),
        lines(ROW),
        lines(ROW, "Total rows: 1"),
        lines('"title"', ROW)[:-1],
        lines(HEADER, ROW, "Total rows: 1", end="\r\n"),
        lines(HEADER, ROW, "", "Total rows: 1", ""),
    ],
)
def test_every_form_of_a_report_gives_the_same_row(body: bytes) -> None:
    (row,) = reports.records(KEYWORD_PERFORMANCE, body)
    assert row == dict(zip(FIELDS, ROW.split("\t"), strict=True))


def test_columns_are_read_by_name_and_others_are_kept() -> None:
    names = [*reversed(FIELDS), "Conversions_123_AUTO"]
    cells = [*reversed(ROW.split("\t")), "--"]
    body = lines("\t".join(names), "\t".join(cells), "Total rows: 1")
    (row,) = reports.records(KEYWORD_PERFORMANCE, body)
    assert row == dict(zip(names, cells, strict=True))


def test_a_report_of_other_columns_names_the_missing_ones() -> None:
    body = lines("Date\tCampaignId\tImpressions\tCost", "2026-05-01\t1\t2\t3.00")
    with pytest.raises(ParseError, match="AdGroupId, AdId, CriterionId"):
        reports.records(KEYWORD_PERFORMANCE, body)
    assert len(reports.records(CAMPAIGN_PERFORMANCE, body)) == 1
    without = lines("\t".join(COST_KEY), "\t".join(ROW.split("\t")[:8]))
    with pytest.raises(ParseError, match="columns Cost"):
        reports.records(KEYWORD_PERFORMANCE, without)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lines(HEADER, ROW, "Total rows: 2"), "declares 2"),
        (lines(HEADER, ROW + "\t1", "Total rows: 1"), "13 cells"),
        (lines(HEADER, "2026-05-01\t1", "Total rows: 1"), "2 cells"),
        (lines(HEADER + "\tDate", ROW + "\t1"), "twice"),
        (lines("<html>", "<body>"), "page"),
        (lines("1\t2\t3"), "12 columns"),
        (b"", "empty"),
        (HEADER.encode() + b"\n\xff\xfe", "does not fit"),
    ],
)
def test_what_does_not_fit_says_why(body: bytes, said: str) -> None:
    with pytest.raises(ParseError, match=said):
        reports.records(KEYWORD_PERFORMANCE, body)


def test_a_recorded_error_means_what_it_says(on_bench: OnBench) -> None:
    connector = on_bench(SOURCE).connector()
    xml = (
        b'<?xml version="1.0"?><reports:reportDownloadError><reports:ApiError>'
        b"<reports:requestId>5</reports:requestId><reports:errorCode>53"
        b"</reports:errorCode><reports:errorMessage>Authorization</reports:errorMessage>"
        b"</reports:ApiError></reports:reportDownloadError>"
    )
    for body in (xml, error_body("53").body, error_body(53).body):
        for stream in connector.streams:
            with pytest.raises(FatalError, match="OAuth"):
                connector.parse(stream, body, {})
        assert ApiError.in_body(body) is not None
    with pytest.raises(RetriableError, match="reports are being made"):
        connector.parse(KEYWORD_PERFORMANCE, error_body(9000).body, {})


cells = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), max_size=9
)
tables = st.lists(
    st.tuples(st.just("2026-05-01"), *[cells] * (len(FIELDS) - 1)), max_size=20
)


@settings(max_examples=150, deadline=None)
@given(
    rows=tables,
    title=st.booleans(),
    header=st.booleans(),
    summary=st.booleans(),
    bom=st.booleans(),
    size=st.integers(1, 400),
)
def test_rows_in_are_rows_out_however_they_are_cut(
    rows: list[tuple[str, ...]],
    title: bool,
    header: bool,
    summary: bool,
    bom: bool,
    size: int,
) -> None:
    header = header or not rows
    text = [
        *(['"costs \t(…)"'.replace("\t", "")] if title else []),
        *([HEADER] if header else []),
        *("\t".join(row) for row in rows),
        *([f"Total rows: {len(rows)}"] if summary else []),
    ]
    body = (b"\xef\xbb\xbf" if bom else b"") + lines(*text)
    blocks = [body[start : start + size] for start in range(0, len(body), size)]
    found = [
        record
        for batch in reports.batches(KEYWORD_PERFORMANCE, blocks)
        for record in batch.records()
    ]
    assert found == [dict(zip(FIELDS, row, strict=True)) for row in rows]
    assert reports.records(KEYWORD_PERFORMANCE, body) == found
    read = reports.summarise(KEYWORD_PERFORMANCE, blocks)
    assert read == reports.Summary(len(rows), len(rows) if summary else None)
    # what the first pass found spares the second some work, and changes nothing
    for ending in (b"\n", b"\r\n", *([b"\n\n"] if header and not title else [])):
        ended = [body.replace(b"\n", ending)]
        known = reports.summarise(KEYWORD_PERFORMANCE, ended)
        again = reports.batches(KEYWORD_PERFORMANCE, ended, known)
        assert [record for batch in again for record in batch.records()] == found


@settings(max_examples=200, deadline=None)
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(str.encode),
        st.lists(st.sampled_from([HEADER, ROW, "Total rows: 1", "\t", "{}", '"'])).map(
            lambda rows: lines(*rows)
        ),
    ),
    stream=st.sampled_from([KEYWORD_PERFORMANCE, CAMPAIGN_PERFORMANCE]),
)
def test_a_report_parser_raises_nothing_but_parse_errors(
    body: bytes, stream: Any
) -> None:
    try:
        rows = reports.records(stream, body)
    except ParseError:
        return
    assert all(set(stream.required_fields) <= set(row) for row in rows)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["result", "Ads", "Id", "LimitedBy", "error", "TextAd"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(value=json_values)
def test_a_list_parser_raises_nothing_but_parse_errors(value: Any) -> None:
    try:
        found = lists.page(ADS, value)
    except ParseError:
        return
    assert all("Id" in item for item in found.items)


def test_memory_stays_flat_however_long_the_report_is() -> None:
    block = ((ROW + "\n") * 5_000).encode()

    def blocks(count: int) -> Any:
        yield lines(HEADER)
        for _ in range(count):
            yield block
        yield f"Total rows: {5_000 * count}\n".encode()

    peaks = []
    for count in (5, 50):
        tracemalloc.start()
        assert (
            reports.summarise(KEYWORD_PERFORMANCE, blocks(count)).rows == 5_000 * count
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2
