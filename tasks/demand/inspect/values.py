"""Recognize the content of a column from its values: numbers, dates or ids, and their format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.raw import as_text, is_text
from schemas.settings import SourceSettings
from tasks.demand.ingest.date_words import word_date, word_month
from tasks.demand.ingest.dates import parse_dates
from tasks.demand.ingest.numbers import without_currency

# Share of a column's filled cells that must be of a kind; the rest may be total rows and typing errors.
_MOST = 0.9
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d+)*|[.,]\d+)([eE][-+]?\d+)?-?")
_COMMA_DECIMAL = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d*),(\d{1,2}|\d{4,})-?")
_POINT_DECIMAL = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d*)\.(\d{1,2}|\d{4,})-?")
_SPACED = re.compile(r"[-+]?[1-9]\d{0,2}(?:([ '’])\d{3})(?:\1\d{3})*([.,]\d+)?-?")
_ANY_NUMBER = re.compile(f"{_NUMBER.pattern}|{_SPACED.pattern}")
_HARD_SPACE = re.compile(r"(?<=\d)[\u00a0\u2007\u2009\u202f](?=\d{3})")
# Number of distinct texts that show whether a column can hold numbers.
_SEARCHED = 1000
_GROUPED = {mark: re.compile(rf"[-+]?[1-9]\d{{0,2}}(\{mark}\d{{3}})+-?") for mark in ".,"}
_LONG = re.compile(r"[-+]?\d{4,}-?")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
_COMPACT = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])")
_WEEK_MARK = "(W|KW|CW|WK)"
_PERIOD = re.compile(
    rf"(19|20)\d{{2}}([-/](0[1-9]|1[0-2])|[-/ ]?{_WEEK_MARK}[-/ ]?\d{{1,2}})|"
    rf"{_WEEK_MARK}[-/ ]?\d{{1,2}}[-/ ](19|20)\d{{2}}|"
    r"(0?[1-9]|1[0-2])[-/.](19|20)\d{2}|(19|20)\d{2}(0[1-9]|[1-4]\d|5[0-3])"
)
_PARTS = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{4}|\d{2})([ T].*)?")
_TIMES = {
    re.compile(r" \d{1,2}:\d{2}"): " %H:%M",
    re.compile(r" \d{1,2}:\d{2}:\d{2}"): " %H:%M:%S",
    re.compile(r" \d{1,2}:\d{2} [AaPp][Mm]"): " %I:%M %p",
    re.compile(r" \d{1,2}:\d{2}:\d{2} [AaPp][Mm]"): " %I:%M:%S %p",
}
# A month's name has at least three letters; texts without letters at the start of a column are not searched for it.
_LETTERS = re.compile(r"[^\W\d_]{3}")
_FIRST = 100
_LARGEST_MONTH = 12
# One reading is chosen if its days are this many times denser than those of the other.
_DENSER = 3.0


@dataclass(frozen=True)
class Column:
    """The distinct filled texts of a column, blanks cut off, and how many cells hold each."""

    name: str
    texts: tuple[str, ...]
    counts: NDArray[np.int64]
    rows: int

    @classmethod
    def of(cls, name: str, values: pd.Series) -> Column:
        """Count the texts of a column as it was read."""
        text = values if is_text(values) else as_text(values)
        counts = np.bincount(text.cat.codes.to_numpy(), minlength=len(text.cat.categories))
        found: dict[str, int] = {}
        for value, count in zip(text.cat.categories.str.strip(), counts, strict=True):
            if value and count:
                found[value] = found.get(value, 0) + int(count)
        return cls(name, tuple(found), np.array(list(found.values()), dtype=np.int64), len(text))

    @property
    def filled(self) -> int:
        """Number of cells with a value."""
        return int(self.counts.sum())

    @property
    def unique(self) -> bool:
        """Whether (nearly) every filled cell has another value."""
        return self.filled > 0 and len(self.texts) >= 0.98 * self.filled

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The texts without currency and percent signs, parentheses and spaces that do not break."""
        # A long column of texts that are no numbers is not searched for signs.
        first = _without_signs(self.texts[:_SEARCHED])
        if sum(bool(_ANY_NUMBER.fullmatch(text)) for text in first) < len(first) / 2:
            return self.texts
        return _without_signs(self.texts)

    def share(self, pattern: re.Pattern[str], texts: Sequence[str] | None = None) -> float:
        """Share of the filled cells whose whole text matches."""
        pairs = zip(texts or self.texts, self.counts, strict=True)
        return sum(count for text, count in pairs if pattern.fullmatch(text)) / self.filled if self.filled else 0.0

    def count(self, text: str) -> int:
        """Number of cells with this text."""
        return int(self.counts[self.texts.index(text)]) if text in self.texts else 0

    @cached_property
    def is_number(self) -> bool:
        """Whether most cells are numbers, in any notation."""
        return self.share(_ANY_NUMBER, self.numbers) >= _MOST

    @cached_property
    def is_date(self) -> bool:
        """Whether most cells are dates."""
        return self.share_of_dates(_ISO, _PARTS, _COMPACT, _PERIOD) >= _MOST

    def share_of_dates(self, *forms: re.Pattern[str]) -> float:
        """Share of the filled cells that are dates in some forms, or with a month's name."""
        share = sum(self.share(form) for form in forms)
        if share >= _MOST or not any(map(_LETTERS.search, self.texts[:_FIRST])):
            return share
        pairs = zip(self.texts, self.counts, strict=True)
        return share + sum(int(count) for text, count in pairs if word_date(text) or word_month(text)) / self.filled

    @cached_property
    def has_fractions(self) -> bool:
        """Whether some number has decimals: such a column holds no ids."""
        return self.is_number and any(
            _COMMA_DECIMAL.fullmatch(text) or _POINT_DECIMAL.fullmatch(text) for text in self.numbers
        )


