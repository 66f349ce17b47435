"""Levels where nothing bounds them: no holding cost and no capacity (contract, section 2)."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem


def unbounded_stores(problem: PlanProblem) -> BoolArray:
    """Stores in which no cost and no limit keeps a level down, shape (S,)."""
    if problem.settings.holding_cost > 0:
        return np.zeros(len(problem.store_ids), dtype=np.bool_)
    return np.isinf(problem.capacity)


def interval_ends(visits: BoolArray) -> FloatArray:
    """For each visit of a store the period of the next one (or T), shape of ``visits``; 0 elsewhere."""
    ends = np.zeros(len(visits), dtype=np.int64)
    days = np.flatnonzero(visits)
    ends[days] = np.append(days[1:], len(visits))
    return ends


def quantile_levels(problem: PlanProblem, store: int, visits: BoolArray, quantile: float) -> FloatArray:
    """A store's levels: a quantile of the demand from the decision of a visit until the next visit.

    Args:
        problem: the problem; known demand is its own quantile.
        store: index of the store.
        visits: shape (T,), the store's visits.
        quantile: 0 to 1; the smallest path value that at least this share of paths do not exceed.

    Returns:
        Shape (m, T), 0 where there is no visit. With the paths 1, 2, 3, 4 until the next visit the level for
        the quantile 0.75 is 3.
    """
    rows = np.flatnonzero(problem.series_store == store)
    paths = problem.mean[None] if problem.paths is None else problem.paths
    total = np.zeros((len(paths), len(rows), problem.periods + 1))
    np.cumsum(paths[:, rows], axis=2, out=total[:, :, 1:])
    levels = np.zeros((len(rows), problem.periods))
    ends = interval_ends(visits)
    for day in np.flatnonzero(visits):
        start = max(day - problem.settings.lead_time, 0)
        wanted = total[:, :, ends[day]] - total[:, :, start]
        levels[:, day] = np.quantile(wanted, quantile, axis=0, method="inverted_cdf")
    return levels


def with_unbounded_levels(problem: PlanProblem, plan: Plan) -> Plan:
    """The plan with the service-level quantile in every store where nothing bounds a level."""
    free = np.flatnonzero(unbounded_stores(problem))
    if not len(free):
        return plan
    levels = plan.levels.copy()
    for store in free:
        rows = problem.series_store == store
        levels[rows] = quantile_levels(problem, int(store), plan.visits[store], problem.settings.service_level)
    return Plan(plan.visits, levels)
