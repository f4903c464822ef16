"""One station of dbt: one process over one part of the project, and proof that it ran.

Green means built: what `run_results.json` says is compared with what the
manifest says should have run, and any difference fails the station.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.base.settings import home
from connectors.base.sources import load_sources
from pipeline import builds
from pipeline.errors import PipelineError
from pipeline.log import say, table
from pipeline.seeds import check_seeds
from pipeline.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.builds import Build

GOOD = {"success", "pass", "warn"}


@dataclass(frozen=True)
class Station:
    """A part of the dbt project: the selector of its name in dbt_project/selectors.yml.

    Whole folders, and models of identity by tag; said here once more, on purpose, so
    that a selector that lost a folder is found out.
    """

    name: str
    folders: tuple[str, ...]
    tags: tuple[str, ...] = ()

    def holds(self, node: Mapping[str, Any]) -> bool:
        """Whether a model or seed of the manifest belongs to the station."""
        path = str(node["original_file_path"])
        return any(path.startswith(f"{folder}/") for folder in self.folders) or bool(
            set(self.tags) & set(node.get("tags", ()))
        )


STATIONS = {
    station.name: station
    for station in (
        Station("build_identifiers", ("seeds", "models/staging"), ("identifiers",)),
        Station(
            "build_touchpoints",
            ("models/touchpoints", "models/attribution/paths"),
            ("persons",),
        ),
        Station("build_credits", ("models/attribution/credits",)),
        Station("build_marts", ("models/marts",)),
    )
}


@dataclass(frozen=True)
class NodeRun:
    """What dbt reports about one node: rows as the server counted them, seconds."""

    unique_id: str
    resource_type: str
    status: str
    rows: int | None
    seconds: float
    message: str | None


def build_station(
    name: str, run_id: str, *, full_refresh: bool = False
) -> list[NodeRun]:
    """Run one station for the build of this run and return what every node did.

    Raises PipelineError when a seed is wrong, when dbt fails, when a node fails, or when a node that should
    have run is missing from the results.
    """
    if name not in STATIONS:
        raise PipelineError(
            f"no station {name!r}, choose one of: {', '.join(STATIONS)}"
        )
    station = STATIONS[name]
    first = next(iter(STATIONS))
    if name == first:
        check_seeds(home() / "dbt_project" / "seeds")
    build = builds.begin_build(run_id) if name == first else builds.build_of(run_id)
    if build.state != "building":
        raise PipelineError(
            f"build {build.build_id} of run {run_id} is {build.state}: start again "
            f"from station {first}, or start a new run"
        )
    target = _target_folder()
    results_file = target / "run_results.json"
    results_file.unlink(missing_ok=True)
    code = _run_dbt(station, build, target, full_refresh=full_refresh)
    if not results_file.exists():
        raise PipelineError(
            f"dbt ended with code {code} before it ran anything: its message is above"
        )
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    results = json.loads(results_file.read_text(encoding="utf-8"))
    results_file.rename(target / f"run_results.{name}.json")
    nodes = node_runs(results)
    _record(build, name, nodes)
    say(f"station {name}, build {build.build_id}\n{_report(nodes)}")
    judge(expected_nodes(manifest, station), nodes, code)
    if name == "build_marts":
        _declare_marts(build, declared_marts(manifest))
    return nodes


def expected_nodes(manifest: Mapping[str, Any], station: Station) -> set[str]:
    """Unique ids of everything the station has to run: its models, seeds and tests.

    A data test belongs to it when it hangs on a model of the station and all it reads
    is in the station or upstream of it (dbt's indirect selection `buildable`). Unit
    tests judge the code, not the data: `make test` runs them.
    """
    nodes: Mapping[str, Any] = manifest["nodes"]
    built = {
        unique_id
        for unique_id, node in nodes.items()
        if node["resource_type"] in ("model", "seed", "snapshot")
        and node["config"].get("materialized") != "ephemeral"
        and station.holds(node)
    }
    parents: Mapping[str, list[str]] = manifest["parent_map"]
    reachable = set(built)
    stack = list(built)
    while stack:
        for parent in parents.get(stack.pop(), []):
            if parent not in reachable:
                reachable.add(parent)
                stack.append(parent)
    tests = {
        unique_id
        for unique_id, node in nodes.items()
        if node["resource_type"] == "test"
        and built & set(parents.get(unique_id, []))
        and set(parents.get(unique_id, [])) <= reachable
    }
    return built | tests


def node_runs(results: Mapping[str, Any]) -> list[NodeRun]:
    """The content of run_results.json, in the order dbt ran it."""
    found = []
    for result in results["results"]:
        if result["unique_id"].startswith("exposure."):
            continue  # a dashboard that hangs on the marts: dbt builds nothing for it
        response = result.get("adapter_response") or {}
        rows = response.get("rows_affected")
        if result.get("failures") is not None:
            rows = result["failures"]
        found.append(
            NodeRun(
                unique_id=result["unique_id"],
                resource_type=result["unique_id"].split(".", 1)[0],
                status=result["status"],
                # dbt reports -1 for statements that count nothing (create view)
                rows=rows if isinstance(rows, int) and rows >= 0 else None,
                seconds=float(result["execution_time"]),
                message=result.get("message"),
            )
        )
    return found


def judge(expected: set[str], nodes: Iterable[NodeRun], code: int) -> None:
    """Raise PipelineError unless exactly the expected nodes ran and none failed."""
    ran = {node.unique_id: node for node in nodes}
    problems = [
        f"{node.unique_id} {node.status}: {' '.join((node.message or '').split())[:300]}"
        for node in ran.values()
        if node.status not in GOOD
    ]
    problems += [
        f"{each} should have run and did not" for each in expected - ran.keys()
    ]
    problems += [f"{each} ran and should not have" for each in ran.keys() - expected]
    if not expected:
        problems.append("the station holds no model: look at its folders and tags")
    if not problems and code != 0:
        problems.append(f"dbt ended with code {code}")
    if problems:
        raise PipelineError("dbt: " + "; ".join(sorted(problems)))


@dataclass(frozen=True)
class DeclaredMart:
    """A mart's `meta.publish`: kind table with a slice, or kind view."""

    mart: str
    kind: str
    slice: str | None
    slice_column: str | None


def declared_marts(manifest: Mapping[str, Any]) -> list[DeclaredMart]:
    """The marts that dbt declares for publishing, each after those it reads.

    Raises PipelineError when a model of models/marts declares nothing, or a
    declaration is not understood.
    """
    declared: dict[str, DeclaredMart] = {}
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] != "model":
            continue
        meta = {**node.get("meta", {}), **node["config"].get("meta", {})}
        publish = meta.get("publish")
        if publish is None:
            if str(node["original_file_path"]).startswith("models/marts/"):
                raise PipelineError(
                    f"mart {node['name']} does not say how it is published: give its "
                    "yml meta.publish with slice and slice_column, or kind: view"
                )
            continue
        declared[unique_id] = _declaration(str(node["name"]), publish)
    ordered: list[DeclaredMart] = []
    seen: set[str] = set()

    def visit(unique_id: str) -> None:
        if unique_id in seen:
            return
        seen.add(unique_id)
        for parent in sorted(manifest["parent_map"].get(unique_id, [])):
            visit(parent)
        if unique_id in declared:
            ordered.append(declared[unique_id])

    for unique_id in sorted(declared):
        visit(unique_id)
    return ordered


