from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from schemas.panel import Forecast, KnownFeature, Panel
from schemas.settings import XgboostRecursiveSettings
from tasks.demand.features.lags import LagFeatures
from tasks.demand.features.training_rows import series_blocks
from tasks.forecasting.trees.booster import NOT_TRAINED
from tasks.forecasting.trees.lags import XgboostLagsForecaster
from tasks.forecasting.trees.recursive import XgboostRecursiveForecaster
from tests.forecasting.panels import awkward_panel, changed_after, panel_of

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
SMALL = XgboostRecursiveSettings(max_rows=4_000, max_rounds=60)
PERIODS, HORIZON = 140, 14
MAKERS = (XgboostLagsForecaster, XgboostRecursiveForecaster)


def forecast(panel: Panel) -> Forecast:
    return XgboostLagsForecaster(SMALL, LEVELS).fit(panel, 3).predict(panel, LEVELS)


@cache
def intermittent_panel() -> Panel:
    """Forty series that sell on a third of the days, the first half on weekends above all."""
    rng = np.random.default_rng(5)
    n = 40
    weekend = np.arange(PERIODS) % 7 >= 5
    chance = np.where((np.arange(n) < n // 2)[:, None] & weekend, 0.9, 0.2)
    return panel_of(
        (rng.random((n, PERIODS)) < chance) * rng.integers(1, 6, (n, PERIODS)).astype(float), horizon=HORIZON
    )


def test_it_learns_when_which_series_sells():
    panel = intermittent_panel()
    mean = forecast(panel).mean
    weekend = np.arange(PERIODS, PERIODS + HORIZON) % 7 >= 5
    busy = mean[:20][:, weekend].mean() / mean[:20][:, ~weekend].mean()
    quiet = mean[20:][:, weekend].mean() / mean[20:][:, ~weekend].mean()
    assert busy > 2.0
    assert quiet == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_promotion_raises_its_own_step(maker):
    rng = np.random.default_rng(4)
    n = 12
    promo = (rng.random((n, PERIODS + HORIZON)) < 0.3).astype(float)
    demand = np.linspace(20, 200, n)[:, None] * (1 + promo[:, :PERIODS]) * rng.lognormal(0, 0.05, (n, PERIODS))
    panel = panel_of(demand, horizon=HORIZON, known={"promo": promo})
    fitted = maker(SMALL, LEVELS).fit(panel, 3)
    values = panel.known["promo"].values.copy()
    values[:, PERIODS:] = 0.0
    without = replace(panel, known={"promo": KnownFeature(values.copy(), np.arange(n))})
    for step in (0, 9, HORIZON - 1):
        ahead = values.copy()
        ahead[:, PERIODS + step] = 1.0
        promoted = replace(panel, known={"promo": KnownFeature(ahead, np.arange(n))})
        ratio = fitted.predict(promoted, LEVELS).mean / fitted.predict(without, LEVELS).mean
        assert ratio[:, step].min() > 1.4
        assert step == 0 or np.median(ratio[:, :step]) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("maker", MAKERS)
def test_neither_the_future_of_demand_nor_threads_nor_blocks_of_series_change_the_forecast(maker, monkeypatch):
    panel = awkward_panel("D")
    cutoff = panel.history - panel.horizon
    known, changed = panel.until(cutoff), changed_after(panel, cutoff).until(cutoff)
    untold = maker(SMALL, LEVELS, 1).fit(known, 3).predict(known, LEVELS)
    monkeypatch.setattr(LagFeatures, "blocks", lambda self, rows: series_blocks(rows, 1))
    monkeypatch.setattr(
        "tasks.forecasting.quantiles.row_blocks", lambda rows, *_: (slice(at, at + 1) for at in range(rows))
    )
    told = maker(SMALL, LEVELS, 2).fit(changed, 3).predict(changed, LEVELS)
    assert np.array_equal(told.quantiles, untold.quantiles)
    assert np.array_equal(told.mean, untold.mean)


@pytest.mark.parametrize("maker", MAKERS)
def test_too_little_to_learn_from_falls_back_visibly(maker):
    panel = panel_of(np.arange(6.0), horizon=2)
    found = maker(SMALL, LEVELS).fit(panel, 3).predict(panel, LEVELS)
    assert found.failed == {0: NOT_TRAINED}
    assert np.isfinite(found.mean).all()


@pytest.mark.parametrize("maker", MAKERS)
def test_what_was_learnt_before_a_year_was_known_forecasts_after_it(maker):
    panel = panel_of(np.random.default_rng(2).poisson(9.0, (20, 60)).astype(float), "W-MON", horizon=4)
    fitted = maker(SMALL, LEVELS).fit(panel.until(50), 3)
    found = fitted.predict(panel, LEVELS)
    assert found.failed == {}
    assert found.mean.mean() == pytest.approx(9.0, rel=0.1)
