"""Bitrix24: what is its own, beyond the promises that all connectors keep."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base.errors import FatalError, ParseError, RetriableError
from connectors.bitrix24 import Bitrix24
from connectors.bitrix24.simulator import Simulator
from simulator.face import Request, Response, json_response
from tests.connectors.bench import CANARY, keyed, records_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.connectors.bench import Ask, Bench, OnBench


LEADS, DEALS, CONTACTS = (Bitrix24.stream(n) for n in ("leads", "deals", "contacts"))
LINKS, HISTORY = (Bitrix24.stream(n) for n in ("deal_contacts", "deal_stage_history"))
GOODS, INVOICES = (Bitrix24.stream(n) for n in ("deal_products", "invoices"))
STATUSES, CATEGORIES = (
    Bitrix24.stream("statuses"),
    Bitrix24.stream("deal_categories"),
)


LONG_AGO = "2000-01-01T00:00:00+00:00"  # a cursor: what was changed since, by pages


@pytest.fixture
def bench(on_bench: OnBench) -> Bench:
    return on_bench("bitrix24")


def sent(bench: Bench) -> list[dict[str, Any]]:
    """The bodies of all requests so far."""
    return [json.loads(each.body) for each in bench.server.requests]


def methods(bench: Bench) -> list[str]:
    return [each.path.rsplit("/", 1)[-1] for each in bench.server.requests]


# -- paging ------------------------------------------------------------------------


def test_objects_are_asked_for_by_id_without_a_count(bench: Bench) -> None:
    rows = bench.read(LEADS, cursor=LONG_AGO)
    assert len(rows) > 50
    bodies = sent(bench)
    assert all(body["order"] == {"ID": "ASC"} for body in bodies)
    assert [body["start"] for body in bodies] == [-1] * (len(bodies) - 1) + [0]
    assert bodies[0]["filter"] == {">ID": 0, ">=DATE_MODIFY": LONG_AGO}
    assert bodies[1]["filter"][">ID"] == int(rows[49]["ID"])
    assert {"PHONE", "EMAIL", "UF_CRM_YM_CLIENT_ID"} <= set(bodies[0]["select"])


def test_the_upper_bound_is_the_portals_clock_at_the_start(bench: Bench) -> None:
    bench.read(LEADS, cursor=LONG_AGO)
    bounds = {body["filter"].get("<DATE_MODIFY") for body in sent(bench)[1:]}
    assert len(bounds) == 1
    bound = datetime.fromisoformat(bounds.pop())
    start = bench.world.now.replace(microsecond=0)
    assert bound - start == timedelta(seconds=1)


def test_every_field_the_portal_has_is_read_of_phones_and_money(bench: Bench) -> None:
    world = {
        str(lead.lead_id): lead for lead in bench.world.as_of(bench.world.now).leads
    }
    for row in bench.read(LEADS):
        lead = world[row["ID"]]
        assert [p["VALUE"] for p in row.get("PHONE", [])] == list(lead.phones)
        assert [e["VALUE"] for e in row.get("EMAIL", [])] == list(lead.emails)
    deals = {
        str(deal.deal_id): deal for deal in bench.world.as_of(bench.world.now).deals
    }
    for row in bench.read(DEALS):
        kopecks = deals[row["ID"]].amount_kopecks
        assert row["OPPORTUNITY"] == f"{kopecks // 100}.{kopecks % 100:02d}"


@pytest.mark.parametrize("stream", [DEALS, STATUSES, HISTORY], ids=lambda s: s.name)
@pytest.mark.parametrize("size", [1, 7, 49])
def test_pages_of_any_size_are_read_to_the_end(
    on_bench: OnBench, size: int, stream: Any
) -> None:
    truth = on_bench("bitrix24").read(stream)
    rows = on_bench("bitrix24", page_size=size).read(stream)
    assert keyed(stream, rows) == keyed(stream, truth)


def test_any_number_of_keys_is_read_again(bench: Bench) -> None:
    truth = keyed(LEADS, bench.read(LEADS))
    asked = [*truth, "999999"]
    assert len(asked) > 50
    found = records_of(bench.connector().read_again(LEADS, asked))
    assert keyed(LEADS, found) == truth


def test_a_short_answer_that_says_more_follows_does_not_end_the_list(
    bench: Bench,
) -> None:
    def half(request: Request, ask: Ask) -> Response:
        content = json.loads(ask(request).body)
        return json_response({**content, "result": content["result"][:3], "next": 50})

    truth = bench.read(LEADS)
    bench.face.strike(0, half)
    found = bench.read(LEADS, cursor=LONG_AGO)
    assert keyed(LEADS, found) == keyed(LEADS, truth)


def test_a_portal_that_only_sends_empty_lists_fails(bench: Bench) -> None:
    def empty(request: Request, ask: Ask) -> Response:
        return json_response({**json.loads(ask(request).body), "result": []})

    bench.face.strike_all(empty)
    with pytest.raises(RetriableError, match="left after"):
        bench.read(LEADS, cursor=LONG_AGO)


def test_ids_out_of_order_are_refused(bench: Bench) -> None:
    def shuffled(request: Request, ask: Ask) -> Response:
        content = json.loads(ask(request).body)
        content["result"].reverse()
        return json_response(content)

    bench.face.strike(0, shuffled)
    with pytest.raises(ParseError, match="came after"):
        bench.read(LEADS, cursor=LONG_AGO)


@pytest.mark.parametrize("seed", range(8))
def test_a_portal_in_motion_loses_nothing_between_two_reads(
    bench: Bench, seed: int
) -> None:
    """The clock moves with each request, the second read starts from the cursor."""
    chance = random.Random(seed)
    end = bench.world.now
    bench.server.set_now(end - timedelta(days=chance.uniform(1, 13)))

    def moving(request: Request, ask: Ask) -> Response:
        answer = ask(request)
        step = timedelta(hours=chance.uniform(0, 30))
        bench.server.set_now(min(bench.server.options.now + step, end))
        return answer

    for stream in (LEADS, DEALS, CONTACTS, HISTORY):
        bench.face.strike_all(moving)
        connector = bench.connector()
        known = keyed(stream, bench.read(stream, connector=connector))
        cursor = connector.next_cursor(stream, None, datetime.now(UTC))
        bench.face.strike_all(None)
        bench.server.set_now(end)
        known |= keyed(stream, bench.read(stream, cursor=cursor))
        for key, row in keyed(stream, bench.read(stream)).items():
            row.pop("CONTACT_ID", None)  # a merge moves it and tells nobody
            assert {k: v for k, v in known[key].items() if k != "CONTACT_ID"} == row


def test_a_cursor_ahead_of_the_portals_clock_is_said_aloud(bench: Bench) -> None:
    with pytest.raises(FatalError, match="clock"):
        bench.read(LEADS, cursor="2100-01-01T00:00:00+00:00")


def test_history_goes_on_from_the_last_id(bench: Bench) -> None:
    connector = bench.connector()
    rows = bench.read(HISTORY, connector=connector)
    last = max(int(row["ID"]) for row in rows)
    assert connector.next_cursor(HISTORY, None, datetime.now(UTC)) == str(last)
    again = bench.read(HISTORY, cursor=str(last))
    assert 0 < len(again) <= 50
    assert {int(row["ID"]) for row in again} <= set(range(last - 49, last + 1))


def test_a_history_nobody_has_made_yet_keeps_no_cursor(bench: Bench) -> None:
    bench.server.set_now(bench.world.now - timedelta(days=400))
    connector = bench.connector()
    assert bench.read(HISTORY, connector=connector) == []
    assert connector.next_cursor(HISTORY, None, datetime.now(UTC)) is None


# -- batch -------------------------------------------------------------------------


def _only_batch(change: Callable[[dict[str, Any]], Any]) -> Callable[..., Response]:
    """Change the first batch answer's `result`."""
    done = []

    def strike(request: Request, ask: Ask) -> Response:
        answer = ask(request)
        if not request.path.endswith("batch") or done:
            return answer
        done.append(1)
        content = json.loads(answer.body)
        content["result"] = change(content["result"])
        return json_response(content)

    return strike


