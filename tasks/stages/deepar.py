"""Tasks: train DeepAR configurations in parallel, and choose and train the best one."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas.deepar import (
    ConfigurationRecord,
    DeepArChoice,
    DeepArModelRecord,
    DeepArTrial,
)
from schemas.errors import ConfigError, TrainingError
from schemas.records import PanelRecord
from schemas.run import RunContext
from schemas.settings import DeepArConfiguration
from schemas.settings.slices import QuantileSlice
from tasks.deepar import stage as deepar
from tasks.deepar.trial import plan_trial
from tasks.demand.folds import rolling_folds
from tasks.demand.stored import load_panel
from tasks.evaluation.configurations import ChoiceInputs, choose_without_comparison
from tasks.evaluation.configurations import choose_configuration as choose
from tasks.stages.deepar_tools import deepar_settings, deepar_slice, deepar_tools, paid_work
from tasks.stages.stage import Stage
from tasks.stages.support import say, show_table
from tasks.storage.lake import open_lake

CONFIGURATION = Stage("deepar-configuration", ConfigurationRecord, deepar.train_configuration)
CHOICE = Stage("deepar-choice", DeepArChoice, choose)
MODEL = Stage("deepar-model", DeepArModelRecord, deepar.train_chosen)


@task(name="plan configurations", task_run_name="plan deepar configurations", cache_policy=NO_CACHE)
def plan_configurations(run: RunContext, panel: PanelRecord, before_folds: bool, required: bool = True) -> DeepArTrial:
    """Choose the periods on which the configurations are trained and compared.

    ``train-deepar`` compares them on the last horizon before ``as_of``. A weekly run compares them on the
    horizon before its first fold, so that the choice does not use the periods that the folds test. The most that the
    run may have to pay on SageMaker is logged.

    Raises:
        ConfigError: DeepAR is required, and the run may need more paid jobs than the settings allow.
    """
    loaded = load_panel(open_lake(run.settings.storage), panel.panel, run.settings.period)
    folds = rolling_folds(loaded, **run.settings.backtest.model_dump()) if before_folds else []
    trial = plan_trial(loaded, folds[0].known_periods if folds else loaded.history)
    if trial.note:
        say(trial.note)
    held = paid_work(run, len(folds), trial.window > 0, before_folds)
    if held and required:
        raise ConfigError(held)
    return trial.model_copy(update={"held": held})


@task(name="train configuration", cache_policy=NO_CACHE)
def train_configuration(
    run: RunContext, panel: PanelRecord, trial: DeepArTrial, configuration: DeepArConfiguration, required: bool = True
) -> State[ConfigurationRecord] | ConfigurationRecord:
    """Train one configuration and forecast the test periods; a failure is logged and does not stop the others.

    Raises:
        ConfigError: DeepAR is required, and credentials, rights or quota are missing.
    """
    inputs = deepar.ConfigurationInputs(panel=panel.panel, trial=trial, configuration=configuration)
    try:
        record, state = CONFIGURATION.run(run, inputs, deepar_slice(run), deepar_tools(run))
    except TrainingError as error:
        say(f"{configuration.label} failed: {error}")
        return ConfigurationRecord(configuration=configuration, failed=str(error), kind=error.kind)
    except ConfigError as error:
        if required:
            raise
        say(f"{configuration.label} failed: {error}")
        return ConfigurationRecord(configuration=configuration, failed=str(error))
    say(f"{configuration.label}: {record.seconds:.0f} s")
    return state


@task(name="choose configuration", task_run_name="choose deepar configuration", cache_policy=NO_CACHE)
def choose_configuration(
    run: RunContext,
    panel: PanelRecord,
    trial: DeepArTrial,
    records: list[ConfigurationRecord],
    required: bool = True,
) -> State[DeepArChoice] | DeepArChoice:
    """Choose the configuration with the lowest RMSE on the test periods.

    With insufficient history for a comparison, the first configuration of the settings is chosen.

    Raises:
        TrainingError: DeepAR is required, and no configuration could be trained.
    """
    configurations = deepar_settings(run).configurations
    if trial.held:
        return DeepArChoice(configuration=configurations[0], why="", failed=trial.held)
    try:
        first = choose_without_comparison(records, configurations)
    except TrainingError as error:
        if required:
            raise
        return DeepArChoice(configuration=configurations[0], why="", failed=str(error))
    if first is not None:
        say(f"deepar: {first.configuration.label}, {first.why}")
        return first
    inputs = ChoiceInputs(panel=panel.panel, trial=trial, records=records)
    choice, state = CHOICE.run(run, inputs, QuantileSlice.of(run.settings))
    say(f"deepar: {choice.configuration.label}, {choice.why}")
    description = f"DeepAR configurations on the {trial.window} periods after period {trial.known}, best first"
    show_table(run, "deepar-configurations", choice.summary["configurations"], description)
    return state


@task(name="train best configuration", task_run_name="train deepar on all data", cache_policy=NO_CACHE)
def train_best(run: RunContext, panel: PanelRecord, choice: DeepArChoice) -> State[DeepArModelRecord]:
    """Train the chosen configuration on all periods before ``as_of``; a weekly run uses this model."""
    inputs = deepar.TrainingInputs(panel=panel.panel, choice=choice)
    record, state = MODEL.run(run, inputs, deepar_slice(run), deepar_tools(run))
    say(f"model: {record.model.job}, {record.model.archive.key}")
    return state
