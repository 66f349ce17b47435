"""The inventory problem and its plan (docs/reference/contract.md#plan-command), as arrays over series."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from schemas.settings import InventorySettings

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
UnitsArray = NDArray[np.floating | np.unsignedinteger]

WEEKS_PER_YEAR = 52


@dataclass(frozen=True)
class SkuDetail:
    """The (store, SKU) pairs of all series, for a simulation by SKU; one row each.

    Attributes:
        series: shape (R,), index of the series.
        sku: shape (R,), index of the SKU.
        share: shape (R,), share in the demand of the series, 0 to 1.
        need: shape (R,), the level of a series is split in proportion to it.
        on_hand: shape (R,), units.
        in_transit: shape (R, A), units that arrive at the start of period k (column k).
        supply: shape (SKUs, T), units that the distribution center may send from period t on; the first column is the
            opening stock, inf = unlimited. None = all are unlimited.
        largest: shape (R,), largest level of a pair in multiples of its expected demand over a review period; inf = no
            limit. None = no limits.
    """

    series: IndexArray
    sku: IndexArray
    share: FloatArray
    need: FloatArray
    on_hand: FloatArray
    in_transit: FloatArray
    supply: FloatArray | None = None
    largest: FloatArray | None = None


def holding_cost_per_period(settings: InventorySettings, periods_per_year: float) -> float:
    """Cost of a unit left at the end of a period: in currency, or as a share of its price if given per year."""
    yearly = settings.holding_cost_per_year
    return settings.holding_cost if yearly is None else yearly / periods_per_year


@dataclass(frozen=True)
class PlanProblem:
    """A planning problem over T periods: S stores, C categories, n (store, category) series.

    Attributes:
        store_ids: S labels, sorted.
        categories: C labels, sorted.
        series_store: shape (n,), index of each series' store, ascending.
        series_category: shape (n,), index of each series' category, ascending within a store.
        mean: shape (n, T), expected demand in units; the demand itself if ``paths`` is None.
        price: shape (n, T), what a lost unit costs (unit price, or the set shortage cost).
        paths: shape (K, n, T), equally likely sample paths of demand in units, or None if demand is
            known exactly. Whole units may have a small unsigned type.
        on_hand: shape (n,), units on the shelf before period 0.
        in_transit: shape (n, A), units that arrive at the start of period k (column k); A may be 0.
        capacity: shape (S,), units a store can hold; inf = unlimited.
        visit_cost: shape (S,), cost of one delivery.
        dc_available: shape (C,), units that may be sent over the horizon, a constraint on levels; inf = unlimited.
        settings: the inventory block.
        periods_per_week: length of the blocks with at least one delivery per store.
        max_visits_per_period: maximum number of deliveries of all stores together; None = unlimited.
        seed: seed of every random choice.
        free_visits: shape (S,); stores with an unknown delivery cost: they have one delivery per review period, in its
            first period. None = every cost is known (it may be 0).
        level_floor: shape (n,), least level at every delivery (minimum presentation); None = no minimum.
        blackout: shape (S, T); True where no delivery may arrive; None = no blackout dates.
        holding_factor: overstock cost multiplier, calibrated by replay: a unit left at the next delivery costs this
            many times its holding until then. None = searched on the sample paths.
        weekly_run: a level covers demand until the next delivery, and at least until the start of the next review
            period, because the files have no other delivery of the store before. Without a holding cost, the
            service-level quantile limits the levels of every store; if False, only those of stores without a storage
            capacity.
        unit_price: shape (n,), price of a unit; None = the mean of ``price``.
        periods_per_year: None = by the length of a week.
        skus: simulate the plan by SKU, with the distribution center as a stock (weekly run); None = by category.
    """

    store_ids: tuple[str, ...]
    categories: tuple[str, ...]
    series_store: IndexArray
    series_category: IndexArray
    mean: FloatArray
    price: FloatArray
    on_hand: FloatArray
    in_transit: FloatArray
    capacity: FloatArray
    visit_cost: FloatArray
    dc_available: FloatArray
    settings: InventorySettings
    periods_per_week: int
    seed: int
    paths: UnitsArray | None = None
    max_visits_per_period: int | None = None
    free_visits: BoolArray | None = None
    level_floor: FloatArray | None = None
    blackout: BoolArray | None = None
    holding_factor: float | None = None
    weekly_run: bool = False
    unit_price: FloatArray | None = None
    periods_per_year: float | None = None
    skus: SkuDetail | None = None

    @property
    def holding_cost(self) -> float:
        """Holding cost per unit of ``holding_weight`` and period."""
        periods = self.periods_per_year or self.periods_per_week * WEEKS_PER_YEAR
        return holding_cost_per_period(self.settings, periods)

    @property
    def holding_weight(self) -> FloatArray:
        """Shape (n,): 1, or the price of a unit if the holding cost is a share of the price.

        Holding a unit of series j for a period costs ``holding_cost * holding_weight[j]``.
        """
        if self.settings.holding_cost_per_year is None:
            return np.ones(len(self.mean))
        return self.price.mean(axis=1) if self.unit_price is None else self.unit_price

    @property
    def periods(self) -> int:
        """T."""
        return int(self.mean.shape[1])

    @property
    def overstock_weight(self) -> float:
        """Periods of holding that a unit left at the end of the horizon is charged: at least the last one.

        Calibrated overstock is held beyond the horizon. Without this weight, the plan with the highest levels would
        seem cheapest if the horizon ends at the next delivery.
        """
        if self.holding_factor is None:
            return 1.0
        between = min(self.settings.review_period, self.periods_per_week)
        return 1.0 + max(self.holding_factor - 1.0, 0.0) * between


@dataclass(frozen=True)
class Plan:
    """Deliveries and order-up-to levels, fixed in advance.

    Attributes:
        visits: shape (S, T); True where goods arrive at the start of the period.
        levels: shape (n, T); the level in force in each period, in units; read at deliveries only.
    """

    visits: BoolArray
    levels: FloatArray


@dataclass(frozen=True)
class PlanCost:
    """Expected cost of a plan on the paths that it was evaluated on.

    Money fields are in the currency of the prices; ``over_capacity_store_days`` is the mean count of
    store-periods over capacity per path; ``missed_weeks`` counts store-weeks without a delivery.
    """

    transport: float
    lost_sales: float
    holding: float
    over_capacity: float
    over_capacity_store_days: float
    visits: int
    missed_weeks: int
    fill_rate: float
    lost_units: float
    limit_breaches: tuple[str, ...] = field(default=())

    @property
    def total(self) -> float:
        """Transport + lost sales + holding + over capacity."""
        return self.transport + self.lost_sales + self.holding + self.over_capacity


@dataclass(frozen=True)
class Bound:
    """Lower bounds on the cost of any plan.

    Attributes:
        per_store: shape (S,); NaN where none is known.
        status: per store ``proven`` (attained by a plan that was found, or solved to optimality),
            ``valid`` (a lower bound that may not be attained) or ``none``.
        store_scope: in words: for which class of policies and which demand the stores' bounds hold.
        network: a bound on the whole network that is higher than the stores' sum, because stores share a
            limit; None if no higher bound is known.
    """

    per_store: FloatArray
    status: tuple[str, ...]
    store_scope: str
    network: float | None = None

    @property
    def scope(self) -> str:
        """In words: for which class of policies and which demand the network's bound holds."""
        return self.store_scope + ("" if self.network is None else "; shared limits by their Lagrange prices")

    @property
    def total(self) -> float:
        """The network's bound, or the sum over the stores; NaN where a store has none."""
        own = float(self.per_store.sum())
        return own if self.network is None else max(own, self.network)
