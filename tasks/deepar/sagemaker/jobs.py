"""One interface for the three kinds of SageMaker jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from schemas.deepar import JobState
from tasks.deepar.sagemaker.api import SageMakerApi, given
from tasks.deepar.sagemaker.faults import calls, is_absent, is_refused
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
        status: Completed, Failed, Stopped, InProgress or Stopping; it alone decides.
        secondary: finer status, such as Downloading or MaxRuntimeExceeded; "" without one.
        message: what SageMaker says about it.
        reason: why it failed.
        created: when it was created.
        share: part done, 0 to 1, where it is known.
        resource: the SDK's object.
    """

    status: str
    secondary: str = ""
    message: str = ""
    reason: str = ""
    created: datetime | None = None
    share: float | None = None
    resource: Any = None

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
        return "starting" if self.secondary in _WAITING and not self.share else "training"

    @property
    def detail(self) -> str:
        """Status and message in one line."""
        parts = [self.secondary or self.status, self.reason or self.message]
        return ": ".join(dict.fromkeys(part for part in parts if part))

    def age(self) -> float:
        """Seconds since it was created; 0 if unknown."""
        return (datetime.now(UTC) - self.created).total_seconds() if self.created else 0.0


class Jobs(ABC):
    """One kind of job, through its resource class of ``sagemaker.core``.

    Args:
        api: the SDK on its session.
    """

    kind: Kind
    _resource: str
    _name: str

    def __init__(self, api: SageMakerApi) -> None:
        self._api = api

    def describe(self, name: str) -> JobView | None:
        """The job of a name; None if it does not exist."""
        try:
            found = getattr(self._api.resources, self._resource).get(**{self._name: name}, **self._api.where)
        except ClientError as error:
            if is_absent(error):
                return None
            raise
        return self._view(found)

    def create(self, name: str, request: dict[str, Any]) -> None:
        """Start a job; ``request`` names the SDK's arguments."""
        getattr(self._api.resources, self._resource).create(**{self._name: name}, **request, **self._api.where)

    def stop(self, name: str) -> None:
        """Stop a job; one that is over or unknown is left alone."""
        with calls(f"stopping {self.kind} job {name}"):
            try:
                found = getattr(self._api.resources, self._resource).get(**{self._name: name}, **self._api.where)
                if self._view(found).status == RUNNING:
                    found.stop()
            except ClientError as error:
                # It ended in the meantime, or does not exist.
                if not (is_absent(error) or is_refused(error)):
                    raise

    @abstractmethod
    def _view(self, found: Any) -> JobView:
        """The job as seen in the SDK's object."""


class TrainingJobs(Jobs):
    """Training jobs."""

    kind: Kind = "training"
    _resource = "TrainingJob"
    _name = "training_job_name"

    def _view(self, found: Any) -> JobView:
        steps = given(found.secondary_status_transitions, [])
        return JobView(
            status=str(found.training_job_status),
            secondary=str(given(found.secondary_status, "")),
            message=str(given(steps[-1].status_message, "")) if steps else "",
            reason=str(given(found.failure_reason, "")),
            created=given(found.creation_time),
            resource=found,
        )


class TuningJobs(Jobs):
    """Hyperparameter tuning jobs."""

    kind: Kind = "tuning"
    _resource = "HyperParameterTuningJob"
    _name = "hyper_parameter_tuning_job_name"

    def _view(self, found: Any) -> JobView:
        limits = found.hyper_parameter_tuning_job_config.resource_limits
        wanted = given(limits.max_number_of_training_jobs, 0)
        counted = given(found.training_job_status_counters)
        done = given(counted.completed, 0) if counted else 0
        over = done + (given(counted.non_retryable_error, 0) + given(counted.stopped, 0) if counted else 0)
        return JobView(
            status=str(found.hyper_parameter_tuning_job_status),
            message=f"{over} of {wanted} trainings over, {done} completed",
            reason=str(given(found.failure_reason, "")),
            created=given(found.creation_time),
            share=min(over / wanted, 1.0) if wanted else None,
            resource=found,
        )


class TransformJobs(Jobs):
    """Batch transform jobs."""

    kind: Kind = "transform"
    _resource = "TransformJob"
    _name = "transform_job_name"

    def _view(self, found: Any) -> JobView:
        status = str(found.transform_job_status)
        started = "Transforming" if given(found.transform_start_time) else "Starting"
        return JobView(
            status=status,
            secondary=started if status == RUNNING else "",
            reason=str(given(found.failure_reason, "")),
            created=given(found.creation_time),
            resource=found,
        )
