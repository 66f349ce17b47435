"""From visits to levels under uncertain demand: marginal value against the price of space.

At a visit the k-th unit of a category is worth its price times the probability that demand until the next visit
reaches k. It is sent while that exceeds the price of space (and its expected holding). The price of space is
set at each visit so that the expected stock after the fill takes a set share of the capacity.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray
from tasks.inventory.model.kernels import compiled
from tasks.inventory.model.loss_function import FIRST_LOG_ODDS, LAST_LOG_ODDS, TAILS
from tasks.inventory.model.simulator import HELD_UNITS, LOST_VALUE, MEASURES, OVER_PERIODS, Store, simulate_store

# Halvings of the search for the price of space.
HALVINGS = 18
# A unit that is surely asked for is no reason to look into the table: its level is 0 units and up.
SURE = 0.999
# A unit that is asked for with less than this probability is never sent.
SMALLEST_TAIL = 5e-4
_PER_LOG_ODDS = (TAILS - 1) / (FIRST_LOG_ODDS - LAST_LOG_ODDS)


@compiled
def tail_units(table: FloatArray, row: int, factor: float, tail: float) -> float:
    """Whole units that demand reaches with probability ``tail``; 0 where the tail is 1 or more.

    Between two columns of the table the units run evenly: a level must not jump where a cost moves a little.
    """
    if tail >= SURE or factor <= 0.0:
        return 0.0
    place = (FIRST_LOG_ODDS - np.log(tail / (1.0 - tail))) * _PER_LOG_ODDS
    place = min(max(place, 0.0), TAILS - 1.0)
    column = min(int(place), TAILS - 2)
    units = table[row, column] + (place - column) * (table[row, column + 1] - table[row, column])
    return np.floor(units * factor + 0.5)


class LevelTerms(NamedTuple):
    """What the levels of one store follow from, besides its visits.

    Attributes:
        table: of tail quantiles (:func:`tasks.inventory.model.loss_function.tail_table`).
        cell: shape (T, T + 1, m), row of the table for the demand over [a, b).
        factor: shape (T, T + 1, m), by which the row's quantiles are multiplied.
        until: shape (T + 1, m), mean demand before each period.
        price: shape (m,), of a lost unit.
        unit_cost: shape (m,), shadow price of a unit of shared DC stock.
        on_hand: shape (m,).
        in_transit: shape (A, m).
        lead_time: L.
        capacity: units.
        smallest_tail: a unit asked for with less than this probability is not sent.
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


class Candidates(NamedTuple):
    """Candidates of one store.

    Attributes:
        visits: shape (B, T).
        shares: shape (B, T), of the capacity that the expected stock after a delivery in each period may take.
        holdings: shape (B,), cost per unit and period held, as the levels count it.
    """

    visits: BoolArray
    shares: FloatArray
    holdings: FloatArray


class Charges(NamedTuple):
    """What the simulated measures cost.

    Attributes:
        visit_cost: shape (T,), of a visit in each period.
        holding_cost: per unit and period held.
        penalty: per period over capacity.
    """

    visit_cost: FloatArray
    holding_cost: float
    penalty: float


@compiled
def decode_levels(  # noqa: C901, PLR0912
    terms: LevelTerms, visits: BoolArray, share: FloatArray, holding: float, levels: FloatArray
) -> None:
    """Levels of one store for given visits.

    Args:
        terms: of the store.
        visits: shape (T,).
        share: shape (T,), of the capacity that the expected stock after a delivery in each period may take.
        holding: cost per unit and period that a unit is held, as the levels count it.
        levels: shape (T, m), written; 0 where there is no visit.
    """
    table, cell, factor, until, price, unit_cost, on_hand, in_transit, lead_time, capacity, smallest_tail = terms
    periods = len(visits)
    series = len(price)
    known = in_transit.shape[0]
    levels[:] = 0.0
    top = 0.0
    for j in range(series):
        top = max(top, price[j])
    position = np.empty(series)
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
        start = a - lead_time
        length = b - a
        used = 0.0
        for j in range(series):
            # Expected stock on hand and on the way when this visit is decided.
            position[j] = max(0.0, position[j] - (until[start, j] - until[seen, j]))
            used += until[a, j] - until[start, j]
        seen = start
        room = capacity * share[a] + used
        low, high = 0.0, top
        space = 0.0
        for step in range(HALVINGS + 1):
            total = 0.0
            for j in range(series):
                # The unit's expected holding: all periods if it is not asked for, about half of them if it is.
                tail = (space + unit_cost[j] + holding * length) / (price[j] + holding * (length + 1) * 0.5 + 1e-12)
                units = tail_units(table, cell[start, b, j], factor[start, b, j], max(tail, smallest_tail))
                levels[a, j] = units
                total += max(units, position[j])
                if total > room and step < HALVINGS:
                    break
            if step == HALVINGS:
                break
            if total <= room:
                if step == 0:
                    break
                high = space
            else:
                low = space
            space = 0.5 * (low + high) if step < HALVINGS - 1 else high
        for j in range(series):
            position[j] = max(position[j], levels[a, j])


@compiled
def evaluate_batch(
    terms: LevelTerms, demand: FloatArray, store: Store, charges: Charges, candidates: Candidates, cost: FloatArray
) -> None:
    """Expected cost of many candidates of one store.

    Args:
        terms: from which levels follow.
        demand: shape (K, T, m).
        store: what the simulator reads.
        charges: what the simulated measures cost.
        candidates: visits, shares and holding costs.
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
