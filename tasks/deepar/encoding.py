"""Encoding of a panel's series for DeepAR: categorical codes and dynamic features, fixed when the model is fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, first_few
from schemas.panel import BoolArray, FloatArray, IndexArray, KnownFeature, Panel, SmallFloatArray
from schemas.settings.slices import DeepArTraining

# A numeric column is a category by default only if this number of series share a value on average.
SERIES_PER_VALUE = 2.0
# How far beyond its known range a feature may go in the horizon, as a share of that range.
RANGE_ROOM = 0.02
# A feature with at most this fraction of its horizon values out of range is kept; those values are cut to the range.
SHARE_OUTSIDE = 0.05
# Standardized features are rounded: more digits only make the files longer.
DIGITS = 3


@dataclass(frozen=True)
class Scale:
    """Standardization of a feature: clipped to low ... high, minus the mean, divided by the deviation."""

    mean: float
    spread: float
    low: float
    high: float

    @classmethod
    def of(cls, known: FloatArray, bounded: bool) -> Scale:
        """The scale of a feature's values over the history; a constant one has spread 1.

        Args:
            known: finite values, any number.
            bounded: values beyond those known are cut to their range.
        """
        if not len(known):
            return cls(0.0, 1.0, -np.inf, np.inf)
        low, high = (float(known.min()), float(known.max())) if bounded else (-np.inf, np.inf)
        return cls(float(known.mean()), float(known.std()) or 1.0, low, high)


@dataclass(frozen=True)
class Encoding:
    """Categories and scales, learned from the series and the history that a fit may see.

    Attributes:
        categories: series column to its values in order; a value's position is its code.
        dynamic: feature known in advance to its scale.
    """

    categories: Mapping[str, tuple[str, ...]]
    dynamic: Mapping[str, Scale]

    @classmethod
    def of(cls, panel: Panel, served: IndexArray, settings: DeepArTraining) -> Encoding:
        """Learn codes and scales.

        Args:
            panel: only its series, and its features up to the last known period, are read.
            served: indices of the series that are trained on; a category is coded if one of them has it.
            settings: which columns and features; null takes what is useful.

        Raises:
            ConfigError: the settings name a column or a feature that is not in the panel.
        """
        taken = panel.series.iloc[served]
        categories = {name: tuple(sorted(set(_text(taken[name])))) for name in _categorical(panel, settings)}
        if settings.categorical is None:
            categories = {name: values for name, values in categories.items() if len(values) > 1}
        return cls(categories, _scales(panel, served, settings))

    @property
    def cardinality(self) -> tuple[int, ...]:
        """Number of values of each category."""
        return tuple(len(values) for values in self.categories.values())

    def codes(self, series: pd.DataFrame) -> IndexArray:
        """Codes of some series, shape (n, number of categories); -1 where a value was not there at the fit."""
        columns = [pd.Index(values).get_indexer(_text(series[name])) for name, values in self.categories.items()]
        return np.stack(columns, axis=1).astype(np.int64) if columns else np.zeros((len(series), 0), dtype=np.int64)

    def known(self, series: pd.DataFrame) -> BoolArray:
        """Find the series whose values were all in the data of the fit."""
        found: BoolArray = np.asarray((self.codes(series) >= 0).all(axis=1))
        return found

    def features(self, panel: Panel, index: int, first: int, end: int) -> SmallFloatArray:
        """Dynamic features of one series over the periods from ``first`` to ``end``, shape (features, periods)."""
        rows = [
            np.nan_to_num((np.clip(_row(panel.known[name], index, first, end), s.low, s.high) - s.mean) / s.spread)
            for name, s in self.dynamic.items()
        ]
        stacked = np.stack(rows) if rows else np.zeros((0, end - first))
        return np.round(stacked, DIGITS).astype(np.float32)

    def record(self) -> dict[str, object]:
        """The encoding of requests, as JSON."""
        return {
            "cat": [{"column": name, "values": list(values)} for name, values in self.categories.items()],
            "dynamic_feat": [{"feature": name, **asdict(scale)} for name, scale in self.dynamic.items()],
        }


def _row(feature: KnownFeature, index: int, first: int, end: int) -> SmallFloatArray:
    row: SmallFloatArray = feature.values[feature.row_of_series[index], first:end]
    return row


def _categorical(panel: Panel, settings: DeepArTraining) -> Sequence[str]:
    columns = [str(name) for name in panel.series.columns]
    if settings.categorical is None:
        return [name for name in columns if name in (c.STORE_ID, c.CATEGORY) or _is_category(panel.series[name])]
    _refuse_unknown("categorical", settings.categorical, columns)
    return settings.categorical


def _is_category(values: pd.Series) -> bool:
    """Text, or whole numbers that several series share (codes of groups, not prices)."""
    if not pd.api.types.is_numeric_dtype(values):
        return True
    numbers = values.to_numpy(dtype=np.float64)
    whole = bool((np.isnan(numbers) | (numbers == np.floor(numbers))).all())
    return whole and values.nunique(dropna=False) * SERIES_PER_VALUE <= len(values)


def _text(values: pd.Series) -> list[str]:
    return values.astype(object).where(values.notna(), "").map(str).tolist()


def _scales(panel: Panel, served: IndexArray, settings: DeepArTraining) -> dict[str, Scale]:
    names = list(panel.known) if settings.dynamic is None else settings.dynamic
    _refuse_unknown("dynamic", names, list(panel.known))
    scales = {}
    for name in names:
        feature = panel.known[name]
        values = feature.values[np.unique(feature.row_of_series[served])].astype(np.float64)
        known = values[:, : panel.history]
        known = known[np.isfinite(known)]
        if settings.dynamic is not None:
            scales[name] = Scale.of(known, bounded=False)
        elif len(known) and known.min() < known.max() and _stays_in_range(values[:, panel.history :], known):
            scales[name] = Scale.of(known, bounded=True)
    return scales


def _stays_in_range(ahead: FloatArray, known: FloatArray) -> bool:
    """Whether a feature's values over the horizon are like those that the network has seen.

    A trend never does; the month and the yearly harmonics do not while less than a year is known. A network's forecasts
    are arbitrary for values that it has never seen (measured: docs/deepar.md).
    """
    ahead = ahead[np.isfinite(ahead)]
    low, high = float(known.min()), float(known.max())
    room = RANGE_ROOM * (high - low)
    outside = (ahead < low - room) | (ahead > high + room)
    return not len(ahead) or float(outside.mean()) <= SHARE_OUTSIDE


def _refuse_unknown(key: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(
            f"models.deepar.{key}: {first_few(unknown)} does not exist. Expected some of "
            f"{first_few(sorted(known), 30)}. "
            "Correct the names, or leave the key out"
        )
