"""Sums over windows of the past, looked up for many (series, origin) pairs at once.

Everything here takes ``end`` (exclusive) positions: a window ``[end - width, end)`` never reads a period at
or after ``end``. So features contain only what was known at the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import FloatArray, IndexArray

# Cells (series x period) that are worked on at once: arrays of 8 MB each.
BLOCK_CELLS = 1 << 20


@dataclass(frozen=True)
class RatioRule:
    """The limit on ratios (docs/reference/constants.md).

    Attributes:
        largest: ratios of demand to a level, a season or a mean lie between 1 / largest and largest, because a level of
            almost zero would make them infinite.
    """

    largest: float = 20.0

    @property
    def smallest(self) -> float:
        """Lower limit of a ratio."""
        return 1 / self.largest


RATIOS = RatioRule()


class RunningSums:
    """Cumulative sums and counts of known values, NaN-aware.

    Args:
        values: shape (n, T); NaN = unknown.
        stride: 1 for consecutive periods, m for every m-th one (same position in a season of m periods).
    """

    def __init__(self, values: FloatArray, stride: int = 1) -> None:
        self._stride = stride
        known = ~np.isnan(values)
        self._totals = _strided_cumulative(np.where(known, values, 0.0), stride)
        self._counts = _strided_cumulative(known.astype(np.float64), stride)
        self._periods = values.shape[1]

    def set_next(self, period: int, values: FloatArray) -> None:
        """Enter the values of a period, if it and all after it were unknown so far and the stride is 1.

        Args:
            period: position, below T.
            values: shape (n,); NaN = unknown.
        """
        known = ~np.isnan(values)
        self._totals[:, period + 1 :] = (self._totals[:, period] + np.where(known, values, 0.0))[:, None]
        self._counts[:, period + 1 :] = (self._counts[:, period] + known)[:, None]

    def total_and_count(
        self, series: IndexArray, end: IndexArray, steps: IndexArray | int
    ) -> tuple[FloatArray, FloatArray]:
        """Sum and number of the known among the last ``steps`` values before ``end``.

        Args:
            series: shape (k,); row of each look-up.
            end: shape (k,); first period not read. Values below 0 or above T are cut to that range.
            steps: how many values, ``stride`` periods apart, the last at ``end - 1``.
        """
        last = np.minimum(end, self._periods) - 1 + self._stride
        first = last - np.asarray(steps) * self._stride
        last, first = np.maximum(last, 0), np.maximum(first, 0)
        total = self._totals[series, last] - self._totals[series, first]
        return total, self._counts[series, last] - self._counts[series, first]

    def mean(self, series: IndexArray, end: IndexArray, steps: IndexArray | int) -> FloatArray:
        """Mean of the known among the last ``steps`` values before ``end``; NaN where none is known."""
        total, count = self.total_and_count(series, end, steps)
        return divide(total, count)


def _strided_cumulative(values: FloatArray, stride: int) -> FloatArray:
    """Shape (n, T + stride): entry u + stride = value u + entry u."""
    rows, periods = values.shape
    blocks = -(-periods // stride)
    padded = np.zeros((rows, (blocks + 1) * stride))
    padded[:, stride : stride + periods] = values
    summed = np.cumsum(padded.reshape(rows, blocks + 1, stride), axis=1).reshape(rows, -1)
    cut: FloatArray = summed[:, : periods + stride]
    return cut


def divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient, NaN where the denominator is 0 or unknown."""
    out = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=out, where=np.abs(denominator) > 0)
    return out


def ewm_means(values: FloatArray, half_life: float) -> FloatArray:
    """Exponentially weighted means of the past at every origin, unknown periods skipped.

    Args:
        values: shape (n, T); NaN = unknown.
        half_life: periods after which a weight has halved.

    Returns:
        Shape (n, T + 1); column t is the mean of the periods before t, NaN before the first known one.
    """
    decay = 0.5 ** (1.0 / half_life)
    rows, periods = values.shape
    out = np.full((rows, periods + 1), np.nan)
    total, weight = np.zeros(rows), np.zeros(rows)
    for period in range(periods):
        known = ~np.isnan(values[:, period])
        total = decay * total + np.where(known, values[:, period], 0.0)
        weight = decay * weight + known
        out[:, period + 1] = divide(total, weight)
    return out


def last_known(flags: np.ndarray) -> IndexArray:
    """Position of the last set flag before every origin.

    Args:
        flags: shape (n, T), bool.

    Returns:
        Shape (n, T + 1); column t is the last position below t whose flag is set, -1 if none exists.
    """
    positions = np.where(flags, np.arange(flags.shape[1]), -1)
    out = np.full((flags.shape[0], flags.shape[1] + 1), -1, dtype=np.int64)
    np.maximum.accumulate(positions, axis=1, out=out[:, 1:])
    return out


def next_known(flags: np.ndarray) -> IndexArray:
    """Position of the first set flag at or after every position; the length if none exists.

    Args:
        flags: shape (n, T), bool.

    Returns:
        Shape (n, T).
    """
    length = flags.shape[1]
    positions = np.where(flags, np.arange(length), length)
    found: IndexArray = np.minimum.accumulate(positions[:, ::-1], axis=1)[:, ::-1]
    return found
