"""Inputs of a plan. They are stored with the run, so that ``what-if`` can plan again with other constraints."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from schemas import columns as c
from schemas.records import CalibrationRecord, ComparisonRecord, IngestRecord, PanelRecord, PlanInputs
from schemas.settings.slices import PlanSlice
from tasks.storage.lake import Lake

if TYPE_CHECKING:
    from tasks.inventory.model.weekly_problem import WeeklyInputs

TABLES_READ = ("stores", "dc_stock", "calendar")


def plan_inputs(
    ingested: IngestRecord, panel: PanelRecord, comparison: ComparisonRecord, calibration: CalibrationRecord
) -> PlanInputs:
    """Collect references to the inputs of the plan."""
    return PlanInputs(
        holding_factor=calibration.holding_factor,
        tables={name: ref for name, ref in ingested.tables.items() if name in TABLES_READ},
        sku_facts=panel.sku_facts,
        planned_prices=panel.planned_prices,
        forecast=comparison.forecast,
        backtest=comparison.backtest,
        champions=comparison.champions,
        paths=comparison.paths,
        stock_counted=panel.stock_counted,
    )


def weekly_inputs(lake: Lake, settings: PlanSlice, as_of: date, given: PlanInputs) -> WeeklyInputs:
    """Read the inputs of a plan from the lake.

    Raises:
        StorageError: a table is no longer in the lake.
    """
    from tasks.inventory.model.weekly_problem import WeeklyInputs

    tables = {name: lake.read_table(ref) for name, ref in given.tables.items()}
    prices = lake.read_table(given.planned_prices)
    return WeeklyInputs(
        forecast=_champion_rows(lake.read_table(given.forecast)),
        backtest=_champion_folds(lake, given),
        sku_facts=lake.read_table(given.sku_facts),
        stores=tables["stores"],
        settings=settings,
        dc_stock=last_dc_stock(tables.get("dc_stock"), as_of),
        planned_prices=prices if len(prices) else None,
        has_stock=given.stock_counted,
        calendar=tables.get("calendar"),
        holding_factor=given.holding_factor,
        paths=_champion_paths(lake, given),
    )


def _champion_paths(lake: Lake, given: PlanInputs) -> list[pd.DataFrame]:
    """Sample paths of the series whose champion has its own; one table per model."""
    if not given.paths:
        return []
    keys = [c.STORE_ID, c.CATEGORY, c.MODEL]
    champions = lake.read_table(given.champions, keys).astype(str)
    tables = [lake.read_table(ref) for ref in given.paths]
    found = [table.astype({key: str for key in keys}).merge(champions, on=keys) for table in tables]
    return [table.drop(columns=c.MODEL) for table in found if len(table)]


def _champion_rows(forecast: pd.DataFrame) -> pd.DataFrame:
    return forecast[forecast[c.CHAMPION].to_numpy()].drop(columns=[c.MODEL, c.CHAMPION])


def _champion_folds(lake: Lake, given: PlanInputs) -> pd.DataFrame:
    """The fold forecasts of each series' champion."""
    champions = lake.read_table(given.champions, [c.STORE_ID, c.CATEGORY, c.MODEL])
    backtest = lake.read_table(given.backtest)
    keys = [c.STORE_ID, c.CATEGORY, c.MODEL]
    return backtest.astype({key: str for key in keys}).merge(champions.astype(str), on=keys)


def last_dc_stock(dc_stock: pd.DataFrame | None, as_of: date) -> pd.DataFrame | None:
    """Select the DC stock of a run: with a date column, each SKU's last count up to ``as_of``.

    Returns:
        sku and available, one row per SKU; None without a table or without a count up to ``as_of``.
    """
    if dc_stock is None:
        return None
    if c.DATE in dc_stock.columns:
        dc_stock = dc_stock.loc[dc_stock[c.DATE] <= pd.Timestamp(as_of)].sort_values(c.DATE, kind="stable")
        dc_stock = dc_stock.drop_duplicates(c.SKU, keep="last")
    return dc_stock[[c.SKU, c.AVAILABLE]].reset_index(drop=True) if len(dc_stock) else None
