"""Calibration by replay: what a left-over unit costs is read from past weeks, not from a formula.

The weekly run is replayed over past cutoffs with the forecasts that were known then: each plan is in force until
the next one, stock and goods on the way are carried on, demand is the real one. This is done for every factor of a
small grid, by which the levels count the holding of a unit that is not asked for until the next visit; the factor
that was cheapest is the run's. The textbook's factor is 1: a leftover is thrown away (or forgotten) at the next
visit. In truth it lies on, and forecasts are not as sure as they say; both are in the replay.

Periods with unknown demand (out of stock, closed without notice) move stock by what was sold, and cost nothing.
Limits whose past is not kept (the DC's stock, minimum presentation) are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import Panel
from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem
from tasks.inventory.exact.perfect_information import Prices
from tasks.inventory.model.delivery_days import review_visits
from tasks.inventory.model.demand_paths import correlation_of
from tasks.inventory.model.kernels import side_by_side
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import store_of, traced
from tasks.inventory.model.weekly_problem import (
    WeeklyInputs,
    bare_problem,
    planning_paths,
    transit_columns,
    with_text_ids,
)
from tasks.inventory.replay.forecast_cost import covered_probability
from tasks.inventory.search.store_search import StoreModel, best_option

# Evenly in their logarithms, about as far apart as the levels' table tells probabilities apart.
FACTORS = (0.65, 1.0, 1.55, 2.4, 3.7, 5.7, 8.8)
TEXTBOOK = 1.0
# Review periods that the textbook's factor weighs against those replayed: few weeks move it a part of the way only.
SHRINKAGE = 4.0
# Fewer known costs say nothing: whole review periods, and cells (series and period).
FEWEST_REVIEWS, FEWEST_CELLS = 2, 50
# Factors whose costs differ by less than this share cost the same.
TIE = 1e-3


@dataclass(frozen=True)
class Stock:
    """Goods of n series.

    Attributes:
        on_hand: shape (n,), units on the shelf.
        coming: shape (n, L), units that arrive at the start of the k-th period from now.
    """

    on_hand: FloatArray
    coming: FloatArray


@dataclass(frozen=True)
class Span:
    """What happened between two cutoffs.

    Attributes:
        demand: shape (n, R), units sold.
        counts: shape (n, R); False where the cost is left out.
    """

    demand: FloatArray
    counts: BoolArray


@dataclass(frozen=True)
class SpanCost:
    """What a span cost, in the currency of the prices; over_periods counts store-periods over capacity."""

    transport: float = 0.0
    lost_sales: float = 0.0
    holding: float = 0.0
    over_capacity: float = 0.0
    lost_units: float = 0.0

    def __add__(self, other: SpanCost) -> SpanCost:
        return SpanCost(
            self.transport + other.transport,
            self.lost_sales + other.lost_sales,
            self.holding + other.holding,
            self.over_capacity + other.over_capacity,
            self.lost_units + other.lost_units,
        )

    @property
    def total(self) -> float:
        """All costs together."""
        return self.transport + self.lost_sales + self.holding + self.over_capacity


@dataclass(frozen=True)
class Calibration:
    """What the replay found.

    Attributes:
        holding_factor: for the levels of the run; None where too little is known, or nothing is to be calibrated.
        table: one row per factor: holding_factor, service_level (probability with which the level of a visit covers
            demand until the next one, at the mean price), transport, lost_sales, holding, over_capacity, total,
            chosen.
        note: in words.
    """

    holding_factor: float | None
    table: pd.DataFrame
    note: str


def calibrate(inputs: WeeklyInputs, panel: Panel, forecasts: pd.DataFrame) -> Calibration:
    """Replay past weeks for every factor and choose one.

    Args:
        inputs: of the run; its forecast and stock are not read, nothing in it is from ``as_of`` or later.
        panel: the demand known at ``as_of``.
        forecasts: cutoff, store_id, category, date, mean and the quantile columns; for every cutoff the whole
            horizon of every series, made from what was known at the cutoff.
    """
    costs, cells, reviews = replay(inputs, panel, forecasts, FACTORS)
    if reviews < FEWEST_REVIEWS or cells < FEWEST_CELLS:
        return Calibration(None, _table(inputs, costs, None)[:0], _too_little(reviews, cells))
    least = cheapest(np.array([cost.total for cost in costs]))
    place = round(least)
    trust = reviews / (reviews + SHRINKAGE)
    factor = round(float(TEXTBOOK * (factor_at(least) / TEXTBOOK) ** trust), 3)
    table = _table(inputs, costs, place)
    level = float(service_levels(inputs, np.array([factor]))[0])
    textbook = costs[FACTORS.index(TEXTBOOK)].total
    saved = 1 - costs[place].total / textbook if textbook > 0 else 0.0
    note = (
        f"Levels are calibrated by replay of {reviews} past review periods: a leftover counts {factor:g} times its "
        f"holding until the next visit (service level {level:.2f}); the cheapest replay cost {saved:.1%} less than "
        "the textbook's."
    )
    return Calibration(factor, table, note)


def _too_little(reviews: int, cells: int) -> str:
    return (
        f"Levels are not calibrated: {reviews} past review periods with {cells} known costs can be replayed, and at "
        f"least {FEWEST_REVIEWS} with {FEWEST_CELLS} are needed."
    )


def cheapest(totals: FloatArray) -> float:
    """Place of the least cost between the points of the grid; ties to the middle.

    Costs are smoothed over the neighbours; the least is that of the parabola through the cheapest point and its
    neighbours, at most half a step away from the point.

    >>> round(cheapest(np.array([9.0, 4.0, 5.0, 4.4, 9.0])), 2)
    1.95
    """
    edged = np.concatenate([totals[:1], totals, totals[-1:]])
    smooth = 0.25 * edged[:-2] + 0.5 * edged[1:-1] + 0.25 * edged[2:]
    tied = np.flatnonzero(smooth <= smooth.min() * (1 + TIE) + TIE * TIE)
    middle = 0.5 * (len(totals) - 1)
    place = int(tied[np.argmin(np.abs(tied - middle))])
    if place in (0, len(totals) - 1):
        return float(place)
    before, at, after = smooth[place - 1 : place + 2]
    bend = before - 2 * at + after
    return place + float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend > 0 else float(place)


def factor_at(place: float) -> float:
    """The factor at a place of the grid, or between its points, where logarithms are even.

    >>> round(factor_at(1.5), 3)
    1.245
    """
    return float(np.exp(np.interp(place, np.arange(len(FACTORS)), np.log(FACTORS))))


def replay(
    inputs: WeeklyInputs, panel: Panel, forecasts: pd.DataFrame, factors: tuple[float, ...]
) -> tuple[list[SpanCost], int, int]:
    """Cost of each factor over the replayed weeks, the known costs (series and periods), and the review periods.

    The first cutoff starts with the stock up to its own levels; costs count from the first period that its orders
    reach.
    """
    settings = inputs.settings
    lead, step = settings.inventory.lead_time, settings.inventory.review_period
    correlation = correlation_of(inputs.backtest, settings.quantiles)
    facts = inputs.sku_facts.drop(columns=list(transit_columns(inputs.sku_facts))).assign(**{c.ON_HAND: 0.0})
    inputs = replace(inputs, sku_facts=facts, dc_stock=None, planned_prices=None, holding_factor=None)
    costs = [SpanCost() for _ in factors]
    stocks: list[Stock] = []
    cells, charged = 0, 0
    cutoffs = np.sort(forecasts[c.CUTOFF].unique())
    first = _period(panel, cutoffs[0]) + lead if len(cutoffs) else 0
    for number, cutoff in enumerate(cutoffs):
        start = _period(panel, cutoff)
        after = _period(panel, cutoffs[number + 1]) if number + 1 < len(cutoffs) else start + step
        end = min(after, start + settings.horizon - lead, panel.history)
        rows = forecasts.loc[(forecasts[c.CUTOFF] == cutoff).to_numpy()]
        bare = bare_problem(replace(inputs, forecast=rows))
        paths = planning_paths(bare.problem, settings.inventory.sample_paths)
        problem = bare.drawn(correlation, paths, settings.seed)
        span = _span(panel, bare.names, slice(start, end), first)
        plans = plans_of(problem, factors, stocks)
        if not stocks:
            stocks = [_opening(plan, lead) for plan in plans]
        moved = [advance(problem, plan, stock, span) for plan, stock in zip(plans, stocks, strict=True)]
        stocks = [stock for stock, _ in moved]
        costs = [before + cost for before, (_, cost) in zip(costs, moved, strict=True)]
        cells += int(span.counts.sum())
        charged += int(max(0, end - max(start, first)))
    return costs, cells, charged // step


def _period(panel: Panel, cutoff: np.datetime64) -> int:
    return int(panel.periods.get_indexer(pd.DatetimeIndex([cutoff]))[0])


def _span(panel: Panel, names: list[tuple[str, str]], periods: slice, first: int) -> Span:
    """Demand of the problem's series in some periods; a series without any has none."""
    known = pd.MultiIndex.from_frame(with_text_ids(panel.series[[c.STORE_ID, c.CATEGORY]]))
    rows = known.get_indexer(pd.MultiIndex.from_tuples(names))
    demand = panel.demand[:, periods][rows]
    sold = demand if panel.sold is None else panel.sold[:, periods][rows]
    counts = ~np.isnan(demand) & (rows >= 0)[:, None]
    counts[:, : max(0, first - periods.start)] = False
    # A known demand is what counts; where it is unknown, stock falls by what was sold.
    units = np.where(np.isnan(demand), np.nan_to_num(sold), demand)
    return Span(np.where((rows >= 0)[:, None], units, 0.0), counts)


