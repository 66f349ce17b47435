"""DeepAR's part of a run: shards, configurations, the final training and the tuning, from references to records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from schemas import columns as c
from schemas.deepar import (
    DEEPAR,
    ConfigurationRecord,
    DeepArBackend,
    DeepArChoice,
    DeepArModelRecord,
    DeepArTrial,
    Report,
    TrainingRequest,
    TuningRecord,
    TuningRequest,
    TuningResult,
)
from schemas.errors import TrainingError
from schemas.panel import Panel
from schemas.records import ForecastRecord, PanelRef, Record
from schemas.settings import WHOLE_NUMBERS, DeepArConfiguration
from schemas.settings.slices import DeepArSlice, DeepArTraining, DeepArTuningSlice, FoldsSlice
from tasks.deepar.forecaster import DeepArForecaster
from tasks.deepar.trial import fold_of
from tasks.demand.stored import load_panel
from tasks.forecasting.fold_forecasts import forecast_folds
from tasks.forecasting.shard import ShardInputs, forecast_with
from tasks.storage.lake import Lake


class DeepArTools(NamedTuple):
    """The backend that trains DeepAR and the receiver of its progress; neither changes a result."""

    backend: DeepArBackend
    report: Report


# Created only if something is computed, because a backend opens sessions and imports large packages.
MakeTools = Callable[[], DeepArTools]


class DeepArShardInputs(ShardInputs):
    """A shard, and the configuration that forecasts it."""

    configuration: DeepArConfiguration


def forecast_deepar_shard(lake: Lake, inputs: DeepArShardInputs, use: FoldsSlice, tools: MakeTools) -> ForecastRecord:
    """Train one configuration on every fold and on the whole history, and store its forecasts.

    Raises:
        TrainingError: a job failed.
    """
    assert isinstance(use.model, DeepArTraining)
    made = tools()
    forecaster = DeepArForecaster(use.model, inputs.configuration, lake, *made)
    record = forecast_with(forecaster, lake, inputs, use)
    return record.model_copy(update={"billed": made.backend.billed})


def failed_shard(lake: Lake, inputs: DeepArShardInputs, reason: str) -> ForecastRecord:
    """The record of a shard without forecasts.

    Args:
        lake: where its empty table goes.
        inputs: the shard.
        reason: why it failed.
    """
    table = lake.write_table("deepar/failed", pd.DataFrame({c.MODEL: pd.Series([], dtype="str")}))
    note = f"{DEEPAR}: no forecasts: {reason}"
    return ForecastRecord(
        model=DEEPAR, table=table, series=0, live=inputs.shard.live, failed=reason, notes=[note.splitlines()[0]]
    )


class ConfigurationInputs(Record):
    """One configuration and the periods that it is trained and tested on."""

    panel: PanelRef
    trial: DeepArTrial
    configuration: DeepArConfiguration


def train_configuration(
    lake: Lake, inputs: ConfigurationInputs, use: DeepArSlice, tools: MakeTools
) -> ConfigurationRecord:
    """Train one configuration and forecast the trial's test periods.

    Raises:
        TrainingError: the job failed, or no series has enough history.
    """
    trial = inputs.trial
    base = load_panel(lake, inputs.panel, use.period).until(trial.history)
    tested = base if trial.window == base.horizon else None
    made = tools()
    forecaster = DeepArForecaster(use.deepar, inputs.configuration, lake, *made, tested)
    found = forecast_folds(forecaster, base, [fold_of(base, trial)], False, use.quantiles, use.seed)
    if len(found.failures) == base.n:
        raise TrainingError(found.failures[0].reason, found.failures[0].kind)
    return ConfigurationRecord(
        configuration=inputs.configuration,
        model=forecaster.trained,
        forecast=lake.write_table("deepar/forecasts", found.rows().assign(**{c.MODEL: inputs.configuration.label})),
        billed=made.backend.billed,
    )


class TrainingInputs(Record):
    """The chosen configuration and the panel that it is trained on."""

    panel: PanelRef
    choice: DeepArChoice


def train_chosen(lake: Lake, inputs: TrainingInputs, use: DeepArSlice, tools: MakeTools) -> DeepArModelRecord:
    """Train the chosen configuration on all periods before ``as_of``.

    Raises:
        TrainingError: the job failed, or no series has enough history.
    """
    panel = load_panel(lake, inputs.panel, use.period)
    forecaster = DeepArForecaster(use.deepar, inputs.choice.configuration, lake, *tools())
    fitted = forecaster.fit(panel, use.seed)
    if fitted.model is None or fitted.channel is None:
        raise TrainingError(f"DeepAR was not trained: {fitted.reason}")
    return DeepArModelRecord(choice=inputs.choice, model=fitted.model, channel=fitted.channel)


class TuningInputs(Record):
    """The configuration to tune, and the periods for it."""

    panel: PanelRef
    trial: DeepArTrial
    choice: DeepArChoice


def tune_chosen(lake: Lake, inputs: TuningInputs, use: DeepArTuningSlice, tools: MakeTools) -> TuningRecord:
    """Search the hyperparameters of the chosen configuration.

    Raises:
        TrainingError: no training finished, or the history is too short.
    """
    made, choice = tools(), inputs.choice
    base = load_panel(lake, inputs.panel, use.period).until(inputs.trial.history)
    known = _training_part(base, inputs.trial)
    forecaster = DeepArForecaster(use.deepar, choice.configuration, lake, *made, base)
    training = forecaster.request(known, use.seed)
    tuned = use.tuning
    static = {name: value for name, value in training.hyperparameters.items() if name not in tuned.ranges}
    request = TuningRequest(
        training=TrainingRequest(
            purpose=training.purpose, channel=training.channel, hyperparameters=static, seed=training.seed
        ),
        configurations=tuned.configurations,
        parallel=tuned.parallel,
        objective=tuned.objective,
        max_runtime_seconds=tuned.max_runtime_seconds,
        stop_without_progress=tuned.stop_without_progress,
        stop_at_convergence=tuned.stop_at_convergence,
        warm_start=tuned.warm_start == "previous",
        ranges={name: (r.min, r.max, r.scale, name in WHOLE_NUMBERS) for name, r in tuned.ranges.items()},
    )
    result = made.backend.tune(request, made.report)
    best = next(one for one in result.trials if one.job == result.best)
    chosen = {name: best.hyperparameters[name] for name in tuned.ranges}
    return TuningRecord(choice=choice, result=result, hyperparameters=chosen, settings=_settings_lines(choice, chosen))


def _training_part(base: Panel, trial: DeepArTrial) -> Panel:
    if trial.window < base.horizon:
        raise TrainingError(
            f"Tuning needs a whole horizon of {base.horizon} periods as test and twice as many before it; "
            f"{trial.history} are known. Shorten horizon, or tune when more is known"
        )
    return base.until(trial.known)


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


def trial_rows(result: TuningResult) -> list[dict[str, Any]]:
    """The trials of a search as rows of a table: the best first, those without a value last."""
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
