"""Facts of each SKU in each store, by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import DataContractError
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.sku_facts import last_stock, sku_facts

AS_OF = date(2024, 4, 1)


@pytest.fixture
def facts(make_tables, make_settings):
    def find(sales, products=None, **further):
        tables = make_tables(sales, **further)
        tables["products"] = tables["products"].assign(**(products or {}))
        return sku_facts(prepare(tables, make_settings(), AS_OF)).set_index([c.STORE_ID, c.SKU])

    return find


SALES = [
    ("2024-01-05", "s1", "a1", 7, 70.0),
    ("2024-03-30", "s1", "a1", 2, 18.0),
    ("2024-03-30", "s1", "a1", -1, -9.0),
    ("2024-03-31", "s2", "a1", 1, 8.0),
    ("2024-03-31", "s2", "a2", 1, np.nan),
    ("2024-03-31", "s2", "b1", 1, np.nan),
    ("2024-04-01", "s2", "a1", 50, 50.0),
]


def test_units_and_prices(facts):
    found = facts(SALES, products={c.PRICE: [11.0, 12.0, np.nan]})
    assert found.index.tolist() == [("s1", "a1"), ("s2", "a1"), ("s2", "a2"), ("s2", "b1")]
    assert found[c.CATEGORY].tolist() == ["A", "A", "A", "B"]
    assert found[c.TOTAL_UNITS].tolist() == [9, 1, 1, 1]
    assert found[c.RECENT_UNITS].tolist() == [2, 1, 1, 1]
    # a1: last known in any store; a2: list price; b1: 1.
    assert found[c.UNIT_PRICE].tolist() == [8, 8, 12, 1]
    assert found[c.ON_HAND].isna().all()


def test_eight_weeks_are_recent(facts):
    found = facts([("2024-02-04", "s1", "a1", 5), ("2024-02-05", "s1", "a1", 3), ("2024-03-31", "s1", "a1", 1)])
    assert found[c.RECENT_UNITS].tolist() == [4]


def test_stock_rows_without_sales_are_kept(facts):
    stock = pd.DataFrame(
        {
            c.STORE_ID: ["s1", "s1"],
            c.SKU: ["b1", "a1"],
            c.ON_HAND: [3.0, 4.0],
            "in_transit_1": [1.0, 0.0],
            "in_transit_2": [0.0, 2.0],
        }
    )
    found = facts(SALES, stock=stock)
    assert found.loc[("s1", "b1"), [c.CATEGORY, c.RECENT_UNITS, c.TOTAL_UNITS, c.ON_HAND]].tolist() == ["B", 0, 0, 3]
    assert found.loc[("s1", "a1"), ["in_transit_1", "in_transit_2"]].tolist() == [0, 2]
    assert found[c.ON_HAND].isna().tolist() == [False, False, True, True, True]


def test_the_last_count_not_after_as_of():
    stock = pd.DataFrame(
        {
            c.STORE_ID: ["s1"] * 4,
            c.SKU: ["a1", "a1", "a1", "a2"],
            c.DATE: pd.to_datetime(["2024-04-02", "2024-04-01", "2024-03-01", "2024-04-09"]),
            c.ON_HAND: [9.0, 5.0, 1.0, 2.0],
            c.IN_TRANSIT: [9.0, 6.0, 1.0, 2.0],
        }
    )
    assert last_stock(stock, AS_OF).to_numpy().tolist() == [["s1", "a1", 5.0, 6.0]]


def test_product_facts_and_their_absence(facts):
    products = {c.SIZE: ["38", None, "40"], c.PACK_SIZE: [6.0, np.nan, 1.0]}
    found = facts(SALES, products=products)
    assert found[c.SIZE].tolist() == ["38", "38", "", "40"]
    assert found[c.PACK_SIZE].tolist()[:2] == [6, 6]
    assert np.isnan(found.loc[("s2", "a2"), c.PACK_SIZE])
    assert found[c.COLLECTION_STATUS].tolist() == [""] * 4
    assert found[c.MIN_PRESENTATION].isna().all()


def test_faulty_values_count_neither_as_units_nor_as_price(facts):
    sales = [(day, "s1", "a1", 2, 20.0) for day in pd.date_range("2024-03-01", "2024-03-30")]
    found = facts([*sales, (pd.Timestamp("2024-03-31"), "s1", "a1", 1_000_000, 1.0)])
    assert found[c.TOTAL_UNITS].tolist() == [60]
    assert found[c.UNIT_PRICE].tolist() == [10]


def test_nothing_known(facts):
    with pytest.raises(DataContractError, match="no row before as_of"):
        facts([("2024-04-01", "s1", "a1", 1)])
