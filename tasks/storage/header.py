"""Find the row of a file that names its columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

# The header is searched in this number of first rows.
HEADER_ROWS = 50
# A header fills at least this share of the columns of the widest row.
_SHARE_FILLED = 0.6
# A cell with a letter that is neither a date nor a number with a unit may be a column name.
_NAME = re.compile(r"(?=.*[^\W\d_])(?!\d{4}-\d{2}-\d{2})(?![-+]?[\d.,]+([eE][-+]?\d+)?$).*", re.DOTALL)


def find_header(rows: Sequence[Sequence[str]], wanted: Collection[str] = ()) -> int | None:
    """Return the index of the row that names the columns.

    The header is the first row that holds all wanted names. If no row holds all of them, it is the row that holds
    most of them. If no row holds any, it is the first row that is almost as wide as the widest row and holds
    texts only. The rows above it are title rows.

    Args:
        rows: first rows of a file, as text; only the first :data:`HEADER_ROWS` are considered.
        wanted: column names of the file that must be there; empty if they are not known.

    Returns:
        Index into ``rows``; None if all rows are blank.

    >>> find_header([["Sales report"], [], ["Date", "Units"], ["2024-01-01", "5"]])
    2
    >>> find_header([["Store", "North"], ["day", "qty"], ["1", "2"]], ["qty", "day"])
    1
    """
    texts = [[cell.strip() for cell in row] for row in rows[:HEADER_ROWS]]
    held = [len(set(wanted) & set(row)) for row in texts]
    if max(held, default=0) > 0:
        return held.index(max(held))
    filled = [sum(cell != "" for cell in row) for row in texts]
    if max(filled, default=0) == 0:
        return None
    enough = _SHARE_FILLED * max(filled)
    for index, row in enumerate(texts):
        if filled[index] >= enough and all(_NAME.fullmatch(cell) for cell in row if cell):
            return index
    return next(index for index, count in enumerate(filled) if count)


def names_held(rows: Sequence[Sequence[str]], wanted: Collection[str]) -> int:
    """Return the number of wanted names in the header."""
    at = find_header(rows, wanted)
    return 0 if at is None else len(set(wanted) & {cell.strip() for cell in rows[at]})
