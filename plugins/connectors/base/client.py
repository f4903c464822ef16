"""The one HTTP client: it gets a whole, checked answer or raises one of two errors.

What it never does: follow a redirect, take a cut body for a whole one, take a help
page for data, wait longer than its budget, or show a secret. Times are in seconds.
"""

from __future__ import annotations

import logging
import math
import random
import tempfile
import threading
import time
import zlib
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import orjson
import requests
import tenacity
import urllib3
from requests.structures import CaseInsensitiveDict

from connectors.base.errors import (
    ConfigError,
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.redaction import excerpt, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

log = logging.getLogger(__name__)

Expect = Literal["json", "tsv", "any"]
T = TypeVar("T")

BLOCK = 1 << 20
_RETRIABLE_STATUSES = {408, 420, 425, 429}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Limits:
    """What the vendor allows and how patient we are; seconds and bytes."""

    requests_per_second: float | None = None
    burst: int = 1
    max_concurrent: int = 1
    attempts: int = 6
    backoff_first: float = 1
    backoff_most: float = 60
    retry_after_most: float = 120
    wait_budget: float = 600
    poll_longest: float = 60
    poll_budget: float = 3600
    connect_timeout: float = 10
    read_timeout: float = 120
    body_seconds: float = 3600
    most_bytes: int = 256 << 20
    most_download_bytes: int = 64 << 30


@dataclass(frozen=True)
class Auth:
    """How requests prove who we are. All header values in it are taken for secrets.

    `path` is put between the base URL and each request's path, for vendors whose
    secret is a part of the path; it never shows in a label.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    path: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass
class Answer:
    """A whole answer. `framed`: its length was declared, so it is proved whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    framed: bool = True
    label: str = "answer"
    _value: Any = field(default=None, repr=False)
    _parsed: bool = field(default=False, repr=False)

    def json(self) -> Any:
        """The body as JSON. Raises ParseError."""
        if not self._parsed:
            try:
                self._value = orjson.loads(self.body)
            except orjson.JSONDecodeError:
                raise ParseError(
                    f"{self.label}: the body is not JSON: {excerpt(self.body)!r}"
                ) from None
            self._parsed = True
        return self._value

    def json_or_none(self) -> Any:
        """The body as JSON, None when it is not (error pages of proxies)."""
        try:
            return self.json()
        except ParseError:
            return None

    @property
    def retry_after(self) -> float | None:
        """Seconds the vendor asks to wait (Retry-After), None when it does not say."""
        return parse_retry_after(self.headers.get("Retry-After"))


class Download:
    """A big answer, whole and checked, in a nameless temporary file.

    Nothing of it is handed on before its last byte has come, so a cut transfer is
    simply fetched again. `status` is as answered: 201 and 202 have an empty body.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        file: IO[bytes] | None,
        size: int,
        framed: bool,
    ) -> None:
        self.status = status
        self.headers = headers
        self.size = size
        self.framed = framed
        self._file = file

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The body in blocks of about `size` bytes."""
        if self._file is None:
            return
        self._file.seek(0)
        while block := self._file.read(size):
            yield block

    def line_blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        r"""The body in blocks that end with a `\n`; only the last one may lack it."""
        return line_blocks(self.blocks(size))

    def close(self) -> None:
        """Give the file back (else it goes with the object)."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def line_blocks(blocks: Iterator[bytes]) -> Iterator[bytes]:
    r"""Cut blocks anew so that each ends with a `\n`; only the last one may lack it."""
    rest: list[bytes] = []
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if not end:
            rest.append(block)
            continue
        if rest:
            rest.append(block[:end])
            yield b"".join(rest)
        else:
            yield block if end == len(block) else block[:end]
        rest = [block[end:]] if end < len(block) else []
    if rest:
        yield b"".join(rest)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait from a Retry-After header: seconds or an HTTP date (RFC 9110).

    A moment gone by is 0; a value that means nothing ("soon", NaN) is None, as if the
    header were absent. A huge value is returned as it is: the caller caps it.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


class RateLimiter:
    """So many requests a second with a burst, so many at a time; shared by threads."""

    def __init__(
        self,
        per_second: float | None,
        burst: int,
        concurrent: int,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._slack = self._interval * (burst - 1)
        self._next = -math.inf
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(concurrent)
        self._sleep = sleep
        self._clock = clock

    def __enter__(self) -> None:
        self._slots.acquire()
        if not self._interval:
            return
        with self._lock:
            now = self._clock()
            due = max(self._next, now)
            self._next = due + self._interval
        if (pause := due - self._slack - now) > 0:
            self._sleep(pause)

    def __exit__(self, *_: object) -> None:
        self._slots.release()


_limiters: dict[tuple[str, str, Limits], RateLimiter] = {}
_limiters_lock = threading.Lock()


def _shared_limiter(name: str, base_url: str, limits: Limits) -> RateLimiter:
    """One limiter per account in a process, however many clients it makes."""
    with _limiters_lock:
        return _limiters.setdefault(
            (name, base_url, limits),
            RateLimiter(
                limits.requests_per_second, limits.burst, limits.max_concurrent
            ),
        )


class ApiClient:
    """Requests to one account of one vendor."""

    def __init__(
        self,
        base_url: str,
        *,
        auth: Auth | None = None,
        name: str = "api",
        limits: Limits | None = None,
        judge: Callable[[Answer], ConnectorError | None] | None = None,
        if_refused: str = "issue a new token and put it into the connection",
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{name}: {base_url!r} is no http(s) address")
        self.name = name
        self.limits = limits or Limits()
        self._base_url = base_url.rstrip("/")
        self._auth = auth or Auth()
        self._judge = judge
        self._if_refused = if_refused
        self._sleep = sleep
        self._clock = clock
        self._limiter = (
            _shared_limiter(name, self._base_url, self.limits)
            if sleep is time.sleep
            else RateLimiter(
                self.limits.requests_per_second,
                self.limits.burst,
                self.limits.max_concurrent,
                sleep,
                clock,
            )
        )
        self._session = requests.Session()
        # Neither a proxy for our own machine nor, ever, a password out of ~/.netrc.
        self._session.trust_env = parts.hostname not in _LOOPBACK
        self._session.auth = self._sign
        self._session.headers["User-Agent"] = "throughline"
        self._session.headers["Accept-Encoding"] = "gzip"

    # -- small answers --------------------------------------------------------------

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET a JSON answer; `.json()` of it is parsed already."""
        return self.request("GET", path, params=params, headers=headers)

    def post(
        self,
        path: str,
        json: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
    ) -> Answer:
        """POST a JSON body, get a JSON answer. `retry=False`: not safe to repeat."""
        return self.request(
            "POST", path, params=params, json=json, headers=headers, retry=retry
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Expect = "json",
        retry: bool = True,
    ) -> Answer:
        """One answer in memory, of at most `limits.most_bytes`.

        Raises FatalError (also for 401, 403, redirects and HTML) after one request,
        RetriableError when all tries are used up.
        """
        label = f"{self.name}: {method} {path}"

        def once() -> Answer:
            with closing(
                self._send(label, method, path, params, json, data, headers)
            ) as r:
                answer = self._read_small(label, r)
            self._raise_for(answer, expect)
            return answer

        return self._again(label, once) if retry else once()

    # -- big answers ----------------------------------------------------------------

    def download(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        expect: Expect = "tsv",
        allow_unframed: bool = False,
    ) -> Download:
        """A big answer by way of a temporary file: memory stays flat.

        An answer with neither Content-Length nor chunks may be half of one, and nobody
        would know: it is refused unless `allow_unframed`, which says that the caller
        proves the end by itself (a trailer, a declared size).
        """
        label = f"{self.name}: {method} {path}"

        def once() -> Download:
            with closing(
                self._send(label, method, path, params, json, None, headers)
            ) as r:
                kind = _content_type(r.headers)
                if r.status_code != 200 or "json" in kind or "html" in kind:
                    answer = self._read_small(label, r)
                    self._raise_for(answer, "any" if r.status_code != 200 else expect)
                    return Download(
                        answer.status, answer.headers, None, 0, answer.framed
                    )
                if self._judge is not None:
                    head = Answer(200, _headers(r), b"", _framed(r), label)
                    if (error := self._judge(head)) is not None:
                        raise error
                if not (_framed(r) or allow_unframed):
                    raise RetriableError(
                        f"{label}: the answer declares no length, so it may be cut"
                    )
                return self._spool(label, r, expect)

        return self._again(label, once)

    def poll(
        self,
        call: Callable[[], T],
        pending: Callable[[T], float | None],
        *,
        what: str = "report",
        budget: float | None = None,
    ) -> T:
        """Repeat `call` until `pending(its result)` is None, else wait that long.

        `pending` gives seconds (`retry_in(headers)`), held to `limits.poll_longest`.
        Raises RetriableError when `budget` (default `limits.poll_budget`) is used up.
        """
        budget = self.limits.poll_budget if budget is None else budget
        waited = 0.0
        while True:
            result = call()
            asked = pending(result)
            if asked is None:
                return result
            pause = min(max(asked, 0.05), self.limits.poll_longest)
            if waited + pause > budget:
                raise RetriableError(
                    f"{self.name}: {what} is not ready after {waited:.0f} s of waiting; "
                    "run the task again later",
                    retry_after=asked,
                )
            log.info(
                "%s: %s is not ready, asking again in %.1f s", self.name, what, pause
            )
            self._sleep(pause)
            waited += pause

    # -- inside ---------------------------------------------------------------------

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._auth.headers)
        return request

    def _send(
        self,
        label: str,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        json: Any,
        data: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> requests.Response:
        parts = (self._base_url, self._auth.path.strip("/"), path.lstrip("/"))
        url = "/".join(part for part in parts if part)
        sent = dict(headers or {})
        if json is not None:
            data = orjson.dumps(json)
            sent.setdefault("Content-Type", "application/json; charset=utf-8")
        error: ConnectorError
        try:
            with self._limiter:
                return self._session.request(
                    method,
                    url,
                    params={**(params or {}), **self._auth.params},
                    data=data,
                    headers=sent,
                    timeout=(self.limits.connect_timeout, self.limits.read_timeout),
                    allow_redirects=False,
                    stream=True,
                )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader) as e:
            error = ConfigError(f"{label}: {type(e).__name__}; check the connection")
        except requests.RequestException as e:
            error = RetriableError(
                f"{label}: no answer from {self._host}: {_reason(e)}"
            )
        # Raised out here, so that the original, whose text holds the whole URL, is
        # not even its context.
        raise error

    @property
    def _host(self) -> str:
        return urlsplit(self._base_url).netloc

    def _read_small(self, label: str, response: requests.Response) -> Answer:
        most = self.limits.most_bytes
        body = bytearray()
        for block in self._body(label, response):
            body += block
            if len(body) > most:
                raise FatalError(
                    f"{label}: the answer is over {most} bytes; ask for less"
                )
        return Answer(
            response.status_code,
            _headers(response),
            bytes(body),
            _framed(response),
            label,
        )

    def _spool(
        self, label: str, response: requests.Response, expect: Expect
    ) -> Download:
        most = self.limits.most_download_bytes
        file = tempfile.TemporaryFile()  # noqa: SIM115 - Download closes it
        size = 0
        try:
            for block in self._body(label, response):
                if not size:
                    _refuse_page(label, block, expect)
                size += len(block)
                if size > most:
                    raise FatalError(f"{label}: the answer is over {most} bytes")
                file.write(block)
        except BaseException:
            file.close()
            raise
        return Download(
            response.status_code, _headers(response), file, size, _framed(response)
        )

    def _body(self, label: str, response: requests.Response) -> Iterator[bytes]:
        """The decoded body in blocks; RetriableError when it is cut in any framing.

        urllib3 checks Content-Length and the closing chunk. It does not check that a
        gzip stream came to its end, so that is done here.
        """
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise FatalError(
                f"{label}: Content-Encoding {encoding!r} was not asked for"
            )
        blocks = self._raw_blocks(label, response)
        if encoding in ("", "identity"):
            yield from blocks
            return
        inflate = zlib.decompressobj(31)
        try:
            for block in blocks:
                if inflate.eof:
                    inflate = zlib.decompressobj(31)
                data = block
                while data:
                    if plain := inflate.decompress(data, BLOCK):
                        yield plain
                    data = inflate.unconsumed_tail
                    if inflate.eof and inflate.unused_data:
                        data = inflate.unused_data
                        inflate = zlib.decompressobj(31)
        except zlib.error:
            broken = True
        else:
            broken = not inflate.eof
        if broken:
            raise RetriableError(f"{label}: the gzip body is cut or broken")

    def _raw_blocks(self, label: str, response: requests.Response) -> Iterator[bytes]:
        deadline = self._clock() + self.limits.body_seconds
        error: RetriableError
        try:
            for block in response.raw.stream(BLOCK, decode_content=False):
                if self._clock() > deadline:
                    raise RetriableError(
                        f"{label}: the body took over {self.limits.body_seconds:.0f} s"
                    )
                yield block
            return
        except (urllib3.exceptions.HTTPError, OSError) as e:
            error = RetriableError(f"{label}: the body is cut: {_reason(e)}")
        raise error

    def _raise_for(self, answer: Answer, expect: Expect) -> None:
        """Turn a bad answer into the right error; parse a good JSON one."""
        label, status = answer.label, answer.status
        if self._judge is not None and (error := self._judge(answer)) is not None:
            raise error
        if 200 <= status < 300:
            _refuse_type(label, answer, expect)
            if expect == "json":
                try:
                    answer.json()
                except ParseError as parse_error:
                    error = RetriableError(
                        f"{parse_error} (cut, or not what was asked)"
                    )
                    raise error from None
            elif not answer.framed and expect == "tsv":
                raise RetriableError(
                    f"{label}: the answer declares no length, so it may be cut"
                )
            return
        said = f"{status} {excerpt(answer.body)}".strip()
        if 300 <= status < 400:
            target = (
                urlsplit(answer.headers.get("Location", "")).netloc or "a path there"
            )
            raise FatalError(
                f"{label}: redirected ({status}) to {target}, which is not followed; "
                "check the address and the ids in the connection and in sources.yml"
            )
        if status in (401, 403):
            raise FatalError(
                f"{label}: access was refused ({said}); {self._if_refused}"
            )
        if status in _RETRIABLE_STATUSES or status >= 500:
            raise RetriableError(f"{label}: {said}", retry_after=answer.retry_after)
        raise FatalError(f"{label}: {said}")

    def _again(self, label: str, once: Callable[[], T]) -> T:
        """Call until it goes well, a fatal error comes, or tries or patience run out."""
        limits = self.limits

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, RetriableError) else None
            grown: float = limits.backoff_first * 2 ** (state.attempt_number - 1)
            # Jitter only ever adds to what the vendor asked for.
            jitter = random.uniform(0, limits.backoff_first)  # noqa: S311
            if asked is not None:
                return min(asked, limits.retry_after_most) + jitter
            return min(grown, limits.backoff_most) + jitter

        def stop(state: tenacity.RetryCallState) -> bool:
            return (
                state.attempt_number >= limits.attempts
                or state.idle_for + state.upcoming_sleep > limits.wait_budget
            )

        def tell(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            log.warning(
                "%s; try %d of %d in %.1f s",
                error,
                state.attempt_number + 1,
                limits.attempts,
                state.upcoming_sleep,
            )

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RetriableError),
            wait=wait,
            stop=stop,
            sleep=self._sleep,
            before_sleep=tell,
        )
        try:
            return retrying(once)
        except tenacity.RetryError as gave_up:
            last = gave_up.last_attempt
        error = last.exception()
        asked = error.retry_after if isinstance(error, RetriableError) else None
        raise RetriableError(
            f"{error} (gave up after {last.attempt_number} tries)", retry_after=asked
        )


