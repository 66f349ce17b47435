"""Flow hooks that stop SageMaker jobs and delete endpoints when a run ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_logger

from schemas.errors import PipelineError
from schemas.settings import DeepArSageMakerSettings
from tasks.configuration.settings_file import load_settings
from tasks.storage.lake import open_lake


def stop_jobs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Stop the SageMaker jobs of a cancelled run and delete its endpoint; local trainings end with their process.

    The hook may run in another process than the run itself. It finds the jobs by the entries that the run
    wrote to the lake before it created them.
    """
    run = _on_sagemaker(flow_run)
    if run is None:
        return
    from tasks.deepar.sagemaker.running import stop_jobs_of

    stopped = stop_jobs_of(open_lake(run.storage), run.sagemaker, str(flow_run.id))
    get_logger("restock").info("Stopped %d SageMaker jobs of the cancelled run %s", len(stopped), flow_run.name)


def close_endpoints(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Delete the remaining endpoints of this run and of killed runs, because they cost money while they exist.

    Training jobs continue; the next run uses their results.
    """
    run = _on_sagemaker(flow_run)
    if run is None:
        return
    try:
        from tasks.deepar.sagemaker.running import close_endpoints_of

        closed = close_endpoints_of(open_lake(run.storage), run.sagemaker, str(flow_run.id))
    except PipelineError as error:
        get_logger("restock").warning("SageMaker endpoints may still exist: %s", error)
        return
    if closed:
        get_logger("restock").info("Deleted %d SageMaker endpoints: %s", len(closed), ", ".join(closed))


class _OnSageMaker(NamedTuple):
    storage: str
    sagemaker: DeepArSageMakerSettings


def _on_sagemaker(flow_run: FlowRun) -> _OnSageMaker | None:
    """Return the SageMaker settings of a run; None if it does not use SageMaker or its settings are invalid."""
    given = flow_run.parameters
    try:
        settings = load_settings(Path(str(given["settings_file"])), given.get("overrides") or [])
    except PipelineError:
        return None
    deepar = settings.models.deepar
    if deepar is None or deepar.backend == "local":
        return None
    return _OnSageMaker(settings.storage, deepar.sagemaker)
