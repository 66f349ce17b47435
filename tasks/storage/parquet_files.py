"""Read Parquet files with their column types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas.errors import DataContractError
from schemas.settings import SourceSettings
from tasks.storage.file_rows import FileRows, column_names
from tasks.storage.mapped import block_count, filled, on_disk

if TYPE_CHECKING:
    import pyarrow as pa

# pandas stores an unnamed index under this name.
_INDEX_PREFIX = "__index_level_"


def read_parquet(file: Path, name: str, source: SourceSettings) -> FileRows:
    """Read one Parquet file.

    Text columns become categoricals, integer columns with missing values stay integers, and timestamps with a
    time zone become local times: of the source's ``timezone``, else of the zone that the file states.

    Args:
        file: local path.
        name: name of the file in messages.
        source: time zones.

    Raises:
        DataContractError: the file is not a Parquet file, repeats a column name, or a column cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
            many = block_count(rows) > 1
            table = None if many else parquet.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(name, error) from error
    columns = [column for column in schema.names if not column.startswith(_INDEX_PREFIX)]
    column_names(columns, name)
    nested = sorted(column for column in columns if pa.types.is_nested(schema.field(column).type))
    if nested:
        raise DataContractError(
            f"{name}: the columns {', '.join(nested)} contain lists or structures; expected plain values. "
            "Remove these columns from the file."
        )
    found = {}
    for column in columns:
        # A large file is read one column at a time.
        values = _read_column(file, name, column) if table is None else table[column]
        found[column] = _to_pandas(values, f"{name}: column {column}", source)
        del values
        if many:
            (found[column],) = on_disk([found[column]])
    kinds = {column: schema.field(column).type for column in columns}
    zones = {column: kind.tz for column, kind in kinds.items() if pa.types.is_timestamp(kind) and kind.tz is not None}
    numbers = filled(rows, np.int64, lambda part: np.arange(part.start + 1, part.stop + 1))
    return FileRows(pd.DataFrame(found, index=pd.RangeIndex(rows), copy=False), numbers, zones=zones)


def _read_column(file: Path, name: str, column: str) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            return parquet.read(columns=[column])[column]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> DataContractError:
    return DataContractError(f"{name} is not a readable Parquet file ({_first_line(error)}). Deliver the file again.")


def _to_pandas(column: pa.ChunkedArray, where: str, source: SourceSettings) -> pd.Series:
    import pyarrow as pa

    try:
        column.validate(full=True)
        return _converted(column, source)
    except (pa.ArrowException, UnicodeDecodeError, OverflowError, ValueError, KeyError) as error:
        raise DataContractError(
            f"{where} cannot be read as {column.type} ({_first_line(error)}). Correct the file, or remove the column "
            "if it is not needed."
        ) from error


def _converted(column: pa.ChunkedArray, source: SourceSettings) -> pd.Series:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_decimal(kind):
        # A decimal without fraction is an exact integer; others are read as numbers.
        column = column.cast(pa.string() if kind.scale <= 0 else pa.float64())
        kind = column.type
    if (
        pa.types.is_time(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_duration(kind)
    ):
        duration = pa.types.is_duration(kind)
        column = column.cast(pa.int64() if duration else pa.string())
        if duration:
            # A time span is not a number: as text it is an invalid cell of a number column.
            column = pc.binary_join_element_wise(column.cast(pa.string()), kind.unit, " ")
        kind = column.type
    if pa.types.is_null(kind):
        column = column.cast(pa.string())
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = pc.fill_null(column, "").cast(pa.string()).dictionary_encode()
        return column.unify_dictionaries().combine_chunks().to_pandas()
    if pa.types.is_timestamp(kind):
        return _local_times(column, source)
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_integer(kind) and column.null_count:
        return column.to_pandas(types_mapper={kind: pd.Int64Dtype()}.get)
    if pa.types.is_float16(kind):
        column = column.cast(pa.float64())
    return column.to_pandas()


def _local_times(column: pa.ChunkedArray, source: SourceSettings) -> pd.Series:
    import pyarrow as pa
    import pyarrow.compute as pc

    if source.timezone is not None:
        if column.type.tz is None and source.timestamp_zone is not None and not _only_dates(column):
            column = pc.assume_timezone(column, source.timestamp_zone, ambiguous="earliest", nonexistent="latest")
        if column.type.tz is not None:
            column = column.cast(pa.timestamp(column.type.unit, source.timezone))
    return (column if column.type.tz is None else pc.local_timestamp(column)).to_pandas()


def _only_dates(column: pa.ChunkedArray) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.equal(column, pc.floor_temporal(column, unit="day"))).as_py())


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0][:200]
