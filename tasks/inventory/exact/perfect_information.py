"""Known demand: shortest paths of all stores, their lower bound and the plan that attains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem
from tasks.inventory.exact.visit_graph import DeliveryDays, best_path, delivery_quantities_of
from tasks.inventory.exact.visit_graph import NetRequirements as StoreRequirements
from tasks.inventory.model.delivery_days import review_visits, visitable, week_starts
from tasks.inventory.model.kernels import in_parallel
from tasks.inventory.model.network import Network, is_whole
from tasks.inventory.model.simulator import (
    HELD_UNITS,
    LOST_VALUE,
    MEASURES,
    OVER_PERIODS,
    OrderRule,
    costs_of,
    levels_of_rule,
    simulate_store,
    store_measures,
    store_of,
    traced,
)


@dataclass(frozen=True)
class NetRequirements:
    """Net requirements of a network on one path of demand: demand that opening stock does not cover.

    Attributes:
        units: shape (T, n), units.
        rest: shape (S, T), units of opening stock and goods in transit left after the arrivals of period t.
        fixed: shape (S,), cost that no plan changes: holding cost and capacity penalties of the opening stock.
    """

    units: FloatArray
    rest: FloatArray
    fixed: FloatArray


@dataclass(frozen=True)
class ShadowPrices:
    """Shadow prices (Lagrange multipliers) of the shared constraints; zero without constraints.

    Attributes:
        visit: shape (T,), added to the cost of a delivery in each period.
        unit: shape (C,), added cost of sending one unit of a category.
    """

    visit: FloatArray
    unit: FloatArray

    @classmethod
    def none(cls, problem: PlanProblem) -> ShadowPrices:
        """Shadow prices of zero."""
        return cls(np.zeros(problem.periods), np.zeros(len(problem.categories)))


def net_requirements_on_path(network: Network, path: int) -> NetRequirements:
    """Compute net requirements on one path: the sales that the simulator loses without any delivery."""
    units = np.empty((network.periods, network.series))
    rest = np.empty((network.stores, network.periods))
    never = np.zeros(network.periods, dtype=np.bool_)

    def of_store(store: int) -> None:
        part = network.series_of(store)
        demand = network.demand[store][path : path + 1]
        trace, _ = traced(demand, store_of(network, store), never, np.zeros(demand.shape[1:]))
        units[:, part] = demand[0] - trace.sold
        rest[store] = trace.after_delivery

    in_parallel(of_store, range(network.stores))
    return NetRequirements(units, rest, _fixed_costs(network, path))


def _fixed_costs(network: Network, path: int) -> FloatArray:
    """Cost per store without deliveries and without lost sales: holding cost and penalties of the opening stock."""
    shape = (network.stores, network.periods)
    nothing = Plan(np.zeros(shape, dtype=np.bool_), np.zeros((network.series, network.periods)))
    measures, _ = store_measures(network.path(path), nothing)
    measures[:, 0, LOST_VALUE] = 0.0
    return costs_of(network, np.zeros(network.stores), measures[:, 0])


def over_penalty(problem: PlanProblem) -> float:
    """Penalty of a period over capacity; inf if such a plan is invalid."""
    hard = problem.settings.capacity == "hard" and problem.paths is None
    return np.inf if hard else problem.settings.over_capacity_penalty


def allowed_days(problem: PlanProblem) -> BoolArray:
    """Periods in which each store may have a delivery, shape (S, T).

    Periods from L on without blackout dates. A store without a known delivery cost has deliveries on its review days
    only.
    """
    allowed = visitable(problem)
    if problem.free_visits is not None and problem.free_visits.any() and problem.max_visits_per_period is None:
        allowed[problem.free_visits] &= review_visits(problem, limited=False)[problem.free_visits]
    return allowed


def shortest_paths(
    problem: PlanProblem,
    network: Network,
    requirements: NetRequirements,
    prices: ShadowPrices | None = None,
    allowed: BoolArray | None = None,
) -> tuple[BoolArray, FloatArray]:
    """Compute the deliveries of least cost of every store, independent of the other stores.

    Args:
        problem: the plan problem.
        network: its arrays.
        requirements: net requirements on the path of demand.
        prices: shadow prices of the shared constraints; zero if None.
        allowed: shape (S, T), periods in which a store may have a delivery; all that the problem allows if None.

    Returns:
        Deliveries (S, T) and the least cost per store (S,), with shadow prices and ``requirements.fixed``. The cost is
        a lower bound for every policy without returns on this path; inf if the weekly rule cannot be satisfied.
    """
    prices = prices or ShadowPrices.none(problem)
    allowed = allowed_days(problem) if allowed is None else allowed
    visits = np.zeros((network.stores, network.periods), dtype=np.bool_)
    cost = np.empty(network.stores)
    penalty = over_penalty(problem)

    def of_store(store: int) -> None:
        days = _delivery_days(problem, network, store, allowed[store], prices)
        cost[store] = best_path(_of_store(network, requirements, prices, penalty, store), days, visits[store])

    in_parallel(of_store, range(network.stores))
    return visits, cost + requirements.fixed


def _delivery_days(
    problem: PlanProblem, network: Network, store: int, allowed: BoolArray, prices: ShadowPrices
) -> DeliveryDays:
    """Find the periods in which a store may and must have a delivery; a week without an allowed period needs none."""
    starts = week_starts(problem.periods, problem.periods_per_week, network.lead_time)
    able = [s for s in starts if allowed[s : s + problem.periods_per_week].any()]
    return DeliveryDays(
        network.visit_cost[store] + prices.visit,
        allowed,
        np.array(able, dtype=np.int64),
        problem.periods_per_week,
        network.lead_time,
    )


def store_costs_by_path(
    problem: PlanProblem, network: Network, store: int, allowed: BoolArray, prices: Sequence[ShadowPrices]
) -> FloatArray:
    """Compute the least cost of one store on each path, as :func:`shortest_paths` does for all stores of one path.

    Args:
        problem: the plan problem.
        network: its arrays.
        store: index of the store.
        allowed: shape (T,), periods in which it may have a delivery.
        prices: shadow prices of the shared constraints, one or more sets of them.

    Returns:
        Shape (sets of prices, K).
    """
    demand, terms, penalty = network.demand[store], store_of(network, store), over_penalty(problem)
    paths, periods, series = demand.shape
    never, nothing = np.zeros(periods, dtype=np.bool_), np.zeros((periods, series))
    measures = np.zeros((1, paths, MEASURES))
    simulate_store(demand, terms, never, nothing, measures[0], np.empty((paths, series)))
    measures[..., LOST_VALUE] = 0.0
    days = [_delivery_days(problem, network, store, allowed, each) for each in prices]
    visits = never.copy()
    # Memory layout as in a network of several stores: it sets the order of the kernel's sums.
    units = np.empty((periods, series + (network.stores > 1)))[:, :series]
    cost = np.empty((len(prices), paths))
    for k in range(paths):
        trace, _ = traced(demand[k : k + 1], terms, never, nothing)
        units[:] = demand[k] - trace.sold
        fixed = network.holding_cost * measures[0, k, HELD_UNITS] + network.penalty * measures[0, k, OVER_PERIODS]
        for row, (each, own_days) in enumerate(zip(prices, days, strict=True)):
            own = _requirements(network, units, trace.after_delivery, each, penalty, store)
            cost[row, k] = best_path(own, own_days, visits) + fixed
    return cost


def priced_deliveries(
    problem: PlanProblem, network: Network, requirements: NetRequirements, prices: ShadowPrices, allowed: BoolArray
) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Compute the deliveries of least cost of every store at given shadow prices, and the units that they send.

    Args:
        problem: with known or expected demand.
        network: its arrays, with one path.
        requirements: net requirements on that path.
        prices: shadow prices of the shared constraints.
        allowed: shape (S, T), periods in which a store may have a delivery.

    Returns:
        Deliveries (S, T), cost with shadow prices (S,), and units sent of each category (S, C).
    """
    visits = np.zeros((network.stores, network.periods), dtype=np.bool_)
    cost = np.empty(network.stores)
    sent = np.zeros((network.stores, len(problem.categories)))
    penalty, whole = over_penalty(problem), is_whole(problem)

    def of_store(store: int) -> None:
        own = _of_store(network, requirements, prices, penalty, store)
        days = _delivery_days(problem, network, store, allowed[store], prices)
        cost[store] = best_path(own, days, visits[store]) + requirements.fixed[store]
        quantities = np.zeros(own.requirement.shape)
        delivery_quantities_of(own, visits[store], whole, quantities)
        np.add.at(sent[store], network.category[network.series_of(store)], quantities.sum(axis=0))

    in_parallel(of_store, range(network.stores))
    return visits, cost, sent


