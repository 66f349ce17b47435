"""One XGBoost over all series: what a period sells relative to what level, season and calendar let expect.

Direct and multi-horizon: a training row is a series, an origin and a step; its features are known at the
origin or known in advance (:mod:`tasks.demand.features`). The label is demand over the row's expectation
(level x season x calendar effect, :mod:`tasks.forecasting.xgb_ground`), the weight that expectation, so that
the trees lower the sum of errors in units. All quantiles come from one booster (pinball loss), the mean from
another (Poisson). The last windows of the history, held out of everything that is fitted, decide on the
number of rounds and calibrate the outer quantiles (split conformal, Romano, Patterson and Candes 2019); then
all is learnt again from the whole history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas.panel import FloatArray, Forecast, IndexArray, Panel
from schemas.settings import XgboostSettings
from tasks.demand.feature_history import Windows
from tasks.demand.feature_known import KnownColumns
from tasks.demand.training_rows import Rows, horizon_rows, sample_rows, window_rows
from tasks.forecasting.floors import SeasonalNaive
from tasks.forecasting.quantiles import tidy
from tasks.forecasting.xgb_boost import Boosted, Learning, boost
from tasks.forecasting.xgb_ground import Ground, Labelled, Recipe, like_ahead
from tasks.forecasting.xgb_profile import CalendarProfile, fit_profile

NAME = "xgboost"
MEDIAN = 0.5
# Where no earlier year can be read, origins reach back to this share of the history.
FIRST_ORIGIN_SHARE = 0.35
# The held-out windows are learnt for with this share of the rows: they only decide on rounds and spreads.
HELD_OUT_SHARE = 0.5
# Held-out windows follow each other until they span so many periods.
HELD_OUT_PERIODS = {"D": 28, "W": 8, "MS": 6}
ROUNDS_UNTESTED = 60
FEWEST_ROWS = 200
# One window is one season: what it says about the spread is believed by half.
TRUST = 0.5
NOTHING_LEARNT = "too few known periods in all series together to learn from"


@dataclass(frozen=True)
class Verdict:
    """What the held-out windows say.

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
        profile = fit_profile(panel, KnownColumns(panel), seed, self._threads)
        ground = Ground(panel, profile)
        learnt, recipe = self._learnt(ground, self._settings.max_rows, seed)
        if recipe is None:
            return FittedXgboost(self._levels, profile, None, None, None, np.zeros(len(self._levels)))
        verdict = self._held_out(panel, seed)
        return FittedXgboost(
            levels=self._levels,
            profile=profile,
            recipe=recipe,
            quantiles=self._boost(learnt, "reg:quantileerror", verdict.rounds, seed, self._levels),
            mean=self._boost(learnt, "count:poisson", verdict.rounds, seed),
            shift=verdict.shift,
        )

    def _learnt(self, ground: Ground, budget: int, seed: int) -> tuple[Labelled, Recipe | None]:
        """Rows to learn from and the expectation that suits them; None where they are too few."""
        panel = ground.panel
        rows = sample_rows(panel, panel.history, first_origin(panel), budget, seed)
        table = ground.table(rows)
        used = like_ahead(table, ground.table(horizon_rows(panel)))
        rows, table = rows.take(used), table.take(used)
        recipe = ground.choose(table, rows)
        return ground.labelled(table, rows, recipe), recipe if len(rows) >= FEWEST_ROWS else None

    def _held_out(self, panel: Panel, seed: int) -> Verdict:
        """Rounds with the least pinball loss on the last windows, and how far their quantiles were off."""
        untested = Verdict(min(ROUNDS_UNTESTED, self._settings.max_rounds), np.zeros(len(self._levels)))
        origins = held_out_origins(panel)
        if not origins:
            return untested
        before = panel.until(origins[0])
        profile = fit_profile(before, KnownColumns(before), seed, self._threads)
        learnt, recipe = self._learnt(Ground(before, profile), int(self._settings.max_rows * HELD_OUT_SHARE), seed)
        ground, rows = Ground(panel, profile), _windows(panel, origins)
        if recipe is None or len(rows) < FEWEST_ROWS:
            return untested
        test = ground.labelled(ground.table(rows), rows, recipe)
        booster = self._boost(learnt, "reg:quantileerror", self._settings.max_rounds, seed, self._levels, test)
        return Verdict(booster.rounds, self._shift(booster, test))

    def _shift(self, booster: Boosted, test: Labelled) -> FloatArray:
        """Move each quantile towards having its share of the held-out rows below it; the median stays."""
        predicted = np.maximum(np.sort(booster.predict(test.table.columns(booster.names)), axis=1), 0.0)
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
        names = learnt.table.names
        test = None if held_out is None else held_out.examples(names)
        return boost(learnt.examples(names), names, learning, test)


