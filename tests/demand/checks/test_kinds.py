"""Every kind of data that look wrong: the right demand where the evidence decides it, and exactly one alarm."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import DataContractError
from tests.demand.checks.conftest import AS_OF, chain, demand, sales_of

pytestmark = pytest.mark.slow


def with_rows(tables, *rows):
    """More sale lines: date, store, SKU, units, amount."""
    more = pd.DataFrame(rows, columns=[c.DATE, c.STORE_ID, c.SKU, c.UNITS, c.NET_AMOUNT])
    more = more.assign(**{c.DATE: pd.to_datetime(more[c.DATE])}).astype({c.UNITS: float, c.NET_AMOUNT: float})
    return sales_of(tables, pd.concat([tables["sales"], more]))


def test_a_plausible_chain_raises_no_alarm(tables, names):
    assert names(tables) == []
    assert names(tables, frequency="W-MON", aggregate=True, horizon=8) == []
    assert names(tables, frequency="MS", aggregate=True, horizon=6) == ["partial_period"]  # July 2023 begins on the 3rd
    assert names(chain(stores=1, skus=2, seed=8)) == []


# Sign and voids


def test_a_ledger_with_negative_sales_gives_the_same_demand(tables, build):
    turned = {c.UNITS: -tables["sales"][c.UNITS], c.NET_AMOUNT: -tables["sales"][c.NET_AMOUNT]}
    built = build(sales_of(tables, tables["sales"].assign(**turned)))
    assert [alarm.name for alarm in built.alarms] == ["negative_sales"]
    np.testing.assert_array_equal(built.panel.demand, build(tables).panel.demand)


def test_revenue_that_is_negative_as_in_a_ledger_is_turned(tables, build):
    amounts = tables["sales"].assign(**{c.NET_AMOUNT: -tables["sales"][c.NET_AMOUNT]})
    built = build(sales_of(tables, amounts))
    assert [alarm.name for alarm in built.alarms] == ["negative_sales"]
    both = build(sales_of(tables, amounts.assign(**{c.UNITS: -amounts[c.UNITS], c.NET_AMOUNT: -amounts[c.NET_AMOUNT]})))
    assert [alarm.name for alarm in both.alarms] == ["negative_sales"]
    np.testing.assert_array_equal(built.panel.demand, both.panel.demand)


def test_an_event_of_an_unknown_category_is_named(tables, build):
    day = pd.Timestamp("2024-07-03")
    events = pd.DataFrame({c.NAME: ["Fair"] * 2, c.DATE_FROM: day, c.DATE_TO: day, c.CATEGORY: ["k1", "boots"]})
    alarm = build({**tables, "events": events}).alarms[0]
    assert alarm.name == "unknown_category"
    assert "1 row is of a category that no product has (boots)" in alarm.message


def test_the_returns_of_one_stores_months_hold_the_publication(tables, names):
    sales = tables["sales"]
    odd = sales[c.STORE_ID].eq("s1") & sales[c.DATE].ge("2024-05-01")
    assert (
        names(sales_of(tables, sales.assign(**{c.UNITS: sales[c.UNITS].mask(odd, -sales[c.UNITS])})))[0]
        == "many_returns"
    )


def test_a_line_and_its_void_are_no_demand(tables, build):
    days = pd.date_range("2024-03-01", "2024-05-31", freq="3D")
    rows = [(day, "s0", "k1", sign * 60, sign * 900) for day in days for sign in (1, -1)]
    # A large line that is voided some days later, and one that no line cancels.
    rows += [("2024-06-03", "s1", "k1", 500, 7500), ("2024-06-06", "s1", "k1", -500, -7500)]
    rows += [("2024-06-03", "s2", "k1", 44, 660), ("2024-06-20", "s2", "k1", -44, -660)]
    built, plain = build(with_rows(tables, *rows)), build(tables)
    for store in ("s0", "s1"):
        pd.testing.assert_series_equal(demand(built, store, "k1"), demand(plain, store, "k1"))
    assert demand(built, "s2", "k1")["2024-06-03"] == demand(plain, "s2", "k1")["2024-06-03"] + 44
    assert [alarm.name for alarm in built.alarms] == ["voided_lines"]
    assert built.treatment_counts["void"] == 2 * len(days) + 2


# Zero or unknown


def test_a_weekday_without_sales_is_closed_also_in_the_forecast(tables, build):
    sunday = tables["sales"][c.DATE].dt.dayofweek.eq(6) & tables["sales"][c.STORE_ID].ne("s0")
    built = build(sales_of(tables, tables["sales"][~sunday]))
    closed, ahead = built.panel.closed, built.panel.horizon_periods
    assert [alarm.name for alarm in built.alarms] == ["closed_weekdays"]
    assert built.alarms[0].stores == ["s1", "s2"]
    of_store = built.panel.series[c.STORE_ID].to_numpy()
    np.testing.assert_array_equal(closed[of_store == "s1"][0, -14:], ahead.dayofweek == 6)
    assert not closed[of_store == "s0"].any()
    assert (demand(built, "s1", "k1")[lambda row: row.index.dayofweek == 6] == 0).all()
    # A fold knows the weekdays too.
    np.testing.assert_array_equal(built.panel.until(300).closed[of_store == "s1"][0, 300:], ahead_of(built, 300))


def test_sales_before_the_opening_are_named(tables, build):
    for opened, found in (("2023-07-07", []), ("2023-07-08", ["opened_later"])):
        stores = tables["stores"].assign(**{c.OPENED_ON: pd.to_datetime([None, opened, "2020-01-01"])})
        alarms = build({**tables, "stores": stores}).alarms
        assert [alarm.name for alarm in alarms] == found
    assert "s1 (sells from 2023-07-03 on, opened_on 2023-07-08)" in alarms[0].message


def test_a_new_store_is_closed_on_the_weekdays_of_all_others(tables, build):
    """As_of is a Monday: without the pattern, the last Sunday of the history looks like missing sales."""
    sales = tables["sales"]
    early = sales[c.STORE_ID].eq("s1") & sales[c.DATE].lt(pd.Timestamp(AS_OF) - pd.Timedelta(days=21))
    sundays = sales[c.DATE].dt.dayofweek.eq(6)
    closed = build(sales_of(tables, sales[~sundays & ~early]))
    new = closed.panel.series[c.STORE_ID].eq("s1").to_numpy()
    np.testing.assert_array_equal(closed.panel.closed[new][0, -14:], closed.panel.horizon_periods.dayofweek == 6)
    assert "sales_end_early" not in [alarm.name for alarm in closed.alarms]
    # Where the others open on Sundays, three Sundays without a sale prove nothing.
    some = build(sales_of(tables, sales[~(sundays & sales[c.STORE_ID].eq("s1")) & ~early]))
    assert not some.panel.closed[new][0, -14:].any()


def ahead_of(built, cutoff):
    return built.panel.periods[cutoff : cutoff + 14].dayofweek == 6


def test_a_public_holiday_without_sales_is_closed(tables, build):
    holidays = ["2023-09-18", "2023-12-25", "2024-01-01", "2024-03-29", "2024-05-01"]
    sales = tables["sales"][~tables["sales"][c.DATE].isin(pd.to_datetime(holidays))]
    built = build(sales_of(tables, sales), country="CL", horizon=28)
    assert (demand(built, "s0", "k5")[pd.to_datetime(holidays)] == 0).all()
    assert "missing_sales" not in [alarm.name for alarm in built.alarms]


def test_a_kiosk_that_often_sells_nothing_is_open_and_sells_nothing(tables, build):
    rng = np.random.default_rng(2)
    days = pd.date_range("2023-07-03", "2024-06-30")
    rows = [(day, "kiosk", "k1", 1, 15) for day in days[rng.random(len(days)) < 0.18]]
    spoiled = with_rows(tables, *rows)
    spoiled["stores"] = pd.DataFrame({c.STORE_ID: ["s0", "s1", "s2", "kiosk"]})
    built = build(spoiled)
    known = demand(built, "kiosk", "k1").dropna()
    assert len(known) > 355
    assert known.mean() == pytest.approx(0.18, abs=0.04)
    assert built.alarms == []


@pytest.mark.parametrize(("first", "last"), [("2024-02-10", "2024-02-23"), ("2024-04-04", "2024-04-05")])
def test_lost_days_of_one_store_are_unknown(first, last, tables, build):
    sales = tables["sales"]
    lost = sales[c.STORE_ID].eq("s1") & sales[c.DATE].between(first, last)
    built = build(sales_of(tables, sales[~lost]))
    (alarm,) = built.alarms
    assert (alarm.name, alarm.stores, str(alarm.date_from), str(alarm.date_to)) == (
        "missing_sales",
        ["s1"],
        first,
        last,
    )
    assert demand(built, "s1", "k3")[first:last].isna().all()
    assert demand(built, "s1", "k3").isna().sum() == alarm.count


def lost_days(sales, share):
    """Rows of a fraction of the days of each store."""
    store = sales[c.STORE_ID].astype(str).str[1:].astype(int)
    day = (sales[c.DATE] - sales[c.DATE].min()).dt.days
    return np.random.default_rng(4).random((store.max() + 1, day.max() + 1))[store, day] < share


def test_many_lost_days_are_unknown_if_the_files_have_rows_of_zero_units(tables, build):
    sales = tables["sales"]
    keys = pd.MultiIndex.from_product([sales[c.DATE].unique(), sales[c.STORE_ID].unique(), sales[c.SKU].unique()])
    summed = sales.groupby([c.DATE, c.STORE_ID, c.SKU], observed=True)[[c.UNITS, c.NET_AMOUNT]].sum()
    complete = summed.reindex(keys.set_names(summed.index.names), fill_value=0.0).reset_index()
    lost = lost_days(complete, 0.1)
    (alarm,) = (built := build(sales_of(tables, complete[~lost]))).alarms
    assert alarm.name == "missing_sales"
    assert "because the files list SKUs without sales too" in alarm.message
    days = complete[lost & complete[c.STORE_ID].eq("s1")][c.DATE].unique()
    of_store = demand(built, "s1", "k3")
    inside = days[(days > of_store.first_valid_index()) & (days < of_store.last_valid_index())]
    assert of_store[inside].isna().all()
    assert of_store.isna().sum() == pytest.approx(len(inside), abs=3)


def test_many_days_without_rows_are_zero_with_an_alarm_if_no_row_of_zero_units_exists(tables, build):
    sales = tables["sales"][~lost_days(tables["sales"], 0.1)]
    (alarm,) = (built := build(sales_of(tables, sales))).alarms
    assert (alarm.name, alarm.stores) == ("periods_without_rows", ["s0", "s1", "s2"])
    whole = build(tables)
    ratio = np.nansum(built.panel.demand) / np.nansum(whole.panel.demand)
    assert ratio == pytest.approx(0.9, abs=0.02)
    assert alarm.count == pytest.approx(0.1 * 3 * built.panel.history, rel=0.2)


def test_lost_days_of_all_stores_are_unknown(tables, build):
    lost = tables["sales"][c.DATE].between("2024-02-10", "2024-02-23")
    built = build(sales_of(tables, tables["sales"][~lost]))
    assert [alarm.name for alarm in built.alarms] == ["missing_sales"]
    assert np.isnan(built.panel.demand).sum(axis=1).tolist() == [14] * 18


def test_a_store_without_sales_for_long_is_closed_for_good(tables, build):
    sales = tables["sales"]
    ended = sales[c.STORE_ID].eq("s1") & sales[c.DATE].ge("2024-04-01")
    built = build(sales_of(tables, sales[~ended]))
    assert [(alarm.name, alarm.stores) for alarm in built.alarms] == [("store_closed", ["s1"])]
    assert built.ended == ("s1",)
    assert built.panel.closed[built.panel.series[c.STORE_ID].eq("s1").to_numpy(), -14:].all()
    assert demand(built, "s1", "k1")["2024-04-01":].isna().all()


def test_a_closing_date_ends_a_store(tables, build):
    stores = pd.DataFrame({c.STORE_ID: ["s0", "s1", "s2"], c.CLOSED_ON: [None, "2024-06-01", "2024-07-08"]})
    sales = tables["sales"]
    kept = ~(sales[c.STORE_ID].eq("s1") & sales[c.DATE].ge("2024-06-01"))
    built = build({**sales_of(tables, sales[kept]), "stores": stores.astype({c.CLOSED_ON: "datetime64[ns]"})})
    assert [alarm.name for alarm in built.alarms] == ["store_closed"]
    assert built.ended == ("s1",)
    assert built.panel.closed[built.panel.series[c.STORE_ID].eq("s2").to_numpy(), -14:].sum(axis=1).tolist() == [7] * 6
    assert c.CLOSED_ON not in built.panel.series.columns
    sells = build({**tables, "stores": stores.astype({c.CLOSED_ON: "datetime64[ns]"})})
    assert [(alarm.name, alarm.stores) for alarm in sells.alarms] == [
        ("store_closed", ["s1"]),
        ("closed_store_sells", ["s1"]),
    ]


def test_a_store_off_the_list_is_history_without_a_target(tables, build):
    built = build({**tables, "stores": tables["stores"].iloc[:2]})
    assert [(alarm.name, alarm.stores) for alarm in built.alarms] == [("unlisted_store_sells", ["s2"])]
    assert built.ended == ("s2",)
    assert not np.isnan(demand(built, "s2", "k1")).any()


def test_late_postings_are_unknown(tables, build):
    sales = tables["sales"]
    late = sales[c.DATE].ge("2024-06-29")
    built = build(sales_of(tables, sales.assign(**{c.UNITS: sales[c.UNITS].mask(late, sales[c.UNITS] // 4)})))
    (alarm,) = built.alarms
    assert (alarm.name, str(alarm.date_from), alarm.count) == ("incomplete_last_days", "2024-06-29", 2)
    assert np.isnan(built.panel.demand[:, -3:]).tolist() == [[False, True, True]] * 18


def test_a_weak_store_is_no_late_posting(tables, names):
    sales = tables["sales"]
    weak = sales[c.DATE].ge("2024-06-29") & sales[c.STORE_ID].eq("s2")
    assert names(sales_of(tables, sales.assign(**{c.UNITS: sales[c.UNITS].mask(weak, 1.0)}))) == []


def test_a_part_of_the_last_week_is_unknown(tables, build):
    built = build(
        sales_of(tables, tables["sales"][tables["sales"][c.DATE].le("2024-06-25")]),
        frequency="W-MON",
        aggregate=True,
        horizon=8,
    )
    (alarm,) = built.alarms
    assert alarm.name == "partial_period"
    assert "2024-06-25" in alarm.message
    assert np.isnan(built.panel.demand).sum(axis=1).tolist() == [1] * 18


def test_a_gap_of_one_sku_while_other_stores_sell_it_is_unknown(tables, build):
    sales = tables["sales"]
    out = sales[c.STORE_ID].eq("s0") & sales[c.SKU].eq("k4") & sales[c.DATE].between("2024-03-01", "2024-03-10")
    everywhere = sales[c.SKU].eq("k3") & sales[c.DATE].between("2024-03-01", "2024-03-10")
    built = build(sales_of(tables, sales[~out & ~everywhere]))
    assert [(alarm.name, alarm.skus, alarm.count) for alarm in built.alarms] == [("sku_gaps", ["k4"], 10)]
    assert demand(built, "s0", "k4")["2024-03-01":"2024-03-10"].isna().all()
    assert (demand(built, "s0", "k3")["2024-03-01":"2024-03-10"] == 0).all()


def test_sales_spread_at_random_have_no_gaps(build):
    rng = np.random.default_rng(4)
    lines, days = 60_000, pd.date_range("2023-07-03", "2024-06-30")
    skus = np.minimum(rng.pareto(1.2, lines) * 10, 399).astype(int)
    sales = pd.DataFrame(
        {
            c.DATE: days[rng.integers(0, len(days), lines)],
            c.STORE_ID: [f"s{at}" for at in rng.integers(0, 10, lines)],
            c.SKU: [f"k{at}" for at in skus],
            c.UNITS: 1.0,
        }
    )
    products = pd.DataFrame({c.SKU: [f"k{at}" for at in range(400)]})
    stores = pd.DataFrame({c.STORE_ID: [f"s{at}" for at in range(10)]})
    assert build({"sales": sales, "products": products, "stores": stores}).alarms == []


# Dates


def test_a_mistyped_year_is_left_out(tables, build):
    built = build(with_rows(tables, ("2004-06-18", "s0", "k0", 4, 40)))
    assert [alarm.name for alarm in built.alarms] == ["isolated_dates"]
    assert "2004-06-18" in built.alarms[0].message
    assert built.panel.history_periods[0] == pd.Timestamp("2023-07-03")


def test_a_few_rows_in_the_future_are_named_and_a_backfill_is_no_mistake(tables, names):
    assert names(with_rows(tables, ("2042-06-18", "s0", "k0", 4, 40))) == ["dates_after_run"]
    assert names(tables, as_of=date(2024, 6, 3)) == []


def test_the_dates_of_one_store_in_another_year_are_named(tables, build):
    sales = tables["sales"]
    for years, name, words in ((1, "dates_after_run", "of s1"), (-1, "store_closed", "s1 end a year before")):
        dates = sales[c.DATE].mask(sales[c.STORE_ID].eq("s1"), sales[c.DATE] + pd.DateOffset(years=years))
        (alarm,) = build(sales_of(tables, sales.assign(**{c.DATE: dates}))).alarms
        assert (alarm.name, alarm.stores) == (name, ["s1"])
        assert words in alarm.message


def swapped(day):
    return day if day.day > 12 else day.replace(month=day.day, day=day.month)


def test_swapped_days_and_months_hold_the_publication(tables, names):
    year = {**chain(seed=9)}
    sales = year["sales"].assign(**{c.DATE: year["sales"][c.DATE].map(swapped)})
    assert "day_month_swapped" in names(sales_of(year, sales))
    first_days = tables["sales"][tables["sales"][c.DATE].dt.day.le(12)]
    assert "day_month_swapped" in names(sales_of(tables, first_days))
    late = tables["sales"][c.DATE].ge("2024-05-01")
    dates = tables["sales"][c.DATE].mask(late, tables["sales"][c.DATE].map(swapped))
    assert "day_month_swapped" in names(sales_of(tables, tables["sales"].assign(**{c.DATE: dates})))
    april = tables["sales"][c.DATE].between("2024-04-13", "2024-04-30")
    assert "day_month_swapped" in names(sales_of(tables, tables["sales"][~april]))


# Levels


def test_a_brand_in_another_unit_from_one_day_on(tables, names):
    sales = tables["sales"].drop(columns=c.NET_AMOUNT)
    brand = sales[c.SKU].isin(["k1", "k3", "k5"]) & sales[c.DATE].ge("2024-04-01")
    for factor in (12.0, 1 / 12):
        changed = sales.assign(**{c.UNITS: sales[c.UNITS].mask(brand, sales[c.UNITS] * factor)})
        assert "unit_change" in names(sales_of(tables, changed), cleaning={"drop_outliers": False})
    one = brand & sales[c.SKU].eq("k1")
    changed = sales.assign(**{c.UNITS: sales[c.UNITS].mask(one, sales[c.UNITS] * 12)})
    assert names(sales_of(tables, changed), cleaning={"drop_outliers": False}) == ["sku_unit_change"]


def test_a_first_week_that_is_not_whole_is_no_other_unit(tables, names):
    sales = tables["sales"][tables["sales"][c.DATE] >= "2023-07-09"]
    monday = sales[c.DATE] - pd.to_timedelta(sales[c.DATE].dt.dayofweek, unit="D")
    weeks = sales.assign(**{c.DATE: monday}).groupby([c.DATE, c.STORE_ID, c.SKU], as_index=False).sum()
    assert names(sales_of(tables, weeks), frequency="W-MON", horizon=8) == []


@pytest.mark.parametrize("first", ["2024-03-10", "2024-06-25"])
def test_one_sku_in_another_unit_needs_a_sign_of_it(first, tables, build):
    sales = tables["sales"]
    one, units = sales[c.SKU].eq("k2") & sales[c.DATE].ge(first), sales[c.UNITS]
    pieces = units.mask(one, units * 12)
    (alarm,) = build(sales_of(tables, sales.assign(**{c.UNITS: pieces}))).alarms
    assert (alarm.name, alarm.skus, str(alarm.date_from)) == ("sku_unit_change", ["k2"], first)
    # Demand that is twelve times as high comes in any quantity, and at the usual price.
    busy = units.mask(one, units * 12 + np.arange(len(units)) % 5)
    assert build(sales_of(tables, sales.assign(**{c.UNITS: busy, c.NET_AMOUNT: busy * 20.0}))).alarms == []


def test_lines_in_boxes_become_pieces(tables, build):
    sales = tables["sales"]
    boxed = sales[c.SKU].eq("k5") & sales[c.DATE].ge("2024-04-01") & (np.arange(len(sales)) % 2 == 0)
    built = build(sales_of(tables, sales.assign(**{c.UNITS: sales[c.UNITS].mask(boxed, sales[c.UNITS] / 12)})))
    assert [alarm.name for alarm in built.alarms] == ["units_in_boxes"]
    np.testing.assert_allclose(demand(built, "s0", "k5"), demand(build(tables), "s0", "k5"))


def test_a_markdown_is_no_box(tables, names):
    sales = tables["sales"]
    cheap = sales[c.SKU].eq("k5") & sales[c.DATE].ge("2024-04-01")
    assert (
        names(
            sales_of(tables, sales.assign(**{c.NET_AMOUNT: sales[c.NET_AMOUNT].mask(cheap, sales[c.NET_AMOUNT] / 10)}))
        )
        == []
    )


def in_one_store(sales, amount):
    """Other amounts in store s1."""
    return sales.assign(**{c.NET_AMOUNT: sales[c.NET_AMOUNT].mask(sales[c.STORE_ID] == "s1", amount(sales))})


def of_weeks(sales, chosen):
    """The chosen lines as totals on the Sundays of their weeks."""
    sunday = sales[c.DATE] + pd.to_timedelta(6 - sales[c.DATE].dt.dayofweek, unit="D")
    dated = sales.assign(**{c.DATE: sales[c.DATE].mask(chosen, sunday)})
    return dated.groupby([c.DATE, c.STORE_ID, c.SKU], as_index=False).sum()


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda sales: in_one_store(sales, lambda lines: lines[c.NET_AMOUNT] * 1.19), ["price_level"]),
        (lambda sales: sales.assign(**{c.NET_AMOUNT: sales[c.NET_AMOUNT] * (1 + 0.03 * (sales.index % 5))}), []),
        # Another currency is no box.
        (
            lambda sales: in_one_store(sales, lambda lines: lines[c.NET_AMOUNT] * 12),
            ["price_per_unit_jumps", "price_level"],
        ),
        (lambda sales: sales.assign(**{c.NET_AMOUNT: sales[c.NET_AMOUNT] * 100}), ["price_level"]),
        (
            lambda sales: sales.assign(
                **{c.NET_AMOUNT: sales[c.NET_AMOUNT].mask(sales[c.DATE] >= "2024-02-01", sales[c.NET_AMOUNT] * 1.19)}
            ),
            ["price_level"],
        ),
        (
            lambda sales: sales.assign(**{c.NET_AMOUNT: sales[c.NET_AMOUNT] / sales[c.UNITS]}),
            ["price_per_unit_jumps", "odd_amounts", "price_level"],
        ),
        (
            lambda sales: sales.assign(**{c.NET_AMOUNT: sales[c.NET_AMOUNT].mask(sales.index % 20 == 0, 0.0)}),
            ["odd_amounts"],
        ),
        (
            lambda sales: sales.assign(**{c.NET_AMOUNT: sales[c.NET_AMOUNT] * np.where(sales.index % 20, 1, -1)}),
            ["odd_amounts"],
        ),
        (lambda sales: sales.assign(**{c.NET_AMOUNT: sales[c.NET_AMOUNT].mask(sales[c.SKU] == "k1", 0.0)}), []),
        (lambda sales: of_weeks(sales, sales[c.STORE_ID] == "s1"), ["coarse_dates", "closed_weekdays"]),
        (lambda sales: of_weeks(sales, sales[c.DATE] < "2023-11-06"), ["coarse_dates", "unit_change", "unit_change"]),
    ],
)
def test_amounts_and_dates_that_mean_something_else(spoil, expected, tables, build):
    priced = tables["products"].assign(**{c.PRICE: [10.0 + 5 * at for at in range(6)]})
    built = build({**sales_of(tables, spoil(tables["sales"])), "products": priced})
    assert [alarm.name for alarm in built.alarms] == expected
    if "coarse_dates" not in expected:
        np.testing.assert_array_equal(built.panel.demand, build(tables).panel.demand)


@pytest.mark.parametrize(
    ("first", "last", "gap", "expected"),
    [
        ("2023-07-03", "2024-07-20", 1, []),
        ("2023-07-03", "2024-06-10", 1, ["promotions_missing"]),
        ("2023-07-03", "2024-07-20", 0, ["promotion_ends"]),
        ("2024-06-03", "2024-06-10", 1, []),
    ],
)
def test_promotions_that_end_early_or_share_days(first, last, gap, expected, tables, names):
    starts = pd.date_range(first, last, freq="7D")
    promotions = pd.DataFrame({c.SKU: "k1", c.DATE_FROM: starts, c.DATE_TO: starts + pd.Timedelta(days=7 - gap)})
    assert names({**tables, "promotions": promotions}) == expected


@pytest.mark.parametrize(
    ("price", "amounts", "listed", "found"),
    [
        (lambda usual, off: usual * (1 - off / 100), "reduced", True, []),
        (lambda usual, off: usual * (1 - off / 100) * 1.19, "reduced", False, []),
        (lambda usual, off: usual * 0 + 900, "reduced", True, ["is above that of the products table"]),
        (lambda usual, off: usual * (100 - off), "reduced", False, ["or at least 1.3 times the highest one"]),
        (lambda usual, off: off / 100, "equal", False, ["at most a fifth"]),
        (lambda usual, off: off, "reduced", False, ["as a discount (percentage)"]),
        (lambda usual, off: usual * off / 100, "reduced", False, ["as a discount (amount)"]),
    ],
)
def test_promotion_prices_that_are_no_prices(price, amounts, listed, found, tables, build):
    off, usual = np.array([20.0, 15, 25, 20, 25, 30]), 10 + 5.0 * np.arange(6)
    starts = pd.date_range("2024-05-08", "2024-07-03", freq="14D")
    rows = [(f"k{sku}", day, value) for day in starts for sku, value in enumerate(price(usual, off))]
    promotions = pd.DataFrame(rows, columns=[c.SKU, c.DATE_FROM, c.PRICE])
    promotions[c.DATE_TO] = promotions[c.DATE_FROM] + pd.Timedelta(days=2)
    sales = tables["sales"]
    on = sales[c.DATE].isin([day + pd.Timedelta(days=at) for day in starts for at in range(3)])
    reduced = sales[c.NET_AMOUNT] * (1 - off[sales[c.SKU].str[1:].astype(int)] / 100)
    sales = sales.assign(**{c.NET_AMOUNT: sales[c.NET_AMOUNT].mask(on, reduced)}) if amounts == "reduced" else sales
    products = tables["products"].assign(**{c.PRICE: usual}) if listed else tables["products"]
    alarms = build({**sales_of(tables, sales), "products": products, "promotions": promotions}).alarms
    assert [alarm.name for alarm in alarms] == ["promotion_price"] * len(found)
    assert all(words in alarm.message for words, alarm in zip(found, alarms, strict=True))


def test_spellings_of_a_category(tables, names):
    products = tables["products"].assign(**{c.BRAND: ["A", "a", "A ", "B", "B", "Ab"]})
    assert names({**tables, "products": products}, category=[c.BRAND]) == ["category_spelling"]


def test_a_sku_and_a_store_with_new_numbers(tables, build):
    sales, later = tables["sales"], tables["sales"][c.DATE] >= "2024-05-20"
    products = pd.DataFrame({c.SKU: [*(f"k{at}" for at in range(6)), "new"], "name": [*"abcdef", "c"], c.BRAND: "A"})
    moved = sales.assign(**{c.SKU: sales[c.SKU].mask(later & (sales[c.SKU] == "k2"), "new")})
    (alarm,) = build({**sales_of(tables, moved), "products": products}).alarms
    assert (alarm.name, alarm.skus) == ("skus_vanished", ["k2"])
    assert "k2 ends on 2024-05-19, then new begins" in alarm.message
    other = {**sales_of(tables, moved), "products": products.assign(name=[*"abcdef", "z"])}
    assert build(other).alarms == []
    renamed = sales.assign(**{c.STORE_ID: sales[c.STORE_ID].mask(later & (sales[c.STORE_ID] == "s2"), "s9")})
    stores = pd.DataFrame({c.STORE_ID: ["s0", "s1", "s2", "s9"]})
    (alarm,) = build({**sales_of(tables, renamed), "stores": stores}).alarms
    assert "s9 begins when s2 ends: if it is the same store" in alarm.message


def test_many_skus_that_vanish_on_one_date(names):
    tables = chain(skus=12)
    sales = tables["sales"]
    gone = sales[c.SKU].isin([f"k{at}" for at in range(5, 12)]) & sales[c.DATE].ge("2024-06-01")
    assert names(sales_of(tables, sales[~gone])) == ["skus_vanished"]


def test_many_skus_that_vanish_in_one_store_while_the_others_sell_them(build):
    tables = chain(skus=12)
    sales = tables["sales"]
    gone = (
        sales[c.STORE_ID].eq("s1") & sales[c.SKU].isin([f"k{at}" for at in range(6)]) & sales[c.DATE].ge("2024-06-10")
    )
    (alarm,) = build(sales_of(tables, sales[~gone])).alarms
    assert (alarm.name, alarm.stores, alarm.count) == ("skus_vanished", ["s1"], 6)
    assert "s1: 6 of 12 SKUs (k0, k1, k2, ... (6 in all)) after 2024-06-09" in alarm.message
    marked = sales[gone][[c.DATE, c.STORE_ID, c.SKU]].assign(**{c.IN_STOCK: False})
    assert build({**sales_of(tables, sales[~gone]), "availability": marked}).alarms == []


# Bundles


def test_bundles_are_sales_of_their_components(tables, build):
    products = pd.DataFrame({c.SKU: [*(f"k{at}" for at in range(6)), "set", "box"], c.BRAND: list("ABABABAA")})
    bundles = pd.DataFrame(
        [("set", "k0", 2), ("set", "k1", 1), ("box", "set", 3)], columns=[c.SKU, c.COMPONENT_SKU, c.QUANTITY]
    )
    spoiled = with_rows(tables, ("2024-06-03", "s0", "set", 5, 100), ("2024-06-03", "s0", "box", 1, 50))
    built = build({**spoiled, "products": products, "bundles": bundles})
    extra = demand(built, "s0", "k0") - demand(build(tables), "s0", "k0")
    assert extra["2024-06-03"] == 2 * 5 + 3 * 2 * 1
    assert set(built.panel.series[c.CATEGORY]) == {f"k{at}" for at in range(6)}
    circle = pd.DataFrame([("set", "box", 1), ("box", "set", 1)], columns=[c.SKU, c.COMPONENT_SKU, c.QUANTITY])
    with pytest.raises(DataContractError, match="contain the bundle itself"):
        build({**spoiled, "products": products, "bundles": circle})


# Stock


def stock(tables, **replaced):
    pairs = tables["sales"][[c.STORE_ID, c.SKU]].drop_duplicates()
    return pairs.assign(**{c.ON_HAND: 30.0, **replaced})


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda rows: rows, []),
        (lambda rows: rows[rows[c.STORE_ID] != "s1"], ["stock_rows_missing"]),
        (lambda rows: rows.assign(**{c.ON_HAND: rows[c.ON_HAND].mask(rows[c.STORE_ID] == "s1", 0.0)}), ["stock_zero"]),
        (lambda rows: rows.assign(**{c.DATE: pd.Timestamp("2024-07-01")}), []),
        (lambda rows: rows.assign(**{c.DATE: pd.Timestamp("2024-06-03")}), ["stock_outdated"]),
        (lambda rows: rows.assign(**{c.DATE: pd.Timestamp("2024-07-02")}), ["stock_not_counted"]),
        (lambda rows: rows.assign(**{c.IN_TRANSIT: 4.0, "shelf": 26.0}), ["transit_in_stock"]),
        (lambda rows: rows.assign(**{c.IN_TRANSIT: 4.0, "shelf": 25.0}), []),
    ],
)
def test_stock_that_does_not_fit_the_sales(spoil, expected, tables, names):
    assert names({**tables, "stock": spoil(stock(tables)).reset_index(drop=True)}) == expected


def test_undated_stock_of_an_earlier_run_date(tables, names):
    assert names({**tables, "stock": stock(tables)}, as_of=date(2024, 6, 3)) == ["stock_undated"]


def test_a_store_with_more_stock_than_capacity(tables, names):
    stores = tables["stores"].assign(**{c.STORAGE_CAPACITY: [100.0, 500.0, np.nan]})
    assert names({**tables, "stores": stores, "stock": stock(tables)}) == ["capacity_below_stock"]


def test_nothing_of_it_reads_the_future(tables, build):
    """Sales after the run date change neither demand nor alarms."""
    sales = tables["sales"]
    early = date(2024, 5, 6)
    cut = sales_of(tables, sales[sales[c.DATE] < pd.Timestamp(early)])
    np.testing.assert_array_equal(build(tables, early).panel.demand, build(cut, early).panel.demand)
    assert build(tables, early).alarms == build(cut, early).alarms
    assert early < AS_OF


def test_a_chain_that_is_closed_on_the_day_before_the_run_has_all_its_sales(tables, build):
    sales = tables["sales"]
    built = build(sales_of(tables, sales[sales[c.DATE].dt.dayofweek.ne(6)]))
    assert [alarm.name for alarm in built.alarms] == ["closed_weekdays"]
    assert demand(built, "s0", "k0").iloc[-1] == 0


def test_a_store_that_stops_or_starts_to_open_on_a_weekday(tables, build):
    sales = tables["sales"]
    sunday = sales[c.DATE].dt.dayofweek.eq(6) & sales[c.STORE_ID].eq("s0")
    stops = build(sales_of(tables, sales[~(sunday & sales[c.DATE].ge("2024-05-06"))]))
    starts = build(sales_of(tables, sales[~(sunday & sales[c.DATE].lt("2024-06-17"))]))
    assert [alarm.name for alarm in stops.alarms] == ["closed_weekdays"]
    assert demand(stops, "s0", "k5")["2024-05-12"::7].eq(0).all()
    week = [False] * 6 + [True]
    assert stops.panel.closed[0, -14:].tolist() == week * 2
    assert not starts.panel.closed[0, -14:].any()
