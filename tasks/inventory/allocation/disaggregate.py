"""Split the level of a category to whole units per SKU, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray

# Bisection steps of the search for the scale θ of a series.
HALVINGS = 60
# Tolerance for remainders of packs.
SMALLEST_REST = 1e-6


@dataclass(frozen=True)
class SplitRows:
    """The SKUs of all series, one row each.

    Attributes:
        series: index of the (store, category).
        share: share in the series' sales, 0 to 1.
        position: inventory position, units.
        floor: minimum presentation, units.
        pack: units in a pack; 1 = single units.
        may_send: the SKU may be replenished in the store.
        shown: the style is selected for display; None = all that may be sent.
        core: a core size of its style; it gets at least one pack if none is in stock; None = no core sizes.
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
        """Rows that may get units: they may be sent and are displayed."""
        return self.may_send if self.shown is None else self.may_send & self.shown


@dataclass(frozen=True)
class Split:
    """Units per row after each step; the last step is the target.

    Attributes:
        shared: level × share among all SKUs of the category.
        allowed: split among the SKUs that may be sent; the stock of the others is subtracted in constrained stores.
        assorted: split among the SKUs that are also displayed.
        filled: adjusted for the present stock.
        lifted: with minimum presentation and core sizes.
        targets: in whole packs.
    """

    shared: FloatArray
    allowed: FloatArray
    assorted: FloatArray
    filled: FloatArray
    lifted: FloatArray
    targets: IndexArray


def split(levels: FloatArray, rows: SplitRows, constrained: BoolArray, room: FloatArray | None = None) -> IndexArray:
    """Targets of :func:`split_in_steps`. Level 10 with shares 0.5, 0.3, 0.2 and no stock gives 5, 3, 2."""
    return split_in_steps(levels, rows, constrained, room).targets


def split_in_steps(
    levels: FloatArray, rows: SplitRows, constrained: BoolArray, room: FloatArray | None = None
) -> Split:
    """Split the level of each series to its SKUs.

    SKUs that may not be sent get target 0. In a constrained store their stock is subtracted from the level. Every other
    SKU gets its minimum presentation and every core size of a displayed style one pack, while the level is sufficient.
    The remaining units are split:

    * in uncapacitated stores: by share;
    * in constrained stores: toward the shares, starting from the present stock. SKUs with the largest shortfall come
      first, so that targets and stock together equal the level. If the stock of a category is above its level, targets
      are not above the stock and nothing is sent.

    Rounding by largest remainder keeps the total of the level. Packs: as many whole packs as the level allows. A
    positive level below one pack that stock does not cover gets one pack if the store has room
    (docs/decisions/0005-constraints-on-targets.md).

    Args:
        levels: level of each series, whole units.
        rows: the SKUs.
        constrained: per series, capacity or holding cost limits its level.
        room: per series, units by which a pack may exceed the level; unlimited if None.

    Returns:
        Units after each step.
    """
    size = len(levels)
    all_rows = np.ones_like(rows.may_send)
    allowed_total = _open_total(levels, rows, rows.may_send, constrained)
    total = _open_total(levels, rows, rows.open, constrained)
    bare = replace(rows, floor=np.zeros(len(rows.series)), core=None)
    low, high = _ranges(total, rows, constrained)
    filled = _water_fill(total, rows, *_ranges(total, bare, constrained))
    lifted = _water_fill(total, rows, low, high)
    return Split(
        shared=levels[rows.series] * _shares_among(rows, all_rows, size),
        allowed=allowed_total[rows.series] * _shares_among(rows, rows.may_send, size),
        assorted=total[rows.series] * _shares_among(rows, rows.open, size),
        filled=filled,
        lifted=lifted,
        targets=_whole(lifted, total, rows, np.full(size, np.inf) if room is None else room),
    )


def _open_total(levels: FloatArray, rows: SplitRows, chosen: BoolArray, constrained: BoolArray) -> FloatArray:
    """Whole units of each series for the rows ``chosen``: the level; if constrained, minus the stock of other rows."""
    size = len(levels)
    blocked = np.bincount(rows.series, weights=np.where(chosen, 0.0, rows.position), minlength=size)
    total = np.floor(np.maximum(np.where(constrained, levels - blocked, levels), 0.0) + 1e-9)
    total[~_has(rows.series, chosen, size)] = 0.0
    return total


def _shares_among(rows: SplitRows, chosen: BoolArray, size: int) -> FloatArray:
    share = np.where(chosen, np.maximum(rows.share, 1e-12), 0.0)
    whole = np.bincount(rows.series, weights=share, minlength=size)[rows.series]
    return np.divide(share, whole, out=np.zeros_like(share), where=whole > 0)


def _has(series: IndexArray, marked: BoolArray, size: int) -> BoolArray:
    return np.bincount(series, weights=marked.astype(float), minlength=size) > 0


