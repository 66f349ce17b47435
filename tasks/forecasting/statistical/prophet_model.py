"""Prophet per series: trend, week and year, country holidays, known 0/1 features as regressors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from schemas.facts import Cost, ModelContext, ModelFacts, Scope
from schemas.frequency import Frequency
from schemas.panel import FloatArray, IndexArray
from schemas.settings import ProphetSettings
from tasks.forecasting.quantiles import from_residuals
from tasks.forecasting.statistical import regressors
from tasks.forecasting.statistical.per_series import Curve, LocalForecaster, SeriesModel
from tasks.forecasting.statistical.regressors import DAYS_OF_YEAR, clip_outliers
from tasks.forecasting.statistical.series import SeriesTask

DAYS = {"D": 1.0, "W": 7.0, "MS": DAYS_OF_YEAR / 12}
# Mean absolute deviation of a standard normal.
NORMAL_MEAN_DEVIATION = 0.7979
_DS, _Y, _HOLIDAY = "ds", "y", "holiday"
# Measured with the Stan process: 310-700 ms for six validation fits; a fit 46-220 ms, the most on short years.
COST_VALIDATED = Cost(500, 0.3, 100, 0.03)
COST = Cost(0, 0, 100, 0.03)


@dataclass(frozen=True)
class ProphetRule:
    """The numbers of Prophet (docs/reference/constants.md).

    Attributes:
        regressors: known features of zeros and ones to use at most.
        least_occurrences: both values of a feature must occur this often in the history.
        prior_multiples: multiples of the set changepoint prior that the cross-validation compares.
        windows: windows of the cross-validation.
        window_min_known: known periods before the first window.
        weeks_needed: weeks of history that the weekly season needs.
        years_needed: years of history that the yearly season needs.
        full_years: years of history that ``year_order`` needs; a shorter history gets ``short_year_order``.
        week_order: Fourier pairs of the week; Prophet's default.
        year_order: Fourier pairs of the year; Prophet's default.
        short_year_order: Fourier pairs of the year for a short history and for months.
        widest: upper limit of the factor on the width of the intervals.
    """

    regressors: int = 6
    least_occurrences: int = 2
    prior_multiples: tuple[float, ...] = (0.1, 1.0, 10.0)
    windows: int = 2
    window_min_known: int = 24
    weeks_needed: int = 3
    years_needed: float = 1.4
    full_years: float = 1.8
    week_order: int = 3
    year_order: int = 10
    short_year_order: int = 5
    widest: float = 3.0


RULE = ProphetRule()


@dataclass(frozen=True)
class Flexibility:
    """Result of the cross-validation: ``changepoint_prior_scale`` and a factor on standard deviations."""

    prior: float
    widening: float


class ProphetModel(SeriesModel[Flexibility]):
    """Prophet of one series.

    ``learn`` chooses the flexibility of the trend (``changepoint_prior_scale``) by sliding-window
    cross-validation: 0.1, 1 and 10 times the set value, forecast from the last two cutoffs, one horizon
    apart, whose actuals lie wholly in the history; least absolute error wins, the set value on a tie.
    If the validation errors exceed the expected ones, the intervals are widened by the ratio (1 to 3). If the history
    is too short for two windows, or cross-validation is off, the set value holds.

    Quantiles: standard deviation per step from the observation noise and, in closed form, from the trend
    changes that Prophet would draw (changes at the history's rate, sizes Laplace with the history's mean
    size: variance 2 rate scale^2 t^3 / 3), with the shape of the in-sample residuals. Nothing is drawn at random.
    """

    facts = ModelFacts(
        name="prophet",
        label="Prophet",
        description="Trend, seasonality, holidays and known features, one series at a time",
        scope=Scope.SERIES,
        uses_covariates=True,
        models_trend=True,
        min_known=12,
        packages=("holidays", "prophet"),
        cost=lambda settings: COST_VALIDATED if settings.cross_validation else COST,
        least_share=0.9,
    )
    learns = True

    def __init__(self, settings: ProphetSettings, country: str | None) -> None:
        super().__init__(settings.max_history)
        self._settings = settings
        self._country = country

    @classmethod
    def from_settings(cls, settings: ProphetSettings, context: ModelContext) -> LocalForecaster[Flexibility]:
        """Prophet per series, with the country's holidays."""
        return LocalForecaster(cls(settings, context.country), context.workers)

    def learn(self, task: SeriesTask) -> Flexibility:
        """The changepoint prior of a series, and how far its validation errors exceed the model's own."""
        base = self._settings.params.changepoint_prior_scale
        cutoffs = _cutoffs(task) if self._settings.cross_validation else []
        if not cutoffs:
            return Flexibility(base, 1.0)
        tried = []
        for multiple in RULE.prior_multiples:
            windows = [self._window(task, cutoff, base * multiple) for cutoff in cutoffs]
            errors, sigma = (np.concatenate(part) for part in zip(*windows, strict=True))
            tried.append((round(float(errors.sum()), 9), multiple != 1.0, base * multiple, errors, sigma))
        _, _, prior, errors, sigma = min(tried, key=lambda entry: entry[:3])
        widening = float(np.mean(errors)) / max(NORMAL_MEAN_DEVIATION * float(np.mean(sigma)), 1e-9)
        return Flexibility(prior, min(max(widening, 1.0), RULE.widest))

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: Flexibility | None) -> Curve:
        """Fit and forecast."""
        found = structure or Flexibility(self._settings.params.changepoint_prior_scale, 1.0)
        model, frame = self._fitted(task, found.prior)
        fitted = _point(model, frame)
        history = len(task.values)
        sigma = found.widening * _sigma(model, frame, task.lead)
        residuals = task.values - fitted[:history]
        return fitted[history:], from_residuals(fitted[history:], sigma, residuals, levels)

    def describe(self, structure: Flexibility) -> str:
        """The changepoint prior."""
        return f"{structure.prior:g}"

    def _window(self, task: SeriesTask, cutoff: int, prior: float) -> Curve:
        """Absolute errors of the known periods of one window, and the model's standard deviations there."""
        actual = task.values[cutoff : cutoff + task.lead]
        model, frame = self._fitted(task.cut(cutoff, len(actual)), prior)
        errors = np.abs(_point(model, frame)[cutoff:] - actual)
        known = np.isfinite(errors)
        return errors[known], _sigma(model, frame, len(actual))[known]

    def _fitted(self, task: SeriesTask, prior: float) -> tuple[Any, pd.DataFrame]:
        """A fitted Prophet, and the frame of history and horizon."""
        prophet = _prophet()
        days = len(task.values) * DAYS[task.frequency.kind]
        model = prophet(
            changepoint_prior_scale=prior,
            seasonality_prior_scale=self._settings.params.seasonality_prior_scale,
            holidays=_holidays_within(self._country, task),
            daily_seasonality=False,
            weekly_seasonality=RULE.week_order
            if task.frequency.kind == "D" and days >= RULE.weeks_needed * 7
            else False,
            yearly_seasonality=_year_order(task, days) if days >= RULE.years_needed * DAYS_OF_YEAR else False,
            uncertainty_samples=0,
            **self._settings.params.passed_on(),
        )
        frame = pd.DataFrame({_DS: task.labels})
        for i in _regressors(task):
            name = f"x{i}"
            frame[name] = task.features[i].astype(np.float64)
            model.add_regressor(name)
        values = clip_outliers(task.values, regressors.RULE.gross_deviations)
        model.fit(frame.iloc[: len(values)].assign(**{_Y: values}), seed=task.seed)
        return model, frame


