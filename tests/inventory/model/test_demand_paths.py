"""Sample paths: quantiles and mean of the forecast, dependence of errors, draws seeded by names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from tasks.inventory.model.demand_paths import (
    _SCORE,
    Correlation,
    OwnPaths,
    _lag_correlation,
    _scores,
    correlation_of,
    draw_paths,
)

LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9]
ALONE = Correlation(0.0, 0.0, 0.0)


def one(mean: float, quantiles: list[float], paths: int = 4000, correlation: Correlation = ALONE, periods: int = 2):
    values = np.broadcast_to(np.array(quantiles), (1, periods, len(quantiles)))
    return draw_paths(np.full((1, periods), mean), values, LEVELS, [("a", "x")], correlation, paths, 7)


def test_paths_are_whole_and_follow_quantiles_and_mean():
    drawn = one(102.0, [60.0, 80.0, 100.0, 120.0, 150.0])
    assert (drawn == np.floor(drawn)).all()
    assert (drawn >= 0).all()
    np.testing.assert_allclose(np.quantile(drawn, LEVELS), [60, 80, 100, 120, 150], atol=2.5)
    assert drawn.mean() == pytest.approx(102, rel=0.02)


@pytest.mark.parametrize(("factor", "kind"), [(1.0, np.uint16), (1e3, np.uint32), (1e8, np.float64)])
def test_paths_take_as_few_bytes_as_hold_their_units(factor, kind):
    # The second series has the units of the first times the factor, in the same block or in a later one.
    quantiles = np.array([60.0, 80.0, 100.0, 120.0, 150.0]) * np.array([1.0, factor])[:, None]
    mean = np.repeat([[100.0], [100.0 * factor]], 2, axis=1)
    names = [("a", "x"), ("a", "y")]
    drawn = draw_paths(mean, np.repeat(quantiles[:, None], 2, axis=1), LEVELS, names, ALONE, 50, 7)
    assert drawn.dtype == kind
    assert drawn.shape == (50, 2, 2)
    np.testing.assert_allclose(drawn[:, 1].mean(), 100 * factor, rtol=0.1)


@pytest.mark.parametrize("mean", [110.0, 125.0])
def test_a_mean_above_that_of_the_quantiles_is_reached_by_a_longer_tail(mean):
    drawn = one(mean, [60.0, 80.0, 100.0, 120.0, 150.0], paths=20000)
    assert drawn.mean() == pytest.approx(mean, rel=0.02)
    np.testing.assert_allclose(np.quantile(drawn, LEVELS), [60, 80, 100, 120, 150], atol=2.5)


def test_a_slow_style_has_its_mean_demand_although_its_quantiles_are_zero():
    drawn = one(0.05, [0.0] * 5, paths=20000)
    assert drawn.mean() == pytest.approx(0.05, rel=0.1)
    assert (drawn == 0).mean() > 0.9


def test_errors_are_persistent_autoregressive_and_have_common_factors():
    names = [("a", "x"), ("a", "y"), ("b", "x")]
    quantiles = np.broadcast_to([60.0, 80.0, 100.0, 120.0, 140.0], (3, 8, 5))
    drawn = draw_paths(np.full((3, 8), 100.0), quantiles, LEVELS, names, Correlation(0.3, 0.5, 0.4, 0.1), 4000, 1)
    flat = np.corrcoef(drawn[:, 0].T)
    assert flat[0, 1] == pytest.approx(0.3 + 0.7 * 0.5, abs=0.06)
    assert flat[0, 7] == pytest.approx(0.3, abs=0.06)
    assert np.corrcoef(drawn[:, 0, 0], drawn[:, 1, 0])[0, 1] == pytest.approx(0.4, abs=0.06)
    assert np.corrcoef(drawn[:, 0, 0], drawn[:, 2, 0])[0, 1] == pytest.approx(0.1, abs=0.06)


def test_the_draws_of_a_series_depend_on_its_name_not_on_its_position():
    names = [("a", "x"), ("b", "y"), ("b", "z")]
    quantiles = np.broadcast_to([1.0, 2.0, 3.0, 4.0, 5.0], (3, 4, 5))
    mean = np.full((3, 4), 3.0)
    all_of_them = draw_paths(mean, quantiles, LEVELS, names, Correlation(), 6, 7)
    last = draw_paths(mean[:1], quantiles[:1], LEVELS, names[2:], Correlation(), 6, 7)
    np.testing.assert_array_equal(all_of_them[:, 2], last[:, 0])
    other_seed = draw_paths(mean, quantiles, LEVELS, names, Correlation(), 6, 8)
    assert (other_seed != all_of_them).any()


def folds_of(drawn: np.ndarray) -> pd.DataFrame:
    """Fold rows with one fold per path."""
    periods = drawn.shape[2]
    fold, series, period = (index.ravel() for index in np.indices(drawn.shape))
    frame = pd.DataFrame(
        {
            "cutoff": pd.Timestamp("2024-01-01") + pd.to_timedelta(fold * periods, unit="D"),
            "store_id": [f"s{i // 4}" for i in series],
            "category": [f"c{i % 4}" for i in series],
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(fold * periods + period, unit="D"),
            "actual": drawn.ravel(),
        }
    )
    for level, value in zip(LEVELS, [60.0, 80.0, 100.0, 120.0, 140.0], strict=True):
        frame[f"q{level:g}"] = value
    return frame


@pytest.mark.parametrize("network", [0.0, 0.25])
def test_correlation_is_recovered_from_folds(network):
    truth = Correlation(0.3, 0.5, 0.4, network)
    names = [(f"s{i // 4}", f"c{i % 4}") for i in range(40)]
    quantiles = np.broadcast_to([60.0, 80.0, 100.0, 120.0, 140.0], (40, 10, 5))
    drawn = draw_paths(np.full((40, 10), 100.0), quantiles, LEVELS, names, truth, 30, 3)
    found = correlation_of(folds_of(drawn).sample(frac=1.0, random_state=1), LEVELS)
    assert found.persistent == pytest.approx(0.3, abs=0.12)
    assert found.autoregressive == pytest.approx(0.5, abs=0.15)
    assert found.common == pytest.approx(0.4, abs=0.12)
    assert found.network == pytest.approx(network, abs=0.08)


def test_too_few_folds_give_the_defaults():
    empty = folds_of(np.zeros((1, 4, 3))).assign(actual=np.nan)
    assert correlation_of(empty, LEVELS) == Correlation()


def test_a_models_own_paths_give_the_order_and_the_forecast_the_quantiles():
    names = [("a", "x"), ("a", "y")]
    quantiles = np.broadcast_to([60.0, 80.0, 100.0, 120.0, 140.0], (2, 6, 5))
    mean = np.full((2, 6), 100.0)
    # Paths that cross in the middle: low ones become high.
    ramp = np.arange(400.0)
    own = np.concatenate([np.tile(ramp, (3, 1)), np.tile(-ramp, (3, 1))])
    chosen = [OwnPaths({0: own}, 5, from_end) for from_end in (False, True)]
    first, last = (draw_paths(mean, quantiles, LEVELS, names, ALONE, 200, 5, paths) for paths in chosen)
    without = draw_paths(mean, quantiles, LEVELS, names, ALONE, 200, 5)
    np.testing.assert_array_equal(first[:, 1], without[:, 1])
    flat = np.corrcoef(first[:, 0].T)
    assert flat[0, 2] > 0.99
    assert flat[0, 5] < -0.99
    both = np.concatenate([first, last])[:, 0]
    # Each of 400 paths once: the quantiles are nearly exact.
    np.testing.assert_allclose(np.quantile(both, LEVELS, axis=0).T, np.tile([60, 80, 100, 120, 140], (6, 1)), atol=2)


def test_model_paths_are_reused_and_ties_are_random():
    own = OwnPaths({3: np.zeros((4, 10))}, 1, from_end=False)
    found = own.probabilities(3, ("a", "x"), 25)
    assert found.shape == (25, 4)
    assert ((found > 0) & (found < 1)).all()
    # Ties: the rank of a path differs between periods.
    assert np.ptp(np.floor(found * 10), axis=1).max() > 0
    np.testing.assert_array_equal(np.floor(found[:5] * 10), np.floor(found[10:15] * 10))


def test_the_score_of_an_actual_is_that_of_the_middle_of_its_interval():
    quantiles = np.tile([10.0, 20.0, 30.0], (5, 1))
    found = _scores(np.array([5.0, 15.0, 20.0, 25.0, 40.0]), quantiles, np.array([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(found, norm.ppf([0.05, 0.3, 0.5, 0.7, 0.95]))


def test_an_actual_on_several_equal_quantiles_lies_in_the_middle_of_them():
    found = _scores(np.array([0.0]), np.array([[0.0, 0.0, 3.0]]), np.array([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(found, norm.ppf([0.45]))


@pytest.mark.parametrize("lag", [1, 2])
def test_autocorrelation_does_not_depend_on_the_scale(lag):
    periods = np.arange(400)
    frame = pd.DataFrame({"cutoff": 0, "store_id": 0, "category": 0, "date": periods})
    for scale in (0.5, 3.0):
        found = _lag_correlation(frame.assign(**{_SCORE: scale * (-1.0) ** periods}), lag)
        assert found == pytest.approx((-1.0) ** lag, abs=0.01)
    assert _lag_correlation(frame.assign(**{_SCORE: 0.0}), lag) is None
    assert _lag_correlation(frame.head(200).assign(**{_SCORE: 1.0}), lag) is None
