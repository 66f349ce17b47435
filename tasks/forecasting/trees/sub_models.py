"""Two sub-models on two baseline expectations: a level model and a seasonal model.

The *level model* corrects level x calendar effect, reads every column and is fitted from the earliest origins on. The
*seasonal model* corrects the season of earlier years. It does not read the columns with which it could undo that
season (the curve, last year's value, store and date), because training rows show ordinary periods more often than
seasonal peaks. Each is best on some data and poor on others; docs/decisions/0007 has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.frequency import Frequency
from schemas.panel import BoolArray, FloatArray, IndexArray, Panel
from schemas.settings import XgboostSettings
from tasks.demand.features.history import Windows
from tasks.demand.features.known import POSITION_IN_YEAR
from tasks.demand.features.rows import KNOWN, FeatureTable
from tasks.demand.features.training_rows import Rows, every_step, sample_rows, target_values
from tasks.forecasting.trees.booster import FEWEST_ROWS, Boosted, Examples, Learning, boost
from tasks.forecasting.trees.expectation import BaselineExpectation

LEVEL, SEASON = "level", "season"
# Prefixes of the columns that the seasonal model does not read.
HIDDEN = ("season_", "year_ago", f"{KNOWN}static:", f"{KNOWN}{POSITION_IN_YEAR}")


@dataclass(frozen=True)
class SubModelRule:
    """The numbers of the sub-models (docs/reference/constants.md).

    Attributes:
        long_weight: weight of the long mean if too few rows have an earlier year to choose it.
        first_origin_share: without an earlier year, the first origin lies at this fraction of the history.
        prior_windows: with this many windows of the horizon's length, half of the boosting rounds are used.
        level_pace: learning rate of the level model as a multiple of the seasonal model's.
        level_rounds: boosting rounds of the level model as a multiple of the seasonal model's.
        largest_label: labels are clipped at this multiple of the expectation.
    """

    long_weight: float = 0.5
    first_origin_share: float = 0.35
    prior_windows: float = 4.0
    level_pace: float = 1.6
    level_rounds: float = 2.0
    largest_label: float = 30.0


RULE = SubModelRule()


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
    def of(cls, baseline: BaselineExpectation, rows: Rows) -> Sample:
        """The sample of some rows."""
        return cls(rows, baseline.table(rows), target_values(baseline.panel, rows))

    def take(self, used: IndexArray | BoolArray) -> Sample:
        """Some of the rows."""
        return Sample(self.rows.take(used), self.table.take(used), self.units[used])


@dataclass(frozen=True)
class SubModel:
    """A booster and the baseline expectation that it corrects.

    Attributes:
        boosted: the trees; None if too few rows have an earlier year: the baseline expectation is not corrected.
        long_weight: weight of the long mean; None for the level model.
    """

    boosted: Boosted | None
    long_weight: float | None = None

    @property
    def rounds(self) -> int:
        """Boosting rounds."""
        return 0 if self.boosted is None else self.boosted.rounds

    def baseline(self, baseline: BaselineExpectation, table: FeatureTable, rows: Rows) -> FloatArray:
        """Units that the trees correct, shape (k,)."""
        if self.long_weight is None:
            return baseline.of_level(table, rows)
        return baseline.of_season(table, rows, self.long_weight)

    def ratio(self, table: FeatureTable) -> FloatArray:
        """Median over baseline, shape (k,), at least 0."""
        if self.boosted is None:
            return np.ones(len(table.matrix))
        matrix = table.columns(self.boosted.names)
        return np.maximum(self.boosted.predict(matrix, np.ones(len(matrix))), 0.0)


@dataclass(frozen=True)
class Points:
    """Medians of both sub-models, shape (k,) each, and their baselines; the level model's twice without a season."""

    level: FloatArray
    season: FloatArray
    level_baseline: FloatArray
    season_baseline: FloatArray

    def median(self, weight: float) -> FloatArray:
        """Units, with the weight of the seasonal model."""
        return weight * self.season + (1.0 - weight) * self.level

    def baseline(self, weight: float) -> FloatArray:
        """Units above 0, with the weight of the seasonal model."""
        return weight * self.season_baseline + (1.0 - weight) * self.level_baseline


