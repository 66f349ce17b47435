"""A new model is one new file and a settings class with a field in one other file; a new policy is one new file.

The test copies the packages, adds a global model and a policy, and runs both conformance suites and a weekly run with
them.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.architecture.stranger import LARGEST, changed_files, copy_repository, run_python, weekly_run

pytestmark = pytest.mark.flow

# Of a model: forecasts at three frequencies and the ordinary series (6), repetition, leakage, replay, description (4).
FEWEST_TESTS_OF_A_MODEL = 10
# Of a policy: shape, weeks and determinism (4), service level (2), facts, shared limits (2).
FEWEST_TESTS_OF_A_POLICY = 9
SUITES = (
    "tests/forecasting/test_every_forecaster.py",
    "tests/inventory/policies/test_every_policy.py",
    "tests/inventory/exact/test_shared_limits.py",
)
SETTINGS_FILE = "schemas/settings/models.py"
MODEL_FILE = "tasks/forecasting/statistical/pooled_blend.py"
# Nothing but the new model brings this package into the manifest.
PACKAGE = "threadpoolctl"
SETTINGS = '''class PooledBlendSettings(Strict):
    """Blend of season and recent mean, with one weight for all series."""

    ridge: float = Field(default=1.0, ge=0, description="Penalty on the weight of the season")


'''
FIELD = "    pooled_blend: PooledBlendSettings | None = None\n"
MODEL = '''"""A blend of last season and recent mean, with one weight for all series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.facts import ModelContext, ModelFacts, Scope
from schemas.panel import FloatArray, Forecast, Panel
from schemas.settings.models import PooledBlendSettings
from tasks.forecasting.baselines import AVERAGE_WINDOW, NO_HISTORY, last_mean, open_demand, seasonal_point
from tasks.forecasting.quantiles import tidy


@dataclass(frozen=True)
class PooledBlend:
    """Forecast = recent mean + weight x (last season - recent mean)."""

    facts = ModelFacts(
        name="pooled_blend",
        label="Pooled blend",
        description="Blend of last season and recent mean, with one weight for all series",
        scope=Scope.GLOBAL,
        replayable=True,
        packages=("threadpoolctl",),
    )
    name = facts.name
    ridge: float

    @classmethod
    def from_settings(cls, settings: PooledBlendSettings, context: ModelContext) -> PooledBlend:  # noqa: ARG003
        return cls(settings.ridge)

    def fit(self, panel: Panel, seed: int) -> FittedBlend:  # noqa: ARG002
        x, level, scale = _parts(panel.until(panel.history - panel.horizon))
        y = (open_demand(panel)[:, -panel.horizon :] - level) / scale
        x, y = x[np.isfinite(x + y)], y[np.isfinite(x + y)]
        weight = float(np.clip((x * y).sum() / max((x * x).sum() + self.ridge, 1e-9), 0.0, 1.0))
        return FittedBlend(weight, np.append(y - weight * x, 0.0))


@dataclass(frozen=True)
class FittedBlend:
    weight: float
    errors: FloatArray

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        x, level, scale = _parts(panel)
        mean = np.nan_to_num(level + scale * self.weight * x)
        spread = mean[..., None] + scale[..., None] * np.quantile(self.errors, list(quantiles))
        failed = dict.fromkeys(np.flatnonzero(np.isnan(level[:, 0])).tolist(), NO_HISTORY)
        return Forecast(*tidy(mean, spread, panel.closed[:, panel.history : panel.history + panel.horizon]), failed)


def _parts(panel: Panel) -> tuple[FloatArray, FloatArray, FloatArray]:
    level = last_mean(history := open_demand(panel), AVERAGE_WINDOW[panel.frequency.kind])[:, None]
    scale = np.where(level > 0, level, 1.0)
    return (seasonal_point(history, panel.horizon, panel.frequency) - level) / scale, level, scale
'''


POLICY_FILE = "tasks/inventory/policies/base_stock.py"
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
    """The repository's packages with the new model and the new policy."""
    folder = tmp_path_factory.mktemp("stranger")
    copy_repository(folder)
    (folder / MODEL_FILE).write_text(MODEL, encoding="utf-8")
    (folder / POLICY_FILE).write_text(POLICY, encoding="utf-8")
    settings = folder / SETTINGS_FILE
    text = settings.read_text("utf-8")
    place = "class ModelsSettings(Strict):\n"
    field = "    ensemble: EnsembleSettings | None = "
    assert text.count(place) == text.count(field) == 1
    settings.write_text(text.replace(place, SETTINGS + place).replace(field, FIELD + field), encoding="utf-8")
    return folder


def test_each_is_one_file_of_at_most_60_lines_and_the_model_has_a_settings_class(copy: Path) -> None:
    assert len(MODEL.splitlines()) <= LARGEST
    assert len(POLICY.splitlines()) <= LARGEST
    assert changed_files(copy) == ({MODEL_FILE, POLICY_FILE}, {SETTINGS_FILE})


def test_the_conformance_suites_cover_the_new_model_and_the_new_policy(copy: Path) -> None:
    wanted = ("-k", "pooled_blend or base_stock", "-v", "-p", "no:cacheprovider", "-n", "0")
    done = run_python(copy, os.environ, "-m", "pytest", *SUITES, *wanted)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r"^(tests\S+)::.*(pooled_blend|base_stock).* PASSED", done.stdout, re.MULTILINE)
    of_model = [name for name, new in passed if new == "pooled_blend"]
    of_policy = [name for name, new in passed if new == "base_stock"]
    assert len(of_model) >= FEWEST_TESTS_OF_A_MODEL, done.stdout
    assert len(of_policy) >= FEWEST_TESTS_OF_A_POLICY, done.stdout
    assert {*of_model, *of_policy} == set(SUITES)


def test_a_weekly_run_forecasts_replays_and_plans_with_them(
    copy: Path, tmp_path: Path, prefect_server: dict[str, str]
) -> None:
    given = ("models={pooled_blend: {}}", "inventory.holding_cost=20", "inventory.policies=[eoq, base_stock]")
    published = weekly_run(copy, tmp_path, prefect_server, *given)
    forecast = pd.read_parquet(published / "forecast.parquet")
    assert set(forecast["model"].astype(str)) == {"seasonal_naive", "moving_average", "pooled_blend"}
    assert PACKAGE in json.loads((published / "manifest.json").read_text("utf-8"))["packages"]
    lake = published.parents[1]
    assert (lake / "records" / "calibration-forecasts-pooled_blend").is_dir()
    assert sorted(pd.read_csv(published / "costs.csv")["policy"]) == ["base_stock", "eoq"]
