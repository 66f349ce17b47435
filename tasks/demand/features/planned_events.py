"""The events table over history and horizon, and the first Christmas of a short history.

All rows are plans: rows of any date are read. Rows of one name are occurrences of one event.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.panel import BoolArray, FloatArray, IndexArray, PlannedEvent
from tasks.demand.axis import Axis, known_feature
from tasks.demand.cleaning.exposure import period_days
from tasks.demand.cleaning.sales import SaleCells, TextArray, codes
from tasks.demand.features.dates import holiday_days

CHRISTMAS = "Christmas"
# Expected uplift of 1 to 24 December if no history shows it (docs/decisions/0025-the-first-christmas.md).
CHRISTMAS_UPLIFT = 1.15
CHRISTMAS_DAYS = 24
# Fractions of a year: a shorter history says little about the usual demand, a longer one has seen a Christmas.
CHRISTMAS_HISTORY = (0.5, 1.0)


def christmas_days(events: pd.DataFrame | None, axis: Axis, country: str | None) -> list[pd.Timestamp]:
    """Days with the expected uplift of Christmas: 1 to 24 December, if the history is shorter than a year.

    Only for countries where 25 December is a public holiday. Days that the table names are left to it.

    Args:
        events: as for :func:`planned_events`.
        axis: the panel's labels.
        country: ISO 3166 code, or None.
    """
    least, most = (share * axis.frequency.periods_per_year for share in CHRISTMAS_HISTORY)
    if country is None or not least <= axis.history < most:
        return []
    holidays = pd.DatetimeIndex(holiday_days(axis, country)["day"])
    christmas = holidays[(holidays.month == 12) & (holidays.day == CHRISTMAS_DAYS + 1)]  # noqa: PLR2004
    days = {day - pd.Timedelta(days=back) for day in christmas for back in range(1, CHRISTMAS_DAYS + 1)}
    stated = [] if events is None else list(zip(events[c.DATE_FROM], events[c.DATE_TO], strict=True))
    return sorted(days.difference(*(pd.date_range(first, last) for first, last in stated)))


def with_christmas(events: pd.DataFrame | None, axis: Axis, country: str | None) -> pd.DataFrame | None:
    """The events table, with a row for each of the :func:`christmas_days`."""
    days = christmas_days(events, axis, country)
    if not days:
        return events
    rows = pd.DataFrame({c.NAME: CHRISTMAS, c.DATE_FROM: days, c.DATE_TO: days, c.UPLIFT: CHRISTMAS_UPLIFT})
    return rows if events is None else pd.concat([events, rows], ignore_index=True)


def first_christmas(events: pd.DataFrame | None, axis: Axis, country: str | None) -> list[Alarm]:
    """Return an alarm if the :func:`christmas_days` raise the forecast of the horizon."""
    days = pd.DatetimeIndex(christmas_days(events, axis, country))
    ahead = days[np.isin(axis.frequency.label(pd.Series(days)), axis.periods[axis.history :])]
    if ahead.empty:
        return []
    first, last = ahead[0].date(), ahead[-1].date()
    text = (
        f"sales: the history has no Christmas. From {first} to {last} the forecasts of all categories are multiplied "
        f"by {CHRISTMAS_UPLIFT}, an average of retail. State what you expect in the table events (name {CHRISTMAS}; "
        "uplift 1: no effect)"
    )
    return [raise_alarm("first_christmas", text, dates=(first, last), count=len(ahead))]


def planned_events(events: pd.DataFrame | None, cells: SaleCells, axis: Axis) -> dict[str, PlannedEvent]:
    """The events that hold for any series in any period of the axis, by name.

    Example: an event from Friday to Sunday with an uplift of 1.5 has a share of 3/7 in its week.

    Args:
        events: name, date_from, date_to (both included), optional category (empty = all) and uplift (empty = not
            stated); or None.
        cells: cleaned sales; the category of each series.
        axis: the panel's labels.

    Returns:
        Name to event. If occurrences of a name overlap, the uplift is the mean of the stated ones, weighted by days.
    """
    if events is None or events.empty:
        return {}
    of_series, names = codes(cells.series_category)
    found = {}
    for name, rows in events.groupby(events[c.NAME].astype(str), sort=True):
        categories, of_category = _distinguished(names, rows)
        shares = np.zeros((len(categories), len(axis.periods)))
        weighted, known = np.zeros_like(shares), np.zeros_like(shares)
        for row, share in _occurrences(rows, axis):
            holds = np.ones(len(categories), dtype=bool)
            if c.CATEGORY in rows.columns and pd.notna(row[c.CATEGORY]):
                holds = categories == str(row[c.CATEGORY])
            stated = row[c.UPLIFT] if c.UPLIFT in rows.columns else np.nan
            shares += holds[:, None] * share
            if pd.notna(stated):
                known += holds[:, None] * share
                weighted += holds[:, None] * share * float(stated)
        if shares.any():
            uplift = np.divide(weighted, known, out=np.where(shares > 0, 0.0, 1.0), where=known > 0)
            stacked, inverse = np.unique(np.hstack([np.minimum(shares, 1.0), uplift]), axis=0, return_inverse=True)
            row_of_series = inverse.ravel()[of_category[of_series]]
            share, uplift = np.hsplit(stacked, 2)
            found[str(name)] = PlannedEvent(known_feature(share, row_of_series), known_feature(uplift, row_of_series))
    return found


def _distinguished(names: TextArray, rows: pd.DataFrame) -> tuple[TextArray, IndexArray]:
    """The categories that events name, and one of the others, for which all are the same; and their row by category."""
    named = np.zeros(len(names), dtype=bool)
    if c.CATEGORY in rows.columns:
        named = pd.Index(names).isin(rows[c.CATEGORY].dropna().astype(str))
    chosen = np.concatenate([np.flatnonzero(named), np.flatnonzero(~named)[:1]])
    of_category = np.full(len(names), named.sum())
    of_category[named] = np.arange(named.sum())
    return names[chosen], of_category


def event_periods(events: pd.DataFrame | None, axis: Axis) -> BoolArray:
    """Periods with a day of any event, shape (T + H,)."""
    found = np.zeros(len(axis.periods), dtype=bool)
    if events is not None and len(events):
        for _, share in _occurrences(events, axis):
            found |= share > 0
    return found


def _occurrences(rows: pd.DataFrame, axis: Axis) -> Iterator[tuple[pd.Series, FloatArray]]:
    """Every row with the share of each period's days in it, shape (T + H,)."""
    length = period_days(axis.frequency, axis.periods).astype(np.float64)
    for _, row in rows.iterrows():
        days = pd.Series(pd.date_range(row[c.DATE_FROM], row[c.DATE_TO], freq="D"))
        at = axis.periods.get_indexer(pd.DatetimeIndex(axis.frequency.label(days)))
        yield row, np.bincount(at[at >= 0], minlength=len(axis.periods)) / length
