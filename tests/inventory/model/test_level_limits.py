"""Display capacity, packs, presentation, lifecycle, blackout dates: satisfied, or reported by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from schemas.plan import Plan
from schemas.settings import InventorySettings
from tasks.inventory.allocation.assortment import (
    ENDING,
    GIVEN,
    MARKED,
    SINGLE,
    Display,
    display_overflow,
    displayed_styles,
    style_labels,
)
from tasks.inventory.allocation.disaggregate import split
from tasks.inventory.model.delivery_days import blackout_periods, missed_weeks, review_visits
from tasks.inventory.model.level_limits import with_limited_levels, with_uncapacitated_levels, within_limits
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import simulate
from tasks.inventory.registry import make_policy, policy_names
from tasks.inventory.weekly import optimize
from tests.inventory.allocation.test_disaggregate import rows_of
from tests.inventory.conftest import problem_of
from tests.inventory.test_weekly_plan import AS_OF, COSTED, inputs_of


def quarter_plan(problem):
    """A delivery at 1 and 4, with levels far above any demand."""
    visits = np.zeros((2, 6), dtype=bool)
    visits[:, [1, 4]] = True
    return Plan(visits, np.full((2, 6), 99.0))


def test_the_service_level_limits_levels_by_store():
    paths = np.arange(48.0).reshape(4, 2, 6)
    problem = problem_of(2, 1, 6, week=3, service_level=0.75, lead_time=1)
    problem = replace(problem, paths=paths, capacity=np.array([np.inf, 500.0]))
    # From the order at 0 to the delivery at 4, and from the order at 3 to the end; the third of four paths.
    first, second = paths[2, :, 0:4].sum(axis=1), paths[2, :, 3:6].sum(axis=1)
    free = with_uncapacitated_levels(problem, quarter_plan(problem))
    assert free.levels[0].tolist() == [0, first[0], 0, 0, second[0], 0]
    assert free.levels[1].tolist() == [99.0] * 6
    low = Plan(free.visits, np.full((2, 6), 7.0))
    assert with_limited_levels(problem, low).levels[:, 1].tolist() == [7.0, 7.0]
    high = Plan(free.visits, np.full((2, 6), 1e6))
    everywhere = replace(problem, weekly_run=True)
    assert with_limited_levels(everywhere, high).levels[:, 1].tolist() == first.tolist()
    assert with_limited_levels(problem, high).levels[:, 1].tolist() == [first[0], 1e6]
    bounded = replace(problem, capacity=np.array([500.0, 500.0]))
    for limit in (with_uncapacitated_levels, with_limited_levels):
        assert limit(bounded, high) is high


def facts(skus: list[str], sizes: list[str], **more: object) -> pd.DataFrame:
    return pd.DataFrame({"sku": skus, "size": sizes, **more})


def test_styles_are_identified_by_the_available_columns():
    labels, rule = style_labels(facts(["A-36", "A-37", "B-36"], ["36", "37", "36"]))
    assert (labels.tolist(), rule) == (["A", "A", "B"], MARKED)
    labels, rule = style_labels(facts(["120035", "120036", "7035"], ["35", "36", "35"]))
    assert (labels.tolist(), rule) == (["12", "12", "7"], ENDING)
    labels, rule = style_labels(facts(["101", "102", "336"], ["35", "36", "36"]))
    assert (labels.tolist(), rule) == (["101", "102", "336"], SINGLE)
    labels, rule = style_labels(facts(["A-36", "B-36"], ["36", "36"], article=["boot", ""]))
    assert (labels.tolist(), rule) == (["boot", "B"], GIVEN)


def test_a_level_below_a_pack_gives_one_pack():
    rows = rows_of([0, 0], [0.9, 0.1], pack=[60.0, 60.0])
    assert split(np.array([4.0]), rows).tolist() == [60, 0]
    assert split(np.array([0.0]), rows).tolist() == [0, 0]
    # Stock of six units is above the level: nothing is sent.
    stocked = rows_of([0, 0], [0.9, 0.1], pack=[60.0, 60.0], position=[0.0, 6.0])
    assert split(np.array([4.0]), stocked).tolist() == [0, 0]


def test_minimum_presentation_is_lifted_to_whole_packs():
    rows = rows_of([0, 0], [0.9, 0.1], floor=[0.0, 2.0], pack=[1.0, 6.0])
    assert split(np.array([10.0]), rows).tolist() == [8, 6]


def test_display_capacity_goes_to_the_most_valuable_styles_and_stock_stays_displayed():
    display = Display(np.zeros(5, dtype=np.int64), np.array([0, 0, 1, 2, 3]), np.array([2.0]))
    position = np.array([0.0, 1.0, 0.0, 0.0, 0.0])
    units, value = np.array([1.0, 1, 2, 2, 9]), np.array([10.0, 10, 10, 20, 1])
    assert displayed_styles(display, position, units, value).tolist() == [True, True, False, True, False]
    assert display_overflow(replace(display, capacity=np.array([0.0])), position).tolist() == [1]
    assert displayed_styles(replace(display, capacity=np.array([np.inf])), position, units, value).all()
    # A style without a delivery is left out only if no display slot is free.
    assert displayed_styles(
        replace(display, capacity=np.array([4.0])), position, np.array([0.0, 1, 0, 2, 9]), value
    ).all()
    assert (
        displayed_styles(replace(display, capacity=np.array([3.0])), position, np.array([0.0, 1, 0, 2, 9]), value)[2]
        == 0
    )


def shown_articles(plan: object, inputs: object) -> pd.Series:
    """Different styles per store that are in stock or will be."""
    explained = plan.explanations
    have = explained[
        (explained["target_quantity"] > 0) | (explained["on_hand"].fillna(0) + explained["in_transit"].fillna(0) > 0)
    ]
    return have.groupby("store_id")["article"].nunique()


def test_no_store_exceeds_its_display_capacity():
    inputs = inputs_of(stock=False, display_capacity=[2, 4], **COSTED)
    plan = optimize(inputs)
    assert shown_articles(plan, inputs).to_dict() == {"01": 2, "2": 4}
    left_out = plan.shortages[(plan.shortages["limit"] == "display capacity") & (plan.shortages["store_id"] == "01")]
    assert len(left_out[left_out["sku"] != ""]) == 4
    assert (left_out["allocated"] < left_out["requested"]).all()
    assert any("Shortage, display capacity" in note for note in plan.notes)
    assert any("Styles identified by" in note for note in plan.notes)
    # The units of styles that are left out go to displayed styles: the category keeps its level.
    totals = plan.replenishment.groupby(["store_id", "category"])["target_quantity"].sum()
    levels = plan.explanations.groupby(["store_id", "category"])["order_up_to"].first()
    shown = totals[totals > 0]
    assert (shown == levels[shown.index]).all()


def test_a_category_without_display_uses_no_storage_and_its_sales_are_lost():
    roomy = {"storage_capacity": [25.0, 60.0], "visit_cost": [50.0, 80.0]}
    inputs = inputs_of(stock=False, **roomy)
    free, bound = optimize(inputs), optimize(replace(inputs, stores=inputs.stores.assign(display_capacity=[1, 6])))
    categories = bound.explanations[bound.explanations["store_id"] == "01"].groupby("category")
    assert categories["target_quantity"].sum().gt(0).to_dict() == {"bags": False, "boots": True}
    # In the second plan bags have no level and no delivery; boots use their storage capacity.
    assert set(bound.levels.loc[bound.levels["store_id"] == "01", "category"]) == {"boots"}
    sent = bound.deliveries[bound.deliveries["store_id"] == "01"]
    assert sent["sku"].str.startswith("boots").all()
    assert categories["order_up_to"].first()["boots"] > level_of(free, "01", "boots")
    # Lost sales of bags are in the cost of every policy: about 1 per day at price 20.
    cost = bound.costs.set_index("policy")["lost_sales"]
    assert (cost >= 0.8 * 14 * 20).all()
    named = bound.shortages[(bound.shortages["category"] == "bags") & (bound.shortages["sku"] == "")]
    assert named[["store_id", "limit", "allocated"]].to_numpy().tolist() == [["01", "display capacity", 0.0]]
    assert named["requested"].iloc[0] == level_of(free, "01", "bags")
    assert set(categories.get_group("bags")["limit"]) == {"display capacity"}
    # A sufficient display capacity changes nothing.
    pd.testing.assert_frame_equal(of_store(free, "2"), of_store(bound, "2"))


def level_of(plan: object, store: str, category: str) -> float:
    explained = plan.explanations
    return explained.loc[(explained["store_id"] == store) & (explained["category"] == category), "order_up_to"].iloc[0]


def of_store(plan: object, store: str) -> pd.DataFrame:
    return plan.replenishment[plan.replenishment["store_id"] == store]


def test_stock_above_the_display_capacity_is_reported_and_no_new_style_is_sent():
    plan = optimize(inputs_of(display_capacity=[2, 6], **COSTED))
    rows = plan.shortages[(plan.shortages["store_id"] == "01") & (plan.shortages["sku"] == "")]
    assert rows[rows["limit"] == "display capacity"][["requested", "allocated"]].to_numpy().tolist() == [[6, 2]]


def test_shortages_are_reported_by_name():
    inputs = inputs_of(stock=False, storage_capacity=[70.0, 3.0], visit_cost=[50.0, 80.0])
    lifted = inputs.sku_facts.assign(
        min_presentation=np.where(inputs.sku_facts["sku"] == "bags-1", 6.0, np.nan),
        pack_size=np.where(inputs.sku_facts["category"] == "boots", 40.0, np.nan),
    )
    dc = pd.DataFrame({"sku": ["bags-0", "bags-2"], "available": [0.0, 1.0]})
    plan = optimize(replace(inputs, sku_facts=lifted, dc_stock=dc))
    named = {tuple(row) for row in plan.shortages[["store_id", "category", "sku", "limit"]].to_numpy().tolist()}
    assert ("2", "bags", "bags-1", "minimum presentation") in named
    assert ("01", "boots", "boots-1", "storage capacity") in named
    assert any(limit == "DC stock" for *_, limit in named)
    assert not plan.shortages.duplicated(["store_id", "category", "sku", "limit", "reason"]).any()
    targets = plan.replenishment.set_index(["store_id", "sku"])["target_quantity"]
    assert targets.groupby("store_id").sum()["2"] <= 3


def test_storage_capacity_has_priority_over_minimum_presentation():
    inputs = inputs_of(stock=False, settings={"policies": ["eoq"]}, storage_capacity=[20.0, 500.0], visit_cost=[1, 1])
    lifted = inputs.sku_facts.assign(min_presentation=10.0)
    plan = optimize(replace(inputs, sku_facts=lifted))
    totals = plan.replenishment.groupby("store_id")["target_quantity"].sum()
    assert (plan.replenishment.set_index("store_id").loc["2", "target_quantity"] >= 10).all()
    short = plan.shortages[plan.shortages["limit"] == "minimum presentation"]
    assert set(short["store_id"]) == {"01"}
    assert totals["01"] < 60


def test_clearance_is_not_sent_to_stores_of_type_a():
    inputs = inputs_of(**COSTED)
    status = np.where(inputs.sku_facts["sku"] == "bags-0", "Liquidación", "")
    plan = optimize(replace(inputs, sku_facts=inputs.sku_facts.assign(collection_status=status)))
    explained = plan.explanations.set_index(["store_id", "sku"])
    assert explained.loc[("01", "bags-0"), ["target_quantity", "limit"]].tolist() == [0, "lifecycle rule"]
    assert explained.loc[("2", "bags-0"), "limit"] != "lifecycle rule"


@pytest.mark.parametrize("policy", policy_names())
@pytest.mark.parametrize("paths", [0, 8])
def test_no_policy_delivers_on_a_blackout_date(policy: str, paths: int):
    problem = problem_of(periods=21, paths=paths, policies=[policy])
    blackout = np.zeros((2, 21), dtype=bool)
    blackout[:, [0, 7, 8]] = True
    blackout[1, 14:21] = True
    problem = replace(problem, blackout=blackout)
    plan = within_limits(problem, make_policy(policy).plan(problem), Network.of(problem))
    assert not (plan.visits & blackout).any()
    cost = simulate(problem, plan)
    # Store 1 has no allowed day in its third week, so that week is not missed.
    assert cost.missed_weeks == 0
    assert not cost.limit_breaches
    assert plan.visits[0, 14:].any()


def test_review_deliveries_move_past_blackout_dates():
    problem = problem_of(stores=3, periods=14)
    blackout = np.zeros((3, 14), dtype=bool)
    blackout[0, :2] = True
    visits = review_visits(replace(problem, blackout=blackout))
    assert np.argwhere(visits).tolist() == [[0, 2], [0, 7], [1, 0], [1, 7], [2, 0], [2, 7]]
    spread = review_visits(replace(problem, blackout=blackout, max_visits_per_period=1))
    assert spread.sum(axis=0).max() == 1
    assert not (spread & blackout).any()
    assert missed_weeks(spread, 7, 0, blackout) == 0


def test_blackout_dates_come_from_the_settings_and_the_calendar():
    inputs = inputs_of(settings={"blackout": {"dates": ["2024-03-05"], "closed_days": True}})
    dates = pd.date_range(AS_OF, periods=14)
    calendar = pd.DataFrame(
        {
            "date": pd.to_datetime(["2024-03-06", "2024-03-06", "2024-03-07", "2024-03-08", "2024-03-09"]),
            "store_id": ["01", "2", None, "2", "2"],
            "frozen": [True, False, True, None, False],
            "open": [1, 1, 1, 0, 1],
        }
    )
    blackout = blackout_periods(inputs.settings, calendar, ("01", "2"), dates)
    assert np.argwhere(blackout).tolist() == [[0, 1], [0, 2], [0, 3], [1, 1], [1, 3], [1, 4]]
    assert blackout_periods(inputs_of().settings, calendar[["date", "store_id", "open"]], ("01", "2"), dates) is None


def test_a_blackout_on_the_first_day_moves_the_delivery_and_is_named():
    inputs = inputs_of(settings={"blackout": {"dates": ["2024-03-04"]}})
    plan = optimize(inputs)
    assert plan.visits["date"].min() == AS_OF + pd.Timedelta(days=1)
    # A date is moved, and no unit is taken: the constraint of the target is another one, or none.
    assert set(plan.explanations["delayed_by"]) == {"blackout dates"}
    assert not set(plan.explanations["limit"]) & {"blackout dates", "deliveries per period"}


def test_a_horizon_shorter_than_a_week_still_has_its_first_visit():
    inputs = inputs_of(settings={"review_period": 3}, **COSTED)
    short = replace(
        inputs,
        settings=inputs.settings.model_copy(update={"horizon": 4}),
        forecast=inputs.forecast[inputs.forecast["date"] < AS_OF + pd.Timedelta(days=4)],
        sku_facts=inputs.sku_facts.assign(on_hand=500.0),
    )
    plan = optimize(short)
    assert set(plan.visits["store_id"]) == {"01", "2"}


def test_blackout_days_must_be_dates():
    with pytest.raises(ValueError, match="blackout"):
        InventorySettings.model_validate({"blackout": {"dates": ["soon"]}})
