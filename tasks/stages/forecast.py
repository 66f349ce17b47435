"""Tasks: plan the forecasting shards, forecast one shard, and summarize the forecasts."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from schemas.deepar import DEEPAR, DeepArChoice
from schemas.errors import ConfigError, TrainingError
from schemas.records import ForecastRecord, PanelRecord, TreeTuningRecord
from schemas.run import RunContext, ShardSpec
from schemas.settings.slices import FoldsSlice
from tasks.deepar.stage import DeepArShardInputs, failed_shard, forecast_deepar_shard
from tasks.demand.folds import rolling_folds
from tasks.demand.stored import load_panel
from tasks.forecasting.registry import model_files, module_of
from tasks.forecasting.shard import ShardInputs, forecast_shard
from tasks.forecasting.shards import shards, summary_rows
from tasks.stages.deepar_tools import deepar_settings, deepar_slice, deepar_tools, show_billed
from tasks.stages.stage import Stage
from tasks.stages.support import say, show_table, warn
from tasks.storage.lake import open_lake

FORECAST = Stage("forecast", ForecastRecord, forecast_shard)
FORECAST_DEEPAR = Stage("forecast-deepar", ForecastRecord, forecast_deepar_shard)
# State name of a task of DeepAR that failed in a run that does not require DeepAR.
FAILED = "Without forecasts"


@task(name="plan shards", task_run_name="plan shards", cache_policy=NO_CACHE)
def plan_shards(run: RunContext, panel: PanelRecord) -> list[ShardSpec]:
    """Plan the shards of all models: global models by fold, local models by series."""
    loaded = load_panel(open_lake(run.settings.storage), panel.panel, run.settings.period)
    folds = rolling_folds(loaded, **run.settings.backtest.model_dump())
    planned = shards(run.settings, loaded, len(folds))
    say(f"{len(planned)} shards over {len(folds)} folds and the horizon")
    return planned


@task(name="forecast shard", cache_policy=NO_CACHE)
def forecast_model_shard(
    run: RunContext,
    panel: PanelRecord,
    spec: ShardSpec,
    choice: DeepArChoice | None = None,
    tuned: TreeTuningRecord | None = None,
) -> State[ForecastRecord]:
    """Fit one model on one shard of series and forecast its folds and the horizon.

    DeepAR uses the chosen configuration; a tuned tree model uses the parameters that tuning found. Where DeepAR is not
    required, its failure becomes a record without forecasts.
    """
    # Number and count of a model's shards only name the task run; they are not part of the cache key.
    shard = spec.model_copy(update={"number": 1, "of": 1})
    if spec.model == DEEPAR:
        configuration = choice.configuration if choice else deepar_settings(run).configurations[0]
        inputs = DeepArShardInputs(panel=panel.panel, shard=shard, configuration=configuration)
        if choice and choice.failed:
            return _without_forecasts(run, inputs, choice.failed)
        use = FoldsSlice.of(run.settings, model=deepar_slice(run).deepar)
        try:
            record, state = FORECAST_DEEPAR.run(run, inputs, use, deepar_tools(run))
        except (TrainingError, ConfigError) as error:
            if deepar_settings(run).required:
                raise
            return _without_forecasts(run, inputs, str(error))
        if choice and choice.billed and spec.live:
            # The jobs of the comparison are shown with those of the horizon.
            record = record.model_copy(update={"billed": [*choice.billed, *record.billed]})
            state = Completed(data=record, name=state.name, message=state.message)
    else:
        model = run.settings.models.named().get(spec.model)
        if tuned is not None and model is not None:
            model = model.model_copy(update={**tuned.parameters, "tuning": None})
        remarks, files = (tuned.note,) if tuned else (), model_files(spec.model, model)
        given = ShardInputs(panel=panel.panel, shard=shard, remarks=remarks, files=files)
        stage = FORECAST.of(spec.model, module_of(spec.model))
        name = f"forecast {spec.model} {spec.number} of {spec.of}"
        record, state = stage.run_as_work(run, name, given, FoldsSlice.of(run.settings, model=model))
    say(f"{spec.model}: {record.series:,} series, {len(record.failures):,} fell back, {record.seconds:.0f} s")
    return state


def _without_forecasts(run: RunContext, inputs: DeepArShardInputs, reason: str) -> State[ForecastRecord]:
    warn([f"{DEEPAR} failed: {reason}"])
    record = failed_shard(open_lake(run.settings.storage), inputs, reason)
    return Completed(data=record, name=FAILED, message=reason.splitlines()[0])


@task(name="summarize forecasts", task_run_name="summarize forecasts", cache_policy=NO_CACHE)
def summarize_forecasts(run: RunContext, forecasts: list[ForecastRecord]) -> None:
    """Show series, fallbacks and running time of each model as an artifact."""
    description = "Series per model; a costly local model forecasts only the largest series"
    show_table(run, "forecasts", summary_rows(forecasts), description)
    show_billed(run, [job for record in forecasts for job in record.billed])
