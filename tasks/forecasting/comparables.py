"""Forecasts of series with a short or no history, by likeness to comparable series.

The level comes from the series' own periods, each relative to what the comparable series sold in the same period, so
that a store opened in November is not projected at its Christmas level. The shape (season, holidays, trend) comes from
the forecasts of the comparable series. Everything is read from data before the cutoff. Measurements:
docs/decisions/0014-short-history.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import BoolArray, FloatArray, IndexArray, Panel
from tasks.forecasting.baselines import open_demand
from tasks.forecasting.combine.quantile_factors import MEDIAN
from tasks.forecasting.new_levels import fitted_levels, levels_and_index
from tasks.forecasting.quantiles import normal_scores, tidy

# A month is its own unit.
UNIT = {"D": "weeks", "W": "weeks", "MS": "months"}
# Series whose closures are looked for at the same time, to limit memory.
SERIES_AT_ONCE = 2000


@dataclass(frozen=True)
class ComparableRule:
    """The numbers of the likeness (docs/decisions/0014-short-history.md).

    Attributes:
        longest: a series with a longer history is left to the models, which follow its level better. A fraction of a
            year, or of all data if these are shorter than a year.
        whole: a comparable series has a year of history, or this fraction of all data if these are shorter.
        recent_weeks: the level is read from this number of latest weeks (or months).
        fewest: minimum number of comparable series: of the same store type if it has that number, else of any type.
        active_weeks: a comparable series has a known period within this many weeks (or months) before the cutoff.
        closed_weeks: a series counts as reopened after this many unknown or closed weeks (months) in a row.
        reopened_weeks: a reopened series follows comparable series while it has fewer known weeks (or months) than
            this.
        prior_weeks: weight of the comparable series' mean level, in weeks (or months) of own sales.
        profile_weeks: daily data: weight of the comparable series' weekday profile, in weeks of own sales.
        drift: relative standard deviation of a level between the own periods and the horizon.
        size_limits: smallest and largest factor that a new store's storage capacity has on its level.
        most_loss: comparables are not used if, on the folds, their mean of WAPE and quantile loss exceeds that of the
            champions of the short series by more than this. A smaller excess does not count: folds that end within
            a season cannot show the sales after it.
    """

    longest: float = 0.5
    whole: float = 0.9
    recent_weeks: int = 13
    fewest: int = 2
    active_weeks: int = 8
    closed_weeks: int = 13
    reopened_weeks: int = 8
    prior_weeks: float = 0.5
    profile_weeks: float = 4.0
    drift: float = 0.1
    size_limits: tuple[float, float] = (0.5, 2.0)
    most_loss: float = 0.1


@dataclass(frozen=True)
class Likeness:
    """Forecasts of k series.

    Attributes:
        series: k rows: store_id and category.
        position: shape (k,); index into the panel, -1 for a series that is not in it.
        mean: shape (k, H), units.
        quantiles: shape (k, H, Q), units.
        why: one sentence per series.
    """

    series: pd.DataFrame
    position: IndexArray
    mean: FloatArray
    quantiles: FloatArray
    why: tuple[str, ...]


def history_lengths(panel: Panel) -> IndexArray:
    """Periods from the first known one to the end of the history, shape (n,); 0 without a known period."""
    known = np.isfinite(panel.demand)
    return np.where(known.any(axis=1), panel.history - known.argmax(axis=1), 0)


def is_short(panel: Panel) -> BoolArray:
    """Series with some history, but less than a year of it, shape (n,)."""
    length = history_lengths(panel)
    return (length > 0) & (length < panel.frequency.periods_per_year)


def was_closed(panel: Panel, rule: ComparableRule) -> BoolArray:
    """Series that were unknown or closed for long until now, or reopened lately, shape (n,).

    A closure that also occurred in the year before is a season of the store, which the models already follow.
    """
    known = np.isfinite(open_demand(panel))
    blocks = np.array_split(known, max(1, panel.n // SERIES_AT_ONCE))
    return np.concatenate([_closed_long(block, panel.frequency, rule) for block in blocks])


def _closed_long(known: BoolArray, frequency: Frequency, rule: ComparableRule) -> BoolArray:
    week, year, (n, history) = frequency.periods_per_week, frequency.periods_per_year, known.shape
    at, series = np.arange(history), np.arange(n)
    count = np.concatenate([np.zeros((n, 1), dtype=np.int64), known.cumsum(axis=1)], axis=1)
    run = at - np.maximum.accumulate(np.where(known, at, -1), axis=1)
    since = count[:, -1:] - count[:, :-1]
    long = (count[:, 1:] > 0) & (run >= rule.closed_weeks * week) & (since < rule.reopened_weeks * week)
    last = history - 1 - long[:, ::-1].argmax(axis=1)
    first = np.maximum(last - run[series, last] + 1 - year, known.argmax(axis=1))
    end = np.maximum(last + 1 - year, first)
    before = count[series, end] - count[series, first]
    yearly = (end - first >= run[series, last] / 2) & (before < (end - first) / 2)
    found: BoolArray = long.any(axis=1) & ~yearly
    return found


def comparable_forecasts(
    panel: Panel,
    mean: FloatArray,
    quantiles: FloatArray,
    levels: Sequence[float],
    new: pd.DataFrame | None = None,
    rule: ComparableRule | None = None,
) -> Likeness:
    """Forecast series with at most half a year of history, reopened ones and new ones from comparable series.

    The comparable series are those of the same category in other stores, if they have a year of history (or, if all
    data are shorter, most of the history). If enough of them are of the same store type, only these are used. A new
    series may name another category (column ``like``): then the series of that category in its own store comes first.
    If the category has no series, all series of the store count, or all of the network if the store has none. The level
    of a new series is the level of the comparable series, times the ratio of the levels that the attributes of stores
    and products predict (:mod:`tasks.forecasting.new_levels`).

    Args:
        panel: what was known at the cutoff.
        mean: shape (n, h), forecasts of all series for the first h periods of the horizon, units.
        quantiles: shape (n, h, Q), units.
        levels: Q rising levels, 0.5 among them.
        new: further series without any history: store_id, category, and if known store_type, storage_capacity,
            opened_on and like.
        rule: the numbers; the defaults if None.

    Returns:
        A forecast for every new series, every one with at most half a year of history, and every one that was closed
        for a quarter of a year and reopened in the last weeks, with enough comparable ones. The level of a reopened
        series is read from its last known periods, before and after the closure.

    Example:
        The comparable stores sold twice their mean level in December. A store opened then that sold 20 a week has
        the level 10, and is forecast for January with 10 times their January.
    """
    rule = rule or ComparableRule()
    found = _Finder(panel, mean, quantiles, levels, rule)
    length = history_lengths(panel)
    served = (length > 0) & (length <= rule.longest * min(panel.frequency.periods_per_year, panel.history))
    served |= found.reopened
    own = [found.short(int(at)) for at in np.flatnonzero(served)]
    added = found.all_new(new) if new is not None and len(new) else []
    made = [one for one in [*own, *added] if one is not None]
    shape = (len(made), *quantiles.shape[1:])
    return Likeness(
        series=pd.DataFrame([one.key for one in made], columns=[c.STORE_ID, c.CATEGORY], dtype=object),
        position=np.array([one.position for one in made], dtype=np.int64),
        mean=np.array([one.mean for one in made]).reshape(shape[:2]),
        quantiles=np.array([one.quantiles for one in made]).reshape(shape),
        why=tuple(one.why for one in made),
    )


@dataclass(frozen=True)
class _One:
    key: tuple[str, str]
    position: int
    mean: FloatArray
    quantiles: FloatArray
    why: str


@dataclass(frozen=True)
class _Pool:
    """Comparable series, summed and divided by their mean level.

    Attributes:
        members: positions in the panel.
        index: shape (W,); what they sold in each period of the last year; NaN where none is known.
        mean, quantiles: shapes (h,) and (h, Q); their forecast.
        level: mean level of a member, units per period.
        variation: relative standard deviation of the members' levels.
        same_type: the members have the store type of the series.
    """

    members: IndexArray
    index: FloatArray
    mean: FloatArray
    quantiles: FloatArray
    level: float
    variation: float
    same_type: bool


class _Finder:
    def __init__(
        self, panel: Panel, mean: FloatArray, quantiles: FloatArray, levels: Sequence[float], rule: ComparableRule
    ) -> None:
        year, history = panel.frequency.periods_per_year, panel.history
        self._panel, self._mean, self._quantiles, self._rule = panel, mean, quantiles, rule
        self._scores, self._median = normal_scores(levels), list(levels).index(MEDIAN)
        self._start = max(0, history - year)
        self._week = panel.frequency.periods_per_week
        self._demand = open_demand(panel)[:, self._start :]
        known = np.isfinite(self._demand)
        size = known.sum(axis=1)
        total = np.where(known, self._demand, 0.0).sum(axis=1)
        self._level = np.divide(total, size, out=np.zeros(panel.n), where=size > 0)
        active = known[:, -rule.active_weeks * self._week :].any(axis=1)
        self.reopened = was_closed(panel, rule)
        self._long = (history_lengths(panel) >= min(year, rule.whole * history)) & active & (self._level > 0)
        self._long &= ~self.reopened
        self._category = panel.series[c.CATEGORY].astype(str).to_numpy()
        self._store = panel.series[c.STORE_ID].astype(str).to_numpy()
        typed = c.STORE_TYPE in panel.series.columns
        self._type = panel.series[c.STORE_TYPE].astype(str).to_numpy() if typed else np.full(panel.n, "")
        self._open = ~panel.closed[:, history : history + mean.shape[1]]
        self._weekday = np.asarray(panel.periods.dayofweek)[self._start : history + mean.shape[1]]
        self._pools: dict[tuple[str, str], _Pool | None] = {}

    def short(self, at: int) -> _One | None:
        """The forecast of a series of the panel."""
        pool = self._stores(self._category[at], self._type[at])
        if pool is None:
            return None
        key = (self._store[at], self._category[at])
        return self._one(key, at, pool, self._demand[at], pool.level, self._open[at])

    def all_new(self, new: pd.DataFrame) -> list[_One | None]:
        """The forecasts of series without history."""
        like = new[c.LIKE] if c.LIKE in new.columns else pd.Series(np.nan, index=new.index)
        asked = new.assign(**{c.CATEGORY: like.where(like.notna(), new[c.CATEGORY])})
        level, used = self._recent_levels()
        fitted = (
            fitted_levels(self._panel.series, level, used, asked) if used.any() else np.ones(self._panel.n + len(new))
        )
        own, expected = fitted[: self._panel.n], fitted[self._panel.n :]
        return [self._new(row, own, float(fit)) for (_, row), fit in zip(new.iterrows(), expected, strict=True)]

    def _new(self, row: pd.Series, fitted: FloatArray, expected: float) -> _One | None:
        """The forecast of a series without history: the level of comparable series, adjusted by its attributes.

        Args:
            row: the new series.
            fitted: shape (n,), levels of the panel's series by store, category and attributes.
            expected: the same of the new series.
        """
        key = (str(row[c.STORE_ID]), str(row[c.CATEGORY]))
        named = c.LIKE in row and pd.notna(row[c.LIKE])
        like = str(row[c.LIKE]) if named else key[1]
        kind = str(row[c.STORE_TYPE]) if c.STORE_TYPE in row and pd.notna(row[c.STORE_TYPE]) else ""
        same = self._long & (self._store == key[0])
        opened = self._open_from(row.get(c.OPENED_ON))
        nothing = np.full(self._demand.shape[1], np.nan)
        pool = self._pool(np.flatnonzero(same & (self._category == like)), False)
        if pool is not None:
            return self._one(key, -1, pool, nothing, pool.level, opened)
        pool = self._stores(like, kind) or self._pool(np.flatnonzero(same), False)
        pool = pool or self._pool(np.flatnonzero(self._long), False)
        if pool is None:
            return None
        size, usual = self._relative_size(row, pool), float(fitted[pool.members].mean())
        found = self._one(key, -1, pool, nothing, pool.level * size * expected / usual, opened)
        # Levels are skewed: their logarithms are fitted, so the fit is a median, below the mean of the levels.
        return replace(found, quantiles=found.quantiles * min(1.0, usual / pool.level))

    def _recent_levels(self) -> tuple[FloatArray, BoolArray]:
        """Level of every series, and which of them are known lately, shape (n,) each.

        The level of a short series is relative to what its category sold in the same periods.
        """
        recent = np.isfinite(self._demand[:, -self._rule.active_weeks * self._week :])
        sold = np.nan_to_num(self._demand).sum(axis=1)
        expected = np.isfinite(self._demand).sum(axis=1).astype(np.float64)
        for category in np.unique(self._category):
            rows = np.flatnonzero(self._category == category)
            pool = self._pools.get((category, "")) or self._pool(rows[self._long[rows]], False)
            if pool is not None:
                index = np.nan_to_num(pool.index)
                expected[rows] = (np.isfinite(self._demand[rows]) * index).sum(axis=1)
        level = np.divide(sold, expected, out=np.zeros(len(sold)), where=expected > 0)
        return level, recent.any(axis=1) & (expected > 0)

    def _stores(self, category: str, kind: str) -> _Pool | None:
        """The comparable stores of a category."""
        if (category, kind) not in self._pools:
            members = np.flatnonzero(self._long & (self._category == category))
            alike = members[self._type[members] == kind]
            typed = bool(kind) and len(alike) >= self._rule.fewest
            enough = len(members) >= self._rule.fewest
            self._pools[category, kind] = self._pool(alike if typed else members, typed) if enough else None
        return self._pools[category, kind]

    def _pool(self, members: IndexArray, typed: bool) -> _Pool | None:
        if not len(members):
            return None
        level, index = levels_and_index(self._demand[members], self._level[members])
        is_open = self._open[members]
        ahead = np.maximum((is_open * level[:, None]).sum(axis=0), np.finfo(float).tiny)
        return _Pool(
            members=members,
            index=index,
            mean=(self._mean[members] * is_open).sum(axis=0) / ahead,
            quantiles=(self._quantiles[members] * is_open[:, :, None]).sum(axis=0) / ahead[:, None],
            level=float(level.mean()),
            variation=float(level.std() / level.mean()),
            same_type=typed,
        )

    def _one(
        self, key: tuple[str, str], at: int, pool: _Pool, own: FloatArray, prior: float, is_open: BoolArray
    ) -> _One:
        """Level times shape; the level's uncertainty widens the quantiles."""
        used = np.flatnonzero(np.isfinite(own) & np.isfinite(pool.index))[-self._rule.recent_weeks * self._week :]
        sold, index = own[used], pool.index[used]
        usual = float(np.nanmean(pool.index))
        weight = max(self._rule.prior_weeks * self._week * usual, np.finfo(float).tiny)
        level = (sold.sum() + weight * prior) / (index.sum() + weight)
        profile = self._profile(used, sold, level * index, level * usual)
        errors: FloatArray = np.zeros(1)
        if len(used):
            errors = np.bincount((used - used[0]) // self._week, sold - level * index * profile[used]).astype(
                np.float64
            )
        expected = max((level * float(index.sum())) ** 2, np.finfo(float).tiny)
        unsure = float(np.square(errors).sum()) / expected
        unsure += (pool.variation * weight / (index.sum() + weight)) ** 2 + self._rule.drift**2
        factor = level * profile[len(own) :]
        mean, quantiles = pool.mean * factor, pool.quantiles * factor[:, None]
        median = quantiles[:, self._median, None]
        # A smaller series varies more: relative Poisson errors grow with one over the root of the level.
        smaller = np.sqrt(max(1.0, pool.level / max(level, np.finfo(float).tiny)))
        spread = np.hypot((quantiles - median) * smaller, self._scores * median * np.sqrt(unsure))
        mean, quantiles = tidy(mean, median + np.sign(self._scores) * spread, ~is_open)
        return _One(key, at, mean, quantiles, self._why(key, pool, at, len(used)))

    def _profile(self, used: IndexArray, sold: FloatArray, expected: FloatArray, usual: float) -> FloatArray:
        """Factor of each weekday, by period of the last year and the horizon; 1 where periods are longer than a day."""
        factor = np.ones(len(self._weekday))
        if self._week == 1 or not len(used):
            return factor
        prior = self._rule.profile_weeks * usual
        for day in range(7):
            rows = self._weekday[used] == day
            share = (sold[rows].sum() + prior) / max(expected[rows].sum() + prior, np.finfo(float).tiny)
            factor[self._weekday == day] = share
        return factor

    def _relative_size(self, row: pd.Series, pool: _Pool) -> float:
        """The storage capacity of a new store relative to the comparable stores; 1 where unknown."""
        if c.STORAGE_CAPACITY not in self._panel.series.columns:
            return 1.0
        others = self._panel.series[c.STORAGE_CAPACITY].to_numpy(dtype=np.float64)[pool.members]
        others, own = others[others > 0], float(row.get(c.STORAGE_CAPACITY, np.nan))
        if not own > 0 or not np.isfinite(own) or not len(others):
            return 1.0
        return float(np.clip(own / others.mean(), *self._rule.size_limits))

    def _open_from(self, opened: object) -> BoolArray:
        """Periods of the horizon that end after a store's opening."""
        size = self._mean.shape[1]
        if opened is None or pd.isna(opened):
            return np.ones(size, dtype=bool)
        ends = self._panel.horizon_periods[:size].shift(1)
        return np.asarray(ends > pd.Timestamp(opened))

    def _why(self, key: tuple[str, str], pool: _Pool, at: int, periods: int) -> str:
        same_store = (self._store[pool.members] == key[0]).all()
        others = f"{len(pool.members)} comparable {'series of the store' if same_store else 'stores'}"
        others += " of the same type" if pool.same_type else ""
        if not periods:
            missing = "no sales before the run date" if at < 0 else "no known sales in the last year"
            return f"{missing}: level and season of {others}"
        weeks = -(-periods // self._week)
        unit = UNIT[self._panel.frequency.kind]
        return f"level from {weeks} {unit} relative to {others} in the same {unit}, season from their forecasts"
