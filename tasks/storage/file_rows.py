"""Rows of one source file, before the files of a table are concatenated."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.errors import DataContractError
from tasks.storage.header import HEADER_ROWS

# Largest share of filled cells in a column without a name that holds no data.
_STRAY_SHARE = 0.01
_UNNAMED = re.compile(r"column \d+")


@dataclass(frozen=True)
class FileRows:
    """Rows of one file; see :class:`schemas.raw.RawTable` for the attributes."""

    frame: pd.DataFrame
    row_number: NDArray[np.int64]
    malformed: Mapping[int, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)

    def without_blank_rows(self) -> FileRows:
        """Return the rows with a value in at least one column; all columns must be text."""
        filled = np.zeros(len(self.frame), dtype=bool)
        for name in self.frame.columns:
            filled |= self._filled(name)
        filled[list(self.malformed)] = True
        if filled.all():
            return self
        position = np.cumsum(filled) - 1
        malformed = {int(position[row]): what for row, what in self.malformed.items()}
        return FileRows(self.frame[filled].reset_index(drop=True), self.row_number[filled], malformed)

    def without_empty_columns(self, named: Collection[str] = ()) -> FileRows:
        """Return the rows without the columns that hold no data; all columns must be text.

        A column without a name in the header holds no data if at most one cell or 1 % of its cells is filled, such as
        a stray cell or note next to the table.

        Args:
            named: columns that stay, such as the ones in the column mapping.
        """
        limit = max(1, round(_STRAY_SHARE * len(self.frame)))
        empty = [
            name
            for name in self.frame.columns
            if _UNNAMED.fullmatch(name) and name not in named and self._filled(name).sum() <= limit
        ]
        if not empty or len(empty) == self.frame.shape[1]:
            return self
        return replace(self, frame=self.frame.drop(columns=empty)).without_blank_rows()

    def _filled(self, name: str) -> NDArray[np.bool_]:
        column = self.frame[name].cat
        return np.asarray((column.categories.str.strip() != "").take(column.codes), dtype=bool)

    def with_malformed(self, rows: Sequence[tuple[int, list[str]]]) -> FileRows:
        """Insert rows whose number of cells differs from the header's, marked as malformed.

        Args:
            rows: row number and cells. Surplus cells are appended to the last column, separated by spaces.
        """
        if not rows:
            return self
        width = self.frame.shape[1]
        extra = [_fitted(cells, width) for _, cells in rows]
        numbers = np.concatenate([self.row_number, [number for number, _ in rows]]).astype(np.int64)
        order = np.argsort(numbers, kind="stable")
        position_of = np.empty_like(order)
        position_of[order] = np.arange(len(order))
        frame = pd.DataFrame(
            {
                name: _extended(self.frame[name].cat, [cells[index] for cells in extra])[order]
                for index, name in enumerate(self.frame.columns)
            }
        )
        malformed = {
            int(position_of[len(self.frame) + index]): f"{len(cells)} cells, but the header has {width}"
            for index, (_, cells) in enumerate(rows)
        }
        return FileRows(frame, numbers[order], malformed)


def column_names(header: Iterable[str], name: str) -> list[str]:
    """Return the column names of a header without surrounding spaces; an empty name becomes "column <position>".

    Raises:
        DataContractError: a name is repeated.
    """
    columns = [text.strip() for text in header]
    repeated = sorted({column for column in columns if column and columns.count(column) > 1})
    if repeated:
        raise DataContractError(
            f"{name}: repeated column names {', '.join(repeated)}; every column needs a unique name. "
            "Rename the columns in the file."
        )
    return [column or unnamed_column(position) for position, column in enumerate(columns, start=1)]


def unnamed_column(position: int) -> str:
    """Return the name of a column that has none in the header.

    >>> unnamed_column(3)
    'column 3'
    """
    return f"column {position}"


def header_beyond_file(name: str, row: int) -> DataContractError:
    """Return the error for a configured header row that is blank or below the first rows of the file."""
    return DataContractError(
        f"{name}: row {row} has no column names. Set the source's `header_row` to the row that has them (at most "
        f"{HEADER_ROWS}), or remove the setting: Restock then finds the row itself."
    )


def empty_file(name: str) -> DataContractError:
    """Return the error for a file without a header."""
    return DataContractError(
        f"{name} is empty; expected column names in its first row. Deliver the file again, or remove the table "
        "from the settings' sources if it is optional."
    )


def _extended(column: pd.core.arrays.categorical.CategoricalAccessor, values: list[str]) -> pd.Categorical:
    categories = column.categories.append(pd.Index(sorted(set(values) - set(column.categories)), dtype=object))
    codes = np.concatenate([column.codes, categories.get_indexer(values)])
    return pd.Categorical.from_codes(codes, categories)


def _fitted(cells: list[str], width: int) -> list[str]:
    kept = [*cells[: width - 1], " ".join(cells[width - 1 :])]
    return kept + [""] * (width - len(kept))
