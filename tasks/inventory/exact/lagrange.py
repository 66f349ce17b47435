"""Shared limits (visits a period, DC stock per category): prices that make stores keep them, and a bound.

With a price per visit and period and a price per unit and category added to their costs, stores are independent
shortest paths again. Their total less the value of the limits at those prices is a lower bound for every plan
that keeps the limits (Lagrangian relaxation). The prices come from column generation: a linear program mixes the
answers (columns) that each store has given so far, its dual values are the next prices, and a store answers
prices with its shortest path.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, hstack, identity, vstack

from schemas.plan import BoolArray, FloatArray, IndexArray, PlanProblem
from tasks.inventory.exact.perfect_information import Needs, Prices, fills_of_visits, shortest_paths
from tasks.inventory.model.network import Network

# Counts and shares, so that no clock changes a result.
ROUNDS = 80
CLOSE = 2e-6
# Share of the best prices so far in the next ones: keeps the dual values from jumping about.
SMOOTHING = 0.5


@dataclass(frozen=True)
class Relaxation:
    """The best prices found.

    Attributes:
        prices: of visits per period and of units per category.
        bound: lower bound on the cost of the network.
        worth: what the limits are worth at these prices.
        store: shape (columns,), the store that gave each answer.
        visits: shape (columns, T).
        cost: shape (columns,), cost of the answer without prices.
        priced_cost: shape (columns,), cost with the units sent at their prices.
        weight: shape (columns,), its weight in the linear program's mix.
    """

    prices: Prices
    bound: float
    worth: float
    store: IndexArray
    visits: BoolArray
    cost: FloatArray
    priced_cost: FloatArray
    weight: FloatArray


@dataclass
class _Columns:
    """Answers of the stores to prices."""

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
    """Whether anything binds stores together."""
    return problem.max_visits_per_period is not None or bool(np.isfinite(problem.dc_available).any())


def relax(problem: PlanProblem, network: Network, needs: Needs, rounds: int = ROUNDS) -> Relaxation:
    """Raise the bound until it meets the linear program's value, at most ``rounds`` times.

    Args:
        problem: with known demand (or the mean of it).
        network: its compiled form, one path.
        needs: of the path.
        rounds: number of shortest-path rounds.
    """
    limits = _Limits.of(problem)
    columns = _Columns()
    prices = Prices.none(problem)
    best_prices, best = prices, -np.inf
    weight = np.empty(0)
    for _ in range(rounds):
        value = _answer(problem, network, needs, prices, limits, columns)
        if value > best:
            best, best_prices = value, prices
        mixed, weight, dual = _mix(columns, limits, network.stores)
        if mixed - best <= CLOSE * abs(mixed):
            break
        prices = Prices(
            SMOOTHING * best_prices.visit + (1 - SMOOTHING) * dual.visit,
            SMOOTHING * best_prices.unit + (1 - SMOOTHING) * dual.unit,
        )
    weight = np.append(weight, np.zeros(len(columns.cost) - len(weight)))
    cost = np.array(columns.cost)
    priced = cost + np.array(columns.sent) @ best_prices.unit[limits.categories]
    worth = limits.value(best_prices)
    return Relaxation(best_prices, best, worth, np.array(columns.store), np.array(columns.visits), cost, priced, weight)


@dataclass(frozen=True)
class _Limits:
    """Limits that are there: visits a period (or none) and categories with limited DC stock."""

    visits: float | None
    categories: IndexArray
    available: FloatArray
    periods: int
    all_categories: int

    @classmethod
    def of(cls, problem: PlanProblem) -> _Limits:
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
        visits = np.empty(0) if self.visits is None else np.full(self.periods, self.visits)
        return np.concatenate([visits, self.available])

    def value(self, prices: Prices) -> float:
        """What the limits are worth at these prices."""
        visits = 0.0 if self.visits is None else self.visits * float(prices.visit.sum())
        return visits + float(prices.unit[self.categories] @ self.available)

    def prices(self, dual: FloatArray) -> Prices:
        visit, unit = np.zeros(self.periods), np.zeros(self.all_categories)
        if self.visits is not None:
            visit = dual[: self.periods]
        unit[self.categories] = dual[len(dual) - len(self.categories) :]
        return Prices(visit, unit)


def _answer(
    problem: PlanProblem, network: Network, needs: Needs, prices: Prices, limits: _Limits, columns: _Columns
) -> float:
    """Every store's shortest path at these prices becomes a column; the value of the relaxation."""
    visits, cost = shortest_paths(problem, network, needs, prices)
    _, fills = fills_of_visits(problem, network, needs, visits, prices)
    units = fills.sum(axis=0)
    for i in range(network.stores):
        part = network.series_of(i)
        sent = np.zeros(limits.all_categories)
        np.add.at(sent, network.category[part], units[part])
        own = float(cost[i] - prices.visit[visits[i]].sum() - prices.unit @ sent)
        columns.add(i, visits[i], sent[limits.categories], own)
    return float(cost.sum()) - limits.value(prices)


def _mix(columns: _Columns, limits: _Limits, stores: int) -> tuple[float, FloatArray, Prices]:
    """The cheapest mix of answers that keeps the limits: its cost, its weights and the prices it implies."""
    cost = np.array(columns.cost)
    count = len(cost)
    rows = csr_matrix(np.array(columns.sent).T) if len(limits.categories) else csr_matrix((0, count))
    if limits.visits is not None:
        rows = vstack([csr_matrix(np.array(columns.visits, dtype=float).T), rows])
    choice = csr_matrix((np.ones(count), (np.array(columns.store), np.arange(count))), shape=(stores, count))
    # Breaking a limit costs more than anything a store can lose, so that the program always has an answer.
    excess = -identity(rows.shape[0], format="csr")
    dear = 10.0 * (cost.max() + 1.0)
    solved = linprog(
        np.concatenate([cost, np.full(rows.shape[0], dear)]),
        A_ub=hstack([rows, excess]),
        b_ub=limits.right_side,
        A_eq=hstack([choice, csr_matrix((stores, rows.shape[0]))]),
        b_eq=np.ones(stores),
        method="highs",
    )
    dual = np.maximum(0.0, -np.asarray(solved.ineqlin.marginals))
    return float(solved.fun), np.asarray(solved.x[:count]), limits.prices(dual)
