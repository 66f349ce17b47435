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

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.expected_units import expected_units, shut_periods
from tasks.demand.cleaning.exposure import StorePeriods, pairs_of
from tasks.demand.cleaning.pair_periods import (
    NO_KEYS,
    PairPeriods,
    last_period,
    open_and_known,
    pairs_in,
    spans,
)
from tasks.demand.cleaning.sales import CellPart, SaleCells, distinct, weighted_count, without
from tasks.demand.cleaning.sku_gaps import NetworkUnits, local_gaps, running
from tasks.demand.rows_by_store import RowsByStore, store_ranges
from tasks.storage.mapped import gathered, is_sorted, joined, release
from tasks.storage.shards import Arrays

_KEYS, _UNITS, _PARTLY = "keys", "units", "partly"
_PAIR_SUMS = {"pair": np.int64, "lost": np.float64, "first": np.int32, "last": np.int32, "count": np.int32}


@dataclass(frozen=True)
class PairSums:
    """The stock-outs of each SKU in a store.

    Attributes:
        pair: shape (k,); ascending numbers of the pairs.
        lost: shape (k,); units that the SKU would have sold.
        first: shape (k,); first period.
        last: shape (k,); last period.
        count: shape (k,); number of periods.
    """

    pair: IndexArray
    lost: FloatArray
    first: IndexArray
    last: IndexArray
    count: IndexArray

    @staticmethod
    def of(pair: IndexArray, at: IndexArray, units: FloatArray) -> dict[str, NDArray[Any]]:
        """Sum the periods of the pairs of a part, by name of the attribute."""
        table = pd.DataFrame({"units": units, "at": at}, copy=False).groupby(pair)
        lost, period = table["units"].sum(), table["at"]
        found = {"pair": lost.index, "lost": lost, "first": period.min(), "last": period.max(), "count": period.size()}
        return {name: values.to_numpy().astype(_PAIR_SUMS[name], copy=False) for name, values in found.items()}

    @classmethod
    def joined(cls, parts: Arrays) -> PairSums:
        """The pairs of several parts."""
        size = sum(len(parts.read(part, "pair")) for part in range(parts.count))

        def column(name: str) -> NDArray[Any]:
            return joined((parts.read(part, name) for part in range(parts.count)), size, _PAIR_SUMS[name])

        found = {name: column(name) for name in _PAIR_SUMS}
        if not is_sorted(found["pair"]):
            order = np.argsort(found["pair"])
            found = {name: gathered(values, order) for name, values in found.items()}
        return cls(**found)


@dataclass(frozen=True)
class StockOuts:
    """SKUs that were probably not in stock. The periods are kept by part of the cells.

    Attributes:
        count: number of periods, of all SKUs in all stores.
        partly: number of periods in which the demand of a series is unknown because some of its SKUs are missing.
        pairs: sums of each SKU in a store.
        arrays: keys, their units, keys of other SKUs, and sums of pairs, by part.
    """

    count: int
    partly: int
    pairs: PairSums
    arrays: Arrays | None

    @classmethod
    def of(cls, cells: SaleCells, find: Callable[[CellPart], tuple[IndexArray, FloatArray, IndexArray]]) -> StockOuts:
        """Collect the stock-outs of all parts.

        Args:
            cells: cleaned sales.
            find: returns the keys of a part, their units, and the keys of the other SKUs of categories that are unknown
                for this reason.
        """
        arrays, partly, count = Arrays(on_disk=len(cells.part_pairs) > 1), 0, 0
        for part in cells.parts():
            keys, units, others = find(part)
            pair, at = np.divmod(keys, part.history)
            sums = PairSums.of(part.pairs[pair], at, units)
            arrays.append({_KEYS: keys, _UNITS: units, _PARTLY: others, **sums})
            count += len(keys)
            pair, at = np.divmod(others, part.history)
            partly += len(distinct(part.pair_series[pair] * part.history + at))
            release()
        return cls(count, partly, PairSums.joined(arrays), arrays)

    @classmethod
    def none(cls) -> StockOuts:
        """No stock-outs."""
        return cls(0, 0, PairSums.joined(Arrays(on_disk=False)), None)

    def keys(self, part: CellPart) -> IndexArray:
        """Return the ascending distinct ``pair * T + period`` of a part."""
        return self._read(part, _KEYS)

    def units(self, part: CellPart) -> FloatArray:
        """Return the units that the SKUs would have sold, 0 if one may be out of the assortment; shape of the keys."""
        return self._read(part, _UNITS)

    def others(self, part: CellPart) -> IndexArray:
        """Return the keys of the other SKUs of categories that are unknown because some of their SKUs are missing."""
        return self._read(part, _PARTLY)

    def _read(self, part: CellPart, name: str) -> NDArray[Any]:
        return NO_KEYS if self.arrays is None or not self.count else self.arrays.read(part.number, name)


