"""Boosted trees: one thin, deterministic door to XGBoost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas.panel import FloatArray, SmallFloatArray

if TYPE_CHECKING:
    import xgboost

FEATURE = "feature"
GAIN = "gain"
# Histogram bins per feature: half of XGBoost's default, hence twice as fast, without measurable loss here.
BINS = 128


@dataclass(frozen=True)
class Learning:
    """How trees are grown; names as in XGBoost.

    Attributes:
        rounds: boosting rounds.
        threads: processor threads; they change no result.
        levels: of the quantile objective.
        patience: rounds without gain on the held-out rows after which to stop; None = never.
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
    patience: int | None = None

    def parameters(self) -> dict[str, object]:
        """As XGBoost takes them."""
        chosen: dict[str, object] = {
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
        return chosen | ({"quantile_alpha": list(self.levels)} if self.levels else {})


@dataclass(frozen=True)
class Examples:
    """Rows with their truth.

    Attributes:
        matrix: shape (k, F), NaN = unknown.
        label: shape (k,), finite.
        weight: shape (k,), at least 0, not all 0; scaled to mean 1.
    """

    matrix: SmallFloatArray
    label: FloatArray
    weight: FloatArray

    def data(
        self, learning: Learning, start: FloatArray | None, like: xgboost.QuantileDMatrix | None = None
    ) -> xgboost.QuantileDMatrix:
        """As XGBoost takes them; held-out rows in the bins of those that are learnt from."""
        import xgboost

        return xgboost.QuantileDMatrix(
            self.matrix,
            label=self.label,
            weight=self.weight / self.weight.mean(),
            base_margin=_repeated(start, len(self.label)),
            max_bin=BINS,
            nthread=learning.threads,
            ref=like,
        )


@dataclass(frozen=True)
class Boosted:
    """A fitted booster, the columns that it reads, and where each output starts (None: XGBoost's own start)."""

    booster: xgboost.Booster
    names: tuple[str, ...]
    start: FloatArray | None = None

    @property
    def rounds(self) -> int:
        """Boosting rounds."""
        return int(self.booster.num_boosted_rounds())

    def predict(self, matrix: SmallFloatArray) -> FloatArray:
        """Predictions, shape (k,) or (k, outputs)."""
        found: FloatArray = self.booster.inplace_predict(matrix, base_margin=_repeated(self.start, len(matrix))).astype(
            np.float64
        )
        return found

    def importance(self) -> pd.DataFrame:
        """Mean gain of each feature's splits, the largest first; features without a split have 0."""
        gains = self.booster.get_score(importance_type=GAIN)
        values = [gains.get(f"f{position}", 0.0) for position in range(len(self.names))]
        table = pd.DataFrame({FEATURE: list(self.names), GAIN: values})
        return table.sort_values([GAIN, FEATURE], ascending=[False, True], ignore_index=True)


def boost(examples: Examples, names: Sequence[str], learning: Learning, held_out: Examples | None = None) -> Boosted:
    """Grow trees.

    Args:
        examples: what is learnt from.
        names: F column names.
        learning: objective and settings.
        held_out: rows on which to stop early where ``learning.patience`` is set.

    Returns:
        The booster, cut to its best round where it was stopped early.
    """
    import xgboost

    start = weighted_quantiles(examples.label, examples.weight, learning.levels) if learning.levels else None
    data = examples.data(learning, start)
    if held_out is None or learning.patience is None:
        return Boosted(xgboost.train(learning.parameters(), data, learning.rounds), tuple(names), start)
    booster = xgboost.train(
        learning.parameters(),
        data,
        learning.rounds,
        evals=[(held_out.data(learning, start, data), "held_out")],
        early_stopping_rounds=learning.patience,
        verbose_eval=False,
    )
    return Boosted(booster[: booster.best_iteration + 1], tuple(names), start)


def weighted_quantiles(values: FloatArray, weights: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Least values with at least the share ``level`` of the weight at or below them, shape (Q,).

    Without such a start every quantile would set out from the same value, and few rounds would leave
    them there.

    >>> weighted_quantiles(np.array([1.0, 2.0, 9.0]), np.array([1.0, 2.0, 1.0]), [0.5, 0.9])
    array([2., 9.])
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = np.searchsorted(reached, np.asarray(levels) * reached[-1])
    found: FloatArray = values[order][np.minimum(place, len(values) - 1)]
    return found


def _repeated(start: FloatArray | None, rows: int) -> SmallFloatArray | None:
    return None if start is None else np.tile(start.astype(np.float32), (rows, 1))
