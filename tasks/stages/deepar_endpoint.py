"""Tasks: DeepAR models into service on one SageMaker endpoint, and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.deepar import DeepArModelRecord, EndpointRecord
from schemas.errors import ConfigError
from schemas.run import RunContext
from tasks.stages.deepar_jobs import JobBoard, deepar_backend, deepar_settings
from tasks.stages.support import say, show_table
from tasks.storage.lake import open_lake

if TYPE_CHECKING:
    from tasks.deepar.sagemaker.endpoint import SageMakerEndpoint


@task(name="deploy", task_run_name="deploy deepar models", cache_policy=NO_CACHE, tags=["deepar"])
def deploy_models(run: RunContext, models: list[DeepArModelRecord]) -> EndpointRecord:
    """The best model and its challengers, all trained on everything known, on one endpoint.

    A variant is named by its configuration. What stands already is replaced blue/green; the weights of the
    settings share out the requests that name no variant, equal shares where there are none; a variant without a
    weight beside others with one gets 0.

    Raises:
        ConfigError: the settings do not name SageMaker, or weigh a configuration that is not deployed.
        TrainingError: SageMaker cannot bring the endpoint into service.
    """
    endpoint = _endpoint(run)
    given = deepar_settings(run).sagemaker.endpoint
    chosen = {record.choice.configuration.label: record.model for record in models[: given.max_models]}
    unknown = sorted(set(given.weights) - set(chosen))
    if unknown:
        raise ConfigError(
            f"expert.models.deepar.sagemaker.endpoint.weights: {', '.join(unknown)} is not deployed. "
            f"Expected some of {', '.join(chosen)}"
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
    show_table(run, "deepar-endpoint", rows, f"Endpoint {endpoint.name}: ask a variant by TargetVariant, or by weight")
    return deployed


@task(name="delete endpoint", task_run_name="delete deepar endpoint", cache_policy=NO_CACHE)
def delete_endpoint(run: RunContext) -> EndpointRecord:
    """Delete the endpoint that stays, with its configurations and models; one that is gone is fine."""
    endpoint = _endpoint(run)
    endpoint.delete()
    say(f"endpoint {endpoint.name} is deleted")
    return EndpointRecord(name=endpoint.name)


def _endpoint(run: RunContext) -> SageMakerEndpoint:
    from tasks.deepar.sagemaker.backend import SageMakerBackend

    backend = deepar_backend(run, open_lake(run.settings.storage))
    if not isinstance(backend, SageMakerBackend):
        raise ConfigError(
            "models.deepar.backend is local: an endpoint stands on SageMaker. Set it to sagemaker and name "
            "models.deepar.sagemaker.role"
        )
    return backend.endpoint()
