"""Period labels, checked against a calendar by hand."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from schemas.frequency import FREQUENCIES, Frequency


@pytest.mark.parametrize(
    ("code", "day", "label"),
    [
        ("D", "2024-02-29", "2024-02-29"),
        ("W-MON", "2024-01-01", "2024-01-01"),
        ("W-MON", "2024-01-07", "2024-01-01"),
        ("W-MON", "2024-01-08", "2024-01-08"),
        ("W-FRI", "2024-01-04", "2023-12-29"),
        ("W-SUN", "2024-01-06", "2023-12-31"),
        ("MS", "2024-02-29", "2024-02-01"),
    ],
)
def test_a_day_belongs_to_the_period_that_starts_on_or_before_it(code: str, day: str, label: str) -> None:
    assert Frequency(code).label(pd.Series(pd.to_datetime([day])))[0] == pd.Timestamp(label)


@pytest.mark.parametrize("code", FREQUENCIES)
def test_labels_fit_their_frequency_and_label_themselves(code: str) -> None:
    frequency = Frequency(code)
    labels = pd.Series(frequency.range(date(2024, 1, 10), 30))
    assert frequency.fits(labels).all()
    assert frequency.label(labels).equals(labels)
    assert frequency.fits(labels + pd.Timedelta(days=1)).sum() in (0, 30 if code == "D" else 0)
    assert not frequency.fits(labels + pd.Timedelta(hours=1)).any()


@pytest.mark.parametrize(
    ("code", "as_of", "first"),
    [
        ("D", date(2025, 2, 21), "2025-02-21"),
        ("W-MON", date(2024, 1, 1), "2024-01-01"),
        ("W-MON", date(2024, 1, 2), "2024-01-08"),
        ("MS", date(2024, 1, 2), "2024-02-01"),
    ],
)
def test_the_first_forecast_period_is_the_first_label_from_as_of_on(code: str, as_of: date, first: str) -> None:
    frequency = Frequency(code)
    assert frequency.first_label_from(as_of) == pd.Timestamp(first)
    assert frequency.is_boundary(as_of) == (str(as_of) == first)


def test_periods_are_counted_over_month_ends_and_leap_days() -> None:
    assert Frequency("MS").shift(pd.Timestamp(2024, 1, 1), -1) == pd.Timestamp(2023, 12, 1)
    assert Frequency("D").shift(pd.Timestamp(2024, 2, 28), 2) == pd.Timestamp(2024, 3, 1)
    assert Frequency("W-SAT").shift(pd.Timestamp(2024, 2, 24), 1) == pd.Timestamp(2024, 3, 2)
    between = Frequency("W-MON").between(pd.Timestamp(2024, 1, 1), pd.Timestamp(2024, 1, 29))
    assert len(between) == 5


@pytest.mark.parametrize(
    ("code", "season", "week", "horizon"), [("D", 7, 7, 28), ("W-TUE", 52, 1, 8), ("MS", 12, 1, 6)]
)
def test_seasons_weeks_and_horizons_are_those_of_the_contract(code: str, season: int, week: int, horizon: int) -> None:
    frequency = Frequency(code)
    assert (frequency.season, frequency.periods_per_week, frequency.default_horizon) == (season, week, horizon)
