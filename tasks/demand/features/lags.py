"""Plain columns: lags of a series, and known future covariates.

:mod:`tasks.demand.features.rows` expresses the past relative to level, season and calendar. That helps where these
explain demand and hurts where they are mostly noise. Here the past is unchanged, in standard deviations of the series
around its mean, so that all series have one scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from schemas.panel import FloatArray, IndexArray, Panel, SmallFloatArray
from tasks.demand.features.known import KnownColumns
from tasks.demand.features.training_rows import Rows
from tasks.demand.features.windows import RunningSums

# Periods before the origin whose values are read, and windows before it whose means are.
LAGS = {"D": (1, 2, 3, 4, 5, 6, 7, 14, 21, 28), "W": (1, 2, 3, 4, 5, 6, 7, 8, 13, 26), "MS": (1, 2, 3, 4, 5, 6, 12)}
WINDOWS = {"D": (7, 28, 56, 182), "W": (4, 13, 26), "MS": (3, 6, 12)}
# The period a year before the target, on the same weekday, and the periods next to it.
YEAR, AROUND_YEAR = {"D": 364, "W": 52, "MS": 12}, (-1, 0, 1)
# Periods on each side of the target a year ago that are averaged into its seasonal value.
SEASON_AROUND = {"D": 3, "W": 1, "MS": 0}
WEEK = 7


@dataclass(frozen=True)
class LagRule:
    """The numbers of the lag features (docs/reference/constants.md).

    Attributes:
        same_weekdays: last known values of the target's weekday.
        smallest_deviation: the standard deviation of a series is at least this fraction of its mean.
    """

    same_weekdays: int = 4
    smallest_deviation: float = 0.05


RULE = LagRule()


@dataclass(frozen=True)
class Standards:
    """Mean and standard deviation of every series' known open periods.

    Attributes:
        mean: shape (n,), units; 0 without a known period.
        deviation: shape (n,), units above 0; at least 5 % of the mean.
    """

    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def of(cls, demand: FloatArray) -> Standards:
        """Of demand, shape (n, T), NaN = unknown or closed.

        >>> Standards.of(np.array([[2.0, 4.0, np.nan]]))
        Standards(mean=array([3.]), deviation=array([1.]))
        """
        known = np.isfinite(demand)
        count = np.maximum(known.sum(axis=1), 1)
        mean = np.where(known, demand, 0.0).sum(axis=1) / count
        variance = np.where(known, demand - mean[:, None], 0.0) ** 2
        deviation = np.sqrt(variance.sum(axis=1) / count)
        return cls(mean, np.maximum(deviation, np.maximum(RULE.smallest_deviation * mean, np.finfo(np.float32).eps)))

    def scores(self, units: FloatArray, series: IndexArray) -> FloatArray:
        """Deviations from the mean, shape (k,), of units of some series."""
        found: FloatArray = (units - self.mean[series]) / self.deviation[series]
        return found

    def units(self, scores: FloatArray, series: IndexArray) -> FloatArray:
        """The way back; scores of shape (k, ...)."""
        shape = (-1, *[1] * (scores.ndim - 1))
        found: FloatArray = self.mean[series].reshape(shape) + scores * self.deviation[series].reshape(shape)
        return found


class LagFeatures:
    """Columns of rows of a panel.

    Rows may lie after the history: their origin is then a period of the horizon, and their past contains the values
    that :meth:`assuming` set for the periods in between.

    Args:
        panel: n series over T periods, and H to forecast.
    """

    def __init__(self, panel: Panel) -> None:
        demand = np.where(panel.closed[:, : panel.history], np.nan, panel.demand)
        self.standards = Standards.of(demand)
        self._panel = panel
        self._kind = panel.frequency.kind
        self._known = KnownColumns(panel)
        scores = (demand - self.standards.mean[:, None]) / self.standards.deviation[:, None]
        self._scores: FloatArray = np.pad(scores, ((0, 0), (0, panel.horizon)), constant_values=np.nan)
        self._sums = RunningSums(self._scores)

    def assuming(self, step: int, scores: FloatArray) -> LagFeatures:
        """These features with a period of the horizon taken as sold, for rows with later origins.

        Args:
            step: 1 for the first period after the history.
            scores: shape (n,), in standard deviations (:class:`Standards`); NaN = unknown.
        """
        found = copy(self)
        found._scores = self._scores.copy()
        found._scores[:, self._panel.history + step - 1] = scores
        found._sums = RunningSums(found._scores)
        return found

    def table(self, rows: Rows) -> tuple[SmallFloatArray, tuple[str, ...]]:
        """Columns of rows, shape (k, F), NaN = unknown at the row's origin; and their names."""
        columns = self._own_past(rows) | self._known.at(rows.series, rows.target)
        periods = self._panel.periods
        columns["month"] = periods.month.to_numpy(dtype=np.float64)[rows.target]
        if self._kind == "D":
            columns["week"] = periods.isocalendar().week.to_numpy(dtype=np.float64)[rows.target]
        columns["step"] = rows.step.astype(np.float64)
        columns["mean"] = self.standards.mean[rows.series]
        columns["deviation"] = self.standards.deviation[rows.series]
        return np.column_stack([values.astype(np.float32) for values in columns.values()]), tuple(columns)

    def matrix(self, rows: Rows, names: Sequence[str]) -> SmallFloatArray:
        """Columns of rows by their names, shape (k, F): those of the training, when fewer periods were known.

        The year before has columns only once a year is known.
        """
        table, known = self.table(rows)
        return table if tuple(names) == known else table[:, [known.index(name) for name in names]]

    def _own_past(self, rows: Rows) -> dict[str, FloatArray]:
        found = {f"lag_{lag}": self._at(rows, rows.origin - lag) for lag in LAGS[self._kind]}
        if self._kind == "D":
            same = rows.target - WEEK * ((rows.step - 1) // WEEK + 1)
            for back in range(RULE.same_weekdays):
                found[f"same_weekday_{back + 1}"] = self._at(rows, same - WEEK * back)
        for width in WINDOWS[self._kind]:
            found[f"mean_{width}"] = self._sums.mean(rows.series, rows.origin, width)
        return found | (self._year_ago(rows, found) if self._panel.history > YEAR[self._kind] else {})

    def _year_ago(self, rows: Rows, past: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """What sold a year before the target, and where last year's step from origin to target leads from today.

        Trees cannot add: the step (target's season less the level before the origin, both a year ago) is put on
        today's level for them. Example: 9 a year before the target, 5 on average in the 4 weeks a year before the
        origin, 6 in the last 4 weeks: ``step_4`` is 6 + 9 - 5 = 10.
        """
        year, around = YEAR[self._kind], SEASON_AROUND[self._kind]
        found = {f"year_ago_{shift:+d}": self._at(rows, rows.target - year + shift) for shift in AROUND_YEAR}
        # For a target less than a year ahead all periods around it a year ago are known; for a farther one only some.
        end = np.minimum(rows.target - year + around + 1, rows.origin)
        found["year_ago_season"] = self._sums.mean(rows.series, end, 2 * around + 1)
        for width in WINDOWS[self._kind][:2]:
            before = self._sums.mean(rows.series, rows.origin - year, width)
            found[f"year_ago_level_{width}"] = before
            found[f"step_{width}"] = past[f"mean_{width}"] + found["year_ago_+0"] - before
            found[f"season_step_{width}"] = past[f"mean_{width}"] + found["year_ago_season"] - before
        return found

    def _at(self, rows: Rows, period: IndexArray) -> FloatArray:
        """Scores of some periods; NaN where they lie before the history or were unknown at the origin."""
        there = (period >= 0) & (period < rows.origin)
        values = self._scores[rows.series, np.clip(period, 0, self._scores.shape[1] - 1)]
        return np.where(there, values, np.nan)
