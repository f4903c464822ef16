"""Fits the Markov chain of each conversion month, and keeps what was fitted.

A month's weights are a version. While the month is open a changed input makes a new
version; once it is closed its version stays in force, whatever comes late, until a
person asks for a restatement: so history does not change silently.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import orjson

from pipeline import builds
from pipeline.attribution import markov
from pipeline.errors import PipelineError
from pipeline.log import say
from pipeline.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import psycopg

MODEL = "markov"
# A conversion month is fitted on its own paths and on those of the months before it.
MONTHS_READ = 3
# So many days after its end a month is closed: late visits and calls have come.
CLOSED_AFTER_DAYS = 7


@dataclass(frozen=True)
class Fitted:
    """One version: of which kind and month, on which months' paths, and what came out.

    `inputs_hash` is of the counted steps; `conversions` and `paths` are counts.
    """

    fitted_kind: str
    month: date
    period_from: date
    inputs_hash: str
    conversions: int
    paths: int
    chain: markov.Chain


def first_of_month(day: date, months_back: int = 0) -> date:
    """The first day of the month so many months before the one of `day`."""
    months = day.year * 12 + day.month - 1 - months_back
    return date(months // 12, months % 12 + 1, 1)


def parse_months(texts: Iterable[str]) -> frozenset[date]:
    """Months as people write them, `2026-05`. Raises PipelineError for another text."""
    months = set()
    for text in texts:
        try:
            months.add(date.fromisoformat(f"{text}-01"))
        except ValueError:
            raise PipelineError(f"{text!r} is no month: write it as 2026-05") from None
    return frozenset(months)


def fit_months(
    steps: Iterable[tuple[str, date, str, str, int]], months_read: int = MONTHS_READ
) -> list[Fitted]:
    """Fit each kind and month that has conversions.

    `steps`: kind, first day of the month of the path's end, from, to, how often.
    """
    counted: dict[tuple[str, date], list[markov.Transition]] = defaultdict(list)
    for kind, month, origin, target, count in steps:
        counted[kind, month].append((origin, target, count))
    fitted = []
    for kind, month in sorted(counted):
        if not any(
            target == markov.CONVERSION for _, target, _ in counted[kind, month]
        ):
            continue
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for back in range(months_read):
            for origin, target, count in counted.get(
                (kind, first_of_month(month, back)), ()
            ):
                sums[origin, target] += count
        inputs = sorted((*step, count) for step, count in sums.items())
        fitted.append(
            Fitted(
                kind,
                month,
                first_of_month(month, months_read - 1),
                hashlib.sha256(orjson.dumps(inputs)).hexdigest(),
                sum(n for _, target, n in inputs if target == markov.CONVERSION),
                sum(n for origin, _, n in inputs if origin == markov.START),
                markov.fit(inputs),
            )
        )
    return fitted


def fit_models(run_id: str, restate: Collection[date] = ()) -> dict[str, int]:
    """Fit what is new or open, keep what is closed; counts of versions made and kept.

    `restate`: first days of closed months to fit again. Raises PipelineError when a
    month to restate has no conversions.
    """
    build = builds.build_of(run_id)
    with connect("transformer") as connection:
        steps = connection.execute(
            """
            select fitted_kind, path_month, from_state, to_state, transitions
            from attribution.int_channel_transitions
            """
        ).fetchall()
        fitted = fit_months(steps)
        missing = set(restate) - {each.month for each in fitted}
        if missing:
            raise PipelineError(
                "nothing to restate: no conversions in "
                + ", ".join(f"{month:%Y-%m}" for month in sorted(missing))
            )
        made = sum(_keep(connection, build, each, restate) for each in fitted)
    say(
        f"Markov chains: {made} version(s) fitted, {len(fitted) - made} month(s) keep "
        "theirs"
    )
    return {"made": made, "kept": len(fitted) - made}


def _keep(
    connection: psycopg.Connection,
    build: builds.Build,
    fitted: Fitted,
    restate: Collection[date],
) -> bool:
    known = connection.execute(
        """
        select version_id, inputs_hash from attribution.fitted_versions
        where model = %s and fitted_kind = %s and conversion_month = %s and is_current
        """,
        (MODEL, fitted.fitted_kind, fitted.month),
    ).fetchone()
    end = first_of_month(fitted.month, -1)
    is_closed = build.as_of >= end + timedelta(days=CLOSED_AFTER_DAYS)
    if known is None:
        reason = "first"
    elif known[1] == fitted.inputs_hash:
        return False
    elif fitted.month in restate:
        reason = "restated"
    elif is_closed:
        return False
    else:
        reason = "open month"
    if known is not None:
        connection.execute(
            "update attribution.fitted_versions set is_current = false "
            "where version_id = %s",
            (known[0],),
        )
    diagnostics = {
        "conversions": fitted.conversions,
        "paths": fitted.paths,
        "conversion_rate": fitted.chain.conversion_rate,
        "channels": len(fitted.chain.channels),
    }
    row = connection.execute(
        """
        insert into attribution.fitted_versions (
            model, fitted_kind, conversion_month, period_from, period_to,
            inputs_hash, build_id, reason, diagnostics
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s) returning version_id
        """,
        (
            MODEL, fitted.fitted_kind, fitted.month, fitted.period_from, fitted.month,
            fitted.inputs_hash, build.build_id, reason,
            orjson.dumps(diagnostics).decode(),
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    chain = fitted.chain
    with (
        connection.cursor() as cursor,
        cursor.copy("copy attribution.fitted_weights from stdin") as copy,
    ):
        for channel, effect, share in zip(
            chain.channels, chain.removal_effects, chain.shares, strict=True
        ):
            copy.write_row((row[0], channel, float(effect), float(share)))
    return True
