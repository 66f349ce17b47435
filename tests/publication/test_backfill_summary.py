"""Accuracy of published weeks on later sales, and the summary of a backfill."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import BackfillError
from schemas.records import WeekOutcome
from tasks.publication.backfill_summary import raise_for_failed_weeks, weeks_as_text
from tasks.publication.later_sales import wape_since


def test_wape_uses_known_demand_only() -> None:
    days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"])
    forecast = pd.DataFrame({c.STORE_ID: "1", c.CATEGORY: "x", c.DATE: days, c.MEDIAN: [4.0, 9.0, 5.0]})
    sales = pd.DataFrame({c.STORE_ID: "1", c.CATEGORY: "x", c.DATE: days[:2], c.UNITS: [6.0, float("nan")]})
    assert wape_since(forecast, sales) == (pytest.approx(2 / 6), 1)
    assert wape_since(forecast, sales.iloc[1:]) == (None, 0)


def test_exit_code_is_that_of_the_failed_weeks_if_they_have_the_same() -> None:
    good = WeekOutcome(as_of=date(2024, 1, 1), result="published", wape=0.25, cost=10.0)
    held = WeekOutcome(as_of=date(2024, 1, 8), result="failed", reason="held back", exit_code=3)
    bad = WeekOutcome(as_of=date(2024, 1, 15), result="failed", reason="bad rows", exit_code=2)
    raise_for_failed_weeks([good])
    with pytest.raises(BackfillError, match="week 2024-01-08: held back") as held_error:
        raise_for_failed_weeks([good, held])
    with pytest.raises(BackfillError, match="2 of 3 weeks") as mixed_error:
        raise_for_failed_weeks([good, held, bad])
    assert (held_error.value.exit_code, mixed_error.value.exit_code) == (3, 1)
    assert "25.0 %" in weeks_as_text([good])[1]
