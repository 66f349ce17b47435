"""Known demand: the cheapest deliveries of one store are a shortest path over its periods.

Between a delivery at a and the next at b, a store can sell its opening stock and at most what fits at a. The net
requirement is the demand that opening stock and goods in transit do not cover. It does not depend on the plan. Holding
a unit beyond the next delivery never costs less than sending it with that delivery. The cost of the arc (a, b)
therefore depends on a and b only:

    cost(a, b) = delivery cost at a + value of the net requirement in [a, b) − largest gain of a delivery quantity at a

Customers are served in the order of their arrival: k units of a category serve the first k units of its net
requirement. The gain of k units is therefore a sum over periods in order. Its upper concave envelope merges adjacent
periods while a later one has the higher value. With it the allocation of space is a fractional knapsack problem
(Dantzig, Discrete-Variable Extremum Problems, Operations Research 5, 1957). Its value is an upper bound on the gain of
any delivery quantity; the difference is at most one merged block.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray
from tasks.inventory.exact.envelope import capped_gain, gain_limit, gathered, push_block
from tasks.inventory.model.kernels import compiled
from tasks.inventory.model.network import UNIT_TOLERANCE

# Maximum number of reductions of a delivery quantity until no period is over capacity. Each reduction removes the whole
# excess.
SHRINKINGS = 50


class NetRequirements(NamedTuple):
    """Net requirements of one store, and what constrains its deliveries.

    Attributes:
        requirement: shape (T, m), units not covered by opening stock and goods in transit.
        price: shape (T, m), cost of a lost unit.
        rest: shape (T,), units in the store after period t's arrivals without any delivery.
        unit_cost: shape (m,), cost of sending one unit (shadow prices of shared DC stock).
        capacity: units.
        holding_cost: shape (m,), per unit and period.
        over_penalty: per period that a delivery puts over capacity; inf if that is not allowed.
    """

    requirement: FloatArray
    price: FloatArray
    rest: FloatArray
    unit_cost: FloatArray
    capacity: float
    holding_cost: FloatArray
    over_penalty: float


# Numba's index of kernels compiled by an earlier version names the class; reading it fails if the name is missing.
Needs = NetRequirements


class DeliveryDays(NamedTuple):
    """The periods in which a store may and must have a delivery.

    Attributes:
        cost: shape (T,), of a delivery in each period.
        allowed: shape (T,), periods in which a delivery may arrive.
        week_starts: first periods of the weeks that require a delivery.
        week: periods in a week.
        lead_time: L in periods; no delivery can arrive before period L.
    """

    cost: FloatArray
    allowed: BoolArray
    week_starts: IndexArray
    week: int
    lead_time: int


@compiled
def _room(
    a: int, b: int, days_over: int, requirement_until: FloatArray, rest: FloatArray, capacity: float
) -> tuple[float, int]:
    """Largest delivery quantity at ``a`` if the store may be over capacity in the first ``days_over`` periods.

    Returns:
        Units, and the number of those periods that exceed capacity because of the delivery, not of opening stock.
    """
    room = np.inf
    added = 0
    for t in range(a, b):
        if t < a + days_over:
            if rest[t] <= capacity + UNIT_TOLERANCE:
                added += 1
        elif t == a + days_over or rest[t] > rest[t - 1]:
            room = min(room, capacity - rest[t] + requirement_until[t] - requirement_until[a])
    return max(room, 0.0), added


@compiled
def best_path(store: NetRequirements, days: DeliveryDays, visits: BoolArray) -> float:  # noqa: C901, PLR0912, PLR0915
    """Find the deliveries of least cost of a store with known demand.

    Args:
        store: net requirements, prices and capacity.
        days: when it may and must have a delivery.
        visits: shape (T,), written: the path with the fewest deliveries among those of equal cost.

    Returns:
        Cost of deliveries, lost sales, holding of delivered units and penalties that deliveries cause; inf if no
        path has every required delivery.
    """
    requirement, price, rest, unit_cost, capacity, holding_cost, over_penalty = store
    visit_cost, allowed, starts, week, lead_time = days
    periods, series = requirement.shape
    lost = np.zeros(periods + 1)
    requirement_until = np.zeros(periods + 1)
    for t in range(periods):
        worth, units = 0.0, 0.0
        for j in range(series):
            worth += requirement[t, j] * price[t, j]
            units += requirement[t, j]
        lost[t + 1] = lost[t] + worth
        requirement_until[t + 1] = requirement_until[t] + units
    # The latest period of the delivery after one at a; index T is for "no delivery yet".
    latest = np.full(periods + 1, periods)
    for a in range(periods + 1):
        after = a if a < periods else -1
        for start in starts:
            if start > after:
                latest[a] = start + week - 1
                break
    best = np.full(periods + 1, np.inf)
    count = np.zeros(periods + 1, dtype=np.int64)
    before = np.full(periods + 1, -1, dtype=np.int64)
    for b in range(lead_time, periods + 1):
        reachable = b <= latest[periods] and (b == periods or allowed[b])
        if reachable:
            best[b] = lost[b]
    units_of = np.empty((series, periods))
    value_of = np.empty((series, periods))
    counts = np.zeros(series, dtype=np.int64)
    amount_of = np.empty(series * periods)
    worth_of = np.empty(series * periods)
    space = 0.0
    scale = 1e-9 * (1.0 + lost[periods])
    for a in range(lead_time, periods):
        if not allowed[a] or best[a] == np.inf:
            continue
        counts[:] = 0
        gain = 0.0
        requested = 0.0
        base = best[a] + visit_cost[a]
        for b in range(a + 1, latest[a] + 1):
            t = b - 1
            for j in range(series):
                amount = requirement[t, j]
                if amount <= 0.0:
                    continue
                worth = price[t, j] - unit_cost[j] - holding_cost[j] * (t - a)
                old = counts[j]
                kept = old
                # The new block joins those before it that have no higher value.
                while kept > 0 and worth >= value_of[j, kept - 1]:
                    kept -= 1
                    own, value = units_of[j, kept], value_of[j, kept]
                    if value > 0.0:
                        gain -= own * value
                        requested -= own
                    joined = own + amount
                    worth = (value * own + worth * amount) / joined
                    amount = joined
                units_of[j, kept] = amount
                value_of[j, kept] = worth
                counts[j] = kept + 1
                if worth > 0.0:
                    gain += amount * worth
                    requested += amount
            if b < periods and not allowed[b]:
                continue
            short = lost[b] - lost[a]
            if base + short - gain > best[b] + scale:
                continue
            cost = np.inf
            size = -1
            for days_over in range(b - a + 1):
                room, added = _room(a, b, days_over, requirement_until, rest, capacity)
                extra = over_penalty * added if added > 0 else 0.0
                if extra >= cost or base + extra > best[b] + scale:
                    break
                if requested <= room + UNIT_TOLERANCE:
                    cost = min(cost, extra + max(short - gain, 0.0))
                    break
                if size < 0:
                    size = gathered(units_of, value_of, counts, amount_of, worth_of)
                # Most deliveries cannot be part of a cheaper path even at an upper bound of their gain.
                if base + extra + short - gain_limit(amount_of, worth_of, size, room, space) > best[b] + scale:
                    continue
                capped, space = capped_gain(amount_of, worth_of, size, room)
                cost = min(cost, extra + short - capped)
            total = base + cost
            fewer = count[a] + 1 < count[b]
            if total < best[b] - scale or (total <= best[b] + scale and fewer):
                best[b] = total
                count[b] = count[a] + 1
                before[b] = a
    visits[:] = False
    place = before[periods]
    while place >= 0:
        visits[place] = True
        place = before[place]
    return float(best[periods])


@compiled
def delivery_quantities_of(  # noqa: C901, PLR0912, PLR0915
    store: NetRequirements, visits: BoolArray, whole: bool, quantities: FloatArray
) -> None:
    """Compute delivery quantities: the net requirement until the next delivery, the most valuable units first.

    Args:
        store: net requirements, prices and capacity.
        visits: shape (T,).
        whole: round to whole units.
        quantities: shape (T, m), written: units of each delivery.
    """
    requirement, price, rest, unit_cost, capacity, holding_cost, over_penalty = store
    periods, series = requirement.shape
    quantities[:] = 0.0
    requirement_until = np.zeros(periods + 1)
    for t in range(periods):
        requirement_until[t + 1] = requirement_until[t] + requirement[t].sum()
    units_of = np.empty((series, periods))
    value_of = np.empty((series, periods))
    counts = np.zeros(series, dtype=np.int64)
    amount_of = np.empty(series * periods)
    worth_of = np.empty(series * periods)
    series_of = np.empty(series * periods, dtype=np.int64)
    for a in range(periods):
        if not visits[a]:
            continue
        b = a + 1
        while b < periods and not visits[b]:
            b += 1
        requested = 0.0
        for j in range(series):
            counts[j] = 0
            for t in range(a, b):
                if requirement[t, j] > 0.0:
                    worth = price[t, j] - unit_cost[j] - holding_cost[j] * (t - a)
                    counts[j] = push_block(units_of[j], value_of[j], counts[j], requirement[t, j], worth)
            for block in range(counts[j]):
                if value_of[j, block] > 0.0:
                    requested += units_of[j, block]
        size = gathered(units_of, value_of, counts, amount_of, worth_of)
        room, best_room, best_gain = 0.0, 0.0, -np.inf
        for days_over in range(b - a + 1):
            room, added = _room(a, b, days_over, requirement_until, rest, capacity)
            extra = over_penalty * added if added > 0 else 0.0
            if extra == np.inf:
                break
            gain = capped_gain(amount_of, worth_of, size, room)[0] - extra
            if gain > best_gain:
                best_gain, best_room = gain, room
            if requested <= room:
                break
        room = best_room
        if whole and room < np.inf:
            room = np.floor(room + UNIT_TOLERANCE)
        # Again: the search above changes the order of the blocks.
        size = 0
        for j in range(series):
            for block in range(counts[j]):
                if value_of[j, block] > 0.0:
                    amount_of[size] = units_of[j, block]
                    worth_of[size] = value_of[j, block]
                    series_of[size] = j
                    size += 1
        order = np.argsort(-worth_of[:size], kind="mergesort")
        # The room assumes that the whole requirement is sold; a smaller quantity may sell less. If exceeding capacity
        # is not allowed, the quantity is reduced until no period exceeds it.
        for _ in range(SHRINKINGS):
            quantities[a] = 0.0
            left = room
            for place in order:
                taken = min(left, amount_of[place])
                if taken <= 0.0:
                    break
                quantities[a, series_of[place]] += taken
                left -= taken
            excess = _excess(requirement, rest, quantities[a], a, b, capacity) if over_penalty == np.inf else 0.0
            if excess <= UNIT_TOLERANCE:
                break
            room = min(room, quantities[a].sum()) - (np.ceil(excess - UNIT_TOLERANCE) if whole else excess)


@compiled
def _excess(requirement: FloatArray, rest: FloatArray, quantity: FloatArray, a: int, b: int, capacity: float) -> float:
    """Most units over capacity before ``b`` that a delivery at ``a`` causes, without periods that are over anyway."""
    stock = quantity.copy()
    worst = 0.0
    for t in range(a, b):
        if rest[t] <= capacity + UNIT_TOLERANCE:
            worst = max(worst, stock.sum() + rest[t] - capacity)
        for j in range(len(stock)):
            stock[j] -= min(stock[j], requirement[t, j])
    return worst


@compiled
def room_of_visits(
    requirement: FloatArray, rest: FloatArray, visits: BoolArray, capacity: float, room: FloatArray
) -> None:
    """Compute the most units that each delivery of a store may bring within capacity.

    Args:
        requirement: shape (T, m), net requirement in units.
        rest: shape (T,), units in the store without any delivery.
        visits: shape (T,).
        capacity: units.
        room: shape (T,), written; 0 without a delivery.
    """
    periods = len(visits)
    requirement_until = np.zeros(periods + 1)
    for t in range(periods):
        requirement_until[t + 1] = requirement_until[t] + requirement[t].sum()
    room[:] = 0.0
    for a in range(periods):
        if visits[a]:
            b = a + 1
            while b < periods and not visits[b]:
                b += 1
            room[a], _ = _room(a, b, 0, requirement_until, rest, capacity)
