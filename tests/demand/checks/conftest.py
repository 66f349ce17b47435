"""A small chain with a year of plausible sales, to be spoiled in one way at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.settings import Settings
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.panel import PanelBuild, build_panel

SOURCES = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
FIRST, AS_OF = pd.Timestamp("2023-07-03"), date(2024, 7, 1)
Tables = dict[str, pd.DataFrame]


def chain(stores: int = 3, skus: int = 6, seed: int = 5) -> Tables:
    """A copy of :func:`_chain`, which is made once."""
    return {name: table.copy() for name, table in _chain(stores, skus, seed).items()}


@cache
def _chain(stores: int, skus: int, seed: int) -> Tables:
    """Sale lines of 364 days (Monday to Sunday) with a weekly profile and 2 to 12 units a day per store and SKU."""
    rng = np.random.default_rng(seed)
    days = pd.date_range(FIRST, pd.Timestamp(AS_OF) - pd.Timedelta(days=1))
    profile = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.5, 0.8])[days.dayofweek]
    rows = []
    for store in range(stores):
        for sku in range(skus):
            units = rng.poisson((2 + 2 * sku) * profile * (1 + 0.2 * store))
            rows.append(pd.DataFrame({c.DATE: days, c.STORE_ID: f"s{store}", c.SKU: f"k{sku}", c.UNITS: units}))
    sales = pd.concat(rows, ignore_index=True).astype({c.UNITS: float})
    sales = sales[sales[c.UNITS] > 0].reset_index(drop=True)
    products = pd.DataFrame({c.SKU: [f"k{at}" for at in range(skus)], c.BRAND: ["A", "B"] * (skus // 2)})
    prices = sales[c.SKU].str[1:].astype(int) * 5.0 + 10.0
    return {
        "sales": sales.assign(**{c.NET_AMOUNT: sales[c.UNITS] * prices}),
        "products": products,
        "stores": pd.DataFrame({c.STORE_ID: [f"s{at}" for at in range(stores)]}),
    }


def sales_of(tables: Tables, sales: pd.DataFrame) -> Tables:
    """The tables with other sale lines."""
    return {**tables, "sales": sales.reset_index(drop=True)}


def demand(build: PanelBuild, store: str, sku: str) -> pd.Series:
    """Demand of one SKU in one store, by period."""
    series = build.panel.series
    at = series.index[(series[c.STORE_ID] == store) & (series[c.CATEGORY] == sku)][0]
    return pd.Series(build.panel.demand[at], index=build.panel.history_periods)


def settings(**replaced: object) -> Settings:
    return Settings(**{"name": "chain", "horizon": 14, "category": [c.SKU], "sources": SOURCES, **replaced})


@pytest.fixture
def tables() -> Tables:
    return chain()


@pytest.fixture
def build() -> Callable[..., PanelBuild]:
    """Build the panel of tables, with settings replaced."""

    def make(tables: Tables, as_of: date = AS_OF, **replaced: object) -> PanelBuild:
        return build_panel(prepare(tables, settings(**replaced), as_of))

    return make


@pytest.fixture
def names(build: Callable[..., PanelBuild]) -> Callable[..., list[str]]:
    """Names of the alarms on tables."""

    def found(tables: Tables, as_of: date = AS_OF, **replaced: object) -> list[str]:
        return [alarm.name for alarm in build(tables, as_of, **replaced).alarms]

    return found
