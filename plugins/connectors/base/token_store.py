"""Tokens in the warehouse: sealed, renewed by one worker at a time, never lost.

The order that makes a crash harmless: lock the account's row, note the renewal from a
second connection, ask the vendor, commit the new refresh token, only then hand the
access token out. Cut off before the vendor answered, nothing has changed; cut off
before the commit, the next renewal is refused and says what to do.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import os
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connectors.base import settings
from connectors.base.errors import ConfigError, FatalError, RetriableError
from connectors.base.oauth import MemoryTokens, Renewal, Token, TokenStore
from connectors.base.redaction import register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connectors.base.sources import Account

log = logging.getLogger(__name__)

LOCK_SECONDS = 300  # a renewal by another worker is waited for this long
SAVE_TRIES = 5
_NONCE = 12


def default_store() -> TokenStore:
    """The warehouse where this process may log in to it, else memory."""
    if os.environ.get("THROUGHLINE_LOADER_PASSWORD"):
        return WarehouseTokens(settings.dsn("loader"))
    return MemoryTokens()


class WarehouseTokens(TokenStore):
    """`ops.oauth_tokens`, by the address of a loader.

    The sealing key is derived from THROUGHLINE_TOKEN_KEY (HKDF, RFC 5869). Raises
    RetriableError when the warehouse fails or another worker's renewal takes too long,
    ConfigError when the key is not set or the warehouse is not set up.
    """

    is_lasting = True

    def __init__(
        self,
        address: str,
        *,
        connect: Callable[[str], psycopg.Connection[Any]] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        key_id, secret = settings.token_key()
        del key_id
        derived = HKDF(SHA256(), 64, salt=None, info=b"throughline oauth tokens")
        key = derived.derive(secret)
        self._cipher = AESGCM(key[:32])
        self._hash_key = key[32:]
        self._address = address
        self._connect = connect or _connect
        self._sleep = sleep

    def read(self, account: Account, credentials: bytes) -> Token | None:
        with _told(account), self._connect(self._address) as connection:
            row = connection.execute(
                "select sealed, credentials from ops.oauth_tokens"
                " where (source, account_id) = (%s, %s)",
                (account.source, account.account_id),
            ).fetchone()
        return self._open(account, credentials, row)[0]

    @contextmanager
    def renewal(self, account: Account, credentials: bytes) -> Iterator[Renewal]:
        name = (account.source, account.account_id)
        with _told(account):
            holder = self._connect(self._address)
        with holder, self._connect(self._address) as notes:
            with _told(account):
                notes.autocommit = True
                notes.execute(
                    "insert into ops.oauth_tokens (source, account_id) values (%s, %s)"
                    " on conflict do nothing",
                    name,
                )
                holder.execute("set idle_in_transaction_session_timeout = 0")
                holder.execute(f"set lock_timeout = '{LOCK_SECONDS}s'")
                row = holder.execute(
                    "select sealed, credentials from ops.oauth_tokens"
                    " where (source, account_id) = (%s, %s) for update",
                    name,
                ).fetchone()
            token, note = self._open(account, credentials, row)
            noted: list[int] = []
            outcome = "failed"

            def begin() -> str:
                """Note that the vendor is asked now; a sentence about the last time."""
                with _told(account):
                    cut_off = notes.execute(
                        "update ops.oauth_renewals set outcome = 'cut off'"
                        " where (source, account_id) = (%s, %s) and ended_at is null"
                        " returning began_at",
                        name,
                    ).fetchall()
                    number = notes.execute(
                        "insert into ops.oauth_renewals (source, account_id)"
                        " values (%s, %s) returning renewal_id",
                        name,
                    ).fetchone()
                assert number is not None
                noted.append(number[0])
                if not cut_off:
                    return note
                at = max(moment for (moment,) in cut_off)
                return (
                    f"{note} An earlier renewal, begun at {at:%Y-%m-%d %H:%M:%S} UTC, "
                    "was cut off: the refresh token it was given may be lost, and then "
                    "only a new authorisation helps."
                )

            def save(given: Token) -> None:
                nonlocal outcome
                self._save(holder, account, credentials, given)
                outcome = "renewed"

            try:
                yield Renewal(token, save, begin)
            finally:
                with suppress(psycopg.Error):
                    holder.rollback()
                # those that were cut off stay open until a renewal goes well
                if noted:
                    _end(notes, name, noted[0], outcome)

    def _save(
        self,
        holder: psycopg.Connection[Any],
        account: Account,
        credentials: bytes,
        token: Token,
    ) -> None:
        """Commit the new token; over new connections when the old one has died.

        The vendor has already forgotten the token before it, so this is not given up
        quickly.
        """
        row = (
            account.source,
            account.account_id,
            self._seal(account, token),
            self._tag(credentials),
            None
            if math.isinf(token.expires_at)
            else datetime.fromtimestamp(token.expires_at, UTC),
        )
        statement = (
            "insert into ops.oauth_tokens"
            " (source, account_id, sealed, credentials, expires_at, renewed_at)"
            " values (%s, %s, %s, %s, %s, clock_timestamp())"
            " on conflict (source, account_id) do update set"
            " sealed = excluded.sealed, credentials = excluded.credentials,"
            " expires_at = excluded.expires_at, renewed_at = excluded.renewed_at"
        )
        reason = ""
        for attempt in range(SAVE_TRIES):
            try:
                if attempt == 0:
                    holder.execute(statement, row)
                    holder.commit()
                else:
                    with self._connect(self._address) as fresh:
                        fresh.execute(statement, row)
            except psycopg.Error as error:
                reason = type(error).__name__
                log.warning("%s: the new token is not kept yet: %s", account, reason)
                holder.close()  # it would hold the row against the next try
                self._sleep(2**attempt)
            else:
                return
        raise FatalError(
            f"{account}: the vendor gave a new token, but the warehouse could not keep "
            f"it ({reason}), so it is lost; authorise the connection "
            f"{account.conn_id} again"
        )

    def _seal(self, account: Account, token: Token) -> bytes:
        nonce = os.urandom(_NONCE)
        text = orjson.dumps(
            [
                token.access_token,
                token.refresh_token,
                None if math.isinf(token.expires_at) else token.expires_at,
                None if math.isinf(token.renew_at) else token.renew_at,
            ]
        )
        return nonce + self._cipher.encrypt(nonce, text, str(account).encode())

    def _open(
        self, account: Account, credentials: bytes, row: tuple[Any, ...] | None
    ) -> tuple[Token | None, str]:
        """The token of a row, if these credentials got it; and what hinders it."""
        if row is None or row[0] is None:
            return None, ""
        sealed = bytes(row[0])
        try:
            text = self._cipher.decrypt(
                sealed[:_NONCE], sealed[_NONCE:], str(account).encode()
            )
        except InvalidTag:
            return None, (
                " The token kept in the warehouse was sealed with another "
                "THROUGHLINE_TOKEN_KEY and cannot be read."
            )
        if not hmac.compare_digest(bytes(row[1] or b""), self._tag(credentials)):
            return None, ""
        access, refresh, expires_at, renew_at = orjson.loads(text)
        register(access, refresh)
        return Token(
            access,
            math.inf if expires_at is None else expires_at,
            refresh,
            math.inf if renew_at is None else renew_at,
        ), ""

    def _tag(self, credentials: bytes) -> bytes:
        return hmac.new(self._hash_key, credentials, hashlib.sha256).digest()


def _end(
    notes: psycopg.Connection[Any], name: tuple[str, str], number: int, outcome: str
) -> None:
    """Write down how a renewal ended; a note that fails only looks like a cut."""
    try:
        notes.execute(
            "update ops.oauth_renewals set ended_at = clock_timestamp(),"
            " outcome = case when renewal_id = %s then %s else outcome end"
            " where (source, account_id) = (%s, %s) and ended_at is null"
            " and (renewal_id = %s or %s = 'renewed')",
            (number, outcome, *name, number, outcome),
        )
    except psycopg.Error as error:
        log.warning("%s/%s: %s", *name, type(error).__name__)


def _connect(address: str) -> psycopg.Connection[Any]:
    return psycopg.connect(address, connect_timeout=10)


@contextmanager
def _told(account: Account) -> Iterator[None]:
    """Turn what the warehouse says into our errors."""
    error: FatalError | RetriableError
    try:
        yield
        return
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        error = ConfigError(
            f"{account}: the warehouse has no place for tokens; run "
            "`python -m pipeline setup`"
        )
    except psycopg.errors.LockNotAvailable:
        error = RetriableError(
            f"{account}: another worker has been renewing the token for "
            f"{LOCK_SECONDS} seconds"
        )
    except psycopg.Error as failed:
        error = RetriableError(
            f"{account}: the warehouse, which keeps the token, failed: "
            f"{type(failed).__name__}"
        )
    raise error


__all__ = ["WarehouseTokens", "default_store"]
