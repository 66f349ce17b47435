"""Metrics of contract, section 4, and domain, section 3.4: what each is, and the table of them.

A metric is a name, a few facts, and a formula over :class:`~tasks.evaluation.metrics.aggregation.Sums`.
mae, wape, mape, mase and the acceptance bands judge the median, rmse, r2, bias and rmsse the mean,
wql and coverage the quantiles. Unknown actuals are not counted. An undefined figure is NaN; wape, wql
and bias of actuals that are all zero are 0 where the forecast was zero too, otherwise NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, Fold, IndexArray, Panel
from tasks.evaluation.backtest.rows import read_rows
from tasks.evaluation.metrics import stats
from tasks.evaluation.metrics.aggregation import FoldGrid, Sums, fold_grid

OVERALL = "overall"
STORE = "store"
SERIES = "series"
LEVELS = (OVERALL, STORE, c.CATEGORY, SERIES)


@dataclass(frozen=True)
class Metric:
    """One metric and its facts.

    Attributes:
        name: the column of ``metrics.parquet``.
        compute: sums of G groups to figures of shape (G,).
        lower_is_better: None where neither direction is better (bias and coverage have a target).
        needs_quantiles: reads more than one quantile.
        of_median: judges the median (what planners are shown), otherwise the mean or the quantiles.
        evaluate_only: reported and watched, never ranked by.
    """

    name: str
    compute: Callable[[Sums], FloatArray]
    lower_is_better: bool | None = True
    needs_quantiles: bool = False
    of_median: bool = False
    evaluate_only: bool = False


def _per(total: FloatArray, count: FloatArray) -> FloatArray:
    """Total per count; NaN where nothing is counted."""
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def _per_unit(total: FloatArray, sums: Sums) -> FloatArray:
    """Total per unit sold; where nothing was sold 0 if the total is 0, otherwise NaN."""
    share = _per(total, sums.absolute_actual)
    share[(sums.n > 0) & (sums.absolute_actual == 0) & (total == 0)] = 0.0
    return share


def _r2(sums: Sums) -> FloatArray:
    """1 - SSE / SST; NaN where the actuals do not vary."""
    return 1.0 - _per(sums.squared_error, sums.deviation)


_METRICS = (
    Metric(c.MAE, lambda s: _per(s.absolute_error, s.n), of_median=True),
    Metric(c.RMSE, lambda s: np.sqrt(_per(s.squared_error, s.n))),
    Metric(c.MAPE, lambda s: _per(s.percentage_error, s.n), of_median=True, evaluate_only=True),
    Metric(c.WAPE, lambda s: _per_unit(s.absolute_error, s), of_median=True),
    Metric(c.MASE, lambda s: _per(s.scaled_absolute, s.scaled_n), of_median=True),
    Metric(c.RMSSE, lambda s: _per(s.scaled_root, s.scaled_n)),
    Metric(c.R2, _r2, lower_is_better=False),
    Metric(c.BIAS, lambda s: _per_unit(s.signed_error, s), lower_is_better=None, evaluate_only=True),
    Metric(c.WQL, lambda s: _per_unit(s.quantile_score, s), needs_quantiles=True),
    Metric(
        c.COVERAGE,
        lambda s: _per(s.covered, s.n),
        lower_is_better=None,
        needs_quantiles=True,
        evaluate_only=True,
    ),
    Metric(c.SHARE_EXCELLENT, lambda s: _per(s.excellent, s.n), lower_is_better=False, of_median=True),
    Metric(c.SHARE_GOOD, lambda s: _per(s.good, s.n), None, of_median=True, evaluate_only=True),
    Metric(c.SHARE_ACCEPTABLE, lambda s: _per(s.acceptable, s.n), None, of_median=True, evaluate_only=True),
    Metric(c.SHARE_POOR, lambda s: _per(s.poor, s.n), of_median=True),
)
# In the order of the columns of metrics.parquet.
METRICS = {metric.name: metric for metric in _METRICS}
# Behind them where inventory costs were simulated: currency per series and period.
COST_METRIC = Metric(c.INVENTORY_COST, lambda s: _per(s.cost, s.charged), needs_quantiles=True)


def metrics_table(backtest: pd.DataFrame, scales: pd.DataFrame, quantiles: Sequence[float]) -> pd.DataFrame:
    """Every metric of every model, over all series, per store, per category and per series.

    Args:
        backtest: the contract's ``backtest.parquet``: cutoff, store_id, category, date, model, actual
            (NaN = unknown), mean and one column per quantile, in units.
        scales: what :func:`seasonal_scales` gives for the same folds.
        quantiles: the set levels, rising, 0.5 among them.

    Returns:
        The contract's ``metrics.parquet``: one row per model, level and key, sorted by level (overall,
        store, category, series), model and key; store_id and category are empty (None) where they do not
        belong to the level. mase and rmsse are means over series of means over the series' folds; a
        fold of a series whose scale is zero or unknown is left out of them. coverage is the share of
        actuals within the outermost symmetric pair of set quantiles (0.1 to 0.9), edges included. Where the
        backtest has simulated inventory costs, so has the table: inventory_cost, per series and counted period.

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
    per_series = grid.sums.scaled(absolute, squared).grouped(of_series, models * series).one_vote_each()
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
    table[c.N] = sums.n.astype(np.int64)
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
    """The scales on the grid's cutoffs and series, shape (C, S) each; NaN where there are none."""
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
    """What mase and rmsse divide by: seasonal differences of each fold's training series.

    The season is 7, 52 or 12 periods; 1 where the history (from the first known period to the cutoff)
    is shorter than two seasons, or where no two periods one season apart are both known. Differences
    with an unknown side are left out.

    Args:
        panel: demand of n series, NaN = unknown.
        folds: only periods before a fold's cutoff are read.

    Returns:
        One row per fold and series: cutoff, store_id, category, absolute_scale (mean absolute difference,
        units) and squared_scale (mean squared difference); NaN where nothing can be said.
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
