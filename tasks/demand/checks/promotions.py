"""Alarms on promotions: none planned although they are usual, and end dates that are the day after the promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from tasks.demand.checks.limits import LIMITS

if TYPE_CHECKING:
    from tasks.demand.cleaning.prepared import Prepared


def promotion_alarms(prepared: Prepared) -> list[Alarm]:
    """Return the alarms on promotions; none without their table."""
    table = prepared.tables.get("promotions")
    if table is None or table.empty:
        return []
    return [*_none_planned(prepared, table), *_shared_days(table), *_above_list(prepared, table)]


def _none_planned(prepared: Prepared, table: pd.DataFrame) -> list[Alarm]:
    """No promotion in the horizon, although almost all earlier windows of its length had one."""
    start = pd.Timestamp(prepared.as_of)
    end = prepared.axis.frequency.shift(prepared.axis.periods[-1], 1)
    length = end - start
    first = prepared.cells.periods[0]
    windows = min(LIMITS.promotion_windows, int((start - first) / length))
    if windows < LIMITS.promotion_windows / 2 or _any_in(table, start, end):
        return []
    had = sum(_any_in(table, start - (at + 1) * length, start - at * length) for at in range(windows))
    if had < LIMITS.units_skus * windows:
        return []
    last = table[c.DATE_TO].max().date()
    return [
        raise_alarm(
            "promotions_missing",
            f"promotions: none from {start.date()} to {(end - pd.Timedelta(days=1)).date()}, while {had} of the "
            f"{windows} periods of that length before had some; the last one ends on {last}. The forecast assumes "
            "none. Deliver the planned promotions",
            dates=(start.date(), (end - pd.Timedelta(days=1)).date()),
            count=had,
        )
    ]


def _above_list(prepared: Prepared, table: pd.DataFrame) -> list[Alarm]:
    """Promotion prices that are above the prices of the products table."""
    products = prepared.tables["products"]
    if c.PRICE not in products.columns or c.PRICE not in table.columns:
        return []
    listed = products.set_index(products[c.SKU].astype(str))[c.PRICE]
    ratio = table[c.PRICE].to_numpy(dtype=np.float64) / table[c.SKU].astype(str).map(listed).to_numpy(dtype=np.float64)
    stated = np.isfinite(ratio) & (ratio > 0)
    above = stated & (ratio >= LIMITS.price_level)
    if above.sum() < max(LIMITS.fewest_skus, LIMITS.units_skus * stated.sum()):
        return []
    skus = np.unique(table.loc[above, c.SKU].astype(str))
    return [
        raise_alarm(
            "price_level",
            f"promotions: the price is above that of the products table in {int(above.sum()):,} of "
            f"{int(stated.sum()):,} rows, {float(np.median(ratio[above])):.3g} times ({first_few(list(skus))}). Is one "
            "of them in cents or without tax, or is it the discount? Correct it",
            skus=skus,
            count=int(above.sum()),
        )
    ]


def _any_in(table: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> bool:
    return bool(((table[c.DATE_FROM] < end) & (table[c.DATE_TO] >= start)).any())


def _shared_days(table: pd.DataFrame) -> list[Alarm]:
    """Promotions of a SKU that follow each other and share a day, again and again."""
    keys = [name for name in (c.SKU, c.STORE_ID) if name in table.columns]
    ordered = table.sort_values([*keys, c.DATE_FROM], kind="stable")
    next_from = ordered.groupby(keys, dropna=False, observed=True)[c.DATE_FROM].shift(-1)
    gap = (next_from - ordered[c.DATE_TO]).dt.days
    shared, following = gap == 0, gap.isin([0, 1])
    if shared.sum() < LIMITS.fewest_skus or shared.sum() < LIMITS.units_skus * following.sum():
        return []
    rows = ordered[shared]
    days = rows[c.DATE_TO]
    skus = np.unique(rows[c.SKU].astype(str))
    return [
        raise_alarm(
            "promotion_ends",
            f"promotions: {numbered(len(rows), '# row[s] end[s|]')} on the day on which the next promotion of the SKU "
            f"begins ({first_few(list(skus))}). date_to is the last day of a promotion: if the export has the day "
            "after it, subtract one day",
            skus=skus,
            dates=(days.min().date(), days.max().date()),
            count=len(rows),
        )
    ]
