"""The command line starts, stops, and refuses nonsense in one line."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys

import pytest

from simulator.__main__ import _token, main
from simulator.face import Options

WORLD = ["--size", "small", "--end-date", "2026-06-01", "--seed", "3"]


def test_serve_answers_until_it_is_stopped(project):
    command = [sys.executable, "-m", "simulator", "serve", "--port", "0", *WORLD]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    process = subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.split()[0].removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", "/_simulator/health")
        health = json.loads(connection.getresponse().read())
        connection.close()
        assert health["now"] == "2026-06-01T04:00:00+00:00"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_one_token_for_all_sources_from_the_environment(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "abc")
    assert _token("SOME_TOKEN") == "abc"
    assert _token(None) == "demo-token"
    options = Options(default_token="abc", tokens={"calltouch": "own"})
    assert (options.token("calltouch"), options.token("bitrix24")) == ("own", "abc")
    monkeypatch.setenv("SOME_TOKEN", "")
    with pytest.raises(ValueError, match="SOME_TOKEN"):
        _token("SOME_TOKEN")


def test_describe_counts(capsys):
    assert main(["describe", *WORLD]) == 0
    told = capsys.readouterr().out
    assert "2026-05-18 to 2026-06-01" in told
    assert "visits" in told
    assert "800" in told


def test_truth_is_written(capsys, tmp_path):
    assert main(["truth", "--out", str(tmp_path), *WORLD]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3 * 6 + 1
    told = json.loads((tmp_path / "msk" / "totals.json").read_text("utf-8"))
    assert told["sales"] == 15
    group = json.loads((tmp_path / "group.json").read_text("utf-8"))
    assert group["totals"]["sales"] > 15
    assert set(group["sources"]) >= {"yandex_direct", "comagic", "files"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["serve", "--recorded", "x"], "--index"),
        (["serve", "--wait", "5"], "wait_seconds"),
        (["serve", "--latency", "-1"], "--latency"),
        (["serve", "--token-env", "NOT_SET"], "--token-env"),
        (["serve", "--fault", '{"kind": "boom"}'], "kind"),
        (["serve", "--page-size", "0"], "--page-size"),
        (["describe", "--days", "1"], "days"),
        (["describe", "--now", "2026-01-01T00:00:00"], "--now"),
    ],
)
def test_nonsense_is_one_line_that_names_the_setting(capsys, arguments, word):
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert word in told
