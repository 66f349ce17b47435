"""Plans for scarce DC stock compared with an independent best plan, on small generated problems.

Usage: .venv/bin/python benchmarks/inventory/best_known.py [--stores 4] [--categories 5] [--seeds 1] [--paths 20]

Known demand: the integer program of the whole network (deliveries, quantities, lost sales, DC stock) for HiGHS. Its
best plan and its lower bound are exact. Uncertain demand: the linear program of fixed quantities (open loop) at the
deliveries of the best of the policies. Its quantities are equal on all sample paths, so they cannot react to the stock
found, and it is solved on the paths that it is judged on. Both figures are printed relative to ``genetic``; a figure
below 0.95 means that a plan exists that costs more than 5 % less.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from networks import Size, network
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from schemas.plan import BoolArray, PlanProblem
from tasks.inventory.solve import solve

SECONDS = 120.0
SHARES = (0.2, 0.4, 0.6, 0.8)
HOLDING = (0.0, 60.0)
POLICIES = ["eoq", "newsvendor", "marginal_value", "genetic"]


class Rows:
    """Sparse constraints, one row after another."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, int, float]] = []
        self.low: list[float] = []
        self.high: list[float] = []

    def add(self, terms: list[tuple[int, float]], low: float, high: float) -> None:
        """Add low ≤ Σ value · variable ≤ high."""
        self.entries.extend((len(self.low), column, value) for column, value in terms)
        self.low.append(low)
        self.high.append(high)

    def constraint(self, size: int) -> LinearConstraint:
        """All rows as a constraint on ``size`` variables."""
        place, column, value = zip(*self.entries, strict=True)
        shape = (len(self.low), size)
        return LinearConstraint(coo_array((value, (place, column)), shape=shape).tocsr(), self.low, self.high)


def best_cost(problem: PlanProblem, visits: BoolArray | None) -> tuple[float, float]:
    """Least cost of quantities that are equal on all paths, and a lower bound on it.

    Args:
        problem: known demand, or sample paths.
        visits: shape (S, T), the deliveries; None = they are decided too.
    """
    paths = problem.mean[None] if problem.paths is None else problem.paths
    count, series, periods = paths.shape
    stores = len(problem.store_ids)
    visit = np.arange(stores * periods).reshape(stores, periods)
    fill = visit.size + np.arange(series * periods).reshape(series, periods)
    left = fill.max() + 1 + np.arange(paths.size).reshape(paths.shape)
    lost = left + paths.size
    size = int(lost.max()) + 1
    cost, upper = np.zeros(size), np.full(size, np.inf)
    cost[visit] = problem.visit_cost[:, None]
    upper[visit] = 1.0 if visits is None else visits
    lower = np.zeros(size)
    lower[visit] = 0.0 if visits is None else visits
    cost[left] = problem.holding_cost * problem.holding_weight[None, :, None] / count
    cost[lost] = problem.price[None] / count
    upper[lost] = paths
    rows = Rows()
    for j in range(series):
        store = int(problem.series_store[j])
        most = float(paths[:, j].sum(axis=1).max())
        for t in range(periods):
            rows.add([(int(fill[j, t]), 1.0), (int(visit[store, t]), -most)], -np.inf, 0.0)
            for k in range(count):
                before = [(int(left[k, j, t - 1]), -1.0)] if t else []
                terms = [(int(left[k, j, t]), 1.0), (int(fill[j, t]), -1.0), (int(lost[k, j, t]), -1.0), *before]
                need = (problem.on_hand[j] if t == 0 else 0.0) - paths[k, j, t]
                rows.add(terms, need, need)
    for store in range(stores):
        for t in range(0, periods - problem.periods_per_week + 1, problem.periods_per_week):
            rows.add([(int(v), 1.0) for v in visit[store, t : t + problem.periods_per_week]], 1.0, np.inf)
    for category in np.flatnonzero(np.isfinite(problem.dc_available)):
        own = fill[problem.series_category == category].ravel()
        rows.add([(int(place), 1.0) for place in own], -np.inf, float(problem.dc_available[category]))
    integrality = np.zeros(size)
    if visits is None:
        integrality[visit] = 1
    found = milp(
        cost,
        integrality=integrality,
        bounds=Bounds(lower, upper),
        constraints=rows.constraint(size),
        options={"time_limit": SECONDS, "mip_rel_gap": 1e-4},
    )
    least = float(found.mip_dual_bound) if visits is None and found.mip_dual_bound is not None else float("nan")
    return (float(found.fun) if found.x is not None else float("nan")), least


def main() -> None:
    """Print a line per problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=4)
    parser.add_argument("--categories", type=int, default=5)
    parser.add_argument("--days", type=int, default=21)
    parser.add_argument("--paths", type=int, default=20)
    parser.add_argument("--shares", default=",".join(map(str, SHARES)))
    parser.add_argument("--holding", default=",".join(map(str, HOLDING)))
    parser.add_argument("--demand", default="known,uncertain")
    parser.add_argument("--seeds", default="1")
    given = parser.parse_args()
    print("demand     DC  holding seed       genetic  other best  exact / open loop  lower bound  fill rate")
    for demand in given.demand.split(","):
        paths = 0 if demand == "known" else given.paths
        for share in map(float, given.shares.split(",")):
            for holding in map(float, given.holding.split(",")):
                for seed in map(int, given.seeds.split(",")):
                    # Space is not scarce: the programs have no storage capacity.
                    size = Size(given.stores, given.categories, given.days, 1e6, paths, holding=holding, dc=share)
                    made = network(size, seed)[0]
                    made = replace(
                        made,
                        on_hand=np.minimum(made.on_hand, 10.0),
                        capacity=np.full(given.stores, 1e9),
                        settings=made.settings.model_copy(update={"policies": POLICIES}),
                    )
                    solution = solve(made)
                    own = solution.evaluations["genetic"].cost
                    other = min(
                        e.cost.total for name, e in solution.evaluations.items() if name != "genetic" and e.valid
                    )
                    best, least = best_cost(made, None if paths == 0 else solution.plan.visits)
                    print(
                        f"{demand:9} {share:4.0%} {holding:8.0f} {seed:4} {own.total:13,.0f} "
                        f"{other / own.total:11.3f} {best / own.total:18.3f} "
                        f"{(least if paths == 0 else solution.bound.total) / own.total:12.3f} {own.fill_rate:10.3f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
