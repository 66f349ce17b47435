"""Features of (series, origin, step) rows for a global model. After the origin only known future values are read.

Every look-up into demand or a past covariate ends at the row's origin; of the target period only known future
covariates are read. Demand features are relative to the row's expectation, so that one model serves large and small
series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray, Panel, SmallFloatArray
from tasks.demand.features.history import Group, History, Windows, series_groups
from tasks.demand.features.known import POSITION_IN_YEAR, KnownColumns
from tasks.demand.features.levels import Expectations, expectations
from tasks.demand.features.training_rows import Rows, series_blocks
from tasks.demand.features.windows import BLOCK_CELLS, divide
from tasks.storage.mapped import release

# Number of rows that are processed at once, which limits the memory of intermediate columns.
BLOCK = 100_000
KNOWN = "known:"


@dataclass(frozen=True)
class RowRule:
    """The numbers of the feature rows (docs/reference/constants.md).

    Attributes:
        largest_multiple: relative columns are clipped to this multiple of the level.
    """

    largest_multiple: float = 50.0


RULE = RowRule()


@dataclass(frozen=True)
class FeatureTable:
    """Features of k rows.

    Attributes:
        matrix: shape (k, F), float32, NaN = unknown.
        names: F column names.
        expected: level and seasonal curves of the rows, in units per open period without known effects.
    """

    matrix: SmallFloatArray
    names: tuple[str, ...]
    expected: Expectations

    def columns(self, names: Sequence[str]) -> SmallFloatArray:
        """The matrix with the given columns in the given order; NaN where the panel has no such column."""
        return reordered(self.matrix, self.names, names)

    def take(self, used: IndexArray | BoolArray) -> FeatureTable:
        """Some of the rows."""
        return FeatureTable(self.matrix[used], self.names, self.expected.take(used))

    def empty(self, size: int) -> FeatureTable:
        """Return a table of the same columns for :meth:`put`."""
        return FeatureTable(np.empty((size, len(self.names)), dtype=np.float32), self.names, self.expected.empty(size))

    def put(self, rows: IndexArray, found: FeatureTable) -> None:
        """Set some of the rows."""
        self.matrix[rows] = found.matrix
        self.expected.put(rows, found.expected)


class _Past:
    """Everything that rows look up in the history of some consecutive series."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.squares, self.zeros = history.squares(), history.zeros()
        self.phases = history.phases() if history.windows.phases else None
        self.smoothed = {life: history.smoothed(life) for life in history.windows.half_lives}


