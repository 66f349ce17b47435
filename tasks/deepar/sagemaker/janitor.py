"""Removes the AWS resources of crashed runs of an installation."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from schemas.settings import DeepArSageMakerSettings
from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.endpoint_parts import delete_endpoint
from tasks.deepar.sagemaker.faults import calls, is_absent
from tasks.deepar.sagemaker.holdings import Holding, holdings, is_left_by_dead_run
from tasks.deepar.sagemaker.jobs import TrainingJobs, TuningJobs
from tasks.deepar.sagemaker.requests import INSTALLATION_TAG
from tasks.deepar.sagemaker.running import end_noted
from tasks.deepar.sagemaker.under_way import RunningJob, RunningJobs
from tasks.deepar.sagemaker.work import Pause
from tasks.storage.aws import AwsSession
from tasks.storage.lake import Lake

_JANITOR = "janitor"


def remove_remains(
    lake: Lake, settings: DeepArSageMakerSettings, session: Any = None, pause: Pause = time.sleep
) -> list[str]:
    """Delete endpoints and models and stop transforms of crashed runs; remove their records of ended jobs.

    Trainings and searches of crashed runs continue: their time is limited, and the next run uses their results.

    Args:
        lake: storage of the installation.
        settings: the ``models.deepar.sagemaker`` block.
        session: a ``boto3.Session``; that of the settings if absent.
        pause: waits for a number of seconds.

    Returns:
        What was removed, such as ``endpoint shoes-ask-1``.

    Raises:
        ConfigError: credentials or rights are missing.
        TrainingError: AWS cannot be reached.
    """
    api = SageMakerApi(AwsSession(settings.region, session))
    notes = RunningJobs(lake, _JANITOR).of_others()
    dead = [note for note in notes if note.is_silent(settings)]
    unlimited = [note for note in dead if note.kind in ("endpoint", "transform")]
    end_noted(lake, settings, unlimited, session, pause)
    for note in dead:
        if note.kind in ("training", "tuning"):
            _strike_off_if_over(lake, api, note)
    removed = [f"{note.kind} {note.name}" for note in unlimited]
    live = {note.name for note in notes if note not in dead}
    found = holdings(api)
    transforms = sum(one.kind == "transform" and one.tags.get(INSTALLATION_TAG) == lake.root for one in found)
    for holding in found:
        if is_left_by_dead_run(holding, lake.root, live, transforms, datetime.now(UTC)):
            _delete(api, holding, settings, pause)
            removed.append(f"{holding.kind} {holding.name}")
    return removed


def _strike_off_if_over(lake: Lake, api: SageMakerApi, note: RunningJob) -> None:
    jobs = TrainingJobs(api) if note.kind == "training" else TuningJobs(api)
    with calls(f"looking at {note.kind} job {note.name}"):
        view = jobs.describe(note.name)
    if view is None or not view.under_way:
        RunningJobs(lake, note.run_id).remove(note.name)


def _delete(api: SageMakerApi, holding: Holding, settings: DeepArSageMakerSettings, pause: Pause) -> None:
    if holding.kind == "endpoint":
        delete_endpoint(api, holding.name, pause, settings.poll_seconds)
        return
    with calls(f"deleting model {holding.name}"):
        try:
            api.client.delete_model(ModelName=holding.name)
        except ClientError as error:
            if not is_absent(error):
                raise
