"""Periods that the level of a delivery covers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from tasks.inventory.model.delivery_days import covered_until
from tasks.inventory.model.weekly_problem import build_problem
from tasks.inventory.weekly import optimize
from tests.inventory.conftest import problem_of
from tests.inventory.test_weekly_plan import AS_OF, COSTED, inputs_of


def ends_of(problem, visits):
    """Of a single store."""
    return covered_until(problem, visits[None])[0]


def test_in_a_weekly_run_a_level_covers_demand_until_the_next_run_can_deliver():
    problem = problem_of(1, 1, 20, lead_time=2)
    visits = np.zeros(20, dtype=bool)
    days = [2, 5, 10, 12, 19]
    visits[days] = True
    # Review periods start at 2, 9 and 16.
    assert ends_of(problem, visits)[days].tolist() == [5, 10, 12, 19, 20]
    assert ends_of(replace(problem, weekly_run=True), visits)[days].tolist() == [9, 10, 16, 19, 20]
    assert ends_of(problem, visits).sum() == sum([5, 10, 12, 19, 20])


def test_a_level_covers_demand_until_the_next_run_may_deliver_to_the_store():
    """Deliveries on Tuesdays and Thursdays, lead time 2, runs on Mondays: the next run can order for Thursday only."""
    problem = replace(problem_of(2, 1, 21, lead_time=2), weekly_run=True)
    tuesdays_and_thursdays = np.isin(np.arange(21) % 7, [1, 3])
    blackout = np.stack([~tuesdays_and_thursdays, np.zeros(21, dtype=bool)])
    visits = np.zeros((2, 21), dtype=bool)
    visits[:, [3, 8, 10, 17]] = True
    ends = covered_until(replace(problem, blackout=blackout), visits)
    assert ends[:, [3, 8, 10, 17]].tolist() == [[10, 10, 17, 21], [9, 10, 17, 21]]


def test_a_week_in_the_horizon_without_a_delivery_is_covered_by_the_one_before():
    problem = replace(problem_of(1, 1, 21), weekly_run=True)
    visits = np.zeros(21, dtype=bool)
    visits[[0, 15]] = True
    assert ends_of(problem, visits)[[0, 15]].tolist() == [15, 21]


def test_several_deliveries_in_a_week_do_not_shrink_the_first_one():
    """A file comes once a week, so cheap deliveries must not leave the stores short until the next file."""
    inputs = inputs_of(settings={"holding_cost": 0.05, "policies": ["genetic"]}, visit_cost=[0.5, 0.5])
    plan = optimize(inputs)
    as_of = pd.Timestamp(inputs.forecast["date"].min())
    in_week = plan.visits[plan.visits["date"] < as_of + pd.Timedelta(days=7)].groupby("store_id").size()
    assert in_week.max() > 1
    week = build_problem(inputs).problem.mean[:, :7].sum()
    assert plan.replenishment["target_quantity"].sum() >= week


def test_the_search_delivers_on_the_first_day_that_allows_it():
    """No other delivery of the week is in the files, and a category hides SKUs that are empty."""
    inputs = inputs_of(settings={"policies": ["genetic"]}, **COSTED)
    inputs = replace(inputs, sku_facts=inputs.sku_facts.assign(on_hand=[12.0, 12.0, 0.0] * 4))
    blackout = [str((AS_OF + pd.Timedelta(days=day)).date()) for day in (0, 1)]
    closed = inputs_of(settings={"policies": ["genetic"], "blackout": {"dates": blackout}}, **COSTED)
    for found, earliest in ((inputs, 0), (replace(closed, sku_facts=inputs.sku_facts), 2)):
        first = optimize(found).visits.groupby("store_id")["date"].min()
        assert (first == AS_OF + pd.Timedelta(days=earliest)).all()
