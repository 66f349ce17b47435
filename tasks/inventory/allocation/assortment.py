"""Styles (SKUs without their size), their core sizes, and the styles that a store displays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray, FloatArray, IndexArray
from tasks.inventory.allocation.disaggregate import SplitRows, least_units
from tasks.inventory.allocation.sku_shares import SIZE_TRUST
from tasks.inventory.model.kernels import compiled

# The rule ``ENDING`` applies if at least this share of the sized SKUs end with their size.
NEARLY_ALL = 0.9
# Tolerance for sums of floating-point numbers.
TOLERANCE = 1e-9
_MARKS = r"[\s/_.:|,;#-]+"
GIVEN = "the column article of the products"
MARKED = "the SKU without its size, separated by a delimiter"
ENDING = "the SKU without the size at its end"
SINGLE = "the SKU itself (no size found in it)"


def style_labels(facts: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Identify the style of each row.

    The column ``article`` has priority. Without it, the style is the SKU without its size, if delimiters (space, slash,
    dash, dot, underscore) separate the size, or if at least nine of ten sized SKUs end with their size (leading zeros
    are allowed). Otherwise every SKU is a style.

    Args:
        facts: SKU facts: sku, size, and article if the products have it (empty = unknown).

    Returns:
        The style of each row, and the rule in words.
    """
    skus = facts[c.SKU].astype(str)
    known = facts[[c.SKU, c.SIZE]].astype(str).drop_duplicates(c.SKU)
    pairs = list(zip(known[c.SKU], known[c.SIZE], strict=True))
    sized = [(sku, size) for sku, size in pairs if size]
    rule, cut = SINGLE, {sku: sku for sku, _ in pairs}
    for name, pattern in ((MARKED, _apart), (ENDING, _at_the_end)):
        found = {sku: pattern(sku, size) for sku, size in sized}
        share = sum(short != sku for sku, short in found.items()) / max(len(sized), 1)
        if share >= NEARLY_ALL or (name == MARKED and share > 0):
            rule, cut = name, {**cut, **found}
            break
    labels = skus.map(cut).to_numpy(dtype=object)
    if c.ARTICLE in facts.columns:
        given = facts[c.ARTICLE].astype(str).to_numpy(dtype=object)
        if (given != "").any():
            return np.where(given != "", given, labels), GIVEN
    return labels, rule


def _apart(sku: str, size: str) -> str:
    """Remove a size that delimiters separate from the rest of the SKU.

    >>> _apart("000-36", "36"), _apart("10000/XL ( 158-170 )", "XL ( 158-170 )"), _apart("1036", "36")
    ('000', '10000', '1036')
    """
    cut = re.sub(rf"(?:^|{_MARKS}){re.escape(size)}(?={_MARKS}|$)", "", sku).strip()
    return cut or sku


def _at_the_end(sku: str, size: str) -> str:
    """Remove a size at the end of the SKU, and the zeros before it.

    >>> _at_the_end("120101035", "35"), _at_the_end("ABC", "M")
    ('120101', 'ABC')
    """
    cut = re.sub(rf"0*{re.escape(size)}$", "", sku)
    return cut or sku


