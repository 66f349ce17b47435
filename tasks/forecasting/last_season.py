"""Forecasts of seasonal goods, which sell in a few weeks of the year only, from their last season.

Models that follow the recent level see zeros until the season has begun. A series that sells most of its year in a few
weeks, or that sells nothing for many weeks of every year, is forecast from the same weeks of last year instead, with
the trend of the network. Everything is read from data before the cutoff. Measurements:
docs/decisions/0014-short-history.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray, Panel
from tasks.forecasting.comparables import Likeness, history_lengths
from tasks.forecasting.quantiles import from_normal, tidy
from tasks.forecasting.season_lags import RULE, HolidayMove, chances_of_lags, holiday_moves, within_season

MONTHS = 12


@dataclass(frozen=True)
class SeasonRule:
    """The numbers of the last season (docs/decisions/0014-short-history.md).

    Attributes:
        longest: a category is seasonal if this number of days, weeks or months holds ``share`` of its last year.
        share: fraction of the last year's units.
        quiet: a category is also seasonal if this number of days, weeks or months in a row holds at most ``most_quiet``
            of the last year's units, and of those of the year before.
        most_quiet: fraction of a year's units.
        learned: the models forecast a long season if its category has this number of years of history.
        most_loss: the last season is not used if, on the folds, its mean of WAPE and quantile loss exceeds that of the
            champions of these series by more than this.
        tested: folds with less than this fraction of the units that the last season forecasts lie out of season and
            are not compared.
        most_ended: categories that began in last year's season are seasonal, or articles that have ended. If they are
            more than this fraction of all categories, and more than two, they count as ended.
        least_units: a season is not derived from fewer units in the last year.
        repeated: what was sold in the last ``longest`` periods is part of a season if at least this fraction of it was
            sold in the same periods a year before; otherwise it is a launch.
        least_near: the last season is used if at least this fraction of a year's units lies in the horizon's weeks of
            last year, or was sold in the last ``longest`` periods.
        trend_weeks: number of last weeks from which the trends of the network and of the category are computed.
        trend_limits: smallest and largest trend from year to year.
        prior: weight of the network's trend in the category's trend, as a fraction of last year's units.
    """

    longest: Mapping[str, int] = field(default_factory=lambda: {"D": 56, "W": 8, "MS": 2})
    share: float = 0.7
    quiet: Mapping[str, int] = field(default_factory=lambda: {"D": 140, "W": 20, "MS": 5})
    most_quiet: float = 0.02
    learned: float = 3.0
    most_loss: float = 0.0
    tested: float = 0.5
    most_ended: float = 0.1
    least_units: float = 10.0
    repeated: float = 0.2
    least_near: float = 0.05
    trend_weeks: int = 13
    trend_limits: tuple[float, float] = (0.67, 1.33)
    prior: float = 1.0


def last_season_forecasts(
    panel: Panel,
    horizon: int,
    levels: Sequence[float],
    holidays: Mapping[str, pd.DatetimeIndex] | None = None,
    rule: SeasonRule | None = None,
) -> Likeness:
    """Forecast the series of seasonal categories whose season is near.

    The shape is the mean of the network's and the series' own last season. The level is the series' own units. The
    trend compares the network's sales of the last weeks with those a year before, and is updated by the category's
    sales in these weeks.

    Args:
        panel: what was known at the cutoff.
        horizon: periods to forecast, at most the panel's horizon.
        levels: Q rising levels, 0.5 among them.
        holidays: name to the days on which they begin, a year ahead at least; a season may follow one of them.
        rule: the numbers; the defaults if None.

    Example:
        School shoes sold 90 units in three weeks of last year and nothing else. The network sells 10 % more than a
        year ago: 99 units in the same three weeks.
    """
    rule = rule or SeasonRule()
    year, history, week = panel.frequency.periods_per_year, panel.history, panel.frequency.periods_per_week
    made: list[tuple[int, FloatArray, str]] = []
    if history < year:
        return _likeness(panel, made, horizon, levels)
    known = np.isfinite(panel.demand)
    demand = np.where(known, panel.demand, 0.0)
    length = history_lengths(panel)
    recent = min(rule.trend_weeks * week, history - year)
    longest = rule.longest[panel.frequency.kind]
    moves = holiday_moves(panel, holidays or {}, longest) if panel.frequency.kind != "MS" else []
    seasonal = _seasonal_categories(panel, demand, length, horizon, moves, rule)
    everything = np.concatenate([np.zeros(0, dtype=np.int64), *(members for members, _ in seasonal)])
    others = np.setdiff1d(np.flatnonzero(length >= year), everything)
    trend = _change(*_now_and_before(panel, others, recent, year), 0.0, 1.0, rule)
    for members, short in seasonal:
        total = demand[members].sum(axis=0)
        last = total[history - year :]
        lags = {year: 1.0}
        if short and panel.frequency.kind != "MS":
            lags = chances_of_lags(panel, total, longest, moves, trend)
        weights = {
            lag: chance
            * _change(*_now_and_before(panel, members, recent, lag), rule.prior * float(last.sum()), trend, rule)
            for lag, chance in lags.items()
        }
        weeks = _same_weeks(lags, within_season(total, year, longest, moves), year)
        network = _ahead(total, horizon, weights, year)
        for at in members:
            there = known[at, history - year :]
            part = demand[at, history - year :].sum() / max(float(last[there].sum()), np.finfo(float).tiny)
            if part > 0:
                # Where the series was unknown, it counts with its share of the network.
                own = _ahead(np.where(known[at], demand[at], part * total), horizon, weights, year)
                made.append((int(at), (part * network + own) / 2.0, weeks))
    return _likeness(panel, sorted(made, key=lambda one: one[0]), horizon, levels)


def _seasonal_categories(
    panel: Panel,
    demand: FloatArray,
    length: IndexArray,
    horizon: int,
    moves: Sequence[HolidayMove],
    rule: SeasonRule,
) -> list[tuple[IndexArray, bool]]:
    """The series of every seasonal category whose season is near (in the horizon, or in the last weeks).

    With each, whether the season is short: most of a year's units within ``longest``.
    """
    year, size = panel.frequency.periods_per_year, rule.longest[panel.frequency.kind]
    category, names = pd.factorize(panel.series[c.CATEGORY].astype(str), sort=True)
    total = np.zeros((len(names), panel.history))
    np.add.at(total, category, demand)
    start = panel.history - year
    last = total[:, start:]
    recent, least = last[:, -size:].sum(axis=1), rule.least_near * last.sum(axis=1)
    ahead, before = np.zeros(len(names)), np.zeros(len(names))
    for row, units in enumerate(total):
        followed = within_season(units, year, size, moves) if last[row].any() else []
        for move in {0, *(holiday.move for holiday in followed)}:
            ahead[row] = max(ahead[row], _ahead(units, horizon, {year + move: 1.0}, year).sum())
            then = slice(max(0, start - move - size), max(0, start - move))
            before[row] = max(before[row], units[then].sum())
    near = np.where(recent >= least, before >= rule.repeated * recent, ahead >= least)
    earlier = np.pad(total, ((0, 0), (year, 0)))[:, start : start + year]
    age = np.array([length[category == number].max() for number in range(len(names))])
    found, began, quiet = [], [], rule.quiet[panel.frequency.kind]
    for number in np.flatnonzero(near):
        short = _is_seasonal(last[number], size, rule)
        known = None
        if age[number] < rule.learned * year:
            known = _quiet_before(last[number], earlier[number], int(age[number]), quiet, rule)
        if short or known is not None:
            found.append((number, short))
            if age[number] < year if short else not known:
                began.append(number)
    if len(began) > max(2.0, rule.most_ended * len(names)):
        found = [(number, short) for number, short in found if number not in began]
    return [(np.flatnonzero((category == number) & (length > 0)), short) for number, short in found]


def _is_seasonal(last: FloatArray, size: int, rule: SeasonRule) -> bool:
    """Whether a few weeks in a row hold most of a year's units; the year's end and start are neighbors."""
    total = float(last.sum())
    if total < rule.least_units:
        return False
    running = np.cumsum(np.concatenate([[0.0], last, last[: size - 1]]))
    return float((running[size:] - running[:-size]).max()) >= rule.share * total


def _quiet_before(last: FloatArray, earlier: FloatArray, age: int, size: int, rule: SeasonRule) -> bool | None:
    """Whether the part of the last year with next to no sales is known to have been quiet the year before too.

    Args:
        last: shape (year,), units of the last year.
        earlier: shape (year,), units of the year before; 0 where the category is not that old.
        age: periods since the category's first known one.
        size: periods of the quiet part; the year's end and start are neighbors.
        rule: the numbers.

    Returns:
        None if no part of the last year was quiet, or if this part was not the year before; False if half of that part
        lies before the category's first known period.
    """
    total, year = float(last.sum()), len(last)
    running = np.cumsum(np.concatenate([[0.0], last, last[: size - 1]]))
    quiet = running[size:] - running[:-size]
    start = int(quiet.argmin())
    if total < rule.least_units or quiet[start] > rule.most_quiet * total:
        return None
    part = (start + np.arange(size)) % year
    known = part >= 2 * year - age
    before = float(earlier[part[known]].sum())
    if before > rule.most_quiet * max(float(earlier.sum()), total):
        return None
    return bool(known.mean() > 0.5)  # noqa: PLR2004


def _ahead(units: FloatArray, horizon: int, weights: Mapping[int, float], year: int) -> FloatArray:
    """Units of the last season, shape (T,), in the periods of the horizon: the weighted sum over the lags."""
    ahead = np.zeros(horizon)
    for lag, weight in weights.items():
        at = len(units) + np.arange(horizon) - lag
        ahead += weight * units[np.where(at < 0, at + year, np.where(at < len(units), at, at - year))]
    return ahead


def _same_weeks(lags: Mapping[int, float], holidays: Sequence[HolidayMove], year: int) -> str:
    """The weeks of last year in words: those around a holiday if the mean lag is nearer to its move than to a year.

    >>> easter = HolidayMove("Easter Sunday", at=60, move=3, before=-1)
    >>> _same_weeks({52: 0.2, 54: 0.5, 55: 0.3}, [easter], 52), _same_weeks({52: 0.7, 55: 0.3}, [easter], 52)
    ('the weeks around Easter Sunday of last year', 'the same weeks of last year')
    """
    mean = sum(lag * chance for lag, chance in lags.items())
    nearest = min(holidays, key=lambda holiday: abs(mean - year - holiday.move), default=None)
    if nearest is None or abs(mean - year - nearest.move) >= abs(mean - year):
        return "the same weeks of last year"
    return f"the weeks around {nearest.name} of last year"


def _now_and_before(panel: Panel, members: IndexArray, recent: int, lag: int) -> tuple[float, float]:
    """Units of the last periods and of those ``lag`` periods before, of the cells known in both."""
    end = panel.history
    recent = min(recent, max(end - lag, 0))
    now = panel.demand[members, end - recent :]
    before = panel.demand[members, end - recent - lag : end - lag]
    both = np.isfinite(now) & np.isfinite(before)
    return float(now[both].sum()), float(before[both].sum())


def _change(now: float, before: float, weight: float, prior: float, rule: SeasonRule) -> float:
    """Units of some periods relative to the same periods a year before, shrunk toward a prior, within limits."""
    change = (now + weight * prior) / (before + weight) if before + weight > 0 else prior
    return float(np.clip(change, *rule.trend_limits))


def _likeness(
    panel: Panel, made: Sequence[tuple[int, FloatArray, str]], horizon: int, levels: Sequence[float]
) -> Likeness:
    at = np.array([one for one, _, _ in made], dtype=np.int64)
    mean = np.array([one for _, one, _ in made]).reshape(len(made), horizon)
    sigma = np.sqrt(mean + np.square(RULE.variation * mean))
    closed: BoolArray = panel.closed[at, panel.history : panel.history + horizon]
    mean, quantiles = tidy(mean, from_normal(mean, sigma, levels), closed)
    keys = panel.series[[c.STORE_ID, c.CATEGORY]].iloc[at].astype(object).reset_index(drop=True)
    why = (f"most of its year sells in a few weeks: {weeks}, with the trend of the network" for _, _, weeks in made)
    return Likeness(keys, at, mean, quantiles, tuple(why))
