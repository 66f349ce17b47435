"""The simulation by SKU: equal to the simulation by category where each has one SKU; DC stock is a stock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import betabinom

from schemas.plan import Plan, SkuDetail
from tasks.inventory.model.ledger import ledger
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import simulate, store_measures
from tasks.inventory.model.sku_demand import SHARE_WEIGHT, sku_quantiles
from tasks.inventory.model.sku_simulation import _drawn, rows_of


def one_sku_each(problem, supply=None) -> SkuDetail:
    """One SKU per category, the same in all stores."""
    n = len(problem.on_hand)
    return SkuDetail(
        series=np.arange(n),
        sku=problem.series_category,
        share=np.ones(n),
        need=np.ones(n),
        on_hand=problem.on_hand,
        in_transit=problem.in_transit,
        supply=supply,
    )


def random_plan(problem, seed: int) -> Plan:
    draw = np.random.default_rng(seed)
    visits = draw.random((len(problem.store_ids), problem.periods)) < 0.4
    return Plan(visits, draw.integers(0, 12, problem.mean.shape).astype(float))


@pytest.mark.parametrize("lead", [0, 2])
def test_one_sku_per_category_gives_the_costs_of_the_simulation_by_category(make_problem, lead):
    problem = make_problem(3, 4, 14, paths=5, lead_time=lead, transit=lead + 1, capacity=np.inf, holding_cost=0.2)
    problem = replace(problem, paths=np.floor(problem.paths), capacity=np.full(3, np.inf))
    plan = random_plan(problem, 3)
    by_category, by_sku = Network.of(problem), Network.of(replace(problem, skus=one_sku_each(problem)))
    for one, two in zip(store_measures(by_category, plan), store_measures(by_sku, plan), strict=True):
        np.testing.assert_allclose(one, two)
    one, two = ledger(problem, plan, by_category), ledger(problem, plan, by_sku)
    for name in ("after_delivery", "sold", "sent", "on_hand", "in_transit", "over"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-9)


def test_the_distribution_center_ships_until_it_is_empty_and_receives_its_arrivals(make_problem):
    problem = make_problem(2, 1, 14, paths=3, capacity=np.inf)
    problem = replace(problem, on_hand=np.zeros(2), paths=np.full((3, 2, 14), 1.0), capacity=np.full(2, np.inf))
    visits = np.zeros((2, 14), dtype=bool)
    visits[:, [0, 7]] = True
    plan = Plan(visits, np.full((2, 14), 7.0))
    supply = np.zeros((1, 14))
    supply[0, [0, 5]] = 6.0, 20.0
    found = ledger(replace(problem, skus=one_sku_each(problem, supply)), plan)
    # Six units for two equal stores; the arrivals of period 5 fill both at the next delivery.
    np.testing.assert_allclose(found.sent[:, 0], 3.0, atol=1e-6)
    np.testing.assert_allclose(found.sent[:, 7], 7.0)
    assert simulate(replace(problem, skus=one_sku_each(problem, supply)), plan).fill_rate == pytest.approx(20 / 28)


def test_stores_with_a_later_delivery_keep_their_part(make_problem):
    problem = make_problem(2, 1, 14, paths=3, capacity=np.inf)
    problem = replace(problem, on_hand=np.zeros(2), paths=np.full((3, 2, 14), 1.0), capacity=np.full(2, np.inf))
    visits = np.zeros((2, 14), dtype=bool)
    visits[0, [0, 7]] = visits[1, [3, 10]] = True
    supply = np.zeros((1, 14))
    supply[0, 0] = 8.0
    plan = Plan(visits, np.full((2, 14), 7.0))
    found = ledger(replace(problem, skus=one_sku_each(problem, supply)), plan)
    assert found.sent[0, 0] == pytest.approx(4.0, abs=1e-5)
    assert found.sent.sum() == pytest.approx(8.0, abs=1e-5)


def test_a_pair_gets_no_units_above_its_largest_level(make_problem):
    problem = make_problem(2, 1, 14, paths=3, capacity=np.inf)
    problem = replace(problem, on_hand=np.zeros(2), paths=np.full((3, 2, 14), 1.0), capacity=np.full(2, np.inf))
    visits = np.zeros((2, 14), dtype=bool)
    visits[:, [0, 7]] = True
    supply = np.r_[20.0, np.zeros(13)][None]
    detail = replace(one_sku_each(problem, supply), largest=np.array([8 / 7, np.inf]))
    found = ledger(replace(problem, skus=detail), Plan(visits, np.full((2, 14), 9.0)))
    np.testing.assert_allclose(found.sent[:, 0], [8.0, 9.0])


def test_levels_and_draws_have_the_same_beta_binomial_demand():
    shares = np.array([0.3, 0.2, 0.5])
    known = betabinom(40, SHARE_WEIGHT, SHARE_WEIGHT * 0.7 / 0.3)
    assert sku_quantiles(np.array([[40.0]]), np.array([0]), shares[:1], 0.95) == known.ppf(0.95)
    zero = np.zeros(3)
    detail = SkuDetail(np.zeros(3, dtype=int), np.arange(3), shares, shares, zero, np.zeros((3, 0)))
    rows, units = rows_of(detail, np.array([0]), 1), np.zeros((3000, 1, 3))
    for seed in range(len(units)):
        _drawn(np.array([[40.0]]), rows, seed, units[seed])
    assert (units.sum(axis=2) == 40).all()
    np.testing.assert_allclose(units[:, 0].mean(axis=0), 40 * shares, rtol=0.03)
    # With known shares the variance of the first SKU is 8.4; the beta-binomial has 12.3.
    assert units[:, 0, 0].var() == pytest.approx(known.var(), rel=0.15)


def test_stock_of_one_sku_does_not_serve_the_demand_for_another(make_problem):
    problem = make_problem(1, 1, 7, paths=8, capacity=np.inf)
    problem = replace(problem, on_hand=np.array([70.0]), paths=np.full((8, 1, 7), 4.0), capacity=np.full(1, np.inf))
    detail = SkuDetail(
        series=np.array([0, 0]),
        sku=np.array([0, 1]),
        share=np.array([0.5, 0.5]),
        need=np.array([1.0, 1.0]),
        on_hand=np.array([70.0, 0.0]),
        in_transit=np.zeros((2, 0)),
    )
    plan = Plan(np.zeros((1, 7), dtype=bool), np.zeros((1, 7)))
    assert simulate(problem, plan).fill_rate == 1.0
    assert simulate(replace(problem, skus=detail), plan).fill_rate == pytest.approx(0.5, abs=0.1)


def test_a_delivery_is_reduced_to_the_storage_capacity(make_problem):
    problem = make_problem(1, 2, 7, paths=2, capacity=10)
    problem = replace(problem, on_hand=np.array([6.0, 0.0]), paths=np.zeros((2, 2, 7)), capacity=np.array([10.0]))
    visits = np.zeros((1, 7), dtype=bool)
    visits[:, 0] = True
    found = ledger(replace(problem, skus=one_sku_each(problem)), Plan(visits, np.full((2, 7), 8.0)))
    assert found.after_delivery.max() == pytest.approx(10.0)
    assert found.over.sum() == 0
