"""Alarms on packs: stock that counts packs while sales count pieces, and pack sizes that no store can sell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import FloatArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.checks.stock_sums import RecentSales, StockSums
from tasks.demand.cleaning.exposure import period_days

if TYPE_CHECKING:
    from tasks.demand.cleaning.prepared import Prepared

_YEAR = 365.25
# The stock of a SKU is proportional to the power -1 of its pack size if it is counted in packs, and to the power 0 or
# more if it is counted in pieces. The estimate must be this near to -1, and this many standard errors below 0.
_NEAR, _ERRORS = 0.5, 4.0


def stock_in_packs(prepared: Prepared, sums: StockSums, recent: RecentSales) -> Iterator[tuple[str, int]]:
    """Find stock that is a small part of the sales, or that falls with the pack size.

    Args:
        prepared: corrected and summed tables.
        sums: of the last counts.
        recent: recent sales.

    Yields:
        Text and number of SKUs (or of stores and SKUs) of each finding.
    """
    cells = prepared.cells
    kind = cells.frequency.kind
    days = period_days(cells.frequency, cells.periods[: cells.end])[-LIMITS.stock_window[kind] :]
    lasts = sums.sold_held / max(sums.sold_units, 1) * days.sum()
    few = lasts < LIMITS.least_stock_days[kind]
    empty = sums.sold_empty / max(sums.sold, 1)
    if sums.sold >= LIMITS.fewest_skus and empty <= LIMITS.stock_share and few and lasts > 0:
        yield (
            f"the SKUs that sold in the last {len(days)} periods have stock and units in transit for {lasts:.1f} days "
            f"of sales, although only {empty:.0%} of {sums.sold:,} stores and SKUs have none. Is it in "
            "boxes or packs? Deliver it in units of sale",
            sums.sold,
        )
        return
    count = _falls_with_packs(prepared, sums.held_of_sku, sums.units_of_sku)
    if count:
        yield _in_packs("stock", count), count
    available = available_in_center(prepared)
    if available is not None:
        everywhere = np.bincount(cells.pair_sku, recent.units, minlength=len(cells.skus))
        center = available.reindex(cells.skus.astype(str), fill_value=0).to_numpy()
        count = _falls_with_packs(prepared, center, everywhere)
        if count:
            yield _in_packs("dc_stock.available", count), count


def available_in_center(prepared: Prepared) -> pd.Series | None:
    """Units that the distribution center may send by the last count, by SKU; None without its table."""
    center = prepared.tables.get("dc_stock")
    if center is None:
        return None
    if c.DATE in center.columns:
        center = center.loc[center[c.DATE] <= pd.Timestamp(prepared.as_of)].sort_values(c.DATE, kind="stable")
        center = center.drop_duplicates(c.SKU, keep="last")
    return center.groupby(center[c.SKU].astype(str))[c.AVAILABLE].sum()


def _in_packs(what: str, count: int) -> str:
    return (
        f"compared with the sales, {what} of {count:,} SKUs is smaller the larger their pack_size is, as if it were "
        "counted in packs. Deliver it in units of sale"
    )


def _falls_with_packs(prepared: Prepared, held: np.ndarray, sold: np.ndarray) -> int:
    """Number of SKUs that show that stock is counted in packs, or 0: log(stock) explained by log(pack) and log(sales).

    Sales are in the regression because the stock of fast SKUs lasts for a shorter time, and their packs are larger.
    """
    pack = _packs(prepared)
    use = (held > 0) & (sold > 0) & (pack > 0)
    count = int(use.sum())
    if count < LIMITS.fewest_lines or len(np.unique(pack[use])) < LIMITS.fewest_packs:
        return 0
    facts = np.column_stack([np.ones(count), np.log(pack[use]), np.log(sold[use])])
    stock = np.log(held[use])
    inverse = np.linalg.pinv(facts.T @ facts)
    effect = inverse @ facts.T @ stock
    error = float(np.sqrt(((stock - facts @ effect) ** 2).sum() / (count - 3) * inverse[1, 1]))
    return count if abs(effect[1] + 1) <= _NEAR and effect[1] < -_ERRORS * error else 0


def _packs(prepared: Prepared) -> FloatArray:
    """Pack size of each SKU of the cells; NaN = not stated."""
    products, skus = prepared.tables["products"], prepared.cells.skus.astype(str)
    if c.PACK_SIZE not in products.columns:
        return np.full(len(skus), np.nan)
    pack = pd.Series(products[c.PACK_SIZE].to_numpy(dtype=np.float64), index=products[c.SKU].astype(str))
    return pack.reindex(skus).to_numpy()


def pack_sizes(prepared: Prepared) -> list[Alarm]:
    """Return an alarm for SKUs of which a pack lasts for years in every store: the pack size is probably a pallet's."""
    pack, cells = _packs(prepared), prepared.cells
    if np.isnan(pack).all():
        return []
    days = np.append(0, np.cumsum(period_days(cells.frequency, cells.periods[: cells.end])))
    best = np.zeros(len(cells.skus))
    for part in cells.parts():
        first = np.full(len(part.pairs), cells.end)
        np.minimum.at(first, part.cell_pair, part.cell_period)
        units = np.bincount(part.cell_pair, part.units, minlength=len(part.pairs))
        since = days[-1] - days[first]
        # The rate of a new SKU is not known.
        rate = np.where(since >= LIMITS.pack_days, units / np.maximum(since, 1) * _YEAR, np.nan)
        np.fmax.at(best, part.pair_sku, rate)
    with np.errstate(divide="ignore", invalid="ignore"):
        years = pack / best
    large = np.flatnonzero((best > 0) & (years > LIMITS.stock_years))
    if not len(large):
        return []
    large = large[np.argsort(-years[large], kind="stable")]
    shown = [f"{cells.skus[at]} (pack of {pack[at]:,.0f}, {best[at]:,.0f} units a year)" for at in large]
    return [
        raise_alarm(
            "pack_size_implausible",
            f"products: a pack of {numbered(len(large), '# SKU[s]')} lasts for more than {LIMITS.stock_years:g} years "
            f"in the store that sells most of it: {first_few(shown)}. Is pack_size that of a pallet? Enter the "
            "smallest number of units that can be sent",
            skus=cells.skus[large],
            count=len(large),
        )
    ]
