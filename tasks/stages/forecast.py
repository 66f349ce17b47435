"""Tasks: which forecasting work there is, and one shard of it."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas.deepar import DEEPAR, DeepArChoice
from schemas.errors import TrainingError
from schemas.records import ForecastRecord, PanelRecord, TreeTuningRecord
from schemas.run import RunContext, ShardSpec
from tasks.demand.folds import rolling_folds
from tasks.demand.stored import load_panel
from tasks.forecasting.fold_forecasts import forecast_folds
from tasks.forecasting.registry import make_forecaster
from tasks.forecasting.shards import shards
from tasks.forecasting.trees.tuning import with_parameters
from tasks.stages.deepar_jobs import deepar_forecaster, deepar_settings
from tasks.stages.support import run_stage, say, show_table
from tasks.storage.lake import open_lake


@task(name="plan shards", task_run_name="plan shards", cache_policy=NO_CACHE)
def plan_shards(run: RunContext, panel: PanelRecord) -> list[ShardSpec]:
    """The shards of all models: a global model by fold, a local one by series."""
    loaded = load_panel(open_lake(run.settings.storage), run, panel)
    folds = rolling_folds(loaded, **run.settings.backtest.model_dump())
    planned = shards(run.settings, loaded, len(folds))
    say(f"{len(planned)} shards over {len(folds)} folds and the horizon")
    return planned


@task(name="forecast shard", cache_policy=NO_CACHE, tags=["cpu-fit"])
def forecast_shard(
    run: RunContext,
    panel: PanelRecord,
    spec: ShardSpec,
    choice: DeepArChoice | None = None,
    tuned: TreeTuningRecord | None = None,
) -> State[ForecastRecord]:
    """Fit one model on one shard of series, for its folds and for the horizon.

    DeepAR in the chosen configuration, a tuned tree model with the parameters that were found.
    """
    if tuned is not None:
        run = run.model_copy(update={"settings": with_parameters(run.settings, tuned.model, tuned.parameters)})
    settings, remarks = run.settings, [tuned.note] if tuned else []
    parts: dict[str, object] = {
        "panel": {name: ref.sha256 for name, ref in panel.frames.items()},
        "shard": spec.model_dump(mode="json", exclude={"number", "of"}),
        "model": _read_by(spec, run, choice),
        "remarks": remarks,
        **settings.model_dump(mode="json", include={"frequency", "country", "quantiles", "backtest", "seed"}),
    }
    record, state = run_stage(
        run, f"forecast-{spec.model}", parts, ForecastRecord, lambda: _forecast(run, panel, spec, choice, remarks)
    )
    say(f"{spec.model}: {record.series:,} series, {len(record.failures):,} fell back, {record.seconds:.0f} s")
    return state


def _read_by(spec: ShardSpec, run: RunContext, choice: DeepArChoice | None) -> object:
    """The settings that a model reads."""
    if spec.model == DEEPAR:
        configuration = choice.configuration.model_dump(mode="json") if choice else None
        return {**deepar_settings(run).read_by_training(), "configuration": configuration}
    model = getattr(run.settings.models, spec.model, None)
    return model.model_dump(mode="json") if model else None


def _forecast(
    run: RunContext, panel: PanelRecord, spec: ShardSpec, choice: DeepArChoice | None, remarks: list[str]
) -> ForecastRecord:
    lake = open_lake(run.settings.storage)
    loaded = load_panel(lake, run, panel)
    folds = rolling_folds(loaded, **run.settings.backtest.model_dump())
    paths: list[pd.DataFrame] = []
    try:
        frame, failures, notes = forecast_folds(
            deepar_forecaster(run, lake, choice) if spec.model == DEEPAR else make_forecaster(spec.model, run.settings),
            loaded if spec.series is None else loaded.take(np.array(spec.series)),
            [folds[number] for number in spec.folds],
            spec.live,
            run.settings.quantiles,
            run.settings.seed,
            paths.append,
        )
    except BrokenProcessPool as error:
        raise TrainingError(why_ended(spec.model, error)) from None
    return ForecastRecord(
        model=spec.model,
        table=lake.write_table(f"forecasts/{spec.model}", frame),
        series=loaded.n if spec.series is None else len(spec.series),
        live=spec.live,
        paths=lake.write_table(f"paths/{spec.model}", paths[0]) if paths else None,
        failures=failures,
        notes=[*remarks, *notes],
    )


def why_ended(model: str, error: BrokenProcessPool) -> str:
    """What to tell where the processes that fit a model were ended from outside.

    >>> why_ended("arima", BrokenProcessPool("exit codes {SIGTERM(-15)}"))[:63]
    'arima: its processes were stopped: the run was cancelled, or it'
    """
    cause = "the run was cancelled, or its machine shut down"
    if "SIGTERM" not in str(error):
        cause = "often memory ran out (fewer expert.compute.workers, or a larger machine)"
    return (
        f"{model}: its processes were stopped: {cause}. Start the run again with the same date: finished stages are "
        "reused."
    )


@task(name="summarise forecasts", task_run_name="summarise forecasts", cache_policy=NO_CACHE)
def summarise_forecasts(run: RunContext, forecasts: list[ForecastRecord]) -> None:
    """An artifact: which model forecasts how many series, how many fell back, and what it took."""
    rows = []
    for model in dict.fromkeys(record.model for record in forecasts):
        shards = [record for record in forecasts if record.model == model]
        fell_back = {(failure.store_id, failure.category) for record in shards for failure in record.failures}
        rows.append(
            {
                "model": model,
                "series": sum(record.series for record in shards if record.live),
                "fell back": len(fell_back),
                "seconds": round(sum(record.seconds for record in shards)),
                "notes": "; ".join(dict.fromkeys(note for record in shards for note in record.notes)),
            }
        )
    show_table(run, "forecasts", rows, "Series per model; a model of single series serves the largest ones only")
