"""Deliveries per period and DC stock: bounds by shadow prices, plans within the constraints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.plan import Plan
from tasks.inventory.exact.bounds import bound_of
from tasks.inventory.exact.dual_ascent import ascended_prices
from tasks.inventory.exact.lagrange import relax
from tasks.inventory.exact.perfect_information import net_requirements_on_path, shortest_paths
from tasks.inventory.exact.shared_limits import weeks_fit
from tasks.inventory.model.delivery_days import review_visits
from tasks.inventory.model.level_limits import within_limits
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import simulate, store_measures
from tasks.inventory.registry import make_policy, policy_names
from tests.inventory.conftest import problem_of

pytestmark = pytest.mark.slow

POLICIES = policy_names()


def limited(problem, visits: int | None = 2, share: float = 0.6):
    requirement = np.bincount(problem.series_category, weights=problem.mean.sum(axis=1))
    available = np.full(len(requirement), np.inf)
    available[0] = np.floor(share * requirement[0])
    return replace(problem, max_visits_per_period=visits, dc_available=available)


@pytest.mark.parametrize("paths", [0, 5])
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_keeps_the_shared_limits(make_problem, name, paths):
    problem = limited(make_problem(6, 3, 14, paths=paths, capacity=80))
    network = Network.of(problem)
    plan = within_limits(problem, make_policy(name).plan(problem), network)
    cost = simulate(problem, plan, network)
    assert cost.limit_breaches == ()
    assert cost.missed_weeks == 0
    _, sent = store_measures(network, plan)
    of_first = sent[:, problem.series_category == 0].sum(axis=1)
    assert (of_first <= problem.dc_available[0] + 1e-9).all()


@pytest.mark.parametrize("visits", [None, 2])
@pytest.mark.parametrize("share", [0.4, 5.0])
def test_bound_and_plan_lie_close(make_problem, visits, share):
    problem = limited(make_problem(8, 4, 14, seed=2, capacity=80), visits, share)
    network = Network.of(problem)
    bound = bound_of(problem, network).bound
    cost = simulate(problem, make_policy("genetic").plan(problem), network)
    alone = bound_of(replace(problem, max_visits_per_period=None, dc_available=np.full(4, np.inf)), network).bound
    assert alone.total <= bound.total + 1e-6
    assert ("shared limits" in bound.scope, "shared limits" in bound.store_scope) == (True, False)
    assert bound.total <= cost.total + 1e-6
    assert cost.total <= bound.total * 1.05


def test_shadow_prices_are_zero_without_a_binding_constraint(make_problem):
    problem = limited(make_problem(3, 3, 14, capacity=80), 3, 100.0)
    network = Network.of(problem)
    relaxation = relax(problem, network, net_requirements_on_path(network, 0))
    assert relaxation.prices.visit.max() == 0
    assert relaxation.prices.unit.max() == 0
    ascended, worth = ascended_prices(problem, network, net_requirements_on_path(network, 0))
    assert (ascended.visit.max(), ascended.unit.max(), worth) == (0, 0, 0)
    assert relaxation.bound == pytest.approx(bound_of(replace(problem, max_visits_per_period=None)).bound.total)


@pytest.mark.parametrize(("visits", "share"), [(None, 0.4), (2, 0.4), (2, 5.0)])
def test_ascended_prices_raise_the_bound_like_the_linear_program(make_problem, visits, share):
    problem = limited(make_problem(8, 4, 14, seed=2, capacity=80), visits, share)
    network = Network.of(problem)
    requirements = net_requirements_on_path(network, 0)
    prices, worth = ascended_prices(problem, network, requirements)
    own = shortest_paths(problem, network, requirements)[1].sum()
    bound = shortest_paths(problem, network, requirements, prices)[1].sum() - worth
    best = relax(problem, network, requirements).bound
    assert own < bound <= best * (1 + 1e-5)
    assert bound - own >= 0.97 * (best - own)


def test_too_few_visits_a_period_are_reported_not_broken(make_problem):
    problem = limited(make_problem(10, 2, 14, capacity=80), 1, 100.0)
    assert not weeks_fit(problem)
    assert np.isnan(bound_of(problem).bound.per_store).all()
    for name in POLICIES:
        plan = make_policy(name).plan(problem)
        cost = simulate(problem, plan)
        assert plan.visits.sum(axis=0).max() <= 1
        assert cost.missed_weeks > 0
        assert cost.limit_breaches == ()


def test_review_visits_spread_over_the_week(make_problem):
    problem = replace(make_problem(9, 2, 14), max_visits_per_period=2)
    visits = review_visits(problem)
    assert visits.sum(axis=0).tolist() == [2, 2, 2, 2, 1, 0, 0] * 2
    # The store with the highest sales comes first.
    turnover = np.bincount(problem.series_store, weights=(problem.mean * problem.price).sum(axis=1))
    assert visits[np.argmax(turnover), 0]


def test_scarce_categories_are_scaled_not_dropped(make_problem):
    problem = replace(make_problem(2, 2, 7, capacity=1000), on_hand=np.zeros(4))
    visits = np.zeros((2, 7), dtype=bool)
    visits[:, 0] = True
    plan = Plan(visits, np.full((4, 7), 10.0))
    problem = replace(problem, dc_available=np.array([15.0, np.inf]))
    cut = within_limits(problem, plan, Network.of(problem))
    assert cut.levels[0, 0] == cut.levels[2, 0] == 7
    assert cut.levels[1, 0] == 10


def test_visits_are_searched_within_the_limit_when_demand_is_uncertain():
    # Space for two days of sales and low delivery cost: one delivery per week loses sales.
    problem = replace(
        problem_of(stores=3, periods=14, paths=12, capacity=9.0, visit_cost=5.0, policies=["genetic"]),
        max_visits_per_period=2,
    )
    plan = make_policy("genetic").plan(problem)
    assert plan.visits.sum(axis=0).max() <= 2
    spread = simulate(problem, make_policy("marginal_value").plan(problem))
    found = simulate(problem, plan)
    assert found.limit_breaches == ()
    assert found.missed_weeks == 0
    assert found.visits > spread.visits == 6
    assert found.total < 0.8 * spread.total
