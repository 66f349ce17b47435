"""Read Excel workbooks. Every cell is the text that Excel displays."""

from __future__ import annotations

import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from schemas.errors import DataContractError
from schemas.raw import as_text
from schemas.settings import SourceSettings
from tasks.storage.contents import check_unpacked_size
from tasks.storage.file_rows import FileRows, column_names, empty_file, header_beyond_file
from tasks.storage.header import HEADER_ROWS, find_header, names_held

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

_LEADING_ZEROS = re.compile(r"0+")
_START_BYTES = 1024
# What openpyxl raises on damaged workbooks, besides the errors of the XML parser (a subclass of SyntaxError).
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    SyntaxError,
    OverflowError,
)


@dataclass(frozen=True)
class _Row:
    """A row that is not blank: its number as Excel shows it, and its cells as text."""

    number: int
    cells: list[str]


def read_excel(file: Path, name: str, source: SourceSettings, wanted: Collection[str] = ()) -> FileRows:
    """Read one sheet of a workbook.

    Dates are ISO 8601, whole numbers have no ".0", other numbers have the source's decimal mark, number formats such
    as "000" keep leading zeros. Formulas give the value that Excel computed last; a formula without one is kept as
    its text, such as "=A1*2". Title rows above the header and blank rows are skipped.

    Args:
        file: local path.
        name: name of the file in messages.
        source: name of the sheet (None = the first sheet whose header holds all wanted names, else the first sheet),
            header row and decimal mark.
        wanted: column names that the header must hold.

    Raises:
        DataContractError: the file is not a workbook, the sheet is missing or empty, or a column name repeats.
    """
    with _workbook(file, name) as workbook:
        title = _sheet_name(workbook, name, source, wanted)
        rows = list(_rows(workbook[title], source.decimal))
    header = _header(rows, name, source, wanted)
    used = _used_columns(header, rows, name)
    body = [row for row in rows if row.number > header.number]
    if any(
        not cell
        for row in body
        for column, cell in zip(used, _at(row.cells, list(used)), strict=True)
        if used[column] in wanted
    ):
        formulas = _formulas(file, name, title, used, wanted)
        for row in body:
            for column, text in formulas.get(row.number, {}).items():
                if column >= len(row.cells):
                    row.cells.extend([""] * (column + 1 - len(row.cells)))
                row.cells[column] = row.cells[column] or text
    texts = pd.DataFrame([_at(row.cells, list(used)) for row in body], columns=list(used.values()), dtype=object)
    frame = texts.apply(as_text) if body else texts.astype(pd.CategoricalDtype(pd.Index([""], dtype=object)))
    numbers = np.array([row.number for row in body], dtype=np.int64)
    return FileRows(frame, numbers).without_blank_rows().without_empty_columns(source.columns.values())


def excel_start(file: Path, name: str, source: SourceSettings) -> dict[str, list[list[str]]]:
    """Read the first rows of every sheet of a workbook, blank rows included.

    Returns:
        Name of the sheet to its rows as text, in the order of the workbook.

    Raises:
        DataContractError: the file is not a workbook.
    """
    with _workbook(file, name) as workbook:
        return {sheet.title: _first_rows(sheet, source.decimal) for sheet in workbook.worksheets}


@contextmanager
def _workbook(file: Path, name: str, formulas: bool = False) -> Iterator[Workbook]:
    """Open a workbook; errors of its content become messages, also while its rows are read."""
    from openpyxl.utils.exceptions import InvalidFileException

    with warnings.catch_warnings(), file.open("rb") as stream:
        # openpyxl warns of styles and of dates that Excel cannot show; such a date is an error value.
        warnings.simplefilter("ignore")
        try:
            _check_archive(file, name)
            workbook = _load(stream, data_only=not formulas)
            try:
                yield workbook
            finally:
                workbook.close()
        except (InvalidFileException, *_DAMAGED) as error:
            shown = str(error).split("\n", maxsplit=1)[0][:200]
            raise DataContractError(
                f"{name} is not a readable Excel workbook ({shown}). Open it in Excel and save it again as .xlsx."
            ) from error


def _load(stream: IO[bytes], data_only: bool) -> Workbook:
    """Load a workbook without its charts: openpyxl fails on a chart sheet without a drawing."""
    from openpyxl.chartsheet import Chartsheet
    from openpyxl.reader.excel import ExcelReader

    class Reader(ExcelReader):  # type: ignore[misc]
        def read_chartsheet(self, sheet: Any, rel: Any) -> None:  # noqa: ARG002
            chart = Chartsheet()
            chart._parent = self.wb
            chart.title = sheet.name
            self.wb._add_sheet(chart)

    reader = Reader(stream, read_only=True, data_only=data_only, keep_links=False)
    reader.read()
    return reader.wb


