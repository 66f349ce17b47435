"""Weights of the ensemble's members, learnt on the folds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas.panel import BoolArray
from tasks.evaluation.backtest.paired_losses import handicap_of
from tasks.evaluation.metrics.aggregation import FoldGrid
from tasks.evaluation.selection.losses import loss_parts, loss_rows

# A model that loses a tenth more than the best weighs 0.47 of it, one that loses half more 0.04.
SHARPNESS = 8.0
# So much of it for every horizon that the folds cover: one alone is as much luck as judgement. On departments, with one
# fold of half a year, the model that led on it had all the weight, and lost 19 % more than the next in the half year
# that followed.
SHARPNESS_PER_WINDOW = 4.0
# Below this share of the largest weight, a sixth more lost than by the best, a model adds more error than variety: a
# moving average with a fifth of the weight cost 24 % on sporting goods after Christmas.
SMALLEST_SHARE = 0.3


def ensemble_weights(
    grid: FoldGrid, loss: str, live: pd.Timestamp, windows: float
) -> dict[pd.Timestamp, dict[str, float]]:
    """Weights by cutoff: of each fold those that the other folds teach, of the live forecast those of all.

    A model's loss is held against the widest model's on the cells (fold, series) that both serve alike, and
    its weight is that ratio to the power -8, or -4 times the windows where they are fewer than two; weights below
    0.3 of the largest are dropped. The loss of floors, Croston and TSB counts a tenth more. Example: losses of 100,
    110 and 200 on the same cells give 1, 0.47 and nothing, in a single window 1, 0.68 and nothing. A single fold is
    judged with the weights that it teaches itself: one number per model, and those of the forecast. Without any
    known actual all models weigh alike.

    Args:
        grid: the backtest's sums.
        loss: what models are ranked by, see :data:`tasks.evaluation.backtest.paired_losses.LOSSES`.
        live: cutoff of the live forecast.
        windows: horizons that the folds cover, at least 1 (:func:`tasks.evaluation.backtest.split.windows_covered`).
    """
    power = min(SHARPNESS, SHARPNESS_PER_WINDOW * windows)
    folds = np.arange(len(grid.cutoffs))
    every = np.ones(len(folds), dtype=bool)
    others = [folds != at if len(folds) > 1 else every for at in folds]
    found = {cutoff: _weights(grid, loss, used, power) for cutoff, used in zip(grid.cutoffs, others, strict=True)}
    return found | {live: _weights(grid, loss, every, power)}


def _weights(grid: FoldGrid, loss: str, used: BoolArray, power: float) -> dict[str, float]:
    lost = grid.cells(np.mean(loss_parts(grid.sums, loss), axis=0))[:, used]
    counted = grid.cells(loss_rows(grid.sums, loss))[:, used]
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
            ratios[model] = handicap_of(model) * float(lost[index][same].sum()) / against
    best = max(min(ratios.values(), default=1.0), np.finfo(float).tiny)
    weights = {model: (max(ratio, best) / best) ** -power for model, ratio in ratios.items()}
    return {model: weight for model, weight in weights.items() if weight >= SMALLEST_SHARE}