def test_contacts_of_deals_come_fifty_commands_a_batch(bench: Bench) -> None:
    rows = bench.read(LINKS)
    expected = {
        (str(each.deal_id), each.contact_id, "Y" if each.is_primary else "N")
        for each in bench.world.as_of(bench.world.now).deal_contacts
    }
    found = {(r["DEAL_ID"], r["CONTACT_ID"], r["IS_PRIMARY"]) for r in rows}
    assert found == expected
    batches = [body for body in sent(bench) if "cmd" in body]
    assert all(len(body["cmd"]) <= 50 and body["halt"] == 0 for body in batches)
    assert all(not key.isdecimal() for body in batches for key in body["cmd"])


def _without_some(result: dict[str, Any]) -> Any:
    kept = dict(list(result["result"].items())[::3])
    return {**result, "result": kept}


def _with_some_busy(result: dict[str, Any]) -> Any:
    kept, errors = dict(result["result"]), {}
    for key in list(kept)[::4]:
        del kept[key]
        errors[key] = {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "busy"}
    return {**result, "result": kept, "result_error": errors}


@pytest.mark.parametrize(
    "change",
    [
        _without_some,
        _with_some_busy,
        lambda result: [],
        lambda result: {**result, "result": []},
        lambda result: {**result, "result": {k: [] for k in result["result"]}},
    ],
    ids=["keys lost", "keys busy", "all empty", "result empty", "lists empty"],
)
def test_what_a_batch_lost_is_asked_for_again(
    bench: Bench, change: Callable[[dict[str, Any]], Any]
) -> None:
    truth = bench.read(LINKS)
    before = methods(bench).count("batch")
    bench.face.strike_all(_only_batch(change))
    assert keyed(LINKS, bench.read(LINKS)) == keyed(LINKS, truth)
    assert methods(bench).count("batch") == 2 * before + 1


