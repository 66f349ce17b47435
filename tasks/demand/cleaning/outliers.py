"""Outliers: demand of one (store, SKU, period) far above the usual that no event explains.

The rule replaces the review of box plots by hand (docs/reference/domain.md). A cell is an outlier when its units
exceed ``outlier_factor`` times the 99th percentile of its series' other selling periods, unless

* the calendar names a holiday or event for that store and period, or
* a peak of a similar size recurs about a year before or after, or
* many other series peak similarly in that period.

"Similar" means at least a quarter of the size. Zeros are not part of the percentile, so that the empty periods of a
sparse series do not lower it. The whole history before ``as_of`` is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.cleaning.sales import SaleCells, codes

_RECURRENCE_WINDOW = {"D": 7, "W": 2, "MS": 1}


@dataclass(frozen=True)
class OutlierRule:
    """The numbers of the outlier rule (docs/reference/constants.md).

    Attributes:
        percentile: quantile level of a series' selling periods that is its usual peak.
        similar: another peak explains an outlier if it is at least this fraction of its size.
        fewest_others: with fewer other selling periods the percentile of the category is used.
        shared_by_share: a peak is shared if at least this fraction of the series that sell in the period peak too ...
        shared_by_series: ... and at least this many of them.
    """

    percentile: float = 0.99
    similar: float = 0.25
    fewest_others: int = 8
    shared_by_share: float = 0.05
    shared_by_series: int = 3


RULE = OutlierRule()


def outlier_cells(cells: SaleCells, special: BoolArray, factor: float) -> BoolArray:
    """Find the cells whose value is an outlier.

    Args:
        cells: cleaned sales; m cells of n series over T periods.
        special: shape (S, T); the calendar names a holiday or event for the store.
        factor: multiple of the usual peak above which a value is an outlier; above 1.

    Returns:
        Shape (m,).
    """
    demand = cells.by_series(cells.units)
    peak = usual_peak(demand, cells)
    suspects = np.flatnonzero(cells.units > factor * peak[cells.cell_series])
    outliers = np.zeros(len(cells.units), dtype=bool)
    explained = special[cells.cell_store[suspects], cells.cell_period[suspects]]
    suspects = suspects[~explained]
    suspects = suspects[~_recurs(demand, cells, suspects)]
    outliers[suspects[~_shared(demand, peak, cells, suspects)]] = True
    return outliers


def usual_peak(demand: FloatArray, cells: SaleCells) -> FloatArray:
    """The 99th percentile (next lower value) of each series' selling periods but its largest.

    For every value above it this is the percentile of the *other* selling periods, because the value that is left
    out lies above it. With up to 101 periods it also leaves out the largest of the others, so that a second outlier
    does not hide the first. With fewer than 8 others it is the percentile of the category over all stores; with fewer
    than 8 there it is infinite (no value is an outlier).

    Args:
        demand: shape (n, T); units per series and period, 0 where nothing sold.
        cells: for the category of each series.

    Returns:
        Shape (n,); units.
    """
    peak = _lower_percentile(demand)
    category, names = codes(cells.series_category)
    series, period = np.nonzero(demand > 0)
    order = np.lexsort((demand[series, period], category[series]))
    pooled_values, pooled_of = demand[series, period][order], category[series][order]
    starts = np.searchsorted(pooled_of, np.arange(len(names) + 1))
    pooled = np.array([_percentile_of_sorted(pooled_values[a:b]) for a, b in pairwise(starts)])
    return np.where(np.isnan(peak), pooled[category], peak)


def _lower_percentile(demand: FloatArray) -> FloatArray:
    """Per row, over its positive values but one; NaN where there are too few."""
    length = demand.shape[1]
    ordered = np.sort(demand, axis=1)
    selling = (demand > 0).sum(axis=1)
    others = np.maximum(selling - 1, 1)
    position = length - selling + np.floor(RULE.percentile * (others - 1)).astype(np.int64)
    picked = np.take_along_axis(ordered, np.minimum(position, length - 1)[:, None], axis=1)[:, 0]
    return np.where(selling > RULE.fewest_others, picked, np.nan)


def _percentile_of_sorted(values: FloatArray) -> float:
    others = len(values) - 1
    if others < RULE.fewest_others:
        return np.inf
    return float(values[int(np.floor(RULE.percentile * (others - 1)))])


def _recurs(demand: FloatArray, cells: SaleCells, suspects: IndexArray) -> BoolArray:
    """Whether the series peaks similarly about a year before or after."""
    year = cells.frequency.periods_per_year
    window = _RECURRENCE_WINDOW[cells.frequency.kind]
    found = np.zeros(len(suspects), dtype=bool)
    for i, cell in enumerate(suspects):
        row, at = demand[cells.cell_series[cell]], int(cells.cell_period[cell])
        around = [row[max(at + shift - window, 0) : max(at + shift + window + 1, 0)] for shift in (-year, year)]
        found[i] = any((part >= RULE.similar * cells.units[cell]).any() for part in around)
    return found


def _shared(demand: FloatArray, peak: FloatArray, cells: SaleCells, suspects: IndexArray) -> BoolArray:
    """Whether many other series exceed their own usual peak similarly in that period."""
    found = np.zeros(len(suspects), dtype=bool)
    for i, cell in enumerate(suspects):
        series, at = cells.cell_series[cell], cells.cell_period[cell]
        column = np.delete(demand[:, at], series)
        ratio = cells.units[cell] / peak[series]
        alike = int((column >= RULE.similar * ratio * np.delete(peak, series)).sum())
        selling = int((column > 0).sum())
        found[i] = alike >= RULE.shared_by_series and alike >= RULE.shared_by_share * selling
    return found
