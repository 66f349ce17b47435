"""The alarm for plans far above what is attainable: a second figure that is independent of the policies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.plan import Plan, SkuDetail
from tasks.inventory.cost_table import evaluate_plan
from tasks.inventory.exact.bounds import bound_of
from tasks.inventory.exact.excess import Inevitable, attainable_cost, cost_of_uncertainty, large_excess
from tasks.inventory.solve import solve


def test_the_cost_of_uncertainty_is_the_best_newsvendor_level_of_every_interval(make_problem):
    problem = make_problem(stores=1, categories=1, paths=40, capacity=np.inf, holding_cost=0.7, week=7)
    visits = np.zeros((1, 14), dtype=bool)
    visits[0, [0, 7]] = True
    expected = 0.0
    for day in (0, 7):
        demand = problem.paths[:, 0, day : day + 7].sum(axis=1)
        price = problem.price[0, day : day + 7].mean()
        costs = [
            (price * np.maximum(demand - y, 0) + 0.7 * 7 * np.maximum(y - demand, 0)).mean() - 0.7 * 7 * 0.0
            for y in range(int(demand.max()) + 1)
        ]
        expected += min(costs)
    # A unit of a level is charged for its holding only if it does not sell.
    assert cost_of_uncertainty(problem, visits).sum() == pytest.approx(expected)


def test_limited_space_goes_to_the_most_valuable_units(make_problem):
    problem = make_problem(stores=1, categories=2, paths=30, capacity=6.0)
    visits = np.zeros((1, 14), dtype=bool)
    visits[0, [0, 7]] = True
    expected = 0.0
    for day in (0, 7):
        demand = problem.paths[:, :, day : day + 7].sum(axis=2)
        price = problem.price[:, day : day + 7].mean(axis=1)
        lost = [(np.maximum(demand - [y, 6 - y], 0) @ price).mean() for y in range(7)]
        order = np.argsort(price)
        beyond = np.maximum(demand.sum(axis=1) - 6, 0)
        cheap = np.minimum(beyond, demand[:, order[0]])
        known = (cheap * price[order[0]] + (beyond - cheap) * price[order[1]]).mean()
        expected += min(lost) - known
    assert cost_of_uncertainty(problem, visits).sum() == pytest.approx(expected)


def test_known_demand_is_compared_with_the_bound_alone(make_problem):
    problem = make_problem(capacity=np.inf, policies=["genetic"])
    solution = solve(problem)
    best = solution.evaluations["genetic"]
    assert attainable_cost(problem, solution.bound) == solution.bound.total
    assert large_excess(problem, best.cost, solution.bound) is None


def test_a_bad_plan_raises_the_alarm_and_a_good_one_does_not(make_problem):
    problem = make_problem(stores=3, paths=40, capacity=np.inf, holding_cost=0.05, policies=["newsvendor"])
    solution = solve(problem)
    good = solution.evaluations["newsvendor"]
    assert large_excess(problem, good.cost, solution.bound) is None
    bad = evaluate_plan(problem, "bad", Plan(good.plan.visits, np.floor(0.4 * good.plan.levels)))
    found = large_excess(problem, bad.cost, solution.bound)
    assert found is not None
    assert found.share == pytest.approx(bad.cost.total / attainable_cost(problem, solution.bound) - 1)
    assert f"The plan costs {bad.cost.total:,.0f}" in found.text
    # The same plan with packs so large that the difference is less than one pack of every level.
    packs = np.full(len(problem.mean), 1.01 * (found.total - found.attainable) / problem.price.mean(axis=1).sum())
    assert large_excess(problem, bad.cost, solution.bound, packs=packs) is None
    assert large_excess(problem, bad.cost, solution.bound, packs=0.98 * packs) is not None


def test_levels_are_chosen_on_the_planning_paths(make_problem):
    problem = make_problem(stores=1, categories=1, paths=20, capacity=np.inf, holding_cost=0.7, week=7)
    visits = np.zeros((1, 14), dtype=bool)
    visits[0, [0, 7]] = True
    planned = replace(problem, paths=problem.paths[:3])
    expected = 0.0
    for day in (0, 7):
        seen, demand = (each.paths[:, 0, day : day + 7].sum(axis=1) for each in (planned, problem))
        price = problem.price[0, day : day + 7].mean()

        def cost(paths, level, price=price):
            return (price * np.maximum(paths - level, 0) + 0.7 * 7 * np.maximum(level - paths, 0)).mean()

        expected += cost(demand, min(range(int(seen.max()) + 1), key=lambda level: cost(seen, level)))
    assert cost_of_uncertainty(problem, visits, planned=planned).sum() == pytest.approx(expected)
    assert cost_of_uncertainty(problem, visits).sum() < expected


def one_sku(problem, supply):
    """The problem of one store and category, without stock, whose only SKU has some supply by period."""
    detail = SkuDetail(*(np.zeros(1, dtype=int) for _ in range(2)), *(np.ones(1) for _ in range(2)), np.zeros(1),
                       np.zeros((1, 1)), supply[None])  # fmt: skip
    return replace(problem, skus=detail)


def test_demand_beyond_the_supply_is_lost_on_every_path(make_problem):
    problem = make_problem(stores=1, categories=1, paths=20, capacity=np.inf)
    demand = np.rint(problem.paths).sum(axis=2)[:, 0]
    supply = np.r_[np.floor(demand.mean()), np.zeros(13)]
    lost = Inevitable.of(one_sku(problem, supply))
    assert lost.scarce == pytest.approx([np.maximum(demand - supply[0], 0.0).mean()])
    assert lost.scarce[0] > max(demand.mean() - supply[0], 0.0)


def test_what_is_lost_before_an_arrival_does_not_come_back(make_problem):
    problem = make_problem(stores=1, categories=1, paths=20, capacity=np.inf)
    supply = np.r_[np.zeros(5), 1e6, np.zeros(8)]
    lost = Inevitable.of(one_sku(problem, supply))
    assert lost.scarce == pytest.approx([problem.paths[:, 0, :5].sum(axis=1).mean()])


def test_a_supply_that_is_divided_before_the_demand_is_known_serves_less(make_problem):
    """Two stores with the same mean share the supply of one SKU: on every path one may need more, the other less."""
    problem = make_problem(stores=2, categories=1, paths=40, capacity=np.inf)
    demand = np.rint(problem.paths).sum(axis=2)
    supply = np.r_[np.floor(demand.sum(axis=1).mean()), np.zeros(13)]
    zeros = np.zeros(2)
    detail = SkuDetail(np.array([0, 1]), zeros.astype(int), zeros + 1, zeros + 1, zeros, zeros[:, None], supply[None])
    whole = replace(problem, skus=detail)
    lost = Inevitable.of(whole)
    units = int(supply[0])
    best = min(np.maximum(demand - [first, units - first], 0.0).mean(axis=0).sum() for first in range(units + 1))
    assert lost.divided.sum() == pytest.approx(best)
    assert lost.scarce.sum() == pytest.approx(np.maximum(demand.sum(axis=1) - units, 0.0).mean())
    assert lost.divided.sum() > 1.05 * lost.scarce.sum()
    # The figure counts the larger one of this difference and of the uncertainty of levels.
    bound, price = bound_of(whole).bound, problem.price.min(axis=1)
    visits = np.zeros((2, 14), dtype=bool)
    visits[:, [0, 7]] = True
    levels = cost_of_uncertainty(whole, visits).sum()
    more = (lost.divided - lost.scarce) @ price
    assert attainable_cost(whole, bound) - bound.total >= min(levels, more)


def test_demand_that_no_level_serves_is_counted_once(make_problem):
    problem = make_problem(stores=2, categories=1, paths=20, capacity=np.inf)
    detail = SkuDetail(
        series=np.array([0, 0, 1, 1]),
        sku=np.array([0, 1, 0, 1]),
        share=np.array([0.5, 0.5, 0.5, 0.5]),
        need=np.ones(4),
        on_hand=np.zeros(4),
        in_transit=np.zeros((4, 1)),
        supply=np.stack([np.r_[4.0, np.zeros(13)], np.r_[1e6, np.zeros(13)]]),
    )
    whole = replace(problem, skus=detail)
    demand = problem.paths.sum(axis=2).mean(axis=0)
    lost = Inevitable.of(whole, np.array([False, True, False, False]))
    # SKU 1 may not be sent to the first store; SKU 0 has four units for both.
    assert lost.closed == pytest.approx([0, demand[0] / 2, 0, 0])
    assert lost.scarce.sum() == pytest.approx(demand.sum() / 2 - 4)
    assert lost.served(whole).sum() == pytest.approx(
        problem.mean.sum() - (lost.closed.sum() + lost.scarce.sum()) * problem.mean.sum() / problem.mean.sum()
    )
    assert attainable_cost(whole, bound_of(problem).bound) >= lost.lost_sales(whole)


def test_demand_before_the_first_possible_delivery_is_lost_beyond_the_stock_of_the_sku(make_problem):
    problem = make_problem(stores=1, categories=1, paths=20, capacity=np.inf, lead_time=1)
    days = np.arange(14)
    demand = problem.paths[:, 0].mean(axis=0)
    # Deliveries on two days of the week: the first one in period 3, an arrival of period 6 is delivered in period 8.
    problem = replace(problem, blackout=~np.isin(days % 7, [1, 3])[None], on_hand=np.array([50.0]))
    problem = replace(problem, blackout=problem.blackout | (days < 3)[None])
    detail = SkuDetail(
        series=np.array([0, 0]),
        sku=np.array([0, 1]),
        share=np.array([0.5, 0.5]),
        need=np.ones(2),
        on_hand=np.array([50.0, 0.0]),
        in_transit=np.zeros((2, 0)),
        supply=None,
    )
    whole = replace(problem, skus=detail)
    lost = Inevitable.of(whole)
    assert lost.early == pytest.approx([0.0, demand[:3].sum() / 2])
    assert lost.scarce == pytest.approx(lost.early)
    # It is taken from the demand of these periods only, so that the shortest path does not count it again.
    assert lost.served(whole)[0, 3:] == pytest.approx(problem.mean[0, 3:])
    assert (problem.mean - lost.served(whole)).sum() == pytest.approx(lost.early.sum())
    late = replace(detail, supply=np.stack([np.r_[1e6, np.zeros(13)], np.r_[np.zeros(6), 1e6, np.zeros(7)]]))
    assert Inevitable.of(replace(problem, skus=late)).scarce == pytest.approx([0.0, demand[:8].sum() / 2])