def plans_of(problem: PlanProblem, factors: tuple[float, ...], stocks: list[Stock]) -> list[Plan]:
    """Levels at the review visits for every factor, from the stock that the replay with that factor has."""
    visits = review_visits(problem)
    network = Network.of(problem)
    levels = np.zeros((len(factors), *problem.mean.shape))

    def of_store(store: int) -> None:
        part = network.series_of(store)
        model = StoreModel.of(problem, network, store, Prices.none(problem), visits[store])
        for place, factor in enumerate(factors):
            own = replace(model, factors=(factor,))
            if stocks:
                stock = stocks[place]
                coming = np.ascontiguousarray(stock.coming[part].T)
                own = replace(own, on_hand=np.ascontiguousarray(stock.on_hand[part]), in_transit=coming)
            levels[place, part] = own.levels(best_option(own, visits[store])).T

    side_by_side(of_store, range(network.stores))
    return [Plan(visits, levels[place]) for place in range(len(factors))]


def _opening(plan: Plan, lead_time: int) -> Stock:
    """The shelf filled up to the first level, nothing on the way."""
    first = np.argmax(plan.levels > 0, axis=1)
    return Stock(plan.levels[np.arange(len(first)), first], np.zeros((len(first), lead_time)))


def advance(problem: PlanProblem, plan: Plan, stock: Stock, span: Span) -> tuple[Stock, SpanCost]:
    """Carry a plan out over the first periods of its horizon, with the real demand.

    ``tasks.inventory.model.simulator`` moves the stock.

    Args:
        problem: lead time, prices, costs and capacities.
        plan: visits and levels over the horizon.
        stock: at the start.
        span: demand of the first R periods; R + lead time is at most the horizon.

    Returns:
        The stock afterwards, and the cost.
    """
    lead, days = problem.settings.lead_time, span.demand.shape[1]
    flow = _flow(problem, plan, stock, span.demand)
    on_hand = flow.on_hand[:, :days] + flow.arrived[:, :days] - flow.sold[:, :days]
    lost = np.where(span.counts, span.demand - flow.sold[:, :days], 0.0)
    over = flow.over[:, :days].sum(axis=0)
    cost = SpanCost()
    for t in range(days):
        if not span.counts[:, t].any():
            continue
        cost += SpanCost(
            transport=float(problem.visit_cost[plan.visits[:, t]].sum()),
            lost_sales=float(lost[:, t] @ problem.price[:, t]),
            holding=problem.settings.holding_cost * float(on_hand[span.counts[:, t], t].sum()),
            over_capacity=problem.settings.over_capacity_penalty * float(over[t]),
            lost_units=float(lost[:, t].sum()),
        )
    after = on_hand[:, days - 1] if days else stock.on_hand
    return Stock(after.copy(), flow.arrived[:, days : days + lead].copy()), cost


