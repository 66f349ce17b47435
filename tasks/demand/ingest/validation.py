"""Validate the input tables: typed accepted rows, bad rows in quarantine, or an error to act on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.errors import DataContractError
from schemas.raw import RawTable, is_text
from schemas.records import InputFile
from schemas.settings.slices import IngestSlice
from schemas.tables import TABLES, ColumnRule
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.sales import distinct
from tasks.demand.ingest.data_alarms import reading_alarms
from tasks.demand.ingest.id_forms import with_known_ids
from tasks.demand.ingest.mapped_table import MappedTable
from tasks.demand.ingest.parsing import further_column, plain_text
from tasks.demand.ingest.quarantine import (
    REFERENCED,
    bad_rows,
    joined_quarantine,
    quarantine_rows,
    reason_counts,
    reason_lines,
    repeated_keys,
    too_many,
)
from tasks.demand.ingest.table_checks import Judge, Verdict, judge_table, with_great_expectations
from tasks.demand.ingest.table_structure import map_table
from tasks.storage.mapped import blocks, categories_of, filled, gathered, joined, positions, rows_of

# Days that a date can be, from half of them before 1970 on.
_DAYS = 1 << 23


@dataclass(frozen=True)
class Findings:
    """Findings of the validation of all tables.

    Attributes:
        quarantine: every rejected row (:func:`tasks.demand.ingest.quarantine.quarantine_rows`).
        files: one entry per source file; rows read = accepted + quarantined + ignored.
        reasons: table, reason and number of rows, by table, most frequent first.
        rejected: the reasons in words, with row numbers and distinct values.
        ignored: table, reason and number of rows that are not data.
        alarms: cells whose value was interpreted, such as dates without a time zone.
    """

    quarantine: pd.DataFrame
    files: list[InputFile]
    reasons: list[tuple[str, str, int]]
    rejected: list[str]
    ignored: list[tuple[str, str, int]]
    alarms: list[Alarm]


@dataclass(frozen=True)
class JudgedTables(Findings):
    """Tables whose bad rows are known.

    Attributes:
        mapped: typed tables, bad rows included.
        verdicts: bad rows of each table.
    """

    mapped: Mapping[str, MappedTable]
    verdicts: Mapping[str, Sequence[Verdict]]

    def parts(self, name: str, size: int) -> Iterator[pd.DataFrame]:
        """Yield the accepted rows of a table, ``size`` at a time; equal keys are one row if the contract sums them."""
        return _typed(self.mapped[name], self.verdicts[name], size)

    def empty_columns(self, name: str) -> list[str]:
        """Return the text columns of a table without a single accepted value."""
        table = self.mapped[name]
        rows = _accepted(table, self.verdicts[name])
        texts = {rule.name: table.parsed[rule.name].values for rule in table.rules if rule.kind in ("id", "text")}
        return [
            text
            for text, values in texts.items()
            if not any(values.iloc[rows[part]].notna().any() for part in blocks(len(rows)))
        ]


@dataclass(frozen=True)
class ValidatedTables(Findings):
    """The result of the validation.

    Attributes:
        tables: table name to its accepted rows in file order, under Restock's column names: ids and texts are
            text (None = empty), dates datetime64[ns] at midnight, numbers float64 (NaN = unknown), flags
            bool. Columns that the contract does not know are float64 if all their values are numbers,
            else text.
    """

    tables: dict[str, pd.DataFrame]

    def summary(self) -> list[dict[str, Any]]:
        """One row per table for a data-quality artifact: rows read, accepted, quarantined, share, reasons."""
        rows = []
        for table in self.tables:
            files = [file for file in self.files if file.table == table]
            read, bad = sum(file.rows_read for file in files), sum(file.rows_quarantined for file in files)
            ignored = sum(file.rows_ignored for file in files)
            why = "; ".join(f"{reason} ({count:,})" for name, reason, count in self.reasons if name == table)
            rows.append(
                {
                    "table": table,
                    "files": len(files),
                    "rows_read": read,
                    "rows_accepted": read - bad - ignored,
                    "rows_quarantined": bad,
                    "rows_ignored": ignored,
                    "share_quarantined": round(bad / max(read, 1), 6),
                    "reasons": why,
                }
            )
        return rows


def validate_tables(
    raw: Mapping[str, RawTable], settings: IngestSlice, judge: Judge = with_great_expectations
) -> ValidatedTables:
    """Judge tables (:func:`judge_tables`) and hold all their accepted rows in memory."""
    found = judge_tables(raw, settings, judge)
    return ValidatedTables(
        tables={name: next(found.parts(name, size=len(table.raw.frame))) for name, table in found.mapped.items()},
        **{field.name: getattr(found, field.name) for field in fields(Findings)},
    )


def judge_tables(
    raw: Mapping[str, RawTable], settings: IngestSlice, judge: Judge = with_great_expectations
) -> JudgedTables:
    """Apply the rules of docs/reference/contract.md#input-tables to tables as they were read.

    Bad rows go to quarantine: unreadable or empty cells that must hold a value, infinities, values out
    of bounds, ids that are not in the accepted rows of the referenced table, dates that are not labels of the frequency
    (unless ``aggregate``), all rows of a repeated key if the rules call that a bad row,
    promotions that end before they begin.

    Args:
        raw: table name to its rows; at least sales, products and stores.
        settings: sources, category, frequency, aggregate and the quality limit.
        judge: evaluates the expectations (:mod:`tasks.demand.ingest.table_checks`).

    Raises:
        DataContractError: a structural error (missing column, a required column without one readable
            value, an empty file, repeated keys if the rules forbid them), or a table with too
            large a share of bad rows. All structural errors are reported at once.
    """
    mapped, spelling = with_known_ids(_map_all(raw, settings))
    references: dict[str, list[str]] = {}
    verdicts: dict[str, list[Verdict]] = {}
    complaints: list[str] = []
    for name, table in mapped.items():
        if not references.keys() >= {rule.references for rule in table.rules if rule.references}:
            # Its rows refer to a table with errors: they would be bad only because of that table.
            continue
        known = references
        if table.contract is TABLES["sales"]:
            known = {**references, "stores": [*references["stores"], *former_stores(table, references["stores"])]}
        verdicts[name] = judge_table(table, known, settings, judge)
        found = _complaints(table, verdicts[name], settings, mapped)
        complaints += found
        if name in REFERENCED and not found:
            references[name] = _accepted_ids(table, verdicts[name])
    if complaints:
        raise DataContractError("\n".join(complaints))
    return JudgedTables(
        mapped=mapped,
        verdicts=verdicts,
        quarantine=joined_quarantine([quarantine_rows(table.raw, verdicts[name]) for name, table in mapped.items()]),
        files=[file for name, table in mapped.items() for file in _input_files(table, verdicts[name])],
        reasons=[count for name in mapped for count in reason_counts(name, verdicts[name])],
        rejected=[line for name, table in mapped.items() for line in reason_lines(table, verdicts[name])],
        ignored=[(name, reason, count) for name, table in mapped.items() for reason, count in table.left_out.reasons],
        alarms=[*reading_alarms(mapped), *spelling],
    )


def former_stores(sales: MappedTable, listed: Sequence[str]) -> list[str]:
    """Stores that are not listed and have sales on more dates than typing errors would explain: former stores."""
    store = sales.parsed[c.STORE_ID].values
    codes, named = store.cat.codes.to_numpy(), np.append(~store.cat.categories.isin(listed), False)  # code -1: empty
    rows = positions(gathered(named, codes))
    if not len(rows):
        return []
    dates = rows_of(sales.parsed[c.DATE].values, rows).groupby(rows_of(store, rows).astype(str)).nunique()
    return sorted(dates.index[dates >= LIMITS.former_store_dates])


def _map_all(raw: Mapping[str, RawTable], settings: IngestSlice) -> dict[str, MappedTable]:
    """Every table under Restock's column names, referenced tables first."""
    mapped: dict[str, MappedTable] = {}
    faults: list[str] = []
    for name in TABLES:
        if name in raw:
            table, found = map_table(raw[name], settings)
            faults += found
            if table:
                mapped[name] = table
    if faults:
        raise DataContractError("\n".join(faults))
    return mapped


