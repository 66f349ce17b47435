"""Definitions of both DeepAR backends: the data channel, jobs, trained models, and the interface of a backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from schemas.facts import FailureKind
from schemas.records import BilledJob, FileRef, Record, Summary, TableRef
from schemas.settings import DeepArConfiguration

JobState = Literal["starting", "running", "finished", "failed", "stopped"]

# Name of the model in settings and tables.
DEEPAR = "deepar"


class DeepArChannel(Record):
    """One configuration's data in the lake, as DeepAR reads it: JSON Lines, gzip-packed.

    Layout below ``prefix`` = ``deepar/forecasting-<monthly|weekly|daily>-<series>-v<digest>``:
    ``data/<configuration>/train/train.json.gz`` (every series without its last ``prediction_length`` periods if
    there is a test channel), ``data/<configuration>/test/test.json.gz`` (whole series), ``.../inference/input.json.gz``
    (whole series and the horizon's dynamic features, one line per series) and ``.../inference/keys.csv`` (store_id,
    category of those lines, in order). Job outputs go below ``output/``.

    Attributes:
        prefix: lake key of the experiment.
        configuration: label of the configuration.
        train: the train channel's only file; the only file of its folder.
        test: the test channel's only file; None if the model is trained on everything known.
        inference: one line per series.
        key_file: which series each line of ``inference`` is.
        encoding: JSON that describes how categories and dynamic features are coded, for requests to an endpoint.
        time_freq: DeepAR's name of the frequency: ``M``, ``W`` or ``D``.
        prediction_length: H.
        series: lines of the inference file.
        observations: known values in the train channel.
        cardinality: number of values of each categorical feature.
        dynamic_features: number of dynamic features per line.
    """

    prefix: str
    configuration: str
    train: FileRef
    test: FileRef | None
    inference: FileRef
    key_file: FileRef
    encoding: FileRef | None = None
    time_freq: Literal["M", "W", "D"]
    prediction_length: int
    series: int
    observations: int
    cardinality: tuple[int, ...] = ()
    dynamic_features: int = 0


class TrainingRequest(Record):
    """A training job to run.

    Attributes:
        purpose: short text for the job's name, such as ``student-t`` (lowercase, digits, dashes).
        channel: its data.
        hyperparameters: SageMaker's names and values, all text, as its container expects them.
        seed: seed of the run; DeepAR on SageMaker has no seed parameter.
    """

    purpose: str
    channel: DeepArChannel
    hyperparameters: dict[str, str]
    seed: int


class TrainedModel(Record):
    """A finished training job and its model.

    Attributes:
        job: its name.
        archive: ``model.tar.gz`` in the lake, at ``<prefix>/output/<job>/output/model.tar.gz``.
        metrics: the container's own, such as ``train:final_loss``, ``test:RMSE``, ``test:mean_wQuantileLoss``.
        seconds: seconds of training, as the backend reports them.
        billable_seconds: what SageMaker charges; 0 locally.
        reused: the job already existed, finished or running, before this request.
    """

    job: str
    archive: FileRef
    metrics: dict[str, float] = {}
    seconds: float = 0.0
    billable_seconds: float = 0.0
    reused: bool = False
    notes: list[str] = []


class TuningRequest(Record):
    """A tuning job to run: a training request whose ``hyperparameters`` do not contain the tuned ones.

    Attributes:
        training: data, purpose and the static hyperparameters; its channel has a test part.
        configurations: trainings in all.
        parallel: number of parallel trainings.
        objective: metric of the container to minimize.
        ranges: hyperparameter to (min, max, scale ``linear`` or ``log``, whole numbers only).
        max_runtime_seconds: SageMaker ends the search after this time.
        stop_without_progress: SageMaker ends it after this many trainings without an improvement; None = never.
        stop_at_convergence: SageMaker ends it when it has converged.
        warm_start: it learns from the last completed search.
    """

    training: TrainingRequest
    configurations: int
    parallel: int
    objective: str
    ranges: dict[str, tuple[float, float, Literal["linear", "log"], bool]]
    max_runtime_seconds: int = 36_000
    stop_without_progress: int | None = None
    stop_at_convergence: bool = False
    warm_start: bool = False


class TuningTrial(Record):
    """One training of a tuning job; ``value`` is None if it did not finish."""

    job: str
    hyperparameters: dict[str, str]
    state: Literal["finished", "pruned", "failed", "stopped"]
    value: float | None = None
    seconds: float = 0.0
    reason: str = ""


class TuningResult(Record):
    """A finished tuning job: its trials in the order of their start, and the best one's job name."""

    job: str
    objective: str
    trials: list[TuningTrial]
    best: str
    seconds: float = 0.0


class JobProgress(Record):
    """Progress of a job, for the Prefect UI.

    Attributes:
        job: its name.
        state: the coarse state.
        detail: plain words, such as SageMaker's secondary status and message.
        share: fraction done, 0 to 1, if it is known.
    """

    job: str
    state: JobState
    detail: str = ""
    share: float | None = None


