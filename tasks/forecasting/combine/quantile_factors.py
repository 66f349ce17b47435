"""Calibration of quantiles on rows that were not used for fitting (split conformal)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
        smallest_factor: lower limit of the factors: distances from the median never shrink below it.
        largest_factor: upper limit of the factors.
    """

    bucket_prior: float = 300.0
    smallest_factor: float = 0.8
    largest_factor: float = 2.5


RULE = CalibrationRule()


@dataclass(frozen=True)
class Calibration:
    """Factors on each quantile's distance from the median, by size of the series and near or far steps.

    Split conformal calibration (Romano, Patterson and Candes 2019) with a multiplicative score: the factor
    under which a quantile would have had its share of the held-out rows on its side.

    Attributes:
        edges: shape (SIZES - 1,), units of the baseline between the size classes.
        last_near: the last step of the first half of the horizon.
        factors: shape (SIZES * 2, Q); NaN without usable rows: the quantile stays.
    """

    edges: FloatArray
    last_near: int
    factors: FloatArray

    @classmethod
    def none(cls, levels: Sequence[float]) -> Calibration:
        """All factors 1."""
        return cls(np.zeros(SIZES - 1), 0, np.ones((2 * SIZES, len(levels))))

    def damped(self, windows: float) -> Calibration:
        """Factors to the power k / (k + 1): k windows contain k / (k + 1) of the evidence."""
        return replace(self, factors=self.factors ** (windows / (windows + 1.0)))

    def balanced(self, levels: Sequence[float], windows: float) -> Calibration:
        """Make the factors of both sides of the median more equal, the fewer the windows; damp narrowing factors.

        A window whose sales lie above all forecasts implies wider upper and narrower lower quantiles; the next window
        may lie below them. The size of the error is evidence, its direction in a single window is not. With k windows,
        a level's factor moves by 1 / k toward the geometric mean of itself and of its mirror's factor.
        Example: factors 2.0 above and 0.9
        below are 1.34 for both after one window, 1.64 and 1.10 after two.

        Args:
            levels: Q levels; a level without a mirror level 1 - level, or without usable rows there, keeps its factor.
            windows: k, at least 1; as in :func:`share_outside`.
        """
        mirror = [min(range(len(levels)), key=lambda at: abs(levels[at] + level - 1.0)) for level in levels]
        there = np.array([abs(levels[at] + level - 1.0) < SAME for at, level in zip(mirror, levels, strict=True)])
        mirrored = self.factors[:, mirror]
        drawn = np.where(there & np.isfinite(mirrored), 0.5 / windows, 0.0)
        shared = self.factors ** (1.0 - drawn) * np.nan_to_num(mirrored, nan=1.0) ** drawn
        narrower = replace(self, factors=shared).damped(windows).factors
        return replace(self, factors=np.where(shared > 1.0, shared, narrower))

    def apply(self, quantiles: FloatArray, median: FloatArray, baseline: FloatArray, step: IndexArray) -> FloatArray:
        """Quantiles with their distances from the median scaled, shape (k, Q); at least 0."""
        factor = np.nan_to_num(self.factors, nan=1.0)[_bucket(baseline, step, self.edges, self.last_near)]
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
    outside: float = 1.0,
) -> Calibration:
    """Factors from held-out rows.

    Args:
        units: shape (k,), units sold.
        quantiles: shape (k, Q), units.
        median: shape (k,), units.
        baseline: shape (k,), units above 0.
        step: shape (k,), 1 = the first period after the cutoff.
        levels: Q levels.
        outside: fraction of its share of rows that a quantile may leave outside, above 0 and at most 1
            (:func:`share_outside`).
    """
    edges = np.quantile(baseline, np.arange(1, SIZES) / SIZES)
    last_near = (int(step.max()) + 1) // 2
    bucket = _bucket(baseline, step, edges, last_near)
    factors = np.ones((2 * SIZES, len(levels)))
    for at, level in enumerate(levels):
        if level == MEDIAN:
            continue
        distance = np.abs(quantiles[:, at] - median)
        usable = distance > 0
        if not usable.any():
            factors[:, at] = np.nan
            continue
        side = 1.0 if level > MEDIAN else -1.0
        score = side * (units - median)[usable] / distance[usable]
        share = 1.0 - min(level, 1.0 - level) * outside
        overall = _factor(score, share)
        for number in range(2 * SIZES):
            own = score[bucket[usable] == number]
            weight = len(own) / (len(own) + RULE.bucket_prior)
            factors[number, at] = _factor(own, share) ** weight * overall ** (1.0 - weight)
    return Calibration(edges, last_near, factors)


def _factor(score: FloatArray, share: float) -> float:
    """The score that the share of the rows does not exceed; 1 without rows, which then weigh nothing."""
    if len(score) == 0:
        return 1.0
    return float(np.clip(np.quantile(score, share), RULE.smallest_factor, RULE.largest_factor))


def _bucket(baseline: FloatArray, step: IndexArray, edges: FloatArray, last_near: int) -> IndexArray:
    found: IndexArray = 2 * np.searchsorted(edges, baseline) + (step > last_near)
    return found
