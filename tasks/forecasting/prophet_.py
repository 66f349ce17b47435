"""Prophet per series: trend, week and year, country holidays, known 0/1 features as regressors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from schemas.frequency import Frequency
from schemas.panel import FloatArray, IndexArray
from schemas.settings import ProphetSettings
from tasks.forecasting.fallback import Curve, LocalForecaster
from tasks.forecasting.quantiles import from_residuals
from tasks.forecasting.series import SeriesTask

NAME = "prophet"
MIN_KNOWN = 12
REGRESSORS = 6
LEAST_OCCURRENCES = 2
# Multiples of the set changepoint prior that the cross-validation compares, and its windows.
PRIOR_MULTIPLES = (0.1, 1.0, 10.0)
WINDOWS = 2
# The first window must leave this many known periods to learn from.
WINDOW_MIN_KNOWN = 24
# Seasonalities need so many whole seasons; fewer years than two make the year unstable.
WEEKS_NEEDED = 3
YEARS_NEEDED = 1.4
# Weekly rhythm only shows in daily data; Prophet's own default orders.
WEEK_ORDER, YEAR_ORDER = 3, 10
DAYS = {"D": 1.0, "W": 7.0, "MS": 365.25 / 12}
_DS, _Y, _HOLIDAY = "ds", "y", "holiday"


class ProphetModel:
    """Prophet of one series.

    ``learn`` chooses the flexibility of the trend (``changepoint_prior_scale``) by sliding-window
    cross-validation: 0.1, 1 and 10 times the set value, forecast from the last two cutoffs, one horizon
    apart, whose actuals lie wholly in the history; least absolute error wins, the set value on a tie.
    Where the history is too short for two windows, or cross-validation is off, the set value holds.

    Quantiles: standard deviation per step from the observation noise and, in closed form, from the trend
    changes that Prophet would draw (changes at the history's rate, sizes Laplace with the history's mean
    size: variance 2 rate scale^2 t^3 / 3), with the shape of the in-sample residuals. So nothing is drawn
    at random.
    """

    name = NAME
    min_known = MIN_KNOWN
    uses_features = True
    learns = True

    def __init__(self, settings: ProphetSettings, country: str | None) -> None:
        self.max_history = settings.max_history
        self._settings = settings
        self._country = country

    def learn(self, task: SeriesTask) -> float:
        """The changepoint prior of a series."""
        base = self._settings.changepoint_prior_scale
        cutoffs = _cutoffs(task) if self._settings.cross_validation else []
        if not cutoffs:
            return base
        priors = [base * multiple for multiple in PRIOR_MULTIPLES]
        errors = [round(sum(self._window_error(task, cutoff, prior) for cutoff in cutoffs), 9) for prior in priors]
        best = min(errors)
        return base if errors[PRIOR_MULTIPLES.index(1.0)] == best else priors[errors.index(best)]

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: float | None) -> Curve:
        """Fit and forecast."""
        prior = self._settings.changepoint_prior_scale if structure is None else structure
        model, frame = self._fitted(task, prior)
        fitted = _point(model, frame)
        mean = fitted[len(task.values) :]
        sigma = np.sqrt(_noise(model) ** 2 + _trend_variance(model, frame, task.lead))
        return mean, from_residuals(mean, sigma, task.values - fitted[: len(task.values)], levels)

    def _window_error(self, task: SeriesTask, cutoff: int, prior: float) -> float:
        """Sum of absolute errors over one window."""
        lead = min(task.lead, len(task.values) - cutoff)
        actual = task.values[cutoff : cutoff + lead]
        model, frame = self._fitted(task.cut(cutoff, lead), prior)
        return float(np.nansum(np.abs(_point(model, frame)[cutoff:] - actual)))

    def _fitted(self, task: SeriesTask, prior: float) -> tuple[Any, pd.DataFrame]:
        """A fitted Prophet, and the frame of history and horizon."""
        prophet = _prophet()
        days = len(task.values) * DAYS[task.frequency.kind]
        model = prophet(
            changepoint_prior_scale=prior,
            seasonality_prior_scale=self._settings.seasonality_prior_scale,
            holidays=_holidays_within(self._country, task),
            daily_seasonality=False,
            weekly_seasonality=WEEK_ORDER if task.frequency.kind == "D" and days >= WEEKS_NEEDED * 7 else False,
            yearly_seasonality=_year_order(task) if days >= YEARS_NEEDED * 365.25 else False,
            uncertainty_samples=0,
        )
        frame = pd.DataFrame({_DS: task.labels})
        for i in _regressors(task):
            name = f"x{i}"
            frame[name] = task.features[i].astype(np.float64)
            model.add_regressor(name)
        model.fit(frame.iloc[: len(task.values)].assign(**{_Y: task.values}), seed=task.seed)
        return model, frame


def prophet_forecaster(settings: ProphetSettings, country: str | None, workers: int = 1) -> LocalForecaster[float]:
    """Prophet per series; remembers the chosen priors from fold to fold."""
    return LocalForecaster(ProphetModel(settings, country), workers)


def _prophet() -> Any:
    """Prophet's class, with the chatter of its packages turned off."""
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)
    from prophet import Prophet

    for name in ("prophet", "cmdstanpy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return Prophet


def _year_order(task: SeriesTask) -> int:
    """Fourier pairs of the year: Prophet's 10, fewer where a monthly axis cannot tell them apart."""
    return YEAR_ORDER if task.frequency.kind != "MS" else 5


def _cutoffs(task: SeriesTask) -> list[int]:
    """Known periods before each window, latest window first; empty where the history is too short."""
    horizon = task.lead
    cutoffs = [len(task.values) - k * horizon for k in range(1, WINDOWS + 1)]
    first = cutoffs[-1]
    enough = first > 0 and np.isfinite(task.values[:first]).sum() >= WINDOW_MIN_KNOWN
    return cutoffs if enough else []


def _regressors(task: SeriesTask) -> IndexArray:
    """Indices of 0/1 features to use: the most correlated with the history; no two alike."""
    known = np.isfinite(task.values)
    x = task.features[:, : len(task.values)][:, known].astype(np.float64)
    binary = ((x == 0.0) | (x == 1.0)).all(axis=1) if x.size else np.zeros(len(x), dtype=bool)
    often = np.minimum((x == 1.0).sum(axis=1), (x == 0.0).sum(axis=1)) >= LEAST_OCCURRENCES
    usable = np.flatnonzero(binary & often)
    centred = x[usable] - x[usable].mean(axis=1, keepdims=True)
    values = task.values[known] - task.values[known].mean()
    size = np.sqrt((centred**2).sum(axis=1) * (values**2).sum())
    strength = np.abs(np.einsum("ft,t->f", centred, values)) / np.maximum(size, 1e-12)
    ranked = usable[np.argsort(-np.round(strength, 9), kind="stable")]
    _, first = np.unique(x[ranked], axis=0, return_index=True)
    return ranked[np.sort(first)][:REGRESSORS]


@lru_cache(maxsize=64)
def _country_holidays(country: str, first_year: int, last_year: int, frequency: str) -> pd.DataFrame:
    """Named public holidays on the labels of the periods that hold them."""
    import holidays

    found = holidays.country_holidays(country, years=range(first_year, last_year + 1))
    rows = [(pd.Timestamp(day), name) for day, names in found.items() for name in names.split("; ")]
    frame = pd.DataFrame(sorted(rows), columns=[_DS, _HOLIDAY])
    frame[_DS] = Frequency(frequency).label(frame[_DS])
    return frame.drop_duplicates(ignore_index=True)


def _holidays_within(country: str | None, task: SeriesTask) -> pd.DataFrame | None:
    """Holidays that fall into the history; monthly data has none (they are part of the year)."""
    if country is None or task.frequency.kind == "MS":
        return None
    labels = task.labels
    frame = _country_holidays(country, labels[0].year - 1, labels[-1].year + 1, task.frequency.code)
    known = labels[: len(task.values)][np.isfinite(task.values)]
    seen = frame.loc[frame[_DS].isin(known), _HOLIDAY].unique()
    within = frame[_HOLIDAY].isin(seen) & frame[_DS].between(labels[0], labels[-1])
    return frame[within].reset_index(drop=True) if within.any() else None


def _point(model: Any, frame: pd.DataFrame) -> FloatArray:
    """Point forecast over a frame, shape (rows,), units."""
    return np.asarray(model.predict(frame)["yhat"], dtype=np.float64)


def _noise(model: Any) -> float:
    """Standard deviation of the observation noise, units."""
    return float(np.mean(model.params["sigma_obs"])) * float(model.y_scale)


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