class DeepArTrial(Record):
    """The periods on which the configurations of a run are compared.

    Attributes:
        history: periods that may be known at all: those before ``as_of``, or before the first fold.
        known: periods that the configurations are trained on; the ``history - known`` periods after them are the test.
        note: why the test is shorter than a horizon; empty if it has a whole horizon.
        held: why no job may start, such as a limit on paid jobs; empty if jobs may start.
    """

    history: int
    known: int
    note: str = ""
    held: str = ""

    @property
    def window(self) -> int:
        """Periods of the test; 0 = the history is too short for one."""
        return self.history - self.known


class ConfigurationRecord(Record):
    """One configuration, trained, with its forecast of the trial's test periods.

    Attributes:
        configuration: which data and likelihood.
        model: the finished job; None if the history was too short for a training.
        forecast: cutoff, store_id, category, date, model (the configuration's label), mean, one column per quantile.
        failed: why the configuration could not be trained; the others compete without it.
        kind: the kind of that failure.
    """

    configuration: DeepArConfiguration
    model: TrainedModel | None = None
    forecast: TableRef | None = None
    failed: str = ""
    billed: list[BilledJob] = []
    kind: FailureKind = FailureKind.ERROR
    seconds: float = 0.0


class DeepArChoice(Record):
    """The selected configuration, and the table that shows why.

    Attributes:
        configuration: the selected one; of a challenger, its own.
        why: why it was selected.
        challenger: whether it is served next to the selected one, to compare both.
        summary: the table of all configurations.
        failed: why none could be trained.
        billed: jobs that the comparison has paid for.
        seconds: duration.
    """

    configuration: DeepArConfiguration
    why: str
    challenger: bool = False
    summary: Summary = {}
    failed: str = ""
    billed: list[BilledJob] = []
    seconds: float = 0.0


class DeepArModelRecord(Record):
    """The selected configuration or a challenger, trained on everything known before ``as_of``."""

    choice: DeepArChoice
    model: TrainedModel
    channel: DeepArChannel
    seconds: float = 0.0


class EndpointRecord(Record):
    """Models in service for requests in real time.

    Attributes:
        name: name of the endpoint.
        variants: variant to the training job of its model, the best first; empty = the endpoint is deleted.
        weights: variant to its share of the requests that name no variant.
        encoding: lake key of the JSON that describes how a request is coded; the same for every variant.
        deleted: endpoints that were deleted.
        left: endpoints of Restock in the account and region that remain after a deletion.
    """

    name: str
    variants: dict[str, str] = {}
    weights: dict[str, float] = {}
    encoding: str = ""
    deleted: list[str] = []
    left: list[dict[str, str]] = []


class TuningRecord(Record):
    """A finished tuning of the best configuration.

    Attributes:
        hyperparameters: the best trial's tuned values.
        settings: the lines to put into the settings file.
    """

    choice: DeepArChoice
    result: TuningResult
    hyperparameters: dict[str, str]
    settings: str
    seconds: float = 0.0


Report = Callable[[JobProgress], None]


class DeepArBackend(Protocol):
    """The place where DeepAR is trained and forecasts: this machine, or Amazon SageMaker.

    Every call blocks until the work is done and is idempotent: the same request finds its finished or running job
    and starts no second one. A call may be made from several threads at once; the backend limits the number of parallel
    jobs.
    """

    @property
    def billed(self) -> list[BilledJob]:
        """The paid jobs that this backend has completed or found; empty locally."""
        ...

    def train(self, request: TrainingRequest, report: Report) -> TrainedModel:
        """Train a model.

        Raises:
            TrainingError: the job failed; the message contains the container's reason.
            ConfigError: the settings are invalid, such as a missing role or a hyperparameter without equivalent.
        """
        ...

    def tune(self, request: TuningRequest, report: Report) -> TuningResult:
        """Search hyperparameters.

        Raises:
            TrainingError: no training of it finished.
        """
        ...

    def predict(
        self,
        model: TrainedModel,
        channel: DeepArChannel,
        quantiles: Sequence[float],
        num_samples: int,
        report: Report,
        paths: bool = False,
    ) -> FileRef:
        """Forecast the lines of a channel's inference file.

        Args:
            model: a finished training.
            channel: its inference file.
            quantiles: quantile levels.
            num_samples: sample paths that they are computed from.
            report: receives the progress.
            paths: return the sample paths as well, if the kind of request supports it.

        Returns:
            JSON Lines in the lake, one per input line in its order: ``{"mean": [...], "quantiles": {"0.1": [...]}}``,
            with paths also ``"samples": [[...], ...]``.

        Raises:
            TrainingError: the inference failed, or answers are missing.
        """
        ...

    def stop(self, job: str) -> None:
        """Stop a running job; do nothing if the job is finished or unknown."""
        ...
