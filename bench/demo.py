"""`python -m bench demo`: seconds from a fresh clone to the table of channels.

Clones this checkout's HEAD into an empty folder, runs `make demo` there twice (the
second time with everything still up) and deletes it again. Packages come from the
machine's own package cache, as far as it has one.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from demo.postgres import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
GOALS = {"from clone to table": 300, "again, all still up": 90}


def main(arguments: Sequence[str]) -> None:
    """Print the seconds of both runs beside their goals; takes no arguments."""
    if arguments:
        raise SystemExit("python -m bench demo takes no options")
    console = Console(highlight=False)
    ports = {
        f"DEMO_{name}_PORT": str(free_port())
        for name in ("AIRFLOW", "SUPERSET", "POSTGRES", "SIMULATOR")
    }
    unwanted = ("DEMO_", "THROUGHLINE_", "AIRFLOW", "PYTHONPATH", "VIRTUAL_ENV")
    env = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)} | ports
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="throughline-bench-") as folder:
        clone = Path(folder) / "throughline"
        found = {}
        try:
            for name in GOALS:
                began = time.monotonic()
                if not clone.exists():
                    subprocess.run(
                        ["git", "clone", "-q", str(ROOT), str(clone)], check=True
                    )
                done = subprocess.run(
                    ["make", "demo"], cwd=clone, env=env, check=False,
                    text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )  # fmt: skip
                found[name] = time.monotonic() - began
                if done.returncode != 0:
                    raise SystemExit(f"make demo failed:\n{done.stdout[-3000:]}")
        finally:
            if clone.exists():
                subprocess.run(
                    ["make", "-s", "clean"], cwd=clone, env=env, check=False,
                    stdout=subprocess.DEVNULL,
                )  # fmt: skip
    table = Table(title=f"make demo · {os.cpu_count()} cores, load {load:.1f} before")
    for heading in ("run", "seconds", "goal", ""):
        table.add_column(heading, justify="right" if heading != "run" else "left")
    for name, goal in GOALS.items():
        verdict = "ok" if found[name] <= goal else "missed"
        table.add_row(name, f"{found[name]:.0f}", f"≤ {goal}", verdict)
    console.print(table)
