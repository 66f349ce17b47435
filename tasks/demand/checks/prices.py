"""Alarms on amounts: signs and zeros that contradict the units, and price levels of stores or of all sales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import BoolArray, FloatArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.sales import TextArray, blocks_of
from tasks.storage.mapped import filled, release, zeros

if TYPE_CHECKING:
    from tasks.demand.cleaning.prepared import Prepared
    from tasks.demand.cleaning.sales import SaleCells

# With fewer stores, the different one cannot be identified.
_FEWEST_STORES = 3
_FREE = "free"
# Pairs that are compared at once; a SKU or store is never divided.
_PAIRS = 1 << 18
# Amounts that grow by at most this power of the units are prices per unit.
_PER_UNIT = 0.2
# Sum of squares of the logarithms of a SKU's units, from which its amounts show that.
_SPREAD = 2.0
# Periods in which prices are compared; prices that differ by less than this from those of the last periods have stayed.
_BLOCK = {"D": 28, "W": 4, "MS": 1}
_LASTING = 0.1


def odd_amounts(lines: pd.DataFrame) -> pd.DataFrame:
    """Find sale lines whose net amount has the opposite sign of the units, or is 0.

    Lines of SKUs that mostly have no amount do not count: they are free, or their amount is unknown.

    Args:
        lines: all lines of some SKUs.

    Returns:
        Store, SKU, ``free`` (the amount is 0), the number of such lines, and their first and last date.
    """
    if c.NET_AMOUNT not in lines.columns:
        return pd.DataFrame()
    units, amount = (lines[name].to_numpy(dtype=np.float64) for name in (c.UNITS, c.NET_AMOUNT))
    free = (units != 0) & (amount == 0)
    if free.any():
        sku = pd.factorize(lines[c.SKU])[0]
        stated = np.bincount(sku, amount != 0) > LIMITS.contradicted * np.bincount(sku)
        free &= stated[sku]
    odd = lines.loc[free | (units * amount < 0), [c.STORE_ID, c.SKU, c.DATE]].astype({c.STORE_ID: str, c.SKU: str})
    odd = odd.assign(**{_FREE: free[free | (units * amount < 0)]})
    found = odd.groupby([_FREE, c.STORE_ID, c.SKU])[c.DATE].agg(["size", "min", "max"])
    return found.reset_index()


class AmountsPerUnit:
    """How net amounts grow with the units of a line, within each SKU: in proportion, or not at all if they are prices.

    Args:
        skus: number of SKUs.
    """

    def __init__(self, skus: int) -> None:
        self._sums = np.zeros((5, skus))

    def add(self, lines: pd.DataFrame) -> None:
        """Add the lines of some SKUs."""
        if c.NET_AMOUNT not in lines.columns:
            return
        units, amount = (lines[name].to_numpy(dtype=np.float64) for name in (c.UNITS, c.NET_AMOUNT))
        both = (units > 0) & (amount > 0)
        x, y = np.log(units[both]), np.log(amount[both])
        sku = lines[c.SKU].cat.codes.to_numpy()[both]
        for at, values in enumerate((np.ones(len(x)), x, y, x * x, x * y)):
            self._sums[at] += np.bincount(sku, values, minlength=self._sums.shape[1])

    def alarm(self) -> list[Alarm]:
        """The alarm ``odd_amounts``, in a list, if amounts do not depend on the units; else empty."""
        count, x, y, xx, xy = self._sums
        spread, together = xx - x * x / np.maximum(count, 1), xy - x * y / np.maximum(count, 1)
        several = spread > _SPREAD
        if several.sum() < LIMITS.fewest_skus or (together <= _PER_UNIT * spread)[several].mean() < LIMITS.units_skus:
            return []
        return [
            raise_alarm(
                "odd_amounts",
                "sales: the net amounts of lines with many units are not larger than those of lines with few: they are "
                "probably prices per unit. Map net_amount to the amount of the line, or multiply it by the units",
                count=int(count[several].sum()),
            )
        ]


def odd_amounts_alarms(parts: Sequence[pd.DataFrame], rows: int) -> list[Alarm]:
    """Return the alarms on the lines that :func:`odd_amounts` found among a number of rows."""
    found = pd.concat(parts) if parts else pd.DataFrame()
    if found.empty:
        return []
    alarms = []
    for free, text in (
        (False, "a net amount with the opposite sign of the units: are they returns"),
        (True, "units and a net amount of 0: are they transfers, free goods or own use"),
    ):
        concerned = found[found[_FREE] == free]
        count = int(concerned["size"].sum())
        if count >= max(LIMITS.fewest_lines, LIMITS.odd_amounts * rows):
            alarms.append(
                raise_alarm(
                    "odd_amounts",
                    f"sales: {count:,} of {rows:,} lines have {text}? Their units count as written. Leave "
                    "the lines out (sources.sales.ignore) or correct them if they are not sales",
                    stores=sorted(concerned[c.STORE_ID].unique()),
                    skus=sorted(concerned[c.SKU].unique()),
                    dates=(concerned["min"].min().date(), concerned["max"].max().date()),
                    count=count,
                )
            )
    return alarms


def price_levels(prepared: Prepared) -> list[Alarm]:
    """Return an alarm for stores whose prices are the same multiple of the prices elsewhere for almost all SKUs.

    Possible causes are tax, another currency, cents, or a store with other prices. The price per unit of all sales is
    compared with the price of the products table in the same way, with the factor of another unit.
    """
    cells = prepared.cells
    units, amount = (zeros(len(cells.pair_sku), np.float64) for _ in range(2))
    for part in cells.parts():
        units[part.pairs] += np.bincount(part.cell_pair, part.priced_units, minlength=len(part.pairs))
        amount[part.pairs] += np.bincount(part.cell_pair, part.priced_amount, minlength=len(part.pairs))
    return [
        *(_of_stores(cells, units, amount) or _against_list(prepared, units, amount)),
        *_of_times(cells),
    ]


def _of_stores(cells: SaleCells, units: FloatArray, amount: FloatArray) -> list[Alarm]:
    ratio = _ratios(cells, units, amount)
    if ratio is None:
        return []
    found = []
    for pairs in cells.store_blocks(_PAIRS):
        known = pd.Series(ratio[pairs], index=cells.pair_store[pairs]).dropna()
        of_store = known.groupby(level=0)
        level = of_store.median()
        near = (known - level.reindex(known.index).to_numpy()).abs() <= np.log(1 + LIMITS.price_noise)
        same = near.groupby(level=0).mean()
        odd = (level.abs() >= np.log(LIMITS.price_level)) & (same >= LIMITS.units_skus)
        found.append(level[odd & (of_store.size() >= LIMITS.fewest_skus)])
    odd = pd.concat(found)
    if odd.empty:
        return []
    named = [f"{cells.stores[at]} ({np.exp(value):.3g} times)" for at, value in odd.items()]
    names = cells.stores[odd.index.to_numpy()]
    return [
        raise_alarm(
            "price_level",
            f"sales: almost all SKUs have another price per unit in {numbered(len(odd), '# store[s]')} than in the "
            f"other stores, by the same factor: {first_few(named)}. Are the amounts in another currency, in cents, or "
            "with tax? Deliver net amounts in one currency; prices are the cost of lost units",
            stores=names,
            count=len(odd),
        )
    ]


def _ratios(cells: SaleCells, units: FloatArray, amount: FloatArray) -> FloatArray | None:
    """Logarithm of the price of each pair as a multiple of the SKU's usual one, NaN without a usual one, shape (p,).

    None if few stores have prices.
    """
    ratio = filled(len(units), np.float64, lambda part: np.full(part.stop - part.start, np.nan))
    stores = np.zeros(len(cells.stores), dtype=bool)
    for every in blocks_of(cells.pair_sku, _PAIRS):
        with np.errstate(divide="ignore", invalid="ignore"):
            price = np.where(units[every] > 0, amount[every] / units[every], np.nan)
        rows, price = every[price > 0], pd.Series(price[price > 0])
        stores[cells.pair_store[rows]] = True
        of_sku = price.groupby(cells.pair_sku[rows])
        common = (of_sku.transform("size") >= _FEWEST_STORES).to_numpy()
        ratio[rows[common]] = np.log(price / of_sku.transform("median")).to_numpy()[common]
        release()
    return ratio if stores.sum() >= _FEWEST_STORES else None


def _single_prices(skus: TextArray, ratio: FloatArray) -> list[Alarm]:
    """Single SKUs whose amounts per unit are far from the products' price: boxes, grams, or a wrong price."""
    far = np.flatnonzero(np.abs(np.log(ratio)) >= np.log(LIMITS.price_jump))
    if not len(far):
        return []
    named = [f"{skus[at]} ({ratio[at]:.3g} times)" for at in far]
    return [
        raise_alarm(
            "price_level",
            f"sales: the net amount per unit of {numbered(len(far), '# SKU[s]')} is far from the price of the products "
            f"table: {first_few(named)}. Are the units boxes or grams, or is the price of another unit? Correct one of "
            "them",
            skus=skus[far],
            count=len(far),
        )
    ]


