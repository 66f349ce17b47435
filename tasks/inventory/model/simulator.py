"""The simulator: what a plan costs, period by period (contract, section 5).

Every policy, bound and report is judged here. A period t:

1. what was ordered for t and what was in transit for t arrives; the quantity of a visit at t was fixed at the
   end of t − 1 − L as max(0, level(t) − (on hand + everything on the way));
2. stock above the store's capacity counts as a store-period over capacity;
3. demand takes what is there; what is not there is lost once, at that period's price;
4. what is left costs its holding; at the end of the horizon as many periods of it as a calibrated leftover counts
   (``PlanProblem.leftover_weight``).

A fill is never cut. The limit of the distribution centre and of visits a period are checked, not enforced: a
plan that breaks them is reported by name in ``PlanCost.limit_breaches`` and is invalid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.errors import first_few
from schemas.plan import BoolArray, FloatArray, Plan, PlanCost, PlanProblem
from tasks.inventory.model.compiled import compiled
from tasks.inventory.model.network import UNIT_TOLERANCE, Network
from tasks.inventory.model.review_weeks import missed_weeks

# Columns of the kernel's result.
LOST_VALUE, LOST_UNITS, HELD_UNITS, OVER_PERIODS = range(4)
MEASURES = 4


@dataclass(frozen=True)
class Ledger:
    """What happens under a plan, expected over the paths.

    Attributes:
        after_fill: shape (S, T), units in the store after the fill.
        over: shape (S, T), share of paths on which the store is over capacity.
        sold: shape (n, T), units sold.
        sent: shape (n, T), units that arrive by a decided visit (goods in transit are not among them).
        on_hand: shape (n, T), units on the shelf before period t's arrivals.
        on_the_way: shape (n, T), units on the way before period t's arrivals, all arrivals counted.
    """

    after_fill: FloatArray
    over: FloatArray
    sold: FloatArray
    sent: FloatArray
    on_hand: FloatArray
    on_the_way: FloatArray


@compiled
def simulate_store(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917
    demand: FloatArray,
    price: FloatArray,
    on_hand: FloatArray,
    in_transit: FloatArray,
    visits: BoolArray,
    levels: FloatArray,
    capacity: float,
    lead_time: int,
    ramp: float,
    leftover: float,
    result: FloatArray,
    sent: FloatArray,
) -> None:
    """Run one store over every path and write its measures.

    Args:
        demand: shape (K, T, m), units.
        price: shape (T, m).
        on_hand: shape (m,), units before period 0.
        in_transit: shape (A, m), units that arrive at the start of period k.
        visits: shape (T,).
        levels: shape (T, m), read at visits.
        capacity: units, may be inf.
        lead_time: L.
        ramp: units; 0 judges. A search smooths the step at the capacity over so many units, so that it does not
            fit its plan to the few paths it sees.
        leftover: how many periods of holding a unit left at the end of the horizon counts.
        result: shape (K, 4), written: lost value, lost units, unit-periods held, periods over capacity.
        sent: shape (K, m), written: units sent by decided visits.
    """
    paths, periods, series = demand.shape
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
            due = t + lead_time
            if due < periods and visits[due]:
                if lead_time == 0:
                    for j in range(series):
                        quantity = max(0.0, levels[t, j] - stock[j] - pending[j])
                        stock[j] += quantity
                        sent[k, j] += quantity
                        total += quantity
                else:
                    for j in range(series):
                        quantity = max(0.0, levels[due, j] - stock[j] - pending[j])
                        arriving[due, j] = quantity
                        pending[j] += quantity
                        sent[k, j] += quantity
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
            total = 0.0
            for j in range(series):
                wanted = demand[k, t, j]
                sold = min(stock[j], wanted)
                left = stock[j] - sold
                missing = wanted - sold
                lost_value += missing * price[t, j]
                lost_units += missing
                stock[j] = left
                total += left
            held += total if t < periods - 1 else leftover * total
        result[k, LOST_VALUE] = lost_value
        result[k, LOST_UNITS] = lost_units
        result[k, HELD_UNITS] = held
        result[k, OVER_PERIODS] = over


@compiled
def _ledger_store(  # noqa: PLR0913, PLR0917
    demand: FloatArray,
    on_hand: FloatArray,
    in_transit: FloatArray,
    visits: BoolArray,
    levels: FloatArray,
    capacity: float,
    lead_time: int,
    after_fill: FloatArray,
    over: FloatArray,
    sold_units: FloatArray,
    sent: FloatArray,
    shelf: FloatArray,
    way: FloatArray,
) -> None:
    paths, periods, series = demand.shape
    known = in_transit.shape[0]
    arrivals = np.zeros((periods, series))
    decided = np.zeros((periods, series))
    for k in range(paths):
        stock = on_hand.copy()
        pending = np.zeros(series)
        arrivals[:] = 0.0
        decided[:] = 0.0
        for a in range(known):
            for j in range(series):
                pending[j] += in_transit[a, j]
                if a < periods:
                    arrivals[a, j] = in_transit[a, j]
        for t in range(periods):
            for j in range(series):
                shelf[t, j] += stock[j] / paths
                way[t, j] += pending[j] / paths
            due = t + lead_time
            if due < periods and visits[due]:
                for j in range(series):
                    quantity = max(0.0, levels[due, j] - stock[j] - pending[j])
                    arrivals[due, j] += quantity
                    decided[due, j] = quantity
                    pending[j] += quantity
            total = 0.0
            for j in range(series):
                stock[j] += arrivals[t, j]
                pending[j] -= arrivals[t, j]
                sent[t, j] += decided[t, j] / paths
                total += stock[j]
            after_fill[t] += total / paths
            if total > capacity + UNIT_TOLERANCE:
                over[t] += 1.0 / paths
            for j in range(series):
                sold = min(stock[j], demand[k, t, j])
                stock[j] -= sold
                sold_units[t, j] += sold / paths


def store_measures(network: Network, plan: Plan) -> tuple[FloatArray, FloatArray]:
    """Measures per store and path, and units sent.

    Args:
        network: the compiled form of the problem.
        plan: visits and levels.

    Returns:
        Array (S, K, 4) of lost value, lost units, unit-periods held and periods over capacity; array (K, n) of
        units sent by decided visits.
    """
    result = np.zeros((network.stores, network.paths, MEASURES))
    sent = np.zeros((network.paths, network.series))
    visits = decidable(plan.visits, network.lead_time)
    for i in range(network.stores):
        part = network.series_of(i)
        simulate_store(
            network.demand[i],
            network.price[i],
            network.on_hand[part],
            network.in_transit[:, part],
            visits[i],
            np.ascontiguousarray(plan.levels[part].T, dtype=np.float64),
            float(network.capacity[i]),
            network.lead_time,
            0.0,
            network.leftover,
            result[i],
            sent[:, part],
        )
    return result, sent


def decidable(visits: BoolArray, lead_time: int) -> BoolArray:
    """Visits without those before period L: they cannot be decided any more."""
    kept = np.ascontiguousarray(visits, dtype=np.bool_).copy()
    kept[:, :lead_time] = False
    return kept


def store_costs(network: Network, plan: Plan) -> FloatArray:
    """Expected cost per store, shape (S,): transport, lost sales, holding and over capacity together."""
    result, _ = store_measures(network, plan)
    return costs_of(network, decidable(plan.visits, network.lead_time).sum(axis=1), result.mean(axis=1))


def costs_of(network: Network, visits: FloatArray, measures: FloatArray) -> FloatArray:
    """Cost per store from its number of visits, shape (S,), and its mean measures, shape (S, 4)."""
    total: FloatArray = (
        visits * network.visit_cost
        + measures[:, LOST_VALUE]
        + network.holding_cost * measures[:, HELD_UNITS]
        + network.penalty * measures[:, OVER_PERIODS]
    )
    return total


def simulate(problem: PlanProblem, plan: Plan, network: Network | None = None) -> PlanCost:
    """What a plan costs, expected over the problem's paths.

    Args:
        problem: demand, stock, costs and limits.
        plan: visits and levels; visits before period L are ignored.
        network: the problem's compiled form where the caller has it already.

    Returns:
        Costs in the currency of the prices. One store that sells 2 units a period at price 10, opens with 3,
        is visited at t = 1 for 5 and filled to 4 there: one unit is never short, so the cost over two periods
        is the visit, 5.
    """
    network = network or Network.of(problem)
    visits = decidable(plan.visits, network.lead_time)
    result, sent = store_measures(network, plan)
    mean = result.mean(axis=1).sum(axis=0)
    wanted = sum(float(block.sum()) for block in network.demand) / network.paths
    return PlanCost(
        transport=float(visits.sum(axis=1) @ network.visit_cost),
        lost_sales=float(mean[LOST_VALUE]),
        holding=float(network.holding_cost * mean[HELD_UNITS]),
        over_capacity=float(network.penalty * mean[OVER_PERIODS]),
        over_capacity_store_days=float(mean[OVER_PERIODS]),
        visits=int(visits.sum()),
        missed_weeks=missed_weeks(visits, problem.periods_per_week, network.lead_time, problem.frozen),
        fill_rate=1.0 - float(mean[LOST_UNITS]) / wanted if wanted > 0 else 1.0,
        lost_units=float(mean[LOST_UNITS]),
        limit_breaches=limit_breaches(problem, visits, sent),
    )


def limit_breaches(problem: PlanProblem, visits: BoolArray, sent: FloatArray) -> tuple[str, ...]:
    """The limits that a plan breaks, in words: frozen days, visits a period, and expected units from the DC.

    Args:
        problem: its limits.
        visits: shape (S, T).
        sent: shape (K, n), units sent on each path.
    """
    breaches = []
    if problem.frozen is not None and (visits & problem.frozen).any():
        stores = sorted({problem.store_ids[i] for i in np.nonzero(visits & problem.frozen)[0]})
        breaches.append(f"visits on frozen days of {first_few(stores)}")
    if problem.max_visits_per_period is not None:
        crowded = np.flatnonzero(visits.sum(axis=0) > problem.max_visits_per_period)
        if len(crowded):
            breaches.append(
                f"more than {problem.max_visits_per_period} visits in periods {first_few(crowded.tolist())}"
            )
    expected = np.bincount(problem.series_category, weights=sent.mean(axis=0), minlength=len(problem.categories))
    beyond = np.flatnonzero(expected > problem.dc_available * (1 + 1e-9) + UNIT_TOLERANCE)
    if len(beyond):
        names = [f"{problem.categories[c]} ({expected[c]:.1f} of {problem.dc_available[c]:g})" for c in beyond]
        breaches.append(f"more units than the distribution centre has of {first_few(names)}")
    return tuple(breaches)


def ledger(problem: PlanProblem, plan: Plan, network: Network | None = None) -> Ledger:
    """What happens day by day under a plan, expected over the paths (for figures and deliveries)."""
    network = network or Network.of(problem)
    shape = (network.periods, network.series)
    sold, sent, shelf, way = (np.zeros(shape) for _ in range(4))
    after_fill, over = (np.zeros((network.stores, network.periods)) for _ in range(2))
    visits = decidable(plan.visits, network.lead_time)
    for i in range(network.stores):
        part = network.series_of(i)
        _ledger_store(
            network.demand[i],
            network.on_hand[part],
            network.in_transit[:, part],
            visits[i],
            np.ascontiguousarray(plan.levels[part].T, dtype=np.float64),
            float(network.capacity[i]),
            network.lead_time,
            after_fill[i],
            over[i],
            sold[:, part],
            sent[:, part],
            shelf[:, part],
            way[:, part],
        )
    return Ledger(after_fill, over, sold.T, sent.T, shelf.T, way.T)