def _without_signs(texts: tuple[str, ...]) -> tuple[str, ...]:
    if all(map(_NUMBER.fullmatch, texts)):
        return texts
    joined = pd.Series(texts, dtype=object).str.replace(_HARD_SPACE, "", regex=True)
    bare = without_currency(joined.str.removesuffix("%").str.strip())
    return tuple(bare.str.replace(r"^\((.*)\)$", r"-\1", regex=True))


@dataclass(frozen=True)
class Finding:
    """A value that was decided by evidence, or None without evidence.

    Attributes:
        value: as the settings have it.
        evidence: why, in words.
        options: the possible values if there is no evidence.
    """

    value: str | None
    evidence: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class NumberMarks:
    """Decimal and thousands mark of a file; None = no cell shows one."""

    decimal: Finding | None
    thousands: Finding | None


def number_marks(columns: Sequence[Column]) -> NumberMarks:
    """Find decimal and thousands mark in the number columns of one file.

    1,5 and 1.104,50 have a decimal comma. 1.104 alone has three decimals or a thousands point: it is a thousands point
    if the same columns have no number above 999 without one.
    """
    texts = [text for column in columns for text in column.numbers]
    spaced = [(match[0], match[1]) for text in texts if (match := _SPACED.fullmatch(text))]
    if spaced:
        mark = "'" if spaced[0][1] in "'’" else " "
        without = Column("", tuple(re.sub(r"(?<=\d)[ '’](?=\d{3})", "", text) for text in texts), np.array([]), 0)
        found = number_marks([without])
        return NumberMarks(found.decimal, Finding(mark, f"numbers such as {_few([text for text, _ in spaced])}"))
    decimals = {
        mark: [text for text in texts if form.fullmatch(text)]
        for mark, form in ((",", _COMMA_DECIMAL), (".", _POINT_DECIMAL))
    }
    grouped = {mark: [text for text in texts if _GROUPED[mark].fullmatch(text)] for mark in decimals}
    ungrouped = any(map(_LONG.fullmatch, texts))
    if decimals[","] and decimals["."]:
        words = f"both marks occur: {_few(decimals[','])} and {_few(decimals['.'])}"
        return NumberMarks(Finding(None, words), None)
    for mark, other in ((",", "."), (".", ",")):
        if decimals[mark]:
            evidence = f"numbers such as {_few(decimals[mark])}"
            parted = [text for text in (*grouped[other], *decimals[mark]) if other in text]
            thousands = Finding(other, f"numbers such as {_few(parted)}") if parted else None
            return NumberMarks(Finding(mark, evidence), thousands)
    for mark, other in ((".", ","), (",", ".")):
        if grouped[mark]:
            words = f"numbers such as {_few(grouped[mark])}"
            if ungrouped and not any(text.count(mark) > 1 for text in grouped[mark]):
                return NumberMarks(Finding(None, f"{words}: thousands or three decimals"), None)
            certain = "no number above 999 is written without it"
            return NumberMarks(Finding(other, f"'{mark}' parts thousands"), Finding(mark, f"{words}; {certain}"))
    return NumberMarks(None, None)


