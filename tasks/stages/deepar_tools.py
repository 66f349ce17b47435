"""Backend, job board and settings slices of the DeepAR stages."""

from __future__ import annotations

from prefect.runtime import flow_run

from schemas.deepar import DeepArBackend
from schemas.run import RunContext
from schemas.settings import DeepArSettings
from schemas.settings.slices import DeepArSlice, DeepArTraining, DeepArTuningSlice
from tasks.deepar.stage import DeepArTools, MakeTools
from tasks.stages.job_board import JobBoard
from tasks.stages.support import cores_of
from tasks.storage.lake import Lake, open_lake


def deepar_settings(run: RunContext) -> DeepArSettings:
    """Return the run's ``models.deepar``; the defaults if the settings do not have it."""
    return run.settings.models.deepar or DeepArSettings()


def deepar_backend(run: RunContext, lake: Lake) -> DeepArBackend:
    """Create the backend of the settings.

    Raises:
        ConfigError: the backend's packages are not installed, or its settings are invalid.
    """
    settings = deepar_settings(run)
    if settings.backend == "local":
        from tasks.deepar.local.backend import LocalBackend

        return LocalBackend(lake, settings.local, cores_of(run).workers)
    from tasks.deepar.sagemaker.backend import SageMakerBackend

    return SageMakerBackend(lake, settings.sagemaker, run.settings.name, run_id=str(flow_run.get_id() or ""))


def deepar_slice(run: RunContext) -> DeepArSlice:
    """Return the settings that DeepAR trainings read."""
    return DeepArSlice.of(run.settings, deepar=DeepArTraining.of(deepar_settings(run)))


def deepar_tuning_slice(run: RunContext) -> DeepArTuningSlice:
    """Return the settings that DeepAR tuning reads."""
    settings = deepar_settings(run)
    return DeepArTuningSlice.of(run.settings, deepar=DeepArTraining.of(settings), tuning=settings.tuning)


def deepar_tools(run: RunContext) -> MakeTools:
    """Return a factory of the backend and of the job board that shows its progress."""
    return lambda: DeepArTools(deepar_backend(run, open_lake(run.settings.storage)), JobBoard(run))
