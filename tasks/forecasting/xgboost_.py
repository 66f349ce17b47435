"""One XGBoost over all series: what a period sells relative to what level, season and calendar let expect.

Direct and multi-horizon: a training row is a series, an origin and a step; its features are known at the
origin or known in advance (:mod:`tasks.demand.features`). The label is demand over the row's expectation
(level x season x calendar effect), the weight that expectation, so that the trees lower the sum of errors in
units. All quantiles come from one booster (pinball loss), the mean from another (Poisson). The last window
of the history, held out, decides on the number of rounds and calibrates the outer quantiles (split conformal,
Romano, Patterson and Candes 2019); then the trees learn again from everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas.panel import BoolArray, FloatArray, Forecast, IndexArray, Panel, SmallFloatArray
from schemas.settings import XgboostSettings
from tasks.demand.feature_known import KnownColumns
from tasks.demand.features import Features, FeatureTable
from tasks.demand.training_rows import Rows, horizon_rows, sample_rows, target_values, window_rows
from tasks.forecasting.floors import SeasonalNaive
from tasks.forecasting.quantiles import tidy
from tasks.forecasting.xgb_boost import Boosted, Examples, Learning, boost
from tasks.forecasting.xgb_profile import fit_profile

NAME = "xgboost"
MEDIAN = 0.5
# Labels beyond this multiple of the expectation are cut: single odd periods must not lead the trees.
LARGEST_LABEL = 30.0
# Rows without an earlier year are left out where most of the horizon has one, and enough rows have.
SEASONAL_AHEAD, SEASONAL_LEARNT = 0.5, 0.1
# Origins reach back to this share of the history.
FIRST_ORIGIN_SHARE = 0.35
# The held-out window is learnt for with this share of the rows: it only decides on rounds and spreads.
HELD_OUT_SHARE = 0.5
ROUNDS_UNTESTED = 60
# Below this a held-out window stops for its own oddities, not for overfitting.
FEWEST_ROUNDS = 40
FEWEST_ROWS = 200
# One window is one season: what it says about the spread is believed by half.
TRUST = 0.5


@dataclass(frozen=True)
class Labelled:
    """Rows ready for the trees.

    Attributes:
        table: features.
        scale: shape (k,); expectation of each row in units, above 0.
        units: shape (k,); demand.
    """

    table: FeatureTable
    scale: FloatArray
    units: FloatArray

    @property
    def examples(self) -> Examples:
        """Demand as a multiple of the expectation, weighted by the expectation."""
        return Examples(self.table.matrix, np.minimum(self.units / self.scale, LARGEST_LABEL), self.scale)


@dataclass(frozen=True)
class Verdict:
    """What the held-out window says.

    Attributes:
        rounds: boosting rounds.
        shift: shape (Q,); added to each quantile, in multiples of the expectation; 0 for the median.
    """

    rounds: int
    shift: FloatArray


class XgboostForecaster:
    """The global forecaster.

    Args:
        settings: rows, rounds and how trees are grown.
        levels: quantile levels, ascending, with 0.5 among them.
        threads: processor threads; they change no result.
    """

    name = NAME

    def __init__(self, settings: XgboostSettings, levels: Sequence[float], threads: int = 1) -> None:
        self._settings = settings
        self._levels = tuple(levels)
        self._threads = threads

    def fit(self, panel: Panel, seed: int) -> FittedXgboost:
        """Learn from all series of a panel's history."""
        known = KnownColumns(panel)
        profile = fit_profile(panel, known, seed, self._threads)
        shape = (panel.n, panel.history + panel.horizon)
        effects = np.ones(shape, dtype=np.float32) if profile is None else profile.effects(panel, known)
        ground = _Ground(panel, effects, Features(panel, effects, known))
        rows = self._rows(panel, panel.history, self._settings.max_rows, seed)
        if len(rows) < FEWEST_ROWS:
            return FittedXgboost(self._levels, ground, "", None, None, np.zeros(len(self._levels)))
        table = ground.features.table(rows)
        candidate = ground.best_candidate(table, rows)
        learnt = ground.labelled(table, rows, candidate)
        verdict = self._held_out(ground, candidate, seed)
        return FittedXgboost(
            levels=self._levels,
            ground=ground,
            candidate=candidate,
            quantiles=self._boost(learnt, "reg:quantileerror", verdict.rounds, seed, self._levels),
            mean=self._boost(learnt, "count:poisson", verdict.rounds, seed),
            shift=verdict.shift,
        )

    def _rows(self, panel: Panel, end: int, budget: int, seed: int) -> Rows:
        first = max(1, min(panel.frequency.periods_per_year + panel.horizon, int(end * FIRST_ORIGIN_SHARE)))
        return sample_rows(panel, end, first, budget, seed)

    def _held_out(self, ground: _Ground, candidate: str, seed: int) -> Verdict:
        """Rounds with the least pinball loss on the last window, and how far its quantiles were off."""
        panel = ground.panel
        origin = panel.history - panel.horizon
        untested = Verdict(min(ROUNDS_UNTESTED, self._settings.max_rounds), np.zeros(len(self._levels)))
        if origin <= 1:
            return untested
        rows = self._rows(panel, origin, int(self._settings.max_rows * HELD_OUT_SHARE), seed)
        test_rows = window_rows(panel, origin)
        if len(rows) < FEWEST_ROWS or len(test_rows) < FEWEST_ROWS:
            return untested
        learnt = ground.labelled(ground.features.table(rows), rows, candidate)
        test = ground.labelled(ground.features.table(test_rows), test_rows, candidate, every=True)
        booster = self._boost(learnt, "reg:quantileerror", self._settings.max_rounds, seed, self._levels, test)
        rounds = min(max(booster.rounds, FEWEST_ROUNDS), self._settings.max_rounds)
        return Verdict(rounds, self._shift(booster, test))

    def _shift(self, booster: Boosted, test: Labelled) -> FloatArray:
        """Move each quantile towards having its share of the held-out rows below it; the median stays."""
        predicted = np.maximum(np.sort(booster.predict(test.table.matrix), axis=1), 0.0)
        ratio = test.units / test.scale
        gaps = [np.quantile(ratio - predicted[:, at], level) for at, level in enumerate(self._levels)]
        off_median = np.array([level != MEDIAN for level in self._levels])
        shift: FloatArray = np.where(off_median, TRUST * np.array(gaps), 0.0)
        return shift

    def _boost(
        self,
        learnt: Labelled,
        objective: str,
        rounds: int,
        seed: int,
        levels: tuple[float, ...] = (),
        held_out: Labelled | None = None,
    ) -> Boosted:
        s = self._settings
        learning = Learning(
            objective=objective,
            rounds=rounds,
            learning_rate=s.learning_rate,
            max_depth=s.max_depth,
            subsample=s.subsample,
            colsample_bytree=s.colsample_bytree,
            reg_lambda=s.reg_lambda,
            reg_alpha=s.reg_alpha,
            min_child_weight=s.min_child_weight,
            seed=seed,
            threads=self._threads,
            levels=levels,
            patience=s.early_stopping_rounds,
        )
        test = None if held_out is None else held_out.examples
        return boost(learnt.examples, learnt.table.names, learning, test)


