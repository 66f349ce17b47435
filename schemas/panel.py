"""The demand panel: every series on one time axis, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.facts import SeriesFailure
from schemas.frequency import Frequency

FloatArray = NDArray[np.float64]
SmallFloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.int64]


@dataclass(frozen=True)
class KnownFeature:
    """A feature known in advance over history and horizon.

    Attributes:
        values: shape (rows, T + H); one row for the whole network, one per store or one per series.
        row_of_series: shape (n,); the row of ``values`` that holds for each series.
    """

    values: SmallFloatArray
    row_of_series: IndexArray

    def at(self, series: IndexArray, periods: IndexArray) -> SmallFloatArray:
        """Values for pairs (or broadcast grids) of series and period indices."""
        picked: SmallFloatArray = self.values[self.row_of_series[series], periods]
        return picked


@dataclass(frozen=True)
class PlannedEvent:
    """An event of the events table, with all its occurrences, over history and horizon.

    Attributes:
        share: fraction of the days of each period that lie in an occurrence; 0 if the event does not apply to the
            series.
        uplift: expected factor on demand on the days of the occurrence; 0 if none is stated.
    """

    share: KnownFeature
    uplift: KnownFeature

    def each(self, change: Callable[[KnownFeature], KnownFeature]) -> PlannedEvent:
        """The event with both features changed."""
        return PlannedEvent(change(self.share), change(self.uplift))


@dataclass(frozen=True)
class Panel:
    """n series over T known periods and H periods to forecast.

    Attributes:
        frequency: period length and labels.
        series: one row per series, columns store_id and category (text), sorted by both, then static
            features (text or number) of the store and, if constant in the category, of the product.
        periods: T + H labels; the first T are history, the last H are the horizon.
        demand: shape (n, T); units per period, NaN = unknown, never negative.
        closed: shape (n, T + H); the store is known to be closed (its demand is zero and known).
        known: name to known future covariate (calendar, holidays, events, planned promotions).
        observed: name to past covariate, shape (n, T) (such as the last price).
        sold: shape (n, T); units as sold, before outliers and stock-outs became unknown: 0 where nothing was sold,
            NaN only before a series' first period and after the last delivered row. None if only the demand exists.
        horizon: H.
        events: name to planned event. Its effect is removed from the demand that models read, and added to their
            forecasts
            (:mod:`tasks.forecasting.event_effects`).
    """

    frequency: Frequency
    series: pd.DataFrame
    periods: pd.DatetimeIndex
    demand: FloatArray
    closed: BoolArray
    horizon: int
    known: Mapping[str, KnownFeature] = field(default_factory=dict)
    observed: Mapping[str, SmallFloatArray] = field(default_factory=dict)
    sold: FloatArray | None = None
    events: Mapping[str, PlannedEvent] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of series."""
        return len(self.series)

    @property
    def history(self) -> int:
        """T, the number of known periods."""
        return int(self.demand.shape[1])

    @property
    def history_periods(self) -> pd.DatetimeIndex:
        """The T labels of the history."""
        return self.periods[: self.history]

    @property
    def horizon_periods(self) -> pd.DatetimeIndex:
        """The H labels to forecast."""
        return self.periods[self.history : self.history + self.horizon]

    def until(self, cutoff: int, blocks: Iterable[slice] = (slice(None),)) -> Panel:
        """The panel as it was when only the first ``cutoff`` periods were known.

        Args:
            cutoff: number of known periods, 1 to T. Later periods are removed, not masked: only known
                future covariates reach into the horizon.
            blocks: series that are read at a time, if the panel is on disk.
        """
        end = cutoff + self.horizon
        return replace(
            self,
            periods=self.periods[:end],
            demand=self.demand[:, :cutoff],
            closed=self._closed_as_known(cutoff, end, blocks),
            known={name: KnownFeature(f.values[:, :end], f.row_of_series) for name, f in self.known.items()},
            observed={name: values[:, :cutoff] for name, values in self.observed.items()},
            sold=None if self.sold is None else self.sold[:, :cutoff],
            events={
                name: event.each(lambda f: KnownFeature(f.values[:, :end], f.row_of_series))
                for name, event in self.events.items()
            },
        )

    def _closed_as_known(self, cutoff: int, end: int, blocks: Iterable[slice]) -> BoolArray:
        """Closures up to ``end`` as known after ``cutoff`` periods: ahead of it those of the calendar only."""
        closed = np.empty((self.n, end), dtype=bool)
        is_open = self.known.get(c.OPEN)
        ahead = slice(cutoff, end)
        for series in blocks:
            closed[series] = self.closed[series, :end]
            if is_open is None:
                closed[series, ahead] = False
            else:
                closed[series, ahead] &= is_open.values[is_open.row_of_series[series], ahead] <= 0
        return closed

    def take(self, series: IndexArray) -> Panel:
        """The panel of some series, in the given order."""
        return replace(
            self,
            series=self.series.iloc[series].reset_index(drop=True),
            demand=self.demand[series],
            closed=self.closed[series],
            known={name: KnownFeature(f.values, f.row_of_series[series]) for name, f in self.known.items()},
            observed={name: values[series] for name, values in self.observed.items()},
            sold=None if self.sold is None else self.sold[series],
            events={
                name: event.each(lambda f: KnownFeature(f.values, f.row_of_series[series]))
                for name, event in self.events.items()
            },
        )


@dataclass(frozen=True)
class Fold:
    """One rolling-origin fold.

    Attributes:
        cutoff: the ``as_of`` of the fold: label of the first forecast period.
        known_periods: number of periods before the cutoff.
    """

    cutoff: pd.Timestamp
    known_periods: int


@dataclass(frozen=True)
class Forecast:
    """Forecast of n series over H periods.

    Attributes:
        mean: shape (n, H); expected units, at least 0.
        quantiles: shape (n, H, Q); in the order of the set levels, never crossing, at least 0.
        failed: index of a series to why the model could not serve it; its rows hold the
            fallback's forecast (seasonal naive).
        notes: remarks for the run's tables, such as the order found or rounds used.
        paths: shape (n, H, K); the model's own sample paths, NaN for series that it could not serve; None if it
            has none or none were requested.
    """

    mean: FloatArray
    quantiles: FloatArray
    failed: Mapping[int, SeriesFailure] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    paths: SmallFloatArray | None = None
