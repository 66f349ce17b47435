"""Figures of the network and its series: forecasts and actuals, deliveries by period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from tasks.report.accuracy import SeriesLookup
from tasks.report.drawing import COLORS, Backdrop, Drawing, axis_top, draw, panels, report_style, set_axis_top
from tasks.report.language import ENGLISH, Language

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


@dataclass(frozen=True)
class Curves:
    """Actuals and forecasts of k series (or one total) over T periods; NaN = no value.

    Attributes:
        periods: T labels, history followed by horizon.
        live_from: position of the horizon's first period.
        actual: shape (k, T); demand in units.
        fold: shape (k, T); the champions' forecast of the last fold.
        live: shape (k, T); the champions' forecast of this run.
        low: shape (k, T); lower edge of the quantile band; None without a band.
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
    """Data of the forecast figures.

    Attributes:
        champions: one row per series, sorted.
        history: recent demand.
        fold: rows of the champions in the last fold.
        live: rows of the champions in the live forecast.
    """

    champions: pd.DataFrame
    history: pd.DataFrame
    fold: pd.DataFrame
    live: pd.DataFrame

    @classmethod
    def of(
        cls, champions: pd.DataFrame, history: pd.DataFrame, backtest: pd.DataFrame, forecast: pd.DataFrame
    ) -> ForecastFrames:
        """Select the champions' rows."""
        last = backtest[backtest[c.CUTOFF] == backtest[c.CUTOFF].max()]
        position = SeriesLookup(champions).of(last)
        names = champions[c.MODEL].astype(object).to_numpy()
        mine = (position >= 0) & (last[c.MODEL].astype(object).to_numpy() == names[position])
        return cls(champions, history, last[mine], forecast[forecast[c.CHAMPION].astype(bool)])

    @property
    def periods(self) -> pd.DatetimeIndex:
        """All periods of the three frames, ascending."""
        dates = [pd.to_datetime(frame[c.DATE]).unique() for frame in (self.history, self.fold, self.live)]
        return pd.DatetimeIndex(np.unique(np.concatenate(dates)))

    def total(self) -> Curves:
        """Return the sums of known and of expected demand over the network, without a band.

        Quantiles of single series do not add up to a quantile of their sum.
        """
        periods = self.periods
        actual, fold, live = (
            _total(frame, column, periods)[None, :]
            for frame, column in ((self.history, c.UNITS), (self.fold, c.MEAN), (self.live, c.MEAN))
        )
        return Curves(periods, self._live_from(periods), actual, fold, live)

    def of_series(self, positions: IndexArray, band: tuple[str, str] | None) -> Curves:
        """Return some series with their median forecasts.

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


def forecast_figures(
    curves: Curves, alts: Sequence[str], width: int = 560, height: int = 210, say: Language = ENGLISH
) -> list[Drawing]:
    """Draw demand, forecast of the last fold and live forecast, one figure per series (or one of the total).

    Args:
        curves: k series.
        alts: k descriptions for screen readers.
        width: in pixels.
        height: in pixels.
        say: language of dates and numbers.
    """
    with report_style():
        # All series share one figure: dates and frame, which take most of the time, are drawn once.
        figure, (axes,) = panels(curves.periods, width, height, say=say)
        backdrop = Backdrop(figure, [(axes, [axes.yaxis, axes.spines["bottom"]])])
        drawings = []
        for row, alt in enumerate(alts):
            band, lines = _drawn(axes, curves, row)
            drawings.append(backdrop.draw(alt, [(axes, [*band, axes.yaxis, *lines, axes.spines["bottom"]])]))
            for artist in (*band, *lines):
                artist.remove()
    return drawings


def _drawn(axes: Axes, curves: Curves, row: int) -> tuple[list[Artist], list[Artist]]:
    """Add a series to the axes: the parts of its band, and its lines."""
    values = {"ink": curves.actual[row], "fold": curves.fold[row], "live": curves.live[row]}
    edges = [] if curves.low is None or curves.high is None else [curves.low[row], curves.high[row]]
    set_axis_top(axes, axis_top(*values.values(), *edges))
    lines: list[Artist] = []
    if 0 < curves.live_from < len(curves.periods):
        lines.append(axes.axvline(curves.live_from - 0.5, color=COLORS["muted"], linewidth=1, dashes=(3, 3)))
    lines += [_line(axes, line, name) for name, line in values.items()]
    return (_band(axes, edges[0], edges[1]) if edges else []), lines


def visits_figure(
    visits: pd.DataFrame, periods: pd.DatetimeIndex, limit: int | None, say: Language = ENGLISH
) -> Drawing:
    """Draw the number of stores with a delivery per period, and the limit of the network if there is one."""
    at = periods.get_indexer(pd.to_datetime(visits[c.DATE]))
    counts = np.bincount(at[at >= 0], minlength=len(periods)).astype(np.float64)
    with report_style():
        figure, (axes,) = panels(periods, 1120, 190, say=say)
        set_axis_top(axes, axis_top(counts, float(limit or 0)))
        axes.bar(np.arange(len(periods)), counts, width=0.7, color=COLORS["visits"])
        if limit:
            axes.axhline(limit, color=COLORS["red"], linewidth=1.5, dashes=(4, 3))
        return draw(figure, say("Stores with a delivery by period"))


def _line(axes: Axes, values: FloatArray, color: str) -> Artist:
    """Draw a line with gaps at unknown values; a value between two gaps is a dot."""
    (line,) = axes.plot(
        values,
        color=COLORS[color],
        linewidth=1.5 if color == "ink" else 2.0,
        marker="o",
        markersize=3.5,
        markevery=np.flatnonzero(_isolated(values)).tolist(),
    )
    return line


def _band(axes: Axes, low: FloatArray, high: FloatArray) -> list[Artist]:
    """Fill the area between two lines, below the grid; a period between two gaps is a bar."""
    positions, known = np.arange(len(low)), np.isfinite(low) & np.isfinite(high)
    area = axes.fill_between(positions, low, high, where=known, color=COLORS["band"], linewidth=0)
    isolated = _isolated(np.where(known, low, np.nan))
    return [area, axes.vlines(positions[isolated], low[isolated], high[isolated], color=COLORS["band"], linewidth=6)]


def _isolated(values: FloatArray) -> NDArray[np.bool_]:
    """Return a mask of the known values between two unknown values."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    return known[1:-1] & ~known[:-2] & ~known[2:]


def _total(frame: pd.DataFrame, column: str, periods: pd.DatetimeIndex) -> FloatArray:
    """Return the sum of the known values per period; NaN without a known value."""
    values = frame[column].to_numpy(dtype=np.float64)
    at = periods.get_indexer(pd.to_datetime(frame[c.DATE]))
    known = np.isfinite(values)
    total = np.bincount(at[known], values[known], minlength=len(periods))
    counted = np.bincount(at[known], minlength=len(periods)) > 0
    return np.where(counted, total, np.nan)
