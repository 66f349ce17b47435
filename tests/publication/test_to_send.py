"""What to send now: transfers and firm deliveries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from schemas import columns as c
from schemas.outputs import RunOutputs
from tasks.publication.to_send import broken_packs, with_quantities_to_send
from tests.publication import fake_run

FIRST, SECOND = pd.Timestamp("2025-01-03"), pd.Timestamp("2025-01-10")


def run(*pairs: dict[str, Any], deliveries: list[tuple[Any, ...]] | None = None) -> RunOutputs:
    """A run of pairs of store 1; store 1 has deliveries on 3 and 10 January."""
    given = {c.STORE_ID: "1", c.ON_HAND: 2.0, c.IN_TRANSIT: 1.0, c.VISIT_DATE: FIRST}
    table = pd.DataFrame([{**given, **pair} for pair in pairs])
    columns = [c.STORE_ID, c.SKU, c.VISIT_DATE, c.QUANTITY, c.ON_HAND, c.IN_TRANSIT]
    planned = pd.DataFrame(deliveries or [], columns=columns).astype({c.VISIT_DATE: "datetime64[ns]"})
    outputs = replace(
        fake_run.outputs(),
        replenishment=table[[c.STORE_ID, c.SKU, c.TARGET_QUANTITY]],
        explanations=table.drop(columns=c.TARGET_QUANTITY),
        deliveries=planned,
        visits=pd.DataFrame({c.STORE_ID: ["1", "1"], c.DATE: [SECOND, FIRST]}),
    )
    return with_quantities_to_send(outputs, "BOD01")


@pytest.mark.parametrize(
    ("target", "stock", "units"),
    [(9, 2.0, 6), (3, 2.0, 0), (1, 2.0, 0), (9, 2.5, 5), (9, float("nan"), 8), (9, 1.9999999999, 6)],
)
def test_whole_units_below_the_target_are_sent(target: int, stock: float, units: int) -> None:
    outputs = run({c.SKU: "a", c.TARGET_QUANTITY: target, c.ON_HAND: stock})
    assert outputs.replenishment[c.TO_SEND].tolist() == [units]
    assert outputs.replenishment[c.TARGET_QUANTITY].tolist() == [target]
    assert outputs.transfers is not None
    assert outputs.transfers[c.QUANTITY].tolist() == [units] * (units > 0)


def test_transfers_name_the_distribution_center_and_the_delivery() -> None:
    outputs = run({c.SKU: "a", c.TARGET_QUANTITY: 9}, {c.SKU: "b", c.TARGET_QUANTITY: 1})
    assert outputs.transfers is not None
    assert outputs.transfers.to_dict("records") == [
        {c.FROM: "BOD01", c.STORE_ID: "1", c.SKU: "a", c.QUANTITY: 6, c.DELIVERY_DATE: FIRST}
    ]


def test_next_delivery_is_firm_and_later_ones_are_expected() -> None:
    planned = [
        ("1", "a", FIRST, 6.4, 2.0, 1.0),
        ("1", "a", SECOND, 0.75, 2.0, 1.0),
        ("1", "b", FIRST, 0.2, 2.0, 1.0),
        ("1", "b", SECOND, 1.5, 2.0, 1.0),
    ]
    outputs = run({c.SKU: "a", c.TARGET_QUANTITY: 9}, {c.SKU: "b", c.TARGET_QUANTITY: 3}, deliveries=planned)
    assert outputs.deliveries[[c.SKU, c.VISIT_DATE, c.QUANTITY, c.STATUS]].to_numpy().tolist() == [
        ["a", FIRST, 6.0, "firm"],
        ["a", SECOND, 0.75, "expected"],
        ["b", SECOND, 1.5, "expected"],
    ]
    assert outputs.deliveries[[c.ON_HAND, c.IN_TRANSIT]].drop_duplicates().to_numpy().tolist() == [[2.0, 1.0]]
    again = with_quantities_to_send(outputs, "BOD01")
    pd.testing.assert_frame_equal(again.deliveries, outputs.deliveries)


def test_store_without_a_delivery_has_transfers_without_a_date() -> None:
    outputs = run({c.STORE_ID: "2", c.SKU: "a", c.TARGET_QUANTITY: 9, c.VISIT_DATE: pd.NaT})
    assert outputs.transfers is not None
    assert outputs.transfers[c.DELIVERY_DATE].isna().tolist() == [True]
    assert outputs.deliveries.empty


def test_quantities_that_are_not_whole_packs_are_a_warning() -> None:
    pairs = [
        {c.SKU: sku, c.TARGET_QUANTITY: 9, c.PACK_SIZE: pack} for sku, pack in (("a", 6.0), ("b", 4.0), ("c", 0.0))
    ]
    assert broken_packs(run(*pairs)) == [
        "transfers.csv: quantities that are not whole packs: 1 / b (6 units, pack of 4)"
    ]
    assert broken_packs(run(pairs[0], pairs[2])) == []
