"""Which demand is known, zero or unknown (docs/reference/contract.md#zero-or-unknown).

======================================================================  =====================
A (store, SKU, period) ...                                              its demand is
======================================================================  =====================
before the SKU's first sales row in that store                          unknown (not alive)
after the last period in which any store has a row                      unknown
on which the calendar closes the store                                  0, closed
in a period without a row of any store                                  0, closed
in a period in which its store has no row while others have             unknown
out of stock by ``availability``, with or without a sales row           unknown
whose value is an outlier (:mod:`tasks.demand.cleaning.outliers`)       unknown
with a sales row                                                        its units
without one                                                             0
======================================================================  =====================

The first matching line applies. A series (store, category) is the sum of its known SKUs. It is unknown in a period
in which the demand of all its SKUs alive then is unknown.

If a sales row has units above 0 on a day on which the calendar closes the store, the store counts as open on that
day and the sale counts. The first period of a series is the first row of any of its SKUs in that store, with any
number of units.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.cleaning.sales import SaleCells, weighted_count


@dataclass(frozen=True)
class ExposureRule:
    """The numbers of known and unknown demand (docs/reference/constants.md).

    Attributes:
        out_of_stock_share: with daily stock-out flags and longer periods, the demand of a period is unknown from this
            fraction of out-of-stock days on.
    """

    out_of_stock_share: float = 0.5


RULE = ExposureRule()


@dataclass(frozen=True)
class StorePeriods:
    """What is known of each store and period.

    Attributes:
        closed: shape (S, T + H); demand is zero and known.
        silent: shape (S, T); the store has no row while others have: unknown.
        tail: shape (T,); after the last period with a row: unknown.
        contradicted: shape (S, T); closed by the calendar, but with a sale: taken as open.
    """

    closed: BoolArray
    silent: BoolArray
    tail: BoolArray
    contradicted: BoolArray


def store_periods(cells: SaleCells, calendar_closed: BoolArray) -> StorePeriods:
    """Closed, silent and unknown periods per store.

    Args:
        cells: cleaned sales of S stores over T periods.
        calendar_closed: shape (S, T + H); closed by the calendar.
    """
    stores, history = len(cells.stores), cells.history
    key = cells.cell_store * history + cells.cell_period
    rows = np.bincount(key, minlength=stores * history).reshape(stores, history) > 0
    sold = weighted_count(key, cells.units, stores, history) > 0
    any_row = rows.any(axis=0)
    tail = np.arange(history) > np.flatnonzero(any_row).max()
    contradicted = calendar_closed[:, :history] & sold
    closed = calendar_closed.copy()
    closed[:, :history] &= ~sold
    closed[:, :history] |= ~any_row & ~tail
    silent = ~rows & any_row & ~closed[:, :history]
    return StorePeriods(closed, silent, tail, contradicted)


def known_demand(cells: SaleCells, stores: StorePeriods, unknown: IndexArray) -> FloatArray:
    """Demand per series and period.

    Args:
        cells: cleaned sales; p pairs, n series, T periods.
        stores: what is known of each store and period.
        unknown: sorted distinct ``pair * T + period`` whose demand is unknown (out of stock, outlier).

    Returns:
        Shape (n, T); units, NaN = unknown.
    """
    n, history = cells.n, cells.history
    first = _first_period(cells)
    alive = _count(cells.pair_series * history + first, n, history).cumsum(axis=1)
    pair, period = np.divmod(unknown, history)
    living = period >= first[pair]
    hidden = _count(cells.pair_series[pair[living]] * history + period[living], n, history)
    counted = ~np.isin(cells.cell_pair * history + cells.cell_period, unknown)
    demand = cells.by_series(cells.units, counted)
    demand[(hidden >= alive) | stores.silent[cells.series_store]] = np.nan
    demand[stores.closed[cells.series_store, :history]] = 0.0
    demand[(alive == 0) | stores.tail] = np.nan
    return demand


def units_sold(cells: SaleCells, stores: StorePeriods) -> FloatArray:
    """Units as sold, per series and period: what the rows say, and 0 without one.

    Returns:
        Shape (n, T); NaN before a series' first period and after the last period with any row.
    """
    sold = cells.by_series(cells.units)
    alive = _count(cells.pair_series * cells.history + _first_period(cells), cells.n, cells.history).cumsum(axis=1)
    sold[(alive == 0) | stores.tail] = np.nan
    return sold


def out_of_stock(availability: pd.DataFrame | None, cells: SaleCells, as_of: date) -> IndexArray:
    """Which pairs were out of stock when.

    Rows on or after ``as_of`` are not read. Where the frequency is longer than a day and the table is
    daily, a period is out of stock when at least half of its days are marked so.

    Args:
        availability: date, store_id, sku, in_stock; or None.
        cells: cleaned sales; p pairs, T periods.
        as_of: run date: rows before it are read.

    Returns:
        Sorted distinct ``pair * T + period``; pairs without a sales row and dates before the first are
        left out.
    """
    if availability is None or availability.empty:
        return np.zeros(0, dtype=np.int64)
    before = availability[c.DATE] < pd.Timestamp(as_of)
    marked = availability.loc[before & availability[c.IN_STOCK].astype(float).eq(0.0)]
    pair = pairs_of(marked[c.STORE_ID], marked[c.SKU], cells)
    period = cells.periods.get_indexer(cells.frequency.label(marked[c.DATE]))
    inside = (pair >= 0) & (period >= 0)
    key, days = np.unique(pair[inside] * cells.history + period[inside], return_counts=True)
    if cells.frequency.fits(availability.loc[before, c.DATE]).all():
        return key
    return key[days >= RULE.out_of_stock_share * period_days(cells.frequency, cells.periods)[key % cells.history]]


def pairs_of(store_ids: pd.Series, skus: pd.Series, cells: SaleCells) -> IndexArray:
    """Index of the pair of each store and SKU; -1 where the pair has no sales row."""
    store = pd.Index(cells.stores).get_indexer(store_ids.astype(object))
    sku = pd.Index(cells.skus).get_indexer(skus.astype(object))
    keys = cells.pair_store * len(cells.skus) + cells.pair_sku
    wanted = store * len(cells.skus) + sku
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((store >= 0) & (sku >= 0) & (keys[at] == wanted), at, -1)


def period_days(frequency: Frequency, periods: pd.DatetimeIndex) -> IndexArray:
    """Days in each period: 1, 7 or the month's length."""
    if frequency.kind == "MS":
        return periods.days_in_month.to_numpy(dtype=np.int64)
    return np.full(len(periods), 7 if frequency.kind == "W" else 1, dtype=np.int64)


def _first_period(cells: SaleCells) -> IndexArray:
    """Shape (p,); the period of each pair's first row (cells are sorted by pair and period)."""
    return cells.cell_period[np.searchsorted(cells.cell_pair, np.arange(len(cells.pair_series)))]


def _count(key: IndexArray, n: int, history: int) -> IndexArray:
    return np.bincount(key, minlength=n * history).reshape(n, history)
