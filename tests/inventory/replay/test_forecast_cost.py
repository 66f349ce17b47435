"""Inventory cost of a forecast: hand-computed numbers and invariants."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.inventory.model.simulator import Store, simulate_store
from tasks.inventory.replay.forecast_cost import (
    OrderRule,
    covered_probability,
    forecast_costs,
    order_costs,
    order_levels,
)

UNKNOWN = float("nan")


def test_by_hand() -> None:
    """A certain forecast of 4, L = 1, R = 2, h = 0.5, p = 2, demand 3, 6, 2, unknown, 9.

    Levels: 12 for periods 0 to 2, and 8 for 2 and 4, as nothing is asked in 3. Stock: 12 - 3 = 9 (before the first
    visit: not charged), 9 - 6 = 3 (1.5), 3 - 2 = 1 (0.5); 8 - 3 = 5 ordered while 3 were left; 1 + 5 = 6 (unknown:
    nothing); 9 asked, 3 lost (6).
    """
    rule = OrderRule(lead_time=1, review_period=2, holding_cost=0.5)
    demand = np.array([[3.0, 6.0, 2.0, UNKNOWN, 9.0]])
    found = forecast_costs(np.full((4, 1, 5), 4.0), demand, np.array([2.0]), rule)
    np.testing.assert_allclose(found, [[UNKNOWN, 1.5, 0.5, UNKNOWN, 6.0]])


def test_a_level_is_the_quantile_of_its_cost_ratio() -> None:
    """h = 0.25, p = 1: 0.8 of the paths 1 ... 10 are at most 8; with R = 2 it is 1 - 0.5 / 1.375 = 0.64, the 7th."""
    assert covered_probability(np.array([1.0]), np.array([0.25]), 2) == pytest.approx(1 - 0.5 / 1.375)
    paths = np.arange(1.0, 11.0)[:, None, None] * np.array([1.0, 0.0, 2.0])
    each = OrderRule(lead_time=0, review_period=1, holding_cost=0.25)
    assert order_levels(paths, np.array([1.0]), each).tolist() == [[8.0, 0.0, 16.0]]
    both = OrderRule(lead_time=0, review_period=2, holding_cost=0.25)
    assert order_levels(paths[:, :, :2], np.array([1.0]), both).tolist() == [[7.0]]
    assert order_levels(paths, np.array([0.0]), each).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("rule", [OrderRule(0, 1, 0.2), OrderRule(2, 1, 0.2), OrderRule(1, 3, 0.1)])
def test_no_cost_is_negative_and_a_perfect_forecast_is_cheapest(rule: OrderRule) -> None:
    random = np.random.default_rng(3)
    demand = random.poisson(3.0, (60, 12)).astype(float)
    demand[random.random(demand.shape) < 0.1] = UNKNOWN
    price = random.uniform(0.5, 2.0, 60)
    perfect = forecast_costs(np.nan_to_num(demand)[None], demand, price, rule)
    counted = np.isfinite(demand) & (np.arange(12) >= rule.lead_time)
    np.testing.assert_array_equal(np.isfinite(perfect), counted)
    for paths in (random.poisson(3.0, (20, 60, 12)), np.zeros((1, 60, 12)), np.full((1, 60, 12), 9.0)):
        costs = forecast_costs(paths.astype(float), demand, price, rule)
        assert (costs[counted] >= 0).all()
        np.testing.assert_array_equal(np.isfinite(costs), counted)
        assert (np.nansum(perfect, axis=1) <= np.nansum(costs, axis=1) + 1e-9).all()
    if rule.review_period == 1:
        assert np.nansum(perfect) == 0


def test_stock_moves_as_in_the_simulator() -> None:
    """The same levels in the simulator: all periods count (L = 0), or those after the opening stock."""
    random = np.random.default_rng(5)
    rule = OrderRule(lead_time=2, review_period=3, holding_cost=0.3)
    demand, price = random.poisson(2.0, (1, 14)).astype(float), np.array([1.7])
    levels = random.integers(4, 14, (1, len(rule.visits(14)))).astype(float)
    visits, by_period = np.zeros(14, dtype=bool), np.zeros((14, 1))
    visits[rule.visits(14)] = True
    by_period[visits, 0] = levels[0]
    result, sent = np.empty((1, 4)), np.empty((1, 1))
    store = Store(np.full((14, 1), 1.7), levels[:, 0], np.zeros((0, 1)), np.inf, 2)
    simulate_store(demand[:, :, None], store, visits, by_period, result, sent)
    ours = np.nansum(order_costs(levels, demand, price, rule))
    first = np.maximum(levels[0, 0] - np.cumsum(demand[0, :2]), 0.0)
    lost = np.maximum(demand[0, :2] - np.array([levels[0, 0], first[0]]), 0.0)
    assert result[0, 0] + 0.3 * result[0, 2] == pytest.approx(ours + 0.3 * first.sum() + 1.7 * lost.sum())
