"""How Google gives an access token: for a user's refresh token, or a signed key.

Field `password` of the connection holds either; the OAuth client's id and secret are
needed with a refresh token only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.base.oauth import (
    GOOGLE_TOKEN_URL,
    TokenRequest,
    service_account_request,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.base.connection import ConnectionInfo

CLIENT_HELP: Mapping[str, str] = {
    "extra.client_id": "the OAuth client's id (Google Cloud console, Credentials)",
    "extra.client_secret": "the OAuth client's secret (Google Cloud console, "
    "Credentials)",
}


def needs(
    connection: ConnectionInfo, connection_help: Mapping[str, str]
) -> Mapping[str, str]:
    """The fields of `connection_help` that this connection's way in asks for."""
    if not _is_key(connection.password):
        return connection_help
    return {n: what for n, what in connection_help.items() if n not in CLIENT_HELP}


def token_request(connection: ConnectionInfo, scope: str) -> TokenRequest:
    """What to ask Google for an access token of this scope.

    Raises ConfigError when `password` looks like a key file and is none, or when a
    field that a refresh token needs is empty.
    """
    secret = connection.require("password")
    if _is_key(secret):
        return service_account_request(secret, scope, field_name="password")
    form = {
        "grant_type": "refresh_token",
        "client_id": connection.require("extra.client_id"),
        "client_secret": connection.require("extra.client_secret"),
        "refresh_token": secret,
    }
    return TokenRequest(GOOGLE_TOKEN_URL, form=form)


def _is_key(secret: str) -> bool:
    return secret.lstrip().startswith("{")
