"""Sale lines in shards: all lines of a SKU, and of the SKUs that it is linked to, are in one shard.

Corrections compare the lines of a SKU over all stores, so that a shard is corrected alone. A shard holds about
:data:`SHARD_LINES` lines. Results do not depend on the number of shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.panel import IndexArray
from tasks.demand.cleaning.sales import TextArray
from tasks.storage.shards import Rows, Shards

SHARD_LINES = 1 << 18
# Columns of the sales table that the panel reads; net_amount may be missing.
LINE_COLUMNS = (c.DATE, c.STORE_ID, c.SKU, c.UNITS, c.NET_AMOUNT)
LINE = np.dtype([("row", "<i8"), ("day", "<i4"), ("store", "<i4"), ("sku", "<i4"), ("units", "<f8"), ("amount", "<f8")])
# Lines on consecutive days, some of which are kept together (returns are a few percent of the lines).
_LINES_BY_DAY = 1 << 22
_LINE_BY_DAY = np.dtype([("day", "<i4"), ("store", "<i4"), (c.SKU, "<i4"), ("units", "<f8")])
# Days are counted from here, so that the first day of a pandas time stamp is above 0.
_ORIGIN = 120_000
_SIGNS = ("lines", "counted", "negative", "negative_amount", "stated", "opposite")


@dataclass(frozen=True)
class LineBlocks:
    """Sale lines to be read block by block.

    Attributes:
        rows: number of lines.
        read: yields frames with the columns of :data:`LINE_COLUMNS`.
    """

    rows: int
    read: Callable[[], Iterable[pd.DataFrame]]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> LineBlocks:
        """The lines of a table in memory."""
        return cls(len(frame), lambda: [frame])


class Names:
    """Numbers of texts in the order in which they are found."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def number(self, name: str) -> int:
        """Return the number of a text; a new one if it is new."""
        return self._numbers.setdefault(name, len(self._numbers))

    def codes(self, column: pd.Series) -> NDArray[np.int32]:
        """Return the number of each text of a column."""
        if isinstance(column.dtype, pd.CategoricalDtype):
            found, names = column.cat.codes.to_numpy(), column.cat.categories
            used = np.bincount(found, minlength=len(names)) > 0
        else:
            found, names = pd.factorize(column)
            used = np.ones(len(names), dtype=bool)
        numbers = np.full(len(names), -1, dtype=np.int32)
        numbers[used] = [self.number(str(name)) for name in names[used]]
        codes: NDArray[np.int32] = numbers[found]
        return codes

    def ordered(self) -> tuple[NDArray[np.int32], TextArray]:
        """Return the rank of each number in alphabetical order, and the texts in that order."""
        names = np.array(list(self._numbers), dtype=object)
        order = np.argsort(names)
        rank = np.empty(len(names), dtype=np.int32)
        rank[order] = np.arange(len(names), dtype=np.int32)
        return rank, names[order]


@dataclass
class DateRange:
    """Lines on one side of the run date.

    Attributes:
        count: number of lines.
        first: first day.
        last: last day.
        last_of_store: last day of each store, by number.
        skus: numbers of the SKUs.
    """

    count: int = 0
    first: int = np.iinfo(np.int32).max
    last: int = np.iinfo(np.int32).min
    last_of_store: dict[int, int] = field(default_factory=dict)
    skus: set[int] = field(default_factory=set)

    def add(self, day: NDArray[np.int32], store: NDArray[np.int32], sku: NDArray[np.int32] | None = None) -> None:
        """Count lines."""
        if not len(day):
            return
        self.count += len(day)
        self.first, self.last = min(self.first, int(day.min())), max(self.last, int(day.max()))
        last = np.full(int(store.max()) + 1, np.iinfo(np.int32).min, dtype=np.int32)
        np.maximum.at(last, store, day)
        for at in np.flatnonzero(last > np.iinfo(np.int32).min):
            self.last_of_store[int(at)] = max(int(last[at]), self.last_of_store.get(int(at), int(last[at])))
        if sku is not None:
            self.skus |= set(np.unique(sku).tolist())


