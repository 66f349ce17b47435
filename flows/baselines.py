"""Flow: fit the models and the baselines."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.first_stages import flow_run_name, ingest_stage, panel_stage, task_runner
from flows.own_stages import AT_THE_END
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from flows.stages import forecast_stage
from schemas.records import ForecastRecord


@flow(name="fit_baselines", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
@describe_parameters
def fit_baselines(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> list[ForecastRecord]:
    """Fit the models named in the settings, and the baselines, on the folds and on the horizon."""
    run = prepare_run(settings_file, as_of, overrides, force=force)
    panel = panel_stage(run, ingest_stage(run))
    return [future.result() for future in forecast_stage(run, panel)]