def _complaints(
    table: MappedTable, verdicts: Sequence[Verdict], settings: IngestSlice, others: Mapping[str, MappedTable]
) -> list[str]:
    repeated = repeated_keys(table, verdicts)
    if repeated:
        return [repeated]
    if table.contract.handmade:
        return []
    excess = too_many(table, verdicts, settings.quality, others)
    return [excess] if excess else []


def _accepted(table: MappedTable, verdicts: Sequence[Verdict]) -> NDArray[np.int64]:
    count, bad = len(table.raw.frame), bad_rows(verdicts)

    def kept() -> Iterator[NDArray[np.int64]]:
        for part in blocks(count):
            own = bad[slice(*np.searchsorted(bad, [part.start, part.stop]))]
            yield np.delete(np.arange(part.start, part.stop), own - part.start)

    accepted: NDArray[np.int64] = joined(kept(), count - len(bad), np.int64)
    return accepted


def _accepted_ids(table: MappedTable, verdicts: Sequence[Verdict]) -> list[str]:
    key = table.contract.key[0]
    return sorted(plain_text(table.parsed[key].values.iloc[_accepted(table, verdicts)]))


def _typed(table: MappedTable, verdicts: Sequence[Verdict], size: int) -> Iterator[pd.DataFrame]:
    rows = _accepted(table, verdicts)
    rules = {rule.name: rule for rule in table.rules}
    # Whether a further column holds numbers is known once all its cells are read.
    further = {name: _further(table.written(name), rows, table) for name in table.names if name not in rules}

    def made(part: NDArray[np.int64]) -> pd.DataFrame:
        columns = {}
        for name in table.names:
            if name in rules:
                column = _final(table.parsed[name].values.iloc[part], rules[name])
                if rules[name].in_units and table.units.factors is not None:
                    column = column * table.units.factors[part]
            else:
                column = further[name](part)
            columns[name] = column.reset_index(drop=True)
        return pd.DataFrame(columns, copy=False)

    repeated = _with_repeated_keys(table, rows) if table.contract.repeats == "sum" else rows[:0]
    once, sums = repeated, pd.DataFrame()
    if len(repeated):
        parts = made(repeated)
        first_of_key = ~parts.duplicated(_key(table)).to_numpy()
        once, sums = repeated[first_of_key], _summed(parts, table)
        rows = rows[np.isin(rows, repeated[~first_of_key], invert=True)]
    for first in range(0, max(len(rows), 1), max(size, 1)):
        part = rows[first : first + max(size, 1)]
        frame = made(part)
        at = np.flatnonzero(np.isin(part, once))
        if len(at):
            summed = sums.iloc[np.searchsorted(once, part[at])].set_index(at)
            frame = pd.concat([frame.drop(index=at), summed]).sort_index()
        for rule in table.rules:
            if rule.floor is not None:
                frame[rule.name] = frame[rule.name].clip(lower=rule.floor)
        yield frame
        del frame  # before the next one is made


