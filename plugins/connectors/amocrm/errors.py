"""amoCRM's errors: what an answer other than HAL JSON means, and what the owner does.

An error is `application/problem+json`: title, status, detail, perhaps
`validation-errors`. Nothing found is 204 without a body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.base.errors import ConnectorError, FatalError, RetriableError
from connectors.base.redaction import excerpt

if TYPE_CHECKING:
    from connectors.base.client import Answer

PAUSE = 10.0  # seconds after 429, when the vendor names none
BANNED = (
    "amoCRM blocks this address for asking too often, and asking on makes it longer: "
    "nothing is tried again; wait some hours, lower settings.requests_per_second, then "
    "ask amoCRM's support to lift the block"
)


def judge(answer: Answer) -> ConnectorError | None:
    """The error in an answer; None without one, or where the status says enough."""
    is_page = answer.body[:64].lstrip()[:1] == b"<"
    if not is_page and answer.status == 200 and answer.json_or_none() is not None:
        return None
    said = f"{answer.label}: {answer.status} {excerpt(answer.body)}".strip()
    if answer.status == 403 and is_page:
        return FatalError(f"{said}; {BANNED}")
    if answer.status == 402:
        return FatalError(f"{said}; the account is not paid for: pay or take it out")
    if answer.status == 429:
        return RetriableError(said, retry_after=answer.retry_after or PAUSE)
    if answer.status == 504:
        return RetriableError(
            f"{said} (when this does not pass, set settings.page_size to 50)"
        )
    if not 200 <= answer.status < 300 or (answer.status == 204 and not answer.body):
        return None
    if is_page:
        return FatalError(
            f"{said}: a page where JSON was expected; check field host of the connection"
        )
    if answer.json_or_none() is None:
        return RetriableError(f"{said}: no JSON (cut, or not what was asked)")
    return None