def test_a_batch_that_stays_empty_fails(bench: Bench) -> None:
    def empty(request: Request, ask: Ask) -> Response:
        answer = ask(request)
        if not request.path.endswith("batch"):
            return answer
        return json_response({**json.loads(answer.body), "result": []})

    bench.face.strike_all(empty)
    with pytest.raises(RetriableError, match="batch"):
        bench.read(LINKS)
    assert sum(bench.slept) <= 90


def test_a_deal_deleted_meanwhile_has_no_goods(bench: Bench) -> None:
    truth = bench.read(GOODS)
    gone = truth[0]["DEAL_ID"]

    def refused(result: dict[str, Any]) -> Any:
        del result["result"][f"deal_{gone}"]
        error = {"error": "", "error_description": "Not found."}
        return {**result, "result_error": {f"deal_{gone}": error}}

    def strike(request: Request, ask: Ask) -> Response:
        content = json.loads(ask(request).body)
        if f"deal_{gone}" in content["result"]["result"]:
            content["result"] = refused(content["result"])
        return json_response(content)

    bench.face.strike_all(strike)
    rows = bench.read(GOODS)
    assert [r for r in truth if r["DEAL_ID"] != gone] == rows


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            lambda r: {**r, "result_error": [{"error": "", "error_description": "?"}]},
            ParseError,
            "without the commands' names",
        ),
        (
            lambda r: {**r, "result": {**r["result"], "who": []}},
            ParseError,
            "not asked for",
        ),
        (
            lambda r: {
                **r,
                "result": {},
                "result_error": {
                    k: {"error": "", "error_description": "Access denied."}
                    for k in r["result"]
                },
            },
            FatalError,
            "Access denied",
        ),
    ],
)
def test_a_batch_that_cannot_be_told_apart_fails(
    bench: Bench, change: Any, error: type[Exception], words: str
) -> None:
    bench.face.strike_all(_only_batch(change))
    with pytest.raises(error, match=words):
        bench.read(LINKS)


# -- whole lists ---------------------------------------------------------------------