def core_sizes(facts: pd.DataFrame, style: np.ndarray, core_share: float) -> BoolArray:
    """Find the rows whose size is a core size of their style.

    The size curve of a style is its sales by size in the network, shrunk toward the curve of its category (with a
    weight of 20 units). Core sizes are the fewest best-selling sizes that make up ``core_share`` of the curve. A style
    with one size has no core sizes.

    Args:
        facts: SKU facts.
        style: label per row.
        core_share: 0 to 1.

    Returns:
        One flag per row. A curve of 50, 30, 15 and 5 % has two core sizes at 0.6.
    """
    size = facts[c.SIZE].astype(str).to_numpy(dtype=object)
    keys = pd.DataFrame({c.CATEGORY: facts[c.CATEGORY].astype(str), c.ARTICLE: style, c.SIZE: size})
    units = np.maximum(facts[c.TOTAL_UNITS].to_numpy(dtype=float), 0.0)
    network = keys.assign(**{c.UNITS: units}).groupby([c.CATEGORY, c.ARTICLE, c.SIZE], as_index=False)[c.UNITS].sum()
    network = network[network[c.SIZE] != ""]
    if network.empty or core_share <= 0:
        return np.zeros(len(facts), dtype=bool)
    group = network.groupby([c.CATEGORY, c.ARTICLE]).ngroup().to_numpy()
    curve = network.groupby([c.CATEGORY, c.SIZE])[c.UNITS].transform("sum").to_numpy() + TOLERANCE
    curve = curve / np.bincount(group, weights=curve)[group]
    weight = network[c.UNITS].to_numpy() + SIZE_TRUST * curve
    marked = _best_part(weight, group, core_share) & (np.bincount(group)[group] > 1)
    found = pd.MultiIndex.from_frame(network.loc[marked, [c.CATEGORY, c.ARTICLE, c.SIZE]])
    core: BoolArray = pd.MultiIndex.from_frame(keys).isin(found)
    return core


def _best_part(weight: np.ndarray, group: IndexArray, share: float) -> BoolArray:
    """Select the fewest members of each group, heaviest first, that make up a share of the group's weight."""
    order = np.lexsort((np.arange(len(weight)), -weight, group))
    running = np.cumsum(weight[order])
    whole = np.bincount(group, weights=weight)
    start = np.concatenate([[0.0], np.cumsum(whole)[:-1]])
    before = running - weight[order] - start[group[order]]
    chosen = np.zeros(len(weight), dtype=bool)
    chosen[order] = before < share * whole[group[order]] - TOLERANCE * whole[group[order]]
    return chosen


# A style gets its complete size run if its part of the level is at least this share of the run, otherwise none of it.
NEAREST_RUN = 0.5


@dataclass(frozen=True)
class Display:
    """Stores, styles and display capacities.

    Attributes:
        store: shape (rows,), index of the store.
        style: shape (rows,), index of the style.
        capacity: shape (S,), display capacity in styles; inf = unlimited.
    """

    store: IndexArray
    style: IndexArray
    capacity: FloatArray

    @property
    def pair(self) -> IndexArray:
        """Index of each row's (store, style) pair."""
        _, number = np.unique(self.store * (self.style.max(initial=0) + 1) + self.style, return_inverse=True)
        return number.astype(np.int64)


class _Runs(NamedTuple):
    """The styles of all series, by series: complete runs first, then styles with minimum presentation, then by share.

    Attributes:
        start: shape (series + 1,); the styles of series s are start[s] to start[s + 1] - 1.
        share: shape (styles,), share in the sales of the series.
        least: shape (styles,), units in the store once the missing units of the run are added to the stock.
        shortfall: shape (styles,), missing units of the run.
        held: shape (styles,), units in stock that count against the level.
        required: shape (styles,), has a minimum presentation.
    """

    start: IndexArray
    share: FloatArray
    least: FloatArray
    shortfall: FloatArray
    held: FloatArray
    required: BoolArray


@compiled
def _runs_that_fit(total: FloatArray, runs: _Runs, nearest: float, kept: BoolArray) -> None:
    """Select the styles of each series whose complete runs fit into its level.

    Args:
        total: units of each series.
        runs: the styles of each series.
        nearest: a run is completed if the style's part of the level is at least this share of the run.
        kept: shape (styles,), written: the style is selected.
    """
    start, share, least, shortfall, held, required = runs
    for s in range(len(start) - 1):
        left = total[s]
        shares, units, any_kept = 0.0, 0.0, False
        for g in range(start[s], start[s + 1]):
            if shortfall[g] <= 0.0:
                keep = True
            else:
                part = left * share[g] / max(shares + share[g], 1e-12)
                requested = required[g] or part >= nearest * least[g]
                keep = requested and units + least[g] <= left + 1e-9
            kept[g] = keep
            if keep:
                any_kept = True
                shares += share[g]
                units += least[g]
            else:
                left -= held[g]
        if not any_kept and start[s + 1] > start[s]:
            best = start[s]
            for g in range(start[s], start[s + 1]):
                if share[g] > share[best]:
                    best = g
            kept[best] = True


