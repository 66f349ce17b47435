"""Improvement of a search's plan by the plans of other policies: the result never costs more than any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.cost_table import Evaluation, is_valid
from tasks.inventory.exact.lagrange import has_shared_limits
from tasks.inventory.model.delivery_days import missed_weeks
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import OVER_PERIODS, costs_of, decidable, simulate, store_measures

# Relative tolerance for rounding errors in the comparison of a store's costs.
SAME = 1e-9


def best_of(problem: PlanProblem, network: Network, plans: Sequence[Plan]) -> Plan:
    """Combine plans.

    Without shared constraints the stores are independent: every store takes the plan that costs it least. With shared
    constraints the cheapest plan that violates none of them is taken.

    Args:
        problem: the plan problem.
        network: its arrays.
        plans: the search's own plan first; it wins ties.
    """
    if len(plans) == 1:
        return plans[0]
    if has_shared_limits(problem):
        costs = [simulate(problem, plan, network) for plan in plans]
        rank = [(not is_valid(problem, cost), cost.total) for cost in costs]
        return plans[min(range(len(plans)), key=lambda place: (rank[place], place))]
    return cheapest_by_store(network, plans, [_valid_costs(problem, network, plan) for plan in plans])


def combined(
    problem: PlanProblem,
    network: Network,
    plans: Sequence[Plan],
    found: Sequence[Evaluation],
    evaluated: Callable[[Plan], Evaluation],
) -> tuple[Plan, Evaluation]:
    """Every store takes the plan that costs it least, and all stores are simulated together.

    If the distribution center's stock is limited, a store that orders little looks cheap in a plan in which all stores
    do: the center does not run empty. Next to stores that order more it would be left without units. A store that then
    costs more than in the plan that is cheapest without over-capacity penalties keeps that plan.

    Args:
        problem: the plan problem, simulated by SKU.
        network: its arrays.
        plans: whole plans; the first of them wins ties.
        found: their evaluations on the same paths.
        evaluated: simulates a plan on these paths.
    """
    costs = np.array([each.per_store for each in found])
    base = min(range(len(found)), key=lambda place: found[place].cost.total - found[place].cost.over_capacity)
    usual, others = costs[base].copy(), np.arange(len(found)) != base
    supply = None if problem.skus is None else problem.skus.supply
    limited = supply is not None and np.isfinite(supply.sum(axis=1)).any()
    while True:
        plan = cheapest_by_store(network, plans, list(costs))
        made = evaluated(plan)
        worse = (costs.argmin(axis=0) != base) & (made.per_store > usual * (1.0 + SAME))
        if not limited or not worse.any():
            return plan, made
        costs[np.ix_(others, worse)] = np.inf


def cheapest_by_store(network: Network, plans: Sequence[Plan], costs: Sequence[FloatArray]) -> Plan:
    """Every store takes the plan that costs it least; the first of them wins ties.

    Args:
        network: the arrays of the problem.
        plans: whole plans.
        costs: the cost of each plan per store, shape (S,).
    """
    by_store = np.array(costs).argmin(axis=0)
    visits, levels = plans[0].visits.copy(), plans[0].levels.copy()
    for store in np.flatnonzero(by_store > 0):
        other, part = plans[by_store[store]], network.series_of(int(store))
        visits[store], levels[part] = other.visits[store], other.levels[part]
    return replace(plans[0], visits=visits, levels=levels)


def _valid_costs(problem: PlanProblem, network: Network, plan: Plan) -> FloatArray:
    """Expected cost per store, shape (S,); inf where the plan breaks the weekly rule or a hard capacity."""
    measures, _ = store_measures(network, plan)
    visits = decidable(plan.visits, network.lead_time)
    cost = costs_of(network, visits.sum(axis=1), measures.mean(axis=1))
    if problem.paths is None and problem.settings.capacity == "hard":
        cost[measures[:, :, OVER_PERIODS].any(axis=1)] = np.inf
    for store in range(network.stores):
        own = None if problem.blackout is None else problem.blackout[store : store + 1]
        if missed_weeks(visits[store : store + 1], problem.periods_per_week, network.lead_time, own):
            cost[store] = np.inf
    return cost
