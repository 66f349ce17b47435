from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.panel import Fold, Forecast
from schemas.settings import Settings
from tasks.evaluation.backtest.split import attach_actuals
from tasks.evaluation.comparison import compare
from tasks.evaluation.metrics.level_losses import Origin
from tasks.evaluation.selection.reconcile import NAME, ReconciliationRule, _errors, reconcile
from tasks.forecasting.combine.aggregates import hierarchy_of

SOURCES = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
SERIES, KNOWN, HORIZON = 6, 60, 4
CUTOFFS = (48, 52, 56)
LEVEL = np.array([[10.0], [20.0], [30.0], [5.0], [0.0], [15.0]])


class Factor:
    """Forecasts the mean of the known demand of every aggregate, times a factor."""

    name = "factor"

    def __init__(self, factor):
        self._factor = factor

    def fit(self, panel, seed):
        return self

    def predict(self, panel, quantiles):
        mean = np.repeat(np.nanmean(panel.demand, axis=1, keepdims=True), panel.horizon, axis=1) * self._factor
        return Forecast(mean, np.repeat(mean[..., None], len(quantiles), axis=2))


def settings_of(method):
    return Settings(
        name="t",
        horizon=HORIZON,
        inventory={"review_period": 4},
        sources=SOURCES,
        models={"xgboost": {}},
        reconciliation={"method": method},
    )


@pytest.fixture
def panel(panel_of):
    keys = [(f"s{number // 3}", f"c{number % 3}") for number in range(SERIES)]
    demand = np.repeat(LEVEL, KNOWN, axis=1)
    demand[1, 57] = np.nan
    panel = panel_of(demand, horizon=HORIZON, keys=keys)
    panel.closed[0, KNOWN + 1] = True
    return panel


@pytest.fixture
def folds(panel):
    return [Fold(pd.Timestamp(panel.periods[known]), known) for known in CUTOFFS]


@pytest.fixture
def forecasts(panel, quantiles):
    """All models are a fifth too low, the baselines by half; closed periods are forecast as 0."""
    random = np.random.default_rng(5)
    tables = []
    for model, factor in (("xgboost", 0.8), ("seasonal_naive", 0.5), ("moving_average", 0.5)):
        for known in (*CUTOFFS, KNOWN):
            ahead = slice(known, known + HORIZON)
            mean = np.repeat(LEVEL, HORIZON, axis=1) * factor * random.uniform(0.95, 1.05, (SERIES, HORIZON))
            mean[panel.closed[:, ahead]] = 0.0
            table = panel.series.iloc[np.repeat(np.arange(SERIES), HORIZON)].reset_index(drop=True)
            table = table.assign(
                **{c.CUTOFF: panel.periods[known], c.DATE: np.tile(panel.periods[ahead], SERIES), c.MODEL: model}
            )
            table[c.MEAN] = mean.ravel()
            tables.append(table.assign(**{c.quantile_column(q): mean.ravel() * (0.5 + q) for q in quantiles}))
    return tables


@pytest.fixture
def split(forecasts, panel, quantiles):
    return attach_actuals(pd.concat(forecasts, ignore_index=True), panel, panel.horizon_periods[0], quantiles)


@pytest.fixture
def champions(panel):
    return panel.series.assign(**{c.MODEL: "xgboost", c.WHY: "Least loss."})


def live_of(found, column=c.MEAN):
    rows = found.split.live[found.split.live[c.MODEL] == NAME]
    return rows[column].to_numpy().reshape(SERIES, HORIZON)


def test_by_default_nothing_changes(split, champions, panel, folds, forecasts):
    found = reconcile(split, champions, panel, folds, settings_of("none"), [Factor(1.0)])
    assert found.split is split
    assert found.champions is champions
    assert (found.method, found.note, len(found.losses)) == ("none", "", 0)
    assert NAME not in set(compare(forecasts, panel, folds, settings_of("none")).forecast[c.MODEL])


def test_top_down_brings_the_series_to_the_total(split, champions, panel, folds):
    found = reconcile(split, champions, panel, folds, settings_of("top_down"), [Factor(1.0)])
    assert live_of(found).sum(axis=0) == pytest.approx(np.full(HORIZON, LEVEL.sum()))
    assert found.champions[c.MODEL].unique().tolist() == [NAME]
    assert found.champions[c.WHY][0] == "Forecast of xgboost, reconciled by top_down. Least loss."
    assert list(found.split.backtest.columns) == list(split.backtest.columns)
    assert len(found.split.backtest) == len(split.backtest) + 3 * SERIES * HORIZON


@pytest.mark.parametrize("method", ["top_down", "mint"])
def test_quantiles_keep_their_order_and_closed_periods_are_zero(method, split, champions, panel, folds, quantiles):
    found = reconcile(split, champions, panel, folds, settings_of(method), [Factor(0.1)])
    spread = np.stack([live_of(found, name) for name in c.quantile_columns(quantiles)], axis=2)
    assert (np.diff(spread, axis=2) >= 0).all()
    assert spread.min() >= 0
    assert live_of(found).min() >= 0
    assert live_of(found)[0, 1] == 0
    assert spread[0, 1].max() == 0
    # The median moves with the mean.
    kept = live_of(found) > 0
    assert spread[..., 2][kept] == pytest.approx(live_of(found)[kept])


