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
# From this tail probability on the quantile is 0 units; the table is not read.
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


@compiled
def decode_levels(  # noqa: C901, PLR0912
    terms: LevelTerms, visits: BoolArray, share: FloatArray, holding: float, levels: FloatArray
) -> None:
    """Compute the levels of one store for given deliveries.

    Args:
        terms: of the store.
        visits: shape (T,).
        share: shape (T,), share of the capacity that the expected stock after a delivery may use.
        holding: holding cost per unit and period that the levels assume.
        levels: shape (T, m), written; 0 without a delivery.
    """
    table, cell, factor, until, price, unit_cost, on_hand, in_transit, lead_time, capacity, smallest_tail, weight = (
        terms
    )
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
            # Expected inventory position at the order of this delivery.
            position[j] = max(0.0, position[j] - (until[start, j] - until[seen, j]))
            used += until[a, j] - until[start, j]
        seen = start
        room = capacity * share[a] + used
        low, high = 0.0, top
        space = 0.0
        for step in range(HALVINGS + 1):
            total = 0.0
            for j in range(series):
                # Holding time of the unit: all periods if it is not sold, about half of them if it is.
                held = holding * weight[j]
                tail = (space + unit_cost[j] + held * length) / (price[j] + held * (length + 1) * 0.5 + 1e-12)
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