def _prophet() -> Any:
    """Prophet's class, with the log output of its packages turned off."""
    for name in ("prophet.plot", "cmdstanpy"):
        logging.getLogger(name).disabled = True
    from prophet import Prophet

    # It raises its own logger's level while it is imported; its modules' loggers inherit this one.
    logging.getLogger("prophet").setLevel(logging.CRITICAL)
    return Prophet


def _year_order(task: SeriesTask, days: float) -> int:
    """Fourier pairs of the year: Prophet's 10; 5 on a short history or a monthly axis."""
    return (
        RULE.year_order
        if task.frequency.kind != "MS" and days >= RULE.full_years * DAYS_OF_YEAR
        else RULE.short_year_order
    )


def _cutoffs(task: SeriesTask) -> list[int]:
    """Known periods before each window, latest window first; empty if the history is too short."""
    horizon = task.lead
    cutoffs = [len(task.values) - k * horizon for k in range(1, RULE.windows + 1)]
    first = cutoffs[-1]
    enough = first > 0 and np.isfinite(task.values[:first]).sum() >= RULE.window_min_known
    return cutoffs if enough else []


def _regressors(task: SeriesTask) -> IndexArray:
    """Indices of 0/1 features to use: the most correlated with the history; no two with the same values."""
    known = np.isfinite(task.values)
    x = task.features[:, : len(task.values)][:, known].astype(np.float64)
    binary = ((x == 0.0) | (x == 1.0)).all(axis=1) if x.size else np.zeros(len(x), dtype=bool)
    often = np.minimum((x == 1.0).sum(axis=1), (x == 0.0).sum(axis=1)) >= RULE.least_occurrences
    usable = np.flatnonzero(binary & often)
    centered = x[usable] - x[usable].mean(axis=1, keepdims=True)
    values = task.values[known] - task.values[known].mean()
    size = np.sqrt((centered**2).sum(axis=1) * (values**2).sum())
    strength = np.abs(np.einsum("ft,t->f", centered, values)) / np.maximum(size, 1e-12)
    ranked = usable[np.argsort(-np.round(strength, 9), kind="stable")]
    _, first = np.unique(x[ranked], axis=0, return_index=True)
    return ranked[np.sort(first)][: RULE.regressors]


