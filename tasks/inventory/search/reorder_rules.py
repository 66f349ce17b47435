"""Reorder-point rules on the mean path, written as levels fixed in advance."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, PlanProblem
from tasks.inventory.model.compiled import compiled
from tasks.inventory.model.network import Network


@compiled
def reorder_levels(  # noqa: PLR0913, PLR0917
    demand: FloatArray,
    on_hand: FloatArray,
    in_transit: FloatArray,
    visits: BoolArray,
    reorder_point: FloatArray,
    quantity: FloatArray,
    up_to: bool,
    lead_time: int,
    levels: FloatArray,
) -> None:
    """Levels of a rule that orders when stock on hand and on the way is at or below the reorder point.

    Args:
        demand: shape (T, m), the path on which the rule is run.
        on_hand: shape (m,).
        in_transit: shape (A, m).
        visits: shape (T,).
        reorder_point: shape (m,), s.
        quantity: shape (m,), Q ordered, or the level S where ``up_to``.
        up_to: (s, S) instead of (s, Q).
        lead_time: L.
        levels: shape (T, m), written; 0 where the rule does not order.
    """
    periods, series = demand.shape
    known = in_transit.shape[0]
    levels[:] = 0.0
    for j in range(series):
        stock, pending = on_hand[j], 0.0
        arriving = np.zeros(periods)
        for a in range(known):
            pending += in_transit[a, j]
            if a < periods:
                arriving[a] += in_transit[a, j]
        for t in range(periods):
            due = t + lead_time
            position = stock + pending
            if due < periods and visits[due] and position <= reorder_point[j]:
                levels[due, j] = quantity[j] if up_to else position + quantity[j]
                ordered = max(0.0, levels[due, j] - position)
                arriving[due] += ordered
                pending += ordered
            stock += arriving[t]
            pending -= arriving[t]
            stock -= min(stock, demand[t, j])


def run_rule(
    problem: PlanProblem,
    network: Network,
    visits: BoolArray,
    reorder_point: FloatArray,
    quantity: FloatArray,
    up_to: bool = False,
) -> FloatArray:
    """Levels (n, T) of a reorder rule on the mean path, in whole units where demand is uncertain."""
    mean = np.ascontiguousarray(problem.mean.T)
    levels = np.empty_like(mean)
    for i in range(network.stores):
        part = network.series_of(i)
        chosen = np.empty((network.periods, part.stop - part.start))
        reorder_levels(
            mean[:, part],
            network.on_hand[part],
            network.in_transit[:, part],
            visits[i],
            reorder_point[part],
            quantity[part],
            up_to,
            network.lead_time,
            chosen,
        )
        levels[:, part] = chosen
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
