"""List and remove resources in AWS, for commands and flows."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.errors import ConfigError
from schemas.run import RunContext
from schemas.settings import DeepArSageMakerSettings, Settings
from tasks.stages.support import say
from tasks.storage.lake import open_lake


def sagemaker_settings(settings: Settings) -> DeepArSageMakerSettings:
    """Return the settings of SageMaker.

    Raises:
        ConfigError: the settings do not use SageMaker.
    """
    deepar = settings.models.deepar
    if deepar is None or deepar.backend == "local":
        raise ConfigError("models.deepar.backend is not sagemaker: these settings create nothing in AWS.")
    return deepar.sagemaker


def holding_rows(settings: Settings) -> list[dict[str, str]]:
    """Return endpoints, models and jobs in progress of Restock in the account and region, as rows of a table.

    Raises:
        ConfigError: the settings do not use SageMaker, or credentials or rights are missing.
    """
    region = sagemaker_settings(settings).region
    from tasks.deepar.sagemaker.api import SageMakerApi
    from tasks.deepar.sagemaker.holdings import holdings
    from tasks.storage.aws import AwsSession

    now = datetime.now(UTC)
    return [holding.row(now) for holding in holdings(SageMakerApi(AwsSession(region)))]


@task(name="remove remains", task_run_name="remove AWS resources of dead runs", cache_policy=NO_CACHE)
def remove_remains(run: RunContext) -> list[str]:
    """Delete endpoints and models and stop transforms of dead runs."""
    sagemaker = sagemaker_settings(run.settings)
    from tasks.deepar.sagemaker import janitor

    removed = janitor.remove_remains(open_lake(run.settings.storage), sagemaker)
    say(f"removed: {', '.join(removed) or 'nothing'}")
    return removed
