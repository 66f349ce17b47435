"""Tasks: DeepAR's configurations in parallel, the best of them, its final training, and its tuning."""

from __future__ import annotations

from typing import Any

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas import columns as c
from schemas.deepar import (
    ConfigurationRecord,
    DeepArChoice,
    DeepArModelRecord,
    DeepArTrial,
    TrainingRequest,
    TuningRecord,
    TuningRequest,
    TuningResult,
)
from schemas.errors import TrainingError
from schemas.panel import Fold, Panel
from schemas.records import PanelRecord
from schemas.run import RunContext
from schemas.settings import WHOLE_NUMBERS, DeepArConfiguration
from tasks.deepar.trial import plan_trial
from tasks.demand.folds import rolling_folds
from tasks.demand.stored import load_panel
from tasks.evaluation.backtest.split import attach_actuals
from tasks.evaluation.metrics.table import OVERALL, metrics_table, seasonal_scales
from tasks.forecasting.fold_forecasts import forecast_folds
from tasks.forecasting.statistical.per_series import is_too_young
from tasks.stages.deepar_jobs import JobBoard, deepar_backend, deepar_settings, forecaster_of
from tasks.stages.support import rows_of, run_stage, say, show_markdown, show_table
from tasks.storage.lake import open_lake

# Configurations whose RMSE is within one percent of the lowest count as equal.
EQUAL_RMSE = 1.01
COMPARED = [c.RMSE, c.MAE, c.WAPE, c.WQL, c.SHARE_EXCELLENT, c.SHARE_GOOD, c.SHARE_ACCEPTABLE, c.SHARE_POOR, c.N]


@task(name="plan configurations", task_run_name="plan deepar configurations", cache_policy=NO_CACHE)
def plan_configurations(run: RunContext, panel: PanelRecord, before_folds: bool) -> DeepArTrial:
    """Which periods the configurations are trained and compared on.

    ``train-deepar`` compares them on the last horizon before ``as_of``. A weekly run compares them on the
    horizon before its first fold: compared any later, the choice would know what the folds are to test.
    """
    loaded = load_panel(open_lake(run.settings.storage), run, panel)
    folds = rolling_folds(loaded, **run.settings.backtest.model_dump()) if before_folds else []
    trial = plan_trial(loaded, folds[0].known_periods if folds else loaded.history)
    if trial.note:
        say(trial.note)
    return trial


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
    forecaster = forecaster_of(run, lake, configuration, tested)
    frame, failures, _ = forecast_folds(
        forecaster, base, [_fold(base, trial)], False, run.settings.quantiles, run.settings.seed
    )
    if len(failures) == base.n:
        raise TrainingError(failures[0].reason)
    return ConfigurationRecord(
        configuration=configuration,
        model=forecaster.trained,
        forecast=lake.write_table("deepar/forecasts", frame.assign(**{c.MODEL: configuration.label})),
    )


def _fold(base: Panel, trial: DeepArTrial) -> Fold:
    return Fold(base.periods[trial.known], trial.known)


@task(name="choose configuration", task_run_name="choose deepar configuration", cache_policy=NO_CACHE)
def choose_configuration(
    run: RunContext, panel: PanelRecord, trial: DeepArTrial, records: list[ConfigurationRecord]
) -> State[DeepArChoice] | DeepArChoice:
    """The configuration with the lowest RMSE on the test periods.

    Where another is within 1 % of it, the larger share of forecasts within 10 % of the actual decides (the
    study's criterion of acceptance).

    All are held against the same actuals, those of the cleaned demand: the study held each against its own.

    Raises:
        TrainingError: no configuration could be trained.
    """
    done = [record for record in records if record.forecast is not None]
    if not done:
        broken = [record.failed for record in records if not is_too_young(record.failed)]
        if broken:
            raise TrainingError("DeepAR: no configuration could be trained. " + "; ".join(broken))
        first = deepar_settings(run).configurations[0]
        why = "the first of the settings: too little is known to compare" + "".join(
            f" ({r.failed})" for r in records[:1]
        )
        say(f"deepar: {first.label}, {why}")
        return DeepArChoice(configuration=first, why=why)
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
    ranked = _ranked(overall)
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
        why=f"RMSE {ranked[c.RMSE].iloc[0]:.4g} over {trial.window} periods, the best of {len(ranked)}",
        summary={"configurations": shown},
    )


def _ranked(overall: pd.DataFrame) -> pd.DataFrame:
    """Configurations, best first: by RMSE, equal ones by the share of forecasts within 10 % of the actual."""
    equal = overall[c.RMSE] <= EQUAL_RMSE * overall[c.RMSE].min()
    accepted = overall[c.SHARE_EXCELLENT] + overall[c.SHARE_GOOD]
    order = pd.DataFrame({"apart": ~equal, "missed": (1.0 - accepted).where(equal, 0.0), c.RMSE: overall[c.RMSE]})
    return overall.loc[order.sort_values(["apart", "missed", c.RMSE], kind="stable").index]


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
    fitted = forecaster_of(run, lake, choice.configuration).fit(load_panel(lake, run, panel), run.settings.seed)
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
    training = forecaster_of(run, lake, choice.configuration, base).request(known, run.settings.seed)
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
