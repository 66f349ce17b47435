"""A new policy is one new file: no other file of the repository changes.

The test copies the packages, adds a policy, and runs the policy conformance suite and a weekly run with it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.architecture.stranger import LARGEST, changed_files, copy_repository, run_python, weekly_run

pytestmark = pytest.mark.flow

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


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's packages with the new policy."""
    folder = tmp_path_factory.mktemp("stranger")
    copy_repository(folder)
    (folder / NEW_FILE).write_text(POLICY, encoding="utf-8")
    return folder


def test_a_policy_is_one_file_of_at_most_60_lines(copy: Path) -> None:
    assert len(POLICY.splitlines()) <= LARGEST
    assert changed_files(copy) == ({NEW_FILE}, set())


def test_the_conformance_suite_covers_the_new_policy(copy: Path) -> None:
    suite = ("tests/inventory/policies/test_every_policy.py", "tests/inventory/exact/test_shared_limits.py")
    done = run_python(copy, os.environ, "-m", "pytest", *suite, "-q", "-k", "base_stock", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout
    assert int(passed[1]) >= FEWEST_TESTS, done.stdout


def test_a_weekly_run_compares_the_new_policy(copy: Path, tmp_path: Path, prefect_server: dict[str, str]) -> None:
    published = weekly_run(copy, tmp_path, prefect_server, "inventory.policies=[eoq, base_stock]")
    costs = pd.read_csv(published / "costs.csv")
    assert sorted(costs["policy"]) == ["base_stock", "eoq"]
