"""The horizon search of reorder rules: how many periods of demand an order covers."""

from __future__ import annotations

import numpy as np

from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.model.network import Network
from tasks.inventory.model.review_weeks import review_visits
from tasks.inventory.model.simulator import store_costs
from tasks.inventory.model.uncapacitated import unbounded_levels
from tasks.inventory.search.reorder_rules import period_moments, run_rule


def cheapest_cover(problem: PlanProblem, reorder_point: FloatArray, up_to: bool) -> Plan:
    """The plan of the cheapest horizon h from 1 to ``settings.eoq.max_coverage`` periods, one for the network.

    Args:
        problem: the problem; costs are simulated on its paths.
        reorder_point: shape (n,), s in units.
        up_to: order up to S = s + mean · h; else order Q = mean · h.
    """
    network = Network.of(problem)
    visits = review_visits(problem)
    free, free_levels = unbounded_levels(problem, visits)
    mean, _ = period_moments(problem)
    best: Plan | None = None
    best_cost = np.inf
    # Where nothing bounds a level the horizon changes nothing (contract, section 2).
    longest = 1 if len(free) == network.series else problem.settings.eoq.max_coverage
    for cover in range(1, longest + 1):
        quantity = reorder_point + mean * cover if up_to else mean * cover
        levels = run_rule(problem, network, visits, reorder_point, quantity, up_to)
        levels[free] = free_levels
        cost = float(store_costs(network, Plan(visits, levels)).sum())
        if cost < best_cost:
            best, best_cost = Plan(visits, levels), cost
    assert best is not None  # max_coverage is at least 1
    return best
