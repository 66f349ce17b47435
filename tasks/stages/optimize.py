"""Task: visits, order-up-to levels and targets from the champions' forecasts."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas import columns as c
from schemas.records import CalibrationRecord, ComparisonRecord, IngestRecord, PanelRecord, PlanInputs, PlanRecord
from schemas.run import RunContext
from tasks.inventory.inputs import plan_inputs, weekly_inputs
from tasks.stages.support import rows_of, run_stage, say, show_table, with_first
from tasks.storage.lake import open_lake

# Rows of what could not be satisfied that the record itself keeps, for the artifact; the table has them all.
UNMET_KEPT = 200
# What an operator looks for, where the table in the UI is cut off at the right.
COSTS_FIRST = (c.POLICY, c.CHOSEN, c.TOTAL, c.LOWER_BOUND, c.GAP, c.FILL_RATE)
TABLES_MADE = (
    *("replenishment", "deliveries", "visits", "levels", "costs", "bounds"),
    *("stock_by_day", "category_totals", "explanations", "unmet"),
)


@task(name="optimise", task_run_name="optimise", cache_policy=NO_CACHE)
def optimise_inventory(
    run: RunContext,
    ingested: IngestRecord,
    panel: PanelRecord,
    comparison: ComparisonRecord,
    calibration: CalibrationRecord,
) -> State[PlanRecord]:
    """Compare the policies, choose one and split its levels to SKUs; the cost table as an artifact.

    Raises:
        PlanInfeasibleError: no plan can satisfy the limits.
    """
    given = plan_inputs(ingested, panel, comparison, calibration)
    parts: dict[str, object] = {
        "inputs": given.model_dump(mode="json"),
        "as_of": run.as_of.isoformat(),
        "calibration": calibration.notes,
        **run.settings.model_dump(mode="json", include={"inventory", "frequency", "horizon", "quantiles", "seed"}),
    }
    record, state = run_stage(run, "optimise", parts, PlanRecord, lambda: _optimise(run, given, calibration))
    for note in record.notes:
        say(note)
    say(f"chosen policy: {record.chosen}")
    costs = with_first(record.summary["costs"], *COSTS_FIRST)
    show_table(run, "costs", costs, "Expected cost of each policy, on paths not planned from")
    if record.summary["unmet"]:
        show_table(run, "unmet", record.summary["unmet"], "What limits did not grant, by store, category and SKU")
    return state


def _optimise(run: RunContext, given: PlanInputs, calibration: CalibrationRecord) -> PlanRecord:
    from tasks.inventory.weekly import optimise

    lake = open_lake(run.settings.storage)
    plan = optimise(weekly_inputs(lake, run.settings, run.as_of, given))
    return PlanRecord(
        tables={name: lake.write_table(f"plans/{name}", getattr(plan, name)) for name in TABLES_MADE},
        inputs=given,
        chosen=plan.chosen,
        notes=[*calibration.notes, *plan.notes],
        summary={
            "costs": rows_of(plan.costs),
            "unmet": rows_of(plan.unmet.head(UNMET_KEPT)),
            "calibration": calibration.summary.get("costs", []),
        },
    )
