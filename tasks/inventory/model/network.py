"""A plan problem in the memory layout of the compiled kernels: one contiguous block per store, one row per period.

A simulation reads the block of a store once from start to end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from schemas.errors import first_few
from schemas.plan import BoolArray, FloatArray, IndexArray, PlanProblem, SkuDetail, UnitsArray

# Tolerance for rounding errors when units are compared with a limit.
UNIT_TOLERANCE = 1e-6
# Demand with at most this many numbers is kept in the layout of the kernels. Larger demand is converted at each use.
KEPT_NUMBERS = 10_000_000


class StoreDemand:
    """Demand by store in the layout of the kernels: item i has shape (K, T, m), units.

    The sample paths of a large network are in memory once, in the small type in which they were drawn. They are
    converted for the kernels one store at a time.
    """

    def __init__(self, units: UnitsArray, first: IndexArray) -> None:
        """Take units (K, n, T) and the first series of each store, shape (S + 1,)."""
        self.units = units
        self._first = first
        self._kept = tuple(self._made(store) for store in range(len(self))) if units.size <= KEPT_NUMBERS else ()

    def __len__(self) -> int:
        return len(self._first) - 1

    def __getitem__(self, store: int) -> FloatArray:
        return self._kept[store] if self._kept else self._made(store)

    def __iter__(self) -> Iterator[FloatArray]:
        return (self[store] for store in range(len(self)))

    def path(self, path: int) -> StoreDemand:
        """The demand of one path."""
        return StoreDemand(self.units[path : path + 1], self._first)

    def _made(self, store: int) -> FloatArray:
        return _time_major(self.units[:, int(self._first[store]) : int(self._first[store + 1])])


@dataclass(frozen=True)
class Network:
    """Time-major copies of a problem's arrays.

    Attributes:
        first: shape (S + 1,); the series of store i are first[i] … first[i + 1] − 1.
        demand: per store shape (K, T, m) in units, float64; K = 1 if demand is known.
        price: per store shape (T, m), cost of a lost unit.
        on_hand: shape (n,), units.
        in_transit: shape (A, n), units that arrive at the start of period k.
        category: shape (n,), index of each series' category.
        capacity: shape (S,), units; inf = unlimited.
        visit_cost: shape (S,), cost of a delivery.
        lead_time: L in whole periods.
        holding_cost: per unit of ``holding_weight`` left at the end of a period.
        penalty: per store and period over capacity.
        overstock_weight: periods of holding cost for a unit left at the end of the horizon.
        holding_weight: shape (n,), multiplies the holding cost of each series.
        skus: simulate by SKU; None = by category.
        review_period: periods between two weekly runs.
        seed: seed of the draws of SKUs.
    """

    first: IndexArray
    demand: StoreDemand
    price: tuple[FloatArray, ...]
    on_hand: FloatArray
    in_transit: FloatArray
    category: IndexArray
    capacity: FloatArray
    visit_cost: FloatArray
    lead_time: int
    holding_cost: float
    penalty: float
    overstock_weight: float = 1.0
    holding_weight: FloatArray = field(default_factory=lambda: np.ones(0))
    skus: SkuDetail | None = None
    review_period: int = 1
    seed: int = 0

    @classmethod
    def of(cls, problem: PlanProblem) -> Network:
        """Build the arrays of a problem; demand is its sample paths, or its mean if it has none."""
        paths: UnitsArray = problem.mean[None] if problem.paths is None else problem.paths
        stores = len(problem.store_ids)
        first = np.searchsorted(problem.series_store, np.arange(stores + 1)).astype(np.int64)
        blocks = [slice(int(first[i]), int(first[i + 1])) for i in range(stores)]
        return cls(
            first=first,
            demand=StoreDemand(paths, first),
            price=tuple(_time_major(problem.price[block]) for block in blocks),
            on_hand=np.ascontiguousarray(problem.on_hand, dtype=np.float64),
            in_transit=_time_major(problem.in_transit),
            category=problem.series_category,
            capacity=np.asarray(problem.capacity, dtype=np.float64),
            visit_cost=np.asarray(problem.visit_cost, dtype=np.float64),
            lead_time=problem.settings.lead_time,
            holding_cost=problem.holding_cost,
            penalty=problem.settings.over_capacity_penalty,
            overstock_weight=problem.overstock_weight,
            holding_weight=np.ascontiguousarray(problem.holding_weight, dtype=np.float64),
            skus=problem.skus,
            review_period=min(problem.settings.review_period, problem.periods_per_week),
            seed=problem.seed,
        )

    @property
    def store(self) -> IndexArray:
        """Store of each series, shape (n,)."""
        return np.repeat(np.arange(self.stores), np.diff(self.first))

    @property
    def stores(self) -> int:
        """Number of stores, S."""
        return len(self.capacity)

    @property
    def periods(self) -> int:
        """Number of periods, T."""
        return int(self.demand.units.shape[2])

    @property
    def paths(self) -> int:
        """Number of paths, K."""
        return int(self.demand.units.shape[0])

    @property
    def series(self) -> int:
        """Number of series, n."""
        return len(self.on_hand)

    @cached_property
    def requested(self) -> float:
        """Expected demand of the network over the horizon, units."""
        return sum(float(block.sum()) for block in self.demand) / self.paths

    def path(self, path: int) -> Network:
        """The network with a single path."""
        return self if self.paths == 1 else replace(self, demand=self.demand.path(path))

    def series_of(self, store: int) -> slice:
        """The series of a store."""
        return slice(int(self.first[store]), int(self.first[store + 1]))


def _time_major(values: UnitsArray) -> FloatArray:
    return np.ascontiguousarray(np.swapaxes(values, -1, -2), dtype=np.float64)


def is_whole(problem: PlanProblem) -> bool:
    """True if demand and stock are whole units; levels are then whole too."""
    demand: UnitsArray = problem.mean if problem.paths is None else problem.paths
    given = (demand, problem.on_hand, problem.in_transit)
    return all(values.dtype.kind == "u" or bool(np.all(values == np.floor(values))) for values in given)


def limit_breaches(problem: PlanProblem, visits: BoolArray, sent: FloatArray) -> tuple[str, ...]:
    """List the constraints that a plan violates: blackout dates, deliveries per period, DC stock.

    Args:
        problem: its constraints.
        visits: shape (S, T).
        sent: shape (K, n), units sent on each path; their mean counts.

    Returns:
        One text per violated constraint.
    """
    breaches = []
    if problem.blackout is not None and (visits & problem.blackout).any():
        stores = sorted({problem.store_ids[i] for i in np.nonzero(visits & problem.blackout)[0]})
        breaches.append(f"deliveries on blackout dates of {first_few(stores)}")
    if problem.max_visits_per_period is not None:
        crowded = np.flatnonzero(visits.sum(axis=0) > problem.max_visits_per_period)
        if len(crowded):
            breaches.append(
                f"more than {problem.max_visits_per_period} deliveries in periods {first_few(crowded.tolist())}"
            )
    expected = np.bincount(problem.series_category, weights=sent.mean(axis=0), minlength=len(problem.categories))
    beyond = np.flatnonzero(expected > problem.dc_available * (1 + 1e-9) + UNIT_TOLERANCE)
    if len(beyond):
        names = [f"{problem.categories[c]} ({expected[c]:.1f} of {problem.dc_available[c]:g})" for c in beyond]
        breaches.append(f"more units than the distribution center has of {first_few(names)}")
    return tuple(breaches)
