"""Simulation of a weekly plan by SKU: every SKU has its own stock in the stores and in the distribution center.

A simulation by category overestimates sales: its stock serves the demand for every SKU of the category. Here each unit
of a category's demand is for one SKU, drawn by the shares of the SKUs on the path, and is lost if that SKU is out of
stock. The shares vary from path to path as in :mod:`tasks.inventory.model.sku_demand`. The
distribution center is a stock: it opens with its count, receives its dated arrivals, and ships until it is empty.

Events of a period are those of :mod:`tasks.inventory.model.simulator`. Two limits reduce the orders of a period:

1. Rationing of a SKU that the distribution center has too little of. Its stock is sufficient to bring all
   stores to some coverage (position / expected demand of a review period). Orders are reduced to that coverage. The
   units that stores with a later delivery need to reach it are kept for them.
2. Storage capacity: if the orders of a store do not fit, all are reduced by one factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray, SkuDetail, UnitsArray
from tasks.inventory.model.kernels import compiled, in_parallel
from tasks.inventory.model.sku_demand import SHARE_WEIGHT
from tasks.storage.machine import usable_cores

# Bisection steps of the coverage that all stores of a scarce SKU reach.
COVERAGE_STEPS = 30
# Number of parts into which the paths are divided. It is fixed, so that the number of threads does not change sums.
PARTS = 4
# What is recorded of every period: nothing, the sales of series and the stock of stores, or everything.
NOTHING, SALES, EVERYTHING = range(3)
# Columns of the measures, as in the simulator.
LOST_VALUE, LOST_UNITS, HELD_UNITS, OVER_PERIODS = range(4)


class Rows(NamedTuple):
    """The (store, SKU) pairs, sorted by SKU; and the series (store, category).

    Attributes:
        store: shape (R,), index of the store.
        series: shape (R,), index of the series.
        part: shape (R,), part of the series' level.
        largest: shape (R,), as in :class:`schemas.plan.SkuDetail`.
        share: shape (R,), share of the series' demand.
        on_hand: shape (R,), units.
        in_transit: shape (A, R), units that arrive at the start of period k.
        sku_first: shape (Q + 1,); the rows of SKU q are sku_first[q] … sku_first[q + 1] − 1.
        supply: shape (Q, T), units that may be sent from period t on; inf = unlimited.
        by_series: shape (R,), rows sorted by series.
        series_first: shape (n + 1,), places in ``by_series``.
        cumulative: shape (R,), cumulative share in the order of ``by_series``.
    """

    store: IndexArray
    series: IndexArray
    part: FloatArray
    largest: FloatArray
    share: FloatArray
    on_hand: FloatArray
    in_transit: FloatArray
    sku_first: IndexArray
    supply: FloatArray
    by_series: IndexArray
    series_first: IndexArray
    cumulative: FloatArray


class Terms(NamedTuple):
    """Prices, deliveries and levels by series, and limits by store.

    One row per period: in a large network the row of a period fits into a processor's cache, the whole array does not.

    Attributes:
        price: shape (T, n), cost of a lost unit.
        weight: shape (n,), multiplies the units held.
        visits: shape (S, T).
        levels: shape (T, n), read at deliveries.
        following: shape (T, n), level of the next delivery in this period or later; 0 if none exists.
        need: shape (T, n), expected demand over a review period from this period on.
        before: shape (S, T), expected demand of a store during the lead time from this period on.
        capacity: shape (S,), units.
        lead_time: L.
        end_periods: periods of holding cost for a unit left at the end of the horizon.
    """

    price: FloatArray
    weight: FloatArray
    visits: BoolArray
    levels: FloatArray
    following: FloatArray
    need: FloatArray
    before: FloatArray
    capacity: FloatArray
    lead_time: int
    end_periods: float


class Totals(NamedTuple):
    """Sums over paths; the kernel adds to them. What is not recorded has no series and no stores.

    Attributes:
        sold: shape (T, n), units.
        sent: shape (T, n), units that arrive by a planned delivery.
        on_hand: shape (T, n), units before the arrivals of period t.
        in_transit: shape (T, n), units in transit before the arrivals of period t, including those of period t.
        after_delivery: shape (S, T), units after the arrivals.
        over: shape (S, T), paths on which the store is over capacity.
    """

    sold: FloatArray
    sent: FloatArray
    on_hand: FloatArray
    in_transit: FloatArray
    after_delivery: FloatArray
    over: FloatArray

    @classmethod
    def empty(cls, series: int, stores: int, periods: int, recorded: int) -> Totals:
        """Arrays of zeros."""
        some, every = (series if recorded >= level else 0 for level in (SALES, EVERYTHING))
        by_series = [np.zeros((periods, size)) for size in (some, every, every, every)]
        return cls(*by_series, *(np.zeros((stores if recorded >= SALES else 0, periods)) for _ in range(2)))


@compiled
def _drawn(units: FloatArray, rows: Rows, seed: int, demand: FloatArray) -> None:
    """Draw the shares of the SKUs, and the SKU of every unit of demand.

    Args:
        units: shape (n, T), units of each series on one path.
        rows: shares of the SKUs.
        seed: seed of the draw.
        demand: shape (T, R), written; float32 or float64.
    """
    np.random.seed(seed)  # numba has no other generator
    demand[:] = 0.0
    for i in range(units.shape[0]):
        first, end = rows.series_first[i], rows.series_first[i + 1]
        if end == first:
            continue
        cumulative = np.zeros(end - first)
        if end > first + 1:
            # Shares in proportion to gamma variables: each has about the beta distribution of its SKU.
            before, total = 0.0, 0.0
            for k in range(end - first):
                share = rows.cumulative[first + k] - before
                before = rows.cumulative[first + k]
                if share > 0.0:
                    total += share * np.random.gamma(SHARE_WEIGHT, 1.0)
                cumulative[k] = total
            if total > 0.0:
                cumulative /= total
        for t in range(units.shape[1]):
            count = int(units[i, t] + 0.5)
            if end == first + 1:
                demand[t, rows.by_series[first]] = count
                continue
            for _ in range(count):
                place = first + np.searchsorted(cumulative, np.random.random(), side="right")
                demand[t, rows.by_series[min(place, end - 1)]] += 1.0


@compiled
def _rationed(order: FloatArray, position: FloatArray, level: FloatArray, need: FloatArray, available: float) -> float:
    """Reduce the orders of one SKU to the distribution center's stock; return the units left there."""
    claims, total, top = 0.0, 0.0, 0.0
    for j in range(len(order)):
        gap = max(level[j] - position[j], 0.0)
        claims += gap
        total += order[j]
        if gap > 0.0 and need[j] > 0.0:
            top = max(top, level[j] / need[j])
    if claims <= available + 1e-9:
        return available - total
    low, high = 0.0, top
    for _ in range(COVERAGE_STEPS):
        coverage = 0.5 * (low + high)
        requested = 0.0
        for j in range(len(order)):
            requested += max(min(level[j], coverage * need[j]) - position[j], 0.0)
        if requested <= available:
            low = coverage
        else:
            high = coverage
    total = 0.0
    for j in range(len(order)):
        order[j] = min(order[j], max(min(level[j], low * need[j]) - position[j], 0.0))
        total += order[j]
    return max(available - total, 0.0)


