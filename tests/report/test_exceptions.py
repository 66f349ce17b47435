"""Exceptions: what needs a planner's attention this week."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.alarms import raise_alarm
from schemas.outputs import RunOutputs
from schemas.run import RunContext
from tasks.report.exceptions import (
    COLUMNS,
    CUT,
    NEW_SKU,
    NEW_STORE,
    OVER_CAPACITY,
    OVERRIDE,
    OVERSTOCK,
    STOCK_OUT,
    exceptions,
)
from tasks.report.language import Language
from tests.publication import fake_run
from tests.report.test_reasons import explanation


def pairs(*rows: dict[str, Any]) -> pd.DataFrame:
    """Explanations of pairs with half of their series' demand."""
    given = {"store_id": "1", "category": "boots", "share": 0.5, "on_hand": 2.0, "in_transit": 1.0}
    return pd.DataFrame([explanation(**{**given, **row}) for row in rows])


def outputs(explanations: pd.DataFrame | None, **changed: Any) -> RunOutputs:
    """A run of 14 days in which the series 1 / boots sells 2 units a day, and every unit costs 10."""
    days = pd.date_range(fake_run.AS_OF, periods=14)
    forecast = pd.DataFrame({c.STORE_ID: "1", c.CATEGORY: "boots", c.DATE: days, c.MEAN: 2.0, c.CHAMPION: True})
    other = forecast.assign(**{c.MEAN: 99.0, c.CHAMPION: False})
    frame = explanation() if explanations is None else explanations
    return replace(
        fake_run.outputs(),
        forecast=pd.concat([forecast, other]),
        explanations=explanations,
        replenishment=pd.DataFrame(frame, index=None if explanations is not None else [0])[
            [c.STORE_ID, c.SKU, c.TARGET_QUANTITY]
        ],
        products=pd.DataFrame({c.SKU: ["a", "b"], c.PRODUCT_NAME: ["Boot A", ""], c.UNIT_PRICE: [10.0, np.nan]}),
        **{"stock_by_day": None, **changed},
    )


def found(given: RunOutputs, run: RunContext | None = None, language: Language | None = None, **facts: Any) -> Any:
    return exceptions(given, fake_run.facts(**facts), run or fake_run.context(), language or Language())


def test_shortage_is_the_demand_that_target_and_stock_do_not_cover() -> None:
    # 9.5 expected, 5 there after the delivery: 4.5 units, 45 money; 7 units a week: 5 units last 0.7 weeks.
    rows = pairs(
        {"sku": "a", "sku_forecast": 9.5, "target_quantity": 5, "limit": "DC stock"},
        {"sku": "b", "sku_forecast": 6.0, "target_quantity": 5, "limit": "none", "by_dc": 0.0},
    )
    table = found(outputs(rows))
    assert list(table.columns) == list(COLUMNS)
    first, second = table.to_dict("records")
    assert (first[c.KIND], first[c.SKU], first[c.PRODUCT_NAME], first[c.CATEGORY]) == (CUT, "a", "Boot A", "boots")
    assert (first[c.UNITS], first[c.MONEY], first[c.WEEKS_OF_COVER]) == (4.5, 45.0, 0.7)
    assert first[c.REASON] == (
        "expected demand 9.5 units in the time that the delivery covers; 3 in stock, 2 to send; "
        "constraint: DC stock, which reduces the target by 2 units"
    )
    assert (second[c.KIND], second[c.UNITS]) == (STOCK_OUT, 1.0)
    assert np.isnan(second[c.MONEY])
    assert "constraint" not in second[c.REASON]
    one = found(outputs(rows.assign(by_dc=-1.0)))[c.REASON][0]
    assert one.endswith("reduces the target by 1 unit")


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        # A first pack raises the target, a date moves the delivery: neither takes a unit.
        ({"limit": "pack", "by_rounding": 4.0}, STOCK_OUT, "2 to send"),
        ({"limit": "minimum presentation"}, STOCK_OUT, "2 to send"),
        ({"limit": "blackout dates"}, STOCK_OUT, "2 to send"),
        ({"limit": "pack", "by_rounding": -4.0}, CUT, "constraint: pack, which reduces the target by 4 units"),
        ({"limit": "display capacity"}, CUT, "constraint: display capacity"),
        (
            {"limit": "none", "order_up_to": 8.0, "series_forecast": 30.5},
            STOCK_OUT,
            "the plan's order-up-to level of the category is 8 units, below its expected demand of 30.5",
        ),
    ],
)
def test_a_constraint_is_named_only_if_it_lowers_the_target(row: dict[str, Any], kind: str, reason: str) -> None:
    table = found(outputs(pairs({"sku": "a", "sku_forecast": 9.5, "target_quantity": 5, **row})))
    assert table[c.KIND].tolist() == [kind]
    assert table[c.REASON][0].endswith(reason)


@pytest.mark.parametrize(
    "row",
    [
        {"sku_forecast": 5.4, "target_quantity": 5},
        {"sku_forecast": 3.0, "target_quantity": 0},
        {"sku_forecast": 50.0, "target_quantity": 0, "limit": "lifecycle rule"},
    ],
)
def test_covered_demand_and_the_lifecycle_rule_are_no_exception(row: dict[str, Any]) -> None:
    assert found(outputs(pairs({"sku": "a", **row}))).empty


