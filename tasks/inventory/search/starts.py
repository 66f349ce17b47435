"""Improvement of a search's plan by the plans of other policies: the result never costs more than any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from schemas.plan import Plan, PlanProblem
from tasks.inventory.exact.lagrange import has_shared_limits
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import simulate, store_costs


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
        rank = [(cost.missed_weeks > 0 or bool(cost.limit_breaches), cost.total) for cost in costs]
        return plans[min(range(len(plans)), key=lambda place: (rank[place], place))]
    by_store = np.array([store_costs(network, plan) for plan in plans]).argmin(axis=0)
    visits, levels = plans[0].visits.copy(), plans[0].levels.copy()
    for store in np.flatnonzero(by_store > 0):
        other = plans[by_store[store]]
        visits[store] = other.visits[store]
        levels[network.series_of(int(store))] = other.levels[network.series_of(int(store))]
    return replace(plans[0], visits=visits, levels=levels)
