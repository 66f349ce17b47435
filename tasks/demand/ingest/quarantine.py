"""Rejected rows: which rows, why, and when there are too many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.errors import EXAMPLES_SHOWN, numbered
from schemas.raw import RawTable, as_text
from schemas.settings.quality import DEFAULT_SHARE
from schemas.settings.slices import QuarantineLimit
from schemas.suites import WHOLE_ROW, Reason
from schemas.tables import TABLES
from tasks.demand.cleaning.sales import distinct
from tasks.demand.ingest.cell_advice import cell_hint, distinct_values, shortened
from tasks.demand.ingest.mapped_table import MappedTable
from tasks.demand.ingest.parsing import plain_text
from tasks.demand.ingest.table_checks import Verdict

_KEYS = (c.TABLE, c.FILE, c.ROW_NUMBER, c.REASON)
_REASONS_SHOWN = 10
_ID_HINT = "Ids are compared as text; only spaces, case and leading zeros may differ."
REFERENCED = {rule.references for contract in TABLES.values() for rule in contract.columns if rule.references}


def bad_rows(verdicts: Sequence[Verdict]) -> NDArray[np.int64]:
    """The positions of the rows that are bad for some reason, ascending."""
    return distinct(np.concatenate([np.zeros(0, dtype=np.int64), *(verdict.rows for verdict in verdicts)]))


def quarantine_rows(raw: RawTable, verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """The complete bad rows of a table.

    Returns:
        One row per bad row: table, file, row number (see :class:`schemas.raw.RawTable`), the reasons
        joined by "; ", then the files' own columns as text. A file's column with one of these four names gets " (in the
        file)" after its name.
    """
    positions = bad_rows(verdicts)
    reasons = np.full(len(positions), "", dtype=object)
    for verdict in verdicts:
        at = np.searchsorted(positions, verdict.rows)
        reasons[at] = [f"{text}; {verdict.reason.text}" if text else verdict.reason.text for text in reasons[at]]
    paths = np.array([file.path for file in raw.files], dtype=object)
    found: dict[str, object] = {
        c.TABLE: np.full(len(positions), raw.name, dtype=object),
        c.FILE: paths[raw.file[positions]],
        c.ROW_NUMBER: raw.row_number[positions],
        c.REASON: reasons,
    }
    for name in raw.frame.columns:
        key = f"{name} (in the file)" if name in _KEYS else str(name)
        found[key] = plain_text(as_text(raw.frame[name].iloc[positions])).to_numpy()
    return pd.DataFrame(found)


def joined_quarantine(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The quarantine of all tables, ordered by table, file and row number.

    The rows of a table without a column have missing values there. Without bad rows only the four columns exist.
    """
    filled = [part for part in parts if len(part)]
    if not filled:
        texts = {name: pd.Series(dtype=object) for name in _KEYS}
        return pd.DataFrame({**texts, c.ROW_NUMBER: pd.Series(dtype="int64")})
    joined = pd.concat(filled, ignore_index=True)
    ordered = joined.sort_values([c.TABLE, c.FILE, c.ROW_NUMBER], kind="stable", ignore_index=True)
    return ordered.astype(object).where(ordered.notna(), None).astype({c.ROW_NUMBER: "int64"})


def too_many(
    table: MappedTable, verdicts: Sequence[Verdict], quality: QuarantineLimit, others: Mapping[str, MappedTable]
) -> str | None:
    """The message if the share of bad rows is above the limit, else None.

    Args:
        table: the judged table.
        verdicts: its bad rows.
        quality: largest share of bad rows, as a fraction.
        others: all tables; rows of them may refer to the bad rows.
    """
    name, rows = table.contract.name, len(table.raw.frame)
    rejected = bad_rows(verdicts)
    share = quality.max_quarantined_share
    limit = share.get(name, DEFAULT_SHARE) if isinstance(share, dict) else share
    bad = len(rejected)
    if bad <= limit * rows:
        return None
    ranked = sorted(verdicts, key=lambda verdict: -len(verdict.rows))
    lines = [f"\n  - {_line(table, verdict)}" for verdict in ranked[:_REASONS_SHOWN]]
    hints = "".join(f"\n  {hint}" for hint in _hints(table, ranked))
    needed = _rounded_up(bad / rows)
    return (
        f"{name}: {bad:,} of {rows:,} rows are bad ({bad / rows:.1%}); at most {limit:.1%} may be "
        f"(quality.max_quarantined_share). Reasons, most frequent first:{''.join(lines)}{hints}\n"
        f"  Correct the rows, leave out rows that are not data (sources.{name}.ignore), or accept them into quarantine "
        f"with a higher limit for this table (--set 'quality.max_quarantined_share={{{name}: {needed:g}}}')."
        f"{_consequence(table, rejected, others)}"
    )


