"""One XGBoost model over all series on plain lags.

Direct and multi-horizon like :mod:`tasks.forecasting.trees.direct`, but without a decomposition into level and season:
columns are the series' own past and the calendar (:mod:`tasks.demand.features.lags`), the target is demand in standard
deviations of its series, every series has the same weight, and one booster fits all quantiles at once. The mean is that
of the quantiles' distribution: a mean fitted on these scores is far too high in units where demand has spikes, because
series with large deviations do not outweigh the others. The model is better
where demand is intermittent and seasons are weak, and worse where they are strong; the folds decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.facts import ModelContext, ModelFacts, Scope
from schemas.panel import FloatArray, Forecast, IndexArray, Panel
from schemas.settings import TREE_RANGES, XgboostLagsSettings
from tasks.demand.features.lags import LagFeatures
from tasks.demand.features.training_rows import Rows, horizon_rows, sample_rows, steps_after, target_values
from tasks.forecasting.baselines import NO_HISTORY, SeasonalNaive, open_demand_in_blocks
from tasks.forecasting.quantiles import at_levels, by_blocks, mean_of_quantiles, tidy
from tasks.forecasting.trees.booster import FEWEST_ROWS, NOT_TRAINED, Boosted, Examples, Learning, boost
from tasks.forecasting.trees.missed_events import Ahead, missed_effects

EARLIEST_ORIGIN = 1


class XgboostLagsForecaster:
    """The global forecaster on lags.

    Args:
        settings: rows, rounds and how trees are grown.
        levels: quantile levels, ascending, with 0.5 among them.
        threads: processor threads; they change no result.
    """

    facts = ModelFacts(
        name="xgboost_lags",
        label="XGBoost on lags",
        description="Gradient-boosted trees over all series on lags and calendar, every step of the horizon at once",
        scope=Scope.GLOBAL,
        uses_covariates=True,
        replayable=True,
        forecasts_aggregates=True,
        tunable=TREE_RANGES,
        packages=("xgboost",),
    )
    name = facts.name

    def __init__(self, settings: XgboostLagsSettings, levels: Sequence[float], threads: int = 1) -> None:
        self._settings = settings
        self._levels = tuple(levels)
        self._threads = threads

    @classmethod
    def from_settings(cls, settings: XgboostLagsSettings, context: ModelContext) -> XgboostLagsForecaster:
        """The forecaster of a run."""
        return cls(settings, context.quantiles, context.threads)

    def fit(self, panel: Panel, seed: int) -> FittedXgboostLags:
        """Learn from all series of a panel's history."""
        return FittedXgboostLags(self._levels, learn(panel, self._settings, self._levels, seed, self._threads))


def learn(
    panel: Panel, settings: XgboostLagsSettings, levels: tuple[float, ...], seed: int, threads: int
) -> Boosted | None:
    """Quantiles in standard deviations of the series, at the steps of the horizon; None with too few rows."""
    rows = sample_rows(panel, panel.history, EARLIEST_ORIGIN, settings.max_rows, seed)
    if len(rows) < FEWEST_ROWS:
        return None
    features = LagFeatures(panel)
    matrix, names = features.table(rows)
    label = features.standards.scores(target_values(panel, rows), rows.series)
    learning = Learning(
        objective="reg:quantileerror",
        rounds=settings.max_rounds,
        learning_rate=settings.params.learning_rate,
        max_depth=0,
        max_leaves=settings.params.max_leaves,
        subsample=settings.params.subsample,
        colsample_bytree=settings.params.colsample_bytree,
        reg_lambda=settings.params.reg_lambda,
        reg_alpha=0.0,
        min_child_weight=settings.params.min_child_weight,
        seed=seed,
        threads=threads,
        levels=levels,
        further=settings.params.passed_on(),
    )
    return boost(Examples(matrix, label, np.ones(len(label))), names, learning)


def served(
    panel: Panel,
    dispersion: Callable[[slice], FloatArray],
    size: int,
    levels: Sequence[float],
    quantiles: Sequence[float],
) -> Forecast:
    """Forecast of a model on lags; 0 for the series of which nothing is known.

    Args:
        panel: n series and H periods to forecast.
        dispersion: units at the levels of m consecutive series, shape (m, H, Q).
        size: m at most.
        levels: Q levels, ascending.
        quantiles: the requested levels.
    """
    known = np.zeros(panel.n, dtype=bool)
    for series, demand in open_demand_in_blocks(panel):
        known[series] = np.isfinite(demand).any(axis=1)

    def block(series: slice) -> tuple[FloatArray, FloatArray]:
        closed = panel.closed[series, panel.history : panel.history + panel.horizon]
        rising = np.sort(np.maximum(dispersion(series), 0.0), axis=2)
        mean, asked = tidy(mean_of_quantiles(rising, levels), at_levels(rising, levels, quantiles), closed)
        mean[~known[series]], asked[~known[series]] = 0.0, 0.0
        return mean, asked

    failed = dict.fromkeys(np.flatnonzero(~known).tolist(), NO_HISTORY)
    return Forecast(*by_blocks((panel.n, panel.horizon, len(quantiles)), block, size), failed)


def unlearnt(panel: Panel, quantiles: Sequence[float]) -> Forecast:
    """Seasonal naive for all series, because the model was not trained."""
    naive = SeasonalNaive().fit(panel, 0).predict(panel, quantiles)
    return Forecast(naive.mean, naive.quantiles, failed=dict.fromkeys(range(panel.n), NOT_TRAINED))


@dataclass(frozen=True)
class FittedXgboostLags:
    """The fitted forecaster; ``learned`` is None if the history held too few rows."""

    levels: tuple[float, ...]
    learned: Boosted | None

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the horizon of a panel of the same series; seasonal naive if nothing was learned."""
        if self.learned is None:
            return unlearnt(panel, quantiles)
        learned, features = self.learned, LagFeatures(panel)

        def units(rows: Rows, steps: int) -> FloatArray:
            scores = as_columns(learned.predict(features.matrix(rows, learned.names)))
            return features.standards.units(scores, rows.series).reshape(-1, steps, len(self.levels))

        def dispersion(series: slice) -> FloatArray:
            return units(horizon_rows(panel, series), panel.horizon)

        def ahead(series: IndexArray, origin: IndexArray, steps: int) -> FloatArray:
            return units(steps_after(series, origin, steps), steps)

        forecast = served(panel, dispersion, features.size, self.levels, quantiles)
        return missed_effects(panel, features.near, means_of(ahead, self.levels)).on(forecast, quantiles)


def means_of(dispersion: Callable[[IndexArray, IndexArray, int], FloatArray], levels: Sequence[float]) -> Ahead:
    """Means of the quantiles after an origin each."""

    def means(series: IndexArray, origin: IndexArray, steps: int) -> FloatArray:
        return mean_of_quantiles(np.sort(np.maximum(dispersion(series, origin, steps), 0.0), axis=2), levels)

    return means


def as_columns(values: FloatArray) -> FloatArray:
    """One column per level, also if there is one level."""
    return values.reshape(len(values), -1)
