"""Reports of the Insights API: a few days at once, more of them by an ordered report.

A report is proved whole by its own summary: impressions and clicks of its rows must
come to what the same answer says of all of them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from connectors.base.batch import JsonBatch, Record
from connectors.base.errors import (
    ConfigError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.stream import Window, objects, outline
from connectors.meta_ads.errors import FORBIDDEN, REFUSED, ApiError, TooMuchData
from connectors.meta_ads.graph import VERSION, edge, tell_usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.base.client import ApiClient
    from connectors.base.sources import Account
    from connectors.base.stream import Stream

log = logging.getLogger(__name__)

DAYS_AT_ONCE = 3  # more are ordered
DAYS_A_REPORT = 31
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between questions for a report
COUNTED = ("impressions", "clicks")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

# Without this filter an account's own list of ads leaves out what was archived or
# deleted, and the money it cost.
STATUSES = {
    "campaign": ("ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES"),
    "adset": (
        "ACTIVE", "PAUSED", "DELETED", "CAMPAIGN_PAUSED", "ARCHIVED", "IN_PROCESS",
        "WITH_ISSUES",
    ),
    "ad": (
        "ACTIVE", "PAUSED", "DELETED", "PENDING_REVIEW", "DISAPPROVED", "PREAPPROVED",
        "PENDING_BILLING_INFO", "CAMPAIGN_PAUSED", "ARCHIVED", "ADSET_PAUSED",
        "IN_PROCESS", "WITH_ISSUES",
    ),
}  # fmt: skip


def of_any_status(level: str) -> str:
    """The filter that lets objects of a level through whatever became of them."""
    field = f"{level}.effective_status"
    return _json([{"field": field, "operator": "IN", "value": STATUSES[level]}])


class Insights:
    """Reports of one ad account; `level` of a stream is ad or campaign."""

    def __init__(self, client: ApiClient, account: Account, node: str) -> None:
        self._client = client
        self._account = account
        self._path = f"{VERSION}/{node}/insights"

    def read(self, stream: Stream, level: str, window: Window) -> Iterator[JsonBatch]:
        """Rows of the window's days, each stretch of days whole.

        Raises RetriableError when a report fails for one day alone, FatalError.
        """
        for chunk in window.chunks(DAYS_A_REPORT):
            yield JsonBatch(self._whole(stream, level, chunk))

    def _whole(self, stream: Stream, level: str, window: Window) -> list[Record]:
        days = len(list(window.days))
        what = f"{self._account}: {stream.name} {window.date_from} to {window.last_day}"
        params = self._params(stream, level, window)
        if days <= DAYS_AT_ONCE:
            try:
                return self._proved(stream, self._path, params, what)
            except TooMuchData as error:
                log.info("%s; ordering a report", error)
        try:
            return self._proved(stream, self._ordered(params, what), params, what)
        except TooMuchData as error:
            if days == 1:
                raise RetriableError(f"{error} (and it is one day only)") from None
            log.warning("%s; halving the days", error)
        halves = window.chunks(-(-days // 2))
        return [row for half in halves for row in self._whole(stream, level, half)]

    def _proved(
        self, stream: Stream, path: str, params: dict[str, str], what: str
    ) -> list[Record]:
        summary: dict[str, Any] = {}
        rows: list[Record] = []
        for records in edge(self._client, path, params, what, summary):
            rows += objects(stream, records, what)
        for row in rows:
            self._refuse_other(row, what)
        for name in COUNTED:
            if name not in summary:
                continue  # this answer proves nothing; the control total still stands
            declared, counted = (
                _count(summary, name),
                sum(_count(r, name) for r in rows),
            )
            if declared != counted:
                raise RetriableError(
                    f"{what}: the rows have {counted} {name}, yet the summary has "
                    f"{declared}: the report is not whole, or changed while it was read"
                )
        return rows

    def _refuse_other(self, row: Record, what: str) -> None:
        if row["date_start"] != row.get("date_stop", row["date_start"]):
            raise ParseError(f"{what}: a row is of more than one day")
        currency = row.get("account_currency", self._account.currency_code)
        if currency != self._account.currency_code:
            raise ConfigError(
                f"{what}: the ad account's money is {currency}; set currency_code of "
                "this account in sources.yml to it"
            )

    def _ordered(self, params: dict[str, str], what: str) -> str:
        """Order a report, wait for it, and say where its rows are."""
        body = urlencode(params).encode()
        answer = self._client.request("POST", self._path, data=body, headers=FORM)
        tell_usage(what, answer)
        order = answer.json()
        number = order.get("report_run_id") if isinstance(order, dict) else None
        if not str(number or "").isdecimal():
            raise ParseError(
                f"{what}: the order has no report_run_id: {outline(order)}"
            )
        path, pause = f"{VERSION}/{number}", FIRST_PAUSE / 2

        def pending(status: Any) -> float | None:
            nonlocal pause
            pause = min(pause * 2, LONGEST_PAUSE)
            return None if is_ready(status, what) else pause

        self._client.poll(
            lambda: self._client.get(path).json(), pending, what=f"report {number}"
        )
        return f"{path}/insights"

    def _params(self, stream: Stream, level: str, window: Window) -> dict[str, str]:
        breakdown = "publisher_platform"
        names = [field.name for field in stream.fields if field.name != breakdown]
        days = {"since": str(window.date_from), "until": str(window.last_day)}
        return {
            "level": level,
            "fields": ",".join(names),
            "time_range": _json(days),  # both days are read
            "time_increment": "1",
            "filtering": of_any_status(level),
            "default_summary": "true",
            **({"breakdowns": breakdown} if breakdown in stream.key else {}),
        }


def is_ready(status: Any, what: str) -> bool:
    """Is this report made? Both its state and its progress must say so.

    Raises TooMuchData when it failed or was skipped, FatalError when the token did,
    ParseError for what is no state of a report.
    """
    state = status.get("async_status") if isinstance(status, dict) else None
    if state == "Job Completed":
        return bool(status.get("async_percent_completion", 100) == 100)
    if state in ("Job Not Started", "Job Started", "Job Running"):
        return False
    if state not in ("Job Failed", "Job Skipped"):
        raise ParseError(f"{what}: no state of a report: {outline(status)}")
    said = {
        "code": status.get("error_code", 0),
        "error_subcode": status.get("error_subcode"),
        "message": status.get("error_message") or state,
    }
    error = ApiError.of({"error": said})
    if error is not None and error.code in REFUSED | FORBIDDEN:
        raise FatalError(str(error.as_error(what)))
    raise TooMuchData(f"{what}: {state} ({said['code']}: {said['message']})")


def _count(row: Record, name: str) -> int:
    """A figure of a row; an absent one is nothing. Raises ParseError."""
    text = str(row.get(name) or "0")
    if not (text.isascii() and text.isdecimal()):
        raise ParseError(f"meta_ads: {name} is no whole number: {text[:40]!r}")
    return int(text)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
