"""amoCRM: what is its own, beyond the promises that all connectors keep."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connectors.amocrm import AmoCRM
from connectors.amocrm.simulator import Simulator
from connectors.base.connection import ConnectionInfo
from connectors.base.errors import ConfigError, FatalError, ParseError, RetriableError
from simulator.face import Request, Response, json_response, text_response
from tests.connectors.bench import CANARY, keyed, records_of

if TYPE_CHECKING:
    from tests.connectors.bench import Ask, Bench, OnBench

LEADS, CONTACTS, EVENTS = (
    AmoCRM.stream(name) for name in ("leads", "contacts", "events")
)
TRASH, STATUSES = AmoCRM.stream("deleted_leads"), AmoCRM.stream("statuses")
LONG_AGO = "2000-01-01T00:00:00+00:00"


@pytest.fixture
def bench(on_bench: OnBench) -> Bench:
    return on_bench("amocrm")


def asked(bench: Bench, path: str) -> list[dict[str, str]]:
    """The parameters of all requests to a path so far."""
    return [
        {name: values[0] for name, values in each.query.items()}
        for each in bench.server.requests
        if each.path == path
    ]


# -- paging --------------------------------------------------------------------------


def test_few_changes_are_one_request(bench: Bench) -> None:
    """The newest first: when nothing follows, that was all."""
    bench.read(CONTACTS, cursor=(bench.world.now - timedelta(days=2)).isoformat())
    (only,) = asked(bench, "/api/v4/contacts")
    assert only["order[updated_at]"] == "desc"
    assert only["filter[updated_at][from]"]


def test_each_page_is_the_first_from_the_last_moment_on(on_bench: OnBench) -> None:
    bench = on_bench("amocrm", page_size=10)
    rows = bench.read(CONTACTS)
    first, *others = asked(bench, "/api/v4/contacts")
    assert first["order[updated_at]"] == "desc"
    newest = str(max(row["updated_at"] for row in rows))
    assert len(others) > 3
    for each in others:
        assert (each["page"], each["order[updated_at]"]) == ("1", "asc")
        assert each["filter[updated_at][to]"] == newest


def test_an_edit_while_pages_are_read_loses_nothing(on_bench: OnBench) -> None:
    """With numbered pages, the row behind the edited one would slip through."""
    truth = keyed(CONTACTS, on_bench("amocrm").read(CONTACTS))
    bench = on_bench("amocrm", page_size=10)
    face = bench.face.inner
    assert isinstance(face, Simulator)
    table = face._table("contacts")
    step = iter(range(100))

    def editing(request: Request, ask: Ask) -> Response:
        answer = ask(request)
        oldest = sorted(table, key=lambda row: row["updated_at"])[next(step)]
        oldest["updated_at"] = int(bench.world.now.timestamp())
        return answer

    bench.face.strike_all(editing)
    connector = bench.connector()
    found = {row["id"] for row in bench.read(CONTACTS, connector=connector)}
    cursor = connector.next_cursor(CONTACTS, None, datetime.now(UTC))
    bench.face.strike_all(None)
    found |= {row["id"] for row in bench.read(CONTACTS, cursor=cursor)}
    assert {str(number) for number in found} == set(truth)


def test_a_mass_edit_in_one_second_is_read_whole(on_bench: OnBench) -> None:
    bench = on_bench("amocrm", page_size=7)
    face = bench.face.inner
    assert isinstance(face, Simulator)
    rows = face._table("contacts")
    for row in rows[5:35]:
        row["updated_at"] = rows[5]["updated_at"]
    found = bench.read(CONTACTS)
    assert {row["id"] for row in found} == {row["id"] for row in rows}
    keyed(CONTACTS, found)


def test_a_list_that_ends_before_its_newest_row_fails(on_bench: OnBench) -> None:
    bench = on_bench("amocrm", page_size=10)

    def cut(request: Request, ask: Ask) -> Response:
        content = json.loads(ask(request).body)
        del content["_links"]["next"]
        return json_response(content)

    bench.face.strike(2, cut)
    with pytest.raises(RetriableError, match="newest row"):
        bench.read(CONTACTS)


def test_nothing_is_204_and_an_empty_list_is_a_lost_one(bench: Bench) -> None:
    bench.server.set_now(bench.world.now - timedelta(days=400))
    assert bench.read(CONTACTS) == bench.read(EVENTS) == bench.read(TRASH) == []
    assert {each.status for each in bench.server.requests} == {204}
    empty = {"_links": {}, "_embedded": {"contacts": []}}
    bench.face.strike_all(lambda request, ask: json_response(empty))
    with pytest.raises(RetriableError, match="0 rows came"):
        bench.read(CONTACTS)


def test_a_promised_page_of_events_that_is_empty_fails(on_bench: OnBench) -> None:
    bench = on_bench("amocrm", page_size=20)
    bench.face.strike(2, lambda request, ask: Response(204))
    with pytest.raises(RetriableError, match="promised"):
        bench.read(EVENTS)


# -- records -------------------------------------------------------------------------


def test_phones_and_emails_lie_on_top(bench: Bench) -> None:
    truth = {
        card.contact_id: card for card in bench.world.as_of(bench.world.now).contacts
    }
    rows = bench.read(CONTACTS)
    assert len(rows) == len(truth)
    for row in rows:
        card = truth[row["id"]]
        assert row.get("phones", []) == list(card.phones)
        assert row.get("emails", []) == list(card.emails)
        assert not {"first_name", "last_name"} & row.keys()
        left = json.dumps(row["custom_fields_values"])
        assert "PHONE" not in left and "EMAIL" not in left


def field(number: int, name: str, value: Any, **more: Any) -> dict[str, Any]:
    return {
        "field_id": number,
        "field_name": name,
        "field_code": None,
        "field_type": "text",
        "values": [{"value": value}],
        **more,
    }


def lead(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    moment = 1779000000
    return {
        "id": 7, "name": "Заявка", "price": 100, "status_id": 142, "pipeline_id": 3,
        "created_at": moment, "updated_at": moment,
        "custom_fields_values": list(fields) or None, **more,
    }  # fmt: skip


def parsed(bench: Bench, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    body = json.dumps({"_embedded": {"leads": list(rows)}}).encode()
    return bench.connector().parse(LEADS, body, {})


def test_marks_are_found_by_code_or_name_in_any_case_but_only_by_type(
    bench: Bench,
) -> None:
    tracking = {"field_type": "tracking_data"}
    (row,) = parsed(
        bench,
        lead(
            field(1, "utm_source", "сайт"),  # somebody's own field of that name
            field(2, "utm_source", "yandex", **tracking, field_code="UTM_SOURCE"),
            field(3, "_ym_uid", "17", **tracking),
            field(4, "gclid", "Cj0", **tracking, field_code="gclid"),
            field(5, "openstat_ad", "x", **tracking, field_code="OPENSTAT_AD"),
            field(801001, "Маржа", "14012"),
        ),
    )
    assert (row["UTM_SOURCE"], row["_YM_UID"], row["GCLID"]) == ("yandex", "17", "Cj0")
    assert row["801001"] == "14012"
    kept = [each["field_id"] for each in row["custom_fields_values"]]
    assert kept == [1, 5]


def test_a_field_of_several_values_and_odd_shapes_stay_as_they_are(
    bench: Bench,
) -> None:
    odd = [
        field(801001, "Маржа", "1", values=[{"value": "1"}, {"value": "2"}]),
        field(801001, "Маржа", "1", values="?"),
        field(801001, "Маржа", "1", values=[5]),
    ]
    (row,) = parsed(bench, lead(*odd))
    assert row["custom_fields_values"] == odd
    assert "801001" not in row


def test_the_main_contact_is_named_and_links_are_not_kept(bench: Bench) -> None:
    links = {"_links": {"self": {"href": "https://kontur.amocrm.ru/x?page=2"}}}
    contacts = [{"id": 5, "is_main": False, **links}, {"id": 6, "is_main": True}]
    found = parsed(
        bench,
        lead(_embedded={"contacts": contacts}, **links),
        lead(_embedded={"contacts": []}, id=8),
        lead(id=9),
    )
    assert [row["main_contact_id"] for row in found] == ["6", None, None]
    assert "_links" not in json.dumps(found)


def test_a_day_is_the_accounts_own(bench: Bench) -> None:
    last_second = int(datetime(2026, 5, 31, 20, 59, 59, tzinfo=UTC).timestamp())
    connector = bench.connector()
    for moment, day in ((0, date(2026, 5, 31)), (1, date(2026, 6, 1))):
        row = lead(created_at=last_second + moment)
        assert connector.record_date(LEADS, row) == day


def test_won_and_lost_are_in_every_pipeline(bench: Bench) -> None:
    rows = bench.read(STATUSES)
    ends = [(row["pipeline_id"], row["id"]) for row in rows if row["id"] in (142, 143)]
    assert len(set(ends)) == 4


# -- what hangs together -------------------------------------------------------------


def test_leads_that_something_was_tied_to_are_read_again(bench: Bench) -> None:
    """A link may leave the lead's updated_at alone: the event tells of it."""
    rows = sorted(bench.read(LEADS), key=lambda row: row["updated_at"])
    first, second = rows[0]["id"], rows[1]["id"]
    moment = int(bench.world.now.timestamp())
    link = {"link": {"entity": {"type": "lead", "id": second}}}
    face = bench.face.inner
    assert isinstance(face, Simulator)
    usual: dict[str, Any] = {"created_at": moment, "value_before": []}
    face._table("events").extend(
        [
            {"id": "01a", "type": "entity_linked", "entity_type": "lead",
             "entity_id": first, "value_after": [], **usual},
            {"id": "01b", "type": "entity_unlinked", "entity_type": "contact",
             "entity_id": 1, "value_after": [link], **usual},
        ]
    )  # fmt: skip
    cursor = (bench.world.now - timedelta(hours=1)).isoformat()
    found = {row["id"] for row in bench.read(LEADS, cursor=cursor)}
    assert {first, second} <= found


