from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.panel import Forecast, KnownFeature, Panel
from schemas.settings import XgboostLagsSettings, XgboostRecursiveSettings
from tasks.forecasting.xgb_boost import NOTHING_LEARNT
from tasks.forecasting.xgb_lags import XgboostLagsForecaster
from tasks.forecasting.xgb_recursive import XgboostRecursiveForecaster
from tests.forecasting.panels import awkward_panel, changed_after, panel_of

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
SMALL = XgboostRecursiveSettings(max_rows=4_000, max_rounds=60)
PERIODS, HORIZON = 140, 14


def forecast(panel: Panel, threads: int = 1) -> Forecast:
    return XgboostRecursiveForecaster(SMALL, LEVELS, threads).fit(panel, 3).predict(panel, LEVELS)


def test_one_step_ahead_it_is_the_model_on_lags():
    panel = panel_of(np.random.default_rng(2).poisson(4.0, (30, PERIODS)).astype(float), horizon=1)
    same = XgboostLagsForecaster(XgboostLagsSettings(max_rows=4_000, max_rounds=60), LEVELS).fit(panel, 3)
    direct, stepped = same.predict(panel, LEVELS), forecast(panel)
    assert stepped.mean == pytest.approx(direct.mean)
    assert stepped.quantiles == pytest.approx(direct.quantiles)


def test_a_rhythm_that_only_its_own_lags_tell_is_carried_through_the_horizon():
    # Up and down every third day, out of step with any calendar: each series begins at a place of its own.
    rng = np.random.default_rng(6)
    n = 30
    place = (np.arange(PERIODS + HORIZON)[None, :] + np.arange(n)[:, None]) % 3
    truth = np.where(place == 0, 90.0, 30.0)
    panel = panel_of(truth[:, :PERIODS] * rng.lognormal(0, 0.05, (n, PERIODS)), horizon=HORIZON)
    error = np.abs(forecast(panel).mean - truth[:, PERIODS:]) / truth[:, PERIODS:]
    assert error.mean(axis=0).max() < 0.15


def test_a_promotion_raises_its_own_step():
    rng = np.random.default_rng(4)
    n = 12
    promo = (rng.random((n, PERIODS + HORIZON)) < 0.3).astype(float)
    demand = np.linspace(20, 200, n)[:, None] * (1 + promo[:, :PERIODS]) * rng.lognormal(0, 0.05, (n, PERIODS))
    panel = panel_of(demand, horizon=HORIZON, known={"promo": promo})
    fitted = XgboostRecursiveForecaster(SMALL, LEVELS).fit(panel, 3)
    values = panel.known["promo"].values.copy()
    values[:, PERIODS:] = 0.0
    without = replace(panel, known={"promo": KnownFeature(values.copy(), np.arange(n))})
    for step in (0, 5, HORIZON - 1):
        ahead = values.copy()
        ahead[:, PERIODS + step] = 1.0
        promoted = replace(panel, known={"promo": KnownFeature(ahead, np.arange(n))})
        ratio = fitted.predict(promoted, LEVELS).mean / fitted.predict(without, LEVELS).mean
        assert ratio[:, step].min() > 1.4
        assert ratio[:, :step] == pytest.approx(1.0, abs=0.2)


def test_quantiles_spread_with_the_steps():
    walk = np.random.default_rng(8).normal(0, 3, (40, PERIODS)).cumsum(axis=1) + 100
    spread = np.diff(forecast(panel_of(np.maximum(walk, 0), horizon=HORIZON)).quantiles[:, :, [0, -1]], axis=2)[..., 0]
    assert np.median(spread[:, -1]) > 1.5 * np.median(spread[:, 0])


def test_closed_days_are_nothing_to_go_on_from():
    demand = np.random.default_rng(3).poisson(20.0, (20, PERIODS)).astype(float)
    panel = panel_of(demand, horizon=HORIZON)
    closed = panel.closed.copy()
    closed[:, PERIODS : PERIODS + 3] = True
    found = forecast(replace(panel, closed=closed))
    assert (found.mean[:, :3] == 0).all()
    # Taken as sold, three days of nothing would pull down what follows.
    assert found.mean[:, 3].mean() == pytest.approx(20.0, rel=0.15)


def test_the_future_of_demand_changes_nothing_and_threads_neither():
    panel = awkward_panel("D")
    cutoff = panel.history - panel.horizon
    told, untold = forecast(changed_after(panel, cutoff).until(cutoff)), forecast(panel.until(cutoff), threads=2)
    assert np.array_equal(told.quantiles, untold.quantiles)
    assert np.array_equal(told.mean, untold.mean)


def test_too_little_to_learn_from_falls_back_visibly():
    found = forecast(panel_of(np.arange(6.0), horizon=2))
    assert found.failed == {0: NOTHING_LEARNT}
    assert np.isfinite(found.mean).all()
