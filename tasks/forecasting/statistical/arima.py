"""ARIMA per series, by statsforecast (fast) or pmdarima (reference implementation).

``statsforecast``: the known regressors are taken out by ridge regression, AutoARIMA (Hyndman and
Khandakar's stepwise search by AICc) is fitted to the rest, and what the regressors explain of the
horizon is added: regression with ARIMA errors in two steps. A short season (7, 12) is taken out by
dummies; only if the history is too short for them does the ARIMA itself have the season. On the six
real data sets dummies were as good as a seasonal ARIMA at a third of its cost. A drift is never
allowed: extrapolated, it was the largest source of error. Odd periods that no regressor explains are
clipped before the fit.

``pmdarima`` (docs/reference/domain.md): augmented Dickey-Fuller test, p > 0.05 -> difference once;
``auto_arima`` stepwise by AIC, without a season; then SARIMAX with weekday, time of year, holiday, event
and promotion flags and the price known before the period as exogenous regressors.

Both need histories without gaps: unknown and closed periods are interpolated (see
:func:`tasks.forecasting.statistical.series.fill_gaps`). Quantiles: the model's standard error per step, with the
shape of the one-step residuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.facts import Cost, ModelContext, ModelFacts, Scope
from schemas.panel import FloatArray
from schemas.settings import ArimaSettings
from tasks.forecasting.quantiles import ONE_SIGMA, from_residuals
from tasks.forecasting.statistical import regressors
from tasks.forecasting.statistical.per_series import Curve, LocalForecaster, SeriesModel
from tasks.forecasting.statistical.regressors import (
    clip_outliers,
    regress_out,
    regressor_columns,
)
from tasks.forecasting.statistical.series import SeriesTask, fill_gaps

# Measured: AutoARIMA 51-102 ms (74-200 periods), 168-207 ms (682-800); a fit 11-17 and 23-34 ms.
STATSFORECAST_COST = Cost(40, 0.25, 8, 0.035)
# Measured: 330 ms (74 periods), 710-880 ms (200); a fit 15 and 60-103 ms.
PMDARIMA_COST = Cost(0, 4.4, 0, 0.5)


@dataclass(frozen=True)
class ArimaRule:
    """The numbers of ARIMA (docs/reference/constants.md).

    Attributes:
        seasons_needed: whole seasons of history from which on a seasonal ARIMA is searched.
        features: known features to try as regressors.
        adf_limit: largest p-value of the augmented Dickey-Fuller test without differencing (engine pmdarima).
        largest_term: largest autoregressive and moving-average order (engine pmdarima).
        iterations: iterations of a fit (engine pmdarima).
    """

    seasons_needed: int = 2
    features: int = 6
    adf_limit: float = 0.05
    largest_term: int = 5
    iterations: int = 50


RULE = ArimaRule()


@dataclass(frozen=True)
class Order:
    """ARIMA (p, d, q) (P, D, Q) with season m; ``constant``: with a mean (never a drift)."""

    order: tuple[int, int, int]
    seasonal: tuple[int, int, int]
    season: int
    constant: bool

    def __str__(self) -> str:
        """As orders are written: (3,1,5), or (1,0,1)(0,1,1)[7]."""
        plain = ",".join(str(part) for part in self.order)
        seasonal = ",".join(str(part) for part in self.seasonal)
        return f"({plain})({seasonal})[{self.season}]" if self.season > 1 else f"({plain})"


class ArimaModel(SeriesModel[Order]):
    """ARIMA of one series, by the engine that the settings choose."""

    facts = ModelFacts(
        name="arima",
        label="ARIMA",
        description="Regression with ARIMA errors, one series at a time",
        scope=Scope.SERIES,
        uses_covariates=True,
        models_trend=True,
        min_known=12,
        packages=("pmdarima", "scikit-learn", "statsforecast", "statsmodels"),
        cost=lambda settings: STATSFORECAST_COST if settings.engine == "statsforecast" else PMDARIMA_COST,
    )
    learns = True

    @classmethod
    def from_settings(cls, settings: ArimaSettings, context: ModelContext) -> LocalForecaster[Order]:
        """ARIMA per series."""
        engine = StatsforecastArima if settings.engine == "statsforecast" else PmdarimaArima
        return LocalForecaster(engine(settings.max_history), context.workers)

    def describe(self, structure: Order) -> str:
        """The order as it is written."""
        return str(structure)


class StatsforecastArima(ArimaModel):
    """AutoARIMA of statsforecast on what regressors leave."""

    def learn(self, task: SeriesTask) -> Order:
        """Search the order."""
        from statsforecast.models import AutoARIMA

        season = _season(task)
        rest, _ = _rest(task, season)
        found = AutoARIMA(season_length=season, approximation=True, allowdrift=False).fit(rest).model_
        p, q, seasonal_p, seasonal_q, _, d, seasonal_d = (int(part) for part in found["arma"])
        return Order((p, d, q), (seasonal_p, seasonal_d, seasonal_q), season, "intercept" in found["coef"])

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: Order | None) -> Curve:
        """Estimate by conditional sum of squares, then maximum likelihood, and forecast."""
        from statsforecast.models import ARIMA

        order = _required(structure)
        rest, ahead = _rest(task, order.season)
        model = ARIMA(
            order=order.order,
            season_length=order.season,
            seasonal_order=order.seasonal,
            include_mean=order.constant,
        ).fit(rest)
        answer = model.predict(task.lead, level=[ONE_SIGMA])
        center = np.asarray(answer["mean"], dtype=np.float64)
        sigma = np.asarray(answer[f"hi-{ONE_SIGMA}"], dtype=np.float64) - center
        residuals = np.asarray(model.model_["residuals"], dtype=np.float64)
        mean = center + ahead
        return mean, from_residuals(mean, np.maximum(sigma, 0.0), residuals, levels)


class PmdarimaArima(ArimaModel):
    """ADF test, auto_arima by AIC and SARIMAX with exogenous regressors."""

    def learn(self, task: SeriesTask) -> Order:
        """Test for a unit root and search the order."""
        from pmdarima import auto_arima

        values, past, _ = _exogenous(task)
        differences = differences_needed(values)
        found = auto_arima(
            values,
            X=past,
            d=differences,
            with_intercept=differences == 0,
            seasonal=False,
            max_p=RULE.largest_term,
            max_q=RULE.largest_term,
            information_criterion="aic",
            stepwise=True,
            maxiter=RULE.iterations,
            suppress_warnings=True,
            error_action="ignore",
        )
        p, d, q = (int(part) for part in found.order)
        return Order((p, d, q), (0, 0, 0), 1, d == 0)

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: Order | None) -> Curve:
        """Estimate SARIMAX with the order found and forecast with intervals."""
        from pmdarima import ARIMA

        order = _required(structure)
        values, past, ahead = _exogenous(task)
        model = ARIMA(
            order=order.order, with_intercept=order.constant, maxiter=RULE.iterations, suppress_warnings=True
        ).fit(values, X=past)
        alpha = 1.0 - ONE_SIGMA / 100.0
        mean, interval = model.predict(task.lead, X=ahead, return_conf_int=True, alpha=alpha)
        mean = np.asarray(mean, dtype=np.float64)
        sigma = (interval[:, 1] - interval[:, 0]) / 2.0
        # The first residuals of a differenced model are the values themselves.
        residuals = np.asarray(model.resid(), dtype=np.float64)[order.order[1] :]
        return mean, from_residuals(mean, sigma, residuals, levels)


def differences_needed(values: FloatArray) -> int:
    """0 where the augmented Dickey-Fuller test rejects a unit root (p <= 0.05), else 1."""
    from pmdarima.arima import ADFTest

    p_value, _ = ADFTest(alpha=RULE.adf_limit).should_diff(values)
    return int(p_value > RULE.adf_limit)


def _season(task: SeriesTask) -> int:
    """Season of the ARIMA itself: only if it is short and the history too short for dummies of it."""
    season = task.frequency.season
    fits = (
        season <= regressors.RULE.longest_dummy_season
        and RULE.seasons_needed * season <= len(task.values) < regressors.RULE.dummy_seasons * season
    )
    return season if fits else 1


def _rest(task: SeriesTask, season: int) -> tuple[FloatArray, FloatArray]:
    """The whole history without what regressors explain, and what they explain of the horizon."""
    explained = regress_out(task, RULE.features)
    return fill_gaps(clip_outliers(task.values - explained.history), season), explained.future


def _exogenous(task: SeriesTask) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
    """The whole history, and the regressors of history and horizon (None if there are none)."""
    columns, _ = regressor_columns(task, RULE.features)
    values = fill_gaps(task.values, _season(task))
    if columns.shape[1] == 0:
        return values, None, None
    return values, columns[: len(values)], columns[len(values) :]


def _required(structure: Order | None) -> Order:
    if structure is None:
        raise ValueError("no order was found for this series")
    return structure
