"""Cleaning of sale lines (docs/reference/domain.md): returns, and sums per store, SKU and period."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.errors import DataContractError, first_few
from schemas.frequency import Frequency
from schemas.panel import FloatArray, IndexArray

NO_EVENT = "NOEVENTO"
# Above this, a float no longer holds every whole number, and sums depend on the order of their terms.
_EXACT_INTEGERS = 2.0**53
# Sale lines that are summed at once. A cell belongs to one store, so that blocks of stores give the same sums.
BLOCK_LINES = 1 << 20
# Series times periods that are worked on at once.
PART_VALUES = 1 << 20

TextArray = NDArray[np.object_]


@dataclass(frozen=True)
class SaleCells:
    """Demand of every (store, SKU, period) that has a sales row, with its store, SKU and series.

    A *pair* is a (store, SKU) with a sales row, a *series* a (store, category) with one, a *cell* a
    pair's period with one. Stores, SKUs and series are sorted by name, cells by pair and period.

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
        cell_pair: shape (m,).
        cell_period: shape (m,); 0 to T - 1.
        units: shape (m,); demand, returns counted as 0.
        priced_units: shape (m,); units of the lines whose price is known.
        priced_amount: shape (m,); net amount of these lines.
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
    cell_pair: IndexArray
    cell_period: IndexArray
    units: FloatArray
    priced_units: FloatArray
    priced_amount: FloatArray

    @property
    def n(self) -> int:
        """Number of series."""
        return len(self.series_store)

    @property
    def history(self) -> int:
        """T, the number of finished periods."""
        return len(self.periods)

    @property
    def cell_series(self) -> IndexArray:
        """Shape (m,); the series of each cell."""
        return self.pair_series[self.cell_pair]

    @property
    def cell_store(self) -> IndexArray:
        """Shape (m,); the store of each cell."""
        return self.pair_store[self.cell_pair]

    def by_series(self, weights: FloatArray, cells: NDArray[np.bool_] | None = None) -> FloatArray:
        """Sums of a cell value per series and period, shape (n, T); 0 if there is no cell."""
        key = self.cell_series * self.history + self.cell_period
        if cells is not None:
            key, weights = key[cells], weights[cells]
        return weighted_count(key, weights, self.n, self.history)

    def parts(self) -> Iterator[CellPart]:
        """Yield the cells of consecutive stores, about :data:`PART_VALUES` series times periods at a time.

        Pairs, series and cells are sorted by store, so that each part is a slice of them.
        """
        stores = np.arange(len(self.stores) + 1)
        series, pairs = np.searchsorted(self.series_store, stores), np.searchsorted(self.pair_store, stores)
        block = series[:-1] * self.history // PART_VALUES
        for store in np.flatnonzero(np.append(True, block[1:] != block[:-1])):
            following = int(np.searchsorted(block, block[store], side="right"))
            pair, end = int(pairs[store]), int(pairs[following])
            of_series = slice(int(series[store]), int(series[following]))
            of_cells = slice(*np.searchsorted(self.cell_pair, [pair, end]).tolist())
            cells = replace(
                self,
                series_store=self.series_store[of_series],
                series_category=self.series_category[of_series],
                pair_store=self.pair_store[pair:end],
                pair_sku=self.pair_sku[pair:end],
                pair_series=self.pair_series[pair:end] - of_series.start,
                cell_pair=self.cell_pair[of_cells] - pair,
                cell_period=self.cell_period[of_cells],
                units=self.units[of_cells],
                priced_units=self.priced_units[of_cells],
                priced_amount=self.priced_amount[of_cells],
            )
            yield CellPart(cells, of_series, of_cells, pair)


@dataclass(frozen=True)
class CellPart:
    """The cells of some consecutive stores.

    Attributes:
        cells: the cells; its pairs and series are numbered from 0, its stores as in the whole.
        series: place of its series in the whole.
        cell: place of its cells in the whole.
        first_pair: place of its first pair in the whole.
    """

    cells: SaleCells
    series: slice
    cell: slice
    first_pair: int

    def own(self, keys: IndexArray) -> IndexArray:
        """Those of sorted keys ``pair * T + period`` that belong to the part, with its numbers of pairs."""
        history = self.cells.history
        ends = np.array([self.first_pair, self.first_pair + len(self.cells.pair_sku)]) * history
        low, high = np.searchsorted(keys, ends)
        return keys[low:high] - ends[0]


