"""The demo company as a whole: stores, products and expected demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from tasks.demo.catalog import ARTICLE, SEASON, SIZE_SHARE, WEIGHT, category_table, sku_table, style_table
from tasks.demo.network import StoreDemand, store_demand, store_table
from tasks.demo.rates import Rates, store_group, style_rates

IndexArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

Size = Literal["slice", "full"]
TARGET_LINES = 2_845_000
# Returns add lines; stock-outs and closed stores remove some.
RETURN_SHARE = 0.035
KEPT_SHARE = 0.984
SLICE_TYPES = {"A": 2, "B": 3, "C": 2, "D": 1, "E": 2}
SLICE_CATEGORIES = {
    ("ZAPATO", "flat"): 6,
    ("ZAPATO", "winter"): 5,
    ("ZAPATO", "summer"): 5,
    ("ZAPATO", "school"): 2,
    ("ACCESORIO", "flat"): 6,
    ("ACCESORIO", "school"): 1,
}


@dataclass(frozen=True)
class Chain:
    """The chain, or a slice of it.

    Attributes:
        stores: see :func:`tasks.demo.network.store_table`.
        categories: see :func:`tasks.demo.catalog.category_table`.
        styles: see :func:`tasks.demo.catalog.style_table`.
        skus: see :func:`tasks.demo.catalog.sku_table`.
        demand: what multiplies demand in each store.
        rates: expected demand of each style; ``scale`` converts the product to sale lines per day.
        scale: factor that brings the whole chain to ``TARGET_LINES`` sale lines.
        seed: seed of everything random.
        store_numbers: the stores that are part of the slice, as rows of ``stores``.
        sku_numbers: the SKUs that are part of the slice, as rows of ``skus``.
    """

    stores: pd.DataFrame
    categories: pd.DataFrame
    styles: pd.DataFrame
    skus: pd.DataFrame
    demand: StoreDemand
    rates: Rates
    scale: float
    seed: int
    store_numbers: IndexArray
    sku_numbers: IndexArray

    def store_rates(self, store: int) -> FloatArray:
        """Expected sale lines of one store, shape (SKUs of the chain, days)."""
        style = self.skus[ARTICLE].to_numpy()
        category = self.styles[c.CATEGORY].to_numpy()
        group = store_group(str(self.stores[c.STORE_TYPE].iloc[store]))
        by_style = self.rates.demand[group] * self.demand.affinity[store][category][:, None]
        by_style = by_style * (self.scale * self.demand.by_day[store])[None, :]
        values: FloatArray = by_style[style] * self.skus[SIZE_SHARE].to_numpy()[:, None]
        return values


def build_chain(size: Size, seed: int) -> Chain:
    """Draw the company; a slice is a part of the same full chain.

    Args:
        size: ``full`` (59 stores, 118 categories, some 2,000 SKUs) or ``slice`` (10 stores of all
            types, 25 categories).
        seed: any integer >= 0; the same seed gives the same chain.
    """
    rng = np.random.default_rng([seed, 0])
    categories = category_table(rng)
    styles = style_table(categories, rng)
    skus = sku_table(styles, rng)
    stores = store_table(rng)
    demand = store_demand(stores, categories, rng)
    rates = style_rates(categories, styles, rng)
    scale = _scale(stores, styles, demand, rates)
    store_numbers, chosen = np.arange(len(stores)), np.arange(len(categories))
    if size == "slice":
        store_numbers, chosen = _slice_stores(stores), _slice_categories(categories)
    in_slice = np.isin(styles[c.CATEGORY].to_numpy()[skus[ARTICLE].to_numpy()], chosen)
    sku_numbers = np.flatnonzero(in_slice)
    return Chain(stores, categories, styles, skus, demand, rates, scale, seed, store_numbers, sku_numbers)


def _scale(stores: pd.DataFrame, styles: pd.DataFrame, demand: StoreDemand, rates: Rates) -> float:
    """Factor that makes the expected number of lines of the full chain ``TARGET_LINES``."""
    owner = styles[c.CATEGORY].to_numpy()
    expected = 0.0
    for number, kind in enumerate(stores[c.STORE_TYPE]):
        by_style = rates.demand[store_group(str(kind))] @ demand.by_day[number]
        expected += float((by_style * demand.affinity[number][owner]).sum())
    return TARGET_LINES / ((1 + RETURN_SHARE) * KEPT_SHARE * expected)


def _slice_stores(stores: pd.DataFrame) -> IndexArray:
    """Stores of each type, spread from north to south; first and last of a type included."""
    picked = []
    for kind, count in SLICE_TYPES.items():
        rows = np.flatnonzero(stores[c.STORE_TYPE].eq(kind))
        picked.append(rows[np.linspace(0, len(rows) - 1, count).astype(int)])
    return np.sort(np.concatenate(picked))


def _slice_categories(categories: pd.DataFrame) -> IndexArray:
    """The best-selling categories of each family and season."""
    weight = categories[WEIGHT].to_numpy()
    picked = []
    for (family, season), count in SLICE_CATEGORIES.items():
        rows = np.flatnonzero(categories[SEASON].eq(season) & categories[c.FAMILY].eq(family))
        picked.append(rows[np.argsort(-weight[rows], kind="stable")][:count])
    return np.sort(np.concatenate(picked))
