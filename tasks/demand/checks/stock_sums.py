"""What the alarms on stock need to know of the last counts, summed over blocks of stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.exposure import pairs_of
from tasks.demand.cleaning.sales import weighted_count
from tasks.demand.rows_by_store import RowsByStore, store_ranges
from tasks.demand.sold_units import last_counts
from tasks.storage.mapped import release, zeros

if TYPE_CHECKING:
    from tasks.demand.cleaning.prepared import Prepared

# A pair sold lately if it has sales in this many last periods with sales.
_LATELY = {"D": 7, "W": 2, "MS": 1}
# Columns of :attr:`StockSums.skus` and :attr:`StockSums.stores`.
LEAST, MOST, ROWS, TOTAL, NEWEST = "least", "most", "rows", "total", "newest"

# Attributes that are added over the blocks.
_ADDED = (
    *("rows", "empty", "fractions", "sold", "sold_stock", "sold_held", "sold_units", "sold_empty"),
    *("held_of_sku", "units_of_sku", "lately_of_store", "zeros_of_store"),
)


@dataclass(frozen=True)
class RecentSales:
    """Sales of each store and SKU before the run date.

    Attributes:
        lately: shape (p,); whether a pair has sales in the last periods.
        units: shape (p,); units in the window of ``LIMITS.stock_window``.
        whole: all sales are whole numbers.
    """

    lately: BoolArray
    units: FloatArray
    whole: bool

    @classmethod
    def of(cls, prepared: Prepared) -> RecentSales:
        """Read the sales, a part of the series at a time."""
        cells, kind = prepared.cells, prepared.cells.frequency.kind
        size = len(cells.pair_sku)
        lately, units, whole = np.zeros(size, dtype=bool), zeros(size, np.float64), True
        for part in cells.parts():
            whole &= bool((part.units % 1 == 0).all())
            late = part.cell_period >= cells.end - _LATELY[kind]
            lately[part.pairs[part.cell_pair[late & (part.units > 0)]]] = True
            late = part.cell_period >= cells.end - LIMITS.stock_window[kind]
            units[part.pairs] = np.bincount(part.cell_pair[late], part.units[late], minlength=len(part.pairs))
        return cls(lately, units, whole)


@dataclass(frozen=True)
class StockSums:
    """Sums and rows of the last counts on or before the run date. Rows that *sold* have recent units.

    Attributes:
        rows: number of last counts.
        empty: number of them that are 0.
        fractions: number of them that are no whole numbers.
        sold: number of rows that sold.
        sold_stock: their stock.
        sold_held: their stock and units in transit, each at least 0.
        sold_units: their recent units.
        sold_empty: number of them without stock and units in transit.
        held_of_sku: shape (K,); ``sold_held`` by SKU of the sales.
        units_of_sku: shape (K,); ``sold_units`` by SKU of the sales.
        lately_of_store: shape (S,); rows that sold lately.
        zeros_of_store: shape (S,); those of them without stock.
        skus: by SKU of the stock table: least, most and total stock, and rows.
        stores: by store of the stock table: total stock, and the newest date if it has dates.
        counted: shape (p,); the pair has a row.
        zero: shape (p,); the pair sold lately and has no stock.
        old_rows: pairs that are not in the last count of their store, and have stock by an older one.
    """

    rows: int
    empty: int
    fractions: int
    sold: int
    sold_stock: float
    sold_held: float
    sold_units: float
    sold_empty: int
    held_of_sku: FloatArray
    units_of_sku: FloatArray
    lately_of_store: IndexArray
    zeros_of_store: FloatArray
    skus: pd.DataFrame
    stores: pd.DataFrame
    counted: BoolArray
    zero: BoolArray
    old_rows: pd.DataFrame

    @classmethod
    def of(cls, prepared: Prepared, stock: pd.DataFrame, recent: RecentSales) -> StockSums:
        """Read a stock table that has a count on or before the run date, some stores at a time."""
        counted, zero = np.zeros((2, len(prepared.cells.pair_sku)), dtype=bool)
        parts = [_of_stores(prepared, rows, recent, (counted, zero)) for rows in _blocks(stock)]
        skus, stores = (pd.concat([getattr(part, name) for part in parts]) for name in ("skus", "stores"))
        how = {LEAST: "min", MOST: "max", ROWS: "sum", TOTAL: "sum"}
        return cls(
            **{name: sum(getattr(part, name) for part in parts) for name in _ADDED},
            skus=skus.groupby(level=0).agg(how) if len(parts) > 1 else skus,
            stores=stores,
            counted=counted,
            zero=zero,
            old_rows=pd.concat([part.old_rows for part in parts]),
        )


def _blocks(stock: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the rows of some stores in the order of the table."""
    by_store = RowsByStore.of(stock)
    for first, last in store_ranges([by_store]):
        yield stock.iloc[np.sort(by_store.rows(first, last))]
        release()


