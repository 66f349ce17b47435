"""The demo company's days: opening days, public holidays, commercial events and seasons of the year."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FIRST_DAY = date(2023, 1, 1)
LAST_DAY = date(2025, 2, 20)
# The calendar and the promotions are plans: they reach beyond the sales.
LAST_PLANNED_DAY = date(2025, 12, 31)
AS_OF = LAST_DAY + timedelta(days=1)
DAYS = (LAST_DAY - FIRST_DAY).days + 1
PLANNED_DAYS = (LAST_PLANNED_DAY - FIRST_DAY).days + 1

AUDIENCES = ("women", "men", "kids", "everyone")
# Holidays on which shops must stay shut (month, day).
MANDATORY_HOLIDAYS = ((1, 1), (5, 1), (9, 18), (9, 19), (12, 25))
WEEKDAY_SHARE = np.array([0.82, 0.80, 0.83, 0.90, 1.08, 1.42, 1.15])
DAYS_OF_YEAR = 365.25


def dates(days: int = PLANNED_DAYS) -> pd.DatetimeIndex:
    """The first ``days`` days of the company's time line, from 2023-01-01."""
    return pd.date_range(FIRST_DAY, periods=days, freq="D")


def day_number(day: date) -> int:
    """Days since 2023-01-01 (0 = that day).

    >>> day_number(date(2023, 2, 1))
    31
    """
    return (day - FIRST_DAY).days


def nth_weekday(year: int, month: int, weekday: int, n: int) -> date:
    """The n-th given weekday (0 = Monday) of a month; n = -1 is the last one.

    >>> nth_weekday(2024, 5, 6, 2)  # Mother's Day in Chile: second Sunday of May
    datetime.date(2024, 5, 12)
    """
    if n < 0:
        last = date(year, month, 28) + timedelta(days=4)
        last -= timedelta(days=last.day)
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _monday_from(year: int, month: int, day: int) -> date:
    start = date(year, month, day)
    return start + timedelta(days=-start.weekday() % 7)


@dataclass(frozen=True)
class Event:
    """A commercial event that recurs every year.

    Attributes:
        name: as in the calendar file.
        last: its last day in a year.
        days: its length in days.
        lift: demand factor on the last day for women, men, kids and everyone else.
        ramp: demand rises evenly to the last day (presents); otherwise it is level (sales).
        discount: price cut while it lasts, as a fraction; 0 = none.
    """

    name: str
    last: Callable[[int], date]
    days: int
    lift: tuple[float, float, float, float]
    ramp: bool
    discount: float = 0.0

    def span(self, year: int) -> tuple[int, int]:
        """First day and the day after the last one, as day numbers."""
        end = day_number(self.last(year)) + 1
        return end - self.days, end

    def factors(self, audience: int) -> FloatArray:
        """Demand factor on each of its days for one audience (index into ``AUDIENCES``)."""
        steps = np.arange(1, self.days + 1) / self.days if self.ramp else np.ones(self.days)
        return 1 + (self.lift[audience] - 1) * steps


EVENTS = (
    Event("VUELTA A CLASES", lambda y: date(y, 3, 5), 17, (1.05, 1.05, 1.4, 1.15), ramp=False),
    Event("DIA DE LA MADRE", lambda y: nth_weekday(y, 5, 6, 2), 9, (3.0, 1.15, 1.1, 1.3), ramp=True),
    Event("CYBERDAY", lambda y: _monday_from(y, 5, 29) + timedelta(days=2), 3, (1.3, 1.3, 1.2, 1.2), False, 0.25),
    Event("DIA DEL PADRE", lambda y: nth_weekday(y, 6, 6, 3), 9, (1.1, 2.6, 1.05, 1.3), ramp=True),
    Event("DIA DEL NIÑO", lambda y: nth_weekday(y, 8, 6, 2), 9, (1.05, 1.05, 2.2, 1.1), ramp=True),
    Event("FIESTAS PATRIAS", lambda y: date(y, 9, 17), 10, (1.7, 1.7, 1.6, 1.5), ramp=True),
    Event("CYBERMONDAY", lambda y: _monday_from(y, 9, 30) + timedelta(days=2), 3, (1.3, 1.3, 1.2, 1.2), False, 0.25),
    Event("BLACK WEEK", lambda y: nth_weekday(y, 11, 4, -1) + timedelta(days=2), 7, (1.3, 1.3, 1.2, 1.3), False, 0.2),
    Event("NAVIDAD", lambda y: date(y, 12, 24), 17, (2.8, 2.6, 2.8, 2.6), ramp=True),
)


