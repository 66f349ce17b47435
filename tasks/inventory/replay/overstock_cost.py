"""Replay calibration: choose the overstock cost multiplier from past weeks.

The weekly run is replayed at past cutoffs with the forecasts known then and the actual demand. Each plan applies until
the next one; stock and goods in transit continue. This is repeated for every multiplier of a small grid. The multiplier
scales the holding cost until the next delivery of a unit that is not sold. The run uses the multiplier of least total
cost, shrunk toward 1. The newsvendor formula has multiplier 1: it assumes that overstock costs nothing after the next
delivery and that forecast distributions are exact. The replay needs neither assumption.

In periods with unknown demand (out of stock, closed without notice) stock falls by the units sold, and there is no
cost. Constraints without a history (DC stock, minimum presentation) are left out
(docs/decisions/0006-overstock-cost-by-replay.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import Panel
from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem, holding_cost_per_period
from tasks.inventory.exact.perfect_information import ShadowPrices
from tasks.inventory.model.delivery_days import review_visits
from tasks.inventory.model.demand_paths import correlation_of
from tasks.inventory.model.kernels import in_parallel
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

# Multipliers, evenly spaced in logarithms; the spacing is about the resolution of the table of quantiles.
FACTORS = (0.65, 1.0, 1.55, 2.4, 3.7, 5.7, 8.8)
UNCALIBRATED = 1.0
# Prior weight of the multiplier 1, in replayed review periods.
SHRINKAGE = 4.0
# Minimum data for a calibration: whole review periods, and known costs (series and period).
FEWEST_REVIEWS, FEWEST_CELLS = 2, 50
# Relative difference below which two costs are equal.
TIE = 1e-3


@dataclass(frozen=True)
class Stock:
    """Stock of n series.

    Attributes:
        on_hand: shape (n,), units.
        in_transit: shape (n, L), units that arrive at the start of the k-th period from now.
    """

    on_hand: FloatArray
    in_transit: FloatArray


@dataclass(frozen=True)
class Span:
    """Demand between two cutoffs.

    Attributes:
        demand: shape (n, R), units.
        counts: shape (n, R); False where the cost does not count.
    """

    demand: FloatArray
    counts: BoolArray


@dataclass(frozen=True)
class SpanCost:
    """Costs of a span in the currency of the prices, and units lost."""

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
        """Sum of all costs."""
        return self.transport + self.lost_sales + self.holding + self.over_capacity


@dataclass(frozen=True)
class Calibration:
    """Result of the replay.

    Attributes:
        holding_factor: overstock cost multiplier of the run; None if there is too little data or no calibration.
        table: one row per multiplier: holding_factor, service_level (probability that a level covers the demand until
            the next delivery, at the mean price), transport, lost_sales, holding, over_capacity, total, chosen.
        note: the result in words.
    """

    holding_factor: float | None
    table: pd.DataFrame
    note: str


def calibrate(inputs: WeeklyInputs, panel: Panel, forecasts: pd.DataFrame) -> Calibration:
    """Replay past weeks for every overstock cost multiplier and choose one.

    Args:
        inputs: inputs of the run; its forecast and stock are not used. It has no data from ``as_of`` or later.
        panel: the demand known at ``as_of``.
        forecasts: cutoff, store_id, category, date, mean and the quantile columns; for every cutoff the whole horizon
            of every series, from the data before the cutoff.
    """
    costs, cells, reviews = replay(inputs, panel, forecasts, FACTORS)
    if reviews < FEWEST_REVIEWS or cells < FEWEST_CELLS:
        return Calibration(None, _table(inputs, costs, None)[:0], _too_little(reviews, cells))
    least = cheapest(np.array([cost.total for cost in costs]))
    place = round(least)
    weight = reviews / (reviews + SHRINKAGE)
    factor = round(float(UNCALIBRATED * (factor_at(least) / UNCALIBRATED) ** weight), 3)
    table = _table(inputs, costs, place)
    level = float(service_levels(inputs, np.array([factor]))[0])
    uncalibrated = costs[FACTORS.index(UNCALIBRATED)].total
    saved = 1 - costs[place].total / uncalibrated if uncalibrated > 0 else 0.0
    note = (
        f"Replay calibration on {reviews} past review periods: overstock cost multiplier {factor:g} (cycle service "
        f"level {level:.2f}). The cheapest multiplier cost {saved:.1%} less than the multiplier 1."
    )
    return Calibration(factor, table, note)


def _too_little(reviews: int, cells: int) -> str:
    return (
        f"No replay calibration: {reviews} past review periods with {cells} known costs are available; at least "
        f"{FEWEST_REVIEWS} with {FEWEST_CELLS} are required."
    )


def cheapest(totals: FloatArray) -> float:
    """Position of the least cost on the grid, between its points; ties go to the middle.

    Costs are smoothed over adjacent points. The result is the minimum of the parabola through the cheapest point and
    its two neighbors, at most half a step from the point.

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
    """The multiplier at a position of the grid; logarithms are interpolated linearly.

    >>> round(factor_at(1.5), 3)
    1.245
    """
    return float(np.exp(np.interp(place, np.arange(len(FACTORS)), np.log(FACTORS))))


