"""Stock figures of all stores, independent of the drawing order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from tasks.report import stock_figures
from tasks.report.stock_figures import StockFigures, StoreCard
from tests.report.pictures import columns_with, dots_of

DAYS = pd.date_range("2025-01-02", periods=5)


def rows(store: str, policy: str = "genetic", **given: object) -> pd.DataFrame:
    table = pd.DataFrame({c.STORE_ID: store, c.POLICY: policy, c.DATE: DAYS})
    values = {c.STOCK: [9.0, 7, 5, 9, 6], c.CAPACITY: 10.0, c.SALES: [2.0, 2, 0, 3, 1], c.OVER: 0.0}
    return table.assign(**{**values, **given})


def cards(*tables: pd.DataFrame, policies: tuple[str, ...] = ("genetic", "eoq")) -> list[StoreCard]:
    return StockFigures(pd.concat(tables, ignore_index=True), policies).cards()


def test_figure_does_not_depend_on_the_previous_store() -> None:
    stores = [
        rows("1"),
        rows("2", **{c.CAPACITY: np.nan, c.STOCK: 0.4}),
        rows("3", **{c.OVER: 0.5, c.CAPACITY: 8.0}),
        rows("4", **{c.STOCK: [np.nan, 3e6, np.nan, 0.0, 2e6], c.SALES: np.nan}),
        rows("10", **{c.STOCK: 0.0, c.SALES: 0.0, c.CAPACITY: 0.0}),
    ]
    together = cards(*stores)
    assert [card.store for card in together] == ["1", "2", "3", "4", "10"]
    assert together == [cards(store)[0] for store in stores]


def test_figures_do_not_depend_on_row_order() -> None:
    table = pd.concat([rows("1"), rows("2", "eoq"), rows("2")], ignore_index=True)
    assert cards(table) == cards(table.sample(frac=1, random_state=1))


def test_sales_stock_and_excess_are_drawn_at_their_periods() -> None:
    uri = cards(rows("1", **{c.OVER: [0, 0, 1.0, 0.04, 0]}))[0].drawing.uri
    assert columns_with(uri, "sales", 5) == [0, 1, 3, 4]
    assert columns_with(uri, "live", 5) == [0, 1, 2, 3, 4]
    assert columns_with(uri, "alarm", 5) == [2]


@pytest.mark.parametrize(
    ("capacity", "drawn", "words"),
    [
        (10.0, True, "capacity 10 units · expected sales 8 units"),
        (50.0, False, "capacity 50 units (above the chart) · expected sales 8 units"),
        (np.nan, False, "capacity unlimited · expected sales 8 units"),
    ],
)
def test_capacity_is_drawn_or_written_as_text(capacity: float, drawn: bool, words: str) -> None:
    (card,) = cards(rows("1", **{c.CAPACITY: capacity}))
    assert (dots_of(card.drawing.uri, "red") > 0) == drawn
    assert card.facts == words
    assert not card.over_capacity


def test_store_over_capacity_is_marked() -> None:
    (card,) = cards(rows("1", **{c.OVER: [0, 0.5, 1.0, 0, 0]}))
    assert card.over_capacity
    assert card.facts.endswith("1.5 periods over capacity")


def test_two_policies_are_drawn_and_missing_ones_are_left_out() -> None:
    both = cards(rows("1"), rows("1", "eoq"), rows("1", "newsvendor"))[0].drawing
    assert both.alt == "Store 1: stock, sales and capacity by period, genetic + eoq"
    assert cards(rows("1"))[0].drawing.alt.endswith("period, genetic")
    assert cards(rows("1"), policies=("ml",)) == []


def test_a_large_network_has_figures_of_the_stores_over_capacity_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_figures, "STORES_DRAWN", 2)
    frames = [rows(store, **{c.OVER: over}) for store, over in (("1", 0.0), ("2", 0.9), ("10", 0.2), ("11", 0.0))]
    assert [card.store for card in cards(*frames)] == ["2", "10"]