def _consequence(table: MappedTable, rejected: NDArray[np.int64], others: Mapping[str, MappedTable]) -> str:
    """Count the rows of other tables that are rejected because the bad rows of this table are rejected."""
    if not table.contract.key:
        return ""
    ids = plain_text(table.parsed[table.contract.key[0]].values) if table.contract.name in REFERENCED else None
    if ids is None:
        return ""
    lost = set(ids.iloc[rejected].dropna()) - set(ids.drop(index=ids.index[rejected]))
    counts = {}
    for other in others.values():
        for rule in other.rules:
            if rule.references == table.contract.name:
                parsed = other.parsed[rule.name].values
                known = parsed.cat.categories.isin(lost)
                counts[other.contract.name] = int(known[parsed.cat.codes.to_numpy()[parsed.notna()]].sum())
    found = [numbered(count, "# row[s]") + f" of {name}" for name, count in counts.items() if count]
    if not found:
        return ""
    return (
        f"\n  If you accept these {len(rejected):,} {table.contract.name} as rejected, {', '.join(found)} that "
        "refer to them are rejected too."
    )


def repeated_keys(table: MappedTable, verdicts: Sequence[Verdict]) -> str | None:
    """The message if keys repeat in a table that must not repeat them, else None."""
    if table.contract.repeats != "fault":
        return None
    for verdict in verdicts:
        if verdict.reason.scope == "key":
            return (
                f"{table.contract.name}: {_line(table, verdict)}. Expected one row per key. Remove the wrong "
                "rows, or map the key columns in the source's `columns`."
            )
    return None


def reason_counts(table: str, verdicts: Sequence[Verdict]) -> list[tuple[str, str, int]]:
    """Table, reason and number of rows, most frequent first; a row with two reasons counts in both."""
    counts = [(table, verdict.reason.text, len(verdict.rows)) for verdict in verdicts]
    return sorted(counts, key=lambda count: (-count[2], count[1]))


def reason_lines(table: MappedTable, verdicts: Sequence[Verdict]) -> list[str]:
    """One line per reason, most frequent first: number of rows, first row numbers and distinct values."""
    ranked = sorted(verdicts, key=lambda verdict: -len(verdict.rows))
    return [f"{table.contract.name}: {_line(table, verdict)}" for verdict in ranked[:_REASONS_SHOWN]]


def _line(table: MappedTable, verdict: Verdict) -> str:
    rows, reason = verdict.rows, verdict.reason
    where = _places(table.raw, rows)
    if reason.columns == (WHOLE_ROW,):
        values = table.raw.malformed[int(rows[0])]
    elif len(reason.columns) == 1:
        values = distinct_values(table, reason.column, rows)
    else:
        values = _joined_values(table, reason, rows)
    return f"{reason.text}: {numbered(len(rows), '# row[s]')} ({where}): {values}"


def _places(raw: RawTable, rows: NDArray[np.int64]) -> str:
    """File and numbers of the first rows."""
    file = raw.file[rows[0]]
    numbers = [f"{raw.row_number[row]}" for row in rows[:EXAMPLES_SHOWN] if raw.file[row] == file]
    more = ", ..." if len(rows) > len(numbers) else ""
    return f"{raw.files[file].path} row{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}{more}"


def _joined_values(table: MappedTable, reason: Reason, rows: NDArray[np.int64]) -> str:
    texts = pd.DataFrame({column: as_text(table.written(column).iloc[rows]).astype(str) for column in reason.columns})
    counts = texts.value_counts(sort=True)
    shown = [
        f"{' / '.join(shortened(value) for value in values)} {count:,}"
        for values, count in counts.iloc[:EXAMPLES_SHOWN].items()
    ]
    more = f", and {len(counts) - EXAMPLES_SHOWN:,} other values" if len(counts) > EXAMPLES_SHOWN else ""
    return ", ".join(shown) + more


def _hints(table: MappedTable, verdicts: Sequence[Verdict]) -> list[str]:
    hints = []
    for verdict in verdicts:
        rule = next((rule for rule in table.rules if rule.name == verdict.reason.column), None)
        if rule and verdict.reason.scope == "column":
            hints.append(cell_hint(table, rule, verdict.rows))
        if rule and rule.references and verdict.reason.text.endswith(rule.references):
            hints.append(_ID_HINT)
        if verdict.reason.scope == "label":
            dates = table.parsed[c.DATE].values.iloc[verdict.rows]
            if not (dates == dates.dt.normalize()).any():
                hints.append("The dates have a time of day: set `aggregate: true`, which sums lines to periods.")
                continue
            day = dates.dt.day_name().mode().iloc[0]
            hints.append(
                f"Most of these dates are {day}s. Set `frequency` to the weekday or month start by which the periods "
                "are labeled, or `aggregate: true` where the rows are daily lines."
            )
    return list(dict.fromkeys(hint for hint in hints if hint))


def _rounded_up(share: float) -> float:
    return float(np.ceil(share * 100) / 100)
