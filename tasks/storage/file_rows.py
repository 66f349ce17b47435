"""Rows of one source file, before the files of a table are concatenated."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.errors import DataContractError
from tasks.storage.header import HEADER_ROWS
from tasks.storage.mapped import categories_of, gathered, joined, positions, rows_of

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
        if any(self._all_filled(name) for name in self.frame.columns):
            return self
        filled = np.zeros(len(self.frame), dtype=bool)
        for name in self.frame.columns:
            filled |= self._filled(name)
        filled[list(self.malformed)] = True
        if filled.all():
            return self
        rows = positions(filled)
        frame = pd.DataFrame({name: rows_of(self.frame[name], rows) for name in self.frame.columns}, copy=False)
        malformed = {int(np.searchsorted(rows, row)): what for row, what in self.malformed.items()}
        return FileRows(frame, gathered(self.row_number, rows), malformed)

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

    def _all_filled(self, name: str) -> bool:
        return all(map(str.strip, self.frame[name].cat.categories))

    def _filled(self, name: str) -> NDArray[np.bool_]:
        column = self.frame[name].cat
        return gathered(np.asarray(column.categories.str.strip() != "", dtype=bool), column.codes.to_numpy())

    def with_malformed(self, rows: Sequence[tuple[int, list[str]]]) -> FileRows:
        """Insert rows whose number of cells differs from the header's, marked as malformed.

        Args:
            rows: row number and cells, ascending. Surplus cells are appended to the last column, separated by spaces.
        """
        if not rows:
            return self
        width = self.frame.shape[1]
        extra = [_fitted(cells, width) for _, cells in rows]
        numbers = np.array([number for number, _ in rows], dtype=np.int64)
        at = np.searchsorted(self.row_number, numbers)
        frame = pd.DataFrame(
            {
                name: _inserted(self.frame[name].cat, at, [cells[index] for cells in extra])
                for index, name in enumerate(self.frame.columns)
            },
            copy=False,
        )
        malformed = {
            int(place) + index: f"{len(cells)} cells, but the header has {width}"
            for index, (place, (_, cells)) in enumerate(zip(at, rows, strict=True))
        }
        return FileRows(frame, _with_inserted(self.row_number, at, numbers), malformed)


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


def _inserted(
    column: pd.core.arrays.categorical.CategoricalAccessor, at: NDArray[np.int64], values: list[str]
) -> pd.Series:
    categories = column.categories.append(pd.Index(sorted(set(values) - set(column.categories)), dtype=object))
    codes = _with_inserted(column.codes.to_numpy(), at, categories.get_indexer(values).astype(np.int32))
    return categories_of(codes, list(categories))


def _with_inserted(values: NDArray[Any], at: NDArray[np.int64], inserted: NDArray[Any]) -> NDArray[Any]:
    """Values with others before some positions, ascending."""

    def parts() -> Iterator[NDArray[Any]]:
        start = 0
        for index, end in enumerate(at):
            yield values[start:end]
            yield inserted[index : index + 1]
            start = end
        yield values[start:]

    return joined(parts(), len(values) + len(inserted), inserted.dtype)


def _fitted(cells: list[str], width: int) -> list[str]:
    kept = [*cells[: width - 1], " ".join(cells[width - 1 :])]
    return kept + [""] * (width - len(kept))
