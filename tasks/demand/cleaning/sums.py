"""Sums of corrected sale lines per store, SKU and period, a group of series at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import DataContractError, first_few
from schemas.frequency import Frequency
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning import sales
from tasks.demand.cleaning.corrected import CorrectedLines
from tasks.demand.cleaning.lines import SaleLines
from tasks.demand.cleaning.sales import (
    CELL_PAIR,
    CELL_PERIOD,
    PRICED_AMOUNT,
    PRICED_UNITS,
    UNITS,
    SaleCells,
    sums_by,
)
from tasks.storage.mapped import blocks, empty, filled, is_sorted, joined
from tasks.storage.shards import Arrays, Rows


def sale_cells(lines: CorrectedLines, frequency: Frequency, as_of: date) -> SaleCells:
    """Sum corrected sale lines per store, SKU and period.

    Returns (negative units) count as 0 demand but are rows: the SKU was there and the store was open.

    Args:
        lines: corrected lines; their memory is released.
        frequency: of the panel.
        as_of: run date.

    Raises:
        DataContractError: a SKU is not in the products.
    """
    _check_known(lines)
    days = lines.facts.days().index.to_numpy(dtype="datetime64[D]")
    last = frequency.shift(frequency.first_label_from(as_of), -1)
    periods = frequency.between(frequency.label(pd.Series(days[:1]).astype("datetime64[ns]")).min(), last)
    span = np.arange(days[0], days[-1] + 1).astype("datetime64[ns]")
    sums = _Sums(
        lines,
        stores=lines.facts.of_store > 0,
        first_day=days[0],
        period_of_day=periods.get_indexer(frequency.label(pd.Series(span))),
        history=len(periods),
        with_days=frequency.kind != "D",
    )
    for group in lines.groups.take():
        sums.add(group)
    return sums.cells(frequency, periods)


def _check_known(lines: CorrectedLines) -> None:
    unknown = list(lines.skus[lines.used & (lines.category < 0)])
    if unknown:
        raise DataContractError(
            f"sales: {len(unknown)} SKU are not in products: {first_few(unknown)}. Add them to the product table"
        )


@dataclass
class _Sums:
    """The cells of the groups that are already summed.

    Attributes:
        lines: stores, SKUs and categories of the lines.
        stores: shape of ``lines.stores``; stores with a line.
        first_day: first day with a line.
        period_of_day: position of the period of each day from ``first_day`` on.
        history: T.
        with_days: sum the units of each day too.
    """

    lines: CorrectedLines
    stores: BoolArray
    first_day: np.datetime64
    period_of_day: IndexArray
    history: int
    with_days: bool
    arrays: Arrays = field(init=False)
    pair_keys: list[IndexArray] = field(default_factory=list)
    series_keys: list[IndexArray] = field(default_factory=list)
    pair_series: list[IndexArray] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    n: int = 0
    end: int = 0

    def __post_init__(self) -> None:
        self.arrays = Arrays(on_disk=self.lines.groups.count > 1)
        self.store_number, self.sku_number = (np.cumsum(used) - 1 for used in (self.stores, self.lines.used))
        count = int(self.stores.sum())
        self.store_rows = np.zeros(count * self.history, dtype=bool)
        self.filled_cells, self.empty_cells = np.zeros((2, count * self.history), dtype=np.int64)
        # Pairs between their first and last row; the changes from period to period.
        self.living = np.zeros((count, self.history + 1), dtype=np.int64)
        self.store_units = np.zeros(count * self.history)
        self.store_days = np.zeros(count * len(self.period_of_day) if self.with_days else 0)
        self.categories = max(len(self.lines.categories), 1)
        self.category = self.lines.category[self.lines.used]
        self.skus = len(self.category)

    def add(self, rows: Rows) -> None:
        """Sum the lines of a group."""
        store, sku = self.store_number[rows["store"]], self.sku_number[rows[c.SKU]]
        day = rows["day"] - self.first_day.astype(np.int64)
        pair_key, pair = np.unique(store * self.skus + sku, return_inverse=True)
        cell_key, cell = np.unique(pair * self.history + self.period_of_day[day], return_inverse=True)
        units = rows["units"]
        demand = np.maximum(units, 0.0)
        priced = (units > 0) & (rows["amount"] > 0)
        of_pair, period = np.divmod(cell_key, self.history)
        values = {
            UNITS: sums_by(cell, demand, len(cell_key)),
            PRICED_UNITS: sums_by(cell, np.where(priced, units, 0.0), len(cell_key)),
            PRICED_AMOUNT: sums_by(cell, np.where(priced, rows["amount"], 0.0), len(cell_key)),
        }
        self.end = max(self.end, int(period.max()) + 1)
        key = (pair_key // self.skus)[of_pair] * self.history + period
        self.store_rows[key] = True
        filled = sums_by(cell, (units != 0).astype(np.float64), len(cell_key)) > 0
        first = np.flatnonzero(np.diff(of_pair, prepend=-1))
        for ends, change in ((period[first], 1), (period[np.append(first[1:], len(period)) - 1] + 1, -1)):
            np.add.at(self.living, (pair_key // self.skus, ends), change)
        np.add.at(self.filled_cells, key, filled)
        np.add.at(self.empty_cells, key, ~filled)
        np.add.at(self.store_units, key, values[UNITS])
        if self.with_days:
            order = np.lexsort((day, pair))
            np.add.at(self.store_days, (store * len(self.period_of_day) + day)[order], demand[order])
        series = pair_key // self.skus * self.categories + self.category[pair_key % self.skus]
        series_key, pair_series = np.unique(series, return_inverse=True)
        for part in self._parts(series_key):
            self._add_part(part, pair_key, pair_series, of_pair, period, values)
        self.series_keys.append(series_key)
        self.n += len(series_key)

    def _parts(self, series_key: IndexArray) -> Iterator[tuple[int, int]]:
        """Yield first and last series of every part: stores as long as they fit, else a part of a store."""
        size = max(sales.PART_VALUES // self.history, 1)
        first, n = 0, len(series_key)
        ends = np.append(np.flatnonzero(np.diff(series_key // self.categories)) + 1, n)
        while first < n:
            whole = ends[(ends > first) & (ends <= first + size)]
            last = int(whole[-1]) if len(whole) else min(first + size, n)
            yield first, last
            first = last

    def _add_part(
        self,
        part: tuple[int, int],
        pair_key: IndexArray,
        pair_series: IndexArray,
        of_pair: IndexArray,
        period: IndexArray,
        values: dict[str, FloatArray],
    ) -> None:
        kept = (pair_series >= part[0]) & (pair_series < part[1])
        number = (np.cumsum(kept) - 1).astype(np.int32)
        cells = slice(None) if kept.all() else kept[of_pair]
        self.arrays.append(
            {
                CELL_PAIR: number[of_pair[cells]],
                CELL_PERIOD: period[cells].astype(np.int32),
                **{name: own[cells] for name, own in values.items()},
            }
        )
        self.pair_keys.append(pair_key[kept])
        self.pair_series.append(pair_series[kept] + self.n)
        self.starts.append(self.n + part[1])

    def _rows(self) -> BoolArray:
        """The stores and periods with a row. Rows of 0 units do not count if only periods without any units have them.

        Then an export has filled days without data. Otherwise rows of 0 units are counts of what was not sold.
        """
        sold = self.filled_cells > 0
        return sold if self.empty_cells.any() and not self.empty_cells[sold].any() else self.store_rows

    def _complete(self) -> bool:
        """Whether every SKU of a store has a row in nearly every period in which the store has one, also of 0 units."""
        sold = self.filled_cells > 0
        zeros, cells = int(self.empty_cells[sold].sum()), int((self.filled_cells + self.empty_cells)[sold].sum())
        living = int(self.living[:, :-1].cumsum(axis=1).ravel()[sold].sum())
        enough = zeros >= LIMITS.fewest_zeros and living >= LIMITS.fewest_living * int(sold.sum())
        return enough and cells >= LIMITS.complete * living

    def cells(self, frequency: Frequency, periods: pd.DatetimeIndex) -> SaleCells:
        """All cells."""
        series, lengths = np.concatenate(self.series_keys), [len(part) for part in self.pair_keys]
        size = sum(lengths)
        found, pair_series = (joined(parts, size, np.int64) for parts in (self.pair_keys, self.pair_series))
        self.pair_keys.clear()
        self.pair_series.clear()
        numbers = filled(size, np.int64, lambda part: np.arange(part.start, part.stop))
        # A store that is divided by category has its pairs in several groups.
        order = numbers if is_sorted(found) else np.argsort(found)
        keys = filled(size, np.int64, lambda part: found[order[part]])
        place = empty(size, np.int64)
        for part in blocks(size):
            place[order[part]] = numbers[part]
        count = int(self.stores.sum())
        units = self.store_units.reshape(count, -1)
        return SaleCells(
            frequency=frequency,
            periods=periods,
            stores=self.lines.stores[self.stores],
            skus=self.lines.skus[self.lines.used],
            series_store=series // self.categories,
            series_category=self.lines.categories[series % self.categories],
            pair_store=filled(size, np.int64, lambda part: keys[part] // self.skus),
            pair_sku=filled(size, np.int64, lambda part: keys[part] % self.skus),
            pair_series=filled(size, np.int64, lambda part: pair_series[order[part]]),
            end=self.end,
            store_rows=self._rows().reshape(count, -1),
            complete=self._complete(),
            store_units=units,
            store_days=self.store_days.reshape(count, -1) if self.with_days else units,
            first_day=self.first_day,
            part_series=np.array(self.starts),
            part_pairs=np.split(place, np.cumsum(lengths)[:-1]),
            arrays=self.arrays,
        )


def nothing_known(lines: SaleLines, as_of: date) -> str:
    """The error of a sales table without a row before the run date."""
    if not lines.rows:
        return "sales has no rows. Check the file named in sources.sales"
    first, last = lines.first_sale.date(), lines.last_sale.date()
    return (
        f"sales has no row before as_of {as_of}: its {lines.rows} rows run from {first} to {last}. "
        f"Set --as-of to a day after {first}, for example the day after {last}"
    )
