"""Read CSV files, plain or gzip-compressed. Every cell is text."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.errors import ConfigError, DataContractError
from schemas.settings import SourceSettings
from tasks.storage.contents import check_unpacked_size
from tasks.storage.file_rows import FileRows, column_names, empty_file, header_beyond_file
from tasks.storage.header import HEADER_ROWS, find_header, names_held
from tasks.storage.mapped import block_count, filled, joined_texts, on_disk, with_shared_texts

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.csv import InvalidRow

DELIMITERS = ",;\t|"
_START_BYTES = 1 << 18
_QUOTED = 40
_AROUND = 15
_LINE_END = re.compile(r"\r\n?|\n")
# Bytes that pyarrow parses at once, and the longest row that it can read.
_BLOCK_BYTES = 1 << 20
_LONGEST_ROW_BYTES = 1 << 26
# Up to this many rows, codes of texts in a smaller type would cost more than they save.
_SMALL_ROWS = 1 << 12
_READ_ERRORS = (ValueError, OSError, EOFError, zlib.error)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class CsvStart:
    """The first rows of a CSV file and how they are written.

    Attributes:
        rows: first rows as an editor or Excel counts them, split into cells.
        lines: number of the last line of each row; larger than the row's number below a cell with a line break.
        header: index of the header in ``rows``.
        delimiter: configured or detected.
        encoding: encoding of the file's byte order mark, else as configured.
    """

    rows: list[list[str]]
    lines: list[int]
    header: int
    delimiter: str
    encoding: str


def read_csv(file: Path, name: str, source: SourceSettings, wanted: Collection[str] = (), gz: bool = False) -> FileRows:
    """Read one CSV file.

    Columns are categoricals of text; an empty cell is "". Title rows above the header and blank rows are skipped.
    A row with more or fewer cells than the header is kept and marked as malformed.

    Args:
        file: local path.
        name: name of the file in messages.
        source: delimiter (None = detected), encoding and header row.
        wanted: column names that the header must hold.
        gz: the file is compressed with gzip.

    Raises:
        ConfigError: the encoding is unknown.
        DataContractError: the file is empty, repeats a column name, or does not match the configured encoding.
    """
    start = csv_start(file, name, source, wanted, gz)
    _check_encoding(file, name, start.encoding, gz)
    columns = column_names(start.rows[start.header], name)
    broken: list[InvalidRow] = []
    try:
        parts = _read(file, name, start, broken, gz)
    except _READ_ERRORS as error:
        raise _unreadable(file, name, start.encoding, error, gz) from error
    _check_quotes([row.text for row in broken], len(columns), start.delimiter, name)
    above = start.lines[start.header] - (start.header + 1)
    size = sum(len(part[0]) for part in parts)
    held = parts[0]
    if len(parts) > 1 or size > _SMALL_ROWS:
        held = [joined_texts([part[at] for part in parts], size) for at in range(len(columns))]
    frame = pd.DataFrame(dict(zip(columns, held, strict=True)), copy=False)
    return _to_rows(frame, broken, start, above).without_empty_columns(source.columns.values())


def csv_start(
    file: Path, name: str, source: SourceSettings, wanted: Collection[str] = (), gz: bool = False
) -> CsvStart:
    """Read the first rows of a CSV file; see :func:`read_csv`."""
    try:
        codecs.lookup(source.encoding)
    except (LookupError, ValueError):
        raise ConfigError(
            f"{name} cannot be read: unknown encoding '{source.encoding}'. Set the source's `encoding` to a "
            "known name, for example utf-8, latin-1 or cp1252."
        ) from None
    try:
        with _opened(file, name, gz) as stream:
            start = stream.read(_START_BYTES)
    except _READ_ERRORS as error:
        raise _unreadable(file, name, source.encoding, error, gz) from error
    encoding = next((encoding for mark, encoding in _MARKS if start.startswith(mark)), source.encoding)
    # The first bytes may end within a character; the whole file is decoded strictly later.
    try:
        text = start.decode(encoding, errors="ignore").lstrip("\ufeff")
    except (LookupError, ValueError):
        raise ConfigError(
            f"{name} cannot be read: '{source.encoding}' is not an encoding of text. Set the source's `encoding` to a "
            "known name, for example utf-8, latin-1 or cp1252."
        ) from None
    delimiters = source.delimiter or DELIMITERS
    needed = max(HEADER_ROWS, source.header_row or 0)
    starts = [_split(text, delimiter, len(start) == _START_BYTES, needed) for delimiter in delimiters]
    best = max(range(len(starts)), key=lambda at: _fit(starts[at][0], wanted))
    rows, lines = starts[best]
    header = find_header(rows, wanted) if source.header_row is None else source.header_row - 1
    if header is None:
        raise empty_file(name)
    if header >= len(rows) or not any(cell.strip() for cell in rows[header]):
        raise header_beyond_file(name, header + 1)
    return CsvStart(rows, lines, header, delimiters[best], encoding)


def _split(text: str, delimiter: str, cut: bool, needed: int) -> tuple[list[list[str]], list[int]]:
    """Return the first rows of a text and the number of the last line of each; the row that is cut off is left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            rows.append(row)
            lines.append(reader.line_num)
            if len(rows) > needed:
                return rows, lines
    except csv.Error:
        # A cell that is too long for the csv module; pyarrow reads it, or reports it with its row.
        return rows, lines
    return (rows[:-1], lines[:-1]) if cut and len(rows) > 1 else (rows, lines)


