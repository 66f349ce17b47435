"""restock check on small tables: figures, gaps, stock against sales, verdict."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import DataContractError
from schemas.settings import Settings
from tasks.demand.overview.check import check_tables
from tasks.demand.overview.gaps import Gap, gaps_of
from tasks.demand.overview.text import check_lines

FIRST = date(2024, 1, 1)
AS_OF = date(2024, 6, 1)


def sales() -> pd.DataFrame:
    """Two stores, two SKUs, closed on Sundays; store 02 opens in March and has a gap of three days in May."""
    rows = []
    for offset in range((AS_OF - FIRST).days):
        day = FIRST + timedelta(days=offset)
        for store in ("01", "02"):
            late = store == "02" and (day < date(2024, 3, 4) or date(2024, 5, 6) <= day <= date(2024, 5, 8))
            if day.weekday() != 6 and day != date(2024, 2, 14) and not late:
                rows += [(day, store, "A", 2), (day, store, "B", -1 if day.day == 1 else 1)]
    return pd.DataFrame(rows, columns=[c.DATE, c.STORE_ID, c.SKU, c.UNITS])


def check(folder: Path, as_of: date = AS_OF, settings: dict[str, Any] | None = None, **tables: pd.DataFrame) -> tuple:
    frames = {
        "sales": sales(),
        "products": pd.DataFrame({c.SKU: ["A", "B", "C"], c.BRAND: ["x", "x", "y"]}),
        "stores": pd.DataFrame({c.STORE_ID: ["01", "02", "03"]}),
        **tables,
    }
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    given = {
        "name": "small",
        "sources": {name: {"path": str(folder / f"{name}.csv")} for name in frames},
        "category": [c.BRAND],
        **(settings or {}),
    }
    loaded = Settings.model_validate(given)
    checked = check_tables(loaded, as_of)
    return checked, check_lines(checked, loaded, as_of, "")


def test_figures_on_sales(tmp_path: Path) -> None:
    checked, lines = check(tmp_path)
    found = checked.sales
    assert (found.first, found.last) == (FIRST, date(2024, 5, 31))
    assert (found.stores, found.skus, found.categories) == (2, 2, 1)
    assert list(found.months) == [f"2024-0{month}" for month in range(1, 6)]
    assert sum(found.months.values()) == found.units == sales()[c.UNITS].clip(lower=0).sum()
    assert found.never_open == [6]
    assert found.network_gaps == [Gap(date(2024, 2, 14), date(2024, 2, 14), 1)]
    assert found.store_gaps == {"02": (3, Gap(date(2024, 5, 6), date(2024, 5, 8), 3))}
    assert found.opened == {"02": date(2024, 3, 4)}
    assert found.closed == {}
    assert found.silent_stores == ["03"]
    assert found.unsold == ["C"]
    text = "\n".join(lines)
    assert "no store sells on Sundays" in text
    assert "whole network: 1 days: 2024-02-14" in text
    assert "store 02: 3 days; the longest gap is 2024-05-06 to 2024-05-08" in text
    assert "1 of 3 SKUs (33%) have no sales: C" in text
    assert max(map(len, lines)) <= 80


def test_bars_are_in_proportion(tmp_path: Path) -> None:
    checked, lines = check(tmp_path)
    bars = {line.split()[0]: line.count("#") for line in lines if "#" in line}
    largest = max(checked.sales.months.values())
    assert bars == {month: round(50 * units / largest) for month, units in checked.sales.months.items()}


def test_days_closed_by_the_calendar_are_not_missing(tmp_path: Path) -> None:
    calendar = pd.DataFrame({c.DATE: ["2024-02-14"], c.OPEN: [0]})
    checked, _ = check(tmp_path, calendar=calendar)
    assert checked.sales.network_gaps == []


def test_a_store_that_stopped_selling(tmp_path: Path) -> None:
    frame = sales()
    frame = frame[(frame[c.STORE_ID] != "02") | (frame[c.DATE] < date(2024, 4, 16))]
    checked, lines = check(tmp_path, sales=frame)
    assert checked.sales.closed == {"02": date(2024, 4, 15)}
    assert "  1 store, no sale since: 02 (2024-04-15)" in lines


def test_lines_after_the_run_date_are_counted_and_left_out(tmp_path: Path) -> None:
    checked, lines = check(tmp_path, as_of=date(2024, 5, 31))
    assert checked.sales.last == date(2024, 5, 30)
    assert checked.sales.later == 4
    assert any("4 accepted lines on or after the run date are not used" in line for line in lines)


def test_stock_against_sales(tmp_path: Path) -> None:
    stock = pd.DataFrame(
        {
            c.STORE_ID: ["01", "01", "01", "02"],
            c.SKU: ["A", "B", "C", "A"],
            c.ON_HAND: [10, 0, 7, 5],
            c.DATE: ["2024-05-20"] * 4,
        }
    )
    checked, lines = check(tmp_path, stock=stock, dc_stock=pd.DataFrame({c.SKU: ["A"], c.AVAILABLE: [30]}))
    found = checked.stock
    assert (found.counted, found.units, found.rows) == (date(2024, 5, 20), 22.0, 4)
    assert found.sold_without_row == (1, ["02/B"])
    assert found.stock_without_sale == (1, 7.0)
    assert (found.empty, found.sold_pairs, found.dc_units) == (1, 4, 30.0)
    text = " ".join(line.strip() for line in lines)
    assert "counted on 2024-05-20, 12 days before the run date; sold since then: not deducted" in text
    assert "1 have no stock row (taken as 0): 02/B" in text


def test_too_many_rejected_rows_are_described_before_the_error(tmp_path: Path) -> None:
    frame = sales().astype(object)
    frame.loc[:40, c.UNITS] = "x"
    checked, lines = check(tmp_path, sales=frame)
    assert isinstance(checked.error, DataContractError)
    assert "max_quarantined_share" in str(checked.error)
    assert checked.sales is not None
    assert any("41 rejected: units: not a number" in line for line in lines)
    assert "Result: a run would stop. Correct what the error below names, and check again." in lines
    assert any(alarm.name == "rejected_rows" for alarm in checked.alarms)


def test_no_sales_before_the_run_date(tmp_path: Path) -> None:
    checked, lines = check(tmp_path, as_of=FIRST)
    assert checked.sales is None
    assert "the accepted sales are from 2024-01-01 to 2024-05-31" in str(checked.error)
    assert any(line.startswith("Result: a run would stop") for line in lines)


def test_old_sales_would_hold_the_file_back(tmp_path: Path) -> None:
    _, lines = check(tmp_path, as_of=date(2024, 9, 1))
    shown = " ".join(line.strip() for line in lines)
    assert "Result: a run would compute everything, and hold the file back:" in shown
    assert "the latest sales are 93 days old; quality.max_age_days is 10" in shown
    assert "use --as-of 2024-06-01, the day after the last sales" in shown


def test_weekly_and_monthly_sales(tmp_path: Path) -> None:
    weeks = pd.date_range("2024-01-01", "2024-05-27", freq="W-MON").delete(7)
    frame = pd.DataFrame({c.DATE: weeks, c.STORE_ID: "01", c.SKU: "A", c.UNITS: 3})
    checked, lines = check(tmp_path, as_of=date(2024, 6, 3), sales=frame, settings={"frequency": "W-MON"})
    assert checked.sales.network_gaps == [Gap(date(2024, 2, 19), date(2024, 2, 19), 1)]
    assert "Missing weeks" in lines
    months = pd.date_range("2023-01-01", "2024-05-01", freq="MS")
    frame = pd.DataFrame({c.DATE: months, c.STORE_ID: "01", c.SKU: "A", c.UNITS: 3})
    checked, lines = check(tmp_path, sales=frame, settings={"frequency": "MS"})
    assert checked.sales.network_gaps == []
    assert "Missing months" in lines


def test_nothing_is_written(tmp_path: Path) -> None:
    check(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["products.csv", "sales.csv", "stores.csv"]


@pytest.mark.parametrize(("as_of", "next_step"), [(AS_OF, "Next:   restock weekly --dry-run")])
def test_the_last_line_is_the_next_command(tmp_path: Path, as_of: date, next_step: str) -> None:
    _, lines = check(tmp_path, as_of=as_of)
    assert lines[-1] == next_step


def test_a_period_that_is_not_expected_does_not_end_a_gap() -> None:
    labels = pd.date_range("2024-01-05", periods=4)
    expected = np.array([True, True, False, True])
    missing = np.array([False, True, False, True])
    assert gaps_of(missing, expected, labels) == [Gap(date(2024, 1, 6), date(2024, 1, 8), 2)]
