"""Access tokens that run out: fetched, kept, renewed once and by one at a time.

OAuth 2.0: RFC 6749 (`refresh_token`, `client_credentials`), RFC 7523 (a service
account's signed JWT). A connector only says what to ask (`Connector.token_request`).
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import jwt
import orjson

from connectors.base.client import ApiClient, Auth, Limits
from connectors.base.errors import (
    AccessError,
    ConfigError,
    FatalError,
    TokenExpired,
)
from connectors.base.redaction import excerpt, register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from connectors.base.answers import Answer
    from connectors.base.connection import ConnectionInfo
    from connectors.base.connector import Connector
    from connectors.base.sources import Account

__all__ = [
    "GOOGLE_TOKEN_URL",
    "Credentials",
    "MemoryTokens",
    "Renewal",
    "Token",
    "TokenExpired",
    "TokenRequest",
    "TokenStore",
    "service_account_request",
    "standard_token",
]

GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105
# A token is renewed this long before it ends (seconds), or at nine tenths of its life.
EARLY = 300.0
_HIDDEN = re.compile(r"token|secret|passw|assertion|code|key", re.IGNORECASE)


@dataclass(frozen=True)
class TokenRequest:
    """What to POST for an access token: `form` or `json`, to a vendor's full address.

    `one_time`: each refresh token works once, so the new one must be kept before the
    access token is used. `otherwise` is asked when the vendor refuses this one (a
    refresh token that has died, where other credentials still open the door).
    """

    url: str
    form: Mapping[str, str] | None = field(default=None, repr=False)
    json: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    one_time: bool = False
    otherwise: TokenRequest | None = None

    def secrets(self) -> list[str]:
        """The values in it that nobody may see."""
        sent = {**(self.form or {}), **(self.json or {})}
        hidden = [str(value) for name, value in sent.items() if _HIDDEN.search(name)]
        return [*hidden, *self.headers.values()]


@dataclass(frozen=True)
class Token:
    """An access token; `expires_at` in Unix seconds (infinite: nobody said)."""

    access_token: str = field(repr=False)
    expires_at: float = math.inf
    refresh_token: str | None = field(default=None, repr=False)
    renew_at: float = math.inf

    @classmethod
    def lasting(
        cls, access_token: str, seconds: float | None, refresh_token: str | None = None
    ) -> Token:
        """A token that was given just now for so many seconds."""
        if seconds is None:
            return cls(access_token, refresh_token=refresh_token)
        now = time.time()
        early = min(EARLY, seconds / 10)
        return cls(access_token, now + seconds, refresh_token, now + seconds - early)

    def is_fresh(self) -> bool:
        """Is there time left to use it?"""
        return time.time() < self.renew_at


def standard_token(answer: Answer) -> Token:
    """The token of a standard OAuth answer; `expires_in` may be text.

    Raises FatalError when the vendor refused (also under HTTP 200).
    """
    content = answer.json()
    given = content.get("access_token") if isinstance(content, dict) else None
    if not given or not isinstance(given, str):
        raise FatalError(
            f"{answer.label}: no access_token came: {excerpt(answer.body)!r}"
        )
    try:
        seconds = float(content["expires_in"])
    except (KeyError, TypeError, ValueError):
        seconds = math.nan
    refresh = content.get("refresh_token")
    return Token.lasting(
        given,
        seconds if math.isfinite(seconds) and seconds > 0 else None,
        refresh if isinstance(refresh, str) and refresh else None,
    )


def service_account_request(
    key: object,
    scope: str,
    *,
    subject: str | None = None,
    url: str = GOOGLE_TOKEN_URL,
    field_name: str = "extra.service_account",
) -> TokenRequest:
    """Ask for a token as a service account, by a JWT signed with its key (RS256).

    `key` is the key file as Google gives it: the JSON object, or its text. `subject`
    is the user it acts for. Raises ConfigError naming `field_name`. Source:
    https://developers.google.com/identity/protocols/oauth2/service-account
    """
    wrong = (
        f"field {field_name} is not a service account's key: paste the whole JSON file "
        "that was downloaded when the key was made (it has client_email, private_key)"
    )
    if isinstance(key, str):
        register(key)
        with suppress(orjson.JSONDecodeError):  # the error would hold the text
            key = orjson.loads(key)
    if not isinstance(key, dict):
        raise ConfigError(wrong)
    email, private_key = key.get("client_email"), key.get("private_key")
    if not (email and private_key and isinstance(private_key, str)):
        raise ConfigError(wrong)
    register(private_key, *(x for x in private_key.splitlines() if len(x) > 20))
    now = int(time.time())
    claims = {
        "iss": email,
        "scope": scope,
        "aud": url,
        "iat": now,
        "exp": now + 3600,
        **({"sub": subject} if subject else {}),
    }
    kid = key.get("private_key_id")
    try:
        assertion = jwt.encode(
            claims,
            private_key,
            algorithm="RS256",
            headers={"kid": str(kid)} if kid else None,
        )
    except (ValueError, TypeError, jwt.PyJWTError):
        is_signed = False
    else:
        is_signed = True
    if not is_signed:
        raise ConfigError(wrong)
    return TokenRequest(
        url,
        form={
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": assertion,
        },
    )


# -- where tokens are kept ---------------------------------------------------------


@dataclass
class Renewal:
    """A renewal under its lock: what is kept now, and where the new token goes.

    `begin` is called before the vendor is asked; what it gives is added to the error
    if the vendor refuses (a sentence that begins with a space, or nothing).
    """

    token: Token | None
    save: Callable[[Token], None]
    begin: Callable[[], str] = str


class TokenStore(ABC):
    """Keeps one token per account. `credentials` tells by which it was got.

    A token that was got by other credentials (the owner has authorised again) is no
    token: `read` and `renewal` give None for it.
    """

    # Does it outlive the process? One-time refresh tokens need that.
    is_lasting: bool = False

    @abstractmethod
    def read(self, account: Account, credentials: bytes) -> Token | None:
        """What is kept, without waiting for a renewal that is under way."""

    @abstractmethod
    def renewal(
        self, account: Account, credentials: bytes
    ) -> AbstractContextManager[Renewal]:
        """Hold the account's lock; nobody else renews until it is let go."""


