"""Levels where nothing bounds them: no holding cost and no capacity (contract, section 2)."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem

# Series whose demand until the next visit is in memory together.
SERIES_AT_ONCE = 2000


def unbounded_stores(problem: PlanProblem) -> BoolArray:
    """Stores in which no cost and no limit keeps a level down, shape (S,)."""
    if problem.settings.holding_cost > 0:
        return np.zeros(len(problem.store_ids), dtype=np.bool_)
    return np.isinf(problem.capacity)


def interval_ends(visits: BoolArray) -> IndexArray:
    """For each visit of a store the period of the next one (or T), shape of ``visits``; 0 elsewhere."""
    ends = np.zeros(len(visits), dtype=np.int64)
    days = np.flatnonzero(visits)
    ends[days] = np.append(days[1:], len(visits))
    return ends


def quantile_levels(problem: PlanProblem, rows: IndexArray, visits: BoolArray, quantile: float) -> FloatArray:
    """Levels of series: a quantile of the demand from the decision of a visit until the next visit.

    Args:
        problem: the problem; known demand is its own quantile.
        rows: the series, of stores with the same visits.
        visits: shape (T,), these visits.
        quantile: 0 to 1; the smallest path value that at least this share of paths do not exceed.

    Returns:
        Shape (m, T), 0 where there is no visit. With the paths 1, 2, 3, 4 until the next visit the level for
        the quantile 0.75 is 3.
    """
    paths = problem.mean[None] if problem.paths is None else problem.paths
    place = max(int(np.ceil(quantile * len(paths) - 1e-9)) - 1, 0)
    levels = np.zeros((len(rows), problem.periods))
    ends = interval_ends(visits)
    for day in np.flatnonzero(visits):
        start = max(day - problem.settings.lead_time, 0)
        wanted = paths[:, rows, start : ends[day]].sum(axis=2)
        levels[:, day] = np.partition(wanted, place, axis=0)[place]
    return levels


def unbounded_levels(problem: PlanProblem, visits: BoolArray) -> tuple[IndexArray, FloatArray]:
    """Series that nothing bounds, and their levels at the service level.

    Args:
        problem: the problem.
        visits: shape (S, T).

    Returns:
        Row numbers, and levels of shape (rows, T).
    """
    free = unbounded_stores(problem)
    rows = np.flatnonzero(free[problem.series_store])
    levels = np.zeros((len(rows), problem.periods))
    patterns, group = np.unique(visits[problem.series_store[rows]], axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        own = np.flatnonzero(group == number)
        for some in np.array_split(own, max(1, len(own) // SERIES_AT_ONCE)):
            levels[some] = quantile_levels(problem, rows[some], pattern, problem.settings.service_level)
    return rows, levels


def with_unbounded_levels(problem: PlanProblem, plan: Plan) -> Plan:
    """The plan with the service-level quantile in every store where nothing bounds a level."""
    if not unbounded_stores(problem).any():
        return plan
    rows, found = unbounded_levels(problem, plan.visits)
    levels = plan.levels.copy()
    levels[rows] = found
    return Plan(plan.visits, levels)
