"""Which (series, origin, step) rows a global model learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import BoolArray, FloatArray, IndexArray, Panel
from tasks.storage.mapped import row_blocks

# Odd multipliers of a multiplicative hash (Knuth, TAOCP 3, 6.4): spreads steps evenly over series and origins.
_SERIES_FACTOR, _ORIGIN_FACTOR = 2654435761, 40503


@dataclass(frozen=True)
class Rows:
    """Forecasts to make or to learn from, one per row.

    Attributes:
        series: shape (k,); index of the series.
        origin: shape (k,); number of periods known when the forecast is made.
        step: shape (k,); 1 = the first period after the origin.
    """

    series: IndexArray
    origin: IndexArray
    step: IndexArray

    @property
    def target(self) -> IndexArray:
        """Position of the forecast period on the panel's axis."""
        return self.origin + self.step - 1

    def __len__(self) -> int:
        return len(self.series)

    def take(self, chosen: IndexArray | BoolArray) -> Rows:
        """Some of the rows."""
        return Rows(self.series[chosen], self.origin[chosen], self.step[chosen])


def series_blocks(rows: Rows, size: int) -> list[IndexArray]:
    """Positions of the rows of each block of ``size`` consecutive series."""
    block = rows.series // size
    order = np.argsort(block, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(block[order])) + 1)


def horizon_rows(panel: Panel, series: slice | None = None) -> Rows:
    """Every series, or some of them, and every step from the panel's own cutoff, series-major."""
    return every_step(panel, panel.history, series)


def every_step(panel: Panel, origin: int, series: slice | None = None) -> Rows:
    """Every series, or some of them, and every step from one origin, series-major."""
    first, end, _ = (series or slice(None)).indices(panel.n)
    at, step = np.divmod(np.arange(first * panel.horizon, end * panel.horizon), panel.horizon)
    return Rows(at, np.full(len(at), origin), step + 1)


def steps_after(series: IndexArray, origin: IndexArray, steps: int) -> Rows:
    """Every step after the origin of each series, series-major."""
    at, step = np.divmod(np.arange(len(series) * steps), steps)
    return Rows(series[at], origin[at], step + 1)


def window_rows(panel: Panel, origin: int) -> Rows:
    """Every series and step from one origin whose target is known and open."""
    rows = every_step(panel, origin)
    return rows.take(learnable(panel, rows))


def learnable(panel: Panel, rows: Rows) -> BoolArray:
    """Whether the target of each row is known, open and after the series' first known period.

    A few rows at a time: each value that is read makes 64 KB of a panel on disk resident.
    """
    inside = rows.target < panel.history
    target = np.minimum(rows.target, panel.history - 1)
    usable = np.empty(len(rows), dtype=bool)
    for block in row_blocks(len(rows), panel.history):
        at = rows.series[block], target[block]
        usable[block] = inside[block] & ~np.isnan(panel.demand[at]) & ~panel.closed[at]
    return usable


def target_values(panel: Panel, rows: Rows) -> FloatArray:
    """Demand of each row's target period."""
    values, target = np.empty(len(rows)), rows.target
    for block in row_blocks(len(rows), panel.history):
        values[block] = panel.demand[rows.series[block], target[block]]
    return values


def sample_rows(panel: Panel, last_target: int, first_origin: int, budget: int, seed: int) -> Rows:
    """An even sample of all learnable rows, the same for the same panel, bounds, budget and seed.

    Every series is used at every origin. Of its H steps, as many are kept as fit into the budget: one of every
    ``stride``, at a position that depends on series, origin and seed. If the budget is smaller than one step per series
    and origin, origins are omitted at regular distances; the last origin is always used.

    Args:
        panel: n series over T periods.
        last_target: targets lie before this position (at most T).
        first_origin: the earliest origin, at least 1.
        budget: rows at most.
        seed: shifts the sample.
    """
    origins = np.arange(last_target - 1, first_origin - 1, -1)
    per_origin = max(1, budget // max(1, panel.n))
    origins = np.sort(origins[:: -(-len(origins) // per_origin)]) if len(origins) else origins
    grid = panel.n * int(np.minimum(panel.horizon, last_target - origins).sum())
    stride = max(1, min(panel.horizon, -(-grid // max(1, budget))))
    kept = -(-panel.horizon // stride)
    series = np.repeat(np.arange(panel.n), len(origins) * kept)
    origin = np.tile(np.repeat(origins, kept), panel.n)
    place = np.tile(np.arange(kept), panel.n * len(origins))
    shift = ((series * _SERIES_FACTOR + origin * _ORIGIN_FACTOR + seed) & 0xFFFFFFFF) >> 16
    rows = Rows(series, origin, place * stride + shift % stride + 1)
    rows = rows.take((rows.step <= panel.horizon) & (rows.target < last_target))
    return _thin(rows.take(learnable(panel, rows)), budget)


def _thin(rows: Rows, budget: int) -> Rows:
    if len(rows) <= budget:
        return rows
    return rows.take(np.linspace(0, len(rows) - 1, budget).astype(np.int64))
