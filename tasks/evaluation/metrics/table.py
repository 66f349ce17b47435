"""The table of all metrics by model and level (docs/reference/metrics.md).

Unknown actuals are not counted. An undefined figure is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, Fold, IndexArray, Panel
from tasks.evaluation.backtest.rows import read_rows
from tasks.evaluation.metrics import stats
from tasks.evaluation.metrics.aggregation import FoldGrid, fold_grid
from tasks.evaluation.metrics.definitions import COST_METRIC, METRICS
from tasks.evaluation.metrics.sums import COUNT, Sums

OVERALL = "overall"
STORE = "store"
SERIES = "series"
LEVELS = (OVERALL, STORE, c.CATEGORY, SERIES)


def metrics_table(backtest: pd.DataFrame, scales: pd.DataFrame, quantiles: Sequence[float]) -> pd.DataFrame:
    """Every metric of every model, over all series, per store, per category and per series.

    Args:
        backtest: ``backtest.parquet`` (docs/reference/contract.md#outputs): cutoff, store_id, category, date, model,
            actual (NaN = unknown), mean and one column per quantile, in units.
        scales: result of :func:`seasonal_scales` for the same folds.
        quantiles: the set levels, rising, 0.5 among them.

    Returns:
        ``metrics.parquet``: one row per model, level and key, sorted by level (overall,
        store, category, series), model and key; store_id and category are empty (None) if they do not
        belong to the level. mase and rmsse are means over series of means over the series' folds; a
        fold of a series whose scale is zero or unknown is left out. With simulated inventory costs in the backtest,
        the table has the column inventory_cost.

    Raises:
        TrainingError: a column is missing, or a forecast is not finite.
    """
    return grid_metrics(fold_grid(read_rows(backtest, quantiles)), scales)


def grid_metrics(grid: FoldGrid, scales: pd.DataFrame) -> pd.DataFrame:
    """As :func:`metrics_table`, from rows that are already summed."""
    models, cutoffs, series = grid.shape
    absolute, squared = (np.tile(scale.ravel(), models) for scale in _scale_grids(grid, scales))
    cell = np.arange(models * cutoffs * series)
    of_series = (cell // (cutoffs * series)) * series + cell % series
    per_series = grid.sums.scaled(absolute, squared).grouped(of_series, models * series).averaged_scaled_errors()
    present: BoolArray = np.asarray(grid.present.any(axis=1))
    tables = [_level_table(grid, per_series, present, level) for level in LEVELS]
    return pd.concat(tables, ignore_index=True)


def _level_table(grid: FoldGrid, per_series: Sums, present: BoolArray, level: str) -> pd.DataFrame:
    columns = {OVERALL: [], STORE: [c.STORE_ID], c.CATEGORY: [c.CATEGORY], SERIES: [c.STORE_ID, c.CATEGORY]}[level]
    group, keys = _groups(grid.series, columns)
    models = len(grid.models)
    codes = (np.arange(models)[:, None] * len(keys) + group[None, :]).ravel()
    sums = per_series.grouped(codes, models * len(keys))
    rows = np.bincount(codes, present.ravel(), minlength=models * len(keys)) > 0
    table = pd.DataFrame({c.MODEL: np.repeat(np.array(grid.models, dtype=object), len(keys)), c.LEVEL: level})
    for column in (c.STORE_ID, c.CATEGORY):
        blank = np.full(len(keys), None, dtype=object)
        table[column] = np.tile(keys[column].to_numpy(dtype=object) if column in columns else blank, models)
    for metric in (*METRICS.values(), *([COST_METRIC] if grid.costed else [])):
        table[metric.name] = metric.compute(sums)
    table[c.N] = sums[COUNT].astype(np.int64)
    return table[rows].reset_index(drop=True)


def _groups(series: pd.DataFrame, columns: list[str]) -> tuple[IndexArray, pd.DataFrame]:
    """The group of each series at a level, and the groups' keys, sorted."""
    if not columns:
        return np.zeros(len(series), dtype=np.int64), pd.DataFrame(index=range(1))
    if len(columns) > 1:
        return np.arange(len(series)), series
    codes, keys = pd.factorize(series[columns[0]], sort=True)
    return codes, pd.DataFrame({columns[0]: keys})


def _scale_grids(grid: FoldGrid, scales: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """The scales on the grid's cutoffs and series, shape (C, S) each; NaN if there are none."""
    keys = grid.series.assign(**{c.N: np.arange(len(grid.series))})
    placed = scales.merge(keys, on=[c.STORE_ID, c.CATEGORY])
    row = grid.cutoffs.get_indexer(placed[c.CUTOFF])
    inside = row >= 0
    grids = []
    for column in (c.ABSOLUTE_SCALE, c.SQUARED_SCALE):
        values = np.full(grid.shape[1:], np.nan)
        values[row[inside], placed[c.N].to_numpy()[inside]] = placed[column].to_numpy()[inside]
        grids.append(values)
    return grids[0], grids[1]


def seasonal_scales(panel: Panel, folds: Sequence[Fold]) -> pd.DataFrame:
    """The scales of mase and rmsse: seasonal differences of each fold's training series.

    The season is 7, 52 or 12 periods; 1 where the history (from the first known period to the cutoff)
    is shorter than two seasons, or if no two periods one season apart are both known. Differences
    with an unknown side are left out.

    Args:
        panel: demand of n series, NaN = unknown.
        folds: only periods before a fold's cutoff are read.

    Returns:
        One row per fold and series: cutoff, store_id, category, absolute_scale (mean absolute difference,
        units) and squared_scale (mean squared difference); NaN where no two periods are known.
    """
    tables = []
    for fold in folds:
        known = panel.demand[:, : fold.known_periods]
        season = panel.frequency.season
        absolute, squared = stats.season_differences(known, season)
        short = (stats.history_length(known) < 2 * season) | np.isnan(absolute)
        absolute[short], squared[short] = stats.season_differences(known[short], 1)
        table = panel.series[[c.STORE_ID, c.CATEGORY]].copy()
        table.insert(0, c.CUTOFF, pd.Timestamp(fold.cutoff))
        tables.append(table.assign(**{c.ABSOLUTE_SCALE: absolute, c.SQUARED_SCALE: squared}))
    if not tables:
        return pd.DataFrame(columns=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.ABSOLUTE_SCALE, c.SQUARED_SCALE])
    return pd.concat(tables, ignore_index=True)
