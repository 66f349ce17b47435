"""Weights of the ensemble by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tasks.evaluation.backtest.rows import read_rows
from tasks.evaluation.metrics.aggregation import fold_grid
from tasks.evaluation.ranking import SelectionRule
from tasks.evaluation.selection.weights import WeightRule, ensemble_weights

LIVE = pd.Timestamp("2025-01-01")
SELECTION = SelectionRule(loss="wape", covariate_free=frozenset({"moving_average", "tsb"}))


def weights_of(backtest, quantiles, rule=None, horizons=2.0):
    return ensemble_weights(fold_grid(read_rows(backtest, quantiles)), SELECTION, LIVE, horizons, rule)


def test_a_model_that_loses_a_tenth_more_weighs_half_and_one_with_double_loss_is_dropped(backtest_of, quantiles):
    actual = np.full((1, 4, 5), 100.0)
    found = weights_of(backtest_of(actual, {"a": actual + 10, "b": actual + 11, "c": actual + 20}), quantiles)[LIVE]
    assert found == {"a": 1.0, "b": pytest.approx(1.1**-8)}


def test_the_ensemble_has_two_members_if_a_second_model_has_covariates(backtest_of, quantiles):
    actual = np.full((1, 4, 5), 100.0)
    poor = {"a": actual + 10, "b": actual + 30, "c": actual + 40, "moving_average": actual + 20}
    assert weights_of(backtest_of(actual, poor), quantiles)[LIVE] == {"a": 1.0, "b": 0.3}
    without = {name: values for name, values in poor.items() if name in ("a", "moving_average")}
    assert weights_of(backtest_of(actual, without), quantiles)[LIVE] == {"a": 1.0}


def test_a_single_horizon_says_less_about_which_model_is_best(backtest_of, quantiles):
    actual = np.full((1, 4, 5), 100.0)
    table = backtest_of(actual, {"a": actual + 10, "b": actual + 11, "c": actual + 20})
    assert weights_of(table, quantiles, horizons=1.0)[LIVE] == {"a": 1.0, "b": pytest.approx(1.1**-4)}
    assert weights_of(table, quantiles, horizons=9.0) == weights_of(table, quantiles)


@pytest.mark.parametrize("scale", [1e-4, 5.0])
def test_weights_do_not_depend_on_the_size_of_the_losses(backtest_of, quantiles, scale):
    actual = np.full((1, 4, 5), 100.0)
    table = backtest_of(actual, {"a": actual + 10 * scale, "b": actual + 11 * scale})
    assert weights_of(table, quantiles)[LIVE] == {"a": 1.0, "b": pytest.approx(1.1**-8)}


def test_a_fold_is_weighed_by_the_others(backtest_of, quantiles):
    actual = np.full((2, 3, 4), 100.0)
    first = np.array([1.0, 9.0])[:, None, None]
    table = backtest_of(actual, {"a": actual + first, "b": actual + first[::-1]}, step=4)
    found = weights_of(table, quantiles)
    early, late = sorted(cutoff for cutoff in found if cutoff != LIVE)
    assert found[early] == {"b": 1.0, "a": 0.3}
    assert found[late] == {"a": 1.0, "b": 0.3}
    assert found[LIVE] == {"a": 1.0, "b": 1.0}


def test_a_single_fold_is_judged_with_the_weights_of_the_forecast(backtest_of, quantiles):
    actual = np.full((1, 3, 4), 100.0)
    found = weights_of(backtest_of(actual, {"a": actual + 10, "b": actual + 11}), quantiles)
    assert found[min(found)] == found[LIVE] == {"a": 1.0, "b": pytest.approx(1.1**-8)}


def test_a_model_of_some_series_is_compared_with_the_others_there(backtest_of, quantiles):
    actual = np.full((1, 4, 5), 100.0)
    hard = actual + np.array([1.0, 1.0, 44.0, 44.0])[:, None]
    some = actual + np.array([np.nan, np.nan, 40.0, 40.0])[:, None]
    found = weights_of(backtest_of(actual, {"all": hard, "some": some}), quantiles)[LIVE]
    assert found["some"] == 1.0
    assert found["all"] == pytest.approx((44 / 40) ** -8)


def test_without_any_known_actual_all_weights_are_equal(backtest_of, quantiles):
    actual = np.full((1, 2, 3), np.nan)
    found = weights_of(backtest_of(actual, {"a": np.ones((1, 2, 3)), "b": np.ones((1, 2, 3))}), quantiles)
    assert found[LIVE] == {"a": 1.0, "b": 1.0}


def test_the_loss_of_a_covariate_free_model_counts_a_tenth_more(backtest_of, quantiles):
    actual = np.full((1, 4, 5), 100.0)
    level = {"a": actual + 10, "moving_average": actual + 10, "tsb": actual + 9}
    found = weights_of(backtest_of(actual, level), quantiles)[LIVE]
    assert found["moving_average"] == pytest.approx((1.1 / 0.99) ** -8)
    assert found["a"] == pytest.approx((1 / 0.99) ** -8)
    assert found["tsb"] == 1.0


def test_the_numbers_are_arguments(backtest_of, quantiles):
    actual = np.full((1, 4, 5), 100.0)
    table = backtest_of(actual, {"a": actual + 10, "b": actual + 11, "c": actual + 20})
    found = weights_of(table, quantiles, rule=WeightRule(sharpness=2.0, smallest_weight=0.2))[LIVE]
    assert found == {"a": 1.0, "b": pytest.approx(1.1**-2), "c": pytest.approx(0.25)}
