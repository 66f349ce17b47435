"""A new model is one new file, and a settings class with a field in one other file.

The test copies the packages, adds a global model, and runs the conformance suite and a weekly run with it.
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

# Forecasts at three frequencies and the ordinary series (6), repetition, leakage, replay, description (4).
FEWEST_TESTS = 10
SETTINGS_FILE = "schemas/settings/models.py"
NEW_FILE = "tasks/forecasting/statistical/pooled_blend.py"
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


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's packages with the new model."""
    folder = tmp_path_factory.mktemp("stranger")
    copy_repository(folder)
    (folder / NEW_FILE).write_text(MODEL, encoding="utf-8")
    settings = folder / SETTINGS_FILE
    text = settings.read_text("utf-8")
    place = "class ModelsSettings(Strict):\n"
    field = "    ensemble: EnsembleSettings | None = "
    assert text.count(place) == text.count(field) == 1
    settings.write_text(text.replace(place, SETTINGS + place).replace(field, FIELD + field), encoding="utf-8")
    return folder


def test_a_model_is_one_file_of_at_most_60_lines_and_a_settings_class(copy: Path) -> None:
    assert len(MODEL.splitlines()) <= LARGEST
    assert changed_files(copy) == ({NEW_FILE}, {SETTINGS_FILE})


def test_the_conformance_suite_covers_the_new_model(copy: Path) -> None:
    suite = ("tests/forecasting/test_every_forecaster.py", "-k", "pooled_blend", "-q", "-p", "no:cacheprovider")
    done = run_python(copy, os.environ, "-m", "pytest", *suite)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout
    assert int(passed[1]) >= FEWEST_TESTS, done.stdout


def test_a_weekly_run_forecasts_and_replays_with_the_new_model(
    copy: Path, tmp_path: Path, prefect_server: dict[str, str]
) -> None:
    published = weekly_run(copy, tmp_path, prefect_server, "models={pooled_blend: {}}", "inventory.holding_cost=20")
    forecast = pd.read_parquet(published / "forecast.parquet")
    assert set(forecast["model"].astype(str)) == {"seasonal_naive", "moving_average", "pooled_blend"}
    assert PACKAGE in json.loads((published / "manifest.json").read_text("utf-8"))["packages"]
    lake = published.parents[1]
    assert (lake / "records" / "calibration-forecasts-pooled_blend").is_dir()
