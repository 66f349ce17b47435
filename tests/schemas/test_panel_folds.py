"""The panel that a fold sees: closures that a calendar announced, and those that nobody knew before."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import KnownFeature, Panel


def panel(known: dict[str, KnownFeature] | None = None) -> Panel:
    """One store over 10 days with 4 to forecast; day 8 (from 0) was closed."""
    frequency = Frequency("D")
    closed = np.zeros((1, 14), dtype=bool)
    closed[0, 8] = True
    demand = np.full((1, 10), 5.0)
    demand[0, 8] = 0.0
    series = pd.DataFrame({c.STORE_ID: ["a"], c.CATEGORY: ["x"]})
    return Panel(frequency, series, frequency.range(date(2024, 1, 1), 14), demand, closed, 4, known or {})


def test_a_fold_does_not_know_a_closure_that_no_calendar_announced() -> None:
    assert not panel().until(6).closed.any()
    assert panel().until(9).closed[0, 8]


def test_a_fold_knows_a_closure_of_the_calendar() -> None:
    is_open = np.ones((1, 14), dtype=np.float32)
    is_open[0, 8] = 0.0
    known = {c.OPEN: KnownFeature(is_open, np.zeros(1, dtype=np.int64))}
    assert panel(known).until(6).closed[0, 8]
