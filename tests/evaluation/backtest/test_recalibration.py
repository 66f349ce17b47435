"""Quantiles that were too narrow on the folds are widened, each fold by the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.panel import KnownFeature
from tasks.evaluation.backtest.recalibration import RecalibrationRule, recalibrated, with_calibrated_means


def noisy(backtest_of, folds=8, series=60, horizon=6):
    """A model whose quantiles span less than what was sold around its median."""
    rng = np.random.default_rng(3)
    actual = 100.0 + rng.normal(0.0, 10.0, (folds, series, horizon))
    return backtest_of(actual, {"a": np.full(actual.shape, 100.0)}, spread=20.0, step=horizon)


def live_of(table):
    last = table[table[c.CUTOFF] == table[c.CUTOFF].max()]
    days = pd.Timedelta(days=6)
    return last.assign(**{c.DATE: last[c.DATE] + days}).drop(columns=[c.CUTOFF, c.ACTUAL])


def test_narrow_quantiles_are_widened_and_the_rest_stays(backtest_of, quantiles):
    table = noisy(backtest_of)
    past, ahead = recalibrated(table, live_of(table), quantiles)
    assert (past["q0.9"] > table["q0.9"]).all()
    assert (past["q0.1"] < table["q0.1"]).all()
    assert (ahead["q0.9"] > live_of(table)["q0.9"]).all()
    for column in (c.MEAN, c.MEDIAN, c.ACTUAL, c.DATE):
        pd.testing.assert_series_equal(past[column], table[column])
    assert (np.diff(past[c.quantile_columns(quantiles)].to_numpy(), axis=1) >= 0).all()


def test_a_fold_does_not_recalibrate_itself(backtest_of, quantiles):
    table = noisy(backtest_of)
    first = table[c.CUTOFF] == table[c.CUTOFF].min()
    changed = table.assign(**{c.ACTUAL: np.where(first, 5000.0, table[c.ACTUAL])})
    past, again = (recalibrated(rows, live_of(table), quantiles)[0] for rows in (table, changed))
    spread = c.quantile_columns(quantiles)
    pd.testing.assert_frame_equal(past.loc[first, spread], again.loc[first, spread])
    assert not past.loc[~first, spread].equals(again.loc[~first, spread])


def test_few_rows_move_nothing(backtest_of, quantiles):
    table = noisy(backtest_of, folds=2, series=5)
    past, ahead = recalibrated(table, live_of(table), quantiles)
    pd.testing.assert_frame_equal(past, table)
    pd.testing.assert_frame_equal(ahead, live_of(table))


def test_models_are_recalibrated_separately(backtest_of, quantiles):
    table = noisy(backtest_of)
    wide = table.assign(**{c.MODEL: "wide", "q0.1": 50.0, "q0.25": 75.0, "q0.75": 125.0, "q0.9": 150.0})
    both = pd.concat([table, wide], ignore_index=True)
    past, _ = recalibrated(both, live_of(table), quantiles)
    alone, _ = recalibrated(table, live_of(table), quantiles)
    own = past[past[c.MODEL] == "a"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone)
    assert past.loc[past[c.MODEL] == "wide", "q0.9"].mean() < 150.0


def rare(backtest_of, sold, whole=True):
    """Series that sell one unit in this number of the folds' rows, all with a q0.1 of 0.3 and a q0.25 of 0.4."""
    rng = np.random.default_rng(1)
    actual = (rng.random((6, 60, 6)) < sold) * (1.0 if whole else 1.5)
    table = backtest_of(actual, {"a": np.full(actual.shape, 0.8)}, step=6)
    return table.assign(**{"q0.1": 0.3, "q0.25": 0.4, "q0.75": 1.0, "q0.9": 1.5})


@pytest.mark.parametrize("whole", [True, False])
def test_where_units_are_whole_a_lower_quantile_below_one_is_0(backtest_of, quantiles, whole):
    table = rare(backtest_of, 0.85, whole)
    for found in recalibrated(table, live_of(table), quantiles, RecalibrationRule(fewest_rows=10_000)):
        assert found[["q0.1", "q0.25"]].eq(0).all(axis=None) == whole
        assert found["q0.9"].eq(1.5).all()


def test_quantiles_do_not_cross_where_a_higher_one_is_0(backtest_of, quantiles):
    table = rare(backtest_of, 0.5)
    past, _ = recalibrated(table, live_of(table), quantiles)
    assert (past[["q0.1", "q0.25"]] == 0).all().all()
    assert (np.diff(past[c.quantile_columns(quantiles)].to_numpy(), axis=1) >= 0).all()


