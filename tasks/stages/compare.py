"""Task: rolling-origin comparison, metrics and champions."""

from __future__ import annotations

from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from schemas import columns as c
from schemas.metrics import HEADLINES, readable
from schemas.records import ComparisonRecord, ForecastRecord, PanelRecord
from schemas.run import RunContext
from schemas.settings.slices import CompareSlice
from tasks.evaluation.run_comparison import CompareInputs, refuse_many_fallbacks, run_comparison, without_failed
from tasks.evaluation.selection.reconcile import ReconciliationRule
from tasks.forecasting.registry import facts, module_of
from tasks.stages.stage import Stage
from tasks.stages.support import cores_of, log_alarms, say, show_table, warn, with_first

COMPARE = Stage("compare", ComparisonRecord, run_comparison)

# First columns of the artifact; the UI cuts off the last ones.
METRICS_FIRST = (c.MODEL, c.RELATIVE_LOSS, *HEADLINES)


@task(name="compare", task_run_name="compare", cache_policy=NO_CACHE)
def compare_models(run: RunContext, panel: PanelRecord, forecasts: list[ForecastRecord]) -> State[ComparisonRecord]:
    """Backtest the models, select a champion per series, and show models, bands and fallbacks as artifacts.

    A model of which one shard has no forecasts takes no part.

    Raises:
        TrainingError: a model fell back on more than ``expert.quality.max_fallback_share`` of its series.
    """
    forecasts, alarm = without_failed(forecasts, panel.series)
    refuse_many_fallbacks(forecasts, run.settings.quality.max_fallback_share)
    use = CompareSlice.of(run.settings)
    priced = use.inventory is not None and use.inventory.shortage_cost == "price"
    inputs = CompareInputs(
        panel=panel.panel,
        forecasts=forecasts,
        covariate_free=sorted(name for name, model in facts().items() if model.covariate_free),
        sku_facts=panel.sku_facts if priced else None,
        new_series=panel.new_series,
    )
    aggregates = ReconciliationRule.models if use.reconciliation.method != "none" else ()
    stage = replace(COMPARE, modules=tuple(module_of(name) for name in aggregates))
    record, state = stage.run(run, inputs, use, cores_of(run).workers)
    if alarm is not None:
        # Not a part of the cached comparison: the same comparison may be made of a run without DeepAR in its settings.
        record = record.model_copy(update={"alarms": [*record.alarms, alarm]})
        state = Completed(data=record, name=state.name, message=state.message)
    warn(record.notes)
    log_alarms(record.alarms)
    for row in record.summary["champions"]:
        say(f"champion of {row['series']:,} series: {row['model']}")
    _show(run, record)
    return state


def _show(run: RunContext, record: ComparisonRecord) -> None:
    models = [{name: readable(name, value) for name, value in row.items()} for row in record.summary["models"]]
    failures = [failure.model_dump(mode="json") for failure in record.failures]
    show_table(
        run,
        "models",
        with_first(models, *METRICS_FIRST),
        f"Models compared on the folds by {run.settings.selection.loss}, best first. "
        "MAPE is empty if zero sales make it meaningless",
    )
    show_table(
        run,
        "bands",
        record.summary["bands"],
        "Acceptance bands: share of forecasts within 5, 10 and 20 %",
    )
    show_table(run, "champions", record.summary["champions"], "Champions: series per model")
    show_table(run, "gap", record.summary["gap"], "Overfitting check: loss on the earlier folds and on the last fold")
    for name, rows, description in (
        (
            "reconciliation",
            record.summary["reconciliation"],
            "Loss before and after reconciliation, by level",
        ),
        ("fallbacks", failures, "Series that a model could not forecast, and the fallback used"),
    ):
        if rows:
            show_table(run, name, rows, description)
