"""The seam between Airflow and the plain functions: context in, final errors out.

The functions themselves know nothing of Airflow; nothing here is imported by them.
"""

from __future__ import annotations

import functools
import os
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import CronTriggerTimetable

P = ParamSpec("P")
R = TypeVar("R")

# Retries are for the weather between us and Postgres; the connectors retry requests
# themselves, and a wrong token or a red gate does not get better by waiting.
DEFAULT_ARGS: dict[str, Any] = {
    "owner": "marketing-data",
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": lambda context: note_failure(context),
}


def reporting_time_zone() -> str:
    """The zone of sources.yml, read without loading any connector."""
    from connectors.base.settings import sources_path

    content = yaml.safe_load(sources_path().read_text(encoding="utf-8"))
    return str(content["reporting_time_zone"])


def schedule(cron: str) -> CronTriggerTimetable | None:
    """This cron in the reporting zone, each run with the day before it as its interval.

    THROUGHLINE_SCHEDULE gives another cron, or `none`: runs start only by hand. (A plain
    cron string would give every run an empty data interval.)
    """
    from airflow.sdk import CronTriggerTimetable

    cron = os.environ.get("THROUGHLINE_SCHEDULE") or cron
    if cron.lower() == "none":
        return None
    zone = reporting_time_zone()
    return CronTriggerTimetable(cron, timezone=zone, interval=timedelta(days=1))


def final(function: Callable[P, R]) -> Callable[P, R]:
    """An error whose text tells a person what to do ends the task: no retries.

    Any other error is one of ours, or the weather: its traceback goes to the log.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        from airflow.sdk.exceptions import AirflowFailException

        from connectors.base.errors import ConnectorError, FatalError
        from connectors.base.redaction import mask
        from pipeline.errors import PipelineError
        from pipeline.log import warn

        try:
            return function(*args, **kwargs)
        except (FatalError, PipelineError) as error:
            raise AirflowFailException(str(error)) from None
        except ConnectorError:
            raise
        except Exception:
            warn(mask(traceback.format_exc()))
            raise

    return wrapper


@final
def plan(context: Any) -> list[str]:
    """Settle the days of a task's run and return its accounts (`runs.plan`)."""
    from pipeline import runs

    run = context["dag_run"]
    return runs.plan(
        run.run_id,
        context["params"],
        context.get("data_interval_start"),
        context.get("data_interval_end"),
        manual=str(getattr(run.run_type, "value", run.run_type)) == "manual",
    )


@final
def extract(context: Any, account: str) -> dict[str, Any]:
    """Land one account's streams (`extract.extract_account`); a summary for XCom."""
    from pipeline.extract import extract_account
    from pipeline.runs import days_of

    run_id = context["dag_run"].run_id
    return extract_account(account, days_of(run_id), run_id)


@final
def step(context: Any, name: str) -> None:
    """One of the steps after extract (`runs.run_step`)."""
    from pipeline import runs

    runs.run_step(name, context["dag_run"].run_id)


def note_failure(context: Any) -> None:
    """Write into ops.runs that a task failed for good."""
    from pipeline import builds

    task = getattr(context.get("ti"), "task_id", "a task")
    note = f"{task}: {context.get('exception')}"
    builds.end_run(context["dag_run"].run_id, "failed", note[:500])
