"""CoMagic's reports, over real HTTP against their simulator."""

from __future__ import annotations

import inspect
import json
import logging
from datetime import date, datetime, timedelta

import pytest

from connectors import comagic
from connectors.base import registry
from connectors.base.connection import ConnectionInfo
from connectors.base.errors import (
    ConfigError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.pseudonymise import Pseudonymiser, Tokeniser
from connectors.base.sources import Account
from connectors.base.stream import Window
from connectors.comagic import reports, simulator, streams
from connectors.comagic.errors import error_in
from simulator.face import Options
from simulator.server import start
from simulator.world import MOSCOW, build_world

END = date(2026, 6, 1)
KEY = "comagic-key-5e6f7a8b"
CALLS, COMMUNICATIONS, SESSIONS, CHATS, MESSAGES = streams.ALL


@pytest.fixture(scope="module")
def world():
    return build_world(seed=3, end_date=END, size="small").branch("spb")


@pytest.fixture
def server(world):
    options = Options(now=world.now, page_sizes={"comagic": 7}, tokens={"comagic": KEY})
    with start(world, options=options) as running:
        yield running


@pytest.fixture
def face(server):
    return server.backend.face("comagic")


@pytest.fixture
def slept():
    return []


@pytest.fixture
def connect(server, slept, monkeypatch):
    monkeypatch.setenv("THROUGHLINE_DEMO", "1")

    def make(key=KEY, login="", **settings):
        account = Account(
            source="comagic",
            account="spb",
            time_zone="Europe/Moscow",
            currency_code="RUB",
            vat_included=True,
            settings=settings,
        )
        connection = ConnectionInfo(
            "throughline_comagic__spb",
            server.base_url + "/comagic",
            login=login,
            password=key,
        )
        return registry.build(account, connection, sleep=slept.append)

    return make


def window(first, last):
    return Window(first, last, "Europe/Moscow")


def everything(world):
    return window(world.start_date, world.end_date)


def read(connector, span, stream=CALLS):
    return [r for batch in connector.pages(stream, span, None) for r in batch.records]


def asked(server):
    """The calls that came: (method, params)."""
    bodies = [json.loads(entry.body) for entry in server.requests]
    return [(body["method"], body["params"]) for body in bodies]


# -- what comes ----------------------------------------------------------------------


def test_every_call_session_and_message_comes_once(world, server, connect):
    connector, known = connect(), world.as_of(world.now)

    def ids(stream):
        return sorted(r["id"] for r in read(connector, everything(world), stream))

    assert known.calls and known.messages
    assert ids(CALLS) == sorted(c.call_id for c in known.calls)
    assert ids(SESSIONS) == sorted(v.visit_id for v in known.visits)
    for stream, kind in ((CHATS, "chat"), (MESSAGES, "offline_message")):
        of_kind = [m.message_id for m in known.messages if m.kind == kind]
        assert of_kind
        assert ids(stream) == sorted(of_kind)
    assert all(entry.status == 200 for entry in server.requests)


def test_a_communication_is_each_of_them(world, connect):
    connector, span = connect(), everything(world)
    found = {
        (r["communication_type"], r["id"])
        for r in read(connector, span, COMMUNICATIONS)
    }
    parts = {
        (r["communication_type"], r["communication_id"])
        for stream in (CALLS, CHATS, MESSAGES)
        for r in read(connector, span, stream)
    }
    assert found == parts


def test_what_a_call_says_is_the_truth(world, connect):
    by_id = {call.call_id: call for call in world.calls}
    for record in read(connect(), everything(world)):
        call = by_id[record["id"]]
        assert record["contact_phone_number"] == call.caller_number
        assert record["visitor_session_id"] == call.visit_id
        local = call.at.astimezone(MOSCOW)
        assert record["start_time"] == f"{local:%Y-%m-%d %H:%M:%S}"
        assert CALLS.record_date(record, "Europe/Moscow") == local.date()


@pytest.mark.parametrize("stream", streams.ALL, ids=lambda s: s.name)
def test_all_fields_are_named_because_few_come_by_themselves(
    world, server, connect, face, stream
):
    read(connect(), everything(world), stream)
    method, params = asked(server)[0]
    assert method == streams.REPORTS[stream.name].method
    assert params["fields"] == [field.name for field in stream.fields]
    # without being named they would not have come
    del params["fields"]
    bare = face._rows(face._reports[method], params)
    assert bare and not {"utm_source", "ym_client_id", "tags"} & set(bare[0])


def test_nothing_is_asked_for_that_leads_to_a_person():
    declared = {field.name for stream in streams.ALL for field in stream.fields}
    assert not {name for name in declared if "record" in name or "ip_address" in name}
    assert not declared & {"chat_user_id", "chat_username", "visitor_profile_url"}


def test_phones_are_tokens_also_where_the_vendor_has_numbers(world, connect):
    for stream in (CHATS, MESSAGES):
        rows = read(connect(), everything(world), stream)
        assert any(isinstance(r["visitor_phone_number"], int) for r in rows)
        clean = Pseudonymiser(stream, Tokeniser("1", b"k" * 32))
        for row in rows:
            record, sealed = clean.record(row)
            assert not sealed
            assert str(record["visitor_phone_number"] or "ph1_").startswith("ph1_")


# -- days ------------------------------------------------------------------------------


def test_a_window_is_its_days_to_the_last_second(world, server, connect):
    day = world.calls[0].at.astimezone(MOSCOW).date()
    records = read(connect(), window(day, day + timedelta(days=1)))
    assert {CALLS.record_date(r, "Europe/Moscow") for r in records} == {day}
    _, params = asked(server)[0]
    assert params["date_from"] == f"{day} 00:00:00"
    assert params["date_till"] == f"{day} 23:59:59"


def test_long_windows_are_asked_by_months(connect, server):
    read(connect(), window(date(2026, 1, 1), date(2026, 5, 1)))
    spans = [(p["date_from"][:10], p["date_till"][:10]) for _, p in asked(server)]
    assert spans == [
        ("2026-01-01", "2026-01-31"),
        ("2026-02-01", "2026-03-03"),
        ("2026-03-04", "2026-04-03"),
        ("2026-04-04", "2026-04-30"),
    ]


def test_more_than_three_months_would_be_refused(connect):
    first = datetime(2026, 1, 1)
    with pytest.raises(FatalError, match="date_interval_limit_reached"):
        connect()._page(CALLS, first, first + timedelta(days=93), 0, 1)


def test_the_zone_is_the_accounts(server, connect):
    """The vendor's times have no offset, so the account's own days are asked for."""
    span = Window(date(2026, 5, 20), date(2026, 5, 21), "Asia/Vladivostok")
    read(connect(), span)
    assert asked(server)[0][1]["date_from"] == "2026-05-20 00:00:00"


def test_a_report_too_long_to_page_through_is_halved(
    world, server, connect, monkeypatch
):
    truth = read(connect(), everything(world), SESSIONS)
    server.requests.clear()
    monkeypatch.setattr(reports, "MOST_ROWS", 50)
    halves = read(connect(), everything(world), SESSIONS)
    assert len(truth) > 100
    assert sorted(r["id"] for r in halves) == sorted(r["id"] for r in truth)
    offsets = [p["offset"] + min(p["limit"], 7) for _, p in asked(server)]
    assert max(offsets) <= 57
    assert len({p["date_from"] for _, p in asked(server)}) > 3


def test_a_second_too_full_is_said(world, connect, monkeypatch):
    monkeypatch.setattr(reports, "MOST_ROWS", 0)
    with pytest.raises(FatalError, match="in one second"):
        read(connect(), everything(world))


# -- errors inside HTTP 200 --------------------------------------------------------------


def test_a_minutes_limit_is_waited_for(world, server, connect, face, slept):
    server.options.rate_limits = True
    face.points = simulator.Points(3, 750)
    spent = face.points._spent

    connector = connect()
    sleep = connector.client._sleep

    def pass_time(seconds):
        sleep(seconds)
        if seconds > 30:
            spent.clear()

    connector.client._sleep = pass_time
    records = read(connector, everything(world))
    assert len(records) == len(world.as_of(world.now).calls)
    waits = [each for each in slept if each > 30]
    assert waits and max(waits) <= 62  # minute_reset, and a second of jitter


def test_a_days_limit_ends_the_read_and_says_when_it_is_over(
    world, server, connect, face
):
    server.options.rate_limits = True
    face.points = simulator.Points(150, 2)
    with pytest.raises(FatalError, match=r"used up, run again in 24\.0 hours"):
        read(connect(), everything(world))
    assert len(server.requests) == 3


def test_a_machine_that_is_not_on_the_list_is_told_where_to_add_it(
    world, server, connect, face
):
    face.is_listed = False
    with pytest.raises(FatalError, match="настройки безопасности"):
        read(connect(), everything(world))
    assert len(server.requests) == 1


def test_a_wrong_key_costs_one_request_and_names_the_connection(world, server, connect):
    with pytest.raises(FatalError, match=r"permanent key.*throughline_comagic__spb"):
        read(connect(key="wrong-key-9"), everything(world))
    assert len(server.requests) == 1


def test_an_agent_names_the_client(world, server, connect, face):
    face.agent_of = 1234
    with pytest.raises(FatalError, match="forbidden"):
        read(connect(), everything(world))
    assert read(connect(user_id=1234), everything(world))


@pytest.mark.parametrize(
    ("mnemonic", "kind", "text"),
    [
        ("internal_error", RetriableError, "internal_error"),
        ("access_token_blocked", FatalError, "permanent key"),
        ("account_inactive", FatalError, "balance"),
        ("parameter_component_disabled", FatalError, "plan"),
        ("forbidden", FatalError, "right to read"),
        ("unexpected_parameters", FatalError, "maintainers"),
        ("never_heard_of", FatalError, "maintainers"),
    ],
)
def test_only_the_mnemonic_tells_errors_apart(mnemonic, kind, text):
    content = {
        "error": {"code": -32602, "message": "m", "data": {"mnemonic": mnemonic}}
    }
    error = error_in(content, "comagic/spb: POST v2.0")
    assert isinstance(error, kind)
    assert text in str(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({}, FatalError),
        ({"code": -32029, "data": None}, FatalError),
        ({"data": {"mnemonic": "limit_exceeded"}}, RetriableError),
        ({"data": {"mnemonic": "limit_exceeded", "params": []}}, RetriableError),
        ({"data": {"mnemonic": "limit_exceeded", "metadata": {"limits": {
            "minute_reset": "soon"}}}}, RetriableError),
        ({"data": {"mnemonic": "limit_exceeded", "metadata": {"limits": {
            "day_remaining": 0, "day_reset": None}}}}, FatalError),
    ],
)  # fmt: skip
def test_an_error_of_another_shape_is_an_error(error, kind):
    found = error_in({"error": error}, "comagic/spb")
    assert isinstance(found, kind)
    if kind is RetriableError:
        assert found.retry_after == 60


