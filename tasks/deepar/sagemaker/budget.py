"""The most that a run may cost, what it was charged, and the limits on both."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from schemas.errors import ConfigError
from schemas.records import BilledJob
from schemas.settings import DeepArSageMakerSettings, DeepArSettings
from tasks.deepar.sagemaker.under_way import Kind

_SECONDS_PER_HOUR = 3_600.0
_SECTION = "expert.models.deepar.sagemaker"


@dataclass(frozen=True)
class Estimate:
    """The most that a run can need; jobs of the same data that are found cost nothing.

    Attributes:
        trainings: training jobs, those of a search included.
        forecasts: batch transforms or temporary endpoints.
        hours: instance hours by instance type, if every job takes its longest time.
    """

    trainings: int
    forecasts: int
    hours: dict[str, float]

    @property
    def jobs(self) -> int:
        """Jobs of all kinds."""
        return self.trainings + self.forecasts

    def times(self, runs: int) -> Estimate:
        """The estimate of several runs."""
        hours = {name: value * runs for name, value in self.hours.items()}
        return Estimate(self.trainings * runs, self.forecasts * runs, hours)

    def __str__(self) -> str:
        hours = ", ".join(f"{value:,.1f} h of {name}" for name, value in sorted(self.hours.items()))
        return (
            f"at most {self.trainings:,} trainings and {self.forecasts:,} forecasts on SageMaker; if every job takes "
            f"its longest time, {hours}"
        )


def estimate(settings: DeepArSettings, compared: int, others: int) -> Estimate:
    """Estimate the paid jobs of a run before it starts.

    Args:
        settings: instances and longest times.
        compared: configurations that are trained, and forecast, for the comparison.
        others: further trainings with a forecast: the folds and the horizon.

    >>> print(estimate(DeepArSettings(), compared=4, others=4))
    at most 8 trainings and 8 forecasts on SageMaker; if every job takes its longest time, 8.0 h of ml.c5.2xlarge, 8.0 \
h of ml.m5.large
    """
    chosen, trainings = settings.sagemaker, compared + others
    asking = chosen.transform_instance if chosen.inference == "transform" else chosen.endpoint.instance
    hours: dict[str, float] = {}
    for instance, jobs, seconds in (
        (chosen.training_instance, trainings, chosen.max_runtime_seconds),
        (asking, trainings, chosen.transform_timeout_seconds),
    ):
        more = jobs * instance.count * seconds / _SECONDS_PER_HOUR
        hours[instance.type] = hours.get(instance.type, 0.0) + more
    return Estimate(trainings, trainings, hours)


def weekly_estimate(settings: DeepArSettings, folds: int, compares: bool = True) -> Estimate:
    """Estimate a weekly run: the configurations, if there are several, then the folds and the horizon.

    Args:
        settings: configurations and instances.
        folds: number of folds.
        compares: whether the history is long enough for a comparison.
    """
    several = len(settings.configurations) if compares and len(settings.configurations) > 1 else 0
    return estimate(settings, several, folds + 1)


def over_limit(settings: DeepArSageMakerSettings, expected: Estimate) -> str:
    """The reason why a run may not start paid work; empty if it may.

    >>> over_limit(DeepArSageMakerSettings(max_jobs_per_run=9), Estimate(5, 5, {}))
    'The run may need 10 jobs on SageMaker, more than expert.models.deepar.sagemaker.max_jobs_per_run, 9. Raise it, or \
compare fewer configurations or folds.'
    """
    most = settings.max_jobs_per_run
    if most is None or expected.jobs <= most:
        return ""
    return (
        f"The run may need {expected.jobs:,} jobs on SageMaker, more than {_SECTION}.max_jobs_per_run, {most:,}. Raise "
        "it, or compare fewer configurations or folds."
    )


class Ledger:
    """The paid jobs of one run of this process; safe under threads."""

    def __init__(self) -> None:
        self._ended: dict[str, BilledJob] = {}
        self._started: set[str] = set()
        self._lock = threading.Lock()

    def start(self, job: str, settings: DeepArSageMakerSettings) -> None:
        """Count a job that is about to be created.

        Raises:
            ConfigError: the run has reached a limit.
        """
        with self._lock:
            hours = sum(one.seconds for one in self._ended.values()) / _SECONDS_PER_HOUR
            if settings.max_billed_hours is not None and hours >= settings.max_billed_hours:
                raise ConfigError(
                    f"The run was charged for {hours:.2f} instance hours on SageMaker and starts no further job: "
                    f"{_SECTION}.max_billed_hours is {settings.max_billed_hours:g}. Raise it, and run again: finished "
                    "jobs are found."
                )
            most = settings.max_jobs_per_run
            if most is not None and job not in self._started and len(self._started) >= most:
                raise ConfigError(
                    f"The run has started {len(self._started):,} jobs on SageMaker and starts no further one: "
                    f"{_SECTION}.max_jobs_per_run is {most:,}. Raise it, and run again: finished jobs are found."
                )
            self._started.add(job)

    def end(self, job: BilledJob) -> None:
        """Record a job that has ended; only jobs of this run count toward its limits."""
        with self._lock:
            if job.job in self._started:
                self._ended[job.job] = job

    def jobs(self) -> list[BilledJob]:
        """The ended jobs of the run, by name."""
        with self._lock:
            return [self._ended[name] for name in sorted(self._ended)]


_LEDGERS: dict[str, Ledger] = {}


def ledger_of(run_id: str) -> Ledger:
    """The ledger of a run, shared by all of its tasks in this process."""
    return _LEDGERS.setdefault(run_id, Ledger())


def billed_job(kind: Kind, job: str, status: str, answer: dict[str, Any]) -> BilledJob:
    """The charges of an ended job, from SageMaker's answer, in which any part may be missing.

    A search is charged by its trainings, which are listed elsewhere: its own seconds are 0.
    """
    inner = answer.get("TrainingJobDefinition") or answer
    resources = inner.get("TransformResources") or inner.get("ResourceConfig") or {}
    seconds = 0.0
    if kind == "training":
        seconds = float(answer.get("BillableTimeInSeconds") or 0)
    elif kind == "transform" and answer.get("TransformStartTime") and answer.get("TransformEndTime"):
        seconds = (answer["TransformEndTime"] - answer["TransformStartTime"]).total_seconds()
    count = int(resources.get("InstanceCount") or 1)
    return BilledJob(
        job=job, kind=kind, instance=str(resources.get("InstanceType") or ""), seconds=seconds * count, status=status
    )