@dataclass(frozen=True)
class _Flow:
    """Units of every series by period: before arrivals, arrived, sold; and stores over capacity, shape (S, ·)."""

    on_hand: FloatArray
    arrived: FloatArray
    sold: FloatArray
    over: FloatArray


def _flow(problem: PlanProblem, plan: Plan, stock: Stock, demand: FloatArray) -> _Flow:
    """Simulate every store with its real demand, and L periods without demand in which the last orders arrive."""
    lead, days = problem.settings.lead_time, demand.shape[1]
    network = Network.of(problem)
    padded = np.pad(demand, ((0, 0), (0, lead)))
    traces = []
    for i in range(network.stores):
        part = network.series_of(i)
        coming = np.ascontiguousarray(stock.coming[part].T)
        store = store_of(network, i)._replace(on_hand=np.ascontiguousarray(stock.on_hand[part]), in_transit=coming)
        levels = np.ascontiguousarray(plan.levels[part, : days + lead].T)
        sales = np.ascontiguousarray(padded[part].T[None])
        traces.append(traced(sales, store, plan.visits[i, : days + lead].copy(), levels)[0])
    arrived = np.concatenate([own.sent for own in traces], axis=1).T
    arrived[:, : stock.coming.shape[1]] += stock.coming[:, : days + lead]
    on_hand, sold = (
        np.concatenate(arrays, axis=1).T for arrays in zip(*((own.on_hand, own.sold) for own in traces), strict=True)
    )
    return _Flow(on_hand, arrived, sold, np.array([own.over for own in traces]))


def service_levels(inputs: WeeklyInputs, factors: FloatArray) -> FloatArray:
    """Probability with which a level covers demand until the next visit, at the mean price of a lost unit."""
    settings = inputs.settings.inventory
    price = settings.shortage_cost
    if price == "price":
        price = float(inputs.sku_facts[c.UNIT_PRICE].astype(float).mean())
    between = min(settings.review_period, inputs.settings.period.periods_per_week)
    return covered_probability(np.full(len(factors), float(price)), factors * settings.holding_cost, between)


def _table(inputs: WeeklyInputs, costs: list[SpanCost], place: int | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            c.HOLDING_FACTOR: FACTORS,
            c.SERVICE_LEVEL: service_levels(inputs, np.array(FACTORS)),
            c.TRANSPORT: [cost.transport for cost in costs],
            c.LOST_SALES: [cost.lost_sales for cost in costs],
            c.HOLDING: [cost.holding for cost in costs],
            c.OVER_CAPACITY: [cost.over_capacity for cost in costs],
            c.TOTAL: [cost.total for cost in costs],
            c.CHOSEN: [number == place for number in range(len(costs))],
        }
    )
