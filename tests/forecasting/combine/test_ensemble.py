"""The members' weighted mean, with the spread of their mixture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from schemas import columns as c
from tasks.forecasting.combine.ensemble import POOLED_AT_ONCE, combine, linear_pool

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
SPREAD = ["q0.1", "q0.5", "q0.9"]


def rows(
    model: str, mean: float, store: str = "1", low: float = 0.0, middle: float = 4.0, high: float = 8.0
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            c.CUTOFF: [pd.Timestamp("2025-01-01")],
            c.STORE_ID: pd.Categorical([store]),
            c.CATEGORY: pd.Categorical(["shoes"]),
            c.DATE: [pd.Timestamp("2025-01-01")],
            c.MODEL: pd.Categorical([model]),
            c.MEAN: [mean],
            "q0.1": [low],
            "q0.5": [middle],
            "q0.9": [high],
        }
    )


def test_mean_and_median_are_averaged_and_the_spread_is_the_mixtures():
    # Both spread evenly, 0.1 of their weight a unit: 0.1 of the mixture lies below 1, where 0.2 of the lower one does.
    found = combine([rows("arima", 4), rows("prophet", 12, low=8, middle=12, high=16)])
    assert found[c.MEAN].tolist() == [8]
    assert found[c.MODEL].tolist() == ["ensemble"]
    np.testing.assert_allclose(found[SPREAD].to_numpy(), [[1, 8, 15]], atol=0.01)


def test_members_that_agree_are_not_spread_further():
    found = combine([rows(name, 4, low=1, middle=3, high=7) for name in ("arima", "prophet", "theta")])
    assert found[[c.MEAN, *SPREAD]].to_numpy().tolist() == [[4, 1, 3, 7]]


def test_a_closed_day_stays_closed():
    found = combine([rows(name, 0, low=0, middle=0, high=0) for name in ("arima", "prophet")])
    assert found[[c.MEAN, *SPREAD]].to_numpy().tolist() == [[0, 0, 0, 0]]


def test_where_half_of_the_members_expect_nothing_the_lower_half_is_nothing():
    found = combine([rows("arima", 0, low=0, middle=0, high=0), rows("prophet", 12, low=8, middle=12, high=16)])
    # Nine tenths of the mixture lie below what eight tenths of the higher member lie below.
    np.testing.assert_allclose(found[SPREAD].to_numpy(), [[0, 6, 15]], atol=0.01)


quantiles = arrays.arrays(np.float64, (3, 2, len(LEVELS)), elements=st.floats(0, 1000)).map(
    lambda a: np.sort(a, axis=2)
)


@given(quantiles, st.floats(0.05, 0.95))
def test_pooled_quantiles_rise_and_lie_between_the_members(members, weight):
    found = linear_pool(members, np.tile([weight, 1 - weight], (3, 1)), LEVELS)
    assert (np.diff(found, axis=1) >= 0).all()
    assert (found >= members.min(axis=1)).all()
    assert (found <= members.max(axis=1)).all()


def test_the_pool_is_that_of_drawn_numbers():
    rng = np.random.default_rng(3)
    members = np.sort(rng.gamma(2.0, 20.0, (4, 3, len(LEVELS))), axis=2)
    weights = np.array([[0.5, 0.3, 0.2]])
    found = linear_pool(members, np.tile(weights, (4, 1)), LEVELS)
    # Each member by its quantile function, the outer pieces carried on, weighed at 20,001 shares.
    shares = np.linspace(0, 1, 20001)
    for row, expected in zip(members, found, strict=True):
        drawn = [_carried_on(one, shares) for one in row]
        order = np.argsort(np.concatenate(drawn))
        reached = np.cumsum(np.repeat(weights[0], len(shares))[order]) / len(shares)
        independent = np.concatenate(drawn)[order][np.searchsorted(reached, LEVELS)]
        np.testing.assert_allclose(expected, independent, atol=0.05)


def _carried_on(member, shares):
    inside = np.interp(shares, LEVELS, member)
    below = member[0] - (LEVELS[0] - shares) * (member[1] - member[0]) / (LEVELS[1] - LEVELS[0])
    above = member[-1] + (shares - LEVELS[-1]) * (member[-1] - member[-2]) / (LEVELS[-1] - LEVELS[-2])
    return np.where(shares < LEVELS[0], below, np.where(shares > LEVELS[-1], above, inside))


def test_of_a_single_level_the_mean_is_taken():
    frames = [frame.drop(columns=["q0.1", "q0.9"]) for frame in (rows("arima", 4), rows("prophet", 12, middle=12))]
    assert combine(frames)[[c.MEAN, c.MEDIAN]].to_numpy().tolist() == [[8, 8]]


def test_nine_of_ten_members_that_expect_nothing_are_nine_tenths():
    members = np.zeros((1, 10, len(LEVELS)))
    members[0, 9] = [10, 20, 30, 40, 50]
    assert linear_pool(members, np.full((1, 10), 0.1), LEVELS).tolist() == [[0, 0, 0, 0, 0]]


def test_what_has_no_weight_counts_for_nothing():
    members = np.array([[[1.0, 2, 3, 4, 5], [100.0, 200, 300, 400, 500]]])
    assert linear_pool(members, np.array([[1.0, 0.0]]), LEVELS).tolist() == [[1, 2, 3, 4, 5]]


def test_rows_pooled_in_parts_are_those_pooled_alone():
    rng = np.random.default_rng(5)
    members = np.sort(rng.gamma(2.0, 20.0, (POOLED_AT_ONCE + 3, 2, len(LEVELS))), axis=2)
    weights = np.full((len(members), 2), 0.5)
    found = linear_pool(members, weights, LEVELS)
    np.testing.assert_array_equal(found[-3:], linear_pool(members[-3:], weights[-3:], LEVELS))


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
