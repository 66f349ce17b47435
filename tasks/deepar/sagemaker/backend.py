"""The SageMaker backend: trains and tunes DeepAR and requests forecasts."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

from schemas.deepar import (
    DeepArChannel,
    JobProgress,
    Report,
    TrainedModel,
    TrainingRequest,
    TuningRequest,
    TuningResult,
)
from schemas.errors import ConfigError, PipelineError, TrainingError
from schemas.records import BilledJob, FileRef
from schemas.settings import DeepArInstance, DeepArSageMakerSettings
from tasks.deepar.sagemaker.answers import check_answers
from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.budget import ledger_of
from tasks.deepar.sagemaker.endpoint import SageMakerEndpoint
from tasks.deepar.sagemaker.endpoint_parts import PERMANENT, TEMPORARY
from tasks.deepar.sagemaker.holdings import Holding, holdings
from tasks.deepar.sagemaker.invocation import Invocation
from tasks.deepar.sagemaker.jobs import TrainingJobs, TransformJobs, TuningJobs
from tasks.deepar.sagemaker.models import Models
from tasks.deepar.sagemaker.names import (
    LONGEST_TUNING_NAME,
    WorkName,
    digest,
    slug,
    work_name,
)
from tasks.deepar.sagemaker.requests import (
    Asked,
    Requests,
    output_folder,
    predictions_folder,
)
from tasks.deepar.sagemaker.running import close_endpoints_of, end_noted, stop_job
from tasks.deepar.sagemaker.slots import shared_slots
from tasks.deepar.sagemaker.trials import previous_search, reasons_of, trials_of, tuning_result
from tasks.deepar.sagemaker.under_way import NO_RUN, RunningJob, RunningJobs
from tasks.deepar.sagemaker.work import Outcome, Pause, Work, Worker
from tasks.storage.aws import AwsSession
from tasks.storage.lake import S3_SCHEME, Lake, sha256_of

_TURNS: dict[str, threading.Lock] = {}


class SageMakerBackend:
    """The :class:`schemas.deepar.DeepArBackend` on SageMaker; see there for what every call does.

    The name of a job follows from what it does, so a run that was killed and started again finds its finished and
    running jobs. Several threads may call it.

    Args:
        lake: in a bucket that the jobs can read and write.
        settings: the ``models.deepar.sagemaker`` block.
        name: name of the settings; starts the names of the jobs.
        session: a ``boto3.Session`` with its credentials; the environment's if absent.
        run_id: key under which running jobs are recorded, so that another process can stop them.
        pause: waits for a number of seconds.
    """

    def __init__(
        self,
        lake: Lake,
        settings: DeepArSageMakerSettings,
        name: str,
        session: Any = None,
        run_id: str = NO_RUN,
        pause: Pause = time.sleep,
    ) -> None:
        """Open; nothing is started.

        Raises:
            ConfigError: the storage is not a bucket, the role or the region is missing, or the role belongs to another
                account.
        """
        _check(lake, settings)
        self._lake = lake
        self._settings = settings
        self._name = name
        self._api = SageMakerApi(AwsSession(settings.region, session))
        self._api.check_account(settings.role or "")
        self._requests = Requests(lake, settings, self._api.image(settings), run_id or NO_RUN, name)
        self._models = Models(self._api, self._requests, name)
        self._slots = shared_slots(f"{self._api.region} {lake.root}", settings.max_parallel_jobs)
        self._running = RunningJobs(lake, run_id)
        self._pause = pause
        self._worker = Worker(settings, self._running, self._api.region, self._slots, pause)

    def __enter__(self) -> Self:
        """Use within a ``with``, which closes at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close at the end of the ``with``."""
        self.close()

    @property
    def billed(self) -> list[BilledJob]:
        """The paid jobs that this backend has completed or found, by name."""
        return [self._worker.billed[name] for name in sorted(self._worker.billed)]

    def train(self, request: TrainingRequest, report: Report) -> TrainedModel:
        """Train a model, or find the job that has trained it."""
        channel = request.channel

        def archive(job: str) -> str:
            return f"{output_folder(channel)}/{job}/output/model.tar.gz"

        work = Work(
            jobs=TrainingJobs(self._api),
            name=self._named(request.purpose, self._identity(request)),
            request=lambda _, spot: self._requests.training(request, spot),
            done=lambda job: self._lake.exists(archive(job)),
        )
        outcome = self._worker.finish(work, report)
        answer = outcome.view.answer
        seconds = float(answer.get("TrainingTimeInSeconds") or 0)
        billable = float(answer.get("BillableTimeInSeconds") or 0)
        return TrainedModel(
            job=outcome.job,
            archive=self._reference(archive(outcome.job)),
            metrics={str(m["MetricName"]): float(m["Value"]) for m in answer.get("FinalMetricDataList") or []},
            seconds=seconds,
            billable_seconds=billable * self._settings.training_instance.count,
            reused=outcome.reused,
            notes=_notes(outcome, seconds, billable),
        )

    def tune(self, request: TuningRequest, report: Report) -> TuningResult:
        """Search hyperparameters, or find the job that has searched them.

        Raises:
            ConfigError: the channel has no test part, which the objective is measured on.
        """
        training = request.training
        if training.channel.test is None and request.objective.startswith("test:"):
            raise ConfigError(
                f"expert.models.deepar.tuning.objective {request.objective} needs a test channel; the history is "
                "too short for one. Set the objective to train:final_loss."
            )
        parallel = min(request.parallel, request.configurations, self._slots.number)
        asked = request.model_dump(mode="json", include={"objective", "ranges", "configurations", "warm_start"})
        identity = self._identity(training, self._settings.tuning_instance) | asked
        name = self._named(training.purpose, identity, LONGEST_TUNING_NAME)

        def tuning(_: str, spot: bool) -> dict[str, Any]:
            parent = previous_search(name, request.objective, self._api) if request.warm_start else None
            return self._requests.tuning(request, parallel, spot, parent)

        work = Work(
            jobs=TuningJobs(self._api),
            name=name,
            request=tuning,
            done=lambda _: True,
            slots=parallel,
            explain=lambda job: reasons_of(trials_of(job, self._api)),
        )
        outcome = self._worker.finish(work, report)
        result = tuning_result(outcome, request.objective, self._api)
        instance = self._settings.tuning_instance
        seconds = sum(trial.seconds for trial in result.trials) * instance.count
        self._worker.book(BilledJob(job=outcome.job, kind="tuning", instance=instance.type, seconds=seconds))
        return result

    def predict(
        self,
        model: TrainedModel,
        channel: DeepArChannel,
        quantiles: Sequence[float],
        num_samples: int,
        report: Report,
        paths: bool = False,
    ) -> FileRef:
        """Forecast a channel's inference file, by batch transform or endpoint (a setting).

        An endpoint's responses are limited in size, so sample paths are not requested from it.
        """
        transformed = self._settings.inference == "transform"
        ask = self._transform if transformed else self._ask_endpoint
        key = ask(model, channel, Asked(tuple(quantiles), num_samples, paths and transformed), report)
        check_answers(self._lake.read_bytes(key), self._lake.uri(key), channel, quantiles)
        return self._reference(key)

    def stop(self, job: str) -> None:
        """Stop a job of any kind; one that is over or unknown is ignored."""
        for kind in ("training", "tuning", "transform"):
            stop_job(self._api, kind, job)

    def endpoint(self, name: str | None = None, purpose: str = PERMANENT) -> SageMakerEndpoint:
        """The permanent endpoint: named by the settings, else by storage and the settings' name.

        Nothing deletes it but its :meth:`~tasks.deepar.sagemaker.endpoint.SageMakerEndpoint.delete`.

        Args:
            name: another name.
            purpose: what the tag ``restock:purpose`` says.
        """
        own = work_name(self._name, "deepar", {"storage": self._lake.root, "name": self._name}).stem
        name = name or self._settings.endpoint.name or own
        return SageMakerEndpoint(self._api, self._requests, self._models, name, self._pause, purpose)

    def holdings(self) -> list[Holding]:
        """The resources of all Restock installations in this account and region."""
        return holdings(self._api)

    def close(self) -> None:
        """Delete the endpoints of this run and of killed runs: they cost money until they are deleted."""
        close_endpoints_of(self._lake, self._settings, self._running.run_id, self._api.session, self._pause)

    def _transform(self, model: TrainedModel, channel: DeepArChannel, asked: Asked, report: Report) -> str:
        """Lake key of the answers of a batch transform, made now or found."""
        name = self._models.named(model, asked.environment)
        identity = {"model": name, "inference": channel.inference.model_dump(), "output": output_folder(channel)}
        work = Work(
            jobs=TransformJobs(self._api),
            name=self._named(f"forecast-{channel.configuration}", identity),
            request=lambda job, _: self._requests.transform(job, name, channel),
            done=lambda job: bool(self._written(channel, job)),
            before=lambda: drop(self._models.ensure(model, asked.environment)),
            seconds=self._settings.transform_timeout_seconds,
        )
        try:
            outcome = self._worker.finish(work, report)
        except PipelineError:
            self._delete_unused(name, work)
            raise
        self._models.delete(name)
        keys = self._written(channel, outcome.job)
        if len(keys) != 1:
            raise TrainingError(f"Transform job {outcome.job} wrote {', '.join(keys)}; expected one file.")
        return keys[0]

    def _delete_unused(self, model: str, work: Work) -> None:
        """Delete the model of failed transforms. It stays if a transform still runs, and then costs nothing."""
        try:
            if not self._worker.is_under_way(work):
                self._models.delete(model)
        except PipelineError:
            return

    def _ask_endpoint(self, model: TrainedModel, channel: DeepArChannel, asked: Asked, report: Report) -> str:
        """Lake key of an endpoint's responses, requested now or found; the endpoint is deleted right after."""
        output = {"output": self._lake.uri(output_folder(channel))}
        folder = work_name(self._name, "endpoint", output).stem
        identity = {"archive": model.archive.model_dump(), "inference": channel.inference.sha256, **asked.configuration}
        key = f"{predictions_folder(channel, folder)}/{digest(identity)}.jsonl"
        # Each run has its own endpoints, so that no run deletes another's.
        question = {**output, **identity, "run": self._running.run_id}
        name = work_name(self._name, f"ask-{channel.configuration}", question).stem
        with _turn(name), self._slots.taken(1):
            if not self._lake.exists(key):
                self._answer(name, model, channel, asked, key, report)
        return key

    def _answer(
        self, name: str, model: TrainedModel, channel: DeepArChannel, asked: Asked, key: str, report: Report
    ) -> None:
        """Make an endpoint, write its responses to a lake key, and always delete it."""
        self._delete_what_killed_runs_left(name, report)
        renew_note = self._running.keep(RunningJob("endpoint", name, self._api.region))

        def look(progress: JobProgress) -> None:
            renew_note()
            report(progress)

        ledger, begun = ledger_of(self._running.run_id), time.monotonic()
        ledger.start(name, self._settings)
        endpoint = self.endpoint(name, TEMPORARY)
        try:
            endpoint.deploy({channel.configuration: model}, look)
            answers = self._asked(name, channel, asked, renew_note)
            text = "".join(f"{json.dumps(answer)}\n" for answer in answers)
            self._lake.write_bytes(key, text.encode())
        finally:
            endpoint.delete()
            self._running.remove(name)
            instance = self._settings.endpoint.instance
            seconds = (time.monotonic() - begun) * instance.count
            self._worker.book(BilledJob(job=name, kind="endpoint", instance=instance.type, seconds=round(seconds)))

    def _delete_what_killed_runs_left(self, name: str, report: Report) -> None:
        """Errors with endpoints of other runs do not stop this run; their records stay for the next run."""
        try:
            left = self._running.left_behind(self._settings)
            end_noted(self._lake, self._settings, left, self._api.session, self._pause)
        except PipelineError as error:
            report(JobProgress(job=name, state="starting", detail=f"an endpoint of a killed run still exists: {error}"))

    def _asked(
        self, name: str, channel: DeepArChannel, asked: Asked, heard: Callable[[], None]
    ) -> list[dict[str, Any]]:
        invocation = Invocation(
            self._api,
            name,
            slug(channel.configuration),
            asked.configuration,
            self._settings.max_concurrent_transforms * self._settings.endpoint.instance.count,
        )
        lines = gzip.decompress(self._lake.read_bytes(channel.inference.key)).splitlines()
        return invocation.answers([line for line in lines if line.strip()], heard)

    def _written(self, channel: DeepArChannel, job: str) -> list[str]:
        return [key for key in self._lake.keys(predictions_folder(channel, job)) if key.endswith(".out")]

    def _named(self, purpose: str, identity: dict[str, Any], longest: int | None = None) -> WorkName:
        return work_name(self._name, purpose, identity, *([longest] if longest else []))

    def _identity(self, request: TrainingRequest, instance: DeepArInstance | None = None) -> dict[str, Any]:
        """The identity of a training: its data, hyperparameters, seed, container and machine."""
        channel = request.channel
        return {
            "hyperparameters": request.hyperparameters,
            "seed": request.seed,
            "train": channel.train.sha256,
            "test": channel.test.sha256 if channel.test else None,
            "output": self._lake.uri(output_folder(channel)),
            "image": self._requests.image,
            "instance": (instance or self._settings.training_instance).model_dump(),
        }

    def _reference(self, key: str) -> FileRef:
        """A file that SageMaker wrote; it is read because its checksum is not stored."""
        file = self._lake.local_copy(key)
        return FileRef(key=key, bytes=file.stat().st_size, sha256=sha256_of(file))


def _turn(endpoint: str) -> threading.Lock:
    """Lock of an endpoint: of two threads with the same request, the second finds the answers of the first."""
    return _TURNS.setdefault(endpoint, threading.Lock())


def drop(_: object) -> None:
    """Drop a value."""


def _check(lake: Lake, settings: DeepArSageMakerSettings) -> None:
    if not lake.root.startswith(S3_SCHEME):
        raise ConfigError(
            f"models.deepar.backend sagemaker needs storage in a bucket, where the jobs read and write: storage is "
            f"{lake.root}. Set storage to s3://bucket/prefix, or backend to local."
        )
    if not settings.role:
        raise ConfigError(
            "models.deepar.sagemaker.role is required but absent: the ARN of the role that the jobs run under, such "
            "as arn:aws:iam::123456789012:role/restock-sagemaker."
        )


def _notes(outcome: Outcome, seconds: float, billable: float) -> list[str]:
    notes = [f"SageMaker: job {outcome.job} was found, not started again"] if outcome.reused else []
    if 0 < billable < seconds:
        notes.append(f"SageMaker: spot capacity, {billable:.0f} of {seconds:.0f} seconds charged")
    return notes