def _check_archive(file: Path, name: str) -> None:
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        check_unpacked_size(name, sum(part.file_size for part in parts), file.stat().st_size)
        for part in parts:
            if not part.filename.endswith((".xml", ".rels")):
                continue
            with archive.open(part) as stream:
                if b"<!DOCTYPE" in stream.read(_START_BYTES):
                    raise DataContractError(
                        f"{name} is not a readable Excel workbook: {part.filename} defines XML entities, which Excel "
                        "never writes. Open it in Excel and save it again as .xlsx."
                    )


def _sheet_name(workbook: Workbook, name: str, source: SourceSettings, wanted: Collection[str]) -> str:
    sheets = [sheet.title for sheet in workbook.worksheets]
    if source.sheet:
        if source.sheet not in sheets:
            chart = " It is a chart." if source.sheet in workbook.sheetnames else ""
            raise DataContractError(
                f"{name} has no sheet '{source.sheet}' with rows.{chart} Its sheets: {', '.join(sheets)}. "
                "Correct the source's `sheet`."
            )
        return source.sheet
    if not sheets:
        raise empty_file(name)
    if len(sheets) > 1 and wanted:
        for title in sheets:
            if names_held(_first_rows(workbook[title], source.decimal), wanted) == len(set(wanted)):
                return title
    return sheets[0]


def _first_rows(sheet: Any, decimal: str) -> list[list[str]]:
    # Some programs store wrong sheet dimensions, and openpyxl would stop reading there.
    sheet.reset_dimensions()
    return [[_shown(cell, decimal) for cell in row] for row in islice(sheet.iter_rows(), HEADER_ROWS)]


def _rows(sheet: Any, decimal: str) -> Iterator[_Row]:
    sheet.reset_dimensions()
    for number, row in enumerate(sheet.iter_rows(), start=1):
        cells = [_shown(cell, decimal) for cell in row]
        if any(cells):
            yield _Row(number, cells)


def _header(rows: Sequence[_Row], name: str, source: SourceSettings, wanted: Collection[str]) -> _Row:
    if not rows:
        raise empty_file(name)
    if source.header_row is not None:
        found = next((row for row in rows if row.number == source.header_row), None)
        if found is None:
            raise header_beyond_file(name, source.header_row)
        return found
    at = find_header([row.cells for row in rows[:HEADER_ROWS]], wanted)
    if at is None:
        raise empty_file(name)
    return rows[at]


def _used_columns(header: _Row, rows: Sequence[_Row], name: str) -> dict[int, str]:
    """Return position and name of the columns that have a name or, within the header's width, a value."""
    width = max(position + 1 for position, text in enumerate(header.cells) if text.strip())
    columns = column_names(header.cells[:width], name)
    beyond: dict[int, int] = {}
    for row in rows:
        if row.number > header.number:
            for position in range(width, len(row.cells)):
                if row.cells[position]:
                    beyond[position] = beyond.get(position, 0) + 1
    surplus = {position: f"column {position + 1}" for position in sorted(beyond)}
    return {**dict(enumerate(columns)), **surplus}


def _formulas(
    file: Path, name: str, title: str, used: dict[int, str], wanted: Collection[str]
) -> dict[int, dict[int, str]]:
    """Return the formulas of the wanted columns by row number and position."""
    positions = {position for position, column in used.items() if column in wanted}
    found: dict[int, dict[int, str]] = {}
    with _workbook(file, name, formulas=True) as workbook:
        sheet = workbook[title]
        sheet.reset_dimensions()
        for number, row in enumerate(sheet.iter_rows(), start=1):
            texts = {
                position: str(cell.value)
                for position, cell in enumerate(row)
                if position in positions and cell.data_type == "f"
            }
            if texts:
                found[number] = texts
    return found


def _at(cells: Sequence[str], positions: Sequence[int]) -> list[str]:
    return [cells[position] if position < len(cells) else "" for position in positions]


def _shown(cell: Any, decimal: str) -> str:
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
        if not value.is_integer():
            return repr(value).replace(".", decimal)
        value = int(value)
    text = str(value)
    form = cell.number_format or ""
    if isinstance(value, int) and _LEADING_ZEROS.fullmatch(form):
        return text.zfill(len(form))
    return text
