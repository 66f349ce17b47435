"""Lines whose units are boxes: the price per unit shows it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, alarm_of_rows
from schemas.errors import first_few, numbered
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.sales import BLOCK_LINES, blocks_of

# Largest difference between the price of a box and a whole multiple of the price of a piece, as a fraction.
_NEAR_WHOLE = 0.1
# Units per line in pieces that differ by less than this factor count as equal.
_SIMILAR = 3.0
_FACTOR = "factor"


def in_single_units(lines: pd.DataFrame) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Convert the lines of a SKU that are in boxes to pieces, if the price per unit is evidence of it.

    The evidence: among the lines of one SKU are two prices per unit, and the higher one is a whole multiple n, at least
    ``LIMITS.price_jump``, of the lower one. The units of the lines with the higher price are multiplied by n, if both
    prices occur at the same time in one store, or if the units fall as the price rises. Otherwise the price rose, or is
    in another currency. If the prices differ as much but are not multiples, nothing changes, and an alarm is raised. A
    price that falls over time is a markdown.

    Args:
        lines: all lines of some SKUs.

    Returns:
        The lines, and the lines with the higher price for :func:`unit_price_alarms`.
    """
    if c.NET_AMOUNT not in lines.columns:
        return lines, []
    units = lines[c.UNITS].to_numpy(dtype=np.float64)
    amount = lines[c.NET_AMOUNT].to_numpy(dtype=np.float64)
    sku, names = pd.factorize(lines[c.SKU])
    priced = _lines_of_two_prices(units, amount, sku, len(names))
    if not len(priced):
        return lines, []
    prices = pd.DataFrame({"item": sku[priced], "price": amount[priced] / units[priced], "at": priced})
    high = _is_high(prices["price"], prices["item"])
    store, stores = pd.factorize(lines[c.STORE_ID])
    count = np.bincount(prices["item"], minlength=len(names))
    many = np.bincount(prices["item"][high], minlength=len(names))
    concerned = (many >= LIMITS.price_lines * count) & (many >= LIMITS.fewest_lines)
    concerned &= (count - many) >= LIMITS.fewest_lines
    day = lines[c.DATE].to_numpy(dtype="datetime64[D]").astype(np.int64)[priced]
    concerned &= _mean_by(prices["item"], day, high, len(names)) >= _mean_by(prices["item"], day, ~high, len(names))
    if not concerned.any():
        return lines, []
    chosen = high & concerned[prices["item"]]
    middle = prices.loc[~high].groupby("item")["price"].median()
    upper = prices.loc[chosen].groupby("item")["price"]
    factor = (upper.median() / middle.reindex(upper.median().index)).astype(float)
    whole = factor.round()
    steady = (upper.quantile(0.75) <= (1 + _NEAR_WHOLE) * upper.quantile(0.25)) & (
        (factor / whole - 1).abs() <= _NEAR_WHOLE / 2
    )
    boxes = (
        steady
        & (whole >= LIMITS.price_jump)
        & _can_be_boxes(prices, units, day, high, factor, prices["item"].to_numpy() * len(stores) + store[priced])
    )
    found: list[pd.DataFrame] = []
    if boxes.any():
        rows = prices.loc[chosen & prices["item"].isin(boxes.index[boxes]).to_numpy()]
        converted = units.copy()
        converted[rows["at"]] *= whole.reindex(rows["item"]).to_numpy()
        found.append(_evidence("units_in_boxes", lines, rows, names, whole))
        lines = lines.assign(**{c.UNITS: converted})
    if (~boxes).any():
        rows = prices.loc[chosen & prices["item"].isin(boxes.index[~boxes]).to_numpy()]
        found.append(_evidence("price_per_unit_jumps", lines, rows, names, factor))
    return lines, found


