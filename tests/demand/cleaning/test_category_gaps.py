"""A category that no store sells for some time: closed if it sold in the same season of another year."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tasks.demand.cleaning.prepared import prepare
from tasks.demand.panel import CATEGORY_GAP, build_panel

WEEKS = pd.date_range("2022-01-03", periods=120, freq="W-MON")


@pytest.mark.parametrize(
    ("empty", "unknown"),
    [
        (set(range(80, 110)), 30),  # closed for 30 weeks; sold in the year before
        (set(range(40, 66)), 26),  # sold in the year after
        (set(range(30, 90)), 60),  # more than a year: no season
        (set(range(30, 50)) | set(range(82, 102)), 0),  # out of season in both years
        (set(range(90, 120)), 0),  # not sold since: it may have ended
        (set(range(80, 83)), 0),  # too short
    ],
)
@pytest.mark.parametrize("stores", [("s1",), ("s1", "s2")])
def test_a_closed_category_is_unknown_and_a_season_is_not(make_tables, make_settings, stores, empty, unknown):
    sales = [
        (str(week.date()), store, sku, 9.0)
        for at, week in enumerate(WEEKS)
        for store in stores
        for sku in ("a1", "a2", "b1")
        if sku == "b1" or at not in empty
    ]
    prepared = prepare(make_tables(sales), make_settings(frequency="W-MON", horizon=8), date(2024, 4, 22))
    built = build_panel(prepared)
    demand = built.panel.demand[built.panel.series["category"].eq("A")]
    assert np.isnan(demand).sum(axis=1).tolist() == [unknown] * len(stores)
    assert built.treatment_counts[CATEGORY_GAP] == 2 * unknown * len(stores)
    named = [alarm for alarm in built.alarms if alarm.name == "category_closed"]
    assert bool(named) == bool(unknown)
    if named:
        assert "1 category has no sales in any store in some periods" in named[0].message
        assert "(A), and was sold in the same season of another year" in named[0].message
