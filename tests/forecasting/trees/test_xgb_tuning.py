"""Parameters of the tree models: chosen before the first fold, by a number of trials that the data decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from schemas.panel import Fold, Panel
from schemas.settings import TREE_RANGES, Settings, XgboostLagsSettings
from schemas.settings.slices import ModelSlice
from tasks.evaluation.metrics.stats import ranking_loss
from tasks.forecasting.registry import tuned_models
from tasks.forecasting.trees.tuning import Windows, search, trials_for, tune, with_parameters
from tasks.storage.machine import Cores
from tests.breadth import sample
from tests.forecasting.panels import panel_of

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"max_rounds": 8, "max_rows": 2_000, "tuning": {"trials": 3}}


def settings_of(name: str = "xgboost_lags", **model: Any) -> Settings:
    sources = {table: {"path": f"{table}.csv"} for table in ("sales", "products", "stores")}
    given = {"name": "test", "horizon": 7, "sources": sources, "models": {name: SMALL | model}}
    return Settings.model_validate(given)


def slice_of(name: str = "xgboost_lags", **model: Any) -> ModelSlice:
    settings = settings_of(name, **model)
    return ModelSlice.of(settings, model=settings.models.named()[name])


def demand(n: int = 12, periods: int = 140) -> np.ndarray:
    rng = np.random.default_rng(4)
    rhythm = np.array([0.6, 0.7, 0.9, 1.0, 1.3, 1.8, 0.7])[np.arange(periods) % 7]
    return rng.poisson(rhythm * rng.uniform(2, 20, n)[:, None]).astype(float)


def folds_of(panel: Panel, *known: int) -> list[Fold]:
    return [Fold(panel.periods[cutoff], cutoff) for cutoff in known]


PANEL = panel_of(demand())
FOLDS = folds_of(PANEL, 112, 126, 133)


@pytest.mark.parametrize("name", sample(["xgboost_lags", "xgboost_recursive"], ["xgboost_lags"]))
def test_the_same_data_settings_and_seed_choose_the_same(name: str) -> None:
    settings, panel = slice_of(name), panel_of(demand(periods=80), "W-MON", horizon=3)
    first, again, other = (
        tune(name, settings.model_copy(update={"seed": seed}), panel, folds_of(panel, 60), ranking_loss)
        for seed in (7, 7, 8)
    )
    assert first == again
    assert len(first.trials) == 3
    assert other.trials[1].parameters != first.trials[1].parameters


def test_nothing_behind_the_first_fold_is_read() -> None:
    settings = slice_of()
    changed = demand()
    changed[:, 112:] = 1_000.0
    later = replace(panel_of(changed), closed=np.arange(147)[None, :].repeat(12, axis=0) >= 130)
    assert tune("xgboost_lags", settings, later, FOLDS, ranking_loss) == tune(
        "xgboost_lags", settings, PANEL, FOLDS, ranking_loss
    )
    changed[:, 105:112] = 0.0
    found = tune("xgboost_lags", settings, panel_of(changed), FOLDS, ranking_loss)
    assert found.trials[0].loss != tune("xgboost_lags", settings, PANEL, FOLDS, ranking_loss).trials[0].loss


def test_windows_end_where_the_first_fold_begins() -> None:
    windows = Windows.before(FOLDS, PANEL, ranking_loss)
    assert windows is not None
    assert windows.blocks == ((56, 63, 70, 77, 84, 91, 98, 105),)
    assert windows.panel.history == 112
    # Without a fold there is nothing that they could give away.
    whole = Windows.before([], PANEL, ranking_loss)
    assert whole is not None
    assert whole.blocks[-1][-1] == 133


def test_the_coming_season_is_a_window_too_and_none_knows_less_than_a_fold_should() -> None:
    sports = panel_of(np.ones((2, 215)), "W-MON", horizon=8)
    windows = Windows.before(folds_of(sports, 163, 191, 207), sports, ranking_loss)
    assert windows is not None
    assert windows.blocks == ((147, 155), (111,))
    # Windows of 13 weeks after 48, 52, 56 and 60: the first knows less than a year.
    shorter = Windows.before(folds_of(sports, 64), replace(sports.until(120), horizon=4), ranking_loss)
    assert shorter is not None
    assert shorter.blocks == ((52, 56, 60),)
    assert Windows.before(folds_of(sports, 56), sports, ranking_loss) is None


def test_a_trial_behind_the_median_on_the_first_windows_does_not_see_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = iter([(1.0, 2.0), (1.1, 2.2), (1.2, 1.9), (1.3, 2.3), (1.0, 2.1), (1.4, 0.1), (1.0, 1.8)])
    monkeypatch.setattr(Windows, "losses", lambda *_: iter(next(given)))
    windows = Windows(PANEL, ((100,), (50,)), ranking_loss)
    trials = search("xgboost_lags", slice_of(tuning={"trials": 7}), windows, Cores())
    assert [trial.loss for trial in trials] == [2.0, 2.2, 1.9, 2.3, 2.1, None, 1.8]


def test_the_settings_own_parameters_are_the_first_trial_and_only_better_ones_replace_them() -> None:
    # In three rounds small steps lead nowhere: larger ones are better.
    settings = slice_of(max_rounds=3, tuning={"trials": 5})
    model = settings.model
    assert model is not None
    record = tune("xgboost_lags", settings, PANEL, FOLDS, ranking_loss)
    first = record.trials[0]
    assert first.parameters == {name: getattr(model.params, name) for name in TREE_RANGES}
    windows = Windows.before(FOLDS, PANEL, ranking_loss)
    assert windows is not None
    (tuned,) = windows.losses("xgboost_lags", with_parameters(settings, record.parameters), Cores())
    (untuned,) = windows.losses("xgboost_lags", settings, Cores())
    assert first.loss == untuned
    best = min(trial.loss for trial in record.trials if trial.loss is not None)
    assert tuned == best < 0.95 * untuned
    assert f"loss {first.loss:.4g} with the settings' own parameters, the best has {best:.4g}" in record.note


@pytest.mark.parametrize(("second", "taken"), [(0.951, False), (0.949, True)])
def test_where_none_is_clearly_better_the_settings_stand(second: float, taken: bool) -> None:
    # The loss of the first fit's windows, of the second fit's, and of all others'.
    rounds = iter([1.0] * 8 + [second] * 8 + [1.5] * 8)
    record = tune("xgboost_lags", slice_of(), PANEL, FOLDS, lambda sold, *_: np.full(len(sold), next(rounds)))
    assert record.parameters == (record.trials[1].parameters if taken else {})
    assert record.note.endswith(", not 5% less: the settings are used") != taken


def test_parameters_that_are_set_are_kept_and_all_others_lie_in_their_ranges() -> None:
    given = {"max_leaves": 100, "reg_lambda": 0.0, "subsample": 0.7}
    record = tune("xgboost_lags", slice_of(params=given), PANEL, FOLDS, ranking_loss)
    # What is written out at its default counts as not set.
    assert record.trials[1].parameters.keys() == TREE_RANGES.keys() - {"max_leaves", "reg_lambda"}
    for trial in record.trials:
        for name, value in trial.parameters.items():
            low, high, _ = TREE_RANGES[name]
            assert low <= value <= high


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (13, "the 13 periods before the first fold contain no window of 7 in their second half with 7 before it"),
        (20, "too few known periods in all series together to learn from"),
    ],
)
def test_a_history_that_is_too_short_is_told_and_the_settings_stand(known: int, told: str) -> None:
    panel = PANEL.take(np.array([0, 1]))
    record = tune("xgboost_lags", slice_of(), panel, folds_of(panel, known, 126), ranking_loss)
    assert (record.parameters, record.trials) == ({}, [])
    assert record.note.startswith("xgboost_lags: not tuned, the settings are used: ")
    assert told in record.note


@pytest.mark.parametrize(
    ("name", "series", "trials"),
    [
        # 1,000 series known for 100 weeks: 100,000 rows x 120 rounds x 6 outputs x 0.25 us = 18 s, and 96,000
        # forecasts x 10 us = 0.96 s; 600 / 18.96.
        ("xgboost_recursive", 1_000, 31),
        # 800,000 rows, of which 120,000 are kept: 21.6 s; 600 / 22.56.
        ("xgboost_lags", 1_000, 26),
        # 1.8 s and 0.096 s would pay for 316.
        ("xgboost_recursive", 100, 40),
        # 21.6 s and 48 s would pay for 8.
        ("xgboost_recursive", 50_000, 10),
    ],
)
def test_the_number_of_trials_follows_from_the_size_of_the_data(name: str, series: int, trials: int) -> None:
    panel = panel_of(np.ones((series, 116)), "W-MON", 8)
    settings = slice_of(name, max_rounds=120, max_rows=120_000, tuning={})
    assert trials_for(name, settings, Windows(panel, ((100, 108),), ranking_loss)) == trials
    chosen = slice_of(name, tuning={"trials": 3})
    assert trials_for(name, chosen, Windows(panel, ((100, 108),), ranking_loss)) == 3


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"tuning": {"trials": 1}}, "greater than or equal to 2"),
        ({"tuning": {"trails": 5}}, "tuning.trails"),
        (
            {"tuning": {}, "params": {name: high for name, (_, high, _) in TREE_RANGES.items()}},
            "nothing to tune: all of learning_rate, max_leaves, ",
        ),
    ],
)
def test_a_bad_tuning_is_told(model: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        XgboostLagsSettings.model_validate(model)
    assert told in str(caught.value)


def test_tuning_is_off_unless_it_is_named() -> None:
    assert tuned_models(settings_of(tuning=None)) == []
    assert tuned_models(settings_of("xgboost_recursive", tuning={})) == ["xgboost_recursive"]
    untuned = with_parameters(slice_of(tuning={}), {"max_leaves": 5}).model
    assert isinstance(untuned, XgboostLagsSettings)
    assert (untuned.tuning, untuned.params.max_leaves) == (None, 5)