def clean_events(calendar: pd.DataFrame) -> pd.DataFrame:
    """The calendar with empty events named ``NOEVENTO``; a new frame."""
    if c.EVENT not in calendar.columns:
        return calendar
    events = calendar[c.EVENT]
    named = events.notna() & events.astype(str).str.strip().ne("")
    return calendar.assign(**{c.EVENT: events.astype(object).where(named, NO_EVENT)})


def clean_sales(sales: pd.DataFrame, products: pd.DataFrame, frequency: Frequency, as_of: date) -> SaleCells:
    """Sale lines before ``as_of``, summed per store, SKU and period.

    Returns (negative units) count as 0 demand but are rows: the SKU was there and the store was open.

    Args:
        sales: the table as accepted by validation.
        products: the table with its category (:func:`tasks.demand.cleaning.products.clean_products`).
        frequency: frequency of the panel.
        as_of: run date: rows before it are read.

    Raises:
        DataContractError: no sales row lies before ``as_of``, or a SKU is not in ``products``.
    """
    lines = lines_before(sales, as_of)
    if lines.empty:
        raise DataContractError(_nothing_known(sales, as_of))
    last = frequency.shift(frequency.first_label_from(as_of), -1)
    periods = frequency.between(frequency.label(pd.Series([lines[c.DATE].min()])).min(), last)
    ids = _Ids.of(lines)
    # There are at most as many cells as lines; memory that no cell fills is never used.
    cell_pair, cell_period = np.empty((2, len(lines)), dtype=np.int64)
    units, priced_units, priced_amount = np.empty((3, len(lines)))
    stores, skus, pairs, end = [], [], 0, 0
    for rows in ids.blocks(BLOCK_LINES):
        part = _cells(lines.iloc[rows], ids.take(rows), frequency, periods)
        place = slice(end, end + len(part.pair))
        cell_pair[place], cell_period[place] = part.pair + pairs, part.period
        units[place], priced_units[place], priced_amount[place] = part.units, part.priced_units, part.priced_amount
        stores.append(part.store)
        skus.append(part.sku)
        pairs, end = pairs + len(part.store), place.stop
    del rows, part
    category, categories = codes(_category_of(ids.skus, products))
    pair_store, pair_sku = np.concatenate(stores), np.concatenate(skus)
    series_key, pair_series = np.unique(pair_store * len(categories) + category[pair_sku], return_inverse=True)
    return SaleCells(
        frequency=frequency,
        periods=periods,
        stores=ids.stores,
        skus=ids.skus,
        series_store=series_key // len(categories),
        series_category=categories[series_key % len(categories)],
        pair_store=pair_store,
        pair_sku=pair_sku,
        pair_series=pair_series,
        cell_pair=cell_pair[:end],
        cell_period=cell_period[:end],
        units=units[:end],
        priced_units=priced_units[:end],
        priced_amount=priced_amount[:end],
    )


