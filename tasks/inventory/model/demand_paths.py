"""Sample paths of demand from the quantiles of a forecast.

Marginal distribution of one series and period: the quantile function is piecewise linear between the forecast
quantiles. Above the highest quantile it has an exponential tail whose length makes the mean equal to the mean of the
forecast.

Dependence: a Gaussian copula over periods, series and stores. The normal scores have a persistent component (constant
over the horizon), an autoregressive component (AR(1)), and common factors of a store and of the network. Their variance
shares are estimated from the folds of the backtest. If the champion has its own sample paths (DeepAR), the dependence
over time comes from these paths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from schemas import columns as c
from schemas.plan import FloatArray, IndexArray, UnitsArray
from tasks.inventory.model.kernels import compiled_exactly, in_parallel

# Assumed if the folds have too few rows. Independent errors would understate the uncertainty of totals.
DEFAULT_PERSISTENT, DEFAULT_AUTOREGRESSIVE, DEFAULT_COMMON = 0.1, 0.2, 0.05
LARGEST_SHARE = 0.9
# Minimum number of pairs of residuals for an estimate.
FEWEST_PAIRS = 200
SERIES_AT_ONCE = 500
# Cached blocks of random numbers. A replay uses the same ones at every cutoff.
KEPT = 8
# Upper limit of the tail's mean excess over the highest quantile, in multiples of (highest quantile + mean + 1).
LONGEST_TAIL = 10.0
_SCORE, _LATER = "score", "later"


@dataclass(frozen=True)
class OwnPaths:
    """Sample paths of a model. They set the dependence over time; the quantiles stay those of the forecast.

    Attributes:
        paths: index of a series to its paths, shape (T, K), units.
        seed: seed of the random order of the paths; the same for planning and evaluation.
        from_end: take paths from the end of that order. Planning takes the first and evaluation the last.
    """

    paths: Mapping[int, FloatArray]
    seed: int
    from_end: bool

    def probabilities(self, series: int, name: tuple[str, str], count: int) -> FloatArray:
        """Rank of each path in each period as a probability; shape (count, T).

        If ``count`` exceeds the number of paths, paths are reused.
        """
        own = self.paths[series]
        generator = _generator(self.seed, *name, "own paths")
        order = generator.permutation(own.shape[1])
        picked = np.resize(order[::-1] if self.from_end else order, count)
        ties = generator.random(own.shape)
        rank = np.lexsort((ties, own), axis=1).argsort(axis=1)
        within = generator.random((count, len(own)))
        return (rank[:, picked].T + within) / own.shape[1]


@dataclass(frozen=True)
class Correlation:
    """Dependence of forecast errors, as shares of the variance of normal scores.

    Attributes:
        persistent: share of the component that is constant over the horizon, 0 to 1.
        autoregressive: AR(1) coefficient of the remaining component, per period.
        common: share of the factors that the series of a store have in common, 0 to 1.
        network: share of the factor that all series have in common, at most ``common``.
    """

    persistent: float = DEFAULT_PERSISTENT
    autoregressive: float = DEFAULT_AUTOREGRESSIVE
    common: float = DEFAULT_COMMON
    network: float = 0.0


def correlation_of(backtest: pd.DataFrame, levels: Sequence[float]) -> Correlation:
    """Estimate the dependence of errors from the fold forecasts.

    Args:
        backtest: cutoff, store_id, category, date, actual and the quantile columns, of the champions.
        levels: the quantile levels.

    Returns:
        The variance shares; defaults if the folds have too few pairs.
    """
    rows = backtest.loc[backtest[c.ACTUAL].notna()]
    if rows.empty:
        return Correlation()
    quantiles = rows[c.quantile_columns(list(levels))].to_numpy(dtype=float)
    scores = _scores(rows[c.ACTUAL].to_numpy(dtype=float), quantiles, np.asarray(levels))
    keys = (c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE)
    frame = pd.DataFrame({key: pd.factorize(rows[key], sort=True)[0] for key in keys})
    frame[_SCORE] = scores - scores.mean()
    near = _lag_correlation(frame, 1)
    far = _lag_correlation(frame, max(2, int(frame.groupby(c.CUTOFF)[c.DATE].nunique().median() // 2)))
    common, network = _common_factor_correlations(frame)
    persistent = DEFAULT_PERSISTENT if far is None else float(np.clip(far, 0.0, LARGEST_SHARE))
    autoregressive = (
        DEFAULT_AUTOREGRESSIVE
        if near is None
        else float(np.clip((near - persistent) / (1 - persistent), 0.0, LARGEST_SHARE))
    )
    common = DEFAULT_COMMON if common is None else float(np.clip(common, 0.0, LARGEST_SHARE))
    return Correlation(
        persistent, autoregressive, common, 0.0 if network is None else float(np.clip(network, 0.0, common))
    )


def _scores(actual: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Normal scores of actuals under their forecast.

    The probability of an actual is only known to lie between the levels of the nearest quantiles. The midpoint of this
    interval is used.
    """
    below = (quantiles < actual[:, None]).sum(axis=1)
    upto = (quantiles <= actual[:, None]).sum(axis=1)
    edges = np.concatenate([[0.0], levels, [1.0]])
    probability = 0.5 * (edges[below] + edges[np.minimum(upto + 1, len(levels) + 1)])
    return ndtri(np.clip(probability, 0.01, 0.99))


