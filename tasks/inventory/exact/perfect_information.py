"""Known demand: shortest paths of a whole network, their bound and the plan that attains it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem
from tasks.inventory.exact.visit_graph import DeliveryDays, best_path, fills_of
from tasks.inventory.exact.visit_graph import Needs as StoreNeeds
from tasks.inventory.model.delivery_days import review_visits, visitable, week_starts
from tasks.inventory.model.network import Network, is_whole
from tasks.inventory.model.simulator import (
    LOST_VALUE,
    OrderRule,
    costs_of,
    levels_of_rule,
    store_measures,
    store_of,
    traced,
)


@dataclass(frozen=True)
class Needs:
    """What opening stock does not cover on one path of demand.

    Attributes:
        units: shape (T, n).
        rest: shape (S, T), opening stock and goods in transit left after period t's arrivals.
        fixed: shape (S,), cost that no plan changes: holding of opening stock, penalties it causes alone.
    """

    units: FloatArray
    rest: FloatArray
    fixed: FloatArray


@dataclass(frozen=True)
class Prices:
    """Prices of shared limits (Lagrange multipliers), zero where there are none.

    Attributes:
        visit: shape (T,), added to the cost of a visit in each period.
        unit: shape (C,), cost of sending one unit of a category.
    """

    visit: FloatArray
    unit: FloatArray

    @classmethod
    def none(cls, problem: PlanProblem) -> Prices:
        """No shared limit has a price."""
        return cls(np.zeros(problem.periods), np.zeros(len(problem.categories)))


def needs_on_path(network: Network, path: int) -> Needs:
    """Needs on one path of demand: what the simulator loses without any delivery."""
    units = np.empty((network.periods, network.series))
    rest = np.empty((network.stores, network.periods))
    never = np.zeros(network.periods, dtype=np.bool_)
    for i in range(network.stores):
        part = network.series_of(i)
        demand = network.demand[i][path : path + 1]
        trace, _ = traced(demand, store_of(network, i), never, np.zeros(demand.shape[1:]))
        units[:, part] = demand[0] - trace.sold
        rest[i] = trace.after_delivery
    return Needs(units, rest, _fixed_costs(network, path))


def _fixed_costs(network: Network, path: int) -> FloatArray:
    """Cost of doing nothing, without its lost sales: holding and penalties of stock that is there anyway."""
    shape = (network.stores, network.periods)
    nothing = Plan(np.zeros(shape, dtype=np.bool_), np.zeros((network.series, network.periods)))
    measures, _ = store_measures(network.path(path), nothing)
    measures[:, 0, LOST_VALUE] = 0.0
    return costs_of(network, np.zeros(network.stores), measures[:, 0])


def over_penalty(problem: PlanProblem) -> float:
    """What a period over capacity costs a plan: inf where such a plan is invalid."""
    hard = problem.settings.capacity == "hard" and problem.paths is None
    return np.inf if hard else problem.settings.over_capacity_penalty


def allowed_days(problem: PlanProblem) -> BoolArray:
    """Periods in which each store may be visited, shape (S, T).

    From L on, no frozen one; a store without a known visit cost is visited on its review days only.
    """
    allowed = visitable(problem)
    if problem.free_visits is not None and problem.free_visits.any() and problem.max_visits_per_period is None:
        allowed[problem.free_visits] &= review_visits(problem, limited=False)[problem.free_visits]
    return allowed


def shortest_paths(
    problem: PlanProblem,
    network: Network,
    needs: Needs,
    prices: Prices | None = None,
    allowed: BoolArray | None = None,
) -> tuple[BoolArray, FloatArray]:
    """The cheapest visits of every store by itself.

    Args:
        problem: the problem.
        network: its compiled form.
        needs: of the path of demand.
        prices: of shared limits.
        allowed: shape (S, T), periods in which a store may be visited; all that the problem allows if None.

    Returns:
        Visits (S, T) and the least cost per store (S,), prices included, ``needs.fixed`` included: a lower bound
        for every policy without returns on this path. inf where no visits keep the weekly rule.
    """
    prices = prices or Prices.none(problem)
    allowed = allowed_days(problem) if allowed is None else allowed
    starts = week_starts(problem.periods, problem.periods_per_week, network.lead_time)
    visits = np.zeros((network.stores, network.periods), dtype=np.bool_)
    cost = np.empty(network.stores)
    penalty = over_penalty(problem)
    for i in range(network.stores):
        # A week without a day that may have a visit needs none.
        able = [s for s in starts if allowed[i, s : s + problem.periods_per_week].any()]
        days = DeliveryDays(
            network.visit_cost[i] + prices.visit,
            allowed[i],
            np.array(able, dtype=np.int64),
            problem.periods_per_week,
            network.lead_time,
        )
        cost[i] = best_path(_of_store(network, needs, prices, penalty, i), days, visits[i])
    return visits, cost + needs.fixed


def plan_of_visits(
    problem: PlanProblem, network: Network, needs: Needs, visits: BoolArray, prices: Prices | None = None
) -> Plan:
    """The plan that fills the known need at given visits: a level per visit, scarce space to the dearest units."""
    return plan_of_fills(problem, network, fills_of_visits(problem, network, needs, visits, prices))


def fills_of_visits(
    problem: PlanProblem, network: Network, needs: Needs, visits: BoolArray, prices: Prices | None = None
) -> tuple[BoolArray, FloatArray]:
    """Visits (S, T) with the units (T, n) that each sends."""
    prices = prices or Prices.none(problem)
    fills = np.zeros_like(needs.units)
    whole = is_whole(problem)
    penalty = over_penalty(problem)
    for i in range(network.stores):
        part = network.series_of(i)
        sent = np.zeros((network.periods, part.stop - part.start))
        fills_of(_of_store(network, needs, prices, penalty, i), visits[i], whole, sent)
        fills[:, part] = sent
    return visits, fills


def _of_store(network: Network, needs: Needs, prices: Prices, penalty: float, store: int) -> StoreNeeds:
    part = network.series_of(store)
    return StoreNeeds(
        needs.units[:, part],  # as laid out: the layout decides in which order the kernel sums
        network.price[store],
        needs.rest[store],
        prices.unit[network.category[part]],
        float(network.capacity[store]),
        float(network.holding_cost),
        float(penalty),
    )


def plan_of_fills(problem: PlanProblem, network: Network, decided: tuple[BoolArray, FloatArray]) -> Plan:
    """The plan whose levels send given units (T, n) at given visits when demand is the mean.

    The level of a visit is the inventory position when it is decided, plus the units.
    """
    visits, fills = decided
    levels = np.zeros(problem.mean.shape)
    mean = np.ascontiguousarray(problem.mean.T)
    for i in range(network.stores):
        part = network.series_of(i)
        units = np.ascontiguousarray(fills[:, part])
        rule = OrderRule(np.where(units > 0, np.inf, -np.inf), units, up_to=False)
        demand = np.ascontiguousarray(mean[:, part])
        days: BoolArray = np.any(units > 0, axis=1)
        levels[part] = levels_of_rule(demand, store_of(network, i), days, rule).T
    return Plan(visits, levels)
