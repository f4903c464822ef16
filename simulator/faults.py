"""What can go wrong on the wire: faults for the next answers of a source."""

from __future__ import annotations

import gzip
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from simulator.face import Response, json_response, text_response

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = (
    "status",  # answer `status` (500, 503, 429, ...), `retry_after` as its header
    "truncate",  # cut the body short under `framing`
    "html",  # 200 and a web page
    "body",  # the given `body` with the true answer's status and headers
    "delay",  # think for `seconds`, then answer whole
    "slow",  # send the body in small pieces, `seconds` in all
    "token",  # the vendor's answer to a token that has run out
    "reset",  # close the connection without an answer
    "redirect",  # 302 to a page of the vendor
)
FRAMINGS = ("length", "chunked", "gzip")
PAGE = (
    "<!DOCTYPE html><html><head><title>Технические работы</title></head>"
    "<body><h1>Сервис временно недоступен</h1></body></html>"
)


@dataclass(frozen=True)
class Fault:
    """One fault, for the next `times` requests of `source` (None: of any).

    `path` is a regular expression searched in the path after /<source>; `skip` lets
    that many matching requests through first. `keep` is the share of the body that a
    cut leaves (0 to 1). Raises ValueError when a field has no such value.
    """

    kind: str
    source: str | None = None
    times: int = 1
    skip: int = 0
    path: str | None = None
    status: int = 500
    retry_after: int | None = None
    framing: str = "length"
    keep: float = 0.5
    seconds: float = 1.0
    body: str = "{}"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: no fault {self.kind!r}; there are {KINDS}")
        if self.framing not in FRAMINGS:
            raise ValueError(f"framing: {self.framing!r} is none of {FRAMINGS}")
        if not 0 <= self.keep < 1:
            raise ValueError("keep: the share of the body left, from 0 to below 1")
        if self.times < 1 or self.skip < 0 or self.seconds < 0:
            raise ValueError("times, skip and seconds must not be negative or zero")
        if not 400 <= self.status <= 599:
            raise ValueError("status: an error is 400 to 599")
        re.compile(self.path or "")

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any]) -> Fault:
        """A fault from JSON. Raises ValueError naming an unknown or ill-typed field."""
        known = {item.name: str(item.type) for item in fields(cls)}
        for name, value in content.items():
            if name not in known:
                raise ValueError(f"{name}: a fault has no such field; {sorted(known)}")
            if not _fits(value, known[name]):
                raise ValueError(f"{name}: {value!r} is not {known[name]}")
        if "kind" not in content:
            raise ValueError(f"kind: missing; one of {KINDS}")
        return cls(**content)

    def matches(self, source: str, path: str) -> bool:
        """Does this fault concern a request?"""
        if self.source not in (None, source):
            return False
        return self.path is None or re.search(self.path, path) is not None

    def as_dict(self) -> dict[str, Any]:
        """The fault as JSON holds it."""
        return asdict(self)


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "None": (type(None),),
}


def _fits(value: object, kind: str) -> bool:
    return any(type(value) in _TYPES[name] for name in kind.split(" | "))


class FaultQueue:
    """Faults waiting for their requests; not thread-safe by itself."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait behind the others."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Forget all faults."""
        self._waiting.clear()

    def waiting(self) -> list[Fault]:
        """The faults still to come."""
        return list(self._waiting)

    def take(self, source: str, path: str) -> Fault | None:
        """The fault for this request, used up once."""
        for index, fault in enumerate(self._waiting):
            if not fault.matches(source, path):
                continue
            if fault.skip:
                self._waiting[index] = replace(fault, skip=fault.skip - 1)
                continue
            if fault.times > 1:
                self._waiting[index] = replace(fault, times=fault.times - 1)
            else:
                del self._waiting[index]
            return fault
        return None


def instead(fault: Fault) -> Response | None:
    """The answer of a fault that needs no face; None when the face must answer."""
    if fault.kind == "status":
        headers = {}
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        return json_response({"error": "injected fault"}, fault.status, headers)
    if fault.kind == "html":
        return text_response(PAGE, content_type="text/html; charset=utf-8")
    if fault.kind == "redirect":
        headers = {"Location": "https://vendor.example/login"}
        return text_response("", 302, headers, "text/html; charset=utf-8")
    return None


def cut(body: bytes, fault: Fault) -> tuple[bytes, bytes]:
    """The whole body as it would be framed, and the part of it that is sent.

    Under gzip both are compressed bytes, so that the stream breaks off inside.
    """
    whole = gzip.compress(body, 1) if fault.framing == "gzip" else body
    return whole, whole[: min(int(len(whole) * fault.keep), max(len(whole) - 1, 0))]


__all__ = ["FRAMINGS", "KINDS", "Fault", "FaultQueue", "cut", "instead"]
