"""Pooled errors, compared with manual calculations."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from schemas import columns as c
from tasks.report.accuracy import Accuracy, SeriesLookup, champion_bands, largest_series

CHAMPIONS = pd.DataFrame(
    [("1", "a", "good"), ("1", "b", "moving_average"), ("2", "a", "good")], columns=[c.STORE_ID, c.CATEGORY, c.MODEL]
)
# model, store, category, actual, median, mean
ROWS = [
    ("good", "1", "a", 10.0, 8.0, 9.0),
    ("good", "1", "a", float("nan"), 90.0, 90.0),
    ("good", "2", "a", 0.0, 1.0, 1.0),
    ("moving_average", "1", "a", 10.0, 14.0, 14.0),
    ("moving_average", "1", "b", 5.0, 5.0, 6.0),
    ("moving_average", "2", "a", 0.0, 2.0, 2.0),
    ("seasonal_naive", "1", "a", 10.0, 5.0, 5.0),
    ("seasonal_naive", "1", "b", 5.0, 5.0, 5.0),
    ("seasonal_naive", "2", "a", 0.0, 4.0, 4.0),
]


@pytest.fixture
def backtest() -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=[c.MODEL, c.STORE_ID, c.CATEGORY, c.ACTUAL, c.MEDIAN, c.MEAN])


def test_model_is_compared_with_the_better_baseline_on_its_series(backtest: pd.DataFrame) -> None:
    good = Accuracy(backtest, CHAMPIONS).of_model("good")
    assert (good.series, good.baseline) == (2, "moving_average")
    assert good.wape == pytest.approx((2 + 1) / 10)
    assert good.bias == pytest.approx((-1 + 1) / 10)
    assert good.baseline_wape == pytest.approx((4 + 2) / 10)
    assert good.gain == pytest.approx(0.5)


def test_champions_are_pooled_over_all_series(backtest: pd.DataFrame) -> None:
    accuracy = Accuracy(backtest.sample(frac=1, random_state=1), CHAMPIONS)
    champions = accuracy.of_champions
    assert champions.wape == pytest.approx((2 + 0 + 1) / 15)
    assert champions.bias == pytest.approx((-1 + 1 + 1) / 15)
    assert champions.baseline_wape == pytest.approx((4 + 0 + 2) / 15)
    of_series = accuracy.of_series()
    assert of_series[:2] == pytest.approx([0.2, 0.0])
    assert math.isnan(of_series[2])


def test_without_baselines_or_known_actuals_there_is_no_comparison(backtest: pd.DataFrame) -> None:
    only_good = Accuracy(backtest[backtest[c.MODEL] == "good"], CHAMPIONS)
    assert (only_good.of_model("good").baseline, math.isnan(only_good.of_model("good").gain)) == ("", True)
    assert not Accuracy(backtest.assign(**{c.ACTUAL: float("nan")}), CHAMPIONS).known


def test_bands_are_weighted_by_their_number_of_periods() -> None:
    shares = {c.SHARE_EXCELLENT: [1.0, 0.0, 0.0, 0.5], c.SHARE_GOOD: 0.0, c.SHARE_ACCEPTABLE: 0.0}
    metrics = pd.DataFrame(
        {
            c.MODEL: ["good", "moving_average", "moving_average", "good"],
            c.STORE_ID: ["1", "1", "1", None],
            c.CATEGORY: ["a", "b", "a", None],
            c.N: [30, 10, 99, 99],
            **shares,
            c.SHARE_POOR: [0.0, 1.0, 1.0, 0.5],
        }
    )
    assert champion_bands(metrics, CHAMPIONS) == pytest.approx([0.75, 0.0, 0.0, 0.25])
    assert champion_bands(metrics.iloc[3:], CHAMPIONS) is None


def test_series_lookup_accepts_text_and_categoricals() -> None:
    lookup = SeriesLookup(CHAMPIONS)
    rows = pd.DataFrame({c.STORE_ID: ["2", "1", "3", "2"], c.CATEGORY: ["a", "b", "a", "b"]})
    assert lookup.of(rows).tolist() == [2, 1, -1, -1]
    assert lookup.of(rows.astype("category")).tolist() == [2, 1, -1, -1]


def test_largest_series_are_first_and_unknown_units_are_ignored() -> None:
    history = pd.DataFrame(
        [("1", "a", 3.0), ("1", "b", 5.0), ("2", "a", float("nan")), ("2", "a", 4.0)],
        columns=[c.STORE_ID, c.CATEGORY, c.UNITS],
    )
    assert largest_series(history, CHAMPIONS, 2).tolist() == [1, 2]


def test_simulated_costs_are_means_over_counted_periods(backtest: pd.DataFrame) -> None:
    nan = float("nan")
    costed = backtest.assign(**{c.INVENTORY_COST: [3.0, nan, 1.0, 2.0, nan, 6.0, 5.0, nan, 5.0]})
    accuracy = Accuracy(costed, CHAMPIONS)
    assert accuracy.of_model("good").cost == pytest.approx((3 + 1) / 2)
    assert accuracy.of_champions.cost == pytest.approx((3 + 1) / 2)
    assert (accuracy.costed, Accuracy(backtest, CHAMPIONS).costed) == (True, False)
