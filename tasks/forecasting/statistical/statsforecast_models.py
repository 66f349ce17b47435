"""Cheap statistical models per series, by statsforecast: Croston, TSB, Theta and ETS."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.facts import Cost, ModelFacts, Scope
from schemas.panel import FloatArray
from tasks.forecasting.quantiles import ONE_SIGMA, from_residuals
from tasks.forecasting.statistical.per_series import Curve, SeriesModel
from tasks.forecasting.statistical.regressors import Adjustment, clip_outliers, regress_out
from tasks.forecasting.statistical.series import SeriesTask, fill_gaps

# Core-milliseconds per run that each of these models may cost.
ALLOWANCE = 100_000.0
# Measured at 400 periods: 20 ms Theta, 8 ms ETS, 0.2 ms Croston and TSB.
THETA_COST, ETS_COST, SPARSE_COST = Cost(0, 0, 5, 0.045), Cost(0, 0, 5, 0.01), Cost(0, 0, 0.2, 0.0005)


@dataclass(frozen=True)
class SmoothingRule:
    """The numbers of TSB, Theta and ETS (docs/reference/constants.md).

    Attributes:
        tsb_size: smoothing of the size of a sale in TSB; a usual value for sparse demand.
        tsb_chance: smoothing of the chance of a sale in TSB; a usual value for sparse demand.
        seasons_needed: seasons of history that Theta's season needs.
        fewest_for_trend: values that the damped trend of ETS, with six parameters, needs.
        features: known features that ETS tries as regressors.
    """

    tsb_size: float = 0.1
    tsb_chance: float = 0.1
    seasons_needed: int = 2
    fewest_for_trend: int = 16
    features: int = 6


RULE = SmoothingRule()


class IntermittentModel(SeriesModel[None]):
    """Croston's method and its successor TSB, for sparse demand: one rate for all steps.

    Croston (1972), in Syntetos and Boylan's unbiased form: sizes z and intervals p of sales are smoothed
    apart with alpha = 0.1, rate = (1 - alpha / 2) z / p. TSB (Teunter, Syntetos and Babai 2011): sizes and
    the chance of a sale are smoothed apart, the chance in every period, so that the rate of a style
    that ended falls: rate = size * chance.

    Unknown and closed periods are left out of the history. Quantiles: the spread of the known values
    around the rate in force before each, the same at every step.
    """

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: None) -> Curve:  # noqa: ARG002
        """Smooth the known values and hold the last rate."""
        values = task.values[np.isfinite(task.values)]
        answer = self._model().forecast(values, h=1, fitted=True)
        mean = np.full(task.lead, float(np.asarray(answer["mean"])[0]))
        residuals = values - np.asarray(answer["fitted"], dtype=np.float64)
        return mean, from_residuals(mean, np.full(task.lead, _rms(residuals)), residuals, levels)

    @abstractmethod
    def _model(self) -> Any:
        """The model of statsforecast."""


class CrostonModel(IntermittentModel):
    """Croston's method in Syntetos and Boylan's form."""

    facts = ModelFacts(
        name="croston",
        label="Croston",
        description="Croston's method (Syntetos-Boylan) for intermittent demand, one series at a time",
        scope=Scope.SERIES,
        min_known=4,
        packages=("statsforecast",),
        cost=lambda _: SPARSE_COST,
        allowance=ALLOWANCE,
    )

    def _model(self) -> Any:
        from statsforecast.models import CrostonSBA

        return CrostonSBA()


class TsbModel(IntermittentModel):
    """Teunter, Syntetos and Babai's method."""

    facts = ModelFacts(
        name="tsb",
        label="TSB",
        description="Teunter-Syntetos-Babai method for intermittent demand, one series at a time",
        scope=Scope.SERIES,
        min_known=4,
        packages=("statsforecast",),
        cost=lambda _: SPARSE_COST,
        allowance=ALLOWANCE,
    )

    def _model(self) -> Any:
        from statsforecast.models import TSB

        return TSB(alpha_d=RULE.tsb_size, alpha_p=RULE.tsb_chance)


