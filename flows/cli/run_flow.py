"""Run a flow in the process of the command line."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from flows.cli.terminal import say
from flows.environment import COMMAND_LINE
from flows.family import RESUME, end_children_with_this_process, end_soon_after_a_signal
from tasks.storage.machine import no_garbage_collection


def run_flow(module: str, name: str, settings_file: str, overrides: tuple[str, ...], **parameters: Any) -> Any:
    """Check the settings, then run a flow in this process.

    Args:
        module: Name of the flow's module in ``flows``.
        name: Name of the flow's function.
        settings_file: Path of the settings file.
        overrides: ``key.path=value`` texts; relative paths in them start at the working directory.
        parameters: The other parameters of the flow.

    Returns:
        What the flow returns.

    Raises:
        ConfigError: The settings are invalid.
    """
    # Set before anything imports Prefect, which reads its settings once.
    for variable, value in COMMAND_LINE.items():
        os.environ.setdefault(variable, value)
    with no_garbage_collection():
        from flows.preparation import prepare_run

    end_soon_after_a_signal(RESUME)
    end_children_with_this_process()
    prepare_run(settings_file, overrides=overrides)  # reports invalid settings before a server starts
    with no_garbage_collection():
        from flows.server import server_of_this_run

    with server_of_this_run() as wait_for_server:
        with no_garbage_collection():
            flow = getattr(importlib.import_module(f"flows.{module}"), name)
            from tasks.stages.engine_log import show_errors_at_end

        show_errors_at_end()
        api = wait_for_server()
        if api is not None:
            say(f"The run is recorded by the server of `make serve`: {api.removesuffix('/api')}")
        file = settings_file if settings_file.startswith("s3://") else str(Path(settings_file).resolve())
        return flow(settings_file=file, overrides=list(overrides), **parameters)


def say_published(record: Any) -> None:
    """Print where the published files or the previewed files are.

    Args:
        record: The :class:`schemas.records.PublicationRecord` of the run.
    """
    if record.dry_run:
        say("", f"Dry run: nothing was published. Preview: {record.folder}")
        return
    say(
        "",
        f"Replenishment file: {record.folder}/replenishment.csv",
        f"Workbook:           {record.folder}/replenishment.xlsx",
        f"Report:             {record.folder}/report.html",
    )
