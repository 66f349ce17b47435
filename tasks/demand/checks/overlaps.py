"""Overlapping exports: the same sale lines in several files.

Two files are exports of the same sales if, on the days that both contain, at least ``LIMITS.same_lines`` of the lines
of one are also in the other, with all their columns (``LIMITS.same_export`` if both files cover the same days). Then
the newer file counts on every store and day that it contains. The newer file is the one whose last day is later, else
whose first day is later, else the one that comes later in the order of paths. Identical lines in one file count as
separate sales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.alarms import Alarm, raise_alarm
from schemas.errors import numbered
from schemas.panel import BoolArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.storage.mapped import blocks, filled

_NAMED = 3


@dataclass(frozen=True)
class Overlap:
    """Two files with the same lines.

    Attributes:
        older: index of the file whose lines are left out.
        newer: index of the file whose lines count.
        share: fraction of the lines on common days that are in both files.
        first: first common day.
        last: last common day.
        rows: shape (rows,); lines of the older file that are left out; none if the share is too small to be sure.
    """

    older: int
    newer: int
    share: float
    first: date
    last: date
    rows: BoolArray


def overlapping_exports(
    lines: Callable[[IndexArray], pd.DataFrame],
    file: IndexArray | NDArray[np.int32],
    days: NDArray[np.datetime64],
    store: IndexArray,
    skip: BoolArray,
) -> list[Overlap]:
    """Find the overlaps of the files of a table.

    Args:
        lines: gives some rows with all the columns that the files have in common; called only if files overlap.
        file: shape (rows,); index of each row's file, in the order of paths.
        days: shape (rows,); date of each row, NaT if unreadable.
        store: shape (rows,); code of the store.
        skip: shape (rows,); rows that do not count, such as those of copied files.
    """
    several = _in_several_files(file, store, days, skip)
    if several is None:
        return []
    used = np.flatnonzero(~skip & ~np.isnat(days))
    several = several[used]
    day = days[used].astype("datetime64[D]").astype(np.int64)
    files = np.asarray(file)[used].astype(np.int64)
    spans = _spans(files, day)
    found = []
    # The same line in two files is of a store and day that both contain.
    for one, other, same in _same_lines(lines(used[several]), files[several]):
        older, newer = sorted((one, other), key=lambda at: (spans[at][1], spans[at][0], at))
        common = np.intersect1d(day[files == older], day[files == newer])
        on_common = np.isin(day, common)
        fewer = min((files[on_common] == older).sum(), (files[on_common] == newer).sum())
        share = same / max(int(fewer), 1)
        if fewer < LIMITS.fewest_lines or share < LIMITS.some_same_lines:
            continue
        needed = LIMITS.same_export if spans[older] == spans[newer] else LIMITS.same_lines
        rows = np.zeros(len(file), dtype=bool)
        if share >= needed:
            key = store[used].astype(np.int64) * 10_000_000 + day
            rows[used[(files == older) & np.isin(key, key[files == newer])]] = True
        ends = common[[0, -1]].astype("datetime64[D]")
        found.append(Overlap(older, newer, float(share), ends[0].item(), ends[1].item(), rows))
    return found


def overlap_alarm(table: str, overlaps: Sequence[Overlap], paths: Sequence[str]) -> list[Alarm]:
    """Return an alarm about overlapping files; lines that are in doubt are named and counted twice."""
    alarms = []
    for sure in (True, False):
        concerned = [overlap for overlap in overlaps if overlap.rows.any() == sure]
        if not concerned:
            continue
        named = [
            f"{paths[o.older]} and {paths[o.newer]} ({o.first} to {o.last}, {o.share:.0%} of the lines)"
            for o in concerned[:_NAMED]
        ]
        more = "" if len(concerned) <= _NAMED else f" and {len(concerned) - _NAMED:,} more pairs"
        rows = np.logical_or.reduce([overlap.rows for overlap in concerned])
        what = (
            f"The newer file counts on every store and day that it contains; {numbered(int(rows.sum()), '# row[s]')} "
            "of the older files are left out"
            if sure
            else "All rows count. If the files are exports of the same sales, keep one of them"
        )
        alarms.append(
            raise_alarm(
                "overlapping_files" if sure else "similar_files",
                f"{table}: files overlap and contain the same lines: {'; '.join(named)}{more}. {what}",
                dates=(min(o.first for o in concerned), max(o.last for o in concerned)),
                count=int(rows.sum()) if sure else len(concerned),
            )
        )
    return alarms


def _in_several_files(
    file: IndexArray | NDArray[np.int32], store: IndexArray, days: NDArray[np.datetime64], skip: BoolArray
) -> BoolArray | None:
    """Shape (rows,): the store and day of the row are in another file as well; None if there is no such row."""
    seen = [np.unique(days[part].astype("datetime64[D]")) for part in blocks(len(days))]
    distinct = np.unique(np.concatenate([days[:0].astype("datetime64[D]"), *seen]))

    def keys(part: slice) -> IndexArray:
        return store[part].astype(np.int64) * len(distinct) + np.searchsorted(distinct, days[part])

    stores = max((int(store[part].max()) + 1 for part in blocks(len(store))), default=1)
    size = stores * len(distinct)
    first, last = np.full(size, np.iinfo(np.int32).max, dtype=np.int32), np.full(size, -1, dtype=np.int32)
    for part in blocks(len(days)):
        counted = ~skip[part] & ~np.isnat(days[part])
        key, files = keys(part)[counted], file[part][counted].astype(np.int32)
        np.minimum.at(first, key, files)
        np.maximum.at(last, key, files)
    several = (first != last) & (last >= 0)
    if not several.any():
        return None
    return filled(len(days), np.bool_, lambda part: several[keys(part)])


def _spans(files: IndexArray, day: IndexArray) -> dict[int, tuple[int, int]]:
    """First and last day of each file."""
    spans = pd.Series(day).groupby(files).agg(["min", "max"])
    return {int(one): (int(first), int(last)) for one, first, last in spans.itertuples()}


def _same_lines(frame: pd.DataFrame, files: IndexArray) -> list[tuple[int, int, int]]:
    """Pairs of files, and the number of lines that are in both (repeated lines counted as often as in both)."""
    lines = pd.DataFrame({"line": pd.util.hash_pandas_object(frame, index=False).to_numpy(), "origin": files})
    counts = lines.groupby(["line", "origin"], sort=False).size().rename("times").reset_index()
    shared = counts[counts["line"].duplicated(keep=False)]
    pairs = shared.merge(shared, on="line", suffixes=("", "_other"))
    pairs = pairs[pairs["origin"] < pairs["origin_other"]]
    same = pairs[["times", "times_other"]].min(axis=1).groupby([pairs["origin"], pairs["origin_other"]]).sum()
    return [(int(one), int(other), int(total)) for (one, other), total in same.items()]
