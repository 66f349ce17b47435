"""Every rule of the contract's last paragraphs of section 3, worked out by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.panel import build_panel

AS_OF = date(2024, 1, 7)  # a Sunday; 1 January is a Monday


def days(store, sku, units, first=1):
    """One sales row a day from the first on; None = no row."""
    return [(f"2024-01-{first + i:02d}", store, sku, u) for i, u in enumerate(units) if u is not None]


def availability(*rows):
    return pd.DataFrame(rows, columns=[c.DATE, c.STORE_ID, c.SKU, c.IN_STOCK]).astype({c.IN_STOCK: bool})


OTHERS = days("s2", "b1", [1, 1, 1, 1, 1, 1])
CASES = {
    "no row is zero": (days("s1", "b1", [2, None, 3, 1, 1, 1]) + days("s1", "a1", [1] * 6), {}, [2, 0, 3, 1, 1, 1]),
    "before the first row": (
        days("s1", "a1", [1] * 6) + days("s1", "b1", [4, None, 5, 0], 3),
        {},
        [None, None, 4, 0, 5, 0],
    ),
    "a first row of zero units is a first row": (
        days("s1", "a1", [1] * 6) + days("s1", "b1", [0, None, 5, 1], 3),
        {},
        [None, None, 0, 0, 5, 1],
    ),
    "store silent while others sell": (
        days("s1", "b1", [20, 20, None, None, 30, 30]) + OTHERS,
        {},
        [20, 20, None, None, 30, 30],
    ),
    "a quiet store": (
        days("s1", "b1", [1, 2, None, None, 1, 1]) + OTHERS,
        {},
        [1, 2, 0, 0, 1, 1],
    ),
    "no store has a row": (days("s1", "b1", [2, 2, None, 4, 3, 3]), {}, [2, 2, 0, 4, 3, 3]),
    "sales end before as_of": (days("s1", "b1", [2, 2, 2, None, None, None]), {}, [2, 2, 2, None, None, None]),
    "a store that ended": (days("s1", "b1", [9, 9, 9, None, None, None]) + OTHERS, {}, [9, 9, 9, None, None, None]),
    "out of stock with a sales row": (
        days("s1", "b1", [2, 2, 9, 2, 2, 2]),
        {"availability": availability(("2024-01-03", "s1", "b1", False))},
        [2, 2, None, 2, 2, 2],
    ),
    "out of stock without a sales row": (
        days("s1", "b1", [2, 2, None, 2, 2, 2]) + days("s1", "a1", [1] * 6),
        {"availability": availability(("2024-01-03", "s1", "b1", False), ("2024-01-04", "s1", "b1", True))},
        [2, 2, None, 2, 2, 2],
    ),
    "out of stock of another store or SKU": (
        days("s1", "b1", [2, 2, 2, 2, 2, 2]) + OTHERS,
        {"availability": availability(("2024-01-03", "s2", "b1", False), ("2024-01-03", "s1", "a2", False))},
        [2, 2, 2, 2, 2, 2],
    ),
    "returns count as zero": (days("s1", "b1", [2, -3, 2, 2, 2, 2]), {}, [2, 0, 2, 2, 2, 2]),
    "lines are summed, returns first": (
        days("s1", "b1", [2, 5, 2, 2, 2, 2]) + days("s1", "b1", [-3, 4], 2),
        {},
        [2, 5, 6, 2, 2, 2],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rule(name, make_tables, make_settings, row_of):
    sales, further, expected = CASES[name]
    panel = build_panel(prepare(make_tables(sales, **further), make_settings(), AS_OF)).panel
    assert row_of(panel, "s1", "B") == expected


def test_category_is_the_sum_of_its_known_skus(make_tables, make_settings, row_of):
    sales = days("s1", "a1", [1, 1, 1, 1, 1, 1]) + days("s1", "a2", [10, 10, 10, 10], 3)
    marked = availability(
        ("2024-01-02", "s1", "a1", False),  # the only SKU alive: unknown
        ("2024-01-04", "s1", "a1", False),  # the other one is known
        ("2024-01-05", "s1", "a2", False),
        ("2024-01-06", "s1", "a1", False),  # both
        ("2024-01-06", "s1", "a2", False),
        ("2024-01-01", "s1", "a2", False),  # not alive yet: does not matter
    )
    panel = build_panel(prepare(make_tables(sales, availability=marked), make_settings(), AS_OF)).panel
    assert row_of(panel, "s1", "A") == [1, None, 11, 10, 1, None]


def calendar(*rows, store=True):
    names = [c.DATE, c.STORE_ID, c.OPEN] if store else [c.DATE, c.OPEN]
    return pd.DataFrame(rows, columns=names)


def test_calendar_closes_one_store(make_tables, make_settings, row_of):
    sales = days("s1", "b1", [20, None, 20, 20, None, 20]) + OTHERS
    shut = calendar(("2024-01-02", "s1", 0), ("2024-01-05", "s1", 1), ("2024-01-05", "s2", 1), ("2024-01-08", "s1", 0))
    panel = build_panel(prepare(make_tables(sales, calendar=shut), make_settings(), AS_OF)).panel
    assert row_of(panel, "s1", "B") == [20, 0, 20, 20, None, 20]
    assert panel.closed[0].nonzero()[0].tolist() == [1, 7]  # 8 January lies in the horizon
    assert not panel.closed[1].any()


def test_calendar_for_the_network_closes_every_store(make_tables, make_settings):
    shut = calendar(("2024-01-02", 0), ("2024-01-09", 0), store=False)
    sales = days("s1", "b1", [2, None, 2, 2, 2, 2]) + days("s2", "b1", [1, None, 1, 1, 1, 1])
    panel = build_panel(prepare(make_tables(sales, calendar=shut), make_settings(), AS_OF)).panel
    assert panel.closed.sum(axis=1).tolist() == [2, 2]
    assert panel.demand[:, 1].tolist() == [0, 0]


def test_closed_wins_over_out_of_stock(make_tables, make_settings, row_of):
    sales = days("s1", "b1", [2, 0, 2, 2, 2, 2]) + OTHERS
    tables = make_tables(
        sales, calendar=calendar(("2024-01-02", "s1", 0)), availability=availability(("2024-01-02", "s1", "b1", False))
    )
    assert row_of(build_panel(prepare(tables, make_settings(), AS_OF)).panel, "s1", "B") == [2, 0, 2, 2, 2, 2]


def test_a_sale_on_a_closed_day_counts_and_is_reported(make_tables, make_settings, row_of):
    sales = days("s1", "b1", [2, 7, 2, 2, 2, 2]) + OTHERS
    build = build_panel(prepare(make_tables(sales, calendar=calendar(("2024-01-02", "s1", 0))), make_settings(), AS_OF))
    assert row_of(build.panel, "s1", "B") == [2, 7, 2, 2, 2, 2]
    assert not build.panel.closed[0, 1]
    assert build.cleaning_log[[c.STORE_ID, c.SKU, c.UNITS, c.TREATMENT]].to_numpy().tolist() == [
        ["s1", "b1", 7.0, "open_after_all"]
    ]


def test_a_day_without_any_row_is_zero_if_the_stores_are_quiet_and_unknown_if_not(make_tables, make_settings):
    for level, known in ((2, True), (40, False)):
        sales = days("s1", "b1", [level, None, level]) + days("s2", "b1", [level, None, level])
        built = build_panel(prepare(make_tables(sales), make_settings(), date(2024, 1, 6)))
        assert np.isnan(built.panel.demand[:, 1]).tolist() == [not known] * 2
        assert np.isnan(built.panel.demand[:, 3:]).all()
        assert ("missing_sales" in [alarm.name for alarm in built.alarms]) is not known


def test_unknown_tail_is_warned_of(make_tables, make_settings):
    build = build_panel(prepare(make_tables(days("s1", "b1", [2, 2])), make_settings(), date(2024, 1, 6)))
    assert build.alarms[0].name == "sales_end_early"
    assert "sales end at 2024-01-02: the 3 periods" in build.alarms[0].message


@pytest.mark.parametrize(("out_days", "expected"), [(3, [14, 7]), (4, [14, None])])
def test_daily_availability_over_weeks_is_unknown_from_half_of_the_days(
    out_days, expected, make_tables, make_settings, row_of
):
    sales = days("s1", "b1", [2] * 7) + days("s1", "b1", [1] * 7, 8)
    marked = availability(*((f"2024-01-{9 + i:02d}", "s1", "b1", False) for i in range(out_days)))
    settings = make_settings(frequency="W-MON", aggregate=True, horizon=1)
    panel = build_panel(prepare(make_tables(sales, availability=marked), settings, date(2024, 1, 15))).panel
    assert row_of(panel, "s1", "B") == expected


def test_weekly_availability_speaks_for_the_week(make_tables, make_settings, row_of):
    sales = [("2024-01-01", "s1", "b1", 5), ("2024-01-08", "s1", "b1", 6)]
    marked = availability(("2024-01-08", "s1", "b1", False))
    settings = make_settings(frequency="W-MON", horizon=1)
    panel = build_panel(prepare(make_tables(sales, availability=marked), settings, date(2024, 1, 15))).panel
    assert row_of(panel, "s1", "B") == [5, None]


def test_units_sold_stay_as_sold(make_tables, make_settings):
    """Out of stock and silent periods are unknown demand, but zero sold; before the first row nothing is known."""
    sales = days("s1", "b1", [3, None, 5], 2) + OTHERS
    flags = availability(("2024-01-04", "s1", "b1", False))
    built = build_panel(prepare(make_tables(sales, availability=flags), make_settings(), AS_OF))
    panel = built.panel
    sold = panel.sold[panel.series[c.STORE_ID].tolist().index("s1")]
    assert [None if np.isnan(value) else value for value in sold] == [None, 3, 0, 5, 0, 0]
    assert panel.until(3).sold.shape == (2, 3)
    assert panel.take(np.array([1])).sold.shape == (1, 6)
