"""Improvement of deliveries on simulations by SKU: never more expensive, within the limits, earlier for empty SKUs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.plan import Plan, PlanProblem, SkuDetail
from tasks.inventory.cost_table import evaluate_plan, rank
from tasks.inventory.model.delivery_days import review_visits
from tasks.inventory.policies.newsvendor import NewsvendorPolicy
from tasks.inventory.search import moves_by_sku
from tasks.inventory.search.moves_by_sku import improved_by_sku
from tests.inventory.conftest import problem_of


def by_sku(problem: PlanProblem, skus: int = 3, supply: float = np.inf) -> PlanProblem:
    """Equal SKUs in every category; the whole stock of a category is of its first SKU."""
    series = np.repeat(np.arange(len(problem.on_hand)), skus)
    sku = problem.series_category[series] * skus + np.tile(np.arange(skus), len(problem.on_hand))
    center = np.zeros((sku.max() + 1, problem.periods))
    center[:, 0] = supply
    detail = SkuDetail(
        series=series,
        sku=sku,
        share=np.full(len(series), 1 / skus),
        need=np.full(len(series), 1.0),
        on_hand=np.where(np.arange(len(series)) % skus == 0, problem.on_hand[series], 0.0),
        in_transit=np.zeros((len(series), 0)),
        supply=center,
    )
    return replace(problem, skus=detail, weekly_run=True)


def unchanged(plan: Plan) -> Plan:
    return plan


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "limits", [{}, {"capacity": 12.0}, {"supply": 6.0}, {"max_visits_per_period": 2}, {"lead_time": 1}]
)
def test_the_result_costs_no_more_than_any_plan_and_keeps_the_limits(seed, limits):
    supply, most = limits.get("supply", np.inf), limits.get("max_visits_per_period")
    settings = {name: value for name, value in limits.items() if name in ("capacity", "lead_time")}
    problem = problem_of(3, 2, 14, seed=seed, paths=8, holding_cost=0.05, visit_cost=15.0, **settings)
    problem = by_sku(replace(problem, max_visits_per_period=most), supply=supply)
    plans = [NewsvendorPolicy().plan(problem), Plan(review_visits(problem), np.full(problem.mean.shape, 2.0))]
    found = improved_by_sku(problem, plans, unchanged)
    own = evaluate_plan(problem, "", found)
    assert rank(own) <= min(rank(evaluate_plan(problem, "", plan)) for plan in plans)
    assert own.valid
    if most:
        assert found.visits.sum(axis=0).max() <= most
    again = improved_by_sku(problem, plans, unchanged)
    assert (again.visits == found.visits).all()
    assert (again.levels == found.levels).all()


def test_empty_skus_get_an_earlier_delivery_although_their_category_has_stock():
    problem = problem_of(1, 1, 14, paths=8, capacity=np.inf, visit_cost=1.0, holding_cost=0.01)
    # Twelve units a period, and stock of the category for a week: two of three SKUs are empty from the start.
    paths = np.full((8, 1, 14), 12.0)
    problem = replace(problem, paths=paths, mean=paths[0], price=np.full((1, 14), 10.0), on_hand=np.array([84.0]))
    problem = by_sku(problem)
    late = np.zeros((1, 14), dtype=bool)
    late[0, [6, 13]] = True
    plan = Plan(late, np.where(late, 200.0, 0.0))
    found = improved_by_sku(problem, [plan], unchanged)
    assert found.visits[0, :2].any()
    lost = [evaluate_plan(problem, "", each).cost.lost_units for each in (plan, found)]
    # Two thirds of the demand of six periods are lost with the late delivery.
    assert lost[0] > 40
    assert lost[1] < 0.35 * lost[0]


def test_a_network_that_is_too_large_for_the_simulations_keeps_the_first_plan(monkeypatch):
    problem = by_sku(problem_of(2, 2, 14, paths=8, holding_cost=0.05))
    plans = [NewsvendorPolicy().plan(problem), Plan(review_visits(problem), np.zeros(problem.mean.shape))]
    monkeypatch.setattr(moves_by_sku, "MOST_SIMULATED", 1)
    assert improved_by_sku(problem, plans, unchanged) is plans[0]


def test_every_store_may_take_another_plan(monkeypatch):
    """A policy that suits one tight store is not taken for all others."""
    problem = by_sku(problem_of(2, 2, 14, paths=8, holding_cost=0.05, capacity=60.0))
    good = NewsvendorPolicy().plan(problem)
    plans = []
    for bad in (0, 1):
        levels = good.levels.copy()
        levels[problem.series_store == bad] = 0.0
        plans.append(Plan(good.visits, levels))
    monkeypatch.setattr(moves_by_sku, "BETWEEN_TOTALS", 0)
    monkeypatch.setattr(moves_by_sku, "MOST_SIMULATED", 1)
    found = evaluate_plan(problem, "", improved_by_sku(problem, plans, unchanged))
    best = np.min([evaluate_plan(problem, "", plan).per_store for plan in plans], axis=0)
    np.testing.assert_allclose(found.per_store, best)
    assert found.cost.total < min(evaluate_plan(problem, "", plan).cost.total for plan in plans)
