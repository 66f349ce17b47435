"""Two boosters on two grounds: one that is told the season, one that finds it.

The *level* booster corrects level x calendar effect and may read everything; it learns from the earliest
origins on. The *season* booster corrects the season of earlier years and may not read what would let it take
that season back (the curve itself, last year's value, the place and the date): rows learnt from show ordinary
times more often than the peaks for which a season matters. Either alone is best on some sets and seasons and
poor on others; their mean was never far behind the better one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import BoolArray, FloatArray, Panel
from schemas.settings import XgboostSettings
from tasks.demand.features.history import Windows
from tasks.demand.features.known import POSITION_IN_YEAR
from tasks.demand.features.rows import KNOWN, FeatureTable
from tasks.demand.features.training_rows import Rows, horizon_rows, sample_rows, target_values
from tasks.forecasting.trees.booster import FEWEST_ROWS, Boosted, Examples, Learning, boost
from tasks.forecasting.trees.expectation import Ground

LEVEL, SEASON = "level", "season"
# What the season booster may not read, by the beginning of a column's name.
HIDDEN = ("season_", "year_ago", f"{KNOWN}static:", f"{KNOWN}{POSITION_IN_YEAR}")
# The season is used where most of the horizon has an earlier year to read.
SEASONAL_AHEAD = 0.5
# Weight of the long mean where too few rows have an earlier year to choose it, or to grow trees on.
LONG_WEIGHT = 0.5
# Without an earlier year, origins reach back to this share of the history.
FIRST_ORIGIN_SHARE = 0.35
# With so many windows of the horizon's length half of the rounds are believed.
WINDOWS_PRIOR = 4.0
# The level booster has the season still to find: it learns faster and longer.
LEVEL_PACE, LEVEL_ROUNDS = 1.6, 2.0
# Labels beyond this multiple of the expectation are cut: single odd periods must not lead the trees.
LARGEST_LABEL = 30.0


@dataclass(frozen=True)
class Sample:
    """Rows to learn from.

    Attributes:
        rows: series, origin and step.
        table: their features.
        units: shape (k,); demand of the target.
    """

    rows: Rows
    table: FeatureTable
    units: FloatArray

    @classmethod
    def of(cls, ground: Ground, rows: Rows) -> Sample:
        """The sample of some rows."""
        return cls(rows, ground.table(rows), target_values(ground.panel, rows))

    def take(self, used: BoolArray) -> Sample:
        """Some of the rows."""
        return Sample(self.rows.take(used), self.table.take(used), self.units[used])


@dataclass(frozen=True)
class View:
    """A booster and the ground that it corrects.

    Attributes:
        boosted: the trees; None where too few rows have an earlier year: the season's ground stands as it is.
        long_weight: of the season's level; None for the level booster.
    """

    boosted: Boosted | None
    long_weight: float | None = None

    @property
    def rounds(self) -> int:
        """Boosting rounds."""
        return 0 if self.boosted is None else self.boosted.rounds

    def ground(self, ground: Ground, table: FeatureTable, rows: Rows) -> FloatArray:
        """Units that the trees correct, shape (k,)."""
        if self.long_weight is None:
            return ground.of_level(table, rows)
        return ground.of_season(table, rows, self.long_weight)

    def ratio(self, table: FeatureTable) -> FloatArray:
        """Median over ground, shape (k,), at least 0."""
        if self.boosted is None:
            return np.ones(len(table.matrix))
        matrix = table.columns(self.boosted.names)
        return np.maximum(self.boosted.predict(matrix, np.ones(len(matrix))), 0.0)


@dataclass(frozen=True)
class Points:
    """Medians of both boosters, shape (k,) each, and their grounds; the level's twice where there is no season."""

    level: FloatArray
    season: FloatArray
    level_ground: FloatArray
    season_ground: FloatArray

    def median(self, weight: float) -> FloatArray:
        """Units, with the weight of the season booster."""
        return weight * self.season + (1.0 - weight) * self.level

    def ground(self, weight: float) -> FloatArray:
        """Units above 0, with the weight of the season booster."""
        return weight * self.season_ground + (1.0 - weight) * self.level_ground


@dataclass(frozen=True)
class Views:
    """The fitted boosters; ``season`` is None where no earlier year can be read."""

    level: View
    season: View | None

    def points(self, ground: Ground, table: FeatureTable, rows: Rows) -> Points:
        """Medians of some rows."""
        level_ground = self.level.ground(ground, table, rows)
        level = level_ground * self.level.ratio(table)
        if self.season is None:
            return Points(level, level, level_ground, level_ground)
        season_ground = self.season.ground(ground, table, rows)
        return Points(level, season_ground * self.season.ratio(table), level_ground, season_ground)


