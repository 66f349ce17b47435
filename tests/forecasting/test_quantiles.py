"""The shared quantile rules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from tasks.forecasting.quantiles import (
    from_normal,
    from_residuals,
    from_samples,
    mean_of_quantiles,
    normal_scores,
    quantiles_of_many,
    residual_scores,
    row_quantiles,
    tidy,
)

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


@given(arrays(np.float64, (3, 4, 5), elements=st.floats(-1e6, 1e6)), arrays(np.bool_, (3, 4)))
def test_tidy_quantiles_never_cross_and_are_never_negative(quantiles, closed):
    mean, tidied = tidy(quantiles[:, :, 2], quantiles, closed)
    assert (mean >= 0).all()
    assert (tidied >= 0).all()
    assert (np.diff(tidied, axis=2) >= 0).all()
    assert (tidied[closed] == 0).all()


def test_normal_quantiles_agree_with_scipy():
    assert normal_scores(LEVELS) == pytest.approx(norm.ppf(LEVELS))
    found = from_normal(np.array([10.0]), np.array([2.0]), LEVELS)
    assert found[0] == pytest.approx(norm.ppf(LEVELS, 10, 2))


def test_sample_quantiles_agree_with_numpy():
    samples = np.random.default_rng(0).normal(size=(200, 3))
    assert np.allclose(from_samples(samples, LEVELS)[1], np.quantile(samples[:, 1], LEVELS))


@pytest.mark.parametrize("block", [1, 7, 5_000])
def test_quantiles_of_many_numbers_are_those_of_numpy(block, monkeypatch):
    rng = np.random.default_rng(3)
    values = rng.normal(size=4_000) * 10.0 ** rng.integers(-9, 9, 4_000)
    values[::3], values[1::7], values[2] = 0.0, -1.5, -0.0
    levels = (0.0, 0.01, *LEVELS, 0.999, 1.0)
    expected = np.quantile(values, levels)
    monkeypatch.setattr("tasks.storage.mapped.BLOCK_ROWS", block)
    if block == 1:
        values, expected = values[:50], np.quantile(values[:50], levels)
    assert quantiles_of_many(values, levels).tolist() == expected.tolist()


@given(arrays(np.float64, (4, 9), elements=st.one_of(st.floats(-1e3, 1e3), st.just(np.nan))))
def test_row_quantiles_agree_with_numpy(values):
    found = row_quantiles(values, LEVELS)
    for row, got in zip(values, found, strict=True):
        if np.isfinite(row).any():
            assert got == pytest.approx(np.nanquantile(row, LEVELS), abs=1e-9)
        else:
            assert np.isnan(got).all()


def test_normal_residuals_give_normal_scores():
    residuals = np.random.default_rng(0).normal(0, 5, 20_000)
    assert residual_scores(residuals, LEVELS) == pytest.approx(norm.ppf(LEVELS), abs=0.03)


def test_skewed_residuals_put_the_median_below_the_mean():
    residuals = np.random.default_rng(0).exponential(1, 2_000) - 1
    found = from_residuals(np.array([3.0]), np.array([1.0]), residuals, LEVELS)
    assert found[0, 2] == pytest.approx(3 + np.log(2) - 1, abs=0.05)


def test_one_extreme_residual_counts_as_six_deviations():
    residuals = np.r_[np.zeros(99), 1e6]
    expected = 100 / 120 * 0.901 * 6 + 20 / 120 * norm.ppf(0.999)
    assert residual_scores(residuals, [0.999])[0] == pytest.approx(expected)


def test_without_residuals_the_shape_is_normal():
    assert residual_scores(np.array([np.nan]), LEVELS) == pytest.approx(norm.ppf(LEVELS))
    assert residual_scores(np.zeros(5), LEVELS) == pytest.approx(norm.ppf(LEVELS))


def test_the_mean_of_quantiles_is_that_of_the_distribution():
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    exponential = -np.log(1.0 - np.array(levels)) * 20.0
    assert mean_of_quantiles(exponential, levels) == pytest.approx(20.0, rel=0.05)
    lognormal = 10.0 * np.exp(0.6 * normal_scores(levels))
    assert mean_of_quantiles(lognormal, levels) == pytest.approx(10.0 * np.exp(0.18), rel=0.05)
    assert mean_of_quantiles(np.zeros(5), levels) == 0.0
    assert mean_of_quantiles(np.array([7.0]), [0.5]) == 7.0
