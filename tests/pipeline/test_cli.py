"""The command line: help everywhere, and one line for what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipeline.__main__ import app

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [
    "setup", "extract", "check-raw", "build", "identify", "fit-models",
    "estimate-intervals", "why", "check-marts", "publish", "rollback", "accept",
    "token", "run", "summary",
]  # fmt: skip
KEY = "1:" + "5a" * 32


def pipeline(
    project: Path, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """`python -m pipeline …` with these settings and no others of ours."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith("THROUGHLINE_")
    }
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        env={**inherited, "PYTHONPATH": f"{project / 'plugins'}:{project}", **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_are_exactly_the_commands_we_know() -> None:
    assert [each.name or _name(each) for each in app.registered_commands] == COMMANDS


def _name(command: object) -> str:
    return str(command.callback.__name__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    from typer.testing import CliRunner

    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.output
    assert len(shown.output.splitlines()) > 4


@pytest.mark.parametrize(
    ("arguments", "settings", "text"),
    [
        (["summary"], {}, "THROUGHLINE_BI_PASSWORD is not set"),
        (
            ["summary"],
            {"THROUGHLINE_BI_PASSWORD": "x" * 9, "THROUGHLINE_WAREHOUSE_PORT": "1"},
            "the warehouse does not answer",
        ),
        (
            ["run", "--from", "2026-06-02", "--to", "2026-06-01"], {},
            "date_to 2026-06-01 must be later than date_from 2026-06-02",
        ),
        (
            ["run", "--from", "2026-06-01", "--to", "2026-06-02"],
            {"THROUGHLINE_SOURCES": "nowhere.yml"},
            "set THROUGHLINE_SOURCES to the path of sources.yml",
        ),
        (["token", "phone", "none"], {"THROUGHLINE_TOKEN_KEY": KEY}, "that is no phone"),
        (["setup", "--superuser-dsn", "host=x"], {}, "PASSWORD is not set"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(
    project: Path, arguments: list[str], settings: dict[str, str], text: str
) -> None:
    done = pipeline(project, *arguments, **settings)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert text in line
    assert "x" * 9 not in line


def test_a_token_is_the_same_for_every_spelling(project: Path) -> None:
    spellings = ["+7 900 000-12-34", "8 (900) 0001234", "79000001234"]
    tokens = {
        pipeline(project, "token", "phone", each, THROUGHLINE_TOKEN_KEY=KEY).stdout
        for each in spellings
    }
    assert len(tokens) == 1
    assert tokens.pop().startswith("ph1_")
