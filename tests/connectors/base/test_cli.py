"""`python -m connectors`: what lands, and whether a connection works, in plain words."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml

from connectors import __main__ as cli
from simulator.face import Options
from simulator.server import start
from simulator.world import build_world

ROOT = Path(__file__).parents[3]
VARIABLE = "AIRFLOW_CONN_THROUGHLINE_CALLTOUCH__MAIN"
TOKEN = "calltouch-token-4d5e6f"
CALL = {
    "callId": 17,
    "timestamp": 1_780_000_000,
    "callerNumber": "79000001122",
    "phoneNumber": "74950000100",
    "url": "https://shop.example/?utm_source=x&phone=79000001122",
    "comments": [{"comment": "перезвонить на 8 900 000-11-22, ivan@example.com"}],
}


@pytest.fixture
def sources(tmp_path, monkeypatch):
    account = {
        "source": "calltouch",
        "account": "main",
        "time_zone": "Europe/Moscow",
        "currency_code": "RUB",
        "vat_included": True,
        "settings": {"site_id": 50001},
    }
    path = tmp_path / "sources.yml"

    def write(**fields):
        content = {
            "reporting_time_zone": "Europe/Moscow",
            "sources": [{**account, **fields}],
        }
        path.write_text(yaml.safe_dump(content))

    write()
    monkeypatch.setenv("THROUGHLINE_SOURCES", str(path))
    monkeypatch.setenv("THROUGHLINE_TOKEN_KEY", "1:" + "5a" * 32)
    monkeypatch.setenv("THROUGHLINE_DEMO", "1")
    monkeypatch.delenv(VARIABLE, raising=False)
    return write


@pytest.fixture
def run(sources, monkeypatch, capfd):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["connectors", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return end.value.code, out, err

    return call


@pytest.fixture
def body(tmp_path):
    def write(*records, name="calls.json", page=True):
        content = {"page": 1, "pageTotal": 1, "recordsTotal": len(records)}
        content["records"] = list(records)
        path = tmp_path / name
        data = json.dumps(content if page else list(records)).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        return path

    return write


def test_replay_prints_what_would_land(run, body):
    code, out, err = run(
        "replay", "calltouch", "calls", body(CALL), body(CALL, page=False)
    )
    assert code == 0
    assert err == ""
    first, second = map(json.loads, out.splitlines())
    assert first == second
    assert first["record_key"] == "17"
    assert first["record_date"] == "2026-05-28"
    assert first["record"]["callerNumber"].startswith("ph1_")
    assert first["record"]["phoneNumber"] == "74950000100"
    for clear in ("79000001122", "900 000", "ivan@"):
        assert clear not in out


def test_replay_agrees_with_a_live_read(run, tmp_path, monkeypatch):
    """What a live read gives and what its recorded body gives are one thing."""
    from connectors.base import pseudonymise, registry
    from connectors.base.connection import ConnectionInfo
    from connectors.base.settings import token_key
    from connectors.base.sources import load_sources
    from connectors.base.stream import Window

    world = build_world(seed=4, end_date=date(2026, 6, 1), size="small")
    monkeypatch.setenv("THROUGHLINE_TOKEN_KEY", "1:" + "5a" * 32)
    with start(world, options=Options(now=world.now)) as server:
        account = load_sources().get("calltouch")
        connector = registry.build(
            account,
            ConnectionInfo(
                account.conn_id, server.base_url + "/calltouch", password="demo-token"
            ),
        )
        stream = connector.stream("calls")
        span = Window(world.start_date, world.end_date, account.time_zone)
        recorded = []
        connector.client.observer = recorded.append
        live = [r for b in connector.pages(stream, span, None) for r in b.records]
    paths = [tmp_path / f"recorded{number}.json" for number in range(len(recorded))]
    for path, exchange in zip(paths, recorded, strict=True):
        path.write_bytes(exchange.body)
    code, out, _ = run("replay", "calltouch", "calls", *paths)
    door = pseudonymise.Pseudonymiser(
        stream, pseudonymise.Tokeniser(*token_key(), "RU")
    )
    assert code == 0
    assert [json.loads(line)["record"] for line in out.splitlines()] == [
        door.record(record)[0] for record in live
    ]
    assert len(live) > 20


def test_replay_gives_back_what_needs_escaping(run, body):
    odd = 'back\\slash "quote"\ttab\nline \\n \u2028 ы'
    code, out, _ = run(
        "replay",
        "calltouch",
        "calls",
        body({**CALL, "callId": "a\\\t|b", "keyword": odd}),
    )
    assert code == 0
    line = json.loads(out)
    assert line["record"]["keyword"] == odd
    assert line["record_key"] == "a\\\\\t\\|b"


def test_replay_unpacks_gzip(run, body):
    code, out, _ = run("replay", "calltouch", "calls", body(CALL, name="calls.json.gz"))
    assert code == 0
    assert json.loads(out)["record_key"] == "17"


def test_replay_finds_the_stream_itself(run, body, tmp_path):
    path, page = body(CALL), tmp_path / "busy.json"
    page.write_text("{}")
    code, out, err = run("replay", "calltouch", "any", path, page)
    assert code == 1
    (line,) = map(json.loads, out.splitlines())
    assert (line["stream"], line["record_key"]) == ("calls", "17")
    assert f"{path}: 1 records of calls" in err
    assert f"error: {page}: no answer of calltouch that anybody knows" in err


def test_what_holds_no_records_is_named_and_is_no_failure(run, sources, tmp_path):
    sources(source="bitrix24", settings={})
    path = tmp_path / "event.txt"
    path.write_text("event=ONCRMDEALADD&data%5BFIELDS%5D%5BID%5D=7")
    code, out, err = run("replay", "bitrix24", "deals", path)
    assert (code, out) == (0, "")
    assert f"{path}: an event: ONCRMDEALADD names deals 7" in err


def test_a_table_without_its_header_is_told_its_columns(run, sources, tmp_path):
    sources(source="yandex_direct", settings={})
    path = tmp_path / "report.tsv"
    path.write_text("5.00\t77\t2026-05-01\nTotal rows: 1\n")
    words = ("replay", "yandex_direct", "campaign_performance", path)
    assert run(*words)[0] == 1
    code, out, err = run(*words, "--columns", "Cost,CampaignId,Date")
    assert code == 0, err
    assert json.loads(out)["record_key"] == "2026-05-01|77"


def test_replay_says_when_tokens_are_throw_away(run, body, monkeypatch):
    monkeypatch.delenv("THROUGHLINE_TOKEN_KEY")
    code, out, err = run("replay", "calltouch", "calls", body(CALL))
    assert code == 0
    assert "THROUGHLINE_TOKEN_KEY is not set" in err
    assert json.loads(out)["record"]["callerNumber"].startswith("ph9_")
    monkeypatch.delenv("THROUGHLINE_TOKEN_KEY", raising=False)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"callId": None}, "key field callId is empty"),
        ({"callId": "(gone)"}, "field callId is missing"),
        ({"timestamp": "(gone)"}, "required field timestamp is missing"),
        ({"timestamp": [1]}, "its civil day cannot be read"),
        ({"timestamp": "+7 900 000-11-22"}, "its civil day cannot be read"),
        ({"timestamp": 10**18}, "its civil day cannot be read"),
    ],
)
def test_a_dead_letter_goes_to_stderr_with_its_reason(run, body, spoil, reason):
    bad = {k: v for k, v in {**CALL, **spoil}.items() if v != "(gone)"}
    path = body(CALL, bad, {**CALL, "callId": 18})
    code, out, err = run("replay", "calltouch", "calls", path)
    assert code == 1
    assert [json.loads(line)["record_key"] for line in out.splitlines()] == ["17", "18"]
    assert f"{path}: record 2: dead letter: " in err
    assert reason in err
    assert "000-11" not in err


def test_a_field_nobody_declared_is_said_to_be_sealed(run, body):
    code, out, err = run(
        "replay", "calltouch", "calls", body({**CALL, "newField": "x"})
    )
    assert code == 0
    assert "newField" not in out
    assert "field newField goes to pii.sealed: not declared" in err


def test_a_body_that_is_no_answer(run, tmp_path, body):
    page = tmp_path / "help.html"
    page.write_text("<html>")
    code, out, err = run("replay", "calltouch", "calls", page, body(CALL))
    assert code == 1
    assert len(out.splitlines()) == 1  # the good file is printed all the same
    assert f"error: {page}: " in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("replay", "calltouch", "cals", "x"), "no stream 'cals' (there: calls, "),
        (("replay", "caltouch", "calls", "x"), "'caltouch' is not in sources.yml"),
        (("replay", "calltouch", "calls", "/no/such"), "cannot read /no/such: No such"),
        (("check", "calltouch", "--account", "b"), "no account 'b' (there: main)"),
        (("check", "calltouch"), f"set {VARIABLE}"),
    ],
)
def test_a_wrong_word_is_one_line(run, words, said):
    code, out, err = run(*words)
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_a_bad_setting_is_one_line(run, sources):
    sources(time_zone="Moscow")
    code, _, err = run("list")
    assert code == 1
    assert "time_zone" in err
    assert err.count("\n") == 1


def test_list_names_sources_and_streams(run):
    code, out, _ = run("list")
    assert code == 0
    assert "calltouch (accounts: main)\n  calls: window, re-reads 30 days\n" in out
    assert "bitrix24 (accounts: none)" in out


# -- check -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    return build_world(seed=4, end_date=date(2026, 6, 1), size="small")


@pytest.fixture
def server(world):
    with start(
        world, options=Options(now=world.now, tokens={"calltouch": TOKEN})
    ) as running:
        yield running


@pytest.fixture
def connect(monkeypatch, server):
    def to(**fields):
        content = {"host": server.base_url + "/calltouch", "password": TOKEN, **fields}
        monkeypatch.setenv(VARIABLE, json.dumps(content))

    return to


def test_check_says_that_it_works(run, connect, server):
    connect()
    code, out, err = run("check", "calltouch")
    assert (code, err) == (0, "")
    assert out.startswith("site 50001 answers")
    assert out.endswith("calltouch/main: the connection works\n")
    assert len(server.requests) == 1


def test_check_of_a_wrong_token_costs_one_request_and_says_what_to_do(
    run, connect, server
):
    connect(password="wrong-token-0987")
    code, out, err = run("check", "calltouch")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "access was refused" in err
    assert "connection throughline_calltouch__main" in err
    assert "wrong-token-0987" not in err
    assert len(server.requests) == 1


def test_check_of_an_address_with_nobody_there(run, connect):
    connect(host="http://127.0.0.1:9/calltouch")
    code, _, err = run("check", "calltouch")
    assert code == 1
    assert "no answer from 127.0.0.1:9" in err


def test_check_outside_the_demo_asks_nobody_else(run, connect, server, monkeypatch):
    monkeypatch.delenv("THROUGHLINE_DEMO")
    connect()
    code, _, err = run("check", "calltouch")
    assert code == 1
    assert "field host" in err
    assert server.requests == []


def test_it_runs_as_a_module_and_stops_when_its_reader_does(sources, body):
    path = body(*({**CALL, "callId": n} for n in range(1, 3000)))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
    words = [sys.executable, "-m", "connectors", "replay", "calltouch", "calls", path]
    running = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert json.loads(running.stdout.readline())["record_key"] == "1"
    running.stdout.close()
    error = running.stderr.read().decode()
    running.stderr.close()
    assert running.wait(timeout=30) == 1
    assert "Traceback" not in error
    assert "BrokenPipe" not in error


def test_record_keeps_answers_that_replay_reads(run, tmp_path, monkeypatch):
    """Two sources of one folder: the caller of a call is the caller of the lead."""
    world = build_world(seed=4, end_date=date(2026, 6, 1), size="small")
    monkeypatch.setenv("THROUGHLINE_TOKEN_KEY", "1:" + "5a" * 32)
    path = Path(os.environ["THROUGHLINE_SOURCES"])
    content = yaml.safe_load(path.read_text())
    crm = content["sources"][0] | {"source": "bitrix24", "settings": {}}
    path.write_text(yaml.safe_dump(content | {"sources": [*content["sources"], crm]}))
    with start(world, options=Options(now=world.now)) as server:
        for source in ("calltouch", "bitrix24"):
            monkeypatch.setenv(
                f"AIRFLOW_CONN_THROUGHLINE_{source.upper()}__MAIN",
                json.dumps(
                    {
                        "conn_type": "http",
                        "host": f"{server.base_url}/{source}",
                        "login": "1",
                        "password": "demo-token",
                    }
                ),
            )
        folder = tmp_path / "kept"
        more = ("--folder", folder, "--until", "2026-06-01", "--days", "9")
        code, _, err = run("record", "calltouch", "calls", *more)
        assert code == 0, err
        code, out, err = run("record", "bitrix24", *more)
        assert code == 0 and out.count(" records in ") == 10, err
    files = sorted(folder.rglob("leads_*.json"))
    assert files
    called = run("replay", "calltouch", "calls", *folder.rglob("calls_*.json"))[1]
    asked = run("replay", "bitrix24", "leads", *files)[1]
    callers = {json.loads(x)["record"]["callerNumber"] for x in called.splitlines()}
    leads = set(re.findall(r"ph1_\w{26}", asked))
    assert len(callers & leads) > 3
    whole = "".join(file.read_text("utf-8") for file in folder.rglob("*.*"))
    assert "demo-token" not in whole
    typed = {call.caller_number[-10:] for call in world.calls}
    # fakes are of that range
    typed = {each for each in typed if len(each) == 10 and each[:6] != "900000"}
    assert typed and not [number for number in typed if number in whole]


def test_an_unknown_stream_is_not_recorded(run):
    code, _, err = run("record", "calltouch", "nosuch")
    assert code == 1 and "no stream 'nosuch'" in err
