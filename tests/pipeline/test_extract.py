"""Reading the simulated company's accounts into raw, stream by stream."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from connectors.base import registry
from connectors.base.errors import ConfigError, FatalError, RetriableError
from connectors.base.sources import load_sources
from pipeline import extract, runs, tasks
from pipeline.errors import PipelineError
from pipeline.windows import Days, history_of
from tests.pipeline.conftest import END

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from connectors.base.stream import Stream
    from simulator.server import RunningServer

    Connect = Callable[[str], psycopg.Connection]

DAYS = Days(END - timedelta(days=2), END)


@pytest.fixture
def clean(warehouse: str, connect_as: Connect) -> psycopg.Connection:
    """The warehouse's superuser; raw and the ledger are empty."""
    superuser = connect_as("postgres")
    for (name,) in superuser.execute(
        "select relname from pg_class where relnamespace = 'raw'::regnamespace "
        "and relkind = 'r'"
    ).fetchall():
        superuser.execute(f"drop table raw.{name}")
    superuser.execute(
        "truncate ops.loads, ops.load_changes, ops.dead_letters, ops.missing_keys, "
        "ops.held_back, ops.runs cascade"
    )
    return superuser


def loads(connection: psycopg.Connection, what: str, stream: str) -> list[object]:
    return [
        row[0]
        for row in connection.execute(
            f"select {what} from ops.loads where stream = %s order by load_id",
            (stream,),
        )
    ]


def test_an_account_is_read_again_without_a_change(
    clean: psycopg.Connection, company: RunningServer
) -> None:
    first = extract.extract_account("calltouch/main", DAYS, "r1")
    assert first["state"] == "ok"
    assert first["rows_read"] == first["rows_changed"] > 0
    again = extract.extract_account("calltouch/main", DAYS, "r1")
    assert again["rows_read"] == first["rows_read"]
    assert again["rows_changed"] == 0
    assert (
        loads(clean, "date_from", "calls") == [DAYS.date_from - timedelta(days=30)] * 2
    )
    assert clean.execute(
        "select distinct run_id, source, count(*) from ops.loads group by stream, 1, 2"
    ).fetchall() == [("r1", "calltouch", 2)]
    mirrored = clean.execute("select source, time_zone from ops.accounts").fetchall()
    assert ("calltouch", "Europe/Moscow") in mirrored


def test_a_stream_is_asked_for_no_more_than_its_vendor_keeps(
    clean: psycopg.Connection, company: RunningServer
) -> None:
    """Queries are kept for 180 days, costs for years: one backfill asks for both."""
    far = Days(END - timedelta(days=200), END - timedelta(days=100))
    extract.extract_account("yandex_direct/main", far, "r1")
    oldest = END - timedelta(days=179)
    assert loads(clean, "date_from", "search_queries") == [oldest]
    restated = far.date_from - timedelta(days=30)
    assert loads(clean, "date_from", "keyword_performance") == [restated]
    (said,) = clean.execute("select stream, message from ops.warnings").fetchall()
    assert said[0] == "search_queries"
    assert f"is read 179 days back, from {oldest} on" in str(said[1])


