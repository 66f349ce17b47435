"""When this year's season comes: a year after the last one, a week earlier or later, or with a holiday that moved.

Easter eggs sell in the weeks before Easter, three weeks later in 2025 than in 2024. Everything is read from data before
the cutoff and from the dates of holidays. Measurements: docs/decisions/0014-short-history.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas.panel import FloatArray, IndexArray, Panel

# Weeks before and after the season that also show when it came.
AROUND = 3


@dataclass(frozen=True)
class LagRule:
    """The numbers of the season's start (docs/decisions/0014-short-history.md).

    Attributes:
        by_date: chance that a season follows the date, and not one of the holidays in its weeks.
        shifted: chance that a season begins a week earlier than expected; also the chance of a week later.
        variation: relative standard deviation of a season's units.
    """

    by_date: float = 0.5
    shifted: float = 0.15
    variation: float = 0.35


RULE = LagRule()


@dataclass(frozen=True)
class HolidayMove:
    """A holiday in the year of the last season.

    Attributes:
        name: its name.
        at: its first period in the year of the last season.
        move: periods, in whole weeks, by which the next one comes later than a year after ``at``.
        before: the same from the one before to ``at``; 0 if none is known.
    """

    name: str
    at: int
    move: int
    before: int


def holiday_moves(panel: Panel, holidays: Mapping[str, pd.DatetimeIndex], longest: int) -> list[HolidayMove]:
    """How far the holidays of the last season's year move.

    Args:
        panel: daily or weekly.
        holidays: name to the days on which they begin, until a year after the history at least. A holiday without a
            later day does not move.
        longest: periods of a season.
    """
    year, week = panel.frequency.periods_per_year, panel.frequency.periods_per_week
    labels = panel.frequency.range(panel.periods[0], panel.history + 2 * year)
    end = _end_of_last_season(panel.history, year, longest)
    found = []
    for name, days in sorted(holidays.items()):
        at = labels.get_indexer(panel.frequency.label(pd.Series(days)))
        at = np.unique(at[at >= 0])
        at = at[np.diff(at, prepend=-year) > year // 2]
        last = np.flatnonzero((at >= end - year) & (at < end))
        if len(last):
            this, moves = int(last[0]), _whole_weeks(np.diff(at) - year, week)
            found.append(
                HolidayMove(
                    name,
                    int(at[this]),
                    int(moves[this]) if this < len(moves) else 0,
                    int(moves[this - 1]) if this else 0,
                )
            )
    return found


def within_season(total: FloatArray, year: int, longest: int, moves: Sequence[HolidayMove]) -> list[HolidayMove]:
    """The holidays in the ``longest`` periods in a row with most of the last year's units; total of shape (T,)."""
    start = _start_of_last_season(total, year, longest)
    return [holiday for holiday in moves if (holiday.at - start) % year < longest]


def chances_of_lags(
    panel: Panel, total: FloatArray, longest: int, moves: Sequence[HolidayMove], trend: float
) -> dict[int, float]:
    """Chances of the number of periods from a period of the last season to the same period of this one.

    A season follows the date or a holiday in its weeks, and may come a week earlier or later. These prior chances are
    weighted by the likelihood of the last season, given the one before it, and of the units of the last weeks (Bayes'
    rule). A season that has begun as last year is no longer a week early.

    Args:
        panel: daily or weekly, with at least a year of history.
        total: shape (T,), units of the category.
        longest: periods of a season.
        moves: the holidays of the last year.
        trend: expected units of this season relative to the last one.
    """
    year, week, history = panel.frequency.periods_per_year, panel.frequency.periods_per_week, panel.history
    start = _start_of_last_season(total, year, longest)
    inside = within_season(total, year, longest, moves)
    followed = [(0, 0, RULE.by_date if inside else 1.0)]
    followed += [(holiday.move, holiday.before, (1 - RULE.by_date) / len(inside)) for holiday in inside]
    shifts = {-week: RULE.shifted, 0: 1 - 2 * RULE.shifted, week: RULE.shifted}
    before = _log_likelihoods(
        total,
        min(start + longest + AROUND * week, history),
        {year + earlier + shift for _, earlier, _ in followed for shift in shifts},
        *(longest // week + 2 * AROUND, week, 1.0),
    )
    now = _log_likelihoods(
        total,
        history,
        {year + move + shift for move, _, _ in followed for shift in shifts},
        *(longest // week, week, trend),
    )
    log: dict[int, float] = {}
    for move, earlier, chance in followed:
        past = np.logaddexp.reduce([np.log(likely) + before[year + earlier + one] for one, likely in shifts.items()])
        for shift, likely in shifts.items():
            lag = year + move + shift
            one = np.log(chance * likely) + past + now[lag]
            log[lag] = float(np.logaddexp(log.get(lag, -np.inf), one))
    weights = {lag: float(np.exp(one - max(log.values()))) for lag, one in sorted(log.items())}
    return {lag: weight / sum(weights.values()) for lag, weight in weights.items()}


def _end_of_last_season(history: int, year: int, longest: int) -> int:
    """End of the year that holds the last season: before a season that has begun, if the history is long enough."""
    return history - longest if history >= year + longest else history


def _start_of_last_season(total: FloatArray, year: int, longest: int) -> int:
    """First of the ``longest`` periods in a row with most of a year's units; the year's end and start are neighbors.

    A season that is shorter lies in their middle.
    """
    end = _end_of_last_season(len(total), year, longest)
    last = total[end - year : end]
    running = np.cumsum(np.concatenate([[0.0], last, last[: longest - 1]]))
    units = running[longest:] - running[:-longest]
    first = int(units.argmax())
    as_many = np.roll(units, -first) >= (1 - 1e-9) * units[first]
    ties = int(np.append(as_many, False).argmin())
    return end - year + (first + (ties - 1) // 2) % year


def _log_likelihoods(
    total: FloatArray, end: int, lags: set[int], weeks: int, week: int, trend: float
) -> dict[int, float]:
    """Log likelihood of the units of the weeks before ``end``, if they repeat those of ``lag`` periods before.

    Normal around these units times the trend. Only weeks that are known for all lags are counted.
    """
    weeks = max(0, min(weeks, (end - max(lags)) // week))
    sold = total[end - weeks * week : end].reshape(weeks, week).sum(axis=1)
    found = {}
    for lag in lags:
        mean = trend * total[end - lag - weeks * week : end - lag].reshape(weeks, week).sum(axis=1)
        variance = 1.0 + mean + np.square(RULE.variation * mean)
        found[lag] = -0.5 * float((np.square(sold - mean) / variance + np.log(variance)).sum())
    return found


def _whole_weeks(periods: IndexArray, week: int) -> IndexArray:
    return np.round(periods / week).astype(np.int64) * week
