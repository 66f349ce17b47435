"""One XGBoost model over all series: demand relative to the expectation from level, season and calendar.

Direct and multi-horizon: a training row is a series, an origin and a step. Its features are known at the origin or
are known future covariates (:mod:`tasks.demand.features.rows`). Two sub-models give the median
(:mod:`tasks.forecasting.trees.sub_models`), two small boosters on their residuals give the quantiles and the mean
(:mod:`tasks.forecasting.trees.residual_quantiles`). Held-out windows at the end of the history weight the two medians;
then everything is fitted again on the whole history. The folds calibrate the quantiles, as those of every model. The
number of rounds depends only on the length of the history: a single window is too noisy for early stopping.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas.facts import ModelContext, ModelFacts, Scope
from schemas.panel import FloatArray, Forecast, IndexArray, Panel
from schemas.settings import XgboostSettings
from tasks.demand.features.history import Windows
from tasks.demand.features.known import KnownColumns
from tasks.demand.features.training_rows import Rows, horizon_rows, target_values, window_rows
from tasks.forecasting.baselines import SeasonalNaive
from tasks.forecasting.quantiles import at_levels, by_blocks, tidy
from tasks.forecasting.trees.booster import FEWEST_ROWS, NOT_TRAINED
from tasks.forecasting.trees.calendar_effects import CalendarProfile, fit_profile
from tasks.forecasting.trees.expectation import BaselineExpectation
from tasks.forecasting.trees.residual_quantiles import ResidualQuantiles, fit_residual_quantiles
from tasks.forecasting.trees.sub_models import Points, SubModels, fit_sub_models

# Held-out windows follow each other until they span this many periods, or two horizons.
HELD_OUT_PERIODS = {"D": 56, "W": 13, "MS": 6}
# Fraction of the row budget that the models of the held-out windows are fitted with.
ROW_SHARE = 0.25


@dataclass(frozen=True)
class HeldOutRule:
    """The numbers of the held-out windows (docs/reference/constants.md).

    Attributes:
        weights: weights of the seasonal model that are compared, at least one half: the last windows rarely contain
            the seasonal peak.
        penalty: relative improvement of the held-out error that a weight of 1 needs over a weight of one half.
        untested_weight: weight of the seasonal model without held-out windows.
    """

    weights: tuple[float, ...] = (0.5, 0.625, 0.75, 0.875, 1.0)
    penalty: float = 0.05
    untested_weight: float = 0.75


RULE = HeldOutRule()


@dataclass(frozen=True)
class Learned:
    """All fitted parts of the forecaster; ``weight`` is that of the seasonal model in the median."""

    profile: CalendarProfile | None
    sub_models: SubModels
    dispersion: ResidualQuantiles
    weight: float


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
        known = KnownColumns(panel)
        profile = fit_profile(panel, known, seed, self._threads)
        baseline = BaselineExpectation(panel, profile, known)
        fitted = fit_sub_models(baseline, self._settings, self._settings.max_rows, seed, self._threads)
        if fitted is None:
            return FittedXgboost(self._levels, None)
        sub_models, sample = fitted
        weight = RULE.untested_weight if sub_models.season is None else self._held_out_weight(baseline, seed)
        points = sub_models.points(baseline, sample.table, sample.rows)
        median, base = points.median(weight), points.baseline(weight)
        levels, settings, threads = self._levels, self._settings, self._threads
        dispersion = fit_residual_quantiles(sample, median, base, levels, settings, seed, threads)
        return FittedXgboost(self._levels, Learned(profile, sub_models, dispersion, weight), baseline)

    def _held_out_weight(self, baseline: BaselineExpectation, seed: int) -> float:
        """Weight the sub-models on windows that they were not fitted on."""
        blocks = [
            block for origins in held_out_blocks(baseline.panel) if (block := self._block(baseline, origins, seed))
        ]
        return season_weight([(points, units) for points, units, seasonal in blocks if seasonal])

    def _block(
        self, baseline: BaselineExpectation, origins: Sequence[int], seed: int
    ) -> tuple[Points, FloatArray, bool] | None:
        """Medians and units of some windows by sub-models fitted on the periods before them; None with too few rows.

        Both sub-models use the calendar effects of the whole history, which saves a fit of them per block and favors
        neither. The last value says whether there is a seasonal model to weight.
        """
        budget = int(self._settings.max_rows * ROW_SHARE)
        fitted = fit_sub_models(baseline, self._settings, budget, seed, self._threads, origins[0])
        rows = _windows(baseline.panel, origins)
        if fitted is None or len(rows) < FEWEST_ROWS:
            return None
        sub_models, _ = fitted
        found = np.empty((4, len(rows)))
        for block in baseline.blocks(rows):
            part = rows.take(block)
            own = sub_models.points(baseline, baseline.table(part), part)
            found[:, block] = own.level, own.season, own.level_baseline, own.season_baseline
        return Points(*found), target_values(baseline.panel, rows), sub_models.season is not None


@dataclass(frozen=True)
class FittedXgboost:
    """The fitted forecaster; ``learned`` is None if the history has too few rows.

    ``baseline`` is that of the panel that it was fitted on.
    """

    levels: tuple[float, ...]
    learned: Learned | None
    baseline: BaselineExpectation | None = None

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the horizon of a panel of the same series; seasonal naive if nothing was learned."""
        if self.learned is None:
            naive = SeasonalNaive().fit(panel, 0).predict(panel, quantiles)
            return Forecast(naive.mean, naive.quantiles, failed=dict.fromkeys(range(panel.n), NOT_TRAINED))
        learned, baseline = self.learned, self._baseline_of(panel)

        # The features of a block of series at a time: those of all series take more memory than the panel.
        def block(series: slice) -> tuple[FloatArray, FloatArray]:
            rows = horizon_rows(panel, series)
            table = baseline.table(rows)
            points = learned.sub_models.points(baseline, table, rows)
            median, base = points.median(learned.weight), points.baseline(learned.weight)
            mean = learned.dispersion.mean_of(table, median, base).reshape(-1, panel.horizon)
            own = learned.dispersion.quantiles_of(table, median, base).reshape(*mean.shape, -1)
            closed = panel.closed[series, panel.history : panel.history + panel.horizon]
            return tidy(mean, at_levels(own, self.levels, quantiles), closed)

        shape = (panel.n, panel.horizon, len(quantiles))
        return Forecast(*by_blocks(shape, block, baseline.size), notes=self._notes())

    def parts(self, panel: Panel) -> Iterator[pd.DataFrame]:
        """Yield the parts of the horizon's medians (:func:`tasks.forecasting.trees.contributions.horizon_parts`)."""
        from tasks.forecasting.trees.contributions import horizon_parts

        return horizon_parts(self.learned, self._baseline_of(panel))

    def feature_importance(self) -> pd.DataFrame:
        """Mean gain per feature of the level model; empty if nothing was fitted."""
        if self.learned is None or self.learned.sub_models.level.boosted is None:
            return pd.DataFrame()
        return self.learned.sub_models.level.boosted.importance()

    def _baseline_of(self, panel: Panel) -> BaselineExpectation:
        """The panel's baseline; made once for the panel that the model was fitted on."""
        if self.baseline is not None and self.baseline.panel is panel:
            return self.baseline
        return BaselineExpectation(panel, None if self.learned is None else self.learned.profile)

    def _notes(self) -> tuple[str, ...]:
        if self.learned is None:
            return ()
        sub_models = self.learned.sub_models
        level = f"xgboost: level model {sub_models.level.rounds} rounds"
        if sub_models.season is None:
            return (f"{level}, no earlier year in the history",)
        return (
            f"{level}, seasonal model {sub_models.season.rounds} rounds with a weight of the long mean of "
            f"{sub_models.season.long_weight:g}; weight of the seasonal model {self.learned.weight:g}",
        )