def suspected_stock_outs(
    cells: SaleCells, stores: StorePeriods, stock: pd.DataFrame | None, as_of: date, known: PairPeriods
) -> StockOuts:
    """Find stock-outs without the table ``availability``.

    Args:
        cells: cleaned sales; T periods.
        stores: what is known of each store and period.
        stock: counts: store_id, sku, on_hand and perhaps date; None if there are none.
        as_of: run date: counts on or before it are read.
        known: periods that are unknown for another reason.
    """
    counts, network, shut = _Counts.of(cells, stock, as_of), NetworkUnits.of(cells), shut_periods(cells, stores)

    def find(part: CellPart) -> tuple[IndexArray, FloatArray, IndexArray]:
        own, hidden = counts.of_part(part), known.of(part)
        empty = np.zeros(len(part.pairs), dtype=bool)
        empty[own.pair[own.last]] = True
        found = np.concatenate([local_gaps(part, network, empty), _since_last_sale(part, own, network)])
        keys = without(open_and_known(found, part, stores), hidden)
        units = expected_units(part, network.of_sku, shut, keys, distinct(np.concatenate([keys, hidden])))
        units[keys % part.history >= _in_assortment(part, cells.end)[keys // part.history]] = 0.0
        return keys, units, _partly(part, keys, units)

    return StockOuts.of(cells, find)


def marked_stock_outs(cells: SaleCells, stores: StorePeriods, marked: PairPeriods, outliers: IndexArray) -> StockOuts:
    """The stock-outs of the table ``availability``: units are those expected, without those that were sold.

    Args:
        cells: cleaned sales; T periods.
        stores: what is known of each store and period.
        marked: periods that are out of stock.
        outliers: ascending ``pair * T + period`` of all parts that are unknown for another reason.
    """
    network, shut = cells.sku_units(), shut_periods(cells, stores)

    def find(part: CellPart) -> tuple[IndexArray, FloatArray, IndexArray]:
        keys = marked.of(part)
        units = expected_units(part, network, shut, keys, distinct(np.concatenate([keys, part.own(outliers)])))
        row = part.row_keys
        place = np.minimum(np.searchsorted(row, keys), len(row) - 1)
        sold = row[place] == keys
        units[sold] -= part.units[place[sold]]
        return keys, np.maximum(units, 0.0), NO_KEYS

    return StockOuts.of(cells, find)


@dataclass(frozen=True)
class _Counts:
    """Counts of 0 in stores that have stock of another SKU on that day, sorted by pair.

    Attributes:
        pair: shape (k,).
        at: shape (k,); period that contains the day, T or more = after the history.
        last: shape (k,); it is the pair's last count.
    """

    pair: IndexArray
    at: IndexArray
    last: BoolArray

    @classmethod
    def of(cls, cells: SaleCells, stock: pd.DataFrame | None, as_of: date) -> _Counts:
        """Read the counts on or before the run date."""
        if stock is None or stock.empty:
            return cls(NO_KEYS, NO_KEYS, NO_KEYS.astype(bool))
        by_store = RowsByStore.of(stock)
        found = [cls._of_stores(cells, by_store.between(*stores), as_of) for stores in store_ranges([by_store])]
        size = sum(len(part.pair) for part in found)
        kinds = {"pair": np.int64, "at": np.int32, "last": np.bool_}
        return cls(*(joined((getattr(part, name) for part in found), size, kind) for name, kind in kinds.items()))

    @classmethod
    def _of_stores(cls, cells: SaleCells, stock: pd.DataFrame, as_of: date) -> _Counts:
        """Read the counts of some stores."""
        dates = stock[c.DATE] if c.DATE in stock.columns else pd.Series(pd.Timestamp(as_of), index=stock.index)
        counts = stock[[c.STORE_ID, c.SKU, c.ON_HAND]].assign(**{c.DATE: dates})
        counts = counts[dates <= pd.Timestamp(as_of)].sort_values(c.DATE, kind="stable")
        last = ~counts.duplicated([c.STORE_ID, c.SKU], keep="last").to_numpy()
        some = counts.groupby([c.STORE_ID, c.DATE], observed=True)[c.ON_HAND].transform("max").gt(0).to_numpy()
        empty = some & counts[c.ON_HAND].le(0).to_numpy()
        counts, last = counts[empty], last[empty]
        pair = pairs_of(counts[c.STORE_ID], counts[c.SKU], cells)
        at = cells.periods.searchsorted(cells.frequency.label(counts[c.DATE]).to_numpy()).astype(np.int32)
        order = np.argsort(pair, kind="stable")
        order = order[np.searchsorted(pair[order], 0) :]  # without pairs that have no sales row
        return cls(pair[order], at[order], last[order])

    def of_part(self, part: CellPart) -> _Counts:
        """The counts of a part, with its numbers of pairs."""
        low, high = (np.searchsorted(self.pair, part.pairs, side=side) for side in ("left", "right"))
        rows = spans(low, high - low)
        return _Counts(
            np.repeat(np.arange(len(part.pairs)), high - low), self.at[rows].astype(np.int64), self.last[rows]
        )


def _since_last_sale(part: CellPart, counts: _Counts, network: NetworkUnits) -> IndexArray:
    """Periods from the last sale of a pair to a count of 0, ``pair * T + period``.

    With daily periods, the day of the count is one of them if it has no sale. A pair counts if it had sales in
    ``LIMITS.pattern_cases`` periods before, if it has no sale for less than ``LIMITS.ended`` periods, and if other
    stores, where there are any, still sell the SKU: otherwise the SKU may be out of the assortment.
    """
    history, kind = part.history, part.frequency.kind
    own, until = counts.pair, np.minimum(counts.at, history)
    sells = part.units > 0
    period, key = part.cell_period[sells], (part.cell_pair * history + part.cell_period)[sells]
    begin, close = np.searchsorted(key, own * history), np.searchsorted(key, own * history + until)
    regular = close - begin >= LIMITS.pattern_cases
    own, until, begin, close = (x[regular] for x in (own, until, begin, close))
    start = period[close - 1] + 1
    if kind == "D":
        on_day = np.zeros(len(own), dtype=bool)
        inner = close < len(key)
        on_day[inner] = key[close[inner]] == own[inner] * history + until[inner]
        until = np.where(on_day | (until == history), until, until + 1)
    base, total = part.pair_sku[own] * history, network.sku_before
    units = running(part.units[sells])
    others = total[base + start] - total[base] - (units[close] - units[begin])
    kept = (start < until) & (until - start < LIMITS.ended[kind])
    kept &= (others <= 0) | (total[base + until] > total[base + start])
    return spans(own[kept] * history + start[kept], (until - start)[kept])


def _in_assortment(part: CellPart, end: int) -> IndexArray:
    """Period before which each pair is in the assortment, shape (p,).

    That of its last row, if it has had none for ``LIMITS.ended`` periods up to the last sales; T for all others.
    """
    last = last_period(part)
    ended = end - 1 - last >= LIMITS.ended[part.frequency.kind]
    return np.where(ended, last + 1, part.history)


def _partly(part: CellPart, keys: IndexArray, units: FloatArray) -> IndexArray:
    """The other pairs of categories of which the stock-outs hide a large part; ``pair * T + period``.

    The part is that of a week around the period, without periods in which nothing is hidden.
    """
    history, width = part.history, part.frequency.periods_per_week // 2
    pair, at = np.divmod(keys, history)
    hidden = weighted_count(part.pair_series[pair] * history + at, units, part.n, history)
    some = hidden > 0
    sold = part.by_series(part.units) * some
    of_week, sold_in_week = (_around(values, width) for values in (hidden, sold))
    partly = some & (of_week >= LIMITS.missing_units * (of_week + sold_in_week))
    pair, at = pairs_in(part, np.flatnonzero(partly))
    return without(pair * history + at, keys)


def _around(values: FloatArray, width: int) -> FloatArray:
    """Sums from ``width`` periods before to ``width`` periods after each period, shape (n, T)."""
    total = np.pad(values.cumsum(axis=1), ((0, 0), (1, 0)))
    at = np.arange(values.shape[1])
    around: FloatArray = total[:, np.minimum(at + width + 1, len(at))] - total[:, np.maximum(at - width, 0)]
    return around
