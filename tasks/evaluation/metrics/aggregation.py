"""Sums of a backtest by cell (model, fold, series).

Rows are read once. Each level above sums the cells, so the table of all levels needs no second pass over
millions of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.evaluation.backtest.rows import BacktestRows
from tasks.evaluation.metrics.definitions import STATISTICS
from tasks.evaluation.metrics.sums import Sums, joined, row_sums


@dataclass(frozen=True)
class FoldGrid:
    """A backtest as sums on a dense grid of M models, C cutoffs and S series.

    Attributes:
        models: M names, sorted.
        cutoffs: C labels, rising.
        series: S rows, store_id and category, sorted.
        sums: over the cells, shape (M * C * S,) in C order.
        present: shape (M, C, S), whether the model has rows there, known actual or not.
        costed: whether inventory costs were simulated.
    """

    models: tuple[str, ...]
    cutoffs: pd.DatetimeIndex
    series: pd.DataFrame
    sums: Sums
    present: BoolArray
    costed: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(M, C, S)."""
        return len(self.models), len(self.cutoffs), len(self.series)

    def cells(self, values: FloatArray) -> FloatArray:
        """Values of the cells, shape (M * C * S,), as an array of shape (M, C, S)."""
        return values.reshape(self.shape)


def fold_grid(rows: BacktestRows) -> FoldGrid:
    """Sum a backtest's rows into cells of (model, cutoff, series)."""
    shape = (len(rows.models), len(rows.cutoffs), len(rows.series))
    size = int(np.prod(shape))
    cell = (rows.model * shape[1] + rows.cutoff) * shape[2] + rows.at
    return FoldGrid(
        models=rows.models,
        cutoffs=rows.cutoffs,
        series=rows.series,
        sums=_cell_sums(rows, cell, size),
        present=np.bincount(cell, minlength=size).reshape(shape) > 0,
        costed=rows.cost is not None,
    )


def _cell_sums(rows: BacktestRows, cell: IndexArray, size: int) -> Sums:
    """Model by model: the statistics of all rows at once would take several times their memory."""
    known = rows.known
    block = size // max(len(rows.models), 1)
    parts = [row_sums(rows.values(np.zeros(0, dtype=np.int64)), STATISTICS)]
    for model in range(len(rows.models)):
        counted = np.flatnonzero(known & (rows.model == model))
        parts.append(row_sums(rows.values(counted), STATISTICS).grouped(cell[counted] - model * block, block))
    return joined(parts)
