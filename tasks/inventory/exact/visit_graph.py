"""Known demand: the best visits of one store are a shortest path over its periods (facts of the domain).

Between a visit at a and the next at b a store can sell, beyond its opening stock, at most what fits at a. What
opening stock and goods in transit do not cover (the *need*) does not depend on the plan, and carrying a unit
over a visit never beats sending it at that visit. So the cost of the arc (a, b) depends on a and b only:

    cost(a, b) = visit at a + value of the need in [a, b) − best gain of a fill at a

Customers are served first come: of a category, k units serve the first k units of its need. The gain of k is
therefore a sum over periods in order; its upper concave envelope (neighbouring periods merged while a later one
is worth more) makes the space problem a fractional knapsack, whose value is an upper limit of any fill's gain
and misses it by at most one merged block.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray
from tasks.inventory.model.kernels import compiled
from tasks.inventory.model.network import UNIT_TOLERANCE

# How often a fill is cut until it crowds no period; each cut takes the whole excess, so that few are needed.
SHRINKINGS = 50


class Needs(NamedTuple):
    """What a store needs beyond its opening stock, and what limits a delivery.

    Attributes:
        need: shape (T, m), units not covered by opening stock and goods in transit.
        price: shape (T, m), cost of a lost unit.
        rest: shape (T,), units in the store after period t's arrivals without any delivery.
        unit_cost: shape (m,), cost of sending one unit (shadow prices of shared DC stock).
        capacity: units.
        holding_cost: per unit and period.
        over_penalty: per period that a delivery puts over capacity; inf where that is forbidden.
    """

    need: FloatArray
    price: FloatArray
    rest: FloatArray
    unit_cost: FloatArray
    capacity: float
    holding_cost: float
    over_penalty: float


class DeliveryDays(NamedTuple):
    """When a store may and must be visited.

    Attributes:
        cost: shape (T,), of a delivery in each period.
        allowed: shape (T,), periods in which a delivery may arrive.
        week_starts: first periods of the weeks that need a delivery.
        week: periods in a week.
        lead_time: L; deliveries before it are impossible.
    """

    cost: FloatArray
    allowed: BoolArray
    week_starts: IndexArray
    week: int
    lead_time: int


@compiled
def push_block(units: FloatArray, value: FloatArray, count: int, amount: float, worth: float) -> int:
    """Append a block to one category's concave envelope (blocks of falling value); the new block count."""
    units[count] = amount
    value[count] = worth
    count += 1
    while count > 1 and value[count - 1] >= value[count - 2]:
        joined = units[count - 2] + units[count - 1]
        value[count - 2] = (value[count - 2] * units[count - 2] + value[count - 1] * units[count - 1]) / joined
        units[count - 2] = joined
        count -= 1
    return count


@compiled
def _capped_gain(units: FloatArray, value: FloatArray, counts: IndexArray, room: float) -> float:
    """Most valuable ``room`` units over all categories' envelopes."""
    size = 0
    for j in range(len(counts)):
        size += counts[j]
    worth = np.empty(size)
    amount = np.empty(size)
    size = 0
    for j in range(len(counts)):
        for b in range(counts[j]):
            if value[j, b] > 0.0:
                worth[size] = value[j, b]
                amount[size] = units[j, b]
                size += 1
    order = np.argsort(-worth[:size])
    gain = 0.0
    for place in order:
        if room <= 0.0:
            break
        taken = min(room, amount[place])
        gain += taken * worth[place]
        room -= taken
    return gain


@compiled
def _room(
    a: int, b: int, days_over: int, need_until: FloatArray, rest: FloatArray, capacity: float
) -> tuple[float, int]:
    """Units that a fill at ``a`` may hold when the store may be over capacity in its first ``days_over`` periods.

    Also the number of those periods that are over by the fill alone, not by opening stock already.
    """
    room = np.inf
    added = 0
    for t in range(a, b):
        if t < a + days_over:
            if rest[t] <= capacity + UNIT_TOLERANCE:
                added += 1
        elif t == a + days_over or rest[t] > rest[t - 1]:
            room = min(room, capacity - rest[t] + need_until[t] - need_until[a])
    return max(room, 0.0), added


