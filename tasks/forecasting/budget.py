"""How many series a model of single series fits: a count that follows from the data's size."""

from __future__ import annotations

import numpy as np

from schemas.panel import IndexArray, Panel

# Periods of history that all fits of one model read together. At the costs per period measured on one
# core (about 0.35 ms for AutoARIMA with its order search, 0.9 ms for Prophet, 0.05 ms for the cheap
# models) each model ends within some three minutes on two cores.
WORK = {"arima": 600_000, "prophet": 250_000}
WORK_OF_A_CHEAP_MODEL = 4_000_000
FEWEST_SERIES = 10


def chosen_series(panel: Panel, model: str, max_series: int, max_history: int, fits: int) -> IndexArray:
    """The series that a model fits: the largest by known units, in the panel's order.

    Their number is the least of ``max_series``, the panel's and work / (periods read x fits), but at
    least 10. Example: Prophet on 1,115 series x 730 days with 4 fits serves 250,000 / 2,920 = 85.

    Args:
        panel: n series over T periods.
        model: its name.
        max_series: the settings' limit.
        max_history: periods that one fit reads at most.
        fits: folds, and one for the horizon.

    Returns:
        Indices, rising.
    """
    read = max(1, min(panel.history, max_history)) * fits
    affordable = max(FEWEST_SERIES, WORK.get(model, WORK_OF_A_CHEAP_MODEL) // read)
    number = min(max_series, panel.n, affordable)
    units = np.nansum(panel.demand, axis=1)
    largest = np.argsort(-units, kind="stable")[:number]
    return np.sort(largest)
