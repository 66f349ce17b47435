"""One calibration of quantiles: conformal factors from the folds' residuals, shrunk toward the model's own spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.panel import FloatArray, IndexArray

MEDIAN = 0.5
# Size classes of series.
SIZES = 3
SAME = 1e-9


@dataclass(frozen=True)
class CalibrationRule:
    """The numbers of the calibration (docs/reference/constants.md).

    Attributes:
        bucket_prior: prior weight k, in rows: a bucket's own factor weighs n / (n + k) against that of all rows.
        prior_windows: prior weight, in windows, of the model's own spread; with few windows it also widens.
        largest_factor: factors lie between 1 / largest and largest.
    """

    bucket_prior: float = 300.0
    prior_windows: float = 1 / 3
    largest_factor: float = 4.0


RULE = CalibrationRule()


@dataclass(frozen=True)
class Calibration:
    """Factors on each quantile's distance from the median, by size of the series and near or far steps.

    Split conformal calibration (Romano, Patterson and Candes 2019) with a multiplicative score: the factor under which
    a quantile and its mirror quantile would have had their share of the held-out rows beyond them. Both sides share
    the factor: in few windows, which all series share, the size of the error is evidence and its direction is not.

    Attributes:
        edges: shape (SIZES - 1,), units of the baseline between the size classes.
        last_near: the last step of the first half of the horizon.
        factors: shape (SIZES * 2, Q).
    """

    edges: FloatArray
    last_near: int
    factors: FloatArray

    @classmethod
    def none(cls, levels: Sequence[float]) -> Calibration:
        """All factors 1."""
        return cls(np.zeros(SIZES - 1), 0, np.ones((2 * SIZES, len(levels))))

    def apply(self, quantiles: FloatArray, median: FloatArray, baseline: FloatArray, step: IndexArray) -> FloatArray:
        """Quantiles with their distances from the median scaled, shape (k, Q); at least 0."""
        factor = self.factors[_bucket(baseline, step, self.edges, self.last_near)]
        found: FloatArray = np.maximum(median[:, None] + factor * (quantiles - median[:, None]), 0.0)
        return np.sort(found, axis=1)


def share_outside(windows: float, prior: float) -> float:
    """Fraction of its nominal share of rows that a quantile may leave outside, given the number of windows.

    The rows of one window are correlated, so the next window lies outside more often: (k + d) / (k + 2 d). Example:
    two windows and a prior weight of 0.5 give 5/6, so 8.3 % of the rows may lie above q0.9 instead of 10 %.

    Args:
        windows: k, number of windows of the rows; overlapping windows count for as many horizons as they cover.
        prior: d, prior weight in windows; the larger, the fewer rows may lie outside.
    """
    return (windows + prior) / (windows + 2 * prior)


def calibrate(
    units: FloatArray,
    quantiles: FloatArray,
    median: FloatArray,
    baseline: FloatArray,
    step: IndexArray,
    levels: Sequence[float],
    windows: float,
) -> Calibration:
    """Factors from held-out rows.

    A lower quantile of 0 says nothing, because nothing sells below it: such a row counts for the upper quantile alone.
    A factor below 1 is shrunk by the power k / (k + 1) with k windows: intervals are narrowed on evidence only.

    Args:
        units: shape (k,), units sold.
        quantiles: shape (k, Q), units.
        median: shape (k,), units.
        baseline: shape (k,), units above 0.
        step: shape (k,), 1 = the first period after the cutoff.
        levels: Q levels.
        windows: number of windows of the rows; overlapping windows count for as many horizons as they cover.
    """
    edges = np.quantile(baseline, np.arange(1, SIZES) / SIZES)
    last_near = (int(step.max()) + 1) // 2
    bucket = _bucket(baseline, step, edges, last_near)
    outside = share_outside(windows, RULE.prior_windows)
    factors = np.ones((2 * SIZES, len(levels)))
    for tail in sorted({round(min(level, 1.0 - level), 9) for level in levels if level != MEDIAN}):
        pair = [at for at, level in enumerate(levels) if abs(min(level, 1.0 - level) - tail) < SAME]
        sides = [_scores(units, quantiles[:, at], median, levels[at] > MEDIAN) for at in pair]
        score = np.concatenate([value[used] for value, used in sides])
        at_bucket = np.concatenate([bucket[used] for _, used in sides])
        share = 1.0 - tail * outside
        overall = _factor(score, share)
        for number in range(2 * SIZES):
            own = score[at_bucket == number]
            weight = len(own) / (len(own) + RULE.bucket_prior)
            found = _factor(own, share) ** weight * overall ** (1.0 - weight)
            factors[number, pair] = found if found > 1.0 else found ** (windows / (windows + 1.0))
    return Calibration(edges, last_near, factors)


def _scores(units: FloatArray, quantile: FloatArray, median: FloatArray, upper: bool) -> tuple[FloatArray, np.ndarray]:
    """How many times its distance from the median a row lies beyond the median, on one side; and the rows with one."""
    distance = np.abs(quantile - median)
    used = (distance > 0) & (upper | (quantile > 0))
    ahead = (units - median) if upper else (median - units)
    return np.divide(ahead, distance, out=np.zeros(len(units)), where=used), used


def _factor(score: FloatArray, share: float) -> float:
    """The score that the share of the rows does not exceed; 1 without rows, which then weigh nothing."""
    if len(score) == 0:
        return 1.0
    return float(np.clip(np.quantile(score, share), 1.0 / RULE.largest_factor, RULE.largest_factor))


def _bucket(baseline: FloatArray, step: IndexArray, edges: FloatArray, last_near: int) -> IndexArray:
    found: IndexArray = 2 * np.searchsorted(edges, baseline) + (step > last_near)
    return found
