"""Flow: the baselines and the floors."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.preparation import prepare_run
from flows.stages import AT_THE_END, flow_run_name, forecast_stage, ingest_stage, panel_stage, task_runner
from schemas.records import ForecastRecord


@flow(name="fit_baselines", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
def fit_baselines(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> list[ForecastRecord]:
    """Fit every model of the settings and the floors, on the folds and on the horizon.

    Args:
        settings_file: Path of the settings file (YAML), as the worker sees it.
        as_of: First day that is not known (YYYY-MM-DD); today when empty.
        force: Compute again what the lake already holds.
        overrides: Settings to change for this run, one key.path=value each, such as horizon=14.
    """
    run = prepare_run(settings_file, as_of, overrides, force=force)
    panel = panel_stage(run, ingest_stage(run))
    return [future.result() for future in forecast_stage(run, panel)]
