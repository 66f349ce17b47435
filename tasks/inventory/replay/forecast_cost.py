"""What a forecast costs: order-up-to levels from it, carried out on the real demand (contract, section 5).

Each series stands for itself: no capacity, no shared DC stock, no price of a visit. A visit arrives every review
period, the first at t = L. Its level is that of the newsvendor policy for the demand from its order until the next
visit. The shelf starts at the first level, as if that order had been in force all along, so that only the forecast's
errors cost anything; costs therefore count from the first visit on, when its goods would be there.

A period with unknown demand is left out of both sides: nothing is asked for in it, no level counts it, and it costs
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray
from tasks.inventory.model.simulator import Store, traced

# A share of paths this small is none: no unit is worth its holding.
NEVER = 1e-9


@dataclass(frozen=True)
class OrderRule:
    """When orders are made, and what is left over costs.

    Attributes:
        lead_time: L, periods from order to shelf.
        review_period: R, periods between two visits.
        holding_cost: h, per unit left at the end of a period, in the currency of the prices; above 0.
    """

    lead_time: int
    review_period: int
    holding_cost: float

    def visits(self, periods: int) -> IndexArray:
        """Periods of the visits that can be decided: L, L + R, … below ``periods``."""
        return np.arange(self.lead_time, periods, self.review_period, dtype=np.int64)


def covered_probability(price: FloatArray, holding: FloatArray, periods: int) -> FloatArray:
    """Probability with which a level covers demand until the next visit: 1 − hℓ / (p + h(ℓ + 1) / 2), at least 0.

    A unit that is not asked for is held ℓ periods, an asked one about half of them; for ℓ = 1 this is the newsvendor's
    p / (p + h) (Arrow, Harris and Marschak 1951).

    Args:
        price: p, of a lost unit.
        holding: h, per unit and period.
        periods: ℓ, until the next visit.

    >>> covered_probability(np.array([1.0]), np.array([0.25]), 1)
    array([0.8])
    """
    level: FloatArray = 1.0 - holding * periods / (price + holding * (periods + 1) / 2 + 1e-12)
    return np.maximum(level, 0.0)


def order_levels(paths: FloatArray, price: FloatArray, rule: OrderRule) -> FloatArray:
    """The level of each visit: the quantile of demand from its order until the next visit.

    Args:
        paths: shape (K, n, T), equally likely sample paths of demand, units.
        price: shape (n,), of a lost unit.
        rule: visits and holding cost.

    Returns:
        Shape (n, V), units, for the V visits. A quantile is the smallest path value that at least this share of
        paths do not exceed; 0 where holding a unit costs more than losing it.
    """
    count, series, periods = paths.shape
    visits = rule.visits(periods)
    levels = np.zeros((series, len(visits)))
    for number, day in enumerate(visits):
        end = min(int(day) + rule.review_period, periods)
        wanted = np.sort(paths[:, :, day - rule.lead_time : end].sum(axis=2), axis=0)
        share = covered_probability(price, np.full(series, rule.holding_cost), end - int(day))
        place = np.clip(np.ceil(share * count - 1e-9).astype(np.int64) - 1, 0, count - 1)
        levels[:, number] = np.where(share > NEVER, wanted[place, np.arange(series)], 0.0)
    return levels


def order_costs(levels: FloatArray, demand: FloatArray, price: FloatArray, rule: OrderRule) -> FloatArray:
    """What the levels cost on the real demand, by period.

    ``tasks.inventory.model.simulator`` moves the stock, all series as one store without capacity.

    Args:
        levels: shape (n, V), of the visits.
        demand: shape (n, T), units; NaN = unknown.
        price: shape (n,), of a lost unit.
        rule: visits and holding cost.

    Returns:
        Shape (n, T), currency; NaN before the first visit and where demand is unknown.
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
    asked = np.where(known, demand, 0.0).T
    prices = np.repeat(price[None], periods, axis=0)
    store = Store(prices, levels[:, 0].copy(), np.zeros((0, series)), np.inf, rule.lead_time)
    trace, _ = traced(np.ascontiguousarray(asked[None]), store, visits, by_period)
    lost = (asked - trace.sold).T
    left = (trace.on_hand + trace.sent - trace.sold).T
    charged = known & (np.arange(periods) >= rule.lead_time)
    costs[charged] = (price[:, None] * lost + rule.holding_cost * left)[charged]
    return costs


def forecast_costs(paths: FloatArray, demand: FloatArray, price: FloatArray, rule: OrderRule) -> FloatArray:
    """What a forecast would have cost on the real demand, by period.

    Example: a sure forecast of 4 units a period, L = 1, R = 2, h = 0.5, p = 2, demand 3, 6, 2, unknown, 9. Both visits
    (t = 1 and 3) cover three periods; the first level is 12, the second 8, for its two known ones. Stock of 12 falls
    to 9 and 3 (0.5 · 3 = 1.5) and 1 (0.5); 8 − 3 = 5 units were ordered when 3 were left; 9 asked of 1 + 5 lose 3
    (2 · 3 = 6). Costs: NaN, 1.5, 0.5, NaN, 6.

    Args:
        paths: shape (K, n, T), of the forecast, units.
        demand: shape (n, T), units; NaN = unknown.
        price: shape (n,), of a lost unit.
        rule: visits and holding cost.

    Returns:
        Shape (n, T), currency; NaN before the first visit and where demand is unknown.
    """
    asked = np.where(np.isfinite(demand), paths, 0.0)
    return order_costs(order_levels(asked, price, rule), demand, price, rule)
