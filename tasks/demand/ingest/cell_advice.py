"""Format cells for messages, and give advice on cells that cannot be read."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.raw import as_text
from schemas.suites import CONTROL, FORMULA, SCIENTIFIC
from schemas.tables import ColumnRule
from tasks.demand.ingest.dates import parse_dates, serial_dates
from tasks.demand.ingest.mapped_table import MappedTable

VALUES_SHOWN = 10
_LONGEST_SHOWN = 40
_DECIMAL_COMMA = r"[+-]?\d{1,3}(?:\.\d{3})*,\d+"
_DECIMAL_POINT = r"[+-]?\d+\.\d{1,2}"
_THOUSANDS = r"[+-]?\d{1,3}(?:[,.' ]\d{3})+(?:[.,]\d*)?"

_ADVICE = {
    SCIENTIFIC: "Excel shows long codes as numbers in scientific notation and saves them so: the last digits are lost. "
    "Format the column as text before the codes are entered or pasted, or export the file again from the ERP.",
    FORMULA: "The file was written by a program that does not compute formulas. Open it in Excel and save it again.",
    CONTROL: "IDs are printable text without line breaks, tabs, null bytes and text-direction marks. Correct them in "
    "the source.",
}


def cell_hint(table: MappedTable, rule: ColumnRule, rows: NDArray[np.int64] | None = None) -> str:
    """Return advice on cells of a column that cannot be read as date, number or code; empty without advice.

    Args:
        table: the table.
        rule: rule of the column.
        rows: positions of the cells; None = all.
    """
    name = table.contract.name
    written = table.written(rule.name)
    texts = as_text(written if rows is None else written.iloc[rows])
    distinct = pd.Series(texts.unique(), dtype=object).str.strip()
    states = set(np.unique(table.parsed[rule.name].state if rows is None else table.parsed[rule.name].state[rows]))
    stated = next((text for state, text in _ADVICE.items() if state in states), None)
    if stated is not None:
        return stated
    if rule.kind == "date":
        serial = serial_dates(distinct).dropna()
        if len(serial):
            return (
                f"Numbers such as {distinct[serial.index[0]]} are dates as Excel stores them (serial numbers; "
                f"{distinct[serial.index[0]]} is {serial.iloc[0].date()}). Format the column as a date in Excel and "
                "export the file again."
            )
        months, weeks = (parse_dates(distinct, table.source, periods=kind).dropna() for kind in ("MS", "W"))
        periods, what, code = (months, "months", "MS") if len(months) >= len(weeks) else (weeks, "weeks", "W-MON")
        if len(periods):
            remedy = f": set `frequency` to {code}" if table.contract.periodic else "; expected a day"
            return f"Values such as {distinct[periods.index[0]]} are {what}{remedy}."
        fits = in_other_order(distinct, table.source.date_format) if rows is not None else distinct[:0]
        if len(fits):
            return (
                f"Values such as {fits.iloc[0]} are dates with day and month in the other order: the column has both "
                "orders, and other rows may be read as wrong dates. Write all dates in one order."
            )
    both = rows is not None and as_text(written).cat.categories.str.fullmatch(_DECIMAL_POINT).any()
    if rule.kind == "number" and distinct.str.fullmatch(_DECIMAL_COMMA).any() and both:
        return "These rows have a decimal comma, and others a decimal point. Write all numbers with the same mark."
    if rule.kind == "number" and distinct.str.fullmatch(_DECIMAL_COMMA).any():
        return f"Numbers have a decimal comma: set sources.{name}.decimal: ','."
    if rule.kind == "number" and distinct.str.fullmatch(_THOUSANDS).any():
        return f"Numbers have a thousands mark: set sources.{name}.thousands, and sources.{name}.decimal if needed."
    return ""


def in_other_order(texts: pd.Series, form: str | None) -> pd.Series:
    """The texts that are dates in a date format with day and month exchanged.

    >>> in_other_order(pd.Series(["07/13/2024", "?"]), "%d/%m/%Y").tolist()
    ['07/13/2024']
    """
    if form is None or "%d" not in form or "%m" not in form:
        return texts[:0]
    other = form.replace("%d", "%D").replace("%m", "%d").replace("%D", "%m")
    return texts[pd.to_datetime(texts, format=other, errors="coerce").notna()]


def distinct_values(table: MappedTable, column: str, rows: NDArray[np.int64] | None = None) -> str:
    """Return the most frequent values of a column with their counts, as messages show them.

    Args:
        table: the table.
        column: Restock's name of the column.
        rows: positions of the cells; None = all.
    """
    written = table.written(column)
    counts = as_text(written if rows is None else written.iloc[rows]).value_counts()
    counts = counts[counts > 0]
    shown = [f"{shortened(value)} {count:,}" for value, count in counts.iloc[:VALUES_SHOWN].items()]
    more = f", and {len(counts) - VALUES_SHOWN:,} other values" if len(counts) > VALUES_SHOWN else ""
    return ", ".join(shown) + more


def shortened(value: object) -> str:
    """Return a cell's text in quotes, cut after 40 characters."""
    text = str(value)
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")
