"""Flow: validated ingestion only."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.preparation import prepare_run
from flows.stages import flow_run_name, ingest_stage, task_runner
from schemas.records import IngestRecord


@flow(name="ingest_sales", flow_run_name=flow_run_name, task_runner=task_runner)
def ingest_sales(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> IngestRecord:
    """Read the source tables, check them against their contracts and keep what is sound.

    Args:
        settings_file: Path of the settings file (YAML), as the worker sees it.
        as_of: First day that is not known (YYYY-MM-DD); today when empty.
        force: Compute again what the lake already holds.
        overrides: Settings to change for this run, one key.path=value each, such as horizon=14.
    """
    run = prepare_run(settings_file, as_of, overrides, force=force)
    return ingest_stage(run).result()
