"""Write output tables deterministically: sorted rows and fixed columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.errors import PublicationError
from schemas.outputs import OutputTable
from schemas.settings import OutputSettings
from tasks.publication.csv_format import csv_bytes
from tasks.storage.row_order import row_order

_ROWS_PER_CHUNK = 250_000


def write_output(frame: pd.DataFrame, table: OutputTable, folder: Path, output: OutputSettings | None = None) -> None:
    """Write one table to its file: sorted rows, documented columns first, equal bytes for equal content.

    Args:
        frame: has the table's columns; additional columns follow in alphabetical order.
        table: file, columns and key of the table.
        folder: an existing local folder.
        output: format of CSV files; None = the default format.
    """
    columns = [*table.columns, *sorted(str(name) for name in frame.columns if name not in table.columns)]
    order = row_order(frame, [key for key in table.key if key in frame.columns])
    path = folder / table.file
    if path.suffix == ".parquet":
        _write_parquet(frame, columns, order, path)
    else:
        path.write_bytes(csv_bytes(frame.iloc[order], columns, table, output or OutputSettings()))


def _write_parquet(frame: pd.DataFrame, columns: list[str], order: NDArray[np.intp], path: Path) -> None:
    """Write in chunks, because a sorted copy of millions of rows would double the memory use."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pa.schema([(name, _arrow_type(frame[name])) for name in columns])
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for start in range(0, max(len(frame), 1), _ROWS_PER_CHUNK):
                chunk = _plain_text(frame.iloc[order[start : start + _ROWS_PER_CHUNK]][columns])
                writer.write_table(pa.Table.from_pandas(chunk, schema=schema, preserve_index=False))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise PublicationError(
            f"{path.name} cannot be written: {'; '.join(str(part) for part in error.args)}. "
            "Every column must have one type. This is an error in the stage that computed the table; report it. "
            "Nothing was published."
        ) from error


def _arrow_type(column: pd.Series) -> object:
    """Return the stored type; an empty column is stored as text, so that its type does not vary between runs."""
    import pyarrow as pa

    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    found = pa.Schema.from_pandas(pd.DataFrame({c.N: values}), preserve_index=False).field(0).type
    return pa.string() if pa.types.is_null(found) else found


def _plain_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert categoricals to text, so that the file does not depend on the types in memory."""
    coded = [name for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(coded, object))