def least_units(rows: SplitRows, constrained: BoolArray) -> FloatArray:
    """Least units of each open row, in whole packs: minimum presentation, and one pack of a core size.

    In a constrained store a core size that is in stock gets no pack.
    """
    floor = np.ceil(rows.floor / rows.pack - SMALLEST_REST) * rows.pack
    if rows.core is not None:
        there = constrained[rows.series] & (rows.position >= 1.0)
        floor = np.where(rows.core & ~there, np.maximum(floor, rows.pack), floor)
    return np.where(rows.open, floor, 0.0)


def _ranges(total: FloatArray, rows: SplitRows, constrained: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Least and most units of each row."""
    size = len(total)
    free = rows.open
    low = least_units(rows, constrained)
    requested = np.bincount(rows.series, weights=low, minlength=size)
    # Minimum units beyond the level are reduced in proportion.
    low *= np.minimum(1.0, np.divide(total, requested, out=np.ones(size), where=requested > 0))[rows.series]
    high = np.where(free, np.inf, 0.0)
    held = np.where(free & constrained[rows.series], rows.position, 0.0)
    kept = np.maximum(low, held)
    fits = np.bincount(rows.series, weights=kept, minlength=size) <= total
    low = np.where(fits[rows.series], kept, low)
    # If stock is above the level, the stock is the upper limit, so that nothing is sent.
    crowded = constrained & ~fits & (np.bincount(rows.series, weights=held, minlength=size) >= total)
    high = np.where(crowded[rows.series] & free, np.maximum(rows.position, low), high)
    return low, high


def _water_fill(total: FloatArray, rows: SplitRows, low: FloatArray, high: FloatArray) -> FloatArray:
    """Units min(high, max(low, θ · share)); θ of each series is chosen so that they sum to its total."""
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
    """Round to whole packs by largest remainder; with single units the total of a series is exact."""
    packs = exact / rows.pack
    whole = np.floor(packs + SMALLEST_REST)
    rest = packs - whole
    left = total - np.bincount(rows.series, weights=whole * rows.pack, minlength=len(total))
    order = np.lexsort((np.arange(len(exact)), -rest, rows.series))
    order = order[rows.open[order] & (rest[order] > SMALLEST_REST)]
    # The largest remainders get one pack each while the running sum of packs fits into the remaining units.
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
    """Rows that get one pack although the level is below a pack: the row with the largest unrounded units per series.

    This applies only if no row of the series got a pack, the stock is below the level, and the excess fits into the
    room.
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
    """Reduce targets to the DC stock of each SKU: minimum presentation and core sizes first, then net requirements.

    Args:
        targets: per row, units.
        position: per row, inventory position in units.
        sku: per row, index of the SKU.
        available: per SKU, units; inf = unlimited.
        first: per row, units of its target with priority; none if None.

    Returns:
        Targets. Scarce units are allocated in proportion to the net requirements, rounded by largest remainder. Net
        requirements of 6 and 3 units with 6 available get 4 and 2.
    """
    shortfall = np.maximum(targets - np.floor(position), 0.0)
    scarce = np.bincount(sku, weights=shortfall, minlength=len(available)) > available
    if not scarce.any():
        return targets
    least = np.zeros(len(shortfall)) if first is None else np.clip(np.floor(first) - np.floor(position), 0.0, shortfall)
    allocated = _allocated(least, sku, available)
    rest = available - np.bincount(sku, weights=allocated, minlength=len(available))
    allocated = allocated + _allocated(shortfall - allocated, sku, rest)
    cut = scarce[sku] & (shortfall > 0)
    return np.where(cut, (np.floor(position) + allocated).astype(np.int64), targets)


def _allocated(shortfall: FloatArray, sku: IndexArray, available: FloatArray) -> FloatArray:
    """Allocate the available units in proportion to the shortfall of each row, in whole units."""
    requested = np.bincount(sku, weights=shortfall, minlength=len(available))
    scarce = requested > available
    share = np.where(scarce, np.divide(available, requested, out=np.ones_like(requested), where=requested > 0), 1.0)
    exact = shortfall * share[sku]
    allocated = np.floor(exact + 1e-9)
    left = np.floor(available + 1e-9) - np.bincount(sku, weights=allocated, minlength=len(available))
    order = np.lexsort((np.arange(len(shortfall)), -(exact - allocated), sku))
    order = order[scarce[sku[order]]]
    group = sku[order]
    first = np.r_[True, group[1:] != group[:-1]] if len(group) else np.zeros(0, dtype=bool)
    place = np.arange(len(group)) - np.maximum.accumulate(np.where(first, np.arange(len(group)), 0))
    allocated[order[(place < left[group]) & (exact[order] > allocated[order])]] += 1.0
    return allocated
