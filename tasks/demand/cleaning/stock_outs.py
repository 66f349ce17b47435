"""Stock-outs without the table ``availability``: what sales and counted stock show, and the units that they hide.

- **Counted.** If the stock of a SKU is 0 before opening on a day, the store has had none since its last sale: a sale or
  a delivery in between would have left a row or stock. This holds for the last count and for all dated ones.
- **Improbable.** Gaps that the SKU's own rate and the sales of the other stores make improbable
  (:mod:`tasks.demand.cleaning.sku_gaps`).

The demand of these periods is unknown. If the missing SKUs usually sell at least ``LIMITS.missing_units`` of a
category's units in the store, the category's demand is unknown too: the sum of the other SKUs would be learned as low
demand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.exposure import StorePeriods, pairs_of
from tasks.demand.cleaning.sales import SaleCells, distinct
from tasks.demand.cleaning.sku_gaps import first_period, last_period, local_gaps, open_and_known, pairs_in, spans


@dataclass(frozen=True)
class StockOuts:
    """SKUs that were probably not in stock.

    Attributes:
        keys: sorted distinct ``pair * T + period``.
        units: shape of ``keys``; units that the SKU usually sells in a period, 0 if it may be out of the assortment.
        partly: sorted distinct ``pair * T + period`` of the other SKUs of categories that are unknown for this reason.
    """

    keys: IndexArray
    units: FloatArray
    partly: IndexArray

    @classmethod
    def none(cls) -> StockOuts:
        """No stock-outs."""
        keys = np.zeros(0, dtype=np.int64)
        return cls(keys, np.zeros(0), keys)


def suspected_stock_outs(
    cells: SaleCells, stores: StorePeriods, stock: pd.DataFrame | None, as_of: date, known: IndexArray
) -> StockOuts:
    """Find stock-outs without the table ``availability``.

    Args:
        cells: cleaned sales; p pairs, T periods.
        stores: what is known of each store and period.
        stock: counts: store_id, sku, on_hand and perhaps date; None if there are none.
        as_of: run date: counts on or before it are read.
        known: sorted distinct ``pair * T + period`` that are unknown for another reason.
    """
    pair, at, last = _empty_counts(cells, stock, as_of)
    empty = np.zeros(len(cells.pair_sku), dtype=bool)
    empty[pair[last]] = True
    since = open_and_known(_since_last_sale(cells, pair, at), cells, stores)
    keys = np.setdiff1d(np.concatenate([local_gaps(cells, stores, empty), since]), known)
    if not len(keys):
        return StockOuts.none()
    rate, until = usual_units(cells, stores, distinct(np.concatenate([keys, known]))), _in_assortment(cells)
    pair, period = np.divmod(keys, cells.history)
    counted = period < until[pair]
    return StockOuts(keys, np.where(counted, rate[pair], 0.0), _partly(cells, keys[counted], rate, until))


def marked_stock_outs(cells: SaleCells, stores: StorePeriods, marked: IndexArray, known: IndexArray) -> StockOuts:
    """The stock-outs of the table ``availability``: units are those usually sold, without those that were sold.

    Args:
        cells: cleaned sales; p pairs, T periods.
        stores: what is known of each store and period.
        marked: sorted distinct ``pair * T + period`` that are out of stock.
        known: sorted distinct ``pair * T + period`` that are unknown for another reason.
    """
    rate = usual_units(cells, stores, distinct(np.concatenate([marked, known])))
    units = rate[marked // cells.history]
    for part in cells.parts():
        place = np.minimum(np.searchsorted(marked, part.keys), len(marked) - 1)
        sold = marked[place] == part.keys
        units[place[sold]] -= part.units[sold]
    return StockOuts(marked, np.maximum(units, 0.0), marked[:0])


def usual_units(cells: SaleCells, stores: StorePeriods, unknown: IndexArray) -> FloatArray:
    """Mean units of each pair in the open periods from its first row on in which its demand is known, shape (p,).

    Args:
        cells: cleaned sales; p pairs, T periods.
        stores: what is known of each store and period.
        unknown: sorted distinct ``pair * T + period`` whose demand is unknown.
    """
    found = np.zeros(len(cells.pair_sku))
    history = cells.history
    shut = stores.closed[:, :history] | stores.silent | stores.partial | (np.arange(history) >= cells.end)
    opened = np.concatenate([np.zeros((len(shut), 1)), (~shut).cumsum(axis=1)], axis=1)
    for part in cells.parts():
        hidden = part.own(unknown)
        first = first_period(part)
        units = np.where(np.isin(part.cell_pair * history + part.cell_period, hidden), 0.0, part.units)
        pair, at = np.divmod(hidden, history)
        inside = (at >= first[pair]) & ~shut[part.pair_store[pair], at]
        lost = np.bincount(pair[inside], minlength=len(first))
        periods = opened[part.pair_store, history] - opened[part.pair_store, first] - lost
        total = np.bincount(part.cell_pair, units, len(first))
        found[part.pairs] = np.divide(total, periods, out=np.zeros(len(first)), where=periods > 0)
    return found


def _empty_counts(
    cells: SaleCells, stock: pd.DataFrame | None, as_of: date
) -> tuple[IndexArray, IndexArray, BoolArray]:
    """Counts of 0 in stores that have stock of another SKU on that day.

    Returns:
        Pair, period that contains the day (T or more = after the history), and whether it is the pair's last count.
    """
    if stock is None or stock.empty:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none.astype(bool)
    dates = stock[c.DATE] if c.DATE in stock.columns else pd.Series(pd.Timestamp(as_of), index=stock.index)
    counts = stock[[c.STORE_ID, c.SKU, c.ON_HAND]].assign(**{c.DATE: dates})
    counts = counts[dates <= pd.Timestamp(as_of)].sort_values(c.DATE, kind="stable")
    last = ~counts.duplicated([c.STORE_ID, c.SKU], keep="last").to_numpy()
    some = counts.groupby([c.STORE_ID, c.DATE], observed=True)[c.ON_HAND].transform("max").gt(0).to_numpy()
    empty = some & counts[c.ON_HAND].le(0).to_numpy()
    counts, last = counts[empty], last[empty]
    pair = pairs_of(counts[c.STORE_ID], counts[c.SKU], cells)
    at = cells.periods.searchsorted(cells.frequency.label(counts[c.DATE]).to_numpy())
    sold = pair >= 0
    return pair[sold], at[sold].astype(np.int64), last[sold]


def _since_last_sale(cells: SaleCells, pair: IndexArray, at: IndexArray) -> IndexArray:
    """Periods from the last row of a pair to a count of 0, sorted distinct ``pair * T + period``.

    With daily periods, the day of the count is one of them if it has no row. A pair counts if it had rows in
    ``LIMITS.pattern_cases`` periods before, if it has no row for less than ``LIMITS.ended`` periods, and if other
    stores, where there are any, still sell the SKU: otherwise the SKU may be out of the assortment.
    """
    history, daily = cells.history, cells.frequency.kind == "D"
    sold = cells.sku_units().ravel()
    total = np.concatenate([[0.0], sold.cumsum()])
    found = [np.zeros(0, dtype=np.int64)]
    for part in cells.parts():
        place = np.full(len(cells.pair_sku), -1)
        place[part.pairs] = np.arange(len(part.pairs))
        own, until = place[pair], np.minimum(at, history)
        own, until = own[own >= 0], until[own >= 0]
        key = part.cell_pair * history + part.cell_period
        begin, close = np.searchsorted(key, own * history), np.searchsorted(key, own * history + until)
        rows = close - begin
        own, until, begin, close = (x[rows >= LIMITS.pattern_cases] for x in (own, until, begin, close))
        start = part.cell_period[close - 1] + 1
        if daily:
            sells = np.zeros(len(own), dtype=bool)
            inner = close < len(key)
            sells[inner] = key[close[inner]] == own[inner] * history + until[inner]
            until = np.where(sells | (until == history), until, until + 1)
        base = part.pair_sku[own] * history
        units = np.concatenate([[0.0], part.units.cumsum()])
        others = total[base + start] - total[base] - (units[close] - units[begin])
        kept = (start < until) & (until - start < LIMITS.ended[cells.frequency.kind])
        kept &= (others <= 0) | (total[base + until] > total[base + start])
        found.append(spans(part.pairs[own[kept]] * history + start[kept], (until - start)[kept]))
    return distinct(np.concatenate(found))


def _in_assortment(cells: SaleCells) -> IndexArray:
    """Period before which each pair is in the assortment, shape (p,).

    That of its last row, if it has had none for ``LIMITS.ended`` periods up to the last sales; T for all others.
    """
    found = np.full(len(cells.pair_sku), cells.history)
    for part in cells.parts():
        last = last_period(part)
        ended = cells.end - 1 - last >= LIMITS.ended[cells.frequency.kind]
        found[part.pairs[ended]] = last[ended] + 1
    return found


def _partly(cells: SaleCells, keys: IndexArray, rate: FloatArray, until: IndexArray) -> IndexArray:
    """The other pairs of categories of which the stock-outs hide a large part; ``pair * T + period``."""
    history = cells.history
    found = [np.zeros(0, dtype=np.int64)]
    for part in cells.parts():
        pair, at = np.divmod(part.own(keys), history)
        row, size, of_pair = part.pair_series * (history + 1), part.n * (history + 1), rate[part.pairs]
        hidden = np.bincount(row[pair] + at, of_pair[pair], size)
        change = np.bincount(row + first_period(part), of_pair, size)
        change -= np.bincount(row + until[part.pairs], of_pair, size)
        alive = change.reshape(part.n, -1).cumsum(axis=1).ravel()
        series, at = np.divmod(np.flatnonzero((hidden > 0) & (hidden >= LIMITS.missing_units * alive)), history + 1)
        pair, at = pairs_in(part, series * history + at)
        found.append(part.pairs[pair] * history + at)
    return np.setdiff1d(np.concatenate(found), keys)
