"""What lies around the median: quantiles and mean, learnt on its residuals and calibrated on held-out windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from schemas.panel import FloatArray, IndexArray, SmallFloatArray
from schemas.settings import XgboostSettings
from tasks.demand.features import FeatureTable
from tasks.forecasting.xgb_boost import Boosted, Examples, boost, weighted_quantiles
from tasks.forecasting.xgb_views import LARGEST_LABEL, Sample, learning_of

MEDIAN = 0.5
# Columns that tell how far demand may lie from its median.
READ = ("step", "log_level", "effect", "mean_", "smoothed_", "deviation_", "zeros_", "same_", "age", "since_")
# The median over its ground, as a column.
RATIO = "median_ratio"
# More rounds than the season booster, and shallower trees.
ROUNDS_SHARE, DEPTH = 1.25, 4
SMALLEST_RATIO = 0.05
# A bucket's own factor weighs n / (n + 300) against that of all rows.
BUCKET_PRIOR = 300.0
# Windows seen so far never made a quantile too wide for good: only so far is it drawn in.
SMALLEST_FACTOR, LARGEST_FACTOR = 0.8, 3.0
SIZES = 3


@dataclass(frozen=True)
class Spread:
    """Fitted quantiles and mean around a median.

    Attributes:
        levels: quantile levels, rising.
        quantiles: booster of the levels but the median, on the scale of the ground; None without such.
        start: shape (Q - 1,); residual quantiles that the trees set out from.
        mean: booster of the mean on the scale of the ground.
    """

    levels: tuple[float, ...]
    quantiles: Boosted | None
    start: FloatArray
    mean: Boosted

    def quantiles_of(self, table: FeatureTable, median: FloatArray, ground: FloatArray) -> FloatArray:
        """Units, shape (k, Q), rising, at least 0; the median as it is."""
        ratio = median / ground
        found = np.empty((len(ratio), len(self.levels)))
        outer = np.array([level != MEDIAN for level in self.levels])
        found[:, ~outer] = median[:, None]
        if self.quantiles is not None:
            start = ratio[:, None] + self.start
            predicted = self.quantiles.predict(_columns(table, ratio, self.quantiles.names), start)
            found[:, outer] = predicted.reshape(len(ratio), -1) * ground[:, None]
        return around(found, median, self.levels)

    def mean_of(self, table: FeatureTable, median: FloatArray, ground: FloatArray) -> FloatArray:
        """Units, shape (k,)."""
        ratio = median / ground
        found: FloatArray = ground * self.mean.predict(_columns(table, ratio, self.mean.names), _log_start(ratio))
        return found


def fit_spread(
    sample: Sample,
    median: FloatArray,
    ground: FloatArray,
    levels: Sequence[float],
    settings: XgboostSettings,
    seed: int,
    threads: int,
) -> Spread:
    """Learn quantiles and mean of demand around a median.

    Args:
        sample: rows.
        median: shape (k,), units.
        ground: shape (k,), units above 0.
        levels: Q levels, rising, 0.5 among them.
        settings: how trees are grown.
        seed: of the trees.
        threads: processor threads; they change no result.
    """
    outer = tuple(level for level in levels if level != MEDIAN)
    ratio, label = median / ground, np.minimum(sample.units / ground, LARGEST_LABEL)
    names = (*(name for name in sample.table.names if name.startswith(READ)), RATIO)
    matrix = _columns(sample.table, ratio, names)
    rounds = round(ROUNDS_SHARE * settings.max_rounds)
    shallow = replace(learning_of(settings, "count:poisson", rounds, seed, threads), max_depth=DEPTH)
    mean = boost(Examples(matrix, label, ground, _log_start(ratio)), names, shallow)
    if not outer:
        return Spread(tuple(levels), None, np.zeros(0), mean)
    start = weighted_quantiles(label - ratio, ground, outer)
    pinball = replace(shallow, objective="reg:quantileerror", levels=outer)
    quantiles = boost(Examples(matrix, label, ground, ratio[:, None] + start), names, pinball)
    return Spread(tuple(levels), quantiles, start, mean)


@dataclass(frozen=True)
class Calibration:
    """Factors on each quantile's distance from the median, by size of the series and near or far steps.

    Split conformal calibration (Romano, Patterson and Candes 2019) with a multiplicative score: the factor
    under which a quantile would have had its share of the held-out rows on its side.

    Attributes:
        edges: shape (SIZES - 1,), units of the ground between the sizes.
        last_near: the last step of the first half of the horizon.
        factors: shape (SIZES * 2, Q).
    """

    edges: FloatArray
    last_near: int
    factors: FloatArray

    @classmethod
    def none(cls, levels: Sequence[float]) -> Calibration:
        """All factors 1."""
        return cls(np.zeros(SIZES - 1), 0, np.ones((2 * SIZES, len(levels))))

    def apply(self, quantiles: FloatArray, median: FloatArray, ground: FloatArray, step: IndexArray) -> FloatArray:
        """Quantiles with their distances from the median scaled, shape (k, Q); at least 0."""
        factor = self.factors[_bucket(ground, step, self.edges, self.last_near)]
        found: FloatArray = np.maximum(median[:, None] + factor * (quantiles - median[:, None]), 0.0)
        return np.sort(found, axis=1)


def calibrate(
    units: FloatArray,
    quantiles: FloatArray,
    median: FloatArray,
    ground: FloatArray,
    step: IndexArray,
    levels: Sequence[float],
    windows: int,
) -> Calibration:
    """Factors from held-out rows.

    The rows of one window share its luck, so the next window lies outside oftener than they do: with k
    windows a quantile is asked to leave (2k + 1) / (2k + 2) of its share of the rows outside. Example: two
    windows, q0.9: 8.3 % of the rows may lie above it, not 10 %.

    Args:
        units: shape (k,), what was sold.
        quantiles: shape (k, Q), units.
        median: shape (k,), units.
        ground: shape (k,), units above 0.
        step: shape (k,), 1 = the first period behind the cutoff.
        levels: Q levels.
        windows: how many windows the rows are from.
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
        side = 1.0 if level > MEDIAN else -1.0
        score = side * (units - median)[usable] / distance[usable]
        share = 1.0 - min(level, 1.0 - level) * (2 * windows + 1) / (2 * windows + 2)
        overall = _factor(score, share)
        for number in range(2 * SIZES):
            own = score[bucket[usable] == number]
            weight = len(own) / (len(own) + BUCKET_PRIOR)
            factors[number, at] = _factor(own, share) ** weight * overall ** (1.0 - weight)
    return Calibration(edges, last_near, factors)


def around(quantiles: FloatArray, median: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Quantiles on their own side of the median, rising, at least 0."""
    below = np.array([level < MEDIAN for level in levels])
    sided = np.where(below, np.minimum(quantiles, median[:, None]), np.maximum(quantiles, median[:, None]))
    found: FloatArray = np.maximum(np.sort(sided, axis=1), 0.0)
    return found


def _factor(score: FloatArray, share: float) -> float:
    """The score that the share of the rows does not exceed; 1 without rows."""
    if len(score) == 0:
        return 1.0
    return float(np.clip(np.quantile(score, share), SMALLEST_FACTOR, LARGEST_FACTOR))


def _bucket(ground: FloatArray, step: IndexArray, edges: FloatArray, last_near: int) -> IndexArray:
    found: IndexArray = 2 * np.searchsorted(edges, ground) + (step > last_near)
    return found


def _columns(table: FeatureTable, ratio: FloatArray, names: Sequence[str]) -> SmallFloatArray:
    return np.column_stack([table.columns(tuple(names)[:-1]), ratio.astype(np.float32)])


def _log_start(ratio: FloatArray) -> FloatArray:
    found: FloatArray = np.log(np.maximum(ratio, SMALLEST_RATIO))
    return found
