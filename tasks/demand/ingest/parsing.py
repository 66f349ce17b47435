"""From cells as written to typed columns. Every distinct text is read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.raw import as_text, is_text
from schemas.settings import SourceSettings
from schemas.suites import EMPTY, READ, UNREADABLE
from schemas.tables import ColumnRule

# What exports write into number, date and flag cells that hold nothing.
_NOTHING = ("", "na", "n/a", "nan", "null", "none", "nat", "<na>", "#n/a")
_TRUE = ("1", "1.0", "true", "t", "yes", "y", "si", "sí", "s")
_FALSE = ("0", "0.0", "false", "f", "no", "n")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_INFINITY = r"[+-]?(?:inf|infinity|∞)"
# With a decimal comma a point can only part thousands, in groups of three.
_COMMA_NUMBER = r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+)?(?:,\d*)?(?:[eE][+-]?\d+)?"
_ISO_DATE = r"(\d{4}-\d{2}-\d{2}|\d{8})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(?:Z|[+-]\d{2}:?\d{2})?)?"
_OPEN_END_YEAR = 2200
OPEN_END = pd.Timestamp("2200-12-31")


@dataclass(frozen=True)
class ParsedColumn:
    """A typed column.

    Attributes:
        values: number float64, date datetime64[ns] (time of day kept), flag boolean (nullable), id and
            text categories of text; missing where the cell is empty or unreadable.
        state: shape (rows,); READ, EMPTY or UNREADABLE (:mod:`schemas.suites`).
    """

    values: pd.Series
    state: NDArray[np.int8]


def parse_column(column: pd.Series, rule: ColumnRule, source: SourceSettings) -> ParsedColumn:
    """Read a column as its rule says.

    Ids and texts stay as written, blanks included; a text of blanks is empty. Numbers take the source's
    decimal mark, dates its format or ISO 8601; a time zone is left off, the local time counts. In a
    ``date_to`` the years from 2200 on, by which an ERP writes "open end", become 2200-12-31.

    Args:
        column: categories of text, or a typed column of a Parquet file.
        rule: kind of the column.
        source: decimal mark and date format.
    """
    if rule.kind == "number" and pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        values = column.astype("float64")
        return ParsedColumn(values, np.where(values.isna(), EMPTY, READ).astype(np.int8))
    if rule.kind == "date" and pd.api.types.is_datetime64_dtype(column):
        column = _in_nanoseconds(column)
        if column.dtype.kind == "M":
            return ParsedColumn(column, np.where(column.isna(), EMPTY, READ).astype(np.int8))
    text = column if is_text(column) else as_text(column)
    texts = pd.Series(text.cat.categories, dtype=object)
    typed, state = _parse_texts(texts, rule, source)
    codes = text.cat.codes.to_numpy()
    if rule.kind in ("id", "text"):
        return ParsedColumn(_without_blank(text, state), state[codes])
    values = pd.Series(typed.take(codes).array, index=column.index)
    return ParsedColumn(values, state[codes])


def further_column(column: pd.Series, source: SourceSettings) -> pd.Series:
    """Read a column that has no rule.

    Returns:
        float64 where every non-empty cell is a number (or every cell is true or false, as 1 and 0),
        else text; missing where the cell is empty or infinite.
    """
    if pd.api.types.is_bool_dtype(column):
        return column.astype("float64")
    number = parse_column(column, ColumnRule("", "number"), source)
    if not (number.state == UNREADABLE).any():
        return number.values.where(np.isfinite(number.values))
    text = column if is_text(column) else as_text(column)
    words = text.cat.categories.str.strip().str.lower()
    if words.isin(["true", "false", ""]).all():
        return pd.Series(words.map({"true": 1.0, "false": 0.0}).to_numpy(dtype=float)[text.cat.codes], column.index)
    return plain_text(parse_column(column, ColumnRule("", "text"), source).values)


def plain_text(column: pd.Series) -> pd.Series:
    """Categories of text as a column of Python texts, None where missing."""
    lookup = np.append(column.cat.categories.to_numpy(dtype=object), np.array([None], dtype=object))
    return pd.Series(lookup[column.cat.codes.to_numpy()], index=column.index, dtype=object)


def _parse_texts(texts: pd.Series, rule: ColumnRule, source: SourceSettings) -> tuple[pd.Series, NDArray[np.int8]]:
    trimmed = texts.str.strip()
    if rule.kind in ("id", "text"):
        return texts, np.where(trimmed == "", EMPTY, READ).astype(np.int8)
    if rule.kind == "number":
        typed = _numbers(trimmed, source.decimal)
    elif rule.kind == "date":
        typed = _dates(trimmed, source.date_format, open_ended=rule.name == c.DATE_TO)
    else:
        typed = _flags(trimmed)
    nothing = trimmed.str.lower().isin(_NOTHING)
    state = np.select([typed.notna(), nothing], [READ, EMPTY], UNREADABLE).astype(np.int8)
    return typed, state


def _numbers(texts: pd.Series, decimal: str) -> pd.Series:
    infinite = texts.str.fullmatch(_INFINITY, case=False)
    if decimal == ",":
        right = texts.str.fullmatch(_COMMA_NUMBER)
        texts = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    else:
        right = texts.str.fullmatch(_NUMBER)
    texts = texts.where(right | infinite).str.replace("∞", "inf")
    return pd.to_numeric(texts, errors="coerce").astype("float64")


def _dates(texts: pd.Series, form: str | None, open_ended: bool) -> pd.Series:
    parts = texts.str.extract(f"^{_ISO_DATE}$")
    iso = parts[0] + (" " + parts[1]).fillna("")
    dates = pd.to_datetime(iso, format="ISO8601", errors="coerce")
    if open_ended:
        late = pd.to_numeric(parts[0].str[:4], errors="coerce") >= _OPEN_END_YEAR
        dates = dates.mask(late, OPEN_END)
    if form is not None:
        dates = pd.to_datetime(texts, format=form, errors="coerce").fillna(dates)
    return _in_nanoseconds(dates)


def _flags(texts: pd.Series) -> pd.Series:
    words: dict[str, Any] = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
    return texts.str.lower().map(words).astype("boolean")


def _in_nanoseconds(dates: pd.Series) -> pd.Series:
    """The same dates in the one unit used here; unchanged where a date does not fit it."""
    try:
        return dates.astype("datetime64[ns]")
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        return dates.astype(object)


def _without_blank(text: pd.Series, state: NDArray[np.int8]) -> pd.Series:
    blank = text.cat.categories[state == EMPTY]
    return text.cat.remove_categories(blank) if len(blank) else text
