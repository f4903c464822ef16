"""Calls of the Data API: one JSON-RPC envelope each, with a key that is valid."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from connectors.base.errors import ParseError, RetriableError
from connectors.base.redaction import register
from connectors.base.stream import outline
from connectors.comagic.errors import NoValidKey

if TYPE_CHECKING:
    from connectors.base.connection import ConnectionInfo
    from connectors.base.connector import ApiClient


class Caller:
    """Asks with the connection's permanent key, or as its user (`signs_in`).

    A user's session lasts an hour; when it has ended, one new one is begun and the call
    repeated. Several sessions of a user may live side by side. Its repr has no secret.
    """

    def __init__(
        self, client: ApiClient, connection: ConnectionInfo, *, signs_in: bool
    ) -> None:
        self._client = client
        self._connection = connection
        self._signs_in = signs_in
        self._key = "" if signs_in else connection.password
        self._numbers = itertools.count(1)

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """The answer to a call. Raises NoValidKey, FatalError, RetriableError."""
        if self._key:
            try:
                return self._ask(method, {"access_token": self._key, **params})
            except NoValidKey:
                if not self._signs_in:
                    raise
        self._key = self._sign_in()
        return self._ask(method, {"access_token": self._key, **params})

    def _sign_in(self) -> str:
        given = {"login": self._connection.login, "password": self._connection.password}
        content = self._ask("login.user", given)
        result = content.get("result")
        data = result.get("data") if isinstance(result, dict) else None
        key = data.get("access_token") if isinstance(data, dict) else None
        if not isinstance(key, str) or not key:
            raise ParseError(f"login.user gave no access_token: {outline(content)}")
        register(key)
        return key

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        content = self._client.post("v2.0", body).json()
        if not isinstance(content, dict) or content.get("id") != number:
            # it would be another page, or the page of another report
            raise RetriableError(f"{method}: not the answer to this call")
        return content
