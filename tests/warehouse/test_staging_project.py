"""The rules of the dbt project that no single model can keep by itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    Node = dict[str, Any]

KEY_TESTS = {"unique", "is_one_row_per"}
# one row per stream and day of whatever raw holds: nothing there is a key by promise
WITHOUT_KEY = {"stg_raw_daily_totals", "stg_yandex_direct__ad_performance"}
MINE = ("models/staging/", "models/identity/", "models/touchpoints/")


@pytest.fixture(scope="module")
def manifest(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Node:
    target = tmp_path_factory.mktemp("parsed")
    subprocess.run(
        [
            str(Path(sys.executable).parent / "dbt"),
            "--no-version-check",
            "parse",
            "--project-dir",
            str(project / "dbt_project"),
            "--profiles-dir",
            str(project / "dbt_project"),
            "--target-path",
            str(target),
            "--log-path",
            str(target / "logs"),
        ],
        env={
            **os.environ,
            "THROUGHLINE_TRANSFORMER_PASSWORD": "not used while parsing",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
        check=True,
        capture_output=True,
    )
    found: Node = json.loads((target / "manifest.json").read_bytes())
    return found


@pytest.fixture(scope="module")
def models(manifest: Node) -> dict[str, Node]:
    return {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }


def data_tests_of(manifest: Node, model: Node) -> list[Node]:
    return [
        manifest["nodes"][child]
        for child in manifest["child_map"][model["unique_id"]]
        if child.startswith("test.")
    ]


def test_only_staging_reads_raw(manifest: Node, models: dict[str, Node]) -> None:
    assert len(models) > 30
    readers = {
        name
        for name, model in models.items()
        for parent in model["depends_on"]["nodes"]
        if parent.startswith("source.")
        and manifest["sources"][parent]["schema"] == "raw"
    }
    assert readers
    outside = {n for n in readers if not n.startswith("stg_")}
    assert not outside, f"these models read raw past staging: {sorted(outside)}"


def test_each_model_has_a_yml_of_its_name_that_opens_with_its_grain(
    models: dict[str, Node],
) -> None:
    for name, model in models.items():
        if not model["original_file_path"].startswith(MINE):
            continue
        patch = model["patch_path"] or ""
        assert patch.endswith(f"/{name}.yml"), f"{name}: no {name}.yml beside it"
        assert model["description"].startswith("One row per "), (
            f"{name}: the description must open with the grain, 'One row per …'"
        )


def test_each_model_proves_its_key(manifest: Node, models: dict[str, Node]) -> None:
    for name, model in models.items():
        if name in WITHOUT_KEY or not model["original_file_path"].startswith(MINE):
            continue
        kinds = {
            test["test_metadata"]["name"]
            for test in data_tests_of(manifest, model)
            if test.get("test_metadata")
        }
        assert kinds & KEY_TESTS, f"{name}: no test of its primary key"


def test_tests_are_named_as_claims(manifest: Node) -> None:
    """A name that dbt made up lists columns; it does not say what is wrong."""
    checked = 0
    for test in manifest["nodes"].values():
        if test["resource_type"] != "test" or not test.get("test_metadata"):
            continue
        checked += 1
        kind = test["test_metadata"]["name"]
        assert not test["name"].startswith(f"{kind}_"), (
            f"{test['original_file_path']}: give the test {test['name']} a name that "
            "is its claim"
        )
        assert len(test["name"]) < 80
    assert checked > 50


def test_each_var_says_what_it_changes(project: Path) -> None:
    text = (project / "dbt_project" / "dbt_project.yml").read_text()
    names = yaml.safe_load(text)["vars"]
    assert names
    lines = text.splitlines()
    commented = False
    seen = set()
    for line in lines[lines.index("vars:") + 1 :]:
        if line and not line.startswith(" "):
            break
        if line.strip().startswith("#"):
            commented = True
        elif not line.strip():
            commented = False
        elif match := re.match(r"  (\w+):", line):
            assert commented, f"var {match[1]} has no comment above it"
            seen.add(match[1])
    assert seen == set(names)


def test_each_interface_has_a_contract(models: dict[str, Node]) -> None:
    """What the marts stand on cannot change its columns in silence."""
    for name in (
        "int_ad_spend_unioned",
        "int_calls",
        "int_deals",
        "int_leads",
        "int_person_identifiers",
        "int_persons",
        "int_stage_history",
        "int_touchpoint_persons",
        "int_touchpoints",
        "int_visits",
        "stg_yandex_direct__ad_performance",
    ):
        assert models[name]["config"]["contract"]["enforced"], name
