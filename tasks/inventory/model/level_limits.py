"""Levels that are the same for every policy: service-level quantiles, and scaling to the DC stock."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem, UnitsArray
from tasks.inventory.model.delivery_days import covered_until
from tasks.inventory.model.network import UNIT_TOLERANCE, Network
from tasks.inventory.model.simulator import store_measures

# Maximum number of series whose demand until the next delivery is in memory at the same time.
SERIES_AT_ONCE = 2000
# Bisection steps for the scale factor of a category whose DC stock is scarce.
HALVINGS = 12


def uncapacitated_stores(problem: PlanProblem) -> BoolArray:
    """Stores whose levels are not limited by a holding cost or a storage capacity, shape (S,)."""
    if problem.settings.has_holding_cost:
        return np.zeros(len(problem.store_ids), dtype=np.bool_)
    return np.isinf(problem.capacity)


def service_limited_stores(problem: PlanProblem) -> BoolArray:
    """Stores whose levels the service-level quantile limits, shape (S,).

    Without a holding cost these are the stores without a storage capacity, and all stores in a weekly run.
    """
    if problem.weekly_run and not problem.settings.has_holding_cost:
        return np.ones(len(problem.store_ids), dtype=np.bool_)
    return uncapacitated_stores(problem)


def delivery_patterns(problem: PlanProblem, visits: BoolArray) -> Iterator[tuple[IndexArray, BoolArray]]:
    """Yield every distinct row of :func:`covered_until`, shape (T,), with the stores that have it, shape (S,).

    Args:
        problem: the plan problem.
        visits: shape (S, T).
    """
    patterns, group = np.unique(covered_until(problem, visits), axis=0, return_inverse=True)
    for number, ends in enumerate(patterns):
        yield ends, group.ravel() == number


def quantile_levels(problem: PlanProblem, rows: IndexArray, ends: IndexArray, quantile: float) -> FloatArray:
    """Compute levels as a quantile of the demand that each delivery covers, from its order.

    Args:
        problem: the plan problem; if demand is known, every quantile is that demand.
        rows: shape (m,), series of stores with the same deliveries.
        ends: shape (T,), a row of :func:`covered_until`.
        quantile: quantile level, 0 to 1.

    Returns:
        Shape (m, T), units; 0 without a delivery. The quantile is the smallest path value that at least this share of
        the paths does not exceed: 3 for the paths 1, 2, 3, 4 and the quantile level 0.75.
    """
    paths: UnitsArray = problem.mean[None] if problem.paths is None else problem.paths
    levels = np.zeros((len(rows), problem.periods))
    for day in np.flatnonzero(ends):
        start = max(day - problem.settings.lead_time, 0)
        units = paths[:, rows, start : ends[day]].sum(axis=2, dtype=np.float64)
        levels[:, day] = path_quantile(units, quantile)
    return levels


def path_quantile(units: FloatArray, quantile: float) -> FloatArray:
    """Smallest value that at least a share ``quantile`` of the paths (K, m) does not exceed, shape (m,).

    >>> path_quantile(np.array([[1.0], [4.0], [2.0], [3.0]]), 0.75)
    array([3.])
    """
    place = max(int(np.ceil(quantile * len(units) - 1e-9)) - 1, 0)
    found: FloatArray = np.partition(units, place, axis=0)[place]
    return found


def service_levels(problem: PlanProblem, visits: BoolArray, stores: BoolArray) -> tuple[IndexArray, FloatArray]:
    """Compute the service-level quantiles of the series of some stores.

    Args:
        problem: the plan problem.
        visits: shape (S, T).
        stores: shape (S,), the stores.

    Returns:
        Indices of the series, shape (m,), and their levels, shape (m, T), units.
    """
    rows = np.flatnonzero(stores[problem.series_store])
    levels = np.zeros((len(rows), problem.periods))
    for ends, alike in delivery_patterns(problem, visits):
        own = np.flatnonzero(alike[problem.series_store[rows]])
        for some in np.array_split(own, max(1, len(own) // SERIES_AT_ONCE)):
            levels[some] = quantile_levels(problem, rows[some], ends, problem.settings.service_level)
    return rows, levels


def with_uncapacitated_levels(problem: PlanProblem, plan: Plan) -> Plan:
    """The plan with the service-level quantile as level in every uncapacitated store."""
    free = uncapacitated_stores(problem)
    if not free.any():
        return plan
    rows, found = service_levels(problem, plan.visits, free)
    levels = plan.levels.copy()
    levels[rows] = found
    return Plan(plan.visits, levels)


def with_limited_levels(problem: PlanProblem, plan: Plan) -> Plan:
    """The plan with no level above the service-level quantile in the stores that it limits."""
    limited = service_limited_stores(problem)
    if not limited.any():
        return plan
    rows, most = service_levels(problem, plan.visits, limited)
    levels = plan.levels.copy()
    levels[rows] = np.minimum(levels[rows], most)
    return Plan(plan.visits, levels)


def within_limits(problem: PlanProblem, plan: Plan, network: Network) -> Plan:
    """The plan with levels up to the service-level quantile, minimum presentation, and levels within DC stock.

    If the plan sends more units of a category than the DC has on any path, all levels of the category are multiplied by
    one factor: the largest with which no path exceeds the DC stock.
    """
    plan = with_limited_levels(problem, with_uncapacitated_levels(problem, plan))
    plan = _with_minimum_levels(problem, plan)
    limited = np.isfinite(problem.dc_available)
    if not limited.any():
        return plan
    over = exceeds_dc(problem, plan, network)
    if not over.any():
        return plan
    low, high = np.zeros(len(over)), np.ones(len(over))
    for _ in range(HALVINGS):
        factor = np.where(over, 0.5 * (low + high), 1.0)
        beyond = exceeds_dc(problem, _scaled(problem, plan, factor), network)
        low, high = np.where(beyond, low, factor), np.where(beyond, factor, high)
    return _scaled(problem, plan, np.where(over, low, 1.0))


def _with_minimum_levels(problem: PlanProblem, plan: Plan) -> Plan:
    """The plan with every level at or above the minimum presentation."""
    if problem.level_floor is None:
        return plan
    lifted = np.maximum(plan.levels, problem.level_floor[:, None])
    return Plan(plan.visits, np.where(plan.visits[problem.series_store], lifted, plan.levels))


def _scaled(problem: PlanProblem, plan: Plan, factor: FloatArray) -> Plan:
    """The plan with the levels of each category multiplied by its factor and rounded down; factor 1 changes nothing."""
    own = factor[problem.series_category][:, None]
    return Plan(plan.visits, np.where(own < 1.0, np.floor(plan.levels * own), plan.levels))


def exceeds_dc(problem: PlanProblem, plan: Plan, network: Network) -> BoolArray:
    """Categories of which the plan sends more than the DC has on any path, shape (C,)."""
    _, sent = store_measures(network, plan)
    by_category = np.zeros((len(sent), len(problem.categories)))
    np.add.at(by_category.T, problem.series_category, sent.T)
    beyond: BoolArray = by_category.max(axis=0) > problem.dc_available + UNIT_TOLERANCE
    return beyond
