"""Rows of tables, read some stores at a time: with millions of pairs of store and SKU, whole tables take gigabytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import IndexArray
from tasks.demand.cleaning.sales import TextArray, codes, counts
from tasks.storage.mapped import is_sorted

# Rows of consecutive stores that are worked on at once; a store is never divided.
ROWS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class RowsByStore:
    """Rows of a table in the order of their stores.

    Attributes:
        frame: the table, with store_id and sku.
        stores: shape (S,); store ids, alphabetical.
        order: shape (k,); positions of the rows, store by store; None = in the order of the table.
        starts: shape (S + 1,); where the rows of each store begin in ``order``.
    """

    frame: pd.DataFrame
    stores: TextArray
    order: IndexArray | None
    starts: IndexArray

    @classmethod
    def of(cls, frame: pd.DataFrame) -> RowsByStore:
        """The rows of a table."""
        rank, stores = codes(frame[c.STORE_ID])
        starts = np.append(0, counts(rank, len(stores)).cumsum())
        return cls(frame, stores, None if is_sorted(rank) else np.argsort(rank, kind="stable"), starts)

    def rows(self, first: str, last: str) -> IndexArray:
        """The positions of the rows of the stores from ``first`` to ``last``, store by store."""
        low, high = np.searchsorted(self.stores, first, "left"), np.searchsorted(self.stores, last, "right")
        begin, end = self.starts[low], self.starts[high]
        return np.arange(begin, end) if self.order is None else self.order[begin:end]

    def between(self, first: str, last: str) -> pd.DataFrame:
        """The rows of the stores from ``first`` to ``last``, with their ids as text."""
        rows = self.frame.iloc[self.rows(first, last)].reset_index(drop=True)
        return rows.astype({c.STORE_ID: object, c.SKU: object})


def store_ranges(tables: Sequence[RowsByStore], size: int | None = None) -> Iterator[tuple[str, str]]:
    """Yield the first and the last of consecutive stores that have about ``size`` rows together.

    Args:
        tables: the rows.
        size: None = :data:`ROWS_AT_ONCE`.
    """
    of_store: Counter[str] = Counter()
    for table in tables:
        of_store.update(dict(zip(table.stores, np.diff(table.starts).tolist(), strict=True)))
    names, first, rows = sorted(of_store), 0, 0
    for position, name in enumerate(names):
        rows += of_store[name]
        if rows >= (size or ROWS_AT_ONCE) or position == len(names) - 1:
            yield names[first], name
            first, rows = position + 1, 0
