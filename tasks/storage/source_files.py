"""Find and read the source files of the input tables, in a folder or in a bucket."""

from __future__ import annotations

import atexit
import glob
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from schemas.errors import ConfigError, DataContractError, first_few
from schemas.raw import RawFile, RawTable, as_text, is_text
from schemas.settings import Sources, SourceSettings
from schemas.tables import TABLES
from tasks.storage.contents import content_of
from tasks.storage.csv_files import read_csv
from tasks.storage.file_rows import FileRows
from tasks.storage.lake import S3_SCHEME, sha256_of
from tasks.storage.mapped import block_count, is_on_disk, joined, joined_texts, on_disk, with_shared_texts
from tasks.storage.temporary import named

FORMATS = (".csv", ".csv.gz", ".xlsx", ".parquet")
_WILDCARDS = frozenset("*?[")
# Files that Excel, LibreOffice and macOS write next to an open or copied workbook.
_LOCK_FILES = ("~$", ".~lock.", "._")
_PATH_SHOWN = 80
# Files whose columns are held one by one: each column of a file needs about 3 kB besides its values.
_FILES_AT_ONCE = 256
# Not the name of a column: it has a line break.
_ROW_NUMBER = "row\nnumber"


@dataclass(frozen=True)
class SourceFile:
    """One source file.

    Attributes:
        table: name of the input table.
        path: absolute path or ``s3://`` URI.
        local: path of its bytes on this machine.
        sha256: checksum of its bytes.
    """

    table: str
    path: str
    local: Path
    sha256: str


def expand_sources(sources: Sources) -> dict[str, list[SourceFile]]:
    """Find the files of every table in the settings.

    Raises:
        ConfigError: an address is a folder, a format is unknown, or a bucket does not exist.
        DataContractError: one or more tables have no file; the message names all of them.
    """
    found: dict[str, list[SourceFile]] = {}
    missing = []
    for table, source in sources.named().items():
        try:
            found[table] = expand(source, table)
        except DataContractError as error:
            missing.append(str(error))
    if missing:
        raise DataContractError("\n".join(missing))
    return found


def expand(source: SourceSettings, table: str) -> list[SourceFile]:
    """Find the files of a source's path, glob or ``s3://`` URI, sorted by address.

    Files in a bucket are downloaded; the copies are deleted when the process ends.

    Args:
        source: location of the table.
        table: name of the table, for messages.

    Raises:
        ConfigError: the address is a folder, a file's format is unknown, or the bucket does not exist.
        DataContractError: no file was found.
    """
    if source.path.startswith(S3_SCHEME):
        from tasks.storage.s3 import download_matching

        try:
            local = download_matching(source.path, _download_folder())
        except ConfigError as error:
            raise ConfigError(f"sources.{table}.path: {error}") from None
    else:
        local = {str(path): path for path in _local_matches(source.path, table)}
    if not local:
        raise DataContractError(
            f"No file found for table {table}: sources.{table}.path is {source.path}. Put the file there or correct "
            "the path (relative paths start at the settings file's folder). Lock files of open workbooks (~$...) are "
            "skipped."
        )
    unknown = sorted(path for path in local if not path.lower().endswith(FORMATS))
    if unknown:
        raise ConfigError(
            f"sources.{table}.path matches files of unknown format: {first_few(unknown)}. Expected "
            f"{', '.join(FORMATS)}. Make the path more specific, for example *.csv."
        )
    try:
        return [SourceFile(table, path, file, sha256_of(file)) for path, file in sorted(local.items())]
    except OSError as error:
        raise DataContractError(f"A file of table {table} cannot be read ({error}). Check its permissions.") from error


def read_tables(files: Mapping[str, Sequence[SourceFile]], sources: Sources) -> dict[str, RawTable]:
    """Read all tables.

    Args:
        files: result of :func:`expand_sources`.
        sources: formats of the files.

    Raises:
        DataContractError: a file is empty or unreadable.
    """
    named = sources.named()
    return {table: read_table(table, of_table, named[table]) for table, of_table in files.items()}


