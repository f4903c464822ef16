"""The simulated company's APIs on one loopback port, a path segment per source.

`http://127.0.0.1:PORT/<source>/...` goes to `connectors.<source>.simulator.Simulator`.
`/_simulator/health|now|fault|log` are for those who run it: no vendor has them.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib
import importlib.util
import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from simulator import faults
from simulator.face import Face, Headers, Options, Request, Response, json_response
from simulator.faults import Fault, FaultQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulator.world import World

CHUNK = 16 * 1024
MAX_REQUEST_BYTES = 64 * 1024 * 1024
LOG_LENGTH = 200_000


@dataclass(frozen=True)
class LoggedRequest:
    """One request that came, with what it was answered."""

    at: datetime
    source: str
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Headers
    body: bytes
    status: int
    sent_bytes: int
    seconds: float
    fault: str | None


class Backend(Protocol):
    """Whatever answers the requests of the sources: the company, or a recording."""

    def answer(self, source: str, request: Request) -> Response:
        """The answer to one request of a source."""

    def unauthorized(self, source: str, request: Request) -> Response:
        """The answer to a token that has run out."""

    def sources(self) -> list[str]:
        """The sources that can be asked."""


class Company:
    """The faces of all sources over one world, made when first asked for.

    `faces` gives classes by source name and goes before the import of
    `connectors.<source>.simulator`.
    """

    def __init__(
        self,
        world: World,
        options: Options,
        faces: Mapping[str, Callable[[World, Options], Face]] | None = None,
    ) -> None:
        self._world = world
        self._options = options
        self._classes = dict(faces or {})
        self._faces: dict[str, Face] = {}
        self._lock = threading.Lock()

    def face(self, source: str) -> Face | None:
        """The face of a source, or None when there is no such connector."""
        with self._lock:
            if source not in self._faces:
                maker = self._classes.get(source) or _imported(source)
                if maker is None:
                    return None
                self._faces[source] = maker(self._world, self._options)
            return self._faces[source]

    def answer(self, source: str, request: Request) -> Response:
        """The face's answer; 404 in JSON when no connector bears that name."""
        face = self.face(source)
        if face is None:
            message = f"no connectors.{source}.simulator: the first segment is a source"
            return json_response({"error": message}, 404)
        return face.handle(request)

    def unauthorized(self, source: str, request: Request) -> Response:
        """The vendor's own answer to a token that has run out."""
        face = self.face(source)
        return face.ran_out(request) if face else self.answer(source, request)

    def sources(self) -> list[str]:
        """Names of the connectors that have a face."""
        names = set(self._classes)
        spec = importlib.util.find_spec("connectors")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for path in _subfolders(folder):
                names.add(path)
        return sorted(names)


def _subfolders(folder: str) -> list[str]:
    from pathlib import Path

    return [path.parent.name for path in Path(folder).glob("*/simulator.py")]


def _imported(source: str) -> Callable[[World, Options], Face] | None:
    if not source.isidentifier():
        return None
    name = f"connectors.{source}.simulator"
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    if found is None:
        return None
    maker: Callable[[World, Options], Face] = importlib.import_module(name).Simulator
    return maker


