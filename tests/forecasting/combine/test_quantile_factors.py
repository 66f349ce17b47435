"""Factors on the quantiles' distances: their values, their shrinkage, and that no side is preferred."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.forecasting.combine.quantile_factors import Calibration, calibrate, share_outside

LEVELS = (0.1, 0.5, 0.9)
ROWS = 100_001


def factors_of(units, outside=1.0):
    """Calibration of q0.1 and q0.9 that lie 60 units from a median of 100, all in one bucket."""
    median = np.full(ROWS, 100.0)
    quantiles = median[:, None] + np.array([-60.0, 0.0, 60.0])
    return calibrate(units, quantiles, median, median, np.ones(ROWS, dtype=int), LEVELS, outside)


def with_factors(*factors):
    return Calibration(np.zeros(2), 1, np.tile(factors, (6, 1)))


def test_calibration_gives_each_quantile_its_share_of_the_held_out_rows():
    rng = np.random.default_rng(1)
    median, ground = np.full(6000, 100.0), np.full(6000, 100.0)
    units = median + rng.normal(0.0, 20.0, 6000)
    too_narrow = median[:, None] + np.array([-10.0, 0.0, 10.0])
    step = np.arange(6000) % 4 + 1
    found = calibrate(units, too_narrow, median, ground, step, (0.1, 0.5, 0.9))
    low, middle, high = found.apply(too_narrow, median, ground, step).T
    assert (units < low).mean() == pytest.approx(0.1, abs=0.01)
    assert (units > high).mean() == pytest.approx(0.1, abs=0.01)
    assert np.array_equal(middle, median)


def test_few_windows_are_asked_for_more_than_many():
    units = np.linspace(0.0, 200.0, ROWS)
    # One window and a doubt of half a window: 7.5 % may lie above q0.9, hence a factor of 85 / 60.
    assert share_outside(1, 0.5) == 0.75
    assert factors_of(units, 0.75).factors[0] == pytest.approx([85 / 60, 1.0, 85 / 60], rel=1e-3)
    assert share_outside(10**6, 0.5) == pytest.approx(1.0)
    assert factors_of(units).factors[0] == pytest.approx([80 / 60, 1.0, 80 / 60], rel=1e-3)


def test_one_window_is_believed_by_half():
    assert with_factors(1.44, 1.0, 0.81).damped(1).factors[0] == pytest.approx([1.2, 1.0, 0.9])
    assert with_factors(1.44, 1.0, 0.81).damped(10**6).factors[0] == pytest.approx([1.44, 1.0, 0.81], rel=1e-4)


def test_a_window_that_went_one_way_widens_both_sides_and_many_windows_their_own():
    # All sales lie 40 units higher than forecast: from 40 to 240 around a median of 100.
    found = factors_of(np.linspace(40.0, 240.0, ROWS))
    assert found.factors[0] == pytest.approx([0.8, 1.0, 2.0], rel=1e-3)
    assert found.balanced(LEVELS, 1).factors[0] == pytest.approx([1.6**0.5, 1.0, 1.6**0.5], rel=1e-3)
    two = found.balanced(LEVELS, 2).factors[0]
    assert two == pytest.approx([(0.8**0.75 * 2.0**0.25), 1.0, 2.0**0.75 * 0.8**0.25], rel=1e-3)
    assert found.balanced(LEVELS, 10**6).factors[0] == pytest.approx([0.8, 1.0, 2.0], rel=1e-3)


def test_widening_is_believed_in_full_and_narrowing_by_what_the_windows_are_worth():
    assert with_factors(1.44, 1.0, 1.44).balanced(LEVELS, 1).factors[0] == pytest.approx([1.44, 1.0, 1.44])
    assert with_factors(0.81, 1.0, 0.81).balanced(LEVELS, 1).factors[0] == pytest.approx([0.9, 1.0, 0.9])


def test_a_level_without_a_mirror_keeps_its_factor():
    calibration = Calibration(np.zeros(2), 1, np.tile([1.2, 1.0, 1.5, 1.6], (6, 1)))
    found = calibration.balanced((0.1, 0.5, 0.8, 0.9), 1)
    assert found.factors[0] == pytest.approx([(1.2 * 1.6) ** 0.5, 1.0, 1.5, (1.2 * 1.6) ** 0.5])


def test_a_side_that_tells_nothing_leaves_the_other_alone():
    # Nothing is expected, and q0.1 is 0 too: no sale can lie below it.
    units, zero = np.linspace(0.0, 2.0, ROWS), np.zeros(ROWS)
    quantiles = zero[:, None] + np.array([0.0, 0.0, 1.0])
    found = calibrate(units, quantiles, zero, np.ones(ROWS), np.ones(ROWS, dtype=int), LEVELS).balanced(LEVELS, 1)
    assert found.factors[0][2] == pytest.approx(1.8, rel=1e-3)
    moved = found.apply(np.array([[3.0, 5.0, 6.0]]), np.array([5.0]), np.array([1.0]), np.array([1]))
    assert moved[0] == pytest.approx([3.0, 5.0, 6.8], rel=1e-3)


def test_without_held_out_rows_nothing_is_calibrated():
    quantiles = np.array([[1.0, 2.0, 5.0]])
    found = Calibration.none(LEVELS).apply(quantiles, np.array([2.0]), np.array([2.0]), np.array([1]))
    assert np.array_equal(found, quantiles)
