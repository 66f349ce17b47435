"""The stages of a run, submitted in order; every flow is a prefix of the same chain."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task

from schemas.records import (
    ComparisonRecord,
    ForecastRecord,
    IngestRecord,
    PanelRecord,
    PlanRecord,
    PublicationRecord,
)
from schemas.run import SHARDS_AT_ONCE, RunContext, ShardSpec
from tasks.compare import compare
from tasks.features import assemble_panel
from tasks.forecast import forecast_shard, plan_shards, summarise_forecasts
from tasks.ingest import ingest_tables
from tasks.optimize import optimise_inventory
from tasks.publish import publish
from tasks.support import quieten_expected_errors

quieten_expected_errors()

task_runner = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=SHARDS_AT_ONCE))


def flow_run_name() -> str:
    """Flow, date, settings and scope: what an operator looks for in the list of runs."""
    given = flow_run.get_parameters()
    scope = [*(given.get("stores") or []), *(given.get("categories") or [])]
    settings = "/".join(Path(given["settings_file"]).parts[-2:])
    parts = [str(flow_run.get_flow_name()).replace("_", " "), str(given.get("as_of") or date.today()), settings]
    return " · ".join([*parts, *(["only " + ", ".join(scope)] if scope else [])])


def _done(task: Task[..., Any], *arguments: object) -> PrefectFuture[Any]:
    """Submit a stage and wait: its own error ends the run, not that of a later one which never began.

    Earlier stages are handed on as futures, which Prefect resolves and draws as the run's graph.
    """
    future: PrefectFuture[Any] = task.submit(*arguments)
    future.result()
    return future


def ingest_stage(run: RunContext) -> PrefectFuture[IngestRecord]:
    """Validated tables."""
    return _done(ingest_tables, run)


def panel_stage(run: RunContext, ingested: PrefectFuture[IngestRecord]) -> PrefectFuture[PanelRecord]:
    """The demand panel with its features."""
    return _done(assemble_panel, run, ingested)


def forecast_stage(run: RunContext, panel: PrefectFuture[PanelRecord]) -> list[PrefectFuture[ForecastRecord]]:
    """Every model on every fold and on the horizon, in shards; progress shows while they finish."""
    shards = _done(plan_shards, run, panel).result()
    futures = [_named(spec).submit(run, panel, spec) for spec in shards]
    progress = cast(UUID, create_progress_artifact(0.0, key="forecast-progress", description="Shards finished"))
    for done, future in enumerate(as_completed(futures), start=1):
        future.result()
        update_progress_artifact(progress, 100.0 * done / len(futures))
    _done(summarise_forecasts, run, futures)
    return futures


def _named(spec: ShardSpec) -> Task[..., Any]:
    return forecast_shard.with_options(task_run_name=f"forecast {spec.model} {spec.number} of {spec.of}")


def compare_stage(
    run: RunContext, panel: PrefectFuture[PanelRecord], forecasts: list[PrefectFuture[ForecastRecord]]
) -> PrefectFuture[ComparisonRecord]:
    """Backtest, metrics and the champion of every series."""
    return _done(compare, run, panel, forecasts)


def plan_stage(
    run: RunContext,
    ingested: PrefectFuture[IngestRecord],
    panel: PrefectFuture[PanelRecord],
    comparison: PrefectFuture[ComparisonRecord],
) -> PrefectFuture[PlanRecord]:
    """Visits, levels and targets."""
    return _done(optimise_inventory, run, ingested, panel, comparison)


def replenish(run: RunContext) -> PublicationRecord:
    """The whole chain, from the source files to the published replenishment file."""
    ingested = ingest_stage(run)
    panel = panel_stage(run, ingested)
    forecasts = forecast_stage(run, panel)
    comparison = compare_stage(run, panel, forecasts)
    plan = plan_stage(run, ingested, panel, comparison)
    published = _done(publish, run, ingested, panel, forecasts, comparison, plan).result()
    return cast(PublicationRecord, published).model_copy(update={"flow_run_id": str(flow_run.get_id())})
