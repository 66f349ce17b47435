"""Weeks and months that are labeled by their last day, and rows of weeks or months that are read as days."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from tests.demand.checks.conftest import AS_OF, demand, sales_of


def by_week(tables, weekday: int, ends: bool):
    """The daily lines summed to weeks that begin or end on a weekday; promotions of k0 and k1 triple their units."""
    starts = pd.date_range("2023-08-07", periods=15, freq="27D")
    promotions = pd.DataFrame(
        [(sku, start, start + pd.Timedelta(days=2)) for sku in ("k0", "k1") for start in starts],
        columns=[c.SKU, c.DATE_FROM, c.DATE_TO],
    )
    sales = tables["sales"]
    dates = [day for start in starts for day in pd.date_range(start, periods=3)]
    promoted = sales[c.SKU].isin(["k0", "k1"]) & sales[c.DATE].isin(dates)
    sales = sales.assign(**{c.UNITS: sales[c.UNITS] * np.where(promoted, 4, 1)})
    days = sales[c.DATE].dt.dayofweek
    shift = (weekday - days) % 7 if ends else -((days - weekday) % 7)
    labels = sales[c.DATE] + pd.to_timedelta(shift, unit="D")
    weeks = sales.assign(**{c.DATE: labels}).groupby([c.DATE, c.STORE_ID, c.SKU], as_index=False).sum()
    return {**sales_of(tables, weeks), "promotions": promotions}


def test_promotions_show_whether_dates_are_the_first_or_last_days_of_weeks(tables, build):
    week = {"frequency": "W-SUN", "horizon": 8}
    as_of = AS_OF
    first = build(by_week(tables, 6, ends=False), date(2024, 6, 30), **week)
    last = build(by_week(tables, 6, ends=True), as_of, **week)
    assert [alarm.name for alarm in first.alarms] == []
    assert [alarm.name for alarm in last.alarms] == ["period_labels"]
    set_in_settings = build(by_week(tables, 6, ends=True), as_of, **week, period_label="end")
    assert set_in_settings.alarms == []
    promoted = last.panel.known["promotion_share"].values
    np.testing.assert_array_equal(promoted, set_in_settings.panel.known["promotion_share"].values)
    row = last.panel.known["promotion_share"].row_of_series[0]
    assert demand(last, "s0", "k0")[promoted[row, : last.panel.history] > 0].mean() > demand(last, "s0", "k0").median()


@pytest.mark.parametrize(("rule", "told"), [("W-WED", "frequency: W-WED"), ("MS", "MS"), ("ME", "MS")])
def test_weekly_or_monthly_rows_that_are_read_as_days(tables, build, rule, told):
    grouped = tables["sales"].groupby([pd.Grouper(key=c.DATE, freq=rule), c.STORE_ID, c.SKU])
    alarms = build(sales_of(tables, grouped.sum().reset_index())).alarms
    assert told in next(alarm.message for alarm in alarms if alarm.name == "coarse_dates")
