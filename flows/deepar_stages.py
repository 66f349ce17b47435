"""Submit the stages of DeepAR: training of the configurations, of the best one, tuning, and the endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.submitting import ModelTasks, Runner, done, submit, titled
from schemas.deepar import (
    ConfigurationRecord,
    DeepArChoice,
    DeepArModelRecord,
    DeepArTrial,
    EndpointRecord,
    TuningRecord,
)
from schemas.records import ForecastRecord, PanelRecord
from schemas.run import RunContext, ShardSpec
from tasks.stages.deepar import (
    choose_configuration,
    plan_configurations,
    train_best,
    train_configuration,
)
from tasks.stages.deepar_endpoint import deploy_models
from tasks.stages.deepar_forecast import forecast_with_deepar
from tasks.stages.deepar_tools import deepar_settings
from tasks.stages.deepar_tuning import tune_best

# SageMaker jobs to wait for at the same time. The backend limits how many of them run.
WAITING_AT_ONCE = 16


@contextmanager
def deepar_runner(run: RunContext) -> Iterator[Runner | None]:
    """Yield a task runner for SageMaker jobs, which only wait; None if training runs on this machine."""
    if deepar_settings(run).backend == "local":
        yield None
    else:
        with cast(Runner, ThreadPoolTaskRunner(max_workers=WAITING_AT_ONCE)) as runner:
            yield runner


class Configurations(NamedTuple):
    """The trained and compared DeepAR configurations of a run."""

    trial: PrefectFuture[DeepArTrial]
    records: list[PrefectFuture[ConfigurationRecord]]
    choice: PrefectFuture[DeepArChoice]

    @property
    def futures(self) -> list[PrefectFuture[Any]]:
        """All submitted tasks in order; waiting in this order reports the task that failed first."""
        return [*self.records, self.choice]


def configurations_stage(
    run: RunContext, panel: PrefectFuture[PanelRecord], runner: Runner | None, before_folds: bool
) -> Configurations:
    """Train DeepAR's configurations in parallel, compare them on the same periods and choose the best one.

    A weekly run (``before_folds``) continues without DeepAR if it fails, unless the settings require it.
    """
    required = not before_folds or deepar_settings(run).required
    trial = done(plan_configurations, run, panel, before_folds, required)
    given = deepar_settings(run).configurations
    held = bool(trial.result().held)
    compared = given if not held and trial.result().window and not (before_folds and len(given) == 1) else []
    records = [
        submit(
            runner,
            train_configuration.with_options(task_run_name=f"train deepar {configuration.label}"),
            run=run,
            panel=panel,
            trial=trial,
            configuration=configuration,
            required=required,
        )
        for configuration in compared
    ]
    choice = submit(runner, choose_configuration, run=run, panel=panel, trial=trial, records=records, required=required)
    return Configurations(trial, records, choice)


@contextmanager
def forecasting(run: RunContext, panel: PrefectFuture[PanelRecord]) -> Iterator[ModelTasks]:
    """Train and compare the configurations for a weekly run; the shards use the best one."""
    with deepar_runner(run) as runner:
        compared = configurations_stage(run, panel, runner, before_folds=True)

        def forecast(spec: ShardSpec) -> PrefectFuture[ForecastRecord]:
            shard = titled(forecast_with_deepar, spec)
            return submit(runner, shard, run=run, panel=panel, spec=spec, choice=compared.choice)

        yield ModelTasks(compared.futures, forecast)


def train_stage(run: RunContext, panel: PrefectFuture[PanelRecord]) -> DeepArModelRecord:
    """Compare the configurations on the last horizon before ``as_of``, then train the best one on all data."""
    with deepar_runner(run) as runner:
        best, _ = _trained(run, panel, runner)
        return best.result()


def tune_stage(run: RunContext, panel: PrefectFuture[PanelRecord]) -> TuningRecord:
    """Compare the configurations, then tune the hyperparameters of the best one."""
    with deepar_runner(run) as runner:
        compared = configurations_stage(run, panel, runner, before_folds=False)
        _wait(compared)
        tuned = submit(runner, tune_best, run=run, panel=panel, trial=compared.trial, choice=compared.choice)
        return cast(TuningRecord, tuned.result())


def deploy_stage(run: RunContext, panel: PrefectFuture[PanelRecord], adopt: bool = False) -> EndpointRecord:
    """Train the best configuration and its challengers on all data, and serve them on one endpoint."""
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
                choice=choice.model_copy(
                    update={"configuration": configuration, "why": "challenger", "challenger": True}
                ),
            )
            for configuration in others[: deepar_settings(run).sagemaker.endpoint.max_models - 1]
        ]
        for future in challengers:
            future.result()
        deployed = submit(runner, deploy_models, run=run, models=[best, *challengers], adopt=adopt)
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
