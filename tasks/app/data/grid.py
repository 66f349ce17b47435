"""Filter, sort and page a table on the server, as the table in the browser requests it.

The request has the form of AG Grid's infinite row model: ``startRow``, ``endRow``, ``sortModel`` and ``filterModel``.
Values of a request come from the browser: an unknown column, filter or direction is ignored.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Column with all texts of a row, folded; the search box filters on it.
SEARCH = "search"
LARGEST_PAGE = 1000
_MAX_WORDS = 12

BoolArray = NDArray[np.bool_]


def folded(text: str) -> str:
    """Return a text in lower case without accents, so that nino finds niño.

    >>> folded("Zapato NIÑO")
    'zapato nino'
    """
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def with_search(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Add the column that the search box filters on."""
    text = pd.Series("", index=frame.index, dtype=object)
    for name in columns:
        codes, values = pd.factorize(frame[name].astype(object).fillna("").astype(str))
        text = text + " " + np.array([folded(value) for value in values], dtype=object)[codes]
    return frame.assign(**{SEARCH: text})


def page(frame: pd.DataFrame, request: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of a page as JSON values, and the number of rows that pass the filters."""
    found = selected(frame, request)
    start = max(0, _whole(request.get("startRow"), 0))
    end = min(max(start, _whole(request.get("endRow"), start + 100)), start + LARGEST_PAGE)
    return records(found.iloc[start:end]), len(found)


def selected(frame: pd.DataFrame, request: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows that pass the filters of a request, in its order."""
    keep = np.ones(len(frame), dtype=bool)
    filters, order = request.get("filterModel"), request.get("sortModel")
    for column, condition in (filters if isinstance(filters, Mapping) else {}).items():
        if column in frame.columns and isinstance(condition, Mapping):
            keep &= _passes(frame[column], condition)
    found = frame if keep.all() else frame[keep]
    sorts = [
        (str(one.get("colId")), one.get("sort") == "asc")
        for one in (order if isinstance(order, list) else [])
        if isinstance(one, Mapping) and str(one.get("colId")) in frame.columns
    ]
    if not sorts:
        return found
    names, ascending = [name for name, _ in sorts], [up for _, up in sorts]
    return found.sort_values(names, ascending=ascending, kind="stable", na_position="last")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON values: unknown numbers and dates are None, dates are ISO text."""
    columns = {name: _json(frame[name]) for name in frame.columns if name != SEARCH}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] if columns else []


def _json(column: pd.Series) -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(column):
        return [None if pd.isna(value) else value.date().isoformat() for value in column]
    if pd.api.types.is_float_dtype(column):
        return [float(value) if np.isfinite(value) else None for value in column.to_numpy(dtype=float)]
    return [None if value is None or value is pd.NaT or value is pd.NA else _plain(value) for value in column.tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)


def _passes(column: pd.Series, condition: Mapping[str, Any]) -> BoolArray:
    parts = condition.get("conditions")
    if isinstance(parts, list) and parts:
        masks = [_passes(column, part) for part in parts[:_MAX_WORDS] if isinstance(part, Mapping)]
        either = condition.get("operator") == "OR"
        return np.logical_or.reduce(masks) if either else np.logical_and.reduce(masks)
    kind = condition.get("type")
    if kind == "blank":
        return (column.isna() | (column.astype(object) == "")).to_numpy()
    if kind == "notBlank":
        return ~_passes(column, {"type": "blank"})
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return _numbers(column.to_numpy(dtype=float), condition)
    return _texts(column, condition)


def _numbers(values: NDArray[np.float64], condition: Mapping[str, Any]) -> BoolArray:
    try:
        bound = float(condition["filter"])
        upper = float(condition["filterTo"]) if condition.get("type") == "inRange" else np.nan
    except (KeyError, TypeError, ValueError):
        return np.ones(len(values), dtype=bool)
    found: dict[Any, BoolArray] = {
        "equals": values == bound,
        "notEqual": values != bound,
        "lessThan": values < bound,
        "lessThanOrEqual": values <= bound,
        "greaterThan": values > bound,
        "greaterThanOrEqual": values >= bound,
        "inRange": (values >= bound) & (values <= upper),
    }
    return found.get(condition.get("type"), np.ones(len(values), dtype=bool))


def _texts(column: pd.Series, condition: Mapping[str, Any]) -> BoolArray:
    wanted = folded(str(condition.get("filter") or ""))
    # Ids and kinds repeat: each distinct text is compared once.
    codes, values = pd.factorize(column.astype(object).fillna("").astype(str))
    texts = [str(value) if column.name == SEARCH else folded(str(value)) for value in values]
    tests = {
        "contains": lambda text: all(word in text for word in wanted.split()[:_MAX_WORDS]),
        "notContains": lambda text: wanted not in text,
        "equals": lambda text: text == wanted,
        "notEqual": lambda text: text != wanted,
        "startsWith": lambda text: text.startswith(wanted),
        "endsWith": lambda text: text.endswith(wanted),
    }
    test = tests.get(str(condition.get("type")))
    if test is None or not wanted:
        return np.ones(len(column), dtype=bool)
    passing: BoolArray = np.fromiter(map(test, texts), dtype=np.bool_, count=len(texts))[codes]
    return passing


def _whole(value: Any, default: int) -> int:
    return int(value) if isinstance(value, int | float) and np.isfinite(value) else default
