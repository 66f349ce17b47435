"""Quantiles and mean around the median, fitted on its residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from schemas.panel import FloatArray, SmallFloatArray
from schemas.settings import XgboostSettings
from tasks.demand.features.rows import FeatureTable
from tasks.demand.features.windows import RATIOS
from tasks.forecasting.combine.quantile_factors import MEDIAN
from tasks.forecasting.trees import sub_models
from tasks.forecasting.trees.booster import Boosted, Examples, boost, weighted_quantiles
from tasks.forecasting.trees.sub_models import Sample, learning_of

# Prefixes of the columns that explain the distance of demand from its median.
READ = ("step", "log_level", "effect", "mean_", "smoothed_", "deviation_", "zeros_", "same_", "age", "since_")
# Column: median / baseline.
RATIO = "median_ratio"
# Number of rows that quantiles and mean are learned from at most, evenly spaced.
MOST_ROWS = 60_000


@dataclass(frozen=True)
class ResidualRule:
    """The numbers of the residual models (docs/reference/constants.md).

    Attributes:
        rounds_share: boosting rounds as a multiple of ``max_rounds``.
        depth: depth of the trees.
    """

    rounds_share: float = 1.25
    depth: int = 4


RULE = ResidualRule()


@dataclass(frozen=True)
class ResidualQuantiles:
    """Fitted quantiles and mean around a median.

    Attributes:
        levels: quantile levels, rising.
        quantiles: booster of the levels but the median, on the scale of the baseline; None if none exists.
        start: shape (Q - 1,); residual quantiles that the trees start from.
        mean: booster of the mean on the scale of the baseline.
    """

    levels: tuple[float, ...]
    quantiles: Boosted | None
    start: FloatArray
    mean: Boosted

    def quantiles_of(self, table: FeatureTable, median: FloatArray, baseline: FloatArray) -> FloatArray:
        """Units, shape (k, Q), rising, at least 0; the median as it is."""
        ratio = median / baseline
        found = np.empty((len(ratio), len(self.levels)))
        outer = np.array([level != MEDIAN for level in self.levels])
        found[:, ~outer] = median[:, None]
        if self.quantiles is not None:
            start = ratio[:, None] + self.start
            predicted = self.quantiles.predict(_columns(table, ratio, self.quantiles.names), start)
            found[:, outer] = predicted.reshape(len(ratio), -1) * baseline[:, None]
        return around(found, median, self.levels)

    def mean_of(self, table: FeatureTable, median: FloatArray, baseline: FloatArray) -> FloatArray:
        """Units, shape (k,)."""
        ratio = median / baseline
        found: FloatArray = baseline * self.mean.predict(_columns(table, ratio, self.mean.names), _log_start(ratio))
        return found


def fit_residual_quantiles(
    sample: Sample,
    median: FloatArray,
    baseline: FloatArray,
    levels: Sequence[float],
    settings: XgboostSettings,
    seed: int,
    threads: int,
) -> ResidualQuantiles:
    """Fit quantiles and mean of demand around a median.

    Args:
        sample: rows.
        median: shape (k,), units.
        baseline: shape (k,), units above 0.
        levels: Q levels, rising, 0.5 among them.
        settings: how trees are grown.
        seed: seed of the trees.
        threads: processor threads; they change no result.
    """
    if len(median) > MOST_ROWS:
        chosen = np.linspace(0, len(median) - 1, MOST_ROWS).astype(np.int64)
        sample, median, baseline = sample.take(chosen), median[chosen], baseline[chosen]
    outer = tuple(level for level in levels if level != MEDIAN)
    ratio, label = median / baseline, np.minimum(sample.units / baseline, sub_models.RULE.largest_label)
    names = (*(name for name in sample.table.names if name.startswith(READ)), RATIO)
    matrix = _columns(sample.table, ratio, names)
    rounds = round(RULE.rounds_share * settings.max_rounds)
    shallow = replace(learning_of(settings, "count:poisson", rounds, seed, threads), max_depth=RULE.depth)
    mean = boost(Examples(matrix, label, baseline, _log_start(ratio)), names, shallow)
    if not outer:
        return ResidualQuantiles(tuple(levels), None, np.zeros(0), mean)
    start = weighted_quantiles(label - ratio, baseline, outer)
    pinball = replace(shallow, objective="reg:quantileerror", levels=outer)
    quantiles = boost(Examples(matrix, label, baseline, ratio[:, None] + start), names, pinball)
    return ResidualQuantiles(tuple(levels), quantiles, start, mean)


def around(quantiles: FloatArray, median: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Quantiles on their own side of the median, rising, at least 0."""
    below = np.array([level < MEDIAN for level in levels])
    sided = np.where(below, np.minimum(quantiles, median[:, None]), np.maximum(quantiles, median[:, None]))
    found: FloatArray = np.maximum(np.sort(sided, axis=1), 0.0)
    return found


def _columns(table: FeatureTable, ratio: FloatArray, names: Sequence[str]) -> SmallFloatArray:
    return np.column_stack([table.columns(tuple(names)[:-1]), ratio.astype(np.float32)])


def _log_start(ratio: FloatArray) -> FloatArray:
    found: FloatArray = np.log(np.maximum(ratio, RATIOS.smallest))
    return found