def test_any_number_of_leads_is_read_by_id(bench: Bench) -> None:
    truth = keyed(LEADS, bench.read(LEADS))
    keys = [*truth, *(str(number) for number in range(1, 80))]
    found = records_of(bench.connector().read_again(LEADS, keys))
    assert keyed(LEADS, found) == truth


def test_the_trash_holds_what_the_list_no_longer_has(bench: Bench) -> None:
    gone = {row["id"] for row in bench.read(TRASH)}
    assert gone
    assert not gone & {row["id"] for row in bench.read(LEADS)}
    told = {
        row["entity_id"] for row in bench.read(EVENTS) if row["type"] == "lead_deleted"
    }
    assert told == gone


# -- limits and errors ---------------------------------------------------------------


def test_a_ban_is_said_aloud_and_nothing_is_tried_again(bench: Bench) -> None:
    page = text_response("<html>403 Forbidden</html>", 403, content_type="text/html")
    bench.face.strike_all(lambda request, ask: page)
    with pytest.raises(FatalError, match="blocks this address"):
        bench.read(CONTACTS)
    assert bench.requests == 1
    assert bench.slept == []


def test_the_simulated_account_bans_who_does_not_slow_down(bench: Bench) -> None:
    face = bench.face.inner
    assert isinstance(face, Simulator)
    bench.server.options.rate_limits = True
    call = Request(
        "GET", "/api/v4/users", headers={"Authorization": f"Bearer {CANARY}"}
    )  # type: ignore[arg-type]
    statuses = [face.handle(call).status for _ in range(7 + face.patience + 2)]
    assert statuses[:8] == [200] * 7 + [429]
    assert statuses[-1] == 403
    assert face.handle(call).headers["Content-Type"] == "text/html"


