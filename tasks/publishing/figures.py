"""The report's figures: forecasts against actuals, daily stock per store and policy, visits by day."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from tasks.publishing.accuracy import SeriesLookup
from tasks.publishing.formats import number, quantity
from tasks.publishing.svg import Plot, axis_top

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

# A capacity far above the stock would flatten the stock's line: then it is told, not drawn.
_CAPACITY_IN_SIGHT = 2.5
_NOTICEABLE_SHARE = 0.05


@dataclass(frozen=True)
class Curves:
    """Actuals and forecasts of k series (or one total) over T periods; NaN where there is none.

    Attributes:
        periods: T labels: history, then horizon.
        live_from: position of the horizon's first period.
        actual: shape (k, T); demand in units.
        fold: shape (k, T); the champions' forecast made one horizon before.
        live: shape (k, T); the champions' forecast of this run.
        low: shape (k, T); lower edge of its band; None where a band cannot be told.
        high: shape (k, T); upper edge.
    """

    periods: pd.DatetimeIndex
    live_from: int
    actual: FloatArray
    fold: FloatArray
    live: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None


@dataclass(frozen=True)
class ForecastFrames:
    """What forecast figures are drawn from.

    Attributes:
        champions: one row per series, sorted.
        history: demand of the recent past.
        fold: the champions' rows of the last fold.
        live: the champions' rows of the live forecast.
    """

    champions: pd.DataFrame
    history: pd.DataFrame
    fold: pd.DataFrame
    live: pd.DataFrame

    @classmethod
    def of(
        cls, champions: pd.DataFrame, history: pd.DataFrame, backtest: pd.DataFrame, forecast: pd.DataFrame
    ) -> ForecastFrames:
        """Pick the champions' rows."""
        last = backtest[backtest[c.CUTOFF] == backtest[c.CUTOFF].max()]
        position = SeriesLookup(champions).of(last)
        names = champions[c.MODEL].astype(object).to_numpy()
        mine = (position >= 0) & (last[c.MODEL].astype(object).to_numpy() == names[position])
        return cls(champions, history, last[mine], forecast[forecast[c.CHAMPION].astype(bool)])

    @property
    def periods(self) -> pd.DatetimeIndex:
        """Every period of the three frames, rising."""
        dates = [pd.to_datetime(frame[c.DATE]).unique() for frame in (self.history, self.fold, self.live)]
        return pd.DatetimeIndex(np.unique(np.concatenate(dates)))

    def total(self) -> Curves:
        """The network: sums of known demand and of expected demand, without a band.

        Quantiles of single series do not add up to a quantile of their sum.
        """
        periods = self.periods
        actual, fold, live = (
            _total(frame, column, periods)[None, :]
            for frame, column in ((self.history, c.UNITS), (self.fold, c.MEAN), (self.live, c.MEAN))
        )
        return Curves(periods, self._live_from(periods), actual, fold, live)

    def of_series(self, positions: IndexArray, band: tuple[str, str] | None) -> Curves:
        """Some series with their median forecasts.

        Args:
            positions: rows of ``champions``.
            band: lower and upper quantile column, or None.
        """
        periods = self.periods
        rank = np.full(len(self.champions) + 1, -1, dtype=np.int64)
        rank[positions] = np.arange(len(positions))
        lookup = SeriesLookup(self.champions)

        def grid(frame: pd.DataFrame, column: str) -> FloatArray:
            row = rank[lookup.of(frame)]
            values = np.full((len(positions), len(periods)), np.nan)
            picked = frame[row >= 0]
            values[row[row >= 0], periods.get_indexer(pd.to_datetime(picked[c.DATE]))] = picked[column].to_numpy()
            return values

        return Curves(
            periods,
            self._live_from(periods),
            grid(self.history, c.UNITS),
            grid(self.fold, c.MEDIAN),
            grid(self.live, c.MEDIAN),
            None if band is None else grid(self.live, band[0]),
            None if band is None else grid(self.live, band[1]),
        )

    def _live_from(self, periods: pd.DatetimeIndex) -> int:
        return int(periods.searchsorted(pd.to_datetime(self.live[c.DATE]).min())) if len(self.live) else len(periods)


def forecast_figure(curves: Curves, row: int, title: str, width: int = 560, height: int = 210) -> str:
    """Demand, last fold's forecast and live forecast of one series (or the total)."""
    lines = [curves.actual[row], curves.fold[row], curves.live[row]]
    bands = [] if curves.low is None or curves.high is None else [curves.low[row], curves.high[row]]
    plot = Plot(curves.periods, axis_top(*lines, *bands), width, height)
    return plot.drawing(
        title,
        plot.axes(),
        plot.band(bands[0], bands[1], "band") if bands else "",
        plot.divider(curves.live_from, "today"),
        plot.line(lines[0], "actual"),
        plot.line(lines[1], "fold"),
        plot.line(lines[2], "live"),
    )


@dataclass(frozen=True)
class StoreCard:
    """One store's figures.

    Attributes:
        store: its id.
        facts: a line of text below the id.
        crowded: it exceeds its capacity noticeably under the chosen policy.
        figures: one drawing per policy shown.
    """

    store: str
    facts: str
    crowded: bool
    figures: tuple[str, ...]


