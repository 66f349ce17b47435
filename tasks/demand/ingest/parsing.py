"""Converts cells to typed columns. Every distinct text is read once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.raw import as_text, is_text
from schemas.settings import SourceSettings
from schemas.suites import CONTROL, EMPTY, ERROR_VALUE, FORMULA, READ, SCIENTIFIC, TOO_LARGE, UNREADABLE
from schemas.tables import LARGEST_NUMBER, ColumnRule
from tasks.demand.ingest.dates import parse_dates
from tasks.demand.ingest.numbers import as_fractions, fractions, near_zero_as_zero, parse_numbers
from tasks.demand.words import CELLS, phrases
from tasks.storage.mapped import blocks, empty, gathered

# Texts that exports write into empty number, date and flag cells.
_NOTHING = ("", "-", "na", "n/a", "nan", "null", "none", "nat", "<na>")
_NO_TEXT = ("-", "n/a", "nan", "null", "none", "<na>")
_TRUE = (*phrases(CELLS, "true"), "1.0")
_FALSE = (*phrases(CELLS, "false"), "0.0")
_ERROR_VALUE = "|".join(map(re.escape, phrases(CELLS, "error_value")))
# ERP systems use dates outside this range for "never" and "unknown".
_NEVER = r"[0\-./ :T]*0[0\-./ :T]*|.*(?<!\d)9999(?!\d).*|99991231"
_FIRST_STATED, _LAST_STATED = pd.Timestamp("1902-01-01"), pd.Timestamp("2199-12-31")
# Line breaks, null bytes, and marks that change the direction of the text around them.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
_SCIENTIFIC = r"\d(?:[.,]\d+)?E\+\d{2}"


@dataclass(frozen=True)
class ParsedColumn:
    """A typed column.

    Attributes:
        values: number float64, date datetime64[ns] (time of day kept), flag boolean (nullable), id and
            text categories of text; missing if the cell is empty or unreadable.
        state: shape (rows,); how each cell was read (:mod:`schemas.suites`).
        replaced: shape (rows,); the cell is not stated or empty, and counts as empty or as the rule's default.
            None if there is no such cell.
    """

    values: pd.Series
    state: NDArray[np.int8]
    replaced: NDArray[np.bool_] | None = None


def parse_column(
    column: pd.Series, rule: ColumnRule, source: SourceSettings, periods: str | None = None
) -> ParsedColumn:
    """Read a column as its rule says.

    Ids and texts stay as written, blanks included; a text of blanks is empty. Numbers and dates are read as
    :mod:`tasks.demand.ingest.numbers` and :mod:`tasks.demand.ingest.dates` say.

    Args:
        column: categories of text, or a typed column of a Parquet file.
        rule: kind of the column.
        source: decimal mark, date format and so on.
        periods: dates may be weeks (``W``) or months (``MS``).
    """
    return _with_replacements(_parse(column, rule, source, periods), rule)


def _parse(column: pd.Series, rule: ColumnRule, source: SourceSettings, periods: str | None) -> ParsedColumn:
    if rule.kind == "number" and pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return _typed(column, rule, "float64", _numbers)
    if rule.kind == "date" and pd.api.types.is_datetime64_dtype(column):
        try:
            return _typed(column, rule, "datetime64[ns]", _dates)
        except OverflowError:
            pass  # read as text, so that cells that do not fit are rejected
    text = column if is_text(column) else as_text(column)
    texts = pd.Series(text.cat.categories, dtype=object)
    typed, state = _parse_texts(texts, rule, source, periods)
    codes = text.cat.codes.to_numpy()
    if rule.kind in ("id", "text"):
        return ParsedColumn(_without_blank(text, state), gathered(state, codes))
    if isinstance(typed.dtype, np.dtype):
        values = pd.Series(gathered(typed.to_numpy(), codes), index=column.index, copy=False)
    else:
        values = pd.Series(typed.take(codes).array, index=column.index)
    return ParsedColumn(values, gathered(state, codes))


def _typed(
    column: pd.Series, rule: ColumnRule, kind: str, read: Callable[[pd.Series], tuple[pd.Series, NDArray[np.int8]]]
) -> ParsedColumn:
    """A typed column of a Parquet file, read block by block."""
    values, state = empty(len(column), kind), empty(len(column), np.int8)
    for part in blocks(len(column)):
        found, state[part] = read(column.iloc[part])
        values[part] = found.to_numpy()
    typed = pd.Series(values, index=column.index, copy=False)
    return ParsedColumn(as_fractions(typed) if rule.maximum == 1 else typed, state)


def _numbers(column: pd.Series) -> tuple[pd.Series, NDArray[np.int8]]:
    values = near_zero_as_zero(column.astype("float64"))
    state = np.where(values.isna(), EMPTY, READ).astype(np.int8)
    state[(values.abs() >= LARGEST_NUMBER) & np.isfinite(values)] = TOO_LARGE
    return values, state


def _dates(column: pd.Series) -> tuple[pd.Series, NDArray[np.int8]]:
    """Raise OverflowError if a date does not fit the one unit used here."""
    dates = _in_nanoseconds(column)
    if (dates.isna() & column.notna()).any():
        raise OverflowError
    return dates, np.where(dates.isna(), EMPTY, READ).astype(np.int8)


def _with_replacements(parsed: ParsedColumn, rule: ColumnRule) -> ParsedColumn:
    if rule.stated_from is not None:
        unstated = ~np.isin(parsed.state, (READ, EMPTY)) | (parsed.values < rule.stated_from).to_numpy()
        if rule.whole:
            unstated |= (parsed.values % 1 != 0).to_numpy() & parsed.values.notna().to_numpy()
        state = np.where(unstated, EMPTY, parsed.state).astype(np.int8)
        values = parsed.values.mask(unstated)
        if rule.zero_is_empty:
            unstated &= ~(parsed.values == 0).to_numpy()
        return ParsedColumn(values, state, unstated if unstated.any() else None)
    if rule.open_ended:
        unstated = ((parsed.values < _FIRST_STATED) | (parsed.values > _LAST_STATED)).to_numpy()
        state = np.where(unstated, EMPTY, parsed.state).astype(np.int8)
        return ParsedColumn(parsed.values.mask(unstated), state, unstated if unstated.any() else None)
    if rule.default is not None:
        empty = parsed.state == EMPTY
        if empty.any():
            text = parsed.values
            if rule.default not in text.cat.categories:
                text = text.cat.add_categories([rule.default])
            return ParsedColumn(text.fillna(rule.default), np.where(empty, READ, parsed.state).astype(np.int8), empty)
    return parsed


def further_column(column: pd.Series, source: SourceSettings) -> pd.Series:
    """Read a column that has no rule.

    Returns:
        float64 if every non-empty cell is a number (or every cell is true or false, as 1 and 0),
        else text; missing if the cell is empty or infinite.
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
    """Categories of text as a column of Python texts, None if missing."""
    lookup = np.append(column.cat.categories.to_numpy(dtype=object), np.array([None], dtype=object))
    return pd.Series(lookup[column.cat.codes.to_numpy()], index=column.index, dtype=object)


