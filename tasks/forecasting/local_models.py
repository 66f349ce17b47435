"""Cheap statistical models per series through statsforecast: Croston, TSB, Theta and ETS.

Croston (1972) and TSB (Teunter, Syntetos and Babai 2011) forecast the rate of intermittent demand, a flat
line; Theta (Assimakopoulos and Nikolopoulos 2000) and ETS (Hyndman et al. 2002) level, trend and season.
All read histories whose unknown and closed periods are filled (:func:`tasks.forecasting.series.fill_gaps`).
Quantiles: the spread of the rate models is that of the history around their rate; Theta and ETS have a
standard error per step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from schemas.errors import ConfigError
from schemas.panel import FloatArray
from schemas.settings import LocalModelSettings
from tasks.forecasting.fallback import Curve, LocalForecaster
from tasks.forecasting.quantiles import from_residuals
from tasks.forecasting.series import SeriesTask, fill_gaps

# An interval of 68.27 % is one standard error to each side.
ONE_SIGMA = 68.26894921370859
MIN_KNOWN = 8
SEASONS_NEEDED = 2
LONGEST_SEASON = 24
TSB_ALPHA = 0.2
RATE_MODELS = ("croston", "tsb")
NAMES = (*RATE_MODELS, "theta", "ets")


class StatsforecastModel:
    """One of statsforecast's models; nothing is carried from fold to fold.

    Args:
        name: croston, tsb, theta or ets.
        max_history: periods up to the last known one that a fit reads.
    """

    min_known = MIN_KNOWN
    uses_features = False
    learns = False

    def __init__(self, name: str, max_history: int) -> None:
        self.name = name
        self.max_history = max_history

    def learn(self, task: SeriesTask) -> None:
        """There is no structure to choose ahead of a fit."""

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: None) -> Curve:  # noqa: ARG002
        """Fit on the history and forecast."""
        values = fill_gaps(task.values, task.frequency.season)
        if self.name in RATE_MODELS:
            return self._rate(values, task, levels)
        model = _smoothing(self.name, _season(task)).fit(values)
        answer = model.predict(task.lead, level=[ONE_SIGMA])
        mean = np.asarray(answer["mean"], dtype=np.float64)
        sigma = np.maximum(np.asarray(answer[f"hi-{ONE_SIGMA}"], dtype=np.float64) - mean, 0.0)
        return mean, from_residuals(mean, sigma, values - values.mean(), levels)

    def _rate(self, values: FloatArray, task: SeriesTask, levels: Sequence[float]) -> Curve:
        """A flat rate; each period scatters around it as the history does."""
        answer = _rate_model(self.name).forecast(y=values, h=task.lead)
        mean = np.asarray(answer["mean"], dtype=np.float64)
        known = task.values[np.isfinite(task.values)]
        scatter = np.quantile(known, list(levels)) - known.mean()
        return mean, mean[:, None] + scatter[None, :]


def local_forecaster(name: str, settings: LocalModelSettings, workers: int = 1) -> LocalForecaster[None]:
    """The forecaster of a cheap model.

    Raises:
        ConfigError: no cheap model has this name.
    """
    if name not in NAMES:
        raise ConfigError(f"models: '{name}' is no model per series. Expected one of {', '.join(NAMES)}")
    return LocalForecaster(StatsforecastModel(name, settings.max_history), workers)


def _season(task: SeriesTask) -> int:
    season = task.frequency.season
    return season if season <= LONGEST_SEASON and len(task.values) >= SEASONS_NEEDED * season else 1


def _smoothing(name: str, season: int) -> Any:
    from statsforecast.models import AutoETS, AutoTheta

    return AutoTheta(season_length=season) if name == "theta" else AutoETS(season_length=season)


def _rate_model(name: str) -> Any:
    from statsforecast.models import TSB, CrostonOptimized

    return CrostonOptimized() if name == "croston" else TSB(alpha_d=TSB_ALPHA, alpha_p=TSB_ALPHA)
