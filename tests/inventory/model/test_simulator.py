"""The simulator: a plain ledger written from the contract, hand-computed numbers, and invariants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.plan import Plan, PlanProblem
from schemas.settings import InventorySettings
from tasks.inventory.model.delivery_days import missed_weeks, week_starts
from tasks.inventory.model.ledger import ledger
from tasks.inventory.model.simulator import simulate
from tests.breadth import examples


def plain_costs(problem: PlanProblem, plan: Plan) -> dict[str, float]:
    """docs/reference/contract.md#order-of-events with dictionaries, one statement per sentence."""
    lead = problem.settings.lead_time
    paths = [problem.mean] if problem.paths is None else list(problem.paths)
    total = {"transport": 0.0, "lost": 0.0, "holding": 0.0, "over": 0.0, "units": 0.0}
    for i, visits in enumerate(plan.visits):
        total["transport"] += problem.visit_cost[i] * sum(bool(v) for t, v in enumerate(visits) if t >= lead)
    for demand in paths:
        display = dict(enumerate(problem.on_hand))
        due: dict[tuple[int, int], float] = {}
        for j in display:
            for k in range(problem.in_transit.shape[1]):
                due[j, k] = due.get((j, k), 0.0) + problem.in_transit[j, k]

        def decide(visit: int, display: dict = display, due: dict = due) -> None:
            for j, units in display.items():
                if lead <= visit < problem.periods and plan.visits[problem.series_store[j], visit]:
                    coming = sum(q for (s, _), q in due.items() if s == j)
                    quantity = max(0.0, plan.levels[j, visit] - (units + coming))
                    due[j, visit] = due.get((j, visit), 0.0) + quantity

        for t in range(problem.periods):
            decide(t + lead)  # the end of t − 1
            for j in display:
                display[j] += due.pop((j, t), 0.0)
            for i in range(len(problem.store_ids)):
                held = sum(units for j, units in display.items() if problem.series_store[j] == i)
                total["over"] += (held > problem.capacity[i]) / len(paths)
            for j, held in list(display.items()):
                sold = min(held, demand[j, t])
                total["lost"] += (demand[j, t] - sold) * problem.price[j, t] / len(paths)
                total["units"] += (demand[j, t] - sold) / len(paths)
                display[j] -= sold
                total["holding"] += display[j] * problem.settings.holding_cost / len(paths)
    return total


def random_plan(problem: PlanProblem, seed: int) -> Plan:
    draw = np.random.default_rng(seed)
    visits = draw.random((len(problem.store_ids), problem.periods)) < 0.35
    return Plan(visits, draw.integers(0, 15, problem.mean.shape).astype(float))


@pytest.mark.parametrize("lead", [0, 1, 3])
@pytest.mark.parametrize("paths", [0, 4])
@pytest.mark.parametrize("transit", [0, 1, 5])
def test_equals_a_plain_ledger(make_problem, lead, paths, transit):
    for seed in range(3):
        problem = make_problem(
            seed=seed, paths=paths, transit=transit, capacity=22, lead_time=lead, holding_cost=0.25, review_period=7
        )
        plan = random_plan(problem, seed)
        cost, plain = simulate(problem, plan), plain_costs(problem, plan)
        assert cost.transport == plain["transport"]
        assert cost.lost_sales == pytest.approx(plain["lost"], rel=1e-12)
        assert cost.holding == pytest.approx(plain["holding"], rel=1e-12)
        assert cost.over_capacity_store_days == pytest.approx(plain["over"], rel=1e-12)
        assert cost.over_capacity == pytest.approx(500 * plain["over"], rel=1e-12)
        assert cost.lost_units == pytest.approx(plain["units"], rel=1e-12)


def one_series(demand: list[float], on_hand: float, transit: list[float], **inventory: object) -> PlanProblem:
    return PlanProblem(
        store_ids=("a",),
        categories=("x",),
        series_store=np.array([0]),
        series_category=np.array([0]),
        mean=np.array([demand]),
        price=np.full((1, len(demand)), 10.0),
        on_hand=np.array([on_hand]),
        in_transit=np.array([transit]).reshape(1, -1),
        capacity=np.array([6.0]),
        visit_cost=np.array([5.0]),
        dc_available=np.array([np.inf]),
        settings=InventorySettings.model_validate({"review_period": 2, **inventory}),
        periods_per_week=2,
        seed=0,
    )


def plan_of(days: dict[int, float], periods: int) -> Plan:
    visits, levels = np.zeros((1, periods), dtype=bool), np.zeros((1, periods))
    for day, level in days.items():
        visits[0, day], levels[0, day] = True, level
    return Plan(visits, levels)


def test_a_week_by_hand():
    # Opening stock 3; demand 2, 2, 2, 2. The delivery at 1 finds 1 unit and fills up to 4. No stock is left at 3.
    problem = one_series([2, 2, 2, 2], 3, [], holding_cost=1.0)
    cost = simulate(problem, plan_of({1: 4}, 4))
    # After the periods 1, 2, 0 and 0 units are left; the last period loses 2 units.
    assert (cost.transport, cost.lost_sales, cost.holding) == (5.0, 20.0, 3.0)
    assert cost.missed_weeks == 1
    assert cost.fill_rate == pytest.approx(0.75)


