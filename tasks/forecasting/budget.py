"""How many series a model of single series fits: a count that follows from the data's size.

A model may cost so many core-seconds per run: 120 for ARIMA and Prophet, 100 for the cheap ones, hence
about one minute each on two cores. What a series costs is read from the table below, never from a
clock: core-milliseconds measured on one core of a small x86 server on the six real data sets, rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import IndexArray, Panel
from schemas.settings import ArimaSettings, LocalModelSettings, ProphetSettings
from tasks.forecasting.baselines import open_demand
from tasks.forecasting.statistical import arima
from tasks.forecasting.statistical import prophet_model as prophet_
from tasks.forecasting.statistical import statsforecast_models as local_models

SeriesModelSettings = ArimaSettings | ProphetSettings | LocalModelSettings


@dataclass(frozen=True)
class Cost:
    """Core-milliseconds per series: once for its structure, and for every fit, fixed and per period read."""

    learn: float
    learn_per_period: float
    fit: float
    fit_per_period: float

    def of_series(self, periods: int, fits: int) -> float:
        """Core-milliseconds of one series over all fits.

        >>> Cost(40, 0.25, 8, 0.035).of_series(200, 4)
        150.0
        """
        return self.learn + self.learn_per_period * periods + fits * (self.fit + self.fit_per_period * periods)


# Measured: AutoARIMA 51-102 ms (74-200 periods), 168-207 ms (682-800); a fit 11-17 and 23-34 ms.
ARIMA = Cost(40, 0.25, 8, 0.035)
# Measured: 330 ms (74 periods), 710-880 ms (200); a fit 15 and 60-103 ms.
PMDARIMA = Cost(0, 4.4, 0, 0.5)
# Measured with the Stan process: 310-700 ms for six validation fits; a fit 46-220 ms, the most on short years.
PROPHET_VALIDATED = Cost(500, 0.3, 100, 0.03)
PROPHET = Cost(0, 0, 100, 0.03)
# Measured at 400 periods: 20 ms Theta, 8 ms ETS, 0.2 ms Croston and TSB.
CHEAP = {
    "theta": Cost(0, 0, 5, 0.045),
    "ets": Cost(0, 0, 5, 0.01),
    "croston": Cost(0, 0, 0.2, 0.0005),
    "tsb": Cost(0, 0, 0.2, 0.0005),
}
FEWEST_KNOWN = {arima.NAME: arima.MIN_KNOWN, prophet_.NAME: prophet_.MIN_KNOWN, **local_models.MIN_KNOWN}
ALLOWANCE = 120_000.0
CHEAP_ALLOWANCE = 100_000.0
FEWEST_SERIES = 10


def chosen_series(
    panel: Panel, model: str, settings: SeriesModelSettings, fits: int, first_cutoff: int | None = None
) -> IndexArray:
    """The series that a model fits: the largest by known units of the last year, in the panel's order.

    Only series with enough known open periods for the model before the first cutoff: one that is too
    short is no failure of the model. Of these the least of ``max_series`` and allowance / cost of a
    series, but at least 10. Example: validated Prophet with 4 fits of 730 days costs 1,206.6 ms a series,
    so 99 series.

    Args:
        panel: n series over T periods.
        model: its name.
        settings: its settings.
        fits: folds, and one for the horizon.
        first_cutoff: known periods at the first of them; T where None.

    Returns:
        Indices, rising; none where every history is too short.
    """
    history = open_demand(panel)
    known = np.isfinite(history[:, : panel.history if first_cutoff is None else max(first_cutoff, 0)]).sum(axis=1)
    eligible = np.flatnonzero(known >= FEWEST_KNOWN[model])
    number = min(settings.max_series, affordable(model, settings, panel.history, fits))
    recent = np.nansum(history[eligible, -panel.frequency.periods_per_year :], axis=1)
    return np.sort(eligible[np.argsort(-recent, kind="stable")[:number]])


def affordable(model: str, settings: SeriesModelSettings, history: int, fits: int) -> int:
    """Series that the allowance of a model pays for, at least 10.

    Args:
        model: its name.
        settings: its settings; ``max_history`` limits the periods that a fit reads.
        history: T, known periods.
        fits: folds, and one for the horizon.
    """
    cost = _cost(model, settings).of_series(min(history, settings.max_history), fits)
    allowance = CHEAP_ALLOWANCE if model in CHEAP else ALLOWANCE
    return max(FEWEST_SERIES, int(allowance / cost))


def _cost(model: str, settings: SeriesModelSettings) -> Cost:
    if isinstance(settings, ArimaSettings):
        return ARIMA if settings.engine == "statsforecast" else PMDARIMA
    if isinstance(settings, ProphetSettings):
        return PROPHET_VALIDATED if settings.cross_validation else PROPHET
    return CHEAP[model]
