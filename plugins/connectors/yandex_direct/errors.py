"""Direct's error codes: which pass by themselves, and what the owner does about others.

Codes as the API's documentation lists them, read 2026-11-22. An error comes as JSON
(get services: under HTTP 200) or, from the XML services, as `reportDownloadError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from connectors.base.connection import conn_id_of
from connectors.base.errors import ConnectorError, FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_AFTER: Mapping[int, tuple[float, str]] = {
    52: (10, "Yandex cannot check tokens right now"),
    56: (10, "too many calls of this method"),
    152: (3600, "the account's points are used up; 1/24 of them comes back each hour"),
    506: (5, "more than 5 requests at a time, perhaps by another program"),
    1000: (60, "Direct has an internal error"),
    1001: (60, "Direct is temporarily unavailable"),
    1002: (60, "Direct could not finish the operation"),
    9000: (30, "5 reports are being made already"),
}
"""Codes that pass: seconds to wait, and what they mean."""

HOW_TO_RENEW = (
    "issue a new OAuth token at oauth.yandex.ru for the application that was approved "
    "for the Direct API, and put it into field password of the connection"
)
REFUSED = 53
WHAT_TO_DO: Mapping[int, str] = {
    REFUSED: HOW_TO_RENEW,
    54: "give the token's owner access to this client, or correct client_login in "
    "sources.yml (an agency's token needs the login of one of its clients)",
    55: "the service or method does not exist: update this connector",
    58: "finish the registration of the application in the Direct interface (API tab)",
    513: "this login has no Direct account: correct client_login in sources.yml",
    3000: "apply for API access in the Direct interface (API tab) and wait for approval",
    3001: "this application has no access to that method: extend its access in Direct",
    8800: "correct client_login in sources.yml: there is no such client",
}
"""Codes that do not pass: what the owner does."""

_XML = re.compile(
    rb"<reports:errorCode>\s*(\d+)\s*</reports:errorCode>"
    rb"(?:.*?<reports:errorMessage>(.*?)</reports:errorMessage>)?"
    rb"(?:.*?<reports:errorDetail>(.*?)</reports:errorDetail>)?",
    re.DOTALL,
)


class ReportTooBig(FatalError):
    """Direct could not make the report in time (HTTP 502): ask for fewer days."""


@dataclass(frozen=True)
class ApiError:
    """An error as Direct words it; the code may come as a string or as a number."""

    code: int
    text: str
    detail: str
    request_id: str = ""

    @classmethod
    def in_json(cls, value: Any) -> ApiError | None:
        """The error a JSON answer holds, or None."""
        error = value.get("error") if isinstance(value, dict) else None
        if not isinstance(error, dict) or "error_code" not in error:
            return None
        code = str(error["error_code"]).strip()
        return cls(
            int(code) if code.isascii() and code.isdecimal() else 0,
            str(error.get("error_string", "")),
            str(error.get("error_detail", "")),
            str(error.get("request_id", "")),
        )

    @classmethod
    def in_body(cls, body: bytes) -> ApiError | None:
        """The error a recorded body (JSON or XML) holds, or None."""
        start = body[:64].lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
        if start == b"{":
            try:
                return cls.in_json(orjson.loads(body.removeprefix(b"\xef\xbb\xbf")))
            except orjson.JSONDecodeError:
                return None
        if start == b"<" and (found := _XML.search(body)):
            text, detail = (
                (part or b"").decode("utf-8", "replace") for part in found.groups()[1:]
            )
            return cls(int(found[1]), text, detail)
        return None

    def as_error(self, label: str) -> ConnectorError:
        """Retriable or fatal by the code, in words for the owner."""
        said = ": ".join(part for part in (self.text, self.detail) if part)
        what = f"{label}: Direct error {self.code} ({said or 'no text'}"
        what += f", request {self.request_id})" if self.request_id else ")"
        if self.code in RETRY_AFTER:
            seconds, meaning = RETRY_AFTER[self.code]
            return RetriableError(f"{what}: {meaning}", retry_after=seconds)
        todo = WHAT_TO_DO.get(
            self.code,
            "the request does not fit the API: report this to the maintainers",
        )
        named = self.code == REFUSED and "/" in label
        where = f" ({conn_id_of(label)})" if named else ""
        return FatalError(f"{what}: {todo}{where}")
