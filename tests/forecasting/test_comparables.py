"""A store opened in November is not projected at its Christmas level."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import Panel
from tasks.forecasting.comparables import ComparableRule, comparable_forecasts, is_short

LEVELS = (0.1, 0.5, 0.9)
YEARS, HORIZON = 2, 4
EXACT = ComparableRule(prior_weeks=0.0)


def season(weeks: int) -> np.ndarray:
    """1, and 3 in the last five weeks of each year of 52 weeks."""
    return np.where(np.arange(weeks) % 52 >= 47, 3.0, 1.0)


def chain(levels: tuple[float, ...], opened: dict[int, int], types: str | None = None) -> Panel:
    """One series per store: level times season over two years of weeks, unknown before a store opened."""
    demand = np.array(levels)[:, None] * season(52 * YEARS)
    for store, weeks in opened.items():
        demand[store, :-weeks] = np.nan
    series = pd.DataFrame({c.STORE_ID: [f"s{at}" for at in range(len(levels))], c.CATEGORY: "shoes"})
    if types:
        series[c.STORE_TYPE] = list(types)
    periods = Frequency("W-MON").range(pd.Timestamp("2023-01-02"), 52 * YEARS + HORIZON)
    closed = np.zeros((len(levels), len(periods)), dtype=bool)
    return Panel(Frequency("W-MON"), series, periods, demand, closed, HORIZON)


def likely(panel: Panel, rule: ComparableRule = EXACT, new: pd.DataFrame | None = None):
    """Comparable stores are forecast without error: they are back at their level in January."""
    level = np.nanmin(panel.demand, axis=1)
    mean = np.repeat(level[:, None], HORIZON, axis=1)
    return comparable_forecasts(panel, mean, mean[..., None] * np.array([0.8, 1.0, 1.2]), LEVELS, new, rule)


def test_the_level_is_relative_to_the_same_weeks_of_the_others() -> None:
    found = likely(chain((10.0, 20.0, 40.0, 15.0), {3: 9}))
    assert found.position.tolist() == [3]
    np.testing.assert_allclose(found.mean, 15.0)
    assert found.why[0].startswith("level from 9 weeks relative to 3 comparable stores in the same weeks")


def test_intervals_are_wider_than_those_of_the_comparable_stores() -> None:
    found = likely(chain((20.0, 20.0, 20.0, 20.0), {3: 9}))
    low, median, high = found.quantiles[0, 0]
    assert median == pytest.approx(20.0)
    assert low < 16.0
    assert high > 24.0


def test_with_few_weeks_the_level_is_drawn_toward_the_others() -> None:
    panel = chain((10.0, 10.0, 10.0, 40.0), {3: 1})
    assert 10.0 < likely(panel, ComparableRule(prior_weeks=2.0)).mean[0, 0] < 40.0


def test_nothing_after_the_cutoff_is_read() -> None:
    panel = chain((10.0, 20.0, 40.0, 15.0), {3: 30})
    later = panel.demand.copy()
    later[:, -20:] *= 7.0
    changed = Panel(panel.frequency, panel.series, panel.periods, later, panel.closed, HORIZON)
    cut = 52 * YEARS - 20
    one, other = (likely(given.until(cut)) for given in (panel, changed))
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.quantiles, other.quantiles)


def test_series_with_a_year_of_sales_are_left_alone() -> None:
    panel = chain((10.0, 20.0, 40.0, 15.0), {3: 52})
    assert not is_short(panel).any()
    assert not len(likely(panel).position)


def test_after_half_a_year_the_models_are_better() -> None:
    assert not len(likely(chain((10.0, 20.0, 40.0, 15.0), {3: 30})).position)
    assert len(likely(chain((10.0, 20.0, 40.0, 15.0), {3: 26})).position)


def test_data_of_less_than_a_year_have_comparable_stores_too() -> None:
    panel = chain((10.0, 20.0, 40.0, 15.0), {3: 9})
    late = Panel(
        panel.frequency,
        panel.series,
        panel.periods[-44:],
        panel.demand[:, -40:],
        panel.closed[:, -44:],
        HORIZON,
    )
    assert is_short(late).all()
    found = likely(late)
    assert found.position.tolist() == [3]
    np.testing.assert_allclose(found.mean, 15.0)


def test_one_other_store_is_not_enough() -> None:
    assert not len(likely(chain((10.0, 15.0), {1: 9})).position)


def test_stores_of_the_same_type_come_first() -> None:
    panel = chain((10.0, 10.0, 40.0, 40.0, 15.0), {4: 9}, "AABBA")
    assert "2 comparable stores of the same type" in likely(panel).why[0]


def test_unknown_weeks_of_a_comparable_store_do_not_lower_its_weight() -> None:
    panel = chain((10.0, 20.0, 40.0, 15.0), {3: 9})
    panel.demand[2, -6:] = np.nan
    assert likely(panel).mean[0, 0] == pytest.approx(15.0, rel=0.03)


def test_a_new_store_gets_the_mean_level_times_its_size_from_its_opening_on() -> None:
    panel = chain((10.0, 20.0, 30.0), {})
    panel.series[c.STORAGE_CAPACITY] = [100.0, 100.0, 100.0]
    opening = panel.horizon_periods[1] + pd.Timedelta(days=2)
    new = pd.DataFrame({c.STORE_ID: ["s9"], c.CATEGORY: ["shoes"], c.STORAGE_CAPACITY: [150.0], c.OPENED_ON: [opening]})
    found = likely(panel, new=new)
    assert found.position.tolist() == [-1]
    np.testing.assert_allclose(found.mean[0], [0.0, 30.0, 30.0, 30.0], rtol=0.03)
    assert np.isfinite(found.quantiles).all()
    assert found.why[0].startswith("no sales before the run date")


def test_a_new_category_follows_the_one_that_it_is_like() -> None:
    panel = chain((10.0, 20.0, 30.0), {})
    new = pd.DataFrame({c.STORE_ID: ["s1"], c.CATEGORY: ["clogs"], "like": ["shoes"]})
    np.testing.assert_allclose(likely(panel, new=new).mean, 20.0)


def test_a_weekday_profile_of_its_own_is_learned_from_days() -> None:
    days = 800
    demand = np.full((4, days), 10.0)
    weekday = np.arange(days) % 7
    demand[3] = np.where(weekday == 0, 40.0, 5.0)
    demand[3, : days - 91] = np.nan
    frequency = Frequency("D")
    series = pd.DataFrame({c.STORE_ID: [f"s{at}" for at in range(4)], c.CATEGORY: "shoes"})
    periods = frequency.range(pd.Timestamp("2023-01-02"), days + 7)
    panel = Panel(frequency, series, periods, demand, np.zeros((4, days + 7), dtype=bool), 7)
    mean = np.full((4, 7), 10.0)
    found = comparable_forecasts(panel, mean, np.repeat(mean[..., None], 3, axis=2), LEVELS)
    first = int(np.flatnonzero(np.arange(days, days + 7) % 7 == 0)[0])
    assert found.mean[0, first] > 3 * np.delete(found.mean[0], first).max()


@pytest.mark.parametrize("since", [0, 3])
def test_a_reopened_series_starts_from_its_level_before_the_closure(since: int) -> None:
    """Closed for 30 weeks; the weeks before and after give the level, the others the season."""
    panel = chain((10.0, 20.0, 40.0, 15.0), {})
    panel.demand[3, 104 - since - 30 : 104 - since] = np.nan
    found = likely(panel)
    assert found.position.tolist() == [3]
    np.testing.assert_allclose(found.mean, 15.0)


def test_a_closure_that_ended_long_ago_was_short_or_recurs_is_left_to_the_models() -> None:
    panel = chain((10.0, 20.0, 40.0, 15.0, 25.0, 30.0), {})
    panel.demand[3, 60:94] = np.nan
    panel.demand[4, 92:102] = np.nan
    for year in (0, 52):
        panel.demand[5, 20 + year : 50 + year] = np.nan
    assert not len(likely(panel).position)
