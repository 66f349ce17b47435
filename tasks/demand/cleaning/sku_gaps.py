"""Periods in which one store does not sell a SKU that the other stores sell: probably not in stock, so unknown.

Only without the table ``availability``. The expected units of a gap are the store's share of the SKU before the gap,
times the units of the other stores in the gap: seasons, promotions and the end of a SKU's life do not look like gaps.
With u own units and b units of the other stores before the gap, d units of the other stores in it, and the ratio φ ≥ 1
of variance to mean of the SKU's units per period in that store, the predictive probability of no sale is
(1 + d / b)^(−u / φ). By the periods with and without rows before the gap alone, it is that of
:func:`tasks.demand.cleaning.gaps.log_chance_of_run`. Both must be below ``LIMITS.sku_chance``. Without sales after it,
a gap counts only if the stock of the SKU in that store is 0.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.exposure import StorePeriods, pairs_of
from tasks.demand.cleaning.gaps import log_chance_of_run
from tasks.demand.cleaning.sales import CellPart, SaleCells, distinct

# Gaps that are judged at once.
_BLOCK_GAPS = 1 << 18


def local_gaps(cells: SaleCells, stores: StorePeriods, stock: pd.DataFrame | None) -> IndexArray:
    """Find the periods of such gaps in which the store is open and its sales are known.

    Args:
        cells: cleaned sales; p pairs, T periods.
        stores: what is known of each store and period.
        stock: last counts: store_id, sku, on_hand; None if there are none.

    Returns:
        Sorted distinct ``pair * T + period``.
    """
    history, end = cells.history, cells.end
    sold = _running(cells.sku_units().ravel())
    empty = np.zeros(len(cells.pair_sku), dtype=bool)
    empty[_without_stock(cells, stock)] = True
    found = [np.zeros(0, dtype=np.int64)]
    for part in cells.parts():
        pair, period = np.divmod(_gaps_of_part(part, end, sold, empty[part.pairs]), history)
        found.append(part.pairs[pair] * history + period)
    key = distinct(np.concatenate(found))
    store, at = cells.pair_store[key // history], key % history
    open_and_known = ~stores.silent[store, at] & ~stores.closed[store, at] & ~stores.partial[at]
    return key[open_and_known]


def _gaps_of_part(cells: CellPart, end: int, sold: FloatArray, empty: BoolArray) -> IndexArray:
    """The periods of the gaps of some stores, open or not.

    Args:
        cells: cleaned sales of the stores; p pairs.
        end: number of periods up to the last one with sales of any store.
        sold: shape (K * T + 1,); units of all stores before ``sku * T + period``.
        empty: shape (p,); the last count of the SKU is 0: a gap may be its last.
    """
    history, pair, period, units = cells.history, cells.cell_pair, cells.cell_period, cells.units
    final = np.append(pair[1:] != pair[:-1], True)
    until = np.where(final, end, np.roll(period, -1))
    kept = (until - period - 1 >= LIMITS.sku_gap[cells.frequency.kind]) & (~final | empty[pair])
    own_key = pair * history + period
    total, squares = _running(units), _running(units**2)
    limit = np.log(LIMITS.sku_chance)
    gaps = np.flatnonzero(kept)
    keys = [np.zeros(0, dtype=np.int64)]
    for block in np.array_split(gaps, max(1, -(-len(gaps) // _BLOCK_GAPS))):
        of, start, stop = pair[block], period[block] + 1, until[block]
        first = period[np.searchsorted(pair, of)]
        low = np.maximum(start - LIMITS.window[cells.frequency.kind], first)
        begin, close = (np.searchsorted(own_key, of * history + at) for at in (low, start))
        own, square = total[close] - total[begin], squares[close] - squares[begin]
        base = cells.pair_sku[of] * history
        earlier, now, later = (sold[base + at] for at in (low, start, stop))
        before, during = now - earlier - own, later - now
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = own / (start - low)
            dispersion = np.maximum((square / (start - low) - mean**2) / mean, 1.0)
            score = own / dispersion * np.log1p(during / before)
        rows = (close - begin).astype(np.float64)
        own_rate = log_chance_of_run(start - low - rows, (start - low).astype(np.float64), stop - start)
        found = (before >= LIMITS.fewest_lines) & (-score < limit) & (own_rate < limit)
        length = stop[found] - start[found]
        shift = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length)
        keys.append(np.repeat(of[found] * history + start[found], length) + shift)
    return np.concatenate(keys)


def _without_stock(cells: SaleCells, stock: pd.DataFrame | None) -> IndexArray:
    """Pairs whose last count is 0."""
    if stock is None:
        return np.zeros(0, dtype=np.int64)
    empty = stock.loc[stock[c.ON_HAND] <= 0]
    return pairs_of(empty[c.STORE_ID], empty[c.SKU], cells)


def _running(values: FloatArray) -> FloatArray:
    """Sums of the first 0, 1, 2, ... values."""
    total: FloatArray = np.concatenate([[0.0], values.cumsum()])
    return total
