"""Statistics of forecast rows that add up, and their sums over groups of rows.

A :class:`Statistic` is one number per row. A metric divides the sum of one statistic by the sum of another
(:mod:`tasks.evaluation.metrics.definitions`), so one pass over the rows serves every metric at every level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from schemas.panel import FloatArray, IndexArray
from tasks.evaluation.metrics import stats


@dataclass(frozen=True)
class RowValues:
    """Actuals and forecasts of N rows; every actual is known.

    Attributes:
        actual, mean, median: shape (N,), units.
        quantiles: shape (N, Q), units.
        levels: the Q quantile levels, fractions.
        cost: shape (N,), simulated inventory cost in currency, NaN where it is not counted.
    """

    actual: FloatArray
    mean: FloatArray
    median: FloatArray
    quantiles: FloatArray
    levels: tuple[float, ...]
    cost: FloatArray

    @cached_property
    def bands(self) -> NDArray[np.int8]:
        """Acceptance band of the median, shape (N,); see :class:`tasks.evaluation.metrics.stats.Band`."""
        return stats.acceptance_band(self.actual, self.median)

    def covered(self) -> FloatArray:
        """1 where the actual lies within the outermost symmetric pair of quantiles, else 0; NaN without a pair."""
        pair = stats.outer_pair(self.levels)
        if pair is None:
            return np.full(len(self.actual), np.nan)
        return stats.inside(self.actual, *self.quantiles[:, pair].T).astype(float)

    def in_band(self, band: stats.Band) -> FloatArray:
        """1 where the median lies in the acceptance band, else 0, shape (N,)."""
        return (self.bands == band).astype(float)


@dataclass(frozen=True)
class Statistic:
    """A number per row that adds up over rows.

    Attributes:
        name: for messages.
        of: N rows to N numbers.
    """

    name: str
    of: Callable[[RowValues], FloatArray]


def _none(rows: RowValues) -> FloatArray:
    return np.zeros(len(rows.actual))


COUNT = Statistic("rows", lambda rows: np.ones(len(rows.actual)))
ACTUAL = Statistic("actual, units", lambda rows: rows.actual)
ABSOLUTE_ACTUAL = Statistic("|actual|, units", lambda rows: np.abs(rows.actual))
ABSOLUTE_ERROR = Statistic("|median - actual|, units", lambda rows: stats.absolute_error(rows.actual, rows.median))
PERCENTAGE_ERROR = Statistic(
    "|median - actual| / max(|actual|, 1e-6)", lambda rows: stats.absolute_percentage_error(rows.actual, rows.median)
)
SQUARED_ERROR = Statistic("(mean - actual)^2", lambda rows: stats.squared_error(rows.actual, rows.mean))
SIGNED_ERROR = Statistic("mean - actual, units", lambda rows: rows.mean - rows.actual)
QUANTILE_SCORE = Statistic(
    "mean over the levels of twice the pinball loss, units",
    lambda rows: stats.quantile_score(rows.actual, rows.quantiles, rows.levels),
)
COVERED = Statistic("within the outermost symmetric quantiles", RowValues.covered)
EXCELLENT = Statistic("excellent", lambda rows: rows.in_band(stats.Band.EXCELLENT))
GOOD = Statistic("good", lambda rows: rows.in_band(stats.Band.GOOD))
ACCEPTABLE = Statistic("acceptable", lambda rows: rows.in_band(stats.Band.ACCEPTABLE))
POOR = Statistic("poor", lambda rows: rows.in_band(stats.Band.POOR))
COST = Statistic("simulated inventory cost, currency", lambda rows: np.nan_to_num(rows.cost))
COSTED_ROWS = Statistic("rows with a counted cost", lambda rows: np.isfinite(rows.cost).astype(float))
# These three are not sums over rows; Sums.grouped and Sums.scaled fill them.
DEVIATION = Statistic("(actual - mean actual of the group)^2", _none)
SCALED_GROUPS = Statistic("groups with a usable scale", _none)
SCALED_ABSOLUTE_ERROR = Statistic("mean |median - actual| / scale", _none)
SCALED_ROOT_ERROR = Statistic("sqrt(mean (mean - actual)^2 / squared scale)", _none)


@dataclass(frozen=True)
class Sums:
    """Sums of statistics over the counted rows of G groups.

    Attributes:
        totals: shape (G,) by statistic.
    """

    totals: Mapping[Statistic, FloatArray] = field(repr=False)

    def __getitem__(self, statistic: Statistic) -> FloatArray:
        """Sum of one statistic, shape (G,)."""
        return self.totals[statistic]

    def grouped(self, codes: IndexArray, groups: int) -> Sums:
        """Sums of coarser groups.

        Args:
            codes: shape (G,), the coarser group of each group.
            groups: number of coarser groups; one without members has zeros.
        """
        total = {statistic: _summed(codes, values, groups) for statistic, values in self.totals.items()}
        # Deviations within the parts plus those of the parts' means: exact and stable, unlike sums of squares.
        count = self[COUNT]
        shift = _ratio(self[ACTUAL], count) - _ratio(total[ACTUAL], total[COUNT])[codes]
        between = np.where(count > 0, count * np.square(shift), 0.0)
        total[DEVIATION] = total[DEVIATION] + _summed(codes, between, groups)
        return Sums(total)

    def scaled(self, absolute_scale: FloatArray, squared_scale: FloatArray) -> Sums:
        """Add the scaled errors of each group whose scales are known and above zero.

        Args:
            absolute_scale: shape (G,), mean absolute seasonal difference of the training series, units.
            squared_scale: shape (G,), mean squared seasonal difference.
        """
        count = self[COUNT]
        usable = (count > 0) & (absolute_scale > 0) & (squared_scale > 0)
        absolute = np.where(usable, _ratio(_ratio(self[ABSOLUTE_ERROR], count), absolute_scale), 0.0)
        squared = np.where(usable, _ratio(_ratio(self[SQUARED_ERROR], count), squared_scale), 0.0)
        return self._with_scaled(usable.astype(float), absolute, np.sqrt(squared))

    def averaged_scaled_errors(self) -> Sums:
        """Average the scaled errors within each group, so that each group counts once in a mean over groups."""
        count = self[SCALED_GROUPS]
        usable = count > 0
        absolute = np.where(usable, _ratio(self[SCALED_ABSOLUTE_ERROR], count), 0.0)
        root = np.where(usable, _ratio(self[SCALED_ROOT_ERROR], count), 0.0)
        return self._with_scaled(usable.astype(float), absolute, root)

    def _with_scaled(self, groups: FloatArray, absolute: FloatArray, root: FloatArray) -> Sums:
        found = {SCALED_GROUPS: groups, SCALED_ABSOLUTE_ERROR: absolute, SCALED_ROOT_ERROR: root}
        return replace(self, totals={**self.totals, **found})


def row_sums(rows: RowValues, statistics: tuple[Statistic, ...]) -> Sums:
    """Sums of groups of one row each.

    Args:
        rows: N rows.
        statistics: what to compute; COUNT, ACTUAL, DEVIATION and the three scaled statistics among them.
    """
    return Sums({statistic: statistic.of(rows) for statistic in statistics})


def joined(parts: list[Sums]) -> Sums:
    """The groups of several sums, one part after the other."""
    return Sums({statistic: np.concatenate([part[statistic] for part in parts]) for statistic in parts[0].totals})


def per(total: FloatArray, count: FloatArray) -> FloatArray:
    """Total per count, shape (G,); NaN where nothing is counted."""
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def _summed(codes: IndexArray, values: FloatArray, groups: int) -> FloatArray:
    return np.asarray(np.bincount(codes, values, minlength=groups), dtype=np.float64)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Element by element, NaN where the denominator is zero."""
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator != 0)
