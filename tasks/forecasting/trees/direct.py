"""One XGBoost over all series: what a period sells relative to what level, season and calendar let expect.

Direct and multi-horizon: a training row is a series, an origin and a step; its features are known at the
origin or known in advance (:mod:`tasks.demand.features.rows`). Two boosters give the median
(:mod:`tasks.forecasting.trees.sub_models`), two small ones on their residuals the quantiles and the mean
(:mod:`tasks.forecasting.trees.residual_quantiles`). The last windows of the history, held out of everything that is
fitted, weigh the two medians and calibrate the quantiles; then all is learnt again from the whole history.
The number of rounds follows from the length of the history alone: one window is too noisy to stop on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas.facts import ModelContext, ModelFacts, Scope
from schemas.panel import FloatArray, Forecast, IndexArray, Panel
from schemas.settings import XgboostSettings
from tasks.demand.features.history import Windows
from tasks.demand.features.known import KnownColumns
from tasks.demand.features.training_rows import Rows, horizon_rows, window_rows
from tasks.forecasting.baselines import SeasonalNaive
from tasks.forecasting.combine.quantile_factors import Calibration, asked_outside, calibrate
from tasks.forecasting.quantiles import at_levels, tidy
from tasks.forecasting.trees.booster import FEWEST_ROWS, NOT_TRAINED
from tasks.forecasting.trees.calendar_effects import CalendarProfile, fit_profile
from tasks.forecasting.trees.expectation import Ground
from tasks.forecasting.trees.residual_quantiles import Spread, fit_spread
from tasks.forecasting.trees.sub_models import Points, Sample, Views, fit_views

# The held-out windows are learnt for with this share of the rows: they only weigh and calibrate.
HELD_OUT_SHARE = 0.5
# Held-out windows follow each other until they span so many periods, or two horizons.
HELD_OUT_PERIODS = {"D": 56, "W": 13, "MS": 6}
# Windows that the held-out ones are doubted by: what leaves them too narrow, the folds of the comparison widen.
DOUBT = 0.5
# At least half: the last windows seldom show the peak for which the season booster is there.
WEIGHTS = (0.5, 0.625, 0.75, 0.875, 1.0)
# The whole weight on the season booster must better the held-out error of one half by this share.
HANDICAP = 0.05
UNTESTED_WEIGHT = 0.75


@dataclass(frozen=True)
class Verdict:
    """What the held-out windows say.

    Attributes:
        weight: of the season booster in the median.
        calibration: of the quantiles.
    """

    weight: float
    calibration: Calibration


@dataclass(frozen=True)
class Learnt:
    """Everything that forecasts."""

    profile: CalendarProfile | None
    views: Views
    spread: Spread
    verdict: Verdict


class XgboostForecaster:
    """The global forecaster.

    Args:
        settings: rows, rounds and how trees are grown.
        levels: quantile levels, ascending, with 0.5 among them.
        threads: processor threads; they change no result.
    """

    facts = ModelFacts(
        name="xgboost",
        label="XGBoost",
        description="Gradient-boosted trees over all series, relative to level, season and calendar effects",
        scope=Scope.GLOBAL,
        uses_covariates=True,
        replayable=True,
        packages=("xgboost",),
    )
    name = facts.name

    def __init__(self, settings: XgboostSettings, levels: Sequence[float], threads: int = 1) -> None:
        self._settings = settings
        self._levels = tuple(levels)
        self._threads = threads

    @classmethod
    def from_settings(cls, settings: XgboostSettings, context: ModelContext) -> XgboostForecaster:
        """The forecaster of a run."""
        return cls(settings, context.quantiles, context.threads)

    def fit(self, panel: Panel, seed: int) -> FittedXgboost:
        """Learn from all series of a panel's history."""
        verdict = self._held_out(panel, seed)
        profile = fit_profile(panel, KnownColumns(panel), seed, self._threads)
        ground = Ground(panel, profile)
        fitted = fit_views(ground, self._settings, self._settings.max_rows, seed, self._threads)
        if fitted is None:
            return FittedXgboost(self._levels, None)
        views, sample = fitted
        spread = self._spread(ground, views, sample, verdict.weight, seed)
        return FittedXgboost(self._levels, Learnt(profile, views, spread, verdict))

    def _spread(self, ground: Ground, views: Views, sample: Sample, weight: float, seed: int) -> Spread:
        points = views.points(ground, sample.table, sample.rows)
        median, base = points.median(weight), points.ground(weight)
        return fit_spread(sample, median, base, self._levels, self._settings, seed, self._threads)

    def _held_out(self, panel: Panel, seed: int) -> Verdict:
        """Weigh the boosters and calibrate the quantiles on windows that they have not seen."""
        blocks = [block for origins in held_out_blocks(panel) if (block := self._block(panel, origins, seed))]
        if not blocks:
            return Verdict(UNTESTED_WEIGHT, Calibration.none(self._levels))
        weight = season_weight([(block.points, block.test.units) for block in blocks if block.views.season])
        parts = [self._spread_of(block, weight, seed) for block in blocks]
        units, median, base, step, spread = (np.concatenate(values) for values in zip(*parts, strict=True))
        windows = sum(block.windows for block in blocks)
        found = calibrate(units, spread, median, base, step, self._levels, asked_outside(windows, DOUBT))
        return Verdict(weight, found.damped(windows))

    def _block(self, panel: Panel, origins: Sequence[int], seed: int) -> Block | None:
        """Boosters that know what lies before some windows, and their medians there; None where they cannot be."""
        before, after = panel.until(origins[0]), panel.until(min(origins[-1] + panel.horizon, panel.history))
        profile = fit_profile(before, KnownColumns(before), seed, self._threads)
        known = Ground(before, profile)
        fitted = fit_views(known, self._settings, int(self._settings.max_rows * HELD_OUT_SHARE), seed, self._threads)
        rows = _windows(after, origins)
        if fitted is None or len(rows) < FEWEST_ROWS:
            return None
        ground = Ground(after, profile)
        test = Sample.of(ground, rows)
        return Block(known, *fitted, test, fitted[0].points(ground, test.table, rows), len(origins))

    def _spread_of(self, block: Block, weight: float, seed: int) -> tuple[FloatArray, ...]:
        """Units, medians, grounds, steps and quantiles of a block's rows."""
        spread = self._spread(block.known, block.views, block.sample, weight, seed)
        median, base = block.points.median(weight), block.points.ground(weight)
        step = block.test.rows.step.astype(np.float64)
        return block.test.units, median, base, step, spread.quantiles_of(block.test.table, median, base)


