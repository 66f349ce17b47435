"""Read Excel workbooks: every cell as the text it shows."""

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

    Dates are ISO 8601, whole numbers have no ".0", a number format of zeros keeps its leading zeros,
    formulas give the value Excel last computed. Rows without any value are no rows.

    Args:
        file: where it lies on this machine.
        name: how messages call it.
        source: the sheet; the first when None.

    Raises:
        DataContractError: no workbook, no such sheet, an empty sheet, or a repeated column name.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError) as error:
        raise DataContractError(f"{name} is no readable Excel workbook ({error}). Save it as .xlsx again.") from error
    try:
        return _to_rows([[_shown(cell) for cell in row] for row in _sheet(workbook, name, source).iter_rows()], name)
    finally:
        workbook.close()


def _sheet(workbook: Workbook, name: str, source: SourceSettings) -> Any:
    sheet = source.sheet or workbook.sheetnames[0]
    if sheet not in workbook.sheetnames:
        raise DataContractError(
            f"{name} has no sheet '{sheet}'; it has {', '.join(workbook.sheetnames)}. Set the source's `sheet`."
        )
    found = workbook[sheet]
    # Some writers store a wrong extent; openpyxl would stop there.
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
    """The text of a cell, close to what Excel shows without losing digits."""
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
