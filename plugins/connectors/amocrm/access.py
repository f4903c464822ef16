"""The two ways into an account: a token that lasts for years, or OAuth 2.0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.base.oauth import TokenRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.base.connection import ConnectionInfo


def needs(connection: ConnectionInfo, lasting: Mapping[str, str]) -> Mapping[str, str]:
    """Connection fields that must be there; `lasting`: those of a long-lived token."""
    if not connection.get("extra.client_id"):
        return lasting
    return {
        "extra.client_secret": "the integration's secret key",
        "extra.refresh_token": "the refresh token got by the authorisation code",
        "extra.redirect_uri": "the integration's redirect address",
    }


def renewal(
    connection: ConnectionInfo, url: str, refresh_token: str | None
) -> TokenRequest | None:
    """What to ask for a new pair of tokens; None where the token lasts.

    Each refresh token works once: the answer brings its successor.
    """
    if not connection.get("extra.client_id"):
        return None
    return TokenRequest(
        url,
        json={
            "grant_type": "refresh_token",
            "client_id": connection.get("extra.client_id"),
            "client_secret": connection.get("extra.client_secret"),
            "redirect_uri": connection.get("extra.redirect_uri"),
            "refresh_token": refresh_token or connection.get("extra.refresh_token"),
        },
        one_time=True,
    )
