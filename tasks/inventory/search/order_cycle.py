"""Reorder rules on expected demand, and the search for the coverage of least cost."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem
from tasks.inventory.model.delivery_days import review_visits
from tasks.inventory.model.level_limits import service_levels, uncapacitated_stores
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import OrderRule, levels_of_rule, store_costs, store_of


def run_rule(
    problem: PlanProblem,
    network: Network,
    visits: BoolArray,
    reorder_point: FloatArray,
    quantity: FloatArray,
    up_to: bool = False,
) -> FloatArray:
    """Compute the levels (n, T) of a reorder rule on expected demand; whole units if demand is uncertain.

    Args:
        problem: the plan problem.
        network: its arrays.
        visits: shape (S, T).
        reorder_point: shape (n,), s: order if stock on hand and in transit is at or below it.
        quantity: shape (n,), Q ordered, or the level S if ``up_to``.
        up_to: (s, S) instead of (s, Q).
    """
    mean = np.ascontiguousarray(problem.mean.T)
    levels = np.empty_like(mean)
    for i in range(network.stores):
        part = network.series_of(i)
        demand = np.ascontiguousarray(mean[:, part])
        shape = (network.periods, 1)
        rule = OrderRule(np.tile(reorder_point[part], shape), np.tile(quantity[part], shape), up_to)
        levels[:, part] = levels_of_rule(demand, store_of(network, i), visits[i], rule)
    return whole_levels(problem, levels.T)


def whole_levels(problem: PlanProblem, levels: FloatArray) -> FloatArray:
    """Round levels up to whole units if demand is uncertain; with known demand levels stay as they are."""
    if problem.paths is None:
        return np.ascontiguousarray(levels)
    return np.ceil(levels - 1e-9)


def period_moments(problem: PlanProblem) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of one period's demand per series, over periods and paths; shape (n,) each."""
    if problem.paths is None:
        return problem.mean.mean(axis=1), problem.mean.std(axis=1)
    second = np.einsum("knt,knt->n", problem.paths, problem.paths) / (len(problem.paths) * problem.periods)
    center = problem.paths.mean(axis=(0, 2))
    return problem.mean.mean(axis=1), np.sqrt(np.maximum(second - center**2, 0.0))


def cheapest_coverage(problem: PlanProblem, reorder_point: FloatArray, up_to: bool) -> Plan:
    """Find the coverage h of least simulated cost, from 1 to ``settings.eoq.max_coverage`` periods, for the network.

    Args:
        problem: the plan problem; costs are simulated on its paths.
        reorder_point: shape (n,), s in units.
        up_to: order up to S = s + mean · h; else order Q = mean · h.
    """
    network = Network.of(problem)
    visits = review_visits(problem)
    free, free_levels = service_levels(problem, visits, uncapacitated_stores(problem))
    mean, _ = period_moments(problem)

    def plan_of(coverage: int) -> tuple[Plan, float]:
        quantity = reorder_point + mean * coverage if up_to else mean * coverage
        levels = run_rule(problem, network, visits, reorder_point, quantity, up_to)
        levels[free] = free_levels
        plan = Plan(visits, levels)
        return plan, float(store_costs(network, plan).sum())

    best, best_cost = plan_of(1)
    # In uncapacitated stores the coverage does not affect levels.
    longest = 1 if len(free) == network.series else problem.settings.eoq.max_coverage
    for coverage in range(2, longest + 1):
        plan, cost = plan_of(coverage)
        if cost < best_cost:
            best, best_cost = plan, cost
    return best
