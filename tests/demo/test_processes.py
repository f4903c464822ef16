"""Stopping ends exactly the processes that were started, and no stranger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo import processes
from demo.settings import DemoError


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "RUN", tmp_path / "run")
    monkeypatch.setattr(processes, "LOGS", tmp_path / "logs")


SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys, time;"
    "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(p.pid, flush=True); time.sleep(60)",
]


def is_gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_a_server_is_stopped_with_its_children() -> None:
    processes.start("parent", PARENT, dict(os.environ))
    log = processes.log_file("parent")
    deadline = time.monotonic() + 10
    while not log.read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.05)
    child = int(log.read_text())
    assert processes.is_running("parent")
    assert not is_gone(child)
    assert processes.stop("parent")
    assert not processes.is_running("parent")
    assert is_gone(child)


def test_starting_twice_keeps_the_first() -> None:
    processes.start("one", SLEEPER, dict(os.environ))
    before = (processes.RUN / "one.json").read_text()
    processes.start("one", SLEEPER, dict(os.environ))
    assert (processes.RUN / "one.json").read_text() == before
    processes.stop("one")


def test_a_pid_that_another_program_got_is_left_alone() -> None:
    stranger = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        processes.RUN.mkdir(parents=True)
        record = {"pid": stranger.pid, "started_at": "1"}
        (processes.RUN / "old.json").write_text(json.dumps(record))
        assert not processes.is_running("old")
        assert not processes.stop("old")
        assert stranger.poll() is None
    finally:
        os.killpg(stranger.pid, signal.SIGKILL)
        stranger.wait()


def test_a_program_that_fails_tells_the_end_of_its_log() -> None:
    with pytest.raises(DemoError, match=r"exit code 3.*\n.*the reason"):
        processes.run(
            "bad",
            [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"],
            dict(os.environ),
        )
