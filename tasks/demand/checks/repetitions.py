"""Find blocks of rows that occur twice in one file, such as a month that was pasted twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.panel import IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.storage.mapped import block_count, blocks
from tasks.storage.shards import Rows, Shards

# Every line occurs twice if this fraction of the lines equals the line before it.
_EVERY_LINE = 0.45
_LINE = np.dtype([("code", np.uint64), ("row", np.int64)])


@dataclass(frozen=True)
class Repetition:
    """Rows that repeat earlier rows of the same file, in the same order.

    Attributes:
        first: position of the first repeated row.
        rows: how many rows repeat earlier ones.
    """

    first: int
    rows: int


def repetitions(frame: pd.DataFrame, file: NDArray[np.integer]) -> list[Repetition]:
    """Find the longest repetition of each file.

    Identical lines are separate sales. A run of at least ``LIMITS.fewest_lines`` lines that occurs again in the same
    order, or a file in which every line occurs twice, is a mistake.

    Args:
        frame: all rows as written.
        file: shape (rows,); index of each row's file, ascending.
    """
    if frame.empty:
        return []
    shards = Shards(block_count(len(frame)), _LINE)
    for part in blocks(len(frame)):
        lines = np.empty(part.stop - part.start, dtype=_LINE)
        lines["code"] = pd.util.hash_pandas_object(frame.iloc[part], index=False).to_numpy()
        lines["code"] ^= file[part].astype(np.uint64) << np.uint64(48)
        lines["row"] = np.arange(part.start, part.stop)
        shards.append((lines["code"] % np.uint64(shards.count)).astype(np.int64), lines)
    pairs = [_equal_lines(lines) for lines in shards.take()]
    at, distance = (np.concatenate(found) for found in zip(*pairs, strict=True))
    found = [*_runs(at, distance), *_doubled(at, distance, file)]
    return sorted(found, key=lambda one: one.first)


def _equal_lines(lines: Rows) -> tuple[IndexArray, IndexArray]:
    """Rows that equal an earlier one that matters here, and the distance to the latest of those."""
    order = np.argsort(lines["code"], kind="stable")
    code, row = lines["code"].take(order), lines["row"].take(order)
    distance = np.diff(row)
    used = (code[1:] == code[:-1]) & ((distance == 1) | (distance >= LIMITS.fewest_lines))
    return row[1:][used], distance[used]


def _runs(at: NDArray[np.int64], distance: NDArray[np.int64]) -> Iterator[Repetition]:
    """Runs of rows that are all at the same distance from the row that they repeat."""
    far = distance >= LIMITS.fewest_lines
    by_row = np.argsort(at[far])
    rows, back = at[far][by_row], distance[far][by_row]
    if not len(rows):
        return
    begins = np.append(True, (np.diff(rows) != 1) | (np.diff(back) != 0))
    start = np.flatnonzero(begins)
    length = np.diff(np.append(start, len(rows)))
    for index in np.flatnonzero(length >= LIMITS.fewest_lines):
        yield Repetition(int(rows[start[index]]), int(length[index]))


def _doubled(at: NDArray[np.int64], distance: NDArray[np.int64], file: NDArray[np.integer]) -> Iterator[Repetition]:
    """Files in which every line occurs twice in succession."""
    bounds = np.searchsorted(file, np.arange(int(file[-1]) + 2, dtype=file.dtype))
    size = np.diff(bounds)
    twice = np.bincount(file[at[distance == 1]], minlength=len(size))
    for index in np.flatnonzero((twice >= LIMITS.fewest_lines) & (twice >= _EVERY_LINE * size)):
        yield Repetition(int(bounds[index]) + 1, int(twice[index]))
