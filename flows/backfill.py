"""Flow: one weekly run for every week of a date range."""

from __future__ import annotations

import os
from datetime import date, timedelta
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

from prefect import flow
from prefect.flow_engine import run_flow_in_subprocess
from prefect.runtime import flow_run
from pydantic import Field

from flows.preparation import prepare_run
from flows.stages import AT_THE_END, flow_run_name, ingest_stage, judge_stage, panel_stage, plan_week, task_runner
from flows.weekly import weekly_replenishment
from schemas.errors import ConfigError, PipelineError
from schemas.records import BackfillRecord, WeekOutcome
from schemas.run import RunContext
from tasks.publication.backfill_summary import raise_for_failed_weeks
from tasks.stages.support import say, warn

WEEK = timedelta(days=7)


def backfill_run_name() -> str:
    """Flow, range and settings."""
    given = flow_run.get_parameters()
    settings = "/".join(Path(given["settings_file"]).parts[-2:])
    return f"backfill · {given.get('date_from')} to {given.get('date_to')} · {settings}"


@flow(name="prepare_week", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
def prepare_week(settings_file: str, as_of: date, overrides: list[str]) -> None:
    """Everything of a weekly run but its publication, for a backfill that prepares weeks side by side.

    Args:
        settings_file: Path of the settings file (YAML), as the worker sees it.
        as_of: First day that is not known (YYYY-MM-DD).
        overrides: Settings to change for this run, one key.path=value each.
    """
    _end_with_the_backfill()
    plan_week(prepare_run(settings_file, as_of, overrides))


def _end_with_the_backfill() -> None:
    """End this process as soon as the one that started it is gone: nobody waits for it any more.

    A backfill that is killed cannot stop its processes, and those of the next one would compute the same.
    """
    backfill_process = parent_process()
    if backfill_process is None:
        return

    def watch() -> None:
        wait([backfill_process.sentinel])
        os._exit(1)

    Thread(target=watch, name="watch the backfill", daemon=True).start()


@flow(name="backfill", flow_run_name=backfill_run_name, task_runner=task_runner, **AT_THE_END)
def backfill(
    settings_file: str,
    date_from: date,
    date_to: date,
    parallel: Annotated[int, Field(ge=1)] = 1,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> BackfillRecord:
    """Run the weekly replenishment for date_from, date_from + 7 days, ... up to date_to.

    Every week is published as the weekly run of that day would have; a week that stands already is left
    as it is. A week that fails does not stop the others, but fails the backfill at its end. Start a
    backfill that was stopped again with the same dates: it goes on where it stopped.

    Args:
        settings_file: Path of the settings file (YAML), as the worker sees it.
        date_from: The first week's as_of (YYYY-MM-DD).
        date_to: The last week's as_of is this day or the last one before it (YYYY-MM-DD).
        parallel: Weeks that are prepared side by side, 1 or more; each takes the memory of a weekly run.
            They are published one after the other all the same.
        as_of: First day that is not known when the weeks are judged by what was sold since: press "date" to choose
            one; "None" is today.
        force: Compute again what the lake already holds; weeks then run one after the other.
        overrides: Settings to change for this run, one key.path=value each, such as horizon=14. Not the planners'
            table of that name, which corrects targets.
    """
    weeks = _weeks(date_from, date_to)
    run = prepare_run(settings_file, weeks[0], overrides)
    ingest_stage(run)  # bad input fails every week alike: it is told at once
    given: dict[str, Any] = {"settings_file": settings_file, "overrides": overrides}
    if parallel > 1 and not force:
        _prepare_side_by_side(weeks, parallel, given)
    outcomes = [_week(week, force, given) for week in weeks]
    judged = _judged(run, outcomes, as_of or date.today())
    raise_for_failed_weeks(judged)
    return BackfillRecord(weeks=judged)


def _weeks(first: date, last: date) -> list[date]:
    if first > last:
        raise ConfigError(f"The backfill would begin on {first} and end on {last}: expected from <= to.")
    return [first + number * WEEK for number in range((last - first) // WEEK + 1)]


def _prepare_side_by_side(weeks: list[date], parallel: int, given: dict[str, Any]) -> None:
    """Compute the weeks' plans in processes of their own, so that the weekly runs find them in the lake.

    What a process fails at is left to the weekly run, which tells it. Publications wait: each compares
    with the week before.
    """
    waiting = list(weeks)
    running: list[Any] = []
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                running.append(run_flow_in_subprocess(prepare_week, parameters={**given, "as_of": waiting.pop(0)}))
            wait([process.sentinel for process in running])
            running = [process for process in running if process.is_alive()]
    finally:
        for process in running:
            process.terminate()


def _week(week: date, force: bool, given: dict[str, Any]) -> WeekOutcome:
    """Run one week; whatever it fails with belongs to that week alone."""
    try:
        record = weekly_replenishment(as_of=week, force=force, **given)
    except Exception as error:
        words = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        warn([f"week {week} failed: {words}"])
        return WeekOutcome(as_of=week, result="failed", reason=words, exit_code=getattr(error, "exit_code", 1))
    result = "published" if record.written else "stood already"
    say(f"week {week}: {result}, {record.folder}")
    return WeekOutcome(as_of=week, result=result, folder=record.folder, changed_share=record.changed_share)


def _judged(run: RunContext, outcomes: list[WeekOutcome], today: date) -> list[WeekOutcome]:
    """The outcomes with accuracy and cost; sales are read up to the end of the last week's horizon."""
    settings = run.settings
    beyond = settings.period.range(outcomes[-1].as_of, settings.horizon + 1)[-1].date()
    later = run.model_copy(update={"as_of": min(today, beyond)})
    panel = panel_stage(later, ingest_stage(later))
    return judge_stage(later, outcomes, panel).result()