def event_spans() -> list[tuple[Event, int, int]]:
    """Every event of every year: the event, its first day and the day after its last, in day numbers."""
    spans = [
        (event, *event.span(year)) for year in range(FIRST_DAY.year, LAST_PLANNED_DAY.year + 1) for event in EVENTS
    ]
    return sorted(spans, key=lambda span: span[1])


def event_factors(days: int) -> FloatArray:
    """Demand factor of the events, shape (audiences, days); 1 on ordinary days."""
    factors = np.ones((len(AUDIENCES), PLANNED_DAYS))
    for event, first, end in event_spans():
        for audience in range(len(AUDIENCES)):
            factors[audience, first:end] *= event.factors(audience)
    return factors[:, :days]


def mandatory_holidays(days: int) -> BoolArray:
    """Days on which every shop is shut by law (1 January, 1 May, 18 and 19 September, 25 December)."""
    return closed_by_law(dates(days))


def closed_by_law(labels: pd.DatetimeIndex) -> BoolArray:
    """Find the days that are mandatory holidays."""
    shut = np.zeros(len(labels), dtype=bool)
    for month, day in MANDATORY_HOLIDAYS:
        shut |= np.asarray((labels.month == month) & (labels.day == day))
    return shut


def event_rows(labels: pd.DatetimeIndex) -> list[tuple[Event, int, int]]:
    """Every event that touches some consecutive days: the event, its first day and the day after its last.

    Positions in ``labels``; the first may be negative and the last beyond the end.
    """
    origin = day_number(labels[0].date())
    spans = [(event, *event.span(year)) for year in range(labels[0].year, labels[-1].year + 2) for event in EVENTS]
    rows = [(event, first - origin, end - origin) for event, first, end in spans]
    return sorted((row for row in rows if row[2] > 0 and row[1] < len(labels)), key=lambda row: row[1])


def calendar_table() -> pd.DataFrame:
    """The network's calendar to the end of 2025.

    Returns:
        One row per date with holiday (NORMAL, FERIADO or IRRENUNCIABLE), event (empty on ordinary
        days) and open (0 on mandatory holidays, 1 otherwise).
    """
    import holidays

    labels = dates()
    public = holidays.country_holidays("CL", years=range(FIRST_DAY.year, LAST_PLANNED_DAY.year + 1))
    shut = mandatory_holidays(len(labels))
    kinds = np.where([label.date() in public for label in labels], "FERIADO", "NORMAL")
    event = np.full(len(labels), "", dtype=object)
    for named, first, end in event_spans():
        event[first:end] = named.name
    return pd.DataFrame(
        {
            c.DATE: labels,
            c.HOLIDAY: np.where(shut, "IRRENUNCIABLE", kinds),
            c.EVENT: event,
            c.OPEN: np.where(shut, 0, 1),
        }
    )


@dataclass(frozen=True)
class Season:
    """Demand over the year: a constant and a bell curve around a day of the year.

    Attributes:
        peak: day of the year on which demand is highest.
        width: standard deviation of the bell, in days.
        base: demand far from the peak, as a fraction of the peak's.
    """

    peak: float
    width: float
    base: float

    def curve(self, labels: pd.DatetimeIndex, shift: float = 0.0) -> FloatArray:
        """Demand per day, scaled so that a whole year has mean 1; the peak moved by ``shift`` days."""
        return self._bell(labels.dayofyear.to_numpy(dtype=float) - shift) / self._bell(np.arange(1.0, 366.0)).mean()

    def _bell(self, day_of_year: FloatArray) -> FloatArray:
        distance = np.abs(day_of_year - self.peak) % DAYS_OF_YEAR
        distance = np.minimum(distance, DAYS_OF_YEAR - distance)
        bell: FloatArray = self.base + (1 - self.base) * np.exp(-0.5 * (distance / self.width) ** 2)
        return bell


SEASONS = {
    "flat": Season(peak=170, width=60, base=0.9),
    "winter": Season(peak=150, width=36, base=0.04),
    "summer": Season(peak=352, width=40, base=0.03),
    "school": Season(peak=60, width=13, base=0.08),
}
