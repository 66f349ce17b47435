"""Simulated inventory cost of every fold forecast, by which models can be ranked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray
from schemas.settings.slices import CompareSlice
from tasks.evaluation.backtest.rows import BacktestRows, read_rows, series_positions
from tasks.inventory.model.demand_paths import SERIES_AT_ONCE, correlation_of, draw_paths
from tasks.inventory.model.weekly_problem import series_prices, with_text_ids
from tasks.inventory.replay.forecast_cost import OrderRule, forecast_costs

NO_ROW = -1


def with_inventory_cost(
    backtest: pd.DataFrame, settings: CompareSlice, sku_facts: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Add the cost of orders from each fold's forecasts, simulated on the fold's demand.

    For each model, fold and series, sample paths follow the quantiles and mean of the forecast and the correlation over
    time of that model's errors on the folds. :mod:`tasks.inventory.replay.forecast_cost` simulates orders and stock.
    The paths of all models use the same random numbers.

    Args:
        backtest: one row per cutoff, store_id, category, date and model, with actual (NaN = unknown), mean and one
            column per quantile, in units.
        settings: costs, lead time, review period, sample paths, quantiles and seed.
        sku_facts: prices, read if the shortage cost is ``price`` (see ``tasks.demand.sku_facts``); without them 1
            per unit.

    Returns:
        The backtest with the column inventory_cost, currency per series and period. NaN = not counted: before the first
        arrival that the fold decides (its first ``lead_time`` periods), if the actual is unknown, and if the model has
        no forecast for some period of the fold.
    """
    rows = read_rows(backtest, settings.quantiles)
    inventory = settings.inventory
    assert inventory is not None, "models are not ranked by cost"
    review_period = min(inventory.review_period, settings.period.periods_per_week)
    price = _prices(rows.series, inventory.shortage_cost, sku_facts)
    yearly = inventory.holding_cost_per_year
    holding = np.full(len(rows.series), inventory.holding_cost)
    if yearly is not None:
        holding = yearly / settings.period.periods_per_year * _prices(rows.series, "price", sku_facts)
    cost = np.full(len(backtest), np.nan)
    for model in range(len(rows.models)):
        own = rows.model == model
        correlation = correlation_of(backtest[own], settings.quantiles)
        grids = _grids(rows, own)
        for start in range(0, len(rows.series), SERIES_AT_ONCE):
            block = np.arange(start, min(start + SERIES_AT_ONCE, len(rows.series)))
            for grid in grids:
                served = block[(grid[block] != NO_ROW).all(axis=1)]
                place = grid[served]
                paths = draw_paths(
                    rows.mean[place],
                    rows.quantiles[place],
                    rows.levels,
                    list(rows.series.iloc[served].itertuples(index=False, name=None)),
                    correlation,
                    inventory.sample_paths,
                    settings.seed,
                )
                rule = OrderRule(inventory.lead_time, review_period, holding[served])
                cost[place] = forecast_costs(paths.astype(np.float64), rows.actual[place], price[served], rule)
    return backtest.assign(**{c.INVENTORY_COST: cost})


def _grids(rows: BacktestRows, own: BoolArray) -> list[IndexArray]:
    """Row numbers of one model by fold, shape (S, T) each; NO_ROW if it has no row."""
    start = np.asarray(rows.periods.searchsorted(rows.cutoffs))
    series, step = rows.at, rows.period - start[rows.cutoff]
    grids = []
    for fold in range(len(rows.cutoffs)):
        of_fold = rows.cutoff == fold
        grid = np.full((len(rows.series), int(step[of_fold].max()) + 1), NO_ROW, dtype=np.int64)
        used = np.flatnonzero(of_fold & own)
        grid[series[used], step[used]] = used
        grids.append(grid)
    return grids


def _prices(series: pd.DataFrame, shortage: str | float, facts: pd.DataFrame | None) -> FloatArray:
    """Shortage cost of each series, currency per unit, shape (S,)."""
    if not isinstance(shortage, str):
        return np.full(len(series), float(shortage))
    if facts is None:
        return np.ones(len(series))
    facts = with_text_ids(facts)
    place = series_positions(with_text_ids(series), facts)
    return series_prices(facts[place >= 0], place[place >= 0], len(series))
