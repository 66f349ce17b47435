"""Flow: hyperparameter tuning of the best DeepAR configuration."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.deepar_stages import tune_stage
from flows.preparation import prepare_run
from flows.stages import AT_THE_END, flow_run_name, ingest_stage, panel_stage, task_runner
from schemas.deepar import TuningRecord


@flow(name="tune_deepar", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
def tune_deepar(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> TuningRecord:
    """Search DeepAR's hyperparameters for the best configuration and tell the settings to keep.

    Args:
        settings_file: Path of the settings file (YAML), as the worker sees it.
        as_of: First day that is not known (YYYY-MM-DD); today when empty.
        force: Compute again what the lake already holds.
        overrides: Settings to change for this run, one key.path=value each, such as horizon=14.
    """
    run = prepare_run(settings_file, as_of, overrides, force=force)
    return tune_stage(run, panel_stage(run, ingest_stage(run)))
