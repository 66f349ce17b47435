"""An estimate of the lowest attainable cost of a plan, in addition to the lower bound.

The lower bound is loose if demand is uncertain or plans are simulated by SKU: it knows the demand of every path, and
the stock of a category serves all its SKUs. The estimate is independent of all policies. It has three parts:

1. The demand that no level can serve (:class:`Inevitable`).
2. The least cost of serving the rest if it equals its mean: the shortest path of every store.
3. The cost of not knowing the demand. In every interval from one delivery to the next, each SKU (or category) has one
   level, and returns and reallocation of space are free. The level is the cheapest one on the planning paths
   (newsvendor with limited space, Hadley and Whitin, Analysis of Inventory Systems, 1963, chapter 6). Its cost on the
   evaluation paths, minus the least cost of the interval if its demand were known, is the cost of uncertainty.
   For a SKU that the distribution center has too little of, levels cost less than not knowing which store will sell
   its units: they are divided among the stores before the demand is known. The larger one of the two counts
   (:class:`Inevitable`, ``divided``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from schemas.plan import BoolArray, Bound, FloatArray, IndexArray, PlanCost, PlanProblem, SkuDetail, UnitsArray
from tasks.inventory.exact.perfect_information import net_requirements_on_path, shortest_paths
from tasks.inventory.model.delivery_days import next_visitable, review_visits
from tasks.inventory.model.level_limits import delivery_patterns, service_limited_stores
from tasks.inventory.model.network import Network
from tasks.inventory.model.sku_demand import MOST_PATHS, most_units, sale_probabilities

# A plan whose cost is above the attainable cost by more than this share raises an alarm.
LARGEST_EXCESS = 0.15


@dataclass(frozen=True)
class Excess:
    """Cost of a plan compared with what is attainable.

    Attributes:
        total: cost of the plan without over-capacity penalties, which opening stock can make inevitable.
        bound: the lower bound.
        attainable: the bound or the mean-demand cost with the inevitable lost sales, the larger one, plus the cost of
            uncertainty.
    """

    total: float
    bound: float
    attainable: float

    @property
    def share(self) -> float:
        """Cost above the attainable cost, as a fraction of it, at least 0."""
        return max(self.total / self.attainable - 1.0, 0.0) if self.attainable > 0 else 0.0

    @property
    def text(self) -> str:
        """The figures in words."""
        return (
            f"The plan costs {self.total:,.0f}. The lower bound is {self.bound:,.0f}. With uncertain demand, and "
            f"demand that no level can serve, about {self.attainable:,.0f} is attainable. "
            f"The plan is {self.share:.0%} above it."
        )


@dataclass(frozen=True)
class Inevitable:
    """Expected demand that no level can serve, units; a simulation by category has none.

    Attributes:
        closed: shape (rows,), demand beyond the stock of the pairs (store, SKU) to which a rule, such as the lifecycle
            or the display capacity, sends no units; 0 for all other pairs.
        scarce: shape (rows,), demand of all other pairs beyond their stock and their part of the supply of the
            distribution center.
        divided: shape (rows,), the same demand if the supply is divided among the pairs once, unit by unit to the pair
            in which it sells with the highest probability; together at least ``scarce`` for each SKU.
        early: shape (rows,), the part of ``scarce`` that is lost before the first period that allows a delivery.
        first: shape (n,), that period of each series.
    """

    closed: FloatArray
    scarce: FloatArray
    divided: FloatArray
    early: FloatArray
    first: IndexArray

    @classmethod
    def of(cls, problem: PlanProblem, closed: BoolArray | None = None) -> Inevitable:
        """Compare expected demand over the horizon with stock and supply.

        Args:
            problem: problem with the evaluation paths.
            closed: pairs to which a rule sends no units, the first rows of ``problem.skus``; None = no such pairs.
        """
        detail = problem.skus
        if detail is None:
            none = np.zeros(0)
            return cls(none, none, none, none, np.zeros(0, dtype=np.int64))
        paths: UnitsArray = problem.mean[None] if problem.paths is None else problem.paths[:MOST_PATHS]
        held = detail.on_hand + detail.in_transit.sum(axis=1)
        kept = _padded(closed, len(held))
        short = _expected_beyond(paths.sum(axis=2, dtype=np.float64), detail.series, detail.share, held)
        scarce, early = np.zeros(len(held)), np.zeros(len(held))
        ends = _supply_until(problem, detail)
        # Demand beyond the supply on every path: on average it is more than that of the average path.
        for path in paths:
            scarce += _beyond_supply(path, detail, held, kept, ends) / len(paths)
            early += _beyond_supply(path, detail, held, kept, ends[:1]) / len(paths)
        divided = _beyond_division(paths, detail, held, kept, ends)
        return cls(np.where(kept, short, 0.0), scarce, divided, np.minimum(early, scarce), ends[0][0])

    def lost_sales(self, problem: PlanProblem) -> float:
        """Value of this demand at the lowest price of each pair."""
        if problem.skus is None:
            return 0.0
        return float((self.closed + self.scarce) @ problem.price.min(axis=1)[problem.skus.series])

    def served(self, problem: PlanProblem) -> FloatArray:
        """Mean demand minus the demand that no level can serve, shape (n, T)."""
        if problem.skus is None:
            return problem.mean
        before = np.arange(problem.periods)[None, :] < self.first[:, None]
        left: FloatArray = problem.mean.copy()
        for units, periods in ((self.early, before), (self.closed + self.scarce - self.early, ~before)):
            lost = np.bincount(problem.skus.series, weights=units, minlength=len(left))
            whole = (problem.mean * periods).sum(axis=1)
            share = np.divide(lost, whole, out=np.zeros(len(whole)), where=whole > 0)
            left -= problem.mean * periods * np.minimum(share, 1.0)[:, None]
        return left


def large_excess(
    problem: PlanProblem,
    cost: PlanCost,
    bound: Bound,
    closed: BoolArray | None = None,
    packs: FloatArray | None = None,
    planned: PlanProblem | None = None,
) -> Excess | None:
    """Compare the cost of a plan with what is attainable.

    Both figures treat units and levels as divisible in some steps. A difference that is worth less than one unit (one
    pack) of every order-up-to level is therefore ignored. It occurs in companies with a few slow series.

    Args:
        problem: problem with the evaluation paths.
        cost: cost of the plan on these paths.
        bound: bound of the problem.
        closed: pairs (store, SKU) to which a rule sends no units, the first rows of ``problem.skus``; None = no such
            pairs.
        packs: shape (n,), units of a pack by series; None = single units.
        planned: the problem with the paths that plans are made on; None = ``problem``.

    Returns:
        None if the difference is at most ``LARGEST_EXCESS`` or is ignored, or if no bound is known. The second figure
        is computed only if the plan is farther above the bound.
    """
    total = cost.total - cost.over_capacity
    unit = float((problem.price.mean(axis=1) * (1.0 if packs is None else packs)).sum())
    if not total > max((1.0 + LARGEST_EXCESS) * bound.total, bound.total + unit):
        return None
    found = Excess(total, bound.total, attainable_cost(problem, bound, closed, planned))
    return found if found.share > LARGEST_EXCESS and found.total - found.attainable > unit else None


def attainable_cost(
    problem: PlanProblem, bound: Bound, closed: BoolArray | None = None, planned: PlanProblem | None = None
) -> float:
    """Compute the second figure of the module's docstring; if demand is known, it is the bound."""
    if problem.paths is None:
        return bound.total
    lost = Inevitable.of(problem, closed)
    unlimited = np.full(len(problem.categories), np.inf)
    expected = replace(problem, mean=lost.served(problem), paths=None, skus=None, dc_available=unlimited)
    network = Network.of(expected)
    visits, cost = shortest_paths(expected, network, net_requirements_on_path(network, 0))
    impossible = ~np.isfinite(cost)
    visits[impossible] = review_visits(problem)[impossible]
    least = float(cost[~impossible].sum()) + lost.lost_sales(problem)
    unknown = cost_of_uncertainty(problem, visits, closed, planned)
    if problem.skus is not None:
        lost_more = (lost.divided - lost.scarce) * problem.price.min(axis=1)[problem.skus.series]
        unknown = np.maximum(*(np.bincount(problem.skus.sku, weights=each) for each in (unknown, lost_more)))
    return max(bound.total, least) + float(unknown.sum())