@lru_cache(maxsize=64)
def _country_holidays(country: str, first_year: int, last_year: int, frequency: Frequency) -> pd.DataFrame:
    """Named public holidays on the labels of the periods that hold them."""
    import holidays

    found = holidays.country_holidays(country, years=range(first_year, last_year + 1))
    rows = [(pd.Timestamp(day), name) for day, names in found.items() for name in names.split("; ")]
    frame = pd.DataFrame(sorted(rows), columns=[_DS, _HOLIDAY])
    frame[_DS] = frequency.label(frame[_DS])
    return frame.drop_duplicates(ignore_index=True)


def _holidays_within(country: str | None, task: SeriesTask) -> pd.DataFrame | None:
    """Holidays that fall into the history; monthly data has none (they are part of the year)."""
    if country is None or task.frequency.kind == "MS":
        return None
    labels = task.labels
    frame = _country_holidays(country, labels[0].year - 1, labels[-1].year + 1, task.frequency)
    known = labels[: len(task.values)][np.isfinite(task.values)]
    seen = frame.loc[frame[_DS].isin(known), _HOLIDAY].unique()
    within = frame[_HOLIDAY].isin(seen) & frame[_DS].between(labels[0], labels[-1])
    return frame[within].reset_index(drop=True) if within.any() else None


def _point(model: Any, frame: pd.DataFrame) -> FloatArray:
    """Point forecast over a frame, shape (rows,), units."""
    return np.asarray(model.predict(frame)["yhat"], dtype=np.float64)


def _sigma(model: Any, frame: pd.DataFrame, lead: int) -> FloatArray:
    """Standard deviation per step ahead from observation noise and trend, shape (lead,), units."""
    noise = float(np.mean(model.params["sigma_obs"])) * float(model.y_scale)
    return np.sqrt(noise**2 + _trend_variance(model, frame, lead))


def _trend_variance(model: Any, frame: pd.DataFrame, lead: int) -> FloatArray:
    """Variance of the trend per step ahead, shape (lead,), units squared.

    Prophet draws future changes as a Poisson process with the history's rate, S changepoints in one unit
    of scaled time, and Laplace sizes of scale mean |delta|; a change at s adds delta (t - s).
    """
    scaled = (frame[_DS] - model.start).dt.total_seconds().to_numpy() / model.t_scale.total_seconds()
    beyond = np.maximum(scaled[-lead:] - 1.0, 0.0)
    rate = float(len(model.changepoints_t))
    size = float(np.mean(np.abs(model.params["delta"]))) + 1e-8
    return rate * 2.0 * size**2 * beyond**3 / 3.0 * float(model.y_scale) ** 2