def whole_runs(total: FloatArray, rows: SplitRows, in_dc: BoolArray, style: IndexArray) -> BoolArray:
    """Find the rows of the styles that can be displayed with complete size runs.

    Per series in the order of sales: a style is selected if its part of the level is at least half its run and all runs
    together fit. It then gets the complete run. Styles whose run is in stock are selected. A core size that is neither
    in stock nor in the distribution center is not required. If the level is too small for any run, the best-selling
    style is selected and gets the level, core sizes first.

    Args:
        total: units of each series.
        rows: the SKUs, with their core sizes.
        in_dc: per row, the distribution center has the SKU.
        style: index of each row's style.

    Returns:
        One flag per row.
    """
    free = np.flatnonzero(rows.open)
    if rows.core is None or not rows.core.any() or not len(free):
        return np.ones(len(rows.series), dtype=bool)
    _, group = np.unique(rows.series[free] * (style.max() + 1) + style[free], return_inverse=True)
    low = least_units(rows)
    low = np.where(in_dc, low, np.minimum(low, rows.position))
    held = np.minimum(rows.position, low)
    shortfall = np.where(rows.core, low - held, 0.0)
    count = int(group.max()) + 1

    def summed(values: FloatArray) -> FloatArray:
        return np.bincount(group, weights=values[free], minlength=count).astype(np.float64)

    series = np.zeros(count, dtype=np.int64)
    series[group] = rows.series[free]
    share, shortfall, required = summed(rows.share), summed(shortfall), summed(rows.floor) > 0
    order = np.lexsort((np.arange(count), -share, ~required, shortfall > 0, series))
    kept = np.zeros(count, dtype=bool)
    runs = _Runs(
        np.searchsorted(series[order], np.arange(len(total) + 1)).astype(np.int64),
        share[order],
        summed(low)[order],
        shortfall[order],
        summed(held)[order],
        required[order],
    )
    _runs_that_fit(total, runs, NEAREST_RUN, kept)
    by_group = np.zeros(count, dtype=bool)
    by_group[order] = kept
    marked = np.ones(len(rows.series), dtype=bool)
    marked[free] = by_group[group]
    return marked


def displayed_styles(display: Display, position: FloatArray, units: FloatArray, value: FloatArray) -> BoolArray:
    """Find the rows of the styles that a store can display.

    Styles with stock on hand or in transit are on display. The remaining display capacity goes to styles by the value
    of their targets, highest first.

    Args:
        display: stores, styles and display capacities.
        position: per row, inventory position in units.
        units: per row, target without a display capacity.
        value: per row, value of a unit.

    Returns:
        One flag per row.
    """
    pair = display.pair
    count = int(pair.max(initial=-1)) + 1
    store = np.zeros(count, dtype=np.int64)
    store[pair] = display.store
    stocked = np.bincount(pair, weights=position, minlength=count) > 0
    worth = np.bincount(pair, weights=units * value, minlength=count)
    free = np.maximum(display.capacity - np.bincount(store[stocked], minlength=len(display.capacity)), 0.0)
    order = np.lexsort((np.arange(count), -worth, store))
    order = order[~stocked[order]]
    own = store[order]
    first = np.searchsorted(own, own)
    shown = stocked | (np.isinf(display.capacity)[store])
    shown[order[np.arange(len(order)) - first < free[own]]] = True
    return shown[pair]


def display_overflow(display: Display, position: FloatArray) -> FloatArray:
    """Count the styles in stock beyond the display capacity of each store, shape (S,); they stay in the store."""
    pair = display.pair
    count = int(pair.max(initial=-1)) + 1
    store = np.zeros(count, dtype=np.int64)
    store[pair] = display.store
    stocked = np.bincount(pair, weights=position, minlength=count) > 0
    shown = np.bincount(store[stocked], minlength=len(display.capacity))
    return np.maximum(np.where(np.isinf(display.capacity), 0.0, shown - display.capacity), 0.0)
