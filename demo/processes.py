"""Background servers that `make down` can stop exactly, and nothing else.

Each server runs in its own process group; its pid is kept with the moment it was
started, so that a pid that another program got later is never signalled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from demo.settings import LOCAL, ROOT, DemoError

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN = LOCAL / "run"
LOGS = LOCAL / "logs"


def _started_at(pid: int) -> str | None:
    """The kernel's start time of a live process (clock ticks since boot)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def log_file(name: str) -> Path:
    """Where the server of this name writes."""
    return LOGS / f"{name}.log"


def is_running(name: str) -> bool:
    """Whether the server that we started under this name is still there."""
    record = RUN / f"{name}.json"
    if not record.exists():
        return False
    saved = json.loads(record.read_text())
    return bool(_started_at(saved["pid"]) == saved["started_at"])


def start(name: str, command: Sequence[str], env: dict[str, str]) -> None:
    """Start a server in a process group of its own, unless it already runs."""
    if is_running(name):
        return
    RUN.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    with log_file(name).open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    saved = {"pid": process.pid, "started_at": _started_at(process.pid)}
    (RUN / f"{name}.json").write_text(json.dumps(saved) + "\n")


def _group_is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # a group of nothing but zombies is gone for us
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[2] == str(group) and fields[0] != "Z":
            return True
    return False


def stop(name: str, patience: float = 20) -> bool:
    """Stop the server's whole process group; True if there was one to stop.

    SIGTERM first; what is still there after `patience` seconds gets SIGKILL.
    """
    record = RUN / f"{name}.json"
    running = is_running(name)
    if running:
        group = json.loads(record.read_text())["pid"]
        for sign, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5)):
            if not _group_is_alive(group):
                break
            os.killpg(group, sign)
            deadline = time.monotonic() + wait
            while _group_is_alive(group) and time.monotonic() < deadline:
                time.sleep(0.1)
    record.unlink(missing_ok=True)
    return running


def names() -> list[str]:
    """The servers that were started and not yet stopped by us."""
    return sorted(path.stem for path in RUN.glob("*.json"))


def tail(name: str, lines: int = 15) -> str:
    """The last lines of a server's log."""
    path = log_file(name)
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def run(name: str, command: Sequence[str], env: dict[str, str]) -> None:
    """Run a program to its end, its output in the log; raises DemoError with a tail."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with log_file(name).open("ab") as log:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    if done.returncode != 0:
        raise DemoError(
            f"{name} failed (exit code {done.returncode}); the end of "
            f"{log_file(name)}:\n{tail(name)}"
        )
