"""The baselines against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.forecasting.baselines import NO_HISTORY, MovingAverage, SeasonalNaive, last_mean, open_demand
from tests.forecasting.panels import awkward_panel, panel_of

LEVELS = (0.1, 0.5, 0.9)


def naive(panel, spread="pooled"):
    return SeasonalNaive(spread).fit(panel, 0).predict(panel, LEVELS)


def average(panel):
    return MovingAverage().fit(panel, 0).predict(panel, LEVELS)


def test_naive_repeats_the_last_season():
    found = naive(panel_of(np.arange(1.0, 15.0), horizon=9))
    assert found.mean[0].tolist() == [8, 9, 10, 11, 12, 13, 14, 8, 9]
    assert np.array_equal(found.quantiles[0, :, 1], found.mean[0])


def test_naive_takes_the_last_known_value_of_a_position():
    demand = np.arange(1.0, 15.0)
    demand[8] = np.nan
    assert naive(panel_of(demand, horizon=7)).mean[0].tolist() == [8, 2, 10, 11, 12, 13, 14]


def test_naive_starts_at_the_right_position_when_history_is_no_whole_season():
    found = naive(panel_of(np.arange(10.0), horizon=3))
    assert found.mean[0].tolist() == [3, 4, 5]


def test_naive_fills_positions_never_seen_with_the_recent_mean():
    found = naive(panel_of([2.0, 4.0, 9.0], horizon=7))
    assert found.mean[0].tolist() == [5, 5, 5, 5, 2, 4, 9]


def test_closed_periods_are_skipped_behind_and_zero_ahead():
    demand = np.array([[5.0] * 13 + [0.0]])
    closed = np.zeros((1, 21), dtype=bool)
    closed[0, [13, 15]] = True
    panel = panel_of(demand, horizon=7, closed=closed)
    assert np.isnan(open_demand(panel)[0, 13])
    assert naive(panel).mean[0].tolist() == [5, 0, 5, 5, 5, 5, 5]
    assert average(panel).mean[0].tolist() == [5, 0, 5, 5, 5, 5, 5]


def test_average_is_the_mean_of_the_last_known_values():
    weeks = np.r_[np.full(20, 100.0), np.arange(1.0, 9.0), np.nan]
    assert average(panel_of(weeks, "W-MON", 2)).mean[0].tolist() == [4.5, 4.5]
    assert last_mean(np.array([[np.nan, np.nan]]), 3).tolist() == pytest.approx([np.nan], nan_ok=True)


@pytest.mark.parametrize("baseline", [SeasonalNaive(), SeasonalNaive("fixed"), MovingAverage()])
@pytest.mark.parametrize("frequency", ["D", "MS"])
def test_forecasts_do_not_depend_on_the_blocks_of_series(baseline, frequency, monkeypatch):
    panel = awkward_panel(frequency)
    whole = baseline.predict(panel, LEVELS)
    monkeypatch.setattr("tasks.storage.mapped.BLOCK_ROWS", 1)
    found = baseline.predict(panel, LEVELS)
    assert (found.mean.tobytes(), found.quantiles.tobytes()) == (whole.mean.tobytes(), whole.quantiles.tobytes())
    assert found.failed == whole.failed


def test_months_repeat_the_year_before():
    found = naive(panel_of(np.arange(24.0), "MS", 3))
    assert found.mean[0].tolist() == [12, 13, 14]


def test_own_errors_outweigh_the_others_where_there_are_many():
    rng = np.random.default_rng(0)
    steady = 100 + rng.normal(0, 1, 300)
    wild = 100 + rng.normal(0, 30, 300)
    found = average(panel_of(np.array([steady, wild]), horizon=7))
    width = found.quantiles[:, :, 2] - found.quantiles[:, :, 0]
    assert width[0].max() < 15
    assert width[1].min() > 60


def test_without_own_errors_the_relative_errors_of_the_others_serve():
    rng = np.random.default_rng(0)
    long = 100 + rng.normal(0, 10, 300)
    short = np.full(300, np.nan)
    short[-1] = 10.0
    found = average(panel_of(np.array([long, short]), horizon=7))
    width = found.quantiles[:, :, 2] - found.quantiles[:, :, 0]
    assert width[1] == pytest.approx(width[0] / 10, rel=0.25)


def test_quantiles_of_a_long_history_are_those_of_its_errors():
    rng = np.random.default_rng(1)
    values = 1000 + rng.normal(0, 50, 407)
    found = naive(panel_of(values, horizon=1))
    errors = values[7:] - values[:-7]
    expected = values[-7] + np.quantile(errors, 0.9) - np.median(errors)
    assert found.quantiles[0, 0, 2] == pytest.approx(expected, rel=0.01)


def test_the_fixed_spread_does_not_depend_on_the_other_series():
    rng = np.random.default_rng(2)
    demand = rng.poisson(4, (3, 40)).astype(float)
    demand[1:] *= 50
    together, alone = naive(panel_of(demand), "fixed"), naive(panel_of(demand[:1]), "fixed")
    assert np.array_equal(together.quantiles[0], alone.quantiles[0])


def test_without_any_error_the_deviation_is_half_of_the_mean():
    found = naive(panel_of([[10.0]], horizon=1)).quantiles[0, 0]
    assert found.tolist() == pytest.approx([10 - 5 * 1.2816, 10, 10 + 5 * 1.2816], rel=1e-4)


def test_a_series_never_known_is_zero_and_reported():
    found = naive(panel_of(np.full(20, np.nan)))
    assert (found.mean == 0).all()
    assert found.failed == {0: NO_HISTORY}
