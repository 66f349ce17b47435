"""Levels that no policy decides: without cost and capacity the service level, and the limits of every plan."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem
from tasks.inventory.model.network import UNIT_TOLERANCE, Network
from tasks.inventory.model.simulator import store_measures

# Series whose demand until the next visit is in memory together.
SERIES_AT_ONCE = 2000
# Halvings of the search for the share of its levels that a scarce category can have.
HALVINGS = 12


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


def within_limits(problem: PlanProblem, plan: Plan, network: Network) -> Plan:
    """The plan with unbounded levels at the service level and no more sent than the DC has.

    A category of which the plan sends more on some path than is available has all its levels scaled down by one
    factor, the largest that fits on every path: stores share the shortage in proportion to what they would hold.
    """
    plan = _with_floor(problem, with_unbounded_levels(problem, plan))
    limited = np.isfinite(problem.dc_available)
    if not limited.any():
        return plan
    over = _too_much(problem, plan, network)
    if not over.any():
        return plan
    low, high = np.zeros(len(over)), np.ones(len(over))
    for _ in range(HALVINGS):
        factor = np.where(over, 0.5 * (low + high), 1.0)
        beyond = _too_much(problem, _scaled(problem, plan, factor), network)
        low, high = np.where(beyond, low, factor), np.where(beyond, factor, high)
    return _scaled(problem, plan, np.where(over, low, 1.0))


def _with_floor(problem: PlanProblem, plan: Plan) -> Plan:
    """Levels no lower than the minimum presentation at any visit."""
    if problem.level_floor is None:
        return plan
    lifted = np.maximum(plan.levels, problem.level_floor[:, None])
    return Plan(plan.visits, np.where(plan.visits[problem.series_store], lifted, plan.levels))


def _scaled(problem: PlanProblem, plan: Plan, factor: FloatArray) -> Plan:
    """Levels of each category times its factor, whole units; factor 1 keeps a level as it is."""
    own = factor[problem.series_category][:, None]
    return Plan(plan.visits, np.where(own < 1.0, np.floor(plan.levels * own), plan.levels))


def _too_much(problem: PlanProblem, plan: Plan, network: Network) -> BoolArray:
    """Categories of which more is sent on some path than the DC has, shape (C,)."""
    _, sent = store_measures(network, plan)
    by_category = np.zeros((len(sent), len(problem.categories)))
    np.add.at(by_category.T, problem.series_category, sent.T)
    beyond: BoolArray = by_category.max(axis=0) > problem.dc_available + UNIT_TOLERANCE
    return beyond
