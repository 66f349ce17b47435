"""Quantiles moved to where they would have had their share of rows that were not learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from schemas.panel import FloatArray, IndexArray

MEDIAN = 0.5
# A bucket's own factor weighs n / (n + 300) against that of all rows.
BUCKET_PRIOR = 300.0
# Windows seen so far never made a quantile too wide for good: only so far is it drawn in.
SMALLEST_FACTOR, LARGEST_FACTOR = 0.8, 2.5
SIZES = 3
SAME = 1e-9


@dataclass(frozen=True)
class Calibration:
    """Factors on each quantile's distance from the median, by size of the series and near or far steps.

    Split conformal calibration (Romano, Patterson and Candes 2019) with a multiplicative score: the factor
    under which a quantile would have had its share of the held-out rows on its side.

    Attributes:
        edges: shape (SIZES - 1,), units of the ground between the sizes.
        last_near: the last step of the first half of the horizon.
        factors: shape (SIZES * 2, Q); NaN where no row could tell, which moves nothing.
    """

    edges: FloatArray
    last_near: int
    factors: FloatArray

    @classmethod
    def none(cls, levels: Sequence[float]) -> Calibration:
        """All factors 1."""
        return cls(np.zeros(SIZES - 1), 0, np.ones((2 * SIZES, len(levels))))

    def damped(self, windows: float) -> Calibration:
        """Factors to the power k / (k + 1): what k windows say of the spread is their own luck too."""
        return replace(self, factors=self.factors ** (windows / (windows + 1.0)))

    def even_handed(self, levels: Sequence[float], windows: float) -> Calibration:
        """The fewer the windows, the more alike both sides of the median; what narrows quantiles is damped.

        A window whose sales lie above all forecasts asks for wider upper quantiles and narrower lower ones, and the
        next may lie below them: which way a single window went is its luck, how far is not. With k windows a level's
        factor is drawn by 1 / k to the geometric mean of itself and its mirror's. Example: factors 2.0 above and 0.9
        below are 1.34 for both after one window, 1.64 and 1.10 after two.

        Args:
            levels: Q levels; one without a mirror, 1 - level, or whose mirror no row could tell of, keeps its factor.
            windows: k, at least 1; as in :func:`asked_outside`.
        """
        mirror = [min(range(len(levels)), key=lambda at: abs(levels[at] + level - 1.0)) for level in levels]
        there = np.array([abs(levels[at] + level - 1.0) < SAME for at, level in zip(mirror, levels, strict=True)])
        mirrored = self.factors[:, mirror]
        drawn = np.where(there & np.isfinite(mirrored), 0.5 / windows, 0.0)
        shared = self.factors ** (1.0 - drawn) * np.nan_to_num(mirrored, nan=1.0) ** drawn
        narrower = replace(self, factors=shared).damped(windows).factors
        return replace(self, factors=np.where(shared > 1.0, shared, narrower))

    def apply(self, quantiles: FloatArray, median: FloatArray, ground: FloatArray, step: IndexArray) -> FloatArray:
        """Quantiles with their distances from the median scaled, shape (k, Q); at least 0."""
        factor = np.nan_to_num(self.factors, nan=1.0)[_bucket(ground, step, self.edges, self.last_near)]
        found: FloatArray = np.maximum(median[:, None] + factor * (quantiles - median[:, None]), 0.0)
        return np.sort(found, axis=1)


def asked_outside(windows: float, doubt: float) -> float:
    """The part of its share that a quantile is asked to leave outside, judged on so many windows.

    The rows of one window share its luck, so the next window lies outside oftener than they do: (k + d) / (k + 2 d).
    Example: two windows and a doubt of a half ask for 5/6, so that 8.3 % of the rows may lie above q0.9, not 10 %.

    Args:
        windows: k, how many windows the rows are from; those that overlap count for as many horizons as they cover.
        doubt: d, windows; the larger, the less is left outside.
    """
    return (windows + doubt) / (windows + 2 * doubt)


def calibrate(
    units: FloatArray,
    quantiles: FloatArray,
    median: FloatArray,
    ground: FloatArray,
    step: IndexArray,
    levels: Sequence[float],
    outside: float = 1.0,
) -> Calibration:
    """Factors from held-out rows.

    Args:
        units: shape (k,), what was sold.
        quantiles: shape (k, Q), units.
        median: shape (k,), units.
        ground: shape (k,), units above 0.
        step: shape (k,), 1 = the first period behind the cutoff.
        levels: Q levels.
        outside: part of its share of the rows that a quantile may leave outside, above 0 and at most 1
            (:func:`asked_outside`).
    """
    edges = np.quantile(ground, np.arange(1, SIZES) / SIZES)
    last_near = (int(step.max()) + 1) // 2
    bucket = _bucket(ground, step, edges, last_near)
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
            weight = len(own) / (len(own) + BUCKET_PRIOR)
            factors[number, at] = _factor(own, share) ** weight * overall ** (1.0 - weight)
    return Calibration(edges, last_near, factors)


def _factor(score: FloatArray, share: float) -> float:
    """The score that the share of the rows does not exceed; 1 without rows, which then weigh nothing."""
    if len(score) == 0:
        return 1.0
    return float(np.clip(np.quantile(score, share), SMALLEST_FACTOR, LARGEST_FACTOR))


def _bucket(ground: FloatArray, step: IndexArray, edges: FloatArray, last_near: int) -> IndexArray:
    found: IndexArray = 2 * np.searchsorted(edges, ground) + (step > last_near)
    return found
