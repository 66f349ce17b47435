"""Scarce DC stock under uncertain demand: a part of it is sent with the first deliveries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.inventory.model.level_limits import within_limits
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import simulate, store_measures
from tasks.inventory.policies.newsvendor import NewsvendorPolicy
from tasks.inventory.search.front_load import best_front_load


@pytest.mark.parametrize("holding", [0.0, 0.05])
@pytest.mark.parametrize("share", [0.2, 0.8])
def test_no_path_sends_more_than_the_dc_has_and_no_plan_costs_more_than_its_start(make_problem, share, holding):
    problem = make_problem(stores=4, paths=20, capacity=1e6, holding_cost=holding)
    demand = np.bincount(problem.series_category, weights=problem.mean.sum(axis=1))
    problem = replace(problem, dc_available=np.floor(share * demand))
    network = Network.of(problem)
    raw = NewsvendorPolicy().plan(problem)
    plan = best_front_load(problem, network, raw)
    cost = simulate(problem, plan, network)
    start = simulate(problem, within_limits(problem, raw, network), network)
    assert not cost.limit_breaches
    assert cost.total <= start.total
    _, sent = store_measures(network, plan)
    by_category = np.stack([np.bincount(problem.series_category, weights=units) for units in sent])
    assert (by_category <= problem.dc_available + 1e-6).all()
    if not holding:
        # Sending what is scarce at once leaves nothing in the distribution center.
        assert cost.total < 0.999 * start.total
        assert by_category.mean(axis=0) == pytest.approx(problem.dc_available, rel=0.05)


def test_unlimited_stock_changes_nothing(make_problem):
    problem = make_problem(paths=5)
    plan = NewsvendorPolicy().plan(problem)
    assert best_front_load(problem, Network.of(problem), plan) is plan