def _fit(rows: list[list[str]], wanted: Collection[str]) -> tuple[int, int]:
    """Rank a delimiter: by the wanted names that its header holds, then by the header's width."""
    at = find_header(rows, wanted)
    return names_held(rows, wanted), 0 if at is None else len(rows[at])


class _LimitedGzip(gzip.GzipFile):
    """A gzip file that stops at an implausible size."""

    def __init__(self, file: Path, name: str) -> None:
        super().__init__(file, "rb")
        self._shown, self._packed = name, file.stat().st_size

    def read(self, size: int | None = -1) -> bytes:
        """Read the next bytes; at most the limit if all are requested."""
        data = super().read(_BLOCK_BYTES if size is None or size < 0 else size)
        check_unpacked_size(self._shown, self.tell(), self._packed)
        return data


def _opened(file: Path, name: str, gz: bool) -> _LimitedGzip | IO[bytes]:
    return _LimitedGzip(file, name) if gz else file.open("rb")


def _read(file: Path, name: str, start: CsvStart, broken: list[InvalidRow], gz: bool) -> list[list[pd.Series]]:
    """The columns of consecutive blocks of rows."""
    import pyarrow as pa

    try:
        return _parse(file, name, start, broken, gz, _BLOCK_BYTES)
    except pa.ArrowInvalid as error:
        if "straddl" not in str(error) and "block size" not in str(error):
            raise
    broken.clear()
    return _parse(file, name, start, broken, gz, _LONGEST_ROW_BYTES)


def _parse(
    file: Path, name: str, start: CsvStart, broken: list[InvalidRow], gz: bool, block: int
) -> list[list[pd.Series]]:
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    def keep(row: InvalidRow) -> str:
        broken.append(row)
        return "skip"

    # Columns are named by position: a header cell may be empty. pyarrow numbers invalid rows with one thread only.
    names = [str(position) for position in range(len(start.rows[start.header]))]
    text = pa.dictionary(pa.int32(), pa.string())
    found: list[list[pd.Series]] = []
    waiting: list[pa.RecordBatch] = []
    known: dict[str, str] = {}

    def take() -> None:
        table = pa.Table.from_batches(waiting, schema=reader.schema)
        texts = (chunk.dictionary for column in table.columns for chunk in column.chunks)
        for many in texts:
            _check_quotes(_with_line_end(many), len(names), start.delimiter, name)
        columns = [table.column(at).unify_dictionaries().to_pandas() for at in range(len(names))]
        waiting.clear()
        if block_count(len(columns[0])) > 1:
            columns = on_disk([with_shared_texts(column, known) for column in columns])
        found.append(columns)

    with _opened(file, name, gz) as stream:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(
                use_threads=False,
                block_size=block,
                column_names=names,
                skip_rows=start.lines[start.header],
                encoding=start.encoding,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=start.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=keep,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, text), strings_can_be_null=False, null_values=[]
            ),
        )
        for batch in reader:
            waiting.append(batch)
            if block_count(sum(part.num_rows for part in waiting)) > 1:
                take()
        if waiting or not found:
            take()
    return found


