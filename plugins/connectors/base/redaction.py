"""Keeps registered secrets out of log lines and exception texts.

A secret is registered once, by whoever reads it. From then on `mask` replaces it,
and `install` makes every log record of the process pass through `mask` at its birth,
whichever logger or handler it is meant for (urllib3's own lines hold whole URLs).
"""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
import threading
import traceback
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4  # a shorter "secret" would blank out ordinary words

_lock = threading.Lock()
_secrets: set[str] = set()
_pattern: re.Pattern[str] | None = None
_factory: Any = None


def register(*secrets: str | None) -> None:
    """Never let these values out again, in any of their usual spellings.

    Spellings: as it is, percent-encoded (both ways, either case of the hex digits),
    JSON- and repr-escaped, Base64. Values under four characters are left alone.
    """
    global _pattern
    found: set[str] = set()
    for secret in secrets:
        if not secret or len(secret) < SHORTEST:
            continue
        found |= {
            secret,
            quote(secret),
            quote(secret, safe=""),
            quote_plus(secret),
            re.sub("%..", lambda m: m[0].lower(), quote(secret, safe="")),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1],
            base64.b64encode(secret.encode()).decode(),
        }
        _tell_airflow(secret)
    with _lock:
        if found <= _secrets:
            return
        _secrets.update(found)
        longest_first = sorted(_secrets, key=len, reverse=True)
        _pattern = re.compile("|".join(map(re.escape, longest_first)))
    install()


def mask(text: str) -> str:
    """The text with every registered secret replaced by `***`."""
    return text if _pattern is None else _pattern.sub(MASK, text)


# An answer's text may hold a person's phone or e-mail: never wanted in a message.
_PERSONAL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\+?\d(?:[\s().-]{0,2}\d){9,}")


def excerpt(body: bytes, length: int = 200) -> str:
    """The start of a body for an error text: one line, secrets and contacts masked."""
    text = body[: 4 * length].decode("utf-8", "replace")
    text = _PERSONAL.sub(MASK, mask(" ".join(text.split())))
    return text if len(text) <= length else text[:length] + "…"


def install() -> None:
    """Mask every log record of this process as it is made. Safe to call again."""
    global _factory
    if _factory is not None and logging.getLogRecordFactory() is _factory:
        return
    make = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if _pattern is None:
            return record
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - logging reports a bad format by itself
            return record
        masked = mask(message)
        if masked != message:
            record.msg, record.args = masked, None
        if record.exc_info and record.exc_info[0] is not None:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip()
            if (clean := mask(trace)) != trace:
                # Formatters print exc_text as it is; without exc_info nobody
                # can format the unmasked original again.
                record.exc_text, record.exc_info = clean, None
        return record

    _factory = factory
    logging.setLogRecordFactory(factory)


def _tell_airflow(secret: str) -> None:
    """Airflow's task log has a masker of its own; tell it when we run inside it."""
    sdk_log = sys.modules.get("airflow.sdk.log")
    if sdk_log is not None:
        sdk_log.mask_secret(secret)
