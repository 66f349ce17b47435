"""Replay, value added, service and overrides: cases that can be computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.performance import Basis, Step
from schemas.plan import PlanProblem
from schemas.settings import InventorySettings
from tasks.evaluation.metrics.definitions import bias, coverage, wape, wql
from tasks.performance.accuracy import accuracy, with_tracking_signal
from tasks.performance.actuals import changes
from tasks.performance.importance import importance
from tasks.performance.override_value import by_override
from tasks.performance.published_week import ForecastGrid
from tasks.performance.replay import FirstCycle, cycle_cost
from tasks.performance.service import SoldUnits, cost_rows, service
from tasks.performance.value_added import best_single_model, compared

SERIES = pd.DataFrame({c.STORE_ID: ["1", "1", "2"], c.CATEGORY: ["x", "y", "x"]})


def problem(on_hand: float, lead_time: int = 0) -> PlanProblem:
    """One store and category over four periods: price 10, nothing in transit."""
    return PlanProblem(
        store_ids=("1",),
        categories=("x",),
        series_store=np.zeros(1, dtype=np.int64),
        series_category=np.zeros(1, dtype=np.int64),
        mean=np.zeros((1, 4)),
        price=np.full((1, 4), 10.0),
        on_hand=np.array([on_hand]),
        in_transit=np.zeros((1, 0)),
        capacity=np.array([np.inf]),
        visit_cost=np.zeros(1),
        dc_available=np.array([np.inf]),
        settings=InventorySettings(lead_time=lead_time, review_period=1),
        periods_per_week=1,
        seed=1,
    )


@pytest.mark.parametrize(
    ("lead_time", "level", "lost", "left"),
    [
        # Filled to 5 at t = 0: 5 - 3 = 2 left, then 1 lost.
        (0, 5.0, [0, 1], [2, 0]),
        # Ordered before t = 0: 5 - 2 = 3 units arrive at t = 1. The first period loses 1.
        (1, 5.0, [1, 0], [0, 0]),
        # Below the stock: nothing is taken back.
        (0, 0.0, [1, 3], [0, 0]),
    ],
)
def test_a_level_costs_what_the_hand_says(lead_time: int, level: float, lost: list[int], left: list[int]) -> None:
    visits = np.zeros((1, 4), dtype=bool)
    visits[0, lead_time] = True
    cycle = FirstCycle.of(visits, 2)
    found = cycle_cost(problem(2.0, lead_time), cycle, np.array([level]), np.array([[3.0, 3.0]]), np.array([0.5]))
    assert found.lost_units.tolist() == [lost]
    assert found.total.tolist() == [[10 * a + 0.5 * b for a, b in zip(lost, left, strict=True)]]


def test_accuracy_agrees_with_the_metrics_and_leaves_out_unknown_demand() -> None:
    dates = pd.date_range("2025-02-24", periods=3)
    keys = SERIES.loc[SERIES.index.repeat(3)].reset_index(drop=True)
    mean = np.arange(9.0)
    frame = keys.assign(
        **{c.DATE: list(dates) * 3, c.MODEL: "theta", c.CHAMPION: keys[c.STORE_ID] == "1", c.MEAN: mean},
        **{"q0.1": mean - 1, "q0.5": mean, "q0.9": mean + 2},
    )
    demand = np.array([[2.0, np.nan], [3.0, 9.0], [5.0, 7.0]])
    rows = accuracy(ForecastGrid.of(frame), demand, lag_length=1)
    row = rows.set_index([c.LEVEL, c.STORE_ID, c.CATEGORY, c.LAG, c.MODEL]).loc[("overall", "", "", 0, "theta")]
    known, ahead = np.array([2.0, 3, 9, 5, 7]), np.array([0.0, 3, 4, 6, 7])
    band = np.stack([ahead - 1, ahead, ahead + 2], axis=1)
    expected = [wape(known, ahead), bias(known, ahead), wql(known, band, [0.1, 0.5, 0.9])]
    assert row[[c.WAPE, c.BIAS, c.WQL]].tolist() == pytest.approx(expected)
    assert (row[c.COVERAGE], row[c.COVERAGE_TARGET]) == (coverage(known, band, [0.1, 0.5, 0.9]), pytest.approx(0.8))
    place = rows[rows[c.LEVEL].eq("store") & rows[c.MODEL].eq("champion")]
    assert place[[c.STORE_ID, c.LAG, c.N]].to_numpy().tolist() == [["1", 0, 3], ["1", 1, 2], ["1", 2, 1]]
    # Last year's sales have no quantiles; where they are unknown, the seasonal naive forecast counts.
    naive = pd.concat([frame, frame.assign(**{c.MODEL: "seasonal_naive", c.CHAMPION: False})], ignore_index=True)
    before = np.array([[2.0, 1.0], [np.nan, 8.0], [5.0, np.nan]])
    rows = accuracy(ForecastGrid.of(naive), demand, 1, before)
    row = rows[rows[c.MODEL].eq("last_year") & rows[c.LEVEL].eq("overall") & rows[c.LAG].eq(0)].iloc[0]
    assert (row[c.N], row[c.WAPE]) == (5, wape(known, np.array([2.0, 3, 8, 5, 7])))
    assert np.isnan([row[c.WQL], row[c.COVERAGE]]).all()


def test_the_tracking_signal_is_over_weeks() -> None:
    keys = {c.LEVEL: "overall", c.STORE_ID: "", c.CATEGORY: "", c.LAG: 1, c.MODEL: "champion"}
    earlier = pd.DataFrame([{**keys, c.AS_OF: pd.Timestamp(2025, 1, day), c.ERROR: day} for day in (6, 13)])
    rows = pd.DataFrame([{**keys, c.ERROR: -5.0}, {**keys, c.LAG: 0, c.ERROR: -5.0}])
    found = with_tracking_signal(rows, earlier)[c.TRACKING_SIGNAL]
    assert found[0] == pytest.approx((6 + 13 - 5) / (24 / 3))
    assert np.isnan(found[1])


def test_a_step_that_costs_more_destroys_value() -> None:
    steps = [(Step.SEASONAL_NAIVE, 8, 100.0), (Step.BEST_SINGLE, 6, 90.0), (Step.CHAMPION, 7, 90.0), (Step.PLAN, 7, 95)]
    steps.append((Step.OVERRIDE, 7, 96.0))
    rows = pd.DataFrame(
        [
            {c.LEVEL: "overall", c.STORE_ID: "", c.CATEGORY: "", c.STEP: str(step), c.N: 4, c.ACTUAL_UNITS: 20.0}
            | {c.ABSOLUTE_ERROR: float(error), c.COST: float(cost), c.MODEL: ""}
            for step, error, cost in steps
        ]
    )
    found = compared(rows).set_index(c.STEP)
    assert found[c.WAPE_ADDED].round(4).tolist()[1:] == [0.1, -0.05, 0.0, 0.0]
    assert found[c.COST_ADDED].tolist()[1:] == [10.0, 0.0, -5.0, -1.0]
    # The champion costs the same with a larger error, the override costs more. The plan costs more because of limits.
    assert found[c.DESTROYED].tolist() == [False, False, True, False, True]


def test_the_best_single_model_is_known_before_the_week() -> None:
    metrics = pd.DataFrame({c.LEVEL: "overall", c.MODEL: ["ensemble", "theta", "ets"], c.WAPE: [0.1, 0.3, 0.2]})
    assert best_single_model(metrics, ["ensemble", "theta", "ets"]) == "ets"
    assert best_single_model(metrics, ["theta"]) == "theta"
    assert best_single_model(None, ["theta"]) == "seasonal_naive"


def test_overrides_share_the_effect_of_a_pair() -> None:
    effects = pd.DataFrame(
        [("1", 4.0, 6.0, 2.0, 50.0, 30.0), ("1 + 2", -2.0, 1.0, 3.0, 10.0, 16.0)],
        columns=["overrides", c.UNITS, c.ERROR_BEFORE, c.ERROR_AFTER, c.COST_BEFORE, c.COST_AFTER],
    )
    overrides = [{"number": number, c.AUTHOR: "ana", c.REASON: "fair", c.ACTION: "set"} for number in (1, 2, 3)]
    found = by_override(effects, overrides)
    assert found[[c.PAIRS, c.UNITS, c.DIRECTION, c.WON]].to_numpy().tolist() == [
        [2, 3.0, "up", True],
        [1, -1.0, "down", False],
        [0, 0.0, "none", False],
    ]
    assert found[c.COST_ADDED].tolist()[:2] == [55 - 38, -3]


def test_service_estimates_lost_units_where_demand_is_unknown() -> None:
    demand = np.array([[4.0, np.nan], [1.0, 1.0], [2.0, 2.0]])
    sold = np.where(np.isnan(demand), 1.0, demand)
    units = SoldUnits(demand, sold, np.full((3, 2), 3.0))
    stock = {1: np.array([10.0, 2.0, 1.0])}
    rows = service(units, SERIES, np.full(3, 10.0), 1, stock, np.full((3, 3), 3.0))
    _, first, second = (rows[rows[c.LEVEL] == "overall"].iloc[lag] for lag in range(3))
    assert second[[c.SOLD_UNITS, c.LOST_UNITS, c.LOST_VALUE, c.ESTIMATED]].tolist() == [4.0, 2.0, 20.0, True]
    assert second[c.FILL_RATE] == pytest.approx(4 / 6)
    assert second[c.IN_STOCK_DAYS] == pytest.approx(2 / 3)
    # Six units are forecast for the rest of the horizon: 10 - 6 are overstock, the shortages of the others stay.
    assert first[[c.STOCK_UNITS, c.OVERSTOCK_UNITS, c.ESTIMATED]].tolist() == [13.0, 4.0, False]
    assert units.estimated_demand[0].tolist() == [4.0, 3.0]


def test_the_gap_is_against_the_bound() -> None:
    own = {name: np.array([1.0, 2.0]) for name in (c.TRANSPORT, c.LOST_SALES, c.HOLDING, c.OVER_CAPACITY)}
    rows = cost_rows(
        {Basis.REALIZED: {**own, c.TOTAL: np.array([4.0, 8.0])}}, np.array([4.0, 5.0]), 10.0, ("1", "2"), 7
    )
    assert rows[rows[c.BASIS] == "realized"][c.GAP].tolist() == pytest.approx([0.2, 0.0, 0.6])
    assert rows[rows[c.BASIS] == "bound"][c.TOTAL].tolist() == [10.0, 4.0, 5.0]


def test_a_changed_actual_is_restated() -> None:
    day = pd.Timestamp("2025-02-24")
    keys = {c.STORE_ID: "1", c.DATE: day}
    now, before = {"a": 5, "b": 5, "c": np.nan, "d": 1}, {"a": 5, "b": 4, "c": 3}
    current = pd.DataFrame(
        [{**keys, c.CATEGORY: name, c.ACTUAL: units, c.SOLD_UNITS: 2.0} for name, units in now.items()]
    )
    stored = pd.DataFrame([{**keys, c.CATEGORY: name, c.ACTUAL: units} for name, units in before.items()])
    found = changes(current, stored)
    assert found[[c.CATEGORY, c.RESTATED, c.UNITS]].to_numpy().tolist() == [
        ["b", True, 1.0],
        ["c", True, -1.0],
        ["d", False, 0.0],
    ]


def test_importance_is_the_mean_size_of_the_parts() -> None:
    days = pd.to_datetime(["2025-02-24", "2025-02-25"])
    parts = [("1", "x", days[0], "level", 4.0), ("1", "x", days[1], "level", 2.0), ("1", "y", days[0], "price", -2.0)]
    table = pd.DataFrame(parts, columns=[c.STORE_ID, c.CATEGORY, c.DATE, c.PART, c.UNITS]).assign(model="xgboost")
    found = importance([table]).set_index([c.LEVEL, c.CATEGORY, c.GROUP])
    assert found.loc[("overall", "", "level"), [c.UNITS, c.SHARE]].tolist() == [6 / 4, 0.75]
    assert found.loc[("category", "y", "price"), [c.UNITS, c.SHARE]].tolist() == [1.0, 1.0]
    assert found.loc[("category", "y", "level"), c.UNITS] == 0
