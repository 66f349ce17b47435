"""Quantiles of the demand until the next delivery, and lead-time lost sales.

Fifty sample paths are too few to estimate the 0.99 quantile of a slow-moving style. Levels are therefore quantiles of a
parametric distribution with the mean of the forecast and the variance of the paths: negative binomial if the variance
is at least the mean (Poisson), gamma if it is smaller or the demand is large.

Lead-time lost sales: a level is compared with the inventory position (on hand plus in transit). Demand that finds no
stock during the lead time is lost and uses no units of the order. A level that covers all demand from the order until
the next delivery is then too high. For the first order of a plan the stock is known. Its level is reduced by the
lead-time lost sales on the sample paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from schemas.plan import FloatArray, IndexArray, PlanProblem
from tasks.inventory.model.kernels import compiled_exactly

# Grids: tail probabilities evenly spaced in log odds, means and variance-to-mean ratios in logarithms.
FIRST_LOG_ODDS, LAST_LOG_ODDS, TAILS = 4.5, -9.0, 32
LOWEST_MEAN, MEANS_PER_DECADE, MEANS = 1e-3, 24, 193
LOWEST_RATIO, RATIOS_PER_DECADE, RATIOS = 0.05, 8, 43
# Mean demand in units from which a continuous distribution replaces the discrete one.
MANY_UNITS = 100.0
# With this many units of demand on this many paths, the dispersion of a series is the average of the series'
# estimate and the store's.
SHRINKAGE, SHRINKAGE_PATHS = 20.0, 50

SmallFloats = np.ndarray
SmallIndex = np.ndarray


@lru_cache(maxsize=1)
def tail_table() -> FloatArray:
    """Table of tail quantiles: units that demand exceeds with at most a given probability.

    Returns:
        Shape (MEANS · RATIOS, TAILS); row = index of the mean · RATIOS + index of the variance-to-mean ratio. For mean
        1 and ratio 1 (Poisson) the entry for the tail 0.05 is about 3: P(demand > 3) = 0.019, P(demand > 2) = 0.080.
    """
    from scipy.special import gammainccinv

    mean = LOWEST_MEAN * 10 ** (np.arange(MEANS) / MEANS_PER_DECADE)[:, None, None]
    ratio = LOWEST_RATIO * 10 ** (np.arange(RATIOS) / RATIOS_PER_DECADE)[None, :, None]
    tail = 1 / (1 + np.exp(-np.linspace(FIRST_LOG_ODDS, LAST_LOG_ODDS, TAILS)))[None, None, :]
    table = np.empty((MEANS, RATIOS, TAILS))
    few = mean[:, 0, 0] < MANY_UNITS
    less = ratio[0, :, 0] < 1.0
    # A ratio of 1 is the Poisson limit of the negative binomial.
    above = np.maximum(ratio[:, ~less], 1.0 + 1e-6)
    table[np.ix_(few, ~less)] = _negative_binomial(mean[few, 0, 0], above[0, :, 0], tail[0, 0])
    table[np.ix_(few, less)] = np.ceil(gammainccinv((mean / ratio)[few][:, less], tail) * ratio[:, less] - 0.5)
    table[~few] = gammainccinv((mean / ratio)[~few], tail) * ratio
    return np.ascontiguousarray(table.reshape(MEANS * RATIOS, TAILS))


@compiled_exactly
def _negative_binomial(means: FloatArray, ratios: FloatArray, tails: FloatArray) -> FloatArray:
    """Smallest k with P(demand > k) ≤ tail, shape (means, ratios, tails), from a sum of the probabilities.

    The size is r = mean / (ratio − 1), the probability of success p = 1 / ratio. P(0) = p^r, and P(k + 1) = P(k) ·
    (r + k) / (k + 1) · (1 − p). scipy's ``nbinom.isf`` gives the same table, and takes a second, most of it to import.

    Args:
        means: mean demand.
        ratios: variance-to-mean ratios above 1.
        tails: tail probabilities, descending.
    """
    table = np.empty((len(means), len(ratios), len(tails)))
    for i in range(len(means)):
        for j in range(len(ratios)):
            size, failure = means[i] / (ratios[j] - 1.0), 1.0 - 1.0 / ratios[j]
            units, probability = 0.0, np.exp(-size * np.log(ratios[j]))
            beyond = 1.0 - probability
            for n in range(len(tails)):
                while beyond > tails[n]:
                    probability *= (size + units) / (units + 1.0) * failure
                    units += 1.0
                    beyond -= probability
                table[i, j, n] = units
    return table


@dataclass(frozen=True)
class Outlook:
    """Distribution of the demand of one store's series over every interval [a, b) of periods.

    Attributes:
        cell: shape (T, T + 1, m), row of :func:`tail_table` for the demand over [a, b); 0 where a ≥ b.
        factor: shape (T, T + 1, m), mean demand / mean of that row (1 for small means).
        until: shape (T + 1, m), mean demand before each period, units.
        price: shape (m,), demand-weighted mean price.
    """

    cell: SmallIndex
    factor: SmallFloats
    until: FloatArray
    price: FloatArray


def outlook_of(problem: PlanProblem, rows: IndexArray, ends: IndexArray | None = None) -> Outlook:
    """Fit the demand distributions of one store.

    Args:
        problem: the plan problem; without sample paths the dispersion is that of a Poisson count.
        rows: shape (m,), the store's series.
        ends: shape (T,), fit only the intervals that the levels of these deliveries need: a row of ``covered_until``.
            None = every interval.
    """
    mean = problem.mean[rows]
    periods = problem.periods
    until = np.zeros((periods + 1, len(rows)))
    np.cumsum(mean.T, axis=0, out=until[1:])
    if ends is None:
        start, end = np.triu_indices(periods, 0)
        end = end + 1
    else:
        days = np.flatnonzero(ends)
        start, end = days - problem.settings.lead_time, ends[days]
        start, end = start[start >= 0], end[start >= 0]
    over = np.maximum(until[end] - until[start], 0.0)
    ratio = 1.0 + excess_of_lengths(problem, rows)[end - start] * over
    place = np.log10(np.maximum(over, LOWEST_MEAN) / LOWEST_MEAN) * MEANS_PER_DECADE
    at = np.clip(np.rint(place), 0, MEANS - 1).astype(np.int64)
    dispersion = np.log10(np.maximum(ratio, LOWEST_RATIO) / LOWEST_RATIO) * RATIOS_PER_DECADE
    grid = LOWEST_MEAN * 10 ** (at / MEANS_PER_DECADE)
    # Memory of intervals without values is never touched.
    cell = np.zeros((periods, periods + 1, len(rows)), dtype=np.int32)
    factor = np.zeros(cell.shape, dtype=np.float32)
    cell[start, end] = at * RATIOS + np.clip(np.rint(dispersion), 0, RATIOS - 1).astype(np.int64)
    factor[start, end] = np.where(over > MANY_UNITS / 10, over / grid, np.where(over < LOWEST_MEAN / 10, 0.0, 1.0))
    weight = mean.sum(axis=1)
    price = np.divide((mean * problem.price[rows]).sum(axis=1), weight, out=np.zeros(len(rows)), where=weight > 0)
    return Outlook(cell, factor, until, price)


def excess_of_lengths(problem: PlanProblem, rows: IndexArray) -> FloatArray:
    """Estimate the excess dispersion e: the variance over an interval with mean M is M + e · M².

    e depends on the series and, because demand is correlated over time, on the length of the interval. The estimate of
    a series is shrunk toward that of its store.

    Args:
        problem: the plan problem; without sample paths e is 0.
        rows: shape (m,), the store's series.

    Returns:
        Shape (T + 1, m), e for intervals of each length; at least −1 / M (no variance).
    """
    excess = np.zeros((problem.periods + 1, len(rows)))
    if problem.paths is None:
        return excess
    paths = problem.paths[:, rows].astype(np.float64)
    total = np.zeros((len(paths), len(rows), problem.periods + 1))
    np.cumsum(paths, axis=2, out=total[:, :, 1:])
    lengths = np.unique(np.minimum([1, 2, 3, 4, 7, 10, 14, 28], problem.periods))
    known = np.array([_excess_at(total, int(length)) for length in lengths])
    for j in range(len(rows)):
        excess[1:, j] = np.interp(np.arange(1, problem.periods + 1), lengths, known[:, j])
    return excess


def _excess_at(total: FloatArray, length: int) -> FloatArray:
    """Excess dispersion of each series for one interval length, from disjoint intervals on all paths, shape (m,)."""
    sums = np.diff(total[:, :, ::length], axis=2)
    center = sums.mean(axis=0)
    beyond = (sums.var(axis=0, ddof=1) - center).sum(axis=1)
    square = (center**2).sum(axis=1)
    pooled = beyond.sum() / square.sum() if square.sum() > 0 else 0.0
    # The weight of the own estimate grows with units and paths: slow series on few paths have a noisy dispersion.
    seen = center.sum(axis=1) * len(total) / SHRINKAGE_PATHS
    weight = seen / (seen + SHRINKAGE)
    own = np.divide(beyond, square, out=np.full(len(beyond), pooled), where=square > 0)
    return weight * own + (1.0 - weight) * pooled


def stock_before(demand: FloatArray, on_hand: FloatArray, in_transit: FloatArray, period: int) -> FloatArray:
    """Units on hand before a period on each path without deliveries, shape (K, m).

    A closed form of the simulator (``tests/inventory/model/test_one_period_loop.py`` compares them).

    Args:
        demand: shape (K, T, m), sample paths in units.
        on_hand: shape (m,).
        in_transit: shape (A, m), units that arrive at the start of period k.
        period: from 0.
    """
    left: FloatArray = np.broadcast_to(on_hand, (len(demand), len(on_hand))).copy()
    for t in range(period):
        arriving = in_transit[t] if t < len(in_transit) else 0.0
        left = np.maximum(left + arriving - demand[:, t], 0.0)
    return left


def lead_time_lost_sales(
    demand: FloatArray, on_hand: FloatArray, in_transit: FloatArray, lead_time: int, end: int, quantile: FloatArray
) -> FloatArray:
    """Lead-time lost sales: units by which the level of the first order can be lower.

    Args:
        demand: shape (K, T, m), sample paths in units.
        on_hand: shape (m,).
        in_transit: shape (A, m), units that arrive at the start of period k.
        lead_time: L; the order arrives at the start of period L.
        end: period of the delivery after it.
        quantile: shape (m,), quantile level of the order-up-to level, 0 to 1.

    Returns:
        Shape (m,), at least 0: the quantile of the order quantity if no demand were lost before the arrival, minus the
        quantile of the quantity that is needed. Example with one path: 1 unit on hand, none in transit, L = 1, demand 3
        and then 2. The quantities are 4 and 2, the result is 2.
    """
    left = stock_before(demand, on_hand, in_transit, lead_time)
    left += in_transit[lead_time:end].sum(axis=0)
    needed = demand[:, lead_time:end].sum(axis=1) - left
    as_if = demand[:, :end].sum(axis=1) - on_hand - in_transit[:end].sum(axis=0)
    place = np.clip(np.ceil(quantile * len(demand) - 1e-9).astype(int) - 1, 0, len(demand) - 1)
    columns = np.arange(len(on_hand))
    saved: FloatArray = np.sort(as_if, axis=0)[place, columns] - np.sort(needed, axis=0)[place, columns]
    return np.maximum(saved, 0.0)