def test_a_whole_list_takes_few_requests(bench: Bench) -> None:
    """One that asks for both ends, one for all ranges between: not one per page."""
    assert len(bench.read(LEADS)) > 50
    assert methods(bench) == ["batch", "batch"]
    commands = list(sent(bench)[1]["cmd"].values())
    assert 1 < len(commands) <= 50
    assert all("start=0" in each for each in commands), "each range is counted"


@pytest.mark.parametrize(
    "stream", [LEADS, HISTORY, LINKS, INVOICES, GOODS], ids=lambda s: s.name
)
def test_ranges_with_more_rows_than_a_page_go_on(
    on_bench: OnBench, stream: Any
) -> None:
    truth = on_bench("bitrix24").read(stream)
    assert len(truth) > 20
    rows = on_bench("bitrix24", page_size=2).read(stream)
    assert keyed(stream, rows) == keyed(stream, truth)


def test_a_range_whose_rows_stayed_out_is_asked_again(bench: Bench) -> None:
    truth = bench.read(LEADS)
    before = bench.requests

    def emptied(request: Request, ask: Ask) -> Response:
        content = json.loads(ask(request).body)
        results = content["result"]["result"]
        content["result"]["result"] = {key: [] for key in results}
        return json_response(content)

    bench.face.strike(1, emptied)
    assert keyed(LEADS, bench.read(LEADS)) == keyed(LEADS, truth)
    assert bench.requests - before == 3


def test_rows_of_another_range_are_refused(bench: Bench) -> None:
    def shifted(request: Request, ask: Ask) -> Response:
        content = json.loads(ask(request).body)
        results = content["result"]["result"]
        if len(results) > 2:
            first, second, *_ = results
            results[first], results[second] = results[second], results[first]
        return json_response(content)

    bench.face.strike_all(shifted)
    with pytest.raises(ParseError, match="came"):
        bench.read(LEADS)


def test_an_empty_portal_is_one_request(bench: Bench) -> None:
    bench.server.set_now(bench.world.now - timedelta(days=400))
    for stream in (LEADS, DEALS, INVOICES, HISTORY):
        before = bench.requests
        assert bench.read(stream) == []
        assert bench.requests - before == 1


def test_a_deal_whose_contacts_stayed_out_fails_the_read(bench: Bench) -> None:
    def without(request: Request, ask: Ask) -> Response:
        content = json.loads(ask(request).body)
        for part in content["result"]["result"].values():
            for item in part["items"]:
                item["contactIds"] = []
        return json_response(content)

    bench.face.strike_all(without)
    with pytest.raises(RetriableError, match="without its contacts"):
        bench.read(LINKS)


def test_goods_come_to_the_deals_sum(bench: Bench) -> None:
    lines = {
        (str(line.deal_id), line.row_id): line.quantity * line.price_kopecks
        for line in bench.world.as_of(bench.world.now).products
    }
    assert lines
    assert lines == {
        (row["DEAL_ID"], line["id"]): round(line["price"] * line["quantity"] * 100)
        for row in bench.read(GOODS)
        for line in row["productRows"]
    }


def test_paid_invoices_are_the_won_deals_money(bench: Bench) -> None:
    view = bench.world.as_of(bench.world.now)
    won = sum(deal.amount_kopecks for deal in view.deals if deal.semantic == "S")
    paid = [r for r in bench.read(INVOICES) if r["stageId"].endswith(":P")]
    assert round(sum(row["opportunity"] for row in paid) * 100) == won > 0


# -- names in titles -----------------------------------------------------------------


def test_titles_of_deals_are_not_read(bench: Bench) -> None:
    bench.read(DEALS)
    assert not any(
        "TITLE" in text for each in sent(bench) for text in each["cmd"].values()
    )
    assert all("TITLE" not in row for row in bench.read(DEALS))


def test_a_leads_own_name_is_taken_out_of_its_title(bench: Bench) -> None:
    lead = {
        **LEAD,
        "NAME": "Пётр",
        "LAST_NAME": "Снегирёв",
        "TITLE": "Тест: СНЕГИРЕВ Петр, окна Снегирёвой",
        "COMMENTS": "Петр просил позвонить",
    }
    (found,) = bench.connector().parse(
        LEADS, json.dumps({"result": [lead]}).encode(), {}
    )
    assert found["TITLE"] == "Тест: *** ***, окна Снегирёвой"
    assert found["COMMENTS"] == "*** просил позвонить"


