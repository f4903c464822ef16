"""Airflow on this machine: its four services, and one run of a DAG through them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import requests

from demo import processes
from demo.settings import LOCAL, ROOT, DemoError, DemoSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOME = LOCAL / "airflow"
SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer")
USER = "admin"
FINISHED = {"success", "failed", "upstream_failed", "skipped", "removed"}


def environment(settings: DemoSettings) -> dict[str, str]:
    """The settings of every Airflow process; all secrets stay in the environment."""
    port = settings.ports["airflow"]
    database = (
        f"postgresql+psycopg2://airflow:{settings.secret['airflow']}"
        f"@127.0.0.1:{settings.ports['postgres']}/airflow"
    )
    own = {
        "CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__FERNET_KEY": settings.secret["airflow_fernet"],
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(HOME / "passwords.json"),
        "CORE__EXECUTION_API_SERVER_URL": f"{settings.url('airflow')}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": database,
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__WORKERS": "1",
        "API__BASE_URL": settings.url("airflow"),
        "API__SECRET_KEY": settings.secret["airflow_api"],
        "API_AUTH__JWT_SECRET": settings.secret["airflow_jwt"],
        "DAG_PROCESSOR__REFRESH_INTERVAL": "15",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "15",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        **settings.environment(),
        "AIRFLOW_HOME": str(HOME),
        **{f"AIRFLOW__{name}": value for name, value in own.items()},
    }


def start(settings: DemoSettings) -> None:
    """Prepare the metadata database and start the four services."""
    if all(processes.is_running(f"airflow-{name}") for name in SERVICES):
        return
    HOME.mkdir(parents=True, exist_ok=True)
    passwords = HOME / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({USER: settings.secret["airflow_admin"]}))
    env = environment(settings)
    airflow = str(ROOT / ".venv/bin/airflow")
    processes.run("airflow-migrate", [airflow, "db", "migrate"], env)
    for name in SERVICES:
        processes.start(f"airflow-{name}", [airflow, name], env)


class Client:
    """Airflow's REST API as the admin of the demo (docs: Airflow public API v2)."""

    def __init__(self, settings: DemoSettings) -> None:
        self._settings = settings
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One call under /api/v2; raises requests.HTTPError."""
        response = self._session.request(
            method,
            f"{self._settings.url('airflow')}/api/v2/{path}",
            timeout=30,
            **options,
        )
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def wait_until_healthy(self, seconds: float = 180) -> None:
        """Wait for all four services and log in; raises DemoError with the log."""
        deadline = time.monotonic() + seconds
        seen: dict[str, Any] = {}
        while time.monotonic() < deadline:
            for name in SERVICES:
                if not processes.is_running(f"airflow-{name}"):
                    raise DemoError(
                        f"Airflow's {name} stopped; the end of "
                        f"{processes.log_file(f'airflow-{name}')}:\n"
                        f"{processes.tail(f'airflow-{name}')}"
                    )
            try:
                seen = self.call("GET", "monitor/health")
            except (requests.ConnectionError, requests.HTTPError, requests.Timeout):
                time.sleep(0.5)
                continue
            parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
            if all((seen.get(part) or {}).get("status") == "healthy" for part in parts):
                self._log_in()
                return
            time.sleep(0.5)
        raise DemoError(
            f"Airflow is not healthy after {seconds:.0f} s ({json.dumps(seen)}): "
            f"look at {processes.log_file('airflow-scheduler')}"
        )

    def _log_in(self) -> None:
        response = self._session.post(
            f"{self._settings.url('airflow')}/auth/token",
            json={
                "username": USER,
                "password": self._settings.secret["airflow_admin"],
            },
            timeout=30,
        )
        response.raise_for_status()
        token = response.json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def wait_for_dag(self, dag_id: str, seconds: float = 120) -> None:
        """Wait until the DAG is parsed and switched on; raises DemoError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.call("PATCH", f"dags/{dag_id}", json={"is_paused": False})
            except requests.HTTPError as error:
                if error.response is None or error.response.status_code != 404:
                    raise
                broken = self.call("GET", "importErrors")["import_errors"]
                if broken:
                    raise DemoError(
                        f"Airflow cannot import {broken[0]['filename']}:\n"
                        f"{broken[0]['stack_trace']}"
                    ) from None
                time.sleep(0.5)
                continue
            return
        raise DemoError(
            f"Airflow did not find the DAG {dag_id} in {seconds:.0f} s: look at "
            f"{processes.log_file('airflow-dag-processor')}"
        )

    def trigger(self, dag_id: str, conf: dict[str, str]) -> str:
        """Start a run with these params; returns its id."""
        body = {"logical_date": None, "conf": conf}
        run_id: str = self.call("POST", f"dags/{dag_id}/dagRuns", json=body)[
            "dag_run_id"
        ]
        return run_id

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of the run."""
        found: list[dict[str, Any]] = self.call(
            "GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=200"
        )["task_instances"]
        return found

    def follow(
        self, dag_id: str, run_id: str, on_poll: Callable[[], None] = lambda: None
    ) -> Iterator[dict[str, Any]]:
        """Yield each task instance as it finishes, until the run has ended.

        Raises DemoError that names the failed task and the end of its log.
        """
        told: set[tuple[str, int]] = set()
        while True:
            on_poll()
            state = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"]
            tasks = self.tasks(dag_id, run_id)
            for task in sorted(tasks, key=lambda item: item["end_date"] or ""):
                key = (task["task_id"], task["map_index"])
                if task["state"] in FINISHED and key not in told:
                    told.add(key)
                    yield task
            if state == "success":
                return
            if state == "failed":
                bad = next((t for t in tasks if t["state"] == "failed"), None)
                raise DemoError(self._failure(dag_id, run_id, bad))
            time.sleep(1)

    def _failure(self, dag_id: str, run_id: str, task: dict[str, Any] | None) -> str:
        page = f"{self._settings.url('airflow')}/dags/{dag_id}/runs/{run_id}"
        if task is None:
            return f"the run of {dag_id} failed: look at {page}"
        return (
            f"task {task['task_id']} failed; its log:\n"
            f"{self.log(dag_id, run_id, task)}\nlook at {page}"
        )

    def log(
        self, dag_id: str, run_id: str, task: dict[str, Any], lines: int = 25
    ) -> str:
        """The last lines of a task instance's newest log."""
        answer = self.call(
            "GET",
            f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/"
            f"{max(task['try_number'], 1)}?map_index={task['map_index']}",
            headers={"Accept": "application/json"},
        )
        events = []
        for entry in answer["content"]:
            events.append(str(entry.get("event", entry)))
            for cause in entry.get("error_detail") or []:
                events.append(f"{cause['exc_type']}: {cause['exc_value']}")
        return "\n".join(events[-lines:])
