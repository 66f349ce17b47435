"""Cheap statistical models per series, by statsforecast: Croston, TSB, Theta and ETS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from schemas.panel import FloatArray
from schemas.settings import LocalModelSettings
from tasks.forecasting.quantiles import from_residuals
from tasks.forecasting.statistical.per_series import Curve, LocalForecaster
from tasks.forecasting.statistical.regressors import clip_odd, regress_out
from tasks.forecasting.statistical.series import SeriesTask, fill_gaps

CROSTON, TSB, THETA, ETS = "croston", "tsb", "theta", "ets"
MIN_KNOWN = {CROSTON: 4, TSB: 4, THETA: 8, ETS: 10}
# TSB's smoothing of size and of the chance of a sale: the usual slow values for sparse demand.
TSB_SIZE, TSB_CHANCE = 0.1, 0.1
SEASONS_NEEDED = 2
# A damped trend has six parameters.
FEWEST_FOR_TREND = 16
# Regressors' known features that ETS is given.
FEATURES = 6
# An interval of 68.27 % is one standard error to each side.
ONE_SIGMA = 68.26894921370859


class IntermittentModel:
    """Croston's method and its successor TSB, for sparse demand: one rate for all steps.

    Croston (1972), in Syntetos and Boylan's unbiased form: sizes z and intervals p of sales are smoothed
    apart with alpha = 0.1, rate = (1 - alpha / 2) z / p. TSB (Teunter, Syntetos and Babai 2011): sizes and
    the chance of a sale are smoothed apart, the chance in every period, so that the rate of an article
    that ended falls: rate = size * chance.

    Unknown and closed periods are left out of the history. Quantiles: the spread of the known values
    around the rate in force before each, the same at every step.
    """

    uses_features = False
    learns = False

    def __init__(self, name: str, max_history: int) -> None:
        self.name = name
        self.max_history = max_history
        self.min_known = MIN_KNOWN[name]

    def learn(self, task: SeriesTask) -> None:
        """Nothing is learnt beforehand."""

    def describe(self, structure: None) -> str:  # noqa: ARG002
        """There is no structure."""
        return ""

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: None) -> Curve:  # noqa: ARG002
        """Smooth the known values and hold the last rate."""
        values = task.values[np.isfinite(task.values)]
        answer = self._model().forecast(values, h=1, fitted=True)
        mean = np.full(task.lead, float(np.asarray(answer["mean"])[0]))
        residuals = values - np.asarray(answer["fitted"], dtype=np.float64)
        return mean, from_residuals(mean, np.full(task.lead, _rms(residuals)), residuals, levels)

    def _model(self) -> Any:
        from statsforecast import models

        return models.CrostonSBA() if self.name == CROSTON else models.TSB(alpha_d=TSB_SIZE, alpha_p=TSB_CHANCE)


class ThetaModel:
    """Optimised Theta (Fiorucci and others 2016), with its own season (7, 52 or 12) from two seasons on.

    Unknown and closed periods are interpolated, odd ones clipped. Quantiles: the model's standard error
    per step with the shape of its residuals.
    """

    name = THETA
    min_known = MIN_KNOWN[THETA]
    uses_features = False
    learns = False

    def __init__(self, max_history: int) -> None:
        self.max_history = max_history

    def learn(self, task: SeriesTask) -> None:
        """Nothing is learnt beforehand."""

    def describe(self, structure: None) -> str:  # noqa: ARG002
        """There is no structure."""
        return ""

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: None) -> Curve:  # noqa: ARG002
        """Fit and forecast."""
        from statsforecast.models import OptimizedTheta

        season = task.frequency.season
        season = season if len(task.values) >= SEASONS_NEEDED * season else 1
        values = fill_gaps(clip_odd(task.values), season)
        return _with_interval(OptimizedTheta(season_length=season), values, task.lead, levels)


class EtsModel:
    """Exponential smoothing of what season and known features leave: ETS(A,N,N) or ETS(A,Ad,N), by AICc.

    An undamped trend is not offered: extrapolated, it was the worst forecast of the sets it was tried on.

    Unknown and closed periods are interpolated, odd ones clipped. Quantiles: the model's standard error
    per step with the shape of its residuals.
    """

    name = ETS
    min_known = MIN_KNOWN[ETS]
    uses_features = True
    learns = False

    def __init__(self, max_history: int) -> None:
        self.max_history = max_history

    def learn(self, task: SeriesTask) -> None:
        """Nothing is learnt beforehand."""

    def describe(self, structure: None) -> str:  # noqa: ARG002
        """There is no structure."""
        return ""

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: None) -> Curve:  # noqa: ARG002
        """Fit and forecast."""
        explained = regress_out(task, FEATURES)
        rest = fill_gaps(clip_odd(task.values - explained.history), 1)
        mean, quantiles = _with_interval(_smoothing(rest), rest, task.lead, levels)
        return mean + explained.future, quantiles + explained.future[:, None]


def _smoothing(values: FloatArray) -> Any:
    """The form of exponential smoothing with the lower AICc."""
    from statsforecast.models import AutoETS

    level = AutoETS(season_length=1, model="ANN")
    if len(values) < FEWEST_FOR_TREND:
        return level
    trend = AutoETS(season_length=1, model="AAN", damped=True)
    return min((level, trend), key=lambda model: float(model.fit(values).model_["aicc"]))


def local_forecaster(name: str, settings: LocalModelSettings, workers: int = 1) -> LocalForecaster[None]:
    """One of ``croston``, ``tsb``, ``theta`` and ``ets`` as a forecaster."""
    if name in (CROSTON, TSB):
        return LocalForecaster(IntermittentModel(name, settings.max_history), workers)
    model = ThetaModel if name == THETA else EtsModel
    return LocalForecaster(model(settings.max_history), workers)


def _with_interval(model: Any, values: FloatArray, lead: int, levels: Sequence[float]) -> Curve:
    answer = model.forecast(values, h=lead, level=[ONE_SIGMA], fitted=True)
    mean = np.asarray(answer["mean"], dtype=np.float64)
    sigma = (np.asarray(answer[f"hi-{ONE_SIGMA}"]) - np.asarray(answer[f"lo-{ONE_SIGMA}"])) / 2.0
    residuals = values - np.asarray(answer["fitted"], dtype=np.float64)
    return mean, from_residuals(mean, np.maximum(sigma, 0.0), residuals, levels)


def _rms(residuals: FloatArray) -> float:
    known = residuals[np.isfinite(residuals)]
    return float(np.sqrt(np.mean(known**2))) if known.size else 0.0
