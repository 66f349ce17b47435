"""Task: accuracy and cost of the weeks of a backfill."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.records import PanelRecord, WeekOutcome
from schemas.run import RunContext
from tasks.publication.backfill_summary import week_rows
from tasks.publication.later_sales import evaluate_week, known_demand
from tasks.stages.support import show_table
from tasks.storage.lake import open_lake


@task(name="judge weeks", task_run_name="judge weeks", cache_policy=NO_CACHE)
def judge_weeks(run: RunContext, weeks: list[WeekOutcome], panel: PanelRecord) -> list[WeekOutcome]:
    """Evaluate every published week on later sales, and show a summary artifact.

    Args:
        run: sales before its ``as_of`` are used.
        weeks: the outcomes, in order.
        panel: demand before ``as_of``.
    """
    lake = open_lake(run.settings.storage)
    sales = known_demand(lake, panel.panel, run.settings.period)
    evaluated = [evaluate_week(lake, week, sales) for week in weeks]
    description = "Weeks of the backfill: result, error of the champions on later sales, cost"
    show_table(run, "backfill", week_rows(evaluated), description)
    return evaluated
