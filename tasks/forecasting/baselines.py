"""The baselines: seasonal naive and moving average, for every series with any history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from schemas.facts import FailureKind, ModelContext, ModelFacts, Scope, SeriesFailure
from schemas.frequency import Frequency
from schemas.panel import FloatArray, Forecast, Panel
from tasks.forecasting.quantiles import normal_scores, row_quantiles, tidy
from tasks.storage.mapped import row_blocks

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
        history = open_demand(panel)
        point = seasonal_point(history, panel.horizon, panel.frequency)
        spread = np.empty((*point.shape, len(quantiles)))
        for steps, errors in _seasonal_errors(history, panel.horizon, panel.frequency.season):
            shape = _error_quantiles(errors, _scale(history, panel.frequency), [*quantiles, 0.5], self._pooled)
            spread[:, steps] = (shape[:, :-1] - shape[:, -1:])[:, None]
        return _forecast(panel, history, point, point[..., None] + spread)


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
        history = open_demand(panel)
        window = AVERAGE_WINDOW[panel.frequency.kind]
        point = np.repeat(last_mean(history, window)[:, None], panel.horizon, axis=1)
        levels = np.empty((*point.shape, len(quantiles)))
        scale = _scale(history, panel.frequency)
        for steps, errors in _average_errors(history, panel.horizon, window, STEP_GROUP[panel.frequency.kind]):
            shape = _error_quantiles(errors, scale, quantiles, pooled=True)
            levels[:, steps] = point[:, steps, None] + shape[:, None]
        return _forecast(panel, history, point, levels)


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


def _scale(history: FloatArray, frequency: Frequency) -> FloatArray:
    """Size of a series, shape (n,): mean of the known open periods of its last year; NaN where none."""
    return last_mean(history, frequency.periods_per_year)


def _error_quantiles(errors: FloatArray, scale: FloatArray, levels: Sequence[float], pooled: bool) -> FloatArray:
    """Quantiles of each series' errors, shape (n, Q), shrunk to relative errors times its scale.

    Args:
        errors: shape (n, m), units; NaN = unknown.
        scale: shape (n,), units; NaN or 0 = no spread to shrink towards.
        levels: Q fractions.
        pooled: take the relative errors of all series; otherwise a normal of coefficient of variation 0.5.
    """
    own = row_quantiles(errors, levels)
    count = np.isfinite(errors).sum(axis=1)
    weight = (count / (count + RULE.prior_errors))[:, None]
    size: FloatArray = np.where(np.isfinite(scale), scale, 0.0)
    relative = RULE.fixed_variation * normal_scores(levels)
    selling = np.flatnonzero(size > 0.0)
    if pooled and selling.size:
        shares = (errors[selling] / size[selling, None]).ravel()
        shares = shares[np.isfinite(shares)]
        relative = np.quantile(shares, levels) if shares.size else relative
    return np.where(count[:, None] > 0, weight * own, 0.0) + (1.0 - weight) * size[:, None] * relative


def _forecast(panel: Panel, history: FloatArray, point: FloatArray, levels: FloatArray) -> Forecast:
    """A tidy forecast in which series without history are 0 and reported."""
    empty = np.isfinite(history).sum(axis=1) == 0
    mean, quantiles = tidy(
        np.where(empty[:, None], 0.0, point),
        np.where(empty[:, None, None], 0.0, levels),
        panel.closed[:, panel.history : panel.history + panel.horizon],
    )
    return Forecast(mean, quantiles, {int(i): NO_HISTORY for i in np.flatnonzero(empty)})
