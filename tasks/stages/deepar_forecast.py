"""Task: forecast with the chosen DeepAR configuration."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from schemas.deepar import DEEPAR, DeepArChoice
from schemas.errors import ConfigError, TrainingError
from schemas.records import ForecastRecord, PanelRecord
from schemas.run import RunContext, ShardSpec
from schemas.settings.slices import FoldsSlice
from tasks.deepar.stage import DeepArShardInputs, failed_shard, forecast_deepar_shard
from tasks.stages.deepar_tools import deepar_settings, deepar_slice, deepar_tools
from tasks.stages.forecast import say_shard
from tasks.stages.stage import Stage
from tasks.stages.support import warn
from tasks.storage.lake import open_lake

FORECAST_DEEPAR = Stage("forecast-deepar", ForecastRecord, forecast_deepar_shard)
# State name of a task of DeepAR that failed in a run that does not require DeepAR.
FAILED = "Without forecasts"


@task(name="forecast with deepar", cache_policy=NO_CACHE)
def forecast_with_deepar(
    run: RunContext, panel: PanelRecord, spec: ShardSpec, choice: DeepArChoice
) -> State[ForecastRecord]:
    """Forecast a fold or the horizon. Where DeepAR is not required, its failure becomes a record without forecasts.

    Raises:
        TrainingError, ConfigError: DeepAR is required, and failed.
    """
    inputs = DeepArShardInputs(panel=panel.panel, shard=spec.unnumbered(), configuration=choice.configuration)
    if choice.failed:
        return _without_forecasts(run, inputs, choice.failed)
    use = FoldsSlice.of(run.settings, model=deepar_slice(run).deepar)
    try:
        record, state = FORECAST_DEEPAR.run(run, inputs, use, deepar_tools(run))
    except (TrainingError, ConfigError) as error:
        if deepar_settings(run).required:
            raise
        return _without_forecasts(run, inputs, str(error))
    say_shard(spec, record)
    if not (choice.billed and spec.live):
        return state
    # The jobs of the comparison are shown with those of the horizon.
    record = record.model_copy(update={"billed": [*choice.billed, *record.billed]})
    return Completed(data=record, name=state.name, message=state.message)


def _without_forecasts(run: RunContext, inputs: DeepArShardInputs, reason: str) -> State[ForecastRecord]:
    warn([f"{DEEPAR} failed: {reason}"])
    record = failed_shard(open_lake(run.settings.storage), inputs, reason)
    return Completed(data=record, name=FAILED, message=reason.splitlines()[0])
