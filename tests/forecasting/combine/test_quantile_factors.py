"""Factors on the quantiles' distances: their values, their shrinkage, and that no side is preferred."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.forecasting.combine.quantile_factors import calibration_factors, scaled, share_outside

LEVELS = (0.1, 0.5, 0.9)
ROWS = 100_001


MANY = 10**6


def factors_of(units, windows=MANY, levels=LEVELS):
    """Factors of outer quantiles that lie 60 units from a median of 100."""
    median = np.full(ROWS, 100.0)
    quantiles = median[:, None] + 60.0 * np.sign(np.array(levels) - 0.5)
    return calibration_factors(units, quantiles, median, levels, windows)


def test_calibration_gives_each_quantile_its_share_of_the_held_out_rows():
    rng = np.random.default_rng(1)
    median = np.full(6000, 100.0)
    units = median + rng.normal(0.0, 20.0, 6000)
    too_narrow = median[:, None] + np.array([-10.0, 0.0, 10.0])
    low, middle, high = scaled(
        too_narrow, median, calibration_factors(units, too_narrow, median, (0.1, 0.5, 0.9), MANY)
    ).T
    assert (units < low).mean() == pytest.approx(0.1, abs=0.01)
    assert (units > high).mean() == pytest.approx(0.1, abs=0.01)
    assert np.array_equal(middle, median)


def test_few_windows_are_asked_for_more_than_many_and_move_less():
    assert share_outside(1, 0.5) == 0.75
    # One window and a prior of a third: 8 % of the rows may lie above q0.9.
    assert share_outside(1, 1 / 3) == pytest.approx(0.8)
    for units, one, many in (
        (np.linspace(0.0, 200.0, ROWS), 84 / 60, 80 / 60),
        (np.linspace(70.0, 130.0, ROWS), 25.2 / 60, 24 / 60),
    ):
        assert factors_of(units, 1) == pytest.approx([one ** (1 / 3), 1.0, one ** (1 / 3)], rel=1e-3)
        assert factors_of(units) == pytest.approx([many, 1.0, many], rel=1e-3)


def test_both_sides_share_what_is_outside():
    # All sales lie 40 units higher than forecast, from 40 to 240: 20 % of the rows on two sides of 10 % each.
    assert factors_of(np.linspace(40.0, 240.0, ROWS)) == pytest.approx([100 / 60, 1.0, 100 / 60], rel=1e-3)
    # A level without a mirror level has its own rows alone.
    assert factors_of(np.linspace(40.0, 240.0, ROWS), levels=(0.5, 0.9)) == pytest.approx([1.0, 120 / 60], rel=1e-3)


def test_a_side_that_tells_nothing_leaves_the_other_alone():
    # Nothing is expected, and q0.1 is 0 too: no sale can lie below it.
    units, zero = np.linspace(0.0, 2.0, ROWS), np.zeros(ROWS)
    quantiles = zero[:, None] + np.array([0.0, 0.0, 1.0])
    factors = calibration_factors(units, quantiles, zero, LEVELS, MANY)
    assert factors[2] == pytest.approx(1.8, rel=1e-3)
    moved = scaled(np.array([[0.0, 5.0, 6.0]]), np.array([5.0]), factors)
    assert moved[0] == pytest.approx([0.0, 5.0, 6.8], rel=1e-3)
