"""Tables of the report about changes, overrides and data quality, and its bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.outputs import AFTER, BEFORE, CHANGE, Change, RunFacts
from schemas.records import Failure, Summary
from tasks.report.formats import Table
from tasks.report.language import Language, message

MOVERS_SHOWN = 15
ROWS_SHOWN = 40
EXAMPLES = 3
LOG = message("the log of the run")
_STATUSES = (
    *(message("applied"), message("changes nothing"), message("overruled")),
    *(message("matches no target"), message("expired"), message("not yet begun")),
)

# Titles of the stages' summary tables and remarks.
_TITLES = (
    *(message("Overfitting"), message("Replay cost by cycle service level"), message("Cleaning log")),
    *(message("Remarks on forecasts"), message("Remarks on the plan")),
)


@dataclass(frozen=True)
class Bar:
    """A stacked bar.

    Attributes:
        label: name of the bar.
        parts: fractions of the full width, in the order of the legend.
        figure: text next to the bar.
        marked: True for a highlighted bar.
    """

    label: str
    parts: Sequence[float]
    figure: str
    marked: bool = False

    @property
    def pieces(self) -> list[tuple[str, str]]:
        """Start and width of each part in percent of the full width."""
        starts = np.cumsum([0.0, *self.parts])[:-1]
        return [(f"{100 * start:.2f}", f"{100 * part:.2f}") for start, part in zip(starts, self.parts, strict=True)]


def movers_table(
    change: Change, reasons: Mapping[tuple[str, str], str], names: Mapping[str, str], say: Language
) -> Table:
    """Return the largest changes of targets.

    Args:
        change: changes since the last earlier file.
        reasons: (store, SKU) to what decides the target now.
        names: SKU to product name.
        say: language of the table.
    """
    rows = [
        (
            str(store),
            str(sku),
            names.get(str(sku), ""),
            say.number(before),
            say.number(after),
            say.signed(diff),
            reasons.get((str(store), str(sku)), ""),
        )
        for store, sku, before, after, diff in change.rows[[c.STORE_ID, c.SKU, BEFORE, AFTER, CHANGE]]
        .head(MOVERS_SHOWN)
        .itertuples(index=False)
    ]
    headers = say.headers(
        "Store", "SKU", "Product", "#Before, units", "#Now, units", "#Change, units", "What decides the target now"
    )
    return Table(headers, rows, note=say.first(MOVERS_SHOWN, len(change.rows), "replenishment.csv"))


def moved_stores_table(change: Change, say: Language) -> Table:
    """Return the changes by store, the store with the largest change in units first."""
    by_store = change.rows[CHANGE].groupby(change.rows[c.STORE_ID].astype(object))
    size = change.rows[CHANGE].abs().groupby(change.rows[c.STORE_ID].astype(object)).sum()
    moved = pd.DataFrame({c.N: by_store.size(), CHANGE: by_store.sum(), c.TOTAL: size})
    largest = moved.iloc[np.argsort(-moved[c.TOTAL].to_numpy(), kind="stable")[:MOVERS_SHOWN]]
    rows = [
        (str(store), say.number(count), say.number((total + net) / 2), say.number((total - net) / 2), say.signed(net))
        for store, count, net, total in largest.reset_index().itertuples(index=False)
    ]
    headers = say.headers("Store", "#Changed targets", "#Units added", "#Units removed", "#Net, units")
    return Table(headers, rows, note=say.first(MOVERS_SHOWN, len(moved), "replenishment.csv"))


def overrides_table(overrides: Sequence[Mapping[str, Any]], rejected: pd.DataFrame, say: Language) -> Table:
    """Return the planners' overrides and their effect, in the order of the file; the rejected ones first, in red.

    Args:
        overrides: the accepted overrides and what they changed.
        rejected: rejected overrides as exceptions: store_id, sku, category, reason.
        say: language of the table.
    """
    refused = [
        ("", _scope(row, say), "", "", str(row[c.REASON]), "", say("not applied"), "", "")
        for row in rejected.to_dict("records")
    ]
    applied = [
        (
            str(row["number"]),
            _scope(row, say),
            say("{first} to {last}", first=row[c.DATE_FROM], last=row[c.DATE_TO]),
            f"{row[c.ACTION]} {say.quantity(row[c.VALUE])}",
            str(row[c.REASON]),
            str(row[c.AUTHOR]),
            say.known(str(row[c.STATUS])),
            say.number(row["changed_pairs"]),
            say.number(row["units"]),
        )
        for row in overrides
    ]
    headers = say.headers(
        *("#No.", "Store / SKU / category", "Dates", "Action", "Reason", "Author", "Status", "#Pairs", "#Units")
    )
    rows = [*refused, *applied]
    shown = rows[:ROWS_SHOWN]
    note = say.first(ROWS_SHOWN, len(rows), "manifest.json")
    return Table(headers, shown, note=note, red=frozenset(range(min(len(refused), ROWS_SHOWN))))


def _scope(row: Mapping[Any, Any], say: Language) -> str:
    return " / ".join(str(row[part] or say("all")) for part in (c.STORE_ID, c.SKU, c.CATEGORY))


def fallbacks_table(failures: Sequence[Failure], say: Language) -> Table:
    """Return the number of series with a fallback, by stage, reason and fallback."""
    groups: dict[tuple[str, str, str], set[str]] = {}
    for failure in failures:
        group = groups.setdefault((failure.stage, failure.reason, failure.fallback), set())
        group.add(f"{failure.store_id} · {failure.category}")
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    rows = [
        (*group, say.number(len(series)), "; ".join(sorted(series)[:EXAMPLES]))
        for group, series in ordered[:ROWS_SHOWN]
    ]
    headers = say.headers("Stage", "Reason", "Fallback", "#Series", "Examples (store · category)")
    return Table(headers, rows, note=say.first(ROWS_SHOWN, len(ordered), say.known(LOG)))


def inputs_table(facts: RunFacts, say: Language) -> Table:
    """Return the rows read, accepted, rejected and ignored per source file."""
    rows = [
        (
            file.table,
            file.path.replace("\\", "/").rsplit("/", 1)[-1],
            say.number(file.rows_read),
            say.number(file.rows_accepted),
            say.number(file.rows_quarantined),
            say.number(file.rows_ignored),
            say.percent(file.rows_quarantined / file.rows_read if file.rows_read else None),
            file.sha256[:12],
        )
        for file in sorted(facts.inputs, key=lambda file: (file.table, file.path))
    ]
    headers = say.headers(
        *("Table", "File", "#Rows read", "#Accepted", "#Rejected", "#Ignored", "#Share", "SHA-256 (first 12 digits)")
    )
    return Table(headers, rows[:ROWS_SHOWN], note=say.first(ROWS_SHOWN, len(rows), "manifest.json"))


def reasons_table(facts: RunFacts, say: Language) -> Table:
    """Return the reasons for rejected rows, the most frequent first."""
    ordered = sorted(facts.reasons, key=lambda item: (-item[2], item[0], item[1]))
    rows = [(table, reason, say.number(count)) for table, reason, count in ordered[:ROWS_SHOWN]]
    note = say.first(ROWS_SHOWN, len(ordered), "quarantine.csv")
    return Table(say.headers("Table", "Reason", "#Rows"), rows, note=note)


def cleaning_log_table(log: pd.DataFrame, say: Language) -> Table:
    """Return the entries of the cleaning log, counted by kind and reason."""
    keys = [log[column].astype(object) for column in (c.TREATMENT, c.REASON) if column in log]
    counts = log.groupby(keys, dropna=False).size().reset_index().to_numpy().tolist()
    ordered = sorted(counts, key=lambda row: (-row[-1], str(row)))
    rows = [(*map(say.cell, names), say.number(count)) for *names, count in ordered[:ROWS_SHOWN]]
    headers = (*say.headers("Cleaning", "Reason")[: len(keys)], *say.headers("#Rows"))
    return Table(headers, rows, note=say.first(ROWS_SHOWN, len(ordered), say.known(LOG)))


def summary_tables(summary: Summary, say: Language) -> list[tuple[str, Table]]:
    """Return the small summary tables of the stages, by title."""
    tables = []
    for title, rows in summary.items():
        if not rows:
            continue
        names = list(dict.fromkeys(name for row in rows for name in row))
        numeric = {name for name in names if all(isinstance(row.get(name, 0), int | float) for row in rows)}
        headers = [("#" if name in numeric else "") + str(name).replace("_", " ") for name in names]
        cells = [[say.cell(row.get(name)) for name in names] for row in rows[:ROWS_SHOWN]]
        note = say.first(ROWS_SHOWN, len(rows), say.known(LOG))
        tables.append((say.known(title.replace("_", " ")), Table(headers, cells, note=note)))
    return tables
