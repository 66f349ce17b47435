"""Formats of numbers and dates in the report, and its table type."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np

UNKNOWN = "–"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SUFFIXES = ((1e9, "bn"), (1e6, "M"), (1e3, "k"))
_TEN, _HUNDRED = 10, 100


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        headers: one per column; the prefix ``#`` marks a numeric column and is not shown.
        rows: cells as text, one per header.
        marked: indices of highlighted rows.
        note: a line below the table.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: frozenset[int] = field(default=frozenset())
    note: str = ""


def number(value: float | None, digits: int = 0) -> str:
    """Format a number with thousands separators; a dash for an unknown number.

    >>> number(1234567.8), number(0.456, 2), number(float("nan"))
    ('1,234,568', '0.46', '–')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text


def quantity(value: float | None) -> str:
    """Format a number with decimals that depend on its size: 0.46, 12.3, 456."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    return number(value, 0 if size >= _HUNDRED or value == round(value) else 1 if size >= _TEN else 2)


def percent(value: float | None, digits: int = 1, signed: bool = False) -> str:
    """Format a fraction as a percentage.

    >>> percent(0.0914), percent(-0.02, signed=True), percent(None)
    ('9.1 %', '-2.0 %', '–')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = number(value * 100, digits)
    return f"{'+' if signed and value > 0 else ''}{text} %"


def compact(value: float) -> str:
    """Format a number for an axis.

    >>> compact(0), compact(1500), compact(2_000_000), compact(0.5)
    ('0', '1.5k', '2M', '0.5')
    """
    for size, suffix in _SUFFIXES:
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"


def day(value: date | np.datetime64) -> str:
    """Format a date, for example 2 Jan 2025."""
    moment = value if isinstance(value, date) else value.astype("datetime64[s]").astype(datetime)
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def cell(value: object) -> str:
    """Format any value as a table cell: numbers by :func:`quantity`, None as a dash, other values as text."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.integer | np.floating):
        return quantity(float(value))
    if value is None:
        return UNKNOWN
    return str(value)
