"""Forecasters by name, shards, and forecasts over folds as one table."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import ConfigError
from schemas.facts import ModelFacts, Scope
from schemas.panel import Fold
from schemas.settings import BASELINES, ModelsSettings, Settings
from tasks.forecasting import registry
from tasks.forecasting.baselines import SeasonalNaive
from tasks.forecasting.fold_forecasts import forecast_folds
from tasks.forecasting.registry import make_forecaster, model_names
from tasks.forecasting.shards import shards
from tasks.forecasting.trees.lags import XgboostLagsForecaster
from tests.forecasting.panels import panel_of

LEVELS = (0.1, 0.5, 0.9)


def settings_with(models, **further) -> Settings:
    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    return Settings.model_validate({"name": "test", "sources": sources, "models": models, **further})


def test_the_baselines_come_first_and_the_ensemble_is_no_forecaster():
    settings = settings_with({"theta": {}, "ensemble": {}, "arima": {}})
    assert model_names(settings) == [*BASELINES, "arima", "theta"]


@pytest.mark.parametrize("name", [*BASELINES, "arima", "prophet", "croston", "tsb", "theta", "ets"])
def test_a_forecaster_bears_its_name(name):
    models = {} if name in BASELINES else {name: {}}
    assert make_forecaster(name, settings_with(models)).name == name


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(ConfigError, match=r"models: 'lstm' is not set up.*seasonal_naive, moving_average, theta"):
        make_forecaster("lstm", settings_with({"theta": {}}))


@pytest.mark.parametrize(("name", "why"), [("deepar", "its own stages create it"), ("ensemble", "are combined")])
def test_a_model_that_is_made_elsewhere_says_where(name, why):
    with pytest.raises(ConfigError, match=f"'{name}' cannot be made from its settings alone: .*{why}"):
        make_forecaster(name, settings_with({name: {}}))


def test_every_setting_of_models_has_a_class_and_the_facts_come_in_the_order_of_the_settings():
    assert list(registry.facts()) == [*BASELINES, *ModelsSettings.model_fields]
    assert registry.module_of("arima") == "tasks.forecasting.statistical.arima"


def module_with(*classes: type) -> ModuleType:
    module = ModuleType("strange")
    for number, one in enumerate(classes):
        one.__module__ = "strange"
        setattr(module, f"Model{number}", one)
    return module


class Stranger:
    facts = ModelFacts("stranger", "Stranger", "Not in the settings", Scope.GLOBAL)


class Impostor:
    facts = ModelFacts("arima", "ARIMA", "Another one", Scope.GLOBAL)


@pytest.mark.parametrize(
    ("model", "told"),
    [(Stranger, r"without a field: \['stranger'\]"), (Impostor, "Two model classes are named 'arima'")],
)
def test_a_class_without_a_setting_and_a_name_used_twice_are_told(monkeypatch, model, told):
    modules = [*registry._modules(), module_with(model)]
    monkeypatch.setattr(registry, "_modules", lambda: iter(modules))
    with pytest.raises(LookupError, match=told):
        registry.model_classes.__wrapped__()


def test_a_setting_without_a_class_is_told(monkeypatch):
    modules = [module for module in registry._modules() if not module.__name__.endswith(".arima")]
    monkeypatch.setattr(registry, "_modules", lambda: iter(modules))
    with pytest.raises(LookupError, match=r"Without a class: \['arima'\]"):
        registry.model_classes.__wrapped__()


def test_the_packages_of_all_models_are_known():
    assert {"gluonts", "holidays", "pmdarima", "prophet", "statsforecast", "torch", "xgboost"} <= {*registry.packages()}


def test_a_model_of_single_series_states_its_cost():
    with pytest.raises(ValueError, match="mine: a model of single series states its cost"):
        ModelFacts("mine", "Mine", "No cost", Scope.SERIES)


def folds_of(panel, *known):
    return [Fold(panel.periods[k], k) for k in known]


def test_rows_of_folds_and_horizon():
    panel = panel_of(np.array([np.arange(30.0), np.arange(30.0) + 100]), horizon=7)
    found = forecast_folds(SeasonalNaive(), panel, folds_of(panel, 16, 23), True, LEVELS, 0)
    frame = found.rows()
    assert list(frame.columns) == [
        c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL, c.MEAN, "q0.1", "q0.5", "q0.9",
    ]  # fmt: skip
    assert len(frame) == 3 * 2 * 7
    assert frame[c.CUTOFF].unique().tolist() == list(panel.periods[[16, 23, 30]])
    last = frame[(frame[c.CUTOFF] == panel.periods[23]) & (frame[c.STORE_ID] == "s01")]
    assert last[c.MEAN].tolist() == list(np.arange(116.0, 123.0))
    assert last[c.DATE].tolist() == list(panel.periods[23:30])
    assert not found.failures
    assert not found.notes


def test_without_live_only_the_folds_are_forecast():
    panel = panel_of(np.arange(30.0), horizon=7)
    frame = forecast_folds(SeasonalNaive(), panel, folds_of(panel, 23), False, LEVELS, 0).rows()
    assert frame[c.CUTOFF].unique().tolist() == [panel.periods[23]]


def test_failures_name_series_reason_and_what_served_instead():
    demand = np.array([np.arange(40.0), np.full(40, np.nan)])
    panel = panel_of(demand, horizon=7)
    theta = make_forecaster("theta", settings_with({"theta": {}}))
    failures = forecast_folds(theta, panel, folds_of(panel, 33), True, LEVELS, 0).failures
    assert {(f.store_id, f.category, f.stage, f.fallback) for f in failures} == {
        ("s01", "shoes", "theta", "seasonal_naive")
    }
    failures = forecast_folds(SeasonalNaive(), panel, [], True, LEVELS, 0).failures
    assert failures[0].fallback == "zero"


def test_a_fold_does_not_know_what_came_after_it():
    panel = panel_of(np.arange(30.0), horizon=7)
    later = panel_of(np.r_[np.arange(23.0), np.full(7, 999.0)], horizon=7)
    one, other = (forecast_folds(SeasonalNaive(), p, folds_of(p, 23), False, LEVELS, 0).rows() for p in (panel, later))
    pd.testing.assert_frame_equal(one, other)


def test_every_chosen_series_is_in_one_shard_with_all_folds():
    settings = settings_with({"theta": {}, "arima": {}}, compute={"shard_series": 10})
    panel = panel_of(np.random.default_rng(0).poisson(5, (25, 80)).astype(float))
    found = shards(settings, panel, folds_of(panel, 40, 41, 42))
    theta = [spec for spec in found if spec.model == "theta"]
    assert sorted(i for spec in theta for i in spec.series) == list(range(25))
    assert {spec.folds for spec in theta} == {(0, 1, 2)}
    assert max(len(spec.series) for spec in theta) <= 10
    assert {spec.model for spec in found if spec.series is None} == set(BASELINES)


def test_a_global_model_has_a_shard_per_fit_and_each_gives_the_rows_of_the_whole():
    settings = settings_with({"xgboost_lags": {"max_rows": 1_000, "max_rounds": 5}}, horizon=7)
    panel = panel_of(np.random.default_rng(0).poisson(5, (12, 80)).astype(float), horizon=7)
    folds = folds_of(panel, 60, 66, 69, 70)
    found = [spec for spec in shards(settings, panel, folds) if spec.model == "xgboost_lags"]
    assert [(spec.folds, spec.live) for spec in found] == [((0,), False), ((1, 2), False), ((3,), False), ((), True)]
    fitted: list[int] = []

    class Counted(XgboostLagsForecaster):
        def fit(self, known, seed):
            fitted.append(known.history)
            return super().fit(known, seed)

    whole = forecast_folds(
        counted := Counted(settings.models.xgboost_lags, LEVELS), panel, folds, True, LEVELS, 3
    ).rows()
    assert fitted == [60, 66, 70, 80]
    parts = [
        forecast_folds(counted, panel, [folds[number] for number in spec.folds], spec.live, LEVELS, 3).rows()
        for spec in found
    ]
    pd.testing.assert_frame_equal(whole, pd.concat(parts, ignore_index=True))


def test_a_model_without_a_series_long_enough_has_no_shard():
    panel = panel_of(np.random.default_rng(0).poisson(5, (3, 20)).astype(float))
    found = shards(settings_with({"arima": {}, "tsb": {}}, horizon=7), panel, folds_of(panel, 12, 13))
    assert {spec.model for spec in found} == {*BASELINES, "tsb"}


def test_the_size_of_shards_changes_no_forecast():
    panel = panel_of(np.random.default_rng(0).poisson(5, (7, 60)).astype(float))
    frames = []
    for size in (2, 7):
        settings = settings_with({"theta": {}}, compute={"shard_series": size, "workers": 1})
        parts = [
            forecast_folds(
                make_forecaster("theta", settings), panel.take(np.array(spec.series)), [], True, LEVELS, 0
            ).rows()
            for spec in shards(settings, panel, [])
            if spec.model == "theta"
        ]
        whole = pd.concat([part.astype({c.STORE_ID: object, c.CATEGORY: object}) for part in parts])
        frames.append(whole.sort_values([c.STORE_ID, c.DATE], ignore_index=True))
    pd.testing.assert_frame_equal(*frames)


class Sampling:
    """Seasonal naive with two sample paths; those of the second series are unknown."""

    name = "sampling"

    def fit(self, panel, seed):
        self.inner = SeasonalNaive().fit(panel, seed)
        return self

    def predict(self, panel, quantiles):
        return self.inner.predict(panel, quantiles)

    def predict_with_paths(self, panel, quantiles):
        found = self.predict(panel, quantiles)
        paths = np.stack([found.mean, found.mean + 1], axis=2).astype(np.float32)
        paths[1] = np.nan
        return replace(found, paths=paths)


def test_sample_paths_of_the_horizon_are_kept_for_the_series_that_have_them():
    panel = panel_of(np.array([np.arange(30.0), np.arange(30.0) + 100]), horizon=7)
    kept = []
    frame = forecast_folds(Sampling(), panel, folds_of(panel, 23), True, LEVELS, 0, kept.append).rows()
    (paths,) = kept
    live = frame[(frame[c.CUTOFF] == panel.periods[30]) & (frame[c.STORE_ID] == "s00")]
    assert paths.columns.tolist() == [c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL, "s0", "s1"]
    assert paths[c.DATE].tolist() == live[c.DATE].tolist()
    assert (paths["s1"] - paths["s0"] == 1).all()
    assert set(paths[c.STORE_ID].astype(str)) == {"s00"}
    kept.clear()
    forecast_folds(SeasonalNaive(), panel, [], True, LEVELS, 0, kept.append)
    assert not kept
