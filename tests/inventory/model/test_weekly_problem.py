"""Parts of a run's plan problem by hand: prices, stock, goods in transit, DC stock, number of paths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from schemas.errors import PipelineError
from tasks.inventory.model import weekly_problem
from tasks.inventory.model.weekly_problem import (
    bare_problem,
    planning_paths,
    series_prices,
    store_facts,
    transit_columns,
)
from tests.inventory.conftest import problem_of
from tests.inventory.test_weekly_plan import AS_OF, inputs_of

FREE = np.ones(2, dtype=bool)


@pytest.mark.parametrize(
    ("capacity", "free", "settings", "cheap"),
    [
        ([np.inf, np.inf], None, {}, True),
        ([np.inf, 9.0], None, {}, False),
        ([np.inf, np.inf], ~FREE, {"holding_cost": 1.0}, False),
        ([np.inf, np.inf], FREE, {"holding_cost": 1.0}, True),
        ([9.0, np.inf], FREE, {"holding_cost": 1.0}, False),
        ([np.inf, np.inf], None, {"holding_cost": 1.0}, False),
    ],
)
def test_more_paths_where_neither_deliveries_nor_space_are_searched(
    capacity: list[float], free: np.ndarray | None, settings: dict[str, float], cheap: bool
) -> None:
    problem = replace(problem_of(2, 3, 5, **settings), capacity=np.array(capacity), free_visits=free)
    assert planning_paths(problem, 20) == (200 if cheap else 20)
    assert planning_paths(problem, 300) == 300


def test_a_large_problem_has_fewer_cheap_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(2, 3, 5, capacity=np.inf)
    monkeypatch.setattr(weekly_problem, "CHEAP_NUMBERS", 30 * 70 + 5)
    assert planning_paths(problem, 20) == 70


def test_a_price_is_weighted_by_recent_sales_then_by_all() -> None:
    facts = pd.DataFrame(
        {"recent_units": [3.0, 1.0, 0.0, 0.0, -5.0], "total_units": [0.0, 0.0, 100.0, 300.0, -5.0]}
    ).assign(unit_price=[10.0, 20.0, 10.0, 20.0, 7.0])
    found = series_prices(facts, np.array([0, 0, 1, 1, 2]), 4)
    np.testing.assert_allclose(found, [12.5, 17.5, 7.0, 1.0], rtol=1e-4)


def test_the_order_of_forecast_rows_changes_nothing_and_each_period_must_be_there_once() -> None:
    inputs = inputs_of()
    plain, shuffled = (
        bare_problem(replace(inputs, forecast=rows))
        for rows in (inputs.forecast, inputs.forecast.sample(frac=1.0, random_state=3, ignore_index=True))
    )
    np.testing.assert_array_equal(plain.problem.mean, shuffled.problem.mean)
    np.testing.assert_array_equal(plain.quantiles, shuffled.quantiles)
    first = inputs.forecast.iloc[[0]]
    named = " / ".join(first.iloc[0][["store_id", "category"]].astype(str))
    repeated = pd.concat([inputs.forecast, first], ignore_index=True)
    moved = inputs.forecast.assign(date=inputs.forecast["date"].where(np.arange(len(inputs.forecast)) != 1, AS_OF))
    for rows in (inputs.forecast.iloc[1:], repeated, moved):
        with pytest.raises(PipelineError, match=f"missing or repeated periods of {named}; expected one"):
            bare_problem(replace(inputs, forecast=rows))


def test_planned_prices_change_the_mean_price_of_their_period() -> None:
    inputs = inputs_of()
    plain = bare_problem(inputs).problem
    planned = pd.DataFrame(
        {"store_id": ["2", "2", "9"], "sku": ["boots-0", "gone", "boots-0"], "date": AS_OF + pd.Timedelta(days=3)}
    ).assign(price=[2.0, 2.0, 2.0])
    found = bare_problem(replace(inputs, planned_prices=planned)).problem
    series = next(
        row
        for row, (i, j) in enumerate(zip(plain.series_store, plain.series_category, strict=True))
        if (plain.store_ids[i], plain.categories[j]) == ("2", "boots")
    )
    weights = np.array([10.0, 20.0, 30.0]) + 0.3
    expected = plain.price.copy()
    expected[series, 3] += weights[0] * (2.0 - 20.0) / weights.sum()
    np.testing.assert_allclose(found.price, expected, rtol=1e-6)
    np.testing.assert_allclose(plain.price, 20.0)


def test_columns_in_transit_name_the_period_of_the_arrival() -> None:
    frame = pd.DataFrame(columns=["sku", "in_transit", "in_transit_3", "in_transit_0", "in_transit_x", "in_transit_10"])
    assert transit_columns(frame) == {"in_transit": 1, "in_transit_3": 3, "in_transit_10": 10}


def test_goods_in_transit_are_summed_by_series_and_period() -> None:
    inputs = inputs_of()
    facts = inputs.sku_facts.assign(in_transit=1.0, in_transit_3=[2.0] * 11 + [np.nan])
    problem = bare_problem(replace(inputs, sku_facts=facts)).problem
    assert problem.in_transit.shape == (4, 3)
    assert problem.in_transit[:, 0].tolist() == [3.0] * 4
    assert problem.in_transit[:, 1].tolist() == [0.0] * 4
    assert sorted(problem.in_transit[:, 2]) == [4.0, 6.0, 6.0, 6.0]


def test_a_fact_of_a_store_that_is_absent_or_empty_takes_the_default() -> None:
    stores = pd.DataFrame({"store_id": [2, 1], "storage_capacity": [5.0, np.nan]})
    assert store_facts(stores, ("1", "2", "3"), "storage_capacity", np.inf).tolist() == [np.inf, 5.0, np.inf]
    assert store_facts(stores, ("1", "2"), "visit_cost", 3.0).tolist() == [3.0, 3.0]


def test_dc_stock_limits_no_level_of_the_weekly_run() -> None:
    """It is a stock per SKU, in the simulation and in what is sent (decision 15)."""
    inputs = inputs_of()
    listed = [("boots-0", 5.0), ("boots-1", 7.0), ("boots-1", 1.0), ("boots-2", 0.0), ("bags-0", 9.0), ("gone", 4.0)]
    found = bare_problem(replace(inputs, dc_stock=pd.DataFrame(listed, columns=["sku", "available"]))).problem
    for problem in (found, bare_problem(inputs).problem):
        assert np.isinf(problem.dc_available).all()
