"""Facts about the demo company that a newcomer, a model and a planner rely on."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from tasks.demo.catalog import ARTICLE
from tasks.demo.chain import build_chain
from tasks.demo.tables import UNKNOWN_SKU, UNKNOWN_STORE, DemoTables, demo_tables
from tasks.demo.timeline import EVENTS, calendar_table, event_spans, nth_weekday
from tests.breadth import sample

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo() -> DemoTables:
    return demo_tables("slice", 7)


@pytest.fixture(scope="module")
def full_sales() -> pd.DataFrame:
    return demo_tables("full", 7).sales


@pytest.fixture(scope="module")
def lines(demo: DemoTables) -> pd.DataFrame:
    """Sale lines with their product's attributes; sandal variants merged."""
    sales = demo.sales.astype({c.STORE_ID: str, c.SKU: str})
    lines = sales.merge(demo.products, on=c.SKU, how="left", validate="many_to_one")
    lines[c.SUBFAMILY] = lines[c.SUBFAMILY].where(~lines[c.SUBFAMILY].str.startswith("SANDALIA"), "SANDALIA")
    return lines


def _daily(lines: pd.DataFrame, first: date, last: date) -> float:
    """Mean units sold per day, returns apart."""
    inside = lines[lines[c.DATE].between(pd.Timestamp(first), pd.Timestamp(last)) & lines[c.UNITS].gt(0)]
    return float(inside[c.UNITS].clip(upper=5).sum()) / ((last - first).days + 1)


def test_the_full_company_has_the_shape_of_the_footwear_study() -> None:
    chain = build_chain("full", 7)
    assert len(chain.stores) == 59
    assert chain.stores[c.STORE_ID].is_unique
    assert set(chain.stores[c.STORE_TYPE]) == set("ABCDE")
    assert len(chain.categories) == 118
    assert chain.categories[c.BRAND].nunique() == 2
    assert chain.categories.duplicated([c.BRAND, c.SUBFAMILY, c.CLUSTER]).sum() == 0
    assert 1_800 <= len(chain.skus) <= 2_400
    assert chain.skus[c.SKU].is_unique


@pytest.mark.nightly
def test_the_full_company_sells_some_2_8_million_lines(full_sales: pd.DataFrame) -> None:
    assert 2_750_000 <= len(full_sales) <= 2_950_000
    assert full_sales[c.DATE].min() == pd.Timestamp(2023, 1, 2)
    assert full_sales[c.DATE].max() == pd.Timestamp(2025, 2, 20)
    assert full_sales[c.UNITS].min() == -50
    assert full_sales[c.UNITS].max() == 223


@pytest.mark.nightly
def test_the_slice_is_a_part_of_the_full_company(demo: DemoTables, full_sales: pd.DataFrame) -> None:
    of_slice = full_sales[c.STORE_ID].isin(demo.stores[c.STORE_ID]) & full_sales[c.SKU].isin(demo.products[c.SKU])
    text = {c.STORE_ID: str, c.SKU: str}
    pd.testing.assert_frame_equal(full_sales[of_slice].astype(text).reset_index(drop=True), demo.sales.astype(text))


def test_the_slice_holds_all_store_types_and_25_categories(demo: DemoTables, lines: pd.DataFrame) -> None:
    assert len(demo.stores) == 10
    assert set(demo.stores[c.STORE_TYPE]) == set("ABCDE")
    assert lines.groupby([c.BRAND, c.SUBFAMILY, c.CLUSTER]).ngroups == 25
    assert set(demo.products[c.COLLECTION_STATUS]) == {"Temporada", "Liquidación", "No Colección", "Saldo"}


def test_mandatory_holidays_have_no_lines_and_are_closed_in_the_calendar(demo: DemoTables) -> None:
    calendar = demo.calendar.set_index(c.DATE)
    closed = calendar.index[calendar[c.OPEN].eq(0)]
    assert {(day.month, day.day) for day in closed} == {(1, 1), (5, 1), (9, 18), (9, 19), (12, 25)}
    assert calendar.loc[closed, c.HOLIDAY].eq("IRRENUNCIABLE").all()
    assert not demo.sales[c.DATE].isin(closed).any()
    open_days = calendar.index[calendar[c.OPEN].eq(1) & (calendar.index <= demo.sales[c.DATE].max())]
    assert open_days.isin(demo.sales[c.DATE]).all()


def test_the_calendar_is_complete_and_reaches_beyond_the_horizon(demo: DemoTables) -> None:
    assert demo.calendar[c.DATE].diff().dropna().eq(pd.Timedelta(days=1)).all()
    assert demo.calendar[c.DATE].max() >= pd.Timestamp(2025, 2, 21) + pd.Timedelta(days=28)
    assert set(demo.calendar[c.HOLIDAY]) == {"NORMAL", "FERIADO", "IRRENUNCIABLE"}
    assert set(demo.calendar[c.EVENT]) == {"", *(event.name for event in EVENTS)}


