"""Inputs of a plan. They are stored with the run, so that ``what-if`` can plan again with other constraints."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.records import CalibrationRecord, ComparisonRecord, IngestRecord, PanelRecord, PlanInputs, TableRef
from schemas.settings.slices import PlanSlice
from tasks.storage.lake import Lake

if TYPE_CHECKING:
    from tasks.inventory.model.weekly_problem import WeeklyInputs

# Maximum number of series whose fold forecasts are used to estimate the dependence of forecast errors.
MOST_FOLD_SERIES = 10_000
TABLES_READ = ("stores", "dc_stock", "dc_inbound", "calendar")


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
        parts=comparison.parts,
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
    facts = lake.read_table(given.sku_facts)
    return WeeklyInputs(
        forecast=_champion_rows(lake, given.forecast, facts),
        backtest=_champion_folds(lake, given),
        sku_facts=facts,
        stores=tables["stores"],
        settings=settings,
        dc_stock=last_dc_stock(tables.get("dc_stock"), as_of, tables.get("dc_inbound")),
        dc_inbound=later_arrivals(tables.get("dc_inbound"), as_of),
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


def _champion_rows(lake: Lake, forecast: TableRef, facts: pd.DataFrame) -> pd.DataFrame:
    """The champions' forecasts, without stores that get no target: permanently closed, or no longer listed."""
    stores = facts[c.STORE_ID].astype(str).unique()
    found = []
    for block in lake.read_blocks(forecast):
        rows = block[block[c.CHAMPION].to_numpy()].drop(columns=[c.MODEL, c.CHAMPION])
        found.append(rows[rows[c.STORE_ID].astype(str).isin(stores)])
    return pd.concat(found, ignore_index=True)


def _champion_folds(lake: Lake, given: PlanInputs) -> pd.DataFrame:
    """The fold forecasts of each series' champion, for the series that :func:`_of_some_stores` selects."""
    keys = [c.STORE_ID, c.CATEGORY, c.MODEL]
    champions = _of_some_stores(lake.read_table(given.champions, keys).astype(str))
    blocks = lake.read_blocks(given.backtest)
    found = [block.astype({key: str for key in keys}).merge(champions, on=keys) for block in blocks]
    return pd.concat(found, ignore_index=True)


def _of_some_stores(champions: pd.DataFrame) -> pd.DataFrame:
    """The series of all stores; of evenly spaced stores if all have more than :data:`MOST_FOLD_SERIES` series."""
    if len(champions) <= MOST_FOLD_SERIES:
        return champions
    stores = np.sort(champions[c.STORE_ID].unique())
    count = max(2, int(len(stores) * MOST_FOLD_SERIES / len(champions)))
    some = stores[np.linspace(0, len(stores) - 1, count).round().astype(int)]
    return champions[champions[c.STORE_ID].isin(some)]


def last_dc_stock(
    dc_stock: pd.DataFrame | None, as_of: date, inbound: pd.DataFrame | None = None
) -> pd.DataFrame | None:
    """Select the DC stock of a run: what may be sent on ``as_of``.

    With a date column, each SKU's last count up to ``as_of``. The reserve is subtracted, and what arrived since the
    count (up to and including ``as_of``) is added. A SKU that only has arrivals has no stock before them.

    Args:
        dc_stock: sku, available, and reserve and date if the table has them.
        as_of: run date.
        inbound: sku, date, quantity; None without the table.

    Returns:
        sku and available, one row per SKU; None without a table or without a count up to ``as_of``.
    """
    if dc_stock is None:
        return None
    today = pd.Timestamp(as_of)
    if c.DATE in dc_stock.columns:
        dc_stock = dc_stock.loc[dc_stock[c.DATE] <= today].sort_values(c.DATE, kind="stable")
        dc_stock = dc_stock.drop_duplicates(c.SKU, keep="last")
    if dc_stock.empty:
        return None
    skus = dc_stock[c.SKU].astype(str)
    available = dc_stock[c.AVAILABLE].astype(float)
    if c.RESERVE in dc_stock.columns:
        available = available - dc_stock[c.RESERVE].astype(float).fillna(0.0)
    counted = pd.Series(dc_stock[c.DATE].to_numpy() if c.DATE in dc_stock.columns else today, index=skus.to_numpy())
    stock = pd.Series(available.clip(lower=0.0).to_numpy(), index=skus.to_numpy())
    if inbound is not None and len(inbound):
        of_sku = inbound[c.SKU].astype(str)
        first = of_sku.map(counted[~counted.index.duplicated()]).fillna(pd.Timestamp.min)
        arrived = inbound[(inbound[c.DATE] >= first) & (inbound[c.DATE] <= today)]
        units = arrived.groupby(arrived[c.SKU].astype(str))[c.QUANTITY].sum()
        stock = stock.groupby(level=0).sum().reindex(stock.index.union(of_sku.unique()), fill_value=0.0)
        stock = stock.add(units.reindex(stock.index, fill_value=0.0))
    return pd.DataFrame({c.SKU: stock.index.to_numpy(dtype=object), c.AVAILABLE: stock.to_numpy(dtype=float)})


def later_arrivals(inbound: pd.DataFrame | None, as_of: date) -> pd.DataFrame | None:
    """Arrivals in the distribution center after ``as_of``: sku, date, quantity; None if there are none."""
    if inbound is None:
        return None
    later = inbound.loc[inbound[c.DATE] > pd.Timestamp(as_of), [c.SKU, c.DATE, c.QUANTITY]].reset_index(drop=True)
    return later if len(later) else None
