"""One XGBoost over all series on plain lags: the counterpart of the model that is told level and season.

Direct and multi-horizon like :mod:`tasks.forecasting.xgboost_`, but without any notion of what demand is made of:
columns are the series' own past and the calendar (:mod:`tasks.demand.feature_lags`), the target is demand in
standard deviations of its series, every series counts alike, and one booster learns all quantiles at once. It is
ahead where demand is intermittent and seasons are faint, behind where they are strong; the folds decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.panel import FloatArray, Forecast, Panel
from schemas.settings import XgboostLagsSettings
from tasks.demand.feature_lags import LagFeatures
from tasks.demand.training_rows import horizon_rows, sample_rows, target_values
from tasks.forecasting.floors import NO_HISTORY, SeasonalNaive, open_demand
from tasks.forecasting.quantiles import at_levels, tidy
from tasks.forecasting.xgb_boost import Boosted, Examples, Learning, boost

NAME = "xgboost_lags"
FEWEST_ROWS = 200
NOTHING_LEARNT = "too few known periods in all series together to learn from"
EARLIEST_ORIGIN = 1


class XgboostLagsForecaster:
    """The global forecaster on lags.

    Args:
        settings: rows, rounds and how trees are grown.
        levels: quantile levels, ascending, with 0.5 among them.
        threads: processor threads; they change no result.
    """

    name = NAME

    def __init__(self, settings: XgboostLagsSettings, levels: Sequence[float], threads: int = 1) -> None:
        self._settings = settings
        self._levels = tuple(levels)
        self._threads = threads

    def fit(self, panel: Panel, seed: int) -> FittedXgboostLags:
        """Learn from all series of a panel's history."""
        rows = sample_rows(panel, panel.history, EARLIEST_ORIGIN, self._settings.max_rows, seed)
        if len(rows) < FEWEST_ROWS:
            return FittedXgboostLags(self._levels, None, None)
        features = LagFeatures(panel)
        matrix, names = features.table(rows)
        label = features.standards.scores(target_values(panel, rows), rows.series)
        examples = Examples(matrix, label, np.ones(len(label)))
        return FittedXgboostLags(
            self._levels,
            boost(examples, names, self._learning("reg:squarederror", seed)),
            boost(examples, names, self._learning("reg:quantileerror", seed, self._levels)),
        )

    def _learning(self, objective: str, seed: int, levels: tuple[float, ...] = ()) -> Learning:
        settings = self._settings
        return Learning(
            objective=objective,
            rounds=settings.max_rounds,
            learning_rate=settings.learning_rate,
            max_depth=0,
            max_leaves=settings.max_leaves,
            subsample=settings.subsample,
            colsample_bytree=settings.colsample_bytree,
            reg_lambda=settings.reg_lambda,
            reg_alpha=0.0,
            min_child_weight=settings.min_child_weight,
            seed=seed,
            threads=self._threads,
            levels=levels,
        )


@dataclass(frozen=True)
class FittedXgboostLags:
    """The fitted forecaster; both boosters are None where the history held too few rows."""

    levels: tuple[float, ...]
    mean: Boosted | None
    quantiles: Boosted | None

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the horizon of a panel of the same series; seasonal naive where nothing was learnt or is known."""
        naive = SeasonalNaive().fit(panel, 0).predict(panel, quantiles)
        if self.mean is None or self.quantiles is None:
            return Forecast(naive.mean, naive.quantiles, failed=dict.fromkeys(range(panel.n), NOTHING_LEARNT))
        rows, features = horizon_rows(panel), LagFeatures(panel)
        matrix, _ = features.table(rows)
        mean = features.standards.units(self.mean.predict(matrix), rows.series)
        spread = features.standards.units(_matrix(self.quantiles.predict(matrix)), rows.series)
        asked = at_levels(spread.reshape(panel.n, panel.horizon, -1), self.levels, quantiles)
        closed = panel.closed[:, panel.history : panel.history + panel.horizon]
        mean, asked = tidy(mean.reshape(panel.n, panel.horizon), asked, closed)
        unknown = np.flatnonzero(~np.isfinite(open_demand(panel)).any(axis=1))
        mean[unknown], asked[unknown] = naive.mean[unknown], naive.quantiles[unknown]
        return Forecast(mean, asked, failed=dict.fromkeys(unknown.tolist(), NO_HISTORY))


def _matrix(values: FloatArray) -> FloatArray:
    """One column per level, also where there is one level."""
    return values.reshape(len(values), -1)