@compiled
def _simulate(  # noqa: C901, PLR0912, PLR0915
    demand: FloatArray,
    rows: Rows,
    terms: Terms,
    recorded: int,
    totals: Totals,
    measures: FloatArray,
    sent: FloatArray,
) -> None:
    """Simulate all stores on one path.

    Args:
        demand: shape (T, R), units.
        rows: stock and supply.
        terms: prices, levels and limits.
        recorded: what is added to ``totals``.
        totals: added to.
        measures: shape (S, 4), written.
        sent: shape (n,), written: units sent by planned deliveries.
    """
    periods, count = demand.shape
    stores = len(terms.capacity)
    lead = terms.lead_time
    known = rows.in_transit.shape[0]
    stock = rows.on_hand.copy()
    pending = np.zeros(count)
    for a in range(known):
        pending += rows.in_transit[a]
    order = np.zeros(count)
    position = np.empty(count)
    level = np.empty(count)
    need = np.empty(count)
    # What arrives in period t has the row t modulo (lead time + 1).
    arriving = np.zeros((lead + 1, count))
    center = np.zeros(rows.supply.shape[0])
    held = np.empty(stores)
    ordered = np.empty(stores)
    measures[:] = 0.0
    sent[:] = 0.0
    for t in range(periods):
        center += rows.supply[:, t]
        if recorded == EVERYTHING:
            for j in range(count):
                totals.on_hand[t, rows.series[j]] += stock[j]
                totals.in_transit[t, rows.series[j]] += pending[j]
        due = t + lead
        if due < periods and terms.visits[:, due].any():
            held[:] = 0.0
            ordered[:] = 0.0
            for j in range(count):
                i, s = rows.series[j], rows.store[j]
                position[j] = stock[j] + pending[j]
                held[s] += position[j]
                need[j] = terms.need[t, i] * rows.share[j]
                most = rows.largest[j] * need[j] if rows.largest[j] < np.inf else np.inf
                level[j] = np.floor(min(terms.following[due, i] * rows.part[j], most) + 0.5)
                order[j] = 0.0
                if terms.visits[s, due]:
                    order[j] = max(0.0, np.floor(min(terms.levels[due, i] * rows.part[j], most) + 0.5) - position[j])
            for q in range(len(center)):
                a, b = rows.sku_first[q], rows.sku_first[q + 1]
                if center[q] < np.inf:
                    center[q] = _rationed(order[a:b], position[a:b], level[a:b], need[a:b], center[q])
            for j in range(count):
                ordered[rows.store[j]] += order[j]
            for q in range(len(center)):
                for j in range(rows.sku_first[q], rows.sku_first[q + 1]):
                    s, i = rows.store[j], rows.series[j]
                    if order[j] <= 0.0:
                        continue
                    room = max(terms.capacity[s] - held[s] + terms.before[s, t], 0.0)
                    if ordered[s] > room:
                        kept = order[j] * room / ordered[s]
                        center[q] += order[j] - kept
                        order[j] = kept
                    sent[i] += order[j]
                    if recorded == EVERYTHING:
                        totals.sent[due, i] += order[j]
                    if lead == 0:
                        stock[j] += order[j]
                    else:
                        arriving[due % (lead + 1), j] = order[j]
                        pending[j] += order[j]
        if lead > 0 and t >= lead:
            row = t % (lead + 1)
            stock += arriving[row]
            pending -= arriving[row]
            arriving[row] = 0.0
        if t < known:
            for j in range(count):
                stock[j] += rows.in_transit[t, j]
                pending[j] -= rows.in_transit[t, j]
        held[:] = 0.0
        for j in range(count):
            held[rows.store[j]] += stock[j]
        for s in range(stores):
            if recorded != NOTHING:
                totals.after_delivery[s, t] += held[s]
            if held[s] > terms.capacity[s] + 1e-6:
                if recorded != NOTHING:
                    totals.over[s, t] += 1.0
                measures[s, 3] += 1.0
        charged = terms.end_periods if t == periods - 1 else 1.0
        for j in range(count):
            i, s = rows.series[j], rows.store[j]
            sold = min(stock[j], demand[t, j])
            missing = demand[t, j] - sold
            stock[j] -= sold
            if recorded != NOTHING:
                totals.sold[t, i] += sold
            measures[s, 0] += missing * terms.price[t, i]
            measures[s, 1] += missing
            measures[s, 2] += charged * stock[j] * terms.weight[i]