def test_an_item_is_read_as_the_older_methods_give_it(bench: Bench) -> None:
    item = {
        "id": 12,
        "stageId": "NEW",
        "stageSemanticId": "P",
        "createdTime": "2026-05-20T12:00:00+03:00",
        "utmSource": "yandex",
        "ufCrm_1720019876534": "5",
        "phone": "+7 900 000-12-12",
        "fm": [
            {
                "id": 7,
                "valueType": "WORK",
                "value": "+7 900 000-12-12",
                "typeId": "PHONE",
            },
            {"id": 8, "valueType": "WORK", "value": "a@example.ru", "typeId": "EMAIL"},
        ],
    }
    body = json.dumps({"result": {"items": [item]}}).encode()
    (found,) = bench.connector().parse(LEADS, body, {})
    assert found == {
        "ID": 12,
        "STATUS_ID": "NEW",
        "STATUS_SEMANTIC_ID": "P",
        "DATE_CREATE": "2026-05-20T12:00:00+03:00",
        "UTM_SOURCE": "yandex",
        "UF_CRM_1720019876534": "5",
        "PHONE": [
            {
                "ID": 7,
                "VALUE_TYPE": "WORK",
                "VALUE": "+7 900 000-12-12",
                "TYPE_ID": "PHONE",
            }
        ],
        "EMAIL": [
            {"ID": 8, "VALUE_TYPE": "WORK", "VALUE": "a@example.ru", "TYPE_ID": "EMAIL"}
        ],
    }


# -- limits and errors ---------------------------------------------------------------


def _refusal(status: int, code: Any, text: str) -> Callable[..., Response]:
    content = {"error": code, "error_description": text}
    return lambda request, ask: json_response(content, status)


def test_too_many_requests_are_sent_again(bench: Bench) -> None:
    truth = bench.read(DEALS)
    bench.face.strike(0, _refusal(503, "QUERY_LIMIT_EXCEEDED", "Too many requests"))
    assert keyed(DEALS, bench.read(DEALS)) == keyed(DEALS, truth)
    assert [pause >= 1 for pause in bench.slept] == [True]


def test_a_method_out_of_time_waits_until_its_reset(bench: Bench) -> None:
    """`operating_reset_at` of the last good answer is ten minutes ahead."""
    truth = bench.read(LEADS)
    bench.face.strike(1, _refusal(429, "OPERATION_TIME_LIMIT", "Method is blocked"))
    assert keyed(LEADS, bench.read(LEADS)) == keyed(LEADS, truth)
    assert 550 <= max(bench.slept) <= 602


@pytest.mark.parametrize(
    ("status", "code", "text", "words"),
    [
        (503, "OVERLOAD_LIMIT", "REST API is blocked due to overload.", "support"),
        (403, "insufficient_scope", "The request requires higher privileges", "crm"),
        (403, "ACCESS_DENIED", "REST API is available only on paid plans", "plan"),
        (401, "expired_token", "The access token has expired", "incoming webhook"),
        (400, "", "Access denied.", "Access denied."),
        (400, 0, "Wrong entityTypeId", "Wrong entityTypeId"),
        (200, "ERROR_CORE", "Something went wrong", "ERROR_CORE"),
        (500, "PORTAL_DELETED", "Portal was deleted", "sources.yml"),
    ],
)
def test_a_refusal_ends_the_read_and_says_what_to_do(
    bench: Bench, status: int, code: Any, text: str, words: str
) -> None:
    bench.face.strike_all(_refusal(status, code, text))
    with pytest.raises(FatalError, match=words) as caught:
        bench.read(LEADS)
    assert bench.requests == 1
    assert CANARY not in str(caught.value)


