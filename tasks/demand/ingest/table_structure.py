"""Structural errors of an input table, which quarantine cannot fix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import first_few
from schemas.frequency import END, START
from schemas.raw import RawFile, RawTable, is_text
from schemas.settings import SourceSettings
from schemas.settings.slices import IngestSlice
from schemas.suites import NO_FACTOR, READ, WRONG_CELLS, expected_words
from schemas.tables import TABLES, ColumnRule, TableContract
from tasks.demand.checks.repetitions import repetitions
from tasks.demand.ingest.cell_advice import cell_hint, distinct_values
from tasks.demand.ingest.left_out import left_out, older_exports, unknown_columns, without_rows
from tasks.demand.ingest.mapped_table import MappedTable
from tasks.demand.ingest.numbers import unclear_marks
from tasks.demand.ingest.parsing import parse_column
from tasks.demand.ingest.units import find_units
from tasks.storage.mapped import blocks

NONE_CATEGORY = "(none)"
_HINTS = {
    "id": "Ids are text.",
    "text": "",
    "number": "If numbers have a decimal comma or a thousands mark, set sources.{table}.decimal or "
    "sources.{table}.thousands.",
    "date": "Expected ISO 8601 (2024-01-31); for other dates set sources.{table}.date_format, such as '%d-%m-%Y'.",
    "flag": "Expected 0/1, true/false or yes/no.",
}


def table_rules(contract: TableContract, settings: IngestSlice) -> dict[str, ColumnRule]:
    """The contract's rules; of products, the columns that make the category are required text."""
    rules = {rule.name: rule for rule in contract.columns}
    if contract is TABLES["products"]:
        for name in settings.category:
            kind = rules[name].kind if name in rules else "text"
            rule = rules.get(name, ColumnRule(name, "text"))
            if kind == "id":
                rules[name] = replace(rule, required=True, nullable=False)
            else:
                rules[name] = ColumnRule(name, "text", required=True, nullable=True, default=NONE_CATEGORY)
    return rules


def map_table(raw: RawTable, settings: IngestSlice) -> tuple[MappedTable | None, list[str]]:
    """Apply the column mapping and type the columns.

    A column that the mapping uses under another name does not count under its own; a column that has the name of a
    mapped column, but is not mapped to it, is left out.

    Returns:
        The table, and its structural faults in words; no table if columns are missing.
    """
    contract, source = TABLES[raw.name], settings.sources.named()[raw.name]
    rules = table_rules(contract, settings)
    may_be_empty = contract.may_be_empty or contract.handmade
    faults = [*([] if may_be_empty else _empty_files(raw)), *_missing_columns(raw, rules, source)]
    if faults:
        return None, faults
    names = _names(raw, source)
    faults = unknown_columns(raw, names, source)
    if source.conversion and c.UNIT not in names:
        faults.append(
            f"{raw.name}: sources.{raw.name}.conversion is set, but the file has no column {c.UNIT}. Map the column "
            f"with the unit (sources.{raw.name}.columns.{c.UNIT}: the file's name for it)."
        )
    if faults:
        return None, faults
    present = {name: rules.get(name) or contract.rule(name) for name in names}
    known = {name: rule for name, rule in present.items() if rule}
    dropped = left_out(raw, names, known, source)
    kept, ignored = without_rows(raw, dropped.rows), dropped.by_file(raw)
    overlaps = older_exports(kept, names, known, source)
    if overlaps:
        older = np.logical_or.reduce([overlap.rows for overlap in overlaps])
        more = [("in a newer file as well", int(older.sum()))] if older.any() else []
        dropped = replace(dropped, overlaps=tuple(overlaps), reasons=(*dropped.reasons, *more))
        ignored = ignored + np.bincount(kept.file[older], minlength=len(raw.files))
        kept = without_rows(kept, older)
    if raw.name == "sales":
        dropped = replace(dropped, repeated=tuple(repetitions(kept.frame, kept.file)))
    if kept.frame.empty and len(raw.frame):
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in dropped.reasons)
        return None, [f"{raw.name}: all {len(raw.frame):,} rows are ignored ({reasons}). Correct sources.{raw.name}."]
    # A week or month is a date only if the periods are weeks or months.
    periods = None if settings.period.kind == "D" else settings.period.kind
    parsed = {
        name: parse_column(kept.frame[names[name]], rule, source, periods if name == c.DATE else None)
        for name, rule in known.items()
    }
    units = find_units(kept, names, parsed, source)
    if units.factors is not None and c.UNIT in parsed:
        unknown = np.isnan(units.factors)
        parsed[c.UNIT] = replace(parsed[c.UNIT], state=np.where(unknown, NO_FACTOR, parsed[c.UNIT].state))
    month_ends = contract.periodic and _are_month_ends(parsed[c.DATE].values, settings)
    if month_ends:
        dates = parsed[c.DATE].values
        first = dates.dt.to_period("M").dt.to_timestamp()
        parsed[c.DATE] = replace(parsed[c.DATE], values=dates.mask(dates.dt.is_month_end, first))
    rows = tuple(known.values())
    table = MappedTable(contract, kept, source, names, rows, parsed, dropped, ignored, units, month_ends)
    return table, [*_unreadable_columns(table), *_unclear_numbers(table)]


