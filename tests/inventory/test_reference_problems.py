"""The figures of the reference problems next to the checkout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.inventory.exact.bounds import bound_of
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import simulate
from tasks.inventory.plan_files import read_problem
from tasks.inventory.registry import make_policy

PROBLEMS = Path(__file__).parents[2].parent / "shared" / "problems"

pytestmark = pytest.mark.shared_data


def problem_named(name: str):
    if not (PROBLEMS / name).is_dir():
        pytest.skip(f"no {PROBLEMS / name}: the reference problems are not next to this checkout")
    return read_problem(PROBLEMS / name)


@pytest.mark.parametrize(
    ("name", "total", "most_over"),
    [("S-known", 4.02e6, 1e-9), ("M-known", 88.62e6, 1e-9), ("M-tight-known", 90.80e6, 5e-4)],
)
def test_known_demand_reaches_the_proven_bound(name, total, most_over):
    problem = problem_named(name)
    network = Network.of(problem)
    cost = simulate(problem, make_policy("genetic").plan(problem), network)
    assert cost.total == pytest.approx(total, rel=1e-4)
    assert cost.total <= bound_of(problem, network).bound.total * (1 + most_over)
    assert (cost.over_capacity_store_days, cost.missed_weeks) == (0, 0)


def test_a_limit_on_deliveries_per_period_costs_little():
    problem = problem_named("M-known-dock9")
    network = Network.of(problem)
    result = bound_of(problem, network)
    policy = replace(make_policy("genetic"), relaxation=result.relaxation)
    cost = simulate(problem, policy.plan(problem), network)
    assert result.bound.total == pytest.approx(93.06e6, rel=1e-4)
    assert cost.total <= result.bound.total * 1.001
    assert cost.limit_breaches == ()


def test_dc_stock_goes_to_the_most_valuable_units():
    problem = problem_named("M-known-dc80")
    network = Network.of(problem)
    result = bound_of(problem, network)
    policy = replace(make_policy("genetic"), relaxation=result.relaxation)
    cost = simulate(problem, policy.plan(problem), network)
    assert result.bound.total >= 282.3e6
    assert cost.total <= result.bound.total * 1.002
    assert cost.limit_breaches == ()


def test_uncertain_demand_comes_within_a_percent_of_wait_and_see():
    problem = problem_named("S")
    network = Network.of(problem)
    cost = simulate(problem, make_policy("genetic").plan(problem), network)
    bound = bound_of(problem, network).bound
    assert bound.total <= cost.total <= bound.total * 1.01