@dataclass(frozen=True)
class SaleLines:
    """The sale lines before the run date, in shards, and sums over all of them.

    Attributes:
        shards: lines of :data:`LINE`; numbers of stores and SKUs are those of ``stores`` and ``skus`` once ranked.
        stores: shape (S,); store ids in alphabetical order.
        skus: shape (K,); SKUs in alphabetical order, with those of ``linked``.
        store_rank: position in ``stores`` of each number in ``shards``.
        sku_rank: position in ``skus`` of each number in ``shards``.
        priced: the lines have a net amount.
        rows: number of lines of the table, the later ones included.
        first_sale: first day of the table.
        last_sale: last day of the table.
        before: lines before the run date.
        after: lines after it.
        after_stores: stores of the lines after it.
        after_skus: SKUs of the lines after it.
        store_lines: shape (S,); lines before the run date.
        signs: number of lines by day, and of those with a sign of units and amount; shape (6, days).
    """

    shards: Shards
    stores: TextArray
    skus: TextArray
    store_rank: NDArray[np.int32]
    sku_rank: NDArray[np.int32]
    priced: bool
    rows: int
    first_sale: pd.Timestamp
    last_sale: pd.Timestamp
    before: DateRange
    after: DateRange
    after_stores: list[str]
    after_skus: list[str]
    store_lines: IndexArray
    signs: NDArray[np.int64]

    def by_day(self, name: str) -> tuple[IndexArray, IndexArray]:
        """Days (since 1970) with lines, and how many of them have a sign: see ``signs``."""
        days = np.flatnonzero(self.signs[0])
        return days - _ORIGIN, self.signs[_SIGNS.index(name), days]

    def frames(self) -> Iterator[pd.DataFrame]:
        """Yield the lines of every shard once; the index is the row number in the table."""
        types = pd.CategoricalDtype(self.stores), pd.CategoricalDtype(self.skus)
        for number in range(self.shards.count):
            frame = self._frame(self.shards.pop(number), *types)
            if len(frame) or self.shards.count == 1:
                yield frame

    def _frame(self, rows: Rows, stores: pd.CategoricalDtype, skus: pd.CategoricalDtype) -> pd.DataFrame:
        store, sku = self.store_rank[rows["store"]], self.sku_rank[rows[c.SKU]]
        columns = {
            c.DATE: rows["day"].astype("datetime64[D]").astype("datetime64[ns]"),
            c.STORE_ID: pd.Categorical.from_codes(store, dtype=stores, validate=False),
            c.SKU: pd.Categorical.from_codes(sku, dtype=skus, validate=False),
            c.UNITS: np.ascontiguousarray(rows["units"]),
        }
        if self.priced:
            columns[c.NET_AMOUNT] = np.ascontiguousarray(rows["amount"])
        return pd.DataFrame(columns, index=np.ascontiguousarray(rows["row"]), copy=False)


class LinesByDay:
    """Some lines of all shards, to be read in the order of date, store, SKU and units.

    Args:
        lines: all lines.
    """

    def __init__(self, lines: SaleLines) -> None:
        self.count = 0
        self._names = lines.stores, lines.skus
        days, counts = lines.by_day("lines")
        self._first = int(days[0])
        self._shard = np.zeros(int(days[-1]) - self._first + 1, dtype=np.int64)
        self._shard[days - self._first] = (counts.cumsum() - counts) // _LINES_BY_DAY
        self._shards = Shards(int(self._shard.max()) + 1, _LINE_BY_DAY)

    def append(self, lines: pd.DataFrame) -> None:
        """Add lines."""
        rows = np.empty(len(lines), dtype=_LINE_BY_DAY)
        rows["day"] = lines[c.DATE].to_numpy(dtype="datetime64[D]").astype(np.int32)
        rows["store"], rows[c.SKU] = (lines[name].cat.codes.to_numpy() for name in (c.STORE_ID, c.SKU))
        rows["units"] = lines[c.UNITS].to_numpy()
        self._shards.append(self._shard[rows["day"] - self._first], rows)
        self.count += len(rows)

    def frames(self) -> Iterator[pd.DataFrame]:
        """Yield date, store_id, sku and units, about :data:`SHARD_LINES` rows at a time; their memory is released."""
        stores, skus = self._names
        for rows in self._shards.take():
            ordered = rows[np.lexsort((rows["units"], rows[c.SKU], rows["store"], rows["day"]))]
            for first in range(0, max(len(ordered), 1), SHARD_LINES):
                block = ordered[first : first + SHARD_LINES]
                yield pd.DataFrame(
                    {
                        c.DATE: block["day"].astype("datetime64[D]").astype("datetime64[ns]"),
                        c.STORE_ID: stores[block["store"]],
                        c.SKU: skus[block[c.SKU]],
                        c.UNITS: block["units"],
                    }
                )


