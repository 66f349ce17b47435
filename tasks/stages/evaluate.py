"""Task: compare published weeks with what was sold since."""

from __future__ import annotations

from datetime import date

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.errors import numbered
from schemas.records import ComparisonRecord, EvaluationRecord, IngestRecord, PanelRecord
from schemas.run import RunContext
from tasks.performance.challengers import keep_shadow_forecast, take_forecasts
from tasks.performance.evaluate import LOOK_BACK, evaluate_weeks
from tasks.stages.events import report_drift
from tasks.stages.support import say, show_table, warn
from tasks.storage.lake import open_lake


@task(name="evaluate weeks", task_run_name="evaluate weeks", cache_policy=NO_CACHE)
def evaluate_published_weeks(run: RunContext, ingested: IngestRecord, panel: PanelRecord) -> EvaluationRecord:
    """Append the performance of the published weeks before the run date to the tables, and show it as an artifact."""
    record = evaluate_weeks(open_lake(run.settings.storage), run.settings, run.as_of, ingested, panel)
    new = numbered(len(record.weeks), "# week[s] with a new version")
    say(f"Performance: {new}, {len(record.restated)} of them restated")
    warn(record.notes)
    report_drift(run, record.drifts)
    for name, description in (
        ("forecast-value-added", "Forecast value added of the last evaluated week: error and replayed cost by step"),
        ("realized-accuracy", "Error of the published forecasts one week ahead"),
    ):
        if record.summary.get(name):
            show_table(run, name, record.summary[name], description)
    return record


@task(name="take challenger", task_run_name="take challenger", cache_policy=NO_CACHE)
def take_challenger(run: RunContext) -> list[date]:
    """Keep the forecasts of another installation for the comparison; returns the run dates that are new."""
    settings = run.settings
    assert settings.challenger.lake is not None
    lake, other = open_lake(settings.storage), open_lake(settings.challenger.lake)
    days = take_forecasts(lake, other, settings.challenger.name, run.as_of - LOOK_BACK)
    say(f"Challenger {settings.challenger.name}: forecasts of {len(days)} run dates taken from {other.uri('')}")
    return days


@task(name="keep challenger", task_run_name="keep challenger", cache_policy=NO_CACHE)
def keep_challenger(run: RunContext, comparison: ComparisonRecord) -> bool:
    """Keep the challenger's forecast of a week; returns False if the week has one already."""
    name = run.settings.challenger.name
    kept = keep_shadow_forecast(open_lake(run.settings.storage), name, run.as_of, comparison.forecast)
    say(f"Challenger {name}: " + ("forecast kept" if kept else "the week already has a forecast of it"))
    return kept