def test_without_demand_nothing_is_lost():
    cost = simulate(one_series([0, 0, 0], 3, [], holding_cost=1.0), plan_of({1: 4}, 3))
    assert (cost.fill_rate, cost.lost_sales, cost.holding) == (1.0, 0.0, 3 + 4 + 4)


def test_the_quantity_is_fixed_a_lead_time_before_the_visit():
    # L = 1. The visit at 2 is decided at the end of 0: on hand 4 − 2 = 2, in transit 3 (arrives at 1), level 9: 4.
    problem = one_series([2, 5, 5], 4, [0, 3], lead_time=1)
    book = ledger(problem, plan_of({2: 9}, 3))
    assert book.sent.tolist() == [[0, 0, 4]]
    # 4 − 2 = 2, + 3 = 5 − 5 = 0, + 4 = 4 of 5 sold.
    assert book.sold.tolist() == [[2, 5, 4]]
    assert book.in_transit[0, 0] == 3


def test_a_visit_before_the_lead_time_cannot_be_decided():
    problem = one_series([2, 2, 2], 0, [], lead_time=2)
    cost = simulate(problem, plan_of({0: 5, 1: 5}, 3))
    assert cost.visits == 0
    assert cost.lost_units == 6


def test_capacity_is_checked_after_the_delivery_and_does_not_reduce_it():
    problem = one_series([2, 2, 2], 0, [])
    cost = simulate(problem, plan_of({0: 9}, 3))
    # 9 and 7 units are above the capacity of 6, 5 are not; everything is sold.
    assert cost.over_capacity_store_days == 2
    assert cost.lost_units == 0


def test_nothing_is_taken_back():
    problem = one_series([1, 1], 5, [])
    book = ledger(problem, plan_of({0: 2}, 2))
    assert book.after_delivery.tolist() == [[5, 4]]


@settings(max_examples=examples(20), deadline=None)
@given(seed=st.integers(0, 10_000), lead=st.integers(0, 3), transit=st.integers(0, 4), paths=st.sampled_from([0, 3]))
def test_units_are_conserved_and_stock_is_never_negative(make_problem, seed, lead, transit, paths):
    problem = make_problem(seed=seed, paths=paths, transit=transit, lead_time=lead)
    book = ledger(problem, random_plan(problem, seed))
    arrived = problem.in_transit.sum(axis=1)
    end = problem.on_hand + arrived + book.sent.sum(axis=1) - book.sold.sum(axis=1)
    assert (end > -1e-9).all()
    assert (book.on_hand > -1e-9).all()
    # Stock at the end = stock before the last period + its arrivals − its sales.
    last = book.on_hand[:, -1] + book.sent[:, -1] - book.sold[:, -1]
    if transit < problem.periods:
        np.testing.assert_allclose(last, end, atol=1e-9)


@settings(max_examples=examples(10), deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_higher_price_never_lowers_the_cost(make_problem, seed):
    problem = make_problem(seed=seed)
    plan = random_plan(problem, seed)
    dearer = replace(problem, price=problem.price + 1.0)
    difference = simulate(dearer, plan).lost_sales - simulate(problem, plan).lost_sales
    assert difference == pytest.approx(simulate(problem, plan).lost_units)


def test_inputs_are_not_changed(make_problem):
    problem = make_problem(paths=3, transit=2)
    plan = random_plan(problem, 1)
    before = [problem.paths.copy(), problem.on_hand.copy(), plan.levels.copy(), plan.visits.copy()]
    simulate(problem, plan)
    ledger(problem, plan)
    for old, new in zip(before, [problem.paths, problem.on_hand, plan.levels, plan.visits], strict=True):
        np.testing.assert_array_equal(old, new)


def test_shared_limits_are_reported_by_name(make_problem):
    problem = make_problem(capacity=1000)
    problem = replace(problem, max_visits_per_period=1, dc_available=np.array([np.inf, 2.0, np.inf]))
    visits = np.zeros((2, 14), dtype=bool)
    visits[:, [0, 7]] = True
    breaches = simulate(problem, Plan(visits, np.full(problem.mean.shape, 20.0))).limit_breaches
    assert "more than 1 deliveries in periods 0, 7 (2 in all)" in breaches[0]
    assert "c1" in breaches[1]
    assert "of 2)" in breaches[1]


def test_weeks_start_at_the_lead_time_and_lie_entirely_in_the_horizon():
    assert week_starts(16, 7, 0).tolist() == [0, 7]
    assert week_starts(16, 7, 3).tolist() == [3]
    visits = np.zeros((2, 16), dtype=bool)
    visits[0, [6, 7]] = True
    assert missed_weeks(visits, 7, 0) == 2
