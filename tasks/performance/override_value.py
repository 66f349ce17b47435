"""The value of each planner's override, computed when the sales are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.outputs import OVERRIDDEN, OVERRIDES_COLUMN, PAIR, PLANNED
from schemas.panel import FloatArray, IndexArray
from schemas.performance import CHAMPION
from schemas.plan import PlanProblem
from tasks.inventory.model.weekly_problem import transit_columns, with_text_ids
from tasks.performance.published_week import PublishedWeek
from tasks.performance.replay import FirstCycle, Replay, cycle_cost

_SCOPE = (c.AUTHOR, c.REASON, c.ACTION, c.VALUE, c.STORE_ID, c.SKU, c.CATEGORY)
_SHARED = (c.UNITS, c.ERROR_BEFORE, c.ERROR_AFTER, c.COST_BEFORE, c.COST_AFTER)


def override_value(week: PublishedWeek, replay: Replay, sold: pd.DataFrame, demand: FloatArray) -> pd.DataFrame:
    """Compute the table ``override_value`` of one week.

    Args:
        week: published files.
        replay: its plan problem of n series.
        sold: store_id, sku, date (label) and units sold, of the known periods.
        demand: shape (n, K), units of the series; a pair of a series with an unknown period does not count.
    """
    changed = week.table(OVERRIDDEN.name)
    if changed is None or not len(changed) or week.explanations is None:
        return pd.DataFrame()
    pairs = _Pairs.of(changed, week, replay)
    effects = _effects(pairs, week, replay, sold, demand)
    return by_override(effects, week.overrides)


def by_override(effects: pd.DataFrame, overrides: list[dict[str, object]]) -> pd.DataFrame:
    """Add up the effects on pairs by override; a pair that several overrides changed is shared equally.

    Args:
        effects: overrides (numbers joined by " + "), units, error_before, error_after, cost_before and cost_after of
            each changed pair whose demand is known.
        overrides: the overrides of the manifest.
    """
    numbers = effects[OVERRIDES_COLUMN].astype(str).str.split(r"\s*\+\s*", regex=True)
    shared = effects[list(_SHARED)].div(numbers.map(len), axis=0)
    long = shared.assign(**{c.NUMBER: numbers, c.PAIRS: 1}).explode(c.NUMBER)
    long[c.NUMBER] = long[c.NUMBER].astype(np.int64)
    sums = long.groupby(c.NUMBER).sum()
    rows = pd.DataFrame([{c.NUMBER: row["number"], **{name: row.get(name) for name in _SCOPE}} for row in overrides])
    rows = rows.join(sums, on=c.NUMBER)
    rows[c.PAIRS] = rows[c.PAIRS].fillna(0).astype(np.int64)
    none = rows[c.PAIRS] == 0
    rows[list(_SHARED)] = rows[list(_SHARED)].astype(float).mask(none, np.nan)
    rows[c.UNITS] = rows[c.UNITS].fillna(0.0)
    rows[c.COST_ADDED] = rows[c.COST_BEFORE] - rows[c.COST_AFTER]
    rows[c.DIRECTION] = np.select([rows[c.UNITS] > 0, rows[c.UNITS] < 0], ["up", "down"], "none")
    equal = rows[c.COST_ADDED].isna() | (rows[c.COST_ADDED].abs() < 1e-9)  # noqa: PLR2004
    rows[c.WON] = np.where(equal, rows[c.ERROR_AFTER] < rows[c.ERROR_BEFORE], rows[c.COST_ADDED] > 0)
    return rows


@dataclass(frozen=True)
class _Pairs:
    """The changed pairs as series of a plan problem, one store after the other.

    Attributes:
        rows: one row per pair: store_id, sku, planned, target_quantity, overrides and facts.
        problem: problem with the pairs as series.
        series: shape (pairs,), series of each pair in the problem of the week.
        share: shape (pairs,), share in the demand of that series.
    """

    rows: pd.DataFrame
    problem: PlanProblem
    series: IndexArray
    share: FloatArray

    @classmethod
    def of(cls, changed: pd.DataFrame, week: PublishedWeek, replay: Replay) -> _Pairs:
        """Join the changed pairs with their facts and their series."""
        assert week.explanations is not None
        facts = with_text_ids(replay.inputs.sku_facts)
        explained = week.explanations[[*PAIR, c.CATEGORY, c.SHARE]]
        own = changed.merge(explained, on=list(PAIR)).merge(
            facts.drop(columns=[c.CATEGORY, c.SHARE], errors="ignore"), on=list(PAIR)
        )
        problem = replay.problem
        names = pd.MultiIndex.from_tuples(replay.bare.names)
        series = names.get_indexer(pd.MultiIndex.from_frame(own[[c.STORE_ID, c.CATEGORY]]))
        own = own.assign(series=series)
        own = own[own["series"] >= 0].sort_values(["series", c.SKU], ignore_index=True)
        at = own["series"].to_numpy(dtype=np.int64)
        price = own[c.UNIT_PRICE].to_numpy(dtype=np.float64)
        arriving = np.zeros((len(own), problem.in_transit.shape[1]))
        for name, period in transit_columns(own).items():
            if period <= arriving.shape[1]:
                arriving[:, period - 1] += own[name].astype(np.float64).fillna(0.0).to_numpy()
        shortage = problem.settings.shortage_cost
        lost = price if shortage == "price" else np.full(len(own), float(shortage))
        pairs = replace(
            problem,
            series_store=problem.series_store[at],
            series_category=np.zeros(len(own), dtype=np.int64),
            mean=problem.mean[at],
            price=np.repeat(lost[:, None], problem.periods, axis=1),
            on_hand=own[c.ON_HAND].astype(np.float64).fillna(0.0).to_numpy(),
            in_transit=arriving,
            unit_price=price,
            level_floor=None,
        )
        return cls(own, pairs, at, own[c.SHARE].to_numpy(dtype=np.float64))


def _effects(
    pairs: _Pairs, week: PublishedWeek, replay: Replay, sold: pd.DataFrame, demand: FloatArray
) -> pd.DataFrame:
    rows, problem, at = pairs.rows, pairs.problem, pairs.series
    periods = demand.shape[1]
    cycle = FirstCycle.of(replay.visits, periods)
    window = cycle.window(problem.series_store)
    actual = _units(rows, sold, replay.bare.dates[:periods])
    known = ~(np.isnan(demand[at]) & window).any(axis=1) & (cycle.day[problem.series_store] >= 0)
    grid = week.forecast
    places = replay.places(grid.series)[at]
    median = np.where(places[:, None] >= 0, grid.of_model(CHAMPION).median[places][:, :periods], 0.0)
    ahead = (np.nan_to_num(median) * window).sum(axis=1) * pairs.share
    total = (actual * window).sum(axis=1)
    planned = rows[PLANNED].to_numpy(dtype=np.float64)
    final = rows[c.TARGET_QUANTITY].to_numpy(dtype=np.float64)
    holding = replay.holding[at] * _relative_price(problem, replay, at)

    def cost(level: FloatArray) -> FloatArray:
        total_cost: FloatArray = (cycle_cost(problem, cycle, level, actual, holding).total * window).sum(axis=1)
        return total_cost

    effects = pd.DataFrame(
        {
            OVERRIDES_COLUMN: rows[OVERRIDES_COLUMN],
            c.UNITS: final - planned,
            c.ERROR_BEFORE: np.abs(ahead - total),
            c.ERROR_AFTER: np.abs(np.maximum(ahead + final - planned, 0.0) - total),
            c.COST_BEFORE: cost(planned),
            c.COST_AFTER: cost(final),
        }
    )
    return effects[known].reset_index(drop=True)


def _relative_price(problem: PlanProblem, replay: Replay, at: IndexArray) -> FloatArray:
    """Price of the SKU per price of its series, if the holding cost is a share of the price."""
    whole = replay.problem.unit_price
    by_price = replay.assumed_holding or problem.settings.holding_cost_per_year is not None
    if not by_price or whole is None or problem.unit_price is None:
        return np.ones(len(at))
    return np.divide(problem.unit_price, whole[at], out=np.ones(len(at)), where=whole[at] > 0)


def _units(rows: pd.DataFrame, sold: pd.DataFrame, dates: pd.DatetimeIndex) -> FloatArray:
    """Units sold of each pair and period, shape (pairs, K)."""
    units = np.zeros((len(rows), len(dates)))
    place = pd.MultiIndex.from_frame(rows[list(PAIR)]).get_indexer(
        pd.MultiIndex.from_arrays([sold[name].astype(str) for name in PAIR])
    )
    period = dates.get_indexer(pd.DatetimeIndex(sold[c.DATE]))
    both = (place >= 0) & (period >= 0)
    np.add.at(units, (place[both], period[both]), np.maximum(sold[c.UNITS].to_numpy(dtype=np.float64)[both], 0.0))
    return units
