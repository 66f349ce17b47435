"""The ledger of a plan: stock, sales and deliveries of every period, for figures, deliveries and explanations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.model.kernels import in_parallel
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import Trace, by_sku, decidable, store_of, traced
from tasks.inventory.model.sku_simulation import EVERYTHING, Totals


@dataclass(frozen=True)
class Ledger:
    """Stock, sales and deliveries under a plan, expected over the paths.

    Attributes:
        after_delivery: shape (S, T), units in the store after the arrivals of period t.
        over: shape (S, T), share of paths on which the store is over capacity.
        sold: shape (n, T), units sold.
        sent: shape (n, T), units that arrive by a planned delivery, without the goods in transit at the start.
        on_hand: shape (n, T), units on hand before the arrivals of period t.
        in_transit: shape (n, T), units in transit before the arrivals of period t, including those of period t.
    """

    after_delivery: FloatArray
    over: FloatArray
    sold: FloatArray
    sent: FloatArray
    on_hand: FloatArray
    in_transit: FloatArray


@dataclass(frozen=True)
class StoreDays:
    """Stock and sales of every store and period, shape (S, T), expected over the paths.

    Attributes:
        after_delivery: units in the store after the arrivals of period t.
        over: share of paths on which the store is over capacity.
        sales: units sold.
    """

    after_delivery: FloatArray
    over: FloatArray
    sales: FloatArray

    @classmethod
    def of(cls, network: Network, totals: Totals) -> StoreDays:
        """From the totals of a simulation by SKU."""
        sales = np.zeros(totals.after_delivery.shape)
        np.add.at(sales, network.store, totals.sold.T)
        return cls(totals.after_delivery, totals.over, sales)


def ledger(problem: PlanProblem, plan: Plan, network: Network | None = None) -> Ledger:
    """Simulate a plan and record every period, expected over the paths (for figures and deliveries)."""
    network = network or Network.of(problem)
    if network.skus is not None:
        found = by_sku(network, plan, EVERYTHING).totals
        by_series = (np.ascontiguousarray(units.T) for units in found[:4])
        return Ledger(found.after_delivery, found.over, *by_series)
    visits = decidable(plan.visits, network.lead_time)

    def of_store(store: int) -> Trace:
        levels = np.ascontiguousarray(plan.levels[network.series_of(store)].T, dtype=np.float64)
        return traced(network.demand[store], store_of(network, store), visits[store], levels)[0]

    traces = in_parallel(of_store, range(network.stores))
    sold, sent, on_hand, in_transit = (
        np.concatenate(arrays, axis=1).T
        for arrays in zip(*((own.sold, own.sent, own.on_hand, own.pending) for own in traces), strict=True)
    )
    after_delivery = np.array([own.after_delivery for own in traces])
    return Ledger(after_delivery, np.array([own.over for own in traces]), sold, sent, on_hand, in_transit)
