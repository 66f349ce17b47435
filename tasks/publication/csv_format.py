"""CSV files in the format of the settings ``output``: write and read back.

A text that a spreadsheet may execute is written as text (:mod:`schemas.spreadsheets`). The files that the ERP reads
(``OutputTable.exact_ids``) contain ids unchanged: an ERP compares them character by character.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date, datetime

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import PublicationError
from schemas.outputs import OutputTable
from schemas.settings import OutputSettings
from schemas.spreadsheets import neutralized, restored

IDS = (c.FROM, c.STORE_ID, c.SKU)
_TEXT = (*IDS, c.CATEGORY)
_QUOTE = '"'
_ISO_DATE = "%Y-%m-%d"
# Larger floats may differ from the whole number that they show.
_LARGEST_WHOLE = 2**53


def csv_bytes(frame: pd.DataFrame, columns: Sequence[str], table: OutputTable, output: OutputSettings) -> bytes:
    r"""Return the bytes of a CSV file: header and rows in the given order, with ``\n`` line ends.

    Dates are written as 2025-01-31, whole numbers without decimals, missing values as empty fields. A field is quoted
    (with doubled quotes) only if it contains the delimiter, a quote or a line end. A character that the encoding does
    not have is written as ``?``.

    Args:
        frame: the rows.
        columns: columns to write.
        table: says which columns hold dates, and how ids and the header are written.
        output: delimiter, encoding, decimal mark and column names.

    Example:
        >>> one = pd.DataFrame({"store_id": ["007"], "date": pd.to_datetime(["2025-01-31"]), "units": [1.5]})
        >>> table = OutputTable("one", "one.csv", tuple(one.columns), ("store_id",), dates=("date",))
        >>> csv_bytes(one, list(one.columns), table, OutputSettings(delimiter=";", decimal=","))
        b'store_id;date;units\n007;2025-01-31;1,5\n'
    """
    quoted = _quoting(output.delimiter)
    names = [output.columns.get(name, name) if table.renamed else name for name in columns]
    header = [quoted(name if table.exact_ids else neutralized(name)) for name in names]
    fields = [_fields(frame[name], name, table, output) for name in columns]
    lines = [output.delimiter.join(header), *map(output.delimiter.join, zip(*fields, strict=True)), ""]
    return "\n".join(lines).encode(output.encoding, errors="replace")


def read_csv_bytes(data: bytes, table: OutputTable, output: OutputSettings) -> pd.DataFrame:
    """Read back a file that :func:`csv_bytes` wrote with the same settings.

    Returns:
        Restock column names. Ids and categories are text; other columns are numbers or booleans if all cells are,
        otherwise text.

    Raises:
        PublicationError: the bytes are not such a file.
    """
    try:
        text = data.decode(output.encoding)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=output.delimiter, strict=True))
        if not rows or any(len(row) != len(rows[0]) for row in rows):
            raise ValueError(f"expected rows with {len(rows[0]) if rows else 'some'} fields")
    except (LookupError, ValueError, csv.Error) as error:
        raise PublicationError(f"{table.file}: not a readable CSV file: {error}") from error
    ours = {theirs: name for name, theirs in output.columns.items()} if table.renamed else {}
    written = rows[0] if table.exact_ids else [restored(name) for name in rows[0]]
    names = [ours.get(name, name) for name in written]
    missing = [name for name in table.columns if name not in names]
    if missing:
        raise PublicationError(f"{table.file}: missing columns {', '.join(missing)}; it has {', '.join(rows[0])}")
    frame = pd.DataFrame(rows[1:], columns=names, dtype=object)
    return pd.DataFrame({name: _read(frame[name], name, table, output) for name in names})


def _fields(column: pd.Series, name: str, table: OutputTable, output: OutputSettings) -> list[str]:
    if name in table.dates or column.dtype.kind == "M":
        return pd.to_datetime(column).dt.strftime(_ISO_DATE).fillna("").tolist()
    if name in IDS:
        quoted = _quoting(output.delimiter)
        as_text: Callable[[str], str] = quoted if table.exact_ids else lambda text: quoted(neutralized(text))
        return _each_once(column.tolist(), lambda value: "" if pd.isna(value) else as_text(str(value)))
    if column.dtype.kind == "f":
        return [_number(value, output.decimal) for value in column.tolist()]
    return _each_once(column.tolist(), lambda value: _any(value, output))


def _any(value: object, output: OutputSettings) -> str:
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return str(value)
    if isinstance(value, float | np.floating):
        return _number(float(value), output.decimal)
    if isinstance(value, date | datetime):
        return value.strftime(_ISO_DATE)
    return _quoting(output.delimiter)(neutralized(str(value)))


def _number(value: float, decimal: str) -> str:
    if np.isnan(value):
        return ""
    if value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return str(int(value))
    text = repr(value)
    return text if decimal == "." else text.replace(".", decimal)


def _quoting(delimiter: str) -> Callable[[str], str]:
    marks = (delimiter, _QUOTE, "\n", "\r")

    def quoted(text: str) -> str:
        if any(mark in text for mark in marks):
            return f"{_QUOTE}{text.replace(_QUOTE, _QUOTE * 2)}{_QUOTE}"
        return text

    return quoted


def _each_once(values: Sequence[Hashable], as_text: Callable[[object], str]) -> list[str]:
    """Convert values to text; each distinct value of each type is converted once."""
    known: dict[tuple[type, Hashable], str] = {}
    found = []
    for value in values:
        key = type(value), value
        if key not in known:
            known[key] = as_text(value)
        found.append(known[key])
    return found


def _read(column: pd.Series, name: str, table: OutputTable, output: OutputSettings) -> pd.Series:
    if name in _TEXT:
        return column if table.exact_ids else column.map(restored)
    if name in table.dates:
        return pd.to_datetime(column, format=_ISO_DATE)
    number = _numbers(column, output.decimal)
    if number is not None:
        return number
    if column.isin(["True", "False"]).all():
        return column == "True"
    return column.map(restored)


def _numbers(column: Iterable[str], decimal: str) -> pd.Series | None:
    """Return the column as numbers (NaN if empty); None if a cell is not a number."""
    texts = pd.Series(column, dtype=object)
    values = pd.to_numeric(texts.str.replace(decimal, ".", regex=False).replace("", None), errors="coerce")
    return None if (values.isna() & (texts != "")).any() else values
