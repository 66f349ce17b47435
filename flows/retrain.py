"""Flow: tune and train the models again, for example after drift."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.deepar_stages import tune_stage
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from flows.stages import (
    AT_THE_END,
    compare_stage,
    flow_run_name,
    forecast_stage,
    ingest_stage,
    panel_stage,
    task_runner,
)
from schemas.records import ComparisonRecord


@flow(name="retrain_models", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
@describe_parameters
def retrain_models(
    settings_file: str,
    as_of: date | None = None,
    overrides: list[str] = [],  # noqa: B006
) -> ComparisonRecord:
    """Tune and train all models again without stored results, and compare them. Nothing is published.

    The next weekly run of the same as_of uses the results. An automation starts this flow after drift.
    """
    run = prepare_run(settings_file, as_of, overrides, force=True)
    panel = panel_stage(run, ingest_stage(run))
    if run.settings.models.deepar is not None:
        tune_stage(run, panel)
    return compare_stage(run, panel, forecast_stage(run, panel)).result()