class _Ground:
    """A panel with its calendar effects and features: turns rows into labelled feature tables."""

    def __init__(self, panel: Panel, effects: SmallFloatArray, features: Features) -> None:
        self.panel = panel
        self.features = features
        self._effects = effects
        ahead = features.table(horizon_rows(panel))
        self.ahead = ahead
        self._season_ahead = float(ahead.seasonal.mean()) > SEASONAL_AHEAD

    def scale(self, table: FeatureTable, rows: Rows, candidate: str) -> FloatArray:
        """Expectation of each row in units, calendar effect included."""
        scale: FloatArray = table.expected[candidate] * self._effects[rows.series, rows.target]
        return scale

    def learnable(self, table: FeatureTable) -> BoolArray:
        """Rows like those of the horizon: with an earlier year where that has one."""
        if self._season_ahead and float(table.seasonal.mean()) > SEASONAL_LEARNT:
            return np.asarray(table.seasonal, dtype=np.bool_)
        return np.ones(len(table.seasonal), dtype=np.bool_)

    def best_candidate(self, table: FeatureTable, rows: Rows) -> str:
        """The expectation with the least sum of absolute errors over the rows."""
        used = self.learnable(table)
        units = target_values(self.panel, rows)[used]
        losses = {name: float(np.abs(self.scale(table, rows, name)[used] - units).sum()) for name in table.expected}
        return min(losses, key=lambda name: (losses[name], name))

    def labelled(self, table: FeatureTable, rows: Rows, candidate: str, every: bool = False) -> Labelled:
        """Rows with their scale and demand; those like the horizon's only, unless ``every``."""
        used = np.ones(len(rows), dtype=np.bool_) if every else self.learnable(table)
        return Labelled(
            _rows_of(table, used), self.scale(table, rows, candidate)[used], target_values(self.panel, rows)[used]
        )


