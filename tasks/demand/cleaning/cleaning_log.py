"""The cleaning log: one row per changed sale, made a block of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray
from tasks.demand.cleaning.corrections import VOID
from tasks.demand.cleaning.exposure import StorePeriods
from tasks.demand.cleaning.prepared import Prepared
from tasks.demand.cleaning.sales import CellPart, SaleCells

RETURN = "return"
OUTLIER = "outlier"
OPEN_AFTER_ALL = "open_after_all"
TEXT_COLUMNS = (c.TABLE, c.STORE_ID, c.SKU, c.TREATMENT, c.REASON)
# Rows that are made at once: seven columns, five of them text.
_ROWS = 1 << 18


@dataclass(frozen=True)
class _Treated:
    """Sales with the same treatment.

    Attributes:
        treatment: its name.
        reason: why.
        count: number of rows.
        frames: yields date, store_id, sku and units.
    """

    treatment: str
    reason: str
    count: int
    frames: Callable[[], Iterator[pd.DataFrame]]


@dataclass(frozen=True)
class CleaningLog:
    """One row per changed sale: table, store_id, sku, date (of the line or its period), units, treatment and reason.

    Attributes:
        treated: the changed sales by treatment, in the order of the log.
    """

    treated: tuple[_Treated, ...]

    @classmethod
    def of(cls, prepared: Prepared, stores: StorePeriods) -> CleaningLog:
        """The log of cleaned tables.

        Args:
            prepared: cleaned tables.
            stores: what is known of each store and period.
        """
        lines, cells = prepared.lines, prepared.cells
        factor = prepared.settings.cleaning.outlier_factor
        unexplained = f"more than {factor:g} times the usual peak of its series, and no event explains it"

        def sold_while_closed(part: CellPart) -> BoolArray:
            return stores.contradicted[part.cell_store, part.cell_period] & (part.units > 0)

        returned = _Treated(RETURN, "units below 0 count as demand of 0", lines.returned.count, lines.returned.frames)
        voided = _Treated(
            VOID, "a line and the line that cancels it: no demand", len(lines.voided), lambda: iter([lines.voided])
        )
        outliers = _of_cells(
            OUTLIER, f"{unexplained}: demand unknown", lambda part: part.marked(prepared.outliers), cells
        )
        opened = _of_cells(
            OPEN_AFTER_ALL,
            "sold while the calendar says closed: treated as open",
            sold_while_closed if stores.contradicted.any() else None,
            cells,
        )
        return cls((returned, voided, outliers, opened))

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows of each treatment that occurs, by its name."""
        return {own.treatment: own.count for own in sorted(self.treated, key=lambda own: own.treatment) if own.count}

    def parts(self) -> Iterator[pd.DataFrame]:
        """Yield the rows, at least one frame. Read them once: their memory is released."""
        for own in self.treated:
            for frame in own.frames() if own.count or not self.counts else ():
                yield _treated(frame, own.treatment, own.reason)


def _of_cells(
    treatment: str, reason: str, chosen: Callable[[CellPart], BoolArray] | None, cells: SaleCells
) -> _Treated:
    """Cells with the same treatment, by pair and period."""
    keys, units = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for part in cells.parts() if chosen else ():
        rows = np.flatnonzero(chosen(part)) if chosen else keys[0]
        keys.append(part.keys[rows])
        units.append(part.units[rows])
    key, sold = np.concatenate(keys), np.concatenate(units)
    order = np.argsort(key)

    def frames() -> Iterator[pd.DataFrame]:
        for first in range(0, max(len(order), 1), _ROWS):
            rows = order[first : first + _ROWS]
            pair, period = np.divmod(key[rows], cells.history)
            yield pd.DataFrame(
                {
                    c.DATE: cells.periods[period],
                    c.STORE_ID: cells.stores[cells.pair_store[pair]],
                    c.SKU: cells.skus[cells.pair_sku[pair]],
                    c.UNITS: sold[rows],
                }
            )

    return _Treated(treatment, reason, len(key), frames)


def _treated(rows: pd.DataFrame, treatment: str, reason: str) -> pd.DataFrame:
    columns = [c.TABLE, c.STORE_ID, c.SKU, c.DATE, c.UNITS, c.TREATMENT, c.REASON]
    text = {c.STORE_ID: object, c.SKU: object}
    return rows.astype(text).assign(**{c.TABLE: "sales", c.TREATMENT: treatment, c.REASON: reason})[columns]