def cost_of_uncertainty(
    problem: PlanProblem, visits: BoolArray, closed: BoolArray | None = None, planned: PlanProblem | None = None
) -> FloatArray:
    """Cost of not knowing the demand with the best levels, of each (store, SKU) or series, summed over intervals.

    Args:
        problem: problem with the evaluation paths.
        visits: shape (S, T).
        closed: pairs (store, SKU) that do not count; None = all count.
        planned: problem with the paths that levels are chosen on; None = ``problem``.
    """
    rows = len(problem.mean) if problem.skus is None else len(problem.skus.series)
    used = ~_padded(closed, rows)
    total = np.zeros(rows)
    for ends, stores in delivery_patterns(problem, visits):
        series = np.flatnonzero(stores[problem.series_store])
        parts = _parts(problem, series, used)
        for day in np.flatnonzero(ends):
            total[parts[0]] += _cost_of_interval(problem, planned or problem, series, parts, int(day), int(ends[day]))
    return total


def _supply_until(problem: PlanProblem, detail: SkuDetail) -> list[tuple[IndexArray, FloatArray]]:
    """Pairs of an end for each series and the units of each SKU that can serve the demand before it.

    The first pair has no units: its end is the first period that allows a delivery. Then follow one pair per arrival in
    the distribution center, and the end of the horizon. Without a supply it is unlimited.
    """
    lead, periods = problem.settings.lead_time, problem.periods
    able = next_visitable(problem)[problem.series_store]
    supply = detail.supply
    if supply is None:
        supply = np.zeros((int(detail.sku.max(initial=-1)) + 1, periods))
        supply[:, 0] = np.inf
    later = [int(t) for t in np.flatnonzero(supply.any(axis=0)) if t > 0]
    ends = [(able[:, min(t + lead, periods)], supply[:, :t].sum(axis=1)) for t in [0, *later]]
    return [*ends, (np.full(len(able), periods), supply.sum(axis=1))]


