"""One calibration of quantiles: conformal factors from the folds' residuals, shrunk toward the model's own spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.panel import BoolArray, FloatArray

MEDIAN = 0.5
SAME = 1e-9


@dataclass(frozen=True)
class CalibrationRule:
    """The numbers of the calibration (docs/reference/constants.md).

    Attributes:
        prior_windows: prior weight, in windows, against the correlation of the rows of a window; the larger, the fewer
            rows may lie outside.
        own_windows: prior weight, in windows, of the model's own spread.
        largest_factor: factors lie between 1 / largest and largest.
    """

    prior_windows: float = 1 / 3
    own_windows: float = 2.0
    largest_factor: float = 4.0


RULE = CalibrationRule()


def share_outside(windows: float, prior: float) -> float:
    """Fraction of its nominal share of rows that a quantile may leave outside, given the number of windows.

    The rows of one window are correlated, so the next window lies outside more often: (k + d) / (k + 2 d). Example:
    two windows and a prior weight of 0.5 give 5/6, so 8.3 % of the rows may lie above q0.9 instead of 10 %.

    Args:
        windows: k, number of windows of the rows; overlapping windows count for as many horizons as they cover.
        prior: d, prior weight in windows; the larger, the fewer rows may lie outside.
    """
    return (windows + prior) / (windows + 2 * prior)


def calibration_factors(
    units: FloatArray, quantiles: FloatArray, median: FloatArray, levels: Sequence[float], windows: float
) -> FloatArray:
    """Factors on each quantile's distance from the median, from held-out rows, shape (Q,); 1 for the median.

    Split conformal calibration (Romano, Patterson and Candes 2019) with a multiplicative score: the factor under which
    a quantile and its mirror quantile would have had their share of the held-out rows beyond them. Both sides share
    the factor: in few windows, which all series share, the size of the error is evidence and its direction is not. For
    the same reason the factor of k windows is used to the power k / (k + 2): a single window with a shock, such as a
    Christmas, says as little about the next one as a quiet one.

    A lower quantile of 0 has no information, because nothing sells below it: such a row counts only for the upper
    quantile.

    Args:
        units: shape (k,), units sold.
        quantiles: shape (k, Q), units.
        median: shape (k,), units.
        levels: Q levels.
        windows: number of windows of the rows; overlapping windows count for as many horizons as they cover.
    """
    outside, power = share_outside(windows, RULE.prior_windows), windows / (windows + RULE.own_windows)
    factors = np.ones(len(levels))
    for tail in sorted({round(min(level, 1.0 - level), 9) for level in levels if level != MEDIAN}):
        pair = [at for at, level in enumerate(levels) if abs(min(level, 1.0 - level) - tail) < SAME]
        scores = np.concatenate([_scores(units, quantiles[:, at], median, levels[at] > MEDIAN) for at in pair])
        if len(scores):
            found = np.quantile(scores, 1.0 - tail * outside)
            factors[pair] = np.clip(found, 1.0 / RULE.largest_factor, RULE.largest_factor) ** power
    return factors


def scaled(quantiles: FloatArray, median: FloatArray, factors: FloatArray) -> FloatArray:
    """Quantiles with their distances from the median scaled, shape (k, Q); at least 0."""
    found: FloatArray = np.maximum(median[:, None] + factors * (quantiles - median[:, None]), 0.0)
    return np.sort(found, axis=1)


def _scores(units: FloatArray, quantile: FloatArray, median: FloatArray, upper: bool) -> FloatArray:
    """Distance of the units from the median, on one side, as a multiple of the quantile's distance, of usable rows."""
    distance = np.abs(quantile - median)
    used: BoolArray = (distance > 0) & (upper | (quantile > 0))
    ahead = (units - median) if upper else (median - units)
    found: FloatArray = ahead[used] / distance[used]
    return found
