"""Sales, lost units, stock and costs of a published week."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.outputs import SERIES
from schemas.panel import FloatArray, IndexArray
from schemas.performance import OVERALL, STORE, Basis
from schemas.plan import Plan, PlanProblem
from tasks.inventory.exact.bounds import bound_of
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import (
    HELD_UNITS,
    LOST_VALUE,
    OVER_PERIODS,
    decidable,
    store_measures,
)
from tasks.performance.accuracy import by_lag, places
from tasks.performance.published_week import PublishedWeek
from tasks.performance.replay import Replay


@dataclass(frozen=True)
class SoldUnits:
    """Sales of n series in the K known periods of a week.

    Attributes:
        demand: shape (n, K), units; NaN = unknown.
        sold: shape (n, K), units sold; a lower bound of the demand.
        expected: shape (n, K), mean of the published forecast, units.
        out: shape (n, K), share of the SKUs of the series that were out of stock; None without the table availability.
        lost: shape (n, K), estimated units lost by SKUs that were out of stock; None without the table.
    """

    demand: FloatArray
    sold: FloatArray
    expected: FloatArray
    out: FloatArray | None = None
    lost: FloatArray | None = None

    @property
    def lost_units(self) -> FloatArray:
        """Estimated lost units, shape (n, K): expected minus sold if the demand is unknown."""
        unknown = np.where(np.isnan(self.demand), np.maximum(self.expected - self.sold, 0.0), 0.0)
        return unknown if self.lost is None else np.maximum(unknown, self.lost)

    @property
    def out_of_stock(self) -> FloatArray:
        """Share of each series and period that was out of stock, shape (n, K)."""
        unknown = np.isnan(self.demand).astype(np.float64)
        return unknown if self.out is None else np.maximum(unknown, self.out)

    @property
    def estimated_demand(self) -> FloatArray:
        """Demand; units sold plus lost units if it is unknown, shape (n, K)."""
        return np.where(np.isnan(self.demand), self.sold, np.nan_to_num(self.demand)) + self.lost_units


def service(
    units: SoldUnits,
    series: pd.DataFrame,
    price: FloatArray,
    lag_length: int,
    stock: Mapping[int, FloatArray],
    forecast: FloatArray,
) -> pd.DataFrame:
    """Compute the table ``service`` except the service level.

    Args:
        units: what was sold.
        series: store_id and category of the n series.
        price: shape (n,), value of a lost unit, currency.
        lag_length: periods of a lag.
        stock: units on hand at the end of a lag, shape (n,), by lag; lags without a count are missing.
        forecast: shape (n, H), mean forecast of the whole horizon; stock above the rest of this forecast is overstock.
    """
    lost = units.lost_units
    cells = {
        c.SOLD_UNITS: units.sold,
        c.LOST_UNITS: lost,
        c.LOST_VALUE: lost * price[:, None],
        c.UNKNOWN_DAYS: np.isnan(units.demand).astype(np.float64),
        c.IN_STOCK_DAYS: 1.0 - units.out_of_stock,
        c.N: np.ones(units.sold.shape),
    }
    lags = {name: by_lag(np.nan_to_num(values), lag_length) for name, values in cells.items()}
    rest = np.pad(np.cumsum(forecast[:, ::-1], axis=1)[:, ::-1], ((0, 0), (0, 1)))
    frames = []
    for level, names, codes in places(series):
        for lag in range(lags[c.N].shape[1]):
            sums = {name: _sum(codes, values[:, lag], len(names)) for name, values in lags.items()}
            held, over = np.full(len(names), np.nan), np.full(len(names), np.nan)
            if lag in stock:
                # Overstock of one series never offsets the shortage of another.
                ahead = rest[:, min(lag * lag_length, forecast.shape[1])]
                held = _sum(codes, stock[lag], len(names))
                over = _sum(codes, np.maximum(stock[lag] - ahead, 0.0), len(names))
            frames.append(
                pd.DataFrame(
                    {**names, c.LEVEL: level, c.LAG: lag, **sums, c.STOCK_UNITS: held, c.OVERSTOCK_UNITS: over}
                )
            )
    rows = pd.concat(frames, ignore_index=True)
    wanted = rows[c.SOLD_UNITS] + rows[c.LOST_UNITS]
    return rows.assign(
        **{
            c.FILL_RATE: (rows[c.SOLD_UNITS] / wanted.where(wanted > 0)).fillna(1.0),
            c.ESTIMATED: (rows[c.UNKNOWN_DAYS] > 0) | (rows[c.LOST_UNITS] > 0),
            c.IN_STOCK_DAYS: rows[c.IN_STOCK_DAYS] / rows[c.N],
        }
    ).drop(columns=c.N)


def _sum(codes: IndexArray, values: FloatArray, size: int) -> FloatArray:
    return np.asarray(np.bincount(codes, weights=values, minlength=size), dtype=np.float64)


def plan_costs(week: PublishedWeek, replay: Replay, demand: FloatArray) -> pd.DataFrame:
    """Compute the table ``plan_costs``: the published plan on its forecast and on the actual demand, and the bound.

    Args:
        week: published files.
        replay: its plan problem of n series.
        demand: shape (n, K), units of the known periods, estimated if unknown.
    """
    levels = week.table("levels")
    periods = demand.shape[1]
    if levels is None or periods <= replay.problem.settings.lead_time:
        return pd.DataFrame()
    plan = Plan(replay.visits[:, :periods].copy(), _levels(levels, replay)[:, :periods].copy())
    drawn = replay.bare.drawn(replay.correlation, week.settings.inventory.sample_paths, week.settings.seed + 1)
    planned = first_periods(drawn, periods)
    realized = replace(planned, mean=demand, paths=None)
    costs = {Basis.PLANNED: store_costs(planned, plan), Basis.REALIZED: store_costs(realized, plan)}
    bound = bound_of(realized).bound
    return cost_rows(costs, bound.per_store, bound.total, realized.store_ids, periods)


def first_periods(problem: PlanProblem, periods: int) -> PlanProblem:
    """The first periods of a problem; units left at their end are charged once."""
    return replace(
        problem,
        mean=problem.mean[:, :periods],
        price=problem.price[:, :periods],
        paths=None if problem.paths is None else problem.paths[:, :, :periods],
        in_transit=problem.in_transit[:, :periods],
        blackout=None if problem.blackout is None else problem.blackout[:, :periods],
        periods_per_week=min(problem.periods_per_week, periods - problem.settings.lead_time),
        holding_factor=None,
        skus=None,
    )


def store_costs(problem: PlanProblem, plan: Plan) -> dict[str, FloatArray]:
    """Simulate a plan; returns each cost by store, shape (S,), currency, and the total."""
    network = Network.of(problem)
    mean = store_measures(network, plan)[0].mean(axis=1)
    costs = {
        c.TRANSPORT: decidable(plan.visits, network.lead_time).sum(axis=1) * network.visit_cost,
        c.LOST_SALES: mean[:, LOST_VALUE],
        c.HOLDING: network.holding_cost * mean[:, HELD_UNITS],
        c.OVER_CAPACITY: network.penalty * mean[:, OVER_PERIODS],
    }
    return costs | {c.TOTAL: np.sum(list(costs.values()), axis=0)}


def cost_rows(
    costs: Mapping[Basis, Mapping[str, FloatArray]],
    bound: FloatArray,
    network_bound: float,
    stores: tuple[str, ...],
    periods: int,
) -> pd.DataFrame:
    """One row per basis for the network and for every store."""
    frames = []
    for basis, own in costs.items():
        overall = pd.DataFrame({name: [float(values.sum())] for name, values in own.items()}).assign(
            **{c.LEVEL: OVERALL, c.STORE_ID: "", c.GAP: _gap(own[c.TOTAL].sum(), network_bound)}
        )
        by_store = pd.DataFrame(dict(own)).assign(
            **{c.LEVEL: STORE, c.STORE_ID: list(stores), c.GAP: _gap(own[c.TOTAL], bound)}
        )
        frames += [overall.assign(**{c.BASIS: str(basis)}), by_store.assign(**{c.BASIS: str(basis)})]
    least = {c.TOTAL: [network_bound, *bound], c.LEVEL: [OVERALL, *[STORE] * len(stores)], c.STORE_ID: ["", *stores]}
    frames.append(pd.DataFrame(least).assign(**{c.BASIS: str(Basis.BOUND)}))
    return pd.concat(frames, ignore_index=True).assign(**{c.PERIODS: periods})


def _gap(total: FloatArray | float, bound: FloatArray | float) -> FloatArray:
    above = np.asarray(bound, dtype=np.float64)
    return np.divide(total, above, out=np.full(above.shape, np.nan), where=above > 0) - 1.0


def _levels(levels: pd.DataFrame, replay: Replay) -> FloatArray:
    """Published levels, shape (n, T): each holds from its date until the next one; 0 before the first."""
    series = pd.MultiIndex.from_tuples(replay.bare.names).get_indexer(pd.MultiIndex.from_frame(levels[list(SERIES)]))
    period = replay.bare.dates.get_indexer(pd.DatetimeIndex(levels[c.DATE_FROM]))
    both = (series >= 0) & (period >= 0)
    found = np.full((len(replay.bare.names), len(replay.bare.dates)), np.nan)
    found[series[both], period[both]] = levels[c.ORDER_UP_TO].to_numpy(dtype=np.float64)[both]
    return pd.DataFrame(found).ffill(axis=1).fillna(0.0).to_numpy()


def out_of_stock_share(
    availability: pd.DataFrame, week: PublishedWeek, replay: Replay, sold: pd.DataFrame, expected: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Share of the SKUs that were out of stock, and the units that they are estimated to have lost.

    Args:
        availability: date, store_id, sku, in_stock.
        week: published files.
        replay: its plan problem of n series.
        sold: store_id, sku, date and units sold.
        expected: shape (n, K), mean forecast of the series.

    Returns:
        Two arrays of shape (n, K); None if the week has no explanations.
    """
    explained = week.explanations
    if explained is None:
        return None
    periods = expected.shape[1]
    dates = replay.bare.dates[:periods]
    rows = availability[[c.STORE_ID, c.SKU, c.DATE, c.IN_STOCK]].astype({c.STORE_ID: str, c.SKU: str})
    rows = rows[rows[c.DATE].isin(dates) & ~rows[c.IN_STOCK].astype(bool)].drop_duplicates([c.STORE_ID, c.SKU, c.DATE])
    rows = rows.merge(explained[[c.STORE_ID, c.SKU, c.CATEGORY, c.SHARE]], on=[c.STORE_ID, c.SKU])
    keys = [c.STORE_ID, c.SKU, c.DATE]
    own = sold.astype({c.STORE_ID: str, c.SKU: str}).groupby(keys, as_index=False)[c.UNITS].sum()
    rows = rows.merge(own, on=keys, how="left")
    names = pd.MultiIndex.from_tuples(replay.bare.names)
    at = names.get_indexer(pd.MultiIndex.from_frame(rows[list(SERIES)]))
    rows, at = rows[at >= 0], at[at >= 0]
    period = dates.get_indexer(pd.DatetimeIndex(rows[c.DATE]))
    of_series = explained.groupby(list(SERIES)).size().reindex(names).fillna(1.0).to_numpy(dtype=np.float64)
    out, lost = np.zeros(expected.shape), np.zeros(expected.shape)
    missing = expected[at, period] * rows[c.SHARE].to_numpy(dtype=np.float64) - rows[c.UNITS].fillna(0.0).to_numpy()
    np.add.at(out, (at, period), 1.0 / of_series[at])
    np.add.at(lost, (at, period), np.maximum(missing, 0.0))
    return np.minimum(out, 1.0), lost
