"""From flat, typed flow parameters to the context of one run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path

from schemas.run import RunContext
from tasks.configuration.settings_file import read_settings
from tasks.inventory.registry import unknown_policies


def prepare_run(
    settings_file: str,
    as_of: date | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    dry_run: bool = False,
    stores: Sequence[str] = (),
    categories: Sequence[str] = (),
) -> RunContext:
    """Read and check the settings before any work starts.

    Args:
        settings_file: path of the YAML settings file.
        as_of: first day that is not known; :func:`today` where it is None.
        overrides: ``key.path=value`` texts, values read as YAML.
        force: ignore what is already computed.
        dry_run: everything but the publication.
        stores: only these stores.
        categories: only these categories.

    Raises:
        ConfigError: the settings are wrong.
    """
    loaded = read_settings(Path(settings_file), overrides, checks=[unknown_policies])
    for warning in loaded.warnings:
        _warn_once(warning)
    return RunContext(
        settings=loaded.settings,
        as_of=as_of or today(),
        force=force,
        dry_run=dry_run,
        stores=tuple(stores),
        categories=tuple(categories),
    )


@cache
def _warn_once(warning: str) -> None:
    """Log a warning about the settings, once per process: a backfill reads the same file for every week."""
    from prefect.logging import get_logger  # late: questions about a run answer in seconds, without Prefect

    get_logger("restock").warning(warning)


def today() -> date:
    """The day, in the worker's time zone, on which the current flow run first began, or today outside one.

    A run that goes on another day, after a retry or an approval, is still about the day it began on.
    """
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    began = context.flow_run.start_time if context and context.flow_run else None
    return began.astimezone().date() if began else date.today()
