"""Read Parquet files with their column types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas.errors import DataContractError
from tasks.storage.file_rows import FileRows

if TYPE_CHECKING:
    import pyarrow as pa

# pandas stores an unnamed index under this name.
_INDEX_PREFIX = "__index_level_"


def read_parquet(file: Path, name: str) -> FileRows:
    """Read one Parquet file.

    Text columns become categoricals, integer columns with missing values stay integers, and timestamps with a
    time zone become local times.

    Args:
        file: local path.
        name: name of the file in messages.

    Raises:
        DataContractError: the file is not a Parquet file, or a column has nested values.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            table = parquet.read()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataContractError(f"{name} is not a readable Parquet file ({error}). Deliver the file again.") from error
    columns = [column for column in table.column_names if not column.startswith(_INDEX_PREFIX)]
    nested = sorted(column for column in columns if pa.types.is_nested(table.schema.field(column).type))
    if nested:
        raise DataContractError(
            f"{name}: the columns {', '.join(nested)} contain lists or structures; expected plain values. "
            "Remove these columns from the file."
        )
    frame = pd.DataFrame({column: _to_pandas(table[column]) for column in columns})
    return FileRows(frame, np.arange(1, len(frame) + 1, dtype=np.int64))


def _to_pandas(column: pa.ChunkedArray) -> pd.Series:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_decimal(kind) or pa.types.is_time(kind) or pa.types.is_binary(kind):
        column = column.cast(pa.string())
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = pc.fill_null(column, "").cast(pa.string()).dictionary_encode()
        return column.unify_dictionaries().combine_chunks().to_pandas()
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = pc.local_timestamp(column)
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_integer(kind) and column.null_count:
        return column.to_pandas(types_mapper={kind: pd.Int64Dtype()}.get)
    return column.to_pandas()
