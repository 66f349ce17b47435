"""Flow: backtest the models and select a champion per series."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.first_stages import flow_run_name, ingest_stage, panel_stage, task_runner
from flows.own_stages import AT_THE_END
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from flows.stages import compare_stage, forecast_stage
from schemas.records import ComparisonRecord


@flow(name="compare_models", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
@describe_parameters
def compare_models(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> ComparisonRecord:
    """Backtest the models on rolling-origin folds and select a champion per series."""
    run = prepare_run(settings_file, as_of, overrides, force=force)
    panel = panel_stage(run, ingest_stage(run))
    return compare_stage(run, panel, forecast_stage(run, panel)).result()
