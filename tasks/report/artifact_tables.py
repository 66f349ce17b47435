"""Tables as artifacts show them: keys, order of the columns, rounded numbers, and the first rows."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from schemas import columns as c
from schemas.metrics import HEADLINES, readable
from schemas.records import ComparisonRecord
from schemas.secrets import without_secrets

ARTIFACT_ROWS = 200
# Numbers from this value on are rounded to integers with thousands separators; smaller ones have 4 significant digits.
_WHOLE_FROM = 1000
_DIGITS = 4
_DIGEST = 6  # hexadecimal digits of the letters that a key cannot hold
# First columns of the table of models; the UI cuts off the last ones.
METRICS_FIRST = (c.MODEL, c.RELATIVE_LOSS, *HEADLINES)


def artifact_key(*words: str) -> str:
    """Return an artifact key of lowercase letters, digits and dashes.

    Names that differ only in letters that a key cannot hold have different keys: they end with a digest.

    >>> artifact_key("Data quality", "Niños_CL"), artifact_key("report", "Ёлка")
    ('data-quality-ninos-cl', 'report-8e8fe2')
    """
    return "-".join(filter(None, map(_part, words)))


def _part(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word)
    part = re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode().lower()).strip("-")
    if all(letter.isascii() or not letter.isalnum() for letter in plain):
        return part
    digest = hashlib.sha256(unicodedata.normalize("NFC", word).encode()).hexdigest()[:_DIGEST]
    return f"{part}-{digest}".strip("-")


def displayed(rows: Sequence[dict[str, Any]], description: str) -> tuple[list[dict[str, Any]], str]:
    """Return the first 200 rows with rounded numbers, and the description, which says if rows are left out."""
    shown = [{column: display_value(value) for column, value in row.items()} for row in rows[:ARTIFACT_ROWS]]
    if len(rows) > ARTIFACT_ROWS:
        description = f"{description} (the first {ARTIFACT_ROWS} of {len(rows):,} rows)"
    return shown, description


def display_value(value: Any) -> Any:
    """Round a number for display, and mask secrets in a text; return other values unchanged.

    >>> [display_value(value) for value in (18301764.9638, 1234, 0.123456, 12, "007", True)]
    ['18,301,765', '1,234', 0.1235, 12, '007', True]
    """
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not math.isfinite(value):
        return None
    if abs(value) >= _WHOLE_FROM:
        return f"{value:,.0f}"
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def with_first(rows: Sequence[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Move columns to the front of rows, because the UI cuts off the last columns of a table.

    >>> with_first([{"a": 1, "b": 2, "c": 3}], "c", "unknown", "b")
    [{'c': 3, 'b': 2, 'a': 1}]
    """
    return [{**{name: row[name] for name in names if name in row}, **row} for row in rows]


def comparison_tables(record: ComparisonRecord, loss: str) -> list[tuple[str, list[dict[str, Any]], str]]:
    """Return the tables of a comparison: name, rows and description; empty optional ones are left out."""
    models = [{name: readable(name, value) for name, value in row.items()} for row in record.summary["models"]]
    failures = [failure.model_dump(mode="json") for failure in record.failures]
    tables = [
        (
            "models",
            with_first(models, *METRICS_FIRST),
            f"Models compared on the folds by {loss}, best first. MAPE is empty if zero sales make it meaningless",
        ),
        ("bands", record.summary["bands"], "Acceptance bands: share of forecasts within 5, 10 and 20 %"),
        ("champions", record.summary["champions"], "Champions: series per model"),
        ("gap", record.summary["gap"], "Overfitting check: loss on the earlier folds and on the last fold"),
    ]
    optional = [
        ("reconciliation", record.summary["reconciliation"], "Loss before and after reconciliation, by level"),
        ("fallbacks", failures, "Series that a model could not forecast, and the fallback used"),
    ]
    return tables + [table for table in optional if table[1]]
