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
from tasks.demand.cleaning.sales import CellPart, SaleCells, codes

_RECURRENCE_WINDOW = {"D": 7, "W": 2, "MS": 1}


@dataclass(frozen=True)
class OutlierRule:
    """The numbers of the outlier rule (docs/reference/constants.md).

    Attributes:
        percentile: quantile level of a series' selling periods that is its usual peak.
        similar: another peak explains an outlier if it is at least this fraction of its size.
        fewest_others: with fewer other selling periods the percentile of the category is used.
        shared_by_share: a peak is shared only if at least this fraction of the series that sell in the period peak too.
        shared_by_series: a peak is shared only if at least this number of series peak in the period.
    """

    percentile: float = 0.99
    similar: float = 0.25
    fewest_others: int = 8
    shared_by_share: float = 0.05
    shared_by_series: int = 3


RULE = OutlierRule()


def outlier_cells(cells: SaleCells, special: BoolArray, factor: float) -> IndexArray:
    """Find the cells whose value is an outlier.

    Args:
        cells: cleaned sales; m cells of n series over T periods.
        special: shape (S, T); the calendar names a holiday or event for the store.
        factor: multiple of the usual peak above which a value is an outlier; above 1.

    Returns:
        Ascending ``pair * T + period``.
    """
    peak = usual_peak(cells)
    found = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))]
    for own in cells.parts():
        usual = peak[own.series]
        suspects = np.flatnonzero(own.units > factor * usual[own.cell_series])
        suspects = suspects[~special[own.cell_store[suspects], own.cell_period[suspects]]]
        if len(suspects):
            suspects = suspects[~_recurs(own.by_series(own.units), own, suspects)]
        found.append((own.keys[suspects], own.cell_series[suspects] + own.series.start, own.units[suspects]))
    key, series, units = (np.concatenate(values) for values in zip(*found, strict=True))
    outliers = key[~_shared(peak, cells, series, key % cells.history, units)]
    return np.sort(outliers)


def usual_peak(cells: SaleCells) -> FloatArray:
    """The 99th percentile (next lower value) of each series' selling periods but its largest.

    For every value above it this is the percentile of the *other* selling periods, because the value that is left
    out lies above it. With up to 101 periods it also leaves out the largest of the others, so that a second outlier
    does not hide the first. With fewer than 8 others it is the percentile of the category over all stores; with fewer
    than 8 there it is infinite (no value is an outlier).

    Args:
        cells: cleaned sales of n series.

    Returns:
        Shape (n,); units.
    """
    peak = np.empty(cells.n)
    for part in cells.parts():
        peak[part.series] = _lower_percentile(part.by_series(part.units))
    few = np.isnan(peak)
    category, names = codes(cells.series_category)
    concerned = np.zeros(len(names), dtype=bool)
    concerned[category[few]] = True
    values, of = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    for part in cells.parts() if few.any() else ():
        rows = np.flatnonzero(concerned[category[part.series]])
        demand = part.by_series(part.units)[rows]
        series, period = np.nonzero(demand > 0)
        values.append(demand[series, period])
        of.append(category[part.series][rows][series])
    pooled_values, pooled_of = np.concatenate(values), np.concatenate(of)
    order = np.lexsort((pooled_values, pooled_of))
    starts = np.searchsorted(pooled_of[order], np.arange(len(names) + 1))
    pooled = np.array([_percentile_of_sorted(pooled_values[order[a:b]]) for a, b in pairwise(starts)])
    return np.where(few, pooled[category], peak)


def _lower_percentile(demand: FloatArray) -> FloatArray:
    """Per row, over its positive values but one; NaN if there are too few."""
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


def _recurs(demand: FloatArray, cells: CellPart, suspects: IndexArray) -> BoolArray:
    """Whether the series peaks similarly about a year before or after."""
    year = cells.frequency.periods_per_year
    window = _RECURRENCE_WINDOW[cells.frequency.kind]
    found = np.zeros(len(suspects), dtype=bool)
    for i, cell in enumerate(suspects):
        row, at = demand[cells.cell_series[cell]], int(cells.cell_period[cell])
        around = [row[max(at + shift - window, 0) : max(at + shift + window + 1, 0)] for shift in (-year, year)]
        found[i] = any((part >= RULE.similar * cells.units[cell]).any() for part in around)
    return found


def _shared(peak: FloatArray, cells: SaleCells, series: IndexArray, at: IndexArray, units: FloatArray) -> BoolArray:
    """Whether many other series exceed their own usual peak similarly in the period of a value."""
    ratio = units / peak[series]
    alike, selling = np.zeros(len(series), dtype=np.int64), np.zeros(len(series), dtype=np.int64)
    for part in cells.parts() if len(series) else ():
        demand, usual = part.by_series(part.units), peak[part.series]
        for i in range(len(series)):
            column = demand[:, at[i]]
            peaks, sells = column >= RULE.similar * ratio[i] * usual, column > 0
            if part.series.start <= series[i] < part.series.stop:
                peaks[series[i] - part.series.start] = sells[series[i] - part.series.start] = False
            alike[i] += int(peaks.sum())
            selling[i] += int(sells.sum())
    found: BoolArray = (alike >= RULE.shared_by_series) & (alike >= RULE.shared_by_share * selling)
    return found
