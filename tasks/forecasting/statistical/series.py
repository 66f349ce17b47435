"""One series as the per-series models see it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import FloatArray, IndexArray, Panel, SmallFloatArray
from tasks.forecasting.baselines import open_demand

# Features that a per-series model makes by itself, or that only trees can use (distances to a day).
DATE_FEATURES = "time_"
DISTANCES = ("_next", "_last")

Key = tuple[str, str]


@dataclass(frozen=True)
class HistoryRule:
    """From where on a history with long gaps is read (docs/reference/constants.md).

    Attributes:
        long_gap: the history before a gap longer than this many periods, by frequency, may be left out.
        enough_after_gap: the history before a long gap is left out if at least this many periods after it are known.
    """

    long_gap: Mapping[str, int] = field(default_factory=lambda: {"D": 28, "W": 48, "MS": 48})
    enough_after_gap: int = 60


RULE = HistoryRule()


@dataclass(frozen=True)
class SeriesTask:
    """History of one series from its first to its last known open period, and what lies ahead.

    Attributes:
        key: store_id and category.
        frequency: frequency of the labels.
        values: shape (m,); units, NaN = unknown or closed; the first and last are known.
        labels: shape (m + lead,); history, then the periods to forecast.
        lead: steps from the last known period to the end of the horizon: H and any gap before it.
        names: F names of ``features``.
        features: shape (F, m + lead); known in advance.
        price: shape (m,); the unit price known at the end of each period, NaN before the first; or None.
        seed: seed of this series' random choices; it does not depend on the other series that are computed.
    """

    key: Key
    frequency: Frequency
    values: FloatArray
    labels: pd.DatetimeIndex
    lead: int
    names: tuple[str, ...]
    features: SmallFloatArray
    price: FloatArray | None
    seed: int

    @property
    def known_count(self) -> int:
        """Number of known open periods."""
        return int(np.isfinite(self.values).sum())

    def cut(self, periods: int, lead: int) -> SeriesTask:
        """The series as it was after its first ``periods`` periods, to be forecast ``lead`` steps on.

        Trailing unknown periods stay in ``values``.
        """
        end = periods + lead
        return SeriesTask(
            self.key,
            self.frequency,
            self.values[:periods],
            self.labels[:end],
            lead,
            self.names,
            self.features[:, :end],
            None if self.price is None else self.price[:periods],
            self.seed,
        )


def series_keys(panel: Panel) -> list[Key]:
    """Store_id and category of every series, in the panel's order."""
    return list(zip(panel.series[c.STORE_ID].astype(str), panel.series[c.CATEGORY].astype(str), strict=True))


def series_tasks(panel: Panel, indices: IndexArray, max_history: int, features: bool, seed: int) -> list[SeriesTask]:
    """Cut series out of a panel.

    Args:
        panel: history and horizon.
        indices: which series; each must have a known open period.
        max_history: periods up to the last known one that are read.
        features: whether the model reads features and prices.
        seed: seed of the run.
    """
    history = open_demand(panel.take(indices))
    keys = series_keys(panel)
    names = tuple(sorted(name for name in panel.known if _usable(name))) if features else ()
    price = panel.observed.get(c.UNIT_PRICE) if features else None
    tasks = []
    for row, index in enumerate(indices):
        known = np.flatnonzero(np.isfinite(history[row]))
        end = int(known[-1]) + 1
        start = _start(known[known >= end - max_history], panel.frequency)
        rows = [panel.known[name].values[panel.known[name].row_of_series[index], start:] for name in names]
        tasks.append(
            SeriesTask(
                key=keys[index],
                frequency=panel.frequency,
                values=history[row, start:end],
                labels=panel.periods[start:],
                lead=panel.history + panel.horizon - end,
                names=names,
                features=np.array(rows, dtype=np.float32).reshape(len(names), len(panel.periods) - start),
                price=None if price is None else price[index, start:end].astype(np.float64),
                seed=series_seed(keys[index], seed),
            )
        )
    return tasks


def series_seed(key: Key, seed: int) -> int:
    """Seed of one series: follows only from its key and the run's seed, below 2**31."""
    return zlib.crc32("\0".join((*key, str(seed))).encode()) & 0x7FFFFFFF


def fill_gaps(values: FloatArray, season: int) -> FloatArray:
    """Fill unknown periods inside a history for models that need a history without gaps.

    Each gap is interpolated linearly between the same positions of the seasons around it; a position
    that is never known (a weekly closing day), or a history of fewer than three seasons, between its
    neighbors. Before the first and after the last known value, that value is used.

    Args:
        values: shape (m,); NaN = unknown.
        season: periods in a season; 1 for none.

    >>> fill_gaps(np.array([1.0, 9.0, np.nan, 9.0, 3.0, 9.0]), 2)
    array([1., 9., 2., 9., 3., 9.])
    """
    filled = values.copy()
    if season > 1 and len(values) >= 3 * season:
        for position in range(season):
            filled[position::season] = _interpolate(filled[position::season])
    return _interpolate(filled)


def _interpolate(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    if known.all() or not known.any():
        return values
    at = np.arange(len(values))
    return np.interp(at, at[known], values[known])


def _usable(name: str) -> bool:
    return not name.startswith(DATE_FEATURES) and not name.endswith(DISTANCES) and name != c.OPEN


def _start(known: IndexArray, frequency: Frequency) -> int:
    """First period to read: after the last long gap, if enough is known after it."""
    after = np.flatnonzero(np.diff(known) > RULE.long_gap[frequency.kind]) + 1
    enough = after[len(known) - after >= RULE.enough_after_gap]
    return int(known[enough[-1]] if enough.size else known[0])
