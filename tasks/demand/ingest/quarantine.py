"""Rejected rows: which, why, and when they are too many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.errors import EXAMPLES_SHOWN
from schemas.raw import RawTable, as_text
from schemas.suites import WHOLE_ROW, Reason
from tasks.demand.ingest.parsing import plain_text
from tasks.demand.ingest.table_checks import Verdict
from tasks.demand.ingest.table_structure import MappedTable

_KEYS = (c.TABLE, c.FILE, c.ROW_NUMBER, c.REASON)
_REASONS_SHOWN = 10
_ID_HINT = "Ids are compared as text, as written: '7' is not '007'."


def bad_rows(rows: int, verdicts: Sequence[Verdict]) -> NDArray[np.bool_]:
    """Shape (rows,): the row is bad for some reason."""
    bad = np.zeros(rows, dtype=bool)
    for verdict in verdicts:
        bad[verdict.rows] = True
    return bad


def quarantine_rows(raw: RawTable, verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """The bad rows of a table, whole.

    Returns:
        One row per bad row: table, file, row number (see :class:`schemas.raw.RawTable`), the reasons
        joined by "; ", then the files' own columns as text. A file's column that is called like one of
        those four gets " (in the file)" after its name.
    """
    positions = np.flatnonzero(bad_rows(len(raw.frame), verdicts))
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


def too_many(table: MappedTable, verdicts: Sequence[Verdict], limit: float) -> str | None:
    """The message where the share of bad rows is above the limit, else None.

    Args:
        table: the judged table.
        verdicts: its bad rows.
        limit: largest share, as a fraction.
    """
    rows = len(table.raw.frame)
    bad = int(bad_rows(rows, verdicts).sum())
    if bad <= limit * rows:
        return None
    ranked = sorted(verdicts, key=lambda verdict: -len(verdict.rows))
    lines = [f"\n  - {_line(table, verdict)}" for verdict in ranked[:_REASONS_SHOWN]]
    hints = "".join(f"\n  {hint}" for hint in _hints(table, ranked))
    return (
        f"{table.contract.name}: {bad:,} of {rows:,} rows are bad ({bad / rows:.1%}); at most {limit:.1%} may be "
        f"(quality.max_quarantined_share). Reasons, most frequent first:{''.join(lines)}{hints}\n"
        f"  Correct the rows, or accept them into quarantine with a higher limit "
        f"(--set quality.max_quarantined_share={_rounded_up(bad / rows):g})."
    )


def repeated_keys(table: MappedTable, verdicts: Sequence[Verdict]) -> str | None:
    """The message where keys repeat in a table that must not repeat them, else None."""
    if table.contract.repeats != "fault":
        return None
    for verdict in verdicts:
        if verdict.reason.scope == "key":
            return (
                f"{table.contract.name}: {_line(table, verdict)}. Expected one row per key. Remove the rows that are "
                "not meant, or say under the source's `columns` which columns are the key."
            )
    return None


def reason_counts(table: str, verdicts: Sequence[Verdict]) -> list[tuple[str, str, int]]:
    """Table, reason and number of rows, most frequent first; a row with two reasons counts in both."""
    counts = [(table, verdict.reason.text, len(verdict.rows)) for verdict in verdicts]
    return sorted(counts, key=lambda count: (-count[2], count[1]))


def _line(table: MappedTable, verdict: Verdict) -> str:
    examples = ", ".join(_example(table, int(row), verdict.reason) for row in verdict.rows[:EXAMPLES_SHOWN])
    more = ", ..." if len(verdict.rows) > EXAMPLES_SHOWN else ""
    return f"{verdict.reason.text}: {len(verdict.rows):,} rows ({examples}{more})"


def _example(table: MappedTable, row: int, reason: Reason) -> str:
    raw = table.raw
    where = f"{raw.files[raw.file[row]].path} row {raw.row_number[row]}"
    if reason.columns == (WHOLE_ROW,):
        return f"{where}: {raw.malformed[row]}"
    values = (as_text(table.written(column).iloc[[row]]).iloc[0] for column in reason.columns)
    return f"{where}: {' / '.join(repr(value) for value in values)}"


def _hints(table: MappedTable, verdicts: Sequence[Verdict]) -> list[str]:
    hints = []
    for verdict in verdicts:
        rule = table.contract.rule(verdict.reason.column)
        if rule and rule.references and verdict.reason.text.endswith(rule.references):
            hints.append(_ID_HINT)
        if verdict.reason.scope == "label":
            dates = table.parsed[c.DATE].values.iloc[verdict.rows]
            day = dates.dt.day_name().mode().iloc[0]
            hints.append(
                f"Most of these dates are {day}s. Set `frequency` to the weekday or month start by which the periods "
                "are labeled, or `aggregate: true` where the rows are daily lines."
            )
    return list(dict.fromkeys(hints))


def _rounded_up(share: float) -> float:
    return float(np.ceil(share * 100) / 100)
