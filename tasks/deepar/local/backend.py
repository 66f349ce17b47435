"""The backend on this machine: finished jobs are found in the lake, the others are trained in parallel."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from schemas.columns import level_text
from schemas.deepar import (
    DeepArChannel,
    JobProgress,
    Report,
    TrainedModel,
    TrainingRequest,
    TuningRequest,
    TuningResult,
)
from schemas.errors import TrainingError
from schemas.records import BilledJob, FileRef
from schemas.settings import DeepArLocalSettings
from tasks.deepar.container.answers import CONFIGURATION_VARIABLE
from tasks.deepar.local.jobs import (
    DIGITS,
    Job,
    OnEpoch,
    Running,
    Trained,
    container_digest,
    job_name,
    output_key,
    run_training,
    slots,
)
from tasks.deepar.local.processes import ContainerProcesses
from tasks.storage.lake import Lake
from tasks.storage.temporary import named

_REPORT_SECONDS = 2.0
_POLL_SECONDS = 0.2
# Shared by all backends of this process, so that a hook in another thread can stop a job by its name.
_RUNNING = Running()
_SAME_JOB = threading.Lock()
_JOB_LOCKS: dict[str, threading.Lock] = {}


class LocalBackend:
    """DeepAR on this machine; see :class:`schemas.deepar.DeepArBackend`.

    Args:
        lake: the lake of channels and results.
        settings: the ``expert.models.deepar.local`` block.
        workers: number of parallel jobs if the settings do not state it.
        processes: how the container is started.
    """

    def __init__(
        self,
        lake: Lake,
        settings: DeepArLocalSettings,
        workers: int,
        processes: ContainerProcesses | None = None,
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._slots = slots(settings.parallel_jobs or workers)
        self._processes = processes or ContainerProcesses()

    @property
    def billed(self) -> list[BilledJob]:
        """Nothing: this machine is not charged."""
        return []

    def train(self, request: TrainingRequest, report: Report) -> TrainedModel:
        """Train a model, or find it finished in the lake.

        Raises:
            TrainingError: the job failed or was stopped; the message contains the container's reason.
            ConfigError: torch or GluonTS is missing, or the required GPU.
        """
        model, _ = self.train_watched(request, report, lambda *_: False)
        assert model is not None
        return model

    def name_of(self, request: TrainingRequest) -> str:
        """The name of the request's job."""
        return job_name(request, self._settings)

    def train_watched(
        self, request: TrainingRequest, report: Report, on_epoch: OnEpoch
    ) -> tuple[TrainedModel | None, list[float]]:
        """Train a model under a watch that may end it.

        Args:
            request: what to train.
            report: receives the progress every few seconds.
            on_epoch: receives every epoch in order; True ends the training. A job that is found finished is
                not shown to it.

        Returns:
            The model, None if the watch ended it, and the training loss of every epoch.

        Raises:
            TrainingError: the job failed or was stopped.
            ConfigError: torch or GluonTS is missing, or the required GPU.
        """
        name = job_name(request, self._settings)
        with _RUNNING.job(name) as job, _lock_of(name):
            found = self._finished(request.channel, name)
            if found is not None:
                report(JobProgress(job=name, state="finished", detail="found in the lake", share=1.0))
                return found
            self._processes.check(self._settings.device)
            report(JobProgress(job=name, state="starting", detail="queued (waiting for a slot)"))
            with _place(self._slots, job):
                trained = self._run(request, job, report, on_epoch)
            if trained is None:
                return None, []
            model = self._keep(request.channel, name, trained)
            report(JobProgress(job=name, state="finished", share=1.0))
            return model, trained.losses

    def tune(self, request: TuningRequest, report: Report) -> TuningResult:
        """Search hyperparameters; see :func:`tasks.deepar.local.tuning.tune`."""
        from tasks.deepar.local.tuning import tune

        return tune(self, self._lake, request, report, _RUNNING)

    def predict(
        self,
        model: TrainedModel,
        channel: DeepArChannel,
        quantiles: Sequence[float],
        num_samples: int,
        report: Report,
        paths: bool = False,
    ) -> FileRef:
        """Forecast the lines of a channel's inference file, on the CPU as SageMaker does.

        Raises:
            TrainingError: the inference failed, or answers are missing.
            ConfigError: torch or GluonTS is missing.
        """
        asked = {
            "num_samples": num_samples,
            "output_types": ["mean", "quantiles", *(["samples"] if paths else [])],
            "quantiles": [level_text(level) for level in quantiles],
        }
        parts = [model.archive.sha256, channel.inference.sha256, container_digest(), asked]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:DIGITS]
        key = f"{output_key(channel, model.job)}/predictions/{digest}.jsonl.gz"
        name = f"{model.job}-{digest}"
        with _RUNNING.job(name) as job, _lock_of(name):
            stored = self._stored(key, channel)
            if stored is not None:
                report(JobProgress(job=model.job, state="finished", detail="forecasts found in the lake", share=1.0))
                return stored
            self._processes.check()
            with _place(self._slots, job):
                report(JobProgress(job=model.job, state="running", detail=f"forecasts {channel.series:,} series"))
                data = self._transformed(model, channel, asked, job)
            _check_answers(data, channel, model.job)
            return self._lake.write_bytes(key, gzip.compress(data, mtime=0))

    def stop(self, job: str) -> None:
        """Stop a job that waits or runs in this process; any other is ignored."""
        _RUNNING.stop(job)

    def _run(self, request: TrainingRequest, job: Job, report: Report, on_epoch: OnEpoch) -> Trained | None:
        told = time.monotonic()
        report(JobProgress(job=job.name, state="running", detail="starts", share=0.0))

        def watch(epoch: int, of: int, loss: float) -> bool:
            nonlocal told
            if time.monotonic() - told >= _REPORT_SECONDS:
                told = time.monotonic()
                detail = f"epoch {epoch} of {of}, training loss {loss:.4g}"
                report(JobProgress(job=job.name, state="running", detail=detail, share=epoch / of))
            return on_epoch(epoch, of, loss)

        try:
            return run_training(self._lake, request, self._settings, self._processes, job, watch)
        except TrainingError as error:
            state = "stopped" if job.stopping.is_set() else "failed"
            report(JobProgress(job=job.name, state=state, detail=str(error)))
            raise

    def _keep(self, channel: DeepArChannel, name: str, trained: Trained) -> TrainedModel:
        folder = output_key(channel, name)
        archive = self._lake.write_bytes(f"{folder}/output/model.tar.gz", trained.archive)
        model = TrainedModel(job=name, archive=archive, metrics=trained.metrics, seconds=trained.seconds)
        record = {"model": model.model_dump(mode="json"), "losses": trained.losses}
        # Written last: a process that finds it also finds the model.
        self._lake.write_bytes(f"{folder}/metrics.json", json.dumps(record, indent=1).encode())
        return model

    def _finished(self, channel: DeepArChannel, name: str) -> tuple[TrainedModel, list[float]] | None:
        key = f"{output_key(channel, name)}/metrics.json"
        if not self._lake.exists(key):
            return None
        try:
            record = json.loads(self._lake.read_bytes(key))
            model = TrainedModel.model_validate(record["model"])
            losses = [float(loss) for loss in record["losses"]]
        except (ValueError, KeyError, TypeError):
            return None
        return (model.model_copy(update={"reused": True}), losses) if self._lake.holds(model.archive) else None

    def _transformed(self, model: TrainedModel, channel: DeepArChannel, asked: dict[str, object], job: Job) -> bytes:
        with TemporaryDirectory(prefix=named("deepar")) as folder:
            target = Path(folder) / "answers.jsonl"
            arguments = ["transform", "--model", str(self._lake.local_copy(model.archive.key))]
            arguments += ["--input", str(self._lake.local_copy(channel.inference.key)), "--output", str(target)]
            log = Path(folder) / "log"
            process = self._processes.start(arguments, log, {CONFIGURATION_VARIABLE: json.dumps(asked)})
            try:
                while process.wait(_POLL_SECONDS) is None and not job.stopping.is_set():
                    pass
            finally:
                process.end()
            if job.stopping.is_set():
                raise TrainingError(f"The forecasts of DeepAR job {model.job} were stopped. Run again.")
            if process.poll() != 0:
                raise TrainingError(f"The forecasts of DeepAR job {model.job} failed: {process.how_it_ended()}.")
            return target.read_bytes()

    def _stored(self, key: str, channel: DeepArChannel) -> FileRef | None:
        """Forecasts of an earlier run; damaged or truncated ones do not count."""
        if not self._lake.exists(key):
            return None
        data = self._lake.read_bytes(key)
        try:
            whole = _answers(gzip.decompress(data)) == channel.series
        except (OSError, EOFError, ValueError):
            whole = False
        return FileRef(key=key, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()) if whole else None


def _answers(data: bytes) -> int:
    return data.count(b"\n")


def _check_answers(data: bytes, channel: DeepArChannel, job: str) -> None:
    if _answers(data) != channel.series:
        raise TrainingError(
            f"DeepAR job {job} answered {_answers(data)} of {channel.series} series of {channel.inference.key}."
        )


def _lock_of(name: str) -> threading.Lock:
    """One thread at a time works on a job; the next one finds it finished."""
    with _SAME_JOB:
        return _JOB_LOCKS.setdefault(name, threading.Lock())


@contextmanager
def _place(places: threading.BoundedSemaphore, job: Job) -> Iterator[None]:
    """A free slot for a job; the wait ends if the job is stopped."""
    while not places.acquire(timeout=_POLL_SECONDS):
        if job.stopping.is_set():
            raise TrainingError(f"DeepAR job {job.name} was stopped before it began.")
    try:
        yield
    finally:
        places.release()
