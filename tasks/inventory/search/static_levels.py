"""One order-up-to level per category for the whole horizon, computed from the deliveries of a store."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray
from tasks.inventory.model.kernels import compiled
from tasks.inventory.search.levels_from_visits import LevelTerms, tail_units

# Bisection steps of the search for the shadow price of space.
HALVINGS = 30


@compiled
def stock_without_deliveries(demand: FloatArray, on_hand: FloatArray) -> FloatArray:
    """Units on hand before each period without arrivals, shape (T, m).

    A closed form of the simulator (``tests/inventory/model/test_one_period_loop.py`` compares them).

    Args:
        demand: shape (T, m).
        on_hand: shape (m,).
    """
    periods, series = demand.shape
    stock = np.empty((periods, series))
    for j in range(series):
        left = on_hand[j]
        for t in range(periods):
            stock[t, j] = left
            left -= min(left, demand[t, j])
    return stock


@compiled
def level_costs(
    demand: FloatArray,
    price: FloatArray,
    on_hand: FloatArray,
    visits: BoolArray,
    holding_cost: FloatArray,
    most: IndexArray,
) -> FloatArray:
    """Cost of every whole level of every category, without lead time and capacity.

    The simulator returns the cost of a store only. Here each category and level is simulated as a separate store
    (``tests/inventory/model/test_one_period_loop.py`` compares the sums).

    Args:
        demand: shape (T, m).
        price: shape (T, m).
        on_hand: shape (m,).
        visits: shape (T,).
        holding_cost: shape (m,), per unit left at the end of a period.
        most: shape (m,), highest level of each category.

    Returns:
        Shape (m, highest level + 1); inf above a category's highest level.
    """
    periods, series = demand.shape
    cost = np.full((series, most.max() + 1), np.inf)
    for j in range(series):
        for level in range(most[j] + 1):
            stock, paid = on_hand[j], 0.0
            for t in range(periods):
                if visits[t]:
                    stock = max(stock, float(level))
                sold = min(stock, demand[t, j])
                paid += (demand[t, j] - sold) * price[t, j]
                stock -= sold
                paid += stock * holding_cost[j]
            cost[j, level] = paid
    return cost


@compiled
def known_static_levels(  # noqa: C901, PLR0912
    demand: FloatArray, price: FloatArray, on_hand: FloatArray, visits: BoolArray, capacity: float, levels: FloatArray
) -> None:
    """Compute the levels with the highest sales value within capacity for known demand.

    With each delivery the k-th unit of a category earns its mean price until the next delivery if demand until then
    reaches k. This value falls with k. All units with a value above the shadow price of space are included; the shadow
    price is the lowest at which every delivery fits.

    Args:
        demand: shape (T, m).
        price: shape (T, m).
        on_hand: shape (m,).
        visits: shape (T,).
        capacity: units.
        levels: shape (m,), written.
    """
    periods, series = demand.shape
    days = np.flatnonzero(visits)
    count = len(days)
    requested = np.zeros((series, count))
    worth = np.zeros((series, count))
    rest = stock_without_deliveries(demand, on_hand)[days]
    for j in range(series):
        at = 0
        for t in range(periods):
            if at < count and days[at] == t:
                at += 1
            if at > 0:
                requested[j, at - 1] += demand[t, j]
                worth[j, at - 1] += demand[t, j] * price[t, j]
        order = np.argsort(-requested[j])
        requested[j] = requested[j][order]
        worth[j] = worth[j][order]
        total = 0.0
        for i in range(count):
            total += worth[j, i] / requested[j, i] if requested[j, i] > 0.0 else 0.0
            worth[j, i] = total
    low, high = 0.0, 0.0
    for j in range(series):
        if count > 0:
            high = max(high, worth[j, count - 1])
    space = 0.0
    for step in range(HALVINGS + 1):
        for j in range(series):
            levels[j] = 0.0
            for i in range(count):
                if worth[j, i] > space:
                    levels[j] = requested[j, i]
                    break
        fits = True
        for i in range(count):
            total = 0.0
            for j in range(series):
                total += max(levels[j], rest[i, j])
            if total > capacity:
                fits = False
                break
        if step == HALVINGS or (step == 0 and fits):
            break
        if fits:
            high = space
        else:
            low = space
        space = high if step == HALVINGS - 1 else 0.5 * (low + high)
    if count > 0 and capacity < np.inf:
        _fill_rest(requested, worth, rest, capacity, levels)


@compiled
def _fill_rest(requested: FloatArray, worth: FloatArray, rest: FloatArray, capacity: float, levels: FloatArray) -> None:
    """Use the space that the bisection left: raise levels in the order of the value of their next units."""
    series, count = requested.shape
    room = np.inf
    for i in range(count):
        total = 0.0
        for j in range(series):
            total += max(levels[j], rest[i, j])
        room = min(room, capacity - total)
    following = np.zeros(series)
    reach = np.zeros(series)
    for j in range(series):
        # Quantities are in descending order: the next higher step is the last one above the level.
        for i in range(count):
            if requested[j, i] > levels[j]:
                following[j], reach[j] = worth[j, i], requested[j, i]
    for j in np.argsort(-following):
        more = min(np.floor(room + 1e-9), reach[j] - levels[j])
        if following[j] > 0.0 and more > 0.0:
            levels[j] += more
            room -= more


@compiled
def uncertain_static_levels(
    terms: LevelTerms, visits: BoolArray, room: float, holding: float, levels: FloatArray
) -> None:
    """Compute levels for the interval with the highest demand of each category, within ``room`` units.

    Args:
        terms: inputs of the levels.
        visits: shape (T,).
        room: units.
        holding: holding cost per unit and period that the levels assume.
        levels: shape (m,), written.
    """
    table, cell, factor, until, price, _, on_hand, _, lead_time, _, smallest_tail, weight, least_ends = terms
    periods, series = len(visits), len(price)
    days = np.flatnonzero(visits)
    count = len(days)
    begin = np.zeros(series, dtype=np.int64)
    end = np.zeros(series, dtype=np.int64)
    top = 0.0
    for j in range(series):
        most = -1.0
        top = max(top, price[j] * count)
        for i in range(count):
            b = max(days[i + 1] if i + 1 < count else periods, least_ends[days[i]])
            a = days[i] - lead_time
            if until[b, j] - until[a, j] > most:
                most = until[b, j] - until[a, j]
                begin[j], end[j] = a, b
    low, high, space = 0.0, top, 0.0
    for step in range(HALVINGS + 1):
        total = 0.0
        for j in range(series):
            length = end[j] - begin[j] - lead_time
            held = holding * weight[j]
            tail = (space / max(count, 1) + held * length) / (price[j] + held * (length + 1) * 0.5 + 1e-12)
            levels[j] = tail_units(
                table, cell[begin[j], end[j], j], factor[begin[j], end[j], j], max(tail, smallest_tail)
            )
            left = max(on_hand[j] - until[days[0], j], 0.0) if count > 0 else on_hand[j]
            total += max(levels[j], left)
        if step == HALVINGS or (step == 0 and total <= room):
            break
        if total <= room:
            high = space
        else:
            low = space
        space = high if step == HALVINGS - 1 else 0.5 * (low + high)


@compiled
def refined_static_levels(
    demand: FloatArray,
    price: FloatArray,
    on_hand: FloatArray,
    visits: BoolArray,
    capacity: float,
    holding_cost: FloatArray,
    levels: FloatArray,
) -> None:
    """Improve levels for given deliveries and known demand, without lead time.

    Categories depend on each other through the capacity only. The cost of a category is simulated for every whole level
    up to its largest demand between two deliveries. Starting from the levels of least cost, levels are lowered where
    this costs least per unit of space, at the fullest delivery first. The remaining space goes to the increases that
    save most per unit.

    Args:
        demand: shape (T, m).
        price: shape (T, m).
        on_hand: shape (m,).
        visits: shape (T,).
        capacity: units.
        holding_cost: shape (m,), per unit left at the end of a period.
        levels: shape (m,), written.
    """
    periods, series = demand.shape
    days = np.flatnonzero(visits)
    count = len(days)
    most = np.zeros(series, dtype=np.int64)
    rest = stock_without_deliveries(demand, on_hand)[days]
    for j in range(series):
        requested, at = 0.0, 0
        for t in range(periods):
            if at < count and days[at] == t:
                requested = 0.0
                at += 1
            requested += demand[t, j]
            if at > 0:
                most[j] = max(most[j], int(np.ceil(requested)))
    cost = level_costs(demand, price, on_hand, visits, holding_cost, most)
    for j in range(series):
        levels[j] = float(np.argmin(cost[j]))
    _shrink(cost, rest, capacity, levels)
    _grow(cost, most, rest, capacity, levels)


@compiled
def _shrink(cost: FloatArray, rest: FloatArray, capacity: float, levels: FloatArray) -> None:
    """Lower levels until every delivery fits, each time the one of least cost per unit at the fullest delivery."""
    while True:
        room, visit = _tightest(levels, rest, capacity)
        if room >= 0.0:
            return
        least, chosen, target = np.inf, -1, 0
        for j in range(len(levels)):
            now = int(levels[j])
            for level in range(now):
                freed = max(levels[j], rest[visit, j]) - max(float(level), rest[visit, j])
                if freed <= 0.0:
                    break
                price = (cost[j, level] - cost[j, now]) / min(freed, -room)
                if price < least:
                    least, chosen, target = price, j, level
        if chosen < 0:
            return
        levels[chosen] = float(target)


@compiled
def _grow(cost: FloatArray, most: IndexArray, rest: FloatArray, capacity: float, levels: FloatArray) -> None:
    """Raise the levels that save most per unit while every delivery fits."""
    used = np.zeros(len(rest))
    for i in range(len(rest)):
        for j in range(len(levels)):
            used[i] += max(levels[j], rest[i, j])
    while True:
        best, chosen, target = 0.0, -1, 0
        for j in range(len(levels)):
            now = int(levels[j])
            for level in range(now + 1, most[j] + 1):
                saved = cost[j, now] - cost[j, level]
                fits = True
                for i in range(len(rest)):
                    more = max(float(level), rest[i, j]) - max(levels[j], rest[i, j])
                    if used[i] + more > capacity:
                        fits = False
                        break
                if not fits:
                    break
                if saved / (level - now) > best:
                    best, chosen, target = saved / (level - now), j, level
        if chosen < 0:
            return
        for i in range(len(rest)):
            used[i] += max(float(target), rest[i, chosen]) - max(levels[chosen], rest[i, chosen])
        levels[chosen] = float(target)


@compiled
def _tightest(levels: FloatArray, rest: FloatArray, capacity: float) -> tuple[float, int]:
    """Least free space after any delivery, in units, and the index of that delivery."""
    room, visit = np.inf, -1
    for i in range(len(rest)):
        total = 0.0
        for j in range(len(levels)):
            total += max(levels[j], rest[i, j])
        if capacity - total < room:
            room, visit = capacity - total, i
    return room, visit
