"""Tasks: DeepAR's configurations in parallel, the best of them, its final training, and its tuning."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
from prefect import Flow, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_logger
from prefect.runtime import flow_run

from schemas import columns as c
from schemas.deepar import (
    ConfigurationRecord,
    DeepArBackend,
    DeepArChoice,
    DeepArModelRecord,
    DeepArTrial,
    JobProgress,
    TrainingRequest,
    TuningRecord,
    TuningRequest,
    TuningResult,
)
from schemas.deepar_settings import WHOLE_NUMBERS, DeepArConfiguration, DeepArSettings
from schemas.errors import ConfigError, TrainingError
from schemas.panel import Fold, Panel
from schemas.records import PanelRecord
from schemas.run import RunContext
from tasks.demand.folds import rolling_folds
from tasks.evaluation.backtest import attach_actuals
from tasks.evaluation.metrics import OVERALL, metrics_table, seasonal_scales
from tasks.forecasting.deepar.forecaster import DeepArForecaster
from tasks.forecasting.registry import forecast_folds, worker_count
from tasks.panels import load_panel
from tasks.storage.lake import Lake, open_lake
from tasks.storage.settings_file import load_settings
from tasks.support import artifact_key, rows_of, run_stage, say, show_markdown, show_table

# The test of the configurations takes at most this share of the history: one period in three.
TEST_SHARE = 3
SECONDS_BETWEEN_LINES = 30.0
COMPARED = [c.RMSE, c.MAE, c.WAPE, c.WQL, c.SHARE_EXCELLENT, c.SHARE_GOOD, c.SHARE_ACCEPTABLE, c.SHARE_POOR, c.N]


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
        from tasks.forecasting.deepar.local.backend import LocalBackend

        return LocalBackend(lake, settings.local, worker_count(run.settings))
    from tasks.forecasting.deepar.sagemaker.backend import SageMakerBackend

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


@task(name="plan configurations", task_run_name="plan deepar configurations", cache_policy=NO_CACHE)
def plan_configurations(run: RunContext, panel: PanelRecord, before_folds: bool) -> DeepArTrial:
    """Which periods the configurations are trained and compared on.

    ``train-deepar`` compares them on the last horizon before ``as_of``. A weekly run compares them on the
    horizon before its first fold: compared any later, the choice would know what the folds are to test.
    """
    loaded = load_panel(open_lake(run.settings.storage), run, panel)
    folds = rolling_folds(loaded, run.settings.backtest.windows, run.settings.backtest.step) if before_folds else []
    history = folds[0].known_periods if folds else loaded.history
    window = min(loaded.horizon, history // TEST_SHARE)
    note = (
        f"deepar: configurations are compared on {window} of {loaded.horizon} periods: only {history} are known then"
        if window < loaded.horizon
        else ""
    )
    if note:
        say(note)
    return DeepArTrial(history=history, known=history - window, note=note)


@task(name="train configuration", cache_policy=NO_CACHE, tags=["deepar"])
def train_configuration(
    run: RunContext, panel: PanelRecord, trial: DeepArTrial, configuration: DeepArConfiguration
) -> State[ConfigurationRecord] | ConfigurationRecord:
    """Train one configuration and forecast the trial's test periods; a failed one is told and leaves the others."""
    parts = _parts(run, panel) | {
        "trial": trial.model_dump(mode="json"),
        "configuration": configuration.model_dump(mode="json"),
    }
    try:
        record, state = run_stage(
            run, "deepar-configuration", parts, ConfigurationRecord, lambda: _train(run, panel, trial, configuration)
        )
    except TrainingError as error:
        say(f"{configuration.label} failed: {error}")
        return ConfigurationRecord(configuration=configuration, failed=str(error))
    say(f"{configuration.label}: {record.seconds:.0f} s")
    return state


def _parts(run: RunContext, panel: PanelRecord) -> dict[str, object]:
    return {
        "panel": {name: ref.sha256 for name, ref in panel.frames.items()},
        "deepar": deepar_settings(run).read_by_training(),
        **run.settings.model_dump(mode="json", include={"frequency", "quantiles", "seed"}),
    }


def _train(
    run: RunContext, panel: PanelRecord, trial: DeepArTrial, configuration: DeepArConfiguration
) -> ConfigurationRecord:
    lake = open_lake(run.settings.storage)
    base = load_panel(lake, run, panel).until(trial.history)
    tested = base if trial.window == base.horizon else None
    forecaster = _forecaster(run, lake, configuration, tested)
    frame, failures, _ = forecast_folds(
        forecaster, base, [_fold(base, trial)], False, run.settings.quantiles, run.settings.seed
    )
    if len(failures) == base.n:
        raise TrainingError(f"DeepAR {configuration.label} was not trained: {failures[0].reason}")
    return ConfigurationRecord(
        configuration=configuration,
        model=forecaster.trained,
        forecast=lake.write_table("deepar/forecasts", frame.assign(**{c.MODEL: configuration.label})),
    )


