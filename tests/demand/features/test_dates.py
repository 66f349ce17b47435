"""Features of the date and public holidays."""

import numpy as np
import pandas as pd
import pytest

from schemas.frequency import Frequency
from schemas.settings import SpecialPeriod
from tasks.demand.axis import Axis
from tasks.demand.features.dates import public_holidays, special_periods, time_features


def axis(code, start, periods, history):
    frequency = Frequency(code)
    return Axis(frequency, frequency.range(pd.Timestamp(start), periods), history)


def row(features, name):
    return features[name].values[0].tolist()


def test_daily_features_by_hand():
    found = time_features(axis("D", "2023-12-30", 5, 3), 2)
    assert row(found, "time_weekday") == [5, 6, 0, 1, 2]
    assert row(found, "time_day_of_month") == [30, 31, 1, 2, 3]
    assert row(found, "time_month") == [12, 12, 1, 1, 1]
    # 1 January 2023 is a Sunday: week 1 has that day alone, 31 December begins no week.
    assert row(found, "time_week_of_year") == [53, 53, 1, 1, 1]
    np.testing.assert_allclose(row(found, "time_trend"), np.arange(5) / 364, rtol=1e-6)
    assert found["time_trend"].row_of_series.tolist() == [0, 0]


def test_year_waves_close_over_the_year():
    found = time_features(axis("D", "2023-01-01", 366, 300), 1)
    angle = 2 * np.pi * 0.5 / 365
    np.testing.assert_allclose(row(found, "time_year_sin1")[0], np.sin(angle), rtol=1e-5)
    np.testing.assert_allclose(row(found, "time_year_cos3")[0], np.cos(3 * angle), rtol=1e-5)
    assert abs(row(found, "time_year_sin1")[365] - row(found, "time_year_sin1")[0]) < 1e-3


def test_months_tell_their_length():
    found = time_features(axis("MS", "2024-01-01", 3, 2), 1)
    assert row(found, "time_days") == [31, 29, 31]
    assert "time_weekday" not in found


def test_public_holidays_by_day():
    found = public_holidays(axis("D", "2022-12-30", 800, 760), "CL", 3)
    new_year = [2, 367]
    flag = np.array(row(found, "public_holiday"))
    assert flag[new_year].tolist() == [1, 1]
    assert row(found, "public_holiday_next")[:3] == [2, 1, 0]
    assert row(found, "public_holiday_last")[2:4] == [0, 0]  # 2 January 2023 was a holiday by law
    names = {name.split("=")[1] for name in found if "=" in name}
    assert "Navidad" in names or "Christmas Day" in names
    assert all(set(np.unique(f.values)) <= {0.0, 1.0} for name, f in found.items() if "=" in name)


def test_public_holidays_by_week_are_counted():
    found = public_holidays(axis("W-MON", "2023-12-25", 3, 2), "DE", 1)
    assert row(found, "public_holiday") == [1, 1, 0]
    assert row(found, "public_holiday_days") == [2, 1, 0]
    assert row(found, "public_holiday_last") == [0, 0, 1]


@pytest.mark.parametrize(("label", "apart"), [("W-FRI", [55, 50]), ("D", [385, 350])])
def test_a_movable_observance_is_found_where_it_lies_each_year_and_is_no_public_holiday(label, apart):
    # Easter Sunday: 4 April 2010, 24 April 2011, 8 April 2012.
    periods = 125 if label == "W-FRI" else 870
    found = public_holidays(axis(label, "2010-02-05", periods, periods - 30), "US", 1)
    easter = np.flatnonzero(row(found, "public_holiday=Easter Sunday"))
    assert np.diff(easter).tolist() == apart
    assert np.array(row(found, "public_holiday"))[easter].tolist() == [0, 0, 0]


def test_no_country_no_holidays():
    assert public_holidays(axis("D", "2024-01-01", 5, 3), None, 1) == {}


def test_an_observed_holiday_counts_as_the_holiday():
    # 25 December 2022 is a Sunday, observed on the Monday.
    found = public_holidays(axis("D", "2021-12-20", 750, 745), "US", 1)
    flag = np.array(row(found, "public_holiday=Christmas Day"))
    labels = pd.date_range("2021-12-20", periods=750)
    assert {"2022-12-25", "2022-12-26"} <= set(labels[flag == 1].strftime("%Y-%m-%d"))
    assert not any("(" in name for name in found)


def test_a_holiday_seen_once_is_a_feature_of_its_own_where_it_is_due_in_the_horizon():
    # From 20 December 2013 on; Christmas is due on days 371 and 372, counted from 1.
    def named(history: int) -> set[str]:
        found = public_holidays(axis("D", "2013-12-20", history + 10, history), "DE", 1)
        return {name.partition("=")[2] for name in found if "=" in name}

    assert "Christmas Day" in named(365)
    assert "Christmas Day" not in named(355)  # the horizon ends on 19 December
    assert "Labor Day" not in named(128)  # 1 May is due, but has never been seen


def test_the_special_period_of_the_deepar_study():
    v1 = {"V1": [SpecialPeriod(date_from="2023-09-10", date_to="2023-11-02")]}
    monthly = special_periods(axis("MS", "2023-08-01", 5, 4), v1, 1)
    np.testing.assert_allclose(row(monthly, "special_V1"), [0, 21 / 30, 1, 2 / 30, 0], rtol=1e-6)
    daily = special_periods(axis("D", "2023-09-08", 60, 40), v1, 1)
    assert sum(row(daily, "special_V1")) == 54
    assert row(daily, "special_V1")[:3] == [0, 0, 1]
    weekly = special_periods(axis("W-MON", "2023-08-28", 4, 3), v1, 1)
    np.testing.assert_allclose(row(weekly, "special_V1"), [0, 1 / 7, 1, 1], rtol=1e-6)


def test_special_periods_outside_the_axis_are_no_feature():
    v1 = {"V1": [SpecialPeriod(date_from="2020-01-01", date_to="2020-01-05")]}
    assert special_periods(axis("D", "2023-09-08", 60, 40), v1, 1) == {}