@dataclass(frozen=True)
class SubModels:
    """The fitted sub-models; ``season`` is None without an earlier year."""

    level: SubModel
    season: SubModel | None

    def points(self, baseline: BaselineExpectation, table: FeatureTable, rows: Rows) -> Points:
        """Medians of some rows."""
        level_baseline = self.level.baseline(baseline, table, rows)
        level = level_baseline * self.level.ratio(table)
        if self.season is None:
            return Points(level, level, level_baseline, level_baseline)
        season_baseline = self.season.baseline(baseline, table, rows)
        return Points(level, season_baseline * self.season.ratio(table), level_baseline, season_baseline)


def fit_sub_models(
    baseline: BaselineExpectation,
    settings: XgboostSettings,
    budget: int,
    seed: int,
    threads: int,
    known: int | None = None,
) -> tuple[SubModels, Sample] | None:
    """Fit both sub-models; returns them with the rows for the residual quantiles, or None with too few rows.

    Args:
        baseline: the panel with its calendar effects.
        settings: how trees are grown.
        budget: maximum number of rows per sub-model.
        seed: seed of sample and trees.
        threads: processor threads; they change no result.
        known: learn from targets before this position and for the horizon after it; the whole history if None.
    """
    panel = baseline.panel
    known = panel.history if known is None else known
    first = first_origin(panel.frequency, known)
    sample = Sample.of(baseline, sample_rows(panel, known, _earliest(panel, first), budget, seed))
    if len(sample.rows) < FEWEST_ROWS:
        return None
    level = SubModel(_grown(baseline, sample, None, settings, seed, threads))
    if not baseline.mostly_seasonal(every_step(panel, known)):
        return SubModels(level, None), sample
    seasonal = Sample.of(baseline, sample_rows(panel, known, first, budget, seed))
    seasonal = seasonal.take(seasonal.table.expected.seasonal)
    if len(seasonal.rows) < FEWEST_ROWS:
        return SubModels(level, SubModel(None, RULE.long_weight)), sample
    long_weight = baseline.long_weight(seasonal.table, seasonal.rows)
    season = SubModel(_grown(baseline, seasonal, long_weight, settings, seed, threads), long_weight)
    return SubModels(level, season), seasonal


def first_origin(frequency: Frequency, known: int) -> int:
    """The earliest origin at which an earlier year can be read, if enough of the known periods follow.

    Otherwise ``RULE.first_origin_share`` of the known periods.
    """
    windows = Windows.of(frequency)
    seasonal = windows.year + windows.level
    if known >= seasonal + windows.level:
        return seasonal
    return max(1, int(known * RULE.first_origin_share))


def supported_rounds(rounds: float, rows: Rows, horizon: int) -> int:
    """Rounds that the rows support: with w windows of the horizon's length among their targets, w^2 / (w^2 + 16).

    Series of one panel share their shocks, so only time counts. Example: targets on 112 days with a
    horizon of 28 are 4 windows, so half of the rounds.
    """
    windows = len(np.unique(rows.target)) / horizon
    return max(1, round(rounds * windows**2 / (windows**2 + RULE.prior_windows**2)))


def learning_of(settings: XgboostSettings, objective: str, rounds: int, seed: int, threads: int) -> Learning:
    """The settings as parameters of XGBoost."""
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
    baseline: BaselineExpectation,
    sample: Sample,
    long_weight: float | None,
    settings: XgboostSettings,
    seed: int,
    threads: int,
) -> Boosted:
    """Fit trees for the median of demand / baseline, weighted by the baseline, so that the error counts in units.

    They start from a ratio of 1, the baseline itself: with few rounds, the forecast stays close to the baseline.
    """
    if long_weight is None:
        scale, names = baseline.of_level(sample.table, sample.rows), sample.table.names
        rounds, pace = RULE.level_rounds * settings.max_rounds, RULE.level_pace
    else:
        scale = baseline.of_season(sample.table, sample.rows, long_weight)
        names = tuple(name for name in sample.table.names if not name.startswith(HIDDEN))
        rounds, pace = settings.max_rounds, 1.0
    supported = supported_rounds(rounds, sample.rows, baseline.panel.horizon)
    learning = learning_of(settings, "reg:absoluteerror", supported, seed, threads).faster(pace)
    label = np.minimum(sample.units / scale, RULE.largest_label)
    return boost(Examples(sample.table.columns(names), label, scale, np.ones(len(label))), names, learning)
