"""Styles (SKUs without their size), their core sizes, and which styles a store shows."""

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

# A SKU may end with its size without a mark between them only where nearly all do: it is a code then, no chance.
NEARLY_ALL = 0.9
# Rows of a series are compared by sums of floats.
TOLERANCE = 1e-9
_MARKS = r"[\s/_.:|,;#-]+"
GIVEN = "the products' column article"
MARKED = "the SKU without its size, which a mark sets apart"
ENDING = "the SKU without the size that it ends with"
SINGLE = "the SKU itself: no size can be told from it"


def article_labels(facts: pd.DataFrame) -> tuple[np.ndarray, str]:
    """The article of each row, and the rule by which it was found.

    Without a column ``article`` it is the SKU less its size: first where marks (space, slash, dash, dot,
    underscore) set the size apart; else where at least nine of ten sized SKUs end with their size, zeros before it
    allowed; else every SKU is an article.

    Args:
        facts: SKU facts: sku, size, and article where the products have it (empty = unknown).
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
    """The SKU without its size where marks set it apart.

    >>> _apart("000-36", "36"), _apart("10000/XL ( 158-170 )", "XL ( 158-170 )"), _apart("1036", "36")
    ('000', '10000', '1036')
    """
    cut = re.sub(rf"(?:^|{_MARKS}){re.escape(size)}(?={_MARKS}|$)", "", sku).strip()
    return cut or sku


def _at_the_end(sku: str, size: str) -> str:
    """The SKU without the size at its end, and without the zeros before it.

    >>> _at_the_end("120101035", "35"), _at_the_end("ABC", "M")
    ('120101', 'ABC')
    """
    cut = re.sub(rf"0*{re.escape(size)}$", "", sku)
    return cut or sku


def core_sizes(facts: pd.DataFrame, article: np.ndarray, core_share: float) -> BoolArray:
    """Rows whose size is a core size of their article.

    An article's size curve is its own sales by size in the whole network, shrunk towards its category's (20 units
    of it); its core sizes are the fewest best ones that make up ``core_share`` of the curve. An article of one
    size has no size run.

    Args:
        facts: SKU facts.
        article: label per row.
        core_share: 0 to 1.

    Returns:
        One flag per row. A curve of 50, 30, 15 and 5 % has two core sizes at 0.6.
    """
    size = facts[c.SIZE].astype(str).to_numpy(dtype=object)
    keys = pd.DataFrame({c.CATEGORY: facts[c.CATEGORY].astype(str), c.ARTICLE: article, c.SIZE: size})
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
    """The fewest heaviest members of each group that make up a share of its weight."""
    order = np.lexsort((np.arange(len(weight)), -weight, group))
    running = np.cumsum(weight[order])
    whole = np.bincount(group, weights=weight)
    start = np.concatenate([[0.0], np.cumsum(whole)[:-1]])
    before = running - weight[order] - start[group[order]]
    chosen = np.zeros(len(weight), dtype=bool)
    chosen[order] = before < share * whole[group[order]] - TOLERANCE * whole[group[order]]
    return chosen


# An article whose part of the level is at least this share of its size run gets the whole run, below it none:
# the nearest whole run.
NEAREST_RUN = 0.5


@dataclass(frozen=True)
class Shelf:
    """What stores show.

    Attributes:
        store: shape (rows,), index of the store.
        article: shape (rows,), number of the article.
        capacity: shape (S,), different articles on show at once; inf = unlimited.
    """

    store: IndexArray
    article: IndexArray
    capacity: FloatArray

    @property
    def place(self) -> IndexArray:
        """Number of each row's (store, article)."""
        _, number = np.unique(self.store * (self.article.max(initial=0) + 1) + self.article, return_inverse=True)
        return number.astype(np.int64)


class _Runs(NamedTuple):
    """The styles of all series, by series: those that lack nothing first, then required ones, then by falling share.

    Attributes:
        start: shape (series + 1,); the styles of series s are start[s] to start[s + 1] - 1.
        share: of each style.
        least: units that it holds with a whole run and what is there.
        lacking: units of its run that are not there.
        held: units that are there and count against the level.
        required: minimum presentation asks for it.
    """

    start: IndexArray
    share: FloatArray
    least: FloatArray
    lacking: FloatArray
    held: FloatArray
    required: BoolArray