def _of_times(cells: SaleCells) -> list[Alarm]:
    """Almost all SKUs of the network have other prices from some time on, by the same factor."""
    width = _BLOCK[cells.frequency.kind]
    blocks = cells.history // width
    # Whole blocks up to the last period.
    skipped = cells.history - blocks * width
    units, amount = np.zeros((2, len(cells.skus), blocks))
    for part in cells.parts():
        known = part.cell_period >= skipped
        at = part.cell_sku[known], (part.cell_period[known] - skipped) // width
        np.add.at(units, at, part.priced_units[known])
        np.add.at(amount, at, part.priced_amount[known])
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.log(amount / units)
    found = []
    # The change is in the middle one of three blocks.
    for middle in range(1, blocks - 1):
        change = price[:, middle + 1] - price[:, middle - 1]
        lasting = price[:, -1] - price[:, middle - 1]
        change = change[np.isfinite(change) & np.isfinite(lasting) & (np.abs(lasting - change) <= _LASTING)]
        if len(change) < LIMITS.fewest_skus or len(change) < LIMITS.units_skus * np.isfinite(price[:, -1]).sum():
            continue
        factor = float(np.median(change))
        same = (np.abs(change - factor) <= np.log(1 + LIMITS.price_noise)).mean()
        if abs(factor) >= np.log(LIMITS.price_level) and same >= LIMITS.units_skus:
            found.append((abs(factor), middle, factor, len(change)))
    if not found:
        return []
    _, middle, factor, count = max(found)
    first, last = (cells.periods[skipped + at].date() for at in (middle * width, (middle + 1) * width - 1))
    return [
        raise_alarm(
            "price_level",
            f"sales: from a date between {first} and {last} on, the net amount per unit of almost all SKUs ({count:,}) "
            f"is {np.exp(factor):.3g} times what it was before. Are the amounts in another currency, or with tax? "
            "Deliver net amounts in one currency; prices are the cost of lost units",
            dates=(first, cells.periods[cells.end - 1].date()),
            count=count,
        )
    ]


