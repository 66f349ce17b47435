"""Periods: their labels, seasons and weeks (docs/reference/contract.md#run-date)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
# `period_label`: weeks and months are labeled by their first or their last day.
START, END = "start", "end"
FREQUENCIES = ("D", *(f"W-{day}" for day in WEEKDAYS), "MS")


@dataclass(frozen=True)
class Frequency:
    """A period length whose labels are dates.

    ``D`` labels a day by itself, ``W-x`` a week by its first day (the weekday x), ``MS`` a month by
    its first day. With ``ends``, ``W-x`` labels a week by its last day x. Labels are only compared: a label before
    ``as_of`` is a finished period.
    """

    code: str
    ends: bool = False

    @property
    def kind(self) -> str:
        """``D``, ``W`` or ``MS``."""
        return self.code.split("-")[0]

    @property
    def season(self) -> int:
        """Periods in the season that scaled errors use: 7, 52 or 12."""
        return {"D": 7, "W": 52, "MS": 12}[self.kind]

    @property
    def periods_per_year(self) -> int:
        """Periods in a year, rounded: 364 days (52 whole weeks), 52 weeks, 12 months."""
        return {"D": 364, "W": 52, "MS": 12}[self.kind]

    @property
    def periods_per_week(self) -> int:
        """Periods in the block in which every store has at least one delivery: 7, 1 or 1."""
        return {"D": 7, "W": 1, "MS": 1}[self.kind]

    @property
    def default_horizon(self) -> int:
        """28 days, 8 weeks or 6 months."""
        return {"D": 28, "W": 8, "MS": 6}[self.kind]

    @property
    def default_max_age_days(self) -> int:
        """Days that the latest sales may lie before a run date: 10, 21 or 62."""
        return {"D": 10, "W": 21, "MS": 62}[self.kind]

    @property
    def _weekday(self) -> int:
        return WEEKDAYS.index(self.code.split("-")[1])

    def fits(self, dates: pd.Series) -> pd.Series:
        """Find the dates that are labels of this frequency (midnight, on the right weekday or the first of a month)."""
        whole_day = dates.eq(dates.dt.normalize())
        if self.kind == "W":
            return whole_day & dates.dt.dayofweek.eq(self._weekday)
        if self.kind == "MS":
            return whole_day & dates.dt.day.eq(1)
        return whole_day

    def label(self, dates: pd.Series) -> pd.Series:
        """The label of the period that holds each date.

        >>> Frequency("W-MON").label(pd.Series(pd.to_datetime(["2024-01-03"])))[0].date()
        datetime.date(2024, 1, 1)
        >>> Frequency("W-SUN", ends=True).label(pd.Series(pd.to_datetime(["2024-01-03"])))[0].date()
        datetime.date(2024, 1, 7)
        """
        days = dates.dt.normalize()
        if self.kind == "W" and self.ends:
            return days + pd.to_timedelta((self._weekday - days.dt.dayofweek) % 7, unit="D")
        if self.kind == "W":
            return days - pd.to_timedelta((days.dt.dayofweek - self._weekday) % 7, unit="D")
        if self.kind == "MS":
            return days.dt.to_period("M").dt.to_timestamp()
        return days

    def first_label_from(self, day: date) -> pd.Timestamp:
        """The first label on or after a day: the first forecast period for ``as_of = day``."""
        return pd.Timestamp(self.range(day, 1)[0])

    def range(self, start: date | pd.Timestamp, periods: int) -> pd.DatetimeIndex:
        """``periods`` consecutive labels, the first of them on or after ``start``."""
        return pd.date_range(pd.Timestamp(start), periods=periods, freq=self.code)

    def between(self, first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
        """All labels from ``first`` to ``last``, both included if they are labels."""
        return pd.date_range(first, last, freq=self.code)

    def shift(self, label: pd.Timestamp, periods: int) -> pd.Timestamp:
        """The label ``periods`` periods later (earlier if negative)."""
        offset = pd.tseries.frequencies.to_offset(self.code)
        return pd.Timestamp(label + periods * offset)

    def is_boundary(self, day: date) -> bool:
        """Whether a period begins on a day. Weekly and monthly runs should have such a run date."""
        first = day - timedelta(days=1) if self.kind == "W" and self.ends else day
        return bool(self.first_label_from(first).date() == first)
