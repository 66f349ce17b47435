"""Backend, job board and settings slices of the DeepAR stages."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.runtime import flow_run

from schemas.deepar import DeepArBackend
from schemas.errors import ConfigError
from schemas.records import BilledJob
from schemas.run import RunContext
from schemas.settings import DeepArSettings, Settings
from schemas.settings.slices import DeepArSlice, DeepArTraining, DeepArTuningSlice
from tasks.deepar.stage import DeepArTools, MakeTools
from tasks.stages.job_board import JobBoard
from tasks.stages.support import cores_of, say, show_table
from tasks.storage.lake import Lake, open_lake

SECONDS_PER_HOUR = 3_600


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


def show_billed(run: RunContext, jobs: Sequence[BilledJob]) -> None:
    """Show the billed seconds of SageMaker by job, with the failed jobs of this run; nothing without SageMaker."""
    settings = run.settings.models.deepar
    if settings is None or settings.backend == "local":
        return
    from tasks.deepar.sagemaker.budget import ledger_of
    from tasks.deepar.sagemaker.under_way import NO_RUN

    own = ledger_of(str(flow_run.get_id() or NO_RUN)).jobs()
    every = {job.job: job for job in (*jobs, *own)}
    rows = [{**every[name].model_dump(mode="json"), "this run": name in {job.job for job in own}} for name in every]
    total = sum(job.seconds for job in own) / SECONDS_PER_HOUR
    text = f"SageMaker jobs and the seconds that they are charged for; this run: {total:.2f} instance hours"
    say(text)
    show_table(run, "aws-jobs", rows, text)


def paid_work(run: RunContext, folds: int, compares: bool, weekly: bool) -> str:
    """Log what a run will pay at most on SageMaker.

    Args:
        run: settings.
        folds: number of folds.
        compares: whether the history is long enough to compare configurations.
        weekly: whether the run forecasts folds and horizon; else it trains the best configuration only.

    Returns:
        Why it may not start; empty if it may.
    """
    settings = deepar_settings(run)
    if settings.backend == "local":
        return ""
    from tasks.deepar.sagemaker.budget import over_limit, weekly_estimate

    expected = weekly_estimate(settings, folds if weekly else 0, compares)
    say(f"deepar: {expected}. Existing jobs of the same data cost nothing.")
    return over_limit(settings.sagemaker, expected)


def refuse_unwanted_payment(settings: Settings, runs: int, what: str, pay: bool) -> None:
    """Refuse runs that would pay on SageMaker and publish nothing new, unless the user has agreed.

    Args:
        settings: settings of the runs.
        runs: number of weekly runs.
        what: such as ``A dry run``.
        pay: the user has agreed.

    Raises:
        ConfigError: the user has not agreed.
    """
    deepar = settings.models.deepar
    if pay or deepar is None or deepar.backend == "local":
        return
    from tasks.deepar.sagemaker.budget import weekly_estimate

    backtest = settings.backtest
    expected = weekly_estimate(deepar, backtest.windows + backtest.extra_folds).times(runs)
    raise ConfigError(
        f"{what} pays for SageMaker jobs: {expected}. Existing jobs of the same data cost nothing. Add --pay to "
        "agree (in the Prefect UI: pay), or leave DeepAR out with --set models.deepar=null."
    )
