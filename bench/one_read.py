"""CPU of reading and landing one source's streams, and of landing alone, as JSON lines.

`python -m bench.one_read FOLDER SOURCE BASE_URL WAREHOUSE REPEAT` takes turns: a read
of recorded answers that is landed as it comes, and the same records landed from memory.
Both land into an account that is empty. CPU is that of this process, all its threads.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from bench.connectors import account_of, connector, streams, window_of
from bench.replay import WARM
from connectors.base.batch import JsonBatch
from connectors.base.landing import land

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors.base.batch import Batch
    from connectors.base.sources import Account
    from connectors.base.stream import Stream, Window

ENOUGH = 1.0  # CPU seconds; small reads are measured more often than REPEAT
MOST = 40
_numbers = itertools.count(1)


def rows_in(batches: Iterable[Batch]) -> int:
    """Records of batches, refused ones among them."""
    return sum(
        len(batch.records) + len(batch.refused)
        if isinstance(batch, JsonBatch)
        else sum(1 for _ in batch.records())
        for batch in batches
    )


def land_cpu(
    connection: psycopg.Connection[Any],
    account: Account,
    stream: Stream,
    window: Window | None,
    batches: Iterable[Batch],
) -> float:
    """CPU seconds of one load into an empty account."""
    fresh = account.model_copy(update={"account": f"bench_{next(_numbers)}"})
    started = time.process_time()
    land(
        connection,
        account=fresh,
        source=account.source,
        stream=stream,
        window=window,
        batches=batches,
    )
    return time.process_time() - started


def measure(
    connection: psycopg.Connection[Any],
    source: str,
    stream: Stream,
    window: Window | None,
    base_url: str,
    repeat: int,
) -> dict[str, Any]:
    """Medians of one stream."""
    account = account_of(source)

    def reader() -> Iterable[Batch]:
        made = connector(source, base_url)
        # an account's streams share a connector and its connection: both are there
        made.client._session.get(f"{base_url}{WARM}").close()
        return made.pages(stream, window, None)

    whole: list[float] = []
    alone: list[float] = []
    rows = 0
    while len(whole) <= repeat or (sum(whole) < ENOUGH and len(whole) <= MOST):
        whole.append(land_cpu(connection, account, stream, window, reader()))
        kept = list(reader())
        rows = rows or rows_in(kept)
        alone.append(land_cpu(connection, account, stream, window, kept))
        del kept
    return {
        "source": source,
        "stream": stream.name,
        "rows": rows,
        # the first run of both fills caches
        "whole": statistics.median(whole[1:]),
        "alone": statistics.median(alone[1:]),
        "runs": len(whole) - 1,
    }


def main() -> None:
    """Measure all streams of a source."""
    folder, source, base_url, address, repeat = sys.argv[1:]
    known = json.loads((Path(folder) / "recorded.json").read_text())
    first, end = map(date.fromisoformat, known["days"])
    with psycopg.connect(address, autocommit=True) as connection:
        for stream in streams(source):
            case = f"{source}.{stream.name}"
            if case not in known["requests"]:
                continue
            window = window_of(source, stream, first, end)
            found = measure(
                connection, source, stream, window, f"{base_url}/{case}", int(repeat)
            )
            print(json.dumps(found | {"requests": known["requests"][case]}), flush=True)


if __name__ == "__main__":
    main()
