"""Forecast value added: error and money of every step from the seasonal naive forecast to the published target.

Both are measured until the second delivery of each store, because a target has no effect after that. A target implies
a forecast: the champion's, plus the change of the target against the plan. A step without a forecast of a series has
the forecast of the step that it is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.outputs import OVERRIDDEN, PAIR, SERIES
from schemas.panel import BoolArray, FloatArray
from schemas.performance import COMPARED_WITH, Step
from schemas.settings import BASELINES
from tasks.performance.accuracy import per_unit, places
from tasks.performance.published_week import ModelForecast, PublishedWeek
from tasks.performance.replay import FirstCycle, Replay, cycle_cost, forecast_levels, series_totals

ENSEMBLE = "ensemble"
FORECAST_STEPS = (Step.SEASONAL_NAIVE, Step.BEST_SINGLE, Step.CHAMPION, Step.ENSEMBLE)
# Costs that differ by less than this fraction are equal.
EQUAL = 1e-9


@dataclass(frozen=True)
class StepValue:
    """One step.

    Attributes:
        model: name of the model, or empty.
        median: shape (n, K), forecast that the step has or implies, units.
        cost: shape (n, K), replayed cost, currency; None without a replay.
    """

    model: str
    median: FloatArray
    cost: FloatArray | None


@dataclass(frozen=True)
class Targets:
    """Targets by (store, SKU) of one week, ids as text; shape (rows,) each.

    Attributes:
        rows: store_id, sku and category.
        position: on hand and in transit, units.
        planned: target of the plan.
        overridden: after the planners' overrides.
        published: in the ERP's file.
    """

    rows: pd.DataFrame
    position: FloatArray
    planned: FloatArray
    overridden: FloatArray
    published: FloatArray

    @classmethod
    def of(cls, week: PublishedWeek) -> Targets | None:
        """Read the targets of a week; None if it has no explanations."""
        frame = week.explanations
        if frame is None:
            return None
        pairs = pd.MultiIndex.from_frame(frame[list(PAIR)])
        planned = frame[c.TARGET_QUANTITY].to_numpy(dtype=np.float64)
        changed = week.table(OVERRIDDEN.name)
        overridden = planned.copy()
        if changed is not None and len(changed):
            new = pd.Series(
                changed[c.TARGET_QUANTITY].to_numpy(dtype=np.float64),
                index=pd.MultiIndex.from_frame(changed[list(PAIR)]),
            ).reindex(pairs)
            overridden = np.where(new.isna(), planned, new)
        stock = frame[[c.ON_HAND, c.IN_TRANSIT]].astype(np.float64).fillna(0.0).to_numpy().sum(axis=1)
        published = week.targets.reindex(pairs).fillna(0.0).to_numpy(dtype=np.float64)
        return cls(frame[[*PAIR, c.CATEGORY]], stock, planned, overridden, published)

    def of_step(self, step: Step) -> FloatArray:
        """Targets of a step, shape (rows,)."""
        return {Step.PLAN: self.planned, Step.OVERRIDE: self.overridden, Step.PUBLISHED: self.published}[step]


def best_single_model(metrics: pd.DataFrame | None, models: list[str]) -> str:
    """The model with the lowest WAPE of the backtest over all series, without the ensemble; known before the week.

    Args:
        metrics: metrics.parquet of the week; None = not known.
        models: models that forecast the week.

    Returns:
        The seasonal naive model if no other is known.
    """
    if metrics is None:
        return BASELINES[0]
    overall = metrics[metrics[c.LEVEL].eq("overall") & metrics[c.MODEL].astype(str).isin(models)]
    overall = overall[overall[c.MODEL].ne(ENSEMBLE) & overall[c.WAPE].notna()].sort_values([c.WAPE, c.MODEL])
    return BASELINES[0] if overall.empty else str(overall[c.MODEL].iloc[0])


def value_added(week: PublishedWeek, replay: Replay, demand: FloatArray) -> pd.DataFrame:
    """Compute the table ``value_added`` of one week.

    Args:
        week: published files.
        replay: its plan problem of n series.
        demand: shape (n, K), units; NaN = unknown. Unknown periods do not count.
    """
    cycle = replay.first_cycle(demand.shape[1])
    window = cycle.window(replay.problem.series_store)
    steps = _steps(week, replay, cycle, demand, window)
    known = np.isfinite(demand) & window
    series = pd.DataFrame(replay.bare.names, columns=list(SERIES))
    frames = []
    for step, value in steps.items():
        error = np.where(known, np.abs(value.median - np.nan_to_num(demand)), 0.0).sum(axis=1)
        cost = np.full(len(series), np.nan) if value.cost is None else np.where(known, value.cost, 0.0).sum(axis=1)
        for level, names, codes in places(series):
            totals = {
                c.N: known.sum(axis=1),
                c.ACTUAL_UNITS: np.where(known, np.nan_to_num(demand), 0.0).sum(axis=1),
                c.ABSOLUTE_ERROR: error,
                c.COST: cost,
            }
            sums = {name: np.bincount(codes, weights=own, minlength=len(names)) for name, own in totals.items()}
            frames.append(
                pd.DataFrame({**names, **sums}).assign(**{c.LEVEL: level, c.STEP: str(step), c.MODEL: value.model})
            )
    return compared(pd.concat(frames, ignore_index=True))


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare every step with the one that it starts from.

    Args:
        rows: level, store_id, category, step, model, n, actual_units, absolute_error and cost.
    """
    rows = rows[rows[c.N] > 0].reset_index(drop=True)
    rows = rows.assign(
        **{
            c.WAPE: per_unit(rows[c.ABSOLUTE_ERROR], rows[c.ACTUAL_UNITS]),
            c.AGAINST: rows[c.STEP].map(lambda step: str(COMPARED_WITH.get(Step(step), ""))),
        }
    )
    place = [c.LEVEL, c.STORE_ID, c.CATEGORY]
    own = rows.set_index([*place, c.STEP])[[c.WAPE, c.COST]]
    before = own.reindex(pd.MultiIndex.from_frame(rows[[*place, c.AGAINST]]))
    wape_added = before[c.WAPE].to_numpy() - rows[c.WAPE].to_numpy()
    cost_added = before[c.COST].to_numpy() - rows[c.COST].to_numpy()
    tolerance = EQUAL * np.nan_to_num(before[c.COST].abs().to_numpy() + 1.0)
    equal = np.isnan(cost_added) | (np.abs(cost_added) <= tolerance)
    # The plan keeps limits (storage, stock of the distribution center) that the forecast steps do not: its cost above
    # theirs is the cost of these limits, not of its decisions.
    limited = rows[c.STEP].eq(str(Step.PLAN)).to_numpy()
    destroyed = np.where(equal, wape_added < -EQUAL, cost_added < 0) & ~limited
    return rows.assign(**{c.WAPE_ADDED: wape_added, c.COST_ADDED: cost_added, c.DESTROYED: destroyed})