def _are_month_ends(dates: pd.Series, settings: IngestSlice) -> bool:
    """Whether months are labeled by their last day: as the settings say, else if all dates are such days."""
    if settings.period.kind != "MS" or settings.aggregate or settings.period_label == START:
        return False
    if settings.period_label == END:
        return bool(dates.dt.is_month_end.any())
    days = pd.Series(dates.dropna().dt.normalize().unique())
    return len(days) > 1 and bool(days.dt.is_month_end.all())


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
        f"{', '.join(columns)}. Correct the file, or map the column in sources.{table}.columns "
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
    rows = len(table.raw.frame)
    if table.contract.handmade or rows == len(table.raw.malformed):
        return []
    faults = []
    for rule in table.rules:
        parsed = table.parsed[rule.name]
        empty = parsed.replaced is not None and parsed.replaced.all()
        readable = any(
            (table.intact(np.arange(part.start, part.stop)) & (parsed.state[part] == READ)).any()
            for part in blocks(rows)
        )
        if rule.required and (empty or not readable):
            faults.append(_unreadable_text(table, rule))
    return faults


def _unreadable_text(table: MappedTable, rule: ColumnRule) -> str:
    written = table.names[rule.name]
    files = first_few([file.path for file in table.raw.files])
    state = pd.Series(table.parsed[rule.name].state).mode().iloc[0]
    reason = f" ({WRONG_CELLS[state]})" if state in WRONG_CELLS else ""
    hint = cell_hint(table, rule) or _HINTS[rule.kind].format(table=table.contract.name)
    return (
        f"{table.contract.name}: column {rule.name} ({written!r} in {files}) holds "
        f"{expected_words(rule.kind)} in none of its {len(table.raw.frame):,} rows{reason}; it holds "
        f"{distinct_values(table, rule.name)}. Correct the file or sources.{table.contract.name}.columns. {hint}"
    ).rstrip()


def _unclear_numbers(table: MappedTable) -> list[str]:
    """One text per number column whose decimal mark is probably a thousands mark."""
    if any(file.path.lower().endswith((".xlsx", ".parquet")) for file in table.raw.files):
        return []
    name, mark = table.contract.name, table.source.decimal
    other = "," if mark == "." else "."
    faults = []
    for rule in table.rules:
        written = table.written(rule.name)
        if rule.kind != "number" or not is_text(written):
            continue
        found = unclear_marks(pd.Series(written.cat.categories, dtype=object), table.source)
        if found:
            rows = int(written.isin(found).sum())
            faults.append(
                f"{name}: column {rule.name} ({table.names[rule.name]!r} in {table.raw.files[0].path}) has {mark!r} in "
                f"{rows:,} of {len(written):,} rows, always with three digits after it ({first_few(found)}), and no "
                f"number above 999 without it. It is probably a thousands mark. If {found[0]} means "
                f"{found[0].replace(mark, '')}, set sources.{name}.thousands: '{mark}' and sources.{name}.decimal: "
                f"'{other}'. If it is a decimal mark, set sources.{name}.thousands: none."
            )
    return faults
