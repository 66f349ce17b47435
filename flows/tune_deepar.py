"""Flow: tune the hyperparameters of the best DeepAR configuration."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.deepar_stages import tune_stage
from flows.first_stages import flow_run_name, ingest_stage, panel_stage, task_runner
from flows.own_stages import AT_THE_END
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from schemas.deepar import TuningRecord


@flow(name="tune_deepar", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
@describe_parameters
def tune_deepar(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> TuningRecord:
    """Tune the hyperparameters of DeepAR's best configuration and print the settings to keep."""
    run = prepare_run(settings_file, as_of, overrides, force=force)
    return tune_stage(run, panel_stage(run, ingest_stage(run)))
