"""One XGBoost model over all series on plain lags, step by step: each forecast is a lag of the next one.

The columns are those of :mod:`tasks.forecasting.trees.lags`, but the model is fitted for one step ahead only, so
every row has the latest lags and all rows have the same target. Every quantile is rolled forward on its own
forecasts, as mlforecast's models do: a high quantile that follows a high quantile is wider than a single
step. It is better than the direct model where the level moves from period to period, and worse where errors accumulate
over a long horizon; the folds decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from schemas.facts import ModelContext, ModelFacts, Scope
from schemas.panel import FloatArray, Forecast, IndexArray, Panel
from schemas.settings import TREE_RANGES, XgboostRecursiveSettings
from tasks.demand.features.lags import LagFeatures
from tasks.forecasting.combine.quantile_factors import MEDIAN
from tasks.forecasting.trees.booster import Boosted
from tasks.forecasting.trees.lags import as_columns, learn, means_of, served, unlearnt
from tasks.forecasting.trees.missed_events import missed_effects

# Rows (series and level) that are continued at once, which bounds the memory of their past.
ROWS_AT_ONCE = 5_000


class XgboostRecursiveForecaster:
    """The global forecaster on lags, one step at a time.

    Args:
        settings: rows, rounds and how trees are grown.
        levels: quantile levels, ascending, with 0.5 among them.
        threads: processor threads; they change no result.
    """

    facts = ModelFacts(
        name="xgboost_recursive",
        label="XGBoost on lags, recursive",
        description="Gradient-boosted trees over all series on lags and calendar, one step at a time",
        scope=Scope.GLOBAL,
        uses_covariates=True,
        replayable=True,
        recursive=True,
        tunable=TREE_RANGES,
        packages=("xgboost",),
    )
    name = facts.name

    def __init__(self, settings: XgboostRecursiveSettings, levels: Sequence[float], threads: int = 1) -> None:
        self._settings = settings
        self._levels = tuple(levels)
        self._threads = threads

    @classmethod
    def from_settings(cls, settings: XgboostRecursiveSettings, context: ModelContext) -> XgboostRecursiveForecaster:
        """The forecaster of a run."""
        return cls(settings, context.quantiles, context.threads)

    def fit(self, panel: Panel, seed: int) -> FittedXgboostRecursive:
        """Learn one step ahead from all series of a panel's history."""
        near = replace(panel, horizon=1)
        return FittedXgboostRecursive(self._levels, learn(near, self._settings, self._levels, seed, self._threads))


@dataclass(frozen=True)
class FittedXgboostRecursive:
    """The fitted forecaster; ``learned`` is None if the history held too few rows."""

    levels: tuple[float, ...]
    learned: Boosted | None

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the horizon of a panel of the same series; seasonal naive if nothing was learned."""
        if self.learned is None:
            return unlearnt(panel, quantiles)
        learned, features = self.learned, LagFeatures(panel)

        def dispersion(series: slice) -> FloatArray:
            chosen = np.arange(series.start, series.stop)
            origin = np.full(len(chosen), panel.history)
            return _stepped(panel, features, learned, chosen, origin, panel.horizon, np.arange(len(self.levels)))

        def ahead(series: IndexArray, origin: IndexArray, steps: int) -> FloatArray:
            # All quantiles after the forecasts of the median: a fifth of the rows, with nearly the same mean.
            return _stepped(panel, features, learned, series, origin, steps, np.array([self.levels.index(MEDIAN)]))

        size = max(1, ROWS_AT_ONCE // len(self.levels))
        forecast = served(panel, dispersion, size, self.levels, quantiles)
        return missed_effects(panel, features.near, means_of(ahead, self.levels)).on(forecast, quantiles)


def _stepped(
    panel: Panel,
    features: LagFeatures,
    learned: Boosted,
    series: IndexArray,
    origin: IndexArray,
    steps: int,
    followed: IndexArray,
) -> FloatArray:
    """Units of the quantiles of some series after an origin each, shape (m, steps, Q).

    Args:
        panel: n series over T periods, and H to forecast.
        features: columns of the panel.
        learned: the model of one step.
        series: shape (m,).
        origin: shape (m,), numbers of known periods.
        steps: number of steps.
        followed: the levels whose forecasts are lags of the next step: all Q, each of itself, or one for all.
    """
    standards, size, copies = features.standards, len(series), len(followed)
    nothing_sold = standards.scores(np.zeros(size), series)
    rows = features.continued(series, origin, copies, steps)
    found: list[FloatArray] = []
    for step in range(steps):
        ahead = as_columns(learned.predict(rows.matrix(learned.names))).reshape(copies, size, -1)
        # Each copy of the series is continued on the forecasts of its level.
        scores = np.maximum(ahead[np.arange(copies), :, followed], nothing_sold)
        found.append(standards.units(scores.T if copies > 1 else ahead[0], series))
        # As in the history, the demand of a closed period is unknown.
        closed = panel.closed[series, np.minimum(origin + step, panel.closed.shape[1] - 1)]
        rows.append(np.where(closed, np.nan, scores).ravel())
    return np.stack(found, axis=1)
