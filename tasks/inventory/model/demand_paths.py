"""Sample paths of demand from a forecast's quantiles.

One series and period: the quantile function runs linearly through the forecast's quantiles; above the highest it
has an exponential tail that makes its mean the forecast's mean. Over time, over the series of a store and over the
stores errors go together (a level that is too low stays too low): normal scores with a lasting part, a part that fades
from period to period, a part that a store's series share and one that all series share, each as large as in the folds
of the backtest. A champion with sample paths of its own (DeepAR) takes how errors go together over time from these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

from schemas import columns as c
from schemas.plan import FloatArray

# What is assumed where the folds say nothing: independent periods would make plans too sure of themselves.
DEFAULT_LASTING, DEFAULT_FADING, DEFAULT_SHARED = 0.1, 0.2, 0.05
LARGEST_SHARE = 0.9
# Fewest pairs of residuals that are believed.
FEWEST_PAIRS = 200
SERIES_AT_ONCE = 500
# Blocks of random numbers that are kept: a replay asks for the same ones at every cutoff.
KEPT = 8
# A tail's mean excess over the highest quantile is at most this often the body's spread and mean.
LONGEST_TAIL = 10.0
_SCORE, _LATER = "score", "later"


@dataclass(frozen=True)
class OwnPaths:
    """Sample paths of a model's own: how its errors go together over time; quantiles stay the forecast's.

    Attributes:
        paths: number of a series to its paths, shape (T, K).
        seed: of their order; the same for planning and judging, so that they take different ones.
        from_end: take the last of that order.
    """

    paths: Mapping[int, FloatArray]
    seed: int
    from_end: bool

    def probabilities(self, series: int, name: tuple[str, str], count: int) -> FloatArray:
        """Of each path and period the place among the paths, as a probability; shape (count, T).

        More paths than there are: they are taken again.
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
    """How errors go together, as shares of the variance of normal scores.

    Attributes:
        lasting: share that stays over the whole horizon.
        fading: correlation of the rest from one period to the next.
        shared: share that the series of a store have in common.
        network: share that the series of all stores have in common, part of ``shared``.
    """

    lasting: float = DEFAULT_LASTING
    fading: float = DEFAULT_FADING
    shared: float = DEFAULT_SHARED
    network: float = 0.0


def correlation_of(backtest: pd.DataFrame, levels: Sequence[float]) -> Correlation:
    """Estimate how errors go together from fold forecasts.

    Args:
        backtest: cutoff, store_id, category, date, actual and the quantile columns, of the champions.
        levels: the quantile levels.

    Returns:
        The shares; defaults where the folds have too few pairs.
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
    shared, network = _shared_correlations(frame)
    lasting = DEFAULT_LASTING if far is None else float(np.clip(far, 0.0, LARGEST_SHARE))
    fading = DEFAULT_FADING if near is None else float(np.clip((near - lasting) / (1 - lasting), 0.0, LARGEST_SHARE))
    shared = DEFAULT_SHARED if shared is None else float(np.clip(shared, 0.0, LARGEST_SHARE))
    return Correlation(lasting, fading, shared, 0.0 if network is None else float(np.clip(network, 0.0, shared)))


def _scores(actual: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Normal scores of actuals under their forecast: the middle of what a flat quantile function allows."""
    below = (quantiles < actual[:, None]).sum(axis=1)
    upto = (quantiles <= actual[:, None]).sum(axis=1)
    edges = np.concatenate([[0.0], levels, [1.0]])
    probability = 0.5 * (edges[below] + edges[np.minimum(upto + 1, len(levels) + 1)])
    return ndtri(np.clip(probability, 0.01, 0.99))


def _lag_correlation(frame: pd.DataFrame, lag: int) -> float | None:
    later = frame.assign(**{c.DATE: frame[c.DATE] - lag}).rename(columns={_SCORE: _LATER})
    pairs = frame.merge(later, on=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE])
    if len(pairs) < FEWEST_PAIRS:
        return None
    variance = float(frame[_SCORE].var())
    return float((pairs[_SCORE] * pairs[_LATER]).mean()) / variance if variance > 0 else None


