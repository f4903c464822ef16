"""Calltouch's calls journal, over real HTTP against its simulator."""

from __future__ import annotations

import json
import logging
from datetime import date, datetime, timedelta

import pytest

from connectors.base import registry
from connectors.base.connection import ConnectionInfo
from connectors.base.errors import (
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.sources import Account
from connectors.base.stream import Window
from connectors.calltouch import Calltouch
from connectors.calltouch.streams import CALLS, DEAL_JOURNAL, REQUESTS, clean
from simulator.face import Options
from simulator.server import start
from simulator.world import MOSCOW, build_world

END = date(2026, 6, 1)
TOKEN = "calltouch-token-1a2b3c"


@pytest.fixture(scope="module")
def world():
    return build_world(seed=3, end_date=END, size="small")


@pytest.fixture
def server(world):
    options = Options(
        now=world.now, page_sizes={"calltouch": 7}, tokens={"calltouch": TOKEN}
    )
    with start(world, options=options) as running:
        yield running


@pytest.fixture
def slept():
    return []


@pytest.fixture
def connect(world, server, slept, monkeypatch):
    monkeypatch.setenv("THROUGHLINE_DEMO", "1")

    def make(token=TOKEN, site_id=None, path="/calltouch", zone="Europe/Moscow"):
        account = Account(
            source="calltouch",
            account="main",
            time_zone=zone,
            currency_code="RUB",
            vat_included=True,
            settings={"site_id": site_id or world.site_id},
        )
        connection = ConnectionInfo(
            "throughline_calltouch__main", server.base_url + path, password=token
        )
        return registry.build(account, connection, sleep=slept.append)

    return make


def window(first, last):
    return Window(first, last, "Europe/Moscow")


def everything(world):
    return window(world.start_date, world.end_date)


def read(connector, span, stream=CALLS):
    return [r for batch in connector.pages(stream, span, None) for r in batch.records]


def test_every_call_comes_once_over_many_pages(world, server, connect):
    records = read(connect(), everything(world))
    assert [r["callId"] for r in records] == [c.call_id for c in world.calls]
    assert len(server.requests) == -(-len(world.calls) // 7)
    assert all(entry.status == 200 for entry in server.requests)


def test_records_are_as_the_vendor_names_them(world, connect):
    records = read(connect(), everything(world))
    declared = {field.name for field in CALLS.fields}
    assert {name for record in records for name in record} == declared
    assert len(declared) == 60  # of 62: IP address and user agent are left out
    by_id = {c.call_id: c for c in world.calls}
    for record in records:
        call = by_id[record["callId"]]
        assert record["timestamp"] == int(call.at.timestamp())
        assert record["callerNumber"] == call.caller_number
        assert record["yaClientId"] == call.client_id
        assert CALLS.record_key(record) == str(call.call_id)
        day = CALLS.record_date(record, "Europe/Moscow")
        assert day == call.at.astimezone(MOSCOW).date()
        printed = datetime.strptime(record["date"], "%d/%m/%Y %H:%M:%S")
        assert printed.date() == day


def test_two_windows_are_one_window(world, connect):
    middle = world.start_date + timedelta(days=5)
    connector = connect()
    halves = read(connector, window(world.start_date, middle)) + read(
        connector, window(middle, world.end_date)
    )
    assert halves == read(connector, everything(world))


def test_a_window_ends_before_its_end(world, connect):
    day = world.calls[0].at.astimezone(MOSCOW).date()
    records = read(connect(), window(day, day + timedelta(days=1)))
    assert records
    assert {CALLS.record_date(r, "Europe/Moscow") for r in records} == {day}


def test_long_windows_are_asked_in_parts(connect, server):
    read(connect(), window(date(2026, 3, 1), date(2026, 6, 1)))
    asked = {
        (entry.query["dateFrom"][0], entry.query["dateTo"][0])
        for entry in server.requests
    }
    assert asked == {
        ("01/03/2026", "31/03/2026"),
        ("01/04/2026", "01/05/2026"),
        ("02/05/2026", "31/05/2026"),
    }


def test_no_calls_is_no_error(connect):
    assert read(connect(), window(date(2020, 1, 1), date(2020, 1, 3))) == []


def test_tags_come_later_and_the_record_changes(world, server, connect):
    late = next(c for c in world.calls if c.tagged_at and c.tags)
    day = late.at.astimezone(MOSCOW).date()
    span = window(day, day + timedelta(days=1))

    def tags(now):
        server.set_now(now)
        found = {r["callId"]: r for r in read(connect(), span)}
        return found[late.call_id]["callTags"]

    assert tags(late.tagged_at - timedelta(seconds=1)) == []
    assert tags(late.tagged_at + timedelta(seconds=1)) != []


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        ({"kind": "status", "status": 429, "retry_after": 2}, 1),
        ({"kind": "status", "status": 503, "times": 3}, 3),
        ({"kind": "truncate", "framing": "length"}, 1),
        ({"kind": "truncate", "framing": "chunked"}, 1),
        ({"kind": "truncate", "framing": "gzip"}, 1),
        ({"kind": "reset"}, 1),
        ({"kind": "body", "body": '{"page": 1, "records": ['}, 1),
    ],
)
def test_trouble_on_the_way_loses_nothing(world, server, connect, fault, requests):
    server.inject(source="calltouch", skip=2, **fault)
    records = read(connect(), everything(world))
    assert len(records) == len(world.calls)
    assert len(server.requests) == -(-len(world.calls) // 7) + requests


@pytest.mark.parametrize("kind", ["html", "redirect"])
def test_a_page_or_a_redirect_is_refused_at_once(world, server, connect, kind):
    server.inject(kind=kind, source="calltouch")
    with pytest.raises(FatalError, match="check the address"):
        read(connect(), everything(world))
    assert len(server.requests) == 1


def test_a_wrong_path_leads_to_a_help_page_and_is_refused(world, server, connect):
    with pytest.raises(FatalError, match=r"redirected \(302\) to www.calltouch.ru"):
        read(connect(path="/calltouch/v2"), everything(world))
    assert len(server.requests) == 1


def test_a_wrong_token_costs_exactly_one_request(world, server, connect):
    with pytest.raises(FatalError, match="Отправка данных во внешние системы"):
        read(connect(token="wrong-token"), everything(world))
    assert len(server.requests) == 1


def test_a_site_of_others_costs_exactly_one_request(world, server, connect):
    with pytest.raises(FatalError, match=r"settings\.site_id"):
        read(connect(site_id=1), everything(world))
    assert len(server.requests) == 1


def test_the_vendors_rate_is_held(world, server, connect):
    server.options.rate_limits = True
    connector = connect()
    connector.client._limiter._sleep = __import__("time").sleep
    read(connector, everything(world))
    assert len(server.requests) > 5  # the limit within one second
    assert {entry.status for entry in server.requests} == {200}


def test_the_vendors_rate_is_real(world, server, connect):
    server.options.rate_limits = True
    connector = connect()  # its pauses are not slept
    with pytest.raises(RetriableError, match="429"):
        for _ in range(7):
            connector.check()
    assert 429 in {entry.status for entry in server.requests}


def spoiled(world, server, change):
    """Let the second page of the journal be another than the true one."""
    face = server.backend.face("calltouch")
    true = face._journal

    def journal(request):
        content = true(request)
        if request.param("page") == "2":
            change(content)
        return content

    face._journal = journal


def shift(content):
    content["records"].insert(0, {"callId": 1, "timestamp": 0})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c: c["records"].pop(), RetriableError),
        (lambda c: c["records"].clear(), RetriableError),
        (lambda c: c.update(recordsTotal=c["recordsTotal"] + 1), RetriableError),
        (lambda c: c.update(pageTotal=2), RetriableError),
        (lambda c: c.update(recordsTotal="many"), ParseError),
        (lambda c: c.update(records=None), ParseError),
        (lambda c: c.update(records=["x"]), ParseError),
        (lambda c: c["records"][0].update(timestamp=0), ParseError),
        (shift, ParseError),
    ],
)
def test_an_answer_that_contradicts_itself_is_refused(
    world, server, connect, change, error
):
    spoiled(world, server, change)
    with pytest.raises(error):
        read(connect(), everything(world))