def test_event_dates_are_those_of_the_chilean_calendar() -> None:
    by_date = calendar_table().set_index(c.DATE)[c.EVENT]
    assert by_date["2024-05-12"] == "DIA DE LA MADRE"
    assert by_date["2024-05-13"] == ""
    assert by_date["2024-06-16"] == "DIA DEL PADRE"
    assert by_date["2024-06-03"] == by_date["2024-06-05"] == "CYBERDAY"
    assert by_date["2024-09-30"] == "CYBERMONDAY"
    assert by_date["2024-11-29"] == "BLACK WEEK"
    assert by_date["2024-12-24"] == "NAVIDAD"
    assert nth_weekday(2024, 2, 3, -1) == date(2024, 2, 29)


def test_events_do_not_overlap() -> None:
    spans = event_spans()
    assert all(end <= later for (_, _, end), (_, later, _) in pairwise(spans))


@pytest.mark.parametrize("year", [2023, 2024])
def test_events_lift_the_goods_that_they_are_about(lines: pd.DataFrame, year: int) -> None:
    mothers_day = nth_weekday(year, 5, 6, 2)
    cartera = lines[lines[c.SUBFAMILY].eq("CARTERA")]
    week = _daily(cartera, date(year, 5, mothers_day.day - 6), mothers_day)
    assert week > 1.7 * _daily(cartera, date(year, 4, 1), date(year, 4, 28))
    hombre = lines[lines[c.CLUSTER].str.startswith("HOMBRE") & lines[c.SUBFAMILY].eq("ZAPATO")]
    fathers_day = nth_weekday(year, 6, 6, 3)
    week = _daily(hombre, date(year, 6, fathers_day.day - 6), fathers_day)
    assert week > 1.5 * _daily(hombre, date(year, 4, 1), date(year, 4, 28))
    flat = lines[lines[c.SUBFAMILY].isin(["ZAPATO", "ZAPATILLA", "CARTERA", "CALCETIN"])]
    assert _daily(flat, date(year, 12, 15), date(year, 12, 24)) > 1.4 * _daily(
        flat, date(year, 8, 20), date(year, 9, 5)
    )


@pytest.mark.parametrize(("subfamily", "peak_months"), [("BOTIN", (5, 6)), ("SANDALIA", (12, 1)), ("MOCHILA", (2, 3))])
def test_seasonal_categories_explode(lines: pd.DataFrame, subfamily: str, peak_months: tuple[int, int]) -> None:
    goods = lines[lines[c.SUBFAMILY].eq(subfamily)]
    if subfamily == "MOCHILA":
        goods = goods[goods[c.CLUSTER].eq("ESCOLAR")]
    by_month = goods[goods[c.DATE].dt.year.lt(2025)].groupby(goods[c.DATE].dt.month)[c.UNITS].sum()
    by_month = by_month.reindex(range(1, 13), fill_value=0)
    assert by_month.idxmax() in peak_months
    assert by_month.max() > 3 * by_month.median()


def test_returns_are_few_and_follow_a_sale_of_the_same_goods(demo: DemoTables) -> None:
    sales = demo.sales.astype({c.STORE_ID: str, c.SKU: str})
    returned = sales[sales[c.UNITS].lt(0)]
    assert 0.02 < len(returned) / len(sales) < 0.05
    assert (returned[c.NET_AMOUNT] < 0).all()
    first_sale = sales[sales[c.UNITS].gt(0)].groupby([c.STORE_ID, c.SKU])[c.DATE].min()
    before = first_sale.reindex(pd.MultiIndex.from_frame(returned[[c.STORE_ID, c.SKU]])).to_numpy()
    assert (returned[c.DATE].to_numpy() > before).all()
    kept = sales.groupby([c.STORE_ID, c.SKU])[c.UNITS].sum()
    assert kept.min() >= 0


def test_demand_is_intermittent_with_weekends_above_weekdays(lines: pd.DataFrame) -> None:
    key = [c.STORE_ID, c.BRAND, c.SUBFAMILY, c.CLUSTER]
    days = lines.groupby([*key, c.DATE]).ngroups
    assert 0.4 < 1 - days / (lines.groupby(key).ngroups * 782) < 0.8
    by_weekday = lines.groupby(lines[c.DATE].dt.dayofweek)[c.UNITS].sum()
    assert by_weekday.idxmax() == 5
    assert by_weekday[5] > 1.4 * by_weekday[1]