def _with_line_end(texts: pa.Array) -> list[str]:
    import pyarrow.compute as pc

    found: list[str] = texts.filter(pc.match_substring(texts, "\n")).to_pylist()
    return found


def _check_quotes(texts: Sequence[str], columns: int, delimiter: str, name: str) -> None:
    """Raise an error if an unclosed quotation mark turned several rows into one cell."""
    for text in texts:
        inner = _LINE_END.split(text)[1:-1]
        if columns > 1 and inner and all(line.count(delimiter) == columns - 1 for line in inner):
            raise DataContractError(
                f"{name}: the quotation mark at {text[:_QUOTED]!r} is not closed in its row, so one cell contains "
                f"at least {len(inner) + 1} rows. Close it, or double quotation marks that are part of a text."
            )


def _to_rows(frame: pd.DataFrame, broken: list[InvalidRow], start: CsvStart, line_breaks_above: int) -> FileRows:
    # The table does not contain the invalid rows: number the other rows around them. pyarrow counts skipped lines.
    skipped = np.array([row.number - line_breaks_above for row in broken], dtype=np.int64)
    first = start.header + 2
    # Skipped rows before the place of each: as many as have a number below it.
    places = np.sort(skipped) - first - np.arange(len(skipped))

    def number(part: slice) -> NDArray[np.int64]:
        position = np.arange(part.start, part.stop, dtype=np.int64)
        found: NDArray[np.int64] = position + first + np.searchsorted(places, position, side="right")
        return found

    numbers = filled(len(frame), np.int64, number)
    rows = FileRows(frame, numbers).without_blank_rows()
    return rows.with_malformed(
        [(int(number), _cells(row.text, start.delimiter)) for number, row in zip(skipped, broken, strict=True)]
    )


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return text.split(delimiter)


def _check_encoding(file: Path, name: str, encoding: str, gz: bool) -> None:
    """Check that a file is UTF-8 if it should be: pyarrow does not report wrong bytes in rows of a wrong length."""
    if codecs.lookup(encoding).name != "utf-8":
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _opened(file, name, gz) as stream:
            while block := stream.read(_BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except _READ_ERRORS as error:
        raise _unreadable(file, name, encoding, error, gz) from error


def _unreadable(file: Path, name: str, encoding: str, error: Exception, gz: bool) -> DataContractError:
    if isinstance(error, DataContractError):
        return error
    found = _undecodable(file, name, encoding, gz)
    found = found or f"({_first_line(error)})"
    return DataContractError(
        f"{name} cannot be read as CSV in the encoding {encoding} {found}. Save it as UTF-8, or set the source's "
        "`encoding` (for example latin-1 or cp1252) and `delimiter` to match the file."
    )


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0][:200]


def _undecodable(file: Path, name: str, encoding: str, gz: bool) -> str:
    """Describe the place of the first bytes that are not UTF-8; empty if all are, or if another encoding is set."""
    if codecs.lookup(encoding).name != "utf-8":
        return ""
    try:
        with _opened(file, name, gz) as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    line.decode()
                except UnicodeDecodeError as error:
                    wrong = line[error.start : error.end].hex(" ")
                    around = line[max(0, error.start - _AROUND) : error.end + _AROUND].decode("cp1252", "replace")
                    return f"(line {number}: byte {wrong} is not UTF-8; as cp1252 it reads {around.strip()!r})"
    except (*_READ_ERRORS, DataContractError):
        return ""
    return ""
