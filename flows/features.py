"""Flow: build the demand panel with its features."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.first_stages import flow_run_name, ingest_stage, panel_stage, task_runner
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from schemas.records import PanelRecord


@flow(name="build_features", flow_run_name=flow_run_name, task_runner=task_runner)
@describe_parameters
def build_features(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> PanelRecord:
    """Build the demand panel: known and unknown demand, the calendar and the other covariates."""
    run = prepare_run(settings_file, as_of, overrides, force=force)
    return panel_stage(run, ingest_stage(run)).result()
