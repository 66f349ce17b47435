"""Arrays of a problem by store and period."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tasks.inventory.model.network import Network, is_whole
from tasks.inventory.solve import solve
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


@pytest.mark.parametrize("stores", [1, 3])
def test_a_large_network_reads_its_paths_by_store_with_equal_results(
    monkeypatch: pytest.MonkeyPatch, stores: int
) -> None:
    problem = problem_of(stores, 3, 14, paths=6, capacity=40, holding_cost=0.3, transit=1)
    settings = problem.settings.model_copy(update={"policies": ["eoq", "s_S", "marginal_value", "genetic"]})
    problem = replace(problem, settings=settings)
    assert problem.paths is not None
    whole = solve(problem)
    # One series after another in two bytes per number, as a weekly run draws them.
    small = problem.paths.transpose(1, 0, 2).astype(np.uint16).transpose(1, 0, 2)
    monkeypatch.setattr("tasks.inventory.model.network.KEPT_NUMBERS", 0)
    parts = solve(replace(problem, paths=small))
    pd.testing.assert_frame_equal(whole.costs, parts.costs, check_exact=True)
    np.testing.assert_array_equal(whole.bound.per_store, parts.bound.per_store)
    for name, evaluation in whole.evaluations.items():
        np.testing.assert_array_equal(evaluation.plan.levels, parts.evaluations[name].plan.levels)
        np.testing.assert_array_equal(evaluation.plan.visits, parts.evaluations[name].plan.visits)
