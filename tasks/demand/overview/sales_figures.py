"""Figures about sales: period, months, gaps, stores and SKUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import BoolArray, IndexArray
from tasks.demand.overview.gaps import Gap, gaps_of

# A store opened late or closed early if its first or last sale is this many days from the network's.
_DAYS_APART = 28


@dataclass(frozen=True)
class SaleLines:
    """Accepted sale lines before the run date, with integer codes.

    Attributes:
        stores: sorted IDs that occur in the lines.
        skus: sorted IDs that occur in the lines.
        store: shape (rows,); index into ``stores``.
        sku: shape (rows,); index into ``skus``.
        label: shape (rows,); index into ``labels``.
        labels: periods from the first to the last with a sales row.
        units: shape (rows,).
        later: rows on or after the run date, which a run does not use.
    """

    stores: list[str]
    skus: list[str]
    store: IndexArray
    sku: IndexArray
    label: IndexArray
    labels: pd.DatetimeIndex
    units: np.ndarray
    first_day: date
    last_day: date
    later: int

    @classmethod
    def of(cls, sales: pd.DataFrame, frequency: Frequency, as_of: date) -> SaleLines | None:
        """Code the lines before the run date; None if there are none."""
        used = sales[c.DATE].to_numpy() < np.datetime64(as_of)
        lines = sales if used.all() else sales[used]
        if not len(lines):
            return None
        store, stores = pd.factorize(lines[c.STORE_ID], sort=True)
        sku, skus = pd.factorize(lines[c.SKU], sort=True)
        day, days = pd.factorize(lines[c.DATE])
        labels = frequency.label(pd.Series(days))
        periods = frequency.between(labels.min(), labels.max())
        return cls(
            stores=list(stores),
            skus=list(skus),
            store=store,
            sku=sku,
            label=periods.get_indexer(pd.DatetimeIndex(labels))[day],
            labels=periods,
            units=lines[c.UNITS].to_numpy(dtype=float),
            first_day=days.min().date(),
            last_day=days.max().date(),
            later=int(len(sales) - len(lines)),
        )

    @cached_property
    def sells(self) -> BoolArray:
        """Shape (stores, periods): the store has a line in the period."""
        found = np.zeros((len(self.stores), len(self.labels)), dtype=bool)
        found[self.store, self.label] = True
        return found


@dataclass(frozen=True)
class SalesFigures:
    """Figures about the sales.

    Attributes:
        months: month to units, returns counted as 0.
        returns: lines with negative units, and their share.
        never_open: weekdays (0 = Monday) on which no store sells.
        network_gaps: periods in which no store sells, without the weekdays above and days closed by the calendar.
        store_gaps: store to the number of such periods between its first and last sale, and the longest gap; most
            missing first.
        opened: store to its first sale.
        closed: store to its last sale.
        unsold: SKUs of the product table without a sale.
        categories: number of categories with sales.
    """

    first: date
    last: date
    later: int
    lines: int
    units: float
    stores: int
    skus: int
    categories: int
    months: dict[str, float]
    returns: int
    never_open: list[int]
    network_gaps: list[Gap]
    store_gaps: dict[str, tuple[int, Gap]]
    opened: dict[str, date]
    closed: dict[str, date]
    silent_stores: list[str]
    unsold: list[str]


def sales_figures(
    lines: SaleLines, tables: Mapping[str, pd.DataFrame], products: pd.DataFrame, closed: BoolArray, daily: bool
) -> SalesFigures:
    """Compute the figures.

    Args:
        lines: coded sale lines.
        tables: accepted rows by table.
        products: the product table with its category.
        closed: shape (stores, periods); closed by the calendar.
        daily: whether one period is a day.
    """
    sold = np.where(lines.units > 0, lines.units, 0.0)
    of_label = np.bincount(lines.label, weights=sold, minlength=len(lines.labels))
    months = pd.Series(of_label, index=lines.labels.strftime("%Y-%m")).groupby(level=0).sum()
    weekdays = lines.labels.dayofweek.to_numpy()
    any_store: BoolArray = np.asarray(lines.sells.any(axis=0))
    never = [day for day in range(7) if daily and (weekdays == day).any() and not any_store[weekdays == day].any()]
    expected: BoolArray = ~np.isin(weekdays, never) & ~closed.all(axis=0)
    first, last = lines.sells.argmax(axis=1), len(lines.labels) - 1 - lines.sells[:, ::-1].argmax(axis=1)
    apart = _DAYS_APART if daily else max(1, round(_DAYS_APART / 7))
    category = products.set_index(c.SKU)[c.CATEGORY]
    return SalesFigures(
        first=lines.first_day,
        last=lines.last_day,
        later=lines.later,
        lines=len(lines.units),
        units=float(sold.sum()),
        stores=len(lines.stores),
        skus=len(lines.skus),
        categories=int(category.reindex(lines.skus).nunique()),
        months={str(month): float(units) for month, units in months.items()},
        returns=int((lines.units < 0).sum()),
        never_open=never,
        network_gaps=gaps_of(~any_store & expected, expected, lines.labels),
        store_gaps=_store_gaps(lines, (expected & any_store)[None, :] & ~closed, weekdays, daily),
        opened={s: lines.labels[at].date() for s, at in zip(lines.stores, first, strict=True) if at >= apart},
        closed={
            s: lines.labels[at].date()
            for s, at in zip(lines.stores, last, strict=True)
            if at < len(lines.labels) - apart
        },
        silent_stores=sorted(set(tables["stores"][c.STORE_ID]) - set(lines.stores)),
        unsold=sorted(set(tables["products"][c.SKU]) - set(lines.skus)),
    )


def _store_gaps(lines: SaleLines, expected: BoolArray, weekdays: np.ndarray, daily: bool) -> dict[str, tuple[int, Gap]]:
    """Missing periods between a store's first and last sale, without the weekdays on which it never sells.

    Args:
        lines: coded sale lines.
        expected: shape (stores, periods); the store should sell.
        weekdays: shape (periods,).
        daily: whether one period is a day.
    """
    found = {}
    for at, store in enumerate(lines.stores):
        sells = lines.sells[at]
        inside = np.zeros(len(sells), dtype=bool)
        inside[sells.argmax() : len(sells) - sells[::-1].argmax()] = True
        wanted = expected[at] & inside
        if daily:
            wanted &= np.isin(weekdays, np.unique(weekdays[sells]))
        gaps = gaps_of(~sells & wanted, wanted, lines.labels)
        if gaps:
            longest = max(gaps, key=lambda gap: gap.periods)
            found[store] = (sum(gap.periods for gap in gaps), longest)
    return dict(sorted(found.items(), key=lambda item: (-item[1][0], item[0])))