def _against_list(prepared: Prepared, units: FloatArray, amount: FloatArray) -> list[Alarm]:
    """Amounts per unit of all stores against the products' price."""
    products, cells = prepared.products, prepared.cells
    if c.PRICE not in products.columns:
        return []
    listed = pd.Series(products[c.PRICE].to_numpy(dtype=np.float64), index=products[c.SKU].astype(str).to_numpy())
    sku_units, sku_amount = (
        np.bincount(cells.pair_sku, values, minlength=len(cells.skus)) for values in (units, amount)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = sku_amount / sku_units / listed.reindex(cells.skus.astype(str)).to_numpy()
    known: BoolArray = np.isfinite(ratio) & (ratio > 0)
    if known.sum() < LIMITS.fewest_skus:
        return []
    ratio = ratio[known]
    middle = float(np.median(ratio))
    far = (np.abs(np.log(ratio)) >= np.log(LIMITS.price_jump)) & (np.sign(np.log(ratio)) == np.sign(np.log(middle)))
    if far.mean() < LIMITS.units_skus:
        return _single_prices(cells.skus[known], ratio)
    return [
        raise_alarm(
            "price_level",
            f"sales: the net amount per unit is {middle:.3g} times the price of the products table, for "
            f"{int(far.sum()):,} of {len(ratio):,} SKUs. Are amounts or prices in cents or another currency, or are "
            "the units boxes? Correct one of them",
            skus=cells.skus[known][far],
            count=int(far.sum()),
        )
    ]
