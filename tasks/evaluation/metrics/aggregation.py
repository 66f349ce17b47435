"""Sums of row statistics: from rows to cells (model, fold, series), from cells to any level.

Rows are read once. Every level above is a reduction of the cells' sums, so a table over stores,
categories and series costs no second pass over millions of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.evaluation.backtest.rows import BacktestRows
from tasks.evaluation.metrics import stats


@dataclass(frozen=True)
class Sums:
    """Sums over the counted rows of G groups; every field has shape (G,).

    Attributes:
        n: rows counted (the actual is known).
        actual: units sold.
        absolute_actual: |actual|.
        deviation: squared deviations of the actuals from the group's own mean (the SST of R2).
        absolute_error: |median - actual|.
        percentage_error: |median - actual| / max(|actual|, 1e-6).
        squared_error: (mean - actual)^2.
        signed_error: mean - actual.
        quantile_score: mean over the set levels of twice the pinball loss.
        covered: rows inside the outermost symmetric pair of quantiles; NaN where no pair is set.
        excellent, good, acceptable, poor: rows in each acceptance band of the median.
        cost: simulated inventory cost, currency; 0 where none was simulated.
        charged: rows whose simulated cost is counted.
        scaled_n, scaled_absolute, scaled_root: see :meth:`scaled`; zero before.
    """

    n: FloatArray
    actual: FloatArray
    absolute_actual: FloatArray
    deviation: FloatArray
    absolute_error: FloatArray
    percentage_error: FloatArray
    squared_error: FloatArray
    signed_error: FloatArray
    quantile_score: FloatArray
    covered: FloatArray
    excellent: FloatArray
    good: FloatArray
    acceptable: FloatArray
    poor: FloatArray
    cost: FloatArray
    charged: FloatArray
    scaled_n: FloatArray
    scaled_absolute: FloatArray
    scaled_root: FloatArray

    def grouped(self, codes: IndexArray, groups: int) -> Sums:
        """Sums of coarser groups.

        Args:
            codes: shape (G,), the coarser group of each group.
            groups: number of coarser groups; one without members has zeros.
        """
        total = Sums(*(_summed(codes, getattr(self, field.name), groups) for field in fields(self)))
        # Deviations within the parts and of the parts' means: exact, and stable where squares of sums are not.
        shift = _ratio(self.actual, self.n) - _ratio(total.actual, total.n)[codes]
        between = np.where(self.n > 0, self.n * np.square(shift), 0.0)
        return replace(total, deviation=total.deviation + _summed(codes, between, groups))

    def scaled(self, absolute_scale: FloatArray, squared_scale: FloatArray) -> Sums:
        """With the scaled errors of each group, where its scale is known and above zero.

        Args:
            absolute_scale: shape (G,), mean absolute seasonal difference of the training series.
            squared_scale: shape (G,), mean squared seasonal difference.
        """
        usable = (self.n > 0) & (absolute_scale > 0) & (squared_scale > 0)
        absolute = np.where(usable, _ratio(_ratio(self.absolute_error, self.n), absolute_scale), 0.0)
        squared = np.where(usable, _ratio(_ratio(self.squared_error, self.n), squared_scale), 0.0)
        return replace(self, scaled_n=usable.astype(float), scaled_absolute=absolute, scaled_root=np.sqrt(squared))

    def one_vote_each(self) -> Sums:
        """With scaled errors averaged within each group, so that each group counts once in a mean above it."""
        votes = (self.scaled_n > 0).astype(float)
        absolute = np.where(votes > 0, _ratio(self.scaled_absolute, self.scaled_n), 0.0)
        root = np.where(votes > 0, _ratio(self.scaled_root, self.scaled_n), 0.0)
        return replace(self, scaled_n=votes, scaled_absolute=absolute, scaled_root=root)


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
        """A field of the sums as an array of shape (M, C, S)."""
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
    parts = [_row_sums(rows, np.zeros(0, dtype=np.int64))]
    for model in range(len(rows.models)):
        counted = np.flatnonzero(known & (rows.model == model))
        parts.append(_row_sums(rows, counted).grouped(cell[counted] - model * block, block))
    return Sums(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Sums)))


def _row_sums(rows: BacktestRows, counted: IndexArray) -> Sums:
    """Every counted row as a group of its own."""
    actual, mean, median, spread = (values[counted] for values in (rows.actual, rows.mean, rows.median, rows.quantiles))
    bands = stats.acceptance_band(actual, median)
    pair = stats.outer_pair(rows.levels)
    zeros = np.zeros(len(actual))
    cost = zeros + np.nan if rows.cost is None else rows.cost[counted]
    return Sums(
        n=np.ones(len(actual)),
        actual=actual,
        absolute_actual=np.abs(actual),
        deviation=zeros,
        absolute_error=stats.absolute_error(actual, median),
        percentage_error=stats.absolute_percentage_error(actual, median),
        squared_error=stats.squared_error(actual, mean),
        signed_error=mean - actual,
        quantile_score=stats.quantile_score(actual, spread, rows.levels),
        covered=zeros + np.nan if pair is None else stats.inside(actual, *spread[:, pair].T).astype(float),
        excellent=(bands == stats.Band.EXCELLENT).astype(float),
        good=(bands == stats.Band.GOOD).astype(float),
        acceptable=(bands == stats.Band.ACCEPTABLE).astype(float),
        poor=(bands == stats.Band.POOR).astype(float),
        cost=np.nan_to_num(cost),
        charged=np.isfinite(cost).astype(float),
        scaled_n=zeros,
        scaled_absolute=zeros,
        scaled_root=zeros,
    )


def _summed(codes: IndexArray, values: FloatArray, groups: int) -> FloatArray:
    return np.asarray(np.bincount(codes, values, minlength=groups), dtype=np.float64)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Element by element, NaN where the denominator is zero."""
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator != 0)
