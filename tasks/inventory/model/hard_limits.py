"""Limits that every plan must keep whatever its policy: DC stock, and levels where nothing else bounds them."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem
from tasks.inventory.model.network import UNIT_TOLERANCE, Network
from tasks.inventory.model.simulator import store_measures
from tasks.inventory.model.uncapacitated import with_unbounded_levels

# Halvings of the search for the share of its levels that a scarce category can have.
HALVINGS = 12


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
