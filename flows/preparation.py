"""Build the context of a run from the parameters of a flow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from flows.environment import RUN
from flows.family import end_children_with_this_process, end_soon_after_a_signal, ends_soon_after_a_signal
from flows.known_lakes import is_missed, remember_lake
from schemas.errors import ConfigError, StorageError
from schemas.run import RunContext
from tasks.configuration.settings_file import read_settings
from tasks.forecasting.pretrained.weights import unusable_weights
from tasks.inventory.registry import unknown_policies
from tasks.performance.promotion import find_promotion
from tasks.storage.lake import S3_SCHEME, Lake, open_existing_lake, open_lake
from tasks.storage.local import begin_again, is_local_lake, lake_is_gone
from tasks.storage.temporary import remove_leftovers

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

CHECKS = (unknown_policies, unusable_weights)
WEEK = timedelta(days=7)


def prepare_run(
    settings_file: str,
    as_of: date | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    dry_run: bool = False,
    stores: Sequence[str] = (),
    categories: Sequence[str] = (),
) -> RunContext:
    """Read and check the settings, and build the context of a run; remove temporary folders of killed runs.

    Args:
        settings_file: Path of the settings file (YAML).
        as_of: Run date: data before this date are used. None means :func:`today`.
        overrides: ``key.path=value`` texts; each value is read as YAML.
        force: Recompute everything; do not reuse stored results.
        dry_run: Run everything except the publication.
        stores: Restrict the run to these stores; all if empty.
        categories: Restrict the run to these categories; all if empty.

    Raises:
        ConfigError: The settings are invalid.
        StorageError: The lake that earlier runs have used is gone.
    """
    if RUN in os.environ or ends_soon_after_a_signal():
        end_soon_after_a_signal()
        end_children_with_this_process()
    remove_leftovers()
    day = as_of or today()
    loaded = read_settings(Path(settings_file), overrides, checks=CHECKS)
    _check_lake(loaded.settings.storage)
    promoted = find_promotion(loaded.settings.storage, day)
    if promoted is not None:
        changes = [*promoted.changes(), *overrides]
        loaded = read_settings(Path(settings_file), changes, checks=CHECKS)
    for warning in loaded.warnings:
        _warn_once(warning)
    return RunContext(
        settings=loaded.settings,
        as_of=day,
        force=force,
        dry_run=dry_run,
        stores=tuple(stores),
        categories=tuple(categories),
        promotion="" if promoted is None else promoted.text(),
    )


def open_storage(settings_file: str, overrides: Sequence[str] = ()) -> Lake:
    """Open the lake that the settings name; do not create one.

    Raises:
        ConfigError: The settings are invalid, or there is no lake.
    """
    return open_existing_lake(read_settings(Path(settings_file), overrides).settings.storage)


def _check_lake(storage: str) -> None:
    """Refuse to run if the lake has disappeared, for example because its share is not mounted; log that one is new."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    if storage.startswith(S3_SCHEME) or context is None:
        return
    root, run = Path(storage).expanduser().absolute(), context.flow_run
    if not is_local_lake(root):
        # Prefect's run count stays 1 when a suspended run resumes.
        resumed = run is not None and bool(run.total_run_time)
        if resumed or is_missed(root, deployed=run is not None and run.deployment_id is not None):
            raise StorageError(f"{lake_is_gone(root)} {begin_again(root)}")
        _say_once(f"{storage} is a new lake: no earlier results or publications are known.")
        open_lake(storage)
    remember_lake(root)


@cache
def _say_once(text: str) -> None:
    from prefect.logging import get_logger

    get_logger("restock").info(text)


@cache
def _warn_once(warning: str) -> None:
    """Log a warning about the settings, once per process: a backfill reads the same file for every week."""
    from prefect.logging import get_logger  # late: questions about a run answer in seconds, without Prefect

    get_logger("restock").warning(warning)


def today() -> date:
    """Return the run date of the current flow run; today outside a flow run."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return date.today() if run is None else run_date_of(run)


def run_date_of(run: FlowRun) -> date:
    """Return the run date of a flow run without the parameter ``as_of``.

    A run of a schedule has the local date for which it was scheduled, also if it starts late. Any other run has the
    day on which it started, in the worker's time zone; a run that resumes on a later day, after a retry or an
    approval, keeps it.
    """
    if run.start_time is None:
        return date.today()
    if run.auto_scheduled and run.expected_start_time is not None:
        from flows.schedules import schedule_of, scheduled_date

        return scheduled_date(run.expected_start_time, *schedule_of(run))
    return run.start_time.astimezone().date()


def weeks_between(first: date, last: date) -> list[date]:
    """Return the run dates of a backfill: the first, and every seventh day after it up to the last.

    Raises:
        ConfigError: The first is after the last.
    """
    if first > last:
        raise ConfigError(f"The first week {first} is after the last week {last}. Expected from <= to.")
    return [first + number * WEEK for number in range((last - first) // WEEK + 1)]