# -- a user's session ----------------------------------------------------------------------


def test_a_user_signs_in_once(world, server, connect):
    connector = connect(login=simulator.LOGIN, sign_in="user")
    records = read(connector, everything(world))
    assert len(records) == len(world.as_of(world.now).calls)
    methods = [method for method, _ in asked(server)]
    assert methods.count("login.user") == 1
    assert all(p.get("access_token", "session-") != KEY for _, p in asked(server)[1:])


def test_a_session_that_ends_half_way_is_begun_anew_and_no_page_is_lost(
    world, server, connect, face
):
    connector = connect(login=simulator.LOGIN, sign_in="user")
    truth = read(connector, everything(world))
    for page in range(len(server.requests) - 1):
        batches = connector.pages(CALLS, everything(world), None)
        server.requests.clear()
        found = []
        for number, batch in enumerate(batches):
            found += batch.records
            if number == page:
                face.sessions.update(dict.fromkeys(face.sessions, 0.0))
        assert found == truth
        methods = [method for method, _ in asked(server)]
        assert methods.count("login.user") <= 1
    face.sessions.clear()
    server.requests.clear()
    assert read(connector, everything(world)) == truth
    assert asked(server)[1][0] == "login.user"


def test_a_session_that_is_refused_again_is_given_up(world, server, connect, face):
    connector = connect(login=simulator.LOGIN, sign_in="user")
    server.inject(kind="token", source="comagic", skip=2, times=1000)
    with pytest.raises(FatalError, match="permanent key"):
        read(connector, everything(world))
    assert len(server.requests) <= 5


