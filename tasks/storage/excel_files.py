"""Read Excel workbooks. Every cell is the text that Excel displays."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from schemas.errors import DataContractError
from schemas.raw import as_text
from schemas.settings import SourceSettings
from tasks.storage.file_rows import FileRows, column_names, empty_file

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

_LEADING_ZEROS = re.compile(r"0+")


def read_excel(file: Path, name: str, source: SourceSettings) -> FileRows:
    """Read one sheet of a workbook; its first row names the columns.

    Dates are ISO 8601, whole numbers have no ".0", number formats such as "000" keep leading zeros,
    and formulas give the value that Excel computed last. Blank rows are skipped.

    Args:
        file: local path.
        name: name of the file in messages.
        source: name of the sheet; None = the first sheet.

    Raises:
        DataContractError: the file is not a workbook, the sheet is missing or empty, or a column name repeats.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError) as error:
        raise DataContractError(
            f"{name} is not a readable Excel workbook ({error}). Save it again as .xlsx."
        ) from error
    try:
        return _to_rows([[_shown(cell) for cell in row] for row in _sheet(workbook, name, source).iter_rows()], name)
    finally:
        workbook.close()


def _sheet(workbook: Workbook, name: str, source: SourceSettings) -> Any:
    sheet = source.sheet or workbook.sheetnames[0]
    if sheet not in workbook.sheetnames:
        raise DataContractError(
            f"{name} has no sheet '{sheet}'; its sheets: {', '.join(workbook.sheetnames)}. "
            "Correct the source's `sheet`."
        )
    found = workbook[sheet]
    # Some programs store wrong sheet dimensions, and openpyxl would stop reading there.
    found.reset_dimensions()
    return found


def _to_rows(rows: list[list[str]], name: str) -> FileRows:
    width = max((index + 1 for row in rows for index, text in enumerate(row) if text), default=0)
    if width == 0:
        raise empty_file(name)
    header, body = _padded(rows[0], width), [_padded(row, width) for row in rows[1:]]
    columns = column_names(header, name)
    texts = pd.DataFrame(body, columns=columns, dtype=object)
    frame = texts.apply(as_text) if body else texts.astype(pd.CategoricalDtype(pd.Index([""], dtype=object)))
    return FileRows(frame, np.arange(1, len(body) + 1, dtype=np.int64)).without_blank_rows()


def _padded(row: Sequence[str], width: int) -> list[str]:
    return [*row[:width], *[""] * (width - len(row))]


def _shown(cell: Any) -> str:
    """Return the text of a cell as Excel displays it, with all digits."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, float):
        value = int(value) if value.is_integer() else value
    text = str(value)
    form = cell.number_format or ""
    if isinstance(value, int) and _LEADING_ZEROS.fullmatch(form):
        return text.zfill(len(form))
    return text
