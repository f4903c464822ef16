"""Metrica's errors: which pass by themselves, and what the owner does about others.

Kinds as the API's documentation lists them, read 2026-11-22. An error is
`{"errors": [{"error_type", "message", "location"}], "code", "message"}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.base.connection import conn_id_of
from connectors.base.errors import ConnectorError, FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOW_TO_RENEW = (
    "issue a new OAuth token at oauth.yandex.ru with the right metrika:read and put it "
    "into field password of the connection"
)
RETRY_AFTER: Mapping[str, float] = {
    "quota_parallel_requests": 5,
    "quota_requests_by_ip": 2,
    "quota_requests_by_uid": 3600,
    "quota_requests_by_counter_id": 3600,
    "backend_error": 30,
    "timeout": 30,
}
"""Kinds that pass: seconds to wait. Daily quotas begin anew at 00:00 UTC."""

WHAT_TO_DO: Mapping[str, str] = {
    "access_denied": "give the token's owner view access to this counter, or correct "
    "counter_id in sources.yml",
    "not_found": "the counter or log is not there: check counter_id in sources.yml",
    "limit_exceeded": "the storage of prepared logs (10 GB) is full or the period too "
    "long: clean logs that other programs ordered for this counter",
}


class TokenRefused(FatalError):
    """The token is wrong or has run out: nothing more is asked."""


def api_error(value: Any, status: int, label: str) -> ConnectorError | None:
    """The error a JSON answer holds, retriable or fatal by its kind; None if none."""
    if not isinstance(value, dict) or not isinstance(value.get("errors"), list):
        return None
    first = value["errors"][0] if value["errors"] else {}
    if not isinstance(first, dict):
        first = {}
    kind = str(first.get("error_type", ""))
    given = value.get("code")
    code = given if isinstance(given, int) else status
    where = f" in {first['location']}" if first.get("location") else ""
    said = str(first.get("message") or value.get("message") or "no text")
    what = f"{label}: Metrica error {code} {kind}{where} ({said})"
    if kind in ("invalid_token", "unauthorized"):
        return TokenRefused(f"{what}: {HOW_TO_RENEW} ({conn_id_of(label)})")
    if kind in WHAT_TO_DO:
        return FatalError(f"{what}: {WHAT_TO_DO[kind]}")
    if kind in RETRY_AFTER or code in (420, 429) or code >= 500:
        return RetriableError(what, retry_after=RETRY_AFTER.get(kind))
    return FatalError(
        f"{what}: the request does not fit the API: report this to the maintainers"
    )
