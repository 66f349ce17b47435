"""Alarms on tables that sales contradict: closed days with sales, and stock-outs of SKUs that sell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from tasks.demand.checks.limits import LIMITS

if TYPE_CHECKING:
    from tasks.demand.cleaning.exposure import StorePeriods
    from tasks.demand.cleaning.pair_periods import PairPeriods
    from tasks.demand.cleaning.prepared import Prepared


def contradicted_calendar(prepared: Prepared, stores: StorePeriods) -> list[Alarm]:
    """Return an alarm for stores that sell on most of the days on which the calendar closes them."""
    history = prepared.cells.history
    closed = (prepared.calendar.closed & ~prepared.closing)[:, :history]
    sold = stores.contradicted & closed
    alive = np.arange(history) >= _first_row(prepared)[:, None]
    cases, wrong = (closed & alive).sum(axis=1), sold.sum(axis=1)
    odd = (cases >= LIMITS.fewest_lines) & (wrong >= LIMITS.contradicted * cases)
    if not odd.any():
        return []
    names = [str(store) for store in prepared.cells.stores[odd]]
    return [
        raise_alarm(
            "calendar_contradicted",
            f"calendar: {numbered(int(odd.sum()), '# store[s]')} ({first_few(names)}) "
            f"{numbered(int(odd.sum()), '[has|have]')} sales on {wrong[odd].sum():,} of {cases[odd].sum():,} days that "
            "the calendar closes, and would be forecast as closed on them. Is `open` inverted? Write 0 for closed days",
            stores=names,
            count=int(wrong[odd].sum()),
        )
    ]


def _first_row(prepared: Prepared) -> np.ndarray:
    """First period with a row of each store, shape (S,)."""
    first: np.ndarray = prepared.cells.store_rows.argmax(axis=1)
    return first


def contradicted_availability(prepared: Prepared, missing: PairPeriods) -> list[Alarm]:
    """Return an alarm if most sales are on days on which the table of availability says out of stock.

    Args:
        prepared: corrected and summed tables.
        missing: periods that the table marks as out of stock.
    """
    cells = prepared.cells
    if not missing.count:
        return []
    sold = inside = 0
    for part in cells.parts():
        selling = part.units > 0
        sold += int(selling.sum())
        inside += int((np.isin(part.row_keys, missing.of(part)) & selling).sum())
    if inside < LIMITS.contradicted * sold:
        return []
    return [
        raise_alarm(
            "availability_contradicted",
            f"availability: {inside:,} of {sold:,} periods with sales of a store and SKU are marked as out "
            "of stock, and their demand is unknown. Is `in_stock` inverted? Write 1 for in stock",
            count=inside,
        )
    ]
