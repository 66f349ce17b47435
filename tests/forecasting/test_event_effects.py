"""Planned events: the expected uplift, what the history says about it, and no effect that counts twice."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.panel import KnownFeature, PlannedEvent
from tasks.forecasting.baselines import MovingAverage, SeasonalNaive
from tasks.forecasting.event_effects import event_effects
from tasks.forecasting.fold_forecasts import forecast_folds
from tests.forecasting.panels import panel_of

LEVELS = [0.1, 0.5, 0.9]
HORIZON = 6
# The event lies in the third week of the horizon.
AHEAD = 2


def with_event(weeks=42, past=(), expected=1.5, noise=0.0, only=30, share=1.0, seed=3):
    """Weekly series around 100 units; past occurrences as week to true uplift; no event from series ``only`` on."""
    rng = np.random.default_rng(seed)
    demand = 100.0 + noise * rng.normal(size=(30, weeks))
    covered, uplift = np.zeros(weeks + HORIZON), np.ones(weeks + HORIZON)
    for week, true in dict(past).items():
        demand[:, week] *= 1.0 + share * (true - 1.0)
        covered[week] = share
    covered[weeks + AHEAD], uplift[covered > 0] = share, expected
    rows = (np.arange(30) >= only).astype(np.int64)
    share_of_days = np.stack([covered, np.zeros_like(covered)]).astype(np.float32)
    event = PlannedEvent(
        KnownFeature(share_of_days, rows), KnownFeature(np.stack([uplift, uplift]).astype(np.float32), rows)
    )
    return replace(panel_of(demand, "W-MON", horizon=HORIZON), events={"black friday": event})


def forecast(panel, forecaster=None, column=c.MEAN, **given):
    rows = forecast_folds(forecaster or MovingAverage(), panel, [], True, LEVELS, 1, **given).rows()
    return rows[column].to_numpy().reshape(-1, HORIZON)


def test_the_first_event_has_the_expected_uplift():
    mean = forecast(with_event(noise=5.0))
    others = np.delete(mean, AHEAD, axis=1)
    assert mean[:, AHEAD].mean() / others.mean() == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize(("past", "found"), [({18: 1.2}, 1.25), ({10: 1.2, 30: 1.2}, 1.23), ({10: 1.2, 34: 0.8}, 1.04)])
@pytest.mark.parametrize("forecaster", [MovingAverage(), SeasonalNaive()])
def test_the_history_overrules_the_expectation(past, found, forecaster):
    mean = forecast(with_event(past=past, noise=2.0), forecaster)
    assert mean[:, AHEAD].mean() == pytest.approx(100.0 * found, rel=0.02)


def test_a_memory_of_last_year_does_not_count_twice():
    """The week of the horizon a year ago had the event; seasonal naive repeats that week."""
    panel = with_event(weeks=104, past={54: 2.0, 2: 2.0}, expected=2.0)
    assert forecast(panel, SeasonalNaive()).mean(axis=0) == pytest.approx([100, 100, 200, 100, 100, 100], rel=0.01)


def test_chance_leaves_the_expectation_in_force():
    """The same observation on one sparse series counts less than on many steady ones."""
    panel = with_event(past={20: 0.5}, noise=0.0)
    sparse = np.where(np.random.default_rng(1).random((1, 42)) < 0.2, 5.0, 0.0)
    sparse[0, 20] = 1.0
    alone = replace(panel.take(np.array([0])), demand=sparse)
    effects = [event_effects(one) for one in (panel, alone)]
    steady, doubtful = (found.ahead(found.factor, 1.0)[0, AHEAD] for found in effects)
    assert steady < 0.75
    assert doubtful > 0.9


def test_an_event_of_three_days_of_the_week_has_its_share():
    assert forecast(with_event(share=3 / 7))[:, AHEAD].mean() == pytest.approx(100 * (1 + 3 / 7 * 0.5), rel=0.01)
    effects = event_effects(with_event(past={12: 1.8, 30: 1.8}, share=3 / 7))
    assert effects.ahead(effects.factor, 1.0)[0, AHEAD] == pytest.approx(1 + 3 / 7 * 0.75, rel=0.02)


def test_series_without_the_event_and_other_periods_stay():
    panel = with_event(noise=5.0, only=20)
    plain, changed = forecast(replace(panel, events={})), forecast(panel)
    assert changed[20:] == pytest.approx(plain[20:])
    assert np.delete(changed, AHEAD, axis=1) == pytest.approx(np.delete(plain, AHEAD, axis=1))
    assert forecast(panel, series=np.array([3, 25])) == pytest.approx(changed[[3, 25]])


def test_doubt_widens_the_intervals_and_occurrences_narrow_them():
    width = {}
    for name, past in (("new", {}), ("known", {5: 1.5, 15: 1.5, 25: 1.5})):
        panel = with_event(past=past, noise=2.0)
        low, median, high = (forecast(panel, column=c.quantile_column(level)) for level in LEVELS)
        assert (low <= median).all()
        assert (median <= high).all()
        width[name] = ((high - low) / median).mean(axis=0)
    assert width["new"][AHEAD] > 1.5 * width["known"][AHEAD] > 1.5 * width["known"][0]


def test_a_fold_knows_no_later_occurrence_and_may_end_before_the_first_one():
    panel = with_event(weeks=42, past={38: 3.0}, expected=1.5)
    for known, found in ((36, [100, 100, 150, 100, 100, 100]), (20, [100] * HORIZON)):
        rows = forecast_folds(MovingAverage(), panel, [SimpleNamespace(known_periods=known)], False, LEVELS, 1).rows()
        assert rows[c.MEAN].to_numpy().reshape(-1, HORIZON).mean(axis=0) == pytest.approx(found)


def test_the_parts_of_a_median_contain_the_event():
    panel = with_event()
    effects = event_effects(panel)
    rows = panel.series.loc[panel.series.index.repeat(HORIZON)].reset_index(drop=True)
    parts = rows.assign(**{c.DATE: list(panel.horizon_periods) * panel.n, c.PART: "level", c.UNITS: 100.0})
    halves = [parts.iloc[: 15 * HORIZON], parts.iloc[15 * HORIZON :]]
    *kept, added = effects.parts(iter(halves), panel)
    pd.testing.assert_frame_equal(pd.concat(kept), parts)
    assert added[c.DATE].eq(panel.horizon_periods[AHEAD]).all()
    assert added[c.UNITS].to_numpy() == pytest.approx(np.full(panel.n, 50.0))


def test_categories_differ_by_what_was_observed_of_them():
    """Example of the docstring of event_effects: one category reacts, the other does not."""
    panel = with_event(past={10: 3.0, 30: 3.0}, noise=2.0, expected=0.0)
    categories = np.repeat(["a", "b"], 15)
    demand = panel.demand.copy()
    demand[15:, [10, 30]] /= 3.0
    panel = replace(panel, demand=demand, series=panel.series.assign(**{c.CATEGORY: categories}))
    mean = forecast(panel)[:, AHEAD]
    assert mean[:15].mean() == pytest.approx(280.0, rel=0.03)
    assert mean[15:].mean() == pytest.approx(110.0, rel=0.03)
    assert np.delete(forecast(panel), AHEAD, axis=1).mean() == pytest.approx(100.0, rel=0.01)


def test_chance_in_a_category_is_not_its_own_uplift():
    """Promotions of one category at a time raise and lower its observed uplifts; the event has one uplift."""
    rng = np.random.default_rng(7)
    panel = with_event(weeks=80, past=dict.fromkeys((10, 30, 50, 70), 1.6), noise=2.0, expected=0.0)
    categories, demand = np.repeat(list("abcdef"), 5), panel.demand.copy()
    for at in (10, 30, 50, 70):
        demand[:, at] *= np.repeat(np.exp(rng.normal(0, 0.4, 6)), 5)
    panel = replace(panel, demand=demand, series=panel.series.assign(**{c.CATEGORY: categories}))
    effects = event_effects(panel)
    found = np.log(effects.ahead(effects.factor, 1.0)[::5, AHEAD] / 1.6)
    assert found.std() < 0.1


def test_an_uplift_that_nobody_stated_is_learned_from_one_occurrence():
    stated, unknown = (forecast(with_event(past={20: 2.5}, expected=uplift))[:, AHEAD].mean() for uplift in (1.0, 0.0))
    assert stated < 215.0
    assert unknown == pytest.approx(100.0 * 2.5 ** (1 / (1 + 0.15**2 / 0.5**2)), rel=0.01)
    assert forecast(with_event(expected=0.0))[:, AHEAD].mean() == pytest.approx(100.0)


def test_two_names_of_the_same_days_share_one_effect():
    panel = with_event(past={10: 2.0, 30: 2.0}, noise=2.0, expected=0.0)
    event = panel.events["black friday"]
    found = forecast(replace(panel, events={"black friday": event, "cyber week": event}))
    assert found[:, AHEAD].mean() == pytest.approx(200.0, rel=0.05)


@pytest.mark.parametrize("rows", [1, 150])
def test_effects_do_not_depend_on_the_blocks_of_series(rows, monkeypatch):
    """Events of ten periods and three categories; sums of many numbers have rounding errors."""
    panel = with_event(weeks=60, past=dict.fromkeys((*range(8, 18), *range(40, 50)), 1.7), noise=9.0, only=20)
    demand = np.where(np.random.default_rng(5).random(panel.demand.shape) < 0.05, np.nan, panel.demand)
    late = with_event(weeks=60, past={30: 1.2}, only=10).events["black friday"]
    series = panel.series.assign(**{c.CATEGORY: list("abc") * 10})
    events = panel.events | {"late": late}
    panel = replace(panel, demand=demand, sold=demand, series=series, events=events)
    levels, forecast = [0.1, 0.5, 0.9], MovingAverage().predict(panel, [0.1, 0.5, 0.9])

    def found():
        effects = event_effects(panel)
        without, on = effects.without(panel), effects.on(forecast, levels)
        arrays = (without.demand, without.sold, on.mean, on.quantiles, effects.ahead(effects.deviation, 0.0))
        return [values.tobytes() for values in arrays]

    whole = found()
    monkeypatch.setattr("tasks.storage.mapped.BLOCK_ROWS", rows)
    assert found() == whole
