"""Bitrix24's errors: which pass by themselves, and what the owner does about others.

Codes as the REST documentation lists them (README.md). An error is
`{"error", "error_description"}`; the code may be empty or 0, the status may be 200.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from connectors.base.errors import ConnectorError, FatalError, RetriableError
from connectors.base.redaction import excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.base.client import Answer

BUSY = "QUERY_LIMIT_EXCEEDED"
OUT_OF_TIME = "OPERATION_TIME_LIMIT"
PASSING = {BUSY, OUT_OF_TIME, "INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"}
"""Codes with which a command of a batch may be refused now and answered later."""

WHAT_TO_DO: Mapping[str, str] = {
    "OVERLOAD_LIMIT": "the vendor has blocked the portal's REST by hand: ask its support",
    "PORTAL_DELETED": "the portal is gone: take the account out of sources.yml",
    "insufficient_scope": "tick the right `crm` in the webhook's settings",
    "ACCESS_DENIED": "the portal's plan has no REST API, or the webhook's owner may not "
    "read the CRM: ask the portal's administrator",
    "user_access_error": "the webhook's owner has no access: ask the administrator",
}
"""Codes that do not pass: what the owner does."""

_reset_at: dict[str, float] = {}  # label of a request -> when its method has time again


def judge(answer: Answer) -> ConnectorError | None:
    """The error an answer holds; None without one, or where the status says enough.

    A good answer tells when the method's time begins anew: that is remembered, and
    is how long a method out of time waits (a minute when nothing was told).
    """
    content = answer.json_or_none()
    if not isinstance(content, dict):
        return None
    if "error" not in content:
        _remember_reset(answer.label, content.get("time"))
        return None
    code = str(content["error"])
    said = f"{answer.label}: {answer.status} {excerpt(answer.body)}"
    if code == BUSY:
        return RetriableError(said, retry_after=answer.retry_after)
    if code == OUT_OF_TIME:
        now = time.monotonic()
        wait = _reset_at.get(answer.label, now + 60) - now
        return RetriableError(said, retry_after=max(wait, 1))
    if code in WHAT_TO_DO:
        return FatalError(f"{said}; {WHAT_TO_DO[code]}")
    if answer.status in (401, 403, 429) or answer.status >= 500:
        return None
    return FatalError(said)


def _remember_reset(label: str, times: Any) -> None:
    if isinstance(times, dict) and times.get("operating_reset_at"):
        left = float(times["operating_reset_at"]) - float(times.get("finish") or 0)
        if 0 <= left <= 3600:
            _reset_at[label] = time.monotonic() + left
