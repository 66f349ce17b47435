"""Shared constraints (deliveries per period, DC stock per category): shadow prices and a lower bound.

Lagrangian relaxation: a shadow price per delivery and period and a shadow price per unit and category are added to the
costs. The stores are then independent shortest-path problems. Their total cost minus the value of the constraints at
these prices is a lower bound for every plan that satisfies the constraints. The prices come from column generation: a
linear program combines the delivery schedules (columns) found for each store, its dual values are the next prices, and
each store adds its shortest path at these prices (Lübbecke and Desrosiers, Selected Topics in Column Generation,
Operations Research 53, 2005).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray, PlanProblem
from tasks.inventory.exact.perfect_information import (
    NetRequirements,
    ShadowPrices,
    allowed_days,
    priced_deliveries,
)
from tasks.inventory.model.network import Network

# The search ends after a number of rounds or at a relative gap, never by time: results do not depend on speed.
ROUNDS = 80
CLOSE = 2e-6
# Weight of the best shadow prices so far in the next ones: stabilizes the dual values.
SMOOTHING = 0.5


@dataclass(frozen=True)
class Relaxation:
    """The best shadow prices found, and the delivery schedules (columns) of the stores.

    Attributes:
        prices: shadow prices of deliveries per period and of units per category.
        bound: lower bound on the cost of the network.
        worth: value of the constraints at these prices.
        store: shape (columns,), store of each schedule.
        visits: shape (columns, T), the schedules.
        cost: shape (columns,), cost without shadow prices.
        priced_cost: shape (columns,), cost with the shadow prices of the units sent.
        weight: shape (columns,), weight in the solution of the linear program, 0 to 1.
    """

    prices: ShadowPrices
    bound: float
    worth: float
    store: IndexArray
    visits: BoolArray
    cost: FloatArray
    priced_cost: FloatArray
    weight: FloatArray


@dataclass
class _Columns:
    """Delivery schedules of the stores, one for each response to shadow prices."""

    store: list[int] = field(default_factory=list)
    visits: list[BoolArray] = field(default_factory=list)
    sent: list[FloatArray] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    seen: set[tuple[int, bytes]] = field(default_factory=set)

    def add(self, store: int, visits: BoolArray, sent: FloatArray, cost: float) -> None:
        key = (store, visits.tobytes() + np.round(sent, 6).tobytes())
        if key not in self.seen:
            self.seen.add(key)
            self.store.append(store)
            self.visits.append(visits.copy())
            self.sent.append(sent)
            self.cost.append(cost)


def has_shared_limits(problem: PlanProblem) -> bool:
    """True if a constraint applies to several stores together: deliveries per period or DC stock."""
    return problem.max_visits_per_period is not None or bool(np.isfinite(problem.dc_available).any())


def relax(problem: PlanProblem, network: Network, requirements: NetRequirements, rounds: int = ROUNDS) -> Relaxation:
    """Raise the bound until it meets the value of the linear program.

    Args:
        problem: problem with known or expected demand.
        network: its arrays, with one path.
        requirements: net requirements on that path.
        rounds: maximum number of rounds of shortest paths.
    """
    limits = SharedLimits.of(problem)
    columns, allowed = _Columns(), allowed_days(problem)
    prices = ShadowPrices.none(problem)
    best_prices, best = prices, -np.inf
    weight = np.empty(0)
    for _ in range(rounds):
        value = _add_columns(problem, network, requirements, prices, limits, columns, allowed)
        if value > best:
            best, best_prices = value, prices
        mixed, weight, dual = _mix(columns, limits, network.stores)
        if mixed - best <= CLOSE * abs(mixed):
            break
        prices = ShadowPrices(
            SMOOTHING * best_prices.visit + (1 - SMOOTHING) * dual.visit,
            SMOOTHING * best_prices.unit + (1 - SMOOTHING) * dual.unit,
        )
    weight = np.append(weight, np.zeros(len(columns.cost) - len(weight)))
    cost = np.array(columns.cost)
    priced = cost + np.array(columns.sent) @ best_prices.unit[limits.categories]
    worth = limits.value(best_prices)
    return Relaxation(best_prices, best, worth, np.array(columns.store), np.array(columns.visits), cost, priced, weight)


@dataclass(frozen=True)
class SharedLimits:
    """The shared constraints: deliveries per period (None = unlimited) and categories with limited DC stock."""

    visits: float | None
    categories: IndexArray
    available: FloatArray
    periods: int
    all_categories: int

    @classmethod
    def of(cls, problem: PlanProblem) -> SharedLimits:
        """The limits of a problem."""
        limited = np.flatnonzero(np.isfinite(problem.dc_available))
        visits = problem.max_visits_per_period
        return cls(
            None if visits is None else float(visits),
            limited,
            problem.dc_available[limited],
            problem.periods,
            len(problem.categories),
        )

    @property
    def right_side(self) -> FloatArray:
        """The limits: deliveries of each period if they are limited, then units of each limited category."""
        visits = np.empty(0) if self.visits is None else np.full(self.periods, self.visits)
        return np.concatenate([visits, self.available])

    def value(self, prices: ShadowPrices) -> float:
        """Value of the constraints at these shadow prices."""
        visits = 0.0 if self.visits is None else self.visits * float(prices.visit.sum())
        return visits + float(prices.unit[self.categories] @ self.available)

    def prices(self, dual: FloatArray) -> ShadowPrices:
        """Shadow prices from one number per constraint, in the order of ``right_side``."""
        visit, unit = np.zeros(self.periods), np.zeros(self.all_categories)
        if self.visits is not None:
            visit = dual[: self.periods]
        unit[self.categories] = dual[len(dual) - len(self.categories) :]
        return ShadowPrices(visit, unit)


def _add_columns(
    problem: PlanProblem,
    network: Network,
    requirements: NetRequirements,
    prices: ShadowPrices,
    limits: SharedLimits,
    columns: _Columns,
    allowed: BoolArray,
) -> float:
    """Add the shortest path of every store at these shadow prices as a column; return the value of the relaxation."""
    visits, cost, sent = priced_deliveries(problem, network, requirements, prices, allowed)
    for i in range(network.stores):
        own = float(cost[i] - prices.visit[visits[i]].sum() - prices.unit @ sent[i])
        columns.add(i, visits[i], sent[i, limits.categories], own)
    return float(cost.sum()) - limits.value(prices)


def _mix(columns: _Columns, limits: SharedLimits, stores: int) -> tuple[float, FloatArray, ShadowPrices]:
    """Solve the linear program: the cheapest combination of schedules within the constraints.

    Returns:
        Its cost, the weights of the columns, and the dual values as shadow prices.
    """
    from scipy.optimize import linprog  # late: most runs have no shared constraint
    from scipy.sparse import csr_matrix, hstack, identity, vstack

    cost = np.array(columns.cost)
    count = len(cost)
    rows = csr_matrix(np.array(columns.sent).T) if len(limits.categories) else csr_matrix((0, count))
    if limits.visits is not None:
        rows = vstack([csr_matrix(np.array(columns.visits, dtype=float).T), rows])
    choice = csr_matrix((np.ones(count), (np.array(columns.store), np.arange(count))), shape=(stores, count))
    # Violating a constraint costs more than a store can lose, so that the program always has a solution.
    excess = -identity(rows.shape[0], format="csr")
    penalty = 10.0 * (cost.max() + 1.0)
    solved = linprog(
        np.concatenate([cost, np.full(rows.shape[0], penalty)]),
        A_ub=hstack([rows, excess]),
        b_ub=limits.right_side,
        A_eq=hstack([choice, csr_matrix((stores, rows.shape[0]))]),
        b_eq=np.ones(stores),
        method="highs",
    )
    dual = np.maximum(0.0, -np.asarray(solved.ineqlin.marginals))
    return float(solved.fun), np.asarray(solved.x[:count]), limits.prices(dual)
