"""A plan problem as the compiled kernels read it: one block per store, in it one row per period.

A store's block is contiguous: a simulation reads it once from front to back, which is three times as fast as
picking the store's columns out of one array of the network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from schemas.plan import FloatArray, IndexArray, PlanProblem

# Units above a limit that rounding may cause; far below any real unit.
UNIT_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Network:
    """Time-major copies of a problem's arrays.

    Attributes:
        first: shape (S + 1,); the series of store i are first[i] … first[i + 1] − 1.
        demand: per store shape (K, T, m) in units; K = 1 where demand is known.
        price: per store shape (T, m), cost of a lost unit.
        on_hand: shape (n,), units.
        in_transit: shape (A, n), units that arrive at the start of period k.
        category: shape (n,), index of each series' category.
        lead_time: L in whole periods.
        holding_cost: per unit left at the end of a period.
        penalty: per store and period over capacity.
        leftover: periods of holding that a unit left at the end of the horizon is charged.
    """

    first: IndexArray
    demand: tuple[FloatArray, ...]
    price: tuple[FloatArray, ...]
    on_hand: FloatArray
    in_transit: FloatArray
    category: IndexArray
    capacity: FloatArray
    visit_cost: FloatArray
    lead_time: int
    holding_cost: float
    penalty: float
    leftover: float = 1.0

    @classmethod
    def of(cls, problem: PlanProblem) -> Network:
        """The arrays of a problem; demand is its sample paths, or its mean where it has none."""
        paths = problem.mean[None] if problem.paths is None else problem.paths
        stores = len(problem.store_ids)
        first = np.searchsorted(problem.series_store, np.arange(stores + 1)).astype(np.int64)
        blocks = [slice(a, b) for a, b in pairwise(first)]
        return cls(
            first=first,
            demand=tuple(_time_major(paths[:, block]) for block in blocks),
            price=tuple(_time_major(problem.price[block]) for block in blocks),
            on_hand=np.ascontiguousarray(problem.on_hand, dtype=np.float64),
            in_transit=_time_major(problem.in_transit),
            category=problem.series_category,
            capacity=np.asarray(problem.capacity, dtype=np.float64),
            visit_cost=np.asarray(problem.visit_cost, dtype=np.float64),
            lead_time=problem.settings.lead_time,
            holding_cost=problem.settings.holding_cost,
            penalty=problem.settings.over_capacity_penalty,
            leftover=problem.overstock_weight,
        )

    @property
    def stores(self) -> int:
        """S."""
        return len(self.capacity)

    @property
    def periods(self) -> int:
        """T."""
        return int(self.demand[0].shape[1])

    @property
    def paths(self) -> int:
        """K."""
        return int(self.demand[0].shape[0])

    @property
    def series(self) -> int:
        """Number of series, n."""
        return len(self.on_hand)

    def path(self, path: int) -> Network:
        """The network with one of its paths as the only one."""
        return self if self.paths == 1 else replace(self, demand=tuple(d[path : path + 1] for d in self.demand))

    def series_of(self, store: int) -> slice:
        """The series of a store."""
        return slice(int(self.first[store]), int(self.first[store + 1]))


def _time_major(values: FloatArray) -> FloatArray:
    return np.ascontiguousarray(np.swapaxes(values, -1, -2), dtype=np.float64)


def is_whole(problem: PlanProblem) -> bool:
    """Whether demand and stock are whole units, so that levels are whole too."""
    demand = problem.mean if problem.paths is None else problem.paths
    return all(bool(np.all(values == np.floor(values))) for values in (demand, problem.on_hand, problem.in_transit))
