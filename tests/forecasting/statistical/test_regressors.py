"""Regressors of single series, and how a series is cut out of a panel."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.forecasting.statistical.regressors import regress_out, regressor_columns, ridge
from tasks.forecasting.statistical.series import fill_gaps, series_seed, series_tasks
from tests.forecasting.panels import panel_of


def task_of(panel, max_history=400, features=True):
    return series_tasks(panel, np.array([0]), max_history, features, 0)[0]


def noise(periods, seed=0):
    return np.random.default_rng(seed).normal(0, 1, periods)


def test_week_and_promotion_are_told_apart():
    week = np.tile([0.0, 5, 10, 5, 0, 20, 30], 13)
    promo = (np.random.default_rng(9).random(91) < 0.3).astype(float)
    values = 50 + week[:84] + 15 * promo[:84] + noise(84)
    found = regress_out(task_of(panel_of(values, known={"promo": promo})), 6)
    assert found.names == ("promo",)
    expected = week + 15 * promo
    assert found.future - found.future.mean() == pytest.approx(expected[84:] - expected[84:].mean(), abs=2.5)


def test_features_that_explain_nothing_stay_out():
    useless = (np.random.default_rng(4).random(91) < 0.3).astype(float)
    found = regress_out(task_of(panel_of(50 + noise(84), known={"useless": useless})), 6)
    assert found.names == ()


def test_date_features_and_distances_are_not_offered():
    values = {"time_weekday": np.arange(91) % 7, "event_next": np.arange(91) % 5, "event": np.arange(91) % 2}
    assert task_of(panel_of(noise(84) + 5, known=values)).names == ("event",)


def test_columns_are_independent_even_when_features_repeat():
    promo = (np.arange(91) % 5 == 0).astype(float)
    panel = panel_of(20 + 9 * promo[:84] + noise(84), known={"a": promo, "b": promo, "c": 1 - promo})
    columns, names = regressor_columns(task_of(panel), 6)
    assert len(names) == 1
    assert np.linalg.matrix_rank(columns[:84]) == columns.shape[1]


def test_the_trend_stays_in_the_series():
    values = 10 + 2.0 * np.arange(84) + noise(84)
    found = regress_out(task_of(panel_of(values)), 6)
    assert np.abs(found.history).max() < 2


def test_the_price_is_the_one_known_before_the_period():
    price = np.where(np.arange(84) < 40, 10.0, 8.0)
    price[83] = 1.0  # known at the end of the last period only: serves the horizon, not the last period
    values = 100 - 5 * np.r_[price[:1], price[:-1]] + noise(84)
    columns, _ = regressor_columns(task_of(panel_of(values, price=price)), 6)
    last = columns[:, -1]
    assert last[83] == pytest.approx(last[82])
    assert len(set(last[84:].round(9))) == 1
    assert last[84] != pytest.approx(last[83])


def test_ridge_agrees_with_least_squares():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(300, 3))
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    values = 7 + 0.01 * np.arange(300) + columns @ [3.0, -2.0, 1.0] + rng.normal(0, 0.1, 300)
    free = np.stack([np.ones(300), np.arange(300)], axis=1)
    expected = np.linalg.lstsq(np.concatenate([free, columns], axis=1), values, rcond=None)[0][2:]
    assert ridge(values, columns) == pytest.approx(expected, rel=0.01)


def test_gaps_are_filled_from_the_same_weekday():
    values = np.tile([1.0, 2, 3, 4, 5, 6, 7], 5)
    holed = values.copy()
    holed[[8, 16, 24]] = np.nan
    assert fill_gaps(holed, 7) == pytest.approx(values)


def test_a_weekday_never_known_is_filled_from_its_neighbors():
    values = np.tile([4.0, 4, 4, 4, 4, 4, np.nan], 5)
    assert np.isfinite(fill_gaps(values, 7)).all()
    assert fill_gaps(values, 7)[6] == 4.0


def test_a_task_ends_at_the_last_known_period_and_leads_to_the_horizon():
    values = np.arange(30.0)
    values[:4] = np.nan
    values[27:] = np.nan
    task = task_of(panel_of(values, horizon=7), max_history=10)
    assert task.values.tolist() == list(range(17, 27))
    assert task.lead == 3 + 7
    assert len(task.labels) == 20


def test_history_before_a_long_hole_is_left_out_where_enough_follows():
    values = np.r_[np.full(100, 500.0), np.full(60, np.nan), 10 + noise(80)]
    assert len(task_of(panel_of(values)).values) == 80
    short = np.r_[np.full(100, 500.0), np.full(60, np.nan), 10 + noise(20)]
    assert len(task_of(panel_of(short)).values) == 180


def test_the_seed_of_a_series_follows_from_its_key_alone():
    assert series_seed(("a", "b"), 7) == series_seed(("a", "b"), 7)
    assert len({series_seed(("a", "b"), 7), series_seed(("ab", ""), 7), series_seed(("a", "b"), 8)}) == 3