def _rows_of(table: FeatureTable, used: BoolArray) -> FeatureTable:
    if used.all():
        return table
    expected = {name: values[used] for name, values in table.expected.items()}
    return FeatureTable(table.matrix[used], table.names, expected, table.seasonal[used])


@dataclass(frozen=True)
class FittedXgboost:
    """The fitted forecaster; without boosters where the history held too few rows to learn from."""

    levels: tuple[float, ...]
    ground: _Ground
    candidate: str
    quantiles: Boosted | None
    mean: Boosted | None
    shift: FloatArray

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the horizon of the panel that was fitted; seasonal naive where nothing was learnt."""
        naive = SeasonalNaive().fit(panel, 0).predict(panel, quantiles)
        if self.quantiles is None or self.mean is None:
            reason = "too few known periods in all series together to learn from"
            return Forecast(naive.mean, naive.quantiles, failed=dict.fromkeys(range(panel.n), reason))
        shape = (panel.n, panel.horizon)
        rows = horizon_rows(panel)
        scale = self.ground.scale(self.ground.ahead, rows, self.candidate)
        ratios = np.maximum(self.quantiles.predict(self.ground.ahead.matrix), 0.0).reshape(len(rows), -1)
        ratios = np.sort(ratios, axis=1) + self.shift
        mean = (self.mean.predict(self.ground.ahead.matrix) * scale).reshape(shape)
        own = (ratios * scale[:, None]).reshape(*shape, len(self.levels))
        asked = _at_levels(own, self.levels, quantiles)
        closed = panel.closed[:, panel.history : panel.history + panel.horizon]
        mean, asked = tidy(mean, asked, closed)
        failed = _unserved(mean, asked, panel)
        mean[failed], asked[failed] = naive.mean[failed], naive.quantiles[failed]
        return Forecast(mean, asked, failed={int(i): "no finite forecast" for i in failed}, notes=self._notes())

    def feature_importance(self) -> pd.DataFrame:
        """Mean gain per feature of the quantile booster; empty where nothing was learnt."""
        return pd.DataFrame() if self.quantiles is None else self.quantiles.importance()

    def _notes(self) -> tuple[str, ...]:
        rounds = 0 if self.quantiles is None else self.quantiles.rounds
        return (f"xgboost: {rounds} rounds on the expectation {self.candidate}",)


def _at_levels(values: FloatArray, levels: Sequence[float], asked: Sequence[float]) -> FloatArray:
    """Quantiles at other levels, linear between the fitted ones."""
    if tuple(asked) == tuple(levels):
        return values
    known = np.array(levels)
    found = np.empty((*values.shape[:-1], len(asked)))
    for at, level in enumerate(asked):
        above = int(np.clip(np.searchsorted(known, level), 1, len(known) - 1))
        low, high = known[above - 1], known[above]
        part = (level - low) / (high - low)
        found[..., at] = values[..., above - 1] * (1.0 - part) + values[..., above] * part
    return found


def _unserved(mean: FloatArray, quantiles: FloatArray, panel: Panel) -> IndexArray:
    """Series without a finite forecast, or without any known period."""
    finite = np.isfinite(mean).all(axis=1) & np.isfinite(quantiles).all(axis=(1, 2))
    return np.flatnonzero(~finite | np.isnan(panel.demand).all(axis=1))
