"""Inventory cost of a forecast: order-up-to levels from the forecast, simulated with the actual demand.

Series are independent: no storage capacity, no DC stock, no delivery cost. Each review period has one delivery, the
first at t = L. Its level is the newsvendor level for the demand from its order until the next delivery. The opening
stock equals the first level, so that only forecast errors cause costs. Costs count from the first delivery on.

Periods with unknown demand have no demand, do not count in levels, and have no cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray
from tasks.inventory.model.simulator import Store, traced

# Probabilities up to this value count as 0: the level is then 0.
NEVER = 1e-9


@dataclass(frozen=True)
class OrderRule:
    """Times of deliveries, and the holding cost.

    Attributes:
        lead_time: L, periods from order to shelf.
        review_period: R, periods between two deliveries.
        holding_cost: h, per unit left at the end of a period, in the currency of the prices; above 0. One number, or
            one per series.
    """

    lead_time: int
    review_period: int
    holding_cost: float | FloatArray

    def visits(self, periods: int) -> IndexArray:
        """Periods of the deliveries: L, L + R, … below ``periods``."""
        return np.arange(self.lead_time, periods, self.review_period, dtype=np.int64)


def covered_probability(price: FloatArray, holding: FloatArray, periods: int) -> FloatArray:
    """Probability that a level covers the demand until the next delivery: 1 − hℓ / (p + h(ℓ + 1) / 2), at least 0.

    An unsold unit is held ℓ periods, a sold one about half of them. For ℓ = 1 this is the critical ratio p / (p + h) of
    the newsvendor (Arrow, Harris and Marschak, Optimal Inventory Policy, Econometrica 19, 1951).

    Args:
        price: p, cost of a lost unit.
        holding: h, holding cost per unit and period.
        periods: ℓ, periods until the next delivery.

    >>> covered_probability(np.array([1.0]), np.array([0.25]), 1)
    array([0.8])
    """
    level: FloatArray = 1.0 - holding * periods / (price + holding * (periods + 1) / 2 + 1e-12)
    return np.maximum(level, 0.0)


def order_levels(paths: FloatArray, price: FloatArray, rule: OrderRule) -> FloatArray:
    """Compute the level of each delivery: a quantile of the demand from its order until the next delivery.

    Args:
        paths: shape (K, n, T), equally likely sample paths of demand, units.
        price: shape (n,), cost of a lost unit.
        rule: times of deliveries and holding cost.

    Returns:
        Shape (n, V), units, for V deliveries. A quantile is the smallest path value that at least this share of the
        paths does not exceed; 0 if holding a unit costs more than losing it.
    """
    count, series, periods = paths.shape
    visits = rule.visits(periods)
    levels = np.zeros((series, len(visits)))
    for number, day in enumerate(visits):
        end = min(int(day) + rule.review_period, periods)
        requested = np.sort(paths[:, :, day - rule.lead_time : end].sum(axis=2), axis=0)
        share = covered_probability(price, np.full(series, rule.holding_cost), end - int(day))
        place = np.clip(np.ceil(share * count - 1e-9).astype(np.int64) - 1, 0, count - 1)
        levels[:, number] = np.where(share > NEVER, requested[place, np.arange(series)], 0.0)
    return levels


def order_costs(levels: FloatArray, demand: FloatArray, price: FloatArray, rule: OrderRule) -> FloatArray:
    """Compute the cost of levels with the actual demand, by period.

    The simulator (``tasks.inventory.model.simulator``) runs all series as one store without capacity.

    Args:
        levels: shape (n, V), levels of the deliveries.
        demand: shape (n, T), units; NaN = unknown.
        price: shape (n,), cost of a lost unit.
        rule: times of deliveries and holding cost.

    Returns:
        Shape (n, T), currency; NaN before the first delivery and where demand is unknown.
    """
    series, periods = demand.shape
    known: BoolArray = np.isfinite(demand)
    days = rule.visits(periods)
    costs = np.full((series, periods), np.nan)
    if not len(days):
        return costs
    visits = np.zeros(periods, dtype=np.bool_)
    visits[days] = True
    by_period = np.zeros((periods, series))
    by_period[days] = levels.T
    known_demand = np.where(known, demand, 0.0).T
    prices = np.repeat(price[None], periods, axis=0)
    store = Store(prices, levels[:, 0].copy(), np.zeros((0, series)), np.inf, rule.lead_time)
    trace, _ = traced(np.ascontiguousarray(known_demand[None]), store, visits, by_period)
    lost = (known_demand - trace.sold).T
    left = (trace.on_hand + trace.sent - trace.sold).T
    charged = known & (np.arange(periods) >= rule.lead_time)
    costs[charged] = (price[:, None] * lost + np.full(series, rule.holding_cost)[:, None] * left)[charged]
    return costs


def forecast_costs(paths: FloatArray, demand: FloatArray, price: FloatArray, rule: OrderRule) -> FloatArray:
    """Compute the inventory cost of a forecast with the actual demand, by period.

    Example: a certain forecast of 4 units per period, L = 1, R = 2, h = 0.5, p = 2, demand 3, 6, 2, unknown, 9. Both
    deliveries (t = 1 and 3) cover three periods. The first level is 12, the second is 8 because one period is unknown.
    Stock falls from 12 to 9, to 3 (cost 0.5 · 3 = 1.5) and to 1 (cost 0.5). The second order was 8 − 3 = 5 units.
    Demand of 9 finds 1 + 5 units and loses 3 (cost 2 · 3 = 6). Costs: NaN, 1.5, 0.5, NaN, 6.

    Args:
        paths: shape (K, n, T), sample paths of the forecast, units.
        demand: shape (n, T), units; NaN = unknown.
        price: shape (n,), cost of a lost unit.
        rule: times of deliveries and holding cost.

    Returns:
        Shape (n, T), currency; NaN before the first delivery and where demand is unknown.
    """
    known_paths = np.where(np.isfinite(demand), paths, 0.0)
    return order_costs(order_levels(known_paths, price, rule), demand, price, rule)
