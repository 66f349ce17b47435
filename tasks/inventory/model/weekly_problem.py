"""Build the plan problem of a run from its forecasts and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import PipelineError, first_few
from schemas.plan import FloatArray, IndexArray, PlanProblem, SkuDetail
from schemas.settings.slices import PlanSlice
from tasks.inventory.model.delivery_days import blackout_periods
from tasks.inventory.model.demand_paths import Correlation, OwnPaths, correlation_of, draw_paths
from tasks.inventory.model.level_limits import uncapacitated_stores

# Without a search, levels are computed from more paths: limits on the numbers in memory and on the paths.
CHEAP_NUMBERS, MOST_CHEAP_PATHS = 30_000_000, 200


@dataclass(frozen=True)
class WeeklyInputs:
    """Inputs of the plan of a run.

    Attributes:
        forecast: the champions' live rows: store_id, category, date, mean and the quantile columns; the same
            dates for every series.
        backtest: the champions' fold rows: cutoff, store_id, category, date, actual, mean, quantiles.
        sku_facts: one row per (store, SKU) known before ``as_of`` (see ``tasks.demand.sku_facts``).
        stores: the stores table.
        settings: the run's settings.
        dc_stock: sku, available (what may be sent today); None without the table.
        dc_inbound: sku, date, quantity: dated arrivals in the distribution center after ``as_of``; None if there are
            none.
        planned_prices: store_id, sku, date, price: one row per price that a promotion plans. None if there are none.
        has_stock: the run has a stock table.
        calendar: the calendar table; None if it does not exist.
        holding_factor: overstock cost multiplier of the replay (``tasks.inventory.replay.overstock_cost``); None if it
            was not calibrated.
        paths: sample paths of champions that have their own: store_id, category, date and one column per path.
    """

    forecast: pd.DataFrame
    backtest: pd.DataFrame
    sku_facts: pd.DataFrame
    stores: pd.DataFrame
    settings: PlanSlice
    dc_stock: pd.DataFrame | None = None
    planned_prices: pd.DataFrame | None = None
    has_stock: bool = False
    calendar: pd.DataFrame | None = None
    holding_factor: float | None = None
    paths: Sequence[pd.DataFrame] = ()
    dc_inbound: pd.DataFrame | None = None


@dataclass(frozen=True)
class WeeklyProblem:
    """The plan problem of a run.

    Attributes:
        problem: problem with the sample paths for planning.
        evaluation: the same problem with other sample paths, on which plans are compared.
        dates: T labels of the periods.
        series_of_sku: shape (rows of the SKU facts,), index of each row's series in the problem.
        correlation: dependence of the sample paths.
    """

    problem: PlanProblem
    evaluation: PlanProblem
    dates: pd.DatetimeIndex
    series_of_sku: IndexArray
    correlation: Correlation


def build_problem(inputs: WeeklyInputs) -> WeeklyProblem:
    """Build the plan problem of a run. The order of rows has no effect.

    Raises:
        PipelineError: the forecast has missing or repeated periods.
    """
    settings = inputs.settings
    bare = bare_problem(inputs)
    correlation = correlation_of(inputs.backtest, settings.quantiles)
    count = settings.inventory.sample_paths
    evaluation = bare.drawn(correlation, count, settings.seed + 1, from_end=True)
    planning = bare.drawn(correlation, planning_paths(bare.problem, count), settings.seed)
    return WeeklyProblem(planning, evaluation, bare.dates, bare.series_of_sku, correlation)


@dataclass(frozen=True)
class BareProblem:
    """The plan problem of a run before sample paths are drawn.

    Attributes:
        problem: without paths.
        dates: T labels of the periods.
        series_of_sku: the series of each SKU fact.
        quantiles: shape (n, T, Q), forecast quantiles in units.
        levels: Q quantile levels.
        own_paths: index of a series to the sample paths of its champion, shape (T, K).
    """

    problem: PlanProblem
    dates: pd.DatetimeIndex
    series_of_sku: IndexArray
    quantiles: FloatArray
    levels: tuple[float, ...]
    own_paths: Mapping[int, FloatArray]

    @property
    def names(self) -> list[tuple[str, str]]:
        """Store and category of each series."""
        stores, categories = self.problem.store_ids, self.problem.categories
        pairs = zip(self.problem.series_store, self.problem.series_category, strict=True)
        return [(stores[i], categories[j]) for i, j in pairs]

    def drawn(self, correlation: Correlation, paths: int, seed: int, from_end: bool = False) -> PlanProblem:
        """Draw sample paths and return the problem with them.

        Args:
            correlation: dependence of errors.
            paths: number of paths, K.
            seed: seed of the draw.
            from_end: take the last of a model's own paths instead of the first.
        """
        own = OwnPaths(self.own_paths, self.problem.seed, from_end) if self.own_paths else None
        drawn = draw_paths(self.problem.mean, self.quantiles, self.levels, self.names, correlation, paths, seed, own)
        return replace(self.problem, paths=drawn)


def bare_problem(inputs: WeeklyInputs) -> BareProblem:
    """Build the plan problem of a run without sample paths.

    Raises:
        PipelineError: the forecast has missing or repeated periods.
    """
    settings = inputs.settings
    inputs = replace(inputs, sku_facts=with_text_ids(inputs.sku_facts), stores=with_text_ids(inputs.stores))
    dates = pd.DatetimeIndex(np.sort(inputs.forecast[c.DATE].unique()))
    heads, order = _ordered(inputs.forecast, dates)
    store_ids, categories, series, forecast_rows, sku_rows = _axes(heads, inputs.sku_facts)
    mean = np.zeros((len(series), len(dates)))
    mean[forecast_rows] = inputs.forecast[c.MEAN].to_numpy(dtype=float)[order].reshape(-1, len(dates))
    series_store, series_category = series // len(categories), series % len(categories)
    problem = PlanProblem(
        store_ids=store_ids,
        categories=categories,
        series_store=series_store,
        series_category=series_category,
        mean=mean,
        price=_prices(inputs, sku_rows, mean, dates),
        on_hand=_summed(inputs.sku_facts, c.ON_HAND, sku_rows, len(series)),
        in_transit=_in_transit(inputs.sku_facts, sku_rows, len(series)),
        capacity=store_facts(inputs.stores, store_ids, c.STORAGE_CAPACITY, np.inf),
        visit_cost=np.nan_to_num(store_facts(inputs.stores, store_ids, c.VISIT_COST, 0.0)),
        dc_available=np.full(len(categories), np.inf),
        settings=settings.inventory,
        # A horizon shorter than a week still requires a first delivery.
        periods_per_week=min(settings.period.periods_per_week, len(dates) - settings.inventory.lead_time),
        seed=settings.seed,
        max_visits_per_period=settings.inventory.max_visits_per_period,
        free_visits=np.isnan(store_facts(inputs.stores, store_ids, c.VISIT_COST, np.nan)),
        blackout=blackout_periods(settings, inputs.calendar, store_ids, dates),
        holding_factor=inputs.holding_factor,
        weekly_run=True,
        unit_price=series_prices(inputs.sku_facts, sku_rows, len(series)),
        periods_per_year=float(settings.period.periods_per_year),
    )
    levels = tuple(settings.quantiles)
    quantiles = np.zeros((len(series), len(dates), len(levels)))
    for place, name in enumerate(c.quantile_columns(levels)):
        units = inputs.forecast[name].to_numpy(dtype=float)[order]
        quantiles[forecast_rows, :, place] = units.reshape(-1, len(dates))
    bare = BareProblem(problem, dates, sku_rows, quantiles, levels, {})
    if not inputs.paths:
        return bare
    row_of = {key: row for row, key in enumerate(bare.names)}
    own = {row_of[key]: paths for key, paths in _own_paths(inputs.paths, dates) if key in row_of}
    return replace(bare, own_paths=own)


def _own_paths(tables: Sequence[pd.DataFrame], dates: pd.DatetimeIndex) -> Iterator[tuple[tuple[str, str], FloatArray]]:
    """Yield store and category, and the paths (T, K), of every series whose paths cover the horizon."""
    for table in tables:
        ordered = with_text_ids(table).sort_values([c.STORE_ID, c.CATEGORY, c.DATE], ignore_index=True)
        numbers = ordered.drop(columns=[c.STORE_ID, c.CATEGORY, c.DATE]).to_numpy(dtype=float)
        for key, rows in ordered.groupby([c.STORE_ID, c.CATEGORY], observed=True).indices.items():
            if pd.DatetimeIndex(ordered[c.DATE].iloc[rows]).equals(dates):
                yield key, numbers[rows]


def with_text_ids(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with ids as text (they may be stored as categories)."""
    ids = [name for name in (c.STORE_ID, c.SKU, c.CATEGORY) if name in frame.columns]
    return frame.assign(**{name: frame[name].astype(str).astype(object) for name in ids})


