"""Weights of the ensemble's members, from their losses on the folds."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas.panel import BoolArray
from tasks.evaluation.metrics.aggregation import FoldGrid
from tasks.evaluation.ranking import SelectionRule, loss_parts, loss_rows
from tasks.forecasting.combine.ensemble import FEWEST_MEMBERS


@dataclass(frozen=True)
class WeightRule:
    """The rule that turns losses into weights (docs/decisions/0003-champions-by-shrunk-loss.md).

    Attributes:
        sharpness: the weight of a model is (its loss / the lowest loss) to the power -sharpness. With 8, a model with
            a loss 10 % above the lowest has 0.47 of the largest weight, one 50 % above has 0.04.
        sharpness_per_horizon: upper limit on the sharpness for every horizon that the folds cover: a single horizon
            says little about which model is best.
        smallest_weight: models with less than this fraction of the largest weight are dropped. If only one model is
            left, the next model that is not covariate-free gets this fraction of the weight: the quantiles of one
            model are too narrow, and those of a mixture are wider.
    """

    sharpness: float = 8.0
    sharpness_per_horizon: float = 4.0
    smallest_weight: float = 0.3

    def power(self, horizons: float) -> float:
        """The sharpness with folds that cover a number of horizons.

        >>> WeightRule().power(1.0), WeightRule().power(1.5), WeightRule().power(5.0)
        (4.0, 6.0, 8.0)
        """
        return min(self.sharpness, self.sharpness_per_horizon * horizons)


def ensemble_weights(
    grid: FoldGrid, selection: SelectionRule, live: pd.Timestamp, horizons: float, rule: WeightRule | None = None
) -> dict[pd.Timestamp, dict[str, float]]:
    """Weights by cutoff: for each fold from the other folds, for the live forecast from all folds.

    The loss of a model is divided by that of a reference, the model with most rows, on the cells (fold, series) that
    both forecast alike. The weight follows from this ratio (:class:`WeightRule`); the ratio of covariate-free
    models is multiplied by the penalty of the selection rule first. Example: losses of 100, 110 and 200 on the same
    cells give the weights 1, 0.47 and 0, and 1, 0.68 and 0 if the folds cover one horizon; losses of 100, 150 and 200
    give 1, 0.3 and 0. A single fold is evaluated with the weights of the live forecast. Without any known actual, all
    models have the same weight.

    Args:
        grid: the backtest's sums.
        selection: loss and penalty.
        live: cutoff of the live forecast.
        horizons: number of horizons that the folds cover, at least 1
            (:func:`tasks.evaluation.backtest.split.horizons_covered`).
        rule: turns losses into weights; the defaults if None.
    """
    rule = rule or WeightRule()
    folds = np.arange(len(grid.cutoffs))
    every = np.ones(len(folds), dtype=bool)
    others = [folds != at if len(folds) > 1 else every for at in folds]
    ratios = {cutoff: _ratios(grid, selection, used) for cutoff, used in zip(grid.cutoffs, others, strict=True)}
    ratios[live] = _ratios(grid, selection, every)
    power = rule.power(horizons)
    return {
        cutoff: _weights(found, power, rule.smallest_weight, selection.covariate_free)
        for cutoff, found in ratios.items()
    }


def _ratios(grid: FoldGrid, selection: SelectionRule, used: BoolArray) -> dict[str, float]:
    """Loss of each model over that of the reference, on some folds; 1 for every model without a known actual."""
    lost = grid.cells(np.mean(loss_parts(grid.sums, selection.loss), axis=0))[:, used]
    counted = grid.cells(loss_rows(grid.sums, selection.loss))[:, used]
    if counted.sum() == 0:
        return dict.fromkeys(grid.models, 1.0)
    rows = counted.sum(axis=(1, 2))
    widest = np.flatnonzero(rows == rows.max())
    reference = int(widest[np.argmin(lost[widest].sum(axis=(1, 2)))])
    ratios = {}
    for index, model in enumerate(grid.models):
        same = (counted[index] == counted[reference]) & (counted[index] > 0)
        against = float(lost[reference][same].sum())
        if against > 0:
            ratios[model] = selection.penalty_of(model) * float(lost[index][same].sum()) / against
    return ratios


def _weights(ratios: dict[str, float], power: float, smallest: float, covariate_free: Set[str]) -> dict[str, float]:
    best = max(min(ratios.values(), default=1.0), np.finfo(float).tiny)
    weights = {model: (max(ratio, best) / best) ** -power for model, ratio in ratios.items()}
    members = {model: weight for model, weight in weights.items() if weight >= smallest}
    others = sorted(set(weights) - set(members) - covariate_free, key=lambda model: (ratios[model], model))
    missing = max(FEWEST_MEMBERS - len(members), 0)
    return members | dict.fromkeys(others[:missing], smallest)
