"""Named days that the trees did not learn: what past occurrences sold, over what the model forecasts for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas import columns as c
from schemas.panel import Fold, KnownFeature, Panel
from schemas.settings import XgboostLagsSettings, XgboostRecursiveSettings
from tasks.demand.features.known import KnownColumns
from tasks.forecasting.fold_forecasts import forecast_folds
from tasks.forecasting.trees import missed_events
from tasks.forecasting.trees.lags import XgboostLagsForecaster
from tasks.forecasting.trees.missed_events import missed_effects
from tasks.forecasting.trees.missed_logarithms import posterior
from tasks.forecasting.trees.recursive import XgboostRecursiveForecaster
from tests.forecasting.panels import panel_of

LEVELS = (0.1, 0.5, 0.9)
WEEKS, HORIZON, STORES, CATEGORIES = 110, 6, 3, 3
# The event is in the third week of the horizon, and in two weeks of the history.
AHEAD, PAST = WEEKS + 2, (20, 66)
EVENT = "event=black friday"
BUDGET = {"max_rows": 3_000, "max_rounds": 30}
MODELS = {
    "xgboost_lags": XgboostLagsForecaster(XgboostLagsSettings(**BUDGET), LEVELS),
    "xgboost_recursive": XgboostRecursiveForecaster(XgboostRecursiveSettings(**BUDGET), LEVELS),
}


def company(uplift=2.5, categories=range(CATEGORIES), past=PAST, stores=STORES, seed=4, ahead=AHEAD, length=1) -> Panel:
    """Weekly sales around 50 units, times the uplift in the weeks of an event in some categories."""
    n = stores * CATEGORIES
    category = np.arange(n) % CATEGORIES
    flag = np.zeros(WEEKS + HORIZON)
    for week in (*past, ahead):
        flag[week : week + length] = 1.0
    usual = np.where(np.isin(category, list(categories))[:, None] & (flag[:WEEKS] > 0), 50.0 * uplift, 50.0)
    panel = panel_of(np.random.default_rng(seed).poisson(usual), "W-MON", HORIZON, known={EVENT: flag})
    return replace(panel, series=panel.series.assign(**{c.CATEGORY: [f"c{one}" for one in category]}))


def effects(panel: Panel, ahead=lambda series, origin, steps: np.full((len(series), steps), 50.0)) -> np.ndarray:
    """Factors of the horizon for a model that forecasts 50 units, shape (n, H)."""
    found = missed_effects(panel, KnownColumns(panel).near, ahead)
    return found.ahead(found.factor, 1.0)


def test_what_the_model_missed_is_the_factor_of_the_next_occurrence():
    found = effects(company())
    assert found[:, 2] == pytest.approx(2.5, rel=0.1)
    assert np.delete(found, 2, axis=1) == pytest.approx(1.0, abs=0.02)


def test_what_the_model_has_learned_does_not_count_twice():
    panel = company()

    def learned(series, origin, steps):
        return np.where(panel.known[EVENT].values[0, origin[:, None] + np.arange(steps)] > 0, 125.0, 50.0)

    assert effects(panel, learned) == pytest.approx(1.0, abs=0.02)


def test_what_ordinary_weeks_differ_by_is_no_effect():
    """Sales of all series together differ from the forecast in any week."""
    panel = company(uplift=1.8)
    shock = np.random.default_rng(1).lognormal(0.0, 0.5, WEEKS)
    shock[[*PAST]] = 1.0
    found = effects(replace(panel, demand=panel.demand * shock))
    assert 1.0 < found[0, 2] < 1.3 < effects(panel)[0, 2]


@pytest.mark.parametrize(("ratio", "factor"), [(1.8, 1.79), (1.1, 1.00), (1 / 1.8, 1 / 1.79)])
def test_the_posterior_by_hand(ratio, factor):
    """Two occurrences of many units in one category, so that there is no chance."""
    log, spread = posterior(np.full((1, 2, 2), np.log(ratio)), np.full((1, 2, 2), 0.15**2))
    assert np.exp(log[0, 0]) == pytest.approx(factor, abs=0.006)
    assert spread[0, 0] == pytest.approx(np.hypot(0.15, 0.15 / np.sqrt(2)), abs=0.01) or factor == 1.00


def test_a_small_difference_is_chance():
    assert effects(company(uplift=1.1)) == pytest.approx(1.0, abs=0.04)


def test_the_effect_of_one_category_is_its_own():
    found = effects(company(categories=[1]))
    assert found[1::CATEGORIES, 2] == pytest.approx(2.5, rel=0.15)
    assert np.delete(found[:, 2], np.arange(1, 9, CATEGORIES)) == pytest.approx(1.0, abs=0.1)


def test_few_units_change_less_than_many():
    panel = company(past=PAST[1:])
    few = replace(panel.take(np.array([0])), demand=np.where(np.arange(WEEKS) == PAST[1], 2.0, 1.0)[None, :])
    one_unit = effects(few, lambda series, origin, steps: np.ones((len(series), steps)))
    assert 1.0 <= one_unit[0, 2] < 1.1
    assert effects(panel)[0, 2] > 2.0


def test_a_flag_that_is_raised_often_is_no_event():
    assert effects(company(past=range(4, 100, 4))) == pytest.approx(1.0)


def test_a_promotion_of_the_table_is_no_event():
    panel = company()
    promoted = {"promotion_share": panel.known[EVENT]}
    assert not KnownColumns(replace(panel, known=promoted)).near
    assert list(KnownColumns(replace(panel, known={"black_friday": panel.known[EVENT]})).near) == ["black_friday"]


def test_after_the_beginning_of_an_event_the_model_has_seen_it_in_the_past_as_well():
    """An event of four weeks began two weeks before the run date. The weeks before are forecast as well."""
    origins = []

    def ahead(series, origin, steps):
        origins.extend(origin.tolist())
        return np.full((len(series), steps), 50.0)

    effects(company(ahead=WEEKS - 2, length=4), ahead)
    assert set(origins) == {week + 2 - back for week in PAST for back in (0, 4)}
    origins.clear()
    effects(company(), ahead)
    assert set(origins) == {week - 1 - back for week in PAST for back in (0, 4)}


def test_an_occurrence_that_models_read_a_year_before_the_horizon_counts_after_the_first_year_only():
    """In the first year, the columns of the year before do not exist; in the horizon they show the occurrence."""
    assert effects(company(past=[30], ahead=82).until(80)) == pytest.approx(1.0)
    assert effects(company(past=[18], ahead=82).until(80))[0, 2] > 2.0
    assert effects(company(past=[60], ahead=112).until(110))[0, 2] > 2.0


def test_each_store_has_its_own_calendar():
    panel = company(stores=4)
    with_event, without = panel.known[EVENT].values[0], np.zeros(WEEKS + HORIZON, dtype=np.float32)
    rows = (np.arange(panel.n) >= panel.n // 2).astype(np.int64)
    panel = replace(panel, known={EVENT: KnownFeature(np.stack([with_event, without]), rows)})
    found = effects(panel)
    assert found[: panel.n // 2, 2] == pytest.approx(2.5, rel=0.15)
    assert (found[panel.n // 2 :] == 1.0).all()


def test_many_series_are_observed_on_some_of_them(monkeypatch):
    monkeypatch.setattr(missed_events, "RULE", replace(missed_events.RULE, series=9))
    asked = []

    def ahead(series, origin, steps):
        asked.append(np.unique(series))
        return np.full((len(series), steps), 50.0)

    found = effects(company(stores=50), ahead)
    assert [len(series) for series in asked] == [9, 9]
    assert np.bincount(asked[0] % CATEGORIES).tolist() == [3, 3, 3]
    assert found[:, 2] == pytest.approx(2.5, rel=0.1)


@pytest.mark.parametrize("name", MODELS)
def test_a_company_with_few_series_is_forecast_with_its_events(name):
    panel = company()
    forecast = MODELS[name].fit(panel, 3).predict(panel, LEVELS)
    event, others = forecast.mean[:, 2].mean() / 125.0, np.delete(forecast.mean, 2, axis=1).mean() / 50.0
    assert event == pytest.approx(1.0, abs=0.1)
    assert others == pytest.approx(1.0, abs=0.12)
    assert (np.diff(forecast.quantiles, axis=2) >= 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_an_occurrence_after_the_cutoff_is_not_known(name):
    """In one of two companies, an occurrence that the fold forecasts sold ten times the units."""
    panel = company(past=(20, WEEKS - HORIZON + 2))
    later = panel.demand.copy()
    later[:, WEEKS - HORIZON :] *= 10.0
    fold = Fold(panel.periods[WEEKS - HORIZON], WEEKS - HORIZON)
    one, other = (
        forecast_folds(MODELS[name], known, [fold], False, LEVELS, 3).rows()
        for known in (panel, replace(panel, demand=later))
    )
    assert one.equals(other)
    assert one[c.MEAN].max() > 70.0
