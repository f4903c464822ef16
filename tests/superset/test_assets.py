"""The dashboards' files hold together and read nothing but published marts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path

Assets = dict[str, dict[str, Any]]


def read(folder: Path, kind: str) -> Assets:
    paths = sorted((folder / kind).rglob("*.yaml"))
    assert paths, f"no {kind} in {folder}"
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in paths}


@pytest.fixture(scope="module")
def folder(project: Path) -> Path:
    return project / "include/superset"


@pytest.fixture(scope="module")
def assets(folder: Path) -> dict[str, Assets]:
    kinds = ("databases", "datasets", "charts", "dashboards")
    return {kind: read(folder, kind) for kind in kinds}


@pytest.fixture(scope="module")
def marts(project: Path) -> dict[str, set[str]]:
    """Columns of each mart, from the .yml beside its model."""
    found = {}
    for path in (project / "dbt_project/models/marts").glob("[!_]*.yml"):
        for model in yaml.safe_load(path.read_text("utf-8"))["models"]:
            found[model["name"]] = {column["name"] for column in model["columns"]}
    return found


def charts_on(dashboard: dict[str, Any]) -> dict[str, dict[str, Any]]:
    position = dashboard["position"]
    return {
        part["meta"]["uuid"]: part
        for part in position.values()
        if isinstance(part, dict) and part["type"] == "CHART"
    }


def test_every_id_leads_to_the_next(assets: dict[str, Assets]) -> None:
    databases = {asset["uuid"] for asset in assets["databases"].values()}
    datasets = {asset["uuid"] for asset in assets["datasets"].values()}
    charts = {asset["uuid"] for asset in assets["charts"].values()}
    for name, dataset in assets["datasets"].items():
        assert dataset["database_uuid"] in databases, name
    for name, chart in assets["charts"].items():
        assert chart["dataset_uuid"] in datasets, name
    placed: set[str] = set()
    for name, dashboard in assets["dashboards"].items():
        assert set(charts_on(dashboard)) <= charts, name
        placed |= set(charts_on(dashboard))
        for filter_ in dashboard["metadata"]["native_filter_configuration"]:
            for target in filter_["targets"]:
                assert target.get("datasetUuid", next(iter(datasets))) in datasets
    assert placed == charts, "a chart is on no dashboard"
    assert {asset["dataset_uuid"] for asset in assets["charts"].values()} == datasets


def test_ids_and_titles_are_unique(assets: dict[str, Assets]) -> None:
    for kind, found in assets.items():
        ids = [asset["uuid"] for asset in found.values()]
        assert len(ids) == len(set(ids)), kind
    titles = [chart["slice_name"] for chart in assets["charts"].values()]
    assert len(titles) == len(set(titles))


def test_datasets_are_marts_with_just_their_columns(
    assets: dict[str, Assets], marts: dict[str, set[str]]
) -> None:
    for name, dataset in assets["datasets"].items():
        assert dataset["schema"] == "marts", name
        assert dataset["sql"] is None, f"{name}: a virtual dataset is a missing mart"
        assert dataset["table_name"] in marts, name
        columns = {column["column_name"] for column in dataset["columns"]}
        assert columns <= marts[dataset["table_name"]], name


def test_metrics_use_columns_of_their_mart(
    assets: dict[str, Assets], marts: dict[str, set[str]]
) -> None:
    words = {
        "case", "when", "then", "else", "end", "and", "or", "null", "sum", "min", "max",
        "nullif", "filter", "where", "count", "not", "attributed", "is",
    }  # fmt: skip
    for name, dataset in assets["datasets"].items():
        for metric in dataset["metrics"]:
            used = set(re.findall(r"[a-z_]{2,}", metric["expression"])) - words
            assert used <= marts[dataset["table_name"]], (name, metric["metric_name"])


def test_sums_demand_one_model_and_one_basis(assets: dict[str, Assets]) -> None:
    """Without the guard a chart that forgets the filters would show 18 times the cost."""
    for name in ("performance_daily",):
        for metric in assets["datasets"][name]["metrics"]:
            assert (
                "min(attribution_model) = max(attribution_model)"
                in metric["expression"]
            )
            assert "min(date_basis) = max(date_basis)" in metric["expression"]


def test_charts_use_metrics_and_columns_that_exist(assets: dict[str, Assets]) -> None:
    datasets = {asset["uuid"]: asset for asset in assets["datasets"].values()}
    for name, chart in assets["charts"].items():
        dataset = datasets[chart["dataset_uuid"]]
        params = chart["params"]
        metrics = {metric["metric_name"] for metric in dataset["metrics"]}
        used = [*params.get("metrics", []), *params.get("metrics_b", [])]
        used += [params[key] for key in ("metric",) if key in params]
        assert set(used) <= metrics, name
        columns = {column["column_name"] for column in dataset["columns"]}
        shown = [*params.get("groupby", []), *params.get("all_columns", [])]
        shown += [params[key] for key in ("x_axis",) if key in params]
        assert set(shown) <= columns, name


def test_no_password_stands_in_a_file(assets: dict[str, Assets]) -> None:
    for database in assets["databases"].values():
        assert "password" not in database
        assert re.fullmatch(
            r"postgresql\+psycopg2://bi@[^:/@]+:\d+/\w+", database["sqlalchemy_uri"]
        )
        assert not database["allow_dml"]


def test_every_dashboard_is_a_dbt_exposure(
    project: Path, assets: dict[str, Assets]
) -> None:
    path = project / "dbt_project/models/marts/_marts__exposures.yml"
    exposures = {
        e["name"]: e for e in yaml.safe_load(path.read_text("utf-8"))["exposures"]
    }
    datasets = {asset["uuid"]: asset for asset in assets["datasets"].values()}
    charts = {asset["uuid"]: asset for asset in assets["charts"].values()}
    for dashboard in assets["dashboards"].values():
        exposure = exposures[dashboard["slug"]]
        assert exposure["owner"]["email"]
        used = {
            datasets[charts[uuid]["dataset_uuid"]]["table_name"]
            for uuid in charts_on(dashboard)
        }
        assert {f"ref('{name}')" for name in used} == set(exposure["depends_on"])
