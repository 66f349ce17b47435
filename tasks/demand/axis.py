"""The panel's time axis, and arrays over it that every kind of known feature shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas.frequency import Frequency
from schemas.panel import BoolArray, FloatArray, IndexArray, KnownFeature, SmallFloatArray

# Distances to a holiday or event are clipped at this many periods.
_FARTHEST = {"D": 28, "W": 8, "MS": 6}


@dataclass(frozen=True)
class Axis:
    """T history labels and H horizon labels.

    Attributes:
        frequency: period length and labels.
        periods: the T + H labels.
        history: T.
    """

    frequency: Frequency
    periods: pd.DatetimeIndex
    history: int

    @property
    def farthest(self) -> int:
        """Periods at which distances are clipped."""
        return _FARTHEST[self.frequency.kind]

    @property
    def extended(self) -> pd.DatetimeIndex:
        """The labels, and as many after them as a distance can look ahead."""
        return self.frequency.range(self.periods[0], len(self.periods) + self.farthest)

    def trim(self, values: FloatArray | BoolArray) -> FloatArray:
        """Values over the extended labels, shape (rows, E), cut to the T + H labels."""
        return np.asarray(values[:, : len(self.periods)], dtype=np.float64)

    def distances(self, flag: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Periods to the next and since the last flagged period (0 on it), clipped at ``farthest``.

        Args:
            flag: shape (rows, E), over the extended labels.

        Returns:
            Two arrays of shape (rows, T + H).
        """
        at = np.arange(flag.shape[1])
        beyond = flag.shape[1] + self.farthest
        following = np.minimum.accumulate(np.where(flag, at, beyond)[:, ::-1], axis=1)[:, ::-1]
        preceding = np.maximum.accumulate(np.where(flag, at, -self.farthest), axis=1)
        ahead, behind = following - at, at - preceding
        return self.trim(np.minimum(ahead, self.farthest)), self.trim(np.minimum(behind, self.farthest))


def known_feature(values: FloatArray | SmallFloatArray, row_of_series: IndexArray) -> KnownFeature:
    """A feature of shape (rows, T + H), kept in single precision."""
    return KnownFeature(np.ascontiguousarray(values, dtype=np.float32), row_of_series.astype(np.int64, copy=False))


def informative(features: dict[str, KnownFeature]) -> dict[str, KnownFeature]:
    """The features that are not one and the same value everywhere."""
    return {name: f for name, f in features.items() if f.values.size and (f.values != f.values.flat[0]).any()}
