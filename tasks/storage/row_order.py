"""Sort the rows of tables by their keys, independent of their original order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_LARGEST_CODE = 2**62


def key_codes(frame: pd.DataFrame, keys: Sequence[str]) -> NDArray[np.int64]:
    """Return one number per row that sorts like the row's keys; equal keys have equal numbers.

    Args:
        frame: rows in any order.
        keys: columns, the most significant first. Text sorts by code point; missing values sort first.

    Returns:
        Shape (rows,); at least 0.
    """
    codes = np.zeros(len(frame), dtype=np.int64)
    size = 1
    for key in keys:
        ranks, distinct = _ranks(frame[key])
        if size * distinct > _LARGEST_CODE:
            found, codes = np.unique(codes, return_inverse=True)
            size = len(found)
        codes = codes * distinct + ranks
        size *= distinct
    return codes


def row_order(frame: pd.DataFrame, keys: Sequence[str]) -> NDArray[np.intp]:
    """Return the row positions that sort the rows by their keys; the sort is stable.

    >>> row_order(pd.DataFrame({"a": ["b", "a", "a"], "n": [1, 3, 2]}), ["a", "n"]).tolist()
    [2, 1, 0]
    """
    codes = key_codes(frame, keys)
    if bool((codes[1:] >= codes[:-1]).all()):
        return np.arange(len(frame), dtype=np.intp)
    return np.argsort(codes, kind="stable")


def _ranks(column: pd.Series) -> tuple[NDArray[np.int64], int]:
    """Return the rank of each value among the column's distinct values (0 = missing), and the number of ranks."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        of_category, distinct = pd.factorize(column.cat.categories.astype(object), sort=True)
        ranks = np.append(of_category, -1)[column.cat.codes.to_numpy()] + 1
    else:
        of_row, distinct = pd.factorize(column, sort=True)
        ranks = of_row + 1
    return ranks.astype(np.int64), len(distinct) + 1
