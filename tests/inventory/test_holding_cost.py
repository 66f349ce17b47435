"""Holding cost as a yearly share of the price, and levels without a holding cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.plan import Plan
from schemas.settings import InventorySettings
from tasks.inventory.model.level_limits import service_levels
from tasks.inventory.model.simulator import simulate
from tasks.inventory.model.weekly_problem import build_problem
from tasks.inventory.solve import solve
from tests.inventory.test_weekly_plan import COSTED, inputs_of


def test_a_yearly_share_of_the_price_is_charged_per_unit_and_period(make_problem):
    problem = make_problem(2, 3, 14, capacity=np.inf)
    draw = np.random.default_rng(3)
    problem = replace(problem, price=np.repeat(draw.uniform(10, 90, (6, 1)), 14, axis=1))
    visits = np.zeros((2, 14), dtype=bool)
    visits[:, [0, 7]] = True
    plan = Plan(visits, np.full((6, 14), 9.0))
    yearly = replace(problem, settings=InventorySettings(holding_cost_per_year=0.26), periods_per_week=7)
    found = simulate(yearly, plan)
    by_hand = 0.0
    for j in range(6):
        stock = problem.on_hand[j]
        for t in range(14):
            stock = max(stock, 9.0) if visits[problem.series_store[j], t] else stock
            stock -= min(stock, problem.mean[j, t])
            by_hand += stock * problem.price[j, 0] * 0.26 / 364
    assert found.holding == pytest.approx(by_hand)


def test_only_one_holding_cost_may_be_set():
    with pytest.raises(ValueError, match="set only one of them"):
        InventorySettings(holding_cost=0.1, holding_cost_per_year=0.2)


def test_the_weekly_run_takes_the_price_of_the_skus_and_the_year_of_its_frequency():
    problem = build_problem(inputs_of(settings={"holding_cost_per_year": 0.364}, **COSTED)).problem
    assert problem.holding_cost == pytest.approx(0.001)
    np.testing.assert_allclose(problem.holding_weight, 20.0)


@pytest.mark.parametrize("policy", ["eoq", "s_S", "newsvendor", "marginal_value", "genetic"])
def test_without_a_holding_cost_the_service_level_limits_levels_also_with_a_capacity(policy):
    inputs = inputs_of(settings={"policies": [policy]}, storage_capacity=[900.0, 600.0], visit_cost=[50.0, 80.0])
    problem = build_problem(inputs).problem
    plan = solve(problem).plan
    rows, most = service_levels(problem, plan.visits, np.ones(2, dtype=bool))
    assert (plan.levels[rows] <= most).all()
    # With room for everything, the first delivery of most policies reaches the quantile.
    assert plan.levels.sum() > 0.5 * most.sum()
