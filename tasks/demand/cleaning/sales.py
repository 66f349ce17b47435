"""Demand per store, SKU and period that has a sales row, a part of the series at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.storage.mapped import blocks, gathered, release, zeros
from tasks.storage.shards import Arrays

NO_EVENT = "NOEVENTO"
# Sale lines that are worked on at once.
BLOCK_LINES = 1 << 19
# Series times periods that are worked on at once.
PART_VALUES = 1 << 19
# Parts after which the memory of mapped files is released.
_RELEASED = 16
# Arrays of a part, as they are kept.
CELL_PERIOD, UNITS, PRICED_UNITS, PRICED_AMOUNT, CELL_PAIR = "period", "units", "priced_units", "amount", "pair"

TextArray = NDArray[np.object_]
# Above this, a float no longer holds every whole number, and sums depend on the order of their terms.
_EXACT_INTEGERS = 2.0**53


@dataclass(frozen=True)
class CellIndex:
    """The stores, SKUs, series and periods that cells belong to.

    A *pair* is a (store, SKU) with a sales row, a *series* a (store, category) with one, a *cell* a
    pair's period with one. Stores and SKUs are sorted by name, pairs by store and SKU, series by store and category.

    Attributes:
        frequency: period length and labels.
        periods: the T labels from the first with a sales row to the last before ``as_of``.
        stores: shape (S,); store ids.
        skus: shape (K,); SKUs with a sales row.
        series_store: shape (n,); index into ``stores``.
        series_category: shape (n,); category names.
        pair_store: shape (p,); index into ``stores``.
        pair_sku: shape (p,); index into ``skus``.
        pair_series: shape (p,); index of the series that the pair belongs to.
    """

    frequency: Frequency
    periods: pd.DatetimeIndex
    stores: TextArray
    skus: TextArray
    series_store: IndexArray
    series_category: TextArray
    pair_store: IndexArray
    pair_sku: IndexArray
    pair_series: IndexArray

    @property
    def n(self) -> int:
        """Number of series."""
        return len(self.series_store)

    @property
    def history(self) -> int:
        """T, the number of finished periods."""
        return len(self.periods)


@dataclass(frozen=True)
class CellPart(CellIndex):
    """The cells of consecutive series; its series and pairs are numbered from 0, its stores and SKUs as in the whole.

    Cells are sorted by pair and period. Arrays of cells are read when they are first used.

    Attributes:
        series: place of its series in the whole.
        pairs: shape (p,); ascending numbers of its pairs in the whole.
        number: number of the part.
        arrays: the arrays of all parts.
    """

    series: slice
    pairs: IndexArray
    number: int
    arrays: Arrays

    @cached_property
    def cell_pair(self) -> IndexArray:
        """Shape (m,); the pair of each cell."""
        return self.arrays.read(self.number, CELL_PAIR).astype(np.int64)

    @cached_property
    def cell_period(self) -> IndexArray:
        """Shape (m,); the period of each cell, 0 to T - 1."""
        return self.arrays.read(self.number, CELL_PERIOD).astype(np.int64)

    @cached_property
    def units(self) -> FloatArray:
        """Shape (m,); demand, returns counted as 0."""
        return self.arrays.read(self.number, UNITS)

    @cached_property
    def priced_units(self) -> FloatArray:
        """Shape (m,); units of the lines whose price is known."""
        return self.arrays.read(self.number, PRICED_UNITS)

    @cached_property
    def priced_amount(self) -> FloatArray:
        """Shape (m,); net amount of these lines."""
        return self.arrays.read(self.number, PRICED_AMOUNT)

    @property
    def cell_series(self) -> IndexArray:
        """Shape (m,); the series of each cell."""
        return self.pair_series[self.cell_pair]

    @property
    def cell_store(self) -> IndexArray:
        """Shape (m,); the store of each cell."""
        return self.pair_store[self.cell_pair]

    @property
    def cell_sku(self) -> IndexArray:
        """Shape (m,); the SKU of each cell."""
        return self.pair_sku[self.cell_pair]

    @property
    def keys(self) -> IndexArray:
        """Shape (m,); ascending ``pair * T + period`` with the numbers of pairs in the whole."""
        return self.pairs[self.cell_pair] * self.history + self.cell_period

    @property
    def row_keys(self) -> IndexArray:
        """Shape (m,); ascending ``pair * T + period`` of the cells with the part's numbers of pairs."""
        return self.cell_pair * self.history + self.cell_period

    def by_series(self, weights: FloatArray, cells: BoolArray | None = None) -> FloatArray:
        """Sums of a cell value per series and period, shape (n, T); 0 if there is no cell."""
        key = self.cell_series * self.history + self.cell_period
        if cells is not None:
            key, weights = key[cells], weights[cells]
        return weighted_count(key, weights, self.n, self.history)

    def own(self, keys: IndexArray) -> IndexArray:
        """Select the part's keys from ascending keys ``pair * T + period``, with the part's numbers of pairs."""
        history = self.history
        if not len(self.pairs):
            return keys[:0]
        low, high = np.searchsorted(keys, [self.pairs[0] * history, (self.pairs[-1] + 1) * history])
        keys = keys[low:high]
        return self.renumbered(keys[np.isin(keys // history, self.pairs)])

    def renumbered(self, keys: IndexArray) -> IndexArray:
        """The part's keys ``pair * T + period`` with the part's numbers of pairs."""
        pair, period = np.divmod(keys, self.history)
        found: IndexArray = np.searchsorted(self.pairs, pair) * self.history + period
        return found

    def marked(self, keys: IndexArray) -> BoolArray:
        """Shape (m,); whether ascending keys ``pair * T + period`` contain the cell."""
        found: BoolArray = np.isin(self.row_keys, self.own(keys))
        return found


@dataclass(frozen=True)
class SaleCells(CellIndex):
    """All cells.

    Attributes:
        end: number of periods up to the last one with a cell.
        store_rows: shape (S, T); the store has a cell.
        complete: every SKU has a row in nearly every period in which its store has one, also without sales.
        store_units: shape (S, T); units per store and period.
        store_days: shape (S, days); units per store and day from ``first_day`` on; with daily periods ``store_units``.
        first_day: first day with a line.
        part_series: shape (parts + 1,); series at which a part begins.
        part_pairs: numbers of the pairs of each part.
        arrays: the arrays of all parts.
    """

    end: int
    store_rows: BoolArray
    complete: bool
    store_units: FloatArray
    store_days: FloatArray
    first_day: np.datetime64
    part_series: IndexArray
    part_pairs: list[IndexArray]
    arrays: Arrays

    def parts(self) -> Iterator[CellPart]:
        """Yield the cells of consecutive series, about :data:`PART_VALUES` series times periods at a time."""
        for number, pairs in enumerate(self.part_pairs):
            if number % _RELEASED == _RELEASED - 1:
                release()
            of_series = slice(int(self.part_series[number]), int(self.part_series[number + 1]))
            yield CellPart(
                frequency=self.frequency,
                periods=self.periods,
                stores=self.stores,
                skus=self.skus,
                series_store=self.series_store[of_series],
                series_category=self.series_category[of_series],
                pair_store=self.pair_store[pairs],
                pair_sku=self.pair_sku[pairs],
                pair_series=self.pair_series[pairs] - of_series.start,
                series=of_series,
                pairs=pairs,
                number=number,
                arrays=self.arrays,
            )

    def store_blocks(self, size: int) -> Iterator[slice]:
        """Yield the pairs of consecutive stores, about ``size`` pairs at a time; a store is never divided."""
        ends = np.searchsorted(self.pair_store, np.arange(len(self.stores)), "right")
        first = 0
        while first < len(self.pair_store):
            last = int(ends[min(int(np.searchsorted(ends, first + size)), len(ends) - 1)])
            yield slice(first, last)
            first = last
            release()

    def sku_units(self) -> FloatArray:
        """Units of all stores per SKU and period, shape (K, T)."""
        found = zeros(len(self.skus) * self.history, np.float64)
        for part in self.parts():
            np.add.at(found, part.cell_sku * self.history + part.cell_period, part.units)
        return found.reshape(len(self.skus), -1)


def clean_events(calendar: pd.DataFrame) -> pd.DataFrame:
    """The calendar with empty events named ``NOEVENTO``; a new frame."""
    if c.EVENT not in calendar.columns:
        return calendar
    events = calendar[c.EVENT]
    named = events.notna() & events.astype(str).str.strip().ne("")
    return calendar.assign(**{c.EVENT: events.astype(object).where(named, NO_EVENT)})


def blocks_of(code: NDArray[np.integer], size: int) -> Iterator[IndexArray]:
    """Yield the rows of consecutive codes, about ``size`` rows at a time; every code is in one block.

    >>> [rows.tolist() for rows in blocks_of(np.array([0, 1, 0, 2, 1]), 2)]
    [[0, 2], [1, 4], [3]]
    """
    count = np.bincount(code)
    block = np.cumsum(count) - count
    block //= max(size, 1)
    of_row = block.astype(np.int32)[code]
    for number in np.unique(block[count > 0]):
        yield np.flatnonzero(of_row == number)


def weighted_count(key: IndexArray, weights: FloatArray, rows: int, columns: int) -> FloatArray:
    """Sum of the weights by ``row * columns + column``, shape (rows, columns)."""
    return np.bincount(key, weights, minlength=rows * columns).reshape(rows, columns).astype(np.float64, copy=False)


def distinct(keys: IndexArray) -> IndexArray:
    """The distinct keys, ascending. If most keys differ, ``np.unique`` of NumPy 2.4 needs 25 times as long: it hashes.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(keys)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def without(keys: IndexArray, others: IndexArray) -> IndexArray:
    """The distinct keys that are not among the others, which are ascending; ``np.setdiff1d`` hashes, too.

    >>> without(np.array([3, 1, 3, 2]), np.array([2, 4])).tolist()
    [1, 3]
    """
    ordered = distinct(keys)
    if not len(others):
        return ordered
    at = np.minimum(np.searchsorted(others, ordered), len(others) - 1)
    return ordered[others[at] != ordered]


def counts(numbers: NDArray[np.integer], size: int) -> IndexArray:
    """How often each number from 0 to ``size`` - 1 occurs."""
    found = np.zeros(size, dtype=np.int64)
    for part in blocks(len(numbers)):
        found += np.bincount(numbers[part], minlength=size)
    return found


def codes(values: pd.Series | TextArray) -> tuple[IndexArray, TextArray]:
    """Position of each text in the sorted distinct texts, and these texts.

    >>> numbers, names = codes(pd.Series(["b", "a", "b"]))
    >>> numbers.tolist(), names.tolist()
    ([1, 0, 1], ['a', 'b'])
    """
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.CategoricalDtype):
        found = values.cat.codes.to_numpy()
        used = counts(found, len(values.cat.categories)) > 0
        texts, ordered = codes(values.cat.categories[used].to_numpy(dtype=object))
        rank = np.zeros(len(used), dtype=np.int32)
        rank[used] = texts
        return gathered(rank, found), ordered
    found, distinct = pd.factorize(values)
    names = np.array([str(name) for name in distinct], dtype=object)
    order = np.argsort(names)
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    return rank[found], names[order]


def sums_by(key: IndexArray, values: FloatArray, size: int) -> FloatArray:
    """Sums by key that do not depend on the order of the rows, to the last bit."""
    whole = np.abs(values).sum() < _EXACT_INTEGERS and bool((values == np.floor(values)).all())
    if not whole:
        order = np.lexsort((values, key))
        key, values = key[order], values[order]
    return weighted_count(key, values, 1, size)[0]
