"""Promotions reach the series, stores and periods they are planned for."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.panel import build_panel
from tasks.demand.sku_facts import planned_sku_prices

AS_OF = date(2024, 1, 5)
SALES = [
    (f"2024-01-0{day}", store, sku, 1.0, 8.0) for day in (1, 2, 3, 4) for store in ("s1", "s2") for sku in ("a1", "a2")
]


def plan(*rows):
    return pd.DataFrame(rows, columns=[c.SKU, c.STORE_ID, c.DATE_FROM, c.DATE_TO, c.PRICE, c.DISCOUNT])


@pytest.fixture
def known(make_tables, make_settings):
    """Known promotion features of series (s1, A) and (s2, A) over four known days and three ahead."""

    def build(promotions, prices=(10.0, 10.0, 10.0)):
        tables = make_tables(SALES, promotions=promotions)
        if prices is not None:
            tables["products"][c.PRICE] = list(prices)
        settings = make_settings(horizon=3, inventory={"review_period": 3})
        panel = build_panel(prepare(tables, settings, AS_OF)).panel
        at = np.ix_(np.arange(panel.n), np.arange(len(panel.periods)))
        return {
            name: panel.known[name].at(*at).round(6).tolist() for name in panel.known if name.startswith("promotion")
        }

    return build


def test_a_promotion_reaches_every_step_of_the_horizon(known):
    found = known(plan(("a1", "s1", "2024-01-04", "2024-01-30", None, 0.2)))
    assert found["promotion_share"] == [[0, 0, 0, 0.5, 0.5, 0.5, 0.5], [0] * 7]
    np.testing.assert_allclose(found["promotion_discount"][0], [0, 0, 0, 0.1, 0.1, 0.1, 0.1], atol=1e-6)
    np.testing.assert_allclose(found["promotion_price"][0], [10, 10, 10, 9, 9, 9, 9])
    np.testing.assert_allclose(found["promotion_price"][1], [10] * 7)


def test_without_a_store_it_holds_everywhere_and_a_price_implies_the_discount(known):
    found = known(
        plan(("a1", None, "2024-01-05", "2024-01-05", 6.0, None), ("a2", None, "2024-01-05", "2024-01-06", 5.0, None))
    )
    assert found["promotion_share"] == [[0, 0, 0, 0, 1, 0.5, 0]] * 2
    np.testing.assert_allclose(found["promotion_discount"][0], [0, 0, 0, 0, 0.45, 0.25, 0], atol=1e-6)
    np.testing.assert_allclose(found["promotion_price"][0], [10, 10, 10, 10, 5.5, 7.5, 10])


def test_overlapping_promotions_count_once(known):
    found = known(
        plan(
            ("a1", "s1", "2024-01-01", "2024-01-03", None, 0.5),
            ("a1", None, "2024-01-02", "2024-01-05", None, 0.1),
            ("a1", "s1", "2024-01-02", "2024-01-02", None, 0.9),
        )
    )
    assert found["promotion_share"][0] == [0.5, 0.5, 0.5, 0.5, 0.5, 0, 0]
    np.testing.assert_allclose(found["promotion_discount"][0], [0.25, 0.25, 0.25, 0.05, 0.05, 0, 0], atol=1e-6)


def test_without_list_prices_there_is_no_planned_price(known):
    found = known(plan(("a1", "s1", "2024-01-04", "2024-01-06", None, 0.2)), prices=None)
    assert sorted(found) == ["promotion_discount", "promotion_share"]


def test_promotions_that_touch_no_series_make_no_feature(known):
    assert known(plan(("b1", None, "2024-01-04", "2024-01-06", None, 0.2))) == {}
    assert known(plan(("a1", None, "2023-01-04", "2023-01-06", None, 0.2))) == {}
    assert known(plan(("a1", None, "2024-05-04", "2024-05-06", None, 0.2))) == {}


def test_planned_prices_over_the_horizon(make_tables, make_settings):
    promotions = plan(
        ("a1", "s1", "2024-01-03", "2024-01-05", 6.0, None),
        ("a2", None, "2024-01-07", "2024-02-05", None, 0.25),
        ("a1", "s2", "2024-01-06", "2024-01-06", None, None),
    )
    settings = make_settings(horizon=3, inventory={"review_period": 3})
    found = planned_sku_prices(prepare(make_tables(SALES, promotions=promotions), settings, AS_OF))
    # Without a list price, the discount is taken off the last known price of 8.
    assert found.sort_values([c.DATE, c.STORE_ID]).to_numpy().tolist() == [
        ["s1", "a1", pd.Timestamp("2024-01-05"), 6.0],
        ["s1", "a2", pd.Timestamp("2024-01-07"), 6.0],
        ["s2", "a2", pd.Timestamp("2024-01-07"), 6.0],
    ]
    assert planned_sku_prices(prepare(make_tables(SALES), settings, AS_OF)).empty
