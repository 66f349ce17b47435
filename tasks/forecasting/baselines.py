"""The baselines: seasonal naive and moving average, for every series with any history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from schemas.facts import FailureKind, ModelContext, ModelFacts, Scope, SeriesFailure
from schemas.frequency import Frequency
from schemas.panel import FloatArray, Forecast, Panel
from tasks.forecasting.quantiles import by_blocks, normal_scores, quantiles_of_many, row_quantiles, tidy
from tasks.storage.mapped import empty, row_blocks

# Known periods that the moving average spans, and steps of the horizon that share their errors.
AVERAGE_WINDOW = {"D": 28, "W": 8, "MS": 6}
STEP_GROUP = {"D": 7, "W": 4, "MS": 3}
NO_HISTORY = SeriesFailure(FailureKind.NO_HISTORY, "no known open period in the history")


@dataclass(frozen=True)
class BaselineErrorRule:
    """The numbers of the baselines' error distributions (docs/reference/constants.md).

    Attributes:
        periods: errors are read from this many of the latest periods.
        prior_errors: prior weight k: a series' own errors weigh n / (n + k) against the relative errors of all series.
        fixed_variation: coefficient of variation without any known error.
    """

    periods: int = 400
    prior_errors: float = 20.0
    fixed_variation: float = 0.5


RULE = BaselineErrorRule()


def open_demand(panel: Panel) -> FloatArray:
    """History without closed periods, shape (n, T): NaN where unknown or closed."""
    return np.where(panel.closed[:, : panel.history], np.nan, panel.demand)


def open_demand_in_blocks(panel: Panel) -> Iterator[tuple[slice, FloatArray]]:
    """Consecutive series and their :func:`open_demand`, a block at a time."""
    for series in row_blocks(panel.n, panel.history):
        yield series, np.where(panel.closed[series, : panel.history], np.nan, panel.demand[series])


def last_known(values: FloatArray) -> FloatArray:
    """The last known value along axis 1 of an array (n, K, ...); NaN if none exists."""
    known = np.isfinite(values)
    place = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    return np.take_along_axis(values, place[:, None], axis=1)[:, 0]


def last_mean(values: FloatArray, count: int) -> FloatArray:
    """Mean of the last ``count`` known values of every row, shape (n,); NaN if none exists.

    >>> last_mean(np.array([[1.0, 4.0, np.nan, 6.0]]), 2)
    array([5.])
    """
    known = np.isfinite(values)
    from_the_end = np.cumsum(known[:, ::-1], axis=1)[:, ::-1]
    used = known & (from_the_end <= count)
    size = used.sum(axis=1)
    total = np.where(used, values, 0.0).sum(axis=1)
    return np.divide(total, size, out=np.full(len(values), np.nan), where=size > 0)


class SeasonalNaive:
    """Each period repeats the last known value of its position in the season (7, 52 or 12).

    A position without a known value takes the mean of the last 28, 8 or 6 known values. Closed periods
    are skipped in the history and 0 in the horizon. Mean and median are the repeated value; the other
    quantiles add the distribution of the errors y(t) - y(t - k * season). At each step, k is the age in seasons of
    the value that is repeated.

    Args:
        spread: the errors toward which few own errors are shrunk: ``pooled`` relative errors of all series of the
            panel, or ``fixed``, a normal with a coefficient of variation of 0.5, so that a series' forecast
            does not depend on which others it is computed with.
    """

    facts = ModelFacts(
        name="seasonal_naive",
        label="Seasonal naive",
        description="Repeats the last known value of the same position in the season",
        scope=Scope.BASELINE,
        forecasts_aggregates=True,
    )
    name = facts.name

    def __init__(self, spread: Literal["pooled", "fixed"] = "pooled") -> None:
        self._pooled = spread == "pooled"

    @classmethod
    def from_settings(cls, settings: None, context: ModelContext) -> SeasonalNaive:  # noqa: ARG003
        """The baseline; it has no settings."""
        return cls()

    def fit(self, panel: Panel, seed: int) -> SeasonalNaive:  # noqa: ARG002
        """Nothing is learned: everything is read from the history when forecasting."""
        return self

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the horizon; a series without any known period gets 0 and is reported as failed."""
        frequency, past = panel.frequency, _Past(panel, [*quantiles, 0.5], self._pooled)
        for series, history in open_demand_in_blocks(panel):
            point = seasonal_point(history, panel.horizon, frequency)
            past.add(series, history, point, _seasonal_errors(history, panel.horizon, frequency.season))
        return past.forecast(lambda shape: shape[:, :-1] - shape[:, -1:])


