"""The past of every series for global models, with look-ups at any origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import FloatArray, IndexArray, Panel, SmallFloatArray
from tasks.demand.features.windows import BLOCK_CELLS, RunningSums, ewm_means, last_known
from tasks.storage.mapped import empty, release


@dataclass(frozen=True)
class Windows:
    """Window lengths of one frequency, in periods.

    Attributes:
        level: the recent level.
        means: windows of rolling means, rising.
        spreads: windows of the rolling deviation and share of zeros.
        half_lives: half-lives of the exponentially weighted means.
        lags: last values read one by one.
        phase: season whose same positions are averaged (1 = none).
        phases: how many of these positions.
        year: periods in a year.
        band: periods on each side that smooth a value of an earlier year.
    """

    level: int
    means: tuple[int, ...]
    spreads: tuple[int, ...]
    half_lives: tuple[float, ...]
    lags: int
    phase: int
    phases: tuple[int, ...]
    year: int
    band: int

    @classmethod
    def of(cls, frequency: Frequency) -> Windows:
        """The windows of a frequency."""
        return _WINDOWS[frequency.kind]


_WINDOWS = {
    "D": Windows(28, (7, 14, 28, 56, 112, 364), (14, 28, 56, 112), (3.0, 14.0, 60.0), 3, 7, (1, 2, 4, 8, 16), 364, 7),
    "W": Windows(8, (2, 4, 8, 13, 26, 52), (4, 8, 13, 26), (1.5, 5.0, 20.0), 4, 1, (), 52, 1),
    "MS": Windows(6, (2, 3, 6, 12), (3, 6, 12), (1.0, 3.0, 9.0), 3, 1, (), 12, 0),
}


@dataclass(frozen=True)
class LevelRule:
    """The numbers of the recent level (docs/reference/constants.md).

    Attributes:
        longer_weight: weight of the next longer window, as a fraction of a window's length.
        smallest: a level is at least this fraction of what series of its store and category sell.
    """

    longer_weight: float = 0.25
    smallest: float = 1e-3


RULE = LevelRule()

_FEWEST_PERIODS = 16


@dataclass(frozen=True)
class Group:
    """Series that share a store, a category, or nothing but the panel.

    Attributes:
        of_series: shape (n,); group of each series.
        means: mean demand per known series and period, one row per group.
    """

    of_series: IndexArray
    means: RunningSums


class History:
    """Demand up to the cutoff, with statistics over windows of periods.

    Args:
        panel: n series over T periods.
        effects: shape (n, T + H); multiplicative effect of what is known about each period. The history
            is divided by it, so that levels of promoted and ordinary weeks are comparable.
        groups: result of :func:`series_groups` for these series; None = computed from these series.
    """

    def __init__(
        self, panel: Panel, effects: FloatArray | SmallFloatArray, groups: Mapping[str, Group] | None = None
    ) -> None:
        self.windows = Windows.of(panel.frequency)
        periods = panel.history
        self.demand = _comparable(panel, effects, slice(0, panel.n))
        known = ~np.isnan(self.demand)
        self.sums = RunningSums(self.demand)
        self.groups = series_groups(panel, effects) if groups is None else groups
        self.last_known = last_known(known)
        self.last_sale = last_known(self.demand > 0)
        self.first_known: IndexArray = np.where(known.any(axis=1), known.argmax(axis=1), periods)

    def squares(self) -> RunningSums:
        """Sums of squared demand."""
        return RunningSums(self.demand**2)

    def zeros(self) -> RunningSums:
        """Counts of known periods without a sale."""
        return RunningSums(np.where(np.isnan(self.demand), np.nan, self.demand == 0))

    def phases(self) -> RunningSums:
        """Sums over the same position of earlier seasons."""
        return RunningSums(self.demand, self.windows.phase)

    def smoothed(self, half_life: float) -> FloatArray:
        """Exponentially weighted means at every origin, shape (n, T + 1)."""
        return ewm_means(self.demand, half_life)

    def level(self, series: IndexArray, origin: IndexArray) -> FloatArray:
        """Recent mean demand per open period, above 0: each window is shrunk toward the next longer one.

        The windows are the recent level, four times that length, and two years. The last one is shrunk, with the
        weight of one period, toward the expectation of store and category. Example: 8 known weeks of 10 units
        after 24 of 20 and nothing else give (8 * 10 + 2 * m) / 10 with m = (8 * 10 + 24 * 20 + ...) / ...
        """
        expected = self.expected(series, origin)
        total, count = self.sums.total_and_count(series, origin, 2 * self.windows.year)
        mean = (total + expected) / (count + 1)
        weight = RULE.longer_weight * self.windows.level
        for length in (4 * self.windows.level, self.windows.level):
            total, count = self.sums.total_and_count(series, origin, length)
            mean = (total + weight * mean) / (count + weight)
        floored: FloatArray = np.maximum(mean, RULE.smallest * expected)
        return floored

    def expected(self, series: IndexArray, origin: IndexArray) -> FloatArray:
        """Expected sales of a series without history: the panel's mean, times its store's and category's share."""
        year = self.windows.year
        overall = self.groups[_ALL]
        mean = overall.means.mean(overall.of_series[series], origin, year)
        mean = np.where(np.isfinite(mean) & (mean > 0), mean, 1.0)
        expected = mean.copy()
        for name in (c.STORE_ID, c.CATEGORY):
            if name in self.groups:
                group = self.groups[name]
                share = group.means.mean(group.of_series[series], origin, year) / mean
                expected *= np.where(np.isfinite(share), np.clip(share, RULE.smallest, 1 / RULE.smallest), 1.0)
        return expected