def _parse_texts(
    texts: pd.Series, rule: ColumnRule, source: SourceSettings, periods: str | None
) -> tuple[pd.Series, NDArray[np.int8]]:
    trimmed = texts.str.strip()
    error = trimmed.str.fullmatch(_ERROR_VALUE, case=False)
    if rule.kind in ("id", "text"):
        state = np.where(trimmed == "", EMPTY, READ).astype(np.int8)
        state[error] = EMPTY if rule.kind == "text" and rule.nullable else ERROR_VALUE
        if rule.kind == "id":
            state[trimmed.str.startswith("=")] = FORMULA
            state[trimmed.str.fullmatch(_SCIENTIFIC)] = SCIENTIFIC
            # Null bytes at the end fill a field of fixed width: `with_known_ids` removes them.
            state[trimmed.str.rstrip("\0").str.contains(_CONTROL)] = CONTROL
        if rule.default is not None:
            state[trimmed.str.lower().isin(_NO_TEXT)] = EMPTY
        return texts, state
    # Excel writes an apostrophe before a number or date that is text.
    trimmed = trimmed.str.removeprefix("'")
    if rule.kind == "number":
        typed = fractions(trimmed, source) if rule.maximum == 1 else parse_numbers(trimmed, source, rule.in_units)
    elif rule.kind == "date":
        typed = parse_dates(trimmed, source, open_ended=rule.name == c.DATE_TO, periods=periods)
        if rule.open_ended:
            typed = typed.mask(trimmed.str.fullmatch(_NEVER), pd.Timestamp.min.ceil("D"))
    else:
        typed = _flags(trimmed)
    nothing = trimmed.str.lower().isin(_NOTHING) | (error & rule.nullable)
    state = np.select([typed.notna(), nothing], [READ, EMPTY], UNREADABLE).astype(np.int8)
    state[error & ~nothing] = ERROR_VALUE
    state[trimmed.str.startswith("=") & (state == UNREADABLE)] = FORMULA
    if rule.kind == "number":
        state[(typed.abs() >= LARGEST_NUMBER) & np.isfinite(typed)] = TOO_LARGE
    return typed, state


def _flags(texts: pd.Series) -> pd.Series:
    words: dict[str, Any] = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
    return texts.str.lower().map(words).astype("boolean")


def _in_nanoseconds(dates: pd.Series) -> pd.Series:
    """The same dates in the one unit used here; NaT if a date does not fit it."""
    low, high = pd.Timestamp.min.ceil("D"), pd.Timestamp.max.floor("D")
    return dates.where((dates >= low) & (dates <= high)).astype("datetime64[ns]")


def _without_blank(text: pd.Series, state: NDArray[np.int8]) -> pd.Series:
    blank = text.cat.categories[state == EMPTY]
    return text.cat.remove_categories(blank) if len(blank) else text
