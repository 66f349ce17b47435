"""Order-up-to levels for given deliveries under uncertain demand: marginal value and shadow price of space.

The k-th unit of a category in a delivery has the expected value price · P(demand until the next delivery ≥ k). It is
sent if this exceeds the shadow price of space plus its expected holding cost. The shadow price of each delivery is the
smallest at which the expected stock after the delivery uses at most a given share of the capacity.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray
from tasks.inventory.model.kernels import compiled
from tasks.inventory.model.loss_function import FIRST_LOG_ODDS, LAST_LOG_ODDS, TAILS
from tasks.inventory.model.simulator import HELD_UNITS, LOST_VALUE, MEASURES, OVER_PERIODS, Store, simulate_store

# Bisection steps of the search for the shadow price of space.
HALVINGS = 18
# The search first tries the guessed price multiplied and divided by this factor.
NEAR = 2.0
# At or above this tail probability the quantile is 0 units, and the table is not read.
SURE = 0.999
# A unit that is demanded with a smaller probability is not sent.
SMALLEST_TAIL = 5e-4
_PER_LOG_ODDS = (TAILS - 1) / (FIRST_LOG_ODDS - LAST_LOG_ODDS)


@compiled
def tail_units(table: FloatArray, row: int, factor: float, tail: float) -> float:
    """Whole units that demand reaches with probability ``tail``; 0 for tails near 1 or above.

    Units are interpolated linearly between two columns of the table, so that a small change of a cost causes a small
    change of the level.
    """
    if tail >= SURE or factor <= 0.0:
        return 0.0
    place = (FIRST_LOG_ODDS - np.log(tail / (1.0 - tail))) * _PER_LOG_ODDS
    place = min(max(place, 0.0), TAILS - 1.0)
    column = min(int(place), TAILS - 2)
    units = table[row, column] + (place - column) * (table[row, column + 1] - table[row, column])
    return np.floor(units * factor + 0.5)


class LevelTerms(NamedTuple):
    """Inputs of the levels of one store, besides its deliveries.

    Attributes:
        table: tail quantiles (:func:`tasks.inventory.model.loss_function.tail_table`).
        cell: shape (T, T + 1, m), row of the table for the demand over [a, b).
        factor: shape (T, T + 1, m), multiplier of the row's quantiles.
        until: shape (T + 1, m), mean demand before each period.
        price: shape (m,), cost of a lost unit.
        unit_cost: shape (m,), shadow price of a unit of shared DC stock.
        on_hand: shape (m,), units.
        in_transit: shape (A, m), units that arrive at the start of period k.
        lead_time: L in periods.
        capacity: units.
        smallest_tail: a unit that is demanded with a smaller probability is not sent.
        holding_weight: shape (m,), multiplies the holding cost.
        least_ends: shape (T,), period until which a level covers demand at least.
    """

    table: FloatArray
    cell: IndexArray
    factor: FloatArray
    until: FloatArray
    price: FloatArray
    unit_cost: FloatArray
    on_hand: FloatArray
    in_transit: FloatArray
    lead_time: int
    capacity: float
    smallest_tail: float
    holding_weight: FloatArray
    least_ends: IndexArray


class Candidates(NamedTuple):
    """Candidate solutions of one store.

    Attributes:
        visits: shape (B, T).
        shares: shape (B, T), share of the capacity that the expected stock after a delivery may use.
        holdings: shape (B,), holding cost per unit and period that the levels assume.
    """

    visits: BoolArray
    shares: FloatArray
    holdings: FloatArray


class Charges(NamedTuple):
    """Cost rates of the simulated measures.

    Attributes:
        visit_cost: shape (T,), cost of a delivery in each period.
        holding_cost: per unit and period held.
        penalty: per period over capacity.
    """

    visit_cost: FloatArray
    holding_cost: float
    penalty: float


class _Bracket(NamedTuple):
    """Units of one delivery by the price of space. Units fall as the price rises.

    Attributes:
        base: shape (m,), cost of sending an unsold unit, without space.
        scale: shape (m,), value of a sold unit.
        cell: shape (m,), row of the table.
        factor: shape (m,), multiplier of the row's quantiles.
        position: shape (m,), expected inventory position; units up to it use no more space.
        most: shape (m,), units at the highest price at which the delivery does not fit, changed.
        least: shape (m,), units at the lowest price at which it fits, changed.
        units: shape (m,), units at the latest price, changed.
    """

    base: FloatArray
    scale: FloatArray
    cell: IndexArray
    factor: FloatArray
    position: FloatArray
    most: FloatArray
    least: FloatArray
    units: FloatArray


@compiled
def _space_used(table: FloatArray, of: _Bracket, smallest_tail: float, space: float, room: float) -> float:
    """Expected stock after a delivery at a price of space, or a number above ``room`` if it exceeds that.

    Only series whose units differ between both ends of the bracket, and whose units use space, are computed. The
    bracket becomes narrower.
    """
    base, scale, cell, factor, position, most, least, units_of = of
    total, reached = 0.0, len(base)
    for j in range(len(base)):
        if most[j] <= position[j]:
            total += position[j]
            continue
        units = most[j]
        if units != least[j]:
            tail = (space + base[j]) / scale[j]
            units = tail_units(table, cell[j], factor[j], max(tail, smallest_tail))
        units_of[j] = units
        total += max(units, position[j])
        if total > room:
            reached = j + 1
            break
    if total > room or room == np.inf:
        for j in range(reached):
            if most[j] > position[j]:
                most[j] = units_of[j]
    else:
        for j in range(len(base)):
            if most[j] > position[j]:
                least[j] = units_of[j]
    return total


@compiled
def _price_of_space(
    table: FloatArray, of: _Bracket, smallest_tail: float, room: float, top: float, guess: float
) -> float:
    """Find the smallest price of space at which a delivery fits, by bisection; write its units.

    The price of the previous delivery is a guess. Two prices around it are evaluated first. They decide most steps of
    the bisection, because stock falls as the price rises. The result does not depend on the guess.

    Returns:
        The price.
    """
    over, fits = 0.0, np.inf
    if guess > 0.0:
        for probe in (NEAR * guess, guess / NEAR):
            if over < probe < fits:
                if _space_used(table, of, smallest_tail, probe, room) <= room:
                    fits = probe
                else:
                    over = probe
    low, high = 0.0, top
    for _ in range(HALVINGS - 1):
        space = 0.5 * (low + high)
        if space <= over:
            low = space
        elif space >= fits or _space_used(table, of, smallest_tail, space, room) <= room:
            high = space
        else:
            low = space
    for j in range(len(of.base)):
        if of.most[j] == of.least[j] and high <= fits:
            of.units[j] = of.most[j]
        else:
            tail = (high + of.base[j]) / of.scale[j]
            of.units[j] = tail_units(table, of.cell[j], of.factor[j], max(tail, smallest_tail))
    return high


@compiled
def decode_levels(terms: LevelTerms, visits: BoolArray, share: FloatArray, holding: float, levels: FloatArray) -> None:
    """Compute the levels of one store for given deliveries.

    Args:
        terms: terms of the store.
        visits: shape (T,).
        share: shape (T,), share of the capacity that the expected stock after a delivery may use.
        holding: holding cost per unit and period that the levels assume.
        levels: shape (T, m), written; 0 without a delivery.
    """
    table, cell, factor, until, price, unit_cost, on_hand, in_transit = terms[:8]
    lead_time, capacity, smallest_tail, weight, least_ends = terms[8:]
    periods = len(visits)
    series = len(price)
    known = in_transit.shape[0]
    levels[:] = 0.0
    top = 0.0
    for j in range(series):
        top = max(top, price[j])
    position = np.empty(series)
    base = np.empty(series)
    scale = np.empty(series)
    most = np.empty(series)
    least = np.empty(series)
    guess = 0.0
    seen = 0
    for j in range(series):
        position[j] = on_hand[j]
        for a in range(known):
            position[j] += in_transit[a, j]
    for a in range(lead_time, periods):
        if not visits[a]:
            continue
        b = a + 1
        while b < periods and not visits[b]:
            b += 1
        b = max(b, least_ends[a])
        start = a - lead_time
        length = b - a
        used = 0.0
        for j in range(series):
            # Expected inventory position at the order of this delivery.
            position[j] = max(0.0, position[j] - (until[start, j] - until[seen, j]))
            used += until[a, j] - until[start, j]
        seen = start
        room = capacity * share[a] + used
        bracket = _Bracket(base, scale, cell[start, b], factor[start, b], position, most, least, levels[a])
        for j in range(series):
            # Holding time of a unit: all periods if it is not sold, about half of them if it is.
            held = holding * weight[j]
            base[j] = unit_cost[j] + held * length
            scale[j] = price[j] + held * (length + 1) * 0.5 + 1e-12
            most[j], least[j] = np.inf, -1.0
        if _space_used(table, bracket, smallest_tail, 0.0, np.inf) > room:
            guess = _price_of_space(table, bracket, smallest_tail, room, top, guess)
        for j in range(series):
            position[j] = max(position[j], levels[a, j])


@compiled
def evaluate_batch(
    terms: LevelTerms, demand: FloatArray, store: Store, charges: Charges, candidates: Candidates, cost: FloatArray
) -> None:
    """Compute the expected cost of many candidates of one store.

    Args:
        terms: inputs of the levels.
        demand: shape (K, T, m), units.
        store: inputs of the simulator.
        charges: cost rates.
        candidates: deliveries, shares of the capacity and holding costs.
        cost: shape (B,), written.
    """
    paths, periods, series = demand.shape
    visits, shares, holdings = candidates
    visit_cost, holding_cost, penalty = charges
    levels = np.empty((periods, series))
    result = np.empty((paths, MEASURES))
    sent = np.empty((paths, series))
    for b in range(len(cost)):
        decode_levels(terms, visits[b], shares[b], holdings[b], levels)
        simulate_store(demand, store, visits[b], levels, result, sent)
        total = 0.0
        for k in range(paths):
            total += result[k, LOST_VALUE] + holding_cost * result[k, HELD_UNITS] + penalty * result[k, OVER_PERIODS]
        cost[b] = total / paths
        for t in range(periods):
            if visits[b, t]:
                cost[b] += visit_cost[t]
