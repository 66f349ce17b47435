"""Forecasts of folds: why a series has no forecast."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from schemas.facts import FailureKind
from tasks.forecasting.baselines import SeasonalNaive
from tasks.forecasting.fold_forecasts import forecast_folds
from tests.forecasting.panels import panel_of


def test_a_series_with_insufficient_history_for_a_fold_is_distinguished_from_a_defect() -> None:
    demand = np.full((1, 10), 5.0)
    demand[0, :8] = np.nan
    folds = [SimpleNamespace(known_periods=5)]
    _, failures, _ = forecast_folds(SeasonalNaive(), panel_of(demand, horizon=4), folds, True, [0.5], 1)
    assert [failure.kind for failure in failures] == [FailureKind.NO_HISTORY]
