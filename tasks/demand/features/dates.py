"""Features that depend only on the date, and a country's public holidays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd

from schemas.panel import BoolArray, FloatArray, IndexArray, KnownFeature
from schemas.settings import SpecialPeriod
from tasks.demand.axis import Axis, informative, known_feature
from tasks.demand.cleaning.exposure import period_days

YEAR_HARMONICS = 3
PUBLIC_HOLIDAY = "public_holiday"
SPECIAL = "special_"
# A named holiday becomes a feature if the history contains it this many times, or once if it also falls into the
# horizon: with a year and a half of history, the coming Christmas has occurred once.
MINIMUM_OCCURRENCES = 2


def time_features(axis: Axis, n: int) -> dict[str, KnownFeature]:
    """Weekday, month, week and day of the period's first day, year harmonics and a trend.

    Week 1 of a year contains 1 January on any weekday. The year harmonics use the middle of the period. The trend
    counts years since the first label.

    Args:
        axis: the panel's labels.
        n: number of series; all share the one row of each feature.
    """
    labels = axis.periods
    kind = axis.frequency.kind
    values: dict[str, FloatArray] = {"time_trend": np.arange(len(labels)) / axis.frequency.periods_per_year}
    values["time_month"] = labels.month.to_numpy(dtype=np.float64)
    values |= _year_harmonics(axis)
    if kind != "MS":
        values["time_week_of_year"] = _week_of_year(labels)
    if kind == "D":
        weekday = labels.dayofweek.to_numpy(dtype=np.float64)
        values["time_weekday"] = weekday
        values["time_week_sin"] = np.sin(2 * np.pi * weekday / 7)
        values["time_week_cos"] = np.cos(2 * np.pi * weekday / 7)
        values["time_day_of_month"] = labels.day.to_numpy(dtype=np.float64)
    if kind == "MS":
        values["time_days"] = period_days(axis.frequency, labels).astype(np.float64)
    rows = np.zeros(n, dtype=np.int64)
    return informative({name: known_feature(row[None, :], rows) for name, row in values.items()})


def public_holidays(axis: Axis, country: str | None, n: int) -> dict[str, KnownFeature]:
    """Nationwide public holidays of a country, and further observances by name.

    Observances such as Easter Sunday, Mother's Day and Halloween in the United States are not public holidays: stores
    stay open, and they are not counted. They get a flag by name like a holiday, so that models find them in another
    week or on another day than last year.

    Args:
        axis: the panel's labels.
        country: ISO 3166 code, or None for none.
        n: number of series.

    Returns:
        ``public_holiday`` (0/1: the period holds one), ``public_holiday_days`` (how many, above daily),
        ``public_holiday_next`` and ``public_holiday_last`` (periods to it, clipped), and one 0/1 flag
        ``public_holiday=NAME`` for each that falls at least twice into the history, or once and into the horizon.
    """
    if country is None:
        return {}
    days = holiday_days(axis, country)
    labels = axis.extended
    at = labels.get_indexer(axis.frequency.label(days[_DAY]))
    inside = at >= 0
    count = np.bincount(at[inside], minlength=len(labels))[None, :].astype(np.float64)
    ahead, behind = axis.distances(count > 0)
    values = {
        PUBLIC_HOLIDAY: axis.trim(count > 0),
        f"{PUBLIC_HOLIDAY}_days": axis.trim(count),
        f"{PUBLIC_HOLIDAY}_next": ahead,
        f"{PUBLIC_HOLIDAY}_last": behind,
    }
    if axis.frequency.kind == "D":
        del values[f"{PUBLIC_HOLIDAY}_days"]
    named = _holiday_names(country, labels[0].date(), labels[-1].year, observances=True)
    at = labels.get_indexer(axis.frequency.label(named[_DAY]))
    values |= _named_flags(axis, named.loc[at >= 0, _NAME], at[at >= 0])
    rows = np.zeros(n, dtype=np.int64)
    return informative({name: known_feature(row, rows) for name, row in values.items()})


def special_periods(axis: Axis, given: Mapping[str, Sequence[SpecialPeriod]], n: int) -> dict[str, KnownFeature]:
    """Named special periods as features: the share of a period's days that lie in one (0 or 1 for days).

    Example: the period 2023-09-10 to 2023-11-02 is 21/30 in September 2023, 1 in October and 2/30 in November.

    Args:
        axis: the panel's labels.
        given: name to spans of days, both ends included.
        n: number of series; all share the one row of each feature.

    Returns:
        ``special_<name>`` for each that touches the axis.
    """
    features = {}
    first = axis.periods.to_numpy(dtype="datetime64[D]")
    length = period_days(axis.frequency, axis.periods)
    for name, spans in given.items():
        covered = np.zeros(len(first))
        for span in spans:
            begins = np.maximum(first, np.datetime64(span.date_from))
            ends = np.minimum(first + length.astype("timedelta64[D]"), np.datetime64(span.date_to) + 1)
            covered += np.maximum((ends - begins).astype(np.int64), 0)
        share = np.minimum(covered / length, 1.0)[None, :]
        features[f"{SPECIAL}{name}"] = known_feature(share, np.zeros(n, dtype=np.int64))
    return informative(features)


def occurrences(
    country: str | None, special: Mapping[str, Sequence[SpecialPeriod]], first: date, last: date
) -> dict[str, pd.DatetimeIndex]:
    """Days of the holidays and observances of a country by name, and the first days of the special periods.

    Args:
        country: ISO 3166 code, or None for none.
        special: name to spans of days.
        first: the holidays of this day's year and later ones are listed.
        last: the holidays until the end of this day's year are listed.
    """
    found = {name: pd.DatetimeIndex(sorted(span.date_from for span in spans)) for name, spans in special.items()}
    if country is not None:
        named = _holiday_names(country, first, last.year, observances=True)
        found |= {str(name): pd.DatetimeIndex(days) for name, days in named.groupby(_NAME)[_DAY]}
    return found


def holiday_days(axis: Axis, country: str) -> pd.DataFrame:
    """Public holidays of the years of the axis: ``day`` and ``holiday_name``, one row each, by day and name."""
    return _holiday_names(country, axis.extended[0].date(), axis.extended[-1].year)


_DAY = "day"
_NAME = "holiday_name"
# "Christmas Day (observed)" counts as Christmas Day.
_SUFFIX = re.compile(r"\s*\([^)]*\)$")


def _holiday_names(country: str, first: date, last_year: int, observances: bool = False) -> pd.DataFrame:
    """One row per day and holiday, by day and name; with the observances of the calendar if requested."""
    import holidays

    supported = holidays.country_holidays(country).supported_categories
    categories = [holidays.PUBLIC, *([holidays.UNOFFICIAL] if observances and holidays.UNOFFICIAL in supported else [])]
    calendar = holidays.country_holidays(country, years=range(first.year, last_year + 1), categories=categories)
    rows = {(pd.Timestamp(day), _SUFFIX.sub("", name)) for day, names in calendar.items() for name in names.split("; ")}
    found = pd.DataFrame(sorted(rows), columns=[_DAY, _NAME])
    return found.astype({_DAY: "datetime64[ns]"})


def _named_flags(axis: Axis, names: pd.Series, at: IndexArray) -> dict[str, FloatArray]:
    flags: dict[str, FloatArray] = {}
    for name in sorted(names.unique()):
        flag: BoolArray = np.zeros((1, len(axis.extended)), dtype=bool)
        flag[0, at[names.eq(name).to_numpy()]] = True
        seen, due = flag[0, : axis.history].sum(), flag[0, axis.history : len(axis.periods)].any()
        if seen >= MINIMUM_OCCURRENCES or (seen and due):
            flags[f"{PUBLIC_HOLIDAY}={name}"] = axis.trim(flag)
    return flags


def _year_harmonics(axis: Axis) -> dict[str, FloatArray]:
    labels = axis.periods
    length = np.where(labels.is_leap_year, 366.0, 365.0)
    middle = (labels.dayofyear.to_numpy() - 1 + period_days(axis.frequency, labels) / 2) / length
    angle = 2 * np.pi * middle
    waves = range(1, YEAR_HARMONICS + 1)
    return {f"time_year_{f.__name__}{k}": f(k * angle) for k in waves for f in (np.sin, np.cos)}


def _week_of_year(labels: pd.DatetimeIndex) -> FloatArray:
    new_year = pd.DatetimeIndex([pd.Timestamp(year, 1, 1) for year in labels.year])
    return ((labels.dayofyear - 1 + new_year.dayofweek) // 7 + 1).to_numpy(dtype=np.float64)
