"""A generated retail chain whose sales after ``as_of`` are known: what the accuracy guard forecasts.

Level, weekly and yearly season, promotions, events, intermittent and short series, drifting and shifted levels,
and noise wider than Poisson. Values depend on the seed alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Stores of one type share a weekly profile, Monday to Sunday.
WEEK = {
    "mall": (0.75, 0.7, 0.75, 0.85, 1.15, 1.6, 1.2),
    "street": (1.05, 1.0, 1.0, 1.05, 1.25, 1.4, 0.25),
    "outlet": (0.6, 0.6, 0.65, 0.8, 1.1, 1.75, 1.5),
}
# Family: amplitude and month of the yearly peak, lift by a discount of 30 %.
FAMILIES = {"boots": (0.6, 7, 1.7), "sandals": (0.8, 1, 2.2), "sneakers": (0.15, 3, 1.5), "care": (0.1, 12, 1.2)}


@dataclass(frozen=True)
class Size:
    """How much is generated.

    Attributes:
        stores: number of stores.
        skus: number of SKUs; a series is a SKU in a store.
        days: days before ``as_of``.
        hidden: days from ``as_of`` on, to be forecast.
        level: mean units a day of a middling SKU in a middling store.
    """

    stores: int
    skus: int
    days: int
    hidden: int
    level: float


@dataclass(frozen=True)
class Chain:
    """Typed tables as validation leaves them; sales continue after ``as_of``, where nothing may read them."""

    tables: dict[str, pd.DataFrame]
    as_of: pd.Timestamp


def generate_chain(size: Size, as_of: str, seed: int) -> Chain:
    """The chain's tables; sales reach ``hidden`` days beyond ``as_of``."""
    rng = np.random.default_rng(seed)
    first = pd.Timestamp(as_of) - pd.Timedelta(days=size.days)
    days = pd.date_range(first, periods=size.days + size.hidden)
    stores = _stores(size, rng)
    products = _products(size, rng)
    promotions = _promotions(products, days, rng)
    calendar = _calendar(days)
    sales = _sales(size, days, stores, products, promotions, calendar, rng)
    tables = {
        "sales": sales,
        "products": products[["sku", "family", "price"]],
        "stores": stores[["store_id", "store_type"]],
        "promotions": promotions,
        "calendar": calendar,
    }
    return Chain(tables, pd.Timestamp(as_of))


def _stores(size: Size, rng: np.random.Generator) -> pd.DataFrame:
    kinds = list(WEEK)
    return pd.DataFrame(
        {
            "store_id": [f"s{number:02d}" for number in range(size.stores)],
            "store_type": [kinds[number % len(kinds)] for number in range(size.stores)],
            "factor": np.exp(rng.normal(0, 0.35, size.stores)),
        }
    )


