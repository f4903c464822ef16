"""Meta's error codes: which pass by themselves, which mean "ask for less", which end it.

Codes as the vendor's documentation and its own SDK list them, read 2026-11-22. An error
comes as `{"error": {"code", "error_subcode", "message", …}}` under HTTP 400, 403 or
500; a limit comes under 400, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from connectors.base.connection import conn_id_of
from connectors.base.errors import ConnectorError, FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_AFTER: Mapping[int, tuple[float, str]] = {
    1: (30, "Meta has an error of its own"),
    2: (30, "Meta is temporarily unavailable"),
    4: (300, "the application's limit is used up"),
    17: (300, "the ad account's limit is used up"),
    32: (300, "a page's limit is used up"),
    341: (300, "the application's limit is used up"),
    613: (300, "the ad account's limit is used up"),
    2601: (10, "the report is still being loaded"),
    **dict.fromkeys(
        (*range(80000, 80010), 80014), (300, "the ad account's hourly limit is used up")
    ),
}
"""Codes that pass: seconds to wait when no header says how long, and what they mean."""

HOW_TO_RENEW = (
    "issue a token of a system user in Business settings (permission ads_read, with the "
    "ad account among its assets) and put it into field password of the connection"
)
REFUSED = {102, 190}
FORBIDDEN = {3, 10, *range(200, 300)}
WHAT_TO_DO: Mapping[int, str] = {
    **dict.fromkeys(REFUSED, HOW_TO_RENEW),
    **dict.fromkeys(
        FORBIDDEN,
        "give the token's system user permission ads_read and add the ad account to its "
        "assets in Business settings",
    ),
    100: "correct settings.ad_account_id in sources.yml, if the token sees the account "
    "at all; else the request does not fit the API: report this to the maintainers",
    803: "correct settings.ad_account_id in sources.yml: there is no such account",
    2635: "this version of the API has ended: update this connector",
    3018: "the first day lies over 37 months back: set a smaller history_days",
}
"""Codes that do not pass: what the owner does."""

NOT_THERE = 33  # of code 100
TOO_MUCH = {1504018, 1487534}  # subcodes: no answer in time, the report is too large


class TooMuchData(FatalError):
    """Meta could not answer for so much at once: ask for smaller pages or fewer days."""


@dataclass(frozen=True)
class ApiError:
    """An error as Meta words it."""

    code: int
    subcode: int
    message: str
    is_transient: bool = False
    trace_id: str = ""

    @classmethod
    def of(cls, value: Any) -> ApiError | None:
        """The error a JSON answer holds, or None."""
        error = value.get("error") if isinstance(value, dict) else None
        if not isinstance(error, dict) or "code" not in error:
            return None
        said = [error.get("message"), error.get("error_user_msg")]
        return cls(
            _whole(error["code"]),
            _whole(error.get("error_subcode")),
            ": ".join(str(part) for part in said if part),
            error.get("is_transient") is True,
            str(error.get("fbtrace_id", "")),
        )

    def as_error(
        self, label: str, status: int = 400, wait: float | None = None
    ) -> ConnectorError:
        """Retriable, fatal or "ask for less", in words for the owner.

        `wait`: what the headers say about how long, in seconds.
        """
        what = f"{label}: Meta error {self.code}"
        what += f"/{self.subcode}" if self.subcode else ""
        what += f" ({self.message or 'no text'}"
        what += f", trace {self.trace_id})" if self.trace_id else ")"
        if self.subcode in TOO_MUCH or (
            self.code in (1, 99) and "reduce the amount" in self.message
        ):
            return TooMuchData(f"{what}: ask for less")
        if self.code == 100 and self.subcode == NOT_THERE and "/act_" not in label:
            return RetriableError(f"{what}: the report is not there yet")
        if self.code in RETRY_AFTER:
            seconds, meaning = RETRY_AFTER[self.code]
            return RetriableError(
                f"{what}: {meaning}", retry_after=seconds if wait is None else wait
            )
        if self.code not in WHAT_TO_DO and (self.is_transient or status >= 500):
            return RetriableError(what, retry_after=wait)
        todo = WHAT_TO_DO.get(
            self.code,
            "the request does not fit the API: report this to the maintainers",
        )
        named = self.code in REFUSED | FORBIDDEN and "/" in label
        where = f" ({conn_id_of(label)})" if named else ""
        return FatalError(f"{what}: {todo}{where}")


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Seconds until the account may ask again by the usage headers; None: not said.

    `x-business-use-case-usage` counts in minutes, `x-ad-account-usage` in seconds.
    """
    waits = [60 * minutes for minutes in _regain(headers)]
    account = _header(headers, "x-ad-account-usage")
    if isinstance(account, dict) and _number(account.get("acc_id_util_pct")) >= 100:
        waits.append(_number(account.get("reset_time_duration")))
    longest = max(waits, default=0.0)
    return longest if longest > 0 else None


def usage_of(headers: Mapping[str, str]) -> float:
    """The fullest of the limits that the headers tell about, in per cent."""
    shares = [0.0]
    for name in ("x-ad-account-usage", "x-fb-ads-insights-throttle"):
        value = _header(headers, name)
        if isinstance(value, dict):
            shares += [_number(v) for k, v in value.items() if k.endswith("_util_pct")]
    for entry in _cases(headers):
        names = ("call_count", "total_cputime", "total_time")
        shares += [_number(entry.get(name)) for name in names]
    return max(shares)


def _regain(headers: Mapping[str, str]) -> list[float]:
    name = "estimated_time_to_regain_access"
    return [_number(entry.get(name)) for entry in _cases(headers)]


def _cases(headers: Mapping[str, str]) -> list[dict[str, Any]]:
    value = _header(headers, "x-business-use-case-usage")
    lists = value.values() if isinstance(value, dict) else ()
    return [
        entry
        for entries in lists
        if isinstance(entries, list)
        for entry in entries
        if isinstance(entry, dict)
    ]


def _header(headers: Mapping[str, str], name: str) -> Any:
    """A header whose value is JSON; None when it is not there or is none."""
    text = next((v for k, v in headers.items() if k.lower() == name), "")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _number(value: object) -> float:
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if is_number else 0.0  # type: ignore[arg-type]


def _whole(value: object) -> int:
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdecimal() else 0
