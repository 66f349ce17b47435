"""Flow: serve DeepAR models on one SageMaker endpoint, or delete the endpoint."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.deepar_stages import deploy_stage
from flows.first_stages import flow_run_name, ingest_stage, panel_stage, task_runner
from flows.own_stages import AT_THE_END
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from schemas.deepar import EndpointRecord
from tasks.stages.deepar_endpoint import delete_endpoint


@flow(name="deploy_deepar", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
@describe_parameters
def deploy_deepar(
    settings_file: str,
    as_of: date | None = None,
    delete: bool = False,
    endpoint: str | None = None,
    adopt: bool = False,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> EndpointRecord:
    """Serve the best DeepAR model and its challengers on one SageMaker endpoint, or delete the endpoint.

    Args:
        delete: Delete the endpoint, its configurations and its models instead of deploying them. An endpoint costs
            money for as long as it exists.
        endpoint: With delete: the name of the endpoint; "None" means those of this storage and settings' name.
        adopt: Take over an endpoint of the same name that this installation of Restock has not created.
    """
    run = prepare_run(settings_file, as_of, overrides, force=force)
    if delete:
        return delete_endpoint(run, endpoint, adopt)
    return deploy_stage(run, panel_stage(run, ingest_stage(run)), adopt)