def test_a_wrong_password_is_one_request(world, server, connect):
    with pytest.raises(FatalError, match="auth_error"):
        read(
            connect(key="wrong", login="x@example.com", sign_in="user"),
            everything(world),
        )
    assert len(server.requests) == 1


def test_a_user_needs_a_login(server, connect):
    with pytest.raises(ConfigError, match="field login is empty"):
        connect(sign_in="user")
    assert not server.requests


# -- answers that contradict themselves ------------------------------------------------------


def spoiled(face, change):
    """Let the second answer be another than the true one."""
    true, count = face._result, iter(range(10**6))

    def result(method, params):
        content = true(method, params)
        if next(count) == 1:
            change(content)
        return content

    face._result = result


def earlier(content):
    content["data"][0]["start_time"] = "2026-01-01 00:00:00"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c: c["data"].clear(), RetriableError),
        (lambda c: c["data"].append(c["data"][0]), RetriableError),
        (lambda c: c["metadata"].update(total_items=3), RetriableError),
        (lambda c: c["metadata"].update(total_items="many"), ParseError),
        (lambda c: c["metadata"].pop("total_items"), ParseError),
        (lambda c: c.update(data=None), ParseError),
        (lambda c: c.update(data=["x"]), ParseError),
        (earlier, ParseError),
    ],
)
def test_an_answer_that_contradicts_itself_is_refused(
    world, connect, face, change, error
):
    spoiled(face, change)
    with pytest.raises(error):
        read(connect(), everything(world))


