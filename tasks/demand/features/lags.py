"""Plain columns: lags of a series, and known future covariates.

:mod:`tasks.demand.features.rows` expresses the past relative to level, season and calendar. That helps if these
explain demand and hurts if they are mostly noise. Here the past is unchanged, in standard deviations of the series
around its mean, so that all series have one scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.panel import FloatArray, IndexArray, Panel, SmallFloatArray
from tasks.demand.features.known import KnownColumns
from tasks.demand.features.rows import reordered
from tasks.demand.features.training_rows import Rows, series_blocks
from tasks.demand.features.windows import BLOCK_CELLS, RATIOS, RunningSums
from tasks.storage.mapped import release, row_blocks

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
    """

    same_weekdays: int = 4


RULE = LagRule()


@dataclass(frozen=True)
class Standards:
    """Mean and standard deviation of every series' known open periods.

    Attributes:
        mean: shape (n,), units; 0 without a known period.
        deviation: shape (n,), units above 0; at least RATIOS.smallest times the mean.
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
        return cls(mean, np.maximum(deviation, np.maximum(RATIOS.smallest * mean, np.finfo(np.float32).eps)))

    @classmethod
    def joined(cls, parts: Sequence[Standards]) -> Standards:
        """Of all series of some parts, in their order."""
        return cls(np.concatenate([part.mean for part in parts]), np.concatenate([part.deviation for part in parts]))

    def scores(self, units: FloatArray, series: IndexArray) -> FloatArray:
        """Deviations from the mean, shape (k,), of units of some series."""
        found: FloatArray = (units - self.mean[series]) / self.deviation[series]
        return found

    def units(self, scores: FloatArray, series: IndexArray) -> FloatArray:
        """The inverse of :meth:`scores`; scores of shape (k, ...)."""
        shape = (-1, *[1] * (scores.ndim - 1))
        found: FloatArray = self.mean[series].reshape(shape) + scores * self.deviation[series].reshape(shape)
        return found


class LagFeatures:
    """Columns of rows of a panel.

    Look-up tables of the past are made for a block of series at a time. A row's columns do not depend on the blocks.

    Args:
        panel: n series over T periods, and H to forecast.
        cells: series x periods per block.

    Attributes:
        size: series per block.
    """

    def __init__(self, panel: Panel, cells: int = BLOCK_CELLS) -> None:
        self._panel = panel
        self._known = KnownColumns(panel)
        self.near = self._known.near
        self._with_year = panel.history > YEAR[panel.frequency.kind]
        self.size = max(1, cells // max(1, panel.history))
        blocks = row_blocks(panel.n, panel.history, cells)
        self.standards = Standards.joined([Standards.of(self._demand(series)) for series in blocks])

    def blocks(self, rows: Rows) -> list[IndexArray]:
        """Positions of the rows of each block of series, for tables that are used and dropped one after another."""
        return series_blocks(rows, self.size)

    def table(self, rows: Rows) -> tuple[SmallFloatArray, tuple[str, ...]]:
        """Columns of rows, shape (k, F), NaN = unknown at the row's origin; and their names."""
        whole: SmallFloatArray | None = None
        for block in self.blocks(rows):
            part = rows.take(block)
            first = int(part.series[0]) // self.size * self.size if len(part) else 0
            past = _Past(self._scores(slice(first, first + self.size)), self._panel.frequency.kind, self._with_year)
            columns = past.at(Rows(part.series - first, part.origin, part.step)) | self._other(part)
            del past
            found = np.column_stack([values.astype(np.float32) for values in columns.values()])
            if len(block) == len(rows):
                return found, tuple(columns)
            whole = np.empty((len(rows), len(columns)), dtype=np.float32) if whole is None else whole
            whole[block] = found
            release()
        assert whole is not None
        return whole, tuple(columns)

    def matrix(self, rows: Rows, names: Sequence[str]) -> SmallFloatArray:
        """Columns of rows by their names, shape (k, F).

        The names are those of the training, when fewer periods were known: columns of the year before exist only if a
        year is known. A column that does not exist is NaN.
        """
        return reordered(*self.table(rows), names)

    def continued(self, series: IndexArray, origin: IndexArray, copies: int, steps: int) -> Continuation:
        """Some series after an origin each, several copies of each.

        Args:
            series: shape (m,); indices, at least one.
            origin: shape (m,); number of known periods.
            copies: how often each series is continued, each time on its own values.
            steps: periods at most.
        """
        kind = self._panel.frequency.kind
        width = min(_reach(kind, self._with_year), int(origin.max()))
        before = origin[:, None] + np.arange(-width, 0)
        last = np.take_along_axis(self._scores(series), np.maximum(before, 0), axis=1)
        last[before < 0] = np.nan
        past = _Past(np.tile(last, (copies, 1)), kind, self._with_year, steps)
        return Continuation(past, self._other, series, origin, copies)

    def _demand(self, series: slice | IndexArray) -> FloatArray:
        """Demand of some series on open days; NaN = unknown."""
        return np.where(self._panel.closed[series, : self._panel.history], np.nan, self._panel.demand[series])

    def _scores(self, series: slice | IndexArray) -> FloatArray:
        found: FloatArray = self._demand(series) - self.standards.mean[series, None]
        return found / self.standards.deviation[series, None]

    def _other(self, rows: Rows) -> dict[str, FloatArray]:
        """The columns that do not depend on what was sold before the row's origin."""
        columns = self._known.at(rows.series, rows.target)
        periods = self._panel.periods
        columns["month"] = periods.month.to_numpy(dtype=np.float64)[rows.target]
        if self._panel.frequency.kind == "D":
            columns["week"] = periods.isocalendar().week.to_numpy(dtype=np.float64)[rows.target]
        columns["step"] = rows.step.astype(np.float64)
        columns["mean"] = self.standards.mean[rows.series]
        columns["deviation"] = self.standards.deviation[rows.series]
        return columns


