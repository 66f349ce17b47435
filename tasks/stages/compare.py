"""Task: rolling-origin comparison, metrics and champions."""

from __future__ import annotations

from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from schemas.records import ComparisonRecord, ForecastRecord, PanelRecord
from schemas.run import RunContext
from schemas.settings.slices import CompareSlice
from tasks.evaluation.run_comparison import CompareInputs, refuse_many_fallbacks, run_comparison, without_failed
from tasks.forecasting.registry import aggregate_models, compared_models, facts, module_of
from tasks.report.artifact_tables import comparison_tables
from tasks.stages.stage import Stage
from tasks.stages.support import cores_of, log_alarms, say, show_table

COMPARE = Stage("compare", ComparisonRecord, run_comparison)


@task(name="compare", task_run_name="compare", cache_policy=NO_CACHE)
def compare_models(run: RunContext, panel: PanelRecord, forecasts: list[ForecastRecord]) -> State[ComparisonRecord]:
    """Backtest the models, select a champion per series, and show models, bands and fallbacks as artifacts.

    A model is left out if one of its shards has no forecasts.

    Raises:
        TrainingError: a model fell back on more than ``expert.quality.max_fallback_share`` of its series.
    """
    forecasts, alarm = without_failed(forecasts, panel.series)
    refuse_many_fallbacks(forecasts, run.settings.quality.max_fallback_share)
    use = CompareSlice.of(run.settings, models=compared_models(run.settings))
    priced = use.inventory is not None and use.inventory.shortage_cost == "price"
    inputs = CompareInputs(
        panel=panel.panel,
        forecasts=forecasts,
        covariate_free=sorted(name for name, model in facts().items() if model.covariate_free),
        sku_facts=panel.sku_facts if priced else None,
        new_series=panel.new_series,
    )
    aggregates = aggregate_models() if use.reconciliation.method != "none" else []
    stage = replace(COMPARE, modules=tuple(module_of(name) for name in aggregates))
    record, state = stage.run(run, inputs, use, cores_of(run).workers)
    if alarm is not None:
        # Not a part of the cached comparison: a run without the failed model in its settings has the same comparison.
        record = record.model_copy(update={"alarms": [*record.alarms, alarm]})
        state = Completed(data=record, name=state.name, message=state.message)
    for note in record.notes:
        say(note)
    log_alarms(record.alarms)
    for row in record.summary["champions"]:
        say(f"champion of {row['series']:,} series: {row['model']}")
    for name, rows, description in comparison_tables(record, run.settings.selection.loss):
        show_table(run, name, rows, description)
    return state
