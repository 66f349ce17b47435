"""Ranking by what fold forecasts would have cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import TrainingError
from schemas.settings import Settings
from tasks.evaluation.backtest.inventory_cost import with_inventory_cost
from tasks.evaluation.ranking import SelectionRule
from tasks.evaluation.selection.champions import select_champions
from tasks.evaluation.selection.overfitting import overfit_gap

SOURCES = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
COST = SelectionRule(loss=c.INVENTORY_COST)


def settings_of(shortage=1.0, lead_time=0, holding=0.1):
    inventory = {"holding_cost": holding, "shortage_cost": shortage, "lead_time": lead_time, "review_period": 1}
    return Settings(
        name="t",
        frequency="W-MON",
        horizon=3,
        sources=SOURCES,
        inventory=inventory,
        selection={"loss": "inventory_cost"},
    )


def served(backtest):
    return backtest[[c.STORE_ID, c.CATEGORY, c.MODEL]].drop_duplicates()


@pytest.fixture
def sales_of_ten(backtest_of):
    """Ten units in each of 3 periods on 4 folds, 4 series; sure forecasts, off by a number of units."""

    def build(**offsets):
        actual = np.full((4, 4, 3), 10.0)
        offsets = {"seasonal_naive": 6.0, "moving_average": 5.0, **offsets}
        return backtest_of(actual, {name: actual + off for name, off in offsets.items()}, step=3, spread=0.0)

    return build


def test_costs_by_hand(sales_of_ten):
    """h = 0.1, p = 1, L = 0: two units too few lose 2 a period, three too many are held: 0.3."""
    found = with_inventory_cost(sales_of_ten(low=-2.0, high=3.0), settings_of())
    costs = found.groupby(c.MODEL)[c.INVENTORY_COST].agg(["min", "max"])
    assert costs.loc["low"].tolist() == pytest.approx([2.0, 2.0])
    assert costs.loc["high"].tolist() == pytest.approx([0.3, 0.3])


def test_the_cheapest_model_is_champion_where_another_has_the_least_error(sales_of_ten, quantiles):
    backtest = with_inventory_cost(sales_of_ten(low=-2.0, high=3.0), settings_of())
    by_error = select_champions(backtest, served(backtest), quantiles)
    by_cost = select_champions(backtest, served(backtest), quantiles, COST)
    assert by_error[c.MODEL].tolist() == ["low"] * 4
    assert by_cost[c.MODEL].tolist() == ["high"] * 4
    assert by_cost[c.WHY].iloc[0] == (
        "high: inventory cost per period 0.300 on 4 folds, compared with seasonal_naive 0.600, moving_average 0.500; "
        "bias: forecasts are 30% too high"
    )


def test_a_series_leaves_the_global_winner_for_a_model_that_costs_less_there(sales_of_ten, quantiles):
    off = np.array([1.0, 1.0, 1.0, -1.0])[None, :, None]
    models = sales_of_ten(seasonal_naive=12.0, moving_average=11.0, boost=off, even=8.0)
    backtest = with_inventory_cost(models, settings_of())
    rule = SelectionRule(loss=c.INVENTORY_COST, prior_periods=4.0)
    champions = select_champions(backtest, served(backtest), quantiles, rule)
    assert champions[c.MODEL].tolist() == ["boost"] * 3 + ["even"]
    assert "better on this series than boost (1.000), which is best over all series" in champions[c.WHY].iloc[3]


def test_with_a_lead_time_costs_count_from_the_first_arrival_on(sales_of_ten):
    """L = 2: one visit a fold, in its third period; 30 units wanted, 36 ordered up to: 6 left, 0.6."""
    found = with_inventory_cost(sales_of_ten(high=2.0), settings_of(lead_time=2))
    of_high = found[found[c.MODEL].eq("high")].groupby(c.CUTOFF)[c.INVENTORY_COST].agg(list)
    for costs in of_high:
        assert costs[:2] * 4 == pytest.approx([np.nan] * 8, nan_ok=True)
        assert costs[2::3] == pytest.approx([0.6] * 4)


def test_models_are_compared_on_the_same_rows(sales_of_ten):
    backtest = sales_of_ten(high=3.0)
    backtest.loc[backtest[c.DATE].eq(backtest[c.DATE].min()), c.ACTUAL] = np.nan
    found = with_inventory_cost(backtest, settings_of())
    np.testing.assert_array_equal(found[c.INVENTORY_COST].isna(), found[c.ACTUAL].isna())
    cut = backtest.drop(backtest.index[backtest[c.MODEL].eq("high")][:1])
    uneven = with_inventory_cost(cut, settings_of())
    whole = found[c.INVENTORY_COST].reindex(uneven.index)
    lacking = uneven[c.INVENTORY_COST].isna() & whole.notna()
    assert uneven[lacking].groupby([c.MODEL, c.CUTOFF, c.STORE_ID]).ngroups == 1
    pd.testing.assert_series_equal(uneven[c.INVENTORY_COST][~lacking], whole[~lacking])


def test_a_lost_unit_costs_the_price_of_its_series(sales_of_ten):
    backtest = sales_of_ten(low=-2.0)
    facts = pd.DataFrame(
        {
            c.STORE_ID: ["s0000", "s0000", "s0001", "s9999"],
            c.CATEGORY: "shoes",
            c.SKU: ["a", "b", "a", "a"],
            c.RECENT_UNITS: [3.0, 1.0, 5.0, 1.0],
            c.TOTAL_UNITS: 0.0,
            c.UNIT_PRICE: [4.0, 8.0, 3.0, 9.0],
        }
    )
    found = with_inventory_cost(backtest, settings_of(shortage="price"), facts)
    costs = found[found[c.MODEL].eq("low")].groupby(c.STORE_ID)[c.INVENTORY_COST].mean()
    # (3 x 4 + 1 x 8) / 4 = 5 a unit, 3, and 1 where nothing is known; two units are lost.
    assert costs.tolist() == pytest.approx([10.0, 6.0, 2.0, 2.0], rel=1e-5)
    pd.testing.assert_frame_equal(
        with_inventory_cost(backtest, settings_of(shortage="price")), with_inventory_cost(backtest, settings_of())
    )


def test_order_of_rows_does_not_matter(backtest_of):
    actual = np.random.default_rng(4).poisson(4, (3, 30, 3)).astype(float)
    noise = np.random.default_rng(5).normal(0, 1, actual.shape)
    backtest = backtest_of(actual, {"a": np.maximum(actual + noise, 0), "b": np.full(actual.shape, 4.0)}, spread=4.0)
    mixed = backtest.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        with_inventory_cost(mixed, settings_of()).sort_index(), with_inventory_cost(backtest, settings_of())
    )


def test_overfitting_is_told_in_costs_a_period(sales_of_ten, quantiles):
    gap = overfit_gap(with_inventory_cost(sales_of_ten(high=3.0), settings_of()), quantiles, COST).set_index(c.MODEL)
    assert gap.loc["high", [c.EARLIER_FOLDS, c.LAST_FOLD]].tolist() == pytest.approx([0.3, 0.3])
    assert gap.loc["champions", c.N] == 4 * 3


def test_ranking_by_costs_that_were_not_simulated_is_refused(sales_of_ten, quantiles):
    backtest = sales_of_ten(high=3.0)
    with pytest.raises(TrainingError, match=r"missing column inventory_cost.*Simulate it first"):
        select_champions(backtest, served(backtest), quantiles, COST)
