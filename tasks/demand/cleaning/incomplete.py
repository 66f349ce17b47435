"""Periods that the sales files contain in part only: late postings, and the first and last week or month.

Late postings: the last days of an export often contain only a part of the sales, because tills and stores report late.
Models would read them as a fall in demand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas.alarms import Alarm, raise_alarm
from schemas.errors import numbered
from schemas.panel import BoolArray, FloatArray
from schemas.settings.slices import PanelSlice
from tasks.demand.axis import Axis
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.closings import holiday_mask
from tasks.demand.cleaning.corrected import LineFacts
from tasks.demand.cleaning.gaps import chance_of_none
from tasks.demand.cleaning.sales import SaleCells

_DAYS_AROUND_LAST_YEAR = 3


@dataclass(frozen=True)
class Incomplete:
    """Periods that the files contain in part only.

    Attributes:
        partial: shape (T,).
        alarms: why.
    """

    partial: BoolArray
    alarms: tuple[Alarm, ...]


def incomplete_periods(
    lines: LineFacts, cells: SaleCells, axis: Axis, special: BoolArray, settings: PanelSlice, as_of: date
) -> Incomplete:
    """Find the periods whose sales are incomplete.

    Args:
        lines: facts about the sale lines before the run date.
        cells: the same lines, summed.
        axis: T history and H horizon labels.
        special: shape (S, T + H); the calendar names a holiday or event.
        settings: country, frequency and whether daily lines are summed to longer periods.
        as_of: run date.
    """
    if cells.frequency.kind != "D" and settings.aggregate:
        return _of_days(lines, cells, as_of)
    units, end = cells.store_units, cells.end
    known = special[:, : cells.history].any(axis=0) | holiday_mask(axis, settings.country)[: cells.history]
    kind = cells.frequency.kind
    late = late_periods(units[:, :end], known[:end], kind, cells.frequency.periods_per_year)
    partial = np.zeros(cells.history, dtype=bool)
    partial[end - late : end] = True
    return Incomplete(partial, _late_alarm(cells.periods[:end], units[:, :end], late, kind))


def late_periods(units: FloatArray, known: BoolArray, kind: str, year: int) -> int:
    """Count the incomplete periods at the end.

    The units of all stores are compared with the median of the periods before (daily: of the same weekday). The last
    periods are incomplete while they are below ``LIMITS.late`` of it, lower than in every earlier period of the window,
    and below it in most stores, and neither an event nor the same time of the year before explains it.

    Args:
        units: shape (S, P); units per store and period up to the last one with sales.
        known: shape (P,); periods with a holiday or event.
        kind: ``D``, ``W`` or ``MS``.
        year: periods in a year.
    """
    step = 7 if kind == "D" else 1
    length = units.shape[1]
    first = LIMITS.usual_periods * step
    window = range(max(first, length - LIMITS.window[kind]), length)
    if len(window) <= LIMITS.late_periods[kind] + LIMITS.usual_periods:
        return 0
    total = units.sum(axis=0)
    ratio = np.full(length, np.inf)
    before: FloatArray = np.lib.stride_tricks.sliding_window_view(total, first)[:, ::step]
    usual = _medians_of_sold(before[: length - first])
    ratio[first:] = np.divide(total[first:], usual, out=np.full(length - first, np.inf), where=usual > 0)
    tail = length - LIMITS.late_periods[kind]
    reference = [ratio[at] for at in window if at < tail and not known[at]]
    lowest = min(reference, default=0.0)
    found = 0
    for at in range(length - 1, tail - 1, -1):
        if known[at] or not ratio[at] < min(LIMITS.late, lowest):
            break
        around = _DAYS_AROUND_LAST_YEAR if kind == "D" else 1
        last_year = ratio[max(at - year - around, 0) : max(at - year + around + 1, 0)]
        own = np.median(units[:, at - first : at : step], axis=1)
        low = units[own > 0, at] < LIMITS.late * own[own > 0]
        if (last_year < LIMITS.late).any() or not len(low) or low.mean() < LIMITS.late_stores:
            break
        found += 1
    return found


def _medians_of_sold(values: FloatArray) -> FloatArray:
    """The median of what is above 0 in each row; 0 where nothing is."""
    sold = np.sort(np.where(values > 0, values, np.inf), axis=1)
    number = (values > 0).sum(axis=1)
    rows = np.arange(len(sold))
    middle: FloatArray = (
        sold[rows, np.maximum(number - 1, 0) // 2] + sold[rows, np.minimum(number // 2, number - 1)]
    ) / 2
    return np.where(number > 0, middle, 0.0)


def _late_alarm(periods: pd.DatetimeIndex, units: FloatArray, late: int, kind: str) -> tuple[Alarm, ...]:
    if not late:
        return ()
    step = 7 if kind == "D" else 1
    total = units.sum(axis=0)
    usual = np.array([np.median(total[at - step * LIMITS.usual_periods : at : step]) for at in range(-late, 0)])
    first, last = periods[-late].date(), periods[-1].date()
    span = f"on {first}" if late == 1 else f"from {first} to {last}"
    share = total[-late:].sum() / usual.sum()
    return (
        raise_alarm(
            "incomplete_last_days",
            f"sales: most stores sold far less {span} than usual ({share:.0%}): the sales of "
            f"{numbered(late, '[this|these #] period[s] [is|are]')} incomplete and unknown. Deliver them again when "
            f"all sales are posted",
            dates=(first, last),
            count=late,
        ),
    )


def _of_days(lines: LineFacts, cells: SaleCells, as_of: date) -> Incomplete:
    """Periods of several days: the first and last one with missing days, and those with late postings.

    Days without any row are missing if the network's own rate makes that implausible, and from the run date on.
    """
    units, start = cells.store_days, cells.first_day
    length = units.shape[1]
    late = late_periods(units, np.zeros(length, dtype=bool), "D", 364)
    days = pd.DatetimeIndex(start + np.arange(length))
    last = days[-1 - late]
    labels = cells.frequency.label(pd.Series([days[0], last]))
    sold = np.isin(days, lines.days().index)
    trading = _trading_weekdays(days[sold])
    before = _trading_days(labels[0], days[0], trading)
    after = _trading_days(last + pd.Timedelta(days=1), cells.frequency.shift(labels[1], 1), trading)
    rate = _chance_of_none(units.sum(axis=0), sold, days, trading)
    ahead = after[after >= pd.Timestamp(as_of)]
    missing = {
        "first": len(before) if length * rate ** len(before) < LIMITS.implausible else 0,
        "last": len(after) if len(ahead) or late or length * rate ** len(after) < LIMITS.implausible else 0,
    }
    partial = cells.periods > labels[1] if late else np.zeros(cells.history, dtype=bool)
    alarms = list(_late_alarm(days, units, late, "D"))
    for side, label, edge in (("first", labels[0], days[0]), ("last", labels[1], last)):
        if missing[side]:
            partial = partial | (cells.periods == label)
            name = "month" if cells.frequency.kind == "MS" else "week"
            alarms.append(
                raise_alarm(
                    "partial_period",
                    f"sales: the {side} {name} ({label.date()}) is incomplete: {missing[side]} of its days are not in "
                    f"the files, which {'begin' if side == 'first' else 'end'} on {edge.date()}. It counts as unknown",
                    dates=(label.date(), label.date()),
                    count=missing[side],
                )
            )
    return Incomplete(np.asarray(partial, dtype=bool), tuple(alarms))


def _trading_weekdays(days: pd.DatetimeIndex) -> BoolArray:
    """Whether the network usually has sales on a weekday, shape (7,)."""
    counts = np.bincount(days.dayofweek, minlength=7)
    trading: BoolArray = counts > LIMITS.pattern_share * counts.max()
    return trading


def _trading_days(start: pd.Timestamp, stop: pd.Timestamp, trading: BoolArray) -> pd.DatetimeIndex:
    """Days from start to the day before stop on which the network usually sells."""
    days = pd.date_range(start, periods=max((stop - start).days, 0))
    return days[trading[days.dayofweek]]


def _chance_of_none(total: FloatArray, sold: BoolArray, days: pd.DatetimeIndex, trading: BoolArray) -> float:
    """Probability that a trading day has no sales at all, as in :mod:`tasks.demand.cleaning.gaps`."""
    open_days = trading[days.dayofweek]
    empty = float((~sold[open_days]).mean())
    if empty >= LIMITS.sometimes_empty:
        return empty
    values = total[open_days]
    return float(chance_of_none(np.array([values.mean()]), np.array([values.var()]))[0])
