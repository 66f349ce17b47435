"""Split the level of a category to whole units per SKU, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray

# Bisection steps of the search for the scale θ of a series.
HALVINGS = 60
# Tolerance for remainders of packs.
SMALLEST_REST = 1e-6
# Weight of a SKU without sales, so that the level of a series without sales can still be split.
SMALLEST_WEIGHT = 1e-9
# A SKU gets a pack only if the pack is at most this many times the units that the SKU needs.
MOST_INTERVALS_PER_PACK = 8.0


@dataclass(frozen=True)
class SplitRows:
    """The SKUs of all series, one row each.

    Attributes:
        series: index of the (store, category).
        share: share in the series' sales, 0 to 1.
        need: units that the SKU needs for the service level; the level is split in proportion to them.
        position: inventory position, units.
        floor: minimum presentation, units.
        pack: units in a pack; 1 = single units.
        may_send: the SKU may be replenished in the store.
        shown: the style is selected for display; None = all that may be sent.
        core: a core size of its style; it gets at least one unit; None = no core sizes.
    """

    series: IndexArray
    share: FloatArray
    need: FloatArray
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
    """Units per row after each step; the last step is the target before storage capacity and DC stock.

    Attributes:
        shared: level × share among all SKUs of the category.
        allowed: split among the SKUs that may be sent.
        assorted: split among the SKUs that are also displayed.
        varied: split by the units that each SKU needs: slow sellers vary more than fast ones.
        lifted: units with minimum presentation, core sizes and first packs.
        targets: whole units; what is sent is a multiple of the pack.
        first_packs: units of ``targets`` beyond the level (see :meth:`with_first_packs`); 0 if none exists.
    """

    shared: FloatArray
    allowed: FloatArray
    assorted: FloatArray
    varied: FloatArray
    lifted: FloatArray
    targets: IndexArray
    first_packs: IndexArray

    def with_first_packs(self, running_out: BoolArray, rows: SplitRows) -> Split:
        """Give one pack to every row of ``running_out``, shape (rows,), that gets no unit, even beyond the level.

        Such a row gets no unit because the stock of other SKUs already reaches the category's level, or because a pack
        exceeds the units that the SKU is short of. The pack may be at most ``MOST_INTERVALS_PER_PACK`` times the units
        that the SKU needs.
        """
        held = np.floor(np.maximum(rows.position, 0.0) + 1e-9).astype(np.int64)
        gets = running_out & rows.open & (self.targets <= held) & _lasts(rows, np.ones(len(held)))
        units = np.where(gets, held + np.rint(rows.pack).astype(np.int64), self.targets)
        return replace(
            self,
            lifted=np.where(gets, np.maximum(self.lifted, units), self.lifted),
            targets=units,
            first_packs=units - self.targets,
        )


def split(levels: FloatArray, rows: SplitRows) -> IndexArray:
    """Targets of :func:`split_in_steps`. Level 10 with needs 5, 3, 2 and no stock gives 5, 3, 2."""
    return split_in_steps(levels, rows).targets


def split_in_steps(levels: FloatArray, rows: SplitRows) -> Split:
    """Split the level of each series to its SKUs, without regard to their stock.

    A SKU that may not be sent gets target 0. Every other SKU gets its minimum presentation, and every core size of a
    displayed style gets one unit. If the level is too low for that, these units are reduced in proportion. The
    remaining units are split in proportion to ``need``. A target may be below the stock. The store then keeps its
    stock, and no other SKU gets fewer units because of it.

    Whole units: rounding by largest remainder keeps the total of the level. Packs: what a SKU is short of these units
    is rounded up to whole packs, so that it has what the service level needs. A SKU that needs less than a pack in
    ``MOST_INTERVALS_PER_PACK`` intervals gets none. A series that would get no unit although its stock is below its
    level gets one pack (docs/decisions/0005-constraints-on-targets.md).

    Args:
        levels: level of each series, whole units.
        rows: the SKUs.

    Returns:
        Units after each step.
    """
    size = len(levels)
    total = np.floor(np.maximum(levels, 0.0) + 1e-9)
    total[np.bincount(rows.series, weights=rows.open, minlength=size) == 0] = 0.0
    low = least_units(rows)
    requested = np.bincount(rows.series, weights=low, minlength=size)
    # Minimum units beyond the level are reduced in proportion.
    low = low * np.minimum(1.0, np.divide(total, requested, out=np.ones(size), where=requested > 0))[rows.series]
    weight = rows.need + 1e-6 * rows.share + SMALLEST_WEIGHT
    lifted = _water_fill(total, rows, np.where(rows.open, weight, 0.0), low)
    every = np.ones_like(rows.may_send)
    return Split(
        shared=levels[rows.series] * _among(rows.series, rows.share, every, size),
        allowed=levels[rows.series] * _among(rows.series, rows.share, rows.may_send, size),
        assorted=total[rows.series] * _among(rows.series, rows.share, rows.open, size),
        varied=total[rows.series] * _among(rows.series, weight, rows.open, size),
        lifted=lifted,
        targets=_whole(lifted, total, rows),
        first_packs=np.zeros(len(rows.series), dtype=np.int64),
    )


def _among(series: IndexArray, weight: FloatArray, chosen: BoolArray, size: int) -> FloatArray:
    part = np.where(chosen, weight + SMALLEST_WEIGHT, 0.0)
    whole = np.bincount(series, weights=part, minlength=size)[series]
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def least_units(rows: SplitRows) -> FloatArray:
    """Least units of each open row: minimum presentation, and one unit of a core size."""
    floor = rows.floor if rows.core is None else np.where(rows.core, np.maximum(rows.floor, 1.0), rows.floor)
    return np.where(rows.open, floor, 0.0)


def _water_fill(total: FloatArray, rows: SplitRows, weight: FloatArray, low: FloatArray) -> FloatArray:
    """Units max(low, θ · weight); θ of each series is chosen so that they sum to its total."""
    size = len(total)
    smallest = np.full(size, np.inf)
    np.minimum.at(smallest, rows.series[weight > 0], weight[weight > 0])
    below = np.zeros(size)
    above = np.where(np.isfinite(smallest), (total + 1.0) / np.where(np.isfinite(smallest), smallest, 1.0), 0.0)
    for _ in range(HALVINGS):
        middle = 0.5 * (below + above)
        units = np.maximum(low, middle[rows.series] * weight)
        short = np.bincount(rows.series, weights=units, minlength=size) < total
        below, above = np.where(short, middle, below), np.where(short, above, middle)
    return np.maximum(low, above[rows.series] * weight)


def _whole(exact: FloatArray, total: FloatArray, rows: SplitRows) -> IndexArray:
    """Whole units of every row: those of a series sum to its total, and gaps in packs are then rounded up."""
    held = np.floor(rows.position + 1e-9)
    units = _by_largest_remainder(exact, rows)
    gap = np.where(rows.pack > 1.0, np.maximum(units - held, 0.0), 0.0)
    packs = np.where(_lasts(rows, gap), np.ceil(gap / rows.pack - SMALLEST_REST), 0.0)
    packs[_only_pack(np.maximum(exact - held, 0.0) * (rows.pack > 1.0), packs, total, rows)] = 1.0
    packed = np.where(packs > 0, held + packs * rows.pack, np.minimum(units, held))
    whole = np.where(rows.pack > 1.0, packed, units)
    return np.rint(np.where(rows.open, whole, 0.0)).astype(np.int64)


def _lasts(rows: SplitRows, least: FloatArray) -> BoolArray:
    """Rows whose pack does not last too long: it is not far larger than what the SKU needs, or the given units."""
    found: BoolArray = rows.pack <= MOST_INTERVALS_PER_PACK * np.maximum(rows.need, least)
    return found


def _by_largest_remainder(exact: FloatArray, rows: SplitRows) -> FloatArray:
    """Whole units of every row; those of a series sum to its exact units, rounded."""
    whole = np.floor(exact + SMALLEST_REST)
    rest = exact - whole
    size = int(rows.series.max(initial=-1)) + 1
    requested = np.floor(np.bincount(rows.series, weights=exact, minlength=size) + 0.5)
    left = requested - np.bincount(rows.series, weights=whole, minlength=size)
    order = np.lexsort((np.arange(len(exact)), -rest, rows.series))
    order = order[rows.open[order] & (rest[order] > SMALLEST_REST)]
    group = rows.series[order]
    place = np.arange(len(group)) - np.searchsorted(group, group)
    whole[order[place < left[group] - SMALLEST_REST]] += 1.0
    return whole


def _only_pack(gap: FloatArray, packs: FloatArray, total: FloatArray, rows: SplitRows) -> IndexArray:
    """Find the row that is short of most units in each series that gets no unit and has less stock than its level."""
    size = len(total)
    sending = np.where(rows.pack <= 1.0, 1.0, packs)
    sent = np.bincount(rows.series, weights=np.where(rows.open, sending, 0.0), minlength=size) > 0
    held = np.bincount(rows.series, weights=np.where(rows.open, rows.position, 0.0), minlength=size)
    wants = ~sent & (total > 0) & (held < total)
    able = np.flatnonzero(rows.open & wants[rows.series] & (gap > 0) & (rows.position < rows.pack))
    able = able[np.lexsort((able, -gap[able], rows.series[able]))]
    return able[np.unique(rows.series[able], return_index=True)[1]]