class SmoothingModel(SeriesModel[None]):
    """Exponential smoothing of what regressors leave of a series.

    Unknown and closed periods are interpolated, odd ones clipped. Quantiles: the model's standard error
    per step with the shape of its residuals.
    """

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: None) -> Curve:  # noqa: ARG002
        """Remove what the regressors explain, smooth the rest and add both forecasts."""
        explained, season = self._explained(task), self._season(task)
        rest = fill_gaps(clip_outliers(task.values - explained.history), season)
        mean, quantiles = _with_interval(self._model(rest, season), rest, task.lead, levels)
        return mean + explained.future, quantiles + explained.future[:, None]

    def _explained(self, task: SeriesTask) -> Adjustment:
        """The part that regressors explain; nothing by default."""
        return Adjustment(np.zeros(len(task.values)), np.zeros(task.lead), ())

    def _season(self, task: SeriesTask) -> int:  # noqa: ARG002
        """The season of the smoothing, in periods; 1 is none."""
        return 1

    @abstractmethod
    def _model(self, values: FloatArray, season: int) -> Any:
        """The model of statsforecast for these values."""


class ThetaModel(SmoothingModel):
    """Optimized Theta (Fiorucci and others 2016), with its own season (7, 52 or 12) from two seasons on."""

    facts = ModelFacts(
        name="theta",
        label="Theta",
        description="Optimized Theta method, one series at a time",
        scope=Scope.SERIES,
        models_trend=True,
        min_known=8,
        packages=("statsforecast",),
        cost=lambda _: THETA_COST,
        allowance=ALLOWANCE,
    )

    def _season(self, task: SeriesTask) -> int:
        season = task.frequency.season
        return season if len(task.values) >= RULE.seasons_needed * season else 1

    def _model(self, values: FloatArray, season: int) -> Any:  # noqa: ARG002
        from statsforecast.models import OptimizedTheta

        return OptimizedTheta(season_length=season)


class EtsModel(SmoothingModel):
    """Exponential smoothing of what season and known features leave: ETS(A,N,N) or ETS(A,Ad,N), by AICc.

    An undamped trend is not used, because its extrapolation gave the worst forecasts of the compared data sets.
    """

    facts = ModelFacts(
        name="ets",
        label="ETS",
        description="Exponential smoothing of what season and known features leave, one series at a time",
        scope=Scope.SERIES,
        uses_covariates=True,
        models_trend=True,
        min_known=10,
        packages=("statsforecast",),
        cost=lambda _: ETS_COST,
        allowance=ALLOWANCE,
    )

    def _explained(self, task: SeriesTask) -> Adjustment:
        return regress_out(task, RULE.features)

    def _model(self, values: FloatArray, season: int) -> Any:
        """The form of exponential smoothing with the lower AICc."""
        from statsforecast.models import AutoETS

        level = AutoETS(season_length=season, model="ANN")
        if len(values) < RULE.fewest_for_trend:
            return level
        trend = AutoETS(season_length=season, model="AAN", damped=True)
        return min((level, trend), key=lambda model: float(model.fit(values).model_["aicc"]))


def _with_interval(model: Any, values: FloatArray, lead: int, levels: Sequence[float]) -> Curve:
    answer = model.forecast(values, h=lead, level=[ONE_SIGMA], fitted=True)
    mean = np.asarray(answer["mean"], dtype=np.float64)
    sigma = (np.asarray(answer[f"hi-{ONE_SIGMA}"]) - np.asarray(answer[f"lo-{ONE_SIGMA}"])) / 2.0
    residuals = values - np.asarray(answer["fitted"], dtype=np.float64)
    return mean, from_residuals(mean, np.maximum(sigma, 0.0), residuals, levels)


def _rms(residuals: FloatArray) -> float:
    known = residuals[np.isfinite(residuals)]
    return float(np.sqrt(np.mean(known**2))) if known.size else 0.0
