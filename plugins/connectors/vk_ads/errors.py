"""VK Ads' error codes and limits: what passes, what means "ask for less", what ends it.

Codes as the vendor's documentation lists them, read 2026-11-22. An error is
`{"error": {"code", "message"}}` or the same two flat, under its own HTTP status.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.base.errors import ConnectorError, FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.base.client import Answer

HOW_TO_RENEW = (
    "take client_id and client_secret from ads.vk.com (Настройки, Доступ к API) into "
    "extra of the connection; where VK says 403 or token_limit_exceeded, five tokens of "
    "this key live already: other programs use it, so give this one a key of its own, or "
    "free the five by POST /api/v2/oauth2/token/delete.json with client_id and "
    "client_secret (it ends the tokens of every program that has this key)"
)
WHAT_TO_DO: Mapping[str, str] = {
    "invalid_client": HOW_TO_RENEW,
    "invalid_user": "this VK Ads user is blocked: ask VK's support",
    "token_limit_exceeded": HOW_TO_RENEW,
    "ERR_ACCESS_DENIED": "give the key the right to read statistics (scope read_ads), "
    "and for an agency's client set settings.agency_client_name in sources.yml",
    "access_denied": "give the key the scope read_ads",
}
"""Codes that do not pass: what the owner does."""

MOSCOW = ZoneInfo("Europe/Moscow")
_TO_RENEW = {"expired_token", "invalid_token", "revoked_token"}


class WrongIds(FatalError):
    """One of the ids asked for is unknown or another's, and spoils the whole answer."""


class TooMuch(FatalError):
    """More days or objects than one request may ask for."""


@dataclass(frozen=True)
class ApiError:
    """An error as VK words it."""

    code: str
    message: str

    @classmethod
    def of(cls, value: Any) -> ApiError | None:
        """The error a JSON answer holds, in either shape, or None."""
        error = value.get("error", value) if isinstance(value, dict) else None
        code = error.get("code") if isinstance(error, dict) else error
        if not isinstance(code, str) or not code or "items" in value:
            return None
        said = error if isinstance(error, dict) else value
        return cls(
            code, str(said.get("message") or said.get("error_description") or "")
        )

    def as_error(self, label: str, status: int = 400) -> ConnectorError | None:
        """What the code means, in words for the owner; None: what the status means."""
        what = f"{label}: VK Ads error {self.code} ({self.message or 'no text'})"
        if self.code.startswith("ERR_WRONG_") and self.code.endswith("S"):
            return WrongIds(what)
        if self.code == "ERR_LIMIT_EXCEEDED":
            return TooMuch(what)
        if self.code in WHAT_TO_DO:
            return FatalError(f"{what}: {WHAT_TO_DO[self.code]}")
        if self.code in _TO_RENEW or status >= 500 or status in (401, 403, 408):
            return None
        return FatalError(
            f"{what}: the request does not fit the API: report this to the maintainers"
        )


def too_many(answer: Answer) -> RetriableError:
    """What 429 means: how long to wait, by the fullest of the account's three limits."""
    wait, which = wait_of(answer.headers), ""
    if answer.retry_after is not None:
        wait = answer.retry_after
    elif wait is not None:
        which = f"; the limit is free again in {wait:.0f} s"
    return RetriableError(
        f"{answer.label}: 429, too many requests{which}", retry_after=wait
    )


def wait_of(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to the end of the calendar second, hour or day whose limit is used up."""
    given = {name.lower(): value for name, value in headers.items()}
    local = (now or datetime.now(UTC)).astimezone(MOSCOW)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    hour = local.replace(minute=0, second=0, microsecond=0)
    ends = {
        "daily": midnight + timedelta(days=1),
        "hourly": hour + timedelta(hours=1),
        "rps": local + timedelta(seconds=1),
    }
    for name, end in ends.items():
        if given.get(f"x-ratelimit-{name}-remaining", "").strip() == "0":
            return (end - local).total_seconds()
    return None
