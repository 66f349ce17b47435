"""The interfaces of forecasters and of inventory policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import pandas as pd

from schemas.facts import PolicyFacts
from schemas.panel import Forecast, Panel
from schemas.plan import Plan, PlanProblem

# Receives the progress of a search, one line at a time.
ReportProgress = Callable[[str], None]


@runtime_checkable
class Forecaster(Protocol):
    """A model that learns from a panel's history and forecasts its horizon.

    After the panel's history, ``fit`` may read only known future covariates. ``predict``
    forecasts the horizon of any panel with the same series. Both are deterministic for a seed.
    """

    name: str

    def fit(self, panel: Panel, seed: int) -> FittedForecaster:
        """Learn from the history of a panel."""
        ...


@runtime_checkable
class FittedForecaster(Protocol):
    """A fitted model."""

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the H periods after the panel's history."""
        ...


@runtime_checkable
class RefittableForecaster(FittedForecaster, Protocol):
    """A fitted model that reuses what it found when it is fitted to a later panel of the same series."""

    def refit(self, panel: Panel, seed: int) -> FittedForecaster:
        """Learn from the history of a panel; structures (such as ARIMA orders) found before are kept."""
        ...


@runtime_checkable
class SamplingForecaster(FittedForecaster, Protocol):
    """A fitted model with its own sample paths."""

    def predict_with_paths(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """The forecast of :meth:`predict`, with ``paths`` unless they are too large."""
        ...


@runtime_checkable
class ExplainedForecaster(FittedForecaster, Protocol):
    """A fitted model that can split its forecasts into parts."""

    def parts(self, panel: Panel) -> Iterator[pd.DataFrame]:
        """Yield the parts of every median of the horizon, in units: store_id, category, date, part, units.

        All parts of a series are in one frame.
        The parts of a row of the horizon add up to its median before closed periods are set to 0.
        """
        ...


@runtime_checkable
class Policy(Protocol):
    """A way to decide deliveries and order-up-to levels.

    Attributes:
        facts: what the rest of the system must know about it; the registry reads them.
    """

    facts: ClassVar[PolicyFacts]

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide deliveries and levels; deterministic for the problem's seed."""
        ...