def test_429_without_a_time_waits_ten_seconds(bench: Bench) -> None:
    truth = bench.read(CONTACTS)
    bench.slept.clear()
    busy = json_response({"title": "Too Many Requests", "status": 429}, 429)
    bench.face.strike(0, lambda request, ask: busy)
    assert bench.read(CONTACTS) == truth
    assert max(bench.slept) >= 10


@pytest.mark.parametrize(
    ("status", "words"),
    [(402, "not paid"), (403, "Keys and access"), (504, "page_size")],
)
def test_what_the_owner_does_is_said(bench: Bench, status: int, words: str) -> None:
    problem = {"title": "Problem", "status": status, "detail": "Something."}
    bench.face.strike_all(lambda request, ask: json_response(problem, status))
    with pytest.raises((FatalError, RetriableError), match=words):
        bench.read(CONTACTS)


# -- tokens --------------------------------------------------------------------------


def oauth(**changed: str) -> dict[str, Any]:
    extra = {
        "client_id": "integration",
        "client_secret": CANARY,
        "refresh_token": f"{CANARY}-first",
        "redirect_uri": "https://kontur.example/back",
    }
    return {"password": "", "extra": {**extra, **changed}}


def test_a_refresh_token_is_spent_once_and_its_successor_kept(bench: Bench) -> None:
    """Two tokens run out: each renewal uses the refresh token of the one before."""
    connector = bench.connector(**oauth())
    truth = keyed(CONTACTS, bench.read(CONTACTS))
    face = bench.face.inner
    for _ in range(3):
        assert keyed(CONTACTS, bench.read(CONTACTS, connector=connector)) == truth
        face.unauthorized(Request("GET", "/"))
    given = [
        json.loads(each.body)["refresh_token"]
        for each in bench.server.requests
        if each.path == "/oauth2/access_token"
    ]
    assert given == [f"{CANARY}-first", f"{CANARY}-refresh-1", f"{CANARY}-refresh-2"]