def _declaration(mart: str, publish: Mapping[str, Any]) -> DeclaredMart:
    if publish.get("kind") == "view":
        return DeclaredMart(mart, "view", None, None)
    part, column = publish.get("slice"), publish.get("slice_column")
    if part == "all":
        return DeclaredMart(mart, "table", "all", None)
    if part in ("day", "month") and column:
        return DeclaredMart(mart, "table", str(part), str(column))
    raise PipelineError(
        f"mart {mart}: meta.publish {dict(publish)} is not understood: write slice: day, "
        "month or all (day and month with slice_column), or kind: view"
    )


def _declare_marts(build: Build, marts: list[DeclaredMart]) -> None:
    with connect("transformer") as connection:
        connection.execute(
            "delete from ops.build_marts where build_id = %s", (build.build_id,)
        )
        connection.cursor().executemany(
            """
            insert into ops.build_marts
            (build_id, mart, position, kind, slice, slice_column)
            values (%s, %s, %s, %s, %s, %s)
            """,
            [
                (build.build_id, each.mart, i, each.kind, each.slice, each.slice_column)
                for i, each in enumerate(marts)
            ],
        )


def scratch() -> Path:
    """Where dbt leaves its manifests and logs: nothing there outlives its use."""
    return home() / ".local" / "dbt"


