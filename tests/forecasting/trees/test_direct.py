from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from schemas.frequency import Frequency
from schemas.panel import Forecast, KnownFeature, Panel
from schemas.protocols import FittedForecaster, Forecaster
from schemas.settings import XgboostSettings
from tasks.demand.features.known import KnownColumns
from tasks.demand.features.rows import Features
from tasks.demand.features.training_rows import Rows, series_blocks
from tasks.forecasting.baselines import SeasonalNaive
from tasks.forecasting.trees.booster import FEATURE, GAIN, Examples, boost, weighted_quantiles
from tasks.forecasting.trees.calendar_effects import fit_profile, ratios_to_surroundings
from tasks.forecasting.trees.direct import XgboostForecaster, held_out_blocks, held_out_origins, season_weight
from tasks.forecasting.trees.expectation import BaselineExpectation
from tasks.forecasting.trees.residual_quantiles import around
from tasks.forecasting.trees.sub_models import Points, first_origin, learning_of, supported_rounds
from tests.forecasting.panels import awkward_panel, changed_after, panel_of

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
SMALL = XgboostSettings(max_rows=4_000, max_rounds=40)
PERIODS, HORIZON = 140, 14


@cache
def promoted_panel() -> Panel:
    """Twelve weekly seasonal series that a promotion doubles, on irregular days."""
    rng = np.random.default_rng(4)
    n, length = 12, PERIODS + HORIZON
    promo = (rng.random((n, length)) < 0.3).astype(float)
    week = 1.0 + 0.3 * np.sin(2 * np.pi * np.arange(length) / 7)
    size = np.linspace(20, 200, n)[:, None]
    demand = np.round(size * week * (1 + promo) * rng.lognormal(0, 0.05, (n, length)))
    return panel_of(demand[:, :PERIODS], horizon=HORIZON, known={"promo": promo})


def forecast(panel: Panel, seed: int = 3, threads: int = 1, levels=LEVELS) -> Forecast:
    return XgboostForecaster(SMALL, LEVELS, threads).fit(panel, seed).predict(panel, levels)


@cache
def fitted():
    return XgboostForecaster(SMALL, LEVELS).fit(promoted_panel(), 3)


def test_parameters_of_the_settings_reach_xgboost():
    given = XgboostSettings.model_validate({"params": {"max_depth": 4, "gamma": 1.5, "max_bin": 64}})
    found = learning_of(given, "count:poisson", rounds=3, seed=1, threads=1).parameters()
    assert (found["max_depth"], found["gamma"], found["max_bin"]) == (4, 1.5, 64)
    # The rows are cut into the same number of bins, or XGBoost refuses them.
    ten = Examples(np.ones((10, 1), dtype=np.float32), np.ones(10), np.ones(10))
    assert boost(ten, ["x"], learning_of(given, "count:poisson", rounds=3, seed=1, threads=1)).rounds == 3
    usual = learning_of(XgboostSettings(), "count:poisson", rounds=3, seed=1, threads=1).parameters()
    assert {name for name in found if found[name] != usual.get(name)} == {"max_depth", "gamma", "max_bin"}


def test_it_keeps_the_protocols():
    assert isinstance(XgboostForecaster(SMALL, LEVELS), Forecaster)
    assert isinstance(fitted(), FittedForecaster)
    assert XgboostForecaster.name == "xgboost"


def test_a_promotion_at_one_step_raises_that_step_alone():
    panel = promoted_panel()
    for step in (0, 6, HORIZON - 1):
        values = panel.known["promo"].values.copy()
        values[:, PERIODS:] = 0.0
        without = replace(panel, known={"promo": KnownFeature(values.copy(), np.arange(panel.n))})
        values[:, PERIODS + step] = 1.0
        promoted = replace(panel, known={"promo": KnownFeature(values, np.arange(panel.n))})
        ratio = fitted().predict(promoted, LEVELS).mean / fitted().predict(without, LEVELS).mean
        assert ratio[:, step].min() > 1.5
        assert np.median(np.delete(ratio, step, axis=1)) == pytest.approx(1.0, abs=0.05)


def test_the_future_of_demand_and_covariates_changes_nothing():
    panel = awkward_panel("D")
    cutoff = panel.history - panel.horizon
    told, untold = forecast(changed_after(panel, cutoff).until(cutoff)), forecast(panel.until(cutoff))
    assert np.array_equal(told.quantiles, untold.quantiles)
    assert np.array_equal(told.mean, untold.mean)


def test_neither_threads_nor_blocks_of_series_change_the_forecast(monkeypatch):
    panel = promoted_panel()
    once, threaded, parts = fitted().predict(panel, LEVELS), forecast(panel, threads=2), list(fitted().parts(panel))
    monkeypatch.setattr("tasks.demand.features.known.BLOCK_CELLS", 1)
    monkeypatch.setattr("tasks.forecasting.trees.calendar_effects.PREDICTED_CELLS", 1)
    monkeypatch.setattr(Features, "blocks", lambda self, rows: series_blocks(rows, 1))
    monkeypatch.setattr(BaselineExpectation, "size", 1)
    blocks = XgboostForecaster(SMALL, LEVELS).fit(panel, 3)
    for other in (threaded, blocks.predict(panel, LEVELS)):
        assert np.array_equal(once.quantiles, other.quantiles)
        assert np.array_equal(once.mean, other.mean)
    found = pd.concat(blocks.parts(panel), ignore_index=True)
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), found, check_exact=True)