@compiled
def _runs_that_fit(total: FloatArray, runs: _Runs, nearest: float, kept: BoolArray) -> None:
    """Mark the styles of each series that its level can hold with whole runs.

    Args:
        total: units of each series.
        runs: the styles of each series.
        nearest: share of a run from which it is made whole.
        kept: written.
    """
    start, share, least, lacking, held, required = runs
    for s in range(len(start) - 1):
        left = total[s]
        shares, units, any_kept = 0.0, 0.0, False
        for g in range(start[s], start[s + 1]):
            if lacking[g] <= 0.0:
                keep = True
            else:
                part = left * share[g] / max(shares + share[g], 1e-12)
                wanted = required[g] or part >= nearest * least[g]
                keep = wanted and units + least[g] <= left + 1e-9
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


def whole_runs(total: FloatArray, rows: SplitRows, bounded: BoolArray, article: IndexArray) -> BoolArray:
    """Rows of the articles that can be shown with whole size runs.

    Per series the best sellers first: an article is kept where its part of the level is at least half its run (it
    gets the whole run then) and all runs together fit. Articles whose run is in stock already are kept. Where the
    level holds no run at all, the best seller is kept and gets what there is, core sizes first: sending nothing
    would lose every sale.

    Args:
        total: units of each series, the stock of what may not be sent taken off where the store is bounded.
        rows: the SKUs, with their core sizes.
        bounded: per series.
        article: number of each row's article.
    """
    free = np.flatnonzero(rows.open)
    if rows.core is None or not rows.core.any() or not len(free):
        return np.ones(len(rows.series), dtype=bool)
    _, group = np.unique(rows.series[free] * (article.max() + 1) + article[free], return_inverse=True)
    low = least_units(rows, bounded)
    held = np.where(bounded[rows.series], rows.position, 0.0)
    lacks = np.where(rows.core, np.maximum(low - held, 0.0), 0.0)
    count = int(group.max()) + 1

    def summed(values: FloatArray) -> FloatArray:
        return np.bincount(group, weights=values[free], minlength=count).astype(np.float64)

    series = np.zeros(count, dtype=np.int64)
    series[group] = rows.series[free]
    share, lacking, required = summed(rows.share), summed(lacks), summed(rows.floor) > 0
    order = np.lexsort((np.arange(count), -share, ~required, lacking > 0, series))
    kept = np.zeros(count, dtype=bool)
    runs = _Runs(
        np.searchsorted(series[order], np.arange(len(total) + 1)).astype(np.int64),
        share[order],
        summed(np.maximum(low, held))[order],
        lacking[order],
        summed(held)[order],
        required[order],
    )
    _runs_that_fit(total, runs, NEAREST_RUN, kept)
    by_group = np.zeros(count, dtype=bool)
    by_group[order] = kept
    marked = np.ones(len(rows.series), dtype=bool)
    marked[free] = by_group[group]
    return marked


def on_show(shelf: Shelf, position: FloatArray, units: FloatArray, value: FloatArray) -> BoolArray:
    """Rows of the articles that a store can show.

    What has stock, on hand or on the way, is on show. The places left go to the articles of which the plan would
    send most value, and after them to those of which it would send none.

    Args:
        shelf: stores, articles and how many a store shows.
        position: per row, units on hand and on the way.
        units: per row, target if nothing limited the display.
        value: per row, of a unit.

    Returns:
        One flag per row.
    """
    place = shelf.place
    count = int(place.max(initial=-1)) + 1
    store = np.zeros(count, dtype=np.int64)
    store[place] = shelf.store
    stocked = np.bincount(place, weights=position, minlength=count) > 0
    worth = np.bincount(place, weights=units * value, minlength=count)
    free = np.maximum(shelf.capacity - np.bincount(store[stocked], minlength=len(shelf.capacity)), 0.0)
    order = np.lexsort((np.arange(count), -worth, store))
    order = order[~stocked[order]]
    own = store[order]
    first = np.searchsorted(own, own)
    shown = stocked | (np.isinf(shelf.capacity)[store])
    shown[order[np.arange(len(order)) - first < free[own]]] = True
    return shown[place]


def crowded_displays(shelf: Shelf, position: FloatArray) -> FloatArray:
    """Articles in stock beyond what each store can show, shape (S,): nothing is taken back, so they stay."""
    place = shelf.place
    count = int(place.max(initial=-1)) + 1
    store = np.zeros(count, dtype=np.int64)
    store[place] = shelf.store
    stocked = np.bincount(place, weights=position, minlength=count) > 0
    shown = np.bincount(store[stocked], minlength=len(shelf.capacity))
    return np.maximum(np.where(np.isinf(shelf.capacity), 0.0, shown - shelf.capacity), 0.0)
