"""DeepAR's jobs in a run: which backend does them, how the Prefect UI shows them, what a run's end does to them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from prefect import Flow
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_logger
from prefect.runtime import flow_run

from schemas.deepar import DeepArBackend, JobProgress
from schemas.errors import ConfigError, PipelineError
from schemas.run import RunContext
from schemas.settings import DeepArSageMakerSettings, DeepArSettings
from schemas.settings.slices import DeepArSlice, DeepArTraining, DeepArTuningSlice
from tasks.configuration.settings_file import load_settings
from tasks.deepar.stage import DeepArTools, MakeTools
from tasks.stages.support import artifact_key, cores_of, say
from tasks.storage.lake import Lake, open_lake

SECONDS_BETWEEN_LINES = 30.0


class JobBoard:
    """Shows jobs in the Prefect UI: a progress bar where the share is known, a log line where something changed."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._bars: dict[str, UUID] = {}
        self._told: dict[str, tuple[str, float]] = {}

    def __call__(self, progress: JobProgress) -> None:
        """Take note of a job's progress."""
        self._log(progress)
        if progress.share is None:
            return
        percent = 100.0 * min(max(progress.share, 0.0), 1.0)
        if progress.job not in self._bars:
            key = artifact_key("deepar-job", progress.job)
            made = create_progress_artifact(percent, key=key, description=f"DeepAR job {progress.job}")
            self._bars[progress.job] = UUID(str(made))
        else:
            update_progress_artifact(self._bars[progress.job], percent)

    def _log(self, progress: JobProgress) -> None:
        line = f"{progress.job}: {progress.state}" + (f", {progress.detail}" if progress.detail else "")
        before, when = self._told.get(progress.job, ("", -SECONDS_BETWEEN_LINES))
        state_before = before.split(",")[0]
        now = time.monotonic()
        if line != before and (line.split(",", maxsplit=1)[0] != state_before or now - when >= SECONDS_BETWEEN_LINES):
            self._told[progress.job] = (line, now)
            say(line)


def deepar_settings(run: RunContext) -> DeepArSettings:
    """The run's ``models.deepar``; its defaults where a DeepAR command runs without one."""
    return run.settings.models.deepar or DeepArSettings()


def deepar_backend(run: RunContext, lake: Lake) -> DeepArBackend:
    """The backend that the settings name.

    Raises:
        ConfigError: its packages are missing, or its settings cannot serve.
    """
    settings = deepar_settings(run)
    if settings.backend == "local":
        from tasks.deepar.local.backend import LocalBackend

        return LocalBackend(lake, settings.local, cores_of(run).workers)
    from tasks.deepar.sagemaker.backend import SageMakerBackend

    session = _block_session(settings.sagemaker.credentials_block)
    return SageMakerBackend(
        lake, settings.sagemaker, run.settings.name, run_id=str(flow_run.get_id() or ""), session=session
    )


def _block_session(block: str | None) -> Any:
    """The boto3 session of a Prefect AwsCredentials block; None where none is named."""
    if block is None:
        return None
    try:
        from prefect_aws import AwsCredentials

        return AwsCredentials.load(block).get_boto3_session()  # type: ignore[union-attr]
    except ImportError as error:
        raise ConfigError(
            "models.deepar.sagemaker.credentials_block needs the AWS packages: pip install 'restock[aws]'"
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"models.deepar.sagemaker.credentials_block: there is no AwsCredentials block '{block}' ({error}). "
            "Create it in the Prefect UI under Blocks, or leave the key out to use the environment's credentials"
        ) from error


def deepar_slice(run: RunContext) -> DeepArSlice:
    """What DeepAR's trainings may read of the settings."""
    return DeepArSlice.of(run.settings, deepar=DeepArTraining.of(deepar_settings(run)))


def deepar_tuning_slice(run: RunContext) -> DeepArTuningSlice:
    """What DeepAR's tuning may read of the settings."""
    settings = deepar_settings(run)
    return DeepArTuningSlice.of(run.settings, deepar=DeepArTraining.of(settings), tuning=settings.tuning)


def deepar_tools(run: RunContext) -> MakeTools:
    """Makes the backend of the settings, and the board that shows its jobs."""
    return lambda: DeepArTools(deepar_backend(run, open_lake(run.settings.storage)), JobBoard(run))


def stop_jobs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Stop the SageMaker jobs of a cancelled run and delete its endpoint; trainings here end with their process.

    A hook: it may run in another process than the run itself, so it finds the jobs by what was noted in the
    lake before each was created.
    """
    run = _on_sagemaker(flow_run)
    if run is None:
        return
    from tasks.deepar.sagemaker.running import stop_jobs_of

    settings = run.sagemaker
    stopped = stop_jobs_of(
        open_lake(run.storage), settings, str(flow_run.id), _block_session(settings.credentials_block)
    )
    get_logger("restock").info("Stopped %d SageMaker jobs of the cancelled run %s", len(stopped), flow_run.name)


def close_endpoints(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Delete the endpoints that a run still has, and what killed runs left: they cost money as long as they stand.

    Jobs go on, for the next run.
    """
    run = _on_sagemaker(flow_run)
    if run is None:
        return
    try:
        from tasks.deepar.sagemaker.running import close_endpoints_of

        session = _block_session(run.sagemaker.credentials_block)
        closed = close_endpoints_of(open_lake(run.storage), run.sagemaker, str(flow_run.id), session)
    except PipelineError as error:
        get_logger("restock").warning("Endpoints may still stand: %s", error)
        return
    if closed:
        get_logger("restock").info("Deleted %d SageMaker endpoints: %s", len(closed), ", ".join(closed))


class _OnSageMaker(NamedTuple):
    storage: str
    sagemaker: DeepArSageMakerSettings


def _on_sagemaker(flow_run: FlowRun) -> _OnSageMaker | None:
    """What a run's parameters say of SageMaker; None where it does not use it, or never had sound settings."""
    given = flow_run.parameters
    try:
        settings = load_settings(Path(str(given["settings_file"])), given.get("overrides") or [])
    except PipelineError:
        return None
    deepar = settings.models.deepar
    if deepar is None or deepar.backend == "local":
        return None
    return _OnSageMaker(settings.storage, deepar.sagemaker)
