"""Flow: read and validate the input tables."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.first_stages import flow_run_name, ingest_stage, task_runner
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from schemas.records import IngestRecord
from tasks.stages.ingest import write_rejected_rows


@flow(name="ingest_sales", flow_run_name=flow_run_name, task_runner=task_runner)
@describe_parameters
def ingest_sales(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> IngestRecord:
    """Read the input tables and validate them. Invalid rows go to quarantine, with the reason."""
    run = prepare_run(settings_file, as_of, overrides, force=force)
    return write_rejected_rows(run, ingest_stage(run).result())