def test_it_beats_seasonal_naive_where_promotions_matter():
    panel = promoted_panel()
    cut = panel.until(PERIODS - HORIZON)
    actual = panel.demand[:, PERIODS - HORIZON :]
    ours, naive = forecast(cut).quantiles[..., 2], SeasonalNaive().fit(cut, 0).predict(cut, [0.5]).quantiles[..., 0]
    assert np.abs(ours - actual).sum() < 0.5 * np.abs(naive - actual).sum()


@pytest.mark.parametrize("frequency", ["D", "W-MON", "MS"])
def test_awkward_series_get_finite_ordered_forecasts(frequency):
    panel = awkward_panel(frequency)
    found = forecast(panel)
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.quantiles).all()
    assert (found.quantiles >= 0).all()
    assert (np.diff(found.quantiles, axis=2) >= 0).all()


def test_other_levels_lie_between_the_fitted_ones():
    panel = promoted_panel()
    fitted_levels, asked = fitted().predict(panel, LEVELS), fitted().predict(panel, (0.3, 0.5))
    assert np.array_equal(asked.quantiles[..., 1], fitted_levels.quantiles[..., 2])
    assert (asked.quantiles[..., 0] >= fitted_levels.quantiles[..., 1]).all()


def test_too_little_history_falls_back_and_says_so():
    panel = panel_of(np.array([[3.0, 4.0, 5.0]]), horizon=7)
    found = forecast(panel)
    assert "too few" in found.failed[0].reason
    assert np.isfinite(found.quantiles).all()


def test_importance_has_every_feature_and_the_largest_gain_first():
    table = fitted().feature_importance()
    assert table[FEATURE].is_unique
    assert table[GAIN].is_monotonic_decreasing
    assert table[GAIN].iloc[0] > 0


def test_held_out_windows_follow_each_other_up_to_the_cutoff():
    panel = panel_of(np.ones((1, 100)), "W-MON", horizon=3)
    assert held_out_origins(panel) == [85, 88, 91, 94, 97]
    assert held_out_origins(panel_of(np.ones((1, 20)), horizon=7)) == [13]
    assert held_out_origins(panel_of(np.ones((1, 5)), horizon=7)) == []


def test_the_season_ahead_is_held_out_a_year_ago_where_years_enough_lie_before_it():
    assert held_out_blocks(panel_of(np.ones((1, 200)), "W-MON", horizon=8)) == [[184, 192], [148]]
    assert held_out_blocks(panel_of(np.ones((1, 120)), "W-MON", horizon=8)) == [[104, 112]]


def test_the_season_booster_weighs_half_unless_an_end_is_clearly_better():
    units, one = np.array([10.0, 10.0]), np.ones(2)
    better = Points(level=np.array([20.0, 20.0]), season=units, level_baseline=one, season_baseline=one)
    assert season_weight([(better, units)]) == 1.0
    alike = Points(level=np.array([13.0, 7.0]), season=np.array([7.1, 12.9]), level_baseline=one, season_baseline=one)
    assert season_weight([(alike, units)]) == 0.5
    even = Points(np.array([1103.0]), np.array([1097.0]), one[:1], one[:1])
    assert season_weight([(even, np.array([1000.0]))]) == 0.625
    assert season_weight([]) == 0.75


def test_few_windows_bear_few_rounds():
    def rows(periods):
        return Rows(np.zeros(periods, dtype=int), np.arange(periods), np.ones(periods, dtype=int))

    assert supported_rounds(100, rows(112), horizon=28) == 50
    assert supported_rounds(100, rows(28), horizon=28) == 6
    assert supported_rounds(100, rows(2800), horizon=28) == 100


def test_quantiles_stay_on_their_side_of_the_median():
    found = around(np.array([[3.0, 2.0, 1.0], [-4.0, 2.0, 9.0]]), np.array([2.0, 2.0]), (0.1, 0.5, 0.9))
    assert found.tolist() == [[2.0, 2.0, 2.0], [0.0, 2.0, 9.0]]


def test_origins_start_where_a_year_can_be_read():
    assert first_origin(Frequency("W-MON"), 100) == 60
    assert first_origin(Frequency("W-MON"), 60) == 21


def test_a_ratio_compares_with_the_periods_around():
    demand = np.full((1, 21), 6.0)
    demand[0, 10] = 12.0
    ratio, level = ratios_to_surroundings(panel_of(demand), slice(0, 1))
    assert (ratio[0, 10], level[0, 10]) == pytest.approx((12 / (132 / 21), 132 / 21))
    assert ratios_to_surroundings(panel_of(np.where(demand == 12.0, 1000.0, 0.0)), slice(0, 1))[0][0, 10] == 20.0


def test_the_profile_learns_what_a_promotion_does():
    panel = promoted_panel()
    known = KnownColumns(panel)
    effects = fit_profile(panel, known, 3, 1).effects(panel, known)
    on = panel.known["promo"].values > 0
    assert effects[on].mean() / effects[~on].mean() == pytest.approx(2.0, rel=0.15)


def test_weighted_quantiles_by_hand():
    found = weighted_quantiles(np.array([9.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), (0.25, 0.5, 0.9))
    assert found.tolist() == [1.0, 2.0, 9.0]
