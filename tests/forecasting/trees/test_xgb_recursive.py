"""What is special to the step-by-step model; what it shares with the direct one is tested there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.panel import Forecast, Panel
from schemas.settings import XgboostLagsSettings, XgboostRecursiveSettings
from tasks.forecasting.trees.lags import XgboostLagsForecaster
from tasks.forecasting.trees.recursive import XgboostRecursiveForecaster
from tests.forecasting.panels import panel_of

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
SMALL = XgboostRecursiveSettings(max_rows=4_000, max_rounds=60)
PERIODS, HORIZON = 140, 14


def forecast(panel: Panel) -> Forecast:
    return XgboostRecursiveForecaster(SMALL, LEVELS).fit(panel, 3).predict(panel, LEVELS)


def test_one_step_ahead_it_is_the_model_on_lags():
    panel = panel_of(np.random.default_rng(2).poisson(4.0, (30, PERIODS)).astype(float), horizon=1)
    same = XgboostLagsForecaster(XgboostLagsSettings(max_rows=4_000, max_rounds=60), LEVELS).fit(panel, 3)
    direct, stepped = same.predict(panel, LEVELS), forecast(panel)
    assert stepped.mean == pytest.approx(direct.mean)
    assert stepped.quantiles == pytest.approx(direct.quantiles)


def test_a_rhythm_that_only_its_own_lags_tell_is_carried_through_the_horizon():
    # Up and down every third day, out of step with any calendar: each series begins at a different place.
    rng = np.random.default_rng(6)
    n = 30
    place = (np.arange(PERIODS + HORIZON)[None, :] + np.arange(n)[:, None]) % 3
    truth = np.where(place == 0, 90.0, 30.0)
    panel = panel_of(truth[:, :PERIODS] * rng.lognormal(0, 0.05, (n, PERIODS)), horizon=HORIZON)
    error = np.abs(forecast(panel).mean - truth[:, PERIODS:]) / truth[:, PERIODS:]
    assert error.mean(axis=0).max() < 0.15


def test_quantiles_spread_with_the_steps():
    walk = np.random.default_rng(8).normal(0, 3, (40, PERIODS)).cumsum(axis=1) + 100
    dispersion = np.diff(forecast(panel_of(np.maximum(walk, 0), horizon=HORIZON)).quantiles[:, :, [0, -1]], axis=2)[
        ..., 0
    ]
    assert np.median(dispersion[:, -1]) > 1.5 * np.median(dispersion[:, 0])


def test_closed_days_are_nothing_to_go_on_from():
    demand = np.random.default_rng(3).poisson(20.0, (20, PERIODS)).astype(float)
    panel = panel_of(demand, horizon=HORIZON)
    closed = panel.closed.copy()
    closed[:, PERIODS : PERIODS + 3] = True
    found = forecast(replace(panel, closed=closed))
    assert (found.mean[:, :3] == 0).all()
    # Taken as sold, three days of nothing would pull down what follows.
    assert found.mean[:, 3].mean() == pytest.approx(20.0, rel=0.15)
