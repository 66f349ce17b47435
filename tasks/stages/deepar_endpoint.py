"""Tasks: deploy DeepAR models to a SageMaker endpoint, and delete the endpoint."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.deepar import DeepArModelRecord, EndpointRecord
from schemas.errors import ConfigError
from schemas.run import RunContext
from tasks.stages.deepar_tools import deepar_backend, deepar_settings
from tasks.stages.job_board import JobBoard
from tasks.stages.support import say, show_table
from tasks.storage.lake import open_lake

if TYPE_CHECKING:
    from tasks.deepar.sagemaker.backend import SageMakerBackend
    from tasks.deepar.sagemaker.endpoint import SageMakerEndpoint


@task(name="deploy", task_run_name="deploy deepar models", cache_policy=NO_CACHE)
def deploy_models(run: RunContext, models: list[DeepArModelRecord], adopt: bool = False) -> EndpointRecord:
    """Deploy the best model and its challengers, all trained on all data, to one endpoint.

    Each configuration is a variant with the same name. An existing endpoint is replaced by a blue/green
    deployment. Requests without a variant are split by the weights of the settings. Without weights the split
    is equal; if some variants have a weight, the others get 0.

    Raises:
        ConfigError: the backend is not SageMaker, a configuration with a weight is not deployed, or the endpoint
            belongs to another installation and ``adopt`` is False.
        TrainingError: SageMaker could not create or update the endpoint.
    """
    endpoint = _endpoint(run)
    given = deepar_settings(run).sagemaker.endpoint
    chosen = {record.choice.configuration.label: record.model for record in models[: given.max_models]}
    unknown = sorted(set(given.weights) - set(chosen))
    if unknown:
        raise ConfigError(
            f"expert.models.deepar.sagemaker.endpoint.weights: {', '.join(unknown)} is not deployed. "
            f"Expected one or more of {', '.join(chosen)}"
        )
    weights = given.shares(chosen)
    board = JobBoard(run)
    endpoint.deploy(chosen, board, adopt)
    endpoint.weigh(weights, board)
    deployed = EndpointRecord(
        name=endpoint.name,
        variants={label: model.job for label, model in chosen.items()},
        weights=weights,
        encoding=models[0].channel.encoding.key if models[0].channel.encoding else "",
    )
    rows = [{"variant": label, "job": job, "weight": weights[label]} for label, job in deployed.variants.items()]
    description = f"Variants of the endpoint {endpoint.name}; requests without TargetVariant are split by weight"
    show_table(run, "deepar-endpoint", rows, description)
    return deployed


@task(name="delete endpoint", task_run_name="delete deepar endpoint", cache_policy=NO_CACHE)
def delete_endpoint(run: RunContext, name: str | None = None, adopt: bool = False) -> EndpointRecord:
    """Delete the deployed endpoint with its configurations and models, and list the endpoints that remain.

    Without a name, every permanent endpoint is deleted that was created with the ``storage`` and ``name`` of these
    settings.

    Raises:
        ConfigError: the endpoint belongs to another installation and ``adopt`` is False.
    """
    backend = _backend(run)
    from tasks.deepar.sagemaker.endpoint_parts import PERMANENT
    from tasks.deepar.sagemaker.requests import INSTALLATION_TAG, NAME_TAG, PURPOSE_TAG, tag_text

    own = {
        INSTALLATION_TAG: open_lake(run.settings.storage).root,
        NAME_TAG: tag_text(run.settings.name),
        PURPOSE_TAG: PERMANENT,
    }
    standing = [one for one in backend.holdings() if one.kind == "endpoint"]
    tagged = [one.name for one in standing if own.items() <= one.tags.items()]
    wanted = [name] if name else list(dict.fromkeys([backend.endpoint().name, *tagged]))
    deleted = [one for one in wanted if backend.endpoint(one).delete(adopt)]
    say(f"deleted endpoints: {', '.join(deleted) or 'none existed'}")
    now = datetime.now(UTC)
    left = [one.row(now) for one in standing if one.name not in deleted]
    if left:
        show_table(run, "aws-endpoints", left, "Endpoints of Restock that remain in this account and region")
    return EndpointRecord(name=wanted[0], deleted=deleted, left=left)


def _endpoint(run: RunContext) -> SageMakerEndpoint:
    return _backend(run).endpoint()


def _backend(run: RunContext) -> SageMakerBackend:
    from tasks.deepar.sagemaker.backend import SageMakerBackend

    backend = deepar_backend(run, open_lake(run.settings.storage))
    if not isinstance(backend, SageMakerBackend):
        raise ConfigError(
            "models.deepar.backend is local, but an endpoint requires SageMaker. Set it to sagemaker and set "
            "models.deepar.sagemaker.role"
        )
    return backend
