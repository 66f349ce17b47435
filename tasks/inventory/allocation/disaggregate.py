"""From a category's level to whole units per SKU, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray

# Halvings of the search for the water level of a series.
HALVINGS = 60
# Rests of packs below this are rounding of sums.
SMALLEST_REST = 1e-6


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
        shown: the article is on show, or may come on show; None = all that may be sent.
        core: a core size of an article on show: at least one pack where nothing of it is there; None = none.
    """

    series: IndexArray
    share: FloatArray
    position: FloatArray
    floor: FloatArray
    pack: FloatArray
    may_send: BoolArray
    shown: BoolArray | None = None
    core: BoolArray | None = None

    @property
    def open(self) -> BoolArray:
        """Rows that the split may give units to."""
        return self.may_send if self.shown is None else self.may_send & self.shown


@dataclass(frozen=True)
class Split:
    """Units per row after each step; the last one is the target.

    Attributes:
        shared: the level times the row's share among all SKUs of the category.
        allowed: among those that may be sent, after the place that the stock of the others takes.
        assorted: among those that are on show too.
        filled: evenly towards the shares from what is there.
        lifted: with minimum presentation and core sizes.
        targets: whole packs.
    """

    shared: FloatArray
    allowed: FloatArray
    assorted: FloatArray
    filled: FloatArray
    lifted: FloatArray
    targets: IndexArray


def split(levels: FloatArray, rows: SplitRows, bounded: BoolArray, room: FloatArray | None = None) -> IndexArray:
    """Targets of :func:`split_in_steps`. Level 10 with shares 0.5, 0.3, 0.2 and nothing in stock: 5, 3, 2."""
    return split_in_steps(levels, rows, bounded, room).targets


def split_in_steps(levels: FloatArray, rows: SplitRows, bounded: BoolArray, room: FloatArray | None = None) -> Split:
    """Split the level of each series over its SKUs.

    The stock of articles that may not be sent counts against the level (it takes their place on the shelf) and
    gets target 0. Of the rest every SKU gets its minimum presentation and every core size of an article on show
    a pack, as far as the level reaches, and beyond:

    * where nothing bounds the store: its share;
    * where capacity or holding bounds it: filled evenly towards the shares from what is there (the SKUs that are
      shortest first), so that targets and stock together stay at the level. Where the stock of a category is
      above the level already, targets lie below the stock and nothing is sent.

    Whole units by largest remainder keep the level's total. Packs: as many whole ones as the level holds; a level
    that is positive, below a pack and not covered by stock gets one pack where the store has room (decision 5).

    Args:
        levels: level of each series, whole units.
        rows: the SKUs.
        bounded: per series, whether capacity or holding bounds its store.
        room: per series, units that a pack may exceed the level by; unlimited if None.

    Returns:
        Units after each step.
    """
    size = len(levels)
    everyone = np.ones_like(rows.may_send)
    allowed_total = _open_total(levels, rows, rows.may_send, bounded)
    total = _open_total(levels, rows, rows.open, bounded)
    bare = replace(rows, floor=np.zeros(len(rows.series)), core=None)
    low, high = _ranges(total, rows, bounded)
    filled = _water_fill(total, rows, *_ranges(total, bare, bounded))
    lifted = _water_fill(total, rows, low, high)
    return Split(
        shared=levels[rows.series] * _shares_among(rows, everyone, size),
        allowed=allowed_total[rows.series] * _shares_among(rows, rows.may_send, size),
        assorted=total[rows.series] * _shares_among(rows, rows.open, size),
        filled=filled,
        lifted=lifted,
        targets=_whole(lifted, total, rows, np.full(size, np.inf) if room is None else room),
    )


def _open_total(levels: FloatArray, rows: SplitRows, chosen: BoolArray, bounded: BoolArray) -> FloatArray:
    """Whole units of each series for the rows ``chosen``: the level, less the stock of the others where it binds."""
    size = len(levels)
    blocked = np.bincount(rows.series, weights=np.where(chosen, 0.0, rows.position), minlength=size)
    total = np.floor(np.maximum(np.where(bounded, levels - blocked, levels), 0.0) + 1e-9)
    total[~_has(rows.series, chosen, size)] = 0.0
    return total


def _shares_among(rows: SplitRows, chosen: BoolArray, size: int) -> FloatArray:
    share = np.where(chosen, np.maximum(rows.share, 1e-12), 0.0)
    whole = np.bincount(rows.series, weights=share, minlength=size)[rows.series]
    return np.divide(share, whole, out=np.zeros_like(share), where=whole > 0)


def _has(series: IndexArray, marked: BoolArray, size: int) -> BoolArray:
    return np.bincount(series, weights=marked.astype(float), minlength=size) > 0


def least_units(rows: SplitRows, bounded: BoolArray) -> FloatArray:
    """Units that each open row is to have at least: minimum presentation, and a pack of a core size, whole packs.

    In a bounded store stock counts: a core size that is there needs no pack.
    """
    floor = np.ceil(rows.floor / rows.pack - SMALLEST_REST) * rows.pack
    if rows.core is not None:
        there = bounded[rows.series] & (rows.position >= 1.0)
        floor = np.where(rows.core & ~there, np.maximum(floor, rows.pack), floor)
    return np.where(rows.open, floor, 0.0)


