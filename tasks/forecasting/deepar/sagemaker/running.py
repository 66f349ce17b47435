"""Stopping jobs, also those of a run whose process is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from schemas.deepar_settings import DeepArSageMakerSettings
from schemas.errors import PipelineError
from tasks.forecasting.deepar.sagemaker.api import SageMakerApi
from tasks.forecasting.deepar.sagemaker.endpoint import delete_endpoint
from tasks.forecasting.deepar.sagemaker.jobs import Jobs, TrainingJobs, TransformJobs, TuningJobs
from tasks.forecasting.deepar.sagemaker.under_way import RunningJob, RunningJobs
from tasks.storage.aws import AwsSession
from tasks.storage.lake import Lake

_KINDS: dict[str, Callable[[SageMakerApi], Jobs]] = {
    "training": TrainingJobs,
    "tuning": TuningJobs,
    "transform": TransformJobs,
}


def stop_job(api: SageMakerApi, kind: str, name: str) -> None:
    """Stop a job; one that is over or unknown is left alone.

    Args:
        api: the SDK on its session.
        kind: training, tuning or transform.
        name: of the job.
    """
    _KINDS[kind](api).stop(name)


def stop_jobs_of(lake: Lake, settings: DeepArSageMakerSettings, run_id: str, session: Any = None) -> list[str]:
    """Stop the jobs and delete the endpoints that a run has under way, from whatever process; twice is fine.

    Args:
        lake: where the run has written its jobs down.
        settings: the ``models.deepar.sagemaker`` block.
        run_id: the flow run's id.
        session: a ``boto3.Session`` with its credentials; the environment's where absent.

    Returns:
        Names of the jobs that had been written down.

    Raises:
        ConfigError: credentials or rights are missing.
        TrainingError: AWS cannot be reached. What could not be stopped is still written down; the rest is stopped.
    """
    running = RunningJobs(lake, run_id)
    under_way = running.all()
    errors: list[PipelineError] = []
    for job in under_way:
        try:
            _stop(SageMakerApi(AwsSession(job.region or settings.region, session)), job, settings.poll_seconds)
            running.remove(job.name)
        except PipelineError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return [job.name for job in under_way]


def _stop(api: SageMakerApi, job: RunningJob, poll_seconds: float) -> None:
    if job.kind == "endpoint":
        delete_endpoint(api, job.name, time.sleep, poll_seconds)
    else:
        stop_job(api, job.kind, job.name)