class Continuation:
    """Rows one step ahead from each period of the horizon: every forecast is a lag of the next.

    Only the periods that a column can read are kept, and each step changes one of them.

    Args:
        past: scores of the copies, one after the other, m series each; it is changed.
        other: the columns that do not depend on the past.
        series: shape (m,); indices.
        origin: shape (m,); number of known periods.
        copies: how often each series is continued.
    """

    def __init__(
        self,
        past: _Past,
        other: Callable[[Rows], dict[str, FloatArray]],
        series: IndexArray,
        origin: IndexArray,
        copies: int,
    ) -> None:
        self._origin = origin
        self._past, self._other = past, other
        self._series, self._copies = series, copies
        self._step = 1

    def matrix(self, names: Sequence[str]) -> SmallFloatArray:
        """Columns of the next period by their names, shape (copies x m, F)."""
        end = self._past.known
        size = len(self._series) * self._copies
        own = self._past.at(Rows(np.arange(size), np.full(size, end), np.ones(size, dtype=np.int64)))
        origin = self._origin + self._step - 1
        other = self._other(Rows(self._series, origin, np.ones(len(origin), dtype=np.int64)))
        columns = own | {name: np.tile(values, self._copies) for name, values in other.items()}
        unknown = np.full(size, np.nan)
        return np.column_stack([columns.get(name, unknown).astype(np.float32) for name in names])

    def append(self, scores: FloatArray) -> None:
        """Take the next period as sold.

        Args:
            scores: shape (copies x m,), in standard deviations (:class:`Standards`); NaN = unknown.
        """
        self._past.append(scores)
        self._step += 1


def _reach(kind: str, with_year: bool) -> int:
    """Number of periods before its origin that a row can read."""
    reach = max(*LAGS[kind], *WINDOWS[kind])
    return max(reach, YEAR[kind] + max(*WINDOWS[kind][:2], SEASON_AROUND[kind] + 1)) if with_year else reach


class _Past:
    """Scores of series, looked up for many (series, origin, step) rows at once.

    Args:
        scores: shape (n, T); NaN = unknown.
        kind: kind of the frequency.
        with_year: whether there are columns of the year before.
        room: periods that :meth:`append` can add.
    """

    def __init__(self, scores: FloatArray, kind: str, with_year: bool, room: int = 0) -> None:
        self.known = scores.shape[1]
        self._kind, self._with_year = kind, with_year
        self._scores: FloatArray = np.pad(scores, ((0, 0), (0, room)), constant_values=np.nan)
        self._sums = RunningSums(self._scores)

    def append(self, scores: FloatArray) -> None:
        """Add a period, shape (n,)."""
        self._scores[:, self.known] = scores
        self._sums.set_next(self.known, scores)
        self.known += 1

    def at(self, rows: Rows) -> dict[str, FloatArray]:
        """Columns by name, shape (k,) each."""
        found = {f"lag_{lag}": self._at(rows, rows.origin - lag) for lag in LAGS[self._kind]}
        if self._kind == "D":
            same = rows.target - WEEK * ((rows.step - 1) // WEEK + 1)
            for back in range(RULE.same_weekdays):
                found[f"same_weekday_{back + 1}"] = self._at(rows, same - WEEK * back)
        for width in WINDOWS[self._kind]:
            found[f"mean_{width}"] = self._sums.mean(rows.series, rows.origin, width)
        return found | (self._year_ago(rows, found) if self._with_year else {})

    def _year_ago(self, rows: Rows, past: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """Sales a year before the target, and today's level plus last year's change from origin to target.

        Trees cannot add, so the change (the target's season less the level before the origin, both a year ago) is added
        to today's level here. Example: 9 a year before the target, 5 on average in the 4 weeks a year before the
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