def _key(table: MappedTable) -> list[str]:
    return [name for name in table.contract.key if name in table.names]


def _with_repeated_keys(table: MappedTable, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows whose key another one of the rows has too, ascending."""
    values = [table.parsed[name].values for name in _key(table)]

    def number(part: slice) -> NDArray[np.int64]:
        found = np.zeros(part.stop - part.start, dtype=np.int64)
        for column in values:
            if is_text(column):
                size, own = len(column.cat.categories), column.cat.codes.to_numpy()[rows[part]]
            else:
                size, own = _DAYS, column.to_numpy()[rows[part]].astype("datetime64[D]").astype(np.int64) + _DAYS // 2
            found = found * size + own
        return found

    numbers = filled(len(rows), np.int64, number)
    ordered = np.sort(numbers)
    several = distinct(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(several):
        return rows[:0]
    found = filled(len(rows), np.bool_, lambda part: np.isin(numbers[part], several))
    return rows[np.flatnonzero(found)]


def _summed(frame: pd.DataFrame, table: MappedTable) -> pd.DataFrame:
    """Add up the quantities of rows with the same key; other columns have the value of the first of them."""
    key = _key(table)
    quantities = {rule.name for rule in table.rules if rule.in_units}
    how = {name: _sum_known if name in quantities else "first" for name in frame.columns if name not in key}
    summed = frame.groupby(key, sort=False, dropna=False).agg(how).reset_index()
    return summed[list(frame.columns)]


def _sum_known(values: pd.Series) -> float:
    return float(values.sum(min_count=1))


def _final(values: pd.Series, rule: ColumnRule) -> pd.Series:
    if rule.kind in ("id", "text"):
        return plain_text(values)
    if rule.kind == "date":
        return values.dt.normalize()
    if rule.kind == "flag":
        # The only flag that may be empty is the calendar's `open`: a store is open unless the calendar closes it.
        return values.fillna(True).astype(bool)
    return values


def _further(
    written: pd.Series, rows: NDArray[np.int64], table: MappedTable
) -> Callable[[NDArray[np.int64]], pd.Series]:
    """Gives the values of some rows of a column without a rule, among the accepted rows."""
    if is_text(written):
        codes = written.cat.codes.to_numpy()
        used = np.zeros(len(written.cat.categories), dtype=bool)
        for part in blocks(len(rows)):
            used[codes[rows[part]]] = True
        # A value depends on its text, and on which texts there are.
        found = np.flatnonzero(used)
        values = further_column(categories_of(np.arange(len(found)), written.cat.categories[found]), table.source)
        place = np.cumsum(used) - 1
        return lambda part: values.take(place[codes[part]])
    if pd.api.types.is_numeric_dtype(written):
        return lambda part: further_column(written.iloc[part], table.source)
    whole = further_column(written.iloc[rows], table.source)
    return lambda part: whole.loc[part]


def _input_files(table: MappedTable, verdicts: Sequence[Verdict]) -> list[InputFile]:
    raw = table.raw
    bad = np.bincount(raw.file[bad_rows(verdicts)], minlength=len(raw.files))
    return [
        InputFile(
            table=raw.name,
            path=file.path,
            sha256=file.sha256,
            rows_read=file.rows,
            rows_accepted=file.rows - int(rejected) - int(ignored),
            rows_quarantined=int(rejected),
            rows_ignored=int(ignored),
        )
        for file, rejected, ignored in zip(raw.files, bad, table.ignored, strict=True)
    ]
