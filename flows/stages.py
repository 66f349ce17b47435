"""Submit the stages of a run in order. Every flow runs a first part of the same chain."""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple, cast

from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import flow_run

from flows.approval import ask_for_approval
from flows.first_stages import ingest_stage, panel_stage
from flows.interrupted import say_what_is_in_force
from flows.outcome import HELD_BACK, TO_APPROVE, outcome_of, show_outcome
from flows.own_stages import OWN_STAGES
from flows.submitting import Runner, done, shard_runner, submit, titled
from schemas.errors import PublicationHeldError
from schemas.records import (
    ComparisonRecord,
    EvaluationRecord,
    ForecastRecord,
    IngestRecord,
    PanelRecord,
    PlanRecord,
    PublicationRecord,
    TreeTuningRecord,
    WeekOutcome,
)
from schemas.run import RunContext, ShardSpec
from tasks.forecasting.registry import own_stage_models, tuned_models
from tasks.stages.backfill import judge_weeks
from tasks.stages.calibrate import calibrate_costs
from tasks.stages.compare import compare_models
from tasks.stages.evaluate import evaluate_published_weeks
from tasks.stages.events import report_alarms
from tasks.stages.forecast import forecast_model_shard, plan_shards, summarize_forecasts
from tasks.stages.optimize import optimize_plan
from tasks.stages.progress import ForecastProgress
from tasks.stages.publish import publish
from tasks.stages.stage import REUSED
from tasks.stages.support import warn
from tasks.stages.tune_trees import tune_trees


def tuning_stage(
    run: RunContext, panel: PrefectFuture[PanelRecord], runner: Runner | None
) -> dict[str, PrefectFuture[TreeTuningRecord]]:
    """Submit the tuning of the tree models, one task per model; returns the futures by model."""
    return {
        model: submit(runner, tune_trees.with_options(task_run_name=f"tune {model}"), run=run, panel=panel, model=model)
        for model in tuned_models(run.settings)
    }


def forecast_stage(run: RunContext, panel: PrefectFuture[PanelRecord]) -> list[PrefectFuture[ForecastRecord]]:
    """Forecast with every model, on the folds and on the horizon, in shards; show the progress."""
    shards = done(plan_shards, run, panel).result()
    with shard_runner(run) as runner, ExitStack() as open_runners:
        tuned = tuning_stage(run, panel, runner)
        # Shards that wait for tuned parameters come last: they would occupy a thread that another shard could use.
        shards = sorted(shards, key=lambda spec: spec.model in tuned)
        own = {
            model: open_runners.enter_context(OWN_STAGES[model].forecasting(run, panel))
            for model in own_stage_models(run.settings)
        }

        def submitted(spec: ShardSpec) -> PrefectFuture[ForecastRecord]:
            if spec.model in own:
                return own[spec.model].forecast(spec)
            given = {"run": run, "panel": panel, "spec": spec, "tuned": tuned.get(spec.model)}
            return submit(runner, titled(forecast_model_shard, spec), **given)

        futures = [submitted(spec) for spec in shards]
        progress = ForecastProgress(run, [spec.model for spec in shards])
        before = [task for tasks in own.values() for task in tasks.before]
        for future in as_completed([*before, *tuned.values(), *futures]):
            record = future.result()
            if isinstance(record, ForecastRecord):
                progress.add(record, reused=future.state.name == REUSED)
    done(summarize_forecasts, run, futures)
    return futures


def compare_stage(
    run: RunContext, panel: PrefectFuture[PanelRecord], forecasts: list[PrefectFuture[ForecastRecord]]
) -> PrefectFuture[ComparisonRecord]:
    """Backtest the models and select a champion per series."""
    return done(compare_models, run, panel, forecasts)


def plan_stage(
    run: RunContext,
    ingested: PrefectFuture[IngestRecord],
    panel: PrefectFuture[PanelRecord],
    comparison: PrefectFuture[ComparisonRecord],
) -> PrefectFuture[PlanRecord]:
    """Plan deliveries, order-up-to levels and targets."""
    calibration = done(calibrate_costs, run, ingested, panel, comparison)
    return done(optimize_plan, run, ingested, panel, comparison, calibration)


class PlannedWeek(NamedTuple):
    """The results of a weekly run before its publication."""

    ingested: PrefectFuture[IngestRecord]
    panel: PrefectFuture[PanelRecord]
    forecasts: list[PrefectFuture[ForecastRecord]]
    comparison: PrefectFuture[ComparisonRecord]
    plan: PrefectFuture[PlanRecord]


def plan_week(run: RunContext) -> PlannedWeek:
    """Run all stages from the input tables to the plan."""
    ingested = ingest_stage(run)
    panel = panel_stage(run, ingested)
    forecasts = forecast_stage(run, panel)
    comparison = compare_stage(run, panel, forecasts)
    return PlannedWeek(ingested, panel, forecasts, comparison, plan_stage(run, ingested, panel, comparison))


def replenish(run: RunContext, approve: bool = False) -> PublicationRecord:
    """Run all stages and publish the replenishment file.

    Args:
        run: parameters of the run.
        approve: write a preview and wait until a person approves it; a dry run never waits.

    Raises:
        PublicationHeldError: rejected, or not approved in time.
    """
    try:
        record = _replenish(run, approve)
    except PublicationHeldError:
        show_outcome(run, HELD_BACK)
        raise
    show_outcome(run, outcome_of(record))
    return record


def _replenish(run: RunContext, approve: bool) -> PublicationRecord:
    planned = plan_week(run)
    panel = planned.panel.result()
    report_alarms(run, [*panel.alarms, *planned.comparison.result().alarms, *planned.plan.result().alarms])
    approval = None
    if approve and not run.dry_run:
        preview = publish.with_options(name="preview", task_run_name="preview")
        previewed = done(preview, run.model_copy(update={"dry_run": True}), *planned).result()
        show_outcome(run, TO_APPROVE)
        approval = ask_for_approval(run, previewed)
    say_what_is_in_force(run)
    published = done(publish, run, *planned, approval).result()
    if not run.dry_run:
        _evaluate_after_publication(run, planned)
    return cast(PublicationRecord, published).model_copy(update={"flow_run_id": str(flow_run.get_id())})


def evaluate_stage(
    run: RunContext, ingested: PrefectFuture[IngestRecord], panel: PrefectFuture[PanelRecord]
) -> EvaluationRecord:
    """Compare the published weeks before the run date with what was sold since."""
    return cast(EvaluationRecord, done(evaluate_published_weeks, run, ingested, panel).result())


def _evaluate_after_publication(run: RunContext, planned: PlannedWeek) -> None:
    """Evaluate earlier weeks. An error here never fails a run whose file is published."""
    try:
        evaluate_stage(run, planned.ingested, planned.panel)
    except Exception as error:
        warn([f"The earlier weeks were not evaluated ({type(error).__name__}: {error}). Run `restock evaluate-week`."])


def judge_stage(
    run: RunContext, weeks: list[WeekOutcome], panel: PrefectFuture[PanelRecord]
) -> PrefectFuture[list[WeekOutcome]]:
    """Measure the accuracy and the cost of the weeks of a backfill."""
    return done(judge_weeks, run, weeks, panel)
