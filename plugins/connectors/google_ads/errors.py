"""Google Ads' errors: which pass by themselves, and what the owner does about others.

Names of v25 as its reference lists them, read 2026-11-22. The same object comes alone,
in an array, or as the last element of an array after rows, under HTTP 200.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from connectors.base.errors import (
    ConnectorError,
    FatalError,
    RetriableError,
    TokenExpired,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.base.client import Answer

HOW_TO_RENEW = (
    "let a Google user who sees the account authorise again and put the new refresh "
    "token into field password (a consent screen in status Testing gives tokens that "
    "last seven days)"
)
RENEWED = {"OAUTH_TOKEN_EXPIRED", "OAUTH_TOKEN_INVALID"}
WHAT_TO_DO: Mapping[str, str] = {
    "USER_PERMISSION_DENIED": "correct customer_id in sources.yml; when access goes "
    "through a manager account, its id must be login_customer_id",
    "CUSTOMER_NOT_FOUND": "correct customer_id in sources.yml: there is no such account",
    "CUSTOMER_NOT_ENABLED": "the account is cancelled or suspended: take it out of "
    "sources.yml, or say required: false there",
    "DEVELOPER_TOKEN_NOT_APPROVED": "this developer token works on test accounts only: "
    "apply for Basic access in the API Center of the manager account",
    "DEVELOPER_TOKEN_PROHIBITED": "this developer token belongs to another Google Cloud "
    "project: use the OAuth client of the project it was first used with",
    "DEVELOPER_TOKEN_INVALID": "correct extra.developer_token in the connection",
    "REQUESTED_METRICS_FOR_MANAGER": "customer_id in sources.yml is a manager account: "
    "put there an account that advertises",
    "UNSUPPORTED_VERSION": "this version of the API is switched off: set api_version of "
    "the account in sources.yml to a newer one",
    "DATE_TOO_OLD": "clicks are kept for 90 days: ask for later days",
    "INVALID_CUSTOMER_ID": "customer_id in sources.yml must be of digits",
    "ACCESS_PROHIBITED": "Google has closed the API to this account: see its API Center",
    "TWO_STEP_VERIFICATION_NOT_ENROLLED": "the user must turn on two-step verification",
}
"""Codes that do not pass: what the owner does."""

PASSING = {
    "RESOURCE_EXHAUSTED": "the operations of this developer token are used up",
    "RESOURCE_TEMPORARILY_EXHAUSTED": "too many requests at a time",
    "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION": "too expensive queries",
    "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION": "too expensive queries",
    "INTERNAL_ERROR": "Google has an internal error",
    "TRANSIENT_ERROR": "Google has a passing error",
    "DEADLINE_EXCEEDED": "Google took too long",
    "CONCURRENT_MODIFICATION": "the account was being changed",
}
"""Codes that pass, and what they mean."""


def in_answer(answer: Answer) -> ConnectorError | None:
    """The error an answer is, or holds behind its rows."""
    if answer.status == 404 and answer.json_or_none() is None:
        return FatalError(
            f"{answer.label}: 404, no such address: {WHAT_TO_DO['UNSUPPORTED_VERSION']}"
        )
    # in a good answer of many megabytes the word is looked for first
    if answer.status < 400 and b'"error"' not in answer.body:
        return None
    return in_content(answer.json_or_none(), answer.label)


def in_content(content: Any, label: str) -> ConnectorError | None:
    """The error in a parsed body: an object, or any element of an array."""
    for each in content if isinstance(content, list) else [content]:
        error = each.get("error") if isinstance(each, dict) else None
        if isinstance(error, dict) and ("status" in error or "code" in error):
            return _as_error(error, label)
    return None


def _as_error(error: dict[str, Any], label: str) -> ConnectorError | None:
    """Retriable, a token that ran out, or fatal, in words for the owner."""
    found = [
        (str(code), each)
        for detail in _dicts(error.get("details"))
        for each in _dicts(detail.get("errors"))
        for code in _codes(each.get("errorCode"))
    ]
    codes = [code for code, _ in found]
    texts = [str(each.get("message", "")) for _, each in found]
    said = "; ".join(filter(None, texts)) or str(error.get("message", "no text"))
    request = next(
        (f", request {d['requestId']}" for d in _dicts(error.get("details"))
         if d.get("requestId")), ""
    )  # fmt: skip
    status = str(error.get("status", error.get("code")))
    what = f"{label}: Google Ads error {'/'.join(codes) or status} ({said}{request})"
    for code in codes:
        if code in WHAT_TO_DO:
            return FatalError(f"{what}: {WHAT_TO_DO[code]}")
    if RENEWED & set(codes) or (status == "UNAUTHENTICATED" and not codes):
        return TokenExpired(f"{what}: {HOW_TO_RENEW}")
    for code in codes:
        if code in PASSING:
            delay = max((_delay(each) or 0 for _, each in found), default=0) or None
            return RetriableError(f"{what}: {PASSING[code]}", retry_after=delay)
    number = error.get("code")
    passes = isinstance(number, int) and (number >= 500 or number in (408, 429))
    if passes and not codes:
        return RetriableError(what)
    return FatalError(
        f"{what}: the request does not fit the API: report this to the maintainers"
    )


def _codes(value: Any) -> list[str]:
    return [str(each) for each in value.values()] if isinstance(value, dict) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [d for d in value if isinstance(d, dict)] if isinstance(value, list) else []


def _delay(error: dict[str, Any]) -> float | None:
    """Seconds of `quotaErrorDetails.retryDelay` ("1800s", "0.5s")."""
    details = error.get("details")
    quota = details.get("quotaErrorDetails") if isinstance(details, dict) else None
    text = str(quota.get("retryDelay", "")) if isinstance(quota, dict) else ""
    return float(text[:-1]) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?s", text) else None
