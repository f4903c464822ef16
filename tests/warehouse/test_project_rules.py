"""The rules of the dbt project that no single model can keep by itself."""

from __future__ import annotations

import csv
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

# what a model's name says of it, folder by folder
PREFIXES = {
    "staging": ("stg_",),
    "identity": ("int_",),
    "touchpoints": ("int_",),
    "attribution": ("int_",),
    "marts": ("fct_", "dim_"),
}
# what people and Python read bears a plain name
PLAIN_NAMES = {
    "identity": {"identity_edges"},
    "marts": {
        "accuracy",
        "build_info",
        "channel_confidence",
        "cost_matching",
        "customer_value",
        "data_freshness",
        "deal_journal",
        "deal_touches",
        "funnel",
        "identity_evidence",
        "ltv_curve",
        "markov_channels",
        "performance_daily",
        "person_history",
        "profit_bridge",
        "quarantined_identifiers",
        "reconciliation",
        "unranked_sources",
    },
}
# staging that turns staged rows once more, for everybody who needs them so
STAGED_TWICE = {
    "stg_bitrix24__contact_tokens",
    "stg_bitrix24__payments",
    "stg_bitrix24__products",
    "stg_comagic__messages",
    "stg_yandex_metrica__goal_hits",
    # amoCRM keeps a request and its deal as one record, which staging parts
    "stg_amocrm__contact_tokens",
    "stg_amocrm__deal_contacts",
    "stg_amocrm__deal_stage_history",
    "stg_amocrm__deals",
    "stg_amocrm__lead_moves",
    "stg_amocrm__lead_stage_history",
    "stg_amocrm__leads",
    "stg_amocrm__statuses",
}
# only the owner knows from which status on an amo lead is a deal
SEEDS_OF_STAGING = {("stg_amocrm__lead_moves", "stage_map")}
# marts and credits stand on identity and touchpoints; only reconciliation looks past
PAST_THE_STATIONS = {
    ("reconciliation", "stg_raw_daily_totals"),
    ("reconciliation", "stg_yandex_direct__campaign_performance"),
    ("reconciliation", "stg_google_ads__campaign_performance"),
    ("reconciliation", "stg_meta_ads__campaign_performance"),
    ("reconciliation", "stg_vk_ads__campaign_performance"),
}
# made by Python steps, typed and keyed: there is nothing to stage
OWN_SOURCES = {"attribution", "identity", "ops"}
# grouped by its key, the union of it is tested, its rows' keys are tested, its rows
# are int_attribution_credits', its rows are int_conversions'
WITHOUT_KEY = {
    "stg_raw_daily_totals",
    "stg_yandex_direct__ad_performance",
    "stg_google_ads__ad_performance",
    "profit_bridge",
    "int_touchpoints_before_conversion",
    "int_conversions_unioned",
    "int_persons",
}


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


def folder_of(node: Node) -> str:
    """staging, identity, touchpoints, attribution or marts."""
    return str(node["original_file_path"].split("/")[1])


def parents(manifest: Node, node: Node, kind: str) -> list[Node]:
    """The models, seeds or sources that a node reads."""
    held = manifest["sources"] if kind == "source" else manifest["nodes"]
    return [
        held[parent]
        for parent in node["depends_on"]["nodes"]
        if parent.startswith(f"{kind}.")
    ]


def sql_of(node: Node) -> str:
    """A model's SQL as it is written, without its comments."""
    without_jinja_comments = re.sub(r"\{#.*?#\}", "", node["raw_code"], flags=re.DOTALL)
    return re.sub(r"--[^\n]*", "", without_jinja_comments)


def test_no_model_comes_from_nowhere(models: dict[str, Node]) -> None:
    assert len(models) > 50
    roots = sorted(n for n, model in models.items() if not model["depends_on"]["nodes"])
    assert not roots, f"these models read no model, seed or source: {roots}"


def test_only_staging_reads_raw(manifest: Node, models: dict[str, Node]) -> None:
    readers = 0
    for name, model in models.items():
        schemas = {s["schema"] for s in parents(manifest, model, "source")}
        readers += "raw" in schemas
        if folder_of(model) != "staging":
            assert schemas <= OWN_SOURCES, f"{name} reads {schemas} past staging"
    assert readers > 10