def _lag_correlation(frame: pd.DataFrame, lag: int) -> float | None:
    """Autocorrelation of the scores at a lag in periods; None if there are too few pairs."""
    later = frame.assign(**{c.DATE: frame[c.DATE] - lag}).rename(columns={_SCORE: _LATER})
    pairs = frame.merge(later, on=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE])
    if len(pairs) < FEWEST_PAIRS:
        return None
    variance = float(frame[_SCORE].var())
    return float((pairs[_SCORE] * pairs[_LATER]).mean()) / variance if variance > 0 else None


def _common_factor_correlations(frame: pd.DataFrame) -> tuple[float | None, float | None]:
    """Correlation in the same period of two series of one store, and of two stores; None if too few pairs."""
    variance = float(frame[_SCORE].var())
    in_store, of_store = _products(frame, [c.CUTOFF, c.DATE, c.STORE_ID])
    everywhere, of_all = _products(frame, [c.CUTOFF, c.DATE])

    def correlation(total: float, pairs: float) -> float | None:
        return total / pairs / variance if pairs >= FEWEST_PAIRS and variance > 0 else None

    return correlation(in_store, of_store), correlation(everywhere - in_store, of_all - of_store)


def _products(frame: pd.DataFrame, keys: list[str]) -> tuple[float, float]:
    """Sum of the products of all ordered pairs of scores within the groups, and the number of pairs."""
    groups = frame[_SCORE].groupby([frame[key] for key in keys])
    total, count = groups.sum().to_numpy(), groups.size().to_numpy(dtype=float)
    return float((total**2).sum() - (frame[_SCORE] ** 2).sum()), float((count * (count - 1)).sum())


def draw_paths(
    mean: FloatArray,
    quantiles: FloatArray,
    levels: Sequence[float],
    names: Sequence[tuple[str, str]],
    correlation: Correlation,
    paths: int,
    seed: int,
    own: OwnPaths | None = None,
) -> UnitsArray:
    """Draw whole-unit sample paths.

    Args:
        mean: shape (n, T), units.
        quantiles: shape (n, T, Q), units, rising along the last axis.
        levels: Q levels.
        names: store and category of each series; they seed its random numbers, so the order of series has no effect.
        correlation: dependence of errors.
        paths: K.
        seed: seed of the draw.
        own: sample paths of models that have their own.

    Returns:
        Shape (K, n, T), units; the type is an unsigned integer if it can hold them.
    """
    # The series are stored one after another, in the smallest type that can hold the units.
    drawn: UnitsArray = np.empty((len(mean), paths, mean.shape[1]), dtype=np.uint16)
    blocks = [slice(start, min(start + SERIES_AT_ONCE, len(mean))) for start in range(0, len(mean), SERIES_AT_ONCE)]
    # A large network would keep its last blocks in memory and use none of them again.
    normal_scores: Callable[..., tuple[FloatArray, FloatArray]] = (
        _normal_scores if len(blocks) <= KEPT else _normal_scores.__wrapped__
    )

    def units_of(rows: slice) -> FloatArray | None:
        """Write the units of some series; return them if two bytes cannot hold them."""
        scores, rounding = normal_scores(tuple(names[rows]), correlation, paths, mean.shape[1], seed)
        probability = ndtr(scores)
        for series in range(rows.start, rows.stop):
            if own is not None and series in own.paths:
                probability[series - rows.start] = own.probabilities(series, names[series], paths)
        units = _quantile_function(probability, mean[rows], quantiles[rows], np.asarray(levels))
        np.floor(np.add(units, rounding, out=units), out=units)
        if _type_for(units) != np.uint16:
            return units
        drawn[rows] = units
        return None

    wider = in_parallel(units_of, blocks)
    types = [_type_for(units) for units in wider if units is not None]
    if types:
        drawn = drawn.astype(max(types, key=lambda kind: kind.itemsize))
        for rows, units in zip(blocks, wider, strict=True):
            if units is not None:
                drawn[rows] = units
    return drawn.transpose(1, 0, 2)


def _type_for(units: FloatArray) -> np.dtype[np.generic]:
    """The smallest type that can hold whole units."""
    least, most = float(units.min(initial=0.0)), float(units.max(initial=0.0))
    fits = [kind for kind in (np.uint16, np.uint32) if least >= 0 and most <= np.iinfo(kind).max]
    return np.dtype(fits[0] if fits else np.float64)


