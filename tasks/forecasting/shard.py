"""One shard of the forecasting work: a model on some series, over folds and the horizon."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from itertools import chain

import numpy as np
import pandas as pd
from pydantic import Field

from schemas.errors import TrainingError
from schemas.facts import ModelContext
from schemas.protocols import Forecaster
from schemas.records import ForecastRecord, PanelRef, Record, TableRef
from schemas.run import ShardSpec
from schemas.settings.slices import FoldsSlice, ModelSlice
from tasks.demand.folds import rolling_folds
from tasks.demand.stored import has_events, load_panel, periods_with_demand
from tasks.forecasting.fold_forecasts import forecast_folds
from tasks.forecasting.registry import create
from tasks.storage.arrow_tables import PART_ROWS, of_size
from tasks.storage.lake import Lake
from tasks.storage.machine import Cores


class ShardInputs(Record):
    """Inputs of a shard.

    Attributes:
        panel: history and horizon.
        shard: model, series, folds, and whether the horizon is forecast.
        remarks: what a tuning found, passed on to the record's notes.
        files: SHA-256 of the files outside the lake that the model reads.
    """

    panel: PanelRef
    shard: ShardSpec
    remarks: tuple[str, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)


def forecast_shard(lake: Lake, inputs: ShardInputs, use: FoldsSlice, cores: Cores) -> ForecastRecord:
    """Fit the shard's model on every fold and on the whole history, and store its forecasts.

    Args:
        lake: holds the panel; the forecasts go there.
        inputs: panel and shard.
        use: the model's settings, quantiles, folds and seed.
        cores: processes and threads that the model may use.

    Raises:
        TrainingError: the processes that fit the model were stopped.
    """
    return forecast_with(create_model(inputs.shard.model, use, cores), lake, inputs, use)


def create_model(name: str, use: ModelSlice, cores: Cores) -> Forecaster:
    """The forecaster of a model, from its slice of the settings."""
    context = ModelContext(tuple(use.quantiles), use.country, cores.workers, cores.threads)
    return create(name, use.model, context)


def forecast_with(forecaster: Forecaster, lake: Lake, inputs: ShardInputs, use: FoldsSlice) -> ForecastRecord:
    """Forecast a shard with a forecaster (see :func:`forecast_shard`)."""
    shard = inputs.shard
    series = None if shard.series is None else np.array(shard.series)
    if series is not None and not has_events(lake, inputs.panel):
        known = periods_with_demand(lake, inputs.panel)
        loaded, series = load_panel(lake, inputs.panel, use.period, series), None
    else:
        loaded, known = load_panel(lake, inputs.panel, use.period), None
    folds = rolling_folds(loaded, **use.backtest.model_dump(), some_known=known)
    paths: list[pd.DataFrame] = []
    parts: list[TableRef] = []

    def keep_parts(frames: Iterator[pd.DataFrame]) -> None:
        first = next(frames, None)
        if first is not None:
            rows = of_size(chain([first], frames), PART_ROWS)
            parts.append(lake.write_parts(f"parts/{shard.model}", rows))

    try:
        found = forecast_folds(
            forecaster,
            loaded,
            [folds[number] for number in shard.folds],
            shard.live,
            use.quantiles,
            use.seed,
            paths.append,
            keep_parts,
            series=series,
        )
    except BrokenProcessPool as error:
        raise TrainingError(why_ended(shard.model, error)) from None
    return ForecastRecord(
        model=shard.model,
        table=lake.write_parts(f"forecasts/{shard.model}", found.row_groups()),
        series=loaded.n if shard.series is None else len(shard.series),
        live=shard.live,
        paths=lake.write_table(f"paths/{shard.model}", paths[0]) if paths else None,
        parts=parts[0] if parts and parts[0].rows else None,
        failures=found.failures,
        notes=[*inputs.remarks, *found.notes],
        files=inputs.files,
    )


def why_ended(model: str, error: BrokenProcessPool) -> str:
    """The message if the processes that fit a model were ended from outside.

    >>> why_ended("arima", BrokenProcessPool("exit codes {SIGTERM(-15)}"))[:63]
    'arima: its processes were stopped: the run was cancelled, or it'
    """
    cause = "the run was cancelled, or its machine shut down"
    if "SIGTERM" not in str(error):
        cause = "often because memory ran out (use fewer compute.workers, or a larger machine)"
    return (
        f"{model}: its processes were stopped: {cause}. Start the run again with the same date: finished stages are "
        "reused."
    )
