"""A chain of any size for load tests, written store by store and block by block, so that memory does not grow with it.

The categories, seasons and events are those of the demo company (:mod:`tasks.demo.catalog`,
:mod:`tasks.demo.timeline`). Every store sells every category, except the first store, which sells one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.errors import ConfigError
from tasks.demo.catalog import BRANDS, RANGES, audience_of
from tasks.demo.network import TYPE_LEVEL
from tasks.demo.timeline import (
    AUDIENCES,
    LAST_DAY,
    LAST_PLANNED_DAY,
    SEASONS,
    WEEKDAY_SHARE,
    closed_by_law,
    event_rows,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Layout = Literal["stores", "months", "csv"]
# Categories that are drawn together, with one random stream per store and block. A different number gives a different
# company.
BLOCK = 64
# Demand of a category in a store on a day varies with this gamma shape.
_DAY_SHAPE = 3.0
_RETURN_SHARE = 0.03
_MORE_UNITS_SHARE = 0.05
_PAIRS = tuple((brand, line, cluster) for brand, line in product(BRANDS, RANGES) for cluster in line.clusters)


@dataclass(frozen=True)
class LoadSize:
    """Size of a load company.

    Attributes:
        stores: number of stores.
        categories: number of categories; (stores - 1) * categories + 1 series, less those without a sale.
        skus: SKUs per category.
        days: days of sales up to the last day of the demo company, 2025-02-20.
        lines: expected sale lines per series and day.
        layout: files of the sales: one Parquet file per store, one per store and month, or one CSV file.
    """

    stores: int = 60
    categories: int = 118
    skus: int = 17
    days: int = 782
    lines: float = 0.5
    layout: Layout = "stores"

    def __post_init__(self) -> None:
        for name in ("stores", "categories", "skus", "days"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected an integer of at least 1.")
        if not self.lines > 0:
            raise ConfigError(f"lines is {self.lines:g}; expected a number above 0.")

    @property
    def series(self) -> int:
        """Number of pairs of store and category that sell."""
        return self.categories if self.stores == 1 else (self.stores - 1) * self.categories + 1


@dataclass(frozen=True)
class LoadCompany:
    """The data that all stores of a load company share.

    Attributes:
        size: its size.
        seed: seed of everything random.
        labels: the days of sales.
        weight: shape (categories,); mean 1.
        price: shape (categories,); net list price.
        slope: shape (categories,); trend, per year.
        curve: shape (categories,); row of ``curves``.
        curves: shape (curves, days); demand of a season and audience, mean about 1.
        level: shape (stores,); mean 1.
        discount: shape (days,); price cut, as a fraction.
        is_open: shape (days,).
    """

    size: LoadSize
    seed: int
    labels: pd.DatetimeIndex = field(repr=False)
    weight: FloatArray = field(repr=False)
    price: FloatArray = field(repr=False)
    slope: FloatArray = field(repr=False)
    curve: IntArray = field(repr=False)
    curves: FloatArray = field(repr=False)
    level: FloatArray = field(repr=False)
    discount: FloatArray = field(repr=False)
    is_open: NDArray[np.bool_] = field(repr=False)

    def store_id(self, store: int) -> str:
        """Return the id of a store."""
        return f"T{store + 1:05d}"

    def blocks(self, store: int) -> Iterator[range]:
        """Yield the categories of a store, block by block."""
        last = 1 if store == 0 and self.size.stores > 1 else self.size.categories
        for first in range(0, last, BLOCK):
            yield range(first, min(first + BLOCK, last))


def load_company(size: LoadSize, seed: int) -> LoadCompany:
    """Draw a company; its size does not change the memory that a block of sales needs."""
    rng = np.random.default_rng([seed, 10])
    n = size.categories
    labels = pd.date_range(end=pd.Timestamp(LAST_DAY), periods=size.days, freq="D")
    base = np.arange(n) % len(_PAIRS)
    seasons = list(SEASONS)
    season = np.array([seasons.index(line.season) for _, line, _ in _PAIRS])[base]
    audience = np.array([AUDIENCES.index(audience_of(cluster, line.subfamily)) for _, line, cluster in _PAIRS])[base]
    factor, discount = np.ones((len(AUDIENCES), size.days)), np.zeros(size.days)
    for event, first, last in event_rows(labels):
        days = slice(max(first, 0), max(min(last, size.days), 0))
        for index in range(len(AUDIENCES)):
            factor[index, days] *= event.factors(index)[days.start - first : days.stop - first]
        discount[days] = event.discount
    curves = [SEASONS[name].curve(labels) * factor[index] for name in seasons for index in range(len(AUDIENCES))]
    weight = np.array([line.weight for _, line, _ in _PAIRS])[base] * rng.lognormal(0, 0.6, n)
    price = np.array([line.price for _, line, _ in _PAIRS])[base] * rng.lognormal(0, 0.2, n)
    types = list(TYPE_LEVEL.values())
    level = np.array([types[store % len(types)] for store in range(size.stores)]) * rng.lognormal(0, 0.25, size.stores)
    return LoadCompany(
        size=size,
        seed=seed,
        labels=labels,
        weight=weight / weight.mean(),
        price=np.round(price),
        slope=rng.normal(0.02, 0.08, n),
        curve=season * len(AUDIENCES) + audience,
        curves=np.array(curves),
        level=level / level.mean(),
        discount=discount,
        is_open=~closed_by_law(labels),
    )


def sku_ids(categories: range, skus: int) -> list[str]:
    """Return the SKUs of some categories, category by category: digits with leading zeros."""
    return [f"{category + 1:06d}{number + 1:04d}" for category in categories for number in range(skus)]


@dataclass(frozen=True)
class LoadLines:
    """Sale lines of one store and block of categories, in the order of category and day.

    Attributes:
        day: shape (k,); position in the company's days.
        sku: shape (k,); position in :func:`sku_ids` of the block.
        units: shape (k,); negative = return.
        amount: shape (k,); net amount.
    """

    day: IntArray
    sku: IntArray
    units: IntArray
    amount: IntArray


def block_lines(company: LoadCompany, store: int, block: range) -> LoadLines:
    """Draw the sale lines of one store and block, with a separate random stream."""
    size = company.size
    rng = np.random.default_rng([company.seed, 11, store, block.start])
    rows = np.array(block)
    share = WEEKDAY_SHARE[company.labels.dayofweek] / WEEKDAY_SHARE.mean()
    years = (np.arange(size.days) - size.days / 2) / 365
    rate = company.curves[company.curve[rows]] * np.exp(company.slope[rows][:, None] * years)
    rate *= (size.lines * company.level[store]) * company.weight[rows][:, None] * (share * company.is_open)
    count = rng.poisson(rate * rng.gamma(_DAY_SHAPE, 1 / _DAY_SHAPE, rate.shape))
    category, day = np.nonzero(count)
    repeat = count[category, day]
    category, day = np.repeat(category, repeat), np.repeat(day, repeat)
    # The SKUs of a category sell like the sizes of a style: most in the middle.
    bell = np.exp(-0.5 * (np.linspace(-1.8, 1.8, size.skus)) ** 2) if size.skus > 1 else np.ones(1)
    number = np.searchsorted(np.cumsum(bell / bell.sum())[:-1], rng.random(len(day)))
    units = np.where(rng.random(len(day)) < _MORE_UNITS_SHARE, 1 + rng.geometric(0.7, len(day)), 1)
    price = np.round(company.price[rows][category] * (1 - company.discount[day]))
    units = np.where(rng.random(len(day)) < _RETURN_SHARE, -1, units)
    return LoadLines(day, category * size.skus + number, units, (price * units).astype(np.int64))


def product_block(company: LoadCompany, block: range) -> pd.DataFrame:
    """Return the products of a block of categories: one row per SKU."""
    pairs = [_PAIRS[category % len(_PAIRS)] for category in block]
    brands = [f"{_PAIRS[category % len(_PAIRS)][0]} {category // len(_PAIRS) + 1}" for category in block]
    each = company.size.skus
    return pd.DataFrame(
        {
            c.SKU: sku_ids(block, each),
            c.BRAND: np.repeat(brands, each),
            c.FAMILY: np.repeat([line.family for _, line, _ in pairs], each),
            c.SUBFAMILY: np.repeat([line.subfamily for _, line, _ in pairs], each),
            c.CLUSTER: np.repeat([cluster for _, _, cluster in pairs], each),
            c.SIZE: [str(number + 1) for _ in block for number in range(each)],
            c.PRICE: np.repeat(company.price[np.array(block)], each),
        }
    )


def stock_block(company: LoadCompany, store: int, block: range) -> pd.DataFrame:
    """Return a store's stock of a block of categories on the morning after the last day: two weeks of sales."""
    rng = np.random.default_rng([company.seed, 12, store, block.start])
    mean = 14 * company.size.lines * company.level[store] * company.weight[np.array(block)] / company.size.skus
    on_hand = rng.poisson(np.repeat(mean, company.size.skus))
    return pd.DataFrame(
        {c.STORE_ID: company.store_id(store), c.SKU: sku_ids(block, company.size.skus), c.ON_HAND: on_hand}
    )


