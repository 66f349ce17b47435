"""Folds by hand."""

import numpy as np
import pandas as pd
import pytest

from schemas.frequency import Frequency
from schemas.panel import Panel
from tasks.demand.folds import extra_cutoffs, minimum_history, plan_folds, rolling_folds


def panel(code, history, horizon, unknown_tail=0):
    frequency = Frequency(code)
    demand = np.ones((2, history))
    demand[:, history - unknown_tail :] = np.nan
    periods = frequency.range(pd.Timestamp("2024-01-01"), history + horizon)
    series = pd.DataFrame({"store_id": ["s1", "s2"], "category": ["A", "A"]})
    return Panel(frequency, series, periods, demand, np.zeros((2, history + horizon), dtype=bool), horizon)


def test_the_last_fold_ends_just_before_as_of():
    daily = panel("D", 100, 28)
    folds = rolling_folds(daily, windows=3, step=7)
    assert [fold.known_periods for fold in folds] == [58, 65, 72]
    assert [fold.cutoff for fold in folds] == [daily.periods[i] for i in (58, 65, 72)]
    assert plan_folds(daily, 3, 7).notes == ()


def test_weeks_need_a_season():
    weekly = panel("W-MON", 62, 8)
    assert minimum_history(weekly) == 52
    plan = plan_folds(weekly, windows=5, step=1)
    assert [fold.known_periods for fold in plan.folds] == [52, 53, 54]
    assert plan.notes == (
        "3 of 5 folds: 62 known periods with a horizon of 8 allow no other fold that knows 52 periods",
    )


def test_a_short_history_keeps_one_fold_and_says_so():
    plan = plan_folds(panel("MS", 14, 6), windows=3, step=1)
    assert [fold.known_periods for fold in plan.folds] == [8]
    assert plan.notes[0] == "The only fold knows 8 periods; at least 12 are recommended"


def test_from_eight_periods_on_half_of_a_history_shorter_than_a_fold_is_tested_on_the_other_half():
    plan = plan_folds(panel("W-MON", 13, 13), windows=3, step=1)
    assert [fold.known_periods for fold in plan.folds] == [6]
    assert plan.notes[0] == "The only fold knows 6 periods and is tested on 7 of 13"


@pytest.mark.parametrize("history", [3, 6, 7])
def test_too_short_for_any_fold(history):
    plan = plan_folds(panel("MS", history, 6), windows=3, step=1)
    assert plan.folds == ()
    assert plan.notes[-1].startswith("0 of 3 folds")


def test_folds_without_any_known_demand_are_passed_over():
    plan = plan_folds(panel("D", 120, 10, unknown_tail=15), windows=2, step=7)
    # 110 and 103..105 lie after the last known period 104; 103 still sees period 104.
    assert [fold.known_periods for fold in plan.folds] == [96, 103]
    assert plan.notes == ("No demand is known in the 10 periods before as_of: the last fold ends 7 periods earlier",)


def test_further_folds_show_the_coming_season_and_the_horizon_before():
    weekly = panel("W-MON", 200, 8)
    assert extra_cutoffs(weekly, first=190) == [148, 182]
    known = [fold.known_periods for fold in rolling_folds(weekly, windows=3, step=1, extra_folds=2)]
    assert known == [148, 182, 190, 191, 192]
    assert [fold.known_periods for fold in rolling_folds(weekly, 3, 1, extra_folds=1)] == [148, 190, 191, 192]


def test_a_season_without_a_year_before_it_is_no_fold():
    # A year ago 50 weeks were known: fewer than the year and horizon that the season's fold needs.
    assert extra_cutoffs(panel("W-MON", 102, 8), first=92) == [84]
    assert extra_cutoffs(panel("W-MON", 62, 8), first=52) == []


def test_a_further_fold_without_known_demand_is_left_out():
    weekly = panel("W-MON", 200, 8)
    weekly.demand[:, 148:156] = np.nan
    assert [fold.known_periods for fold in rolling_folds(weekly, 1, 1, extra_folds=2)] == [184, 192]


def test_every_fold_can_be_replayed():
    daily = panel("D", 100, 28)
    for fold in rolling_folds(daily, 3, 7):
        cut = daily.until(fold.known_periods)
        assert cut.history == fold.known_periods
        assert cut.horizon_periods[0] == fold.cutoff
        assert len(cut.horizon_periods) == 28
