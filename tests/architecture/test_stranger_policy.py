"""A new policy is one new file: no other file of the repository changes.

The test copies the packages, adds a policy, and runs the policy conformance suite and a weekly run with it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from tests.flows import mini_company

pytestmark = pytest.mark.flow

ROOT = Path(__file__).parents[2]
COPIED = ("schemas", "tasks", "flows", "deployments", "tests", "pyproject.toml", "prefect.yaml")
LARGEST = 60
# Shape, weeks and determinism (4), service level (2), facts, shared limits (2).
FEWEST_TESTS = 9
NEW_FILE = "tasks/inventory/policies/base_stock.py"
POLICY = '''"""Base stock: one level per store and category, from the mean and a safety factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from schemas.facts import PolicyFacts
from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.model.delivery_days import review_visits


def base_stock(mean: FloatArray, periods: int) -> FloatArray:
    """Level S = μ · R + 2 · √(μ · R): two standard deviations of a Poisson count above its mean.

    >>> base_stock(np.array([1.0]), 4)
    array([8.])
    """
    return np.ceil(mean * periods + 2 * np.sqrt(mean * periods))


@dataclass(frozen=True)
class BaseStockPolicy:
    """Fill up to S at every review delivery."""

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="base_stock",
        label="base stock",
        formula="S = μ · R + 2 · √(μ · R)",
        source="Poisson approximation",
    )

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide deliveries and levels."""
        visits = review_visits(problem)
        between = problem.settings.review_period + problem.settings.lead_time
        level = base_stock(problem.mean.mean(axis=1), between)
        return Plan(visits, np.where(visits[problem.series_store], level[:, None], 0.0))
'''


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for name in COPIED
        for path in [folder / name, *(folder / name).rglob("*")]
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's packages with the new policy."""
    folder = tmp_path_factory.mktemp("stranger")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            # Compiled kernels come along: they are looked up by the time at which a source file was changed.
            shutil.copytree(source, folder / name)
        else:
            shutil.copy2(source, folder / name)
    (folder / NEW_FILE).write_text(POLICY, encoding="utf-8")
    return folder


def _run(copy: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env={**environment, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_a_policy_is_one_file_of_at_most_60_lines(copy: Path) -> None:
    assert len(POLICY.splitlines()) <= LARGEST
    before, after = _files(ROOT), _files(copy)
    assert {name for name in after if before.get(name) != after[name]} == {NEW_FILE}


def test_the_conformance_suite_covers_the_new_policy(copy: Path) -> None:
    suite = ("tests/inventory/policies/test_every_policy.py", "tests/inventory/exact/test_shared_limits.py")
    done = _run(copy, os.environ, "-m", "pytest", *suite, "-q", "-k", "base_stock", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout
    assert int(passed[1]) >= FEWEST_TESTS, done.stdout


def test_a_weekly_run_compares_the_new_policy(copy: Path, tmp_path: Path) -> None:
    settings = mini_company.write(tmp_path / "company")
    policies = "inventory.policies=[eoq, base_stock]"
    arguments = ("-m", "flows", "weekly", "--settings", str(settings), "--as-of", mini_company.AS_OF, "--set", policies)
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path / "prefect"), "DO_NOT_TRACK": "1"}
    environment.pop("PREFECT_API_URL", None)
    done = _run(copy, environment, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    costs = pd.read_csv(settings.parent / "lake" / "runs" / mini_company.AS_OF / "costs.csv")
    assert sorted(costs["policy"]) == ["base_stock", "eoq"]