class StockFigures:
    """Daily stock, capacity and sales of every store, for the policies shown.

    Attributes:
        policies: the policies shown, the chosen one first.
    """

    def __init__(self, stock_by_day: pd.DataFrame, policies: Sequence[str]) -> None:
        """Arrange the rows of ``stock_by_day`` as arrays; policies that it lacks are left out."""
        found = set(stock_by_day[c.POLICY].astype(object))
        self.policies = [policy for policy in policies if policy in found]
        self._stores = sorted(stock_by_day[c.STORE_ID].astype(object).unique(), key=natural_order)
        dates = pd.to_datetime(stock_by_day[c.DATE])
        self._periods = pd.DatetimeIndex(np.sort(dates.unique()))
        policy = pd.Index(self.policies).get_indexer(stock_by_day[c.POLICY].astype(object))
        store = pd.Index(self._stores).get_indexer(stock_by_day[c.STORE_ID].astype(object))
        cell = (policy, store, self._periods.get_indexer(dates))
        shown = policy >= 0
        shape = (len(self.policies), len(self._stores), len(self._periods))
        self._at = tuple(part[shown] for part in cell)
        self._stock, self._sales, self._over, capacity = (
            self._grid(stock_by_day.loc[shown, column], shape) for column in (c.STOCK, c.SALES, c.OVER, c.CAPACITY)
        )
        self._capacity = np.where(np.isfinite(capacity), capacity, -np.inf).max(axis=(0, 2), initial=-np.inf)

    def cards(self) -> Iterator[StoreCard]:
        """One card per store, in the natural order of their ids."""
        for store, name in enumerate(self._stores):
            figures = tuple(self._figure(store, policy) for policy in range(len(self.policies)))
            crowded = bool((np.nan_to_num(self._over[:1, store]) > _NOTICEABLE_SHARE).any())
            yield StoreCard(str(name), self._facts(store), crowded, figures)

    def _grid(self, values: pd.Series, shape: tuple[int, int, int]) -> FloatArray:
        grid = np.full(shape, np.nan)
        grid[self._at] = values.to_numpy(dtype=np.float64)
        return grid

    def _facts(self, store: int) -> str:
        capacity = self._capacity[store]
        words = [f"capacity {number(capacity)} units" if np.isfinite(capacity) else "capacity unlimited"]
        if np.isfinite(capacity) and not self._in_sight(store):
            words[0] += " (above the chart)"
        sales = np.nansum(self._sales[:1, store])
        words.append(f"{quantity(float(sales))} units expected to be sold")
        days = np.nansum(self._over[:1, store])
        if days >= _NOTICEABLE_SHARE:
            words.append(f"{quantity(float(days))} periods over capacity")
        return " · ".join(words)

    def _top(self, store: int) -> float:
        return axis_top(self._stock[:, store], self._sales[:, store])

    def _in_sight(self, store: int) -> bool:
        capacity = self._capacity[store]
        return bool(np.isfinite(capacity) and capacity <= self._top(store) * _CAPACITY_IN_SIGHT)

    def _figure(self, store: int, policy: int) -> str:
        capacity = self._capacity[store]
        top, in_sight = self._top(store), self._in_sight(store)
        plot = Plot(self._periods, max(top, capacity) if in_sight else top, 300, 140, 38)
        over = np.nan_to_num(self._over[policy, store])
        return plot.drawing(
            f"Store {self._stores[store]}, policy {self.policies[policy]}: stock and sales by period",
            plot.axes(3),
            plot.bars(np.where(over >= _NOTICEABLE_SHARE, over * plot.top, np.nan), "over"),
            plot.bars(self._sales[policy, store], "sales"),
            plot.line(self._stock[policy, store], "stock"),
            plot.level(capacity, "capacity") if in_sight else "",
        )


def visits_figure(visits: pd.DataFrame, periods: pd.DatetimeIndex, limit: int | None) -> str:
    """Stores visited in each period, with the network's limit where one is set."""
    at = periods.get_indexer(pd.to_datetime(visits[c.DATE]))
    counts = np.bincount(at[at >= 0], minlength=len(periods)).astype(np.float64)
    plot = Plot(periods, axis_top(counts, float(limit or 0)), 1120, 190)
    return plot.drawing(
        "Stores visited by period",
        plot.axes(),
        plot.bars(counts, "visits"),
        plot.level(float(limit), "capacity") if limit else "",
    )


def natural_order(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts store 2 before store 10.

    >>> sorted(["10", "2", "B1"], key=natural_order)
    ['2', '10', 'B1']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", str(text))
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def _total(frame: pd.DataFrame, column: str, periods: pd.DatetimeIndex) -> FloatArray:
    """Sum of the known values per period; NaN where nothing is known."""
    values = frame[column].to_numpy(dtype=np.float64)
    at = periods.get_indexer(pd.to_datetime(frame[c.DATE]))
    known = np.isfinite(values)
    total = np.bincount(at[known], values[known], minlength=len(periods))
    counted = np.bincount(at[known], minlength=len(periods)) > 0
    return np.where(counted, total, np.nan)
