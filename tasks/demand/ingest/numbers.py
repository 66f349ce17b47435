"""Numbers as exports write them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from schemas.settings import SourceSettings
from schemas.tables import SMALLEST_NUMBER
from tasks.demand.words import CELLS, phrases

_INFINITY = r"[+-]?(?:inf|infinity|∞)"
# No-break, figure, thin and narrow no-break space.
_HARD_SPACES = "\u00a0\u2007\u2009\u202f"
_OF_MARK = {" ": f" {_HARD_SPACES}", "'": f"'’{_HARD_SPACES}"}
_CURRENCY = "|".join(re.escape(sign) for sign in sorted(phrases(CELLS, "currency"), key=lambda sign: -len(sign)))
_BEFORE = re.compile(rf"^([-−+(]?)\s*(?:{_CURRENCY})\s*(?=[-+]?[\d.,])", re.IGNORECASE)
_AFTER = re.compile(rf"(?<=[\d.,])\s*(?:{_CURRENCY})\s*([-)]?)$", re.IGNORECASE)
_FIRST = 100
_POINT_GROUPS = r"[1-9]\d{0,2}(?:\.\d{3})+"
_COMMA_GROUPS = r"[1-9]\d{0,2}(?:,\d{3})+"


def parse_numbers(texts: pd.Series, source: SourceSettings, quantity: bool = False) -> pd.Series:
    """Read texts as numbers; NaN where a text is not a number.

    A minus may follow the number ("12-", as SAP writes), and a negative number may be in parentheses. A currency may
    stand before or after it. Digits may be in groups of three, separated by the source's thousands mark (a point, if
    the decimal mark is a comma) or by spaces that do not break.

    Args:
        texts: texts without surrounding spaces.
        source: decimal and thousands mark.
        quantity: a number with a currency is not a number.

    >>> parse_numbers(pd.Series(["1.104,5", "12-"]), SourceSettings(path="", decimal=",")).tolist()
    [1104.5, -12.0]
    """
    plain = texts.str.fullmatch(rf"[+-]?\d+(?:{re.escape(source.decimal)}\d+)?")
    found = pd.Series(np.nan, index=texts.index)
    simple = texts[plain]
    if source.decimal == ",":
        simple = simple.str.replace(",", ".", regex=False)
    found[plain] = pd.to_numeric(simple, errors="coerce").astype("float64")
    if not plain.all():
        found[~plain] = _unusual_numbers(texts[~plain] if quantity else without_currency(texts[~plain]), source)
    return near_zero_as_zero(found)


def _unusual_numbers(texts: pd.Series, source: SourceSettings) -> pd.Series:
    decimal = source.decimal
    marks = _thousands(source)
    texts = texts.str.replace("−", "-", regex=False)
    texts = texts.str.replace(r"^\((.*)\)$", r"-\1", regex=True).str.replace(r"^([^+-].*)-$", r"-\1", regex=True)
    digits = rf"(?:\d+|\d{{1,3}}(?:[{re.escape(marks)}]\d{{3}})+)?(?:{re.escape(decimal)}\d*)?(?:[eE][+-]?\d+)?"
    plain = texts.str.fullmatch(rf"[+-]?\s?(?=[\d{re.escape(decimal)}]){digits}") & texts.str.contains(r"\d")
    plain &= ~texts.str.fullmatch(rf"[+-]?{re.escape(decimal)}?[eE].*")
    infinite = texts.str.fullmatch(_INFINITY, case=False)
    cleaned = texts.str.replace(rf"[\s{re.escape(marks)}]", "", regex=True)
    if decimal == ",":
        cleaned = cleaned.str.replace(",", ".", regex=False)
    cleaned = cleaned.where(plain | infinite).str.replace("∞", "inf", regex=False)
    return pd.to_numeric(cleaned, errors="coerce").astype("float64")


def without_currency(texts: pd.Series) -> pd.Series:
    """Return the texts without the sign or code of a currency before or after a number.

    >>> without_currency(pd.Series(["-$5.00", "1.234,50 €", "(CHF 3)", "USD"])).tolist()
    ['-5.00', '1.234,50', '(3)', 'USD']
    """
    return texts.str.replace(_BEFORE, r"\1", regex=True).str.replace(_AFTER, r"\1", regex=True)


def fractions(texts: pd.Series, source: SourceSettings) -> pd.Series:
    """Read texts as fractions: 0.2, 20% and, in a column without other values, 20 are the same.

    >>> fractions(pd.Series(["20%", "0.1"]), SourceSettings(path="")).tolist()
    [0.2, 0.1]
    """
    percent = texts.str.endswith("%")
    found = parse_numbers(texts.str.removesuffix("%").str.strip(), source)
    return as_fractions(found.mask(percent, found / 100)) if not percent.all() else found / 100


def as_fractions(values: pd.Series) -> pd.Series:
    """Return fractions for values that are percent: all of them 0 or from 1 to 100, and some above 1."""
    stated = values[values.notna() & (values != 0)]
    if len(stated) and stated.between(1, 100).all() and (stated > 1).any():
        return values / 100
    return values


def near_zero_as_zero(values: pd.Series) -> pd.Series:
    """Return the values, with rounding errors set to 0."""
    return values.mask(values.abs() < SMALLEST_NUMBER, 0.0)


def unclear_marks(texts: pd.Series, source: SourceSettings) -> list[str]:
    """Return the texts whose decimal mark is probably a thousands mark; empty if there is no such evidence.

    ``1.104`` is one thousand one hundred four if every number with a point has groups of three digits after it and
    the numbers without a point end between 100 and 999: a file without thousands marks has larger ones.

    Args:
        texts: distinct texts of one column.
        source: decimal and thousands mark; a configured thousands mark settles the question.
    """
    marked = grouped_digits(texts, source)
    if not marked:
        return []
    texts = texts[texts.str.contains(r"\d", regex=True)].str.strip("+- \u00a0")
    whole = pd.to_numeric(texts[texts.str.fullmatch(r"\d{1,15}")], errors="coerce")
    plausible = len(whole) > 0 and 100 <= float(np.max(whole)) <= 999  # noqa: PLR2004
    return marked if plausible else []


def grouped_digits(texts: pd.Series, source: SourceSettings) -> list[str]:
    """Return the texts with the decimal mark if all of them have groups of three digits after it; else none.

    Args:
        texts: distinct texts of one column.
        source: decimal and thousands mark; a configured thousands mark settles the question.

    >>> grouped_digits(pd.Series(["3", "1.051"]), SourceSettings(path=""))
    ['1.051']
    """
    if source.thousands is not None:
        return []
    marked = texts[texts.str.contains(source.decimal, regex=False)]
    groups = _POINT_GROUPS if source.decimal == "." else _COMMA_GROUPS
    # Among many numbers with decimals, the first ones show it.
    for some in (marked[:_FIRST], marked):
        bare = some.str.strip("+- \u00a0")
        bare = bare[bare.str.contains(r"\d", regex=True)]
        if not bare.str.fullmatch(groups).all():
            return []
    return list(bare)


def _thousands(source: SourceSettings) -> str:
    """Return all characters that may separate groups of three digits."""
    mark = source.thousands
    if mark is None:
        return f".{_HARD_SPACES}" if source.decimal == "," else _HARD_SPACES
    return _HARD_SPACES if mark == "none" else _OF_MARK.get(mark, f"{mark}{_HARD_SPACES}")
