"""Explanations: the steps of every row add up, and the named constraint is the binding one."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.inventory.weekly import optimize
from tasks.report.costs import Costs
from tasks.report.language import ENGLISH
from tasks.report.reasons import reason_lines
from tests.breadth import examples
from tests.inventory.test_weekly_plan import COSTED, inputs_of

STEPS = [
    "units_by_share", "by_lifecycle", "by_assortment", "by_variation", "by_minimum", "by_rounding",
    "by_capacity", "by_dc_share", "by_dc",
]  # fmt: skip


def line(plan, store, sku):
    table = plan.explanations
    return table[(table["store_id"] == store) & (table["sku"] == sku)].iloc[0]


def assert_lines_add_up(row):
    """The steps that ``restock why`` prints add up to the target, exactly as printed, and the quantity to send too."""
    lines = reason_lines(row)
    start = next(i for i, line in enumerate(lines) if line.startswith("Share of this SKU"))
    steps = [
        Decimal(line.split()[1].replace(",", "")) * (-1 if "−" in line[:4] else 1) for line in lines[start + 1 : -1]
    ]
    assert sum(steps) == Decimal(lines[-1].split()[1].replace(",", "")) == Decimal(int(row["target_quantity"]))
    if "To send now" in (sent := next(line for line in lines if line.startswith("To send"))):
        send, target, on_hand, transit = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", sent)[:4])
        assert send == max(0, target - on_hand - transit)


def assert_shortages_agree(plan):
    """What DC stock and storage capacity took in the shortages is what they took in the explanations."""
    key = ["store_id", "sku"]
    explained = plan.explanations.set_index(key)
    for limit, taken in (("DC stock", ["by_dc_share", "by_dc"]), ("storage capacity", ["by_capacity"])):
        rows = plan.shortages[(plan.shortages["limit"] == limit) & (plan.shortages["sku"] != "")].set_index(key)
        cut = -explained[taken].sum(axis=1)
        assert set(rows.index) == set(cut[cut > 0].index)
        assert ((rows["requested"] - rows["allocated"]) == cut.reindex(rows.index)).all()
    costs = Costs(plan.costs, 0.95, ENGLISH)
    text = costs.shortage_text(bool(len(plan.shortages)))
    assert ("all demand is met" in text) == (plan.shortages.empty and costs.chosen["fill_rate"] >= 0.9995)


def assert_adds_up(plan, inputs):
    table = plan.explanations
    assert len(table) == len(inputs.sku_facts)
    np.testing.assert_allclose(table[STEPS].sum(axis=1), table["target_quantity"], atol=1e-6)
    np.testing.assert_allclose(table["units_by_share"], table["order_up_to"] * table["share"], atol=1e-6)
    stock = table[["on_hand", "in_transit"]].fillna(0).sum(axis=1)
    np.testing.assert_allclose(table["to_send"], (table["target_quantity"] - stock).clip(lower=0))
    # Demand at most the units, or at least the last of them: together 1 + P(demand = units).
    has = np.maximum(table["target_quantity"], stock) >= 1
    assert (table.loc[has, "covers"] + table.loc[has, "last_unit_sells"] >= 1 - 1e-6).all()
    assert table["covers"].between(0, 1).all()
    assert (table["last_unit_sells"].isna() == ~has).all()
    for row in table.to_dict("records"):
        assert_lines_add_up(row)
    assert_shortages_agree(plan)
    if inputs.dc_stock is not None:
        # "Kept in the DC" is said only of a SKU that the DC has a pack of afterwards.
        sent = table.groupby("sku")["to_send"].sum()
        left = inputs.dc_stock.set_index("sku")["available"].sub(sent, fill_value=0).reindex(table["sku"]).to_numpy()
        assert (left >= table["pack_size"])[table["by_dc_share"] < 0].all()
    file = plan.replenishment.merge(table, on=["store_id", "sku"], suffixes=("", "_told"))
    assert len(file) == len(plan.replenishment)
    assert (file["target_quantity"] == file["target_quantity_told"]).all()


@settings(max_examples=examples(5), deadline=None)
@given(data=st.data())
def test_the_steps_of_every_line_add_up_to_its_target(data):
    base = inputs_of(stock=data.draw(st.booleans()), **(COSTED if data.draw(st.booleans()) else {}))
    draw = np.random.default_rng(data.draw(st.integers(0, 999)))
    n = len(base.sku_facts)
    facts = base.sku_facts.assign(
        size=[f"{36 + i % 3}" for i in range(n)],
        collection_status=draw.choice(["", "", "Saldo", "Liquidación"], n),
        pack_size=draw.choice([np.nan, 2.0, 6.0], n),
        min_presentation=draw.choice([np.nan, 0.0, 2.0], n),
        recent_units=draw.integers(0, 60, n).astype(float),
    )
    dc = pd.DataFrame({"sku": facts["sku"].unique(), "available": draw.integers(0, 15, facts["sku"].nunique())})
    inputs = replace(base, sku_facts=facts, dc_stock=dc if data.draw(st.booleans()) else None)
    plan = optimize(inputs)
    assert_adds_up(plan, inputs)


def test_an_unconstrained_row_can_be_checked_by_hand():
    inputs = inputs_of()
    plan = optimize(inputs)
    row = line(plan, "01", "boots-2")
    # Weekly deliveries without a cost: seven days of 4 units; this SKU has 30 of 60 recent units.
    assert row["series_forecast"] == pytest.approx(28)
    assert row["share"] == pytest.approx(0.45, abs=0.05)
    assert row["sku_forecast"] == pytest.approx(28 * row["share"])
    assert row["series_stock"] == 12
    assert row["limit"] == "none"
    assert row["quantile"] >= 0.95
    assert row["next_visit"] - row["visit_date"] == pd.Timedelta(days=7)


def test_the_binding_constraint_is_named():
    inputs = inputs_of(storage_capacity=[30.0, 5000.0], visit_cost=[50.0, 50.0])
    status = np.where(inputs.sku_facts["sku"] == "bags-0", "Saldo", "")
    facts = inputs.sku_facts.assign(
        collection_status=status, min_presentation=np.where(inputs.sku_facts["sku"] == "bags-1", 15.0, np.nan)
    )
    dc = pd.DataFrame({"sku": ["boots-1"], "available": [0.0]})
    plan = optimize(replace(inputs, sku_facts=facts, dc_stock=dc))
    assert line(plan, "01", "boots-2")["limit"] == "storage capacity"
    assert line(plan, "01", "boots-2")["level_without_capacity"] > line(plan, "01", "boots-2")["order_up_to"]
    assert line(plan, "01", "bags-0")["limit"] == "lifecycle rule"
    assert line(plan, "2", "boots-1")["limit"] == "DC stock"
    assert line(plan, "2", "bags-1")["limit"] == "minimum presentation"


def test_a_pack_is_named_if_it_is_binding():
    inputs = inputs_of(stock=False, settings={"policies": ["eoq"]})
    facts = inputs.sku_facts.assign(pack_size=np.where(inputs.sku_facts["category"] == "bags", 50.0, np.nan))
    plan = optimize(replace(inputs, sku_facts=facts))
    bags = plan.explanations[(plan.explanations["category"] == "bags") & (plan.explanations["store_id"] == "01")]
    assert sorted(bags["target_quantity"]) == [0, 0, 50]
    assert "pack" in set(bags["limit"])


@pytest.mark.parametrize(("pack", "units"), [(np.nan, 1), (6.0, 6), (900.0, 0)])
def test_an_empty_sku_that_sells_gets_a_pack_although_its_category_is_stocked(pack, units):
    """Above its reorder point, a category has no order; its empty SKU is sent anyway."""
    inputs = inputs_of(settings={"policies": ["eoq"], "holding_cost": 0.02})
    empty = inputs.sku_facts["sku"].eq("boots-1").to_numpy()
    size = inputs.sku_facts["sku"].str[-1]  # with core sizes
    facts = inputs.sku_facts.assign(on_hand=np.where(empty, 0.0, 90.0), in_transit=0.0, pack_size=pack, size=size)
    plan = optimize(replace(inputs, sku_facts=facts))
    row = line(plan, "01", "boots-1")
    assert row["order_up_to"] == 0
    assert (row["target_quantity"], row["to_send"]) == (units, units)
    assert row["by_minimum"] == pytest.approx(units)
    assert row["limit"] == ("pack" if units > 1 else "none")
    assert_adds_up(plan, replace(inputs, sku_facts=facts))
    totals = plan.category_totals.set_index(["store_id", "category"])["target_quantity"]
    assert (
        totals["01", "boots"]
        == plan.explanations.query("store_id == '01' and category == 'boots'")["target_quantity"].sum()
    )