class RunningServer:
    """A started server. `requests` is the log, oldest first; `stop` frees the port."""

    def __init__(
        self, backend: Backend, options: Options, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self.backend = backend
        self.options = options
        self.requests: list[LoggedRequest] = []
        self._faults = FaultQueue()
        self._lock = threading.Lock()
        self._server = _Server((host, port), _Handler, self)
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="simulator",
            daemon=True,
        )
        self._thread.start()

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`, no slash at the end; add `/<source>`."""
        return f"http://{self.host}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Does it still listen?"""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop listening and close what is open; safe to call twice."""
        self._server.shutdown()
        self._server.server_close()
        self._server.drop_connections()
        self._thread.join(timeout=5)

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self) -> None:
        """Block until the server is stopped."""
        while self._thread.is_alive():
            self._thread.join(timeout=0.5)

    def set_now(self, now: datetime) -> None:
        """Move the clock of the simulated world. Raises ValueError for a naive time."""
        if now.tzinfo is None:
            raise ValueError("now: give an aware time, such as 2026-06-01T07:00:00Z")
        self.options.now = now

    def inject(self, fault: Fault | None = None, **given: Any) -> None:
        """Let the next matching answers go wrong: a `Fault`, or its fields by name."""
        wanted = fault or Fault.from_mapping(given)
        with self._lock:
            self._faults.add(wanted)

    def clear_faults(self) -> None:
        """Forget faults that have not struck yet."""
        with self._lock:
            self._faults.clear()

    def faults(self) -> list[Fault]:
        """Faults that have not struck yet."""
        with self._lock:
            return self._faults.waiting()

    def take_fault(self, source: str, path: str) -> Fault | None:
        """The fault due for this request, used up once."""
        with self._lock:
            return self._faults.take(source, path)

    def log(self, entry: LoggedRequest) -> None:
        """Remember a request; the oldest go when there are too many."""
        with self._lock:
            self.requests.append(entry)
            if len(self.requests) > LOG_LENGTH:
                del self.requests[: LOG_LENGTH // 2]


def start(
    world: World,
    port: int = 0,
    options: Options | None = None,
    faces: Mapping[str, Callable[[World, Options], Face]] | None = None,
) -> RunningServer:
    """Serve a world from threads of this process; port 0 takes a free one.

    Without options the clock stands at `world.now`. Raises OSError when the port is
    taken.
    """
    chosen = options or Options(now=world.now)
    return RunningServer(Company(world, chosen, faces), chosen, port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], handler: type[_Handler], owner: RunningServer
    ) -> None:
        self.owner = owner
        self._open: set[Any] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        with self._open_lock:
            waiting = list(self._open)
        for connection in waiting:
            with contextlib.suppress(OSError):
                connection.shutdown(2)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _BadRequest(Exception):
    pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    timeout = 120
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to the terminal: the log is `RunningServer.requests`."""

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

    def _answer(self) -> None:
        started = time.monotonic()
        owner = self.server.owner
        split = urlsplit(self.path)
        first, _, rest = split.path.lstrip("/").partition("/")
        try:
            request = Request(
                method=self.command,
                path="/" + unquote(rest),
                query=parse_qs(split.query, keep_blank_values=True),
                headers=Headers(dict(self.headers.items())),
                body=self._read_body(),
            )
        except _BadRequest as error:
            self.close_connection = True
            self._send(json_response({"error": str(error)}, 400))
            return
        if first == "_simulator":
            self._send(_control(owner, request))
            return
        if owner.options.latency_seconds:
            time.sleep(owner.options.latency_seconds)
        fault = owner.take_fault(first, request.path)
        response = self._respond(owner, first, request, fault)
        owner.log(
            LoggedRequest(
                at=datetime.now(UTC),
                source=first,
                method=request.method,
                path=request.path,
                query=request.query,
                headers=request.headers,
                body=request.body,
                status=response.status if response else 0,
                sent_bytes=len(response.body) if response else 0,
                seconds=time.monotonic() - started,
                fault=fault.kind if fault else None,
            )
        )
        if response is None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(2)
            return
        self._send(response, fault)

    def _respond(
        self, owner: RunningServer, source: str, request: Request, fault: Fault | None
    ) -> Response | None:
        if fault is not None:
            if fault.kind == "reset":
                return None
            if fault.kind == "delay":
                time.sleep(fault.seconds)
            if fault.kind == "token":
                return owner.backend.unauthorized(source, request)
            given = faults.instead(fault)
            if given is not None:
                return given
        try:
            response = owner.backend.answer(source, request)
        except Exception as error:  # noqa: BLE001 - a face's bug must reach the tester
            text = f"{type(error).__name__}: {error}"
            return json_response({"simulator_error": text}, 500)
        if fault is not None and fault.kind == "body":
            return Response(response.status, response.headers, fault.body.encode())
        return response

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            parts = []
            while size := int(self.rfile.readline(64).split(b";")[0] or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline(8)
            while self.rfile.readline(1024).strip():
                pass
            body = b"".join(parts)
        else:
            length = self.headers.get("Content-Length", "0")
            if not length.isdigit() or int(length) > MAX_REQUEST_BYTES:
                raise _BadRequest("Content-Length: not a length we take")
            body = self.rfile.read(int(length))
        if self.headers.get("Content-Encoding", "").lower() == "gzip":
            try:
                return gzip.decompress(body)
            except (OSError, EOFError) as error:
                raise _BadRequest("Content-Encoding: the body is not gzip") from error
        return body

    def _send(self, response: Response, fault: Fault | None = None) -> None:
        with contextlib.suppress(OSError):
            if fault is not None and fault.kind == "truncate":
                self._send_cut(response, fault)
            elif fault is not None and fault.kind == "slow":
                self._send_whole(response, fault.seconds)
            else:
                self._send_whole(response, 0)

    def _head(self, response: Response, extra: Mapping[str, str]) -> None:
        phrase = "Status"
        with contextlib.suppress(ValueError):
            phrase = HTTPStatus(response.status).phrase
        self.send_response(response.status, phrase)
        taken = {name.lower() for name in extra}
        for name, value in response.headers.items():
            if name.lower() not in taken | {"content-length", "transfer-encoding"}:
                self.send_header(name, value)
        for name, value in extra.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send_whole(self, response: Response, seconds: float) -> None:
        body = response.body
        extra = {}
        accepts = "gzip" in self.headers.get("Accept-Encoding", "").lower()
        encoded = "content-encoding" in {name.lower() for name in response.headers}
        wanted = self.server.owner.options.gzip and len(body) > 1024
        if wanted and accepts and not encoded:
            body = gzip.compress(body, 1)
            extra["Content-Encoding"] = "gzip"
        if response.status not in (204, 304):
            extra["Content-Length"] = str(len(body))
        self._head(response, extra)
        if self.command == "HEAD":
            return
        pieces = 20 if seconds else 1
        step = max(1, -(-len(body) // pieces))
        for begin in range(0, len(body), step):
            self.wfile.write(body[begin : begin + step])
            if seconds:
                self.wfile.flush()
                time.sleep(seconds / pieces)

    def _send_cut(self, response: Response, fault: Fault) -> None:
        """Send a part of the body, then close: each framing lies in its own way.

        Content-Length promises more than comes; chunks end without the last one; a
        gzip stream is framed whole, and breaks off inside.
        """
        whole, part = faults.cut(response.body, fault)
        self.close_connection = True
        if fault.framing == "length":
            self._head(response, {"Content-Length": str(len(whole))})
            self.wfile.write(part)
        elif fault.framing == "chunked":
            self._head(response, {"Transfer-Encoding": "chunked"})
            for begin in range(0, len(part), CHUNK):
                piece = part[begin : begin + CHUNK]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        else:
            extra = {"Content-Encoding": "gzip", "Content-Length": str(len(part))}
            self._head(response, extra)
            self.wfile.write(part)
        self.wfile.flush()


def _control(owner: RunningServer, request: Request) -> Response:
    route = (request.method, request.path.rstrip("/"))
    if route == ("GET", "/health"):
        return json_response(
            {
                "status": "ok",
                "now": owner.options.now.isoformat(),
                "sources": owner.backend.sources(),
                "requests": len(owner.requests),
            }
        )
    if route == ("GET", "/now"):
        return json_response({"now": owner.options.now.isoformat()})
    if route == ("GET", "/log"):
        return json_response({"requests": [_line(row) for row in owner.requests]})
    if route == ("GET", "/fault"):
        return json_response({"faults": [row.as_dict() for row in owner.faults()]})
    if route == ("DELETE", "/fault"):
        owner.clear_faults()
        return json_response({"faults": []})
    if route in (("POST", "/now"), ("POST", "/fault")):
        try:
            content = request.json()
            if not isinstance(content, dict):
                raise ValueError("the body must be a JSON object")
            if request.path.startswith("/now"):
                owner.set_now(datetime.fromisoformat(str(content.get("now"))))
                return json_response({"now": owner.options.now.isoformat()})
            owner.inject(Fault.from_mapping(content))
            return json_response({"faults": [row.as_dict() for row in owner.faults()]})
        except (ValueError, json.JSONDecodeError) as error:
            return json_response({"error": str(error)}, 400)
    return json_response({"error": f"no {request.method} {request.path} here"}, 404)


def _line(row: LoggedRequest) -> dict[str, Any]:
    return {
        "at": row.at.isoformat(),
        "source": row.source,
        "method": row.method,
        "path": row.path,
        "status": row.status,
        "sent_bytes": row.sent_bytes,
        "seconds": round(row.seconds, 6),
        "fault": row.fault,
    }
