"""Stops jobs, also those of a run whose process has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from schemas.errors import PipelineError
from schemas.settings import DeepArSageMakerSettings
from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.endpoint_parts import delete_endpoint
from tasks.deepar.sagemaker.jobs import Jobs, TrainingJobs, TransformJobs, TuningJobs
from tasks.deepar.sagemaker.under_way import RunningJob, RunningJobs
from tasks.deepar.sagemaker.work import Pause
from tasks.storage.aws import AwsSession
from tasks.storage.lake import Lake

_KINDS: dict[str, Callable[[SageMakerApi], Jobs]] = {
    "training": TrainingJobs,
    "tuning": TuningJobs,
    "transform": TransformJobs,
}


def stop_job(api: SageMakerApi, kind: str, name: str) -> None:
    """Stop a job; one that is over or unknown is ignored.

    Args:
        api: the SDK on its session.
        kind: training, tuning or transform.
        name: name of the job.
    """
    _KINDS[kind](api).stop(name)


def stop_jobs_of(lake: Lake, settings: DeepArSageMakerSettings, run_id: str, session: Any = None) -> list[str]:
    """Stop the running jobs and delete the endpoints of a run, from any process; idempotent.

    A job that another live run waits for keeps running; only this run's note of it is removed.

    Args:
        lake: where the run has recorded its jobs.
        settings: the ``models.deepar.sagemaker`` block.
        run_id: the flow run's id.
        session: a ``boto3.Session`` with its credentials; the environment's if absent.

    Returns:
        Names of the recorded jobs.

    Raises:
        ConfigError: credentials or rights are missing.
        TrainingError: AWS cannot be reached. Jobs that could not be stopped stay recorded; the others are stopped.
    """
    return end_noted(lake, settings, RunningJobs(lake, run_id).all(), session)


def close_endpoints_of(
    lake: Lake, settings: DeepArSageMakerSettings, run_id: str, session: Any = None, pause: Pause = time.sleep
) -> list[str]:
    """Delete a run's endpoints, and those that killed runs of the lake did not delete.

    Args:
        lake: where the runs have recorded their endpoints.
        settings: the ``models.deepar.sagemaker`` block.
        run_id: the flow run's id.
        session: a ``boto3.Session`` with its credentials; the environment's if absent.
        pause: waits for a number of seconds.

    Returns:
        Names of the endpoints.

    Raises:
        ConfigError: credentials or rights are missing.
        TrainingError: AWS cannot be reached. Endpoints that could not be deleted stay recorded; the others are deleted.
    """
    running = RunningJobs(lake, run_id)
    own = [job for job in running.all() if job.kind == "endpoint"]
    return end_noted(lake, settings, own + running.left_behind(settings), session, pause)


def end_noted(
    lake: Lake,
    settings: DeepArSageMakerSettings,
    jobs: list[RunningJob],
    session: Any,
    pause: Pause = time.sleep,
) -> list[str]:
    """Stop or delete what the records name, and remove the records; an error with one does not stop the others.

    Args:
        lake: where the notes are.
        settings: the ``models.deepar.sagemaker`` block.
        jobs: as noted, of any run.
        session: a ``boto3.Session`` with its credentials; the environment's if absent.
        pause: waits for a number of seconds.

    Returns:
        Names of the jobs.

    Raises:
        ConfigError: credentials or rights are missing.
        TrainingError: AWS cannot be reached.
    """
    errors: list[PipelineError] = []
    for job in jobs:
        running = RunningJobs(lake, job.run_id)
        # The record is removed before the check, so that of two runs that end together, the later one finds no other
        # run and stops the job.
        running.remove(job.name)
        if any(not other.is_silent(settings) for other in running.of_others(job.name)):
            continue
        try:
            api = SageMakerApi(AwsSession(job.region or settings.region, session))
            if job.kind == "endpoint":
                delete_endpoint(api, job.name, pause, settings.poll_seconds)
            else:
                stop_job(api, job.kind, job.name)
        except PipelineError as error:
            running.restore(job)
            errors.append(error)
    if errors:
        raise errors[0]
    return [job.name for job in jobs]
