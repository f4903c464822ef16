"""Whatever a vendor says, `replay` tells what it is: records, or why there are none."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.__main__ import offline
from connectors.base.errors import ConnectorError, ParseError
from connectors.base.recognise import Found, Known, recognise
from tests.connectors.bench import Case, accounts, cases, sources

if TYPE_CHECKING:
    from tests.connectors.bench import OnBench


def found(source: str, content: Any, stream: str | None = None) -> Found:
    connector = offline(accounts()[source])
    body = (
        content.encode() if isinstance(content, str) else json.dumps(content).encode()
    )
    return recognise(connector, body, connector.stream(stream) if stream else None)


def told(source: str, content: Any, stream: str | None = None) -> str:
    """What is said of something without records."""
    what = found(source, content, stream)
    assert what.stream is None and what.records == []
    return what.text


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_page_of_a_stream_is_never_taken_for_something_else(
    case: Case, on_bench: OnBench
) -> None:
    bench = on_bench(case.source)
    connector = bench.connector()
    bench.read(case.stream, connector=connector)
    seen = 0
    for answer in bench.face.answers:
        try:
            records = connector.parse(case.stream, answer.body, {})
        except ConnectorError:
            continue
        if records:
            seen += 1
            what = recognise(connector, answer.body)
            assert case.stream.name in what.text and what.records
            assert recognise(connector, answer.body, case.stream).records == records
    if case.source == "files":  # a bucket's lists come between
        return
    assert seen


# -- states, errors, tokens -------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "content", "says"),
    [
        ("ga4", {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x"}},
         "read as RetriableError"),
        ("vk_ads", {"error": {"code": "expired_token", "message": "over"}},
         "read as TokenExpired"),
        ("comagic", {"error": {"code": -32029, "message": "too often",
                               "data": {"mnemonic": "limit_exceeded"}}},
         "read as RetriableError"),
        ("bitrix24", {"error": "insufficient_scope", "error_description": "no"},
         "read as FatalError"),
        ("google_ads", {"error": "invalid_grant", "error_description": "gone"},
         "a refusal by who issues tokens (invalid_grant)"),
        ("vk_ads", {"access_token": "sesame-open-1", "expires_in": "86400"},
         "an access token"),
        ("yandex_direct", {"status": 202, "headers": {"RETRYIN": "7"}, "body": ""},
         "not ready (202), asked for again in 7 s"),
        ("meta_ads", {"report_run_id": "55500011122233"}, "number 55500011122233"),
        ("meta_ads", {"id": "5", "async_status": "Job Running",
                      "async_percent_completion": 3}, "Job Running, 3 %"),
        ("meta_ads", {"x-business-use-case-usage": json.dumps({"7": [
            {"call_count": 96, "estimated_time_to_regain_access": 2}]})},
         "used up by 96 %, to wait 120 s"),
        ("meta_ads", {"a": {"error": {"code": 190, "message": "old"}},
                      "b": {"error": {"code": 2, "message": "later"}}},
         "2 errors of the vendor's: a: FatalError, b: RetriableError"),
        ("yandex_metrica", {"log_request": {"source": "hits", "date1": "2026-05-01",
                                            "date2": "2026-05-02", "status": "created"}},
         "hits of 2026-05-01 to 2026-05-02 is created, 0 parts"),
        ("ga4", {"dimensionHeaders": [{"name": "date"}], "metricHeaders": [{"name": "sessions"}],
                 "metadata": {}},
         "no records: an empty answer"),
    ],
)  # fmt: skip
def test_what_holds_no_records_is_named(source: str, content: Any, says: str) -> None:
    text = told(source, content)
    assert says in text
    assert "sesame" not in text
    for stream in offline(accounts()[source]).streams[:1]:
        assert told(source, content, stream.name)


# -- events -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ("ONCRMDEALADD", "names deals 71: the next run reads it again"),
        ("ONCRMLEADDELETE", "names leads 71: the next run finds it gone at its sweep"),
        ("ONTASKADD", "ONTASKADD of 71, which no stream reads"),
    ],
)
def test_an_event_of_a_portal_names_what_the_next_run_reads(
    event: str, says: str
) -> None:
    body = urlencode(
        {"event": event, "data[FIELDS][ID]": 71, "auth[application_token]": "x9-secret"}
    )
    text = told("bitrix24", body, "deals")
    assert says in text and "secret" not in text


def test_a_webhook_of_amocrm_names_what_the_next_run_reads() -> None:
    body = urlencode(
        {
            "leads[update][0][id]": 41,
            "leads[update][0][name]": "Анна",
            "leads[update][1][id]": 42,
            "account[id]": 7,
        }
    )
    text = told("amocrm", body)
    assert "leads 41, 42 (update)" in text and "Анна" not in text
    assert told("amocrm", body, "leads") == text
    contact = urlencode({"contacts[add][0][id]": 5, "account[subdomain]": "x"})
    assert "contacts 5 (add)" in told("amocrm", contact)


def test_what_is_no_id_in_an_event_is_not_shown() -> None:
    body = urlencode({"event": "ONCRMDEALADD", "data[FIELDS][ID]": "Анна"})
    assert "deals ?:" in told("bitrix24", body)


# -- other queries ----------------------------------------------------------------------

OTHER_QUERIES = {
    "yandex_direct": (
        "CampaignId\tImpressions\tClicks\tCost\n7\t10\t1\t5.00\n8\t1\t0\t0\nTotal rows: 2\n",
        "campaign_performance",
        "2 rows of CampaignId, Impressions, Clicks, Cost",
        "lacks the columns Date",
    ),
    "ga4": (
        {
            "dimensionHeaders": [{"name": "date"}, {"name": "city"}],
            "metricHeaders": [{"name": "sessions"}],
            "rows": [
                {
                    "dimensionValues": [{"value": "20260501"}, {"value": "Омск"}],
                    "metricValues": [{"value": "3"}],
                }
            ],
            "rowCount": 1,
            "metadata": {},
        },
        "traffic",
        "1 rows of date, city, sessions",
        "no column sessionSource",
    ),
    "bitrix24": (
        {"result": {"items": [{"id": 5, "title": "x", "stageId": "NEW"}]}},
        "leads",
        "1 rows of id, title, stageId",
        "no field DATE_CREATE",
    ),
    "google_sheets": (
        {
            "range": "Заявки!A1:B2",
            "majorDimension": "ROWS",
            "values": [["Товар", "Цена"], ["Колесо", "5"]],
        },
        "leads",
        "2 rows of cells",
        "no header in the first",
    ),
    "google_ads": (
        [{"results": [{"customer": {"id": "5"}}]}],
        "campaign_performance",
        "1 rows of customer",
        "no field segments.date",
    ),
}


@pytest.mark.parametrize("source", OTHER_QUERIES)
def test_an_answer_to_another_query_is_counted_and_says_what_it_lacks(
    source: str,
) -> None:
    content, stream, counted, lacks = OTHER_QUERIES[source]
    text = told(source, content)
    assert counted in text and lacks in text and "Омск" not in text
    # whoever names the stream has a page that does not fit its contract
    with pytest.raises(ParseError, match=lacks):
        found(source, content, stream)


def test_a_batch_of_which_some_failed_tells_both() -> None:
    content = {
        "result": {
            "result": {"a": [{"ID": "5", "TITLE": "x"}]},
            "result_error": [{"error": "", "error_description": "Not found"}],
        }
    }
    text = told("bitrix24", content)
    assert "1 commands were answered, 1 failed (Not found), 1 rows of ID, TITLE" in text


@pytest.mark.parametrize(
    ("source", "content", "says"),
    [
        ("yandex_metrica", "Target,DateTime,Price\nsold,1780000000,5\n",
         "conversions to upload, 1 rows of Target"),
        ("yandex_metrica", "\ufeffDate;UTMSource;Expenses\n2026-05-01;x;5\n",
         "expenses to upload, 1 rows"),
        ("vk_ads", {"items": [{"id": 1, "rows": [{"date": "2026-05-01", "goals": [{
            "goal": "x"}]}]}]}, "statistics by goal, 1 rows of date, goals"),
        ("vk_ads", {"response": [{"id": 1, "stats": [{"day": "2026-05-01"}]}]},
         "the old cabinet"),
        ("amocrm", "ID,Название сделки,Дата создания сделки\n1,Анна,01.05.2026\n",
         "an export made by hand, 1 rows of ID"),
        ("meta_ads", {"data": [{"date_start": "2026-05-01", "product_id": "1",
                                "campaign_id": "2"}]}, "insights by product, 1 rows"),
        ("google_ads", {"resourceNames": ["customers/5"]}, "1 accounts"),
        ("yandex_direct", {"result": {"Clients": [{"Login": "x"}]}}, "agency's clients"),
    ],
)  # fmt: skip
def test_what_we_do_not_read_says_why(source: str, content: Any, says: str) -> None:
    text = told(source, content)
    assert says in text and "; no records: " in text and "Анна" not in text


# -- records under other shapes ----------------------------------------------------------


def test_stages_of_the_older_method_are_statuses() -> None:
    stages = {
        "0": [{"NAME": "Новая", "SORT": 10, "STATUS_ID": "NEW"}],
        "3": [{"NAME": "Новая", "SORT": 10, "STATUS_ID": "C3:NEW"}],
    }
    what = found("bitrix24", {"result": {"result": stages, "result_error": []}})
    assert what.stream is not None and what.stream.name == "statuses"
    keys = [what.stream.record_key(each) for each in what.records]
    assert keys == ["DEAL_STAGE|NEW", "DEAL_STAGE_3|C3:NEW"]


def test_a_page_of_another_stream_than_the_named_one_says_whose_it_is() -> None:
    content = {"result": {"categories": [{"id": 1, "name": "Общая"}]}}
    with pytest.raises(ParseError, match="it is one of deal_categories"):
        found("bitrix24", content, "deals")


@pytest.mark.parametrize("source", sources())
@pytest.mark.parametrize(
    "body", ["<html>busy</html>", '"x"', "17", '{"x": {"y": 1}}', "a,b\n1,2\n", "\0\0"]
)
def test_what_nobody_knows_is_refused(source: str, body: str) -> None:
    try:
        text = told(source, body)
    except ParseError:
        return
    assert "read as" in text  # a page of a proxy, which passes


# -- anything at all ---------------------------------------------------------------------

LEAVES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def at_path(path: str, leaf: Any, as_list: bool) -> Any:
    """The smallest content with this at that path."""
    name, _, rest = path.partition(".")
    inner = at_path(rest, leaf, as_list) if rest else leaf
    if name == "*":
        return [inner] if as_list else {"0": inner}
    return {name: inner}


def known_of(source: str) -> tuple[Known, ...]:
    try:
        known: tuple[Known, ...] = import_module(f"connectors.{source}.known").KNOWN
    except ModuleNotFoundError:
        return ()
    return known


@pytest.mark.parametrize("source", sources())
@given(data=st.data())
@settings(max_examples=80)
def test_nothing_but_a_parse_error_comes_of_any_content(
    source: str, data: st.DataObject
) -> None:
    content: Any = {}
    if paths := [path for each in known_of(source) for path in each.has]:
        for path in data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3)):
            made = at_path(path, data.draw(LEAVES), data.draw(st.booleans()))
            content = {**content, **made} if isinstance(made, dict) else made
            if not isinstance(content, dict):
                break
    else:
        content = data.draw(LEAVES)
    try:
        what = found(source, content)
    except ParseError:
        return
    assert isinstance(what.text, str)


@pytest.mark.parametrize("source", sources())
@given(body=st.binary(max_size=60) | st.text(alphabet="a=&[]%0;,\t\n\"'", max_size=40))
@settings(max_examples=60)
def test_nothing_but_a_parse_error_comes_of_any_bytes(
    source: str, body: bytes | str
) -> None:
    sent = body.encode() if isinstance(body, str) else body
    with suppress(ParseError):
        recognise(offline(accounts()[source]), sent)
