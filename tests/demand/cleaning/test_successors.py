"""A successor inherits the sales of the SKU that it replaces."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from schemas import columns as c
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.cleaning.successors import successors
from tasks.demand.panel import build_panel
from tasks.demand.sku_facts import sku_facts

AS_OF = date(2024, 4, 1)
SALES = [("2024-03-01", "s1", "a1", 5), ("2024-03-30", "s1", "a1", 2), ("2024-03-31", "s1", "a2", 4)]


def replaced(make_tables, sales=SALES, **products) -> dict:
    tables = make_tables(sales)
    tables["products"] = tables["products"].assign(**products)
    return successors(tables, AS_OF)


@pytest.mark.parametrize(
    ("products", "expected"),
    [
        ({}, {}),
        ({c.REPLACED_BY: ["a2", None, None]}, {"a1": "a2"}),
        ({c.REPLACES: [None, "a1", None]}, {"a1": "a2"}),
        ({c.REPLACED_BY: ["a2", "a1", None]}, {}),  # a circle
        ({c.REPLACED_BY: ["a1", None, None]}, {}),
        ({c.REPLACED_BY: ["unknown", None, None]}, {}),
        ({c.REPLACED_BY: ["b1", None, None]}, {}),  # b1 has neither sold nor is it in stock
        ({c.REPLACED_BY: ["b1", None, None], c.REPLACED_ON: pd.to_datetime(["2024-03-01", None, None])}, {"a1": "b1"}),
        ({c.REPLACED_BY: ["a2", None, None], c.REPLACED_ON: pd.to_datetime(["2024-05-01", None, None])}, {}),
        ({c.REPLACED_BY: ["b1", "b1", None], c.REPLACES: [None, "a1", None]}, {"a1": "a2"}),
    ],
)
def test_who_replaces_whom(make_tables, products, expected) -> None:
    assert replaced(make_tables, **products) == expected


def test_chains_end_at_the_last_one(make_tables) -> None:
    sales = [*SALES, ("2024-03-31", "s1", "b1", 1)]
    assert replaced(make_tables, sales, **{c.REPLACED_BY: ["a2", "b1", None]}) == {"a1": "b1", "a2": "b1"}


def test_history_is_inherited_and_the_old_sku_keeps_an_empty_row(make_tables, make_settings, row_of) -> None:
    tables = make_tables(SALES)
    tables["products"] = tables["products"].assign(**{c.REPLACED_BY: ["a2", None, None]})
    prepared = prepare(tables, make_settings(category=[c.SKU]), AS_OF)
    panel = build_panel(prepared).panel
    assert panel.series[c.CATEGORY].tolist() == ["a2"]
    assert sum(row_of(panel, "s1", "a2")[-2:]) == 6
    facts = sku_facts(prepared).set_index(c.SKU)
    assert facts.loc["a1", [c.TOTAL_UNITS, c.SUPERSEDED_BY]].tolist() == [0, "a2"]
    assert facts.loc["a2", [c.TOTAL_UNITS, c.SUPERSEDED_BY]].tolist() == [11, ""]
