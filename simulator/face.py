"""What the face of an API is: a request in, a response out, no sockets.

A connector's `simulator.py` holds one class `Simulator(Face)`; `simulator.server`
puts it on a port. Tests may call `handle` directly.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from simulator.world import World

DEMO_TOKEN = "demo-token"  # noqa: S105 - a fictional company has a fictional token


class Headers(Mapping[str, str]):
    """Header names compare without case; the first spelling given is kept."""

    def __init__(self, items: Mapping[str, str] | None = None) -> None:
        self._items: dict[str, tuple[str, str]] = {}
        for name, value in (items or {}).items():
            self._items.setdefault(name.lower(), (name, value))

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._items

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


@dataclass
class Request:
    """One HTTP request as a face sees it.

    `path` starts with "/" and has no `/<source>` in front; `query` keeps every value
    of a repeated name, blank ones too.
    """

    method: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def __post_init__(self) -> None:
        if not isinstance(self.headers, Headers):
            self.headers = Headers(self.headers)

    def param(self, name: str, default: str | None = None) -> str | None:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def json(self) -> Any:
        """The body as JSON; an empty body is None. Raises ValueError when broken."""
        return json.loads(self.body) if self.body.strip() else None


@dataclass
class Response:
    """One HTTP answer; the server adds length, date and connection headers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def json_response(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with a JSON body in UTF-8, Cyrillic unescaped."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    given = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Response(status, given, body)


def text_response(
    text: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "text/plain; charset=utf-8",
) -> Response:
    """An answer with a text body in UTF-8 (TSV, HTML, XML by `content_type`)."""
    return Response(
        status, {"Content-Type": content_type, **(headers or {})}, text.encode()
    )


@dataclass
class Options:
    """How the APIs behave; one object shared by the server and all faces.

    `now` is the clock of the simulated world (aware; moving it changes what faces
    answer). `wait_seconds` (at most 1) is how long queued work takes: a report, a log
    request. `page_sizes` lowers a source's page size, `page_size` that of all.
    `rate_limits` turns the vendors' limits on. `default_token` is what every source
    accepts, unless `tokens` gives it one of its own. `time_zone` is that of the accounts
    at their vendors: in it they cut days and print local times. `gzip` compresses answers when the client
    accepts it. `latency_seconds` is slept before each answer.
    """

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    wait_seconds: float = 0.0
    page_size: int | None = None
    page_sizes: dict[str, int] = field(default_factory=dict)
    rate_limits: bool = False
    default_token: str = DEMO_TOKEN
    tokens: dict[str, str] = field(default_factory=dict)
    gzip: bool = False
    latency_seconds: float = 0.0
    time_zone: str = "Europe/Moscow"

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            raise ValueError("Options.now must be aware: give it a time zone")
        if not 0 <= self.wait_seconds <= 1:
            raise ValueError("Options.wait_seconds must be between 0 and 1")

    def token(self, source: str) -> str:
        """The token this source accepts."""
        return self.tokens.get(source, self.default_token)

    def rows_per_page(self, source: str, vendor_size: int) -> int:
        """The page size of a source: the vendor's own unless a test lowers it."""
        return min(vendor_size, self.page_sizes.get(source, self.page_size or 10**9))


class RateLimit:
    """At most `most` requests in any `seconds`; a refused one counts, too.

    May be asked from several threads at once.
    """

    def __init__(self, most: int, *, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._times: deque[float] = deque()
        self._lock = threading.Lock()

    def is_exceeded(self) -> bool:
        """Count a request that comes now: is it one too many?"""
        now = time.monotonic()
        with self._lock:
            while self._times and self._times[0] <= now - self._seconds:
                self._times.popleft()
            self._times.append(now)
            return len(self._times) > self._most


class Face(ABC):
    """One vendor's API over the simulated company.

    `branch` is the firm of the group whose data it shows. `handle` may be called from
    several threads at once.
    """

    branch: ClassVar[str] = "msk"

    # why the zone of the account does not matter here, for vendors where it does not
    zone_reason: ClassVar[str] = ""
    # the vendor's desk of access tokens, for sources whose tokens run out
    desk: TokenDesk | None = None

    def __init__(self, world: World, options: Options) -> None:
        self.world = world
        self.options = options

    @property
    def view(self) -> World:
        """The firm as the APIs know it at `options.now` (cached between calls)."""
        return self.firm.as_of(self.options.now)

    @property
    def firm(self) -> World:
        """The whole of the firm this API serves, with what is still to come."""
        return self.world.branch(self.branch)

    @abstractmethod
    def handle(self, request: Request) -> Response:
        """Answer one request the way the vendor does, errors included."""

    def unauthorized(self, request: Request) -> Response:
        """What the vendor answers to a token that has run out; faces override it."""
        return json_response({"error": "unauthorized"}, 401)

    def ran_out(self, request: Request) -> Response:
        """The token runs out just now: the answer to the one who comes with it."""
        if self.desk is not None:
            self.desk.expire()
        return self.unauthorized(request)


class TokenDesk:
    """Gives access tokens for grants (RFC 6749, 7523), and knows which still work.

    What the company's people have is known by the source's token T: a refresh token,
    a client secret or a password is good when it is T or begins with `T-`, the issuer
    of a signed JWT when T is in it (its signature is not looked at). `one_time`: a
    refresh token works once and comes with a successor. `single`: a new access token
    ends those before it. `seconds` is how long one lasts, `as_text` writes that as a
    string. May be asked from several threads at once.
    """

    def __init__(
        self,
        options: Options,
        source: str,
        *,
        seconds: int = 3600,
        one_time: bool = False,
        single: bool = False,
        as_text: bool = False,
    ) -> None:
        self._options = options
        self._source = source
        self._seconds = seconds
        self._one_time = one_time
        self._single = single
        self._as_text = as_text
        self._good: dict[str, float] = {}
        self._used: set[str] = set()
        self._lock = threading.Lock()
        self.issued = 0  # how many access tokens were given

    def answer(self, request: Request) -> Response:
        """The answer to a grant, in a form or in JSON; 400 `invalid_grant` if bad."""
        given = self._given(request)
        grant = given.get("grant_type", "")
        with self._lock:
            if grant == "refresh_token":
                refresh = given.get("refresh_token", "")
                is_good = self._knows(refresh) and refresh not in self._used
                is_good &= self._knows(given.get("client_secret", self._token))
                if is_good and self._one_time:
                    self._used.add(refresh)
            elif grant == "client_credentials":
                is_good = self._knows(given.get("client_secret", ""))
            elif grant.endswith("jwt-bearer"):
                is_good = self._token in _issuer(given.get("assertion", ""))
            else:
                return json_response({"error": "unsupported_grant_type"}, 400)
            if not is_good:
                content = {
                    "error": "invalid_grant",
                    "error_description": "Token has been expired or revoked.",
                }
                return json_response(content, 400)
            return json_response(self._issue(grant))

    def accepts(self, request: Request, token: str | None = None) -> bool:
        """Does this request (its Bearer header, or `token`) hold a living token?"""
        if token is None:
            header = request.headers.get("Authorization", "")
            token = header.partition(" ")[2] if header[:7] == "Bearer " else ""
        with self._lock:
            return self._good.get(token, 0.0) > time.monotonic()

    def expire(self) -> None:
        """All access tokens given so far work no more; refresh tokens still do."""
        with self._lock:
            self._good.clear()

    def _issue(self, grant: str) -> dict[str, Any]:
        self.issued += 1
        if self._single:
            self._good.clear()
        access = f"{self._token}-access-{self.issued}"
        self._good[access] = time.monotonic() + self._seconds
        content: dict[str, Any] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": str(self._seconds) if self._as_text else self._seconds,
        }
        if self._one_time or (self._single and grant != "refresh_token"):
            content["refresh_token"] = f"{self._token}-refresh-{self.issued}"
        return content

    @property
    def _token(self) -> str:
        return self._options.token(self._source)

    def _knows(self, value: str) -> bool:
        return value == self._token or value.startswith(f"{self._token}-")

    @staticmethod
    def _given(request: Request) -> dict[str, str]:
        if "json" in request.headers.get("Content-Type", ""):
            try:
                content = request.json()
            except ValueError:
                return {}
            return content if isinstance(content, dict) else {}
        pairs = parse_qs(request.body.decode("utf-8", "replace"))
        return {name: values[0] for name, values in pairs.items()}


def _issuer(assertion: str) -> str:
    """Who signed a JWT; empty when it is none."""
    part = assertion.partition(".")[2].partition(".")[0]
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return ""
    return str(claims.get("iss", "")) if isinstance(claims, dict) else ""
