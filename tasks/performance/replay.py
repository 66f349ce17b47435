"""Replay of a published week with the actual demand, in the simulator of the plan.

The first delivery cycle of a store lasts from the run date until the day before its second delivery. Each step of the
forecast value added gives the order-up-to level of the first delivery; everything else is equal: opening stock, goods
in transit, dates of delivery, prices and demand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray
from schemas.plan import Plan, PlanProblem
from schemas.settings.slices import PlanSlice
from tasks.inventory.inputs import weekly_inputs
from tasks.inventory.model.demand_paths import SERIES_AT_ONCE, Correlation, correlation_of, draw_paths
from tasks.inventory.model.ledger import ledger
from tasks.inventory.model.weekly_problem import BareProblem, WeeklyInputs, bare_problem
from tasks.inventory.replay.forecast_cost import covered_probability
from tasks.performance.published_week import ModelForecast, PublishedWeek
from tasks.storage.lake import Lake

# Holding cost of the replay if the settings have no holding cost, per year, as a share of the price. Without it, an
# overstock would cost nothing and the highest forecast would always win.
ASSUMED_HOLDING_PER_YEAR = 0.25
# Sample paths from which the level of a forecast is computed.
PATHS = 200


@dataclass(frozen=True)
class Replay:
    """Inputs of the replay of a published week.

    Attributes:
        bare: its plan problem: n series, prices, opening stock, goods in transit.
        inputs: inputs of its plan.
        correlation: dependence of forecast errors.
        visits: shape (S, T), published deliveries.
        holding: shape (n,), cost per unit left at the end of a period, currency.
        assumed_holding: the settings have no holding cost.
    """

    bare: BareProblem
    inputs: WeeklyInputs
    correlation: Correlation
    visits: BoolArray
    holding: FloatArray
    assumed_holding: bool

    @classmethod
    def of(cls, lake: Lake, week: PublishedWeek) -> Replay | None:
        """Build the replay of a week; None if the manifest does not name the inputs of its plan.

        Raises:
            StorageError: an input of the plan is no longer in the lake.
        """
        given, visits = week.plan_inputs, week.table("visits")
        if given is None or visits is None:
            return None
        inputs = weekly_inputs(lake, PlanSlice.of(week.settings), week.as_of, given)
        bare = bare_problem(inputs)
        correlation = correlation_of(inputs.backtest, week.settings.quantiles)
        holding = bare.problem.holding_cost * bare.problem.holding_weight
        assumed = not holding.any()
        if assumed:
            price = bare.problem.price.mean(axis=1) if bare.problem.unit_price is None else bare.problem.unit_price
            holding = ASSUMED_HOLDING_PER_YEAR / week.settings.period.periods_per_year * price
        return cls(bare, inputs, correlation, _visits(visits, bare), holding, assumed)

    @property
    def problem(self) -> PlanProblem:
        """The plan problem without sample paths."""
        return self.bare.problem

    def first_cycle(self, known: int) -> FirstCycle:
        """The first delivery cycle of every store within the first ``known`` periods."""
        return FirstCycle.of(self.visits, known)

    def places(self, series: pd.DataFrame) -> IndexArray:
        """Place of each series of the problem in a list of series; -1 = not in it."""
        keys = pd.MultiIndex.from_arrays([series[name].astype(str) for name in (c.STORE_ID, c.CATEGORY)])
        return np.asarray(keys.get_indexer(pd.MultiIndex.from_tuples(self.bare.names)), dtype=np.int64)


def _visits(visits: pd.DataFrame, bare: BareProblem) -> BoolArray:
    found = np.zeros((len(bare.problem.store_ids), len(bare.dates)), dtype=np.bool_)
    store = pd.Index(bare.problem.store_ids).get_indexer(visits[c.STORE_ID].astype(str))
    period = bare.dates.get_indexer(pd.DatetimeIndex(visits[c.DATE]))
    both = (store >= 0) & (period >= 0)
    found[store[both], period[both]] = True
    return found


@dataclass(frozen=True)
class FirstCycle:
    """The first delivery cycle.

    Attributes:
        day: shape (S,), period of the first delivery; -1 = no delivery.
        end: shape (S,), period of the second delivery; the last known period + 1 if none exists.
        visits: shape (S, K), only the first deliveries.
    """

    day: IndexArray
    end: IndexArray
    visits: BoolArray

    @classmethod
    def of(cls, visits: BoolArray, known: int) -> FirstCycle:
        """Find the first two deliveries of every store, shape (S, T), within the first ``known`` periods.

        >>> cycle = FirstCycle.of(np.array([[False, True, False, True], [False, False, False, True]]), 3)
        >>> cycle.day.tolist(), cycle.end.tolist()
        ([1, -1], [3, 3])
        """
        ahead = visits[:, :known]
        order = np.cumsum(ahead, axis=1)
        day = np.where(ahead.any(axis=1), ahead.argmax(axis=1), -1)
        second = ahead & (order == 2)  # noqa: PLR2004
        end = np.where(second.any(axis=1), second.argmax(axis=1), known)
        return cls(day, end, ahead & (order == 1))

    def window(self, stores: IndexArray) -> BoolArray:
        """Periods until the second delivery, shape (n, K), for the store of each series."""
        inside: BoolArray = np.arange(self.visits.shape[1]) < self.end[stores][:, None]
        return inside


@dataclass(frozen=True)
class CycleCost:
    """Cost of one level per series in the first delivery cycle.

    Attributes:
        lost_units, lost_value, holding: shape (n, K): units, currency, currency.
    """

    lost_units: FloatArray
    lost_value: FloatArray
    holding: FloatArray

    @property
    def total(self) -> FloatArray:
        """Lost sales and holding, shape (n, K), currency."""
        return self.lost_value + self.holding


def cycle_cost(
    problem: PlanProblem, cycle: FirstCycle, level: FloatArray, demand: FloatArray, holding: FloatArray
) -> CycleCost:
    """Simulate the first delivery cycle with given levels and the actual demand.

    Example: one series opens with 2 units, the level 5 is delivered at t = 0, demand is 3, 3. One unit is lost in the
    second period. At price 10 and holding cost 1 the cost is 2 + 10.

    Args:
        problem: opening stock, goods in transit, prices and lead time.
        cycle: first deliveries of the stores.
        level: shape (n,), order-up-to level of the first delivery, units.
        demand: shape (n, K), units, all known.
        holding: shape (n,), cost per unit left at the end of a period.
    """
    periods = demand.shape[1]
    # One more period without demand: stock before its arrivals is the stock at the end of the last one.
    longer = replace(
        problem,
        mean=np.pad(demand, ((0, 0), (0, 1))),
        price=np.pad(problem.price[:, :periods], ((0, 0), (0, 1)), mode="edge"),
        paths=None,
        skus=None,
        in_transit=problem.in_transit[:, : periods + 1],
        blackout=None,
        holding_factor=None,
    )
    levels = np.repeat(level[:, None], periods + 1, axis=1)
    book = ledger(longer, Plan(np.pad(cycle.visits, ((0, 0), (0, 1))), levels))
    lost = np.maximum(demand - book.sold[:, :periods], 0.0)
    left = book.on_hand[:, 1:]
    return CycleCost(lost, lost * problem.price[:, :periods], left * holding[:, None])


def forecast_levels(replay: Replay, cycle: FirstCycle, forecast: ModelForecast) -> FloatArray:
    """Order-up-to level of the first delivery that a forecast leads to, shape (n,), units.

    The level is the newsvendor quantile (:func:`~tasks.inventory.replay.forecast_cost.covered_probability`) of the
    demand from the order until the second delivery; the cycle service level if the settings have no holding cost.

    Args:
        replay: replay of the week.
        cycle: first delivery cycles.
        forecast: forecast of the n series of the problem.
    """
    problem = replay.problem
    store = problem.series_store
    last = int(cycle.end.max(initial=0))
    first = np.maximum(cycle.day - problem.settings.lead_time, 0)[store]
    inside = (np.arange(last) >= first[:, None]) & (np.arange(last) < cycle.end[store][:, None])
    share = _shares(replay, cycle)
    levels = np.zeros(len(store))
    mean, quantiles = (np.nan_to_num(values[:, :last]) for values in (forecast.mean, forecast.quantiles))
    for start in range(0, len(store), SERIES_AT_ONCE):
        part = slice(start, min(start + SERIES_AT_ONCE, len(store)))
        names = replay.bare.names[part]
        paths = draw_paths(mean[part], quantiles[part], forecast.levels, names, replay.correlation, PATHS, problem.seed)
        levels[part] = quantile_of_paths(np.where(inside[part], paths, 0.0).sum(axis=2), share[part])
    return np.where(cycle.day[store] >= 0, levels, 0.0)


def quantile_of_paths(totals: FloatArray, share: FloatArray) -> FloatArray:
    """The smallest total that at least a share of the paths does not exceed.

    Args:
        totals: shape (K, n), units.
        share: shape (n,), fractions.

    >>> quantile_of_paths(np.array([[4.0], [1.0], [3.0], [2.0]]), np.array([0.75]))
    array([3.])
    """
    count = len(totals)
    place = np.clip(np.ceil(share * count - 1e-9).astype(np.int64) - 1, 0, count - 1)
    found: FloatArray = np.sort(totals, axis=0)[place, np.arange(totals.shape[1])]
    return found


def _shares(replay: Replay, cycle: FirstCycle) -> FloatArray:
    problem = replay.problem
    if replay.assumed_holding:
        return np.full(len(problem.mean), problem.settings.service_level)
    periods = np.maximum(cycle.end - np.maximum(cycle.day, 0), 1)[problem.series_store]
    price = problem.price[:, 0]
    return np.array(
        [
            float(covered_probability(np.array([own]), np.array([held]), int(count))[0])
            for own, held, count in zip(price, replay.holding, periods, strict=True)
        ]
    )


def series_totals(names: Sequence[tuple[str, str]], rows: pd.DataFrame, values: FloatArray) -> FloatArray:
    """Sum values of (store, SKU) rows by series, shape (n,).

    Args:
        names: store and category of each series.
        rows: store_id and category of each value.
        values: shape (rows,).
    """
    keys = pd.MultiIndex.from_arrays([rows[name].astype(str) for name in (c.STORE_ID, c.CATEGORY)])
    place = pd.MultiIndex.from_tuples(list(names)).get_indexer(keys)
    found = np.bincount(place[place >= 0], weights=values[place >= 0], minlength=len(names))
    return np.asarray(found, dtype=np.float64)
