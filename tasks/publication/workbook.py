"""Excel workbooks: text stays text, numbers and dates are native, equal content gives equal bytes.

No cell is a formula: every text cell has the type "text", also if it begins with ``=``, ``+``, ``-`` or ``@``. Such a
cell also has Excel's quote prefix, so that it stays text when somebody edits it.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from schemas.spreadsheets import starts_formula

# Rows per sheet. A sheet with more rows keeps the most important ones and says so in its last line.
MAX_ROWS = 50_000
_WIDTHS = (9, 60)
_ROWS_MEASURED = 500
_TEXT_FORMAT, _DATE_FORMAT, _WHOLE_FORMAT, _DECIMAL_FORMAT = "@", "yyyy-mm-dd", "#,##0", "#,##0.0"
_PERCENT_FORMAT, _GENERAL_FORMAT = "0.0%", "General"
# The font of cells without a style.
_FONT = "Calibri"
# XML 1.0 does not allow these characters.
_NOT_ALLOWED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LONGEST_TEXT = 32_767
# Zip files cannot have earlier dates.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*")
_COMPRESSION_LEVEL = 6
_FILE_MODE = 0o600 << 16


@dataclass(frozen=True)
class Sheet:
    """One sheet: a table with a header.

    Attributes:
        title: name of the sheet.
        frame: the rows in their order; columns of text, numbers, booleans or dates.
        file: file with all rows, named if the sheet has not all of them; empty = the table has no file.
        largest: a sheet with too many rows keeps those with the largest values in this column; empty = the first ones.
        money: columns with amounts of money, shown in whole units of the currency.
        percent: columns with fractions, shown as percentages.
        general: columns with numbers of several units, shown with all their decimals.

    Other numbers are whole, or have one decimal if any value of the column has a fraction. The cells keep all decimals.
    """

    title: str
    frame: pd.DataFrame
    file: str = ""
    largest: str = ""
    money: tuple[str, ...] = ()
    percent: tuple[str, ...] = ()
    general: tuple[str, ...] = ()

    def number_format(self, name: str, currency: str) -> str:
        """The number format of a column; empty if it follows from the values."""
        if name in self.money:
            unit = currency.replace(chr(34), "")
            return f'{_WHOLE_FORMAT} "{unit}"' if unit else _WHOLE_FORMAT
        if name in self.percent:
            return _PERCENT_FORMAT
        return _GENERAL_FORMAT if name in self.general else ""


def write_workbook(
    path: Path, sheets: Sequence[Sheet], day: date, currency: str = "", header: Mapping[str, str] | None = None
) -> None:
    """Write a workbook: one sheet per table, with a frozen header, a filter and fitting column widths.

    Args:
        path: file to write.
        sheets: tables.
        day: date of creation in the file's properties.
        currency: name of the currency, shown with amounts of money.
        header: maps column names to the names in the header; a column without an entry keeps its name.
    """
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    book.properties.creator = "Restock"
    book.properties.created = datetime(day.year, day.month, day.day, tzinfo=UTC).replace(tzinfo=None)
    for sheet in sheets:
        _write_sheet(book, sheet, currency, header or {})
    written = io.BytesIO()
    book.save(written)
    path.write_bytes(_reproducible(written.getvalue(), day))


def _write_sheet(book: Any, sheet: Sheet, currency: str, header: Mapping[str, str]) -> None:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.properties import PageSetupProperties

    page = book.create_sheet(sheet.title)
    frame = _largest_rows(sheet)
    columns = [_Column.of(frame[name], sheet.number_format(str(name), currency)) for name in frame.columns]
    names = [header.get(str(name), str(name)) for name in frame.columns]
    page.freeze_panes = "A2"
    # Printed on as many pages as the rows need, each with all columns and the header.
    page.page_setup.orientation, page.page_setup.fitToHeight = "landscape", 0
    page.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    page.print_title_rows = "1:1"
    for position, (name, column) in enumerate(zip(names, columns, strict=True), start=1):
        page.column_dimensions[get_column_letter(position)].width = column.width(name)
    bold = Font(name=_FONT, bold=True)

    def text(value: str) -> Any:
        value = _NOT_ALLOWED.sub("", value)[:_LONGEST_TEXT]
        cell = WriteOnlyCell(page, value)
        cell.data_type = "s"
        cell.quotePrefix = starts_formula(value)
        return cell

    def titled(name: str) -> Any:
        cell = text(name)
        cell.font = bold
        return cell

    def cell_of(value: Any, column: _Column) -> Any:
        if value is None:
            return None
        if isinstance(value, str):
            cell = text(value)
            cell.number_format = _TEXT_FORMAT
            return cell
        cell = WriteOnlyCell(page, value)
        cell.number_format = column.number_format
        return cell

    page.append([titled(name) for name in names])
    for row in zip(*(column.values for column in columns), strict=True):
        page.append([cell_of(value, column) for value, column in zip(row, columns, strict=True)])
    page.auto_filter.ref = f"A1:{get_column_letter(max(len(names), 1))}{len(frame) + 1}"
    if len(frame) < len(sheet.frame):
        chosen = f"the rows with the largest {sheet.largest}" if sheet.largest else "the first rows"
        rest = f"{len(frame):,} of {len(sheet.frame):,} rows: {chosen}."
        page.append([text(f"{rest} All rows: {sheet.file}." if sheet.file else rest)])


def _largest_rows(sheet: Sheet) -> pd.DataFrame:
    """At most :data:`MAX_ROWS` rows of a sheet, in its order."""
    frame = sheet.frame
    if len(frame) <= MAX_ROWS:
        return frame
    if not sheet.largest:
        return frame.iloc[:MAX_ROWS]
    size = frame[sheet.largest].fillna(-math.inf).to_numpy(dtype=np.float64)
    return frame.iloc[np.sort(np.argsort(-size, kind="stable")[:MAX_ROWS])]


@dataclass(frozen=True)
class _Column:
    """A column as native values (None if missing) with their number format."""

    values: list[Any]
    number_format: str

    @classmethod
    def of(cls, column: pd.Series, number_format: str) -> _Column:
        """Convert a column; without a number format it follows from the values."""
        if column.dtype.kind == "M":
            days = [None if day is pd.NaT else day.to_pydatetime() for day in column]
            return cls(days, _DATE_FORMAT)
        values = [_native(value) for value in column.tolist()]
        if any(isinstance(value, datetime) for value in values):
            return cls(values, _DATE_FORMAT)
        if all(isinstance(value, bool | None) for value in values):
            return cls(values, _GENERAL_FORMAT)
        fraction = any(isinstance(value, float) and not value.is_integer() for value in values)
        return cls(values, number_format or (_DECIMAL_FORMAT if fraction else _WHOLE_FORMAT))

    def width(self, name: str) -> float:
        """Width that fits the header with its filter button and the first rows."""
        longest = max((len(self._shown(value)) for value in self.values[:_ROWS_MEASURED]), default=0)
        low, high = _WIDTHS
        return float(min(max(longest + 2, len(name) + 4, low), high))

    def _shown(self, value: Any) -> str:
        if isinstance(value, datetime):
            return value.date().isoformat()
        if isinstance(value, int | float) and not isinstance(value, bool):
            unit = "".join(re.findall('"(.*)"', self.number_format))
            return (f"{value:,.2f}" if "." in self.number_format else f"{value:,.0f}") + (f" {unit}" if unit else "")
        return "" if value is None else str(value)


def _native(value: Any) -> Any:
    """A value of an object, number or boolean column as bool, int, float, datetime or text; None if empty."""
    if value is None or value is pd.NaT or value is pd.NA or value == "":
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    return str(value)


def _reproducible(data: bytes, day: date) -> bytes:
    """Replace the times of writing in a workbook by a fixed date."""
    stamp = f"{day.isoformat()}T00:00:00Z".encode()
    fixed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as given, zipfile.ZipFile(fixed, "w") as written:
        for name in given.namelist():
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = _FILE_MODE
            content = given.read(name)
            if name == "docProps/core.xml":
                content = _MODIFIED.sub(lambda found: found.group(1) + stamp, content)
            written.writestr(entry, content, compresslevel=_COMPRESSION_LEVEL)
    return fixed.getvalue()
