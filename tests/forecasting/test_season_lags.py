"""A season can follow a holiday that moves: Easter eggs sell in the four weeks before Easter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import Panel
from tasks.forecasting.last_season import last_season_forecasts
from tasks.forecasting.season_lags import chances_of_lags, holiday_moves

LEVELS = (0.1, 0.5, 0.9)
EASTER = tuple(pd.Timestamp(day) for day in ("2022-04-17", "2023-04-09", "2024-03-31", "2025-04-20"))
HOLIDAYS = {"Easter Sunday": pd.DatetimeIndex(EASTER), "Valentine's Day": pd.DatetimeIndex([])}
SAME_DAY = tuple(pd.Timestamp(f"{year}-04-09") for year in range(2022, 2026))
UNITS = 420


def company(code: str, as_of: str, years: float, horizon: int, ends: Sequence[pd.Timestamp] = EASTER) -> Panel:
    """Basics sell every day; the other category sells 15 units on each of the 28 days before each of ``ends``."""
    frequency = Frequency(code)
    start, stop = pd.Timestamp(as_of) - pd.Timedelta(days=round(365 * years)), pd.Timestamp(as_of)
    days = pd.date_range(start, stop + pd.Timedelta(days=7 * horizon))
    until = np.min([np.where((end - days).days > 0, (end - days).days, 999) for end in ends], axis=0)
    units = pd.DataFrame({"basics": 4.0, "eggs": np.where(until <= 28, UNITS / 28, 0.0)})
    by_period = units.groupby(frequency.label(pd.Series(days)).to_numpy()).sum().iloc[1:-1]
    history = int((by_period.index < stop).sum())
    by_period = by_period.iloc[: history + horizon]
    return Panel(
        frequency,
        pd.DataFrame({c.STORE_ID: "s0", c.CATEGORY: ["basics", "eggs"]}),
        pd.DatetimeIndex(by_period.index),
        by_period[["basics", "eggs"]].to_numpy(dtype=np.float64).T[:, :history],
        np.zeros((2, len(by_period)), dtype=bool),
        horizon,
    )


def chances(panel: Panel) -> Mapping[int, float]:
    size = 8 * panel.frequency.periods_per_week
    return chances_of_lags(panel, panel.demand[1], size, holiday_moves(panel, HOLIDAYS, size), 1.0)


@pytest.mark.parametrize(
    ("code", "as_of", "horizon"),
    [
        ("D", "2025-03-24", 28),  # Easter was on 31 March and is on 20 April
        ("W-MON", "2025-03-24", 8),
        ("D", "2024-03-04", 28),  # it was on 9 April and is on 31 March
        ("W-MON", "2024-03-04", 8),
        ("D", "2024-03-18", 28),  # within the season: nothing was sold in these days of last year's March
        ("D", "2025-04-07", 28),  # within the season: Easter was 53 weeks ago
    ],
)
@pytest.mark.parametrize("years", [1.5, 2.6])
def test_the_season_comes_with_its_holiday(code: str, as_of: str, horizon: int, years: float) -> None:
    panel = company(code, as_of, years, horizon)
    easter = next(day for day in EASTER if day > pd.Timestamp(as_of))
    left = UNITS / 28 * min(28, (easter - pd.Timestamp(as_of)).days)
    found = last_season_forecasts(panel, horizon, LEVELS, HOLIDAYS)
    assert found.series[c.CATEGORY].tolist() == ["eggs"]
    assert 0.8 < found.mean[0].sum() / left < 1.2
    after = panel.horizon_periods > easter + pd.Timedelta(days=7)
    assert found.mean[0][after].sum() < 0.1 * left
    assert "the weeks around Easter Sunday of last year" in found.why[0]


@pytest.mark.parametrize("code", ["D", "W-MON"])
def test_two_seasons_show_whether_the_date_or_the_holiday_counts(code: str) -> None:
    week = Frequency(code).periods_per_week
    for ends, most_likely in ((EASTER, 55), (SAME_DAY, 52)):
        found = chances(company(code, "2025-03-03", 2.6, 8 * week, ends))
        assert max(found, key=lambda lag: found[lag]) == most_likely * week
        assert found[most_likely * week] > 0.5


def test_one_season_leaves_both_possible() -> None:
    found = chances(company("W-MON", "2025-02-17", 1.1, 9))
    assert found == pytest.approx({51: 0.075, 52: 0.35, 53: 0.075, 54: 0.075, 55: 0.35, 56: 0.075})


def test_moves_are_whole_weeks_and_none_without_a_next_day() -> None:
    panel = company("D", "2025-02-24", 2.6, 28)
    given = {
        "Easter": pd.DatetimeIndex(EASTER),
        "Eid": pd.DatetimeIndex(["2023-04-21", "2023-04-22", "2024-04-10", "2024-04-11", "2025-03-30", "2025-03-31"]),
        "once": pd.DatetimeIndex(["2024-10-01"]),
        "long ago": pd.DatetimeIndex(["2022-10-01"]),
    }
    found = {str(panel.periods[one.at].date()): (one.move, one.before) for one in holiday_moves(panel, given, 56)}
    assert found == {"2024-03-31": (21, -7), "2024-04-10": (-7, -7), "2024-10-01": (0, 0)}


def test_the_future_is_not_read() -> None:
    panel = company("D", "2025-03-24", 2.6, 28)
    cut = panel.history - 14
    later = panel.demand.copy()
    later[:, cut:] = 99.0
    changed = Panel(panel.frequency, panel.series, panel.periods, later, panel.closed, 28)
    one, other = (last_season_forecasts(given.until(cut), 28, LEVELS, HOLIDAYS) for given in (panel, changed))
    assert len(one.position) == 1
    np.testing.assert_array_equal(one.quantiles, other.quantiles)
