"""A vendor on loopback that answers exactly what a test tells it to."""

from __future__ import annotations

import gzip
import logging
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Reply:
    """One answer; `framing` is length, chunked or close; `cut` drops that many bytes."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(
        default_factory=lambda: {"Content-Type": "application/json"}
    )
    framing: str = "length"
    cut: int = 0
    zipped: bool = False
    drop_end: bool = False  # chunked without the closing chunk


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Vendor:
    """Answers from `replies` in turn (the last one again and again)."""

    def __init__(self) -> None:
        self.replies: list[Reply | Callable[[Seen], Reply]] = [Reply()]
        self.seen: list[Seen] = []
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                parts = urlsplit(self.path)
                seen = Seen(
                    self.command,
                    parts.path,
                    parse_qs(parts.query),
                    {k.lower(): v for k, v in self.headers.items()},
                    self.rfile.read(length),
                )
                turn = min(len(vendor.seen), len(vendor.replies) - 1)
                vendor.seen.append(seen)
                reply = vendor.replies[turn]
                self.write(reply if isinstance(reply, Reply) else reply(seen))

            do_GET = do_POST = answer

            def write(self, reply: Reply) -> None:
                body = gzip.compress(reply.body) if reply.zipped else reply.body
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.zipped:
                    self.send_header("Content-Encoding", "gzip")
                sent = body[: len(body) - reply.cut]
                if reply.framing == "length":
                    # cut: fewer bytes than declared
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(sent)
                elif reply.framing == "honest":
                    # cut before the frame was made: the declared length agrees
                    self.send_header("Content-Length", str(len(sent)))
                    self.end_headers()
                    self.wfile.write(sent)
                elif reply.framing == "chunked":
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for start in range(0, len(sent), 1000):
                        piece = sent[start : start + 1000]
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    if not reply.drop_end:
                        self.wfile.write(b"0\r\n\r\n")
                else:
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.wfile.write(sent)
                told = reply.framing in ("length", "honest")
                broken = reply.cut if reply.framing == "length" else not told
                if broken:
                    self.close_connection = True

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A client that hangs up in the middle is what some tests are about."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/api"
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    running = Vendor()
    yield running
    running.stop()


@pytest.fixture
def slept() -> list[float]:
    """The waits a client asked for; `slept.append` is its sleep."""
    return []


@pytest.fixture
def every_line() -> Iterator[list[str]]:
    """Everything any logger of the process says, formatted with its traceback."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root, keep = logging.getLogger(), Keep(level=1)
    before = root.level
    root.addHandler(keep)
    root.setLevel(1)
    yield lines
    root.removeHandler(keep)
    root.setLevel(before)


@pytest.fixture
def reply() -> type[Reply]:
    return Reply