@dataclass(frozen=True)
class SkuSimulation:
    """Result of a simulation by SKU.

    Attributes:
        measures: shape (S, K, 4): lost value, lost units, unit-periods held (times their weight), periods over
            capacity.
        sent: shape (K, n), units sent by planned deliveries.
        totals: every period, expected over the paths, as far as it is recorded.
    """

    measures: FloatArray
    sent: FloatArray
    totals: Totals


def rows_of(detail: SkuDetail, series_store: IndexArray, periods: int) -> Rows:
    """Arrays of the pairs in the order that the kernels read.

    Args:
        detail: the SKUs.
        series_store: shape (n,), store of each series.
        periods: T.
    """
    order = np.lexsort((detail.series, detail.sku))
    series, sku = detail.series[order], detail.sku[order]
    share = detail.share[order]
    by_series = np.argsort(series, kind="stable").astype(np.int64)
    first = np.searchsorted(series[by_series], np.arange(len(series_store) + 1)).astype(np.int64)
    whole = np.bincount(series, weights=detail.need[order], minlength=len(series_store))[series]
    part = np.divide(detail.need[order], whole, out=np.zeros(len(series)), where=whole > 0)
    running = np.cumsum(share[by_series])
    start = np.concatenate([[0.0], running])[first[:-1]]
    within = running - np.repeat(start, np.diff(first))
    total = np.bincount(series, weights=share, minlength=len(series_store))
    scale = np.repeat(np.where(total > 0, total, 1.0), np.diff(first))
    supply = detail.supply
    if supply is None:
        supply = np.zeros((int(sku.max(initial=-1)) + 1, periods))
        supply[:, 0] = np.inf
    return Rows(
        series_store[series],
        series,
        part,
        np.full(len(order), np.inf) if detail.largest is None else detail.largest[order],
        share,
        detail.on_hand[order],
        np.ascontiguousarray(detail.in_transit[order].T),
        np.searchsorted(sku, np.arange(len(supply) + 1)).astype(np.int64),
        np.ascontiguousarray(supply),
        by_series,
        first,
        within / scale,
    )


