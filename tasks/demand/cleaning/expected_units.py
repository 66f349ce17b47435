"""Units that a SKU would have sold in a store in periods in which it was not in stock."""

from __future__ import annotations

import numpy as np

from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.cleaning.exposure import StorePeriods
from tasks.demand.cleaning.pair_periods import first_period
from tasks.demand.cleaning.sales import CellPart, SaleCells, distinct

# Pairs times periods that are computed at once.
_BLOCK_VALUES = 1 << 19


def shut_periods(cells: SaleCells, stores: StorePeriods) -> BoolArray:
    """Periods of each store that say nothing about its demand, shape (S, T)."""
    history = cells.history
    return stores.closed[:, :history] | stores.silent | stores.partial | (np.arange(history) >= cells.end)


def expected_units(
    part: CellPart, network: FloatArray, shut: BoolArray, keys: IndexArray, unknown: IndexArray
) -> FloatArray:
    """Units that SKUs would have sold, shape of ``keys``.

    The units of the other stores in that period, times the store's units per unit of the other stores in all periods in
    which it is open and its demand is known. A SKU that no other store sells then sells its mean of these periods.

    Args:
        part: cleaned sales of some series; p pairs, T periods.
        network: shape (K, T); units of all stores per SKU.
        shut: shape (S, T); see :func:`shut_periods`.
        keys: ascending distinct ``pair * T + period``.
        unknown: all of them whose demand is unknown, also ascending and distinct.
    """
    found, history = np.zeros(len(keys)), part.history
    pairs, first = distinct(keys // history), first_period(part)
    size = max(1, _BLOCK_VALUES // history)
    for chosen in (pairs[start : start + size] for start in range(0, len(pairs), size)):
        own = np.zeros((len(chosen), history))
        cells = _places(part.cell_pair, chosen, 1)
        row, inside = _rows(part.cell_pair[cells], chosen)
        own[row, part.cell_period[cells][inside]] = part.units[cells][inside]
        others = network[part.pair_sku[chosen]] - own
        known = ~shut[part.pair_store[chosen]] & (np.arange(history) >= first[chosen, None])
        pair, at = np.divmod(unknown[_places(unknown, chosen, history)], history)
        row, inside = _rows(pair, chosen)
        known[row, at[inside]] = False
        sold, elsewhere = (own * known).sum(axis=1), (others * known).sum(axis=1)
        alone = elsewhere <= 0
        ratio = sold / np.where(alone, np.maximum(known.sum(axis=1), 1), elsewhere)
        wanted = _places(keys, chosen, history)
        pair, at = np.divmod(keys[wanted], history)
        row, _ = _rows(pair, chosen)
        found[wanted] = ratio[row] * np.where(alone[row], 1.0, others[row, at])
    return found


def _places(ascending: IndexArray, chosen: IndexArray, scale: int) -> slice:
    """Places of ascending ``pair * scale + ...`` from the first to the last of the chosen pairs."""
    low, high = np.searchsorted(ascending, [chosen[0] * scale, (chosen[-1] + 1) * scale])
    return slice(int(low), int(high))


def _rows(pair: IndexArray, chosen: IndexArray) -> tuple[IndexArray, BoolArray]:
    """Positions among the chosen pairs, of the pairs that are chosen, and which these are.

    >>> _rows(np.array([3, 4, 6]), np.array([3, 6]))
    (array([0, 1]), array([ True, False,  True]))
    """
    row = np.full(chosen[-1] + 1 - chosen[0], -1)
    row[chosen - chosen[0]] = np.arange(len(chosen))
    found = row[pair - chosen[0]]
    return found[found >= 0], found >= 0
