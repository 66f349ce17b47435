"""Quantiles of demand: from normal intervals, samples or residuals; never crossing, never negative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.storage.mapped import block_count, blocks, empty, row_blocks


@dataclass(frozen=True)
class ShapeRule:
    """The numbers of residual shapes (docs/reference/constants.md).

    Attributes:
        prior_residuals: prior weight of the normal shape, in residuals.
        largest_deviation: standardized residuals are clipped here, so that one period alone cannot set a quantile.
    """

    prior_residuals: float = 20.0
    largest_deviation: float = 6.0


RULE = ShapeRule()
# The central interval of this percentage of a normal distribution is one standard error to each side.
ONE_SIGMA = 68.26894921370859
# Distance between the sorted numbers of a block that are kept in memory.
SAMPLED = 64


def tidy(mean: FloatArray, quantiles: FloatArray, closed: BoolArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Make a forecast valid for demand: at least 0, quantiles rising with their level, 0 when closed.

    Args:
        mean: shape (..., H), units.
        quantiles: shape (..., H, Q), units, in the order of rising levels.
        closed: shape (..., H); periods in which the store is known to be closed.

    Returns:
        New arrays of the same shapes. Sorting crossing quantiles never worsens their pinball loss.

    >>> tidy(np.array([-1.0]), np.array([[2.0, 1.0]]))
    (array([0.]), array([[1., 2.]]))
    """
    tidy_mean = np.maximum(mean, 0.0)
    tidy_quantiles = np.sort(np.maximum(quantiles, 0.0), axis=-1)
    if closed is not None:
        tidy_mean = np.where(closed, 0.0, tidy_mean)
        tidy_quantiles = np.where(closed[..., None], 0.0, tidy_quantiles)
    return tidy_mean, tidy_quantiles


