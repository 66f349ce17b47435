"""New stores and articles are found, and get what comparable ones sell."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from schemas import columns as c
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.new_series import new_alarms, new_pairs, new_series
from tasks.demand.sku_facts import sku_facts

AS_OF = date(2024, 4, 1)
DAYS = pd.date_range("2024-03-01", "2024-03-31")
SALES = [(day, store, sku, units) for day in DAYS for store, sku, units in (("s1", "a1", 2), ("s2", "a1", 4))]
SALES += [(DAYS[-1], "s1", "b1", 3)]


@pytest.fixture
def found(make_tables, make_settings):
    def find(stores=None, products=None, sales=SALES, **further):
        tables = make_tables(sales, **further)
        tables["stores"] = pd.DataFrame(stores or {c.STORE_ID: ["s1", "s2"]})
        if products is not None:
            tables["products"] = pd.DataFrame(products)
        prepared = prepare(tables, make_settings(), AS_OF)
        new = new_pairs(prepared)
        facts = sku_facts(prepared, new.pairs)
        of_new = facts.merge(new.pairs[[c.STORE_ID, c.SKU]], on=[c.STORE_ID, c.SKU])
        return new, new_series(prepared, of_new), facts.set_index([c.STORE_ID, c.SKU])

    return find


def pairs_of(new) -> dict:
    return {(row.store_id, row.sku): row.expected_units for row in new.pairs.itertuples()}


def test_a_listed_store_without_sales_gets_what_the_others_carry(found) -> None:
    new, series, facts = found({c.STORE_ID: ["s1", "s2", "s3"]})
    assert new.stores == ["s3"]
    assert pairs_of(new) == {("s3", "a1"): 3 * 31, ("s3", "b1"): 1.5}
    assert series[[c.STORE_ID, c.CATEGORY]].to_numpy().tolist() == [["s3", "A"], ["s3", "B"]]
    assert facts.loc[("s3", "a1"), [c.CATEGORY, c.RECENT_UNITS, c.EXPECTED_UNITS]].tolist() == ["A", 0, 93]
    assert [alarm.name for alarm in new_alarms(new)] == ["new_store"]
    assert "s3" in new_alarms(new)[0].message


def test_closed_and_long_opened_stores_are_not_new(found) -> None:
    stores = {
        c.STORE_ID: ["s1", "s2", "s3", "s4", "s5", "s6"],
        c.OPENED_ON: pd.to_datetime([None, None, "2024-04-03", "2020-01-01", "2024-09-01", None]),
        c.CLOSED_ON: pd.to_datetime([None, None, None, None, None, "2024-02-01"]),
    }
    new, series, _ = found(stores)
    assert new.stores == ["s3"]
    assert series[c.OPENED_ON].eq(pd.Timestamp("2024-04-03")).all()


def test_a_table_full_of_other_stores_makes_no_new_ones(found) -> None:
    new, series, _ = found({c.STORE_ID: ["s1", "s2", *[f"x{at}" for at in range(9)]]})
    assert (new.stores, len(series), len(new.left_out)) == ([], 0, 9)
    assert "State opened_on" in new_alarms(new)[0].message


PRODUCTS = {c.SKU: ["a1", "a2", "b1", "n1"], c.BRAND: ["A", "A", "B", "A"]}


def test_a_sku_that_nobody_holds_is_not_new(found) -> None:
    assert not len(found(products=PRODUCTS)[0].pairs)


def test_what_the_distribution_center_holds_goes_to_the_stores_of_its_category(found) -> None:
    dc = pd.DataFrame({c.SKU: ["n1", "a2"], c.AVAILABLE: [20.0, 0.0]})
    new, series, facts = found(products=PRODUCTS, dc_stock=dc)
    assert new.articles == ["n1"]
    assert pairs_of(new) == {("s1", "n1"): 62.0, ("s2", "n1"): 124.0}  # the median SKU of A
    assert series.empty
    assert facts.loc[("s1", "n1"), c.CATEGORY] == "A"
    assert new_alarms(new)[0].skus == ["n1"]


def test_pairs_do_not_depend_on_the_stores_that_are_read_at_once(found, monkeypatch) -> None:
    products = {c.SKU: ["a1", "a2", "b1", "n1", "n2", "n3"], c.BRAND: ["A", "A", "B", "A", "B", "N"]}
    products[c.LIKE] = [None, None, None, None, "a1", None]
    dc = pd.DataFrame({c.SKU: ["n1", "n2", "n3"], c.AVAILABLE: [20.0, 1.0, 1.0]})
    stock = pd.DataFrame({c.STORE_ID: ["s2", "s4"], c.SKU: ["n1", "a1"], c.ON_HAND: [2.0, 1.0]})
    given = {"products": products, "dc_stock": dc, "stock": stock}
    whole = found({c.STORE_ID: ["s1", "s2", "s3"]}, **given)
    monkeypatch.setattr("tasks.demand.rows_by_store.ROWS_AT_ONCE", 1)
    parts = found({c.STORE_ID: ["s1", "s2", "s3"]}, **given)
    assert (whole[0].stores, whole[0].articles) == (parts[0].stores, parts[0].articles) == (["s3"], ["n1", "n2", "n3"])
    for one, other in zip((whole[0].pairs, *whole[1:]), (parts[0].pairs, *parts[1:]), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_new_sku_in_a_store_stays_there(found) -> None:
    stock = pd.DataFrame({c.STORE_ID: ["s2"], c.SKU: ["n1"], c.ON_HAND: [2.0]})
    assert pairs_of(found(products=PRODUCTS, stock=stock)[0]) == {("s2", "n1"): 124.0}


def test_an_article_of_a_new_category_follows_the_sku_that_it_is_like(found) -> None:
    products = {c.SKU: ["a1", "a2", "b1", "n1"], c.BRAND: ["A", "A", "B", "N"], c.LIKE: [None, None, None, "a1"]}
    new, series, _ = found(products=products)
    assert pairs_of(new) == {("s1", "n1"): 62.0, ("s2", "n1"): 124.0}
    assert series[[c.STORE_ID, c.CATEGORY, c.LIKE]].to_numpy().tolist() == [["s1", "N", "A"], ["s2", "N", "A"]]
