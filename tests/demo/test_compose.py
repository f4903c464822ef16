"""docker-compose.yml and .env.example name every setting and hold no password."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from demo.dotenv import filled, for_demo

if TYPE_CHECKING:
    from pathlib import Path

# set by the program itself or by the tests, not by the person who runs it
INTERNAL = {
    "THROUGHLINE_SUPERUSER_DSN",  # composed in docker-compose.yml
    "THROUGHLINE_HOME",  # where the image keeps the project
    "THROUGHLINE_TEST_POSTGRES",  # the tests' own server
}
# a whole name: what an f-string completes is no setting by itself
SETTING = re.compile(r"THROUGHLINE_[A-Z_]*[A-Z](?![A-Z_])")
ENDS_BY_ITSELF = {"setup", "superset-setup"}


@pytest.fixture(scope="module")
def compose(project: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(
        (project / "docker-compose.yml").read_text()
    )
    return loaded


@pytest.fixture(scope="module")
def example(project: Path) -> dict[str, str]:
    lines = (project / ".env.example").read_text().splitlines()
    pairs = [ln.split("=", 1) for ln in lines if ln and not ln.startswith("#")]
    return dict(pairs)


def settings_read_by_the_code(project: Path) -> set[str]:
    """Every THROUGHLINE_* name in the product's code and configuration."""
    found: set[str] = set()
    for folder in ("plugins", "include", "dbt_project", "dags"):
        for path in (project / folder).rglob("*"):
            if path.suffix in {".py", ".yml", ".yaml", ".sql"} and path.is_file():
                found |= set(re.findall(SETTING, path.read_text()))
    return found


def test_every_setting_of_the_code_is_in_both_files(
    project: Path, example: dict[str, str]
) -> None:
    text = (project / "docker-compose.yml").read_text()
    known = settings_read_by_the_code(project) - INTERNAL
    assert {"THROUGHLINE_TOKEN_KEY", "THROUGHLINE_SOURCES"} <= known
    missing = {name for name in known if name not in example or name not in text}
    assert not missing


def test_every_variable_of_compose_is_explained_in_the_example(
    project: Path, example: dict[str, str]
) -> None:
    text = (project / "docker-compose.yml").read_text()
    used = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", text))
    assert used - set(example) == set()
    assert set(example) - used == set(), "settings that compose does not pass on"


def test_no_password_has_a_default(project: Path, example: dict[str, str]) -> None:
    text = (project / "docker-compose.yml").read_text()
    secret = re.compile(r"PASSWORD|SECRET|_KEY|TOKEN")
    for name, value in example.items():
        if secret.search(name) and name != "THROUGHLINE_SOURCES":
            assert value.startswith("generate:"), f"{name} has a value in the example"
            assert not re.search(rf"\$\{{{name}:-[^}}]+\}}", text), name


def test_generated_secrets_differ_and_leave_no_marker(project: Path) -> None:
    example_text = (project / ".env.example").read_text()
    once, twice = filled(example_text), filled(example_text)
    values = [
        line.split("=", 1)[1] for line in once.splitlines() if re.match(r"[A-Z]", line)
    ]
    assert "=generate:" not in once
    assert once != twice
    secrets = [value for value in values if len(value) >= 32]
    assert len(secrets) == len(set(secrets)) >= 10


def test_the_demo_variant_leads_every_account_to_the_simulated_company(
    project: Path, compose: dict[str, Any]
) -> None:
    text = for_demo(filled((project / ".env.example").read_text()))
    pairs = dict(re.findall(r"^(\w+)=(.*)$", text, flags=re.MULTILINE))
    assert pairs["THROUGHLINE_DEMO"] == "1"
    assert (
        project / pairs["THROUGHLINE_SOURCES"].removeprefix("/opt/throughline/")
    ).exists()
    accounts = yaml.safe_load((project / "simulator/sources.yml").read_text())[
        "sources"
    ]
    for account in accounts:
        name = f"THROUGHLINE_{account['source']}__{account['account']}".upper()
        connection = json.loads(pairs[f"AIRFLOW_CONN_{name}"].strip("'"))
        assert connection["host"] == f"http://simulator:8099/{account['source']}"
        assert connection["password"] == pairs["DEMO_API_TOKEN"]
    assert "--port 8099" in compose["services"]["simulator"]["command"][2]


def test_an_unknown_kind_of_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="generate:banana is none of"):
        filled("X=generate:banana\n")


def test_the_services_of_the_production_shape(compose: dict[str, Any]) -> None:
    services = compose["services"]
    expected = {"postgres", "api-server", "scheduler", "dag-processor", "triggerer"}
    assert expected | {"superset", "simulator"} | ENDS_BY_ITSELF == set(services)
    assert services["postgres"]["image"].startswith("postgres:18")
    assert services["simulator"]["profiles"] == ["demo"]
    for name, service in services.items():
        if name in ENDS_BY_ITSELF:
            assert service["healthcheck"] == {"disable": True}
        else:
            assert service["healthcheck"]["test"], f"{name} has no health check"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} listens to the world"


def test_the_image_does_not_run_as_root(project: Path) -> None:
    stages = (project / "Dockerfile").read_text().split("\nFROM ")
    assert len(stages) == 4  # a comment, base, and the two images
    for stage in stages[2:]:
        users = re.findall(r"^USER (\S+)", stage, re.MULTILINE)
        assert users == ["throughline"]