def _ordered(forecast: pd.DataFrame, dates: pd.DatetimeIndex) -> tuple[pd.DataFrame, IndexArray | slice]:
    """Order the rows of a forecast by store, category and date, without a copy of it.

    Returns:
        Store and category of each series, and the order of the rows; a slice if they are in order.

    Raises:
        PipelineError: the forecast has missing or repeated periods.
    """
    keys = with_text_ids(forecast[[c.STORE_ID, c.CATEGORY]])
    (store, stores), (category, categories) = (pd.factorize(keys[name], sort=True) for name in keys.columns)
    series = store.astype(np.int64) * len(categories) + category
    place = series * len(dates) + np.searchsorted(dates, forecast[c.DATE].to_numpy())
    in_order = bool(np.all(place[1:] >= place[:-1]))
    order: IndexArray | slice = slice(None) if in_order else np.argsort(place, kind="stable")
    found, counts = np.unique(series, return_counts=True)
    heads = pd.DataFrame(
        {c.STORE_ID: stores[found // len(categories)], c.CATEGORY: categories[found % len(categories)]}, dtype=object
    )
    wrong = counts != len(dates)
    if not wrong.any():
        expected = found[:, None] * len(dates) + np.arange(len(dates))
        wrong = (place[order].reshape(expected.shape) != expected).any(axis=1)
    if wrong.any():
        named = [" / ".join(row) for row in heads[wrong].itertuples(index=False)]
        raise PipelineError(
            f"forecast: missing or repeated periods of {first_few(named)}; expected one champion row for each of "
            f"{len(dates)} periods. This is an error of the comparison stage; please report it with this message."
        )
    return heads, order


def _axes(
    heads: pd.DataFrame, facts: pd.DataFrame
) -> tuple[tuple[str, ...], tuple[str, ...], IndexArray, IndexArray, IndexArray]:
    """Labels of stores and categories, the series (store · C + category), and the series of forecasts and SKUs.

    A category with stock and without a forecast is a series without demand. Its stock uses storage capacity.
    ``heads`` has the store and category of each forecast series.
    """
    store_ids = tuple(sorted(set(heads[c.STORE_ID]) | set(facts[c.STORE_ID])))
    categories = tuple(sorted(set(heads[c.CATEGORY]) | set(facts[c.CATEGORY])))
    stores, labels = pd.Index(store_ids), pd.Index(categories)
    forecast_keys, sku_keys = (
        stores.get_indexer(frame[c.STORE_ID]) * len(labels) + labels.get_indexer(frame[c.CATEGORY])
        for frame in (heads, facts)
    )
    series = np.unique(np.concatenate([forecast_keys, sku_keys]))
    return store_ids, categories, series, np.searchsorted(series, forecast_keys), np.searchsorted(series, sku_keys)


def planning_paths(problem: PlanProblem, count: int) -> int:
    """Number of sample paths for planning: more than ``count`` if neither deliveries nor space are searched."""
    free = np.isinf(problem.capacity) & (problem.free_visits if problem.free_visits is not None else False)
    if not (uncapacitated_stores(problem) | free).all():
        return count
    return max(count, min(MOST_CHEAP_PATHS, CHEAP_NUMBERS // max(problem.mean.size, 1)))


def sku_weights(facts: pd.DataFrame) -> FloatArray:
    """Weight of each SKU in the mean price of its category: recent units + 0.01 · all units + a small constant."""
    recent = facts[c.RECENT_UNITS].to_numpy(dtype=float)
    total = facts[c.TOTAL_UNITS].to_numpy(dtype=float)
    return np.maximum(recent, 0.0) + 0.01 * np.maximum(total, 0.0) + 1e-6


def series_prices(facts: pd.DataFrame, series: IndexArray, size: int) -> FloatArray:
    """Sales-weighted mean price of the SKUs of each series, shape (size,); 1 without SKUs.

    Args:
        facts: one row per (store, SKU).
        series: index of each row's series, 0 to size − 1.
        size: number of series.
    """
    weight = sku_weights(facts)
    total = np.bincount(series, weights=weight, minlength=size)
    value = np.bincount(series, weights=weight * facts[c.UNIT_PRICE].to_numpy(dtype=float), minlength=size)
    return np.divide(value, total, out=np.ones(size), where=total > 0)


def _prices(inputs: WeeklyInputs, sku_rows: IndexArray, mean: FloatArray, dates: pd.DatetimeIndex) -> FloatArray:
    """Cost of a lost unit, shape (n, T): ``inventory.shortage_cost``, or the sales-weighted mean price of the SKUs."""
    shortage = inputs.settings.inventory.shortage_cost
    if shortage != "price":
        return np.full(mean.shape, float(shortage))
    facts = inputs.sku_facts
    price = np.repeat(series_prices(facts, sku_rows, len(mean))[:, None], len(dates), axis=1)
    if inputs.planned_prices is None or inputs.planned_prices.empty:
        return price
    weight = sku_weights(facts)
    unit = facts[c.UNIT_PRICE].to_numpy(dtype=float)
    total = np.bincount(sku_rows, weights=weight, minlength=len(mean))
    planned = with_text_ids(inputs.planned_prices)
    row = pd.MultiIndex.from_frame(facts[[c.STORE_ID, c.SKU]]).get_indexer(
        pd.MultiIndex.from_frame(planned[[c.STORE_ID, c.SKU]])
    )
    period = dates.get_indexer(pd.DatetimeIndex(planned[c.DATE]))
    known = (row >= 0) & (period >= 0)
    row, period = row[known], period[known]
    change = weight[row] * (planned[c.PRICE].to_numpy(dtype=float)[known] - unit[row])
    np.add.at(price, (sku_rows[row], period), change / total[sku_rows[row]])
    return np.maximum(price, 0.0)


def _summed(facts: pd.DataFrame, column: str, rows: IndexArray, size: int) -> FloatArray:
    """Units per series, shape (size,); missing values count as 0."""
    if column not in facts.columns:
        return np.zeros(size)
    units: FloatArray = np.zeros(size)
    np.add.at(units, rows, np.nan_to_num(facts[column].to_numpy(dtype=float)))
    return units


def transit_columns(facts: pd.DataFrame) -> dict[str, int]:
    """Map in-transit columns to the period (from 1) at whose start the goods arrive; ``in_transit`` means period 1."""
    found = {}
    for name in facts.columns:
        if name == c.IN_TRANSIT:
            found[name] = 1
        elif str(name).startswith(f"{c.IN_TRANSIT}_") and str(name).rsplit("_", 1)[1].strip("0").isdigit():
            found[name] = int(str(name).rsplit("_", 1)[1])
    return found


def _in_transit(facts: pd.DataFrame, rows: IndexArray, size: int) -> FloatArray:
    columns = transit_columns(facts)
    arriving = np.zeros((size, max(columns.values(), default=0)))
    for name, period in columns.items():
        arriving[:, period - 1] += _summed(facts, name, rows, size)
    return arriving


def store_facts(stores: pd.DataFrame, store_ids: Sequence[str], column: str, absent: float) -> FloatArray:
    """A numeric column per store, shape (S,); ``absent`` if the table has no value."""
    if column not in stores.columns:
        return np.full(len(store_ids), absent)
    values = stores.set_index(stores[c.STORE_ID].astype(str))[column].reindex(store_ids).to_numpy(dtype=float)
    return np.where(np.isnan(values), absent, values)


def supply_of_skus(inputs: WeeklyInputs, names: np.ndarray, dates: pd.DatetimeIndex) -> FloatArray | None:
    """Units of each SKU that the distribution center may send from each period on, shape (SKUs, T).

    inf in the first column for a SKU that is not in the table dc_stock. Arrivals count from their date on.

    Returns:
        None without the table.
    """
    if inputs.dc_stock is None:
        return None
    stock = inputs.dc_stock.groupby(inputs.dc_stock[c.SKU].astype(str))[c.AVAILABLE].sum().reindex(names)
    own = stock.to_numpy(dtype=float)
    supply = np.zeros((len(names), len(dates)))
    supply[:, 0] = np.where(np.isnan(own), np.inf, own)
    if inputs.dc_inbound is not None and len(inputs.dc_inbound):
        at = np.searchsorted(dates, pd.DatetimeIndex(inputs.dc_inbound[c.DATE]))
        arriving = pd.Index(names).get_indexer(inputs.dc_inbound[c.SKU].astype(str))
        known = (arriving >= 0) & (at < len(dates))
        np.add.at(supply, (arriving[known], at[known]), inputs.dc_inbound[c.QUANTITY].to_numpy(dtype=float)[known])
    return supply


def sku_detail(
    inputs: WeeklyInputs, weekly: WeeklyProblem, share: FloatArray, need: FloatArray, largest: FloatArray | None = None
) -> SkuDetail:
    """The (store, SKU) pairs of a run, for the simulation by SKU.

    Args:
        inputs: inputs of the run.
        weekly: its plan problem.
        share: shape (rows of the SKU facts,), share in the demand of the series; 0 for SKUs that may not be sent.
        need: shape (rows of the SKU facts,), the level of a series is split in proportion to it.
        largest: shape (rows of the SKU facts,), see :class:`schemas.plan.SkuDetail`.
    """
    facts, series = inputs.sku_facts, weekly.series_of_sku
    names, sku = np.unique(facts[c.SKU].astype(str).to_numpy(dtype=object), return_inverse=True)
    columns = transit_columns(facts)
    in_transit = np.zeros((len(facts), max(columns.values(), default=0)))
    for name, period in columns.items():
        in_transit[:, period - 1] += np.nan_to_num(facts[name].to_numpy(dtype=float))
    supply = supply_of_skus(inputs, names, weekly.dates)
    # A series without a SKU is one SKU with unlimited supply.
    lone = np.flatnonzero(np.bincount(series, minlength=len(weekly.problem.on_hand)) == 0)
    more = len(lone)
    if supply is not None and more:
        extra = np.zeros((1, supply.shape[1]))
        extra[0, 0] = np.inf
        supply = np.concatenate([supply, extra])
    counted = c.ON_HAND in facts.columns
    on_hand = np.nan_to_num(facts[c.ON_HAND].to_numpy(dtype=float)) if counted else np.zeros(len(facts))
    return SkuDetail(
        series=np.concatenate([series, lone]).astype(np.int64),
        sku=np.concatenate([sku, np.full(more, len(names))]).astype(np.int64),
        share=np.concatenate([share, np.ones(more)]),
        need=np.concatenate([need, np.ones(more)]),
        on_hand=np.concatenate([on_hand, np.zeros(more)]),
        in_transit=np.concatenate([in_transit, np.zeros((more, in_transit.shape[1]))]),
        supply=supply,
        largest=None if largest is None else np.concatenate([largest, np.full(more, np.inf)]),
    )
