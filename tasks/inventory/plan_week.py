"""The plan of a weekly run: reads inputs by reference and stores the tables of the plan in the lake."""

from __future__ import annotations

from datetime import date

from schemas.records import CalibrationRecord, PlanInputs, PlanRecord, Record
from schemas.settings.slices import PlanSlice
from tasks.inventory.inputs import weekly_inputs
from tasks.inventory.weekly import optimize
from tasks.storage.json_rows import rows_of
from tasks.storage.lake import Lake

# Rows of shortages in the record, for the artifact; the table has all rows.
SHORTAGES_KEPT = 200
TABLES_WRITTEN = (
    *("replenishment", "deliveries", "visits", "levels", "costs", "bounds"),
    *("stock_by_day", "category_totals", "explanations", "shortages"),
)


class WeekInputs(Record):
    """Inputs of the plan of a week.

    Attributes:
        given: references to forecasts, stock and tables.
        as_of: run date.
        calibration: result of the replay of past weeks.
    """

    given: PlanInputs
    as_of: date
    calibration: CalibrationRecord


def plan_week(lake: Lake, inputs: WeekInputs, use: PlanSlice) -> PlanRecord:
    """Compare the policies, select one and split its levels to SKUs."""
    plan = optimize(weekly_inputs(lake, use, inputs.as_of, inputs.given))
    return PlanRecord(
        tables={name: lake.write_table(f"plans/{name}", getattr(plan, name)) for name in TABLES_WRITTEN},
        inputs=inputs.given,
        chosen=plan.chosen,
        notes=[*inputs.calibration.notes, *plan.notes],
        alarms=list(plan.alarms),
        summary={
            "costs": rows_of(plan.costs),
            "shortages": rows_of(plan.shortages.head(SHORTAGES_KEPT)),
            "calibration": inputs.calibration.summary.get("costs", []),
        },
    )
