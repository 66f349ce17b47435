"""Overfitting of the selection: losses on the earlier folds and on the last fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray
from tasks.evaluation.backtest.rows import BacktestRows, read_rows
from tasks.evaluation.metrics.aggregation import FoldGrid, fold_grid
from tasks.evaluation.ranking import SelectionRule, loss_base, loss_parts, loss_rows
from tasks.evaluation.selection.champions import select_models
from tasks.forecasting.combine.ensemble import NAME as ENSEMBLE

CHAMPIONS = "champions"


def overfit_gap(backtest: pd.DataFrame, quantiles: Sequence[float], rule: SelectionRule | None = None) -> pd.DataFrame:
    """Loss on the earlier folds, on the last fold, and the gap between the two.

    The champions of this table are not those of the run: they are selected from data before the last cutoff, so that
    the last fold is out of sample. If their gap is far above that of the single models, the selection overfits. Folds
    may overlap: only periods before the last cutoff are read from the earlier folds, and only the same steps ahead
    from the last fold.

    Args:
        backtest: the contract's ``backtest.parquet``.
        quantiles: the set levels, rising.
        rule: how champions are selected, and the loss of the table; the defaults if None.

    Returns:
        One row per model, by name, then one for the champions: model, earlier_folds and last_fold (the
        loss pooled over the rows, as a fraction of the sales, or a cost per series and period), gap = last_fold /
        earlier_folds - 1, and n, rows counted on the last fold. NaN without a second
        fold, sales or a counted cost. Each model is judged on its own rows.

    Raises:
        TrainingError: a column is missing or a forecast is not finite.
    """
    return gap_of(read_rows(backtest, quantiles), rule or SelectionRule())


def gap_of(rows: BacktestRows, rule: SelectionRule) -> pd.DataFrame:
    """As :func:`overfit_gap`, from rows that are already read."""
    earlier, comparable = _comparable_rows(rows)
    grid = fold_grid(rows.where(earlier | comparable))
    figures = [_pooled(grid, rule.loss, grid.present[[model]], [model]) for model in range(len(grid.models))]
    names = list(grid.models)
    if len(grid.cutoffs) > 1:
        chosen = _selected_earlier(rows.where(earlier), grid, rule)
        figures.append(_pooled(grid, rule.loss, chosen, range(len(grid.models))))
        names.append(CHAMPIONS)
    table = pd.DataFrame(figures, columns=[c.EARLIER_FOLDS, c.LAST_FOLD, c.N]).astype({c.N: np.int64})
    table.insert(0, c.MODEL, np.array(names, dtype=object))
    table.insert(3, c.GAP, table[c.LAST_FOLD] / table[c.EARLIER_FOLDS].where(table[c.EARLIER_FOLDS] > 0) - 1.0)
    return table


def single_models_win(gap: pd.DataFrame, rule: SelectionRule) -> bool:
    """Whether single models replace the ensemble: their advantage must hold on data that did not select them.

    The champions selected on the earlier folds have less loss on the last fold than the ensemble, by more than
    ``rule.tolerance``. Without an ensemble there is nothing to replace; without a second fold nothing is known, and
    the ensemble stays.

    Args:
        gap: table of :func:`gap_of`.
        rule: the margin.
    """
    last = dict(zip(gap[c.MODEL], gap[c.LAST_FOLD], strict=True))
    if ENSEMBLE not in last:
        return True
    return bool(last.get(CHAMPIONS, np.inf) < (1.0 - rule.tolerance) * last[ENSEMBLE])


def _comparable_rows(rows: BacktestRows) -> tuple[BoolArray, BoolArray]:
    """Rows of earlier folds known at the last cutoff, and rows of the last fold as many steps ahead."""
    last = len(rows.cutoffs) - 1
    start = np.asarray(rows.periods.searchsorted(rows.cutoffs))
    step = rows.period - start[rows.cutoff]
    newest = rows.cutoff == last
    earlier = ~newest & (rows.period < start[last]) if last > 0 else np.zeros(len(step), dtype=bool)
    reach = int(step[earlier].max()) if earlier.any() else len(rows.periods)
    return earlier, newest & (step <= reach)


def _selected_earlier(earlier: BacktestRows, grid: FoldGrid, rule: SelectionRule) -> BoolArray:
    """Cells of the models that the rule selects from the earlier rows, shape (M, C, S)."""
    model, series = np.nonzero(grid.present[:, -1])
    live = grid.series.iloc[series].assign(**{c.MODEL: np.array(grid.models, dtype=object)[model]})
    choice = select_models(earlier, live, rule)
    chosen = np.zeros(grid.shape, dtype=bool)
    chosen[pd.Index(grid.models).get_indexer(choice.model), :, np.unique(series)] = True
    return chosen


def _pooled(grid: FoldGrid, loss: str, cells: BoolArray, models: Sequence[int]) -> tuple[float, float, float]:
    """Loss of the marked cells on the earlier folds and on the last, and rows counted on the last."""

    def per_fold(values: FloatArray) -> FloatArray:
        return np.asarray((grid.cells(values)[list(models)] * cells).sum(axis=(0, 2)))

    error = per_fold(np.mean(loss_parts(grid.sums, loss), axis=0))
    base = per_fold(loss_base(grid.sums, loss))
    counted = per_fold(loss_rows(grid.sums, loss))
    return _share(error[:-1], base[:-1]), _share(error[-1:], base[-1:]), float(counted[-1:].sum())


def _share(error: FloatArray, base: FloatArray) -> float:
    return float(error.sum() / base.sum()) if base.sum() > 0 else float("nan")
