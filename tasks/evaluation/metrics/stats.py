"""Statistics of single forecast rows: pure functions over arrays of N rows."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from schemas.panel import BoolArray, FloatArray, IndexArray

MAPE_EPSILON = 1e-6
# 100 * 1.1 is 110.00000000000001: a ratio on the edge of a band belongs to the better band.
BAND_TOLERANCE = 1e-9
MEDIAN_LEVEL = 0.5


class Band(IntEnum):
    """Acceptance bands: EXCELENTE, BUENO, ACEPTABLE, NECESITA MEJORA (docs/reference/domain.md#acceptance-bands)."""

    EXCELLENT = 0
    GOOD = 1
    ACCEPTABLE = 2
    POOR = 3


# Largest distance of the ratio 100 * forecast / actual from 100, by band; beyond the last it is POOR.
BAND_WIDTHS = {Band.EXCELLENT: 5.0, Band.GOOD: 10.0, Band.ACCEPTABLE: 20.0}


def absolute_error(actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """|forecast - actual| in units, shape (N,)."""
    return np.abs(forecast - actual)


def squared_error(actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """(forecast - actual)^2 in squared units, shape (N,)."""
    return np.square(forecast - actual)


def absolute_percentage_error(actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """|forecast - actual| / max(|actual|, 1e-6) as a fraction, shape (N,).

    Very large if the actual is zero, so its mean never ranks models.
    """
    return np.abs(forecast - actual) / np.maximum(np.abs(actual), MAPE_EPSILON)


def quantile_score(actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Mean over the levels of twice the pinball loss, in units.

    Pinball loss of level q: max(q (y - f), (q - 1) (y - f)); twice that of the median is |y - f|.

    Args:
        actual: shape (N,).
        quantiles: shape (N, Q).
        levels: Q levels, fractions between 0 and 1.

    Returns:
        Shape (N,).

    >>> quantile_score(np.array([10.0]), np.array([[8.0, 13.0]]), [0.5, 0.9])  # (2*1.0 + 2*0.3) / 2
    array([1.3])
    """
    total = np.zeros(len(actual))
    for column, level in enumerate(levels):
        shortfall = actual - quantiles[:, column]
        total += np.maximum(level * shortfall, (level - 1.0) * shortfall)
    return 2.0 * total / len(levels)


def ranking_loss(actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Mean of the median's absolute error and the quantile score, in units, by which models are ranked.

    Args:
        actual: shape (N,).
        quantiles: shape (N, Q).
        levels: Q levels, 0.5 among them.

    Returns:
        Shape (N,).

    >>> ranking_loss(np.array([10.0]), np.array([[8.0, 13.0]]), [0.5, 0.9])  # (2 + 1.3) / 2
    array([1.65])
    """
    missed = absolute_error(actual, quantiles[:, list(levels).index(MEDIAN_LEVEL)])
    return (missed + quantile_score(actual, quantiles, levels)) / 2.0


def outer_pair(levels: Sequence[float]) -> tuple[int, int] | None:
    """Positions of the outermost symmetric pair of levels (p, 1 - p), or None if it does not exist.

    >>> outer_pair([0.05, 0.1, 0.5, 0.9])
    (1, 3)
    """
    for low, level in enumerate(levels):
        for high, other in enumerate(levels):
            if level < MEDIAN_LEVEL and np.isclose(level + other, 1.0):
                return low, high
    return None


def inside(actual: FloatArray, low: FloatArray, high: FloatArray) -> BoolArray:
    """Whether low <= actual <= high, both edges counted, shape (N,)."""
    return (low <= actual) & (actual <= high)


def acceptance_band(actual: FloatArray, forecast: FloatArray) -> NDArray[np.int8]:
    """The acceptance band of each row, by the ratio r = 100 forecast / actual.

    95 <= r <= 105 is EXCELLENT, else 90 ... 110 GOOD, else 80 ... 120 ACCEPTABLE, else POOR. An actual
    of 0 is EXCELLENT if the forecast rounds to 0 (half to even), otherwise POOR.

    Returns:
        Shape (N,), values of :class:`Band`.

    >>> acceptance_band(np.array([10.0, 10.0, 0.0]), np.array([10.5, 8.0, 0.4])).tolist()
    [0, 2, 0]
    """
    sold = actual != 0
    ratio = np.divide(100.0 * forecast, actual, out=np.full(len(actual), np.inf), where=sold)
    ratio[~sold & (np.round(forecast) == 0)] = 100.0
    distance = np.abs(ratio - 100.0) - BAND_TOLERANCE
    return np.searchsorted(list(BAND_WIDTHS.values()), distance, side="left").astype(np.int8)


def season_differences(demand: FloatArray, season: int) -> tuple[FloatArray, FloatArray]:
    """Mean absolute and mean squared difference between periods one season apart.

    Args:
        demand: shape (n, T), NaN = unknown; a difference with an unknown side is left out.
        season: m, in periods.

    Returns:
        mean |y_t - y_(t-m)| and mean (y_t - y_(t-m))^2, each of shape (n,); NaN without a pair.
    """
    if demand.shape[1] <= season:
        return np.full(len(demand), np.nan), np.full(len(demand), np.nan)
    difference = demand[:, season:] - demand[:, :-season]
    pairs = np.isfinite(difference)
    count = pairs.sum(axis=1).astype(np.float64)
    count[count == 0] = np.nan
    difference[~pairs] = 0.0
    return np.abs(difference).sum(axis=1) / count, np.square(difference).sum(axis=1) / count


def history_length(demand: FloatArray) -> IndexArray:
    """Periods from each series' first known one to the end, shape (n,); 0 where nothing is known."""
    known = np.isfinite(demand)
    return np.where(known.any(axis=1), demand.shape[1] - known.argmax(axis=1), 0)
