"""Seasonal goods are forecast from last year's season, before it begins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import Panel
from tasks.forecasting.last_season import SeasonRule, last_season_forecasts

LEVELS = (0.1, 0.5, 0.9)
CATEGORIES = ("basics", "school")


def school(
    code: str, as_of: str, years: float, horizon: int, growth: float = 1.0, stores: int = 3, weeks: int = 3
) -> Panel:
    """Basics sell every day, school shoes from 20 February for three weeks of each year."""
    days = pd.date_range(pd.Timestamp(as_of) - pd.Timedelta(days=round(365.25 * years)), periods=round(365.25 * years))
    in_season = (days.dayofyear >= 51) & (days.dayofyear < 51 + 7 * weeks)
    trend = growth ** ((days - days[-1]).days.to_numpy() / 364)
    rng = np.random.default_rng(3)
    frequency = Frequency(code)
    rows = []
    for store in range(stores):
        for category in CATEGORIES:
            mean = (1 + store) * trend * (4.0 if category == "basics" else np.where(in_season, 6.0, 0.0))
            rows.append(rng.poisson(mean).astype(float))
    demand = pd.DataFrame(rows, columns=frequency.label(pd.Series(days)).to_numpy()).T.groupby(level=0).sum().T
    demand = demand.loc[:, demand.columns < pd.Timestamp(as_of)]
    periods = frequency.range(demand.columns[0], demand.shape[1] + horizon)
    keys = [(f"s{store}", category) for store in range(stores) for category in CATEGORIES]
    series = pd.DataFrame(keys, columns=[c.STORE_ID, c.CATEGORY])
    return Panel(
        frequency, series, periods, demand.to_numpy(), np.zeros((len(keys), len(periods)), dtype=bool), horizon
    )


def last_year(panel: Panel) -> float:
    year = panel.frequency.periods_per_year
    rows = panel.series[c.CATEGORY].eq("school").to_numpy()
    return float(panel.demand[rows, -year:].sum())


@pytest.mark.parametrize(("code", "horizon"), [("D", 28), ("W-MON", 8)])
@pytest.mark.parametrize("years", [1.6, 2.7])
def test_at_least_four_fifths_of_last_year_before_the_season(code: str, horizon: int, years: float) -> None:
    panel = school(code, "2025-02-17", years, horizon)
    found = last_season_forecasts(panel, horizon, LEVELS)
    assert found.series[c.CATEGORY].tolist() == ["school"] * 3
    assert 0.8 < found.mean.sum() / last_year(panel) < 1.15
    assert (np.diff(found.quantiles, axis=2) >= 0).all()


@pytest.mark.parametrize("years", [1.6, 2.7])
@pytest.mark.parametrize("as_of", ["2025-02-21", "2025-02-25", "2025-03-01"])
def test_within_the_season_what_is_left_of_last_year_is_expected(as_of: str, years: float) -> None:
    panel = school("D", as_of, years, 28, stores=5)
    rows, start = panel.series[c.CATEGORY].eq("school").to_numpy(), panel.history - 364
    left = panel.demand[rows, start : start + 28].sum()
    assert 0.89 < last_season_forecasts(panel, 28, LEVELS).mean.sum() / left < 1.1


def test_the_trend_of_the_network_is_followed() -> None:
    panel = school("W-MON", "2025-02-17", 2.7, 8, growth=1.3)
    assert 1.1 < last_season_forecasts(panel, 8, LEVELS).mean.sum() / last_year(panel) < 1.5


def test_after_the_season_little_is_left() -> None:
    panel = school("D", "2025-03-17", 2.7, 28)
    assert last_season_forecasts(panel, 28, LEVELS).mean.sum() < 0.15 * last_year(panel)


def test_out_of_season_nothing_is_replaced() -> None:
    panel = school("D", "2024-09-02", 2.2, 28)
    assert not len(last_season_forecasts(panel, 28, LEVELS).position)


def test_articles_that_ended_a_year_ago_do_not_come_back() -> None:
    """Many articles that sold for some weeks from last year on, and nothing before or since, have ended."""
    panel = school("W-MON", "2025-02-17", 1.6, 8)
    demand = np.full((6, panel.history), np.nan)
    start = panel.history - 51
    demand[:, start:] = 0.0
    demand[:, start : start + 6] = 20.0
    series = pd.DataFrame({c.STORE_ID: "s0", c.CATEGORY: [f"a{at}" for at in range(6)]})
    closed = np.zeros((6, len(panel.periods)), dtype=bool)
    ended = Panel(panel.frequency, series, panel.periods, demand, closed, 8)
    assert not len(last_season_forecasts(ended, 8, LEVELS).position)
    assert len(last_season_forecasts(ended, 8, LEVELS, rule=SeasonRule(most_ended=1.0)).position) == 6


@pytest.mark.parametrize("years", [1.6, 2.7])
@pytest.mark.parametrize("trial", [0.0, 0.3])
def test_a_launch_is_no_season(years: float, trial: float) -> None:
    """All units of the year were sold in the last weeks, after a trial a year ago or none."""
    panel = school("W-MON", "2024-09-02", years, 8)
    rows = panel.series[c.CATEGORY].eq("school").to_numpy()
    panel.demand[rows] = np.nan
    panel.demand[rows, -8:] = 30.0
    if trial:
        panel.demand[rows, -52:-8] = 0.0
        panel.demand[rows, -52:-48] = trial * 30.0
    assert not len(last_season_forecasts(panel, 8, LEVELS).position)


def test_less_than_a_year_has_no_last_season() -> None:
    panel = school("D", "2025-02-17", 0.9, 28)
    assert not len(last_season_forecasts(panel, 28, LEVELS).position)


def test_nothing_after_the_cutoff_is_read() -> None:
    panel = school("D", "2025-04-21", 2.7, 28)
    cut = panel.history - 63
    later = panel.demand.copy()
    later[:, cut:] = 99.0
    changed = Panel(panel.frequency, panel.series, panel.periods, later, panel.closed, 28)
    one, other = (last_season_forecasts(given.until(cut), 28, LEVELS) for given in (panel, changed))
    assert len(one.position) == 3
    np.testing.assert_array_equal(one.quantiles, other.quantiles)


@pytest.mark.parametrize(("code", "horizon"), [("D", 28), ("W-MON", 8)])
@pytest.mark.parametrize("years", [1.6, 2.7])
@pytest.mark.parametrize("as_of", ["2025-02-17", "2025-03-10"])
def test_a_long_season_after_empty_months_is_forecast_from_last_year(code, horizon, years, as_of) -> None:
    """Fourteen weeks of season: before it begins and within it."""
    panel = school(code, as_of, years, horizon, weeks=14)
    rows, start = panel.series[c.CATEGORY].eq("school").to_numpy(), panel.history - panel.frequency.periods_per_year
    expected = panel.demand[rows, start : start + horizon].sum()
    found = last_season_forecasts(panel, horizon, LEVELS)
    assert found.series[c.CATEGORY].tolist() == ["school"] * 3
    assert 0.85 < found.mean.sum() / expected < 1.15


def test_what_sold_for_a_year_and_ended_has_no_season() -> None:
    """Two articles sold for 60 weeks until half a year ago; three began 40 weeks ago and have ended."""
    panel = school("W-MON", "2025-02-17", 2.7, 8)
    demand = np.full((5, panel.history), np.nan)
    for row, (begin, end) in enumerate([(85, 25), (85, 25), (45, 25), (45, 25), (45, 25)]):
        demand[row, panel.history - begin :] = 0.0
        demand[row, panel.history - begin : panel.history - end] = 20.0
    series = pd.DataFrame({c.STORE_ID: "s0", c.CATEGORY: [f"a{at}" for at in range(5)]})
    closed = np.zeros((5, len(panel.periods)), dtype=bool)
    assert not len(
        last_season_forecasts(Panel(panel.frequency, series, panel.periods, demand, closed, 8), 8, LEVELS).position
    )
