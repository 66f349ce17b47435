"""The mean of an intermittent series is its rate, with the season and the promotions of its category."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.forecasting.combine.intermittent import intermittent_means
from tests.forecasting.panels import panel_of


@pytest.mark.parametrize(("frequency", "periods", "chance"), [("D", 425, 0.04), ("D", 90, 0.04), ("W-MON", 104, 0.1)])
def test_the_means_of_many_series_sum_to_their_rate(frequency, periods, chance):
    """Croston-like demand: a sale with a fixed chance in every period, of one to three units."""
    rng = np.random.default_rng(4)
    demand = (rng.random((400, periods)) < chance) * rng.integers(1, 4, (400, periods)).astype(float)
    started = np.maximum.accumulate(demand > 0, axis=1)
    rate = intermittent_means(panel_of(np.where(started, demand, np.nan), frequency))[:, 0]
    assert np.isfinite(rate).mean() > 0.9
    assert np.nanmean(rate) == pytest.approx(2.0 * chance, rel=0.1)
    assert np.nanmin(rate) > 0


def test_a_long_silence_lowers_the_rate_and_a_closure_does_not():
    demand = np.zeros((4, 365))
    demand[:3, 5::25] = 1.0
    demand[1, -200:] = 0.0
    demand[2, -125:] = 0.0
    closed = np.zeros((4, 372), dtype=bool)
    closed[2, -132:] = True
    demand[3, 300:330] = 5.0
    going, ended, shut, seasonal = intermittent_means(panel_of(demand, closed=closed))[:, -1]
    assert going == pytest.approx(0.04, rel=0.05)
    assert ended < 0.5 * going
    assert shut == pytest.approx(0.04, rel=0.1)
    assert np.isnan(seasonal)


def test_frequent_series_and_series_without_a_sale_have_no_rate():
    demand = np.zeros((3, 200))
    demand[0, ::2] = 2.0
    demand[2, ::30] = 1.0
    assert np.isfinite(intermittent_means(panel_of(demand))).all(axis=1).tolist() == [False, False, True]


def seasonal_chance(periods: int) -> np.ndarray:
    """Chance of a sale on each day: 0.16 in the middle of the season, 0.01 half a year later."""
    return 0.04 * np.exp(1.4 * np.cos(2 * np.pi * np.arange(periods) / 364))


@pytest.mark.parametrize(("start", "expected"), [(0, 0.159), (182, 0.0103)])
def test_many_series_share_the_season_of_their_category(start, expected):
    """800 days of 300 series, then the middle of the season or half a year later."""
    rng = np.random.default_rng(2)
    chance = seasonal_chance(1000)[start : start + 728]
    means = intermittent_means(panel_of((rng.random((300, 728)) < chance).astype(float)))
    assert np.isfinite(means).all(axis=1).mean() > 0.9
    assert np.nanmean(means) == pytest.approx(expected, rel=0.12)


def test_without_a_season_no_season_is_found():
    """Sales with the same chance in every period leave the rates as they are, but for chance."""
    rng = np.random.default_rng(3)
    means = intermittent_means(panel_of((rng.random((300, 400)) < 0.05).astype(float)))
    assert means.mean() == pytest.approx(0.05, rel=0.05)
    assert np.abs(means / means.mean(axis=1, keepdims=True) - 1.0).max() < 0.05


def test_promoted_periods_have_the_uplift_of_all_series_and_leave_the_rate():
    """A fifth of the days sells four times as often; the horizon has a promotion in its second half."""
    rng = np.random.default_rng(4)
    on = np.repeat(rng.random((200, 29)) < 0.2, 7, axis=1)
    on[:, 196:] = np.arange(7) >= 4
    chance = np.where(on, 0.2, 0.05)
    demand = (rng.random((200, 196)) < chance[:, :196]).astype(float)
    means = intermittent_means(panel_of(demand, known={"promotion_share": on}))
    assert np.nanmean(means[:, :4]) == pytest.approx(0.05, rel=0.1)
    assert np.nanmean(means[:, 4:]) == pytest.approx(0.2, rel=0.1)


def test_many_series_share_the_weekdays_of_their_category():
    """Three times as many sales on Saturdays and Sundays; the first day is a Monday."""
    rng = np.random.default_rng(5)
    chance = np.where(np.arange(217) % 7 >= 5, 0.15, 0.05)
    means = intermittent_means(panel_of((rng.random((300, 210)) < chance[:210]).astype(float)))
    assert np.nanmean(means[:, :5]) == pytest.approx(0.05, rel=0.1)
    assert np.nanmean(means[:, 5:]) == pytest.approx(0.15, rel=0.1)
