"""The import directions of the rooms, as contracts in pyproject.toml, hold and are able to fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "tasks", "flows", "deployments")
# A file that breaks a contract, by the contract's name.
OFFENCES = {
    "Imports point one way: schemas <- tasks <- flows <- deployments": ("schemas/offence.py", "import tasks.storage"),
    "Inside tasks: stages above performance and answers above rooms above storage": (
        "tasks/storage/offence.py",
        "import tasks.stages",
    ),
    "Rooms meet in schemas, not in each other": ("tasks/inventory/offence.py", "import tasks.demand"),
    "No Prefect in schemas, rooms and answers": ("tasks/demo/offence.py", "def late():\n    from prefect import task"),
    "The app's data know no web framework": ("tasks/app/data/offence.py", "import flask"),
    "AWS is reached through storage alone": ("tasks/stages/offence.py", "import boto3"),
    "Flows hold no arithmetic": ("flows/other_offence.py", "import numpy as np"),
}


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def _contracts() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def test_every_import_points_the_right_way() -> None:
    done = _lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_contract_notices_an_offence(tmp_path: Path) -> None:
    assert set(OFFENCES) == set(_contracts())
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, text in OFFENCES.values():
        (tmp_path / file).write_text(text + "\n", encoding="utf-8")
    report = _lint_imports(tmp_path).stdout
    kept = [name for name in OFFENCES if f"{name} BROKEN" not in report]
    assert not kept, report


@pytest.mark.parametrize("package", ["tasks"])
def test_the_package_of_the_rooms_runs_nothing_when_imported(package: str) -> None:
    assert (ROOT / package / "__init__.py").read_text("utf-8") == ""