def simulate_skus(paths: UnitsArray, rows: Rows, terms: Terms, seed: int, recorded: int) -> SkuSimulation:
    """Simulate a plan by SKU on every path.

    Args:
        paths: shape (K, n, T), units of each series.
        rows: the pairs.
        terms: prices, levels and limits.
        seed: seed of the draws of SKUs; the same for all plans that are compared.
        recorded: what is recorded of every period.
    """
    count, series, periods = paths.shape
    stores = len(terms.capacity)
    measures = np.zeros((count, stores, 4))
    sent = np.zeros((count, series))

    def run(part: int) -> Totals:
        totals = Totals.empty(series, stores, periods, recorded)
        # If two bytes can hold the units of a category, float32 is exact for those of a SKU.
        small = paths.dtype == np.uint16
        demand = np.empty((periods, len(rows.store)), dtype=np.float32 if small else np.float64)
        for k in range(part, count, PARTS):
            _drawn(np.ascontiguousarray(paths[k], dtype=np.float64), rows, seed + k, demand)
            _simulate(demand, rows, terms, recorded, totals, measures[k], sent[k])
        return totals

    totals = Totals.empty(series, stores, periods, recorded)
    # As many parts at a time as there are threads: what a part records has the size of the network.
    threads = usable_cores()
    for start in range(0, PARTS, threads):
        for found in in_parallel(run, range(start, min(start + threads, PARTS, count))):
            for whole, part in zip(totals, found, strict=True):
                np.add(whole, part, out=whole)
    for whole in totals:
        np.divide(whole, count, out=whole)
    return SkuSimulation(np.ascontiguousarray(measures.transpose(1, 0, 2)), sent, totals)
