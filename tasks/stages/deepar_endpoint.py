"""Tasks: deploy DeepAR models to a SageMaker endpoint, and delete the endpoint."""

from __future__ import annotations

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
    from tasks.deepar.sagemaker.endpoint import SageMakerEndpoint


@task(name="deploy", task_run_name="deploy deepar models", cache_policy=NO_CACHE)
def deploy_models(run: RunContext, models: list[DeepArModelRecord]) -> EndpointRecord:
    """Deploy the best model and its challengers, all trained on all data, to one endpoint.

    Each configuration is a variant with the same name. An existing endpoint is replaced by a blue/green
    deployment. Requests without a variant are split by the weights of the settings. Without weights the split
    is equal; if some variants have a weight, the others get 0.

    Raises:
        ConfigError: the backend is not SageMaker, or a configuration with a weight is not deployed.
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
    endpoint.deploy(chosen, board)
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
def delete_endpoint(run: RunContext) -> EndpointRecord:
    """Delete the deployed endpoint with its configurations and models; do nothing if it does not exist."""
    endpoint = _endpoint(run)
    endpoint.delete()
    say(f"endpoint {endpoint.name} was deleted")
    return EndpointRecord(name=endpoint.name)


def _endpoint(run: RunContext) -> SageMakerEndpoint:
    from tasks.deepar.sagemaker.backend import SageMakerBackend

    backend = deepar_backend(run, open_lake(run.settings.storage))
    if not isinstance(backend, SageMakerBackend):
        raise ConfigError(
            "models.deepar.backend is local, but an endpoint requires SageMaker. Set it to sagemaker and set "
            "models.deepar.sagemaker.role"
        )
    return backend.endpoint()
