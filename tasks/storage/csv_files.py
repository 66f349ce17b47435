"""Read CSV files, plain or gzip-compressed. Every cell is text."""

from __future__ import annotations

import codecs
import csv
import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from schemas.errors import ConfigError, DataContractError
from schemas.settings import SourceSettings
from tasks.storage.file_rows import FileRows, column_names, empty_file

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.csv import InvalidRow

DELIMITERS = ",;\t|"
_HEADER_BYTES = 1 << 16
_QUOTED = 40
_LINE_END = re.compile(r"\r\n?|\n")


def read_csv(file: Path, name: str, source: SourceSettings) -> FileRows:
    """Read one CSV file.

    Columns are categoricals of text; an empty cell is "". Blank rows are skipped.
    A row with more or fewer cells than the header is kept and marked as malformed.

    Args:
        file: local path; ``.gz`` is decompressed.
        name: name of the file in messages.
        source: delimiter (None = detected from the header) and encoding.

    Raises:
        ConfigError: the encoding is unknown.
        DataContractError: the file is empty, repeats a column name, or does not match the configured encoding.
    """
    header = _header(file, name, source)
    columns = column_names(header.cells, name)
    broken: list[InvalidRow] = []
    try:
        table = _read(file, header, source.encoding, broken)
    except (ValueError, OSError) as error:
        raise _unreadable(name, source, error) from error
    _check_quotes(table, broken, header.delimiter, name)
    return _to_rows(table.rename_columns(columns), broken, header.delimiter)


class _Header:
    """First line of a file, split into cells."""

    def __init__(self, line: str, delimiter: str | None) -> None:
        self.delimiter = delimiter or _sniffed(line)
        self.cells = next(csv.reader([line], delimiter=self.delimiter), [])


def _header(file: Path, name: str, source: SourceSettings) -> _Header:
    try:
        codecs.lookup(source.encoding)
    except LookupError:
        raise ConfigError(
            f"{name} cannot be read: unknown encoding '{source.encoding}'. Set the source's `encoding` to a "
            "known name, for example utf-8, latin-1 or cp1252."
        ) from None
    try:
        with gzip.open(file, "rb") if file.suffix.lower() == ".gz" else file.open("rb") as stream:
            start = stream.read(_HEADER_BYTES)
    except (OSError, EOFError) as error:
        raise _unreadable(name, source, error) from error
    # The first bytes may end within a character; the whole file is decoded strictly later.
    line = start.decode(source.encoding, errors="ignore").lstrip("\ufeff")
    line = _LINE_END.split(line, maxsplit=1)[0]
    if not line.strip():
        raise empty_file(name)
    return _Header(line, source.delimiter)


def _sniffed(line: str) -> str:
    outside_quotes = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside_quotes.count)


def _read(file: Path, header: _Header, encoding: str, broken: list[InvalidRow]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    def keep(row: InvalidRow) -> str:
        broken.append(row)
        return "skip"

    # Columns are named by position: a header cell may be empty. pyarrow numbers invalid rows with one thread only.
    names = [str(position) for position in range(len(header.cells))]
    text = pa.dictionary(pa.int32(), pa.string())
    with pa.input_stream(str(file), compression="gzip" if file.suffix.lower() == ".gz" else None) as stream:
        return pa_csv.read_csv(
            stream,
            read_options=pa_csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1, encoding=encoding),
            parse_options=pa_csv.ParseOptions(
                delimiter=header.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=keep,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, text), strings_can_be_null=False, null_values=[]
            ),
        )


def _check_quotes(table: pa.Table, broken: list[InvalidRow], delimiter: str, name: str) -> None:
    """Raise an error if an unclosed quotation mark turned several rows into one cell."""
    import pyarrow.compute as pc

    texts = [row.text for row in broken]
    for column in table.columns:
        for chunk in column.chunks:
            texts += chunk.dictionary.filter(pc.match_substring(chunk.dictionary, "\n")).to_pylist()
    for text in texts:
        inner = _LINE_END.split(text)[1:-1]
        if table.num_columns > 1 and inner and all(line.count(delimiter) == table.num_columns - 1 for line in inner):
            raise DataContractError(
                f"{name}: the quotation mark at {text[:_QUOTED]!r} is not closed in its row, so one cell contains "
                f"at least {len(inner) + 1} rows. Close it, or double quotation marks that are part of a text."
            )


def _to_rows(table: pa.Table, broken: list[InvalidRow], delimiter: str) -> FileRows:
    frame = table.unify_dictionaries().to_pandas()
    # The table does not contain the invalid rows: number the other rows around them.
    skipped = np.array([row.number - 1 for row in broken], dtype=np.int64)
    numbers = np.setdiff1d(np.arange(1, len(frame) + len(skipped) + 1, dtype=np.int64), skipped)
    rows = FileRows(frame, numbers).without_blank_rows()
    return rows.with_malformed(
        [(int(number), _cells(row.text, delimiter)) for number, row in zip(skipped, broken, strict=True)]
    )


def _cells(text: str, delimiter: str) -> list[str]:
    return next(csv.reader([text], delimiter=delimiter), [])


def _unreadable(name: str, source: SourceSettings, error: Exception) -> DataContractError:
    return DataContractError(
        f"{name} cannot be read as CSV in the encoding {source.encoding} ({error}). Save it as UTF-8, or set the "
        "source's `encoding` (for example latin-1 or cp1252) and `delimiter` to match the file."
    )