def dc_stock_block(company: LoadCompany, block: range) -> pd.DataFrame:
    """Return the distribution center's stock of a block of categories: four weeks of the chain's sales."""
    rng = np.random.default_rng([company.seed, 13, block.start])
    size = company.size
    mean = 28 * size.lines * size.stores * company.weight[np.array(block)] / size.skus
    return pd.DataFrame({c.SKU: sku_ids(block, size.skus), c.AVAILABLE: rng.poisson(np.repeat(mean, size.skus))})


def store_rows(company: LoadCompany) -> pd.DataFrame:
    """Return the stores: type, storage for about 45 days of sales, display for half of the SKUs, cost of a delivery."""
    size, types = company.size, list(TYPE_LEVEL)
    numbers = range(size.stores)
    sold = size.lines * company.level * size.categories
    return pd.DataFrame(
        {
            c.STORE_ID: [company.store_id(store) for store in numbers],
            c.STORE_TYPE: [types[store % len(types)] for store in numbers],
            c.STORAGE_CAPACITY: np.ceil(45 * sold).astype(np.int64),
            c.DISPLAY_CAPACITY: np.full(size.stores, max(1, size.categories * size.skus // 2)),
            c.VISIT_COST: 30_000 + 500 * (np.arange(size.stores) % 40),
        }
    )


def calendar_rows(company: LoadCompany) -> pd.DataFrame:
    """Return the chain's calendar, from the first day of sales to the end of 2025: event, and open (0 = closed)."""
    labels = pd.date_range(company.labels[0], LAST_PLANNED_DAY, freq="D")
    event = np.full(len(labels), "", dtype=object)
    for named, first, last in event_rows(labels):
        event[max(first, 0) : max(last, 0)] = named.name
    return pd.DataFrame({c.DATE: labels, c.EVENT: event, c.OPEN: np.where(closed_by_law(labels), 0, 1)})