def test_the_answer_to_another_call_is_refused(world, connect, face):
    true = face.handle

    def handle(request):
        answer = true(request)
        answer.body = answer.body.replace(b'"id":2,"result"', b'"id":1,"result"')
        return answer

    face.handle = handle
    with pytest.raises(RetriableError, match="not the answer to this call"):
        read(connect(), everything(world))


def test_tags_come_later_and_the_record_changes(server, connect):
    for seed in range(1, 30):
        world = build_world(seed=seed, end_date=END, size="small").branch("spb")
        late = next((c for c in world.calls if c.tagged_at and c.tags), None)
        if late:
            break
    face = simulator.Simulator(world, server.options)

    def attributes(now):
        server.set_now(now)
        found = {row["id"]: row for row in simulator._calls(face.view, face._local)}
        return found[late.call_id]["tags"]

    assert attributes(late.tagged_at - timedelta(seconds=1)) == []
    assert attributes(late.tagged_at + timedelta(seconds=1)) != []


# -- recorded bodies -------------------------------------------------------------------------


def replayed(connector, content, stream=CALLS):
    return connector.parse(stream, json.dumps(content).encode(), {})


def test_a_recorded_page_gives_its_records(world, connect, face):
    connector = connect()
    live = read(connector, everything(world))
    meta = {"total_items": len(live)}
    page = {"jsonrpc": "2.0", "id": 9, "result": {"metadata": meta, "data": live}}
    assert replayed(connector, page) == live


