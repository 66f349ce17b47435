"""Sale lines of the demo company: sales of displayed goods, and returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from tasks.demo.catalog import ARTICLE
from tasks.demo.chain import RETURN_SHARE, Chain
from tasks.demo.timeline import DAYS, dates

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

# Stock-outs per SKU and store over the whole time, and their mean length in days.
STOCK_OUTS = 0.9
STOCK_OUT_DAYS = 8
# Share of the styles of a store that disappear from the shelf once, and for how many days.
NOT_SHOWN_SHARE = 0.1
NOT_SHOWN_DAYS = (21, 61)
# Styles that no store displayed from 2023-09-10 to 2023-11-02.
GAP_ARTICLES = 6
GAP_DAYS = (252, 306)
# Demand of a category in a store on a day varies with this gamma shape.
DAY_SHAPE = 3.0
MORE_UNITS_SHARE = 0.05
RETURN_DAYS_MEAN = 9
SPECIAL_PRICE_SHARE = 0.08
BULK_LINE = 12
LARGEST_LINE = 223
LARGEST_RETURN = 50


@dataclass(frozen=True)
class Lines:
    """Sale lines as parallel arrays: day number, store, SKU (rows of the company's tables), units, CLP."""

    day: IntArray
    store: IntArray
    sku: IntArray
    units: IntArray
    amount: IntArray

    def take(self, rows: IntArray | BoolArray) -> Lines:
        """Some of the lines."""
        return Lines(self.day[rows], self.store[rows], self.sku[rows], self.units[rows], self.amount[rows])


def join_lines(parts: list[Lines]) -> Lines:
    """All lines of several parts, one after the other."""
    names = ("day", "store", "sku", "units", "amount")
    return Lines(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class StoreHistory:
    """One store's past.

    Attributes:
        lines: sale lines of the slice's SKUs.
        empty: shape (SKUs of the chain, days); the store had none of a SKU that it carries.
        rate: shape (SKUs of the chain,); mean expected lines a day over the last four weeks.
        yearly_rate: shape (SKUs of the chain,); the same over the last year.
    """

    lines: Lines
    empty: BoolArray
    rate: FloatArray
    yearly_rate: FloatArray


def store_history(chain: Chain, store: int) -> StoreHistory:
    """Simulate one store from its first to its last day, with its own random stream."""
    rng = np.random.default_rng([chain.seed, 1, store])
    rate = chain.store_rates(store)
    category = chain.styles[c.CATEGORY].to_numpy()[chain.skus[ARTICLE].to_numpy()]
    mood = rng.gamma(DAY_SHAPE, 1 / DAY_SHAPE, (len(chain.categories), DAYS))
    empty = _spells(rng, len(chain.skus), STOCK_OUTS, rng.geometric(1 / STOCK_OUT_DAYS, 4 * len(chain.skus)))
    shown = ~empty & _shown(chain, rng)
    count = rng.poisson(rate * mood[category] * shown)
    sku, day = np.nonzero(count)
    repeat = count[sku, day]
    sku, day = np.repeat(sku, repeat), np.repeat(day, repeat)
    sold = _priced(chain, rng, sku, day, store)
    lines = join_lines([sold, _returns(chain, rng, sold)])
    carried = rate > 0
    in_slice = lines.take(np.isin(lines.sku, chain.sku_numbers))
    return StoreHistory(in_slice, empty & carried, rate[:, -28:].mean(axis=1), rate[:, -365:].mean(axis=1))


def _spells(rng: np.random.Generator, rows: int, mean_count: float, lengths: IntArray) -> BoolArray:
    """Random stretches of days, shape (rows, days): a Poisson number of them per row."""
    row = np.repeat(np.arange(rows), rng.poisson(mean_count, rows))
    start = rng.integers(0, DAYS, len(row))
    end = np.minimum(start + np.resize(lengths, len(row)), DAYS)
    steps = np.zeros((rows, DAYS + 1), dtype=np.int16)
    np.add.at(steps, (row, start), 1)
    np.add.at(steps, (row, end), -1)
    inside: BoolArray = steps.cumsum(axis=1, dtype=np.int16)[:, :DAYS] > 0
    return inside


def _shown(chain: Chain, rng: np.random.Generator) -> BoolArray:
    """Which SKUs are on display on which days; a hidden style hides all its sizes."""
    styles = len(chain.styles)
    hidden = _spells(rng, styles, NOT_SHOWN_SHARE, rng.integers(*NOT_SHOWN_DAYS, styles))
    gap = np.random.default_rng([chain.seed, 2]).choice(styles, GAP_ARTICLES, replace=False)
    hidden[gap, GAP_DAYS[0] : GAP_DAYS[1]] = True
    shown: BoolArray = ~hidden[chain.skus[ARTICLE].to_numpy()]
    return shown


def _priced(chain: Chain, rng: np.random.Generator, sku: IntArray, day: IntArray, store: int) -> Lines:
    """Units and net amount of sale lines: mostly one unit, at the day's price or a little below."""
    n = len(sku)
    more = rng.random(n) < MORE_UNITS_SHARE
    units = np.where(more, 1 + rng.geometric(0.7, n), 1)
    if n:
        units[rng.integers(n)] = LARGEST_LINE if store == _store_with_a_slip(chain) else BULK_LINE
    style = chain.skus[ARTICLE].to_numpy()[sku]
    price = chain.styles[c.PRICE].to_numpy()[style] * (1 - chain.rates.discount[style, day])
    special = rng.random(n) < SPECIAL_PRICE_SHARE
    price = np.round(price * np.where(special, 1 - rng.uniform(0.05, 0.2, n), 1.0))
    return Lines(day, np.full(n, store), sku, units, (price * units).astype(np.int64))


def _store_with_a_slip(chain: Chain) -> int:
    """The store that gets a sale line with far too many units: the first store of type A."""
    return int(np.flatnonzero(chain.stores[c.STORE_TYPE].eq("A"))[0])


def _returns(chain: Chain, rng: np.random.Generator, sold: Lines) -> Lines:
    """Returns some days later at the price paid, never on a day on which the store is closed."""
    back = sold.take((rng.random(len(sold.day)) < RETURN_SHARE) | (sold.units > LARGEST_RETURN))
    day = back.day + rng.geometric(1 / RETURN_DAYS_MEAN, len(back.day))
    kept = day < DAYS
    back, day = back.take(kept), day[kept]
    is_open = chain.demand.by_day[back.store[0]] > 0 if len(day) else np.ones(DAYS, dtype=bool)
    open_day = is_open[day]
    back, day = back.take(open_day), day[open_day]
    share = np.where(back.units > LARGEST_RETURN, LARGEST_RETURN, back.units)
    amount = np.round(back.amount / np.maximum(back.units, 1) * share).astype(np.int64)
    return Lines(day, back.store, back.sku, -share, -amount)


def sales_table(chain: Chain, lines: Lines) -> pd.DataFrame:
    """Sale lines in the order of date, store and SKU.

    Returns:
        One row per line: date, store_id and sku (categorical), units (negative = return), net_amount.
    """
    ordered = lines.take(np.lexsort((-lines.units, lines.sku, lines.store, lines.day)))
    return pd.DataFrame(
        {
            c.DATE: dates(DAYS)[ordered.day],
            c.STORE_ID: pd.Categorical.from_codes(ordered.store, chain.stores[c.STORE_ID].tolist()),
            c.SKU: pd.Categorical.from_codes(ordered.sku, chain.skus[c.SKU].tolist()),
            c.UNITS: ordered.units.astype(np.int16),
            c.NET_AMOUNT: ordered.amount,
        }
    )


def availability_table(chain: Chain, histories: dict[int, StoreHistory]) -> pd.DataFrame:
    """Days on which a store had none of a SKU that it carries (in_stock = 0); other days are in stock."""
    labels, parts = dates(DAYS), []
    for store, history in histories.items():
        sku, day = np.nonzero(history.empty[chain.sku_numbers])
        parts.append(
            pd.DataFrame(
                {
                    c.DATE: labels[day],
                    c.STORE_ID: chain.stores[c.STORE_ID].iloc[store],
                    c.SKU: chain.skus[c.SKU].to_numpy()[chain.sku_numbers][sku],
                }
            )
        )
    table = pd.concat(parts, ignore_index=True).sort_values([c.DATE, c.STORE_ID, c.SKU], ignore_index=True)
    return table.assign(**{c.IN_STOCK: 0})
