"""One real demo for all end-to-end tests: its own folder, ports and small company."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest

from demo import processes
from demo import settings as demo_settings
from demo.postgres import free_port
from demo.settings import DemoSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAYS, SIZE, SEED = 30, "0.25", 7


@dataclass
class Demo:
    """A running demo: how to call it again and what it printed."""

    root: Path
    home: Path
    env: dict[str, str]
    output: str
    settings: DemoSettings

    def call(self, *arguments: str, module: str = "demo") -> str:
        """Run `python -m demo …` (or another module) and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.root,
            env=self.env if module == "demo" else self.settings.environment(),
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def connect(self, role: str) -> psycopg.Connection:
        """A connection to the demo's warehouse as one of its roles."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.settings.ports["postgres"],
            dbname="warehouse",
            user=role,
            password=self.settings.secret[role],
        )

    def superuser(self, database: str) -> psycopg.Connection:
        """A connection to any database of the demo's server, which sees everything."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.settings.ports["postgres"],
            dbname=database,
            user="postgres",
            password=self.settings.secret["postgres"],
        )


@pytest.fixture(scope="session")
def demo(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`make demo` in a folder of its own; stopped and deleted after the session."""
    home = tmp_path_factory.mktemp("demo")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", str(home)),
        "PYTHONPATH": f"{project / 'plugins'}:{project}",
        "DEMO_HOME": str(home),
        "DEMO_DAYS": str(DAYS),
        "DEMO_SIZE": SIZE,
        "DEMO_SEED": str(SEED),
        **{
            f"DEMO_{name}_PORT": str(free_port())
            for name in ("AIRFLOW", "SUPERSET", "POSTGRES", "SIMULATOR")
        },
    }
    patch = pytest.MonkeyPatch()
    # this process looks into the same folder: the tests call the demo's own helpers
    patch.setattr(demo_settings, "LOCAL", home)
    patch.setattr(demo_settings, "STATE", home / "demo.json")
    patch.setattr(processes, "RUN", home / "run")
    patch.setattr(processes, "LOGS", home / "logs")
    running = Demo(project, home, env, "", DemoSettings.load())
    try:
        running.output = running.call("up")
        running.settings = DemoSettings.load()
        print(running.output)
        yield running
    finally:
        for action in ("down", "clean"):
            subprocess.run(
                [sys.executable, "-m", "demo", action],
                cwd=project, env=env, check=False, capture_output=True,
            )  # fmt: skip
        patch.undo()
