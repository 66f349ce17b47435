"""Boosted trees: a thin, deterministic interface to XGBoost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from schemas.facts import FailureKind, SeriesFailure
from schemas.panel import FloatArray, SmallFloatArray

if TYPE_CHECKING:
    import xgboost

FEATURE = "feature"
GAIN = "gain"
# Histogram bins per feature: half of XGBoost's default, which is twice as fast, without a measurable loss here.
BINS = 128
# A global booster is not fitted on fewer rows.
FEWEST_ROWS = 200
NOT_TRAINED = SeriesFailure(FailureKind.NOT_TRAINED, "too few known periods in all series together to learn from")


@dataclass(frozen=True)
class Learning:
    """The parameters of tree growth; names as in XGBoost.

    Attributes:
        rounds: boosting rounds.
        threads: processor threads; they change no result.
        levels: levels of the quantile objective.
        max_leaves: where above 0 trees grow leaf by leaf up to this number of leaves, with any depth.
        further: parameters from the settings that replace or complete those above.
    """

    objective: str
    rounds: int
    learning_rate: float
    max_depth: int
    subsample: float
    colsample_bytree: float
    reg_lambda: float
    reg_alpha: float
    min_child_weight: float
    seed: int
    threads: int
    levels: tuple[float, ...] = ()
    max_leaves: int = 0
    further: Mapping[str, Any] = field(default_factory=dict)

    def faster(self, pace: float) -> Learning:
        """Return the same parameters with a multiple of the learning rate, at most 1."""
        return replace(self, learning_rate=min(1.0, pace * self.learning_rate))

    def parameters(self) -> dict[str, Any]:
        """As XGBoost takes them."""
        chosen: dict[str, Any] = {
            "objective": self.objective,
            "tree_method": "hist",
            "max_bin": BINS,
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "reg_lambda": self.reg_lambda,
            "reg_alpha": self.reg_alpha,
            "min_child_weight": self.min_child_weight,
            "seed": self.seed,
            "nthread": self.threads,
            "verbosity": 0,
        }
        if self.levels:
            chosen["quantile_alpha"] = list(self.levels)
        if self.max_leaves:
            chosen |= {"grow_policy": "lossguide", "max_leaves": self.max_leaves}
        return chosen | dict(self.further)


@dataclass(frozen=True)
class Examples:
    """Rows with their actual values.

    Attributes:
        matrix: shape (k, F), NaN = unknown.
        label: shape (k,), finite.
        weight: shape (k,), at least 0, not all 0; scaled to mean 1.
        start: shape (k,) or (k, outputs); the values that the trees start from, on the scale of the
            objective's margin. None: one value, which XGBoost estimates.
    """

    matrix: SmallFloatArray
    label: FloatArray
    weight: FloatArray
    start: FloatArray | None = None

    def data(self, threads: int, bins: int) -> xgboost.QuantileDMatrix:
        """As XGBoost takes them, with at most this number of bins per column."""
        import xgboost

        return xgboost.QuantileDMatrix(
            self.matrix,
            label=self.label,
            weight=self.weight / self.weight.mean(),
            base_margin=_small(self.start),
            max_bin=bins,
            nthread=threads,
        )


@dataclass(frozen=True)
class Boosted:
    """A fitted booster and the columns that it reads."""

    booster: xgboost.Booster
    names: tuple[str, ...]

    @property
    def rounds(self) -> int:
        """Boosting rounds."""
        return int(self.booster.num_boosted_rounds())

    def predict(self, matrix: SmallFloatArray, start: FloatArray | None = None) -> FloatArray:
        """Predictions, shape (k,) or (k, outputs), from the start that the rows were learned with."""
        found: FloatArray = self.booster.inplace_predict(matrix, base_margin=_small(start)).astype(np.float64)
        return found

    def contributions(self, matrix: SmallFloatArray, start: FloatArray | None = None) -> FloatArray:
        """Contribution of each column to a row's margin along the paths, shape (k, F + 1); the last is the start.

        On the path of a row through a tree, each split adds the change of the mean below it to its column (Saabas,
        Interpreting random forests, 2014; XGBoost's ``approx_contribs``). This takes about as long as a prediction.
        """
        import xgboost

        rows = xgboost.DMatrix(matrix, base_margin=_small(start))
        found: FloatArray = self.booster.predict(rows, pred_contribs=True, approx_contribs=True).astype(np.float64)
        return found

    def importance(self) -> pd.DataFrame:
        """Mean gain of each feature's splits, the largest first; features without a split have 0."""
        gains = self.booster.get_score(importance_type=GAIN)
        values = [gains.get(f"f{position}", 0.0) for position in range(len(self.names))]
        table = pd.DataFrame({FEATURE: list(self.names), GAIN: values})
        return table.sort_values([GAIN, FEATURE], ascending=[False, True], ignore_index=True)


def boost(examples: Examples, names: Sequence[str], learning: Learning) -> Boosted:
    """Grow trees.

    Args:
        examples: what is learned from.
        names: F column names.
        learning: objective and settings.
    """
    import xgboost

    parameters = learning.parameters()
    data = examples.data(learning.threads, int(parameters["max_bin"]))
    return Boosted(xgboost.train(parameters, data, learning.rounds), tuple(names))


def weighted_quantiles(values: FloatArray, weights: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Least values with at least the share ``level`` of the weight at or below them, shape (Q,).

    >>> weighted_quantiles(np.array([1.0, 2.0, 9.0]), np.array([1.0, 2.0, 1.0]), [0.5, 0.9])
    array([2., 9.])
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = np.searchsorted(reached, np.asarray(levels) * reached[-1])
    found: FloatArray = values[order][np.minimum(place, len(values) - 1)]
    return found


def _small(start: FloatArray | None) -> SmallFloatArray | None:
    return None if start is None else start.astype(np.float32)
