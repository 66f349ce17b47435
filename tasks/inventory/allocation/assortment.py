"""Which articles a store shows: whole size runs, and no more of them than it can display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray
from tasks.inventory.allocation.disaggregate import SplitRows, least_units
from tasks.inventory.model.compiled import compiled

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
