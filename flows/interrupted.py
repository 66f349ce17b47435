"""The last line of a run that a signal ends during or after its publication: which file is in force."""

from __future__ import annotations

from prefect.runtime import flow_run

from flows.family import EXIT_CODE, say_at_the_end
from schemas.outputs import MANIFEST, REPLENISHMENT
from schemas.run import RunContext
from tasks.publication.earlier_runs import run_key
from tasks.publication.versions import COMMIT
from tasks.storage.lake import open_lake

# The process ends within ten seconds of a signal; seven of them have passed.
SECONDS_TO_COMMIT = 2.0
RESUME = "Start the same command again to resume."


def say_what_is_in_force(run: RunContext) -> None:
    """From now on, a signal ends this process with the line of :func:`outcome`. A part of a backfill says nothing."""
    if run.dry_run or run.scoped or flow_run.get_parent_flow_run_id() is not None:
        return
    before = _in_force(run)
    say_at_the_end(lambda: outcome(run, before))


def outcome(run: RunContext, before: bytes | None) -> tuple[str, int]:
    """Return the line and the exit code of an interrupted run; no publication of this process begins afterwards.

    Args:
        run: the run.
        before: the manifest in force before its publication; None if nothing was in force for its date.
    """
    if not COMMIT.acquire(timeout=SECONDS_TO_COMMIT):
        return f"The publication of {run.as_of} was interrupted. {RESUME} It is then completed or undone.", EXIT_CODE
    now = _in_force(run)
    if now is not None and now != before:
        file = open_lake(run.settings.storage).uri(f"{run_key(run.as_of)}/{REPLENISHMENT}")
        return f"The file of {run.as_of} is in force. It was published before the run was stopped: {file}", 0
    kept = "" if now is None else f" The earlier file of {run.as_of} is in force."
    return f"Nothing was published.{kept} Finished stages are kept. {RESUME}", EXIT_CODE


def _in_force(run: RunContext) -> bytes | None:
    """The manifest in force. Opening the lake restores a folder whose exchange was interrupted."""
    lake = open_lake(run.settings.storage)
    folder = run_key(run.as_of)
    complete = lake.exists(f"{folder}/{MANIFEST}") and lake.exists(f"{folder}/{REPLENISHMENT}")
    return lake.read_bytes(f"{folder}/{MANIFEST}") if complete else None
