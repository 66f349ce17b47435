"""Which model forecasts the replayed weeks, and at which cutoffs."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.evaluation.replay import ReplayRule, replay_model, replayed_cutoffs
from tasks.forecasting.registry import facts
from tests.forecasting.panels import panel_of


@pytest.mark.parametrize(
    ("replayable", "ranking", "chosen"),
    [
        (["xgboost", "xgboost_lags"], ["ensemble", "xgboost_lags", "xgboost"], "xgboost_lags"),
        (["xgboost", "xgboost_lags"], ["xgboost", "moving_average", "xgboost_lags"], "xgboost"),
        (["xgboost_lags"], ["moving_average"], "xgboost_lags"),
        ([], ["tsb", "moving_average", "seasonal_naive"], "moving_average"),
    ],
)
def test_past_weeks_are_forecast_by_the_best_replayable_model(
    replayable: list[str], ranking: list[str], chosen: str
) -> None:
    assert replay_model(replayable, ranking) == chosen


def test_the_tree_models_are_replayable_and_models_of_single_series_are_not() -> None:
    replayable = {name for name, model in facts().items() if model.replayable}
    assert replayable == {"xgboost", "xgboost_lags", "xgboost_recursive"}


def test_cutoffs_are_a_review_period_apart_and_know_half_of_the_history() -> None:
    panel = panel_of(np.ones((1, 60)), "D", horizon=7)
    assert replayed_cutoffs(panel, review_period=7, runs=3) == [39, 46, 53]
    assert replayed_cutoffs(panel, review_period=7, runs=52) == [32, 39, 46, 53]
    assert replayed_cutoffs(panel_of(np.ones((1, 8)), "D", horizon=7), review_period=7, runs=52) == []


def test_a_large_panel_is_replayed_over_fewer_weeks() -> None:
    panel = panel_of(np.ones((3, 60)), "D", horizon=7)
    two_cutoffs = ReplayRule(most_forecasts=3 * 7 * 2)
    assert replayed_cutoffs(panel, review_period=7, runs=52, rule=two_cutoffs) == [46, 53]
