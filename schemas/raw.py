"""Input tables as they were read, before any contract is applied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class RawFile:
    """One source file of a table.

    Attributes:
        path: as messages, manifest and quarantine name it.
        sha256: checksum of the file's bytes.
        columns: names in the file's header, in file order.
        rows: rows read, malformed ones included.
    """

    path: str
    sha256: str
    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class RawTable:
    """All rows of one input table, its files concatenated.

    Attributes:
        name: table name as in the settings' ``sources``.
        frame: one row per row read, the files' own column names (the union over the files). Columns of
            text files are categories of text, "" if the cell is empty or the file does not have the column;
            columns of Parquet files have their stored type if all files agree on it.
        file: shape (rows,); index into ``files``.
        row_number: shape (rows,); in text and Excel files the row that Excel shows: title rows, the header and
            blank rows are counted, a quoted line break does not begin a row. In Parquet files the position among
            the file's rows, from 1.
        files: the files, in the order of their paths.
        malformed: position in ``frame`` to what is wrong with a row as written (too many cells).
        zones: column of a Parquet file to the time zone of its time stamps.
    """

    name: str
    frame: pd.DataFrame
    file: NDArray[np.int32]
    row_number: NDArray[np.int64]
    files: tuple[RawFile, ...]
    malformed: Mapping[int, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows_by_file(self) -> NDArray[np.int64]:
        """Shape (files,): the rows of each file in the table; they are next to each other."""
        # Of another type, the bounds would make NumPy copy the column.
        return np.diff(np.searchsorted(self.file, np.arange(len(self.files) + 1, dtype=self.file.dtype)))

    @classmethod
    def of(cls, name: str, frame: pd.DataFrame, path: str = "memory") -> RawTable:
        """A table of one file that is already in memory, such as in a test."""
        rows = len(frame)
        file = RawFile(path, "", tuple(str(column) for column in frame.columns), rows)
        numbers = np.arange(1, rows + 1, dtype=np.int64)
        return cls(name, frame.reset_index(drop=True), np.zeros(rows, dtype=np.int32), numbers, (file,))


def as_text(column: pd.Series) -> pd.Series:
    """A column as categories of text, "" if it is empty.

    Whole numbers have no ".0", dates are ISO 8601 without a time at midnight, flags are true and false.

    >>> list(as_text(pd.Series([1.0, 2.5, None])))
    ['1', '2.5', '']
    """
    codes, values = pd.factorize(column, use_na_sentinel=True)
    texts = np.array([_text(value) for value in values] + [""], dtype=object)
    text_codes, categories = pd.factorize(texts)
    dtype = pd.CategoricalDtype(pd.Index(categories, dtype=object))
    # Code -1 (missing) selects the last text, which is empty.
    return pd.Series(pd.Categorical.from_codes(text_codes[codes], dtype=dtype), index=column.index, name=column.name)


def is_text(column: pd.Series) -> bool:
    """Whether a column is already what :func:`as_text` makes."""
    dtype = column.dtype
    if not isinstance(dtype, pd.CategoricalDtype) or dtype.categories.dtype != object:
        return False
    return bool(column.cat.codes.to_numpy().min(initial=0) >= 0)


def _text(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        return str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))
    if isinstance(value, (pd.Timestamp, np.datetime64)):
        stamp = pd.Timestamp(value)
        return stamp.date().isoformat() if stamp == stamp.normalize() else stamp.isoformat(sep=" ")
    return str(value)
