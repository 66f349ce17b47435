"""No broken size runs where a style is on display, and totals kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.inventory.allocation.assortment import core_sizes, whole_runs
from tasks.inventory.allocation.disaggregate import split
from tasks.inventory.weekly import optimize
from tests.breadth import examples
from tests.inventory.allocation.test_disaggregate import rows_of
from tests.inventory.test_weekly_plan import COSTED, inputs_of


def runs_of(level: float, share: list[float], per_style: int = 2, **columns):
    """Targets of styles with ``per_style`` core sizes each, then one size that is none."""
    rows = per_style + 1
    style = np.repeat(np.arange(len(share)), rows)
    core = np.tile([True] * per_style + [False], len(share))
    split_rows = replace(
        rows_of(np.zeros(len(style), dtype=np.int64), np.repeat(share, rows) / rows, **columns), core=core
    )
    total = np.array([float(level)])
    kept = whole_runs(total, split_rows, np.ones(len(style), dtype=bool), style)
    targets = split(total, replace(split_rows, shown=kept))
    return targets.reshape(len(share), rows), kept.reshape(len(share), rows)[:, 0]


def test_a_style_gets_its_complete_run_or_nothing():
    # 6 units at 60, 30 and 10 %: runs of 2 fit twice; the third's part (0.6) is below half a run.
    targets, kept = runs_of(6, [0.6, 0.3, 0.1])
    assert kept.tolist() == [True, True, False]
    assert targets.sum() == 6
    assert (targets[:2, :2] >= 1).all()
    assert targets[2].sum() == 0


def test_half_a_run_is_completed():
    # 6 · 0.2 = 1.2 of a run of 2: completed.
    targets, kept = runs_of(6, [0.8, 0.2])
    assert kept.all()
    assert (targets[:, :2] >= 1).all()
    assert targets.sum() == 6


def test_a_run_in_stock_gets_no_units():
    position = np.array([0.0, 0, 0, 1, 1, 0])
    targets, kept = runs_of(5, [0.9, 0.1], position=position)
    assert kept.all()
    assert targets.sum() == 5
    assert (targets[0, :2] >= 1).all()


def test_a_level_below_any_run_goes_to_the_core_sizes_of_the_best_seller():
    targets, kept = runs_of(2, [0.4, 0.6], per_style=3)
    assert kept.tolist() == [False, True]
    assert targets[1].tolist() == [1, 1, 0, 0]


def test_minimum_presentation_keeps_a_style_on_display():
    floor = np.array([0.0, 0, 0, 1, 0, 0])
    targets, kept = runs_of(6, [0.95, 0.05], floor=floor)
    assert kept.all()
    assert (targets[1, :2] >= 1).all()


def test_core_sizes_are_the_fewest_that_make_half_of_a_shrunk_curve():
    facts = pd.DataFrame(
        {
            "category": "c",
            "size": ["36", "37", "38", "39", "36", "37", "U", ""],
            "total_units": [100.0, 300.0, 50.0, 20.0, 0.0, 0.0, 9.0, 9.0],
        }
    )
    style = np.array(["a", "a", "a", "a", "new", "new", "bag", "odd"], dtype=object)
    core = core_sizes(facts, style, 0.5)
    # Without sales the curve of the category decides; one size is not a run.
    assert core.tolist() == [False, True, False, False, False, True, False, False]
    assert core_sizes(facts, style, 0.7).tolist()[:2] == [True, True]


@settings(max_examples=examples(5), deadline=None)
@given(data=st.data())
def test_every_incomplete_size_run_on_display_is_reported(data):
    draw = np.random.default_rng(data.draw(st.integers(0, 999)))
    inputs = inputs_of(stock=data.draw(st.booleans()), **COSTED)
    base = inputs.sku_facts.drop_duplicates(["store_id", "category"])
    rows = [
        {**row, "sku": f"{row['category']}{a}-{size}", "size": str(size)}
        for row in base.to_dict("records")
        for a in range(3)
        for size in (36, 37, 38, 39)
    ]
    facts = pd.DataFrame(rows)
    n = len(facts)
    units = draw.integers(0, 40, n).astype(float)
    facts = facts.assign(recent_units=units, total_units=units + 5, on_hand=draw.integers(0, 2, n).astype(float))
    dc = pd.DataFrame({"sku": facts["sku"].unique(), "available": draw.integers(0, 40, facts["sku"].nunique())})
    plan = optimize(replace(inputs, sku_facts=facts, dc_stock=dc if data.draw(st.booleans()) else None))
    explained = plan.explanations.merge(facts[["store_id", "sku", "size"]], on=["store_id", "sku"])
    core = core_sizes(
        facts,
        explained.set_index(["store_id", "sku"])
        .loc[list(facts[["store_id", "sku"]].itertuples(index=False, name=None)), "article"]
        .to_numpy(),
        0.5,
    )
    core_of = dict(zip(facts[["store_id", "sku"]].itertuples(index=False, name=None), core, strict=True))
    have = np.maximum(explained["target_quantity"], explained["on_hand"].fillna(0) + explained["in_transit"].fillna(0))
    explained = explained.assign(
        have=have, core=[core_of[key] for key in zip(explained["store_id"], explained["sku"], strict=True)]
    )
    of_size_runs = plan.shortages["limit"] == "size run"
    reported = {tuple(row) for row in plan.shortages.loc[of_size_runs, ["store_id", "sku"]].to_numpy()}
    for (store, style), rows in explained.groupby(["store_id", "article"]):
        available = rows["limit"] != "DC stock"
        broken = (rows["core"] & (rows["have"] < 1) & available).any()
        if rows["target_quantity"].sum() > 0 and broken:
            assert (store, style) in reported
    totals = plan.replenishment.groupby(["store_id", "category"])["target_quantity"].sum()
    checked = plan.category_totals.set_index(["store_id", "category"])["target_quantity"]
    assert (totals == checked[totals.index]).all()
