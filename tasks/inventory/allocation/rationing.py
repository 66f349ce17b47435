"""Rationing of scarce units: which packs are sent if storage capacity or DC stock is too small for all.

The packs that the targets request are sorted. The first ones that fit are sent. The order is:

1. the first pack of each pair without stock that sells (its next unit probably sells before the next delivery);
2. all other packs.

Within both, the pack with the highest expected sales value per unit comes first: price × probability that the unit
sells before the next delivery. Among equal packs, the pair with the lowest coverage comes first. Pairs that are
still equal take turns from week to week.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray
from tasks.inventory.model.kernels import compiled
from tasks.inventory.model.sku_demand import sale_probabilities

# A unit that sells before the next delivery with at least this probability probably sells.
LIKELY = 0.5
# A unit that sells before the next delivery with a probability above this is sent now, also if its SKU is scarce.
LIKELY_NOW = 0.25
# Digits of values that are compared, so that rounding errors do not decide.
DIGITS = 9


@dataclass(frozen=True)
class Pairs:
    """Stock and demand of every (store, SKU).

    Attributes:
        series: shape (rows,), index of the (store, category).
        share: shape (rows,), share of the SKU in the category, 0 to 1.
        demand: shape (K, n), units of each series from the order until the delivery after it, on each sample path.
        position: shape (rows,), on hand plus in transit, units.
        pack: shape (rows,), units in a pack.
        price: shape (rows,), value of a unit that sells.
        turn: shape (rows,), this week's position of the row among equal rows.
    """

    series: IndexArray
    share: FloatArray
    demand: FloatArray
    position: FloatArray
    pack: FloatArray
    price: FloatArray
    turn: IndexArray

    @property
    def held(self) -> FloatArray:
        """Whole units of the position."""
        return np.floor(np.maximum(self.position, 0.0) + 1e-9)

    @property
    def running_out(self) -> BoolArray:
        """Pairs whose next unit probably sells before the delivery after the next; empty ones if it may sell."""
        one = np.ones(len(self.series), dtype=np.int64)
        chance, _ = sale_probabilities(self.demand, self.series, self.share, self.position, one)
        selling: BoolArray = (chance >= LIKELY) | ((chance > LIKELY_NOW) & (self.position < 1.0))
        return selling

    @property
    def coverage(self) -> FloatArray:
        """Position in multiples of expected demand until the delivery after the next."""
        expected = self.demand.mean(axis=0)[self.series] * self.share if len(self.demand) else np.zeros(len(self.share))
        return np.divide(self.position, expected, out=np.full(len(expected), np.inf), where=expected > 0)


@dataclass(frozen=True)
class Packs:
    """The packs that the targets request, in the order in which scarce units are allocated.

    Attributes:
        row: shape (packs,), index of the pair.
        units: shape (packs,), units in the pack.
        value: shape (packs,), expected sales value per unit.
    """

    row: IndexArray
    units: FloatArray
    value: FloatArray

    @classmethod
    def of(cls, targets: IndexArray, pairs: Pairs, rows: BoolArray) -> Packs:
        """Order the packs of some rows.

        Args:
            targets: shape (rows,), units.
            pairs: stock and demand.
            rows: shape (rows,), the rows whose packs are ordered.
        """
        gap = np.where(rows, np.maximum(targets - pairs.held, 0.0), 0.0).astype(np.int64)
        chance, first = sale_probabilities(pairs.demand, pairs.series, pairs.share, pairs.position, gap)
        count = np.ceil(gap / pairs.pack - 1e-9).astype(np.int64)
        row = np.repeat(np.arange(len(gap)), count)
        number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        start = first[row] + (number * pairs.pack[row]).astype(np.int64)
        end = np.minimum(start + pairs.pack[row].astype(np.int64), first[row + 1])
        summed = np.concatenate([[0.0], np.cumsum(chance)])
        units = (end - start).astype(float)
        value = np.divide(summed[end] - summed[start], units, out=np.zeros(len(row)), where=units > 0)
        empty = (number == 0) & (pairs.position[row] < 1.0)
        urgent = empty & (chance[np.minimum(start, max(len(chance) - 1, 0))] >= LIKELY) if len(row) else empty
        value = np.round(value * pairs.price[row], DIGITS)
        order = np.lexsort((number, pairs.turn[row], np.round(pairs.coverage[row], DIGITS), -value, ~urgent))
        return cls(row[order], units[order], value[order])


@compiled
def _take(row: IndexArray, units: FloatArray, group: IndexArray, left: FloatArray, taken: FloatArray) -> None:
    """Allocate packs in order while their group has units left; a row ends with the first pack that does not fit."""
    closed = np.zeros(len(taken), dtype=np.bool_)
    for place in range(len(row)):
        at = row[place]
        if closed[at]:
            continue
        if units[place] <= left[group[at]] + 1e-9:
            left[group[at]] -= units[place]
            taken[at] += units[place]
        else:
            closed[at] = True


@compiled
def _take_within_both(
    row: IndexArray,
    units: FloatArray,
    groups: IndexArray,
    left: FloatArray,
    taken: FloatArray,
) -> None:
    """As :func:`_take`, with two groups per row (shape (2, rows), places in ``left``); a pack has to fit into both."""
    closed = np.zeros(len(taken), dtype=np.bool_)
    for place in range(len(row)):
        at = row[place]
        first, second = groups[0, at], groups[1, at]
        if closed[at] or units[place] > min(left[first], left[second]) + 1e-9:
            closed[at] = True
            continue
        left[first] -= units[place]
        left[second] -= units[place]
        taken[at] += units[place]


def filled_up(
    targets: IndexArray,
    most: IndexArray,
    pairs: Pairs,
    room: tuple[IndexArray, FloatArray],
    dc: tuple[IndexArray, FloatArray],
) -> IndexArray:
    """Use what is left of the stores' space: units that the distribution center could not send leave room for others.

    Args:
        targets: shape (rows,), units within the storage capacity and the DC stock.
        most: shape (rows,), targets without the storage capacity.
        pairs: stock and demand.
        room: index of each row's store, and units that fit into each store on top of its stock; inf = unlimited.
        dc: index of each row's SKU, and units of each SKU that may be sent; inf = unlimited.

    Returns:
        Targets: at least ``targets``, at most ``most``, in the order of :class:`Packs`.
    """
    sent = np.maximum(targets - pairs.held, 0.0)
    left = [np.floor(free - np.bincount(group, weights=sent, minlength=len(free)) + 1e-9) for group, free in (room, dc)]
    able = np.isfinite(left[0])[room[0]] & (np.minimum(left[0][room[0]], left[1][dc[0]]) >= pairs.pack)
    rows = able & (most > np.maximum(targets, pairs.held))
    if not rows.any():
        return targets
    there = np.maximum(pairs.held, targets)
    packs = Packs.of(most, replace(pairs, position=np.maximum(pairs.position, there)), rows)
    taken = np.zeros(len(targets))
    groups = np.stack([room[0], dc[0] + len(left[0])])
    _take_within_both(packs.row, packs.units, groups, np.concatenate(left), taken)
    return np.where(taken > 0, (there + taken).astype(np.int64), targets)


def rationed(targets: IndexArray, pairs: Pairs, group: IndexArray, available: FloatArray) -> IndexArray:
    """Reduce targets to the available units.

    Args:
        targets: shape (rows,), units.
        pairs: stock and demand.
        group: shape (rows,), index of what is shared: the SKU in the distribution center, or the store's space.
        available: units that may be sent, per group; inf = unlimited.

    Returns:
        Targets: the stock plus the packs that are sent in the order of :class:`Packs`. Groups with enough for all keep
        their targets.
    """
    gap = np.maximum(targets - pairs.held, 0.0)
    requested = np.bincount(group, weights=gap, minlength=len(available))
    scarce = requested > np.maximum(available, 0.0) + 1e-9
    if not scarce.any():
        return targets
    rows = scarce[group] & (gap > 0)
    packs = Packs.of(targets, pairs, rows)
    taken = np.zeros(len(targets))
    left = np.where(np.isfinite(available), np.floor(np.maximum(available, 0.0) + 1e-9), np.inf)
    _take(packs.row, packs.units, group, left, taken)
    return np.where(rows, (pairs.held + taken).astype(np.int64), targets)