@dataclass(frozen=True)
class FittedXgboost:
    """The fitted forecaster; without boosters where the history held too few rows to learn from."""

    levels: tuple[float, ...]
    profile: CalendarProfile | None
    recipe: Recipe | None
    quantiles: Boosted | None
    mean: Boosted | None
    shift: FloatArray

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the horizon of a panel of the same series; seasonal naive where nothing was learnt."""
        if self.quantiles is None or self.mean is None or self.recipe is None:
            naive = SeasonalNaive().fit(panel, 0).predict(panel, quantiles)
            return Forecast(naive.mean, naive.quantiles, failed=dict.fromkeys(range(panel.n), NOTHING_LEARNT))
        shape = (panel.n, panel.horizon)
        ground, rows = Ground(panel, self.profile), horizon_rows(panel)
        table = ground.table(rows)
        scale = ground.scale(table, rows, self.recipe)
        ratios = np.maximum(self.quantiles.predict(table.columns(self.quantiles.names)), 0.0).reshape(len(rows), -1)
        ratios = np.sort(ratios, axis=1) + self.shift
        mean = (self.mean.predict(table.columns(self.mean.names)) * scale).reshape(shape)
        own = (ratios * scale[:, None]).reshape(*shape, len(self.levels))
        closed = panel.closed[:, panel.history : panel.history + panel.horizon]
        mean, asked = tidy(mean, _at_levels(own, self.levels, quantiles), closed)
        return Forecast(mean, asked, notes=self._notes())

    def feature_importance(self) -> pd.DataFrame:
        """Mean gain per feature of the quantile booster; empty where nothing was learnt."""
        return pd.DataFrame() if self.quantiles is None else self.quantiles.importance()

    def _notes(self) -> tuple[str, ...]:
        if self.quantiles is None or self.recipe is None:
            return ()
        recipe = f"season believed from {self.recipe.doubt:g}, long mean weighted {self.recipe.long_weight:g}"
        return (f"xgboost: {self.quantiles.rounds} rounds; {recipe}",)


def first_origin(panel: Panel) -> int:
    """The earliest origin to learn from: where an earlier year can be read, if enough origins follow.

    Otherwise this share of the history: FIRST_ORIGIN_SHARE.
    """
    windows = Windows.of(panel.frequency)
    seasonal = windows.year + windows.level
    if panel.history >= seasonal + windows.level:
        return seasonal
    return max(1, int(panel.history * FIRST_ORIGIN_SHARE))


def held_out_origins(panel: Panel) -> list[int]:
    """Cutoffs of the held-out windows, ascending: consecutive, the last one's horizon ends with the history.

    They span HELD_OUT_PERIODS at least, and leave more than half of the history before them; none
    where even one window does not.
    """
    wanted = -(-HELD_OUT_PERIODS[panel.frequency.kind] // panel.horizon)
    possible = (panel.history // 2) // panel.horizon
    return [panel.history - back * panel.horizon for back in range(min(wanted, possible), 0, -1)]


def _windows(panel: Panel, origins: Sequence[int]) -> Rows:
    """All learnable rows of the windows behind some cutoffs."""
    parts = [window_rows(panel, origin) for origin in origins]
    joined: list[IndexArray] = [
        np.concatenate([getattr(part, name) for part in parts]) for name in ("series", "origin", "step")
    ]
    return Rows(*joined)


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
