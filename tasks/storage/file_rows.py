"""Rows of one source file, before the files of a table are concatenated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.errors import DataContractError


@dataclass(frozen=True)
class FileRows:
    """Rows of one file; see :class:`schemas.raw.RawTable` for the attributes."""

    frame: pd.DataFrame
    row_number: NDArray[np.int64]
    malformed: Mapping[int, str] = field(default_factory=dict)

    def without_blank_rows(self) -> FileRows:
        """Return the rows with a value in at least one column; all columns must be text."""
        filled = np.zeros(len(self.frame), dtype=bool)
        for name in self.frame.columns:
            column = self.frame[name].cat
            filled |= (column.categories.str.strip() != "").take(column.codes)
        if filled.all():
            return self
        return FileRows(self.frame[filled].reset_index(drop=True), self.row_number[filled])

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
    return [column or f"column {position}" for position, column in enumerate(columns, start=1)]


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
