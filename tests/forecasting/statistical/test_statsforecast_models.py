"""Croston, TSB, Theta and ETS against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.facts import ModelContext
from schemas.settings import LocalModelSettings
from tasks.forecasting.registry import create
from tests.forecasting.panels import panel_of

LEVELS = (0.1, 0.5, 0.9)


def forecast(name, panel):
    return create(name, LocalModelSettings(), ModelContext(LEVELS)).fit(panel, 0).predict(panel, LEVELS)


def croston_sba(demand: np.ndarray, alpha: float = 0.1) -> float:
    """Croston's recursions with Syntetos and Boylan's factor, straight from the papers."""
    sales = np.flatnonzero(demand > 0)
    intervals = np.diff(np.r_[-1, sales])
    size, interval = demand[sales[0]], float(intervals[0])
    for at, gap in zip(sales[1:], intervals[1:], strict=True):
        size += alpha * (demand[at] - size)
        interval += alpha * (gap - interval)
    return (1 - alpha / 2) * size / interval


def tsb(demand: np.ndarray, alpha_size: float = 0.1, alpha_chance: float = 0.1) -> float:
    """Teunter, Syntetos and Babai's recursions."""
    size, chance = demand[demand > 0][0], float(demand[0] > 0)
    sizes = [value for value in demand if value > 0]
    for value in sizes[1:]:
        size += alpha_size * (value - size)
    for value in demand[1:]:
        chance += alpha_chance * (float(value > 0) - chance)
    return size * chance


@pytest.fixture
def sparse() -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.where(rng.random(80) < 0.25, rng.integers(1, 6, 80), 0).astype(float)


def test_croston_by_hand():
    demand = np.array([2.0, 0.0, 0.0, 4.0, 0.0, 3.0])
    # sizes 2, 2.2, 2.28; intervals 1, 1.2, 1.28; 0.95 * 2.28 / 1.28
    assert forecast("croston", panel_of(demand)).mean[0] == pytest.approx(np.full(7, 1.6921875))
    assert croston_sba(demand) == pytest.approx(1.6921875)


@pytest.mark.parametrize(("name", "formula"), [("croston", croston_sba), ("tsb", tsb)])
def test_intermittent_models_follow_their_formula(name, formula, sparse):
    found = forecast(name, panel_of(sparse))
    assert found.mean[0] == pytest.approx(np.full(7, formula(sparse)), rel=1e-4)
    assert not found.failed


def test_the_rate_of_an_ended_article_falls_with_tsb_alone(sparse):
    ended = np.r_[sparse, np.zeros(40)]
    assert forecast("tsb", panel_of(ended)).mean[0, 0] < 0.05
    assert forecast("croston", panel_of(ended)).mean[0, 0] > 0.3


def test_sparse_demand_has_a_median_of_zero(sparse):
    found = forecast("tsb", panel_of(sparse))
    assert found.quantiles[0, 0, 1] < 0.3
    assert found.quantiles[0, 0, 2] > 1


def test_unknown_periods_are_no_zeros():
    demand = np.tile([4.0, np.nan], 30)
    demand[10] = 5.0
    assert forecast("croston", panel_of(demand)).mean[0, 0] == pytest.approx(0.95 * 4, rel=0.03)


@pytest.mark.parametrize("name", ["theta", "ets"])
def test_smoothing_models_keep_the_week(name):
    week = np.array([10.0, 20.0, 30.0, 20.0, 10.0, 50.0, 80.0])
    demand = np.tile(week, 12) + np.random.default_rng(0).normal(0, 0.5, 84)
    found = forecast(name, panel_of(demand, horizon=14))
    assert found.mean[0] == pytest.approx(np.tile(week, 2), abs=3)


def test_ets_without_season_is_exponential_smoothing():
    """Parity: ETS(A,N,N) on a random walk with noise forecasts the smoothed level of its alpha."""
    rng = np.random.default_rng(3)
    months = 500 + np.cumsum(rng.normal(0, 6, 30)) + rng.normal(0, 3, 30)
    found = forecast("ets", panel_of(months, "MS", 6))
    assert np.ptp(found.mean[0]) < 60
    assert found.mean[0, 0] == pytest.approx(months[-3:].mean(), rel=0.05)


def test_intervals_widen_with_the_lead():
    rng = np.random.default_rng(3)
    walk = 500 + np.cumsum(rng.normal(0, 6, 200))
    found = forecast("theta", panel_of(walk, horizon=14))
    width = found.quantiles[0, :, 2] - found.quantiles[0, :, 0]
    assert width[-1] > 1.5 * width[0]
