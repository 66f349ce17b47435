"""Tables of the lake as Arrow tables and Parquet files."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from schemas.errors import StorageError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Rows of a row group: what is in memory while a table is written or read. 2^20 rows of SKU facts would take 0.4 GB.
PART_ROWS = 1 << 18


def row_groups(parquet: pq.ParquetFile, first: int, last: int) -> tuple[list[int], int]:
    """Return the row groups with rows from ``first`` to before ``last``, and the first row of the first group."""
    sizes = [parquet.metadata.row_group(number).num_rows for number in range(parquet.metadata.num_row_groups)]
    ends = list(itertools.accumulate(sizes))
    used = [at for at, end in enumerate(ends) if end - sizes[at] < last and end > first]
    return used, ends[used[0]] - sizes[used[0]] if used else 0


def of_size(parts: Iterable[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """Yield the same rows, ``rows`` at a time; at least one frame."""
    kept: list[pd.DataFrame] = []
    begun = False
    for part in parts:
        kept.append(part)
        del part
        if sum(map(len, kept)) >= rows:
            whole = pd.concat(kept, ignore_index=True)
            full = len(whole) // rows * rows
            kept, begun = [whole.iloc[full:].copy()], True
            yield from (whole.iloc[at : at + rows] for at in range(0, full, rows))
            del whole
    rest = pd.concat(kept, ignore_index=True)
    kept.clear()  # before the rest is used
    if len(rest) or not begun:
        yield rest


def write_parquet(frame: pd.DataFrame, file: Path) -> None:
    """Write a table as Parquet."""
    import pyarrow.parquet as pq

    pq.write_table(arrow_table(frame), file, row_group_size=PART_ROWS, compression="zstd")


def arrow_table(frame: pd.DataFrame, schema: pa.Schema | None = None) -> pa.Table:
    """Convert a table.

    Raises:
        StorageError: a column has values of several types.
    """
    import pyarrow as pa

    try:
        return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise StorageError(
            f"A table cannot be stored as Parquet: {'; '.join(str(part) for part in error.args)}."
        ) from error
