"""DeepAR as a forecaster: a panel becomes a data channel, a backend trains and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.deepar import DEEPAR, DeepArBackend, DeepArChannel, Report, TrainedModel, TrainingRequest
from schemas.facts import FailureKind, ModelFacts, Scope, SeriesFailure
from schemas.panel import Forecast, Panel
from schemas.settings import DeepArConfiguration
from schemas.settings.slices import DeepArTraining
from tasks.deepar.dataset import (
    FEWEST_OBSERVATIONS,
    Target,
    read_answers,
    read_paths,
    served_series,
    write_channel,
)
from tasks.deepar.encoding import Encoding
from tasks.deepar.profiles import hyperparameters
from tasks.forecasting.baselines import NO_HISTORY, SeasonalNaive
from tasks.forecasting.quantiles import tidy
from tasks.storage.lake import Lake

# Sample paths of more numbers (series x periods x paths) are not stored: their text would take a gigabyte.
MOST_PATH_NUMBERS = 50_000_000


class DeepArForecaster:
    """One DeepAR configuration as a forecaster.

    Args:
        settings: the ``models.deepar`` block.
        configuration: which data and likelihood.
        lake: where the data channel and the model go.
        backend: where it trains and answers.
        report: receives every step of a job.
        tested: the panel whose history holds the horizon's actuals, if given: the container then also computes its
            metrics on them.

    Attributes:
        trained: the job of the last fit; None before one, or if too little was known.
    """

    facts = ModelFacts(
        name=DEEPAR,
        label="DeepAR",
        description="Recurrent network over all series, trained on this machine or on Amazon SageMaker",
        scope=Scope.GLOBAL,
        uses_covariates=True,
        starts_first=True,
        own_stages=True,
        packages=("gluonts", "torch"),
    )
    name = facts.name

    def __init__(
        self,
        settings: DeepArTraining,
        configuration: DeepArConfiguration,
        lake: Lake,
        backend: DeepArBackend,
        report: Report,
        tested: Panel | None = None,
    ) -> None:
        self._settings = settings
        self._configuration = configuration
        self._lake = lake
        self._backend = backend
        self._report = report
        self._tested = tested
        self.trained: TrainedModel | None = None

    def fit(self, panel: Panel, seed: int) -> FittedDeepAr:
        """Write the channel and train; nothing is trained if the history is too short for DeepAR.

        Raises:
            TrainingError: the job failed.
            ConfigError: the settings are invalid.
        """
        failure = _too_little(Target.of(panel, self._configuration), panel.horizon)
        if failure is not None:
            return FittedDeepAr(self, panel, seed, failure=failure)
        encoding = self._encoding(panel)
        request = self._request(panel, encoding, seed)
        self.trained = self._backend.train(request, self._report)
        return FittedDeepAr(self, panel, seed, encoding, request.channel, self.trained)

    def request(self, panel: Panel, seed: int) -> TrainingRequest:
        """Write the channel of a panel and return the training request for it."""
        return self._request(panel, self._encoding(panel), seed)

    def _encoding(self, panel: Panel) -> Encoding:
        # The same for every configuration, so that one request serves all variants of an endpoint.
        return Encoding.of(panel, np.flatnonzero(np.isfinite(panel.demand).any(axis=1)), self._settings)

    def _request(self, panel: Panel, encoding: Encoding, seed: int) -> TrainingRequest:
        channel = self._channel(panel, encoding, seed, self._tested)
        asked = hyperparameters(self._settings, self._configuration, panel.frequency, panel.horizon, channel.series)
        # Named by the likelihood alone: where cleaning changed nothing, both data variants share one job.
        purpose = self._configuration.likelihood.lower()
        return TrainingRequest(purpose=purpose, channel=channel, hyperparameters=asked, seed=seed)

    def predict(
        self, fitted: FittedDeepAr, panel: Panel, levels: Sequence[float], with_paths: bool = False
    ) -> Forecast:
        """Forecast a panel's horizon; seasonal naive if DeepAR cannot serve a series.

        Args:
            fitted: what was trained.
            panel: whose horizon is forecast.
            levels: quantile levels.
            with_paths: sample paths too, if all of them together are at most ``MOST_PATH_NUMBERS`` numbers.
        """
        served = np.zeros(panel.n, dtype=bool)
        shape = (panel.n, panel.horizon)
        mean, quantiles = np.full(shape, np.nan), np.full((*shape, len(levels)), np.nan)
        samples, paths = self._settings.num_samples, None
        if fitted.encoding is not None and fitted.model is not None:
            served = served_series(panel, self._configuration, fitted.encoding)
            channel = fitted.channel if panel is fitted.panel else None
            channel = channel or self._channel(panel, fitted.encoding, fitted.seed, None)
            carried = with_paths and int(served.sum()) * panel.horizon * samples <= MOST_PATH_NUMBERS
            answers = self._backend.predict(fitted.model, channel, levels, samples, self._report, carried)
            data = self._lake.read_bytes(answers.key)
            count = int(served.sum())
            mean[served], quantiles[served] = read_answers(
                data, self._lake.uri(answers.key), count, panel.horizon, levels
            )
            found = read_paths(data, panel.horizon) if carried else None
            if found is not None:
                paths = np.full((*shape, found.shape[2]), np.nan, dtype=np.float32)
                paths[served] = found
        failed = {int(index): fitted.failure or NO_HISTORY for index in np.flatnonzero(~served)}
        if failed:
            rest = panel.take(np.flatnonzero(~served))
            naive = SeasonalNaive("fixed").fit(rest, 0).predict(rest, levels)
            mean[~served], quantiles[~served] = naive.mean, naive.quantiles
        tidied = tidy(mean, quantiles, panel.closed[:, panel.history : panel.history + panel.horizon])
        return Forecast(*tidied, failed=failed, notes=fitted.notes, paths=paths)

    def _channel(self, panel: Panel, encoding: Encoding, seed: int, tested: Panel | None) -> DeepArChannel:
        return write_channel(self._lake, panel, tested, self._settings, self._configuration, encoding, seed)


@dataclass(frozen=True)
class FittedDeepAr:
    """A trained DeepAR, or the reason why it was not trained.

    Attributes:
        owner: the forecaster that trained it.
        panel: what it was fitted on.
        seed: seed of the fit.
        encoding: categories and scales of the training.
        channel: what it was trained on.
        model: the finished job.
        failure: why nothing was trained; None if something was.
    """

    owner: DeepArForecaster
    panel: Panel
    seed: int
    encoding: Encoding | None = None
    channel: DeepArChannel | None = None
    model: TrainedModel | None = None
    failure: SeriesFailure | None = None

    @property
    def reason(self) -> str:
        """The reason why nothing was trained; empty if something was."""
        return self.failure.reason if self.failure else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """On the training, for the run's tables."""
        if self.model is None or self.channel is None:
            return (f"{DEEPAR}: not trained: {self.reason}",)
        return (f"{DEEPAR}: {self.channel.configuration}", *self.model.notes)

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast the panel's horizon."""
        return self.owner.predict(self, panel, quantiles)

    def predict_with_paths(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """The same, with the model's own sample paths."""
        return self.owner.predict(self, panel, quantiles, with_paths=True)


def _too_little(target: Target, horizon: int) -> SeriesFailure | None:
    """The reason why DeepAR cannot be trained at all; None if it can."""
    observations = int(target.observations.sum())
    longest = target.values.shape[1] - int(target.first.min())
    if observations < FEWEST_OBSERVATIONS:
        reason = f"{observations} known values in all series, {FEWEST_OBSERVATIONS} needed"
    elif longest < horizon:
        reason = f"{longest} periods in the longest series, {horizon} needed"
    else:
        return None
    return SeriesFailure(FailureKind.INSUFFICIENT_HISTORY, reason)
