"""Runs of periods without sales."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas.panel import BoolArray


@dataclass(frozen=True)
class Gap:
    """Consecutive missing periods: first and last label, and how many of them should have sales."""

    first: date
    last: date
    periods: int


def gaps_of(missing: BoolArray, expected: BoolArray, labels: pd.DatetimeIndex) -> list[Gap]:
    """Find runs of missing periods; a period that is not expected to have sales does not end a run.

    Args:
        missing: shape (T,); the period is expected and has no sales.
        expected: shape (T,); the period should have sales.
        labels: shape (T,).

    Example:
        Saturday and Monday missing, Sunday not expected: one gap of 2 periods.
    """
    at = np.flatnonzero(expected)
    found = []
    start: int | None = None
    for position, gone in enumerate([*missing[at], False]):
        if gone and start is None:
            start = position
        elif not gone and start is not None:
            found.append(Gap(labels[at[start]].date(), labels[at[position - 1]].date(), position - start))
            start = None
    return found