def retry_in(headers: Mapping[str, str], default: float = 10) -> float:
    """Seconds until a queued report is to be asked for again (`retryIn`, any case)."""
    value = CaseInsensitiveDict(headers).get("retryIn")
    seconds = parse_retry_after(value)
    return default if seconds is None else seconds


def _headers(response: requests.Response) -> Mapping[str, str]:
    return response.headers


def _content_type(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _framed(response: requests.Response) -> bool:
    """Did the answer say how long it is?"""
    return (
        "Content-Length" in response.headers
        or "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    )


def _refuse_type(label: str, answer: Answer, expect: Expect) -> None:
    if expect == "any" or not answer.body:
        if expect == "json" and answer.status != 204:
            raise RetriableError(
                f"{label}: the answer is empty where JSON was expected"
            )
        return
    kind = _content_type(answer.headers)
    if "html" in kind or (expect == "tsv" and "json" in kind):
        raise FatalError(
            f"{label}: got {kind} where {expect.upper()} was expected: "
            f"{excerpt(answer.body)!r}; check the address and the ids in the "
            "connection and in sources.yml"
        )
    _refuse_page(label, answer.body, expect)


def _refuse_page(label: str, start: bytes, expect: Expect) -> None:
    """A help page or a proxy's page, whatever its header calls it."""
    if expect != "any" and start[:64].lstrip()[:1] == b"<":
        raise FatalError(
            f"{label}: got a page where {expect.upper()} was expected: "
            f"{excerpt(start)!r}; check the address and the ids in the connection "
            "and in sources.yml"
        )


def _reason(error: BaseException) -> str:
    """What went wrong on the wire, without the URL that library texts hold."""
    names = {
        requests.ConnectTimeout: "no connection in time",
        requests.ReadTimeout: "no data in time",
        requests.exceptions.SSLError: "the TLS certificate or handshake failed",
        requests.exceptions.ProxyError: "the proxy does not answer",
        requests.ConnectionError: "the connection failed or broke off",
        urllib3.exceptions.ReadTimeoutError: "no data in time",
        urllib3.exceptions.IncompleteRead: "fewer bytes than declared",
        urllib3.exceptions.ProtocolError: "fewer bytes than declared",
    }
    for kind, text in names.items():
        if isinstance(error, kind):
            return text
    return mask(type(error).__name__)
