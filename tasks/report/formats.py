"""The report's table type, and formats of numbers and dates in English (:mod:`tasks.report.language` has both)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tasks.report.language import ENGLISH, UNKNOWN

__all__ = ["UNKNOWN", "Table", "cell", "compact", "day", "number", "percent", "quantity"]


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        headers: one per column; the prefix ``#`` marks a numeric column and is not shown.
        rows: cells as text, one per header.
        marked: indices of highlighted rows.
        note: a line below the table.
        filters: indices of the columns with a filter in the page.
        red: indices of rows that are problems.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: frozenset[int] = field(default=frozenset())
    note: str = ""
    filters: frozenset[int] = field(default=frozenset())
    red: frozenset[int] = field(default=frozenset())

    def without_empty_columns(self) -> Table:
        """Leave out the columns without any value, such as product names if the products have none."""
        kept = [i for i in range(len(self.headers)) if any(row[i] not in ("", UNKNOWN) for row in self.rows)]
        if not self.rows or len(kept) == len(self.headers):
            return self
        rows = [tuple(row[i] for i in kept) for row in self.rows]
        filters = frozenset(kept.index(i) for i in self.filters if i in kept)
        return replace(self, headers=tuple(self.headers[i] for i in kept), rows=rows, filters=filters)


number = ENGLISH.number
quantity = ENGLISH.quantity
percent = ENGLISH.percent
compact = ENGLISH.compact
day = ENGLISH.day
cell = ENGLISH.cell
