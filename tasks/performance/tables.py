"""Write performance tables: append-only Parquet files below ``performance/``."""

from __future__ import annotations

import io
import re
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.performance import FOLDER, Kind, PerformanceTable
from tasks.storage.lake import Lake

_KEY = re.compile(rf"{FOLDER}/(?P<table>\w+)/(?P<day>\d{{4}}-\d\d-\d\d)/(?P<version>\d{{4,}})\.parquet")


def folder_of(table: PerformanceTable, as_of: date | None = None) -> str:
    """Return the folder of a table, or of one of its run dates.

    >>> from schemas.performance import ACCURACY
    >>> folder_of(ACCURACY, date(2025, 2, 24))
    'performance/accuracy/2025-02-24'
    """
    return f"{FOLDER}/{table.name}" + ("" if as_of is None else f"/{as_of}")


def stored_keys(lake: Lake, table: PerformanceTable) -> dict[tuple[date, int], str]:
    """Map run date and version to the key of the file, in order."""
    found = {}
    for key in lake.keys(folder_of(table)):
        match = _KEY.fullmatch(key)
        if match is not None:
            found[date.fromisoformat(match["day"]), int(match["version"])] = key
    return dict(sorted(found.items()))


def conform(frame: pd.DataFrame, table: PerformanceTable) -> pd.DataFrame:
    """Bring a frame to the columns and types of its table.

    A missing column is empty: an older version of Restock wrote the file. Columns that the table does not have are
    removed. Text is never null: empty means that a value does not apply.
    """
    empty = pd.Series(np.nan, index=frame.index)
    return pd.DataFrame(
        {column.name: _typed(frame.get(column.name, empty), column.kind) for column in table.columns},
        columns=table.names,
    )


def _typed(values: pd.Series, kind: Kind) -> pd.Series:
    if kind is Kind.DATE:
        return pd.to_datetime(values).astype("datetime64[ns]")
    if kind is Kind.TEXT:
        text = values.astype(object)
        return text.where(text.notna(), "").map(str)
    if kind is Kind.INTEGER:
        return values.fillna(0).astype(np.int64)
    if kind is Kind.BOOLEAN:
        flags = values.astype(object)
        return flags.where(flags.notna(), False).astype(bool)
    return values.astype(np.float64)


def append(lake: Lake, table: PerformanceTable, as_of: date, version: int, frame: pd.DataFrame) -> None:
    """Write one version of a run date. An empty table is not written.

    Args:
        lake: receives the file.
        table: its definition.
        as_of: run date.
        version: from 1.
        frame: rows; as_of and version are added.
    """
    if len(frame):
        rows = conform(frame.assign(**{c.AS_OF: pd.Timestamp(as_of), c.VERSION: version}), table)
        rows = rows.sort_values(list(table.key), ignore_index=True)
        buffer = io.BytesIO()
        rows.to_parquet(buffer, index=False, compression="zstd")
        lake.write_bytes(f"{folder_of(table, as_of)}/{version:04d}.parquet", buffer.getvalue())


def append_if_new(lake: Lake, table: PerformanceTable, as_of: date, frame: pd.DataFrame) -> int:
    """Write the next version of a run date, unless the last one has the same rows.

    Returns:
        The version that holds the rows; 0 if there are none.
    """
    own = {version: key for (day, version), key in stored_keys(lake, table).items() if day == as_of}
    last = max(own, default=0)
    if not len(frame):
        return last
    rows = conform(frame.assign(**{c.AS_OF: pd.Timestamp(as_of), c.VERSION: last}), table)
    rows = rows.sort_values(list(table.key), ignore_index=True)
    if last and rows.equals(conform(pd.read_parquet(io.BytesIO(lake.read_bytes(own[last]))), table)):
        return last
    append(lake, table, as_of, last + 1, frame)
    return last + 1
