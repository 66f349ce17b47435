"""The events table on the panel's axis."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.frequency import Frequency
from tasks.demand.axis import Axis
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.features.planned_events import CHRISTMAS, CHRISTMAS_UPLIFT, first_christmas, with_christmas
from tasks.demand.panel import build_panel, from_frames, to_frames

WEEKS = [str(day.date()) for day in pd.date_range("2024-01-01", periods=30, freq="W-MON")]


@pytest.fixture
def panel(make_tables, make_settings):
    """Weekly series (s1, A) and (s1, B) of which A peaks in the fifth week; three weeks ahead."""
    sales = [
        (week, "s1", sku, 500.0 if week == WEEKS[4] and sku == "a1" else 9.0) for week in WEEKS for sku in ("a1", "b1")
    ]

    def build(*rows, **given):
        events = pd.DataFrame(rows, columns=[c.NAME, c.DATE_FROM, c.DATE_TO, c.CATEGORY, c.UPLIFT])
        tables = make_tables(sales, **({"events": events} if rows else {}))
        settings = make_settings(frequency="W-MON", **{"horizon": 3, **given})
        return build_panel(prepare(tables, settings, date(2024, 7, 29))).panel

    return build


def test_days_categories_and_uplifts(panel):
    built = panel(
        ("fair", "2024-07-31", "2024-08-02", None, 1.4),
        ("fair", "2024-02-01", "2024-02-01", "A", None),
        ("later", "2025-01-01", "2025-01-09", None, 2.0),
    )
    assert list(built.events) == ["fair"]
    for one in (built, from_frames(to_frames(built), built.frequency, built.horizon)):
        event = one.events["fair"]
        at = np.ix_(np.arange(2), [4, 30])
        assert event.share.at(*at) == pytest.approx(np.array([[1 / 7, 3 / 7], [0, 3 / 7]]))
        assert event.uplift.at(*at) == pytest.approx(np.array([[0.0, 1.4], [1.0, 1.4]]))
        assert event.share.at(np.arange(2)[:, None], np.arange(33)).sum() == pytest.approx(7 / 7)
        assert not any("event" in name for name in one.known)


def test_a_peak_with_an_event_is_no_outlier(panel):
    assert np.isnan(panel().demand[0, 4])
    assert panel(("fair", "2024-02-01", "2024-02-01", None, None)).demand[0, 4] == 500.0


@pytest.mark.parametrize(
    ("country", "stated", "share", "uplift"),
    [
        ("CL", (), [1 / 7, 1, 1, 1, 2 / 7], CHRISTMAS_UPLIFT),
        # Days that the table names are left to it.
        ("CL", (("sale", "2024-12-09", "2024-12-15", None, 1.5),), [1 / 7, 1, 0, 1, 2 / 7], CHRISTMAS_UPLIFT),
        ("CL", ((CHRISTMAS, "2024-12-01", "2024-12-24", None, 2.0),), [1 / 7, 1, 1, 1, 2 / 7], 2.0),
        # 25 December is no public holiday, or no country is set.
        ("JP", (), None, None),
        (None, (), None, None),
    ],
)
def test_the_first_christmas_has_an_expected_uplift(panel, country, stated, share, uplift):
    built = panel(*stated, country=country, horizon=26)
    event = built.events.get(CHRISTMAS)
    if share is None:
        assert event is None
    else:
        series, weeks = np.zeros(5, dtype=np.int64), built.periods.get_loc("2024-11-25") + np.arange(5)
        assert event.share.at(series, weeks) == pytest.approx(share)
        assert set(event.uplift.at(series, weeks)[np.array(share) > 0]) == {np.float32(uplift)}


@pytest.mark.parametrize(("periods", "found"), [(25, False), (26, True), (51, True), (52, False)])
def test_christmas_is_expected_from_half_a_year_of_history_until_there_is_a_whole_one(periods, found):
    axis = Axis(Frequency("W-MON"), pd.date_range("2024-01-01", periods=periods + 40, freq="W-MON"), periods)
    assert (with_christmas(None, axis, "CL") is not None) == found


def test_the_uplift_of_the_first_christmas_raises_an_alarm_if_the_horizon_has_such_a_day():
    def found(until, events=None):
        labels = pd.date_range("2024-03-04", until, freq="W-MON")
        return first_christmas(events, Axis(Frequency("W-MON"), labels, 30), "CL")

    assert found("2024-11-18") == []
    (alarm,) = found("2024-12-09")
    assert (alarm.name, str(alarm.date_from), str(alarm.date_to)) == ("first_christmas", "2024-12-01", "2024-12-15")
    assert "multiplied by 1.15" in alarm.message
    stated = pd.DataFrame({c.DATE_FROM: [pd.Timestamp("2024-12-01")], c.DATE_TO: [pd.Timestamp("2024-12-24")]})
    assert found("2024-12-09", stated) == []
