"""Dates and time stamps as exports write them."""

from __future__ import annotations

import re
from datetime import date

import pandas as pd

from schemas.settings import SourceSettings
from tasks.demand.ingest.date_words import word_dates, word_month

_ISO_DATE = r"(\d{4}-\d{2}-\d{2}|\d{8})(?:[T ](\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)\s?(Z|UTC|[+-]\d{2}(?::?\d{2})?)?)?"
_OFFSET = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)$"
# 2024-W05, 2024W05-3; KW 05/2024, W5-2024; 202405. A week without a day is dated by its Monday.
_WEEK_MARK = "(?:W|KW|CW|WK|S|SEM)"
_ISO_WEEK = re.compile(rf"(\d{{4}})[-/ .]?{_WEEK_MARK}[-/ .]?(\d{{1,2}})(?:-?([1-7]))?", re.ASCII | re.IGNORECASE)
_WEEK_FIRST = re.compile(rf"{_WEEK_MARK}[-/ .]?(\d{{1,2}})[-/ .](\d{{4}})", re.ASCII | re.IGNORECASE)
_SIX_DIGITS = re.compile(r"(\d{4})(\d{2})", re.ASCII)
# 2024-05, 202405; 05/2024. A month is dated by its first day.
_MONTH = re.compile(r"(\d{4})[-/.]?(\d{2})", re.ASCII)
_MONTH_FIRST = re.compile(r"(\d{1,2})[-/.](\d{4})", re.ASCII)
_OPEN_END_YEAR = 2200
OPEN_END = pd.Timestamp("2200-12-31")
# Day numbers of Excel: 1990-01-01 to 2050-12-31.
_SERIAL = r"(?:3[2-9]|4\d|5[0-4])\d{3}(?:\.\d+)?"
_SERIAL_ORIGIN = pd.Timestamp("1899-12-30")


def parse_dates(
    texts: pd.Series, source: SourceSettings, open_ended: bool = False, periods: str | None = None
) -> pd.Series:
    """Read texts as dates in the source's format, in ISO 8601 or with a month's name; NaT if a text is not a date.

    With a time zone in the settings, time stamps become local times of that zone: stamps with an offset by their
    offset, others by ``timestamp_zone``. Without it, the local time counts as written, without its offset.

    Args:
        texts: texts without surrounding spaces.
        source: date format and time zones.
        open_ended: years after 2199, by which an ERP writes "open end", become 2200-12-31.
        periods: ISO weeks (``W``) or months (``MS``) are read too, as their first day.
    """
    parts = texts.str.extract(f"^{_ISO_DATE}$")
    written = parts[0] + (" " + parts[1].str.replace(",", ".", regex=False)).fillna("")
    dates = _read(written, "ISO8601")
    if periods:
        start = _week_start if periods == "W" else _month_start
        open_texts = texts[dates.isna()]
        dates = dates.fillna(pd.Series([start(text) for text in open_texts], open_texts.index, dtype=dates.dtype))
    dates = dates.fillna(word_dates(texts))
    if source.timezone is not None:
        dates = dates.where(parts[1].isna(), _local(dates, parts[2], source))
    if open_ended:
        late = pd.to_numeric(parts[0].str[:4], errors="coerce") >= _OPEN_END_YEAR
        dates = dates.mask(late, OPEN_END)
    if source.date_format is not None:
        formatted = _read(texts, source.date_format)
        if source.timezone is not None and source.timestamp_zone is not None and "%H" in source.date_format:
            formatted = _converted(formatted, source.timestamp_zone, source.timezone)
        dates = formatted.fillna(dates)
    return dates


def has_offset(texts: pd.Series) -> pd.Series:
    """Find the texts that are time stamps with an offset from UTC and a time other than midnight."""
    return texts.str.contains(_OFFSET, regex=True) & ~texts.str.contains(r"[T ]00:00(?::00(?:[.,]0+)?)?\s?(?:Z|[+-U])")


def serial_dates(texts: pd.Series) -> pd.Series:
    """Return the dates of texts that are day numbers of Excel; NaT for other texts.

    >>> serial_dates(pd.Series(["45292", "2024"]))[0].date()
    datetime.date(2024, 1, 1)
    """
    days = pd.to_numeric(texts.where(texts.str.fullmatch(_SERIAL)), errors="coerce")
    return _SERIAL_ORIGIN + pd.to_timedelta(days.floordiv(1), unit="D")


def _week_start(text: str) -> pd.Timestamp | None:
    """Return the first day of an ISO week; None for other texts."""
    week, last = _ISO_WEEK.fullmatch(text) or _SIX_DIGITS.fullmatch(text), _WEEK_FIRST.fullmatch(text)
    try:
        if week:
            day = int(week[3] or 1) if week.re is _ISO_WEEK else 1
            return pd.Timestamp(date.fromisocalendar(int(week[1]), int(week[2]), day))
        if last:
            return pd.Timestamp(date.fromisocalendar(int(last[2]), int(last[1]), 1))
    except (ValueError, OverflowError):
        pass
    return None


def _month_start(text: str) -> pd.Timestamp | None:
    """Return the first day of a month; None for other texts."""
    month, last = _MONTH.fullmatch(text), _MONTH_FIRST.fullmatch(text)
    try:
        if month:
            return pd.Timestamp(date(int(month[1]), int(month[2]), 1))
        if last:
            return pd.Timestamp(date(int(last[2]), int(last[1]), 1))
    except (ValueError, OverflowError):
        return None
    found = word_month(text)
    return pd.Timestamp(found) if found else None


def _read(texts: pd.Series, form: str) -> pd.Series:
    if "%V" in form and "%u" not in form:
        texts, form = texts + " 1", f"{form} %u"
    try:
        return pd.to_datetime(texts, format=form, errors="coerce").astype("datetime64[ns]")
    except (ValueError, TypeError, OverflowError):
        return pd.Series(pd.NaT, index=texts.index, dtype="datetime64[ns]")


def _local(dates: pd.Series, offsets: pd.Series, source: SourceSettings) -> pd.Series:
    digits = offsets.str.replace(":", "", regex=False).str.replace("Z|UTC", "+0000", regex=True).str.ljust(5, "0")
    hours = pd.to_numeric(digits.str[:3], errors="coerce")
    minutes = pd.to_numeric(digits.str[3:5], errors="coerce").where(hours >= 0, -pd.to_numeric(digits.str[3:5]))
    minutes = minutes.where(~digits.str.startswith("-00", na=False), -minutes.abs())
    utc = dates - pd.to_timedelta(hours * 60 + minutes, unit="min")
    local = _converted(utc, "UTC", str(source.timezone))
    if source.timestamp_zone is None:
        return local.where(offsets.notna(), dates)
    return local.where(offsets.notna(), _converted(dates, source.timestamp_zone, str(source.timezone)))


def _converted(dates: pd.Series, written: str, wanted: str) -> pd.Series:
    """Convert local times of one zone to another; a time that the clock change skips counts one hour later."""
    placed = dates.dt.tz_localize(written, ambiguous="NaT", nonexistent="shift_forward")
    # The hour that occurs twice when the clock goes back: the first of the two.
    first = dates.dt.tz_localize(written, ambiguous=[True] * len(dates), nonexistent="shift_forward")
    return placed.fillna(first).dt.tz_convert(wanted).dt.tz_localize(None).astype("datetime64[ns]")
