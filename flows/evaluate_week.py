"""Flow: compare published weeks with what was sold since."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.first_stages import flow_run_name, ingest_stage, panel_stage, task_runner
from flows.own_stages import AT_THE_END
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from flows.stages import evaluate_stage
from schemas.records import EvaluationRecord


@flow(name="evaluate_week", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
@describe_parameters
def evaluate_week(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> EvaluationRecord:
    """Compare every published week before as_of with what was sold since, and append to the performance tables.

    A week without new or corrected sales is skipped. Start it after each delivery of sales.
    """
    run = prepare_run(settings_file, as_of, overrides, force=force)
    ingested = ingest_stage(run)
    return evaluate_stage(run, ingested, panel_stage(run, ingested))