@dataclass(frozen=True)
class Block:
    """Held-out windows and what was learnt before them.

    Attributes:
        known: the panel as it was before the windows.
        views: boosters learnt from it.
        sample: the rows whose spread is learnt.
        test: the windows' rows.
        points: medians there.
        windows: how many they are.
    """

    known: Ground
    views: Views
    sample: Sample
    test: Sample
    points: Points
    windows: int


@dataclass(frozen=True)
class FittedXgboost:
    """The fitted forecaster; ``learnt`` is None where the history held too few rows."""

    levels: tuple[float, ...]
    learnt: Learnt | None

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the horizon of a panel of the same series; seasonal naive where nothing was learnt."""
        if self.learnt is None:
            naive = SeasonalNaive().fit(panel, 0).predict(panel, quantiles)
            return Forecast(naive.mean, naive.quantiles, failed=dict.fromkeys(range(panel.n), NOT_TRAINED))
        shape = (panel.n, panel.horizon)
        learnt, rows = self.learnt, horizon_rows(panel)
        ground = Ground(panel, learnt.profile)
        table = ground.table(rows)
        points = learnt.views.points(ground, table, rows)
        median, base = points.median(learnt.verdict.weight), points.ground(learnt.verdict.weight)
        mean = learnt.spread.mean_of(table, median, base)
        own = learnt.verdict.calibration.apply(learnt.spread.quantiles_of(table, median, base), median, base, rows.step)
        closed = panel.closed[:, panel.history : panel.history + panel.horizon]
        asked = at_levels(own.reshape(*shape, -1), self.levels, quantiles)
        mean, asked = tidy(mean.reshape(shape), asked, closed)
        return Forecast(mean, asked, notes=self._notes())

    def feature_importance(self) -> pd.DataFrame:
        """Mean gain per feature of the level booster; empty where nothing was learnt."""
        if self.learnt is None or self.learnt.views.level.boosted is None:
            return pd.DataFrame()
        return self.learnt.views.level.boosted.importance()

    def _notes(self) -> tuple[str, ...]:
        if self.learnt is None:
            return ()
        views = self.learnt.views
        level = f"xgboost: level booster {views.level.rounds} rounds"
        if views.season is None:
            return (f"{level}, no earlier year to read",)
        return (
            f"{level}, season booster {views.season.rounds} rounds with the long mean weighted "
            f"{views.season.long_weight:g}; weight of the season booster {self.learnt.verdict.weight:g}",
        )


def season_weight(tested: Sequence[tuple[Points, FloatArray]]) -> float:
    """The weight of the season booster with the least held-out error, at least one half, which is preferred.

    With e(w) the sum of absolute errors, e(w) (1 + 0.05 (2 w - 1)^2) is least. Example: e = 100 at 0.5 and
    97 at 1 give 0.5.

    Args:
        tested: medians and units of each block of windows; none: the untested weight, 0.75.
    """
    if not tested:
        return UNTESTED_WEIGHT
    handicapped = {
        weight: sum(float(np.abs(points.median(weight) - units).sum()) for points, units in tested)
        * (1.0 + HANDICAP * (2.0 * weight - 1.0) ** 2)
        for weight in WEIGHTS
    }
    return min(handicapped, key=lambda weight: handicapped[weight])


def held_out_blocks(panel: Panel) -> list[list[int]]:
    """Cutoffs of the held-out windows, by what is learnt for them: the last windows, and the season ahead a year ago.

    The latter only where earlier years can still be read and learnt from behind it.
    """
    windows = Windows.of(panel.frequency)
    year_ago = panel.history - windows.year
    seasonal = year_ago >= windows.year + 2 * windows.level + panel.horizon
    blocks = [held_out_origins(panel), [year_ago] if seasonal else []]
    return [origins for origins in blocks if origins]


def held_out_origins(panel: Panel) -> list[int]:
    """Cutoffs of the held-out windows, ascending: consecutive, the last one's horizon ends with the history.

    They span HELD_OUT_PERIODS and two horizons at least, if that leaves half of the history before them;
    none where even one window does not.
    """
    wanted = max(2, -(-HELD_OUT_PERIODS[panel.frequency.kind] // panel.horizon))
    possible = (panel.history // 2) // panel.horizon
    return [panel.history - back * panel.horizon for back in range(min(wanted, possible), 0, -1)]


def _windows(panel: Panel, origins: Sequence[int]) -> Rows:
    """All learnable rows of the windows behind some cutoffs."""
    parts = [window_rows(panel, origin) for origin in origins]
    joined: list[IndexArray] = [
        np.concatenate([getattr(part, name) for part in parts]) for name in ("series", "origin", "step")
    ]
    return Rows(*joined)