def test_another_zone_than_the_cabinets_is_noticed(world, connect):
    connector = connect(zone="Asia/Vladivostok")
    span = Window(world.start_date, world.end_date, "Asia/Vladivostok")
    with pytest.raises(ParseError, match="set time_zone"):
        read(connector, span)


def test_a_recorded_body_gives_the_same_records(world, server, connect):
    connector = connect()
    day = world.calls[0].at.astimezone(MOSCOW).date()
    live = read(connector, window(day, day + timedelta(days=1)))
    page = {"page": 1, "pageTotal": 1, "recordsTotal": len(live), "records": live}
    for body in (page, live):
        assert connector.parse(CALLS, json.dumps(body).encode(), {}) == live
    for wrong in (b"", b"<html>", b"{}", b'{"records": [1]}', b'"text"'):
        with pytest.raises(ParseError):
            connector.parse(CALLS, wrong, {})


def test_the_one_day_shape_of_the_simulator(world, connect):
    day = world.calls[0].at.astimezone(MOSCOW).date()
    path = f"calls-service/RestAPI/{world.site_id}/calls-diary/calls"
    client = connect().client
    one = {"dateFrom": f"{day:%d/%m/%Y}", "dateTo": f"{day:%d/%m/%Y}"}
    assert isinstance(client.get(path, one).json(), list)
    with pytest.raises(FatalError, match="dateFrom must equal dateTo"):
        client.get(path, {**one, "dateTo": "31/12/2026"})
    with pytest.raises(FatalError, match="dd/mm/yyyy"):
        client.get(path, {**one, "dateTo": "2026-05-30"})


def test_check_says_that_it_works(world, connect, server):
    assert connect().check()[0].startswith(f"site {world.site_id} answers; calls")
    assert len(server.requests) == 1


# -- requests and deals ----------------------------------------------------------------


