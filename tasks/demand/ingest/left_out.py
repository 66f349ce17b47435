"""Rows of the files that are not data: ignored by the settings, totals, and files that are copies of others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.raw import RawTable, as_text, is_text
from schemas.settings import SourceSettings
from schemas.tables import ColumnRule
from tasks.demand.checks.overlaps import Overlap, overlapping_exports
from tasks.demand.checks.repetitions import Repetition
from tasks.demand.ingest.parsing import parse_column
from tasks.demand.words import CELLS, phrases
from tasks.storage.mapped import blocks, gathered, positions, rows_of

_TOTAL = re.compile(
    rf"\s*(?:{'|'.join(phrase.replace(' ', '[ -]?') for phrase in phrases(CELLS, 'total'))})(?:[\s:].*)?",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_TOTAL = 60
# Columns with more distinct values are not searched for the word "total".
_DISTINCT = 100_000
TOTAL_ROW = "total row"
# A date in a cell, in any order; the number of first rows that are compared with 1, 2, 3 and so on.
_STAMP = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{8}")
_COUNTED = 1000


@dataclass(frozen=True)
class LeftOut:
    """Rows that are not data.

    Attributes:
        rows: shape (rows,); the row is left out.
        reasons: reason and number of rows, in the order in which the reasons are applied.
        overlaps: exports that contain the same lines as others.
        repeated: blocks of rows that occur twice in a file; all rows count.
        copies: path of a file that has the same content as an earlier one, and the path of that file.
    """

    rows: NDArray[np.bool_]
    reasons: tuple[tuple[str, int], ...]
    copies: tuple[tuple[str, str], ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    repeated: tuple[Repetition, ...] = ()

    def by_file(self, raw: RawTable) -> NDArray[np.int64]:
        """Return the number of rows that are left out, per file."""
        return np.bincount(raw.file[self.rows], minlength=len(raw.files))


def without_rows(raw: RawTable, left: NDArray[np.bool_]) -> RawTable:
    """Return a table without some rows; ``files`` keep the number of rows that were read."""
    if not left.any():
        return raw
    kept = positions(~left)
    malformed = {int(np.searchsorted(kept, row)): what for row, what in raw.malformed.items() if not left[row]}
    return replace(
        raw,
        frame=pd.DataFrame({name: rows_of(raw.frame[name], kept) for name in raw.frame.columns}, copy=False),
        file=gathered(raw.file, kept),
        row_number=gathered(raw.row_number, kept),
        malformed=malformed,
    )


def unknown_columns(raw: RawTable, names: Mapping[str, str], source: SourceSettings) -> list[str]:
    """Return one message per column of ``ignore`` and ``only`` that the files do not have."""
    known = [*names, *names.values()]
    return [
        f"{raw.name}: sources.{raw.name}.{key} names the column {column!r}, which is not in "
        f"{raw.files[0].path}{_close(column, known)}. The file has: {', '.join(names.values())}."
        for key, columns in (("ignore", source.ignore), ("only", source.only))
        for column in columns
        if column not in known
    ]


def left_out(
    raw: RawTable, names: Mapping[str, str], rules: Mapping[str, ColumnRule], source: SourceSettings
) -> LeftOut:
    """Find the rows of a table that are not data.

    A total row has a cell that begins with a word such as "Total", and has no required id or date.

    Args:
        raw: the table as read.
        names: Restock's column names to the files' names.
        rules: rules of the table by column.
        source: columns and values to ignore.
    """
    rows = np.zeros(len(raw.frame), dtype=bool)
    reasons: list[tuple[str, int]] = []

    def leave_out(reason: str, found: NDArray[np.bool_]) -> None:
        count = 0
        for part in blocks(len(rows)):
            new = np.flatnonzero(found[part] & ~rows[part])
            rows[part.start + new] = True
            count += len(new)
        reasons.append((reason, count))

    copies = tuple(_copies(raw, names, rules, source))
    for later, earlier in copies:
        leave_out(f"copy of {raw.files[earlier].path}", gathered(np.arange(len(raw.files)) == later, raw.file))
    for column, values in source.ignore.items():
        leave_out(f"{column} in {', '.join(values)}", _matches(raw.frame[names.get(column, column)], values))
    for column, values in source.only.items():
        others = gathered(np.array([True, False]), _matches(raw.frame[names.get(column, column)], values).view(np.int8))
        leave_out(f"{column} not in {', '.join(values)}", others)
    leave_out("repeated header", _headers(raw))
    leave_out(TOTAL_ROW, _totals(raw, names, rules))
    return LeftOut(
        rows,
        tuple((reason, count) for reason, count in reasons if count),
        tuple((raw.files[later].path, raw.files[earlier].path) for later, earlier in copies),
    )


def older_exports(
    raw: RawTable, names: Mapping[str, str], rules: Mapping[str, ColumnRule], source: SourceSettings
) -> list[Overlap]:
    """Find the sale lines that a newer export of the same sales contains.

    Args:
        raw: the table without the rows that are left out for other reasons.
        names: Restock's column names to the files' names.
        rules: rules of the table by column.
        source: how the dates are written.
    """
    files = np.flatnonzero(raw.rows_by_file)
    if raw.name != "sales" or len(files) < 2:  # noqa: PLR2004
        return []
    days = parse_column(raw.frame[names[c.DATE]], rules[c.DATE], source).values
    shared = set.intersection(*(set(raw.files[file].columns) for file in files))
    of_export = _export_columns(raw, set(names.values()) - {names[name] for name in rules})
    kept = shared - of_export
    frame = pd.DataFrame({name: raw.frame[name] for name in raw.frame.columns if name in kept}, copy=False)
    return overlapping_exports(
        lambda rows: _comparable(frame.iloc[rows], names, rules, source),
        raw.file,
        days.to_numpy(dtype="datetime64[ns]"),
        _stripped_codes(raw.frame[names[c.STORE_ID]]),
        np.zeros(len(raw.frame), dtype=bool),
    )


def _stripped_codes(column: pd.Series) -> NDArray[np.int64]:
    """Shape (rows,); equal codes for texts that are equal without surrounding spaces."""
    text = column if is_text(column) else as_text(column)
    codes = pd.factorize(pd.Series(text.cat.categories, dtype=object).str.strip())[0]
    return gathered(codes, text.cat.codes.to_numpy())


def _export_columns(raw: RawTable, further: set[str]) -> set[str]:
    """Further columns that describe the export and not the sale: one time stamp per file, or the number of the row."""
    found = set()
    ends = np.cumsum(raw.rows_by_file)
    for name in further:
        column = raw.frame[name]
        if not is_text(column):
            continue
        codes = column.cat.codes.to_numpy()
        parts = [part for part in np.split(codes, ends[:-1]) if len(part)]
        firsts = [column.cat.categories[part[0]] for part in parts]
        stamped = all((part == part[0]).all() for part in parts) and all(map(_STAMP.search, firsts))
        if stamped or all(_is_count(column.cat.categories.to_numpy()[part[:_COUNTED]]) for part in parts):
            found.add(name)
    return found


def _is_count(texts: NDArray[np.object_]) -> bool:
    """Whether texts are the numbers 1, 2, 3 and so on."""
    return list(texts) == [str(number) for number in range(1, len(texts) + 1)]


def _copies(
    raw: RawTable, names: Mapping[str, str], rules: Mapping[str, ColumnRule], source: SourceSettings
) -> Iterator[tuple[int, int]]:
    """Yield the index of each file with the rows of an earlier file, and the index of that file."""
    sizes = raw.rows_by_file
    ends = np.cumsum(sizes)
    spans = [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]
    ids: dict[str, NDArray[np.int64]] = {}
    first: dict[object, int] = {}
    for index, file in enumerate(raw.files):
        if sizes[index] == 0:
            continue
        earlier = first.setdefault(file.sha256 or index, index)
        if earlier == index:
            alike = first.setdefault((int(sizes[index]), frozenset(file.columns)), index)
            if alike != index:
                ids = ids or _id_codes(raw, names, rules)
                if _same_rows(raw, ids, (spans[alike], spans[index]), names, rules, source):
                    earlier = alike
        if earlier != index:
            yield index, earlier


def _id_codes(raw: RawTable, names: Mapping[str, str], rules: Mapping[str, ColumnRule]) -> dict[str, NDArray[np.int64]]:
    columns = [names[name] for name, rule in rules.items() if rule.kind == "id" and is_text(raw.frame[names[name]])]
    return {name: _stripped_codes(raw.frame[name]) for name in columns}


def _same_rows(
    raw: RawTable,
    ids: Mapping[str, NDArray[np.int64]],
    spans: tuple[slice, slice],
    names: Mapping[str, str],
    rules: Mapping[str, ColumnRule],
    source: SourceSettings,
) -> bool:
    """Whether two files have the same rows in the same order, regardless of the format of dates and numbers."""
    if not all(np.array_equal(codes[spans[0]], codes[spans[1]]) for codes in ids.values()):
        return False
    parts = [raw.frame.iloc[span].reset_index(drop=True) for span in spans]
    one, other = (_comparable(part, names, rules, source) for part in parts)
    return bool(one.equals(other))


def _comparable(
    frame: pd.DataFrame, names: Mapping[str, str], rules: Mapping[str, ColumnRule], source: SourceSettings
) -> pd.DataFrame:
    """Dates and numbers as values, and all else as text: the same in CSV, Excel and Parquet files."""
    columns: dict[str, pd.Series] = {}
    for name in frame.columns:
        rule = next((rule for ours, rule in rules.items() if names[ours] == name), None)
        column = frame[name]
        if rule is not None and rule.kind in ("date", "number"):
            columns[name] = parse_column(column, rule, source).values
        else:
            text = column if is_text(column) else as_text(column)
            columns[name] = pd.Series(text.astype(object).to_numpy(), index=column.index).str.strip()
    return pd.DataFrame(columns)


def _matches(column: pd.Series, values: list[str]) -> NDArray[np.bool_]:
    if not values:
        return np.zeros(len(column), dtype=bool)
    patterns = "|".join(".*".join(re.escape(part) for part in value.strip().split("*")) for value in values)
    return _of_categories(column, lambda texts: texts.str.strip().str.fullmatch(f"(?s:{patterns})"))


def _headers(raw: RawTable) -> NDArray[np.bool_]:
    """Rows that repeat the column names, as at the top of every page of a report."""
    none = np.zeros(len(raw.frame), dtype=bool)
    if len(raw.frame.columns) == 1 or not all(is_text(raw.frame[name]) for name in raw.frame.columns):
        return none
    repeated: NDArray[np.bool_] = none
    for number, name in enumerate(raw.frame.columns):
        found = _of_categories(raw.frame[name], partial(_equal, str(name).strip()))
        for part in blocks(len(found)) if number else ():
            found[part] &= repeated[part]
        repeated = found
        if not any(repeated[part].any() for part in blocks(len(repeated))):
            return none
    return repeated


def _equal(word: str, texts: pd.Series) -> pd.Series:
    return texts.str.strip() == word


def _totals(raw: RawTable, names: Mapping[str, str], rules: Mapping[str, ColumnRule]) -> NDArray[np.bool_]:
    keys = [name for name, rule in rules.items() if rule.required and rule.kind in ("id", "date") and name in names]
    if not any(_may_hold_total(raw.frame[name]) for name in names.values()):
        return np.zeros(len(raw.frame), dtype=bool)
    total = np.zeros(len(raw.frame), dtype=bool)
    missing = np.zeros(len(raw.frame), dtype=bool)
    for name in names.values():
        total |= _of_categories(raw.frame[name], _is_total)
    if not total.any() or not keys:
        return np.zeros(len(raw.frame), dtype=bool)
    all_words = np.ones(len(raw.frame), dtype=bool)
    for name in keys:
        missing |= _of_categories(raw.frame[names[name]], lambda texts: texts.str.strip() == "")
        all_words &= _of_categories(raw.frame[names[name]], _is_total)
    alone = np.ones(len(raw.frame), dtype=bool)
    for name, rule in rules.items():
        if name in names and name not in keys and rule.kind != "number":
            alone &= _of_categories(raw.frame[names[name]], lambda texts: texts.str.strip() == "")
    return np.asarray(total & (missing | (all_words & alone)))


def _is_total(texts: pd.Series) -> pd.Series:
    if len(texts) > _DISTINCT:
        return pd.Series(data=False, index=texts.index)
    return texts.str.fullmatch(_TOTAL) & (texts.str.len() <= _LONGEST_TOTAL)


def _may_hold_total(column: pd.Series) -> bool:
    if not is_text(column):
        return column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype)
    return bool(_is_total(pd.Series(column.cat.categories, dtype=object)).any())


def _of_categories(column: pd.Series, judge: Callable[[pd.Series], pd.Series]) -> NDArray[np.bool_]:
    """Evaluate a condition on the distinct texts of a column, and return the result for every row."""
    if not is_text(column):
        if column.dtype != object and not isinstance(column.dtype, pd.CategoricalDtype) and judge is _is_total:
            return np.zeros(len(column), dtype=bool)
        column = as_text(column)
    texts = pd.Series(column.cat.categories, dtype=object)
    if texts.empty:
        return np.zeros(len(column), dtype=bool)
    return gathered(judge(texts).to_numpy(dtype=bool), column.cat.codes.to_numpy())


def _close(column: str, known: list[str]) -> str:
    close = get_close_matches(column, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
