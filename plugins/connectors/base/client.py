"""The one HTTP client: it gets a whole, checked answer or raises one of two errors.

What it never does: follow a redirect, take a cut body for a whole one, take a help
page for data, wait longer than its budget, or show a secret. Times are in seconds.
"""

from __future__ import annotations

import logging
import random
import tempfile
import time
import zlib
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import orjson
import requests
import tenacity
import urllib3

from connectors.base.answers import (
    BLOCK,
    Answer,
    Download,
    line_blocks,
    parse_retry_after,
    retry_in,
)
from connectors.base.errors import (
    AccessError,
    ConfigError,
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
    TokenExpired,
)
from connectors.base.limits import Limits, RateLimiter, shared_limiter
from connectors.base.recording import Exchange
from connectors.base.redaction import excerpt, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from connectors.base.oauth import Credentials

__all__ = [
    "BLOCK",
    "Answer",
    "ApiClient",
    "Auth",
    "Download",
    "Limits",
    "RateLimiter",
    "line_blocks",
    "parse_retry_after",
    "retry_in",
]

log = logging.getLogger(__name__)

Expect = Literal["json", "tsv", "any"]
T = TypeVar("T")

_RETRIABLE_STATUSES = {408, 420, 425, 429}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_HEADERS = {"User-Agent": "throughline", "Accept-Encoding": "gzip", "Accept": "*/*"}


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


class ApiClient:
    """Requests to one account of one vendor: paced, tried again, checked, masked.

    `name` begins every label and error (`source/account`); `judge` finds errors that
    the vendor hides; `sleep` and `clock` are for tests. Raises ConfigError for an
    address that is none. Errors of requests: see `request`. `auth` that runs out comes
    as `Credentials`: they are renewed ahead of their end and once per refused request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: Auth | Credentials | None = None,
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
        # sees each good answer: see `recording`
        self.observer: Callable[[Exchange], None] | None = None
        self.limits = limits or Limits()
        self._base_url = base_url.rstrip("/")
        self._fixed = auth if isinstance(auth, Auth) else None
        self._credentials = None if isinstance(auth, Auth) else auth
        self._judge = judge
        self._if_refused = if_refused
        self._sleep = sleep
        self._clock = clock
        self._limiter = (
            shared_limiter(name, self._base_url, self.limits)
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
        # no proxy for our own machine
        self._session.trust_env = parts.hostname not in _LOOPBACK
        # Proxy and certificates are those of the start: to find them out for each
        # request would cost as much as sending it.
        self._sending = self._session.merge_environment_settings(
            base_url, {}, stream=True, verify=None, cert=None
        ) | {"timeout": (self.limits.connect_timeout, self.limits.read_timeout)}

    # -- small answers --------------------------------------------------------------

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET a JSON answer; `.json()` of it is parsed already. Raises as `request`."""
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
        """POST a JSON body, get a JSON answer. Raises as `request` does.

        `retry=False`: not safe to repeat.
        """
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

        def once(auth: Auth) -> Answer:
            with closing(
                self._send(auth, label, method, path, params, json, data, headers)
            ) as r:
                answer = self._read_small(label, r)
            self._raise_for(answer, expect)
            self._show(method, path, params, json, answer)
            return answer

        signed = self._signed(once)
        return self._again(label, signed) if retry else signed()

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
        proves the end by itself (a trailer, a declared size). Raises as `request`.
        """
        label = f"{self.name}: {method} {path}"

        def once(auth: Auth) -> Download:
            with closing(
                self._send(auth, label, method, path, params, json, None, headers)
            ) as r:
                kind = _content_type(r.headers)
                if r.status_code != 200 or "json" in kind or "html" in kind:
                    answer = self._read_small(label, r)
                    self._raise_for(answer, "any" if r.status_code != 200 else expect)
                    self._show(method, path, params, json, answer)
                    return Download(
                        answer.status, answer.headers, None, 0, answer.framed
                    )
                if self._judge is not None:
                    head = Answer(200, r.headers, b"", _framed(r), label)
                    if (error := self._judge(head)) is not None:
                        raise error
                if not (_framed(r) or allow_unframed):
                    raise RetriableError(
                        f"{label}: the answer declares no length, so it may be cut"
                    )
                download = self._spool(label, r, expect)
                if self.observer is not None:
                    body = b"".join(download.blocks())
                    whole = Answer(200, r.headers, body, download.framed, label)
                    self._show(method, path, params, json, whole)
                return download

        return self._again(label, self._signed(once))

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

    def _show(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        json: Any,
        answer: Answer,
    ) -> None:
        """Show a good answer to whoever records."""
        if self.observer is not None:
            self.observer(
                Exchange(
                    method,
                    path,
                    dict(params or {}),
                    json,
                    answer.status,
                    dict(answer.headers),
                    answer.body,
                )
            )

    def _signed(self, once: Callable[[Auth], T]) -> Callable[[], T]:
        """One request as a call of its own; a refused token is renewed for it once."""
        is_renewed = False

        def call() -> T:
            nonlocal is_renewed
            auth = self._auth()
            try:
                return once(auth)
            except TokenExpired as expired:
                refused = AccessError(f"{expired}; {self._if_refused}")
            if self._credentials is None or is_renewed:
                raise refused
            log.info("%s: the token was refused, renewing it", self.name)
            is_renewed = True
            auth = self._credentials.renewed(auth)
            try:
                return once(auth)
            except TokenExpired as expired:
                refused = AccessError(
                    f"{expired}, also with a renewed token; {self._if_refused}"
                )
            raise refused

        return call

    def _auth(self) -> Auth:
        if self._credentials is not None:
            return self._credentials.current()
        return self._fixed or _NOBODY

    def _send(
        self,
        auth: Auth,
        label: str,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        json: Any,
        data: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> requests.Response:
        parts = (self._base_url, auth.path.strip("/"), path.lstrip("/"))
        url = "/".join(part for part in parts if part)
        sent = {**_HEADERS, **(headers or {}), **auth.headers}
        if json is not None:
            data = orjson.dumps(json)
            sent.setdefault("Content-Type", "application/json; charset=utf-8")
        asked = {**(params or {}), **auth.params}
        error: ConnectorError
        # Neither cookies nor, ever, a password out of ~/.netrc: a session would add
        # them, so its adapter is given the request as it is.
        request = requests.PreparedRequest()
        try:
            request.prepare(method, url, headers=sent, data=data, params=asked)
            with self._limiter:
                return self._session.get_adapter(url).send(request, **self._sending)
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
        blocks, size = [], 0
        for block in self._body(label, response):
            blocks.append(block)
            size += len(block)
            if size > self.limits.most_bytes:
                raise FatalError(
                    f"{label}: the answer is over {self.limits.most_bytes} bytes; ask "
                    "for less"
                )
        return Answer(
            response.status_code,
            response.headers,
            b"".join(blocks),
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
            response.status_code, response.headers, file, size, _framed(response)
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
        if status == 401:
            raise TokenExpired(f"{label}: access was refused ({said})")
        if status == 403:
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
            retry=tenacity.retry_if_exception(
                lambda e: isinstance(e, RetriableError) and not e.is_spent
            ),
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
            f"{error} (gave up after {last.attempt_number} tries)",
            retry_after=asked,
            is_spent=True,
        )


_NOBODY = Auth()


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