def test_every_request_comes_once_with_its_contacts_by_kind(world, connect):
    requests = {m.message_id: m for m in world.messages if m.kind == "request"}
    records = read(connect(), everything(world), REQUESTS)
    assert len(requests) > 10
    assert sorted(r["requestId"] for r in records) == sorted(requests)
    for record in records:
        message = requests[record["requestId"]]
        assert record["client.phones"] == list(message.phones)
        assert record["client.contacts"] == list(message.emails)
        assert record["client.fio"] == (message.name or None)
        assert "client" not in record
        day = message.at.astimezone(MOSCOW).date()
        assert REQUESTS.record_date(record, "Europe/Moscow") == day


def test_requests_want_the_month_before_the_day(world, connect, server):
    read(connect(), window(date(2026, 5, 18), date(2026, 6, 1)), REQUESTS)
    asked = [(e.query["dateFrom"][0], e.query["dateTo"][0]) for e in server.requests]
    assert asked == [("05/18/2026", "05/24/2026"), ("05/25/2026", "05/31/2026")]
    with pytest.raises(FatalError, match="mm/dd/yyyy"):
        connect().client.get(
            "calls-service/RestAPI/requests",
            {"siteId": world.site_id, "dateFrom": "31/05/2026", "dateTo": "31/05/2026"},
        )


def test_an_empty_array_is_believed_when_it_comes_twice(world, connect, server):
    nothing = window(date(2020, 1, 1), date(2020, 1, 3))
    assert read(connect(), nothing, REQUESTS) == []
    assert len(server.requests) == 2
    truth = read(connect(), everything(world), REQUESTS)
    server.inject(source="calltouch", kind="body", body="[]")
    assert read(connect(), everything(world), REQUESTS) == truth


@pytest.mark.parametrize(
    "body", ["{}", "null", '{"records": []}', "[1]", '[{"error": 1}]', "[[]]"]
)
def test_requests_of_another_shape_are_refused(world, connect, server, body):
    server.inject(source="calltouch", kind="body", body=body, times=9)
    with pytest.raises(ParseError):
        read(connect(), everything(world), REQUESTS)


def test_requests_of_another_day_are_refused(world, connect):
    late = next(m for m in world.messages if m.at.astimezone(MOSCOW).hour >= 17)
    day = late.at.astimezone(MOSCOW).date()  # where it is tomorrow already
    span = Window(day, day + timedelta(days=1), "Asia/Vladivostok")
    with pytest.raises(ParseError, match="set time_zone"):
        read(connect(zone="Asia/Vladivostok"), span, REQUESTS)


def test_no_address_of_a_visitor_gets_past_the_connector(world, server, connect):
    sent = []
    face = server.backend.face("calltouch")
    true = face.handle

    def handle(request):
        answer = true(request)
        sent.append(answer.body.decode())
        return answer

    face.handle = handle
    for stream in Calltouch.streams:
        text = json.dumps(read(connect(), everything(world), stream))
        assert "192.0.2." not in text
        assert "userAgent" not in text
    assert "192.0.2." in "".join(sent)
    assert "userAgent" in "".join(sent)


def test_what_is_left_out_is_left_out_at_any_depth():
    visits = [{"sessionId": 1, "ip": "192.0.2.1", "userAgent": "x", "url": "u"}]
    record = {"callId": 1, "ip": "192.0.2.1", "mapVisits": visits}
    assert clean(record) == {"callId": 1, "mapVisits": [{"sessionId": 1, "url": "u"}]}
    odd = {"client": {"fio": "A", "phones": "8 999 000-00-01", "new": 1}}
    assert clean(odd) == {
        "client.fio": "A",
        "client.phones": "8 999 000-00-01",
        "client.new": 1,
    }
    assert clean({"client": None}) == {"client": None}


def test_the_deal_journal_is_read_in_pages(world, server, connect):
    records = read(connect(), everything(world), DEAL_JOURNAL)
    known = {str(deal.deal_id) for deal in world.as_of(world.now).deals}
    numbers = [record["orderNumber"] for record in records]
    assert len(numbers) == len(set(numbers)) > 7
    assert set(numbers) <= known
    assert len(server.requests) == -(-len(records) // 7)
    in_milliseconds = {"createdDate": 1780261199000}
    printed = {"createdDate": "31/05/2026 23:59:59"}
    for record in (in_milliseconds, printed):
        assert DEAL_JOURNAL.record_date(record, "Europe/Moscow") == date(2026, 5, 31)


def test_the_token_is_in_no_log_and_no_error(world, server, connect, caplog):
    caplog.set_level(logging.DEBUG)
    shown = ""
    for fault in ({"kind": "status", "status": 500, "times": 9}, {"kind": "redirect"}):
        server.clear_faults()
        server.inject(source="calltouch", **fault)
        with pytest.raises(ConnectorError) as caught:
            read(connect(), everything(world))
        shown += repr(caught.value)
    assert any("clientApiId=***" in line for line in caplog.messages)
    assert all(entry.query["clientApiId"] == [TOKEN] for entry in server.requests)
    assert TOKEN not in shown + caplog.text


def test_it_is_a_declaration():
    import inspect

    source = inspect.getsource(inspect.getmodule(Calltouch))
    assert len(source.splitlines()) < 180
