"""ARIMA per series: orders, engines, regressors, memory."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.facts import ModelContext
from schemas.settings import ArimaSettings
from tasks.forecasting.statistical.arima import ArimaModel, Order, StatsforecastArima, differences_needed
from tests.forecasting.panels import panel_of

LEVELS = (0.1, 0.5, 0.9)


def autoregression(periods: int, phi: float = 0.8, level: float = 100.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.empty(periods)
    state = 0.0
    for at in range(periods):
        state = phi * state + rng.normal(0, 3)
        values[at] = level + state
    return values


def forecast(panel, **settings):
    forecaster = ArimaModel.from_settings(ArimaSettings(**settings), ModelContext(LEVELS))
    return forecaster.fit(panel, 0).predict(panel, LEVELS)


@pytest.mark.parametrize("engine", ["statsforecast", "pmdarima"])
def test_an_autoregression_returns_to_its_level(engine):
    values = autoregression(40)
    found = forecast(panel_of(values, "MS", 6), engine=engine)
    assert not found.failed
    assert found.mean[0, -1] == pytest.approx(values.mean(), abs=8)
    assert 3 < found.quantiles[0, 0, 2] - found.quantiles[0, 0, 0] < 16


def test_both_engines_estimate_the_same_model():
    """Parity: the same order on the same series, by two independent libraries."""
    from tasks.forecasting.statistical.arima import PmdarimaArima
    from tasks.forecasting.statistical.series import series_tasks

    task = series_tasks(panel_of(autoregression(60), "MS", 6), np.array([0]), 200, True, 0)[0]
    short = task.cut(20, 6)  # too short for month dummies: no regressors in either engine
    order = Order((1, 0, 0), (0, 0, 0), 1, True)
    fast, _ = StatsforecastArima(200).forecast(short, LEVELS, order)
    slow, _ = PmdarimaArima(200).forecast(short, LEVELS, order)
    assert fast == pytest.approx(slow, rel=0.02)


def test_a_unit_root_is_differenced_once():
    noise = [np.random.default_rng(seed).normal(size=200) for seed in range(20)]
    assert sum(differences_needed(np.cumsum(values)) for values in noise) >= 17
    assert sum(differences_needed(values) for values in noise) == 0


def test_orders_are_found_once_and_remembered():
    panel = panel_of(autoregression(90))
    forecaster = ArimaModel.from_settings(ArimaSettings(), ModelContext(LEVELS))
    first = forecaster.fit(panel.until(70), 0)
    last = first.refit(panel, 0)
    assert first.structures == last.structures
    assert str(next(iter(first.structures.values()))) in first.predict(panel.until(70), LEVELS).notes[0]


def test_a_series_too_short_on_the_first_fold_is_searched_later():
    forecaster = ArimaModel.from_settings(ArimaSettings(), ModelContext(LEVELS))
    late = np.r_[np.full(60, np.nan), autoregression(30)]
    panel = panel_of(np.array([autoregression(90), late]))
    first = forecaster.fit(panel.until(64), 0)
    assert 1 in first.predict(panel.until(64), LEVELS).failed
    assert not first.refit(panel, 0).predict(panel, LEVELS).failed


def test_a_promotion_known_ahead_lifts_the_forecast():
    promo = (np.arange(91) % 10 < 3).astype(float)
    values = autoregression(84) + 40 * promo[:84]
    found = forecast(panel_of(values, known={"promo": promo}))
    ahead = promo[84:] == 1
    assert found.mean[0, ahead].mean() - found.mean[0, ~ahead].mean() == pytest.approx(40, abs=8)


@pytest.mark.parametrize("engine", ["statsforecast", "pmdarima"])
def test_holes_are_bridged(engine):
    values = autoregression(50)
    values[[3, 10, 11, 12, 30, 48, 49]] = np.nan
    found = forecast(panel_of(values, "MS", 4), engine=engine)
    assert not found.failed
    assert found.mean[0] == pytest.approx(np.full(4, 100), abs=20)


def test_orders_are_written_as_usual():
    assert str(Order((3, 1, 5), (0, 0, 0), 1, False)) == "(3,1,5)"
    assert str(Order((1, 0, 1), (0, 1, 1), 7, False)) == "(1,0,1)(0,1,1)[7]"


def test_one_odd_period_does_not_move_the_forecast():
    values = autoregression(84)
    odd = values.copy()
    odd[50] = 1_000_000.0
    assert forecast(panel_of(odd)).mean[0] == pytest.approx(forecast(panel_of(values)).mean[0], rel=0.15)
