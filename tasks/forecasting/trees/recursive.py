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
from tasks.forecasting.trees.booster import Boosted
from tasks.forecasting.trees.lags import as_columns, learn, served, unlearnt

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
            return _stepped(panel, features, learned, np.arange(series.start, series.stop), len(self.levels))

        return served(panel, dispersion, max(1, ROWS_AT_ONCE // len(self.levels)), self.levels, quantiles)


def _stepped(panel: Panel, features: LagFeatures, learned: Boosted, series: IndexArray, levels: int) -> FloatArray:
    """Units of the quantiles of some series through the horizon, shape (m, H, Q)."""
    standards, size = features.standards, len(series)
    nothing_sold = standards.scores(np.zeros(size), series)
    rows = features.continued(series, levels)
    found = np.empty((size, panel.horizon, levels))
    for step in range(panel.horizon):
        ahead = as_columns(learned.predict(rows.matrix(learned.names))).reshape(levels, size, levels)
        # Each copy of the series is continued on the forecasts of its level.
        own = ahead[np.arange(levels), :, np.arange(levels)]
        scores = np.maximum(own, nothing_sold)
        found[:, step] = standards.units(scores.T, series)
        # As in the history, the demand of a closed period is unknown.
        closed = panel.closed[series, panel.history + step]
        rows.append(np.where(closed, np.nan, scores).ravel())
    return found
