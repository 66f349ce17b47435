"""Errors of sums over the review period, compared with manual calculations."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

from schemas import columns as c
from tasks.report.language import ENGLISH
from tasks.report.review_accuracy import (
    CATEGORY,
    NETWORK,
    PAIR,
    STORE,
    ReviewAccuracy,
    groups_table,
    levels_table,
    poisson_error,
)

CHAMPIONS = pd.DataFrame([("1", "a", "good"), ("1", "b", "good")], columns=[c.STORE_ID, c.CATEGORY, c.MODEL])
UNKNOWN = float("nan")
# category, day, actual, mean of the model "good"
DAYS = [("a", 0, 0.0, 1.0), ("a", 1, 2.0, 1.0), ("a", 2, 9.0, 0.0), ("b", 0, 4.0, 3.0), ("b", 1, UNKNOWN, 50.0)]


@pytest.fixture
def backtest() -> pd.DataFrame:
    first = pd.Timestamp("2025-01-06")
    rows = [
        (first, "1", category, first + pd.Timedelta(days=day), model, actual, mean * factor)
        for category, day, actual, mean in DAYS
        for model, factor in (("good", 1.0), ("seasonal_naive", 2.0), ("moving_average", 3.0))
    ]
    return pd.DataFrame(rows, columns=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL, c.ACTUAL, c.MEAN])


def test_errors_are_those_of_sums_and_days_cancel_out(backtest: pd.DataFrame) -> None:
    accuracy = ReviewAccuracy(backtest.sample(frac=1, random_state=3), CHAMPIONS, periods=2)
    # Sums of two days: a sells 2 and is forecast 2; b sells 4 (one day is unknown) and is forecast 3.
    pair = accuracy.of(PAIR)
    assert (pair.sums, pair.sold, pair.expected) == (2, 6.0, 5.0)
    assert pair.error == pytest.approx(1 / 6)
    assert pair.bias == pytest.approx(-1 / 6)
    assert pair.baseline == pytest.approx((2 + 2) / 6)
    for level in (NETWORK, STORE):
        assert accuracy.of(level).error == pytest.approx(1 / 6)
        assert accuracy.of(level).baseline == pytest.approx(4 / 6)
    assert accuracy.of(CATEGORY) == pair
    assert list(accuracy.by(c.CATEGORY)) == ["b", "a"]
    assert accuracy.by(c.CATEGORY)["a"].error == 0.0


def test_tables_show_every_level_and_group(backtest: pd.DataFrame) -> None:
    accuracy = ReviewAccuracy(backtest, CHAMPIONS, periods=2)
    assert [row[0] for row in levels_table(accuracy, ENGLISH).rows] == [
        *("Network", "Store, all categories", "Category, all stores", "Store and category")
    ]
    assert groups_table(accuracy, c.CATEGORY, ENGLISH).rows[0] == ("b", "1", "4", "3", "25.0 %", "-25.0 %", "50.0 %")


def test_unknown_actuals_and_zero_demand_have_no_error(backtest: pd.DataFrame) -> None:
    assert not ReviewAccuracy(backtest.assign(**{c.ACTUAL: UNKNOWN}), CHAMPIONS, 2).known
    nothing = ReviewAccuracy(backtest.assign(**{c.ACTUAL: 0.0}), CHAMPIONS, 2)
    assert nothing.known
    assert math.isnan(nothing.of(NETWORK).error)
    assert levels_table(nothing, ENGLISH).rows[0][4] == "–"


def test_smallest_daily_error_is_that_of_poisson_demand() -> None:
    frame = pd.DataFrame({c.STORE_ID: "1", c.CATEGORY: "a", c.MODEL: "good", c.ACTUAL: [0.0, 1.0, 2.0, 1.0]})
    values = np.arange(60)
    by_sum = float((np.abs(values - 1) * poisson.pmf(values, 1.0)).sum())
    assert poisson_error(frame) == pytest.approx(by_sum) == pytest.approx(2 / math.e)
    assert math.isnan(poisson_error(frame.assign(**{c.ACTUAL: 0.0})))
    assert math.isnan(poisson_error(frame.assign(**{c.ACTUAL: UNKNOWN})))
