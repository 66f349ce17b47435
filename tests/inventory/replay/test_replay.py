"""Calibration by replay: the ledger by hand, next to the simulator, what it may read, and what it chooses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from schemas.frequency import Frequency
from schemas.panel import Panel
from schemas.plan import Plan
from schemas.settings import Settings
from tasks.forecasting.baselines import MovingAverage
from tasks.forecasting.fold_forecasts import past_forecasts
from tasks.inventory.model.ledger import ledger
from tasks.inventory.model.loss_function import lead_time_lost_sales
from tasks.inventory.model.simulator import simulate
from tasks.inventory.model.weekly_problem import WeeklyInputs
from tasks.inventory.policies.newsvendor import NewsvendorPolicy
from tasks.inventory.replay.overstock_cost import FACTORS, Span, Stock, advance, calibrate, cheapest, factor_at, replay
from tasks.inventory.weekly import optimize

pytestmark = pytest.mark.slow

QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9]


def settings_of(frequency: str = "W-MON", horizon: int = 3, **inventory: object) -> Settings:
    block = {"lead_time": 2, "holding_cost": 0.2, "shortage_cost": 1.0, "policies": ["newsvendor"], **inventory}
    return Settings.model_validate(
        {
            "name": "t",
            "frequency": frequency,
            "horizon": horizon,
            "quantiles": QUANTILES,
            "inventory": block,
            "sources": {name: {"path": "x.csv"} for name in ("sales", "products", "stores")},
        }
    )


def panel_of(demand: np.ndarray, settings: Settings, first: str = "2022-01-03") -> Panel:
    n, history = demand.shape
    labels = pd.date_range(first, periods=history + settings.horizon, freq=settings.frequency)
    series = pd.DataFrame({"store_id": [f"s{i % 2}" for i in range(n)], "category": [f"k{i:02d}" for i in range(n)]})
    order = series.sort_values(["store_id", "category"]).index.to_numpy()
    return Panel(
        frequency=Frequency(settings.frequency),
        series=series.iloc[order].reset_index(drop=True),
        periods=labels,
        demand=demand[order],
        closed=np.zeros((n, history + settings.horizon), dtype=bool),
        horizon=settings.horizon,
        sold=np.nan_to_num(demand[order]),
    )


def inputs_of(panel: Panel, settings: Settings, forecast: pd.DataFrame, **stores: object) -> WeeklyInputs:
    facts = panel.series.assign(sku=panel.series["category"], recent_units=5.0, total_units=50.0, unit_price=1.0)
    facts = facts.assign(on_hand=2.0, in_transit_1=1.0, size="", color="", collection_status="", pack_size=np.nan)
    facts = facts.assign(min_presentation=np.nan)
    table = pd.DataFrame({"store_id": ["s0", "s1"], **stores})
    backtest = forecast.assign(actual=np.nan)
    return WeeklyInputs(forecast, backtest, facts, table, settings, has_stock=True)


def forecasts_of(panel: Panel, cutoffs: list[int]) -> pd.DataFrame:
    return past_forecasts(MovingAverage(), panel, cutoffs, QUANTILES, 7)


def poisson_panel(settings: Settings, weeks: int = 80, series: int = 12, seed: int = 3) -> Panel:
    return panel_of(np.random.default_rng(seed).poisson(2.0, (series, weeks)).astype(float), settings)


def test_two_series_by_hand(make_problem):
    problem = make_problem(stores=1, categories=2, periods=4, lead_time=1, holding_cost=0.5, shortage_cost=3.0)
    problem = replace(problem, price=np.full((2, 4), 3.0), visit_cost=np.zeros(1))
    visits = np.array([[False, True, True, True]])
    plan = Plan(visits, np.array([[0.0, 4.0, 4.0, 4.0], [0.0, 2.0, 2.0, 2.0]]))
    stock = Stock(np.array([1.0, 5.0]), np.array([[2.0], [0.0]]))
    demand = np.array([[4.0, 2.0], [1.0, 1.0]])
    after, cost = advance(problem, plan, stock, Span(demand, np.array([[True, True], [True, False]])))
    # Series 0: position 3, so 1 is ordered; 1 + 2 arrive and sell, 1 is lost. Then nothing is left, 1 is in transit:
    # 3 are ordered, the 1 arrives and sells, 1 is lost. Series 1 has 5, sells 1 a period, holds 4, then 3 (unknown).
    assert after.on_hand.tolist() == [0.0, 3.0]
    assert after.in_transit.tolist() == [[3.0], [0.0]]
    assert cost.lost_units == 2
    assert cost.lost_sales == pytest.approx(6.0)
    assert cost.holding == pytest.approx(0.5 * 4)


@pytest.mark.parametrize("lead", [0, 1, 3])
def test_moves_stock_like_the_simulator(make_problem, lead):
    problem = make_problem(stores=3, periods=14, transit=lead, lead_time=lead, holding_cost=0.1, capacity=np.inf)
    draw = np.random.default_rng(lead)
    visits = draw.random((3, 14)) < 0.5
    plan = Plan(visits, draw.integers(0, 12, problem.mean.shape).astype(float))
    days = 14 - lead
    span = Span(problem.mean[:, :days], np.ones((len(problem.mean), days), dtype=bool))
    coming = problem.in_transit if lead else np.zeros((len(problem.mean), 0))
    after, cost = advance(problem, plan, Stock(problem.on_hand, coming), span)
    explained = ledger(problem, plan)
    left = explained.on_hand[:, days - 1] + explained.sent[:, days - 1] - explained.sold[:, days - 1]
    assert after.on_hand == pytest.approx(left + (problem.in_transit[:, days - 1] if days <= lead else 0))
    assert cost.lost_units == pytest.approx(problem.mean[:, :days].sum() - explained.sold[:, :days].sum())
    if lead == 0:
        judged = simulate(problem, plan)
        assert cost.total == pytest.approx(judged.total)


def test_units_are_conserved(make_problem):
    problem = make_problem(periods=9, lead_time=2, holding_cost=0.1)
    plan = Plan(np.zeros((2, 9), dtype=bool), np.full(problem.mean.shape, 50.0))
    stock = Stock(problem.on_hand, np.ones((6, 2)))
    after, cost = advance(problem, plan, stock, Span(problem.mean[:, :7], np.ones((6, 7), dtype=bool)))
    sold = problem.mean[:, :7].sum() - cost.lost_units
    assert stock.on_hand.sum() + stock.in_transit.sum() == after.on_hand.sum() + after.in_transit.sum() + sold
    assert after.in_transit.sum() == 0


def test_unknown_periods_cost_nothing_and_move_stock(make_problem):
    problem = make_problem(stores=1, categories=1, periods=3, holding_cost=1.0)
    plan = Plan(np.zeros((1, 3), dtype=bool), np.zeros((1, 3)))
    stock = Stock(np.array([5.0]), np.zeros((1, 0)))
    after, cost = advance(problem, plan, stock, Span(np.array([[2.0, 9.0]]), np.zeros((1, 2), dtype=bool)))
    assert after.on_hand.tolist() == [0.0]
    assert cost.total == 0


def test_overstock_counts_more_than_in_the_newsvendor_formula():
    settings = settings_of()
    panel = poisson_panel(settings)
    found = calibrate(
        inputs_of(panel, settings, forecasts_of(panel, [70])), panel, forecasts_of(panel, [*range(54, 80)])
    )
    assert found.holding_factor is not None
    assert found.holding_factor > 1.2
    assert found.table["chosen"].sum() == 1
    assert (found.table["total"] >= found.table["lost_sales"]).all()
    assert (np.diff(found.table["lost_sales"]) >= 0).all()
    assert (np.diff(found.table["holding"]) <= 0).all()
    assert "24 past review periods" in found.note


def test_too_high_forecasts_raise_the_overstock_cost_multiplier():
    settings = settings_of()
    panel = poisson_panel(settings)
    fair = forecasts_of(panel, [*range(54, 80)])
    columns = ["mean", *[f"q{level:g}" for level in QUANTILES]]
    inputs = inputs_of(panel, settings, fair[fair["cutoff"] == fair["cutoff"].max()])
    factors = [
        calibrate(inputs, panel, fair.assign(**{name: fair[name] * times for name in columns})).holding_factor
        for times in (0.6, 1.0, 1.6)
    ]
    assert factors == sorted(factors)
    assert factors[0] < factors[-1]


def test_what_comes_after_as_of_changes_nothing():
    settings = settings_of()
    past = np.random.default_rng(5).poisson(2.0, (6, 75)).astype(float)
    found = []
    for future in (0.0, 40.0):
        longer = panel_of(np.column_stack([past, np.full((6, 5), future)]), settings)
        panel = longer.until(75)
        made = forecasts_of(panel, [*range(55, 75)])
        found.append(calibrate(inputs_of(panel, settings, made[made["cutoff"] == made["cutoff"].max()]), panel, made))
    assert found[0].holding_factor == found[1].holding_factor
    pd.testing.assert_frame_equal(found[0].table, found[1].table)


def test_a_week_before_the_cutoff_is_known_to_its_plan_and_a_week_after_is_not():
    settings = settings_of()
    panel = poisson_panel(settings, series=4)
    changed = panel.demand.copy()
    changed[:, 70] += 30
    other = replace(panel, demand=changed, sold=changed)
    made, remade = (forecasts_of(p, [*range(60, 80)]) for p in (panel, other))
    before = made["cutoff"] <= panel.periods[70]
    pd.testing.assert_frame_equal(made[before], remade[before])
    assert not made[~before].equals(remade[~before])


@pytest.mark.parametrize("known", ["nothing", "one week"])
def test_too_little_data_gives_no_calibration(known):
    settings = settings_of()
    panel = poisson_panel(settings)
    inputs = inputs_of(panel, settings, forecasts_of(panel, [70]))
    if known == "nothing":
        panel = replace(panel, demand=np.full(panel.demand.shape, np.nan))
    cutoffs = [*range(60, 80)] if known == "nothing" else [77]
    found = calibrate(inputs, panel, forecasts_of(poisson_panel(settings), cutoffs))
    assert found.holding_factor is None
    assert found.table.empty
    assert "No replay calibration" in found.note


def test_a_daily_network_with_capacity_pays_for_space():
    settings = settings_of("D", 14, lead_time=0, review_period=7, holding_cost=0.05, over_capacity_penalty=90.0)
    panel = poisson_panel(settings, weeks=140, series=6)
    made = forecasts_of(panel, [*range(98, 140, 7)])
    latest = made[made["cutoff"] == made["cutoff"].max()]
    factors = (0.65, 1.0)
    inputs = inputs_of(panel, settings, latest, storage_capacity=[900.0, 900.0], visit_cost=[4.0, 4.0])
    narrow_inputs = inputs_of(panel, settings, latest, storage_capacity=[35.0, 35.0], visit_cost=[4.0, 4.0])
    roomy, _, reviews = replay(inputs, panel, made, factors)
    tight, _, _ = replay(narrow_inputs, panel, made, factors)
    assert reviews == 6
    assert all(cost.transport == 2 * 6 * 4.0 for cost in roomy)
    assert all(cost.over_capacity == 0 for cost in roomy)
    assert all(narrow.lost_units > wide.lost_units for narrow, wide in zip(tight, roomy, strict=True))
    assert all(narrow.holding < wide.holding for narrow, wide in zip(tight, roomy, strict=True))


def test_ties_go_to_the_middle():
    assert cheapest(np.array([5.0, 5.0, 5.0, 5.0, 5.0])) == 2
    assert cheapest(np.array([9.0, 7.0, 6.0, 7.0, 9.0])) == 2
    # One lucky replay between expensive neighbors loses against two good ones side by side.
    assert cheapest(np.array([9.0, 4.0, 9.0, 5.0, 4.6])) == 4


def test_the_least_cost_lies_between_the_points_of_the_grid():
    # Smoothed 7, 6, 7: its own parabola is least at the middle. Smoothed 6, 5, 5.5: a sixth of a step after it.
    assert cheapest(np.array([8.0, 8.0, 4.0, 8.0, 8.0])) == 2
    assert cheapest(np.array([7.0, 7.0, 3.0, 7.0, 5.0])) == pytest.approx(2 + 1 / 6)
    level = np.array([9.0, 6.0, 4.0, 6.0, 9.0])
    assert cheapest(level) == 2
    assert 2 < cheapest(level - [0, 0, 0, 1.0, 1.0]) < 2.5
    assert factor_at(2.5) == pytest.approx(np.sqrt(FACTORS[2] * FACTORS[3]))


def test_lead_time_lost_sales_lower_the_first_order():
    demand = np.array([[[3.0], [2.0]]])
    assert lead_time_lost_sales(demand, np.array([1.0]), np.zeros((0, 1)), 1, 2, np.array([0.9])).tolist() == [2.0]
    roomy = lead_time_lost_sales(demand, np.array([9.0]), np.zeros((0, 1)), 1, 2, np.array([0.9]))
    assert roomy.tolist() == [0.0]
    # The same units in transit, too late for the first period, are not lost either.
    late = lead_time_lost_sales(demand, np.array([1.0]), np.array([[0.0], [4.0]]), 1, 2, np.array([0.9]))
    assert late.tolist() == [2.0]


def test_calibrated_overstock_lowers_levels_and_is_charged_at_the_end(make_problem):
    problem = make_problem(
        stores=1, periods=3, week=1, paths=200, lead_time=2, holding_cost=0.2, shortage_cost=1.0, capacity=np.inf
    )
    problem = replace(problem, price=np.ones_like(problem.price))
    dear = replace(problem, holding_factor=4.0)
    plan, lower = NewsvendorPolicy().plan(problem), NewsvendorPolicy().plan(dear)
    assert lower.levels.sum() < plan.levels.sum()
    assert simulate(dear, lower).total < simulate(dear, plan).total
    idle = Plan(np.zeros_like(plan.visits), np.zeros_like(plan.levels))
    lone = replace(problem, paths=None, mean=np.zeros_like(problem.mean), on_hand=np.full(3, 2.0))
    assert simulate(lone, idle).holding == pytest.approx(0.2 * 6 * 3)
    assert simulate(replace(lone, holding_factor=4.0), idle).holding == pytest.approx(0.2 * 6 * (3 + 3))


def test_the_cheapest_plan_at_the_calibrated_cost_is_published():
    settings = settings_of(policies=["eoq", "marginal_value"])
    panel = poisson_panel(settings)
    inputs = inputs_of(panel, settings, forecasts_of(panel, [panel.history]))
    # Overstock counts hardly at all, as given, or far too much: every policy is judged at the same cost.
    found = {factor: optimize(replace(inputs, holding_factor=factor)).costs for factor in (0.3, None, 30.0)}
    for costs in found.values():
        totals = costs.set_index("policy")["total"]
        assert costs.loc[costs["chosen"], "policy"].tolist() == [totals.idxmin()]
    holding = {factor: costs.set_index("policy")["holding"] for factor, costs in found.items()}
    assert (holding[30.0] > holding[0.3]).all()


def test_the_run_plans_with_the_calibrated_factor_and_reports_it():
    settings = settings_of()
    panel = poisson_panel(settings)
    live = forecasts_of(panel, [panel.history])
    inputs = inputs_of(panel, settings, live)
    plain, dear = optimize(inputs), optimize(replace(inputs, holding_factor=5.0))
    assert dear.replenishment["target_quantity"].sum() < plain.replenishment["target_quantity"].sum()
    assert plain.explanations["holding_factor"].isna().all()
    assert (dear.explanations["holding_factor"] == 5.0).all()
