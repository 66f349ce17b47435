"""The forecast by calendar week, against last year and against the previous forecast."""

from __future__ import annotations

import math
from datetime import date

import pandas as pd
import pytest

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.outputs import EarlierWeek
from tasks.report.calendar_weeks import ForecastComparison
from tasks.report.language import ENGLISH, Language

# Thursday 2 January to Tuesday 7 January 2025: two calendar weeks.
DATES = pd.date_range("2025-01-02", periods=6)


def rows(column: str, values: list[float], store: str = "1", dates: pd.DatetimeIndex = DATES) -> pd.DataFrame:
    return pd.DataFrame({c.STORE_ID: store, c.CATEGORY: "a", c.DATE: dates, column: values})


def test_weeks_begin_on_monday_and_changes_compare_known_periods() -> None:
    live = rows(c.MEAN, [1.0, 1.0, 1.0, 1.0, 6.0, 6.0])
    last_year = rows(c.UNITS, [2.0, 2.0, float("nan"), 4.0, 10.0, 5.0])
    earlier = EarlierWeek(date(2024, 12, 26), None, rows(c.MEAN, [2.0] * 4, dates=DATES[:4]))
    comparison = ForecastComparison(live.sample(frac=1, random_state=1), last_year, earlier, Frequency("D"))
    table = comparison.weeks_table(ENGLISH)
    assert [tuple(row) for row in table.rows] == [
        (
            "2025-W01",
            "2 Jan 2025 – 5 Jan 2025 (4 days)",
            "4",
            "8",
            "-62.5 % (forecast in the periods with both figures: 3 units)",
            "8",
            "-50.0 %",
        ),
        ("2025-W02", "6 Jan 2025 – 7 Jan 2025 (2 days)", "12", "15", "-20.0 %", "–", "–"),
        (
            *("Total", "", "16", "23", "-34.8 % (forecast in the periods with both figures: 15 units)"),
            *("8", "-50.0 % (forecast in the periods with both figures: 4 units)"),
        ),
    ]
    assert table.headers[5] == "#Forecast of 26 Dec 2024, units"
    assert comparison.change_on_last_year == pytest.approx(15 / 23 - 1)
    assert comparison.weeks_table(Language("es")).rows[0][0] == "2025-S01"


def test_groups_are_sorted_by_their_forecast() -> None:
    live = pd.concat([rows(c.MEAN, [1.0] * 6, "1"), rows(c.MEAN, [2.0] * 6, "2")])
    table = ForecastComparison(live, rows(c.UNITS, [3.0] * 6, "2"), None, Frequency("D")).groups_table(
        c.STORE_ID, ENGLISH
    )
    assert [tuple(row) for row in table.rows] == [
        ("2", "12", "18", "-33.3 %", "–", "–"),
        ("1", "6", "–", "–", "–", "–"),
    ]


@pytest.mark.parametrize("last_year", [None, rows(c.UNITS, [0.0] * 6), rows(c.UNITS, [1.0] * 6).iloc[:0]])
def test_without_sales_last_year_there_is_no_change(last_year: pd.DataFrame | None) -> None:
    comparison = ForecastComparison(rows(c.MEAN, [1.0] * 6), last_year, None, Frequency("D"))
    assert math.isnan(comparison.change_on_last_year)
    assert {row[4] for row in comparison.weeks_table(ENGLISH).rows} == {"–"}
    assert comparison.weeks_table(ENGLISH).headers[5] == "#Previous forecast"


def test_weeks_and_months_have_one_row_per_period() -> None:
    weeks = pd.date_range("2025-01-06", periods=2, freq="7D")
    by_week = ForecastComparison(rows(c.MEAN, [1.0, 2.0], dates=weeks), None, None, Frequency("W-MON"))
    assert [row[:3] for row in by_week.weeks_table(ENGLISH).rows[:2]] == [
        ("2025-W02", "6 Jan 2025", "1"),
        ("2025-W03", "13 Jan 2025", "2"),
    ]
    months = pd.date_range("2025-01-01", periods=2, freq="MS")
    by_month = ForecastComparison(rows(c.MEAN, [1.0, 2.0], dates=months), None, None, Frequency("MS"))
    assert [row[0] for row in by_month.weeks_table(ENGLISH).rows] == ["Jan 2025", "Feb 2025", "Total"]


def test_empty_forecast_has_no_rows() -> None:
    comparison = ForecastComparison(rows(c.MEAN, [1.0] * 6).iloc[:0], None, None, Frequency("D"))
    assert comparison.weeks_table(ENGLISH).rows == []
