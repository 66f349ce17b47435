"""Alarms on rows of the sales that are not sales: other documents, transfers, and returns with positive units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import FloatArray
from schemas.raw import is_text
from tasks.demand.checks.limits import LIMITS
from tasks.demand.ingest.cell_advice import shortened
from tasks.demand.ingest.documents import MOST_TYPES, NO_SALE, document_kinds, internal_customers, is_document_column
from tasks.demand.ingest.mapped_table import MappedTable

_MOSTLY = 0.5


def not_sales(table: MappedTable) -> Iterator[Alarm]:
    """Yield the alarms on rows of the sales that are no sales by their type, state or customer, and on returns."""
    if table.contract.name != "sales":
        return
    units = table.parsed[c.UNITS].values.to_numpy()
    known = {table.names[rule.name] for rule in table.rules}
    for written in (name for name in table.names.values() if name not in known):
        text = table.raw.frame[written]
        # An empty cell is one more text.
        if not is_text(text):
            continue
        texts = text.cat.categories
        kinds = document_kinds(written, list(texts)) if len(texts) <= MOST_TYPES + 1 else {}
        kinds = kinds or internal_customers(written, texts)
        codes = text.cat.codes.to_numpy()
        if not kinds and len(texts) <= MOST_TYPES + 1 and is_document_column(written):
            yield from _larger_types(written, texts, codes, units)
        named, total = [], 0
        for value, kind in kinds.items():
            rows = codes == texts.get_loc(value)
            count = int(rows.sum())
            if count and (kind == NO_SALE or (units[rows] > 0).mean() > _MOSTLY):
                named.append(f"{shortened(value)} {count:,}")
                total += count
        if named:
            yield raise_alarm(
                "not_sales",
                f"sales: by the column {written!r}, {numbered(total, '# row[s] [is|are]')} not sales, or returns with "
                f"positive units ({', '.join(named)}), and count as sales. Leave them out with sources.sales.ignore",
                count=total,
            )


def _larger_types(written: str, texts: pd.Index, codes: np.ndarray, units: FloatArray) -> Iterator[Alarm]:
    """A type of documents whose lines have many times the units of the most frequent type."""
    rows = [np.flatnonzero((codes == at) & (units > 0)) for at in range(len(texts))]
    usual = max(range(len(texts)), key=lambda at: len(rows[at]), default=0)
    some = [at for at in range(len(texts)) if len(rows[at]) >= LIMITS.fewest_lines]
    median = {at: float(np.median(units[rows[at]])) for at in some}
    larger = [at for at in some if median[at] >= LIMITS.price_jump * median[usual]]
    if larger:
        named = [f"{shortened(texts[at])} ({len(rows[at]):,} rows, median {median[at]:g})" for at in larger]
        yield raise_alarm(
            "not_sales",
            f"sales: by the column {written!r}, some lines have many times the units of {shortened(texts[usual])} "
            f"(median {median[usual]:g}): {first_few(named)}. Are they receipts, transfers or sales to companies? "
            "All of them count as sales. Leave them out with sources.sales.ignore if not",
            count=sum(len(rows[at]) for at in larger),
        )