def _beyond_supply(
    path: UnitsArray, detail: SkuDetail, held: FloatArray, kept: BoolArray, ends: list[tuple[IndexArray, FloatArray]]
) -> FloatArray:
    """Demand of each pair on one path (n, T) beyond its stock and its part of the supply, shape (rows,).

    It is the largest one over the ends: what is lost before an arrival does not come back.
    """
    lost, largest = np.zeros(len(held)), np.zeros(len(ends[-1][1]))
    until = np.zeros((len(path), path.shape[1] + 1))
    np.cumsum(path, axis=1, out=until[:, 1:])
    for end, supply in ends:
        units = until[np.arange(len(path)), end][None, :]
        needed = np.where(kept, 0.0, _expected_beyond(units, detail.series, detail.share, held))
        total = np.bincount(detail.sku, weights=needed, minlength=len(supply))
        beyond = np.maximum(total - supply, 0.0)
        part = np.divide(beyond, total, out=np.zeros(len(total)), where=total > 0)
        more = (beyond > largest)[detail.sku]
        lost[more] = (needed * part[detail.sku])[more]
        largest = np.maximum(largest, beyond)
    return lost


def _beyond_division(
    paths: UnitsArray, detail: SkuDetail, held: FloatArray, kept: BoolArray, ends: list[tuple[IndexArray, FloatArray]]
) -> FloatArray:
    """As :func:`_beyond_supply`, with one division of the supply for all paths (K, n, T), shape (rows,)."""
    lost, largest = np.zeros(len(held)), np.zeros(len(ends[-1][1]))
    periods = np.arange(paths.shape[2])
    for end, supply in ends:
        units = (paths * (periods < end[:, None])).sum(axis=2, dtype=np.float64)
        chance, first = _chances_beyond(units, detail.series, detail.share, np.where(kept, np.inf, held))
        row = np.repeat(np.arange(len(held)), np.diff(first))
        order = np.lexsort((-chance, detail.sku[row]))
        sku = detail.sku[row[order]]
        unserved = np.arange(len(sku)) - np.searchsorted(sku, sku) >= supply[sku]
        beyond = np.bincount(row[order], weights=chance[order] * unserved, minlength=len(held))
        total = np.bincount(detail.sku, weights=beyond, minlength=len(supply))
        more = (total > largest)[detail.sku]
        lost[more] = beyond[more]
        largest = np.maximum(largest, total)
    return lost


def _expected_beyond(units: FloatArray, series: IndexArray, share: FloatArray, held: FloatArray) -> FloatArray:
    """Expected demand of each pair beyond some units, shape (rows,)."""
    chance, first = _chances_beyond(units, series, share, held)
    summed = np.concatenate([[0.0], np.cumsum(chance)])
    found: FloatArray = summed[first[1:]] - summed[first[:-1]]
    return found


def _chances_beyond(
    units: FloatArray, series: IndexArray, share: FloatArray, held: FloatArray
) -> tuple[FloatArray, IndexArray]:
    """Probability that each unit of demand beyond some units occurs (``sale_probabilities``)."""
    count = np.maximum(_most_units(units, series, share) - np.floor(held), 0.0).astype(np.int64)
    return sale_probabilities(units, series, share, np.where(count > 0, held, 0.0), count)


