"""Decide whether demand is known, zero or unknown (docs/reference/contract.md#zero-or-unknown).

======================================================================  =====================
A (store, SKU, period) ...                                              its demand is
======================================================================  =====================
before the SKU's first sales row in that store                          unknown (not alive)
after the last period in which any store has a row                      unknown
in a period that the files contain in part only                         unknown
on which the calendar closes the store                                  0, closed
without a row of its store, which is missing                            unknown
without a row of its store, which is usually closed then                0, closed
out of stock by ``availability``, with or without a sales row           unknown
in a gap of the SKU in one store, or of the category in all (``_gaps``) unknown
whose value is an outlier (:mod:`tasks.demand.cleaning.outliers`)       unknown
with a sales row                                                        its units
without one                                                             0
======================================================================  =====================

The first matching line applies. A series (store, category) is the sum of its known SKUs. It is unknown in a period
in which the demand of all its SKUs alive then is unknown.

A gap in a store's rows is missing if its own rate makes it implausible (:mod:`tasks.demand.cleaning.gaps`), or if the
files have a row for nearly every SKU, store and period, also without sales. If most
stores are missing in a period in which no store has a row, all are. A store whose missing gap lasts to the last sales
and is long is permanently closed, unless the calendar has rows of that store that open it in the horizon.

If a sales row has units above 0 on a day on which the calendar closes the store, the store counts as open on that day
and the sale counts. The first period of a series is the first row of any of its SKUs in that store, with any number of
units.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.gaps import Gaps, ended_periods, find_gaps, implausible
from tasks.demand.cleaning.pair_periods import PairPeriods
from tasks.demand.cleaning.sales import BLOCK_LINES, CellIndex, CellPart, SaleCells, TextArray
from tasks.storage.shards import Shards

_MARKED = np.dtype([("key", np.int64)])


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
    """The facts that are known of each store and period.

    Attributes:
        closed: shape (S, T + H); demand is zero and known.
        silent: shape (S, T); the store has no row, and its rate makes the gap implausible: unknown.
        tail: shape (T,); after the last period with a row, and the days after it on which all are closed: unknown.
        partial: shape (T,); the files contain a part of the period only: unknown.
        contradicted: shape (S, T); closed by the calendar, but with a sale: taken as open.
        missing: the gaps of ``silent``.
        doubtful: gaps that count as zero sales although the store sells much in its other periods.
        ended: shape (S,); the store is permanently closed.
    """

    closed: BoolArray
    silent: BoolArray
    tail: BoolArray
    partial: BoolArray
    contradicted: BoolArray
    missing: Gaps
    doubtful: Gaps
    ended: BoolArray


def store_periods(
    cells: SaleCells, calendar_closed: BoolArray, usual: BoolArray, partial: BoolArray, planned: BoolArray
) -> StorePeriods:
    """Closed, missing and unknown periods per store.

    Args:
        cells: cleaned sales of S stores over T periods.
        calendar_closed: shape (S, T + H); closed by the calendar, or by a closing date.
        usual: shape (S, T + H); usually closed (:mod:`tasks.demand.cleaning.closings`).
        partial: shape (T,); the files contain a part of the period only.
        planned: shape (S,); the calendar has rows of the store that open it in the horizon: it is not permanently
            closed.
    """
    stores, history = len(cells.stores), cells.history
    rows, units, end = cells.store_rows, cells.store_units, cells.end
    contradicted = calendar_closed[:, :history] & (units > 0)
    calendar = calendar_closed.copy()
    calendar[:, :history] &= ~contradicted
    is_open = ~calendar[:, :history] & ~(usual[:, :history] & ~rows) & ~partial
    gaps = find_gaps(rows, units, is_open, end, LIMITS.window[cells.frequency.kind])
    odd = implausible(gaps, rows, is_open, cells.frequency.periods_per_year, cells.complete)
    missing, doubtful = gaps.take(odd), gaps.take(gaps.irregular & ~odd)
    silent = missing.mask((stores, history))
    alive = np.arange(history) >= rows.argmax(axis=1)[:, None]
    nobody = ~rows.any(axis=0) & (np.arange(history) < end)
    everywhere = nobody & ((silent & is_open).sum(axis=0) > 0.5 * (alive & is_open).sum(axis=0))
    silent |= everywhere & alive
    silent &= ~calendar[:, :history]
    long = missing.last & (missing.length >= ended_periods(cells.frequency)) & ~planned[missing.store]
    ended = np.isin(np.arange(stores), missing.store[long]) | calendar_closed[:, history:].all(axis=1)
    closed = calendar | usual
    closed[:, :history] &= ~rows | calendar[:, :history]
    closed[:, :history] &= ~silent
    closed[ended, history:] = True
    # Days on which every store is closed have no rows: a run on Monday has all sales of a chain that is closed on
    # Sundays.
    shut: BoolArray = np.asarray(closed[~ended, end:history].all(axis=0) & ~ended.all(), dtype=bool)
    end += len(shut) if shut.all() else int(shut.argmin())
    tail = np.arange(history) >= end
    return StorePeriods(closed, silent, tail, partial, contradicted, missing, doubtful, ended)


def known_demand(cells: CellPart, stores: StorePeriods, unknown: IndexArray) -> FloatArray:
    """Demand per series and period.

    Args:
        cells: cleaned sales of n series over T periods.
        stores: what is known of each store and period.
        unknown: the part's ascending distinct ``pair * T + period`` whose demand is unknown (out of stock, outlier).

    Returns:
        Shape (n, T); units, NaN = unknown.
    """
    n, history = cells.n, cells.history
    first = _first_period(cells)
    alive = _count(cells.pair_series * history + first, n, history).cumsum(axis=1)
    pair, period = np.divmod(unknown, history)
    living = period >= first[pair]
    hidden = _count(cells.pair_series[pair[living]] * history + period[living], n, history)
    counted = ~np.isin(cells.row_keys, unknown)
    demand = cells.by_series(cells.units, counted)
    demand[(hidden >= alive) | stores.silent[cells.series_store]] = np.nan
    demand[stores.closed[cells.series_store, :history]] = 0.0
    demand[(alive == 0) | stores.tail | stores.partial] = np.nan
    return demand


def units_sold(cells: CellPart, stores: StorePeriods) -> FloatArray:
    """Units as sold, per series and period: the units of the rows, and 0 if no row exists.

    Returns:
        Shape (n, T); NaN before a series' first period and after the last period with any row.
    """
    units = cells.by_series(cells.units)
    alive = _count(cells.pair_series * cells.history + _first_period(cells), cells.n, cells.history).cumsum(axis=1)
    units[(alive == 0) | stores.tail] = np.nan
    return units


def out_of_stock(availability: pd.DataFrame | None, cells: SaleCells, as_of: date) -> PairPeriods:
    """Find the pairs and periods that were out of stock.

    Rows on or after ``as_of`` are not read. If periods are longer than a day and the table is daily, a period is out of
    stock if at least half of its days are marked as out of stock.

    Args:
        availability: date, store_id, sku, in_stock; or None.
        cells: cleaned sales; p pairs, T periods.
        as_of: run date: rows before it are read.

    Returns:
        Pairs without a sales row and dates before the first period are omitted.
    """
    if availability is None or availability.empty:
        return PairPeriods.none()
    history, fits = cells.history, True
    part_of_pair = np.empty(len(cells.pair_sku), dtype=np.int64)
    for number, pairs in enumerate(cells.part_pairs):
        part_of_pair[pairs] = number
    shards = Shards(len(cells.part_pairs), _MARKED)
    for first in range(0, len(availability), BLOCK_LINES):
        block = availability.iloc[first : first + BLOCK_LINES]
        block = block[block[c.DATE] < pd.Timestamp(as_of)]
        fits &= bool(cells.frequency.fits(block[c.DATE]).all())
        block = block[block[c.IN_STOCK].astype(float).eq(0.0)]
        pair = pairs_of(block[c.STORE_ID], block[c.SKU], cells)
        period = cells.periods.get_indexer(cells.frequency.label(block[c.DATE]))
        inside = (pair >= 0) & (period >= 0)
        shards.append(part_of_pair[pair[inside]], (pair[inside] * history + period[inside]).view(_MARKED))

    def keys(part: CellPart) -> IndexArray:
        key, days = np.unique(part.renumbered(shards.pop(part.number)["key"]), return_counts=True)
        if fits:
            return key
        return key[days >= RULE.out_of_stock_share * period_days(cells.frequency, cells.periods)[key % history]]

    return PairPeriods(cells, keys)


def pairs_of(store_ids: pd.Series, skus: pd.Series, cells: CellIndex) -> IndexArray:
    """Index of the pair of each store and SKU; -1 where the pair has no sales row."""
    store, sku = _places(cells.stores, store_ids), _places(cells.skus, skus)
    known = store[store >= 0]
    if not len(known):
        return np.full(len(store), -1)
    low, high = np.searchsorted(cells.pair_store, [known.min(), known.max() + 1])
    keys = cells.pair_store[low:high] * len(cells.skus) + cells.pair_sku[low:high]
    wanted = store * len(cells.skus) + sku
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((store >= 0) & (sku >= 0) & (keys[at] == wanted), low + at, -1)


def _places(names: TextArray, ids: pd.Series) -> IndexArray:
    """Position of each id among the names, -1 if it is not among them."""
    if not isinstance(ids.dtype, pd.CategoricalDtype):
        return pd.Index(names).get_indexer(ids.astype(object))
    return np.append(pd.Index(names).get_indexer(ids.cat.categories), -1)[ids.cat.codes]


def period_days(frequency: Frequency, periods: pd.DatetimeIndex) -> IndexArray:
    """Days in each period: 1, 7 or the month's length."""
    if frequency.kind == "MS":
        return periods.days_in_month.to_numpy(dtype=np.int64)
    return np.full(len(periods), 7 if frequency.kind == "W" else 1, dtype=np.int64)


def _first_period(cells: CellPart) -> IndexArray:
    """Shape (p,); the period of each pair's first row (cells are sorted by pair and period)."""
    return cells.cell_period[np.searchsorted(cells.cell_pair, np.arange(len(cells.pair_series)))]


def _count(key: IndexArray, n: int, history: int) -> IndexArray:
    return np.bincount(key, minlength=n * history).reshape(n, history)
