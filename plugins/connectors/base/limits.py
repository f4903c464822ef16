"""How much a vendor lets us ask, and how long we wait."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Limits:
    """What the vendor allows and how patient we are; seconds and bytes.

    `attempts` counts the first try; `backoff_*` bound the pauses between tries,
    `retry_after_most` what a vendor may ask for, `wait_budget` their sum in a call;
    `poll_*` are for queued work; `body_seconds` is for one body to arrive.
    """

    requests_per_second: float | None = None
    burst: int = 1
    max_concurrent: int = 1
    attempts: int = 6
    backoff_first: float = 1
    backoff_most: float = 60
    retry_after_most: float = 120
    wait_budget: float = 600
    poll_longest: float = 60
    poll_budget: float = 3600
    connect_timeout: float = 10
    read_timeout: float = 120
    body_seconds: float = 3600
    most_bytes: int = 256 << 20
    most_download_bytes: int = 64 << 30


class RateLimiter:
    """So many requests a second with a burst, so many at a time; shared by threads."""

    def __init__(
        self,
        per_second: float | None,
        burst: int,
        concurrent: int,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._slack = self._interval * (burst - 1)
        self._next = -math.inf
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(concurrent)
        self._sleep = sleep
        self._clock = clock

    def __enter__(self) -> None:
        self._slots.acquire()
        if not self._interval:
            return
        with self._lock:
            now = self._clock()
            due = max(self._next, now)
            self._next = due + self._interval
        if (pause := due - self._slack - now) > 0:
            self._sleep(pause)

    def __exit__(self, *_: object) -> None:
        self._slots.release()


_limiters: dict[tuple[str, str, Limits], RateLimiter] = {}
_limiters_lock = threading.Lock()


def shared_limiter(name: str, base_url: str, limits: Limits) -> RateLimiter:
    """One limiter per account in a process, however many clients it makes."""
    with _limiters_lock:
        return _limiters.setdefault(
            (name, base_url, limits),
            RateLimiter(
                limits.requests_per_second, limits.burst, limits.max_concurrent
            ),
        )
