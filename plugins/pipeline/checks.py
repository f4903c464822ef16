"""The gate: Great Expectations at the two borders, with severities.

A check is one query that sums up what it looks at (a row per subject), one
expectation over its column `value`, a severity and a reason. They are listed in
include/quality/raw.py (what arrived) and include/quality/marts.py (what would be
shown). A critical check that fails stops the line, a warning is written down; a check
that cannot be run, looks at nothing or gets NULL to judge counts as critical, because
a gate that fails open is none.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from connectors.base import registry
from connectors.base.settings import home
from connectors.base.sources import load_sources
from pipeline import builds, windows
from pipeline.errors import PipelineError
from pipeline.log import say, table, warn
from pipeline.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    import psycopg

    from connectors.base.sources import Account
    from pipeline.windows import Days

Severity = Literal["critical", "warning"]
Gate = Literal["raw", "marts"]
Answer = tuple[list[str], list[tuple[Any, ...]]]  # names of columns, rows
SHOWN_SUBJECTS = 5


@dataclass(frozen=True)
class Check:
    """One claim about a batch. `name` is the claim, `why` what breaks when it is false.

    `query` returns columns subject and value (in the raw gate also source and
    account_id), and may use the parameters %(run_id)s, %(build_id)s, %(date_from)s,
    %(date_to)s, %(as_of)s and the temporary tables `expected_streams` and, in the
    marts gate, `staged_loads` (what this build or one before took in) and `shown_cost`
    (ad spend as published, by platform, account_id and cost_date). `expectation`
    makes the GX expectation; `source` limits the check to deployments that read it;
    `may_be_empty` says that nothing to look at is fine.
    """

    name: str
    severity: Severity
    why: str
    expectation: Callable[[], Any]
    query: str
    source: str | None = None
    may_be_empty: bool = False


@dataclass(frozen=True)
class Verdict:
    """What one check said: passed, failed, crashed, accepted or held."""

    check: Check
    status: str
    observed: str
    accounts: frozenset[tuple[str, str]] = frozenset()

    @property
    def stops(self) -> bool:
        """Whether the line may not go on."""
        return self.status == "crashed" or (
            self.status == "failed" and self.check.severity == "critical"
        )


def between(low: float | None = None, high: float | None = None) -> Callable[[], Any]:
    """Each value is within [low, high]; None leaves that side open."""

    def make() -> Any:
        import great_expectations.expectations as gxe

        return gxe.ExpectColumnValuesToBeBetween(
            column="value", min_value=low, max_value=high
        )

    return make


def among(*values: str) -> Callable[[], Any]:
    """Each value is one of these."""

    def make() -> Any:
        import great_expectations.expectations as gxe

        return gxe.ExpectColumnValuesToBeInSet(column="value", value_set=list(values))

    return make


zero = between(0, 0)


def check_raw(run_id: str, days: Days) -> list[Verdict]:
    """Judge what this run landed. Raises PipelineError when a critical check fails.

    A failing account that is optional is held back alone: the line goes on without
    its loads, and the next run takes them up again.
    """
    return _gate("raw", run_id, days)


def check_marts(run_id: str, days: Days) -> list[Verdict]:
    """Judge what this run would show. Raises PipelineError like check_raw."""
    return _gate("marts", run_id, days)


def accept(check_name: str, run_id: str, reason: str, accepted_by: str) -> None:
    """Let a check that failed in this run through; the reason is kept and shown.

    Raises PipelineError when the check did not fail in that run, or the reason is
    shorter than ten characters. Run the gate again afterwards.
    """
    if len(reason.strip()) < 10:
        raise PipelineError("--reason is too short: say why, in ten letters or more")
    with connect("transformer") as connection:
        row = connection.execute(
            """
            select status from ops.check_results
            where run_id = %s and check_name = %s
            order by check_result_id desc limit 1
            """,
            (run_id, check_name),
        ).fetchone()
        if row is None or row[0] not in ("failed", "crashed"):
            said = "was not run" if row is None else f"is {row[0]}"
            raise PipelineError(
                f"check {check_name} {said} in run {run_id}: there is nothing to accept"
            )
        connection.execute(
            """
            insert into ops.accepts (run_id, check_name, reason, accepted_by)
            values (%s, %s, %s, %s)
            on conflict (run_id, check_name) do update set
                reason = excluded.reason, accepted_by = excluded.accepted_by,
                accepted_at = clock_timestamp()
            """,
            (run_id, check_name, reason.strip(), accepted_by),
        )
    warn(f"{accepted_by} accepts {check_name} in run {run_id}: {reason.strip()}")


def load_checks(gate: Gate) -> list[Check]:
    """The checks of include/quality/<gate>.py. Raises PipelineError on equal names."""
    file = home() / "include" / "quality" / f"{gate}.py"
    spec = importlib.util.spec_from_file_location(f"throughline_quality_{gate}", file)
    if spec is None or spec.loader is None:
        raise PipelineError(f"cannot read the checks in {file}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checks: list[Check] = list(module.CHECKS)
    if not checks or len({check.name for check in checks}) != len(checks):
        raise PipelineError(f"{file} holds no checks, or two of one name")
    return checks


def run_checks(
    connection: psycopg.Connection,
    checks: Sequence[Check],
    parameters: Mapping[str, Any],
) -> list[Verdict]:
    """Run each check as it stands; a crash is a verdict, not an exception.

    GX takes seconds to import: it does while Postgres works on the queries.
    """
    with ThreadPoolExecutor(1) as pool:
        judge = pool.submit(_Judge)
        answers = [_answer(connection, check, parameters) for check in checks]
    return [
        _verdict(judge.result(), check, answer)
        for check, answer in zip(checks, answers, strict=True)
    ]


def _answer(
    connection: psycopg.Connection, check: Check, parameters: Mapping[str, Any]
) -> Answer | Exception:
    try:
        with connection.transaction():
            cursor = connection.execute(check.query.encode(), parameters)
            names = [column.name for column in cursor.description or ()]
            return names, cursor.fetchall()
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not pass
        return error


def _verdict(judge: _Judge, check: Check, answer: Answer | Exception) -> Verdict:
    try:
        if isinstance(answer, Exception):
            raise answer
        return judge(check, *answer)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not pass
        text = " ".join(str(error).split())[:200]
        return Verdict(check, "crashed", f"{type(error).__name__}: {text}")


class _Judge:
    """GX over the rows of a query: they are few, so they are judged in memory."""

    def __init__(self) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        # it tells two hundred lines about itself before it says anything
        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        import great_expectations as gx
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
        )

        context = gx.get_context(
            mode="ephemeral",
            # the default leaves a folder for pages in /tmp every time
            project_config=DataContextConfig(
                store_backend_defaults=InMemoryStoreBackendDefaults(
                    init_temp_docs_sites=False
                ),
                analytics_enabled=False,
            ),
        )
        context.enable_analytics(False)
        context.variables.progress_bars = {"globally": False}
        self._source = context.data_sources.add_pandas("rows")

    def __call__(
        self, check: Check, names: list[str], rows: list[tuple[Any, ...]]
    ) -> Verdict:
        import pandas as pd

        if not rows:
            if check.may_be_empty:
                return Verdict(check, "passed", "nothing to look at")
            return Verdict(check, "crashed", "it looked at nothing")
        frame = pd.DataFrame(rows, columns=names)
        blank = frame["value"].isna()
        if blank.any():  # GX lets NULL through
            subject = frame.loc[blank, "subject"].iloc[0]
            return Verdict(check, "crashed", f"there is no value for {subject}")
        if frame["value"].map(type).ne(str).all():
            frame["value"] = frame["value"].astype(float)
        batch = (
            self._source.add_dataframe_asset(check.name)
            .add_batch_definition_whole_dataframe("all")
            .get_batch({"dataframe": frame})
        )
        expectation = check.expectation()
        expectation.severity = check.severity
        result = batch.validate(
            expectation,
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": [n for n in names if n != "value"],
            },
        )
        if "unexpected_index_list" not in result.result:
            return Verdict(check, "crashed", f"GX: {str(result.exception_info)[-200:]}")
        bad = result.result["unexpected_index_list"] or []
        if result.success:
            return Verdict(check, "passed", f"{len(frame)} looked at")
        return Verdict(
            check,
            "failed",
            _observed(bad, len(frame)),
            frozenset(
                (row["source"], row["account_id"]) for row in bad if "source" in row
            ),
        )


def _observed(bad: Sequence[Mapping[str, Any]], total: int) -> str:
    shown = [
        f"{row['subject']} = {row['value']:g}"
        if isinstance(row["value"], float)
        else f"{row['subject']} = {row['value']}"
        for row in bad[:SHOWN_SUBJECTS]
    ]
    more = f" and {len(bad) - len(shown)} more" if len(bad) > len(shown) else ""
    return f"{len(bad)} of {total}: {'; '.join(shown)}{more}"


def _gate(gate: Gate, run_id: str, days: Days) -> list[Verdict]:
    accounts = load_sources().sources
    build = builds.build_of(run_id) if gate == "marts" else None
    known = {account.source for account in accounts}
    checks = [
        check
        for check in load_checks(gate)
        if check.source is None or check.source in known
    ]
    parameters = {
        "run_id": run_id,
        "build_id": build.build_id if build else None,
        "as_of": build.as_of if build else None,
        "date_from": days.date_from,
        "date_to": days.date_to,
    }
    with connect("transformer") as connection:
        _expected_streams(connection, accounts, days)
        if build is not None:
            _staged_and_shown(connection, build.build_id)
        verdicts = run_checks(connection, checks, parameters)
    with connect("transformer") as connection:
        accepted = {
            str(row[0])
            for row in connection.execute(
                "select check_name from ops.accepts where run_id = %s", (run_id,)
            )
        }
        optional = {
            (each.source, each.account_id) for each in accounts if not each.required
        }
        verdicts = [_settle(each, accepted, optional) for each in verdicts]
        _keep(connection, gate, run_id, build.build_id if build else None, verdicts)
    say(f"check_{gate}, run {run_id}\n{_report(verdicts)}")
    stopping = [each for each in verdicts if each.stops]
    if stopping:
        names = ", ".join(each.check.name for each in stopping)
        raise PipelineError(
            f"check_{gate} stops run {run_id}: {names}. What was seen is in the table "
            "above; to let one through: python -m pipeline accept CHECK "
            f"--run '{run_id}' --reason '…', then run this step again"
        )
    return verdicts


def _settle(
    verdict: Verdict, accepted: set[str], optional: set[tuple[str, str]]
) -> Verdict:
    """A failure that a person accepted, or that is of optional accounts alone."""
    if not verdict.stops:
        return verdict
    if verdict.check.name in accepted:
        return replace(verdict, status="accepted")
    if verdict.status == "failed" and verdict.accounts and verdict.accounts <= optional:
        return replace(verdict, status="held")
    return verdict


def _keep(
    connection: psycopg.Connection,
    gate: Gate,
    run_id: str,
    build_id: int | None,
    verdicts: Sequence[Verdict],
) -> None:
    connection.cursor().executemany(
        """
        insert into ops.check_results
        (run_id, build_id, gate, check_name, severity, status, observed, why)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            (
                run_id, build_id, gate, each.check.name, each.check.severity,
                each.status, each.observed, each.check.why,
            )
            for each in verdicts
        ],
    )  # fmt: skip
    for verdict in verdicts:
        if verdict.status != "held":
            continue
        for source, account_id in sorted(verdict.accounts):
            hold_back(connection, run_id, source, account_id, verdict.check.name)


