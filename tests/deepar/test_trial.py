"""On which periods DeepAR's configurations are compared: never on what the folds of the run are to test."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.deepar import TuningResult, TuningTrial
from tasks.deepar.stage import trial_rows
from tasks.deepar.trial import plan_trial
from tasks.demand.folds import rolling_folds
from tests.forecasting.panels import panel_of


@pytest.mark.parametrize(
    ("before", "known", "window"), [(730, 702, 28), (92, 64, 28), (60, 40, 20), (42, 28, 14), (40, 40, 0), (2, 2, 0)]
)
def test_windows_by_hand(before: int, known: int, window: int) -> None:
    trial = plan_trial(panel_of(np.ones((2, 800)), horizon=28), before)
    assert (trial.history, trial.known, trial.window) == (before, known, window)
    assert bool(trial.note) == (window < 28)


@pytest.mark.parametrize("further", [0, 2])
@pytest.mark.parametrize(
    ("frequency", "horizon", "step", "length"), [("D", 28, 7, 800), ("W-MON", 8, 1, 170), ("MS", 6, 1, 70)]
)
def test_no_fold_tests_what_chose_the_configuration(
    frequency: str, horizon: int, step: int, length: int, further: int
) -> None:
    panel = panel_of(np.ones((2, length)), frequency, horizon)
    folds = rolling_folds(panel, 3, step, further)
    trial = plan_trial(panel, folds[0].known_periods)
    assert trial.window == horizon
    assert trial.history <= min(fold.known_periods for fold in folds)


def test_periods_without_any_known_demand_are_passed_over() -> None:
    demand = np.ones((3, 100))
    demand[:, 80:] = np.nan
    demand[2, 80] = 1.0
    trial = plan_trial(panel_of(demand, horizon=14), 100)
    assert (trial.history, trial.known) == (81, 67)


def test_the_trials_of_a_search_are_listed_best_first_and_those_without_a_value_last():
    values = {"a": 0.5, "b": None, "c": 0.12345678, "d": 0.0}
    trials = [
        TuningTrial(job=job, hyperparameters={"epochs": "3"}, state="finished", value=value, seconds=1.6, reason=job)
        for job, value in values.items()
    ]
    rows = trial_rows(TuningResult(job="search", objective="test:RMSE", trials=trials, best="d"))
    assert [row["job"] for row in rows] == ["d", "c", "a", "b"]
    assert [row["test:RMSE"] for row in rows] == [0.0, 0.123457, 0.5, None]
    rest = {"epochs": "3", "state": "finished", "seconds": 2, "job": "c", "reason": "c"}
    assert rows[1] == {"test:RMSE": 0.123457, **rest}
