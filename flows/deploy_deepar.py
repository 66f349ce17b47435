"""Flow: DeepAR models on one endpoint of SageMaker, or the end of that endpoint."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.deepar_stages import deploy_stage
from flows.preparation import prepare_run
from flows.stages import AT_THE_END, flow_run_name, ingest_stage, panel_stage, task_runner
from schemas.deepar import EndpointRecord
from tasks.stages.deepar_endpoint import delete_endpoint


@flow(name="deploy_deepar", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
def deploy_deepar(
    settings_file: str,
    as_of: date | None = None,
    delete: bool = False,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> EndpointRecord:
    """Bring the best DeepAR model and its challengers into service on one SageMaker endpoint, or take it down.

    Args:
        settings_file: Path of the settings file (YAML), as the worker sees it.
        as_of: First day that is not known (YYYY-MM-DD); today when empty.
        delete: Delete the endpoint, its configurations and models instead; it costs money as long as it stands.
        force: Compute again what the lake already holds.
        overrides: Settings to change for this run, one key.path=value each, such as horizon=14.
    """
    run = prepare_run(settings_file, as_of, overrides, force=force)
    if delete:
        return delete_endpoint(run)
    return deploy_stage(run, panel_stage(run, ingest_stage(run)))
