"""Concave envelopes of the gain of a delivery by category, and the most valuable units of all envelopes.

The allocation of space is a fractional knapsack problem (see :mod:`tasks.inventory.exact.visit_graph`): the blocks of
the envelopes with the highest value per unit are taken until the space is used.
"""

from __future__ import annotations

from schemas.plan import FloatArray, IndexArray
from tasks.inventory.model.kernels import compiled


@compiled
def push_block(units: FloatArray, value: FloatArray, count: int, amount: float, worth: float) -> int:
    """Append a block to the concave envelope of one category (blocks of falling value).

    Args:
        units: units of each block, changed.
        value: value per unit of each block, changed.
        count: blocks so far.
        amount: units of the new block.
        worth: its value per unit.

    Returns:
        The number of blocks after merging.
    """
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
def gathered(units: FloatArray, value: FloatArray, counts: IndexArray, amount: FloatArray, worth: FloatArray) -> int:
    """Copy the blocks with a positive value of all categories to ``amount`` and ``worth``; return their number."""
    size = 0
    for j in range(len(counts)):
        for b in range(counts[j]):
            if value[j, b] > 0.0:
                amount[size] = units[j, b]
                worth[size] = value[j, b]
                size += 1
    return size


@compiled
def gain_limit(amount: FloatArray, worth: FloatArray, size: int, room: float, threshold: float) -> float:
    """Upper bound on the value of ``room`` units: the dual of the knapsack problem at a price of space."""
    total = threshold * room
    for b in range(size):
        total += amount[b] * max(worth[b] - threshold, 0.0)
    return total


@compiled
def capped_gain(amount: FloatArray, worth: FloatArray, size: int, room: float) -> tuple[float, float]:
    """Value of the ``room`` most valuable units of some blocks, by quickselect.

    Args:
        amount: units of each block; the order of the blocks changes.
        worth: value per unit of each block.
        size: number of blocks.
        room: units, at least 0.

    Returns:
        The value, and the value per unit of the last block that is taken: the price of space.
    """
    low, high = 0, size
    gain, last = 0.0, 0.0
    while low < high and room > 0.0:
        first, middle, third = worth[low], worth[(low + high) // 2], worth[high - 1]
        pivot = max(min(first, middle), min(max(first, middle), third))
        # Blocks above the pivot to the front, equal ones after them.
        above, place, end = low, low, high
        over, equal, value = 0.0, 0.0, 0.0
        while place < end:
            own, units = worth[place], amount[place]
            if own > pivot:
                worth[place], amount[place] = worth[above], amount[above]
                worth[above], amount[above] = own, units
                over += units
                value += units * own
                above += 1
                place += 1
            elif own == pivot:
                equal += units
                place += 1
            else:
                end -= 1
                worth[place], amount[place] = worth[end], amount[end]
                worth[end], amount[end] = own, units
        if over >= room:
            high = above
            continue
        gain += value
        room -= over
        last = pivot
        taken = min(room, equal)
        gain += taken * pivot
        room -= taken
        if taken < equal:
            break
        low = end
    return gain, last