def read_table(table: str, files: Sequence[SourceFile], source: SourceSettings) -> RawTable:
    """Read one table: concatenate the rows of its files.

    Raises:
        DataContractError: a file is empty or unreadable.
    """
    found: list[RawFile] = []
    # Columns of a file, or of consecutive files, and their number of rows.
    columns: list[dict[str, pd.Series]] = []
    sizes: list[int] = []
    malformed: dict[int, str] = {}
    zones: dict[str, str] = {}
    texts: dict[str, str] = {}
    start, waiting, moved, merged = 0, 0, 0, 0
    for file in files:
        part = read_source_file(file, source)
        names = tuple(str(name) for name in part.frame.columns)
        found.append(RawFile(file.path, file.sha256, names, len(part.frame)))
        columns.append({name: part.frame[name] for name in names})
        columns[-1][_ROW_NUMBER] = pd.Series(part.row_number.astype(np.int64, copy=False), copy=False)
        sizes.append(found[-1].rows)
        malformed |= {start + position: what for position, what in part.malformed.items()}
        zones |= part.zones
        start, waiting = start + found[-1].rows, waiting + found[-1].rows
        if block_count(waiting) > 1:
            _move(columns[moved:], texts)
            waiting, moved, merged = 0, len(columns), len(columns)
        elif len(columns) - merged == _FILES_AT_ONCE:
            columns[merged:] = [_merged(columns[merged:], sizes[merged:], source.decimal)]
            sizes[merged:] = [sum(sizes[merged:])]
            merged = len(columns)
    whole = _merged(columns, sizes, source.decimal)
    numbers = whole.pop(_ROW_NUMBER).to_numpy()
    order = dict.fromkeys(name for file in found for name in file.columns)
    frame = pd.DataFrame({name: whole.pop(name) for name in order}, index=pd.RangeIndex(start), copy=False)
    number = (np.broadcast_to(np.int32(index), file.rows) for index, file in enumerate(found))
    return RawTable(table, frame, joined(number, start, np.int32), numbers, tuple(found), malformed, zones)


def read_source_file(file: SourceFile, source: SourceSettings) -> FileRows:
    """Read one file by its content: CSV and Excel as text, Parquet with its column types.

    Raises:
        DataContractError: the file is empty or unreadable.
    """
    content = content_of(file.local, file.path)
    if content == "parquet":
        from tasks.storage.parquet_files import read_parquet

        return read_parquet(file.local, file.path, source)
    wanted = wanted_names(file.table, source)
    if content == "excel":
        from tasks.storage.excel_files import read_excel

        return read_excel(file.local, file.path, source, wanted)
    return read_csv(file.local, file.path, source, wanted, gz=content == "csv.gz")


def wanted_names(table: str, source: SourceSettings) -> list[str]:
    """Return the column names that the header of a table's files must hold: mapped names and required columns."""
    required = [rule.name for rule in TABLES[table].columns if rule.required and rule.name not in source.columns]
    return [*source.columns.values(), *required]


def _download_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=named("sources")))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _local_matches(pattern: str, table: str) -> list[Path]:
    path = Path(pattern)
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"sources.{table}.path cannot be used ({getattr(error, 'strerror', None) or error}): "
            f"{pattern[:_PATH_SHOWN]}{'...' if len(pattern) > _PATH_SHOWN else ''}. Correct the path."
        ) from None
    if path.is_dir():
        raise ConfigError(
            f"sources.{table}.path is the folder {pattern}; expected a file or a pattern such as {path / '*.csv'}."
        )
    if path.is_file():
        return [path]
    if not _WILDCARDS & set(pattern):
        return []
    matches = map(Path, glob.glob(pattern, recursive=True))
    return [match for match in matches if match.is_file() and not match.name.startswith(_LOCK_FILES)]


def _merged(columns: Sequence[dict[str, pd.Series]], sizes: Sequence[int], decimal: str) -> dict[str, pd.Series]:
    """The columns of consecutive files as one; each leaves the files when it is joined: it is not held twice."""
    names = dict.fromkeys(name for part in columns for name in part)
    return {name: _joined([part.pop(name, None) for part in columns], sizes, decimal) for name in names}


def _joined(columns: Sequence[pd.Series | None], sizes: Sequence[int], decimal: str) -> pd.Series:
    """Concatenate one column over all files; a file without the column has empty cells."""
    present = [column for column in columns if column is not None]
    if len(columns) == 1:
        return present[0]
    kinds = {column.dtype for column in present}
    if len(present) == len(columns) and len(kinds) == 1 and not is_text(present[0]):
        kind = kinds.pop()
        if isinstance(kind, np.dtype) and not kind.hasobject:
            return pd.Series(joined((column.to_numpy() for column in present), sum(sizes), kind), copy=False)
        return pd.concat(present, ignore_index=True)
    texts = (
        as_text(pd.Series([None] * size, dtype=object)) if column is None else _text_column(column, decimal)
        for column, size in zip(columns, sizes, strict=True)
    )
    return joined_texts(texts, sum(sizes))


def _move(columns: Sequence[dict[str, pd.Series]], texts: dict[str, str]) -> None:
    """Move the columns of files to the disk, but those of large files, which are there; ``texts`` are known ones."""
    places = [(part, name) for part in columns for name in part if not is_on_disk(part[name])]
    found = on_disk([with_shared_texts(part[name], texts) for part, name in places])
    for (part, name), column in zip(places, found, strict=True):
        part[name] = column


def _text_column(column: pd.Series, decimal: str) -> pd.Series:
    """A column as text; numbers of Parquet files have the decimal mark of the text files next to them."""
    if is_text(column):
        return column
    text = as_text(column)
    if decimal == "," and pd.api.types.is_float_dtype(column):
        text = text.cat.rename_categories(text.cat.categories.str.replace(".", ",", regex=False))
    return text