def _of_stores(
    prepared: Prepared, stock: pd.DataFrame, recent: RecentSales, marked: tuple[BoolArray, BoolArray]
) -> StockSums:
    """Sums of the rows of some stores; their pairs are marked in ``counted`` and ``zero``."""
    counted, zero = marked
    cells = prepared.cells
    last = last_counts(stock, prepared.as_of)
    pair = pairs_of(last[c.STORE_ID], last[c.SKU], cells)
    last = last.astype({c.STORE_ID: object, c.SKU: object}).astype({c.STORE_ID: str, c.SKU: str})
    on_hand = last[c.ON_HAND].to_numpy()
    counted[pair[pair >= 0]] = True
    lately = np.flatnonzero((pair >= 0) & recent.lately[pair])
    store, empty = cells.pair_store[pair[lately]], on_hand[lately] <= 0
    size = len(cells.stores)
    zero[pair[lately[empty]]] = True
    sold = (pair >= 0) & (recent.units[pair] > 0)
    coming = [name for name in last.columns if name == c.IN_TRANSIT or name.startswith(f"{c.IN_TRANSIT}_")]
    held = last[[c.ON_HAND, *coming]].clip(lower=0).sum(axis=1).to_numpy()[sold]
    units, sku = recent.units[pair[sold]], cells.pair_sku[pair[sold]]
    values, stores = last.groupby(c.SKU)[c.ON_HAND], last.groupby(c.STORE_ID)
    newest = {NEWEST: stores[c.DATE].max()} if c.DATE in last.columns else {}
    return StockSums(
        rows=len(last),
        empty=int((on_hand <= 0).sum()),
        fractions=int((on_hand % 1 != 0).sum()),
        sold=int(sold.sum()),
        sold_stock=float(on_hand[sold].sum()),
        sold_held=float(held.sum()),
        sold_units=float(units.sum()),
        sold_empty=int((held <= 0).sum()),
        held_of_sku=weighted_count(sku, held, 1, len(cells.skus))[0],
        units_of_sku=weighted_count(sku, units, 1, len(cells.skus))[0],
        lately_of_store=np.bincount(store, minlength=size),
        zeros_of_store=weighted_count(store, empty.astype(np.float64), 1, size)[0],
        skus=pd.DataFrame({LEAST: values.min(), MOST: values.max(), ROWS: values.size(), TOTAL: values.sum()}),
        stores=pd.DataFrame({TOTAL: stores[c.ON_HAND].sum(), **newest}),
        counted=counted,
        zero=zero,
        old_rows=_older(last),
    )


def _older(last: pd.DataFrame) -> pd.DataFrame:
    """Last counts with stock that are older than the newest count of their store."""
    if c.DATE not in last.columns:
        return last.iloc[:0]
    age = last.groupby(c.STORE_ID)[c.DATE].transform("max") - last[c.DATE]
    # A store that counts a part of its SKUs every day has no date with most of them.
    whole = (age == pd.Timedelta(0)).groupby(last[c.STORE_ID]).transform("mean") > LIMITS.contradicted
    return last[whole & (age > pd.Timedelta(0)) & (last[c.ON_HAND] > 0)]
