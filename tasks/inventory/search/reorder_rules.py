"""Reorder-point rules on the mean path, written as levels fixed in advance."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, PlanProblem
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import OrderRule, levels_of_rule, store_of


def run_rule(
    problem: PlanProblem,
    network: Network,
    visits: BoolArray,
    reorder_point: FloatArray,
    quantity: FloatArray,
    up_to: bool = False,
) -> FloatArray:
    """Levels (n, T) of a reorder rule on the mean path, in whole units where demand is uncertain.

    Args:
        problem: the problem.
        network: its compiled form.
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
        rule = OrderRule(*(np.tile(own[part], (network.periods, 1)) for own in (reorder_point, quantity)), up_to)
        levels[:, part] = levels_of_rule(demand, store_of(network, i), visits[i], rule)
    return whole_levels(problem, levels.T)


def whole_levels(problem: PlanProblem, levels: FloatArray) -> FloatArray:
    """Levels rounded up to whole units where demand is uncertain; known demand keeps exact levels."""
    if problem.paths is None:
        return np.ascontiguousarray(levels)
    return np.ceil(levels - 1e-9)


def period_moments(problem: PlanProblem) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of one period's demand per series, over periods and paths; shape (n,) each."""
    if problem.paths is None:
        return problem.mean.mean(axis=1), problem.mean.std(axis=1)
    second = np.einsum("knt,knt->n", problem.paths, problem.paths) / (len(problem.paths) * problem.periods)
    centre = problem.paths.mean(axis=(0, 2))
    return problem.mean.mean(axis=1), np.sqrt(np.maximum(second - centre**2, 0.0))
