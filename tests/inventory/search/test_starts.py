"""A search starts from the plans of the other policies and never costs more than any of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.plan import Plan, SkuDetail
from schemas.settings import GeneticSettings
from tasks.inventory.cost_table import evaluate_plan, is_valid
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import simulate
from tasks.inventory.policies.genetic import GeneticPolicy, search_scale, within_budget
from tasks.inventory.search.starts import best_of, combined
from tasks.inventory.solve import solve
from tests.breadth import sample

pytestmark = pytest.mark.slow

POLICIES = ["eoq", "periodic_review", "newsvendor", "marginal_value", "genetic"]


@pytest.mark.parametrize("holding", [0.0, 0.3])
@pytest.mark.parametrize("share", sample([0.2, 0.4, 0.6, 0.8], [0.2, 0.6]))
@pytest.mark.parametrize("paths", [0, 8])
def test_genetic_is_the_best_known_plan_where_dc_stock_binds(make_problem, share, holding, paths):
    problem = make_problem(4, 3, 14, paths=paths, capacity=60, holding_cost=holding)
    demand = np.bincount(problem.series_category, weights=problem.mean.sum(axis=1))
    genetic = problem.settings.genetic.model_copy(update={"population": 10, "generations": 3})
    problem = replace(
        problem,
        dc_available=np.floor(share * demand),
        settings=problem.settings.model_copy(update={"policies": POLICIES, "genetic": genetic}),
    )
    table = solve(problem).costs.set_index("policy")
    assert table.loc["genetic", "valid"]
    assert table.loc["genetic", "total"] <= table.loc[table["valid"], "total"].min() * (1 + 1e-9)


def test_a_large_network_gets_fewer_candidates_and_loses_little(make_problem, monkeypatch):
    problem = make_problem(4, 6, 28, paths=30, capacity=30, holding_cost=0.3)
    full = GeneticSettings()
    problem = replace(problem, settings=problem.settings.model_copy(update={"genetic": full}))
    searched = np.arange(4)
    assert search_scale(problem, searched) == 1.0
    assert within_budget(problem.settings, 1.0).genetic == full
    monkeypatch.setattr("tasks.inventory.policies.genetic.FULL_SEARCH", 2 * 6 * 28)
    assert search_scale(problem, searched) == 0.5
    assert within_budget(problem.settings, 0.7).genetic == full.model_copy(
        update={"population": 70, "generations": 35, "patience": 7}
    )
    least = within_budget(problem.settings, 1e-9).genetic
    assert (least.population, least.generations, least.patience) == (50, 20, 5)
    small = problem.settings.model_copy(update={"genetic": full.model_copy(update={"generations": 3})})
    assert within_budget(small, 1e-9).genetic.generations == 3
    monkeypatch.setattr("tasks.inventory.policies.genetic.FULL_SEARCH", 1)
    network = Network.of(problem)
    fewer = simulate(problem, GeneticPolicy().plan(problem), network).total
    monkeypatch.undo()
    assert fewer <= 1.05 * simulate(problem, GeneticPolicy().plan(problem), network).total


def test_the_published_plan_is_the_cheapest_valid_one_whatever_it_starts_from(make_problem):
    problem = make_problem(3, 3, 14, paths=8, capacity=40, holding_cost=0.3)
    settings = problem.settings.model_copy(update={"policies": POLICIES})
    solution = solve(replace(problem, settings=settings, holding_factor=3.0))
    table = solution.costs
    assert table.loc[table["chosen"], "total"].item() == table.loc[table["valid"], "total"].min()
    assert list(table["policy"]) == POLICIES


def test_without_shared_constraints_every_store_takes_its_cheapest_plan(make_problem):
    problem = make_problem(3, 2, 14, paths=5, capacity=80)
    network = Network.of(problem)
    visits = np.zeros((3, 14), dtype=bool)
    visits[:, [0, 7]] = True
    plans = [Plan(visits, np.full((6, 14), level)) for level in (0.0, 10.0, 30.0)]
    best = simulate(problem, best_of(problem, network, plans), network).total
    assert best <= min(simulate(problem, plan, network).total for plan in plans)
    per_store = np.array([evaluate_plan(problem, "p", plan, network).per_store for plan in plans])
    assert best == pytest.approx(per_store.min(axis=0).sum())


def test_a_plan_over_a_hard_capacity_is_no_start(make_problem):
    problem = make_problem(1, 2, 14, capacity=10)
    problem = replace(
        problem,
        on_hand=np.zeros(2),
        settings=problem.settings.model_copy(update={"over_capacity_penalty": 0.0}),
    )
    network = Network.of(problem)
    visits = np.zeros((1, 14), dtype=bool)
    visits[:, [0, 7]] = True
    plans = [Plan(visits, np.full((2, 14), level)) for level in (4.0, 40.0)]
    assert is_valid(problem, simulate(problem, best_of(problem, network, plans), network))


def one_sku_each(problem, supply):
    """The problem simulated by SKU: every series is one SKU, all of a category share the supply of the center."""
    size = len(problem.mean)
    zeros, ones = np.zeros(size), np.ones(size)
    supplied = np.zeros((len(problem.categories), problem.periods))
    supplied[:, 0] = supply
    detail = SkuDetail(np.arange(size), problem.series_category, ones, ones, zeros, np.zeros((size, 1)), supplied)
    return replace(problem, skus=detail)


@pytest.mark.parametrize("supply", [20.0, np.inf])
def test_a_store_that_orders_little_is_not_left_without_scarce_units(make_problem, supply):
    """If all stores order little, the center does not run empty; next to one that orders more it does."""
    problem = one_sku_each(make_problem(2, 1, 14, paths=1, capacity=np.inf), supply)
    visits = np.zeros((2, 14), dtype=bool)
    visits[:, [0, 7]] = True
    little, much = (Plan(visits, np.full((2, 14), level)) for level in (5.0, 30.0))
    network = Network.of(problem)
    usual = evaluate_plan(problem, "", much, network)
    # The second store pays less where all order little, and more if only it does.
    alone = {5.0: usual.per_store + np.array([1.0, -2.0]), 30.0: usual.per_store}

    def evaluated(plan):
        second = plan.levels[1, 0]
        mixed = usual.per_store + np.array([0.0, 3.0 if second < plan.levels[0, 0] else 0.0])
        return replace(usual, plan=plan, per_store=mixed)

    found = [replace(usual, plan=plan, per_store=alone[plan.levels[0, 0]]) for plan in (much, little)]
    plan, made = combined(problem, network, [much, little], found, evaluated)
    assert plan.levels[:, 0].tolist() == ([30.0, 30.0] if np.isfinite(supply) else [30.0, 5.0])
    assert made.plan is plan
