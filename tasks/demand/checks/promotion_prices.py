"""An alarm on the column `price` of promotions that is not a price: a discount, cents, or a price with tax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few
from schemas.panel import BoolArray, FloatArray
from tasks.demand.checks.limits import LIMITS

if TYPE_CHECKING:
    from tasks.demand.cleaning.prepared import Prepared

# Taxes explain a promotion price up to this multiple of net amounts (27 % is the highest value-added tax), and no more.
_TAX = 1.3
# The amounts of a promotion show its discount if they are at least this much lower per unit.
_VISIBLE = 0.97
# This many SKUs show it, too; a table of all SKUs can be large.
_MOST_SKUS = 1000


def promotion_prices(prepared: Prepared, table: pd.DataFrame) -> list[Alarm]:
    """Return an alarm if most stated prices cannot be promotion prices.

    Signs are: prices above the list price; prices far below or above the usual net amount per unit; net amounts of
    earlier promotions that are the usual ones less the stated number as a percentage or an amount.

    Args:
        prepared: corrected and summed tables.
        table: the promotions.
    """
    if c.PRICE not in table.columns:
        return []
    stated = table[np.isfinite(table[c.PRICE].to_numpy(dtype=np.float64)) & (table[c.PRICE] > 0).to_numpy()]
    skus = np.unique(stated[c.SKU].astype(str))[:_MOST_SKUS]
    stated = stated[stated[c.SKU].astype(str).isin(skus)]
    row = pd.Index(skus).get_indexer(stated[c.SKU].astype(str))
    price = stated[c.PRICE].to_numpy(dtype=np.float64)
    listed = _listed(prepared, skus)[row]
    usual, highest, during = _net_prices(prepared, stated, row, len(skus))
    with np.errstate(divide="ignore", invalid="ignore"):
        above = price / listed >= LIMITS.price_level
        of_list = np.isfinite(price / listed)
        ratio = price / usual
        far = (ratio <= 1 / LIMITS.price_jump) | (price / highest >= _TAX)
    known = np.isfinite(ratio)
    if above.sum() >= max(LIMITS.fewest_skus, LIMITS.units_skus * of_list.sum()):
        text = (
            f"the price is above that of the products table in {int(above.sum()):,} of {int(of_list.sum()):,} rows, "
            f"{float(np.median((price / listed)[above])):.3g} times"
        )
        return _alarm(text, above, stated)
    discount = _as_discount(price, usual, during, stated)
    if discount:
        return discount
    if far.sum() >= max(LIMITS.fewest_skus, LIMITS.contradicted * known.sum()):
        text = (
            f"in {int(far.sum()):,} of {int(known.sum()):,} rows the price is at most a fifth of the usual net amount "
            f"per unit, or at least {_TAX:g} times the highest one (between "
            f"{ratio[known].min():.3g} and {ratio[known].max():.3g} times the usual one)"
        )
        return _alarm(text, far, stated)
    return []


def _as_discount(price: FloatArray, usual: FloatArray, during: FloatArray, stated: pd.DataFrame) -> list[Alarm]:
    """Whether usual prices less the stated number are the prices of earlier promotions, and the numbers are not."""
    shown = np.isfinite(during) & np.isfinite(usual) & (during <= _VISIBLE * usual)
    cases = int(shown.sum())
    if cases < LIMITS.fewest_skus:
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = price / during
    # Prices, with tax or without, have one ratio to the net amounts.
    level = float(np.median(ratio[shown]))
    same = _near(ratio, level, 1 + LIMITS.price_noise)[shown].mean()
    if same >= LIMITS.contradicted and abs(np.log(level)) <= np.log(_TAX):
        return []
    for what, left in (("percentage", usual * (1 - price / 100)), ("amount", usual - price)):
        fits = shown & _near(left, during, 1 + LIMITS.price_noise)
        if fits.sum() >= max(LIMITS.fewest_skus, LIMITS.units_skus * cases):
            text = (
                f"in {int(fits.sum()):,} of {cases:,} rows of earlier promotions, the net amounts per unit are the "
                f"usual ones less the stated price as a discount ({what})"
            )
            return _alarm(text, fits, stated)
    return []


def _near(one: FloatArray, other: FloatArray | float, factor: float) -> BoolArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        near: BoolArray = np.abs(np.log(one / other)) <= np.log(factor)
    return near


def _alarm(text: str, rows: BoolArray, stated: pd.DataFrame) -> list[Alarm]:
    skus = np.unique(stated.loc[rows, c.SKU].astype(str))
    return [
        raise_alarm(
            "promotion_price",
            f"promotions: {text} ({first_few(list(skus))}). Is it the discount, in cents or with tax? Deliver the net "
            "price per unit during the promotion, or map the column to discount (a fraction)",
            skus=skus,
            count=int(rows.sum()),
        )
    ]


def _listed(prepared: Prepared, skus: np.ndarray) -> FloatArray:
    products = prepared.tables["products"]
    if c.PRICE not in products.columns:
        return np.full(len(skus), np.nan)
    price = pd.Series(products[c.PRICE].to_numpy(dtype=np.float64), index=products[c.SKU].astype(str))
    found: FloatArray = price.where(price > 0).reindex(skus).to_numpy()
    return found


def _net_prices(
    prepared: Prepared, stated: pd.DataFrame, row: np.ndarray, size: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Net amounts per unit of the SKU of each promotion; NaN for promotions before the window.

    Returns:
        The mean and the highest one of a period without promotions in the last periods, and that of the promotion.
    """
    cells = prepared.cells
    place = pd.Index(np.unique(stated[c.SKU].astype(str))).get_indexer(cells.skus.astype(str))
    sums = np.zeros((2, size + 1, cells.history))  # the last row: other SKUs
    for part in cells.parts():
        cell = place[part.cell_sku], part.cell_period
        np.add.at(sums[0], cell, part.priced_amount)
        np.add.at(sums[1], cell, part.priced_units)
    first = np.asarray(cells.periods.searchsorted(cells.frequency.label(stated[c.DATE_FROM])))
    stop = np.asarray(cells.periods.searchsorted(cells.frequency.label(stated[c.DATE_TO]), side="right"))
    since = max(cells.end - LIMITS.window[cells.frequency.kind], 0)
    outside = np.arange(cells.history) >= np.full((size, 1), since)
    inside = np.zeros((2, len(row)))
    for at, (sku, start, end) in enumerate(zip(row, first, stop, strict=True)):
        outside[sku, start:end] = False
        inside[:, at] = sums[:, sku, start:end].sum(axis=1)
    amount, units = sums[:, :-1] * outside
    with np.errstate(divide="ignore", invalid="ignore"):
        usual, during = amount.sum(axis=1) / units.sum(axis=1), inside[0] / inside[1]
        highest = np.where(units > 0, amount / units, 0.0).max(axis=1, initial=0.0)
    prices = np.stack([usual[row], highest[row], during])
    prices[~((first >= since) & (prices > 0))] = np.nan
    return prices[0], prices[1], prices[2]
