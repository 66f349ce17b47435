"""Structural errors of an input table, which quarantine cannot fix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
import pandas as pd

from schemas.errors import EXAMPLES_SHOWN, first_few
from schemas.raw import RawFile, RawTable, as_text
from schemas.settings import SourceSettings
from schemas.settings.slices import IngestSlice
from schemas.suites import READ, expected_words
from schemas.tables import TABLES, ColumnRule, TableContract
from tasks.demand.ingest.parsing import ParsedColumn, parse_column

_HINTS = {
    "number": "If numbers have a decimal comma, set sources.{table}.decimal: ','.",
    "date": "Expected ISO 8601 (2024-01-31); for other dates set sources.{table}.date_format, such as '%d-%m-%Y'.",
    "flag": "Expected 0/1, true/false or yes/no.",
}


@dataclass(frozen=True)
class MappedTable:
    """A raw table under the contract's column names.

    Attributes:
        contract: its contract.
        raw: as it was read.
        source: how its files are written.
        names: our column name to the files' name, in file order, further columns included.
        rules: the rules of the contract's columns that are present.
        parsed: our column name to the typed column, for the columns with a rule.
    """

    contract: TableContract
    raw: RawTable
    source: SourceSettings
    names: Mapping[str, str]
    rules: tuple[ColumnRule, ...]
    parsed: Mapping[str, ParsedColumn]

    def written(self, column: str) -> pd.Series:
        """A column, by our name, as the files have it."""
        return self.raw.frame[self.names[column]]

    @property
    def intact(self) -> np.ndarray:
        """Shape (rows,): the row has as many cells as the header."""
        intact = np.ones(len(self.raw.frame), dtype=bool)
        intact[list(self.raw.malformed)] = False
        return intact


def table_rules(contract: TableContract, settings: IngestSlice) -> dict[str, ColumnRule]:
    """The contract's rules; of products, the columns that make the category are required text."""
    rules = {rule.name: rule for rule in contract.columns}
    if contract is TABLES["products"]:
        for name in settings.category:
            kind = rules[name].kind if name in rules else "text"
            rule = rules.get(name, ColumnRule(name, "text"))
            rules[name] = replace(rule, kind="id" if kind == "id" else "text", required=True, nullable=False)
    return rules


def map_table(raw: RawTable, settings: IngestSlice) -> tuple[MappedTable | None, list[str]]:
    """Apply the column mapping and type the columns.

    A column that the mapping uses under another name does not count under its own; one that has the
    name of a mapped column without being it is left out.

    Returns:
        The table, and its structural faults in words; no table where columns are missing.
    """
    contract, source = TABLES[raw.name], settings.sources.named()[raw.name]
    rules = table_rules(contract, settings)
    faults = [*([] if contract.handmade else _empty_files(raw)), *_missing_columns(raw, rules, source)]
    if faults:
        return None, faults
    names = _names(raw, source)
    present = {name: rules.get(name) or contract.rule(name) for name in names}
    known = tuple(rule for rule in present.values() if rule)
    parsed = {rule.name: parse_column(raw.frame[names[rule.name]], rule, source) for rule in known}
    table = MappedTable(contract, raw, source, names, known, parsed)
    return table, _unreadable_columns(table)


def _empty_files(raw: RawTable) -> list[str]:
    empty = [file.path for file in raw.files if file.rows == 0]
    if not empty:
        return []
    return [
        f"{raw.name}: no rows in {first_few(empty)}. Deliver the file again; a table that is optional may also be "
        f"left out of the settings (sources.{raw.name})."
    ]


def _missing_columns(raw: RawTable, rules: Mapping[str, ColumnRule], source: SourceSettings) -> list[str]:
    """One text per set of missing columns; files with the same missing columns are listed together."""
    lacking: dict[tuple[str, ...], list[RawFile]] = {}
    for file in raw.files:
        available = set(file.columns)
        free = available - set(source.columns.values())
        wanted = {
            name for name, rule in rules.items() if rule.required and name not in source.columns and name not in free
        }
        wanted |= {name for name, written in source.columns.items() if written not in available}
        if wanted:
            lacking.setdefault(tuple(sorted(wanted)), []).append(file)
    return [_missing_text(raw.name, missing, files, source) for missing, files in lacking.items()]


def _missing_text(table: str, missing: Sequence[str], files: Sequence[RawFile], source: SourceSettings) -> str:
    columns = files[0].columns
    described = []
    for name in missing:
        written = source.columns.get(name)
        close = get_close_matches(written or name, columns, n=1)
        described.append(
            f"{name}{f' (mapped to {written!r})' if written else ''}{f' - is it {close[0]!r}?' if close else ''}"
        )
    where = files[0].path if len(files) == 1 else first_few([file.path for file in files])
    return (
        f"{table}: missing column{'s' if len(missing) > 1 else ''} {', '.join(described)} in {where}. The file has: "
        f"{', '.join(columns)}. Correct the file, or say under sources.{table}.columns which of its columns is meant "
        f"(such as {missing[0]}: the file's name for it)."
    )


def _names(raw: RawTable, source: SourceSettings) -> dict[str, str]:
    ours = {}
    for written in raw.frame.columns:
        mapped = [name for name, target in source.columns.items() if target == written]
        if not mapped and written not in source.columns:
            mapped = [written]
        ours.update(dict.fromkeys(mapped, written))
    return ours


def _unreadable_columns(table: MappedTable) -> list[str]:
    intact = table.intact
    if table.contract.handmade or not intact.any():
        return []
    faults = []
    for rule in table.rules:
        if rule.required and not (table.parsed[rule.name].state[intact] == READ).any():
            faults.append(_unreadable_text(table, rule))
    return faults


def _unreadable_text(table: MappedTable, rule: ColumnRule) -> str:
    written = table.names[rule.name]
    shown = as_text(table.written(rule.name).iloc[:1000]).unique()[:EXAMPLES_SHOWN]
    files = first_few([file.path for file in table.raw.files])
    return (
        f"{table.contract.name}: column {rule.name} ({written!r} in {files}) holds "
        f"{expected_words(rule.kind)} in none of its {len(table.raw.frame):,} rows; it holds "
        f"{', '.join(repr(value) for value in shown)}. Correct the file or sources.{table.contract.name}.columns. "
        f"{_HINTS.get(rule.kind, '').format(table=table.contract.name)}"
    ).rstrip()
