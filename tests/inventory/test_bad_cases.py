"""Weekly plans with odd stock, capacity, packs, deliveries and demand: valid targets, and nothing beyond the limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tasks.inventory.inputs import last_dc_stock, later_arrivals
from tasks.inventory.model.weekly_problem import WeeklyInputs
from tasks.inventory.weekly import WeeklyPlan, optimize
from tests.inventory.test_weekly_plan import AS_OF, COSTED, inputs_of

FEW = {"policies": ["newsvendor", "genetic"]}
SKUS = [f"{kind}-{i}" for kind in ("boots", "bags") for i in range(3)]


def dc_of(units: float | list[float], skus: list[str] | None = None) -> pd.DataFrame:
    return pd.DataFrame({"sku": skus or SKUS, "available": units}).astype({"available": float})


def sent_of(plan: WeeklyPlan, inputs: WeeklyInputs) -> pd.Series:
    """Units to send by store and SKU."""
    merged = plan.replenishment.merge(inputs.sku_facts, on=["store_id", "sku"])
    position = merged["on_hand"].fillna(0.0) + merged.get("in_transit", pd.Series(0.0, index=merged.index))
    sent = (merged["target_quantity"] - position).clip(lower=0)
    return sent.set_axis(pd.MultiIndex.from_frame(merged[["store_id", "sku"]]))


@pytest.mark.parametrize("units", [0.0, -5.0])
def test_an_empty_distribution_center_sends_nothing_and_says_so(units):
    inputs = replace(inputs_of(settings=FEW, **COSTED), dc_stock=dc_of(units))
    plan = optimize(inputs)
    assert sent_of(plan, inputs).sum() == 0
    assert plan.deliveries.empty
    assert (plan.explanations["by_dc"] < 0).any()
    assert set(plan.shortages["limit"]) >= {"DC stock"}
    assert plan.costs.loc[plan.costs["chosen"], "fill_rate"].item() < 0.5
    assert [alarm.name for alarm in plan.alarms] == ["low_fill_rate"]


def test_unknown_skus_in_the_distribution_center_change_nothing():
    inputs = inputs_of(settings=FEW, **COSTED)
    with_unknown = replace(inputs, dc_stock=dc_of(7.0, ["nowhere-1", "nowhere-2"]))
    pd.testing.assert_frame_equal(optimize(inputs).replenishment, optimize(with_unknown).replenishment)


def test_a_full_distribution_center_gives_the_plan_without_a_table():
    inputs = inputs_of(settings=FEW, **COSTED)
    plan, full = optimize(inputs), optimize(replace(inputs, dc_stock=dc_of(1e7)))
    pd.testing.assert_frame_equal(plan.replenishment, full.replenishment)


@pytest.mark.parametrize("capacity", [[10.0, 5.0], [0.0, 0.0]])
def test_a_capacity_below_the_stock_sends_nothing(capacity):
    inputs = inputs_of(settings=FEW, storage_capacity=capacity, visit_cost=[50.0, 80.0])
    assert sent_of(optimize(inputs), inputs).sum() == 0


def test_a_missing_capacity_is_unlimited():
    inputs = inputs_of(settings=FEW, storage_capacity=[np.nan, 40.0], visit_cost=[50.0, 80.0])
    sent = sent_of(optimize(inputs), inputs).groupby(level=0).sum()
    assert sent["01"] > 16 >= sent["2"]


def test_a_pack_larger_than_the_capacity_is_not_sent():
    inputs = inputs_of(stock=False, settings=FEW, storage_capacity=[20.0, 20.0], visit_cost=[50.0, 80.0])
    packed = replace(inputs, sku_facts=inputs.sku_facts.assign(pack_size=24.0))
    plan = optimize(packed)
    assert plan.replenishment["target_quantity"].sum() == 0
    assert "storage capacity" in set(plan.explanations["limit"])


@pytest.mark.parametrize("pack", [0.0, np.nan, 0.4])
def test_a_pack_size_below_one_means_none(pack):
    inputs = inputs_of(settings=FEW, **COSTED)
    packed = replace(inputs, sku_facts=inputs.sku_facts.assign(pack_size=pack))
    pd.testing.assert_frame_equal(optimize(packed).replenishment, optimize(inputs).replenishment)


def test_quantities_to_send_are_multiples_of_the_pack():
    inputs = inputs_of(settings=FEW, **COSTED)
    stock = np.arange(len(inputs.sku_facts)) % 6
    packed = replace(inputs, sku_facts=inputs.sku_facts.assign(pack_size=6.0, on_hand=stock.astype(float)))
    sent = sent_of(optimize(packed), packed)
    assert (sent % 6 == 0).all()
    assert (sent > 0).any()


def test_minimum_presentation_does_not_create_stock_in_the_distribution_center():
    inputs = inputs_of(settings=FEW, **COSTED)
    facts = inputs.sku_facts.assign(min_presentation=8.0, on_hand=0.0, in_transit=0.0)
    inputs = replace(inputs, sku_facts=facts, dc_stock=dc_of(5.0))
    sent = sent_of(optimize(inputs), inputs).groupby(level=1).sum()
    assert (sent == 5).all()


def test_without_demand_nothing_is_sent():
    inputs = inputs_of(settings=FEW, **COSTED)
    numbers = [name for name in inputs.forecast.columns if name == "mean" or name.startswith("q0")]
    inputs = replace(inputs, forecast=inputs.forecast.assign(**dict.fromkeys(numbers, 0.0)), dc_stock=dc_of(50.0))
    plan = optimize(inputs)
    assert sent_of(plan, inputs).sum() == 0
    assert plan.costs.loc[plan.costs["chosen"], "fill_rate"].item() == 1.0


def test_one_store_gets_all_that_the_distribution_center_has():
    inputs = inputs_of(settings=FEW, **COSTED)
    inputs = replace(
        inputs,
        forecast=inputs.forecast[inputs.forecast["store_id"] == "01"],
        sku_facts=inputs.sku_facts[inputs.sku_facts["store_id"] == "01"],
        stores=inputs.stores[inputs.stores["store_id"] == "01"],
        dc_stock=dc_of(1.0),
    )
    sent = sent_of(optimize(inputs), inputs)
    assert (sent[sent > 0] == 1).all()
    assert sent.sum() >= 4


def test_a_week_without_a_delivery_is_planned_around():
    blackout = {"dates": [str((AS_OF + pd.Timedelta(days=i)).date()) for i in range(7)]}
    inputs = replace(inputs_of(settings={**FEW, "blackout": blackout}, **COSTED), dc_stock=dc_of(40.0))
    plan = optimize(inputs)
    assert plan.visits["date"].min() == AS_OF + pd.Timedelta(days=7)
    assert sent_of(plan, inputs).groupby(level=1).sum().le(40).all()
    assert plan.costs["valid"].all()


def test_a_promotion_that_starts_on_the_day_of_the_delivery_counts_in_its_order():
    inputs = inputs_of(settings=FEW)
    boots = inputs.forecast["category"] == "boots"
    week = inputs.forecast["date"] < AS_OF + pd.Timedelta(days=7)
    numbers = [name for name in inputs.forecast.columns if name == "mean" or name.startswith("q0")]
    promoted = inputs.forecast.copy()
    promoted.loc[boots & week, numbers] *= 3.0
    plain, more = optimize(inputs), optimize(replace(inputs, forecast=promoted))
    total = [plan.replenishment.groupby("category")["target_quantity"].sum() for plan in (plain, more)]
    assert total[1]["boots"] > 2 * total[0]["boots"]
    assert total[1]["bags"] == total[0]["bags"]


def test_reserve_and_arrivals_of_the_distribution_center():
    stock = pd.DataFrame({"sku": ["a", "b"], "available": [10.0, 3.0], "reserve": [4.0, np.nan]})
    inbound = pd.DataFrame(
        {
            "sku": ["a", "a", "c", "c"],
            "date": pd.to_datetime(["2024-03-01", "2024-03-04", "2024-03-03", "2024-03-09"]),
            "quantity": [100.0, 5.0, 7.0, 8.0],
        }
    )
    today = last_dc_stock(stock, AS_OF.date(), inbound)
    # The arrival before the count of today is in it; that of today is added. SKU c is in the arrivals only.
    assert dict(zip(today["sku"], today["available"], strict=True)) == {"a": 11.0, "b": 3.0, "c": 7.0}
    counted = last_dc_stock(stock.assign(date=pd.Timestamp("2024-02-28")), AS_OF.date(), inbound)
    assert dict(zip(counted["sku"], counted["available"], strict=True))["a"] == 111.0
    later = later_arrivals(inbound, AS_OF.date())
    assert later.to_numpy().tolist() == [["c", pd.Timestamp("2024-03-09"), 8.0]]
    assert later_arrivals(inbound, pd.Timestamp("2024-04-01").date()) is None


def test_arrivals_of_the_next_week_serve_the_next_delivery_not_this_one():
    inputs = replace(inputs_of(settings=FEW), dc_stock=dc_of(0.0))
    arrival = pd.DataFrame({"sku": SKUS, "date": AS_OF + pd.Timedelta(days=3), "quantity": 60.0})
    none, some = optimize(inputs), optimize(replace(inputs, dc_inbound=arrival))
    assert sent_of(some, inputs).sum() == 0
    fill = [plan.costs.loc[plan.costs["chosen"], "fill_rate"].item() for plan in (none, some)]
    assert fill[1] > fill[0] + 0.2


def test_a_horizon_of_blackout_dates_sends_nothing():
    inputs = inputs_of(settings=FEW, **COSTED)
    days = pd.DataFrame({"date": pd.date_range(AS_OF, periods=14), "frozen": 1.0})
    inputs = replace(inputs, calendar=days)
    plan = optimize(inputs)
    assert plan.visits.empty
    assert plan.deliveries.empty
    assert sent_of(plan, inputs).sum() == 0
    assert set(plan.explanations["limit"]) == {"no delivery"}
