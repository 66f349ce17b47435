"""Facts of each SKU in each store, by which a category's target is split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray, IndexArray
from tasks.demand.cleaning.prepared import Prepared
from tasks.demand.cleaning.sales import CellPart
from tasks.demand.cleaning.stock_outs import StockOuts
from tasks.demand.features.promotions import list_prices, planned_prices
from tasks.demand.rows_by_store import RowsByStore, store_ranges
from tasks.demand.sold_units import last_stock, sold_units

_UNITS = (c.RECENT_UNITS, c.TOTAL_UNITS, c.EXPECTED_UNITS)
PRICE_OF_LAST_RESORT = 1.0
# Rows that are made at once: with all their columns they take more memory than those of a table.
ROWS_AT_ONCE = 1 << 16
_PRODUCT_TEXT = (c.COLLECTION_STATUS, c.SIZE, c.COLOR, c.ARTICLE)
_PRODUCT_NUMBERS = (c.PACK_SIZE, c.MIN_PRESENTATION)


def sku_facts(prepared: Prepared, new: pd.DataFrame | None = None, stock_outs: StockOuts | None = None) -> pd.DataFrame:
    """All rows of :func:`fact_parts`."""
    return pd.concat(list(fact_parts(prepared, new, stock_outs)), ignore_index=True)


def fact_parts(
    prepared: Prepared, new: pd.DataFrame | None = None, stock_outs: StockOuts | None = None
) -> Iterator[pd.DataFrame]:
    """One row per (store, SKU) with a sales row before ``as_of`` or a stock row on or before it, some stores at a time.

    Args:
        prepared: cleaned tables of one ``as_of``.
        new: store_id, sku and expected_units of pairs without history (see ``tasks.demand.new_series``).
        stock_outs: periods in which SKUs were not in stock. The units that they would have sold count as sold: the
            share of a SKU in its category does not fall because it was not there.

    Yields:
        Sorted by store_id and sku: category; recent_units (sold in the last 8 weeks, or 2 months, up to
        the last period with sales; outliers left out) and total_units; unit_price (the SKU's last
        known net amount per unit in any store, else its list price, else 1); on_hand and the in_transit
        columns that the stock table has (last count not after ``as_of``, NaN = not counted); product facts
        collection_status, size, color, article (text, empty = unknown), pack_size, min_presentation (NaN = unknown);
        expected_units (of a new pair in 8 weeks, from comparable ones; 0 for others) and superseded_by (the SKU that
        replaces it and inherits its sales; empty = none).
    """
    products = prepared.products.assign(**{c.SKU: prepared.products[c.SKU].astype(str)}).set_index(c.SKU)
    prices = sku_prices(prepared)
    stock = prepared.tables.get("stock")
    further = [stock, _superseded_pairs(prepared), new]
    sources = [RowsByStore.of(rows) for rows in further if rows is not None and (rows is stock or len(rows))]
    sources.insert(0, RowsByStore.of(sold_units(prepared, stock_outs)))
    for first, last in store_ranges(sources, ROWS_AT_ONCE):
        rows, *others = (source.between(first, last) for source in sources)
        if stock is not None:
            others[0] = last_stock(others[0], prepared.as_of)
        for other in others:
            rows = rows.merge(other, on=[c.STORE_ID, c.SKU], how="outer")
        for name in (c.ON_HAND, c.EXPECTED_UNITS):
            rows = rows if name in rows.columns else rows.assign(**{name: np.nan})
        yield _facts(rows.sort_values([c.STORE_ID, c.SKU], ignore_index=True), prepared, products, prices)


def _facts(rows: pd.DataFrame, prepared: Prepared, products: pd.DataFrame, prices: pd.Series) -> pd.DataFrame:
    """Pairs with what is known of their SKUs."""
    for name in _UNITS:
        rows[name] = rows[name].where(rows[name].notna(), 0.0)
    rows[c.CATEGORY] = products[c.CATEGORY].reindex(rows[c.SKU]).to_numpy()
    rows[c.SUPERSEDED_BY] = rows[c.SKU].map(dict(prepared.replaced)).fillna("").astype(object)
    rows[c.UNIT_PRICE] = _prices(rows[c.SKU], prices, products)
    for name in (*_PRODUCT_TEXT, *_PRODUCT_NUMBERS):
        rows[name] = _fact(products, name, rows[c.SKU])
    ordered = [c.STORE_ID, c.SKU, c.CATEGORY, c.RECENT_UNITS, c.TOTAL_UNITS, c.UNIT_PRICE, c.ON_HAND]
    ordered += [name for name in rows.columns if name not in ordered]
    return pd.DataFrame({name: rows.pop(name) for name in ordered}, copy=False)


def _superseded_pairs(prepared: Prepared) -> pd.DataFrame:
    """Pairs of store and replaced SKU with a sales row; their units are the successor's."""
    return prepared.lines.replaced_pairs.drop_duplicates(ignore_index=True)


