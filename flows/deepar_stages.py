"""The stages of DeepAR: configurations in parallel, the best on everything known, tuning, an endpoint."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from prefect.futures import PrefectFuture

from flows.submitting import Runner, deepar_runner, done, submit
from schemas.deepar import (
    ConfigurationRecord,
    DeepArChoice,
    DeepArModelRecord,
    DeepArTrial,
    EndpointRecord,
    TuningRecord,
)
from schemas.records import PanelRecord
from schemas.run import RunContext
from tasks.stages.deepar import (
    choose_configuration,
    plan_configurations,
    train_best,
    train_configuration,
    tune_best,
)
from tasks.stages.deepar_endpoint import deploy_models
from tasks.stages.deepar_tools import deepar_settings


class Configurations(NamedTuple):
    """DeepAR's configurations of a run, trained and compared."""

    trial: PrefectFuture[DeepArTrial]
    records: list[PrefectFuture[ConfigurationRecord]]
    choice: PrefectFuture[DeepArChoice]

    @property
    def futures(self) -> list[PrefectFuture[Any]]:
        """Everything submitted, in order: read in this order, a failure is reported by the task that failed."""
        return [*self.records, self.choice]


def configurations_stage(
    run: RunContext, panel: PrefectFuture[PanelRecord], runner: Runner | None, before_folds: bool
) -> Configurations:
    """The best DeepAR configuration: trained in parallel, compared on the same periods."""
    trial = done(plan_configurations, run, panel, before_folds)
    given = deepar_settings(run).configurations
    compared = given if trial.result().window and not (before_folds and len(given) == 1) else []
    records = [
        submit(
            runner,
            train_configuration.with_options(task_run_name=f"train deepar {configuration.label}"),
            run=run,
            panel=panel,
            trial=trial,
            configuration=configuration,
        )
        for configuration in compared
    ]
    choice = submit(runner, choose_configuration, run=run, panel=panel, trial=trial, records=records)
    return Configurations(trial, records, choice)


def train_stage(run: RunContext, panel: PrefectFuture[PanelRecord]) -> DeepArModelRecord:
    """Configurations compared on the last horizon before ``as_of``; the best is trained on everything known."""
    with deepar_runner(run) as runner:
        best, _ = _trained(run, panel, runner)
        return best.result()


def tune_stage(run: RunContext, panel: PrefectFuture[PanelRecord]) -> TuningRecord:
    """Configurations as for training, then a search of the best one's hyperparameters."""
    with deepar_runner(run) as runner:
        compared = configurations_stage(run, panel, runner, before_folds=False)
        _wait(compared)
        tuned = submit(runner, tune_best, run=run, panel=panel, trial=compared.trial, choice=compared.choice)
        return cast(TuningRecord, tuned.result())


def deploy_stage(run: RunContext, panel: PrefectFuture[PanelRecord]) -> EndpointRecord:
    """The best model and its challengers, each trained on everything known, on one endpoint."""
    with deepar_runner(run) as runner:
        best, compared = _trained(run, panel, runner)
        choice = compared.choice.result()
        others = [one for one in deepar_settings(run).configurations if one != choice.configuration]
        challengers = [
            submit(
                runner,
                train_best.with_options(task_run_name=f"train deepar challenger {configuration.label}"),
                run=run,
                panel=panel,
                choice=choice.model_copy(update={"configuration": configuration, "why": "challenger"}),
            )
            for configuration in others[: deepar_settings(run).sagemaker.endpoint.max_models - 1]
        ]
        for future in challengers:
            future.result()
        deployed = submit(runner, deploy_models, run=run, models=[best, *challengers])
        return cast(EndpointRecord, deployed.result())


def _trained(
    run: RunContext, panel: PrefectFuture[PanelRecord], runner: Runner | None
) -> tuple[PrefectFuture[DeepArModelRecord], Configurations]:
    compared = configurations_stage(run, panel, runner, before_folds=False)
    _wait(compared)
    best = submit(runner, train_best, run=run, panel=panel, choice=compared.choice)
    best.result()
    return best, compared


def _wait(compared: Configurations) -> None:
    for future in compared.futures:
        future.result()
