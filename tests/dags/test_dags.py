"""Policy of the DAGs: what each of them has to have, not only that it imports."""

from __future__ import annotations

import http
import itertools
import os
import socket
import subprocess
import sys
import sysconfig
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

EXPECTED = {
    "marketing": [
        "plan", "extract", "check_raw", "build_identifiers", "identify",
        "build_touchpoints", "fit_models", "build_credits",
        "estimate_intervals", "build_marts", "check_marts", "publish",
    ],
}  # fmt: skip
IMPACTS = {"impact:tier-1", "impact:tier-2", "impact:tier-3"}
PARSE_SECONDS = 5.0


@pytest.fixture(scope="module")
def bag(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All DAGs, parsed with the network shut and without any setting of a warehouse."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        for name in [each for each in os.environ if each.startswith("THROUGHLINE_")]:
            patch.delenv(name)
        from airflow.dag_processing.dagbag import DagBag

        def refuse(*_: object, **__: object) -> None:
            raise AssertionError(
                "a DAG file reaches for the network while it is parsed"
            )

        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "create_connection", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        began = time.monotonic()
        found = DagBag(str(project / "dags"))
        found.seconds = time.monotonic() - began  # type: ignore[attr-defined]
    return found


def dags(bag: Any) -> list[Any]:
    assert set(bag.dag_ids) == set(EXPECTED)
    return [bag.dags[name] for name in EXPECTED]


def test_there_are_exactly_the_dags_we_know(bag: Any) -> None:
    assert bag.import_errors == {}
    assert set(bag.dag_ids) == set(EXPECTED)


def test_dags_are_parsed_quickly(bag: Any) -> None:
    assert bag.seconds < PARSE_SECONDS


def test_the_tasks_are_the_stations_of_the_line_in_order(bag: Any) -> None:
    for dag in dags(bag):
        expected = EXPECTED[dag.dag_id]
        assert sorted(dag.task_ids) == sorted(expected)
        for before, after in itertools.pairwise(expected):
            assert dag.get_task(before).downstream_task_ids == {after}


def test_each_dag_says_who_is_hurt_when_it_fails_and_who_owns_it(bag: Any) -> None:
    for dag in dags(bag):
        assert len(IMPACTS & set(dag.tags)) == 1
        assert all(task.owner not in ("", "airflow") for task in dag.tasks)


def test_each_docstring_is_a_runbook(bag: Any) -> None:
    for dag in dags(bag):
        assert "### Rerunning" in dag.doc_md
        assert "### When it fails" in dag.doc_md


def test_only_one_run_writes_the_warehouse_at_a_time(bag: Any) -> None:
    for dag in dags(bag):
        assert dag.max_active_runs == 1
        assert dag.catchup is False


def test_every_task_has_an_end_and_knows_how_often_it_is_tried(bag: Any) -> None:
    for dag in dags(bag):
        for task in dag.tasks:
            assert task.execution_timeout is not None
            assert task.execution_timeout <= timedelta(hours=3)
            gate = task.task_id.startswith("check_")
            assert task.retries == (0 if gate else 2), task.task_id
            assert task.retry_exponential_backoff or gate


def test_a_scheduled_run_has_a_day_to_read(bag: Any, project: Path) -> None:
    import yaml
    from airflow.serialization.serialized_objects import DagSerialization

    zone = yaml.safe_load((project / "include/sources.yml").read_text())[
        "reporting_time_zone"
    ]
    for dag in dags(bag):
        timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
        from airflow.timetables.base import TimeRestriction

        info = timetable.next_dagrun_info_v2(
            last_dagrun_info=None,
            restriction=TimeRestriction(
                earliest=_pendulum(datetime(2026, 3, 1, tzinfo=UTC)), latest=None,
                catchup=True,
            ),
        )  # fmt: skip
        assert info is not None and info.data_interval is not None
        interval = info.data_interval
        assert interval.end - interval.start == timedelta(days=1)
        local = interval.end.in_timezone(zone)
        assert (local.hour, local.minute) == (4, 0)


def _pendulum(moment: datetime) -> Any:
    import pendulum

    return pendulum.instance(moment)


def test_a_dag_file_holds_no_sql_no_http_and_no_environment(project: Path) -> None:
    for file in (project / "dags").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        lines = text.count("\n")
        assert 40 <= lines <= 95, f"{file.name} has {lines} lines"
        for word in ("os.environ", "import requests", "psycopg", "select ", "http://"):
            assert word not in text, f"{file.name}: {word}"


def test_the_plugin_loader_leaves_our_modules_and_pythons_own_alone(
    project: Path, tmp_path: Path
) -> None:
    """Airflow imports files of plugins/ by bare name: one of ours would replace http."""
    program = (
        "from airflow import plugins_manager; import sys\n"
        "load = getattr(plugins_manager, 'ensure_plugins_loaded', None)\n"
        "load() if load else plugins_manager._get_plugins()\n"
        "import http\n"
        "print(http.__file__)\n"
        "print(sorted(n for n, m in sys.modules.items() "
        f"if str(getattr(m, '__file__', None)).startswith({str(project / 'plugins')!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(project / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    where, ours = done.stdout.strip().splitlines()[-2:]
    assert where == http.__file__
    assert where.startswith(sysconfig.get_paths()["stdlib"])
    assert ours == "[]"
