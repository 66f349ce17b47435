"""Units sold and units counted per (store, SKU)."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray
from tasks.demand.cleaning.prepared import Prepared
from tasks.demand.cleaning.sales import CellPart, weighted_count
from tasks.demand.cleaning.stock_outs import StockOuts
from tasks.storage.mapped import categories_of, zeros

# Eight weeks, the window of recent units.
RECENT_PERIODS = {"D": 56, "W": 8, "MS": 2}


def sold_units(prepared: Prepared, stock_outs: StockOuts | None = None) -> pd.DataFrame:
    """Units of each (store, SKU) with a sales row: recent_units (last 8 weeks or 2 months) and total_units.

    Args:
        prepared: cleaned tables.
        stock_outs: periods in which SKUs were not in stock; the units that they would have sold are added.

    Returns:
        store_id and sku (categories), recent_units and total_units, sorted by both.
    """
    cells = prepared.cells
    recent, total = (zeros(len(cells.pair_sku), np.float64) for _ in range(2))
    since = cells.end - RECENT_PERIODS[cells.frequency.kind]
    for part in cells.parts():
        units = np.where(part.marked(prepared.outliers), 0.0, part.units)
        recent[part.pairs] = _per_pair(part, np.where(part.cell_period >= since, units, 0.0))
        total[part.pairs] = _per_pair(part, units)
        if stock_outs is not None and stock_outs.count:
            pair, at = np.divmod(stock_outs.keys(part), cells.history)
            lost = stock_outs.units(part)
            np.add.at(recent, part.pairs[pair], np.where(at >= since, lost, 0.0))
            np.add.at(total, part.pairs[pair], lost)
    return pd.DataFrame(
        {
            c.STORE_ID: categories_of(cells.pair_store, cells.stores.tolist()),
            c.SKU: categories_of(cells.pair_sku, cells.skus.tolist()),
            c.RECENT_UNITS: recent,
            c.TOTAL_UNITS: total,
        },
        copy=False,
    )


def _per_pair(cells: CellPart, values: FloatArray) -> FloatArray:
    return weighted_count(cells.cell_pair, values, 1, len(cells.pair_sku))[0]


def last_stock(stock: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The count before opening on ``as_of``; with a date column, each pair's last count on or before it.

    Returns:
        One row per (store, SKU): on_hand and the in_transit columns of the table, ids as the table has them.
    """
    carried = [name for name in stock.columns if name == c.IN_TRANSIT or _is_numbered(name)]
    return last_counts(stock, as_of)[[c.STORE_ID, c.SKU, c.ON_HAND, *carried]].reset_index(drop=True)


def last_counts(stock: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The rows of :func:`last_stock` with all columns of the table."""
    if c.DATE not in stock.columns:
        return stock
    known = stock.loc[stock[c.DATE] <= pd.Timestamp(as_of)].sort_values(c.DATE, kind="stable")
    return known.drop_duplicates([c.STORE_ID, c.SKU], keep="last")


def _is_numbered(name: str) -> bool:
    prefix, _, number = str(name).rpartition("_")
    return prefix == c.IN_TRANSIT and number.isdigit() and int(number) > 0
