"""The number of series that a model of single series fits, derived from the size of the data.

A model may cost a fixed number of core-seconds per run (``ModelFacts.allowance``: 120 for ARIMA and Prophet, 100 for
the cheap ones, about one minute each on two cores). The cost of a series is a constant of the model
(``ModelFacts.cost``), never read from a clock: core-milliseconds measured on one core of a small x86 server on six
retail data sets, rounded up.

A model with a ``least_share`` (Prophet, 0.9) is not fitted at all if its allowance pays for less than this fraction of
the series that it would fit: the series with enough history, but at most ``max_series``. A model on fewer than 90 % of
the series cannot be the global winner (``SelectionRule.network_share``). On 599 groceries Prophet, cut by its
allowance, was the champion of no series.
"""

from __future__ import annotations

import numpy as np

from schemas.facts import ModelFacts
from schemas.panel import IndexArray, Panel
from tasks.forecasting.baselines import open_demand_in_blocks
from tasks.forecasting.statistical.per_series import SeriesSettings

FEWEST_SERIES = 10
# Long enough that reading the panel and storing forecasts do not count, short enough for several workers.
SHARD_MILLISECONDS = 40_000.0


def chosen_series(
    panel: Panel, model: ModelFacts, settings: SeriesSettings, fits: int, first_cutoff: int | None = None
) -> IndexArray:
    """The series that a model fits: the largest by known units of the last year, in the panel's order.

    A series must have enough known open periods before the first cutoff. A shorter series does not count as a failure
    of the model. The number of series is the smaller of ``max_series`` and allowance / cost of a series, but at least
    10. Example: validated Prophet with 4 fits of 730 days costs 1,206.6 ms a series, so 99 series. It fits 99
    of 110 series, and no series of 111 or more, unless ``max_series`` is smaller (``least_share`` of the facts).

    Args:
        panel: n series over T periods.
        model: its facts.
        settings: its settings.
        fits: folds, and one for the horizon.
        first_cutoff: known periods at the first of them; T if None.

    Returns:
        Indices, rising; none if every history is too short, or if the allowance pays for too few.
    """
    cutoff = panel.history if first_cutoff is None else max(first_cutoff, 0)
    known, recent = np.zeros(panel.n, dtype=np.int64), np.zeros(panel.n)
    for series, history in open_demand_in_blocks(panel):
        known[series] = np.isfinite(history[:, :cutoff]).sum(axis=1)
        recent[series] = np.nansum(history[:, -panel.frequency.periods_per_year :], axis=1)
    eligible = np.flatnonzero(known >= model.min_known)
    wanted = min(settings.max_series, len(eligible))
    number = min(wanted, affordable(model, settings, panel.history, fits))
    if number < model.least_share * wanted:
        return np.zeros(0, dtype=np.int64)
    return np.sort(eligible[np.argsort(-recent[eligible], kind="stable")[:number]])


def affordable(model: ModelFacts, settings: SeriesSettings, history: int, fits: int) -> int:
    """Series that the allowance of a model pays for, at least 10.

    Args:
        model: its facts.
        settings: its settings; ``max_history`` limits the periods that a fit reads.
        history: T, known periods.
        fits: folds, and one for the horizon.

    Raises:
        ValueError: the model states no cost per series.
    """
    return max(FEWEST_SERIES, int(model.allowance / _cost(model, settings, history, fits)))


def series_per_shard(model: ModelFacts, settings: SeriesSettings, history: int, fits: int) -> int:
    """Series of a model that take about :data:`SHARD_MILLISECONDS` on one core, at least 1; see :func:`affordable`."""
    return max(1, int(SHARD_MILLISECONDS / _cost(model, settings, history, fits)))


def _cost(model: ModelFacts, settings: SeriesSettings, history: int, fits: int) -> float:
    if model.cost is None:
        raise ValueError(f"{model.name} states no cost per series")
    return float(model.cost(settings).of_series(min(history, settings.max_history), fits))