def planned_sku_prices(prepared: Prepared) -> pd.DataFrame:
    """The prices that promotions plan over the horizon.

    A discount applies to the list price, or to the SKU's last known price if it has none.

    Returns:
        store_id, sku, date (label) and price (currency per unit); a row only if a promotion plans one.
        Elsewhere ``unit_price`` of :func:`sku_facts` holds.
    """
    cells, tables = prepared.cells, prepared.tables
    listed = list_prices(tables["products"], cells)
    last = sku_prices(prepared).reindex(cells.skus).to_numpy(dtype=np.float64)
    base = np.where(np.isnan(listed), last, listed)
    return planned_prices(tables.get("promotions"), base, cells, prepared.axis)


def sku_prices(prepared: Prepared) -> pd.Series:
    """Each SKU's net amount per unit in the last period in which it sold with a known amount, any store."""
    cells = prepared.cells
    last = np.full(len(cells.skus), -1)
    for own, rows in _priced(prepared):
        np.maximum.at(last, own.pair_sku[own.cell_pair[rows]], own.cell_period[rows])
    sku, amount, units = [np.zeros(0, dtype=np.int64)], [np.zeros(0)], [np.zeros(0)]
    for own, rows in _priced(prepared):
        of = own.pair_sku[own.cell_pair[rows]]
        latest = own.cell_period[rows] == last[of]
        sku.append(of[latest])
        amount.append(own.priced_amount[rows[latest]])
        units.append(own.priced_units[rows[latest]])
    total, count = (np.bincount(np.concatenate(sku), np.concatenate(part), len(last)) for part in (amount, units))
    known = last >= 0
    return pd.Series(total[known] / count[known], index=pd.Index(cells.skus[known], dtype=object))


def _priced(prepared: Prepared) -> Iterator[tuple[CellPart, IndexArray]]:
    """Yield the cells of some stores, and which of them have a known price and are no outliers."""
    for part in prepared.cells.parts():
        yield part, np.flatnonzero(~part.marked(prepared.outliers) & (part.priced_units > 0))


def _prices(skus: pd.Series, prices: pd.Series, products: pd.DataFrame) -> FloatArray:
    price = prices.reindex(skus).to_numpy(dtype=np.float64)
    if c.PRICE in products.columns:
        listed = products[c.PRICE].reindex(skus).to_numpy(dtype=np.float64)
        price = np.where(np.isnan(price), listed, price)
    return np.where(np.isnan(price), PRICE_OF_LAST_RESORT, price)


def _fact(products: pd.DataFrame, name: str, skus: pd.Series) -> np.ndarray:
    number = name in _PRODUCT_NUMBERS
    if name not in products.columns:
        return np.full(len(skus), np.nan) if number else np.full(len(skus), "", dtype=object)
    found = products[name].reindex(skus)
    if number:
        return found.to_numpy(dtype=np.float64)
    return found.astype(object).where(found.notna(), "").map(str).to_numpy()
