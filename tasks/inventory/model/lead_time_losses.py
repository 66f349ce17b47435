"""What is lost before an order arrives needs no stock: the first order with a lead time.

A level is compared with the stock on hand and on the way. Over the lead time the shelf may run empty; what is asked
for then is lost and takes nothing from the order. A level that covers all demand from the decision to the next visit
therefore orders too much wherever the shelf is low and goods are on the way. The first order of a plan is decided
now, so its stock is known: its level is lowered by what the sample paths lose before it arrives.
"""

from __future__ import annotations

import numpy as np

from schemas.plan import FloatArray


def stock_before(demand: FloatArray, on_hand: FloatArray, in_transit: FloatArray, period: int) -> FloatArray:
    """Units on the shelf before a period on each path if nothing is ordered, shape (K, m).

    A closed form of the simulator (``tests/inventory/model/test_one_period_loop.py`` compares them).

    Args:
        demand: shape (K, T, m), sample paths in units.
        on_hand: shape (m,).
        in_transit: shape (A, m), units that arrive at the start of period k.
        period: from 0.
    """
    left: FloatArray = np.broadcast_to(on_hand, (len(demand), len(on_hand))).copy()
    for t in range(period):
        arriving = in_transit[t] if t < len(in_transit) else 0.0
        left = np.maximum(left + arriving - demand[:, t], 0.0)
    return left


def saved_units(
    demand: FloatArray, on_hand: FloatArray, in_transit: FloatArray, lead_time: int, end: int, quantile: FloatArray
) -> FloatArray:
    """Units by which the first order may be lower because demand before it is lost.

    Args:
        demand: shape (K, T, m), sample paths in units.
        on_hand: shape (m,).
        in_transit: shape (A, m), units that arrive at the start of period k.
        lead_time: L; the order arrives at the start of period L.
        end: period of the visit after it.
        quantile: shape (m,), share of the paths that the level is to cover.

    Returns:
        Shape (m,), at least 0: the quantile of what the order must bring as if all demand took stock, less the
        quantile of what it must bring in truth. One unit on hand, nothing on the way, L = 1, demand 3 and then 2 on
        the only path: 4 against 2, so 2 are saved.
    """
    left = stock_before(demand, on_hand, in_transit, lead_time)
    left += in_transit[lead_time:end].sum(axis=0)
    needed = demand[:, lead_time:end].sum(axis=1) - left
    as_if = demand[:, :end].sum(axis=1) - on_hand - in_transit[:end].sum(axis=0)
    place = np.clip(np.ceil(quantile * len(demand) - 1e-9).astype(int) - 1, 0, len(demand) - 1)
    columns = np.arange(len(on_hand))
    saved: FloatArray = np.sort(as_if, axis=0)[place, columns] - np.sort(needed, axis=0)[place, columns]
    return np.maximum(saved, 0.0)
