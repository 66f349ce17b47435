"""Inventory plan of a weekly run: from forecasts and tables to the rows of the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from schemas.errors import PipelineError
from schemas.settings import Settings
from tasks.inventory.model.weekly_problem import WeeklyInputs, build_problem
from tasks.inventory.weekly import optimize

AS_OF = pd.Timestamp("2024-03-04")
QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9]


def inputs_of(stock: bool = True, settings: dict | None = None, **stores: object) -> WeeklyInputs:
    inventory = {"sample_paths": 20, "genetic": {"population": 8, "generations": 2}, **(settings or {})}
    run = Settings.model_validate(
        {
            "name": "t",
            "horizon": 14,
            "category": ["brand"],
            "inventory": inventory,
            "sources": {name: {"path": "x.csv"} for name in ("sales", "products", "stores")},
        }
    )
    dates = pd.date_range(AS_OF, periods=14)
    rows = [(s, k, d) for s in ("01", "2") for k in ("boots", "bags") for d in dates]
    forecast = pd.DataFrame(rows, columns=["store_id", "category", "date"])
    forecast["mean"] = np.where(forecast["category"] == "boots", 4.0, 1.0)
    for level, factor in zip(QUANTILES, (0.3, 0.6, 1.0, 1.4, 1.8), strict=True):
        forecast[f"q{level:g}"] = forecast["mean"] * factor
    backtest = forecast.assign(cutoff=AS_OF, actual=forecast["mean"] + 1)
    facts = pd.DataFrame(
        [
            (s, f"{k}-{i}", k, 10.0 * (i + 1), 30.0, 20.0, 3.0)
            for s in ("01", "2")
            for k in ("boots", "bags")
            for i in range(3)
        ],
        columns=["store_id", "sku", "category", "recent_units", "total_units", "unit_price", "on_hand"],
    ).assign(in_transit=1.0, size="", color="", collection_status="", pack_size=np.nan, min_presentation=np.nan)
    if not stock:
        facts = facts.assign(on_hand=np.nan).drop(columns="in_transit")
    table = pd.DataFrame({"store_id": ["01", "2"], "store_type": ["A", "D"], **stores})
    return WeeklyInputs(forecast, backtest, facts, table, run, has_stock=stock)


COSTED = {"storage_capacity": [120.0, 60.0], "visit_cost": [50.0, 80.0]}


def test_the_file_agrees_with_the_levels_of_the_first_visit():
    plan = optimize(inputs_of(**COSTED))
    first = plan.visits.groupby("store_id")["date"].min()
    levels = plan.levels.sort_values("date_from").drop_duplicates(["store_id", "category"], keep="first")
    levels = levels[levels["date_from"] == levels["store_id"].map(first)].set_index(["store_id", "category"])
    totals = plan.replenishment.groupby(["store_id", "category"])["target_quantity"].sum()
    for key, level in levels["order_up_to"].items():
        assert totals[key] == level
    assert plan.replenishment["target_quantity"].dtype == np.int64
    assert len(plan.replenishment) == 12
    assert plan.category_totals["target_quantity"].sum() == totals.sum()
    assert plan.costs["chosen"].sum() == 1
    policies = {"eoq", "newsvendor", "marginal_value", "genetic"}
    assert set(plan.stock_by_day["policy"]) == set(plan.costs["policy"]) == policies
    assert len(plan.stock_by_day) == 4 * 2 * 14
    assert (plan.deliveries["on_hand"] == 3).all()


def test_targets_and_stock_stay_within_capacity():
    inputs = inputs_of(**COSTED)
    plan = optimize(inputs)
    merged = plan.replenishment.merge(inputs.sku_facts, on=["store_id", "sku"])
    after = merged[["target_quantity"]].max(axis=1).clip(lower=merged["on_hand"] + merged["in_transit"])
    held = after.groupby(merged["store_id"]).sum()
    assert (held <= [120, 60]).all()


def test_planning_and_evaluation_use_different_paths():
    weekly = build_problem(inputs_of(**COSTED))
    assert weekly.problem.paths.shape == weekly.evaluation.paths.shape == (20, 4, 14)
    assert (weekly.problem.paths != weekly.evaluation.paths).any()


def test_the_order_of_rows_does_not_change_the_plan():
    inputs = inputs_of(**COSTED)
    shuffled = WeeklyInputs(
        inputs.forecast.sample(frac=1, random_state=1).astype({"store_id": "category"}),
        inputs.backtest.sample(frac=1, random_state=2),
        inputs.sku_facts.sample(frac=1, random_state=3),
        inputs.stores.sample(frac=1, random_state=4),
        inputs.settings,
        has_stock=True,
    )
    one, two = optimize(inputs), optimize(shuffled)
    for name in ("replenishment", "deliveries", "visits", "levels", "costs", "stock_by_day"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name))


def test_without_stock_the_store_opens_empty_and_the_report_says_so():
    plan = optimize(inputs_of(stock=False))
    assert plan.deliveries["on_hand"].isna().all()
    assert plan.deliveries["in_transit"].isna().all()
    assert any("opening stock is 0" in note for note in plan.notes)
    # No costs, no capacities: one delivery per week on its first day.
    assert sorted(plan.visits["date"].unique()) == [AS_OF, AS_OF + pd.Timedelta(days=7)]


def test_lead_time_sets_the_first_visit_and_the_window():
    weekly = inputs_of(settings={"lead_time": 2})
    # One SKU per category: its level is the quantile of the category.
    facts = weekly.sku_facts.drop_duplicates(["store_id", "category"], ignore_index=True)
    weekly = replace(weekly, sku_facts=facts)
    plan = optimize(weekly)
    assert plan.visits["date"].min() == AS_OF + pd.Timedelta(days=2)
    problem = build_problem(weekly).problem
    boots = plan.levels[(plan.levels["store_id"] == "01") & (plan.levels["category"] == "boots")]
    row = problem.categories.index("boots")
    window = np.sort(problem.paths[:, row, :9].sum(axis=1))
    place = int(np.ceil(0.95 * len(window))) - 1
    assert boots["order_up_to"].iloc[0] == window[place]


def test_numbered_goods_in_transit_arrive_in_their_period():
    inputs = inputs_of(**COSTED)
    facts = inputs.sku_facts.drop(columns="in_transit").assign(in_transit_1=0.0, in_transit_3=[2.0] + [np.nan] * 11)
    arriving = build_problem(replace(inputs, sku_facts=facts)).problem.in_transit
    assert arriving.sum(axis=0).tolist() == [0, 0, 2]


def test_planned_prices_weigh_by_sales():
    inputs = inputs_of(**COSTED)
    planned = pd.DataFrame({"store_id": ["01"], "sku": ["boots-2"], "date": [AS_OF], "price": [10.0]})
    problem = build_problem(replace(inputs, planned_prices=planned)).problem
    row = problem.categories.index("boots")
    # 30 of 60 recent units (and a trace of all units) sell at 10 instead of 20.
    assert problem.price[row, 0] == pytest.approx(15, abs=0.1)
    assert problem.price[row, 1] == pytest.approx(20)


def test_dc_stock_binds_by_sku_and_lowers_no_level():
    inputs = inputs_of(**COSTED)
    listed = pd.DataFrame({"sku": [f"boots-{i}" for i in range(3)], "available": [5.0, 0.0, 7.0]})
    problem = build_problem(replace(inputs, dc_stock=listed)).problem
    assert np.isinf(problem.dc_available).all()
    plan = optimize(replace(inputs, dc_stock=listed))
    merged = plan.replenishment.merge(inputs.sku_facts, on=["store_id", "sku"])
    sent = (merged["target_quantity"] - merged["on_hand"] - merged["in_transit"]).clip(lower=0)
    by_sku = sent.groupby(merged["sku"]).sum()
    # Everything that lies in the distribution center is sent now: the stores need far more.
    assert all(by_sku[row.sku] == row.available for row in listed.itertuples())
    assert any("3 SKUs are not in the table dc_stock" in note for note in plan.notes)
    # Later deliveries are expected of what arrives only, and the figures by store agree with the cost table.
    arriving = pd.DataFrame({"sku": ["boots-1"], "date": [AS_OF + pd.Timedelta(days=6)], "quantity": [4.0]})
    plan = optimize(replace(inputs, dc_stock=listed, dc_inbound=arriving))
    expected = plan.deliveries.groupby("sku")["quantity"].sum()
    assert all(
        expected.get(row.sku, 0) <= row.available + 4 * (row.sku == "boots-1") + 0.01 for row in listed.itertuples()
    )
    assert expected["boots-1"] > 3
    chosen = plan.costs[plan.costs["chosen"]].iloc[0]
    sales = plan.stock_by_day.loc[plan.stock_by_day["policy"] == chosen["policy"], "sales"].sum()
    assert sales / inputs.forecast["mean"].sum() == pytest.approx(chosen["fill_rate"], abs=0.1)


def test_discontinued_styles_are_published_for_outlets_only():
    inputs = inputs_of(**COSTED)
    status = np.where(inputs.sku_facts["sku"] == "bags-0", "Saldo", "")
    plan = optimize(replace(inputs, sku_facts=inputs.sku_facts.assign(collection_status=status)))
    rows = plan.replenishment[plan.replenishment["sku"] == "bags-0"]
    assert rows["store_id"].tolist() == ["2"]


def test_minimum_presentation_lifts_the_level():
    inputs = inputs_of(settings={"policies": ["eoq"]}, **COSTED)
    lifted = inputs.sku_facts.assign(min_presentation=np.where(inputs.sku_facts["category"] == "bags", 6.0, 0.0))
    plan = optimize(replace(inputs, sku_facts=lifted))
    bags = plan.replenishment[(plan.replenishment["category"] == "bags") & (plan.replenishment["store_id"] == "01")]
    assert (bags["target_quantity"] >= 6).all()


def test_a_series_with_missing_periods_is_named():
    inputs = inputs_of(**COSTED)
    with pytest.raises(PipelineError, match="01 / boots"):
        build_problem(replace(inputs, forecast=inputs.forecast.iloc[1:]))


def test_planning_and_evaluation_use_different_paths_of_a_champion():
    inputs = inputs_of(**COSTED)
    dates = pd.date_range(AS_OF, periods=14)
    own = pd.DataFrame({"store_id": "01", "category": "boots", "date": dates})
    own = pd.concat([own, pd.DataFrame(np.tile(np.arange(40.0), (14, 1))).add_prefix("s")], axis=1)
    short = own[own["date"] > AS_OF].assign(category="bags")
    plain, explained = build_problem(inputs), build_problem(replace(inputs, paths=(own.sample(frac=1.0), short)))
    boots = [plain.problem.store_ids[i] == "01" for i in plain.problem.series_store] & (
        np.array(plain.problem.categories)[plain.problem.series_category] == "boots"
    )
    np.testing.assert_array_equal(plain.problem.paths[:, ~boots], explained.problem.paths[:, ~boots])
    for problem in (explained.problem, explained.evaluation):
        units = problem.paths[:, boots][:, 0]
        # A path that is low in the first week is low in the second.
        assert np.corrcoef(units[:, :7].sum(axis=1), units[:, 7:].sum(axis=1))[0, 1] > 0.95
    # Twenty of forty paths each: together they cover the quantiles of the forecast.
    totals = np.concatenate([explained.problem.paths, explained.evaluation.paths])[:, boots].sum(axis=(1, 2))
    assert len(set(totals)) > 30


def test_a_delivery_later_than_the_lead_time_also_replaces_what_sells_before_its_order():
    # The file is fixed now, with today's stock. A delivery on the fifth day is ordered after four days of sales
    # (16 boots, 4 bags a store); a SKU sells at most what it has: 10 boots of the SKU with half of the sales 6.
    inputs = inputs_of(settings={"blackout": {"dates": [str((AS_OF + pd.Timedelta(days=i)).date()) for i in range(4)]}})
    few = inputs.sku_facts.assign(on_hand=np.where(inputs.sku_facts["sku"] == "boots-2", 5.0, 30.0))
    plan = optimize(replace(inputs, sku_facts=few))
    rows = plan.explanations.set_index(["store_id", "sku"])
    level = plan.levels.set_index(["store_id", "category", "date_from"])["order_up_to"]
    fifth = AS_OF + pd.Timedelta(days=4)
    boots, bags = rows.loc[("2", "boots-0")], rows.loc[("2", "bags-0")]
    assert boots["visit_date"] == fifth
    assert boots["series_forecast"] == pytest.approx(28.0)
    assert bags["order_up_to"] == level["2", "bags", fifth] + 4
    shares = rows.loc["2"].loc[["boots-0", "boots-1", "boots-2"], "share"]
    sold = 16 * (shares["boots-0"] + shares["boots-1"]) + min(6.0, 16 * shares["boots-2"])
    assert boots["order_up_to"] == np.ceil(level["2", "boots", fifth] + sold - 1e-9)


@pytest.mark.parametrize(("pack", "sent"), [(6.0, 6), (600.0, 0)])
def test_a_minimum_presentation_is_kept_with_a_pack_unless_the_pack_lasts_for_ages(pack: float, sent: int):
    # One bag is there, two are the minimum. The others of its category have plenty, so that the level is reached.
    inputs = inputs_of(settings={"policies": ["newsvendor"]})
    facts = inputs.sku_facts
    few = facts["sku"] == "bags-0"
    facts = facts.assign(
        on_hand=np.where(few, 1.0, 30.0), in_transit=0.0, pack_size=pack, min_presentation=np.where(few, 2.0, np.nan)
    )
    plan = optimize(replace(inputs, sku_facts=facts))
    assert plan.explanations.set_index(["store_id", "sku"])["to_send"]["2", "bags-0"] == sent
    below = plan.shortages[plan.shortages["limit"] == "minimum presentation"]
    assert set(below["sku"]) == (set() if sent else {"bags-0"})
