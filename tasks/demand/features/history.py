"""What a global model may know about the past of every series, ready for look-ups at any origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import FloatArray, IndexArray, Panel, SmallFloatArray
from tasks.demand.features.windows import RunningSums, ewm_means, last_known


@dataclass(frozen=True)
class Windows:
    """Window lengths of one frequency, in periods.

    Attributes:
        level: the recent level.
        means: windows of rolling means, rising.
        spreads: windows of the rolling deviation and share of zeros.
        half_lives: of the exponentially weighted means.
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
    """Demand up to the cutoff, seen through windows.

    Args:
        panel: n series over T periods.
        effects: shape (n, T + H); multiplicative effect of what is known about each period. The history
            is divided by it, so that levels of promoted and ordinary weeks compare.
    """

    def __init__(self, panel: Panel, effects: FloatArray | SmallFloatArray) -> None:
        self.panel = panel
        self.windows = Windows.of(panel.frequency)
        periods = panel.history
        self.demand: FloatArray = np.where(panel.closed[:, :periods], np.nan, panel.demand) / effects[:, :periods]
        known = ~np.isnan(self.demand)
        self.sums = RunningSums(self.demand)
        self.groups = self._groups(known)
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
        """What a series without history would sell: the panel's mean, times its store's and category's share."""
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

    def _groups(self, known: np.ndarray) -> dict[str, Group]:
        """The panel as a whole, and stores and categories where they hold more than one series."""
        made = {_ALL: self._group(np.zeros(self.panel.n, dtype=np.int64), known)}
        for name in (c.STORE_ID, c.CATEGORY):
            codes, labels = pd.factorize(self.panel.series[name])
            if 1 < len(labels) < self.panel.n:
                made[name] = self._group(codes.astype(np.int64), known)
        return made

    def _group(self, codes: IndexArray, known: np.ndarray) -> Group:
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        total = np.add.reduceat(np.where(known, self.demand, 0.0)[order], starts, axis=0)
        count = np.add.reduceat(known[order].astype(np.float64), starts, axis=0)
        means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        return Group(codes, RunningSums(means))


_ALL = "all"