def replay(
    inputs: WeeklyInputs, panel: Panel, forecasts: pd.DataFrame, factors: tuple[float, ...]
) -> tuple[list[SpanCost], int, int]:
    """Replay past weeks for every multiplier.

    The opening stock of the first cutoff equals its levels. Costs count from the first period in which its orders
    arrive.

    Args:
        inputs: inputs of the run.
        panel: the demand known at ``as_of``.
        forecasts: see :func:`calibrate`.
        factors: overstock cost multipliers.

    Returns:
        The cost of each multiplier, the number of known costs (series and periods), and of review periods.
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
    """Demand of the problem's series in some periods; 0 for series that the panel does not have."""
    known = pd.MultiIndex.from_frame(with_text_ids(panel.series[[c.STORE_ID, c.CATEGORY]]))
    rows = known.get_indexer(pd.MultiIndex.from_tuples(names))
    demand = panel.demand[:, periods][rows]
    sold = demand if panel.sold is None else panel.sold[:, periods][rows]
    counts = ~np.isnan(demand) & (rows >= 0)[:, None]
    counts[:, : max(0, first - periods.start)] = False
    # Where demand is unknown, stock falls by the units sold.
    units = np.where(np.isnan(demand), np.nan_to_num(sold), demand)
    return Span(np.where((rows >= 0)[:, None], units, 0.0), counts)


def plans_of(problem: PlanProblem, factors: tuple[float, ...], stocks: list[Stock]) -> list[Plan]:
    """Compute levels at the review deliveries for every multiplier, each from the stock in its replay."""
    visits = review_visits(problem)
    network = Network.of(problem)
    levels = np.zeros((len(factors), *problem.mean.shape))

    def of_store(store: int) -> None:
        part = network.series_of(store)
        model = StoreModel.of(problem, network, store, ShadowPrices.none(problem), visits[store], visits[store])
        for place, factor in enumerate(factors):
            own = replace(model, factors=(factor,))
            if stocks:
                stock = stocks[place]
                in_transit = np.ascontiguousarray(stock.in_transit[part].T)
                own = replace(own, on_hand=np.ascontiguousarray(stock.on_hand[part]), in_transit=in_transit)
            levels[place, part] = own.levels(best_option(own, visits[store])).T

    in_parallel(of_store, range(network.stores))
    return [Plan(visits, levels[place]) for place in range(len(factors))]


def _opening(plan: Plan, lead_time: int) -> Stock:
    """Opening stock at the first level, nothing in transit."""
    first = np.argmax(plan.levels > 0, axis=1)
    return Stock(plan.levels[np.arange(len(first)), first], np.zeros((len(first), lead_time)))