class MemoryTokens(TokenStore):
    """Tokens of this process: for tests, and for trying a connector by hand."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, bytes], Token] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def read(self, account: Account, credentials: bytes) -> Token | None:
        return self._kept.get((str(account), credentials))

    @contextmanager
    def renewal(self, account: Account, credentials: bytes) -> Iterator[Renewal]:
        name = (str(account), credentials)
        with self._guard:
            lock = self._locks.setdefault(str(account), threading.Lock())
        with lock:

            def save(token: Token) -> None:
                self._kept[name] = token

            yield Renewal(self._kept.get(name), save)


# -- the renewing itself -----------------------------------------------------------


class Credentials:
    """The `Auth` of an account whose access token runs out.

    Asks for a token when the first request needs one, ahead of its end, and when the
    vendor refuses one. Errors: FatalError when the vendor refuses the renewal,
    RetriableError when it cannot be reached.
    """

    def __init__(
        self,
        connector: type[Connector],
        account: Account,
        connection: ConnectionInfo,
        store: TokenStore,
        *,
        is_own_address: bool,
        **client_options: Any,
    ) -> None:
        self._connector = connector
        self._account = account
        self._connection = connection
        self._store = store
        self._is_own_address = is_own_address
        self._client_options = client_options
        self._fingerprint = fingerprint(connection)
        self._current: tuple[Token, Auth] | None = None
        self._guard = threading.Lock()

    def current(self) -> Auth:
        """The `Auth` to use now."""
        with self._guard:
            if self._current is None or not self._current[0].is_fresh():
                kept = self._store.read(self._account, self._fingerprint)
                if kept is None or not kept.is_fresh():
                    kept = self._renew(kept)
                self._use(kept)
            assert self._current is not None
            return self._current[1]

    def renewed(self, refused: Auth) -> Auth:
        """The `Auth` to use after the vendor has refused this one."""
        with self._guard:
            if self._current is None or self._current[1] == refused:
                self._use(self._renew(self._current[0] if self._current else None))
            assert self._current is not None
            return self._current[1]

    def _use(self, token: Token) -> None:
        register(token.access_token, token.refresh_token)
        auth = self._connector.auth_with(
            self._account, self._connection, token.access_token
        )
        register(*auth.headers.values(), *auth.secrets)
        self._current = (token, auth)

    def _renew(self, stale: Token | None) -> Token:
        """A token other than the stale one: another worker's, or a new one."""
        with self._store.renewal(self._account, self._fingerprint) as renewal:
            kept = renewal.token
            if (
                kept is not None
                and kept.is_fresh()
                and (stale is None or kept.access_token != stale.access_token)
            ):
                return kept
            refresh = kept.refresh_token if kept else None
            request = self._connector.token_request(
                self._account, self._connection, refresh
            )
            if request is None:
                raise FatalError(
                    f"{self._account}: no token can be got for this connection"
                )
            if request.one_time and not self._store.is_lasting:
                raise ConfigError(
                    f"{self._account}: each refresh token of this vendor works once, so "
                    "the next one must be kept in the warehouse: set "
                    "THROUGHLINE_LOADER_PASSWORD and run `python -m pipeline setup`"
                )
            token = self._ask(request, renewal.begin())
            if token.refresh_token is None and refresh is not None:
                token = Token(
                    token.access_token, token.expires_at, refresh, token.renew_at
                )
            register(token.access_token, token.refresh_token)
            renewal.save(token)
            return token

    def _ask(self, request: TokenRequest, note: str) -> Token:
        try:
            return self._ask_once(request, note)
        except TokenRefused:
            if request.otherwise is None:
                raise
            return self._ask_once(request.otherwise, note)

    def _ask_once(self, request: TokenRequest, note: str) -> Token:
        register(*request.secrets())
        base_url, path = self._address(request.url)
        headers = {"Accept": "application/json", **request.headers}
        data = None
        if request.json is not None:
            data = orjson.dumps(dict(request.json))
            headers.setdefault("Content-Type", "application/json")
        else:
            data = urlencode(request.form or {}).encode()
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        client = ApiClient(
            base_url,
            name=str(self._account),
            judge=_refusal,
            limits=Limits(attempts=4, most_bytes=1 << 20),
            **self._client_options,
        )
        error: FatalError
        try:
            return self._connector.token_answer(
                client.request("POST", path, data=data, headers=headers)
            )
        except FatalError as refused:
            error = TokenRefused(
                f"{refused}: the token could not be renewed; "
                f"{self._connector.if_refused} "
                f"(connection {self._connection.conn_id}).{note}"
            )
        raise error

    def _address(self, url: str) -> tuple[str, str]:
        """Base URL and path to ask; in the demo the path, at the demo's address."""
        parts = urlsplit(url)
        if self._is_own_address or not self._connection.base_url:
            return f"{parts.scheme}://{parts.netloc}", parts.path
        return self._connection.base_url, parts.path


class TokenRefused(AccessError):
    """The vendor does not give a token for what we have."""


def _refusal(answer: Answer) -> FatalError | None:
    """A token's vendor refuses with 400, 401 or 403; nothing of it is a new try."""
    if answer.status in (400, 401, 403):
        return FatalError(
            f"{answer.label}: refused ({answer.status} {excerpt(answer.body)})"
        )
    return None


def fingerprint(connection: ConnectionInfo) -> bytes:
    """A hash of all that a connection holds: another one means other credentials."""
    text = orjson.dumps(
        [
            connection.base_url,
            connection.login,
            connection.password,
            dict(connection.extra),
        ],
        option=orjson.OPT_SORT_KEYS,
        default=str,
    )
    return hashlib.sha256(text).digest()
