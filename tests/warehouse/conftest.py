"""A warehouse of the small simulated company, and dbt to run in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# the fixtures of the line serve here too
from tests.pipeline.conftest import company, warehouse

if TYPE_CHECKING:
    from collections.abc import Callable

    Dbt = Callable[..., dict[str, Any]]

__all__ = ["company", "dbt", "warehouse"]


@pytest.fixture(scope="module")
def dbt(warehouse: str, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """Runs one dbt command in the warehouse, for a build: -> run_results.json.

    Fails when dbt does; `check=False` returns the results of a failed command too.
    """
    target = tmp_path_factory.mktemp("dbt")

    def run(
        *arguments: str, check: bool = True, build_id: int | None = None
    ) -> dict[str, Any]:
        command = [
            str(Path(sys.executable).parent / "dbt"),
            "--no-use-colors",
            "--no-version-check",
            *arguments,
            "--project-dir", str(project / "dbt_project"),
            "--profiles-dir", str(project / "dbt_project"),
            "--target-path", str(target),
            "--log-path", str(target / "logs"),
        ]  # fmt: skip
        environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        if build_id is not None:
            environment["PGOPTIONS"] = f"-c throughline.build_id={build_id}"
        done = subprocess.run(
            command,
            env=environment,
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        results: dict[str, Any] = json.loads((target / "run_results.json").read_bytes())
        return results

    return run
