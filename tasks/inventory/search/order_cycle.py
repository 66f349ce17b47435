"""Reorder rules on expected demand, and the search for the coverage of least cost."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem
from tasks.inventory.model.delivery_days import review_visits
from tasks.inventory.model.kernels import in_parallel
from tasks.inventory.model.level_limits import SERIES_AT_ONCE, service_levels, uncapacitated_stores
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import (
    HELD_UNITS,
    LOST_VALUE,
    MEASURES,
    OVER_PERIODS,
    OrderRule,
    decidable,
    levels_of_rule,
    simulate_store,
    store_of,
)


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
    levels = np.empty(problem.mean.shape)
    for i in range(network.stores):
        part = network.series_of(i)
        rule = _rule(problem, reorder_point[part], quantity[part], up_to)
        levels[part] = _levels_of_store(problem, network, i, visits[i], rule).T
    return levels


def _rule(problem: PlanProblem, reorder_point: FloatArray, quantity: FloatArray, up_to: bool) -> OrderRule:
    shape = (problem.periods, 1)
    return OrderRule(np.tile(reorder_point, shape), np.tile(quantity, shape), up_to)


def _levels_of_store(
    problem: PlanProblem, network: Network, store: int, visits: BoolArray, rule: OrderRule
) -> FloatArray:
    """Levels (T, m) of a rule in one store."""
    demand = np.ascontiguousarray(problem.mean[network.series_of(store)].T)
    return whole_levels(problem, levels_of_rule(demand, store_of(network, store), visits, rule))


def whole_levels(problem: PlanProblem, levels: FloatArray) -> FloatArray:
    """Round levels up to whole units if demand is uncertain; with known demand levels stay as they are."""
    if problem.paths is None:
        return np.ascontiguousarray(levels)
    return np.ceil(levels - 1e-9)


def period_moments(problem: PlanProblem) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of one period's demand per series, over periods and paths; shape (n,) each."""
    if problem.paths is None:
        return problem.mean.mean(axis=1), problem.mean.std(axis=1)
    count = len(problem.paths) * problem.periods
    second, center = np.empty(len(problem.mean)), np.empty(len(problem.mean))
    for start in range(0, len(center), SERIES_AT_ONCE):
        some = slice(start, start + SERIES_AT_ONCE)
        units = problem.paths[:, some].astype(np.float64)
        second[some] = np.einsum("knt,knt->n", units, units) / count
        center[some] = units.mean(axis=(0, 2))
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

    # In uncapacitated stores the coverage does not affect levels.
    longest = 1 if len(free) == network.series else problem.settings.eoq.max_coverage
    fixed = np.zeros(problem.mean.shape[:1], dtype=np.bool_)
    fixed[free] = True
    days = decidable(visits, network.lead_time)

    def levels_of(store: int, coverage: int) -> FloatArray:
        part = network.series_of(store)
        if fixed[part].all():
            return np.ascontiguousarray(free_levels[np.searchsorted(free, np.arange(part.start, part.stop))].T)
        quantity = mean[part] * coverage
        rule = _rule(problem, reorder_point[part], reorder_point[part] + quantity if up_to else quantity, up_to)
        return _levels_of_store(problem, network, store, visits[store], rule)

    def costs_of_store(store: int) -> FloatArray:
        demand, terms = network.demand[store], store_of(network, store)
        result, sent = np.zeros((1, network.paths, MEASURES)), np.empty((network.paths, demand.shape[2]))
        cost = np.empty(longest)
        for coverage in range(1, longest + 1):
            simulate_store(demand, terms, days[store], levels_of(store, coverage), result[0], sent)
            measures = result.mean(axis=1)[0]
            cost[coverage - 1] = (
                days[store].sum() * network.visit_cost[store]
                + measures[LOST_VALUE]
                + network.holding_cost * measures[HELD_UNITS]
                + network.penalty * measures[OVER_PERIODS]
            )
        return cost

    by_store = in_parallel(costs_of_store, range(network.stores))
    totals = np.ascontiguousarray(np.array(by_store).T).sum(axis=1)
    best = int(np.argmin(totals)) + 1
    levels = np.empty(problem.mean.shape)
    for store in range(network.stores):
        levels[network.series_of(store)] = levels_of(store, best).T
    return Plan(visits, levels)
