"""Which model forecasts the replayed weeks, at which cutoffs, and where the champions' own forecasts replace it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.records import PanelRef, PlanInputs
from tasks.evaluation import replay
from tasks.evaluation.replay import (
    CalibrationInputs,
    ReplayRule,
    calibrate_overstock,
    replay_model,
    replayed_cutoffs,
    with_champions,
)
from tasks.forecasting.registry import facts
from tasks.storage.lake import open_lake
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


def forecasts(cutoff: str, mean: float, periods: int = 2) -> pd.DataFrame:
    """Rows of one series at one cutoff."""
    dates = pd.date_range(cutoff, periods=periods)
    return pd.DataFrame({c.CUTOFF: dates[0], c.STORE_ID: "1", c.CATEGORY: "x", c.DATE: dates, c.MEAN: mean})


MADE = pd.concat([forecasts("2024-01-01", 1.0), forecasts("2024-01-08", 1.0)]).assign(**{c.MODEL: "xgboost"})


def means(rows: pd.DataFrame) -> dict[str, float]:
    return rows.groupby(rows[c.CUTOFF].dt.strftime("%d"))[c.MEAN].sum().to_dict()


def test_champions_replace_the_model_at_cutoffs_with_a_fold_over_the_whole_horizon() -> None:
    folds = [forecasts("2024-01-01", 5.0, periods=1), forecasts("2024-01-08", 5.0), forecasts("2024-01-15", 5.0)]
    found = with_champions(MADE, pd.concat(folds), horizon=2)
    assert means(found) == {"01": 2.0, "08": 10.0}
    assert list(found.columns) == [name for name in MADE.columns if name != c.MODEL]
    assert means(with_champions(None, pd.concat(folds), horizon=2)) == {"08": 10.0, "15": 10.0}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("replaced", [[], ["2024-01-01", "2024-01-08"]])
def test_no_or_all_cutoffs_are_replaced_without_a_warning(replaced: list[str]) -> None:
    folds = pd.concat([forecasts(cutoff, 5.0) for cutoff in [*replaced, "2023-01-01"]])
    made = MADE.astype({c.STORE_ID: "category"})
    assert means(with_champions(made, folds, horizon=2)) == dict.fromkeys(("01", "08"), 10.0 if replaced else 2.0)


@pytest.mark.parametrize(("stored", "expected"), [(True, {"01": 2.0, "08": 10.0}), (False, {"08": 10.0})])
def test_the_calibration_replays_the_stored_forecasts_with_the_champions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool, expected: dict[str, float]
) -> None:
    lake, replayed = open_lake(str(tmp_path)), []
    costs = pd.DataFrame({"cost": [1.0]})

    def calibrate(given: object, panel: object, past: pd.DataFrame) -> SimpleNamespace:
        replayed.append((given, panel, means(past)))
        return SimpleNamespace(holding_factor=2.5, table=costs, note="a note")

    given = SimpleNamespace(backtest=forecasts("2024-01-08", 5.0))
    monkeypatch.setattr(replay, "calibrate", calibrate)
    monkeypatch.setattr(replay, "weekly_inputs", lambda *_: given)
    monkeypatch.setattr(replay, "load_panel", lambda *_: "panel")
    inputs = CalibrationInputs.model_construct(
        panel=PanelRef(frames={}, horizon=2),
        given=PlanInputs.model_construct(),
        as_of=date(2024, 2, 1),
        forecasts=lake.write_table("made", MADE) if stored else None,
    )
    found = calibrate_overstock(lake, inputs, SimpleNamespace(horizon=2, period=None))
    assert replayed == [(given, "panel", expected)]
    assert (found.holding_factor, found.notes, found.summary) == (2.5, ["a note"], {"costs": [{"cost": 1.0}]})
    assert found.forecasts == inputs.forecasts
    assert found.costs is not None
    pd.testing.assert_frame_equal(lake.read_table(found.costs), costs)