def test_a_call_is_read_in_the_words_of_the_vendors_other_services(connect):
    connector = connect()
    of_call_api = {
        "call_session_id": 41,
        "direction": "in",
        "start_time": "2026-05-20T12:26:48.418",
        "virtual_phone_number": "78120000301",
        "contact_phone_number": "79990000001",
        "legs": [{"leg_id": 1}],
    }
    (record,) = replayed(connector, {"result": {"data": [of_call_api]}})
    assert (record["id"], record["start_time"]) == (41, "2026-05-20 12:26:48")
    assert "legs" not in record
    notification = {
        "op": "call",
        "args": {
            "call_session_id": 42,
            "notification_time": "2026-05-20 12:00:23.500",
            "total_time_duration": 23,
            "talk_time_duration": 12,
            "direction": "in",
            "contact_phone_number": "79990000001",
            "virtual_phone_number": "78120000301",
        },
    }
    (record,) = replayed(connector, notification)
    assert (record["id"], record["start_time"]) == (42, "2026-05-20 12:00:00")
    assert record["talk_duration"] == 12
    assert not set(record) - {field.name for field in CALLS.fields}


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"result": {"data": [1]}},
        {"result": {"data": [{"call_session_id": 1}]}},
        {"op": "call", "args": {"notification_time": "soon"}},
        {"op": "call"},
        {"result": {"metadata": {}, "data": []}},
        {"error": {"code": 1}},
    ],
)
def test_a_body_of_another_shape_is_refused(connect, content):
    with pytest.raises(ParseError):
        replayed(connect(), content)


# -- the rest --------------------------------------------------------------------------------


def test_four_portals_are_one_api(monkeypatch):
    for portal in comagic.PORTALS:
        assert comagic.Comagic.is_own_address(portal + "/")
    assert not comagic.Comagic.is_own_address("https://dataapi.comagic.ru.example.com")


def test_the_key_is_in_the_body_and_nowhere_else(world, server, connect, caplog):
    caplog.set_level(logging.DEBUG)
    read(connect(), everything(world))
    assert all(p["access_token"] == KEY for _, p in asked(server))
    assert all(KEY not in str(entry.query) for entry in server.requests)
    assert all(KEY not in str(dict(entry.headers)) for entry in server.requests)
    assert caplog.messages
    assert KEY not in caplog.text


def test_check_says_that_it_works(connect, server):
    assert connect().check()[0].startswith("the account answers; calls yesterday:")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "mnemonic"),
    [
        (b"{", "parse_error"),
        (b"[]", "batch_opreations_not_supported"),
        (b'{"method": "x"}', "invalid_request"),
        (b'{"method": "x", "params": {}}', "notifications_not_supported"),
        (b'{"id": 1, "method": "x", "params": {}}', "method_not_found"),
        (
            b'{"id": 1, "method": "get.calls_report", "params": {}}',
            "required_parameter_missed",
        ),
    ],
)
def test_the_simulator_refuses_what_the_vendor_does(connect, body, mnemonic):
    with pytest.raises(FatalError, match=mnemonic):
        connect().client.request("POST", "v2.0", data=body)


@pytest.mark.parametrize(
    ("changed", "mnemonic"),
    [
        ({"limit": 10_001}, "invalid_parameter_value"),
        ({"offset": 100_001}, "invalid_parameter_value"),
        ({"limit": 10_000, "offset": 95_000}, "invalid_parameter_value"),
        ({"limit": "7"}, "data_type_error"),
        ({"date_from": "2026-05-20"}, "invalid_parameter_value"),
        ({"sort": [{"field": "finish_time"}]}, "sort_prohibited"),
        ({"fields": ["id", "telephone"]}, "unexpected_parameters"),
        ({"no_such": 1}, "unexpected_parameters"),
    ],
)
def test_the_simulator_holds_the_vendors_limits(connect, changed, mnemonic):
    params = {
        "access_token": KEY,
        "date_from": "2026-05-20 00:00:00",
        "date_till": "2026-05-31 23:59:59",
        **changed,
    }
    body = {"id": 1, "method": "get.calls_report", "params": params}
    with pytest.raises(FatalError, match=mnemonic):
        connect().client.post("v2.0", body)


def test_it_is_a_declaration():
    assert len(inspect.getsource(comagic).splitlines()) < 180
