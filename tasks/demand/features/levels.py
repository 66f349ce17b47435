"""Baseline expectation: what a period would sell if only level and season mattered. Models correct it.

A season is read from up to four earlier years, relative to the yearly mean then. For a target period g
seen from origin t:

    index(w) = mean over j of [mean demand of window w, j years earlier] / [mean of the year before t - (j - 1) years]
    level    = (recent mean + k * long mean) / (index(recent window) + k * index(long window))
    expected = level * index(g)

A small weight k relies on the last weeks, a large one on the last year (k -> infinity with one year: the value of a
year ago times the growth since). The category's own curve, scaled to the series, has half of the weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.features.history import History
from tasks.demand.features.training_rows import Rows
from tasks.demand.features.windows import RATIOS, RunningSums, divide


@dataclass(frozen=True)
class ExpectationRule:
    """The numbers of the baseline expectation (docs/reference/constants.md).

    Attributes:
        years: earlier years that a season is read from at most.
        largest_growth: growth against the yearly mean is limited to this factor, in either direction.
        long_weights: weights k of the long mean that are compared.
    """

    years: int = 4
    largest_growth: float = 2.0
    long_weights: tuple[float, ...] = (0.1, 0.5, 4.0)


RULE = ExpectationRule()


@dataclass(frozen=True)
class Expectations:
    """Candidate expectations of the same rows, in units per open period, all above 0.

    Attributes:
        level: shape (k,); recent mean demand.
        curves: weight of the long mean to shape (k,).
        seasonal: shape (k,); whether an earlier year of the series itself is known.
    """

    level: FloatArray
    curves: dict[float, FloatArray]
    seasonal: BoolArray

    def take(self, used: IndexArray | BoolArray) -> Expectations:
        """Some of the rows."""
        curves = {weight: curve[used] for weight, curve in self.curves.items()}
        return Expectations(self.level[used], curves, self.seasonal[used])

    def empty(self, size: int) -> Expectations:
        """Return expectations with the same weights for :meth:`put`."""
        curves = {weight: np.empty(size) for weight in self.curves}
        return Expectations(np.empty(size), curves, np.empty(size, dtype=bool))

    def put(self, rows: IndexArray, found: Expectations) -> None:
        """Set some of the rows."""
        self.level[rows], self.seasonal[rows] = found.level, found.seasonal
        for weight, curve in self.curves.items():
            curve[rows] = found.curves[weight]


def expectations(history: History, rows: Rows) -> Expectations:
    """The level, and the seasonal curve for each weight of the long mean (the level if no year is known)."""
    level = history.level(rows.series, rows.origin)
    seasons = _Seasons.of(history, rows)
    curves = {}
    for weight in RULE.long_weights:
        curve = seasons.expected(weight)
        curves[weight] = np.maximum(np.where(np.isfinite(curve), curve, level), RATIOS.smallest * level)
    return Expectations(level, curves, seasons.own_known)


@dataclass(frozen=True)
class _Curve:
    """Seasonal indices of one family of series, and its own levels; shapes (k,), NaN = no earlier year."""

    target: FloatArray
    recent: FloatArray
    long: FloatArray
    recent_mean: FloatArray
    long_mean: FloatArray
    year_mean: FloatArray

    def level(self, weight: float) -> FloatArray:
        """Yearly mean that follows from the recent and the long mean."""
        found = divide(self.recent_mean + weight * self.long_mean, self.recent + weight * self.long)
        clipped: FloatArray = np.clip(found, self.year_mean / RULE.largest_growth, self.year_mean * RULE.largest_growth)
        return clipped


@dataclass(frozen=True)
class _Seasons:
    own: _Curve
    pooled: _Curve

    @classmethod
    def of(cls, history: History, rows: Rows) -> _Seasons:
        group = history.groups[c.CATEGORY if c.CATEGORY in history.groups else "all"]
        return cls(
            _curve(history, history.sums, rows.series, rows),
            _curve(history, group.means, group.of_series[rows.series], rows),
        )

    @property
    def own_known(self) -> BoolArray:
        return np.isfinite(self.own.target * self.own.level(1.0))

    def expected(self, weight: float) -> FloatArray:
        """Mean of the own and the pooled curve; one of them if the other is unknown."""
        own = self.own.target * self.own.level(weight)
        mine = np.nan_to_num(self.own.recent_mean) + weight * np.nan_to_num(self.own.year_mean)
        theirs = self.pooled.recent_mean + weight * self.pooled.year_mean
        pooled = self.pooled.target * self.pooled.level(weight) * divide(mine, theirs)
        both = (own + pooled) / 2
        mixed: FloatArray = np.where(np.isfinite(both), both, np.where(np.isfinite(own), own, pooled))
        return mixed


def _curve(history: History, sums: RunningSums, lookup: IndexArray, rows: Rows) -> _Curve:
    windows, origin = history.windows, rows.origin
    year, recent = windows.year, windows.level
    long = np.clip(origin - year, 0, year)
    indices = [np.zeros(len(rows)) for _ in range(3)]
    count = np.zeros(len(rows))
    for back in range(1, RULE.years + 1):
        then = origin - year * back
        yearly = sums.mean(lookup, then + year, year)
        at = rows.target - year * back
        first, end = np.maximum(at - windows.band, 0), np.minimum(at + windows.band + 1, then + year)
        around = divide(sums.mean(lookup, end, np.maximum(end - first, 0)), yearly)
        usable = np.isfinite(around) & (at >= 0) & (then >= recent // 2)
        count += usable
        indices[0] += np.where(usable, around, 0.0)
        indices[1] += _where_known(divide(sums.mean(lookup, then, recent), yearly), usable, 0.0)
        indices[2] += _where_known(divide(sums.mean(lookup, then, long), yearly), usable, 1.0)
    target, recent_index, long_index = (divide(index, count) for index in indices)
    year_mean = sums.mean(lookup, origin, year)
    long_mean = sums.mean(lookup, origin, long)
    return _Curve(
        target,
        recent_index,
        long_index,
        np.nan_to_num(sums.mean(lookup, origin, recent)),
        np.where(np.isfinite(long_mean), long_mean, year_mean),
        year_mean,
    )


def _where_known(index: FloatArray, usable: BoolArray, absent: float) -> FloatArray:
    """The index; ``absent`` if it is unknown, and 0 where the year is not usable."""
    return np.where(usable, np.where(np.isfinite(index), index, absent), 0.0)