def test_published_target_counts_not_the_planned_one() -> None:
    given = outputs(pairs({"sku": "a", "sku_forecast": 9.0, "target_quantity": 9}))
    assert found(given).empty
    lowered = given.replenishment.assign(**{c.TARGET_QUANTITY: 4})
    assert found(replace(given, replenishment=lowered))[c.UNITS].tolist() == [5.0]
    assert found(replace(given, replenishment=lowered.iloc[:0])).empty


def test_overstock_is_the_stock_above_13_weeks_of_expected_sales() -> None:
    table = found(outputs(pairs({"sku": "a", "on_hand": 100.0, "in_transit": 5.0, "limit": "none"})))
    # 7 units a week: 105 units last 15 weeks; 91 last 13.
    assert table.loc[0, [c.KIND, c.UNITS, c.MONEY, c.WEEKS_OF_COVER]].tolist() == [OVERSTOCK, 14.0, 140.0, 15.0]
    still = found(outputs(pairs({"sku": "a", "on_hand": 4.0, "in_transit": 0.0, "share": 0.0, "sku_forecast": 0.0})))
    assert still[c.UNITS].tolist() == [4.0]
    assert still[c.WEEKS_OF_COVER].isna().all()


def test_stores_over_capacity_count_on_the_paths_of_the_chosen_policy() -> None:
    days = pd.DataFrame(
        {
            c.POLICY: ["genetic", "genetic", "genetic", "eoq"],
            c.STORE_ID: ["1", "1", "2", "3"],
            c.STOCK: [90.0, 112.0, 50.0, 500.0],
            c.CAPACITY: [100.0, 100.0, np.nan, 100.0],
            c.OVER: [0.5, 1.0, 1.0, 1.0],
        }
    )
    table = found(outputs(None, stock_by_day=days))
    assert table[[c.KIND, c.STORE_ID, c.UNITS]].to_numpy().tolist() == [[OVER_CAPACITY, "1", 12.0]]
    assert table[c.REASON].tolist() == ["above the capacity of 100 in 1.5 periods of the horizon on average"]


def test_overrides_without_effect_have_their_reason() -> None:
    run = fake_run.context(
        sources={
            **{name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")},
            "overrides": {"path": "o.csv", "columns": {"sku": "Cod"}},
        }
    )
    bad = pd.DataFrame(
        {c.TABLE: ["overrides"], c.FILE: "o.csv", c.ROW_NUMBER: [3], c.REASON: ["value: no number"], "Cod": ["a"]}
    )
    given = outputs(None, quarantine=bad)
    overrides = [
        {"number": 1, c.STORE_ID: "1", c.SKU: None, c.CATEGORY: None, c.STATUS: "matches no target"},
        {"number": 2, c.STORE_ID: "1", c.SKU: None, c.CATEGORY: None, c.STATUS: "applied"},
        {"number": 3, c.STORE_ID: "1", c.SKU: None, c.CATEGORY: None, c.STATUS: "expired"},
    ]
    table = found(given, run, overrides=overrides)
    assert set(table[c.KIND]) == {OVERRIDE}
    assert table[[c.STORE_ID, c.SKU, c.PRODUCT_NAME, c.REASON]].to_numpy().tolist() == [
        ["", "a", "Boot A", "row 3: value: no number"],
        ["1", "", "", "override 1: matches no target"],
    ]


def test_largest_amount_comes_first_whatever_the_row_order() -> None:
    rows = pairs(
        {"sku": "a", "sku_forecast": 6.0, "target_quantity": 5},
        {"sku": "b", "sku_forecast": 60.0, "target_quantity": 5},
        {"sku": "c", "on_hand": 1000.0},
    )
    given = outputs(rows)
    table = found(given)
    assert table[c.SKU].tolist() == ["a", "c", "b"]
    shuffled = replace(given, explanations=rows.iloc[::-1], replenishment=given.replenishment.iloc[::-1])
    pd.testing.assert_frame_equal(found(shuffled), table)


def test_reasons_are_written_in_the_language_of_the_settings() -> None:
    table = found(outputs(pairs({"sku": "a", "sku_forecast": 9.5, "target_quantity": 5})), language=Language("es"))
    assert table[c.REASON][0].startswith("demanda esperada 9,5 unidades en el tiempo que la entrega cubre; 3 en stock")


def test_new_stores_and_skus_are_those_of_the_alarms() -> None:
    given = outputs(pairs({"sku": "a", "target_quantity": 5}, {"sku": "b", "target_quantity": 5}))
    given = replace(given, replenishment=given.replenishment.assign(**{c.TO_SEND: [2, 3]}))
    alarms = [
        raise_alarm("new_store", "x", stores=["1", "9"]),
        raise_alarm("new_article", "x", skus=["a"]),
        raise_alarm("rejected_rows", "x", stores=["1"]),
    ]
    table = found(given, alarms=alarms)
    new = table[table[c.KIND].isin([NEW_STORE, NEW_SKU])].fillna(-1.0)
    assert new[[c.KIND, c.STORE_ID, c.SKU, c.PRODUCT_NAME, c.UNITS, c.MONEY]].to_numpy().tolist() == [
        [NEW_STORE, "1", "", "", 5.0, 20.0],
        [NEW_SKU, "", "a", "Boot A", 2.0, 20.0],
        [NEW_STORE, "9", "", "", -1.0, -1.0],
    ]
    assert new[c.REASON].iloc[0] == "no sales yet: forecast and targets come from comparable stores"
