"""Read CSV files, plain or gzip: every cell as text."""

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

    Columns become categories of text, "" where a cell is empty. Rows without any value are no rows.
    A row with more or fewer cells than the header is kept as malformed.

    Args:
        file: where it lies on this machine; ``.gz`` is decompressed.
        name: how messages call it.
        source: delimiter (found from the header when None) and encoding.

    Raises:
        ConfigError: the encoding's name is unknown.
        DataContractError: the file is empty, repeats a column name, or is not in the set encoding.
    """
    header = _header(file, name, source)
    columns = column_names(header.cells, name)
    broken: list[InvalidRow] = []
    try:
        table = _read(file, header, source.encoding, broken)
    except (ValueError, OSError) as error:
        raise _unreadable(name, source, error) from error
    _refuse_swallowed_rows(table, broken, header.delimiter, name)
    return _to_rows(table.rename_columns(columns), broken, header.delimiter)


class _Header:
    """First line of a file, cut into cells."""

    def __init__(self, line: str, delimiter: str | None) -> None:
        self.delimiter = delimiter or _sniffed(line)
        self.cells = next(csv.reader([line], delimiter=self.delimiter), [])


def _header(file: Path, name: str, source: SourceSettings) -> _Header:
    try:
        codecs.lookup(source.encoding)
    except LookupError:
        raise ConfigError(
            f"{name} cannot be read: '{source.encoding}' is no known encoding. Set the source's `encoding` to a "
            "name such as utf-8, latin-1 or cp1252."
        ) from None
    try:
        with gzip.open(file, "rb") if file.suffix.lower() == ".gz" else file.open("rb") as stream:
            start = stream.read(_HEADER_BYTES)
    except (OSError, EOFError) as error:
        raise _unreadable(name, source, error) from error
    # The cut may fall within a character; the whole file is decoded strictly further on.
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

    # Names by position: a header may leave one empty. One thread: only then are broken rows numbered.
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


def _refuse_swallowed_rows(table: pa.Table, broken: list[InvalidRow], delimiter: str, name: str) -> None:
    """A quote that is never closed makes one cell of all rows up to the next quote: they would be lost."""
    import pyarrow.compute as pc

    texts = [row.text for row in broken]
    for column in table.columns:
        for chunk in column.chunks:
            texts += chunk.dictionary.filter(pc.match_substring(chunk.dictionary, "\n")).to_pylist()
    for text in texts:
        inner = _LINE_END.split(text)[1:-1]
        if table.num_columns > 1 and inner and all(line.count(delimiter) == table.num_columns - 1 for line in inner):
            raise DataContractError(
                f"{name}: a quotation mark is opened at {text[:_QUOTED]!r} but not closed in that row, so that one "
                f"cell holds {len(inner) + 1} rows or more. Close it, or write a quotation mark within a text twice."
            )


def _to_rows(table: pa.Table, broken: list[InvalidRow], delimiter: str) -> FileRows:
    frame = table.unify_dictionaries().to_pandas()
    # Broken rows left no trace in the table: the numbers of the others close the gaps they left.
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
        "source's `encoding` (such as latin-1 or cp1252) and `delimiter` to what the file has."
    )
