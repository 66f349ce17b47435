"""The mean of an intermittent series is its rate."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.forecasting.combine.intermittent import intermittent_rates
from tests.forecasting.panels import panel_of


@pytest.mark.parametrize(("frequency", "periods", "chance"), [("D", 425, 0.04), ("D", 90, 0.04), ("W-MON", 104, 0.1)])
def test_the_means_of_many_series_sum_to_their_rate(frequency, periods, chance):
    """Croston-like demand: a sale with a fixed chance in every period, of one to three units."""
    rng = np.random.default_rng(4)
    demand = (rng.random((400, periods)) < chance) * rng.integers(1, 4, (400, periods)).astype(float)
    started = np.maximum.accumulate(demand > 0, axis=1)
    rate = intermittent_rates(panel_of(np.where(started, demand, np.nan), frequency))
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
    going, ended, shut, seasonal = intermittent_rates(panel_of(demand, closed=closed))
    assert going == pytest.approx(0.04, rel=0.05)
    assert ended < 0.5 * going
    assert shut == pytest.approx(0.04, rel=0.1)
    assert np.isnan(seasonal)


def test_frequent_series_and_series_without_a_sale_have_no_rate():
    demand = np.zeros((3, 200))
    demand[0, ::4] = 2.0
    demand[2, ::30] = 1.0
    assert np.isfinite(intermittent_rates(panel_of(demand))).tolist() == [False, False, True]