def hold_back(
    connection: psycopg.Connection,
    run_id: str,
    source: str,
    account_id: str,
    reason: str,
) -> None:
    """Leave an optional account out of this run's build."""
    connection.execute(
        """
        insert into ops.held_back (run_id, source, account_id, reason)
        values (%s, %s, %s, %s)
        on conflict (run_id, source, account_id) do update set
            reason = excluded.reason, held_at = clock_timestamp()
        """,
        (run_id, source, account_id, reason),
    )
    warn(f"{source}/{account_id} is held back in run {run_id}: {reason}")


def _expected_streams(
    connection: psycopg.Connection, accounts: Sequence[Account], days: Days
) -> None:
    """What this run should have landed, as a temporary table the checks may join."""
    connection.execute(
        """
        create temporary table expected_streams (
            source text, account_id text, stream text, kind text, required boolean,
            restate_days integer, date_from date, date_to date
        )
        """
    )
    now = windows.utc_now()
    rows: list[tuple[Any, ...]] = []
    for account in accounts:
        for stream in registry.connector_class(account.source).streams_of(account):
            first: date | None = None
            last: date | None = None
            if stream.kind == "window":
                wanted = windows.stream_days(
                    days,
                    [],
                    restate_days=0,
                    history_days=windows.history_of(stream, account),
                    time_zone=account.time_zone,
                    now=now,
                )
                if wanted is None:
                    continue
                first, last = wanted.date_from, wanted.date_to
            rows.append(
                (
                    account.source, account.account_id, stream.name, stream.kind,
                    account.required, stream.restate_days, first, last,
                )
            )  # fmt: skip
    connection.cursor().executemany(
        "insert into expected_streams values (%s, %s, %s, %s, %s, %s, %s, %s)", rows
    )


def _staged_and_shown(connection: psycopg.Connection, build_id: int) -> None:
    """Loads that the build may know of, and the spend that is shown now."""
    connection.execute(
        """
        create temporary table staged_loads as
        select load_id from ops.build_loads where build_id = %s
        union
        select load_id from ops.published_loads
        """,
        (build_id,),
    )
    connection.execute("analyze staged_loads")
    connection.execute(
        """
        create temporary table shown_cost (
            platform text, account_id text, cost_date date, cost_amount numeric
        )
        """
    )
    row = connection.execute("select to_regclass('marts.fct_ad_cost_daily')").fetchone()
    if row is not None and row[0] is not None:
        connection.execute(
            """
            insert into shown_cost
            select platform, account_id, cost_date, sum(cost_amount)
            from marts.fct_ad_cost_daily
            group by platform, account_id, cost_date
            """
        )


def _report(verdicts: Sequence[Verdict]) -> str:
    order = {"crashed": 0, "failed": 1, "accepted": 2, "held": 3, "passed": 4}
    return table(
        ("check", "severity", "status", "seen"),
        [
            (each.check.name, each.check.severity, each.status, each.observed)
            for each in sorted(verdicts, key=lambda each: order[each.status])
        ],
    )