def test_a_stream_whose_history_is_over_is_left_out_and_said_to_be(
    clean: psycopg.Connection,
    company: RunningServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    far = Days(END - timedelta(days=300), END - timedelta(days=298))
    extract.extract_account("yandex_direct/main", far, "r1")
    assert loads(clean, "state", "search_queries") == []
    assert len(loads(clean, "state", "keyword_performance")) == 1
    assert "search_queries: [" in caplog.text and "before the history" in caplog.text


def test_an_accounts_history_narrows_a_streams_and_never_widens_it() -> None:
    account = load_sources().get("yandex_direct")
    streams = {s.name: s for s in registry.connector_class("yandex_direct").streams}
    queries, costs = streams["search_queries"], streams["keyword_performance"]
    for days, of_queries, of_costs in (
        (None, 179, 1095),
        (90, 90, 90),
        (9000, 179, 1095),
    ):
        narrowed = account.model_copy(update={"history_days": days})
        assert history_of(queries, narrowed) == of_queries
        assert history_of(costs, narrowed) == of_costs


def test_an_outage_is_made_up_for(
    clean: psycopg.Connection, company: RunningServer
) -> None:
    early = Days(END - timedelta(days=40), END - timedelta(days=38))
    extract.extract_account("yandex_metrica/main", early, "r1")
    extract.extract_account("yandex_metrica/main", DAYS, "r2")
    # the day after the last one loaded, less the five that Metrica restates
    assert loads(clean, "date_from", "visits")[-1] == early.date_to - timedelta(days=5)


def test_entity_streams_go_on_from_their_cursor_and_are_swept_once_a_day(
    clean: psycopg.Connection, company: RunningServer
) -> None:
    extract.extract_account("bitrix24/main", DAYS, "r1")
    assert loads(clean, "kind", "leads") == ["entity", "sweep"]
    first_read, sweep_read = loads(clean, "rows_read", "leads")
    assert first_read == sweep_read > 0
    extract.extract_account("bitrix24/main", DAYS, "r2")
    assert loads(clean, "kind", "leads") == ["entity", "sweep", "entity"]
    assert loads(clean, "rows_read", "leads")[-1] < first_read
    cursors = loads(clean, "cursor", "leads")
    assert cursors[0] is not None and cursors[2] is not None
    # what is only ever added to is not swept
    assert loads(clean, "kind", "deal_stage_history") == ["entity", "entity"]


def test_a_history_that_has_not_begun_is_read_from_the_beginning_again(
    clean: psycopg.Connection, company: RunningServer
) -> None:
    now = company.options.now
    company.set_now(now - timedelta(days=400))  # a portal nobody has used yet
    try:
        extract.extract_account("bitrix24/main", DAYS, "r1")
        extract.extract_account("bitrix24/main", DAYS, "r2")
    finally:
        company.set_now(now)
    assert loads(clean, "state", "lead_stage_history") == ["ok_empty"] * 2
    extract.extract_account("bitrix24/main", DAYS, "r3")
    assert loads(clean, "rows_new", "lead_stage_history")[-1] > 0


def test_a_deleted_record_is_gone_when_two_sweeps_missed_it(
    clean: psycopg.Connection, company: RunningServer
) -> None:
    extract.extract_account("bitrix24/main", DAYS, "r1")
    clean.execute(
        "insert into raw.bitrix24__contacts (account_id, record_key, record, "
        "record_hash, load_id) select account_id, 'gone-1', record, record_hash, "
        "load_id from raw.bitrix24__contacts limit 1"
    )
    # a deal that hangs on the contact is read again when the contact goes
    deal = clean.execute(
        'update raw.bitrix24__deals set record_hash = gen_random_uuid(), record = record || \'{"CONTACT_ID": "gone-1"}\' '
        "where record_key = (select min(record_key) from raw.bitrix24__deals) "
        "returning record_key"
    ).fetchone()
    for run in ("r2", "r3"):
        clean.execute(
            "update ops.loads set finished_at = finished_at - interval '1 day' "
            "where kind = 'sweep'"
        )
        extract.extract_account("bitrix24/main", DAYS, run)
    gone = clean.execute(
        "select deleted_load_id is not null from raw.bitrix24__contacts "
        "where record_key = 'gone-1'"
    ).fetchone()
    assert gone == (True,)
    assert deal is not None
    hanging = clean.execute(
        "select record ->> 'CONTACT_ID' from raw.bitrix24__deals where record_key = %s",
        deal,
    ).fetchone()
    assert hanging is not None and hanging[0] != "gone-1"


def test_a_wrong_token_is_named_after_one_request(
    clean: psycopg.Connection, company: RunningServer
) -> None:
    asked = len(company.requests)
    company.inject(kind="token", source="calltouch", times=9)
    try:
        with pytest.raises(FatalError, match="throughline_calltouch__main"):
            extract.extract_account("calltouch/main", DAYS, "r1")
    finally:
        company.clear_faults()
    assert len(company.requests) == asked + 1
    assert loads(clean, "state", "calls") == ["failed"]


def test_a_stream_that_fails_does_not_keep_the_others_from_landing(
    clean: psycopg.Connection, company: RunningServer
) -> None:
    company.inject(
        kind="status",
        status=400,
        source="bitrix24",
        path="crm.(status|category).list",
        times=1000,
    )
    try:
        with pytest.raises(FatalError) as caught:
            extract.extract_account("bitrix24/main", DAYS, "r1")
    finally:
        company.clear_faults()
    text = str(caught.value)
    assert text.startswith("bitrix24/main: ") and "2 streams failed" in text
    assert "statuses: " in text and "deal_categories: " in text
    landed = {
        name
        for (name,) in clean.execute("select stream from ops.loads where state = 'ok'")
    }
    assert {"leads", "deals", "contacts", "lead_stage_history"} <= landed
    assert loads(clean, "state", "statuses") == ["failed"]


def test_a_vendor_that_is_down_is_not_waited_for_by_every_stream(
    clean: psycopg.Connection, company: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def read(connection: object, connector: object, stream: Stream, *_: object) -> None:
        tried.append(stream.name)
        raise RetriableError("503 (gave up after 6 tries)")

    monkeypatch.setattr(extract, "_read", read)
    with pytest.raises(RetriableError, match="bitrix24/main: 2 streams failed"):
        extract.extract_account("bitrix24/main", DAYS, "r1")
    assert len(tried) == 2


def test_an_optional_account_that_is_down_is_held_back_alone(
    clean: psycopg.Connection, company: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = load_sources()
    accounts = tuple(
        each.model_copy(update={"required": False}) for each in sources.sources
    )
    monkeypatch.setattr(
        extract,
        "load_sources",
        lambda: sources.model_copy(update={"sources": accounts}),
    )
    company.inject(kind="token", source="calltouch", times=9)
    summary = extract.extract_account("calltouch/main", DAYS, "r1")
    assert summary["state"] == "held"
    held = "select source, account_id from ops.held_back where run_id = 'r1'"
    assert clean.execute(held).fetchall() == [("calltouch", "main")]
    company.clear_faults()
    # the same run again, when it is back
    assert extract.extract_account("calltouch/main", DAYS, "r1")["state"] == "ok"
    assert clean.execute(held).fetchall() == []


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        (
            {"date_from": "2026-05-30", "date_to": "2026-07-01"}, PipelineError,
            "reaches into the future",
        ),
        (
            {"date_from": "2019-05-30", "date_to": "2019-06-01"}, PipelineError,
            "starts before the history of yandex_direct/main",
        ),
        ({}, PipelineError, "a run started by hand says which days"),
    ],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_asks_nothing_of_anybody(
    clean: psycopg.Connection,
    company: RunningServer,
    params: dict[str, str],
    error: type[Exception],
    text: str,
) -> None:
    asked = len(company.requests)
    with pytest.raises(error, match=text):
        runs.plan("r1", params, None, None, manual=True)
    assert len(company.requests) == asked
    assert clean.execute("select count(*) from ops.runs").fetchone() == (0,)


def test_a_missing_connection_is_named_before_any_request(
    clean: psycopg.Connection, company: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_THROUGHLINE_CALLTOUCH__MAIN")
    asked = len(company.requests)
    params = {"date_from": str(DAYS.date_from), "date_to": str(DAYS.date_to)}
    with pytest.raises(ConfigError, match="throughline_calltouch__main"):
        runs.plan("r1", params, None, None, manual=True)
    assert len(company.requests) == asked


@pytest.mark.parametrize("error", [PipelineError, FatalError])
def test_an_error_that_a_person_must_mend_is_not_retried(
    error: type[Exception],
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    @tasks.final
    def step() -> None:
        raise error("issue a new token")

    with pytest.raises(AirflowFailException, match="issue a new token"):
        step()
