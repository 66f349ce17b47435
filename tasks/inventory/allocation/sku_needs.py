"""Units that every SKU needs for the service level, and levels that hold them.

The level of a category covers the sum of its SKUs. Single SKUs vary more than their sum: a level that covers the
category's demand in 95 % of all cases leaves most SKUs out of stock far more often. The level is therefore raised by
the difference between the sum of the SKUs' quantiles and the quantile of their sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem
from tasks.inventory.model.kernels import in_parallel
from tasks.inventory.model.level_limits import delivery_patterns, path_quantile
from tasks.inventory.model.sku_demand import sku_quantiles


@dataclass(frozen=True)
class SkuMix:
    """The SKUs of all series.

    Attributes:
        series: shape (rows,), index of the (store, category).
        share: shape (rows,), share in the units of the series that go to SKUs that may be sent; sums to 1 over them.
        may_send: shape (rows,), the SKU may be sent to the store.
        quantile: the service level.
    """

    series: IndexArray
    share: FloatArray
    may_send: BoolArray
    quantile: float
    _margins: dict[bytes, FloatArray] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, series: IndexArray, share: FloatArray, may_send: BoolArray, quantile: float) -> SkuMix:
        """Shares among the SKUs that may be sent; the others keep their share in all sales."""
        sent = np.where(may_send, share, 0.0)
        whole = np.bincount(series, weights=sent)[series] if len(series) else sent
        among = np.divide(share, whole, out=share.copy(), where=may_send & (whole > 0))
        return cls(series, np.minimum(among, 1.0), may_send, quantile)

    @cached_property
    def _by_series(self) -> tuple[IndexArray, IndexArray]:
        """Rows sorted by series, and their series."""
        order = np.argsort(self.series, kind="stable").astype(np.int64)
        return order, self.series[order]

    def rows_of(self, series: IndexArray) -> IndexArray:
        """The SKUs of some series, ascending."""
        order, sorted_series = self._by_series
        first, end = (np.searchsorted(sorted_series, series, side=side) for side in ("left", "right"))
        places = np.repeat(end - np.cumsum(end - first), end - first) + np.arange(int((end - first).sum()))
        found: IndexArray = np.sort(order[places])
        return found

    def needs(self, demand: FloatArray) -> FloatArray:
        """Service-level quantile of every SKU's demand, shape (rows,); ``demand`` has shape (K, n)."""
        return sku_quantiles(demand, self.series, self.share, self.quantile)

    @property
    def demand_share(self) -> FloatArray:
        """Share of every SKU in the demand of its series; 0 for SKUs that may not be sent, if the series has others."""
        sent = np.bincount(self.series, weights=np.where(self.may_send, self.share, 0.0)) if len(self.series) else None
        return self.share if sent is None else np.where(self.may_send | (sent[self.series] <= 0), self.share, 0.0)

    def usual_needs(self, problem: PlanProblem) -> FloatArray:
        """Needs until the delivery after a review period, shape (rows,); 0 for SKUs that may not be sent."""
        assert problem.paths is not None
        end = min(problem.settings.lead_time + problem.settings.review_period, problem.periods)
        needs = self.needs(problem.paths[:, :, :end].sum(axis=2, dtype=np.float64)) + 1e-6 * self.share
        return np.where(self.may_send, needs, 0.0)

    def raised(self, problem: PlanProblem, plan: Plan) -> Plan:
        """The plan with levels that hold what the SKUs need.

        A level that equals the category's quantile is raised by the whole difference. A lower level is raised in
        proportion. In a store with a storage capacity, the levels of a delivery are raised only as far as they fit
        together.

        Args:
            problem: problem with sample paths.
            plan: the plan of a policy.
        """
        if problem.paths is None or not len(self.series):
            return plan
        levels = plan.levels.copy()
        store = problem.series_store

        def of_pattern(alike: tuple[IndexArray, BoolArray]) -> None:
            ends, stores = alike
            rows = np.flatnonzero(stores[store])
            for day in np.flatnonzero(ends):
                start = max(int(day) - problem.settings.lead_time, 0)
                margin, quantile = self._margin(problem, rows, start, int(ends[day]))
                part = np.divide(levels[rows, day], quantile, out=np.ones(len(rows)), where=quantile > 0)
                added = np.ceil(margin * np.minimum(part, 1.0) * (levels[rows, day] > 0) - 1e-9)
                levels[rows, day] += np.floor(added * _room(problem, store[rows], levels[rows, day], added) + 1e-9)

        in_parallel(of_pattern, list(delivery_patterns(problem, plan.visits)))
        return Plan(plan.visits, levels)

    def _margin(self, problem: PlanProblem, rows: IndexArray, start: int, end: int) -> tuple[FloatArray, FloatArray]:
        """Units that the SKUs of some series need beyond the quantile of the series, and that quantile; (m,) each."""
        assert problem.paths is not None
        key = np.concatenate([[start, end], rows]).tobytes()
        if key not in self._margins:
            demand = problem.paths[:, rows, start:end].sum(axis=2, dtype=np.float64)
            own = self.rows_of(rows)
            own = own[self.may_send[own]]
            place = np.searchsorted(rows, self.series[own])
            needs = sku_quantiles(demand, place, self.share[own], self.quantile)
            total = np.bincount(place, weights=needs, minlength=len(rows))
            quantile = path_quantile(demand, self.quantile)
            self._margins[key] = np.stack([np.maximum(total - quantile, 0.0), quantile])
        margin, quantile = self._margins[key]
        return margin, quantile


def _room(problem: PlanProblem, store: IndexArray, levels: FloatArray, added: FloatArray) -> FloatArray:
    """Share of the added units that fits into each series' store, shape (m,), 0 to 1."""
    size = len(problem.store_ids)
    level, more = (np.bincount(store, weights=units, minlength=size) for units in (levels, added))
    free = np.maximum(problem.capacity - level, 0.0)
    share = np.divide(free, more, out=np.ones(size), where=np.isfinite(free) & (more > 0))
    return np.minimum(share, 1.0)[store]