def _most_units(units: FloatArray, series: IndexArray, share: FloatArray) -> FloatArray:
    """Units that the demand of each pair practically never exceeds, shape (rows,)."""
    return most_units(units.max(axis=0)[series], share)


def _padded(closed: BoolArray | None, rows: int) -> BoolArray:
    found = np.zeros(rows, dtype=np.bool_)
    if closed is not None:
        found[: len(closed)] = closed
    return found


def _cost_of_interval(
    problem: PlanProblem,
    planned: PlanProblem,
    series: IndexArray,
    parts: tuple[IndexArray, IndexArray, FloatArray],
    day: int,
    end: int,
) -> FloatArray:
    """Cost of uncertainty of one interval, of each part of some series (see :func:`_parts`)."""
    start = max(day - problem.settings.lead_time, 0)
    seen, units = (_units_of(each, series, start, end) for each in (planned, problem))
    price = problem.price[series, start:end].mean(axis=1)
    held = problem.holding_cost * problem.holding_weight[series] * (end - day)
    _, own, share = parts
    count = np.maximum(_most_units(seen, own, share), _most_units(units, own, share)).astype(np.int64)
    (expected_chance, first), (chance, _) = (
        sale_probabilities(each, own, share, np.zeros(len(own)), count) for each in (seen, units)
    )
    part = np.repeat(np.arange(len(own)), np.diff(first))
    row = own[part]
    expected_gain, gain = (price[row] * each - held[row] * (1.0 - each) for each in (expected_chance, chance))
    limited = service_limited_stores(problem)[problem.series_store[series]][row]
    taken = (expected_gain > 0) & ~(limited & (expected_chance <= 1.0 - problem.settings.service_level + 1e-12))
    taken &= _fits(expected_gain, problem.series_store[series][row], problem.capacity, taken)
    expected = (units.mean(axis=0) * price)[own] * share
    counted = np.bincount(own, weights=share, minlength=len(series))
    known = _known_loss(problem, series, units * counted, price)[own] * share / np.where(counted > 0, counted, 1.0)[own]
    cost: FloatArray = expected - np.bincount(part, weights=gain * taken, minlength=len(own)) - known
    return cost if cost.sum() > 0 else np.zeros(len(own))


def _units_of(problem: PlanProblem, series: IndexArray, start: int, end: int) -> FloatArray:
    """Demand of some series in an interval on each path, shape (K, m)."""
    assert problem.paths is not None
    found: FloatArray = problem.paths[:MOST_PATHS, series, start:end].sum(axis=2, dtype=np.float64)
    return found


def _parts(problem: PlanProblem, series: IndexArray, used: BoolArray) -> tuple[IndexArray, IndexArray, FloatArray]:
    """List what has a level (the used SKUs of the series, or the series), its positions in ``series``, and shares."""
    if problem.skus is None:
        return series, np.arange(len(series)), np.ones(len(series))
    place = np.full(len(problem.series_store), -1)
    place[series] = np.arange(len(series))
    rows = np.flatnonzero((place[problem.skus.series] >= 0) & used)
    return rows, place[problem.skus.series[rows]], problem.skus.share[rows]


def _fits(gain: FloatArray, store: IndexArray, capacity: FloatArray, taken: BoolArray) -> BoolArray:
    """True for the most valuable taken units that fit into the storage capacity of their store."""
    order = np.lexsort((-gain, ~taken, store))
    first = np.searchsorted(store[order], store[order])
    fits = np.zeros(len(gain), dtype=np.bool_)
    fits[order] = np.arange(len(gain)) - first < capacity[store[order]]
    return fits


def _known_loss(problem: PlanProblem, series: IndexArray, units: FloatArray, price: FloatArray) -> FloatArray:
    """Expected value of each series' demand beyond the storage capacity if the demand of the interval is known."""
    store, lost = problem.series_store[series], np.zeros(len(series))
    for one in np.unique(store[np.isfinite(problem.capacity[store])]):
        own = np.flatnonzero(store == one)
        own = own[np.argsort(price[own], kind="stable")]
        demand = units[:, own]
        beyond = np.maximum(demand.sum(axis=1, keepdims=True) - problem.capacity[one], 0.0)
        before = np.cumsum(demand, axis=1) - demand
        lost[own] = np.clip(beyond - before, 0.0, demand).mean(axis=0) * price[own]
    return lost