def _fold(base: Panel, trial: DeepArTrial) -> Fold:
    return Fold(base.periods[trial.known], trial.known)


def _forecaster(
    run: RunContext, lake: Lake, configuration: DeepArConfiguration, tested: Panel | None = None
) -> DeepArForecaster:
    return DeepArForecaster(
        deepar_settings(run),
        configuration,
        run.settings.quantiles,
        lake,
        deepar_backend(run, lake),
        JobBoard(run),
        tested,
    )


def deepar_forecaster(run: RunContext, lake: Lake, choice: DeepArChoice | None) -> DeepArForecaster:
    """The forecaster of the configuration that goes on."""
    configuration = choice.configuration if choice else deepar_settings(run).configurations[0]
    return _forecaster(run, lake, configuration)


@task(name="choose configuration", task_run_name="choose deepar configuration", cache_policy=NO_CACHE)
def choose_configuration(
    run: RunContext, panel: PanelRecord, trial: DeepArTrial, records: list[ConfigurationRecord]
) -> State[DeepArChoice] | DeepArChoice:
    """The configuration with the lowest RMSE on the test periods; ties go to the larger share within 10 %.

    All are held against the same actuals, those of the cleaned demand: the study held each against its own.

    Raises:
        TrainingError: no configuration could be trained.
    """
    done = [record for record in records if record.forecast is not None]
    if not done:
        if trial.window and records:
            raise TrainingError("DeepAR: no configuration could be trained. " + "; ".join(r.failed for r in records))
        first = deepar_settings(run).configurations[0]
        return DeepArChoice(configuration=first, why="the first of the settings: nothing to compare it with")
    parts: dict[str, object] = {
        "panel": {name: ref.sha256 for name, ref in panel.frames.items()},
        "forecasts": [record.forecast.sha256 for record in done if record.forecast],
        "trial": trial.model_dump(mode="json"),
        "failed": [record.failed for record in records],
    }
    choice, state = run_stage(run, "deepar-choice", parts, DeepArChoice, lambda: _choose(run, panel, trial, records))
    say(f"deepar: {choice.configuration.label}, {choice.why}")
    description = f"DeepAR configurations on the {trial.window} periods behind period {trial.known}, best first"
    show_table(run, "deepar-configurations", choice.summary["configurations"], description)
    return state


def _choose(
    run: RunContext, panel: PanelRecord, trial: DeepArTrial, records: list[ConfigurationRecord]
) -> DeepArChoice:
    lake = open_lake(run.settings.storage)
    base = load_panel(lake, run, panel).until(trial.history)
    rows = pd.concat(
        [lake.read_table(record.forecast) for record in records if record.forecast is not None], ignore_index=True
    )
    split = attach_actuals(rows, base, base.horizon_periods[0], run.settings.quantiles)
    table = metrics_table(split.backtest, seasonal_scales(base, [_fold(base, trial)]), run.settings.quantiles)
    overall = table[table[c.LEVEL] == OVERALL].set_index(c.MODEL)
    ranked = overall.sort_values([c.RMSE, c.SHARE_POOR], kind="stable")
    best = next(r.configuration for r in records if r.configuration.label == ranked.index[0])
    shown = rows_of(ranked[COMPARED].reset_index().rename(columns={c.MODEL: "configuration"}))
    told = {record.configuration.label: record for record in records}
    for row in shown:
        model = told[row["configuration"]].model
        row |= {
            "job": model.job if model else "",
            **{k: round(v, 4) for k, v in (model.metrics if model else {}).items()},
        }
    shown += [{"configuration": r.configuration.label, "failed": r.failed} for r in records if r.failed]
    return DeepArChoice(
        configuration=best,
        why=f"RMSE {ranked[c.RMSE].iloc[0]:.4g} over {trial.window} periods, the lowest of {len(ranked)}",
        summary={"configurations": shown},
    )


@task(
    name="train best configuration",
    task_run_name="train deepar on everything known",
    cache_policy=NO_CACHE,
    tags=["deepar"],
)
def train_best(run: RunContext, panel: PanelRecord, choice: DeepArChoice) -> State[DeepArModelRecord]:
    """Train the chosen configuration on all periods before ``as_of``: the model that a weekly run uses."""
    parts = _parts(run, panel) | {"configuration": choice.configuration.model_dump(mode="json")}
    record, state = run_stage(run, "deepar-model", parts, DeepArModelRecord, lambda: _train_best(run, panel, choice))
    say(f"model: {record.model.job}, {record.model.archive.key}")
    return state


