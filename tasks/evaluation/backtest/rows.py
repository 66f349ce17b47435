"""Backtest rows as integer codes: read and checked once, summed in many ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import TrainingError, first_few
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.evaluation.metrics.sums import RowValues


@dataclass(frozen=True)
class BacktestRows:
    """N backtest rows.

    Attributes:
        models, cutoffs, series, periods: the different values, sorted; series has store_id and category.
        model, cutoff, at, period: shape (N,), codes into models, cutoffs, series and periods.
        actual: shape (N,), units, NaN = unknown.
        mean, median: shape (N,), units.
        quantiles: shape (N, Q), units.
        levels: the Q set levels.
        cost: shape (N,), simulated inventory cost in currency, NaN where it is not counted; None if none was
            simulated (see :mod:`tasks.evaluation.backtest.inventory_cost`).
    """

    models: tuple[str, ...]
    cutoffs: pd.DatetimeIndex
    series: pd.DataFrame
    periods: pd.DatetimeIndex
    model: IndexArray
    cutoff: IndexArray
    at: IndexArray
    period: IndexArray
    actual: FloatArray
    mean: FloatArray
    median: FloatArray
    quantiles: FloatArray
    levels: tuple[float, ...]
    cost: FloatArray | None = None

    @property
    def known(self) -> BoolArray:
        """Rows that count: the actual is known."""
        return np.isfinite(self.actual)

    @property
    def costs(self) -> FloatArray:
        """The simulated inventory cost of each row.

        Raises:
            TrainingError: none was simulated.
        """
        if self.cost is None:
            raise TrainingError(
                f"backtest: missing column {c.INVENTORY_COST}, which selection.loss ranks models by. "
                "Simulate it first (tasks.evaluation.backtest.inventory_cost), or rank by another loss"
            )
        return self.cost

    def values(self, picked: BoolArray | IndexArray) -> RowValues:
        """Actuals, forecasts and costs of some rows: a mask of shape (N,) or positions; their actuals must be known."""
        return RowValues(
            actual=self.actual[picked],
            mean=self.mean[picked],
            median=self.median[picked],
            quantiles=self.quantiles[picked],
            levels=self.levels,
            cost=np.full(len(self.actual), np.nan)[picked] if self.cost is None else self.cost[picked],
        )

    def where(self, rows: BoolArray) -> BacktestRows:
        """Only some rows; models, cutoffs, series and periods keep their codes."""
        return replace(
            self,
            model=self.model[rows],
            cutoff=self.cutoff[rows],
            at=self.at[rows],
            period=self.period[rows],
            actual=self.actual[rows],
            mean=self.mean[rows],
            median=self.median[rows],
            quantiles=self.quantiles[rows],
            cost=None if self.cost is None else self.cost[rows],
        )


def read_rows(backtest: pd.DataFrame, quantiles: Sequence[float]) -> BacktestRows:
    """Code the rows of a backtest.

    Args:
        backtest: one row per cutoff, store_id, category, date and model, with actual (NaN = unknown),
            mean and one column per quantile, all in units; inventory_cost if it was simulated; in any order.
        quantiles: the set levels, rising, 0.5 among them.

    Raises:
        TrainingError: a column is missing, or a forecast is not finite.
    """
    spread = c.quantile_columns(list(quantiles))
    check_forecasts(backtest, quantiles, [c.CUTOFF, c.DATE, c.ACTUAL])
    model, models = pd.factorize(backtest[c.MODEL], sort=True)
    cutoff, cutoffs = pd.factorize(backtest[c.CUTOFF], sort=True)
    period, periods = pd.factorize(backtest[c.DATE], sort=True)
    at, series = series_codes(backtest)
    return BacktestRows(
        models=tuple(str(name) for name in models),
        cutoffs=pd.DatetimeIndex(cutoffs),
        series=series,
        periods=pd.DatetimeIndex(periods),
        model=model,
        cutoff=cutoff,
        at=at,
        period=period,
        actual=_numbers(backtest, c.ACTUAL),
        mean=_numbers(backtest, c.MEAN),
        median=_numbers(backtest, c.MEDIAN),
        quantiles=np.column_stack([_numbers(backtest, column) for column in spread]),
        levels=tuple(quantiles),
        cost=_numbers(backtest, c.INVENTORY_COST) if c.INVENTORY_COST in backtest.columns else None,
    )


def series_codes(frame: pd.DataFrame) -> tuple[IndexArray, pd.DataFrame]:
    """The series of each row as a code into the sorted table of different (store_id, category)."""
    store, stores = pd.factorize(frame[c.STORE_ID], sort=True)
    category, categories = pd.factorize(frame[c.CATEGORY], sort=True)
    width = max(len(categories), 1)
    code, pairs = pd.factorize(store.astype(np.int64) * width + category, sort=True)
    keys = {
        c.STORE_ID: np.asarray(stores, dtype=object)[pairs // width],
        c.CATEGORY: np.asarray(categories, dtype=object)[pairs % width],
    }
    return code.astype(np.int64), pd.DataFrame(keys)


def series_positions(known: pd.DataFrame, series: pd.DataFrame) -> IndexArray:
    """Position of each series in a table of different series, shape (N,); -1 where it is not in it.

    Args:
        known: store_id and category of the different series.
        series: N rows with store_id and category.

    >>> both = pd.DataFrame({c.STORE_ID: ["1", "2"], c.CATEGORY: ["shoes", "boots"]})
    >>> series_positions(both, both.iloc[[1]]).tolist()
    [1]
    """
    keys = [c.STORE_ID, c.CATEGORY]
    place = pd.MultiIndex.from_frame(known[keys]).get_indexer(pd.MultiIndex.from_frame(series[keys]))
    return np.asarray(place, dtype=np.int64)


def check_forecasts(frame: pd.DataFrame, quantiles: Sequence[float], also: Sequence[str] = ()) -> None:
    """Raise if forecast rows do not have a column or have a value that is not finite.

    One such value would make the metrics of every level that contains it unknown.

    Raises:
        TrainingError: names the missing columns, or the models and series of the rows.
    """
    values = [c.MEAN, *c.quantile_columns(list(quantiles))]
    needed = [c.STORE_ID, c.CATEGORY, c.MODEL, *also, *values]
    missing = sorted(set(needed) - set(frame.columns))
    if missing:
        raise TrainingError(f"forecasts: missing columns {first_few(missing)}; expected {', '.join(needed)}")
    bad = ~np.logical_and.reduce([np.isfinite(_numbers(frame, column)) for column in values])
    if bad.any():
        keys = [c.MODEL, c.STORE_ID, c.CATEGORY]
        where = frame.loc[bad, keys].drop_duplicates().sort_values(keys).agg(" / ".join, axis=1)
        raise TrainingError(
            f"forecasts: {int(bad.sum())} rows hold a value that is not finite in {', '.join(values)}; "
            f"model / store / category: {first_few(where.tolist())}. "
            "A model that cannot forecast a series must return the forecast of its fallback"
        )


def _numbers(frame: pd.DataFrame, column: str) -> FloatArray:
    return np.asarray(frame[column].to_numpy(dtype=np.float64))
