"""The mean of the fitted models' forecasts."""

from __future__ import annotations

import pandas as pd
import pytest

from schemas import columns as c
from tasks.forecasting.ensemble import combine


def rows(model: str, mean: float, store: str = "1", low: float = 0.0, high: float = 9.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            c.CUTOFF: [pd.Timestamp("2025-01-01")],
            c.STORE_ID: pd.Categorical([store]),
            c.CATEGORY: pd.Categorical(["shoes"]),
            c.DATE: [pd.Timestamp("2025-01-01")],
            c.MODEL: pd.Categorical([model]),
            c.MEAN: [mean],
            "q0.1": [low],
            "q0.9": [high],
        }
    )


def test_members_are_averaged_quantile_by_quantile():
    found = combine([rows("arima", 4, low=1, high=5), rows("prophet", 8, low=3, high=15)])
    assert found[[c.MODEL, c.MEAN, "q0.1", "q0.9"]].to_numpy().tolist() == [["ensemble", 6, 2, 10]]


def test_the_floors_are_no_members_unless_named():
    frames = [rows("arima", 4), rows("prophet", 8), rows("seasonal_naive", 100)]
    assert combine(frames)[c.MEAN].tolist() == [6]
    assert combine(frames, ["arima", "seasonal_naive"])[c.MEAN].tolist() == [52]


def test_weights_count_among_the_members_that_have_a_forecast():
    frames = [rows("arima", 4), rows("prophet", 8), rows("theta", 100), rows("arima", 2, "2"), rows("theta", 6, "2")]
    weights = {pd.Timestamp("2025-01-01"): {"arima": 3.0, "prophet": 1.0, "theta": 0.0}}
    assert combine(frames, weights=weights)[[c.STORE_ID, c.MEAN]].to_numpy().tolist() == [["1", 5.0]]


def test_a_cutoff_without_weights_has_no_ensemble():
    weights = {pd.Timestamp("2024-12-01"): {"arima": 1.0, "prophet": 1.0}}
    assert combine([rows("arima", 4), rows("prophet", 8)], weights=weights).empty


def test_a_series_with_one_member_has_no_ensemble():
    found = combine([rows("arima", 4), rows("prophet", 8), rows("arima", 1, store="2")])
    assert found[c.STORE_ID].tolist() == ["1"]
    assert combine([rows("arima", 4)]).empty


def test_the_order_of_rows_and_tables_does_not_matter():
    frames = [rows("arima", 0.1), rows("prophet", 0.2), rows("theta", 0.3), rows("theta", 5, "2"), rows("ets", 7, "2")]
    pd.testing.assert_frame_equal(combine(frames), combine(frames[::-1]))


def test_inputs_stay():
    frames = [rows("arima", 4), rows("prophet", 8)]
    copies = [frame.copy() for frame in frames]
    combine(frames)
    for frame, copy in zip(frames, copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


@pytest.mark.parametrize("column", [c.CUTOFF, c.DATE])
def test_dates_stay_dates(column):
    assert pd.api.types.is_datetime64_any_dtype(combine([rows("arima", 4), rows("ets", 8)])[column])
