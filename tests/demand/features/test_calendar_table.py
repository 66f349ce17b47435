"""What becomes of the columns of the calendar table."""

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.frequency import Frequency
from tasks.demand.axis import Axis
from tasks.demand.features.calendar_table import store_calendar

STORES = np.array(["s1", "s2"], dtype=object)
SERIES_STORE = np.array([0, 0, 1])


def axis(code="D", start="2024-01-01", periods=8, history=6):
    frequency = Frequency(code)
    return Axis(frequency, frequency.range(pd.Timestamp(start), periods), history)


def read(table, on=None):
    dated = table.assign(**{c.DATE: pd.to_datetime(table[c.DATE])})
    return store_calendar(dated, on or axis(), STORES, SERIES_STORE)


def days(count, start="2024-01-01"):
    return pd.date_range(start, periods=count)


def values(calendar, name):
    return calendar.features[name].values.tolist()


def test_no_calendar_means_open_and_nothing_special():
    calendar = store_calendar(None, axis(), STORES, SERIES_STORE)
    assert calendar.features == {}
    assert calendar.closed.shape == calendar.special.shape == (2, 8)
    assert not calendar.closed.any()


def test_text_makes_flags_and_distances():
    events = ["", None, "sale", "NOEVENTO", "match", "sale", "Normal", "match"]
    calendar = read(pd.DataFrame({c.DATE: days(8), c.EVENT: events}))
    assert values(calendar, "event") == [[0, 0, 1, 0, 1, 1, 0, 1]]
    assert values(calendar, "event=sale") == [[0, 0, 1, 0, 0, 1, 0, 0]]
    assert values(calendar, "event=match") == [[0, 0, 0, 0, 1, 0, 0, 1]]  # once in the history of six days, and due
    assert values(calendar, "event_next") == [[2, 1, 0, 1, 0, 0, 1, 0]]
    assert values(calendar, "event_last") == [[28, 28, 0, 1, 0, 0, 1, 0]]
    assert calendar.special.tolist() == [[False, False, True, False, True, True, False, True]] * 2


def test_distance_looks_behind_the_horizon():
    plan = pd.DataFrame({c.DATE: days(12), c.HOLIDAY: ["0"] * 10 + ["a", "0"]})
    assert values(read(plan), "holiday_next") == [[10, 9, 8, 7, 6, 5, 4, 3]]


@pytest.mark.parametrize("holiday", [[False, True] * 4, [0, 1] * 4, ["0", "1"] * 4, ["False", "True"] * 4])
def test_a_holiday_flag_reads_the_same_however_it_is_written(holiday):
    calendar = read(pd.DataFrame({c.DATE: days(8), c.HOLIDAY: holiday}))
    assert values(calendar, "holiday") == [[0, 1] * 4]
    assert sorted(calendar.features) == ["holiday", "holiday_last", "holiday_next"]


def test_numbers_stay_numbers_and_an_empty_one_is_not_stated():
    table = pd.DataFrame({c.DATE: days(8), "temperature": ["", "4.5", "6", "", "", "7", "8", "9"]})
    found = read(table)
    np.testing.assert_allclose(values(found, "temperature"), [[6.9, 4.5, 6, 6.9, 6.9, 7, 8, 9]], rtol=1e-6)
    assert values(found, "temperature_stated") == [[0, 1, 1, 0, 0, 1, 1, 1]]
    assert "temperature_stated" not in read(table.assign(temperature=range(8))).features