def _ranges(total: FloatArray, rows: SplitRows, bounded: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Least and most units of each row."""
    size = len(total)
    free = rows.open
    low = least_units(rows, bounded)
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
    share = np.where(rows.open, np.maximum(rows.share, 1e-12), 0.0)
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


def _whole(exact: FloatArray, total: FloatArray, rows: SplitRows, room: FloatArray) -> IndexArray:
    """Whole packs by largest remainder; the total of a series is kept where its packs are single units."""
    packs = exact / rows.pack
    whole = np.floor(packs + SMALLEST_REST)
    rest = packs - whole
    left = total - np.bincount(rows.series, weights=whole * rows.pack, minlength=len(total))
    order = np.lexsort((np.arange(len(exact)), -rest, rows.series))
    order = order[rows.open[order] & (rest[order] > SMALLEST_REST)]
    # A unit goes to the largest remainders while the running sum of packs stays within what is left.
    pack = rows.pack[order]
    group = rows.series[order]
    running = np.cumsum(pack)
    first = np.r_[True, group[1:] != group[:-1]] if len(group) else np.zeros(0, dtype=bool)
    before = np.maximum.accumulate(np.where(first, running - pack, 0.0)) if len(group) else running
    fits = running - before <= left[group] + SMALLEST_REST
    whole[order[fits]] += 1.0
    one = _one_pack(exact, whole, total, rows, room)
    whole[one] = 1.0
    return np.rint(whole * rows.pack).astype(np.int64)


def _one_pack(exact: FloatArray, whole: FloatArray, total: FloatArray, rows: SplitRows, room: FloatArray) -> IndexArray:
    """The row of each series that gets one pack although the level is below it: the one that wants most of it.

    Only where no row got any, the stock does not reach the level, and the excess fits into the room.
    """
    size = len(total)
    none = np.bincount(rows.series, weights=whole, minlength=size) == 0
    held = np.bincount(rows.series, weights=np.where(rows.open, rows.position, 0.0), minlength=size)
    wants = none & (total > 0) & (held < total)
    fits = np.maximum(rows.pack, rows.position) - rows.position <= (total - held + room)[rows.series] + SMALLEST_REST
    able = np.flatnonzero(rows.open & wants[rows.series] & fits & (rows.position < rows.pack))
    able = able[np.lexsort((able, -exact[able], rows.series[able]))]
    return able[np.unique(rows.series[able], return_index=True)[1]]


def within_dc(
    targets: IndexArray,
    position: FloatArray,
    sku: IndexArray,
    available: FloatArray,
    first: FloatArray | None = None,
) -> IndexArray:
    """Targets cut to what the DC has of each SKU: presentation and core sizes first, then what stores lack.

    Args:
        targets: per row, units.
        position: per row, units on hand and on the way.
        sku: per row, number of the SKU.
        available: per SKU, units; inf = unlimited.
        first: per row, units of its target that are served before any others; none if None.

    Returns:
        Targets; shortages are shared in proportion to what is lacking, largest remainder decides on single units.
        6 and 3 lacking with 6 available: 4 and 2.
    """
    lack = np.maximum(targets - np.floor(position), 0.0)
    scarce = np.bincount(sku, weights=lack, minlength=len(available)) > available
    if not scarce.any():
        return targets
    least = np.zeros(len(lack)) if first is None else np.clip(np.floor(first) - np.floor(position), 0.0, lack)
    granted = _granted(least, sku, available)
    rest = available - np.bincount(sku, weights=granted, minlength=len(available))
    granted = granted + _granted(lack - granted, sku, rest)
    cut = scarce[sku] & (lack > 0)
    return np.where(cut, (np.floor(position) + granted).astype(np.int64), targets)


def _granted(lack: FloatArray, sku: IndexArray, available: FloatArray) -> FloatArray:
    """Whole units of what is available, in proportion to what each row lacks."""
    wanted = np.bincount(sku, weights=lack, minlength=len(available))
    scarce = wanted > available
    share = np.where(scarce, np.divide(available, wanted, out=np.ones_like(wanted), where=wanted > 0), 1.0)
    exact = lack * share[sku]
    granted = np.floor(exact + 1e-9)
    left = np.floor(available + 1e-9) - np.bincount(sku, weights=granted, minlength=len(available))
    order = np.lexsort((np.arange(len(lack)), -(exact - granted), sku))
    order = order[scarce[sku[order]]]
    group = sku[order]
    first = np.r_[True, group[1:] != group[:-1]] if len(group) else np.zeros(0, dtype=bool)
    place = np.arange(len(group)) - np.maximum.accumulate(np.where(first, np.arange(len(group)), 0))
    granted[order[(place < left[group]) & (exact[order] > granted[order])]] += 1.0
    return granted
