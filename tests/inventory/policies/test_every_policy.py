"""Invariants of all policies, and hand-computed numbers of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.errors import ConfigError
from schemas.protocols import Policy
from tasks.inventory.cost_table import chosen, cost_table, evaluate_plan, gap, with_attained
from tasks.inventory.exact.bounds import relaxation_of
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import simulate
from tasks.inventory.policies.eoq import EoqPolicy, PublishedEoqPolicy
from tasks.inventory.policies.s_s import MinMaxPolicy
from tasks.inventory.registry import WithRelaxation, make_policy, policy_facts, policy_names, unknown_policies
from tasks.inventory.solve import solve

NAMES = policy_names()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("paths", [0, 6])
@pytest.mark.parametrize("lead", [0, 2])
def test_plans_have_the_right_shape_no_missed_week_and_are_reproducible(make_problem, name, paths, lead):
    problem = make_problem(3, 4, 21, paths=paths, capacity=35, lead_time=lead, transit=lead, holding_cost=0.1)
    policy = make_policy(name)
    before = problem.mean.copy()
    plan, again = policy.plan(problem), make_policy(name).plan(problem)
    assert isinstance(policy, Policy)
    assert policy.facts.name == name
    assert plan.visits.shape == (3, 21)
    assert plan.levels.shape == problem.mean.shape
    assert (plan.levels >= 0).all()
    assert not plan.visits[:, :lead].any()
    assert simulate(problem, plan).missed_weeks == 0
    np.testing.assert_array_equal(plan.levels, again.levels)
    np.testing.assert_array_equal(plan.visits, again.visits)
    np.testing.assert_array_equal(problem.mean, before)
    if paths:
        assert (plan.levels == np.floor(plan.levels)).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("paths", [0, 20])
def test_without_cost_and_capacity_levels_follow_the_service_level(make_problem, name, paths):
    problem = make_problem(2, 3, 14, paths=paths, capacity=np.inf, service_level=0.9)
    problem = replace(problem, visit_cost=np.zeros(2), free_visits=np.ones(2, dtype=bool))
    plan = solve(replace(problem, settings=problem.settings.model_copy(update={"policies": [name]}))).plan
    # One delivery per review period, in its first period.
    assert np.flatnonzero(plan.visits[0]).tolist() == [0, 7]
    demand = problem.mean[None] if paths == 0 else problem.paths
    week = np.sort(demand[:, :, :7].sum(axis=2), axis=0)
    np.testing.assert_allclose(plan.levels[:, 0], week[17] if paths else week[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("paths", [0, 6])
def test_a_store_without_any_possible_delivery_gets_none(make_problem, name, paths):
    problem = make_problem(2, 3, 14, paths=paths, capacity=35, holding_cost=0.1)
    problem = replace(problem, blackout=np.array([[True], [False]]).repeat(14, axis=1))
    visits = make_policy(name).plan(problem).visits
    assert not visits[0].any()
    assert visits[1].any()


def test_the_reorder_point_by_hand(make_problem):
    problem = make_problem(1, 1, 4, week=2)
    problem = replace(problem, mean=np.array([[1.0, 3.0, 1.0, 3.0]]))
    # Mean 2, σ 1: 2 · 3 + 1.645 · √3, and with LD / T = 3 / 4: 1.5 + 1.645 · √0.75.
    assert EoqPolicy().reorder_point(problem)[0] == pytest.approx(6 + 1.6449 * 3**0.5, abs=1e-3)
    assert PublishedEoqPolicy().reorder_point(problem)[0] == pytest.approx(1.5 + 1.6449 * 0.75**0.5, abs=1e-3)
    assert MinMaxPolicy().reorder_point(problem)[0] == pytest.approx(4 + 1.6449 * 2**0.5, abs=1e-3)


def test_eoq_orders_a_whole_number_of_periods_at_its_visits(make_problem):
    problem = make_problem(1, 1, 6, week=2, capacity=1000)
    problem = replace(problem, mean=np.full((1, 6), 2.0), price=np.full((1, 6), 10.0), on_hand=np.zeros(1))
    plan = EoqPolicy().plan(problem)
    # No stock at 0: order 2 h units. The cheapest coverage loses no sale at 30 per delivery: h = 2 is enough.
    assert plan.levels[0, 0] % 2 == 0
    assert simulate(problem, plan).lost_units == 0


def test_newsvendor_ratio_without_holding_is_the_service_level(make_problem):
    problem = make_problem(1, 1, 7, paths=300, capacity=500, seed=4)
    problem = replace(problem, on_hand=np.zeros(1))
    level = make_policy("newsvendor").plan(problem).levels[0, 0]
    week = np.sort(problem.paths[:, 0].sum(axis=1))
    assert abs(level - week[int(0.95 * 300)]) <= 1


def test_marginal_value_gives_scarce_space_to_the_most_valuable_units(make_problem):
    problem = make_problem(1, 2, 7, paths=50, capacity=8.0, seed=2)
    rate = np.full((2, 7), 1.0)
    draws = np.random.default_rng(0).poisson(1.0, (50, 2, 7)).astype(float)
    price = np.repeat([[5.0], [50.0]], 7, axis=1)
    problem = replace(problem, mean=rate, paths=draws, price=price, on_hand=np.zeros(2))
    levels = make_policy("marginal_value").plan(problem).levels[:, 0]
    assert levels[1] > levels[0]
    assert levels.sum() <= 8


def test_genetic_is_never_worse_than_what_it_starts_from(make_problem):
    problem = make_problem(3, 5, 21, paths=20, capacity=25, seed=6)
    network = Network.of(problem)
    cost = {name: simulate(problem, make_policy(name).plan(problem), network).total for name in NAMES}
    assert min(cost, key=cost.__getitem__) == "genetic"


def test_valid_plans_come_first_then_the_lowest_total(make_problem):
    problem = make_problem(2, 4, 14, capacity=14)
    policies = ["eoq", "periodic_review", "genetic"]
    problem = replace(
        problem,
        on_hand=problem.on_hand % 3,
        settings=problem.settings.model_copy(update={"policies": policies, "over_capacity_penalty": 0.0}),
    )
    solution = solve(problem)
    table = solution.costs.set_index("policy")
    assert not table.loc["periodic_review", "valid"]
    assert solution.chosen == "genetic"
    assert table["chosen"].tolist() == [False, False, True]
    assert table.loc["genetic", "gap"] == pytest.approx(table.loc["genetic", "total"] / solution.bound.total - 1)


def test_uncertain_demand_pays_a_penalty_over_capacity_instead(make_problem):
    problem = make_problem(1, 3, 14, paths=5, capacity=3)
    evaluated = evaluate_plan(problem, "x", make_policy("periodic_review").plan(problem))
    assert evaluated.cost.over_capacity_store_days > 0
    assert evaluated.valid
    assert evaluated.total_p95 >= evaluated.cost.total * 0.9


def test_a_store_is_proven_where_a_valid_plan_attains_its_bound(make_problem):
    problem = make_problem(3, 3, 14, capacity=1000)
    solution = solve(problem)
    assert solution.bound.status == ("proven",) * 3
    lower = replace(solution.bound, per_store=solution.bound.per_store - 1, status=("valid",) * 3)
    assert with_attained(lower, solution.evaluations).status == ("valid",) * 3
    assert chosen(solution.evaluations) in cost_table(solution.evaluations, lower)["policy"].tolist()


def test_gap_without_a_bound_above_zero_is_unknown():
    assert np.isnan(gap(5.0, 0.0))
    assert np.isnan(gap(5.0, float("nan")))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown policy 'eok'.*'eoq', 'eoq_published'"):
        make_policy("eok")
    found = unknown_policies({"inventory": {"policies": ["eoq", "eok", 3]}})
    assert len(found) == 1
    assert found[0].startswith("inventory.policies.1: expected 'eoq', 'eoq_published', ")
    assert found[0].endswith(", got 'eok'")
    assert unknown_policies({"inventory": {"policies": "eok"}}) == unknown_policies({"inventory": None}) == []


def test_the_names_of_the_contract_are_registered():
    contract = {"eoq", "eoq_published", "periodic_review", "s_S", "newsvendor", "marginal_value", "genetic"}
    assert contract | {"genetic_static"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_policy_states_its_facts(name):
    facts = policy_facts(name)
    assert facts.name == name
    assert facts.label
    assert facts.formula
    assert facts.source


@pytest.mark.parametrize("name", [name for name in NAMES if policy_facts(name).follows_calibration])
def test_levels_follow_the_calibrated_overstock_cost_as_the_facts_say(make_problem, name):
    problem = make_problem(2, 3, 21, paths=12, capacity=1000, holding_cost=0.5)
    low, high = (make_policy(name).plan(replace(problem, holding_factor=factor)).levels for factor in (0.2, 20.0))
    assert low.sum() > high.sum()


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(make_policy(name), WithRelaxation)])
def test_given_shadow_prices_give_the_same_plan(make_problem, name):
    problem = make_problem(4, 3, 14, paths=5, capacity=80)
    requirement = np.bincount(problem.series_category, weights=problem.mean.sum(axis=1))
    problem = replace(problem, max_visits_per_period=2, dc_available=np.floor(0.6 * requirement))
    policy = make_policy(name)
    given = policy.with_relaxation(relaxation_of(problem, Network.of(problem)))
    np.testing.assert_array_equal(given.plan(problem).levels, policy.plan(problem).levels)
