"""Arrays of a problem by store and period."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.inventory.model.network import Network, is_whole
from tests.inventory.conftest import problem_of


def test_blocks_of_stores_are_time_major() -> None:
    problem = problem_of(2, 3, 5, paths=4, transit=2)
    network = Network.of(problem)
    assert (network.stores, network.periods, network.paths, network.series) == (2, 5, 4, 6)
    assert network.first.tolist() == [0, 3, 6]
    assert network.series_of(1) == slice(3, 6)
    for store in range(2):
        rows = network.series_of(store)
        np.testing.assert_array_equal(network.demand[store], problem.paths[:, rows].transpose(0, 2, 1))
        np.testing.assert_array_equal(network.price[store], problem.price[rows].T)
    np.testing.assert_array_equal(network.in_transit, problem.in_transit.T)


def test_demand_without_paths_is_the_mean() -> None:
    problem = problem_of(2, 3, 5)
    network = Network.of(problem)
    assert network.paths == 1
    np.testing.assert_array_equal(network.demand[1][0], problem.mean[3:].T)
    assert network.path(0) is network


@pytest.mark.parametrize("path", [0, 2])
def test_one_path_of_several(path: int) -> None:
    network = Network.of(problem_of(2, 3, 5, paths=4))
    one = network.path(path)
    assert one.paths == 1
    for store in range(2):
        np.testing.assert_array_equal(one.demand[store][0], network.demand[store][path])


@pytest.mark.parametrize("name", ["mean", "on_hand", "in_transit", "paths"])
def test_levels_are_whole_only_if_demand_and_stock_are(name: str) -> None:
    problem = problem_of(1, 2, 3, paths=2 * (name == "paths"), transit=1)
    assert is_whole(problem)
    broken = getattr(problem, name).copy()
    broken.flat[0] += 0.5
    assert not is_whole(replace(problem, **{name: broken}))