def test_the_portals_plan_sets_the_pace(bench: Bench) -> None:
    usual = bench.account.model_copy(update={"settings": {}})
    limits = Bitrix24.limits_of(usual)
    assert (limits.requests_per_second, limits.burst) == (2, 50)
    slow = bench.account.model_copy(
        update={"settings": {"requests_per_second": 2, "burst": 1}}
    )
    bench.read(LEADS, connector=bench.connector(slow), cursor=LONG_AGO)
    assert bench.requests >= 3
    assert 0.4 <= bench.slept[0] <= 0.5  # the second request waits half a second


def test_the_simulated_bucket_overflows_and_drains(bench: Bench) -> None:
    face = bench.face.inner
    assert isinstance(face, Simulator)
    bench.server.options.rate_limits = True
    face.burst, face.drain_per_second = 3, 0.001
    call = Request("POST", f"/1/{CANARY}/crm.category.list", body=b"")
    assert [face.handle(call).status for _ in range(4)] == [400, 400, 400, 503]
    face.drain_per_second = 1e9
    assert face.handle(call).status == 400


# -- settings ------------------------------------------------------------------------


def test_mapped_fields_are_selected_and_declared(bench: Bench) -> None:
    account = bench.account.model_copy(
        update={"settings": {"fields": {"margin": "UF_CRM_1704817278"}}}
    )
    names = {f.name for f in Bitrix24.stream("deals", account).fields}
    assert "UF_CRM_1704817278" in names
    assert not names & {"UF_CRM_MARGIN", "UF_CRM_REFUND_DATE"}
    with pytest.raises(FatalError, match=r"settings\.fields\.margin"):
        bench.read(DEALS, connector=bench.connector(account))
    with pytest.raises(FatalError, match=r"settings\.fields\.margin"):
        bench.connector(account).check()


def test_unmapped_fields_are_not_asked_for(bench: Bench) -> None:
    account = bench.account.model_copy(update={"settings": {}})
    rows = bench.read(DEALS, connector=bench.connector(account))
    assert not [name for row in rows for name in row if name.startswith("UF_")]


def test_check_says_which_fields_are_read(bench: Bench) -> None:
    lines = "\n".join(bench.connector().check())
    assert "margin is read from UF_CRM_MARGIN" in lines


# -- days ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-05-31T20:59:59+00:00", date(2026, 5, 31)),
        ("2026-05-31T21:00:00+00:00", date(2026, 6, 1)),
        ("2026-06-01T00:00:00+03:00", date(2026, 6, 1)),
        ("2026-05-31T23:30:00+02:00", date(2026, 6, 1)),
    ],
)
def test_the_day_is_the_accounts_own(bench: Bench, at: str, day: date) -> None:
    connector = bench.connector()
    assert connector.record_date(LEADS, {"DATE_CREATE": at}) == day
    assert connector.record_date(HISTORY, {"CREATED_TIME": at}) == day


# -- recorded answers ------------------------------------------------------------------

LEAD = {
    "ID": "12",
    "STATUS_ID": "NEW",
    "DATE_CREATE": "2026-05-20T12:00:00+03:00",
    "PHONE": [{"ID": "7", "VALUE": "+7 900 000-12-12", "TYPE_ID": "PHONE"}],
}
MOMENT = {"CREATED_TIME": "2026-05-20T12:00:00+03:00", "STAGE_ID": "C1:NEW"}


def _batch(results: Any, errors: Any = ()) -> Any:
    return {"result": {"result": results, "result_error": errors or []}}


