"""The simulator: computes the cost of a plan, period by period (docs/reference/contract.md#order-of-events).

Policies, bounds and reports use this module for all costs. Events of a period t:

1. Arrivals: the delivery of period t and the goods in transit for t. The quantity of the delivery was fixed at the end
   of t − 1 − L as max(0, level(t) − (on hand + in transit)).
2. Stock above the storage capacity counts as a store-period over capacity.
3. Demand is served from stock. Demand without stock is lost, at the price of that period.
4. The units left are charged the holding cost; at the end of the horizon for ``PlanProblem.overstock_weight`` periods.

Delivery quantities are never reduced. DC stock and deliveries per period are checked, not enforced: a plan that exceeds
them is invalid, and ``PlanCost.limit_breaches`` names the constraint.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from schemas.plan import BoolArray, FloatArray, Plan, PlanCost, PlanProblem
from tasks.inventory.model.delivery_days import missed_weeks
from tasks.inventory.model.kernels import compiled, in_parallel
from tasks.inventory.model.network import UNIT_TOLERANCE, Network, limit_breaches
from tasks.inventory.model.sku_simulation import NOTHING, SkuSimulation, Terms, rows_of, simulate_skus

# Columns of the kernel's result.
LOST_VALUE, LOST_UNITS, HELD_UNITS, OVER_PERIODS = range(4)
MEASURES = 4


class Store(NamedTuple):
    """Inputs of the simulation of one store besides demand and plan; C-contiguous arrays.

    Attributes:
        price: shape (T, m), cost of a lost unit.
        on_hand: shape (m,), units before period 0.
        in_transit: shape (A, m), units that arrive at the start of period k.
        capacity: units, may be inf.
        lead_time: L.
        end_periods: periods of holding cost for a unit left at the end of the horizon.
        ramp: units over which the penalty at the capacity is smoothed, so that a search does not overfit its few paths;
            0 to evaluate a plan.
        holding_weight: shape (m,), multiplies the units held; shape (1,) = the same for all.
    """

    price: FloatArray
    on_hand: FloatArray
    in_transit: FloatArray
    capacity: float
    lead_time: int
    end_periods: float = 1.0
    ramp: float = 0.0
    holding_weight: FloatArray = np.ones(1)


class Trace(NamedTuple):
    """Units period by period, expected over the paths; the kernel adds to arrays of zeros.

    Attributes:
        on_hand: shape (T, m), on hand before the arrivals of period t.
        pending: shape (T, m), in transit before the arrivals of period t, including those of period t.
        sent: shape (T, m), arriving by a planned delivery, without the goods in transit at the start.
        sold: shape (T, m).
        after_delivery: shape (T,), in the store after period t's arrivals.
        over: shape (T,), share of paths on which the store is over capacity.
    """

    on_hand: FloatArray
    pending: FloatArray
    sent: FloatArray
    sold: FloatArray
    after_delivery: FloatArray
    over: FloatArray

    @classmethod
    def empty(cls, periods: int, series: int) -> Trace:
        """Arrays of zeros."""
        shape = (periods, series)
        return cls(
            np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(periods), np.zeros(periods)
        )


class OrderRule(NamedTuple):
    """A rule that sets levels during the simulation: order if the inventory position is at or below s.

    Attributes:
        reorder_point: shape (T, m), s of a delivery in each period; -inf = never.
        quantity: shape (T, m), Q ordered, or the level S if ``up_to``.
        up_to: (s, S) instead of (s, Q).
    """

    reorder_point: FloatArray
    quantity: FloatArray
    up_to: bool


@compiled
def simulate_store(  # noqa: C901, PLR0912, PLR0915
    demand: FloatArray,
    store: Store,
    visits: BoolArray,
    levels: FloatArray,
    result: FloatArray,
    sent: FloatArray,
    trace: Trace | None = None,
    rule: OrderRule | None = None,
) -> None:
    """Simulate one store on every path. This is the only period loop of the inventory package.

    Costs, ledgers, the replay of past weeks, the cost of a forecast, net requirements, reorder rules and the levels of
    given delivery quantities use it.

    Args:
        demand: shape (K, T, m), units.
        store: prices, opening stock and limits.
        visits: shape (T,).
        levels: shape (T, m), read at deliveries; zeros if a ``rule`` writes them.
        result: shape (K, 4), written: lost value, lost units, unit-periods held (times their weight), periods over
            capacity.
        sent: shape (K, m), written: units sent by planned deliveries.
        trace: written if given.
        rule: sets the levels; only with a single path.
    """
    paths, periods, series = demand.shape
    price, on_hand, in_transit, capacity, lead_time, end_periods, ramp, weight = store
    weighted = len(weight) == series
    known = in_transit.shape[0]
    stock = np.empty(series)
    pending = np.empty(series)
    arriving = np.zeros((periods + lead_time if lead_time > 0 else 1, series))
    for k in range(paths):
        total = 0.0
        for j in range(series):
            stock[j] = on_hand[j]
            total += on_hand[j]
            pending[j] = 0.0
            sent[k, j] = 0.0
            for a in range(known):
                pending[j] += in_transit[a, j]
        lost_value, lost_units, held, over = 0.0, 0.0, 0.0, 0.0
        for t in range(periods):
            if trace is not None:
                for j in range(series):
                    trace.on_hand[t, j] += stock[j] / paths
                    trace.pending[t, j] += pending[j] / paths
            due = t + lead_time
            if due < periods and visits[due]:
                if rule is not None:
                    for j in range(series):
                        position = stock[j] + pending[j]
                        if position <= rule.reorder_point[due, j]:
                            amount = rule.quantity[due, j]
                            levels[due, j] = amount if rule.up_to else position + amount
                if lead_time == 0:
                    for j in range(series):
                        quantity = max(0.0, levels[t, j] - stock[j] - pending[j])
                        stock[j] += quantity
                        sent[k, j] += quantity
                        total += quantity
                        if trace is not None:
                            trace.sent[t, j] += quantity / paths
                else:
                    for j in range(series):
                        quantity = max(0.0, levels[due, j] - stock[j] - pending[j])
                        arriving[due, j] = quantity
                        pending[j] += quantity
                        sent[k, j] += quantity
                        if trace is not None:
                            trace.sent[due, j] += quantity / paths
            if lead_time > 0 and t >= lead_time and visits[t]:
                for j in range(series):
                    stock[j] += arriving[t, j]
                    pending[j] -= arriving[t, j]
                    total += arriving[t, j]
            if t < known:
                for j in range(series):
                    stock[j] += in_transit[t, j]
                    pending[j] -= in_transit[t, j]
                    total += in_transit[t, j]
            if total > capacity + UNIT_TOLERANCE + 0.5 * ramp:
                over += 1.0
            elif ramp > 0.0 and total > capacity - 0.5 * ramp:
                over += (total - capacity) / ramp + 0.5
            if trace is not None:
                present = 0.0
                for j in range(series):
                    present += stock[j]
                trace.after_delivery[t] += present / paths
                if present > capacity + UNIT_TOLERANCE:
                    trace.over[t] += 1.0 / paths
            total, charged = 0.0, 0.0
            for j in range(series):
                requested = demand[k, t, j]
                sold = min(stock[j], requested)
                left = stock[j] - sold
                missing = requested - sold
                lost_value += missing * price[t, j]
                lost_units += missing
                stock[j] = left
                total += left
                charged += left * (weight[j] if weighted else weight[0])
                if trace is not None:
                    trace.sold[t, j] += sold / paths
            held += charged if t < periods - 1 else end_periods * charged
        result[k, LOST_VALUE] = lost_value
        result[k, LOST_UNITS] = lost_units
        result[k, HELD_UNITS] = held
        result[k, OVER_PERIODS] = over


def traced(demand: FloatArray, store: Store, visits: BoolArray, levels: FloatArray) -> tuple[Trace, FloatArray]:
    """Simulate one store and record every period.

    Args:
        demand: shape (K, T, m), units.
        store: prices, opening stock and limits.
        visits: shape (T,).
        levels: shape (T, m), read at deliveries.

    Returns:
        The trace, and the measures of each path, shape (K, 4).
    """
    paths, periods, series = demand.shape
    trace = Trace.empty(periods, series)
    result = np.empty((paths, MEASURES))
    simulate_store(demand, store, visits, levels, result, np.empty((paths, series)), trace)
    return trace, result


def levels_of_rule(demand: FloatArray, store: Store, visits: BoolArray, rule: OrderRule) -> FloatArray:
    """Compute the levels (T, m) that a rule sets on one path of demand (T, m); 0 without an order."""
    levels = np.zeros(demand.shape)
    result, sent = np.empty((1, MEASURES)), np.empty((1, demand.shape[1]))
    simulate_store(demand[None], store, visits, levels, result, sent, None, rule)
    return levels


def store_of(network: Network, index: int) -> Store:
    """Inputs of the simulation of a store."""
    part = network.series_of(index)
    return Store(
        network.price[index],
        network.on_hand[part],
        np.ascontiguousarray(network.in_transit[:, part]),
        float(network.capacity[index]),
        network.lead_time,
        float(network.overstock_weight),
        0.0,
        network.holding_weight[part],
    )


def store_measures(network: Network, plan: Plan) -> tuple[FloatArray, FloatArray]:
    """Simulate all stores: measures per store and path, and units sent.

    Args:
        network: the compiled form of the problem.
        plan: visits and levels.

    Returns:
        Array (S, K, 4) of lost value, lost units, unit-periods held and periods over capacity; array (K, n) of
        units sent by planned deliveries.
    """
    if network.skus is not None:
        found = by_sku(network, plan, NOTHING)
        return found.measures, found.sent
    result = np.zeros((network.stores, network.paths, MEASURES))
    sent = np.zeros((network.paths, network.series))
    visits = decidable(plan.visits, network.lead_time)

    def of_store(store: int) -> None:
        part = network.series_of(store)
        levels = np.ascontiguousarray(plan.levels[part].T, dtype=np.float64)
        own = np.empty((network.paths, part.stop - part.start))
        simulate_store(network.demand[store], store_of(network, store), visits[store], levels, result[store], own)
        sent[:, part] = own

    in_parallel(of_store, range(network.stores))
    return result, sent


def by_sku(network: Network, plan: Plan, recorded: int) -> SkuSimulation:
    """Simulate all stores by SKU (:mod:`tasks.inventory.model.sku_simulation`); ``recorded`` is what totals hold."""
    assert network.skus is not None
    visits = decidable(plan.visits, network.lead_time)
    paths = network.demand.units
    until = np.zeros((network.periods + 1, network.series))
    np.cumsum(paths.mean(axis=0, dtype=np.float64).T, axis=0, out=until[1:])

    def ahead(periods: int) -> FloatArray:
        end = np.minimum(np.arange(network.periods) + periods, network.periods)
        return until[end] - until[:-1]

    before = np.zeros((network.stores, network.periods))
    if network.lead_time:
        np.add.at(before, network.store, ahead(network.lead_time).T)
    own = np.ascontiguousarray(visits[network.store].T)
    levels = np.where(own, np.ascontiguousarray(plan.levels.T), 0.0)
    following = np.zeros_like(levels)
    next_level = np.zeros(network.series)
    for t in range(network.periods - 1, -1, -1):
        next_level = np.where(own[t], levels[t], next_level)
        following[t] = next_level
    terms = Terms(
        np.concatenate(network.price, axis=1),
        network.holding_weight,
        visits,
        levels,
        following,
        ahead(network.review_period),
        before,
        network.capacity,
        network.lead_time,
        float(network.overstock_weight),
    )
    rows = rows_of(network.skus, network.store, network.periods)
    return simulate_skus(paths, rows, terms, network.seed, recorded)


def decidable(visits: BoolArray, lead_time: int) -> BoolArray:
    """Deliveries from period L on; earlier ones cannot be ordered in time."""
    later = np.ascontiguousarray(visits, dtype=np.bool_).copy()
    later[:, :lead_time] = False
    return later


def store_costs(network: Network, plan: Plan) -> FloatArray:
    """Expected total cost per store, shape (S,): transport, lost sales, holding and over capacity."""
    result, _ = store_measures(network, plan)
    return costs_of(network, decidable(plan.visits, network.lead_time).sum(axis=1), result.mean(axis=1))


def costs_of(network: Network, visits: FloatArray, measures: FloatArray) -> FloatArray:
    """Cost per store, shape (S,), from its number of deliveries (S,) and its mean measures (S, 4)."""
    total: FloatArray = (
        visits * network.visit_cost
        + measures[:, LOST_VALUE]
        + network.holding_cost * measures[:, HELD_UNITS]
        + network.penalty * measures[:, OVER_PERIODS]
    )
    return total


def simulate(
    problem: PlanProblem,
    plan: Plan,
    network: Network | None = None,
    measured: tuple[FloatArray, FloatArray] | None = None,
) -> PlanCost:
    """Compute the expected cost of a plan over the paths of the problem.

    Args:
        problem: demand, stock, costs and constraints.
        plan: deliveries and levels; deliveries before period L are ignored.
        network: the arrays of the problem, if they exist already.
        measured: result of :func:`store_measures` for the plan, if it exists already.

    Returns:
        Costs in the currency of the prices. Example: one store sells 2 units per period at price 10 and opens with 3
        units. A delivery at t = 1 costs 5 and fills it up to 4. No sale is lost in two periods, so the total is 5.
    """
    network = network or Network.of(problem)
    visits = decidable(plan.visits, network.lead_time)
    result, sent = store_measures(network, plan) if measured is None else measured
    mean = result.mean(axis=1).sum(axis=0)
    requested = network.requested
    return PlanCost(
        transport=float(visits.sum(axis=1) @ network.visit_cost),
        lost_sales=float(mean[LOST_VALUE]),
        holding=float(network.holding_cost * mean[HELD_UNITS]),
        over_capacity=float(network.penalty * mean[OVER_PERIODS]),
        over_capacity_store_days=float(mean[OVER_PERIODS]),
        visits=int(visits.sum()),
        missed_weeks=missed_weeks(visits, problem.periods_per_week, network.lead_time, problem.blackout),
        fill_rate=1.0 - float(mean[LOST_UNITS]) / requested if requested > 0 else 1.0,
        lost_units=float(mean[LOST_UNITS]),
        limit_breaches=limit_breaches(problem, visits, sent),
    )
