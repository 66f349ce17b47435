"""The published tasks: cutoffs, figures by hand, the seasonal naive of the library, and what the check says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy.published import (
    LEVELS,
    SEASONAL_NAIVE,
    TASKS,
    Series,
    Task,
    check,
    figures,
    naive_figures,
    seasonal_naive,
    window_starts,
)

pytestmark = pytest.mark.slow

SMALL = Task("x", (), "2024-02-11", 7, 2, 7, 2, (), {SEASONAL_NAIVE: (0.0, 0.0)})


def sales(days: int = 42, first: str = "2024-01-01") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dates = pd.date_range(first, periods=days)
    rows = [
        pd.DataFrame({"date": dates, "store_id": store, "sku": "a", "units": rng.integers(1, 20, days).astype(float)})
        for store in ("1", "2")
    ]
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize(
    ("name", "first", "until", "before", "first_day"),
    [
        ("rossmann_1D", "2013-01-01", "2014-12-31", [462, 510, 558, 606, 654], "2014-04-08"),
        ("rossmann_1W", "2013-01-07", "2014-12-22", [29, 42, 55, 68, 81], "2013-07-29"),
        ("walmart", "2010-02-05", "2012-10-26", [104], "2012-02-03"),
    ],
)
def test_windows_begin_where_the_published_ones_do(
    name: str, first: str, until: str, before: list[int], first_day: str
) -> None:
    task = TASKS[name]
    labels = pd.date_range(first, until, freq="D" if task.season == 7 else "7D")
    starts = window_starts(task, labels)
    assert list(starts.values()) == before
    assert labels[starts[1]] == pd.Timestamp(first_day)
    whole = pd.date_range(first, task.end, freq=labels[1] - labels[0])
    assert len(window_starts(task, whole)) == task.windows
    assert whole[window_starts(task, whole)[task.windows] + task.horizon - 1] == pd.Timestamp(task.end)


def test_figures_by_hand() -> None:
    past = np.array([[1.0, 3.0, np.nan, 5.0, 9.0], [np.nan, np.nan, np.nan, np.nan, 2.0]])
    actual = np.array([[10.0, np.nan], [4.0, 0.0]])
    point = np.array([[8.0, 1.0], [5.0, 1.0]])
    quantiles = np.repeat(point[..., None], 9, axis=2)
    wape, sql = figures(past, actual, point, quantiles, 1)
    assert wape == pytest.approx((2 + 1 + 1) / 14)
    # Twice the pinball loss at nine equal quantiles is the absolute error; differences 2 and 4: scale 3; none: 1.
    assert sql == pytest.approx((2 / 3 + 1 + 1) / 3)


def test_the_seasonal_naive_is_that_of_the_library() -> None:
    from statsforecast.models import SeasonalNaive

    history = np.random.default_rng(1).gamma(2.0, 5.0, (2, 33))
    point, quantiles = seasonal_naive(np.c_[np.full((2, 3), np.nan), history], 16, 7)
    for row, values in enumerate(history):
        found = SeasonalNaive(season_length=7).forecast(y=values, h=16, level=[40, 80])
        np.testing.assert_allclose(point[row], found["mean"])
        for level, name in ((0.1, "lo-80"), (0.3, "lo-40"), (0.7, "hi-40"), (0.9, "hi-80")):
            np.testing.assert_allclose(quantiles[row, :, LEVELS.index(level)], found[name])


def test_weeks_are_whole_and_a_hole_is_read_in_two_ways() -> None:
    task = replace(SMALL, season=1, horizon=1, end="2024-02-05")
    table = sales(43, "2023-12-31")
    table = table[~((table["store_id"] == "1") & table["date"].between("2024-01-10", "2024-01-18"))]
    unknown, zero = Series.of(task, table), Series.of(task, table, "zero")
    assert list(unknown.labels) == list(pd.date_range("2024-01-01", "2024-02-05", freq="7D"))
    assert np.isnan(unknown.values[0]).tolist() == [False, True, True, False, False, False]
    known = table[(table["store_id"] == "1") & table["date"].between("2024-01-08", "2024-01-14")]["units"].sum()
    assert zero.values[0, 1] == known
    np.testing.assert_array_equal(zero.values[1], unknown.values[1])


def test_the_check_says_what_it_could_compare() -> None:
    table = sales()
    found = np.mean(list(naive_figures(SMALL, Series.of(SMALL, table)).values()), axis=0)
    good = replace(SMALL, rows={SEASONAL_NAIVE: (found[0] + 0.0004, found[1] - 0.0004)})
    lines, same = check("small", good, table)
    assert same
    assert lines[-1].startswith("REPRODUCED (unknown): small: ")
    bad = replace(SMALL, rows={SEASONAL_NAIVE: (found[0], found[1] + 0.0006)})
    assert check("small", bad, table)[0][-1].startswith("DIFFERENT: small: ")
    assert not check("small", bad, table)[1]
    assert check("small", replace(good, series=3), table)[0][-1] == "DIFFERENT: small: 2 series; published: 3"
    lines, same = check("small", good, sales(35))
    assert same
    assert lines[-1].startswith("NOT CHECKED: small: windows 1 of 2 lie in the data, which end on 2024-02-04;")