def _steps(
    week: PublishedWeek, replay: Replay, cycle: FirstCycle, demand: FloatArray, window: BoolArray
) -> dict[Step, StepValue]:
    """Forecasts and levels of every step of the week, replayed."""
    periods = demand.shape[1]
    grid = week.forecast
    at = replay.places(grid.series)
    champion = _placed(grid.of_model(Step.CHAMPION), at)
    # The replay needs a demand everywhere. Costs of unknown periods do not count.
    filled = np.where(np.isfinite(demand), demand, np.nan_to_num(champion.median[:, :periods]))

    def cost(level: FloatArray) -> FloatArray:
        return cycle_cost(replay.problem, cycle, level, filled, replay.holding).total

    naive = BASELINES[0] if BASELINES[0] in grid.models else Step.CHAMPION
    names = {Step.SEASONAL_NAIVE: str(naive), Step.BEST_SINGLE: best_single_model(week.metrics, grid.models)}
    names |= {Step.CHAMPION: str(Step.CHAMPION)} | ({Step.ENSEMBLE: ENSEMBLE} if ENSEMBLE in grid.models else {})
    forecasts: dict[Step, ModelForecast] = {}
    found: dict[Step, StepValue] = {}
    for step, name in names.items():
        own = champion if name == Step.CHAMPION else _placed(grid.of_model(name), at)
        forecasts[step] = own.filled(forecasts.get(COMPARED_WITH.get(step, step), champion))
        median = np.nan_to_num(forecasts[step].median[:, :periods])
        label = "" if step is Step.CHAMPION else name
        found[step] = StepValue(label, median, cost(forecast_levels(replay, cycle, forecasts[step])))
    targets = Targets.of(week)
    if targets is None:
        return found
    for step in (Step.PLAN, Step.OVERRIDE, Step.PUBLISHED):
        own_targets = targets.of_step(step)
        change = series_totals(replay.bare.names, targets.rows, own_targets - targets.planned)
        # Stores return nothing: with a target below the stock, the stock stays.
        level = series_totals(replay.bare.names, targets.rows, np.maximum(own_targets, targets.position))
        implied = with_change(found[Step.CHAMPION].median, change, window)
        found[step] = StepValue("", implied, cost(level))
    return found


def _placed(forecast: ModelForecast, at: np.ndarray) -> ModelForecast:
    """The forecast in the order of the problem's series; 0 for series without one."""
    mean, quantiles = forecast.mean[at], forecast.quantiles[at]
    mean[at < 0], quantiles[at < 0] = 0.0, 0.0
    return ModelForecast(mean, quantiles, forecast.levels)


def with_change(median: FloatArray, change: FloatArray, window: BoolArray) -> FloatArray:
    """Add the change of a target to a forecast, spread over a window in proportion to the forecast, at least 0.

    Args:
        median: shape (n, K), units.
        change: shape (n,), units.
        window: shape (n, K).

    >>> with_change(np.array([[3.0, 1.0, 9.0]]), np.array([2.0]), np.array([[True, True, False]]))
    array([[4.5, 1.5, 9. ]])
    """
    inside = np.where(window, median, 0.0)
    total = inside.sum(axis=1, keepdims=True)
    even = window / np.maximum(window.sum(axis=1, keepdims=True), 1)
    share = np.where(total > 0, inside / np.where(total > 0, total, 1.0), even)
    changed: FloatArray = np.maximum(median + change[:, None] * share, 0.0)
    return changed
