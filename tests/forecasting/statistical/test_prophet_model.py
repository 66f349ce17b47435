"""Prophet per series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas.facts import ModelContext
from schemas.settings import ProphetSettings
from tasks.forecasting.statistical.prophet_model import (
    ProphetModel,
    _holidays_within,
    _trend_variance,
)
from tasks.forecasting.statistical.series import series_tasks
from tests.forecasting.panels import panel_of

pytestmark = pytest.mark.slow

LEVELS = (0.1, 0.5, 0.9)
FAST = ProphetSettings(cross_validation=False)


def task_of(panel):
    return series_tasks(panel, np.array([0]), 800, True, 0)[0]


def weekly_rhythm(periods, seed=0):
    week = np.array([10.0, 20.0, 30.0, 20.0, 10.0, 50.0, 80.0])
    return 50 + np.resize(week, periods) + np.random.default_rng(seed).normal(0, 2, periods)


def test_the_week_is_found_and_closed_days_are_zero():
    closed = np.zeros((1, 98), dtype=bool)
    closed[0, 6::7] = True
    demand = np.where(closed[0, :84], 0.0, weekly_rhythm(84))
    panel = panel_of(demand, horizon=14, closed=closed)
    found = ProphetModel.from_settings(FAST, ModelContext(LEVELS)).fit(panel, 0).predict(panel, LEVELS)
    assert found.mean[0, 5] == pytest.approx(100, abs=8)
    assert found.mean[0, 6] == 0


def test_a_promotion_known_ahead_lifts_the_forecast():
    promo = (np.arange(98) % 10 < 3).astype(float)
    demand = 50 + 25 * promo[:84] + np.random.default_rng(1).normal(0, 1, 84)
    panel = panel_of(demand, horizon=14, known={"promo": promo})
    found = ProphetModel.from_settings(FAST, ModelContext(LEVELS)).fit(panel, 0).predict(panel, LEVELS).mean[0]
    assert found[promo[84:] == 1].mean() - found[promo[84:] == 0].mean() == pytest.approx(25, abs=4)


def test_holidays_fall_on_the_label_of_their_week():
    weeks = task_of(panel_of(100 + np.arange(60.0), "W-FRI", 8, start="2023-01-06"))
    holidays = _holidays_within("US", weeks)
    christmas = holidays.loc[holidays["holiday"].str.startswith("Christmas Day"), "ds"]
    assert pd.Timestamp("2023-12-22") in set(christmas)
    assert set(holidays["ds"].dt.dayofweek) == {4}


def test_months_and_runs_without_country_have_no_holidays():
    months = task_of(panel_of(100 + np.arange(40.0), "MS", 6))
    assert _holidays_within("US", months) is None
    assert _holidays_within(None, task_of(panel_of(weekly_rhythm(84)))) is None


def test_the_trend_variance_is_that_of_prophets_own_samples():
    """Parity: the closed form against the trend paths that Prophet draws."""
    rng = np.random.default_rng(0)
    slopes = np.repeat(rng.normal(0, 2, 8), 25)
    task = task_of(panel_of(500 + np.cumsum(slopes) + rng.normal(0, 1, 200), horizon=60))
    model, frame = ProphetModel(FAST, None)._fitted(task, 0.5)
    model.uncertainty_samples = 3_000
    state = np.random.get_state()
    np.random.seed(0)
    drawn = model.predictive_samples(frame.iloc[200:])["trend"]
    np.random.set_state(state)
    closed_form = np.sqrt(_trend_variance(model, frame, 60))
    assert closed_form[[20, 40, 59]] == pytest.approx(drawn.std(axis=1)[[20, 40, 59]], rel=0.12)


def test_cross_validation_compares_three_priors_over_two_windows(monkeypatch):
    tried = []
    original = ProphetModel._window

    def recorded(self, task, cutoff, prior):
        tried.append((cutoff, prior))
        return original(self, task, cutoff, prior)

    monkeypatch.setattr(ProphetModel, "_window", recorded)
    steps = np.r_[np.full(42, 50.0), np.full(42, 90.0)]
    panel = panel_of(steps + np.random.default_rng(3).normal(0, 3, 84), horizon=14)
    found = ProphetModel(ProphetSettings(), None).learn(task_of(panel))
    rounded = {(cutoff, round(prior, 9)) for cutoff, prior in tried}
    assert rounded == {(cutoff, prior) for cutoff in (56, 70) for prior in (0.005, 0.05, 0.5)}
    assert round(found.prior, 9) in (0.005, 0.05, 0.5)
    assert 1.0 <= found.widening <= 3.0


def test_a_short_history_keeps_the_set_prior():
    found = ProphetModel(ProphetSettings(params={"changepoint_prior_scale": 0.2}), None).learn(
        task_of(panel_of(weekly_rhythm(30), horizon=14))
    )
    assert (found.prior, found.widening) == (0.2, 1.0)


def test_parameters_of_the_settings_reach_prophet():
    settings = ProphetSettings(params={"seasonality_mode": "multiplicative", "seasonality_prior_scale": 3.0})
    model, _ = ProphetModel(settings, None)._fitted(task_of(panel_of(weekly_rhythm(60))), 0.5)
    assert model.seasonality_mode == "multiplicative"
    assert model.seasonality_prior_scale == 3.0
