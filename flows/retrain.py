"""Flow: tune and train the models again, for example after drift."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.first_stages import flow_run_name, ingest_stage, panel_stage, task_runner
from flows.own_stages import AT_THE_END, OWN_STAGES
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from flows.stages import compare_stage, forecast_stage
from schemas.records import ComparisonRecord
from tasks.forecasting.registry import own_stage_models


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
    for model in own_stage_models(run.settings):
        OWN_STAGES[model].tune(run, panel)
    return compare_stage(run, panel, forecast_stage(run, panel)).result()