def series_groups(panel: Panel, effects: FloatArray | SmallFloatArray) -> dict[str, Group]:
    """The panel as a whole, and stores and categories if they hold more than one series.

    Args:
        panel: n series over T periods.
        effects: shape (n, T + H); see :class:`History`.
    """
    codes = {_ALL: np.zeros(panel.n, dtype=np.int64)}
    for name in (c.STORE_ID, c.CATEGORY):
        found, labels = pd.factorize(panel.series[name])
        if 1 < len(labels) < panel.n:
            codes[name] = found.astype(np.int64)
    means = {name: np.full((int(of_series.max()) + 1, panel.history), np.nan) for name, of_series in codes.items()}
    # Means over series are taken period by period, so blocks of periods limit the memory without changing a result.
    width = max(_FEWEST_PERIODS, BLOCK_CELLS // max(1, panel.n))
    for periods, demand in _by_periods(panel, effects, width):
        for name, of_series in codes.items():
            _group_means(demand, of_series, means[name][:, periods])
    return {name: Group(of_series, RunningSums(means[name])) for name, of_series in codes.items()}


def _by_periods(panel: Panel, effects: FloatArray | SmallFloatArray, width: int) -> Iterator[tuple[slice, FloatArray]]:
    """Comparable demand of all series in blocks of periods. It is stored in that order, so that each is read once."""
    if width >= panel.history:
        yield slice(0, panel.history), _comparable(panel, effects, slice(0, panel.n))
        return
    parts = [slice(first, min(first + width, panel.history)) for first in range(0, panel.history, width)]
    cells = empty(panel.n * panel.history, np.float64)
    stored = [cells[panel.n * part.start : panel.n * part.stop].reshape(panel.n, -1) for part in parts]
    size = max(1, BLOCK_CELLS // max(1, panel.history))
    for first in range(0, panel.n, size):
        series = slice(first, min(first + size, panel.n))
        demand = _comparable(panel, effects, series)
        for part, found in zip(parts, stored, strict=True):
            found[series] = demand[:, part]
        release()
    for part, found in zip(parts, stored, strict=True):
        yield part, found
        release()


def _group_means(demand: FloatArray, codes: IndexArray, means: FloatArray) -> None:
    """Write the mean of the known demand of each group and period into ``means``."""
    known = ~np.isnan(demand)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    total = np.add.reduceat(np.where(known, demand, 0.0)[order], starts, axis=0)
    count = np.add.reduceat(known[order].astype(np.float64), starts, axis=0)
    np.divide(total, count, out=means, where=count > 0)


def _comparable(panel: Panel, effects: FloatArray | SmallFloatArray, series: slice) -> FloatArray:
    """Demand of some series on open days without known effects; NaN = unknown."""
    past = slice(0, panel.history)
    return np.where(panel.closed[series, past], np.nan, panel.demand[series]) / effects[series, past]


_ALL = "all"
