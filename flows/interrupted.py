"""What a run says that is stopped during or after its publication: which file is in force.

A run of the command line says so in its last line. A run of a worker is cancelled or killed from outside; afterwards
a hook of the worker puts it into the run's name and log.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging.loggers import flow_run_logger
from prefect.runtime import flow_run

from flows.dead_runs import START_AGAIN
from flows.family import EXIT_CODE, ends_soon_after_a_signal, say_at_the_end
from flows.outcome import name_of_backfill, name_of_run
from flows.own_stages import AT_THE_END
from flows.preparation import run_date_of, weeks_between
from schemas.errors import ConfigError
from schemas.outputs import MANIFEST, REPLENISHMENT
from schemas.run import RunContext
from tasks.configuration.settings_file import load_settings
from tasks.publication.earlier_runs import run_key
from tasks.publication.versions import COMMIT, came_into_force, check_folder_against_manifest
from tasks.storage.lake import Lake, open_existing_lake, open_lake

# The process ends within ten seconds of a signal; seven of them have passed.
SECONDS_TO_COMMIT = 2.0
RESUME = "Start the same command again to resume."
# Dates that a line names.
DATES_SHOWN = 5


def say_what_is_in_force(run: RunContext) -> None:
    """From now on, a signal ends this process with the line of :func:`outcome`; in a backfill, its own line stays."""
    if run.dry_run or run.scoped or flow_run.get_parent_flow_run_id() is not None:
        return
    before = _in_force(open_lake(run.settings.storage), run.as_of)
    say_at_the_end(lambda: outcome(run, before))


def say_which_weeks_are_in_force(run: RunContext, weeks: Sequence[date]) -> None:
    """From now on, a signal ends this process with the line of :func:`outcome_of_weeks`."""
    lake = open_lake(run.settings.storage)
    before = {week: _in_force(lake, week) for week in weeks}
    say_at_the_end(lambda: outcome_of_weeks(run, before))


def outcome(run: RunContext, before: bytes | None) -> tuple[str, int]:
    """Return the line and the exit code of an interrupted run; no publication of this process begins afterwards.

    Args:
        run: the run.
        before: the manifest in force before its publication; None if nothing was in force for its date.
    """
    if not COMMIT.acquire(timeout=SECONDS_TO_COMMIT):
        return f"The publication of {run.as_of} was interrupted. {RESUME} It is then completed or undone.", EXIT_CODE
    lake = open_lake(run.settings.storage)
    now = _in_force(lake, run.as_of)
    if now is not None and now != before:
        return _published(lake, run.as_of), 0
    return f"{_not_published(lake, run.as_of)} Finished stages are kept. {RESUME}", EXIT_CODE


def outcome_of_weeks(run: RunContext, before: dict[date, bytes | None]) -> tuple[str, int]:
    """Return the line and the exit code of an interrupted backfill; no publication of this process begins afterwards.

    Args:
        run: the run of its first week.
        before: the manifests in force before the backfill, by week.
    """
    if not COMMIT.acquire(timeout=SECONDS_TO_COMMIT):
        return f"The publication of a week was interrupted. {RESUME} It is then completed or undone.", EXIT_CODE
    lake = open_lake(run.settings.storage)
    now = {week: _in_force(lake, week) for week in before}
    published = [week for week in before if now[week] is not None and now[week] != before[week]]
    return f"{_published_weeks(published, len(before))} Finished stages are kept. {RESUME}", EXIT_CODE


def show_what_is_in_force(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook of a run that was cancelled or has crashed: its name and its log say whether its file is in force.

    The worker calls it after the end of the run's process. The message of the state is Prefect's.
    """
    if ends_soon_after_a_signal():
        return  # the last line on the terminal says so
    given = flow_run.parameters
    settings = load_settings(Path(str(given["settings_file"])), given.get("overrides") or [])
    lake, began = _lake(settings.storage), _began(flow_run.id)
    end = "crashed" if state.is_crashed() else "cancelled"
    first, last = given.get("date_from"), given.get("date_to")  # parameters of a backfill
    if first and last:
        weeks = weeks_between(_day(first), _day(last))
        published = [week for week in weeks if lake is not None and came_into_force(lake, week, began)]
        line = f"{_published_weeks(published, len(weeks))} {START_AGAIN}"
        what = f"{end}, {len(published)} of {len(weeks)} weeks published"
        name = name_of_backfill(_day(first), _day(last), what, settings.name)
    else:
        as_of = _day(given["as_of"]) if given.get("as_of") else run_date_of(flow_run)
        scope = given.get("stores"), given.get("categories")
        line, what = f"{_not_published(lake, as_of)} {START_AGAIN}", f"{end}, not published"
        preview = given.get("dry_run") or any(scope)
        if lake is not None and not preview and came_into_force(lake, as_of, began):
            line, what = _published(lake, as_of), f"published, then {end}"
        name = name_of_run(as_of, what, settings.name, *scope)
    flow_run_logger(flow_run, flow).warning(line)
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name)


def _began(flow_run_id: UUID) -> datetime:
    """When the process of a run began its work; a run that was approved began again then."""
    with get_client(sync_client=True) as client:
        states = client.read_flow_run_states(flow_run_id)
    return max((state.timestamp for state in states if state.is_running()), default=datetime.now(UTC))


def _lake(storage: str) -> Lake | None:
    """The lake; None if it does not exist, because a run was stopped before it stored anything."""
    try:
        return open_existing_lake(storage)
    except ConfigError:
        return None


def _day(given: Any) -> date:
    return date.fromisoformat(str(given)[:10])


def _published(lake: Lake, as_of: date) -> str:
    if check_folder_against_manifest(lake, run_key(as_of)):  # S3 replaces one object at a time
        return f"The publication of {as_of} was interrupted. The next run of this date completes or undoes it."
    file = lake.uri(f"{run_key(as_of)}/{REPLENISHMENT}")
    return f"The file of {as_of} is in force. It was published before the run was stopped: {file}"


def _not_published(lake: Lake | None, as_of: date) -> str:
    kept = lake is not None and _in_force(lake, as_of) is not None
    return f"Nothing was published.{f' The earlier file of {as_of} is in force.' if kept else ''}"


def _published_weeks(published: Sequence[date], count: int) -> str:
    if not published:
        return f"The backfill published none of {count} weeks before it was stopped."
    many = len(published) > DATES_SHOWN
    shown = f"{published[0]} to {published[-1]}" if many else ", ".join(map(str, published))
    return f"The backfill published {len(published)} of {count} weeks before it was stopped: {shown}."


def _in_force(lake: Lake, as_of: date) -> bytes | None:
    """The manifest in force. Opening a lake restores a folder whose exchange was interrupted."""
    folder = run_key(as_of)
    complete = lake.exists(f"{folder}/{MANIFEST}") and lake.exists(f"{folder}/{REPLENISHMENT}")
    return lake.read_bytes(f"{folder}/{MANIFEST}") if complete else None


# Hooks of the flows that publish.
AT_THE_END_OF_A_PUBLICATION: dict[str, Any] = {
    **AT_THE_END,
    "on_cancellation": [*AT_THE_END["on_cancellation"], show_what_is_in_force],
    "on_crashed": [*AT_THE_END["on_crashed"], show_what_is_in_force],
}
