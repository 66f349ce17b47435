"""Tasks: plan the forecasting shards, forecast one shard, and summarize the forecasts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas.records import ForecastRecord, PanelRecord, TreeTuningRecord
from schemas.run import RunContext, ShardSpec
from schemas.settings import Settings
from schemas.settings.slices import FoldsSlice
from tasks.demand.folds import rolling_folds
from tasks.demand.stored import load_panel
from tasks.forecasting.progress import duration
from tasks.forecasting.registry import model_files, model_names, module_of
from tasks.forecasting.shard import ShardInputs, forecast_shard
from tasks.forecasting.shards import shards, summary_rows
from tasks.forecasting.trees.tuning import with_parameters
from tasks.stages.deepar_tools import show_billed
from tasks.stages.stage import Stage
from tasks.stages.support import say, show_table
from tasks.storage.lake import RECORDS, Lake, open_lake

FORECAST = Stage("forecast", ForecastRecord, forecast_shard)


@task(name="plan shards", task_run_name="plan shards", cache_policy=NO_CACHE)
def plan_shards(run: RunContext, panel: PanelRecord) -> list[ShardSpec]:
    """Plan the shards of all models: global models by fit, local models by series."""
    lake = open_lake(run.settings.storage)
    loaded = load_panel(lake, panel.panel, run.settings.period)
    folds = rolling_folds(loaded, **run.settings.backtest.model_dump())
    planned = shards(run.settings, loaded, folds)
    say(f"{len(planned)} shards over {len(folds)} folds and the horizon{last_time(lake, planned)}")
    fitted = {spec.model for spec in planned}
    if without := [name for name in model_names(run.settings) if name not in fitted]:
        why = "every history is too short, or its allowed time is too short for the number of series"
        say(f"not fitted: {', '.join(without)}: {why}")
    return planned


@task(name="forecast shard", cache_policy=NO_CACHE)
def forecast_model_shard(
    run: RunContext, panel: PanelRecord, spec: ShardSpec, tuned: TreeTuningRecord | None = None
) -> State[ForecastRecord]:
    """Fit one model on one shard of series and forecast its folds and the horizon, with tuned parameters if any."""
    use = model_slice(run.settings, spec.model, tuned)
    given = ShardInputs(
        panel=panel.panel,
        shard=spec.unnumbered(),
        remarks=(tuned.note,) if tuned else (),
        files=model_files(spec.model, use.model),
    )
    stage = FORECAST.of(spec.model, module_of(spec.model))
    record, state = stage.run_as_work(run, spec.title, given, use)
    say_shard(spec, record)
    return state


def last_time(lake: Lake, planned: Sequence[ShardSpec]) -> str:
    """How long the latest stored shards of these models took, as the end of a sentence; empty if one has none."""
    total = 0.0
    for model, count in Counter(spec.model for spec in planned).items():
        stage = FORECAST.of(model).name
        stored = lake.objects(f"{RECORDS}/{stage}")
        latest = sorted(stored, key=lambda key: stored[key].modified)[-count:]
        records = [lake.load_record(stage, PurePosixPath(key).stem) or {} for key in latest]
        seconds = [float(record.get("seconds", 0.0)) for record in records]
        if not seconds:
            return ""
        total += count * sum(seconds) / len(seconds)
    return f"; the last ones took {duration(total)}, one after the other"


def model_slice(settings: Settings, name: str, tuned: TreeTuningRecord | None) -> FoldsSlice:
    """The settings that the forecasts of a model depend on, with the parameters that tuning found."""
    use = FoldsSlice.of(settings, model=settings.models.named().get(name))
    return use if tuned is None else with_parameters(use, tuned.parameters)


def say_shard(spec: ShardSpec, record: ForecastRecord) -> None:
    """Log what a shard has forecast."""
    say(f"{spec.model}: {record.series:,} series, {len(record.failures):,} fell back, {record.seconds:.0f} s")


@task(name="summarize forecasts", task_run_name="summarize forecasts", cache_policy=NO_CACHE)
def summarize_forecasts(run: RunContext, forecasts: list[ForecastRecord]) -> None:
    """Show series, fallbacks and running time of each model as an artifact."""
    description = "Series per model; a costly local model forecasts only the largest series"
    show_table(run, "forecasts", summary_rows(forecasts), description)
    show_billed(run, [job for record in forecasts for job in record.billed])