def _shared_correlations(frame: pd.DataFrame) -> tuple[float | None, float | None]:
    """Correlation in the same period of two series of one store, and of two stores; None of too few pairs."""
    variance = float(frame[_SCORE].var())
    in_store, of_store = _products(frame, [c.CUTOFF, c.DATE, c.STORE_ID])
    everywhere, of_all = _products(frame, [c.CUTOFF, c.DATE])

    def correlation(total: float, pairs: float) -> float | None:
        return total / pairs / variance if pairs >= FEWEST_PAIRS and variance > 0 else None

    return correlation(in_store, of_store), correlation(everywhere - in_store, of_all - of_store)


def _products(frame: pd.DataFrame, keys: list[str]) -> tuple[float, float]:
    """Sum over all ordered pairs of scores in a group of their product, and the number of pairs."""
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
) -> FloatArray:
    """Draw whole-unit sample paths.

    Args:
        mean: shape (n, T), units.
        quantiles: shape (n, T, Q), units, rising along the last axis.
        levels: Q levels.
        names: store and category of each series: its random numbers depend on them, not on its place.
        correlation: how errors go together.
        paths: K.
        seed: of the draw.
        own: paths of models that have their own.

    Returns:
        Shape (K, n, T), units.
    """
    drawn = np.empty((paths, *mean.shape))
    for start in range(0, len(mean), SERIES_AT_ONCE):
        rows = slice(start, min(start + SERIES_AT_ONCE, len(mean)))
        scores, rounding = _normal_scores(tuple(names[rows]), correlation, paths, mean.shape[1], seed)
        probability = ndtr(scores)
        for series in range(rows.start, rows.stop):
            if own is not None and series in own.paths:
                probability[:, series - start] = own.probabilities(series, names[series], paths)
        exact = _quantile_function(probability, mean[rows], quantiles[rows], np.asarray(levels))
        drawn[:, rows] = np.floor(exact + rounding)
    return drawn


@lru_cache(maxsize=KEPT)
def _normal_scores(
    names: tuple[tuple[str, str], ...], correlation: Correlation, paths: int, periods: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    own = np.empty((paths, len(names), periods))
    rounding = np.empty_like(own)
    shared = {store: _noise(_generator(seed, store), correlation, paths, periods) for store in {n[0] for n in names}}
    everywhere = np.sqrt(correlation.network) * _noise(_generator(seed), correlation, paths, periods)
    weight = np.sqrt(correlation.shared - correlation.network)
    rest = np.sqrt(1.0 - correlation.shared)
    for place, (store, category) in enumerate(names):
        generator = _generator(seed, store, category)
        own[:, place] = everywhere + weight * shared[store] + rest * _noise(generator, correlation, paths, periods)
        rounding[:, place] = generator.random((paths, periods))
    return own, rounding


def _generator(seed: int, *parts: str) -> np.random.Generator:
    digest = hashlib.sha256("\x1f".join([str(seed), *parts]).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def _noise(generator: np.random.Generator, correlation: Correlation, paths: int, periods: int) -> FloatArray:
    """Standard normal scores (K, T) with a lasting and a fading part."""
    lasting = generator.standard_normal((paths, 1))
    steps = generator.standard_normal((paths, periods))
    steps[:, 1:] *= np.sqrt(1.0 - correlation.fading**2)
    fading = lfilter([1.0], [1.0, -correlation.fading], steps, axis=1)
    return np.sqrt(correlation.lasting) * lasting + np.sqrt(1.0 - correlation.lasting) * fading


def _quantile_function(
    probability: FloatArray, mean: FloatArray, quantiles: FloatArray, levels: FloatArray
) -> FloatArray:
    """Units at given probabilities (K, m, T); its mean is ``mean`` unless the quantiles alone have a higher one."""
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
    place = np.clip(np.searchsorted(at, probability, side="right") - 1, 0, len(at) - 2)
    left = np.take_along_axis(knots[None], place[..., None], axis=3)[..., 0]
    right = np.take_along_axis(knots[None], place[..., None] + 1, axis=3)[..., 0]
    inside = left + (right - left) * (probability - at[place]) / (at[place + 1] - at[place])
    tail = highest + excess * np.log((1.0 - levels[-1]) / np.maximum(1.0 - probability, 1e-9))
    units: FloatArray = np.where(probability > levels[-1], tail, inside)
    return units