def advance(problem: PlanProblem, plan: Plan, stock: Stock, span: Span) -> tuple[Stock, SpanCost]:
    """Simulate the first periods of a plan with the actual demand.

    Args:
        problem: lead time, prices, costs and capacities.
        plan: deliveries and levels over the horizon.
        stock: at the start.
        span: demand of the first R periods; R + lead time is at most the horizon.

    Returns:
        The stock at the end, and the cost.
    """
    lead, days = problem.settings.lead_time, span.demand.shape[1]
    flow = _flow(problem, plan, stock, span.demand)
    on_hand = flow.on_hand[:, :days] + flow.arrived[:, :days] - flow.sold[:, :days]
    lost = np.where(span.counts, span.demand - flow.sold[:, :days], 0.0)
    over = flow.over[:, :days].sum(axis=0)
    cost = SpanCost()
    holding = problem.holding_cost * problem.holding_weight
    for t in range(days):
        if not span.counts[:, t].any():
            continue
        cost += SpanCost(
            transport=float(problem.visit_cost[plan.visits[:, t]].sum()),
            lost_sales=float(lost[:, t] @ problem.price[:, t]),
            holding=float((on_hand[:, t] * holding)[span.counts[:, t]].sum()),
            over_capacity=problem.settings.over_capacity_penalty * float(over[t]),
            lost_units=float(lost[:, t].sum()),
        )
    after = on_hand[:, days - 1] if days else stock.on_hand
    return Stock(after.copy(), flow.arrived[:, days : days + lead].copy()), cost


@dataclass(frozen=True)
class _Flow:
    """Units per series and period: on hand before arrivals, arrived, sold; and stores over capacity, shape (S, ·)."""

    on_hand: FloatArray
    arrived: FloatArray
    sold: FloatArray
    over: FloatArray


def _flow(problem: PlanProblem, plan: Plan, stock: Stock, demand: FloatArray) -> _Flow:
    """Simulate every store with its actual demand, then L periods without demand in which the last orders arrive."""
    lead, days = problem.settings.lead_time, demand.shape[1]
    network = Network.of(problem)
    padded = np.pad(demand, ((0, 0), (0, lead)))
    traces = []
    for i in range(network.stores):
        part = network.series_of(i)
        in_transit = np.ascontiguousarray(stock.in_transit[part].T)
        store = store_of(network, i)._replace(on_hand=np.ascontiguousarray(stock.on_hand[part]), in_transit=in_transit)
        levels = np.ascontiguousarray(plan.levels[part, : days + lead].T)
        sales = np.ascontiguousarray(padded[part].T[None])
        traces.append(traced(sales, store, plan.visits[i, : days + lead].copy(), levels)[0])
    arrived = np.concatenate([own.sent for own in traces], axis=1).T
    arrived[:, : stock.in_transit.shape[1]] += stock.in_transit[:, : days + lead]
    on_hand, sold = (
        np.concatenate(arrays, axis=1).T for arrays in zip(*((own.on_hand, own.sold) for own in traces), strict=True)
    )
    return _Flow(on_hand, arrived, sold, np.array([own.over for own in traces]))


def service_levels(inputs: WeeklyInputs, factors: FloatArray) -> FloatArray:
    """Probability that a level covers the demand until the next delivery, at the mean cost of a lost unit."""
    settings, period = inputs.settings.inventory, inputs.settings.period
    unit_price = float(inputs.sku_facts[c.UNIT_PRICE].astype(float).mean())
    price = unit_price if settings.shortage_cost == "price" else settings.shortage_cost
    between = min(settings.review_period, period.periods_per_week)
    holding = holding_cost_per_period(settings, period.periods_per_year) * (
        1.0 if settings.holding_cost_per_year is None else unit_price
    )
    return covered_probability(np.full(len(factors), float(price)), factors * holding, between)


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