def _lines_of_two_prices(units: FloatArray, amount: FloatArray, sku: IndexArray, size: int) -> IndexArray:
    """Lines with a price, of the SKUs of which a line has a high price; a part of the SKUs at a time."""
    found = np.zeros(size, dtype=bool)
    for rows in blocks_of(sku, BLOCK_LINES):
        at = rows[(units[rows] > 0) & (amount[rows] > 0)]
        item = pd.Series(sku[at])
        found[item[_is_high(pd.Series(amount[at] / units[at]), item)]] = True
    return np.flatnonzero(found[sku] & (units > 0) & (amount > 0))


def _is_high(price: pd.Series, item: pd.Series) -> BoolArray:
    """Whether a price per unit is far above the lower prices of the SKU."""
    low = price.groupby(item).quantile(LIMITS.price_lines / 2)
    found: BoolArray = price.to_numpy() / item.map(low).to_numpy() >= LIMITS.price_jump
    return found


def _can_be_boxes(
    prices: pd.DataFrame, units: FloatArray, day: IndexArray, high: BoolArray, factor: pd.Series, place: IndexArray
) -> pd.Series:
    """Items whose two prices occur at the same time in a store, or whose units per line fall by the price's factor.

    ``place`` is a number of the item and store of each row of ``prices``.
    """
    item = prices["item"].to_numpy()
    # A store without a line with the higher price is no evidence: its prices may be in another currency.
    both = np.isin(place, place[high])
    begun = pd.Series(day[high]).groupby(item[high]).min()
    later = ~high & both & (day >= begun.reindex(item).to_numpy())
    low_later = pd.Series(later).groupby(item).sum().reindex(factor.index)
    high_lines = pd.Series(high).groupby(item).sum().reindex(factor.index)
    together = low_later >= LIMITS.price_lines * (low_later + high_lines)
    sold = units[prices["at"].to_numpy()]
    size = [pd.Series(sold[part]).groupby(item[part]).median().reindex(factor.index) for part in (high, ~high)]
    return together | ((size[0] * factor / size[1]).between(1 / _SIMILAR, _SIMILAR))


def _mean_by(key: pd.Series, values: IndexArray, chosen: BoolArray, size: int) -> FloatArray:
    """Mean of the chosen values by key, shape (size,); 0 without values."""
    total = np.bincount(key[chosen], values[chosen], minlength=size)
    mean: FloatArray = total / np.maximum(np.bincount(key[chosen], minlength=size), 1)
    return mean


def _evidence(name: str, lines: pd.DataFrame, rows: pd.DataFrame, names: pd.Index, factor: pd.Series) -> pd.DataFrame:
    concerned = lines.iloc[rows["at"]]
    return pd.DataFrame(
        {
            c.NAME: name,
            c.SKU: [str(names[code]) for code in rows["item"]],
            c.STORE_ID: concerned[c.STORE_ID].astype(str).to_numpy(),
            c.DATE: concerned[c.DATE].to_numpy(),
            _FACTOR: factor.reindex(rows["item"]).to_numpy(),
        }
    )


def unit_price_alarms(found: list[pd.DataFrame]) -> list[Alarm]:
    """The alarms ``units_in_boxes`` and ``price_per_unit_jumps`` of the lines that :func:`in_single_units` found."""
    alarms = []
    for name, done in (("units_in_boxes", "was converted to pieces"), ("price_per_unit_jumps", "is taken as it is")):
        parts = [part for part in found if part[c.NAME].iloc[0] == name]
        if not parts:
            continue
        rows = pd.concat(parts, ignore_index=True)
        skus = sorted(rows[c.SKU].unique())
        factors = sorted({f"{value:.3g}" for value in rows[_FACTOR].unique()}, key=float)
        alarms.append(
            alarm_of_rows(
                name,
                f"sales: the price per unit of {numbered(len(skus), '# SKU[s]')} ({first_few(skus)}) is "
                f"{', '.join(factors[:5])} times as high in {len(rows):,} of their lines: another unit of measure or "
                f"currency? The quantity of these lines {done}",
                rows,
            )
        )
    return alarms
