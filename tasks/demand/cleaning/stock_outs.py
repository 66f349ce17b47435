"""Stock-outs without the table ``availability``: what sales and counted stock show, and the units that they hide.

- **Counted.** If the stock of a SKU is 0 before opening on a day, the store has had none since its last sale: a sale or
  a delivery in between would have left a row or stock. This holds for the last count and for all dated ones.
- **Improbable.** Gaps that the SKU's own rate and the sales of the other stores make improbable
  (:mod:`tasks.demand.cleaning.sku_gaps`).

The demand of these periods is unknown. If the missing SKUs would have sold at least ``LIMITS.missing_units`` of a
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
from tasks.demand.cleaning.sales import CellPart, SaleCells, distinct, weighted_count, without
from tasks.demand.cleaning.sku_gaps import first_period, last_period, local_gaps, open_and_known, pairs_in, spans

# Pairs whose units are expected at once.
_BLOCK_PAIRS = 1 << 11


@dataclass(frozen=True)
class StockOuts:
    """SKUs that were probably not in stock.

    Attributes:
        keys: sorted distinct ``pair * T + period``.
        units: shape of ``keys``; units that the SKU would have sold, 0 if it may be out of the assortment.
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
    keys = without(np.concatenate([local_gaps(cells, stores, empty), since]), known)
    if not len(keys):
        return StockOuts.none()
    units = expected_units(cells, stores, keys, distinct(np.concatenate([keys, known])))
    units[keys % cells.history >= _in_assortment(cells)[keys // cells.history]] = 0.0
    return StockOuts(keys, units, _partly(cells, keys, units))


def marked_stock_outs(cells: SaleCells, stores: StorePeriods, marked: IndexArray, known: IndexArray) -> StockOuts:
    """The stock-outs of the table ``availability``: units are those expected, without those that were sold.

    Args:
        cells: cleaned sales; p pairs, T periods.
        stores: what is known of each store and period.
        marked: sorted distinct ``pair * T + period`` that are out of stock.
        known: sorted distinct ``pair * T + period`` that are unknown for another reason.
    """
    units = expected_units(cells, stores, marked, distinct(np.concatenate([marked, known])))
    for part in cells.parts():
        place = np.minimum(np.searchsorted(marked, part.keys), len(marked) - 1)
        sold = marked[place] == part.keys
        units[place[sold]] -= part.units[sold]
    return StockOuts(marked, np.maximum(units, 0.0), marked[:0])


def expected_units(cells: SaleCells, stores: StorePeriods, keys: IndexArray, unknown: IndexArray) -> FloatArray:
    """Units that SKUs would have sold, shape of ``keys``.

    The units of the other stores in that period, times the store's units per unit of the other stores in all periods in
    which it is open and its demand is known. A SKU that no other store sells then sells its mean of these periods.

    Args:
        cells: cleaned sales; p pairs, T periods.
        stores: what is known of each store and period.
        keys: sorted distinct ``pair * T + period``.
        unknown: all of them whose demand is unknown, also sorted and distinct.
    """
    history, network = cells.history, cells.sku_units()
    shut = stores.closed[:, :history] | stores.silent | stores.partial | (np.arange(history) >= cells.end)
    found = np.zeros(len(keys))
    for part in cells.parts():
        place = _places(part, keys)
        pair, at = np.divmod(part.own(keys), history)
        hidden_pair, hidden_at = np.divmod(part.own(unknown), history)
        some = distinct(pair)
        for chosen in np.array_split(some, max(1, -(-len(some) // _BLOCK_PAIRS))):
            row = np.full(len(part.pair_series), -1)
            row[chosen] = np.arange(len(chosen))
            own = np.zeros((len(chosen), history))
            rows = row[part.cell_pair] >= 0
            own[row[part.cell_pair[rows]], part.cell_period[rows]] = part.units[rows]
            others = network[part.pair_sku[chosen]] - own
            known = ~shut[part.pair_store[chosen]] & (np.arange(history) >= first_period(part)[chosen, None])
            inside = row[hidden_pair] >= 0
            known[row[hidden_pair[inside]], hidden_at[inside]] = False
            sold, elsewhere = (own * known).sum(axis=1), (others * known).sum(axis=1)
            alone = elsewhere <= 0
            ratio = sold / np.where(alone, np.maximum(known.sum(axis=1), 1), elsewhere)
            wanted = row[pair] >= 0
            of = row[pair[wanted]]
            found[place[wanted]] = ratio[of] * np.where(alone[of], 1.0, others[of, at[wanted]])
    return found


def _places(part: CellPart, keys: IndexArray) -> IndexArray:
    """Places of the part's keys among ascending keys ``pair * T + period``, in the order of ``part.own``."""
    if not len(part.pairs):
        return keys[:0]
    low, high = np.searchsorted(keys, [part.pairs[0] * part.history, (part.pairs[-1] + 1) * part.history])
    found: IndexArray = low + np.flatnonzero(np.isin(keys[low:high] // part.history, part.pairs))
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
    """Periods from the last sale of a pair to a count of 0, sorted distinct ``pair * T + period``.

    With daily periods, the day of the count is one of them if it has no sale. A pair counts if it had sales in
    ``LIMITS.pattern_cases`` periods before, if it has no sale for less than ``LIMITS.ended`` periods, and if other
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
        sells = part.units > 0
        period, key = part.cell_period[sells], (part.cell_pair * history + part.cell_period)[sells]
        begin, close = np.searchsorted(key, own * history), np.searchsorted(key, own * history + until)
        rows = close - begin
        own, until, begin, close = (x[rows >= LIMITS.pattern_cases] for x in (own, until, begin, close))
        start = period[close - 1] + 1
        if daily:
            on_day = np.zeros(len(own), dtype=bool)
            inner = close < len(key)
            on_day[inner] = key[close[inner]] == own[inner] * history + until[inner]
            until = np.where(on_day | (until == history), until, until + 1)
        base = part.pair_sku[own] * history
        units = np.concatenate([[0.0], part.units[sells].cumsum()])
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


def _partly(cells: SaleCells, keys: IndexArray, units: FloatArray) -> IndexArray:
    """The other pairs of categories of which the stock-outs hide a large part; ``pair * T + period``.

    The part is that of a week around the period, without periods in which nothing is hidden.
    """
    history, width = cells.history, cells.frequency.periods_per_week // 2
    found = [np.zeros(0, dtype=np.int64)]
    for part in cells.parts():
        pair, at = np.divmod(part.own(keys), history)
        key = part.pair_series[pair] * history + at
        hidden = weighted_count(key, units[_places(part, keys)], part.n, history)
        some = hidden > 0
        sold = part.by_series(part.units) * some
        of_week, sold_in_week = (_around(values, width) for values in (hidden, sold))
        partly = some & (of_week >= LIMITS.missing_units * (of_week + sold_in_week))
        pair, at = pairs_in(part, np.flatnonzero(partly))
        found.append(part.pairs[pair] * history + at)
    return without(np.concatenate(found), keys)


def _around(values: FloatArray, width: int) -> FloatArray:
    """Sums from ``width`` periods before to ``width`` periods after each period, shape (n, T)."""
    total = np.pad(values.cumsum(axis=1), ((0, 0), (1, 0)))
    at = np.arange(values.shape[1])
    around: FloatArray = total[:, np.minimum(at + width + 1, len(at))] - total[:, np.maximum(at - width, 0)]
    return around