def by_blocks(
    shape: tuple[int, int, int], make: Callable[[slice], tuple[FloatArray, FloatArray]], size: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Mean and quantiles of a horizon, made for some consecutive series at a time; on disk if they are large.

    Args:
        shape: n series, H periods and Q quantile levels.
        make: returns mean (m, H) and quantiles (m, H, Q) of m series.
        size: series per block; None: about 2^20 numbers.

    Returns:
        Shapes (n, H) and (n, H, Q).
    """
    n, horizon, levels = shape
    mean = empty(n * horizon, np.float64).reshape(n, horizon)
    quantiles = empty(n * horizon * levels, np.float64).reshape(shape)
    for series in row_blocks(n, horizon * levels) if size is None else row_blocks(n, 1, size):
        mean[series], quantiles[series] = make(series)
    return mean, quantiles


def mean_of_quantiles(quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Mean of the distribution that some quantiles describe, shape (...), at least 0.

    Linear between the quantiles. Above the highest, an exponential tail whose scale follows from the highest quantile
    and the median; below the lowest, q, a linear one down to q - (median - q) / 2, at least 0. Without levels on both
    sides of the median, that side repeats the outermost quantile.

    Args:
        quantiles: shape (..., Q), units, rising.
        levels: Q rising levels, 0.5 among them.

    >>> round(float(mean_of_quantiles(np.array([8.0, 10.0, 12.0]), [0.1, 0.5, 0.9])), 2)
    10.07
    """
    at = np.asarray(levels, dtype=np.float64)
    low, high, median = quantiles[..., 0], quantiles[..., -1], quantiles[..., list(levels).index(0.5)]
    inner = ((quantiles[..., 1:] + quantiles[..., :-1]) / 2.0 * np.diff(at)).sum(axis=-1)
    scale = (high - median) / np.log(0.5 / (1.0 - at[-1])) if at[-1] > 0.5 else 0.0  # noqa: PLR2004
    lowest = np.maximum(low - (median - low) / 2.0, 0.0)
    found: FloatArray = np.maximum(inner + (1.0 - at[-1]) * (high + scale) + at[0] * (low + lowest) / 2.0, 0.0)
    return found


def normal_scores(levels: Sequence[float]) -> FloatArray:
    """Standard normal quantiles z(p), shape (Q,); z(0.9) = 1.2816."""
    standard = NormalDist()
    return np.array([standard.inv_cdf(level) for level in levels], dtype=np.float64)


def from_normal(mean: FloatArray, sigma: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Quantiles of a normal distribution, mean + z(p) * sigma.

    Args:
        mean: shape (..., H), units.
        sigma: shape (..., H), standard deviation in units, at least 0.
        levels: Q fractions above 0 and below 1.

    Returns:
        Shape (..., H, Q); may be negative until :func:`tidy`.
    """
    return mean[..., None] + sigma[..., None] * normal_scores(levels)


def from_samples(samples: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Quantiles of sample paths.

    Args:
        samples: shape (K, ..., H), units.
        levels: Q fractions above 0 and below 1.

    Returns:
        Shape (..., H, Q), linear between order statistics (Hyndman and Fan's type 7).
    """
    return np.moveaxis(np.quantile(samples, list(levels), axis=0), 0, -1)


def residual_scores(residuals: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Shape of the residuals around 0, in standard deviations: replaces z(p).

    Demand is skewed, so the normal's symmetric scores put the median of sparse series too high. With n
    residuals their empirical scores weigh n / (n + 20), the normal ones the rest.

    Args:
        residuals: shape (n,), units; NaN is left out.
        levels: Q fractions above 0 and below 1.

    Returns:
        Shape (Q,).
    """
    normal = normal_scores(levels)
    known = residuals[np.isfinite(residuals)]
    spread = float(np.sqrt(np.mean(known**2))) if known.size else 0.0
    if spread <= 0.0:
        return normal
    scores = np.clip(known / spread, -RULE.largest_deviation, RULE.largest_deviation)
    weight = known.size / (known.size + RULE.prior_residuals)
    return weight * np.quantile(scores, list(levels)) + (1.0 - weight) * normal


def from_residuals(mean: FloatArray, sigma: FloatArray, residuals: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Quantiles with a model's mean and standard deviation per step and its residuals' shape.

    Args:
        mean: shape (H,), units.
        sigma: shape (H,), standard deviation of the forecast error in units.
        residuals: shape (n,), in-sample one-step errors in units.
        levels: Q fractions above 0 and below 1.

    Returns:
        Shape (H, Q); may be negative until :func:`tidy`.
    """
    return mean[:, None] + sigma[:, None] * residual_scores(residuals, levels)


def row_quantiles(values: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Quantiles of every row over its known values, all rows at once.

    Args:
        values: shape (n, m); NaN is left out.
        levels: Q fractions above 0 and below 1.

    Returns:
        Shape (n, Q), linear between order statistics; NaN in a row without a known value.
    """
    n, m = values.shape
    if n == 0 or m == 0:
        return np.full((n, len(levels)), np.nan)
    ordered = np.sort(values, axis=1)
    known: NDArray[np.int64] = np.isfinite(ordered).sum(axis=1)
    place = np.maximum(known - 1, 0)[:, None] * np.asarray(levels, dtype=np.float64)[None, :]
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(known - 1, 0)[:, None])
    low = np.take_along_axis(ordered, below, axis=1)
    high = np.take_along_axis(ordered, above, axis=1)
    return low + (high - low) * (place - below)


def quantiles_of_many(values: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Quantiles of numbers that may be on disk, as ``np.quantile`` returns them; the order of the numbers may change.

    Args:
        values: shape (n,), finite, at least one.
        levels: Q fractions.

    Returns:
        Shape (Q,), linear between order statistics (Hyndman and Fan's type 7).
    """
    asked = np.asarray(levels, dtype=np.float64)
    if block_count(len(values)) == 1:
        return np.quantile(values, asked)
    place = (len(values) - 1) * asked
    low = np.floor(place).astype(np.int64)
    ranks = np.stack([low, np.minimum(low + 1, len(values) - 1)])
    first, last = _at_ranks(values, ranks.ravel()).reshape(ranks.shape)
    return np.array([np.quantile(pair, part) for *pair, part in zip(first, last, place - low, strict=True)])


def _at_ranks(values: FloatArray, ranks: IndexArray) -> FloatArray:
    """Numbers at some ranks (0 = the smallest); each block is sorted.

    Every number ``SAMPLED`` of each of B sorted blocks is kept. At most SAMPLED j numbers are smaller than the kept
    number j, and more than SAMPLED j are at most as large as the kept number j + B. Of the numbers between two such
    limits, few enough to be sorted, the one at the rank is found.
    """
    samples = []
    for part in blocks(len(values)):
        values[part].sort()
        samples.append(values[part][::SAMPLED].copy())
    largest = max(values[part][-1] for part in blocks(len(values)))
    kept = np.append(np.sort(np.concatenate(samples)), largest)
    low = kept[ranks // SAMPLED]
    high = kept[np.minimum(ranks // SAMPLED + len(samples), len(kept) - 1)]
    upto, below = np.zeros_like(ranks), np.zeros_like(ranks)
    between: list[list[FloatArray]] = [[] for _ in ranks]
    for part in blocks(len(values)):
        begin, end = values[part].searchsorted(low, "right"), values[part].searchsorted(high, "left")
        upto, below = upto + begin, below + end
        for inside, first, last in zip(between, begin, end, strict=True):
            inside.append(values[part][first:last].copy())
    found = np.where(ranks < upto, low, high)
    for number in np.flatnonzero((upto <= ranks) & (ranks < below)):
        found[number] = np.sort(np.concatenate(between[number]))[ranks[number] - upto[number]]
    return found + 0.0  # zero without a sign


def at_levels(values: FloatArray, levels: Sequence[float], asked: Sequence[float]) -> FloatArray:
    """Quantiles at other levels, linear between the fitted ones.

    Args:
        values: shape (..., Q), at the fitted levels.
        levels: Q rising levels.
        asked: requested levels.

    >>> at_levels(np.array([[2.0, 4.0]]), [0.4, 0.6], [0.5])
    array([[3.]])
    """
    if tuple(asked) == tuple(levels):
        return values
    known = np.array(levels)
    found = np.empty((*values.shape[:-1], len(asked)))
    for at, level in enumerate(asked):
        above = int(np.clip(np.searchsorted(known, level), 1, len(known) - 1))
        low, high = known[above - 1], known[above]
        part = (level - low) / (high - low)
        found[..., at] = values[..., above - 1] * (1.0 - part) + values[..., above] * part
    return found
