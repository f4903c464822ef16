"""What comes back from a vendor: a small answer in memory, a big one in a file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any

import orjson
from requests.structures import CaseInsensitiveDict

from connectors.base.errors import ParseError
from connectors.base.redaction import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BLOCK = 1 << 20  # bytes read at once


@dataclass
class Answer:
    """A whole answer. `framed`: its length was declared, so it is proved whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    framed: bool = True
    label: str = "answer"
    _value: Any = field(default=None, repr=False)
    _parsed: bool = field(default=False, repr=False)

    def json(self) -> Any:
        """The body as JSON. Raises ParseError."""
        if not self._parsed:
            try:
                self._value = orjson.loads(self.body)
            except orjson.JSONDecodeError:
                raise ParseError(
                    f"{self.label}: the body is not JSON: {excerpt(self.body)!r}"
                ) from None
            self._parsed = True
        return self._value

    def json_or_none(self) -> Any:
        """The body as JSON, None when it is not (error pages of proxies)."""
        try:
            return self.json()
        except ParseError:
            return None

    @property
    def retry_after(self) -> float | None:
        """Seconds the vendor asks to wait (Retry-After), None when it does not say."""
        return parse_retry_after(self.headers.get("Retry-After"))


class Download:
    """A big answer, whole and checked, in a nameless temporary file.

    Nothing of it is handed on before its last byte has come, so a cut transfer is
    simply fetched again. `status` is as answered: 201 and 202 have an empty body.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        file: IO[bytes] | None,
        size: int,
        framed: bool,
    ) -> None:
        self.status = status
        self.headers = headers
        self.size = size
        self.framed = framed
        self._file = file

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The body in blocks of about `size` bytes."""
        if self._file is None:
            return
        self._file.seek(0)
        while block := self._file.read(size):
            yield block

    def line_blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        r"""The body in blocks that end with a `\n`; only the last one may lack it."""
        return line_blocks(self.blocks(size))

    def close(self) -> None:
        """Give the file back (else it goes with the object)."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def line_blocks(blocks: Iterator[bytes]) -> Iterator[bytes]:
    r"""Cut blocks anew so that each ends with a `\n`; only the last one may lack it."""
    rest: list[bytes] = []
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if not end:
            rest.append(block)
            continue
        if rest:
            rest.append(block[:end])
            yield b"".join(rest)
        else:
            yield block if end == len(block) else block[:end]
        rest = [block[end:]] if end < len(block) else []
    if rest:
        yield b"".join(rest)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait from a Retry-After header: seconds or an HTTP date (RFC 9110).

    A moment gone by is 0; a value that means nothing ("soon", NaN) is None, as if the
    header were absent. A huge value is returned as it is: the caller caps it.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def retry_in(headers: Mapping[str, str], default: float = 10) -> float:
    """Seconds until a queued report is to be asked for again (`retryIn`, any case)."""
    value = CaseInsensitiveDict(headers).get("retryIn")
    seconds = parse_retry_after(value)
    return default if seconds is None else seconds