def fit_views(
    ground: Ground, settings: XgboostSettings, budget: int, seed: int, threads: int
) -> tuple[Views, Sample] | None:
    """Both boosters of a panel's history, and the rows whose spread is to be learnt; None where rows are too few.

    Args:
        ground: the panel with its calendar effects.
        settings: how trees are grown.
        budget: rows per booster.
        seed: of sample and trees.
        threads: processor threads; they change no result.
    """
    panel = ground.panel
    first = first_origin(panel)
    sample = Sample.of(ground, sample_rows(panel, panel.history, _earliest(panel, first), budget, seed))
    if len(sample.rows) < FEWEST_ROWS:
        return None
    level = View(_grown(ground, sample, None, settings, seed, threads))
    if float(ground.table(horizon_rows(panel)).expected.seasonal.mean()) <= SEASONAL_AHEAD:
        return Views(level, None), sample
    seasonal = Sample.of(ground, sample_rows(panel, panel.history, first, budget, seed))
    seasonal = seasonal.take(seasonal.table.expected.seasonal)
    if len(seasonal.rows) < FEWEST_ROWS:
        return Views(level, View(None, LONG_WEIGHT)), sample
    long_weight = ground.long_weight(seasonal.table, seasonal.rows)
    season = View(_grown(ground, seasonal, long_weight, settings, seed, threads), long_weight)
    return Views(level, season), seasonal


def first_origin(panel: Panel) -> int:
    """The earliest origin at which an earlier year can be read, if enough origins follow.

    Otherwise this share of the history: FIRST_ORIGIN_SHARE.
    """
    windows = Windows.of(panel.frequency)
    seasonal = windows.year + windows.level
    if panel.history >= seasonal + windows.level:
        return seasonal
    return max(1, int(panel.history * FIRST_ORIGIN_SHARE))


def believed_rounds(rounds: float, rows: Rows, horizon: int) -> int:
    """Rounds that the rows bear: with w windows of the horizon's length among their targets, w^2 / (w^2 + 16) of them.

    Series of one panel share their shocks, so what counts is time. Example: targets on 112 days with a
    horizon of 28 are 4 windows, so half of the rounds.
    """
    windows = len(np.unique(rows.target)) / horizon
    return max(1, round(rounds * windows**2 / (windows**2 + WINDOWS_PRIOR**2)))


def learning_of(settings: XgboostSettings, objective: str, rounds: int, seed: int, threads: int) -> Learning:
    """The settings as XGBoost takes them."""
    return Learning(
        objective=objective,
        rounds=rounds,
        learning_rate=settings.params.learning_rate,
        max_depth=settings.params.max_depth,
        subsample=settings.params.subsample,
        colsample_bytree=settings.params.colsample_bytree,
        reg_lambda=settings.params.reg_lambda,
        reg_alpha=settings.params.reg_alpha,
        min_child_weight=settings.params.min_child_weight,
        seed=seed,
        threads=threads,
        further=settings.params.passed_on(),
    )


def _earliest(panel: Panel, first: int) -> int:
    return min(first, max(1, Windows.of(panel.frequency).level))


def _grown(
    ground: Ground, sample: Sample, long_weight: float | None, settings: XgboostSettings, seed: int, threads: int
) -> Boosted:
    """Trees for the median of demand over ground, weighted by the ground: the sum of errors in units counts.

    They set out from the ground itself (a ratio of 1): few rounds then leave it as it is.
    """
    if long_weight is None:
        scale, names = ground.of_level(sample.table, sample.rows), sample.table.names
        rounds, pace = LEVEL_ROUNDS * settings.max_rounds, LEVEL_PACE
    else:
        scale = ground.of_season(sample.table, sample.rows, long_weight)
        names = tuple(name for name in sample.table.names if not name.startswith(HIDDEN))
        rounds, pace = settings.max_rounds, 1.0
    believed = believed_rounds(rounds, sample.rows, ground.panel.horizon)
    learning = learning_of(settings, "reg:absoluteerror", believed, seed, threads).faster(pace)
    label = np.minimum(sample.units / scale, LARGEST_LABEL)
    return boost(Examples(sample.table.columns(names), label, scale, np.ones(len(label))), names, learning)
