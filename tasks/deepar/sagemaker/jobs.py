"""One interface for the three kinds of SageMaker jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from schemas.deepar import JobState
from schemas.errors import ConfigError
from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.faults import calls, is_absent, is_refused
from tasks.deepar.sagemaker.logs import last_lines
from tasks.deepar.sagemaker.under_way import Kind

COMPLETED = "Completed"
FAILED = "Failed"
STOPPED = "Stopped"
RUNNING = "InProgress"
UNDER_WAY = (RUNNING, "Stopping")
OUT_OF_TIME = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")
_WAITING = ("Starting", "Pending", "Downloading", "InProgress", "")


@dataclass(frozen=True)
class JobView:
    """A job as SageMaker describes it.

    Attributes:
        status: Completed, Failed, Stopped, InProgress or Stopping; the other fields are for information.
        secondary: finer status, such as Downloading or MaxRuntimeExceeded; "" if none exists.
        message: what SageMaker says about it.
        reason: why it failed.
        created: when it was created.
        share: part done, 0 to 1, if it is known.
        on_spot: whether it uses spot capacity.
        answer: SageMaker's whole answer.
    """

    status: str
    secondary: str = ""
    message: str = ""
    reason: str = ""
    created: datetime | None = None
    share: float | None = None
    on_spot: bool = False
    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def under_way(self) -> bool:
        """Whether it still runs, or is about to stop."""
        return self.status in UNDER_WAY

    @property
    def state(self) -> JobState:
        """The coarse state that progress is reported in."""
        if self.status == COMPLETED:
            return "finished"
        if self.status == FAILED:
            return "failed"
        if self.status == STOPPED:
            return "stopped"
        return "starting" if self.secondary in _WAITING and not self.share else "running"

    @property
    def detail(self) -> str:
        """Status and message in one line."""
        parts = [self.secondary or self.status, self.reason or self.message]
        return ": ".join(dict.fromkeys(part for part in parts if part))


class Jobs(ABC):
    """One kind of job.

    Jobs are created through their resource class of ``sagemaker.core``, which checks the request, and described through
    boto3: the SDK fails on an answer with empty parts.

    Args:
        api: the SDK on its session.
    """

    kind: Kind
    _resource: str
    _call: str

    def __init__(self, api: SageMakerApi) -> None:
        self._api = api

    def describe(self, name: str) -> JobView | None:
        """The job of a name; None if it does not exist."""
        try:
            return self._view(self._ask("describe", name))
        except ClientError as error:
            if is_absent(error):
                return None
            raise

    def create(self, name: str, request: dict[str, Any]) -> None:
        """Start a job; ``request`` names the SDK's arguments.

        Raises:
            ConfigError: the request is invalid.
        """
        resource = getattr(self._api.resources, self._resource)
        try:
            resource.create(**{f"{self._call}_name": name}, **request, **self._api.where)
        except ValidationError as error:
            # The SDK also reads the new job back, and fails on an answer with empty parts: then the job exists.
            if self.describe(name) is None:
                wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
                raise ConfigError(f"SageMaker {self.kind} job {name}: the request is invalid ({wrong}).") from error

    def stop(self, name: str) -> None:
        """Stop a job; one that is over or unknown is ignored."""
        with calls(f"stopping {self.kind} job {name}"):
            try:
                if self._view(self._ask("describe", name)).status == RUNNING:
                    self._ask("stop", name)
            except ClientError as error:
                # It ended in the meantime, or does not exist.
                if not (is_absent(error) or is_refused(error)):
                    raise

    def log(self, name: str) -> list[str]:
        """The last lines of a job's log; none if there are none or the rights are missing."""
        return last_lines(self._api.logs, self.kind, name)

    def _ask(self, verb: str, name: str) -> dict[str, Any]:
        argument = f"{self._resource}Name"
        answer: dict[str, Any] = getattr(self._api.client, f"{verb}_{self._call}")(**{argument: name})
        return answer

    @abstractmethod
    def _view(self, found: dict[str, Any]) -> JobView:
        """The job as seen in SageMaker's answer, of which any part may be missing or empty."""


class TrainingJobs(Jobs):
    """Training jobs."""

    kind: Kind = "training"
    _resource = "TrainingJob"
    _call = "training_job"

    def _view(self, found: dict[str, Any]) -> JobView:
        steps = found.get("SecondaryStatusTransitions") or [{}]
        return JobView(
            status=str(found["TrainingJobStatus"]),
            secondary=str(found.get("SecondaryStatus") or ""),
            message=str(steps[-1].get("StatusMessage") or ""),
            reason=str(found.get("FailureReason") or ""),
            created=found.get("CreationTime"),
            on_spot=bool(found.get("EnableManagedSpotTraining")),
            answer=found,
        )


class TuningJobs(Jobs):
    """Hyperparameter tuning jobs."""

    kind: Kind = "tuning"
    _resource = "HyperParameterTuningJob"
    _call = "hyper_parameter_tuning_job"

    def _view(self, found: dict[str, Any]) -> JobView:
        limits = (found.get("HyperParameterTuningJobConfig") or {}).get("ResourceLimits") or {}
        wanted = limits.get("MaxNumberOfTrainingJobs") or 0
        counted = found.get("TrainingJobStatusCounters") or {}
        done = counted.get("Completed") or 0
        over = done + sum(counted.get(name) or 0 for name in ("NonRetryableError", "Stopped"))
        status = str(found["HyperParameterTuningJobStatus"])
        created, ended = found.get("CreationTime"), found.get("HyperParameterTuningEndTime")
        longest = limits.get("MaxRuntimeInSeconds")
        if status == STOPPED and done and longest and created and ended:
            # A search that was stopped by its own limit has a result: the trainings that it completed.
            status = COMPLETED if (ended - created).total_seconds() >= longest else status
        return JobView(
            status=status,
            message=f"{over} of {wanted} trainings over, {done} completed",
            reason=str(found.get("FailureReason") or ""),
            created=found.get("CreationTime"),
            share=min(over / wanted, 1.0) if wanted else None,
            on_spot=bool((found.get("TrainingJobDefinition") or {}).get("EnableManagedSpotTraining")),
            answer=found,
        )


class TransformJobs(Jobs):
    """Batch transform jobs."""

    kind: Kind = "transform"
    _resource = "TransformJob"
    _call = "transform_job"

    def _view(self, found: dict[str, Any]) -> JobView:
        status = str(found["TransformJobStatus"])
        started = "Transforming" if found.get("TransformStartTime") else "Starting"
        return JobView(
            status=status,
            secondary=started if status == RUNNING else "",
            reason=str(found.get("FailureReason") or ""),
            created=found.get("CreationTime"),
            answer=found,
        )
