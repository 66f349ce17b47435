"""Periods of SKUs in stores, a part of the series at a time, so that those of all stores are never in memory.

The functions take keys ``pair * T + period`` with the numbers of pairs in the part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from schemas.panel import IndexArray
from tasks.demand.cleaning.sales import CellPart, SaleCells
from tasks.storage.shards import Arrays

if TYPE_CHECKING:
    from tasks.demand.cleaning.exposure import StorePeriods

NO_KEYS = np.zeros(0, dtype=np.int64)
_KEYS = "keys"


class PairPeriods:
    """Sets of periods by pair (a SKU in a store), one array per part of the cells.

    Attributes:
        count: number of periods, of all pairs.
    """

    def __init__(self, cells: SaleCells | None, make: Callable[[CellPart], IndexArray]) -> None:
        """Make the keys of each part.

        Args:
            cells: cleaned sales; None = no periods.
            make: returns ascending distinct ``pair * T + period``.
        """
        self.count = 0
        self._arrays = Arrays(on_disk=cells is not None and len(cells.part_pairs) > 1)
        for part in cells.parts() if cells else ():
            keys = make(part)
            self._arrays.append({_KEYS: keys})
            self.count += len(keys)

    @classmethod
    def none(cls) -> PairPeriods:
        """No periods."""
        return cls(None, lambda _: NO_KEYS)

    def of(self, part: CellPart) -> IndexArray:
        """Return the ascending distinct ``pair * T + period`` of a part."""
        return self._arrays.read(part.number, _KEYS) if self.count else NO_KEYS


def open_and_known(keys: IndexArray, part: CellPart, stores: StorePeriods) -> IndexArray:
    """Select the keys of periods in which the store is open and its sales are known."""
    pair, at = np.divmod(keys, part.history)
    store = part.pair_store[pair]
    return keys[~stores.silent[store, at] & ~stores.closed[store, at] & ~stores.partial[at]]


def spans(first: IndexArray, length: IndexArray) -> IndexArray:
    """Return all keys of spans.

    >>> spans(np.array([3, 10]), np.array([2, 3])).tolist()
    [3, 4, 10, 11, 12]
    """
    shift = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length)
    return np.repeat(first, length) + shift


def every_pair(part: CellPart, keys: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Return the pairs of each ``series * T + period``, and their periods."""
    series, period = np.divmod(keys, part.history)
    order = np.argsort(part.pair_series, kind="stable")
    ordered = part.pair_series[order]
    low, high = (np.searchsorted(ordered, series, side=side) for side in ("left", "right"))
    return order[spans(low, high - low)], np.repeat(period, high - low)


def pairs_in(part: CellPart, keys: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Return the pairs of each ``series * T + period`` that have a row before, and their periods."""
    pair, at = every_pair(part, keys)
    alive = at > first_period(part)[pair]
    return pair[alive], at[alive]


def first_period(part: CellPart) -> IndexArray:
    """Return the period of each pair's first row, shape (p,)."""
    found: IndexArray = part.cell_period[np.searchsorted(part.cell_pair, np.arange(len(part.pair_series)))]
    return found


def last_period(part: CellPart) -> IndexArray:
    """Return the period of each pair's last row, shape (p,)."""
    found: IndexArray = part.cell_period[np.searchsorted(part.cell_pair, np.arange(len(part.pair_series)), "right") - 1]
    return found
