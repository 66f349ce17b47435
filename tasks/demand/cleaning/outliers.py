"""Outliers: demand of one (store, SKU, period) far above the usual that no event explains.

The rule replaces the review of box plots by hand (docs/reference/domain.md). A cell is an outlier when its units
exceed ``outlier_factor`` times the 99th percentile of its series' other selling periods, or of its SKU's other cells in
all stores (then they also exceed the series' percentile: a large order that a large category hides), unless

* the calendar names a holiday or event for that store and period, or
* the SKU has a promotion in that store and period, or
* a peak of a similar size recurs about a year before or after, or
* many other series (SKUs of stores) peak similarly in that period.

"Similar" means at least a quarter of the size. Zeros are not part of the percentile, so that the empty periods of a
sparse series do not lower it. The whole history before ``as_of`` is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, alarm_of_rows, named_lines
from schemas.errors import first_few, numbered
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.sales import BLOCK_LINES, CellPart, SaleCells, codes, distinct, weighted_count
from tasks.storage.shards import Shards

_VALUE = np.dtype([(c.GROUP, np.int64), (c.VALUE, np.float64)])
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
Groups = Callable[[CellPart], tuple[IndexArray, IndexArray]]


def outlier_cells(
    cells: SaleCells, special: BoolArray, factor: float, promotions: pd.DataFrame | None = None
) -> IndexArray:
    """Find the cells whose value is an outlier.

    Args:
        cells: cleaned sales; m cells of n series over T periods.
        special: shape (S, T); the calendar names a holiday or event for the store.
        factor: multiple of the usual peak above which a value is an outlier; above 1.
        promotions: the table of promotions; None = no promotions are known.

    Returns:
        Ascending ``pair * T + period``.
    """
    of_series = usual_peak(cells)
    found = _suspects(cells, of_series, _by_series, of_series, special, factor)
    found = found[~_shared(cells, of_series, _by_series, found)]
    of_sku = _peak_of_skus(cells, _with_large_cells(cells, of_series, factor))
    hidden = np.setdiff1d(_suspects(cells, of_sku, _by_sku, of_series, special, factor), found)
    if len(hidden):
        of_sku = _peak_of_skus(cells, np.ones(len(cells.skus), dtype=bool))
        found = np.union1d(found, hidden[~_shared(cells, of_sku, _by_sku, hidden)])
    if promotions is not None and len(found):
        found = found[~_promoted(promotions, cells, found)]
    return found


def outlier_alarm(cells: SaleCells, outliers: IndexArray, others: Sequence[Alarm]) -> list[Alarm]:
    """Return an alarm for the outliers, without those that the alarm ``huge_lines`` among the others names."""
    pair, period = np.divmod(outliers, cells.history)
    units = np.zeros(len(outliers))
    for part in cells.parts() if len(outliers) else ():
        marked = part.marked(outliers)
        units[np.searchsorted(outliers, part.keys[marked])] = part.units[marked]
    rows = pd.DataFrame(
        {
            c.DATE: cells.periods[period],
            c.STORE_ID: cells.stores[cells.pair_store[pair]].astype(str),
            c.SKU: cells.skus[cells.pair_sku[pair]].astype(str),
            c.UNITS: units,
        }
    )
    for alarm in others:
        if alarm.name == "huge_lines":
            named = rows[c.STORE_ID].isin(alarm.stores) & rows[c.SKU].isin(alarm.skus)
            rows = rows[~(named & (rows[c.UNITS] >= LIMITS.huge_line))]
    if rows.empty:
        return []
    return [
        alarm_of_rows(
            "outliers",
            f"sales: {numbered(len(rows), '# value[s] of a store and SKU [is|are]')} far above the usual peak, and no "
            f"event, promotion or similar peak explains {numbered(len(rows), '[it|them]')}: "
            f"{first_few(named_lines(rows))}. Demand counts as unknown there. If the units are demand, name the event "
            "in the table events or calendar; leave orders of companies out with sources.sales.ignore",
            rows,
        )
    ]


def _by_series(part: CellPart) -> tuple[IndexArray, IndexArray]:
    """The series of each cell, in the whole and in the part."""
    return part.cell_series + part.series.start, part.cell_series


def _by_sku(part: CellPart) -> tuple[IndexArray, IndexArray]:
    """The SKU of each cell, whose peak it is measured by, and its pair."""
    return part.cell_sku, part.cell_pair


def _suspects(
    cells: SaleCells, peak: FloatArray, group: Groups, of_series: FloatArray, special: BoolArray, factor: float
) -> IndexArray:
    """Cells above a multiple of the usual peak of their group that neither the calendar nor another year explains.

    Args:
        cells: cleaned sales.
        peak: usual peak of each group.
        group: gives the group of each cell of a part, and the number of the curve (series or pair) of each cell.
        of_series: shape (n,); usual peak of each series, which an outlier exceeds.
        special: see :func:`outlier_cells`.
        factor: see :func:`outlier_cells`.

    Returns:
        Ascending ``pair * T + period``.
    """
    keys = [np.zeros(0, dtype=np.int64)]
    for own in cells.parts():
        of_cell, curve = group(own)
        large = np.maximum(factor * peak[of_cell], of_series[own.cell_series + own.series.start])
        suspects = np.flatnonzero(own.units > large)
        suspects = suspects[~special[own.cell_store[suspects], own.cell_period[suspects]]]
        if len(suspects):
            suspects = suspects[~_recurs(own, curve, suspects)]
        keys.append(own.keys[suspects])
    return np.sort(np.concatenate(keys))


def _with_large_cells(cells: SaleCells, of_series: FloatArray, factor: float) -> BoolArray:
    """Shape (K,): the SKU may have an outlier. Its usual peak is at least its smallest cell."""
    least = np.full(len(cells.skus), np.inf)
    for part in cells.parts():
        sold = part.units > 0
        np.minimum.at(least, part.cell_sku[sold], part.units[sold])
    found = np.zeros(len(cells.skus), dtype=bool)
    for part in cells.parts():
        large = np.maximum(factor * least[part.cell_sku], of_series[part.cell_series + part.series.start])
        found[part.cell_sku[part.units > large]] = True
    return found


def _peak_of_skus(cells: SaleCells, wanted: BoolArray) -> FloatArray:
    """The usual peak of the cells of some SKUs over all stores, shape (K,); infinite for the others."""

    def positive(part: CellPart) -> tuple[IndexArray, FloatArray]:
        rows = wanted[part.cell_sku] & (part.units > 0)
        return part.cell_sku[rows], part.units[rows]

    return _pooled(cells, len(wanted), positive) if wanted.any() else np.full(len(wanted), np.inf)


def _pooled(cells: SaleCells, size: int, select: Callable[[CellPart], tuple[IndexArray, FloatArray]]) -> FloatArray:
    """The usual peak of the values of each group over all parts, about :data:`BLOCK_LINES` values at a time.

    Args:
        cells: cleaned sales.
        size: number of groups.
        select: gives the group and the value of some cells of a part.

    Returns:
        Shape (size,); infinite for a group with too few values.
    """
    count = np.zeros(size, dtype=np.int64)
    for part in cells.parts():
        count += np.bincount(select(part)[0], minlength=size)
    shard = (np.cumsum(count) - count) // BLOCK_LINES
    shards = Shards(int(shard.max(initial=0)) + 1, _VALUE)
    for part in cells.parts():
        group, values = select(part)
        rows = np.empty(len(group), _VALUE)
        rows[c.GROUP], rows[c.VALUE] = group, values
        shards.append(shard[group], rows)
    found = np.full(size, np.inf)
    for rows in shards.take():
        order = np.lexsort((rows[c.VALUE], rows[c.GROUP]))
        group, values = rows[c.GROUP][order], rows[c.VALUE][order]
        starts = np.flatnonzero(np.append(True, group[1:] != group[:-1])[: len(group)])
        for first, last in pairwise([*starts.tolist(), len(group)]):
            found[group[first]] = _percentile_of_sorted(values[first:last])
    return found


def _promoted(promotions: pd.DataFrame, cells: SaleCells, keys: IndexArray) -> BoolArray:
    """Whether a promotion of the SKU is in the period of each cell."""
    pair, period = np.divmod(keys, cells.history)
    found = np.zeros(len(keys), dtype=bool)
    own = promotions[promotions[c.SKU].astype(str).isin(cells.skus[cells.pair_sku[pair]].astype(str))]
    sku = own[c.SKU].astype(str).to_numpy()
    rows_of = own.groupby(sku).indices
    everywhere = own[c.STORE_ID].isna().to_numpy() if c.STORE_ID in own else np.ones(len(own), dtype=bool)
    store = own[c.STORE_ID].astype(str).to_numpy() if c.STORE_ID in own else sku
    first, last = own[c.DATE_FROM].to_numpy(), own[c.DATE_TO].to_numpy()
    for at in range(len(keys)):
        rows = rows_of.get(str(cells.skus[cells.pair_sku[pair[at]]]), [])
        label = cells.periods[period[at]]
        # Labels are first or last days of periods.
        after, before = (cells.frequency.shift(label, step).to_datetime64() for step in (1, -1))
        here = everywhere[rows] | (store[rows] == str(cells.stores[cells.pair_store[pair[at]]]))
        found[at] = ((first[rows] < after) & (last[rows] > before) & here).any()
    return found


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

    def positive(part: CellPart) -> tuple[IndexArray, FloatArray]:
        rows = np.flatnonzero(concerned[category[part.series]])
        demand = part.by_series(part.units)[rows]
        series, period = np.nonzero(demand > 0)
        return category[part.series][rows][series], demand[series, period]

    return np.where(few, _pooled(cells, len(names), positive)[category], peak) if few.any() else peak


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


def _recurs(cells: CellPart, curve: IndexArray, suspects: IndexArray) -> BoolArray:
    """Whether the curve of each suspect peaks similarly about a year before or after."""
    year = cells.frequency.periods_per_year
    window = _RECURRENCE_WINDOW[cells.frequency.kind]
    found = np.zeros(len(suspects), dtype=bool)
    curves = distinct(curve[suspects])
    own = np.flatnonzero(np.isin(curve, curves))
    key = np.searchsorted(curves, curve[own]) * cells.history + cells.cell_period[own]
    units = weighted_count(key, cells.units[own], len(curves), cells.history)
    for i, cell in enumerate(suspects):
        row = units[np.searchsorted(curves, curve[cell])]
        at = int(cells.cell_period[cell])
        around = [row[max(at + shift - window, 0) : max(at + shift + window + 1, 0)] for shift in (-year, year)]
        found[i] = any((part >= RULE.similar * cells.units[cell]).any() for part in around)
    return found


def _shared(cells: SaleCells, peak: FloatArray, group: Groups, keys: IndexArray) -> BoolArray:
    """Whether many other curves exceed their own usual peak similarly in the period of each cell."""
    alike, selling = np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=np.int64)
    ratio, curve_of = np.zeros(len(keys)), np.full(len(keys), -1)
    number = np.full(len(keys), -1)
    for part in cells.parts() if len(keys) else ():
        of_cell, curve = group(part)
        own = np.flatnonzero(np.isin(part.keys, keys))
        at = np.searchsorted(keys, part.keys[own])
        ratio[at], curve_of[at], number[at] = part.units[own] / peak[of_cell[own]], curve[own], part.number
    periods = keys % cells.history
    order = np.argsort(periods, kind="stable")
    together = np.split(order, np.flatnonzero(np.diff(periods[order])) + 1)
    for part in cells.parts() if len(keys) else ():
        of_cell, curve = group(part)
        by_period = np.argsort(part.cell_period, kind="stable")
        ordered = part.cell_period[by_period]
        for rows in together:
            now = by_period[slice(*np.searchsorted(ordered, periods[rows[0]] + np.arange(2)))]
            numbers, first, place = np.unique(curve[now], return_index=True, return_inverse=True)
            units, usual = np.bincount(place, part.units[now], minlength=len(numbers)), peak[of_cell[now[first]]]
            for some in np.array_split(rows, -(-len(rows) * max(len(numbers), 1) // BLOCK_LINES)):
                others = (numbers != curve_of[some, None]) | (number[some, None] != part.number)
                alike[some] += (others & (units >= RULE.similar * ratio[some, None] * usual)).sum(axis=1)
                selling[some] += (others & (units > 0)).sum(axis=1)
    found: BoolArray = (alike >= RULE.shared_by_series) & (alike >= RULE.shared_by_share * selling)
    return found
