"""prefect.yaml: keys that Prefect would ignore silently are caught here, and every entrypoint exists."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))
DEPLOYMENTS: list[dict[str, Any]] = FILE["deployments"]
# facts: Prefect 3.8 drops unknown keys of a deployment without a word.
TOP_KEYS = {"name", "prefect-version", "definitions", "build", "push", "pull", "deployments"}
DEPLOYMENT_KEYS = {
    "name", "version", "description", "entrypoint", "parameters", "tags", "work_pool", "schedules", "triggers",
    "concurrency_limit", "enforce_parameter_schema", "build", "push", "pull",
}  # fmt: skip
POOL_KEYS = {"name", "work_queue_name", "job_variables"}
CONCURRENCY_KEYS = {"limit", "collision_strategy", "grace_period_seconds"}
SCHEDULE_KEYS = {
    "cron", "interval", "rrule", "timezone", "anchor_date", "active", "parameters", "slug", "replaces", "day_or",
}  # fmt: skip

# What an operator fills in before a run can begin.
ASKED_FOR = {"backfill": {"date_from", "date_to"}}
# Read from the environment when the deployments are registered; deployments/serve.py sets them all.
VARIABLES = {"RESTOCK_HOME", "RESTOCK_SETTINGS", "RESTOCK_CRON", "RESTOCK_TIMEZONE", "RESTOCK_POOL"}


def kind(deployment: dict[str, Any]) -> str:
    """The name of a deployment without the company."""
    return str(deployment["name"]).removesuffix("-{{ company.name }}")


by_name = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])


def test_the_file_has_known_keys_only() -> None:
    assert set(FILE) <= TOP_KEYS
    names = [deployment["name"] for deployment in DEPLOYMENTS]
    assert len(set(names)) == len(names)


@by_name
def test_a_deployment_has_known_keys_only(deployment: dict[str, Any]) -> None:
    assert set(deployment) <= DEPLOYMENT_KEYS
    assert set(deployment["work_pool"]) <= POOL_KEYS
    variables = deployment["work_pool"]["job_variables"]["env"]
    assert variables["RESTOCK_COMPANY"] == "{{ company.name }}", "artifacts of two companies would have the same keys"
    limit = deployment.get("concurrency_limit", {})
    assert isinstance(limit, int) or set(limit) <= CONCURRENCY_KEYS
    for schedule in deployment.get("schedules", []):
        assert set(schedule) <= SCHEDULE_KEYS
        assert "slug" in schedule, "without a slug a new deployment wakes a schedule that was paused"


@by_name
def test_an_entrypoint_names_a_flow_that_takes_the_parameters(deployment: dict[str, Any]) -> None:
    file, function = deployment["entrypoint"].split(":")
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    assert len(found) == 1, f"{file} has no function {function}"
    assert any("flow" in ast.unparse(decorator) for decorator in found[0].decorator_list)
    taken = {argument.arg for argument in (*found[0].args.args, *found[0].args.kwonlyargs)}
    assert set(deployment.get("parameters", {})) <= taken


@pytest.mark.flow
@by_name
def test_an_entrypoint_can_be_loaded(deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.chdir(ROOT)
    flow = load_flow_from_entrypoint(deployment["entrypoint"])
    assert flow.name == deployment["entrypoint"].split(":")[1]
    schema = flow.parameters
    given = set(deployment.get("parameters", {}))
    assert given <= set(schema.properties)
    assert set(schema.required) - given == ASKED_FOR.get(kind(deployment), set())
    unexplained = [name for name, field in schema.properties.items() if not field.get("description")]
    assert not unexplained, "the form shows no text next to them"


def test_only_the_weekly_run_has_a_schedule_and_a_second_one_waits() -> None:
    limits = {kind(deployment): deployment.get("concurrency_limit") for deployment in DEPLOYMENTS}
    scheduled = [kind(deployment) for deployment in DEPLOYMENTS if deployment.get("schedules")]
    assert scheduled == ["weekly"]
    assert limits["weekly"] == limits["backfill"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


@by_name
def test_every_deployment_carries_the_company(deployment: dict[str, Any]) -> None:
    assert deployment["name"].endswith("-{{ company.name }}")
    assert "company.name" in deployment["work_pool"]["work_queue_name"]


def test_registering_again_does_not_wake_a_paused_schedule() -> None:
    schedules = [schedule for deployment in DEPLOYMENTS for schedule in deployment.get("schedules", [])]
    assert schedules
    assert not any("active" in schedule for schedule in schedules), "Prefect would set it again"


def test_every_deployment_has_the_version_of_the_package_and_says_what_it_does() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert {deployment["version"] for deployment in DEPLOYMENTS} == {version}
    assert all(deployment["description"].endswith(".") for deployment in DEPLOYMENTS)


def test_only_known_variables_are_read_and_serving_sets_them() -> None:
    text = (ROOT / "prefect.yaml").read_text("utf-8")
    assert set(re.findall(r"\{\{ \$(\w+) \}\}", text)) == VARIABLES
    serving = (ROOT / "deployments" / "serve.py").read_text("utf-8")
    assert all(f'"{name}":' in serving for name in VARIABLES)


def test_every_flow_of_the_contract_has_a_deployment() -> None:
    deployed = {deployment["entrypoint"].split(":")[0] for deployment in DEPLOYMENTS}
    decorated = {
        f"flows/{path.name}"
        for path in (ROOT / "flows").glob("*.py")
        if any(
            isinstance(node, ast.FunctionDef) and any("flow(" in ast.unparse(d) for d in node.decorator_list)
            for node in ast.parse(path.read_text("utf-8")).body
        )
    }
    assert decorated == deployed
