"""The server keeps its promises on the wire, and breaks them when told to."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
import zlib
from datetime import UTC, datetime

import pytest

from simulator.face import (
    Face,
    Headers,
    Options,
    Request,
    Response,
    json_response,
    text_response,
)
from simulator.faults import FRAMINGS, Fault
from simulator.server import RunningServer, start

BODY = ("ё|" * 40_000).encode()


class Echo(Face):
    """A face that tells what it was asked."""

    def handle(self, request: Request) -> Response:
        match request.path:
            case "/big":
                return text_response(BODY.decode())
            case "/visits":
                return json_response(len(self.view.visits))
            case "/broken":
                raise RuntimeError("a bug of the face")
            case "/empty":
                return Response(204)
        return json_response(
            {
                "method": request.method,
                "path": request.path,
                "query": request.query,
                "token": request.headers.get("authorization"),
                "body": request.body.decode(),
            }
        )

    def unauthorized(self, request: Request) -> Response:
        return json_response({"error": "token ran out"}, 403)


@pytest.fixture
def server(small):
    running = start(small, faces={"echo": Echo, "other": Echo})
    yield running
    running.stop()


def ask(
    server: RunningServer,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    finally:
        connection.close()


def test_a_request_reaches_the_face_of_its_source_whole(server):
    status, headers, body = ask(
        server,
        "/echo/a%20b/c?x=1&x=2&blank=&filter%5B%3EID%5D=7",
        "POST",
        "тело".encode(),
        {"AUTHORIZATION": "OAuth abc"},
    )
    assert status == 200
    assert headers["content-type"].startswith("application/json")
    assert json.loads(body) == {
        "method": "POST",
        "path": "/a b/c",
        "query": {"x": ["1", "2"], "blank": [""], "filter[>ID]": ["7"]},
        "token": "OAuth abc",
        "body": "тело",
    }


def test_a_connection_is_kept_and_serves_many_requests(server):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.connect()
    local = connection.sock.getsockname()
    for path in ("/echo/one", "/echo/empty", "/echo/big", "/nobody/two"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert connection.sock is not None, "the server closed a good connection"
        assert connection.sock.getsockname() == local
    connection.close()
    assert [row.status for row in server.requests] == [200, 204, 200, 404]


def test_a_chunked_request_body_is_read(server):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.request("POST", "/echo/x", iter([b"ab", b"cd"]), encode_chunked=True)
    assert json.loads(connection.getresponse().read())["body"] == "abcd"
    connection.close()


def test_an_unknown_source_is_404_that_says_so(server):
    status, _, body = ask(server, "/nobody/calls")
    assert status == 404
    assert "connectors.nobody.simulator" in json.loads(body)["error"]
    assert ask(server, "/not-a-name/calls")[0] == 404
    assert ask(server, "/")[0] == 404


def test_a_bug_of_a_face_is_500_with_its_name(server):
    status, _, body = ask(server, "/echo/broken")
    assert status == 500
    assert "a bug of the face" in json.loads(body)["simulator_error"]
    assert ask(server, "/echo/fine")[0] == 200


def test_gzip_only_when_wanted_and_accepted(small):
    accepts = {"Accept-Encoding": "gzip, deflate"}
    with start(small, options=Options(small.now, gzip=True), faces={"e": Echo}) as on:
        _, headers, body = ask(on, "/e/big", headers=accepts)
        assert headers["content-encoding"] == "gzip"
        assert gzip.decompress(body) == BODY
        assert "content-encoding" not in ask(on, "/e/big")[1]
    with start(small, faces={"e": Echo}) as off:
        _, headers, body = ask(off, "/e/big", headers=accepts)
        assert body == BODY
        assert "content-encoding" not in headers


def test_many_clients_at_once(server):
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(server, "/echo/big")[0]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8


# --- faults ---------------------------------------------------------------------------


def test_a_body_cut_short_of_its_content_length(server):
    server.inject(Fault("truncate", framing="length", keep=0.4))
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(server, "/echo/big")
    assert len(cut.value.partial) == int(len(BODY) * 0.4)
    assert cut.value.expected == len(BODY) - len(cut.value.partial)
    assert ask(server, "/echo/big")[2] == BODY


def test_a_body_cut_inside_its_chunks(server):
    server.inject(Fault("truncate", framing="chunked", keep=0.4))
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(server, "/echo/big")
    assert cut.value.partial == BODY[: int(len(BODY) * 0.4)]


def test_a_gzip_stream_cut_inside_a_whole_frame(server):
    server.inject(Fault("truncate", framing="gzip", keep=0.4))
    status, headers, body = ask(server, "/echo/big")
    assert status == 200
    assert headers["content-encoding"] == "gzip"
    assert len(body) == int(headers["content-length"])
    with pytest.raises(EOFError):
        gzip.decompress(body)
    unpacked = zlib.decompressobj(31)
    assert BODY.startswith(unpacked.decompress(body))
    assert not unpacked.eof


@pytest.mark.parametrize("framing", FRAMINGS)
def test_even_a_tiny_body_is_cut(server, framing):
    server.inject(Fault("truncate", framing=framing, keep=0.99))
    with pytest.raises((http.client.IncompleteRead, EOFError)):
        gzip.decompress(ask(server, "/echo/visits")[2])


def test_a_cut_connection_is_closed(server):
    server.inject(Fault("truncate", framing="chunked"))
    with socket.create_connection((server.host, server.port), timeout=5) as raw:
        raw.sendall(b"GET /echo/big HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while part := raw.recv(65536):
            received += part
    assert b"Transfer-Encoding: chunked" in received
    assert not received.endswith(b"0\r\n\r\n")


def test_statuses_with_retry_after_for_so_many_requests(server):
    server.inject(kind="status", status=429, retry_after=3, times=2)
    first = ask(server, "/echo/x")
    assert (first[0], first[1]["retry-after"]) == (429, "3")
    assert ask(server, "/echo/x")[0] == 429
    assert ask(server, "/echo/x")[0] == 200
    assert [row.fault for row in server.requests] == ["status", "status", None]


def test_a_fault_strikes_its_source_and_path_after_the_skipped(server):
    server.inject(kind="status", status=503, source="other", path="^/calls", skip=1)
    assert ask(server, "/echo/calls")[0] == 200
    assert ask(server, "/other/visits")[0] == 200
    assert ask(server, "/other/calls")[0] == 200
    assert ask(server, "/other/calls")[0] == 503
    assert ask(server, "/other/calls")[0] == 200


def test_a_web_page_a_foreign_body_a_redirect(server):
    server.inject(kind="html")
    status, headers, body = ask(server, "/echo/x")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert b"<html" in body
    server.inject(kind="body", body='{"result":')
    assert ask(server, "/echo/x")[2] == b'{"result":'
    server.inject(kind="redirect")
    status, headers, _ = ask(server, "/echo/x")
    assert status == 302
    assert headers["location"].startswith("https://")


def test_a_token_runs_out_in_the_vendors_words(server):
    server.inject(kind="token")
    status, _, body = ask(server, "/echo/x")
    assert (status, json.loads(body)) == (403, {"error": "token ran out"})


def test_no_answer_at_all(server):
    server.inject(kind="reset")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(server, "/echo/x")
    assert ask(server, "/echo/x")[0] == 200


def test_delay_and_slow_take_their_time(server):
    for kind in ("delay", "slow"):
        server.inject(kind=kind, seconds=0.3)
        begin = time.monotonic()
        assert ask(server, "/echo/big")[2] == BODY
        assert time.monotonic() - begin >= 0.25


def test_latency_is_slept_before_each_answer_of_a_source(small):
    options = Options(small.now, latency_seconds=0.1)
    with start(small, options=options, faces={"e": Echo}) as slow:
        begin = time.monotonic()
        ask(slow, "/e/x")
        ask(slow, "/e/x")
        assert time.monotonic() - begin >= 0.18


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({}, "kind"),
        ({"kind": "earthquake"}, "kind"),
        ({"kind": "truncate", "framing": "brotli"}, "framing"),
        ({"kind": "status", "status": 200}, "status"),
        ({"kind": "status", "status": "500"}, "status"),
        ({"kind": "status", "speed": 1}, "speed"),
        ({"kind": "status", "times": 0}, "times"),
        ({"kind": "status", "times": True}, "times"),
    ],
)
def test_a_wrong_fault_is_refused_by_the_name_of_its_field(server, fault, word):
    with pytest.raises(ValueError, match=word):
        server.inject(**fault)
    body = json.dumps(fault).encode()
    status, _, answer = ask(server, "/_simulator/fault", "POST", body)
    assert status == 400
    assert word in json.loads(answer)["error"]


# --- control --------------------------------------------------------------------------


def test_the_clock_moves_the_world(server, small):
    assert json.loads(ask(server, "/echo/visits")[2]) == len(small.visits)
    moved = json.dumps({"now": "2026-05-20T12:00:00+03:00"}).encode()
    assert ask(server, "/_simulator/now", "POST", moved)[0] == 200
    seen = json.loads(ask(server, "/echo/visits")[2])
    noon = datetime(2026, 5, 20, 9, tzinfo=UTC)
    assert 0 < seen == sum(visit.ended_at <= noon for visit in small.visits)
    server.set_now(small.now)
    assert json.loads(ask(server, "/echo/visits")[2]) == len(small.visits)


@pytest.mark.parametrize("now", ["2026-05-20T12:00:00", "yesterday", None])
def test_a_time_without_zone_is_refused(server, now):
    before = server.options.now
    status, _, body = ask(
        server, "/_simulator/now", "POST", json.dumps({"now": now}).encode()
    )
    assert status == 400
    assert "error" in json.loads(body)
    assert server.options.now == before


def test_health_log_and_faults_can_be_asked_for(server):
    ask(server, "/echo/x?clientApiId=secret")
    health = json.loads(ask(server, "/_simulator/health")[2])
    assert health["status"] == "ok"
    assert health["requests"] == 1
    assert {"echo", "other"} <= set(health["sources"])
    (line,) = json.loads(ask(server, "/_simulator/log")[2])["requests"]
    assert (line["source"], line["path"], line["status"]) == ("echo", "/x", 200)
    fault = json.dumps({"kind": "html", "source": "echo"}).encode()
    ask(server, "/_simulator/fault", "POST", fault)
    (waiting,) = json.loads(ask(server, "/_simulator/fault")[2])["faults"]
    assert waiting["kind"] == "html"
    ask(server, "/_simulator/fault", "DELETE")
    assert ask(server, "/echo/x")[1]["content-type"].startswith("application/json")
    assert ask(server, "/_simulator/elsewhere")[0] == 404


def test_a_stopped_server_frees_its_port(small):
    running = start(small, faces={"e": Echo})
    port = running.port
    assert ask(running, "/e/x")[0] == 200
    running.stop()
    running.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    start(small, port=port, faces={"e": Echo}).stop()


def test_a_taken_port_is_refused(server, small):
    with pytest.raises(OSError, match="in use"):
        start(small, port=server.port)


# --- the shapes -----------------------------------------------------------------------


def test_headers_compare_without_case():
    headers = Headers({"Retry-After": "3", "X": "1"})
    assert headers["retry-after"] == headers.get("RETRY-AFTER") == "3"
    assert "x" in headers
    assert list(headers) == ["Retry-After", "X"]
    assert headers.get("absent") is None


def test_options_refuse_what_makes_no_sense():
    with pytest.raises(ValueError, match="aware"):
        Options(now=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="wait_seconds"):
        Options(wait_seconds=2)
    options = Options(page_size=10, page_sizes={"b": 3}, tokens={"b": "t"})
    assert (options.rows_per_page("a", 50), options.rows_per_page("b", 50)) == (10, 3)
    assert options.rows_per_page("a", 5) == 5
    assert Options().rows_per_page("a", 1000) == 1000
    assert (options.token("b"), options.token("a")) == ("t", "demo-token")