def lines_before(sales: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The sale lines before ``as_of``; the table itself, not a copy, if these are all."""
    known = sales[c.DATE] < pd.Timestamp(as_of)
    return sales if known.all() else sales.loc[known]


@dataclass(frozen=True)
class _Ids:
    """Stores and SKUs of sale lines.

    Attributes:
        store: shape (lines,); index into ``stores``.
        sku: shape (lines,); index into ``skus``.
    """

    store: NDArray[np.int32]
    sku: NDArray[np.int32]
    stores: TextArray
    skus: TextArray

    @classmethod
    def of(cls, lines: pd.DataFrame) -> _Ids:
        store, stores = codes(lines[c.STORE_ID])
        sku, skus = codes(lines[c.SKU])
        return cls(store.astype(np.int32, copy=False), sku.astype(np.int32, copy=False), stores, skus)

    def take(self, rows: IndexArray) -> _Ids:
        """The ids of some lines."""
        return _Ids(self.store[rows], self.sku[rows], self.stores, self.skus)

    def blocks(self, size: int) -> Iterator[IndexArray]:
        """Yield the lines of consecutive stores, about ``size`` lines at a time; every store is in one block."""
        yield from blocks_of(self.store, size)


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


@dataclass(frozen=True)
class _Cells:
    """Pairs and cells of the sale lines of some stores; see :class:`SaleCells`."""

    store: IndexArray
    sku: IndexArray
    pair: IndexArray
    period: IndexArray
    units: FloatArray
    priced_units: FloatArray
    priced_amount: FloatArray


def _cells(lines: pd.DataFrame, ids: _Ids, frequency: Frequency, periods: pd.DatetimeIndex) -> _Cells:
    pair_key, pair = np.unique(ids.store.astype(np.int64) * len(ids.skus) + ids.sku, return_inverse=True)
    period = periods.get_indexer(frequency.label(lines[c.DATE]))
    cell_key, cell = np.unique(pair * len(periods) + period, return_inverse=True)
    units, priced_units, priced_amount = _line_values(lines)
    return _Cells(
        store=pair_key // len(ids.skus),
        sku=pair_key % len(ids.skus),
        pair=cell_key // len(periods),
        period=cell_key % len(periods),
        units=_sums(cell, units, len(cell_key)),
        priced_units=_sums(cell, priced_units, len(cell_key)),
        priced_amount=_sums(cell, priced_amount, len(cell_key)),
    )


def returned_lines(sales: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The sale lines before ``as_of`` with negative units, in a fixed order; date, store_id, sku, units."""
    taken = sales.loc[(sales[c.DATE] < pd.Timestamp(as_of)) & (sales[c.UNITS] < 0)]
    keys = [c.DATE, c.STORE_ID, c.SKU, c.UNITS]
    return taken[keys].sort_values(keys, ignore_index=True)


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


def codes(values: pd.Series | TextArray) -> tuple[IndexArray, TextArray]:
    """Position of each text in the sorted distinct texts, and these texts.

    >>> numbers, names = codes(pd.Series(["b", "a", "b"]))
    >>> numbers.tolist(), names.tolist()
    ([1, 0, 1], ['a', 'b'])
    """
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.CategoricalDtype):
        found = values.cat.codes.to_numpy()
        used = np.bincount(found, minlength=len(values.cat.categories)) > 0
        texts, ordered = codes(values.cat.categories[used].to_numpy(dtype=object))
        rank = np.zeros(len(used), dtype=np.int32)
        rank[used] = texts
        return rank[found], ordered
    found, distinct = pd.factorize(values)
    names = np.array([str(name) for name in distinct], dtype=object)
    order = np.argsort(names)
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    return rank[found], names[order]


def _category_of(skus: TextArray, products: pd.DataFrame) -> pd.Series:
    category = pd.Series(products[c.CATEGORY].to_numpy(), index=products[c.SKU].astype(str).to_numpy())
    unknown = [sku for sku in skus if sku not in category.index]
    if unknown:
        raise DataContractError(
            f"sales: {len(unknown)} SKU are not in products: {first_few(unknown)}. Add them to the product table"
        )
    return category.loc[skus]


def _line_values(lines: pd.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Demand, and units and amount of the lines whose price is known (sold, with an amount)."""
    units = lines[c.UNITS].to_numpy(dtype=np.float64)
    demand = np.maximum(units, 0.0)
    if c.NET_AMOUNT not in lines.columns:
        return demand, np.zeros_like(demand), np.zeros_like(demand)
    amount = lines[c.NET_AMOUNT].to_numpy(dtype=np.float64)
    priced = (units > 0) & (amount > 0)
    return demand, np.where(priced, units, 0.0), np.where(priced, amount, 0.0)


def _sums(key: IndexArray, values: FloatArray, size: int) -> FloatArray:
    """Sums by key that do not depend on the order of the rows, to the last bit."""
    whole = np.abs(values).sum() < _EXACT_INTEGERS and bool((values == np.floor(values)).all())
    if not whole:
        order = np.lexsort((values, key))
        key, values = key[order], values[order]
    return weighted_count(key, values, 1, size)[0]


def _nothing_known(sales: pd.DataFrame, as_of: date) -> str:
    if sales.empty:
        return "sales has no rows. Check the file named in sources.sales"
    first, last = sales[c.DATE].min().date(), sales[c.DATE].max().date()
    return (
        f"sales has no row before as_of {as_of}: its {len(sales)} rows run from {first} to {last}. "
        f"Set --as-of to a day after {first}, for example the day after {last}"
    )
