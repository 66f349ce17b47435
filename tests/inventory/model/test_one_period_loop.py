"""Everything that uses the simulator, and the closed forms that must agree with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.plan import Plan
from tasks.inventory.exact.perfect_information import (
    net_requirements_on_path,
    plan_of_quantities,
    plan_of_visits,
    quantities_of_visits,
    shortest_paths,
)
from tasks.inventory.model.ledger import ledger
from tasks.inventory.model.loss_function import stock_before
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import (
    OrderRule,
    Store,
    Trace,
    levels_of_rule,
    simulate,
    simulate_store,
    store_costs,
    store_of,
    traced,
)
from tasks.inventory.search.static_levels import level_costs, stock_without_deliveries


def random_plan(problem, seed: int) -> Plan:
    draw = np.random.default_rng(seed)
    visits = draw.random((len(problem.store_ids), problem.periods)) < 0.4
    return Plan(visits, draw.integers(0, 12, problem.mean.shape).astype(float))


@pytest.mark.parametrize("lead", [0, 2])
@pytest.mark.parametrize("paths", [0, 5])
def test_a_trace_does_not_change_measures_and_adds_up_to_them(make_problem, lead, paths):
    problem = make_problem(3, 4, 14, paths=paths, lead_time=lead, transit=lead + 1, capacity=20)
    network, plan = Network.of(problem), random_plan(problem, 1)
    visits = plan.visits.copy()
    visits[:, :lead] = False
    for i in range(network.stores):
        demand, store = network.demand[i], store_of(network, i)
        levels = np.ascontiguousarray(plan.levels[network.series_of(i)].T)
        result, sent = np.empty((network.paths, 4)), np.empty((network.paths, 4))
        simulate_store(demand, store, visits[i], levels, result, sent)
        trace, measures = traced(demand, store, visits[i], levels)
        np.testing.assert_array_equal(measures, result)
        assert trace.sent.sum(axis=0) == pytest.approx(sent.mean(axis=0))
        assert demand.mean(axis=0).sum() - trace.sold.sum() == pytest.approx(result[:, 1].mean())
        assert trace.over.sum() == pytest.approx(result[:, 3].mean())
        left = trace.after_delivery - trace.sold.sum(axis=1)
        assert left.sum() == pytest.approx(result[:, 2].mean())


@pytest.mark.parametrize("lead", [0, 1, 3])
@pytest.mark.parametrize("up_to", [False, True])
def test_a_reorder_rule_orders_where_the_position_is_at_or_below_its_point(make_problem, lead, up_to):
    problem = make_problem(1, 3, 14, lead_time=lead, transit=lead)
    network = Network.of(problem)
    demand, store = network.demand[0][0], store_of(network, 0)
    visits = np.arange(14) >= lead
    point = np.array([3.0, 5.0, 0.0])
    amount = np.array([9.0, 6.0, 4.0]) + (point if up_to else 0.0)
    rule = OrderRule(np.tile(point, (14, 1)), np.tile(amount, (14, 1)), up_to)
    levels = levels_of_rule(demand, store, visits, rule)
    trace, _ = traced(demand[None], store, visits, levels)
    position = trace.on_hand + trace.pending
    for t in range(14 - lead):
        orders = position[t] <= point
        expected = np.where(orders, amount - position[t] if up_to else amount, 0.0)
        np.testing.assert_allclose(trace.sent[t + lead], expected)
        np.testing.assert_allclose(levels[t + lead], np.where(orders, position[t] + expected, 0.0))


@pytest.mark.parametrize("lead", [0, 2])
def test_levels_of_given_quantities_send_them(make_problem, lead):
    problem = make_problem(3, 4, 21, capacity=30, lead_time=lead, transit=lead)
    network = Network.of(problem)
    requirements = net_requirements_on_path(network, 0)
    visits, quantities = quantities_of_visits(
        problem, network, requirements, shortest_paths(problem, network, requirements)[0]
    )
    sent = ledger(problem, plan_of_quantities(problem, network, (visits, quantities))).sent
    np.testing.assert_allclose(sent, quantities.T, atol=1e-9)


@pytest.mark.parametrize("lead", [0, 2])
@pytest.mark.parametrize("holding", [0.0, 0.4])
def test_the_arcs_of_the_visit_graph_cost_what_the_simulator_says(make_problem, lead, holding):
    """Without a capacity and with constant prices, the plan of a shortest path has exactly its cost."""
    problem = make_problem(3, 4, 21, capacity=np.inf, lead_time=lead, transit=lead, holding_cost=holding)
    problem = replace(problem, price=np.repeat(problem.price[:, :1], 21, axis=1))
    network = Network.of(problem)
    requirements = net_requirements_on_path(network, 0)
    visits, cost = shortest_paths(problem, network, requirements)
    np.testing.assert_allclose(
        store_costs(network, plan_of_visits(problem, network, requirements, visits)), cost, atol=1e-6
    )


def test_stock_without_deliveries_is_that_of_the_simulator(make_problem):
    problem = make_problem(1, 4, 14, paths=5, transit=3)
    network = Network.of(problem)
    demand, store = network.demand[0], store_of(network, 0)
    never, zeros = np.zeros(14, dtype=bool), np.zeros((14, 4))
    for period in (0, 1, 5):
        expected = [traced(demand[k : k + 1], store, never, zeros)[0].on_hand[period] for k in range(5)]
        np.testing.assert_allclose(stock_before(demand, store.on_hand, store.in_transit, period), expected)
    bare = store._replace(in_transit=np.zeros((0, 4)))
    trace: Trace = traced(demand[:1], bare, never, zeros)[0]
    np.testing.assert_allclose(stock_without_deliveries(demand[0], store.on_hand), trace.on_hand)


def test_costs_of_single_levels_add_up_to_the_simulated_cost(make_problem):
    problem = make_problem(1, 4, 14, capacity=np.inf, visit_cost=0.0, holding_cost=0.3)
    network = Network.of(problem)
    visits = np.zeros(14, dtype=bool)
    visits[[0, 4, 9]] = True
    most = np.array([4, 9, 2, 7])
    cost = level_costs(network.demand[0][0], network.price[0], network.on_hand, visits, np.full(4, 0.3), most)
    assert np.isinf(cost[2, 3:]).all()
    for levels in ([0, 0, 0, 0], [4, 9, 2, 7], [1, 5, 2, 3]):
        plan = Plan(visits[None], np.repeat(np.array(levels, dtype=float)[:, None], 14, axis=1))
        assert cost[np.arange(4), levels].sum() == pytest.approx(simulate(problem, plan).total)


def test_a_store_without_series_costs_nothing():
    store = Store(np.zeros((3, 0)), np.zeros(0), np.zeros((0, 0)), 5.0, 0)
    _, measures = traced(np.zeros((1, 3, 0)), store, np.ones(3, dtype=bool), np.zeros((3, 0)))
    assert measures.tolist() == [[0.0, 0.0, 0.0, 0.0]]
