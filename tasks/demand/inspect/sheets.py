"""Read the exports of a folder: every CSV and Parquet file and every sheet of a workbook is one candidate."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from schemas.errors import DataContractError
from schemas.settings import SourceSettings
from tasks.demand.inspect.names import is_known_name
from tasks.demand.inspect.values import Column
from tasks.storage.contents import content_of
from tasks.storage.csv_files import DELIMITERS, csv_start
from tasks.storage.excel_files import excel_start
from tasks.storage.header import HEADER_ROWS, find_header
from tasks.storage.source_files import FORMATS, SourceFile, read_source_file

_LOCK_FILES = ("~$", ".")
_ENCODINGS = ("cp1252", "cp1250", "cp850")
# Bytes in which the column names are searched, and the characters between names.
_START_BYTES = 1 << 12
_NAME_MARKS = re.compile(r'[;,\t|\r\n"]+')
# Minimum number of known names in a header row.
_NAMES = 2


@dataclass(frozen=True)
class Sheet:
    """One candidate for a table.

    Attributes:
        path: the file.
        kind: csv, csv.gz, excel or parquet.
        sheet: name of the sheet; None for other files and for a workbook with one sheet.
        source: how it is written: delimiter, encoding and header row.
        evidence: setting to the reason for it, in words.
        frame: its rows as the reading code of a run gives them.
    """

    path: Path
    kind: str
    sheet: str | None
    source: SourceSettings
    evidence: dict[str, str]
    frame: pd.DataFrame

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Facts about the values of every column."""
        return {str(name): Column.of(str(name), self.frame[name]) for name in self.frame.columns}

    @property
    def title(self) -> str:
        """Name in messages."""
        return f"{self.path.name}, sheet {self.sheet}" if self.sheet else self.path.name


def read_folder(folder: Path) -> tuple[list[Sheet], list[str]]:
    """Read all files of a folder and its subfolders that Restock can read.

    Returns:
        The candidates, and one line per file that was skipped, with the reason.
    """
    sheets: list[Sheet] = []
    skipped: list[str] = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(_LOCK_FILES) for part in inside.parts):
            continue
        if not path.name.lower().endswith((*FORMATS, ".txt", ".tsv", ".xls")):
            continue
        if not path.name.lower().endswith(FORMATS):
            skipped.append(f"{inside}: not one of {', '.join(FORMATS)}; save it in one of these formats")
            continue
        try:
            sheets += _sheets(path)
        except (DataContractError, OSError) as error:
            skipped.append(str(error).replace(str(path), str(inside)))
    return sheets, skipped


def _sheets(path: Path) -> list[Sheet]:
    kind = content_of(path, str(path))
    if kind == "parquet":
        source = SourceSettings(path=str(path))
        frame = _rows(path, source)
        return [Sheet(path, kind, None, source, {}, frame)] if len(frame) else []
    if kind == "excel":
        return _excel_sheets(path)
    return [_csv_sheet(path, kind == "csv.gz")]


def _csv_sheet(path: Path, gz: bool) -> Sheet:
    encoding, why = _encoding(path, gz)
    draft = SourceSettings(path=str(path), encoding=encoding)
    starts = [csv_start(path, str(path), draft.model_copy(update={"delimiter": mark}), (), gz) for mark in DELIMITERS]
    best = max(starts, key=lambda start: _rank(start.rows))
    header = header_row(best.rows)
    source = draft.model_copy(update={"delimiter": best.delimiter, "header_row": header + 1})
    width = len([cell for cell in best.rows[header] if cell.strip()])
    evidence = {
        "encoding": why,
        "delimiter": f"it splits the header into {width} columns",
        "header_row": _header_words(header),
    }
    return Sheet(path, "csv.gz" if gz else "csv", None, source, evidence, _rows(path, source))


def _excel_sheets(path: Path) -> list[Sheet]:
    draft = SourceSettings(path=str(path))
    starts = {name: rows for name, rows in excel_start(path, str(path), draft).items() if _has_table(rows)}
    found = []
    for name, rows in starts.items():
        header = header_row(rows)
        source = draft.model_copy(update={"sheet": name, "header_row": header + 1})
        frame = _rows(path, source)
        evidence = {"sheet": f"sheets of this workbook: {', '.join(starts)}", "header_row": _header_words(header)}
        if len(frame):
            found.append(Sheet(path, "excel", name if len(starts) > 1 else None, source, evidence, frame))
    return found


def _rows(path: Path, source: SourceSettings) -> pd.DataFrame:
    """The rows as the reading code of a run gives them; the header is known, so the table does not matter."""
    return read_source_file(SourceFile("sales", str(path), path, ""), source).frame


def header_row(rows: Sequence[Sequence[str]]) -> int:
    """Index of the row with the most known column names; without any, as the reading code finds it."""
    known = [_known(row) for row in rows[:HEADER_ROWS]]
    if max(known, default=0) >= _NAMES:
        return known.index(max(known))
    return find_header(rows) or 0


def _rank(rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    row = rows[header_row(rows)] if rows else []
    return _known(row), len(row)


def _known(row: Sequence[str]) -> int:
    return len({cell.strip() for cell in row if cell.strip() and len(cell) < 60 and is_known_name(cell)})  # noqa: PLR2004


def _has_table(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a sheet can be a table: at least two rows have a value."""
    return sum(any(cell.strip() for cell in row) for row in rows) > 1


def _header_words(header: int) -> str:
    if header == 0:
        return "the first row names the columns"
    return "row 1 is a title" if header == 1 else f"rows 1 to {header} are titles"


def _encoding(path: Path, gz: bool) -> tuple[str, str]:
    """The encoding of a text file: UTF-8 if it is valid, else the code page whose special characters are letters."""
    data = gzip.decompress(path.read_bytes()) if gz else path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", "byte order mark"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        special = bytes(sorted({byte for byte in data if byte > 0x7F}))  # noqa: PLR2004
        # Code pages have different letters for the same bytes: with the right one, the column names are known.
        start = data[:_START_BYTES]
        letters = {
            code: (
                sum(map(is_known_name, set(_NAME_MARKS.split(start.decode(code, "replace"))))),
                sum(char.isalpha() or char in "€£" for char in special.decode(code, "replace")),
            )
            for code in _ENCODINGS
        }
        best = max(_ENCODINGS, key=lambda code: letters[code])
        if "�" in special.decode(best, "replace"):
            best = "latin-1"
        shown = " ".join(char for char in special.decode(best) if char.isalpha())
        return best, f"the file is not UTF-8; in {best} its special characters are {shown[:40]}"
    return "utf-8", "the file is valid UTF-8" if any(byte > 0x7F for byte in data) else "only ASCII characters"  # noqa: PLR2004
