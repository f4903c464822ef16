"""dbt-project-evaluator finds nothing but what is excused, with its reason.

The package comes from dbt's package hub, so this runs as `make evaluate` and not in
every test run; test_project_rules.py holds its main rules without it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

# the warehouse is only a place for the evaluator's own tables: it reads no other
from tests.pipeline.conftest import warehouse

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["warehouse"]

pytestmark = pytest.mark.slow


@pytest.fixture
def evaluate(
    project: Path, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one dbt command of a copy of dbt_project/evaluator with its packages.

    `THROUGHLINE_EVALUATOR` names a folder with the packages dbt_project_evaluator and
    dbt_utils, for a machine that cannot reach the hub.
    """
    shutil.copytree(project / "dbt_project" / "evaluator", tmp_path / "evaluator")
    home = tmp_path / "evaluator"
    packages = yaml.safe_load((home / "packages.yml").read_text())["packages"]
    assert packages[0] == {"local": ".."}
    packages[0]["local"] = str(project / "dbt_project")
    if given := os.environ.get("THROUGHLINE_EVALUATOR"):
        # the copy, because the package itself asks the hub for dbt_utils
        shutil.copytree(given, tmp_path / "packages")
        asked = tmp_path / "packages" / "dbt_project_evaluator" / "packages.yml"
        utils = {"local": str(tmp_path / "packages" / "dbt_utils")}
        asked.write_text(yaml.safe_dump({"packages": [utils]}))
        packages[1:] = [{"local": str(asked.parent)}, utils]
    (home / "packages.yml").write_text(yaml.safe_dump({"packages": packages}))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                str(Path(sys.executable).parent / "dbt"),
                "--no-use-colors",
                "--no-version-check",
                *arguments,
                "--project-dir",
                str(home),
                "--profiles-dir",
                str(project / "dbt_project"),
            ],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_evaluator_is_content(
    warehouse: str, evaluate: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    installed = evaluate("deps")
    if installed.returncode and "hub.getdbt.com" in installed.stdout:
        pytest.skip("dbt's package hub cannot be reached")
    assert installed.returncode == 0, installed.stdout
    built = evaluate(
        "build", "--select", "package:dbt_project_evaluator", "package:evaluation"
    )
    assert built.returncode == 0, built.stdout[-6000:]
    assert "is_empty_fct_root_models_" in built.stdout