def read_lines(blocks: LineBlocks, as_of: date, linked: Mapping[str, str]) -> SaleLines:
    """Distribute sale lines to shards.

    Args:
        blocks: the sales table.
        as_of: run date: lines before it are kept.
        linked: SKU to a name that all SKUs of its group have; see :func:`linked_skus`.
    """
    shards = Shards(-(-blocks.rows // SHARD_LINES), LINE)
    stores, skus, groups = Names(), Names(), Names()
    shard_of, run = np.zeros(0, dtype=np.int64), (pd.Timestamp(as_of) - pd.Timestamp(0)).days
    before, after = DateRange(), DateRange()
    signs = np.zeros((len(_SIGNS), 2 * _ORIGIN), dtype=np.int64)
    store_lines = np.zeros(0, dtype=np.int64)
    rows, priced, first, last = 0, False, np.iinfo(np.int32).max, np.iinfo(np.int32).min
    for block in blocks.read():
        line = np.empty(len(block), dtype=LINE)
        line["row"] = np.arange(rows, rows + len(block))
        rows += len(block)
        line["day"] = block[c.DATE].to_numpy(dtype="datetime64[D]").astype(np.int32)
        line["store"], line[c.SKU] = stores.codes(block[c.STORE_ID]), skus.codes(block[c.SKU])
        line["units"] = block[c.UNITS].to_numpy(dtype=np.float64)
        priced = c.NET_AMOUNT in block.columns
        line["amount"] = block[c.NET_AMOUNT].to_numpy(dtype=np.float64) if priced else 0.0
        first, last = int(line["day"].min(initial=first)), int(line["day"].max(initial=last))
        later = line["day"] > run
        after.add(line["day"][later], line["store"][later], line[c.SKU][later])
        if last >= run:
            line = line[line["day"] < run]
        before.add(line["day"], line["store"])
        store_lines = np.pad(store_lines, (0, len(stores) - len(store_lines)))
        store_lines += np.bincount(line["store"], minlength=len(stores))
        _count_signs(signs, line)
        new = [groups.number(linked.get(sku, sku)) for sku in list(skus)[len(shard_of) :]]
        shard_of = np.concatenate([shard_of, np.array(new, dtype=np.int64) % shards.count])
        shards.append(shard_of[line[c.SKU]], line)
    names = list(stores), list(skus)
    for sku in linked:
        skus.number(sku)
    (store_rank, store_names), (sku_rank, sku_names) = stores.ordered(), skus.ordered()
    return SaleLines(
        shards=shards,
        stores=store_names,
        skus=sku_names,
        store_rank=store_rank,
        sku_rank=sku_rank,
        priced=priced,
        rows=rows,
        first_sale=pd.Timestamp(first, unit="D") if rows else pd.NaT,
        last_sale=pd.Timestamp(last, unit="D") if rows else pd.NaT,
        before=before,
        after=after,
        after_stores=sorted(names[0][at] for at in after.last_of_store),
        after_skus=sorted(names[1][at] for at in after.skus),
        store_lines=store_lines[np.argsort(store_rank)],
        signs=signs,
    )


def _count_signs(signs: NDArray[np.int64], line: Rows) -> None:
    """Count the lines of each day by the signs of units and amount."""
    if not len(line):
        return
    day = line["day"].astype(np.int64) + _ORIGIN
    first, width = int(day.min()), int(day.max() - day.min()) + 1
    units, amount = line["units"], line["amount"]
    negative = units < 0
    sign = np.sign(units * amount)
    stated = np.isfinite(sign) & (sign != 0)
    for at, chosen in enumerate((None, units != 0, negative, negative & (amount < 0), stated, stated & (sign < 0))):
        counted = np.bincount((day if chosen is None else day[chosen]) - first, minlength=width)
        signs[at, first : first + width] += counted


def linked_skus(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """SKUs whose lines are corrected together: bundles and components, successors and predecessors.

    Returns:
        SKU to the first SKU of its group.
    """
    pairs: list[tuple[str, str]] = []
    bundles, products = tables.get("bundles"), tables["products"]
    if bundles is not None:
        pairs += zip(bundles[c.SKU].astype(str), bundles[c.COMPONENT_SKU].astype(str), strict=True)
    for column in (c.REPLACES, c.REPLACED_BY):
        if column in products.columns:
            named = products.loc[products[column].notna(), [c.SKU, column]].astype(str)
            pairs += zip(named[c.SKU], named[column].str.strip(), strict=True)
    root: dict[str, str] = {}

    def first(sku: str) -> str:
        while root.setdefault(sku, sku) != sku:
            root[sku] = root[root[sku]]
            sku = root[sku]
        return sku

    for one, other in pairs:
        ends = sorted((first(one), first(other)))
        root[ends[1]] = ends[0]
    return {sku: first(sku) for sku in root}
