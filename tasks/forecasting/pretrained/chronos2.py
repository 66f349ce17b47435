"""Chronos-2, a pretrained network, one series at a time (Ansari and others 2025, arXiv:2510.15821)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from schemas.facts import Cost, ModelContext, ModelFacts, Scope
from schemas.panel import Forecast, Panel
from schemas.protocols import Forecaster
from schemas.settings import Chronos2Settings
from tasks.forecasting.baselines import open_demand
from tasks.forecasting.pretrained.process import Network, NetworkProcess
from tasks.forecasting.pretrained.weights import WEIGHTS, checksums
from tasks.forecasting.pretrained.worker import NetworkInput
from tasks.forecasting.quantiles import at_levels, mean_of_quantiles
from tasks.forecasting.statistical.per_series import Curve, FittedLocal, SeriesModel
from tasks.forecasting.statistical.regressors import regressor_columns
from tasks.forecasting.statistical.series import SeriesTask, series_tasks

# Size of chronos-2-small, with which the cost was measured; it grows with the size.
MEASURED_BYTES = 113_000_000
# Twenty minutes of one core per run.
ALLOWANCE = 1_200_000.0


def cost(settings: Chronos2Settings) -> Cost:
    """Core-milliseconds of a series: 66 with 512 periods and no covariate, 116 with two (chronos-2-small)."""
    file = Path(settings.weights or "") / WEIGHTS
    size = max(1.0, file.stat().st_size / MEASURED_BYTES) if file.is_file() else 1.0
    covariates = settings.max_covariates
    return Cost(0, 0, size * (35 + 10 * covariates), size * (0.08 + 0.03 * covariates))


class Chronos2(SeriesModel[None]):
    """The network on one series, with the known future covariates that explain it best.

    A covariate is used if it lowers the BIC of a regression of the series (:func:`regressor_columns`). Every covariate
    is one more row that the network computes. Unknown and closed periods are unknown to the network too. The mean is
    that of the distribution that the network's quantiles describe.
    """

    facts = ModelFacts(
        name="chronos2",
        label="Chronos-2",
        description="Pretrained network with weights from a folder, one series at a time",
        scope=Scope.SERIES,
        uses_covariates=True,
        models_trend=True,
        min_known=8,
        packages=("chronos-forecasting", "peft", "torch", "transformers"),
        cost=cost,
        allowance=ALLOWANCE,
        files=lambda settings: checksums(settings.weights or ""),
        together=lambda settings: settings.fine_tune_steps > 0,
    )

    def __init__(self, settings: Chronos2Settings, network: Network) -> None:
        super().__init__(settings.max_history)
        self._limit = settings.max_covariates
        self._network = network

    @classmethod
    def from_settings(cls, settings: Chronos2Settings, context: ModelContext) -> Forecaster:  # noqa: ARG003
        """The network in a process of one thread."""
        return Chronos2Forecaster(settings)

    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: None) -> Curve:  # noqa: ARG002
        """Quantiles of the network, and their mean."""
        found = self._network.forecast(self.input(task), task.lead, self.max_history)
        known = np.sort(np.maximum(found.astype(np.float64), 0.0), axis=1)
        return mean_of_quantiles(known, self._network.levels), at_levels(known, self._network.levels, levels)

    def input(self, task: SeriesTask) -> NetworkInput:
        """Values and the most useful known future covariates of a series."""
        names = regressor_columns(task, self._limit)[1] if self._limit else ()
        rows = task.features[[task.names.index(name) for name in names]]
        return NetworkInput(task.values.astype(np.float32), np.ascontiguousarray(rows, dtype=np.float32))


class Chronos2Forecaster:
    """Chronos-2 for the series of a panel.

    Args:
        settings: the model's block.
        start: makes a network from a folder; its process by default.
    """

    name = Chronos2.facts.name

    def __init__(self, settings: Chronos2Settings, start: Callable[[str], Network] = NetworkProcess) -> None:
        self._settings = settings
        self._start = start

    def fit(self, panel: Panel, seed: int) -> FittedChronos2:
        """Load the weights and, if the settings ask for it, fine-tune them on the panel's history."""
        network = self._start(self._settings.weights or "")
        model = Chronos2(self._settings, network)
        notes = self._tune(model, network, panel, seed) if self._settings.fine_tune_steps else ()
        return FittedChronos2(FittedLocal(model, {}, {}, seed, 1), network, notes)

    def _tune(self, model: Chronos2, network: Network, panel: Panel, seed: int) -> tuple[str, ...]:
        steps, horizon = self._settings.fine_tune_steps, panel.horizon
        served = np.flatnonzero(np.isfinite(open_demand(panel)).sum(axis=1) >= model.facts.min_known)
        tasks = series_tasks(panel, served, model.max_history, True, seed) if len(served) else []
        inputs = [model.input(task) for task in tasks if len(task.values) >= 2 * horizon]
        if not inputs:
            return (f"{self.name}: not fine-tuned: no history has two horizons ({2 * horizon} periods)",)
        network.tune([_history(one) for one in inputs], horizon, steps, model.max_history, seed)
        before = panel.horizon_periods[0].date()
        return (f"{self.name}: fine-tuned by {steps} steps on {len(inputs)} series before {before}",)


@dataclass(frozen=True)
class FittedChronos2:
    """The loaded network. Later folds use it as it is: fine-tuned once, on the history before the first fold."""

    local: FittedLocal[None]
    network: Network
    notes: tuple[str, ...]

    def refit(self, panel: Panel, seed: int) -> FittedChronos2:  # noqa: ARG002
        """The same network."""
        return self

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast every series of the panel; seasonal naive if the network cannot serve one.

        Raises:
            TrainingError: the network's process has ended.
        """
        found = self.local.predict(panel, quantiles)
        self.network.check()
        return replace(found, notes=self.notes)


def _history(one: NetworkInput) -> NetworkInput:
    """Without what lies after the history."""
    return replace(one, covariates=one.covariates[:, : len(one.values)])
