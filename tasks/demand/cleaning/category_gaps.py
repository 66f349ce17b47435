"""Periods in which no store sells a category that sold in the same season of another year: unknown.

The category was closed, or its supply was cut; a season of the year would have been empty in the other year too, and is
shorter than a year. Without sales after it, a gap may be the end of the category and stays known.
"""

from __future__ import annotations

import numpy as np

from schemas.panel import IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.exposure import StorePeriods
from tasks.demand.cleaning.gaps import log_chance_of_run
from tasks.demand.cleaning.pair_periods import PairPeriods, every_pair, open_and_known
from tasks.demand.cleaning.sales import CellPart, SaleCells, codes, distinct


def category_gaps(cells: SaleCells, stores: StorePeriods) -> PairPeriods:
    """Find the periods of such gaps in which the stores are open and their sales are known.

    A gap has at least ``LIMITS.category_gap`` open periods, a probability below ``LIMITS.sku_chance`` by the category's
    own rate before it (:func:`tasks.demand.cleaning.gaps.log_chance_of_run`), and either a year or more, or rows in at
    least ``LIMITS.category_sold`` of the same periods a year before or after.

    Args:
        cells: cleaned sales; p pairs, T periods.
        stores: what is known of each store and period.
    """
    history, year, end = cells.history, cells.frequency.periods_per_year, cells.end
    category, names = codes(cells.series_category)
    rows_in = np.zeros(len(names) * history, dtype=bool)
    for part in cells.parts():
        rows_in[category[part.series][part.cell_series] * history + part.cell_period] = True
    keys = np.flatnonzero(rows_in)
    of, period = np.divmod(keys, history)
    inner = np.flatnonzero(of[1:] == of[:-1])
    of, start, stop, first = of[inner], period[inner] + 1, period[inner + 1], _first_of(of, period)[inner]
    is_open = ~(stores.closed[:, :history] | stores.silent).all(axis=0) & ~stores.partial
    opened = np.concatenate([[0], is_open.cumsum()])

    def rows(low: IndexArray, high: IndexArray) -> IndexArray:
        return np.searchsorted(keys, of * history + high) - np.searchsorted(keys, of * history + low)

    length = opened[stop] - opened[start]
    low = np.maximum(start - LIMITS.window[cells.frequency.kind], first)
    before = np.maximum(opened[start] - opened[low], 1)
    empty = np.maximum(before - rows(low, start), 0).astype(np.float64)
    found = (length >= LIMITS.category_gap[cells.frequency.kind]) & (before >= LIMITS.pattern_cases)
    found &= log_chance_of_run(empty, before.astype(np.float64), length) < np.log(LIMITS.sku_chance)
    sold = stop - start >= year
    for shift in (-year, year):
        inside = (start + shift >= first) & (stop + shift <= end)
        a, b = np.clip(start + shift, 0, history), np.clip(stop + shift, 0, history)
        sold |= inside & (rows(a, b) >= LIMITS.category_sold * np.maximum(opened[b] - opened[a], 1))
    found &= sold
    if not found.any():
        return PairPeriods.none()
    inside = np.zeros((len(names), history), dtype=bool)
    for number, first_period, end_period in zip(of[found], start[found], stop[found], strict=True):
        inside[number, first_period:end_period] = True

    def of_part(part: CellPart) -> IndexArray:
        pair, at = every_pair(part, np.flatnonzero(inside[category[part.series]]))
        return open_and_known(distinct(pair * history + at), part, stores)

    return PairPeriods(cells, of_part)


def _first_of(of: IndexArray, period: IndexArray) -> IndexArray:
    """First period of the category of each row; rows are sorted by category and period."""
    found: IndexArray = period[np.searchsorted(of, of)]
    return found
