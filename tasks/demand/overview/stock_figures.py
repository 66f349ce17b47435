"""Figures about stock, compared with sales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from tasks.demand.overview.sales_figures import SaleLines

# Sales of the last weeks are compared with the stock.
RECENT_WEEKS = 8


@dataclass(frozen=True)
class StockFigures:
    """Stock of the stores, and of the distribution center.

    Attributes:
        counted: date of the count; None if the file has none.
        units: units on hand in stores.
        rows: pairs with a stock row on that date.
        weeks: units on hand per unit sold in a week; None without recent sales.
        sold_without_row: pairs that sold recently and have no stock row, with the first of them.
        stock_without_sale: pairs with stock on hand that never sold.
        empty: pairs that sold recently and have nothing on hand.
        dc_units: units in the distribution center; None if that table does not exist.
    """

    counted: date | None
    units: float
    rows: int
    weeks: float | None
    sold_without_row: tuple[int, list[str]]
    stock_without_sale: tuple[int, float]
    empty: int
    sold_pairs: int
    dc_units: float | None


def stock_figures(
    tables: Mapping[str, pd.DataFrame], lines: SaleLines, frequency: Frequency, as_of: date
) -> StockFigures | None:
    """Compare the last count on or before the run date with recent sales; None without a stock table."""
    if "stock" not in tables:
        return None
    stock = tables["stock"]
    counted = None
    if c.DATE in stock:
        known = stock[stock[c.DATE] <= pd.Timestamp(as_of)]
        counted = known[c.DATE].max().date() if len(known) else None
        stock = known[known[c.DATE] == known[c.DATE].max()]
    on_hand = stock.groupby([c.STORE_ID, c.SKU], sort=True)[c.ON_HAND].sum().clip(lower=0)
    periods = max(1, round(RECENT_WEEKS * frequency.periods_per_week)) if frequency.kind != "MS" else 2
    start = len(lines.labels) - periods
    recent = (lines.label >= start) & (lines.units > 0)
    sold = _pairs(lines, recent)
    weeks = RECENT_WEEKS if frequency.kind != "MS" else periods * 52 / 12
    per_week = float(lines.units[recent].sum()) / weeks
    missing = sold.difference(on_hand.index)
    never = on_hand[(on_hand > 0) & ~on_hand.index.isin(_pairs(lines, np.ones(len(lines.units), dtype=bool)))]
    dc = tables.get("dc_stock")
    return StockFigures(
        counted=counted,
        units=float(on_hand.sum()),
        rows=len(on_hand),
        weeks=float(on_hand.sum()) / per_week if per_week else None,
        sold_without_row=(len(missing), [f"{store}/{sku}" for store, sku in missing[:3]]),
        stock_without_sale=(len(never), float(never.sum())),
        empty=int((on_hand.reindex(sold.intersection(on_hand.index)) == 0).sum()),
        sold_pairs=len(sold),
        dc_units=None if dc is None else _last_count(dc, as_of),
    )


def _last_count(dc: pd.DataFrame, as_of: date) -> float:
    if c.DATE in dc:
        dc = dc[dc[c.DATE] <= pd.Timestamp(as_of)]
        dc = dc[dc[c.DATE] == dc[c.DATE].max()]
    return float(dc[c.AVAILABLE].clip(lower=0).sum())


def _pairs(lines: SaleLines, which: np.ndarray) -> pd.MultiIndex:
    codes = np.unique(lines.store[which].astype(np.int64) * len(lines.skus) + lines.sku[which])
    stores, skus = np.array(lines.stores, dtype=object), np.array(lines.skus, dtype=object)
    return pd.MultiIndex.from_arrays([stores[codes // len(skus)], skus[codes % len(skus)]], names=[c.STORE_ID, c.SKU])