class MovingAverage:
    """The mean of the last 28, 8 or 6 known open periods (D, W, MS), the same for every step.

    Quantiles add the errors that the average made in the history as many steps ahead as the middle of
    the step's group (7 days, 4 weeks or 3 months).
    """

    facts = ModelFacts(
        name="moving_average",
        label="Moving average",
        description="Mean of the last 28 days, 8 weeks or 6 months, the same for every step",
        scope=Scope.BASELINE,
    )
    name = facts.name

    @classmethod
    def from_settings(cls, settings: None, context: ModelContext) -> MovingAverage:  # noqa: ARG003
        """The baseline; it has no settings."""
        return cls()

    def fit(self, panel: Panel, seed: int) -> MovingAverage:  # noqa: ARG002
        """Nothing is learned: everything is read from the history when forecasting."""
        return self

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the horizon; a series without any known period gets 0 and is reported as failed."""
        window, group = AVERAGE_WINDOW[panel.frequency.kind], STEP_GROUP[panel.frequency.kind]
        past = _Past(panel, quantiles, pooled=True)
        for series, history in open_demand_in_blocks(panel):
            point = np.repeat(last_mean(history, window)[:, None], panel.horizon, axis=1)
            past.add(series, history, point, _average_errors(history, panel.horizon, window, group))
        return past.forecast(lambda shape: shape)


def seasonal_point(history: FloatArray, horizon: int, frequency: Frequency) -> FloatArray:
    """The repeated values, shape (n, horizon); NaN for a series without a known value.

    Args:
        history: shape (n, T), NaN = unknown or closed.
        horizon: number of steps.
        frequency: gives the season.
    """
    n, periods = history.shape
    season = frequency.season
    missing = -periods % season
    padded = np.concatenate([np.full((n, missing), np.nan), history], axis=1)
    by_position = last_known(padded.reshape(n, -1, season))
    recent = last_mean(history, AVERAGE_WINDOW[frequency.kind])
    filled = np.where(np.isnan(by_position), recent[:, None], by_position)
    return filled[:, np.arange(horizon) % season]


def _seasonal_errors(history: FloatArray, horizon: int, season: int) -> Iterator[tuple[slice, FloatArray]]:
    """Steps that are the same number of seasons ahead, and the past errors of repeating a value that many seasons."""
    for start in range(0, horizon, season):
        lag = start + season
        later = history[:, lag:][:, -RULE.periods :]
        earlier = history[:, : max(history.shape[1] - lag, 0)][:, -RULE.periods :]
        yield slice(start, min(lag, horizon)), later - earlier


def _average_errors(history: FloatArray, horizon: int, window: int, group: int) -> Iterator[tuple[slice, FloatArray]]:
    """Steps of one group, and the errors of the average of the ``window`` periods before an origin."""
    n, periods = history.shape
    known = np.isfinite(history)
    total = np.cumsum(np.pad(np.where(known, history, 0.0), ((0, 0), (1, 0))), axis=1)
    count = np.cumsum(np.pad(known, ((0, 0), (1, 0))).astype(np.float64), axis=1)
    origins = np.arange(1, periods + 1)
    before = np.maximum(origins - window, 0)
    size = count[:, origins] - count[:, before]
    average = np.divide(total[:, origins] - total[:, before], size, out=np.full((n, periods), np.nan), where=size > 0)
    for start in range(0, horizon, group):
        lead = start + (min(group, horizon - start) + 1) // 2
        later = history[:, lead:][:, -RULE.periods :]
        made = average[:, : max(periods - lead, 0)][:, -RULE.periods :]
        yield slice(start, min(start + group, horizon)), later - made


class _Past:
    """What the baselines know of the past of each series; series are added, and forecast, a block at a time.

    Args:
        panel: n series.
        levels: Q fractions.
        pooled: shrink errors toward the relative errors of all series; otherwise toward a normal of coefficient of
            variation 0.5.
    """

    def __init__(self, panel: Panel, levels: Sequence[float], pooled: bool) -> None:
        self._panel, self._known = panel, np.zeros(panel.n, dtype=bool)
        self._point = empty(panel.n * panel.horizon, np.float64).reshape(panel.n, panel.horizon)
        self._scale = np.zeros(panel.n)  # mean of the known open periods of the last year; 0 without such a period
        self._year = panel.frequency.periods_per_year
        self._levels, self._pooled = levels, pooled
        self._groups: dict[int, _Errors] = {}

    def add(
        self, series: slice, history: FloatArray, point: FloatArray, errors: Iterable[tuple[slice, FloatArray]]
    ) -> None:
        """Add the next series: history, shape (m, T), point forecasts, (m, H), and errors at groups of steps."""
        self._known[series] = np.isfinite(history).any(axis=1)
        self._point[series] = point
        scale = last_mean(history, self._year)
        scale = self._scale[series] = np.where(np.isfinite(scale), scale, 0.0)
        for steps, of_steps in errors:
            group = self._groups.get(steps.start)
            if group is None:
                n, most = len(self._known), of_steps.shape[1] if self._pooled else 0
                own = empty(n * len(self._levels), np.float64).reshape(n, -1)
                group = _Errors(steps, own, np.empty(n), empty(n * most, np.float64))
                self._groups[steps.start] = group
            group.add(series, of_steps, scale, self._levels)

    def forecast(self, around: Callable[[FloatArray], FloatArray]) -> Forecast:
        """The tidy forecast of all series; those without history are 0 and reported.

        Args:
            around: from the quantiles of the errors of m series, shape (m, Q), their distances from the point forecast,
                shape (m, requested levels).
        """
        panel, relative = self._panel, [self._relative(group) for group in self._groups.values()]
        requested = around(np.empty((1, len(self._levels)))).shape[1]

        def block(series: slice) -> tuple[FloatArray, FloatArray]:
            known = self._known[series]
            point = np.where(known[:, None], self._point[series], 0.0)
            levels = np.empty((*point.shape, requested))
            for group, of_all in zip(self._groups.values(), relative, strict=True):
                distance = around(self._quantiles(group, series, of_all))[:, None]
                levels[:, group.steps] = point[:, group.steps, None] + distance
            levels = np.where(known[:, None, None], levels, 0.0)
            return tidy(point, levels, panel.closed[series, panel.history : panel.history + panel.horizon])

        failed = {int(at): NO_HISTORY for at in np.flatnonzero(~self._known)}
        return Forecast(*by_blocks((panel.n, panel.horizon, requested), block), failed)

    def _relative(self, group: _Errors) -> FloatArray:
        """Quantiles of the relative errors of all series, shape (Q,)."""
        shares = group.shares[: group.filled]
        if not shares.size:
            return RULE.fixed_variation * normal_scores(self._levels)
        return quantiles_of_many(shares, self._levels)

    def _quantiles(self, group: _Errors, series: slice, relative: FloatArray) -> FloatArray:
        """Quantiles of the errors of some series at a group of steps, shape (m, Q), shrunk."""
        count = group.count[series, None]
        weight = count / (count + RULE.prior_errors)
        own = np.where(count > 0, weight * group.own[series], 0.0)
        return own + (1.0 - weight) * self._scale[series, None] * relative


@dataclass
class _Errors:
    """Errors at a group of steps.

    Attributes:
        steps: the group.
        own: shape (n, Q); quantiles of each series' errors, which may be on disk.
        count: shape (n,); number of known errors.
        shares: relative errors of all series, which may be on disk: the first ``filled`` values.
    """

    steps: slice
    own: FloatArray
    count: FloatArray
    shares: FloatArray
    filled: int = 0

    def add(self, series: slice, errors: FloatArray, scale: FloatArray, levels: Sequence[float]) -> None:
        """Add the errors of the next series, shape (m, periods), in units; NaN = unknown."""
        self.own[series] = row_quantiles(errors, levels)
        self.count[series] = np.isfinite(errors).sum(axis=1)
        if len(self.shares):
            selling = np.flatnonzero(scale > 0.0)
            shares = (errors[selling] / scale[selling, None]).ravel()
            shares = shares[np.isfinite(shares)]
            self.shares[self.filled : self.filled + len(shares)] = shares
            self.filled += len(shares)
