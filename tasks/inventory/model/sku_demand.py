"""Demand of a SKU, computed from the sample paths of its category.

The share of a SKU varies from week to week (docs/decisions/0015-dc-stock-and-sku-levels.md): it has a beta
distribution. A SKU's demand on a path is therefore beta-binomial (Skellam 1948): with n units of the category,
P(demand = 0) = Π (b + i) / (n + b + i) over i = 0 … a − 1, where a is ``SHARE_WEIGHT`` and a / (a + b) the share. Over
the paths it is a mixture. A SKU that is alone in its category has the demand of the category. The level that a SKU
needs for a service level is therefore higher than its share of the category's level: single SKUs vary more than their
sum.
"""

from __future__ import annotations

import math

import numpy as np

from schemas.plan import FloatArray, IndexArray
from tasks.inventory.model.kernels import compiled

# Maximum number of sample paths that are read for a SKU that is not the only one of its category.
MOST_PATHS = 64
# A tail below this probability counts as 0.
NEVER = 1e-9
# A share above this is the whole category.
WHOLE = 1.0 - 1e-9
# First parameter of the beta distribution of a share: a standard deviation of 1 / √25 = 20 % of a small share.
SHARE_WEIGHT = 25
# With a larger mean, the normal distribution replaces the beta-binomial.
MANY_UNITS = 1000.0


@compiled
def _tails(counts: FloatArray, share: float, tails: FloatArray) -> None:
    """Write P(demand of the SKU ≥ k + 1) into ``tails[k]``; ``counts`` are the category's units on each path."""
    tails[:] = 0.0
    most = len(tails)
    for count in counts:
        n = np.floor(count + 0.5)
        if n <= 0.0 or share <= 0.0:
            continue
        if share > WHOLE:
            for k in range(min(most, int(n))):
                tails[k] += 1.0
            continue
        mean = n * share
        other = SHARE_WEIGHT * (1.0 - share) / share
        if mean > MANY_UNITS:
            deviation = np.sqrt(mean * (1.0 - share) * (1.0 + (n - 1.0) / (SHARE_WEIGHT + other + 1.0)))
            for k in range(most):
                score = (k + 0.5 - mean) / deviation
                if score > 8.0:  # noqa: PLR2004
                    break
                tails[k] += 0.5 * (1.0 - math.erf(score * 0.7071067811865476))
            continue
        mass = 1.0
        for i in range(SHARE_WEIGHT):
            mass *= (other + i) / (n + other + i)
        below = mass
        for k in range(most):
            tail = 1.0 - below
            if tail < NEVER or k >= n:
                break
            tails[k] += tail
            mass *= (n - k) / (k + 1.0) * (SHARE_WEIGHT + k) / (n - k - 1.0 + other)
            below += mass
    tails /= len(counts)


@compiled
def _quantiles(
    counts: FloatArray, series: IndexArray, share: FloatArray, tail: float, most: IndexArray, units: FloatArray
) -> None:
    """Write the smallest whole units that demand exceeds with at most the probability ``tail``."""
    for row in range(len(series)):
        tails = np.empty(most[row])
        _tails(counts[series[row]], share[row], tails)
        k = 0
        while k < len(tails) and tails[k] > tail + 1e-12:
            k += 1
        units[row] = k


@compiled
def _sale_probabilities(
    counts: FloatArray,
    series: IndexArray,
    share: FloatArray,
    held: IndexArray,
    first: IndexArray,
    values: FloatArray,
) -> None:
    """Write P(demand ≥ held + 1), P(demand ≥ held + 2), … of each row into its part of ``values``."""
    for row in range(len(series)):
        size = first[row + 1] - first[row]
        if size <= 0:
            continue
        tails = np.empty(held[row] + size)
        _tails(counts[series[row]], share[row], tails)
        for k in range(size):
            values[first[row] + k] = tails[held[row] + k]


def sku_quantiles(demand: FloatArray, series: IndexArray, share: FloatArray, quantile: float) -> FloatArray:
    """Quantile of the demand of each SKU.

    Args:
        demand: shape (K, n), units of each category on each path, over the same interval.
        series: shape (rows,), category of each SKU.
        share: shape (rows,), share of the SKU in its category, 0 to 1.
        quantile: quantile level, 0 to 1.

    Returns:
        Shape (rows,), whole units.

    >>> sku_quantiles(np.full((1, 1), 10.0), np.array([0, 0]), np.array([0.5, 1.0]), 0.95)
    array([ 8., 10.])
    """
    counts = _by_series(demand)
    peak = counts.max(axis=1, initial=0.0)[series] if len(counts) else np.zeros(len(series))
    most = most_units(peak, share).astype(np.int64) + 1
    units = np.zeros(len(series))
    _quantiles(counts, series, share, 1.0 - quantile, most, units)
    alone = np.flatnonzero(share > WHOLE)
    if len(alone):
        place = max(int(np.ceil(quantile * len(demand) - 1e-9)) - 1, 0)
        units[alone] = np.partition(demand[:, series[alone]], place, axis=0)[place]
    return units


def most_units(peak: FloatArray, share: FloatArray) -> FloatArray:
    """Units that the demand of each SKU practically never exceeds, shape (rows,).

    Args:
        peak: shape (rows,), most units of its category.
        share: shape (rows,), share of the SKU.
    """
    mean = peak * np.minimum(share, 1.0)
    deviation = np.sqrt(mean * (1.0 + mean / SHARE_WEIGHT))
    found: FloatArray = np.ceil(np.minimum(peak, mean + 8.0 * deviation + 8.0))
    return found


def sale_probabilities(
    demand: FloatArray, series: IndexArray, share: FloatArray, held: FloatArray, count: IndexArray
) -> tuple[FloatArray, IndexArray]:
    """Probability that each further unit of a SKU sells.

    Args:
        demand: shape (K, n), units of each category on each path, over the same interval.
        series: shape (rows,), category of each SKU.
        share: shape (rows,), share of the SKU in its category, 0 to 1.
        held: shape (rows,), units that are already there.
        count: shape (rows,), further units.

    Returns:
        The probabilities of all rows one after another, and the first place of each row (rows + 1,): the k-th further
        unit sells if demand is at least held + k.

    >>> sale_probabilities(np.full((1, 1), 2.0), np.array([0]), np.array([0.5]), np.array([0.0]), np.array([2]))[0]
    array([0.74509804, 0.25490196])
    """
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    values = np.zeros(int(first[-1]))
    there = np.floor(np.maximum(held, 0.0) + 1e-9).astype(np.int64)
    _sale_probabilities(_by_series(demand), series, share, there, first, values)
    return values, first


def _by_series(demand: FloatArray) -> FloatArray:
    return np.ascontiguousarray(demand[:MOST_PATHS].T, dtype=np.float64)
