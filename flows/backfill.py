"""Flow: one weekly run for each week of a date range."""

from __future__ import annotations

import os
from datetime import date
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

from prefect import flow
from prefect.flow_engine import run_flow_in_subprocess
from prefect.runtime import flow_run
from pydantic import Field

from flows.environment import RUN
from flows.family import end_soon_after_a_signal
from flows.first_stages import flow_run_name, ingest_stage, panel_stage, task_runner
from flows.interrupted import AT_THE_END_OF_A_PUBLICATION, say_which_weeks_are_in_force
from flows.outcome import name_of_backfill
from flows.own_stages import AT_THE_END
from flows.parameters import describe_parameters
from flows.preparation import prepare_run, weeks_between
from flows.stages import judge_stage, plan_week
from flows.weekly import weekly_replenishment
from schemas.errors import PipelineError
from schemas.records import BackfillRecord, WeekOutcome
from schemas.run import RunContext
from tasks.publication.backfill_summary import raise_for_failed_weeks
from tasks.stages.deepar_tools import refuse_unwanted_payment
from tasks.stages.progress import WeeksProgress
from tasks.stages.support import say, warn


def backfill_run_name() -> str:
    """Return the name of the run: flow, date range and settings."""
    given = flow_run.get_parameters()
    settings = "/".join(Path(given["settings_file"]).parts[-2:])
    return name_of_backfill(str(given.get("date_from")), str(given.get("date_to")), "", settings)


@flow(name="prepare_week", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
@describe_parameters
def prepare_week(settings_file: str, as_of: date, overrides: list[str]) -> None:
    """Run everything of a weekly run except the publication. A backfill that prepares weeks in parallel uses it."""
    _end_with_the_backfill()
    plan_week(prepare_run(settings_file, as_of, overrides))


def _end_with_the_backfill() -> None:
    """End this process as soon as the backfill that started it ends.

    A killed backfill cannot stop its processes, and the processes of the next backfill would compute the same weeks.
    """
    backfill_process = parent_process()
    if backfill_process is None:
        return
    if RUN not in os.environ:
        end_soon_after_a_signal("")  # Ctrl-C reaches every process; the backfill says how to resume

    def watch() -> None:
        wait([backfill_process.sentinel])
        os._exit(1)

    Thread(target=watch, name="watch the backfill", daemon=True).start()


@flow(name="backfill", flow_run_name=backfill_run_name, task_runner=task_runner, **AT_THE_END_OF_A_PUBLICATION)
@describe_parameters
def backfill(
    settings_file: str,
    date_from: date,
    date_to: date,
    parallel: Annotated[int, Field(ge=1)] = 1,
    as_of: date | None = None,
    force: bool = False,
    pay: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> BackfillRecord:
    """Run `weekly` once for date_from, date_from + 7 days, ... up to date_to.

    Each week is published with the same files as by a weekly run of its date. Weeks that are already published are
    skipped. A week that fails does not stop the others, but the backfill then fails at its end. An interrupted backfill
    resumes where it left off if it is started again with the same dates.

    Args:
        date_from: Run date of the first week (YYYY-MM-DD).
        date_to: Latest run date (YYYY-MM-DD).
        parallel: Number of weeks to prepare at the same time, 1 or more. Each needs the memory of a weekly run. The
            publications still run one at a time, in order.
        as_of: Accuracy and cost of the weeks are measured with the sales before this date (YYYY-MM-DD). Press "date"
            to choose one; "None" means today.
        force: Recompute everything; do not reuse stored results. The weeks then run one at a time.
        pay: Agree to pay for the SageMaker trainings of every week (DeepAR on SageMaker only).
    """
    weeks = weeks_between(date_from, date_to)
    run = prepare_run(settings_file, weeks[0], overrides)
    refuse_unwanted_payment(run.settings, len(weeks), f"A backfill of {len(weeks):,} weeks", pay)
    say_which_weeks_are_in_force(run, weeks)
    ingest_stage(run)  # invalid input fails every week: report it once, at the start
    given: dict[str, Any] = {"settings_file": settings_file, "overrides": overrides}
    if parallel > 1 and not force:
        _prepare_in_parallel(weeks, parallel, given)
    progress = WeeksProgress(len(weeks))
    outcomes = [_week(week, force, given, progress) for week in weeks]
    judged = _judged(run, outcomes, as_of or date.today())
    raise_for_failed_weeks(judged)
    return BackfillRecord(weeks=judged)


def _prepare_in_parallel(weeks: list[date], parallel: int, given: dict[str, Any]) -> None:
    """Compute the plans of the weeks in separate processes, so that the weekly runs find them in the lake.

    A failure is ignored here, because the weekly run of that week reports it. The weekly runs follow in order, because
    each publication is compared with the week before.
    """
    waiting, progress = list(weeks), WeeksProgress(len(weeks))
    running: list[Any] = []
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                running.append(run_flow_in_subprocess(prepare_week, parameters={**given, "as_of": waiting.pop(0)}))
            wait([process.sentinel for process in running])
            for process in [one for one in running if not one.is_alive()]:
                running.remove(process)
                say(f"plans: {progress.add(computed=True)}")
    finally:
        for process in running:
            process.terminate()


def _week(week: date, force: bool, given: dict[str, Any], progress: WeeksProgress) -> WeekOutcome:
    """Run one week. A failure becomes the outcome of this week and does not stop the others."""
    try:
        record = weekly_replenishment(as_of=week, force=force, **given)
    except Exception as error:
        reason = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        warn([f"week {week} failed: {reason} ({progress.add(computed=True)})"])
        return WeekOutcome(as_of=week, result="failed", reason=reason, exit_code=getattr(error, "exit_code", 1))
    result = "published" if record.written else "already published"
    say(f"week {week}: {result}, {record.folder} ({progress.add(record.written)})")
    return WeekOutcome(as_of=week, result=result, folder=record.folder, changed_share=record.changed_share)


def _judged(run: RunContext, outcomes: list[WeekOutcome], today: date) -> list[WeekOutcome]:
    """Add accuracy and cost to the outcomes, from the sales up to the end of the last week's horizon."""
    settings = run.settings
    beyond = settings.period.range(outcomes[-1].as_of, settings.horizon + 1)[-1].date()
    later = run.model_copy(update={"as_of": min(today, beyond)})
    panel = panel_stage(later, ingest_stage(later))
    return judge_stage(later, outcomes, panel).result()
