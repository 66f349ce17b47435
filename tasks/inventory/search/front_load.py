"""Plans for scarce DC stock under uncertain demand: a part of it is sent with the first deliveries.

A plan may not send more than the DC stock on any sample path. With levels alone, most units are sent on the paths with
the highest demand. The levels must then be so low that units stay in the distribution center on all other paths. A
quantity that is sent with the first delivery is the same on all paths. The larger this quantity, the fewer units stay
unsent, and the fewer units can follow demand.
"""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem
from tasks.inventory.exact.shared_limits import take_blocks
from tasks.inventory.model.level_limits import HALVINGS, SERIES_AT_ONCE, exceeds_dc, within_limits
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import simulate

# Parts of the DC stock that are sent with the first deliveries.
PARTS = (0.25, 0.5, 0.75, 1.0)


def best_front_load(problem: PlanProblem, network: Network, plan: Plan) -> Plan:
    """The cheapest of a plan within its limits and its variants that send a part of the DC stock at first.

    Args:
        problem: problem with sample paths.
        network: its arrays.
        plan: levels and deliveries, without regard to DC stock.

    Returns:
        A plan within the limits; the given one if no category has limited DC stock.
    """
    if problem.paths is None or not np.isfinite(problem.dc_available).any():
        return plan
    plans = [within_limits(problem, plan, network)]
    plans += [within_limits(problem, _front_loaded(problem, network, plan, part), network) for part in PARTS]
    costs = [simulate(problem, each, network).total for each in plans]
    return plans[int(np.argmin(costs))]


def _front_loaded(problem: PlanProblem, network: Network, plan: Plan, part: float) -> Plan:
    """Send a part of the DC stock at the first delivery; scale all levels so that the rest is sufficient."""
    first = np.where(plan.visits.any(axis=1), plan.visits.argmax(axis=1), problem.periods)[problem.series_store]
    least = np.zeros(plan.levels.shape)
    sent = np.flatnonzero(first < problem.periods)
    least[sent, first[sent]] = _first_levels(problem, first, part)[sent]

    def scaled(factor: FloatArray) -> Plan:
        own = factor[problem.series_category][:, None]
        return Plan(plan.visits, np.maximum(least, np.where(own < 1.0, np.floor(plan.levels * own), plan.levels)))

    limited = np.isfinite(problem.dc_available)
    low, high = np.where(limited, 0.0, 1.0), np.ones(len(limited))
    over: BoolArray = exceeds_dc(problem, scaled(high), network)
    for _ in range(HALVINGS):
        factor = np.where(over, 0.5 * (low + high), 1.0)
        beyond = exceeds_dc(problem, scaled(factor), network)
        low, high = np.where(beyond, low, factor), np.where(beyond, factor, high)
    return scaled(np.where(over, low, 1.0))


def _first_levels(problem: PlanProblem, first: np.ndarray, part: float) -> FloatArray:
    """Levels of the first deliveries, shape (n,): stock plus the most valuable units, up to a part of the DC stock.

    A unit is worth price × P(it sells by the end of the horizon), minus its holding cost until then.
    """
    assert problem.paths is not None
    held = np.floor(problem.on_hand + problem.in_transit.sum(axis=1))
    count, series, periods = problem.paths.shape
    ahead = np.arange(periods)[None, :] >= first[:, None]
    demand = np.empty((count, series))
    for start in range(0, series, SERIES_AT_ONCE):
        some = slice(start, start + SERIES_AT_ONCE)
        demand[:, some] = (problem.paths[:, some] * ahead[some]).sum(axis=2, dtype=np.float64)
    demand.sort(axis=0)
    before = np.concatenate([np.zeros((1, series)), demand[:-1]])
    units = np.floor(np.maximum(demand, held)) - np.floor(np.maximum(before, held))
    chance = (count - np.arange(count))[:, None] / count
    cost = problem.holding_cost * problem.holding_weight * (periods - first)
    value = problem.price.mean(axis=1) * chance - cost * (1.0 - 0.5 * chance)
    store = np.broadcast_to(problem.series_store, units.shape).ravel()
    category = np.broadcast_to(problem.series_category, units.shape).ravel()
    used = np.bincount(problem.series_store, weights=held, minlength=len(problem.store_ids))
    taken = np.zeros(units.size)
    order = np.flatnonzero((value > 0).ravel() & (units.ravel() > 0))
    order = order[np.argsort(-value.ravel()[order], kind="stable")]
    room = np.maximum(problem.capacity - used, 0.0)
    take_blocks(order, store, category, units.ravel(), room, part * problem.dc_available, True, taken)
    levels: FloatArray = held + taken.reshape(units.shape).sum(axis=0)
    return levels
