"""Superset on this machine: an environment of its own, made while Airflow works."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import requests

from demo import processes
from demo.settings import LOCAL, ROOT, DemoError, DemoSettings

if TYPE_CHECKING:
    from pathlib import Path

USER = "admin"
VENV = ROOT / ".venv-superset"
DASHBOARD = "overview"


def environment(settings: DemoSettings) -> dict[str, str]:
    """The settings of every Superset process (include/superset/superset_config.py)."""
    own = {
        "SUPERSET_CONFIG_PATH": str(ROOT / "include/superset/superset_config.py"),
        "FLASK_APP": "superset.app:create_app()",
        "SUPERSET_SECRET_KEY": settings.secret["superset_key"],
        "SUPERSET_DATABASE_URI": (
            f"postgresql+psycopg2://superset:{settings.secret['superset']}"
            f"@127.0.0.1:{settings.ports['postgres']}/superset"
        ),
        "SUPERSET_ADMIN_PASSWORD": settings.secret["superset_admin"],
        "SCARF_ANALYTICS": "false",
        "SUPERSET_HOME": str(LOCAL / "superset"),
    }
    return {**settings.environment(), **own, "PYTHONPATH": str(ROOT)}


def prepare(settings: DemoSettings, make: str = "make") -> None:
    """Install the environment, create the database, the admin and the dashboards."""
    env = environment(settings)
    (LOCAL / "superset").mkdir(parents=True, exist_ok=True)
    processes.run("superset-install", [make, "-s", "env-superset"], env)
    script: Path = ROOT / "include/superset/prepare.py"
    processes.run("superset-prepare", [str(VENV / "bin/python"), str(script)], env)


def start(settings: DemoSettings) -> None:
    """Start the web server (one worker with threads is enough for one machine)."""
    processes.start(
        "superset",
        [
            str(VENV / "bin/superset"), "run",
            "--host", "127.0.0.1",
            "--port", str(settings.ports["superset"]),
            "--with-threads",
        ],
        environment(settings),
    )  # fmt: skip


def wait_until_healthy(settings: DemoSettings, seconds: float = 120) -> None:
    """Wait for /health; raises DemoError with the end of the log."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not processes.is_running("superset"):
            break
        try:
            if requests.get(f"{settings.url('superset')}/health", timeout=5).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.5)
    raise DemoError(
        f"Superset did not come up; the end of {processes.log_file('superset')}:\n"
        f"{processes.tail('superset')}"
    )
