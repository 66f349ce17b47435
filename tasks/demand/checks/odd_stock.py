"""Alarms on stock that does not fit the sales: another unit, another place or time, or SKUs that are no goods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, alarm_of_rows, raise_alarm
from schemas.errors import first_few, numbered
from tasks.demand.checks.limits import LIMITS
from tasks.demand.checks.packs import available_in_center, stock_in_packs
from tasks.demand.checks.stock_sums import LEAST, MOST, ROWS, TOTAL, RecentSales, StockSums
from tasks.demand.words import holding, plain

if TYPE_CHECKING:
    from tasks.demand.cleaning.prepared import Prepared

# With fewer stores, equal stock in all of them can be chance.
_FEWEST_STORES = 3


def odd_stock(prepared: Prepared, sums: StockSums, recent: RecentSales) -> list[Alarm]:
    """Return the alarms on the last counts.

    Args:
        prepared: corrected and summed tables.
        sums: of the last counts.
        recent: recent sales.
    """
    return [
        *_implausible(prepared, sums, recent),
        *_nothing_to_send(prepared),
        *_overdue(prepared),
        *_not_goods(prepared, sums),
    ]


def _implausible(prepared: Prepared, sums: StockSums, recent: RecentSales) -> list[Alarm]:
    """Stock in another unit than the sales, or of another place or time."""
    found = [
        *_other_unit(prepared, sums, recent),
        *stock_in_packs(prepared, sums, recent),
        *_same_everywhere(sums),
        *_dc_is_sum(prepared, sums),
        *_after_sales(prepared),
    ]
    return [raise_alarm("stock_implausible", f"stock: {text}", count=count) for text, count in found]


def _other_unit(prepared: Prepared, sums: StockSums, recent: RecentSales) -> Iterator[tuple[str, int]]:
    cells = prepared.cells
    window = LIMITS.stock_window[cells.frequency.kind]
    if recent.whole and sums.fractions >= max(LIMITS.fewest_skus, LIMITS.stock_share * sums.rows):
        yield (
            f"{sums.fractions:,} of {sums.rows:,} rows have fractions, and all sales are whole numbers. Is it "
            "an amount of money, or in another unit? Deliver the stock in units of sale",
            sums.fractions,
        )
    years = sums.sold_stock / max(sums.sold_units, 1) * window / cells.frequency.periods_per_year
    if sums.sold >= LIMITS.fewest_skus and years > LIMITS.stock_years:
        yield (
            f"the SKUs that sold in the last {window} periods have stock for {years:,.1f} years. Is it in another unit "
            "than the sales, or of the whole company?",
            sums.sold,
        )


def _same_everywhere(sums: StockSums) -> Iterator[tuple[str, int]]:
    of_sku = sums.skus[sums.skus[ROWS] >= _FEWEST_STORES]
    same = of_sku[LEAST] == of_sku[MOST]
    values = of_sku.loc[same, LEAST].nunique()
    if len(of_sku) >= LIMITS.fewest_skus <= values and same.mean() >= LIMITS.same_export:
        yield (
            f"{int(same.sum()):,} of {len(of_sku):,} SKUs have the same stock in all their stores. Is it the stock of "
            "the whole company? Deliver the stock of each store",
            int(same.sum()),
        )


def _dc_is_sum(prepared: Prepared, sums: StockSums) -> Iterator[tuple[str, int]]:
    held = available_in_center(prepared)
    if held is None:
        return
    stores = sums.skus[TOTAL].reindex(held.index, fill_value=0.0)
    some = held[held > 0].index
    same = held[some] == stores[some]
    if len(some) >= LIMITS.fewest_skus and same.mean() >= LIMITS.same_export:
        yield (
            f"for {int(same.sum()):,} of {len(some):,} SKUs, dc_stock.available is the sum of the stores' stock. Is it "
            "the stock of the whole company? Deliver what lies in the distribution center",
            int(same.sum()),
        )


def _nothing_to_send(prepared: Prepared) -> list[Alarm]:
    """Most SKUs that sell have no row in the distribution center's stock, or all of it is 0."""
    center = prepared.tables.get("dc_stock")
    if center is None:
        return []
    skus = prepared.cells.skus.astype(str)
    absent = skus[~pd.Index(skus).isin(center[c.SKU].astype(str))]
    if (center[c.AVAILABLE] <= 0).all():
        text = f"dc_stock: available is 0 in all {len(center):,} rows, so that nothing can be sent. Check the export"
        return [raise_alarm("stock_zero", text, count=len(center))]
    if len(absent) < LIMITS.fewest_skus or len(absent) <= LIMITS.contradicted * len(skus):
        return []
    return [
        raise_alarm(
            "stock_rows_missing",
            f"dc_stock: {len(absent):,} of {len(skus):,} SKUs that have sold have no row and count as 0, so that none "
            f"of them is sent: {first_few(list(absent))}. Are the SKUs written in another way?",
            skus=absent,
            count=len(absent),
        )
    ]


