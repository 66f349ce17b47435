"""Exports that look valid and mean something else: sales that are no sales of a period, and stock of something else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from tests.demand.checks.conftest import AS_OF, chain, demand, sales_of

pytestmark = pytest.mark.slow

KEYS = [c.DATE, c.STORE_ID, c.SKU]
MONDAY = pd.Timestamp("2024-06-10")


def summed(sales, by, name):
    """The rows, and totals of all rows by some columns under one id."""
    total = sales.groupby([key for key in KEYS if key != by], as_index=False)[[c.UNITS, c.NET_AMOUNT]].sum()
    return pd.concat([sales, total.assign(**{by: name})])


def month_to_date(sales):
    month = [sales[c.DATE].dt.to_period("M"), sales[c.STORE_ID], sales[c.SKU]]
    return sales.assign(**{c.UNITS: sales.sort_values(c.DATE).groupby(month)[c.UNITS].cumsum()})


def again(sales, rows):
    """The rows, and some of them once more, with amounts that are rounded in another way."""
    return pd.concat([sales, sales[rows].assign(**{c.NET_AMOUNT: sales[c.NET_AMOUNT] + 0.01})])


def copied(sales):
    """The sales of a Monday on each of the next three days too."""
    days = [sales[sales[c.DATE] == MONDAY].assign(**{c.DATE: MONDAY + pd.Timedelta(days=at)}) for at in (1, 2, 3)]
    return pd.concat([sales[~sales[c.DATE].isin(pd.date_range("2024-06-11", periods=3))], *days])


@pytest.mark.parametrize(
    ("spoil", "name", "words"),
    [
        (month_to_date, "cumulative_sales", "100% are upward"),
        (lambda sales: summed(sales, c.STORE_ID, "ALL"), "total_rows", "store ALL sells as much as all other stores"),
        (lambda sales: summed(sales, c.SKU, "k9"), "total_rows", "SKU k9 sells as much as all other SKUs"),
        (lambda sales: again(sales, sales[c.DATE] >= "2024-05-01"), "repeated_lines", "on 61 dates"),
        (lambda sales: again(sales, sales[c.SKU] == "k2"), "repeated_lines", "for 1 SKU (k2)"),
        (copied, "repeated_lines", "all stores on 2024-06-11 as on 2024-06-10"),
    ],
)
def test_sales_that_are_not_those_of_a_period_hold_the_publication(spoil, name, words, build):
    tables = chain(stores=4)
    spoiled = sales_of(tables, spoil(tables["sales"]).sort_values(KEYS, kind="stable"))
    spoiled["stores"] = pd.DataFrame({c.STORE_ID: ["s0", "s1", "s2", "s3", "ALL"]})
    spoiled["products"] = pd.concat([tables["products"], pd.DataFrame({c.SKU: ["k9"]})])
    (alarm,) = [one for one in build(spoiled, cleaning={"drop_outliers": False}).alarms if one.name == name]
    assert words in alarm.message
    assert alarm.severity.value == "hold"


def test_receipts_with_several_equal_lines_are_no_repetition(tables, names):
    sales, rng = tables["sales"], np.random.default_rng(3)
    lines = sales.loc[sales.index.repeat(rng.integers(1, 4, len(sales))), [c.DATE, c.STORE_ID, c.SKU]]
    assert names(sales_of(tables, lines.assign(**{c.UNITS: 1.0}))) == []


@pytest.mark.parametrize(("category", "normal"), [([c.SKU], np.nan), ([c.BRAND], None)])
def test_one_large_order_is_named_and_is_no_demand(category, normal, tables, build):
    sales = tables["sales"]
    row = sales.index[sales[c.DATE].eq(MONDAY) & sales[c.STORE_ID].eq("s1") & sales[c.SKU].eq("k0")][0]
    usual = build(tables, category=category).panel.demand
    order = sales_of(tables, sales.assign(**{c.UNITS: sales[c.UNITS].mask(sales.index == row, 500.0)}))
    built = build(order, category=category)
    (alarm,) = built.alarms
    assert (alarm.name, alarm.stores, alarm.skus) == ("outliers", ["s1"], ["k0"])
    changed = built.panel.demand != usual
    day = built.panel.history_periods.get_loc(MONDAY)
    assert np.argwhere(changed).shape == (1, 2)
    assert np.argwhere(changed)[0, 1] == day
    expected = usual[changed][0] - sales[c.UNITS][row] if normal is None else normal
    np.testing.assert_equal(built.panel.demand[changed][0], expected)
    promotion = pd.DataFrame({c.SKU: ["k0"], c.DATE_FROM: [MONDAY], c.DATE_TO: [MONDAY]})
    assert build({**order, "promotions": promotion}, category=category).alarms == []


def test_days_that_an_export_fills_with_zeros_are_missing(tables, build):
    sales = tables["sales"]
    lost = sales[c.STORE_ID].eq("s2") & sales[c.DATE].ge("2024-06-12")
    zero = {name: sales[name].mask(lost, 0.0) for name in (c.UNITS, c.NET_AMOUNT)}
    built = build(sales_of(tables, sales.assign(**zero)))
    assert [(alarm.name, alarm.stores, alarm.count) for alarm in built.alarms] == [("missing_sales", ["s2"], 19)]
    assert demand(built, "s2", "k3")["2024-06-12":].isna().all()


def stock(**replaced):
    pairs = [(f"s{store}", f"k{sku}", 20.0 + 3 * store + sku) for store in range(3) for sku in range(6)]
    return pd.DataFrame(pairs, columns=[c.STORE_ID, c.SKU, c.ON_HAND]).assign(**replaced)


# The first of the stores has less stock than the others.
STORE_OF_ROW = np.repeat([0.0, 1.0, 1.0], 6)


def snapshots():
    """A full count of the store, and a later one without a third of the SKUs."""
    old = stock(**{c.DATE: pd.Timestamp("2024-06-28")})
    new = stock(**{c.DATE: pd.Timestamp(AS_OF)})
    return pd.concat([old, new[~new[c.SKU].isin(["k0", "k1"])]])


def center(tables):
    held = stock().groupby(c.SKU, as_index=False)[c.ON_HAND].sum().rename(columns={c.ON_HAND: c.AVAILABLE})
    return {**tables, "dc_stock": held}


def of_center(tables, skus, available):
    return {**tables, "dc_stock": pd.DataFrame({c.SKU: skus, c.AVAILABLE: available})}


def arriving(tables, *days):
    """Stock of the distribution center, and arrivals of one SKU."""
    rows = pd.DataFrame({c.SKU: "k0", c.DATE: pd.to_datetime(list(days)), c.QUANTITY: 50.0})
    return {**of_center(tables, [f"k{at}" for at in range(6)], 5.0), "dc_inbound": rows}


def today(tables):
    last = tables["sales"][tables["sales"][c.DATE] == "2024-06-30"].assign(**{c.DATE: pd.Timestamp(AS_OF)})
    return sales_of(tables, pd.concat([tables["sales"], last]))


def divided(sales):
    """Monthly totals, divided by the days of the month."""
    month = [sales[c.DATE].dt.to_period("M"), sales[c.STORE_ID], sales[c.SKU]]
    return sales.assign(**{name: sales.groupby(month)[name].transform("mean") for name in (c.UNITS, c.NET_AMOUNT)})


def test_totals_that_were_divided_by_the_days_are_named(tables, names):
    assert names(sales_of(tables, divided(tables["sales"]))) == ["coarse_dates"]


def test_successors_that_do_not_exist_or_form_a_circle_are_named(tables, build):
    products = tables["products"].assign(**{c.REPLACED_BY: ["zz", "k2", "k1", "", "", "k0"]})
    (alarm,) = [one for one in build({**tables, "products": products}).alarms if one.name == "unknown_successor"]
    assert alarm.skus == ["k0", "k1", "k2"]


@pytest.mark.parametrize(
    ("counted", "others", "expected", "words"),
    [
        (stock(), dict, [], ""),
        (stock().assign(**{c.ON_HAND: lambda rows: rows[c.ON_HAND] * 1000}), dict, ["stock_implausible"], "years"),
        (stock().assign(**{c.ON_HAND: lambda rows: rows[c.ON_HAND] * 9.9}), dict, ["stock_implausible"], "fractions"),
        (stock(on_hand=np.tile(np.arange(6) + 9.0, 3)), dict, ["stock_implausible"], "6 of 6 SKUs have the same stock"),
        (stock(), center, ["stock_implausible"], "is the sum of the stores' stock"),
        (stock(), today, ["stock_implausible"], "rows of the run date 2024-07-01"),
        (stock().assign(**{c.ON_HAND: 1.0 + STORE_OF_ROW}), dict, ["stock_implausible"], "boxes or packs"),
        (stock(), lambda tables: of_center(tables, ["k0"], 5.0), ["stock_rows_missing"], "5 of 6 SKUs that have sold"),
        (stock(), lambda tables: of_center(tables, ["k0", "k1"], 0.0), ["stock_zero"], "0 in all 2 rows"),
        (stock(), lambda tables: arriving(tables, "2024-06-20", "2024-07-05", "2024-07-09"), ["inbound_overdue"], "k0"),
        (stock(), lambda tables: arriving(tables, "2024-06-13", "2024-06-20", "2024-07-05"), [], ""),
        (stock(), lambda tables: arriving(tables, "2024-06-13", "2024-06-20"), ["inbound_overdue"], "no arrivals"),
        (snapshots(), dict, ["stock_rows_missing"], "6 stores and SKUs with 141 units"),
        (stock(in_transit=4.0, in_transit_1=4.0), dict, ["transit_in_stock"], "in_transit is the sum of in_transit_1"),
    ],
)
def test_stock_of_something_else(counted, others, expected, words, tables, build):
    alarms = build({**others(tables), "stock": counted.reset_index(drop=True)}).alarms
    assert [alarm.name for alarm in alarms] == expected
    assert not words or words in alarms[0].message


@pytest.mark.parametrize(
    ("begins", "days", "words"),
    [(0, 4, "subtract one day"), (0, 5, None), (-1, 5, "too late"), (2, 5, "too early"), (0, 6, None)],
)
def test_dates_of_promotions_that_do_not_fit_the_sales_are_named(begins, days, words, tables, build):
    sales, starts = tables["sales"], pd.date_range("2023-08-02", "2024-06-01", freq="29D")
    dates = [day + pd.Timedelta(days=begins + at) for day in starts for at in range(days)]
    on = sales[c.SKU].eq("k5") & sales[c.DATE].isin(dates)
    sold = sales_of(tables, sales.assign(**{c.UNITS: sales[c.UNITS].mask(on, sales[c.UNITS] * 3)}))
    promotions = pd.DataFrame({c.SKU: "k5", c.DATE_FROM: starts, c.DATE_TO: starts + pd.Timedelta(days=4)})
    alarms = [alarm for alarm in build({**sold, "promotions": promotions}).alarms if alarm.name != "promotions_missing"]
    assert [alarm.name for alarm in alarms] == ["promotion_ends"] * bool(words)
    assert not words or words in alarms[0].message


def test_bags_and_gift_cards_are_no_goods(tables, build):
    bags = tables["sales"][tables["sales"][c.SKU] == "k5"].assign(**{c.SKU: "p1"})
    skus, names = [*(f"k{at}" for at in range(6)), "p1"], [*["Travel bag"] * 6, "Carrier bag"]
    products = pd.DataFrame({c.SKU: skus, c.NAME: names})
    spoiled = {**sales_of(tables, pd.concat([tables["sales"], bags])), "products": products, "stock": stock()}
    (alarm,) = [one for one in build(spoiled).alarms if one.name == "not_goods"]
    assert alarm.skus == ["p1"]


def test_one_sku_in_grams_has_another_price_than_the_list(tables, build):
    sales = tables["sales"]
    grams = sales.assign(**{c.UNITS: sales[c.UNITS].mask(sales[c.SKU] == "k3", sales[c.UNITS] * 700)})
    priced = tables["products"].assign(**{c.PRICE: [10.0 + 5 * at for at in range(6)]})
    (alarm,) = build({**sales_of(tables, grams), "products": priced}).alarms
    assert (alarm.name, alarm.skus) == ("price_level", ["k3"])


@pytest.mark.parametrize(("in_packs", "expected"), [(True, ["stock_implausible"]), (False, [])])
def test_stock_that_falls_with_the_pack_size_is_counted_in_packs(in_packs, expected, build):
    tables = chain(skus=24)
    sales, pack = tables["sales"], dict(zip(tables["products"][c.SKU], [1.0, 6.0, 12.0, 24.0] * 6, strict=True))
    lately = sales[sales[c.DATE] >= "2024-05-06"].groupby([c.STORE_ID, c.SKU], as_index=False)[c.UNITS].sum()
    held = 2 * lately[c.UNITS] / lately[c.SKU].map(pack) if in_packs else 2 * lately[c.UNITS]
    counted = lately[[c.STORE_ID, c.SKU]].assign(**{c.ON_HAND: np.ceil(held)})
    products = tables["products"].assign(**{c.PACK_SIZE: tables["products"][c.SKU].map(pack)})
    alarms = build({**tables, "products": products, "stock": counted}).alarms
    assert [alarm.name for alarm in alarms] == expected
    assert not in_packs or "is smaller the larger their pack_size is" in alarms[0].message


def test_a_pallet_as_pack_size_is_named(tables, build):
    products = tables["products"].assign(**{c.PACK_SIZE: [12.0, 6000.0, 24.0, 24.0, np.nan, 6000.0]})
    (alarm,) = build({**tables, "products": products}).alarms
    assert (alarm.name, alarm.skus) == ("pack_size_implausible", ["k1"])
    assert "k1 (pack of 6,000, " in alarm.message


@pytest.mark.parametrize(
    ("with_set", "alone", "found"), [(1, 0.0, True), (1, 0.3, True), (0, 0.9, False), (0, 1.0, False)]
)
def test_components_that_are_booked_with_their_bundle_count_twice(with_set, alone, found, tables, build):
    """Components sell alone, too, on a share of the dates; without being booked with the bundle they are no error."""
    rng, days = np.random.default_rng(2), pd.date_range("2023-08-01", periods=300)
    sets = pd.DataFrame({c.DATE: days, c.UNITS: rng.integers(1, 4, 300) * (rng.random(300) < 0.4)})
    one = sets.assign(**{c.UNITS: 2 * with_set * sets[c.UNITS] + 6 * (rng.random(300) < alone)})
    lines = pd.concat([sets.assign(**{c.SKU: "set"}), one.assign(**{c.SKU: "one"})])
    lines = lines[lines[c.UNITS] > 0].assign(**{c.STORE_ID: "s1", c.NET_AMOUNT: np.nan})
    spoiled = sales_of(tables, pd.concat([tables["sales"], lines.astype({c.UNITS: float})]))
    spoiled["products"] = pd.concat([tables["products"], pd.DataFrame({c.SKU: ["set", "one"]})])
    spoiled["bundles"] = pd.DataFrame({c.SKU: ["set"], c.COMPONENT_SKU: ["one"], c.QUANTITY: [2.0]})
    named = [
        alarm.skus for alarm in build(spoiled, cleaning={"drop_outliers": False}).alarms if "bundles" in alarm.message
    ]
    assert named == [["set"]] * found