@pytest.mark.parametrize(
    ("stream", "content", "count"),
    [
        (LEADS, {"result": [LEAD], "next": 50, "total": 654}, 1),
        (LEADS, {"result": LEAD}, 1),
        (LEADS, {"result": []}, 0),
        (LEADS, _batch({"a": [LEAD], "b": [], "c": LEAD}), 2),
        (LEADS, _batch([]), 0),
        (HISTORY, {"result": {"items": [{"ID": 5, "OWNER_ID": 1, **MOMENT}]}}, 1),
        (CATEGORIES, {"result": {"categories": [{"id": 0, "name": "Общая"}]}}, 1),
        (
            STATUSES,
            {
                "result": [
                    {"ENTITY_ID": "SOURCE", "STATUS_ID": "CALL", "NAME": "Звонок"}
                ]
            },
            1,
        ),
        (LINKS, _batch({"deal_4": [{"CONTACT_ID": 5, "IS_PRIMARY": "Y"}]}), 1),
        (
            LINKS,
            {"result": {"items": [{"id": 4, "contactId": 5, "contactIds": [5, 6]}]}},
            2,
        ),
        (
            LINKS,
            {"result": {"items": [{"id": 4, "contactId": 0, "contactIds": []}]}},
            0,
        ),
        (GOODS, _batch({"deal_4": {"productRows": [{"id": 1}]}, "deal_5": []}), 2),
    ],
)
def test_recorded_answers_of_each_shape_are_read(
    bench: Bench, stream: Any, content: Any, count: int
) -> None:
    body = json.dumps(content).encode()
    assert len(bench.connector().parse(stream, body, {})) == count


@pytest.mark.parametrize(
    ("stream", "content", "words"),
    [
        (LEADS, {"result": {"items": [{"id": 1}]}}, "STATUS_ID"),
        (LEADS, {"result": {"item": {"id": 1}}}, "STATUS_ID"),
        (LEADS, {"result": {"items": 7}}, "no list"),
        (LINKS, {"result": {"items": [{"id": 4, "contactIds": 5}]}}, "contactId"),
        (GOODS, _batch({"after_0_to_9": [{"ID": "1"}]}), "no answer about a deal"),
        (LEADS, _batch({"a": [LEAD]}, [{"error": ""}]), "without the commands' names"),
        (LEADS, _batch({"a": [LEAD]}, {"b": {"error": ""}}), "failed: b"),
        (LEADS, {"error": "", "error_description": "Not found"}, "no `result`"),
        (LEADS, {"result": [{"ID": "1", "TITLE": "x"}]}, "STATUS_ID"),
        (LEADS, {"result": [{**LEAD, "ID": "x"}]}, "not a number"),
        (LEADS, {"result": ["x"]}, "not a JSON object"),
        (STATUSES, _batch({"2": [{"NAME": "a", "STATUS_ID": "C2:NEW"}]}), "ENTITY_ID"),
        (LINKS, {"result": [{"CONTACT_ID": 5, "IS_PRIMARY": "Y"}]}, "DEAL_ID"),
        (LINKS, _batch({"deal_4": ["x"]}), "not a JSON object"),
        (CATEGORIES, {"result": {"items": 5}}, "another shape"),
        (HISTORY, {"result": {"items": 5}}, "another shape"),
    ],
)
def test_recorded_answers_of_another_shape_are_refused(
    bench: Bench, stream: Any, content: Any, words: str
) -> None:
    with pytest.raises(ParseError, match=words):
        bench.connector().parse(stream, json.dumps(content).encode(), {})


# -- the simulated portal itself -------------------------------------------------------


def call(bench: Bench, method: str, params: Any = None) -> Any:
    """A method's answer, as JSON."""
    request = Request(
        "POST",
        f"/rest/1/{CANARY}/{method}.json",
        headers={"Content-Type": "application/json"},  # type: ignore[arg-type]
        body=json.dumps(params or {}).encode(),
    )
    return json.loads(bench.face.inner.handle(request).body)


def test_lists_are_counted_only_when_asked(bench: Bench) -> None:
    counted = call(bench, "crm.lead.list", {"start": 0})
    total = len(bench.world.as_of(bench.world.now).leads)
    assert (counted["next"], counted["total"]) == (50, total)
    assert len(counted["result"]) == 50
    last = call(bench, "crm.lead.list", {"start": 50})
    assert "next" not in last
    quick = call(bench, "crm.lead.list", {"start": -1})
    assert (quick.get("next"), quick["total"]) == (None, 0)


