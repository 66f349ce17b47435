"""Stock-outs without the table of availability: counted, improbable, and the categories that they hide."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import columns as c
from schemas.settings import Settings
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.panel import SKU_GAP, build_panel, judge_sales
from tasks.demand.sku_facts import sku_facts

pytestmark = pytest.mark.slow

AS_OF = date(2024, 3, 1)
DAYS = pd.date_range("2024-01-01", "2024-02-29")  # 60 days
WEEK = [*range(21, 28)]


def sales_of(units, out=()):
    """Sales of two stores and three SKUs on each of 60 days; ``out`` are days without sales by store and SKU."""
    return [
        (str(day.date()), store, sku, number)
        for at, day in enumerate(DAYS)
        for store in ("s1", "s2")
        for sku, number in units.items()
        if at not in dict(out).get((store, sku), ())
    ]


def counts(rows):
    """Counts of s1: SKU, units and perhaps the day; an SKU in stock shows that the store was counted."""
    table = pd.DataFrame(rows, columns=[c.SKU, c.ON_HAND, c.DATE][: len(rows[0])])
    return table.assign(**{c.STORE_ID: "s1", c.ON_HAND: table[c.ON_HAND].astype(float)})


def stock_outs(prepared):
    """Pair and period of each stock-out, and the units that would have been sold."""
    found = judge_sales(prepared).stock_outs
    parts = [(part, *np.divmod(found.keys(part), part.history)) for part in prepared.cells.parts()]
    pair = np.concatenate([part.pairs[pair] for part, pair, _ in parts])
    at = np.concatenate([at for _, _, at in parts])
    units = np.concatenate([found.units(part) for part, _, _ in parts])
    return pair, at, units.tolist()


UNITS = {"a1": 3.0, "a2": 1.0, "b1": 1.0}
LAST_FOUR = [56, 57, 58, 59]
TODAY = counts([("a1", 0), ("b1", 0), ("a2", 5)])
CASES = {
    "from the last sale to the count of today": ({("s1", "b1"): LAST_FOUR}, TODAY, LAST_FOUR),
    "in stock again": ({("s1", "b1"): LAST_FOUR}, counts([("b1", 2), ("a2", 5)]), []),
    "sold on the last day": ({("s1", "b1"): [50]}, TODAY, []),
    "no store sells it any more": ({(store, "b1"): LAST_FOUR for store in ("s1", "s2")}, TODAY, []),
    "sold on four days only": ({("s1", "b1"): range(4, 60)}, TODAY, []),
    "sold on five days": ({("s1", "b1"): range(5, 60)}, TODAY, [*range(5, 60)]),
    "an empty store was not counted": ({("s1", "b1"): LAST_FOUR}, counts([("a1", 0), ("b1", 0), ("a2", 0)]), []),
    "a count of the past, and its day": (
        {("s1", "b1"): [30, 31, 32]},
        counts([("b1", 0, "2024-02-02"), ("a2", 5, "2024-02-02"), ("b1", 9, "2024-03-01")]),
        [30, 31, 32],
    ),
    "sold on the day of the count": (
        {("s1", "b1"): [30, 31]},
        counts([("b1", 0, "2024-02-02"), ("a2", 5, "2024-02-02"), ("b1", 9, "2024-03-01")]),
        [30, 31],
    ),
    "a count after the run date": (
        {("s1", "b1"): LAST_FOUR},
        counts([("b1", 0, "2024-03-02"), ("a2", 5, "2024-03-02")]),
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_counted_stock_outs(name, make_tables, make_settings):
    out, stock, unknown = CASES[name]
    prepared = prepare(make_tables(sales_of(UNITS, out), stock=stock), make_settings(), AS_OF)
    pair, at, units = stock_outs(prepared)
    assert at.tolist() == unknown
    assert set(pair.tolist()) <= {2}  # b1 in s1
    assert judge_sales(prepared).treatment_counts[SKU_GAP] == len(unknown)
    assert units == [1.0] * len(unknown)


def test_rows_of_no_units_are_no_sales_where_the_stock_is_0(make_tables, make_settings, row_of):
    rows = [
        (day, store, sku, 0.0 if (store, sku) == ("s1", "b1") and day >= "2024-02-26" else units)
        for day, store, sku, units in sales_of(UNITS)
    ]
    for stock, expected in ((TODAY, None), (counts([("b1", 3)]), 0.0)):
        built = build_panel(prepare(make_tables(rows, stock=stock), make_settings(), AS_OF))
        assert row_of(built.panel, "s1", "B") == [1.0] * 56 + [expected] * 4


def test_an_undated_count_is_not_that_of_a_past_run_date(make_tables, make_settings):
    sales = sales_of(UNITS, {("s1", "b1"): LAST_FOUR})
    for rows, unknown in ((sales, 4), ([*sales, ("2024-03-02", "s2", "a1", 1.0)], 0)):
        judged = judge_sales(prepare(make_tables(rows, stock=TODAY), make_settings(), AS_OF))
        assert judged.stock_outs.count == unknown


@pytest.mark.parametrize(("day", "unknown"), [("2024-02-12", [5]), ("2024-02-14", [5]), ("2024-02-19", [5, 6])])
def test_a_count_covers_the_weeks_that_end_before_it(day, unknown, make_tables, make_settings):
    """The week from 2024-02-12 on is the seventh; it ends before the count of 2024-02-19 only."""
    sales = sales_of(UNITS, {("s1", "b1"): range(29, 60)})
    stock = counts([("b1", 0, day), ("a2", 5, day), ("b1", 2, "2024-02-26")])
    settings = make_settings(frequency="W-MON", aggregate=True, horizon=2)
    _, at, _ = stock_outs(prepare(make_tables(sales, stock=stock), settings, date(2024, 2, 26)))
    assert at.tolist() == unknown


@pytest.mark.parametrize(("days", "unknown"), [(55, 55), (56, 0)])
def test_an_sku_without_sales_for_eight_weeks_may_be_out_of_the_assortment(days, unknown, make_tables, make_settings):
    """b1 sells in s1 on every third day, so that its own rate does not make the gap improbable."""
    span = pd.date_range("2023-12-01", "2024-02-29")
    sales = [
        (str(day.date()), store, sku, 1.0)
        for left, day in enumerate(span[::-1])
        for store in ("s1", "s2")
        for sku in UNITS
        if (store, sku) != ("s1", "b1") or (left >= days and (left - days) % 3 == 0)
    ]
    judged = judge_sales(prepare(make_tables(sales, stock=TODAY), make_settings(), AS_OF))
    assert judged.stock_outs.count == unknown


@pytest.mark.parametrize(("units", "expected"), [({"a1": 3.0, "a2": 9.0}, None), ({"a1": 3.0, "a2": 9.1}, 9.1)])
def test_a_category_is_unknown_from_a_quarter_of_its_units_on(units, expected, make_tables, make_settings, row_of):
    """3 of 12 units are a quarter; 3 of 12.1 are less, and the other SKU counts alone."""
    tables = make_tables(sales_of({**units, "b1": 1.0}, {("s1", "a1"): LAST_FOUR}), stock=TODAY)
    built = build_panel(prepare(tables, make_settings(), AS_OF))
    assert row_of(built.panel, "s1", "A") == [sum(units.values())] * 56 + [expected] * 4
    (alarm,) = [alarm for alarm in built.alarms if alarm.name == "sku_gaps"]
    assert "a1 in s1 (4 periods from 2024-02-26 to 2024-02-29)" in alarm.message
    assert "by the sales of the other stores, 12 units would have been sold." in alarm.message
    assert ("So do 4 periods of their categories" in alarm.message) is (expected is None)
    assert (alarm.stores, alarm.skus, alarm.count) == (["s1"], ["a1"], 4)
    off = make_settings(cleaning={"suspect_stock_outs": False})
    built = build_panel(prepare(tables, off, AS_OF))
    assert row_of(built.panel, "s1", "A")[-4:] == [units["a2"]] * 4
    assert "sku_gaps" not in [alarm.name for alarm in built.alarms]


def test_units_of_stock_outs_count_in_the_share_of_the_sku(make_tables, make_settings):
    """2 units a day on 56 of 60 days: 8 are missing. With availability, those sold on a marked day count once."""
    sales = sales_of({"a1": 2.0, "a2": 4.0, "b1": 1.0}, {("s1", "a1"): LAST_FOUR})
    marked = pd.DataFrame({c.DATE: [*DAYS[LAST_FOUR], DAYS[50]], c.STORE_ID: "s1", c.SKU: "a1", c.IN_STOCK: False})
    for further in ({"stock": TODAY}, {"availability": marked}):
        prepared = prepare(make_tables(sales, **further), make_settings(), AS_OF)
        facts = sku_facts(prepared, stock_outs=judge_sales(prepared).stock_outs).set_index([c.STORE_ID, c.SKU])
        assert facts.loc[("s1", "a1"), [c.RECENT_UNITS, c.TOTAL_UNITS]].tolist() == [112.0, 120.0]


def test_expected_units_follow_the_other_stores(make_tables, make_settings):
    """s1 sells 2 units per unit of s2, which sells 1 a day, then 3 a day; alone, s1 sells its mean of 2 a day."""
    sales = [
        (day, store, sku, 3.0 if (store, sku) == ("s2", "b1") and day >= "2024-02-26" else number)
        for day, store, sku, number in sales_of({"a1": 5.0, "a2": 5.0, "b1": 1.0}, {("s1", "b1"): LAST_FOUR})
    ]
    sales = [(day, store, sku, 2.0 if (store, sku) == ("s1", "b1") else units) for day, store, sku, units in sales]
    for rows, units in ((sales, 6.0), ([row for row in sales if row[1:3] != ("s2", "b1")], 2.0)):
        assert stock_outs(prepare(make_tables(rows, stock=TODAY), make_settings(), AS_OF))[2] == [units] * 4


def poisson_sales(seed, out, rate=4.0, days=120, stores=4):
    rng = np.random.default_rng(seed)
    span = pd.date_range(end="2024-02-29", periods=days)
    rows = []
    for store in range(stores):
        for sku in ("a1", "a2", "b1"):
            units = rng.poisson(rate, days)
            units[[*out.get((store, sku), ())]] = 0
            rows += [(str(span[at].date()), f"s{store}", sku, float(units[at])) for at in np.flatnonzero(units)]
    return rows


def hidden(rows, make_tables, make_settings, **further):
    """Days in which SKUs are out of stock, by store and SKU."""
    tables = make_tables(rows, **further)
    tables["stores"] = pd.DataFrame({c.STORE_ID: sorted({row[1] for row in rows})})
    prepared = prepare(tables, make_settings(), AS_OF)
    cells = prepared.cells
    pair, at, _ = stock_outs(prepared)
    store = [int(name[1:]) for name in cells.stores[cells.pair_store[pair]]]
    days = pd.Series(at).groupby([store, cells.skus[cells.pair_sku[pair]]]) if len(at) else ()
    return {key: group.tolist() for key, group in days}


SPELLS = [day for first in range(40, 110, 12) for day in range(first, first + 3)]


@pytest.mark.parametrize(
    ("rate", "out", "found"),
    [
        (4.0, {}, {}),
        (4.0, {(0, "a1"): range(60, 72)}, {(0, "a1")}),  # one long gap
        (4.0, {(0, "a1"): SPELLS}, {(0, "a1")}),  # many short ones
        (4.0, {(0, "a1"): [60, 61]}, set()),  # one short gap can be chance
        (0.8, {(0, sku): range(60, 76) for sku in ("a1", "a2")}, {(0, "a1"), (0, "a2")}),  # slow, but together
        (0.8, {(0, "a1"): range(60, 76)}, set()),  # slow, and alone
        (4.0, {(store, "a1"): range(60, 72) for store in range(4)}, set()),  # in all stores
        (4.0, {(0, "a1"): range(100, 120)}, set()),  # not sold again
    ],
)
def test_improbable_gaps(rate, out, found, make_tables, make_settings):
    seen = hidden(poisson_sales(3, out, rate), make_tables, make_settings)
    assert set(seen) == set(found)
    for key, days in seen.items():
        assert set(out[key]) <= set(days)
        # A day without demand next to a stock-out cannot be distinguished from it.
        assert len(days) <= len(set(out[key])) + (2 if rate > 1 else 8)


def test_a_fall_of_demand_and_a_slow_seller_are_no_stock_outs(make_tables, make_settings):
    """a1 falls to 30 % in s0; a2 always sells 5 % as much in s1."""
    rng = np.random.default_rng(6)
    rows = []
    for day, store, sku, units in poisson_sales(4, {}):
        falls, slow = (store, sku) == ("s0", "a1") and day >= "2024-01-20", (store, sku) == ("s1", "a2")
        kept = float(rng.binomial(int(units), 0.3 if falls else 0.05 if slow else 1.0))
        rows += [(day, store, sku, kept)] if kept else []
    assert hidden(rows, make_tables, make_settings) == {}


@pytest.mark.parametrize(("rate", "unknown"), [(40.0, True), (1.5, False)])
def test_a_few_weeks_without_sales_are_a_closure_if_a_week_sells_much(rate, unknown, make_tables, make_settings):
    """Six weeks of one category in one store, after 60 weeks that all had sales, or that often had none."""
    rng = np.random.default_rng(9)
    weeks = pd.date_range("2022-10-03", "2024-02-26", freq="W-MON")
    units = rng.poisson(rate, (4, 3, len(weeks))).astype(float)
    units[0, 2, 60:66] = 0.0
    rows = [
        (str(weeks[at].date()), f"s{store}", ("a1", "a2", "b1")[sku], units[store, sku, at])
        for store, sku, at in np.argwhere(units)
    ]
    tables = make_tables(rows)
    tables["stores"] = pd.DataFrame({c.STORE_ID: [f"s{store}" for store in range(4)]})
    prepared = prepare(tables, make_settings(frequency="W-MON"), date(2024, 3, 4))
    assert stock_outs(prepared)[1].tolist() == (list(range(60, 66)) if unknown else [])


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 6.0), st.integers(1, 40), st.integers(40, 110))
def test_stock_outs_have_no_sales_and_do_not_depend_on_the_future(seed, rate, length, first):
    rows = poisson_sales(seed, {(0, "a1"): range(first, min(first + length, 119))}, rate)
    tables = {
        "sales": pd.DataFrame(rows, columns=[c.DATE, c.STORE_ID, c.SKU, c.UNITS]),
        "products": pd.DataFrame({c.SKU: ["a1", "a2", "b1"], c.BRAND: ["A", "A", "B"]}),
        "stores": pd.DataFrame({c.STORE_ID: [f"s{at}" for at in range(4)]}),
    }
    tables["sales"][c.DATE] = pd.to_datetime(tables["sales"][c.DATE])
    use = Settings(name="x", horizon=7, category=[c.BRAND], sources={name: {"path": "x.csv"} for name in tables})
    as_of = date(2024, 2, 15)
    known = tables["sales"][c.DATE] < pd.Timestamp(as_of)
    shuffled = tables["sales"].sample(frac=1.0, random_state=seed)
    results = []
    for sales in (tables["sales"], shuffled, tables["sales"][known]):
        prepared = prepare({**tables, "sales": sales.reset_index(drop=True)}, use, as_of)
        judged = judge_sales(prepared)
        (part,) = prepared.cells.parts()
        results.append((judged.unknown.of(part).tolist(), judged.stock_outs.units(part).tolist()))
        assert not part.units[np.isin(part.row_keys, judged.stock_outs.keys(part))].any()
    assert results[0] == results[1] == results[2]