def _train_best(run: RunContext, panel: PanelRecord, choice: DeepArChoice) -> DeepArModelRecord:
    lake = open_lake(run.settings.storage)
    fitted = _forecaster(run, lake, choice.configuration).fit(load_panel(lake, run, panel), run.settings.seed)
    if fitted.model is None or fitted.channel is None:
        raise TrainingError(f"DeepAR was not trained: {fitted.reason}")
    return DeepArModelRecord(choice=choice, model=fitted.model, channel=fitted.channel)


@task(name="tune", task_run_name="tune deepar", cache_policy=NO_CACHE, tags=["deepar"])
def tune_best(run: RunContext, panel: PanelRecord, trial: DeepArTrial, choice: DeepArChoice) -> State[TuningRecord]:
    """Search the hyperparameters of the chosen configuration; an artifact shows every trial and the lines to keep.

    Raises:
        TrainingError: no training finished, or too little is known for one.
    """
    parts = _parts(run, panel) | {
        "configuration": choice.configuration.model_dump(mode="json"),
        "trial": trial.model_dump(mode="json"),
        "tuning": deepar_settings(run).tuning.model_dump(mode="json"),
    }
    record, state = run_stage(run, "deepar-tuning", parts, TuningRecord, lambda: _tune(run, panel, trial, choice))
    show_table(run, "deepar-tuning", _trial_rows(record.result), f"Trials of {record.result.job}, best first")
    show_markdown(run, "deepar-tuned", f"```yaml\n{record.settings}```\n", "The best hyperparameters, for the settings")
    return state


def _tune(run: RunContext, panel: PanelRecord, trial: DeepArTrial, choice: DeepArChoice) -> TuningRecord:
    settings = deepar_settings(run)
    lake = open_lake(run.settings.storage)
    base = load_panel(lake, run, panel).until(trial.history)
    if trial.window < base.horizon:
        raise TrainingError(
            f"Tuning needs a whole horizon of {base.horizon} periods as test and twice as many before it; "
            f"{trial.history} are known. Shorten horizon, or tune when more is known"
        )
    known = base.until(trial.known)
    training = _forecaster(run, lake, choice.configuration, base).request(known, run.settings.seed)
    tuned = settings.tuning
    static = {name: value for name, value in training.hyperparameters.items() if name not in tuned.ranges}
    request = TuningRequest(
        training=TrainingRequest(
            purpose=training.purpose, channel=training.channel, hyperparameters=static, seed=training.seed
        ),
        configurations=tuned.configurations,
        parallel=tuned.parallel,
        objective=tuned.objective,
        ranges={name: (r.min, r.max, r.scale, name in WHOLE_NUMBERS) for name, r in tuned.ranges.items()},
    )
    result = deepar_backend(run, lake).tune(request, JobBoard(run))
    best = next(one for one in result.trials if one.job == result.best)
    chosen = {name: best.hyperparameters[name] for name in tuned.ranges}
    return TuningRecord(choice=choice, result=result, hyperparameters=chosen, settings=_settings_lines(choice, chosen))


def _settings_lines(choice: DeepArChoice, chosen: dict[str, str]) -> str:
    lines = [
        "models:",
        "  deepar:",
        "    configurations:",
        f"      - {{data: {choice.configuration.data}, likelihood: {choice.configuration.likelihood}}}",
        "    hyperparameters:",
        *(f"      {name}: {value}" for name, value in sorted(chosen.items())),
    ]
    return "\n".join(lines) + "\n"


def _trial_rows(result: TuningResult) -> list[dict[str, Any]]:
    ranked = sorted(result.trials, key=lambda one: (one.value is None, one.value or 0.0))
    return [
        {
            result.objective: None if one.value is None else round(one.value, 6),
            **one.hyperparameters,
            "state": one.state,
            "seconds": round(one.seconds),
            "job": one.job,
            "reason": one.reason,
        }
        for one in ranked
    ]


def stop_jobs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Stop the SageMaker jobs of a cancelled run; trainings on this machine end with their process.

    A cancellation hook: it may run in another process than the run itself, so it finds the jobs by what was
    noted in the lake before each was created.
    """
    given = flow_run.parameters
    settings = load_settings(Path(str(given["settings_file"])), given.get("overrides") or [])
    deepar = settings.models.deepar
    if deepar is None or deepar.backend == "local":
        return
    from tasks.forecasting.deepar.sagemaker.running import stop_jobs_of

    session = _block_session(deepar.sagemaker.credentials_block)
    stopped = stop_jobs_of(open_lake(settings.storage), deepar.sagemaker, str(flow_run.id), session)
    get_logger("restock").info("Stopped %d SageMaker jobs of the cancelled run %s", len(stopped), flow_run.name)
