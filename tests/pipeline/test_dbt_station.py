"""A station is green only when all that should have run has run."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dbt_station import (
    STATIONS,
    DeclaredMart,
    declared_marts,
    expected_nodes,
    judge,
    node_runs,
)
from pipeline.errors import PipelineError


def node(path: str, *, kind: str = "model", **more: Any) -> dict[str, Any]:
    return {
        "resource_type": kind,
        "original_file_path": path,
        "name": path.rsplit("/", 1)[-1].removesuffix(".sql"),
        "tags": [],
        "config": {"materialized": "table"},
        **more,
    }


MANIFEST: dict[str, Any] = {
    "nodes": {
        "seed.t.rules": node("seeds/rules.csv", kind="seed"),
        "model.t.stg": node("models/staging/x/stg.sql"),
        "model.t.edges": node("models/identity/edges.sql", tags=["identifiers"]),
        "model.t.persons": node("models/identity/persons.sql", tags=["persons"]),
        "model.t.touch": node("models/touchpoints/touch.sql"),
        "test.t.stg_unique": node("models/staging/x/stg.yml", kind="test"),
        # hangs on both stations: runs in the later one
        "test.t.touch_in_stg": node("tests/touch_in_stg.sql", kind="test"),
    },
    "unit_tests": {"unit_test.t.touch.one": {}},
    "parent_map": {
        "model.t.stg": ["source.t.raw", "seed.t.rules"],
        "model.t.edges": ["model.t.stg"],
        "model.t.persons": ["model.t.edges"],
        "model.t.touch": ["model.t.persons"],
        "test.t.stg_unique": ["model.t.stg"],
        "test.t.touch_in_stg": ["model.t.stg", "model.t.touch"],
        "unit_test.t.touch.one": ["model.t.touch"],
    },
}


def test_a_station_holds_its_folders_tags_and_the_tests_that_hang_on_them() -> None:
    assert expected_nodes(MANIFEST, STATIONS["build_identifiers"]) == {
        "seed.t.rules", "model.t.stg", "model.t.edges", "test.t.stg_unique",
    }  # fmt: skip
    assert expected_nodes(MANIFEST, STATIONS["build_touchpoints"]) == {
        "model.t.persons", "model.t.touch", "test.t.touch_in_stg",
    }  # fmt: skip


def results(*statuses: tuple[str, str]) -> dict[str, Any]:
    return {
        "results": [
            {
                "unique_id": unique_id,
                "status": status,
                "execution_time": 0.5,
                "adapter_response": {"rows_affected": 7},
                "message": "because",
            }
            for unique_id, status in statuses
        ]
    }


def verdict(*statuses: tuple[str, str], code: int = 0) -> None:
    station = STATIONS["build_touchpoints"]
    judge(expected_nodes(MANIFEST, station), node_runs(results(*statuses)), code)


ALL = [
    ("model.t.persons", "success"),
    ("model.t.touch", "success"),
    ("test.t.touch_in_stg", "pass"),
]


def test_all_that_should_have_run_is_green() -> None:
    verdict(*ALL)
    verdict(*ALL[:2], ("test.t.touch_in_stg", "warn"))


def test_a_model_missing_from_the_results_is_red() -> None:
    with pytest.raises(
        PipelineError, match=r"model\.t\.touch should have run and did not"
    ):
        verdict(ALL[0], ALL[2])


@pytest.mark.parametrize("status", ["error", "skipped", "fail", "partial success"])
def test_any_status_but_a_good_one_is_red(status: str) -> None:
    with pytest.raises(PipelineError, match=f"touch {status}: because"):
        verdict(ALL[0], ("model.t.touch", status), ALL[2])


def test_what_does_not_belong_to_the_station_is_red() -> None:
    with pytest.raises(PipelineError, match=r"model\.t\.stg ran and should not have"):
        verdict(*ALL, ("model.t.stg", "success"))


def test_a_dbt_that_fails_without_a_reason_is_red() -> None:
    with pytest.raises(PipelineError, match="dbt ended with code 2"):
        verdict(*ALL, code=2)


def test_an_empty_station_is_red() -> None:
    with pytest.raises(PipelineError, match="holds no model"):
        judge(set(), [], 0)


def marts(**publish: dict[str, Any]) -> dict[str, Any]:
    return {
        "nodes": {
            f"model.t.{name}": node(
                f"models/marts/{name}.sql", meta={"publish": value} if value else {}
            )
            for name, value in publish.items()
        },
        "parent_map": {"model.t.a_view": ["model.t.cost"]},
    }


def test_marts_come_after_what_they_read() -> None:
    manifest = marts(
        a_view={"kind": "view"},
        cost={"slice": "day", "slice_column": "cost_date"},
        names={"slice": "all"},
    )
    assert declared_marts(manifest) == [
        DeclaredMart("cost", "table", "day", "cost_date"),
        DeclaredMart("a_view", "view", None, None),
        DeclaredMart("names", "table", "all", None),
    ]


@pytest.mark.parametrize(
    "publish", [{}, {"slice": "week", "slice_column": "day"}, {"slice": "day"}]
)
def test_a_mart_that_does_not_say_how_it_is_published_is_red(
    publish: dict[str, Any],
) -> None:
    with pytest.raises(PipelineError, match="mart cost"):
        declared_marts(marts(cost=publish))