def test_staging_reads_sources_alone(manifest: Node, models: dict[str, Node]) -> None:
    for name, model in models.items():
        if folder_of(model) != "staging":
            continue
        read = [n["name"] for n in parents(manifest, model, "model")]
        read += [n["name"] for n in parents(manifest, model, "seed")]
        if name in STAGED_TWICE or name.endswith("__ad_performance"):
            assert read, f"{name} need not be excused"
            read = [n for n in read if (name, n) not in SEEDS_OF_STAGING]
            assert all(n.startswith("stg_") for n in read), f"{name} reads {read}"
        else:
            assert not read, f"{name} is staging and reads {read}"


def test_marts_stand_on_what_the_stations_before_made(
    manifest: Node, models: dict[str, Node]
) -> None:
    found = {
        (name, parent["name"])
        for name, model in models.items()
        if folder_of(model) in ("attribution", "marts")
        for parent in parents(manifest, model, "model")
        if folder_of(parent) == "staging"
    }
    assert found == PAST_THE_STATIONS


def test_nothing_reads_what_is_built_after_it(
    manifest: Node, models: dict[str, Node]
) -> None:
    order = list(PREFIXES)
    for name, model in models.items():
        for parent in parents(manifest, model, "model"):
            assert order.index(folder_of(parent)) <= order.index(folder_of(model)), (
                f"{name} reads {parent['name']}, which a later folder holds"
            )


def test_every_source_and_seed_is_read(manifest: Node, project: Path) -> None:
    """Macros read in a run what dbt does not see while it parses."""
    folder = project / "dbt_project" / "macros"
    macros = "".join(path.read_text() for path in folder.glob("*.sql"))
    for source in manifest["sources"].values():
        called = f"source('{source['source_name']}', '{source['name']}')"
        read = manifest["child_map"][source["unique_id"]] or called in macros
        assert read, f"nobody reads {source['source_name']}.{source['name']}"
    for node in manifest["nodes"].values():
        if node["resource_type"] == "seed":
            children = manifest["child_map"][node["unique_id"]]
            assert any(c.startswith("model.") for c in children), node["name"]


def test_a_models_name_tells_its_folder(models: dict[str, Node]) -> None:
    for name, model in models.items():
        folder = folder_of(model)
        plain = name in PLAIN_NAMES.get(folder, ())
        assert plain or name.startswith(PREFIXES[folder]), (
            f"{name} lies in {folder}, where names begin with {PREFIXES[folder]}"
        )
        if folder == "staging" and name != "stg_raw_daily_totals":
            vendor = model["original_file_path"].split("/")[2]
            assert name.startswith(f"stg_{vendor}__"), f"{name} lies in {vendor}"
    for folder, names in PLAIN_NAMES.items():
        here = {n for n, model in models.items() if folder_of(model) == folder}
        assert names <= here


def test_each_model_has_a_yml_of_its_name_that_opens_with_its_grain(
    models: dict[str, Node],
) -> None:
    for name, model in models.items():
        patch = model["patch_path"] or ""
        assert patch.endswith(f"/{name}.yml"), f"{name}: no {name}.yml beside it"
        assert model["description"].startswith("One row per "), (
            f"{name}: the description must open with the grain, 'One row per …'"
        )


def test_each_seed_and_source_is_described(manifest: Node) -> None:
    for node in manifest["nodes"].values():
        if node["resource_type"] == "seed":
            assert node["description"].startswith("One row per "), node["name"]
    for source in manifest["sources"].values():
        assert source["description"] and source["source_description"], source["name"]


def test_each_named_column_is_described(models: dict[str, Node]) -> None:
    for name, model in models.items():
        for column in model["columns"].values():
            assert column["description"], f"{name}.{column['name']} has no description"


def test_each_mart_says_what_it_answers(models: dict[str, Node]) -> None:
    for name, model in models.items():
        if folder_of(model) == "marts":
            answers = model["description"].partition("Answers:")[2]
            assert answers.count("?") >= 2, f"{name}: name two questions it answers"


