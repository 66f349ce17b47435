"""A small retailer whose panel can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from schemas import columns as c
from schemas.settings import Settings

SOURCES = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
Tables = dict[str, pd.DataFrame]


@pytest.fixture
def make_settings() -> Callable[..., Settings]:
    """Settings of a daily run by brand, with some keys replaced."""

    def make(**replaced: object) -> Settings:
        values = {"name": "small", "horizon": 7, "category": [c.BRAND], "sources": SOURCES, **replaced}
        return Settings(**values)

    return make


@pytest.fixture
def make_tables() -> Callable[..., Tables]:
    """Tables from short lists; dates as text, ``sales`` rows as (date, store, sku, units[, net_amount]).

    SKU a1 and a2 are of brand A, b1 of brand B.
    """

    def make(sales: list[tuple], **further: pd.DataFrame) -> Tables:
        names = [c.DATE, c.STORE_ID, c.SKU, c.UNITS, c.NET_AMOUNT]
        lines = pd.DataFrame(sales, columns=names[: max(len(row) for row in sales)])
        lines = lines.astype({c.UNITS: float, c.STORE_ID: object, c.SKU: object})
        tables = {
            "sales": lines.assign(**{c.DATE: pd.to_datetime(lines[c.DATE])}),
            "products": pd.DataFrame({c.SKU: ["a1", "a2", "b1"], c.BRAND: ["A", "A", "B"]}),
            "stores": pd.DataFrame({c.STORE_ID: ["s1", "s2"], c.STORE_TYPE: ["A", "D"]}),
        }
        for name, frame in further.items():
            dated = [column for column in (c.DATE, c.DATE_FROM, c.DATE_TO) if column in frame.columns]
            tables[name] = frame.assign(**{column: pd.to_datetime(frame[column]) for column in dated})
        return tables

    return make


@pytest.fixture
def row_of() -> Callable[..., list]:
    """The demand of one series as a list, None where unknown."""

    def row(panel: object, store: str, category: str) -> list:
        series = panel.series
        at = series.index[(series[c.STORE_ID] == store) & (series[c.CATEGORY] == category)][0]
        return [None if pd.isna(value) else value for value in panel.demand[at]]

    return row
