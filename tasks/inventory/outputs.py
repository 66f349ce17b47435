"""Output tables of a weekly run that follow from its plan (docs/reference/contract.md#outputs)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import Bound, FloatArray, IndexArray, Plan, PlanProblem
from tasks.inventory.cost_table import gap
from tasks.inventory.model.ledger import StoreDays

# Smaller expected quantities get no row.
SMALLEST_QUANTITY = 0.005


def visit_frame(plan: Plan, problem: PlanProblem, dates: pd.DatetimeIndex) -> pd.DataFrame:
    """One row per store and delivery: store_id, date."""
    store, period = np.nonzero(plan.visits)
    return pd.DataFrame({c.STORE_ID: labels(problem.store_ids)[store], c.DATE: dates[period]})


def level_frame(plan: Plan, problem: PlanProblem, dates: pd.Index) -> pd.DataFrame:
    """One row per series and change of its level: store_id, category, date_from, order_up_to."""
    series, period, value = level_changes(plan, problem)
    return pd.DataFrame(
        {
            c.STORE_ID: labels(problem.store_ids)[problem.series_store[series]],
            c.CATEGORY: labels(problem.categories)[problem.series_category[series]],
            c.DATE_FROM: dates[period],
            c.ORDER_UP_TO: whole_where_possible(value),
        }
    )


def numbered_visits(plan: Plan, problem: PlanProblem) -> pd.DataFrame:
    """One row per store and delivery: store_id, t."""
    store, period = np.nonzero(plan.visits)
    return pd.DataFrame({c.STORE_ID: labels(problem.store_ids)[store], c.T: period})


def numbered_levels(plan: Plan, problem: PlanProblem) -> pd.DataFrame:
    """One row per series and change of its level: store_id, category, t_from, order_up_to."""
    return level_frame(plan, problem, pd.RangeIndex(problem.periods)).rename(columns={c.DATE_FROM: c.T_FROM})


def bound_frame(bound: Bound, problem: PlanProblem, cost: FloatArray) -> pd.DataFrame:
    """One row per store: store_id, lower_bound (of the single store), status, total, gap, bound_holds_for.

    Args:
        bound: bound of the problem.
        problem: its stores.
        cost: shape (S,), cost of the selected plan in each store.
    """
    return pd.DataFrame(
        {
            c.STORE_ID: list(problem.store_ids),
            c.LOWER_BOUND: bound.per_store,
            c.STATUS: list(bound.status),
            c.TOTAL: cost,
            c.GAP: [gap(own, least) for own, least in zip(cost, bound.per_store, strict=True)],
            c.BOUND_HOLDS_FOR: bound.store_scope,
        }
    )


def level_changes(plan: Plan, problem: PlanProblem) -> tuple[IndexArray, IndexArray, FloatArray]:
    """Series, period and value of every level that differs from the level of the previous delivery.

    Before the first row of a series its level is 0. Levels are used at deliveries only.
    """
    series, period = np.nonzero(plan.visits[problem.series_store])
    value = plan.levels[series, period]
    first = np.ones(len(series), dtype=np.bool_)
    first[1:] = series[1:] != series[:-1]
    before = np.where(first, 0.0, np.roll(value, 1))
    changed = value != before
    return series[changed], period[changed], value[changed]


def whole_where_possible(values: FloatArray) -> FloatArray | IndexArray:
    """Convert to integers if all values are whole, so that files contain 5 instead of 5.0."""
    return values.astype(np.int64) if bool(np.all(values == np.floor(values))) else values


def labels(names: tuple[str, ...]) -> np.ndarray:
    """Labels as an array for indexing."""
    return np.array(names, dtype=object)


def days_of_policy(name: str, days: StoreDays, problem: PlanProblem, dates: pd.DatetimeIndex) -> pd.DataFrame:
    """Expected stock after delivery, capacity, sales and share of paths over capacity, by store and date."""
    stores, periods = days.after_delivery.shape
    capacity = np.where(np.isinf(problem.capacity), np.nan, problem.capacity)
    return pd.DataFrame(
        {
            c.POLICY: name,
            c.STORE_ID: np.repeat(labels(problem.store_ids), periods),
            c.DATE: np.tile(dates, stores),
            c.STOCK: days.after_delivery.ravel(),
            c.CAPACITY: np.repeat(capacity, periods),
            c.SALES: days.sales.ravel(),
            c.OVER: days.over.ravel(),
        }
    )


@dataclass(frozen=True)
class SkuDeliveries:
    """Deliveries and stock of each (store, SKU) of the facts.

    Attributes:
        first_visit: period of the store's first delivery; −1 if it has none.
        first_quantity: expected units of the first delivery.
        later_share: share in the later deliveries of its series.
        series: index of its series.
        sku: index of its SKU.
        supply: shape (SKUs, T), units of the distribution center that can arrive from each period on; inf = unlimited.
        on_hand: units; NaN without a stock table.
        in_transit: units; NaN without a stock table.
    """

    first_visit: IndexArray
    first_quantity: FloatArray
    later_share: FloatArray
    series: IndexArray
    sku: IndexArray
    supply: FloatArray
    on_hand: FloatArray
    in_transit: FloatArray

    def later(self, period: int, sent: FloatArray, left: FloatArray) -> FloatArray:
        """Expected units of later deliveries of a period, shape (rows,), within what the distribution center has left.

        Args:
            period: of the deliveries.
            sent: shape (n,), expected units per series.
            left: shape (SKUs,), units left; reduced by the deliveries.
        """
        units = np.zeros(len(self.series))
        rows = np.flatnonzero(
            (self.first_visit >= 0) & (self.first_visit < period) & (sent[self.series] * self.later_share > 0)
        )
        series, sku, share = self.series[rows], self.sku[rows], self.later_share[rows]
        fits = np.ones(len(rows))
        # SKUs that the distribution center has get the units of those that it does not have.
        for _ in range(2):
            whole = np.bincount(series, weights=share * fits, minlength=len(sent))[series]
            own = np.divide(sent[series] * share * fits, whole, out=np.zeros(len(rows)), where=whole > 0)
            asked = np.bincount(sku, weights=own, minlength=len(left))
            fits = np.minimum(1.0, np.divide(left, asked, out=np.ones_like(left), where=asked > 0))[sku]
        units[rows] = own * fits
        left -= np.bincount(self.sku, weights=units, minlength=len(left))
        return units


def deliveries_frame(
    facts: pd.DataFrame, skus: SkuDeliveries, sent: FloatArray, dates: pd.DatetimeIndex
) -> pd.DataFrame:
    """Expected quantities per SKU and delivery: store_id, sku, visit_date, quantity, on_hand, in_transit.

    Args:
        facts: SKU facts, one row per (store, SKU), sorted by them.
        skus: deliveries and stock of each row.
        sent: shape (n, T), expected units per series and delivery.
        dates: labels of the periods.
    """
    blocks = []
    # First deliveries are decided now: their units are no longer there for later ones.
    left = -np.bincount(skus.sku, weights=skus.first_quantity, minlength=len(skus.supply)).astype(np.float64)
    first = np.unique(skus.first_visit[skus.first_quantity > 0])
    for period in range(len(dates)):
        left += skus.supply[:, period]
        if not sent[:, period].any() and period not in first:
            continue
        later = skus.later(period, sent[:, period], left)
        units = np.where(skus.first_visit == period, skus.first_quantity, later)
        some = np.flatnonzero((units >= SMALLEST_QUANTITY) & (skus.first_visit >= 0))
        blocks.append((some, np.full(len(some), period), np.round(units[some], 3)))
    rows, periods, quantity = (
        np.concatenate([block[k] for block in blocks]) if blocks else np.zeros(0, dtype=np.int64) for k in range(3)
    )
    order = np.argsort(rows, kind="stable")
    rows, periods, quantity = rows[order], periods[order], quantity[order]
    return pd.DataFrame(
        {
            c.STORE_ID: facts[c.STORE_ID].to_numpy()[rows],
            c.SKU: facts[c.SKU].to_numpy()[rows],
            c.VISIT_DATE: dates[periods],
            c.QUANTITY: quantity.astype(float),
            c.ON_HAND: skus.on_hand[rows],
            c.IN_TRANSIT: skus.in_transit[rows],
        }
    )
