"""Which far-out values are faults and which are events."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from schemas import columns as c
from schemas.settings import Settings
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.panel import build_panel

WEEKS = pd.date_range("2022-01-03", periods=110, freq="W-MON")
AS_OF = (WEEKS[-1] + pd.Timedelta(days=7)).date()
SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def weekly(values_of):
    """Sales rows from {(store, sku): values}."""
    return [(week, *pair, v) for pair, values in values_of.items() for week, v in zip(WEEKS, values, strict=True)]


def plain(seed, level=10):
    return np.random.default_rng(seed).poisson(level, len(WEEKS)).astype(float)


def with_peak(seed, at, value):
    values = plain(seed)
    values[at] = value
    return values


@pytest.fixture
def faults(make_tables, make_settings):
    """(store, sku, week) of the outliers found."""

    def find(values_of, calendar=None, **cleaning):
        tables = make_tables(weekly(values_of), **({} if calendar is None else {"calendar": calendar}))
        settings = make_settings(frequency="W-MON", horizon=4, category=[c.SKU], cleaning=cleaning)
        build = build_panel(prepare(tables, settings, AS_OF))
        rows = build.cleaning_log.loc[build.cleaning_log[c.TREATMENT] == "outlier", [c.STORE_ID, c.SKU, c.DATE]]
        assert int(np.isnan(build.panel.demand).sum()) == len(rows)
        return [(store, sku, WEEKS.get_loc(day)) for store, sku, day in rows.to_numpy()]

    return find


def test_one_far_out_value_is_found(faults):
    assert faults({("s1", "a1"): with_peak(1, 40, 1e6), ("s1", "b1"): plain(2)}) == [("s1", "a1", 40)]


def test_the_rule_can_be_switched_off(faults):
    assert faults({("s1", "a1"): with_peak(1, 40, 1e6)}, drop_outliers=False) == []


def test_the_limit_is_a_multiple_of_the_usual_peak_of_the_other_periods(faults):
    # Of 109 other weeks at 10 units the 99th percentile is 10: 200 is not above 20 x 10, 201 is.
    flat = np.full(len(WEEKS), 10.0)
    at_limit, above = flat.copy(), flat.copy()
    at_limit[50], above[50] = 200, 201
    assert faults({("s1", "a1"): at_limit}) == []
    assert faults({("s1", "a1"): above}) == [("s1", "a1", 50)]
    assert faults({("s1", "a1"): above}, outlier_factor=25) == []


def test_a_second_fault_does_not_hide_the_first(faults):
    values = with_peak(1, 20, 1e6)
    values[60] = 9e5  # not about a year later: see below
    assert faults({("s1", "a1"): values}) == [("s1", "a1", 20), ("s1", "a1", 60)]


def test_a_peak_that_recurs_after_a_year_stays(faults):
    values = with_peak(1, 30, 500.0)
    values[83] = 300.0  # 53 weeks later, more than a quarter of the peak
    assert faults({("s1", "a1"): values}) == []
    values[83] = 100.0
    assert faults({("s1", "a1"): values}) == [("s1", "a1", 30)]


def test_a_peak_that_many_series_share_stays_and_a_fault_on_that_day_does_not(faults):
    pairs = [(store, sku) for store in ("s1", "s2") for sku in ("a1", "a2", "b1")]
    values = {pair: with_peak(i, 47, 400.0 + i) for i, pair in enumerate(pairs)}
    assert faults(values) == []
    values["s1", "a1"][47] = 1e6
    assert faults(values) == [("s1", "a1", 47)]


def test_event_weeks_of_the_calendar_are_not_judged(faults):
    calendar = pd.DataFrame({c.DATE: WEEKS, c.EVENT: np.where(np.arange(len(WEEKS)) == 40, "opening", "")})
    assert faults({("s1", "a1"): with_peak(1, 40, 1e6)}, calendar) == []
    assert faults({("s1", "a1"): with_peak(1, 41, 1e6)}, calendar) == [("s1", "a1", 41)]


def test_sparse_series_are_measured_by_what_they_sell(faults):
    values = np.zeros(len(WEEKS))
    values[::10] = 3.0
    values[35] = 40.0
    assert faults({("s1", "a1"): values, ("s1", "b1"): plain(2)}) == []


def test_short_series_are_measured_by_their_category(faults):
    young = np.zeros(len(WEEKS))
    young[-4:] = [9.0, 1e6, 8.0, 9.0]
    assert faults({("s1", "a1"): young, ("s1", "b1"): plain(3)}) == []
    assert faults({("s1", "a1"): young, ("s2", "a1"): plain(2)}) == [("s1", "a1", 107)]


def test_one_faulty_sku_leaves_its_category_known(make_tables, make_settings, row_of):
    tables = make_tables(weekly({("s1", "a1"): with_peak(1, 40, 1e6), ("s1", "a2"): plain(2)}))
    build = build_panel(prepare(tables, make_settings(frequency="W-MON", horizon=4), AS_OF))
    assert row_of(build.panel, "s1", "A")[40] == plain(2)[40]


@pytest.mark.shared_data
def test_the_planted_outlier_of_the_sports_data_is_the_only_one_found():
    folder = SHARED / "sports_weekly"
    if not folder.exists():
        pytest.skip(f"needs the shared data set {folder.name}")
    keys = {c.STORE_ID: str, c.SKU: str}
    tables = {
        "sales": pd.read_parquet(folder / "sales.parquet").astype(keys),
        "products": pd.read_csv(folder / "products.csv", dtype=keys),
        "stores": pd.read_csv(folder / "stores.csv", dtype=keys),
    }
    settings = Settings(**yaml.safe_load((folder / "settings.yaml").read_text(encoding="utf-8")))
    found = build_panel(prepare(tables, settings, date(2017, 4, 8))).cleaning_log
    assert found.loc[found[c.TREATMENT] == "outlier", c.UNITS].tolist() == [1_000_000.0]


def test_the_usual_peak_by_hand(faults):
    # Nine selling weeks, 1 to 8 and a peak: of the eight others in order, place floor(0.99 x 7) + 1 = 7 holds 7.
    values = np.zeros(len(WEEKS))
    values[10:82:9] = [3, 1, 8, 2, 7, 5, 4, 6]
    values[100] = 140
    assert faults({("s1", "a1"): values, ("s1", "b1"): plain(2)}) == []
    values[100] = 141
    assert faults({("s1", "a1"): values, ("s1", "b1"): plain(2)}) == [("s1", "a1", 100)]
