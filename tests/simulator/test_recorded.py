"""Recorded answers are served to the requests they belong to, and to no others."""

from __future__ import annotations

import http.client
import json

import pytest

from simulator.face import Options, Request
from simulator.recorded import Recorded, contains
from simulator.server import RunningServer

INDEX = """
- source: shop
  method: POST
  path: /json/reports
  json: {params: {ReportType: CUSTOM_REPORT, FieldNames: [Date, Cost]}}
  status: 201
  headers: {retryIn: 1}
  once: true
- source: shop
  method: POST
  path: /json/reports
  json: {params: {ReportType: CUSTOM_REPORT}}
  file: report.tsv
- source: shop
  path: ^/visits/\\d+/download
  query: {page: 1}
  file: page.json
- source: shop
  path: /twice
  text: hello
  repeat: 2
"""


@pytest.fixture
def folder(tmp_path):
    files = tmp_path / "answers"
    files.mkdir()
    (files / "report.tsv").write_bytes(b"Date\tCost\n2026-05-01\t1.00\n")
    (files / "page.json").write_text('{"records": []}', "utf-8")
    (tmp_path / "index.yml").write_text(INDEX, "utf-8")
    return tmp_path


@pytest.fixture
def recorded(folder):
    return Recorded.load(folder / "answers", folder / "index.yml")


def report(fields: list[str]) -> Request:
    params = {"ReportType": "CUSTOM_REPORT", "FieldNames": fields, "Page": 1}
    body = json.dumps({"params": params}).encode()
    return Request("POST", "/json/reports", body=body)


def test_first_match_wins_and_once_is_once(recorded):
    first = recorded.answer("shop", report(["Date", "Cost"]))
    assert (first.status, first.headers["retryIn"]) == (201, "1")
    second = recorded.answer("shop", report(["Date", "Cost"]))
    assert second.status == 200
    assert second.body.startswith(b"Date\tCost")
    assert second.headers["Content-Type"].startswith("text/tab-separated-values")


def test_a_body_that_differs_is_another_request(recorded):
    assert recorded.answer("shop", report(["Date"])).status == 200
    other = Request("POST", "/json/reports", body=b'{"params":{"ReportType":"X"}}')
    assert recorded.answer("shop", other).status == 404
    broken = Request("POST", "/json/reports", body=b"{")
    assert recorded.answer("shop", broken).status == 404


def test_paths_by_expression_and_queries(recorded):
    good = Request("GET", "/visits/77/download", {"page": ["1"], "more": ["x"]})
    assert recorded.answer("shop", good).status == 200
    for path, query, source in (
        ("/visits/77/download", {"page": ["2"]}, "shop"),
        ("/visits/77/download", {}, "shop"),
        ("/visits/77/download/x", {"page": ["1"]}, "shop"),
        ("/visits/77/download", {"page": ["1"]}, "other"),
    ):
        assert recorded.answer(source, Request("GET", path, query)).status == 404


def test_repeat_a_number_of_times(recorded):
    request = Request("GET", "/twice")
    assert [recorded.answer("shop", request).status for _ in range(3)] == [
        200,
        200,
        404,
    ]


def test_an_unmatched_request_is_named_over_http(recorded):
    with RunningServer(recorded, Options()) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=5)
        connection.request("POST", "/shop/nowhere?a=1", '{"q":1}')
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.request("GET", "/shop/twice")
        assert connection.getresponse().read() == b"hello"
        connection.close()
    assert answer.status == 404
    assert told["request"] == {
        "source": "shop",
        "method": "POST",
        "path": "/nowhere",
        "query": {"a": ["1"]},
        "body": '{"q":1}',
    }


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ("{path: /x}", "source"),
        ("{source: a}", "path"),
        ("{source: a, path: x}", "path"),
        ("{source: a, path: '^/('}", "path"),
        ("{source: a, path: /x, colour: red}", "colour"),
        ("{source: a, path: /x, file: none.json}", "file"),
        ("{source: a, path: /x, file: ../index.yml}", "file"),
        ("{source: a, path: /x, file: page.json, text: y}", "text"),
        ("{source: a, path: /x, status: 20}", "status"),
        ("{source: a, path: /x, once: true, repeat: 2}", "once"),
        ("{source: a, path: /x, repeat: 0}", "repeat"),
        ("{source: a, path: /x, query: [1]}", "query"),
        ("nothing", "mapping"),
    ],
)
def test_a_wrong_index_names_the_entry_and_the_field(folder, entry, word):
    index = folder / "wrong.yml"
    index.write_text(f"- {{source: a, path: /fine}}\n- {entry}\n", "utf-8")
    with pytest.raises(ValueError, match=rf"answer 2: .*{word}"):
        Recorded.load(folder / "answers", index)


def test_an_index_must_be_a_list(folder):
    (folder / "wrong.yml").write_text("source: a\n", "utf-8")
    with pytest.raises(ValueError, match="list"):
        Recorded.load(folder / "answers", folder / "wrong.yml")


def test_what_containing_means():
    assert contains({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1}})
    assert contains([{"a": 1, "b": 2}], [{"a": 1}])
    assert not contains({"a": 1}, {"a": True})
    assert not contains([1, 2], [1])
    assert not contains(None, {"a": 1})


def test_the_example_of_the_readme_loads(project):
    example = project / "simulator" / "example"
    loaded = Recorded.load(example, example / "index.yml")
    assert loaded.sources() == ["calltouch", "yandex_direct"]
    query = {"page": ["1"], "limit": ["1000"]}
    path = "/calls-service/RestAPI/50001/calls-diary/calls"
    answer = loaded.answer("calltouch", Request("GET", path, query))
    assert json.loads(answer.body)["recordsTotal"] == 1
