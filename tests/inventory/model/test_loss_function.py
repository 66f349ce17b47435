"""Quantiles of the demand until the next delivery, and lead-time lost sales: hand examples and second sources."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tasks.inventory.model.loss_function import (
    MEANS,
    RATIOS,
    TAILS,
    excess_of_lengths,
    lead_time_lost_sales,
    outlook_of,
    tail_table,
)
from tests.inventory.conftest import problem_of

ROWS = np.arange(2)
TAIL = 1 / (1 + np.exp(-np.linspace(4.5, -9.0, 32)))


def row(mean: int, ratio: int) -> tuple[np.ndarray, float, float]:
    """Row of the table with its mean and its ratio of variance to mean."""
    return tail_table()[mean * RATIOS + ratio], 1e-3 * 10 ** (mean / 24), 0.05 * 10 ** (ratio / 8)


def test_units_are_exceeded_with_at_most_the_tail_probability() -> None:
    few, above = np.arange(0, 120, 4)[:, None], np.arange(11, RATIOS, 3)[None, :]  # means below 100, ratios above 1
    units = tail_table()[few * RATIOS + above]
    mean, ratio = 1e-3 * 10 ** (few / 24)[..., None], 0.05 * 10 ** (above / 8)[..., None]
    demand = stats.nbinom(mean / (ratio - 1), 1 / ratio)
    np.testing.assert_allclose(demand.mean(), mean * np.ones_like(ratio))
    np.testing.assert_allclose(demand.var(), mean * ratio)
    assert (demand.sf(units) <= TAIL + 1e-12).all()
    assert (demand.sf(units - 1) > TAIL - 1e-12).all()


def test_demand_of_mean_and_variance_1_exceeds_3_units_with_2_and_2_units_with_8_percent() -> None:
    units, mean, _ = row(72, 11)
    assert mean == pytest.approx(1.0)
    assert np.interp(0.05, TAIL[::-1], units[::-1]) == pytest.approx(3, abs=0.5)


@pytest.mark.parametrize(("mean", "ratio"), [(100, 5), (150, 5), (150, 25), (192, 42)])
def test_many_units_and_small_variances_follow_a_gamma_distribution(mean: int, ratio: int) -> None:
    units, m, r = row(mean, ratio)
    exact = stats.gamma(m / r, scale=r).isf(TAIL)
    np.testing.assert_allclose(units, exact if m >= 100 else np.ceil(exact - 0.5), rtol=1e-6)


def test_the_table_has_a_row_for_every_mean_and_ratio() -> None:
    assert tail_table().shape == (MEANS * RATIOS, TAILS) == (193 * 43, 32)
    assert (np.diff(tail_table(), axis=1) >= 0).all()


def test_outlook_by_hand() -> None:
    problem = replace(
        problem_of(1, 2, 3),
        mean=np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0]]),
        price=np.array([[10.0, 20.0, 30.0], [5.0, 5.0, 5.0]]),
    )
    found = outlook_of(problem, ROWS)
    np.testing.assert_array_equal(found.until, [[0, 0], [1, 0], [3, 0], [4, 0]])
    assert found.price.tolist() == [(10 + 40 + 30) / 4, 0.0]
    # Mean 3: row log10(3 / 0.001) * 24 = 83.5 of the means, log10(1 / 0.05) * 8 = 10.4 of the ratios.
    assert found.cell[0, 2, 0] in {83 * RATIOS + 10, 84 * RATIOS + 10}
    assert found.cell[1, 3, 0] == found.cell[0, 2, 0]
    assert found.cell[2, 1, 0] == 0
    assert found.factor[0, 2].tolist() == [1.0, 0.0]
    # Only what deliveries in periods 0 and 1 need: from one to the next, and to the end.
    some = outlook_of(problem, ROWS, np.array([1, 3, 0]))
    needed = np.zeros((3, 4), dtype=bool)
    needed[[0, 1], [1, 3]] = True
    np.testing.assert_array_equal(some.cell, np.where(needed[..., None], found.cell, 0))
    np.testing.assert_array_equal(some.factor, np.where(needed[..., None], found.factor, 0.0))


def test_large_means_are_scaled_from_the_nearest_row() -> None:
    problem = replace(problem_of(1, 2, 3), mean=np.full((2, 3), 37.0))
    found = outlook_of(problem, ROWS)
    for end, mean in ((1, 37.0), (2, 74.0), (3, 111.0)):
        grid = 1e-3 * 10 ** (found.cell[0, end, 0] // RATIOS / 24)
        assert grid == pytest.approx(mean, rel=0.05)
        assert found.factor[0, end, 0] == pytest.approx(mean / grid)
    huge = outlook_of(replace(problem, mean=np.full((2, 3), 1e7)), ROWS)
    assert (huge.cell[0, 1:] // RATIOS == MEANS - 1).all()


def test_excess_dispersion_by_hand() -> None:
    paths = np.array([[[0.0, 2.0], [1.0, 1.0]], [[4.0, 2.0], [1.0, 1.0]]])
    found = excess_of_lengths(replace(problem_of(1, 2, 2), paths=paths), ROWS)
    # Length 1: means 2 and 2, variances 8 and 0, excess (8 + 0 - 4) / 8; the second series has no variance: -2 / 2.
    pooled, weights = (4 - 2) / (8 + 2), np.array([4, 2]) * 2 / 50
    weights = weights / (weights + 20)
    np.testing.assert_allclose(found[1], weights * [0.5, -1.0] + (1 - weights) * pooled)
    # Length 2: sums 2 and 6, mean 4, variance 8; the second series has always 2.
    pooled = (4 - 2) / (16 + 4)
    np.testing.assert_allclose(found[2], weights * [0.25, -0.5] + (1 - weights) * pooled)
    assert found[0].tolist() == [0.0, 0.0]


def test_series_without_demand_have_no_excess() -> None:
    paths = np.zeros((3, 2, 2))
    assert not excess_of_lengths(replace(problem_of(1, 2, 2), paths=paths), ROWS).any()
    paths[:, 0] = [[4.0, 2.0], [0.0, 2.0], [0.0, 2.0]]
    found = excess_of_lengths(replace(problem_of(1, 2, 2), paths=paths), ROWS)
    # A series that never sold has the estimate of its store, which is that of the other series.
    assert found[1, 1] == pytest.approx(found[1, 0])
    assert found[1, 0] != 0


def test_without_paths_demand_is_a_poisson_count() -> None:
    assert not excess_of_lengths(problem_of(1, 2, 5), ROWS).any()


def test_excess_of_every_estimated_length_comes_from_disjoint_intervals() -> None:
    problem = problem_of(1, 1, 60, paths=8)
    found = excess_of_lengths(problem, ROWS[:1])
    for length in (1, 2, 3, 4, 7, 10, 14, 28):
        whole = problem.paths[:, 0, : 60 // length * length].reshape(8, -1, length).sum(axis=2)
        mean, variance = whole.mean(axis=0), whole.var(axis=0, ddof=1)
        assert found[length, 0] == pytest.approx((variance - mean).sum() / (mean**2).sum()), length
    assert (found[29:] == found[28]).all()


def test_excess_between_two_estimated_lengths_is_interpolated() -> None:
    found = excess_of_lengths(problem_of(1, 2, 14, paths=8), ROWS)
    np.testing.assert_allclose(found[5], found[4] + (found[7] - found[4]) / 3)


def lost(demand: list[list[float]], quantile: float, lead: int = 1, transit: list[float] | None = None) -> float:
    paths = np.array(demand)[:, :, None]
    coming = np.array(transit or [])[:, None]
    return float(lead_time_lost_sales(paths, np.array([1.0]), coming, lead, 2, np.array([quantile]))[0])


def test_lead_time_lost_sales_by_hand() -> None:
    # 1 unit on hand, demand 3 and then 2: the order would be 4 if nothing were lost, and 2 units are needed.
    assert lost([[3, 2]], 0.9) == 2
    # 1 + 1 units before the arrival, 1 is lost; 2 more arrive with the order: 5 - 1 - 3 = 1, and nothing is needed.
    assert lost([[3, 2]], 0.9, transit=[1, 2]) == 1
    assert lost([[3, 2]], 0.9, lead=0) == 0
    assert lost([[1, 2]], 0.9) == 0


def test_the_quantile_is_the_smallest_path_that_reaches_it() -> None:
    demand = [[5.0, 2.0], [3.0, 2.0]]
    assert [lost(demand, quantile) for quantile in (0.0, 0.5, 0.51, 1.0)] == [2, 2, 4, 4]
