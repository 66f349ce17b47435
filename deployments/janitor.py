"""Schedule of the janitor: only companies whose DeepAR trains on SageMaker leave anything in AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule

from schemas.errors import PipelineError
from tasks.configuration.settings_file import load_settings

CLEAN = "clean-aws-"
SLUG = "janitor"
# Remains are removed once they are 30 minutes old: with this schedule nothing stays for more than an hour.
EVERY_20_MINUTES = "*/20 * * * *"


def schedule_janitors(client: SyncPrefectClient) -> list[str]:
    """Add the schedule to every company that uses SageMaker, and remove it from the other companies.

    An existing schedule is not changed, even if a user paused it or chose another one. Settings that cannot be
    read here, for example those in a container image, get no schedule.

    Returns:
        The names of the deployments that have a schedule.
    """
    scheduled = []
    for deployment in client.read_deployments():
        if not deployment.name.startswith(CLEAN):
            continue
        own = [one for one in deployment.schedules if one.slug == SLUG]
        uses = _uses_sagemaker(str(deployment.parameters.get("settings_file")))
        if uses and not deployment.schedules:
            schedule = DeploymentScheduleCreate(schedule=CronSchedule(cron=EVERY_20_MINUTES), slug=SLUG)
            client.create_deployment_schedules(deployment.id, [schedule])
        for one in own if uses is False else []:
            client.delete_deployment_schedule(deployment.id, one.id)
        if uses:
            scheduled.append(deployment.name)
    return scheduled


def _uses_sagemaker(settings_file: str) -> bool | None:
    """Whether the settings train DeepAR on SageMaker; None if they cannot be read here."""
    try:
        deepar: Any = load_settings(Path(settings_file)).models.deepar
    except (PipelineError, OSError):
        return None
    return deepar is not None and deepar.backend == "sagemaker"
