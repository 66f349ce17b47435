"""Task: calibrate the overstock cost by replaying past weeks."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from schemas import columns as c
from schemas.records import CalibrationRecord, ComparisonRecord, IngestRecord, PanelRecord
from schemas.run import RunContext
from schemas.settings.slices import PlanSlice, ReplaySlice
from tasks.evaluation.replay import (
    CalibrationInputs,
    PastForecasts,
    PastInputs,
    calibrate_overstock,
    forecast_past,
    replay_model,
)
from tasks.forecasting.registry import facts, module_of
from tasks.inventory.inputs import plan_inputs
from tasks.stages.stage import Stage
from tasks.stages.support import cores_of, say, show_table

PAST = Stage("calibration-forecasts", PastForecasts, forecast_past)
CALIBRATE = Stage("calibrate", CalibrationRecord, calibrate_overstock)


@task(name="calibrate", task_run_name="calibrate", cache_policy=NO_CACHE)
def calibrate_costs(
    run: RunContext, ingested: IngestRecord, panel: PanelRecord, comparison: ComparisonRecord
) -> State[CalibrationRecord]:
    """Replay past weeks, choose the cheapest overstock cost multiplier, and show the replay costs as an artifact."""
    settings = run.settings.inventory
    if not settings.calibration.enabled or not settings.has_holding_cost:
        return Completed(data=CalibrationRecord(), message="calibrate: skipped (disabled, or no holding cost)")
    named = run.settings.models.named()
    replayable = [name for name, model in facts().items() if model.replayable and name in named]
    model = replay_model(replayable, [str(row[c.MODEL]) for row in comparison.summary["models"]])
    past, _ = PAST.of(model, module_of(model)).run(
        run,
        PastInputs(panel=panel.panel, model=model),
        ReplaySlice.of(run.settings, model=named.get(model)),
        cores_of(run),
    )
    given = plan_inputs(ingested, panel, comparison, CalibrationRecord())
    inputs = CalibrationInputs(panel=panel.panel, given=given, as_of=run.as_of, forecasts=past.table)
    record, state = CALIBRATE.run(run, inputs, PlanSlice.of(run.settings))
    for note in record.notes:
        say(note)
    show_table(run, "replay-costs", record.summary["costs"], "Replay cost of past weeks by cycle service level")
    return state
