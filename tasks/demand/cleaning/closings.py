"""Days on which a store is usually closed although no calendar says so, and days after its closing date."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, IndexArray
from tasks.demand.axis import Axis
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.gaps import WEEK, rare, weekday_pattern
from tasks.demand.cleaning.sales import SaleCells
from tasks.demand.features.dates import holiday_days

_FEWEST_YEARS = 2
_FEWEST_CASES = 2


def usual_closings(cells: SaleCells, axis: Axis, country: str | None) -> BoolArray:
    """Days on which the stores are closed according to their own history; daily data only.

    A weekday on which the store almost never sells, or on which a new store has not sold yet and all other stores are
    closed; a public holiday (by its name, or all of them together) on which it, or any store, almost never sells; a
    past public holiday on which it did not sell; and a date on which no store sold in any of at least two years.

    Args:
        cells: cleaned sales of S stores.
        axis: T history and H horizon labels.
        country: country of the public holidays; None for none.

    Returns:
        Shape (S, T + H).
    """
    closed = np.zeros((len(cells.stores), len(axis.periods)), dtype=bool)
    if axis.frequency.kind != "D":
        return closed
    rows = cells.store_rows
    end = int(np.flatnonzero(rows.any(axis=0)).max()) + 1
    closed |= weekday_pattern(rows, end, len(axis.periods))
    closed |= _closed_elsewhere(rows, closed, end)
    alive = (np.arange(cells.history) >= rows.argmax(axis=1)[:, None]) & (np.arange(cells.history) < end)
    usual = alive & ~closed[:, : cells.history]
    rate = (rows & usual).sum(axis=1) / np.maximum(usual.sum(axis=1), 1)
    for days in _holidays(axis, country):
        past = days[days < end]
        cases = usual[:, past].sum(axis=1)
        sold = (rows & usual)[:, past].sum(axis=1)
        never = rare(sold, cases, rate, fewest=_FEWEST_CASES)
        # One year is enough if no store sells on it.
        never |= rare(sold.sum(keepdims=True), cases.sum(keepdims=True), rate.mean(keepdims=True), _FEWEST_CASES)
        closed[np.ix_(never, days)] = True
        closed[:, past] |= ~rows[:, past]
    closed[:, _yearly(rows, usual, axis, end)] = True
    return closed


def _closed_elsewhere(rows: BoolArray, closed: BoolArray, end: int) -> BoolArray:
    """Weekdays of new stores on which they have not sold yet and all other stores are closed, shape (S, T + H).

    A store is new before it has ``LIMITS.pattern_cases`` weeks, which its own pattern needs.
    """
    first = rows.argmax(axis=1)
    new = first > end - WEEK * LIMITS.pattern_cases
    if new.all() or not new.any():
        return np.zeros_like(closed)
    weekday = np.arange(closed.shape[1]) % WEEK
    never = np.stack([~rows[:, :end][:, weekday[:end] == day].any(axis=1) for day in range(WEEK)], axis=1)
    found: BoolArray = new[:, None] & never[:, weekday] & closed[~new].all(axis=0)
    return found


def after_closing(stores: pd.DataFrame, cells: SaleCells, axis: Axis) -> BoolArray:
    """Periods from a store's ``closed_on`` on, shape (S, T + H)."""
    if c.CLOSED_ON not in stores.columns:
        return np.zeros((len(cells.stores), len(axis.periods)), dtype=bool)
    dates = pd.Series(pd.to_datetime(stores[c.CLOSED_ON]).to_numpy(), index=stores[c.STORE_ID].astype(str))
    closing = dates.reindex(cells.stores).to_numpy(dtype="datetime64[ns]")
    closed: BoolArray = axis.periods.to_numpy() >= closing[:, None]
    return closed


def planned_openings(calendar: pd.DataFrame | None, cells: SaleCells, as_of: date) -> BoolArray:
    """Stores with calendar rows that open them on or after the run date, shape (S,)."""
    if calendar is None or not {c.STORE_ID, c.OPEN} <= set(calendar.columns):
        return np.zeros(len(cells.stores), dtype=bool)
    ahead = (calendar[c.DATE] >= pd.Timestamp(as_of)) & calendar[c.OPEN].astype(float).gt(0)
    planned: BoolArray = np.isin(cells.stores.astype(str), calendar.loc[ahead, c.STORE_ID].astype(str).unique())
    return planned


def holiday_mask(axis: Axis, country: str | None) -> BoolArray:
    """Periods that contain a public holiday, shape (T + H,)."""
    mask = np.zeros(len(axis.periods), dtype=bool)
    if country is not None:
        days = holiday_days(axis, country)
        at = axis.periods.get_indexer(axis.frequency.label(days["day"]))
        mask[at[at >= 0]] = True
    return mask


def _holidays(axis: Axis, country: str | None) -> list[IndexArray]:
    """Positions of the days of each public holiday, and of all of them together."""
    if country is None:
        return []
    days = holiday_days(axis, country)
    at = pd.Series(axis.periods.get_indexer(days["day"]), index=days["holiday_name"].to_numpy())
    at = at[at >= 0]
    return [np.unique(group.to_numpy()) for _, group in at.groupby(level=0)] + [np.unique(at.to_numpy())]


def _yearly(rows: BoolArray, usual: BoolArray, axis: Axis, end: int) -> BoolArray:
    """Dates (month and day) on which no store sold in any year, seen in at least two years; shape (T + H,)."""
    trading = usual[:, :end].any(axis=0)
    empty = trading & ~rows[:, :end].any(axis=0)
    date = axis.periods.month.to_numpy() * 100 + axis.periods.day.to_numpy()
    seen = np.bincount(date[:end][trading], minlength=1232)
    none = np.bincount(date[:end][empty], minlength=1232)
    common = empty.sum() > LIMITS.sometimes_empty * max(trading.sum(), 1)
    always = (seen >= _FEWEST_YEARS) & (none == seen) & (not common)
    found: BoolArray = always[date]
    return found
