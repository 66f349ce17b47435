from __future__ import annotations

import numpy as np
import pytest

from tasks.demand.features.windows import RunningSums, divide, ewm_means, last_known, next_known


def test_a_window_skips_unknown_values_and_never_reads_its_end():
    values = np.array([[1.0, np.nan, 3.0, 100.0]])
    sums = RunningSums(values)
    assert sums.mean(np.array([0]), np.array([3]), 3)[0] == 2.0
    assert np.isnan(sums.mean(np.array([0]), np.array([2]), 1)[0])
    assert np.isnan(sums.mean(np.array([0]), np.array([0]), 5)[0])


def test_a_stride_reads_the_same_position_of_earlier_seasons():
    values = np.arange(20.0)[None]
    total, count = RunningSums(values, stride=7).total_and_count(np.array([0, 0]), np.array([20, 4]), 2)
    assert total.tolist() == [19 + 12, 3]
    assert count.tolist() == [2, 1]


def test_running_sums_agree_with_plain_slices():
    rng = np.random.default_rng(2)
    values = np.where(rng.random((3, 30)) < 0.3, np.nan, rng.random((3, 30)))
    sums = RunningSums(values)
    for end in range(1, 31):
        window = values[:, max(0, end - 5) : end]
        expected = [np.nanmean(row) if np.isfinite(row).any() else np.nan for row in window]
        assert np.allclose(sums.mean(np.arange(3), np.full(3, end), 5), expected, equal_nan=True)


def test_an_exponential_mean_halves_weights_after_its_half_life():
    found = ewm_means(np.array([[4.0, np.nan, 8.0]]), half_life=1.0)
    assert np.isnan(found[0, 0])
    assert found[0, 1] == 4.0
    # Weights 1/4 for the 4 (two periods ago), 1 for the 8.
    assert found[0, 3] == pytest.approx((4 / 4 + 8) / 1.25)


def test_last_and_next_flag():
    flags = np.array([[False, True, False]])
    assert last_known(flags).tolist() == [[-1, -1, 1, 1]]
    assert next_known(flags).tolist() == [[1, 1, 3]]


def test_a_quotient_by_zero_is_unknown():
    assert np.isnan(divide(np.array([1.0]), np.array([0.0]))[0])
