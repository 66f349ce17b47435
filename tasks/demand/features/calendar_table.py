"""The calendar table over history and horizon: closed days, special days and known features.

All rows are plans: rows of any date are read. The same rules apply to every column of the user:

* A column whose values all read as numbers (true and false as 1 and 0) is a number, others are text.
  ``holiday`` and ``event`` are always text.
* A column of zeros and ones is a flag and becomes the feature NAME. If the calendar is daily and the periods are
  longer, NAME is the largest value of the days, and NAME_days counts the days with a 1. Other numbers become the mean
  of the days.
* Text becomes NAME (0/1: any value but "nothing special"), NAME_next and NAME_last (periods to it, clipped),
  and one flag NAME=VALUE for each value that falls into at least two periods of the history, or into one period of the
  history and the horizon. At most 32 values get a flag, those with the most periods. These values mean nothing special:
  empty, 0, no, none, normal, false, noevento.
* ``open`` gives the share of the period's days on which the store is open.
* A day or store without a row counts as open, without flags and without anything special. Other numbers without a
  value become the column's mean, and NAME_stated (0/1) is 0. They are not filled from neighboring periods. No feature
  contains NaN.
* A column that ends before the end of the horizon is left out of the features, with a warning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import numbered
from schemas.panel import BoolArray, FloatArray, IndexArray, KnownFeature
from tasks.demand.axis import Axis, informative, known_feature
from tasks.demand.cleaning.exposure import period_days
from tasks.demand.cleaning.sales import NO_EVENT, TextArray, clean_events, weighted_count

NOTHING_SPECIAL = frozenset({"", "0", "0.0", "no", "none", "normal", "false", NO_EVENT.casefold()})
# Suffix of the flag that says whether a number is stated.
STATED = "_stated"
MINIMUM_OCCURRENCES = 2
MAXIMUM_VALUES = 32
_TRUTH = {"true": 1.0, "false": 0.0}
_KEYS = (c.DATE, c.STORE_ID)


@dataclass(frozen=True)
class StoreCalendar:
    """The calendar of S stores.

    Attributes:
        closed: shape (S, T + H); the store is closed throughout the period.
        special: shape (S, T + H); the columns ``holiday`` or ``event``, or the events table, name something.
        features: known features by name.
        warnings: what was left out or filled, for the data owner.
    """

    closed: BoolArray
    special: BoolArray
    features: dict[str, KnownFeature]
    warnings: tuple[str, ...]


def store_calendar(
    calendar: pd.DataFrame | None, axis: Axis, stores: TextArray, series_store: IndexArray
) -> StoreCalendar:
    """Read the calendar table onto the panel's axis.

    Args:
        calendar: date, optional store_id (then rows are per store), any further columns; or None.
        axis: the panel's labels.
        stores: shape (S,); store ids.
        series_store: shape (n,); index into ``stores`` of each series.
    """
    nothing = np.zeros((len(stores), len(axis.periods)), dtype=bool)
    if calendar is None or calendar.empty:
        return StoreCalendar(nothing, nothing, {}, ())
    grid = _Grid.of(clean_events(calendar), axis, stores)
    features: dict[str, FloatArray] = {}
    closed, special = nothing, nothing
    ended: list[str] = []
    for name in (name for name in calendar.columns if name not in _KEYS):
        values = _as_numbers(grid.table[name], name)
        if values is not None and np.isnan(values).all():
            continue
        if name == c.OPEN and values is not None:
            share = grid.open_share(values)
            closed, made = grid.per_store(share == 0.0), {name: axis.trim(share)}
        elif values is not None:
            made = grid.numbers(name, values)
        else:
            made = grid.texts(name)
        if name in (c.HOLIDAY, c.EVENT) and name in made:
            special = special | grid.per_store(made[name] > 0)
        if grid.ends(values) < axis.periods[-1]:
            ended.append(f"{name} (last value {grid.ends(values).date()})")
        else:
            features |= made
    rows = series_store if grid.by_store else np.zeros_like(series_store)
    known = {name: known_feature(values, rows) for name, values in features.items()}
    return StoreCalendar(closed, special, informative(known), _warnings(ended, grid))


def _warnings(ended: list[str], grid: _Grid) -> tuple[str, ...]:
    axis = grid.axis
    found = []
    if ended:
        found.append(
            f"calendar: left out of the features, because they end before the horizon does "
            f"({axis.periods[-1].date()}): {', '.join(ended)}. Extend the calendar to use them"
        )
    first = axis.extended[grid.at.min()] if len(grid.at) else axis.periods[-1]
    if first > axis.periods[0]:
        found.append(
            f"calendar: begins at {first.date()}, sales at {axis.periods[0].date()}; the periods between are taken as "
            "open, with nothing special"
        )
    missing = len(grid.without_rows)
    if missing:
        found.append(
            f"calendar: {numbered(missing, '# store[s] [has|have]')} no row in the horizon "
            f"({', '.join(grid.without_rows[:5])}"
            f"{', ...' if missing > 5 else ''}); taken as open, with nothing special"  # noqa: PLR2004
        )
    return tuple(found)


@dataclass(frozen=True)
class _Grid:
    """Calendar rows and where they fall: rows (stores, or one for all) by extended labels."""

    table: pd.DataFrame
    axis: Axis
    stores: TextArray
    by_store: bool
    row: IndexArray
    at: IndexArray
    daily: bool

    @classmethod
    def of(cls, calendar: pd.DataFrame, axis: Axis, stores: TextArray) -> _Grid:
        by_store = c.STORE_ID in calendar.columns
        labels = axis.frequency.label(calendar[c.DATE])
        at = axis.extended.get_indexer(labels)
        row = np.zeros(len(calendar), dtype=np.int64)
        if by_store:
            row = pd.Index(stores).get_indexer(calendar[c.STORE_ID].astype(object))
        kept = (at >= 0) & (row >= 0)
        daily = axis.frequency.kind != "D" and not axis.frequency.fits(calendar[c.DATE]).all()
        return cls(calendar.loc[kept], axis, stores, by_store, row[kept], at[kept], daily)

    @property
    def shape(self) -> tuple[int, int]:
        return (len(self.stores) if self.by_store else 1, len(self.axis.extended))

    @property
    def without_rows(self) -> list[str]:
        """Stores without any row in the horizon, if rows are per store."""
        inside = (self.at >= self.axis.history) & (self.at < len(self.axis.periods))
        present = np.bincount(self.row[inside], minlength=self.shape[0]) > 0
        return [str(store) for store in self.stores[~present]] if self.by_store and present.any() else []

    def per_store(self, values: BoolArray) -> BoolArray:
        """Rows repeated to one per store, cut to the T + H labels."""
        cut = values[:, : len(self.axis.periods)]
        return np.array(np.broadcast_to(cut, (len(self.stores), cut.shape[1])))

    def ends(self, values: FloatArray | None) -> pd.Timestamp:
        """Label of a column's last value; for text, in which an empty cell means nothing special, its last row."""
        filled = self.at if values is None else self.at[~np.isnan(values)]
        return self.axis.extended[filled.max()] if len(filled) else pd.Timestamp.min

    def sums(self, values: FloatArray) -> FloatArray:
        return weighted_count(self.row * self.shape[1] + self.at, values, *self.shape)

    def open_share(self, values: FloatArray) -> FloatArray:
        shut = self.sums((values == 0.0).astype(np.float64))
        days = self.sums(np.ones(len(values)))
        if self.daily:
            days = period_days(self.axis.frequency, self.axis.extended)[None, :].astype(np.float64)
        return 1.0 - np.minimum(shut / np.maximum(days, 1.0), 1.0)

    def numbers(self, name: str, values: FloatArray) -> dict[str, FloatArray]:
        filled = ~np.isnan(values)
        if set(np.unique(values[filled])) <= {0.0, 1.0}:
            return self.flag(name, values == 1.0)
        count = self.sums(filled.astype(np.float64))
        total = self.sums(np.where(filled, values, 0.0))
        usual = np.full(count.shape, total.sum() / max(count.sum(), 1.0))
        mean = np.divide(total, count, out=usual, where=count > 0)
        return {name: self.axis.trim(mean), f"{name}{STATED}": self.axis.trim(count > 0)}

    def flag(self, name: str, raised: BoolArray) -> dict[str, FloatArray]:
        days = self.sums(raised.astype(np.float64))
        made = {name: self.axis.trim(days > 0)}
        if self.daily:
            made[f"{name}_days"] = self.axis.trim(days)
        return made

    def texts(self, name: str) -> dict[str, FloatArray]:
        column = self.table[name]
        text = column.astype(object).where(column.notna(), "").map(_plain)
        special = ~text.str.casefold().isin(NOTHING_SPECIAL).to_numpy()
        made = self.flag(name, special)
        ahead, behind = self.axis.distances(self.sums(special.astype(np.float64)) > 0)
        made |= {f"{name}_next": ahead, f"{name}_last": behind}
        values = self._frequent(text[special], self.at[special])
        if len(text[special].unique()) > 1:
            for value in values:
                made |= self.flag(f"{name}={value}", text.eq(value).to_numpy())
        return made

    def _frequent(self, text: pd.Series, at: IndexArray) -> list[str]:
        """Values by falling number of history periods, then name."""
        past = at < self.axis.history
        seen = pd.DataFrame({c.EVENT: text.to_numpy()[past], c.T: at[past]}).drop_duplicates()
        counts = seen[c.EVENT].value_counts()
        due = text[~past & (at < len(self.axis.periods))].unique()
        frequent = counts[(counts >= MINIMUM_OCCURRENCES) | counts.index.isin(due)]
        return sorted(frequent.index, key=lambda value: (-frequent[value], value))[:MAXIMUM_VALUES]


def _plain(value: object) -> str:
    return str(value).strip()


def _as_numbers(column: pd.Series, name: str) -> FloatArray | None:
    """The column as numbers, NaN if empty; None if it is text."""
    if name in (c.HOLIDAY, c.EVENT) or pd.api.types.is_datetime64_any_dtype(column):
        return None
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    text = column.astype(object).where(column.notna(), "").map(_plain)
    parsed = text.str.casefold().map(_TRUTH).fillna(pd.to_numeric(text, errors="coerce"))
    if (parsed.isna() & text.ne("")).any() or parsed.isna().all():
        return None
    return parsed.to_numpy(dtype=np.float64)
