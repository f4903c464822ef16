"""Errors of the Analytics Data API: which pass, and what the owner does about others.

As its reference lists them and as issue threads quote them, read 2026-11-22.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.base.errors import (
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
    TokenExpired,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.base.client import Answer

HOW_TO_RENEW = (
    "give the Google user or the service account the role Viewer of the property "
    "(Admin, Property access management), or authorise again and put the new refresh "
    "token into field password"
)
WHAT_TO_DO: Mapping[str, str] = {
    "PERMISSION_DENIED": f"check settings.property_id in sources.yml; {HOW_TO_RENEW}",
    "NOT_FOUND": "there is no such property: correct settings.property_id in "
    "sources.yml (the number of the property, not G-…)",
    "INVALID_ARGUMENT": "the request does not fit the API: check settings.property_id "
    "in sources.yml, else report this to the maintainers",
}
WAITS = (("concurrent", 10.0), ("per hour", 900.0), ("per day", 3600.0))
"""Seconds to wait, by what a quota's text says."""


def in_answer(answer: Answer) -> ConnectorError | None:
    """The error an answer is, or holds."""
    if answer.status < 400 and b'"error"' not in answer.body[:200]:
        return None
    return in_content(answer.json_or_none(), answer.label, answer.retry_after)


def in_content(
    content: Any, label: str, retry_after: float | None = None
) -> ConnectorError | None:
    """The error in a parsed body, in words for the owner."""
    # errors of a streaming host come in an array
    if isinstance(content, list) and len(content) == 1:
        (content,) = content
    error = content.get("error") if isinstance(content, dict) else None
    if not isinstance(error, dict) or not {"status", "code"} & error.keys():
        return None
    status, code = str(error.get("status", "")), error.get("code")
    text = str(error.get("message", "no text"))
    what = f"{label}: Google Analytics error {status or code} ({text})"
    if status == "UNAUTHENTICATED" or code == 401:
        return TokenExpired(f"{what}: {HOW_TO_RENEW}")
    if status == "RESOURCE_EXHAUSTED" or code == 429:
        named = (wait for words, wait in WAITS if words in text.lower())
        wait = retry_after if retry_after is not None else next(named, None)
        return RetriableError(
            f"{what}: the property's quota is used up", retry_after=wait
        )
    if status in WHAT_TO_DO:
        return FatalError(f"{what}: {WHAT_TO_DO[status]}")
    if isinstance(code, int) and code >= 500:
        return RetriableError(what, retry_after=retry_after)
    return FatalError(what)


def raise_in(content: Any, label: str) -> None:
    """Raise what a recorded error means. ParseError for what is no object."""
    if (error := in_content(content, label)) is not None:
        raise error
    if not isinstance(content, dict):
        raise ParseError(f"{label}: the report is not a JSON object")
