"""One store with known demand as an integer program for HiGHS: a peer that is exact if it finishes."""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from schemas.plan import PlanProblem


def highs_total(problem: PlanProblem, seconds_a_store: float) -> tuple[float, int]:
    """Sum over the stores of HiGHS's lower bounds, and the number of stores it solved to optimality.

    Quantities are free at every delivery, so no plan with levels can cost less.
    """
    total, solved = 0.0, 0
    for store in range(len(problem.store_ids)):
        bound, proven = _solve(problem, store, seconds_a_store)
        total += bound
        solved += proven
    return total, solved


def _solve(problem: PlanProblem, store: int, seconds: float) -> tuple[float, bool]:
    rows = np.flatnonzero(problem.series_store == store)
    m, periods = len(rows), problem.periods
    demand, price, opening = problem.mean[rows], problem.price[rows], problem.on_hand[rows]
    fill = periods + np.arange(m * periods).reshape(m, periods)
    left, lost = fill + m * periods, fill + 2 * m * periods
    size = periods + 3 * m * periods
    cost = np.zeros(size)
    cost[:periods] = problem.visit_cost[store]
    cost[left.ravel()], cost[lost.ravel()] = problem.settings.holding_cost, price.ravel()
    entries: list[tuple[int, int, float]] = []
    low: list[float] = []
    high: list[float] = []

    def row(terms: list[tuple[int, float]], least: float, most: float) -> None:
        entries.extend((len(low), column, value) for column, value in terms)
        low.append(least)
        high.append(most)

    for t in range(periods):
        for j in range(m):
            flow = [(left[j, t], 1.0), (fill[j, t], -1.0), (lost[j, t], -1.0), *([(left[j, t - 1], -1.0)] if t else [])]
            start = opening[j] if t == 0 else 0.0
            row(flow, start - demand[j, t], start - demand[j, t])
            row([(fill[j, t], 1.0), (t, -min(problem.capacity[store], demand[j, t:].sum()))], -np.inf, 0.0)
        # The capacity limits deliveries only: a plan is not responsible for opening stock above it.
        space = [(left[j, t], 1.0) for j in range(m)] + [(lost[j, t], -1.0) for j in range(m)]
        row(space, -np.inf, max(problem.capacity[store], opening.sum()) - demand[:, t].sum())
        if t % problem.periods_per_week == 0 and t + problem.periods_per_week <= periods:
            row([(d, 1.0) for d in range(t, t + problem.periods_per_week)], 1.0, np.inf)
    place, column, value = zip(*entries, strict=True)
    matrix = coo_array((value, (place, column)), shape=(len(low), size)).tocsr()
    upper = np.full(size, np.inf)
    upper[:periods] = 1.0
    upper[lost.ravel()] = demand.ravel()
    integrality = np.zeros(size)
    integrality[:periods] = 1
    answer = milp(
        cost,
        integrality=integrality,
        bounds=Bounds(np.zeros(size), upper),
        constraints=LinearConstraint(matrix, low, high),
        options={"time_limit": seconds, "mip_rel_gap": 1e-6},
    )
    bound = answer.mip_dual_bound
    return (float(bound) if bound is not None else 0.0), bool(answer.success)
