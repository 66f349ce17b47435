"""From a category's level to whole units per SKU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray

# Halvings of the search for the water level of a series.
HALVINGS = 60


@dataclass(frozen=True)
class SplitRows:
    """The SKUs of all series, one row each.

    Attributes:
        series: number of the (store, category).
        share: share in the series' sales, 0 to 1.
        position: units on hand and on the way.
        floor: least units where the article may be sent (minimum presentation).
        pack: units in a pack; 1 = single units.
        may_send: the article may be replenished in the store.
    """

    series: IndexArray
    share: FloatArray
    position: FloatArray
    floor: FloatArray
    pack: FloatArray
    may_send: BoolArray


def split(levels: FloatArray, rows: SplitRows, bounded: BoolArray) -> IndexArray:
    """Split the level of each series over its SKUs.

    The stock of articles that may not be sent counts against the level (it takes their place on the shelf) and
    gets target 0. Of the rest every SKU gets its minimum presentation, as far as the level reaches, and beyond:

    * where nothing bounds the store: its share;
    * where capacity or holding bounds it: filled evenly towards the shares from what is there (the SKUs that are
      shortest first), so that targets and stock together stay at the level. Where the stock of a category is
      above the level already, targets lie below the stock and nothing is sent.

    Whole units by largest remainder keep the level's total. Packs: the nearest multiple of a pack that keeps the
    total at or below the level.

    Args:
        levels: level of each series, whole units.
        rows: the SKUs.
        bounded: per series, whether capacity or holding bounds its store.

    Returns:
        Target per row, whole units. Level 10 with shares 0.5, 0.3, 0.2 and nothing in stock: 5, 3, 2.
    """
    size = len(levels)
    free = rows.may_send
    blocked = np.bincount(rows.series, weights=np.where(free, 0.0, rows.position), minlength=size)
    total = np.floor(np.maximum(np.where(bounded, levels - blocked, levels), 0.0) + 1e-9)
    total[~_has(rows.series, free, size)] = 0.0
    low, high = _ranges(total, rows, bounded)
    exact = _water_fill(total, rows, low, high)
    return _whole(exact, total, rows)


def _has(series: IndexArray, marked: BoolArray, size: int) -> BoolArray:
    return np.bincount(series, weights=marked.astype(float), minlength=size) > 0


def _ranges(total: FloatArray, rows: SplitRows, bounded: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Least and most units of each row."""
    size = len(total)
    free = rows.may_send
    low = np.where(free, rows.floor, 0.0)
    wanted = np.bincount(rows.series, weights=low, minlength=size)
    # Presentation beyond the level is cut in proportion.
    low *= np.minimum(1.0, np.divide(total, wanted, out=np.ones(size), where=wanted > 0))[rows.series]
    high = np.where(free, np.inf, 0.0)
    held = np.where(free & bounded[rows.series], rows.position, 0.0)
    kept = np.maximum(low, held)
    fits = np.bincount(rows.series, weights=kept, minlength=size) <= total
    low = np.where(fits[rows.series], kept, low)
    # Above the level already: what is there is the most, so that nothing is sent.
    crowded = bounded & ~fits & (np.bincount(rows.series, weights=held, minlength=size) >= total)
    high = np.where(crowded[rows.series] & free, np.maximum(rows.position, low), high)
    return low, high


def _water_fill(total: FloatArray, rows: SplitRows, low: FloatArray, high: FloatArray) -> FloatArray:
    """Units min(high, max(low, θ · share)) with θ per series such that they sum to its total."""
    size = len(total)
    share = np.where(rows.may_send, np.maximum(rows.share, 1e-12), 0.0)
    smallest = np.full(size, np.inf)
    np.minimum.at(smallest, rows.series[share > 0], share[share > 0])
    below = np.zeros(size)
    above = np.where(np.isfinite(smallest), (total + 1.0) / np.where(np.isfinite(smallest), smallest, 1.0), 0.0)
    for _ in range(HALVINGS):
        middle = 0.5 * (below + above)
        units = np.minimum(high, np.maximum(low, middle[rows.series] * share))
        short = np.bincount(rows.series, weights=units, minlength=size) < total
        below, above = np.where(short, middle, below), np.where(short, above, middle)
    return np.minimum(high, np.maximum(low, above[rows.series] * share))


def _whole(exact: FloatArray, total: FloatArray, rows: SplitRows) -> IndexArray:
    """Whole packs by largest remainder; the total of a series is kept where its packs are single units."""
    packs = exact / rows.pack
    whole = np.floor(packs + 1e-6)
    rest = packs - whole
    left = total - np.bincount(rows.series, weights=whole * rows.pack, minlength=len(total))
    order = np.lexsort((np.arange(len(exact)), -rest, rows.series))
    order = order[rows.may_send[order] & (rest[order] > 1e-6)]  # noqa: PLR2004
    # A unit goes to the largest remainders while the running sum of packs stays within what is left.
    pack = rows.pack[order]
    group = rows.series[order]
    running = np.cumsum(pack)
    first = np.r_[True, group[1:] != group[:-1]] if len(group) else np.zeros(0, dtype=bool)
    before = np.maximum.accumulate(np.where(first, running - pack, 0.0)) if len(group) else running
    fits = running - before <= left[group] + 1e-6
    whole[order[fits]] += 1.0
    return np.rint(whole * rows.pack).astype(np.int64)


def within_dc(targets: IndexArray, position: FloatArray, sku: IndexArray, available: FloatArray) -> IndexArray:
    """Targets cut to what the DC has of each SKU, shared in proportion to what the stores lack.

    Args:
        targets: per row, units.
        position: per row, units on hand and on the way.
        sku: per row, number of the SKU.
        available: per SKU, units; inf = unlimited.

    Returns:
        Targets; largest remainder decides on single units. 6 and 3 lacking with 6 available: 4 and 2.
    """
    lack = np.maximum(targets - np.floor(position), 0.0)
    wanted = np.bincount(sku, weights=lack, minlength=len(available))
    scarce = wanted > available
    if not scarce.any():
        return targets
    share = np.where(scarce, np.divide(available, wanted, out=np.ones_like(wanted), where=wanted > 0), 1.0)
    exact = lack * share[sku]
    granted = np.floor(exact + 1e-9)
    left = np.floor(available + 1e-9) - np.bincount(sku, weights=granted, minlength=len(available))
    order = np.lexsort((np.arange(len(lack)), -(exact - granted), sku))
    order = order[scarce[sku[order]]]
    group = sku[order]
    first = np.r_[True, group[1:] != group[:-1]]
    place = np.arange(len(group)) - np.maximum.accumulate(np.where(first, np.arange(len(group)), 0))
    granted[order[(place < left[group]) & (exact[order] > granted[order])]] += 1.0
    cut = scarce[sku] & (lack > 0)
    return np.where(cut, (np.floor(position) + granted).astype(np.int64), targets)
