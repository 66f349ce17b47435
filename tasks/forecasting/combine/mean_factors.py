"""Calibration of means: factors from the folds, by size of the series and promotion state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import BoolArray, FloatArray, IndexArray

# Size classes of series.
SIZES = 3


@dataclass(frozen=True)
class MeanRule:
    """The numbers of the mean's calibration (docs/reference/constants.md).

    Attributes:
        luck: prior standard deviation of log(sold / forecast) of a network's total over one horizon, for an unbiased
            forecast: a ratio within it is chance. It has the weight of one window.
        largest_factor: factors lie between 1 / largest and largest.
    """

    luck: float = 0.3
    largest_factor: float = 4.0


RULE = MeanRule()


@dataclass(frozen=True)
class MeanFactors:
    """Factors on the mean.

    Attributes:
        edges: shape (SIZES - 1,), units of the mean between the size classes.
        factors: shape (SIZES * 2,), by size class; the second of each pair is for promoted periods.
    """

    edges: FloatArray
    factors: FloatArray

    @classmethod
    def none(cls) -> MeanFactors:
        """All factors 1."""
        return cls(np.zeros(SIZES - 1), np.ones(2 * SIZES))

    def apply(self, mean: FloatArray, promoted: BoolArray) -> FloatArray:
        """The calibrated means, shape (k,)."""
        found: FloatArray = mean * self.factors[_cell(mean, promoted, self.edges)]
        return found


def calibrate_mean(
    sold: FloatArray, mean: FloatArray, promoted: BoolArray, series: IndexArray, fold: IndexArray, windows: float
) -> MeanFactors:
    """Factors from rows that were not used for fitting.

    The log ratio r = log(sold / forecast) of all rows, and that of each cell relative to it, are multiplied by
    r^2 / (r^2 + v), where v is the variance of the ratio by chance. Both contain the variance of the series' own
    errors, summed by series (Cochran 1977, chapter 6). The ratio of all rows also contains s^2 / (k - 1) with k
    windows, because all series share their shocks. s^2 is the mean of ``luck``^2, weight 1, and of the variance of r
    between the folds, weight k - 1. The direction of the error of a single window is chance, so it moves nothing. A
    bias that is the same in all folds counts nearly in full, one that changes from fold to fold moves little. Example:
    means of many series at twice the sales on three windows get a factor of 0.51.

    Args:
        sold: shape (k,), units.
        mean: shape (k,), units.
        promoted: shape (k,).
        series: shape (k,), number of the row's series.
        fold: shape (k,), number of the row's fold.
        windows: number of windows of the rows; overlapping windows count for as many horizons as they cover.
    """
    edges = np.quantile(mean, np.arange(1, SIZES) / SIZES)
    cell = _cell(mean, promoted, edges)
    total, expected = (np.bincount(cell, values, minlength=2 * SIZES) for values in (sold, mean))
    if windows <= 1.0 or total.sum() <= 0 or expected.sum() <= 0:
        return MeanFactors.none()
    ratio = total.sum() / expected.sum()
    luck = _between_folds(sold, mean, fold, windows) / (windows - 1.0)
    usable = (total > 0) & (expected > 0)
    own = np.zeros(2 * SIZES)
    own[usable] = np.log(total[usable] / expected[usable] / ratio)
    among = int(series.max()) + 1
    rest = sold - mean * (ratio * np.exp(own))[cell]
    error = np.bincount(cell * among + series, rest, minlength=2 * SIZES * among).reshape(2 * SIZES, among)
    chance = np.square(error).sum(axis=1) / np.where(usable, total, 1.0) ** 2
    shared = luck + np.square(error.sum(axis=0)).sum() / total.sum() ** 2
    overall = _shrunk(np.log(np.array([ratio])), np.array([shared]))
    limit = np.log(RULE.largest_factor)
    return MeanFactors(edges, np.exp(np.clip(overall + _shrunk(own, chance), -limit, limit)))


def _between_folds(sold: FloatArray, mean: FloatArray, fold: IndexArray, windows: float) -> float:
    """Variance of a fold's log ratio by chance, from the prior and the folds."""
    total, expected = np.bincount(fold, sold), np.bincount(fold, mean)
    usable = (total > 0) & (expected > 0)
    ratios = np.log(total[usable] / expected[usable])
    own = float(ratios.var(ddof=1)) if len(ratios) > 1 else RULE.luck**2
    return (RULE.luck**2 + (windows - 1.0) * own) / windows


def _shrunk(ratio: FloatArray, chance: FloatArray) -> FloatArray:
    found: FloatArray = np.asarray(ratio**3 / np.maximum(ratio**2 + chance, np.finfo(float).tiny))
    return found


def _cell(mean: FloatArray, promoted: BoolArray, edges: FloatArray) -> IndexArray:
    found: IndexArray = 2 * np.searchsorted(edges, mean) + promoted
    return found