def _products(size: Size, rng: np.random.Generator) -> pd.DataFrame:
    """A fourth of the SKUs sells seldom; every sixth is new, since 20 to 160 days."""
    families = list(FAMILIES)
    number = np.arange(size.skus)
    seldom = number % 4 == 3
    return pd.DataFrame(
        {
            "sku": [f"k{at:02d}" for at in number],
            "family": [families[(at * 3 + at // 4) % len(families)] for at in number],
            "price": np.round(rng.uniform(20, 90, size.skus), 2),
            "factor": np.exp(rng.normal(0, 0.45, size.skus)) * np.where(seldom, 0.06, 1.0),
            "age": np.where(number % 6 == 4, rng.integers(20, 160, size.skus), size.days),
            "trend": rng.normal(0, 0.15, size.skus),
        }
    )


def _promotions(products: pd.DataFrame, days: pd.DatetimeIndex, rng: np.random.Generator) -> pd.DataFrame:
    """About six promotions of a SKU a year, of one or two weeks; every third SKU has one planned after ``as_of``."""
    rows = []
    for at, item in enumerate(products.itertuples()):
        starts = days[rng.random(len(days)) < 6 / 365.0]
        planned = [days[-1] - pd.Timedelta(days=9)] if at % 3 == 0 else []
        for start in [*starts, *planned]:
            discount = float(rng.choice([0.2, 0.3, 0.4]))
            rows.append((item.sku, start, start + pd.Timedelta(days=int(rng.choice([6, 13]))), discount))
    return pd.DataFrame(rows, columns=["sku", "date_from", "date_to", "discount"])


def _calendar(days: pd.DatetimeIndex) -> pd.DataFrame:
    """Two events a year that lift sales, and days on which all stores are closed."""
    table = pd.DataFrame({"date": days, "open": True, "holiday": "", "event": ""})
    table.loc[(days.month == 11) & (days.day >= 22) & (days.day <= 29), "event"] = "black week"
    table.loc[(days.month == 5) & (days.day >= 25), "event"] = "cyber days"
    closed = (
        ((days.month == 1) & (days.day == 1))
        | ((days.month == 12) & (days.day == 25))
        | ((days.month == 5) & (days.day == 1))
    )
    table.loc[closed, ["open", "holiday"]] = [False, "public holiday"]
    return table


def _sales(
    size: Size,
    days: pd.DatetimeIndex,
    stores: pd.DataFrame,
    products: pd.DataFrame,
    promotions: pd.DataFrame,
    calendar: pd.DataFrame,
    rng: np.random.Generator,
) -> pd.DataFrame:
    n, count = len(stores) * len(products), len(days)
    store = np.repeat(np.arange(len(stores)), len(products))
    item = np.tile(np.arange(len(products)), len(stores))
    peak = np.array([FAMILIES[family][1] for family in products["family"]])
    amplitude = np.array([FAMILIES[family][0] for family in products["family"]])
    turn = 2 * np.pi * (days.dayofyear.to_numpy() / 365.25 - (peak[:, None] - 0.5) / 12)
    yearly = np.exp(amplitude[:, None] * np.cos(turn))
    weekly = np.array([np.array(WEEK[kind])[days.dayofweek] for kind in stores["store_type"]])
    years = (np.arange(count) - size.days) / 365.25
    trend = np.exp(products["trend"].to_numpy()[:, None] * years)
    drift = np.exp(np.cumsum(rng.normal(0, 0.012, (n, count)), axis=1))
    drift /= drift.mean(axis=1, keepdims=True)
    shifted = np.arange(count) >= size.days - rng.integers(10, 120, n)[:, None]
    drift *= np.where(shifted & (np.arange(n) % 8 == 5)[:, None], rng.choice([0.5, 1.8], n)[:, None], 1.0)
    weather = np.exp(rng.normal(0, 0.08, (len(stores), count)))
    day = np.where(calendar["event"] != "", 1.6, 1.0) * calendar["open"].to_numpy()
    lift = _lift(days, products, promotions)
    rate = (
        size.level
        * stores["factor"].to_numpy()[store, None]
        * products["factor"].to_numpy()[item, None]
        * (yearly * trend * lift)[item]
        * (weekly * weather)[store]
        * drift
        * day
    )
    rate[np.arange(count) < (size.days - products["age"].to_numpy()[item])[:, None]] = 0
    units = rng.poisson(rate * rng.gamma(8.0, 1 / 8.0, rate.shape))
    at, on = np.nonzero(units)
    sold = units[at, on].astype(np.float64)
    price = products["price"].to_numpy()[item[at]] * (1 - _discount(days, products, promotions)[item[at], on])
    return pd.DataFrame(
        {
            "date": days[on],
            "store_id": stores["store_id"].to_numpy(object)[store[at]],
            "sku": products["sku"].to_numpy(object)[item[at]],
            "units": sold,
            "net_amount": sold * price,
        }
    )


def _discount(days: pd.DatetimeIndex, products: pd.DataFrame, promotions: pd.DataFrame) -> np.ndarray:
    """The largest discount by SKU and day."""
    found = np.zeros((len(products), len(days)))
    place = {sku: at for at, sku in enumerate(products["sku"])}
    for row in promotions.itertuples():
        within = (days >= row.date_from) & (days <= row.date_to)
        found[place[row.sku], within] = np.maximum(found[place[row.sku], within], row.discount)
    return found


def _lift(days: pd.DatetimeIndex, products: pd.DataFrame, promotions: pd.DataFrame) -> np.ndarray:
    lift = np.array([FAMILIES[family][2] for family in products["family"]])
    return np.asarray(lift[:, None] ** (_discount(days, products, promotions) / 0.3))
