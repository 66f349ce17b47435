"""The calendar profile: multiplicative effects of known future covariates on the level around a period.

Promotions, closures, holidays, weekdays and paydays act at once and similarly in all series. A small boosted model
learns demand / (mean of the periods around it) from known future columns only. It therefore covers every step of the
horizon, and history divided by it is comparable from week to week.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import FloatArray, IndexArray, KnownFeature, Panel, SmallFloatArray
from tasks.demand.features.known import KnownColumns
from tasks.demand.features.rows import reordered
from tasks.demand.features.windows import RATIOS, RunningSums
from tasks.forecasting.trees.booster import Boosted, Examples, Learning, boost
from tasks.storage.mapped import empty, row_blocks

# Periods on each side whose mean is the level around a period; short enough to contain the yearly season.
AROUND = {"D": 10, "W": 4, "MS": 2}
# Maximum number of cells (series x period) for training, and per prediction.
LEARNED_CELLS = 150_000
PREDICTED_CELLS = 200_000
WEEKDAY = "weekday"


@dataclass(frozen=True)
class CalendarRule:
    """The numbers of the calendar profile (docs/reference/constants.md).

    Attributes:
        rounds: boosting rounds of the profile.
        prior_periods: prior weight, in periods, with which a series' own ratios are shrunk toward 1.
    """

    rounds: int = 120
    prior_periods: float = 4.0


RULE = CalendarRule()


@dataclass(frozen=True)
class _OwnRatios:
    """Mean ratio of each series on each value of a small known feature.

    Attributes:
        values: shape (n, states).
        state: the feature whose value is the state of each period.
    """

    values: FloatArray
    state: KnownFeature

    def at(self, series: IndexArray, target: IndexArray) -> FloatArray:
        state = np.minimum(self.state.at(series, target).astype(np.int64), self.values.shape[1] - 1)
        found: FloatArray = self.values[series, state]
        return found


@dataclass(frozen=True)
class CalendarProfile:
    """A fitted profile."""

    boosted: Boosted
    ratios: dict[str, FloatArray]

    def effects(self, panel: Panel, known: KnownColumns) -> SmallFloatArray:
        """Multiplicative effect of each period, shape (n, T + H), between RATIOS.smallest and RATIOS.largest."""
        columns = _Columns(panel, known, self.ratios)
        length = panel.history + panel.horizon
        found: SmallFloatArray = empty(panel.n * length, np.float32).reshape(panel.n, length)
        for block in row_blocks(panel.n, length, PREDICTED_CELLS):
            series = np.repeat(np.arange(block.start, block.stop), length)
            target = np.tile(np.arange(length), block.stop - block.start)
            matrix = reordered(*columns.matrix(series, target), self.boosted.names)
            predicted = self.boosted.predict(matrix)
            found[block] = np.clip(predicted, RATIOS.smallest, RATIOS.largest).reshape(-1, length)
        return found

    def log_parts(
        self, panel: Panel, known: KnownColumns, series: IndexArray, target: IndexArray
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """Contribution of each column to the logarithm of the effect, shape (k, F + 1), and the F column names.

        The last column is the start of the trees.
        """
        matrix = reordered(*_Columns(panel, known, self.ratios).matrix(series, target), self.boosted.names)
        return self.boosted.contributions(matrix), self.boosted.names


def fit_profile(panel: Panel, known: KnownColumns, seed: int, threads: int) -> CalendarProfile | None:
    """Fit the profile of a panel's history; None without a known period."""
    flags = [*known.frequent_flags, *([WEEKDAY] if panel.frequency.kind == "D" else [])]
    states = {name: _state(panel, name) for name in flags}
    means: dict[str, list[FloatArray]] = {name: [] for name in flags}
    usable = 0
    for block in row_blocks(panel.n, panel.history, PREDICTED_CELLS):
        ratio, _ = ratios_to_surroundings(panel, block)
        usable += int(np.isfinite(ratio).sum())
        for name, state in states.items():
            means[name].append(_mean_by_state(ratio, state, block))
    if not usable:
        return None
    own = {name: np.concatenate(parts) for name, parts in means.items()}
    stride = -(-usable // LEARNED_CELLS)
    blocks = row_blocks(panel.n, panel.history, PREDICTED_CELLS)
    cells = [_every(panel, block, stride, seed) for block in blocks]
    series, target, label, weight = (np.concatenate(parts) for parts in zip(*cells, strict=True))
    matrix, names = _Columns(panel, known, own).matrix(series, target)
    return CalendarProfile(boost(Examples(matrix, label, weight), names, _learning(seed, threads)), own)


def ratios_to_surroundings(panel: Panel, block: slice) -> tuple[FloatArray, FloatArray]:
    """Demand over the mean of the open known periods around it, and this mean; NaN where either is unknown.

    Clipped at RATIOS.largest. Example: 12 units on a day amid ten days of 6 on each side (mean of the 21: 6.29)
    give 1.91.

    Args:
        panel: n series over T periods.
        block: m consecutive series.

    Returns:
        Shape (m, T) each.
    """
    demand = np.where(panel.closed[block, : panel.history], np.nan, panel.demand[block])
    around = AROUND[panel.frequency.kind]
    series, period = (grid.ravel() for grid in np.indices(demand.shape))
    begin, end = np.maximum(period - around, 0), np.minimum(period + around + 1, panel.history)
    level = RunningSums(demand).mean(series, end, end - begin).reshape(demand.shape)
    ratio = np.divide(demand, level, out=np.full(demand.shape, np.nan), where=level > 0)
    return np.minimum(ratio, RATIOS.largest), level


def _every(panel: Panel, block: slice, stride: int, seed: int) -> tuple[IndexArray, IndexArray, FloatArray, FloatArray]:
    """One of ``stride`` cells with a known ratio: series, period, ratio and level around it, shape (k,) each."""
    ratio, level = ratios_to_surroundings(panel, block)
    at, target = np.nonzero(np.isfinite(ratio))
    chosen = (block.start + at + target + seed) % stride == 0
    at, target = at[chosen], target[chosen]
    return block.start + at, target, ratio[at, target], level[at, target]


def _state(panel: Panel, name: str) -> KnownFeature:
    """The feature whose value is the state of each period; the weekday is not among the panel's own."""
    if name != WEEKDAY:
        return panel.known[name]
    weekday = panel.periods.dayofweek.to_numpy()[None, :].astype(np.float32)
    return KnownFeature(weekday, np.zeros(panel.n, dtype=np.int64))


def _mean_by_state(ratio: FloatArray, state: KnownFeature, block: slice) -> FloatArray:
    """Shrunk mean ratio of each series of a block by state, shape (m, states)."""
    usable = np.isfinite(ratio)
    states = state.values[state.row_of_series[block], : ratio.shape[1]].astype(np.int64)
    size = int(state.values.max()) + 1
    flat = (np.arange(len(ratio))[:, None] * size + states)[usable]
    total = np.bincount(flat, ratio[usable], minlength=len(ratio) * size)
    count = np.bincount(flat, minlength=len(ratio) * size)
    return ((total + RULE.prior_periods) / (count + RULE.prior_periods)).reshape(len(ratio), size)


class _Columns:
    """Columns of the profile: known future columns, and the series' own ratio in the period's state."""

    def __init__(self, panel: Panel, known: KnownColumns, own: dict[str, FloatArray]) -> None:
        self._known = known
        self._own = {name: _OwnRatios(values, _state(panel, name)) for name, values in own.items()}

    def matrix(self, series: IndexArray, target: IndexArray) -> tuple[SmallFloatArray, tuple[str, ...]]:
        columns = self._known.at(series, target)
        columns |= {f"own:{name}": ratios.at(series, target) for name, ratios in self._own.items()}
        return np.column_stack([values.astype(np.float32) for values in columns.values()]), tuple(columns)


def _learning(seed: int, threads: int) -> Learning:
    return Learning(
        objective="count:poisson",
        rounds=RULE.rounds,
        learning_rate=0.1,
        max_depth=6,
        subsample=0.8,
        colsample_bytree=0.5,
        reg_lambda=5.0,
        reg_alpha=0.0,
        min_child_weight=20.0,
        seed=seed,
        threads=threads,
    )