@lru_cache(maxsize=KEPT)
def _normal_scores(
    names: tuple[tuple[str, str], ...], correlation: Correlation, paths: int, periods: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Normal scores of some series, and the uniform numbers that round their units; shape (m, K, T) each."""
    scores = np.empty((len(names), paths, periods))
    rounding = np.empty_like(scores)
    persistent = np.empty((len(names), paths))
    stores = {store: place for place, store in enumerate(dict.fromkeys(store for store, _ in names))}
    shared = np.array([_noise(_generator(seed, store), correlation, paths, periods) for store in stores])
    everywhere = np.sqrt(correlation.network) * _noise(_generator(seed), correlation, paths, periods)
    for place, (store, category) in enumerate(names):
        generator = _generator(seed, store, category)
        generator.standard_normal(out=persistent[place])
        generator.standard_normal(out=scores[place])
        generator.random(out=rounding[place])
    weights = _Weights(
        correlation.autoregressive,
        np.sqrt(1.0 - correlation.autoregressive**2),
        np.sqrt(correlation.persistent),
        np.sqrt(1.0 - correlation.persistent),
        np.sqrt(correlation.common - correlation.network),
        np.sqrt(1.0 - correlation.common),
    )
    _combine(scores, persistent, everywhere, shared, np.array([stores[store] for store, _ in names]), weights)
    return scores, rounding


class _Weights(NamedTuple):
    """Weights of the components of a normal score.

    Attributes:
        autoregressive: of the step before.
        innovation: of the new part of a step.
        persistent: of the component that is constant over the horizon.
        changing: of the autoregressive component.
        common: of the factor of the store.
        own: of the series' own component.
    """

    autoregressive: float
    innovation: float
    persistent: float
    changing: float
    common: float
    own: float


@compiled_exactly
def _combine(
    scores: FloatArray,
    persistent: FloatArray,
    everywhere: FloatArray,
    shared: FloatArray,
    store: IndexArray,
    weights: _Weights,
) -> None:
    """Turn standard normal numbers into the scores of :func:`_noise` with common factors.

    Args:
        scores: shape (m, K, T), changed.
        persistent: shape (m, K), standard normal numbers.
        everywhere: shape (K, T), weighted factor of the network.
        shared: shape (S, K, T), factors of the stores.
        store: shape (m,), index of each series' store.
        weights: weights of the components.
    """
    series, paths, periods = scores.shape
    for i in range(series):
        factor = shared[store[i]]
        for k in range(paths):
            constant = weights.persistent * persistent[i, k]
            before = 0.0
            for t in range(periods):
                step = scores[i, k, t]
                if t > 0:
                    step = step * weights.innovation + weights.autoregressive * before
                before = step
                noise = constant + weights.changing * step
                scores[i, k, t] = (everywhere[k, t] + weights.common * factor[k, t]) + weights.own * noise


def _generator(seed: int, *parts: str) -> np.random.Generator:
    digest = hashlib.sha256("\x1f".join([str(seed), *parts]).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def _noise(generator: np.random.Generator, correlation: Correlation, paths: int, periods: int) -> FloatArray:
    """Standard normal scores (K, T) with a persistent and an autoregressive component."""
    persistent = generator.standard_normal((paths, 1))
    steps = generator.standard_normal((paths, periods))
    steps[:, 1:] *= np.sqrt(1.0 - correlation.autoregressive**2)
    for period in range(1, periods):
        steps[:, period] += correlation.autoregressive * steps[:, period - 1]
    return np.sqrt(correlation.persistent) * persistent + np.sqrt(1.0 - correlation.persistent) * steps


def _quantile_function(
    probability: FloatArray, mean: FloatArray, quantiles: FloatArray, levels: FloatArray
) -> FloatArray:
    """Units at given probabilities (m, K, T); their mean is ``mean``, or that of the quantiles if it is higher."""
    lowest, highest = quantiles[..., 0], quantiles[..., -1]
    if len(levels) > 1:
        slope = (quantiles[..., 1] - lowest) / (levels[1] - levels[0])
        bottom = np.maximum(0.0, lowest - slope * levels[0])
    else:
        bottom = np.zeros_like(lowest)
    knots = np.concatenate([bottom[..., None], quantiles], axis=2)
    at = np.concatenate([[0.0], levels])
    body = (0.5 * (knots[..., 1:] + knots[..., :-1]) * np.diff(at)).sum(axis=2) + highest * (1.0 - levels[-1])
    excess = np.clip((mean - body) / (1.0 - levels[-1]), 0.0, LONGEST_TAIL * (highest + mean + 1.0))
    units = np.empty_like(probability)
    _between_quantiles(probability, knots, at, units)
    series, path, period = np.nonzero(probability > levels[-1])
    beyond = np.maximum(1.0 - probability[series, path, period], 1e-9)
    units[series, path, period] = highest[series, period] + excess[series, period] * np.log((1.0 - levels[-1]) / beyond)
    return units


@compiled_exactly
def _between_quantiles(probability: FloatArray, knots: FloatArray, at: FloatArray, units: FloatArray) -> None:
    """Interpolate the quantile functions ``knots`` (m, T, Q + 1) at the levels ``at``; write ``units`` (m, K, T)."""
    series, paths, periods = probability.shape
    last = len(at) - 2
    for i in range(series):
        for k in range(paths):
            for t in range(periods):
                p = probability[i, k, t]
                place = 0
                while place < last and at[place + 1] <= p:
                    place += 1
                left, right = knots[i, t, place], knots[i, t, place + 1]
                units[i, k, t] = left + (right - left) * (p - at[place]) / (at[place + 1] - at[place])
