"""Dates with the name of a month, such as 4-Mar-2024, Mar 4, 2024 or 4 de marzo de 2024."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import cache

import pandas as pd

from tasks.demand.words import CELLS, languages, phrases, plain

# Fewest letters of an abbreviation.
_SHORTEST = 3
_CENTURY = 2000
_MONTH = r"(?P<month>[^\W\d_]{3,})\.?"
_DAY = r"(?P<day>\d{1,2})(?:\.|st|nd|rd|th|º|er)?"
_GAP = r"[\s./,-]*(?:de\s+|of\s+)?"
_TIME = r"(?:[T ,]+\d{1,2}:\d{2}.*)?"
_FORMS = tuple(
    re.compile(rf"(?:[^\W\d_]+\.?,?\s+)?{form}{_TIME}", re.IGNORECASE)
    for form in (
        rf"{_DAY}{_GAP}{_MONTH}{_GAP}(?P<year>\d{{4}}|\d{{2}})",
        rf"{_MONTH}{_GAP}{_DAY}[\s,-]+(?P<year>\d{{4}})",
        rf"(?P<year>\d{{4}}){_GAP}{_MONTH}{_GAP}{_DAY}",
    )
)

_MONTH_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (rf"{_MONTH}{_GAP}(?P<year>\d{{4}}|\d{{2}})", rf"(?P<year>\d{{4}}){_GAP}{_MONTH}")
)


def word_date(text: str) -> date | None:
    """The date of a text with a month's name in one of the languages of words.yaml; None for other texts.

    >>> word_date("04-Mar-2024"), word_date("mars 2024")
    (datetime.date(2024, 3, 4), None)
    """
    return _first_of(_FORMS, text)


def word_month(text: str) -> date | None:
    """The first day of a month with its name and year; None for other texts.

    >>> word_month("Mar-24"), word_month("mars 2024"), word_month("4-Mar-2024")
    (datetime.date(2024, 3, 1), datetime.date(2024, 3, 1), None)
    """
    return _first_of(_MONTH_FORMS, text)


def _first_of(forms: Sequence[re.Pattern[str]], text: str) -> date | None:
    for form in forms:
        found = form.fullmatch(text)
        month = _months().get(plain(found["month"])) if found else None
        if found and month:
            year = int(found["year"]) + (_CENTURY if len(found["year"]) == 2 else 0)  # noqa: PLR2004
            try:
                return date(year, month, int(found.groupdict().get("day", 1)))
            except ValueError:
                return None
    return None


def word_dates(texts: pd.Series) -> pd.Series:
    """The dates of texts with a month's name; NaT for other texts."""
    lettered = texts[texts.str.contains(r"[^\W\d_]{3}", regex=True, na=False)]
    found = pd.Series([word_date(text) for text in lettered], lettered.index, dtype="datetime64[ns]")
    return found.reindex(texts.index)


@cache
def _months() -> dict[str, int]:
    """Names and abbreviations to the number of the month; an abbreviation of two months is none."""
    found: dict[str, set[int]] = {}
    for code in languages():
        for number, names in enumerate(phrases(CELLS, "months", code), start=1):
            for name in map(plain, names.split("/")):
                for length in range(_SHORTEST, len(name) + 1):
                    found.setdefault(name[:length], set()).add(number)
    return {text: numbers.pop() for text, numbers in found.items() if len(numbers) == 1}
