"""Task: compute deliveries, order-up-to levels and targets from the champions' forecasts."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas import columns as c
from schemas.records import CalibrationRecord, ComparisonRecord, IngestRecord, PanelRecord, PlanRecord
from schemas.run import RunContext
from schemas.settings.slices import PlanSlice
from tasks.inventory.inputs import plan_inputs
from tasks.inventory.plan_week import WeekInputs, plan_week
from tasks.report.artifact_tables import with_first
from tasks.stages.stage import Stage
from tasks.stages.support import log_alarms, say, show_table

OPTIMIZE = Stage("optimize", PlanRecord, plan_week)

# First columns of the artifact; the UI cuts off the last ones.
COSTS_FIRST = (c.POLICY, c.CHOSEN, c.TOTAL, c.LOWER_BOUND, c.GAP, c.FILL_RATE)


@task(name="optimize", task_run_name="optimize", cache_policy=NO_CACHE)
def optimize_plan(
    run: RunContext,
    ingested: IngestRecord,
    panel: PanelRecord,
    comparison: ComparisonRecord,
    calibration: CalibrationRecord,
) -> State[PlanRecord]:
    """Compare the policies, select one, split its levels to SKUs, and show costs and shortages as artifacts."""
    given = plan_inputs(ingested, panel, comparison, calibration)
    inputs = WeekInputs(given=given, as_of=run.as_of, calibration=calibration)
    record, state = OPTIMIZE.run(run, inputs, PlanSlice.of(run.settings))
    for note in record.notes:
        say(note)
    log_alarms(record.alarms)
    say(f"selected policy: {record.chosen}")
    costs = with_first(record.summary["costs"], *COSTS_FIRST)
    show_table(run, "costs", costs, "Expected cost of each policy on sample paths that planning did not use")
    if record.summary["shortages"]:
        show_table(run, "shortages", record.summary["shortages"], "Shortages by constraint, store, category and SKU")
    return state