def test_each_model_proves_its_key(manifest: Node, models: dict[str, Node]) -> None:
    for name, model in models.items():
        tested: dict[str, set[str | None]] = {}
        for test in data_tests_of(manifest, model):
            if kind := test.get("test_metadata", {}).get("name"):
                tested.setdefault(kind, set()).add(test.get("column_name"))
        never_null = tested.get("not_null", set()) | {
            column["name"]
            for column in model["columns"].values()
            for constraint in column["constraints"]
            if constraint["type"] == "not_null"
        }
        proved = "is_one_row_per" in tested or tested.get("unique", set()) & never_null
        if name in WITHOUT_KEY:
            assert not proved, f"{name} need not be excused"
        else:
            assert proved, f"{name}: nothing tests its primary key"


def test_each_mart_has_a_contract_and_is_public(models: dict[str, Node]) -> None:
    """What is published cannot change its columns in silence."""
    for name, model in models.items():
        mart = folder_of(model) == "marts"
        assert (model["access"] == "public") is mart, f"{name} is {model['access']}"
        if mart:
            assert model["config"]["contract"]["enforced"], name
            assert model["config"]["meta"]["publish"], name


def test_dashboards_read_marts_alone(manifest: Node) -> None:
    assert manifest["exposures"]
    for exposure in manifest["exposures"].values():
        assert exposure["owner"]["email"]
        read = exposure["depends_on"]["nodes"]
        assert read
        for parent in read:
            assert folder_of(manifest["nodes"][parent]) == "marts", parent


def test_each_identity_model_belongs_to_one_station(models: dict[str, Node]) -> None:
    """selectors.yml tells the stations of this folder apart by tag."""
    for name, model in models.items():
        if folder_of(model) == "identity":
            stations = {"identifiers", "persons"} & set(model["tags"])
            assert len(stations) == 1, f"{name} is built {len(stations)} times"


def test_relations_are_named_by_ref_and_source(models: dict[str, Node]) -> None:
    """After `from` and `join` stands a CTE of the same file, or what dbt resolves."""
    found = 0
    for name, model in models.items():
        sql = sql_of(model)
        steps = set(
            re.findall(
                r"^(\w+)(?: \([\w, ]+\))? as (?:(?:not )?materialized )?\($",
                sql,
                re.MULTILINE,
            )
        )
        for match in re.finditer(
            r"(?<!distinct )\b(?:from|join)\s+(?:lateral\s+)?+([a-z_][\w.]*+)(?!\s*\()",
            sql,
        ):
            # extract(epoch from x), substring(x from '…'): no relation
            opened = sql.rfind("(", 0, match.start())
            if re.search(r"\b(extract|substring)$", sql[:opened]):
                continue
            found += 1
            assert match[1] in steps, f"{name} reads {match[1]}, which is no step of it"
    assert found > 200


def test_models_are_read_whole_in_steps_of_their_own(models: dict[str, Node]) -> None:
    """A model's inputs stand at its top: `select * from ref(…)` and at most a filter."""
    found = 0
    for name, model in models.items():
        for line in sql_of(model).splitlines():
            if "ref(" in line:
                found += 1
                assert line.strip().startswith("select * from {{ ref("), (
                    f"{name}: {line.strip()} belongs into an import step"
                )
    assert found > 100


def test_what_the_evaluator_excuses_still_exists(
    manifest: Node, models: dict[str, Node], project: Path
) -> None:
    path = project / "dbt_project/evaluator/seeds/dbt_project_evaluator_exceptions.csv"
    with path.open() as file:
        excused = list(csv.DictReader(file))
    assert excused
    known = set(models) | {
        f"{source['source_name']}.{source['name']}"
        for source in manifest["sources"].values()
    }
    for row in excused:
        assert row["comment"], row
        if "%" not in row["id_to_exclude"]:
            assert row["id_to_exclude"] in known, row


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


def test_a_var_has_its_value_in_one_place(project: Path) -> None:
    """A default beside a `var()` would be a second choice that nobody sees."""
    folder = project / "dbt_project"
    checked = 0
    for part in ("models", "macros", "tests"):
        for path in (folder / part).rglob("*.sql"):
            for call in re.findall(r"\bvar\([^)]*\)", path.read_text()):
                checked += 1
                assert "," not in call, f"{path.name}: {call} repeats dbt_project.yml"
    assert checked > 10


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
        "stg_google_ads__ad_performance",
    ):
        assert models[name]["config"]["contract"]["enforced"], name
