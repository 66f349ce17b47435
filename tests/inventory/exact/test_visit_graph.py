"""The bound for known demand: against every plan of small problems, against HiGHS, and attained."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_matrix

from schemas.plan import Plan
from tasks.inventory.exact.bounds import bound_of
from tasks.inventory.exact.envelope import capped_gain, gain_limit
from tasks.inventory.exact.perfect_information import (
    net_requirements_on_path,
    plan_of_visits,
    quantities_of_visits,
    shortest_paths,
)
from tasks.inventory.model.delivery_days import missed_weeks
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import simulate, store_costs
from tasks.inventory.policies.genetic import GeneticPolicy
from tests.breadth import sample

pytestmark = pytest.mark.slow


def solved_by_highs(problem, store: int) -> float:
    """Least cost of one store: free quantities, binary deliveries, at most ``capacity`` after a delivery."""
    rows = np.flatnonzero(problem.series_store == store)
    m, periods = len(rows), problem.periods
    visit, fill = 0, periods
    left, lost = fill + m * periods, fill + 2 * m * periods
    size = lost + m * periods
    cost = np.zeros(size)
    cost[:periods] = problem.visit_cost[store]
    low, high, matrix, at = [], [], lil_matrix((3 * m * periods + 2 * periods, size)), 0

    def row(entries: dict[int, float], least: float, most: float) -> None:
        nonlocal at
        for column, value in entries.items():
            matrix[at, column] = value
        low.append(least)
        high.append(most)
        at += 1

    for t in range(periods):
        space = {}
        for k, j in enumerate(rows):
            cell = k * periods + t
            cost[lost + cell] = problem.price[j, t]
            cost[left + cell] = problem.settings.holding_cost
            before = {left + cell - 1: 1.0} if t else {}
            opening = problem.on_hand[j] if t == 0 else 0.0
            # left = before + delivery − (demand − lost)
            flow = {left + cell: 1.0, fill + cell: -1.0, lost + cell: -1.0, **{k: -v for k, v in before.items()}}
            row(flow, opening - problem.mean[j, t], opening - problem.mean[j, t])
            row({fill + cell: 1.0, visit + t: -1000.0}, -np.inf, 0.0)
            row({lost + cell: 1.0}, 0.0, problem.mean[j, t])
            # Stock after the delivery = stock left + units sold.
            space |= {left + cell: 1.0, lost + cell: -1.0}
        row(space, -np.inf, problem.capacity[store] - problem.mean[rows, t].sum())
        if t % problem.periods_per_week == 0 and t + problem.periods_per_week <= periods:
            row({visit + d: 1.0 for d in range(t, t + problem.periods_per_week)}, 1.0, np.inf)
    matrix = matrix[:at]
    integrality = np.zeros(size)
    integrality[:periods] = 1
    bounds = Bounds(np.zeros(size), np.where(np.arange(size) < periods, 1.0, np.inf))
    answer = milp(cost, integrality=integrality, bounds=bounds, constraints=LinearConstraint(matrix.tocsr(), low, high))
    assert answer.success, answer.message
    return float(answer.fun)


@pytest.mark.parametrize("seed", sample(range(4), [0, 3]))
@pytest.mark.parametrize("capacity", [12.0, 20.0, 100.0])
@pytest.mark.parametrize("holding", [0.0, 0.4])
def test_equals_highs_where_prices_stay(make_problem, seed, capacity, holding):
    problem = make_problem(1, 3, 12, seed=seed, capacity=capacity, week=4, holding_cost=holding)
    # With one price per category serving the first customer is as good as any choice of customers.
    problem = replace(problem, price=np.repeat(problem.price[:, :1], 12, axis=1), on_hand=problem.on_hand % 3)
    bound = bound_of(problem).bound
    assert bound.total == pytest.approx(solved_by_highs(problem, 0), rel=1e-6)


@pytest.mark.parametrize("lead", [0, 1])
@pytest.mark.parametrize("seed", sample(range(5), [0]))
def test_no_choice_of_visits_and_levels_beats_the_bound(make_problem, seed, lead):
    problem = make_problem(1, 1, 4, seed=seed, capacity=6, week=2, lead_time=lead, visit_cost=12)
    network = Network.of(problem)
    bound = bound_of(problem, network).bound.total
    best = np.inf
    highest = 6 if lead == 0 else 10  # what arrives at once and is above the capacity is always over it
    for days in product([False, True], repeat=4):
        visits = np.array([days])
        if visits[:, :lead].any() or missed_weeks(visits, 2, lead):
            continue
        at = np.flatnonzero(visits[0])
        for chosen in product(range(highest + 1), repeat=len(at)):
            levels = np.zeros((1, 4))
            levels[0, at] = chosen
            cost = simulate(problem, Plan(visits, levels), network)
            if cost.over_capacity_store_days == 0:
                best = min(best, cost.total)
    assert bound <= best + 1e-9
    # One category: every whole quantity is tried above; the last block of the bound may be a fraction.
    plan = GeneticPolicy().plan(problem)
    assert simulate(problem, plan, network).total == pytest.approx(best, rel=0.05)


@pytest.mark.parametrize("capacity", [15.0, 25.0, 200.0])
@pytest.mark.parametrize("lead", [0, 2])
def test_a_level_per_visit_nearly_attains_it_within_capacity(make_problem, capacity, lead):
    problem = make_problem(4, 12, 28, seed=5, capacity=capacity * 4, lead_time=lead)
    network = Network.of(problem)
    cost = simulate(problem, GeneticPolicy().plan(problem), network)
    bound = bound_of(problem, network).bound
    assert cost.over_capacity_store_days == 0
    assert cost.missed_weeks == 0
    assert bound.total <= cost.total + 1e-6
    assert cost.total <= bound.total * 1.01


def test_goods_in_transit_are_part_of_the_opening_stock(make_problem):
    problem = make_problem(2, 3, 14, seed=8, transit=2, lead_time=2)
    network = Network.of(problem)
    requirements = net_requirements_on_path(network, 0)
    without = simulate(problem, Plan(np.zeros((2, 14), dtype=bool), np.zeros((6, 14))), network)
    assert requirements.units.sum() == pytest.approx(without.lost_units)
    plan = GeneticPolicy().plan(problem)
    assert bound_of(problem, network).bound.total <= simulate(problem, plan, network).total + 1e-6


def test_wait_and_see_is_below_every_plan_on_the_same_paths(make_problem):
    problem = make_problem(2, 4, 14, paths=6, capacity=30)
    bound = bound_of(problem).bound
    network = Network.of(problem)
    draw = np.random.default_rng(0)
    for _ in range(30):
        visits = draw.random((2, 14)) < 0.4
        visits[:, [0, 7]] = True
        plan = Plan(visits, draw.integers(0, 12, problem.mean.shape).astype(float))
        assert (bound.per_store <= store_costs(network, plan) + 1e-9).all()
    assert "wait and see" in bound.scope


def test_soft_capacity_may_be_bought(make_problem):
    hard = make_problem(1, 6, 14, capacity=10.0, visit_cost=300.0)
    settings = hard.settings.model_copy(update={"capacity": "soft", "over_capacity_penalty": 1.0})
    soft = replace(hard, settings=settings)
    plan = GeneticPolicy().plan(soft)
    cost = simulate(soft, plan)
    assert cost.over_capacity_store_days > 0
    assert bound_of(soft).bound.total <= cost.total + 1e-9
    assert cost.total < simulate(hard, GeneticPolicy().plan(hard)).total


def test_equal_costs_give_the_fewest_deliveries(make_problem):
    problem = make_problem(1, 2, 14, capacity=1000, visit_cost=0)
    problem = replace(problem, on_hand=np.zeros(2))
    plan = GeneticPolicy().plan(problem)
    # Deliveries cost nothing; the first must be on day 0 to avoid lost sales; one per week is enough.
    assert plan.visits.sum() == 2
    assert simulate(problem, plan).total == 0


def test_delivery_quantities_do_not_exceed_requirement_or_room(make_problem):
    problem = make_problem(2, 5, 21, capacity=18, seed=3)
    problem = replace(problem, on_hand=problem.on_hand % 3)
    network = Network.of(problem)
    requirements = net_requirements_on_path(network, 0)
    visits, _ = shortest_paths(problem, network, requirements)
    _, quantities = quantities_of_visits(problem, network, requirements, visits)
    assert (quantities.sum(axis=0) <= requirements.units.sum(axis=0) + 1e-9).all()
    assert (quantities == np.floor(quantities)).all()
    plan = plan_of_visits(problem, network, requirements, visits)
    assert simulate(problem, plan, network).over_capacity_store_days == 0


@pytest.mark.parametrize("seed", range(60))
def test_no_delivery_exceeds_capacity_with_goods_in_transit(make_problem, seed):
    draw = np.random.default_rng(seed)
    problem = make_problem(
        2,
        int(draw.integers(1, 8)),
        21,
        seed=seed,
        transit=int(draw.integers(0, 6)),
        lead_time=int(draw.integers(0, 4)),
        capacity=float(draw.integers(8, 40)),
        holding_cost=float(draw.choice([0.0, 0.3])),
        visit_cost=float(draw.choice([0.0, 10.0, 60.0])),
    )
    network = Network.of(problem)
    cost = simulate(problem, GeneticPolicy().plan(problem), network)
    nothing = simulate(problem, Plan(np.zeros((2, 21), dtype=bool), np.zeros(problem.mean.shape)), network)
    assert bound_of(problem, network).bound.total <= cost.total + 1e-6
    assert cost.over_capacity_store_days <= nothing.over_capacity_store_days
    assert cost.missed_weeks == 0


@pytest.mark.parametrize("room", [0.0, 0.5, 3.0, 11.0, 500.0])
def test_the_most_valuable_units_are_found_without_sorting(room):
    draw = np.random.default_rng(4)
    amount, worth = draw.integers(1, 4, 60).astype(float), draw.integers(1, 9, 60) / 2
    order = np.argsort(-worth)
    before = np.cumsum(amount[order]) - amount[order]
    expected = float(np.clip(room - before, 0.0, amount[order]) @ worth[order])
    limits = [gain_limit(amount, worth, 60, room, threshold) for threshold in (0.0, 1.75, 4.0)]
    value, price = capped_gain(amount.copy(), worth.copy(), 60, room)
    assert value == pytest.approx(expected)
    assert min(limits) >= value - 1e-9
    if 0 < room < amount.sum():
        # At the price of space the upper bound is attained.
        assert gain_limit(amount, worth, 60, room, price) == pytest.approx(value)
