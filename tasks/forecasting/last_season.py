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
        shifted: chance that a season begins a week earlier than last year; also the chance of a week later.
        variation: relative standard deviation of a season's units.
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
    shifted: float = 0.15
    variation: float = 0.35


def last_season_forecasts(
    panel: Panel, horizon: int, levels: Sequence[float], rule: SeasonRule | None = None
) -> Likeness:
    """Forecast the series of seasonal categories whose season is near.

    The shape is the mean of the network's and the series' own last season. The level is the series' own units. The
    trend compares the network's sales of the last weeks with those a year before, and is updated by the category's
    sales in these weeks.

    Args:
        panel: what was known at the cutoff.
        horizon: periods to forecast, at most the panel's horizon.
        levels: Q rising levels, 0.5 among them.
        rule: the numbers; the defaults if None.

    Example:
        School shoes sold 90 units in three weeks of last year and nothing else. The network sells 10 % more than a
        year ago: 99 units in the same three weeks.
    """
    rule = rule or SeasonRule()
    year, history, week = panel.frequency.periods_per_year, panel.history, panel.frequency.periods_per_week
    made: list[tuple[int, FloatArray]] = []
    if history < year:
        return _likeness(panel, made, horizon, levels, rule)
    known = np.isfinite(panel.demand)
    demand = np.where(known, panel.demand, 0.0)
    length = history_lengths(panel)
    recent = min(rule.trend_weeks * week, history - year)
    seasonal = _seasonal_categories(panel, demand, length, horizon, rule)
    everything = np.concatenate([np.zeros(0, dtype=np.int64), *(members for members, _ in seasonal)])
    others = np.setdiff1d(np.flatnonzero(length >= year), everything)
    trend = _change(*_now_and_before(panel, others, recent, year), 0.0, 1.0, rule)
    for members, short in seasonal:
        total = demand[members].sum(axis=0)
        last = total[history - year :]
        change = _change(*_now_and_before(panel, members, recent, year), rule.prior * float(last.sum()), trend, rule)
        chances = np.array([0.0, 1.0, 0.0])
        if short and panel.frequency.kind != "MS":
            chances = _chances_of_start(total, year, week, trend, rule)
        network = _ahead(last, horizon, week, chances)
        for at in members:
            there = known[at, history - year :]
            part = demand[at, history - year :].sum() / max(float(last[there].sum()), np.finfo(float).tiny)
            if part > 0:
                # Where the series was unknown, it counts with its share of the network.
                own = np.where(there, demand[at, history - year :], part * last)
                own = _ahead(own, horizon, week, chances)
                made.append((int(at), change * (part * network + own) / 2.0))
    return _likeness(panel, sorted(made, key=lambda one: one[0]), horizon, levels, rule)


def _seasonal_categories(
    panel: Panel, demand: FloatArray, length: IndexArray, horizon: int, rule: SeasonRule
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
    ahead = np.stack([np.resize(one, horizon).sum() for one in last])
    recent, before = last[:, -size:].sum(axis=1), total[:, max(0, start - size) : start].sum(axis=1)
    least = rule.least_near * last.sum(axis=1)
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


def _ahead(last: FloatArray, horizon: int, week: int, chances: FloatArray) -> FloatArray:
    """Last year's units, shape (year,), in the weeks of the horizon, with an uncertain start of the season."""
    repeated, later = np.resize(last, horizon + week), np.resize(np.roll(last, week), horizon)
    return chances[0] * repeated[week : week + horizon] + chances[1] * repeated[:horizon] + chances[2] * later


def _chances_of_start(total: FloatArray, year: int, week: int, trend: float, rule: SeasonRule) -> FloatArray:
    """Chances that the season begins a week earlier than last year, at the same time, and a week later, shape (3,).

    The prior chances are weighted by the likelihood of the units of each of the last weeks (Bayes' rule): normal around
    last year's units of the corresponding week. A season that has begun as last year is no longer a week early.
    """
    prior = np.array([rule.shifted, 1 - 2 * rule.shifted, rule.shifted])
    end, weeks = len(total) - year, rule.longest["W"]
    if end < (weeks + 1) * week:
        return prior
    log = np.log(prior)
    for back in range(weeks):
        sold = float(total[len(total) - (back + 1) * week : len(total) - back * week].sum())
        for place, shift in enumerate((week, 0, -week)):
            last = end + shift - back * week
            mean = trend * float(total[last - week : last].sum())
            variance = 1.0 + mean + (rule.variation * mean) ** 2
            log[place] -= 0.5 * ((sold - mean) ** 2 / variance + np.log(variance))
    chances: FloatArray = np.exp(log - log.max())
    return chances / chances.sum()


def _now_and_before(panel: Panel, members: IndexArray, recent: int, year: int) -> tuple[float, float]:
    """Units of the last periods and of the same periods a year before, of the cells known in both."""
    end = panel.history
    now = panel.demand[members, end - recent :]
    before = panel.demand[members, end - recent - year : end - year]
    both = np.isfinite(now) & np.isfinite(before)
    return float(now[both].sum()), float(before[both].sum())


def _change(now: float, before: float, weight: float, prior: float, rule: SeasonRule) -> float:
    """Units of some periods relative to the same periods a year before, shrunk toward a prior, within limits."""
    change = (now + weight * prior) / (before + weight) if before + weight > 0 else prior
    return float(np.clip(change, *rule.trend_limits))


def _likeness(
    panel: Panel, made: Sequence[tuple[int, FloatArray]], horizon: int, levels: Sequence[float], rule: SeasonRule
) -> Likeness:
    at = np.array([one for one, _ in made], dtype=np.int64)
    mean = np.array([one for _, one in made]).reshape(len(made), horizon)
    sigma = np.sqrt(mean + np.square(rule.variation * mean))
    closed: BoolArray = panel.closed[at, panel.history : panel.history + horizon]
    mean, quantiles = tidy(mean, from_normal(mean, sigma, levels), closed)
    keys = panel.series[[c.STORE_ID, c.CATEGORY]].iloc[at].astype(object).reset_index(drop=True)
    why = "most of its year sells in a few weeks: the same weeks of last year, with the trend of the network"
    return Likeness(keys, at, mean, quantiles, (why,) * len(made))