def date_format(column: Column) -> Finding | None:
    """Find the format of a date column; None if it is ISO 8601, which needs no setting.

    The order of day and month follows from a number above 12, else from the order in which the days lie closer
    together. Otherwise it stays open.
    """
    if column.share_of_dates(_ISO, _COMPACT, _PERIOD) >= _MOST:
        return None
    parts = [match for text in column.texts if (match := _PARTS.fullmatch(text))]
    if not parts:
        return Finding(None, f"dates such as {_few(column.texts)} are in no known format")
    mark = parts[0][2]
    if len(parts[0][1]) == 4:  # noqa: PLR2004 - a year
        return Finding(f"%Y{mark}%m{mark}%d{_time(parts[0][5])}", f"dates such as {parts[0][0]}")
    year = "%Y" if len(parts[0][4]) == 4 else "%y"  # noqa: PLR2004 - a year
    end = f"{mark}{year}{_time(parts[0][5])}"
    if year == "%y" and _is_year_first(parts):
        return Finding(
            f"%y{mark}%m{mark}%d{_time(parts[0][5])}", f"with the year first, {parts[0][0]}, the dates are close"
        )
    day_first = [match[0] for match in parts if int(match[1]) > _LARGEST_MONTH]
    month_first = [match[0] for match in parts if int(match[3]) > _LARGEST_MONTH]
    if day_first and month_first:
        return Finding(None, f"{day_first[0]} has the day first, {month_first[0]} the month")
    if day_first:
        return Finding(f"%d{mark}%m{end}", f"{day_first[0]} occurs: the day is first")
    if month_first:
        return Finding(f"%m{mark}%d{end}", f"{month_first[0]} occurs: the month is first")
    return _by_run_of_days([(match[1], match[3], match[4]) for match in parts], f"%d{mark}%m{end}", f"%m{mark}%d{end}")


def days_of(column: Column, form: str | None) -> list[date]:
    """The distinct days of a date column that can be read, sorted."""
    texts = pd.Series(column.texts, dtype=object)
    source = SourceSettings(path="", date_format=form)
    months, weeks = (parse_dates(texts, source, periods=kind) for kind in ("MS", "W"))
    days = months if months.count() >= weeks.count() else weeks
    return sorted(set(days.dropna().dt.date))


def _is_year_first(parts: Sequence[re.Match[str]]) -> bool:
    """Whether dates with years of two digits are much closer together if the year is first than if it is last."""
    year_first = _density([_day(match[1], match[3], match[4]) for match in parts])
    year_last = [
        _density([_day(match[4], match[one], match[other]) for match in parts]) for one, other in ((3, 1), (1, 3))
    ]
    return year_first > _DENSER * max(year_last)


def _density(days: Sequence[date | None]) -> float:
    """Number of distinct days over the days between the first and the last; unreadable ones count against it."""
    known = sorted({day for day in days if day})
    if len(known) < 2:  # noqa: PLR2004
        return 0.0
    return len(known) / ((known[-1] - known[0]).days + 1) * sum(day is not None for day in days) / len(days)


def _by_run_of_days(parts: Sequence[tuple[str, str, str]], day_first: str, month_first: str) -> Finding:
    """Decide between two orders by the days between first and last: the right order has the denser days."""
    density = [
        _density([_day(year, (first, second)[order[0]], (first, second)[order[1]]) for first, second, year in parts])
        for order in ((1, 0), (0, 1))
    ]
    example = "/".join(parts[0])
    if density[0] > _DENSER * density[1]:
        return Finding(day_first, "with the day first the dates are consecutive days")
    if density[1] > _DENSER * density[0]:
        return Finding(month_first, "with the month first the dates are consecutive days")
    words = f"no number above 12 shows whether {example} has the day or the month first"
    return Finding(None, words, (day_first, month_first))


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return datetime(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day)).date()  # noqa: PLR2004
    except ValueError:
        return None


def _time(text: str | None) -> str:
    return next((form for pattern, form in _TIMES.items() if text and pattern.fullmatch(text)), "")


def _few(texts: Sequence[str], shown: int = 2) -> str:
    return " and ".join(sorted(texts, key=lambda text: (len(text), text))[-shown:][::-1])