def _target_folder() -> Path:
    """dbt's folder of one warehouse: what a build parsed, the next need not parse."""
    host, port, database = (
        os.environ.get(f"THROUGHLINE_WAREHOUSE_{name}") or default
        for name, default in (
            ("HOST", "127.0.0.1"),
            ("PORT", "5432"),
            ("DB", "warehouse"),
        )
    )
    target = scratch() / f"{database}@{host.replace('/', '_')}:{port}"
    target.mkdir(parents=True, exist_ok=True)
    return target


def _run_dbt(
    station: Station, build: Build, target: Path, *, full_refresh: bool
) -> int:
    """Run dbt and log its lines as they come; returns its exit code.

    Its vars must be the same in every build: dbt parses the whole project again when
    one changes. What is of this build alone goes with the session.
    """
    project = home() / "dbt_project"
    variables = {"reporting_time_zone": load_sources().reporting_time_zone}
    command = [
        str(Path(sys.executable).parent / "dbt"),
        "--no-use-colors", "--no-version-check",
        "build",
        "--project-dir", str(project),
        "--profiles-dir", str(project),
        "--target-path", str(target),
        "--log-path", str(target / "logs"),
        "--vars", json.dumps(variables),
        "--selector", station.name,
    ]  # fmt: skip
    if full_refresh:
        command.append("--full-refresh")
    options = f"-c throughline.build_id={build.build_id}"
    environment = {
        **os.environ,
        "PGOPTIONS": f"{os.environ.get('PGOPTIONS', '')} {options}".strip(),
        "THROUGHLINE_HOME": str(home()),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    return _stream(command, environment, project)


def _stream(command: list[str], environment: dict[str, str], folder: Path) -> int:
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.strip() and " START " not in line:
                    say(line.rstrip())
        except BaseException:
            process.terminate()
            raise
        return process.wait()


def _record(build: Build, station: str, nodes: Iterable[NodeRun]) -> None:
    with connect("transformer") as connection:
        connection.cursor().executemany(
            """
            insert into ops.model_runs
            (build_id, run_id, station, unique_id, resource_type, status,
             rows_affected, seconds, message)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    build.build_id, build.run_id, station, node.unique_id,
                    node.resource_type, node.status, node.rows,
                    round(node.seconds, 3), node.message,
                )
                for node in nodes
            ],
        )  # fmt: skip


def _report(nodes: Iterable[NodeRun]) -> str:
    """Models one by one, tests as a count, and tests that did not pass one by one."""
    nodes = list(nodes)
    shown = [
        node for node in nodes if node.resource_type != "test" or node.status != "pass"
    ]
    passed = sum(
        node.resource_type == "test" and node.status == "pass" for node in nodes
    )
    rows = [
        (_short(node), node.status, node.rows, f"{node.seconds:.2f}") for node in shown
    ]
    return (
        f"{table(('model', 'status', 'rows', 'seconds'), rows)}\n{passed} tests passed"
    )


def _short(node: NodeRun) -> str:
    parts = node.unique_id.split(".")
    name = ".".join(parts[2:]) if len(parts) > 2 else node.unique_id
    return name if node.resource_type == "model" else f"{node.resource_type} {name}"
