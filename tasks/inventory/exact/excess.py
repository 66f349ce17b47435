"""How far a plan's cost is above what uncertain demand allows: the lower bound and a second figure.

The lower bound is loose where demand is uncertain, because it knows the demand of every path. The second figure is
independent of all policies: the least cost of not knowing the demand. In every interval from one delivery to the next,
each SKU (or category) has one level, and returns and reallocation of space are free. The least expected cost of the
interval (newsvendor with limited space, Hadley and Whitin, Analysis of Inventory Systems, 1963, chapter 6), minus the
least cost of the interval if its demand were known, is the cost of uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from schemas.plan import Bound, FloatArray, IndexArray, PlanCost, PlanProblem
from tasks.inventory.exact.perfect_information import net_requirements_on_path, shortest_paths
from tasks.inventory.model.delivery_days import review_visits
from tasks.inventory.model.level_limits import interval_ends, service_limited_stores
from tasks.inventory.model.network import Network
from tasks.inventory.model.sku_demand import MOST_PATHS, sale_probabilities

# A plan whose cost is above the bound and the cost of uncertainty by more than this share raises an alarm.
LARGEST_EXCESS = 0.15


@dataclass(frozen=True)
class Excess:
    """Cost of a plan compared with what is attainable.

    Attributes:
        total: cost of the plan without over-capacity penalties, which opening stock can make inevitable.
        bound: no plan costs less, even if it knows the demand.
        uncertainty: least cost of not knowing the demand; 0 if demand is known.
    """

    total: float
    bound: float
    uncertainty: float

    @property
    def share(self) -> float:
        """Cost above bound and uncertainty, as a fraction of both; 0 if there is none."""
        attainable = self.bound + self.uncertainty
        return max(self.total / attainable - 1.0, 0.0) if attainable > 0 else 0.0

    @property
    def text(self) -> str:
        """The figures in a sentence."""
        uncertain = f" and uncertain demand costs at least about {self.uncertainty:,.0f}" if self.uncertainty else ""
        return (
            f"The plan costs {self.total:,.0f}. No plan costs less than {self.bound:,.0f}{uncertain}: "
            f"the plan is {self.share:.0%} above that."
        )


def large_excess(problem: PlanProblem, cost: PlanCost, bound: Bound) -> Excess | None:
    """Compare the cost of a plan with the bound and the cost of uncertainty.

    Args:
        problem: with the evaluation paths.
        cost: of the plan on these paths.
        bound: of the problem.

    Returns:
        None if the plan is within ``LARGEST_EXCESS``, or if no bound is known. The second figure is computed only if
        the plan is farther above the bound alone.
    """
    total = cost.total - cost.over_capacity
    least = max(bound.total, scarce_supply_cost(problem)) if np.isfinite(bound.total) else float("nan")
    if not total > (1.0 + LARGEST_EXCESS) * least:
        return None
    found = Excess(total, least, cost_of_uncertainty(problem))
    return found if found.share > LARGEST_EXCESS else None


def scarce_supply_cost(problem: PlanProblem) -> float:
    """Value of the expected demand for SKUs that exceeds all supply over the horizon: a bound by SKU.

    Stock of a store serves that store only. The cheapest price of a SKU's demand counts.
    """
    detail = problem.skus
    if detail is None or detail.supply is None:
        return 0.0
    mean = problem.mean if problem.paths is None else problem.paths.mean(axis=0)
    demand = mean.sum(axis=1)[detail.series] * detail.share
    short = np.maximum(demand - detail.on_hand - detail.in_transit.sum(axis=1), 0.0)
    skus = len(detail.supply)
    price = np.full(skus, np.inf)
    np.minimum.at(price, detail.sku, problem.price.min(axis=1)[detail.series])
    missing = np.bincount(detail.sku, weights=short, minlength=skus) - detail.supply.sum(axis=1)
    return float(sum(units * value for units, value in zip(missing, price, strict=True) if units > 0))


def cost_of_uncertainty(problem: PlanProblem) -> float:
    """Least cost of not knowing the demand, summed over stores and intervals; 0 if demand is known.

    Deliveries are those of least cost if demand equals its mean.
    """
    if problem.paths is None:
        return 0.0
    network = Network.of(replace(problem, paths=None, skus=None))
    visits, cost = shortest_paths(problem, network, net_requirements_on_path(network, 0))
    lost = ~np.isfinite(cost)
    visits[lost] = review_visits(problem)[lost]
    patterns, group = np.unique(visits, axis=0, return_inverse=True)
    total = 0.0
    for number, pattern in enumerate(patterns):
        ends = interval_ends(pattern)
        for day in np.flatnonzero(pattern):
            total += _cost_of_interval(problem, group == number, int(day), int(ends[day]))
    return total


def _cost_of_interval(problem: PlanProblem, stores: FloatArray, day: int, end: int) -> float:
    """Cost of uncertainty of one interval, summed over some stores (shape (S,), boolean)."""
    assert problem.paths is not None
    series = np.flatnonzero(stores[problem.series_store])
    start = max(day - problem.settings.lead_time, 0)
    units = problem.paths[:MOST_PATHS, series, start:end].sum(axis=2)
    price = problem.price[series, start:end].mean(axis=1)
    held = problem.holding_cost * problem.holding_weight[series] * (end - day)
    own, share = _parts(problem, series)
    peak = units.max(axis=0)[own] * np.minimum(share, 1.0)
    count = np.ceil(np.minimum(units.max(axis=0)[own], peak + 8.0 * np.sqrt(peak) + 8.0)).astype(np.int64)
    chance, first = sale_probabilities(units, own, share, np.zeros(len(own)), count)
    row = np.repeat(own, np.diff(first))
    gain = price[row] * chance - held[row] * (1.0 - chance)
    limited = service_limited_stores(problem)[problem.series_store[series]][row]
    taken = (gain > 0) & ~(limited & (chance <= 1.0 - problem.settings.service_level + 1e-12))
    taken &= _fits(gain, problem.series_store[series][row], problem.capacity, taken)
    expected = float(units.mean(axis=0) @ price)
    return max(expected - float(gain[taken].sum()) - _known_loss(problem, series, units, price), 0.0)


def _parts(problem: PlanProblem, series: IndexArray) -> tuple[IndexArray, FloatArray]:
    """What has a level: the SKUs of the series with their shares, or the series; as places in ``series``."""
    if problem.skus is None:
        return np.arange(len(series)), np.ones(len(series))
    place = np.full(len(problem.series_store), -1)
    place[series] = np.arange(len(series))
    rows = np.flatnonzero(place[problem.skus.series] >= 0)
    return place[problem.skus.series[rows]], problem.skus.share[rows]


def _fits(gain: FloatArray, store: IndexArray, capacity: FloatArray, taken: FloatArray) -> FloatArray:
    """True for the most valuable taken units that fit into the storage capacity of their store."""
    order = np.lexsort((-gain, ~taken, store))
    first = np.searchsorted(store[order], store[order])
    fits = np.zeros(len(gain), dtype=np.bool_)
    fits[order] = np.arange(len(gain)) - first < capacity[store[order]]
    return fits


def _known_loss(problem: PlanProblem, series: IndexArray, units: FloatArray, price: FloatArray) -> float:
    """Expected value of the demand beyond the storage capacity if the demand of the interval is known."""
    store, lost = problem.series_store[series], 0.0
    for one in np.unique(store[np.isfinite(problem.capacity[store])]):
        own = np.flatnonzero(store == one)
        own = own[np.argsort(price[own], kind="stable")]
        demand = units[:, own]
        beyond = np.maximum(demand.sum(axis=1, keepdims=True) - problem.capacity[one], 0.0)
        before = np.cumsum(demand, axis=1) - demand
        lost += float((np.clip(beyond - before, 0.0, demand) @ price[own]).mean())
    return lost
