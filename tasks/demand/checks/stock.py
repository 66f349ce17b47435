"""Alarms on stock: old or undated counts, missing rows, zeros for SKUs that sell, and stores above their capacity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, alarm_of_rows, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import BoolArray, FloatArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.checks.odd_stock import odd_stock
from tasks.demand.checks.stock_sums import NEWEST, TOTAL, RecentSales, StockSums
from tasks.demand.cleaning.sales import SaleCells, distinct
from tasks.storage.mapped import blocks, filled

if TYPE_CHECKING:
    from tasks.demand.cleaning.prepared import Prepared


def stock_alarms(prepared: Prepared) -> list[Alarm]:
    """Return the alarms on the stock table; none if the table does not exist."""
    stock = prepared.tables.get("stock")
    if stock is None:
        return []
    if stock.empty or (c.DATE in stock.columns and not (stock[c.DATE] <= pd.Timestamp(prepared.as_of)).any()):
        return [
            raise_alarm(
                "stock_not_counted",
                f"stock: no count on or before {prepared.as_of}; it is taken as 0",
                count=len(stock),
            )
        ]
    recent = RecentSales.of(prepared)
    sums = StockSums.of(prepared, stock, recent)
    return [
        *_undated(prepared, stock),
        *_old(prepared, sums),
        *_missing_rows(prepared.cells, sums, recent.lately),
        *_zeros(prepared.cells, sums),
        *_transit_twice(stock),
        *_old_pairs(sums),
        *odd_stock(prepared, sums, recent),
        *_above_capacity(prepared, sums),
    ]


def _undated(prepared: Prepared, stock: pd.DataFrame) -> list[Alarm]:
    if c.DATE in stock.columns or prepared.last_sale <= pd.Timestamp(prepared.as_of):
        return []
    return [
        raise_alarm(
            "stock_undated",
            f"stock has no date: the same count is used for every run date. Sales reach {prepared.last_sale.date()}, "
            f"so that it is probably not the stock of {prepared.as_of}. Add a date column to the stock table",
            dates=(prepared.as_of, prepared.last_sale.date()),
            count=len(stock),
        )
    ]


def _old(prepared: Prepared, sums: StockSums) -> list[Alarm]:
    """Counts that are older than the last sales of their store."""
    if NEWEST not in sums.stores.columns:
        return []
    cells, facts = prepared.cells, prepared.lines.facts
    counted = sums.stores[NEWEST]
    days = facts.last_of_store[facts.of_store > 0].astype("datetime64[D]").astype("datetime64[ns]")
    last = pd.Series(days, index=cells.stores.astype(str))
    age = (last - counted.reindex(last.index)).dt.days
    old = age[age > LIMITS.stock_days]
    if old.empty:
        return []
    store = last.index.get_indexer(old.index)
    day = (counted.reindex(old.index).to_numpy(dtype="datetime64[D]") - cells.first_day).astype(np.int64)
    units = float(cells.store_days[store][np.arange(cells.store_days.shape[1]) >= day[:, None]].sum())
    oldest = counted.reindex(old.index).min()
    return [
        raise_alarm(
            "stock_outdated",
            f"stock: the last count of {numbered(len(old), '# store[s]')} ({first_few(list(old.index))}) is up to "
            f"{numbered(int(old.max()), '# day[s]')} older than the last sales (oldest {oldest.date()}); "
            f"{numbered(int(units), '# unit[s] [was|were]')} sold since. Deliver a "
            "newer count",
            stores=old.index,
            dates=(oldest.date(), last.reindex(old.index).max().date()),
            count=len(old),
        )
    ]


def _missing_rows(cells: SaleCells, sums: StockSums, lately: BoolArray) -> list[Alarm]:
    """Pairs that sold lately and have no stock row."""
    sold, absent = int(lately.sum()), np.flatnonzero(lately & ~sums.counted)
    if not sold or len(absent) < LIMITS.stock_share * sold:
        return []
    why = (
        "Deliver a row for every SKU of a store"
        if sums.empty
        else "No row has a stock of 0, so that the export seems to leave zeros out"
    )
    return [
        alarm_of_rows(
            "stock_rows_missing",
            f"stock: {len(absent):,} of {sold:,} stores and SKUs that sold lately have no row and count as 0. {why}",
            pd.DataFrame(
                {c.STORE_ID: cells.stores[cells.pair_store[absent]], c.SKU: cells.skus[cells.pair_sku[absent]]}
            ),
        )
    ]


def _zeros(cells: SaleCells, sums: StockSums) -> list[Alarm]:
    """Stores in which most SKUs that sold lately have a stock of 0."""
    count, zeros = sums.lately_of_store, sums.zeros_of_store
    odd = (zeros > LIMITS.returns_share * count) & (count >= LIMITS.fewest_skus)
    if not odd.any():
        return []
    sku, rows = distinct(cells.pair_sku[sums.zero & odd[cells.pair_store]]), int(zeros[odd].sum())
    return [
        raise_alarm(
            "stock_zero",
            f"stock: in {numbered(int(odd.sum()), '# store[s]')} ({first_few(list(cells.stores[odd]))}) most SKUs that "
            f"sold lately have a stock of 0 ({rows:,} of {int(count[odd].sum()):,}). Check the count",
            stores=sorted(map(str, cells.stores[odd])),
            skus=sorted(map(str, cells.skus[sku])),
            count=rows,
        )
    ]


def _transit_twice(stock: pd.DataFrame) -> list[Alarm]:
    """Units in transit that are part of the stock: another column of the file is the stock without them."""
    coming = [name for name in stock.columns if name == c.IN_TRANSIT or name.startswith(f"{c.IN_TRANSIT}_")]
    if not coming:
        return []
    transit = filled(len(stock), np.float64, lambda part: stock.iloc[part][coming].fillna(0).sum(axis=1).to_numpy())
    some = transit > 0

    if some.sum() < LIMITS.fewest_skus:
        return []
    if c.IN_TRANSIT in coming and len(coming) > 1 and _is_half(stock[c.IN_TRANSIT], transit):
        return [
            alarm_of_rows(
                "transit_in_stock",
                f"stock: in every row, in_transit is the sum of {', '.join(coming[1:])}, so that the units in transit "
                f"count twice ({numbered(int(some.sum()), '# row[s]')}, {transit.sum() / 2:,.0f} units). Leave one of "
                "them unmapped",
                stock[some],
            )
        ]
    for name in stock.columns:
        if name in (c.ON_HAND, *coming) or not pd.api.types.is_float_dtype(stock[name]):
            continue
        if _is_rest(stock[name], stock[c.ON_HAND], transit):
            return [
                alarm_of_rows(
                    "transit_in_stock",
                    f"stock: in every row, on_hand is the column {name!r} plus the units in transit, which then count "
                    f"twice ({numbered(int(some.sum()), '# row[s]')}, {transit.sum():,.0f} units). Set "
                    f"sources.stock.columns.on_hand: {name}",
                    stock[some],
                )
            ]
    return []


def _is_half(column: pd.Series, transit: FloatArray) -> bool:
    return all((transit[part] == 2 * column.iloc[part].fillna(0)).all() for part in blocks(len(column)))


def _is_rest(column: pd.Series, on_hand: pd.Series, transit: FloatArray) -> bool:
    return all((column.iloc[part] + transit[part] == on_hand.iloc[part]).all() for part in blocks(len(column)))


def _old_pairs(sums: StockSums) -> list[Alarm]:
    """Pairs that are not in the last count of their store, and have stock by an older one."""
    rows = sums.old_rows
    if len(rows) < LIMITS.fewest_skus:
        return []
    return [
        alarm_of_rows(
            "stock_rows_missing",
            f"stock: {len(rows):,} stores and SKUs with {rows[c.ON_HAND].sum():,.0f} units are in an older count but "
            "not in the last one of their store; the older count is used. If rows with a stock of 0 are left out, "
            "export them too",
            rows,
        )
    ]


def _above_capacity(prepared: Prepared, sums: StockSums) -> list[Alarm]:
    stores = prepared.tables["stores"]
    if c.STORAGE_CAPACITY not in stores.columns:
        return []
    capacity = pd.Series(stores[c.STORAGE_CAPACITY].to_numpy(dtype=np.float64), index=stores[c.STORE_ID].astype(str))
    held = sums.stores[TOTAL]
    limit = capacity.reindex(held.index)
    above = held.index[(held > limit).to_numpy()]
    if above.empty:
        return []
    named = [f"{store} ({held[store]:,.0f} > {limit[store]:,.0f})" for store in above]
    return [
        raise_alarm(
            "capacity_below_stock",
            f"stock: {numbered(len(above), '# store[s] hold[s|] more units than the storage capacity')}: "
            f"{first_few(named)}. They get no units until this stock is sold. Correct storage_capacity or the stock",
            stores=above,
            count=len(above),
        )
    ]