def test_prices_fall_with_the_life_of_an_style(demo: DemoTables, lines: pd.DataFrame) -> None:
    assert demo.products[c.PRICE].between(1_000, 90_000).all()
    share = (lines[c.NET_AMOUNT] / lines[c.UNITS] / lines[c.PRICE])[lines[c.UNITS].gt(0)]
    assert share.max() <= 1.001
    assert share.min() > 0.2
    assert 0.8 < share.median() <= 1.0
    promotions = demo.promotions
    assert promotions[c.DISCOUNT].between(0.05, 0.7).all()
    assert (promotions[c.DATE_FROM] <= promotions[c.DATE_TO]).all()
    assert promotions[c.DATE_TO].max() > pd.Timestamp(2025, 3, 20)
    assert (promotions[c.PRICE] < promotions[c.SKU].map(demo.products.set_index(c.SKU)[c.PRICE])).all()


def test_outlet_goods_sell_in_outlets_only(demo: DemoTables, lines: pd.DataFrame) -> None:
    recent = lines[lines[c.DATE].ge("2025-01-15") & lines[c.UNITS].gt(0)]
    gone = recent[recent[c.COLLECTION_STATUS].eq("Saldo")]
    kind = demo.stores.set_index(c.STORE_ID)[c.STORE_TYPE]
    assert set(gone[c.STORE_ID].map(kind)) == {"D"}


def test_ids_are_consistent_and_keep_their_leading_zeros(demo: DemoTables) -> None:
    stores, skus = set(demo.stores[c.STORE_ID]), set(demo.products[c.SKU])
    assert demo.products[c.SKU].str.fullmatch(r"0\d{11}").all()
    assert demo.products[c.SKU].is_unique
    assert demo.products.groupby(ARTICLE)[c.SIZE].nunique().gt(1).any()
    for table in (demo.sales, demo.stock, demo.availability):
        assert set(table[c.STORE_ID].astype(str)) <= stores
        assert set(table[c.SKU].astype(str)) <= skus
    assert set(demo.dc_stock[c.SKU]) == skus
    assert set(demo.promotions[c.SKU]) <= skus
    assert not demo.stock.duplicated([c.STORE_ID, c.SKU]).any()
    assert not demo.availability.duplicated([c.DATE, c.STORE_ID, c.SKU]).any()


@pytest.mark.parametrize("seed", sample([7, 8, 9], [7]))
def test_no_store_starts_above_80_percent_of_its_capacity(seed: int) -> None:
    demo = demo_tables("slice", seed)
    held = demo.stock.groupby(c.STORE_ID)[[c.ON_HAND, c.IN_TRANSIT]].sum().sum(axis=1)
    capacity = demo.stores.set_index(c.STORE_ID)[c.STORAGE_CAPACITY]
    assert (held <= 0.8 * capacity[held.index]).all()
    assert (held > 0.2 * capacity[held.index]).all()
    assert (demo.stores[c.VISIT_COST] > 0).all()
    assert (demo.stock[[c.ON_HAND, c.IN_TRANSIT]] >= 0).all(axis=None)


def test_a_shelf_that_is_empty_sells_nothing(demo: DemoTables) -> None:
    sold = demo.sales[demo.sales[c.UNITS].gt(0)].astype({c.STORE_ID: str, c.SKU: str})
    empty = demo.availability.merge(sold, on=[c.DATE, c.STORE_ID, c.SKU])
    assert demo.availability[c.IN_STOCK].eq(0).all()
    assert len(demo.availability) > 1_000
    assert empty.empty


def test_one_store_shuts_for_works_and_two_open_late(demo: DemoTables) -> None:
    sales = demo.sales.astype({c.STORE_ID: str})
    first = sales.groupby(c.STORE_ID)[c.DATE].min()
    assert (first > "2024-01-01").sum() == 2
    works = sales[sales[c.DATE].between("2024-07-08", "2024-07-28")]
    assert len(set(first.index[first < "2024-07-01"]) - set(works[c.STORE_ID])) == 1


def test_faulty_lines_are_few_and_of_three_kinds(demo: DemoTables) -> None:
    faults = demo.faults
    assert 0 < len(faults) < 0.001 * len(demo.sales)
    text = ~faults[c.UNITS].str.fullmatch(r"-?\d+")
    unknown_store, unknown_sku = faults[c.STORE_ID].eq(UNKNOWN_STORE), faults[c.SKU].eq(UNKNOWN_SKU)
    assert np.array_equal(text.astype(int) + unknown_store + unknown_sku, np.ones(len(faults)))
    assert text.sum() == unknown_store.sum() == unknown_sku.sum() >= 3


def test_another_seed_is_another_company(demo: DemoTables) -> None:
    other = demo_tables("slice", 8)
    assert len(other.sales) != len(demo.sales)
    assert set(other.products[c.SKU]) != set(demo.products[c.SKU])
