"""The alarms on stock, prices and vanished SKUs do not depend on how many stores and SKUs are read at a time."""

import pandas as pd
import pytest

from schemas import columns as c
from tests.demand.checks.conftest import AS_OF, chain, sales_of

pytestmark = pytest.mark.slow
OLD, NEW = pd.Timestamp("2024-06-28"), pd.Timestamp(AS_OF)


def counts(on_hand, **columns):
    """A row for each of 3 stores and 12 SKUs; ``on_hand`` depends on their numbers."""
    pairs = [(f"s{store}", f"k{sku}", float(on_hand(store, sku))) for sku in range(12) for store in range(3)]
    return pd.DataFrame(pairs, columns=[c.STORE_ID, c.SKU, c.ON_HAND]).assign(**columns)


def fractions(tables):
    """Zeros in a store, fractions, older counts, units in transit that are part of the stock, and another price."""
    every = counts(lambda store, sku: 0 if store == 1 else 9.9 * (store + sku), in_transit=4.0, **{c.DATE: OLD})
    new = every[~every[c.SKU].isin(["k0", "k1", "k2"])].assign(**{c.DATE: NEW})
    stock = pd.concat([every, new], ignore_index=True)
    sales = tables["sales"]
    dearer = sales[c.NET_AMOUNT].mask(sales[c.STORE_ID] == "s1", sales[c.NET_AMOUNT] * 1.19)
    tables = sales_of(tables, sales.assign(**{c.NET_AMOUNT: dearer}))
    return {**tables, "stock": stock.assign(shelf=stock[c.ON_HAND] - 4.0)}


def vanished(tables):
    """SKUs that one store no longer sells, the same stock in all stores and in the center, and a small store room."""
    sales, center = tables["sales"], pd.DataFrame({c.SKU: [f"k{sku}" for sku in range(12)], c.AVAILABLE: 0.0})
    gone = sales[c.STORE_ID].eq("s1") & sales[c.SKU].isin(center[c.SKU][:6]) & sales[c.DATE].ge("2024-06-10")
    stock = counts(lambda _, sku: 1000 + 10 * sku)
    center[c.AVAILABLE] = 3 * (1000.0 + 10 * center.index)
    products = tables["products"].assign(**{c.PACK_SIZE: [1e6, *[1.0] * 11]})
    stores = tables["stores"].assign(**{c.STORAGE_CAPACITY: [1e6, 100.0, 1e6]})
    made = {"stock": stock, "dc_stock": center, "products": products, "stores": stores}
    return {**sales_of(tables, sales[~gone]), **made}


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (fractions, {"stock_zero", "stock_implausible", "stock_rows_missing", "transit_in_stock", "price_level"}),
        (vanished, {"skus_vanished", "stock_implausible", "capacity_below_stock", "pack_size_implausible"}),
    ],
)
def test_alarms_do_not_depend_on_blocks(spoil, names, build, monkeypatch):
    tables = spoil(chain(skus=12))
    whole = build(tables).alarms
    assert {alarm.name for alarm in whole} >= names
    monkeypatch.setattr("tasks.demand.rows_by_store.ROWS_AT_ONCE", 1)
    monkeypatch.setattr("tasks.demand.cleaning.sales.PART_VALUES", 1)
    monkeypatch.setattr("tasks.demand.cleaning.lines.SHARD_LINES", 1000)
    monkeypatch.setattr("tasks.demand.checks.prices._PAIRS", 1)
    assert build(tables).alarms == whole