def test_the_numbers_are_arguments(backtest_of, quantiles):
    table = noisy(backtest_of, folds=2, series=5)
    past, _ = recalibrated(table, live_of(table), quantiles, RecalibrationRule(fewest_rows=20))
    assert (past["q0.9"] > table["q0.9"]).any()


def test_remainders_of_arithmetic_are_0_where_units_are_whole(backtest_of, quantiles):
    """They would otherwise count as forecasts above 0, whose errors persist over the horizon."""
    actual = np.zeros((4, 30, 6))
    actual[:, ::9] = 1.0
    table = backtest_of(actual, {"a": np.full(actual.shape, 1e-7)}, spread=1e-6, step=6)
    past, ahead = recalibrated(table, live_of(table), quantiles)
    columns = c.quantile_columns(quantiles)
    assert (past[columns] == 0).all(axis=None)
    assert (ahead[columns] == 0).all(axis=None)
    tenths = table.assign(**{c.ACTUAL: table[c.ACTUAL] / 10})
    assert (recalibrated(tenths, live_of(table), quantiles)[0]["q0.9"] > 0).all()


def test_means_are_calibrated_by_promotion_state(backtest_of, panel_of):
    """Lognormal demand that a promotion multiplies by four; one model's mean ignores it, the other one knows it."""
    rng = np.random.default_rng(2)
    folds, series, horizon = 5, 200, 6
    promoted = rng.random((series, folds * horizon + horizon)) < 0.2
    level = np.where(promoted, 400.0, 100.0)
    demand = level * rng.lognormal(-0.125, 0.5, level.shape)

    def by_fold(values):
        return values[:, : folds * horizon].reshape(series, folds, horizon).transpose(1, 0, 2)

    panel = panel_of(demand[:, :-horizon], horizon=horizon)
    flag = KnownFeature(promoted.astype(np.float32), np.arange(series))
    panel = replace(panel, known={"promotion_share": flag})
    means = {"blind": np.full((folds, series, horizon), 200.0), "right": by_fold(level)}
    table = backtest_of(by_fold(demand), means, step=horizon)
    past, ahead = with_calibrated_means(table, live_of(table), panel)
    on = np.concatenate([by_fold(promoted).ravel()] * 2)
    for model in means:
        for state in (True, False):
            rows = (past[c.MODEL] == model).to_numpy() & (on == state)
            assert past.loc[rows, c.MEAN].sum() == pytest.approx(past.loc[rows, c.ACTUAL].sum(), rel=0.05)
    expected = np.where(promoted[:, -horizon:], 400.0, 100.0).ravel()
    assert ahead.loc[ahead[c.MODEL] == "blind", c.MEAN].to_numpy() == pytest.approx(expected, rel=0.1)
    pd.testing.assert_frame_equal(past.drop(columns=c.MEAN), table.drop(columns=c.MEAN))


def test_one_window_moves_no_mean(backtest_of, panel_of):
    actual = np.full((1, 60, 6), 100.0)
    table = backtest_of(actual, {"a": actual * 2}, step=6)
    past, ahead = with_calibrated_means(table, live_of(table), panel_of(actual[0], horizon=6))
    assert past[c.MEAN].eq(200.0).all()
    assert ahead[c.MEAN].eq(200.0).all()


@pytest.mark.parametrize("units", [1.0, 6.0])
def test_an_intermittent_series_has_its_rate_as_mean(backtest_of, panel_of, units):
    """A sale every 25 days; one model's quantiles are 0, another one's say that a unit sells every day."""
    demand = np.zeros((20, 230))
    for series in range(20):
        demand[series, series::25] = units
    folds = [demand[:, 200 + start : 206 + start] for start in (0, 6, 12, 18)]
    actual = np.stack(folds)
    table = backtest_of(
        actual, {"never": np.zeros(actual.shape), "daily": np.ones(actual.shape)}, start="2024-07-19", step=6
    )
    panel = panel_of(demand[:, :224], horizon=6)
    past, ahead = with_calibrated_means(table, live_of(table), panel)
    for rows in (past, ahead):
        for model in ("never", "daily"):
            mean = rows[rows[c.MODEL] == model][c.MEAN]
            assert mean.mean() == pytest.approx(0.04 * units, rel=0.1)
            assert mean.min() > 0.02 * units