def _overdue(prepared: Prepared) -> list[Alarm]:
    """Arrivals of a table of open orders that are dated before the count, and so do not count."""
    inbound, center = prepared.tables.get("dc_inbound"), prepared.tables.get("dc_stock")
    if inbound is None or inbound.empty or center is None:
        return []
    today = pd.Timestamp(prepared.as_of)
    counted = center.loc[center[c.DATE] <= today, c.DATE].max() if c.DATE in center.columns else today
    late = inbound[inbound[c.DATE] < counted]
    if (inbound[c.DATE] < today).all():
        text = (
            f"dc_inbound: {numbered(len(inbound), '[the only row is|all # rows are]')} dated before the run date "
            f"{prepared.as_of} (last date: {inbound[c.DATE].max().date()}), so that the plan expects no arrivals. "
            "Deliver the open orders with their expected dates. If there are none, the table may be empty"
        )
        return [alarm_of_rows("inbound_overdue", text, inbound)]
    # A table with more past than coming arrivals is a history.
    if late.empty or len(late) >= (inbound[c.DATE] > today).sum():
        return []
    return [
        alarm_of_rows(
            "inbound_overdue",
            f"dc_inbound: {numbered(len(late), '# row[s] [is|are]')} dated before the count of the distribution center "
            f"({late[c.QUANTITY].sum():,.0f} units) and {numbered(len(late), '[does|do]')} not count: "
            f"{first_few(sorted(late[c.SKU].astype(str).unique()))}. If these orders are late, enter the expected date",
            late,
        )
    ]


def _after_sales(prepared: Prepared) -> Iterator[tuple[str, int]]:
    """Sales of the run date itself, after which the stock may have been counted."""
    stock, today = prepared.tables["stock"], pd.Timestamp(prepared.as_of)
    if prepared.axis.frequency.kind == "D" and prepared.last_sale.normalize() == today:
        dated = c.DATE in stock.columns
        if not dated or (stock[c.DATE] == today).any():
            yield (
                f"the sales have rows of the run date {prepared.as_of}, so that the count may be of its evening. The "
                "count before opening is expected; otherwise these sales are taken from the stock and forecast again. "
                "Run on the next day, or deliver the count of the morning",
                len(stock),
            )


def _not_goods(prepared: Prepared, sums: StockSums) -> list[Alarm]:
    """Bags, gift cards and services by their names, which sell and have no stock row anywhere."""
    products = prepared.tables["products"]
    if c.NAME not in products.columns:
        return []
    center = prepared.tables.get("dc_stock")
    stocked = {*sums.skus.index, *(center[c.SKU].astype(str) if center is not None else ())}
    names = products.set_index(products[c.SKU].astype(str))[c.NAME]
    sold = [sku for sku in prepared.cells.skus.astype(str) if sku not in stocked]
    found = [sku for sku in sold if holding("service").fullmatch(plain(str(names.get(sku) or "")))]
    if not found or len(sold) > LIMITS.contradicted * len(prepared.cells.skus):
        return []
    shown = [f"{sku} {names[sku]}" for sku in found]
    return [
        raise_alarm(
            "not_goods",
            f"products: {numbered(len(found), '# SKU[s] [sells and has|sell and have]')} no stock row, and "
            f"{numbered(len(found), '[is|are]')} no goods by {numbered(len(found), '[its name|their names]')}: "
            f"{first_few(shown)}. Leave them out with sources.sales.ignore and sources.products.ignore",
            skus=found,
            count=len(found),
        )
    ]