@pytest.mark.parametrize("name", ["client_secret", "refresh_token", "redirect_uri"])
def test_each_missing_part_of_oauth_is_named(bench: Bench, name: str) -> None:
    with pytest.raises(ConfigError, match=f"extra.{name}"):
        bench.connector(**oauth(**{name: ""}))
    assert bench.requests == 0


def test_a_renewal_asks_the_accounts_own_address() -> None:
    for host in ("https://kontur.amocrm.ru", "https://kontur.kommo.com"):
        info = ConnectionInfo("c", base_url=host, extra=oauth()["extra"])
        request = AmoCRM.token_request(None, info, "next")  # type: ignore[arg-type]
        assert request is not None and request.one_time
        assert request.url == f"{host}/oauth2/access_token"
        assert request.json is not None and request.json["refresh_token"] == "next"
        assert AmoCRM.is_own_address(host)
    assert not AmoCRM.is_own_address("https://kontur.amocrm.ru.example.com")
    assert not AmoCRM.is_own_address("https://evil.example/.kommo.com")


# -- settings ------------------------------------------------------------------------


def test_a_mapped_field_that_leads_lack_fails_before_they_are_read(
    bench: Bench,
) -> None:
    settings = {"fields": {"margin": 999}}
    account = bench.account.model_copy(update={"settings": settings})
    connector = bench.connector(account)
    for call in (connector.check, lambda: bench.read(LEADS, connector=connector)):
        with pytest.raises(FatalError, match=r"settings\.fields\.margin names 999"):
            call()
    assert asked(bench, "/api/v4/leads") == []


def test_check_says_which_fields_are_read(bench: Bench) -> None:
    lines = "\n".join(bench.connector().check())
    assert "margin is read from field 801001" in lines
    assert "ym_client_id is not mapped" in lines


# -- recorded answers ----------------------------------------------------------------


def test_recorded_answers_of_each_shape_are_read(bench: Bench) -> None:
    connector = bench.connector()
    page = {"_page": 2, "_embedded": {"leads": [lead(), lead(id=8)]}}
    for content, count in ((page, 2), (lead(), 1)):
        rows = connector.parse(LEADS, json.dumps(content).encode(), {})
        assert len(rows) == count
    assert connector.parse(LEADS, b"", {}) == [], "the empty body of a 204"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"_embedded": {"contacts": [lead()]}}, "no _embedded.leads"),
        ({"_embedded": {"leads": []}}, "0 rows"),
        ({"_embedded": {"leads": ["x"]}}, "not a JSON object"),
        ({"_embedded": {"leads": [{"id": 1}]}}, "created_at"),
        ({"_embedded": {"leads": [lead(updated_at="now")]}}, "Unix seconds"),
        ({"title": "Unauthorized", "status": 401}, "no _embedded.leads"),
        ([lead()], "no JSON object"),
    ],
)
def test_recorded_answers_of_another_shape_are_refused(
    bench: Bench, content: Any, words: str
) -> None:
    with pytest.raises(ParseError, match=words):
        bench.connector().parse(LEADS, json.dumps(content).encode(), {})