def test_rows_are_per_store_and_a_missing_row_is_an_ordinary_open_day():
    table = pd.DataFrame(
        {
            c.DATE: ["2024-01-01", "2024-01-08", "2024-01-01", "2024-01-02", "2024-01-08", "2024-01-08"],
            c.STORE_ID: ["s1", "s1", "s2", "s2", "s2", "elsewhere"],
            c.OPEN: [0, 1, 1, 0, 1, 0],
            c.PROMO: [1, 0, 0, 1, 1, 1],
        }
    )
    calendar = read(table)
    assert calendar.closed.tolist() == [[True] + [False] * 7, [False, True] + [False] * 6]
    assert values(calendar, "promo") == [[1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 1]]
    assert calendar.features["promo"].row_of_series.tolist() == [0, 0, 1]
    assert calendar.features["promo"].at(np.array([2]), np.array([1])).tolist() == [1.0]


def test_a_column_that_ends_before_the_horizon_is_left_out_with_a_warning():
    table = pd.DataFrame({c.DATE: days(8), c.PROMO: [0, 1] * 3 + [np.nan] * 2, c.OPEN: [0] + [1] * 7})
    calendar = read(table)
    assert list(calendar.features) == ["open"]
    assert "promo (last value 2024-01-06)" in calendar.warnings[0]
    short = read(table.iloc[:6])
    assert short.features == {}
    assert short.closed[0, 0]  # the past is still used
    assert "open (last value 2024-01-06)" in short.warnings[0]


def test_a_calendar_that_begins_after_the_sales_is_warned_of():
    table = pd.DataFrame({c.DATE: days(6, "2024-01-03"), c.PROMO: [0, 1] * 3})
    assert "begins at 2024-01-03, sales at 2024-01-01" in read(table).warnings[0]


def test_stores_without_rows_in_the_horizon_are_named():
    table = pd.DataFrame({c.DATE: [*days(8), *days(3)], c.STORE_ID: ["s1"] * 8 + ["s2"] * 3, c.PROMO: [0, 1] * 5 + [1]})
    assert "1 store has no row in the horizon (s2)" in read(table).warnings[0]


def test_a_daily_calendar_is_summed_up_by_week():
    weekly = axis("W-MON", periods=3, history=2)
    table = pd.DataFrame(
        {
            c.DATE: days(21),
            c.OPEN: [0] * 7 + [1] * 6 + [0] + [1] * 7,
            c.PROMO: [1, 1, 0, 0, 0, 0, 0] + [0] * 14,
            "degrees": [float(i) for i in range(21)],
            c.EVENT: [""] * 8 + ["match"] + [""] * 12,
        }
    )
    calendar = read(table, weekly)
    assert calendar.closed.tolist() == [[True, False, False]] * 2
    np.testing.assert_allclose(values(calendar, "open"), [[0, 6 / 7, 1]], rtol=1e-6)
    assert values(calendar, "promo") == [[1, 0, 0]]
    assert values(calendar, "promo_days") == [[2, 0, 0]]
    assert values(calendar, "degrees") == [[3, 10, 17]]
    assert values(calendar, "event") == [[0, 1, 0]]


def test_features_are_finite_whatever_is_missing():
    table = pd.DataFrame({c.DATE: days(8), c.STORE_ID: ["s2"] * 8, "degrees": [np.nan, 2.0] * 4, "empty": [np.nan] * 8})
    calendar = read(table)
    assert all(np.isfinite(feature.values).all() for feature in calendar.features.values())
    assert "empty" not in calendar.features


def test_values_get_a_flag_where_the_history_can_tell_what_they_mean():
    # Six days of history, two to forecast, three after them.
    events = [
        "often",
        "often",
        "once and due",
        "once",
        "once and later",
        "",
        "once and due",
        "new",
        *["once and later"] * 3,
    ]
    found = read(pd.DataFrame({c.DATE: days(11), c.EVENT: events})).features
    assert {name for name in found if "=" in name} == {"event=often", "event=once and due"}


def test_a_column_must_reach_the_last_period():
    table = pd.DataFrame({c.DATE: days(8), c.PROMO: [0, 1] * 3 + [0, np.nan]})
    assert read(table).features == {}
    assert list(read(table.assign(**{c.PROMO: [0, 1] * 4})).features) == ["promo"]
