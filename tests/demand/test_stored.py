"""Sales of last year in the periods of the forecast."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import Panel
from tasks.demand.stored import sales_last_year


def panel(frequency: str, history: int, horizon: int = 3, sold: bool = True) -> Panel:
    """Two series; the first sells its period's position, the second ten times as much."""
    period = Frequency(frequency)
    units = np.arange(history, dtype=np.float64)
    demand = np.stack([units, 10 * units])
    return Panel(
        frequency=period,
        series=pd.DataFrame({c.STORE_ID: ["1", "2"], c.CATEGORY: ["a", "a"]}),
        periods=period.range(pd.Timestamp("2023-01-02"), history + horizon),
        demand=np.full_like(demand, np.nan) if sold else demand,
        closed=np.zeros((2, history + horizon), dtype=bool),
        horizon=horizon,
        sold=demand if sold else None,
    )


@pytest.mark.parametrize(("frequency", "year"), [("D", 364), ("W-MON", 52), ("MS", 12)])
def test_sales_are_those_of_the_same_period_a_year_before(frequency: str, year: int) -> None:
    given = panel(frequency, year + 5)
    rows = sales_last_year(given)
    assert rows[c.UNITS].tolist() == [5, 6, 7, 50, 60, 70]
    assert rows[c.DATE].tolist() == [*given.horizon_periods, *given.horizon_periods]
    if frequency == "D":
        assert (given.horizon_periods[0] - given.periods[5]).days == 364


def test_periods_without_a_year_of_history_are_left_out() -> None:
    rows = sales_last_year(panel("W-MON", 50, sold=False))
    assert rows[c.UNITS].tolist() == [0.0, 0.0]
    assert sales_last_year(panel("W-MON", 20)).empty