def test_lists_hold_text_and_no_multi_field_unless_named(bench: Bench) -> None:
    for row in call(bench, "crm.lead.list", {"select": ["*", "UF_*"]})["result"]:
        assert "PHONE" not in row and "UF_CRM_YM_CLIENT_ID" in row
        assert all(value is None or isinstance(value, str) for value in row.values())
    named = call(bench, "crm.lead.list", {"select": ["PHONE", "NO_SUCH"]})["result"]
    assert {name for row in named for name in row} == {"ID", "PHONE"}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({">ID": 320}, lambda i: i > 320),
        ({"<=ID": "320"}, lambda i: i <= 320),
        ({"@ID": ["310", 311]}, lambda i: i in (310, 311)),
        ({"!@ID": ["310", 311]}, lambda i: i not in (310, 311)),
        ({"ID": 310}, lambda i: i == 310),
        ({"!ID": 310}, lambda i: i != 310),
    ],
)
def test_filters(bench: Bench, condition: Any, holds: Callable[[int], bool]) -> None:
    everything = [int(r["ID"]) for r in call(bench, "crm.deal.list")["result"]]
    found = call(bench, "crm.deal.list", {"filter": condition})["result"]
    assert [int(r["ID"]) for r in found] == [i for i in everything if holds(i)]
    assert len(found) not in (0, len(everything))


def test_a_naive_time_in_a_filter_is_the_portals(bench: Bench) -> None:
    moscow = call(bench, "crm.deal.list", {"filter": {">=DATE_MODIFY": "2026-05-25"}})
    utc = {">=DATE_MODIFY": "2026-05-24T21:00:00+00:00"}
    same = call(bench, "crm.deal.list", {"filter": utc})
    assert moscow["result"] == same["result"]
    assert 0 < same["total"] < call(bench, "crm.deal.list")["total"]


def test_batches_have_phps_empty_lists_and_limits(bench: Bench) -> None:
    deal = call(bench, "crm.deal.list")["result"][0]["ID"]
    command = f"crm.deal.contact.items.get?id={deal}"
    parts = call(bench, "batch", {"cmd": {"one": command}})["result"]
    assert parts["result_error"] == parts["result_next"] == []
    assert list(parts["result"]) == ["one"]
    numbered = call(bench, "batch", {"cmd": {"7": command, "8": "crm.deal.get?id=0"}})
    assert numbered["result"]["result_error"] == [
        {"error": "", "error_description": "Not found"}
    ]
    many = {f"c{i}": command for i in range(51)}
    assert call(bench, "batch", {"cmd": many})["error"] == "ERROR_BATCH_LENGTH_EXCEEDED"
    nested = call(bench, "batch", {"cmd": {"a": "batch?cmd[a]=crm.deal.list"}})
    error = nested["result"]["result_error"]["a"]["error"]
    assert error == "ERROR_BATCH_METHOD_NOT_ALLOWED"
    asked = "crm.deal.list?filter[>ID]=310&select[]=ID&start=-1&order[ID]=ASC"
    inner = call(bench, "batch", {"cmd": {"a": asked}})["result"]["result"]["a"]
    assert inner and all(set(r) == {"ID"} and int(r["ID"]) > 310 for r in inner)


def test_a_merge_moves_deals_without_a_word(bench: Bench) -> None:
    """The survivor takes over; the deal's DATE_MODIFY stays as it was."""
    world = bench.world
    holders = {deal.contact_id for deal in world.deals}
    loser = next(c for c in world.contacts if c.merged_into and c.contact_id in holders)
    assert loser.deleted_at is not None
    bench.server.set_now(loser.deleted_at - timedelta(minutes=1))
    before = keyed(DEALS, bench.read(DEALS))
    bench.server.set_now(loser.deleted_at + timedelta(minutes=1))
    after = keyed(DEALS, bench.read(DEALS))
    moved = {
        key for key in before if before[key]["CONTACT_ID"] == str(loser.contact_id)
    }
    assert moved
    assert {after[key]["CONTACT_ID"] for key in moved} == {str(loser.merged_into)}
    assert all(before[k]["DATE_MODIFY"] == after[k]["DATE_MODIFY"] for k in moved)
    found = records_of(bench.connector().read_again(DEALS, sorted(moved)))
    assert keyed(DEALS, found) == {key: after[key] for key in moved}
