"""Forecasts of folds: why a series has no forecast."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.facts import FailureKind
from tasks.forecasting.baselines import SeasonalNaive
from tasks.forecasting.fold_forecasts import forecast_folds
from tests.forecasting.panels import panel_of


def test_the_parts_of_the_live_forecast_are_kept_with_the_name_of_the_model() -> None:
    class Explained:
        name = "explained"

        def fit(self, panel, seed):
            return self

        def predict(self, panel, quantiles):
            return SeasonalNaive().fit(panel, 1).predict(panel, quantiles)

        def parts(self, panel):
            return pd.DataFrame({c.PART: ["level"], c.UNITS: [float(panel.history)]})

    kept: list[pd.DataFrame] = []
    panel, folds = panel_of(np.full((1, 10), 5.0), horizon=4), [SimpleNamespace(known_periods=5)]
    forecast_folds(Explained(), panel, folds, True, [0.5], 1, keep_parts=kept.append)
    assert [frame.to_dict("records") for frame in kept] == [[{"part": "level", "units": 10.0, "model": "explained"}]]


def test_a_series_with_insufficient_history_for_a_fold_is_distinguished_from_a_defect() -> None:
    demand = np.full((1, 10), 5.0)
    demand[0, :8] = np.nan
    folds = [SimpleNamespace(known_periods=5)]
    _, failures, _ = forecast_folds(SeasonalNaive(), panel_of(demand, horizon=4), folds, True, [0.5], 1)
    assert [failure.kind for failure in failures] == [FailureKind.NO_HISTORY]
