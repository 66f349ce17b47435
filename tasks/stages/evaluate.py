"""Task: compare published weeks with what was sold since."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.records import EvaluationRecord, IngestRecord, PanelRecord
from schemas.run import RunContext
from tasks.performance.evaluate import evaluate_weeks
from tasks.stages.support import say, show_table, warn
from tasks.storage.lake import open_lake


@task(name="evaluate weeks", task_run_name="evaluate weeks", cache_policy=NO_CACHE)
def evaluate_published_weeks(run: RunContext, ingested: IngestRecord, panel: PanelRecord) -> EvaluationRecord:
    """Append the performance of the published weeks before the run date to the tables, and show it as an artifact."""
    record = evaluate_weeks(open_lake(run.settings.storage), run.settings, run.as_of, ingested, panel)
    say(f"Performance: {len(record.weeks)} weeks with a new version, {len(record.restated)} of them restated")
    warn(record.notes)
    for name, description in (
        ("forecast-value-added", "Forecast value added of the last evaluated week: error and replayed cost by step"),
        ("realized-accuracy", "Error of the published forecasts one week ahead"),
    ):
        if record.summary.get(name):
            show_table(run, name, record.summary[name], description)
    return record