@compiled
def best_path(store: Needs, days: DeliveryDays, visits: BoolArray) -> float:  # noqa: C901, PLR0912, PLR0915
    """The cheapest visits of a store with known demand, and their cost.

    Args:
        store: its need, prices and limits.
        days: when it may and must be visited.
        visits: shape (T,), written.

    Returns:
        Cost of visits, lost need, holding of fills and penalties by fills; inf where no path keeps the rules.
        Among paths of equal cost the one with the fewest visits.
    """
    need, price, rest, unit_cost, capacity, holding_cost, over_penalty = store
    visit_cost, allowed, starts, week, lead_time = days
    periods, series = need.shape
    lost = np.zeros(periods + 1)
    need_until = np.zeros(periods + 1)
    for t in range(periods):
        worth, units = 0.0, 0.0
        for j in range(series):
            worth += need[t, j] * price[t, j]
            units += need[t, j]
        lost[t + 1] = lost[t] + worth
        need_until[t + 1] = need_until[t] + units
    # The latest period by which the visit after one at a must come; a = T stands for "none yet".
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
    scale = 1e-9 * (1.0 + lost[periods])
    for a in range(lead_time, periods):
        if not allowed[a] or best[a] == np.inf:
            continue
        counts[:] = 0
        gain = 0.0
        wanted = 0.0
        base = best[a] + visit_cost[a]
        for b in range(a + 1, latest[a] + 1):
            t = b - 1
            for j in range(series):
                amount = need[t, j]
                if amount <= 0.0:
                    continue
                worth = price[t, j] - unit_cost[j] - holding_cost * (t - a)
                old = counts[j]
                for block in range(old):
                    if value_of[j, block] > 0.0:
                        gain -= units_of[j, block] * value_of[j, block]
                        wanted -= units_of[j, block]
                counts[j] = push_block(units_of[j], value_of[j], old, amount, worth)
                for block in range(counts[j]):
                    if value_of[j, block] > 0.0:
                        gain += units_of[j, block] * value_of[j, block]
                        wanted += units_of[j, block]
            if b < periods and not allowed[b]:
                continue
            short = lost[b] - lost[a]
            if base + short - gain > best[b] + scale:
                continue
            cost = np.inf
            for days_over in range(b - a + 1):
                room, added = _room(a, b, days_over, need_until, rest, capacity)
                extra = over_penalty * added if added > 0 else 0.0
                if extra >= cost:
                    break
                if wanted <= room + UNIT_TOLERANCE:
                    cost = min(cost, extra + max(short - gain, 0.0))
                    break
                cost = min(cost, extra + short - _capped_gain(units_of, value_of, counts, room))
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
def fills_of(  # noqa: C901, PLR0912, PLR0915
    store: Needs, visits: BoolArray, whole: bool, fills: FloatArray
) -> None:
    """What each visit sends: the need until the next visit, the dearest units where space is scarce.

    Args:
        store: its need, prices and limits.
        visits: shape (T,).
        whole: units are whole.
        fills: shape (T, m), written: units sent at each visit.
    """
    need, price, rest, unit_cost, capacity, holding_cost, over_penalty = store
    periods, series = need.shape
    fills[:] = 0.0
    need_until = np.zeros(periods + 1)
    for t in range(periods):
        need_until[t + 1] = need_until[t] + need[t].sum()
    units_of = np.empty((series, periods))
    value_of = np.empty((series, periods))
    counts = np.zeros(series, dtype=np.int64)
    for a in range(periods):
        if not visits[a]:
            continue
        b = a + 1
        while b < periods and not visits[b]:
            b += 1
        wanted, size = 0.0, 0
        for j in range(series):
            counts[j] = 0
            for t in range(a, b):
                if need[t, j] > 0.0:
                    worth = price[t, j] - unit_cost[j] - holding_cost * (t - a)
                    counts[j] = push_block(units_of[j], value_of[j], counts[j], need[t, j], worth)
            for block in range(counts[j]):
                if value_of[j, block] > 0.0:
                    wanted += units_of[j, block]
                    size += 1
        room, best_room, best_gain = 0.0, 0.0, -np.inf
        for days_over in range(b - a + 1):
            room, added = _room(a, b, days_over, need_until, rest, capacity)
            extra = over_penalty * added if added > 0 else 0.0
            if extra == np.inf:
                break
            gain = _capped_gain(units_of, value_of, counts, room) - extra
            if gain > best_gain:
                best_gain, best_room = gain, room
            if wanted <= room:
                break
        room = best_room
        if whole and room < np.inf:
            room = np.floor(room + UNIT_TOLERANCE)
        worth_of = np.empty(size)
        series_of = np.empty(size, dtype=np.int64)
        amount_of = np.empty(size)
        size = 0
        for j in range(series):
            for block in range(counts[j]):
                if value_of[j, block] > 0.0:
                    worth_of[size] = value_of[j, block]
                    amount_of[size] = units_of[j, block]
                    series_of[size] = j
                    size += 1
        order = np.argsort(-worth_of, kind="mergesort")
        # The room counts on selling the need; what is sold of a scarce fill may be less. Where crowding is
        # forbidden the fill shrinks until no period is crowded by it.
        for _ in range(SHRINKINGS):
            fills[a] = 0.0
            left = room
            for place in order:
                taken = min(left, amount_of[place])
                if taken <= 0.0:
                    break
                fills[a, series_of[place]] += taken
                left -= taken
            crowd = _crowd(need, rest, fills[a], a, b, capacity) if over_penalty == np.inf else 0.0
            if crowd <= UNIT_TOLERANCE:
                break
            room = min(room, fills[a].sum()) - (np.ceil(crowd - UNIT_TOLERANCE) if whole else crowd)


@compiled
def _crowd(need: FloatArray, rest: FloatArray, fill: FloatArray, a: int, b: int, capacity: float) -> float:
    """Units by which a fill at ``a`` takes a store above capacity before ``b``, where it is not above anyway."""
    stock = fill.copy()
    worst = 0.0
    for t in range(a, b):
        if rest[t] <= capacity + UNIT_TOLERANCE:
            worst = max(worst, stock.sum() + rest[t] - capacity)
        for j in range(len(stock)):
            stock[j] -= min(stock[j], need[t, j])
    return worst


@compiled
def room_of_visits(need: FloatArray, rest: FloatArray, visits: BoolArray, capacity: float, room: FloatArray) -> None:
    """Units that each visit of a store may send within capacity; ``room`` (T,) is written, 0 without a visit."""
    periods = len(visits)
    need_until = np.zeros(periods + 1)
    for t in range(periods):
        need_until[t + 1] = need_until[t] + need[t].sum()
    room[:] = 0.0
    for a in range(periods):
        if visits[a]:
            b = a + 1
            while b < periods and not visits[b]:
                b += 1
            room[a], _ = _room(a, b, 0, need_until, rest, capacity)