def season_weight(tested: Sequence[tuple[Points, FloatArray]]) -> float:
    """The weight of the seasonal model with the least held-out error; smaller weights are preferred.

    With e(w) the sum of absolute errors, e(w) (1 + 0.05 (2 w - 1)^2) is least. Example: errors that fall
    evenly from 100 at 0.5 to 97 at 1 give 0.625.

    Args:
        tested: medians and units of each block of windows; empty: the untested weight, 0.75.
    """
    if not tested:
        return RULE.untested_weight
    penalized = {
        weight: sum(float(np.abs(points.median(weight) - units).sum()) for points, units in tested)
        * (1.0 + RULE.penalty * (2.0 * weight - 1.0) ** 2)
        for weight in RULE.weights
    }
    return min(penalized, key=lambda weight: penalized[weight])


def held_out_blocks(panel: Panel) -> list[list[int]]:
    """Cutoffs of the held-out windows, by the fit that they share: the last windows, then the season a year ago.

    The second block exists only if the history before it has earlier years to read and to fit on.
    """
    windows = Windows.of(panel.frequency)
    year_ago = panel.history - windows.year
    seasonal = year_ago >= windows.year + 2 * windows.level + panel.horizon
    blocks = [held_out_origins(panel), [year_ago] if seasonal else []]
    return [origins for origins in blocks if origins]


def held_out_origins(panel: Panel) -> list[int]:
    """Cutoffs of the held-out windows, ascending: consecutive, the last one's horizon ends with the history.

    They span at least HELD_OUT_PERIODS and two horizons, if that leaves half of the history before them; the list is
    empty if even one window does not fit.
    """
    wanted = max(2, -(-HELD_OUT_PERIODS[panel.frequency.kind] // panel.horizon))
    possible = (panel.history // 2) // panel.horizon
    return [panel.history - back * panel.horizon for back in range(min(wanted, possible), 0, -1)]


def _windows(panel: Panel, origins: Sequence[int]) -> Rows:
    """All usable rows of the windows after some cutoffs."""
    parts = [window_rows(panel, origin) for origin in origins]
    joined: list[IndexArray] = [
        np.concatenate([getattr(part, name) for part in parts]) for name in ("series", "origin", "step")
    ]
    return Rows(*joined)