def plan_of_visits(
    problem: PlanProblem,
    network: Network,
    requirements: NetRequirements,
    visits: BoolArray,
    prices: ShadowPrices | None = None,
) -> Plan:
    """The plan that delivers the net requirement: one level per delivery, scarce space to the most valuable units."""
    return plan_of_quantities(problem, network, quantities_of_visits(problem, network, requirements, visits, prices))


def quantities_of_visits(
    problem: PlanProblem,
    network: Network,
    requirements: NetRequirements,
    visits: BoolArray,
    prices: ShadowPrices | None = None,
) -> tuple[BoolArray, FloatArray]:
    """Deliveries (S, T) and their quantities in units (T, n)."""
    prices = prices or ShadowPrices.none(problem)
    quantities = np.zeros_like(requirements.units)
    whole = is_whole(problem)
    penalty = over_penalty(problem)
    for i in range(network.stores):
        part = network.series_of(i)
        sent = np.zeros((network.periods, part.stop - part.start))
        delivery_quantities_of(_of_store(network, requirements, prices, penalty, i), visits[i], whole, sent)
        quantities[:, part] = sent
    return visits, quantities


def _of_store(
    network: Network, requirements: NetRequirements, prices: ShadowPrices, penalty: float, store: int
) -> StoreRequirements:
    part = network.series_of(store)
    # Not contiguous: the memory layout sets the order of the kernel's sums.
    return _requirements(network, requirements.units[:, part], requirements.rest[store], prices, penalty, store)


def _requirements(
    network: Network, units: FloatArray, rest: FloatArray, prices: ShadowPrices, penalty: float, store: int
) -> StoreRequirements:
    part = network.series_of(store)
    return StoreRequirements(
        units,
        network.price[store],
        rest,
        prices.unit[network.category[part]],
        float(network.capacity[store]),
        network.holding_cost * network.holding_weight[part],
        float(penalty),
    )


def plan_of_quantities(problem: PlanProblem, network: Network, decided: tuple[BoolArray, FloatArray]) -> Plan:
    """The plan whose levels result in given delivery quantities (T, n) if demand equals its mean.

    The level of a delivery is the inventory position at its order plus the quantity.
    """
    visits, quantities = decided
    levels = np.zeros(problem.mean.shape)
    mean = np.ascontiguousarray(problem.mean.T)
    for i in range(network.stores):
        part = network.series_of(i)
        units = np.ascontiguousarray(quantities[:, part])
        rule = OrderRule(np.where(units > 0, np.inf, -np.inf), units, up_to=False)
        demand = np.ascontiguousarray(mean[:, part])
        days: BoolArray = np.any(units > 0, axis=1)
        levels[part] = levels_of_rule(demand, store_of(network, i), days, rule).T
    return Plan(visits, levels)