def test_mint_draws_stores_and_categories_to_their_own_forecasts(split, champions, panel, folds):
    found = reconcile(split, champions, panel, folds, settings_of("mint"), [Factor(1.0)])
    before = split.live[split.live[c.MODEL] == "xgboost"][c.MEAN].to_numpy().reshape(SERIES, HORIZON)
    for column in (c.STORE_ID, c.CATEGORY, "overall"):
        members = hierarchy_of(panel.series).level(column)
        wanted, open_days = members @ LEVEL, [0, 2, 3]
        off, was_off = (np.abs(members @ mean - wanted)[:, open_days].sum() for mean in (live_of(found), before))
        assert off < 0.1 * was_off


def test_each_aggregate_uses_the_model_with_the_smallest_error(split, champions, panel, folds):
    both, one = (
        reconcile(split, champions, panel, folds, settings_of("top_down"), [*worse, Factor(1.0)])
        for worse in ([Factor(0.5)], [])
    )
    assert np.array_equal(live_of(both), live_of(one))


def test_auto_uses_what_helps_on_the_folds_and_notes_it(split, champions, panel, folds):
    found = reconcile(split, champions, panel, folds, settings_of("auto"), [Factor(1.0)])
    assert found.method in ("top_down", "mint")
    assert found.note.startswith(f"Reconciliation (auto): {found.method} used. Loss on the folds, before -> after")
    assert set(found.losses[c.LEVEL]) == {"series", "store", "category", "overall"}
    assert (found.losses[c.LOSS_AFTER] < found.losses[c.LOSS_BEFORE]).all()


def test_auto_uses_nothing_that_would_be_worse(split, champions, panel, folds):
    found = reconcile(split, champions, panel, folds, settings_of("auto"), [Factor(0.4)])
    assert found.method == "none"
    assert found.split is split
    assert "no method used" in found.note


def test_a_fold_is_not_reconciled_with_its_own_actuals(split, champions, panel, folds):
    changed = panel.demand.copy()
    changed[:, CUTOFFS[-1] :] = 777.0
    rows = {}
    for name, given in (("as it was", panel), ("changed", replace(panel, demand=changed))):
        for method in ("top_down", "mint"):
            found = reconcile(split, champions, given, folds, settings_of(method), [Factor(1.0)]).split.backtest
            own = found[found[c.MODEL].eq(NAME) & found[c.CUTOFF].eq(folds[-1].cutoff)]
            rows[name, method] = own[c.MEAN].to_numpy()
    for method in ("top_down", "mint"):
        assert np.array_equal(rows["as it was", method], rows["changed", method])


def test_without_a_level_above_or_a_fold_a_note_says_so(split, champions, panel, folds):
    found = reconcile(split, champions, panel, [], settings_of("mint"), [Factor(1.0)])
    assert (found.method, found.split) == ("none", split)
    assert "not done" in found.note


def test_mint_is_not_used_above_its_limit_of_series(split, champions, panel, folds):
    rule = ReconciliationRule(mint_most_series=SERIES - 1)
    found = reconcile(split, champions, panel, folds, settings_of("mint"), [Factor(1.0)], rule)
    assert found.method == "none"
    assert "6 series exceed the limit of MinT (5)" in found.note
    used = reconcile(split, champions, panel, folds, settings_of("auto"), [Factor(1.0)], rule)
    assert used.method == "top_down"


def test_a_whole_comparison(forecasts, panel, folds):
    found = compare(forecasts, panel, folds, settings_of("mint"), forecasters=[Factor(1.0)])
    champion = found.forecast[found.forecast[c.CHAMPION]]
    assert champion[c.MODEL].unique().tolist() == [NAME]
    assert len(champion) == SERIES * HORIZON
    assert found.overall[c.MODEL].iloc[0] == NAME
    assert NAME in set(found.metrics[c.MODEL])
    assert found.notes[0].startswith("Reconciliation (mint): mint used.")


def test_auto_needs_the_least_gain(split, champions, panel, folds):
    rule = ReconciliationRule(least_gain=0.99)
    assert reconcile(split, champions, panel, folds, settings_of("auto"), [Factor(1.0)], rule).method == "none"


def test_errors_of_series_and_aggregates_by_hand():
    hierarchy = hierarchy_of(pd.DataFrame({c.STORE_ID: ["1", "2", "2"], c.CATEGORY: "x"}))
    actual = np.array([[1.0, np.nan], [np.nan, np.nan], [5.0, 5.0]])
    mean = np.array([[4.0, 9.0], [7.0, 7.0], [6.0, 7.0]])
    above = np.repeat((hierarchy.members @ np.array([1.0, 7.0, 5.0]))[:, None], 2, axis=1)[None]
    fold = Origin(
        pd.Timestamp("2024-01-01"), pd.date_range("2024-01-01", periods=2), mean, mean[..., None], actual, above
    )
    found, series = _errors([fold], hierarchy)
    # A series without a known actual has no error.
    np.testing.assert_allclose(series, [3.0, 0.0, np.sqrt((1 + 4) / 2)])
    # The unknown second period of store 1 counts as its forecast of 9, 8 units above the aggregate's forecast.
    expected = np.sqrt((hierarchy.members @ np.array([8.0, 0.0, 0.0])) ** 2 / 2)
    np.testing.assert_allclose(found, expected[None])