class Features:
    """Makes feature tables of one panel.

    Look-up tables of the past take many times the memory of the demand. They are made for a block of series at a time,
    and kept only if the panel is a single block. A row's features do not depend on the blocks.

    Args:
        panel: n series over T periods, and H to forecast.
        effects: shape (n, T + H); multiplicative effect of what is known about each period (all 1: none).
        known: look-up tables of the panel's known columns, if already made.
        cells: series x periods per block.

    Attributes:
        size: series per block.
    """

    def __init__(
        self,
        panel: Panel,
        effects: FloatArray | SmallFloatArray,
        known: KnownColumns | None = None,
        cells: int = BLOCK_CELLS,
    ) -> None:
        self._panel = panel
        self._effects = effects
        self._known = known or KnownColumns(panel)
        self._groups = series_groups(panel, effects)
        self.size = max(1, cells // max(1, panel.history))
        self._whole = self._past(0) if panel.n <= self.size else None
        windows = Windows.of(panel.frequency)
        # With less than a year of history, the position in the year identifies the date, and trees would memorize
        # single periods.
        self._with_position = panel.history >= windows.year + windows.level

    def blocks(self, rows: Rows) -> list[IndexArray]:
        """Positions of the rows of each block of series, for tables that are used and dropped one after another."""
        return series_blocks(rows, self.size)

    def table(self, rows: Rows) -> FeatureTable:
        """Features of rows, in their order."""
        parts = [
            (chosen[part], int(rows.series[chosen[0]]) // self.size if len(chosen) else 0)
            for chosen in self.blocks(rows)
            for part in _blocks(len(chosen))
        ]
        whole: FeatureTable | None = None
        past, of = self._whole, 0
        for chosen, number in parts:
            if past is None or number != of:
                del past
                release()
                past, of = self._past(number), number
            found = self._block(rows.take(chosen), past, number * self.size)
            if len(parts) == 1:
                return found
            whole = whole or found.empty(len(rows))
            whole.put(chosen, found)
        assert whole is not None
        return whole

    def _past(self, number: int) -> _Past:
        """Look-up tables of a block of series."""
        first, last = number * self.size, min((number + 1) * self.size, self._panel.n)
        series = np.arange(first, last)
        groups = {name: Group(group.of_series[series], group.means) for name, group in self._groups.items()}
        return _Past(History(self._panel.take(series), self._effects[first:last], groups))

    def _block(self, rows: Rows, past: _Past, first: int) -> FeatureTable:
        """Features of rows of a block whose first series is ``first``."""
        own = Rows(rows.series - first, rows.origin, rows.step)
        found = expectations(past.history, own)
        level = found.level
        columns: dict[str, FloatArray] = {"step": rows.step.astype(np.float64), "log_level": np.log(level)}
        columns |= {f"season_{weight:g}": np.log(curve / level) for weight, curve in found.curves.items()}
        columns["effect"] = np.log(self._effects[rows.series, rows.target].astype(np.float64))
        columns |= {
            name: np.minimum(values / level, RULE.largest_multiple) for name, values in _relative(past, own).items()
        }
        columns |= _shares(past, own, level) | _ages(past, own) | self._observed(rows)
        columns |= self._known_at(rows)
        matrix = np.empty((len(rows), len(columns)), dtype=np.float32)
        for position, values in enumerate(columns.values()):
            matrix[:, position] = values
        matrix[~np.isfinite(matrix)] = np.nan
        return FeatureTable(matrix, tuple(columns), found)

    def _observed(self, rows: Rows) -> dict[str, FloatArray]:
        """Last value of each covariate seen up to the origin, and relative to a season before."""
        found = {}
        for name in sorted(self._panel.observed):
            values = self._panel.observed[name]
            last = values[rows.series, rows.origin - 1].astype(np.float64)
            before = np.maximum(rows.origin - 1 - Windows.of(self._panel.frequency).means[-2], 0)
            found[f"observed:{name}"] = last
            found[f"observed:{name}:change"] = divide(last, values[rows.series, before].astype(np.float64))
        return found

    def _known_at(self, rows: Rows) -> dict[str, FloatArray]:
        found = {f"{KNOWN}{name}": values for name, values in self._known.at(rows.series, rows.target).items()}
        if not self._with_position:
            del found[f"{KNOWN}{POSITION_IN_YEAR}"]
        return found


def _relative(past: _Past, rows: Rows) -> dict[str, FloatArray]:
    """Columns in units: rolling and same-position means, last values, last year's value, deviations."""
    history, windows = past.history, past.history.windows
    series, origin = rows.series, rows.origin
    found = {f"mean_{width}": history.sums.mean(series, origin, width) for width in windows.means}
    found |= {f"smoothed_{life:g}": values[series, origin] for life, values in past.smoothed.items()}
    for back in range(1, windows.lags + 1):
        at = origin - back
        found[f"last_{back}"] = np.where(at >= 0, history.demand[series, np.maximum(at, 0)], np.nan)
    for width in windows.spreads:
        mean = history.sums.mean(series, origin, width)
        variance = past.squares.mean(series, origin, width) - mean**2
        found[f"deviation_{width}"] = np.sqrt(np.maximum(variance, 0.0))
    if past.phases is not None:
        latest = rows.target - windows.phase * ((rows.step - 1) // windows.phase + 1)
        found |= {f"same_{count}": past.phases.mean(series, latest + 1, count) for count in windows.phases}
    return found | {"year_ago": _year_ago(past.history, rows)}


def _year_ago(history: History, rows: Rows) -> FloatArray:
    year = history.windows.year
    at = rows.target - year * ((rows.step - 1) // year + 1)
    found: FloatArray = np.where(at >= 0, history.demand[rows.series, np.maximum(at, 0)], np.nan)
    return found


def _shares(past: _Past, rows: Rows, level: FloatArray) -> dict[str, FloatArray]:
    """Shares of periods without a sale; store's and category's own movement, the series' share in them."""
    history, windows = past.history, past.history.windows
    found = {f"zeros_{width}": past.zeros.mean(rows.series, rows.origin, width) for width in windows.spreads}
    for name, group in history.groups.items():
        if name not in (c.STORE_ID, c.CATEGORY):
            continue
        lookup = group.of_series[rows.series]
        recent = group.means.mean(lookup, rows.origin, windows.level)
        found[f"{name}:share"] = divide(level, recent)
        for width in (windows.means[0], windows.means[-2]):
            found[f"{name}:mean_{width}"] = divide(group.means.mean(lookup, rows.origin, width), recent)
    return found


def _ages(past: _Past, rows: Rows) -> dict[str, FloatArray]:
    """Periods since the first known, the last known and the last sale, clipped at two years."""
    history, longest = past.history, 2.0 * past.history.windows.year
    ages = {
        "age": rows.origin - history.first_known[rows.series],
        "since_known": rows.origin - 1 - history.last_known[rows.series, rows.origin],
        "since_sale": rows.origin - 1 - history.last_sale[rows.series, rows.origin],
    }
    return {name: np.clip(values, 0.0, longest) for name, values in ages.items()}


def reordered(matrix: SmallFloatArray, names: Sequence[str], wanted: Sequence[str]) -> SmallFloatArray:
    """Columns of a matrix by name, NaN where it has none of that name.

    A feature may vary in one panel and be left out as constant in an earlier one.
    """
    if tuple(names) == tuple(wanted):
        return matrix
    found = np.full((len(matrix), len(wanted)), np.nan, dtype=np.float32)
    position = {name: at for at, name in enumerate(names)}
    for at, name in enumerate(wanted):
        if name in position:
            found[:, at] = matrix[:, position[name]]
    return found


def _blocks(size: int) -> list[IndexArray]:
    whole = np.arange(size)
    return np.array_split(whole, max(1, -(-size // BLOCK)))
